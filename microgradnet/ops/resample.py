"""Resampling: a sparse matrix applied along one dimension."""

from __future__ import annotations

import math

import numpy as np

from ..graph import Op

__all__: list[str] = []  # functions are in nn.functional, as in PyTorch


def _resample(x, /, dim, rows):
    before, size, after = x.shape[:dim], x.shape[dim], x.shape[dim + 1 :]
    x = x.reshape(math.prod(before), size, math.prod(after))
    if np.isfinite(x).all():
        matrix = np.zeros((len(rows), size), x.dtype)
        for out, row in zip(matrix, rows):
            for i, weight in row:
                out[i] += weight
        y = np.matmul(x[..., 0], matrix.T) if x.shape[-1] == 1 else np.matmul(matrix, x)
    else:  # a matrix would let one nan, as 0 · nan, into every element
        y = np.zeros((len(x), len(rows), x.shape[2]), x.dtype)
        for k, row in enumerate(rows):
            for i, weight in row:
                y[:, k] += x.dtype.type(weight) * x[:, i]
    return y.reshape(*before, len(rows), *after)


def _transposed(rows, size):
    columns = [[] for _ in range(size)]
    for k, row in enumerate(rows):
        for i, weight in row:
            columns[i].append((k, weight))
    return tuple(map(tuple, columns))


resample = Op(
    "resample", _resample,
    lambda g, _y, _x, dim, rows: resample(g, dim=dim, rows=_transposed(rows, _x.shape[dim])),
    doc="Weighted sums along `dim` (counted from the front); for each, its row has the (index, weight) of its terms.",
)  # fmt: skip
