"""Losses of logits or log-probabilities whose targets are classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import ops
from ...callers import warn
from ...graph import Op, ShapeError
from ...ops import loss as fused
from ...recording import is_capturing
from ...tensor import Tensor, describe
from .common import WeightedLoss, check_tensors, legacy_reduction, reduced


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
    check_tensors(name, input, target)
    reduction = legacy_reduction(size_average, reduce, reduction)
    if weight is None and not label_smoothing:
        everyday = _everyday_loss(fused.cross_entropy, input, target, ignore_index, reduction)
        if everyday is not None:
            return everyday
    dim = _class_dim(name, input, weight)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy(): label_smoothing must be between 0 and 1, got {label_smoothing}")
    if input.shape != target.shape:
        log_p = ops.log_softmax(input, dim=dim)
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
    return reduced(losses, reduction)


def linear_cross_entropy(input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None,
                         weight: Tensor | None = None, reduction: str = "mean", ignore_index: int | None = None,
                         label_smoothing: float = 0.0, options: Any = None) -> Tensor:
    """`cross_entropy` of a linear layer's logits: input (N, in) or (in,), linear_weight (C, in) or (C, d1, …, in).

    options: how PyTorch saves memory; accepted, without effect.
    """
    logits = ops.linear(input, linear_weight.reshape(-1, linear_weight.shape[-1]),
                        None if linear_bias is None else linear_bias.reshape(-1))
    return cross_entropy(logits.reshape(*input.shape[:-1], *linear_weight.shape[:-1]), target, weight,
                         ignore_index=-100 if ignore_index is None else ignore_index, reduction=reduction,
                         label_smoothing=label_smoothing)


def nll_loss(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
             ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """-input[target] for log-probabilities as of log_softmax and labels; the arguments are those of `cross_entropy`."""
    check_tensors("nll_loss", input, target)
    reduction = legacy_reduction(size_average, reduce, reduction)
    dim = _class_dim("nll_loss", input, weight)
    everyday = None if weight is not None else _everyday_loss(fused.nll, input, target, ignore_index, reduction)
    if everyday is not None:
        return everyday
    _check_labels("nll_loss", input, target, dim, ignore_index)
    return _label_loss(input, target, weight, ignore_index, reduction)


def _everyday_loss(loss: Op, input: Tensor, target: Tensor, ignore_index: int, reduction: str) -> Tensor | None:
    """By a fused operation where it serves: a label for each row of (N, C), none ignored, averaged or summed.

    Else None."""
    labels, logits = target._data, input._data
    if not (logits.ndim == 2 and labels.shape == logits.shape[:1] and labels.dtype.kind in "iu" and labels.size
            and logits.dtype.kind == "f" and ignore_index < 0 and reduction in ("mean", "sum")):
        return None
    try:
        return loss(input, target, scale=1 / labels.size if reduction == "mean" else 1.0)
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
    return reduced(ops.where(kept, losses, 0.0), reduction, weights)


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
    labels, classes = target._data, input.shape[dim]
    if labels.shape != _label_shape(input, dim):
        other = f", class probabilities {tuple(input.shape)}" if name == "cross_entropy" else ""
        raise ShapeError(f"{name}(): target {describe(target)} does not fit input {describe(input)}: labels have shape "
                         f"{_label_shape(input, dim)}{other}")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}(): target {describe(target)} must hold labels, whole numbers; call target.long()")
    if not is_capturing() and labels.size and not 0 <= labels.min() <= labels.max() < classes:
        wrong = ((labels < 0) | (labels >= classes)) & (labels != ignore_index)
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise IndexError(
                f"{name}(): label {labels[place]} at target{list(place) if place else ''} is out of range: there are "
                f"{classes} classes, 0 to {classes - 1} (only ignore_index={ignore_index} may lie beyond)"
            )


# --- as modules -----------------------------------------------------------------------------------------------------


class CrossEntropyLoss(WeightedLoss):
    """See `cross_entropy`."""

    def __init__(self, weight: Tensor | None = None, size_average: bool | None = None, ignore_index: int = -100,
                 reduce: bool | None = None, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction,
                             label_smoothing=self.label_smoothing)


class NLLLoss(WeightedLoss):
    """See `nll_loss`."""

    def __init__(self, weight: Tensor | None = None, size_average: bool | None = None, ignore_index: int = -100,
                 reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class NLLLoss2d(NLLLoss):
    """`NLLLoss` under an older, deprecated name."""

    def __init__(self, weight: Tensor | None = None, size_average: bool | None = None, ignore_index: int = -100,
                 reduce: bool | None = None, reduction: str = "mean") -> None:
        warn("NLLLoss2d is deprecated, use NLLLoss", FutureWarning)
        super().__init__(weight, size_average, ignore_index, reduce, reduction)
