"""Activations and dropout: known values, what they keep, in-place forms; and PyTorch as the judge, at kinks too."""

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn
from microgradnet.autograd import gradcheck, gradgradcheck


def normal(*shape, seed=0, **kwargs):
    return mg.tensor(np.random.default_rng(seed).standard_normal(shape), **kwargs)


# name: (the function, golden values at -2, 0 and 2)
GOLDEN = {
    "threshold": (lambda x: F.threshold(x, 0.5, -7.0), [-7, -7, 2]),
    "selu": (F.selu, [-1.5201664686, 0, 2.1014019747]),
    "celu": (lambda x: F.celu(x, 2), [-1.2642411177, 0, 2]),
    "rrelu": (F.rrelu, [-0.4583333333, 0, 2]),
    "prelu": (lambda x: F.prelu(x, mg.tensor(0.25, dtype=mg.float64)), [-0.5, 0, 2]),
    "glu": (lambda x: F.glu(mg.cat([x, 0 * x])), [-1, 0, 1]),
    "hardshrink": (lambda x: F.hardshrink(x, 1), [-2, 0, 2]),
    "softshrink": (lambda x: F.softshrink(x, 1), [-1, 0, 1]),
    "hardsigmoid": (F.hardsigmoid, [1 / 6, 0.5, 5 / 6]),
    "hardswish": (F.hardswish, [-1 / 3, 0, 5 / 3]),
    "mish": (F.mish, [-0.2525014843, 0, 1.9439589594]),
}
EACH = pytest.mark.parametrize("name", GOLDEN)


@EACH
def test_values(name):
    y = GOLDEN[name][0](mg.tensor([-2.0, 0.0, 2.0], dtype=mg.float64))
    np.testing.assert_allclose(y.numpy(), GOLDEN[name][1], atol=1e-9)


@pytest.mark.parametrize("slope", [-0.5, 0, 0.0, 1e-3, 0.2, 1, 1.0, 1.5, 2])
def test_leaky_relu_of_any_slope(slope):
    x = mg.tensor([-np.inf, -3.0, -0.0, 0.0, 5e-324, 2.0, np.inf, np.nan], dtype=mg.float64)
    with np.errstate(invalid="ignore"):
        expected = np.where(x.numpy() > 0, x.numpy(), slope * x.numpy())
        np.testing.assert_array_equal(F.leaky_relu(x, slope).numpy(), expected)


@EACH
def test_gradients(name):
    x = normal(6, requires_grad=True)
    assert gradcheck(GOLDEN[name][0], [x]) and gradgradcheck(GOLDEN[name][0], [x])


