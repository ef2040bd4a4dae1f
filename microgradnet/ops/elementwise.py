"""Operations element by element: NumPy's forward, and the derivative beside it.

Read an entry as: name, how it is computed, what a gradient `g` of the result becomes for each operand. A rule need not
undo broadcasting. A name that begins with `_` is a value the rule does not read (see `graph.Op`).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import promote, result_type
from ..graph import Op
from ..tensor import Tensor, describe
from . import special
from .public import public

_INT64 = np.dtype(np.int64)


def _quiet(function: Callable) -> Callable:
    """A forward without NumPy's warnings: inf and nan are its values where the mathematics has none."""

    def unary(x, /):
        with np.errstate(all="ignore"):
            return function(x)

    def binary(a, b, /):
        with np.errstate(all="ignore"):
            return function(a, b)

    arity = function.nin if isinstance(function, np.ufunc) else function.__code__.co_argcount
    return unary if arity == 1 else binary


def _zero(g, _y, _x):
    """The derivative of a step function."""
    return _where(False, g, 0.0)


# The forwards of + - * are Python's operators: on the NumPy scalars of shape () they are ten times faster than ufuncs.

# --- arithmetic -----------------------------------------------------------------------------------------------------

_add = Op("add", operator.add, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: g, numpy=np.add,
          promotes=True)
_sub = Op("sub", operator.sub, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: -g, numpy=np.subtract,
          promotes=True)
mul = Op("mul", operator.mul, lambda g, _y, _a, b: g * b, lambda g, _y, a, _b: g * a, numpy=np.multiply,
         promotes=True, doc="a · b")
neg = Op("neg", np.negative, lambda g, _y, _x: -g, doc="-x")
abs = Op("abs", np.absolute, lambda g, _y, x: g * sign(x), doc="|x|; the gradient at 0 is 0")
square = Op("square", np.square, lambda g, _y, x: g * (2 * x), doc="x²")


def _divide(a, b, /):
    with np.errstate(all="ignore"):
        return np.true_divide(a, b)


_div = Op("div", _divide, lambda g, _y, _a, b: g / b, lambda g, _y, a, b: -g * (a / b / b), numpy=np.true_divide,
          promotes="float", doc="a / b")
reciprocal = Op("reciprocal", _quiet(np.reciprocal), lambda g, y, _x: -g * (y * y), numpy=np.reciprocal,
                promotes="float", doc="1 / x")


def _power(a, b, /):
    with np.errstate(all="ignore"):
        if isinstance(b, int) and b < 0 and getattr(a, "dtype", _INT64).kind in "iub":
            raise ValueError("whole numbers have no negative powers; convert the base with .float()")
        try:
            return a**b
        except ValueError:  # to negative powers in a tensor: 1 / aⁿ rounded towards 0, as in PyTorch
            unit, odd = np.abs(a) == 1, np.asarray(b) % 2 == 1
            return np.where(b < 0, np.where(unit, np.where(odd, a, 1), 0), a ** np.maximum(b, 0))


def _power_rule_base(g, _y, a, b):
    if isinstance(b, (int, float)):  # the usual case, a constant exponent; x**0 is 1 everywhere, 0 included
        return _zero(g, None, None) if b == 0 else g if b == 1 else g * (b * (a if b == 2 else a ** (b - 1)))
    return where(b == 0, 0.0, g * (b * a ** where(b == 0, 1.0, b - 1)))


def _power_rule_exponent(g, y, a, b):
    # 0**b is constant in b for b > 0; the logarithm of 0 would make it nan, and that of 1 makes it 0.
    base = np.asarray(a, y.dtype) if isinstance(a, (int, float)) else a
    return g * (y * log(where((a == 0) & (b >= 0), 1.0, base)))


pow = Op("pow", _power, _power_rule_base, _power_rule_exponent, numpy=np.power, promotes=True, doc="a to the power b")


def _whole_divisor(a, b):
    """Refuse to divide whole numbers by 0, which NumPy would answer with 0."""
    kinds = {getattr(v, "dtype", np.asarray(v).dtype).kind for v in (a, b)}
    if "f" not in kinds and not np.all(b):
        raise ZeroDivisionError("whole numbers have no quotient by 0")


def _floor_divided(a, b, /):
    _whole_divisor(a, b)
    with np.errstate(all="ignore"):
        return np.floor_divide(a, b)


