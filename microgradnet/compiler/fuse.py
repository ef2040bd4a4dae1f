"""Fusing: which steps of a simplified program are done together.

Elementwise steps of one shape, and the sums over what they give, become one loop, in which only what others need is put
into memory. A product takes the sum that follows along (`products`).
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Op
from .calls import Refusal, is_ufunc_method, updated
from .products import is_product, with_copies, with_products
from .program import Program, Step, Value, values_in
from .samples import Samples
from .scalars import DTYPES, code, gathered, is_elementwise, reduced_axes

LONGEST = 100  # steps in one loop: compilers take long over long functions


def fused(program: Program) -> tuple[Program, Samples, dict[Value, Value], list[Unit]]:
    """(the program with its products, samples of its values, what shows whose memory, its units)"""
    program = with_products(program)
    samples = _Samples()
    for step in program.steps:
        samples.run(step)
    program = Program(with_copies(program.steps, samples), program.outputs, program.writes)
    roots = shown_by(program, samples)
    return program, samples, roots, grouped(program, samples, lambda v: roots.get(v, v), set(roots))


@dataclasses.dataclass(eq=False, slots=True)
class Unit:
    """Steps that are done together.

    kind: "loop", over `shape`; "product"; "check", a refusal; "scatter"; or "numpy", a call of NumPy.
    """

    kind: str
    steps: list[Step]
    shape: tuple[int, ...] = ()
    position: int = 0

    @property
    def outs(self) -> list[Value]:
        return [out for step in self.steps for out in (step.out if isinstance(step.out, tuple) else (step.out,))]

    def reads(self) -> list[Value]:
        """Values from elsewhere, as often as they are read."""
        own = set(self.outs)
        args = (step.args[:1] if self.kind == "check" else (step.args, step.params) for step in self.steps)
        return [v for v in values_in(tuple(args)) if v not in own]


def kind_of(step: Step, shown: bool) -> tuple[str, tuple[int, ...]]:
    """What a step becomes, and the shape over which it loops. shown: it only shows memory of another value."""
    if isinstance(step.function, Refusal):
        return "check", ()
    if shown:
        return "view", ()
    if is_product(step):
        return "product", ()
    if reduced_axes(step) is not None:
        return "loop", tuple(step.args[0].shape)
    if is_elementwise(step):
        return "loop", tuple(step.out.shape)
    if step.function is updated and gathered(step) is not None and code(step.out.dtype) in DTYPES and (
            all(0 not in v.shape for v in values_in(step.args))):  # fmt: skip
        return "scatter", ()
    return "numpy", ()


def grouped(program: Program, samples: Samples, root: Callable[[Value], Value], shown: set[Value]) -> list[Unit]:
    """The units of a program in the order in which they are done.

    From the last step to the first, each joins the first loop of its shape that comes before its readers, if it has to
    do with that: its result, or what it reads, is read there.
    """
    units: list[Unit] = []
    readers: dict[Value, list[Unit]] = {}  # of a value, or of what shows its memory
    lookers: dict[Value, list[Unit]] = {}  # of what shows its memory
    for step in reversed(program.steps):
        kind, shape = kind_of(step, isinstance(step.out, Value) and step.out in shown)
        if kind == "view":
            continue
        unit = _loop_for(step, shape, units, readers, lookers) if kind == "loop" else None
        if unit is None:
            unit = Unit(kind, [], shape, -len(units))
            units.append(unit)
        unit.steps.insert(0, step)
        read = step.args[:1] if kind == "check" else (step.args, step.params)
        for value in values_in(read):
            readers.setdefault(value, []).append(unit)
            if root(value) is not value:
                readers.setdefault(root(value), []).append(unit)
                lookers.setdefault(root(value), []).append(unit)
    return sorted(units, key=lambda unit: unit.position)


def _loop_for(step: Step, shape: tuple, units: list[Unit], readers: dict, lookers: dict) -> Unit | None:
    reading = readers.get(step.out, [])
    for unit in sorted(units, key=lambda unit: unit.position):
        if any(r.position < unit.position for r in reading):
            return None
        if unit.kind != "loop" or unit.shape != shape or len(unit.steps) >= LONGEST:
            continue
        if unit in reading and (unit in lookers.get(step.out, ()) or not _read_in_place(step, unit)):
            return None
        mine = {v for v in values_in(step.args) if v.shape == shape}
        if shape == () or unit in reading or not mine.isdisjoint(v for s in unit.steps for v in values_in(s.args)):
            return unit
    return None


def _read_in_place(step: Step, unit: Unit) -> bool:
    """Whether all that a loop reads of a step's result is the element that it has just made."""
    if reduced_axes(step) is not None or step.out.shape != unit.shape:
        return False
    for reader in unit.steps:
        if step.out in values_in(reader.args):
            if reader.function is operator.getitem and reader.args[0] is step.out:
                return False
            if any(step.out in values_in(k) for k in reader.args[1:] if isinstance(k, (tuple, list))):
                return False
    return True


# --- memory -----------------------------------------------------------------------------------------------------------


class _Samples(Samples):
    """Samples of which none has gaps: what an operation makes, and what has the shape of its data, is put in order."""

    def run(self, step: Step) -> None:
        if not isinstance(step.function, Op):
            Samples.run(self, step)
        for out in step.out if isinstance(step.out, tuple) else (step.out,):
            sample = self[out]
            if not isinstance(sample, np.ndarray) or any(
                    isinstance(self[v], np.ndarray) and np.may_share_memory(sample, self[v])
                    for v in values_in(step.args[:1])):  # fmt: skip
                continue
            if sample.shape != tuple(out.shape) or np.empty_like(sample).strides != sample.strides:
                self[out] = np.ones(out.shape, out.dtype)


def shown_by(program: Program, samples: Samples) -> dict[Value, Value]:
    """Of each value that only shows another's memory: that one, through all views."""
    root: dict[Value, Value] = {}
    for step in program.steps:
        out = step.out
        if isinstance(step.function, (Op, Refusal)) or not isinstance(out, Value) or not step.args:
            continue
        sample, first = samples[out], step.args[0]
        if not isinstance(sample, np.ndarray) or not isinstance(first, Value) or is_ufunc(step.function):
            continue
        of = samples[first]
        if isinstance(of, np.ndarray) and of.dtype == sample.dtype and np.may_share_memory(of, sample):
            root[out] = root.get(first, first)
    return root


def is_ufunc(function: Any) -> bool:
    """Whether a function is a ufunc, or its `reduce`."""
    return isinstance(function, np.ufunc) or is_ufunc_method(function, "reduce")