@EACH
def test_p37_float32_stays(name):
    x = normal(6).float().requires_grad_()
    y = F.prelu(x, mg.tensor(0.25)) if name == "prelu" else GOLDEN[name][0](x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == mg.float32


@EACH
def test_p66_large_arguments_do_not_warn(name):
    x = mg.tensor([-1e4, 1e4, -800.0, 800.0], dtype=mg.float64, requires_grad=True)
    y = GOLDEN[name][0](x)
    y.sum().backward()
    assert y.isfinite().all() and x.grad.isfinite().all()


IN_PLACE = {
    "relu": (), "relu6": (), "leaky_relu": (0.3,), "elu": (0.5,), "hardtanh": (-0.5, 0.7), "silu": (), "selu": (), "celu": (2.0,),
    "hardsigmoid": (), "hardswish": (), "mish": (), "threshold": (0.1, -3.0), "rrelu": (0.1, 0.3, False),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_forms_write_over_the_input_and_keep_the_gradient(name):
    function, options = getattr(F, name), IN_PLACE[name]
    forms = [lambda x: function(x, *options, inplace=True)]
    if hasattr(F, name + "_"):
        forms.append(lambda x: getattr(F, name + "_")(x, *options))
    for form in forms:
        x = normal(3, 4, requires_grad=True)
        h = 2 * x
        y = form(h)
        assert y is h
        (y * y).sum().backward()
        other = x.detach().requires_grad_()
        z = function(2 * other, *options)
        (z * z).sum().backward()
        np.testing.assert_allclose(y.detach().array, z.detach().array, rtol=1e-12)
        np.testing.assert_allclose(x.grad.array, other.grad.array, rtol=1e-12)
        with pytest.raises(RuntimeError, match="leaf"):
            form(normal(3, requires_grad=True))


def test_prelu_has_a_weight_for_each_channel():
    layer = nn.PReLU(3, init=0.5)
    assert layer.weight.tolist() == [0.5] * 3 and list(layer.state_dict()) == ["weight"]
    with mg.no_grad():
        layer.weight.copy_(mg.tensor([1.0, 2.0, 3.0]))
    x = -mg.ones(2, 3, 2)
    assert layer(x)[0, :, 0].tolist() == [-1, -2, -3]
    layer(x).sum().backward()
    assert layer.weight.grad.tolist() == [-4] * 3
    layer.reset_parameters()
    assert layer.weight.tolist() == [0.5] * 3


def test_rrelu_draws_a_slope_for_each_element_in_training():
    mg.manual_seed(0)
    x = -mg.ones(1000)
    y = nn.RReLU(0.1, 0.3)(x)
    assert y.min() >= -0.3 and y.max() <= -0.1 and len(set(y.tolist())) > 900 and abs(y.mean() + 0.2) < 0.01
    assert nn.RReLU(0.1, 0.3).eval()(x).unique().numel() == 1 if hasattr(mg, "unique") else True
    positive = normal(50).abs()
    assert (nn.RReLU()(positive) == positive).all()


def test_gumbel_softmax_draws_from_the_classes():
    mg.manual_seed(0)
    p = mg.tensor([0.1, 0.2, 0.7])
    logits = p.log().expand(20_000, 3).clone().requires_grad_()
    hard = F.gumbel_softmax(logits, hard=True)
    np.testing.assert_allclose(hard.detach().mean(0).tolist(), p.tolist(), atol=0.02)
    assert (hard.detach().sum(1) - 1).abs().max() < 1e-6
    (hard[:, 0]).sum().backward()
    assert logits.grad.abs().sum() > 0 and logits.grad.sum(1).abs().max() < 1e-5
    soft = F.gumbel_softmax(logits.detach(), tau=0.5)
    np.testing.assert_allclose(soft.sum(1).array, 1, rtol=1e-5)
    assert F.gumbel_softmax(logits.detach(), dim=0).sum(0).allclose(mg.ones(3), rtol=1e-3)


ERRORS = [
    (lambda: F.celu(mg.ones(2), 0), RuntimeError, "alpha"),
    (lambda: F.rrelu(mg.ones(2), 0.5, 0.1), RuntimeError, "lower"),
    (lambda: F.prelu(mg.ones(2, 3), mg.ones(2)), RuntimeError, "3"),
    (lambda: F.prelu(mg.ones(2, 3), mg.ones(3, 1)), RuntimeError, "vector"),
    (lambda: F.glu(mg.ones(3)), RuntimeError, "even"),
    (lambda: F.glu(mg.tensor(1.0)), RuntimeError, "even"),
    (lambda: F.softshrink(mg.ones(3), -1), RuntimeError, "lambd"),
    (lambda: nn.Softmax2d()(mg.ones(2, 2)), ValueError, "3D or 4D"),
    (lambda: nn.Hardtanh(1, 1), ValueError, "min_val"),
    (lambda: F.hardtanh(mg.ones(1), 2, 1), ValueError, "min_val"),
    (lambda: F.dropout1d(mg.ones(2)), RuntimeError, "2D or 3D"),
    (lambda: F.feature_dropout(mg.ones(2)), RuntimeError, "2 dimensions"),
    (lambda: nn.AlphaDropout(1.5), ValueError, "between 0 and 1"),
    (lambda: F.feature_alpha_dropout(mg.ones(2), 1.5), ValueError, "between 0 and 1"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors(case):
    function, kind, message = ERRORS[case]
    with pytest.raises(kind, match=message):
        function()


# --- dropout ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form, shape", [(nn.Dropout1d, (50, 60, 3)), (nn.Dropout2d, (50, 60, 3, 2)),
                                         (nn.Dropout3d, (50, 60, 3, 1, 2)), (nn.Dropout1d, (3000, 3)),
                                         (nn.Dropout3d, (3000, 2, 1, 2))])
@pytest.mark.parametrize("inplace", [False, True])
def test_channels_are_dropped_whole(form, shape, inplace):
    mg.manual_seed(0)
    x = mg.ones(*shape)
    y = form(0.25, inplace)(x)
    assert (y is x) == inplace
    channels = y.array.reshape(3000, -1)
    assert (channels == channels[:, :1]).all() and y.dtype == mg.float32 and y.shape == shape
    assert set(np.unique(channels).tolist()) == {0.0, np.float32(1 / 0.75)} and abs(y.mean() - 1) < 0.05
    x = mg.ones(*shape)
    assert (form(0.25).eval()(x) == x).all() and (form(1.0)(x) == 0).all() and (form(0.0)(x) == x).all()


def test_dropout_of_other_shapes_is_told():
    for function, shape in ((F.dropout2d, (2, 3, 4)), (F.dropout2d, (2, 3)), (F.dropout3d, (2, 3, 4))):
        with pytest.warns(UserWarning, match=function.__name__):
            assert function(mg.ones(*shape)).shape == shape


@pytest.mark.parametrize("form", [nn.AlphaDropout, nn.FeatureAlphaDropout])
def test_alpha_dropout_keeps_mean_and_variance(form):
    mg.manual_seed(0)
    x = normal(300, 200, 2)
    y = form(0.3)(x)
    assert abs(y.mean()) < 0.02 and abs(y.var() - 1) < 0.02 and y.dtype == mg.float64
    dropped = (y + 1.7580993408473766 * 0.7 / (0.7 * (1 + 0.3 * 1.7580993408473766**2)) ** 0.5).abs() < 1e-9
    assert abs(dropped.double().mean() - 0.3) < 0.01
    assert bool((dropped[..., 0] == dropped[..., 1]).all()) == (form is nn.FeatureAlphaDropout)
    assert form().eval()(x) is x and (form(1.0)(x) == 0).all()


# --- PyTorch ----------------------------------------------------------------------------------------------------------

MODULES = {  # at these points, which include the kinks
    "ReLU": (), "ReLU6": (), "SELU": (), "CELU": (), "CELU 2": (2.0,), "CELU -0.5": (-0.5,), "Hardshrink": (), "Hardshrink 1": (1.0,),
    "Hardshrink -1": (-1.0,), "Softshrink": (), "Softshrink 1": (1.0,), "Hardsigmoid": (), "Hardswish": (), "Mish": (), "Threshold": (0.5, 2.0),
    "LogSigmoid": (), "Tanhshrink": (), "Softsign": (), "ELU": (0.7,), "SiLU": (), "GELU": (), "GELU tanh": ("tanh",), "Softplus": (2.0, 3.0),
    "Hardtanh": (-1.0, 0.5), "LeakyReLU": (0.2,), "PReLU": (), "Sigmoid": (), "Tanh": (), "Softmax": (0,), "LogSoftmax": (0,), "Softmin": (0,),
}  # fmt: skip
POINTS = np.array([-60.0, -6.0, -3.0, -1.5, -1.0, -0.5, -0.2, 0.0, 0.2, 0.5, 1.0, 1.5, 3.0, 6.0, 60.0])


@pytest.mark.torch
@pytest.mark.parametrize("name", MODULES)
def test_modules_are_those_of_torch(name):
    twins = pytest.importorskip("twins")

    def build(nn):
        return getattr(nn, name.split()[0])(*MODULES[name])

    # PyTorch's hardsigmoid multiplies by the 1/6 of float32, and has no second derivative.
    tolerance = 1e-7 if name == "Hardsigmoid" else 1e-10
    twins.check_module(build, POINTS, second=False, tolerance=tolerance)
    twins.check_module(build, POINTS[np.abs(POINTS) < 50] + 0.05, second=name != "Hardsigmoid", tolerance=tolerance)


@pytest.mark.torch
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_float32_is_as_near_as_torch(dtype):
    twins = pytest.importorskip("twins")
    for name in ("selu", "celu", "mish", "hardswish", "hardsigmoid", "softshrink", "hardshrink", "logsigmoid"):
        twins.check_function(lambda lib, x: getattr(lib.nn.functional, name)(x), POINTS.astype(dtype),
                             tolerance=1e-5 if dtype == np.float32 else 5e-3, second=False)


@pytest.mark.torch
def test_others_are_those_of_torch():
    twins = pytest.importorskip("twins")
    for dim in (0, 1, -1):
        twins.check_module(lambda nn: nn.GLU(dim), twins.normal(4, 2, 6))
    twins.check_module(lambda nn: nn.Softmax2d(), twins.normal(2, 3, 4, 5))
    twins.check_module(lambda nn: nn.Softmax2d(), twins.normal(3, 4, 5))
    for shape, n in (((4, 3), 3), ((2, 3, 4), 3), ((5,), 1), ((), 1), ((2, 3, 4, 2), 1)):
        twins.check_module(lambda nn: nn.PReLU(n), twins.normal(*shape))
    twins.check_module(lambda nn: nn.RReLU(), POINTS, train=False)
    twins.check_module(lambda nn: nn.AlphaDropout(0.0), POINTS)
    for name in ("AlphaDropout", "FeatureAlphaDropout", "Dropout1d"):
        twins.check_module(lambda nn: getattr(nn, name)(), twins.normal(2, 3, 4), train=False)


@pytest.mark.torch
def test_signatures_are_those_of_torch():
    import inspect

    torch = pytest.importorskip("torch")
    for name, function in vars(F).items():
        theirs = getattr(torch.nn.functional, name, None)
        if name.startswith("_") or not inspect.isfunction(function) or not inspect.isfunction(theirs):
            continue
        mine = [(p.name, p.default) for p in inspect.signature(function).parameters.values() if p.name != "generator"]
        given = [(p.name, p.default) for p in inspect.signature(theirs).parameters.values()]
        if given[0][0] == "args":  # a dispatcher, which does not say
            continue
        assert mine == given, name
    for name, module in vars(nn).items():
        theirs = getattr(torch.nn, name, None)
        if not inspect.isclass(module) or not inspect.isclass(theirs) or name in ("Module", "Parameter"):
            continue
        mine = [p.name for p in inspect.signature(module).parameters.values() if p.name != "generator"]
        given = [p.name for p in inspect.signature(theirs).parameters.values()]
        if given not in (["args", "kwargs"], ["args"]):
            assert mine == given, name


@pytest.mark.torch
def test_what_the_package_shows_of_them_is_in_torch_too():
    torch = pytest.importorskip("torch")
    names = [name for name, room in mg._LAZY.items() if room == "nn.functional"]
    assert len(names) > 30 and all(hasattr(torch, name) and getattr(mg, name) is getattr(F, name) for name in names)
    for lib in (mg, torch):
        x = lib.tensor([-1.0, 2.0])
        assert lib.dropout(x, 0.5, False).tolist() == [-1, 2] and lib.threshold(x, 0, -3).tolist() == [-3, 2]
        assert lib.layer_norm(x, (2,), None, None, 0.0).tolist() == [-1, 1]
        assert lib.prelu(x, lib.tensor([0.5])).tolist() == [-0.5, 2] and lib.hardshrink(x, 1.5).tolist() == [0, 2]


REPRS = """ReLU(True) ReLU6() ReLU6(True) PReLU(2) RReLU() RReLU(inplace=True) SELU() SELU(True) CELU() CELU(2.0,True) GLU() Hardshrink()
Softshrink(1) Hardsigmoid(True) Hardswish(True) Mish() Mish(True) Threshold(1,2) Threshold(1,2.5,True) LogSigmoid() Softmax2d() Dropout(0.2)
Dropout2d(inplace=True) AlphaDropout() FeatureAlphaDropout(0.1) Bilinear(1,2,3) CosineSimilarity() PairwiseDistance() Flatten() Unflatten(1,(2,3))
Softmin(1) Softmax() Sigmoid() SiLU(True) GELU() GELU("tanh") ELU(inplace=True) Softplus() Hardtanh() Hardtanh(0,2,True) LeakyReLU(0.2,True)
LayerNorm(3) BatchNorm2d(3,affine=False) InstanceNorm1d(3) GroupNorm(1,3,affine=False) RMSNorm(3)""".split()


@pytest.mark.torch
@pytest.mark.parametrize("text", REPRS)
def test_reprs_are_those_of_torch(text):
    torch = pytest.importorskip("torch")
    assert repr(eval(f"nn.{text}", {"nn": nn})) == repr(eval(f"nn.{text}", {"nn": torch.nn}))
