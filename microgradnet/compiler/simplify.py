"""Simplifying a lowered program: what is not needed is left out, what is the same is computed once.

Every rule leaves each result bit for bit what it was; whether an array keeps its order in memory, on which sums depend,
is asked of the samples.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Op
from .calls import copied, is_ufunc_method
from .program import Program, Step, Value, replaced, values_in
from .samples import Samples, is_pure
from .traced import constant

LARGEST_CONSTANT = 1 << 20  # bytes: beyond, an array is made by the program


def simplify(program: Program) -> Program:
    """Constants folded, common steps merged, roundabout ways made short, dead steps dropped."""
    simplifier = _Simplifier()
    return _apart(without_dead(simplifier.run(program)), simplifier.samples)


def _apart(program: Program, samples: Samples) -> Program:
    """With results that share no memory, though one may be a part of another: each is the caller's own."""
    outputs: list[Any] = []
    for x in program.outputs:
        before = [y for y in outputs if isinstance(x, Value) and isinstance(y, Value)]
        if any(y is x or np.may_share_memory(samples[x], samples[y]) for y in before):
            program.steps.append(Step(copied, (x,), {}, Value(x.shape, x.dtype)))
            x = program.steps[-1].out
            samples.run(program.steps[-1])
        outputs.append(x)
    return Program(program.steps, outputs, program.writes)


def without_dead(program: Program) -> Program:
    """Without the steps whose results nobody uses."""
    needed = {*values_in(program.outputs), *(new for _, new in program.writes)}
    steps = []
    for step in reversed(program.steps):
        outs = step.out if isinstance(step.out, tuple) else (step.out,)
        if not is_pure(step) or not needed.isdisjoint(outs):
            steps.append(step)
            needed.update(values_in((step.args, step.params)))
    return Program(steps[::-1], program.outputs, program.writes)


class _Simplifier:
    """One walk from the first step to the last, in which each looks at arguments that are simple already."""

    def __init__(self) -> None:
        self.samples = Samples()
        self.instead: dict[Value, Value] = {}
        self.known: dict[Any, Any] = {}  # key of a step -> its out
        self.constants: dict[Any, Value] = {}
        self.maker: dict[Value, Step] = {}
        self.steps: list[Step] = []

    def run(self, program: Program) -> Program:
        for step in program.steps:
            self.take(Step(step.function, replaced(step.args, self.now), replaced(step.params, self.now), step.out,
                           step.view, step.note))
        outputs = [replaced(x, self.now) for x in program.outputs]
        return Program(self.steps, outputs, [(target, self.now(new)) for target, new in program.writes])

    def now(self, value: Value) -> Value:
        """What stands for a Value; constants with the same elements are one."""
        value = self.instead.get(value, value)
        if _is_constant(value):
            array = value.source.read()  # type: ignore[union-attr]
            if array.nbytes <= 4096:
                key = array.dtype, array.shape, array.strides, array.tobytes()
                return self.constants.setdefault(key, value)
        return value

    def take(self, step: Step) -> None:
        if not is_pure(step):
            self.keep(step)
            return
        if isinstance(step.out, Value):
            folded = self.folded(step)
            if folded is not None:
                self.instead[step.out] = folded
                return
            found: Any = step
            while isinstance(found, Step):  # until no rule applies
                step = found
                found = next((made for rule in RULES if (made := rule(step, self)) is not None), None)
            if found is not None:
                self.rename(step.out, found)
                return
        key = _key(step)
        if key in self.known:
            for out, same in zip(_outs(step.out), _outs(self.known[key])):
                self.rename(out, same)
            return
        if key is not None:
            self.known[key] = step.out
        self.keep(step)

    def keep(self, step: Step) -> None:
        self.samples.run(step)
        self.steps.append(step)
        for out in _outs(step.out):
            self.maker[out] = step

    def rename(self, old: Value, new: Value) -> None:
        self.instead[old] = new
        if new.source is None:
            new.name = new.name or old.name

    def folded(self, step: Step) -> Value | None:
        """The result of a step that has only constants, computed now."""
        if isinstance(step.function, Op) or not all(map(_is_constant, values_in((step.args, step.params)))):
            return None
        if _is_number(step.out) or np.dtype(step.out.dtype).itemsize * _size(step.out.shape) > LARGEST_CONSTANT:
            return None
        with np.errstate(all="ignore"):
            return constant(step.function(*replaced(step.args, _read), **replaced(step.params, _read)))

    def same_layout(self, step: Step, instead: Any) -> bool:
        """Whether a step, or a Value, gives an array that lies in memory as the result of `step` does."""
        before, after = (self.peek(x) for x in (step, instead))
        return before.shape == after.shape and before.dtype == after.dtype and before.strides == after.strides

    def peek(self, thing: Any) -> Any:
        if isinstance(thing, Value):
            return self.samples[thing]
        with np.errstate(all="ignore"):
            return thing.function(*replaced(thing.args, self.samples.__getitem__),
                                  **replaced(thing.params, self.samples.__getitem__))


def _read(value: Value) -> Any:
    return value.source.read()  # type: ignore[union-attr]


def _is_constant(value: Value) -> bool:
    return value.source is not None and value.source.kind == "constant"


def _is_number(value: Value) -> bool:
    return isinstance(value.dtype, type)


