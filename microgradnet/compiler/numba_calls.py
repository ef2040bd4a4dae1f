"""What surrounds the native functions of a program: addresses go into a table, results come out of memory.

This is a Python function, printed for the program: it looks where the arrays from outside are, calls the native
segments and, between them, NumPy for what has no native form.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Op
from .layout import Layout
from .naming import is_number
from .numba_text import FIRST, NativeText
from .program import Program, Step, Value, interpret, replaced
from .samples import laid_out_as


class Outside:
    """The arrays that are not the program's own, and the table of addresses.

    held: the arrays of the last call. spare: of what is returned, the array of the call before; while the caller keeps
    one result at a time, the two take turns. twins: of those that do not lie in memory as planned, by their number: the
    array, and the copy that is used in its place.
    """

    def __init__(self, likes: list[np.ndarray], first: list[int]) -> None:
        self.likes = likes
        self.forms = [(like.dtype, like.shape, like.strides) for like in likes]
        self.held: list[Any] = [None] * len(likes)
        self.spare: list[Any] = [None] * len(likes)
        self.spare_address = [0] * len(likes)
        self.twins: dict[int, tuple[Any, Any]] = {}
        self.table = np.array([*first, *[0] * len(likes)], np.int64)
        self.cells = self.table.data  # quicker to write to

    def bind(self, i: int, array: Any) -> None:
        """Take note of where an array is that is not the one of the call before."""
        self.twins.pop(i, None)
        if not isinstance(array, np.ndarray) or not array.flags.aligned or (
                (array.dtype, array.shape, array.strides) != self.forms[i]):  # fmt: skip
            array = self.in_order(i, array)
        self.held[i], self.cells[FIRST + i] = array, address_of(array)

    def in_order(self, i: int, array: Any) -> np.ndarray:
        """An array, or a copy of it, that lies in memory as planned."""
        like = self.likes[i]
        array = np.asarray(array, like.dtype)
        array = array if array.shape == like.shape else array.reshape(like.shape)
        if array.flags.aligned and (array.strides == like.strides or array.size <= 1):
            return array
        copy = laid_out_as(like, array)
        self.twins[i] = array, copy
        return copy

    def refresh(self) -> None:
        """Bring the copies up to date of arrays that are looked for less often than in every call."""
        for array, copy in self.twins.values():
            copy[...] = array

    def fresh(self, i: int) -> None:
        """Memory for what is returned, that nobody else looks at."""
        array, address = self.spare[i], self.spare_address[i]
        if array is None or sys.getrefcount(array) > REFERENCES + 1:  # by its name here
            array = np.empty_like(self.likes[i], order="C")
            address = address_of(array)
        self.spare[i], self.spare_address[i] = self.held[i], self.cells[FIRST + i]
        self.held[i], self.cells[FIRST + i] = array, address


def address_of(array: np.ndarray) -> int:
    """Where an array's first element is: NumPy's ABI has it behind the head of the object.

    `array.ctypes.data`, which asks for it, takes seven times as long.
    """
    return ctypes.c_void_p.from_address(id(array) + object.__basicsize__).value  # type: ignore[return-value]


def _references() -> int:
    held = [np.empty(1)]
    return sys.getrefcount(held[0])


REFERENCES = _references()  # of an array that only a list has


def calls_of(program: Program, layout: Layout, printed: NativeText, functions: dict, blas: tuple) -> tuple:
    """The function of a call's arrays, and one that looks where steady arrays are.

    functions: those of the printed text. blas: the addresses of sgemm and dgemm.
    """
    return _Printer(program, layout, printed, functions, blas).run()


class _Printer:
    """Prints that function. `names` are the objects that it uses."""

    def __init__(self, program: Program, layout: Layout, printed: NativeText, functions: dict, blas: tuple) -> None:
        self.program, self.layout, self.printed, self.functions = program, layout, printed, functions
        self.memory = np.zeros(layout.size + 64, np.uint8)
        self.start = -address_of(self.memory) % 64
        self.index = {value: i for i, value in enumerate(printed.outside)}
        likes = [np.asarray(layout.samples[value]) for value in printed.outside]
        self.outside = Outside(likes, [address_of(self.memory) + self.start, *blas])
        self.names: dict[str, Any] = {}
        self.lines: list[str] = []
        self.bound: list[str] = []

    def run(self) -> tuple[Callable[[list], list], Callable[[], None]]:
        outside = self.outside
        self.names |= {"held": outside.held, "twins": outside.twins, "bind": outside.bind, "fresh": outside.fresh,
                       "refresh": outside.refresh,
                       "count": sys.getrefcount, "refused": self.refused, "table": outside.table,
                       "address": address_of(outside.table)}  # fmt: skip
        self.read()
        for segment in self.printed.segments:
            if isinstance(segment, str):
                self.names[segment] = self.functions[segment]
                self.lines.append(f"if {segment}(address): refused(inputs)")
            else:
                self.call(segment)
        self.write()
        self.give()
        text = "\n    ".join(["def run(inputs):", *self.lines]) + "\n\n"
        text += "\n    ".join(["def bind_steady():", *self.bound, "return None"])
        exec(compile(text, "<calls of a native program>", "exec"), self.names)
        return self.names["run"], self.names["bind_steady"]

    # --- the parts of a call --------------------------------------------------------------------------------------

    def read(self) -> None:
        """Where everything is that comes from outside."""
        for value in self.layout.home:
            if is_number(value) and value.source is not None and value.source.kind in ("number", "input"):
                self.lines.append(f"{self.name(self.own(value))}[()] = {self.source(value)}")
        for value, i in self.index.items():
            source = value.source
            if source is None:  # to be returned; in the memory of the call before, if its result is gone
                self.outside.fresh(i)
                self.lines.append(f"if count(held[{i}]) > {REFERENCES}: fresh({i})")
            elif source.kind == "constant":
                self.outside.bind(i, source.read())
            else:
                lines = self.bound if source.steady else self.lines
                lines += [f"x = {self.source(value)}", f"if x is not held[{i}]: bind({i}, x)"]
        self.lines.append("if twins: refresh()")

    def call(self, step: Step) -> None:
        """A step that NumPy makes; its results go where the plan has them."""
        if isinstance(step.function, Op) and step.function.takes_out:
            self.lines.append(self.call_text(step, out=self.own(step.out)))  # type: ignore[arg-type]
            return
        self.lines.append(f"made = {self.call_text(step)}")
        many = isinstance(step.out, tuple)
        for k, out in enumerate(step.out if many else (step.out,)):
            self.lines.append(f"{self.name(self.own(out))}[...] = made{f'[{k}]' if many else ''}")

    def write(self) -> None:
        """What no native function has put where it belongs."""
        written = {target for target, _ in self.layout.program.writes}
        for value, i in self.index.items():
            if value in written:
                self.lines.append(f"if {i} in twins: twins[{i}][0][...] = twins[{i}][1]")
        for target, held in self.layout.numbers:
            self.lines.append(f"{self.name(target.source.write)}({self.fetch(held)})")  # type: ignore[union-attr]

    def give(self) -> None:
        held_by = dict(self.layout.returned)
        outputs = self.layout.program.outputs
        results = [self.fetch(held_by[x]) if isinstance(x, Value) else self.name(x) for x in outputs]
        self.lines.append(f"return [{', '.join(results)}]")

    def refused(self, inputs: list) -> None:
        """Raise the error of what a program refuses. Nothing has been written."""
        interpret(self.program, inputs)
        raise AssertionError("the program refuses nothing here")

    # --- values and names -----------------------------------------------------------------------------------------

    def name(self, thing: Any) -> str:
        """A name for an object."""
        name = f"n{len(self.names)}"
        self.names[name] = thing
        return name

    def source(self, value: Value) -> str:
        """An expression that reads a value from outside."""
        assert value.source is not None
        return f"{self.name(value.source.read)}({'inputs' if value.source.kind == 'input' else ''})"

    def own(self, value: Value) -> np.ndarray:
        """A value in the program's own memory, as an array."""
        dtype = np.dtype(value.dtype)
        if 0 in value.shape:
            return np.empty(value.shape, dtype)
        place = self.layout.place(value)
        offset = self.start + self.layout.home[place.root].offset + place.offset * dtype.itemsize
        return np.ndarray(value.shape, dtype, self.memory, offset, tuple(s * dtype.itemsize for s in place.strides))

    def fetch(self, value: Value) -> str:
        """An expression that gives a value as NumPy is to see it."""
        home = self.layout.home.get(self.layout.root(value))
        if home is not None and home.of is None:
            name = self.name(self.own(value))
            if is_number(value):
                return f"{name}.item()"
            return name if isinstance(self.layout.samples[value], np.ndarray) else f"{name}[()]"
        if value in self.index:
            return f"held[{self.index[value]}]{'.item()' if is_number(value) else ''}"
        if value.source is not None:
            return self.source(value)
        return self.call_text(next(step for step in self.layout.program.steps if step.out is value))  # a view

    def call_text(self, step: Step, **more: Any) -> str:
        """A step as a call on values that are fetched, with `more` arguments."""
        function = step.function.forward if isinstance(step.function, Op) else step.function
        values: list[str] = []

        def slot(value: Value) -> _Slot:
            values.append(self.fetch(value))
            return _Slot(len(values) - 1)

        args, params = replaced(step.args, slot), replaced(step.params, slot)

        def call(*given: Any) -> Any:
            with np.errstate(all="ignore"):
                return function(*_filled(args, given), **_filled(params, given), **more)

        return f"{self.name(call)}({', '.join(values)})"


class _Slot:
    """Where an argument is to go."""

    def __init__(self, index: int) -> None:
        self.index = index


def _filled(tree: Any, given: tuple) -> Any:
    """Arguments with what is given in the place of slots."""
    if isinstance(tree, _Slot):
        return given[tree.index]
    if isinstance(tree, (tuple, list)):
        parts = [_filled(part, given) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if isinstance(tree, dict):
        return {key: _filled(part, given) for key, part in tree.items()}
    if isinstance(tree, slice):
        return slice(*(_filled(part, given) for part in (tree.start, tree.stop, tree.step)))
    return tree
