"""What there is to draw in a graph: boxes, arrows between them, and the calls of modules they stand in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..graph import ITEM, Node, Spec, walk
from ..nn.module import Module
from ..nn.parameter import Parameter
from ..tensor import Tensor
from . import labels
from .frames import Call, calls, framed
from .names import Names

MOST_USES = 16  # of a leaf's box; then it is drawn again: many arrows across all of a picture take minutes to lay out


class Box:
    """A node of the picture: its kind, its lines of text, and the calls of modules it stands in, outermost first."""

    def __init__(self, id: str, kind: str, lines: list[str], within: Sequence[Call]) -> None:
        self.id, self.kind, self.lines, self.within = id, kind, lines, within
        self.uses = 0


class Arrow:
    """From what an argument was made by to what it is used in. `label`: which of several outputs it is."""

    def __init__(self, tail: Box, head: Box, carries_gradient: bool, label: str) -> None:
        self.tail, self.head, self.carries_gradient, self.label = tail, head, carries_gradient, label


class Picture:
    """The boxes and arrows of a graph, collected in one pass over the walk and numbered in its order.

    outputs: (name, tensor) pairs; the other arguments are those of `draw`.
    """

    def __init__(self, outputs: list[tuple[str, Tensor]], params: Module | Mapping[str, Tensor] | None,
                 values: bool | str, grads: bool, show_shapes: bool, max_nodes: int | None) -> None:
        self.values, self.grads, self.show_shapes = values, grads, show_shapes
        nodes = walk(*(tensor for _, tensor in outputs))
        drawn = nodes if max_nodes is None else nodes[-max_nodes:]
        self.drawn, self.hidden = set(drawn), len(nodes) - len(drawn)
        chains = calls(drawn)
        self.names = Names(params, [chain[0][0] for chain in chains.values() if chain])
        self.boxes: list[Box] = []
        self.arrows: list[Arrow] = []
        self._known: dict[int, Box] = {}  # by the id of the node or leaf; the graph keeps these alive meanwhile
        self._rest: Box | None = None  # stands for all that max_nodes leaves out
        for node in drawn:
            if not self._is_item(node):
                self._add(node, chains[id(node.module)])
        for name, tensor in outputs:
            box = self._box("output", [labels.shorten(name), *self._facts(tensor)], [])
            if tensor.node is not None or tensor._requires_grad:
                self._connect(tensor.node or tensor, box, tensor._requires_grad)
        self.frame = framed(self.boxes, self.names)

    def _is_item(self, node: Any) -> bool:
        """Whether a node only picks one of the outputs of another that is drawn: it is an arrow, not a box."""
        return type(node) is Node and node.op is ITEM and node.inputs[0] in self.drawn

    def _add(self, node: Node, within: Sequence[Call]) -> None:
        lines = [labels.shorten(node.op.name), *labels.metadata(node.params), *self._facts(node.output)]
        box = Box("", "op", lines, within)
        for i, source in enumerate(node.inputs):
            if source is not None:
                self._connect(source, box, i in node.needs)
        self._number(box)  # after its arguments, as in the walk
        self._known[id(node)] = box

    def _number(self, box: Box) -> Box:
        box.id = f"n{len(self.boxes)}"
        self.boxes.append(box)
        return box

    def _box(self, kind: str, lines: list[str], within: Sequence[Call]) -> Box:
        return self._number(Box("", kind, lines, within))

    def _connect(self, source: Any, head: Box, carries_gradient: bool) -> None:
        label = ""
        if self._is_item(source):
            index, source = source.params["index"], source.inputs[0]
            label = str(index) if len(source.output) > 1 else ""
        self.arrows.append(Arrow(self._source(source, head.within), head, carries_gradient, label))

    def _source(self, source: Any, within: Sequence[Call]) -> Box:
        """The box of an argument that is used within these calls."""
        if type(source) is Node:
            return self._known[id(source)] if source in self.drawn else self._left_out()
        if isinstance(source, Spec) and source.shape:  # a tensor without gradient, in a graph that backward has freed
            return self._box("input", ["input", *self._facts(source)], [])
        if not isinstance(source, Tensor):
            return self._box("constant", [labels.constant(source)], within)
        box = self._known.get(id(source))
        if box is None or box.uses == MOST_USES:
            box = self._known[id(source)] = self._leaf(source, within, again=box is not None)
        box.uses += 1
        # Where several calls share it, it stands in the innermost one around them all.
        box.within = [ours for ours, theirs in zip(box.within, within) if ours is theirs]
        return box

    def _leaf(self, tensor: Tensor, within: Sequence[Call], again: bool) -> Box:
        kind = "parameter" if tensor._requires_grad or isinstance(tensor, Parameter) else "input"
        name = self.names.of(tensor)
        if kind == "input" and not name and tensor.ndim == 0:
            return self._box("constant", [labels.constant(tensor.array)], within)
        lines = [labels.shorten(name or kind) + " (again)" * again, *self._facts(tensor)]
        return self._box(kind, lines, within if self.names.belongs_to_a_module(tensor) else [])

    def _left_out(self) -> Box:
        if self._rest is None:
            self._rest = self._box("rest", [f"… {self.hidden} more operations"], [])
        return self._rest

    def _facts(self, value: Any) -> list[str]:
        """Shape, values and gradient, where asked for, of a tensor or of what a node kept of its output."""
        lines = [labels.shape(value)] if self.show_shapes else []
        if self.values and not isinstance(value, tuple):
            lines.append(f"value {_elements(value, self.values)}")
        if self.grads and isinstance(value, Tensor) and value._requires_grad and (value.is_leaf or value._retains):
            lines.append(f"grad {_elements(value._grad, self.values)}")
        return lines


def _elements(value: Any, how: bool | str) -> str:
    """Some of the elements, or a summary; '–' for a gradient before backward and a value not kept, which are not 0."""
    if value is None or isinstance(value, Spec):
        return "–"
    array = value.array if isinstance(value, Tensor) else np.asarray(value)
    return labels.summary(array) if how == "summary" else labels.elements(array)
