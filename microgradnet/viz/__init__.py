"""Pictures: the graph as DOT and SVG (`draw`), and learning curves as SVG (`curves_svg`)."""

from .curves import curves_svg
from .drawing import Drawing, draw
from .render import RenderError

__all__ = ["Drawing", "RenderError", "curves_svg", "draw"]
