"""Sequences of different lengths in one tensor: padded to the longest, or packed time step by time step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...graph import ShapeError
from ...ops import cat, stack
from ...ops.creation import full
from ...tensor import Tensor, describe


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Sequences packed: `data` has first the first elements of all, longest sequence first, then the second ones of
    those that have one, and so on; `batch_sizes` says how many have one.

    sorted_indices: which sequence of the batch as it was given comes first, second, …; None where they were sorted.
    unsorted_indices: the way back.
    """

    def __new__(cls, data: Tensor, batch_sizes: Tensor | None = None, sorted_indices: Tensor | None = None,
                unsorted_indices: Tensor | None = None) -> Any:
        if batch_sizes is None:
            raise ValueError("PackedSequence: batch_sizes are missing; pack_padded_sequence() makes them")
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """With the data in another dtype, as `Tensor.to`."""
        return PackedSequence(self.data.to(*args, **kwargs), *self[1:])

    def float(self) -> PackedSequence:
        """With the data in float32."""
        return self.to(np.dtype(np.float32))

    def double(self) -> PackedSequence:
        """With the data in float64."""
        return self.to(np.dtype(np.float64))

    def cpu(self) -> PackedSequence:
        """Itself."""
        return self

    is_cuda = False


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The way back: where each position went."""
    return None if permutation is None else Tensor(np.argsort(permutation.array, kind="stable"))


def pack_padded_sequence(input: Tensor, lengths: Any, batch_first: bool = False,
                         enforce_sorted: bool = True) -> PackedSequence:
    """Pack a padded batch (T, N, …), of which sequence i has `lengths[i]` elements.

    enforce_sorted: the lengths must not increase; with False, sequences are sorted here, and what a recurrent network
        makes of them comes back in the order they had.
    """
    sizes = np.asarray(lengths.array if isinstance(lengths, Tensor) else lengths)
    if input.ndim < 2:
        raise IndexError(f"pack_padded_sequence() expects a padded batch (T, N, …), got {describe(input)}")
    x = input.transpose(0, 1) if batch_first else input
    if sizes.ndim != 1:
        raise ShapeError(f"pack_padded_sequence(): lengths must be a vector, got one of shape {sizes.shape}")
    sizes = sizes.astype(np.int64)
    if len(sizes) != x.shape[1]:
        raise ShapeError(f"pack_padded_sequence(): {len(sizes)} lengths for {x.shape[1]} sequences {describe(input)}")
    if not x.numel():
        raise ShapeError(f"pack_padded_sequence(): there is nothing to pack in {describe(input)}")
    if sizes.min() <= 0 or sizes.max() > len(x):
        bad = sizes[(sizes <= 0) | (sizes > len(x))][0]
        raise ShapeError(f"pack_padded_sequence(): each length must lie within 1 and {len(x)}, got {bad}")
    order = None
    if enforce_sorted:
        if (np.diff(sizes) > 0).any():
            raise RuntimeError("pack_padded_sequence(): with enforce_sorted=True lengths must be in decreasing order; "
                               "pass enforce_sorted=False")
    else:
        order = Tensor(np.argsort(-sizes, kind="stable"))
        x, sizes = x.index_select(1, order), sizes[order.array]
    batch_sizes = (sizes[:, None] > np.arange(sizes[0])).sum(0)
    if batch_sizes[-1] == len(sizes):
        data = x[: sizes[0]].reshape(-1, *x.shape[2:])
    else:
        data = cat([x[t, :n] for t, n in enumerate(batch_sizes.tolist())])
    return PackedSequence(data, Tensor(batch_sizes), order)


def pad_packed_sequence(sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0,
                        total_length: int | None = None) -> tuple[Tensor, Tensor]:
    """(padded batch (T, N, …), lengths): what `pack_padded_sequence` undoes.

    total_length: T, if not the length of the longest sequence.
    """
    sizes = sequence.batch_sizes.array
    steps, batch = len(sizes), int(sizes[0])
    if total_length is not None:
        if total_length < steps:
            raise ValueError(f"Expected total_length to be at least the length of the longest sequence, {steps}, got "
                             f"{total_length}")
        steps = total_length
    t, n = np.nonzero(np.arange(batch) < sizes[:, None])  # where each element of the data belongs
    shape = (steps, batch, *sequence.data.shape[1:])
    padded = full(shape, padding_value, dtype=sequence.data.dtype)
    padded[Tensor(t), Tensor(n)] = sequence.data
    lengths = Tensor((sizes[:, None] > np.arange(batch)).sum(0))
    if sequence.unsorted_indices is not None:
        padded = padded.index_select(1, sequence.unsorted_indices)
        lengths = lengths[sequence.unsorted_indices]
    return (padded.transpose(0, 1) if batch_first else padded), lengths


def pad_sequence(sequences: Sequence[Tensor] | Tensor, batch_first: bool = False, padding_value: float = 0.0,
                 padding_side: str = "right") -> Tensor:
    """Sequences (lengths[i], …) as one padded batch (T, N, …) as long as the longest."""
    sequences = list(sequences)
    if not sequences:
        raise RuntimeError("pad_sequence(): received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"pad_sequence(): Expected padding_side to be one of left or right, but got {padding_side}")
    steps = max(len(s) for s in sequences)
    padded = []
    for s in sequences:
        if s.shape[1:] != sequences[0].shape[1:]:
            raise ShapeError(f"pad_sequence(): sequences {describe(sequences[0])} and {describe(s)} differ in more "
                             "than their length")
        padding = full((steps - len(s), *s.shape[1:]), padding_value, dtype=s.dtype)
        padded.append(cat([s, padding] if padding_side == "right" else [padding, s]) if len(padding) else s)
    return stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded batch, each of its length."""
    x = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [s[:n] for s, n in zip(x.unbind(0), lengths.tolist())]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (lengths[i], …); enforce_sorted as in `pack_padded_sequence`."""
    return pack_padded_sequence(pad_sequence(sequences), [len(s) for s in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed batch."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
