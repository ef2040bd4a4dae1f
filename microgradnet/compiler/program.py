"""The program: what capture writes down, the passes rewrite, and a backend prints.

A straight line of steps in single assignment: each `Value` is made once, by one `Step`, or comes from outside. Nothing
is written in place here; what a call is to leave in a parameter, a running mean or an optimizer's state is listed in
`writes`. Which array a value lives in, and that a new weight may take the old one's place, is for the plan to decide.

Capture leaves steps whose function is an `Op` of the table. Lowering replaces each by what its forward does: calls of
NumPy. Every pass takes a program and gives a program, and `interpret` runs it at any stage, so that every pass can be
held against the one before it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


@dataclasses.dataclass(eq=False, slots=True)
class Value:
    """One array, or one number that changes from call to call (a learning rate, a step count).

    dtype: of the array; `float` or `int` for a number, whose shape is ().
    name: what a person would call it ('w1', 'z2', 'x'), or empty.
    source: where a value from outside comes from; None for one that a step makes.
    like: of an argument, an array that lies in memory as the arguments will.
    """

    shape: tuple[int, ...]
    dtype: Any
    name: str = ""
    source: Source | None = None
    like: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """Where a value comes from at each call.

    kind: "input", an argument of the compiled function; "state", the memory of a tensor or an optimizer's array, read
        anew at each call; "constant", the same at each call; "number", a Python number read anew at each call.
    read: gives the array or the number; for an input, from the flat list of a call's tensors.
    write: takes the number that is to be there after a call; None where no call changes it.
    steady: whether it is the same array in all calls between which nothing is set (`recording.setting`).
    """

    kind: str
    read: Callable[..., Any]
    write: Callable[[Any], None] | None = None
    steady: bool = False


@dataclasses.dataclass(eq=False, slots=True)
class Step:
    """`out = function(*args, **params)`, without an effect on its arguments.

    function: an Op, a NumPy function, or a function of a backend's own.
    args, params: Values and Python constants, also inside tuples, lists and slices.
    out: the Value it makes, or a tuple of them.
    view: `out` may share the first argument's memory.
    note: what a person would write beside it ('layer 1', 'BP4'), or empty.
    """

    function: Callable
    args: tuple
    params: dict[str, Any]
    out: Any
    view: bool = False
    note: str = ""


@dataclasses.dataclass(eq=False, slots=True)
class Program:
    """A function of arrays as a straight line of steps.

    outputs: what a call returns, flat.
    writes: pairs of a Value with a source of kind "state" or "number" and what it is to be at the end.
    """

    steps: list[Step]
    outputs: list[Any]
    writes: list[tuple[Value, Value]] = dataclasses.field(default_factory=list)


def values_in(tree: Any) -> Iterator[Value]:
    """The Values among arguments, in order and as often as they occur."""
    if isinstance(tree, Value):
        yield tree
    elif isinstance(tree, (tuple, list)):
        for part in tree:
            yield from values_in(part)
    elif isinstance(tree, dict):
        yield from values_in(tuple(tree.values()))
    elif isinstance(tree, slice):
        yield from values_in((tree.start, tree.stop, tree.step))


def replaced(tree: Any, by: Callable[[Value], Any]) -> Any:
    """Arguments with every Value replaced by what `by` says."""
    if isinstance(tree, Value):
        return by(tree)
    if isinstance(tree, (tuple, list)):
        parts = [replaced(part, by) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if isinstance(tree, dict):
        return {key: replaced(part, by) for key, part in tree.items()}
    if isinstance(tree, slice):
        return slice(*(replaced(part, by) for part in (tree.start, tree.stop, tree.step)))
    return tree


def interpret(program: Program, inputs: list[np.ndarray]) -> tuple[list[Any], list[Any]]:
    """(what the outputs are, what the writes would write), computed step by step with fresh arrays; nothing is written.

    The meaning of a program, by which every pass and every backend is judged.
    """
    known: dict[Value, Any] = {}

    def of(value: Value) -> Any:
        if value not in known:
            source = value.source
            assert source is not None, f"{value.name or 'a value'} is used before a step makes it"
            known[value] = source.read(inputs) if source.kind == "input" else source.read()
        return known[value]

    for step in program.steps:
        out = step.function(*replaced(step.args, of), **replaced(step.params, of))
        for value, made in zip(step.out, out) if isinstance(step.out, tuple) else [(step.out, out)]:
            known[value] = made
    return [replaced(x, of) for x in program.outputs], [of(new) for _, new in program.writes]
