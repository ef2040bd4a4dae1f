"""Decompositions of low rank: exact where the matrix is of that rank, and PyTorch's but for the signs."""

import numpy as np
import pytest

import microgradnet as mg

SHAPES = [(9, 5), (5, 9), (2, 9, 5), (2, 3, 5, 9)]


def of_rank_three(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(*shape[:-1], 3)) @ rng.normal(size=(*shape[:-2], 3, shape[-1]))


def largest(x, q):
    return np.linalg.svd(x, compute_uv=False)[..., :q]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_matrix_of_low_rank_is_found(shape):
    x = of_rank_three(shape)
    u, s, v = (t.array for t in mg.svd_lowrank(mg.tensor(x), 4))
    np.testing.assert_allclose(u @ (s[..., None] * v.swapaxes(-2, -1)), x, atol=1e-12)
    for vectors in u, v:
        np.testing.assert_allclose(vectors.swapaxes(-2, -1) @ vectors, np.broadcast_to(np.eye(4), (*shape[:-2], 4, 4)),
                                   atol=1e-12)
    np.testing.assert_allclose(s, largest(x, 4), atol=1e-12)


def test_what_is_subtracted():
    x = mg.tensor(of_rank_three((9, 5)) + 10)
    centred = x.array - x.array.mean(0)
    for s in mg.pca_lowrank(x, 4)[1], mg.svd_lowrank(x, 4, M=x.mean(0, keepdim=True))[1]:
        np.testing.assert_allclose(s.array, largest(centred, 4), atol=1e-12)
    np.testing.assert_allclose(mg.pca_lowrank(x, center=False)[1].array, largest(x.array, 5), atol=1e-12)


def test_more_iterations_come_closer():
    x = mg.tensor(np.random.default_rng(0).normal(size=(60, 50)))
    errors = []
    for niter in 0, 2, 20:
        mg.manual_seed(0)
        errors.append(float(np.abs(mg.svd_lowrank(x, 5, niter)[1].array / largest(x.array, 5) - 1).max()))
    assert errors[0] > 0.1 > errors[1] > errors[2] and errors[2] < 0.02


def test_gradients_reach_the_matrix():
    x = mg.tensor(np.random.default_rng(0).normal(size=(5, 4)), requires_grad=True)

    def singular_values(a):
        mg.manual_seed(0)
        return mg.svd_lowrank(a, 2)[1]

    assert mg.autograd.gradcheck(singular_values, x)


def test_the_seed_repeats_and_dtypes_stay():
    x = mg.randn(6, 5)
    mg.manual_seed(3)
    first = mg.svd_lowrank(x, 2)
    mg.manual_seed(3)
    assert all(a.dtype == mg.float32 and mg.equal(a, b) for a, b in zip(first, mg.svd_lowrank(x, 2), strict=True))


def test_errors():
    with pytest.raises(ValueError, match="q must lie within 0 and 4.*got 5"):
        mg.pca_lowrank(mg.ones(5, 4), 5)
    with pytest.raises(ValueError, match="niter must not be negative, got -1"):
        mg.pca_lowrank(mg.ones(5, 4), niter=-1)
    with pytest.raises(ValueError, match="svd_lowrank.*expected a matrix"):
        mg.svd_lowrank(mg.ones(3))
    with pytest.raises(RuntimeError, match="pca_lowrank.*floating dtype"):
        mg.pca_lowrank(mg.ones(3, 3, dtype=mg.int64))


@pytest.mark.torch
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name, options", [
    ("svd_lowrank", {"q": 4}), ("svd_lowrank", {"q": None, "niter": None}), ("svd_lowrank", {"q": 0}),
    ("svd_lowrank", {"q": 3, "niter": -1}), ("pca_lowrank", {}), ("pca_lowrank", {"q": 4, "center": False}),
])  # fmt: skip
def test_as_pytorch(name, options, shape):
    torch = pytest.importorskip("torch")
    x = of_rank_three(shape)
    ours = [t.array for t in getattr(mg, name)(mg.tensor(x), **options)]
    theirs = [t.numpy() for t in getattr(torch, name)(torch.tensor(x), **options)]
    assert [t.shape for t in ours] == [t.shape for t in theirs]
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-10)
    for a, b in (ours[0], theirs[0]), (ours[2], theirs[2]):  # a direction may come with either sign
        a, b = a[..., :3], b[..., :3]
        np.testing.assert_allclose(np.abs((a * b).sum(-2)), np.ones((*shape[:-2], a.shape[-1])), atol=1e-9)
