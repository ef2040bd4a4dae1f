"""Fusing: which steps of a simplified program become one loop, and which products take an update along.

W − η δᵀa is one call of BLAS, which adds to W itself. Elementwise steps of one shape, and the sums over what they give,
become one loop in which only what others need is put into memory.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Op
from .calls import Refusal, as_array, cast, copied, is_ufunc_method, updated
from .naming import is_number
from .program import Program, Step, Value, values_in
from .samples import Samples
from .simplify import without_dead

LONGEST = 100  # steps in one loop: compilers take long over long functions


def scaled_product(a: Any, b: Any, c: Any, alpha: Any, beta: Any, /, signs: tuple[int, int]) -> Any:
    """±α a b ± β c: what BLAS calls gemm."""
    return (signs[0] * alpha * (a @ b) + signs[1] * beta * c).astype(c.dtype)


# --- products ---------------------------------------------------------------------------------------------------------


def with_products(program: Program) -> Program:
    """Sums by a row of ones as sums, and products that are added to what is kept as one step with the addition."""
    maker = {step.out: step for step in program.steps if isinstance(step.out, Value)}
    uses = Counter(v for step in program.steps for v in values_in((step.args, step.params)))
    uses.update([*values_in(program.outputs), *(new for _, new in program.writes)])
    instead: dict[Step, Step] = {}
    for target, new in program.writes:
        found = _update(target, new, maker, uses)
        if found is not None:
            instead[maker[new]] = found
    for step in program.steps:
        if step.function is np.dot and _is_ones(step.args[0]) and len(step.args[1].shape) == 2:
            instead[step] = Step(np.add.reduce, (step.args[1],), {"axis": 0}, step.out, False, step.note)
    return without_dead(Program([instead.get(s, s) for s in program.steps], program.outputs, program.writes))


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


def is_product(step: Step) -> bool:
    """Whether a step multiplies two matrices of one floating dtype."""
    if step.function is scaled_product:
        return True
    if step.function not in (np.dot, np.matmul) or step.params or len(step.args) != 2:
        return False
    a, b = step.args
    return (isinstance(a, Value) and isinstance(b, Value) and len(a.shape) == len(b.shape) == 2 and a.dtype == b.dtype
            and np.dtype(a.dtype) in (np.float32, np.float64) and 0 not in (*a.shape, *b.shape))


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


def _with_copies(steps: list[Step], samples: Samples) -> list[Step]:
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


# --- loops ------------------------------------------------------------------------------------------------------------

# How a function of numbers is written in a loop; `{}` are its arguments, in the dtype in which it computes.
TEMPLATES: dict[Any, str] = {
    np.add: "{} + {}", np.subtract: "{} - {}", np.multiply: "{} * {}", np.true_divide: "{} / {}",
    operator.add: "{} + {}", operator.sub: "{} - {}", operator.mul: "{} * {}", operator.truediv: "{} / {}",
    np.negative: "-{}", operator.neg: "-{}", np.positive: "{}", np.square: "{0} * {0}", np.reciprocal: "one / {}",
    np.maximum: "maximum({}, {})", np.minimum: "minimum({}, {})", np.sign: "sign({})", np.exp: "np.exp({})",
    np.tanh: "np.tanh({})", np.absolute: "abs({})", operator.abs: "abs({})", abs: "abs({})",
    float: "{}", math.sqrt: "np.sqrt({})", math.exp: "np.exp({})", math.log: "np.log({})",
}  # fmt: skip
TEMPLATES |= {getattr(np, name): f"np.{name}({{}})" for name in (
    "sqrt", "log", "log1p", "log2", "log10", "expm1", "exp2", "sin", "cos", "tan", "arctan", "arcsin", "arccos",
    "sinh", "cosh", "arcsinh", "arccosh", "arctanh", "floor", "ceil", "trunc")}  # fmt: skip
TEMPLATES |= {f: "{} ** {}" for f in (np.power, operator.pow)}
COMPARISONS: dict[Any, str] = {
    np.equal: "{} == {}", np.not_equal: "{} != {}", np.less: "{} < {}", np.less_equal: "{} <= {}",
    np.greater: "{} > {}", np.greater_equal: "{} >= {}", operator.eq: "{} == {}", operator.ne: "{} != {}",
    operator.lt: "{} < {}", operator.le: "{} <= {}", operator.gt: "{} > {}", operator.ge: "{} >= {}",
    np.isnan: "{0} != {0}", np.isfinite: "{0} - {0} == 0", np.logical_not: "not {}",
    np.logical_and: "{} and {}", np.logical_or: "{} or {}", np.bitwise_and: "{} and {}",
    np.bitwise_or: "{} or {}", np.invert: "not {}",
}  # fmt: skip
_LOGICAL = (np.logical_not, np.logical_and, np.logical_or, np.bitwise_and, np.bitwise_or, np.invert)
_FLOATS = ("f4", "f8")
_EXACT = {np.add, np.subtract, np.multiply, np.negative, np.positive, np.square, np.maximum, np.minimum, np.absolute,
          operator.add, operator.sub, operator.mul, operator.neg, abs, operator.abs, float}  # of whole numbers as well
REDUCED = {np.add: "0", np.maximum: "-inf", np.minimum: "inf", np.multiply: "1"}
DTYPES = ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1")


def code(dtype: Any) -> str:
    """f4, i8, …; Python's numbers are the widest."""
    return np.dtype(dtype).str[1:]


