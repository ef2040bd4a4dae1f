"""Losses that are 0 once something is right by a margin: of scores, of pairs, of triplets, of several labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ... import ops
from ...graph import ShapeError
from ...recording import asked
from ...tensor import Tensor, describe
from ..distance import PairwiseDistance, pairwise_distance
from ..module import Module
from .common import Loss, WeightedLoss, check_same_shape, legacy_reduction, reduced

# --- of scores ------------------------------------------------------------------------------------------------------


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, size_average: bool | None = None,
                         reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """x where the target is 1, max(0, margin - x) where it is -1, for distances x."""
    apart = ops.where(target != 1, ops.clamp(margin - input, min=0), 0.0)
    near = ops.where(target != -1, input, 0.0)
    return reduced(near + apart, legacy_reduction(size_average, reduce, reduction))


def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0,
                        size_average: bool | None = None, reduce: bool | None = None,
                        reduction: str = "mean") -> Tensor:
    """max(0, margin - y (x1 - x2)): x1 is to be the larger where y is 1, x2 where it is -1."""
    if not input1.ndim == input2.ndim == target.ndim:
        raise ShapeError(f"margin_ranking_loss(): inputs {describe(input1)} and {describe(input2)} and target "
                         f"{describe(target)} must have the same number of dimensions")
    losses = ops.clamp(margin - target * (input1 - input2), min=0)
    return reduced(losses, legacy_reduction(size_average, reduce, reduction))


def soft_margin_loss(input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
                     reduction: str = "mean") -> Tensor:
    """log(1 + e^(-y x)) for y = 1 or -1."""
    losses = ops.softplus(-target * input, threshold=float("inf"))
    return reduced(losses, legacy_reduction(size_average, reduce, reduction))


# --- of classes -----------------------------------------------------------------------------------------------------


def multi_margin_loss(input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
                      size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """w[y] Σ max(0, margin - x[y] + x[i])ᵖ / C over the classes i other than the label y.

    input (N, C) or (C,); target N labels; p: 1 or 2; weight (C,), of each class.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss(): only p == 1 and p == 2 are supported, got {p}")
    rows = _rows("multi_margin_loss", input)
    labels = target.reshape(-1)
    classes = rows.shape[1]
    if labels.shape != rows.shape[:1]:
        raise ShapeError(f"multi_margin_loss(): target {describe(target)} must hold a label for each example of input "
                         f"{describe(input)}")
    _check_labels("multi_margin_loss", target, 0, classes)
    if weight is not None and weight.ndim != 1:
        raise ValueError(f"multi_margin_loss(): weight {describe(weight)} must be one-dimensional")
    if weight is not None and weight.numel() != classes:
        raise ShapeError(f"multi_margin_loss(): weight {describe(weight)} must have {classes} elements, one per class")
    labels = labels.unsqueeze(1)
    short = ops.relu(margin - ops.gather(rows, 1, labels) + rows)
    short = short if p == 1 else short * short
    other = Tensor(np.arange(classes)) != labels
    losses = ops.sum(ops.where(other, short, 0.0), dim=1) / classes
    if weight is not None:
        losses = losses * weight[labels.squeeze(1)]
    return reduced(losses if input.ndim == 2 else losses.reshape(target.shape), reduction)


def multilabel_margin_loss(input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
                           reduction: str = "mean") -> Tensor:
    """Σ max(0, 1 - (x[y] - x[i])) / C over the labels y and the classes i that are none of them.

    input (N, C) or (C,); target of the same shape: the labels of each example, then -1.
    """
    check_same_shape("multilabel_margin_loss", input, target)
    rows = _rows("multilabel_margin_loss", input)
    _check_labels("multilabel_margin_loss", target, -1, rows.shape[1])
    labels = target.reshape(rows.shape)
    listed = ops.cumsum((labels < 0).long(), dim=1) == 0  # what follows the first -1 does not count
    labels = ops.where(listed, labels, 0)
    wanted = ops.scatter_add(0 * labels, 1, labels, listed.long()) > 0
    short = ops.relu(1 - ops.gather(rows, 1, labels).unsqueeze(2) + rows.unsqueeze(1))
    counts = listed.unsqueeze(2) & ops.logical_not(wanted).unsqueeze(1)
    losses = ops.sum(ops.where(counts, short, 0.0), dim=(1, 2)) / rows.shape[1]
    return reduced(losses.reshape(input.shape[:-1]), legacy_reduction(size_average, reduce, reduction))


def _rows(name: str, input: Tensor) -> Tensor:
    """(N, C), of which (C,) is one example, and () one of a single class."""
    if input.ndim > 2 or input.ndim and input.shape[-1] == 0:
        raise ShapeError(f"{name}(): input {describe(input)} must have shape (N, C) or (C,)")
    return input if input.ndim == 2 else input.reshape(1, -1)


def _check_labels(name: str, target: Tensor, low: int, classes: int) -> None:
    labels = target._data
    if labels.dtype.kind not in "iu":
        raise ShapeError(f"{name}(): target {describe(target)} must hold labels, whole numbers; call target.long()")
    if labels.size and asked(((target < low) | (target >= classes)).any()):
        raise ShapeError(f"{name}(): target out of range: labels from {labels.min()} to {labels.max()}, there are "
                         f"{classes} classes, 0 to {classes - 1}")


