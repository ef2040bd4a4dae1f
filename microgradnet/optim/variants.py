"""Variants of Adam: another norm, Nesterov's momentum, a rectified start."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .adaptive import average, check_betas
from .optimizer import Group, Optimizer, Ready, check_options, kept, loss_gradient


class Adamax(Optimizer):
    """p ← p − lr / (1 − β₁ᵗ)·m / u: Adam by the largest gradient of late in place of the mean square,
    u ← max(β₂·u, |g| + eps), with m ← β₁·m + (1 − β₁)·g.

    weight_decay: λ adds λ·p to g. maximize: ascend. foreach, capturable: accepted, without effect.

    Kingma and Ba, "Adam: a method for stochastic optimization", 2015, section 7.1.
    """

    def __init__(self, params: Iterable[Any], lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False,
                 differentiable: bool = False, capturable: bool = False) -> None:
        check_options("Adamax", differentiable, lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas("Adamax", betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "maximize": maximize})

    @np.errstate(all="ignore")
    def _update(self, ready: Ready, group: Group) -> None:
        lr, (beta1, beta2) = float(group["lr"]), group["betas"]
        for param, p, g in ready:
            state = self.state[param]
            t = state["step"] = int(state.get("step", 0)) + 1
            m, u = kept(state, "exp_avg", p), kept(state, "exp_inf", p)
            s, d = self._scratch[p.shape, p.dtype]
            g = loss_gradient(p, g, group["weight_decay"], group["maximize"], out=d)
            average(m, beta1, g, out=s)
            np.abs(g, out=s)
            s += group["eps"]
            u *= beta2
            np.maximum(u, s, out=u)
            np.divide(m, u, out=s)
            s *= lr / (1 - beta1**t)
            p -= s


class NAdam(Optimizer):
    """p ← p − lr·n / (√v̂ + eps), with Adam's m and v̂ and a look ahead along the momentum,
    n = μₜ₊₁·m / (1 − μ₁⋯μₜ₊₁) + (1 − μₜ)·g / (1 − μ₁⋯μₜ).

    momentum_decay: ψ of the momentum's schedule μₜ = β₁·(1 − ½·0.96^(t·ψ)), which rises to β₁.
    weight_decay: λ adds λ·p to g; or, with `decoupled_weight_decay`, p shrinks by the factor 1 − lr·λ before the step.
    maximize: ascend. foreach, capturable: accepted, without effect.

    Dozat, "Incorporating Nesterov momentum into Adam", 2016.
    """

    def __init__(self, params: Iterable[Any], lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, momentum_decay: float = 4e-3,
                 decoupled_weight_decay: bool = False, *, foreach: bool | None = None, maximize: bool = False,
                 capturable: bool = False, differentiable: bool = False) -> None:
        check_options("NAdam", differentiable, lr=lr, eps=eps, weight_decay=weight_decay,
                      momentum_decay=momentum_decay)
        check_betas("NAdam", betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "momentum_decay": momentum_decay, "maximize": maximize,
                                  "decoupled_weight_decay": decoupled_weight_decay})

    @np.errstate(all="ignore")
    def _update(self, ready: Ready, group: Group) -> None:
        lr, (beta1, beta2), weight_decay = float(group["lr"]), group["betas"], group["weight_decay"]
        decoupled, psi = group["decoupled_weight_decay"], group["momentum_decay"]
        for param, p, g in ready:
            state = self.state[param]
            t = state["step"] = int(state.get("step", 0)) + 1
            m, v = kept(state, "exp_avg", p), kept(state, "exp_avg_sq", p)
            s, d = self._scratch[p.shape, p.dtype]
            if decoupled and weight_decay:
                p *= 1 - lr * weight_decay
            g = loss_gradient(p, g, 0 if decoupled else weight_decay, group["maximize"], out=d)
            average(m, beta1, g, out=s)
            average(v, beta2, np.multiply(g, g, out=s), out=s)
            mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (n * psi)) for n in (t, t + 1))
            product = state["mu_product"] = float(state.get("mu_product", 1.0)) * mu
            np.multiply(m, lr * mu_next / (1 - product * mu_next), out=s)
            s += np.multiply(g, lr * (1 - mu) / (1 - product), out=d)
            np.sqrt(v, out=d)
            d /= math.sqrt(1 - beta2**t)
            d += group["eps"]
            s /= d
            p -= s


class RAdam(Optimizer):
    """Adam, p ← p − lr·r·m̂ / (√v̂ + eps), rectified: r makes up for the variance of the step, which is large while v
    has seen few gradients; in the first steps it is not finite, and p ← p − lr·m̂.

    r = √((ρ − 4)(ρ − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρ)), where ρ∞ = 2 / (1 − β₂) − 1 and ρ = ρ∞ − 2t·β₂ᵗ / (1 − β₂ᵗ), the
    number of gradients that v averages, must be above 5. eps is added to √v, as in PyTorch.
    weight_decay: λ adds λ·p to g; or, with `decoupled_weight_decay`, p shrinks by the factor 1 − lr·λ before the step.
    maximize: ascend. foreach, capturable: accepted, without effect.

    Liu et al., "On the variance of the adaptive learning rate and beyond", 2020.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, decoupled_weight_decay: bool = False, *,
                 foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
                 differentiable: bool = False) -> None:
        check_options("RAdam", differentiable, lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas("RAdam", betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay})

    @np.errstate(all="ignore")
    def _update(self, ready: Ready, group: Group) -> None:
        lr, (beta1, beta2), weight_decay = float(group["lr"]), group["betas"], group["weight_decay"]
        decoupled = group["decoupled_weight_decay"]
        most = 2 / (1 - beta2) - 1
        for param, p, g in ready:
            state = self.state[param]
            t = state["step"] = int(state.get("step", 0)) + 1
            m, v = kept(state, "exp_avg", p), kept(state, "exp_avg_sq", p)
            s, d = self._scratch[p.shape, p.dtype]
            if decoupled and weight_decay:
                p *= 1 - lr * weight_decay
            g = loss_gradient(p, g, 0 if decoupled else weight_decay, group["maximize"], out=d)
            average(m, beta1, g, out=s)
            average(v, beta2, np.multiply(g, g, out=s), out=s)
            rate, correction2 = lr / (1 - beta1**t), 1 - beta2**t
            length = most - 2 * t * beta2**t / correction2
            if length > 5:
                rectified = (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)
                np.sqrt(v, out=s)
                s += group["eps"]
                np.divide(m, s, out=s)
                s *= rate * math.sqrt(rectified * correction2)
            else:
                np.multiply(m, rate, out=s)
            p -= s


class SparseAdam(Optimizer):
    """Adam for sparse gradients, which microgradnet does not have: an error that says so."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("SparseAdam() is for sparse gradients, and all gradients here are dense; use Adam()")
