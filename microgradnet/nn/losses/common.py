"""What losses share: their reductions, the checks of their arguments, and the base of their modules."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...callers import warn
from ...graph import ShapeError
from ...tensor import Tensor, describe
from ..module import Module


def legacy_reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """`reduction`, or what PyTorch's older arguments meant by it."""
    if size_average is None and reduce is None:
        return reduction
    reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
    warn(f"size_average and reduce are deprecated, use reduction='{reduction}' instead")
    return reduction


def reduced(losses: Tensor, reduction: str, weights: Tensor | None = None) -> Tensor:
    """The losses, their sum, or their mean: over the sum of `weights`, where the losses have been weighted by these."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return ops.sum(losses)
    if reduction == "mean":
        return ops.mean(losses) if weights is None else ops.sum(losses) / ops.sum(weights)
    raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")


def pointwise(losses: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """Reduced with a weight for each element."""
    if weight is None:
        return reduced(losses, reduction)
    if weight.shape != losses.shape:
        raise ShapeError(f"weight {describe(weight)} must have the shape of the losses {describe(losses)}")
    return reduced(losses * weight, reduction, weight)


def check_tensors(name: str, input: Any, target: Any) -> None:
    """An error where either is not a Tensor."""
    if isinstance(input, Tensor) and isinstance(target, Tensor):
        return
    role, value = ("target", target) if isinstance(input, Tensor) else ("input", input)
    raise TypeError(f"{name}(): {role} must be a Tensor, got {type(value).__name__}; use tensor()")


def warn_if_broadcast(name: str, input: Tensor, target: Tensor) -> None:
    """A warning where the shapes differ."""
    check_tensors(name, input, target)
    if input._data.shape != target._data.shape:
        warn(f"{name}(): target {describe(target)} differs in shape from input {describe(input)}, and broadcasting is "
             "rarely what a loss should do; bring them to one shape, for example by unsqueeze(-1) or squeeze(-1)")


def check_same_shape(name: str, input: Tensor, target: Tensor) -> None:
    """An error where the shapes differ."""
    check_tensors(name, input, target)
    if input._data.shape != target._data.shape:
        raise ShapeError(f"{name}(): target {describe(target)} must have the shape of input {describe(input)}")


class Loss(Module):
    """A loss whose deprecated arguments decide the reduction where they are given."""

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = legacy_reduction(size_average, reduce, reduction)


class WeightedLoss(Loss):
    """A loss with a buffer `weight`, or None."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, size_average: bool | None = None, reduce: bool | None = None,
                 reduction: str = "mean") -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
