"""Lowering: each operation of the table becomes the calls of NumPy that its forward makes.

They are found by running the forward on arrays that write down what is done with them (`tracing`). An operation for
which that does not work stays what it was, one step that calls its forward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Op
from ..ops import linalg
from ..ops import shape as shapes
from .naming import LITERALS
from .program import Program, Step, Value, replaced, values_in
from .samples import RANDOM, Samples
from .traced import constant, sampled
from .tracing import traced


def _spread(x: Any, /, shape: tuple) -> Any:
    return np.array(np.broadcast_to(x, shape), order="C")


def _one_a_row(value: Any, labels: Any, /, shape: tuple) -> Any:
    out = np.zeros(shape, value.dtype)
    out[np.arange(shape[0]), labels] = value
    return out


def _sum_to(x: Any, /, shape: tuple) -> Any:
    if x.ndim == 2 and x.shape[1:] == tuple(shape) and x.dtype.kind == "f":
        return np.dot(shapes._ones[len(x), x.dtype], x)  # a method of the ones would not be written down
    return shapes._sum_to(x, shape)


def _matmul(a: Any, b: Any, /) -> Any:
    if a.ndim == b.ndim == 2 and 1 not in (*a.shape, *b.shape) and a.dtype == b.dtype:
        few = a.shape[0] * b.shape[1] <= linalg.FOR_DOT
        if few and a.dtype in (np.float32, np.float64) and all(x.flags.forc for x in sampled([a, b])):
            return np.dot(a, b)  # the same BLAS
    return linalg._matmul(a, b)


# Forwards that write into arrays of their own or take the slower of two ways, put otherwise; the results are the same.
OWN: dict[str, Callable] = {"spread": _spread, "one_a_row": _one_a_row, "sum_to": _sum_to, "matmul": _matmul}


def _is_plain(tree: Any) -> bool:
    if isinstance(tree, (tuple, list)):
        return all(map(_is_plain, tree))
    if isinstance(tree, dict):
        return _is_plain(tuple(tree.values()))
    if isinstance(tree, slice):
        return _is_plain((tree.start, tree.stop, tree.step))
    return isinstance(tree, (*LITERALS, Value, np.ndarray))


def lower(program: Program) -> Program:
    """The program in calls of NumPy, as far as they can be found. The Values at its ends stay the same."""
    samples = Samples()
    instead: dict[Value, Any] = {}  # of a Value: another one, or a constant
    steps: list[Step] = []

    def now(value: Value) -> Any:
        return instead.get(value, value)

    for step in program.steps:
        args, params = replaced(step.args, now), replaced(step.params, now)
        found, op = None, step.function
        # What takes `out` is a call already, and it computes in memory of its own, which no program may refer to.
        if isinstance(op, Op) and op.name not in RANDOM and not op.takes_out and _is_plain((args, params)):
            for value in values_in((args, params)):
                samples[value]  # noqa: B018 - made when asked for
            forward = OWN.get(op.name, op.forward)
            found = traced(op, forward, args, params, samples)
        outs = step.out if isinstance(step.out, tuple) else (step.out,)
        results: Any = () if found is None else found[1] if isinstance(step.out, tuple) else (found[1],)
        if found is None or not all(map(_alike, results, outs)):
            kept = Step(step.function, args, params, step.out, step.view, step.note)
            samples.run(kept)
            steps.append(kept)
            continue
        for new in found[0]:
            new.note = step.note
        steps += found[0]
        own = {out for new in found[0] for out in (new.out if isinstance(new.out, tuple) else (new.out,))}
        for result, out in zip(results, outs):
            if not isinstance(result, Value):  # what does not depend on the arguments
                result = constant(result)
            instead[out] = result
            if result in own:
                result.name = result.name or out.name
    outputs = [replaced(x, now) for x in program.outputs]
    return Program(steps, outputs, [(target, now(new)) for target, new in program.writes])


def _alike(result: Any, out: Value) -> bool:
    return getattr(result, "shape", None) == tuple(out.shape) and getattr(result, "dtype", None) == out.dtype
