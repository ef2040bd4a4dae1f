"""What scripts ask and set about the machine and the dtypes, by PyTorch's names. What cannot be set here changes no
result: it is remembered, and otherwise without effect.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .dtypes import check_device, device, get_default_dtype
from .tensor import Tensor

dtype = np.dtype  # isinstance(x.dtype, microgradnet.dtype)
strided = layout = "strided"  # the one layout there is
contiguous_format, preserve_format = "contiguous_format", "preserve_format"
channels_last = "channels_last"

_threads = {"num": os.cpu_count() or 1, "interop": os.cpu_count() or 1}
_deterministic = {"mode": False, "warn_only": False}
_precision = "highest"


def get_default_device() -> device:
    """Where new tensors are: on the CPU."""
    return device("cpu")


def set_default_device(device: Any) -> None:
    """Accept the CPU; RuntimeError for any other device."""
    check_device(device)


def get_num_threads() -> int:
    """The number last set, at first that of the processor's cores."""
    return _threads["num"]


def set_num_threads(n: int) -> None:
    """Remember a number of threads. NumPy's linear algebra reads its own, OPENBLAS_NUM_THREADS, when it starts."""
    _set_threads("set_num_threads", "num", n)


def get_num_interop_threads() -> int:
    """The number last set, at first that of the processor's cores."""
    return _threads["interop"]


def set_num_interop_threads(n: int) -> None:
    """Remember a number; operations run one after another in any case."""
    _set_threads("set_num_interop_threads", "interop", n)


def _set_threads(caller: str, which: str, n: int) -> None:
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"{caller} expects an int, but got {type(n).__name__}")
    if n <= 0:
        raise RuntimeError(f"{caller} expects a positive integer, got {n}")
    _threads[which] = n


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Accepted: all algorithms here are deterministic."""
    _deterministic.update(mode=bool(mode), warn_only=bool(warn_only))


def are_deterministic_algorithms_enabled() -> bool:
    """Whether they were asked for; they are used always."""
    return _deterministic["mode"]


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether `warn_only` was asked for."""
    return _deterministic["warn_only"]


def get_float32_matmul_precision() -> str:
    """What was last set, at first "highest"."""
    return _precision


def set_float32_matmul_precision(precision: str) -> None:
    """Remember "highest", "high" or "medium"; products of float32 matrices have the highest in any case."""
    global _precision
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"float32 matmul precision must be 'highest', 'high' or 'medium', got {precision!r}")
    _precision = precision


def set_flush_denormal(mode: bool) -> bool:
    """False: NumPy cannot be told to take the smallest numbers for zero."""
    return False


# --- about dtypes ---------------------------------------------------------------------------------------------------


class _Info:
    """The limits of a dtype."""

    _kinds: str
    _limits: Callable[[Any], Any]
    _shown: tuple[str, ...]

    def __init__(self, type: Any = None) -> None:
        self._dtype = get_default_dtype() if type is None else np.dtype(type)
        if self._dtype.kind not in self._kinds:
            raise TypeError(f"{self.__class__.__name__}() is not for {self._dtype}")
        self._info = self.__class__._limits(self._dtype)
        self.bits = self._dtype.itemsize * 8
        self.dtype = self._dtype.name
        number = float if self._dtype.kind == "f" else int
        self.min, self.max = number(self._info.min), number(self._info.max)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Info) and self._dtype == other._dtype

    def __hash__(self) -> int:
        return hash(self._dtype)

    def __repr__(self) -> str:
        values = (getattr(self, name) for name in self._shown)
        shown = (f"{value:g}" if isinstance(value, float) else str(value) for value in values)
        pairs = (f"{name}={value}" for name, value in zip(self._shown, shown))
        return f"{self.__class__.__name__}({', '.join(pairs)}, dtype={self.dtype})"


class finfo(_Info):
    """The limits of a floating dtype."""

    _kinds, _limits = "f", staticmethod(np.finfo)
    _shown = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")

    def __init__(self, type: Any = None) -> None:
        super().__init__(type)
        self.eps, self.resolution = float(self._info.eps), 10.0**-self._info.precision
        self.tiny = self.smallest_normal = float(self._info.smallest_normal)


class iinfo(_Info):
    """The limits of a dtype of whole numbers."""

    _kinds, _limits = "iu", staticmethod(np.iinfo)
    _shown = ("min", "max")

    def __init__(self, type: Any) -> None:
        super().__init__(type)
        if self._dtype.kind == "u":
            self.min = 0


def promote_types(type1: Any, type2: Any) -> np.dtype:
    """The smallest dtype that two others convert to, as in PyTorch: a floating one wins over any whole one."""
    a, b = np.dtype(type1), np.dtype(type2)
    if (a.kind == "f") != (b.kind == "f"):
        return a if a.kind == "f" else b
    return np.promote_types(a, b)


def can_cast(from_: Any, to: Any) -> bool:
    """Whether a conversion keeps the category: fractions are not cut off, numbers do not become truth values."""
    order = "buif".index
    source, target = np.dtype(from_).kind, np.dtype(to).kind
    return not (source == "f" and target != "f") and not (source != "b" and target == "b") and order(target) >= 0


# --- about objects --------------------------------------------------------------------------------------------------


def typename(obj: Any) -> str:
    """The type of a tensor as `tensor.type()` says it, of any other object its qualified name."""
    if isinstance(obj, Tensor):
        return obj.type()
    cls = obj if isinstance(obj, type) else type(obj)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def is_storage(obj: Any) -> bool:
    """False: the memory of a tensor is an ndarray."""
    return False
