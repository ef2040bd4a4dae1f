"""Optimizers that give each weight a learning rate of its own, by the gradients it has seen."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Group, Optimizer, Ready, check_options, kept, loss_gradient


def average(mean: np.ndarray, decay: float, value: np.ndarray, out: np.ndarray) -> None:
    """An exponential moving average, in place: mean ← decay·mean + (1 − decay)·value; `out` is to compute in."""
    mean *= decay
    mean += np.multiply(value, 1 - decay, out=out)


def check_betas(optimizer: str, betas: tuple[float, float]) -> None:
    """Refuse decays of the two running means that do not decay."""
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"{optimizer}(): betas must be two numbers of [0, 1), got {betas}")


class Adagrad(Optimizer):
    """p ← p − lr_t·g / (√(Σ g²) + eps), with lr_t = lr / (1 + (t − 1)·lr_decay) at step t.

    initial_accumulator_value: what the sum of squares starts from. weight_decay: λ adds λ·p to g. maximize: ascend.
    foreach, fused: accepted, without effect.

    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization", 2011.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
                 initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
                 maximize: bool = False, differentiable: bool = False, fused: bool | None = None) -> None:
        check_options("Adagrad", differentiable, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps,
                      initial_accumulator_value=initial_accumulator_value)
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
                                  "initial_accumulator_value": initial_accumulator_value, "maximize": maximize})

    @np.errstate(all="ignore")
    def _update(self, ready: Ready, group: Group) -> None:
        for param, p, g in ready:
            state = self.state[param]
            t = state["step"] = int(state.get("step", 0)) + 1
            total = kept(state, "sum", p, start=group["initial_accumulator_value"])
            s, d = self._scratch[p.shape, p.dtype]
            g = loss_gradient(p, g, group["weight_decay"], group["maximize"], out=d)
            total += np.multiply(g, g, out=s)
            np.sqrt(total, out=s)
            s += group["eps"]
            np.divide(g, s, out=s)
            s *= float(group["lr"]) / (1 + (t - 1) * group["lr_decay"])
            p -= s


class RMSprop(Optimizer):
    """p ← p − lr·g / (√v + eps), where v ← α·v + (1 − α)·g² is the mean of the latest squares.

    centered: v is less the square of the mean gradient, an estimate of the variance.
    momentum: μ > 0 moves p by lr·b instead, with b ← μ·b + g / (√v + eps).
    weight_decay: λ adds λ·p to g. maximize: ascend. foreach, capturable: accepted, without effect.

    Hinton, "Neural networks for machine learning", lecture 6, 2012; centered: Graves, "Generating sequences with
    recurrent neural networks", 2013.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
                 weight_decay: float = 0, momentum: float = 0, centered: bool = False, capturable: bool = False,
                 foreach: bool | None = None, maximize: bool = False, differentiable: bool = False) -> None:
        check_options("RMSprop", differentiable, lr=lr, alpha=alpha, eps=eps, momentum=momentum,
                      weight_decay=weight_decay)
        super().__init__(params, {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
                                  "weight_decay": weight_decay, "maximize": maximize})

    @np.errstate(all="ignore")
    def _update(self, ready: Ready, group: Group) -> None:
        lr, alpha, momentum = float(group["lr"]), group["alpha"], group["momentum"]
        for param, p, g in ready:
            state = self.state[param]
            state["step"] = int(state.get("step", 0)) + 1
            v = kept(state, "square_avg", p)
            s, d = self._scratch[p.shape, p.dtype]
            g = loss_gradient(p, g, group["weight_decay"], group["maximize"], out=d)
            average(v, alpha, np.multiply(g, g, out=s), out=s)
            if group["centered"]:
                mean = kept(state, "grad_avg", p)
                average(mean, alpha, g, out=s)
                np.multiply(mean, mean, out=s)
                np.subtract(v, s, out=s)
                np.sqrt(s, out=s)
            else:
                np.sqrt(v, out=s)
            s += group["eps"]
            np.divide(g, s, out=s)
            if momentum > 0:
                b = kept(state, "momentum_buffer", p)
                b *= momentum
                b += s
                np.multiply(b, lr, out=s)
            else:
                s *= lr
            p -= s


class Adadelta(Optimizer):
    """p ← p − lr·Δ with Δ = g·√(u + eps) / √(v + eps), where v ← ρ·v + (1 − ρ)·g² and, after it, u ← ρ·u + (1 − ρ)·Δ²
    are the means of the latest squares of gradients and of steps: so a step has the units of the parameter.

    weight_decay: λ adds λ·p to g. maximize: ascend. foreach, capturable: accepted, without effect.

    Zeiler, "ADADELTA: an adaptive learning rate method", 2012.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6,
                 weight_decay: float = 0, foreach: bool | None = None, *, capturable: bool = False,
                 maximize: bool = False, differentiable: bool = False) -> None:
        check_options("Adadelta", differentiable, lr=lr, eps=eps, weight_decay=weight_decay)
        if not 0 <= rho <= 1:
            raise ValueError(f"Adadelta(): rho must lie between 0 and 1, got {rho}")
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay,
                                  "maximize": maximize})

    @np.errstate(all="ignore")
    def _update(self, ready: Ready, group: Group) -> None:
        lr, rho, eps = float(group["lr"]), group["rho"], group["eps"]
        for param, p, g in ready:
            state = self.state[param]
            state["step"] = int(state.get("step", 0)) + 1
            v, u = kept(state, "square_avg", p), kept(state, "acc_delta", p)
            s, d = self._scratch[p.shape, p.dtype]
            g = loss_gradient(p, g, group["weight_decay"], group["maximize"], out=d)
            average(v, rho, np.multiply(g, g, out=s), out=s)
            np.add(v, eps, out=s)
            np.sqrt(s, out=s)
            np.divide(g, s, out=s)
            np.add(u, eps, out=d)  # the gradient, which may have been there, is in s
            np.sqrt(d, out=d)
            s *= d
            average(u, rho, np.multiply(s, s, out=d), out=d)
            s *= lr
            p -= s


