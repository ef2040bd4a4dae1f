"""Resilient backpropagation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Group, Optimizer, Ready, check_options, kept, loss_gradient


class Rprop(Optimizer):
    """p ← p − sign(g)·Δ, with a step size Δ for each weight, which starts from lr; the size of g is not used.

    etas: (η⁻, η⁺): Δ shrinks by η⁻ where g has turned its sign, which then counts as 0, and grows by η⁺ where g has
    kept it. step_sizes: the least and the largest Δ. maximize: ascend. Meant for full batches.
    foreach, capturable: accepted, without effect.

    Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm", 1993.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
                 step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False,
                 foreach: bool | None = None, maximize: bool = False, differentiable: bool = False) -> None:
        check_options("Rprop", differentiable, lr=lr)
        if not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(f"Rprop(): etas must be a factor below 1 and one above, both above 0, got {etas}")
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize})

    @np.errstate(all="ignore")
    def _update(self, ready: Ready, group: Group) -> None:
        (shrink, grow), (least, largest) = group["etas"], group["step_sizes"]
        for param, p, g in ready:
            state = self.state[param]
            state["step"] = int(state.get("step", 0)) + 1
            previous, step_size = kept(state, "prev", p), kept(state, "step_size", p, start=float(group["lr"]))
            s, d = self._scratch[p.shape, p.dtype]
            g = loss_gradient(p, g, 0, group["maximize"], out=d)
            np.multiply(g, previous, out=s)
            turned = s < 0
            np.multiply(step_size, shrink, out=step_size, where=turned)
            np.multiply(step_size, grow, out=step_size, where=s > 0)
            np.clip(step_size, least, largest, out=step_size)
            np.copyto(previous, g)
            np.copyto(previous, 0, where=turned)
            np.sign(previous, out=s)
            s *= step_size
            p -= s
