"""`explain`: the chain rule step by step, as `backward` takes it, with what arrives, what goes on, and why.

A reader of the graph. It calls the table's own rules in the engine's own order, so its numbers are those of `.grad`,
bit for bit; it frees nothing and touches no `.grad`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..autograd.engine import fitted, pulled, run_hooks, seeds_of
from ..graph import Node, Parts, walk
from ..recording import no_grad
from ..tensor import Tensor, describe
from . import steptext
from .equations import Equations, Label, find
from .files import write_atomically
from .hooks import replacing

if TYPE_CHECKING:
    from ..nn import Module


class Flow(NamedTuple):
    """What a step sends to one argument.

    argument: which. source: what made it, a Node or a leaf. gradient: what this step contributes.
    total: the sum of what has arrived there by now. arrived, expected: how many contributions these are, and of how
    many; the gradient there is complete when they are equal.
    """

    argument: int
    source: Any
    gradient: Any
    total: Any
    arrived: int
    expected: int

    @property
    def complete(self) -> bool:
        """Whether nothing more will arrive there."""
        return self.arrived == self.expected


class Step:
    """One node's turn.

    number: from 1. node: whose rules run. gradient: what has arrived there, ∂C/∂ its output, complete.
    inputs, params, args, output: of the node, and the values its rules are given. flows: what goes on to its arguments.
    waiting: what else has received some of its gradient but not all: {Node or leaf: (arrived, expected)}.
    completed: the arguments whose gradient this step has completed.
    """

    def __init__(self, number: int, node: Node, gradient: Any, args: Any, output: Any, flows: list[Flow],
                 waiting: dict[Any, tuple[int, int]]) -> None:
        self.number, self.node, self.gradient, self.args, self.output = number, node, gradient, args, output
        self.flows, self.waiting = flows, waiting
        self.inputs, self.params = list(node.inputs), dict(node.params)  # backward forgets some

    @property
    def completed(self) -> list[Any]:
        """In the order of the arguments, each once."""
        return list(dict.fromkeys(flow.source for flow in self.flows if flow.complete))


class Explanation:
    """The steps of the reverse traversal, in order: iterable, indexable, printable, and a page.

    loss, seed: where it begins, and the gradient given there. equations: the book's, where they hold.
    gradients: of each leaf, in the end: what `backward` would add to its `.grad`.
    """

    def __init__(self, loss: Tensor, seed: Any, params: Module | Mapping[str, Tensor] | None) -> None:
        self.loss, self.seed = loss, seed
        self.nodes = walk(loss)
        self.equations: Equations = find(loss)
        self.gradients: dict[Tensor, Any] = {}
        self.steps = list(_traverse(loss, self.nodes, seed, self.gradients))
        self.names = steptext.Names(self, params)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __getitem__(self, index: int) -> Step:
        return self.steps[index]

    def labels(self, place: Any) -> list[Label]:
        """The book's names for the gradient that arrives at a node or leaf: δ^l, BP1 to BP4."""
        return self.equations.at(place, True)

    def formula(self, step: Step, flow: Flow) -> str:
        """The rule by which a step makes a gradient, in g (what arrived), y (the output) and the arguments."""
        return steptext.formula(step, flow)

    def numpy(self, step: Step, flow: Flow) -> list[str]:
        """The same as lines of plain NumPy on named arrays; executed one after the other they give every gradient."""
        return steptext.numpy_lines(self.names, step, flow)

    def save(self, path: str | os.PathLike[str], *, lang: str = "en", direction: str = "TB") -> Path:
        """Write the steps as one HTML page that needs nothing else: the graph, and a slider and keys to step with.

        lang: 'en' or 'zh', the language it opens in. direction: of the graph's arrows, as in `draw`.
        Errors: viz.RenderError where nothing can render the graph.
        """
        from .page import page

        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"Explanation.save(): '{path}' must end in .html, not in '{path.suffix}'")
        return write_atomically(path, page(self, lang, direction))

    def _repr_html_(self) -> str:
        from .page import framed

        return framed(self)

    def __str__(self) -> str:
        return steptext.table(self)

    def __repr__(self) -> str:
        return f"<explanation of {describe(self.loss)}: {len(self)} steps; print() it, iterate over it, or .save() it>"


