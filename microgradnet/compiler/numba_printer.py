"""The numba backend: one plan, a second printer. A program becomes native loops and calls of BLAS.

What has no native form is called in NumPy between two native segments, on the same memory.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..graph import Op
from .book import name_by_the_book
from .fuse import fused
from .layout import Layout
from .lower import lower
from .naming import is_number
from .numba_text import FIRST, NativeText, print_native
from .program import Program, Step, Value, interpret, replaced
from .simplify import simplify


def numba_program(program: Program) -> Callable[[list], list]:
    """A captured program, through all passes to a native one; see `compiled_natively`."""
    name_by_the_book(program)
    return compiled_natively(simplify(lower(program)))


def compiled_natively(program: Program) -> Callable[[list], list]:
    """A simplified program as a function of a call's tensors' arrays: gives the outputs, writes what is to be written.

    It computes in memory of its own, so two threads may not call it at once. Its `text` says what it does.
    Raises CompileError where numba is not installed.
    """
    from . import native

    used, samples, roots, units = fused(program)
    layout = Layout(used, samples, roots, units)
    printed = print_native(layout)
    module = _module(printed.text, inspect.getsource(native))
    return Runner(program, layout, printed, module.__dict__, native.gemm_addresses()).function()


HEAD = """import numpy as np
from numba import njit

from microgradnet.compiler.native import *
from microgradnet.compiler.native import OPTIONS

