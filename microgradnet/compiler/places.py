"""Places: which memory holds which value while a program is recorded.

A recording writes in place as eager mode does, a program never does. So each piece of memory that a tensor shows is a
`Place`, and a write gives it, and every other place that shares the memory, a new Value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import owner
from ..ops.inplace import _addresses
from .calls import updated
from .program import Step, Value
from .refusals import cannot
from .traced import constant


class Place:
    """Memory, and what it holds now; value is None where a write through another place has changed it since."""

    __slots__ = ("array", "value")

    def __init__(self, array: np.ndarray, value: Value) -> None:
        self.array = array
        self.value: Value | None = value


def taken(x: Any, positions: Any, shape: tuple) -> Any:
    """The elements of x at these positions, counted in row-major order, in another shape."""
    return x.reshape(-1)[positions].reshape(shape)


def put(x: Any, positions: Any, part: Any) -> Any:
    """x with the elements of `part` at these positions, counted in row-major order."""
    return updated(x.reshape(-1), positions, part.reshape(-1)).reshape(x.shape)


class Memory:
    """All places, by the array that owns their memory. Arrays are kept, so that no other takes their address.

    add: takes each step that has to be part of the program.
    """

    def __init__(self, add: Callable[[Step], None]) -> None:
        self.places: dict[int, list[Place]] = {}
        self.add = add

    def sharing(self, array: np.ndarray) -> list[Place]:
        """The places in the memory that an array looks at."""
        return self.places.get(id(owner(array)), [])

    def new(self, array: np.ndarray, value: Value) -> Place:
        """Note that an array holds a value."""
        place = Place(array, value)
        self.places.setdefault(id(owner(array)), []).append(place)
        return place

    def find(self, array: np.ndarray) -> Place | None:
        """The place of just this array; one inside another is made. None where the memory is not known."""
        region = _region(array)
        there = next((place for place in self.sharing(array) if _region(place.array) == region), None)
        if there is not None and there.value is not None:
            return there
        value = self._seen_from_others(array)
        if value is None:
            return None
        if there is None:
            return self.new(array, value)
        there.value = value
        return there

    def _seen_from_others(self, array: np.ndarray) -> Value | None:
        """What an array holds, by a place that it lies in."""
        overlapping = False
        for place in self.sharing(array):
            if place.value is None or not np.may_share_memory(place.array, array):
                continue
            overlapping = True
            if place.array.dtype == array.dtype and (positions := _within(place.array, array)) is not None:
                out = Value(array.shape, array.dtype)
                self.add(Step(taken, (place.value, constant(positions), array.shape), {}, out))
                return out
        if overlapping:
            raise cannot("a tensor overlaps in part with memory that the function has used otherwise; clone() it")
        return None

    def write(self, here: Place, value: Value) -> None:
        """Give a place a new value, and so all places around it. What others look at is found when they are read."""
        here.value = value
        for other in self.sharing(here.array):
            if other is here or not np.shares_memory(other.array, here.array):
                continue
            if other.value is not None and (positions := _within(other.array, here.array)) is not None:
                out = Value(other.value.shape, other.value.dtype)
                self.add(Step(put, (other.value, constant(positions), value), {}, out))
                other.value = out
            else:
                other.value = None


def _region(array: np.ndarray) -> tuple:
    return array.__array_interface__["data"][0], array.shape, array.strides, array.dtype


def _within(outer: np.ndarray, inner: np.ndarray) -> np.ndarray | None:
    """For each element of `inner` its position among those of `outer`; None where one is not there."""
    there, wanted = _addresses(outer), _addresses(inner)
    order = np.argsort(there, kind="stable")
    found = np.searchsorted(there, wanted, sorter=order)
    if (found == len(there)).any():
        return None
    positions = order[found]
    return positions if (there[positions] == wanted).all() else None
