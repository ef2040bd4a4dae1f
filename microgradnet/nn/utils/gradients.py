"""Gradients held within bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ...graph import Op
from ...ops.inplace import write
from ...recording import no_grad
from ...tensor import Tensor


def _listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [g for p in _listed(parameters) if (g := p.grad) is not None]


def _norm(x: np.ndarray, p: float) -> float:
    x = x.ravel(order="K")
    if p == 2 and x.dtype != np.float16:
        with np.errstate(over="ignore"):
            squares = float(np.dot(x, x))
        if 1e-30 < squares < math.inf:  # squares leave the range of float32 long before the numbers do
            return math.sqrt(squares)
    return float(np.linalg.norm(x.astype(np.float64), p)) if x.size else 0.0


def _total(*arrays, p):
    total = _norm(np.array([_norm(a, p) for a in arrays]), p)
    return np.asarray(total, np.result_type(*(a.dtype for a in arrays)))


def _held(x, norm, /, most):
    factor = most / (float(norm) + 1e-6)
    with np.errstate(invalid="ignore"):
        return x * (1.0 if factor >= 1 else factor)  # nan scales too, so that it is seen


_total_norm = Op("total_norm", _total, doc="The p-norm of arrays as one vector.")
_scaled_down = Op("scaled_down", _held, doc="x · most / norm, where that is less than x.")


def get_total_norm(tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False,
                   foreach: bool | None = None) -> Tensor:
    """The p-norm of all elements as one vector: the norm of the norms; 0 where there are no tensors.

    norm_type: p, also inf. error_if_nonfinite: raise if the norm is inf or nan.
    """
    tensors = _listed(tensors)
    if not tensors:
        return Tensor(np.zeros((), np.float32))
    p = float(norm_type)
    total = _total_norm(*tensors, p=p)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(f"the total norm of order {p} of the gradients is {total.item()}, so they cannot be "
                           "clipped; with error_if_nonfinite=False they would be scaled by it all the same")
    return total


def clip_grad_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
                    error_if_nonfinite: bool = False, foreach: bool | None = None) -> Tensor:
    """Scale all gradients down, in place, so that their norm as one vector is at most max_norm; returns what it was."""
    parameters = _listed(parameters)
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grads_with_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor,
                          foreach: bool | None = None) -> None:
    """Scale all gradients down, in place, by max_norm / total_norm, if that is below 1: `clip_grad_norm_` for a norm
    that is known already."""
    with no_grad():
        for g in _gradients(parameters):
            write(_scaled_down, g, total_norm, most=float(max_norm))


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Hold each element of each gradient within ±clip_value, in place."""
    with no_grad():
        for g in _gradients(parameters):
            g.clamp_(-clip_value, clip_value)
