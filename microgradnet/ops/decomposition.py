"""Decompositions of matrices and what is made of them: the primitives, and PyTorch's older names; `microgradnet.linalg`
has the newer ones.

Every primitive takes stacks of matrices, (…, m, n). Its rule is the adjoint of the differential of its defining
equation; Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation", 2008,
and Murray, "Differentiation of the Cholesky decomposition", 2016, derive most of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import return_types
from ..graph import Op, ShapeError
from ..tensor import Tensor, describe
from .elementwise import where
from .index import tril, triu
from .public import public
from .reduce import sum


def check_matrix(name: str, A: Any) -> None:
    """An error for what is not a stack of matrices of a floating dtype."""
    if not isinstance(A, Tensor):
        raise TypeError(f"{name}() takes a Tensor, got {describe(A)}")
    if A.ndim < 2:
        raise ShapeError(f"{name}(): expected a matrix or a stack of matrices (…, m, n), got {describe(A)}")
    if not A.is_floating_point():
        raise RuntimeError(f"{name}(): the matrices must be of a floating dtype, got {describe(A)}; call .float()")


def check_square(name: str, A: Any) -> None:
    """An error for what is not a stack of square matrices of a floating dtype."""
    check_matrix(name, A)
    if A.shape[-1] != A.shape[-2]:
        raise ShapeError(f"{name}(): the matrices must be square, got {describe(A)}")


def eye_like(x: Any) -> np.ndarray:
    """The identity of a square matrix's size and dtype."""
    return np.eye(x.shape[-1], dtype=x.dtype)


def columns(v: Any) -> Any:
    """A vector for each matrix, to scale its columns by."""
    return v.reshape((*v.shape[:-1], 1, v.shape[-1]))


def rows(v: Any) -> Any:
    """A vector for each matrix, to scale its rows by."""
    return v.reshape((*v.shape, 1))


def _numbers(v):
    """A number for each matrix, to scale it by."""
    return v.reshape((*v.shape, 1, 1))


# --- inverses and systems -------------------------------------------------------------------------------------------

# From X⁻¹ X = I: d(X⁻¹) = -X⁻¹ dX X⁻¹.
inv_op = Op("inv", lambda x, /: np.linalg.inv(x), lambda g, y, _x: -(y.mT @ g @ y.mT), doc="X⁻¹")


def _solve_rule(needs, g, y, a, _b):
    g_b = solve_op(a.mT, g)
    return -(g_b @ y.mT) if 0 in needs else None, g_b if 1 in needs else None


solve_op = Op("solve", lambda a, b, /: np.linalg.solve(a, b), joint=_solve_rule, doc="The X with A X = B.")


def _pinv_rule(g, y, x, rtol=None, hermitian=False):
    # Golub and Pereyra, 1973: dP = -P dX P + P Pᵀ dXᵀ (I - X P) + (I - P X) dXᵀ Pᵀ P.
    pt, gt = y.mT, g.mT
    left, right = gt @ y @ pt, pt @ y @ gt
    return left - x @ (y @ left) + right - (right @ y) @ x - pt @ g @ pt


pinv_op = Op("pinv", lambda x, /, rtol=None, hermitian=False: np.linalg.pinv(x, rtol, hermitian=hermitian), _pinv_rule,
             doc="The pseudoinverse of Moore and Penrose.")

# --- determinants ---------------------------------------------------------------------------------------------------


def _cofactors(x, /):
    # With X = U S Vᵀ they are det U det V · U diag(Π_{j≠i} s_j) Vᵀ, which needs no inverse.
    u, s, vh = np.linalg.svd(x)
    others = np.where(np.eye(s.shape[-1], dtype=bool), 1, columns(s)).prod(-1, dtype=x.dtype)
    sign = np.linalg.det(u) * np.linalg.det(vh)
    return (u * columns(others * sign[..., None])) @ vh


def _cofactors_rule(g, _y, x):
    inverse = inv_op(x).mT
    return _numbers(det(x)) * (_numbers(sum(g * inverse, dim=(-2, -1))) * inverse - inverse @ g.mT @ inverse)


cofactors_op = Op("cofactors", _cofactors, _cofactors_rule,
                  doc="The cofactors of square matrices: the derivative of the determinant.")
det_op = Op("det", lambda x, /: np.asarray(np.linalg.det(x)), lambda g, _y, x: _numbers(g) * cofactors_op(x),
            numpy=np.linalg.det, doc="The determinants (…) of square matrices (…, n, n).")
slogdet_op = Op("slogdet", lambda x, /: tuple(map(np.asarray, np.linalg.slogdet(x))),
                joint=lambda _needs, g, _y, x: (_numbers(g[1]) * inv_op(x.mT),),
                doc="The sign of the determinant, and log |det|.")


