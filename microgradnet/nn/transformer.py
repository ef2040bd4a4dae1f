"""Attention in several heads, and the transformer: layers of it, and of a small network for each position."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from ..dtypes import check_device, get_default_dtype
from ..graph import ShapeError
from ..ops.creation import empty, full
from ..tensor import Tensor, describe
from . import functional as F
from . import init
from .attention import multi_head_attention_forward
from .containers import ModuleList
from .dropout import Dropout
from .layers import Linear
from .module import Module
from .normalization import LayerNorm
from .parameter import Parameter

# --- attention ------------------------------------------------------------------------------------------------------


class NonDynamicallyQuantizableLinear(Linear):
    """Linear, under the name that PyTorch's output projection shows."""


class MultiheadAttention(Module):
    """Attention in num_heads subspaces of dimension embed_dim / num_heads, put side by side and projected.

    kdim, vdim: dimensions of keys and values, embed_dim by default. bias: of all four projections.
    add_bias_kv: a learnt key and value more; add_zero_attn: a key and value of zeros more.
    batch_first: tensors are (N, L, E) in place of (L, N, E).
    """

    in_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True,
                 add_bias_kv: bool = False, add_zero_attn: bool = False, kdim: int | None = None,
                 vdim: int | None = None, batch_first: bool = False, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        check_device(device)
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: embed_dim must be divisible by num_heads, and both greater than 0, "
                             f"got embed_dim={embed_dim} and num_heads={num_heads}")
        dtype = get_default_dtype() if dtype is None else dtype
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        self._qkv_same_embed_dim = self.kdim == self.vdim == embed_dim

        def parameter(name: str, wanted: bool, *shape: int) -> None:
            self.register_parameter(name, Parameter(empty(*shape, dtype=dtype)) if wanted else None)

        packed = self._qkv_same_embed_dim
        parameter("in_proj_weight", packed, 3 * embed_dim, embed_dim)
        for name, width in (("q_proj_weight", embed_dim), ("k_proj_weight", self.kdim), ("v_proj_weight", self.vdim)):
            parameter(name, not packed, embed_dim, width)
        parameter("in_proj_bias", bias, 3 * embed_dim)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, dtype=dtype)
        for name in ("bias_k", "bias_v"):
            parameter(name, add_bias_kv, 1, 1, embed_dim)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name, p in self._parameters.items():
            if p is not None and name.endswith("weight"):
                init.xavier_uniform_(p)
            elif p is not None and name in ("bias_k", "bias_v"):
                init.xavier_normal_(p)
        if self.in_proj_bias is not None and self.out_proj.bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
                need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
                is_causal: bool = False) -> tuple[Tensor, Tensor | None]:
        """Queries (L, N, embed_dim), keys (S, N, kdim) and values (S, N, vdim), or single sequences without N, to
        (output (L, N, embed_dim), weights (N, L, S), or None).

        key_padding_mask: (N, S), and attn_mask: (L, S) or (N · num_heads, L, S): booleans that are True where no query
            may look, or floats to add to the scores.
        need_weights: return the weights, the mean over the heads or, with average_attn_weights=False, (N, heads, L, S).
        is_causal: a hint that attn_mask hides what lies behind each query.
        """
        turned = self.batch_first and query.ndim == 3
        if turned:
            alone = query is key and key is value
            q = query.transpose(0, 1)
            query, key, value = (q, q, q) if alone else (q, key.transpose(0, 1), value.transpose(0, 1))
        own = self.__dict__
        output, weights = multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k,
            self.bias_v, self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias, self.training,
            key_padding_mask, need_weights, attn_mask, not self._qkv_same_embed_dim, own["q_proj_weight"],
            own["k_proj_weight"], own["v_proj_weight"], average_attn_weights=average_attn_weights, is_causal=is_causal)
        return (output.transpose(0, 1) if turned else output), weights


# --- layers ---------------------------------------------------------------------------------------------------------

ACTIVATIONS: dict[str, Callable] = {"relu": F.relu, "gelu": F.gelu}


