"""Reductions: NumPy's along `dim` (None for all, an int, or several), and derivatives that spread the gradient back."""

from __future__ import annotations

import builtins
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import return_types
from ..graph import Op
from ..tensor import Tensor, describe
from .elementwise import abs, exp, maximum, minimum, sign, where
from .index import gather
from .public import numpy_names, public
from .shape import clone, flip, length, spread, squeeze, transpose

_INT64 = np.dtype(np.int64)


def _axis(dim):
    """NumPy's axis. An empty tuple of dimensions means all of them, as in PyTorch."""
    if dim is None or type(dim) is int:
        return dim
    if not isinstance(dim, (tuple, list)):
        return operator.index(dim)
    return dim[0] if len(dim) == 1 else tuple(dim) or None  # a number may have the one dimension 0


def _kept(shape, dim):
    """The shape that keepdim would have given."""
    axis = _axis(dim)
    if axis is None:
        return (1,) * len(shape)
    dims = {d % len(shape) for d in ((axis,) if isinstance(axis, int) else axis)} if shape else set()
    return tuple(1 if i in dims else n for i, n in enumerate(shape))


def _back(g, shape, dim, keepdim):
    """A reduced gradient in the shape that broadcasts against the operand."""
    return g if keepdim or dim is None else g.reshape(_kept(shape, dim))


def _over(shape, dim):
    """How many elements each result was made from."""
    count = 1
    for n, m in zip(shape, _kept(shape, dim)):
        count *= n if m == 1 else 1
    return count


# --- sums -----------------------------------------------------------------------------------------------------------


def _sum(x, /, dim=None, keepdim=False, dtype=None):
    return np.add.reduce(x, axis=_axis(dim), keepdims=keepdim, dtype=dtype or _accumulator(x))


def _accumulator(x):
    """What running sums and products are kept in: int64, where NumPy takes uint64, for unsigned numbers."""
    return _INT64 if x.dtype.kind == "u" else None


def _sum_rule(g, _y, _x, dim=None, keepdim=False, dtype=None):
    return spread(_back(g, _x.shape, dim, keepdim), shape=_x.shape)


def _mean(x, /, dim=None, keepdim=False, dtype=None):
    if dtype is None:
        _refuse_whole("mean", x)
    with np.errstate(all="ignore"):  # the mean of nothing is nan
        return np.add.reduce(x, axis=_axis(dim), keepdims=keepdim, dtype=dtype) / _over(x.shape, dim)


def _mean_rule(g, _y, _x, dim=None, keepdim=False, dtype=None):
    return spread(_back(g / builtins.max(_over(_x.shape, dim), 1), _x.shape, dim, keepdim), shape=_x.shape)


sum = Op("sum", _sum, _sum_rule, numpy=np.sum, doc="The sum over `dim`, all dimensions if None.")
mean = Op("mean", _mean, _mean_rule, numpy=np.mean, doc="The mean over `dim`, all dimensions if None.")


def _refuse_whole(name, x):
    if x.dtype.kind not in "fc":
        raise RuntimeError(f"{name}() of whole numbers, {describe(x)}, has no dtype of its own; convert with .float()")


def _product(x, /, dim=None, keepdim=False, dtype=None):
    return np.multiply.reduce(x, axis=_axis(dim), keepdims=keepdim, dtype=dtype or _accumulator(x))


def _product_rule(g, y, x, dim=None, keepdim=False, dtype=None):
    g, y = _back(g, x.shape, dim, keepdim), _back(y, x.shape, dim, keepdim)
    if not bool((x == 0).any()):
        return g * (y / x)
    # With a zero among the factors, multiply the others out: one row for each factor, itself replaced by 1.
    if dim is None or not x.ndim:
        return g * _others(x.reshape(-1)).reshape(x.shape)
    return g * transpose(_others(transpose(x, dim, -1)), dim, -1)


def _others(x):
    n = x.shape[-1]
    return prod(where(np.eye(n, dtype=bool), 1.0, x.reshape((*x.shape[:-1], 1, n))), dim=-1)


def _variance(x, /, dim=None, correction=1, keepdim=False):
    _refuse_whole("var", x)
    count = _over(x.shape, dim)
    with np.errstate(all="ignore"):  # of too few elements it is nan
        centred = x - np.add.reduce(x, axis=_axis(dim), keepdims=True) / count
        squares = centred * centred if centred.dtype.kind != "c" else centred**2
        total = np.add.reduce(squares, axis=_axis(dim), keepdims=keepdim)
        return total / np.asarray(builtins.max(count - correction, 0), total.dtype)


