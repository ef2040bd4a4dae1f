"""Datasets: examples by index, or one after the other."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

import numpy as np

from ...callers import warn
from ...random import Generator, numpy_generator
from ...tensor import Tensor, describe

T = TypeVar("T", covariant=True)


class Dataset(Generic[T]):
    """Examples by index: a subclass gives `__getitem__` and, to be used without a sampler of its own, `__len__`.

    It may also give `__getitems__(indices)`, which returns the list of these examples or, as anything but a list, the
    batch of them ready made; a DataLoader with the default collate_fn then uses it.
    """

    def __getitem__(self, index: Any) -> T:
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__()")

    def __add__(self, other: Dataset) -> ConcatDataset:  # self + other
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T]):
    """Examples one after the other: a subclass gives `__iter__`, which starts anew each time."""

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__()")


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors with the same first dimension: example i is the tuple of their rows i; a slice or an array of indices
    gives the tuple of these rows."""

    def __init__(self, *tensors: Tensor) -> None:
        for i, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor):
                raise TypeError(f"TensorDataset() takes Tensors, but argument {i} is a {type(tensor).__name__}; "
                                "use from_numpy() for an array, tensor() for a list")
            if tensor.ndim == 0:
                raise ValueError(f"TensorDataset(): argument {i} {describe(tensor)} has no first dimension to index")
        if not tensors:
            raise ValueError("TensorDataset() needs at least one Tensor")
        if len({len(tensor) for tensor in tensors}) > 1:
            raise ValueError("TensorDataset(): size mismatch between tensors, the first dimensions differ: "
                             + ", ".join(describe(tensor) for tensor in tensors))
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple([tensor[index] for tensor in self.tensors])

    def __getitems__(self, indices: Any) -> tuple[Tensor, ...]:
        """The batch of these examples, by one fancy index per tensor."""
        return tuple([take(tensor, indices) for tensor in self.tensors])

    def __len__(self) -> int:
        return len(self.tensors[0])


def take(tensor: Tensor, indices: Any) -> Tensor:
    """Some rows of a tensor, as a copy; recorded if the tensor requires grad."""
    if tensor.requires_grad:
        return tensor[indices]
    return Tensor(tensor.array.take(indices, axis=0))


class Subset(Dataset[T]):
    """The examples of a dataset at these indices, in their order."""

    def __init__(self, dataset: Dataset[T], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[T]):
    """The examples of several datasets, one dataset after the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset() needs at least one dataset")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise TypeError("ConcatDataset() does not support IterableDataset, which has no indices")
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))

    def __getitem__(self, index: int) -> T:
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"index {index} is out of range for a ConcatDataset of {size} examples")
        index %= size
        i = bisect_right(self.cumulative_sizes, index)
        return self.datasets[i][index - self.cumulative_sizes[i] + len(self.datasets[i])]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """Subsets without overlap, drawn at random: `lengths` are numbers of examples, or fractions that add up to 1."""
    size = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        lengths = _whole(size, lengths)
    if sum(lengths) != size or any(length < 0 or length != int(length) for length in lengths):
        raise ValueError(f"random_split(): lengths {list(lengths)} must be whole numbers that add up to the {size} "
                         "examples of the dataset, or fractions that add up to 1")
    order = numpy_generator(generator).permutation(size).tolist()
    ends = accumulate(int(length) for length in lengths)
    return [Subset(dataset, order[end - int(length) : end]) for end, length in zip(ends, lengths)]


def _whole(size: int, fractions: Sequence[float]) -> list[int]:
    """The fractions of `size` rounded down, and what is left dealt out from the first on."""
    if any(not 0 <= fraction <= 1 for fraction in fractions):
        raise ValueError(f"random_split(): fractions must lie between 0 and 1, got {list(fractions)}")
    lengths = [math.floor(size * fraction) for fraction in fractions]
    for i in range(size - sum(lengths)):
        lengths[i % len(lengths)] += 1
    for i, length in enumerate(lengths):
        if length == 0:
            warn(f"random_split(): split {i} is empty")
    return lengths


# --- whole batches --------------------------------------------------------------------------------------------------

Getter = Callable[[Any], Any]  # from indices to the batch of these examples, or to the list of them


def batch_getter(dataset: Any) -> Getter | None:
    """What makes whole batches of the dataset, if it can.

    A `__getitems__` that a subclass inherits counts only if `__getitem__` is inherited as well: they would differ.
    """
    if type(dataset) is Subset:
        return _subset_getter(dataset)
    for cls in type(dataset).__mro__:
        if cls is TensorDataset:
            return dataset.__getitems__
        if "__getitems__" in vars(cls):
            return lambda indices: dataset.__getitems__(as_list(indices))
        if "__getitem__" in vars(cls):
            return None
    return None


def _subset_getter(subset: Any) -> Getter | None:
    """For a subset of a subset of …: the indices into the innermost dataset are worked out once per pass."""
    chain = []
    while type(subset) is Subset:
        chain.append(subset.indices)
        subset = subset.dataset
    get = batch_getter(subset)
    if get is None:
        return None
    positions = np.asarray(chain.pop(), dtype=np.intp)
    while chain:
        positions = positions[np.asarray(chain.pop(), dtype=np.intp)]
    return lambda indices: get(positions[indices])


def as_list(indices: Any) -> Any:
    """Indices as Python's ints, which datasets written for lists and dicts expect."""
    return indices.tolist() if isinstance(indices, np.ndarray) else indices
