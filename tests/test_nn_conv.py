"""Convolution and padding: the definitions as plain loops, adjoints, errors; and PyTorch as the judge."""

import itertools

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn
from microgradnet.autograd import gradcheck, gradgradcheck

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def leaf(*shape, seed=0):
    return mg.tensor(normal(*shape, seed=seed), requires_grad=True)


def by_loops(x, w, b, stride, padding, dilation, groups):
    """The definition: every output element by itself."""
    n = w.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    out = [(m - d * (k - 1) - 1) // s + 1 for m, k, s, d in zip(x.shape[2:], w.shape[2:], stride, dilation)]
    y = np.zeros((len(x), len(w), *out))
    per_group = len(w) // groups
    for o in range(len(w)):
        channels = slice(o // per_group * w.shape[1], (o // per_group + 1) * w.shape[1])
        for i in itertools.product(*map(range, out)):
            under = tuple(slice(i[a] * stride[a], i[a] * stride[a] + dilation[a] * (w.shape[2 + a] - 1) + 1, dilation[a])
                          for a in range(n))
            y[(slice(None), o, *i)] = (x[(slice(None), channels, *under)] * w[o]).sum(axis=tuple(range(1, n + 2)))
    return y if b is None else y + b.reshape(-1, *[1] * n)


CASES = [  # input, weight, stride, padding, dilation, groups
    ((2, 3, 7), (4, 3, 3), (1,), (0,), (1,), 1), ((2, 4, 9), (6, 2, 3), (2,), (1,), (2,), 2),
    ((2, 3, 6, 7), (4, 3, 3, 2), (1, 1), (0, 0), (1, 1), 1), ((1, 4, 7, 6), (4, 1, 2, 3), (2, 1), (1, 2), (1, 2), 4),
    ((2, 4, 6, 7), (4, 2, 2, 3), (1, 1), (1, 2), (2, 1), 2), ((2, 2, 4, 5, 6), (2, 2, 2, 2, 3), (2, 1, 1), (0, 1, 1), (1, 1, 2), 1),
    ((3, 2, 5, 5), (4, 2, 1, 1), (1, 1), (0, 0), (1, 1), 1), ((1, 2, 4, 5, 4), (4, 2, 2, 3, 2), (1, 2, 1), (0, 1, 1), (1, 1, 2), 1),
]  # fmt: skip


@pytest.fixture(params=[0, np.inf], ids=["rows apart", "rows as one"])
def walk(request, monkeypatch):
    """Both ways to go through the windows, wherever they are possible."""
    monkeypatch.setattr("microgradnet.ops.convolution.WASTE", request.param)


@pytest.mark.usefixtures("walk")
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("with_bias", [True, False])
def test_convolution_is_its_definition(case, with_bias):
    x_shape, w_shape, *how = case
    x, w, b = normal(*x_shape), normal(*w_shape, seed=1), normal(w_shape[0], seed=2) if with_bias else None
    y = CONV[len(x_shape) - 2](mg.tensor(x), mg.tensor(w), None if b is None else mg.tensor(b), *how)
    np.testing.assert_allclose(y.numpy(), by_loops(x, w, b, *how), 1e-12, 1e-12)


@pytest.mark.usefixtures("walk")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_transposed_convolution_is_the_adjoint(case):
    x_shape, w_shape, stride, padding, dilation, groups = case
    n = len(stride)
    x, w = mg.tensor(normal(*x_shape)), mg.tensor(normal(*w_shape, seed=1))
    y = CONV[n](x, w, None, stride, padding, dilation, groups)
    g = mg.tensor(normal(*y.shape, seed=2))
    least = [(m - 1) * s - 2 * p + d * (k - 1) + 1
             for m, s, p, d, k in zip(y.shape[2:], stride, padding, dilation, w_shape[2:])]
    more = tuple(m - a for m, a in zip(x_shape[2:], least))
    back = TRANSPOSED[n](g, w, None, stride, padding, more, groups, dilation)
    assert back.shape == x.shape
    np.testing.assert_allclose((y * g).sum().item(), (x * back).sum().item(), 1e-10)


@pytest.mark.usefixtures("walk")
@pytest.mark.parametrize("case", CASES[::2], ids=str)
def test_gradients_by_differences(case):
    x_shape, w_shape, stride, padding, dilation, groups = case
    n = len(stride)
    inputs = leaf(*x_shape), leaf(*w_shape, seed=1), leaf(w_shape[0], seed=2)
    f = lambda x, w, b: CONV[n](x, w, b, stride, padding, dilation, groups)  # noqa: E731
    assert gradcheck(f, inputs, fast_mode=True)
    assert gradgradcheck(f, inputs, fast_mode=True)


def test_a_long_batch_is_taken_in_parts(monkeypatch):
    x, w, b = leaf(7, 2, 6, 6), leaf(4, 2, 3, 3, seed=1), leaf(4, seed=2)
    results = []
    for cache in (1 << 18, 600, 1):
        monkeypatch.setattr("microgradnet.ops.convolution.CACHE", cache)
        y = F.conv2d(x, w, b, padding=1)
        results.append([y, *mg.autograd.grad((y**2).sum(), [x, w, b])])
    for other in results[1:]:
        for a, c in zip(results[0], other):
            np.testing.assert_allclose(a.detach().numpy(), c.detach().numpy(), 1e-10, 1e-10)


def test_results_are_not_in_the_memory_that_is_kept_for_the_next():
    def all_three(seed):
        x, w, b = leaf(2, 2, 6, 6, seed=seed), leaf(4, 2, 3, 3, seed=seed + 1), leaf(4, seed=seed + 2)
        y = F.conv2d(x, w, b, padding=1)
        return [y, *mg.autograd.grad((y**2).sum(), [x, w])]

    first = all_three(0)
    before = [part.detach().numpy().copy() for part in first]
    all_three(5)
    assert all((part.detach().numpy() == old).all() for part, old in zip(first, before))


def test_the_kernel_is_not_turned_around():
    edge = F.conv1d(mg.tensor([[[0.0, 0, 1, 0, 0]]]), mg.tensor([[[1.0, 2, 3]]]), padding=1)
    assert edge.tolist() == [[[0, 3, 2, 1, 0]]]
    spread = F.conv_transpose1d(mg.tensor([[[0.0, 1, 0]]]), mg.tensor([[[1.0, 2, 3]]]))
    assert spread.tolist() == [[[0, 1, 2, 3, 0]]]


def test_without_a_batch():
    x, w = mg.tensor(normal(3, 5, 6)), mg.tensor(normal(4, 3, 2, 2))
    assert F.conv2d(x, w).tolist() == F.conv2d(x.unsqueeze(0), w)[0].tolist()
    assert F.conv_transpose2d(x, w.transpose(0, 1)).shape == (4, 6, 7)


def test_an_empty_batch():
    x, w = mg.zeros(0, 3, 5, 6, requires_grad=True), mg.zeros(4, 3, 2, 2, requires_grad=True)
    y = F.conv2d(x, w)
    y.sum().backward()
    assert y.shape == (0, 4, 4, 5) and x.grad.shape == x.shape and not w.grad.any()


@pytest.mark.parametrize("kernel, dilation", [(1, 1), (2, 1), (3, 1), (4, 3), ((2, 3), (3, 1))])
def test_same_padding_keeps_the_size(kernel, dilation):
    layer = nn.Conv2d(2, 3, kernel, padding="same", dilation=dilation)
    assert layer(mg.zeros(1, 2, 8, 9)).shape == (1, 3, 8, 9)


@pytest.mark.parametrize("mode, expected", [
    ("reflect", [3, 2, 1, 2, 3, 2]), ("replicate", [1, 1, 1, 2, 3, 3]), ("circular", [2, 3, 1, 2, 3, 1]),
    ("constant", [0, 0, 1, 2, 3, 0]),
])  # fmt: skip
def test_padding_known_by_hand(mode, expected):
    x = mg.tensor([[1.0, 2, 3]])
    assert F.pad(x, (2, 1), mode).tolist() == [expected]


def test_padding_by_a_value_and_cutting():
    x = mg.arange(6).reshape(2, 3)
    assert F.pad(x, (-1, 1, 1, 0), value=7).tolist() == [[7, 7, 7], [1, 2, 7], [4, 5, 7]]
    assert F.pad(x, (0, -3)).shape == (2, 0)
    assert F.pad(x, ()).tolist() == x.tolist()
    assert F.pad(x > 2, (1, 0), value=True).tolist() == [[True, False, False, False], [True, True, True, True]]


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
def test_a_layer_pads_as_pad_does(padding_mode):
    layer = nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode=padding_mode)
    x = mg.tensor(normal(2, 2, 4, 5)).float()
    mode = "constant" if padding_mode == "zeros" else padding_mode
    expected = F.conv2d(F.pad(x, (2, 2, 1, 1), mode), layer.weight, layer.bias)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected.detach().numpy(), 1e-5, 1e-6)


