"""Lengths, distances, angles and bilinear forms."""

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn
from microgradnet.autograd import gradcheck, gradgradcheck


def normal(*shape, seed=0, **kwargs):
    return mg.tensor(np.random.default_rng(seed).standard_normal(shape), **kwargs)


def close(actual, expected, tolerance=1e-12):
    __tracebackhide__ = True
    np.testing.assert_allclose(actual.detach().numpy(), expected, tolerance, tolerance)


def test_cosine_similarity():
    a, b = mg.tensor([[3.0, 0.0], [1.0, 1.0]]), mg.tensor([[2.0, 2.0], [-2.0, -2.0]])
    close(F.cosine_similarity(a, b), [np.sqrt(0.5), -1], 1e-6)
    x, y = normal(4, 3), normal(4, 3, seed=1)
    close(F.cosine_similarity(5 * x, 0.1 * y), F.cosine_similarity(x, y).array)
    close(nn.CosineSimilarity(dim=0)(x, y), F.cosine_similarity(x.T, y.T).array)
    assert F.cosine_similarity(mg.zeros(2, 3), mg.ones(2, 3)).tolist() == [0, 0]
    assert F.cosine_similarity(normal(4, 1, 3), normal(5, 3), dim=-1).shape == (4, 5)


def test_pairwise_distance():
    x, y = mg.tensor([[0.0, 3.0], [1.0, 1.0]]), mg.tensor([[4.0, 0.0], [1.0, 1.0]])
    close(F.pairwise_distance(x, y, eps=0), [5, 0])
    close(F.pairwise_distance(x, y, p=1, eps=0, keepdim=True), [[7], [0]])
    close(nn.PairwiseDistance(float("inf"), 0)(x, y), [4, 0])


def test_pdist_is_the_upper_triangle_of_all_distances():
    x = normal(5, 3)
    all_of_them = np.linalg.norm(x.array[:, None] - x.array, axis=-1)
    close(F.pdist(x), all_of_them[np.triu_indices(5, 1)])
    assert F.pdist(normal(1, 3)).shape == (0,)
    with pytest.raises(RuntimeError, match="two dimensions"):
        F.pdist(normal(3))
    with pytest.raises(RuntimeError, match="negative"):
        F.pdist(x, -1)


def test_normalize():
    x = normal(3, 4)
    close(F.normalize(x).norm(2, 1), np.ones(3))
    close(F.normalize(x, p=1, dim=0).abs().sum(0), np.ones(4))
    assert F.normalize(mg.zeros(2, 2)).tolist() == [[0, 0], [0, 0]]
    out = mg.zeros(3, 4, dtype=mg.float64)
    assert F.normalize(x, out=out) is out
    close(out, F.normalize(x).array)


def test_bilinear():
    layer = nn.Bilinear(2, 3, 4).double()
    x, y = normal(5, 2), normal(5, 3, seed=1)
    expected = np.einsum("ni,oij,nj->no", x.array, layer.weight.detach().array, y.array) + layer.bias.detach().array
    close(layer(x, y), expected)
    assert layer(x[0], y[0]).shape == (4,) and nn.Bilinear(1, 2, 3, bias=False).bias is None
    assert np.abs(nn.Bilinear(100, 2, 5).weight.detach().array).max() <= 0.1
    with pytest.raises(RuntimeError, match="in1"):
        layer(y, x)
    with pytest.raises(ValueError, match="in1_features"):
        nn.Bilinear(0, 1, 1)
    for size in (3, "3", (1.5, 2)):
        with pytest.raises(TypeError, match="unflattened_size"):
            nn.Unflatten(1, size)


FUNCTIONS = {
    "cosine_similarity": (F.cosine_similarity, (4, 3), (4, 3)),
    "pairwise_distance": (F.pairwise_distance, (4, 3), (4, 3)),
    "pairwise_distance 3": (lambda x, y: F.pairwise_distance(x, y, 3), (4, 3), (3,)),
    "pdist": (F.pdist, (4, 3)),
    "normalize": (F.normalize, (4, 3)),
    "bilinear": (F.bilinear, (4, 2), (4, 3), (2, 2, 3), (2,)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients(name):
    function, *shapes = FUNCTIONS[name]
    inputs = [normal(*shape, seed=k, requires_grad=True) for k, shape in enumerate(shapes)]
    assert gradcheck(function, inputs) and gradgradcheck(function, inputs)


@pytest.mark.torch
def test_functions_are_those_of_torch():
    twins = pytest.importorskip("twins")
    x, y = twins.normal(4, 3), twins.normal(4, 3, seed=1)
    zeros = x * (np.arange(4) != 1)[:, None]
    tiny = x * np.where(np.arange(4) == 1, 1e-12, 1)[:, None]
    for a in (x, zeros, tiny):
        for dim in (0, 1, -1):
            twins.check_function(lambda lib, a, b: lib.nn.functional.cosine_similarity(a, b, dim), a, y, second=a is x,
                                 tolerance=1e-7 if a is tiny else 1e-10)
    twins.check_function(lambda lib, a, b: lib.nn.functional.cosine_similarity(a, b, eps=5), x, y)
    for p in (2, 1, 3, 2.5, np.inf):
        for a, b in ((x, y), (x, y[0]), (x[0], y[0])):
            twins.check_function(lambda lib, a, b: lib.nn.functional.pairwise_distance(a, b, p, keepdim=True), a, b)
        twins.check_function(lambda lib, a: lib.nn.functional.pdist(a, p), x, second=False)
        twins.check_function(lambda lib, a: lib.nn.functional.pdist(a, p), zeros[[1, 0, 1, 2]], second=False)
        twins.check_function(lambda lib, a: lib.nn.functional.normalize(a, p, 0), x)
    twins.check_function(lambda lib, a: lib.nn.functional.normalize(a), zeros, second=False)


@pytest.mark.torch
def test_modules_are_those_of_torch():
    twins = pytest.importorskip("twins")
    twins.check_module(lambda nn: nn.Bilinear(2, 3, 4), twins.normal(5, 2), twins.normal(5, 3))
    twins.check_module(lambda nn: nn.Bilinear(2, 3, 4, bias=False), twins.normal(2, 5, 2), twins.normal(2, 5, 3))
    twins.check_module(lambda nn: nn.Bilinear(2, 3, 4), twins.normal(2), twins.normal(3))
    twins.check_module(lambda nn: nn.CosineSimilarity(0, 0.1), twins.normal(2, 3), twins.normal(2, 3, seed=1))
    twins.check_module(lambda nn: nn.PairwiseDistance(1.5, keepdim=True), twins.normal(2, 3), twins.normal(2, 3, seed=1))
    twins.check_module(lambda nn: nn.Flatten(), twins.normal(2, 3, 4))
    twins.check_module(lambda nn: nn.Flatten(0, 1), twins.normal(2, 3, 4))
    twins.check_module(lambda nn: nn.Unflatten(1, (3, 2)), twins.normal(2, 6))
    twins.check_module(lambda nn: nn.Unflatten(-1, [3, -1]), twins.normal(2, 6))
