"""Sizes by dimension, as functions on windows take them: one number for all, or one for each."""

from __future__ import annotations

import operator
from typing import Any

from ..tensor import Tensor, describe


def repeated(value: Any, n: int) -> Any:
    """What a layer keeps of such an argument: a tuple of n for one number, a sequence as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * n


def each(name: str, value: Any, n: int, least: int = 0) -> tuple[int, ...]:
    """A whole number for each of n dimensions, of at least `least`."""
    numbers = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    try:
        numbers = tuple(map(operator.index, numbers))
    except TypeError:
        raise TypeError(f"{name} must be whole numbers, got {value!r}") from None
    if len(numbers) == 1:
        numbers *= n
    if len(numbers) != n:
        raise RuntimeError(f"{name} must be one number or {n}, one for each dimension, got {value!r}")
    if min(numbers) < least:
        raise RuntimeError(f"{name} must be at least {least}, got {value!r}")
    return numbers


def check_dims(name: str, input: Tensor, n: int, batch: int = 2) -> bool:
    """Whether an input of n last dimensions has a batch before its channels; an error where it has no channels."""
    if input.ndim not in (n + batch - 1, n + batch):
        raise RuntimeError(f"{name}(): input {describe(input)} must have {n + batch} dimensions, batch and channels "
                           f"first, or {n + batch - 1} without a batch")
    return input.ndim == n + batch
