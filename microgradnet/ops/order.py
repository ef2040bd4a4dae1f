"""Sorting and what follows from it. Each operation finds indices, by an operation without a derivative, and gathers
there: gradients flow to the elements returned, for nothing."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .. import return_types
from ..graph import Op
from ..return_types import Indexed
from ..tensor import Tensor, describe
from .elementwise import isnan
from .index import gather
from .public import public
from .reduce import sum
from .shape import clone, length, squeeze
from .views import narrow


def _sorted_indices(x, /, dim=-1, descending=False):
    # Stable in both directions, with nan above all numbers: descending, what is sorted is the reverse, and turned back.
    if not x.ndim:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(x, axis=dim, kind="stable")
    return x.shape[dim] - 1 - np.flip(np.argsort(np.flip(x, dim), axis=dim, kind="stable"), dim)


def _middle_indices(x, /, dim, skip_nan=False):
    """Where the lower median is, dim kept; nan, if there is one and it is not skipped, counts as the median."""
    order, last = np.argsort(x, axis=dim, kind="stable"), x.shape[dim] - 1
    nans = np.add.reduce(np.isnan(x), axis=dim, keepdims=True, dtype=np.int64)
    if skip_nan:
        place = np.maximum(last - nans, 0) // 2
    else:
        place = np.where(nans > 0, last + 1 - nans, last // 2)
    return np.take_along_axis(order, place, dim)


def _commonest_indices(x, /, dim):
    """Where the smallest of the most frequent elements is found for the last time, dim kept."""
    order = np.moveaxis(np.argsort(x, axis=dim, kind="stable"), dim, -1)
    ordered = np.take_along_axis(np.moveaxis(x, dim, -1), order, -1)
    here = np.arange(ordered.shape[-1])
    starts = np.concatenate([np.ones((*ordered.shape[:-1], 1), bool), ordered[..., 1:] != ordered[..., :-1]], -1)
    run = here - np.maximum.accumulate(np.where(starts, here, 0), axis=-1)  # equal elements met before
    end = np.argmax(run, axis=-1, keepdims=True)
    return np.moveaxis(np.take_along_axis(order, end, -1), -1, dim)


argsort_op = Op("argsort", _sorted_indices, doc="The indices that sort x along `dim`; equal elements stay in order.")
middle_op = Op("median_index", _middle_indices)
commonest_op = Op("mode_index", _commonest_indices)


def _chosen(kind: type[Indexed], input: Tensor, dim: int, indices: Tensor, keepdim: bool = True) -> Any:
    """The elements at these indices along dim, as (values, indices) of that kind."""
    values = gather(input, dim, indices)
    if keepdim or not input.ndim:
        return kind((values, indices))
    return kind((squeeze(values, dim), squeeze(indices, dim)))


def _one_along(kind: type[Indexed], find: Op, input: Tensor, dim: int, keepdim: bool, **params: Any) -> Any:
    """One element along dim, where `find` says."""
    if not input.ndim:
        normalize_axis_index(dim, 1)
        return kind((clone(input), Tensor(np.zeros((), np.int64))))
    if length(input, dim) == 0:
        raise IndexError(f"{kind.__name__}(): there is nothing along dimension {dim} of {describe(input)}")
    return _chosen(kind, input, dim, find(input, dim=dim, **params), keepdim)


# --- sorting ----------------------------------------------------------------------------------------------------------


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort along dim; always stable here. nan counts as the largest."""
    normalize_axis_index(dim, input.ndim or 1)
    return argsort_op(input, dim=dim, descending=descending)


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Indexed:
    """(values, indices) in order along dim; always stable here. nan counts as the largest."""
    return _chosen(return_types.sort, input, dim, argsort(input, dim, descending))


def msort(input: Tensor) -> Tensor:
    """Sorted along the first dimension."""
    return sort(input, 0).values


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Indexed:
    """(values, indices) of the k largest along dim, or the k smallest, in order."""
    k, n = operator.index(k), length(input, dim) if input.ndim else 1
    if not 0 <= k <= n:
        raise RuntimeError(f"topk(): k={k} is out of range for dimension {dim} of {describe(input)}")
    indices = argsort(input, dim, descending=largest)
    if not input.ndim:
        return _chosen(return_types.topk, input, dim, indices) if k else return_types.topk((input[None][:0],) * 2)
    return _chosen(return_types.topk, input, dim, narrow(indices, dim, 0, k))


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Indexed:
    """(values, indices) of the k-th smallest along dim, counted from 1."""
    k, n = operator.index(k), length(input, dim) if input.ndim else 1
    if not n:
        raise IndexError(f"kthvalue(): there is nothing along dimension {dim} of {describe(input)}")
    if not 1 <= k <= n:
        raise RuntimeError(f"kthvalue(): k={k} is out of range for dimension {dim} of {describe(input)}")
    indices = argsort(input, dim)
    if input.ndim:
        indices = narrow(indices, dim, k - 1, 1)
    return _chosen(return_types.kthvalue, input, dim, indices, keepdim)


# --- the middle, and the commonest ------------------------------------------------------------------------------------


def _middle(skip_nan):
    def forward(x, /):
        flat = x.reshape(-1)
        if not flat.size:
            return np.full((), np.nan, x.dtype) if x.dtype.kind == "f" else np.zeros((), x.dtype)
        return flat[_middle_indices(flat, 0, skip_nan)].reshape(())

    return forward


def _among_equals(g, y, x):
    equal = (x == y) | (isnan(x) & isnan(y))
    return equal * (g / sum(equal))


middle_of_all_op = Op("median", _middle(False), _among_equals,
                      doc="The median of all elements, the lower of two; nan if one is there.")
nan_middle_of_all_op = Op("nanmedian", _middle(True), _among_equals,
                          doc="The median of all elements that are not nan, the lower of two.")


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median of all elements, or (values, indices) along dim; nan where an element is.

    Elements that equal the median of all share its gradient evenly; along dim it goes to the index returned.
    """
    if dim is None:
        return middle_of_all_op(input)
    return _one_along(return_types.median, middle_op, input, dim, keepdim)


def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """As `median`, of the elements that are not nan."""
    if dim is None:
        return nan_middle_of_all_op(input)
    return _one_along(return_types.nanmedian, middle_op, input, dim, keepdim, skip_nan=True)


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Indexed:
    """(values, indices) of the most frequent element along dim, the smallest of several."""
    return _one_along(return_types.mode, commonest_op, input, dim, keepdim)


if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals())