def det(input: Any) -> Any:
    """The determinants (…) of square matrices (…, n, n); the gradient is right for singular ones, too."""
    if isinstance(input, Tensor):
        check_square("det", input)
    return det_op(input)


def slogdet(input: Tensor) -> Any:
    """The sign of the determinant and the logarithm of its magnitude, (sign, logabsdet)."""
    check_square("slogdet", input)
    return return_types.slogdet(slogdet_op(input))


def logdet(input: Tensor) -> Tensor:
    """log det, nan where the determinant is negative."""
    sign, logabsdet = slogdet(input)
    return where(sign < 0, float("nan"), logabsdet)


# --- triangular and orthogonal factors --------------------------------------------------------------------------------


def _cholesky_rule(g, y, _x):
    # From L Lᵀ = X: L⁻¹ dL is the lower half, with half the diagonal, of L⁻¹ dX L⁻ᵀ.
    half = tril(y.mT @ g) * (1 - 0.5 * eye_like(y))
    inverse = inv_op(y)
    return inverse.mT @ (0.5 * (half + half.mT)) @ inverse


cholesky_op = Op("cholesky", lambda x, /: np.linalg.cholesky(x), _cholesky_rule,
                 doc="The lower triangular L with L Lᵀ = X, for symmetric positive definite X.")


def _qr_rule(_needs, g, y, _x):
    # From Q R = X, QᵀQ = I, R upper triangular, for as many rows as columns or more.
    (g_q, g_r), (q, r) = g, y
    m = triu(g_r @ r.mT - q.mT @ g_q)
    m = m + m.mT - m * eye_like(m)
    return (solve_op(r, (g_q + q @ m).mT).mT,)


qr_op = Op("qr", lambda x, /: tuple(np.linalg.qr(x)), joint=_qr_rule,
           doc="Q and R with Q R = X: QᵀQ = I, R upper triangular.")


# --- eigenvalues and singular values ----------------------------------------------------------------------------------


def _gaps(v, diagonal):
    """v_k - v_j at (j, k), and `diagonal` where j = k."""
    return where(np.eye(v.shape[-1], dtype=bool), diagonal, columns(v) - rows(v))


def _eigh_rule(_needs, g, y, _x, upper=False):
    g_w, g_v = g.given.get(0), g.given.get(1)
    w, v = y
    inner = 0.0
    if g_v is not None:  # repeated eigenvalues have no vectors of their own: infinite then
        m = (v.mT @ g_v) / _gaps(w, float("inf"))
        inner = 0.5 * (m + m.mT)
    if g_w is not None:
        inner = inner + columns(g_w) * eye_like(v)
    return (v @ inner @ v.mT,)


eigh_op = Op("eigh", lambda x, /, upper=False: tuple(np.linalg.eigh(x, "U" if upper else "L")), joint=_eigh_rule,
             doc="The eigenvalues w of symmetric matrices, ascending, and eigenvectors V: X = V diag(w) Vᵀ.")
eigh_op.takes_parts = True  # for the values alone needs no gaps between them


def _svd_rule(_needs, g, y, _x, full_matrices=False):
    # From U S Vᵀ = X, UᵀU = VᵀV = I; Townsend, "Differentiating the singular value decomposition", 2016.
    u, s, vh = y
    k = s.shape[-1]
    u, vh = u[..., :, :k], vh[..., :k, :]
    g_u, g_s, g_vh = g.given.get(0), g.given.get(1), g.given.get(2)
    inner = 0.0 if g_s is None else columns(g_s) * np.eye(k, dtype=s.dtype)
    beyond = 0.0  # what leaves the spaces of U and V
    if g_u is not None:
        m = u.mT @ g_u[..., :, :k]
        inner = inner + (m - m.mT) / _gaps(s * s, 1.0) * columns(s)
        if _x.shape[-2] > k:
            beyond = beyond + ((g_u[..., :, :k] - u @ m) / columns(s)) @ vh
    if g_vh is not None:
        m = vh @ g_vh[..., :k, :].mT
        inner = inner + rows(s) * ((m - m.mT) / _gaps(s * s, 1.0))
        if _x.shape[-1] > k:
            beyond = beyond + u @ ((g_vh[..., :k, :] - m.mT @ vh) / rows(s))
    return (u @ inner @ vh + beyond,)


svd_op = Op("svd", lambda x, /, full_matrices=False: tuple(np.linalg.svd(x, full_matrices)), joint=_svd_rule,
            doc="U, s and Vᵀ with X = U diag(s) Vᵀ, the singular values s descending.")
svd_op.takes_parts = True


# --- PyTorch's older names --------------------------------------------------------------------------------------------


def inverse(input: Tensor) -> Tensor:
    """The inverses of square matrices (…, n, n)."""
    check_square("inv", input)
    return inv_op(input)


