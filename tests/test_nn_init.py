"""Initialisation: bounds, moments, structure, and that it stays outside the graph."""

import math

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import nn
from microgradnet.nn import init


def filled(name, *args, shape=(200, 100), **kwargs):
    tensor = mg.empty(*shape)
    assert getattr(init, name)(tensor, *args, generator=mg.Generator().manual_seed(0), **kwargs) is tensor
    assert tensor.dtype == mg.float32
    return tensor.array


RANDOM = {
    "uniform_": {}, "normal_": {}, "trunc_normal_": {}, "xavier_uniform_": {}, "xavier_normal_": {},
    "kaiming_uniform_": {}, "kaiming_normal_": {}, "orthogonal_": {}, "sparse_": {"sparsity": 0.3},
}


@pytest.mark.parametrize("name", RANDOM)
def test_p74_draws_come_from_the_generator_given_or_the_default_one(name):
    draw = lambda **kwargs: getattr(init, name)(mg.empty(4, 3), **RANDOM[name], **kwargs).tolist()  # noqa: E731
    assert draw(generator=mg.Generator().manual_seed(1)) == draw(generator=mg.Generator().manual_seed(1))
    mg.manual_seed(5)
    first = draw()
    assert first != draw()
    mg.manual_seed(5)
    assert first == draw()


@pytest.mark.parametrize("name", [*RANDOM, "ones_", "zeros_", "constant_", "eye_"])
def test_parameters_are_filled_in_place_and_the_version_check_sees_it(name):
    w = nn.Parameter(mg.ones(3, 3))
    array, kwargs = w.array, {**RANDOM.get(name, {}), **({"val": 2.0} if name == "constant_" else {})}
    loss = (w * w).sum()
    assert getattr(init, name)(w, **kwargs) is w and w.array is array and w.requires_grad and w.is_leaf
    with pytest.raises(RuntimeError, match="modified in place"):
        loss.backward()


@pytest.mark.parametrize("name, args, low, high, std", [
    ("uniform_", (), 0, 1, math.sqrt(1 / 12)),
    ("uniform_", (-3.0, 5.0), -3, 5, 8 * math.sqrt(1 / 12)),
    ("xavier_uniform_", (), -math.sqrt(6 / 300), math.sqrt(6 / 300), math.sqrt(2 / 300)),
    ("xavier_uniform_", (2.0,), -2 * math.sqrt(6 / 300), 2 * math.sqrt(6 / 300), 2 * math.sqrt(2 / 300)),
    ("kaiming_uniform_", (), -math.sqrt(6 / 100), math.sqrt(6 / 100), math.sqrt(2 / 100)),
    ("kaiming_uniform_", (math.sqrt(5),), -0.1, 0.1, 0.1 / math.sqrt(3)),
    ("kaiming_uniform_", (0, "fan_out", "relu"), -math.sqrt(6 / 200), math.sqrt(6 / 200), math.sqrt(2 / 200)),
])
def test_uniform_bounds(name, args, low, high, std):
    x = filled(name, *args)
    assert low <= x.min() < low + 0.01 * (high - low) and high - 0.01 * (high - low) < x.max() <= high
    assert np.isclose(x.std(), std, rtol=0.02)


@pytest.mark.parametrize("name, args, mean, std", [
    ("normal_", (), 0, 1), ("normal_", (2.0, 3.0), 2, 3),
    ("xavier_normal_", (), 0, math.sqrt(2 / 300)), ("xavier_normal_", (3.0,), 0, 3 * math.sqrt(2 / 300)),
    ("kaiming_normal_", (), 0, math.sqrt(2 / 100)), ("kaiming_normal_", (0, "fan_out", "relu"), 0, math.sqrt(2 / 200)),
    ("kaiming_normal_", (0, "fan_in", "linear"), 0, 0.1),  # the book's 1/√n_in
    ("trunc_normal_", (), 0, 0.8796256610342398),  # of a normal number held within ±2
])
def test_normal_moments(name, args, mean, std):
    x = filled(name, *args)
    assert abs(x.mean() - mean) < 0.02 * std and np.isclose(x.std(), std, rtol=0.02)
    assert 0.66 * 0.9 < np.mean(np.abs(x - mean) < std) < 0.72


def test_trunc_normal_stays_within_its_bounds():
    x = filled("trunc_normal_", 1.0, 0.5, 0.8, 3.0)
    assert 0.8 <= x.min() < 0.81 and x.max() <= 3.0 and x.max() > 2.5
    with pytest.warns(UserWarning, match="more than 2 std"):
        x = filled("trunc_normal_", 10.0, 1.0, 0.0, 1.0)
    assert 0 <= x.min() and x.max() <= 1


def test_receptive_fields_count():
    x = filled("kaiming_uniform_", shape=(8, 4, 5, 5))
    assert np.isclose(np.abs(x).max(), math.sqrt(6 / 100), rtol=0.01)
    assert init._calculate_fan_in_and_fan_out(mg.empty(8, 4, 5, 5)) == (100, 200)


