"""Stretches of a graph that repeat themselves, folded: the first and the last are shown, the rest are counted."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..graph import Node
from ..tensor import Tensor

LONGEST = 64  # rows in what repeats
FEWEST = 4  # times; the first and the last are shown, and one would not be worth hiding


class Gap(NamedTuple):
    """Rows that are not shown, and what stands in their place."""

    text: str
    units: list[list[Node]]


def folded(units: list[list[Node]]) -> list[list[Node] | Gap]:
    """The units with the inner ones of each repetition as a gap.

    Units repeat where they have the same operations of the same shapes on arguments from as far above.
    """
    looks = _looks(units)
    runs = [_runs(looks, period) for period in range(1, min(LONGEST, len(units) // FEWEST) + 1)]
    parts: list[list[Node] | Gap] = []
    i = 0
    while i < len(units):
        period, times = _best(runs, i)
        if times < FEWEST:
            parts.append(units[i])
            i += 1
            continue
        end = i + times * period
        hidden = units[i + period : end - period]
        parts += [*units[i : i + period], Gap(_said(hidden, times - 2, period), hidden), *units[end - period : end]]
        i = end
    return parts


def _best(runs: list[list[int]], i: int) -> tuple[int, int]:
    """(period, times) of the repetition that begins at a place and covers most; (1, 1) for none."""
    best = (1, 1)
    for period, run in enumerate(runs, 1):
        times = run[i] // period + 1
        if times >= FEWEST and times * period > best[0] * best[1]:
            best = (period, times)
    return best


def _said(hidden: list[list[Node]], times: int, period: int) -> str:
    names = [node.op.name for unit in hidden[:period] for node in unit]
    few = ", ".join(names[:3]) + ", …" * (len(names) > 3)
    return f"⋮ {times} more times ({few})"


def _runs(looks: list[int], period: int) -> list[int]:
    """For each place, how many from there on look like the one a period further."""
    run = [0] * len(looks)
    for i in range(len(looks) - period - 1, -1, -1):
        run[i] = run[i + 1] + 1 if looks[i] == looks[i + period] else 0
    return run


def _looks(units: list[list[Node]]) -> list[int]:
    """A number for each unit; equal ones look alike."""
    place = {node: i for i, unit in enumerate(units) for node in unit}
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(tuple(_look(node, i, place) for node in unit), len(numbers))
            for i, unit in enumerate(units)]  # fmt: skip


def _look(node: Node, i: int, place: dict[Node, int]) -> Any:
    inputs = tuple((i - place.get(x, -1), "") if type(x) is Node else _kind(x) for x in node.inputs)
    output = node.output if not isinstance(node.output, tuple) else node.output[0]
    return node.op.name, getattr(output, "shape", None), inputs, node.needs, node.module and type(node.module[0])


def _kind(x: Any) -> Any:
    return (tuple(x.shape), x._requires_grad) if isinstance(x, Tensor) else str(type(x))


__all__ = ["Gap", "folded"]
