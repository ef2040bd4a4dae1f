"""Linear algebra by PyTorch's newer names, `torch.linalg`: composed of the primitives in `ops.decomposition`.

Every function takes stacks of matrices, (…, m, n).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import ops, return_types
from .graph import LinAlgError, ShapeError
from .ops import cross, matmul
from .ops.decomposition import (
    check_matrix,
    check_square,
    cholesky_op,
    det,
    eigh_op,
    eye_like,
    inv_op,
    matrix_exp,
    matrix_power,
    pinv_op,
    qr_op,
    slogdet_op,
    solve_op,
    svd_op,
)
from .ops.elimination import exchanged, factors, lu_factor, pivots_of
from .ops.index import tril, triu
from .ops.products import multi_dot
from .ops.ranges import arange
from .tensor import Tensor, describe

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "inv_ex",
    "lstsq", "lu", "lu_factor", "lu_factor_ex", "lu_solve", "matmul", "matrix_exp", "matrix_norm", "matrix_power",
    "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "solve_ex", "solve_triangular", "svd",
    "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot", "vector_norm",
]  # fmt: skip

# --- norms ------------------------------------------------------------------------------------------------------------


def vector_norm(x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """(Σ|x|ᵖ)^(1/p) over `dim`, all elements as one vector if None; p = inf, -inf and 0 included."""
    return ops.norm(x, ord, dim, keepdim, dtype=dtype)


def matrix_norm(A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *,
                dtype: Any = None) -> Tensor:
    """A norm of the matrices that lie along the two dimensions `dim`.

    ord: "fro", the root of the sum of squares; "nuc", the sum of the singular values, 2 and -2 the largest and smallest
        one; 1 and -1 the largest and smallest sum of a column's magnitudes, inf and -inf that of a row's.
    """
    A = A if dtype is None else A.to(dtype)
    check_matrix("matrix_norm", A)
    if len(dim) != 2:
        raise RuntimeError(f"matrix_norm(): dim must be two dimensions, got {dim}")
    if ord == "fro":
        return ops.norm(A, 2, tuple(dim), keepdim)
    if ord not in ("nuc", 1, -1, 2, -2, float("inf"), -float("inf")):
        raise RuntimeError(f"matrix_norm(): ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r}")
    A = ops.movedim(A, tuple(dim), (-2, -1))
    if ord in ("nuc", 2, -2):
        s = svdvals(A)
        result = ops.sum(s, dim=-1) if ord == "nuc" else (ops.amax if ord == 2 else ops.amin)(s, dim=-1)
    else:
        sums = ops.sum(ops.abs(A), dim=-2 if ord in (1, -1) else -1)
        result = (ops.amax if ord > 0 else ops.amin)(sums, dim=-1)
    if keepdim:
        for d in sorted(d % A.ndim for d in dim):
            result = result.unsqueeze(d)
    return result


def norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """A norm of vectors or, where `dim` has two dimensions or A two and `ord` is given, of matrices.

    Without ord: the root of the sum of the squares.
    """
    matrices = isinstance(dim, (tuple, list)) and len(dim) == 2
    if ord is not None and (matrices or dim is None and (A.ndim == 2 or isinstance(ord, str))):
        return matrix_norm(A, ord, dim if dim is not None else (-2, -1), keepdim, dtype=dtype)
    if isinstance(ord, str):
        raise RuntimeError(f"norm(): ord={ord!r} is a norm of matrices, and dim={dim} is not two dimensions")
    if ord is not None and dim is None and A.ndim > 2:
        raise RuntimeError(f"norm(): with ord and without dim the input must have 1 or 2 dimensions, got {describe(A)}")
    return ops.norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


def cond(A: Tensor, p: Any = None) -> Tensor:
    """‖A‖ ‖A⁻¹‖ in the norm p; by default the largest singular value over the smallest."""
    check_matrix("cond", A)
    if p in (None, 2, -2):
        s = svdvals(A)
        largest, smallest = ops.amax(s, dim=-1), ops.amin(s, dim=-1)
        return smallest / largest if p == -2 else largest / smallest
    check_square("cond", A)
    return matrix_norm(A, p) * matrix_norm(inv(A), p)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The inner products of the vectors along dim."""
    return ops.sum(x * y, dim=dim)


