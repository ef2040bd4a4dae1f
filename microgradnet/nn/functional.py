# isort: skip_file
"""Layers, activations and losses as functions: the operations of the table, with PyTorch's arguments.

Written here are the activations and a few that need no module's company; the others live beside their modules.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..callers import warn
from .. import ops, random
from ..graph import Op, ShapeError
from ..recording import no_grad
from ..ops import gelu, sigmoid, softplus, tanh
from ..ops.creation import zeros
from ..ops.inplace import in_place
from ..ops.ranges import arange
from ..tensor import Tensor, describe
from .attention import multi_head_attention_forward, scaled_dot_product_attention
from .conv import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .distance import cosine_similarity, normalize, pairwise_distance, pdist
from .dropout import (
    alpha_dropout, dropout, dropout1d, dropout2d, dropout3d, feature_alpha_dropout, feature_dropout,
)
from .embedding import embedding, embedding_bag
from .folding import channel_shuffle, fold, pixel_shuffle, pixel_unshuffle, unfold
from .grid import affine_grid, grid_sample
from .losses import (
    binary_cross_entropy, binary_cross_entropy_with_logits, cosine_embedding_loss, cross_entropy, ctc_loss,
    gaussian_nll_loss, hinge_embedding_loss, huber_loss, kl_div, l1_loss, linear_cross_entropy, margin_ranking_loss,
    mse_loss, multi_margin_loss, multilabel_margin_loss, multilabel_soft_margin_loss, nll_loss, poisson_nll_loss,
    quadratic_loss, smooth_l1_loss, soft_margin_loss, triplet_margin_loss, triplet_margin_with_distance_loss,
)
from .normalization import batch_norm, group_norm, instance_norm, layer_norm, local_response_norm, rms_norm
from .padding import pad
from .pooling import (
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_max_pool1d, adaptive_max_pool2d,
    adaptive_max_pool3d, avg_pool1d, avg_pool2d, avg_pool3d, fractional_max_pool2d, fractional_max_pool3d, lp_pool1d,
    lp_pool2d, lp_pool3d, max_pool1d, max_pool2d, max_pool3d, max_unpool1d, max_unpool2d, max_unpool3d,
)
from .upsampling import interpolate, upsample, upsample_bilinear, upsample_nearest

# --- layers ---------------------------------------------------------------------------------------------------------


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """z = x wᵀ + b: input (…, in), weight (out, in), bias (out,) to (…, out)."""
    return ops.linear(input, weight, bias)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """zₒ = Σ x1ᵢ wₒᵢⱼ x2ⱼ + bₒ: inputs (…, in1) and (…, in2), weight (out, in1, in2), bias (out,) to (…, out)."""
    if input1.shape[:-1] != input2.shape[:-1] or weight.shape[1:] != (input1.shape[-1], input2.shape[-1]):
        raise ShapeError(f"bilinear(): inputs {describe(input1)} and {describe(input2)} must have shapes (…, in1) and "
                         f"(…, in2), and weight {describe(weight)} (out, in1, in2)")
    z = ops.einsum("...i,oij,...j->...o", input1, weight, input2)
    return z if bias is None else z + bias


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Labels (…) as rows (…, num_classes) of zeros with a 1 at the label, int64; by default as many as occur."""
    if tensor.dtype.kind not in "iu":
        raise TypeError(f"one_hot(): labels must be of a whole-number dtype, got {describe(tensor)}; call .long()")
    if num_classes == -1 and tensor.numel():
        num_classes = int(tensor.array.max()) + 1
    if num_classes <= 0:
        raise ValueError(f"one_hot(): labels {describe(tensor)} do not fit {num_classes} classes")
    try:
        return zeros(*tensor.shape, num_classes, dtype=np.dtype(np.int64)).scatter(-1, tensor.unsqueeze(-1), 1)
    except IndexError:
        low, high = tensor.array.min(), tensor.array.max()
        raise ValueError(f"one_hot(): labels from {low} to {high} do not fit {num_classes} classes") from None


