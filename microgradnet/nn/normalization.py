"""Normalisation: inputs brought to mean 0 and variance 1 over some of their dimensions, as functions and as modules.

A batch (N, C, d1, …) of N examples with C channels is normalised by

- `batch_norm` over all but C, `instance_norm` over d1, …;
- `layer_norm` over the last dimensions, `group_norm` over groups of channels with d1, …;
- `rms_norm` over the last dimensions, by the mean square alone; `local_response_norm` over neighbouring channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..callers import warn
from ..dtypes import check_device, get_default_dtype, int64
from ..graph import ShapeError
from ..ops.creation import ones, tensor, zeros
from ..ops.normalization import _standardize
from ..recording import no_grad
from ..tensor import Tensor, describe
from . import init
from .module import Module
from .parameter import Parameter

# --- over the last dimensions ---------------------------------------------------------------------------------------


def layer_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None,
               eps: float = 1e-05) -> Tensor:
    """(x - mean) / √(variance + eps) · weight + bias, mean and biased variance over the last dimensions.

    input (…, *normalized_shape); weight and bias of normalized_shape, or None (Ba, Kiros and Hinton, 2016).
    """
    dims = _last_dims("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    return _standardize(input, weight, bias, dims=dims, eps=eps)


def rms_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None,
             eps: float | None = None) -> Tensor:
    """x / √(mean of x² + eps) · weight, the mean over the last dimensions (Zhang and Sennrich, 2019).

    input (…, *normalized_shape); weight of normalized_shape, or None; eps: by default the dtype's machine epsilon.
    """
    dims = _last_dims("rms_norm", input, normalized_shape, weight=weight)
    eps = float(np.finfo(input.dtype).eps) if eps is None else eps
    y = input * ops.rsqrt(ops.mean(ops.square(input), dim=dims, keepdim=True) + eps)
    return y if weight is None else y * weight


def _last_dims(name: str, input: Tensor, shape: Sequence[int], **parameters: Tensor | None) -> tuple[int, ...]:
    shape = tuple(shape)
    if not shape:
        raise ShapeError(f"{name}(): normalized_shape must have at least one dimension, got {shape}")
    if input.shape[-len(shape) :] != shape:
        raise ShapeError(f"{name}(): input {describe(input)} must have shape (…, {', '.join(map(str, shape))}), as "
                         f"normalized_shape={list(shape)} says")
    for role, parameter in parameters.items():
        if parameter is not None and parameter.shape != shape:
            raise ShapeError(f"{name}(): {role} {describe(parameter)} must have the shape {shape}, as normalized_shape")
    return tuple(range(-len(shape), 0))


# --- channels -------------------------------------------------------------------------------------------------------


def batch_norm(input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
               bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-05) -> Tensor:
    """(x - mean) / √(variance + eps) · weight + bias for each channel of (N, C, …) (Ioffe and Szegedy, 2015).

    training: mean and biased variance are the batch's, and the running ones, where given, move towards them by
        `momentum`, in place; running_var towards the unbiased variance. Otherwise they are the running ones.
    All others have shape (C,).
    """
    if training:
        _more_than_one("value per channel", input, (0, *range(2, input.ndim)))
    return _normalized_channels("batch_norm", input, running_mean, running_var, weight, bias, training, momentum, eps,
                                dims=(0, *range(2, input.ndim)))


def instance_norm(input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
                  weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True,
                  momentum: float = 0.1, eps: float = 1e-05) -> Tensor:
    """`batch_norm` of each example by itself (Ulyanov et al., 2016); the running statistics follow the examples' mean.

    use_input_stats: as `training` there.
    """
    if use_input_stats:
        _more_than_one("spatial element", input, tuple(range(2, input.ndim)))
    return _normalized_channels("instance_norm", input, running_mean, running_var, weight, bias, use_input_stats,
                                momentum, eps, dims=tuple(range(2, input.ndim)))


def _normalized_channels(name: str, input: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
                         weight: Tensor | None, bias: Tensor | None, from_input: bool, momentum: float, eps: float,
                         dims: tuple[int, ...]) -> Tensor:
    if input.ndim < 2:
        if not input.numel():
            return ops.clone(input)  # as in PyTorch
        raise IndexError(f"{name}(): input {describe(input)} must have shape (N, C, …)")
    running = {"running_mean": running_mean, "running_var": running_var}
    channels = input.shape[1]
    for role, given in {**running, "weight": weight, "bias": bias}.items():
        if given is not None and given.shape != (channels,):
            raise ShapeError(f"{name}(): {role} should contain {channels} elements, one per channel of the input "
                             f"{describe(input)}, got {describe(given)}")
        if given is None and role in running and not from_input:
            raise RuntimeError(f"{name}(): {role} must be defined in evaluation mode")

    def per_channel(t: Tensor | None) -> Any:
        return t if t is None or input.ndim == 2 else t.reshape(channels, *(1,) * (input.ndim - 2))

    weight, bias = per_channel(weight), per_channel(bias)
    if from_input:
        y = _standardize(input, weight, bias, dims=dims, eps=eps)
        _follow(running_mean, running_var, input, dims, momentum)
        return y
    scale = ops.rsqrt(per_channel(running_var) + eps)
    scale = scale if weight is None else scale * weight
    shift = -per_channel(running_mean) * scale
    return input * scale + (shift if bias is None else shift + bias)


def _follow(running_mean: Tensor | None, running_var: Tensor | None, input: Tensor, dims: tuple[int, ...],
            momentum: float) -> None:
    """Move running statistics towards the input's; those of several examples count by their mean."""
    if not input.numel():
        return
    with no_grad():
        if running_mean is not None:
            new = ops.mean(input, dim=[d for d in range(input.ndim) if d != 1])
            running_mean.lerp_(new.to(running_mean.dtype), momentum)
        if running_var is not None:
            new = ops.var(input, dim=dims)
            new = new if new.ndim == 1 else ops.mean(new, dim=0)
            running_var.lerp_(new.to(running_var.dtype), momentum)


