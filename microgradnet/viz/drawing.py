"""`draw`, and what it returns: the picture of a graph as DOT, as SVG, or as a file of either."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tensor import Tensor, describe
from .dot import to_dot
from .files import write_atomically
from .ladder import Ladder, Options
from .ladder_svg import to_svg
from .picture import Picture
from .render import RenderError, svg, titled
from .themes import THEMES

if TYPE_CHECKING:
    import graphviz

    from ..nn import Module


MOST_BOXES = 1000  # in an SVG that is not asked for by number of nodes


class Drawing:
    """The picture of a graph. In a notebook it shows itself.

    dot: the graphviz.Digraph; its `.source` is byte-identical for the same graph.
    too_large: what there is to say where the picture has more boxes than anyone can read, else empty.
    """

    def __init__(self, dot: graphviz.Digraph, too_large: str = "") -> None:
        self.dot, self.too_large = dot, too_large
        self._svg: str | None = None

    @property
    def svg(self) -> str:
        """The picture as SVG, rendered when first asked for. Errors: viz.RenderError where it is too large, or nothing
        can render it."""
        if self.too_large:
            raise RenderError(self.too_large)
        if self._svg is None:
            self._svg = titled(svg(self.dot.source))
        return self._svg

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write an .svg, or the DOT source as .dot or .gv; a file that is there is replaced whole or not at all."""
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in (".svg", ".dot", ".gv"):
            raise ValueError(f"Drawing.save(): '{path}' must end in .svg, .dot or .gv, not in '{suffix}'")
        return write_atomically(path, self.svg if suffix == ".svg" else self.dot.source)

    def _repr_svg_(self) -> str:
        return self.svg


class BackwardDrawing(Drawing):
    """The picture of a graph with its backward pass. It is laid out here, so it needs no Graphviz, and has no DOT.

    ladder: what stands in it.
    """

    def __init__(self, ladder: Ladder, name: str, direction: str, theme: str) -> None:
        self.ladder, self.too_large = ladder, ""
        self._svg = to_svg(ladder, name, direction, theme)

    @property
    def dot(self) -> Any:  # type: ignore[override]
        """There is none."""
        raise AttributeError("a drawing with the backward pass is laid out without Graphviz: it has no .dot; use .svg")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write an .svg; a file that is there is replaced whole or not at all."""
        if Path(path).suffix.lower() != ".svg":
            raise ValueError(f"Drawing.save(): '{path}' must end in .svg: a drawing with the backward pass has no DOT")
        return write_atomically(path, self.svg)


def draw(output: Any, *, params: Module | Mapping[str, Tensor] | None = None, values: bool | str = False,
         grads: bool = False, show_shapes: bool = True, direction: str = "TB", max_nodes: int | None = None,
         name: str = "output", backward: bool = False, theme: str = "light", depth: int | None = None) -> Drawing:
    """Draw how `output` was computed: parameters, inputs, and the operations on them in frames by module.

    An arrow is an argument, in order and as often as it was given; along a dashed one no gradient flows back.

    With `backward` the backward pass of a cost stands beside the forward pass: next to each value its gradient, with
    the rule it was made by, and BP1 to BP4 where these hold. Stretches that repeat themselves are folded.

    output: a Tensor, or a tuple (named or not), list or dict of them; it may have been through backward already.
    params: a Module, or a dict of Tensors, to name the leaves by. Modules that were called name theirs by themselves.
    values: show elements of every tensor; '–' where they were not kept, as after backward without retain_graph.
        'summary' shows mean and range, and with `backward` those of gradients too, and small matrices in shades.
    grads: show elements of the gradients of parameters and outputs; '–' before backward.
    direction: of the arrows: 'TB' (down), 'LR' (to the right), 'BT' or 'RL'.
    max_nodes: draw only the last so many operations, and one box for the rest.
    name: what to call the output.
    theme: 'light' or 'dark', the background that it is for.
    depth: with `backward`, one row for each call of a module that lies so deep within others, 1 for the outermost.
    """
    _check(values, direction, max_nodes, theme, backward, depth)
    outputs = list(_named(output, name))
    for _, tensor in outputs:
        tensor._refresh()
    if all(tensor.node is None for _, tensor in outputs):
        what = ", ".join(describe(tensor) for _, tensor in outputs[:3]) or "an empty collection"
        raise ValueError(
            f"draw(): nothing was recorded of how {what} was computed; compute it outside no_grad(), from at least one "
            "tensor that requires grad"
        )
    if backward:
        ladder = Ladder(_cost(output), params, Options(values, grads, show_shapes, depth, max_nodes))
        return BackwardDrawing(ladder, name, direction, theme)
    picture = Picture(outputs, params, values, grads, show_shapes, max_nodes)
    return Drawing(to_dot(picture, name, direction, theme), _too_large(picture) if max_nodes is None else "")


def _too_large(picture: Picture) -> str:
    count = len(picture.boxes)
    if count <= MOST_BOXES:
        return ""
    return (f"draw: this picture has {count:,} boxes, more than the {MOST_BOXES:,} that anyone can read. Draw its end "
            f"with max_nodes=50, or fold what repeats itself with backward=True; max_nodes={len(picture.drawn)} "
            "renders all of it. The DOT source is there as it is: .dot, .save('graph.dot').")


def _check(values: Any, direction: str, max_nodes: int | None, theme: str, backward: bool, depth: int | None) -> None:
    if values not in (True, False, "summary"):
        raise ValueError(f"draw(): values must be True, False or 'summary', got {values!r}")
    if direction not in ("TB", "LR", "BT", "RL"):
        raise ValueError(f"draw(): direction must be 'TB', 'LR', 'BT' or 'RL', got {direction!r}")
    if max_nodes is not None and max_nodes < 1:
        raise ValueError(f"draw(): max_nodes must be at least 1, or None for all, got {max_nodes}")
    if theme not in THEMES:
        raise ValueError(f"draw(): theme must be {' or '.join(map(repr, THEMES))}, got {theme!r}")
    if depth is not None and (depth < 1 or not backward):
        raise ValueError(f"draw(): depth must be at least 1, or None for all, and goes with backward=True; got {depth}")


def _cost(output: Any) -> Tensor:
    if not isinstance(output, Tensor) or output.numel() != 1 or not output.requires_grad:
        what = describe(output) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"draw(): backward=True starts from a cost, one Tensor of one element that requires grad, got {what}; "
            "reduce it with .sum() or .mean()"
        )
    return output


def _named(output: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors in an output by name: its own, the key in a dict, the field of a named tuple, or 'output 0'."""
    if isinstance(output, Tensor):
        yield name, output
    elif isinstance(output, Mapping):
        for key, part in output.items():
            yield from _named(part, str(key))
    elif isinstance(output, (tuple, list)):
        fields = getattr(output, "_fields", None) or [f"{name} {i}" for i in range(len(output))]
        for key, part in zip(fields, output):
            yield from _named(part, key)
    else:
        raise TypeError(f"draw() expects a Tensor, or a tuple, list or dict of Tensors, got {type(output).__name__}")
