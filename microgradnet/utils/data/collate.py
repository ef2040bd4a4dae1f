"""From a list of examples to a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...tensor import Tensor


def default_collate(batch: Sequence[Any]) -> Any:
    """One batch of what is in a list of examples, with a new first dimension.

    Tensors, arrays and numbers become a Tensor (Python floats float64, integers int64); strings a list; the entries of
    dicts, named tuples, tuples and lists are collated one by one (a tuple gives a list, as in PyTorch).
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return _stacked(batch)
    if isinstance(first, (np.ndarray, np.generic)) and first.dtype.kind in "fiub":
        return _stacked([Tensor(np.asarray(x)) for x in batch])
    if isinstance(first, (int, float)):
        return Tensor(np.array(batch))
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _mapping(first, {key: default_collate([x[key] for x in batch]) for key in first})
    if isinstance(first, Sequence):
        if any(len(x) != len(first) for x in batch):
            raise RuntimeError(f"default_collate(): each {type(first).__name__} of a batch must have the same length, "
                               f"got {sorted({len(x) for x in batch})}; pass a collate_fn that pads them")
        return _sequence(first, [default_collate(column) for column in zip(*batch)])
    raise TypeError("default_collate(): a batch must contain tensors, arrays, numbers, strings, dicts, tuples or "
                    f"lists; found {_kind(first)}; convert it in the dataset, or pass a collate_fn")


def default_convert(data: Any) -> Any:
    """One example as it is, but its arrays as Tensors."""
    if isinstance(data, (np.ndarray, np.generic)) and data.dtype.kind in "fiub":
        return Tensor(np.asarray(data))
    if isinstance(data, Mapping):
        return _mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _sequence(data, [default_convert(value) for value in data])
    return data


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    if any(x.shape != tensors[0].shape for x in tensors):
        shapes = sorted({tuple(x.shape) for x in tensors})
        raise RuntimeError(f"default_collate(): the tensors of a batch must have equal shapes, got {shapes}; pass a "
                           "collate_fn that pads or crops them")
    if any(x.requires_grad for x in tensors):
        from ...ops import stack

        return stack(list(tensors))
    return Tensor(np.stack([x.array for x in tensors]))


def _mapping(like: Mapping, values: dict) -> Any:
    try:
        return type(like)(values)  # type: ignore[call-arg]
    except TypeError:
        return values


def _sequence(like: Sequence, values: list) -> Any:
    if hasattr(like, "_fields"):
        return type(like)(*values)
    return values


def _kind(value: Any) -> str:
    return f"an array of {value.dtype}" if isinstance(value, (np.ndarray, np.generic)) else type(value).__name__
