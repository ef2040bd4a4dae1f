"""Picture → DOT: the styles, and the modules as clusters. The same picture gives the same text, byte by byte."""

from __future__ import annotations

from typing import Any

from . import labels
from .frames import Frame
from .picture import Picture

FONT = "Helvetica"
INK, DARK, SOFT, LINE, PALE = "#1f2933", "#323f4b", "#52606d", "#7b8794", "#cbd2d9"

# Told apart by shape and by lightness as well as by colour, so that a print in black and white reads the same.
STYLES = {
    "parameter": {"shape": "box", "style": "filled", "fillcolor": "#dbe8f7", "color": "#3d6fa8"},
    "input": {"shape": "note", "style": "filled", "fillcolor": "#e4f3e5", "color": "#4d8a55"},
    "constant": {"shape": "plaintext", "fontcolor": SOFT, "height": "0.2", "margin": "0.04,0.02"},
    "op": {"shape": "box", "style": "filled,rounded", "fillcolor": "white", "color": LINE},
    "output": {"shape": "box", "style": "filled,rounded", "fillcolor": DARK, "color": DARK, "fontcolor": "white"},
    "rest": {"shape": "box", "style": "rounded,dashed", "color": LINE, "fontcolor": SOFT},
}
CLUSTER_FILLS = ("#f5f7fa", "#ffffff")  # by depth, in turn

NIGHT: dict[Any, str] = {  # the same colours for a dark background, where need be by what they colour
    INK: "#eef2f6", SOFT: "#a3b1bf", LINE: "#8795a3", PALE: "#3a4754", "#dbe8f7": "#1d3350", "#3d6fa8": "#7fb0e6",
    "#e4f3e5": "#1e3a25", "#4d8a55": "#86c791", DARK: "#dbe2ea", "#f5f7fa": "#1a222b", "#ffffff": "#12181f",
    ("fillcolor", "white"): "#232d38", ("fontcolor", "white"): "#12181f",
}  # fmt: skip

MANY = 100  # boxes; from there on Graphviz is told not to look for the very best layout, which would take minutes


def to_dot(picture: Picture, name: str, direction: str, theme: str = "light") -> Any:
    """A picture as a graphviz.Digraph."""
    from graphviz import Digraph

    dot = Digraph(labels.quoted([name]))
    dot.attr("graph", **{"class": "microgradnet"}, rankdir=direction, ordering="in", nodesep="0.25", ranksep="0.35",
             fontname=FONT, fontsize="10", fontcolor=SOFT)  # fmt: skip
    if len(picture.boxes) > MANY:
        dot.attr("graph", nslimit="1", nslimit1="1", mclimit="0.1")
    if theme == "dark":
        dot.attr("graph", bgcolor=NIGHT["#ffffff"], fontcolor=NIGHT[SOFT])
    dot.attr("node", **_in(theme, fontname=FONT, fontsize="11", fontcolor=INK, height="0.3", margin="0.14,0.07"))
    dot.attr("edge", **_in(theme, color=LINE, arrowsize="0.6", fontname=FONT, fontsize="9", fontcolor=SOFT))
    _write(dot, picture.frame, (), direction in ("TB", "BT"), theme)
    for arrow in picture.arrows:
        attributes = {} if arrow.carries_gradient else {"style": "dashed"}
        if arrow.tail.kind == arrow.head.kind == "op":
            attributes["weight"] = "8"
        if arrow.label:
            attributes["label"] = f" {arrow.label} "
        dot.edge(arrow.tail.id, arrow.head.id, **attributes)
    return dot


def _write(dot: Any, frame: Frame, path: tuple[int, ...], pad: bool, theme: str) -> None:
    """The boxes in a frame, and the frames in it as clusters, each named by its place."""
    for i, part in enumerate(frame.parts):
        if not isinstance(part, Frame):
            dot.node(part.id, labels.quoted(part.lines), **_in(theme, **STYLES[part.kind]))
            continue
        # An arrow from above comes in at the middle of the frame: the blanks keep the name to the right of it.
        name = " " * (5 * len(part.name) // 2) + part.name if pad else part.name
        inner = (*path, i)
        with dot.subgraph(name="cluster_" + "_".join(map(str, inner))) as cluster:
            fill = CLUSTER_FILLS[len(path) % 2]
            cluster.attr(label=labels.quoted([name]), labeljust="r", style="filled,rounded",
                         **_in(theme, color=PALE, fillcolor=fill))  # fmt: skip
            _write(cluster, part, inner, pad, theme)


def _in(theme: str, **attributes: str) -> dict[str, str]:
    """Attributes with their colours in a theme."""
    if theme == "light":
        return attributes
    return {key: NIGHT.get((key, value)) or NIGHT.get(value, value) for key, value in attributes.items()}
