"""σ'(z), found in the graph: from an activation a back to the z that it is an elementwise function of."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np

from ..graph import Node, Spec
from ..ops import activation, elementwise
from ..tensor import Tensor

MOST_OPERATIONS = 30  # that an activation is composed of


@np.errstate(all="ignore")
def slope(a: Node | None, known: Container[Node]) -> tuple[Node, np.ndarray] | None:
    """The node of z among the known ones, and σ'(z) by the rules of the operations between, where a = σ(z) elementwise.

    None where a is anything else: an elementwise function has no other arguments but constants.
    """
    between = _between(a, known)
    if between is None:
        return None
    z, nodes = between
    slopes: dict[Any, Any] = {a: np.ones(a.output.shape, a.output.dtype)}  # type: ignore[union-attr]
    for node in sorted(nodes, key=lambda node: -node.time):
        g = slopes.pop(node)
        params = node.params if node.kept is None else node.params | {"kept": node.kept}
        for i in node.needs:
            x, gx = node.inputs[i], node.op.rules[i](g, node.output, *node.args, **params)
            slopes[x] = slopes[x] + gx if x in slopes else gx
    return z, slopes[z]


def _between(a: Node | None, known: Container[Node]) -> tuple[Node, list[Node]] | None:
    """The one known node below a, and the elementwise nodes from there to a; None where there is anything else."""
    z: Node | None = None
    nodes: list[Node] = []
    stack = [a]
    while stack:
        node = stack.pop()
        if node is None or node in nodes or node is z:
            continue
        if node in known:
            if z is not None:
                return None
            z = node
            continue
        if len(nodes) == MOST_OPERATIONS or not _elementwise(node) or not all(
                type(x) is Node and i in node.needs and x.output.shape == node.output.shape or _constant(x)
                for i, x in enumerate(node.inputs)):  # fmt: skip
            return None
        nodes.append(node)
        stack += [x for x in node.inputs if type(x) is Node]
    return (z, nodes) if z is not None and nodes else None


def _elementwise(node: Node) -> bool:
    own = node.op.__module__ in (elementwise.__name__, activation.__name__) and "dim" not in node.op.names
    return own and node.args is not None and node.op.joint is None


def _constant(x: Any) -> bool:
    """A number, or a condition; an array of numbers is a mask or a statistic, and belongs to no activation."""
    if isinstance(x, Tensor):
        return not x._requires_grad and (x.ndim == 0 or x.dtype == np.bool_)
    return type(x) is not Node and (not isinstance(x, (np.ndarray, Spec)) or not x.shape)
