"""Layers, activations and their functions."""

import math
import warnings

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn
from microgradnet.autograd import gradcheck, gradgradcheck

POINTS = [-50.0, -3.0, -1.0, -0.3, 0.0, 0.3, 1.0, 3.0, 6.5, 50.0]

# name: (the module, the function, golden values at -1, 0 and 2)
ACTIVATIONS = {
    "Sigmoid": (nn.Sigmoid(), F.sigmoid, [0.2689414214, 0.5, 0.8807970780]),
    "Tanh": (nn.Tanh(), F.tanh, [-0.7615941560, 0, 0.9640275801]),
    "ReLU": (nn.ReLU(), F.relu, [0, 0, 2]),
    "ReLU6": (nn.ReLU6(), F.relu6, [0, 0, 2]),
    "LeakyReLU": (nn.LeakyReLU(0.1), lambda x: F.leaky_relu(x, 0.1), [-0.1, 0, 2]),
    "ELU": (nn.ELU(0.5), lambda x: F.elu(x, 0.5), [-0.3160602794, 0, 2]),
    "SiLU": (nn.SiLU(), F.silu, [-0.2689414214, 0, 1.7615941560]),
    "GELU": (nn.GELU(), F.gelu, [-0.1586552539, 0, 1.9544997361]),
    "GELU tanh": (nn.GELU("tanh"), lambda x: F.gelu(x, approximate="tanh"), [-0.1588080094, 0, 1.9545976940]),
    "Softplus": (nn.Softplus(2), lambda x: F.softplus(x, 2), [0.0634640055, 0.3465735903, 2.0090749639]),
    "Hardtanh": (nn.Hardtanh(-0.5, 1.5), lambda x: F.hardtanh(x, -0.5, 1.5), [-0.5, 0, 1.5]),
    "LogSigmoid": (nn.LogSigmoid(), F.logsigmoid, [-1.3132616875, -0.6931471806, -0.1269280110]),
    "Softsign": (nn.Softsign(), F.softsign, [-0.5, 0, 2 / 3]),
    "Tanhshrink": (nn.Tanhshrink(), F.tanhshrink, [-0.2384058440, 0, 1.0359724199]),
    "Softmax": (nn.Softmax(0), lambda x: F.softmax(x, 0), [0.0420100661, 0.1141951994, 0.8437947344]),
    "LogSoftmax": (nn.LogSoftmax(0), lambda x: F.log_softmax(x, 0), [-3.1698460195, -2.1698460195, -0.1698460195]),
    "Softmin": (nn.Softmin(0), lambda x: F.softmin(x, 0), [0.7053845127, 0.2594964720, 0.0351190153]),
}
EACH_ACTIVATION = pytest.mark.parametrize("name", ACTIVATIONS)


def points(dtype=np.float64, requires_grad=True):
    return mg.tensor(np.array(POINTS, dtype), requires_grad=requires_grad)


def random(*shape, seed=0, dtype=np.float64, **kwargs):
    return mg.tensor(np.random.default_rng(seed).normal(size=shape).astype(dtype), **kwargs)


# --- Linear ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4), (0, 4), (1, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(shape, bias):
    layer = nn.Linear(4, 3, bias=bias)
    assert layer.weight.shape == (3, 4) and (layer.bias.shape == (3,) if bias else layer.bias is None)
    x = random(*shape, dtype=np.float32)
    y = layer(x)
    expected = x.array @ layer.weight.array.T + (layer.bias.array if bias else 0)
    assert y.shape == (*shape[:-1], 3) and y.dtype == mg.float32 and np.allclose(y.detach().array, expected, atol=1e-6)
    y.sum().backward()
    assert layer.weight.grad.shape == (3, 4) and layer.weight.grad.dtype == mg.float32


def test_linear_starts_uniform_within_one_over_root_fan_in():
    mg.manual_seed(0)
    layer = nn.Linear(100, 500)
    for p in layer.parameters():
        assert np.abs(p.array).max() <= 0.1 and np.abs(p.array).max() > 0.099 and abs(p.array.mean()) < 0.01
    assert np.isclose(layer.weight.array.std(), 0.1 / math.sqrt(3), rtol=0.02)
    before = layer.weight.array.copy()
    layer.reset_parameters()
    assert not np.array_equal(before, layer.weight.array)


