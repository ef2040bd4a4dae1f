"""Layers, activations and losses as functions: the operations of the table, with PyTorch's arguments."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..graph import Op
from ..ops import gelu, sigmoid, softplus, tanh
from ..ops.creation import arange
from ..random import Generator, numpy_generator
from ..tensor import Tensor, describe
from .embedding import embedding, embedding_bag
from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    quadratic_loss,
    smooth_l1_loss,
)
from .normalization import batch_norm, group_norm, instance_norm, layer_norm, local_response_norm, rms_norm

__all__ = [
    "embedding", "embedding_bag",
    "batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "rms_norm",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "dropout", "elu", "gelu", "hardtanh",
    "huber_loss", "kl_div", "l1_loss", "leaky_relu", "linear", "log_softmax", "logsigmoid", "mse_loss", "nll_loss",
    "normalize", "one_hot", "quadratic_loss", "relu", "relu6", "sigmoid", "silu", "smooth_l1_loss", "softmax",
    "softmin", "softplus", "softsign", "tanh", "tanhshrink",
]

# --- layers ---------------------------------------------------------------------------------------------------------


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """z = x wᵀ + b: input (…, in), weight (out, in), bias (out,) to (…, out)."""
    return ops.linear(input, weight, bias)


def _draw_mask(x, /, p, generator):
    kept = numpy_generator(generator).random(x.shape, np.float32) >= p
    return kept * x.dtype.type(1 / (1 - p) if p < 1 else 0)


_dropout_mask = Op("dropout_mask", _draw_mask, doc="0 with probability p, else 1 / (1 - p), in x's shape and dtype.")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *,
            generator: Generator | None = None) -> Tensor:
    """Each element 0 with probability p, the others scaled by 1 / (1 - p), so that the mean stays; in training only."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    return _apply(lambda x: x * _dropout_mask(x, p=p, generator=generator), input, inplace)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Labels (…) as rows (…, num_classes) of zeros with a 1 at the label, int64; by default as many as occur."""
    if tensor.dtype.kind not in "iu":
        raise TypeError(f"one_hot(): labels must be of a whole-number dtype, got {describe(tensor)}; call .long()")
    low, high = (tensor.array.min(), tensor.array.max()) if tensor.numel() else (0, -1)
    if num_classes == -1 and tensor.numel():
        num_classes = int(high) + 1
    if num_classes <= 0 or low < 0 or high >= num_classes:
        raise ValueError(f"one_hot(): labels from {low} to {high} do not fit {num_classes} classes")
    return (tensor.unsqueeze(-1) == arange(num_classes)).to(np.dtype(np.int64))


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """The input over its p-norm along `dim`, or over eps where that is smaller."""
    return input / ops.clamp(ops.norm(input, p, dim, keepdim=True), min=eps)


# --- activations ----------------------------------------------------------------------------------------------------


def _apply(f: Callable[[Tensor], Tensor], input: Tensor, inplace: bool) -> Tensor:
    # In place the derivative still needs the old values: hence the clone.
    return input.copy_(f(input.clone())) if inplace else f(input)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)"""
    return _apply(ops.relu, input, inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)"""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x held within [min_val, max_val]."""
    return _apply(lambda x: ops.hardtanh(x, min_val=min_val, max_val=max_val), input, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x for x > 0, negative_slope · x elsewhere."""
    return _apply(lambda x: ops.leaky_relu(x, negative_slope=negative_slope), input, inplace)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x for x > 0, alpha (eˣ - 1) elsewhere."""
    return _apply(lambda x: ops.elu(x, alpha=alpha), input, inplace)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x · sigmoid(x), also called swish."""
    return _apply(ops.silu, input, inplace)


def logsigmoid(input: Tensor) -> Tensor:
    """log sigmoid(x), exact for large negative and large positive x."""
    return -softplus(-input, threshold=math.inf)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)"""
    return input / (1 + ops.abs(input))


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)"""
    return input - tanh(input)


def softmax(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """eˣ over its sum along `dim`."""
    return ops.softmax(_cast(input, dtype), dim=_class_dim("softmax", input, dim))


def softmin(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """softmax of -x."""
    return ops.softmax(-_cast(input, dtype), dim=_class_dim("softmin", input, dim))


def log_softmax(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """The logarithm of softmax, without its underflow."""
    return ops.log_softmax(_cast(input, dtype), dim=_class_dim("log_softmax", input, dim))


def _cast(input: Tensor, dtype: Any) -> Tensor:
    return input if dtype is None else input.to(dtype)


def _class_dim(name: str, input: Tensor, dim: int | None) -> int:
    if dim is None:
        dim = 0 if input.ndim in (0, 1, 3) else 1
        warnings.warn(f"{name}(): dim={dim} is an implicit choice for {input.ndim} dimensions; pass dim", stacklevel=4)
    return dim
