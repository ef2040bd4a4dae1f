"""Where in the user's program something happened: which line recorded an operation, which one wrote in place.

Off by default, and free then: `anomaly` puts `recording` in the place of `graph.record`, and `note_write` behind
`graph.stamp`, while one of its modes is on.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from .. import graph
from ..callers import Source, here
from ..graph import Node

recorded_in: weakref.WeakKeyDictionary[Node, Source] = weakref.WeakKeyDictionary()
checksums: weakref.WeakKeyDictionary[Node, dict] = weakref.WeakKeyDictionary()
_written_in: dict[int, tuple[int, Source]] = {}  # by id of the memory: at which version, and where

keeps_lines = keeps_checksums = False
record_plainly = graph.record


def recording(op: Any, inputs: list, params: dict, needs: int, args: list, output: Any, *more: Any) -> Node:
    """`graph.record`, with the line that caused it; and, in debug mode, what the saved values are now."""
    node = record_plainly(op, inputs, params, needs, args, output, *more)
    recorded_in[node] = here()
    if keeps_checksums:
        checksums[node] = dict(_checksums(node))
    return node


def _checksums(node: Node) -> Any:
    """(which, dtype and checksum) of each saved array that a rule will read; 0 is the output."""
    if node.args is None or isinstance(node.output, tuple):
        return
    for i, value in enumerate([node.output, *node.args]):
        if isinstance(value, np.ndarray) and node.op.reads(i, node.needs):
            yield i, (value.dtype, hash(value.tobytes()))


def changed(node: Node) -> int | None:
    """Which of the values that a node saved is not what it was; None if all are."""
    saved = checksums.get(node)
    if saved:
        for i, (dtype, checksum) in _checksums(node):
            if i in saved and saved[i][0] == dtype and saved[i][1] != checksum:
                return i
    return None


def note_write(arrays: tuple, now: int) -> None:
    """Remember the line that writes into these arrays."""
    source = here()
    for array in arrays:
        _written_in[id(graph.owner(array))] = now, source
    if len(_written_in) > 2 * len(graph._written) + 100:  # forget those whose memory is gone
        for key in [key for key in _written_in if key not in graph._written]:
            del _written_in[key]


def written_in(array: np.ndarray) -> Source | None:
    """The line that last wrote into an array's memory, if it is known."""
    time, source = _written_in.get(id(graph.owner(array)), (0, None))
    return source if time == graph.version(array) else None


def both_lines(saved: Source | None, array: np.ndarray) -> str:
    """For an error about a value that was overwritten: where it was saved and where written, or how to learn that."""
    written = written_in(array)
    if saved is None and written is None:
        return "; autograd.set_debug_mode(True) tells the lines where it was saved and written"
    unknown = "a line that is not known"
    return f". Saved in {saved or unknown}; written in {written or unknown}"
