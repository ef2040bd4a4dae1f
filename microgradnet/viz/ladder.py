"""The forward and the backward pass side by side: a row for each operation, its value on the left, the gradient of that
value on the right, and the leaves with theirs at the sides.

This file says what stands in the rows and what arrows lead from where to where; `ladder_svg` draws it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..graph import ITEM, Node, Spec
from ..nn.parameter import Parameter
from ..tensor import Tensor
from . import labels
from .backpass import BackwardPass
from .boxes import size_of
from .equations import Label
from .frames import Call, calls
from .laddertext import MEANINGS, Words
from .repeats import Gap, folded

if TYPE_CHECKING:
    from ..nn import Module

MOST_ROWS = 250  # beyond that nobody can read it
MOST_LEAVES = 4  # of a row whose operations are not shown one by one


class Cell:
    """A box of this kind: its title, the lines under it, and the book's labels.

    value: an array to show in shades. told: all of it in words.
    """

    def __init__(self, kind: str, title: str, lines: list[str], badges: list[Label] | None = None, value: Any = None,
                 told: str = "") -> None:
        self.kind, self.title, self.lines, self.value = kind, title, [line for line in lines if line], value
        self.badges = list(dict.fromkeys(label.name for label in badges or []))
        meanings = [f"{name}: {MEANINGS[name]}" for name in self.badges]
        self.told = ". ".join([told or title, *self.lines, *meanings])

    @cached_property
    def size(self) -> tuple[float, float]:
        """(width, height) in pixels."""
        return size_of(self)


class Row:
    """What is in a row. `within`: the calls of modules it stands in, outermost first."""

    def __init__(self, value: Cell, gradient: Cell | None, within: list[Call]) -> None:
        self.value, self.gradient, self.within = value, gradient, within
        self.leaves: list[Cell] = []
        self.leaf_gradients: list[Cell] = []


class Edge(NamedTuple):
    """From cell to cell; kind: 'value', 'constant' (a value that no gradient flows back to), 'gradient', or 'read':
    a value that the backward pass uses again."""

    kind: str
    tail: Cell
    head: Cell


class Options(NamedTuple):
    """As in `draw`."""

    values: bool | str
    grads: bool
    show_shapes: bool
    depth: int | None
    max_nodes: int | None


class Ladder:
    """The rows from the first operation to the cost, and the edges."""

    def __init__(self, loss: Tensor, params: Module | Mapping[str, Tensor] | None, options: Options) -> None:
        self.run, self.options = BackwardPass(loss), options
        self.words = Words(self.run, params)
        self.chains = calls(self.run.nodes)
        self.rows: list[Row] = []
        self.edges: dict[Edge, None] = {}
        self._values: dict[Any, Cell] = {}  # by node or leaf, the cell where it is made
        self._gradients: dict[Any, Cell] = {}
        hidden = 0 if options.max_nodes is None else max(0, len(self.run.nodes) - options.max_nodes)
        units = self._units(self.run.nodes[hidden:])
        self._inside = {node: self._module(node) for unit in units if len(unit) > 1 for node in unit}
        self._within = {node for unit in units for node in unit[:-1]}  # what no box stands for
        parts = folded(units)
        self._guard(len(parts))
        if hidden:
            self._gap(Gap(f"… {hidden} more operations", [self.run.nodes[:hidden]]))
        for part in parts:
            if isinstance(part, Gap):
                self._gap(part)
            else:
                self._row(part)
        self._lead_back()

    def _guard(self, rows: int) -> None:
        if rows > MOST_ROWS and self.options.max_nodes is None:
            fewer = 1 if self.options.depth is None else self.options.depth - 1
            modules = any(self.chains.values()) and fewer > 0
            raise ValueError(
                f"draw(): with its backward pass this graph has {rows} rows, more than the {MOST_ROWS} that anyone can "
                f"read. Collapse it with {f'depth={fewer}, a row for each module, or ' if modules else ''}max_nodes=50 "
                f"for its end; max_nodes={len(self.run.nodes)} draws it all"
            )

    def _units(self, nodes: list[Node]) -> list[list[Node]]:
        """The nodes by row: each by itself, or all those of one call of a module at `depth`."""
        units: list[list[Node]] = []
        last: Any = None
        for node in nodes:
            chain, depth = self.chains[id(node.module)], self.options.depth
            call = chain[depth - 1] if depth is not None and len(chain) >= depth > 0 else None
            if call is not None and call is last:
                units[-1].append(node)
            else:
                units.append([node])
            last = call
        return units

    def _module(self, node: Node) -> Module:
        """The module whose row a node is in."""
        return self.chains[id(node.module)][(self.options.depth or 1) - 1][0]

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _gap(self, gap: Gap) -> None:
        nodes = [node for unit in gap.units for node in unit]
        value = Cell("gap", gap.text, [])
        gradient = Cell("gap", "⋮", []) if any(n in self.run.gradients for n in nodes) else None
        shared = _common([self.chains[id(node.module)] for node in nodes])
        self.rows.append(Row(value, gradient, shared))
        for node in nodes:
            self._values[node] = value
            if gradient is not None:
                self._gradients[node] = gradient
                for x in node.inputs:
                    if isinstance(x, Tensor):
                        self._gradients.setdefault(x, gradient)
        self._connect(nodes, value, None)

    def _row(self, unit: list[Node]) -> None:
        last = unit[-1]
        chain = self.chains[id(last.module)]
        inner = len(unit) > 1
        if inner:
            chain = chain[: self.options.depth]
        names = self.words.names
        title = self.words.collapsed(unit, self._inside[last]) if inner else names.equation(last, last.inputs)
        lines = self.words.contents(unit) if inner else [] if last.op is ITEM else labels.metadata(last.params)
        value = Cell("op" if last.needs else "fixed", title, [*lines, *self._facts(last.output, self.options.values)],
                     value=self._shades(last.output))  # fmt: skip
        gradient = self._gradient_cell(last, unit)
        row = Row(value, gradient, chain[:-1] if inner else chain)
        self.rows.append(row)
        for node in unit:
            self._values[node] = value
            if gradient is not None:
                self._gradients[node] = gradient
        self._connect(unit, value, row)

    def _gradient_cell(self, place: Any, unit: list[Node] | None = None) -> Cell | None:
        g = self.run.gradients.get(place)
        if g is None:
            return None
        badges = [label for x in unit or [place] for label in self.run.equations.at(x, True) if label.name[0] == "B"]
        lines = self.words.shares(place, self._inside)
        title = self.words.names.gradient(place)
        array = g.array if isinstance(g, Tensor) else tuple(part.array for part in g)
        shown = "summary" if self.options.values == "summary" else self.options.grads
        return Cell("gradient", title, [*lines, *self._facts(array, shown)], badges, self._shades(array),
                    f"{title}, the gradient of {self.words.names.of(place)}")  # fmt: skip

    def _connect(self, unit: list[Node], value: Cell, row: Row | None) -> None:
        """The edges into a row, and its leaves, those of a gap excepted."""
        own = set(unit)
        leaves: dict[Tensor, bool] = {}
        for node in unit:
            for i, x in enumerate(node.inputs):
                if type(x) is Node and x not in own and self._values.get(x) not in (None, value):
                    self.edges[Edge("value" if i in node.needs else "constant", self._values[x], value)] = None
                elif isinstance(x, Tensor) and not self.words.names.is_number(x):
                    leaves[x] = leaves.get(x, False) or i in node.needs
        if row is None:
            return
        shown = list(leaves) if len(unit) == 1 or len(leaves) <= MOST_LEAVES else []
        for x in shown:
            cell = self._leaf(x, again=x in self._values)
            row.leaves.append(cell)
            self.edges[Edge("value" if leaves[x] else "constant", cell, value)] = None
            if x not in self._values:
                self._values[x] = cell
            if x not in self._gradients:
                self._add_leaf_gradient(x, row)
        if leaves and not shown:
            self._many_leaves(list(leaves), value, row)

    def _add_leaf_gradient(self, x: Tensor, row: Row) -> None:
        cell = self._gradient_cell(x)
        if cell is not None:
            cell.kind = "leaf gradient"
            self._gradients[x] = cell
            row.leaf_gradients.append(cell)

    def _leaf(self, x: Tensor, again: bool) -> Cell:
        kind = "parameter" if x._requires_grad or isinstance(x, Parameter) else "input"
        name, given = self.words.names.of(x), self.words.names.given.of(x)
        lines = [labels.shorten(given)] if given and given != name and not again else []
        facts = [] if again else self._facts(x.array, self.options.values)
        title = labels.shorten(name) + " (again)" * again
        return Cell(kind, title, [*lines, *facts], value=None if again else self._shades(x.array),
                    told=f"{kind} {title}")  # fmt: skip

    def _many_leaves(self, leaves: list[Tensor], value: Cell, row: Row) -> None:
        """One cell for the leaves of a collapsed module, and one for their gradients."""
        trained = [x for x in leaves if x in self.run.gradients]
        count = f"{sum(x.numel() for x in leaves):,} numbers"
        cell = Cell("parameter" if trained else "input", f"{len(leaves)} tensors", [count])
        row.leaves.append(cell)
        self.edges[Edge("value" if trained else "constant", cell, value)] = None
        fresh = [x for x in trained if x not in self._gradients]
        if fresh:
            badges = {label.name: label for x in fresh for label in self.run.equations.at(x, True)}
            gradient = Cell("leaf gradient", f"{len(fresh)} gradients", [], list(badges.values()))
            row.leaf_gradients.append(gradient)
            self._gradients |= dict.fromkeys(fresh, gradient)
        for x in leaves:
            self._values.setdefault(x, cell)

    def _lead_back(self) -> None:
        """The edges of the backward pass."""
        reading: dict[Edge, None] = {}
        for place, shares in self.run.shares.items():
            head = self._gradients.get(place)
            if head is None:
                continue
            for share in shares:
                tail = self._gradients.get(share.user)
                if tail is not None and tail is not head:
                    self.edges[Edge("gradient", tail, head)] = None
                for x in share.reads:
                    cell = self._values.get(x)
                    hidden = x in self._within or place in self._within
                    if type(x) is Node and cell is not None and not hidden and not cell.kind == head.kind == "gap":
                        reading[Edge("read", cell, head)] = None
        self.edges |= reading

    # --- what they say ------------------------------------------------------------------------------------------------

    def _facts(self, value: Any, shown: bool | str) -> list[str]:
        lines = [labels.shape(value)] if self.options.show_shapes else []
        if isinstance(value, (tuple, Spec)) or not shown:
            return lines + (["–"] if isinstance(value, Spec) and shown else [])
        array = np.asarray(value)
        return [*lines, labels.summary(array) if shown == "summary" else labels.elements(array)]

    def _shades(self, value: Any) -> Any:
        """A matrix that is small enough to be shown in shades."""
        if self.options.values != "summary" or isinstance(value, (tuple, Spec)):
            return None
        array = np.asarray(value)
        return array if 1 <= array.ndim <= 2 and 1 < array.size and max(array.shape) <= 32 else None


def _common(chains: list[list[Call]]) -> list[Call]:
    """The calls that all of them begin with."""
    shared = chains[0]
    for chain in chains[1:]:
        shared = [ours for ours, theirs in zip(shared, chain) if ours is theirs]
    return shared


__all__ = ["Cell", "Edge", "Ladder", "Options", "Row"]
