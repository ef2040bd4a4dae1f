"""Operations of one's own: a forward and a backward written by hand, in PyTorch's `Function` form."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import graph, recording
from ..callers import here
from ..graph import DtypeError, Node, Op, Parts, ShapeError, Spec
from ..recording import no_grad
from ..tensor import Tensor, describe
from . import sources


class FunctionCtx:
    """What a Function's forward leaves for its backward."""

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self, name: str) -> None:
        self._name = name
        self._saved: tuple = ()
        self._versions: tuple = ()
        self._results: dict[int, int] = {}  # which of the saved tensors are outputs: place -> number of the output
        self._recorded: dict[int, Tensor] = {}  # what stands in for them while backward is recorded
        self._constant: tuple = ()
        self._dirty: tuple = ()
        self._materialize = True
        self._saved_in: Any = None  # the line, in debug mode

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors, arguments or results, for backward; writing into one in between is an error there."""
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(
                    f"{self._name}: save_for_backward() keeps Tensors or None, argument {i} is a {type(t).__name__}; "
                    "make it an attribute of ctx"
                )
        self._saved = tensors
        self._versions = tuple(None if t is None else t._version for t in tensors)
        self._saved_in = here() if sources.keeps_lines else None

    @property
    def saved_tensors(self) -> tuple:
        """The tensors of `save_for_backward`."""
        for i, (t, version) in enumerate(zip(self._saved, self._versions)):
            if t is not None and t._version != version:
                raise RuntimeError(
                    f"{self._name}: saved tensor {i} {describe(t)} has been modified in place: saved at version "
                    f"{version}, now at version {t._version}. Use an out-of-place operation there, or clone() it before"
                    + sources.both_lines(self._saved_in, t.array)
                )
        return tuple(self._recorded.get(i, t) for i, t in enumerate(self._saved))

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """These outputs carry no gradient."""
        self._constant += outputs

    def mark_dirty(self, *args: Tensor) -> None:
        """Forward has written into these arguments, and returns them."""
        self._dirty += args

    def set_materialize_grads(self, value: bool) -> None:
        """False: backward gets None, not zeros, for an output that nothing used."""
        self._materialize = value


class Function:
    """Subclass with static `forward(ctx, *args)` and `backward(ctx, *grads)`, and call `.apply(*args)`.

    forward computes on Tensors, unrecorded, and returns a Tensor or a tuple; what is no Tensor in it passes through.
    backward (`vjp` is another name for it) gets a gradient per output, None for what is no Tensor, and returns one per
    argument of forward, None where there is none; written in Tensor operations, it can itself be differentiated
    (create_graph=True). In place of the ctx argument of forward, a static `setup_context(ctx, inputs, output)` may be
    given.
    """

    _op: Op  # made when it is first applied

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs."""
        raise NotImplementedError("a Function needs a static forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """The gradients of the arguments, from those of the outputs."""
        raise NotImplementedError("a Function needs a static backward(ctx, *grads) to be differentiated")

    vjp = backward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """An error: a Function is not called."""
        raise RuntimeError(f"a Function has static methods and no instances: call {type(self).__name__}.apply(...)")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Compute forward, and record that backward belongs to it."""
        ctx = FunctionCtx(cls.__name__)
        if kwargs or hasattr(cls, "setup_context"):
            args = _bound(cls, args, kwargs)
        ctx.needs_input_grad = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        given = _forward(cls, ctx, args)
        outputs = given if isinstance(given, tuple) else (given,)
        for i, y in enumerate(outputs):
            if isinstance(y, (np.ndarray, list)):  # a silent way out of the graph
                raise TypeError(f"{cls.__name__}.forward returned a {type(y).__name__} as output {i}, through which no "
                                "gradient flows; return Tensors, several of them in a tuple")
        for x in ctx._dirty:
            if not any(x is y for y in outputs):
                raise RuntimeError(f"{cls.__name__}: {describe(x)} was marked dirty; forward must return it, too")
        mode = graph._mode.get()
        needs = sum(1 << i for i, needed in enumerate(ctx.needs_input_grad) if needed) if mode.grad else 0
        if not needs and not mode.everything:
            return given
        # The rule is given the context as a last argument; so it goes when the saved values go.
        inputs = [*((a.node or a) if isinstance(a, Tensor) else a for a in args), None]
        values = [*(Spec(a) if isinstance(a, Tensor) else a for a in args), ctx]
        node = graph.record(_as_op(cls), inputs, {}, needs, values, tuple(map(_known, outputs)))
        _cut_loose(ctx, outputs, args)
        made = tuple(_output(node, ctx, i, y, args, mode) for i, y in enumerate(outputs))
        ctx._dirty = ctx._constant = ()  # the node holds ctx, which may not hold what hangs on the node
        return made if isinstance(given, tuple) else made[0]


def once_differentiable(backward: Callable) -> Callable:
    """Decorator of a backward that is not to be differentiated itself: a second derivative through it is an error."""

    @functools.wraps(backward)
    def unrecorded(ctx: FunctionCtx, *grads: Any) -> Any:
        with no_grad():
            given = backward(ctx, *grads)
        if not (recording.is_grad_enabled() and any(isinstance(g, Tensor) and g.requires_grad for g in grads)):
            return given
        marked = [_Once.apply(ctx._name, g, *grads) if isinstance(g, Tensor) else g
                  for g in (given if isinstance(given, (tuple, list)) else (given,))]
        return tuple(marked)

    return unrecorded


def _bound(cls: type[Function], args: tuple, kwargs: dict[str, Any]) -> tuple:
    """The arguments in forward's order."""
    import inspect

    style = hasattr(cls, "setup_context")
    bound = inspect.signature(cls.forward).bind(*(() if style else (None,)), *args, **kwargs)
    if style:
        bound.apply_defaults()
    if bound.kwargs:
        raise TypeError(f"{cls.__name__}.forward: {sorted(bound.kwargs)} cannot be given: keyword-only arguments have "
                        "no place among the gradients that backward returns")
    return bound.args if style else bound.args[1:]


def _forward(cls: type[Function], ctx: FunctionCtx, args: tuple) -> Any:
    with no_grad():
        if not hasattr(cls, "setup_context"):
            return cls.forward(ctx, *args)
        given = cls.forward(*args)
        cls.setup_context(ctx, args, given)
        return given


def _cut_loose(ctx: FunctionCtx, outputs: tuple, args: tuple) -> None:
    """The saved outputs are kept without history, for that would lead back to ctx; `_with_history` gives it again."""
    arguments = {id(a) for a in args} - {id(x) for x in ctx._dirty}  # an argument that is returned was saved as such
    results = {id(y): k for k, y in enumerate(outputs) if id(y) not in arguments}
    ctx._results = {i: results[id(t)] for i, t in enumerate(ctx._saved) if id(t) in results}
    ctx._saved = tuple(t.detach() if i in ctx._results else t for i, t in enumerate(ctx._saved))


def _with_history(ctx: FunctionCtx, outputs: tuple) -> dict[int, Tensor]:
    """The saved outputs as results of the node, of which `outputs` know shape and place only."""
    return {
        i: Tensor.__new__(Tensor)._set(ctx._saved[i]._data, outputs[k].node, outputs[k]._requires_grad)
        for i, k in ctx._results.items()
    }


def _known(y: Any) -> Any:
    return Spec(y) if isinstance(y, Tensor) else None


def _output(node: Node, ctx: FunctionCtx, i: int, y: Any, args: tuple, mode: recording.Mode) -> Any:
    """What apply returns for forward's output i."""
    if not isinstance(y, Tensor):
        return y
    if any(y is x for x in ctx._dirty):
        return _rewritten(node, i, y, mode)
    borrowed = any(isinstance(a, Tensor) and graph.owner(a.array) is graph.owner(y.array) for a in args)
    out = graph._item(node, i, _copied(y) if borrowed else y._data, mode)
    if any(y is x for x in ctx._constant):
        out._requires_grad = False
        if not mode.everything:
            out.node = None
    return out


def _copied(x: Tensor) -> np.ndarray:
    with no_grad():
        return x.clone().array


def _rewritten(node: Node, i: int, x: Tensor, mode: recording.Mode) -> Tensor:
    """An argument that forward wrote into: the tensor itself, with a new node."""
    from ..ops.inplace import _rebase

    base = x if x._base is None else x._base
    if base.is_leaf and base.requires_grad:
        raise RuntimeError(f"{node.op.name}: the leaf {describe(base)} requires grad and cannot be written in place")
    item: Any = graph._item(node, i, x.array, mode)
    if item._requires_grad:
        _rebase(x, item.node)
    else:  # captured only
        x.node = item.node
    return x


def _as_op(cls: type[Function]) -> Op:
    """The table's form of a Function; one per class, kept on the class and not in the table."""
    if "_op" not in cls.__dict__:
        cls._op = _FunctionOp(cls)
    return cls.__dict__["_op"]


class _FunctionOp(Op):
    """Its rules are one, and it is asked for no reading: a context saves, and checks, what it wants itself."""

    arity, names, rules = 1_000_000, (), ()
    differentiable, view, promotes = True, False, False
    takes_parts = reads_all = True

    def __init__(self, cls: type[Function]) -> None:
        self.name, self.__doc__ = cls.__name__, cls.__doc__
        self.backward_name = f"{cls.__name__}Backward"
        self.forward = lambda *args: _again(cls, args)
        self.joint = lambda needs, g, y, *args: _gradients(cls, g, y, args[-1], args[:-1])

    def reads(self, position: int, needs: tuple[int, ...]) -> bool:
        return False


def _again(cls: type[Function], args: tuple) -> tuple:
    """Forward once more on arrays, for a replay of the graph."""
    args = tuple(Tensor(a) if isinstance(a, np.ndarray) else a for a in args[:-1])
    given = _forward(cls, FunctionCtx(cls.__name__), args)
    return tuple(y.array if isinstance(y, Tensor) else y for y in (given if isinstance(given, tuple) else (given,)))


def _gradients(cls: type[Function], g: Parts, y: tuple, ctx: FunctionCtx, args: tuple) -> list:
    recorded = recording.is_grad_enabled()
    grads = [g.given.get(i) for i in range(len(y))]
    if ctx._materialize:
        grads = [np.zeros(o.shape, o.dtype) if x is None and o is not None else x for x, o in zip(grads, y)]
    grads = [Tensor(np.asarray(x)) if isinstance(x, (np.ndarray, np.generic)) else x for x in grads]
    ctx._recorded = _with_history(ctx, y) if recorded else {}
    try:
        given = _backward_of(cls)(ctx, *grads)
    finally:
        ctx._recorded = {}  # they point at the node, which points at ctx
    given = list(given) if isinstance(given, (tuple, list)) else [given]
    count = len(args)
    if len(given) < count or any(x is not None for x in given[count:]):
        raise RuntimeError(f"{cls.__name__}.backward returned {len(given)} gradients for {count} arguments of forward")
    for i, x in enumerate(given[:count]):
        if x is not None:
            _check_gradient(cls.__name__, i, x, args[i])
    if recorded or recording.is_capturing():
        return given
    return [None if x is None else x.array.view() for x in given]  # a view: nobody may take it for its own


def _backward_of(cls: type[Function]) -> Callable:
    if cls.vjp is Function.vjp:
        return cls.backward
    if cls.backward is not Function.backward:
        raise RuntimeError(f"{cls.__name__} has a backward and a vjp, which are two names for one thing: keep one")
    return cls.vjp


def _check_gradient(name: str, i: int, x: Any, arg: Any) -> None:
    what = f"{name}.backward: gradient {i}"
    if not isinstance(x, Tensor):
        raise DtypeError(f"{what} must be a Tensor or None, not {describe(x)}")
    if not isinstance(arg, (Spec, Tensor)):
        raise RuntimeError(f"{what} must be None: argument {i} of forward was no Tensor but {describe(arg)}")
    lead = x.ndim - len(arg.shape)
    if lead < 0 or any(n not in (1, m) for n, m in zip(arg.shape, x.shape[lead:])):
        raise ShapeError(f"{what} has shape {tuple(x.shape)}, its argument {tuple(arg.shape)}")


class _Once(Function):
    """A gradient that knows what it depends on, and cannot be differentiated by it."""

    @staticmethod
    def forward(ctx: FunctionCtx, name: str, gradient: Tensor, *grads: Any) -> Tensor:
        ctx.of = name  # type: ignore[attr-defined]
        return gradient.detach()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError(f"{ctx.of}.backward is marked once_differentiable: there is no second derivative through it")
