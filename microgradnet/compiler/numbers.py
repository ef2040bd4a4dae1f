"""Numbers: Python numbers among the arguments of a function, or in variables, that are others from call to call.

While the function is recorded, a `Number` stands for each. What is computed from it is written down, as a step on
numbers, or as an operation that it takes part in; an `if` on it is a condition that each call of the program looks at.
Who needs the number itself, as `math.sqrt` or an index does, gets it, and then the function cannot be recorded so.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph import Op
from .calls import Asked, Refusal
from .program import Source, Step, Value
from .refusals import cannot
from .results import rebuilt
from .traced import Trace, Traced, sampled, value_of
from .watch import at, put

if TYPE_CHECKING:
    from .capture import Recorder


def _in_an_operation() -> bool:
    """Whether a forward runs that is written down as an operation on this number, and may do with it what it likes."""
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_code is not _OPERATION:
        frame = frame.f_back
    return frame is not None


_OPERATION = Op._on_tensors.__code__


class Number(Traced):
    """In the place of an argument or in a variable. Operations on tensors find the number that it is now."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **params: Any) -> Any:
        self._itself()
        inputs, params = sampled(inputs), {name: sampled(x) for name, x in params.items()}
        if ufunc is np.power and method == "__call__" and not params:
            return operator.pow(*inputs)  # NumPy's a ** 2 is another loop than np.power
        return getattr(ufunc, method)(*inputs, **params)

    def __array_function__(self, function: Callable, kinds: Any, args: tuple, params: dict) -> Any:
        self._itself()
        return function(*sampled(args), **{name: sampled(x) for name, x in params.items()})

    def __pos__(self) -> Number:
        return self

    def _itself(self, *_args: Any) -> Any:
        self.trace.escape("needs the number itself")
        return self.sample

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self._itself(), dtype)

    def __getattr__(self, name: str) -> Any:
        if not hasattr(self.sample, name):
            raise AttributeError(name)
        return getattr(self._itself(), name)

    def __hash__(self) -> int:
        return hash(self._itself())

    def __repr__(self) -> str:
        return repr(self._itself())

    def __format__(self, how: str) -> str:
        return format(self._itself(), how)

    def __reduce__(self) -> tuple:
        return type(self.sample), (self._itself(),)

    def __deepcopy__(self, memo: dict) -> Any:
        return self._itself()


def _of_the_number(function: Callable) -> Any:
    return lambda self, *args: function(self._itself(), *args)


_OF_THE_NUMBER: dict[str, Callable] = {
    "int": int, "float": float, "complex": complex, "index": operator.index, "round": round, "trunc": math.trunc,
    "floor": math.floor, "ceil": math.ceil, "str": str, "divmod": divmod, "rdivmod": lambda x, y: divmod(y, x),
}  # fmt: skip
for _name, _function in _OF_THE_NUMBER.items():
    setattr(Number, f"__{_name}__", _of_the_number(_function))


