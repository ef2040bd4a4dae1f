"""Parametrized weights: by hand, and as PyTorch's."""

import copy

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import nn
from microgradnet.nn.utils import parametrizations, parametrize


class Symmetric(nn.Module):
    def forward(self, x):
        return (x + x.T) / 2

    def right_inverse(self, a):
        return a


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x


def test_an_attribute_is_computed_at_every_access():
    layer = nn.Linear(3, 3)
    original = layer.weight
    assert parametrize.register_parametrization(layer, "weight", Symmetric()) is layer
    assert layer.weight.tolist() == layer.weight.T.tolist() and layer.parametrizations.weight.original is original
    assert [n for n, _ in layer.named_parameters()] == ["bias", "parametrizations.weight.original"]
    assert type(layer).__name__ == "ParametrizedLinear" and isinstance(layer, nn.Linear)
    assert parametrize.is_parametrized(layer, "weight") and not parametrize.is_parametrized(layer, "bias")
    layer(mg.ones(2, 3)).sum().backward()
    assert original.grad.shape == (3, 3)
    layer.weight = mg.eye(3)
    assert original.tolist() == np.eye(3).tolist()
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight
    other = copy.deepcopy(layer)
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and layer.weight is original and "parametrizations" not in layer.__dict__
    assert parametrize.is_parametrized(other) and other.weight.tolist() == np.eye(3).tolist()


def test_parametrizations_in_a_row():
    layer = nn.Linear(2, 2)
    start = layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", Symmetric())
    parametrize.register_parametrization(layer, "weight", Doubled())
    assert np.allclose(layer.weight.detach().array, start.array + start.array.T)
    with pytest.raises(RuntimeError, match="Doubled has no right_inverse"):
        layer.weight = mg.eye(2)
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert np.allclose(layer.weight.detach().array, start.array)


def test_what_cannot_be_parametrized():
    layer = nn.Linear(2, 3)
    with pytest.raises(ValueError, match="has no parameter, buffer or parametrized attribute 'w'"):
        parametrize.register_parametrization(layer, "w", Symmetric())
    with pytest.raises(ValueError, match="must keep shape"):
        parametrize.register_parametrization(layer, "weight", nn.Flatten(0))
    with pytest.raises(ValueError, match="no parametrization on 'bias'"):
        parametrize.remove_parametrizations(layer, "bias")
    with pytest.raises(IndexError, match="dim 2 is out of range"):
        parametrizations.spectral_norm(layer, dim=2)
    with pytest.raises(ValueError, match="n_power_iterations must be above 0"):
        parametrizations.spectral_norm(layer, n_power_iterations=0)
    parametrizations.weight_norm(layer)
    with pytest.raises(ValueError, match="computed from several tensors"):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)


def test_norms():
    layer = nn.Linear(4, 3)
    before = layer.weight.detach().clone()
    parametrizations.weight_norm(layer)
    assert np.allclose(layer.weight.detach().array, before.array, rtol=1e-5)
    parametrize.remove_parametrizations(layer, "weight")
    assert isinstance(layer.weight, nn.Parameter)
    parametrizations.spectral_norm(layer, n_power_iterations=100)
    assert np.isclose(np.linalg.norm(layer.weight.detach().array, 2), 1, rtol=1e-4)


@pytest.mark.torch
@pytest.mark.parametrize("how", [
    lambda p, m: p.weight_norm(m), lambda p, m: p.weight_norm(m, dim=1), lambda p, m: p.weight_norm(m, dim=None),
    lambda p, m: p.weight_norm(m, "bias"), lambda p, m: p.spectral_norm(m),
    lambda p, m: p.spectral_norm(m, n_power_iterations=3, dim=1), lambda p, m: p.spectral_norm(m, "bias"),
])  # fmt: skip
def test_as_pytorch(how):
    torch = pytest.importorskip("torch")
    import torch.nn.utils.parametrizations as theirs_of

    theirs = how(theirs_of, torch.nn.Linear(4, 3).double())
    ours = how(parametrizations, nn.Linear(4, 3).double())
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    assert [tuple(v.shape) for v in ours.state_dict().values()] == [tuple(v.shape) for v in state.values()]
    ours.load_state_dict({key: value.numpy() for key, value in state.items()})
    assert repr(ours) == repr(theirs)
    x = np.random.default_rng(0).random((5, 4))
    for _ in range(3):
        a, b = ours(mg.tensor(x)), theirs(torch.tensor(x))
        np.testing.assert_allclose(a.detach().array, b.detach().numpy(), rtol=1e-10)
        (a * a).sum().backward()
        (b * b).sum().backward()
    for (n, p), (m, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert n == m
        np.testing.assert_allclose(p.grad.array, q.grad.numpy(), rtol=1e-9, atol=1e-10)
    for p, q in zip(ours.buffers(), theirs.buffers(), strict=True):
        np.testing.assert_allclose(p.array, q.numpy(), rtol=1e-9)
