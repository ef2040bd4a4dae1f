"""Which elements there are, where, and how many: none of it has a derivative but the sums of `bincount`'s weights."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .. import return_types
from ..graph import Op
from ..return_types import Named
from ..tensor import Tensor, describe
from .public import public
from .shape import unbind

# --- distinct elements ------------------------------------------------------------------------------------------------


def _distinct(x, /, dim=None):
    """(the distinct elements or slices in order, for each element which it is, how often each is there)"""
    if dim is not None and x.shape[dim] == 0:
        return x.copy(), np.zeros(0, np.int64), np.zeros(0, np.int64)
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=dim, equal_nan=False)
    return np.ascontiguousarray(values), inverse.reshape(x.shape if dim is None else -1), counts


def _distinct_runs(x, /, dim=None):
    """As `_distinct`, of neighbours only."""
    slices = x.reshape(-1) if dim is None else np.moveaxis(x, dim, 0)
    differ = slices[1:] != slices[:-1]
    starts = np.ones(len(slices), bool)
    starts[1:] = differ.any(tuple(range(1, differ.ndim)))
    values = slices[starts] if dim is None else np.moveaxis(slices[starts], 0, dim)
    inverse = np.cumsum(starts) - 1
    counts = np.diff(np.append(np.flatnonzero(starts), len(slices)))
    return np.ascontiguousarray(values), inverse.reshape(x.shape if dim is None else -1), counts


unique_op = Op("unique", _distinct)
unique_runs_op = Op("unique_consecutive", _distinct_runs)


def _asked(results, return_inverse, return_counts):
    """The distinct elements, alone or with what else was asked for."""
    asked = [r for r, wanted in zip(results, (True, return_inverse, return_counts)) if wanted]
    return asked[0] if len(asked) == 1 else tuple(asked)


def unique(input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
           dim: int | None = None) -> Any:
    """The distinct elements, or slices along dim, in order; with what is asked for besides: for each element which
    distinct one it is, and how often each of these is there."""
    return _asked(unique_op(input.detach(), dim=_place(dim, input)), return_inverse, return_counts)


def unique_consecutive(input: Tensor, return_inverse: bool = False, return_counts: bool = False,
                       dim: int | None = None) -> Any:
    """The elements, or slices along dim, that differ from the one before; otherwise as `unique`."""
    return _asked(unique_runs_op(input.detach(), dim=_place(dim, input)), return_inverse, return_counts)


def _place(dim, input):
    return None if dim is None or not input.ndim else normalize_axis_index(dim, input.ndim)


isin_op = Op("isin", lambda elements, test, /, invert=False: np.isin(elements, test, invert=invert),
             doc="Which elements are among those of `test`; with `invert`, which are not.")


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Which elements are among test_elements; one of the two may be a number."""
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError("isin() expects a tensor and a tensor or a number")
    elements, test_elements = (x if isinstance(x, Tensor) else Tensor(np.asarray(x))
                               for x in (elements, test_elements))
    return isin_op(elements, test_elements, invert=invert)


# --- where ------------------------------------------------------------------------------------------------------------

