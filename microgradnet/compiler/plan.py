"""The plan: in which memory each value of a program lives.

A buffer is used again when the value in it has been read for the last time, or at once, when the step that reads it
last may write its result in its place. A new weight takes the old one's place if nothing reads the old one after that,
and so may what it is made from. What a call returns is made anew each time, or, if it is large, in memory that its
caller provides.
"""

from __future__ import annotations

import dataclasses
import operator
from typing import Any

import numpy as np

from ..graph import Op
from .calls import Draw, Refusal, cast, copied, is_ufunc_method, updated
from .pieces import Group, in_pieces
from .program import Program, Step, Value, values_in
from .samples import Samples, generator_of, samples_of


@dataclasses.dataclass(eq=False, slots=True)
class Buffer:
    """Memory that is the program's own: for arrays like `sample`."""

    sample: Any


@dataclasses.dataclass(eq=False, slots=True)
class Result:
    """Memory for what a call returns, an array like `sample`. The call is given it; else NumPy makes it."""

    sample: Any


LARGE_RESULT = 128 * 1024  # bytes that the C library asks the system for, page by page, and gives back


@dataclasses.dataclass(eq=False, slots=True)
class Plan:
    """A program, and where its values live.

    place: of a Value that a step writes by `out=`: a Buffer, or the Value of kind "state" in whose place it goes, or a
        Result.
    root: of a Value that shows another's memory: that one; else itself.
    fixed: the Values that show the same memory in each call: buffers, and views of these.
    copies: writes that are made at the end, in this order.
    returned: of the outputs, those that are memory of somebody else's and must be copied.
    groups: steps that are done piece by piece.
    """

    program: Program
    samples: Samples
    place: dict[Value, Any]
    root: dict[Value, Value]
    fixed: set[Value]
    copies: list[tuple[Value, Value]]
    returned: set[Value]
    groups: list[Group]

    @property
    def buffers(self) -> list[Buffer]:
        """In the order of their first use."""
        return list(dict.fromkeys(place for place in self.place.values() if isinstance(place, Buffer)))


def takes_out(step: Step, samples: Samples) -> bool:
    """Whether a step can write its result into memory that is there already. Numbers are quicker without."""
    function, out = step.function, step.out
    if not isinstance(out, Value) or not out.shape or isinstance(out.dtype, type) or step.view:
        return False
    if function is np.dot or isinstance(function, Op) and function.takes_out:
        return bool(samples[out].flags.c_contiguous)
    if function is np.where:
        return True
    if isinstance(function, np.ufunc):
        return function.nout == 1
    methods = is_ufunc_method(function, "reduce") or is_ufunc_method(function, "accumulate")
    return methods or function in (cast, copied, updated)


def _takes_none(step: Step) -> bool:
    """Whether it is a function of NumPy's with `out=None`."""
    return step.function not in (np.where, cast, copied, updated)


def may_refuse(step: Step) -> bool:
    """Whether the values that a step is given may make it raise an error: an index that is out of range, say."""
    function = step.function
    if isinstance(function, Op):
        return generator_of(step) is None
    if function in (operator.getitem, np.take, np.take_along_axis, updated):
        given = values_in((step.args[1:], step.params))
        return any(isinstance(v.dtype, np.dtype) and v.dtype.kind in "iu" for v in given)
    return isinstance(function, Refusal) or isinstance(function, Draw) and bool(step.args)


def _in_place(step: Step) -> bool:
    """Whether the result may take the place of an operand of its own shape. NumPy's sign is ten times as slow there."""
    return isinstance(step.function, np.ufunc) and step.function not in (np.matmul, np.sign)


def plan(program: Program) -> Plan:
    """Give every value its place."""
    return _Planner(program).run()