def common_dtype(args: tuple) -> np.dtype:
    """In which a ufunc computes: Python's numbers take the dtype of the arrays."""
    kinds: list[Any] = []
    for x in args:
        dtype = x.dtype if isinstance(x, (Value, np.ndarray, np.generic)) else type(x)
        kinds.append(dtype(1) if isinstance(dtype, type) and dtype in (float, int, bool) else dtype)
    if all(isinstance(k, (float, int)) for k in kinds):
        return np.dtype(type(sum(kinds)))
    return np.result_type(*kinds)


def is_elementwise(step: Step) -> bool:
    """Whether a step has a form as statements on numbers."""
    out, function = step.out, step.function
    if not isinstance(out, Value) or 0 in out.shape or code(out.dtype) not in DTYPES:
        return False
    if any(code(v.dtype) not in DTYPES for v in values_in(step.args)):
        return False
    if function in (cast, copied, as_array):
        return isinstance(step.args[0], (Value, float, int))
    if function is operator.getitem:
        return gathered(step) is not None
    numbers = (Value, bool, int, float, np.generic)
    if not {*step.params} <= {"order"} or not all(isinstance(x, numbers) for x in step.args):
        return False
    if function is np.where:
        return len(step.args) == 3
    if function not in TEMPLATES and function not in COMPARISONS:
        return False
    computed = code(common_dtype(step.args))
    if function in COMPARISONS:
        return code(out.dtype) == "b1" and computed != "u1" and (function not in _LOGICAL or computed == "b1")
    if len(step.args) != TEMPLATES[function].replace("{0} * {0}", "{}").count("{}"):
        return False
    exact = function in _EXACT and code(out.dtype) in ("i8", "i4") and computed == code(out.dtype)
    return code(out.dtype) in _FLOATS or exact


def gathered(step: Step) -> list | None:
    """The arrays of whole numbers by which a step picks elements, one for each axis."""
    x, key = step.args[:2]
    keys = list(key) if isinstance(key, tuple) else [key]
    if not isinstance(x, Value) or len(keys) != len(x.shape) or 0 in x.shape:
        return None
    return keys if all(isinstance(k, Value) and k.shape and code(k.dtype) == "i8" for k in keys) else None


def reduced_axes(step: Step) -> tuple[int, ...] | None:
    """The axes over which a step is a sum or the like; None if it is none that a loop can make."""
    function, params = step.function, step.params
    if not is_ufunc_method(function, "reduce") or function.__self__ not in REDUCED:  # type: ignore[attr-defined]
        return None
    x = step.args[0]
    if len(step.args) != 1 or not isinstance(x, Value) or 0 in x.shape or not x.shape:
        return None
    kind = code(step.out.dtype)
    if kind not in ("f4", "f8", "i8") or (code(x.dtype) not in DTYPES) or not {*params} <= {
            "axis", "keepdims", "dtype", "initial"}:  # fmt: skip
        return None
    if kind != "i8" and code(x.dtype) != kind or not isinstance(params.get("initial"), (int, float, type(None))):
        return None
    axis = params.get("axis", 0)
    axes = range(len(x.shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(sorted(a % len(x.shape) for a in axes))


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


def fused(program: Program) -> tuple[Program, Samples, dict[Value, Value], list[Unit]]:
    """(the program with its products, samples of its values, what shows whose memory, its units)"""
    program = with_products(program)
    samples = _Samples()
    for step in program.steps:
        samples.run(step)
    program = Program(_with_copies(program.steps, samples), program.outputs, program.writes)
    roots = shown_by(program, samples)
    return program, samples, roots, grouped(program, samples, lambda v: roots.get(v, v), set(roots))
