"""Orthogonal matrices, as a parametrization: whatever an optimizer does, the columns (or rows) stay orthonormal."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import linalg, ops, random
from ...graph import ShapeError
from ...ops.creation import zeros, zeros_like
from ...ops.ranges import eye
from ...recording import no_grad
from ...tensor import Tensor, describe
from ..module import Module
from .parametrize import register_parametrization

MAPS = ("matrix_exp", "cayley", "householder")


class _Orthogonal(Module):
    """X → Q, of the same shape (…, n, k), whose smaller dimension is orthonormal.

    matrix_exp: exp(A), and cayley: (I − A/2)⁻¹ (I + A/2), of the skew-symmetric A = X − Xᵀ, X without what is above
    its diagonal; householder: the product of k reflections, whose vectors stand below the diagonal of X.
    base: with trivialization, what Q is multiplied by: the matrix that was assigned last.
    """

    base: Any  # None until a matrix is assigned

    def __init__(self, shape: tuple[int, ...], orthogonal_map: str, use_trivialization: bool) -> None:
        super().__init__()
        self.shape, self.orthogonal_map, self.use_trivialization = shape, orthogonal_map, use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        wide = X.shape[-2] < X.shape[-1]
        tall = X.mT if wide else X
        Q = _reflections(tall) if self.orthogonal_map == "householder" else self._of_skew(tall)
        if self.use_trivialization:
            Q = self.base @ Q
        return Q.mT if wide else Q

    def _of_skew(self, X: Tensor) -> Tensor:
        n, k = X.shape[-2:]
        X = X.tril()
        if n != k:
            X = ops.cat([X, zeros(*X.shape[:-1], n - k, dtype=X.dtype)], dim=-1)
        A = X - X.mT
        if self.orthogonal_map == "matrix_exp":
            Q = linalg.matrix_exp(A)
        else:
            identity = eye(n, dtype=X.dtype)
            Q = linalg.solve(identity - A / 2, identity + A / 2)
        return Q[..., :k]

    @no_grad()
    def right_inverse(self, Q: Tensor) -> Tensor:
        """The X of a matrix that is assigned; one that is not orthogonal is first made so."""
        if Q.shape != self.shape:
            raise ShapeError(f"orthogonal: expected a matrix or a batch of them of shape {tuple(self.shape)}, got "
                             f"{describe(Q)}")
        wide = Q.shape[-2] < Q.shape[-1]
        tall = Q.mT if wide else Q
        n, k = tall.shape[-2:]
        if not self.use_trivialization:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(f"orthogonal: nothing can be assigned to the map '{self.orthogonal_map}' "
                                          "with use_trivialization=False")
            X = _reflectors(tall)
            return X.mT if wide else X
        if n != k:
            tall = ops.cat([tall, random.randn(*tall.shape[:-1], n - k, dtype=Q.dtype)], dim=-1)
        self.base = tall.clone() if n == k and _is_orthogonal(tall) else _made_orthogonal(tall)
        X = zeros_like(Q)
        X.diagonal(dim1=-2, dim2=-1).fill_(-1)  # -1 for the reflections: they begin with H₁ … Hₖ = -I
        return X


def _reflections(X: Tensor) -> Tensor:
    """H₁ … Hₖ of (I, 0), with Hᵢ = I − τ v vᵀ and v the i-th column below the diagonal, 1 on it; columns signed by X's
    diagonal."""
    n, k = X.shape[-2:]
    V = X.tril(-1) + eye(n, k, dtype=X.dtype)
    tau = 2 / (V * V).sum(-2)
    Q: Any = eye(n, k, dtype=X.dtype)
    for i in reversed(range(k)):
        v = V[..., i : i + 1]
        Q = Q - tau[..., i, None, None] * v * (v.mT @ Q)
    return Q * X.detach().diagonal(dim1=-2, dim2=-1).trunc().unsqueeze(-2)


def _reflectors(Q: Tensor) -> Tensor:
    """The X that `_reflections` makes an orthogonal matrix of; another matrix is made orthogonal by its QR."""
    below, tau = np.linalg.qr(Q.detach().numpy(), mode="raw")
    X = np.swapaxes(below, -1, -2).copy()
    diagonal = np.arange(X.shape[-1])
    signs = np.sign(X[..., diagonal, diagonal])
    X[..., diagonal, diagonal] = np.where(tau == 0, -signs, signs)  # a reflection that was not needed turns the sign
    return Tensor(X)


def _made_orthogonal(X: Tensor) -> Tensor:
    """The Q of X = QR with a positive diagonal of R, which leaves an orthogonal X as it is."""
    Q, R = linalg.qr(X)
    return Q * R.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)


def _is_orthogonal(Q: Tensor) -> bool:
    n = Q.shape[-1]
    return bool((Q.mT @ Q).allclose(eye(n, dtype=Q.dtype), atol=10 * n * float(np.finfo(Q.dtype).eps)))


def orthogonal(module: Module, name: str = "weight", orthogonal_map: str | None = None, *,
               use_trivialization: bool = True) -> Module:
    """Keep a weight (…, n, k) orthogonal: its columns, or its rows where they are fewer, are orthonormal.

    orthogonal_map: "matrix_exp", "cayley" or "householder"; by default the first for square matrices, else the last.
    use_trivialization: learn a factor that starts from the identity, so that any matrix can be assigned. Returns the
        module.

    Lezcano-Casado, "Trivializations for gradient-based optimization on manifolds", 2019.
    """
    weight: Any = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"{type(module).__name__} has no parameter or buffer '{name}'")
    if weight.ndim < 2:
        raise ValueError(f"orthogonal(): expected a matrix or a batch of matrices, '{name}' is {describe(weight)}")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in MAPS:
        raise ValueError(f"orthogonal(): orthogonal_map must be one of {', '.join(MAPS)}, got {orthogonal_map!r}")
    return register_parametrization(module, name, _Orthogonal(weight.shape, orthogonal_map, use_trivialization),
                                    unsafe=True)
