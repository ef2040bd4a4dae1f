"""Writing into a tensor's memory, with the graph kept true.

`x.mul_(y)` computes what `mul` computes, writes it where x was, and gives x a new node; whatever used the old x keeps
the old node. Versions belong to memory (see `graph.stamp`), so a value that a rule needs and that was overwritten
raises at backward. Views: a recorded write through one view gives the base a new node, from which every view then
regrows its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import graph, recording
from ..graph import Node, Op
from ..tensor import Tensor, describe
from . import (
    activation,
    arithmetic,
    cumulative,
    elementwise,
    index,
    linalg,
    mathematics,
    products,
    reduce,
    scattering,
    shape,
    statistics,
    views,
)  # fmt: skip
from .out import CATEGORY
from .public import is_method


def write(op: Op, x: Tensor, *operands: Any, **params: Any) -> Tensor:
    """x ← op(x, *operands), in x's memory."""
    tracked = _tracked(op.name, x, operands)
    old = _stand_in(x)
    result = op(old, *operands, **params)
    _check_fits(op.name, x, result)
    if tracked:
        if result.node is None:
            raise RuntimeError(f"{op.name}_: there is no derivative, and {describe(x)} requires grad; detach() it")
        _keep(x.array, result.node)
        if isinstance(result.node.args[0], np.ndarray):
            old._data = result.node.args[0]
    _announce(x, result)
    x.array[...] = result._data
    graph.stamp(x.array)
    if tracked:
        node = result.node
        if type(node.output) is not graph.Spec:
            node.output = x.array
        node.time = graph.clock()  # it has seen the write
        _rebase(x, node)
    return x


def _announce(x: Tensor, result: Tensor) -> None:
    """Tell who captures that x's memory is about to be given a result."""
    recorder = recording.recorder()
    if recorder is not None:
        recorder.wrote(x.array, result)


def _copied(array: np.ndarray) -> np.ndarray:
    """What memory holds before it is overwritten."""
    copy = np.array(array)
    recorder = recording.recorder()
    if recorder is not None:
        recorder.copied(array, copy)
    return copy


def _keep(array: np.ndarray, node: Node) -> None:
    """Copy what the node's rules read of the memory that is about to be overwritten."""
    memory = graph.owner(array)
    node.args = [
        _copied(v)
        if isinstance(v, np.ndarray) and graph.owner(v) is memory and node.op.reads(i + 1, node.needs)
        else v
        for i, v in enumerate(node.args)
    ]


def _tracked(name: str, x: Tensor, operands: tuple) -> bool:
    """Whether a write into x is recorded; an error where it may not happen."""
    if not x.array.flags.writeable:
        raise RuntimeError(
            f"{name}_: {describe(x)} cannot be written: its elements share places in memory, as after expand(), or the "
            "array it was made from is read-only; clone() it first"
        )
    if not recording.is_grad_enabled():
        return False
    base = x if x._base is None else x._base
    if x.requires_grad or base.requires_grad:
        if x.node is None and x._requires_grad or base.node is None and base._requires_grad:
            what = "a view of a leaf tensor" if x.node else "a leaf tensor"
            raise RuntimeError(
                f"{name}_: {what} that requires grad, {describe(x)}, cannot be written in place while recording; do it "
                "under no_grad(), or use the operation that returns a new tensor"
            )
        return True
    return any(isinstance(o, Tensor) and o.requires_grad for o in operands) and x.is_floating_point()


def _stand_in(x: Tensor) -> Tensor:
    """x as it was: the same memory and node, under another handle that keeps them."""
    return Tensor.__new__(Tensor)._set(x.array, x.node, x._requires_grad)


def _rebase(x: Tensor, node: Node) -> None:
    """Give x its new node and, if x is a view, its base a node that holds the written part."""
    base = x._base
    if x._retains and x.node is not None and x.node.hooks:
        node.hooks = [x.node.hooks.pop()]  # the hook of retain_grad, always the last, moves to the new value
    x.node, x._requires_grad = node, True
    recording.setting()
    if base is None:
        x._rebased = graph.clock()
        return
    whole = _stand_in(base).reshape(-1)
    whole._base = None
    part = _stand_in(x).reshape(-1)
    part._base = None
    flat = index.setitem_op(whole, part, index=(_places(base, x),))
    base.node, base._requires_grad = flat.reshape(base.shape).node, True
    base._rebased = graph.clock()


