"""Samplers: the order in which examples are taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from ...random import Generator, multinomial, numpy_generator
from ...tensor import Tensor

T = TypeVar("T", covariant=True)


class Sampler(Generic[T]):
    """Indices of examples, or lists of them, one by one: a subclass gives `__iter__`, and `__len__` if it can."""

    def __init__(self, data_source: Any = None) -> None:
        pass

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__()")


class _ArraySampler(Sampler[int]):
    """A sampler whose indices are drawn all at once, as an array; a DataLoader cuts it into batches."""

    def draw(self) -> np.ndarray:
        """The indices of one pass."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        return iter(self.draw().tolist())


class SequentialSampler(_ArraySampler):
    """All examples in their order."""

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def draw(self) -> np.ndarray:
        return np.arange(len(self.data_source))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(_ArraySampler):
    """All examples in a random order; or `num_samples` of them, each anew from all (`replacement`) or from further
    random orders once all were taken."""

    def __init__(self, data_source: Any, replacement: bool = False, num_samples: int | None = None,
                 generator: Generator | None = None) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(f"RandomSampler(): replacement must be True or False, got {replacement!r}")
        if num_samples is not None:
            check_positive("RandomSampler", "num_samples", num_samples)
        self.data_source, self.replacement, self.generator = data_source, replacement, generator
        self._num_samples = num_samples

    @property
    def num_samples(self) -> int:
        """How many indices a pass has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def draw(self) -> np.ndarray:
        numbers, size, count = numpy_generator(self.generator), len(self.data_source), self.num_samples
        if size == 0 and count > 0:
            raise ValueError(f"RandomSampler: {count} samples cannot be drawn from an empty dataset")
        if self.replacement:
            return numbers.integers(size, size=count)
        if count == size:
            return numbers.permutation(size)
        return np.concatenate([numbers.permutation(size) for _ in range(-(-count // size))])[:count]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(_ArraySampler):
    """The given indices in a random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices, self.generator = indices, generator

    def draw(self) -> np.ndarray:
        return numpy_generator(self.generator).permutation(np.asarray(self.indices, dtype=np.intp))

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(_ArraySampler):
    """`num_samples` indices drawn with probabilities proportional to `weights`, which need not add up to 1."""

    def __init__(self, weights: Sequence[float] | Tensor, num_samples: int, replacement: bool = True,
                 generator: Generator | None = None) -> None:
        check_positive("WeightedRandomSampler", "num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(f"WeightedRandomSampler(): replacement must be True or False, got {replacement!r}")
        values = np.array(weights.array if isinstance(weights, Tensor) else weights, dtype=np.float64)
        if values.ndim != 1:
            raise ValueError(f"WeightedRandomSampler(): weights must be a 1-D sequence, got shape {values.shape}")
        self.weights = Tensor(values)
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator

    def draw(self) -> np.ndarray:
        return multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator).array

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` indices from another sampler; the last may be shorter, or is left out with `drop_last`."""

    def __init__(self, sampler: Sampler[int] | Iterable[int], batch_size: int, drop_last: bool) -> None:
        check_positive("BatchSampler", "batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ValueError(f"BatchSampler(): drop_last must be True or False, got {drop_last!r}")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if self.drop_last and len(batch) < self.batch_size:
                return
            yield batch

    def __len__(self) -> int:
        size: int = len(self.sampler)  # type: ignore[arg-type]
        return size // self.batch_size if self.drop_last else -(-size // self.batch_size)


def index_batches(batch_sampler: Any) -> Iterator[Any]:
    """The batches of indices of one pass: as arrays where the sampler draws one, else as they come."""
    if type(batch_sampler) is not BatchSampler or not isinstance(batch_sampler.sampler, _ArraySampler):
        return iter(batch_sampler)
    return _cut(batch_sampler.sampler.draw(), batch_sampler.batch_size, batch_sampler.drop_last)


def _cut(indices: np.ndarray, size: int, drop_last: bool) -> Iterator[np.ndarray]:
    for start in range(0, len(indices) - (size - 1 if drop_last else 0), size):
        yield indices[start : start + size]


def check_positive(caller: str, name: str, value: Any) -> None:
    """ValueError unless the value is a whole number above 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{caller}(): {name} must be a whole number above 0, got {value!r}")