def _more_than_one(what: str, input: Tensor, dims: tuple[int, ...]) -> None:
    count = 1
    for d in dims:
        count *= input.shape[d]
    if count == 1:
        raise ValueError(f"Expected more than 1 {what} when training, got input size {tuple(input.shape)}: one value "
                         "has no variance")


def group_norm(input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
               eps: float = 1e-05) -> Tensor:
    """The C channels of (N, C, …) in `num_groups` groups, each normalised within an example (Wu and He, 2018).

    weight and bias of shape (C,), or None.
    """
    if input.ndim < 2:
        raise ShapeError(f"group_norm(): input {describe(input)} must have shape (N, C, …)")
    examples, channels, *rest = input.shape
    if channels % num_groups:
        raise ShapeError(f"group_norm(): the channels of input {describe(input)} must be divisible by "
                         f"num_groups={num_groups}")
    for role, given in (("weight", weight), ("bias", bias)):
        if given is not None and given.shape != (channels,):
            raise ShapeError(f"group_norm(): {role} {describe(given)} must have one element per channel of the input "
                             f"{describe(input)}")
    grouped = input.reshape(examples, num_groups, channels // num_groups, *rest)
    dims = tuple(range(2, grouped.ndim))
    _more_than_one("value per group", grouped, (0, *dims))

    def in_groups(t: Tensor | None) -> Any:
        return t if t is None else t.reshape(num_groups, -1, *(1,) * len(rest))

    return _standardize(grouped, in_groups(weight), in_groups(bias), dims=dims, eps=eps).reshape(input.shape)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha · mean of x² over `size` neighbouring channels)^beta, with zeros beyond the first and the last
    channel (Krizhevsky et al., 2012)."""
    if input.ndim < 3:
        raise ValueError(f"local_response_norm(): expected input of 3 or more dimensions, got {describe(input)}")
    if not input.numel():
        return input
    examples, channels, *rest = input.shape
    before = zeros(examples, size // 2, *rest, dtype=input.dtype)
    after = zeros(examples, (size - 1) // 2, *rest, dtype=input.dtype)
    squares = ops.cat([before, ops.square(input), after], dim=1)
    total = squares[:, :channels]
    for i in range(1, size):
        total = total + squares[:, i : i + channels]
    return input / (k + (alpha / size) * total) ** beta


# --- as modules -----------------------------------------------------------------------------------------------------


class _Affine(Module):
    """A normalisation with a weight that starts at 1 and a bias that starts at 0, or None for either."""

    weight: Parameter | None
    bias: Parameter | None

    def _add_affine(self, shape: tuple[int, ...], weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        check_device(device)
        dtype = get_default_dtype() if dtype is None else dtype
        self.register_parameter("weight", Parameter(ones(shape, dtype=dtype)) if weight else None)
        self.register_parameter("bias", Parameter(zeros(shape, dtype=dtype)) if bias else None)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class LayerNorm(_Affine):
    """See `layer_norm`."""

    def __init__(self, normalized_shape: int | Sequence[int], eps: float = 1e-05, elementwise_affine: bool = True,
                 bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._add_affine(self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
                f"bias={self.bias is not None}")


class RMSNorm(_Affine):
    """See `rms_norm`."""

    def __init__(self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True,
                 device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._add_affine(self.normalized_shape, elementwise_affine, False, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


def _as_shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


class GroupNorm(_Affine):
    """See `group_norm`."""

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-05, affine: bool = True, device: Any = None,
                 dtype: Any = None, *, bias: bool = True) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self._add_affine((num_channels,), affine, affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
                f"bias={self.bias is not None}")


class LocalResponseNorm(Module):
    """See `local_response_norm`."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        return local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class _ChannelNorm(_Affine):
    """What batch and instance normalisation keep: running statistics in buffers, None where they do not track."""

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    _dims: tuple[int, ...]  # how many dimensions the input may have

    def __init__(self, num_features: int, eps: float = 1e-05, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, device: Any = None, dtype: Any = None, *, bias: bool = True) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self._add_affine((num_features,), affine, affine and bias, device, dtype)
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, None)
        if track_running_stats:
            dtype = get_default_dtype() if dtype is None else dtype
            self.running_mean, self.running_var = zeros(num_features, dtype=dtype), ones(num_features, dtype=dtype)
            self.num_batches_tracked = tensor(0, dtype=int64)

    def reset_running_stats(self) -> None:
        """Forget the inputs seen so far."""
        if self.track_running_stats:
            for name, value in (("running_mean", 0), ("running_var", 1), ("num_batches_tracked", 0)):
                init.constant_(getattr(self, name), value)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, nothing seen."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_dims(self, input: Tensor) -> None:
        if input.ndim not in self._dims:
            expected = " or ".join(f"{n}D" for n in self._dims)
            raise ValueError(f"expected {expected} input (got {input.ndim}D input): {describe(input)}")

    def extra_repr(self) -> str:
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
                f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}")


