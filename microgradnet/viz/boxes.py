"""A box of a ladder as SVG: how large it is, and its outline, words, labels and shades."""

from __future__ import annotations

import functools
import math
import unicodedata
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from .themes import Theme

if TYPE_CHECKING:
    from .ladder import Cell

TITLE, NOTE = 13, 11  # font sizes, in pixels
LEADING, PAD = 15, 10
BADGE = 34
CUT = 7  # the corners of a gradient's box, cut off
NARROW, WIDE = set("ijlI.,:;|'!()[]{}t fr/·²³¹⁰ᴸ⁻ˡ"), set("mwMW@%∂ΣC")
LEVELS = 8  # shades


def visible(text: str) -> str:
    """The text with what does not print spelled out, safe within XML."""
    if text.isprintable():
        return escape(text)
    spelled = (c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return escape("".join(spelled))


def width_of(text: str, size: int) -> float:
    """About how wide a text is in a sans-serif font."""
    return sum(map(_ems, text)) * size


@functools.lru_cache(4096)
def _ems(c: str) -> float:
    if unicodedata.combining(c):
        return 0.0
    if unicodedata.east_asian_width(c) in "WF":
        return 1.0
    return 0.34 if c in NARROW else 0.86 if c in WIDE else 0.585


def size_of(cell: Cell) -> tuple[float, float]:
    """(width, height), whole numbers."""
    title = width_of(cell.title, TITLE) * 1.04 + sum(BADGE for _ in cell.badges) + 6 * bool(cell.badges)
    width = max([title, *(width_of(line, NOTE) for line in cell.lines)])
    height = float(LEADING * (1 + len(cell.lines)))
    if cell.value is not None:
        columns, rows, dot = _grid(cell.value)
        width, height = max(width, columns * dot), height + rows * dot + 5
    return float(round(width + 2 * PAD)), float(round(height + 12))


def _grid(value: np.ndarray) -> tuple[int, int, float]:
    """(columns, rows, pixels for each) of an array in shades."""
    rows, columns = value.shape if value.ndim == 2 else (1, value.shape[0])
    return columns, rows, max(2.0, min(8.0, 96 // columns, 48 // rows))


def drawn(cell: Cell, x: float, y: float, theme: Theme) -> list[str]:
    """The elements of a box whose upper left corner is there."""
    width, height = cell.size
    kind = cell.kind.replace(" ", "-")
    parts = [f'<g class="box {kind}">', f"<title>{visible(cell.told)}</title>"]
    if cell.kind != "gap":
        parts.append(_outline(cell.kind, x, y, width, height))
    top = y + 6 + LEADING - 4
    words = width_of(cell.title, TITLE) * 1.04 + (BADGE * len(cell.badges) + 6) * bool(cell.badges)
    left = x + (width - words) / 2
    anchor = f'x="{_n(x + width / 2)}" text-anchor="middle"' if not cell.badges else f'x="{_n(left)}"'
    parts.append(f'<text class="name" {anchor} y="{_n(top)}">{visible(cell.title)}</text>')
    for i, badge in enumerate(cell.badges):
        at = left + words - BADGE * (len(cell.badges) - i) + 2
        parts.append(f'<rect class="badge" x="{_n(at)}" y="{_n(top - 12)}" width="{BADGE - 3}" height="16" rx="8"/>')
        parts.append(f'<text class="mark" x="{_n(at + (BADGE - 3) / 2)}" y="{_n(top)}">{visible(badge)}</text>')
    for i, line in enumerate(cell.lines, 1):
        formula = " formula" * (line[:2] in ("= ", "+ "))
        parts.append(f'<text class="note{formula}" x="{_n(x + width / 2)}" y="{_n(top + LEADING * i)}">'
                     f"{visible(line)}</text>")  # fmt: skip
    if cell.value is not None:
        parts += _shades(cell.value, x + width / 2, top + LEADING * len(cell.lines) + 8, theme)
    return [*parts, "</g>"]


def _outline(kind: str, x: float, y: float, width: float, height: float) -> str:
    """Round corners for operations, sharp ones for leaves, cut ones for gradients."""
    if "gradient" in kind:
        inner, side = width - 2 * CUT, height - 2 * CUT
        return (f'<path class="shape" d="M{_n(x + CUT)} {_n(y)}h{_n(inner)}l{CUT} {CUT}v{_n(side)}l-{CUT} {CUT}'
                f'h-{_n(inner)}l-{CUT} -{CUT}v-{_n(side)}z"/>')  # fmt: skip
    corner = {"op": 9, "fixed": 9}.get(kind, 0)
    return (f'<rect class="shape" x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
            f'{f" rx={chr(34)}{corner}{chr(34)}" if corner else ""}/>')  # fmt: skip


def _shades(value: np.ndarray, middle: float, top: float, theme: Theme) -> list[str]:
    """The elements from the least (near the background) to the largest: one path for each of a few shades."""
    columns, rows, dot = _grid(value)
    numbers = value.astype(np.float64).ravel().tolist()  # few, so that Python is quicker than NumPy from here on
    finite = list(filter(math.isfinite, numbers))
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    extent = high / 2 - low / 2  # half of it, which is finite
    left = middle - columns * dot / 2
    paths: list[list[str]] = [[] for _ in range(LEVELS)]
    square = f"h{_n(dot)}v{_n(dot)}h-{_n(dot)}z"
    across, down = [_n(left + c * dot) for c in range(columns)], [_n(top + r * dot) for r in range(rows)]
    places = ((x, y) for y in down for x in across)
    for number, (x, y) in zip(numbers, places):
        if math.isfinite(number):
            share = (number / 2 - low / 2) / extent if extent else 0.5
            paths[min(int(share * LEVELS + 1e-6), LEVELS - 1)].append(f"M{x} {y}{square}")
    parts = [f'<path fill="{_mixed(*theme.shades, k / (LEVELS - 1))}" d="{"".join(path)}"/>'
             for k, path in enumerate(paths) if path]  # fmt: skip
    frame = f'width="{_n(columns * dot)}" height="{_n(rows * dot)}"'
    return [*parts, f'<rect class="grid" x="{_n(left)}" y="{_n(top)}" {frame}/>']


@functools.lru_cache(64)
def _mixed(first: str, last: str, share: float) -> str:
    pairs = zip(bytes.fromhex(first[1:]), bytes.fromhex(last[1:]))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


@functools.lru_cache(4096)  # those of a column are the same all the way down
def _n(x: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{x:.1f}".removesuffix(".0")


__all__ = ["drawn", "size_of", "visible", "width_of"]