def _remainder(a, b, /):
    _whole_divisor(a, b)
    with np.errstate(all="ignore"):
        return np.remainder(a, b)


floor_divide = Op("floor_divide", _floor_divided, lambda g, _y, _a, _b: _zero(g, _y, _a),
                  lambda g, _y, _a, _b: _zero(g, _y, _b), numpy=np.floor_divide, promotes=True,
                  doc="a / b, rounded down; its derivative is 0 where there is one")
remainder = Op("remainder", _remainder, lambda g, _y, _a, _b: g, lambda g, _y, a, b: -g * floor_divide(a, b),
               numpy=np.remainder, promotes=True, doc="a - b ⌊a / b⌋, with the sign of b")


def add(input: Any, other: Any, *, alpha: float = 1, out: Tensor | None = None) -> Any:
    """input + alpha · other"""
    other = other if alpha == 1 else other * alpha
    return _add(input, other) if out is None else _add(input, other, out=out)


def sub(input: Any, other: Any, *, alpha: float = 1, out: Tensor | None = None) -> Any:
    """input - alpha · other"""
    other = other if alpha == 1 else other * alpha
    return _sub(input, other) if out is None else _sub(input, other, out=out)


def div(input: Any, other: Any, *, rounding_mode: str | None = None, out: Tensor | None = None) -> Any:
    """input / other; rounding_mode 'floor' rounds down, 'trunc' towards zero."""
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode not in (None, "trunc"):
        raise RuntimeError(f"div(): rounding_mode must be None, 'floor' or 'trunc', got {rounding_mode!r}")
    if rounding_mode == "trunc":
        return _truncated_quotient(input, other)
    return _div(input, other) if out is None else _div(input, other, out=out)


def _truncated_quotient(a, b):
    if result_type(a, b).kind == "f":
        return trunc(_div(a, b))
    quotient = floor_divide(a, b)  # exact, as a division in floating point would not be
    return quotient + ((quotient < 0) & (remainder(a, b) != 0))


# --- exponentials and roots -----------------------------------------------------------------------------------------

exp = Op("exp", _quiet(np.exp), lambda g, y, _x: g * y, numpy=np.exp, promotes="float", doc="eˣ")
exp2 = Op("exp2", _quiet(np.exp2), lambda g, y, _x: g * (y * math.log(2)), numpy=np.exp2, promotes="float", doc="2ˣ")
expm1 = Op("expm1", _quiet(np.expm1), lambda g, y, _x: g * (y + 1), numpy=np.expm1, promotes="float",
           doc="eˣ - 1, accurate near 0")
log = Op("log", _quiet(np.log), lambda g, _y, x: g / x, numpy=np.log, promotes="float", doc="The natural logarithm.")
log2 = Op("log2", _quiet(np.log2), lambda g, _y, x: g / (x * math.log(2)), numpy=np.log2, promotes="float",
          doc="The logarithm to base 2.")
log10 = Op("log10", _quiet(np.log10), lambda g, _y, x: g / (x * math.log(10)), numpy=np.log10, promotes="float",
           doc="The logarithm to base 10.")
log1p = Op("log1p", _quiet(np.log1p), lambda g, _y, x: g / (1 + x), numpy=np.log1p, promotes="float",
           doc="log(1 + x), accurate near 0")
sqrt = Op("sqrt", _quiet(np.sqrt), lambda g, y, _x: g / (2 * y), numpy=np.sqrt, promotes="float",
          doc="√x; the gradient at 0 is inf")
rsqrt = Op("rsqrt", _quiet(lambda x: 1 / np.sqrt(x)), lambda g, y, _x: g * (-0.5 * y**3), promotes="float",
           doc="1 / √x")

# --- trigonometric and hyperbolic -----------------------------------------------------------------------------------

sin = Op("sin", _quiet(np.sin), lambda g, _y, x: g * cos(x), numpy=np.sin, promotes="float", doc="sin x")
cos = Op("cos", _quiet(np.cos), lambda g, _y, x: -g * sin(x), numpy=np.cos, promotes="float", doc="cos x")
tan = Op("tan", _quiet(np.tan), lambda g, y, _x: g * (1 + y * y), numpy=np.tan, promotes="float", doc="tan x")
asin = Op("asin", _quiet(np.arcsin), lambda g, _y, x: g * rsqrt(1 - x * x), numpy=np.arcsin, promotes="float",
          doc="arcsin x")
