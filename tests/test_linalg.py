"""Linear algebra: what the factors are, where they end, and what is said of matrices that have none. The values and
derivatives are compared with differences in test_ops.py, and with PyTorch in test_op_db.py."""

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import linalg


def normal(*shape, seed=0):
    return mg.tensor(np.random.default_rng(seed).standard_normal(shape))


def equal(a, b, tolerance=1e-12):
    np.testing.assert_allclose(*(x.detach().numpy() if isinstance(x, mg.Tensor) else x for x in (a, b)), tolerance, tolerance)


SHAPES = [(4, 3), (3, 4), (3, 3), (2, 4, 3), (0, 3, 3), (2, 3, 0)]


def eye(n):
    return mg.eye(n, dtype=mg.float64)


@pytest.mark.parametrize("shape", SHAPES)
def test_factors_multiply_to_the_matrix(shape):
    A = normal(*shape)
    k = min(shape[-2:])
    Q, R = linalg.qr(A)
    equal(Q @ R, A)
    equal(Q.mT @ Q, eye(k).expand(*shape[:-2], k, k))
    assert not R.tril(-1).any()
    if k:
        U, S, Vh = linalg.svd(A, full_matrices=False)
        equal(U * S.unsqueeze(-2) @ Vh, A)
        assert (S[..., :-1] >= S[..., 1:]).all()
        assert [tuple(x.shape[-2:]) for x in linalg.svd(A)[::2]] == [shape[-2:-1] * 2, shape[-1:] * 2]
    P, L, U = linalg.lu(A)
    equal(P @ L @ U, A)
    assert not U.tril(-1).any() and not L.triu(1).any() and (abs(L) <= 1 + 1e-12).all()
    equal(mg.lu_unpack(*mg.lu(A))[1], L)


def test_older_names_differ_as_in_pytorch():
    A = normal(4, 3)
    U, S, V = mg.svd(A)
    equal(U * S @ V.mT, A)
    assert mg.svd(A, some=False).V.shape == (3, 3) and not mg.svd(A, compute_uv=False).U.any()
    assert repr(mg.qr(A)).startswith("microgradnet.return_types.qr(\nQ=")
    assert mg.linalg.qr(A, "complete").Q.shape == (4, 4) and linalg.qr(A, "r").Q.numel() == 0


def test_systems():
    A, B, b = normal(2, 3, 3), normal(3, 2, seed=1), normal(2, 3, seed=2)
    equal(A @ linalg.solve(A, B), B.expand(2, 3, 2))
    equal((A @ linalg.solve(A, b).unsqueeze(-1)).squeeze(-1), b)
    equal(linalg.solve(A[0], B.mT, left=False) @ A[0], B.mT)
    with pytest.raises(RuntimeError, match="taken for vectors"):
        linalg.solve(A, b, left=False)
    equal(A.triu() @ linalg.solve_triangular(A, B, upper=True), B.expand(2, 3, 2))
    equal(linalg.lu_solve(*linalg.lu_factor(A), B), linalg.solve(A, B))
    equal(linalg.lu_solve(*linalg.lu_factor(A), B, adjoint=True), linalg.solve(A.mT, B))
    positive = A @ A.mT + eye(3)
    L = linalg.cholesky(positive)
    equal(L @ L.mT, positive)
    equal(mg.cholesky(positive, upper=True), L.mT)
    equal(positive @ mg.cholesky_solve(B.expand(2, 3, 2), L), B.expand(2, 3, 2))
    equal(positive @ mg.cholesky_inverse(L), eye(3).expand(2, 3, 3))


def test_least_squares_leave_what_is_orthogonal():
    A, B = normal(5, 3), normal(5, 2, seed=1)
    X, residuals, rank, s = linalg.lstsq(A, B, driver="gelsd")
    equal(A.mT @ (A @ X - B), mg.zeros(3, 2, dtype=mg.float64))
    equal(residuals, ((A @ X - B) ** 2).sum(0))
    assert rank.item() == 3 and s.shape == (3,)
    equal(X, np.linalg.lstsq(A.numpy(), B.numpy(), rcond=None)[0])


def test_pseudoinverse_and_rank_of_a_deficient_matrix():
    A = normal(4, 2) @ normal(2, 3, seed=1)
    P = linalg.pinv(A)
    equal(A @ P @ A, A)
    equal(P @ A @ P, P)
    assert linalg.matrix_rank(A).item() == 2 and linalg.matrix_rank(A, atol=1e3).item() == 0
    equal(linalg.pinv(A, atol=1e3), mg.zeros(3, 4, dtype=mg.float64))


