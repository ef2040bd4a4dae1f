"""Names and texts of what a printed program speaks of."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..nn import Module
from ..tensor import Tensor
from .program import Value
from .traced import Traced

LITERALS = (bool, int, float, str, np.generic, np.dtype, type, type(None), type(...))  # what `literal` can write
_WORDS = {0: "zero", 1: "one", 2: "two", 0.5: "half"}


class Names:
    """Identifiers, each given once."""

    def __init__(self) -> None:
        self.taken = {*keyword.kwlist, "np", "math", "step", "run", "bind", "quietly", "calculation", "i", "rows"}
        self.counts: dict[str, int] = {}

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
        while True:
            self.counts[stem] = n = self.counts.get(stem, 0) + 1
            if f"{stem}{n}" not in self.taken:
                return self(f"{stem}{n}")


def names_of_arguments(function: Any, args: tuple, kwargs: dict) -> dict[int, str]:
    """What the tensors and Numbers among a call's arguments, by their ids, are called in the function."""
    try:
        signature = inspect.signature(function.forward if isinstance(function, Module) else function)
        bound = signature.bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return {}
    names: dict[int, str] = {}
    for name, value in bound.items():
        found: list[int] = []
        _named(value, found)
        names.update(zip(found, [name] if len(found) == 1 else (f"{name}{i}" for i in range(1, len(found) + 1))))
    return names


def _named(tree: Any, into: list) -> None:
    if isinstance(tree, (Tensor, Traced)):
        into.append(id(tree))
    elif isinstance(tree, (list, tuple, dict)):
        for part in tree.values() if isinstance(tree, dict) else tree:
            _named(part, into)


def names_of_state(modules: Iterable[Module]) -> dict[Tensor, str]:
    """What a person would call the parameters and buffers of modules: fc1_weight; w1 and b1 where they have numbers."""
    modules = dict.fromkeys(modules)
    inner = {child for module in modules for child in module.modules() if child is not module}
    names: dict[Tensor, str] = {}
    for module in modules:
        if module in inner:
            continue
        named = [*module.named_parameters(), *module.named_buffers()]
        numbers: dict[str, int] = {}
        for name, tensor in named:
            place, _, leaf = name.rpartition(".")
            if place.isdigit():
                number = numbers.setdefault(place, len(numbers) + 1)
                names[tensor] = f"{ {'weight': 'w', 'bias': 'b'}.get(leaf, leaf)}{number}"
            else:
                names[tensor] = name.replace(".", "_")
    return names


def constant_name(array: Any) -> str:
    """What a constant is called: by its number, if that has a word."""
    if array.size == 1:
        return _WORDS.get(array.item(), "c")
    if array.ndim == 1 and array.dtype.kind == "f" and bool((array == 1).all()):
        return "ones"
    return "rows" if array.ndim == 1 and np.array_equal(array, np.arange(array.size)) else "c"


def dtype_text(dtype: Any) -> str:
    """np.float32"""
    return f"np.{np.dtype(dtype).name}" if np.dtype(dtype) != np.bool_ else "np.bool_"


def number_text(x: Any) -> str:
    """An element of an array as a Python constant, no longer than its dtype needs."""
    short = str(x)
    if x.dtype.kind == "f" and np.isfinite(x) and x.dtype.type(float(short)) == x and not short.startswith("-"):
        return short
    return literal(x.item())


def literal(x: Any) -> str:
    """A Python constant as it is written."""
    if isinstance(x, np.generic):
        return f"{dtype_text(x.dtype)}({number_text(x)})"
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
        return f"np.array({number_text(array[()])}, {dtype})"
    flat = array.reshape(-1)
    if flat.size and array.flags.c_contiguous:
        uniform = bool((flat == flat[0]).all()) and not (flat[0] == 0 and np.signbit(flat).any())
        if uniform:
            if flat[0] in (0, 1):
                return f"np.{'ones' if flat[0] else 'zeros'}({array.shape}, {dtype})"
            return f"np.full({array.shape}, {number_text(flat[0])}, {dtype})"
        if array.ndim == 1 and array.dtype == np.int64 and np.array_equal(flat, np.arange(flat.size)):
            return f"np.arange({flat.size})"
    if array.size > 64 or not array.flags.c_contiguous:
        return None
    text = f"np.array([{', '.join(map(number_text, array.reshape(-1)))}], {dtype})"
    return text if array.ndim == 1 else f"{text}.reshape({array.shape})"


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
