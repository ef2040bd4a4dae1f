"""What a layer of the book looks like in a graph: an affine map, an elementwise activation, and a cost at the end."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Any, NamedTuple

from ..graph import Node, Spec
from ..ops import activation, elementwise
from ..tensor import Tensor

TURNS = ("permute", "transpose")  # w.T
REDUCTIONS = ("sum", "mean", "squared_distance")
COLLAPSED = ("cross_entropy", "binary_cross_entropy_with_logits")  # the output's activation is inside: δ^L = a^L − y
COMPARISONS = ("sub", "binary_cross_entropy")  # of outputs with targets


class Affine(NamedTuple):
    """z = w x + b. `product` is the node that x goes into: that of w x, or z itself where one operation does both."""

    z: Node
    product: Node
    x: Any
    w: Tensor
    b: Tensor | None


class Consumers:
    """For a node or leaf, the nodes it sends its value to and receives gradients from, one entry for each use."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._of: dict[int, list[Node]] = {}
        for node in nodes:
            for i in node.needs:
                self._of.setdefault(id(node.inputs[i]), []).append(node)

    def __getitem__(self, place: Any) -> list[Node]:
        """Of a leaf that is turned over first, those of its transposes."""
        found: list[Node] = []
        for node in self._of.get(id(place), []):
            found += self._of.get(id(node), []) if isinstance(place, Tensor) and node.op.name in TURNS else [node]
        return found


# --- affine maps ------------------------------------------------------------------------------------------------------


def affine(node: Any) -> Affine | None:
    """The affine map that a node is the result of: `linear`, x @ wᵀ + b, x @ w + b or w @ x + b, or one without b."""
    if type(node) is not Node:
        return None
    if node.op.name == "linear":
        x, w, b = node.inputs
        leaves = isinstance(w, Tensor) and (b is None or isinstance(b, Tensor))
        return Affine(node, node, x, w, b) if leaves and len(node.output.shape) <= 2 else None
    if node.op.name == "add":
        for product, b in (node.inputs, node.inputs[::-1]):
            part = _product(product)
            if part is not None and b is not part.x and _is_bias(b, node, part):
                return part._replace(z=node, b=b)
    return _product(node)


def _product(node: Any) -> Affine | None:
    """x @ w or w @ x, of which one is a leaf that gradients go to, and the other is no such leaf."""
    if type(node) is not Node or node.op.name != "matmul" or not 1 <= len(node.output.shape) <= 2:
        return None
    x, y = node.inputs
    left, right = _weight(x), _weight(y)
    if left is None:
        return None if right is None else Affine(node, node, x, right, None)
    return Affine(node, node, y, left, None) if right is None else None


def _weight(source: Any) -> Tensor | None:
    if type(source) is Node and source.op.name in TURNS:
        source = source.inputs[0]
    return source if isinstance(source, Tensor) and source._requires_grad and source.ndim == 2 else None


def _is_bias(b: Any, z: Node, part: Affine) -> bool:
    """Whether it is a leaf with one number for each neuron: a row beside x @ w, a column beside w @ x."""
    if not (isinstance(b, Tensor) and b._requires_grad):
        return False
    if len(z.output.shape) == 1:
        return tuple(b.shape) == tuple(z.output.shape)
    if part.product.inputs[1] is part.x:
        return tuple(b.shape) == (z.output.shape[0], 1)
    return tuple(b.shape) in ((z.output.shape[1],), (1, z.output.shape[1]))


# --- activations ------------------------------------------------------------------------------------------------------


def _elementwise(node: Node) -> bool:
    return node.op.__module__ in (elementwise.__name__, activation.__name__) and "dim" not in node.op.names


def _is_number(source: Any) -> bool:
    """A constant: a mask or a statistic is an array, and an activation has none."""
    return not isinstance(source, Node) and not (isinstance(source, (Tensor, Spec)) and (
        source.ndim > 0 or isinstance(source, Tensor) and source._requires_grad))  # fmt: skip


