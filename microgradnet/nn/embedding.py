"""Embedding: rows of a matrix looked up by number, one by one or as bags that are summed, averaged or maximised."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..dtypes import check_device, get_default_dtype
from ..graph import DtypeError, Op, ShapeError, stamp
from ..ops.creation import empty, zeros
from ..ops.index import Slot, _add_at, _checked
from ..tensor import Tensor, describe
from . import init
from .module import Module
from .parameter import Parameter

# --- functions ------------------------------------------------------------------------------------------------------


_embedding = Op("embedding", lambda weight, numbers, /: np.take(weight, _checked(numbers, weight.shape, 0), axis=0),
                lambda g, _y, _weight, numbers: _add_at(g, numbers, shape=tuple(_weight.shape), index=(Slot(0),)), None,
                doc="Rows of a matrix, by their numbers.")


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
              norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False) -> Tensor:
    """weight[input]: whole numbers of shape (…) to rows (…, embedding_dim) of weight (num_embeddings, embedding_dim).

    padding_idx: the row of this number gets no gradient.
    max_norm: rows that are looked up and have a greater `norm_type`-norm are first scaled down to it, in place.
    scale_grad_by_freq: the gradient of a row is divided by how often it was looked up.
    """
    _check_weight("embedding", weight, sparse)
    _check_numbers("embedding", input)
    padding_idx = _row_number("embedding", padding_idx, len(weight))
    if max_norm is not None:
        _renormalise(weight, input.array, max_norm, norm_type)
    rows = _looked_up(weight, input, scale_grad_by_freq)
    return rows if padding_idx is None else ops.where((input == padding_idx).unsqueeze(-1), rows.detach(), rows)


def _looked_up(weight: Tensor, numbers: Tensor, by_frequency: bool) -> Tensor:
    rows = _embedding(weight, numbers)
    if not by_frequency:
        return rows
    times = np.bincount(numbers.array.reshape(-1))[numbers.array]
    held = rows.detach()
    return held + (rows - held) / Tensor(times[..., None].astype(rows.dtype))  # the same values, another gradient


def embedding_bag(input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None,
                  norm_type: float = 2, scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
                  per_sample_weights: Tensor | None = None, include_last_offset: bool = False,
                  padding_idx: int | None = None) -> Tensor:
    """The sum, mean or max (`mode`) over each bag of rows of the weight: (bags, embedding_dim); 0 for an empty bag.

    input: (bags, n), a bag a row; or a vector, where `offsets` says at which position each bag begins.
    per_sample_weights: factors of the rows, in the shape of input; for mode 'sum' only.
    include_last_offset: the last of `offsets` is the end of the last bag and begins none.
    padding_idx: this number counts as if it were not in the bag.
    """
    _check_weight("embedding_bag", weight, sparse)
    _check_numbers("embedding_bag", input)
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"embedding_bag(): mode has to be one of sum, mean or max, got {mode!r}")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("embedding_bag(): mode 'max' does not support scaling the gradient by the frequency")
    if per_sample_weights is not None:
        _check_sample_weights(per_sample_weights, input, mode)
    padding_idx = _row_number("embedding_bag", padding_idx, len(weight))

    lengths = _bag_lengths(input, offsets, include_last_offset)
    bags = np.repeat(np.arange(len(lengths)), lengths)  # the bag of each number
    numbers = input.reshape(-1)[: len(bags)]
    factors = None if per_sample_weights is None else per_sample_weights.reshape(-1)[: len(bags)]
    if padding_idx is not None:
        kept = np.flatnonzero(numbers.array != padding_idx)
        bags, numbers = bags[kept], numbers[kept]
        factors = None if factors is None else factors[kept]
        lengths = np.bincount(bags, minlength=len(lengths))
    if max_norm is not None:
        _renormalise(weight, numbers.array, max_norm, norm_type)
    rows = _looked_up(weight, numbers, scale_grad_by_freq)
    if factors is not None:
        rows = rows * factors.unsqueeze(1)
    if mode == "max" and len(bags):
        return _largest(rows, lengths)
    total = ops.index_add(zeros(len(lengths), weight.shape[1], dtype=weight.dtype), 0, Tensor(bags), rows)
    if mode == "mean":
        total = total / Tensor(np.maximum(lengths, 1)[:, None].astype(weight.dtype))
    return total


def _largest(rows: Tensor, lengths: np.ndarray) -> Tensor:
    """The maximum over each bag, from the rows of all bags one after another."""
    within = np.arange(lengths.max())
    places = (np.cumsum(lengths) - lengths)[:, None] + within
    absent = Tensor(within >= lengths[:, None]).unsqueeze(-1)
    padded = rows[Tensor(np.minimum(places, len(rows) - 1))].masked_fill(absent, -np.inf)
    return padded.max(1).values.masked_fill(Tensor(lengths == 0).unsqueeze(-1), 0.0)


def _bag_lengths(input: Tensor, offsets: Tensor | None, include_last: bool) -> np.ndarray:
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(f"embedding_bag(): a matrix of numbers {describe(input)} has a bag in each row, offsets "
                             "has to be None")
        return np.full(input.shape[0], input.shape[1])
    if input.ndim != 1:
        raise ValueError(f"embedding_bag(): input has to be a vector or a matrix, got {describe(input)}")
    if offsets is None or offsets.ndim != 1:
        raise ValueError(f"embedding_bag(): offsets has to be a vector where input is one, got {describe(offsets)}")
    if offsets.dtype.kind not in "iu":
        raise DtypeError(f"embedding_bag(): offsets must hold whole numbers, got {describe(offsets)}")
    starts = offsets.array
    if include_last and not len(starts):
        raise ValueError("embedding_bag(): include_last_offset=True needs at least one offset")
    if len(starts) and (starts[0] != 0 or starts[-1] > len(input)):
        raise ShapeError(f"embedding_bag(): offsets have to begin with 0 and end within {len(input)}, the length of "
                         f"input, got {starts[0]} to {starts[-1]}")
    lengths = np.diff(starts if include_last else np.append(starts, len(input)))
    if (lengths < 0).any():
        raise ShapeError("embedding_bag(): offsets must not decrease")
    return lengths


def _check_weight(name: str, weight: Tensor, sparse: bool) -> None:
    if sparse:
        raise NotImplementedError(f"{name}(): sparse gradients are out of scope; leave sparse=False")
    if weight.ndim != 2:
        raise RuntimeError(f"{name}(): weight must be a matrix (num_embeddings, embedding_dim), got {describe(weight)}")


def _check_numbers(name: str, input: Any) -> None:
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): input must be a Tensor, not {type(input).__name__}")
    if input.dtype.kind not in "iu":
        raise DtypeError(f"{name}(): input must hold whole numbers, got {describe(input)}; call .long()")


def _check_sample_weights(weights: Tensor, input: Tensor, mode: str) -> None:
    if mode != "sum":
        raise NotImplementedError(f"embedding_bag(): per_sample_weights go with mode='sum' only, got mode={mode!r}")
    if weights.shape != input.shape:
        raise ValueError(f"embedding_bag(): per_sample_weights {describe(weights)} must have the shape of input "
                         f"{describe(input)}")


def _row_number(name: str, index: int | None, count: int) -> int | None:
    """The index of a row counted from the front."""
    if index is None:
        return None
    if not -count <= index < count:
        raise ValueError(f"{name}: padding_idx must be within the {count} embeddings, got {index}")
    return index % count


def _renormalise(weight: Tensor, numbers: np.ndarray, max_norm: float, norm_type: float) -> None:
    """Scale down, in place, the rows among these numbers whose norm exceeds max_norm."""
    used = np.unique(_checked(numbers, weight.shape, 0))
    rows = weight.array[used]
    norms = np.linalg.norm(rows, norm_type, axis=1, keepdims=True)
    # The 1e-7 guards the division, as in PyTorch.
    weight.array[used] = np.where(norms > max_norm, rows * (max_norm / (norms + 1e-7)), rows).astype(weight.dtype)
    stamp(weight.array)


# --- modules --------------------------------------------------------------------------------------------------------


class _Table(Module):
    """What Embedding and EmbeddingBag share: a matrix with a row for each number, standard normal at the start."""

    weight: Parameter

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None, max_norm: float | None,
                 norm_type: float, scale_grad_by_freq: bool, sparse: bool, weight: Tensor | None, freeze: bool,
                 device: Any, dtype: Any) -> None:
        super().__init__()
        check_device(device)
        if sparse:
            raise NotImplementedError(f"{self._get_name()}: sparse gradients are out of scope; leave sparse=False")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = _row_number(self._get_name(), padding_idx, num_embeddings)
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        given = weight is not None
        if weight is None:
            weight = empty(num_embeddings, embedding_dim, dtype=get_default_dtype() if dtype is None else dtype)
        elif tuple(weight.shape) != (num_embeddings, embedding_dim):
            raise ValueError(f"{self._get_name()}: a weight {describe(weight)} does not fit {num_embeddings} "
                             f"embeddings of dimension {embedding_dim}")
        self.weight = Parameter(weight, requires_grad=not freeze)
        if not given:
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the rows anew, but for the padding, which is 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.array[self.padding_idx] = 0
            stamp(self.weight.array)

    def extra_repr(self) -> str:
        parts = [str(self.num_embeddings), str(self.embedding_dim)]
        for name, usual in self._shown.items():
            if (value := getattr(self, name)) != usual:
                parts.append(f"{name}={value!r}")
        return ", ".join(parts)

    _shown: dict[str, Any]  # what the repr tells where it is not the usual value


def _matrix(name: str, embeddings: Tensor) -> tuple[int, int]:
    if embeddings.ndim != 2:
        raise ValueError(f"{name}.from_pretrained(): embeddings is expected to be a matrix, got {describe(embeddings)}")
    rows, columns = embeddings.shape
    return rows, columns


class Embedding(_Table):
    """A table of vectors: whole numbers (…) to (…, embedding_dim). The arguments are those of `F.embedding`."""

    _shown = {"padding_idx": None, "max_norm": None, "norm_type": 2, "scale_grad_by_freq": False}

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None,
                 max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
                 sparse: bool = False, _weight: Tensor | None = None, _freeze: bool = False, device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
                         _weight, _freeze, device, dtype)

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None,
                        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
                        sparse: bool = False) -> Embedding:
        """With a given matrix, whose memory it shares; frozen, it requires no gradient."""
        rows, columns = _matrix(cls.__name__, embeddings)
        return cls(rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight=embeddings,
                   _freeze=freeze)

    def forward(self, input: Tensor) -> Tensor:
        """(…) to (…, embedding_dim)"""
        return embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq)


class EmbeddingBag(_Table):
    """Bags of vectors from a table, summed, averaged or maximised. The arguments are those of `F.embedding_bag`."""

    _shown = {"max_norm": None, "norm_type": 2, "scale_grad_by_freq": False, "mode": None, "padding_idx": None}

    def __init__(self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None, norm_type: float = 2.0,
                 scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
                 _weight: Tensor | None = None, include_last_offset: bool = False, padding_idx: int | None = None,
                 device: Any = None, dtype: Any = None) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
                         _weight, False, device, dtype)
        self.mode, self.include_last_offset = mode, include_last_offset

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, max_norm: float | None = None,
                        norm_type: float = 2.0, scale_grad_by_freq: bool = False, mode: str = "mean",
                        sparse: bool = False, include_last_offset: bool = False,
                        padding_idx: int | None = None) -> EmbeddingBag:
        """With a given matrix, whose memory it shares; frozen, it requires no gradient."""
        rows, columns = _matrix(cls.__name__, embeddings)
        bag = cls(rows, columns, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings,
                  include_last_offset, padding_idx)
        bag.weight.requires_grad_(not freeze)
        return bag

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        """(bags, n), or (n,) with offsets, to (bags, embedding_dim)"""
        return embedding_bag(input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq,
                             self.mode, False, per_sample_weights, self.include_last_offset, self.padding_idx)