def test_linear_of_a_dtype():
    layer = nn.Linear(3, 2, dtype=mg.float64)
    assert layer(random(1, 3)).dtype == layer.bias.dtype == mg.float64
    with pytest.raises(RuntimeError, match="cuda"):
        nn.Linear(3, 2, device="cuda")
    with pytest.warns(UserWarning, match="zero-element"):
        assert nn.Linear(0, 2)(mg.zeros(5, 0)).shape == (5, 2)


def test_p53_linear_checks_the_last_dimension():
    layer = nn.Linear(4, 2)
    for shape in [(5, 3), (4, 1), (4, 5), (3,), ()]:
        with pytest.raises(RuntimeError) as error:
            layer(mg.zeros(*shape) if shape else mg.tensor(1.0))
        assert str(shape) in str(error.value) and "(2, 4)" in str(error.value) and "linear" in str(error.value)


def test_p41_linear_names_both_dtypes():
    for dtype in (mg.float64, mg.int64):
        with pytest.raises((RuntimeError, TypeError)) as error:
            nn.Linear(4, 2)(mg.zeros(1, 4, dtype=dtype))
        assert dtype.name in str(error.value) and "float32" in str(error.value) and ".to(" in str(error.value)


FEW_LONG_ROWS = (4, 2000)  # which take another way to the product
EITHER_WAY = pytest.mark.parametrize("shape", [(2, 3), FEW_LONG_ROWS], ids=["small", "few long rows"])


@EITHER_WAY
def test_p41_linear_refuses_a_bias_of_another_dtype(shape):
    x, w = mg.zeros(*shape), mg.zeros(5, shape[1])
    for dtype in (mg.float64, mg.float16, mg.int64):
        with pytest.raises(TypeError, match=rf"linear.*input and bias.*float32 and {dtype.name}.*\.to\(\)"):
            F.linear(x, w, mg.zeros(5, dtype=dtype))


@EITHER_WAY
def test_the_bias_of_linear_broadcasts_to_the_product(shape):
    x, w = random(*shape), random(5, shape[1], seed=1)
    for bias in [(5,), (1,), (), (1, 5), (len(x), 5), (len(x), 1)]:
        b = random(*bias, seed=2)
        assert np.allclose(F.linear(x, w, b).array, x.array @ w.array.T + b.array)
    for bias in [(4,), (2, 1, 5), (3, len(x), 5)]:
        with pytest.raises(RuntimeError, match="linear"):
            F.linear(x, w, mg.zeros(*bias, dtype=x.dtype))


def test_p74_manual_seed_fixes_what_is_drawn():
    def draws():
        mg.manual_seed(3)
        return nn.Linear(3, 2).weight.tolist(), nn.Dropout()(mg.ones(20)).tolist()

    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert draws() == draws()
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


# --- shape ----------------------------------------------------------------------------------------------------------


def test_flatten_unflatten_identity():
    x = random(2, 3, 4, 5)
    assert nn.Flatten()(x).shape == (2, 60) and nn.Flatten(0, 1)(x).shape == (6, 4, 5)
    assert nn.Unflatten(1, (3, 1))(random(2, 3)).shape == (2, 3, 1)
    assert nn.Unflatten(-1, mg.Size([2, 2]))(random(2, 4)).shape == (2, 2, 2)
    assert nn.Identity("any", thing=1)(x) is x


# --- Dropout --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_p68_dropout(dtype):
    x = random(1000, dtype=dtype, requires_grad=True)
    for p in (0.0, 0.3, 1.0):
        y = nn.Dropout(p)(x)
        assert y.dtype == dtype and y.shape == x.shape
    assert nn.Dropout(0)(x) is x and nn.Dropout(0.5).eval()(x) is x and F.dropout(x, training=False) is x
    assert not nn.Dropout(1)(x).detach().array.any()


def test_dropout_scales_what_it_keeps_and_its_gradient():
    mg.manual_seed(0)
    x = mg.ones(100_000, requires_grad=True)
    y = nn.Dropout(0.2)(x)
    kept = y.detach().array != 0
    assert np.allclose(y.detach().array[kept], 1.25) and abs(kept.mean() - 0.8) < 0.01
    y.sum().backward()
    assert np.array_equal(x.grad.array, y.detach().array)


def test_dropout_of_a_generator():
    a, b = mg.Generator().manual_seed(1), mg.Generator().manual_seed(1)
    x = mg.ones(50)
    layer = nn.Dropout(generator=a)
    first = layer(x).tolist()
    assert first == F.dropout(x, generator=b).tolist() and first != layer(x).tolist()


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_dropout_of_an_impossible_probability(p):
    with pytest.raises(ValueError, match="between 0 and 1"):
        nn.Dropout(p)
    with pytest.raises(ValueError, match="between 0 and 1"):
        F.dropout(mg.ones(1), p)


