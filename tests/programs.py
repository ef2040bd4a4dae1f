"""Programs for the tests of the compiler, written by hand or taken from a graph."""

from __future__ import annotations

from typing import Any

import numpy as np

import microgradnet as mg
from microgradnet import graph
from microgradnet.compiler.program import Program, Source, Step, Value
from microgradnet.compiler.updates import update_of


def argument(index: int, array: np.ndarray, name: str = "") -> Value:
    """The n-th argument of a program, like an array."""
    return Value(np.shape(array), np.asarray(array).dtype, name, Source("input", lambda inputs: inputs[index]))


def state(array: np.ndarray, name: str = "") -> Value:
    """What is kept in an array between calls."""
    return Value(array.shape, array.dtype, name, Source("state", lambda: array))


def of_call(op: Any, args: tuple, params: dict) -> tuple[Program, list[np.ndarray]]:
    """(the program of one call, its arguments)"""
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    values = [argument(i, a) for i, a in enumerate(arrays)]
    rest = iter(values)
    taken = tuple(next(rest) if isinstance(a, np.ndarray) else a for a in args)
    with np.errstate(all="ignore"):
        result = op.forward(*args, **params)
    out = tuple(map(like, result)) if isinstance(result, tuple) else like(result)
    return Program([Step(op, taken, params, out)], list(out) if isinstance(out, tuple) else [out]), arrays


def like(array: Any) -> Value:
    """A Value like an array, or like the Spec of one."""
    array = array if hasattr(array, "dtype") else np.asarray(array)
    return Value(array.shape, array.dtype)


def same(one: list, other: list) -> bool:
    """Whether arrays agree bit for bit; nan is nan."""
    return len(one) == len(other) and all(
        np.asarray(a).dtype == np.asarray(b).dtype and np.shape(a) == np.shape(b)
        and np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind in "fc") for a, b in zip(one, other)
    )  # fmt: skip


def of_training(loss_of: Any, params: list, inputs: list, optimizer: Any = None) -> Program:
    """One training step as a program of operations and, where there is an optimizer, its update.

    loss_of: of the inputs, Tensors. params: named Tensors that require gradients. Returns the loss; without an
    optimizer the gradients as well. Everything else that the graph refers to is a constant.
    """
    with mg.recording.capture():
        loss = loss_of(*inputs)
        gradients = mg.autograd.grad(loss, params, create_graph=True)
    values: dict[Any, Value] = {}
    for i, x in enumerate(inputs):
        values[x] = argument(i, x.array, "xy"[i])
    for p, name in zip(params, [p.name or f"p{i}" for i, p in enumerate(params)]):
        values[p] = Value(tuple(p.shape), p.dtype, name, Source("state", lambda p=p: p.array))
    steps = []
    for node in graph.walk(loss, *gradients):
        out = values[node] = like(node.output)
        steps.append(Step(node.op, tuple(_taken(x, values) for x in node.inputs), node.params, out, node.op.view))
    taken = [_taken(t.node or t, values) for t in (loss, *gradients)]
    taken[0].name = "loss"
    if optimizer is None:
        return Program(steps, taken)
    for p, g in zip(params, taken[1:]):
        g.name = g.name or f"d{values[p].name}"
    update = update_of(optimizer, optimizer.param_groups[0],
                       [(p, values[p], g) for p, g in zip(params, taken[1:])])
    return Program(steps + update.steps, taken[:1], update.writes)


def of_gradient(op: Any, sample: Any) -> Program | None:
    """The program of an operation's gradient in a sample's arguments; None where there is none to speak of."""
    args = [mg.tensor(a, requires_grad=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a for a in sample.args]
    wanted = [a for a in args if isinstance(a, mg.Tensor) and a.requires_grad]
    result = op(*args, **sample.params)
    if isinstance(result, tuple) or not result.requires_grad or not result.numel():
        return None
    wanted = [a for a, g in zip(wanted, mg.autograd.grad(result.sum(), wanted, allow_unused=True)) if g is not None]
    return of_training(lambda: (op(*args, **sample.params) * 0.7).sum(), wanted, [])


def _taken(x: Any, values: dict) -> Any:
    if isinstance(x, (graph.Node, mg.Tensor)):
        if x not in values:
            array = x.array
            values[x] = Value(array.shape, array.dtype, source=Source("constant", lambda: array))
        return values[x]
    return x
