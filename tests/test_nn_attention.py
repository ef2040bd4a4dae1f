"""Attention and the transformer: explicit loops, masks that really mask, layers by hand; and PyTorch as the judge."""

import math

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn
from microgradnet.autograd import gradcheck, gradgradcheck

INF = math.inf


def normal(*shape, seed=0, **kwargs):
    return mg.tensor(np.random.default_rng([seed, *shape]).standard_normal(shape), **kwargs)


def equal(actual, expected, tolerance=1e-12):
    __tracebackhide__ = True
    expected = expected.detach().numpy() if isinstance(expected, mg.Tensor) else expected
    np.testing.assert_allclose(actual.detach().numpy(), expected, tolerance, tolerance)


def double(module, scale=0.5):
    """In float64, with parameters at random, biases and norms included."""
    module.double()
    for k, p in enumerate(module.parameters()):
        p.data = scale * normal(*p.shape, seed=k)
    return module


# --- one head -------------------------------------------------------------------------------------------------------


def looped(query, key, value, looks=lambda i, j: True, bias=None, scale=None):
    """Query by query, key by key."""
    out = np.zeros((len(query), value.shape[1]))
    scale = 1 / math.sqrt(query.shape[1]) if scale is None else scale
    for i, q in enumerate(query):
        weights = [math.exp(scale * (q @ k) + (0 if bias is None else bias[i, j])) if looks(i, j) else 0
                   for j, k in enumerate(key)]
        for w, v in zip(weights, value):
            out[i] += w / sum(weights) * v if sum(weights) else 0
    return out


def test_attention_is_a_weighted_mean():
    q, k, v = normal(4, 3), normal(5, 3, seed=1), normal(5, 2, seed=2)
    arrays = q.array, k.array, v.array
    attend = F.scaled_dot_product_attention
    equal(attend(q, k, v), looped(*arrays))
    equal(attend(q, k, v, scale=0.3), looped(*arrays, scale=0.3))
    equal(attend(q, k, v, is_causal=True), looped(*arrays, lambda i, j: j <= i))
    mask = mg.tensor(np.random.default_rng(3).random((4, 5)) < 0.5)
    mask[2] = False  # a query that may look nowhere
    equal(attend(q, k, v, mask), looped(*arrays, lambda i, j: mask.array[i, j]))
    floats = mg.zeros(4, 5, dtype=mg.float64).masked_fill(~mask, -INF)
    equal(attend(q, k, v, floats), looped(*arrays, lambda i, j: mask.array[i, j]))
    bias = normal(4, 5, seed=4)
    equal(attend(q, k, v, bias), looped(*arrays, bias=bias.array))
    equal(attend(mg.stack([q, 2 * q]), k, v)[1], looped(2 * arrays[0], *arrays[1:]))


@pytest.mark.parametrize("kind", ["free", "causal", "boolean", "learnt"])
def test_gradients_of_first_and_second_order(kind):
    leaves = [normal(2, 3, 2, seed=k, requires_grad=True) for k in range(3)]
    mask = mg.tensor([[True, False, True], [False, False, False], [True, True, True]])
    if kind == "learnt":
        leaves.append(normal(3, 3, seed=7, requires_grad=True))

    def attend(q, k, v, bias=None):
        return F.scaled_dot_product_attention(q, k, v, mask if kind == "boolean" else bias, is_causal=kind == "causal")

    assert gradcheck(attend, leaves) and gradgradcheck(attend, leaves)


