"""More arithmetic element by element: remainders, the sign, the parts of a floating number, whole numbers, and what is
composed of sums and products. Read `elementwise` first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import return_types
from ..dtypes import float64
from ..graph import Op
from ..tensor import Tensor, describe
from .elementwise import _quiet, _whole_divisor, _zero, clamp, isfinite, isnan, mul, pow, sign, sub, trunc, where
from .public import public

# --- remainders and rounding -----------------------------------------------------------------------------------------


def _fmod(a, b, /):
    _whole_divisor(a, b)
    with np.errstate(all="ignore"):
        return np.fmod(a, b)


fmod = Op("fmod", _fmod, lambda g, _y, _a, _b: g, lambda g, _y, a, b: -g * trunc(a / b), numpy=np.fmod, promotes=True,
          doc="a - b · trunc(a / b), with the sign of a")
frac = Op("frac", _quiet(lambda x: x - np.trunc(x)), lambda g, _y, _x: g, doc="The part behind the point, signed as x.")

# --- the sign --------------------------------------------------------------------------------------------------------

copysign = Op("copysign", _quiet(np.copysign), lambda g, y, a, _b: g * (sign(a) * sign(y)),
              lambda g, _y, _a, _b: _zero(g, _y, _b), numpy=np.copysign, promotes="float", doc="|a| with the sign of b")
signbit = Op("signbit", lambda x, /: np.signbit(x) if x.dtype.kind == "f" else x < 0,
             doc="Where the sign is negative, that of -0.0 too.")
angle = Op("angle", lambda x, /: np.where(x < 0, math.pi, np.where(x > 0, 0, x)).astype(x.dtype) + 0.0, _zero,
           promotes="float", doc="π for negative numbers, 0 for others.")


def _heaviside(a, b, /):
    if not hasattr(b, "dtype"):
        b = a.dtype.type(b)
    elif not hasattr(a, "dtype"):
        a = b.dtype.type(a)
    if a.dtype != b.dtype:
        raise TypeError(f"both need one dtype, got {a.dtype} and {b.dtype}")
    return np.where(a == 0, b, (a > 0).astype(a.dtype))


heaviside = Op("heaviside", _heaviside, numpy=np.heaviside, doc="0 for negative a, 1 for positive a, b where a is 0")
isposinf = Op("isposinf", lambda x, /: x == np.inf, doc="Where x is inf.")
isneginf = Op("isneginf", lambda x, /: x == -np.inf, doc="Where x is -inf.")
isreal = Op("isreal", lambda x, /: np.ones_like(x, bool), doc="Where x has no imaginary part: everywhere.")


def positive(input: Any) -> Any:
    """The input itself; booleans have no sign."""
    if input.dtype.kind == "b":
        raise RuntimeError(f"positive(): the operator + has no meaning for booleans, got {describe(input)}")
    return input


# --- the parts of a floating number ----------------------------------------------------------------------------------


def _numbered(x, /, nan=0.0, posinf=None, neginf=None):
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


nan_to_num = Op("nan_to_num", _numbered,
                lambda g, _y, x, nan=0.0, posinf=None, neginf=None: where(isfinite(x), g, 0.0),
                doc="nan as `nan`, inf as `posinf`, -inf as `neginf`; without these the extreme numbers of the dtype.")
nextafter = Op("nextafter", _quiet(np.nextafter), lambda g, _y, a, b: where(a == b, 0.0, g),
               lambda g, _y, _a, _b: _zero(g, _y, _b), numpy=np.nextafter, promotes="float",
               doc="The floating number next to a, towards b.")


def _frexp(x, /):
    if x.dtype.kind != "f":
        raise TypeError(f"only floating numbers have a mantissa and an exponent, got {x.dtype}")
    mantissa, exponent = np.frexp(x)
    return mantissa, np.where(np.isfinite(x), exponent, 0)


_frexp_op = Op("frexp", _frexp, lambda g, y, _x: g[0] * 0.5 ** y[1],
               doc="(mantissa, exponent) with x = mantissa · 2^exponent and |mantissa| in [½, 1).")


def frexp(input: Any) -> return_types.frexp:
    """(mantissa, exponent) with input = mantissa · 2^exponent and |mantissa| in [½, 1)."""
    return return_types.frexp(_frexp_op(input))


def ldexp(input: Any, other: Any) -> Any:
    """input · 2^other"""
    if other.dtype.kind != "f" and input.dtype.kind == "f":
        other = other.to(input.dtype)
    return mul(input, pow(2.0, other))


# --- whole numbers ---------------------------------------------------------------------------------------------------

gcd = Op("gcd", np.gcd, promotes=True, doc="The greatest common divisor of whole numbers.")
lcm = Op("lcm", np.lcm, promotes=True, doc="The least common multiple of whole numbers.")

# --- choosing --------------------------------------------------------------------------------------------------------

fmax = Op("fmax", np.fmax, lambda g, _y, a, b: where((a >= b) | isnan(b), g, 0.0),
          lambda g, _y, a, b: where((a >= b) | isnan(b), 0.0, g), promotes=True,
          doc="The larger of a and b, the other one where one is nan; among equals a gets the gradient.")
fmin = Op("fmin", np.fmin, lambda g, _y, a, b: where((a <= b) | isnan(b), g, 0.0),
          lambda g, _y, a, b: where((a <= b) | isnan(b), 0.0, g), promotes=True,
          doc="The smaller of a and b, the other one where one is nan; among equals a gets the gradient.")


def clamp_min(input: Any, min: Any) -> Any:
    """The input where it is above min, min elsewhere."""
    return clamp(input, min)


def clamp_max(input: Any, max: Any) -> Any:
    """The input where it is below max, max elsewhere."""
    return clamp(input, None, max)


# --- sums and products -----------------------------------------------------------------------------------------------

deg2rad = Op("deg2rad", lambda x, /: x * (math.pi / 180), lambda g, _y, _x: g * (math.pi / 180), numpy=np.deg2rad,
             promotes="float", doc="Degrees as radians.")
rad2deg = Op("rad2deg", lambda x, /: x * (180 / math.pi), lambda g, _y, _x: g * (180 / math.pi), numpy=np.rad2deg,
             promotes="float", doc="Radians as degrees.")


def rsub(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """other - alpha · input"""
    return sub(other, input, alpha=alpha)


def float_power(input: Any, exponent: Any) -> Any:
    """input to the power exponent, in float64."""
    return pow(_in_double(input), _in_double(exponent))


def _in_double(x: Any) -> Any:
    return x.to(float64) if isinstance(x, Tensor) else float(x)


def _addcmul(input, tensor1, tensor2, /, value=1):
    product = tensor1 * tensor2
    return input + (product if value == 1 else value * product)


addcmul = Op("addcmul", _addcmul,
             lambda g, _y, _x, _a, _b, value=1: g, lambda g, _y, _x, _a, b, value=1: g * (value * b),
             lambda g, _y, _x, a, _b, value=1: g * (value * a), promotes=True, doc="input + value · tensor1 · tensor2")


def _addcdiv(input, tensor1, tensor2, /, value=1):
    if tensor1.dtype.kind != "f" and tensor2.dtype.kind != "f":
        raise TypeError("whole numbers do not divide here; convert one with .float()")
    with np.errstate(all="ignore"):
        quotient = tensor1 / tensor2
        return input + (quotient if value == 1 else value * quotient)


addcdiv = Op("addcdiv", _addcdiv, lambda g, _y, _x, _a, _b, value=1: g,
             lambda g, _y, _x, _a, b, value=1: g * (value / b),
             lambda g, _y, _x, a, b, value=1: -g * (value * (a / (b * b))), promotes=True,
             doc="input + value · tensor1 / tensor2")


def _lerp(input, end, weight, /):
    if input.dtype != end.dtype:
        raise TypeError(f"start and end need one dtype, got {input.dtype} and {end.dtype}")
    with np.errstate(all="ignore"):
        way = end - input
        if type(weight) is float:
            return input + weight * way if abs(weight) < 0.5 else end - way * (1 - weight)
        return np.where(np.abs(weight) < 0.5, input + weight * way, end - way * (1 - weight)).astype(way.dtype)


lerp = Op("lerp", _lerp, lambda g, _y, _a, _b, w: g * (1 - w), lambda g, _y, _a, _b, w: g * w,
          lambda g, _y, a, b, _w: g * (b - a), promotes=True,
          doc="start + weight · (end - start), exactly `end` at weight 1")

if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals())
