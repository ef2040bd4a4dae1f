"""NumPy's protocols on Tensors, derived from the table: `np.exp(t)` and `ndarray * t` are recorded, and what the table does
not know fails loudly. Nothing is detached silently."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import UFUNCS
from ..tensor import Tensor

_RENAMED = {"axis": "dim", "keepdims": "keepdim", "a": "input", "ddof": "correction", "axis1": "dim0", "axis2": "dim1"}
_VARIADIC: dict[Callable, Callable] = {}  # NumPy functions whose arguments need arranging; filled by ops/__init__


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
    arranged = _VARIADIC.get(function)
    if arranged is not None:
        return arranged(*args, **kwargs)
    op = UFUNCS.get(function)
    if op is None:
        _refuse(f"np.{function.__name__}")
    params = {_RENAMED.get(k, k): v for k, v in kwargs.items() if v is not None}
    if op.name in ("var", "std"):
        params.setdefault("correction", 0)  # NumPy's default
    return op(*args, **params)


def _number(x: Any) -> Any:
    return x.item() if isinstance(x, np.bool_) else Tensor(np.asarray(x)) if isinstance(x, (np.generic, np.ndarray)) else x


def _refuse(what: str) -> None:
    raise TypeError(
        f"{what} of a Tensor: there is no recorded operation of that kind. Use the Tensor's own methods, or "
        "tensor.detach().numpy() to leave the graph on purpose"
    )
