"""Findings: what a monitor recorded, in plain words that cite the equation, the numbers and the limit."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .monitor import Monitor


def findings(monitor: Monitor, *, last: int = 10, saturated: float = 0.75, small_inputs: float = 0.9,
             dead: float = 0.25, shrinks: float = 100.0, grows: float = 100.0, least_update: float = 1e-6,
             largest_update: float = 0.1) -> list[str]:
    """One sentence for each thing that lies beyond a limit in the latest `last` records, by their median.

    saturated, small_inputs, dead: shares of the neurons, inputs and units of a layer, above which they are told; a unit
        must have been dead in every one of the records.
    shrinks, grows: by how much the error may do so from the last layer back to the first.
    least_update, largest_update: of the weights of a layer, relatively.

    No limit is a law: each is named in the sentence, and what to make of it is for the reader to say.
    """
    if not monitor.steps:
        return []
    view = _View(monitor, last)
    lines = [*_not_finite(view), *_error(view, shrinks, grows)]
    for layer in monitor.layers:
        lines += [*_slopes(view, layer, saturated), *_dead(view, layer, dead), *_inputs(view, layer, small_inputs),
                  *_updates(view, layer, least_update, largest_update)]
    return lines


class _View:
    """The latest records of a monitor, by their medians."""

    def __init__(self, monitor: Monitor, last: int) -> None:
        if last < 1:
            raise ValueError(f"findings(): last must be at least 1, got {last}")
        self.monitor, self.last = monitor, last
        self.when = _when(monitor.steps[-last:])

    def median(self, quantity: str) -> dict[str, float]:
        """By layer; nan where there is no record."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of rows without a number
            medians = np.nanmedian(self.monitor.values(quantity)[:, -self.last:], axis=1)
        return dict(zip(self.monitor.layers, map(float, medians)))

    def errors(self) -> list[tuple[str, float]]:
        """The layers whose error is known, and it."""
        return [(layer, error) for layer, error in self.median("error").items() if np.isfinite(error)]


def _not_finite(view: _View) -> Iterator[str]:
    m = view.monitor
    for quantity, what in (("error", "error ∂C/∂z"), ("gradient", "gradient ∂C/∂w")):
        infinite = np.isinf(m.values(quantity)) | (np.isnan(m.values(quantity)) & ~np.isnan(m.values("small_inputs")))
        bad = np.argwhere(infinite[:, -view.last:].T)
        if len(bad):
            step, layer = bad[0]
            yield (f"layer {m.layers[layer]}: no finite {what} at step {m.steps[-view.last:][step]}; by BP2 it spoils "
                   "every layer below, by BP3 and BP4 their gradients.")
            return


def _error(view: _View, shrinks: float, grows: float) -> Iterator[str]:
    errors = view.errors()
    if len(errors) < 2:
        return
    (first, low), (final, high) = errors[0], errors[-1]
    way = f"from layer {final} ({high:.1e}) back to layer {first} ({low:.1e}) the error becomes"
    each = 1 / (len(errors) - 1)
    if high > shrinks * low:
        how = f"{_times(high / low)} smaller, {(high / low) ** each:.2g}× with each layer" if low else "0"
        yield (f"{way} {how}; by BP2 each layer multiplies it by wᵀ and σ'(z), and by BP4 the gradients of the first "
               f"layers shrink with it ({view.when}; told above {_times(shrinks)}).")
    elif low > grows * high:
        how = f"{_times(low / high)} larger, {(low / high) ** each:.2g}× with each layer" if high else "larger than 0"
        yield (f"{way} {how}; by BP2 each layer multiplies it by wᵀ and σ'(z), and by BP4 the gradients of the first "
               f"layers grow with it ({view.when}; told above {_times(grows)}).")


def _slopes(view: _View, layer: str, limit: float) -> Iterator[str]:
    share = view.median("saturated")[layer]
    if not share > limit:
        return
    passed = view.median("passed")[layer]
    last = layer == view.monitor.layers[-1]
    effect = f"by {'BP1' if last else 'BP2'} σ'(z) is a factor of its error"
    if 0 < passed < 1:
        effect += f", which shrinks {_times(1 / passed)} there"
    yield (f"layer {layer}: {_percent(share)} of the neurons have |σ'(z)| < {view.monitor.slope:g}; {effect} "
           f"({view.when}; told above {_percent(limit)}).")


def _dead(view: _View, layer: str, limit: float) -> Iterator[str]:
    share = view.monitor.always_dead(layer, view.last)
    if share > limit:
        yield (f"layer {layer}: {_percent(share)} of the units have σ'(z) = 0 for every example; by BP2 their error is "
               f"0, by BP3 and BP4 their weights and biases do not learn ({view.when}; told above {_percent(limit)}).")


def _inputs(view: _View, layer: str, limit: float) -> Iterator[str]:
    share = view.median("small_inputs")[layer]
    if share > limit:
        yield (f"layer {layer}: {_percent(share)} of the inputs lie within {view.monitor.near_zero:g} of 0; by BP4 "
               f"the input is a factor of ∂C/∂w, so w learns slowly ({view.when}; told above {_percent(limit)}).")


def _updates(view: _View, layer: str, least: float, largest: float) -> Iterator[str]:
    update = view.median("update")[layer]
    if update < least:
        yield (f"layer {layer}: an update changes the weights by {update:.1e} of their norm, the gradient being "
               f"{view.median('gradient')[layer]:.1e} (BP4) ({view.when}; told below {least:g}).")
    elif update > largest:
        yield (f"layer {layer}: an update changes the weights by {_percent(update)} of their norm, the gradient being "
               f"{view.median('gradient')[layer]:.1e} (BP4) ({view.when}; told above {_percent(largest)}).")


def _times(factor: float) -> str:
    return f"{factor:,.0f}×" if 10 <= factor < 1e7 else f"{factor:.2g}×"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _when(steps: list[int]) -> str:
    return f"at step {steps[0]}" if len(steps) == 1 else f"in {len(steps)} records, steps {steps[0]} to {steps[-1]}"
