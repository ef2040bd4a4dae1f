"""What all schedules share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...callers import warn
from ..optimizer import Optimizer


class LRScheduler:
    """A schedule of one's own gives `get_lr`: the learning rates of all groups for epoch `self.last_epoch`, from
    `self.base_lrs`, the initial ones, or from those in `self.optimizer.param_groups`."""

    _initial = False  # during the step that the constructor takes

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1, verbose: Any = None) -> None:
        self.optimizer = checked(optimizer, self)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(f"param_groups[{i}] has no 'initial_lr' to resume from with last_epoch={last_epoch}: "
                               "load the optimizer's state_dict first, or leave last_epoch at -1")
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._initial = True
        self.step()
        self._initial = False

    def get_lr(self) -> list[float]:
        """The learning rates that the running `step()` is to set. To look one up, use `get_last_lr`."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_lr()")

    def get_last_lr(self) -> list[float]:
        """The learning rates of all groups as the last step left them."""
        return self._last_lr

    def step(self, epoch: Any = None) -> None:
        """Go to the next epoch, or to `epoch`, and set the learning rates for it."""
        if self._step_count == 1:
            self._check_order()
        self._step_count += 1
        self._update_lr(epoch)

    def _check_order(self) -> None:
        follows = type(self.optimizer).step is Optimizer.step  # another step() does not tell whether it was called
        if follows and not self.optimizer._stepped:
            warn("scheduler.step() was called before optimizer.step(), which skips the first value of the "
                 "schedule; call optimizer.step() first")

    def _update_lr(self, epoch: Any = None) -> None:
        if epoch is None:
            self.last_epoch += 1
            lrs = self.get_lr()
        else:
            self.last_epoch = epoch
            lrs = self._get_closed_form_lr()
        self._set(lrs)

    def _get_closed_form_lr(self) -> list[float]:
        """The learning rates for `self.last_epoch` from the initial ones alone, where they can be had so."""
        return self.get_lr()

    def _set(self, lrs: Iterable[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, lrs, strict=True):
            group["lr"] = lr
        self._last_lr = self._lrs()

    def _lrs(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """All that the schedule knows, but the optimizer and functions."""
        return {key: value for key, value in self.__dict__.items() if key not in ("optimizer", "_initial")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where a `state_dict()` was made. Load the optimizer's as well: the learning rates are there."""
        self.__dict__.update(state_dict)


def checked(optimizer: Any, scheduler: LRScheduler) -> Optimizer:
    """The optimizer, if it is one."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(scheduler).__name__}() schedules an Optimizer, got {type(optimizer).__name__}")
    return optimizer


def per_group(name: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """A value for each group, from a list of them or from one for all."""
    count = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * count
    if len(values) != count:
        raise ValueError(f"{name} has {len(values)} values for {count} parameter groups")
    return values
