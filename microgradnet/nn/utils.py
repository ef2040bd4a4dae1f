"""Gradients clipped, and parameters as one vector."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..graph import stamp
from ..ops import cat
from ..tensor import Tensor


def _listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [p._grad for p in _listed(parameters) if p._grad is not None]


def _norm(x: np.ndarray, p: float) -> float:
    x = x.ravel(order="K")
    if p == 2 and x.dtype != np.float16:
        with np.errstate(over="ignore"):
            squares = float(np.dot(x, x))
        if 1e-30 < squares < math.inf:  # squares leave the range of float32 long before the numbers do
            return math.sqrt(squares)
    return float(np.linalg.norm(x.astype(np.float64), p)) if x.size else 0.0


def get_total_norm(tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False,
                   foreach: bool | None = None) -> Tensor:
    """The p-norm of all elements as one vector: the norm of the norms; 0 where there are no tensors.

    norm_type: p, also inf. error_if_nonfinite: raise if the norm is inf or nan.
    """
    tensors = _listed(tensors)
    if not tensors:
        return Tensor(np.zeros((), np.float32))
    p = float(norm_type)
    total = _norm(np.array([_norm(t.array, p) for t in tensors]), p)
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(f"the total norm of order {p} of the gradients is {total}, so they cannot be clipped; with "
                           "error_if_nonfinite=False they would be scaled by it all the same")
    return Tensor(np.asarray(total, np.result_type(*(t.dtype for t in tensors))))


def clip_grad_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
                    error_if_nonfinite: bool = False, foreach: bool | None = None) -> Tensor:
    """Scale all gradients down, in place, so that their norm as one vector is at most max_norm; returns what it was."""
    gradients = _gradients(parameters)
    total = get_total_norm(gradients, norm_type, error_if_nonfinite)
    factor = float(max_norm) / (total.item() + 1e-6)
    if not factor >= 1:  # nan scales too, so that it is seen
        for g in gradients:
            with np.errstate(invalid="ignore"):
                np.multiply(g.array, factor, out=g.array)
            stamp(g.array)
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Hold each element of each gradient within ±clip_value, in place."""
    for g in _gradients(parameters):
        np.clip(g.array, -clip_value, clip_value, out=g.array)
        stamp(g.array)


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
