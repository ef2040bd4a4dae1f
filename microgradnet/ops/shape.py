"""Operations that rearrange: most give views, as in PyTorch, and their derivatives put the elements back."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..graph import Op, ShapeError
from ..tensor import Size, Tensor, describe
from .public import numpy_names, public


class _Ones(dict):
    """Rows of ones, by length and dtype; kept, because each bias asks for the same one in every step."""

    def __missing__(self, key: tuple) -> np.ndarray:
        if len(self) > 64:
            self.clear()
        ones = self[key] = np.ones(*key)
        return ones


_ones = _Ones()


def _sum_to(x, /, shape):
    if x.ndim == 2 and x.shape[1:] == shape and x.dtype.kind == "f":
        return _ones[len(x), x.dtype].dot(x)  # a row of ones times the matrix: several times faster than a reduction
    lead = x.ndim - len(shape)
    y = np.add.reduce(x, axis=tuple(range(lead))) if lead > 0 else x
    if y.shape != shape and lead >= 0:
        y = np.add.reduce(y, axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)
    if y.shape != tuple(shape):
        raise ValueError(f"a gradient of shape {x.shape} is no broadcast of the operand's shape {tuple(shape)}")
    return y


sum_to = Op("sum_to", _sum_to, lambda g, _y, _x, shape: expand_op(g, shape=_x.shape),
            doc="Summed down to a shape that broadcasts to x's: what undoes broadcasting in a gradient.")


def _spread(x, /, shape):
    if x.size == 1 and Size(shape).numel() <= 4096:  # writing a few elements costs less than making the view
        out = np.empty(shape, x.dtype)
        out[...] = x
        return out
    return np.broadcast_to(x, shape)


spread = Op("spread", _spread, lambda g, _y, _x, shape: sum_to(g, shape=_x.shape),
            doc="Broadcast to a shape, as a copy where it is small; for use in rules.")
expand_op = Op("expand", lambda x, /, shape: _expanded(x, shape),
               lambda g, _y, _x, shape: sum_to(g, shape=_x.shape), numpy=np.broadcast_to, view=True,
               doc="Broadcast to a shape, without copying.")

reshape_op = Op("reshape", lambda x, /, shape: x.reshape(shape), lambda g, _y, _x, shape: g.reshape(_x.shape),
                numpy=np.reshape, view=True, doc="The same elements in another shape.")
permute_op = Op("permute", lambda x, /, dims: x.transpose(dims),
                lambda g, _y, _x, dims: permute(g, _inverse(dims)), view=True,
                doc="The dimensions in the order `dims`.")
transpose = Op("transpose", lambda x, /, dim0, dim1: _swapped(x, dim0, dim1),
               lambda g, _y, _x, dim0, dim1: transpose(g, dim0, dim1), numpy=np.swapaxes, view=True,
               doc="Two dimensions exchanged.")
squeeze = Op("squeeze", lambda x, /, dim=None: _squeezed(x, dim), lambda g, _y, _x, dim=None: g.reshape(_x.shape),
             numpy=np.squeeze, view=True, doc="Without the dimensions of size 1, or without `dim` where its size is 1.")
unsqueeze = Op("unsqueeze", lambda x, /, dim: np.expand_dims(x, dim), lambda g, _y, _x, dim: g.reshape(_x.shape),
               numpy=np.expand_dims, view=True, doc="With a new dimension of size 1 at `dim`.")
flip_op = Op("flip", lambda x, /, dims: np.array(np.flip(x, dims)), lambda g, _y, _x, dims: flip(g, dims),
             numpy=np.flip, doc="In reverse order along `dims`.")


def _swapped(x, dim0, dim1):
    if not x.ndim:  # a number may have the one dimension 0
        return x.reshape(()) if {dim0, dim1} <= {0, -1} else x.swapaxes(dim0, dim1)
    return x.swapaxes(dim0, dim1)


def _expanded(x, shape):
    y = np.broadcast_to(x, shape)  # read-only, because elements share places; where none do, a view to write through
    return x.reshape(shape) if y.size == x.size else y


def _inverse(dims):
    order = [d % len(dims) for d in dims]
    return tuple(order.index(i) for i in range(len(order)))


def _squeezed(x, dim):
    if dim is None:
        return np.squeeze(x)
    dims = normalize_axis_tuple(dim, x.ndim or 1)
    return x.reshape([n for i, n in enumerate(x.shape) if not (i in dims and n == 1)])


def sizes(given: tuple, named: Any = None) -> tuple:
    """Sizes given as separate numbers, as one sequence, or by name."""
    if named is not None:
        given = (named,)
    numbers = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    return tuple(map(operator.index, numbers))


def reshape(input: Tensor, *given: Any, shape: Any = None) -> Tensor:
    """The same elements in row-major order in another shape; one size may be -1. A view where memory allows it."""
    return reshape_op(input, shape=sizes(given, shape))


def view(input: Tensor, *shape: Any) -> Tensor:
    """As `reshape`, but never a copy: an error where the memory layout does not allow a view. A dtype in place of a
    shape shows the same bytes as that dtype."""
    if len(shape) == 1 and isinstance(shape[0], (np.dtype, type)):
        return Tensor(input.array.view(shape[0]))
    result = reshape(input, *shape)
    if result._base is None and input.numel():
        raise RuntimeError(
            f"view({list(sizes(shape))}): the memory of a tensor of shape {tuple(input.shape)} with strides "
            f"{input.array.strides} cannot be shown in that shape without a copy; use reshape()"
        )
    return result


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """`view` in the shape of other."""
    return view(input, other.shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions start_dim to end_dim (inclusive) made one."""
    shape = input.shape
    if not shape:
        return reshape(input, 1)
    n = len(shape)
    if not (-n <= start_dim < n and -n <= end_dim < n):
        raise IndexError(f"flatten(): dimensions {start_dim} to {end_dim} are out of range for shape {shape}")
    start, end = start_dim % n, end_dim % n
    if start > end:
        raise RuntimeError(f"flatten(): start_dim {start_dim} lies behind end_dim {end_dim} for shape {shape}")
    if start == end:
        return input
    return reshape(input, *shape[:start], Size(shape[start : end + 1]).numel(), *shape[end + 1 :])


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Dimension `dim` split into several of these sizes."""
    dim = normalize_axis_index(dim, input.ndim)
    if -1 not in sizes and Size(sizes).numel() != input.shape[dim]:
        raise RuntimeError(f"unflatten(): sizes {tuple(sizes)} do not multiply to dimension {dim} of {input.shape}")
    return reshape(input, *input.shape[:dim], *sizes, *input.shape[dim + 1 :])


def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension."""
    return reshape(input, -1)


