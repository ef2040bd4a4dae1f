"""Lengths of vectors, and distances and angles between them."""

from __future__ import annotations

import numpy as np

from .. import ops
from ..graph import ShapeError
from ..recording import no_grad
from ..tensor import Tensor, describe
from .module import Module


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """The input over its p-norm along `dim`, or over eps where that is smaller."""
    length = ops.clamp(ops.norm(input, p, dim, keepdim=True), min=eps)
    return input / length if out is None else ops.div(input, length, out=out)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 · x2 / (‖x1‖ ‖x2‖) along `dim`, each norm at least eps; x1 and x2 broadcast."""
    x1, x2 = ops.broadcast_tensors(x1, x2)
    return ops.sum(_direction(x1, dim, eps) * _direction(x2, dim, eps), dim=dim)


def _direction(x: Tensor, dim: int, eps: float) -> Tensor:
    length = ops.norm(x, 2, dim, keepdim=True)
    with no_grad():  # as in PyTorch, a length that eps replaces keeps its own derivative
        missing = ops.clamp(length, min=eps) - length
    return x / (length + missing)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dimension; x1 and x2 broadcast."""
    return ops.norm(x1 - x2 + eps, p, -1, keepdim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm distances between the rows of (N, M): (N (N - 1) / 2,), those of row 0 to 1, to 2, …, of 1 to 2, …"""
    if input.ndim != 2:
        raise ShapeError(f"pdist(): input {describe(input)} must have two dimensions, (N, M)")
    if p < 0:
        raise RuntimeError(f"pdist(): p must not be negative, got {p}")
    first, second = (Tensor(i) for i in np.triu_indices(input.shape[0], 1))
    return ops.norm(input[first] - input[second], p, 1)


# --- as modules -----------------------------------------------------------------------------------------------------


class CosineSimilarity(Module):
    """See `cosine_similarity`."""

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """See `pairwise_distance`."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
