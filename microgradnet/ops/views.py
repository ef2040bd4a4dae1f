"""Windows on a tensor's memory: parts, diagonals and overlapping pieces, to read and to write through."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..graph import Op, _mark_view, owner
from ..tensor import Size, Tensor, describe
from .elementwise import where
from .index import Slot, _read_op, getitem, setitem_op
from .public import public
from .shape import length, movedim, permute, sizes
from .window import overlay

# --- parts ------------------------------------------------------------------------------------------------------------


def _at(dim: int, part: Any) -> tuple:
    """The index of a part along one dimension."""
    return (slice(None),) * dim + (part,)


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at one position along dim, without that dimension; a view."""
    dim, index, n = normalize_axis_index(dim, input.ndim), operator.index(index), length(input, dim)
    if not -n <= index < n:
        raise IndexError(f"select(): index {index} is out of range for dimension {dim} of {describe(input)}")
    return _read_op(input, index=_at(dim, index))


def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """The `length` slices from `start` on along dim; a view."""
    dim, start, count = normalize_axis_index(dim, input.ndim), operator.index(start), operator.index(length)
    n = input.shape[dim]
    if not -n <= start <= n:
        raise IndexError(f"narrow(): start {start} is out of range for dimension {dim} of {describe(input)}")
    start += n if start < 0 else 0
    if count < 0 or start + count > n:
        raise RuntimeError(f"narrow(): {count} slices from {start} on exceed dimension {dim} of {describe(input)}")
    return _read_op(input, index=_at(dim, slice(start, start + count)))


