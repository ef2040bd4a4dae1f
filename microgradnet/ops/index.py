"""Reading and writing by position. The derivative of reading is adding back at the same places, and conversely."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..graph import Op
from ..tensor import Tensor, describe
from .elementwise import where
from .public import public
from .shape import common_shape, length


class Slot:
    """In an index, the place of the n-th index tensor: tensors are arguments of the operation, the rest is metadata."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __repr__(self) -> str:
        return f"<{self.n}>"


def parse(index: Any) -> tuple[tuple, list[Tensor]]:
    """An index as written between brackets, parted into metadata and the tensors in it, lists and arrays included."""
    tensors: list[Tensor] = []
    parts = []
    for i in index if isinstance(index, tuple) else (index,):
        if type(i) is not int and i is not None and i is not Ellipsis:
            if isinstance(i, slice):
                if not all(type(k) is int or k is None for k in (i.start, i.stop, i.step)):
                    i = slice(*(None if k is None else operator.index(k) for k in (i.start, i.stop, i.step)))
            elif isinstance(i, (int, np.integer)) and not isinstance(i, bool):
                i = int(i)
            else:
                tensors.append(_index_tensor(i))
                i = Slot(len(tensors) - 1)
        parts.append(i)
    return tuple(parts), tensors


def _index_tensor(i):
    if isinstance(i, (list, range)):
        i = [k.tolist() if isinstance(k, Tensor) else k for k in i]
        i = Tensor(np.array(i)) if i else Tensor(np.empty(0, np.int64))
    elif isinstance(i, (bool, np.bool_, np.ndarray)):
        i = Tensor(np.array(i))
    if not isinstance(i, Tensor):
        what = f"{type(i).__name__} {i!r:.40}"
        raise IndexError(f"an index is a number, slice, None, ..., list, array or tensor, not a {what}")
    if i.dtype.kind == "f" or i.dtype == np.uint8:  # PyTorch takes uint8 for a mask
        raise IndexError(f"index tensors must hold whole numbers (not uint8) or booleans, got {describe(i)}; use "
                         ".long() or .bool()")
    return i


def locate(x: np.ndarray, index: tuple, tensors: Any) -> tuple[np.ndarray, tuple]:
    """(view of x, index in NumPy's sense): where a parsed index points.

    Numbers and slices are applied first, index tensors then to what is left, as in PyTorch. NumPy would count a number
    among the index arrays, and in `x[0, :, mask]` put the dimension of those in front.
    """
    index = tuple(_number_or_array(tensors[i.n]) if isinstance(i, Slot) else i for i in index)
    if not any(i is Ellipsis for i in index):
        index = (*index, ...)  # so that one element, too, is an array
    if not any(type(i) is int for i in index) or _is_basic(index):
        return x, index
    first: list[Any] = []
    then: list[Any] = []
    for i in index:
        if isinstance(i, np.ndarray):
            first += [slice(None)] * (i.ndim if i.dtype.kind == "b" else 1)
            then.append(i)
        else:
            first.append(i)
            if type(i) is not int:
                then.append(i if i is Ellipsis else slice(None))
    return x[tuple(first)], tuple(then)


def _is_basic(index):
    return not any(isinstance(i, np.ndarray) for i in index)


def _number_or_array(tensor):
    return int(tensor) if tensor.ndim == 0 and tensor.dtype.kind != "b" else np.asarray(tensor)


def _read(x, /, *tensors, index):
    x, index = locate(np.asarray(x), index, tensors)
    return x[index] if _is_basic(index) else np.asarray(x[index], order="C")


def _read_rule(g, _y, _x, *tensors, index):
    return _add_at(g, *tensors, shape=_x.shape, index=index)


def add_rows(out: np.ndarray, index: np.ndarray, rows: np.ndarray) -> None:
    """out[index[i]] += rows[i], every mention of a place counting, for contiguous `out` and an index from the front.

    In flat positions it is several times faster than `np.add.at` on rows.
    """
    width = out[:1].size if len(out) else 0
    places = index.reshape(-1, 1) * width + np.arange(width)
    np.add.at(out.reshape(-1), places.reshape(-1), rows.reshape(-1))


