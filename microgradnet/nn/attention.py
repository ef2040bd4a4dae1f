"""Attention: every query takes the mean of the values, weighted by how well their keys match it; in several heads.

L is the number of queries, S that of keys and values, N the batch size, E an embedding's dimension.
"""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..graph import DtypeError, ShapeError
from ..ops.creation import ones, zeros
from ..recording import is_capturing
from ..tensor import Tensor, describe
from .dropout import dropout
from .padding import pad

# --- one head -------------------------------------------------------------------------------------------------------


def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
                                 dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
                                 enable_gqa: bool = False) -> Tensor:
    """softmax(scale · query keyᵀ + mask) value: (…, L, E), (…, S, E) and (…, S, V) to (…, L, V).

    attn_mask: broadcasts to (…, L, S); booleans that are True where a query may look, or floats to add to the scores.
        A query that may look nowhere gets zeros.
    is_causal: query i looks at keys 0 … i only. scale: 1/√E by default.
    dropout_p: weights are dropped with this probability, also outside of training.
    enable_gqa: keys and values have fewer heads (dimension -3) than queries, and each serves several of these.
    """
    _check_operands(query, key, value, attn_mask, is_causal)
    if enable_gqa:
        key, value = _repeated(key, query), _repeated(value, query)
    if is_causal:
        attn_mask = ones(query.shape[-2], key.shape[-2], dtype=bool).tril()
    scores = _scores(query, key, scale)
    if attn_mask is None:
        weights = ops.softmax(scores, dim=-1)
    else:
        weights = _masked_softmax(scores, attn_mask)
    return dropout(weights, dropout_p) @ value


def _scores(query: Tensor, key: Tensor, scale: float | None = None) -> Tensor:
    if scale is None:
        scale = 1 / math.sqrt(query.shape[-1]) if query.shape[-1] else 1.0
    return (query * scale) @ key.transpose(-2, -1)