def _size(shape: tuple) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def _outs(out: Any) -> tuple:
    return out if isinstance(out, tuple) else (out,)


def _key(step: Step) -> Any:
    """Equal for steps that compute the same; None where that is hard to say."""
    try:
        key = step.function, _key_of(step.args), _key_of(tuple(sorted(step.params.items())))
        hash(key)
    except TypeError:
        return None
    return key


def _key_of(tree: Any) -> Any:
    if isinstance(tree, (tuple, list)):
        return type(tree), tuple(_key_of(part) for part in tree)
    if isinstance(tree, slice):
        return slice, _key_of((tree.start, tree.stop, tree.step))
    if isinstance(tree, (bool, int, float, np.generic)):
        return type(tree), repr(tree)  # 0.0 is not -0.0, and 1 is not True
    return tree


# --- rules: each gives a Value that stands for the step's result, another step for it, or None ------------------------


def _power(step: Step, program: _Simplifier) -> Any:
    """x ** n of an array is np.square or np.power, in NumPy itself, but for exponents that have a way of their own."""
    if step.function is operator.pow and isinstance(step.args[0], Value) and step.out.shape:
        base, exponent = step.args
        if type(exponent) in (int, float) and exponent not in (-1, 0, 0.5, 1) and np.dtype(base.dtype).kind == "f":
            function, args = (np.square, (base,)) if exponent == 2 else (np.power, (base, exponent))
            return Step(function, args, {}, step.out, False, step.note)
    return None


def _nothing_done(step: Step, program: _Simplifier) -> Any:
    """x · 1, x in its own shape, a copy in the same order: x itself. Nothing is written in place before the plan."""
    x = step.args[0] if step.args else None
    if step.function in (np.multiply, np.true_divide) and not step.params:
        a, b = step.args
        x = a if _is_one(b) else b if step.function is np.multiply and _is_one(a) else None
    elif step.function not in (np.reshape, np.broadcast_to, copied, np.positive) or step.params:
        return None
    if not isinstance(x, Value) or _is_number(x) or x.shape != step.out.shape or x.dtype != step.out.dtype:
        return None
    return x if not x.shape or program.same_layout(step, x) else None


def _is_one(x: Any) -> bool:
    if isinstance(x, Value):
        return _is_constant(x) and x.shape == () and _read(x) == 1
    return type(x) in (int, float) and x == 1


def _turned_back(step: Step, program: _Simplifier) -> Any:
    """(xᵀ)ᵀ is x."""
    inner = program.maker.get(step.args[0]) if step.function is np.transpose else None
    if inner is not None and inner.function is np.transpose and len(step.args) == len(inner.args) == 1:
        return inner.args[0] if not step.params and not inner.params else None
    return None


def _plain_reduction(step: Step, program: _Simplifier) -> Any:
    """Reductions are put in one way: a dimension counted from the front, and no argument that is as it would be."""
    if not is_ufunc_method(step.function, "reduce") or len(step.args) != 1:
        return None
    usual = {"dtype": None, "keepdims": False}
    params = {k: v for k, v in step.params.items() if not (k in usual and v is usual[k])}
    ndim, axis = len(step.args[0].shape), params.get("axis")
    if type(axis) is tuple:
        dims = sorted(d % ndim for d in axis)
        params["axis"] = dims[0] if len(dims) == 1 else tuple(dims)
    elif type(axis) is int:
        params["axis"] = axis % ndim
    return None if params == step.params else Step(step.function, step.args, params, step.out, False, step.note)


def _summed_before(step: Step, program: _Simplifier) -> Any:
    """A reduction with keepdims is the one without, if that is there, in another shape."""
    if not is_ufunc_method(step.function, "reduce") or step.params.get("keepdims") is not True or not step.out.shape:
        return None
    params = {k: v for k, v in step.params.items() if k != "keepdims"}
    there = program.known.get(_key(Step(step.function, step.args, params, None)))
    if there is not None and there.shape:
        return Step(np.reshape, (there, step.out.shape), {}, step.out, True, step.note)
    return None


def _spread_operand(step: Step, program: _Simplifier) -> Any:
    """An operand that is spread to the result's shape need not be: the ufunc does it."""
    if not isinstance(step.function, np.ufunc) or step.function is np.matmul or not step.out.shape or step.params:
        return None
    for i, arg in enumerate(step.args):
        source = _before_spreading(arg, program)
        if source is None:
            continue
        other = Step(step.function, (*step.args[:i], source, *step.args[i + 1 :]), {}, step.out, False, step.note)
        if program.same_layout(step, other):
            return other
    return None


def _before_spreading(arg: Any, program: _Simplifier) -> Value | None:
    if not isinstance(arg, Value) or not arg.shape:
        return None
    if _is_constant(arg) and _size(arg.shape) > 1:
        array = _read(arg)
        first = array[(0,) * array.ndim]
        return program.now(constant(np.array(first))) if first != 0 and bool((array == first).all()) else None
    step = program.maker.get(arg)
    if step is not None and step.function is copied:
        step = program.maker.get(step.args[0])
    return step.args[0] if step is not None and step.function is np.broadcast_to else None


RULES: list[Callable[[Step, _Simplifier], Any]] = [
    _power, _nothing_done, _turned_back, _plain_reduction, _summed_before, _spread_operand,
]  # fmt: skip