acos = Op("acos", _quiet(np.arccos), lambda g, _y, x: -g * rsqrt(1 - x * x), numpy=np.arccos, promotes="float",
          doc="arccos x")
atan = Op("atan", np.arctan, lambda g, _y, x: g / (1 + x * x), promotes="float", doc="arctan x")
sinh = Op("sinh", _quiet(np.sinh), lambda g, _y, x: g * cosh(x), numpy=np.sinh, promotes="float", doc="sinh x")
cosh = Op("cosh", _quiet(np.cosh), lambda g, _y, x: g * sinh(x), numpy=np.cosh, promotes="float", doc="cosh x")
tanh = Op("tanh", np.tanh, lambda g, y, _x: g * (1 - y * y), promotes="float", doc="tanh x")
asinh = Op("asinh", np.arcsinh, lambda g, _y, x: g * rsqrt(x * x + 1), promotes="float", doc="arsinh x")
acosh = Op("acosh", _quiet(np.arccosh), lambda g, _y, x: g * rsqrt(x * x - 1), numpy=np.arccosh, promotes="float",
           doc="arcosh x")
atanh = Op("atanh", _quiet(np.arctanh), lambda g, _y, x: g / (1 - x * x), numpy=np.arctanh, promotes="float",
           doc="artanh x")
erf = Op("erf", lambda x, /: special.erf(x), lambda g, _y, x: g * (2 / math.sqrt(math.pi) * exp(-x * x)),
         promotes="float", doc="The error function, 2/√π ∫₀ˣ exp(-t²) dt.")

# --- steps: recorded, with a derivative that is 0 where it exists -----------------------------------------------------

sign = Op("sign", np.sign, _zero, doc="-1, 0 or 1")
floor = Op("floor", np.floor, _zero, doc="Rounded down.")
ceil = Op("ceil", np.ceil, _zero, doc="Rounded up.")
trunc = Op("trunc", np.trunc, _zero, doc="Rounded towards zero.")
round = Op("round", lambda x, /, decimals=0: np.round(x, decimals), lambda g, _y, _x, decimals=0: _zero(g, _y, _x),
           numpy=np.round, doc="Rounded to the nearest, halves to even.")

# --- comparisons and logic: no derivative -----------------------------------------------------------------------------


def _comparison(compare: np.ufunc) -> Callable:
    """NumPy compares numbers of different kinds exactly, PyTorch after promotion."""

    def forward(a, b, /):
        if hasattr(b, "dtype"):
            mixed = getattr(a, "dtype", None) is not b.dtype
        else:
            mixed = isinstance(b, float) and a.dtype.kind != "f"
        if mixed:
            dtype = promote((a, b))
            a, b = (v.astype(dtype) if hasattr(v, "dtype") else dtype.type(v) for v in (a, b))
        return compare(a, b)

    return forward


eq = Op("eq", _comparison(np.equal), numpy=np.equal, doc="a == b")
ne = Op("ne", _comparison(np.not_equal), numpy=np.not_equal, doc="a != b")
lt = Op("lt", _comparison(np.less), numpy=np.less, doc="a < b")
le = Op("le", _comparison(np.less_equal), numpy=np.less_equal, doc="a <= b")
gt = Op("gt", _comparison(np.greater), numpy=np.greater, doc="a > b")
ge = Op("ge", _comparison(np.greater_equal), numpy=np.greater_equal, doc="a >= b")
logical_and = Op("logical_and", np.logical_and, doc="a and b")
logical_or = Op("logical_or", np.logical_or, doc="a or b")
logical_xor = Op("logical_xor", np.logical_xor, doc="Either a or b.")
logical_not = Op("logical_not", np.logical_not, doc="not x")
bitwise_and = Op("bitwise_and", np.bitwise_and, promotes=True, doc="a & b")
bitwise_or = Op("bitwise_or", np.bitwise_or, promotes=True, doc="a | b")
bitwise_xor = Op("bitwise_xor", np.bitwise_xor, promotes=True, doc="a ^ b")
bitwise_not = Op("bitwise_not", np.invert, doc="~x")
bitwise_left_shift = Op("bitwise_left_shift", np.left_shift, promotes=True, doc="a << b")
bitwise_right_shift = Op("bitwise_right_shift", np.right_shift, promotes=True, doc="a >> b")
isnan = Op("isnan", np.isnan, doc="Where x is nan.")
isinf = Op("isinf", np.isinf, doc="Where x is inf or -inf.")
isfinite = Op("isfinite", np.isfinite, doc="Where x is neither nan nor infinite.")

