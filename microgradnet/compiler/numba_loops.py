"""Loops as text: a function of memory that goes over the elements of arrays, and does all steps of a unit for each."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .calls import updated
from .fuse import Unit
from .layout import Layout, Place
from .naming import dtype_text, literal
from .program import Step, Value, values_in
from .scalars import code, converted, expression, gathered, reduced_axes

BLOCK = 512  # numbers that are added up in single precision, before their sum is added in double precision


class Loop(NamedTuple):
    """text: of a function NAME. arguments: addresses. fails: it returns whether an index was out of range."""

    text: str
    arguments: list[str]
    fails: bool


def print_loop(layout: Layout, unit: Unit, address: Callable[[Place, Any], str]) -> Loop:
    """The loop of a unit. address: how the memory of a place is written, by its dtype."""
    step = unit.steps[0]
    if unit.kind != "scatter":
        return _Printer(layout, unit.steps, unit.shape, address).run()
    shapes = [v.shape for v in values_in((gathered(step), step.args[2]))]
    return _Printer(layout, unit.steps, np.broadcast_shapes(*shapes), address).run()


class _Printer:
    """dims: of each loop, outer ones first, the axes it runs over, with their lengths.

    known: the names of what has been computed or loaded. The lists of lines are named by where they stand, those of
    `inits` and `after` by the number of loops around them.
    """

    def __init__(self, layout: Layout, steps: list[Step], shape: tuple, address: Callable[[Place, Any], str]) -> None:
        self.layout, self.steps, self.shape, self.address = layout, steps, shape, address
        self.pointers: dict[str, str] = {}  # address -> parameter
        self.known: dict[Any, str] = {}
        self.count = 0
        self.before: list[str] = []
        self.inits: dict[int, list[str]] = {}
        self.loads: list[str] = []
        self.lines: list[str] = []
        self.stores: list[str] = []
        self.after: dict[int, list[str]] = {}
        self.parts: dict[str, str] = {}  # a sum in single precision of a part -> the sum in double precision
        self.fails = False
        self.dims = self.loops()

    def run(self) -> Loop:
        for step in self.steps:
            if step.function is updated:
                self.replace(step)
            elif reduced_axes(step) is not None:
                self.reduce(step)
            else:
                self.compute(step)
        return Loop(self.text(), [*self.pointers], self.fails)

    def text(self) -> str:
        lines = ["apart()", *self.before]
        if self.fails:
            lines.append("bad = False")
        lines += self.nest(0)
        if self.fails:
            lines.append("return bad")
        head = f"@njit(**OPTIONS)\ndef NAME({', '.join(self.pointers.values())}):"
        return "\n".join([head, *_indented(lines)]) + "\n"

    def nest(self, depth: int) -> list[str]:
        """The loops from one on, with what is done before and after each."""
        if depth == len(self.dims):
            lines = [*self.loads, *self.lines, *self.stores]
        else:
            n = math.prod(n for _, n in self.dims[depth])
            parts = self.parts if depth == len(self.dims) - 1 else {}
            blocks = bool(parts) and n > BLOCK
            head = f"for i{depth} in range({f'block, min(block + {BLOCK}, {n})' if blocks else n}):"
            lines = [*(f"{part} = np.float32(0)" for part in parts), head, *_indented(self.nest(depth + 1)),
                     *(f"{total} += np.float64({part})" for part, total in parts.items())]  # fmt: skip
            if blocks:
                lines = [f"for block in range(0, {n}, {BLOCK}):", *_indented(lines)]
        return [*self.inits.get(depth, ()), *lines, *self.after.get(depth, ())]

    # --- the order of the loops ---------------------------------------------------------------------------------------

    def loops(self) -> list[list[tuple[int, int]]]:
        """The axes in the order in which the first array lies in memory; those that lie alike in all are one loop."""
        axes = [i for i, n in enumerate(self.shape) if n > 1]
        accesses = self.accesses()
        if accesses:
            axes.sort(key=lambda i: -accesses[0][i] or -max(strides[i] for strides in accesses))
        loops: list[list[tuple[int, int]]] = []
        for i in axes:
            if loops and all(strides[loops[-1][-1][0]] == strides[i] * self.shape[i] for strides in accesses):
                loops[-1].append((i, self.shape[i]))
            else:
                loops.append([(i, self.shape[i])])
        return loops

    def accesses(self) -> list[tuple[int, ...]]:
        """The strides of all that is read and written element by element."""
        found = []
        for step in self.steps:
            args = step.args
            if step.function in (operator.getitem, updated):
                args = (*(gathered(step) or ()), *args[2:])
            if reduced_axes(step) is not None:
                found.append(self.reduction_strides(step))
            elif step.out in self.layout.kept and step.function is not updated:
                found.append(self.strides(step.out))
            found += [self.strides(v) for v in values_in(args) if _the_number(v) is None]
        return [strides for strides in found if len(strides) == len(self.shape)]

    def strides(self, value: Value) -> tuple[int, ...]:
        """By how many elements each axis of the loop moves on in a value."""
        own = self.layout.place(value).strides
        lead = (0,) * (len(self.shape) - len(value.shape))
        return lead + tuple(0 if n == 1 else stride for n, stride in zip(value.shape, own))

    def reduction_strides(self, step: Step) -> tuple[int, ...]:
        """The same of the result of a sum."""
        axes = reduced_axes(step) or ()
        strides = list(self.layout.place(step.out).strides)
        if step.params.get("keepdims"):
            return tuple(0 if i in axes or n == 1 else s for i, (s, n) in enumerate(zip(strides, self.shape)))
        return tuple(0 if i in axes else strides.pop(0) for i in range(len(self.shape)))

    def index(self, strides: tuple[int, ...]) -> str:
        """Where the element of an array is, in the counters of the loops."""
        steps = ((depth, strides[axes[-1][0]]) for depth, axes in enumerate(self.dims))
        return " + ".join(f"i{depth}" if n == 1 else f"{n} * i{depth}" for depth, n in steps if n) or "0"

    # --- what is read and written -------------------------------------------------------------------------------------

    def pointer(self, value: Value) -> str:
        address = self.address(self.layout.place(value), value.dtype)
        return self.pointers.setdefault(address, f"p{len(self.pointers)}")

    def argument(self, x: Any) -> tuple[str, Any]:
        """(an argument as it is written, its dtype; None for Python's numbers)"""
        if not isinstance(x, Value):
            return literal(x), x.dtype if isinstance(x, np.generic) else None
        if x in self.known:
            return self.known[x], np.dtype(x.dtype)
        number = _the_number(x)
        if number is not None:
            return literal(number), number.dtype
        return self.load(x, self.index(self.strides(x))), np.dtype(x.dtype)

    def load(self, x: Value, index: str) -> str:
        key = self.pointer(x), index
        if key not in self.known:
            self.known[key] = name = self.fresh("x")
            lines = self.before if index == "0" and self.dims else self.loads
            lines.append(f"{name} = {self.element(x, index)}")
        return self.known[key]

    def element(self, x: Value, index: str) -> str:
        return f"{self.pointer(x)}[{index}]" + (" != 0" if code(x.dtype) == "b1" else "")

    def store(self, out: Value, index: str, text: str) -> None:
        text = f"np.uint8({text})" if code(out.dtype) == "b1" else text
        self.stores.append(f"{self.pointer(out)}[{index}] = {text}")

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    # --- steps --------------------------------------------------------------------------------------------------------

    def compute(self, step: Step) -> None:
        """One statement for each element."""
        if step.function is operator.getitem:
            x = step.args[0]
            text = self.element(x, self.position(x, gathered(step) or []))
        else:
            text = expression(step, [self.argument(x) for x in step.args])
        name = self.known[step.out] = self.fresh("v")
        self.lines.append(f"{name} = {text}")
        if step.out in self.layout.kept:
            self.store(step.out, self.index(self.strides(step.out)), name)

    def replace(self, step: Step) -> None:
        """x[i, j, …] = value with indices from arrays."""
        text, dtype = self.argument(step.args[2])
        index = self.position(step.out, gathered(step) or [])
        self.store(step.out, index, converted(text, dtype, step.out.dtype))

    def position(self, x: Value, keys: list) -> str:
        """Where x[keys] lies; indices out of range are noted."""
        parts = []
        for key, n, stride in zip(keys, x.shape, self.layout.place(x).strides):
            text, _ = self.argument(key)
            constant = key.source.read() if key.source is not None and key.source.kind == "constant" else None
            if constant is None or constant.min() < 0 or constant.max() >= n:
                self.fails = True
                k = self.fresh("k")
                self.lines += [f"{k} = {text} + {n} if {text} < 0 else {text}", f"if {k} < 0 or {k} >= {n}:",
                               "    bad = True", f"    {k} = 0"]  # fmt: skip
                text = k
            parts.append(f"{stride} * {text}")
        return " + ".join(parts) or "0"

    def reduce(self, step: Step) -> None:
        """Sums and the like: in a local number where the loops over the reduced axes are the inner ones."""
        ufunc, out = step.function.__self__, step.out  # type: ignore[attr-defined]
        axes = reduced_axes(step) or ()
        kept = [depth for depth, loop in enumerate(self.dims) if loop[-1][0] not in axes]
        depth = len(kept)
        text, dtype = self.argument(step.args[0])
        index, total = self.index(self.reduction_strides(step)), self.fresh("total")
        if kept != list(range(depth)):
            pointer = self.pointer(out)
            first = _first(ufunc, out.dtype, step.params.get("initial"))
            summed = _joined(ufunc, total, converted(text, dtype, out.dtype), out.dtype)
            self.before += [f"for j in range({math.prod(out.shape)}):", f"    {pointer}[j] = {first}"]
            self.lines += [f"{total} = {pointer}[{index}]", f"{pointer}[{index}] = {summed}"]
            return
        wide = np.dtype(np.float64 if code(out.dtype) == "f4" and ufunc in (np.add, np.multiply) else out.dtype)
        self.inits.setdefault(depth, []).append(f"{total} = {_first(ufunc, wide, step.params.get('initial'))}")
        summed, number = total, wide
        if ufunc is np.add and wide != out.dtype and depth < len(self.dims):
            summed, number = self.fresh("part"), out.dtype
            self.parts[summed] = total
        self.lines.append(f"{summed} = {_joined(ufunc, summed, converted(text, dtype, number), number)}")
        self.after.setdefault(depth, []).append(f"{self.pointer(out)}[{index}] = {converted(total, wide, out.dtype)}")


def _indented(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


def _the_number(value: Value) -> Any:
    """The one number of a constant that has only one, or only equal ones."""
    if value.source is None or value.source.kind != "constant":
        return None
    array = np.asarray(value.source.read())
    if not array.size:
        return None
    first = array.reshape(-1)[0]
    return first if array.size == 1 or first != 0 and bool((array == first).all()) else None  # zeros have signs


def _first(ufunc: Any, dtype: Any, initial: Any) -> str:
    """What a sum or the like begins with."""
    kind = np.dtype(dtype)
    if initial is not None:
        text = literal(initial)
    elif ufunc in (np.add, np.multiply):
        text = str(ufunc.identity)
    elif kind.kind == "f":
        text = "-np.inf" if ufunc is np.maximum else "np.inf"
    else:
        limits = np.iinfo(kind)
        text = str(limits.min + 1 if ufunc is np.maximum else limits.max)  # numba would read -2^63 as a float
    return f"{dtype_text(kind)}({text})"


def _joined(ufunc: Any, total: str, x: str, dtype: Any) -> str:
    """A sum or the like, with one more number."""
    if ufunc is np.add:
        return f"add_up({total}, {x})" if np.dtype(dtype).kind == "f" else f"{total} + {x}"
    return f"{total} * {x}" if ufunc is np.multiply else f"{ufunc.__name__}({total}, {x})"