def test_parameters_start_within_their_bound():
    for layer, fan_in in [(nn.Conv2d(8, 6, (3, 2), groups=2), 24), (nn.ConvTranspose1d(4, 6, 5, groups=2), 15)]:
        bound = fan_in**-0.5
        for p in layer.parameters():
            assert 0.3 * bound < p.abs().max().item() <= bound
    assert nn.Conv1d(1, 1, 1, dtype=mg.float64).weight.dtype == mg.float64


@pytest.mark.parametrize("call, words", [
    (lambda: F.conv2d(mg.zeros(1, 2, 5, 5), mg.zeros(4, 3, 3, 3)), "(4, 3, 3, 3) needs an input of 3 channels (1, 2, 5, 5)"),
    (lambda: F.conv2d(mg.zeros(5, 5), mg.zeros(4, 3, 3, 3)), "conv2d (5, 5) 4 dimensions"),
    (lambda: F.conv2d(mg.zeros(1, 3, 5, 5), mg.zeros(4, 3, 3)), "weight (4, 3, 3)"),
    (lambda: F.conv2d(mg.zeros(1, 3, 5, 5), mg.zeros(4, 3, 3, 3), mg.zeros(3)), "bias (3,) (4,)"),
    (lambda: F.conv2d(mg.zeros(1, 3, 2, 5), mg.zeros(4, 3, 3, 3)), "(3, 3) larger (2, 5)"),
    (lambda: F.conv2d(mg.zeros(1, 4, 5, 5), mg.zeros(3, 2, 3, 3), groups=2), "(3, 2, 3, 3) groups=2"),
    (lambda: F.conv1d(mg.zeros(1, 1, 5), mg.zeros(1, 1, 2), stride=0), "stride at least 1"),
    (lambda: F.conv1d(mg.zeros(1, 1, 5), mg.zeros(1, 1, 2), padding=-1), "padding at least 0"),
    (lambda: F.conv1d(mg.zeros(1, 1, 5), mg.zeros(1, 1, 2), padding="same", stride=2), "'same' strided"),
    (lambda: F.conv1d(mg.zeros(1, 1, 5), mg.zeros(1, 1, 2), padding="some"), "'some'"),
    (lambda: F.conv1d(mg.zeros(1, 1, 5), mg.zeros(1, 1, 2), stride=(1, 2)), "stride (1, 2)"),
    (lambda: F.conv1d(mg.zeros(1, 1, 5), mg.zeros(1, 1, 2).double()), "float32 float64 .to()"),
    (lambda: F.conv_transpose1d(mg.zeros(1, 1, 5), mg.zeros(1, 1, 2), stride=2, output_padding=2), "output_padding (2,) stride (2,)"),
    (lambda: F.conv_transpose1d(mg.zeros(1, 2, 5), mg.zeros(1, 1, 2)), "(1, 1, 2) 1 channels (1, 2, 5)"),
    (lambda: F.pad(mg.zeros(1, 3), (3, 0), "reflect"), "3 (1, 3)"),
    (lambda: F.pad(mg.zeros(1, 3), (4, 0), "circular"), "4 (1, 3)"),
    (lambda: F.pad(mg.zeros(1, 3), (1, 0, 0)), "(1, 3) [1, 0, 0]"),
    (lambda: F.pad(mg.zeros(1, 3), (-4, 0)), "-4 (1, 3)"),
])  # fmt: skip
def test_errors_say_what_does_not_fit(call, words):
    with pytest.raises(RuntimeError) as error:
        call()
    at = 0
    for word in words.split():
        at = str(error.value).find(word, at)
        assert at >= 0, f"{word!r} in order in {error.value}"


