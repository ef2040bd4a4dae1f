"""One training step of each workload in every library at hand, as a multiple of hand-written NumPy.

float32, two threads; each measurement in a process of its own, the libraries taking turns; medians over all rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from tqdm import tqdm

from benchmarks.check import check
from benchmarks.libraries import LIBRARIES
from benchmarks.workloads import WORKLOADS, program_of

GOALS = {  # by library
    "microgradnet": {"nndl": 1.6, "small": 1.1, "medium": 1.0, "wide": 1.0, "deep": 1.4, "adam-small": 0.75, "chain": 7,
                     "elem": 1.15},
}  # fmt: skip


def positive(text):
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def options():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, default=WORKLOADS, metavar="NAME")
    parser.add_argument("--library", nargs="+", choices=LIBRARIES, default=LIBRARIES, metavar="NAME")
    parser.add_argument("--processes", type=positive, default=5, help="processes per workload and library (default 5)")
    parser.add_argument("--rounds", type=positive, default=5, help="rounds per process (default 5)")
    parser.add_argument("--threads", type=positive, default=2, help="threads of the libraries (default 2)")
    parser.add_argument("--keep-heap", action="store_true", help="glibc keeps freed memory: no page faults")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    parser.add_argument("--check", action="store_true", help="compare the results of the libraries, time nothing")
    return parser.parse_args()


def installed(libraries):
    """NumPy, the measure of all, and those of the others that can be imported."""
    found = [name for name, library in LIBRARIES.items() if name in {"numpy", *libraries} and library.installed()]
    for name in sorted(set(libraries) - set(found)):
        print(f"{name} needs {' and '.join(LIBRARIES[name].needs)}: left out", file=sys.stderr)
    return found


def time_in_new_process(library, workload, rounds, threads, keep_heap=False):
    """Seconds per step, one figure a round."""
    command = [sys.executable, "-m", "benchmarks.timing", library, workload, str(rounds)]
    settings = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    settings["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={threads}"
    if keep_heap:
        settings |= {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**30)}
    child = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | settings, cwd=Path(__file__).parents[1]
    )
    return json.loads(child.stdout)


def measure(libraries, workloads, processes, rounds, threads, keep_heap):
    """Median seconds per step by workload and library."""
    pairs = [(w, library) for w in workloads for library in libraries if program_of(w, library) is not None]
    runs = pairs * processes
    times = {run: [] for run in runs}
    for workload, library in (progress := tqdm(runs, leave=False, disable=None)):
        progress.set_postfix_str(f"{workload} {library}")
        times[workload, library] += time_in_new_process(library, workload, rounds, threads, keep_heap)
    return {w: {name: statistics.median(times[w, name]) for v, name in pairs if v == w} for w in workloads}


def row(label, values, form):
    return f"{label:24}" + "".join(f"{'–' if value is None else format(value, form):>12}" for value in values)


def table(seconds, libraries):
    workloads = list(seconds)
    lines = [row("", workloads, "")]
    lines += [row("numpy, µs per step", [1e6 * seconds[w]["numpy"] for w in workloads], ".1f")]
    for library in libraries[1:]:
        ratios = [seconds[w][library] / seconds[w]["numpy"] if library in seconds[w] else None for w in workloads]
        lines += [row(f"{library}, ×", ratios, ".3g")]
    for library in [library for library in GOALS if library in libraries]:
        lines += [row(f"goal: {library}, ×", [GOALS[library].get(w) for w in workloads], "g")]
    return "\n".join(lines)


def main():
    arguments = options()
    libraries = installed(arguments.library)
    if arguments.check:
        sys.exit(not check(libraries, arguments.workload))
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5:
        print("This machine is busy: waiting threads make figures of small networks meaningless.", file=sys.stderr)
    seconds = measure(
        libraries, arguments.workload, arguments.processes, arguments.rounds, arguments.threads, arguments.keep_heap
    )
    print(table(seconds, libraries))
    if arguments.json:
        ratios = {w: {library: t / times["numpy"] for library, t in times.items()} for w, times in seconds.items()}
        arguments.json.write_text(json.dumps({"seconds": seconds, "ratios": ratios, "goals": GOALS}, indent=1) + "\n")


if __name__ == "__main__":
    main()
