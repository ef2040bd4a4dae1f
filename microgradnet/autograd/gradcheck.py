"""Derivatives checked against differences of the function itself."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor, describe
from .engine import grad


class GradcheckError(RuntimeError):
    """A derivative that disagrees with the differences."""


def gradcheck(func: Callable, inputs: Tensor | Sequence[Tensor], *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
              raise_exception: bool = True, nondet_tol: float = 0.0, check_undefined_grad: bool = True,
              check_grad_dtypes: bool = False, fast_mode: bool = False, **_ignored: Any) -> bool:
    """Whether the gradients of `func` agree with central differences, for every output and every input that requires grad.

    Inputs should be float64; they are perturbed as copies, never in place. Near a kink (relu at 0) the one-sided slopes
    differ: the error says so. fast_mode: one random direction in place of every element. Returns True, or False or a
    `GradcheckError` (raise_exception) where |analytic - numeric| > atol + rtol |numeric|.
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    try:
        _check(func, inputs, eps, atol, rtol, nondet_tol, check_undefined_grad, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(func: Callable, inputs: Tensor | Sequence[Tensor], grad_outputs: Any = None, *, eps: float = 1e-6,
                  atol: float = 1e-5, rtol: float = 1e-3, raise_exception: bool = True, **options: Any) -> bool:
    """Whether the second derivatives agree with central differences of the first: `gradcheck` of the gradient."""
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    tracked = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    outputs = _outputs(func, inputs)
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        grad_outputs = [Tensor(rng.standard_normal(o.shape)) for o in outputs]
    seeds = [g.detach().requires_grad_() for g in ([grad_outputs] if isinstance(grad_outputs, Tensor) else grad_outputs)]

    def first(*args: Any) -> tuple:
        wrt = [args[i] for i in tracked]
        return grad(_outputs(func, args[: len(inputs)]), wrt, list(args[len(inputs) :]), create_graph=True,
                    materialize_grads=True, allow_unused=True)

    options.setdefault("check_undefined_grad", False)
    return gradcheck(first, [*inputs, *seeds], eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception, **options)


def _outputs(func: Callable, inputs: Sequence[Any]) -> list[Tensor]:
    result = func(*inputs)
    outputs = list(result) if isinstance(result, (tuple, list)) else [result]
    return [o for o in outputs if isinstance(o, Tensor) and o.is_floating_point()]


def _check(func, inputs, eps, atol, rtol, nondet_tol, check_undefined_grad, fast_mode):
    tracked = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if not tracked:
        raise ValueError("gradcheck(): at least one input must require grad")
    for i in tracked:
        if inputs[i].dtype != np.float64:
            warnings.warn(f"gradcheck(): input {i} {describe(inputs[i])} is not float64: differences of step {eps} will be "
                          "mostly rounding; use .double()", stacklevel=4)
    outputs = _outputs(func, inputs)
    again = _outputs(func, inputs)
    for k, (a, b) in enumerate(zip(outputs, again)):
        if a.shape != b.shape or not np.allclose(a.array, b.array, rtol=0, atol=nondet_tol, equal_nan=True):
            raise GradcheckError(f"gradcheck(): output {k} differs between two calls with equal inputs: the function is random")
    rng = np.random.default_rng(0)
    for k, output in enumerate(outputs):
        if not output.requires_grad:
            continue
        if check_undefined_grad and output.node is not None and output.numel():
            _zero_in_zero_out(output, [inputs[i] for i in tracked], k)
        for i in tracked:
            shape = inputs[i].shape
            if fast_mode:
                direction = rng.standard_normal(shape)
                weights = rng.standard_normal(output.shape)
                (g,) = grad(output, inputs[i], Tensor(weights.astype(output.dtype)), retain_graph=True, materialize_grads=True,
                            allow_unused=True)
                slopes = _slopes(func, inputs, i, k, direction, eps)
                _compare(np.sum(g.array * direction), *(np.sum(s * weights) for s in slopes), atol, rtol, k, i, "a random direction")
                continue
            analytic = np.empty((output.numel(), inputs[i].numel()))
            for row in range(output.numel()):
                seed = np.zeros(output.numel(), output.dtype)
                seed[row] = 1
                (g,) = grad(output, inputs[i], Tensor(seed.reshape(output.shape)), retain_graph=True, materialize_grads=True,
                            allow_unused=True)
                analytic[row] = g.array.reshape(-1)
            for column in range(inputs[i].numel()):
                direction = np.zeros(inputs[i].numel())
                direction[column] = 1
                slopes = _slopes(func, inputs, i, k, direction.reshape(shape), eps)
                where = f"element {tuple(int(n) for n in np.unravel_index(column, shape))}" if shape else "its one element"
                _compare(analytic[:, column], *(s.reshape(-1) for s in slopes), atol, rtol, k, i, where)


def _slopes(func, inputs, i, k, direction, eps):
    """Central, forward and backward difference quotients of output k along a direction of input i."""
    step = (eps * direction).astype(inputs[i].dtype)

    def at(value):
        moved = [Tensor(x.array.copy()) if isinstance(x, Tensor) else x for x in inputs]
        for m, x in zip(moved, inputs):
            if isinstance(x, Tensor) and x.requires_grad:
                m.requires_grad_()  # a function that differentiates inside, as gradgradcheck's does, needs it
        moved[i]._data = value
        return np.array(_outputs(func, moved)[k].detach().array, dtype=np.float64)

    x = inputs[i].array
    plus, here, minus = at(x + step), at(x), at(x - step)
    return (plus - minus) / (2 * eps), (plus - here) / eps, (here - minus) / eps


def _compare(analytic, central, forward, backward, atol, rtol, k, i, where):
    analytic, central = np.asarray(analytic), np.asarray(central)
    bad = ~(np.abs(analytic - central) <= atol + rtol * np.abs(central)) & ~(np.isnan(analytic) & np.isnan(central))
    if not bad.any():
        return
    at = np.flatnonzero(bad.reshape(-1))[0]
    a, c = analytic.reshape(-1)[at], central.reshape(-1)[at]
    left, right = np.asarray(backward).reshape(-1)[at], np.asarray(forward).reshape(-1)[at]
    kink = abs(right - left) > 1e-2 * max(abs(right), abs(left), atol)
    note = f" The slopes to the left, {left:.6g}, and right, {right:.6g}, differ: the point is near a kink." if kink else ""
    raise GradcheckError(
        f"gradcheck(): gradient of output {k}, element {at}, by input {i} along {where}: analytic {a:.6g}, numeric {c:.6g}.{note}"
    )


def _zero_in_zero_out(output, inputs, k):
    grads = grad(output, inputs, Tensor(np.zeros(output.shape, output.dtype)), retain_graph=True, allow_unused=True)
    for g in grads:
        if g is not None and np.any(g.array != 0):
            with np.errstate(all="ignore"):
                if not np.any(np.isnan(g.array)):
                    raise GradcheckError(f"gradcheck(): backward of output {k} makes something of a zero gradient")