def _places(base: Tensor, view: Tensor) -> np.ndarray:
    """For each element of a view its position among the base's elements, found by address."""
    there, wanted = _addresses(base.array), _addresses(view.array)
    order = np.argsort(there)
    return order[np.searchsorted(there, wanted, sorter=order)]


def _addresses(array: np.ndarray) -> np.ndarray:
    total = np.asarray(array.__array_interface__["data"][0])
    for axis, (n, stride) in enumerate(zip(array.shape, array.strides)):
        total = total + (np.arange(n) * stride).reshape((n,) + (1,) * (array.ndim - axis - 1))
    return np.broadcast_to(total, array.shape).reshape(-1)


def regrow(view: Tensor, base: Tensor) -> None:
    """A view's node, made anew from its base's."""
    if base.requires_grad:
        with recording.enable_grad():
            handle = _stand_in(base)
            now = index._read_op(handle.reshape(-1), index=(_places(base, view),)).reshape(view.shape)
        view.node, view._requires_grad = now.node, True
        recording.setting()
    view._fresh = graph.clock()


# --- the operations with a trailing underscore ----------------------------------------------------------------------


def in_place(function: Any, name: str = "") -> Callable:
    """The in-place form of an operation whose result has its first operand's shape."""
    name = name or function.__name__

    def method(self, *args, **kwargs):
        tracked = _tracked(name, self, args)
        if isinstance(function, Op):
            if len(args) >= function.arity:
                params = dict(zip(function.names, args[function.arity - 1 :])) | kwargs
                return write(function, self, *args[: function.arity - 1], **params)
            return write(function, self, *args, **kwargs)
        return _write_composed(function, name, self, tracked, args, kwargs)

    method.__name__ = method.__qualname__ = name + "_"
    method.__doc__ = f"`{name}`, written into this tensor's memory."
    return method


def _write_composed(function, name, x, tracked, args, kwargs):
    """In place through a function of several operations: the result is copied in."""
    old = _stand_in(x)
    if tracked:  # rules may read the old values anywhere in the composition
        old._data = _copied(x.array)
    result = function(old, *args, **kwargs)
    _check_fits(name, x, result)
    return copy_(x, result)


def _check_fits(name: str, x: Tensor, result: Tensor) -> None:
    if result.shape != x.shape:
        raise graph.ShapeError(f"{name}_: x {describe(x)} cannot hold the result, whose shape is {tuple(result.shape)}")
    if CATEGORY[result.dtype.kind] > CATEGORY[x.dtype.kind]:
        raise RuntimeError(f"{name}_: x {describe(x)} cannot hold the result, whose dtype is {result.dtype}")


def _in_form_of(x, source, /):
    return np.array(source if source.shape == x.shape else np.broadcast_to(source, x.shape), dtype=x.dtype)


copy_op = Op("copy", _in_form_of,
             lambda g, _y, _x, _s: elementwise._zero(g, _y, _x), lambda g, _y, _x, _s: g,
             doc="source, in the form of x")


def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Write the elements of src, broadcast and converted to this tensor's dtype."""
    if not isinstance(src, Tensor):
        raise TypeError(f"copy_() expects a Tensor, got {type(src).__name__}; use fill_() for a number")
    return write(copy_op, self, src)


def fill_(self: Tensor, value: Any) -> Tensor:
    """Write one value, a number or a 0-d tensor, everywhere."""
    value = value if isinstance(value, Tensor) else Tensor(np.asarray(value, dtype=self.dtype))
    if value.ndim:
        raise RuntimeError(f"fill_() expects a number or a 0-d tensor, got {describe(value)}; use copy_()")
    return write(copy_op, self, value)


def zero_(self: Tensor) -> Tensor:
    """Write 0 everywhere."""
    return fill_(self, 0)


