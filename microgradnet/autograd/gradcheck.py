"""Derivatives checked against differences of the function itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..callers import warn
from ..tensor import Tensor, describe
from .engine import grad

# Of PyTorch's other checks: what always holds here, and what there is nothing of to check.
_ALWAYS = {"check_backward_ad", "check_grad_dtypes"}
_ABSENT = {"check_sparse_nnz", "check_batched_grad", "check_batched_forward_grad", "check_forward_ad", "masked"}


class GradcheckError(RuntimeError):
    """A derivative that disagrees with the differences."""


def gradcheck(func: Callable, inputs: Tensor | Sequence[Any], *, eps: float = 1e-6, atol: float = 1e-5,
              rtol: float = 1e-3, raise_exception: bool = True, nondet_tol: float = 0.0,
              check_undefined_grad: bool = True, fast_mode: bool = False, **others: Any) -> bool:
    """Whether the gradients of `func` agree with central differences, by every input that requires grad.

    func: from the inputs to a Tensor or several. Outputs without a gradient are left out, unless none has one: then the
        differences must be 0.
    inputs: should be float64. They are moved as copies, never in place.
    nondet_tol: how far two calls with equal inputs may differ.
    check_undefined_grad: a gradient of zeros must give zeros.
    fast_mode: along one random direction in place of each element.

    Returns True; where |analytic - numeric| > atol + rtol |numeric|, raises `GradcheckError` or returns False. Near a
    kink (relu at 0) the slopes to the left and right differ: the error says so.
    """
    inputs = _listed(inputs)
    _refuse_unknown("gradcheck", others)
    _warn_of_rounding("gradcheck", inputs, eps)
    check = _Check(func, inputs, eps, atol, rtol)
    return check.run(raise_exception, nondet_tol, check_undefined_grad, fast_mode)


def gradgradcheck(func: Callable, inputs: Tensor | Sequence[Any], grad_outputs: Any = None, *, eps: float = 1e-6,
                  atol: float = 1e-5, rtol: float = 1e-3, raise_exception: bool = True, nondet_tol: float = 0.0,
                  check_undefined_grad: bool = True, fast_mode: bool = False, **others: Any) -> bool:
    """Whether the second derivatives agree with central differences of the first: `gradcheck` of the gradient.

    grad_outputs: the gradients of func's outputs, where to check; random where not given.
    """
    inputs = _listed(inputs)
    _refuse_unknown("gradgradcheck", others)
    _warn_of_rounding("gradgradcheck", inputs, eps)
    tracked = _tracked(inputs)
    outputs = [o for o in _outputs(func, inputs) if o.requires_grad]
    if not outputs:
        raise ValueError("gradgradcheck(): no output requires grad")
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        grad_outputs = [Tensor(np.asarray(rng.standard_normal(o.shape), o.dtype)) for o in outputs]
    seeds = [g.detach().requires_grad_() for g in _listed(grad_outputs)]

    def first(*args: Any) -> tuple:
        outputs = [o for o in _outputs(func, args[: len(inputs)]) if o.requires_grad]
        wrt = [args[i] for i in tracked]
        return grad(outputs, wrt, list(args[len(inputs) :]), create_graph=True, materialize_grads=True)

    check = _Check(first, [*inputs, *seeds], eps, atol, rtol, second=True)
    return check.run(raise_exception, nondet_tol, check_undefined_grad, fast_mode)


def _listed(inputs: Any) -> list:
    return [inputs] if isinstance(inputs, Tensor) else list(inputs)


def _tracked(inputs: Sequence[Any]) -> list[int]:
    return [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]


def _outputs(func: Callable, inputs: Sequence[Any]) -> list[Tensor]:
    result = func(*inputs)
    outputs = result if isinstance(result, (tuple, list)) else [result]
    return [o for o in outputs if isinstance(o, Tensor) and o.is_floating_point()]


def _refuse_unknown(caller: str, others: dict[str, Any]) -> None:
    for name, value in others.items():
        if name not in _ALWAYS | _ABSENT:
            raise TypeError(f"{caller}() got an unexpected keyword argument '{name}'")
        if value and name in _ABSENT:
            raise NotImplementedError(f"{caller}(): {name}: there is nothing of that kind to check here")


def _warn_of_rounding(caller: str, inputs: list, eps: float) -> None:
    if not _tracked(inputs):
        raise ValueError(f"{caller}(): at least one input must require grad")
    for i in _tracked(inputs):
        if inputs[i].dtype != np.float64:
            warn(f"{caller}(): input {i} {describe(inputs[i])} is not float64: differences of step {eps} will "
                 "be mostly rounding; use .double()")


class _Check:
    """One function at one point; with `second`, a function whose outputs are gradients."""

    def __init__(self, func: Callable, inputs: list, eps: float, atol: float, rtol: float,
                 second: bool = False) -> None:
        self.func, self.inputs, self.eps, self.atol, self.rtol = func, inputs, eps, atol, rtol
        self.tracked = _tracked(inputs)
        self.outputs = _outputs(func, inputs)
        recorded = [k for k, o in enumerate(self.outputs) if o.requires_grad]
        self.places = recorded if recorded and not second else list(range(len(self.outputs)))
        self.caller = "gradgradcheck" if second else "gradcheck"
        self.derivative = "derivative of gradient" if second else "gradient of output"

    def run(self, raise_exception: bool, nondet_tol: float, check_undefined_grad: bool, fast_mode: bool) -> bool:
        try:
            with np.errstate(all="ignore"):  # what is not finite is compared like the rest
                self.repeatable(nondet_tol)
                if check_undefined_grad:
                    self.zero_gives_zero()
                (self.along_one_direction if fast_mode else self.along_each_element)()
        except GradcheckError:
            if raise_exception:
                raise
            return False
        return True

    def repeatable(self, tolerance: float) -> None:
        for k, (a, b) in enumerate(zip(self.outputs, _outputs(self.func, self.inputs))):
            if a.shape != b.shape or not np.allclose(a.array, b.array, rtol=0, atol=tolerance, equal_nan=True):
                raise GradcheckError(
                    f"{self.caller}(): output {k} differs between two calls with equal inputs: the function is random"
                )

    def zero_gives_zero(self) -> None:
        for k in self.places:
            output = self.outputs[k]
            for i in self.tracked:
                g = self.gradient(output, i, np.zeros(output.shape))
                if np.any(g != 0) and not np.any(np.isnan(g)):  # 0 · inf, at a point of infinite slope, is nan
                    raise GradcheckError(
                        f"{self.caller}(): backward of output {k} makes something of a zero gradient, by input {i}"
                    )

    def along_each_element(self) -> None:
        for i in self.tracked:
            shape = self.inputs[i].shape
            jacobians = {k: self.jacobian(self.outputs[k], i) for k in self.places}
            for column in range(self.inputs[i].numel()):
                direction = np.zeros(self.inputs[i].numel())
                direction[column] = 1
                slopes = self.slopes(i, direction.reshape(shape))
                where = f"element {tuple(map(int, np.unravel_index(column, shape)))}" if shape else "its one element"
                for k in self.places:
                    self.compare(jacobians[k][:, column], slopes[k], k, i, where)

    def along_one_direction(self) -> None:
        rng = np.random.default_rng(0)
        for i in self.tracked:
            direction = rng.standard_normal(self.inputs[i].shape)
            slopes = self.slopes(i, direction)
            for k in self.places:
                weights = rng.standard_normal(self.outputs[k].shape)
                analytic = np.vdot(self.gradient(self.outputs[k], i, weights), direction)
                projected = slopes[k] @ np.reshape(weights, -1)
                self.compare(analytic.reshape(1), projected.reshape(3, 1), k, i, "a random direction")

    def gradient(self, output: Tensor, i: int, weights: np.ndarray) -> np.ndarray:
        """Of the weighted output by input i, by backward; zeros where nothing is recorded."""
        if not output.requires_grad:
            return np.zeros(self.inputs[i].shape)
        (g,) = grad(output, self.inputs[i], Tensor(np.asarray(weights, output.dtype)), retain_graph=True,
                    materialize_grads=True)
        return g.detach().array

    def jacobian(self, output: Tensor, i: int) -> np.ndarray:
        """A row per element of the output, a column per element of input i."""
        jacobian = np.empty((output.numel(), self.inputs[i].numel()))
        for row, unit in enumerate(np.eye(output.numel())):
            jacobian[row] = self.gradient(output, i, unit.reshape(output.shape)).reshape(-1)
        return jacobian

    def slopes(self, i: int, direction: np.ndarray) -> list[np.ndarray]:
        """For each output three rows: central, forward and backward differences along a direction of input i."""
        plus, here, minus = (self.moved(i, step * direction) for step in (self.eps, 0.0, -self.eps))
        return [
            np.array([(p - m) / (2 * self.eps), (p - h) / self.eps, (h - m) / self.eps])
            for p, h, m in zip(plus, here, minus)
        ]

    def moved(self, i: int, step: np.ndarray) -> list[np.ndarray]:
        """The outputs, flat, with input i moved. A tensor that is given twice stays one tensor."""
        copies: dict[int, Any] = {}
        for x in self.inputs:
            copies[id(x)] = _leaf_copy(x) if isinstance(x, Tensor) else x
        copies[id(self.inputs[i])].array[...] += step.astype(self.inputs[i].dtype)
        outputs = _outputs(self.func, [copies[id(x)] for x in self.inputs])
        return [o.detach().array.astype(np.float64).reshape(-1) for o in outputs]

    def compare(self, analytic: np.ndarray, slopes: np.ndarray, k: int, i: int, where: str) -> None:
        central, right, left = slopes
        agree = np.abs(analytic - central) <= self.atol + self.rtol * np.abs(central)
        bad = np.flatnonzero(~(agree | (np.isnan(analytic) & np.isnan(central))))
        if not bad.size:
            return
        at = bad[0]
        note = ""
        if abs(right[at] - left[at]) > 1e-2 * max(abs(right[at]), abs(left[at]), self.atol):
            note = f" The slopes to the left, {left[at]:.6g}, and right, {right[at]:.6g}, differ: it is near a kink."
        elif not slopes.any():
            note = " The output does not move at all: func has to compute from its arguments."
        elif not self.outputs[k].requires_grad:
            note = " The output does not require grad: something in func cuts it off, as detach() does."
        raise GradcheckError(
            f"{self.caller}(): {self.derivative} {k}, element {at}, by input {i} along {where}: analytic "
            f"{analytic[at]:.6g}, numeric {central[at]:.6g}.{note}"
        )


def _leaf_copy(x: Tensor) -> Tensor:
    """A function that differentiates inside, as gradgradcheck's does, needs what requires grad to do so here, too."""
    copy = Tensor(x.array.copy())
    return copy.requires_grad_() if x.requires_grad else copy