def test_fewer_key_heads_serve_several_query_heads():
    q, k = normal(2, 4, 3, 5), normal(2, 2, 6, 5, seed=1)
    y = F.scaled_dot_product_attention(q, k, k + 1, enable_gqa=True)
    for head in range(4):
        equal(y[:, head], F.scaled_dot_product_attention(q[:, head], k[:, head // 2], k[:, head // 2] + 1))


def test_dropped_weights_follow_the_seed_and_keep_the_mean():
    q, v = mg.zeros(1, 2), mg.ones(4000, 1)
    mg.manual_seed(3)
    y = F.scaled_dot_product_attention(q, mg.zeros(4000, 2), v, dropout_p=0.25)
    mg.manual_seed(3)
    equal(F.scaled_dot_product_attention(q, mg.zeros(4000, 2), v, dropout_p=0.25), y)
    assert y.item() != 1 and abs(y.item() - 1) < 0.05


# --- the future is out of sight ---------------------------------------------------------------------------------------


def seen_by(module, position, length=5):
    """Which positions of the input the output at a position depends on: True where its gradient is not exactly 0."""
    x = normal(length, 1, 8, requires_grad=True)
    module(x)[position].sum().backward()
    return [bool((x.grad[t] != 0).any()) for t in range(length)]


def test_causal_masks_really_mask():
    mask = nn.Transformer.generate_square_subsequent_mask(5, dtype=mg.float64)
    memory = normal(3, 1, 8)
    attention = double(nn.MultiheadAttention(8, 2))
    encoder = double(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, norm_first=True), 2).eval())
    decoder = double(nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 2).eval())
    for look in [
        lambda x: attention(x, x, x, attn_mask=mask)[0],
        lambda x: attention(x, x, x, attn_mask=mask == -INF, need_weights=False)[0],
        lambda x: attention(x, x, x, attn_mask=mask, need_weights=False, is_causal=True)[0],
        lambda x: encoder(x, mask), lambda x: encoder(x, mask, is_causal=True), lambda x: decoder(x, memory, mask),
        lambda x: F.scaled_dot_product_attention(*[x.transpose(0, 1)] * 3, is_causal=True).transpose(0, 1),
    ]:
        for position in (0, 2, 4):
            assert seen_by(look, position) == [t <= position for t in range(5)]
    assert seen_by(lambda x: attention(x, x, x)[0], 0) == [True] * 5  # the test sees it where nothing is masked


def test_padding_is_out_of_sight():
    attention, x = double(nn.MultiheadAttention(8, 2)), normal(4, 2, 8)
    padding = mg.tensor([[False, False, True, True], [False] * 4])
    for need in (True, False):
        y, weights = attention(x, x, x, key_padding_mask=padding, need_weights=need)
        alone, _ = attention(x[:, 0], x[:2, 0], x[:2, 0])
        equal(y[:, 0], alone)
        equal(y[:, 1], attention(x[:, 1], x[:, 1], x[:, 1])[0])
        assert weights is None if not need else (weights[0, :, 2:] == 0).all()


# --- several heads --------------------------------------------------------------------------------------------------


def test_heads_are_attention_in_their_subspaces():
    attention, x, memory = double(nn.MultiheadAttention(6, 3)), normal(4, 6), normal(5, 6, seed=1)
    y, weights = attention(x, memory, memory, average_attn_weights=False)
    w, b = attention.in_proj_weight.detach().array, attention.in_proj_bias.detach().array
    q, k, v = (z.array @ w[s].T + b[s] for z, s in zip((x, memory, memory), (slice(6), slice(6, 12), slice(12, 18))))
    heads = [looped(q[:, s], k[:, s], v[:, s]) for s in (slice(2), slice(2, 4), slice(4, 6))]
    equal(y, np.hstack(heads) @ attention.out_proj.weight.detach().array.T + attention.out_proj.bias.detach().array)
    equal(weights.sum(-1), np.ones((3, 4)))
    equal(attention(x, memory, memory)[1], weights.mean(0))


def test_batch_first_and_cross_attention_agree_with_sequence_first():
    first, second = double(nn.MultiheadAttention(6, 3, batch_first=True)), double(nn.MultiheadAttention(6, 3))
    x, memory = normal(4, 2, 6), normal(5, 2, 6, seed=1)
    turned = first(x.transpose(0, 1), memory.transpose(0, 1), memory.transpose(0, 1))
    y, weights = second(x, memory, memory)
    equal(turned[0].transpose(0, 1), y)
    equal(turned[1], weights)
    equal(second(x, x, x)[0], second(x, x.clone(), x.clone())[0])  # one projection, or three


def test_attention_starts_as_it_should():
    attention = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    bound = math.sqrt(6 / (64 + 3 * 64))
    assert 0.95 * bound < abs(attention.in_proj_weight).max() <= bound
    assert (attention.in_proj_bias == 0).all() and (attention.out_proj.bias == 0).all()
    assert attention.bias_k.std() > 0.05


