"""The losses, as functions and as modules, written as they are defined."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from .. import ops
from ..graph import Op, ShapeError
from ..ops import loss as fused
from ..tensor import Tensor, describe
from .module import Module

# --- reductions and checks ------------------------------------------------------------------------------------------


def legacy_reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """`reduction`, or what PyTorch's older arguments meant by it."""
    if size_average is None and reduce is None:
        return reduction
    reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
    warnings.warn(f"size_average and reduce are deprecated, use reduction='{reduction}' instead", stacklevel=4)
    return reduction


def _reduced(losses: Tensor, reduction: str, weights: Tensor | None = None) -> Tensor:
    """The losses, their sum, or their mean: over the sum of `weights`, where the losses have been weighted by these."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return ops.sum(losses)
    if reduction == "mean":
        return ops.mean(losses) if weights is None else ops.sum(losses) / ops.sum(weights)
    raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")


def _pointwise(losses: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """Reduced with a weight for each element."""
    if weight is None:
        return _reduced(losses, reduction)
    if weight.shape != losses.shape:
        raise ShapeError(f"weight {describe(weight)} must have the shape of the losses {describe(losses)}")
    return _reduced(losses * weight, reduction, weight)


def _check_tensors(name: str, input: Any, target: Any) -> None:
    for role, value in (("input", input), ("target", target)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{name}(): {role} must be a Tensor, got {type(value).__name__}; use tensor()")


def _warn_if_broadcast(name: str, input: Tensor, target: Tensor) -> None:
    _check_tensors(name, input, target)
    if input._data.shape != target._data.shape:
        warnings.warn(
            f"{name}(): target {describe(target)} differs in shape from input {describe(input)}, and broadcasting is "
            "rarely what a loss should do; bring them to one shape, for example by unsqueeze(-1) or squeeze(-1)",
            stacklevel=3,
        )


def _check_same_shape(name: str, input: Tensor, target: Tensor) -> None:
    _check_tensors(name, input, target)
    if input._data.shape != target._data.shape:
        raise ShapeError(f"{name}(): target {describe(target)} must have the shape of input {describe(input)}")


def _check_probabilities(name: str, input: Tensor, target: Tensor) -> None:
    _check_same_shape(name, input, target)
    if not target.is_floating_point():
        raise TypeError(f"{name}(): target {describe(target)} must hold probabilities; call target.to(input.dtype)")


# --- distances ------------------------------------------------------------------------------------------------------


def mse_loss(input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
             reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """(x - y)², averaged over all elements; the book's cost, `quadratic_loss`, averages over examples."""
    _warn_if_broadcast("mse_loss", input, target)
    if weight is None and size_average is None and reduce is None and _may_fuse(input, target, reduction):
        return fused.squared_distance(input, target, scale=1 / input.numel() if reduction == "mean" else 1.0)
    return _pointwise(ops.square(input - target), weight, legacy_reduction(size_average, reduce, reduction))


def quadratic_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """The book's quadratic cost C = 1/n Σₓ ½‖a - y‖²: summed over the last dimension, averaged over examples."""
    _check_same_shape("quadratic_loss", input, target)
    array = input._data
    if array.size and array.ndim and reduction in ("mean", "sum"):
        scale = 0.5 * array.shape[-1] / array.size if reduction == "mean" else 0.5
        return fused.squared_distance(input, target, scale=scale)
    return _reduced(0.5 * ops.sum(ops.square(input - target), dim=-1), reduction)


def _may_fuse(input: Tensor, target: Tensor, reduction: str) -> bool:
    """Whether `fused.squared_distance` can serve: two arrays of one shape, one number out."""
    return input._data.shape == target._data.shape and reduction in ("mean", "sum") and input._data.size > 0


