"""A heat map as an SVG: rows by name, a column for each step, lighter for less, so that it reads in greyscale, too."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from html import escape

import numpy as np

from .files import write_atomically

LIGHT, DARK = (238, 243, 249), (12, 44, 92)  # of the scale; what is missing is white
WIDTH, TOP, BOTTOM = 480, 36, 40
MOST_COLUMNS = 120  # beyond, neighbours are put together, by their mean
STYLE = """
.heat text { font-family: Helvetica, Arial, sans-serif; font-size: 11px; fill: #52606d }
.heat .title { font-size: 13px; font-weight: bold; fill: #1f2933 }
.heat .frame { fill: none; stroke: #9aa5b1 }
"""


def heat_svg(title: str, rows: Sequence[str], steps: Sequence[int], values: np.ndarray, *, log: bool = False,
             percent: bool = False, path: str | os.PathLike[str] | None = None) -> str:
    """Draw values (rows, steps), the first row at the bottom; returns the SVG, and writes it to `path` if there is one.

    log: shade by the logarithm; what has none, and nan, stays white. percent: shares, to be shown in percent.
    """
    if values.shape != (len(rows), len(steps)):
        raise ValueError(f"heat_svg(): values {values.shape} do not fit {len(rows)} rows and {len(steps)} steps")
    shades, starts = _together(_scaled(values, log))
    height = max(6, min(22, 264 // max(len(rows), 1)))
    left = 20 + 7 * max([len(row) for row in rows if row] + [4])
    bottom = TOP + height * len(rows)
    width = left + WIDTH + 96
    low, high = _bounds(shades, percent)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" class="heat" role="img" width="{width}" '
             f'height="{bottom + BOTTOM}" viewBox="0 0 {width} {bottom + BOTTOM}">',
             f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>",
             f'<rect width="{width}" height="{bottom + BOTTOM}" fill="white"/>',
             f'<text class="title" x="{left}" y="{TOP - 14}">{escape(title)}</text>']
    cell = WIDTH / max(len(starts), 1)
    every = -(-12 // height)  # rows between two names, so that they do not overlap
    for i, row in enumerate(rows):
        top = bottom - height * (i + 1)
        for j, value in enumerate(shades[i]):
            if not math.isnan(value):
                parts.append(f'<rect x="{left + cell * j:.1f}" y="{top}" width="{cell + 0.3:.1f}" height="{height}" '
                             f'fill="{_colour(value, low, high)}"/>')
        if i % every == 0:
            parts.append(f'<text x="{left - 8}" y="{top + height / 2:g}" dy="0.35em" '
                         f'text-anchor="end">{escape(row)}</text>')
    parts.append(f'<rect class="frame" x="{left}" y="{TOP}" width="{WIDTH}" height="{height * len(rows)}"/>')
    for k in sorted({0, len(starts) // 2, len(starts) - 1}) if starts else ():
        parts.append(f'<text x="{left + cell * (k + 0.5):.1f}" y="{bottom + 14}" '
                     f'text-anchor="middle">{steps[starts[k]]}</text>')
    parts.append(f'<text x="{left + WIDTH / 2:g}" y="{bottom + 30}" text-anchor="middle">step</text>')
    parts += _legend(left + WIDTH + 20, TOP, max(bottom - TOP, 40), low, high, log, percent)
    text = "\n".join([*parts, "</svg>\n"])
    if path is not None:
        write_atomically(path, text)
    return text


def _scaled(values: np.ndarray, log: bool) -> np.ndarray:
    with np.errstate(all="ignore"):
        scaled = np.log10(values) if log else np.array(values, float)
    return np.where(np.isfinite(scaled), scaled, np.nan)


def _together(values: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """At most MOST_COLUMNS columns, and the index that each begins with."""
    count = values.shape[1]
    size = max(1, -(-count // MOST_COLUMNS))
    starts = list(range(0, count, size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns without a number
        columns = [np.nanmean(values[:, i:i + size], axis=1) for i in starts]
    return (np.stack(columns, axis=1) if columns else values), starts


def _bounds(values: np.ndarray, percent: bool) -> tuple[float, float]:
    if percent:
        return 0.0, 1.0
    if np.isnan(values).all():
        return 0.0, 1.0
    return float(np.nanmin(values)), float(np.nanmax(values))


def _colour(value: float, low: float, high: float) -> str:
    share = (value - low) / (high - low) if high > low else 0.5
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(LIGHT, DARK))


def _legend(x: int, top: int, height: int, low: float, high: float, log: bool, percent: bool) -> list[str]:
    """The scale, from the least below to the largest above."""
    steps = 24
    parts = []
    for k in range(steps):
        y = top + height * (steps - 1 - k) / steps
        colour = _colour(low + (high - low) * (k + 0.5) / steps if high > low else low, low, high)
        parts.append(f'<rect x="{x}" y="{y:.1f}" width="12" height="{height / steps + 0.3:.1f}" fill="{colour}"/>')
    for value, y in ((high, top + 5), (low, top + height - 5)):
        label = f"{10**value:.1e}" if log else f"{100 * value:.0f} %" if percent else f"{value:.3g}"
        parts.append(f'<text x="{x + 18}" y="{y}" dy="0.35em">{label}</text>')
    return [*parts, f'<rect class="frame" x="{x}" y="{top}" width="12" height="{height}"/>']