class Adam(Optimizer):
    """p ← p − lr·m̂ / (√v̂ + eps), by the running means of the gradient and of its square:
    m ← β₁·m + (1 − β₁)·g and v ← β₂·v + (1 − β₂)·g².

    m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ) undo at step t that the means start from zero.
    amsgrad: the largest v so far takes the place of v. maximize: ascend.
    weight_decay: λ adds λ·p to g; or, with `decoupled_weight_decay`, p shrinks by the factor 1 − lr·λ before the step.
    foreach, capturable, fused: accepted, without effect.

    Kingma and Ba, "Adam: a method for stochastic optimization", 2015; amsgrad: Reddi, Kale and Kumar, "On the
    convergence of Adam and beyond", 2018.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None,
                 maximize: bool = False, capturable: bool = False, differentiable: bool = False,
                 fused: bool | None = None, decoupled_weight_decay: bool = False) -> None:
        check_options(type(self).__name__, differentiable, lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(type(self).__name__, betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "amsgrad": amsgrad, "maximize": maximize,
                                  "decoupled_weight_decay": decoupled_weight_decay})

    @np.errstate(all="ignore")
    def _update(self, ready: Ready, group: Group) -> None:
        lr, (beta1, beta2), weight_decay = float(group["lr"]), group["betas"], group["weight_decay"]
        decoupled = group["decoupled_weight_decay"]
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
            if group["amsgrad"]:
                largest = kept(state, "max_exp_avg_sq", p)
                v = np.maximum(largest, v, out=largest)
            # lr·m̂ / (√v̂ + eps), the bias corrections gathered in two numbers: fewer passes over the arrays
            correction1, correction2 = 1 - beta1**t, math.sqrt(1 - beta2**t)
            np.sqrt(v, out=s)
            s += group["eps"] * correction2
            np.divide(m, s, out=s)
            s *= lr * correction2 / correction1
            p -= s


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: p ← (1 − lr·weight_decay)·p before each step.

    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, capturable: bool = False, differentiable: bool = False,
                 fused: bool | None = None) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize,
                         differentiable=differentiable, decoupled_weight_decay=True)
