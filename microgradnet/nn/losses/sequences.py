"""Connectionist temporal classification: the loss of a sequence of labels whose alignment with the input is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import ops
from ...graph import ShapeError
from ...recording import no_grad
from ...tensor import Tensor, describe
from ..module import Module
from .common import reduced


def ctc_loss(log_probs: Tensor, targets: Tensor, input_lengths: Tensor | Sequence[int],
             target_lengths: Tensor | Sequence[int], blank: int = 0, reduction: str = "mean",
             zero_infinity: bool = False) -> Tensor:
    """-log of the probability of all alignments that spell the target: a label at each time step, of which repetitions
    and then blanks are removed (Graves et al., 2006).

    log_probs: (T, N, C), or (T, C) for one example, as of log_softmax; the gradient takes them for normalised, as
        PyTorch's does.
    targets: (N, S), padded, or all in a row; labels from 0 to C - 1 other than the blank.
    input_lengths, target_lengths: N each, how much of each example counts.
    reduction: 'mean' divides each loss by its target's length first.
    zero_infinity: 0 for the infinite loss of a target that is too long for its input.
    """
    one = log_probs.ndim == 2
    if one:
        log_probs = log_probs.unsqueeze(1)
    elif log_probs.ndim != 3:
        raise ShapeError(f"ctc_loss(): log_probs {describe(log_probs)} must have shape (T, N, C) or (T, C)")
    steps, examples, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise RuntimeError(f"ctc_loss(): blank must be in label range: there are {classes} classes, got {blank}")
    times = _lengths("input_lengths", input_lengths, examples, steps)
    sizes = _lengths("target_lengths", target_lengths, examples, None)
    labels = _padded(targets, sizes, classes)
    losses = _losses(log_probs, labels, times, sizes, blank)
    present = Tensor(np.arange(steps)[:, None] < times)
    mass = ops.sum(ops.where(present, ops.sum(ops.exp(log_probs), dim=2), 0.0), dim=0)
    with no_grad():
        minus = -mass
    losses = losses + (mass + minus)  # 0, whose derivative is that of the normalisation
    if zero_infinity:
        losses = ops.where(losses == np.inf, 0.0, losses)
    if reduction == "mean":
        losses = losses / Tensor(np.maximum(sizes, 1).astype(losses.dtype))
    return reduced(losses.squeeze(0) if one else losses, reduction)


def _losses(log_probs: Tensor, labels: np.ndarray, times: np.ndarray, sizes: np.ndarray, blank: int) -> Tensor:
    """-log p of each example, by the forward recursion: α[s] is the log-probability of having spelt the first s of the
    target with blanks between and around its labels, 2 S + 1 in all."""
    steps, examples, _ = log_probs.shape
    width = 2 * labels.shape[1] + 1
    spelt = np.full((examples, width), blank)
    spelt[:, 1::2] = labels
    may_skip = np.zeros((examples, width), bool)  # the blank before, where it stands between different labels
    may_skip[:, 2:] = (spelt[:, 2:] != blank) & (spelt[:, 2:] != spelt[:, :-2])
    index = Tensor(np.ascontiguousarray(np.broadcast_to(spelt, (steps, examples, width))))
    emitted = ops.unbind(ops.gather(log_probs, 2, index))
    nowhere = Tensor(np.full((examples, 2), -np.inf, log_probs.dtype))
    start = np.full((examples, width), -np.inf, log_probs.dtype)
    start[:, 0] = 0
    alpha = Tensor(start)
    for t, emission in enumerate(emitted):
        before = ops.cat([nowhere, alpha], dim=1)
        skipped = ops.where(Tensor(may_skip), before[:, :width], -np.inf)
        new = ops.logsumexp(ops.stack([alpha, before[:, 1:-1], skipped]), dim=0) + emission
        alpha = new if t < times.min() else ops.where(Tensor((t < times)[:, None]), new, alpha)
    ends = ops.gather(alpha, 1, Tensor(np.stack([2 * sizes, np.maximum(2 * sizes - 1, 0)], axis=1)))
    # An empty target ends in one place only.
    ends = ops.where(Tensor(np.stack([sizes >= 0, sizes > 0], axis=1)), ends, -np.inf)
    return -ops.logsumexp(ends, dim=1)


def _lengths(name: str, given: Any, examples: int, most: int | None) -> np.ndarray:
    lengths = np.asarray(given.array if isinstance(given, Tensor) else given).reshape(-1)
    if lengths.dtype.kind not in "iu" and lengths.size:
        raise RuntimeError(f"ctc_loss(): {name} must be whole numbers, got {lengths.dtype}")
    if lengths.shape != (examples,):
        raise ShapeError(f"ctc_loss(): {name} must be of size batch_size {examples}, got {lengths.size}")
    if lengths.size and (lengths.min() < 0 or most is not None and lengths.max() > most):
        limit = "" if most is None else f" and at most {most}, the length of log_probs"
        raise RuntimeError(f"ctc_loss(): {name} must be at least 0{limit}, got {lengths.tolist()}")
    return lengths.astype(np.int64)


def _padded(targets: Tensor, sizes: np.ndarray, classes: int) -> np.ndarray:
    """The labels as (N, S) with zeros behind each target."""
    given = targets.array.astype(np.int64)
    width = int(sizes.max(initial=0))
    inside = np.arange(width) < sizes[:, None]
    labels = np.zeros((len(sizes), width), np.int64)
    if given.ndim == 1:
        if given.size != sizes.sum():
            raise ShapeError(f"ctc_loss(): targets {describe(targets)} must have as many labels as target_lengths "
                             f"say, {sizes.sum()}")
        labels[inside] = given
    elif given.ndim == 2 and len(given) == len(sizes) and given.shape[1] >= width:
        labels[inside] = given[:, :width][inside]
    else:
        raise ShapeError(f"ctc_loss(): targets {describe(targets)} must have shape ({len(sizes)}, S) with S at least "
                         f"{width}, or hold all labels in a row")
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise IndexError(f"ctc_loss(): targets from {labels.min()} to {labels.max()} are out of range: there are "
                         f"{classes} classes, 0 to {classes - 1}")
    return labels


class CTCLoss(Module):
    """See `ctc_loss`."""

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__()
        self.blank, self.reduction, self.zero_infinity = blank, reduction, zero_infinity

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Tensor | Sequence[int],
                target_lengths: Tensor | Sequence[int]) -> Tensor:
        return ctc_loss(log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction,
                        self.zero_infinity)
