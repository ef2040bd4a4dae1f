"""Weights that stay orthogonal: by every map, as in PyTorch, through training, assignment and saving."""

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import nn
from microgradnet.nn.utils.parametrizations import orthogonal

SIZES = pytest.mark.parametrize("size", [(4, 4), (5, 3), (3, 5)], ids=str)
MAPS = pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley", "householder"])
TRIVIAL = pytest.mark.parametrize("trivial", [True, False])


def trained(lib, module, x, steps=5):
    optimizer = lib.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        ((module(lib.tensor(x)) - 1) ** 2).mean().backward()
        optimizer.step()
    return module.weight.detach().numpy()


def off(weight):
    weight = weight if weight.shape[0] >= weight.shape[1] else weight.T
    return np.abs(weight.T @ weight - np.eye(weight.shape[1])).max()


@SIZES
@MAPS
@TRIVIAL
def test_it_stays_orthogonal_and_learns(size, orthogonal_map, trivial):
    module = orthogonal(nn.Linear(*size).double(), orthogonal_map=orthogonal_map, use_trivialization=trivial)
    before = module.weight.detach().numpy()
    assert off(before) < 1e-13
    after = trained(mg, module, np.random.default_rng(0).standard_normal((7, size[0])))
    assert off(after) < 1e-13 and np.abs(after - before).max() > 1e-3


@pytest.mark.torch
@SIZES
@MAPS
@TRIVIAL
def test_it_trains_as_in_torch(size, orthogonal_map, trivial):
    torch = pytest.importorskip("torch")
    ours, theirs = (
        lib.nn.utils.parametrizations.orthogonal(lib.nn.Linear(*size).double(), orthogonal_map=orthogonal_map,
                                                 use_trivialization=trivial)
        for lib in (mg, torch)
    )  # fmt: skip
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict({name: torch.from_numpy(t.numpy().copy()) for name, t in ours.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((7, size[0]))
    np.testing.assert_allclose(trained(mg, ours, x), trained(torch, theirs, x), rtol=0, atol=1e-9)


@SIZES
@pytest.mark.parametrize("orthogonal_map, trivial", [("matrix_exp", True), ("cayley", True), ("householder", True),
                                                     ("householder", False)])
def test_an_orthogonal_matrix_can_be_assigned(size, orthogonal_map, trivial):
    module = orthogonal(nn.Linear(*size).double(), orthogonal_map=orthogonal_map, use_trivialization=trivial)
    wanted = np.linalg.qr(np.random.default_rng(1).standard_normal((max(size),) * 2))[0][: size[1], : size[0]]
    module.weight = mg.tensor(wanted)
    np.testing.assert_allclose(module.weight.detach().numpy(), wanted, atol=1e-14)
    twin = orthogonal(nn.Linear(*size).double(), orthogonal_map=orthogonal_map, use_trivialization=trivial)
    twin.load_state_dict(module.state_dict())
    assert mg.equal(twin.weight, module.weight)


def test_errors_name_the_way_out():
    with pytest.raises(ValueError, match="must be one of matrix_exp, cayley, householder, got 'qr'"):
        orthogonal(nn.Linear(2, 2), orthogonal_map="qr")
    with pytest.raises(ValueError, match="'bias' is"):
        orthogonal(nn.Linear(2, 2), "bias")
    with pytest.raises(ValueError, match="no parameter or buffer 'wight'"):
        orthogonal(nn.Linear(2, 2), "wight")
    module = orthogonal(nn.Linear(2, 2), orthogonal_map="cayley", use_trivialization=False)
    with pytest.raises(NotImplementedError, match="nothing can be assigned to the map 'cayley'"):
        module.weight = mg.eye(2)
