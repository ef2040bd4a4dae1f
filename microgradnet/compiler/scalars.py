"""Steps as statements on numbers: which of a program's steps have such a form, and how it is written."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from .calls import as_array, cast, copied, is_ufunc_method
from .naming import dtype_text
from .program import Step, Value, values_in

# A function of numbers; `{}` are its arguments, in the dtype in which it computes.
TEMPLATES: dict[Any, str] = {
    np.add: "{} + {}", np.subtract: "{} - {}", np.multiply: "{} * {}", np.true_divide: "{} / {}",
    operator.add: "{} + {}", operator.sub: "{} - {}", operator.mul: "{} * {}", operator.truediv: "{} / {}",
    np.negative: "-{}", operator.neg: "-{}", np.positive: "{}", np.square: "{0} * {0}", np.reciprocal: "one / {}",
    np.maximum: "maximum({}, {})", np.minimum: "minimum({}, {})", np.sign: "sign({})", np.exp: "np.exp({})",
    np.tanh: "np.tanh({})", np.absolute: "abs({})", operator.abs: "abs({})", abs: "abs({})",
    float: "{}", math.sqrt: "np.sqrt({})", math.exp: "np.exp({})", math.log: "np.log({})",
}  # fmt: skip
TEMPLATES |= {getattr(np, name): f"np.{name}({{}})" for name in (
    "sqrt", "log", "log1p", "log2", "log10", "expm1", "exp2", "sin", "cos", "tan", "arctan", "arcsin", "arccos",
    "sinh", "cosh", "arcsinh", "arccosh", "arctanh", "floor", "ceil", "trunc")}  # fmt: skip
TEMPLATES |= {f: "{} ** {}" for f in (np.power, operator.pow)}
COMPARISONS: dict[Any, str] = {
    np.equal: "{} == {}", np.not_equal: "{} != {}", np.less: "{} < {}", np.less_equal: "{} <= {}",
    np.greater: "{} > {}", np.greater_equal: "{} >= {}", operator.eq: "{} == {}", operator.ne: "{} != {}",
    operator.lt: "{} < {}", operator.le: "{} <= {}", operator.gt: "{} > {}", operator.ge: "{} >= {}",
    np.isnan: "{0} != {0}", np.isfinite: "{0} - {0} == 0", np.logical_not: "not {}",
    np.logical_and: "{} and {}", np.logical_or: "{} or {}", np.bitwise_and: "{} and {}",
    np.bitwise_or: "{} or {}", np.invert: "not {}",
}  # fmt: skip
_LOGICAL = (np.logical_not, np.logical_and, np.logical_or, np.bitwise_and, np.bitwise_or, np.invert)
_OF_WHOLE_NUMBERS = {np.add, np.subtract, np.multiply, np.negative, np.positive, np.square, np.maximum, np.minimum,
                     np.absolute, operator.add, operator.sub, operator.mul, operator.neg, abs, operator.abs, float}
_OWN = {"np.exp({})": "exp_f4({})", "np.tanh({})": "tanh_f4({})"}  # for float32, of `native`
DTYPES = ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1")
REDUCED = (np.add, np.multiply, np.maximum, np.minimum)


def code(dtype: Any) -> str:
    """f4, i8, …; Python's numbers are the widest."""
    return np.dtype(dtype).str[1:]


def common_dtype(args: tuple) -> np.dtype:
    """In which a ufunc computes: Python's numbers take the dtype of the arrays."""
    kinds: list[Any] = []
    for x in args:
        dtype = x.dtype if isinstance(x, (Value, np.ndarray, np.generic)) else type(x)
        kinds.append(dtype(1) if isinstance(dtype, type) and dtype in (float, int, bool) else dtype)
    if all(isinstance(k, (float, int)) for k in kinds):
        return np.dtype(type(sum(kinds)))
    return np.result_type(*kinds)


# --- which --------------------------------------------------------------------------------------------------------


