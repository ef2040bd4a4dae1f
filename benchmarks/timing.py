"""Times one workload in one library, in a process of its own: a block of steps for each line that the parent sends."""

from __future__ import annotations

import argparse
import os
import sys
import time

from benchmarks.libraries import LIBRARIES
from benchmarks.workloads import WORKLOADS, build

BLOCK = 0.02  # seconds: a block of steps lasts at least this long, far above the clock's resolution
ENOUGH = 3.0  # seconds: no further round begins after so many
LEARNING_RATE = 1e-6  # a step costs the same at any rate; at this one the network stays where it began in every round


CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}  # the second counts all threads of the process


def time_block(step, steps, clock):
    start = clock()
    for _ in range(steps):
        step()
    return clock() - start


def block_of(step, clock):
    """How many steps a block has, after warming up; the first step, which may compile, does not count."""
    step()
    steps = 1
    while (took := time_block(step, steps, clock)) < BLOCK:
        steps *= 2
    if took < ENOUGH:
        time_block(step, steps, clock)
    return steps


def seconds_per_step(step, rounds, clock=time.perf_counter):
    """The time of one step in each of `rounds` blocks, fewer where they are long, after warming up."""
    steps = block_of(step, clock)
    times, start = [], time.perf_counter()
    while len(times) < rounds and (not times or time.perf_counter() - start < ENOUGH):
        times.append(time_block(step, steps, clock) / steps)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("clock", choices=CLOCKS)
    parser.add_argument("threads", type=int)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # not every library can be told how many threads to use
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])
    clock = CLOCKS[arguments.clock]
    step, _ = build(arguments.workload, arguments.library, LEARNING_RATE)
    steps = block_of(step, clock)
    print(steps, flush=True)
    for _ in sys.stdin:
        time_block(step, steps // 4, clock)  # others have run meanwhile
        print(time_block(step, steps, clock) / steps, flush=True)


if __name__ == "__main__":
    main()
