"""Checkpoints: give up the intermediate values of a part of the computation, and compute them anew in backward."""

from __future__ import annotations

import contextlib
import operator
import weakref
from collections.abc import Callable
from typing import Any

from .. import graph
from ..autograd import engine
from ..func.tree import leaves
from ..graph import Node
from ..random import default_generator
from ..recording import enable_grad, is_capturing, is_grad_enabled
from ..tensor import Tensor, describe

__all__ = ["checkpoint", "checkpoint_sequential"]


def checkpoint(function: Callable, *args: Any, use_reentrant: bool | None = None, context_fn: Callable | None = None,
               determinism_check: str = "default", debug: bool = False, preserve_rng_state: bool = True,
               **kwargs: Any) -> Any:
    """function(*args, **kwargs), of which only the arguments are kept: backward calls it once more.

    Time for memory: a second forward for what would else be held from forward to backward. function must compute the
    same both times; gradients reach its tensor arguments, those within lists, tuples and dicts, too, and whatever
    else it reads that requires grad, such as parameters.

    preserve_rng_state: the default generator stands, in the second run, where it stood in the first, as dropout needs.
    context_fn: gives two contexts, for the first run and for the second.
    use_reentrant, determinism_check, debug: accepted; there is one implementation, and it behaves as PyTorch's with
        use_reentrant=False. That the second run's outputs fit the first's is always checked.
    """
    if determinism_check not in ("default", "none"):
        raise ValueError(f"checkpoint(): determinism_check is 'default' or 'none', got {determinism_check!r}")
    first, second = context_fn() if context_fn else (contextlib.nullcontext(), contextlib.nullcontext())
    if not is_grad_enabled() or is_capturing():  # a program plans its memory itself
        with first:
            return function(*args, **kwargs)
    run = _Run(function, args, kwargs, second, preserve_rng_state)
    with first:
        return run.start()


def checkpoint_sequential(functions: Any, segments: int, input: Any, use_reentrant: bool | None = None,
                          preserve_rng_state: bool = True) -> Any:
    """A chain of functions, or an nn.Sequential, in so many checkpointed segments; the last one is kept as usual."""
    steps = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if not 1 <= segments <= len(steps):
        raise ValueError(f"checkpoint_sequential(): {segments} segments of {len(steps)} functions")
    size = len(steps) // segments

    def chain(start: int, end: int) -> Callable:
        def run(x: Any) -> Any:
            for step in steps[start:end]:
                x = step(x)
            return x

        return run

    last = size * (segments - 1)
    for start in range(0, last, size):
        input = checkpoint(chain(start, start + size), input, use_reentrant=use_reentrant,
                           preserve_rng_state=preserve_rng_state)
    return chain(last, len(steps))(input)


class _Run:
    """One checkpointed call: its recorded nodes have given up what they saved, and get it back from a second run."""

    def __init__(self, function: Callable, args: tuple, kwargs: dict, context: Any, preserve_rng_state: bool) -> None:
        self.function, self.args, self.kwargs, self.context = function, args, kwargs, context
        self.given = [x for x in leaves((args, kwargs)) if isinstance(x, Tensor)]
        self.versions = [x._version for x in self.given]
        self.random = default_generator.get_state() if preserve_rng_state else None
        self.nodes: list[weakref.ref[Node]] = []  # in order; the nodes do not belong to the run, but the run to them

    def start(self) -> Any:
        began = graph.clock()
        result = self.function(*self.args, **self.kwargs)
        made = _recorded_since(began, result)
        self.nodes += map(weakref.ref, made)
        engine.recomputers.update(dict.fromkeys(made, self))
        graph.release(made)
        return result

    def restore(self) -> None:
        """Run once more and hand each node what it had saved."""
        for x, version in zip(self.given, self.versions):
            if x._version != version:
                raise RuntimeError(f"checkpoint(): the argument {describe(x)} has been modified in place since "
                                   "forward, and cannot be computed from once more; clone() it before writing to it")
        began, now = graph.clock(), default_generator.get_state()
        try:
            if self.random is not None:
                default_generator.set_state(self.random)
            with enable_grad(), self.context:
                result = self.function(*self.args, **self.kwargs)
        finally:
            default_generator.set_state(now)
        self._hand_over(_recorded_since(began, result))

    def _hand_over(self, anew: list[Node]) -> None:
        if len(anew) != len(self.nodes):
            raise RuntimeError(f"checkpoint(): the function recorded {len(self.nodes)} operations in forward and "
                               f"{len(anew)} when it was run again: it must do the same both times")
        for reference, new in zip(self.nodes, anew):
            node = reference()
            if node is None:
                continue
            if _form(node) != _form(new):
                raise RuntimeError(f"checkpoint(): {_form(node)} in forward is {_form(new)} when the function is run "
                                   "again: it must do the same both times")
            node.args, node.output, node.kept, node.params = new.args, new.output, new.kept, new.params
            node.inputs = [x if i in node.needs else x_new for i, (x, x_new) in enumerate(zip(node.inputs, new.inputs))]
            engine.recomputed_at[node] = new.time
            inner = engine.recomputers.pop(new, None)
            if inner is None:
                engine.recomputers.pop(node, None)
            else:  # a checkpoint in the function: it gives up its part once more
                engine.recomputers[node] = inner
                inner.nodes = [weakref.ref(node) if r() is new else r for r in inner.nodes]


def _recorded_since(time: int, result: Any) -> list[Node]:
    """The nodes that led to the tensors in result and are younger, in order."""
    stack = [x.grad_fn for x in leaves(result) if isinstance(x, Tensor)]
    seen = set()
    while stack:
        node = stack.pop()
        if type(node) is Node and node.time > time and node not in seen:
            seen.add(node)
            stack.extend(node.inputs)
    return sorted(seen, key=operator.attrgetter("time"))


def _form(node: Node) -> str:
    outputs = node.output if isinstance(node.output, tuple) else (node.output,)
    return " ".join([node.op.name, *(f"{tuple(y.shape)} {y.dtype}" for y in outputs if hasattr(y, "dtype"))])