def _added(g, /, *tensors, shape, index):
    out = np.zeros(shape, g.dtype)
    part, index = locate(out, index, tensors)
    first, after = index[0], index[1:]
    whole_rows = part is out and len(after) == 1 and after[0] is Ellipsis
    if whole_rows and isinstance(first, np.ndarray) and first.dtype.kind != "b":
        add_rows(out, first % max(len(out), 1), g)
    elif any(isinstance(i, np.ndarray) and i.dtype.kind != "b" for i in index):
        np.add.at(part, index, g)  # it may name a place more than once: every mention counts
    else:
        part[index] = g
    return out


_read_op = Op("getitem", _read, _read_rule, view=True, doc="x[index]")
_add_at = Op("add_at", _added, lambda g, _y, _g, *tensors, shape, index: _read_op(g, *tensors, index=index),
             doc="Zeros with g added at an index, every mention of a place counting: what reading there is transposed.")


def _scattered_to(shape, tensors, index):
    """The shape of what such an index reads or writes in an array of that shape."""
    part, index = locate(np.broadcast_to(False, shape), index, [t.array for t in tensors])
    return part[index].shape


def _written(x, value, /, *tensors, index):
    out = np.array(x)
    part, index = locate(out, index, tensors)
    part[index] = value
    return out


def _written_rule(g, _y, _x, _value, *tensors, index):
    part = _read_op(g, *tensors, index=index)
    lead = _value.ndim - part.ndim  # a value may have more dimensions than its place, of size 1
    return part.reshape((1,) * lead + part.shape) if lead > 0 else part


setitem_op = Op("setitem", _written,
                lambda g, _y, _x, _value, *tensors, index: setitem_op(g, 0.0, *tensors, index=index), _written_rule,
                doc="A copy of x with `value` at an index.")


def getitem(input: Tensor, index: Any) -> Tensor:
    """input[index]: ints, slices, `...`, None, lists, boolean masks and index tensors, in PyTorch's sense."""
    parts, tensors = parse(index)
    return _read_op(input, *tensors, index=parts)


# --- by one index tensor --------------------------------------------------------------------------------------------


def _checked(index, shape, dim):
    """An index array into dimension `dim`. A negative index, which would count from the end, is refused."""
    size = shape[normalize_axis_index(dim, len(shape))]
    if index.dtype.kind not in "iu":
        raise TypeError(f"the index must hold whole numbers, got {index.dtype}")
    if index.size and (index.min() < 0 or index.max() >= size):
        bad = index[(index < 0) | (index >= size)].flat[0]
        raise IndexError(f"index {bad} is out of range for dimension {dim} of size {size}")
    return index


def _vector(index, shape, dim):
    if index.ndim > 1:
        raise IndexError(f"the index must be a vector, got one of shape {index.shape}")
    return _checked(index.reshape(-1), shape, dim)


def _places(shape, index, dim):
    """The NumPy index of the places that `index` names along `dim`, itself elsewhere."""
    axis = normalize_axis_index(dim, len(shape))
    if index.ndim != len(shape):
        raise ValueError(f"the index of shape {index.shape} must have as many dimensions as the tensor's {shape}")
    if any(n > m for i, (n, m) in enumerate(zip(index.shape, shape)) if i != axis):
        raise ValueError(f"the index of shape {index.shape} exceeds the tensor's {shape} outside dimension {dim}")
    grid = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    grid[axis] = _checked(index, shape, dim)
    return tuple(grid)


def _used(source, index):
    """The part of a source that an index asks for."""
    if index.ndim != source.ndim or any(n > m for n, m in zip(index.shape, source.shape)):
        raise ValueError(f"the index of shape {index.shape} exceeds the source's {source.shape}")
    return source[tuple(slice(n) for n in index.shape)]


def _scattered_sum(x, index, source, /, dim):
    out = np.array(x, order="C")
    accumulate_at(np.add, out, _places(x.shape, index, dim), _used(source, index))
    return out


