"""Learning curves as an SVG, written by hand so that it needs no plotting library."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from .files import write_atomically

PLOT_WIDTH, HEIGHT = 220, 270  # of a panel; the height includes the margins
LEFT, TOP, BOTTOM = 52, 40, 42  # the margins; the right one has room for the names of the lines
LEAST = 1e-300  # values that are less apart are drawn as one: their difference has no decimals left to divide
COLOURS = ("#2f6db3", "#c8622b", "#4d8a55", "#7a5ea8", "#8a6d3b")
DASHES = ("none", "6 3", "2 3", "8 3 2 3", "1 2")  # so that a print in black and white reads the same
STYLE = """
.curves text { font-family: Helvetica, Arial, sans-serif; font-size: 11px; fill: #52606d }
.curves .title { font-size: 13px; font-weight: bold; fill: #1f2933 }
.curves .grid { stroke: #e4e7eb }
.curves .axis { stroke: #9aa5b1 }
.curves .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round }
"""


class Panel(NamedTuple):
    """One diagram: lines by name, with a number for each x; a logarithmic scale leaves gaps where there is none."""

    title: str
    x_name: str
    xs: Sequence[float]
    lines: Mapping[str, Sequence[float]]
    log: bool = False
    percent: bool = False  # shares, to be shown in percent
    values: bool = True  # whether the last value of a line stands behind its name


def curves_svg(columns: Mapping[str, Sequence[float]], path: str | os.PathLike[str] | None = None) -> str:
    """Draw the columns of a training history over the epochs; returns the SVG, and writes it to `path` if there is one.

    columns: equally long lists of numbers by name. 'train_cost' and 'test_cost' are two lines in the panel 'cost', and
        so on with other words; 'epoch', if it is there, is the x axis, else the epochs are 1, 2, …. What is not finite
        leaves a gap; an accuracy from 0 to 1 is shown in percent.
    """
    lengths = {name: len(values) for name, values in columns.items()}
    if not lengths.keys() - {"epoch"}:
        raise ValueError(f"curves_svg() needs a column beside 'epoch' to draw, got {list(columns)}")
    if len(set(lengths.values())) != 1:
        raise ValueError(f"curves_svg(): the columns must be equally long, got lengths {lengths}")
    epochs = columns.get("epoch", range(1, len(next(iter(columns.values()))) + 1))
    panels: dict[str, dict[str, Sequence[float]]] = {}
    for name, values in columns.items():
        if name != "epoch":
            line, _, panel = name.partition("_")
            panels.setdefault(panel or line, {})[line if panel else ""] = values
    return panels_svg([_of_history(title, epochs, lines) for title, lines in panels.items()], path)


def _of_history(title: str, epochs: Sequence[float], lines: Mapping[str, Sequence[float]]) -> Panel:
    percent = "accuracy" in title and all(0 <= y <= 1 for line in lines.values() for y in line if _is_shown(y))
    return Panel(title, "epoch", epochs, lines, percent=percent)


def panels_svg(panels: Sequence[Panel], path: str | os.PathLike[str] | None = None, across: int | None = None) -> str:
    """Draw panels side by side, `across` in a row (all); returns the SVG, and writes it to `path` if there is one.

    A line looks the same wherever its name comes back.
    """
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    across = min(across or len(panels), len(panels))
    panel_width = LEFT + PLOT_WIDTH + 60 + 6 * max(map(len, names))
    width, height = panel_width * across, HEIGHT * -(-len(panels) // across)
    titles = escape("; ".join(_title(panel) for panel in panels))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="curves" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">',
        f"<title>{titles}</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for i, panel in enumerate(panels):
        x, y = panel_width * (i % across), HEIGHT * (i // across)
        parts += [f'<g transform="translate({x} {y})">', *_drawn(panel, names), "</g>"]
    text = "\n".join([*parts, "</svg>\n"])
    if path is not None:
        write_atomically(path, text)
    return text


def _title(panel: Panel) -> str:
    title = panel.title.replace("_", " ")
    return title[:1].upper() + title[1:]


def _drawn(panel: Panel, names: list[str]) -> list[str]:
    """The elements of a panel; `names` gives the looks of the lines."""
    factor = 100 if panel.percent else 1
    lines = {name: [_placed(factor * float(y), panel.log) for y in line] for name, line in panel.lines.items()}
    xs = [float(x) for x in panel.xs]
    finite = [y for line in lines.values() for y in line if _is_shown(y)]
    x_ticks = _ticks(min(xs, default=0), max(xs, default=1), whole=all(x == int(x) for x in xs))
    x_ticks = [x for x in x_ticks if min(xs, default=0) - 1e-9 <= x <= max(xs, default=1) + 1e-9]
    y_ticks = _ticks(min(finite, default=0), max(finite, default=1), decades=panel.log)
    across, up = _scale(xs or [0, 1], LEFT, LEFT + PLOT_WIDTH), _scale(y_ticks, HEIGHT - BOTTOM, TOP)

    bottom, right = HEIGHT - BOTTOM, LEFT + PLOT_WIDTH
    parts = [f'<text class="title" x="{LEFT}" y="{TOP - 18}">{escape(_title(panel))}</text>']
    for y in y_ticks:
        label = f"1e{y:.0f}" if panel.log else _number(y, y_ticks) + " %" * panel.percent
        parts.append(f'<path class="grid" d="M{LEFT} {up(y)}H{right}"/>')
        parts.append(_text(LEFT - 8, up(y), label, "end"))
    for x in x_ticks:
        parts.append(f'<path class="axis" d="M{across(x)} {bottom}v4"/>')
        parts.append(_text(across(x), bottom + 14, _number(x, x_ticks), "middle"))
    parts.append(f'<path class="axis" d="M{LEFT} {bottom}H{right}"/>')
    parts.append(_text((LEFT + right) / 2, bottom + 32, panel.x_name, "middle"))

    ends = []
    for name, line in lines.items():
        nth = names.index(name) % len(COLOURS)
        colour, dash = COLOURS[nth], DASHES[nth]
        points = [(across(x), up(y)) if _is_shown(y) else None for x, y in zip(xs, line)]
        parts.append(f'<path class="line" stroke="{colour}" stroke-dasharray="{dash}" d="{_path(points)}"/>')
        shown = [(point, value) for point, value in zip(points, panel.lines[name]) if point is not None]
        if shown:
            point, value = shown[-1]
            parts.append(f'<circle cx="{point[0]}" cy="{point[1]}" r="2.5" fill="{colour}"/>')
            last = f" {factor * float(value):{'.2g' if panel.log else '.4g'}}{' %' * panel.percent}"
            ends.append((float(point[1]), (name + last * panel.values).strip(), colour))
    for height, label, colour in _apart(ends):
        parts.append(_text(right + 8, height, label, "start", f' style="fill: {colour}"'))
    return parts


def _placed(y: float, log: bool) -> float:
    """Where a value lies on its axis; nan for one that a logarithmic axis has no place for."""
    return y if not log else math.log10(y) if 0 < y < math.inf else math.nan


def _text(x: float | str, y: float | str, words: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" dy="0.35em" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def _is_shown(y: float) -> bool:
    return abs(y) < 1e300  # finite, and so is any difference


def _path(points: list[tuple[str, str] | None]) -> str:
    """Straight lines from point to point; a gap where there is none."""
    parts = []
    for before, point in zip([None, *points], points):
        if point is not None:
            x, y = point
            parts.append(f"M{x} {y}h.1" if before is None else f"L{x} {y}")  # h.1: a point alone is a dot
    return "".join(parts)


def _scale(values: Sequence[float], start: float, end: float) -> Callable[[float], str]:
    """From values to pixels, as text: the least of them lies at start, the largest at end."""
    low, high = min(values), max(values)
    span = high - low or 1.0
    return lambda value: f"{start + (value - low) / span * (end - start):.1f}"


def _ticks(low: float, high: float, whole: bool = False, decades: bool = False) -> list[float]:
    """About five round numbers, 1, 2 or 5 times a power of ten apart, around low and high; whole ones, between them.

    decades: whole ones around them, for the exponents of a logarithmic axis.
    """
    if high - low <= LEAST:
        if whole:
            return [low]
        high = low + (abs(low) if abs(low) > LEAST else 1.0)
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    if whole or decades:
        step = max(step, 1.0)
    if whole:
        first, last = math.ceil(low / step), math.floor(high / step)
    else:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, last + 1)]


def _number(value: float, ticks: list[float]) -> str:
    """A tick with as many decimals as the distance between ticks asks for."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    if step < 1e-4 or abs(value) >= 1e6:
        return f"{value:.3g}"
    return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def _apart(ends: list[tuple[float, str, str]], gap: float = 14) -> list[tuple[str, str, str]]:
    """The labels at the ends of the lines, moved down where they would overlap, and up where they leave the panel."""
    placed: list[float] = []
    ends = sorted(ends)
    for y, _, _ in ends:
        placed.append(max(y, placed[-1] + gap) if placed else y)
    lowest = float(HEIGHT - BOTTOM)
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], lowest)
        lowest = placed[i] - gap
    return [(f"{y:.1f}", label, colour) for y, (_, label, colour) in zip(placed, ends)]