class _Layer(Module):
    """What the layers of encoder and decoder share: blocks, each with a norm, a dropout and a residual connection.

    nhead: attention heads; dim_feedforward: the width of the small network; activation: 'relu', 'gelu' or a function.
    norm_first: normalise what goes into a block, x + block(norm(x)); else what comes out, norm(x + block(x)).
    batch_first: tensors are (N, L, E) in place of (L, N, E). bias: of all linear maps and norms.
    """

    attentions: tuple[str, ...]  # the names of the attention blocks

    def __init__(self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
                 activation: str | Callable[[Tensor], Tensor] = F.relu, layer_norm_eps: float = 1e-5,
                 batch_first: bool = False, norm_first: bool = False, bias: bool = True, device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__()
        if isinstance(activation, str):
            if activation not in ACTIVATIONS:
                raise RuntimeError(f"activation should be 'relu', 'gelu' or a function, not {activation!r}")
            activation = ACTIVATIONS[activation]
        for name in self.attentions:
            setattr(self, name, MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first,
                                                   device=device, dtype=dtype))
        self.linear1 = Linear(d_model, dim_feedforward, bias, device, dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, device, dtype)
        self.norm_first = norm_first
        blocks = range(1, len(self.attentions) + 2)
        for k in blocks:
            setattr(self, f"norm{k}", LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype))
        for k in blocks:
            setattr(self, f"dropout{k}", Dropout(dropout))
        self.activation = activation

    def _through(self, x: Tensor, *blocks: Callable[[Tensor], Tensor]) -> Tensor:
        """Each block in turn, with its residual connection."""
        own = self.__dict__
        for k, block in enumerate(blocks, 1):
            norm, drop = own[f"norm{k}"], own[f"dropout{k}"]
            x = x + drop(block(norm(x))) if self.norm_first else norm(x + drop(block(x)))
        return x

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention, then a network for each position. For the arguments see `_Layer`."""

    attentions = ("self_attn",)
    self_attn: MultiheadAttention

    def forward(self, src: Tensor, src_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
                is_causal: bool = False) -> Tensor:
        """(S, N, d_model) to the same; for the masks see `MultiheadAttention`."""

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal)[0]

        return self._through(src, attend, self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's output, then a network for each position. For the arguments see
    `_Layer`."""

    attentions = ("self_attn", "multihead_attn")
    self_attn: MultiheadAttention
    multihead_attn: MultiheadAttention

    def forward(self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
                tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
                tgt_is_causal: bool = False, memory_is_causal: bool = False) -> Tensor:
        """(T, N, d_model) and the encoder's output (S, N, d_model) to (T, N, d_model)."""

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal)[0]

        def look(x: Tensor) -> Tensor:
            return self.multihead_attn(x, memory, memory, memory_key_padding_mask, False, memory_mask,
                                       is_causal=memory_is_causal)[0]

        return self._through(tgt, attend, look, self._feed_forward)


# --- stacks ---------------------------------------------------------------------------------------------------------


class _Stack(Module):
    """Copies of a layer on top of one another, and a norm at the end, if one is given."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def _through(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        for layer in self.layers:
            x = layer(x, *args, **kwargs)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """num_layers copies of an encoder layer, and a norm at the end, if one is given.

    enable_nested_tensor and mask_check are for PyTorch's fast path and change nothing: padded positions, which that
    path may fill with zeros, come out as computed.
    """

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None,
                 enable_nested_tensor: bool = True, mask_check: bool = True) -> None:
        super().__init__(encoder_layer, num_layers, norm)

    def forward(self, src: Tensor, mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
                is_causal: bool | None = None) -> Tensor:
        """(S, N, d_model) to the same; for the masks see `MultiheadAttention`."""
        return self._through(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal))


class TransformerDecoder(_Stack):
    """num_layers copies of a decoder layer, and a norm at the end, if one is given."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
                tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
                tgt_is_causal: bool | None = None, memory_is_causal: bool = False) -> Tensor:
        """(T, N, d_model) and the encoder's output (S, N, d_model) to (T, N, d_model)."""
        return self._through(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=bool(tgt_is_causal),
            memory_is_causal=memory_is_causal)


class Transformer(Module):
    """An encoder, and a decoder that attends to its output; for the arguments see `_Layer`.

    custom_encoder, custom_decoder: modules in their place. Matrices start by `xavier_uniform_`.
    """

    def __init__(self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6, num_decoder_layers: int = 6,
                 dim_feedforward: int = 2048, dropout: float = 0.1,
                 activation: str | Callable[[Tensor], Tensor] = F.relu, custom_encoder: Any = None,
                 custom_decoder: Any = None, layer_norm_eps: float = 1e-5, batch_first: bool = False,
                 norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        layer = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias,
                 device, dtype)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)

        self.encoder = custom_encoder
        if custom_encoder is None:
            self.encoder = TransformerEncoder(TransformerEncoderLayer(*layer), num_encoder_layers, norm())
        self.decoder = custom_decoder
        if custom_decoder is None:
            self.decoder = TransformerDecoder(TransformerDecoderLayer(*layer), num_decoder_layers, norm())
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p)

    def forward(self, src: Tensor, tgt: Tensor, src_mask: Tensor | None = None, tgt_mask: Tensor | None = None,
                memory_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
                tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
                src_is_causal: bool | None = None, tgt_is_causal: bool | None = None,
                memory_is_causal: bool = False) -> Tensor:
        """Source (S, N, d_model) and target (T, N, d_model) to (T, N, d_model); single sequences without N."""
        batch = 0 if self.batch_first else 1
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise ShapeError(f"Transformer: the feature number of src {describe(src)} and tgt {describe(tgt)} must be "
                             f"d_model, {self.d_model}")
        if src.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise ShapeError(f"Transformer: the batch number of src {describe(src)} and tgt {describe(tgt)} must be "
                             "equal")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """(sz, sz), to add to the scores: -inf where a key lies behind the query, 0 elsewhere."""
        check_device(device)
        return full((sz, sz), -math.inf, dtype=dtype).triu(1)
