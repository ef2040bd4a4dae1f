"""Hooks on gradients in a walk that only reads: they run, for one may replace a gradient, but no `.grad` is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from ..autograd.engine import Keeper
from ..graph import Node


def replacing(hooks: Iterable[Callable]) -> list[Callable]:
    """The hooks without that of `retain_grad`, which would write a `.grad` and replaces nothing."""
    return [hook for hook in hooks if not isinstance(hook, Keeper)]


@contextmanager
def nothing_kept(nodes: Iterable[Node]) -> Iterator[None]:
    """A walk over these nodes writes no `.grad`; afterwards their hooks are what they were."""
    hooked = [(node, node.hooks) for node in nodes if node.hooks]
    try:
        for node, hooks in hooked:
            node.hooks = replacing(hooks)
        yield
    finally:
        for node, hooks in hooked:
            node.hooks = hooks


__all__ = ["nothing_kept", "replacing"]
