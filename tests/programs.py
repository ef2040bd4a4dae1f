"""Programs for the tests of the compiler, written by hand or taken from a graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from microgradnet.compiler.program import Program, Source, Step, Value


def argument(index: int, array: np.ndarray, name: str = "") -> Value:
    """The n-th argument of a program, like an array."""
    return Value(np.shape(array), np.asarray(array).dtype, name, Source("input", lambda inputs: inputs[index]))


def state(array: np.ndarray, name: str = "") -> Value:
    """What is kept in an array between calls."""
    return Value(array.shape, array.dtype, name, Source("state", lambda: array))


def of_call(op: Any, args: tuple, params: dict) -> tuple[Program, list[np.ndarray]]:
    """(the program of one call, its arguments)"""
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    values = [argument(i, a) for i, a in enumerate(arrays)]
    rest = iter(values)
    taken = tuple(next(rest) if isinstance(a, np.ndarray) else a for a in args)
    with np.errstate(all="ignore"):
        result = op.forward(*args, **params)
    out = tuple(map(like, result)) if isinstance(result, tuple) else like(result)
    return Program([Step(op, taken, params, out)], list(out) if isinstance(out, tuple) else [out]), arrays


def like(array: Any) -> Value:
    return Value(np.shape(array), np.asarray(array).dtype)


def same(one: list, other: list) -> bool:
    """Whether arrays agree bit for bit; nan is nan."""
    return len(one) == len(other) and all(
        np.asarray(a).dtype == np.asarray(b).dtype and np.shape(a) == np.shape(b)
        and np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind in "fc") for a, b in zip(one, other)
    )  # fmt: skip