def l1_loss(input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
            reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """|x - y|"""
    _warn_if_broadcast("l1_loss", input, target)
    return _pointwise(ops.abs(input - target), weight, legacy_reduction(size_average, reduce, reduction))


def smooth_l1_loss(input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
                   reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """½ d² / beta for d = |x - y| < beta, d - ½ beta elsewhere."""
    _warn_if_broadcast("smooth_l1_loss", input, target)
    if beta < 0:
        raise ValueError(f"smooth_l1_loss() does not support negative values for beta, got {beta}")
    d = ops.abs(input - target)
    losses = ops.where(d < beta, (0.5 / beta) * ops.square(d), d - 0.5 * beta) if beta else d
    return _reduced(losses, legacy_reduction(size_average, reduce, reduction))


def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0,
               weight: Tensor | None = None) -> Tensor:
    """½ d² for d = |x - y| < delta, delta (d - ½ delta) elsewhere."""
    _warn_if_broadcast("huber_loss", input, target)
    if delta <= 0:
        raise ValueError(f"huber_loss() does not support non-positive values for delta, got {delta}")
    d = ops.abs(input - target)
    return _pointwise(ops.where(d < delta, 0.5 * ops.square(d), delta * (d - 0.5 * delta)), weight, reduction)


# --- classes --------------------------------------------------------------------------------------------------------


def cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
                  ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
                  label_smoothing: float = 0.0) -> Tensor:
    """-log softmax(input)[target]: the cross-entropy of logits with class labels, or with class probabilities.

    input: logits (C,), (N, C) or (N, C, d1, …).
    target: whole numbers, the labels, in the shape of input without C; or probabilities in the shape of input.
    weight: (C,), of each class; with labels the mean is over the sum of their weights.
    ignore_index: a label that counts for nothing.
    label_smoothing: the share of the target that goes to all classes evenly.
    """
    name = "cross_entropy"
    _check_tensors(name, input, target)
    reduction = legacy_reduction(size_average, reduce, reduction)
    dim = _class_dim(name, input, weight)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy(): label_smoothing must be between 0 and 1, got {label_smoothing}")
    if input.shape != target.shape:
        log_p = ops.log_softmax(input, dim=dim)
        if weight is None and not label_smoothing:
            everyday = _everyday_loss(log_p, target, ignore_index, reduction)
            if everyday is not None:
                return everyday
        _check_labels(name, input, target, dim, ignore_index)
        return _label_loss(log_p, target, weight, ignore_index, reduction, label_smoothing)
    if not target.is_floating_point():
        raise TypeError(f"cross_entropy(): target {describe(target)} has the shape of class probabilities and must be "
                        f"floating; labels would have shape {_label_shape(input, dim)}")
    log_p = ops.log_softmax(input, dim=dim)
    if label_smoothing:
        target = (1 - label_smoothing) * target + label_smoothing / input.shape[dim]
    if weight is not None:
        target = target * _per_class(weight, input)
    losses = -ops.sum(target * log_p, dim=dim)
    return _reduced(losses, reduction)


def nll_loss(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
             ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """-input[target] for log-probabilities as of log_softmax and labels; the arguments are those of `cross_entropy`."""
    _check_tensors("nll_loss", input, target)
    reduction = legacy_reduction(size_average, reduce, reduction)
    dim = _class_dim("nll_loss", input, weight)
    everyday = None if weight is not None else _everyday_loss(input, target, ignore_index, reduction)
    if everyday is not None:
        return everyday
    _check_labels("nll_loss", input, target, dim, ignore_index)
    return _label_loss(input, target, weight, ignore_index, reduction)


def _everyday_loss(log_p: Tensor, target: Tensor, ignore_index: int, reduction: str) -> Tensor | None:
    """By `fused.nll` where it serves: a label for each row of (N, C), none ignored, averaged or summed. Else None."""
    labels, shape = target._data, log_p._data.shape
    if not (len(shape) == 2 and labels.shape == shape[:1] and labels.dtype.kind in "iu" and labels.size
            and ignore_index < 0 and reduction in ("mean", "sum")):
        return None
    try:
        return fused.nll(log_p, target, scale=1 / labels.size if reduction == "mean" else 1.0)
    except IndexError:
        return None  # a label that is to be ignored, or a wrong one: the full form tells


def _label_loss(log_p: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str,
                label_smoothing: float = 0.0) -> Tensor:
    dim = min(log_p.ndim - 1, 1)
    kept = target != ignore_index
    labels = ops.where(kept, target, 0).long()
    weights = kept.to(log_p.dtype) if weight is None else ops.where(kept, weight[labels], 0.0)
    losses = -weights * ops.gather(log_p, dim, labels.unsqueeze(dim)).squeeze(dim)
    if label_smoothing:
        even = ops.mean(log_p if weight is None else log_p * _per_class(weight, log_p), dim=dim)
        losses = (1 - label_smoothing) * losses - label_smoothing * even
    return _reduced(ops.where(kept, losses, 0.0), reduction, weights)


def _class_dim(name: str, input: Tensor, weight: Tensor | None) -> int:
    """Where the classes are; an error where there is no such dimension, or no weight for each."""
    if not input.is_floating_point():
        raise TypeError(f"{name}(): input {describe(input)} must be of a floating dtype; call .float()")
    if input.ndim == 0:
        raise ShapeError(f"{name}(): input must have shape (C,), (N, C) or (N, C, d1, …), got {describe(input)}")
    dim = min(input.ndim - 1, 1)
    if weight is not None and tuple(weight.shape) != (input.shape[dim],):
        raise ShapeError(f"{name}(): weight {describe(weight)} must have one entry per class, so {input.shape[dim]}")
    return dim


def _per_class(weight: Tensor, input: Tensor) -> Tensor:
    """Class weights in a shape that broadcasts against the input."""
    return weight.reshape(-1, *(1,) * (input.ndim - 2))


def _label_shape(input: Tensor, dim: int) -> tuple[int, ...]:
    return tuple(input.shape[:dim] + input.shape[dim + 1 :])


def _check_labels(name: str, input: Tensor, target: Tensor, dim: int, ignore_index: int) -> None:
    labels, classes = target.array, input.shape[dim]
    if labels.shape != _label_shape(input, dim):
        other = f", class probabilities {tuple(input.shape)}" if name == "cross_entropy" else ""
        raise ShapeError(f"{name}(): target {describe(target)} does not fit input {describe(input)}: labels have shape "
                         f"{_label_shape(input, dim)}{other}")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}(): target {describe(target)} must hold labels, whole numbers; call target.long()")
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        wrong = ((labels < 0) | (labels >= classes)) & (labels != ignore_index)
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise IndexError(
                f"{name}(): label {labels[place]} at target{list(place) if place else ''} is out of range: there are "
                f"{classes} classes, 0 to {classes - 1} (only ignore_index={ignore_index} may lie beyond)"
            )


