"""Training: mini-batch descent on a loss, epoch by epoch, with its history and checkpoints to continue from."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from .autograd.nonfinite import first_nonfinite
from .compiler.compiled import compile
from .graph import Op
from .nn import Module
from .optim import Optimizer
from .random import Generator, default_generator
from .recording import no_grad
from .serialization import CheckpointError, load, load_checkpoint, save_checkpoint
from .tensor import Tensor
from .utils.data import DataLoader, TensorDataset

Loss = Callable[[Tensor, Tensor], Tensor]  # of outputs and targets, averaged over the examples

EVALUATED_AT_ONCE = 1000  # examples: bounds the memory, and changes no result


def _refuse_nonfinite(x, /):
    if not np.isfinite(x).all():
        raise ArithmeticError("not finite")
    return x


# As an operation, so that a compiled step refuses such a loss before it has written anything.
_finite = Op("finite", _refuse_nonfinite, lambda g, _y, _x: g, doc="x; an error if it is nan or infinite.")


class Epoch(NamedTuple):
    """What one epoch came to: costs and accuracies (0 to 1) as measured at its end, over the whole of each set."""

    epoch: int
    train_cost: float
    train_accuracy: float
    test_cost: float
    test_accuracy: float
    lr: float
    seconds: float


class NonFiniteLoss(ArithmeticError):
    """The loss is nan or infinite; the message says which tensor went bad first."""


class Trainer:
    """Trains a model and keeps the history.

    loss: a function of the model's outputs and the targets: a scalar, the mean over the examples.
    train, test: TensorDatasets of inputs (n, …) and targets: labels (n,), or for each a row (n, classes).
    generator: shuffles the training set anew for each epoch; by default the one that Dropout draws from, too.
    backend: of `compile`, to run the steps by; None is eager mode. A step that cannot be compiled, such as one that a
        hook watches, is run in eager mode.

    A training continued from a checkpoint comes to the same weights, bit for bit, as one that was never interrupted.
    """

    def __init__(self, model: Module, loss: Loss, optimizer: Optimizer, train: TensorDataset, test: TensorDataset,
                 batch_size: int = 32, generator: Generator | None = None, backend: str | None = None) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.train, self.test = train, test
        self.generator = generator or default_generator
        self.batches: DataLoader[Any] = DataLoader(train, batch_size, shuffle=True, generator=self.generator)
        self.history: list[Epoch] = []
        self.step = self._step if backend is None else compile(self._step, backend=backend, fallback="eager")

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.history)

    @property
    def best(self) -> Epoch:
        """The first of the epochs with the highest test accuracy."""
        return max(self.history, key=lambda epoch: epoch.test_accuracy)

    def fit(self, epochs: int, after_epoch: Callable[[Epoch], Any] | None = None,
            after_step: Callable[[], Any] | None = None) -> list[Epoch]:
        """Train until `epochs` epochs are done in all, and return the history.

        Errors: NonFiniteLoss, as soon as it happens. The epoch it happens in is not in the history.
        """
        with np.errstate(all="ignore"):  # a training that diverges is told by its loss
            while self.epoch < epochs:
                start, lr = perf_counter(), self.optimizer.param_groups[0]["lr"]
                self._descend(after_step)
                measured = *self.evaluate(self.train), *self.evaluate(self.test)
                self.history.append(Epoch(self.epoch + 1, *measured, lr, perf_counter() - start))
                if after_epoch is not None:
                    after_epoch(self.history[-1])
        return self.history

    def _descend(self, after_step: Callable[[], Any] | None) -> None:
        """One pass over the training set."""
        self.model.train()
        for x, y in self.batches:
            self.step(x, y)
            if after_step is not None:
                after_step()

    def _step(self, x: Tensor, y: Tensor) -> None:
        """One step of descent."""
        loss = self.loss(self.model(x), y)
        try:
            checked = _finite(loss)
        except ArithmeticError:
            raise self._nonfinite(loss) from None
        self.optimizer.zero_grad()
        checked.backward()
        self.optimizer.step()

    def evaluate(self, data: TensorDataset) -> tuple[float, float]:
        """Cost and accuracy: means over the examples, whatever the batches. The larger output is the answer."""
        self.model.eval()
        cost = correct = 0.0
        batches: DataLoader[Any] = DataLoader(data, EVALUATED_AT_ONCE)
        for x, y in batches:
            with no_grad():
                outputs = self.model(x)
                batch_cost = self.loss(outputs, y).item()
            if not math.isfinite(batch_cost):
                raise self._nonfinite(self.loss(self.model(x), y))  # once more, recorded
            labels = y.array if y.ndim == 1 else y.array.argmax(axis=1)
            cost += len(x) * batch_cost
            correct += int(np.count_nonzero(outputs.array.argmax(axis=1) == labels))
        return cost / len(data), correct / len(data)

    def _nonfinite(self, loss: Tensor) -> NonFiniteLoss:
        return NonFiniteLoss(f"the loss became {loss.item()} in epoch {self.epoch + 1}; the first tensor that is not "
                             f"finite is {first_nonfinite(loss)}")

    def save(self, path: str | os.PathLike[str], **extra: Any) -> None:
        """Write a checkpoint: the states of model, optimizer and generator, the history, and whatever else is given."""
        save_checkpoint(path, model=self.model, optimizer=self.optimizer, generator=self.generator, epoch=self.epoch,
                        history=[list(epoch) for epoch in self.history], **extra)

    def load(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """Continue from a checkpoint, and return all that is in it. All or nothing: an error leaves all as it was."""
        content = load(path)
        if not isinstance(content, dict) or "history" not in content:
            raise CheckpointError(f"Trainer.load(): {os.fspath(path)!r} was not saved by a Trainer: it has no history")
        load_checkpoint(path, self.model, self.optimizer, generator=self.generator)
        self.history = [Epoch(*epoch) for epoch in content["history"]]
        return content
