"""Sample arrays: what stands for the values of a program while it is made, for shapes, dtypes and strides.

The order in which an array lies in memory matters: sums are taken in that order, and buffers must have it for the
numbers to come out the same, bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..generator import default_generator
from ..graph import Op
from .calls import Draw, Refusal
from .program import Program, Step, Value, replaced

RANDOM = {"dropout_mask", "uniform_like"}  # operations that draw numbers: each call counts, and no two are the same


def generator_of(step: Step) -> Any:
    """The generator of the random numbers that a step draws; None for others."""
    if isinstance(step.function, Draw):
        return step.function.generator
    if getattr(step.function, "name", "") in RANDOM:
        return step.params.get("generator") or default_generator
    return None


def is_pure(step: Step) -> bool:
    """Whether a step may be left out, or stand for another like it."""
    return not isinstance(step.function, Refusal) and generator_of(step) is None


def laid_out_as(array: np.ndarray, fill: Any = 0) -> np.ndarray:
    """An array of the same shape, dtype and strides."""
    reach = [(n - 1) * step for n, step in zip(array.shape, array.strides)] if array.size else []
    before, after = -sum(r for r in reach if r < 0), sum(r for r in reach if r > 0)
    memory = np.zeros(before + after + array.itemsize, np.uint8)
    alike: np.ndarray = np.ndarray(array.shape, array.dtype, memory, before, array.strides)
    alike[...] = fill
    return alike


class Samples(dict):
    """By Value. What comes from outside lies in memory as it did when it was seen; an argument of which that is not
    known, in row-major order."""

    def __missing__(self, value: Value) -> Any:
        if isinstance(value.dtype, type) and value.dtype in (float, int, bool):
            sample: Any = value.dtype(1) / 2 if value.dtype is float else 1
        elif value.source is not None and value.source.kind == "constant":
            sample = value.source.read()
        else:
            source, like = value.source, value.like
            if like is None and source is not None and source.kind == "state":
                like = source.read()
            fill = 0 if np.dtype(value.dtype).kind in "iu" else 1
            sample = np.full(value.shape, fill, value.dtype) if like is None else laid_out_as(like, fill)
        self[value] = sample
        return sample

    def run(self, step: Step) -> None:
        """Find the samples that a step makes."""
        outs = step.out if isinstance(step.out, tuple) else (step.out,)
        if isinstance(step.function, Refusal):
            return
        made: Any = None
        if is_pure(step):
            try:
                with np.errstate(all="ignore"):
                    made = step.function(*replaced(step.args, self.__getitem__),
                                         **replaced(step.params, self.__getitem__))
            except Exception:
                if not isinstance(step.function, Op):
                    raise
        if made is None:  # an operation whose values matter
            made = tuple(self[out] for out in outs)
        elif not isinstance(step.out, tuple):
            made = (made,)
        self.update(zip(outs, made))


def samples_of(program: Program) -> Samples:
    """Of all that a program computes."""
    samples = Samples()
    for step in program.steps:
        samples.run(step)
    return samples
