"""Dtypes, PyTorch's promotion between them, and the one device."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

__all__ = [  # what the package shows of it
    "bool", "device", "double", "float", "float16", "float32", "float64", "get_default_dtype", "half", "int", "int8",
    "int16", "int32", "int64", "long", "result_type", "set_default_dtype", "short", "uint8", "uint16",
    "uint32", "uint64",
]  # fmt: skip

float16 = half = np.dtype(np.float16)
float32 = float = np.dtype(np.float32)  # noqa: A001 - PyTorch's names
float64 = double = np.dtype(np.float64)
int8 = np.dtype(np.int8)
int16 = short = np.dtype(np.int16)
int32 = int = np.dtype(np.int32)  # noqa: A001
int64 = long = np.dtype(np.int64)
uint8, uint16, uint32, uint64 = (np.dtype(t) for t in (np.uint8, np.uint16, np.uint32, np.uint64))
bool = np.dtype(np.bool_)  # noqa: A001

_default = float32


def set_default_dtype(dtype: Any) -> None:
    """The floating dtype of new tensors made from Python floats, and of whole numbers that meet fractions."""
    global _default
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"the default dtype must be a floating one, got {dtype}")
    _default = dtype


def get_default_dtype() -> np.dtype:
    """The floating dtype of new tensors made from Python floats."""
    return _default


def promote(operands: tuple, to_float: Any = False) -> np.dtype | None:
    """The dtype PyTorch computes in: the highest category (bool < whole < floating) wins, and within it tensors with
    dimensions over 0-d ones over Python numbers. `to_float`: whole numbers then become the default float dtype.
    """
    best: tuple = (-1, -1)
    dtype: Any = None
    for x in operands:
        if hasattr(x, "dtype"):
            category, rank, own = _category(x.dtype), 1 + (len(x.shape) > 0), x.dtype
        elif isinstance(x, (_bool, _int, _float)):
            category, rank = (0 if isinstance(x, _bool) else 1 if isinstance(x, _int) else 2), 0
            own = (bool, int64, _default)[category]
        else:
            continue
        if (category, rank) > best:
            best, dtype = (category, rank), own
        elif (category, rank) == best:
            dtype = np.promote_types(dtype, own)
    if to_float and dtype is not None and dtype.kind != "f":
        return _default
    return dtype


def result_type(*tensors: Any) -> np.dtype:
    """The dtype an arithmetic operation between these tensors and numbers gives."""
    dtype = promote(tensors)
    if dtype is None:
        raise TypeError("result_type() needs at least one tensor or number")
    return dtype


def _category(dtype: np.dtype) -> Any:
    return 2 if dtype.kind == "f" else 0 if dtype.kind == "b" else 1


_bool, _int, _float = builtins.bool, builtins.int, builtins.float


class device:
    """A place to compute; here there is one, 'cpu'. Others can be named, and are refused where a tensor would move."""

    def __init__(self, type: Any = "cpu", index: Any = None) -> None:
        name, _, number = str(getattr(type, "type", type)).partition(":")
        self.type, self.index = name, _int(number) if number else index

    def __eq__(self, other: object) -> Any:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> Any:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device(type={self.type!r}{'' if self.index is None else f', index={self.index}'})"


def check_device(where: Any) -> None:
    """Refuse every device but the CPU."""
    if where is not None and device(where).type != "cpu":
        raise RuntimeError(f"there is no device {str(where)!r}: microgradnet computes on the CPU; use device='cpu'")