def _variance_rule(g, _y, x, dim=None, correction=1, keepdim=False):
    centred = x - mean(x, dim=dim, keepdim=True)
    return _back(g, x.shape, dim, keepdim) * (centred * (2 / builtins.max(_over(x.shape, dim) - correction, 1e-300)))


def _deviation(x, /, dim=None, correction=1, keepdim=False):
    return np.sqrt(_variance(x, dim, correction, keepdim))


def _deviation_rule(g, y, x, dim=None, correction=1, keepdim=False):
    # Constant elements have deviation 0, where the derivative is taken as 0.
    g = where(y == 0, 0.0, g / (2 * where(y == 0, 1.0, y)))
    return _variance_rule(g, None, x, dim, correction, keepdim)


prod = Op("prod", _product, _product_rule, numpy=np.prod, looks=True,
          doc="The product over `dim`, all dimensions if None.")
_var = Op("var", _variance, _variance_rule, doc="Σ (x - mean)² / (n - correction) over `dim`, all dimensions if None.")
_std = Op("std", _deviation, _deviation_rule,
          doc="√var over `dim`, all dimensions if None; its gradient at 0 is taken as 0.")


def _correction(dim, unbiased, correction):
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return dim, (int(unbiased) if unbiased is not None else 1 if correction is None else correction)


@numpy_names
def var(input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *,
        correction: float | None = 1) -> Any:
    """The variance over `dim`: squared deviations summed, over n - correction (PyTorch's default 1, NumPy's is 0)."""
    dim, correction = _correction(dim, unbiased, correction)
    return _var(input, dim=dim, correction=correction, keepdim=keepdim)


@numpy_names
def std(input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *,
        correction: float | None = 1) -> Any:
    """The square root of `var`; its gradient is 0 where all elements are equal."""
    dim, correction = _correction(dim, unbiased, correction)
    return _std(input, dim=dim, correction=correction, keepdim=keepdim)


# --- extremes -------------------------------------------------------------------------------------------------------


def _evenly(g, y, x, dim=None, keepdim=False):
    """Elements that tie for the extreme share its gradient."""
    ties = x == _back(y, x.shape, dim, keepdim)
    # Where the extreme is nan nothing ties with it, and 0 · (g / 0) makes the gradient nan, too.
    return ties * (_back(g, x.shape, dim, keepdim) / sum(ties, dim=dim, keepdim=True))


def _extreme(reduce):
    def forward(x, /, dim=None, keepdim=False):
        return reduce(x, axis=_axis(dim), keepdims=keepdim)

    return forward


def _position(find):
    def forward(x, /, dim=None, keepdim=False):
        return np.asarray(find(x, axis=dim, keepdims=keepdim))

    return forward


amax = Op("amax", _extreme(np.maximum.reduce), _evenly, numpy=np.max,
          doc="The largest; ties share the gradient evenly.")
amin = Op("amin", _extreme(np.minimum.reduce), _evenly, numpy=np.min,
          doc="The smallest; ties share the gradient evenly.")
argmax = Op("argmax", _position(np.argmax), numpy=np.argmax,
            doc="The position of the largest; the first among equals.")
argmin = Op("argmin", _position(np.argmin), numpy=np.argmin,
            doc="The position of the smallest; the first among equals.")


def _max_or_min(kind, full, position, pairwise, input, dim, keepdim, other):
    if other is not None or isinstance(dim, Tensor):
        return pairwise(input, dim if other is None else other)
    if dim is None:
        if input.numel() == 0:
            raise RuntimeError(f"{kind.__name__}(): an empty tensor, {describe(input)}, has none")
        return full(input)
    if input.ndim and length(input, dim) == 0:
        raise IndexError(f"{kind.__name__}(): there is nothing along dimension {dim} of {describe(input)}")
    if input.ndim == 0 and dim in (0, -1):
        return kind((clone(input), Tensor(np.zeros((), np.int64))))
    indices = position(input, dim=dim, keepdim=True)
    values = gather(input, dim, indices)
    if not keepdim:
        values, indices = squeeze(values, dim), squeeze(indices, dim)
    return kind((values, indices))


