"""What is aimed at, and whether it was reached."""

from __future__ import annotations

GOALS = {  # by library: multiples of hand-written NumPy
    "microgradnet": {"nndl": 1.6, "small": 1.1, "medium": 1.0, "wide": 1.0, "deep": 1.4, "adam-small": 0.75, "chain": 7,
                     "elem": 1.15},
    "compiled": {"nndl": 0.9, "small": 0.95, "medium": 0.95, "wide": 0.8, "deep": 0.9, "adam-small": 0.45, "chain": 1.0,
                 "elem": 0.9},
    "native": {"nndl": 0.35, "small": 0.5, "medium": 0.75, "wide": 0.66, "deep": 0.18, "adam-small": 0.2, "chain": 0.01,
               "elem": 0.27},
}  # fmt: skip
OTHERS = {  # (library, workload, the other): multiples of another library
    ("microgradnet", "conv", "torch"): 4,
    ("compiled", "epoch", "torch"): 1 / 8,
    ("native", "epoch", "torch"): 1 / 8,
    **{("native", workload, other): 1 for workload in GOALS["native"] for other in ("torch", "torch-compiled", "jax")
       if (workload, other) != ("chain", "jax")},
}  # fmt: skip


def verdicts(seconds):
    """(library, workload, the other, multiple, goal) of each goal whose measurements are there."""
    goals = {(library, w, "numpy"): goal for library, row in GOALS.items() for w, goal in row.items()} | OTHERS
    found = []
    for (library, workload, other), goal in goals.items():
        times = seconds.get(workload, {})
        if library in times and other in times:
            found.append((library, workload, other, times[library] / times[other], goal))
    return found


def told(seconds):
    """The goals that were met and those that were missed, in words."""
    found, lines = verdicts(seconds), []
    for word, group in [("met", [v for v in found if v[3] <= v[4]]), ("missed", [v for v in found if v[3] > v[4]])]:
        lines.append(f"goals {word}: {len(group)} of {len(found)}")
        lines += [f"  {library:14}{workload:12}{multiple:8.3g} × {other}, goal {goal:.3g}"
                  for library, workload, other, multiple, goal in group]
    return "\n".join(lines)