def permute(input: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """The dimensions in another order."""
    return permute_op(input, dims=sizes(order, dims))


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; a vector as it is."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects at most 2 dimensions, got {tuple(input.shape)}; use transpose() or .mT")
    return input if input.ndim < 2 else transpose(input, 0, 1)


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions moved to other places, the rest in order."""
    n = input.ndim
    source, destination = normalize_axis_tuple(source, n), normalize_axis_tuple(destination, n)
    if len(source) != len(destination):
        raise RuntimeError(f"movedim(): {len(source)} dimensions to move, but {len(destination)} places")
    order = [d for d in range(n) if d not in source]
    for d, s in sorted(zip(destination, source)):
        order.insert(d, s)
    return permute(input, order)


def expand(input: Tensor, *shape: Any, size: Any = None) -> Tensor:
    """Broadcast, as a view; -1 keeps a size."""
    wanted = sizes(shape, size)
    lead = len(wanted) - input.ndim
    if lead < 0:
        raise RuntimeError(f"expand({list(wanted)}): fewer dimensions than the tensor's {tuple(input.shape)}")
    kept = (input.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(wanted))
    return expand_op(input, shape=tuple(kept))


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`expand` to the shape of other."""
    return expand(input, other.shape)


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """`expand`."""
    return expand(input, *size)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All expanded to their common shape."""
    shape = common_shape("broadcast_tensors", *tensors)
    return tuple(expand(x, shape) for x in tensors)


def common_shape(name: str, *tensors: Tensor) -> tuple[int, ...]:
    """The shape that all broadcast to."""
    try:
        return np.broadcast_shapes(*(x.shape for x in tensors))
    except ValueError as error:
        raise ShapeError(f"{name}({', '.join(map(describe, tensors))}): {error}") from None


def repeat(input: Tensor, *times: Any, repeats: Any = None) -> Tensor:
    """Copied `repeats[i]` times along each dimension, new dimensions in front."""
    repeats = sizes(times, repeats)
    lead = len(repeats) - input.ndim
    if lead < 0:
        raise RuntimeError(f"repeat({list(repeats)}): fewer repeats than dimensions of {tuple(input.shape)}")
    return repeat_op(input, repeats=repeats)


def _repeated_rule(g, _y, _x, repeats):
    shape = (1,) * (len(repeats) - _x.ndim) + tuple(_x.shape)
    blocks = g.reshape([k for pair in zip(repeats, shape) for k in pair])
    return sum_to(blocks, shape=tuple(k for n in shape for k in (1, n))).reshape(_x.shape)


repeat_op = Op("repeat", lambda x, /, repeats: np.tile(x, repeats), _repeated_rule,
               doc="Copied `repeats[i]` times along dimension i, new dimensions in front.")


def tile(input: Tensor, *times: Any, dims: Any = None) -> Tensor:
    """As `repeat`, with missing leading repeats taken as 1."""
    dims = sizes(times, dims)
    return repeat(input, (1,) * (input.ndim - len(dims)) + dims)


def flip(input: Tensor, *given: Any, dims: Any = None) -> Tensor:
    """In reverse order along these dimensions."""
    return flip_op(input, dims=sizes(given, dims))


# --- joining and parting ----------------------------------------------------------------------------------------------


def _joined(*arrays, dim=0):
    return np.asarray(np.concatenate([a for a in arrays if a.shape != (0,)] or arrays, axis=dim), order="C")


def _parted(needs, g, _y, *_arrays, dim=0):
    gradients, start = [], 0
    for i, a in enumerate(_arrays):
        n = 0 if a.shape == (0,) else a.shape[dim]  # PyTorch lets an empty vector join anything
        gradients.append(_slice(g, dim, start, start + n).reshape(a.shape) if i in needs else None)
        start += n
    return gradients


def _slice(x, dim, start, stop):
    return x[(slice(None),) * (dim % x.ndim) + (slice(start, stop),)]


cat_op = Op("cat", _joined, joint=_parted, promotes=True, doc="Joined along the dimension `dim`.")
stack_op = Op("stack", lambda *arrays, dim=0: np.asarray(np.stack(arrays, axis=dim), order="C"), promotes=True,
              joint=lambda needs, g, _y, *_arrays, dim=0: [
                  g[(slice(None),) * (dim % g.ndim) + (i,)] if i in needs else None for i in range(len(_arrays))
              ], doc="Arrays of one shape, joined along a new dimension `dim`.")
split_op = Op("split", lambda x, /, sections, dim=0: tuple(np.split(x, sections, axis=dim)),
              lambda g, _y, _x, sections, dim=0: cat(g, dim), view=True,
              doc="The pieces between the positions `sections` of the dimension `dim`.")


def _unbind(x, /, dim=0):
    x = np.moveaxis(x, dim, 0) if dim or not x.ndim else x
    return tuple([x[i, ...] for i in range(len(x))])  # ...: a number is an array, too


unbind_op = Op("unbind", _unbind,
               lambda g, _y, _x, dim=0: stack(g, dim), view=True,
               doc="The slices along `dim`, one for each index, without that dimension.")


def _sequence(name: str, tensors: Any) -> list:
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(f"{name}() expects a sequence of tensors, got {type(tensors).__name__}")
    if not tensors:
        raise ShapeError(f"{name}() expects at least one tensor")
    return list(tensors)


@numpy_names
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Joined along an existing dimension; all other sizes must be equal."""
    return cat_op(*_sequence("cat", tensors), dim=dim)


