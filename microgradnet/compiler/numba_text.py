"""A native program as text: functions of numbers and of memory, which numba compiles.

Each unit is a few lines of a function `segment_n`, which computes addresses and calls loops and products. Those that
read the same are one function.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from .calls import copied
from .fuse import Unit
from .layout import Layout, Place
from .naming import dtype_text, literal, number_text
from .numba_loops import print_loop
from .numba_products import Matrix, blas_call, by_rows, small_product
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
        self.known: dict[str, str] = {}  # text of a function -> its name
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
        """α a b + β c."""
        step = unit.steps[0]
        kind, factors = code(step.out.dtype), ["1", "0"]
        if step.function is scaled_product:
            factors = [f"{'-' if sign < 0 else ''}{self.number(x)}"
                       for sign, x in zip(step.params["signs"], step.args[3:])]  # fmt: skip
            if self.layout.home[step.out].of is not step.args[2]:
                self.copy(step.args[2], step.out)
        alpha, beta = (f"{dtype_text(step.out.dtype)}({x})" for x in factors)
        a, b, c = by_rows(*map(self.matrix, (*step.args[:2], step.out)))
        text = small_product(kind, a, b, c, step.function is scaled_product)
        if text is None:
            self.body.append(blas_call(kind, a, b, c, alpha, beta))
        else:
            name = self.function("product", text)
            self.body.append(f"{name}({a.address}, {b.address}, {c.address}, {alpha}, {beta})")

    def matrix(self, value: Value) -> Matrix:
        place = self.layout.place(value)
        rows, columns = (0 if n == 1 else stride for n, stride in zip(value.shape, place.strides))
        return Matrix(self.address(place, value.dtype), value.shape, (rows, columns))  # type: ignore[arg-type]

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
        loop = print_loop(self.layout, unit, self.address)
        call = f"{self.function('loop', loop.text)}({', '.join(loop.arguments)})"
        self.body += [f"if {call}:", "    return 1"] if loop.fails else [call]

    def function(self, stem: str, text: str) -> str:
        """The name of the function of a text, in which it is NAME."""
        name = self.known.get(text)
        if name is None:
            name = self.known[text] = f"{stem}_{sum(known.startswith(stem) for known in self.known.values()) + 1}"
            self.functions.append(text.replace("NAME", name))
        return name
