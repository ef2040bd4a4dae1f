"""Weights of a given norm, and orthogonal ones, as parametrizations."""

from __future__ import annotations

from typing import Any

from ... import random
from ...recording import no_grad
from ...tensor import Tensor
from ..module import Module
from .orthogonal import orthogonal as orthogonal
from .parametrize import register_parametrization


def norm_except_dim(v: Tensor, dim: int) -> Tensor:
    """The 2-norm over all axes but one, which keeps its place; with -1 over all of them."""
    if dim == -1:
        return (v * v).sum().sqrt()
    others = [d for d in range(v.ndim) if d != dim]
    return (v * v).sum(others, keepdim=True).sqrt() if others else v.abs()


class _WeightNorm(Module):
    """(g, v) → g·v / ‖v‖."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / norm_except_dim(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn the length g (`original0`) and the direction v (`original1`) of a weight apart: w = g·v / ‖v‖.

    dim: the axis that has a length for each index; None for one length of all. Returns the module.

    Salimans and Kingma, "Weight normalization", 2016.
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    """w → w / σ, with σ = uᵀ W v by the power method, of which each call in training mode takes steps."""

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(f"spectral_norm(): dim {dim} is out of range for {weight.ndim} dimensions")
        if n_power_iterations <= 0:
            raise ValueError(f"spectral_norm(): n_power_iterations must be above 0, got {n_power_iterations}")
        self.dim, self.eps, self.n_power_iterations = dim % weight.ndim, eps, n_power_iterations
        if weight.ndim > 1:
            matrix = self._matrix(weight.detach())
            for name, size in ("_u", matrix.shape[0]), ("_v", matrix.shape[1]):
                self.register_buffer(name, self._unit(random.randn(size, dtype=weight.dtype)))
            self._iterate(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    def _unit(self, x: Tensor) -> Tensor:
        return x / (x * x).sum().sqrt().clamp(min=self.eps)

    @no_grad()
    def _iterate(self, matrix: Tensor, steps: int) -> None:
        """u ← W v and v ← Wᵀ u, each to length 1: towards the first singular vectors."""
        for _ in range(steps):
            self._u.copy_(self._unit(matrix @ self._v))
            self._v.copy_(self._unit(matrix.T @ self._u))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return weight / (weight * weight).sum().sqrt().clamp(min=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # as they are now: the next call writes into the buffers
        return weight / (u @ (matrix @ v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
                  dim: int | None = None) -> Module:
    """Divide a weight by its largest singular value, estimated by the power method. Returns the module.

    dim: the axis of the matrix's rows, the outputs; by default 0, or 1 for the transposed convolutions.

    Miyato et al., "Spectral normalization for generative adversarial networks", 2018.
    """
    weight: Any = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"{module._get_name()} has no parameter or buffer '{name}'")
    if dim is None:
        dim = 1 if "ConvTranspose" in type(module).__name__ else 0
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
