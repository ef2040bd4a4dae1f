"""The schedule that goes up and down again and again."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Sequence
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, checked, per_group
from .cycles import check_momentum, set_momentum


class CyclicLR(LRScheduler):
    """lr rises from `base_lr` to `max_lr` in `step_size_up` steps in a straight line and falls in `step_size_down`,
    over and over, while momentum, or β₁, goes the other way. Step it after every batch.

    mode: "triangular"; "triangular2", where each cycle is half as high as the one before; or "exp_range", where the
    height shrinks by gamma in each step. scale_fn: the factor on the height as a function of the number of the cycle,
    from 1, or with scale_mode "iterations" of the step; it takes the place of mode.
    base_lr, max_lr, base_momentum and max_momentum may be lists, with a value per group.

    Smith, "Cyclical learning rates for training neural networks", 2017.
    """

    def __init__(self, optimizer: Optimizer, base_lr: float | Sequence[float], max_lr: float | Sequence[float],
                 step_size_up: int = 2000, step_size_down: int | None = None, mode: str = "triangular",
                 gamma: float = 1.0, scale_fn: Callable[[float], float] | None = None, scale_mode: str = "cycle",
                 cycle_momentum: bool = True, base_momentum: float | Sequence[float] = 0.8,
                 max_momentum: float | Sequence[float] = 0.9, last_epoch: int = -1, verbose: Any = None) -> None:
        lows = per_group("base_lr", base_lr, checked(optimizer, self))
        self.max_lrs = per_group("max_lr", max_lr, optimizer)
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError("CyclicLR(): mode must be 'triangular', 'triangular2' or 'exp_range' where there is no "
                             f"scale_fn, got {mode!r}")
        self.total_size = float(step_size_up + (step_size_up if step_size_down is None else step_size_down))
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma, self._scale_fn_custom = mode, gamma, scale_fn
        self.scale_mode = scale_mode if scale_fn else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, lows):
                group["lr"] = lr
        if cycle_momentum:
            check_momentum("CyclicLR", optimizer)
            self.use_beta1 = "betas" in optimizer.defaults
            self.base_momentums = per_group("base_momentum", base_momentum, optimizer)
            self.max_momentums = per_group("max_momentum", max_momentum, optimizer)
            if last_epoch == -1:
                for group, low, high in zip(optimizer.param_groups, self.base_momentums, self.max_momentums):
                    set_momentum(group, high)
                    group["base_momentum"], group["max_momentum"] = low, high
        super().__init__(optimizer, last_epoch)
        self.base_lrs = lows

    def scale_fn(self, x: float) -> float:
        """The factor on the height in cycle x, or step x."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        return {"triangular": 1.0, "triangular2": 2.0 ** (1 - x), "exp_range": self.gamma**x}[self.mode]

    def get_lr(self) -> list[float]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        part = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        part *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            for group, low, high in zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums):
                set_momentum(group, high - (high - low) * part)
        return [low + (high - low) * part for low, high in zip(self.base_lrs, self.max_lrs)]

    def state_dict(self) -> dict[str, Any]:
        """All that the schedule knows, but the optimizer and functions; of a callable object its attributes."""
        own = self._scale_fn_custom
        known = None if isinstance(own, types.FunctionType) else getattr(own, "__dict__", None)
        return {**super().state_dict(), "_scale_fn_custom": known}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where a `state_dict()` was made."""
        known = state_dict["_scale_fn_custom"]
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "_scale_fn_custom"})
        if known is not None:
            vars(self._scale_fn_custom).update(known)
