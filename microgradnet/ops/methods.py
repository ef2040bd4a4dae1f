"""The operators and methods of Tensor: each is an operation seen from its first operand."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import graph, random
from ..dtypes import bool as bool_
from ..dtypes import check_device, float16, float32, float64, int8, int16, int32, int64, uint8
from ..tensor import Tensor, describe
from . import (
    activation,
    arithmetic,
    counting,
    creation,
    cumulative,
    decomposition,
    elementwise,
    elimination,
    facts,
    index,
    inplace,
    joining,
    linalg,
    mathematics,
    order,
    products,
    ranges,
    rearrange,
    reduce,
    scattering,
    shape,
    statistics,
    views,
)  # fmt: skip
from .elementwise import _add, _div, _sub, mul, pow
from .public import is_method

NO_METHODS = {"linear", "where"}  # where() has its condition first, and as a method second: see `where_method`
_OPERAND = (int, float, bool, np.ndarray, np.generic)


def _operand(x: Any) -> Any:
    """An operand that is not a Tensor: numbers as they are, arrays as Tensors."""
    if isinstance(x, np.ndarray):
        return Tensor(x)
    return Tensor(np.asarray(x)) if isinstance(x, np.generic) else x


def _binary(op, operands):
    def method(self, other):
        if not isinstance(other, Tensor):
            if not isinstance(other, operands):
                return NotImplemented
            if type(other) not in (int, float):
                other = _operand(other)
        return op(self, other)

    return method


def _reflected(op, operands):
    def method(self, other):
        if not isinstance(other, operands):
            return NotImplemented
        return op(_operand(other), self)

    return method


for _name, _op in [
    ("add", _add),  # self + other
    ("sub", _sub),  # self - other
    ("mul", mul),  # self * other
    ("truediv", _div),  # self / other
    ("floordiv", elementwise.floor_divide),  # self // other
    ("mod", elementwise.remainder),  # self % other
    ("pow", pow),  # self ** other
    ("matmul", linalg.matmul),  # self @ other
    ("and", elementwise.bitwise_and),  # self & other
    ("or", elementwise.bitwise_or),  # self | other
    ("xor", elementwise.bitwise_xor),  # self ^ other
    ("lshift", elementwise.bitwise_left_shift),  # self << other
    ("rshift", elementwise.bitwise_right_shift),  # self >> other
]:
    _operands = np.ndarray if _op is linalg.matmul else _OPERAND
    setattr(Tensor, f"__{_name}__", _binary(_op, _operands))
    setattr(Tensor, f"__r{_name}__", _reflected(_op, _operands))  # other + self, …

for _name, _op in [
    ("eq", elementwise.eq),  # self == other
    ("ne", elementwise.ne),  # self != other
    ("lt", elementwise.lt),  # self < other
    ("le", elementwise.le),  # self <= other
    ("gt", elementwise.gt),  # self > other
    ("ge", elementwise.ge),  # self >= other
]:
    setattr(Tensor, f"__{_name}__", _binary(_op, _OPERAND))

for _name, _method in [
    ("neg", lambda self: elementwise.neg(self)),  # -self
    ("pos", lambda self: arithmetic.positive(self)),  # +self
    ("abs", lambda self: elementwise.abs(self)),  # abs(self)
    ("invert", lambda self: elementwise.bitwise_not(self)),  # ~self
    ("getitem", index.getitem),  # self[index]
    ("setitem", inplace.setitem),  # self[index] = value
]:
    setattr(Tensor, f"__{_name}__", _method)


def _in_place_operator(write):
    def method(self, other):
        return write(self, _operand(other))

    return method


for _name, _long in [("add", "add_"), ("sub", "sub_"), ("mul", "mul_"), ("truediv", "div_"), ("pow", "pow_"),
                     ("floordiv", "floor_divide_"), ("mod", "remainder_"), ("and", "bitwise_and_"),
                     ("or", "bitwise_or_"), ("xor", "bitwise_xor_"), ("lshift", "bitwise_left_shift_"),
                     ("rshift", "bitwise_right_shift_")]:
    setattr(Tensor, f"__i{_name}__", _in_place_operator(inplace.WRITERS[_long]))  # self += other, …

FAMILIES = (elementwise, shape, index, reduce, linalg, activation, arithmetic, mathematics, views, order, cumulative,
            statistics, counting, scattering, rearrange, joining, products, ranges, decomposition, elimination)
for _family in FAMILIES:
    if _family in (activation, ranges):  # of activations PyTorch makes four methods, below; ranges have no operand
        continue
    for _name in _family.__all__:
        if is_method(getattr(_family, _name)) and _name not in NO_METHODS:
            setattr(Tensor, _name, getattr(_family, _name))
for _name in ("relu", "sigmoid", "softmax", "log_softmax"):  # the others are for nn.functional, as in PyTorch
    setattr(Tensor, _name, getattr(activation, _name))

for _name, _writer in inplace.WRITERS.items():
    setattr(Tensor, _name, _writer)


def where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """self where the condition holds, other elsewhere."""
    return elementwise.where(condition, self, other)


def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """In another dtype: `to(dtype)`, `to(other)`, `to('cpu', dtype)`. The tensor itself where nothing changes."""
    dtype = kwargs.get("dtype")
    check_device(kwargs.get("device"))
    for a in args:
        if isinstance(a, Tensor):
            dtype = a.dtype
        elif isinstance(a, (np.dtype, type)):
            dtype = np.dtype(a)
        elif isinstance(a, str) or hasattr(a, "type"):
            check_device(a)
    if dtype is None or np.dtype(dtype) == self.dtype:
        return shape.clone(self) if kwargs.get("copy") else self
    dtype = np.dtype(dtype)
    if dtype.kind not in "fiub":
        raise TypeError(f"to({dtype}): a Tensor holds floats, whole numbers and booleans; complex tensors are out of "
                        "scope")
    graph.narrow_used |= dtype.itemsize == 2
    return (shape.to_dtype if dtype.kind == "f" else cast)(self, dtype=dtype)


cast = shape.Op("cast", lambda x, /, dtype: x.astype(dtype), doc="In a dtype without fractions: no derivative.")


def _conversion(dtype):
    return lambda self: self.to(dtype)


for _name, _dtype in dict(float=float32, double=float64, half=float16, long=int64, int=int32, short=int16, char=int8,
                          byte=uint8, bool=bool_).items():  # fmt: skip
    setattr(Tensor, _name, _conversion(_dtype))


def contiguous(self: Tensor) -> Tensor:
    """With the elements in row-major order; the tensor itself where they are."""
    return self if self.is_contiguous() else shape.clone_op(self, order="C")


def cpu(self: Tensor, *_: Any) -> Tensor:
    """The tensor itself: the CPU is where it is."""
    return self


def cuda(self: Tensor, device: Any = "cuda", **_: Any) -> Tensor:
    """An error: there is no other device."""
    check_device(device if isinstance(device, str) else "cuda")
    return self


def type_(self: Tensor, dtype: Any = None, **_: Any) -> Any:
    """In another dtype, given as one, by a class such as LongTensor or its name; without one, the name of its own."""
    from ..typed import dtype_of, name_of

    return name_of(self.dtype) if dtype is None else self.to(dtype_of(dtype))


def share_memory_of(self: Tensor) -> int:
    """The address of the first element."""
    return self.array.__array_interface__["data"][0]



def stride(self: Tensor, dim: int | None = None) -> Any:
    """Steps between elements along each dimension, in elements."""
    steps = tuple(s // self.itemsize for s in self.array.strides)
    return steps if dim is None else steps[dim]



def equal(input: Tensor, other: Tensor) -> bool:
    """Whether shapes and all elements are the same."""
    return input.shape == other.shape and bool((input.array == other.array).all())


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether |input - other| <= atol + rtol |other| everywhere."""
    if input.dtype != other.dtype:
        raise RuntimeError(f"allclose(): {describe(input)} and {describe(other)} have different dtypes")
    return bool(np.allclose(input.array, other.array, rtol, atol, equal_nan))


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Where |input - other| <= atol + rtol |other|."""
    return Tensor(np.asarray(np.isclose(input.array, other.array, rtol, atol, equal_nan)))


for _name, _attribute in dict(
    to=to, where=where_method, contiguous=contiguous, cpu=cpu, cuda=cuda, data_ptr=share_memory_of, stride=stride,
    equal=equal, allclose=allclose, isclose=isclose,
    polygamma=mathematics._polygamma,  # as a function its order comes first
    type=type_, **facts.METHODS, **{name: getattr(facts, name) for name in facts.__all__},
    type_as=lambda self, other: self.to(other.dtype),
    T=property(lambda self: shape.permute(self, *reversed(range(self.ndim))), doc="The dimensions in reverse order."),
    mT=property(lambda self: shape.transpose(self, -2, -1), doc="The last two dimensions exchanged."),
    H=property(lambda self: shape.t(self), doc="The transpose of a matrix."),
    mH=property(lambda self: views.adjoint(self), doc="The last two dimensions exchanged."),
).items():  # fmt: skip
    setattr(Tensor, _name, _attribute)
for _name in ("new_tensor", "new_zeros", "new_ones", "new_full", "new_empty", "new_empty_strided"):
    setattr(Tensor, _name, getattr(creation, _name))
for _name in ("uniform_", "normal_", "exponential_", "geometric_", "cauchy_", "log_normal_", "bernoulli_", "random_",
              "bernoulli", "multinomial"):
    setattr(Tensor, _name, getattr(random, _name))
