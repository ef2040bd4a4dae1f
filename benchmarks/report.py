"""What a run is kept as, and what is told of it: the table on the screen, and that of the READMEs."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import re
import time
from pathlib import Path

from benchmarks.goals import GOALS

PACKAGES = {"numpy": "NumPy", "torch": "PyTorch", "jax": "JAX", "autograd": "autograd", "numba": "numba"}
UNITS = ("s", 1), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)
READMES = {"README.md": "en", "README.zh-CN.md": "zh"}
NAMES = {  # by library, in English and Chinese
    "numpy": ("NumPy by hand", "手写 NumPy"),
    "microgradnet": ("microgradnet", "microgradnet"),
    "compiled": ("microgradnet, compiled", "microgradnet，编译为 NumPy 程序"),
    "native": ("microgradnet, native", "microgradnet，编译为本机代码"),
    "numpy-out": ("NumPy by hand, `out=`", "手写 NumPy，`out=`"),
    "torch": ("PyTorch, eager", "PyTorch，eager"),
    "torch-compiled": ("PyTorch, `torch.compile`", "PyTorch，`torch.compile`"),
    "jax": ("JAX, `jit`", "JAX，`jit`"),
    "autograd": ("autograd", "autograd"),
}
CAPTIONS = {
    "en": "Multiples of hand-written NumPy, whose time stands in the first row: less is faster, the least is bold. "
    "{cpu}; cores: {cores}; threads: {threads}; {system}; {versions}; {date}. Each figure is a median of {clock} time; "
    "processes: {processes} for each, taking turns with those of the others in up to {rounds} rounds.",
    "zh": "手写 NumPy 耗时的倍数，其耗时列在第一行：越小越快，每列最小者为粗体。{cpu}；核数 {cores}；"
    "线程数 {threads}；{system}；{versions}；{date}。每个数值是 {processes} 个轮流运行的进程"
    "（每个至多 {rounds} 轮）的{clock}时间的中位数。",
}


def circumstances():
    """Where, when and with what a run was made."""
    versions = {"Python": platform.python_version()}
    for package, name in PACKAGES.items():
        try:
            versions[name] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"date": time.strftime("%Y-%m-%d"), "cpu": cpu(), "cores": os.cpu_count(), "system": platform.system(),
            "versions": versions}  # fmt: skip


def cpu():
    """The name of the processor."""
    file = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.*)$", file.read_text(), re.MULTILINE) if file.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def facts(run, language="en"):
    """The circumstances of a run as they are told."""
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    clock = run["clock"] if language == "en" else {"wall": "墙钟", "processor": "处理器"}[run["clock"]]
    return run | {"versions": versions, "clock": clock}


def measured(seconds):
    """The libraries of a run, in the order of their rows."""
    return [library for library in NAMES if any(library in times for times in seconds.values())]


def ratios(seconds, library):
    """The multiples of hand-written NumPy, None where there is none."""
    return [times[library] / times["numpy"] if library in times else None for times in seconds.values()]


def multiple(ratio):
    """A multiple with two significant digits; a dash for None."""
    return "–" if ratio is None else f"{ratio:.{max(0, 1 - math.floor(math.log10(ratio)))}f}"


def duration(seconds):
    """A time with two significant digits or more, and its unit."""
    unit, size = next(pair for pair in UNITS if seconds >= pair[1])
    return f"{multiple(seconds / size)} {unit}"


def row(label, values, form):
    return f"{label:24}" + "".join(f"{'–' if value is None else format(value, form):>12}" for value in values)


def table(seconds):
    """The figures and the goals for the screen."""
    workloads, libraries = list(seconds), measured(seconds)
    lines = [row("", workloads, "")]
    lines += [row("numpy, µs per step", [1e6 * seconds[w]["numpy"] for w in workloads], ".1f")]
    lines += [row(f"{library}, ×", ratios(seconds, library), ".3g") for library in libraries[1:]]
    for library in [library for library in GOALS if library in libraries]:
        lines += [row(f"goal: {library}, ×", [GOALS[library].get(w) for w in workloads], "g")]
    return "\n".join(lines)


def markdown(figures, language):
    """The table of a README, with its caption."""
    seconds, which = figures["seconds"], ["en", "zh"].index(language)
    best = [min(times.values()) / times["numpy"] for times in seconds.values()]
    lines = ["| | " + " | ".join(seconds) + " |", "|---" * (len(seconds) + 1) + "|"]
    for library in measured(seconds):
        cells = [f"**{multiple(r)}**" if r == b else multiple(r) for r, b in zip(ratios(seconds, library), best)]
        if library == "numpy":
            cells = [duration(times["numpy"]) for times in seconds.values()]
        lines.append(f"| {NAMES[library][which]} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", CAPTIONS[language].format(**facts(figures["run"], language))])


def with_table(text, figures, language):
    """A README with the table of these figures between its two marks."""
    begin, end = "<!-- python -m benchmarks: the table -->\n", "\n<!-- the table ends -->"
    before, old, after = re.split(f"(?s)(?<={begin})(.*?)(?={end})", text)
    return before + markdown(figures, language) + after