@pytest.mark.parametrize("build", [
    lambda: nn.Conv2d(3, 4, 3, groups=2), lambda: nn.Conv2d(3, 4, 3, padding="some"), lambda: nn.Conv2d(4, 4, 3, groups=0),
    lambda: nn.Conv2d(3, 4, 3, padding="same", stride=2), lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"),
    lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"),
    lambda: nn.ConvTranspose2d(3, 4, 3, stride=2)(mg.zeros(1, 3, 4, 4), output_size=(11, 9)),
])  # fmt: skip
def test_layers_refuse_what_they_cannot_be(build):
    with pytest.raises(ValueError, match="groups|padding|output_size"):
        build()


def test_functions_are_shown_at_the_top_as_well():
    assert mg.conv2d is F.conv2d and mg.max_pool2d is F.max_pool2d and mg.pixel_shuffle is F.pixel_shuffle


# --- against PyTorch --------------------------------------------------------------------------------------------------

LAYERS = {
    "1d": (lambda nn: nn.Conv1d(2, 4, 3), (2, 2, 7)),
    "1d, all": (lambda nn: nn.Conv1d(2, 4, 3, 2, 1, 2, 2, bias=False, padding_mode="reflect"), (2, 2, 9)),
    "2d": (lambda nn: nn.Conv2d(3, 4, (3, 2), stride=(1, 2), padding=(1, 0)), (2, 3, 5, 6)),
    "2d, same": (lambda nn: nn.Conv2d(3, 4, (4, 3), padding="same", dilation=(1, 2)), (2, 3, 5, 6)),
    "2d, same, circular": (lambda nn: nn.Conv2d(2, 2, (4, 3), padding="same", padding_mode="circular"), (2, 5, 6)),
    "2d, valid": (lambda nn: nn.Conv2d(3, 3, 2, padding="valid", groups=3, padding_mode="replicate"), (2, 3, 4, 4)),
    "3d": (lambda nn: nn.Conv3d(2, 2, 2, 2, (1, 0, 1), padding_mode="circular"), (1, 2, 4, 4, 4)),
    "transposed 1d": (lambda nn: nn.ConvTranspose1d(2, 4, 3, 2, 1, 1, 2), (2, 2, 4)),
    "transposed 2d": (lambda nn: nn.ConvTranspose2d(2, 3, (3, 2), dilation=(1, 3), output_padding=(0, 2), bias=False), (2, 2, 4, 3)),
    "transposed 2d, unbatched": (lambda nn: nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1), (2, 4, 3)),
    "transposed 3d": (lambda nn: nn.ConvTranspose3d(2, 2, 2, stride=(1, 2, 1)), (1, 2, 2, 3, 2)),
    "constant": (lambda nn: nn.ConstantPad2d((1, -1, 0, 2), 3.5), (2, 3, 4)),
    "zeros 1d": (lambda nn: nn.ZeroPad1d(2), (1, 2, 3)), "zeros 3d": (lambda nn: nn.ZeroPad3d((1, 2, 0, 1, 1, 1)), (1, 2, 2, 2)),
    "reflection 2d": (lambda nn: nn.ReflectionPad2d((1, 2, 3, 0)), (1, 2, 4, 4)),
    "reflection 3d": (lambda nn: nn.ReflectionPad3d(1), (1, 1, 2, 3, 2)),
    "replication 1d": (lambda nn: nn.ReplicationPad1d((3, 1)), (2, 3)), "replication 2d": (lambda nn: nn.ReplicationPad2d((3, 0, -1, 2)), (2, 3, 3)),
    "circular 1d": (lambda nn: nn.CircularPad1d((3, 1)), (1, 2, 3)), "circular 3d": (lambda nn: nn.CircularPad3d((1, 1, 2, 0, 0, 1)), (1, 1, 2, 2, 2)),
}  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_pytorchs(name):
    pytest.importorskip("torch")
    from twins import check_module

    build, shape = LAYERS[name]
    check_module(build, normal(*shape))