def _masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Over the last dimension, and 0 all along it where the mask leaves nothing."""
    if mask.dtype.kind == "b":
        scores, blind = scores.masked_fill(~mask, -math.inf), ~mask.any(-1, keepdim=True)
    else:
        scores, blind = scores + mask, (mask == -math.inf).all(-1, keepdim=True)
    if not is_capturing() and not blind.array.any():
        return ops.softmax(scores, dim=-1)
    return ops.softmax(scores.masked_fill(blind, 0.0), dim=-1).masked_fill(blind, 0.0)


def _repeated(x: Tensor, query: Tensor) -> Tensor:
    """With each head as often as it takes for a head per query head."""
    heads, wanted = x.shape[-3], query.shape[-3]
    if wanted % heads:
        raise ShapeError(f"scaled_dot_product_attention(): the {heads} heads of {describe(x)} do not divide the "
                         f"{wanted} of query {describe(query)}")
    x = x.unsqueeze(-3)
    return x.expand(*x.shape[:-3], wanted // heads, *x.shape[-2:]).flatten(-4, -3)


def _check_operands(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, is_causal: bool) -> None:
    name, operands = "scaled_dot_product_attention()", f"{describe(query)}, {describe(key)} and {describe(value)}"
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise ShapeError(f"{name}: query, key and value must have at least 2 dimensions, got {operands}")
    if not query.dtype == key.dtype == value.dtype:
        raise DtypeError(f"{name}: query, key and value must have the same dtype, got {operands}")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ShapeError(f"{name}: query (…, L, E), key (…, S, E) and value (…, S, V) do not fit, got {operands}")
    if mask is None:
        return
    if is_causal:
        raise RuntimeError(f"{name}: give attn_mask or is_causal=True, not both")
    if mask.dtype.kind != "b" and mask.dtype != query.dtype:
        raise DtypeError(f"{name}: attn_mask {describe(mask)} must be boolean or of the dtype of query, {query.dtype}")


# --- several heads --------------------------------------------------------------------------------------------------


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True,
    key_padding_mask: Tensor | None = None, need_weights: bool = True, attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False, q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None, static_k: Tensor | None = None, static_v: Tensor | None = None,
    average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """The functional form of `MultiheadAttention`, whose parameters are arguments here: (output, weights or None).

    static_k, static_v: (N · heads, S, head_dim), in place of the projected key and value.
    """
    single = query.ndim == 2
    _check_heads(query, key, value, embed_dim_to_check, num_heads, key_padding_mask, attn_mask)
    if single:
        query, key, value = (query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    if is_causal and attn_mask is None:
        raise RuntimeError("multi_head_attention_forward(): is_causal=True is a hint about attn_mask, which is None; "
                           "Transformer.generate_square_subsequent_mask() makes one")
    length, batch, dim = query.shape

    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _projected(query, key, value, in_proj_weight, in_proj_bias, separate)
    if bias_k is not None and bias_v is not None:
        k, v = ops.cat([k, bias_k.expand(1, batch, dim)]), ops.cat([v, bias_v.expand(1, batch, dim)])
    q, k, v = (x.reshape(len(x), batch, num_heads, dim // num_heads).permute(1, 2, 0, 3) for x in (q, k, v))
    if static_k is not None:
        k = static_k.reshape(batch, num_heads, *static_k.shape[1:])
    if static_v is not None:
        v = static_v.reshape(batch, num_heads, *static_v.shape[1:])
    if add_zero_attn:
        nothing = zeros(batch, num_heads, 1, dim // num_heads, dtype=k.dtype)
        k, v = ops.cat([k, nothing], 2), ops.cat([v, nothing], 2)

    is_causal = is_causal and key_padding_mask is None and not need_weights  # then the hint replaces the mask
    mask = None if is_causal else _merged(attn_mask, key_padding_mask, q, k)
    if not need_weights:
        mixed = scaled_dot_product_attention(q, k, v, mask, dropout_p if training else 0.0, is_causal)
        weights = None
    else:
        scores = _scores(q, k)
        weights = dropout(ops.softmax(scores if mask is None else scores + mask, dim=-1), dropout_p, training)
        mixed = weights @ v
        if average_attn_weights:
            weights = weights.mean(1)
        weights = weights.squeeze(0) if single else weights
    mixed = mixed.permute(2, 0, 1, 3).reshape(length, batch, dim)
    output = ops.linear(mixed, out_proj_weight, out_proj_bias)
    return (output.squeeze(1) if single else output), weights


def _projected(query: Tensor, key: Tensor, value: Tensor, weight: Tensor | None, bias: Tensor | None,
               separate: Any) -> Any:
    """Queries, keys and values: three linear maps, whose weights may lie in one matrix; one map where the three are
    made from one tensor."""
    if separate is None and weight is not None:
        if query is key and key is value:
            return ops.linear(query, weight, bias).chunk(3, -1)
        separate = weight.chunk(3)
    biases = (None, None, None) if bias is None else bias.chunk(3)
    return [ops.linear(x, w, b) for x, w, b in zip((query, key, value), separate, biases)]


def _merged(attn_mask: Tensor | None, key_padding_mask: Tensor | None, q: Tensor, k: Tensor) -> Tensor | None:
    """Both masks as one to add to the scores (N, heads, L, S), whose last keys may be ones that were appended."""
    (batch, heads), length, keys = q.shape[:2], q.shape[2], k.shape[2]
    merged = None
    if attn_mask is not None:
        mask = _additive(attn_mask, q.dtype)
        merged = mask if mask.ndim == 2 else mask.reshape(batch, heads, length, mask.shape[-1])
    if key_padding_mask is not None:
        padding = _additive(key_padding_mask, q.dtype).reshape(batch, 1, 1, key_padding_mask.shape[1])
        merged = padding if merged is None else merged + padding
    if merged is not None and merged.shape[-1] < keys:
        merged = pad(merged, (0, keys - merged.shape[-1]))
    return merged


def _additive(mask: Tensor, dtype: Any) -> Tensor:
    """Booleans, True where no query may look, as -inf there and 0 elsewhere; floats as they are."""
    return zeros(mask.shape, dtype=dtype).masked_fill(mask, -math.inf) if mask.dtype.kind == "b" else mask


def _check_heads(query: Tensor, key: Tensor, value: Tensor, dim: int, num_heads: int, key_padding_mask: Tensor | None,
                 attn_mask: Tensor | None) -> None:
    operands = f"query {describe(query)}, key {describe(key)} and value {describe(value)}"
    if query.ndim not in (2, 3) or not query.ndim == key.ndim == value.ndim:
        raise ShapeError(f"multi-head attention expects three batches (3-D) or three sequences (2-D), got {operands}")
    if query.shape[-1] != dim or dim % num_heads:
        raise ShapeError(f"multi-head attention was expecting an embedding dimension of {dim}, divisible by "
                         f"{num_heads} heads, got {operands}")
    if key.shape[:-1] != value.shape[:-1] or query.ndim == 3 and query.shape[1] != key.shape[1]:
        raise ShapeError(f"multi-head attention: the sequences and batches do not fit, got {operands}")
    length, keys, batch = query.shape[0], key.shape[0], query.shape[1] if query.ndim == 3 else 1
    masks: list[tuple[str, Tensor | None, list]] = [
        ("attn_mask", attn_mask, [(length, keys), (batch * num_heads, length, keys)]),
        ("key_padding_mask", key_padding_mask, [(batch, keys) if query.ndim == 3 else (keys,)]),
    ]
    for name, mask, shapes in masks:
        if mask is None:
            continue
        if mask.dtype.kind not in "bf":
            raise DtypeError(f"multi-head attention: {name} must be boolean or floating, got {describe(mask)}")
        if tuple(mask.shape) not in shapes:
            raise ShapeError(f"multi-head attention: the shape of the {name} is {tuple(mask.shape)}, but should be "
                             f"{' or '.join(map(str, shapes))}, for {operands}")
