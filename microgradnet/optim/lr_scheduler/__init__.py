"""Learning rate schedules: each changes the `lr` of an optimizer's groups when its `step()` is called, once per epoch
or per batch, after the optimizer's.

The formulas go from one learning rate to the next, as PyTorch's do, so that schedules can be chained and go on from a
learning rate set by hand; with `step(epoch)` they go from the initial one where there is a closed form.
Everywhere `last_epoch` is -1 for a new schedule, else the epoch to resume from, and `verbose` has no effect.
"""

from .base import LRScheduler
from .combined import ChainedScheduler, SequentialLR
from .cycles import CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR
from .cyclic import CyclicLR
from .factors import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from .plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR",
    "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR",
    "PolynomialLR", "ReduceLROnPlateau", "SequentialLR", "StepLR",
]
