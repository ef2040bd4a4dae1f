"""Monitor: what a training does to the errors, gradients and neurons of each layer, step by step.

It watches one step in `every`, by hooks that are there for that step only, so that the others cost next to nothing.
"""

from __future__ import annotations

import math
import os
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from ..nn import normalization
from ..nn.module import Module
from ..nn.parameter import PARAMETER
from ..optim.optimizer import Optimizer
from ..recording import is_grad_enabled
from ..tensor import Tensor
from .slopes import slope

# What is recorded of each layer, and what it is.
QUANTITIES = {
    "error": "norm of the error ∂C/∂z",
    "gradient": "norm of the gradient ∂C/∂w",
    "passed": "what σ'(z) leaves of the error",
    "update": "norm of an update of w over the norm of w",
    "saturated": "neurons with a small |σ'(z)|",
    "small_inputs": "inputs near 0",
    "dead": "units with σ'(z) = 0 for the whole batch",
}
SHARES = "saturated", "small_inputs", "dead"
REMEMBERED = 20  # records for which it is known which units were dead


class Monitor:
    """Watches the training of a model, from now until `remove()`.

    model: its layers are the modules with a `weight` of two dimensions or more whose output is one Tensor.
    optimizer: whose steps are counted, and whose updates are measured; without one, the passes forward in training
        mode are counted, by a hook that takes some microseconds in each.
    every: watch one step in so many, the first of all first. A watched step takes up to five times as long as another,
        so that one in 100 adds less than 5 %.
    slope: a neuron is counted as saturated where |σ'(z)| is below it, for each example.
    near_zero: an input is counted as near 0 where its absolute value is below it.

    A layer's error is ∂C/∂z as autodiff sees it: where C is the mean over a batch, 1/m of the book's δ of each example.
    What σ'(z) leaves of it is the norm of ∂C/∂z over that of ∂C/∂a. Where a step takes several passes, the last counts.
    """

    def __init__(self, model: Module, optimizer: Optimizer | None = None, *, every: int = 100, slope: float = 0.01,
                 near_zero: float = 0.01) -> None:
        if not isinstance(model, Module):
            raise TypeError(f"Monitor: the model must be an nn.Module, got {type(model).__name__}")
        if every < 1:
            raise ValueError(f"Monitor: every must be at least 1, got {every}")
        self.model, self.optimizer, self.every, self.slope, self.near_zero = model, optimizer, every, slope, near_zero
        self.step = 0  # how many were done since
        self.steps: list[int] = []  # the recorded ones, from 0
        self._values: dict[str, dict[str, list[float]]] = {}  # layer -> quantity -> a number for each of them
        self._dead: dict[str, deque[np.ndarray]] = {}
        self._weights: dict[str, np.ndarray] = {}  # before an update
        self._watch: Watch | None = None
        self._handles: list[Any] = []
        self._due: list[Any] = []  # hooks that are there while a step is to be watched
        if optimizer is not None:
            try:
                self._handles.append(optimizer.register_step_post_hook(self._after_update))
            except RuntimeError as error:
                raise RuntimeError(f"Monitor: {error}; leave the optimizer out, and passes are counted") from error
        self._await()

    def remove(self) -> None:
        """Watch no more; what was recorded stays."""
        self._end_watch()
        for handle in (*self._handles, *self._due):
            handle.remove()
        self._handles, self._due = [], []

    def __deepcopy__(self, memo: dict) -> Monitor:  # of a model that is watched: its copy is not
        return self

    # --- what was recorded ------------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[str]:
        """The layers that were seen, in the order in which they compute."""
        return list(self._values)

    def values(self, quantity: str) -> np.ndarray:
        """The record of a quantity, (layers, steps); nan where there was none."""
        if quantity not in QUANTITIES:
            raise ValueError(f"Monitor: there is no quantity {quantity!r}, but {', '.join(QUANTITIES)}")
        rows = [self._values[layer][quantity] for layer in self._values]
        return np.array(rows, float).reshape(len(rows), len(self.steps))

    def findings(self, **limits: Any) -> list[str]:
        """What in the latest records makes a layer learn slowly, in words; see `diagnosis.findings` for the limits."""
        from .findings import findings

        return findings(self, **limits)

    def always_dead(self, layer: str, last: int) -> float:
        """The share of the units of a layer that were dead in every one of the latest records."""
        masks = list(self._dead.get(layer, ()))[-last:]
        return float(np.logical_and.reduce(masks).mean()) if masks else math.nan

    def curves(self, path: str | os.PathLike[str] | None = None) -> str:
        """Every quantity over the steps, a line for each layer, as SVG."""
        from .pictures import curves

        return curves(self, path)

    def heatmap(self, quantity: str = "error", path: str | os.PathLike[str] | None = None) -> str:
        """A quantity by layer and step, as SVG."""
        from .pictures import heatmap

        return heatmap(self, quantity, path)

    def html(self) -> str:
        """Findings, curves and heat maps on one page, which needs nothing else."""
        from .pictures import page

        return page(self)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page as .html, or the curves as .svg; a file that is there is replaced whole or not at all."""
        from ..viz.files import write_atomically

        suffix = Path(path).suffix.lower()
        if suffix not in (".html", ".svg"):
            raise ValueError(f"Monitor.save(): '{path}' must end in .html or .svg, not in '{suffix}'")
        return write_atomically(path, self.html() if suffix == ".html" else self.curves())

    def _repr_html_(self) -> str:
        from .pictures import fragment

        return fragment(self)

    def __repr__(self) -> str:
        return f"<monitor: {len(self.steps)} of {self.step} steps recorded, {len(self.layers)} layers>"

    # --- watching ---------------------------------------------------------------------------------------------------

    def _await(self) -> None:
        """Be called at the next pass forward; where there is an optimizer, only when its next step is to be watched."""
        self._due = [self.model.register_forward_pre_hook(self._before)]
        if self.optimizer is not None:
            self._due.append(self.optimizer.register_step_pre_hook(self._before_update))

    def _before(self, module: Module, args: tuple) -> None:
        """At the beginning of a pass forward."""
        if module is not self.model or not (module.training and is_grad_enabled()):
            return
        if self._watch is not None:
            self._end_watch()
        if self.step % self.every == 0:
            self._watch = Watch(self)
        if self.optimizer is None:
            self.step += 1

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.end()
            self._watch = None

    def _before_update(self, *_: Any) -> None:
        if self._watch is not None and self._watch.record:
            self._weights = {name: weight.array.copy() for name, weight in self._watch.weights.items()}

    def _after_update(self, *_: Any) -> None:
        self.step += 1
        due = self.step % self.every == 0
        if not self._due:
            if due:
                self._await()
            return
        for name, before in self._weights.items():
            assert self._watch is not None
            size, change = norm(before), norm(self._watch.weights[name].array - before)
            self._watch.note(name, "update", change / size if size else math.nan)
        self._weights = {}
        self._end_watch()
        if not due:
            for handle in self._due:
                handle.remove()
            self._due = []

    def _keep(self, step: int) -> None:
        """A place for a record: of this step, unless it has one from an earlier pass."""
        if self.steps and self.steps[-1] == step:
            places = [values for layer in self._values.values() for values in layer.values()]
            for values in places:
                values[-1] = math.nan
            return
        self.steps.append(step)
        for layer in self._values.values():
            for values in layer.values():
                values.append(math.nan)


class Watch:
    """The hooks of one pass, forwards and backwards, and what they note."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor, self.step = monitor, monitor.step
        self.record = False  # whether a gradient came, and there is a place for what is noted
        self.noted: dict[tuple[str, str], float] = {}
        self.dead: dict[str, np.ndarray] = {}
        self.weights: dict[str, Tensor] = {}
        self.z: dict[Any, str] = {}  # the node of z -> its layer
        self.names: dict[Module, str] = {}  # of the layers
        self.called: dict[str, None] = {}  # in this order
        self.normalised: set[Any] = set()  # those of z that are
        self.seen: set[Any] = set()  # activations that were looked at
        self.arriving: dict[str, Any] = {}  # the hook on the activation of each layer
        self.arrived: dict[str, float] = {}  # the norm of ∂C/∂a
        self.passing: list[Any] = []  # hooks until the end of the pass forward
        self.coming: list[Any] = []  # hooks until the gradients are there
        for name, module in monitor.model.named_modules():
            own = module.__dict__
            weight = own.get("weight") if module._registered.get("weight") == PARAMETER else None
            is_layer = weight is not None and weight.ndim > 1
            if is_layer:
                self.names[module] = name or type(module).__name__
            if is_layer or not module._members("module"):
                self.passing.append(module.register_forward_hook(self._after))
        self.passing.append(monitor.model.register_forward_hook(self._after_all))

    def note(self, layer: str, quantity: str, value: float) -> None:
        """Write into the record, or keep for it until a gradient comes."""
        if self.record:
            self._write(layer, quantity, value)
        else:
            self.noted[layer, quantity] = value

    def _write(self, layer: str, quantity: str, value: float) -> None:
        m = self.monitor
        if layer not in m._values:
            m._values[layer] = {name: [math.nan] * len(m.steps) for name in QUANTITIES}
        m._values[layer][quantity][-1] = value

    def end(self) -> None:
        """Take all hooks away."""
        for handle in (*self.passing, *self.coming, *self.arriving.values()):
            handle.remove()
        self.passing, self.coming = [], []
        for weight in self.weights.values():
            weight._hooks = weight._hooks or None

    # --- forwards ---------------------------------------------------------------------------------------------------

    def _after(self, module: Module, args: tuple, output: Any) -> None:
        if not isinstance(output, Tensor) or not args or not isinstance(args[0], Tensor):
            return
        name, x = self.names.get(module), args[0]
        self._look(x)
        if name is not None:
            self._layer(name, module, x, output)
        elif type(module).__module__ == normalization.__name__ and x.node in self.z:
            self.z[output.node] = self.z[x.node]  # what the neuron's activation is given
            self.normalised.add(output.node)
        else:
            self._look(output)

    def _layer(self, name: str, module: Any, x: Tensor, z: Tensor) -> None:
        self.called[name] = None
        if x.dtype.kind == "f" and x.numel():
            self.note(name, "small_inputs", _share(abs(x.array) < self.monitor.near_zero))
        if z.requires_grad and z.node is not None:
            self.z[z.node] = name
            self.coming.append(z.register_hook(lambda g: self._error(name, g)))
        if module.weight.requires_grad and name not in self.weights:
            self.weights[name] = module.weight
            self.coming.append(module.weight.register_hook(lambda g: self._gradient(name, g)))

    def _look(self, a: Tensor) -> None:
        """If this is the activation of a layer, note its slopes."""
        if a.node is None or a.node in self.seen:
            return
        self.seen.add(a.node)
        found = slope(a.node, self.z)
        if found is not None and found[1].size:
            name, small = self.z[found[0]], abs(found[1])
            if found[0] not in self.normalised:
                self._expect(name, a)
            units = 1 if small.ndim > 2 else small.ndim - 1  # channels of an image, else the last axis
            self.dead[name] = np.logical_and.reduce(small == 0, axis=tuple(set(range(small.ndim)) - {units}))
            self.note(name, "saturated", _share(small < self.monitor.slope))
            self.note(name, "dead", _share(self.dead[name]))

    def _expect(self, name: str, a: Tensor) -> None:
        """Have the norm of ∂C/∂a noted; of several candidates the last is the activation as the next layer sees it."""
        if name in self.arriving:
            self.arriving[name].remove()
        self.arriving[name] = a.register_hook(lambda g: self.arrived.update({name: norm(g.array)}))

    def _after_all(self, module: Module, args: tuple, output: Any) -> None:
        if isinstance(output, Tensor):
            self._look(output)
        for handle in self.passing:
            handle.remove()
        self.passing, self.z, self.normalised, self.seen = [], {}, set(), set()

    # --- backwards --------------------------------------------------------------------------------------------------

    def _error(self, name: str, g: Tensor) -> None:
        if not self.record:
            self._begin()
        error, arrived = norm(g.array), self.arrived.get(name)
        self.note(name, "error", error)
        if arrived:
            self.note(name, "passed", error / arrived)

    def _gradient(self, name: str, g: Tensor) -> None:
        if not self.record:
            self._begin()
        self.note(name, "gradient", norm(g.array))

    def _begin(self) -> None:
        """The first gradient: now there is a step to be recorded."""
        self.monitor._keep(self.step)
        self.record = True
        for layer in self.called:
            for quantity in QUANTITIES:
                self._write(layer, quantity, self.noted.get((layer, quantity), math.nan))
        for name, mask in self.dead.items():
            self.monitor._dead.setdefault(name, deque(maxlen=REMEMBERED)).append(mask)


@np.errstate(all="ignore")
def norm(array: np.ndarray) -> float:
    """The Euclidean norm; inf where float64 would have it, and not before."""
    flat = array.ravel()
    square = float(np.dot(flat, flat)) if flat.dtype.itemsize >= 4 else math.nan
    if not 1e-30 < square < 1e30:  # float32 may have over- or underflown
        flat = flat.astype(np.float64)
        square = float(np.dot(flat, flat))
    return math.sqrt(square)


def _share(mask: np.ndarray) -> float:
    return float(np.count_nonzero(mask)) / mask.size
