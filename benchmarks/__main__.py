"""One training step of each workload in every library at hand, as a multiple of hand-written NumPy.

float32; each library in processes of its own, which take turns in every round; medians over all rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tqdm import tqdm

from benchmarks import goals, report
from benchmarks.chart import chart
from benchmarks.check import check
from benchmarks.libraries import LIBRARIES
from benchmarks.timing import CLOCKS, ENOUGH
from benchmarks.workloads import THREADS, WORKLOADS, program_of

ROOT = Path(__file__).resolve().parents[1]
PAUSE = 0.06  # seconds: so long may the threads of a library wait for more work, and be in the way of the next one


def positive(text):
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def options():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--library", nargs="+", choices=LIBRARIES, default=LIBRARIES, metavar="NAME")
    parser.add_argument("--processes", type=positive, default=5, help="processes per workload and library (default 5)")
    parser.add_argument("--rounds", type=positive, default=5, help="rounds per process (default 5)")
    parser.add_argument("--threads", type=positive, help="threads of the libraries (default "
                        f"1; {', '.join(f'{name}: {n}' for name, n in THREADS.items())})")  # fmt: skip
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="what is counted: wall time (default) "
                        "or, for one thread on a busy machine, the processor's")  # fmt: skip
    parser.add_argument("--keep-heap", action="store_true", help="glibc keeps freed memory: no page faults")
    parser.add_argument("--check", action="store_true", help="compare the results of the libraries, time nothing")
    parser.add_argument("--unchecked", action="store_true", help="time without comparing first")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="measure nothing, take the figures kept in FILE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures in FILE")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the figures as an SVG")
    parser.add_argument("--readme", action="store_true", help="renew the tables of the READMEs")
    return parser.parse_args()


def installed(libraries):
    """NumPy, the measure of all, and those of the others that can be imported."""
    found = [name for name, library in LIBRARIES.items() if name in {"numpy", *libraries} and library.installed()]
    for name in sorted(set(libraries) - set(found)):
        print(f"{name} needs {' and '.join(LIBRARIES[name].needs)}: left out", file=sys.stderr)
    return found


class Timer:
    """A process that has built a workload in a library, and times a block of steps whenever it is asked."""

    def __init__(self, library, workload, threads, clock, keep_heap=False):
        command = [sys.executable, "-m", "benchmarks.timing", library, workload, clock, str(threads)]
        settings = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        if keep_heap:
            settings |= {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**30)}
        self.pause = PAUSE if threads > 1 else 0
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | settings, cwd=ROOT
        )
        self.answer()  # it has warmed up

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.communicate()

    def seconds(self):
        """Seconds per step in a block."""
        time.sleep(self.pause)
        print(file=self.process.stdin, flush=True)
        return float(self.answer())

    def answer(self):
        """The next line of the process."""
        if not (line := self.process.stdout.readline()):
            self.process.communicate()
            raise subprocess.CalledProcessError(self.process.returncode, self.process.args)
        return line


def measure(libraries, workloads, processes, rounds, threads, clock, keep_heap):
    """Median seconds per step by workload and library, after each turn.

    In a turn each pair has a new process. Those of a workload live side by side and take turns, a block of steps each,
    so that whatever else the machine does meets all of them alike; in each round another one is the first.
    threads: how many a library may use; None for as many as `THREADS` has for the workload, else one.
    """
    pairs = [(w, library) for w in workloads for library in libraries if program_of(w, library) is not None]
    times = {pair: [] for pair in pairs}
    for turn in range(processes):
        for workload in (progress := tqdm(workloads, leave=False, disable=None)):
            progress.set_postfix_str(f"turn {turn + 1} {workload}")
            n = threads or THREADS.get(workload, 1)
            names = [library for w, library in pairs if w == workload]
            with contextlib.ExitStack() as stack:
                timers = {name: stack.enter_context(Timer(name, workload, n, clock, keep_heap)) for name in names}
                start = time.perf_counter()
                for i in range(rounds):
                    if i and time.perf_counter() - start > ENOUGH * len(names):
                        break
                    first = (turn * rounds + i) % len(names)
                    for name in names[first:] + names[:first]:
                        times[workload, name].append(timers[name].seconds())
        yield {w: {name: statistics.median(times[w, name]) for v, name in pairs if v == w} for w in workloads}


def new_figures(libraries, arguments):
    """Measure, once the results agree; what a run is kept as, after each turn."""
    if not arguments.unchecked:
        chosen = ["--workload", *arguments.workload, "--library", *libraries]
        if subprocess.run([sys.executable, "-m", "benchmarks", "--check", *chosen], check=False, cwd=ROOT).returncode:
            sys.exit("The results differ: nothing was timed.")
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5:
        print("This machine is busy: waiting threads make figures of small networks meaningless.", file=sys.stderr)
    how = {name: getattr(arguments, name) for name in ("processes", "rounds", "threads", "clock")}
    more = [f"{name}: {n}" for name, n in THREADS.items() if name in arguments.workload]
    told = arguments.threads or ", ".join(["1", *more])
    turns = measure(libraries, arguments.workload, **how, keep_heap=arguments.keep_heap)
    for turn, seconds in enumerate(turns, start=1):
        yield {"run": report.circumstances() | how | {"processes": turn, "threads": told}, "seconds": seconds}


def main():
    arguments = options()
    libraries = installed(arguments.library)
    if arguments.check:
        sys.exit(not check(libraries, arguments.workload))
    if arguments.figures:
        turns = [json.loads(arguments.figures.read_text(encoding="utf-8"))]
    else:
        turns = new_figures(libraries, arguments)
    for figures in turns:
        if arguments.json:  # a run that is broken off has kept the turns before
            arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(report.table(figures["seconds"]))
    print(goals.told(figures["seconds"]))
    if arguments.chart:
        arguments.chart.write_text(chart(figures), encoding="utf-8")
    for name, language in report.READMES.items() if arguments.readme else ():
        file = ROOT / name
        file.write_text(report.with_table(file.read_text(encoding="utf-8"), figures, language), encoding="utf-8")


if __name__ == "__main__":
    main()
