"""Averaged stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Group, Optimizer, Ready, check_options, kept, loss_gradient


class ASGD(Optimizer):
    """p ← (1 − λ·ηₜ)·p − ηₜ·g with ηₜ = lr / (1 + λ·lr·(t − 1))^α, and in `state[p]["ax"]` the mean of p after step t0.

    lambd, alpha, t0: λ, α and the step after which to average; until then, the mean is p itself.
    weight_decay: adds a multiple of p to g. maximize: ascend. foreach, capturable: accepted, without effect.

    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992; the schedule: Bottou,
    "Large-scale machine learning with stochastic gradient descent", 2010.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-2, lambd: float = 1e-4, alpha: float = 0.75,
                 t0: float = 1e6, weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False,
                 differentiable: bool = False, capturable: bool = False) -> None:
        check_options("ASGD", differentiable, lr=lr, weight_decay=weight_decay)
        super().__init__(params, {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
                                  "maximize": maximize})

    @np.errstate(all="ignore")
    def _update(self, ready: Ready, group: Group) -> None:
        lr, lambd = float(group["lr"]), group["lambd"]
        for param, p, g in ready:
            state = self.state[param]
            t = state["step"] = int(state.get("step", 0)) + 1
            eta, mu = float(state.get("eta", lr)), float(state.get("mu", 1.0))
            mean = kept(state, "ax", p)
            s, d = self._scratch[p.shape, p.dtype]
            g = loss_gradient(p, g, group["weight_decay"], group["maximize"], out=d)
            np.multiply(g, eta, out=s)
            p *= 1 - lambd * eta
            p -= s
            if mu == 1:
                np.copyto(mean, p)
            else:
                np.subtract(p, mean, out=s)
                s *= mu
                mean += s
            state["eta"] = lr / (1 + lambd * lr * t) ** group["alpha"]
            state["mu"] = 1 / max(1, t - group["t0"])
