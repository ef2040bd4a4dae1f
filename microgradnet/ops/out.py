"""`out=`: results written into tensors that are there."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..recording import is_grad_enabled, setting
from ..tensor import Tensor, describe


def write_out(name: str, out: Any, args: Any, compute: Callable) -> Any:
    """What `compute()` gives, written into `out`: a tensor, or one for each of several results.

    It has the result's shape, or it is empty and takes it; its dtype is one the result may be cast to in place.
    """
    several = isinstance(out, tuple)
    targets = out if several else (out,)
    operands = [x for a in args for x in (a if isinstance(a, (list, tuple)) else (a,))]
    if is_grad_enabled() and any(isinstance(a, Tensor) and a.requires_grad for a in (*operands, *targets)):
        raise RuntimeError(f"{name}(): out= does not support automatic differentiation, and one of the arguments "
                           "requires grad; use no_grad(), or drop out=")
    results = compute()
    for target, result in zip(targets, results if several else (results,), strict=True):
        _write_one(name, target, result)
    return type(results)(out) if several else out


# Of the families whose functions give views or rearrange, those that fill new memory.
_JOINING = {"cat", "column_stack", "concat", "concatenate", "diag", "dstack", "hstack", "narrow_copy", "row_stack",
            "stack", "vstack"}  # fmt: skip
_VIEWING = {"activation", "joining", "ranges", "rearrange", "shape", "views"}


def with_out(function: Any, name: str) -> Any:
    """The function with `out=`, where its result is new memory. An operation takes it anyway."""
    family = function.__module__.rpartition(".")[2]
    if not isinstance(function, types.FunctionType) or family in _VIEWING and name not in _JOINING:
        return function
    code = function.__code__
    if "out" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        return function

    @functools.wraps(function)
    def writing(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return function(*args, **kwargs)
        return write_out(name, out, (*args, *kwargs.values()), lambda: function(*args, **kwargs))

    return writing


def _write_one(name: str, target: Tensor, result: Tensor) -> None:
    if not isinstance(target, Tensor):
        raise TypeError(f"{name}(): out= must be a Tensor, got {type(target).__name__}")
    if CATEGORY[result.dtype.kind] > CATEGORY[target.dtype.kind]:
        raise RuntimeError(f"{name}(): the result, whose dtype is {result.dtype}, cannot be cast to that of out=, "
                           f"{target.dtype}")
    if target.shape != result.shape:
        if target.numel():
            raise ShapeError(f"{name}(): out= {describe(target)} does not have the shape of the result, "
                             f"{tuple(result.shape)}; give one of that shape, or an empty one, which takes it")
        target._data = np.empty(result.shape, target.dtype)
        setting()
    target.copy_(result)  # type: ignore[operator]


CATEGORY = {"b": 0, "i": 1, "u": 1, "f": 2}  # of dtypes: a tensor takes, in place, results of its own or a lower one
