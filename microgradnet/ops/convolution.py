"""Convolution in any number of dimensions, and its two derivatives, which are each other's.

With x of shape (N, C, *size), w of shape (O, C / groups, *kernel) and g of shape (N, O, *out), all three are
derivatives of the one sum, over all indices, of

    g[n, o, i] · w[o, c, k] · x[n, c, i · stride + k · dilation - padding]

namely `convolution` by g, `convolution_input` by x, `convolution_weight` by w. So the gradient of each by one of its
arguments is one of the other two, to any order. `convolution_input` is also known as transposed convolution.

Each is a product of matrices for every part of the batch: the windows under the kernel are copied into columns.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..graph import Op
from .reduce import sum
from .window import count, view_windows

__all__: list[str] = []  # functions are in nn.functional, as in PyTorch

CACHE = 1 << 18  # elements of the columns that are made at a time: more would fall out of the cache
KEPT = 1 << 25  # bytes of what is in between that are kept for the next time
SHORT = 16  # windows in a row: longer rows are copied well one by one
WASTE = 1.4  # how many times more columns there may be than windows


def _walk(size, out, stride, w, groups):
    """(the lengths that windows are counted by, the length of a row): the output's own, and 0; or its last two as one.

    With stride 1 the windows of all rows of an image follow one another in memory. Between two rows lie a few windows
    that reach from the end of the one into the next: with them the copies are long, and their results are left out.
    That is worth it where there is more to copy into columns than to put into rows that leave them out.
    """
    worth = out[-1] <= SHORT and size[-1] <= WASTE * out[-1] and w[0].size * groups >= 2 * len(w)
    if len(out) < 2 or stride[-2:] != (1, 1) or not worth:
        return out, 0
    return (*out[:-2], (out[-2] - 1) * size[-1] + out[-1]), size[-1]


def _in_rows(columns, out, row):
    """The view (…, *out) of what is counted by a walk."""
    if not row:
        return columns
    step = columns.strides[-1]
    return as_strided(columns, (*columns.shape[:-1], *out[-2:]), (*columns.strides[:-1], row * step, step))


def _windows(x, kernel, out, walk, stride, dilation, writeable=False):
    """The windows of a padded input in row-major order, as a view (N, C, *kernel, *walk)."""
    view = view_windows(x, kernel, out, stride, dilation, writeable)
    if len(walk) == len(out):
        return view
    return as_strided(view, (*view.shape[:-2], walk[-1]), (*view.strides[:-2], view.strides[-1]), writeable=writeable)


class _Rooms(threading.local):
    """Memory for what is only in between, by its use. A thread keeps it: made anew each time, it costs page faults."""

    def __init__(self):
        self.kept = {}

    def get(self, use, shape, dtype):
        size, room = math.prod(shape), self.kept.get((use, dtype))
        if room is None or room.size < size:
            room = np.empty(size, dtype)
            if room.nbytes <= KEPT:
                self.kept[use, dtype] = room
        return room[:size].reshape(shape)


_rooms = _Rooms()


def _parts(batch: int, columns: int) -> Iterator[slice]:
    """The batch in parts whose columns stay in the cache; an example has `columns` elements."""
    step = max(1, CACHE // max(columns, 1))
    for start in range(0, batch, step):
        yield slice(start, min(start + step, batch))


def _padded(x, padding):
    """In row-major order, in memory that the next one takes."""
    if not any(padding):
        return np.ascontiguousarray(x)
    out = _rooms.get("padded", (*x.shape[:2], *(n + 2 * p for n, p in zip(x.shape[2:], padding))), x.dtype)
    out[...] = 0
    out[_inner(padding)] = x
    return out


def _inner(padding):
    return (..., *(slice(p, -p or None) for p in padding))


def _columns(windows, shape):
    """Windows as columns, of this shape: (groups, C / groups · kernel, N · walk)."""
    windows = np.moveaxis(windows, 0, (windows.ndim + 1) // 2)  # behind the kernel
    columns = _rooms.get("columns", windows.shape, windows.dtype)
    np.copyto(columns, windows)
    return columns.reshape(*shape, -1)


def _rows(y, groups, walk, row):
    """(N, O, *out) as (groups, O / groups, N · walk), with zeros where the walk leaves the output."""
    n, channels, *out = y.shape
    if n > 1 or row:
        rows = _rooms.get("rows", (channels, n, *walk), y.dtype)
        if row:
            rows[...] = 0
        _in_rows(rows, out, row)[...] = y.swapaxes(0, 1)
        y = rows
    return y.reshape(groups, channels // groups, -1)


def _checked(x, w, b, stride, padding, dilation, groups):
    """The sizes of the output. The functions of nn check ranks and numbers of channels."""
    kernel = w.shape[2:]
    if any(a is not None and a.dtype != x.dtype and "c" not in a.dtype.kind + x.dtype.kind for a in (w, b)):
        kinds = f"{w.dtype}" if b is None else f"{w.dtype} and {b.dtype}"
        raise TypeError(f"input, weight and bias must have one dtype, got {x.dtype} and {kinds}; convert by .to()")
    out = count(x.shape[2:], kernel, stride, padding, dilation)
    if min(out, default=1) < 1:
        padded = tuple(n + 2 * p for n, p in zip(x.shape[2:], padding))
        reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel))
        raise ValueError(f"the kernel, which reaches over {reach}, is larger than the padded input, {padded}")
    return out


def _convolution(x, w, b, /, stride, padding, dilation, groups, *, out=None):
    size = _checked(x, w, b, stride, padding, dilation, groups)
    kernel, rows = w.shape[2:], w.reshape(groups, len(w) // groups, -1)
    x = _padded(x, padding)
    walk, row = _walk(x.shape[2:], size, stride, w, groups)
    windows = _windows(x, kernel, size, walk, stride, dilation)
    y = np.empty((len(x), len(w), *size), np.result_type(x, w)) if out is None else out
    for part in _parts(len(x), rows.shape[-1] * groups * math.prod(walk)):
        columns = _columns(windows[part], (groups, rows.shape[-1]))
        shape = *rows.shape[:2], columns.shape[-1]
        if len(y[part]) == 1 and not row:
            np.matmul(rows, columns, out=y[part].reshape(shape))
        else:
            product = np.matmul(rows, columns, out=_rooms.get("product", shape, y.dtype))
            y[part] = _in_rows(product.reshape(len(w), -1, *walk), size, row).swapaxes(0, 1)
    if b is not None:
        y += b.reshape((-1, *[1] * len(kernel)))
    return y


def _convolution_input(g, w, /, size, stride, padding, dilation, groups, *, out=None):
    kernel, turned = w.shape[2:], w.reshape(groups, len(w) // groups, -1).swapaxes(1, 2)
    shape, dtype = (len(g), w.shape[1] * groups), np.result_type(g, w)
    y = np.empty((*shape, *size), dtype) if out is None else out
    x = _rooms.get("padded", (*shape, *(n + 2 * p for n, p in zip(size, padding))), dtype) if any(padding) else y
    x[...] = 0
    walk, row = _walk(x.shape[2:], g.shape[2:], stride, w, groups)
    windows = _windows(x, kernel, g.shape[2:], walk, stride, dilation, writeable=True)
    for part in _parts(len(g), turned.shape[1] * groups * math.prod(walk)):
        rows = _rows(g[part], groups, walk, row)
        room = _rooms.get("columns", (*turned.shape[:2], rows.shape[-1]), dtype)
        columns = np.matmul(turned, rows, out=room).reshape(shape[1], *kernel, -1, *walk)
        for k in np.ndindex(*kernel):
            windows[(part, slice(None), *k)] += columns[(slice(None), *k)].swapaxes(0, 1)
    if x is not y:
        y[...] = x[_inner(padding)]
    return y


def _convolution_weight(x, g, /, kernel, stride, padding, dilation, groups, *, out=None):
    shape = g.shape[1], x.shape[1] // groups, *kernel
    w = np.empty(shape, np.result_type(x, g)) if out is None else out
    w[...] = 0
    x, rows = _padded(x, padding), w.reshape(groups, len(w) // groups, -1)
    walk, row = _walk(x.shape[2:], g.shape[2:], stride, w, groups)
    windows = _windows(x, kernel, g.shape[2:], walk, stride, dilation)
    for part in _parts(len(x), rows.shape[-1] * groups * math.prod(walk)):
        columns = _columns(windows[part], (groups, rows.shape[-1]))
        product = _rooms.get("product", rows.shape, w.dtype)
        rows += np.matmul(_rows(g[part], groups, walk, row), columns.swapaxes(1, 2), out=product)
    return w


def _like(y, wanted):
    """Without the last windows: an input may have room for more than the gradient that it was made from."""
    return y if tuple(y.shape) == tuple(wanted.shape) else y[tuple(slice(n) for n in wanted.shape)]


convolution = Op(
    "convolution", _convolution,
    lambda g, _y, _x, w, _b, **how: convolution_input(g, w, size=tuple(_x.shape[2:]), **how),
    lambda g, _y, x, _w, _b, **how: convolution_weight(x, g, kernel=tuple(_w.shape[2:]), **how),
    lambda g, _y, _x, _w, _b, **how: sum(g, dim=(0, *range(2, g.ndim))),
    doc="The sum over c and k for each n, o, i, plus a bias (O,) or None. Lengths are tuples, `groups` a number.",
)  # fmt: skip
convolution_input = Op(
    "convolution_input", _convolution_input,
    lambda g, _y, _g, w, **how: _like(convolution(g, w, None, **_without(how, "size")), _g),
    lambda g, _y, y_grad, _w, **how: convolution_weight(g, y_grad, kernel=tuple(_w.shape[2:]), **_without(how, "size")),
    doc="The gradient of an input of this `size`, from that of the output and the weight; transposed convolution.",
)  # fmt: skip
convolution_weight = Op(
    "convolution_weight", _convolution_weight,
    lambda g, _y, _x, y_grad, **how: convolution_input(y_grad, g, size=tuple(_x.shape[2:]), **_without(how, "kernel")),
    lambda g, _y, x, _g, **how: _like(convolution(x, g, None, **_without(how, "kernel")), _g),
    doc="The gradient of a weight with this `kernel`, from the input and the gradient of the output.",
)  # fmt: skip


def _without(how, name):
    return {key: value for key, value in how.items() if key != name}
