"""Operations of one's own: a forward and a backward written by hand, in PyTorch's `Function` form."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import graph
from ..graph import Op, no_grad
from ..tensor import Tensor, describe


class Context:
    """What a Function's forward leaves for its backward."""

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self._saved: tuple = ()
        self._versions: tuple = ()
        self._constant: tuple = ()
        self._materialize = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for backward; writing into one in between is an error there."""
        self._saved = tensors
        self._versions = tuple(None if t is None else t._version for t in tensors)

    @property
    def saved_tensors(self) -> tuple:
        """The tensors of `save_for_backward`."""
        for i, (t, version) in enumerate(zip(self._saved, self._versions)):
            if t is not None and t._version != version:
                raise RuntimeError(
                    f"{self._name}: saved tensor {i} {describe(t)} has been modified in place: saved at version {version}, "
                    f"now at version {t._version}"
                )
        return self._saved

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """These outputs carry no gradient."""
        self._constant += outputs

    def set_materialize_grads(self, value: bool) -> None:
        """False: backward gets None, not zeros, for an output that nothing used."""
        self._materialize = value


class Function:
    """Subclass with static `forward(ctx, *args)` and `backward(ctx, *grads)`, and call `.apply(*args)`.

    forward computes on Tensors, unrecorded, and returns a Tensor or a tuple of them. backward gets a gradient per output and
    returns one per argument of forward, None where there is none; written in Tensor operations, it can itself be
    differentiated (create_graph=True). In place of the ctx argument of forward, a static `setup_context(ctx, inputs, output)`
    may be given.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs."""
        raise NotImplementedError("a Function needs a static forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """The gradients of the arguments, from those of the outputs."""
        raise NotImplementedError("a Function needs a static backward(ctx, *grads) to be differentiated")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Compute forward, and record that backward belongs to it."""
        ctx = Context()
        ctx._name = cls.__name__
        ctx.needs_input_grad = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        with no_grad():
            if "setup_context" in {k for c in cls.__mro__ for k in vars(c)}:
                given = cls.forward(*args)
                cls.setup_context(ctx, args, given)
            else:
                given = cls.forward(ctx, *args)
        outputs = given if isinstance(given, tuple) else (given,)
        for i, y in enumerate(outputs):
            if not isinstance(y, Tensor):
                raise TypeError(f"{cls.__name__}.forward must return Tensors, output {i} is a {type(y).__name__}")
        if not (any(ctx.needs_input_grad) and graph.is_grad_enabled()):
            return given
        op = _as_op(cls)
        values = [a._data if isinstance(a, Tensor) else a for a in args]
        inputs = [(a.node or a) if isinstance(a, Tensor) else a for a in args]
        needs = sum(1 << i for i, needed in enumerate(ctx.needs_input_grad) if needed)
        node = graph.record(op, inputs, {"ctx": ctx}, needs, values, tuple(y._data for y in outputs))
        constant = [id(y) for y in ctx._constant]
        made = tuple(
            Tensor(y.array) if id(y) in constant else graph._item(node, i, y._data, graph._mode.get())
            for i, y in enumerate(outputs)
        )
        return made if isinstance(given, tuple) else made[0]


def _as_op(cls: type[Function]) -> Op:
    """The table's form of a Function; one per class, kept on the class and not in the table."""
    op = cls.__dict__.get("_op")
    if op is None:
        op = Op.__new__(Op)
        op.name, op.forward, op.rules = cls.__name__, cls.forward, ()
        op.joint = lambda needs, g, _y, *_args, ctx: _gradients(cls, ctx, g, len(_args))
        op.differentiable, op.view, op.promotes, op.reads, op.reads_all = True, False, False, lambda i, needs: False, True
        op.arity, op.names, op.__doc__ = 1_000_000, (), cls.__doc__
        cls._op = op
    return op


def _gradients(cls: type[Function], ctx: Context, g: tuple, count: int) -> list:
    recorded = any(isinstance(x, Tensor) for x in g)
    given = cls.backward(ctx, *(x if isinstance(x, Tensor) else Tensor(np.asarray(x)) for x in g))
    given = list(given) if isinstance(given, (tuple, list)) else [given]
    if len(given) < count or any(x is not None for x in given[count:]):
        raise RuntimeError(f"{cls.__name__}.backward returned {len(given)} gradients for {count} arguments of forward")
    for i, x in enumerate(given[:count]):
        if x is not None and not isinstance(x, Tensor):
            raise TypeError(f"{cls.__name__}.backward must return Tensors or None, gradient {i} is a {type(x).__name__}")
    if recorded:
        return given
    return [None if x is None else x.array.view() for x in given]  # a view: nobody may take it for its own
