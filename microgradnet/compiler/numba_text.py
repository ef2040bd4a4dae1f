"""A native program as text: functions of numbers and of memory, which numba compiles.

Each unit is a few lines of a function `segment_n`, which computes addresses and calls loops and BLAS. Loops that read
the same are one function.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from .calls import copied
from .fuse import Unit
from .layout import Layout, Place
from .naming import literal, number_text
from .numba_loops import print_loop
from .products import scaled_product
from .program import Step, Value
from .scalars import code

_LONGEST = 60  # lines of one function


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
            if len(self.body) >= _LONGEST:
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
        """α a b + β c as BLAS wants it, by columns. A result that lies by rows is (a b)ᵀ = bᵀ aᵀ."""
        step = unit.steps[0]
        a, b = step.args[:2]
        alpha, beta = "1", "0"
        if step.function is scaled_product:
            alpha, beta = (f"{'-' if sign < 0 else ''}{self.number(x)}"
                           for sign, x in zip(step.params["signs"], step.args[3:]))  # fmt: skip
            if self.layout.home[step.out].of is not step.args[2]:
                self.copy(step.args[2], step.out)
        shape, place = step.out.shape, self.layout.place(step.out)
        turned = not (place.strides[0] == 1 and 1 < shape[1] and shape[0] <= place.strides[1] != 1)
        operands = [self.operand(x, turned) for x in ((b, a) if turned else (a, b))]
        (rows, columns), inner = (shape[::-1] if turned else shape), a.shape[1]
        leading = place.strides[0 if turned else 1] if columns > 1 else rows
        kind = code(step.out.dtype)
        real, gemm = {"f4": ("np.float32", "table[1]"), "f8": ("np.float64", "table[2]")}[kind]
        self.body.append(
            f"gemm_{kind}({gemm}, {', '.join(str(turn) for turn, _ in operands)}, {rows}, {columns}, {inner}, "
            f"{real}({alpha}), {', '.join(text for _, text in operands)}, "
            f"{real}({beta}), {self.address(place, step.out.dtype)}, {leading})"
        )

    def operand(self, x: Value, turned: bool) -> tuple[int, str]:
        """(BLAS's letter: whether a matrix is turned once more, its memory and how far its columns lie apart)"""
        place = self.layout.place(x)
        rows, columns = x.shape[::-1] if turned else x.shape
        row, column = place.strides[::-1] if turned else place.strides
        by_columns = (row == 1 or rows == 1) and (column >= rows or columns == 1)
        leading = (column if columns > 1 else rows) if by_columns else row if rows > 1 else columns
        return ord("N" if by_columns else "T"), f"{self.address(place, x.dtype)}, {max(leading, 1)}"

    def number(self, x: Any) -> str:
        """A number as a segment reads it."""
        if isinstance(x, Value):
            if x.source is not None and x.source.kind == "constant":
                return number_text(np.asarray(x.source.read())[()])
            return f"{self.address(self.layout.place(x), x.dtype)}[0]"
        return literal(x.item() if isinstance(x, np.generic) else x)

    # --- checks and indices -------------------------------------------------------------------------------------------

    def check(self, unit: Unit) -> None:
        step = unit.steps[0]
        condition = self.number(step.args[0])
        expected = step.function.expected  # type: ignore[attr-defined]
        self.body += [f"if {condition} {'==' if expected else '!='} 0:", "    return 1"]

    def scatter(self, unit: Unit) -> None:
        step = unit.steps[0]
        x = step.args[0]
        if self.layout.home[step.out] != self.layout.home[self.layout.root(x)] or x.source is not None:
            self.copy(x, step.out)
        self.loop(unit)

    def copy(self, x: Value, out: Value) -> None:
        self.loop(Unit("loop", [Step(copied, (x,), {}, out)], tuple(out.shape)))

    def loop(self, unit: Unit) -> None:
        """The call of a loop, and its function, if there is none like it."""
        loop = print_loop(self.layout, unit, self.address)
        name = self.loops.get(loop.text)
        if name is None:
            name = self.loops[loop.text] = f"loop_{len(self.loops) + 1}"
            self.functions.append("@njit(**OPTIONS)\n" + loop.text.replace("def loop(", f"def {name}("))
        call = f"{name}({', '.join(loop.arguments)})"
        self.body += [f"if {call}:", "    return 1"] if loop.fails else [call]