def source_of(a: Node) -> Affine | None:
    """The affine map of which a is an elementwise function, and of nothing else."""
    found, stack, seen = None, [a], set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        part = affine(node)
        if part is not None:
            if found is not None and found.z is not part.z:
                return None
            found = part
        elif _elementwise(node):
            stack += [x for x in node.inputs if type(x) is Node]
            if not all(type(x) is Node or _is_number(x) for x in node.inputs):
                return None
        else:
            return None
    return found


def activation_of(part: Affine, a: Node, user: Node, consumers: Consumers) -> bool:
    """Whether gradients come to z through a alone, and to a from `user` alone."""
    return consumers[a] == [user] and _last_cut(part, consumers) is a and _whole(part, consumers)


def _whole(part: Affine, consumers: Consumers) -> bool:
    """Whether nothing but z takes w x."""
    return part.product is part.z or consumers[part.product] == [part.z]


def _last_cut(part: Affine, consumers: Consumers) -> Node:
    """The last elementwise function of z alone that every path from z leads through: a, or z itself."""
    pure, cut = {part.z}, part.z
    frontier = [(part.z.time, part.z)]  # a heap, the oldest first
    reach = 0  # the youngest consumer so far; a path that leaves the pure nodes leads beyond them all
    while frontier:
        node = heappop(frontier)[1]
        if reach <= node.time:
            cut = node
        for user in consumers[node]:
            if _elementwise(user) and all(_is_number(x) or x in pure or _is_ahead(x, part) for x in user.inputs):
                reach = max(reach, user.time)
                if user not in pure:
                    pure.add(user)
                    heappush(frontier, (user.time, user))
            else:
                reach = 2**63
    return cut


def _is_ahead(source: Any, part: Affine) -> bool:
    """Whether an argument is an elementwise function of the same z, reached on another path."""
    if type(source) is not Node:
        return False
    below = source_of(source)
    return below is not None and below.z is part.z


# --- costs ------------------------------------------------------------------------------------------------------------


def cost_of(root: Node, consumers: Consumers) -> tuple[Affine, Node | None] | None:
    """The last affine map under a cost, and the node of a^L (None where the cost has the activation inside)."""
    part, between = _under(root)
    if part is None or not _whole(part, consumers):
        return None
    reduced: dict[Node, bool] = {part.z: False}
    for node in sorted(between, key=lambda n: n.time):
        above = {reduced[x] for x in node.inputs if type(x) is Node and x in reduced}
        if not above:
            continue  # a penalty on weights, which z has no part in
        # A normalisation mixes each element with a sum over many; one with weights of its own is a layer.
        if len(above) > 1 or any(isinstance(x, Tensor) and x._requires_grad for x in node.inputs):
            return None
        reduced[node] = node.op.name in (*REDUCTIONS, COLLAPSED[0]) or above.pop()
    a = _last_cut(part, consumers)
    for user in consumers[a]:
        if user.op.name in COLLAPSED:
            return (part, None) if a is part.z and len(consumers[a]) == 1 else None
        if not (user.op.name in (*COMPARISONS, *REDUCTIONS) or all(x is a or _is_number(x) for x in user.inputs)):
            return None  # a mask, perhaps
    return part, a


def _under(root: Node) -> tuple[Affine | None, set[Node]]:
    """The one affine map that a cost is made of, and the nodes between; None where there are more or other things."""
    found, between, stack = None, set(), [root]
    while stack:
        node = stack.pop()
        if node in between:
            continue
        part = affine(node)
        if part is not None:
            if found is not None and found.z is not part.z:
                return None, between
            found = part
        elif _elementwise(node) or node.op.name in (*REDUCTIONS, *COLLAPSED, *COMPARISONS):
            between.add(node)
            stack += [node.inputs[i] for i in node.needs if type(node.inputs[i]) is Node]
        else:
            return None, between
    return found, between