@numpy_names
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The largest element; with `dim`, (values, indices) along it; with a second tensor, `maximum`.

    Ties share the gradient of the full form evenly; along `dim` it goes to the index returned.
    """
    return _max_or_min(return_types.max, amax, argmax, maximum, input, dim, keepdim, other)


@numpy_names
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The smallest element; with `dim`, (values, indices) along it; with a second tensor, `minimum`."""
    return _max_or_min(return_types.min, amin, argmin, minimum, input, dim, keepdim, other)


# --- the rest -------------------------------------------------------------------------------------------------------


def _log_sum_exp(x, /, dim, keepdim=False):
    axis = _axis(dim)
    with np.errstate(all="ignore"):
        top = np.maximum.reduce(x.real, axis=axis, keepdims=True, initial=None if x.size else 0)
        top = np.where(np.isfinite(top), top, 0).astype(x.real.dtype)
        total = np.log(np.add.reduce(np.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdim else np.squeeze(total, axis=axis)


logsumexp = Op("logsumexp", _log_sum_exp,
               lambda g, y, x, dim, keepdim=False: _back(g, x.shape, dim, keepdim)
               * exp(x - _finite(_back(y, x.shape, dim, keepdim))),
               promotes="float", doc="log Σ exp x over `dim`, without overflow.")


def _finite(y):
    """-inf as 0: exp(x - y) is then 0 for x = -inf, not nan."""
    return where(y == -np.inf, 0.0, y)


cumsum = Op("cumsum",
            lambda x, /, dim, dtype=None:
            np.add.accumulate(np.atleast_1d(x), dim, dtype or _accumulator(x)).reshape(x.shape),
            lambda g, _y, _x, dim, dtype=None: flip(cumsum(flip(g, dim), dim=dim), dim) if g.ndim else g,
            numpy=np.cumsum, doc="Running sums along `dim`.")
all = Op("all", lambda x, /, dim=None, keepdim=False: np.logical_and.reduce(x, axis=_axis(dim), keepdims=keepdim),
         numpy=np.all, doc="Whether all are true.")
any = Op("any", lambda x, /, dim=None, keepdim=False: np.logical_or.reduce(x, axis=_axis(dim), keepdims=keepdim),
         numpy=np.any, doc="Whether any is true.")
count_nonzero = Op("count_nonzero", lambda x, /, dim=None: np.asarray(np.count_nonzero(x, axis=_axis(dim))),
                   numpy=np.count_nonzero, doc="How many are not 0.")


def _euclidean(x, /, dim=None, keepdim=False):
    return np.sqrt(np.add.reduce(x * x, axis=_axis(dim), keepdims=keepdim))


def _euclidean_rule(g, y, x, dim=None, keepdim=False):
    g, y = _back(g, x.shape, dim, keepdim), _back(y, x.shape, dim, keepdim)
    return x * where(y == 0, 0.0, g / where(y == 0, 1.0, y))


euclidean = Op("norm", _euclidean, _euclidean_rule, promotes="float",
               doc="√Σx² over `dim`; its gradient at 0 is taken as 0.")


@numpy_names
def norm(input: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The p-norm of the elements over `dim` (all as one vector if None): (Σ|x|ᵖ)^(1/p), p = inf, -inf and 0 included.

    The gradient at 0 is taken as 0.
    """
    if dtype is not None:
        input = input.to(dtype)
    _refuse_whole("norm", input)
    if p in (2, 2.0, "fro", None):
        return euclidean(input, dim=dim, keepdim=keepdim)
    if p == "nuc":
        from ..linalg import matrix_norm

        return matrix_norm(input, p, (-2, -1) if dim is None else dim, keepdim)
    if isinstance(p, str):
        raise ValueError(f"norm(): p must be a number, inf, 'fro' or 'nuc', got {p!r}")
    size = abs(input)
    if p == float("inf"):
        return amax(size, dim=dim, keepdim=keepdim)
    if p == -float("inf"):
        return amin(size, dim=dim, keepdim=keepdim)
    if p == 0:
        return sum(sign(size), dim=dim, keepdim=keepdim)
    if p == 1:
        return sum(size, dim=dim, keepdim=keepdim)
    of_zero = 0.0 if p > 0 else float("inf")
    if p < 1:  # the power's derivative at 0 is infinite
        size = where(size == 0, of_zero, where(size == 0, 1.0, size) ** p)
    else:
        size = size**p
    total = sum(size, dim=dim, keepdim=keepdim)
    zero = total == of_zero  # the root's derivative is infinite there, or nothing
    return where(zero, 0.0, where(zero, 1.0, total) ** (1 / p))


if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals(), "euclidean")
