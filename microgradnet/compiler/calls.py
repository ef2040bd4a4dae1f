"""The few calls of a lowered program that NumPy has no function for, each without an effect on its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def cast(x: Any, dtype: Any) -> Any:
    """x in another dtype."""
    return x.astype(dtype)


def copied(x: Any) -> Any:
    """A copy in row-major order."""
    return x.copy()


def updated(x: Any, key: Any, value: Any) -> Any:
    """x, but for `value` at x[key]."""
    x = x.copy(order="K")
    x[key] = value
    return x


def as_array(number: float, dtype: Any) -> Any:
    """A number as an array of shape ()."""
    return np.array(number, dtype)


class Draw:
    """Random numbers of a generator, others at each call; by the numbers in arrays, where it is called with some."""

    def __init__(self, draw: Callable[..., Any], generator: Any) -> None:
        self.draw, self.generator = draw, generator
        self.__name__ = "draw"

    def __call__(self, *arrays: Any) -> Any:
        return self.draw(*arrays)


class Refusal:
    """What a forward refuses: it raises where a condition is not what it was when the program was made.

    Called with the condition and the forward's own arguments, it lets the forward raise its error.
    """

    def __init__(self, expected: bool, op: Any) -> None:
        self.expected, self.op = expected, op

    def __call__(self, condition: Any, *args: Any, **params: Any) -> tuple:
        if bool(condition) != self.expected:
            self.raise_error(args, params)
        return ()

    def raise_error(self, args: tuple, params: dict) -> None:
        """As the operation itself would."""
        try:
            self.op.forward(*args, **params)
        except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
            raise self.op.error(error, args, params) from error
        raise AssertionError(f"{self.op.name} refuses nothing here")


class Asked:
    """In the place of an operation that refuses: a question that is answered otherwise than in the recording."""

    name = "this_way"

    def forward(self) -> None:
        """Refuse."""
        raise ValueError("the function goes another way here")

    def error(self, error: Exception, _args: tuple, _params: dict) -> Exception:
        """As it is."""
        return error


def is_ufunc_method(function: Callable, method: str) -> bool:
    """Whether a function is `np.add.reduce` or the like."""
    return isinstance(getattr(function, "__self__", None), np.ufunc) and function.__name__ == method
