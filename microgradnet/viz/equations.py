"""The book's equations in a graph: which node is z^l, which a^l, and where BP1–BP4 hold, by matching affine →
activation → … → cost from the cost down.

An equation is named only where it is one. The match ends at the first thing that the book does not know (dropout, a
normalisation, softmax, a residual connection, a convolution, a tensor of three dimensions), and nothing below it is
named. Parameters that are used twice have neither BP3 nor BP4.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..autograd.engine import vjp
from ..graph import Node, Spec, walk
from ..tensor import Tensor
from .hooks import nothing_kept
from .patterns import Affine, Consumers, activation_of, cost_of, source_of


class Layer:
    """One layer of the book's network.

    z: the node of z^l = w^l a^(l−1) + b^l, where δ^l = ∂C/∂z^l arrives.
    a: the node of a^l; z itself where there is no activation, None where the cost has it inside and δ^L is a^L − y.
    w, b: the leaves; b is None where there is none.
    a_prev: what came in: the node of a^(l−1), the leaf x, or a node that is neither.
    l: its number, with layer 1 the input; None where the match ended above the input.
    name: the number as it is written: '3', or 'L−1'.
    """

    def __init__(self, part: Affine, a: Node | None) -> None:
        self.z, self.a, self.w, self.b, self.a_prev, self.product = part.z, a, part.w, part.b, part.x, part.product
        self.l: int | None = None
        self.name = ""


class Label(NamedTuple):
    """A name at a place: 'z', 'a', 'δ', 'BP1', … of a layer; of the value made there or the gradient arriving there."""

    name: str
    layer: Layer
    place: Node | Tensor
    of_gradient: bool

    def __str__(self) -> str:
        return self.name if self.name.startswith("BP") else f"{self.name}^{self.layer.name}"


class Equations:
    """The layers that were found, the last one last, and the labels: `z`, `a` and `delta`, each a list by layer."""

    def __init__(self, loss: Tensor, layers: list[Layer], consumers: Consumers) -> None:
        self.loss, self.layers = loss, layers
        self.z = [Label("z", layer, layer.z, False) for layer in layers]
        self.a = [Label("a", layer, layer.a, False) for layer in layers if layer.a and layer.a is not layer.z]
        self.delta = [Label("δ", layer, layer.z, True) for layer in layers]
        self.labels = [*self.z, *self.a, *self.delta]
        for i, layer in enumerate(layers):
            self.labels.append(Label("BP1" if layer is layers[-1] else "BP2", layer, layer.z, True))
            if layer.b is not None and layer.b._requires_grad and len(consumers[layer.b]) == 1:
                self.labels.append(Label("BP3", layer, layer.b, True))
            known = i > 0 or type(layer.a_prev) is not Node  # a^(l−1) or x
            if known and layer.w._requires_grad and len(consumers[layer.w]) == 1:
                self.labels.append(Label("BP4", layer, layer.w, True))
        self._at: dict[tuple[Any, bool], list[Label]] = {}
        for label in self.labels:
            self._at.setdefault((label.place, label.of_gradient), []).append(label)

    def at(self, place: Any, of_gradient: bool) -> list[Label]:
        """The labels of the value made at a node or leaf, or of the gradient arriving there."""
        return list(self._at.get((place, of_gradient), ()))

    def gradients(self) -> dict[Node | Tensor, np.ndarray]:
        """The gradient at every labelled place, by one reverse traversal that keeps the graph.

        They are of C, the average over a batch of m: where the book has δ^x of one example's cost, δ here is δ^x / m.
        """
        places = {label.place for label in self.labels if label.of_gradient}
        seed = np.ones(self.loss.shape, self.loss.dtype)
        with nothing_kept(walk(self.loss)):
            found = vjp([self.loss], [seed], places, False, True) if places else {}
        return {place: np.asarray(found[place]) for place in places}

    def value(self, label: Label) -> np.ndarray | None:
        """The value or gradient that a label names; None for a value that was not kept, as after backward."""
        if label.of_gradient:
            return self.gradients()[label.place]
        value = label.place.output if isinstance(label.place, Node) else label.place.array
        return None if isinstance(value, Spec) else np.asarray(value)


def find(loss: Tensor) -> Equations:
    """The book's equations in the graph of a cost of one element; none where the pattern is not the book's."""
    loss._refresh()
    consumers = Consumers(walk(loss))
    layers: list[Layer] = []
    end = cost_of(loss.node, consumers) if loss.node is not None and loss.numel() == 1 else None
    if end is not None:
        part, a = end
        layers.append(Layer(part, a))
    while layers and type(layers[0].a_prev) is Node:
        above = layers[0]
        below = source_of(above.a_prev)
        if below is None or not activation_of(below, above.a_prev, above.product, consumers):
            break
        layers.insert(0, Layer(below, above.a_prev))
    complete = bool(layers) and type(layers[0].a_prev) is not Node  # a leaf, or the Spec that backward leaves of one
    for i, layer in enumerate(layers):
        above_it = len(layers) - 1 - i
        layer.l = i + 2 if complete else None
        layer.name = str(layer.l) if complete else f"L−{above_it}" if above_it else "L"
    return Equations(loss, layers, consumers)


__all__ = ["Equations", "Label", "Layer", "find"]
