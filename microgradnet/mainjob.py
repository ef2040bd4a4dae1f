"""The main job, `microgradnet train`: from handwriting to a network that reads it, with its work shown."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import nn, optim
from .datasets import MNIST, Digits
from .diagnosis import Monitor
from .errors import CompileError
from .random import manual_seed
from .serialization import CheckpointError, load, save
from .tensor import Tensor
from .trainer import Epoch, NonFiniteLoss, Trainer
from .utils.data import TensorDataset

FAILED, INTERRUPTED = 1, 130  # exit codes

# --- what there is to choose from -----------------------------------------------------------------------------------

CLASSES = 10


class Data(NamedTuple):
    """The number of pixels, and a divisor of the learning rate: where more inputs add up, steps must be smaller."""

    pixels: int
    divisor: float


DATA = {"digits": Data(64, 1.0), "mnist": Data(784, 2.5)}

ACTIVATIONS = {
    "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU,
    "silu": nn.SiLU, "gelu": nn.GELU, "softplus": nn.Softplus,
}  # fmt: skip


class Cost(NamedTuple):
    """A loss; what it leaves to the network's outputs; whether targets are one-hot; a learning rate for plain SGD."""

    loss: Any
    outputs: type[nn.Module] | None
    one_hot: bool
    lr: float

    def mean(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """C, averaged over the examples. The book's cross-entropy sums over the outputs, PyTorch's averages there."""
        cost = self.loss(outputs, targets)
        return cost / len(targets) if self.loss.reduction == "sum" else cost


COSTS = {
    "cross-entropy": Cost(nn.CrossEntropyLoss(), None, one_hot=False, lr=0.5),
    "quadratic": Cost(nn.QuadraticLoss(), nn.Sigmoid, one_hot=True, lr=3.0),
    "binary-cross-entropy": Cost(nn.BCEWithLogitsLoss(reduction="sum"), None, one_hot=True, lr=0.5),
}


class Method(NamedTuple):
    """An optimizer with its options, and its learning rate where plain SGD's would be `sgd`."""

    kind: Callable[..., optim.Optimizer]
    options: dict[str, Any]
    lr: Callable[[float], float]


OPTIMIZERS = {
    "sgd": Method(optim.SGD, {}, lambda sgd: sgd),
    "momentum": Method(optim.SGD, {"momentum": 0.9}, lambda sgd: sgd / 30),
    "nesterov": Method(optim.SGD, {"momentum": 0.9, "nesterov": True}, lambda sgd: sgd / 30),
    "adam": Method(optim.Adam, {}, lambda _: 0.003),
    "adamw": Method(optim.AdamW, {}, lambda _: 0.003),
    "rmsprop": Method(optim.RMSprop, {}, lambda _: 0.001),
    "adagrad": Method(optim.Adagrad, {}, lambda _: 0.05),
}

Settings = dict[str, Any]
DEFAULTS: Settings = {
    "data": "digits", "root": None, "hidden": [30], "activation": "relu", "cost": "cross-entropy", "dtype": "float32",
    "optimizer": "sgd", "lr": None, "batch_size": 10, "epochs": 30, "lmbda": 0.0, "seed": 0,
}  # fmt: skip
FIXED = ("data", "sizes", "activation", "cost", "dtype", "optimizer", "seed")  # by a checkpoint, once and for all


class Refused(Exception):
    """What was asked for cannot be done; the message says why, and what can."""


@contextlib.contextmanager
def refusing(*errors: type[Exception]) -> Iterator[None]:
    """Of these errors the user wants the message, not the traceback."""
    try:
        yield
    except errors as error:
        raise Refused(str(error)) from error


# --- the job --------------------------------------------------------------------------------------------------------


def run(given: Settings, out: Path, resume: Path | None = None, quiet: bool = False, download: bool = False,
        monitored: bool = False, backend: str | None = "numpy") -> int:
    """Train with the settings given, the others from the checkpoint to resume or from DEFAULTS; return an exit code.

    backend: of `compile`, for the steps; None is eager mode. Errors: Refused.
    """
    settings = settings_from(given, resume)
    make_folder(out)
    with refusing(CompileError):
        trainer = make_trainer(settings, download, backend)
    if resume is not None:
        continue_from(resume, trainer, settings, out)
    monitor = Monitor(trainer.model, trainer.optimizer) if monitored else None
    latest = resume  # the checkpoint to continue from, should something happen

    def keep(epoch: Epoch) -> None:
        nonlocal latest
        with refusing(OSError):
            trainer.save(out / "checkpoint.npz", settings=settings)
            latest = out / "checkpoint.npz"
            if epoch is trainer.best:
                trainer.save(out / "best.npz", settings=settings)

    problem = ""
    try:
        with progress(trainer, settings["epochs"], quiet) as (show, after_step):

            def after_epoch(epoch: Epoch) -> None:
                keep(epoch)
                show(epoch)

            trainer.fit(settings["epochs"], after_epoch, after_step)
    except NonFiniteLoss as error:
        code, problem = FAILED, f"microgradnet train: error: {error}. {advice(settings)}"
    except KeyboardInterrupt:
        code, problem = INTERRUPTED, f"Interrupted in epoch {trainer.epoch + 1}."
    with refusing(OSError):
        files = [*write_history(trainer.history, out), *write_monitor(monitor, out)]
    if problem:
        kept = f"To continue from what was kept: --resume {latest}" if latest else "No epoch was finished to be kept."
        print(f"\n{problem}\n{kept}", file=sys.stderr)
        return code
    show_results(trainer, settings, out, files)
    return 0


def advice(settings: Settings) -> str:
    """What helps a training that does not learn."""
    lr = settings["lr"]
    return f"Lower the learning rate: --lr {min(lr / 10, default_lr(settings)):g} in place of {lr:g}"


def make_folder(out: Path) -> None:
    """The folder for the results, which can be written to: better known before the training than after it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise Refused(f"nothing can be written to {out}: {error.strerror}; give another folder by --out") from error


# --- settings -------------------------------------------------------------------------------------------------------


def settings_from(given: Settings, resume: Path | None) -> Settings:
    """All settings: those given, then those of the checkpoint, then DEFAULTS. `sizes` takes the place of `hidden`."""
    saved = {} if resume is None else _saved_settings(resume)
    settings = {**DEFAULTS, **saved, **given}
    hidden = settings.pop("hidden")
    if saved and "hidden" not in given or "sizes" in given:
        _check_sizes(settings["sizes"], settings["data"])
    else:
        settings["sizes"] = [DATA[settings["data"]].pixels, *hidden, CLASSES]
    for name in FIXED:
        if saved and settings[name] != saved[name]:
            raise Refused(f"{resume} was trained with {name} {_shown(saved[name])}, which cannot become "
                          f"{_shown(settings[name])} now; leave that option out, or start anew without --resume")
    if settings["lr"] is None:
        settings["lr"] = default_lr(settings)
    return settings


def default_lr(settings: Settings) -> float:
    """A learning rate that suits the data, the cost and the optimizer."""
    return OPTIMIZERS[settings["optimizer"]].lr(COSTS[settings["cost"]].lr / DATA[settings["data"]].divisor)


def _check_sizes(sizes: list[int], data: str) -> None:
    pixels = DATA[data].pixels
    if len(sizes) < 2 or sizes[0] != pixels or sizes[-1] != CLASSES:
        raise Refused(f"--sizes {_shown(sizes)} does not suit --data {data}: its images have {pixels} pixels and "
                      f"{CLASSES} classes, so the sizes are {pixels} ... {CLASSES}")


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _saved_settings(checkpoint: Path) -> Settings:
    try:
        content = load(checkpoint)
    except (OSError, CheckpointError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise Refused(f"--resume {checkpoint} cannot be read: {reason}") from error
    saved = content.get("settings") if isinstance(content, dict) else None
    if not isinstance(saved, dict) or not saved.keys() >= {*FIXED, "lr", "batch_size", "epochs", "lmbda"}:
        raise Refused(f"{checkpoint} was not saved by microgradnet train: it holds no settings to continue with")
    return saved


# --- network and data -----------------------------------------------------------------------------------------------


def make_trainer(settings: Settings, download: bool = False, backend: str | None = None) -> Trainer:
    """The training that the settings describe, at its beginning."""
    cost, method = COSTS[settings["cost"]], OPTIMIZERS[settings["optimizer"]]
    train, test = (make_data(settings, train, download) for train in (True, False))
    generator = manual_seed(settings["seed"])
    with refusing(MemoryError):
        model = make_model(settings["sizes"], settings["activation"], cost.outputs).to(np.dtype(settings["dtype"]))
    groups = weights_and_biases(model, settings["lmbda"] / len(train))
    optimizer = method.kind(groups, lr=settings["lr"], **method.options)
    return Trainer(model, cost.mean, optimizer, train, test, settings["batch_size"], generator, backend)


def make_data(settings: Settings, train: bool, download: bool) -> TensorDataset:
    """The training or the test set: pixels from 0 to 1, and targets as the cost takes them."""
    if settings["data"] == "digits":
        dataset: Any = Digits(train)
    else:
        root = settings["root"] or os.environ.get("MICROGRADNET_MNIST")
        if not root:
            raise Refused("--data mnist needs the folder of its files: give --root FOLDER, or set MICROGRADNET_MNIST; "
                          "--download fetches them")
        try:
            dataset = MNIST(root, train, download=download)
        except (OSError, ValueError) as error:
            raise Refused(str(error).replace("download=True", "--download")) from error
    x, labels = dataset.arrays(dtype=np.dtype(settings["dtype"]))
    y = np.eye(CLASSES, dtype=x.dtype)[labels] if COSTS[settings["cost"]].one_hot else labels
    return TensorDataset(Tensor(x), Tensor(y))


def make_model(sizes: list[int], activation: str, outputs: type[nn.Module] | None) -> nn.Sequential:
    """Linear layers with an activation between each two, and what of the outputs is not part of the cost."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1], *([outputs()] if outputs else []))


def weights_and_biases(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups in which the decay is of the weights alone; without one, the optimizer's default is of both."""
    weights, biases = ([p for p in model.parameters() if (p.ndim > 1) is is_weight] for is_weight in (True, False))
    if not weight_decay:
        return [{"params": weights}, {"params": biases}]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": biases, "weight_decay": 0.0}]


def continue_from(checkpoint: Path, trainer: Trainer, settings: Settings, out: Path) -> None:
    """Bring the trainer to where the checkpoint stands; the best network so far goes along to the new folder."""
    groups = trainer.optimizer.param_groups
    rates = [{name: group[name] for name in ("lr", "weight_decay")} for group in groups]
    with refusing(OSError, CheckpointError, RuntimeError, ValueError, TypeError):
        trainer.load(checkpoint)
    for group, rate in zip(groups, rates):
        group.update(rate)  # as they may have been given anew
    if trainer.epoch >= settings["epochs"]:
        raise Refused(f"{checkpoint} holds epoch {trainer.epoch} already; give more by --epochs")
    best = checkpoint.with_name("best.npz")
    if best.exists() and checkpoint.parent.resolve() != out.resolve():
        with refusing(OSError, CheckpointError):
            save(load(best), out / "best.npz")


# --- what is shown --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def progress(trainer: Trainer, epochs: int, quiet: bool) -> Iterator[tuple[Callable, Callable | None]]:
    """What to call after an epoch and after a step: a bar in a terminal, else a line for each epoch."""
    if quiet:
        yield lambda epoch: None, None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        tqdm = None
    if tqdm is None or not sys.stdout.isatty():
        yield lambda epoch: print(_line(epoch, epochs), flush=True), None
        return
    steps = len(trainer.batches)
    done, total = trainer.epoch * steps, epochs * steps
    with tqdm(initial=done, total=total, unit="step", file=sys.stdout, dynamic_ncols=True) as bar:
        yield lambda epoch: bar.set_description(f"epoch {epoch.epoch}, test {epoch.test_accuracy:.2%}"), bar.update


def _line(epoch: Epoch, epochs: int) -> str:
    return (f"epoch {epoch.epoch:{len(str(epochs))}}/{epochs}   "
            f"train cost {epoch.train_cost:.4f} accuracy {epoch.train_accuracy:7.2%}   "
            f"test cost {epoch.test_cost:.4f} accuracy {epoch.test_accuracy:7.2%}   {epoch.seconds:.2f} s")


def write_history(history: list[Epoch], out: Path) -> list[str]:
    """The history as a table and as a picture of its curves; the names of the files."""
    from .viz import curves_svg
    from .viz.files import write_atomically

    if not history:
        return []
    columns = dict(zip(Epoch._fields, zip(*history)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Epoch._fields)
    writer.writerows(history)
    write_atomically(out / "history.csv", text.getvalue())
    curves_svg({name: columns[name] for name in Epoch._fields[:5]}, out / "curves.svg")
    return ["history.csv", "curves.svg"]


def write_monitor(monitor: Monitor | None, out: Path) -> list[str]:
    """Write what was watched, and print what was found; the name of the file."""
    if monitor is None or not monitor.steps:
        return []
    monitor.remove()
    found = monitor.findings() or ["nothing beyond the limits it tells things by"]
    print("\nWhat the monitor found:", *found, sep="\n- ")
    return [monitor.save(out / "monitor.html").name]


def show_results(trainer: Trainer, settings: Settings, out: Path, files: list[str]) -> None:
    """Print the accuracy, the comparison with the closed form, and what to try next; draw the graph."""
    from .backprop import compare

    last, best = trainer.history[-1], trainer.best
    print(f"\nTest accuracy: {last.test_accuracy:.2%} after {last.epoch} epochs, at best {best.test_accuracy:.2%} "
          f"(epoch {best.epoch}).\n\nThe gradients of the trained network, by autodiff and in closed form:\n")
    x, y = trainer.test[:10]
    with np.errstate(all="ignore"):
        compare(trainer.model, x, y, COSTS[settings["cost"]].loss)
        loss = trainer.loss(trainer.model(x), y)
    print()
    with refusing(OSError):
        files = [*draw_graph(loss, out), *files, "checkpoint.npz", "best.npz"]
    print(f"In {out}: {', '.join(files)}\nTry next: {what_next(settings, last)}")


def draw_graph(loss: Tensor, out: Path) -> list[str]:
    """Draw how a loss was computed; the name of the file. Where nothing renders SVG that is said, and DOT written."""
    from .viz import RenderError, draw

    try:
        drawing = draw(loss, name="cost")
    except ImportError as error:
        print(f"No graph was drawn: {error}; pip install {error.name}")
        return []
    try:
        return [drawing.save(out / "graph.svg").name]
    except RenderError as error:
        print(f"{error} graph.dot was written in place of graph.svg.")
        return [drawing.save(out / "graph.dot").name]


def what_next(settings: Settings, last: Epoch) -> str:
    """One step on from here."""
    if last.test_accuracy < 0.5:
        return advice(settings)
    command = "microgradnet train"
    if settings["data"] == "mnist":
        command += " --data mnist" + (f" --root {shlex.quote(settings['root'])}" if settings["root"] else "")
    if settings["cost"] == "quadratic":
        return f"{command} --cost binary-cross-entropy --activation sigmoid --out cross-entropy   (learns faster: why?)"
    if settings["activation"] != "sigmoid":
        return f"{command} --cost quadratic --activation sigmoid --out quadratic   (as the book begins; see curves.svg)"
    return f"{command} --hidden 100 --lmbda 5 --out large   (a larger network, its weights held small)"
