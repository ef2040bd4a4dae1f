"""Ranges, triangles and windows: tensors that a formula of the position fills. Arguments as in `creation`."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import check_device, get_default_dtype
from ..tensor import Tensor, describe
from .creation import _INT64, _number, as_dtype, as_shape, made
from .elementwise import pow
from .public import public

# --- ranges --------------------------------------------------------------------------------------------


def arange(start: Any = 0, end: Any = None, step: Any = 1, *, out: Tensor | None = None, dtype: Any = None,
           device: Any = None, requires_grad: bool = False) -> Tensor:
    """start, start + step, … below `end`; `arange(end)` starts at 0. int64 if all are whole, else the default dtype."""
    check_device(device)
    if end is None:
        start, end = 0, start
    start, end, step = (_number("arange", value) for value in (start, end, step))
    whole = all(isinstance(value, int) for value in (start, end, step))
    dtype = as_dtype(dtype, _INT64 if whole else get_default_dtype(), out)
    if not whole and not all(map(math.isfinite, (start, end, step))):
        raise RuntimeError(f"arange(): the range must be finite, got start={start}, end={end}, step={step}")
    if dtype.kind != "f":
        start, end, step = int(start), int(end), int(step)
    if step == 0:
        raise RuntimeError(f"arange(): the step must not be zero{'' if whole else f', which it is in {dtype}'}")
    if (end - start) * step < 0:
        raise RuntimeError(f"arange(): a step of {step} does not lead from start={start} to end={end}")
    if dtype.kind != "f":
        return made(np.arange(start, end, step, dtype=_INT64).astype(dtype, copy=False), requires_grad, out)
    # Multiplied out in float64 and rounded once: NumPy's own arange in float32 adds up the error of its step.
    values = start + step * np.arange(math.ceil((end - start) / step), dtype=np.float64)
    return made(values.astype(dtype, copy=False), requires_grad, out)


def linspace(start: Any, end: Any, steps: int, *, out: Tensor | None = None, dtype: Any = None, device: Any = None,
             requires_grad: bool = False) -> Tensor:
    """`steps` values at equal distances from `start` to `end`, both included."""
    check_device(device)
    values = _spaced("linspace", start, end, steps)
    return made(_rounded(values, as_dtype(dtype, out=out)), requires_grad, out)


def logspace(start: Any, end: Any, steps: int, base: float = 10.0, *, out: Tensor | None = None, dtype: Any = None,
             device: Any = None, requires_grad: bool = False) -> Tensor:
    """base ** x for `steps` values x at equal distances from `start` to `end`, both included."""
    check_device(device)
    with np.errstate(all="ignore"):
        values = np.power(float(base), _spaced("logspace", start, end, steps))
    return made(_rounded(values, as_dtype(dtype, out=out)), requires_grad, out)


def _spaced(caller: str, start: Any, end: Any, steps: Any) -> np.ndarray:
    steps = operator.index(steps)
    if steps < 0:
        raise RuntimeError(f"{caller}(): the number of steps must not be negative, got {steps}")
    with np.errstate(invalid="ignore"):
        return np.linspace(_number(caller, start), _number(caller, end), steps, dtype=np.float64)


def _rounded(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    with np.errstate(all="ignore"):
        return values.astype(dtype, copy=False)


def eye(n: int, m: int | None = None, *, out: Tensor | None = None, dtype: Any = None, device: Any = None,
        requires_grad: bool = False) -> Tensor:
    """Ones on the diagonal of an n × m matrix, zeros elsewhere; square without `m`."""
    check_device(device)
    shape = as_shape("eye", (n, n if m is None else m))
    return made(np.eye(*shape, dtype=as_dtype(dtype, out=out)), requires_grad, out)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Rows and columns, shape (2, N), of the entries on and below the diagonal `offset` of a row × col matrix."""
    check_device(device)
    return made(np.array(np.tril_indices(row, offset, col), dtype=as_dtype(dtype, _INT64)))


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Rows and columns, shape (2, N), of the entries on and above the diagonal `offset` of a row × col matrix."""
    check_device(device)
    return made(np.array(np.triu_indices(row, offset, col), dtype=as_dtype(dtype, _INT64)))


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of each element of a vector, as rows: x^(N-1), …, x, 1, or the other way round."""
    if x.ndim != 1:
        raise RuntimeError(f"vander() expects a vector, got {describe(x)}")
    n = x.numel() if N is None else operator.index(N)
    if n < 0:
        raise RuntimeError(f"vander(): N must not be negative, got {n}")
    exponents = np.arange(n) if increasing else np.arange(n - 1, -1, -1)
    return pow(x.reshape(-1, 1) if x.dtype.kind != "b" else x.long().reshape(-1, 1), Tensor(exponents))


# --- windows ----------------------------------------------------------------------------------------------------------


def _window(name: str, shape: Any, length: int, periodic: bool, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    """shape(t) at `length` points t from 0 to 1; a periodic window is that of one point more, without its last."""
    check_device(device)
    length, dtype = operator.index(length), as_dtype(dtype)
    if length < 0 or dtype.kind != "f":
        raise RuntimeError(f"{name}() expects a length from 0 up and a floating dtype, got {length} and {dtype}")
    steps = length if periodic else length - 1
    values = shape(np.arange(length) / steps) if length > 1 else np.ones(length)
    return made(values.astype(dtype), requires_grad)


def bartlett_window(window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None,
                    device: Any = None, requires_grad: bool = False) -> Tensor:
    """A triangle from 0 over 1 to 0."""
    return _window("bartlett_window", lambda t: 1 - np.abs(2 * t - 1), window_length, periodic, dtype, device,
                   requires_grad)


def hann_window(window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None,
                device: Any = None, requires_grad: bool = False) -> Tensor:
    """sin²(π t) for t from 0 to 1."""
    return _window("hann_window", lambda t: np.sin(np.pi * t) ** 2, window_length, periodic, dtype, device,
                   requires_grad)


def hamming_window(window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *,
                   dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """alpha - beta cos(2π t) for t from 0 to 1."""
    return _window("hamming_window", lambda t: alpha - beta * np.cos(2 * np.pi * t), window_length, periodic, dtype,
                   device, requires_grad)


def blackman_window(window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None,
                    device: Any = None, requires_grad: bool = False) -> Tensor:
    """0.42 - 0.5 cos(2π t) + 0.08 cos(4π t) for t from 0 to 1."""
    return _window("blackman_window", lambda t: 0.42 - 0.5 * np.cos(2 * np.pi * t) + 0.08 * np.cos(4 * np.pi * t),
                   window_length, periodic, dtype, device, requires_grad)


def kaiser_window(window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: Any = None,
                  layout: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """I₀(beta √(1 - (2t - 1)²)) / I₀(beta) for t from 0 to 1, with the Bessel function I₀."""
    return _window("kaiser_window", lambda t: np.i0(beta * np.sqrt(1 - (2 * t - 1) ** 2)) / np.i0(beta), window_length,
                   periodic, dtype, device, requires_grad)


if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals())
