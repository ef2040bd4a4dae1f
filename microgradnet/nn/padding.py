"""Padding: a tensor with something around it, as a function and as layers."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..graph import ShapeError
from ..ops.index import _add_at, setitem_op
from ..tensor import Tensor, describe
from .module import Module
from .sizes import repeated


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """With `pad` = (before, after) elements more in the last dimension, then those of the one before it, and so on.

    mode: 'constant' (value, 0 by default); 'reflect', as in a mirror on the last element; 'replicate', which repeats
    the last element; 'circular', which goes on with the other end. Negative numbers cut off.
    """
    sides = list(map(operator.index, pad))
    if len(sides) % 2 or len(sides) > 2 * input.ndim:
        raise RuntimeError(f"pad() takes two numbers for each of at most {input.ndim} dimensions of the input "
                           f"{describe(input)}, got {sides}")
    by_dim = {input.ndim - 1 - i: (sides[2 * i], sides[2 * i + 1]) for i in range(len(sides) // 2)}
    for dim, (before, after) in by_dim.items():
        if input.shape[dim] + before + after < (0 if mode == "constant" else 1):
            raise ShapeError(f"pad(): {before} and {after} at dimension {dim} of {describe(input)} leave nothing")
    if mode == "constant":
        return _framed(input, by_dim, 0 if value is None else value)
    if mode not in _CONTINUED:
        raise NotImplementedError(f"pad(): mode must be 'constant', 'reflect', 'replicate' or 'circular', got {mode!r}")
    if value:
        raise RuntimeError(f"pad(): mode {mode!r} takes no value, got {value}")
    if not sides or input.ndim - len(by_dim) not in (1, 2) or len(by_dim) > 3:
        raise NotImplementedError(f"pad(): mode {mode!r} pads the last 1, 2 or 3 dimensions, after channels or batch "
                                  f"and channels, got {describe(input)} and {len(by_dim)} dimensions to pad")
    for dim, (before, after) in by_dim.items():
        input = _CONTINUED[mode](input, dim, before, after)
    return input


def _framed(x: Tensor, by_dim: dict[int, tuple[int, int]], value: float) -> Tensor:
    """Within a frame of the value, after what negative sides cut off."""
    cut = [slice(None)] * x.ndim
    for dim, (before, after) in by_dim.items():
        cut[dim] = slice(max(-before, 0), x.shape[dim] - max(-after, 0))
    if any(before < 0 or after < 0 for before, after in by_dim.values()):
        x = x[tuple(cut)]
    more = [(max(a, 0), max(b, 0)) for a, b in (by_dim.get(dim, (0, 0)) for dim in range(x.ndim))]
    shape = tuple(n + a + b for n, (a, b) in zip(x.shape, more))
    inside = tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, more))
    if value == 0:
        return _add_at(x, shape=shape, index=inside)
    return setitem_op(Tensor(np.full(shape, value, x.dtype)), x, index=inside)


def _part(x: Tensor, dim: int, start: int, stop: int) -> Tensor:
    return x[(slice(None),) * dim + (slice(start, stop),)]


def _joined(x: Tensor, dim: int, left: Tensor | None, right: Tensor | None) -> Tensor:
    return ops.cat([part for part in (left, x, right) if part is not None], dim)


def _cut(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    """Without what negative numbers cut off."""
    return _part(x, dim, max(-before, 0), x.shape[dim] - max(-after, 0)) if before < 0 or after < 0 else x


def _reflected(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    n = x.shape[dim]
    if max(before, after) >= n:
        raise RuntimeError(f"pad(): mode 'reflect' can show each element once: {before} and {after} at dimension {dim} "
                           f"of {describe(x)} must be less than its size")
    left = ops.flip(_part(x, dim, 1, before + 1), dim) if before > 0 else None
    right = ops.flip(_part(x, dim, n - after - 1, n - 1), dim) if after > 0 else None
    return _cut(_joined(x, dim, left, right), dim, before, after)


def _replicated(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    def repeated_element(i: int, times: int) -> Tensor:
        shape = list(x.shape)
        shape[dim] = times
        return _part(x, dim, i, i + 1).expand(shape)

    left = repeated_element(0, before) if before > 0 else None
    right = repeated_element(x.shape[dim] - 1, after) if after > 0 else None
    return _cut(_joined(x, dim, left, right), dim, before, after)


def _wrapped(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    if max(before, after) > x.shape[dim]:
        raise RuntimeError(f"pad(): mode 'circular' goes round once at most: {before} and {after} at dimension {dim} "
                           f"of {describe(x)} must not exceed its size")
    x = _cut(x, dim, before, after)
    n = x.shape[dim]
    left = _part(x, dim, n - before, n) if before > 0 else None
    right = _part(x, dim, 0, after) if after > 0 else None
    return _joined(x, dim, left, right)


_CONTINUED = {"reflect": _reflected, "replicate": _replicated, "circular": _wrapped}


# --- layers ---------------------------------------------------------------------------------------------------------


class _Pad(Module):
    """`pad` by as much as was said: one number for all sides, or before and after, the last dimension first."""

    dims: int
    mode = "constant"
    value: Any = None

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = repeated(padding, 2 * self.dims)

    def forward(self, input: Tensor) -> Tensor:
        return pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Within a frame of a value."""

    dims = 1


class ConstantPad2d(_ConstantPad):
    """Within a frame of a value."""

    dims = 2


class ConstantPad3d(_ConstantPad):
    """Within a frame of a value."""

    dims = 3


class ZeroPad1d(_Pad):
    """Within a frame of zeros."""

    dims = 1


class ZeroPad2d(_Pad):
    """Within a frame of zeros."""

    dims = 2


class ZeroPad3d(_Pad):
    """Within a frame of zeros."""

    dims = 3


class ReflectionPad1d(_Pad):
    """Continued as in a mirror on its last elements."""

    dims, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """Continued as in a mirror on its last elements."""

    dims, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """Continued as in a mirror on its last elements."""

    dims, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """With its last elements repeated."""

    dims, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """With its last elements repeated."""

    dims, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """With its last elements repeated."""

    dims, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """Continued with its other end."""

    dims, mode = 1, "circular"


class CircularPad2d(_Pad):
    """Continued with its other end."""

    dims, mode = 2, "circular"


class CircularPad3d(_Pad):
    """Continued with its other end."""

    dims, mode = 3, "circular"
