"""Derivatives of functions, as PyTorch's `autograd.functional` gives them: func takes Tensors, and they come beside it.

In all of them `inputs` is a Tensor or a tuple of Tensors and the results are built alike; func returns a Tensor or a
tuple. What is not reached has zeros for a derivative, or with `strict` is an error. With `create_graph` the results can
be differentiated again. Forward mode is reverse mode twice: u ↦ Jᵀu is linear, and its own transpose is v ↦ Jv.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..ops import stack
from ..recording import enable_grad
from ..tensor import Tensor
from .engine import grad

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def vjp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """(func(*inputs), vᵀJ). v has the form of the output; it may be left out where that has one element."""
    with enable_grad():
        many, xs, several, ys = _called(func, inputs, "vjp", create_graph, strict)
        weights = _vector(v, ys, several, "vjp", "output of the function")
        grads = pull(ys, xs, weights, create_graph)
        result = _filled(grads, xs, strict, create_graph, "the output of the function")
    return _finished(ys, several, create_graph), _finished(result, many, create_graph)


def jvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """(func(*inputs), Jv). v has the form of the inputs; it may be left out where they have one element."""
    with enable_grad():
        many, xs, several, ys = _called(func, inputs, "jvp", create_graph, strict)
        tangents = _vector(v, xs, many, "jvp", "input")
        if strict:
            _filled(pull(ys, xs, [_ones(y) for y in ys], retain=True), xs, True, False, "the output of the function")
        result = pusher(ys, xs)(tangents, create_graph)
        if strict and create_graph:
            _require_recorded(result, "the product J v, entry {},")
    return _finished(ys, several, create_graph), _finished(result, several, create_graph)


def vhp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """(func(*inputs), vᵀH) of a func that returns one element. v has the form of the inputs."""
    return _second(func, inputs, v, create_graph, strict, "vhp")


def hvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """(func(*inputs), Hv). H is symmetric, so it is vᵀH, which takes one backward less."""
    return _second(func, inputs, v, create_graph, strict, "hvp")


def _second(func, inputs, v, create_graph, strict, caller):
    with enable_grad():
        many, xs, several, ys = _called(func, inputs, caller, create_graph, strict)
        _require_one_element(ys, several, caller)
        tangents = _vector(v, xs, many, caller, "input")
        first = _filled(pull(ys, xs, create_graph=True), xs, strict, False, "the output of the function")
        if strict:
            _require_recorded(first, "the jacobian by input {}")
        result = _filled(pull(first, xs, tangents, create_graph), xs, strict, create_graph, "the jacobian")
    return _finished(ys, several, create_graph), _finished(result, many, create_graph)


def jacobian(func: Callable, inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
             strategy: str = "reverse-mode") -> Any:
    """For each output and each input the derivatives, of shape output.shape + input.shape.

    One Tensor for one output and one input; a tuple over the outputs, or the inputs, where they come as a tuple; of
    tuples where both do.

    vectorize: accepted; it changes nothing here.
    strategy: "reverse-mode", a backward per element of the outputs, or "forward-mode", one per element of the inputs.
    """
    _check_strategy(create_graph, strict, vectorize, strategy, "jacobian")
    with enable_grad():
        many, xs, several, ys = _called(func, inputs, "jacobian", create_graph, strict)
        if strategy == "forward-mode":
            rows = by_columns(ys, xs, create_graph)
        else:
            rows = tuple(_rows(k, y, xs, create_graph, strict) for k, y in enumerate(ys))
    blocks = tuple(_finished(row, many, create_graph) for row in rows)
    return blocks if several else blocks[0]


def hessian(func: Callable, inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
            outer_jacobian_strategy: str = "reverse-mode") -> Any:
    """The second derivatives of a func that returns one element, of shape input.shape + input.shape, for each pair of
    inputs: the jacobian of the jacobian. The options are those of `jacobian`."""
    _check_strategy(create_graph, strict, vectorize, outer_jacobian_strategy, "hessian")
    many, _ = _as_tuple(inputs, "inputs", "hessian")

    def first(*xs: Tensor) -> Any:
        several, ys = _as_tuple(func(*xs), "outputs of the function", "hessian")
        _require_one_element(ys, several, "hessian")
        if strict:
            _require_recorded(ys, "output {} of the function")
        grads = _filled(pull(ys, xs, create_graph=True), xs, strict, False, "the output of the function")
        if strict:
            _require_recorded(grads, "the jacobian by input {}")
        return grads if many else grads[0]

    return jacobian(first, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)


# --- products and blocks, which `microgradnet.func` uses, too -------------------------------------------------------


def pull(ys: Sequence[Tensor], xs: Sequence[Tensor], weights: Sequence[Tensor] | None = None,
         create_graph: bool = False, retain: bool | None = None) -> tuple[Tensor | None, ...]:
    """The gradients of the weighted sum of ys by xs; None where nothing was recorded between them."""
    live = [k for k, y in enumerate(ys) if y.requires_grad]
    if not live:
        return (None,) * len(xs)
    chosen = None if weights is None else [weights[k] for k in live]
    return grad([ys[k] for k in live], xs, chosen, retain, create_graph, allow_unused=True)


def pusher(ys: Sequence[Tensor], xs: Sequence[Tensor]) -> Callable:
    """The function from tangents of xs to those of ys: v ↦ Jv, as the transpose of u ↦ Jᵀu. It may be called often."""
    with enable_grad():
        dummies = [_ones(y).requires_grad_() for y in ys]
        grads = pull(ys, xs, dummies, create_graph=True)
        met = {i: g for i, g in enumerate(grads) if g is not None and g.requires_grad}

    def push(tangents: Sequence[Tensor], create_graph: bool = False) -> tuple[Tensor, ...]:
        pushed = pull(list(met.values()), dummies, [tangents[i] for i in met], create_graph, True)
        return tuple(_zeros(y) if t is None else t for y, t in zip(ys, pushed))

    return push


def by_columns(ys: Sequence[Tensor], xs: Sequence[Tensor], create_graph: bool = False) -> tuple:
    """The blocks of the jacobian, for each y those by every x; a backward per element of xs."""
    push, nothing = pusher(ys, xs), [_zeros(x) for x in xs]
    blocks: list[list[Tensor]] = [[] for _ in ys]
    for i, x in enumerate(xs):
        columns = [push([*nothing[:i], unit, *nothing[i + 1 :]], create_graph) for unit in units(x)]
        for k, y in enumerate(ys):
            column = [c[k] for c in columns]
            shape = (*y.shape, *x.shape)
            blocks[k].append(stack(column, dim=-1).reshape(shape) if columns else _zeros(y, shape))
    return tuple(tuple(row) for row in blocks)


def units(x: Tensor) -> Iterator[Tensor]:
    """The unit vectors of x's space."""
    for place in range(x.numel()):
        unit = np.zeros(x.shape, x.dtype)
        unit.reshape(-1)[place] = 1
        yield Tensor(unit)