# --- layers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm_first", [False, True])
def test_layers_by_hand(norm_first):
    x, memory = normal(4, 2, 8), normal(3, 2, 8, seed=1)
    layer = double(nn.TransformerDecoderLayer(8, 2, 16, 0.0, "gelu", norm_first=norm_first))

    def connected(x, norm, block):
        return x + block(norm(x)) if norm_first else norm(x + block(x))

    y = connected(x, layer.norm1, lambda x: layer.self_attn(x, x, x)[0])
    y = connected(y, layer.norm2, lambda x: layer.multihead_attn(x, memory, memory)[0])
    y = connected(y, layer.norm3, lambda x: layer.linear2(F.gelu(layer.linear1(x))))
    equal(layer(x, memory), y)


def test_a_transformer_is_its_encoder_and_its_decoder():
    net = double(nn.Transformer(8, 2, 2, 1, 16, 0.0))
    source, target = normal(5, 2, 8), normal(3, 2, 8, seed=1)
    mask = net.generate_square_subsequent_mask(3, dtype=mg.float64)
    equal(mask, [[0, -INF, -INF], [0, 0, -INF], [0, 0, 0]])
    memory = net.encoder.norm(net.encoder.layers[1](net.encoder.layers[0](source)))
    y = net(source, target, tgt_mask=mask)
    equal(y, net.decoder.norm(net.decoder.layers[0](target, memory, tgt_mask=mask)))
    equal(net(source[:, 1], target[:, 1], tgt_mask=mask), y[:, 1])
    assert net.encoder.layers[0].linear1.weight is not net.encoder.layers[1].linear1.weight
    for p in nn.Transformer(8, 2, 1, 1, 16).parameters():
        if p.ndim > 1:
            assert abs(p).max() <= math.sqrt(6 / sum(p.shape))


def test_a_custom_activation_and_dropout_in_training():
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.5, nn.SiLU())
    assert "(activation): SiLU()" in repr(layer) and layer.training
    x = mg.randn(4, 2, 8)
    assert not mg.allclose(layer(x), layer(x))
    layer.eval()
    equal(layer(x), layer(x))


def test_errors_name_shapes():
    x, attention = mg.zeros(5, 3, 8), nn.MultiheadAttention(8, 2)
    attend = F.scaled_dot_product_attention
    for call, kind, message in [
        (lambda: attend(x, x[..., :3], x), RuntimeError, r"key \(…, S, E\).*\(5, 3, 3\)"),
        (lambda: attend(x[0, 0], x, x), RuntimeError, r"at least 2 dimensions, got \(8,\)"),
        (lambda: attend(x, x, x.double()), RuntimeError, "the same dtype.*float64"),
        (lambda: attend(x, x, x, mg.zeros(3, 3), is_causal=True), RuntimeError, "not both"),
        (lambda: attend(x, x, x, mg.zeros(3, 3, dtype=int)), RuntimeError, "boolean or of the dtype of query"),
        (lambda: attend(x, x[:2], x[:2], enable_gqa=True), RuntimeError, "the 2 heads .* do not divide the 5"),
        (lambda: attend(x, x, x, mg.zeros(3, 2)), RuntimeError, "broadcast"),
        (lambda: attention(x, x, x[:4]), RuntimeError, r"do not fit.*value \(4, 3, 8\)"),
        (lambda: attention(x[..., :4], x, x), RuntimeError, "an embedding dimension of 8"),
        (lambda: attention(x[0], x, x), RuntimeError, r"query \(3, 8\)"),
        (lambda: attention(x, x, x, attn_mask=mg.zeros(4, 5)), RuntimeError, r"is \(4, 5\), but should be \(5, 5\) or"),
        (lambda: attention(x, x, x, mg.zeros(5, 3)), RuntimeError, r"key_padding_mask is \(5, 3\), .* be \(3, 5\)"),
        (lambda: attention(x, x, x, attn_mask=mg.zeros(5, 5).long()), RuntimeError, "boolean or floating"),
        (lambda: attention(x, x, x, is_causal=True), RuntimeError, "a hint about attn_mask"),
        (lambda: nn.MultiheadAttention(8, 3), ValueError, "divisible by num_heads.*embed_dim=8 and num_heads=3"),
        (lambda: nn.TransformerEncoderLayer(8, 2, activation="tanh"), RuntimeError, "not 'tanh'"),
        (lambda: nn.Transformer(8, 2)(x, x[:, :2]), RuntimeError, r"batch number of src .* tgt \(5, 2, 8\)"),
        (lambda: nn.Transformer(8, 2)(x, x[..., :4]), RuntimeError, "d_model, 8"),
    ]:
        with pytest.raises(kind, match=message):
            call()