def test_constants():
    assert init.constant_(mg.empty(2), 3.5).tolist() == [3.5, 3.5]
    assert init.ones_(mg.empty(2)).tolist() == [1, 1] and init.zeros_(mg.empty(2)).tolist() == [0, 0]
    assert init.eye_(mg.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_dirac():
    kernel = init.dirac_(mg.empty(4, 2, 3, 3), groups=2).array
    assert kernel.sum() == 4 and all(kernel[i, i % 2, 1, 1] == 1 for i in range(4))
    assert init.dirac_(mg.empty(1, 1, 2, 3, 4)).array[0, 0, 1, 1, 2] == 1


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (3, 2, 2)])
def test_orthogonal(shape):
    x = filled("orthogonal_", shape=shape, gain=2.0).reshape(shape[0], -1)
    gram = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
    assert np.allclose(gram, 4 * np.eye(len(gram)), atol=1e-5)


def test_orthogonal_is_uniform_in_sign():
    generator = mg.Generator().manual_seed(0)
    signs = [init.orthogonal_(mg.empty(2, 2), generator=generator).array[0, 0] > 0 for _ in range(200)]
    assert 60 < sum(signs) < 140


def test_sparse():
    x = filled("sparse_", 0.25, 2.0)
    assert ((x == 0).sum(axis=0) == 50).all() and np.isclose(x[x != 0].std(), 2, rtol=0.05)
    assert (filled("sparse_", 0.1, shape=(3, 2)) == 0).sum(axis=0).tolist() == [1, 1]  # rounded up


def test_calculate_gain():
    assert all(init.calculate_gain(name) == 1 for name in ("linear", "sigmoid", "conv_transpose2d"))
    assert init.calculate_gain("tanh") == 5 / 3 and init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("leaky_relu", 2) == math.sqrt(2 / 5) and init.calculate_gain("selu") == 0.75


@pytest.mark.parametrize("call", [
    lambda: init.eye_(mg.empty(3)), lambda: init.sparse_(mg.empty(3), 0.1), lambda: init.orthogonal_(mg.empty(3)),
    lambda: init.dirac_(mg.empty(3, 3)), lambda: init.dirac_(mg.empty(3, 3, 3), groups=2),
    lambda: init.xavier_uniform_(mg.empty(3)), lambda: init.kaiming_normal_(mg.empty(3)),
    lambda: init.kaiming_normal_(mg.empty(3, 3), mode="fan"), lambda: init.calculate_gain("relu6"),
    lambda: init.calculate_gain("leaky_relu", True),
])
def test_what_does_not_fit_is_an_error(call):
    with pytest.raises(ValueError):
        call()


def test_nothing_to_fill():
    for name in ("kaiming_uniform_", "kaiming_normal_"):
        with pytest.warns(UserWarning, match="zero-element"):
            getattr(init, name)(mg.empty(0, 3))
    assert init.orthogonal_(mg.empty(0, 3)).shape == (0, 3)


@pytest.mark.torch
@pytest.mark.parametrize("name", "linear conv1d conv_transpose3d sigmoid tanh relu leaky_relu selu".split())
def test_gains_are_those_of_torch(name):
    torch = pytest.importorskip("torch")
    assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)


@pytest.mark.torch
@pytest.mark.parametrize("name", [n for n in RANDOM if n != "orthogonal_"])
def test_distributions_are_those_of_torch(name):
    """The quantiles of both agree: within five standard errors of a quantile from 60,000 numbers."""
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    theirs = getattr(torch.nn.init, name)(torch.empty(300, 200), **RANDOM[name], generator=generator).numpy()
    ours = filled(name, shape=(300, 200), **RANDOM[name])
    at = [0.05, 0.25, 0.5, 0.75, 0.95]
    assert np.allclose(np.quantile(ours, at), np.quantile(theirs, at), atol=0.03 * theirs.std())


@pytest.mark.torch
def test_dirac_and_eye_are_those_of_torch():
    torch = pytest.importorskip("torch")
    for shape, groups in [((2, 3, 3), 1), ((4, 2, 3, 5), 2), ((6, 3, 2, 2, 2), 3)]:
        theirs = torch.nn.init.dirac_(torch.empty(shape), groups).numpy()
        assert np.array_equal(init.dirac_(mg.empty(*shape), groups).array, theirs)
    assert np.array_equal(init.eye_(mg.empty(3, 5)).array, torch.nn.init.eye_(torch.empty(3, 5)).numpy())


def test_older_names_are_deprecated():
    with pytest.warns(FutureWarning, match="xavier_uniform_"):
        assert init.xavier_uniform is init.xavier_uniform_
    with pytest.raises(AttributeError, match="zeroes"):
        init.zeroes  # noqa: B018