def test_powers_and_the_exponential():
    A = normal(3, 3)
    equal(linalg.matrix_power(A, 5), A @ A @ A @ A @ A)
    equal(linalg.matrix_power(A, -2) @ A @ A, eye(3))
    equal(linalg.matrix_power(A, 0), eye(3))
    turn = mg.tensor([[0.0, -np.pi / 2], [np.pi / 2, 0]], dtype=mg.float64)
    equal(linalg.matrix_exp(turn), [[0, -1], [1, 0]])
    equal(linalg.matrix_exp(8 * A), linalg.matrix_power(linalg.matrix_exp(A), 8), 1e-10)


def test_the_determinant_of_a_singular_matrix_has_a_gradient():
    A = mg.tensor([[1.0, 2], [2, 4]], dtype=mg.float64, requires_grad=True)
    det = linalg.det(A)
    det.backward()
    equal(det, 0.0)
    equal(A.grad, [[4, -2], [-2, 1]])


def test_values_alone_have_a_gradient_where_they_are_repeated():
    A = eye(3).requires_grad_()
    (linalg.eigvalsh(A) ** 2).sum().backward()
    equal(A.grad, 2 * eye(3))
    (g,) = mg.autograd.grad(linalg.svdvals(A).sum(), A)
    equal(abs(g), eye(3))


def test_norms():
    A = normal(3, 4)
    for ord in ("fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf")):
        equal(linalg.norm(A, ord), np.linalg.norm(A.numpy(), ord))
    equal(linalg.norm(A), np.linalg.norm(A.numpy()))
    equal(linalg.norm(A, 3, dim=1), np.linalg.norm(A.numpy(), 3, axis=1))
    assert linalg.matrix_norm(normal(2, 3, 4), 2, dim=(0, 2), keepdim=True).shape == (1, 3, 1)
    equal(linalg.cond(A), np.linalg.cond(A.numpy()))
    equal(linalg.cond(A[:, :3], 1), np.linalg.cond(A[:, :3].numpy(), 1))


def test_tensor_inverses():
    A = normal(6, 2, 3)
    equal(mg.tensordot(linalg.tensorinv(A, 1), A, 1).reshape(6, 6), eye(6))
    B = normal(2, 3, seed=3)
    equal(mg.tensordot(A.reshape(2, 3, 2, 3), linalg.tensorsolve(A.reshape(2, 3, 2, 3), B), 2), B)


@pytest.mark.parametrize("call, message", [
    (lambda: linalg.inv(mg.zeros(2, 2)), r"inv\(\(2, 2\) float32\): Singular matrix"),
    (lambda: linalg.solve(mg.zeros(2, 2), mg.ones(2)), "Singular"),
    (lambda: linalg.cholesky(-mg.eye(2)), "not positive definite"),
])  # fmt: skip
def test_what_has_no_inverse_or_factor(call, message):
    with pytest.raises(linalg.LinAlgError, match=message):
        call()
    assert issubclass(linalg.LinAlgError, RuntimeError)


def test_without_an_error_there_is_a_note():
    inverse, info = linalg.inv_ex(mg.zeros(2, 2))
    assert inverse.isnan().all() and info.item() == 1
    assert linalg.cholesky_ex(mg.eye(2)).info.item() == 0
    with pytest.raises(linalg.LinAlgError):
        linalg.solve_ex(mg.zeros(2, 2), mg.ones(2, 1), check_errors=True)


@pytest.mark.parametrize("call, message", [
    (lambda: linalg.inv(mg.ones(2, 3)), r"inv\(\): the matrices must be square, got \(2, 3\)"),
    (lambda: mg.det(mg.ones(3)), r"det\(\): expected a matrix or a stack of matrices"),
    (lambda: linalg.svd(mg.tensor([[1, 2]])), r"must be of a floating dtype, got .* int64"),
    (lambda: linalg.qr(mg.eye(2), "half"), "mode must be"),
    (lambda: linalg.qr(mg.ones(3, 2, requires_grad=True), "complete"), "no derivative for more rows than columns"),
    (lambda: linalg.eigh(mg.eye(2), "X"), "UPLO must be"),
    (lambda: linalg.norm(mg.ones(2, 2, 2), 2), "1 or 2 dimensions"),
    (lambda: linalg.matrix_norm(mg.eye(2), 5), "ord must be"),
    (lambda: linalg.tensorinv(mg.eye(2), 0), "above 0"),
])  # fmt: skip
def test_errors_name_what_is_wrong(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()


def test_float32_stays():
    A = normal(3, 3).float()
    for result in (linalg.inv(A), linalg.det(A), *linalg.svd(A), *linalg.qr(A), linalg.matrix_exp(A), linalg.lu(A).P):
        assert result.dtype == mg.float32