@pytest.mark.torch
@pytest.mark.parametrize("f", [
    lambda lib, x: lib.nn.functional.pad(x, (2, -1, -1, 1), "reflect"),
    lambda lib, x: lib.nn.functional.pad(x, (2, -1, -1, 1), "replicate"),
    lambda lib, x: lib.nn.functional.pad(x, (2, -1, -1, 1), "circular"),
    lambda lib, x: lib.nn.functional.pad(x, (2, -1, -1, 1), value=-2),
    lambda lib, x: lib.nn.ConvTranspose2d(2, 2, 1, bias=False).double().forward(x, output_size=(4, 3)) * 0,
])  # fmt: skip
def test_functions_are_pytorchs(f):
    pytest.importorskip("torch")
    from twins import check_function

    check_function(f, normal(1, 2, 4, 3))


@pytest.mark.torch
@pytest.mark.parametrize("f", [
    lambda lib, x: lib.nn.functional.conv1d(x, lib.zeros(2, 2, 2, dtype=lib.float64)),
    lambda lib, x: lib.nn.functional.conv2d(x, lib.zeros(2, 2, 5, 2, dtype=lib.float64)),
    lambda lib, x: lib.nn.functional.conv2d(x, lib.zeros(2, 2, 2, 2)),
    lambda lib, x: lib.nn.functional.conv2d(x, lib.zeros(2, 3, 2, 2, dtype=lib.float64)),
    lambda lib, x: lib.nn.functional.conv2d(x, lib.zeros(2, 2, 2, 2, dtype=lib.float64), padding="same", stride=2),
    lambda lib, x: lib.nn.functional.conv_transpose2d(x, lib.zeros(3, 2, 2, 2, dtype=lib.float64)),
    lambda lib, x: lib.nn.functional.conv_transpose2d(x, lib.zeros(2, 2, 2, 2, dtype=lib.float64), output_padding=1),
    lambda lib, x: lib.nn.functional.pad(x, (1, 2, 3)), lambda lib, x: lib.nn.functional.pad(x, (1, 3), "reflect"),
    lambda lib, x: lib.nn.functional.pad(x, (1, 1), "circular"), lambda lib, x: lib.nn.functional.pad(x, (1, 1, 1, 1), "mirror"),
    lambda lib, x: lib.nn.functional.pad(x, (1, 1), "reflect", 2.0), lambda lib, x: lib.nn.functional.pad(x, (-2, -2)),
    lambda lib, x: lib.nn.Conv2d(2, 4, 3, groups=3), lambda lib, x: lib.nn.Conv2d(2, 4, 3, padding="x"),
    lambda lib, x: lib.nn.ConvTranspose2d(2, 4, 3, stride=2).double()(x, output_size=(20, 9)),
])  # fmt: skip
def test_errors_are_of_pytorchs_kinds(f):
    pytest.importorskip("torch")
    from twins import check_error

    check_error(f, normal(1, 2, 4, 3))