# --- probabilities --------------------------------------------------------------------------------------------------


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
    return _reduced(losses if weight is None else losses * weight, legacy_reduction(size_average, reduce, reduction))


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
    return _reduced(losses if weight is None else losses * weight, legacy_reduction(size_average, reduce, reduction))


def _softplus(z: Tensor) -> Tensor:
    return ops.softplus(z, threshold=math.inf)


def kl_div(input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
           reduction: str = "mean", log_target: bool = False) -> Tensor:
    """y (log y - x), the divergence from log-probabilities x of probabilities y (of their logarithms with log_target).

    'batchmean', the sum over the batch size, is the divergence itself; 'mean' averages over the classes as well.
    """
    _warn_if_broadcast("kl_div", input, target)
    reduction = legacy_reduction(size_average, reduce, reduction)
    if log_target:
        losses = ops.exp(target) * (target - input)
    else:
        losses = target * (ops.log(ops.where(target == 0, 1.0, target)) - input)  # 0 log 0 = 0
    if reduction == "batchmean":
        return ops.sum(losses) / (input.shape[0] if input.ndim else 1)
    if reduction == "mean":
        warnings.warn("kl_div(): 'mean' averages over the classes too; the divergence is 'batchmean'", stacklevel=2)
    return _reduced(losses, reduction)


# --- as modules -----------------------------------------------------------------------------------------------------


class _Loss(Module):
    """A loss whose deprecated arguments decide the reduction where they are given."""

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = legacy_reduction(size_average, reduce, reduction)


class _WeightedLoss(_Loss):
    """A loss with a buffer `weight`, or None."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, size_average: bool | None = None, reduce: bool | None = None,
                 reduction: str = "mean") -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class MSELoss(_Loss):
    """See `mse_loss`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return mse_loss(input, target, reduction=self.reduction)


class QuadraticLoss(Module):
    """See `quadratic_loss`."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return quadratic_loss(input, target, self.reduction)


class L1Loss(_Loss):
    """See `l1_loss`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """See `smooth_l1_loss`."""

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
                 beta: float = 1.0) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Module):
    """See `huber_loss`."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__()
        self.reduction, self.delta = reduction, delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return huber_loss(input, target, self.reduction, self.delta)


class CrossEntropyLoss(_WeightedLoss):
    """See `cross_entropy`."""

    def __init__(self, weight: Tensor | None = None, size_average: bool | None = None, ignore_index: int = -100,
                 reduce: bool | None = None, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction,
                             label_smoothing=self.label_smoothing)


class NLLLoss(_WeightedLoss):
    """See `nll_loss`."""

    def __init__(self, weight: Tensor | None = None, size_average: bool | None = None, ignore_index: int = -100,
                 reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class BCELoss(_WeightedLoss):
    """See `binary_cross_entropy`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """See `binary_cross_entropy_with_logits`."""

    pos_weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, size_average: bool | None = None, reduce: bool | None = None,
                 reduction: str = "mean", pos_weight: Tensor | None = None) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(input, target, self.weight, reduction=self.reduction,
                                                pos_weight=self.pos_weight)


class KLDivLoss(_Loss):
    """See `kl_div`."""

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
                 log_target: bool = False) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return kl_div(input, target, reduction=self.reduction, log_target=self.log_target)
