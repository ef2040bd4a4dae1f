"""Parameters as one vector."""

from __future__ import annotations

from collections.abc import Iterable

from ...graph import stamp
from ...ops import cat
from ...tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters one after another in one vector, through which gradients flow."""
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the entries of a vector, as of `parameters_to_vector`, into the parameters."""
    parameters = list(parameters)
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters() expects a Tensor, got {type(vec).__name__}")
    total = sum(p.numel() for p in parameters)
    if vec.numel() != total:
        raise ValueError(f"vector_to_parameters(): a vector of {vec.numel()} entries for parameters of {total}")
    start = 0
    for p in parameters:
        p.array[...] = vec.array[start : start + p.numel()].reshape(p.shape)
        stamp(p.array)
        start += p.numel()
