"""Where the values of a native program live: in memory of its own, in a state's place, or in what a call returns.

Only what one unit leaves for another lives anywhere. A view is a place in another value's memory with strides of its
own, and costs nothing.
"""

from __future__ import annotations

import dataclasses
import operator
from typing import Any

import numpy as np

from .calls import copied
from .fuse import Unit
from .naming import is_number
from .plan import may_refuse
from .program import Program, Step, Value, values_in
from .samples import Samples
from .scalars import reduced_axes


@dataclasses.dataclass(slots=True)
class Home:
    """Memory: `offset` bytes into the program's own (`of` is None), or an array from outside, or one to be returned.

    size: bytes of the program's own that it takes.
    """

    of: Value | None = None
    offset: int = 0
    size: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a value lies in the memory of `root`, counted in elements."""

    root: Value
    offset: int
    strides: tuple[int, ...]


class Layout:
    """Places of all values.

    units: those given, then copies that remain: into what is returned, and into states. returned: the Values of
    `program.outputs` that are arrays or numbers, each with the Value that is to hold it. numbers: pairs of a target and
    what holds its new value. size: bytes of the program's own memory.
    """

    def __init__(self, program: Program, samples: Samples, roots: dict[Value, Value], units: list[Unit]) -> None:
        self.program, self.samples, self.roots = program, samples, roots
        self.home: dict[Value, Home] = {}
        self.size = 0
        self.free: dict[int, list[int]] = {}
        self.units = list(units)
        self.maker = {out: unit for unit in units for out in unit.outs}
        self.ends: dict[Value, Home] = {}
        self._outputs()
        self._writes()
        self._settle()

    # --- where a value is ---------------------------------------------------------------------------------------------

    def root(self, value: Value) -> Value:
        return self.roots.get(value, value)

    def place(self, value: Value) -> Place:
        """Where a value lies, by its sample."""
        root = self.root(value)
        sample, whole = self.samples[value], self.samples[root]
        if not isinstance(sample, np.ndarray) or not sample.shape:
            offset = 0
            if root is not value:
                offset = (sample.__array_interface__["data"][0] - whole.__array_interface__["data"][0])
                offset //= sample.itemsize
            return Place(root, offset, ())
        offset = sample.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
        strides = tuple(s // sample.itemsize for s in sample.strides)
        return Place(root, offset // sample.itemsize, strides)

    def read_as_a_whole(self, unit: Unit, root: Value, like: Value) -> bool:
        """Whether a loop reads of `root` only the element that it is to write into `like`."""
        if unit.kind != "loop" or self.samples_of(like).strides != self.samples_of(root).strides:
            return False
        for step in unit.steps:
            for i, arg in enumerate(step.args):
                for value in values_in((arg,)):
                    if self.root(value) is root:
                        plain = arg is root and root.shape == unit.shape and (i == 0 or not isinstance(arg, tuple))
                        if not plain or step.function is operator.getitem:
                            return False
        return True

    def samples_of(self, value: Value) -> Any:
        return np.asarray(self.samples[value])

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _copy_of(self, value: Value, home: Home | None) -> Value:
        """A unit at the end that copies a value."""
        held = Value(value.shape, value.dtype, "result")
        self.samples[held] = np.empty(value.shape, np.dtype(value.dtype)) if home is None or home.of is held else (
            np.empty_like(self.samples_of(value)))  # fmt: skip
        self.units.append(Unit("loop", [Step(copied, (value,), {}, held)], tuple(value.shape)))
        self.maker[held] = self.units[-1]
        if home is not None:
            self.ends[held] = home
        return held

    def _outputs(self) -> None:
        """What is returned is made in memory of its own, or copied there."""
        self.returned: list[tuple[Value, Value]] = []
        new_states = {new for _, new in self.program.writes}
        taken: set[Value] = set()
        for value in dict.fromkeys(values_in(self.program.outputs)):
            unit = self.maker.get(value)
            held = value
            if unit is None or unit.kind == "numpy" or value in taken or value in new_states or is_number(value) or (
                    not self.samples_of(value).flags.c_contiguous):  # fmt: skip
                held = self._copy_of(value, None)
            taken.add(held)
            self.returned.append((value, held))
            self.ends[held] = Home(held)

    def _writes(self) -> None:
        self.numbers: list[tuple[Value, Value]] = []
        written = {target for target, _ in self.program.writes}
        self.states: list[tuple[Value, Value]] = []  # copies that remain
        for target, new in self.program.writes:
            if is_number(target):
                held = self._copy_of(new, None)
                self.numbers.append((target, held))
                self.ends[held] = Home(held)
            elif self._fits(target, new):
                self.ends[new] = Home(target)
            else:
                self.states.append((target, new))
        old = {new: self._copy_of(new, None) for _, new in self.states if self.root(new) in written or (
            self.root(new) in self.ends)}  # fmt: skip
        for target, new in self.states:
            held = self._copy_of(old.get(new, new), Home(target))
            self.samples[held] = self.samples[target]
            self.ends[held] = Home(target)

    def _fits(self, target: Value, new: Value) -> bool:
        """Whether a new value may be made in the place of the old one."""
        unit = self.maker.get(new)
        if unit is None or unit.kind in ("numpy", "check") or new in self.ends or target.dtype != new.dtype:
            return False
        if target.shape != new.shape or self.samples_of(target).strides != self.samples_of(new).strides:
            return False
        at = self.units.index(unit)
        if any(target is self.root(value) for other in self.units[at + 1 :] for value in other.reads()):
            return False
        at_the_end = (*values_in(self.program.outputs), *(n for _, n in self.program.writes))
        if any(target is self.root(value) for value in at_the_end):
            return False
        if any(may_refuse(step) for other in self.units[at:] for step in other.steps):
            return False
        reads = [value for value in unit.reads() if self.root(value) is target]
        if unit.kind == "loop":
            step = next(step for step in unit.steps if step.out is new)
            return not reads or reduced_axes(step) is None and self.read_as_a_whole(unit, target, new)
        if unit.kind == "product" and len(unit.steps[0].args) > 2:
            return reads == [target] and unit.steps[0].args[2] is target
        return not reads

    # --- memory -------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Give every value that is left for another unit its memory, which is used again when nobody reads it."""
        last: dict[Value, int] = {}
        for i, unit in enumerate(self.units):
            for value in unit.reads():
                last[self.root(value)] = i
        self.kept = {value for unit in self.units for value in unit.outs
                     if value in last or value in self.ends or unit.kind == "numpy"}
        outside = [v for v in (*last, *(t for t, _ in self.program.writes)) if v.source is not None]
        for value in dict.fromkeys(outside):
            self.home[value] = self._own(value) if is_number(value) else Home(value)
        for i, unit in enumerate(self.units):
            dying = [v for v in dict.fromkeys(map(self.root, unit.reads()))
                     if last[v] == i and v.source is None and self.home[v].size]
            for out in unit.outs:
                if out not in self.kept:
                    continue
                self.home[out] = self.ends.get(out) or self._taken_over(unit, out, dying) or self._own(out)
            for value in [*dying, *(out for out in unit.outs if out in self.kept and out not in last)]:
                if self.home[value].size:
                    self.free.setdefault(self.home[value].size, []).append(self.home[value].offset)

    def _taken_over(self, unit: Unit, out: Value, dying: list[Value]) -> Home | None:
        """The memory of what a loop reads for the last time."""
        step = next(step for step in unit.steps if out is step.out or out in values_in((step.out,)))
        if unit.kind == "scatter":
            x = step.args[0]
            if x in dying and [self.root(v) for v in unit.reads()].count(x) == 1:
                dying.remove(x)
                return self.home[x]
        if unit.kind != "loop" or reduced_axes(step) is not None or out.shape != unit.shape:
            return None
        for value in dying:
            alike = value.shape == out.shape and np.dtype(value.dtype) == np.dtype(out.dtype)
            if alike and self.read_as_a_whole(unit, value, out):
                dying.remove(value)
                return self.home[value]
        return None

    def _own(self, value: Value) -> Home:
        nbytes = max(self.samples_of(value).size, 1) * np.dtype(value.dtype).itemsize
        size = -(-nbytes // 64) * 64 if nbytes > 8 else 8
        waiting = self.free.get(size)
        if waiting:
            return Home(None, waiting.pop(), size)
        if size > 8:
            self.size = -(-self.size // 64) * 64
        self.size += size
        return Home(None, self.size - size, size)
