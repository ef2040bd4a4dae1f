"""Do all libraries compute the same? Three steps of each workload, and an epoch, against hand-written NumPy."""

from __future__ import annotations

import numpy as np

from benchmarks.workloads import arguments, build, program_of

STEPS = 3
TOLERANCE = 1e-4
OF_AN_EPOCH = 0.05  # of the cost after it: every library has an order of its own


def outcome(workload, library):
    """The last loss and the results of the first steps, as arrays; of an epoch the cost of all examples after it."""
    if workload == "epoch":
        return [cost_after_an_epoch(library)]
    step, results = build(workload, library, lr=1e-3 if workload == "adam-small" else 0.1)
    for _ in range(STEPS):
        loss = step()
    return [np.asarray(loss.item()), *(np.array(array) for array in results())]


def cost_after_an_epoch(library, lr=0.1):
    *_, x, y, _ = arguments("epoch", lr)
    step, results = build("epoch", library, lr)
    step()
    a = x
    for w, b in zip(results()[::2], results()[1::2]):
        a = 1 / (1 + np.exp(-(a @ w.T + b)))
    return 0.5 * np.square(a - y).sum() / len(x)


def difference(workload, library, expected):
    """The largest relative difference of an array of the outcome, in the Euclidean norm."""
    actual = outcome(workload, library)
    if [a.shape for a in actual] != [e.shape for e in expected]:
        return np.inf
    return np.max([np.linalg.norm(a - e) / np.linalg.norm(e) for a, e in zip(actual, expected)])  # a nan stays nan


def check(libraries, workloads):
    """Print every difference; True when none exceeds the tolerance."""
    good = True
    for workload in workloads:
        expected = outcome(workload, "numpy")
        for library in libraries:
            if library != "numpy" and program_of(workload, library) is not None:
                relative = difference(workload, library, expected)
                verdict = "ok" if relative <= (OF_AN_EPOCH if workload == "epoch" else TOLERANCE) else "DIFFERS"
                good = good and verdict == "ok"
                print(f"{workload:12}{library:16}{relative:10.1e}  {verdict}")
    return good
