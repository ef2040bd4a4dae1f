"""Pictures: the graph as DOT and SVG (`draw`), the chain rule step by step (`explain`), and learning curves as SVG
(`curves_svg`)."""

from .curves import curves_svg
from .drawing import Drawing, draw
from .explain import Explanation, explain
from .render import RenderError

__all__ = ["Drawing", "Explanation", "RenderError", "curves_svg", "draw", "explain"]