# --- PyTorch as the judge -------------------------------------------------------------------------------------------


@pytest.mark.torch
def test_functions_are_those_of_torch():
    twins = pytest.importorskip("twins")
    backends = twins.torch.nn.attention
    q, k, v = (twins.normal(2, 4, 3, 5, seed=s) for s in range(3))
    mask, bias = np.random.default_rng(0).random((3, 3)) < 0.6, twins.normal(4, 3, 3)
    mask[1] = False
    attend = lambda **more: lambda lib, *args: lib.nn.functional.scaled_dot_product_attention(*args, **more)  # noqa: E731
    for more, arrays in [
        ({}, (q, k, v)), ({"is_causal": True}, (q, k, v)), ({"scale": 0.7}, (q, k, v)), ({}, (q, k, v, mask)),
        ({}, (q, k, v, bias)), ({}, (q, k[0, :1], v[:, :, :, :2])), ({"enable_gqa": True}, (q, k[:, :2], v[:, :2])),
        ({"is_causal": True}, (q[0, 0, :2], k[0, 0], v[0, 0])), ({}, (q, k, v, np.where(mask, 0, -INF))),
    ]:
        with backends.sdpa_kernel(backends.SDPBackend.MATH):  # the one that has second derivatives
            twins.check_function(attend(**more), *arrays)
    twins.check_function(attend(is_causal=True), q, k, v, second=False)
    for more, arrays in [
        ({"is_causal": True}, (q, k, v, bias)), ({}, (q, k[..., :2], v)), ({}, (q[0, 0, 0], k, v)),
        ({}, (q, k, v, bias[:, :2])), ({}, (q, k, v, mask * 1)),
        ({"enable_gqa": True}, (q, k[:, :3], v[:, :3])), ({}, (q, k, v.astype(np.float32))),
    ]:
        twins.check_error(attend(**more), *arrays)


ATTENTIONS = {
    "plain": ({}, {}), "no bias": ({"bias": False}, {}), "no weights": ({}, {"need_weights": False}),
    "weights by head": ({}, {"average_attn_weights": False}), "more keys": ({"add_bias_kv": True}, {"mask": True}),
    "a zero key": ({"add_zero_attn": True}, {"mask": True, "padding": True, "need_weights": False}),
    "both": ({"add_bias_kv": True, "add_zero_attn": True}, {"padding": True}),
    "boolean masks": ({}, {"mask": "bool", "padding": True}), "masks by head": ({}, {"mask": "heads"}),
    "float masks": ({}, {"mask": True, "padding": "float", "need_weights": False}),
    "a hint": ({}, {"mask": "causal", "is_causal": True, "need_weights": False}),
    "batch first": ({"batch_first": True}, {"padding": True}),
    "other dimensions": ({"kdim": 3, "vdim": 5}, {}), "single": ({}, {"single": True, "padding": True}),
}  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("name", ATTENTIONS)
@pytest.mark.filterwarnings("ignore")
def test_heads_are_those_of_torch(name):
    twins = pytest.importorskip("twins")
    options, call = ATTENTIONS[name]
    call = dict(call)
    L, S, N = 4, 4 if call.get("mask") == "causal" else 5, 2
    masks = {
        "causal": np.triu(np.full((L, S), -INF), 1), "bool": np.triu(np.ones((L, S), bool), 2),
        "heads": twins.normal(2 * N, L, S), True: twins.normal(L, S),
    }
    padding = np.array([[False] * S, [False] * (S - 2) + [True] * 2])
    mask = masks.get(call.pop("mask", None))
    wanted, single = call.pop("padding", None), call.pop("single", False)
    padding = None if wanted is None else np.where(padding, -INF, 0) if wanted == "float" else padding
    shapes = [(L, N, 4), (S, N, options.get("kdim", 4)), (S, N, options.get("vdim", 4))]
    arrays = [twins.normal(*shape, seed=k) for k, shape in enumerate(shapes)]
    if options.get("batch_first"):
        arrays = [a.swapaxes(0, 1).copy() for a in arrays]
    if single:
        arrays, padding = [a[:, 1].copy() for a in arrays], padding[1]

    def build(nn):
        attention = nn.MultiheadAttention(4, 2, **options)
        forward = attention.forward

        def called(q, k, v, padding, mask):
            y, weights = forward(q, k, v, key_padding_mask=padding, attn_mask=mask, **call)
            return y if weights is None else (y, weights)

        attention.forward = called
        return attention

    second = call.get("need_weights", True)  # torch has no second derivative of its fused attention
    twins.check_module(build, *arrays, padding, mask, second=second)


