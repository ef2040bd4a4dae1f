"""Schedules that multiply the learning rate by a factor, from a formula or from a function of the user."""

from __future__ import annotations

import types
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, checked, per_group


class _FactorLR(LRScheduler):
    """lr is multiplied by `_factor()` in each epoch, which makes `_product()` since the first."""

    def get_lr(self) -> list[float]:
        factor = self._factor()
        return [lr * factor for lr in self._lrs()]

    def _get_closed_form_lr(self) -> list[float]:
        product = self._product()
        return [lr * product for lr in self.base_lrs]

    def _factor(self) -> float:
        raise NotImplementedError

    def _product(self) -> float:
        raise NotImplementedError


class StepLR(_FactorLR):
    """lr is multiplied by gamma every `step_size` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1,
                 verbose: Any = None) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        return self.gamma if self.last_epoch > 0 and self.last_epoch % self.step_size == 0 else 1.0

    def _product(self) -> float:
        return self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(_FactorLR):
    """lr is multiplied by gamma at each of the milestones, which are epochs."""

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1,
                 verbose: Any = None) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        return self.gamma ** self.milestones.count(self.last_epoch)

    def _product(self) -> float:
        return self.gamma ** bisect_right(self.milestones, self.last_epoch)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        if isinstance(self.milestones, Counter):  # as PyTorch keeps them
            self.milestones = sorted(self.milestones.elements())


class ConstantLR(_FactorLR):
    """lr is multiplied by `factor` at the start, and set free again after `total_iters` epochs."""

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1,
                 verbose: Any = None) -> None:
        _check_factor("ConstantLR", "factor", factor)
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        if self.last_epoch == 0:
            return self.factor
        return 1.0 / self.factor if self.last_epoch == self.total_iters else 1.0

    def _product(self) -> float:
        return 1.0 if self.last_epoch >= self.total_iters else self.factor


class LinearLR(_FactorLR):
    """The factor on lr goes in a straight line from `start_factor` to `end_factor` in `total_iters` epochs."""

    def __init__(self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0,
                 total_iters: int = 5, last_epoch: int = -1, verbose: Any = None) -> None:
        _check_factor("LinearLR", "start_factor", start_factor)
        if not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR(): end_factor must lie between 0 and 1, got {end_factor}")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        if self.last_epoch == 0:
            return self.start_factor
        if self._initial or self.last_epoch > self.total_iters:
            return 1.0
        rise = self.end_factor - self.start_factor
        return 1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise)

    def _product(self) -> float:
        rise = self.end_factor - self.start_factor
        return self.start_factor + rise * min(self.total_iters, self.last_epoch) / self.total_iters


class ExponentialLR(_FactorLR):
    """lr is multiplied by gamma every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1, verbose: Any = None) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        return 1.0 if self._initial else self.gamma

    def _product(self) -> float:
        return self.gamma**self.last_epoch


class PolynomialLR(_FactorLR):
    """lr · (1 − epoch / total_iters)^power, which is 0 from `total_iters` on."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1,
                 verbose: Any = None) -> None:
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        if self._initial or self.last_epoch > self.total_iters:
            return 1.0
        left = self.total_iters - self.last_epoch
        return (left / (left + 1)) ** self.power

    def _product(self) -> float:
        return (1.0 - min(self.total_iters, self.last_epoch) / self.total_iters) ** self.power


def _check_factor(scheduler: str, name: str, value: float) -> None:
    if not 0 < value <= 1:
        raise ValueError(f"{scheduler}(): {name} must be above 0, from where no factor leads back, and at most 1, "
                         f"got {value}")


class _FunctionLR(LRScheduler):
    """A function of the epoch for each group. A state_dict has the attributes of callable objects, no functions."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
                 last_epoch: int = -1, verbose: Any = None) -> None:
        self.lr_lambdas = per_group("lr_lambda", lr_lambda, checked(optimizer, self))
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"{type(self).__name__}(): lr_lambda must be callable, got {type(function).__name__}")
        super().__init__(optimizer, last_epoch)

    def _values(self) -> list[float]:
        return [function(self.last_epoch) for function in self.lr_lambdas]

    def state_dict(self) -> dict[str, Any]:
        known = [None if isinstance(f, types.FunctionType) else getattr(f, "__dict__", None) for f in self.lr_lambdas]
        return {**super().state_dict(), "lr_lambdas": known}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "lr_lambdas"})
        for function, known in zip(self.lr_lambdas, state_dict["lr_lambdas"]):
            if known is not None:
                vars(function).update(known)


class LambdaLR(_FunctionLR):
    """The initial lr times lr_lambda(epoch); a list has a function for each group."""

    def get_lr(self) -> list[float]:
        return [lr * value for lr, value in zip(self.base_lrs, self._values())]


class MultiplicativeLR(_FunctionLR):
    """lr is multiplied by lr_lambda(epoch) in each epoch but the first; a list has a function for each group."""

    def get_lr(self) -> list[float]:
        return self._lrs() if self._initial else [lr * value for lr, value in zip(self._lrs(), self._values())]
