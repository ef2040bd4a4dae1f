"""The backward pass of a cost, recorded as a graph like any other: the engine's own walk, run on Tensors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..autograd.engine import recomputers, vjp
from ..graph import Node, Parts, walk
from ..recording import capture
from ..tensor import Tensor
from .equations import find
from .hooks import nothing_kept


class Share(NamedTuple):
    """What one use of a value sends back to it.

    user, argument: the node, and as which of its arguments it used the value.
    summed: whether the traversal sums it over what was broadcast. reads: the forward nodes and leaves it is made of.
    """

    user: Node
    argument: int
    summed: bool
    reads: list[Any]


class BackwardPass:
    """loss: where it begins. nodes: of the forward graph, in order. equations: the book's, where they hold.
    gradients: of each node and leaf that one reaches, a Tensor that hangs in the recorded graph, or a tuple of them.
    shares: for each of these, what its gradient is the sum of, in the order of arrival.
    """

    def __init__(self, loss: Tensor) -> None:
        self.loss, self.nodes, self.equations = loss, walk(loss), find(loss)
        if any(node.args is None and node not in recomputers for node in self.nodes):
            raise ValueError(
                "draw(): backward=True records the backward pass, but backward has freed the values that it needs; "
                "draw first, or call backward(retain_graph=True)"
            )
        places = {loss.node} | {node.inputs[i] for node in self.nodes for i in node.needs}
        with capture(), nothing_kept(self.nodes):
            found = vjp([loss], [Tensor(np.ones(loss.shape, loss.dtype))], places, True, True)
        self.gradients: dict[Any, Any] = {place: _tensors(found[place]) for place in found}
        self.shares: dict[Any, list[Share]] = {place: [] for place in self.gradients}
        uses: dict[Any, list[tuple[Node, int]]] = {}
        for node in reversed(self.nodes):
            for i in node.needs if node in self.gradients else ():
                uses.setdefault(node.inputs[i], []).append((node, i))
        self._leaves = {x for node in self.nodes for x in node.inputs if isinstance(x, Tensor)}
        for place in self.gradients:
            self.shares[place] = self._shares(self.gradients[place], uses.get(place, []))

    def _shares(self, gradient: Any, uses: list[tuple[Node, int]]) -> list[Share]:
        ends = self._summands(gradient, len(uses))
        return [
            Share(user, i, any(end is not None and end.op.name == "sum_to" for end in own), self._reads(own, user))
            for (user, i), own in zip(uses, ends)
        ]

    def _summands(self, gradient: Any, count: int) -> list[list[Node | None]]:
        """The last recorded nodes of what a gradient is the sum of: it has grown by one addition for each."""
        if isinstance(gradient, tuple):
            return [[part.node for part in gradient]] * count
        ends: list[list[Node | None]] = []
        node = gradient.node
        while len(ends) < count - 1 and node is not None and self._is_new(node) and node.op.name == "add":
            ends.append([node.inputs[1] if type(node.inputs[1]) is Node else None])
            node = node.inputs[0] if type(node.inputs[0]) is Node else None
        ends.append([node])
        return [[]] * (count - len(ends)) + ends[::-1]  # a Function may have sent nothing

    def _reads(self, ends: list[Node | None], user: Node) -> list[Any]:
        """The forward values between a share and the gradient of what was made there."""
        arriving = self.gradients[user]
        known = {g.node for g in (arriving if isinstance(arriving, tuple) else (arriving,))}
        stack, seen = [end for end in ends if end is not None], set(known)
        read: dict[Any, None] = {}
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if not self._is_new(node):
                read[node] = None
                continue
            stack += [x for x in node.inputs if type(x) is Node]
            read |= dict.fromkeys(x for x in node.inputs if isinstance(x, Tensor) and x in self._leaves)
        places = [x for x in (user, *user.inputs) if isinstance(x, (Node, Tensor))]
        return [x for x in dict.fromkeys(places) if x in read]

    def _is_new(self, node: Node) -> bool:
        return node.time > self.nodes[-1].time


def _tensors(gradient: Any) -> Any:
    return tuple(gradient.given.values()) if type(gradient) is Parts else gradient


__all__ = ["BackwardPass", "Share"]