@numpy_names
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Joined along a new dimension; all shapes must be equal."""
    return stack_op(*_sequence("stack", tensors), dim=dim)


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the columns (the only dimension, for vectors)."""
    tensors = [x if x.ndim else reshape(x, 1) for x in tensors]
    return cat(tensors, 0 if tensors[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the rows; vectors are rows."""
    return cat([x if x.ndim > 1 else reshape(x, 1, -1) for x in tensors], 0)


def length(input: Tensor, dim: int) -> int:
    """The size of a dimension; an IndexError that names it where it is not there."""
    return input.shape[normalize_axis_index(dim, input.ndim)]


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of this size (the last may be smaller), or of these sizes, along dim."""
    n = length(tensor, dim)
    if not isinstance(split_size_or_sections, Sequence):
        step = operator.index(split_size_or_sections)
        if step <= 0 and n:
            raise RuntimeError(f"split(): the size of a part must be positive, got {step}")
        cuts = list(range(step, n, step)) if n else []
    else:
        parts = list(split_size_or_sections)
        if builtins.sum(parts) != n:
            total = builtins.sum(parts)
            raise RuntimeError(f"split(): sizes {parts} add up to {total}, not to dimension {dim} of {tensor.shape}")
        cuts = [int(c) for c in np.cumsum(parts[:-1])]
    return split_op(tensor, sections=tuple(cuts), dim=dim)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` parts of equal size, the last perhaps smaller."""
    if chunks <= 0:
        raise RuntimeError(f"chunk(): the number of chunks must be positive, got {chunks}")
    n = length(input, dim)
    return split(input, -(-n // chunks), dim) if n else split(input, [0] * chunks, dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dimension, without it."""
    return unbind_op(input, dim=dim)


def clone(input: Tensor) -> Tensor:
    """A copy that gradients flow through."""
    return clone_op(input)


clone_op = Op("clone", lambda x, /, order="K": np.array(x, order=order), lambda g, _y, _x, order="K": g, numpy=np.copy,
              doc="A copy.")
to_dtype = Op("to", lambda x, /, dtype: x.astype(dtype), lambda g, _y, _x, dtype: to_dtype(g, dtype=_x.dtype),
              doc="In another dtype; the gradient returns to that of x.")

swapaxes = swapdims = transpose
moveaxis, concat, concatenate, row_stack = movedim, cat, cat, vstack

if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals(), "common_shape", "length", "sizes", "spread", "sum_to", "to_dtype")
