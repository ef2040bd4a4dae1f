"""What a function of arrays does, found by running it on arrays that write down what is done with them.

The function, and what it calls in this package, runs with a NumPy in which `np.zeros` and `np.array` give Traced
arrays, too. It may have an `if` on an element whose other way leads to an error: the program is to raise it as well,
and that is written down as a `Refusal`.
"""

from __future__ import annotations

import dis
import math
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from .calls import Refusal, as_array
from .program import Step, Value
from .traced import Escaped, Trace, Traced, holds_traced, is_number

_HERE = __name__.split(".")[0]


# --- the NumPy that a traced function runs with -----------------------------------------------------------------------


class _Rebound:
    """A module of this package, whose functions run with other meanings of some names."""

    def __init__(self, module: Any, shadows: dict[str, Any], known: dict) -> None:
        self._module, self._rest = module, (shadows, known)

    def __getattr__(self, name: str) -> Any:
        return _rebound(getattr(self._module, name), *self._rest)


class _Shadow:
    """A module, but for some of its functions."""

    def __init__(self, module: Any, **own: Callable) -> None:
        self.__dict__.update(own)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def _shadows(trace: Trace) -> dict[str, Any]:
    """What the names np, math and type mean to a traced function."""

    def array(x: Any, dtype: Any = None, **params: Any) -> Any:
        if type(x) is not Traced:
            if holds_traced(x):
                raise trace.escape("an array made of traced parts")
            return np.array(x, dtype, **params)
        if is_number(x):
            return trace.call(as_array, (x, np.dtype(dtype)))
        if params.get("order", "K") not in "CK" or params.get("order", "K") == "K" and not x.flags.c_contiguous:
            raise trace.escape("another order of elements")
        return x.copy() if dtype is None or dtype == x.dtype else x.astype(dtype)

    def asarray(x: Any, dtype: Any = None, **params: Any) -> Any:
        if type(x) is not Traced:
            return np.asarray(x, dtype, **params)
        if is_number(x):
            return trace.call(as_array, (x, np.dtype(dtype)))
        x = x if dtype is None or dtype == x.dtype else x.astype(dtype)
        return x.copy() if params.get("order") == "C" and not x.flags.c_contiguous else x

    def maker(function: Callable) -> Callable:
        def make(first: Any, *args: Any, **params: Any) -> Any:
            if type(first) is Traced:  # an array to be like, of which no element counts
                first = first.sample
            return trace.call(function, (first, *args), params)

        return make

    def kind_of(x: Any, *more: Any) -> type:
        return type(x, *more) if more or type(x) is not Traced else type(x.sample)

    def on_numbers(function: Callable) -> Callable:
        def on_number(*args: Any) -> Any:
            return trace.call(function, args) if holds_traced(args) else function(*args)

        return on_number

    numbers = {name: on_numbers(getattr(math, name)) for name in ("sqrt", "exp", "log", "pow", "cos", "sin", "floor")}
    makers = "zeros", "ones", "full", "zeros_like", "ones_like", "full_like"
    made = {name: maker(getattr(np, name)) for name in makers}
    made |= {"empty": made["zeros"], "empty_like": made["zeros_like"]}
    return {"np": _Shadow(np, array=array, asarray=asarray, **made), "math": _Shadow(math, **numbers), "type": kind_of}


def number_shadows(trace: Trace) -> dict[str, Any]:
    """What `float` and `int` mean where they are called with traced numbers, and nothing is compared with them."""

    def to_number(kind: type) -> Callable:
        def number(x: Any = 0) -> Any:
            if type(x) is not Traced:
                return kind(x)
            if not is_number(x):
                raise trace.escape("a number made of it")
            return x if isinstance(x, kind) else trace.call(kind, (x,))

        return number

    return {"float": to_number(float), "int": to_number(int)}


