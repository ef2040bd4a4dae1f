"""Optimizers that see a weight as a matrix: by rows and columns, or by its singular vectors."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .adaptive import average
from .optimizer import Group, Optimizer, Ready, check_options, kept, loss_gradient


class Adafactor(Optimizer):
    """p ← p − α·ĝ, where ĝ = g / √v, scaled down to a root mean square of at most d, and α is
    max(ε₂, rms(p))·min(lr, 1/√t).

    v ← (1 − b)·v + b·g² with b = t^beta2_decay. Of a matrix (the last two axes) only the means r of its rows and c of
    its columns are kept, and v = r cᵀ / mean(r): the memory of a row and a column.
    eps: (ε₁, ε₂); v is at least ε₁², and ε₁ = None is the precision of the dtype.
    weight_decay: λ shrinks p by the factor 1 − lr·λ before the step. maximize: ascend. foreach: without effect.

    Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear memory cost", 2018.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-2, beta2_decay: float = -0.8,
                 eps: tuple[float | None, float] = (None, 1e-3), d: float = 1.0, weight_decay: float = 0.0, *,
                 foreach: bool | None = None, maximize: bool = False) -> None:
        check_options("Adafactor", False, lr=lr, weight_decay=weight_decay, eps1=eps[0] or 0, eps2=eps[1])
        if not beta2_decay <= 0:
            raise ValueError(f"Adafactor(): beta2_decay must be at most 0, got {beta2_decay}")
        if not d >= 1:
            raise ValueError(f"Adafactor(): the clipping threshold d must be at least 1, got {d}")
        super().__init__(params, {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d,
                                  "weight_decay": weight_decay, "maximize": maximize})

    @np.errstate(all="ignore")
    def _update(self, ready: Ready, group: Group) -> None:
        lr, (least, eps2) = float(group["lr"]), group["eps"]
        for param, p, g in ready:
            state = self.state[param]
            t = state["step"] = int(state.get("step", 0)) + 1
            if not p.size:
                continue
            eps1 = float(np.finfo(p.dtype).eps) if least is None else least
            s, d = self._scratch[p.shape, p.dtype]
            rate = max(eps2, _rms(p)) * min(lr, t**-0.5)
            if group["weight_decay"]:
                p *= 1 - lr * group["weight_decay"]
            g = loss_gradient(p, g, 0, group["maximize"], out=d)
            np.multiply(g, g, out=s)
            decay = 1 - t ** group["beta2_decay"]
            if p.ndim > 1:
                rows, columns = kept(state, "row_var", p[..., :1]), kept(state, "col_var", p[..., :1, :])
                for mean, axis in (rows, -1), (columns, -2):
                    square = s.mean(axis, keepdims=True)
                    average(mean, decay, square, out=square)
                np.matmul(rows, columns, out=s)
                s /= np.maximum(rows.mean(-2, keepdims=True), eps1)
            else:
                v = kept(state, "variance", p)
                average(v, decay, s, out=s)
                np.copyto(s, v)
            np.maximum(s, eps1 * eps1, out=s)
            np.sqrt(s, out=s)
            np.divide(g, s, out=s)
            s *= rate / max(1.0, _rms(s) / group["d"])
            p -= s


def _rms(x: np.ndarray) -> float:
    return float(np.linalg.norm(x.ravel(order="K"))) / math.sqrt(max(1, x.size))


class Muon(Optimizer):
    """p ← (1 − lr·λ)·p − lr·a·O, for matrices: O has the singular vectors of the momentum, and singular values near 1.

    m ← μ·m + (1 − μ)·g; O is near U Vᵀ for the decomposition U S Vᵀ of m or, with nesterov, of μ·m + (1 − μ)·g. It
    comes from `ns_steps` steps of Newton and Schulz, X ← a·X + (b·X Xᵀ + c·(X Xᵀ)²) X with the `ns_coefficients`
    (a, b, c), from X = m / max(‖m‖, eps). PyTorch computes them in bfloat16, this one in float32.
    adjust_lr_fn: a, the factor for a matrix A × B: "original" or None: √max(1, A/B); "match_rms_adamw": 0.2·√max(A, B).
    Leave biases, embeddings and the last layer to another optimizer.

    Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; match_rms_adamw: Liu et al., "Muon
    is scalable for LLM training", 2025.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95,
                 nesterov: bool = True, ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
                 eps: float = 1e-7, ns_steps: int = 5, adjust_lr_fn: str | None = None) -> None:
        check_options("Muon", False, lr=lr, momentum=momentum, weight_decay=weight_decay)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Muon(): adjust_lr_fn must be 'original' or 'match_rms_adamw', got {adjust_lr_fn!r}")
        if len(ns_coefficients) != 3:
            raise ValueError(f"Muon(): ns_coefficients must be three numbers, got {ns_coefficients}")
        if ns_steps >= 100:
            raise ValueError(f"Muon(): ns_steps must be below 100, got {ns_steps}")
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
                                  "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
                                  "adjust_lr_fn": adjust_lr_fn})

    def _check_group(self, group: Group, index: int) -> None:
        super()._check_group(group, index)
        for p in group["params"]:
            if p.ndim != 2:
                raise ValueError(f"Muon() optimizes matrices, but parameter group {index} holds a parameter of shape "
                                 f"{tuple(p.shape)}; leave it to another optimizer, such as AdamW")

    @np.errstate(all="ignore")
    def _update(self, ready: Ready, group: Group) -> None:
        lr, momentum = float(group["lr"]), group["momentum"]
        for param, p, g in ready:
            m = kept(self.state[param], "momentum_buffer", p)
            s, d = self._scratch[p.shape, p.dtype]
            average(m, momentum, g, out=s)
            np.copyto(d, m)
            if group["nesterov"]:
                d *= momentum
                d += np.multiply(g, 1 - momentum, out=s)
            step = _orthogonalized(d, group["ns_coefficients"], group["ns_steps"], group["eps"])
            p *= 1 - lr * group["weight_decay"]
            np.multiply(step, lr * _shape_factor(p.shape, group["adjust_lr_fn"]), out=s, casting="same_kind")
            p -= s


def _orthogonalized(matrix: np.ndarray, coefficients: tuple[float, float, float], steps: int, eps: float) -> np.ndarray:
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x: Any = (matrix.T if tall else matrix).astype(np.float32)  # X Xᵀ is the smaller one
    x /= max(float(np.linalg.norm(x)), eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


def _shape_factor(shape: tuple[int, ...], adjust: str | None) -> float:
    rows, columns = shape
    return 0.2 * math.sqrt(max(rows, columns)) if adjust == "match_rms_adamw" else math.sqrt(max(1, rows / columns))