# --- choosing ---------------------------------------------------------------------------------------------------------


def _share(g, mine, other):
    """The gradient goes to the larger operand; equal ones get half each."""
    return where(mine == other, g / 2, where(mine > other, g, 0.0))


maximum = Op("maximum", np.maximum, lambda g, _y, a, b: _share(g, a, b), lambda g, _y, a, b: _share(g, b, a),
             promotes=True, doc="The larger of a and b; where they are equal each gets half of the gradient.")
minimum = Op("minimum", np.minimum, lambda g, _y, a, b: _share(g, b, a), lambda g, _y, a, b: _share(g, a, b),
             promotes=True, doc="The smaller of a and b; where they are equal each gets half of the gradient.")


_MANY = 8192  # elements, above which a processor no longer remembers how a condition went in the step before


def _chosen(condition, a, b, /):
    if type(condition) is np.ndarray and condition.dtype == bool and condition.size > _MANY:
        fits = all(type(x) is float or _is_plain(x, condition.shape) for x in (a, b))
        if fits and np.ndarray in (type(a), type(b)):
            return _chosen_by_bits(condition, a, b)
    return np.where(condition, a, b)


def _is_plain(x, shape):
    return type(x) is np.ndarray and x.dtype == np.float32 and x.shape == shape


def _chosen_by_bits(condition, a, b):
    """The same for float32, up to seven times as fast where the condition follows no pattern: nothing is guessed."""
    mask = condition.astype(np.int32)
    np.negative(mask, out=mask)  # all bits, or none
    a, b = (np.asarray(x, np.float32).view(np.int32) for x in (a, b))
    bits = a ^ b
    bits &= mask
    bits ^= b
    return bits.view(np.float32)


_where = Op("where", _chosen, None,
            lambda g, _y, c, _a, _b: where(c, g, 0.0), lambda g, _y, c, _a, _b: where(c, 0.0, g), numpy=np.where,
            promotes=True, doc="a where the condition holds, b elsewhere.")


def _clipped(x, low, high, /):
    if low is not None:
        x = np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _within(x, low, high):
    inside = True if low is None else x >= low
    return inside if high is None else inside & (x <= high)


def _below(x, low, high):
    return x < low if high is None else (x < low) & (low <= high)


def _above(x, low, high):
    return x > high if low is None else (x > high) | (low > high)


_clamp = Op("clamp", _clipped, lambda g, _y, x, low, high: where(_within(x, low, high), g, 0.0),
            lambda g, _y, x, low, high: where(_below(x, low, high), g, 0.0),
            lambda g, _y, x, low, high: where(_above(x, low, high), g, 0.0), promotes=True,
            doc="min(max(x, low), high), a bound of None left out; a bound gets the gradient where it replaces x.")


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """The input, brought to within [min, max]; at a bound the gradient passes, beyond it is 0.

    min, max: numbers, or tensors that broadcast, which then get the gradient of the elements they replaced.
    """
    if min is None and max is None:
        raise RuntimeError("clamp(): give at least one of min and max")
    return _clamp(input, min, max)


clip = clamp


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """`input` where the condition holds, `other` elsewhere, broadcast.

    The branch not taken gets a gradient of exactly 0 here; but if its own derivative is infinite there, the chain rule
    multiplies 0 by inf, as in PyTorch: `where(x > 0, sqrt(x), 0)` has a nan gradient at 0. Choose a safe argument
    first.

    With the condition alone: the indices where it holds, one int64 tensor per dimension.
    """
    if input is None and other is None:
        return tuple(Tensor(i) for i in np.nonzero(condition.array))
    if input is None or other is None:
        raise TypeError("where() takes a condition alone, or a condition and two choices")
    if isinstance(condition, Tensor) and condition.dtype.kind != "b":
        raise RuntimeError(f"where(): the condition must be a boolean tensor, got {describe(condition)}; use != 0")
    return _where(condition, input, other)

multiply, subtract, divide, true_divide, negative, absolute = mul, sub, div, div, neg, abs
arcsin, arccos, arctan, arcsinh, arccosh, arctanh, fix, sgn = asin, acos, atan, asinh, acosh, atanh, trunc, sign
less, less_equal, greater, greater_equal, not_equal = lt, le, gt, ge, ne

if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals())
