"""Schedules of schedules."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler
from .plateau import ReduceLROnPlateau


class _Composite(LRScheduler):
    """Schedules of one optimizer that take turns or act together."""

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler]) -> None:
        self.optimizer, self._schedulers = optimizer, list(schedulers)
        for i, scheduler in enumerate(self._schedulers):
            if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(f"{type(self).__name__}(): schedulers[{i}] is a {type(scheduler).__name__}, "
                                 "which does not step by epochs alone")
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"{type(self).__name__}(): schedulers[{i}] belongs to another optimizer")

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "_schedulers"})
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)


class SequentialLR(_Composite):
    """One schedule after the other: `milestones` are the epochs at which the next one starts, from its own epoch 0."""

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int],
                 last_epoch: int = -1, verbose: Any = None) -> None:
        super().__init__(optimizer, schedulers)
        if len(milestones) != len(self._schedulers) - 1:
            raise ValueError(f"SequentialLR() needs one milestone less than schedulers, got {len(self._schedulers)} "
                             f"schedulers and {len(milestones)} milestones")
        self._milestones = list(milestones)
        self.last_epoch = last_epoch + 1
        # Each scheduler took its initial step when it was made; only the first one's is to count.
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        _undo_step(self)
        self._initial_step()

    def _initial_step(self) -> None:
        self._schedulers[bisect_right(self._milestones, 0)]._initial_step()
        self._last_lr = self._lrs()

    def step(self, epoch: None = None) -> None:
        """Go to the next epoch, and set the learning rates for it."""
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            self._schedulers[i]._update_lr(0)
        else:
            self._schedulers[i].step()
        self._last_lr = self._lrs()

    def _update_lr(self, epoch: Any = None) -> None:
        self.last_epoch = epoch
        self._schedulers[bisect_right(self._milestones, epoch)]._update_lr(epoch)


class ChainedScheduler(_Composite):
    """Several schedules at once: each goes on from the learning rates that the one before has set."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if not schedulers:
            raise ValueError("ChainedScheduler() needs at least one scheduler")
        super().__init__(optimizer or schedulers[0].optimizer, schedulers)
        self._last_lr = self._lrs()

    def step(self, epoch: None = None) -> None:
        """Go to the next epoch, and set the learning rates for it."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._lrs()

    def _initial_step(self) -> None:
        for scheduler in self._schedulers:
            scheduler._initial_step()
        self._last_lr = self._lrs()

    def _update_lr(self, epoch: Any = None) -> None:
        for scheduler in self._schedulers:
            scheduler._update_lr(epoch)


def _undo_step(scheduler: LRScheduler) -> None:
    """Set a schedule, or all that it is composed of, back by an epoch."""
    if isinstance(scheduler, _Composite):
        for inner in scheduler._schedulers:
            _undo_step(inner)
    else:
        scheduler.last_epoch -= 1
