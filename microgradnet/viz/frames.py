"""Calls of modules as frames around what was computed in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..graph import Node
from ..nn.module import Module
from .names import Names

if TYPE_CHECKING:
    from .picture import Box

Call = tuple[Module, Any]  # a module, and the call within which it was called or None: a link of `Node.module`


def calls(nodes: Iterable[Node]) -> dict[int, list[Call]]:
    """For each `node.module`, by its id, the calls that it is the innermost of, outermost first."""
    chains: dict[int, list[Call]] = {id(None): []}
    for node in nodes:
        call, inner = node.module, []
        while id(call) not in chains:
            inner.append(call)
            call = call[1]
        for link in reversed(inner):
            chains[id(link)] = [*chains[id(link[1])], link]
    return chains


class Frame:
    """One call of a module: its name, and the boxes and frames in it, in order."""

    def __init__(self, name: str, module: Module | None = None) -> None:
        self.name, self.module = name, module
        self.parts: list[Box | Frame] = []


def framed(boxes: Iterable[Box], names: Names) -> Frame:
    """The boxes in the frames they stand in, in a frame around it all."""
    around = Frame("")
    frames: dict[int, Frame] = {}
    for box in boxes:
        frame = around
        for call in box.within:
            outer, frame = frame, frames.setdefault(id(call), Frame(names.module(call[0]), call[0]))
            if not frame.parts:
                outer.parts.append(frame)
        frame.parts.append(box)
    _number(list(frames.values()))
    for frame in (around, *frames.values()):
        frame.parts = [_unframed(part) for part in frame.parts]
    return around


def _number(frames: list[Frame]) -> None:
    """Tell the calls of one module apart."""
    total = Counter(id(frame.module) for frame in frames)
    made: Counter[int] = Counter()
    for frame in frames:
        key = id(frame.module)
        made[key] += 1
        if total[key] > 1:
            frame.name += f", call {made[key]} of {total[key]}"


def _unframed(part: Box | Frame) -> Box | Frame:
    """A frame around one operation only is no more than a name for it."""
    if isinstance(part, Frame) and len(part.parts) == 1:
        box = part.parts[0]
        if not isinstance(box, Frame) and box.kind == "op":
            operation = box.lines.pop(0)
            same = operation.replace("_", "") == type(part.module).__name__.lower()  # relu and ReLU
            box.lines[:0] = [part.name] if same else [operation, part.name]
            return box
    return part
