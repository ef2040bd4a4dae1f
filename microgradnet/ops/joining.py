"""Joining tensors in other ways than `cat` and `stack`, and parting them in other ways than `split`."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import result_type
from ..graph import ShapeError
from ..tensor import Size, Tensor, describe
from .public import public
from .shape import _sequence, cat, common_shape, expand, length, reshape, split, split_op, stack, unsqueeze

# --- parting ----------------------------------------------------------------------------------------------------------


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts along dim: that many, of nearly equal size, or those between these indices; views."""
    if not input.ndim:
        raise RuntimeError("tensor_split() expects at least one dimension")
    n = length(input, dim)
    if isinstance(indices_or_sections, Tensor):
        if indices_or_sections.ndim > 1 or indices_or_sections.dtype != np.int64:
            raise RuntimeError(f"tensor_split(): the indices must be an int64 vector or number, got "
                               f"{describe(indices_or_sections)}")
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, (list, tuple)):
        cuts = tuple(map(operator.index, indices_or_sections))
    else:
        parts = operator.index(indices_or_sections)
        if parts <= 0:
            raise RuntimeError(f"tensor_split(): the number of parts must be positive, got {parts}")
        size, longer = divmod(n, parts)
        cuts = tuple(k * size + min(k, longer) for k in range(1, parts))
    return split_op(input, sections=cuts, dim=dim)


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of these sizes along dim; views."""
    return split(input, list(split_sizes), dim)


def _split_at(name: str, least: int, dim: int, input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    if input.ndim < least:
        raise RuntimeError(f"{name}() expects at least {least} dimension(s), got {describe(input)}")
    if isinstance(indices_or_sections, int):
        n = length(input, dim)
        if indices_or_sections <= 0 or n % indices_or_sections:
            raise RuntimeError(f"{name}(): dimension {dim} of {describe(input)} does not part into "
                               f"{indices_or_sections} equal sections; tensor_split() takes unequal ones")
    return tensor_split(input, indices_or_sections, dim)


def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Parts along the columns (the only dimension, of a vector): equal ones, or those between these indices."""
    return _split_at("hsplit", 1, 0 if input.ndim == 1 else 1, input, indices_or_sections)


def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Parts along the rows: equal ones, or those between these indices."""
    return _split_at("vsplit", 2, 0, input, indices_or_sections)


def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Parts along the third dimension: equal ones, or those between these indices."""
    return _split_at("dsplit", 3, 2, input, indices_or_sections)


# --- more dimensions --------------------------------------------------------------------------------------------------


def _each(one: Any, tensors: tuple) -> Any:
    """one(x) of a tensor, or a tuple of it for several."""
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return one(tensors[0])
    return tuple(map(one, tensors[0] if len(tensors) == 1 else tensors))


def atleast_1d(*tensors: Any) -> Any:
    """With at least one dimension; of several tensors, or a sequence of them, a tuple."""
    return _each(lambda x: x if x.ndim else reshape(x, 1), tensors)


def atleast_2d(*tensors: Any) -> Any:
    """With at least two dimensions; a vector is a row."""
    return _each(lambda x: x if x.ndim > 1 else reshape(x, 1, -1), tensors)


def atleast_3d(*tensors: Any) -> Any:
    """With at least three dimensions; a vector lies in the second, a matrix in the first two."""
    return _each(lambda x: x if x.ndim > 2 else unsqueeze(x, -1) if x.ndim == 2 else reshape(x, 1, -1, 1), tensors)


# --- joining ----------------------------------------------------------------------------------------------------------


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the third dimension."""
    return cat([atleast_3d(x) for x in _sequence("dstack", tensors)], 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the columns; vectors are columns."""
    return cat([x if x.ndim > 1 else reshape(x, -1, 1) for x in _sequence("column_stack", tensors)], 1)


def block_diag(*tensors: Tensor) -> Tensor:
    """The matrices on the diagonal of one, zeros elsewhere; vectors and numbers are rows."""
    if not tensors:
        return Tensor(np.zeros((1, 0), np.float32))
    for x in tensors:
        if x.ndim > 2:
            raise RuntimeError(f"block_diag() expects tensors of at most 2 dimensions, got {describe(x)}")
    blocks = [atleast_2d(x) for x in tensors]
    dtype, width = result_type(*tensors), sum(x.shape[1] for x in blocks)
    rows, before = [], 0
    for x in blocks:
        n, m = x.shape
        left, right = (Tensor(np.zeros((n, k), dtype)) for k in (before, width - before - m))
        rows.append(cat([left, x, right], 1))
        before += m
    return cat(rows, 0)


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The coordinates of a grid: for each vector a tensor of the grid's shape, constant along the others; views.

    indexing: 'ij', the default, for the vectors' own order; 'xy' for the first two exchanged, as in plots.
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if not tensors:
        raise ShapeError("meshgrid() expects at least one tensor")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f"meshgrid(): indexing must be 'ij' or 'xy', got {indexing!r}")
    if any(x.ndim > 1 for x in tensors):
        raise RuntimeError(f"meshgrid() expects vectors or numbers, got {', '.join(map(describe, tensors))}")
    if any(x.dtype != tensors[0].dtype for x in tensors):
        raise RuntimeError(f"meshgrid() expects tensors of one dtype, got {', '.join(map(describe, tensors))}")
    n = len(tensors)
    place = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))  # of each vector's dimension
    shape = [0] * n
    for x, at in zip(tensors, place):
        shape[at] = x.numel()
    return tuple(expand(reshape(x, *(-1 if i == at else 1 for i in range(n))), *shape)
                 for x, at in zip(tensors, place))


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of an element of each vector, one a row."""
    if not tensors or any(x.ndim != 1 for x in tensors):
        raise RuntimeError(f"cartesian_prod() expects vectors, got {', '.join(map(describe, tensors))}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(x, -1) for x in meshgrid(*tensors)], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of r elements of a vector, in its order, one a row."""
    if input.ndim != 1:
        raise RuntimeError(f"combinations() expects a vector, got {describe(input)}")
    if r < 0:
        raise RuntimeError(f"combinations(): r must not be negative, got {r}")
    if r == 0:
        return Tensor(np.empty(0, input.dtype))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.array(list(choose(range(input.numel()), r)), np.int64).reshape(-1, r)
    return input[Tensor(places)]


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of these shapes broadcast to."""
    return Size(common_shape("broadcast_shapes", *(Tensor(np.broadcast_to(False, s)) for s in shapes)))


if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals())