def vander(x: Tensor, N: int | None = None) -> Tensor:
    """The powers 0 to N - 1 of each element as a row: (…, n) to (…, n, N), by default with N = n."""
    x = x if x.ndim else x.reshape(1)
    return x.unsqueeze(-1) ** arange(x.shape[-1] if N is None else N, dtype=x.dtype)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of the matrices, as a view."""
    return ops.diagonal(A, offset, dim1, dim2)


# --- inverses and systems ---------------------------------------------------------------------------------------------


def inv(A: Tensor) -> Tensor:
    """The inverses of square matrices (…, n, n); a LinAlgError where there is none."""
    check_square("inv", A)
    return inv_op(A)


def pinv(A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """The pseudoinverses (…, n, m): singular values up to max(atol, rtol · the largest) count as 0.

    rtol is max(m, n) times the dtype's eps, or 0 if atol is given. hermitian: A is symmetric, its lower triangle read.
    """
    check_matrix("pinv", A)
    rtol = rcond if rtol is None else rtol
    rtol = _tolerance(A, atol, rtol)
    return pinv_op(A, rtol=rtol, hermitian=hermitian)


def _tolerance(A: Tensor, atol: Any, rtol: Any) -> Any:
    """The bound below which a singular value counts as 0, as a share of the largest: a number for each matrix."""
    atol, rtol = (x.array if isinstance(x, Tensor) else x for x in (atol, rtol))
    if rtol is None:
        given = atol is not None and np.any(np.asarray(atol) > 0)
        rtol = 0.0 if given else max(A.shape[-2:]) * np.finfo(A.dtype).eps
    if atol is None:
        return rtol
    if not A.numel():
        return rtol
    largest = np.linalg.svd(A.array, compute_uv=False)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.maximum(rtol, np.where(largest > 0, atol / largest, 0))


def matrix_rank(A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """How many singular values are above max(atol, rtol · the largest), int64; the tolerances as for `pinv`."""
    check_matrix("matrix_rank", A)
    if tol is not None:
        atol, rtol = tol, 0.0
    s = np.linalg.svd(A.array, compute_uv=False)
    if not s.shape[-1]:
        return Tensor(np.zeros(s.shape[:-1], np.int64))
    bound = _tolerance(A, atol, rtol) * s[..., 0]
    return Tensor(np.asarray((s > np.asarray(bound)[..., None]).sum(-1)))


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B, or X A = B if not `left`; B is (…, n, k), or one vector (n,) or (…, n) for each matrix."""
    check_square("solve", A)
    if B.ndim == 1 or tuple(B.shape) == tuple(A.shape[:-1]):
        if not left:
            raise ShapeError(f"solve(): B {describe(B)} is taken for vectors, which with left=False it may not be")
        return solve_op(A, B.unsqueeze(-1)).squeeze(-1)
    return solve_op(A, B) if left else solve_op(A.mT, B.mT).mT


def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """X with A X = B, or X A = B if not `left`, where of A one triangle is read, with ones on its diagonal if
    `unitriangular`."""
    check_square("solve_triangular", A)
    if unitriangular:
        A = (triu(A, 1) if upper else tril(A, -1)) + Tensor(eye_like(A))
    else:
        A = triu(A) if upper else tril(A)
    return solve(A, B, left=left) if not (B.ndim == A.ndim - 1) else solve_op(A, B)


def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """The X that makes ‖A X - B‖ smallest, by the pseudoinverse: (solution, residuals, rank, singular_values).

    residuals: the squared norms, for more rows than columns and full rank, but for the default "gelsy"; else empty.
    driver: all give the same solution; "gels" gives no rank, and only "gelsd" and "gelss" give singular_values.
    """
    check_matrix("lstsq", A)
    vector = B.ndim == A.ndim - 1 and tuple(B.shape) == tuple(A.shape[:-1])
    right = B.unsqueeze(-1) if vector else B
    solution = pinv(A, rtol=rcond) @ right
    rank = matrix_rank(A, rtol=rcond)
    m, n = A.shape[-2:]
    residuals = ops.sum((A @ solution - right) ** 2, dim=-2)
    if driver in (None, "gelsy") or m <= n or (rank.array < n).any():
        residuals = residuals.reshape(-1)[:0]
    if driver == "gels":
        rank = Tensor(np.empty((0,), np.int64))
    s = svdvals(A.detach()) if driver in ("gelsd", "gelss") else Tensor(np.empty((0,), A.dtype))
    solution = solution.squeeze(-1) if vector else solution
    return return_types.linalg_lstsq((solution, residuals, rank, s))


def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A as a linear map from its last dimensions, from `ind` on, to the first `ind`."""
    if ind <= 0:
        raise RuntimeError(f"tensorinv(): ind must be above 0, got {ind}")
    out, into = A.shape[:ind], A.shape[ind:]
    return inv(A.reshape(math.prod(out), -1)).reshape(*into, *out)


def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """X with tensordot(A, X, X.ndim) = B; `dims` of A go to its end first."""
    if dims is not None:
        A = ops.movedim(A, tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    unknown = A.shape[B.ndim :]
    return solve(A.reshape(B.numel(), -1), B.reshape(-1)).reshape(unknown)


# --- factors ----------------------------------------------------------------------------------------------------------


def slogdet(A: Tensor) -> Any:
    """The sign of the determinant and the logarithm of its magnitude, (sign, logabsdet)."""
    check_square("slogdet", A)
    return return_types.linalg_slogdet(slogdet_op(A))


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular L with L Lᵀ = A for positive definite A, else a LinAlgError; or Lᵀ."""
    check_square("cholesky", A)
    return cholesky_op(A.mT).mT if upper else cholesky_op(A)


