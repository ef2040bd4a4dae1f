"""Descriptive statistics, composed of reductions and sorting."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import return_types
from ..return_types import Named
from ..tensor import Tensor, describe
from .elementwise import ceil, clip, floor, isnan, round, sqrt, where
from .index import gather
from .linalg import matmul
from .order import sort
from .public import public
from .reduce import _correction, amax, amin, mean, norm, std, sum, var
from .shape import length, movedim, squeeze, transpose, unsqueeze


def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum of the elements that are not nan."""
    if input.is_floating_point():
        input = where(isnan(input), 0.0, input)
    return sum(input, dim=dim, keepdim=keepdim, dtype=dtype)


def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean of the elements that are not nan."""
    if not input.is_floating_point():
        raise RuntimeError(f"nanmean() expects a floating dtype, got {describe(input)}; convert with .float()")
    count = sum((~isnan(input)).to(input.dtype), dim=dim, keepdim=keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / count


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Named:
    """(min, max) of all elements or along dim; ties share the gradient evenly."""
    if dim is None and input.ndim and keepdim:
        dim = tuple(range(input.ndim))  # type: ignore[assignment]
    return return_types.aminmax((amin(input, dim=dim, keepdim=keepdim), amax(input, dim=dim, keepdim=keepdim)))


def std_mean(input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *,
             correction: float | None = 1) -> tuple[Tensor, Tensor]:
    """(std, mean)"""
    dim, correction = _correction(dim, unbiased, correction)
    return std(input, dim, correction=correction, keepdim=keepdim), mean(input, dim=dim, keepdim=keepdim)


def var_mean(input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *,
             correction: float | None = 1) -> tuple[Tensor, Tensor]:
    """(var, mean)"""
    dim, correction = _correction(dim, unbiased, correction)
    return var(input, dim, correction=correction, keepdim=keepdim), mean(input, dim=dim, keepdim=keepdim)


# --- quantiles --------------------------------------------------------------------------------------------------------


def quantile(input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *,
             interpolation: str = "linear") -> Tensor:
    """The q-th quantiles, q within [0, 1], of all elements or along dim; for a vector q one after the other in front.

    interpolation: between the two nearest elements 'linear', 'lower', 'higher', 'midpoint' or 'nearest'. A nan makes
    its quantile nan.
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, skip_nan=False)