"""


def _module(text: str, version: str) -> Any:
    """The module of a text. It is kept in a file, with its compiled code, where files can be kept."""
    import numba

    name = hashlib.sha256("\n".join([text, version, numba.__version__, sys.version]).encode()).hexdigest()[:24]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "microgradnet" / "compiled"
    path = folder / f"microgradnet_program_{name}.py"
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    sys.modules[path.stem] = module  # where numba looks for it when it reads what it has kept
    try:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}")
            part.write_text(f"{HEAD}KEPT = True\n\n\n{text}")
            part.replace(path)
        exec(compile(path.read_text(), path, "exec"), module.__dict__)
    except (OSError, RuntimeError):  # numba's error where it can keep nothing
        exec(compile(f"{HEAD}KEPT = False\n\n\n{text}", "<native program>", "exec"), module.__dict__)
    return module


class Runner:
    """Puts addresses into the table, calls the segments, and takes results out."""

    def __init__(self, program: Program, layout: Layout, printed: NativeText, functions: dict, blas: tuple) -> None:
        self.program, self.layout, self.printed, self.functions = program, layout, printed, functions
        self.memory = np.zeros(layout.size + 64, np.uint8)
        self.start = -self.memory.ctypes.data % 64
        self.table = np.zeros(FIRST + len(printed.outside), np.int64)
        self.table[:FIRST] = self.memory.ctypes.data + self.start, *blas
        self.held: list[Any] = [None] * len(printed.outside)
        self.names: dict[str, Any] = {"held": self.held, "refused": self.refused, "bind": self.bind,
                                      "fresh": self.fresh}  # fmt: skip
        self.backs: dict[int, tuple[Any, Any]] = {}
        self.lines: list[str] = []

    # --- memory -------------------------------------------------------------------------------------------------------

    def own(self, value: Value) -> Any:
        """A value in the program's own memory, as an array."""
        place, dtype = self.layout.place(value), np.dtype(value.dtype)
        home = self.layout.home[place.root]
        offset = self.start + home.offset + place.offset * dtype.itemsize
        strides = tuple(s * dtype.itemsize for s in place.strides)
        if 0 in value.shape:
            return np.empty(value.shape, dtype)
        return np.ndarray(value.shape, dtype, self.memory, offset, strides)

    def bind(self, i: int, array: Any) -> Any:
        """Take note of where an array is that is not the one of the call before."""
        value = self.printed.outside[i]
        like = self.layout.samples_of(value)
        if not isinstance(array, np.ndarray) or array.dtype != like.dtype or array.shape != like.shape:
            array = np.asarray(array, like.dtype).reshape(like.shape)
        self.held[i] = array
        self.backs.pop(i, None)
        if array.strides != like.strides and array.size > 1 or not array.flags.aligned:
            copy = np.empty_like(like)
            copy[...] = array
            self.backs[i] = array, copy
            array = copy
        self.table[FIRST + i] = array.ctypes.data
        return array

    def fresh(self, i: int) -> Any:
        """New memory for what is returned."""
        array = self.held[i] = np.empty_like(self.layout.samples_of(self.printed.outside[i]), order="C")
        self.table[FIRST + i] = array.ctypes.data
        return array

    def refused(self, inputs: list) -> None:
        """Raise the error of what a program refuses. Nothing has been written."""
        interpret(self.program, inputs)
        raise AssertionError("the program refuses nothing here")

    # --- the function -------------------------------------------------------------------------------------------------

    def function(self) -> Callable[[list], list]:
        names, lines, layout = self.names, self.lines, self.layout
        self.index = {value: i for i, value in enumerate(self.printed.outside)}
        written = {target for target, _ in layout.program.writes}
        for value in layout.home:
            if is_number(value) and value.source is not None and value.source.kind == "number":
                i = len(names)
                names[f"number_{i}"], names[f"number_of_{i}"] = self.own(value), value.source.read
                lines.append(f"number_{i}[()] = number_of_{i}()")
        for value, i in self.index.items():
            source = value.source
            if source is None:  # to be returned
                self.fresh(i)
                lines.append(f"if count(held[{i}]) > {REFERENCES}: fresh({i})")
            elif source.kind == "constant":
                self.bind(i, source.read())
            else:
                names[f"read_{i}"] = source.read
                lines.append(f"x = read_{i}({'inputs' if source.kind == 'input' else ''})")
                lines.append(f"if x is not held[{i}]: bind({i}, x)")
                lines.append(f"elif {i} in backs: backs[{i}][1][...] = x")
        names["backs"], names["count"] = self.backs, sys.getrefcount
        lines.append("address = start")
        names["start"] = int(self.table.ctypes.data)
        for segment in self.printed.segments:
            if isinstance(segment, str):
                names[segment] = self.functions[segment]
                lines.append(f"if {segment}(address): refused(inputs)")
            else:
                self.call(segment)
        for value in self.index:
            if value in written:
                i = self.index[value]
                lines.append(f"if {i} in backs: backs[{i}][0][...] = backs[{i}][1]")
        for target, held in layout.numbers:
            i = len(names)
            names[f"write_{i}"], text = target.source.write, self.fetch(held)  # type: ignore[union-attr]
            lines.append(f"write_{i}({text})")
        results = []
        given = dict(layout.returned)
        for x in layout.program.outputs:
            if isinstance(x, Value):
                results.append(self.fetch(given[x]))
            else:
                names[f"given_{len(names)}"] = x
                results.append(f"given_{len(names) - 1}")
        lines.append(f"return [{', '.join(results)}]")
        text = "def run(inputs):\n" + "\n".join("    " + line for line in lines) + "\n"
        exec(compile(text, "<native program>", "exec"), names)
        run = names["run"]
        run.text, run.layout = self.printed.text, layout
        return run

    def fetch(self, x: Any) -> str:
        """An expression that gives a value, or a constant, as NumPy is to see it."""
        names = self.names
        if not isinstance(x, Value):
            name = f"given_{len(names)}"
            names[name] = x
            return name
        root = self.layout.root(x)
        if root in self.layout.home and self.layout.home[root].of is None:
            name = f"value_{len(names)}"
            names[name] = self.own(x)
            if is_number(x):
                return f"{name}.item()"
            return f"{name}[()]" if not isinstance(self.layout.samples[x], np.ndarray) else name
        if x in self.index:
            i = self.index[x]
            text = f"held[{i}]"
            if is_number(x):
                return f"{text}.item()"
            return text
        if x.source is not None:
            name = f"given_{len(names)}"
            names[name] = x.source.read
            return f"{name}({'inputs' if x.source.kind == 'input' else ''})"
        step = next(step for step in self.layout.program.steps if step.out is x)
        return self.call_text(step)

    def call_text(self, step: Step) -> str:
        """A step as a call on values that are fetched."""
        names = self.names
        function = step.function.forward if isinstance(step.function, Op) else step.function
        values: list[str] = []

        def note(value: Value) -> Any:
            values.append(self.fetch(value))
            return _Slot(len(values) - 1)

        args, params = replaced(step.args, note), replaced(step.params, note)

        def call(*given: Any) -> Any:
            with np.errstate(all="ignore"):
                return function(*_filled(args, given), **_filled(params, given))

        name = f"call_{len(names)}"
        names[name] = call
        return f"{name}({', '.join(values)})"

    def call(self, step: Step) -> None:
        """A step that NumPy makes; its results go where the plan has them."""
        text = self.call_text(step)
        many = isinstance(step.out, tuple)
        self.lines.append(f"made = {text}")
        for k, out in enumerate(step.out if many else (step.out,)):
            name = f"value_{len(self.names)}"
            self.names[name] = self.own(out)
            self.lines.append(f"{name}[...] = made{f'[{k}]' if many else ''}")


class _Slot:
    """Where an argument is to go."""

    def __init__(self, index: int) -> None:
        self.index = index


def _filled(tree: Any, given: tuple) -> Any:
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


def _references() -> int:
    held = [np.empty(1)]
    return sys.getrefcount(held[0])


REFERENCES = _references()  # of an array that only a list has
