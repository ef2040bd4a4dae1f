"""What losses spend their time in, fused: each has a readable twin in `nn.losses`, which is its oracle in the tests."""

from __future__ import annotations

import functools

import numpy as np

from ..graph import _FLOAT32, Op
from .activation import shifted, softmax_op
from .index import gather
from .reduce import sum


def _squared_distance(a, b, /, scale):
    d = a - b
    if d.dtype is _FLOAT32 and d.size <= 1024:  # quicker; of many numbers, a sum in pairs loses less
        flat = d.reshape(-1)
        return flat.dot(flat) * _FLOAT32.type(scale), d
    return np.add.reduce(d * d, axis=None) * d.dtype.type(scale), d


def _squared_distance_rule(g, _y, a, b, scale, kept=None):
    return (a - b if kept is None else kept) * (g * (2 * scale))


squared_distance = Op("squared_distance", _squared_distance, _squared_distance_rule,
                      lambda g, _y, a, b, scale, kept=None: -_squared_distance_rule(g, _y, a, b, scale, kept),
                      promotes=True, keeps=True, doc="scale · Σ (a - b)² for a and b of one shape.")


@functools.lru_cache(maxsize=64)
def _rows(n):
    return np.arange(n)


def _chosen(x, labels):
    """x[i, labels[i]]; a label below 0, which NumPy would count from the end, is refused."""
    if np.minimum.reduce(labels, initial=0) < 0:
        raise IndexError(f"label {labels.min()} is out of range for {x.shape[1]} classes")
    return x[_rows(len(labels)), labels]


def _nll(log_p, labels, /, scale):
    return np.add.reduce(_chosen(log_p, labels)) * log_p.dtype.type(-scale)


def _one_a_row(value, labels, /, shape):
    out = np.zeros(shape, value.dtype)
    out[_rows(len(labels)), labels] = value
    return out


def _one_a_row_rule(g, _y, _value, labels, shape):
    return sum(gather(g, 1, labels.reshape((-1, 1))))


one_a_row = Op("one_a_row", _one_a_row, _one_a_row_rule, None, doc="One value at the label of each row, 0 elsewhere.")
nll = Op("nll", _nll, lambda g, _y, _log_p, labels, scale: one_a_row(g * -scale, labels, shape=_log_p.shape), None,
         doc="-scale · Σ log_p[i, labels[i]] for log_p of shape (N, C) and N labels below C.")


def _softmax_error(x, labels, /):
    a = np.exp(shifted(x, 1))
    a /= np.add.reduce(a, axis=1, keepdims=True)
    a[_rows(len(labels)), labels] -= 1
    return a


def _softmax_error_rule(g, _y, x, _labels):
    a = softmax_op(x, dim=1)
    return (g - sum(g * a, dim=1, keepdim=True)) * a


softmax_error = Op("softmax_error", _softmax_error, _softmax_error_rule, None,
                   doc="a - y for a = softmax(x) and y the labels as rows with a 1: BP1's δ of a softmax under "
                       "cross-entropy.")


def _cross_entropy(x, labels, /, scale):
    z = shifted(x, 1)
    chosen = _chosen(z, labels)
    a = np.exp(z)
    total = np.add.reduce(a, axis=1)
    a /= total.reshape(-1, 1)
    return np.add.reduce(np.log(total) - chosen) * x.dtype.type(scale), a


def _cross_entropy_rule(g, _y, x, labels, scale, kept=None):
    if kept is None:
        return softmax_error(x, labels) * (g * scale)
    error = kept.copy()
    error[_rows(len(labels)), labels] -= 1
    error *= g * error.dtype.type(scale)
    return error


cross_entropy = Op("cross_entropy", _cross_entropy, _cross_entropy_rule, None, keeps=True,
                   doc="nll of log_softmax, for logits x of shape (N, C).")
