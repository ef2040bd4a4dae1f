"""Times one workload in one library and prints one JSON line; the parent starts it in a process of its own."""

from __future__ import annotations

import argparse
import json
import time

from benchmarks.libraries import LIBRARIES
from benchmarks.workloads import WORKLOADS, build

BLOCK = 0.02  # seconds: a block of steps lasts at least this long, far above the clock's resolution
LEARNING_RATE = 1e-6  # a step costs the same at any rate; at this one the network stays where it began in every round


def time_block(step, steps):
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return time.perf_counter() - start


def seconds_per_step(step, rounds):
    """The time of one step in each of `rounds` blocks, after warming up."""
    steps = 1
    while time_block(step, steps) < BLOCK:
        steps *= 2
    time_block(step, steps)
    return [time_block(step, steps) / steps for _ in range(rounds)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("rounds", type=int)
    arguments = parser.parse_args()
    step, _ = build(arguments.workload, arguments.library, LEARNING_RATE)
    print(json.dumps(seconds_per_step(step, arguments.rounds)))


if __name__ == "__main__":
    main()
