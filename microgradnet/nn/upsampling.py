"""Other sizes for the last dimensions: interpolation, as a function and as layers."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..callers import warn
from ..graph import ShapeError
from ..ops.resample import resample
from ..tensor import Tensor, describe
from .module import Module
from .pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d

Row = tuple[tuple[int, float], ...]  # the (index, weight) of what one element of the result is made of
_DIMS = {"linear": (1,), "bilinear": (2,), "trilinear": (3,), "bicubic": (2,), "lanczos": (2,), "nearest": (1, 2, 3),
         "nearest-exact": (1, 2, 3), "area": (1, 2, 3)}  # fmt: skip


def interpolate(input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
                align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
                antialias: bool = False) -> Tensor:
    """The input (N, C, d1, …) with other sizes in its last 1, 2 or 3 dimensions: `size`, or `scale_factor` times as
    large, rounded down.

    mode: 'nearest', 'nearest-exact', 'area' (means of parts); 'linear', 'bilinear', 'trilinear' for one, two and three
        dimensions; 'bicubic' (Keys, 1981), 'lanczos', for two.
    align_corners: the first and last elements keep their place; else the borders of the outer elements do.
    recompute_scale_factor: the scale is that of the sizes, not the scale_factor, where rounding makes them differ.
    antialias: for 'bilinear', 'bicubic' and 'lanczos', smoothed before it is made smaller.
    """
    n = input.ndim - 2
    if n not in _DIMS.get(mode, ()):
        raise NotImplementedError(f"interpolate(): mode must be one of {', '.join(_DIMS)}, that fits the {n} last "
                                  f"dimensions of input {describe(input)} (N, C, d1, …), got {mode!r}")
    if align_corners is not None and mode in ("nearest", "nearest-exact", "area"):
        raise ValueError(f"interpolate(): align_corners has no meaning with mode {mode!r}")
    if (antialias and mode not in ("bilinear", "bicubic", "lanczos")) or (mode == "lanczos" and not antialias):
        raise ValueError(f"interpolate(): antialias={antialias} does not go with mode {mode!r}: it is for 'bilinear' "
                         "and 'bicubic', and 'lanczos' needs it")
    if align_corners and mode == "lanczos":
        raise ValueError("interpolate(): mode 'lanczos' does not support align_corners=True")
    sizes, scales = _wanted(input, n, size, scale_factor, recompute_scale_factor)
    if min(sizes) < 1 or 0 in input.shape[1:]:
        raise ShapeError(f"interpolate(): input {describe(input)} and the result, of sizes {sizes}, must not be empty")
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[n - 1](input, sizes)
    if not mode.startswith("nearest") and not input.is_floating_point():
        raise RuntimeError(f"interpolate(): mode {mode!r} is for floating tensors, got {describe(input)}; use .float()")
    for dim, wanted, scale in zip(range(2, n + 2), sizes, scales):
        given = input.shape[dim]
        if mode.startswith("nearest"):
            index = _nearest(given, wanted, scale, mode == "nearest-exact", input.dtype)
            input = ops.index_select(input, dim, Tensor(index))
        else:
            source = _sources(given, wanted, scale, bool(align_corners))
            rows = _SMOOTHED[mode](given, *source) if antialias else _INTERPOLATED[mode](given, source[0])
            input = resample(input, dim=dim, rows=rows)
    return input


def _wanted(input: Tensor, n: int, size: Any, scale_factor: Any, recompute: bool | None) -> tuple[list, list]:
    """(sizes, scale or None) by dimension."""
    if (size is None) == (scale_factor is None):
        raise ValueError(f"interpolate() takes either size or scale_factor, got {size} and {scale_factor}")
    given = size if scale_factor is None else scale_factor
    given = list(given) if isinstance(given, (tuple, list)) else [given] * n
    if len(given) != n:
        raise ValueError(f"interpolate(): input {describe(input)} has {n} dimensions after batch and channels, but "
                         f"size or scale_factor is {given}")
    if scale_factor is None:
        if recompute:
            raise ValueError("interpolate(): recompute_scale_factor has no meaning with a size")
        return [operator.index(s) for s in given], [None] * n
    sizes = [math.floor(m * float(s)) for m, s in zip(input.shape[2:], given)]
    return sizes, [None] * n if recompute else [float(s) for s in given]


def _nearest(given: int, wanted: int, scale: float | None, exact: bool, dtype: np.dtype) -> np.ndarray:
    # In the precision of the elements, and rounded down in single precision, as PyTorch does: where the quotient is
    # close to a whole number it decides.
    number = dtype.type if dtype.kind == "f" and dtype.itemsize > 2 else np.float32
    step = number(given) / number(wanted) if scale is None else number(1 / scale)
    place = np.arange(wanted).astype(number)
    source = (step * (place + number(0.5)) - number(0.5)) + number(0.5) if exact else step * place
    return np.minimum(np.floor(source.astype(np.float32)).astype(np.int64), given - 1)


def _sources(given: int, wanted: int, scale: float | None, align_corners: bool) -> tuple[np.ndarray, float]:
    """Where in the input each element of the result lies, in elements from the first one's centre; and their distance.
    """
    place = np.arange(wanted)
    if align_corners:
        step = (given - 1) / (wanted - 1) if wanted > 1 else 0.0
        return step * place, step
    step = given / wanted if scale is None else 1 / scale
    return step * (place + 0.5) - 0.5, step


def _linear_rows(given: int, source: np.ndarray) -> tuple[Row, ...]:
    if len(source) == given:
        source = np.arange(given)  # as it is, whatever scale was given
    source = np.clip(source, 0, given - 1)
    first = np.minimum(source.astype(int), given - 1)
    return tuple(((i, 1.0),) if s == i else ((i, 1 - (s - i)), (min(i + 1, given - 1), s - i))
                 for i, s in zip(first.tolist(), source.tolist()))


def _cubic(x: float, a: float) -> float:
    """The kernel of cubic convolution: 1 at 0, 0 at the other whole numbers (Keys, 1981)."""
    x = abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


def cubic_weights(t: Any, a: float = -0.75) -> list:
    """The weights of the elements at -1, 0, 1, 2 for a place t in [0, 1); a number or a tensor."""
    far = [((s - 5) * s + 8) * s * a - 4 * a for s in (t + 1, 2 - t)]
    near = [((a + 2) * s - (a + 3)) * s * s + 1 for s in (t, 1 - t)]
    return [far[0], *near, far[1]]


def _cubic_rows(given: int, source: np.ndarray) -> tuple[Row, ...]:
    rows = []
    for s in source.tolist():
        first = math.floor(s)
        weights = cubic_weights(s - first)
        rows.append(tuple((min(max(first + k - 1, 0), given - 1), w) for k, w in enumerate(weights)))
    return tuple(rows)


def _smoothed(reach: float, kernel: Callable[[float], float]) -> Callable[[int, np.ndarray, float], tuple[Row, ...]]:
    """Rows that weigh all within `reach` by the kernel, which is stretched where the result is smaller."""

    def rows(given: int, source: np.ndarray, step: float) -> tuple[Row, ...]:
        stretch = max(step, 1.0)
        made = []
        for centre in (step * (np.arange(len(source)) + 0.5)).tolist():
            start = max(int(centre - reach * stretch + 0.5), 0)
            end = min(int(centre + reach * stretch + 0.5), given)
            weights = [kernel((i - centre + 0.5) / stretch) for i in range(start, end)]
            total = sum(weights)
            made.append(tuple((i, w / total) for i, w in zip(range(start, end), weights)))
        return tuple(made)

    return rows


_INTERPOLATED = {"linear": _linear_rows, "bilinear": _linear_rows, "trilinear": _linear_rows, "bicubic": _cubic_rows}
_SMOOTHED = {
    "bilinear": _smoothed(1, lambda x: max(1 - abs(x), 0)),
    "bicubic": _smoothed(2, lambda x: _cubic(x, -0.5)),
    "lanczos": _smoothed(3, lambda x: float(np.sinc(x) * np.sinc(x / 3)) if abs(x) < 3 else 0.0),
}


def upsample(input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
             align_corners: bool | None = None) -> Tensor:
    """The old name of `interpolate`."""
    warn("upsample() is deprecated, use interpolate()")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """The old name of `interpolate` in mode 'nearest'."""
    warn("upsample_nearest() is deprecated, use interpolate()")
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """The old name of `interpolate` in mode 'bilinear' with align_corners."""
    warn("upsample_bilinear() is deprecated, use interpolate()")
    return interpolate(input, size, scale_factor, "bilinear", True)


class Upsample(Module):
    """`interpolate` to a size, or by a scale_factor."""

    def __init__(self, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
                 align_corners: bool | None = None, recompute_scale_factor: bool | None = None) -> None:
        super().__init__()
        if isinstance(scale_factor, tuple):
            scale_factor = tuple(map(float, scale_factor))
        elif scale_factor:
            scale_factor = float(scale_factor)
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        return interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners,
                           self.recompute_scale_factor)

    def extra_repr(self) -> str:
        what = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{what}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` in mode 'nearest'."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` in mode 'bilinear' with align_corners."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