def nanquantile(input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *,
                interpolation: str = "linear") -> Tensor:
    """As `quantile`, of the elements that are not nan."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, skip_nan=True)


def _quantile(name, input, q, dim, keepdim, interpolation, skip_nan):
    q = _checked_q(name, input, q)
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(f"{name}(): no interpolation {interpolation!r}; it is 'linear', 'lower', 'higher', "
                           "'midpoint' or 'nearest'")
    if input.numel() == 0:
        raise RuntimeError(f"{name}(): an empty tensor, {describe(input)}, has no quantiles")
    kept = [1 if dim is None or i == dim % input.ndim else n for i, n in enumerate(input.shape)]
    x = input.reshape(-1) if dim is None or not input.ndim else movedim(input, dim, -1)
    found = _between(sort(x).values, q.reshape(-1), interpolation, skip_nan)  # the quantiles in the last dimension
    found = movedim(found, -1, 0)
    if keepdim:
        found = found.reshape(len(found), *kept)
    return found if q.ndim else squeeze(found, 0)


def _checked_q(name, input, q):
    if input.dtype not in (np.float32, np.float64):
        raise RuntimeError(f"{name}() expects float32 or float64, got {describe(input)}")
    if isinstance(q, (int, float)):
        q = Tensor(np.asarray(q, input.dtype))
    if not isinstance(q, Tensor):
        raise TypeError(f"{name}(): q must be a number or a tensor, got {describe(q)}")
    if q.ndim > 1:
        raise RuntimeError(f"{name}(): q must be a number or a vector, got {describe(q)}")
    if q.dtype != input.dtype:
        raise RuntimeError(f"{name}(): q {describe(q)} must have the dtype of input {describe(input)}")
    if not ((q.array >= 0) & (q.array <= 1)).all():
        raise RuntimeError(f"{name}(): q must lie within [0, 1]")
    return q


def _between(ordered, q, interpolation, skip_nan):
    """What lies at these shares of the way through the last dimension, which is in order, nan at its end."""
    nans = sum(isnan(ordered), dim=-1, keepdim=True)
    top = (length(ordered, -1) - 1 - nans).to(ordered.dtype)
    ranks = q * (clip(top, min=0.0) if skip_nan else float(length(ordered, -1) - 1))
    if not skip_nan:
        ranks = where(nans > 0, float(length(ordered, -1) - 1), ranks)
    ranks = ranks.expand(*ordered.shape[:-1], q.numel())
    if interpolation in ("lower", "higher", "nearest"):
        nearest = {"lower": floor, "higher": ceil, "nearest": round}[interpolation](ranks)
        return gather(ordered, -1, nearest.long())
    below, share = floor(ranks).long(), 0.5 if interpolation == "midpoint" else ranks - floor(ranks)
    low, high = gather(ordered, -1, below), gather(ordered, -1, ceil(ranks).long())
    return low + share * (high - low)


# --- covariance -------------------------------------------------------------------------------------------------------


def cov(input: Tensor, *, correction: int = 1, fweights: Tensor | None = None,
        aweights: Tensor | None = None) -> Tensor:
    """The covariances of the rows of a matrix (variables), over its columns (observations).

    fweights: how often each observation counts, whole numbers; aweights: how much. The divisor is that of NumPy's cov.
    """
    if input.ndim > 2:
        raise RuntimeError(f"cov() expects at most 2 dimensions, got {describe(input)}")
    x = input.reshape(1, -1) if input.ndim < 2 else input
    if not x.is_floating_point():
        x = x / 1
    weights = _weights(x, fweights, aweights)
    total = float(x.shape[1]) if weights is None else sum(weights)
    average = mean(x, dim=1, keepdim=True) if weights is None else sum(x * weights, dim=1, keepdim=True) / total
    if weights is None or aweights is None:
        divisor = total - correction
    else:
        counted = weights * aweights
        divisor = total - correction * sum(counted) / total
    divisor = builtins.max(divisor, 0.0) if isinstance(divisor, float) else clip(divisor, min=0)
    centred = x - average
    products = matmul(centred, transpose(centred if weights is None else centred * weights, 0, 1)) / divisor
    return squeeze(products)


def _weights(x, fweights, aweights):
    """The weight of each observation, or None."""
    for name, w in (("fweights", fweights), ("aweights", aweights)):
        if w is None:
            continue
        if w.ndim > 1 or w.numel() != x.shape[1]:
            raise RuntimeError(f"cov(): {name} {describe(w)} must be a vector, one number per column of {describe(x)}")
        if (name == "fweights") == w.is_floating_point():
            raise RuntimeError(f"cov(): {name} must be {'whole' if name == 'fweights' else 'floating'}, got {w.dtype}")
        if w.numel() and bool((w < 0).any()):
            raise RuntimeError(f"cov(): {name} must not be negative")
    if fweights is None:
        return aweights
    return fweights.to(x.dtype) if aweights is None else fweights * aweights


def corrcoef(input: Tensor) -> Tensor:
    """The correlations of the rows of a matrix: covariances over the two standard deviations."""
    if input.ndim > 2:
        raise RuntimeError(f"corrcoef() expects at most 2 dimensions, got {describe(input)}")
    c = cov(input)
    if not c.ndim:
        return c / c
    deviations = sqrt(c.diagonal())
    scaled = c / unsqueeze(deviations, 1) / deviations
    return clip(scaled, -1, 1)


# --- by norms ---------------------------------------------------------------------------------------------------------


def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other."""
    return norm(input - other, p)


def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """The slices along dim whose p-norm exceeds maxnorm, scaled down to it."""
    if input.ndim < 2:
        raise RuntimeError(f"renorm() expects at least 2 dimensions, got {describe(input)}")
    length(input, dim)
    others = tuple(i for i in range(input.ndim) if i != dim % input.ndim)
    size = norm(input, p, others, True)
    return input * where(size > maxnorm, maxnorm / (size + 1e-7), 1.0).to(input.dtype)


if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals())
