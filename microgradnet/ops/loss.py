"""What losses spend their time in, fused: each has a readable twin in `nn.losses`, which is its oracle in the tests."""

from __future__ import annotations

import numpy as np

from ..graph import Op
from .index import gather
from .reduce import sum


def _squared_distance(a, b, /, scale):
    d = a - b
    return np.add.reduce(d * d, axis=None) * d.dtype.type(scale)


squared_distance = Op("squared_distance", _squared_distance,
                      lambda g, _y, a, b, scale: (a - b) * (g * (2 * scale)),
                      lambda g, _y, a, b, scale: (b - a) * (g * (2 * scale)),
                      promotes=True, doc="scale · Σ (a - b)² for a and b of one shape.")


def _nll(log_p, labels, /, scale):
    if np.minimum.reduce(labels, initial=0) < 0:  # NumPy would count it from the end
        raise IndexError(f"label {labels.min()} is out of range for {log_p.shape[1]} classes")
    chosen = log_p[np.arange(len(labels)), labels]
    return np.add.reduce(chosen) * log_p.dtype.type(-scale)


def _one_a_row(value, labels, /, shape):
    out = np.zeros(shape, value.dtype)
    out[np.arange(len(labels)), labels] = value
    return out


def _one_a_row_rule(g, _y, _value, labels, shape):
    return sum(gather(g, 1, labels.reshape((-1, 1))))


one_a_row = Op("one_a_row", _one_a_row, _one_a_row_rule, None, doc="One value at the label of each row, 0 elsewhere.")
nll = Op("nll", _nll, lambda g, _y, _log_p, labels, scale: one_a_row(g * -scale, labels, shape=_log_p.shape), None,
         doc="-scale · Σ log_p[i, labels[i]] for log_p of shape (N, C) and N labels below C.")
