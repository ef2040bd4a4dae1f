"""Pictures: the graph as DOT and SVG (`draw`), the chain rule step by step (`explain`), and learning curves
(`curves_svg`) and other curves (`panels_svg`) as SVG."""

from .curves import Panel, curves_svg, panels_svg
from .drawing import Drawing, draw
from .explain import Explanation, explain
from .render import RenderError

__all__ = ["Drawing", "Explanation", "Panel", "RenderError", "curves_svg", "draw", "explain", "panels_svg"]
