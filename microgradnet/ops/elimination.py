"""Gaussian elimination: a matrix as permutation, lower and upper triangle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import return_types
from ..graph import Op
from ..tensor import Tensor
from .decomposition import check_matrix, eye_like, solve_op
from .index import tril, triu
from .public import public
from .shape import cat


def _lu(x, /):
    u, low = x.copy(), np.zeros_like(x) + eye_like(x)
    for k in range(x.shape[-1] - 1):
        low[..., k + 1 :, k] = u[..., k + 1 :, k] / u[..., k, k, None]
        u[..., k + 1 :, :] -= low[..., k + 1 :, k, None] * u[..., k, None, :]
    return low, np.triu(u)


def _lu_rule(_needs, g, y, _x):
    # From L U = X: L⁻¹ dL is the strict lower triangle of L⁻¹ dX U⁻¹, and dU U⁻¹ the rest of it.
    (g_low, g_u), (low, u) = g, y
    m = tril(low.mT @ g_low, -1) + triu(g_u @ u.mT)
    return (solve_op(low.mT, solve_op(u, m.mT).mT),)


lu_op = Op("lu", _lu, joint=_lu_rule, doc="L and U of square matrices, without exchanging rows.")


def pivots_of(A: np.ndarray, pivot: bool = True) -> np.ndarray:
    """For each column the row, from 0, that partial pivoting exchanges it with, (…, k); without `pivot` its own."""
    *batch, m, n = A.shape
    k = min(m, n)
    if not pivot:
        return np.tile(np.arange(k), (*batch, 1))
    work = A.reshape(int(np.prod(batch)), m, n).copy()
    pivots = np.empty((len(work), k), np.int64)
    every = np.arange(len(work))
    for j in range(k):
        row = pivots[:, j] = j + np.abs(work[:, j:, j]).argmax(1)
        work[every, row], work[:, j] = work[:, j].copy(), work[every, row]
        pivot_row = work[:, j, None, :]
        below, top = work[:, j + 1 :, j], work[:, j, j, None]
        factor = np.divide(below, top, out=np.zeros_like(below), where=top != 0)
        work[:, j + 1 :] -= factor[:, :, None] * pivot_row
    return pivots.reshape(*batch, k)


def _order(pivots: np.ndarray, m: int) -> np.ndarray:
    """The order of the m rows after these exchanges, (…, m)."""
    flat = pivots.reshape(int(np.prod(pivots.shape[:-1])), pivots.shape[-1])
    order = np.tile(np.arange(m), (len(flat), 1))
    every = np.arange(len(flat))
    for j in range(flat.shape[1]):
        order[every, j], order[every, flat[:, j]] = order[every, flat[:, j]], order[every, j]
    return order.reshape(*pivots.shape[:-1], m)


def exchanged(pivots: np.ndarray, m: int, dtype: Any) -> np.ndarray:
    """P with P L U = A, (…, m, m)."""
    return (_order(pivots, m)[..., None, :] == np.arange(m)[:, None]).astype(dtype)


def factors(A: Tensor, pivots: np.ndarray) -> tuple[Tensor, Tensor]:
    """L and U of A with its rows exchanged: of the square block at the top left, from which the rest follows."""
    m, n = A.shape[-2:]
    k = min(m, n)
    A = A.gather(-2, Tensor(_order(pivots, m)).unsqueeze(-1).expand(A.shape))
    low, u = lu_op(A[..., :k, :k])
    if m > n:
        low = cat([low, solve_op(u.mT, A[..., k:, :].mT).mT], -2)
    if m < n:
        u = cat([u, solve_op(low, A[..., :, k:])], -1)
    return low, u


def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """(LU, pivots): both factors in one matrix, L below its diagonal, and the exchanges of rows, int32 from 1."""
    check_matrix("lu_factor", A)
    m, n = A.shape[-2:]
    k = min(m, n)
    pivots = pivots_of(A.array, pivot)
    low, u = factors(A, pivots)
    low, u = tril(low, -1), triu(u)
    if m > n:
        packed = cat([low[..., :k, :] + u, low[..., k:, :]], -2)
    elif m < n:
        packed = cat([low + u[..., :, :k], u[..., :, k:]], -1)
    else:
        packed = low + u
    return return_types.linalg_lu_factor((packed, Tensor((pivots + 1).astype(np.int32))))


def lu(input: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """(LU, pivots) as of `linalg.lu_factor`, and an int32 0 for each matrix if `get_infos`."""
    from .. import linalg

    return (linalg.lu_factor_ex if get_infos else lu_factor)(input, pivot=pivot)


def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> Any:
    """(P, L, U) with P L U = A from what `lu` gives; what is not asked for is empty."""
    check_matrix("lu_unpack", LU_data)
    m, n = LU_data.shape[-2:]
    k = min(m, n)
    P = low = u = Tensor(np.empty((0,), LU_data.dtype))
    if unpack_pivots:
        P = Tensor(exchanged(LU_pivots.array.astype(np.int64) - 1, m, LU_data.dtype))
    if unpack_data:
        low = tril(LU_data[..., :, :k], -1) + Tensor(np.eye(m, k, dtype=LU_data.dtype))
        u = triu(LU_data[..., :k, :])
    return return_types.lu_unpack((P, low, u))


def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """X with A X = input for the factors of A that `lu` gives."""
    from .. import linalg

    return linalg.lu_solve(LU_data, LU_pivots, input)


def triangular_solve(input: Tensor, A: Tensor, upper: bool = True, transpose: bool = False,
                     unitriangular: bool = False) -> Any:
    """(X, A) with A X = input, or Aᵀ X = input if `transpose`, where of A one triangle is read."""
    from .. import linalg

    solved = linalg.solve_triangular(A.mT if transpose else A, input, upper=upper != transpose,
                                     unitriangular=unitriangular)
    return return_types.triangular_solve((solved, A))


if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals(), "lu_factor", "factors", "exchanged", "pivots_of")
