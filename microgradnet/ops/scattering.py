"""Writing to places that an index tensor names: sums, products and extremes of what arrives at each, and copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..graph import Op
from ..tensor import Tensor, describe
from .counting import isin
from .elementwise import floor_divide, where
from .index import (
    Slot,
    _add_at,
    _places,
    _scattered_to,
    _used,
    accumulate_at,
    gather_op,
    masked_fill,
    scatter,
    scatter_add,
    scatter_sum_op,
    setitem_op,
    take,
)  # fmt: skip
from .public import public
from .reduce import cumsum
from .shape import common_shape

# --- products and extremes --------------------------------------------------------------------------------------------


def _accumulate(ufunc):
    def forward(x, index, source, /, dim):
        out = np.array(x, order="C")
        accumulate_at(ufunc, out, _places(x.shape, index, dim), _used(source, index))
        return out

    return forward


def _part(x, index):
    """The part of a source that an index asks for."""
    return x if tuple(x.shape) == tuple(index.shape) else x[tuple(slice(n) for n in index.shape)]


def _whole(g, shape):
    """The gradient of a source from that of the part that was used."""
    if tuple(g.shape) == tuple(shape):
        return g
    return _add_at(g, shape=tuple(shape), index=tuple(slice(n) for n in g.shape))


def _product_rule_x(g, _y, _x, index, source, dim):
    return g * scatter_product_op(np.ones(_x.shape, _x.dtype), index, source, dim=dim)


def _product_rule_source(g, y, x, index, source, dim):
    """The product of the others: that of all over this one. What is 0 is left out of the product, one at a time of
    those that arrive at the same place."""
    part = _part(source, index)
    turn = _turns(np.asarray(_values(part) == 0), _places(x.shape, _values(index), dim))
    found = gather_op(g * y, index, dim=dim) / where(turn >= 0, 1.0, part)
    for k in range(turn.max(initial=-1) + 1):
        others = scatter_product_op(x, index, where(turn == k, 1.0, part), dim=dim)
        found = where(turn == k, gather_op(g * others, index, dim=dim), found)
    return _whole(found, source.shape)


def _values(x):
    return x.array if isinstance(x, Tensor) else x


def _turns(mask, places):
    """For each element of the mask its number among those of the same place, from 0; -1 outside the mask."""
    here = np.stack(np.broadcast_arrays(*places), -1)[mask]
    turn = np.full(mask.shape, -1)
    if len(here):
        which = np.unique(here, axis=0, return_inverse=True)[1].reshape(-1)
        order = np.argsort(which, kind="stable")
        starts = np.searchsorted(which[order], which[order])
        turn[mask] = (np.arange(len(order)) - starts)[np.argsort(order)]
    return turn


def _extreme_rules(needs, g, y, x, index, source, dim):
    """What ties for the extreme of a place shares its gradient evenly."""
    part = _part(source, index)
    own, arrived = _as(x == y, x), _as(part == gather_op(y, index, dim=dim), x)
    share = g / scatter_sum_op(own, index, arrived, dim=dim)
    return [own * share if 0 in needs else None, None,
            _whole(arrived * gather_op(share, index, dim=dim), source.shape) if 2 in needs else None]


def _as(mask, like):
    """A mask as numbers of the dtype of another value."""
    return mask.astype(like.dtype) if isinstance(mask, np.ndarray) else mask.to(like.dtype)


scatter_product_op = Op("scatter_prod", _accumulate(np.multiply), _product_rule_x, None, _product_rule_source,
                        looks=True, doc="x times the elements of `source`, at the numbers `index` along `dim`.")
scatter_max_op = Op("scatter_amax", _accumulate(np.maximum), None, None, None, joint=_extreme_rules,
                    doc="The largest of x and what `source` brings to its place; ties share the gradient evenly.")
scatter_min_op = Op("scatter_amin", _accumulate(np.minimum), None, None, None, joint=_extreme_rules,
                    doc="The smallest of x and what `source` brings to its place; ties share the gradient evenly.")


def scatter_reduce(input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *,
                   include_self: bool = True) -> Tensor:
    """A copy with src[i, j, …] gathered at out[index[i, j, …], j, …] for dim 0, and so on, and reduced there: 'sum',
    'prod', 'mean', 'amax' or 'amin', together with what was there or without (include_self).

    Ties for an extreme share the gradient evenly.
    """
    if input.ndim + index.ndim < 2:
        flat = scatter_reduce(input.reshape(-1), dim, index.reshape(-1), src.reshape(-1), reduce,
                              include_self=include_self)
        return flat.reshape(input.shape)
    if src.dtype != input.dtype:
        raise RuntimeError(f"scatter_reduce(): src {describe(src)} must have the dtype of input {describe(input)}")
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"scatter_reduce(): reduce must be 'sum', 'prod', 'mean', 'amax' or 'amin', got {reduce!r}")
    if not index.numel():
        return input.clone()
    start = input if include_self else scatter(input, dim, index, value=_neutral(reduce, input.dtype))
    if reduce in ("prod", "amax", "amin"):
        op = {"prod": scatter_product_op, "amax": scatter_max_op, "amin": scatter_min_op}[reduce]
        return op(start, index, src, dim=dim)
    total = scatter_sum_op(start, index, src, dim=dim)
    if reduce == "sum":
        return total
    ones = Tensor(np.ones(input.shape, input.dtype))
    counted = ones if include_self else scatter(ones, dim, index, value=0)
    count = scatter_add(counted, dim, index, Tensor(np.ones(src.shape, input.dtype)))
    return total / count if input.is_floating_point() else floor_divide(total, count)


def _neutral(reduce: str, dtype: np.dtype) -> Any:
    """The number that does not count."""
    if reduce in ("sum", "mean", "prod"):
        return int(reduce == "prod")
    if dtype.kind == "f":
        return -np.inf if reduce == "amax" else np.inf
    if dtype.kind == "b":
        return reduce == "amin"
    return int(np.iinfo(dtype).min if reduce == "amax" else np.iinfo(dtype).max)


# --- along a dimension, by a vector of indices ------------------------------------------------------------------------


def _grid(name: str, input: Tensor, dim: int, index: Tensor, source: Any = None) -> Tensor:
    """The index of whole slices as `scatter` wants it: one entry per element."""
    axis = normalize_axis_index(dim, input.ndim)
    if index.ndim > 1 or index.dtype.kind not in "iu":
        raise IndexError(f"{name}(): the index must be a vector of whole numbers, got {describe(index)}")
    shape = [index.numel() if i == axis else n for i, n in enumerate(input.shape)]
    if source is not None:
        if tuple(source.shape) != tuple(shape):
            raise IndexError(f"{name}(): source {describe(source)} must have the shape {tuple(shape)}: a slice of "
                             f"{describe(input)} for each of the {index.numel()} indices")
        if source.dtype != input.dtype:
            raise RuntimeError(f"{name}(): source {describe(source)} must have the dtype of input {describe(input)}")
    return index.reshape([-1 if i == axis else 1 for i in range(input.ndim)]).expand(shape)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy with slice index[i] along dim replaced by source[i]."""
    if not input.ndim:
        return index_copy(input.reshape(1), dim, index, source.reshape(-1)).reshape(())
    source = source if source.ndim else source.reshape([1] * input.ndim)
    return scatter(input, dim, _grid("index_copy", input, dim, index, source), source)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy with `value`, a number or a 0-d tensor, in the slices named by a vector of indices along dim."""
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"index_fill(): value must be a number or a 0-d tensor, got {describe(value)}")
    if index.ndim > 1 or index.dtype.kind not in "iu":
        raise IndexError(f"index_fill(): the index must be a vector of whole numbers, got {describe(index)}")
    axis, n = normalize_axis_index(dim, input.ndim or 1), input.shape[dim] if input.ndim else 1
    if index.numel() and not (-n <= index.array.min() and index.array.max() < n):
        raise IndexError(f"index_fill(): an index is out of range for dimension {dim} of {describe(input)}")
    filled = isin(Tensor(np.arange(n)), where(index < 0, index + n, index))
    shape = [-1 if i == axis else 1 for i in range(input.ndim)]
    return masked_fill(input, filled.reshape(shape), value)


def index_reduce(input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *,
                 include_self: bool = True) -> Tensor:
    """`scatter_reduce` of whole slices, named by a vector of indices along dim: 'prod', 'mean', 'amax' or 'amin'."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce(): reduce must be 'prod', 'mean', 'amax' or 'amin', got {reduce!r}")
    if not input.ndim:
        return index_reduce(input.reshape(1), dim, index, source.reshape(-1), reduce,
                            include_self=include_self).reshape(())
    source = source if source.ndim else source.reshape([1] * input.ndim)
    grid = _grid("index_reduce", input, dim, index, source)
    return scatter_reduce(input, dim, grid, source, reduce, include_self=include_self)


