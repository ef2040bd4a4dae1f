"""Tensors by the name of their dtype, as older scripts write them: `FloatTensor([1, 2])`, `x.type(LongTensor)`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dtypes import bool as bool_
from .dtypes import float16, float32, float64, int8, int16, int32, int64, set_default_dtype, uint8
from .ops.creation import as_tensor, empty
from .tensor import Size, Tensor, describe

__all__ = ["BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor",
           "LongTensor", "ShortTensor", "set_default_tensor_type"]


class _Typed(type):
    """The class of these names: a call makes a tensor, isinstance() asks for a tensor of that dtype."""

    dtype: np.dtype

    def __call__(cls, *data: Any, device: Any = None) -> Tensor:
        """Of a size, given as ints or a Size, with nothing in particular in it; or of the data."""
        if not data or isinstance(data[0], (int, Size)):
            return empty(*(data or (0,)), dtype=cls.dtype, device=device)
        (values,) = data
        if isinstance(values, Tensor):
            if values.dtype != cls.dtype:
                raise TypeError(f"{cls.__name__}() expects data of {cls.dtype}, got {describe(values)}; use "
                                f"x.to({cls.dtype})")
            return values.detach()
        return as_tensor(values, device=device).to(cls.dtype)

    def __instancecheck__(cls, obj: Any) -> bool:
        return isinstance(obj, Tensor) and obj.dtype == cls.dtype

    def __repr__(cls) -> str:
        return f"<class 'microgradnet.{cls.__name__}'>"


def _typed(name: str, dtype: np.dtype) -> _Typed:
    return _Typed(name, (), {"dtype": dtype, "__module__": "microgradnet"})


FloatTensor = _typed("FloatTensor", float32)
DoubleTensor = _typed("DoubleTensor", float64)
HalfTensor = _typed("HalfTensor", float16)
LongTensor = _typed("LongTensor", int64)
IntTensor = _typed("IntTensor", int32)
ShortTensor = _typed("ShortTensor", int16)
CharTensor = _typed("CharTensor", int8)
ByteTensor = _typed("ByteTensor", uint8)
BoolTensor = _typed("BoolTensor", bool_)
_CLASSES = {name: value for name, value in globals().items() if isinstance(value, _Typed)}
_NAMES = {cls.dtype: name for name, cls in _CLASSES.items()}


def name_of(dtype: np.dtype) -> str:
    """What `tensor.type()` says: 'microgradnet.FloatTensor'."""
    return f"microgradnet.{_NAMES.get(dtype, str(dtype))}"


def dtype_of(wanted: Any) -> np.dtype:
    """The dtype meant by a dtype, one of these classes, or a string such as 'torch.FloatTensor'; else ValueError."""
    if isinstance(wanted, _Typed):
        return wanted.dtype
    if isinstance(wanted, str):
        package, _, name = wanted.rpartition(".")
        if package not in ("torch", "microgradnet") or name not in _CLASSES:
            raise ValueError(f"invalid type: {wanted!r}; PyTorch's names are known, such as 'torch.FloatTensor'")
        return _CLASSES[name].dtype
    return np.dtype(wanted)


def set_default_tensor_type(t: Any) -> None:
    """The floating dtype of new tensors, by the name of its tensors; newer scripts use set_default_dtype."""
    set_default_dtype(dtype_of(t))