def test_dropout_records_its_mask_for_a_replay():
    from microgradnet.graph import walk
    from microgradnet.recording import capture

    with capture():
        y = F.dropout(mg.ones(3), 0.5)
    assert [node.op.name for node in walk(y)] == ["dropout_mask", "mul"]


# --- activations ----------------------------------------------------------------------------------------------------


@EACH_ACTIVATION
def test_activation_has_its_golden_values(name):
    module, function, golden = ACTIVATIONS[name]
    x = mg.tensor([-1.0, 0.0, 2.0], dtype=mg.float64)
    assert np.allclose(module(x).array, golden, atol=1e-9) and np.array_equal(module(x).array, function(x).array)
    assert module(mg.ones(3)).dtype == mg.float32


@EACH_ACTIVATION
def test_activation_passes_gradcheck(name):
    x = random(7, seed=1, requires_grad=True)
    assert gradcheck(ACTIVATIONS[name][0], (x,)) and gradgradcheck(ACTIVATIONS[name][0], (x,))


@EACH_ACTIVATION
def test_p57_p66_activation_is_quiet_at_large_arguments(name):
    for dtype in (np.float32, np.float64):
        x = mg.tensor(np.array([-1e4, -800, 800, 1e4], dtype), requires_grad=True)
        y = ACTIVATIONS[name][0](x)
        y.sum().backward()
        assert np.isfinite(y.detach().array).all() and np.isfinite(x.grad.array).all()


def test_p57_sigmoid_is_relatively_exact_far_out():
    y = F.sigmoid(mg.tensor([-40.0, -700.0], dtype=mg.float64)).array
    assert np.allclose(y, [4.248354255291589e-18, 9.859676543759770e-305], rtol=1e-14, atol=0)
    z = F.logsigmoid(mg.tensor([40.0, -40.0], dtype=mg.float64)).array
    assert np.allclose(z, [-4.248354255291589e-18, -40.0], rtol=1e-14, atol=0)


def test_p58_softmax_is_shift_invariant_and_finite():
    x = random(4, 5, requires_grad=True)
    for f in (F.softmax, F.log_softmax):
        assert np.allclose(f(x, 1).detach().array, f(x + 1e4, 1).detach().array, atol=1e-10)
        (g,) = mg.autograd.grad(f(x, 1), x, random(4, 5, seed=2))
        assert np.allclose(g.array.sum(1), 0, atol=1e-12)
    assert np.isfinite(F.log_softmax(mg.tensor([1e4, -1e4, 0]), 0).array).all()


def test_softmax_without_dim_warns_and_dtype_converts():
    for shape, dim in [((3,), 0), ((2, 3), 1), ((2, 3, 4), 0), ((2, 3, 4, 5), 1)]:
        x = random(*shape)
        for f, module in ((F.softmax, nn.Softmax()), (F.log_softmax, nn.LogSoftmax()), (F.softmin, nn.Softmin())):
            with pytest.warns(UserWarning, match=f"dim={dim} is an implicit choice"):
                y = f(x)
            with pytest.warns(UserWarning, match="implicit"):
                assert np.array_equal(module(x).array, y.array)
            assert np.array_equal(y.array, f(x, dim).array)
    assert F.softmax(mg.tensor([1, 2, 3]), 0, dtype=mg.float64).dtype == mg.float64


