"""Running products, extremes and integrals along a dimension, and differences, their inverse."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from .. import return_types
from ..graph import Op
from ..return_types import Indexed
from ..tensor import Tensor, describe
from .elementwise import exp, log, where
from .index import gather
from .public import public
from .reduce import _accumulator, _finite, cumsum, sum
from .shape import cat, flip, length, transpose
from .views import narrow


def _accumulated(ufunc):
    """A running form of a ufunc; a number is a vector of one element."""
    return lambda x, dim, dtype=None: ufunc.accumulate(np.atleast_1d(x), dim, dtype).reshape(x.shape)


def _from_the_end(running, x, dim):
    """A running operation that starts at the far end."""
    return flip(running(flip(x, dim), dim=dim), dim) if x.ndim else x


# --- products ---------------------------------------------------------------------------------------------------------


def _running_product_rule(g, y, x, dim, dtype=None):
    if not x.ndim:
        return g
    if not bool((x == 0).any()):
        return _from_the_end(cumsum, g * y, dim) / x
    # With a zero among the factors: the running products once more for each factor, itself replaced by 1.
    x, g = transpose(x, dim, -1), transpose(g, dim, -1)
    n = x.shape[-1]
    products = cumprod_op(where(np.eye(n, dtype=bool), 1.0, x.reshape((*x.shape[:-1], 1, n))), dim=-1)
    part = sum(where(np.tri(n, dtype=bool).T, g.reshape((*g.shape[:-1], 1, n)) * products, 0.0), dim=-1)
    return transpose(part, dim, -1)


_product = _accumulated(np.multiply)
cumprod_op = Op("cumprod", lambda x, /, dim, dtype=None: _product(x, dim, dtype or _accumulator(x)),
                _running_product_rule, looks=True, doc="Running products along `dim`.")


def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running products along dim."""
    return cumprod_op(input, dim=dim, dtype=dtype)


# --- log Σ exp --------------------------------------------------------------------------------------------------------


def _running_log_sum_rule(g, y, x, dim):
    """Σ g_j e^(x_k - y_j) over the j from k on, without overflow: by the logarithm of the sum, of g's positive and
    negative parts apart."""
    y = _finite(y)
    parts = []
    for part in (g > 0, g < 0):
        size = where(part, log(where(part, g if not parts else -g, 1.0)), -np.inf)
        parts.append(exp(_from_the_end(logcumsumexp, size - y, dim) + x))
    return parts[0] - parts[1]


_log_sum = _accumulated(np.logaddexp)
logcumsumexp = Op("logcumsumexp", lambda x, /, dim: _log_sum(x, dim), _running_log_sum_rule, promotes="float",
                  doc="log Σ exp of the elements so far along `dim`, without overflow.")


# --- extremes ---------------------------------------------------------------------------------------------------------


def _record_indices(ufunc):
    def forward(x, /, dim):
        """Where the running extreme was met last; nan, once met, is the extreme."""
        if not x.ndim:
            return np.zeros((), np.int64)
        here = np.arange(x.shape[dim]).reshape([-1 if i == dim % x.ndim else 1 for i in range(x.ndim)])
        met = (x == ufunc.accumulate(x, dim)) | np.isnan(x)
        return np.maximum.accumulate(np.where(met, here, 0), axis=dim)

    return forward


cummax_index_op = Op("cummax_index", _record_indices(np.maximum))
cummin_index_op = Op("cummin_index", _record_indices(np.minimum))


def cummax(input: Tensor, dim: int) -> Indexed:
    """(values, indices): the largest so far along dim, the last among equals."""
    indices = cummax_index_op(input, dim=dim)
    return return_types.cummax((gather(input, dim, indices), indices))


def cummin(input: Tensor, dim: int) -> Indexed:
    """(values, indices): the smallest so far along dim, the last among equals."""
    indices = cummin_index_op(input, dim=dim)
    return return_types.cummin((gather(input, dim, indices), indices))


# --- integrals and differences ----------------------------------------------------------------------------------------


