"""Weights of a given norm in the older manner: a hook computes the weight anew before each call of the module.

`parametrizations` has the newer one. The names in a state_dict differ: here they are `weight_g` and `weight_v`, and
`weight_orig`, `weight_u` and `weight_v`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import random
from ...callers import warn
from ...recording import no_grad
from ...tensor import Tensor
from .. import conv
from ..module import Module
from ..parameter import Parameter
from .parametrizations import norm_except_dim


class _WeightNorm:
    """Before a call: weight = weight_g · weight_v / ‖weight_v‖."""

    def __init__(self, name: str, dim: int) -> None:
        self.name, self.dim = name, dim

    def weight(self, module: Module) -> Tensor:
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return v * (g / norm_except_dim(v, self.dim))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.weight(module))


class _SpectralNorm:
    """Before a call: weight = weight_orig / σ, where σ = uᵀ W v by the power method, a few steps in each training call.

    u and v are the buffers weight_u and weight_v; W is the weight with axis `dim` first and the others in one.
    """

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        self.name, self.n_power_iterations, self.dim, self.eps = name, n_power_iterations, dim, eps

    def matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    def unit(self, x: Tensor) -> Tensor:
        return x / max(float(np.sqrt((x.numpy() ** 2).sum())), self.eps)

    def weight(self, module: Module, steps: int) -> Tensor:
        original = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = self.matrix(original)
        with no_grad():
            for _ in range(steps):
                v.copy_(self.unit(matrix.T @ u))
                u.copy_(self.unit(matrix @ v))
            if steps:  # the next call writes into them, the graph of this one keeps what they are now
                u, v = u.clone(), v.clone()
        return original / (u @ (matrix @ v))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.weight(module, self.n_power_iterations if module.training else 0))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn the length `name_g` and the direction `name_v` of a weight apart: w = g·v / ‖v‖. Returns the module.

    dim: the axis that has a length for each index; None for one length of all. PyTorch has deprecated this form; use
    `parametrizations.weight_norm`.

    Salimans and Kingma, "Weight normalization", 2016.
    """
    warn("nn.utils.weight_norm is deprecated in favor of nn.utils.parametrizations.weight_norm", FutureWarning)
    weight = _given_up(module, name, _WeightNorm)
    hook = _WeightNorm(name, -1 if dim is None else dim)
    module.register_parameter(name + "_g", Parameter(norm_except_dim(weight.detach(), hook.dim)))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    setattr(module, name, hook.weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight, as it is now, an ordinary parameter again."""
    hook = _taken_away(module, name, _WeightNorm)
    weight = hook.weight(module)
    return _restored(module, name, weight, "_g", "_v")


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
                  dim: int | None = None) -> Module:
    """Divide a weight by its largest singular value, so that the module lengthens no vector. Returns the module.

    dim: the axis of the outputs; by default 0, and 1 for transposed convolutions.

    Miyato et al., "Spectral normalization for generative adversarial networks", 2018.
    """
    if n_power_iterations <= 0:
        raise ValueError(f"spectral_norm(): n_power_iterations must be above 0, got {n_power_iterations}")
    weight = _given_up(module, name, _SpectralNorm)
    if dim is None:
        dim = int(isinstance(module, (conv.ConvTranspose1d, conv.ConvTranspose2d, conv.ConvTranspose3d)))
    hook = _SpectralNorm(name, n_power_iterations, dim, eps)
    module.register_parameter(name + "_orig", weight)
    for part, size in zip(("_u", "_v"), hook.matrix(weight.detach()).shape):
        module.register_buffer(name + part, hook.unit(random.randn(size, dtype=weight.dtype)))
    setattr(module, name, weight.detach())
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight, as it is now, an ordinary parameter again."""
    hook = _taken_away(module, name, _SpectralNorm)
    weight = hook.weight(module, 0)
    return _restored(module, name, weight, "_orig", "_u", "_v")


def _given_up(module: Module, name: str, kind: type) -> Parameter:
    """The parameter, which the module no longer has under its name."""
    if _find(module, name, kind) is not None:
        raise RuntimeError(f"{kind.__name__[1:]}: {module} has it on its parameter '{name}' already")
    weight = getattr(module, name, None)
    if not isinstance(weight, Parameter):
        raise ValueError(f"{kind.__name__[1:]}: {module} has no parameter '{name}'")
    delattr(module, name)
    return weight


def _taken_away(module: Module, name: str, kind: type) -> Any:
    """The hook, which the module no longer has."""
    key = _find(module, name, kind)
    if key is None or not module._hooks:
        raise ValueError(f"{kind.__name__[1:]} of '{name}' not found in {module}")
    return module._hooks.pop(key).function


def _find(module: Module, name: str, kind: Any) -> int | None:
    for key, (_, function, *_) in (module._hooks or {}).items():
        if isinstance(function, kind) and function.name == name:
            return key
    return None


def _restored(module: Module, name: str, weight: Tensor, *parts: str) -> Module:
    for ending in ("", *parts):
        delattr(module, name + ending)
    module.register_parameter(name, Parameter(weight.detach()))
    return module
