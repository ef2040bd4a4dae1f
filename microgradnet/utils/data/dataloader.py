"""DataLoader: batches of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from ...random import Generator
from .collate import default_collate, default_convert
from .dataset import IterableDataset, as_list, batch_getter
from .sampler import BatchSampler, RandomSampler, SequentialSampler, check_positive, index_batches

T = TypeVar("T", covariant=True)


class Indexable(Protocol[T]):
    """What can serve as a dataset: a Dataset, a list, an array."""

    def __getitem__(self, index: Any, /) -> T: ...


class DataLoader(Generic[T]):
    """The batches of a dataset: each iteration is a new pass over it, independent of others under way.

    batch_size: examples per batch; the last has what is left, or is left out with `drop_last`. None: single examples.
    shuffle: a new random order for each pass, from `generator` or the default one.
    sampler: indices in an order of its own; batch_sampler: lists of them. Any iterable that can be iterated anew.
    collate_fn: makes a batch of a list of examples; without batches it converts the single example.
    num_workers, pin_memory, timeout, worker_init_fn, multiprocessing_context, prefetch_factor, persistent_workers,
    pin_memory_device, in_order: accepted, without effect; everything happens in this process.
    """

    dataset: Any
    _complete = False

    def __init__(self, dataset: Indexable[T], batch_size: int | None = 1, shuffle: bool | None = None,
                 sampler: Any = None, batch_sampler: Any = None, num_workers: int = 0,
                 collate_fn: Callable[[Any], Any] | None = None, pin_memory: bool = False, drop_last: bool = False,
                 timeout: float = 0, worker_init_fn: Callable[[int], None] | None = None,
                 multiprocessing_context: Any = None, generator: Generator | None = None, *,
                 prefetch_factor: int | None = None, persistent_workers: bool = False, pin_memory_device: str = "",
                 in_order: bool = True) -> None:
        if num_workers < 0:
            raise ValueError(f"DataLoader(): num_workers must be at least 0, got {num_workers}")
        iterable = isinstance(dataset, IterableDataset)
        _check_exclusions(iterable, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size = None
        if not iterable:
            if sampler is None:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
            if batch_size is not None:
                batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.sampler, self.batch_sampler, self.generator = sampler, batch_sampler, generator
        batched = batch_size is not None or batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if batched else default_convert)
        self.num_workers, self.pin_memory, self.timeout = num_workers, pin_memory, timeout
        self.worker_init_fn, self.multiprocessing_context = worker_init_fn, multiprocessing_context
        self.prefetch_factor, self.persistent_workers = prefetch_factor, persistent_workers
        self.pin_memory_device, self.in_order = pin_memory_device, in_order
        self._complete = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self._complete and name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset"):
            raise ValueError(f"DataLoader.{name} cannot be changed any more; make a new DataLoader")
        super().__setattr__(name, value)

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self.dataset, IterableDataset):
            return self._stream()
        if self.batch_sampler is None:
            return (self.collate_fn(self.dataset[i]) for i in self.sampler)
        get = batch_getter(self.dataset) if self.collate_fn is default_collate else None
        batches = index_batches(self.batch_sampler)
        return self._one_by_one(batches) if get is None else self._at_once(batches, get)

    def _one_by_one(self, batches: Iterable[Any]) -> Iterator[Any]:
        for indices in batches:
            yield self.collate_fn([self.dataset[i] for i in as_list(indices)])

    def _at_once(self, batches: Iterable[Any], get: Callable[[Any], Any]) -> Iterator[Any]:
        for indices in batches:
            batch = get(indices)
            if type(batch) is tuple:
                yield list(batch)
            else:
                yield default_collate(batch) if isinstance(batch, list) else batch

    def _stream(self) -> Iterator[Any]:
        examples = iter(self.dataset)
        if self.batch_size is None:
            yield from map(self.collate_fn, examples)
            return
        while batch := list(islice(examples, self.batch_size)):
            if self.drop_last and len(batch) < self.batch_size:
                return
            yield self.collate_fn(batch)

    def __len__(self) -> int:
        if not isinstance(self.dataset, IterableDataset):
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)
        size = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return size
        return size // self.batch_size if self.drop_last else -(-size // self.batch_size)


def _check_exclusions(iterable: bool, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any,
                      drop_last: Any) -> None:
    """Options of a DataLoader that contradict each other."""
    if iterable and (shuffle or sampler is not None or batch_sampler is not None):
        raise ValueError("DataLoader(): an IterableDataset has an order of its own; leave out shuffle, sampler and "
                         "batch_sampler")
    if sampler is not None and shuffle:
        raise ValueError("DataLoader(): sampler and shuffle exclude each other")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ValueError("DataLoader(): batch_sampler excludes batch_size, shuffle, sampler and drop_last")
    if batch_size is None and drop_last:
        raise ValueError("DataLoader(): batch_size=None gives single examples, and drop_last drops batches")
    if batch_size is not None:
        check_positive("DataLoader", "batch_size", batch_size)


def get_worker_info() -> None:
    """None: there are no worker processes."""
    return None
