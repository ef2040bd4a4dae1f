"""Names and texts of what a printed program speaks of."""

from __future__ import annotations

import keyword
import re
from typing import Any

import numpy as np

from .program import Value

_WORDS = {0: "zero", 1: "one", 2: "two", 0.5: "half"}


class Names:
    """Identifiers, each given once."""

    def __init__(self, *taken: str) -> None:
        self.taken = {*keyword.kwlist, "np", "math", "step", "run", *taken}

    def __call__(self, wanted: str) -> str:
        """The name wanted, or the nearest that is free."""
        name = stem = re.sub(r"\W", "_", wanted) or "t"
        if not stem.isidentifier():
            name = stem = "_" + stem
        n = 1
        while name in self.taken:
            n += 1
            name = f"{stem}_{n}"
        self.taken.add(name)
        return name

    def numbered(self, stem: str) -> str:
        """stem1, stem2, …"""
        n = 1
        while f"{stem}{n}" in self.taken:
            n += 1
        return self(f"{stem}{n}")


def constant_name(array: Any) -> str:
    """What a constant is called: by its number, if that has a word."""
    return _WORDS.get(array.item(), "c") if array.size == 1 else "c"


def dtype_text(dtype: Any) -> str:
    """np.float32"""
    return f"np.{np.dtype(dtype).name}" if np.dtype(dtype) != np.bool_ else "np.bool_"


def literal(x: Any) -> str:
    """A Python constant as it is written."""
    if isinstance(x, np.generic):
        return f"{dtype_text(x.dtype)}({literal(x.item())})"
    if isinstance(x, np.dtype):
        return dtype_text(x)
    if isinstance(x, type):
        return dtype_text(x) if issubclass(x, np.generic) else x.__name__
    if x is ...:
        return "..."
    if isinstance(x, float):
        if x != x:
            return "np.nan"
        if x in (float("inf"), -float("inf")):
            return "np.inf" if x > 0 else "(-np.inf)"
    if isinstance(x, (int, float)) and not isinstance(x, bool) and str(x).startswith("-"):
        return f"({x!r})"
    return repr(x)


def array_text(array: np.ndarray) -> str | None:
    """An expression that makes a constant array; None if it would be long."""
    dtype = dtype_text(array.dtype)
    if array.ndim == 0:
        return f"np.array({literal(array.item())}, {dtype})"
    flat = array.reshape(-1)
    if flat.size and array.flags.c_contiguous:
        uniform = bool((flat == flat[0]).all()) and not (flat[0] == 0 and np.signbit(flat).any())
        if uniform:
            if flat[0] in (0, 1):
                return f"np.{'ones' if flat[0] else 'zeros'}({array.shape}, {dtype})"
            return f"np.full({array.shape}, {literal(flat[0].item())}, {dtype})"
        if array.ndim == 1 and array.dtype == np.int64 and np.array_equal(flat, np.arange(flat.size)):
            return f"np.arange({flat.size})"
    if array.size > 64 or not array.flags.c_contiguous:
        return None
    text = ", ".join(literal(x) for x in array.reshape(-1).tolist())
    return f"np.array([{text}], {dtype}).reshape({array.shape})"


def empty_text(sample: np.ndarray) -> str:
    """An expression that makes an array of the sample's shape and order in memory."""
    dtype = dtype_text(sample.dtype)
    if sample.flags.c_contiguous:
        return f"np.empty({sample.shape}, {dtype})"
    if sample.T.flags.c_contiguous:
        return f"np.empty({sample.shape[::-1]}, {dtype}).T"
    order = sorted(range(sample.ndim), key=lambda i: -sample.strides[i])
    back = tuple(order.index(i) for i in range(sample.ndim))
    return f"np.empty({tuple(sample.shape[i] for i in order)}, {dtype}).transpose({back})"


def is_number(value: Value) -> bool:
    """Whether it is a Python number, and no array."""
    return isinstance(value.dtype, type)