def explain(loss: Tensor, gradient: Any = None, *, params: Module | Mapping[str, Tensor] | None = None) -> Explanation:
    """How `loss.backward()` comes by its gradients, one node after the other.

    The values must still be there: call it before backward, or after backward(retain_graph=True). Hooks on gradients
    run, since they may replace one.

    gradient: of the shape of loss; may be left out where it has one element.
    params: a Module, or a dict of Tensors, to name the leaves by.
    """
    if not isinstance(loss, Tensor):
        raise TypeError(f"explain() takes a Tensor, got {type(loss).__name__}")
    loss._refresh()
    (seed,) = seeds_of([loss], gradient, False, "explain")
    if loss.node is None:
        raise ValueError(f"explain(): {describe(loss)} is a leaf: no operation made it, so there is nothing to step")
    return Explanation(loss, seed, params)


# --- the walk ---------------------------------------------------------------------------------------------------------


def _traverse(root: Tensor, nodes: list[Node], seed: Any, leaves: dict[Tensor, Any]) -> Iterator[Step]:
    """`autograd.engine.vjp` with a pause at each node; the nodes come youngest first, as from its heap."""
    expected = Counter(node.inputs[i] for node in _carrying(root, nodes) for i in node.needs)
    arrived: Counter[Any] = Counter()  # where some has, but not all
    gradients: dict[Any, Any] = {root.node: seed}
    number = 0
    for node in reversed(nodes):
        if node not in gradients:
            continue  # no gradient needs it, or a Function above said that none flows
        number += 1
        g, args, y, made = _apply(node, gradients.pop(node))
        flows = []
        for i in node.needs:
            x = node.inputs[i]
            count = arrived[x] = arrived[x] + 1
            if count == expected[x]:
                del arrived[x]
            gx = made.get(i)
            if gx is None:
                continue
            own = dict(gx.given) if type(gx) is Parts else gx  # the engine's `+` adds to the first of them in place
            gradients[x] = gradients[x] + gx if x in gradients else gx
            total = dict(gradients[x].given) if type(gx) is Parts else gradients[x]
            flows.append(Flow(i, x, own, total, count, expected[x]))
        waiting = {x: (k, expected[x]) for x, k in arrived.items()}
        yield Step(number, node, dict(g.given) if type(g) is Parts else g, args, y, flows, waiting)
    for leaf, g in gradients.items():
        leaves[leaf] = g if leaf._hooks is None else _hooked(leaf._hooks.values(), g)


def _carrying(root: Tensor, nodes: list[Node]) -> list[Node]:
    """The nodes that a gradient may come to."""
    reached = {root.node}
    for node in reversed(nodes):
        if node in reached:
            reached.update(node.inputs[i] for i in node.needs if type(node.inputs[i]) is Node)
    return [node for node in nodes if node in reached]


def _apply(node: Node, g: Any) -> tuple[Any, Any, Any, dict[int, Any]]:
    """(the gradient that arrives, the saved values, the output, the gradient for each argument) of a node."""
    if type(g) is Parts and not node.op.takes_parts:
        g = g.whole(node.output, False)
    if node.hooks is not None:
        g = _hooked(node.hooks, g)
    with no_grad(), np.errstate(all="ignore"):
        made = pulled(node, node.needs, g, False)
        fit = {i: None if made[i] is None else fitted(made[i], node.args[i], node, i) for i in node.needs}
    return g, node.args, node.output, fit


def _hooked(hooks: Any, g: Any) -> Any:
    """What the hooks make of a gradient."""
    with no_grad():
        return run_hooks(replacing(hooks), g)


__all__ = ["Explanation", "Flow", "Step", "explain"]
