"""What compiling costs, against what it saves: the nndl step; exits with 1 above the limit."""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from benchmarks.timing import LEARNING_RATE, seconds_per_step
from benchmarks.workloads import build


def first_call(library):
    """A new step, and the seconds its first call takes, which compiles it."""
    step, _ = build("nndl", library, LEARNING_RATE)
    start = time.perf_counter()
    step()
    return step, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiling", description=__doc__)
    parser.add_argument("--library", choices=("compiled", "native"), default="compiled")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--limit", type=float, default=20.0, help="milliseconds (default 20)")
    arguments = parser.parse_args()
    eager = statistics.median(seconds_per_step(first_call("microgradnet")[0], arguments.rounds))
    _, at_first = first_call(arguments.library)  # imports what only compiling needs
    compiled, seconds = zip(*(first_call(arguments.library) for _ in range(arguments.rounds)))
    once = statistics.median(seconds) - eager
    step = statistics.median(seconds_per_step(compiled[-1], arguments.rounds))
    print(f"compiling the nndl step: {1e3 * once:.1f} ms; limit {arguments.limit:g} ms")
    print(f"the first time in a process: {1e3 * at_first:.0f} ms")
    print(f"a step: {1e6 * eager:.0f} µs in eager mode, {1e6 * step:.0f} µs {arguments.library}")
    if step < eager:
        print(f"paid after {once / (eager - step):.0f} steps; the first time, after {at_first / (eager - step):.0f}")
    sys.exit(1e3 * once > arguments.limit)


if __name__ == "__main__":
    main()