def multilabel_soft_margin_loss(input: Tensor, target: Tensor, weight: Tensor | None = None,
                                size_average: bool | None = None, reduce: bool | None = None,
                                reduction: str = "mean") -> Tensor:
    """-(y log σ(x) + (1 - y) log(1 - σ(x))) · weight, averaged over the classes, the last dimension."""
    softplus = ops.softplus(-input, threshold=float("inf"))  # -log σ(x), and x more is -log(1 - σ(x))
    losses = softplus + (1 - target) * input
    losses = losses if weight is None else losses * weight
    return reduced(ops.mean(losses, dim=-1), legacy_reduction(size_average, reduce, reduction))


# --- of vectors -----------------------------------------------------------------------------------------------------


def cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0,
                          size_average: bool | None = None, reduce: bool | None = None,
                          reduction: str = "mean") -> Tensor:
    """1 - cos(x1, x2) where the target is 1, max(0, cos(x1, x2) - margin) where it is -1.

    inputs (N, D) and target (N,), or (D,) and ().
    """
    if target.ndim > 1 or not input1.ndim == input2.ndim == target.ndim + 1:
        raise ShapeError(f"cosine_embedding_loss(): target {describe(target)} must have shape (N,) for inputs (N, D), "
                         f"() for (D,); got {describe(input1)} and {describe(input2)}")
    tiny = float(np.float32(1e-12))  # within the root, as in PyTorch: of zeros the cosine is 0
    product, square1, square2 = (ops.sum(a * b, dim=-1) for a, b in
                                 ((input1, input2), (input1, input1), (input2, input2)))
    cosine = product / ops.sqrt((square1 + tiny) * (square2 + tiny))
    apart = ops.where(target == -1, ops.clamp(cosine - margin, min=0), 0.0)
    losses = ops.where(target == 1, 1 - cosine, 0.0) + apart
    return reduced(losses, legacy_reduction(size_average, reduce, reduction))


def triplet_margin_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2,
                        eps: float = 1e-6, swap: bool = False, size_average: bool | None = None,
                        reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d the p-norm of the difference + eps.

    swap: where the positive is nearer to the negative than the anchor is, that distance counts.
    """
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=lambda a, b: pairwise_distance(a, b, p, eps), margin=margin,
        swap=swap, reduction=legacy_reduction(size_average, reduce, reduction),
    )


def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None, margin: float = 1.0, swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with another distance; by default `pairwise_distance`."""
    _check_margin("triplet_margin_loss()", margin)
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ShapeError(f"triplet_margin_loss(): anchor {describe(anchor)}, positive {describe(positive)} and "
                         f"negative {describe(negative)} must have the same number of dimensions")
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = ops.minimum(far, distance(positive, negative))
    return reduced(ops.clamp(margin + near - far, min=0), reduction)


def _check_margin(name: str, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"{name}: expected margin to be greater than 0, got {margin}")


# --- as modules -----------------------------------------------------------------------------------------------------


class _MarginLoss(Loss):
    def __init__(self, margin: float = 0.0, size_average: bool | None = None, reduce: bool | None = None,
                 reduction: str = "mean") -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin


class HingeEmbeddingLoss(_MarginLoss):
    """See `hinge_embedding_loss`."""

    def __init__(self, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None,
                 reduction: str = "mean") -> None:
        super().__init__(margin, size_average, reduce, reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class MarginRankingLoss(_MarginLoss):
    """See `margin_ranking_loss`."""

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(_MarginLoss):
    """See `cosine_embedding_loss`."""

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return cosine_embedding_loss(input1, input2, target, self.margin, reduction=self.reduction)


class SoftMarginLoss(Loss):
    """See `soft_margin_loss`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return soft_margin_loss(input, target, reduction=self.reduction)


class MultiMarginLoss(WeightedLoss):
    """See `multi_margin_loss`."""

    def __init__(self, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, size_average: bool | None = None,
                 reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError(f"only p == 1 and p == 2 supported, got {p}")
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"weight must be one-dimensional or None, got {describe(weight)}")
        self.p, self.margin = p, margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class MultiLabelMarginLoss(Loss):
    """See `multilabel_margin_loss`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(WeightedLoss):
    """See `multilabel_soft_margin_loss`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class TripletMarginLoss(Loss):
    """See `triplet_margin_loss`."""

    def __init__(self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False,
                 size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__(size_average, reduce, reduction)
        _check_margin("TripletMarginLoss", margin)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return triplet_margin_loss(anchor, positive, negative, self.margin, self.p, self.eps, self.swap,
                                   reduction=self.reduction)


class TripletMarginWithDistanceLoss(Module):
    """See `triplet_margin_with_distance_loss`."""

    def __init__(self, *, distance_function: Callable[[Tensor, Tensor], Tensor] | None = None, margin: float = 1.0,
                 swap: bool = False, reduction: str = "mean") -> None:
        super().__init__()
        _check_margin("TripletMarginWithDistanceLoss", margin)
        self.distance_function = distance_function or PairwiseDistance()
        self.margin, self.swap, self.reduction = margin, swap, reduction

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return triplet_margin_with_distance_loss(anchor, positive, negative, distance_function=self.distance_function,
                                                 margin=self.margin, swap=self.swap, reduction=self.reduction)
