"""NumPy's protocols on Tensors, derived from the table: `np.exp(t)` and `ndarray * t` are recorded, and what the table
does not know fails loudly. Nothing is detached silently."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ..graph import NUMPY_NAMES, UFUNCS
from ..tensor import Tensor
from .cumulative import cumprod, diff
from .elementwise import clamp, mul, round, where
from .linalg import einsum, matmul, outer
from .order import argsort, sort
from .products import inner, kron, tensordot
from .rearrange import roll
from .reduce import amax, amin, cumsum, std, var
from .shape import cat, flip, hstack, movedim, permute, ravel, reshape, stack, vstack
from .views import diagonal, trace

_RENAMED = NUMPY_NAMES | {"a": "input", "axis1": "dim0", "axis2": "dim1"}
_ARRANGED: dict[Callable, Callable] = {  # NumPy's functions whose arguments are not those of the operation
    np.concatenate: lambda arrays, axis=0: cat(arrays, axis),
    np.stack: lambda arrays, axis=0: stack(arrays, axis),
    np.transpose: lambda a, axes=None: permute(a, *(axes or reversed(range(a.ndim)))),
    np.reshape: lambda a, shape: reshape(a, shape),
    np.einsum: einsum,
    np.dot: lambda a, b: matmul(a, b) if np.ndim(a) and np.ndim(b) else mul(a, b),
    np.outer: lambda a, b: outer(ravel(a), ravel(b)),
    np.where: where,
    np.clip: lambda a, a_min=None, a_max=None: clamp(a, a_min, a_max),
    np.amax: amax,
    np.amin: amin,
    np.around: round,
    np.cumsum: lambda a, axis=None, dtype=None: cumsum(ravel(a) if axis is None else a, axis or 0, dtype=dtype),
    np.cumprod: lambda a, axis=None, dtype=None: cumprod(ravel(a) if axis is None else a, axis or 0, dtype=dtype),
    np.diff: lambda a, n=1, axis=-1: diff(a, n, axis),
    np.sort: lambda a, axis=-1: sort(ravel(a) if axis is None else a, -1 if axis is None else axis).values,
    np.argsort: lambda a, axis=-1: argsort(ravel(a) if axis is None else a, -1 if axis is None else axis),
    np.roll: lambda a, shift, axis=None: roll(a, shift, axis),
    np.diagonal: lambda a, offset=0, axis1=0, axis2=1: diagonal(a, offset, axis1, axis2),
    np.trace: lambda a: trace(a),
    np.tensordot: lambda a, b, axes=2: tensordot(a, b, axes),
    np.kron: kron,
    np.inner: inner,
    np.flip: lambda a, axis=None: flip(a, *(range(a.ndim) if axis is None else (axis,))),
    np.ravel: ravel,
    np.moveaxis: movedim,
    np.vstack: vstack,
    np.hstack: hstack,
    np.var: lambda a, axis=None, ddof=0, keepdims=False: var(a, axis, correction=ddof, keepdim=keepdims),
    np.std: lambda a, axis=None, ddof=0, keepdims=False: std(a, axis, correction=ddof, keepdim=keepdims),
    np.ndim: lambda a: a.ndim,
    np.shape: lambda a: tuple(a.shape),
    np.size: lambda a: a.numel(),
    np.allclose: lambda a, b, *args, **kwargs: np.allclose(_bare(a), _bare(b), *args, **kwargs),
    np.array_equal: lambda a, b, **kwargs: np.array_equal(_bare(a), _bare(b), **kwargs),
}  # fmt: skip


def through_ufunc(ufunc: Any, method: str, inputs: tuple, kwargs: dict) -> Any:
    """`ufunc(*inputs)` where an input is a Tensor."""
    op = UFUNCS.get(ufunc)
    if op is None or method != "__call__":
        _refuse(f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}"))
    out = kwargs.pop("out", None)
    if kwargs:
        _refuse(f"np.{ufunc.__name__} with {', '.join(kwargs)}=")
    operands = [Tensor(x) if isinstance(x, (np.ndarray, np.generic)) and np.ndim(x) else _number(x) for x in inputs]
    result = op(*operands)
    if out is None:
        return result
    target = out[0]
    if not isinstance(target, Tensor):  # array += tensor
        _refuse(f"np.{ufunc.__name__} into an ndarray (as in `array += tensor`)")
    return target.copy_(result)


def through_function(function: Callable, args: tuple, kwargs: dict) -> Any:
    """`np.function(*args)` where an argument is a Tensor."""
    arranged = _ARRANGED.get(function)
    if arranged is not None:
        return arranged(*args, **kwargs)
    op = UFUNCS.get(function)
    if op is None:
        _refuse(f"np.{function.__name__}")
    params = {_RENAMED.get(k, k): v for k, v in kwargs.items() if v is not None}
    return op(*args, **params)


def _bare(x: Any) -> np.ndarray:
    return np.asarray(x.array if isinstance(x, Tensor) else x)


def _number(x: Any) -> Any:
    if isinstance(x, np.bool_):
        return x.item()
    return Tensor(np.asarray(x)) if isinstance(x, (np.generic, np.ndarray)) else x


def _refuse(what: str) -> NoReturn:
    raise TypeError(
        f"{what} of a Tensor: there is no recorded operation of that kind. Use the Tensor's own methods, or "
        "tensor.detach().numpy() to leave the graph on purpose"
    )
