"""Modes for finding errors: `detect_anomaly` looks for nan in backward, `debug_mode` for values that changed.

Both make every operation remember the line of the program that called it. They cost time, and nothing when they are
off: they replace the functions that record operations and walk back, in place of being asked there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import graph
from ..graph import Node, Parts, walk
from ..tensor import Tensor, describe
from . import engine, sources
from .nonfinite import first_nonfinite

_anomaly = _debug = False
_check_nan = True
_walk_plainly = engine.vjp


def _switch(anomaly: bool, check_nan: bool, debug: bool) -> None:
    global _anomaly, _check_nan, _debug
    _anomaly, _check_nan, _debug = bool(anomaly), bool(check_nan), bool(debug)
    on = _anomaly or _debug
    sources.keeps_lines, sources.keeps_checksums = on, _debug
    for module, name, value in [
        (graph, "record", sources.recording if on else sources.record_plainly),
        (graph, "on_write", sources.note_write if on else None),
        (engine, "vjp", _watched_walk if on else _walk_plainly),
    ]:
        setattr(module, name, value)


class set_detect_anomaly:
    """Switch anomaly detection on or off, at once, and for the length of a `with` block if used as one."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = _anomaly, _check_nan
        _switch(mode, check_nan, _debug)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        _switch(*self._before, _debug)


class detect_anomaly(set_detect_anomaly):
    """A context in which a gradient that is nan is an error, which names the operation and the line that called it.

    It also tells the first value that is not finite in the order of forward, and the first gradient in the order of
    backward. Operations recorded before have no line to tell. For all threads; slow: for looking into a run gone bad.

    check_nan: False only adds the line of the operation to whatever error occurs in backward.
    """

    def __init__(self, check_nan: bool = True) -> None:
        self._check_nan = check_nan

    def __enter__(self) -> None:
        self._before = _anomaly, _check_nan
        _switch(True, self._check_nan, _debug)


class set_debug_mode:
    """Switch debug mode on or off, at once, and for the length of a `with` block if used as one."""

    def __init__(self, mode: bool) -> None:
        self._before = _debug
        _switch(_anomaly, _check_nan, mode)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        _switch(_anomaly, _check_nan, self._before)


class debug_mode(set_debug_mode):
    """A context in which operations keep the line that called them and a checksum of what they save.

    An error about a saved value that was written in place names both lines, the one that saved it and the one that
    wrote; and a value that changed behind the package's back, as an array does that was given to `from_numpy`, is an
    error in backward. For all threads; slow.
    """

    def __init__(self) -> None:
        pass

    def __enter__(self) -> None:
        self._before = _debug
        _switch(_anomaly, _check_nan, True)


def is_anomaly_enabled() -> bool:
    """Whether anomaly detection is on."""
    return _anomaly


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly detection, where it is on, looks for nan."""
    return _check_nan


# --- the walk under observation --------------------------------------------------------------------------------------


def _watched_walk(roots: list[Tensor], seeds: list, targets: set | None, create_graph: bool, retain: bool) -> dict:
    """`engine.vjp`, in which each operation is represented by one that is watched."""
    watch = _Watch(roots)
    nodes = walk(*roots)
    for node in nodes:
        node.op = _Watched(node, watch)  # type: ignore[assignment]
    try:
        found = _walk_plainly(roots, seeds, targets, create_graph, retain)
        for x, g in found.items():
            of = describe(x) if isinstance(x, Tensor) else f"the result of {x.op.name}"
            watch.look(g, f"the sum of the gradients that reach {of}", x if isinstance(x, Node) else None)
        return found
    except Exception as error:
        if watch.at is not None:
            error.add_note(f"In the gradient of {watch.at.computed.op.name}, {_line(watch.at)}.")
        raise
    finally:
        for node in nodes:
            node.op = node.op.plain  # type: ignore[attr-defined]


class _Watch:
    """What one walk back has seen."""

    def __init__(self, roots: list[Tensor]) -> None:
        self.roots = roots
        self.at: Node | None = None  # whose rule is running
        self.first: str | None = None  # the first gradient that was not finite

    def before(self, node: Node, g: Any) -> None:
        """A rule is about to be given g, which may be the sum of several gradients."""
        self.look(g, f"the sum of the gradients that reach the result of {node.op.name}", node)
        i = sources.changed(node) if _debug and node not in engine.recomputed_at else None
        if i is not None:
            value = [node.output, *node.args][i]
            x = node.inputs[i - 1] if i else None
            name = f"'{x.name}' " if isinstance(x, Tensor) and x.name else ""
            raise RuntimeError(
                f"{node.op.name}: its {f'argument {i - 1}' if i else 'output'} {name}{describe(value)} was needed for "
                f"the gradient but has changed since it was saved, {_line(node)}, and not by an operation on tensors: "
                "the NumPy array behind it was written to, as one given to from_numpy() can be; give a copy"
            )
        self.at = node

    def after(self, node: Node, i: int, gradient: Any) -> None:
        """A rule has given the gradient of argument i."""
        self.at = None
        self.look(gradient, f"{node.name()} gave the gradient of argument {i} of {node.op.name}", node)

    def look(self, gradient: Any, what: str, node: Node | None) -> None:
        """An error if a gradient holds nan."""
        array = gradient._data if isinstance(gradient, Tensor) else gradient
        if not (_anomaly and _check_nan) or isinstance(array, Parts) or array is None or np.isfinite(array).all():
            return
        told = f"{what}, shape {np.shape(array)}: {_counted(array)}" + (f" ({_line(node)})" if node else "")
        self.first = self.first or told
        if np.isnan(array).any():
            raise RuntimeError(f"anomaly detected: {told}.\n"
                               f"The first value that is not finite in the order of forward: {self.forward()}.\n"
                               f"The first gradient that is not finite in the order of backward: {self.first}.")

    def forward(self) -> str:
        for root in self.roots:
            try:
                found = first_nonfinite(root)
            except RuntimeError:
                return "not known, as backward has freed a part of the graph"
            if found is not None:
                return f"{found} ({_line(found.node)})" if found.node is not None else str(found)
        return "none, all are finite"


class _Watched:
    """An operation in a watched walk: itself, but for its rules."""

    def __init__(self, node: Node, watch: _Watch) -> None:
        self.plain, self.node, self.watch = node.op, node, watch
        joint = self.plain.joint
        self.joint = None if joint is None else self._jointly
        self.rules = [self._rule(i, rule) for i, rule in enumerate(self.plain.rules)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    def _jointly(self, needs: tuple, g: Any, y: Any, *args: Any, **params: Any) -> Any:
        self.watch.before(self.node, g)
        gradients = self.plain.joint(needs, g, y, *args, **params)
        for i in needs:
            self.watch.after(self.node, i, gradients[i])
        return gradients

    def _rule(self, i: int, rule: Any) -> Any:
        def watched(g: Any, y: Any, *args: Any, **params: Any) -> Any:
            self.watch.before(self.node, g)
            gradient = rule(g, y, *args, **params)
            self.watch.after(self.node, i, gradient)
            return gradient

        return watched


def _counted(array: Any) -> str:
    counts = {"nan": np.isnan(array).sum(), "infinite": np.isinf(array).sum()}
    return " and ".join(f"{n} {kind}" for kind, n in counts.items() if n) + f" of {np.size(array)}"


def _line(node: Node) -> str:
    source = sources.recorded_in.get(node.computed)
    return "recorded before the mode was on, so that its line is not known" if source is None else f"called in {source}"
