"""Matrix products in native code: each tile of a result is added up in vector registers.

For small matrices this is up to twice as fast as BLAS, which first copies its operands into an order of its own and may
wake other threads. Sizes and strides are known when the code is made. Only programs of the numba backend import this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .numba_products import LANE

Steps = tuple[int, int]
_WHOLE = ir.IntType(64)


def tile(kind: str, vector: int, rows: int, columns: int, length: int, a_steps: Steps, b_steps: Steps, c_row: int,
         adds: bool) -> Callable:  # fmt: skip
    """c ← α a b + β c for one tile, as a function (a, its first element, b, …, c, …, α, β).

    kind: "f4" or "f8". vector: how many bytes it has. length: of the sums. Steps: by how many elements a row and a
    column move on. The rows of c lie in one piece each, `c_row` apart; so do those of b, or those of a and the columns
    of b. adds: whether β c is added.
    """
    element = {"f4": types.float32, "f8": types.float64}[kind]
    memory = types.CPointer(element)

    @intrinsic
    def tile(context: Any, a: Any, a_at: Any, b: Any, b_at: Any, c: Any, c_at: Any, alpha: Any, beta: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            a, a_at, b, b_at, c, c_at, alpha, beta = args
            real = ir.FloatType() if kind == "f4" else ir.DoubleType()
            writer = _Writer(builder, real, vector, rows, columns, length)
            a, b, c = (builder.gep(x, [at]) for x, at in ((a, a_at), (b, b_at), (c, c_at)))
            if a_steps[1] == b_steps[0] == 1:
                totals = writer.inner(a, a_steps[0], b, b_steps[1])
            else:
                totals = writer.outer(a, a_steps, b, b_steps[0])
            for i, j, width, total in totals:
                writer.finish(c, i * c_row + j, width, total, alpha, beta if adds else None)
            return context.get_dummy_value()

        return types.none(memory, types.int64, memory, types.int64, memory, types.int64, element, element), generate

    return tile


class _Writer:
    """Writes a tile in LLVM's instructions, in vectors of one kind of number."""

    def __init__(self, builder: Any, real: Any, vector: int, rows: int, columns: int, length: int) -> None:
        self.builder, self.real, self.rows, self.columns, self.length = builder, real, rows, columns, length
        self.bytes = 4 if isinstance(real, ir.FloatType) else 8
        self.width = vector // self.bytes
        self.lane = LANE // self.bytes

    # --- the sums: (row, column, how many columns, their sums) ------------------------------------------------------

    def outer(self, a: Any, a_steps: Steps, b: Any, b_row: int) -> list[tuple[int, int, int, Any]]:
        """As a sum of outer products: one number of a times a piece of a row of b."""
        pieces = self.pieces(self.columns)
        sums = {(i, j): _Sum(self.builder, self.type(width)) for i in range(self.rows) for j, width in pieces}
        with cgutils.for_range(self.builder, ir.Constant(_WHOLE, self.length)) as loop:
            row = [self.load(b, width, loop.index, b_row, j) for j, width in pieces]
            for i in range(self.rows):
                x = self.load(a, 1, loop.index, a_steps[1], i * a_steps[0])
                for (j, width), y in zip(pieces, row):
                    sums[i, j].add(self.spread(x, width), y)
        return [(i, j, width, sums[i, j].value()) for i in range(self.rows) for j, width in pieces]

    def inner(self, a: Any, a_row: int, b: Any, b_column: int) -> list[tuple[int, int, int, Any]]:
        """As inner products: pieces of rows of a times pieces of columns of b."""
        builder, places = self.builder, [(i, j) for i in range(self.rows) for j in range(self.columns)]
        groups = [range(j, min(j + self.lane, self.columns)) for j in range(0, self.columns, self.lane)]

        def sums_of(width: int, count: int, start: int) -> list[Any]:
            sums = {place: _Sum(builder, self.type(width)) for place in places}
            with cgutils.for_range(builder, ir.Constant(_WHOLE, count)) as loop:
                row = [self.load(a, width, loop.index, width, i * a_row + start) for i in range(self.rows)]
                for j in range(self.columns):
                    y = self.load(b, width, loop.index, width, j * b_column + start)
                    for i in range(self.rows):
                        sums[i, j].add(row[i], y)
            return [self.added_up([sums[i, j].value() for j in group], width)
                    for i in range(self.rows) for group in groups]  # fmt: skip

        whole = self.length // self.width
        totals = sums_of(self.width, whole, 0)
        for start, width in self.pieces(self.length % self.width):
            totals = [*map(builder.fadd, totals, sums_of(width, 1, whole * self.width + start))]
        found = zip([(i, group) for i in range(self.rows) for group in groups], totals)
        return [(i, group[start], width, self.part(total, start, width))
                for (i, group), total in found for start, width in self.pieces(len(group))]  # fmt: skip

    # --- vectors ----------------------------------------------------------------------------------------------------

    def pieces(self, n: int) -> list[tuple[int, int]]:
        """(start, length) of vectors that cover n numbers: as many whole ones as there are, then halves, quarters, …"""
        found, start, width = [], 0, self.width
        while start < n:
            while width > n - start:
                width //= 2
            found.append((start, width))
            start += width
        return found

    def type(self, width: int) -> Any:
        return self.real if width == 1 else ir.VectorType(self.real, width)

    def at(self, memory: Any, width: int, offset: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(memory, [offset]), self.type(width).as_pointer())

    def load(self, memory: Any, width: int, index: Any, step: int, offset: int) -> Any:
        """The numbers from memory[index · step + offset] on."""
        moved = self.builder.mul(index, ir.Constant(_WHOLE, step))
        where = self.builder.add(moved, ir.Constant(_WHOLE, offset))
        return self.builder.load(self.at(memory, width, where), align=self.bytes)

    def spread(self, x: Any, width: int) -> Any:
        """A vector of equal numbers."""
        if width == 1:
            return x
        nothing = ir.Constant(self.type(width), ir.Undefined)
        first = self.builder.insert_element(nothing, x, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), width), None))

    def added_up(self, several: list[Any], width: int) -> Any:
        """The sums of at most `lane` vectors, each of its numbers, as one vector of as many.

        Neighbours are added, which makes one vector of two: fewer steps than to add up each for itself.
        """
        several = [self.widened(x, width) for x in several]
        width = max(width, self.lane)
        several += [ir.Constant(self.type(width), None)] * (self.lane - len(several))
        while len(several) > 1:
            several = [*map(self.neighbours_added, several[::2], several[1::2])]
        (total,) = several
        while width > self.lane:
            width //= 2
            total = self.builder.fadd(self.part(total, 0, width), self.part(total, width, width))
        return total

    def neighbours_added(self, x: Any, y: Any) -> Any:
        """In each lane the sums of two neighbours each, first those of x, then those of y."""
        n, lane = x.type.count, self.lane
        even = [first + i for start in range(0, n, lane) for first in (start, n + start) for i in range(0, lane, 2)]
        return self.builder.fadd(self.chosen(x, y, even), self.chosen(x, y, [i + 1 for i in even]))

    def widened(self, x: Any, width: int) -> Any:
        """A vector, or a number, with zeros behind it, so that it fills a lane."""
        if width >= self.lane:
            return x
        if width == 1:
            zeros = ir.Constant(self.type(self.lane), None)
            return self.builder.insert_element(zeros, x, ir.Constant(ir.IntType(32), 0))
        return self.chosen(x, ir.Constant(x.type, None), [min(i, width) for i in range(self.lane)])

    def part(self, x: Any, start: int, width: int) -> Any:
        """Numbers of a vector: a shorter one, or a single one."""
        if width == 1:
            return self.builder.extract_element(x, ir.Constant(ir.IntType(32), start))
        return self.chosen(x, ir.Constant(x.type, ir.Undefined), [*range(start, start + width)])

    def chosen(self, x: Any, y: Any, places: list[int]) -> Any:
        """A vector of the numbers at some places of two vectors, those of y counted on from those of x."""
        return self.builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places))

    def finish(self, c: Any, offset: int, width: int, total: Any, alpha: Any, beta: Any) -> None:
        """c ← α total + β c at one place."""
        builder, place = self.builder, self.at(c, width, ir.Constant(_WHOLE, offset))
        result = builder.fmul(self.spread(alpha, width), total)
        if beta is not None:
            old = builder.load(place, align=self.bytes)
            kept = builder.fmul(self.spread(beta, width), old, flags=("contract",))
            result = builder.fadd(kept, result, flags=("contract",))
        builder.store(result, place, align=self.bytes)


class _Sum:
    """A register, or a part of one, to which products are added."""

    def __init__(self, builder: Any, type: Any) -> None:
        self.builder = builder
        self.slot = cgutils.alloca_once(builder, type)  # LLVM makes it a register
        builder.store(ir.Constant(type, None if isinstance(type, ir.VectorType) else 0.0), self.slot)

    def add(self, x: Any, y: Any) -> None:
        product = self.builder.fmul(x, y, flags=("contract",))
        self.builder.store(self.builder.fadd(self.value(), product, flags=("contract",)), self.slot)

    def value(self) -> Any:
        return self.builder.load(self.slot)