def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """The lower triangular L with L Lᵀ = X for positive definite X, of which the lower triangle is read; or Lᵀ."""
    check_square("cholesky", input)
    return cholesky_op(input.mT).mT if upper else cholesky_op(input)


def qr(input: Tensor, some: bool = True) -> Any:
    """(Q, R) with Q R = X, Q orthogonal and R upper triangular."""
    from .. import linalg

    return return_types.qr(linalg.qr(input, "reduced" if some else "complete"))


def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """(U, S, V) with U diag(S) Vᵀ = X; `linalg.svd` gives Vᵀ."""
    check_matrix("svd", input)
    u, s, vh = svd_op(input, full_matrices=not some)
    if not compute_uv:
        u, vh = (Tensor(np.zeros(x.shape, x.dtype)) for x in (u, vh))
    return return_types.svd((u, s, vh.mT))


def svd_lowrank(A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None) -> Any:
    """(U, S, V) with U diag(S) Vᵀ ≈ X - M, of rank q at most: the decomposition of what X makes of q random vectors.

    niter: how often X Xᵀ is applied to them, for singular values that fall slowly. M: a tensor that broadcasts.

    Halko, Martinsson and Tropp, "Finding structure with randomness", 2011, algorithms 4.4 and 5.1.
    """
    from .. import random

    check_matrix("svd_lowrank", A)
    x = A if M is None else A - M
    wide = x.shape[-2] < x.shape[-1]
    x = x.mT if wide else x
    basis = qr(x @ random.randn(x.shape[-1], 6 if q is None else q, dtype=x.dtype))[0]
    for _ in range(2 if niter is None else niter):
        basis = qr(x @ qr(x.mT @ basis)[0])[0]
    u, s, vh = svd_op(basis.mT @ x, full_matrices=False)
    u, v = basis @ u, vh.mT
    return (v, s, u) if wide else (u, s, v)


def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> Any:
    """(U, S, V): the principal directions of the rows are the columns of V, found as in `svd_lowrank`.

    q: how many; by default 6, or as many as there are. center: subtract the mean of each column first.
    """
    check_matrix("pca_lowrank", A)
    most = min(A.shape[-2:])
    q = min(6, most) if q is None else q
    if not 0 <= q <= most:
        raise ValueError(f"pca_lowrank(): q must lie within 0 and {most}, the smaller side of {describe(A)}, got {q}")
    if niter < 0:
        raise ValueError(f"pca_lowrank(): niter must not be negative, got {niter}")
    return svd_lowrank(A, q, niter, A.mean(-2, keepdim=True) if center else None)


def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The pseudoinverse (…, n, m); singular values below rcond times the largest count as 0."""
    check_matrix("pinv", input)
    return pinv_op(input, rtol=rcond)


def matrix_power(input: Tensor, n: int) -> Tensor:
    """The n-th power of square matrices; of the inverse, for negative n."""
    check_square("matrix_power", input)
    if n < 0:
        return matrix_power(inverse(input), -n)
    if n == 0:
        return 0.0 * input + Tensor(eye_like(input))
    half = matrix_power(input, n // 2) if n > 1 else None
    if half is None:
        return input.clone()
    return half @ half @ input if n % 2 else half @ half


_TERMS = 18


def matrix_exp(input: Tensor) -> Tensor:
    """Σ Xᵏ / k!: Taylor's polynomial of X / 2ˢ, which is small, squared s times.

    Higham, "The scaling and squaring method for the matrix exponential revisited", 2005.
    """
    check_square("matrix_exp", input)
    if not input.numel():
        return input.clone()
    size = float(np.abs(input.array).sum(-2).max())
    squarings = max(0, int(np.ceil(np.log2(size))) + 1) if 0 < size < float("inf") else 0
    x, one = input * 0.5**squarings, Tensor(eye_like(input))
    result = x / _TERMS + one
    for k in range(_TERMS - 1, 0, -1):
        result = (x @ result) / k + one
    for _ in range(squarings):
        result = result @ result
    return result


def cholesky_inverse(input: Tensor, upper: bool = False) -> Tensor:
    """The inverse of L Lᵀ (or Uᵀ U), from L (or U)."""
    check_square("cholesky_inverse", input)
    inverse = inv_op(triu(input).mT if upper else tril(input))
    return inverse.mT @ inverse


def cholesky_solve(input: Tensor, input2: Tensor, upper: bool = False) -> Tensor:
    """X with L Lᵀ X = B (or Uᵀ U X = B) for B = input and the factor L (or U) = input2."""
    check_matrix("cholesky_solve", input)
    check_square("cholesky_solve", input2)
    low = triu(input2).mT if upper else tril(input2)
    return solve_op(low.mT, solve_op(low, input))


if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals(), "check_square", "check_matrix", "eye_like", "columns", "rows")
