"""A native program as text: functions of numbers and of memory, which numba compiles.

Each unit is a few lines of a function `segment_n`, which computes addresses and calls loops and BLAS. Loops that read
the same are one function.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from .calls import as_array, cast, copied
from .fuse import (
    COMPARISONS,
    REDUCED,
    TEMPLATES,
    Unit,
    code,
    common_dtype,
    gathered,
    reduced_axes,
    scaled_product,
)
from .layout import Layout, Place
from .naming import dtype_text, literal, number_text
from .program import Step, Value, values_in

_MOST_UNITS = 60  # in one function
BLOCK = 512  # numbers that are added up in single precision, before their sum is added in double precision


@dataclasses.dataclass(slots=True)
class NativeText:
    """text: of functions. segments: the names of its functions and calls of NumPy, in the order in which they run.

    outside: the Values whose addresses the table has from its third entry on; before these are that of the program's
    own memory and those of BLAS.
    """

    text: str
    segments: list[str | Step]
    outside: list[Value]


FIRST = 3  # entries of the table that are not arrays: own memory, sgemm, dgemm


def print_native(layout: Layout) -> NativeText:
    """The text of a program whose values have their places."""
    return _Printer(layout).run()


class _Printer:
    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.outside: dict[Value, int] = {}
        self.loops: dict[str, str] = {}  # text -> name
        self.functions: list[str] = []
        self.segments: list[str | Step] = []
        self.body: list[str] = []
        self.checks = 0

    def run(self) -> NativeText:
        note = ""
        for unit in self.layout.units:
            step = unit.steps[0]
            if unit.kind == "numpy":
                self.close()
                self.segments.append(step)
                continue
            if step.note and step.note != note:
                self.body.append(f"# {step.note}")
                note = step.note
            getattr(self, unit.kind)(unit)
            if len(self.body) >= _MOST_UNITS:
                self.close()
        self.close()
        return NativeText("\n\n".join(self.functions), self.segments, [*self.outside])

    def close(self) -> None:
        """End a segment."""
        if self.body:
            name = f"segment_{sum(isinstance(s, str) for s in self.segments) + 1}"
            self.segments.append(name)
            lines = ["table = i8(address)", *self.body, "return 0"]
            head = f"@njit('i8(i8)', cache=KEPT, nogil=True, **OPTIONS)\ndef {name}(address):\n"
            self.functions.append(head + "".join(f"    {line}\n" for line in lines))
            self.body = []

    def address(self, place: Place, dtype: Any) -> str:
        """The memory at which a place begins, as a segment writes it."""
        home = self.layout.home[place.root]
        more = place.offset * np.dtype(dtype).itemsize
        if home.of is None:
            base, more = "table[0]", more + home.offset
        else:
            base = f"table[{self.outside.setdefault(home.of, len(self.outside) + FIRST)}]"
        return f"{code(dtype)}({base}{f' + {more}' if more else ''})"

    # --- products -----------------------------------------------------------------------------------------------------

    def product(self, unit: Unit) -> None:
        step = unit.steps[0]
        a, b = step.args[:2]
        (m, k), n = a.shape, b.shape[1]
        dtype = step.out.dtype
        alpha, beta = "1", "0"
        if step.function is scaled_product:
            alpha, beta = (f"{'-' if sign < 0 else ''}{self.number(x, dtype)}"
                           for sign, x in zip(step.params["signs"], step.args[3:]))
        c = self.layout.place(step.out)
        if step.function is scaled_product and self.layout.home[step.out].of is not step.args[2]:
            self.copy(step.args[2], step.out)
        operands = [(a, self.layout.place(a)), (b, self.layout.place(b))]
        sides = [m, n]
        if not self.by_columns(c, step.out.shape):  # (a b)ᵀ = bᵀ aᵀ lies by columns
            operands, sides = operands[::-1], [n, m]
            turned = True
            ldc = c.strides[0] if m > 1 else n
        else:
            turned = False
            ldc = c.strides[1] if n > 1 else m
        texts, letters = [], []
        for x, place in operands:
            rows, columns = x.shape[::-1] if turned else x.shape
            row, column = place.strides[::-1] if turned else place.strides
            if (row == 1 or rows == 1) and (column >= rows or columns == 1):
                letter, leading = "N", column if columns > 1 else rows
            else:
                letter, leading = "T", row if rows > 1 else columns
            letters.append(ord(letter))
            texts.append(f"{self.address(place, dtype)}, {max(leading, 1)}")
        kind = code(dtype)
        scale = "np.float32" if kind == "f4" else "np.float64"
        self.body.append(
            f"gemm_{kind}(table[{1 if kind == 'f4' else 2}], {letters[0]}, {letters[1]}, {sides[0]}, {sides[1]}, {k}, "
            f"{scale}({alpha}), {texts[0]}, {texts[1]}, {scale}({beta}), {self.address(c, dtype)}, {max(ldc, 1)})"
        )

    @staticmethod
    def by_columns(c: Place, shape: tuple) -> bool:
        return c.strides[0] == 1 and shape[1] > 1 and c.strides[1] >= shape[0] and c.strides[1] != 1

    def number(self, x: Any, dtype: Any) -> str:
        """A number as a segment reads it."""
        if isinstance(x, Value):
            if x.source is not None and x.source.kind == "constant":
                return number_text(np.asarray(x.source.read())[()])
            return f"{self.address(self.layout.place(x), x.dtype)}[0]"
        return literal(x.item() if isinstance(x, np.generic) else x)

    def copy(self, x: Value, out: Value) -> None:
        self.loop(Unit("loop", [Step(copied, (x,), {}, out)], tuple(out.shape)))

    # --- checks and indices -------------------------------------------------------------------------------------------

    def check(self, unit: Unit) -> None:
        step = unit.steps[0]
        condition = self.number(step.args[0], np.bool_)
        expected = step.function.expected  # type: ignore[attr-defined]
        self.body += [f"if {condition} {'==' if expected else '!='} 0:", "    return 1"]

    def scatter(self, unit: Unit) -> None:
        step = unit.steps[0]
        x, _, value = step.args
        if self.layout.home[step.out] != self.layout.home[self.layout.root(x)] or x.source is not None:
            self.copy(x, step.out)
        keys = gathered(step)
        assert keys is not None
        shape = np.broadcast_shapes(*(k.shape for k in keys), getattr(value, "shape", ()))
        _LoopPrinter(self, unit, shape, scatter=step).call()

    def loop(self, unit: Unit) -> None:
        _LoopPrinter(self, unit, unit.shape).call()


def _indented(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


class _LoopPrinter:
    """Prints one loop as a function, and its call."""

    def __init__(self, printer: _Printer, unit: Unit, shape: tuple, scatter: Step | None = None) -> None:
        self.printer, self.layout, self.unit, self.shape = printer, printer.layout, unit, shape
        self.scattered = scatter
        self.pointers: dict[str, str] = {}  # address -> parameter
        self.before: list[str] = []
        self.loads: list[str] = []
        self.lines: list[str] = []
        self.stores: list[str] = []
        self.after: dict[int, list[str]] = {}
        self.inits: dict[int, list[str]] = {}
        self.parts: dict[str, str] = {}  # a sum in single precision of a part -> the sum in double precision
        self.local: dict[Any, str] = {}
        self.count = 0
        self.fails = False
        self.dims = self.loop_dims()

    # --- the order of the loops ---------------------------------------------------------------------------------------

    def strides_of(self, value: Value) -> tuple[int, ...]:
        """By how many elements each loop moves on in a value."""
        place = self.layout.place(value)
        lead = (0,) * (len(self.shape) - len(value.shape))
        return lead + tuple(0 if n == 1 else s for n, s in zip(value.shape, place.strides))

    def reduction_strides(self, step: Step) -> tuple[int, ...]:
        axes = reduced_axes(step) or ()
        strides = list(self.layout.place(step.out).strides)
        if step.params.get("keepdims"):
            return tuple(0 if i in axes or n == 1 else s for i, (s, n) in enumerate(zip(strides, self.shape)))
        return tuple(0 if i in axes else strides.pop(0) for i in range(len(self.shape)))

    def accesses(self) -> list[tuple[int, ...]]:
        found = []
        for step in [self.scattered] if self.scattered else self.unit.steps:
            reduced = reduced_axes(step) is not None
            if step.out in self.layout.kept and not self.scattered:
                found.append(self.reduction_strides(step) if reduced else self.strides_of(step.out))
            args = step.args
            keys = gathered(step) if getattr(step.function, "__name__", "") in ("getitem", "updated") else None
            if keys is not None:
                args = (*keys, *args[2:])
            found += [self.strides_of(v) for v in values_in(args) if self.constant(v) is None]
            if reduced:
                found.append(self.reduction_strides(step))
        return [f for f in found if len(f) == len(self.shape)]

    def loop_dims(self) -> list[list[tuple[int, int]]]:
        """Of each loop, outer ones first: the axes it runs over, with their lengths; axes that can be are one loop."""
        axes = [i for i, n in enumerate(self.shape) if n > 1]
        accesses = self.accesses()
        if accesses:
            axes.sort(key=lambda i: -accesses[0][i] if accesses[0][i] else -self.layout_order(i, accesses))
        loops: list[list[tuple[int, int]]] = []
        for i in axes:
            if loops:
                j, _ = loops[-1][-1]
                if all(a[j] == a[i] * self.shape[i] for a in accesses):
                    loops[-1].append((i, self.shape[i]))
                    continue
            loops.append([(i, self.shape[i])])
        return loops

    @staticmethod
    def layout_order(i: int, accesses: list) -> int:
        return max(a[i] for a in accesses)

    def index(self, strides: tuple[int, ...]) -> str:
        parts = []
        for depth, axes in enumerate(self.dims):
            stride = strides[axes[-1][0]]
            if stride:
                parts.append(f"i{depth}" if stride == 1 else f"{stride} * i{depth}")
        return " + ".join(parts) or "0"

    # --- what is read and written -------------------------------------------------------------------------------------

    def pointer(self, value: Value) -> str:
        address = self.printer.address(self.layout.place(value), value.dtype)
        return self.pointers.setdefault(address, f"p{len(self.pointers)}")

    @staticmethod
    def constant(value: Value) -> Any:
        """The one number of a constant that has only one."""
        if value.source is None or value.source.kind != "constant":
            return None
        array = np.asarray(value.source.read())
        if not array.size:
            return None
        first = array.reshape(-1)[0]
        return first if array.size == 1 or 0 not in (first,) and bool((array == first).all()) else None

    def name(self, x: Any) -> tuple[str, Any]:
        """(an argument as it is written, its dtype; None for Python's numbers)"""
        if not isinstance(x, Value):
            if isinstance(x, np.generic):
                return literal(x), x.dtype
            return literal(x), None
        if x in self.local:
            return self.local[x], np.dtype(x.dtype)
        number = self.constant(x)
        if number is not None:
            return literal(number), number.dtype
        strides = self.strides_of(x)
        return self.load(x, self.index(strides)), np.dtype(x.dtype)

    def load(self, x: Value, index: str) -> str:
        pointer = self.pointer(x)
        key = pointer, index
        if key not in self.local:
            self.local[key] = name = self.fresh("x")
            text = f"{name} = {pointer}[{index}]" + (" != 0" if code(x.dtype) == "b1" else "")
            (self.before if index == "0" and self.dims else self.loads).append(text)
        return self.local[key]

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def store(self, out: Value, index: str, text: str) -> None:
        if code(out.dtype) == "b1":
            text = f"np.uint8({text})"
        self.stores.append(f"{self.pointer(out)}[{index}] = {text}")

    # --- steps --------------------------------------------------------------------------------------------------------

    def call(self) -> None:
        """Print the function, if there is none like it, and its call."""
        if self.scattered is not None:
            self.scatter_step(self.scattered)
        else:
            for step in self.unit.steps:
                if reduced_axes(step) is not None:
                    self.reduce_step(step)
                else:
                    name = self.fresh("v")
                    self.lines.append(f"{name} = {self.expression(step)}")
                    self.local[step.out] = name
                    if step.out in self.layout.kept:
                        self.store(step.out, self.index(self.strides_of(step.out)), name)
        text = self.text()
        printer = self.printer
        known = printer.loops.get(text)
        name = printer.loops.setdefault(text, f"loop_{len(printer.loops) + 1}")
        if known is None:
            printer.functions.append("@njit(**OPTIONS)\n" + text.replace("def loop(", f"def {name}("))
        call = f"{name}({', '.join(self.pointers)})"
        printer.body += [f"if {call}:", "    return 1"] if self.fails else [call]

    def text(self) -> str:
        lines = ["apart()", *self.before]
        if self.fails:
            lines.append("bad = False")
        lines += self.nest(0)
        if self.fails:
            lines.append("return bad")
        return "\n".join([f"def loop({', '.join(self.pointers.values())}):", *_indented(lines)]) + "\n"

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

    def expression(self, step: Step) -> str:
        """A step as an expression in numbers."""
        function, out = step.function, step.out
        texts = [self.name(x) for x in step.args] if function.__name__ != "getitem" else []
        if function.__name__ == "getitem":
            return self.element(step.args[0], step)
        if function in (cast, copied, as_array):
            return self.converted(*texts[0], out.dtype)
        if function is np.where:
            (condition, kind), *rest = texts
            if kind is not None and code(kind) != "b1":
                condition = f"{condition} != 0"
            one, other = (self.converted(*r, out.dtype) for r in rest)
            return f"{one} if {condition} else {other}"
        dtype = common_dtype(step.args)
        if function in COMPARISONS:
            return COMPARISONS[function].format(*(f"({self.converted(*t, dtype)})" for t in texts))
        given = [self.converted(*t, out.dtype) for t in texts]
        template = TEMPLATES[function]
        if code(out.dtype) == "f4" and template in ("np.exp({})", "np.tanh({})"):
            template = template[3:].replace("(", "_f4(")
        template = template.replace("one", f"{dtype_text(out.dtype)}(1)")
        text = template.format(*given)
        return f"{dtype_text(np.dtype(out.dtype))}({text})" if template[0] not in "{-" or "**" in template else text

    @staticmethod
    def converted(text: str, dtype: Any, to: Any) -> str:
        to = np.dtype(to)
        if dtype is not None and np.dtype(dtype) == to:
            return text
        if code(to) == "b1":
            return f"({text} != 0)"
        return f"{dtype_text(to)}({text})"

    def element(self, x: Value, step: Step) -> str:
        """x[i, j, …] with indices from arrays."""
        keys = gathered(step) or []
        index = self.position(x, keys)
        text = f"{self.pointer(x)}[{index}]"
        return f"{text} != 0" if code(x.dtype) == "b1" else text

    def position(self, x: Value, keys: list) -> str:
        """Where x[keys] lies; indices out of range are noted."""
        parts = []
        for key, n, stride in zip(keys, x.shape, self.layout.place(x).strides):
            text, _ = self.name(key)
            array = key.source.read() if key.source is not None and key.source.kind == "constant" else None
            if array is None or array.min() < 0 or array.max() >= n:
                self.fails = True
                k = self.fresh("k")
                self.lines += [f"{k} = {text} + {n} if {text} < 0 else {text}", f"if {k} < 0 or {k} >= {n}:",
                               "    bad = True", f"    {k} = 0"]
                text = k
            parts.append(f"{stride} * {text}")
        return " + ".join(parts) or "0"

    def scatter_step(self, step: Step) -> None:
        text, dtype = self.name(step.args[2])
        index = self.position(step.out, gathered(step) or [])
        self.store(step.out, index, self.converted(text, dtype, step.out.dtype))

    def reduce_step(self, step: Step) -> None:
        """Sums and the like: in a local number where the loops over the reduced axes are the inner ones."""
        ufunc = step.function.__self__  # type: ignore[attr-defined]
        out, kind = step.out, code(step.out.dtype)
        strides = self.reduction_strides(step)
        axes = reduced_axes(step) or ()
        kept = [d for d, loop in enumerate(self.dims) if loop[-1][0] not in axes]
        depth = len(kept)
        text, dtype = self.name(step.args[0])
        inner = kept == list(range(depth))
        widened = inner and kind == "f4" and ufunc in (np.add, np.multiply)
        wide = np.dtype(np.float64 if widened else out.dtype)
        start = step.params.get("initial")
        first = f"{dtype_text(wide)}({REDUCED[ufunc] if start is None else literal(start)})"
        if start is None and ufunc in (np.maximum, np.minimum):
            low = ufunc is np.maximum
            limit = np.iinfo(np.int64).min + 1 if low else np.iinfo(np.int64).max
            first = f"{dtype_text(wide)}({limit if kind == 'i8' else '-np.inf' if low else 'np.inf'})"
        total = self.fresh("total")
        x = self.converted(text, dtype, wide)
        summed = {np.add: f"add_up({total}, {x})" if kind != "i8" else f"{total} + {x}",
                  np.multiply: f"{total} * {x}", np.maximum: f"maximum({total}, {x})",
                  np.minimum: f"minimum({total}, {x})"}[ufunc]  # fmt: skip
        index = self.index(strides)
        if inner:
            self.inits.setdefault(depth, []).append(f"{total} = {first}")
            if widened and ufunc is np.add and depth < len(self.dims):
                part = self.fresh("part")
                self.parts[part] = total
                self.lines.append(f"{part} = add_up({part}, {self.converted(text, dtype, out.dtype)})")
            else:
                self.lines.append(f"{total} = {summed}")
            self.after.setdefault(depth, []).append(
                f"{self.pointer(out)}[{index}] = {self.converted(total, wide, out.dtype)}")
            return
        pointer, size = self.pointer(out), max(math.prod(out.shape), 1)
        self.before += [f"for j in range({size}):", f"    {pointer}[j] = {first}"]
        self.lines += [f"{total} = {pointer}[{index}]", f"{pointer}[{index}] = {summed}"]