IN_PLACE = {
    "ReLU": lambda **k: nn.ReLU(**k), "ReLU6": lambda **k: nn.ReLU6(**k), "LeakyReLU": lambda **k: nn.LeakyReLU(**k),
    "ELU": lambda **k: nn.ELU(**k), "SiLU": lambda **k: nn.SiLU(**k), "Hardtanh": lambda **k: nn.Hardtanh(**k),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_activations_write_over_their_input(name):
    w = random(6, seed=3, requires_grad=True)
    y = IN_PLACE[name]()(w * 2)
    y.sum().backward()
    expected, w.grad = w.grad.array.copy(), None
    hidden = w * 2
    out = IN_PLACE[name](inplace=True)(hidden)
    assert out is hidden and np.array_equal(out.detach().array, y.detach().array)
    out.sum().backward()
    assert np.allclose(w.grad.array, expected)
    with pytest.raises(RuntimeError, match="leaf"):
        IN_PLACE[name](inplace=True)(w)


def test_in_place_dropout():
    mg.manual_seed(0)
    w = mg.ones(50, requires_grad=True)
    hidden = w * 2
    out = nn.Dropout(inplace=True)(hidden)
    assert out is hidden and set(out.tolist()) == {0.0, 4.0}
    out.sum().backward()
    assert np.array_equal(w.grad.array, out.detach().array)


def test_hardtanh_needs_an_interval():
    with pytest.raises(ValueError, match="less than"):
        nn.Hardtanh(1, 1)


# --- functions without a module -------------------------------------------------------------------------------------


def test_one_hot():
    assert F.one_hot(mg.tensor([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]
    y = F.one_hot(mg.tensor([[1]], dtype=mg.uint8), 3)
    assert y.shape == (1, 1, 3) and y.dtype == mg.int64 and F.one_hot(mg.tensor(1), 2).tolist() == [0, 1]
    assert F.one_hot(mg.zeros(0, dtype=mg.int64), 3).shape == (0, 3)
    for labels, classes in [([3], 3), ([-1], 3), ([-1], -1), ([0], 0)]:
        with pytest.raises(ValueError, match="do not fit"):
            F.one_hot(mg.tensor(labels), classes)
    with pytest.raises(TypeError, match="whole-number"):
        F.one_hot(mg.tensor([1.0]))


def test_normalize():
    x = mg.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert np.allclose(F.normalize(x).array, [[0.6, 0.8], [0, 0]])
    assert np.allclose(F.normalize(x, p=1, dim=0).array, [[1, 1], [0, 0]])
    assert gradcheck(F.normalize, (random(3, 4, requires_grad=True),))


def test_linear_function():
    x, w, b = random(2, 3), random(4, 3, seed=1), random(4, seed=2)
    assert np.allclose(F.linear(x, w, b).array, x.array @ w.array.T + b.array)
    assert np.allclose(F.linear(x, w).array, x.array @ w.array.T)


# --- PyTorch as the judge -------------------------------------------------------------------------------------------


@pytest.mark.torch
@EACH_ACTIVATION
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activation_is_that_of_torch(name, dtype):
    torch = pytest.importorskip("torch")
    ours = ACTIVATIONS[name][0]
    args = {"LeakyReLU": (0.1,), "ELU": (0.5,), "GELU tanh": ("tanh",), "Softplus": (2,), "Hardtanh": (-0.5, 1.5),
            "Softmax": (0,), "LogSoftmax": (0,), "Softmin": (0,)}.get(name, ())
    theirs = getattr(torch.nn, name.split()[0])(*args)
    x = points(dtype)
    t = torch.tensor(np.array(POINTS, dtype), requires_grad=True)
    upstream = np.linspace(0.5, 1.5, len(POINTS)).astype(dtype)
    y, u = ours(x), theirs(t)
    y.backward(mg.tensor(upstream))
    u.backward(torch.tensor(upstream))
    tolerance = dict(rtol=2e-5, atol=2e-6) if dtype == "float32" else dict(rtol=1e-12, atol=1e-14)
    assert np.allclose(y.detach().array, u.detach().numpy(), **tolerance)
    assert np.allclose(x.grad.array, t.grad.numpy(), **tolerance)


@pytest.mark.torch
def test_linear_and_shapes_are_those_of_torch():
    torch = pytest.importorskip("torch")
    build = lambda nn: nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.Unflatten(1, (2, 3)), nn.Linear(3, 1))  # noqa: E731
    ours, theirs = build(nn), build(torch.nn)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    x = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    y, u = ours(mg.tensor(x)), theirs(torch.tensor(x))
    (y * y).sum().backward()
    (u * u).sum().backward()
    assert np.allclose(y.detach().array, u.detach().numpy(), atol=1e-5)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert np.allclose(p.grad.array, q.grad.numpy(), atol=1e-4)


@pytest.mark.torch
def test_softmax_picks_the_dim_that_torch_picks():
    torch = pytest.importorskip("torch")
    for shape in [(3,), (2, 3), (2, 3, 4), (2, 3, 4, 5)]:
        x = np.random.default_rng(0).normal(size=shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours, theirs = F.softmax(mg.tensor(x)).array, torch.nn.functional.softmax(torch.tensor(x)).numpy()
        assert np.allclose(ours, theirs)
