"""Pieces: steps on large arrays that go element by element are done together, a few rows at a time.

What one step makes is still in the cache then when the next one reads it, and what only they read needs no more memory
than a piece.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Container
from typing import Any

import numpy as np

from .program import Program, Step, Value, values_in
from .samples import Samples

LARGE = 8 * 1024 * 1024  # bytes of an array that no cache holds: smaller ones gain nothing
PIECE = 256 * 1024  # bytes of an array that are done at a time: beside that, a call costs nothing


@dataclasses.dataclass(eq=False, slots=True)
class Group:
    """Steps that follow each other and make arrays of one shape, `rows` rows at a time.

    local: what nobody else reads.
    """

    steps: list[Step]
    shape: tuple[int, ...]
    rows: int
    local: set[Value]

    def cuts(self, value: Value) -> bool:
        """Whether of a value only the rows of a piece are meant, and not all of it: as much as NumPy broadcasts."""
        return value not in self.local and len(value.shape) == len(self.shape) and value.shape[0] == self.shape[0]


def in_pieces(program: Program, samples: Samples, shown: Container[Value]) -> tuple[Program, list[Group]]:
    """The program, with its groups. Numbers that are computed between the steps of one are computed before it.

    shown: the values that show another's memory, which a step in a group does not read.
    """
    rows = {step: _rows(step, samples, shown) for step in program.steps}
    if not any(rows.values()):
        return program, []
    steps: list[Step] = []
    groups: list[Group] = []
    open_group: list[Step] = []
    uses = Counter(values_in([*((s.args, s.params) for s in program.steps), program.outputs]))
    uses.update(value for write in program.writes for value in write)

    def close() -> None:
        if len(open_group) > 1:
            inside = Counter(values_in([step.args for step in open_group]))
            local = {s.out for s in open_group if uses[s.out] == inside[s.out]}
            groups.append(Group([*open_group], open_group[0].out.shape, min(rows[s] for s in open_group), local))
        steps.extend(open_group)
        open_group.clear()

    for step in program.steps:
        if rows[step]:
            if open_group and open_group[0].out.shape != step.out.shape:
                close()
            open_group.append(step)
            continue
        made = {s.out for s in open_group}
        if not _is_number(step) or not made.isdisjoint(values_in((step.args, step.params))):
            close()
        steps.append(step)
    close()
    return Program(steps, program.outputs, program.writes), groups


def _is_number(step: Step) -> bool:
    return isinstance(step.out, Value) and step.out.shape == () and not step.view


def _rows(step: Step, samples: Samples, shown: Container[Value]) -> int:
    """How many rows of what a step makes are a piece; 0 where it is not done in pieces."""
    function, out = step.function, step.out
    if not isinstance(function, np.ufunc) or function.signature or function.nout != 1 or step.params:
        return 0
    if not out.shape or isinstance(out.dtype, type) or any(v in shown for v in values_in(step.args)):
        return 0
    sample: Any = samples[out]
    if sample.nbytes < LARGE:
        return 0
    most = min(PIECE * len(sample) // sample.nbytes, len(sample) // 2)
    rows = next((n for n in range(most, 0, -1) if len(sample) % n == 0), 0)
    return rows if 4 * rows >= most else 0
