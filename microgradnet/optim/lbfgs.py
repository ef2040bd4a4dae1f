"""The limited-memory BFGS method, with a line search."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ..graph import stamp
from ..recording import enable_grad
from ..tensor import Tensor
from .optimizer import Optimizer, check_options


class LBFGS(Optimizer):
    """p ← p + t·d with d = −H g, where H, an approximation of the inverse Hessian, is never formed: it comes from the
    latest changes s of the parameters and y of the gradients. A step takes up to `max_iter` such iterations.

    max_eval: the calls of the closure in one step, 1.25·max_iter by default. tolerance_grad, tolerance_change: a step
    ends where no |gᵢ|, or no |t·dᵢ| and not the loss, is larger or changes more. history_size: the pairs (s, y) kept.
    line_search_fn: None, and t = lr; or "strong_wolfe", which looks for a t from lr on that makes the loss and its
    slope along d small enough. There can be one parameter group; the state is that of the first parameter.

    Nocedal, "Updating quasi-Newton matrices with limited storage", 1980; Nocedal and Wright, "Numerical optimization",
    2006, algorithms 7.4 and 3.5.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1, max_iter: int = 20, max_eval: int | None = None,
                 tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
                 line_search_fn: str | None = None) -> None:
        check_options("LBFGS", False, lr=lr)
        super().__init__(params, {"lr": lr, "max_iter": max_iter,
                                  "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                                  "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
                                  "history_size": history_size, "line_search_fn": line_search_fn})
        if len(self.param_groups) != 1:
            raise ValueError(f"LBFGS() has one parameter group, with the same options for all, got "
                             f"{len(self.param_groups)}")

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Run up to max_iter iterations; returns the loss before them.

        closure: computes the loss and its gradients anew; it is called several times.
        """
        if closure is None:
            raise TypeError("LBFGS.step() needs a closure that computes the loss and its gradients anew")
        (group,) = self.param_groups
        params, lr, change = group["params"], float(group["lr"]), group["tolerance_change"]
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError(f"LBFGS: line_search_fn must be None or 'strong_wolfe', got {group['line_search_fn']!r}")
        state = self.state[params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        def evaluate() -> tuple[Any, np.ndarray]:
            with enable_grad():
                loss = closure()
            return loss, _flat_gradient(params)

        first_loss, g = evaluate()
        loss = float(first_loss)
        evaluations = 1
        state["func_evals"] += 1
        if _largest(g) <= group["tolerance_grad"]:
            return first_loss
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            d = _direction(state, g, group["history_size"])
            fresh = state["n_iter"] == 1
            t = lr * min(1.0, 1.0 / _total(g)) if fresh else lr
            slope, previous_loss = _dot(g, d), loss
            state.update(d=Tensor(d), t=t, prev_flat_grad=Tensor(g), prev_loss=loss)
            if slope > -change:
                break
            spent = 0
            if group["line_search_fn"] is not None:
                along = _along(params, d, evaluate)
                found, spent = strong_wolfe(along, Trial(0.0, loss, g, slope), t, _largest(d), change,
                                            group["max_eval"] - evaluations)
                t, loss, g, _ = found
                state["t"] = t
                _move(params, t, d)
            else:
                _move(params, t, d)
                if iteration != group["max_iter"]:  # else nobody would ask for the loss there
                    value, g = evaluate()
                    loss, spent = float(value), 1
            evaluations += spent
            state["func_evals"] += spent
            if (evaluations >= group["max_eval"] or _largest(g) <= group["tolerance_grad"]
                    or _largest(d) * t <= change or abs(loss - previous_loss) < change):  # fmt: skip
                break
        return first_loss


@np.errstate(all="ignore")
def _direction(state: dict[str, Any], g: np.ndarray, history_size: int) -> np.ndarray:
    """−H g from the pairs in the state, after the latest one was added: the two-loop recursion."""
    if state["n_iter"] == 1:
        state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
        return -g
    ys, ss, rhos = state["old_dirs"], state["old_stps"], state["ro"]
    y, s = g - state["prev_flat_grad"].array, state["d"].array * float(state["t"])
    curvature = _dot(y, s)
    if curvature > 1e-10:
        if len(ys) == history_size:
            del ys[0], ss[0], rhos[0]
        ys.append(Tensor(y))
        ss.append(Tensor(s))
        rhos.append(1.0 / curvature)
        state["H_diag"] = curvature / _dot(y, y)
    d = -g
    alphas = []
    for y, s, rho in zip(reversed(ys), reversed(ss), reversed(rhos)):
        alphas.append(_dot(s.array, d) * float(rho))
        d -= alphas[-1] * y.array
    d *= float(state["H_diag"])
    for y, s, rho, alpha in zip(ys, ss, rhos, reversed(alphas)):
        d += (alpha - _dot(y.array, d) * float(rho)) * s.array
    return d


# --- the line search ------------------------------------------------------------------------------------------------


class Trial(NamedTuple):
    """A point x + t·d that was tried: the loss, the gradient and the slope along d there."""

    t: float
    loss: float
    gradient: np.ndarray
    slope: float


def strong_wolfe(along: Callable[[float], Trial], start: Trial, t: float, size: float, tolerance: float, tries: int,
                 c1: float = 1e-4, c2: float = 0.9) -> tuple[Trial, int]:
    """A trial with loss ≤ start.loss + c1·t·start.slope and |slope| ≤ c2·|start.slope|, or the best one seen, and how
    many were made. size: the largest |dᵢ|, for the width below which a bracket is not searched.

    Steps grow until they bracket such a point; then the bracket is narrowed by cubic interpolation.
    """
    previous, trial = start, along(t)
    count = 1
    for grown in range(tries):
        if _too_high(trial, start, c1) or (grown > 1 and trial.loss >= previous.loss):
            bracket = [previous, trial]
            break
        if abs(trial.slope) <= -c2 * start.slope:
            return trial, count
        if trial.slope >= 0:
            bracket = [previous, trial]
            break
        t = _cubic_minimum(previous, trial, trial.t + 0.01 * (trial.t - previous.t), 10 * trial.t)
        previous, trial = trial, along(t)
        count += 1
    else:
        bracket = [start, trial]
    low = 0 if bracket[0].loss <= bracket[1].loss else 1
    stuck = False
    while count <= tries and abs(bracket[1].t - bracket[0].t) * size >= tolerance:
        left, right = sorted((bracket[0].t, bracket[1].t))
        t = _cubic_minimum(bracket[0], bracket[1], left, right)
        margin = 0.1 * (right - left)
        near = min(right - t, t - left) < margin
        if near and (stuck or t >= right or t <= left):  # too little progress so near to an end
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            near = False
        stuck = near
        trial = along(t)
        count += 1
        if _too_high(trial, start, c1) or trial.loss >= bracket[low].loss:
            bracket[1 - low] = trial
            low = 0 if bracket[0].loss <= bracket[1].loss else 1
            continue
        found = abs(trial.slope) <= -c2 * start.slope
        if not found and trial.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = trial
        if found:
            break
    return bracket[low], count


def _too_high(trial: Trial, start: Trial, c1: float) -> bool:
    return trial.loss > start.loss + c1 * trial.t * start.slope


def _cubic_minimum(a: Trial, b: Trial, least: float, most: float) -> float:
    """Where the cubic through both losses with both slopes is lowest, within bounds; their middle if it is nowhere."""
    if a.t > b.t:
        a, b = b, a
    if a.t == b.t:
        return (least + most) / 2
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (least + most) / 2
    d2 = math.sqrt(square)
    below = b.slope - a.slope + 2 * d2
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / below) if below else most
    return min(max(t, least), most)


# --- parameters as one vector ---------------------------------------------------------------------------------------


def _flat_gradient(params: list[Tensor]) -> np.ndarray:
    return np.concatenate([np.zeros_like(p.array).ravel() if p._grad is None else p._grad.array.ravel()
                           for p in params])  # fmt: skip


@np.errstate(all="ignore")
def _move(params: list[Tensor], t: float, d: np.ndarray) -> None:
    start = 0
    for p in params:
        array = p.array
        array += (t * d[start : start + array.size]).reshape(array.shape)
        start += array.size
        stamp(array)


def _along(params: list[Tensor], d: np.ndarray, evaluate: Callable[[], tuple[Any, np.ndarray]]) -> Callable:
    """The function t → the trial at x + t·d, which leaves the parameters at x."""
    before = [p.array.copy() for p in params]

    def at(t: float) -> Trial:
        _move(params, t, d)
        loss, g = evaluate()
        for p, array in zip(params, before):
            np.copyto(p.array, array)
            stamp(p.array)
        return Trial(t, float(loss), g, _dot(g, d))

    return at


def _largest(x: np.ndarray) -> float:
    return float(np.abs(x).max(initial=0.0))


@np.errstate(all="ignore")
def _total(x: np.ndarray) -> float:
    return float(np.abs(x).sum())


@np.errstate(all="ignore")
def _dot(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y)
