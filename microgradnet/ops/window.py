"""What slides a window: the parts of a tensor under a kernel, their sum put back, their maxima.

A window of sizes `kernel` moves over the last dimensions of a tensor in steps of `stride`; its elements lie `dilation`
apart. Metadata are tuples with an entry for each of these dimensions, so that one definition serves 1, 2, 3 or more.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..graph import Op
from .index import scatter_sum_op

__all__: list[str] = []  # functions are in nn.functional, as in PyTorch


# --- windows, and their sum -------------------------------------------------------------------------------------------


def count(size, kernel, stride, padding, dilation):
    """How many windows fit, by dimension."""
    sizes = zip(size, kernel, stride, padding, dilation)
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes)


def view_windows(x, kernel, out, stride, dilation, writeable=False):
    """(…, *kernel, *out): at […, k, o] is x[…, o · stride + k · dilation], without a copy."""
    n = len(kernel)
    steps = x.strides[-n:]
    strides = (*x.strides[:-n], *(s * d for s, d in zip(steps, dilation)), *(s * t for s, t in zip(steps, stride)))
    return as_strided(x, (*x.shape[:-n], *kernel, *out), strides, writeable=writeable)


def slices(kernel, out, stride, dilation) -> list[tuple[tuple, tuple]]:
    """For each place k in the window: (k, the slices of x that lie under it as the window moves)."""
    return [
        (k, (..., *(slice(i * d, i * d + s * (n - 1) + 1, s) for i, d, n, s in zip(k, dilation, out, stride))))
        for k in itertools.product(*map(range, kernel))
    ]


def _windows(x, /, kernel, stride, dilation):
    size = x.shape[-len(kernel) :]
    out = count(size, kernel, stride, (0,) * len(kernel), dilation)
    if min(out) < 1:
        raise ValueError(f"a window of size {kernel}, dilation {dilation}, does not fit into the dimensions {size}")
    return np.array(view_windows(x, kernel, out, stride, dilation), order="C")


def _overlaid(parts, /, size, stride, dilation):
    n = len(size)
    total = np.zeros((*parts.shape[: -2 * n], *size), parts.dtype)
    for k, under in slices(parts.shape[-2 * n : -n], parts.shape[-n:], stride, dilation):
        total[under] += parts[(..., *k, *[slice(None)] * n)]
    return total


def _of_windows(g, _y, _x, kernel, stride, dilation):
    return overlay(g, size=tuple(_x.shape[-len(kernel) :]), stride=stride, dilation=dilation)


def _of_overlay(g, _y, _parts, size, stride, dilation):
    kernel = tuple(_parts.shape[-2 * len(size) : -len(size)])
    return windows(g, kernel=kernel, stride=stride, dilation=dilation)


windows = Op("windows", _windows, _of_windows,
             doc="Every window of the last dimensions: (…, *size) to (…, *kernel, *out).")
overlay = Op("overlay", _overlaid, _of_overlay,
             doc="Windows (…, *kernel, *out) added up where they overlap: what `windows` is transposed.")


# --- maxima -----------------------------------------------------------------------------------------------------------
#
# Two results, the values and where they are: the flat index into the last dimensions. As in PyTorch the first of equals
# is taken, but the last nan, and nan is larger than anything.


def _max_pool(x, /, kernel, stride, padding, dilation, many):
    size = x.shape[-len(kernel) :]
    steps = [math.prod(size[i + 1 :]) for i in range(len(size))]
    x = _padded_for(x, kernel, stride, padding, dilation, many)
    places = slices(kernel, many, stride, dilation)
    best = np.array(x[places[0][1]], order="C")
    for _, under in places[1:]:
        np.maximum(best, x[under], out=best)
    # Which place of the window it is at, by comparing once more: in single bytes, and without a mask that says where to
    # write, for it would follow no pattern. Both are many times faster.
    which, is_open = np.zeros(best.shape, np.min_scalar_type(len(places))), np.ones(best.shape, bool)
    for i, (_, under) in enumerate(places):
        found = x[under] == best
        found &= is_open
        is_open ^= found
        which += found * which.dtype.type(i)
    offsets = np.array([np.dot(np.multiply(k, dilation), steps) for k, _ in places])
    # The first place of each window, and how far into it the input begins where it starts in the padding.
    corner = [np.arange(n) * s - p for n, s, p in zip(many, stride, padding)]
    inside = [np.maximum(-(c // d), 0) * d for c, d in zip(corner, dilation)]
    index = offsets[which]
    if is_open.any():  # nan is equal to nothing
        for offset, (_, under) in zip(offsets, places):
            np.copyto(index, offset, where=np.isnan(x[under]))
    if any(padding):
        np.copyto(index, _flat(inside, steps), where=best == _lowest(x.dtype))  # and not in the padding
    index += _flat(corner, steps)
    return best, index


def _flat(places, steps):
    """The flat index of places given by dimension."""
    return sum(p * s for p, s in zip(np.ix_(*places), steps))


def _lowest(dtype):
    return -np.inf if dtype.kind in "fc" else np.iinfo(dtype).min


def _padded_for(x, kernel, stride, padding, dilation, out):
    """With the lowest value around it, so that all windows fit."""
    n = len(kernel)
    size = x.shape[-n:]
    reach = [max((o - 1) * s + (k - 1) * d + 1, p + m)
             for o, s, k, d, p, m in zip(out, stride, kernel, dilation, padding, size)]
    if reach == list(size):
        return x
    around = np.full((*x.shape[:-n], *reach), _lowest(x.dtype), x.dtype)
    around[(..., *(slice(p, p + m) for p, m in zip(padding, size)))] = x
    return around


def _max_of_bins(x, /, bins):
    lead, size = x.shape[: -len(bins)], x.shape[-len(bins) :]
    best = np.empty((*lead, *map(len, bins)), x.dtype)
    index = np.empty(best.shape, np.int64)
    places = np.arange(math.prod(size)).reshape(size)
    for cell in itertools.product(*map(range, best.shape[len(lead) :])):
        under = (..., *(slice(*axis[i]) for axis, i in zip(bins, cell)))
        places_under = places[under].reshape(-1)
        part = x[under].reshape(*lead, len(places_under))
        first = part.argmax(-1)
        best[(..., *cell)] = np.take_along_axis(part, first[..., None], -1)[..., 0]
        index[(..., *cell)] = places_under[first]
    return best, index


def _at_maxima(g, y, _x, **metadata):
    n = len(next(iter(metadata.values())))
    lead, size, many = tuple(_x.shape[:-n]), math.prod(_x.shape[-n:]), math.prod(y[1].shape[-n:])
    values, index = (part.reshape((*lead, many)) for part in (g[0], y[1]))
    return scatter_sum_op(np.zeros((*lead, size), _x.dtype), index, values, dim=-1).reshape(_x.shape)


max_pool = Op("max_pool", _max_pool, _at_maxima,
              doc="The largest of each window, and its index; the padding counts as the lowest number there is.")
max_of_bins = Op("max_of_bins", _max_of_bins, _at_maxima,
                 doc="As max_pool for windows given one by one: by dimension, the (start, end) of each.")