# --- activations ----------------------------------------------------------------------------------------------------
#
# A name with a trailing underscore writes over its input, and so does `inplace=True`.


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)"""
    return relu_(input) if inplace else ops.relu(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x for x > 0, negative_slope · x elsewhere."""
    return (leaky_relu_ if inplace else ops.leaky_relu)(input, negative_slope=negative_slope)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x for x > 0, alpha (eˣ - 1) elsewhere."""
    return (elu_ if inplace else ops.elu)(input, alpha=alpha)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x held within [min_val, max_val]."""
    if min_val > max_val:
        raise ValueError(f"hardtanh(): min_val must not be greater than max_val, got {min_val} and {max_val}")
    return (hardtanh_ if inplace else ops.hardtanh)(input, min_val=min_val, max_val=max_val)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x · sigmoid(x), also called swish."""
    return (in_place(ops.silu) if inplace else ops.silu)(input)


relu_, leaky_relu_, elu_ = in_place(ops.relu), in_place(ops.leaky_relu), in_place(ops.elu)
hardtanh_ = in_place(ops.hardtanh)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)"""
    return hardtanh(input, 0.0, 6.0, inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x for x > threshold, value elsewhere."""
    if inplace:
        return threshold_(input, threshold, value)
    return ops.where(input > threshold, input, value)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale · elu(x, alpha) with the constants that keep mean 0 and variance 1 (Klambauer et al., 2017)."""
    if inplace:
        return selu_(input)
    return 1.0507009873554804934193349852946 * ops.elu(input, alpha=1.6732632423543772848170429916717)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x for x > 0, alpha (e^(x / alpha) - 1) elsewhere (Barron, 2017)."""
    if alpha == 0:
        raise RuntimeError("celu(): alpha must not be 0, which divides")
    if inplace:
        return celu_(input, alpha)
    if alpha < 0:  # then the exponential is used where x / alpha is positive
        return ops.where(input > 0, input, alpha * ops.expm1(ops.where(input > 0, 0.0, input) / alpha))
    return ops.where(input > 0, input, alpha * ops.expm1(ops.clamp(input, max=0) / alpha))


def rrelu(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False,
          inplace: bool = False) -> Tensor:
    """x for x > 0, s · x elsewhere: s uniform over [lower, upper] for each element in training, else in the middle."""
    if lower > upper:
        raise RuntimeError(f"rrelu(): lower must not be greater than upper, got {lower} and {upper}")
    if inplace:
        return rrelu_(input, lower, upper, training)
    slope = _uniform(input, low=lower, high=upper) if training else (lower + upper) / 2
    return ops.where(input > 0, input, slope * input)


def _draw_uniform(x, /, low, high):
    return low + x.dtype.type(high - low) * random._uniform(None, x.shape, x.dtype)


_uniform = Op("uniform_like", _draw_uniform, doc="Numbers uniform over [low, high), in x's shape and dtype.")
threshold_, selu_, celu_, rrelu_ = in_place(threshold), in_place(selu), in_place(celu), in_place(rrelu)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x for x > 0, weight · x elsewhere; weight of one element, or (C,) for input (N, C, …)."""
    if weight.ndim > 1:
        raise ShapeError(f"prelu(): weight {describe(weight)} must be a scalar or a vector")
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.numel() not in (1, channels):
        raise ShapeError(f"prelu(): weight {describe(weight)} must have 1 element, or one per channel of input "
                         f"{describe(input)}, {channels}")
    if weight.ndim:
        weight = weight.reshape(-1, *(1,) * (input.ndim - 2)) if input.ndim > 1 else weight.reshape(())
    return ops.where(input > 0, input, weight * input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a · sigmoid(b) for the halves a and b of the input along `dim` (Dauphin et al., 2017)."""
    if input.ndim == 0 or input.shape[dim] % 2:
        raise ShapeError(f"glu(): dimension {dim} of {describe(input)} must be even, to be halved")
    a, b = ops.chunk(input, 2, dim)
    return a * sigmoid(b)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, 0 elsewhere."""
    return ops.where((input >= -lambd) & (input <= lambd), 0.0, input)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x brought lambd nearer to 0, and 0 where |x| <= lambd."""
    if lambd < 0:
        raise RuntimeError(f"softshrink(): lambd must not be negative, got {lambd}")
    return ops.where(input > lambd, input - lambd, ops.where(input < -lambd, input + lambd, 0.0 * input))


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)"""
    return input - tanh(input)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)"""
    return input / (1 + ops.abs(input))


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """x / 6 + 1/2, held within [0, 1]."""
    return in_place(hardsigmoid)(input) if inplace else relu6(input + 3) / 6


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x · hardsigmoid(x) (Howard et al., 2019)."""
    return in_place(hardswish)(input) if inplace else input * relu6(input + 3) / 6


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x · tanh(softplus(x)) (Misra, 2019)."""
    return in_place(mish)(input) if inplace else input * tanh(softplus(input))


def logsigmoid(input: Tensor) -> Tensor:
    """log sigmoid(x), exact for large negative and large positive x."""
    return -softplus(-input, threshold=math.inf)


# --- over classes ---------------------------------------------------------------------------------------------------


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """eˣ over its sum along `dim`."""
    return ops.softmax(input, _class_dim("softmax", input, dim), dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax of -x."""
    return ops.softmax(-input, _class_dim("softmin", input, dim), dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """The logarithm of softmax, without its underflow."""
    return ops.log_softmax(input, _class_dim("log_softmax", input, dim), dtype)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """softmax of (logits + Gumbel noise) / tau: a draw from the classes that has a derivative (Jang et al., 2017).

    hard: the draw as one-hot, with the soft one's derivative.
    """
    noise = -ops.log(-ops.log(_uniform(logits, low=float(np.finfo(logits.dtype).tiny), high=1.0)))
    soft = ops.softmax((logits + noise) / tau, dim=dim)
    if not hard:
        return soft
    chosen = ops.argmax(soft, dim=dim, keepdim=True)
    with no_grad():
        to_hard = ops.scatter(0 * soft, dim, chosen, 1.0) - soft
    return soft + to_hard


def _class_dim(name: str, input: Tensor, dim: int | None) -> int:
    if dim is None:
        dim = 0 if input.ndim in (0, 1, 3) else 1
        warn(f"{name}(): dim={dim} is an implicit choice for {input.ndim} dimensions; pass dim")
    return dim
