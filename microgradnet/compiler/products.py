"""Matrix products as BLAS makes them: with the sum that follows, of operands that lie in memory as it wants them.

W − η δᵀa is one call, which adds to W itself.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from .calls import copied
from .naming import is_number
from .program import Program, Step, Value, values_in
from .samples import Samples
from .simplify import without_dead


def scaled_product(a: Any, b: Any, c: Any, alpha: Any, beta: Any, /, signs: tuple[int, int]) -> Any:
    """±α a b ± β c: what BLAS calls gemm."""
    return (signs[0] * alpha * (a @ b) + signs[1] * beta * c).astype(c.dtype)


def with_products(program: Program) -> Program:
    """Products that are added to what is kept as one step with the addition; those of vectors, and sums by a row of
    ones, as sums."""
    maker = {step.out: step for step in program.steps if isinstance(step.out, Value)}
    uses = Counter(v for step in program.steps for v in values_in((step.args, step.params)))
    uses.update([*values_in(program.outputs), *(new for _, new in program.writes)])
    instead: dict[Step, list[Step]] = {}
    for target, new in program.writes:
        found = _update(target, new, maker, uses)
        if found is not None:
            instead[maker[new]] = [found]
    for step in program.steps:
        if step.function is np.dot and _is_ones(step.args[0]) and len(step.args[1].shape) == 2:
            instead[step] = [Step(np.add.reduce, (step.args[1],), {"axis": 0}, step.out, False, step.note)]
        elif is_product(step, 1):
            a, b = (_whole(x, maker) for x in step.args)
            a, b = (a, b) if a.shape == b.shape else step.args
            terms = Value(a.shape, a.dtype)
            instead[step] = [Step(np.multiply, (a, b), {}, terms, False, step.note),
                             Step(np.add.reduce, (terms,), {"axis": None}, step.out, False, step.note)]
    steps = [new for step in program.steps for new in instead.get(step, [step])]
    return without_dead(Program(steps, program.outputs, program.writes))


def _whole(x: Value, maker: dict) -> Value:
    """What a vector is the elements of, in order."""
    step = maker.get(x)
    return step.args[0] if step is not None and step.function is np.reshape and not step.params else x


def _is_ones(x: Any) -> bool:
    if not isinstance(x, Value) or x.source is None or x.source.kind != "constant" or len(x.shape) != 1:
        return False
    return bool((x.source.read() == 1).all())


def _update(target: Value, new: Value, maker: dict, uses: Counter) -> Step | None:
    """The step that gives `new` = ±β target ± α a b as one product, if it is that."""
    step = maker.get(new)
    if step is None or step.function not in (np.add, np.subtract) or step.params or is_number(target):
        return None
    (first, one), (second, other) = (_scaled(x, maker, uses) for x in step.args)
    signs = (1, -1 if step.function is np.subtract else 1)
    if first is target:
        (alpha, product), (beta, kept), signs = (other, second), (one, first), signs[::-1]
    else:
        (alpha, product), (beta, kept) = (one, first), (other, second)
    made_by = maker.get(product)
    if kept is not target or made_by is None or uses[product] != 1 or not is_product(made_by):
        return None
    if product.shape != target.shape or product.dtype != target.dtype:
        return None
    return Step(scaled_product, (*made_by.args, target, alpha, beta), {"signs": signs}, new, False, step.note)


def _scaled(x: Any, maker: dict, uses: Counter) -> tuple[Any, Any]:
    """(what, by which number it is multiplied)"""
    step = maker.get(x) if isinstance(x, Value) and uses[x] == 1 else None
    if step is not None and step.function is np.multiply and not step.params:
        for factor, rest in (step.args, step.args[::-1]):
            if isinstance(rest, Value) and rest.shape and not getattr(factor, "shape", ()):
                return rest, factor
    return x, 1


def is_product(step: Step, ndim: int = 2) -> bool:
    """Whether a step multiplies two matrices, or two vectors, of one floating dtype."""
    if step.function is scaled_product:
        return ndim == 2
    if step.function not in (np.dot, np.matmul) or step.params or len(step.args) != 2:
        return False
    a, b = step.args
    if not isinstance(a, Value) or not isinstance(b, Value) or not len(a.shape) == len(b.shape) == ndim:
        return False
    return a.dtype == b.dtype and np.dtype(a.dtype) in (np.float32, np.float64) and 0 not in (*a.shape, *b.shape)


def with_copies(steps: list[Step], samples: Samples) -> list[Step]:
    """The operands of products as BLAS takes them: with elements that follow each other along one axis."""
    made: list[Step] = []
    for step in steps:
        if is_product(step):
            args = list(step.args)
            for i, x in enumerate(args[:2]):
                if not _for_blas(samples[x]):
                    args[i] = Value(x.shape, x.dtype)
                    made.append(Step(copied, (x,), {}, args[i]))
                    samples.run(made[-1])
            step = Step(step.function, tuple(args), step.params, step.out, False, step.note)
        made.append(step)
    return made


def _for_blas(x: np.ndarray) -> bool:
    (rows, columns), (row, column) = x.shape, (s // x.itemsize for s in x.strides)
    return (column == 1 or columns == 1) and row >= columns or (row == 1 or rows == 1) and column >= rows
