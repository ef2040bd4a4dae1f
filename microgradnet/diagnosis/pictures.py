"""The pictures of a monitor, and its page."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from ..viz.curves import COLOURS, Panel, panels_svg
from ..viz.heat import heat_svg
from ..viz.markup import items, paragraph, scrolled, styled, table, whole_page
from .monitor import QUANTITIES, SHARES

if TYPE_CHECKING:
    from .monitor import Monitor

MOST_LINES = len(COLOURS)  # in a panel; of more layers, some from the first to the last
MOST_POINTS = 500  # of a line


def curves(monitor: Monitor, path: str | os.PathLike[str] | None = None) -> str:
    """Every quantity that was recorded over the steps, a line for each layer."""
    _check(monitor)
    layers = monitor.layers
    shown = sorted({round(i) for i in np.linspace(0, len(layers) - 1, min(MOST_LINES, len(layers)))})
    thin = slice(None, None, max(1, -(-len(monitor.steps) // MOST_POINTS)))
    panels = []
    for quantity, title in _recorded(monitor).items():
        values = monitor.values(quantity)
        lines = {_called(layers[i]): values[i, thin].tolist() for i in shown}
        panels.append(Panel(title, "step", monitor.steps[thin], lines, log=quantity not in SHARES,
                            percent=quantity in SHARES, values=False))
    return panels_svg(panels, path, across=3)


def heatmap(monitor: Monitor, quantity: str, path: str | os.PathLike[str] | None = None) -> str:
    """A quantity by layer and step."""
    _check(monitor)
    share, layers = quantity in SHARES, [_called(layer) for layer in monitor.layers]
    return heat_svg(_title(quantity), layers, monitor.steps, monitor.values(quantity), log=not share, percent=share,
                    path=path)


def page(monitor: Monitor) -> str:
    """All of it as a page that needs nothing else."""
    return whole_page("Monitor", fragment(monitor))


def fragment(monitor: Monitor) -> str:
    """Findings, curves, heat maps and the latest numbers."""
    if not monitor.steps:
        return styled(items([f"Nothing was recorded: of {monitor.step} steps none brought a gradient to a layer."]))
    found = monitor.findings() or ["Nothing lies beyond the limits of findings()."]
    parts = [paragraph(f"{len(monitor.steps)} of {monitor.step} steps recorded, {len(monitor.layers)} layers."),
             "<h2>Findings</h2>", items(found), "<h2>Curves</h2>", scrolled(curves(monitor)), "<h2>Heat maps</h2>"]
    parts += [scrolled(heatmap(monitor, quantity)) for quantity in _recorded(monitor)]
    head = ["", *(_title(quantity) for quantity in _recorded(monitor))]
    rows = [[_called(layer), *(_number(quantity, monitor.values(quantity)[i, -1]) for quantity in _recorded(monitor))]
            for i, layer in enumerate(monitor.layers)]
    return styled(*parts, f"<h2>Step {monitor.steps[-1]}</h2>", table(head, rows))


def _recorded(monitor: Monitor) -> dict[str, str]:
    """The quantities of which there is a number other than 0, and their titles."""
    return {name: _title(name) for name in QUANTITIES if np.nan_to_num(monitor.values(name)).any()}


def _title(quantity: str) -> str:
    title = QUANTITIES[quantity]
    return title[:1].upper() + title[1:]


def _called(layer: str) -> str:
    """A layer of a Sequential has a number for a name."""
    return f"layer {layer}" if layer.isdigit() else layer


def _number(quantity: str, value: float) -> str:
    return "–" if np.isnan(value) else f"{100 * value:.3g} %" if quantity in SHARES else f"{value:.2e}"


def _check(monitor: Monitor) -> None:
    if not monitor.steps:
        raise ValueError("Monitor: nothing was recorded yet; train a step, with the model in training mode")
