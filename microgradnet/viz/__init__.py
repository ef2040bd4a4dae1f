"""Pictures: the graph as DOT and SVG (`draw`), and learning curves as SVG (`curves_svg`)."""

from .curves import curves_svg
from .drawing import Drawing, draw

__all__ = ["Drawing", "curves_svg", "draw"]
