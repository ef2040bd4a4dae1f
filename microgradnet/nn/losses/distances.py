"""Losses that measure a distance between numbers and what they should be."""

from __future__ import annotations

from ... import ops
from ...ops import loss as fused
from ...tensor import Tensor
from ..module import Module
from .common import Loss, check_same_shape, legacy_reduction, pointwise, reduced, warn_if_broadcast


def mse_loss(input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
             reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """(x - y)², averaged over all elements; the book's cost, `quadratic_loss`, averages over examples."""
    warn_if_broadcast("mse_loss", input, target)
    if weight is None and size_average is None and reduce is None and _may_fuse(input, target, reduction):
        return fused.squared_distance(input, target, scale=1 / input.numel() if reduction == "mean" else 1.0)
    return pointwise(ops.square(input - target), weight, legacy_reduction(size_average, reduce, reduction))


def quadratic_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """The book's quadratic cost C = 1/n Σₓ ½‖a - y‖²: summed over the last dimension, averaged over examples."""
    check_same_shape("quadratic_loss", input, target)
    array = input._data
    if array.size and array.ndim and reduction in ("mean", "sum"):
        scale = 0.5 * array.shape[-1] / array.size if reduction == "mean" else 0.5
        return fused.squared_distance(input, target, scale=scale)
    return reduced(0.5 * ops.sum(ops.square(input - target), dim=-1), reduction)


def _may_fuse(input: Tensor, target: Tensor, reduction: str) -> bool:
    """Whether `fused.squared_distance` can serve: two arrays of one shape, one number out."""
    return input._data.shape == target._data.shape and reduction in ("mean", "sum") and input._data.size > 0


def l1_loss(input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
            reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """|x - y|"""
    warn_if_broadcast("l1_loss", input, target)
    return pointwise(ops.abs(input - target), weight, legacy_reduction(size_average, reduce, reduction))


def smooth_l1_loss(input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
                   reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """½ d² / beta for d = |x - y| < beta, d - ½ beta elsewhere."""
    warn_if_broadcast("smooth_l1_loss", input, target)
    if beta < 0:
        raise ValueError(f"smooth_l1_loss() does not support negative values for beta, got {beta}")
    d = ops.abs(input - target)
    losses = ops.where(d < beta, (0.5 / beta) * ops.square(d), d - 0.5 * beta) if beta else d
    return reduced(losses, legacy_reduction(size_average, reduce, reduction))


def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0,
               weight: Tensor | None = None) -> Tensor:
    """½ d² for d = |x - y| < delta, delta (d - ½ delta) elsewhere."""
    warn_if_broadcast("huber_loss", input, target)
    if delta <= 0:
        raise ValueError(f"huber_loss() does not support non-positive values for delta, got {delta}")
    d = ops.abs(input - target)
    return pointwise(ops.where(d < delta, 0.5 * ops.square(d), delta * (d - 0.5 * delta)), weight, reduction)


# --- as modules -----------------------------------------------------------------------------------------------------


class MSELoss(Loss):
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


class L1Loss(Loss):
    """See `l1_loss`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Loss):
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