def narrow_copy(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`narrow` with memory of its own."""
    return narrow(input, dim, start, length).clone()


# --- diagonals --------------------------------------------------------------------------------------------------------


def _diagonal(x, /, offset=0, dim1=0, dim2=1):
    normalize_axis_index(dim1, x.ndim), normalize_axis_index(dim2, x.ndim)  # where x is a vector, NumPy says otherwise
    view = np.diagonal(x, offset, dim1, dim2)
    if x.flags.writeable:
        view.flags.writeable = True  # NumPy gives it read-only
    return view


def _on_diagonal(x, /, shape, offset=0, dim1=0, dim2=1):
    out = np.zeros(shape, x.dtype)
    _diagonal(out, offset, dim1, dim2)[...] = x
    return out


diagonal = diagonal_op = Op("diagonal", _diagonal,
              lambda g, _y, _x, offset=0, dim1=0, dim2=1:
              on_diagonal_op(g, shape=tuple(_x.shape), offset=offset, dim1=dim1, dim2=dim2),
              view=True, doc="The diagonal of dim1 and dim2, as the last dimension; a view.")
on_diagonal_op = Op("diag_embed", _on_diagonal,
                    lambda g, _y, _x, shape, offset=0, dim1=0, dim2=1:
                    diagonal(g, offset=offset, dim1=dim1, dim2=dim2),
                    doc="The last dimension on the diagonal of dim1 and dim2, 0 elsewhere.")


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices in dim1 and dim2 of the result, with the last dimension of input on their diagonal."""
    n = input.ndim + 1
    dim1, dim2 = normalize_axis_index(dim1, n), normalize_axis_index(dim2, n)
    if dim1 == dim2:
        raise RuntimeError(f"diag_embed(): dim1 and dim2 must differ, both are {dim1}")
    shape = list(input.shape[:-1])
    for dim in sorted((dim1, dim2)):
        shape.insert(dim, input.shape[-1] + abs(offset))
    return on_diagonal_op(input, shape=tuple(shape), offset=offset, dim1=dim1, dim2=dim2)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, as a copy; of a vector the matrix that has it on its diagonal."""
    if input.ndim not in (1, 2):
        raise RuntimeError(f"diag() expects a vector or a matrix, got {describe(input)}; diagonal() takes more")
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    return diagonal_op(input, offset=diagonal).clone()


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with all elements of input on its diagonal."""
    return diag_embed(input.reshape(-1), offset)


def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    if input.ndim != 2:
        raise RuntimeError(f"trace() expects a matrix, got {describe(input)}")
    return diagonal(input).sum()


# --- a copy with new values in a window -------------------------------------------------------------------------------


def _with_part(name: str, input: Tensor, src: Tensor, view: Callable[[Any], Any]) -> Tensor:
    """A copy of input whose window `view` shows src."""
    places = view(Tensor(np.arange(input.numel()).reshape(input.shape))).array
    if tuple(src.shape) != places.shape:
        raise RuntimeError(f"{name}(): src {describe(src)} must have the shape of what it replaces, {places.shape}")
    flat = setitem_op(input.reshape(-1), src.reshape(-1), places.reshape(-1), index=(Slot(0),))
    return flat.reshape(input.shape)


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy with src in the place of `select`."""
    return _with_part("select_scatter", input, src, lambda x: select(x, dim, index))


def slice_scatter(input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None,
                  step: int = 1) -> Tensor:
    """A copy with src in the place of the slice start:end:step along dim."""
    part = _at(normalize_axis_index(dim, input.ndim), slice(start, end, step))
    return _with_part("slice_scatter", input, src, lambda x: getitem(x, part))


def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy with src in the place of `diagonal`."""
    return _with_part("diagonal_scatter", input, src, lambda x: diagonal(x, offset, dim1, dim2))


def as_strided_scatter(input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A copy with src in the place of `as_strided`."""
    whole = input.contiguous()
    return _with_part("as_strided_scatter", whole, src, lambda x: as_strided(x, size, stride, storage_offset))


# --- overlapping windows ----------------------------------------------------------------------------------------------


def _storage(x: np.ndarray) -> tuple[np.ndarray, int]:
    """The memory behind an array, as a vector in the order of memory, and at which element the array starts."""
    memory = owner(x)
    flat = memory.transpose(np.argsort(memory.strides, kind="stable")[::-1])
    if not flat.flags.c_contiguous:
        raise ValueError(f"the memory behind {describe(x)} has gaps; clone() it first")
    flat = flat.reshape(-1).view(x.dtype)
    start = x.__array_interface__["data"][0] - flat.__array_interface__["data"][0]
    return flat, start // x.itemsize if x.size else 0


def _unfolded(x, /, dimension, size, step):
    dimension, n = dimension % x.ndim, x.shape[dimension]
    if size > n:
        raise ValueError(f"a window of {size} does not fit dimension {dimension} of shape {x.shape}")
    shape, strides = [*x.shape, size], [*x.strides, x.strides[dimension]]
    shape[dimension] = (n - size) // step + 1
    strides[dimension] *= step
    flat, start = _storage(x)
    view = np.ndarray(shape, x.dtype, flat, start * x.itemsize, strides)
    view.flags.writeable = x.flags.writeable and (size <= step or shape[dimension] < 2)
    return view


def _unfold_rule(g, _y, _x, dimension, size, step):
    parts = movedim(g, dimension % _x.ndim, -1)  # (…, size, windows)
    return movedim(overlay(parts, size=(_x.shape[dimension],), stride=(step,), dilation=(1,)), -1, dimension)


unfold_op = Op("unfold", _unfolded, _unfold_rule, view=True,
               doc="Windows of `size` along a dimension, `step` apart: (…, n, …) to (…, windows, …, size).")


def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """All windows of `size` along a dimension, `step` apart, with their elements in a new last dimension; a view."""
    if step <= 0 or size < 0:
        raise RuntimeError(f"unfold(): size must not be negative and step must be positive, got {size} and {step}")
    if not self.ndim:
        return narrow(self.reshape(1), dimension, 0, size)
    if not size:
        shape = [n // step + 1 if i == dimension % self.ndim else n for i, n in enumerate(self.shape)]
        return self.reshape(-1)[:0].reshape(*shape, 0)
    return unfold_op(self, dimension=dimension, size=size, step=step)


def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the memory behind input: element (i, j, …) lies `storage_offset` + i · stride[0] + j · stride[1] + …
    elements from its start; by default from where input starts.

    The gradient goes to the elements of input that it shows. Where it shows an element twice it is read-only.
    """
    size, stride = sizes((size,)), sizes((stride,))
    if len(size) != len(stride):
        raise RuntimeError(f"as_strided(): {len(size)} sizes, {size}, but {len(stride)} strides, {stride}")
    if builtins.min((*size, *stride), default=0) < 0:
        raise RuntimeError(f"as_strided(): sizes and strides must not be negative, got {size} and {stride}")
    x = input.array
    memory, here = _storage(x)
    offset = here if storage_offset is None else operator.index(storage_offset)
    reach = builtins.sum((n - 1) * s for n, s in zip(size, stride)) if Size(size).numel() else -1
    if offset < 0 or offset + reach >= memory.size:
        raise RuntimeError(f"as_strided(): size {size}, stride {stride} and offset {offset} reach beyond the "
                           f"{memory.size} elements behind {describe(input)}")
    shown = np.ndarray(size, x.dtype, memory, offset * x.itemsize, [s * x.itemsize for s in stride])
    wanted, own = (_positions(a.shape, a.strides, a.itemsize, start) for a, start in ((shown, offset), (x, here)))
    shown.flags.writeable = bool(x.flags.writeable and np.unique(wanted).size == wanted.size)
    return _read_through(input, shown, wanted, own)


def _positions(shape: tuple, strides: tuple, itemsize: int, start: int) -> np.ndarray:
    """For each element how far it lies from the start of the memory, in elements."""
    total = np.full(shape, start)
    for axis, (n, step) in enumerate(zip(shape, strides)):
        total += (np.arange(n) * (step // itemsize)).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return total.reshape(-1)


def _read_through(input: Tensor, shown: np.ndarray, wanted: np.ndarray, own: np.ndarray) -> Tensor:
    """A view that shows `shown`, recorded as reading the places of input that hold the `wanted` elements."""
    order = np.argsort(own, kind="stable")
    places = order[np.minimum(np.searchsorted(own, wanted, sorter=order), max(own.size - 1, 0))] if own.size else own
    read = _read_op(input.reshape(-1), places, index=(Slot(0),)).reshape(shown.shape)
    if (own[places] != wanted).any():  # elements that are not input's: constants
        read = where((own[places] == wanted).reshape(shown.shape), read, shown.copy())
    read._data, read._base = shown, None
    _mark_view(read, input)
    return read


def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions exchanged; a view."""
    if input.ndim < 2:
        raise RuntimeError(f"adjoint() expects at least 2 dimensions, got {describe(input)}")
    return permute(input, *range(input.ndim - 2), -1, -2)


if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals())
