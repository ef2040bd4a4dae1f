"""Does training keep its memory flat? A small network, many steps, the garbage collector switched off.

Prints the resident memory at regular intervals; exits with 1 when it grew by more than the tolerance after the first of
them, by when allocator and caches have settled.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np

import microgradnet as mg
from microgradnet import nn, optim

STATM = Path("/proc/self/statm")


def resident_bytes():
    """Resident memory; where the system does not say, its peak so far, which shows growth as well."""
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes everywhere but on macOS


def train(steps, intervals, leak=False):
    """Resident bytes at the end of each interval."""
    rng = np.random.default_rng(0)
    x = mg.from_numpy(rng.standard_normal((8, 4), dtype=np.float32))
    labels = mg.from_numpy(rng.integers(3, size=8))
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    loss_fn = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    kept, sizes, start = [], [], time.perf_counter()
    for interval in range(1, intervals + 1):
        for _ in range(steps // intervals):
            optimizer.zero_grad()
            loss = loss_fn(model(x), labels)
            loss.backward()
            optimizer.step()
            if leak:
                kept.append(model(x))
        sizes.append(resident_bytes())
        seconds = time.perf_counter() - start
        print(f"{interval * (steps // intervals):>10} steps {seconds:8.1f} s {sizes[-1] / 2**20:9.2f} MiB", flush=True)
    return sizes


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--intervals", type=int, default=20)
    parser.add_argument("--tolerance", type=float, default=1.0, help="MiB (default 1)")
    parser.add_argument("--leak", action="store_true", help="keep a graph alive in every step, to see it caught")
    arguments = parser.parse_args()
    gc.disable()
    sizes = train(arguments.steps, arguments.intervals, arguments.leak)
    growth = (sizes[-1] - sizes[0]) / 2**20
    interval = arguments.steps // arguments.intervals
    slope = np.polyfit(interval * np.arange(len(sizes)), sizes, 1)[0]
    print(f"grew by {growth:.2f} MiB, {slope:.3f} bytes a step; tolerance {arguments.tolerance:g} MiB")
    sys.exit(growth > arguments.tolerance)


if __name__ == "__main__":
    main()
