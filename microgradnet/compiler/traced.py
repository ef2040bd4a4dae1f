"""Arrays that write down what is done with them.

A `Traced` stands for an array or a number. It holds a sample, so that shapes, dtypes and strides are NumPy's own, and
the `Value` that the calls written down so far have given it. Writing into it gives it another Value.

Whatever would let a sample decide about the result (indexing by a mask) or leave the notes (`np.asarray` in compiled
code) raises `Escaped`; an `if` on an element is noted among the trace's decisions.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .calls import cast, copied, updated
from .program import Source, Step, Value


class Escaped(Exception):
    """The function does what cannot be written down."""


class Memory:
    """What views share: how often it was written."""

    __slots__ = ("version",)

    def __init__(self) -> None:
        self.version = 0


class Trace:
    """Notes of one run.

    choices: what each `if` on a traced value is to find, as far as it is prescribed; the sample decides after that.
    probing: whether the run is only to find out if it ends in an error; then samples may stand for elements.
    """

    def __init__(self, choices: tuple[bool, ...] = (), probing: bool = False) -> None:
        self.steps: list[Step] = []
        self.choices, self.probing = choices, probing
        self.decisions: list[tuple[int, Value, bool]] = []  # after how many steps, on what, which way
        self.escaped = False
        self.constants: dict[int, tuple[Any, Value]] = {}
        self.samples: dict[Value, Any] = {}

    def escape(self, why: str) -> Escaped:
        self.escaped = True  # a function may catch the exception
        return Escaped(why)

    def decide(self, value: Value, sample: Any) -> bool:
        n = len(self.decisions)
        way = self.choices[n] if n < len(self.choices) else builtins.bool(sample)
        self.decisions.append((len(self.steps), value, way))
        return way

    def noted(self, tree: Any) -> Any:
        """Arguments as a Step has them: Values for Traced and for arrays, which are constants."""
        if isinstance(tree, Traced):
            return tree.current()
        if isinstance(tree, np.ndarray):
            if id(tree) not in self.constants:
                self.constants[id(tree)] = tree, constant(tree)
            return self.constants[id(tree)][1]
        if type(tree) in (tuple, list):
            return type(tree)(self.noted(part) for part in tree)
        if type(tree) is slice:
            return slice(self.noted(tree.start), self.noted(tree.stop), self.noted(tree.step))
        return tree

    def call(self, function: Callable, args: tuple, params: dict[str, Any] | None = None,
             name: Callable | None = None) -> Any:
        """Call a function of NumPy on the samples, and write it down."""
        params = params or {}
        result = function(*sampled(args), **{k: sampled(v) for k, v in params.items()})
        noted = tuple(self.noted(a) for a in args), {k: self.noted(v) for k, v in params.items()}
        if isinstance(result, tuple):
            made = tuple(Traced(self, value_of(part), part) for part in result)
            self.samples.update((t.value, t.sample) for t in made)
            self.steps.append(Step(function, *noted, tuple(t.value for t in made)))
            return made
        if not isinstance(result, (np.ndarray, np.generic, bool, int, float)):
            raise self.escape(f"{function} gives a {type(result).__name__}")
        out = Traced(self, value_of(result), result)
        self.samples[out.value] = result
        first: Any = args[0] if args else None
        view = (isinstance(result, np.ndarray) and isinstance(first, Traced) and isinstance(first.sample, np.ndarray)
                and np.may_share_memory(result, first.sample))
        if view:
            out.memory, out.version = first.memory, first.memory.version
            out.owner = False
            if function is operator.getitem:
                out.origin = first, args[1], lambda new: self.call(updated, (first, args[1], new))
            elif function is np.reshape:
                out.origin = first, None, lambda new: self.call(np.reshape, (new, first.shape))
        self.steps.append(Step(function, *noted, out.value, view))
        return out


def value_of(sample: Any) -> Value:
    """A new Value like the sample."""
    if isinstance(sample, (np.ndarray, np.generic)):
        return Value(sample.shape, sample.dtype)
    return Value((), type(sample))


def constant(array: Any) -> Value:
    """A Value that is the same at each call."""
    return Value(array.shape, array.dtype, source=Source("constant", lambda: array))


def sampled(tree: Any) -> Any:
    """Arguments with their samples in place of Traced."""
    if isinstance(tree, Traced):
        return tree.sample
    if type(tree) in (tuple, list):
        return type(tree)(sampled(part) for part in tree)
    if type(tree) is slice:
        return slice(sampled(tree.start), sampled(tree.stop), sampled(tree.step))
    return tree


def holds_traced(tree: Any) -> bool:
    """Whether there is a Traced among arguments."""
    return isinstance(tree, Traced) or isinstance(tree, (tuple, list)) and any(map(holds_traced, tree))


class Traced:
    """Stands for an array, or for a number that changes from call to call."""

    __slots__ = ("trace", "value", "sample", "memory", "version", "owner", "origin", "writable")

    def __init__(self, trace: Trace, value: Value, sample: Any, writable: bool = True) -> None:
        self.trace, self.value, self.sample, self.writable = trace, value, sample, writable
        self.memory, self.version = Memory(), 0
        self.owner = True  # of its memory, and not a view
        # a view by indexing or in another shape: of what, at which key, and how to write into that
        self.origin: tuple[Traced, Any, Callable] | None = None

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # for isinstance()
        return type(self.sample)

    def current(self) -> Value:
        if self.version != self.memory.version:
            raise self.trace.escape("a view of what was written since")
        return self.value

    def write(self, value: Traced) -> None:
        """Let it stand for another value from now on, as after writing into it."""
        if not isinstance(self.sample, np.ndarray) or not self.writable:
            raise self.trace.escape("writes into what it was given")
        self.current()
        if value.sample.shape != self.sample.shape:
            value = self.trace.call(np.broadcast_to, (value, self.sample.shape))
        if value.sample.dtype != self.sample.dtype:
            value = self.trace.call(cast, (value, self.sample.dtype))
        self._become(value)

    def _become(self, value: Traced) -> None:
        if self.owner:
            self.memory.version += 1
        elif self.origin is not None:
            base, _, put = self.origin
            base._become(put(value))
        else:
            raise self.trace.escape("writes through a view")
        self.value, self.version = value.current(), self.memory.version

    # what NumPy asks

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **params: Any) -> Any:
        trace = self.trace
        if method not in ("__call__", "reduce", "accumulate"):
            raise trace.escape(f"{ufunc.__name__}.{method}")
        mask = params.pop("where", True)
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        if mask is not True and (method != "__call__" or out is None or len(out) > 1):
            raise trace.escape("parts of it left as they were")
        result = trace.call(function, inputs, params)
        if out is None or out[0] is None:
            return result
        if mask is not True:
            result = trace.call(np.where, (mask, result, out[0]))
        if len(out) > 1 or type(out[0]) is not Traced:
            raise trace.escape("writes into an array that is not traced")
        out[0].write(result)
        return out[0]

    def __array_function__(self, function: Callable, kinds: Any, args: tuple, params: dict) -> Any:
        if function.__name__ in _FACTS:
            return function(*sampled(args), **{k: sampled(v) for k, v in params.items()})
        if function is np.copyto and type(args[0]) is Traced and set(params) <= {"where", "casting"}:
            into, source, mask = args[0], args[1], params.get("where", True)
            copy: Any = np.where(mask, source, into) if mask is not True else self.trace.call(np.positive, (source,))
            into.write(copy)
            return None
        if function.__name__ not in _FUNCTIONS or function is np.where and len(args) != 3:
            raise self.trace.escape(f"np.{function.__name__}")
        out = params.pop("out", None)
        result = self.trace.call(function, args, params)
        if out is None:
            return result
        if type(out) is not Traced:
            raise self.trace.escape("writes into an array that is not traced")
        out.write(result)
        return out

    def __array__(self, *_args: Any, **_params: Any) -> Any:
        raise self.trace.escape("an array made of it")

    def __bool__(self) -> bool:
        return self.trace.decide(self.current(), self.sample)

    def _escape(self, *_args: Any, **_params: Any) -> Any:
        if self.trace.probing and self.sample.size:
            return self.sample.flat[0].item()
        raise self.trace.escape("a number made of it")

    __int__ = __float__ = __index__ = __complex__ = item = tolist = __contains__ = view = _escape

    # facts

    shape = property(lambda self: self.sample.shape)
    dtype = property(lambda self: self.sample.dtype)
    ndim = property(lambda self: self.sample.ndim)
    size = property(lambda self: self.sample.size)
    itemsize = property(lambda self: self.sample.itemsize)
    nbytes = property(lambda self: self.sample.nbytes)
    strides = property(lambda self: self.sample.strides)
    flags = property(lambda self: self.sample.flags)

    def __len__(self) -> int:
        return len(self.sample)

    # parts and other forms

    def __getitem__(self, key: Any) -> Any:
        for part in key if type(key) is tuple else (key,):
            kind = getattr(part, "dtype", None)
            if type(part) is Traced and np.dtype(kind).kind not in "iu" or type(part) is list and holds_traced(part):
                if self.trace.probing:
                    return self.sample.reshape(-1)
                raise self.trace.escape("an index that decides the shape")
        return self.trace.call(operator.getitem, (self, key))

    def __setitem__(self, key: Any, value: Any) -> None:
        if type(value) is Traced and value.origin is not None and value.origin[0] is self and value.origin[1] is key:
            if value.version == self.memory.version:
                return  # the last part of `self[key] += …`
        for part in key if type(key) is tuple else (key,):
            if type(part) is Traced and np.dtype(part.dtype).kind not in "iub":
                raise self.trace.escape("an index that is no whole number")
        if not self.writable or not isinstance(self.sample, np.ndarray):
            raise self.trace.escape("writes into what it was given")
        self.current()
        self._become(self.trace.call(updated, (self, key, value)))

    T = property(lambda self: self.trace.call(np.transpose, (self,)) if self.ndim > 1 else self)
    mT = property(lambda self: self.swapaxes(-1, -2))
    real = property(lambda self: self if np.dtype(self.dtype).kind in "fiub" else self._escape())

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        if order != "C":
            raise self.trace.escape("another order of elements")
        return self.trace.call(np.reshape, (self, shape[0] if len(shape) == 1 else shape))

    def transpose(self, *axes: Any) -> Any:
        axes = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return self.trace.call(np.transpose, (self, axes) if axes else (self,))

    def astype(self, dtype: Any, **_params: Any) -> Any:
        return self.trace.call(cast, (self, np.dtype(dtype)))

    def copy(self, order: str = "C") -> Any:
        if order != "C":
            raise self.trace.escape("another order of elements")
        return self.trace.call(copied, (self,))

    def dot(self, other: Any) -> Any:
        return self.trace.call(np.dot, (self, other))

    def fill(self, number: Any) -> None:
        self[...] = number

    def ravel(self, order: str = "C") -> Any:
        return self.reshape(-1, order=order)

    def max(self, axis: Any = None, **params: Any) -> Any:
        return np.maximum.reduce(self, axis=axis, **params)

    def min(self, axis: Any = None, **params: Any) -> Any:
        return np.minimum.reduce(self, axis=axis, **params)

    def sum(self, axis: Any = None, **params: Any) -> Any:
        return np.add.reduce(self, axis=axis, **params)

    def any(self, axis: Any = None, **params: Any) -> Any:
        return np.logical_or.reduce(self, axis=axis, **params)

    def all(self, axis: Any = None, **params: Any) -> Any:
        return np.logical_and.reduce(self, axis=axis, **params)


def _by_function(name: str) -> Callable:
    def method(self, *args, **params):
        return self.trace.call(getattr(np, name), (self, *args), params)

    return method


for _name in ("swapaxes", "squeeze", "take", "clip", "cumsum", "cumprod", "argmax", "argmin", "mean", "repeat",
              "diagonal"):
    setattr(Traced, _name, _by_function(_name))


def is_number(x: Any) -> bool:
    """Whether it is a Python number, or stands for one."""
    return isinstance(x, (bool, int, float)) and not isinstance(x, np.generic)


def _operators(name: str, scalar: Callable, ufunc: np.ufunc) -> None:
    """a ∘ b, b ∘ a and a ∘= b."""

    def function_for(trace: Trace, a: Any, b: Any) -> Callable:
        if is_number(a) and is_number(b):
            return scalar
        # NumPy's a ** 2 is another loop than np.power, and so is arithmetic on its scalars.
        return scalar if ufunc is np.power else ufunc

    def forward(self, other):
        return self.trace.call(function_for(self.trace, self, other), (self, other))

    def backward(self, other):
        return self.trace.call(function_for(self.trace, other, self), (other, self))

    def in_place(self, other):
        result = forward(self, other)
        if not isinstance(self.sample, np.ndarray):
            return result
        self.write(result)
        return self

    setattr(Traced, f"__{name}__", forward)
    setattr(Traced, f"__r{name}__", backward)
    setattr(Traced, f"__i{name}__", in_place)


_OPERATORS: list[tuple[str, Any, Any]] = [
    ("add", operator.add, np.add), ("sub", operator.sub, np.subtract), ("mul", operator.mul, np.multiply),
    ("truediv", operator.truediv, np.true_divide), ("floordiv", operator.floordiv, np.floor_divide),
    ("mod", operator.mod, np.remainder), ("pow", operator.pow, np.power), ("matmul", operator.matmul, np.matmul),
    ("and", operator.and_, np.bitwise_and), ("or", operator.or_, np.bitwise_or), ("xor", operator.xor, np.bitwise_xor),
    ("lshift", operator.lshift, np.left_shift), ("rshift", operator.rshift, np.right_shift),
]  # fmt: skip
_COMPARISONS: list[tuple[str, Any, Any]] = [
    ("eq", operator.eq, np.equal), ("ne", operator.ne, np.not_equal), ("lt", operator.lt, np.less),
    ("le", operator.le, np.less_equal), ("gt", operator.gt, np.greater), ("ge", operator.ge, np.greater_equal),
]  # fmt: skip
_UNARY: list[tuple[str, Any, Any]] = [
    ("neg", operator.neg, np.negative), ("abs", builtins.abs, np.absolute), ("invert", operator.invert, np.invert),
]  # fmt: skip


def _compare(scalar: Callable, ufunc: Any) -> Callable:
    def compare(self, other):
        return self.trace.call(scalar if is_number(self) and is_number(other) else ufunc, (self, other))

    return compare


def _unary(scalar: Callable, ufunc: Any) -> Callable:
    return lambda self: self.trace.call(scalar if is_number(self) else ufunc, (self,))


for _entry in _OPERATORS:
    _operators(*_entry)
for _name, _scalar, _ufunc in _COMPARISONS:
    setattr(Traced, f"__{_name}__", _compare(_scalar, _ufunc))
for _name, _scalar, _ufunc in _UNARY:
    setattr(Traced, f"__{_name}__", _unary(_scalar, _ufunc))

# Functions of NumPy whose results depend on samples in shape and dtype only.
_FUNCTIONS = {
    "where", "reshape", "transpose", "swapaxes", "moveaxis", "broadcast_to", "expand_dims", "squeeze", "concatenate",
    "stack", "dot", "einsum", "round", "around", "sum", "mean", "prod", "max", "min", "amax", "amin", "any", "all",
    "clip", "take", "take_along_axis", "cumsum", "cumprod", "flip", "roll", "tril", "triu", "sort", "argsort", "argmax",
    "argmin", "diff", "outer", "tensordot", "diagonal", "trace", "nan_to_num", "tile", "isclose", "count_nonzero",
    "searchsorted", "partition", "rot90", "var", "std", "atleast_1d",
}  # fmt: skip
_FACTS = {"shape", "ndim", "size", "result_type", "can_cast", "iscomplexobj", "isrealobj", "may_share_memory",
          "shares_memory"}