@pytest.mark.torch
def test_what_looks_nowhere_is_nan_or_zero_as_in_torch():
    twins = pytest.importorskip("twins")
    padding = np.array([[True] * 3, [False] * 3])
    for need in (True, False):
        twins.check_function(
            lambda lib, x, w, p, need=need: lib.nn.functional.multi_head_attention_forward(
                x, x, x, 4, 2, w, None, None, None, False, 0.0, w[:4], None, key_padding_mask=p,
                need_weights=need)[0].detach(),
            twins.normal(3, 2, 4), twins.normal(12, 4), padding)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize(
    "options",
    [{}, {"norm_first": True, "activation": "gelu"}, {"batch_first": True, "bias": False, "layer_norm_eps": 1e-3}],
)  # fmt: skip
def test_transformers_are_those_of_torch(options):
    twins = pytest.importorskip("twins")
    x, memory = twins.normal(4, 3, 4), twins.normal(4, 3, 4, seed=1)
    if options.get("batch_first"):
        memory = memory[:, :2].copy()
    L, S = (3, 2) if options.get("batch_first") else (4, 4)
    causal, padding = np.triu(np.ones((L, L), bool), 1), np.zeros((12 // L, S), bool)
    padding[1, -1] = True
    options = {"dropout": 0.0, **options}
    twins.check_module(lambda nn: nn.TransformerEncoderLayer(4, 2, 6, **options), x, causal, second=False)
    twins.check_module(
        lambda nn: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, **options), 2, nn.LayerNorm(4)), x,
        second=False)
    twins.check_module(
        lambda nn: nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 6, **options), 2), x, memory, causal, None,
        None, padding, second=False)
    twins.check_module(lambda nn: nn.Transformer(4, 2, 1, 2, 6, **options), memory, x, None, causal, None, padding,
                       second=False)
    twins.check_module(lambda nn: nn.TransformerEncoderLayer(4, 2, 6, **options), x, train=False, second=False)


@pytest.mark.torch
def test_second_derivatives_of_a_layer_are_those_of_torch():
    twins = pytest.importorskip("twins")
    backends = twins.torch.nn.attention
    with backends.sdpa_kernel(backends.SDPBackend.MATH):
        twins.check_module(lambda nn: nn.TransformerEncoderLayer(4, 2, 6, 0.0, "gelu"), twins.normal(3, 2, 4))


@pytest.mark.torch
def test_errors_are_of_the_kind_of_torch():
    twins = pytest.importorskip("twins")
    x = twins.normal(5, 3, 8)
    for call in [
        lambda lib, x: lib.nn.MultiheadAttention(0, 2), lambda lib, x: lib.nn.TransformerEncoderLayer(8, 2, activation="tanh"),
        lambda lib, x: lib.nn.MultiheadAttention(8, 2).double()(x, x, x, attn_mask=x[0, :, :5]),
        lambda lib, x: lib.nn.MultiheadAttention(8, 2).double()(x, x, x, is_causal=True),
        lambda lib, x: lib.nn.Transformer(8, 2).double()(x, x[:, :2]),
        lambda lib, x: lib.nn.Transformer(8, 2).double()(x, x[..., :4]),
    ]:
        twins.check_error(call, x)
