"""Losses with layers of their own, for very many classes: adaptive softmax, and cross-entropy of a linear layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..ops.creation import zeros
from ..tensor import Tensor, describe
from .containers import ModuleList, Sequential
from .layers import Linear
from .losses.classes import linear_cross_entropy
from .losses.common import WeightedLoss
from .module import Module


class ASMoutput(NamedTuple):
    """The log-probability of each target, and the loss, the mean of their negatives."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Softmax in two steps: over the frequent classes and the clusters of the others, then within a cluster.

    Labels are ordered by frequency. Those below cutoffs[0] are in the head; each further cluster, from one cutoff to
    the next, sees in_features / div_value, then in_features / div_value², … features (Grave et al., 2017).
    """

    def __init__(self, in_features: int, n_classes: int, cutoffs: Sequence[int], div_value: float = 4.0,
                 head_bias: bool = False, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if cutoffs != sorted(set(cutoffs)) or min(cutoffs) <= 0 or max(cutoffs) > n_classes - 1 or any(
                int(c) != c for c in cutoffs):
            raise ValueError("cutoffs should be a sequence of unique, positive integers sorted in an increasing order, "
                             f"each between 1 and n_classes-1, got {cutoffs} for {n_classes} classes")
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, [*cutoffs, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = cutoffs[0], len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **options)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(self._clusters()):
            hidden = int(in_features // div_value ** (i + 1))
            self.tail.append(Sequential(Linear(in_features, hidden, bias=False, **options),
                                        Linear(hidden, high - low, bias=False, **options)))

    def _clusters(self) -> list[tuple[int, int]]:
        return list(zip(self.cutoffs, self.cutoffs[1:]))

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.reset_parameters()

    def forward(self, input: Tensor, target: Tensor) -> ASMoutput:
        """(N, in_features) and labels (N,) to log-probabilities (N,) and the loss; or of one example."""
        self._check(input, target)
        one = target.ndim == 0
        rows, labels = (input.unsqueeze(0), target.unsqueeze(0)) if one else (input, target)
        place = np.searchsorted(self.cutoffs, labels.array, side="right")  # 0 for the shortlist, then the clusters
        in_head = np.where(place == 0, labels.array, self.shortlist_size + place - 1)
        log_p = ops.log_softmax(self.head(rows), dim=1)
        output = ops.gather(log_p, 1, Tensor(in_head).unsqueeze(1)).squeeze(1)
        for i, (low, _) in enumerate(self._clusters()):
            members = Tensor(np.flatnonzero(place == i + 1))
            if members.numel():
                log_p = ops.log_softmax(self.tail[i](rows[members]), dim=1)
                within = ops.gather(log_p, 1, (labels[members] - low).unsqueeze(1)).squeeze(1)
                output = output + ops.index_add(zeros(len(rows), dtype=within.dtype), 0, members, within)
        loss = -ops.mean(output)
        return ASMoutput(output.squeeze(0) if one else output, loss)

    def _check(self, input: Tensor, target: Tensor) -> None:
        if target.ndim > 1:
            raise RuntimeError(f"target {describe(target)} must have shape (N,), or () for one example")
        if input.ndim != target.ndim + 1 or input.shape[:-1] != target.shape:
            raise RuntimeError(f"input {describe(input)} and target {describe(target)} should have the same size in "
                               "the batch dimension")
        labels = target.array
        if labels.size and not 0 <= labels.min() <= labels.max() < self.n_classes:
            raise RuntimeError(f"target values should be in [0, {self.n_classes - 1}], got values from {labels.min()} "
                               f"to {labels.max()}")

    def log_prob(self, input: Tensor) -> Tensor:
        """(N, in_features) to the log-probabilities of all classes, (N, n_classes)."""
        head = ops.log_softmax(self.head(input), dim=1)
        parts = [head[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            of_cluster = head[:, self.shortlist_size + i].unsqueeze(1)
            parts.append(of_cluster + ops.log_softmax(cluster(input), dim=1))
        return ops.cat(parts, dim=1)

    def predict(self, input: Tensor) -> Tensor:
        """(N, in_features) to the most probable label of each, (N,)."""
        return ops.argmax(self.log_prob(input), dim=1)


class LinearCrossEntropyLoss(WeightedLoss):
    """`CrossEntropyLoss` of a linear layer's logits, num_classes for each of `out_features`; the layer is `linear`."""

    def __init__(self, in_features: int, num_classes: int, *, out_features: tuple[int, ...] = (), bias: bool = False,
                 device: Any = None, dtype: Any = None, reduction: str = "mean", weight: Tensor | None = None,
                 ignore_index: int | None = None, label_smoothing: float = 0.0, options: Any = None) -> None:
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must be between 0 and 1, got {label_smoothing}")
        super().__init__(weight, reduction=reduction)
        self.in_features, self.num_classes, self.out_features = in_features, num_classes, tuple(out_features)
        self.ignore_index, self.label_smoothing, self.options = ignore_index, label_smoothing, options
        self.linear = Linear(in_features, num_classes * math.prod(out_features), bias, device, dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """(N, in_features), and labels (N, *out_features)"""
        weight = self.linear.weight.reshape(self.num_classes, *self.out_features, -1)
        return linear_cross_entropy(input, weight, target, linear_bias=self.linear.bias, weight=self.weight,
                                    reduction=self.reduction, ignore_index=self.ignore_index,
                                    label_smoothing=self.label_smoothing)

    def extra_repr(self) -> str:
        return (f"in_features={self.in_features}, num_classes={self.num_classes}, out_features={self.out_features}, "
                f"bias={self.linear.bias is not None}, reduction={self.reduction}, ignore_index={self.ignore_index}, "
                f"label_smoothing={self.label_smoothing}, options={self.options}")