class _Planner:
    def __init__(self, program: Program) -> None:
        self.program, self.samples = program, samples_of(program)
        self.root: dict[Value, Value] = {}
        self.place: dict[Value, Any] = {}
        self.free: dict[Any, list[Buffer]] = {}
        self.fresh: set[Value] = set()
        self.end = len(program.steps)

    def run(self) -> Plan:
        program = self.program
        for step in program.steps:
            for out in _outs(step):
                shown = self.shown_by(out, step)
                if shown is not None:
                    self.root[out] = self.root_of(shown)
        self.program, groups = in_pieces(program, self.samples, self.root)
        self.groups = {step: group for group in groups for step in group.steps}
        program = self.program
        self.last = self.last_uses()
        self.targets = self.targets_in_place()
        outputs = {self.root_of(v) for v in values_in(program.outputs)}
        self.fresh = {v for v in outputs if v.source is None}
        for i, step in enumerate(program.steps):
            if takes_out(step, self.samples):
                if step.out not in self.fresh:
                    self.place[step.out] = self.place_for(i, step)
                elif _takes_none(step) and self.samples[step.out].nbytes >= LARGE_RESULT:
                    self.place[step.out] = Result(self.samples[step.out])
            self.release(i, step)
        copies = [(target, new) for target, new in program.writes if self.place.get(new) is not target]
        returned = {v for v in values_in(program.outputs)
                    if self.root_of(v) not in self.fresh and not isinstance(v.dtype, type)}
        return Plan(program, self.samples, self.place, self.root, self.fixed(), copies, returned, groups)

    def shown_by(self, out: Value, step: Step) -> Value | None:
        """The argument whose memory a result shows."""
        sample = self.samples[out]
        if not isinstance(sample, np.ndarray) or takes_out(step, self.samples):
            return None
        arguments = [v for v in values_in((step.args, step.params)) if isinstance(self.samples[v], np.ndarray)]
        shown = next((v for v in arguments if np.may_share_memory(sample, self.samples[v])), None)
        if shown is None and step.view and isinstance(step.function, Op) and arguments:
            return arguments[0]  # it may
        return shown

    def root_of(self, value: Value) -> Value:
        return self.root.get(value, value)

    def last_uses(self) -> dict[Value, int]:
        """Of each root: the step that reads it last, through whatever view."""
        last: dict[Value, int] = {}
        index = {step: i for i, step in enumerate(self.program.steps)}
        for i, step in enumerate(self.program.steps):
            group = self.groups.get(step)
            for value in values_in((step.args, step.params)):
                last[self.root_of(value)] = i
                if group is not None and value not in group.local and not group.cuts(value):
                    last[self.root_of(value)] = index[group.steps[-1]]  # every piece reads all of it
            for out in _outs(step):
                last.setdefault(self.root_of(out), i)
        for value in values_in(self.program.outputs):
            last[self.root_of(value)] = self.end
        for _, new in self.program.writes:
            last[self.root_of(new)] = self.end
        return last

    def targets_in_place(self) -> dict[Value, Value]:
        """New value -> the state in whose place it goes, for those that a step may write there.

        Nothing is written before the last step that may raise an error: then a call that fails has done nothing.
        """
        self.refusal = max((i for i, step in enumerate(self.program.steps) if may_refuse(step)), default=-1)
        maker = {step.out: (i, step) for i, step in enumerate(self.program.steps) if isinstance(step.out, Value)}
        found: dict[Value, Value] = {}
        for target, new in self.program.writes:
            i, step = maker.get(new, (0, None))
            if step is None or new in found or new in self.root or isinstance(new.dtype, type):
                continue
            alike = target.shape == new.shape and target.dtype == new.dtype
            read_after = self.last.get(target, -1) > i
            operand = any(self.root_of(v) is target for v in values_in((step.args, step.params)))
            ready = i > self.refusal and not read_after
            if alike and takes_out(step, self.samples) and ready and (_in_place(step) or not operand):
                if step.function is np.dot and not self.samples[target].flags.c_contiguous:
                    continue
                found[new] = target
        self.written = {target: maker[new] for new, target in found.items()}
        return found

    def place_for(self, i: int, step: Step) -> Any:
        if step.out in self.targets:
            return self.targets[step.out]
        sample = self.samples[step.out]
        if step in self.groups and step.out in self.groups[step].local:
            sample = np.empty_like(sample[: self.groups[step].rows])
        key = _key(sample)
        operands = dict.fromkeys(self.root_of(v) for v in values_in((step.args, step.params)))
        for operand in operands if _in_place(step) or step.function is updated else ():
            place = self.place.get(operand, operand)
            if self.last[operand] == i and self.may_take(place, key, i, step):
                if step.function is updated and operand is not step.args[0]:
                    continue
                if all(self.samples[v].strides == self.samples[step.out].strides and v.shape == step.out.shape
                       for v in values_in(step.args) if self.root_of(v) is operand):
                    return place
        waiting = self.free.get(key)
        return waiting.pop() if waiting else Buffer(sample)

    def may_take(self, place: Any, key: Any, i: int, step: Step) -> bool:
        """Whether a result may be put where an operand was: in a buffer, or in a state's place, until the new value
        that belongs there is written."""
        if isinstance(place, Buffer):
            return _key(place.sample) == key
        if place not in self.written or i <= self.refusal or step in self.groups:
            return False
        at, maker = self.written[place]
        last = self.last[step.out]
        return _key(self.samples[place]) == key and (last < at or last == at and _in_place(maker))

    def release(self, i: int, step: Step) -> None:
        """Put the buffers of what is dead after a step where they can be taken."""
        own = self.place.get(step.out) if isinstance(step.out, Value) else None
        for root in dict.fromkeys(self.root_of(v) for v in values_in((step.args, step.params, step.out))):
            buffer = self.place.get(root)
            if isinstance(buffer, Buffer) and self.last[root] <= i and (root is step.out or buffer is not own):
                self.free.setdefault(_key(buffer.sample), []).append(buffer)

    def fixed(self) -> set[Value]:
        found = {value for value, place in self.place.items() if isinstance(place, Buffer)}
        for step in self.program.steps:
            if step.out in self.root and self.root[step.out] in found:
                arguments = list(values_in((step.args, step.params)))
                if all(v in found or v.source is not None and v.source.kind == "constant" for v in arguments):
                    found.add(step.out)
        return found


def _outs(step: Step) -> tuple:
    return step.out if isinstance(step.out, tuple) else (step.out,)


def _key(sample: Any) -> Any:
    return sample.shape, sample.dtype, sample.strides
