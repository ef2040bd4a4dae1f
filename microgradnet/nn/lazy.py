"""Layers that learn from their first input how many features or channels come in, and then are ordinary ones."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .layers import Linear
from .module import Module
from .normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from .parameter import Parameter, Uninitialized, UninitializedBuffer, UninitializedParameter


class _Lazy(Module):
    """Mixed into a layer: its arguments without the first, the number that is not known yet.

    Until the first input the parameters are there, so that an optimizer can hold them, but have no shape. The input
    builds an ordinary layer, whose values they take, and this object changes its class to that layer's.
    """

    cls_to_become: type
    _number: str  # the attribute for what is not known yet
    _dim: int  # which dimension of the input decides it

    def __init__(self, *args: Any, **options: Any) -> None:
        groups = options.get("groups", 1)
        # The least number of channels that can be divided stands in for the right one.
        super().__init__(groups, *args, **options)  # type: ignore[call-arg]
        self._arguments = args, options
        setattr(self, self._number, 0)
        for name, tensor in (*self.named_parameters(), *self.named_buffers()):
            if isinstance(tensor, Parameter):
                setattr(self, name, UninitializedParameter(dtype=tensor.dtype))
            elif tensor.is_floating_point():
                setattr(self, name, UninitializedBuffer(dtype=tensor.dtype))

    def has_uninitialized_params(self) -> bool:
        """Whether there are parameters or buffers without a shape."""
        return any(isinstance(t, Uninitialized) for t in (*self.parameters(), *self.buffers()))

    def initialize_parameters(self, input: Tensor) -> None:
        """Become the layer that this input fits."""
        args, options = self._arguments
        number = input.shape[self._dim]
        fresh = self.cls_to_become(number, *args, **options)
        for name, tensor in (*self.named_parameters(), *self.named_buffers()):
            if isinstance(tensor, Uninitialized):
                values = getattr(fresh, name).array
                tensor.materialize(values.shape)
                tensor.array[...] = values
        setattr(self, self._number, number)
        del self._arguments
        self.__class__ = self.cls_to_become

    def forward(self, input: Tensor, *args: Any) -> Tensor:
        self.initialize_parameters(input)
        return self.forward(input, *args)


class LazyLinear(_Lazy, Linear):
    """`Linear` without in_features."""

    cls_to_become, _number, _dim = Linear, "in_features", -1

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(out_features, bias, device, dtype)


class _LazyConv(_Lazy):
    _number = "in_channels"

    def __init__(self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
                 groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__(out_channels, kernel_size, stride, padding, dilation, groups=groups, bias=bias,
                         padding_mode=padding_mode, device=device, dtype=dtype)


class _LazyConvTranspose(_Lazy):
    _number = "in_channels"

    def __init__(self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
                 groups: int = 1, bias: bool = True, dilation: Any = 1, padding_mode: str = "zeros",
                 device: Any = None, dtype: Any = None) -> None:
        super().__init__(out_channels, kernel_size, stride, padding, output_padding, groups=groups, bias=bias,
                         dilation=dilation, padding_mode=padding_mode, device=device, dtype=dtype)


class _LazyNorm(_Lazy):
    _number = "num_features"

    def __init__(self, eps: float = 1e-05, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, device: Any = None, dtype: Any = None, *,
                 bias: bool = True) -> None:
        super().__init__(eps, momentum, affine, track_running_stats, device, dtype, bias=bias)


class LazyConv1d(_LazyConv, Conv1d):
    """`Conv1d` without in_channels."""

    cls_to_become, _dim = Conv1d, -2


class LazyConv2d(_LazyConv, Conv2d):
    """`Conv2d` without in_channels."""

    cls_to_become, _dim = Conv2d, -3


class LazyConv3d(_LazyConv, Conv3d):
    """`Conv3d` without in_channels."""

    cls_to_become, _dim = Conv3d, -4


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """`ConvTranspose1d` without in_channels."""

    cls_to_become, _dim = ConvTranspose1d, -2


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """`ConvTranspose2d` without in_channels."""

    cls_to_become, _dim = ConvTranspose2d, -3


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """`ConvTranspose3d` without in_channels."""

    cls_to_become, _dim = ConvTranspose3d, -4


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """`BatchNorm1d` without num_features."""

    cls_to_become, _dim = BatchNorm1d, 1


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """`BatchNorm2d` without num_features."""

    cls_to_become, _dim = BatchNorm2d, 1


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """`BatchNorm3d` without num_features."""

    cls_to_become, _dim = BatchNorm3d, 1


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """`InstanceNorm1d` without num_features."""

    cls_to_become, _dim = InstanceNorm1d, -2


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """`InstanceNorm2d` without num_features."""

    cls_to_become, _dim = InstanceNorm2d, -3


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """`InstanceNorm3d` without num_features."""

    cls_to_become, _dim = InstanceNorm3d, -4