def accumulate_at(ufunc, out, places, source):
    """out[places] = ufunc(out[places], source) where every mention of a place counts, for an array in row-major order
    and an index array for each dimension: by one flat index, many times faster than ufunc.at by several."""
    steps = (s // out.itemsize for s in out.strides)
    flat = sum((p * s for p, s in zip(places, steps)), start=np.int64(0))
    ufunc.at(out.reshape(-1), flat.reshape(-1), source.astype(out.dtype, copy=False).reshape(-1))


def _scattered(x, index, source, /, dim):
    out = np.array(x)
    places = _places(x.shape, index, dim)
    out[places] = source if np.ndim(source) == 0 else _used(source, index)
    return out


def _embedded(g, index, _source, dim):
    """The gradient for the part of `source` that was used, zeros for the rest; a number is used everywhere."""
    used = gather_op(g, index, dim=dim)
    if used.shape == _source.shape or not _source.shape:
        return used
    return _add_at(used, shape=_source.shape, index=tuple(slice(n) for n in used.shape))


gather_op = Op("gather", lambda x, index, /, dim: x[_places(x.shape, index, dim)],
               lambda g, _y, _x, index, dim: scatter_sum_op(zeros_at(_x), index, g, dim=dim), None,
               doc="The elements of x at the numbers `index` along `dim`, in the shape of the index.")
scatter_sum_op = Op("scatter_add", _scattered_sum, lambda g, _y, _x, _i, _s, dim: g, None,
                    lambda g, _y, _x, index, _s, dim: _embedded(g, index, _s, dim),
                    doc="x with the elements of `source` added at the numbers `index` along `dim`.")
scatter_op = Op("scatter", _scattered,
                lambda g, _y, _x, index, _s, dim: scatter_op(g, index, 0.0, dim=dim), None,
                lambda g, _y, _x, index, _s, dim: _embedded(g, index, _s, dim),
                doc="x with the elements of `source`, or a number, at the numbers `index` along `dim`.")
index_select_op = Op("index_select",
                     lambda x, index, /, dim: np.take(x, _vector(index, x.shape, dim), axis=dim),
                     lambda g, _y, _x, index, dim: index_sum_op(zeros_at(_x), index, g, dim=dim), None,
                     doc="The slices of x with the numbers `index` along `dim`.")


def _index_summed(x, index, source, /, dim, alpha=1):
    out = np.array(x, order="C")
    index = _vector(index, x.shape, dim)
    places = np.ix_(*(index if i == dim % x.ndim else range(n) for i, n in enumerate(x.shape)))
    source = source if alpha == 1 else alpha * source
    accumulate_at(np.add, out, places, np.broadcast_to(source, [*map(np.size, places)]))
    return out


index_sum_op = Op("index_add", _index_summed, lambda g, _y, _x, _i, _s, dim, alpha=1: g, None,
                  lambda g, _y, _x, index, _s, dim, alpha=1: alpha * index_select_op(g, index, dim=dim),
                  doc="x with the slices of alpha · source added at the numbers `index` along `dim`.")


def zeros_at(x):
    """Zeros of the shape and dtype of a value, without its history."""
    return np.zeros(x.shape, x.dtype)


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """out[i, j, …] = input[index[i, j, …], j, …] for dim 0, and so on: an element per entry of index."""
    if 0 in index.shape:
        return input.reshape(-1)[:0].reshape(index.shape)
    if input.ndim + index.ndim < 2:  # PyTorch takes numbers for vectors of one element
        return gather_op(input.reshape(-1), index.reshape(-1), dim=dim).reshape(index.shape)
    return gather_op(input, index, dim=dim)


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """As `gather`, with broadcasting; over all elements as one vector if dim is None."""
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    n = length(input, dim)
    indices = where(indices < 0, indices + n, indices)
    shape = [*np.broadcast_shapes(_without(input.shape, dim), _without(indices.shape, dim))]
    axis = dim % input.ndim
    return gather(input.expand(*shape[:axis], input.shape[dim], *shape[axis + 1 :]), dim,
                  indices.expand(*shape[:axis], indices.shape[dim], *shape[axis + 1 :]))


def _without(shape, dim):
    return tuple(1 if i == dim % len(shape) else n for i, n in enumerate(shape))


def _source(value, src):
    if value is not None and src is not None:
        raise TypeError("scatter(): give src or value, not both")
    return value if src is None else src


def scatter(input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None,
            reduce: str | None = None) -> Tensor:
    """A copy with out[index[i, j], j] = src[i, j] for dim 0, and so on; where index repeats a place, the last stays.

    reduce: 'add' or 'multiply' what was there and all that arrives; `scatter_reduce` does more.
    """
    source = _source(value, src)
    if input.ndim + index.ndim < 2:
        return scatter(input.reshape(-1), dim, _flat(index), _flat(source), reduce=reduce).reshape(input.shape)
    if 0 in index.shape:
        return input.clone()
    if reduce is None:
        return scatter_op(input, index, source, dim=dim)
    if reduce not in ("add", "multiply"):
        raise RuntimeError(f"scatter(): reduce must be 'add' or 'multiply', got {reduce!r}")
    if not isinstance(source, Tensor):
        source = Tensor(np.full(index.shape, source, input.dtype))
    from .scattering import scatter_reduce

    return scatter_reduce(input, dim, index, source, "sum" if reduce == "add" else "prod")


def _flat(x):
    return x.reshape(-1) if isinstance(x, Tensor) else x


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy with out[index[i, j], j] += src[i, j] for dim 0, and so on; every mention of a place counts."""
    if input.ndim + index.ndim < 2:
        return scatter_add(input.reshape(-1), dim, _flat(index), _flat(src)).reshape(input.shape)
    if 0 in index.shape:
        return input.clone()
    return scatter_sum_op(input, index, src, dim=dim)


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices named by a vector of indices, along dim."""
    if not input.ndim:
        return index_select_op(input.reshape(1), index, dim=dim).reshape(())
    return index_select_op(input, index, dim=dim)


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """A copy with alpha · source[i] added to slice index[i] along dim."""
    if not input.ndim:
        return index_add(input.reshape(1), dim, index, source.reshape(-1), alpha=alpha).reshape(())
    return index_sum_op(input, index, source, dim=dim, alpha=alpha)


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at these positions of the tensor seen as one vector; the shape is that of index."""
    if index.dtype != np.int64:
        raise RuntimeError(f"take(): the index must be int64, got {describe(index)}")
    return _read_op(input.reshape(-1), index.reshape(-1), index=(Slot(0),)).reshape(index.shape)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """A copy with `value` (a number or a 0-d tensor) where mask is True."""
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"masked_fill(): value must be a number or a 0-d tensor, got {describe(value)}; use where()")
    if isinstance(value, Tensor):
        value = value.to(input.dtype)
    elif not input.is_floating_point():
        value = input.dtype.type(value).item()  # the dtype stays
    return where(mask, value, input)


def fill(input: Tensor, value: Any) -> Tensor:
    """`value`, a number or a 0-d tensor, everywhere."""
    return masked_fill(input, Tensor(np.array(True)), value)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where mask is True, as a vector."""
    shape = common_shape("masked_select", input, mask)
    return getitem(input.expand(shape), mask.expand(shape))


def _triangle(part):
    def forward(x, /, diagonal=0):
        if x.ndim < 2:
            raise ValueError("a triangle is part of a matrix: at least 2 dimensions are needed")
        return part(x, diagonal)

    return forward


tril = Op("tril", _triangle(np.tril),
          lambda g, _y, _x, diagonal=0: tril(g, diagonal=diagonal), numpy=np.tril,
          doc="The lower triangle, 0 above the given diagonal.")
triu = Op("triu", _triangle(np.triu),
          lambda g, _y, _x, diagonal=0: triu(g, diagonal=diagonal), numpy=np.triu,
          doc="The upper triangle, 0 below the given diagonal.")


if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals(), "accumulate_at", "add_rows", "getitem", "locate", "parse", "zeros_at")
