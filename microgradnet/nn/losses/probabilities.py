"""Losses of probabilities and of the parameters of distributions: how unlikely they make what was observed."""

from __future__ import annotations

import math

import numpy as np

from ... import ops
from ...callers import warn
from ...graph import Op
from ...recording import asked, no_grad
from ...tensor import Tensor, describe
from ..module import Module
from .common import Loss, WeightedLoss, check_same_shape, legacy_reduction, reduced, warn_if_broadcast


def _check_probabilities(name: str, input: Tensor, target: Tensor) -> None:
    check_same_shape(name, input, target)
    if not target.is_floating_point():
        raise TypeError(f"{name}(): target {describe(target)} must hold probabilities; call target.to(input.dtype)")


def _log_loss(a, y, /):
    if a.size and not (a.real.min() >= 0 and a.real.max() <= 1):
        raise ValueError(f"all elements of input should be between 0 and 1, got {a.min()} to {a.max()}; for logits use "
                         "binary_cross_entropy_with_logits")
    with np.errstate(divide="ignore"):
        return -(y * np.maximum(np.log(a), -100) + (1 - y) * np.maximum(np.log1p(-a), -100))


# As in PyTorch, a saturated output has a finite loss, its logarithms held at -100, and a finite gradient.
_binary_cross_entropy = Op(
    "binary_cross_entropy", _log_loss,
    lambda g, _loss, a, y: g * ((a - y) / ops.maximum(a * (1 - a), 1e-12)),
    lambda g, _loss, a, _y: g * (ops.clamp(ops.log1p(-a), -100) - ops.clamp(ops.log(a), -100)),
    promotes=True, doc="-(y log a + (1 - y) log(1 - a)) for a in [0, 1], the logarithms at least -100.",
)


def binary_cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
                         reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """-(y log x + (1 - y) log(1 - x)) for probabilities x, the logarithms held at -100; `weight` broadcasts."""
    _check_probabilities("binary_cross_entropy", input, target)
    losses = _binary_cross_entropy(input, target)
    return reduced(losses if weight is None else losses * weight, legacy_reduction(size_average, reduce, reduction))


def _log_loss_of_logits(z, y, /):
    with np.errstate(invalid="ignore"):  # inf - inf
        return np.maximum(z, 0) - z * y + np.log1p(np.exp(np.minimum(z, -z)))


_logistic_loss = Op(
    "binary_cross_entropy_with_logits", _log_loss_of_logits,
    lambda g, _loss, z, y: g * (ops.sigmoid(z) - y),  # the error a - y: σ'(z) has cancelled
    lambda g, _loss, z, _y: -g * z,
    promotes=True, doc="-(y log σ(z) + (1 - y) log(1 - σ(z))), without overflow and exact for large |z|.",
)


def binary_cross_entropy_with_logits(input: Tensor, target: Tensor, weight: Tensor | None = None,
                                     size_average: bool | None = None, reduce: bool | None = None,
                                     reduction: str = "mean", pos_weight: Tensor | None = None) -> Tensor:
    """`binary_cross_entropy` of sigmoid(z), exact for large logits z; `weight` broadcasts, and so does `pos_weight`, a
    factor of the positive term."""
    _check_probabilities("binary_cross_entropy_with_logits", input, target)
    if pos_weight is None:
        losses = _logistic_loss(input, target)
    else:  # -log σ(z) = log(1 + e⁻ᶻ), the softplus of -z; and 1 - σ(z) = σ(-z)
        losses = pos_weight * target * _softplus(-input) + (1 - target) * _softplus(input)
    return reduced(losses if weight is None else losses * weight, legacy_reduction(size_average, reduce, reduction))


def _softplus(z: Tensor) -> Tensor:
    return ops.softplus(z, threshold=math.inf)


def kl_div(input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
           reduction: str = "mean", log_target: bool = False) -> Tensor:
    """y (log y - x), the divergence from log-probabilities x of probabilities y (of their logarithms with log_target).

    'batchmean', the sum over the batch size, is the divergence itself; 'mean' averages over the classes as well.
    """
    warn_if_broadcast("kl_div", input, target)
    reduction = legacy_reduction(size_average, reduce, reduction)
    if log_target:
        losses = ops.exp(target) * (target - input)
    else:
        losses = target * (ops.log(ops.where(target == 0, 1.0, target)) - input)  # 0 log 0 = 0
    if reduction == "batchmean":
        return ops.sum(losses) / (input.shape[0] if input.ndim else 1)
    if reduction == "mean":
        warn("kl_div(): 'mean' averages over the classes too; the divergence is 'batchmean'")
    return reduced(losses, reduction)


def gaussian_nll_loss(input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6,
                      reduction: str = "mean") -> Tensor:
    """½ (log v + (x - y)² / v) for a normal distribution of mean x and variance v = max(var, eps).

    var: a number, or of input's shape, which may lack the last dimension or have 1 where input has more.
    full: add the constant ½ log 2π.
    """
    name = "gaussian_nll_loss"
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{name}(): reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    if not isinstance(var, Tensor):
        var = Tensor(np.full(input.shape, var, input.dtype))
    if var.shape != input.shape:
        if var.shape == input.shape[:-1]:
            var = var.unsqueeze(-1)
        elif var.ndim != input.ndim or any(v not in (1, n) for v, n in zip(var.shape, input.shape)):
            raise ValueError(f"{name}(): var is of incorrect size: {describe(var)} for input {describe(input)}")
    if asked((var < 0).any()):
        raise ValueError(f"{name}(): var has negative entries, and a variance has none")
    with no_grad():  # as in PyTorch, a variance that eps replaces keeps its own derivative
        missing = ops.clamp(var, min=eps) - var
    var = var + missing
    losses = 0.5 * (ops.log(var) + ops.square(input - target) / var)
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool = True, full: bool = False,
                     size_average: bool | None = None, eps: float = 1e-8, reduce: bool | None = None,
                     reduction: str = "mean") -> Tensor:
    """x - y log(x + eps) for counts y and their expectation x; with log_input eˣ - y x, its logarithm x.

    full: add Stirling's y log y - y + ½ log(2π y), in place of log y!, for y > 1.
    """
    losses = ops.exp(input) - target * input if log_input else input - target * ops.log(input + eps)
    if full:
        more = ops.where(target > 1, target, 1)
        stirling = target * ops.log(more) - target + 0.5 * ops.log(2 * math.pi * more)
        losses = losses + ops.where(target > 1, stirling, 0.0)
    return reduced(losses, legacy_reduction(size_average, reduce, reduction))


# --- as modules -----------------------------------------------------------------------------------------------------


class BCELoss(WeightedLoss):
    """See `binary_cross_entropy`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(WeightedLoss):
    """See `binary_cross_entropy_with_logits`."""

    pos_weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, size_average: bool | None = None, reduce: bool | None = None,
                 reduction: str = "mean", pos_weight: Tensor | None = None) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(input, target, self.weight, reduction=self.reduction,
                                                pos_weight=self.pos_weight)


class KLDivLoss(Loss):
    """See `kl_div`."""

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
                 log_target: bool = False) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class GaussianNLLLoss(Module):
    """See `gaussian_nll_loss`."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__()
        self.full, self.eps, self.reduction = full, eps, reduction

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        return gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class PoissonNLLLoss(Loss):
    """See `poisson_nll_loss`."""

    def __init__(self, log_input: bool = True, full: bool = False, size_average: bool | None = None, eps: float = 1e-8,
                 reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        return poisson_nll_loss(log_input, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction)
