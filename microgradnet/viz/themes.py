"""Colours for light and for dark backgrounds. No meaning hangs on them alone: shapes and dashes say the same."""

from __future__ import annotations

from typing import NamedTuple


class Theme(NamedTuple):
    """background; ink, soft: text; line; band, band2: frames by depth, in turn; fills and strokes by kind of box;
    badge: the label of an equation, and the text on it; gradient: arrows of the backward pass."""

    background: str
    ink: str
    soft: str
    line: str
    bands: tuple[str, str]
    edge: str
    fills: dict[str, tuple[str, str]]
    badge: tuple[str, str]
    gradient: str
    shades: tuple[str, str]  # of the least and the largest element


THEMES = {
    "light": Theme("#ffffff", "#1f2933", "#52606d", "#7b8794", ("#f5f7fa", "#ffffff"), "#cbd2d9", {
        "op": ("#ffffff", "#7b8794"), "fixed": ("#ffffff", "#cbd2d9"), "parameter": ("#dbe8f7", "#3d6fa8"),
        "input": ("#e4f3e5", "#4d8a55"), "gradient": ("#fdf0e3", "#b35c1e"), "leaf gradient": ("#fbe3cd", "#b35c1e"),
        "gap": ("none", "none"),
    }, ("#8a3f0c", "#ffffff"), "#b35c1e", ("#eef1f4", "#1f2933")),
    "dark": Theme("#12181f", "#eef2f6", "#a3b1bf", "#8795a3", ("#1a222b", "#12181f"), "#3a4754", {
        "op": ("#232d38", "#8795a3"), "fixed": ("#1a222b", "#55636f"), "parameter": ("#1d3350", "#7fb0e6"),
        "input": ("#1e3a25", "#86c791"), "gradient": ("#3f2a17", "#f0a868"), "leaf gradient": ("#54341a", "#f0a868"),
        "gap": ("none", "none"),
    }, ("#f0a868", "#1a1206"), "#f0a868", ("#2b3641", "#f5f7fa")),
}  # fmt: skip

