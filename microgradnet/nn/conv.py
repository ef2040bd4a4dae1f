"""Convolution and transposed convolution in one, two and three dimensions, as functions and as layers."""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import check_device, get_default_dtype
from ..graph import ShapeError
from ..ops.convolution import convolution, convolution_input
from ..ops.creation import empty
from ..tensor import Tensor, describe
from . import init
from .module import Module
from .padding import pad
from .parameter import Parameter
from .sizes import check_dims, each, repeated

# --- functions ------------------------------------------------------------------------------------------------------


def conv1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
           dilation: Any = 1, groups: int = 1) -> Tensor:
    """input (N, C, L), weight (O, C / groups, K) and bias (O,) to (N, O, (L + 2 padding - dilation (K - 1) - 1) /
    stride + 1), rounded down; see `conv2d`."""
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
           dilation: Any = 1, groups: int = 1) -> Tensor:
    """Every window of the input times the weight, summed, plus the bias: at (i, j) the one whose corner lies at
    (i · stride - padding, j · stride - padding).

    input (N, C, H, W) or (C, H, W), weight (O, C / groups, kH, kW), bias (O,). The padding is of zeros; 'valid' means
    none, and 'same' as much as leaves the size as it is. Elements of a window are `dilation` apart. With groups, each
    group of channels is convolved by itself with its part of the weight.
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
           dilation: Any = 1, groups: int = 1) -> Tensor:
    """input (N, C, D, H, W), weight (O, C / groups, kD, kH, kW), bias (O,); see `conv2d`."""
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def _conv(name: str, n: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any,
          dilation: Any, groups: int) -> Tensor:
    batched = _check(name, n, input, weight, bias, groups, transposed=False)
    stride, dilation = each("stride", stride, n, 1), each("dilation", dilation, n, 1)
    if isinstance(padding, str):
        input, padding = _padded_by_name(name, input, weight.shape[2:], stride, padding, dilation)
    how = dict(stride=stride, padding=each("padding", padding, n), dilation=dilation, groups=groups)
    return _on_batch(input, batched, lambda x: convolution(x, weight, bias, **how))


def _on_batch(input: Tensor, batched: bool, f: Any) -> Tensor:
    return f(input) if batched else f(input.unsqueeze(0)).squeeze(0)


def _check(name: str, n: int, input: Tensor, weight: Tensor, bias: Tensor | None, groups: int,
           transposed: bool) -> bool:
    """Whether the input is a batch; an error where the operands do not fit."""
    batched = check_dims(name, input, n)
    if weight.ndim != n + 2:
        raise ShapeError(f"{name}(): weight {describe(weight)} must have {n + 2} dimensions")
    if groups < 1 or weight.shape[0] % groups:
        raise ShapeError(f"{name}(): dimension 0 of the weight {describe(weight)} must be divisible by groups={groups}")
    channels = weight.shape[0] if transposed else weight.shape[1] * groups
    if input.shape[-n - 1] != channels:
        raise ShapeError(f"{name}(): with groups={groups}, weight {describe(weight)} needs an input of {channels} "
                         f"channels, but {describe(input)} has {input.shape[-n - 1]}")
    made = weight.shape[1] * groups if transposed else weight.shape[0]
    if bias is not None and bias.shape != (made,):
        raise ShapeError(f"{name}(): bias {describe(bias)} must have shape ({made},), one for each channel that the "
                         f"weight {describe(weight)} makes")
    return batched


def _padded_by_name(name, input, kernel, stride, padding, dilation):
    """(input, padding) for padding='valid' or 'same'; where an odd number is missing, the end gets one more."""
    if padding == "valid":
        return input, 0
    if padding != "same":
        raise RuntimeError(f"{name}(): padding must be 'valid', 'same' or numbers, got {padding!r}")
    if any(s != 1 for s in stride):
        raise RuntimeError(f"{name}(): padding='same' is not supported for strided convolutions, stride={stride}")
    sides = _same_padding(kernel, dilation)
    if all(a == b for a, b in sides):
        return input, tuple(a for a, _ in sides)
    return pad(input, [max(b - a, 0) * end for a, b in reversed(sides) for end in (0, 1)]), tuple(a for a, _ in sides)


def _same_padding(kernel, dilation):
    """(before, after) by dimension."""
    missing = [d * (k - 1) for k, d in zip(kernel, dilation)]
    return [(m // 2, m - m // 2) for m in missing]


def conv_transpose1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Tensor:
    """input (N, C, L), weight (C, O / groups, K), bias (O,); see `conv_transpose2d`."""
    return _conv_transpose("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups,
                           dilation)


def conv_transpose2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Tensor:
    """What `conv2d` does to the gradient of its output: each element spreads the weight over a window of the result.

    input (N, C, H, W) or (C, H, W), weight (C, O / groups, kH, kW), bias (O,). The sizes are (H - 1) · stride - 2
    padding + dilation (kH - 1) + output_padding + 1: as those of an input that conv2d would make (H, W) of, and since
    there may be several, output_padding says by how much larger than the smallest.
    """
    return _conv_transpose("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups,
                           dilation)


def conv_transpose3d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Tensor:
    """input (N, C, D, H, W), weight (C, O / groups, kD, kH, kW), bias (O,); see `conv_transpose2d`."""
    return _conv_transpose("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups,
                           dilation)


def _conv_transpose(name: str, n: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any,
                    output_padding: Any, groups: int, dilation: Any) -> Tensor:
    batched = _check(name, n, input, weight, bias, groups, transposed=True)
    stride, dilation = each("stride", stride, n, 1), each("dilation", dilation, n, 1)
    padding, more = each("padding", padding, n), each("output_padding", output_padding, n)
    if any(m >= max(s, d) for m, s, d in zip(more, stride, dilation)):
        raise RuntimeError(f"{name}(): output_padding {more} must be smaller than stride {stride} or dilation "
                           f"{dilation}")
    size = tuple((m - 1) * s - 2 * p + d * (k - 1) + e + 1 for m, s, p, d, k, e in
                 zip(input.shape[-n:], stride, padding, dilation, weight.shape[2:], more))
    if min(size) < 1:
        raise ShapeError(f"{name}(): input {describe(input)}, weight {describe(weight)} and padding {padding} would "
                         f"give the sizes {size}, which are too small")
    how = dict(size=size, stride=stride, padding=padding, dilation=dilation, groups=groups)
    result = _on_batch(input, batched, lambda x: convolution_input(x, weight, **how))
    return result if bias is None else result + bias.reshape(-1, *(1,) * n)


# --- layers ---------------------------------------------------------------------------------------------------------


class _Conv(Module):
    """What all convolutions share: the numbers, a weight, a bias, and where these start."""

    weight: Parameter
    bias: Parameter | None
    dims: int  # of the window
    transposed = False

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
                 output_padding: Any, groups: int, bias: bool, padding_mode: str, device: Any, dtype: Any) -> None:
        super().__init__()
        check_device(device)
        n = self.dims
        if groups <= 0 or in_channels % groups or out_channels % groups:
            raise ValueError(f"in_channels={in_channels} and out_channels={out_channels} must be divisible by "
                             f"groups={groups}, which must be positive")
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError("padding_mode must be 'zeros', 'reflect', 'replicate' or 'circular', got "
                             f"{padding_mode!r}")
        if isinstance(padding, str) and padding not in ("valid", "same"):
            raise ValueError(f"padding must be 'valid', 'same' or numbers, got {padding!r}")
        if padding == "same" and any(s != 1 for s in repeated(stride, n)):
            raise ValueError(f"padding='same' is not supported for strided convolutions, stride={stride}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.dilation = (repeated(v, n) for v in (kernel_size, stride, dilation))
        self.padding = padding if isinstance(padding, str) else repeated(padding, n)
        self.output_padding, self.groups, self.padding_mode = repeated(output_padding, n), groups, padding_mode
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        dtype = get_default_dtype() if dtype is None else dtype
        self.weight = Parameter(empty(first, second // groups, *self.kernel_size, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_channels, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, uniform within ±1/√(elements that make one)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in = self.weight[0].numel() if len(self.weight) else 0
        if self.bias is not None and fan_in:
            init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def extra_repr(self) -> str:
        zeros, ones = (0,) * self.dims, (1,) * self.dims
        shown = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, usual in [("padding", zeros), ("dilation", ones), ("output_padding", zeros), ("groups", 1)]:
            if getattr(self, name) != usual:
                shown += f", {name}={getattr(self, name)}"
        if self.bias is None:
            shown += ", bias=False"
        return shown + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")


class _ConvForward(_Conv):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
                 dilation: Any = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
                 device: Any = None, dtype: Any = None) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias,
                         padding_mode, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = pad(input, self._sides(), self.padding_mode), 0
        return _conv(f"conv{self.dims}d", self.dims, input, self.weight, self.bias, self.stride, padding,
                     self.dilation, self.groups)

    def _sides(self) -> list[int]:
        """The padding as `pad` takes it: before and after, the last dimension first."""
        if self.padding == "same":
            sides = _same_padding(self.kernel_size, self.dilation)
        else:
            sides = [(p, p) for p in repeated(0 if self.padding == "valid" else self.padding, self.dims)]
        return [p for side in reversed(sides) for p in side]


class Conv1d(_ConvForward):
    """`conv1d` with a weight (out_channels, in_channels / groups, K) and a bias (out_channels,).

    Input (N, C, L) or (C, L). Both parameters start uniform within ±1/√(in_channels / groups · K). padding_mode is
    what the padding is filled with: 'zeros', 'reflect', 'replicate' or 'circular', see `pad`.
    """

    dims = 1


class Conv2d(_ConvForward):
    """`conv2d` with a weight (out_channels, in_channels / groups, kH, kW) and a bias (out_channels,).

    Input (N, C, H, W) or (C, H, W). Both parameters start uniform within ±1/√(in_channels / groups · kH · kW).
    padding_mode is what the padding is filled with: 'zeros', 'reflect', 'replicate' or 'circular', see `pad`.
    """

    dims = 2


class Conv3d(_ConvForward):
    """`conv3d` with a weight (out_channels, in_channels / groups, kD, kH, kW) and a bias (out_channels,); see Conv2d.

    Input (N, C, D, H, W) or (C, D, H, W).
    """

    dims = 3


class _ConvTransposed(_Conv):
    transposed = True

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
                 output_padding: Any = 0, groups: int = 1, bias: bool = True, dilation: Any = 1,
                 padding_mode: str = "zeros", device: Any = None, dtype: Any = None) -> None:
        if padding_mode != "zeros":
            raise ValueError(f"Only 'zeros' padding mode is supported for {type(self).__name__}, got {padding_mode!r}")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups,
                         bias, padding_mode, device, dtype)

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """output_size: the last sizes of the result, in place of output_padding."""
        more = self.output_padding if output_size is None else self._more(input, tuple(output_size))
        return _conv_transpose(f"conv_transpose{self.dims}d", self.dims, input, self.weight, self.bias, self.stride,
                               self.padding, more, self.groups, self.dilation)

    def _more(self, input: Tensor, wanted: tuple[int, ...]) -> tuple[int, ...]:
        n = self.dims
        least = [(m - 1) * s - 2 * p + d * (k - 1) + 1 for m, s, p, d, k in
                 zip(input.shape[-n:], self.stride, self.padding, self.dilation, self.kernel_size)]
        if len(wanted) not in (n, input.ndim):
            raise ValueError(f"output_size {wanted} must have {n} or {input.ndim} sizes for input {describe(input)}")
        more = tuple(w - m for w, m in zip(wanted[-n:], least))
        if any(not 0 <= m < s for m, s in zip(more, self.stride)):
            most = [m + s - 1 for m, s in zip(least, self.stride)]
            raise ValueError(f"output_size {wanted[-n:]} must lie between {least} and {most} for input "
                             f"{describe(input)}")
        return more


class ConvTranspose1d(_ConvTransposed):
    """`conv_transpose1d` with a weight (in_channels, out_channels / groups, K) and a bias (out_channels,)."""

    dims = 1


class ConvTranspose2d(_ConvTransposed):
    """`conv_transpose2d` with a weight (in_channels, out_channels / groups, kH, kW) and a bias (out_channels,)."""

    dims = 2


class ConvTranspose3d(_ConvTransposed):
    """`conv_transpose3d` with a weight (in_channels, out_channels / groups, kD, kH, kW) and a bias (out_channels,)."""

    dims = 3
