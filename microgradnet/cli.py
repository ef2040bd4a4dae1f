"""The command `microgradnet`: its arguments, and what it says when they cannot be met."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from . import __version__, mainjob


def main(argv: list[str] | None = None) -> int:
    """Run the command with these arguments, by default those it was called with; return its exit code."""
    parser = _parser()
    given = vars(parser.parse_args(argv))
    if given.pop("command") is None:
        parser.print_help()
        return 0
    out, resume = given.pop("out"), given.pop("resume")
    quiet, download, monitor = given.pop("quiet"), given.pop("download"), given.pop("monitor")
    backend = given.pop("compile")
    try:
        code = mainjob.run(given, out, resume, quiet, download, monitor, None if backend == "off" else backend)
        sys.stdout.flush()
        return code
    except mainjob.Refused as error:
        print(f"microgradnet train: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return mainjob.INTERRUPTED
    except BrokenPipeError:  # nobody reads on, as in `microgradnet train | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python, when it exits, would try again
        return mainjob.FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("microgradnet", description="Neural networks on NumPy that show their work.")
    parser.add_argument("--version", action="version", version=f"microgradnet {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command")
    _add_train(commands.add_parser(
        "train", help="train a network to read handwritten digits",
        description="Train a network to read handwritten digits, hold its gradients against the closed form, and draw "
                    "its graph and its learning curves.",
    ))
    return parser


def _add_train(parser: argparse.ArgumentParser) -> None:
    defaults = mainjob.DEFAULTS

    # A setting that is not given stays out of the result, so that a checkpoint can supply it.
    def setting(group: Any, flag: str, text: str, **options: Any) -> None:
        default = defaults.get(flag[2:].replace("-", "_"))
        if default is not None:
            text += f" (default: {' '.join(map(str, default)) if isinstance(default, list) else default})"
        group.add_argument(flag, default=argparse.SUPPRESS, help=text, **options)

    def choice(group: Any, flag: str, names: Iterable[str], text: str = "") -> None:
        setting(group, flag, f"{text}{', '.join(names)}", choices=list(names), metavar="NAME")

    data = parser.add_argument_group("data")
    choice(data, "--data", mainjob.DATA)
    setting(data, "--root", "where the files of MNIST lie (default: $MICROGRADNET_MNIST)", metavar="FOLDER")
    data.add_argument("--download", action="store_true", help="fetch the files of MNIST that are missing there")
    network = parser.add_argument_group("network")
    layers = network.add_mutually_exclusive_group()
    setting(layers, "--hidden", "sizes of the hidden layers", type=positive_int, nargs="*", metavar="N")
    setting(layers, "--sizes", "sizes of all layers, such as 784 30 10", type=positive_int, nargs="+", metavar="N")
    choice(network, "--activation", mainjob.ACTIVATIONS, "of the hidden layers: ")
    choice(network, "--cost", mainjob.COSTS, "softmax outputs with their log-likelihood, or sigmoid outputs with the "
                                             "book's quadratic cost or its cross-entropy: ")
    choice(network, "--dtype", ("float32", "float64"))
    descent = parser.add_argument_group("training")
    choice(descent, "--optimizer", mainjob.OPTIMIZERS)
    setting(descent, "--lr", "learning rate (default: one that suits data, cost and optimizer)", type=positive_float)
    setting(descent, "--batch-size", "examples per step", type=positive_int, metavar="M")
    setting(descent, "--epochs", "passes over the training set, in all", type=positive_int, metavar="N")
    setting(descent, "--lmbda", "the book's L2 regularisation, of the weights only: a weight decay of LAMBDA / n",
            type=at_least_zero, metavar="LAMBDA")
    setting(descent, "--seed", "of the first weights and the shuffling", type=whole, metavar="N")
    descent.add_argument("--compile", choices=("numpy", "numba", "off"), default="numpy", metavar="HOW",
                         help="numpy: run the steps as a program of NumPy calls, which gives the same numbers; numba: "
                         "as native code (extra fast); off: operation by operation (default: %(default)s)")
    results = parser.add_argument_group("results")
    results.add_argument("--out", type=Path, metavar="FOLDER", default=Path("microgradnet-out"),
                         help="where they go (default: %(default)s)")
    results.add_argument("--resume", type=Path, metavar="CHECKPOINT", help="continue a training, with its settings; "
                         "--lr, --batch-size, --epochs and --lmbda may be given anew")
    results.add_argument("--monitor", action="store_true", help="watch errors, gradients and neurons, layer by layer, "
                         "draw them in monitor.html, and say what makes a layer learn slowly")
    results.add_argument("--quiet", action="store_true", help="say nothing before the results")


def _number(kind: type, allowed: Callable[[Any], bool], what: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not allowed(value):
            raise argparse.ArgumentTypeError(f"must be {what}, got {text!r}")
        return value

    return parse


positive_int = _number(int, lambda n: 0 < n < 2**63, "a whole number above 0")
whole = _number(int, lambda n: 0 <= n < 2**63, "a whole number, 0 or more")
positive_float = _number(float, lambda x: 0 < x < float("inf"), "a number above 0")
at_least_zero = _number(float, lambda x: 0 <= x < float("inf"), "a number, 0 or more")
