"""Rearranging elements: turning, repeating, and reshaping to fit another tensor."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..graph import Op
from ..recording import setting
from ..tensor import Size, Tensor, describe
from .index import index_select
from .public import public
from .shape import flip, reshape, sizes, sum_to, transpose

roll_op = Op("roll", lambda x, /, shifts, dims=None: np.roll(x, shifts, dims),
             lambda g, _y, _x, shifts, dims=None: roll_op(g, shifts=tuple(-s for s in shifts), dims=dims),
             doc="Moved on by `shifts` along `dims`; what leaves at one end comes in at the other.")


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """The elements moved on by `shifts` along dims, those that leave at one end come in at the other; without dims,
    over all elements as one vector."""
    shifts = sizes((shifts,)) if not isinstance(shifts, int) else (shifts,)
    if dims is None or dims == ():
        if len(shifts) != 1:
            raise RuntimeError(f"roll(): {len(shifts)} shifts, {shifts}, without dims")
        return roll_op(input.reshape(-1), shifts=shifts, dims=(0,)).reshape(input.shape)
    dims = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(dims) != len(shifts):
        raise RuntimeError(f"roll(): {len(shifts)} shifts, {shifts}, for {len(dims)} dims, {dims}")
    if not input.ndim:
        return input.clone()
    dims = tuple(normalize_axis_index(d, input.ndim) for d in dims)
    return roll_op(input, shifts=shifts, dims=dims)


def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """Turned by k right angles in the plane of two dims, from the first towards the second."""
    if input.ndim < 2 or len(dims) != 2:
        raise RuntimeError(f"rot90() expects 2 dims, got {dims}, and at least as many of {describe(input)}")
    a, b = (normalize_axis_index(d, input.ndim) for d in dims)
    if a == b:
        raise RuntimeError(f"rot90(): the two dims must differ, both are {a}")
    k %= 4
    if k == 0:
        return input.clone()
    if k == 2:
        return flip(input, a, b)
    return transpose(flip(input, b), a, b) if k == 1 else flip(transpose(input, a, b), b)


def fliplr(input: Tensor) -> Tensor:
    """The columns in reverse order."""
    if input.ndim < 2:
        raise RuntimeError(f"fliplr() expects at least 2 dimensions, got {describe(input)}")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """The rows in reverse order."""
    if input.ndim < 1:
        raise RuntimeError("flipud() expects at least 1 dimension")
    return flip(input, 0)


def _repeated(repeats, /):
    if repeats.dtype not in (np.int32, np.int64) or repeats.ndim != 1:
        raise TypeError(f"repeats must be a vector of int32 or int64, got {describe(repeats)}")
    return np.repeat(np.arange(repeats.size, dtype=repeats.dtype), repeats)


repeated_index_op = Op("repeated_index", _repeated, doc="Each position as often as the number there says.")


def repeat_interleave(input: Tensor, repeats: Any = None, dim: int | None = None, *,
                      output_size: int | None = None) -> Tensor:
    """Each slice along dim `repeats` times in a row, a number for all or a vector with one for each; without dim, over
    all elements as one vector. With one argument, each position as often as the number there says."""
    if repeats is None:
        return repeated_index_op(input)
    if dim is None or not input.ndim:
        input, dim = input.reshape(-1), 0
    dim = normalize_axis_index(dim, input.ndim)
    n = input.shape[dim]
    if not isinstance(repeats, Tensor):
        repeats = Tensor(np.asarray(repeats, np.int64))
    if repeats.numel() not in (1, n):
        raise RuntimeError(f"repeat_interleave(): {repeats.numel()} repeats for dimension {dim} of {describe(input)}")
    return index_select(input, dim, repeated_index_op(repeats.reshape(-1).expand(n)))


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """`reshape` to the shape of other."""
    return reshape(input, tuple(other.shape))


def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """Summed down to a shape that broadcasts to input's."""
    shape = sizes(size)
    ends = tuple(input.shape[input.ndim - len(shape) :])
    if len(shape) > input.ndim or any(n not in (1, m) for n, m in zip(shape, ends)):
        raise RuntimeError(f"sum_to_size(): {shape} does not broadcast to the shape of {describe(input)}")
    return sum_to(input, shape=shape) if shape != tuple(input.shape) else input


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape."""
    return input.shape == other.shape


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Positions in a tensor of that shape, seen as one vector, as its indices: a tensor per dimension."""
    shape = (operator.index(shape),) if not isinstance(shape, (list, tuple)) else sizes((shape,))
    if indices.dtype.kind not in "iu":
        raise TypeError(f"unravel_index(): the indices must be whole numbers, got {describe(indices)}")
    if any(n < 0 for n in shape):
        raise ValueError(f"unravel_index(): the shape must not be negative, got {shape}")
    parts, rest = [], indices
    for n in reversed(shape):
        parts.append(rest % n)
        rest = rest // n
    return tuple(reversed(parts))


def resize_(self: Tensor, *size: Any) -> Tensor:
    """Another shape for this tensor itself, which tracks no gradient: the elements that fit stay, in order; new ones
    hold anything."""
    shape = sizes(size)
    if self.requires_grad:
        raise RuntimeError("resize_(): a tensor that requires grad cannot be resized; use reshape() or detach()")
    if shape != tuple(self.shape):
        array = np.empty(Size(shape).numel(), self.dtype)
        kept = min(array.size, self.numel())
        array[:kept] = self.array.reshape(-1)[:kept]
        same = array.size == self.numel() and self.is_contiguous()
        self._data = self.array.reshape(shape) if same else array.reshape(shape)
        self._base = self._base if same else None
        setting()
    return self


def resize_as_(self: Tensor, other: Tensor) -> Tensor:
    """`resize_` to the shape of other."""
    return resize_(self, tuple(other.shape))


if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals())
