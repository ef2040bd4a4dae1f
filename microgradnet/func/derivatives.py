"""Functions that make functions: from f its gradient, its products with vectors, its jacobian, its hessian.

They nest: `grad(grad(f))` is the second derivative. Each looks at its arguments through handles of its own, so that the
same tensor may be one level's variable and another's constant, and what tensors outside of f require stays recorded.
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.functional import blocks_of, by_columns, pull, pusher, units
from ..graph import Node, walk
from ..recording import enable_grad, is_grad_enabled
from ..tensor import Tensor, describe
from .tree import leaves, mapped, rebuilt

Argnums = int | tuple[int, ...]


def grad(func: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """The function that gives the gradient of func, which returns one number, by its arguments `argnums`.

    The gradient is built like the argument, which may be a tuple, list or dict of Tensors; for several argnums it is a
    tuple. has_aux: func returns (value, more), and the new function (gradient, more).
    """

    @functools.wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        grads, value = grad_and_value(func, argnums, has_aux)(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return gradient


def grad_and_value(func: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """As `grad`; the new function gives (gradient, value), or (gradient, (value, more))."""

    @functools.wraps(func)
    def gradient_and_value(*args: Any, **kwargs: Any) -> Any:
        level = _Level()
        with level:
            args, wrt = level.enter(args, argnums, "grad")
            value, aux = _parted(func(*args, **kwargs), has_aux, "grad")
            if not isinstance(value, Tensor) or value.ndim or not value.is_floating_point():
                got = describe(value) if isinstance(value, Tensor) else type(value).__name__
                raise RuntimeError(f"grad(): the function must return one number, a 0-d float tensor, got {got}")
            grads = level.gradients([value], wrt, None)
        results = rebuilt(wrt, grads)
        return results, level.leave((value, aux) if has_aux else value)

    return gradient_and_value


def value_and_grad(func: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """As `grad_and_value`, the other way round: (value, gradient), or ((value, more), gradient)."""
    both = grad_and_value(func, argnums, has_aux)
    return functools.wraps(func)(lambda *args, **kwargs: both(*args, **kwargs)[::-1])


def vjp(func: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """(func(*primals), pullback[, more]); pullback(cotangents), which may be called often, gives a tuple with the
    product for each primal. Cotangents are built like the output."""
    level = _Level()
    with level:
        xs = level.enter(primals, tuple(range(len(primals))), "vjp")[1]
        output, aux = _parted(func(*xs), has_aux, "vjp")
    ys = _tensors(output, "vjp(): the output")

    def pullback(*cotangents: Any) -> Any:
        given = leaves(cotangents[0] if len(cotangents) == 1 else cotangents)
        if len(given) != len(ys):
            raise RuntimeError(f"vjp(): {len(given)} cotangents for {len(ys)} outputs; give them built like the output")
        for c, y in zip(given, ys):
            if not isinstance(c, Tensor) or c.shape != y.shape:
                raise RuntimeError(f"vjp(): cotangent {describe(c)} does not fit its output {describe(y)}")
        wanted = is_grad_enabled() and any(c.requires_grad for c in given)
        grads = rebuilt(xs, level.gradients(ys, xs, given, wanted))
        return grads

    return (level.leave(output), pullback, *([level.leave(aux)] if has_aux else []))


def jvp(func: Callable, primals: tuple, tangents: tuple, *, strict: bool = False, has_aux: bool = False) -> tuple:
    """(func(*primals), J · tangents[, more]). Both are tuples with an entry per argument of func."""
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple):
        raise RuntimeError("jvp(): primals and tangents must be tuples, with an entry per argument of the function")
    level, output, aux, ys, xs = _linear(func, primals, has_aux, "jvp")
    if strict and not all(y.requires_grad for y in ys):
        raise RuntimeError("jvp(): strict: an output does not depend on the primals")
    pushed = _push(level, ys, xs, tangents)
    return (level.leave(output), rebuilt(output, pushed), *([level.leave(aux)] if has_aux else []))


def linearize(func: Callable, *primals: Any) -> tuple:
    """(func(*primals), the function from tangents to J · tangents), which may be called often."""
    level, output, _, ys, xs = _linear(func, primals, False, "linearize")
    push = pusher(ys, leaves(xs))
    return level.leave(output), lambda *tangents: rebuilt(output, _push(level, ys, xs, tangents, push))


def jacrev(func: Callable, argnums: Argnums = 0, *, has_aux: bool = False, chunk_size: int | None = None) -> Callable:
    """The function that gives func's jacobian by its arguments `argnums`, row by row, in reverse mode.

    It is built like the output, each leaf of it like the argument, with blocks of output.shape + argument.shape.
    """

    def rows(level: _Level, ys: list, xs: Any) -> list:
        flat = leaves(xs)
        return [blocks_of([level.gradients([y], xs, [u]) for u in units(y)], y, flat) for y in ys]

    return _jacobian(func, argnums, has_aux, rows, "jacrev")


def jacfwd(func: Callable, argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error") -> Callable:
    """As `jacrev`, column by column: cheaper where there are fewer inputs than outputs."""

    def columns(level: _Level, ys: list, xs: Any) -> list:
        return list(by_columns(ys, leaves(xs), level.recorded_outside(ys)))

    return _jacobian(func, argnums, has_aux, columns, "jacfwd")


def hessian(func: Callable, argnums: Argnums = 0) -> Callable:
    """The function that gives the second derivatives of func: the jacobian of the jacobian."""
    return jacrev(jacrev(func, argnums), argnums)


def _jacobian(func: Callable, argnums: Argnums, has_aux: bool, blocks: Callable, caller: str) -> Callable:
    @functools.wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        level = _Level()
        with level:
            args, xs = level.enter(args, argnums, caller)
            output, aux = _parted(func(*args, **kwargs), has_aux, caller)
            found = blocks(level, _tensors(output, f"{caller}(): the output"), xs)
        result = rebuilt(output, [rebuilt(xs, row) for row in found])
        return (result, level.leave(aux)) if has_aux else result

    return jacobian


def _linear(func, primals, has_aux, caller):
    level = _Level()
    with level:
        xs = level.enter(primals, tuple(range(len(primals))), caller)[1]
        output, aux = _parted(func(*xs), has_aux, caller)
    return level, output, aux, _tensors(output, f"{caller}(): the output"), xs


def _push(level, ys, xs, tangents, push=None):
    flat, given = leaves(xs), leaves(tangents)
    if len(given) != len(flat):
        raise RuntimeError(f"jvp(): {len(given)} tangents for {len(flat)} primals")
    for t, x in zip(given, flat):
        if not isinstance(t, Tensor) or t.shape != x.shape:
            raise RuntimeError(f"jvp(): tangent {describe(t)} does not fit its primal {describe(x)}")
    tracked = is_grad_enabled() and any(t.requires_grad for t in given)
    with enable_grad():
        return (push or pusher(ys, flat))(given, tracked or level.recorded_outside(ys))


def _parted(output: Any, has_aux: bool, caller: str) -> tuple:
    if not has_aux:
        return output, None
    if not isinstance(output, tuple) or len(output) != 2:
        raise RuntimeError(f"{caller}(): with has_aux the function must return a tuple (output, more)")
    return output


def _tensors(tree: Any, what: str) -> list[Tensor]:
    flat = leaves(tree)
    for x in flat:
        if not isinstance(x, Tensor):
            raise RuntimeError(f"{what} must consist of Tensors, got {type(x).__name__}")
    return flat


_running: contextvars.ContextVar[_Level | None] = contextvars.ContextVar("microgradnet.func", default=None)


class _Level:
    """One transformation at work: the handles it watches, and what of the graph is of interest outside of it.

    As a context it is the one in which a function runs, recorded.
    """

    def __init__(self) -> None:
        self.recording = is_grad_enabled()
        outer = _running.get()
        self._around: tuple = (None,) if outer is None else (*outer._around, outer)  # None: no level at all
        self._enable = enable_grad()

    def __enter__(self) -> None:
        self._enable.__enter__()
        self._token = _running.set(self)

    def __exit__(self, *exc: object) -> None:
        _running.reset(self._token)
        self._enable.__exit__(*exc)

    def enter(self, args: tuple, argnums: Argnums, caller: str) -> tuple[tuple, Any]:
        """(the arguments with those at argnums replaced by handles, the handles)."""
        numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        if not numbers:
            raise RuntimeError(f"{caller}(): argnums is empty")
        for n in numbers:
            if not -len(args) <= n < len(args):
                raise RuntimeError(f"{caller}(): argnum {n}, but the function was given {len(args)} arguments")
        replaced = list(args)
        for n in {n % len(args) for n in numbers}:
            _tensors(args[n], f"{caller}(): argument {n}")
            replaced[n] = mapped(self._handle, args[n])
        wrt = tuple(replaced[n] for n in numbers)
        return tuple(replaced), wrt[0] if isinstance(argnums, int) else wrt

    def _handle(self, x: Tensor) -> Tensor:
        if self.recording and x.requires_grad:
            return x.view_as(x)
        handle: Any = x.detach().requires_grad_()
        handle.level = self
        return handle

    def recorded_outside(self, ys: list[Tensor]) -> bool:
        """Whether these depend, in a recorded way, on what is not a handle of this level or of one within it."""
        if not self.recording:
            return False
        tracked = [y for y in ys if y.requires_grad]
        found = {y for y in tracked if y.node is None}
        for node in walk(*tracked):
            found.update(x for i in node.needs if type(x := node.inputs[i]) is not Node)
        return any(getattr(leaf, "level", None) in self._around for leaf in found)

    def gradients(self, ys: list[Tensor], xs: Any, weights: list | None, tracked: bool = False) -> list[Tensor]:
        """Of the weighted sum of ys by each leaf of xs; zeros where they do not meet."""
        flat = leaves(xs)
        with enable_grad():
            grads = pull(ys, flat, weights, tracked or self.recorded_outside(ys), True)
        return [Tensor(np.zeros(x.shape, x.dtype)) if g is None else g for g, x in zip(grads, flat)]

    def leave(self, tree: Any) -> Any:
        """What func returned, as it is seen outside: not recorded on account of this level."""
        return mapped(lambda y: self._outside(y) if isinstance(y, Tensor) else y, tree)

    def _outside(self, y: Tensor) -> Tensor:
        return y if not y.requires_grad or self.recorded_outside([y]) else y.detach()