argwhere = Op("argwhere", lambda x, /: np.argwhere(x), numpy=np.argwhere,
              doc="The indices of the elements that are not 0, a row for each, int64.")


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the elements that are not 0: a row for each; or, as_tuple, a vector per dimension, to index by."""
    if not as_tuple:
        return argwhere(input)
    return tuple(unbind(argwhere(input if input.ndim else input.reshape(1)), 1))


# --- intervals --------------------------------------------------------------------------------------------------------


def _positions(boundaries, values, sorter, /, right=False, int32=False):
    side = "right" if right else "left"
    values = np.asarray(values)
    if boundaries.ndim == 1:
        found = np.searchsorted(boundaries, values, side, sorter)
    else:
        if not values.size:
            return np.zeros(values.shape, np.int32 if int32 else np.int64)
        rows, wanted = (x.reshape(math.prod(x.shape[:-1]), x.shape[-1]) for x in (boundaries, values))
        orders = [None] * len(rows) if sorter is None else sorter.reshape(rows.shape)
        found = [np.searchsorted(*row, side, order) for *row, order in zip(rows, wanted, orders)]
    return np.asarray(found, np.int32 if int32 else np.int64).reshape(values.shape)


searchsorted_op = Op("searchsorted", _positions,
                     doc="Where each value would keep the boundaries in order: before its equals, if `right` behind.")


def searchsorted(sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False,
                 side: str | None = None, sorter: Tensor | None = None) -> Tensor:
    """Where each element of input would keep the last dimension of sorted_sequence in order: before its equals, or
    with right=True (side='right') behind them. `sorter`: the indices that sort it, if it is not in order."""
    if side not in (None, "left", "right"):
        raise RuntimeError(f"searchsorted(): side must be 'left' or 'right', got {side!r}")
    if right and side == "left":
        raise RuntimeError("searchsorted(): right=True and side='left' contradict each other")
    if not isinstance(input, Tensor):
        input = Tensor(np.asarray(input))
    if sorted_sequence.ndim == 0:
        raise RuntimeError("searchsorted(): the sorted sequence needs at least one dimension")
    if sorted_sequence.ndim > 1 and sorted_sequence.shape[:-1] != input.shape[:-1]:
        raise RuntimeError(f"searchsorted(): {describe(input)} must equal {describe(sorted_sequence)} in all "
                           "dimensions but the last, unless that is a vector")
    if sorter is not None and (sorter.shape != sorted_sequence.shape or sorter.dtype != np.int64):
        raise RuntimeError(f"searchsorted(): sorter {describe(sorter)} must be int64 of the shape of the sequence, "
                           f"{tuple(sorted_sequence.shape)}")
    return searchsorted_op(sorted_sequence, input, sorter, right=right or side == "right", int32=out_int32)


def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The number of the interval between boundaries that each element is in; one on a boundary is in the lower, or
    with right=True in the upper one."""
    if boundaries.ndim != 1:
        raise RuntimeError(f"bucketize(): the boundaries must be a vector, got {describe(boundaries)}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


# --- counts -----------------------------------------------------------------------------------------------------------


def _counts(x, weights, /, minlength=0):
    if weights is None:
        return np.bincount(x, minlength=minlength)
    return np.bincount(x, weights, minlength).astype(np.float32 if weights.dtype == np.float32 else np.float64)


bincount_op = Op("bincount", _counts, doc="How often each of 0, 1, … is in x; with weights, what these add up to.")


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, … is there, at least `minlength` of them; with weights, what these add up to."""
    if input.ndim != 1 or input.dtype.kind not in "iu" or input.numel() and input.array.min() < 0:
        raise RuntimeError(f"bincount() expects a vector of whole numbers from 0 up, got {describe(input)}")
    if weights is not None and weights.shape != input.shape:
        raise RuntimeError(f"bincount(): weights {describe(weights)} must have the shape of input {describe(input)}")
    if operator.index(minlength) < 0:
        raise RuntimeError(f"bincount(): minlength must not be negative, got {minlength}")
    return bincount_op(input.detach(), None if weights is None else weights.detach(), minlength=minlength)


def _histogram(x, edges, weight, /, density=False):
    count, _ = np.histogram(x.reshape(-1), edges, weights=None if weight is None else weight.reshape(-1))
    count = count.astype(x.dtype)
    if not density:
        return count
    with np.errstate(invalid="ignore"):  # the density of nothing is nan
        return count / (np.add.reduce(count) * np.diff(edges))


histogram_op = Op("histogram", _histogram,
                  doc="How many elements lie between one edge and the next; with a weight, what these add up to.")


def _edges(name: str, input: Tensor, bins: int, low: float, high: float, margin: float) -> np.ndarray:
    """The edges of bins of equal width; from the smallest to the largest element where low and high are equal, and
    where these are equal, too, a margin around."""
    if bins <= 0:
        raise RuntimeError(f"{name}(): the number of bins must be positive, got {bins}")
    if low == high:
        low, high = (input.array.min().item(), input.array.max().item()) if input.numel() else (0, 1)
    if low == high:
        low, high = low - margin, high + margin
    if not np.isfinite([low, high]).all():
        raise RuntimeError(f"{name}(): the range from {low} to {high} is not finite")
    if low > high:
        raise RuntimeError(f"{name}(): the range must lead upwards, not from {low} to {high}")
    return np.linspace(low, high, bins + 1, dtype=input.dtype if input.is_floating_point() else None)


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of `bins` intervals of equal width from min to max; by default from the smallest
    to the largest."""
    edges = _edges("histc", input, bins, min, max, 1)
    return histogram_op(input.detach(), edges, None)


def histogram(input: Tensor, bins: Any = 100, *, range: Any = None, weight: Tensor | None = None,
              density: bool = False) -> Named:
    """(hist, bin_edges): the elements in each interval, counted, or their weights added up; `bins` is a number of
    intervals or their edges. density: so that the integral is 1."""
    if isinstance(bins, Tensor):
        edges = bins.detach()
    else:
        low, high = range or (0, 0)
        edges = Tensor(_edges("histogram", input, bins, low, high, 0.5))
    if weight is not None and weight.shape != input.shape:
        raise RuntimeError(f"histogram(): weight {describe(weight)} must have the shape of input {describe(input)}")
    hist = histogram_op(input.detach(), edges, None if weight is None else weight.detach(), density=density)
    return return_types.histogram((hist, edges))


def _histogram_of_points(points, weight, /, *edges, density=False):
    weight = None if weight is None else weight.reshape(-1)
    with np.errstate(invalid="ignore"):  # the density of nothing is nan
        return np.histogramdd(points, edges, density=density, weights=weight)[0].astype(points.dtype)


histogramdd_op = Op("histogramdd", _histogram_of_points,
                    doc="How many points (N, D) lie in each box between edges, a vector of them per dimension.")


def histogramdd(input: Tensor, bins: Any, *, range: Any = None, weight: Tensor | None = None,
                density: bool = False) -> Named:
    """`histogram` of points, which lie in the last dimension: (hist, bin_edges), a dimension and edges for each
    coordinate. `range` holds the lowest and the highest edge of each, one after the other."""
    if input.ndim < 2:
        raise RuntimeError(f"histogramdd() expects points in the last of at least 2 dimensions, got {describe(input)}")
    points = input.detach().reshape(-1, input.shape[-1])
    bins = [bins] * points.shape[1] if isinstance(bins, int) else bins
    if len(bins) != points.shape[1]:
        raise RuntimeError(f"histogramdd(): {len(bins)} bins for {points.shape[1]} coordinates")
    if isinstance(bins[0], Tensor):
        edges = tuple(b.detach() for b in bins)
    else:
        lows, highs = (range[::2], range[1::2]) if range else ([0] * len(bins),) * 2
        edges = tuple(Tensor(_edges("histogramdd", points[:, k], n, lows[k], highs[k], 0.5))
                      for k, n in enumerate(bins))
    hist = histogramdd_op(points, None if weight is None else weight.detach(), *edges, density=density)
    return return_types.histogramdd((hist, edges))


if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals())