def qr(A: Tensor, mode: str = "reduced") -> Any:
    """(Q, R) with Q R = A, Q's columns orthonormal and R upper triangular.

    mode: "reduced": Q (…, m, k) and R (…, k, n) with k = min(m, n); "complete": Q (…, m, m), which has no derivative
        for m > n; "r": an empty Q.
    """
    check_matrix("qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"qr(): mode must be 'reduced', 'complete' or 'r', got {mode!r}")
    m, n = A.shape[-2:]
    if mode == "complete" and m > n:
        if A.requires_grad:
            raise RuntimeError(f"qr(): mode='complete' has no derivative for more rows than columns {describe(A)}")
        return return_types.linalg_qr(map(Tensor, np.linalg.qr(A.array, "complete")))
    q, r = qr_op(A if m >= n else A[..., :m])
    if m < n:
        r = ops.cat([r, q.mT @ A[..., m:]], -1)
    return return_types.linalg_qr((Tensor(np.empty((0,), A.dtype)) if mode == "r" else q, r))


def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """(eigenvalues, eigenvectors) of symmetric matrices: w (…, n), ascending, and V with A = V diag(w) Vᵀ.

    The triangle UPLO of A is read. The vectors have no derivative where eigenvalues are repeated.
    """
    check_square("eigh", A)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"eigh(): UPLO must be 'L' or 'U', got {UPLO!r}")
    return return_types.linalg_eigh(eigh_op(A, upper=UPLO.upper() == "U"))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices, ascending."""
    return eigh(A, UPLO)[0]


def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """(U, S, Vh) with U diag(S) Vh = A, S descending. U is (…, m, m) and Vh (…, n, n), or (…, m, k) and (…, k, n), with
    k = min(m, n), if not `full_matrices`. The vectors have no derivative where singular values are repeated."""
    check_matrix("svd", A)
    return return_types.linalg_svd(svd_op(A, full_matrices=full_matrices))


def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values (…, min(m, n)), descending."""
    return svd(A, full_matrices=False)[1]


def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """(P, L, U) with P L U = A: a permutation, a lower triangle with ones on its diagonal and an upper one.

    Without pivot P is empty, and A must have such factors.
    """
    check_matrix("lu", A)
    pivots = pivots_of(A.array, pivot)
    P = Tensor(exchanged(pivots, A.shape[-2], A.dtype) if pivot else np.empty((0,), A.dtype))
    return return_types.linalg_lu((P, *factors(A, pivots)))


def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """As `lu_factor`, with an int32 0 for each matrix as (LU, pivots, info)."""
    return return_types.linalg_lu_factor_ex((*lu_factor(A, pivot=pivot), Tensor(np.zeros(A.shape[:-2], np.int32))))


def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """X with A X = B (or X A = B, or with Aᵀ in A's place) for the factors of A that `lu_factor` gives."""
    check_square("lu_solve", LU)
    if not left:
        return lu_solve(LU, pivots, B.mT, adjoint=not adjoint).mT
    P, low, u = ops.lu_unpack(LU, pivots)
    if adjoint:
        return P @ solve_op(low.mT, solve_op(u.mT, B))
    return solve_op(u, solve_op(low, P.mT @ B))


# --- the same without errors ------------------------------------------------------------------------------------------


def _attempt(function: Any, A: Tensor, shape: Any, check_errors: bool) -> tuple[Tensor, Tensor]:
    """(result, info): info is 0, or 1 where there is no result, and that is then nan."""
    info = np.zeros(A.shape[:-2], np.int32)
    try:
        return function(), Tensor(info)
    except LinAlgError:
        if check_errors:
            raise
        return Tensor(np.full(shape, np.nan, A.dtype)), Tensor(info + np.int32(1))


def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """(inverse, info): as `inv`, but a matrix without inverse gives nan and info 1 for the whole stack."""
    return return_types.linalg_inv_ex(_attempt(lambda: inv(A), A, A.shape, check_errors))


def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """(L, info): as `cholesky`, but a matrix without it gives nan and info 1 for the whole stack."""
    return return_types.linalg_cholesky_ex(_attempt(lambda: cholesky(A, upper=upper), A, A.shape, check_errors))


def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """(result, info): as `solve`, but a singular matrix gives nan and info 1 for the whole stack."""
    return return_types.linalg_solve_ex(_attempt(lambda: solve(A, B, left=left), A, B.shape, check_errors))
