"""Maxima of windows, and putting them back where they were, as functions and as layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ...graph import ShapeError
from ...ops.creation import zeros
from ...ops.ranges import arange
from ...ops.window import max_of_bins, max_pool
from ...random import rand
from ...tensor import Tensor, describe
from ..module import Module
from ..sizes import check_dims, each, repeated
from .geometry import adaptive_sizes, bins, windows_over

# --- functions ------------------------------------------------------------------------------------------------------
#
# With return_indices they give the maxima and where they are: the index into the last dimensions made one.


def max_pool1d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False, return_indices: bool = False) -> Any:
    """The largest element of each window of (N, C, L); see `max_pool2d`."""
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False, return_indices: bool = False) -> Any:
    """The largest element of each window of (N, C, H, W) or (C, H, W); the gradient goes to it, the first of equals.

    stride: the kernel size by default. padding: at most half of it, and never the largest. dilation: the distance of
    the elements of a window. ceil_mode: the last window may reach beyond the end.
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False, return_indices: bool = False) -> Any:
    """The largest element of each window of (N, C, D, H, W); see `max_pool2d`."""
    return _max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _max_pool(name: str, n: int, input: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
              ceil_mode: bool, return_indices: bool) -> Any:
    over = windows_over(name, n, input, kernel_size, stride, padding, dilation, ceil_mode)
    values, indices = max_pool(input, **over._asdict())
    return (values, indices) if return_indices else values


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """(N, C, L) to (N, C, output_size); see `adaptive_max_pool2d`."""
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of parts of (N, C, H, W) or (C, H, W), as equal as may be, so many that output_size comes
    out; None keeps a size."""
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """(N, C, D, H, W) to (N, C, *output_size); see `adaptive_max_pool2d`."""
    return _adaptive_max_pool("adaptive_max_pool3d", 3, input, output_size, return_indices)


def _adaptive_max_pool(name: str, n: int, input: Tensor, output_size: Any, return_indices: bool) -> Any:
    wanted = adaptive_sizes(name, n, input, output_size)
    values, indices = max_of_bins(input, bins=tuple(map(bins, input.shape[-n:], wanted)))
    return (values, indices) if return_indices else values


def fractional_max_pool2d(input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
                          return_indices: bool = False, _random_samples: Tensor | None = None) -> Any:
    """The largest elements of windows at random places of (N, C, H, W) or (C, H, W) (Graham, 2014).

    output_size, or output_ratio of the input's: how many. _random_samples (N, C, 2): within [0, 1), for the last
    dimension first; drawn if None.
    """
    return _fractional_max_pool("fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio,
                                return_indices, _random_samples)


def fractional_max_pool3d(input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
                          return_indices: bool = False, _random_samples: Tensor | None = None) -> Any:
    """The same for (N, C, D, H, W); _random_samples (N, C, 3) are for the first of these dimensions first."""
    return _fractional_max_pool("fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio,
                                return_indices, _random_samples)


def _fractional_max_pool(name: str, n: int, input: Tensor, kernel_size: Any, output_size: Any, output_ratio: Any,
                         return_indices: bool, samples: Tensor | None) -> Any:
    check_dims(name, input, n)
    lead, size = input.shape[:-n], input.shape[-n:]
    if output_size is None:
        if output_ratio is None:
            raise ValueError(f"{name}(): give output_size or output_ratio")
        output_size = tuple(int(m * r) for m, r in zip(size, repeated(output_ratio, n), strict=True))
    kernel, many = each("kernel_size", kernel_size, n, 1), each("output_size", output_size, n, 1)
    if any(o + k - 1 > m for o, k, m in zip(many, kernel, size)):
        raise ShapeError(f"{name}(): windows of {kernel} are too large for {many} of them in input {describe(input)}")
    if samples is None:
        samples = rand(*(lead if len(lead) == 2 else (1, *lead)), n, dtype=input.dtype)
    batch = lead[0] if len(lead) == 2 else 1
    if samples.ndim != 3 or samples.shape[0] < batch or samples.shape[1:] != (lead[-1], n):
        raise ShapeError(f"{name}(): _random_samples {describe(samples)} must have {n} for each channel of the input "
                         f"{describe(input)}")
    samples = samples[:batch].reshape(*lead, n)
    # The flat index of every element of every window: a dimension for the channels' windows and one for their elements.
    places: Any = 0
    for dim in range(n):
        starts = _random_starts(samples[..., dim if n == 3 else n - 1 - dim], size[dim], kernel[dim], many[dim])
        within = starts.unsqueeze(-1) + arange(kernel[dim])
        shape = [1] * (2 * n)
        shape[dim], shape[n + dim] = many[dim], kernel[dim]
        places = places + within.reshape(*lead, *shape) * math.prod(size[dim + 1 :])
    places = places.reshape(*lead, math.prod(many), math.prod(kernel))
    flat = input.flatten(-n)
    parts = ops.gather(flat, -1, places.flatten(-2)).reshape(places.shape)
    indices = ops.gather(places, -1, ops.argmax(parts.detach(), dim=-1, keepdim=True)).squeeze(-1)
    values = ops.gather(flat, -1, indices).reshape(*lead, *many)
    return (values, indices.reshape(*lead, *many)) if return_indices else values


def _random_starts(samples: Tensor, size: int, kernel: int, count: int) -> Tensor:
    """Where `count` windows start, for each sample: at steps of the mean distance, rounded down from a random offset,
    and the last at the end."""
    last = size - kernel
    if count == 1:
        return (samples.unsqueeze(-1) * 0 + last).long()
    u, step = samples.unsqueeze(-1), last / (count - 1)
    starts = ((u + arange(count, dtype=samples.dtype)) * step).long() - (u * step).long()
    return ops.where(arange(count) == count - 1, last, starts)


def max_unpool1d(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
                 output_size: Any = None) -> Tensor:
    """(N, C, L) put back to where they were before `max_pool1d`; see `max_unpool2d`."""
    return _max_unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
                 output_size: Any = None) -> Tensor:
    """Zeros but for the input (N, C, H, W) at the indices, as `max_pool2d` returned them.

    output_size: of what was pooled, where (H - 1) · stride + kernel_size - 2 padding is not it.
    """
    return _max_unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
                 output_size: Any = None) -> Tensor:
    """(N, C, D, H, W) put back to where they were before `max_pool3d`; see `max_unpool2d`."""
    return _max_unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


def _max_unpool(name: str, n: int, input: Tensor, indices: Tensor, kernel_size: Any, stride: Any, padding: Any,
                output_size: Any) -> Tensor:
    check_dims(name, input, n)
    kernel = each("kernel_size", kernel_size, n, 1)
    stride = kernel if stride is None else each("stride", stride, n, 1)
    usual = [(m - 1) * s + k - 2 * p for m, s, k, p in
             zip(input.shape[-n:], stride, kernel, each("padding", padding, n))]
    size = usual if output_size is None else list(output_size)
    size = size[-n:] if len(size) == input.ndim else size
    if len(size) != n or any(not u - s < m < u + s for m, u, s in zip(size, usual, stride)):
        raise ValueError(f"{name}(): output_size {output_size} must be within less than a stride, {stride}, of {usual}")
    if indices.dtype != np.int64 or indices.shape != input.shape:
        raise ShapeError(f"{name}(): indices {describe(indices)} must be int64 and of the shape of input "
                         f"{describe(input)}")
    nothing = zeros(*input.shape[:-n], math.prod(size), dtype=input.dtype)
    try:
        placed = ops.scatter(nothing, -1, indices.flatten(-n), input.flatten(-n))
    except IndexError as error:
        raise RuntimeError(f"{name}(): an index lies outside of the output_size {size}: {error}") from None
    return placed.reshape(*input.shape[:-n], *size)


# --- layers -----------------------------------------------------------------------------------------------------------


class _MaxPool(Module):
    dims: int

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
                 return_indices: bool = False, ceil_mode: bool = False) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        return _max_pool(f"max_pool{self.dims}d", self.dims, input, self.kernel_size, self.stride, self.padding,
                         self.dilation, self.ceil_mode, self.return_indices)

    def extra_repr(self) -> str:
        return (f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
                f"dilation={self.dilation}, ceil_mode={self.ceil_mode}")


class MaxPool1d(_MaxPool):
    """`max_pool1d`."""

    dims = 1


class MaxPool2d(_MaxPool):
    """`max_pool2d`."""

    dims = 2


class MaxPool3d(_MaxPool):
    """`max_pool3d`."""

    dims = 3


class _AdaptiveMaxPool(Module):
    dims: int

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Any:
        return _adaptive_max_pool(f"adaptive_max_pool{self.dims}d", self.dims, input, self.output_size,
                                  self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """`adaptive_max_pool1d`."""

    dims = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """`adaptive_max_pool2d`."""

    dims = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """`adaptive_max_pool3d`."""

    dims = 3


class _FractionalMaxPool(Module):
    dims: int
    _random_samples: Tensor | None

    def __init__(self, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
                 return_indices: bool = False, _random_samples: Tensor | None = None) -> None:
        super().__init__()
        name = type(self).__name__
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{name} takes either output_size or output_ratio, got {output_size} and {output_ratio}")
        if output_ratio is not None and any(not 0 < r < 1 for r in repeated(output_ratio, self.dims)):
            raise ValueError(f"output_ratio of {name} must lie between 0 and 1, got {output_ratio}")
        self.kernel_size, self.return_indices = repeated(kernel_size, self.dims), return_indices
        self.output_size = None if output_size is None else repeated(output_size, self.dims)
        self.output_ratio = None if output_ratio is None else repeated(output_ratio, self.dims)
        self.register_buffer("_random_samples", _random_samples)

    def forward(self, input: Tensor) -> Any:
        return _fractional_max_pool(f"fractional_max_pool{self.dims}d", self.dims, input, self.kernel_size,
                                    self.output_size, self.output_ratio, self.return_indices, self._random_samples)


class FractionalMaxPool2d(_FractionalMaxPool):
    """`fractional_max_pool2d`."""

    dims = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """`fractional_max_pool3d`."""

    dims = 3


class _MaxUnpool(Module):
    dims: int

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        stride = kernel_size if stride is None else stride
        self.kernel_size, self.stride, self.padding = (repeated(v, self.dims) for v in (kernel_size, stride, padding))

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return _max_unpool(f"max_unpool{self.dims}d", self.dims, input, indices, self.kernel_size, self.stride,
                           self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """`max_unpool1d`."""

    dims = 1


class MaxUnpool2d(_MaxUnpool):
    """`max_unpool2d`."""

    dims = 2


class MaxUnpool3d(_MaxUnpool):
    """`max_unpool3d`."""

    dims = 3
