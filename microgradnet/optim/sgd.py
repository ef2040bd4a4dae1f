"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..graph import SMALL
from .optimizer import Group, Optimizer, Ready, check_options, kept, loss_gradient


class SGD(Optimizer):
    """p ← p − lr·d, where d is the gradient g or, with momentum μ, the velocity v ← μ·v + (1 − dampening)·g.

    weight_decay: λ adds λ·p to g, the gradient of ½ λ ‖p‖², for every parameter of the group, biases too; leave them
        out by a group of their own with weight_decay 0.
    nesterov: d = g + μ·v. maximize: ascend. The first velocity is g itself, undampened.
    foreach, fused: accepted, without effect.

    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Sutskever et al., "On the
    importance of initialization and momentum in deep learning", 2013, whose formula has lr inside v.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, momentum: float = 0, dampening: float = 0,
                 weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, differentiable: bool = False, fused: bool | None = None) -> None:
        check_options("SGD", differentiable, lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(f"SGD(): nesterov needs momentum above 0 and no dampening, got {momentum=}, {dampening=}")
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
                                  "nesterov": nesterov, "maximize": maximize})

    def _update(self, ready: Ready, group: Group) -> None:
        if group["momentum"]:
            self._update_with_momentum(ready, group)
            return
        lr, weight_decay = float(group["lr"]), group["weight_decay"]
        rate = -lr if group["maximize"] else lr
        dtype = None
        for _, p, g in ready:
            if p.dtype is not dtype:  # as a 0-d array, because NumPy is slower with Python's numbers
                dtype = p.dtype
                factor = np.array(rate, dtype)
            if weight_decay:
                p *= 1 - lr * weight_decay
            p -= g * factor if p.size < SMALL else np.multiply(g, factor, out=self._scratch[p.shape, dtype][0])

    def _update_with_momentum(self, ready: Ready, group: Group) -> None:
        lr, momentum, weight_decay = float(group["lr"]), group["momentum"], group["weight_decay"]
        for param, p, g in ready:
            state = self.state[param]
            share = 1 - group["dampening"] if "momentum_buffer" in state else 1
            v = kept(state, "momentum_buffer", p)
            s, d = self._scratch[p.shape, p.dtype]
            g = loss_gradient(p, g, weight_decay, group["maximize"], out=d)
            v *= momentum
            v += g if share == 1 else np.multiply(g, share, out=s)
            if group["nesterov"]:
                np.multiply(v, momentum, out=s)
                s += g
                s *= lr
            else:
                np.multiply(v, lr, out=s)
            p -= s