class Numbers(Trace):
    """What is done with the Numbers of one run, written down by its recorder."""

    def __init__(self, recorder: Recorder, tensors: int) -> None:
        super().__init__()
        self.recorder: Recorder | None = recorder  # until the run is over
        self.tensors = tensors
        self.arguments: list[Number] = []
        self.variables: list[tuple[Any, Any, Number]] = []  # (scope, key, what is there meanwhile)
        self._thread = threading.get_ident()  # others may look into the variables, too

    def new(self, number: float) -> Number:
        """The next of the arguments: in the list of what a call is given, they follow the tensors."""
        place = self.tensors + len(self.arguments)
        source = Source("input", lambda inputs: inputs[place])
        self.arguments.append(Number(self, Value((), type(number), "", source), number))
        return self.arguments[-1]

    @contextmanager
    def in_variables(self, variables: Iterable[tuple[Any, Any]]) -> Iterator[None]:
        """Be in variables, given as (scope, key), in the place of their numbers."""
        try:
            for scope, key in variables:
                number = at(scope, key)
                source = Source("number", functools.partial(at, scope, key))
                name = key if isinstance(key, str) else ""
                self.variables.append((scope, key, Number(self, Value((), type(number), name, source), number)))
                put(*self.variables[-1])
            yield
        finally:
            for scope, key, mine in self.variables:
                if at(scope, key) is mine:
                    put(scope, key, mine.sample)

    def written(self) -> str | None:
        """The name of a variable that holds something else by now."""
        return next((str(key) for scope, key, number in self.variables if at(scope, key) is not number), None)

    def given(self, tree: Any) -> Any:
        """Parameters of an operation with Values in the place of Numbers."""
        if type(tree) is Number:
            return tree.current()
        if type(tree) in (tuple, list):
            return type(tree)(map(self.given, tree))
        return tree

    def call(self, function: Callable, args: tuple, params: Any = None, name: Any = None) -> Any:
        """Compute with numbers; what is done with a Tensor or an array is theirs to do."""
        if not all(type(a) is Number or type(a) in (bool, int, float) for a in args):
            return NotImplemented
        result = function(*sampled(args))
        if _in_an_operation():
            return result
        if not isinstance(result, (bool, int, float)):  # a negative number to the power of a half
            self.escape("is complex")
            return result
        out = Number(self, value_of(result), result)
        self._write_down(Step(function, tuple(map(self.noted, args)), {}, out.value))
        return out

    def decide(self, value: Value, sample: Any) -> bool:
        """What a condition is now. A call in which it is another one is left to the function."""
        if not _in_an_operation():
            self._write_down(Step(Refusal(bool(sample), Asked()), (value,), {}, ()))
        return bool(sample)

    def escape(self, why: str) -> Any:
        """The function does with a number what cannot be written down."""
        if self._listens() and not _in_an_operation():
            self.recorder.fail(cannot(f"the function {why}, which is an argument"))  # type: ignore[union-attr]

    def _write_down(self, step: Step) -> None:
        if self._listens():
            self.recorder.write_down(step)  # type: ignore[union-attr]

    def _listens(self) -> bool:
        return self.recorder is not None and self.recorder.error is None and threading.get_ident() == self._thread


# --- among the arguments ----------------------------------------------------------------------------------------------


class _Any:
    """Equal to whatever number is there."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


_ANY = _Any()
_KINDS = {int, float}


def numbers_in(tree: Any) -> Iterator[float]:
    """The Python numbers among arguments, in order."""
    if type(tree) in _KINDS:
        yield tree
    elif isinstance(tree, (tuple, list)):
        for part in tree:
            yield from numbers_in(part)
    elif isinstance(tree, dict):
        for part in tree.values():
            yield from numbers_in(part)


def changed(old: Any, new: Any, kinds: Collection[type]) -> tuple[Any, list[int]] | None:
    """(a key that fits both of two keys that `leaves` made, which of the numbers differ); None where others do, too.

    kinds: of the numbers that may.
    """
    found: list[int] = []
    count = itertools.count()

    def common(a: Any, b: Any) -> Any:
        if type(a) is type(b) is tuple and len(a) == len(b) == 2 and a[0] is b[0] and a[0] in _KINDS:
            place = next(count)
            if a[1] is not _ANY and a == b:
                return a
            if a[0] not in kinds and a[1] is not _ANY:
                raise _Differs
            found.append(place)
            return a[0], _ANY
        if type(a) is type(b) and type(a) in (tuple, list) and len(a) == len(b):
            return type(a)(map(common, a, b))
        if a != b:
            raise _Differs
        return a

    try:
        return common(old, new), found
    except _Differs:
        return None


class _Differs(Exception):
    pass


def with_numbers(tree: Any, at: Collection[int], numbers: Numbers) -> Any:
    """Arguments with Numbers in the place of some of the Python numbers."""
    count = itertools.count()

    def again(part: Any) -> Any:
        if type(part) in _KINDS:
            return numbers.new(part) if next(count) in at else part
        if isinstance(part, (tuple, list)):
            parts = map(again, part)
            return type(part)(*parts) if hasattr(part, "_fields") else type(part)(parts)
        if isinstance(part, dict):
            return {key: again(inner) for key, inner in part.items()}
        return part

    return again(tree)


def without_numbers(tree: Any) -> Any:
    """A result with what they were in the place of Numbers."""
    return rebuilt(tree, Traced, sampled)


__all__ = ["Number", "Numbers", "changed", "numbers_in", "with_numbers", "without_numbers"]
