"""Activations and what losses are made of: each one entry, because a network spends its time in them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph import Op
from . import special
from .elementwise import _quiet, erf, exp, minimum, tanh, where
from .public import numpy_names, public
from .reduce import sum

# A constant of float32, the usual dtype, as a 0-d array: NumPy takes twice as long with a Python number.
_FLOAT32 = np.dtype(np.float32)
_ZERO, _ONE, _TOP = np.array(0, np.float32), np.array(1, np.float32), np.array(88.7, np.float32)


def _sigmoid(x, /):
    # 1 / (1 + e⁻ˣ), the exponent held below overflow: exact in the far left tail, where 1 - 1/(1 + eˣ) would be 0.
    if x.dtype is _FLOAT32:
        y = np.exp(np.minimum(-x, _TOP))
        y += _ONE
    else:
        y = np.exp(np.minimum(-x if x.dtype.kind in "fc" else -x.astype(float), 11 if x.itemsize == 2 else 709.7)) + 1
    return np.reciprocal(y)


sigmoid = Op("sigmoid", _sigmoid, lambda g, y, _x: g * (y * (1 - y)), promotes="float",
             doc="1 / (1 + e⁻ˣ), without overflow and relatively exact for large negative x.")
relu = Op("relu", lambda x, /: np.maximum(x, _ZERO if x.dtype is _FLOAT32 else 0), lambda g, y, _x: g * np.sign(y),
          doc="max(x, 0); the gradient at 0 is 0.")


def _leaky_relu(x, /, negative_slope=0.01):
    below = negative_slope * x
    return np.maximum(x, below) if 0 < negative_slope <= 1 else np.where(x > 0, x, below)


leaky_relu = Op("leaky_relu", _leaky_relu,
                lambda g, _y, x, negative_slope=0.01: where(x > 0, g, negative_slope * g), promotes="float",
                doc="x for x > 0, negative_slope · x elsewhere.")


def _elu(x, /, alpha=1.0):
    return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0))  # one of them is 0


elu = Op("elu", _elu, lambda g, _y, x, alpha=1.0: where(x > 0, g, g * (alpha * exp(minimum(x, 0.0)))), promotes="float",
         doc="x for x > 0, alpha (eˣ - 1) elsewhere.")


def _silu_rule(g, _y, x):
    s = sigmoid(x)
    return g * (s * (1 + x * (1 - s)))


silu = Op("silu", _quiet(lambda x: x / (1 + np.exp(-x))), _silu_rule, promotes="float",
          doc="x · sigmoid(x), also called swish.")


def _softplus(x, /, beta=1, threshold=20):
    # log(1 + eᶻ) = max(z, 0) + log(1 + e^-|z|), and z itself beyond the threshold
    z = x if beta == 1 else x * beta
    y = np.maximum(z, 0) + np.log1p(np.exp(np.minimum(z, -z)))
    return np.where(z > threshold, x, y if beta == 1 else y / beta)


softplus = Op("softplus", _softplus,
              lambda g, _y, x, beta=1, threshold=20: where(x * beta > threshold, g, g * sigmoid(x * beta)),
              promotes="float", doc="log(1 + e^(beta x)) / beta, and x where beta x > threshold.")
hardtanh = Op("hardtanh", lambda x, /, min_val=-1.0, max_val=1.0: np.minimum(np.maximum(x, min_val), max_val),
              lambda g, _y, x, min_val=-1.0, max_val=1.0: where((x > min_val) & (x < max_val), g, 0.0), promotes=True,
              doc="x held within [min_val, max_val].")

_TANH_A, _TANH_B = math.sqrt(2 / math.pi), 0.044715


def _gelu(x, /, approximate="none"):
    if approximate == "tanh":
        share = np.tanh(_TANH_A * (x + _TANH_B * (x * x * x)))
    elif approximate == "none":
        share = special.erf(x * math.sqrt(0.5))
    else:
        raise ValueError(f"approximate must be 'none' or 'tanh', got {approximate!r}")
    return 0.5 * x * (1 + share), share


def _gelu_rule(g, _y, x, approximate="none", kept=None):
    if approximate == "tanh":
        share = tanh(_TANH_A * (x + _TANH_B * (x * x * x))) if kept is None else kept
        return g * (0.5 * (1 + share) + (0.5 * _TANH_A) * (x * (1 - share * share)) * (1 + 3 * _TANH_B * (x * x)))
    share = erf(x * math.sqrt(0.5)) if kept is None else kept
    return g * (0.5 * (1 + share) + x * (exp(-0.5 * (x * x)) * (1 / math.sqrt(2 * math.pi))))


gelu = Op("gelu", _gelu, _gelu_rule, promotes="float", keeps=True,
          doc="x · Φ(x) with Φ the normal distribution's; approximate='tanh' for the cheaper form.")


def shifted(x, dim):
    """x less its maximum along dim, so that exp cannot overflow."""
    return x - np.maximum.reduce(x.real, axis=dim, keepdims=True, initial=None if x.shape[dim] else 0)


def _softmax(x, /, dim):
    if x.ndim == 0:
        return np.ones_like(x)
    with np.errstate(invalid="ignore"):  # a row of -inf has no softmax: nan
        y = np.exp(shifted(x, dim))
    y /= np.add.reduce(y, axis=dim, keepdims=True)
    return y


def _log_softmax(x, /, dim):
    if x.ndim == 0:
        return np.zeros_like(x)
    y = shifted(x, dim)
    y -= np.log(np.add.reduce(np.exp(y), axis=dim, keepdims=True))
    return y


softmax_op = Op("softmax", _softmax, lambda g, y, _x, dim: (g - _total(g * y, dim)) * y, promotes="float",
                doc="eˣ over its sum along `dim`, without overflow.")
log_softmax_op = Op("log_softmax", _log_softmax, lambda g, y, _x, dim: g - _power_of_e(y) * _total(g, dim),
                    promotes="float", doc="The logarithm of `softmax`, accurate where that underflows.")


@numpy_names
def softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """eˣ over its sum along `dim`, without overflow; computed in `dtype` where one is given."""
    return softmax_op(input if dtype is None else input.to(dtype), dim=dim)


@numpy_names
def log_softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """The logarithm of `softmax`, accurate where that underflows."""
    return log_softmax_op(input if dtype is None else input.to(dtype), dim=dim)


def _total(g, dim):
    if type(g) is np.ndarray:
        return np.add.reduce(g, axis=dim, keepdims=True)
    return sum(g, dim=dim, keepdim=True) if g.ndim else g


def _power_of_e(y):
    """exp of what is at most 0, which needs no care for overflow."""
    return np.exp(y) if type(y) is np.ndarray else exp(y)


if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals(), "shifted")
