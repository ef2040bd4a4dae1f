"""Schedules along half a cosine, once or again and again, and the one cycle."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, checked, per_group


class CosineAnnealingLR(LRScheduler):
    """lr goes along half a cosine from the initial value to `eta_min` in `T_max` epochs, and back in as many.

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, without the restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1,
                 verbose: Any = None) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        t, T = self.last_epoch, self.T_max
        if self._initial:
            return self._lrs()
        if (t - 1 - T) % (2 * T) == 0:  # leaving the bottom, where the quotient below is 0 / 0
            rise = (1 - math.cos(math.pi / T)) / 2
            return [lr + (base - self.eta_min) * rise for lr, base in zip(self._lrs(), self.base_lrs)]
        factor = (1 + math.cos(math.pi * t / T)) / (1 + math.cos(math.pi * (t - 1) / T))
        return [factor * (lr - self.eta_min) + self.eta_min for lr in self._lrs()]

    def _get_closed_form_lr(self) -> list[float]:
        return [cosine(lr, self.eta_min, self.last_epoch / self.T_max) for lr in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """lr goes along half a cosine from the initial value to `eta_min` in `T_0` epochs, and starts anew; each round is
    `T_mult` times as long as the one before. `step(epoch)` takes fractions of epochs.

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1,
                 verbose: Any = None) -> None:
        for name, value in ("T_0", T_0), ("T_mult", T_mult):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"CosineAnnealingWarmRestarts(): {name} must be a whole number above 0, got {value}")
        self.T_0, self.T_i, self.T_mult, self.eta_min = T_0, T_0, T_mult, eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [cosine(lr, self.eta_min, self.T_cur / self.T_i) for lr in self.base_lrs]

    def step(self, epoch: Any = None) -> None:
        """Go to the next epoch, or to `epoch`, which may be a fraction, and set the learning rates for it."""
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            self._seek(epoch)
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr())

    def _seek(self, epoch: float) -> None:
        if epoch < 0:
            raise ValueError(f"CosineAnnealingWarmRestarts.step(): epoch must be at least 0, got {epoch}")
        self.T_i, self.T_cur = self.T_0, epoch
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult


class OneCycleLR(LRScheduler):
    """lr rises from max_lr / div_factor to `max_lr` and falls to the former / final_div_factor, while momentum, or β₁,
    goes the other way. Step it after every batch, `total_steps` = `epochs` · `steps_per_epoch` times.

    pct_start: the part of the steps in which lr rises. anneal_strategy: "cos" or "linear".
    three_phase: fall as symmetrically as lr rose, then to the end value. max_lr, base_momentum and max_momentum may be
    lists, with a value per group.

    Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.
    """

    def __init__(self, optimizer: Optimizer, max_lr: float | Sequence[float], total_steps: int | None = None,
                 epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
                 anneal_strategy: str = "cos", cycle_momentum: bool = True,
                 base_momentum: float | Sequence[float] = 0.85, max_momentum: float | Sequence[float] = 0.95,
                 div_factor: float = 25.0, final_div_factor: float = 1e4, three_phase: bool = False,
                 last_epoch: int = -1, verbose: Any = None) -> None:
        if total_steps is None and epochs is not None and steps_per_epoch is not None:
            total_steps = epochs * steps_per_epoch
        checked(optimizer, self)
        if not isinstance(total_steps, int) or total_steps <= 0:
            raise ValueError("OneCycleLR() needs total_steps, or epochs and steps_per_epoch, as whole numbers above 0, "
                             f"got {total_steps=}, {epochs=}, {steps_per_epoch=}")
        if not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR(): pct_start must lie between 0 and 1, got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR(): anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        if cycle_momentum:
            check_momentum("OneCycleLR", optimizer)
        self.total_steps, self.anneal_strategy, self.cycle_momentum = total_steps, anneal_strategy, cycle_momentum
        # The turning points: the steps at which they lie, and the entries of a group that lr and momentum have there.
        up, last = pct_start * total_steps - 1, total_steps - 1
        self._steps = [0.0, up, 2 * up, last] if three_phase else [0.0, up, last]
        self._lrs_at = ["initial_lr", "max_lr", *["initial_lr"] * three_phase, "min_lr"]
        self._momenta_at = ["max_momentum", "base_momentum", *["max_momentum"] * three_phase, "max_momentum"]
        if last_epoch == -1:
            tops = per_group("max_lr", max_lr, optimizer)
            lows = per_group("base_momentum", base_momentum, optimizer)
            highs = per_group("max_momentum", max_momentum, optimizer)
            for group, top, low, high in zip(optimizer.param_groups, tops, lows, highs):
                group["initial_lr"] = top / div_factor
                group["max_lr"], group["min_lr"] = top, group["initial_lr"] / final_div_factor
                if cycle_momentum:
                    group["base_momentum"], group["max_momentum"] = low, high
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"OneCycleLR: step {step} of {self.total_steps}: the schedule is over")
        i = min(bisect_left(self._steps, step, lo=1), len(self._steps) - 1)  # the turning point ahead
        start, end = self._steps[i - 1], self._steps[i]
        part = (step - start) / (end - start) if end > start else 1.0
        anneal = cosine if self.anneal_strategy == "cos" else line
        groups = self.optimizer.param_groups
        if self.cycle_momentum:
            for group in groups:
                momentum = anneal(group[self._momenta_at[i - 1]], group[self._momenta_at[i]], part)
                set_momentum(group, momentum)
        return [anneal(group[self._lrs_at[i - 1]], group[self._lrs_at[i]], part) for group in groups]


def cosine(start: float, end: float, part: float) -> float:
    """From start (part 0) to end (part 1) along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def line(start: float, end: float, part: float) -> float:
    """From start (part 0) to end (part 1) in a straight line."""
    return start + (end - start) * part


def check_momentum(scheduler: str, optimizer: Optimizer) -> None:
    """Refuse to cycle what is not there."""
    if not {"momentum", "betas"} & set(optimizer.defaults):
        raise ValueError(f"{scheduler}(): {type(optimizer).__name__} has no momentum to cycle; "
                         "pass cycle_momentum=False")


def set_momentum(group: dict[str, Any], momentum: float) -> None:
    """Set a group's momentum, or β₁ where that is its name."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum
