"""Initialisation: functions that fill a tensor in place, outside the graph, and return it.

What is random is drawn from `generator`, or from the default one. Of a tensor with two dimensions or more, shape[1] is
what comes in and shape[0] what goes out, and further dimensions, a receptive field, multiply both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import random
from ..callers import warn
from ..graph import stamp
from ..ops.special import erfinv
from ..random import Generator, numpy_generator
from ..recording import no_grad
from ..tensor import Tensor, describe


def _write(tensor: Tensor, values: np.ndarray | float) -> Tensor:
    tensor.array[...] = values
    stamp(tensor.array)
    return tensor


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the activations' scale under a nonlinearity; param: leaky_relu's slope, 0.01 if None."""
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param!r} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    gains = {"sigmoid": 1, "tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
    linear = ("linear", *(f"conv{transpose}{n}d" for n in (1, 2, 3) for transpose in ("", "_transpose")))
    if nonlinearity not in gains and nonlinearity not in linear:
        known = ", ".join([*gains, "leaky_relu", *linear])
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}: use one of {known}")
    return gains.get(nonlinearity, 1)


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many values each output is made from, and how many outputs each input reaches."""
    if tensor.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, "
                         f"got {describe(tensor)}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


# --- plain fillings -------------------------------------------------------------------------------------------------


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform over [a, b)."""
    with no_grad():
        return random.uniform_(tensor, a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal."""
    with no_grad():
        return random.normal_(tensor, mean, std, generator=generator)


def trunc_normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
                  generator: Generator | None = None) -> Tensor:
    """Normal, of values within [a, b] only: the inverse of its distribution function at uniform arguments."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warn(f"trunc_normal_(): mean {mean} is more than 2 std from [{a}, {b}]; the values crowd at one end")
    scale = std * math.sqrt(2)
    low, high = math.erf((a - mean) / scale), math.erf((b - mean) / scale)
    values = mean + scale * erfinv(numpy_generator(generator).uniform(low, high, tensor.shape))
    return _write(tensor, np.clip(values, a, b))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere."""
    return _write(tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere."""
    return _write(tensor, 1)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere."""
    return _write(tensor, 0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix."""
    if tensor.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got {describe(tensor)}")
    return _write(tensor, np.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """A convolution kernel of 3 to 5 dimensions that passes its input on, in each group of channels."""
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"Only tensors with 3, 4, or 5 dimensions are supported, got {describe(tensor)}")
    if tensor.shape[0] % groups:
        raise ValueError(f"dim 0 must be divisible by groups, got {describe(tensor)} and {groups}")
    kernel = np.zeros(tensor.shape)
    out = tensor.shape[0] // groups
    centre = tuple(n // 2 for n in tensor.shape[2:])
    for group in range(groups):
        for channel in range(min(out, tensor.shape[1])):
            kernel[(group * out + channel, channel, *centre)] = 1
    return _write(tensor, kernel)


# --- scaled to the layer --------------------------------------------------------------------------------------------


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform with standard deviation gain · √(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with standard deviation gain · √(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor))), generator)


def kaiming_uniform_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                     generator: Generator | None = None) -> Tensor:
    """Uniform with standard deviation gain / √fan, the gain for the nonlinearity of parameter a (He et al., 2015)."""
    if tensor.numel() == 0:
        return _nothing_to_fill(tensor)
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                    generator: Generator | None = None) -> Tensor:
    """Normal with standard deviation gain / √fan, the gain for the nonlinearity of parameter a (He et al., 2015).

    nonlinearity="linear" gives 1 / √fan_in, the book's improved initialisation; `normal_` is its first one.
    """
    if tensor.numel() == 0:
        return _nothing_to_fill(tensor)
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    modes = ("fan_in", "fan_out")
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {modes}")
    return calculate_gain(nonlinearity, a) / math.sqrt(_calculate_fan_in_and_fan_out(tensor)[modes.index(mode.lower())])


def _nothing_to_fill(tensor: Tensor) -> Tensor:
    warn("Initializing zero-element tensors is a no-op")
    return tensor


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """gain times a matrix with orthonormal rows or columns, whichever are fewer, uniform among these.

    Further dimensions count as columns (Saxe et al., 2013).
    """
    if tensor.ndim < 2:
        raise ValueError(f"Only tensors with 2 or more dimensions are supported, got {describe(tensor)}")
    if tensor.numel() == 0:
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    q, r = np.linalg.qr(numpy_generator(generator).standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))  # without this the distribution would not be uniform
    return _write(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """A matrix of normal numbers with that fraction of each column 0 (Martens, 2010)."""
    if tensor.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got {describe(tensor)}")
    rows, columns = tensor.shape
    numbers = numpy_generator(generator)
    values = numbers.normal(0, std, (rows, columns))
    for column in range(columns):
        values[numbers.permutation(rows)[: math.ceil(sparsity * rows)], column] = 0
    return _write(tensor, values)


_OLDER = ("uniform normal constant eye dirac xavier_uniform xavier_normal kaiming_uniform kaiming_normal orthogonal "
          "sparse").split()


def __getattr__(name: str) -> Any:
    """The older names, without the underscore."""
    if name not in _OLDER:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    warn(f"nn.init.{name} is deprecated, use nn.init.{name}_", FutureWarning)
    return globals()[f"{name}_"]