class _BatchNorm(_ChannelNorm):
    def forward(self, input: Tensor) -> Tensor:
        """By the batch's statistics in training, and where none are tracked; else by the running ones."""
        self._check_dims(input)
        momentum: Any = self.momentum
        if self.training and self.num_batches_tracked is not None:
            with no_grad():
                self.num_batches_tracked.add_(1)
            if momentum is None:  # the mean of all batches so far
                momentum = 1 / self.num_batches_tracked.double()
        by_batch = self.training or self.running_mean is None
        use = self.track_running_stats or not self.training
        running = (self.running_mean, self.running_var) if use else (None, None)
        momentum = 0.0 if momentum is None else momentum
        return batch_norm(input, *running, self.weight, self.bias, by_batch, momentum, self.eps)


class BatchNorm1d(_BatchNorm):
    """`batch_norm` of (N, C) or (N, C, L)."""

    _dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`batch_norm` of (N, C, H, W)."""

    _dims = (4,)


class BatchNorm3d(_BatchNorm):
    """`batch_norm` of (N, C, D, H, W)."""

    _dims = (5,)


class _InstanceNorm(_ChannelNorm):
    def __init__(self, num_features: int, eps: float = 1e-05, momentum: float = 0.1, affine: bool = False,
                 track_running_stats: bool = False, device: Any = None, dtype: Any = None, *,
                 bias: bool = True) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Of a batch (N, C, …), or of one example (C, …)."""
        self._check_dims(input)
        one = input.ndim == self._dims[0]
        channels = input.shape[0 if one else 1]
        if channels != self.num_features:
            told = f"expected {self.num_features} channels, as num_features says, got {describe(input)}"
            if self.affine:
                raise ValueError(told)
            warn(f"{told}; without parameters this changes nothing")
        y = instance_norm(input.unsqueeze(0) if one else input, self.running_mean, self.running_var, self.weight,
                          self.bias, self.training or not self.track_running_stats, self.momentum or 0.0, self.eps)
        return y.squeeze(0) if one else y


class InstanceNorm1d(_InstanceNorm):
    """`instance_norm` of (N, C, L) or (C, L)."""

    _dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """`instance_norm` of (N, C, H, W) or (C, H, W)."""

    _dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """`instance_norm` of (N, C, D, H, W) or (C, D, H, W)."""

    _dims = (4, 5)