# --- by several index tensors, by a mask, by position -----------------------------------------------------------------


def index_put(input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with values at input[indices], a tuple of index tensors or masks; with `accumulate` they are added, and
    every mention of a place counts."""
    if values.dtype != input.dtype:
        raise RuntimeError(f"index_put(): values {describe(values)} must have the dtype of input {describe(input)}")
    tensors = [i for i in indices if i is not None]
    slots = iter(range(len(tensors)))
    index = tuple(slice(None) if i is None else Slot(next(slots)) for i in indices)
    if not accumulate:
        return setitem_op(input, values, *tensors, index=index)
    shape = _scattered_to(input.shape, tensors, index)
    return input + _add_at(values.expand(shape), *tensors, shape=tuple(input.shape), index=index)


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with source at these positions of the tensor seen as one vector; with `accumulate` added there."""
    if index.numel() != source.numel():
        raise IndexError(f"put(): index {describe(index)} and source {describe(source)} must be of one size")
    if index.dtype != np.int64:
        raise RuntimeError(f"put(): the index must be int64, got {describe(index)}")
    flat = index_put(input.reshape(-1), (index.reshape(-1),), source.reshape(-1), accumulate)
    return flat.reshape(input.shape)


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy with the elements of source, in order, where mask is True."""
    if mask.dtype.kind != "b":
        raise RuntimeError(f"masked_scatter(): the mask must be boolean, got {describe(mask)}; use != 0")
    if source.dtype != input.dtype:
        raise RuntimeError(f"masked_scatter(): source {describe(source)} must have the dtype of input "
                           f"{describe(input)}")
    shape = common_shape("masked_scatter", input, mask)
    mask = mask.expand(shape)
    wanted = int(np.count_nonzero(mask.array))
    if wanted > source.numel():
        raise RuntimeError(f"masked_scatter(): {wanted} places are masked, but source {describe(source)} has "
                           f"{source.numel()} elements")
    if not wanted:
        return input.expand(shape).clone()
    which = (cumsum(mask.reshape(-1), dim=0) - 1).clamp(0)  # of the source's elements: as many as were masked before
    return where(mask, take(source, which).reshape(shape), input)


if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals())