def _rebound(function: Callable, shadows: dict[str, Any], known: dict) -> Callable:
    """A function of this package, and those it calls, with other meanings of some names."""
    if isinstance(function, types.MethodType):
        return types.MethodType(_rebound(function.__func__, shadows, known), function.__self__)
    if not isinstance(function, types.FunctionType):
        return function
    if function in known:
        return known[function]
    names: dict[str, Any] = {**function.__globals__, **shadows}
    code = function.__code__
    cells = tuple(types.CellType() for _ in function.__closure__ or ())
    new = known[function] = types.FunctionType(code, names, function.__name__, function.__defaults__, cells)
    new.__kwdefaults__ = function.__kwdefaults__
    for name in names_used(code):
        inner = function.__globals__.get(name)
        if isinstance(inner, types.FunctionType) and inner.__module__.startswith(_HERE):
            names[name] = _rebound(inner, shadows, known)
        elif isinstance(inner, types.ModuleType) and inner.__name__.startswith(_HERE):
            names[name] = _Rebound(inner, shadows, known)
    for cell, old in zip(cells, function.__closure__ or ()):
        inner = old.cell_contents
        cell.cell_contents = _rebound(inner, shadows, known) if isinstance(inner, types.FunctionType) else inner
    return new


def names_used(code: types.CodeType) -> set[str]:
    """The names of globals and attributes in a function's code, and in those inside it."""
    inner = (names_used(c) for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*inner)


def rebound(function: Callable, trace: Trace, **more: Any) -> Callable:
    """The function, running with a NumPy that writes down, and with `more` meanings of names."""
    return _rebound(function, {**_shadows(trace), **more}, {})


# --- tracing an operation ---------------------------------------------------------------------------------------------


def traced(op: Any, forward: Callable, args: tuple, params: dict[str, Any],
           samples: dict[Value, Any]) -> tuple[list[Step], Any] | None:
    """(the steps of `forward(*args, **params)`, its result as Values and constants), or None if it cannot be traced.

    forward: op's own, or one that does the same. args, params: Values and constants.
    samples: an array or a number like each Value; those of new Values are added.
    """
    sample = samples.__getitem__
    run = _run(forward, args, params, sample, ())
    if run is not None and isinstance(run[1], Exception) and run[0].decisions:  # the sample was what it refuses
        run = _run(forward, args, params, sample, (*(d[2] for d in run[0].decisions[:-1]), not run[0].decisions[-1][2]))
    if run is None or isinstance(run[1], Exception):
        return None
    trace, result = run
    steps = list(trace.steps)
    ways = [way for _, _, way in trace.decisions]
    for i in reversed(range(len(ways))):  # the other way must be an error
        other = _run(forward, args, params, sample, (*ways[:i], not ways[i]), probing=True)
        if other is None or not _is_raised(other[1]):
            return None
        after, value, way = trace.decisions[i]
        steps.insert(after, Step(Refusal(way, op), (value, *args), params, ()))
    samples.update(trace.samples)
    try:
        return steps, trace.noted(result)
    except Escaped:
        return None


def _is_raised(result: Any) -> bool:
    """Whether it is an error that a `raise` has raised, and none that came about."""
    if not isinstance(result, Exception):
        return False
    at = result.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is not None and dis.opname[at.tb_frame.f_code.co_code[at.tb_lasti]] == "RAISE_VARARGS"


def _is_matrix(value: Value) -> bool:
    """Of floats. A method of it, as `dot`, would not take what is traced; what follows from it alone is found later."""
    return len(value.shape) > 1 and np.dtype(value.dtype).kind == "f"


def _run(forward: Callable, args: tuple, params: dict, sample: Callable, choices: tuple,
         probing: bool = False) -> tuple[Trace, Any] | None:
    """(the notes, the result or the error it ended in), or None if it escaped."""
    trace = Trace(choices, probing)

    def given(tree: Any) -> Any:
        if isinstance(tree, Value):
            if tree.source is not None and tree.source.kind == "constant" and not _is_matrix(tree):
                return tree.source.read()
            return Traced(trace, tree, sample(tree), writable=False)
        if type(tree) in (tuple, list):
            return type(tree)(given(part) for part in tree)
        if type(tree) is slice:
            return slice(given(tree.start), given(tree.stop), given(tree.step))
        return tree

    try:
        with np.errstate(all="ignore"):
            result = rebound(forward, trace)(*map(given, args), **{k: given(v) for k, v in params.items()})
    except Exception as error:
        return None if trace.escaped or isinstance(error, Escaped) else (trace, error)
    return None if trace.escaped else (trace, result)