def _neighbours(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """All elements along dim but the last, and all but the first."""
    n = builtins.max(length(x, dim) - 1, 0)
    return narrow(x, dim, 0, n), narrow(x, dim, length(x, dim) - n, n)


def _trapezoids(name: str, y: Tensor, x: Any, dx: Any, dim: int) -> Tensor:
    """The area above each step."""
    if x is not None and dx is not None:
        raise RuntimeError(f"{name}(): give x or dx, not both")
    left, right = _neighbours(y, dim)
    if x is None:
        return (left + right) * (0.5 * (1 if dx is None else dx))
    if x.ndim == 1 and y.ndim > 1:
        if len(x) != length(y, dim):
            raise RuntimeError(f"{name}(): x {describe(x)} must be as long as dimension {dim} of y {describe(y)}")
        x = x.reshape([-1 if i == dim % y.ndim else 1 for i in range(y.ndim)])
    before, after = _neighbours(x, dim)
    return (left + right) * (after - before) / 2


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integral of y along dim by the trapezoidal rule: over the points x, or over steps of dx, 1 if not given."""
    return sum(_trapezoids("trapezoid", y, x, dx, dim), dim=dim)


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The running integral of `trapezoid`; one element shorter along dim than y."""
    return cumsum(_trapezoids("cumulative_trapezoid", y, x, dx, dim), dim=dim)


trapz = trapezoid


def diff(input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None,
         append: Tensor | None = None) -> Tensor:
    """The n-th differences of neighbours along dim, of input between `prepend` and `append`."""
    if not input.ndim:
        raise RuntimeError("diff() expects at least one dimension")
    if n < 0:
        raise RuntimeError(f"diff(): the order must not be negative, got {n}")
    if n == 0:
        return input
    around = [part for part in (prepend, input, append) if part is not None]
    if len(around) > 1:
        input = cat(around, dim)
    for _ in range(builtins.min(n, length(input, dim))):
        left, right = _neighbours(input, dim)
        input = left ^ right if input.dtype.kind == "b" else right - left
    return input


def gradient(input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """Estimates of the partial derivatives of a function given at the points of a grid, one tensor per dim.

    spacing: the step, one for all or one per dim, or the coordinates, a vector per dim. Inside, second order accurate;
    edge_order: the accuracy, 1 or 2, on the rim.
    """
    if edge_order not in (1, 2):
        raise RuntimeError(f"gradient(): edge_order must be 1 or 2, got {edge_order}")
    spacing = 1 if spacing is None else spacing
    per_dim = isinstance(spacing, (list, tuple))
    if dim is None:
        dims = tuple(range(len(spacing))) if per_dim else tuple(range(input.ndim))
        if per_dim and len(spacing) != input.ndim:
            raise RuntimeError(f"gradient(): {len(spacing)} spacings for {input.ndim} dimensions")
    else:
        dims = normalize_axis_tuple(dim, input.ndim)
    steps = list(spacing) if per_dim else [spacing] * len(dims)
    if len(steps) != len(dims):
        raise RuntimeError(f"gradient(): {len(steps)} spacings for {len(dims)} dimensions")
    if not input.is_floating_point():
        input = input / 1
    return tuple(_slope(input, d, step, edge_order) for d, step in zip(dims, steps))


def _slope(x: Tensor, dim: int, spacing: Any, edge_order: int) -> Tensor:
    """Along one dimension: a parabola through each point and its neighbours; on the rim a line through two points, or
    the parabola through three."""
    n = length(x, dim)
    if n < edge_order + 1:
        raise RuntimeError(f"gradient(): dimension {dim} of {describe(x)} needs at least {edge_order + 1} points")
    first, second = _neighbours(x, dim)
    if isinstance(spacing, Tensor) and spacing.ndim:
        if tuple(spacing.shape) != (n,):
            raise RuntimeError(f"gradient(): coordinates {describe(spacing)} for dimension {dim} of {describe(x)}")
        h = (spacing[1:] - spacing[:-1]).reshape([-1 if i == dim else 1 for i in range(x.ndim)])
    else:
        h = spacing
    chords = (second - first) / h  # between neighbours
    if n == 2:
        return cat([chords, chords], dim)
    left, right = _neighbours(chords, dim)
    h_left, h_right = _neighbours(h, dim) if isinstance(h, Tensor) and h.ndim else (h, h)
    share = h_left / (h_left + h_right)
    inside = left * (1 - share) + right * share
    start, end = _end(chords, dim, 0), _end(chords, dim, -1)
    if edge_order == 2:
        start = start + (start - _end(right, dim, 0)) * _end(share, dim, 0)
        end = end + (end - _end(left, dim, -1)) * (1 - _end(share, dim, -1))
    return cat([start, inside, end], dim)


def _end(x: Any, dim: int, place: int) -> Any:
    """The first element along dim, or the last; a number is the same everywhere."""
    return narrow(x, dim, place % length(x, dim), 1) if isinstance(x, Tensor) and x.ndim else x


if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals())
