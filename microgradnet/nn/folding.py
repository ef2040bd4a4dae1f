"""Elements moved between channels and places: windows as columns, and shuffles; as functions and as layers."""

from __future__ import annotations

import math
from typing import Any

from ..graph import ShapeError
from ..ops.window import count, overlay, windows
from ..tensor import Tensor, describe
from .module import Module
from .padding import pad
from .sizes import check_dims, each

# --- windows as columns -----------------------------------------------------------------------------------------------


def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The windows of (N, C, H, W) or (C, H, W) as columns: (N, C · kH · kW, number of windows).

    The product of a weight of shape (O, C · kH · kW) with it is a convolution.
    """
    batched = check_dims("unfold", input, 2)
    kernel, how, padding = _geometry(kernel_size, dilation, padding, stride)
    parts = windows(_padded(input, padding), kernel=kernel, **how)
    columns = math.prod(parts.shape[-5:-2]), math.prod(parts.shape[-2:])
    return parts.reshape(parts.shape[0], *columns) if batched else parts.reshape(*columns)


def fold(input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
         stride: Any = 1) -> Tensor:
    """Columns, as `unfold` gives them of (N, C, *output_size), added up where they came from.

    input (N, C · kH · kW, number of windows) or without N.
    """
    batched = check_dims("fold", input, 1)
    kernel, how, padding = _geometry(kernel_size, dilation, padding, stride)
    size = each("output_size", output_size, 2, 1)
    many = count(size, kernel, how["stride"], padding, how["dilation"])
    if input.shape[-2] % math.prod(kernel) or input.shape[-1] != math.prod(many) or min(many) < 1:
        raise ShapeError(f"fold(): input {describe(input)} must have a multiple of {math.prod(kernel)} rows, the "
                         f"kernel's elements, and {math.prod(many)} columns, as many as {size} has windows: {many}")
    parts = input.reshape(*input.shape[: 1 if batched else 0], -1, *kernel, *many)
    room = tuple(n + 2 * p for n, p in zip(size, padding))
    return _padded(overlay(parts, size=room, **how), [-p for p in padding])


def _geometry(kernel_size, dilation, padding, stride):
    how = {"stride": each("stride", stride, 2, 1), "dilation": each("dilation", dilation, 2, 1)}
    return each("kernel_size", kernel_size, 2, 1), how, each("padding", padding, 2)


def _padded(x, padding):
    return pad(x, [p for n in reversed(padding) for p in (n, n)]) if any(padding) else x


class Unfold(Module):
    """`unfold`."""

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> None:
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
                f"stride={self.stride}")


class Fold(Module):
    """`fold`."""

    def __init__(self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
                 stride: Any = 1) -> None:
        super().__init__()
        self.output_size, self.kernel_size, self.dilation = output_size, kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
                f"padding={self.padding}, stride={self.stride}")


# --- shuffles ---------------------------------------------------------------------------------------------------------


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(…, C · r², H, W) to (…, C, H · r, W · r) for r = upscale_factor: r² channels become a square of pixels."""
    r = _factor("pixel_shuffle", "upscale_factor", upscale_factor, input)
    *lead, channels, height, width = input.shape
    if channels % r**2:
        raise ShapeError(f"pixel_shuffle(): the channels of input {describe(input)} must be divisible by {r}²")
    parts = input.reshape(*lead, channels // r**2, r, r, height, width)
    n = len(lead)
    parts = parts.permute(*range(n + 1), n + 3, n + 1, n + 4, n + 2)
    return parts.reshape(*lead, channels // r**2, height * r, width * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(…, C, H · r, W · r) to (…, C · r², H, W) for r = downscale_factor: what undoes `pixel_shuffle`."""
    r = _factor("pixel_unshuffle", "downscale_factor", downscale_factor, input)
    *lead, channels, height, width = input.shape
    if height % r or width % r:
        raise ShapeError(f"pixel_unshuffle(): height and width of input {describe(input)} must be divisible by {r}")
    parts = input.reshape(*lead, channels, height // r, r, width // r, r)
    n = len(lead)
    parts = parts.permute(*range(n + 1), n + 2, n + 4, n + 1, n + 3)
    return parts.reshape(*lead, channels * r**2, height // r, width // r)


def _factor(name: str, role: str, factor: int, input: Tensor) -> int:
    if input.ndim < 3:
        raise RuntimeError(f"{name}(): input {describe(input)} must have at least 3 dimensions, (…, C, H, W)")
    if factor < 1:
        raise RuntimeError(f"{name}(): {role} must be positive, got {factor}")
    return factor


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels of (N, C, …), which come in groups, dealt out: the first of each group, the second, and so on."""
    if input.ndim < 3:
        raise RuntimeError(f"channel_shuffle(): input {describe(input)} must have at least 3 dimensions, (N, C, …)")
    if groups < 1 or input.shape[1] % groups:
        raise RuntimeError(f"channel_shuffle(): the channels of input {describe(input)} must be divisible by "
                           f"groups={groups}, which must be positive")
    return input.unflatten(1, (groups, input.shape[1] // groups)).transpose(1, 2).flatten(1, 2)


class PixelShuffle(Module):
    """`pixel_shuffle` (Shi et al., 2016)."""

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """`pixel_unshuffle`."""

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """`channel_shuffle` (Zhang et al., 2018)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
