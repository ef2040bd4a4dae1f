"""Single layers, here and in PyTorch: one forward and backward pass of each, in eager mode, on one thread.

float32, the same input and the same gradient of the output; both in this process, taking turns block by block.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import sys
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.timing import block_of, time_block

LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "Linear(64, 64)": (lambda nn: nn.Linear(64, 64), (32, 64)),
    "GELU()": (lambda nn: nn.GELU(), (128, 512)),
    "Softmax(-1)": (lambda nn: nn.Softmax(-1), (128, 100)),
    "Dropout(0.3)": (lambda nn: nn.Dropout(0.3), (128, 512)),
    "LayerNorm(64)": (lambda nn: nn.LayerNorm(64), (16, 64)),
    "LayerNorm(512)": (lambda nn: nn.LayerNorm(512), (128, 512)),
    "BatchNorm1d(64)": (lambda nn: nn.BatchNorm1d(64), (32, 64)),
    "BatchNorm2d(8)": (lambda nn: nn.BatchNorm2d(8), (16, 8, 14, 14)),
    "BatchNorm2d(32)": (lambda nn: nn.BatchNorm2d(32), (32, 32, 28, 28)),
    "GroupNorm(8, 32)": (lambda nn: nn.GroupNorm(8, 32), (32, 32, 14, 14)),
    "Conv1d(8, 16, 5)": (lambda nn: nn.Conv1d(8, 16, 5), (16, 8, 64)),
    "Conv2d(1, 8, 3)": (lambda nn: nn.Conv2d(1, 8, 3), (16, 1, 28, 28)),
    "Conv2d(8, 16, 3)": (lambda nn: nn.Conv2d(8, 16, 3, padding=1), (16, 8, 14, 14)),
    "Conv2d(32, 32, 3)": (lambda nn: nn.Conv2d(32, 32, 3, padding=1), (32, 32, 14, 14)),
    "MaxPool2d(2)": (lambda nn: nn.MaxPool2d(2), (16, 8, 28, 28)),
    "AvgPool2d(2)": (lambda nn: nn.AvgPool2d(2), (16, 8, 28, 28)),
    "RNN(32, 32)": (lambda nn: nn.RNN(32, 32), (20, 16, 32)),
    "GRU(32, 32)": (lambda nn: nn.GRU(32, 32), (20, 16, 32)),
    "LSTM(32, 32)": (lambda nn: nn.LSTM(32, 32), (20, 16, 32)),
    "TransformerEncoderLayer(32, 4)": (
        lambda nn: nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True), (8, 16, 32)),
}  # fmt: skip


def layer_and_input(library: Any, name: str) -> tuple[Any, Any]:
    """A layer, and an input of the shape it is given here."""
    build, shape = LAYERS[name]
    return build(library.nn), library.from_numpy(normal(shape, 0)).requires_grad_()


def normal(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def output(layer: Any, x: Any) -> Any:
    y = layer(x)
    return y[0] if isinstance(y, tuple) else y


def step_of(library: Any, layer: Any, x: Any) -> Any:
    """A function that makes one forward and backward pass, and gives the output."""
    gradient = library.from_numpy(normal(tuple(output(layer, x).shape), 1))

    def step():
        layer.zero_grad()
        x.grad = None
        y = output(layer, x)
        y.backward(gradient)
        return y

    return step


def same(libraries: list[Any], name: str) -> bool:
    """Whether a layer has the same outputs and gradients in both, given the same parameters, to 1e-3."""
    ours, theirs = pairs = [layer_and_input(library, name) for library in libraries]
    ours[0].load_state_dict({key: value.numpy() for key, value in theirs[0].state_dict().items()})
    found = []
    for library, (layer, x) in zip(libraries, pairs):
        y = step_of(library, layer, x)()
        found.append([y.detach().numpy(), *(t.grad.numpy() for t in (x, *layer.parameters()))])
    return all(np.allclose(a, b, 1e-3, 1e-3 * np.abs(b).max()) for a, b in zip(*found, strict=True))


def ratio(libraries: list[Any], name: str, rounds: int) -> tuple[float, list[float]]:
    """(the median of our time over PyTorch's in each round, the median seconds of each)"""
    if "Dropout" not in name and not same(libraries, name):
        raise SystemExit(f"{name} computes something else here than in PyTorch")
    steps = [step_of(library, *layer_and_input(library, name)) for library in libraries]
    counts = [block_of(step, perf_counter) for step in steps]
    turns = [[time_block(step, n, perf_counter) / n for step, n in zip(steps, counts)] for _ in range(rounds)]
    return statistics.median(ours / theirs for ours, theirs in turns), [*map(statistics.median, zip(*turns))]


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layers", description=__doc__)
    parser.add_argument("--layer", nargs="+", default=[""], metavar="NAME", help="those with one of these in the name")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # it is read when NumPy is imported
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.layers", *sys.argv[1:]], environment)
    libraries = [importlib.import_module(name) for name in ("microgradnet", "torch")]
    libraries[1].set_num_threads(1)
    print(f"{'layer':32}{'here':>10}{'PyTorch':>10}{'ratio':>8}")
    for name in LAYERS:
        if any(wanted in name for wanted in arguments.layer):
            share, (ours, theirs) = ratio(libraries, name, arguments.rounds)
            print(f"{name:32}{1e6 * ours:>7.0f} µs{1e6 * theirs:>7.0f} µs{share:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