def _rows(k: int, y: Tensor, xs: Sequence[Tensor], create_graph: bool, strict: bool) -> tuple[Tensor, ...]:
    of = f"output {k} of the function"
    rows = [_filled(pull([y], xs, [u], create_graph, True), xs, strict, create_graph, of) for u in units(y)]
    return blocks_of(rows, y, xs)


def blocks_of(rows: list, y: Tensor, xs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The gradients of each element of y, put together to a block for each x."""
    shapes = [(*y.shape, *x.shape) for x in xs]
    if not rows:
        return tuple(_zeros(y, shape) for shape in shapes)
    return tuple(stack(column).reshape(shape) for column, shape in zip(zip(*rows), shapes))


def _ones(y: Tensor) -> Tensor:
    return Tensor(np.ones(y.shape, y.dtype))


def _zeros(y: Tensor, shape: Any = None) -> Tensor:
    return Tensor(np.zeros(y.shape if shape is None else shape, y.dtype))


# --- what goes in and comes out -------------------------------------------------------------------------------------


def _called(func, inputs, caller, create_graph, strict):
    """(whether inputs is a tuple, inputs in which the derivatives are taken, the same of the outputs of func)."""
    many, given = _as_tuple(inputs, "inputs", caller)
    # Tracked ones stay in the outer graph, but are seen through a handle of their own: they may come in twice.
    xs = tuple(x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_() for x in given)
    several, ys = _as_tuple(func(*xs), "outputs of the function", caller)
    if strict:
        _require_recorded(ys, "output {} of the function")
    return many, xs, several, ys


def _as_tuple(value: Any, what: str, caller: str) -> tuple[bool, tuple]:
    values = value if isinstance(value, tuple) else (value,)
    for x in values:
        if not isinstance(x, Tensor):
            raise TypeError(f"{caller}(): the {what} must be a Tensor or a tuple of Tensors, got {type(x).__name__}")
    return isinstance(value, tuple), values


def _vector(v: Any, like: tuple, several: bool, caller: str, what: str) -> tuple:
    """v, checked against what it goes with; ones where it may be left out."""
    if v is None:
        if len(like) > 1 or like[0].numel() != 1:
            raise RuntimeError(f"{caller}(): v can be left out only where there is one {what}, of one element")
        return (_ones(like[0]),)
    _, vs = _as_tuple(v, "vector v", caller)
    if len(vs) != len(like):
        raise RuntimeError(f"{caller}(): v has {len(vs)} entries for {len(like)} {what}{'s' * (len(like) > 1)}")
    for i, (entry, x) in enumerate(zip(vs, like)):
        if entry.shape != x.shape:
            which = f"entry {i} of v" if several else "v"
            raise RuntimeError(f"{caller}(): {which} has shape {tuple(entry.shape)}, its {what} {tuple(x.shape)}")
    return vs


def _require_one_element(ys: tuple, several: bool, caller: str) -> None:
    if several or ys[0].numel() != 1:
        got = f"a tuple of {len(ys)}" if several else f"shape {tuple(ys[0].shape)}"
        raise RuntimeError(f"{caller}(): the function must return a single Tensor of one element, got {got}")


def _require_recorded(tensors: tuple, what: str) -> None:
    for i, t in enumerate(tensors):
        if not t.requires_grad:
            raise RuntimeError(f"strict: {what.format(i)} does not depend on the inputs in a recorded way")


def _filled(grads: tuple, xs: Sequence[Tensor], strict: bool, create_graph: bool, of: str) -> tuple:
    """Zeros in place of None; when strict, an error."""
    for i, g in enumerate(grads) if strict else ():
        if g is None:
            raise RuntimeError(f"strict: {of} does not depend on input {i}")
        if create_graph and not g.requires_grad:
            raise RuntimeError(f"strict: the derivative of {of} by input {i} does not depend on the inputs, and with "
                               "create_graph it should")
    return tuple(_zeros(x) if g is None else g for g, x in zip(grads, xs))


def _finished(tensors: tuple, several: bool, create_graph: bool) -> Any:
    tensors = tensors if create_graph else tuple(t.detach() for t in tensors)
    return tensors if several else tensors[0]


def _check_strategy(create_graph: bool, strict: bool, vectorize: bool, strategy: str, caller: str) -> None:
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(f"{caller}(): the strategy is 'forward-mode' or 'reverse-mode', not {strategy!r}")
    if strict and vectorize:
        raise RuntimeError(f"{caller}(): strict and vectorize are not supported together")
    if strategy == "forward-mode" and create_graph and caller == "jacobian":
        raise NotImplementedError(f"{caller}(): create_graph needs strategy='reverse-mode'")
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError(f"{caller}(): strategy 'forward-mode' needs vectorize=True")
