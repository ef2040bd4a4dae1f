"""How calls are written in a module that imports NumPy and math: their operators and names."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .calls import as_array, is_ufunc_method

INFIX: dict[Any, str] = {
    np.add: "+", np.subtract: "-", np.multiply: "*", np.true_divide: "/", operator.add: "+", operator.sub: "-",
    operator.mul: "*", operator.truediv: "/", operator.floordiv: "//", operator.mod: "%", operator.pow: "**",
    operator.eq: "==", operator.ne: "!=", operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=",
    operator.and_: "&", operator.or_: "|", operator.xor: "^", operator.lshift: "<<", operator.rshift: ">>",
    operator.matmul: "@", np.equal: "==", np.not_equal: "!=", np.less: "<", np.less_equal: "<=", np.greater: ">",
    np.greater_equal: ">=",
}  # fmt: skip
PREFIX: dict[Any, str] = {np.negative: "-", operator.neg: "-", operator.invert: "~"}


def name_of(function: Any) -> str:
    """What a function is called in a module that imports NumPy and math; empty if it is not known there."""
    module = getattr(function, "__module__", "") or ""
    name: str = getattr(function, "__name__", "")
    if function is as_array:
        return "np.array"
    if isinstance(function, np.ufunc) and getattr(np, name, None) is function:
        return f"np.{name}"
    for method in ("reduce", "accumulate"):
        if is_ufunc_method(function, method):
            return f"{name_of(function.__self__)}.{method}"
    if function in (float, int, bool, abs):
        return name
    if module == "math":
        return f"math.{name}"
    if module.split(".")[0] == "numpy" and getattr(np, name, None) is function:
        return f"np.{name}"
    return ""