def is_elementwise(step: Step) -> bool:
    """Whether a step makes each element by a statement on numbers."""
    out, function = step.out, step.function
    if not isinstance(out, Value) or 0 in out.shape or code(out.dtype) not in DTYPES:
        return False
    if any(code(v.dtype) not in DTYPES for v in values_in(step.args)):
        return False
    if function in (cast, copied, as_array):
        return isinstance(step.args[0], (Value, float, int))
    if function is operator.getitem:
        return gathered(step) is not None
    numbers = (Value, bool, int, float, np.generic)
    if not {*step.params} <= {"order"} or not all(isinstance(x, numbers) for x in step.args):
        return False
    if function is np.where:
        return len(step.args) == 3
    if function not in TEMPLATES and function not in COMPARISONS:
        return False
    computed = code(common_dtype(step.args))
    if function in COMPARISONS:
        return code(out.dtype) == "b1" and computed != "u1" and (function not in _LOGICAL or computed == "b1")
    if len(step.args) != TEMPLATES[function].replace("{0} * {0}", "{}").count("{}"):
        return False
    whole = function in _OF_WHOLE_NUMBERS and code(out.dtype) in ("i8", "i4") and computed == code(out.dtype)
    return whole or code(out.dtype) in ("f4", "f8")


def gathered(step: Step) -> list | None:
    """Of a step that picks, or replaces, elements by arrays of whole numbers, one for each axis: these."""
    x, key = step.args[:2]
    keys = list(key) if isinstance(key, tuple) else [key]
    if not isinstance(x, Value) or len(keys) != len(x.shape) or 0 in x.shape:
        return None
    return keys if all(isinstance(k, Value) and k.shape and code(k.dtype) == "i8" for k in keys) else None


def reduced_axes(step: Step) -> tuple[int, ...] | None:
    """The axes over which a step is a sum or the like; None if it is none that a loop can make."""
    function, params = step.function, step.params
    if not is_ufunc_method(function, "reduce") or function.__self__ not in REDUCED:  # type: ignore[attr-defined]
        return None
    x = step.args[0]
    if len(step.args) != 1 or not isinstance(x, Value) or 0 in x.shape or not x.shape:
        return None
    kind = code(step.out.dtype)
    if kind not in ("f4", "f8", "i8") or code(x.dtype) not in DTYPES:
        return None
    if not {*params} <= {"axis", "keepdims", "dtype", "initial"}:
        return None
    if kind != "i8" and code(x.dtype) != kind or not isinstance(params.get("initial"), (int, float, type(None))):
        return None
    axis = params.get("axis", 0)
    axes = range(len(x.shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(sorted(a % len(x.shape) for a in axes))


# --- how ----------------------------------------------------------------------------------------------------------


def expression(step: Step, given: list[tuple[str, Any]]) -> str:
    """An elementwise step as an expression. given: its arguments, each with its dtype, None for Python's numbers."""
    function, to = step.function, np.dtype(step.out.dtype)
    if function in (cast, copied, as_array):
        return converted(*given[0], to)
    if function is np.where:
        (condition, kind), *rest = given
        if kind is not None and code(kind) != "b1":
            condition = f"{condition} != 0"
        one, other = (converted(*x, to) for x in rest)
        return f"{one} if {condition} else {other}"
    if function in COMPARISONS:
        dtype = common_dtype(step.args)
        return COMPARISONS[function].format(*(f"({converted(*x, dtype)})" for x in given))
    template = TEMPLATES[function]
    if code(to) == "f4":
        template = _OWN.get(template, template)
    text = template.replace("one", f"{dtype_text(to)}(1)").format(*(converted(*x, to) for x in given))
    keeps_dtype = template[0] in "{-" and "**" not in template
    return text if keeps_dtype else f"{dtype_text(to)}({text})"


def converted(text: str, dtype: Any, to: Any) -> str:
    """An expression of one dtype in another one."""
    if dtype is not None and np.dtype(dtype) == to:
        return text
    return f"({text} != 0)" if code(to) == "b1" else f"{dtype_text(to)}({text})"
