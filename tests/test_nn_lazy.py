"""Layers that learn their sizes from the first input."""

import copy

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import nn

# name: (arguments of the lazy layer, the shape of an input, arguments of the layer it becomes)
CASES = {
    "Linear": ((3,), (2, 5), (5, 3)),
    "Linear without bias": ((3, False), (2, 4, 5), (5, 3, False)),
    "Conv1d": ((4, 3), (2, 3, 8), (3, 4, 3)),
    "Conv2d": ((4, (3, 2), 2, 1), (3, 8, 9), (3, 4, (3, 2), 2, 1)),
    "Conv3d": ((2, 2), (1, 3, 4, 4, 4), (3, 2, 2)),
    "ConvTranspose1d": ((4, 3), (2, 3, 8), (3, 4, 3)),
    "ConvTranspose2d": ((4, 3, 2), (2, 3, 4, 5), (3, 4, 3, 2)),
    "ConvTranspose3d": ((2, 2), (1, 3, 2, 2, 2), (3, 2, 2)),
    "BatchNorm1d": ((), (4, 3), (3,)),
    "BatchNorm2d": ((0.1, None), (4, 3, 2, 2), (3, 0.1, None)),
    "BatchNorm3d": ((1e-5, 0.1, False), (2, 3, 2, 2, 2), (3, 1e-5, 0.1, False)),
    "InstanceNorm1d": ((), (2, 3, 4), (3, 1e-5, 0.1, True, True)),
    "InstanceNorm2d": ((), (2, 3, 4, 2), (3, 1e-5, 0.1, True, True)),
    "InstanceNorm3d": ((), (2, 3, 2, 2, 2), (3, 1e-5, 0.1, True, True)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_first_input_decides(name):
    arguments, shape, others = CASES[name]
    layer = name.split()[0]
    mg.manual_seed(0)
    lazy = getattr(nn, "Lazy" + layer)(*arguments)
    held = list(lazy.parameters())
    assert lazy.has_uninitialized_params() or not held
    assert all(isinstance(p, nn.UninitializedParameter) for p in held)
    x = mg.tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    y = lazy(x)
    real = getattr(nn, layer)(*others)
    assert type(lazy) is type(real) and repr(lazy) == repr(real) and vars(lazy).keys() == vars(real).keys()
    assert all(p is q and type(p) is nn.Parameter for p, q in zip(held, lazy.parameters()))
    assert {k: (v.shape, v.dtype) for k, v in lazy.state_dict().items()} == {k: (v.shape, v.dtype) for k, v in real.state_dict().items()}
    assert y.shape == real(x).shape and lazy(x).shape == y.shape
    if held:
        y.sum().backward()
    assert all(p.grad is not None for p in held)


def test_groups_divide_what_comes_in():
    layer = nn.LazyConv2d(4, 3, groups=2)
    layer(mg.zeros(1, 6, 5, 5))
    assert layer.weight.shape == (4, 3, 3, 3)
    with pytest.raises(ValueError, match="groups"):
        nn.LazyConv2d(4, 3, groups=2)(mg.zeros(1, 5, 5, 5))


def test_one_example_without_a_batch():
    layer = nn.LazyInstanceNorm2d()
    assert layer(mg.ones(3, 4, 2)).shape == (3, 4, 2) and layer.num_features == 3
    conv = nn.LazyConv1d(2, 3)
    assert conv(mg.ones(4, 5)).shape == (2, 3) and conv.in_channels == 4


def test_training_from_lazy_layers():
    mg.manual_seed(0)
    net = nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(1)).double()
    optimizer = mg.optim.SGD(net.parameters(), 0.1)
    x = mg.tensor(np.random.default_rng(0).standard_normal((20, 3)))
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = (net(x) - x[:, :1]).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0] and {p.dtype for p in net.parameters()} == {mg.float64}


def test_a_state_dict_decides_too():
    state = nn.Linear(4, 3).state_dict()
    lazy = nn.LazyLinear(3)
    lazy.load_state_dict(state)
    assert not lazy.has_uninitialized_params() and (lazy.weight == state["weight"]).all()
    assert lazy(mg.zeros(1, 4)).tolist() == [state["bias"].tolist()] and type(lazy) is nn.Linear and lazy.in_features == 4
    norm = nn.BatchNorm1d(2)
    norm(mg.ones(3, 2))
    other = nn.LazyBatchNorm1d()
    other.load_state_dict(norm.state_dict())
    assert other.running_mean.tolist() == norm.running_mean.tolist()


def test_what_has_no_shape_says_so():
    lazy = nn.LazyLinear(3)
    assert repr(lazy.weight) == "<UninitializedParameter>" == repr(lazy.state_dict()["weight"])
    with pytest.raises(RuntimeError, match="uninitialized"):
        lazy.weight.shape  # noqa: B018
    with pytest.raises(RuntimeError, match="uninitialized"):
        nn.Linear(4, 3).load_state_dict(lazy.state_dict())
    buffer = nn.UninitializedBuffer(dtype=mg.float64)
    buffer.materialize((2, 3))
    assert type(buffer) is nn.Buffer and buffer.shape == (2, 3) and buffer.dtype == mg.float64 and not buffer.requires_grad
    twin = copy.deepcopy(lazy)
    twin(mg.zeros(1, 2))
    assert twin.weight.shape == (3, 2) and lazy.has_uninitialized_params()


@pytest.mark.torch
@pytest.mark.parametrize("name", CASES)
def test_lazy_layers_are_those_of_torch(name):
    torch = pytest.importorskip("torch")
    import inspect

    arguments, shape, _ = CASES[name]
    built = []
    for lib in (mg, torch):
        lazy = getattr(lib.nn, "Lazy" + name.split()[0])
        module = lazy(*arguments)
        before = repr(module)
        module(lib.zeros(*shape))
        built.append((before, repr(module), list(module.state_dict()), list(inspect.signature(lazy).parameters)))
    assert built[0] == built[1]