def setitem(self: Tensor, where: Any, value: Any) -> None:
    """self[where] = value"""
    parts, tensors = index.parse(where)
    tracked = _tracked("setitem", self, (value,))
    if isinstance(value, (np.ndarray, np.generic)):
        value = Tensor(np.asarray(value))
    if not isinstance(value, (Tensor, int, float)):
        raise TypeError(f"a {type(value).__name__} cannot be written into a tensor; give a number or a tensor of it")
    if tracked or recording._mode.get().everything:
        if isinstance(value, Tensor) and value.dtype != self.dtype:
            value = value.to(self.dtype)
        result = index.setitem_op(_stand_in(self), value, *tensors, index=parts)
        node = result.node
        _announce(self, result)
        self.array[...] = result._data
        graph.stamp(self.array)
        if not tracked:
            return
        node.time = graph.clock()
        _rebase(self, node)
        return
    raw = value._data if isinstance(value, Tensor) else value
    try:
        part, place = index.locate(self.array, parts, [t._data for t in tensors])
        part[place] = raw
    except (ValueError, IndexError, TypeError) as error:
        raise index.setitem_op.error(error, (self, value, *tensors), {"index": parts}) from error
    graph.stamp(self.array)


def _turning(view: Callable, name: str) -> Callable:
    """The in-place form of an operation that gives a view: the handle turns, the memory stays."""

    def method(self, *args, **kwargs):
        tracked = _tracked(view.__name__, self, ())
        turned = view(self, *args, **kwargs)
        self._data = turned.array
        recording.setting()
        if tracked:
            self.node = turned.node
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`{view.__name__}` of this tensor itself."
    return method


def fill_diagonal_(self: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """Write one value on the main diagonal of a matrix, or of a tensor whose dimensions are all equal.

    wrap: in a tall matrix the diagonal starts anew below the last column, with a row between.
    """
    if self.ndim < 2 or self.ndim > 2 and len(set(self.shape)) > 1:
        raise RuntimeError(f"fill_diagonal_() expects a matrix or equal dimensions, got {describe(self)}")
    step = sum(self.stride())
    count = min(self.shape)
    if wrap and self.ndim == 2 and self.shape[0] > self.shape[1] + 1 and self.is_contiguous():
        count = -(-self.numel() // step)
    views.as_strided(self, (count,), (step,)).fill_(fill_value)
    return self


def _elementwise_writers() -> dict[str, Callable]:
    """The in-place form of every elementwise operation."""
    writers = {}
    for family in (elementwise, arithmetic, mathematics):
        for name in family.__all__:
            function = getattr(family, name)
            if is_method(function) and name not in _NEW_ONLY:
                writers[name + "_"] = in_place(function, name)
    return writers


_NEW_ONLY = set("""
    angle fmax fmin frexp isfinite isinf isnan isneginf isposinf isreal logaddexp logaddexp2 maximum minimum positive
    rsub signbit where
""".split())  # of the elementwise operations those that only give new tensors, as in PyTorch
_TURNS: dict[str, Callable] = {
    "transpose_": shape.transpose, "swapaxes_": shape.transpose, "swapdims_": shape.transpose, "t_": shape.t,
    "squeeze_": shape.squeeze, "unsqueeze_": shape.unsqueeze,
}  # fmt: skip
_OTHERS: list[Any] = [
    mathematics._polygamma, activation.sigmoid, activation.relu, index.tril, index.triu, index.masked_fill,
    index.scatter, index.scatter_add, index.index_add, scattering.scatter_reduce, scattering.index_copy,
    scattering.index_fill, scattering.index_reduce, scattering.index_put, scattering.put, scattering.masked_scatter,
    reduce.cumsum, cumulative.cumprod, statistics.renorm, linalg.addmm, products.addmv, products.addr,
    products.addbmm, products.baddbmm,
]  # fmt: skip
WRITERS: dict[str, Any] = {
    **_elementwise_writers(),
    **{name: _turning(view, name) for name, view in _TURNS.items()},
    **{f.__name__ + "_": in_place(f) for f in _OTHERS},
    **{f.__name__: f for f in (copy_, fill_, zero_, fill_diagonal_)},
}
