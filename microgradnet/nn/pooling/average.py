"""Means, and p-norms, of windows, as functions and as layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ...ops.resample import resample
from ...ops.window import windows
from ...tensor import Tensor
from ..module import Module
from ..padding import pad
from ..sizes import repeated
from .geometry import Windows, adaptive_sizes, bins, windows_over
from .maximum import max_pool1d, max_pool2d, max_pool3d

# --- means ----------------------------------------------------------------------------------------------------------


def avg_pool1d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True) -> Tensor:
    """The mean of each window of (N, C, L); see `avg_pool2d`."""
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, divisor_override: int | None = None) -> Tensor:
    """The mean of each window of (N, C, H, W) or (C, H, W); the stride is the kernel size by default.

    count_include_pad: the zeros of the padding count as elements. divisor_override: divide by this number instead.
    ceil_mode: the last window may reach beyond the end; what is there does not count.
    """
    return _avg_pool("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
                     divisor_override)


def avg_pool3d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, divisor_override: int | None = None) -> Tensor:
    """The mean of each window of (N, C, D, H, W); see `avg_pool2d`."""
    return _avg_pool("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
                     divisor_override)


def _avg_pool(name: str, n: int, input: Tensor, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool,
              count_include_pad: bool, divisor: int | None) -> Tensor:
    if divisor == 0:
        raise RuntimeError(f"{name}(): divisor_override must not be 0")
    over = windows_over(name, n, input, kernel_size, stride, padding, 1, ceil_mode)
    parts = windows(_with_room(input, over), kernel=over.kernel, stride=over.stride, dilation=over.dilation)
    total = ops.sum(parts, dim=tuple(range(parts.ndim - 2 * n, parts.ndim - n)))
    return total / (_counts(input, over, count_include_pad) if divisor is None else divisor)


def _with_room(input: Tensor, over: Windows) -> Tensor:
    """With zeros before and after, as many as make exactly the windows fit."""
    sides: list[int] = []
    for size, k, s, p, _, many in zip(input.shape[-len(over.kernel) :], *over):
        sides[:0] = p, max((many - 1) * s + k - size - p, 0)
    return pad(input, sides) if any(sides) else input


def _counts(input: Tensor, over: Windows, with_padding: bool) -> Any:
    """How many elements each window has: a number where all have as many, else a tensor."""
    counts = []
    for size, k, s, p, _, many in zip(input.shape[-len(over.kernel) :], *over):
        start = np.arange(many) * s - p
        end = np.minimum(start + k, size + p)
        counts.append(end - start if with_padding else np.minimum(end, size) - np.maximum(start, 0))
    if all((c == k).all() for c, k in zip(counts, over.kernel)):
        return math.prod(over.kernel)
    total = math.prod(np.ix_(*counts))  # type: ignore[type-var]
    return Tensor(np.asarray(total, input.dtype))


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """(N, C, L) to (N, C, output_size); see `adaptive_avg_pool2d`."""
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means of parts of (N, C, H, W) or (C, H, W), as equal as may be, so many that output_size comes out; None keeps
    a size."""
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """(N, C, D, H, W) to (N, C, *output_size); see `adaptive_avg_pool2d`."""
    return _adaptive_avg_pool("adaptive_avg_pool3d", 3, input, output_size)


def _adaptive_avg_pool(name: str, n: int, input: Tensor, output_size: Any) -> Tensor:
    wanted = adaptive_sizes(name, n, input, output_size)
    for dim, count in zip(range(input.ndim - n, input.ndim), wanted):
        input = _mean_of_parts(input, dim, count)  # the mean of a box is the mean of its lines' means
    return input


def _mean_of_parts(x: Tensor, dim: int, count: int) -> Tensor:
    size = x.shape[dim]
    if count and size % count == 0:
        return x if size == count else ops.mean(ops.unflatten(x, dim, (count, size // count)), dim=dim + 1)
    rows = tuple(tuple((i, 1 / (end - start)) for i in range(start, end)) for start, end in bins(size, count))
    return resample(x, dim=dim, rows=rows)


# --- p-norms ----------------------------------------------------------------------------------------------------------


def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """(Σ xᵖ)^(1/p) of each window of (N, C, L), with p = norm_type; infinity is the maximum of |x|."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """(Σ xᵖ)^(1/p) of each window of (N, C, H, W), with p = norm_type; infinity is the maximum of |x|."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """(Σ xᵖ)^(1/p) of each window of (N, C, D, H, W), with p = norm_type; infinity is the maximum of |x|."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


def _lp_pool(n: int, input: Tensor, p: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Tensor:
    if math.isinf(p):
        largest = (max_pool1d, max_pool2d, max_pool3d)[n - 1]
        sign = 1 if p > 0 else -1  # the smallest, of -infinity
        return sign * largest(sign * ops.abs(input), kernel_size, stride, 0, 1, ceil_mode)
    mean = (avg_pool1d, avg_pool2d, avg_pool3d)[n - 1](input**p, kernel_size, stride, 0, ceil_mode)
    total = mean * math.prod(repeated(kernel_size, n))
    return (ops.sign(total) * ops.relu(ops.abs(total))) ** (1 / p)  # so PyTorch finds its gradient at 0


# --- layers -----------------------------------------------------------------------------------------------------------


class _AvgPool(Module):
    dims: int
    divisor_override: int | None

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
                 count_include_pad: bool = True, divisor_override: int | None = None) -> None:
        super().__init__()
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return _avg_pool(f"avg_pool{self.dims}d", self.dims, input, self.kernel_size, self.stride, self.padding,
                         self.ceil_mode, self.count_include_pad, self.divisor_override)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """`avg_pool1d`."""

    dims = 1

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
                 count_include_pad: bool = True) -> None:
        stride = kernel_size if stride is None else stride
        super().__init__(repeated(kernel_size, 1), repeated(stride, 1), repeated(padding, 1), ceil_mode,
                         count_include_pad)


class AvgPool2d(_AvgPool):
    """`avg_pool2d`."""

    dims = 2


class AvgPool3d(_AvgPool):
    """`avg_pool3d`."""

    dims = 3


class _AdaptiveAvgPool(Module):
    dims: int

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return _adaptive_avg_pool(f"adaptive_avg_pool{self.dims}d", self.dims, input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """`adaptive_avg_pool1d`."""

    dims = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """`adaptive_avg_pool2d`."""

    dims = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """`adaptive_avg_pool3d`."""

    dims = 3


class _LPPool(Module):
    dims: int

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return _lp_pool(self.dims, input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return (f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
                f"ceil_mode={self.ceil_mode}")


class LPPool1d(_LPPool):
    """`lp_pool1d`."""

    dims = 1


class LPPool2d(_LPPool):
    """`lp_pool2d`."""

    dims = 2


class LPPool3d(_LPPool):
    """`lp_pool3d`."""

    dims = 3
