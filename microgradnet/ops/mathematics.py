"""Mathematical functions beyond the elementary ones; how they are computed stands in the files `special…`.

Read `elementwise` first. Those that PyTorch has under `torch.special` alone are in `microgradnet.special`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..graph import Op
from . import special, special_bessel, special_gamma
from .elementwise import _quiet, cos, exp, exp2, log, sin, where
from .public import public

# --- of two sides ----------------------------------------------------------------------------------------------------


def _reciprocal_square(a, b):
    """1 / (a² + b²), 0 at the origin."""
    square = a * a + b * b
    return where(square == 0, 0.0, 1 / where(square == 0, 1.0, square))


atan2 = Op("atan2", _quiet(np.arctan2), lambda g, _y, a, b: g * (b * _reciprocal_square(a, b)),
           lambda g, _y, a, b: -g * (a * _reciprocal_square(a, b)), numpy=np.arctan2, promotes="float",
           doc="The angle of the point (b, a), from -π to π.")
arctan2 = atan2
hypot = Op("hypot", _quiet(np.hypot), lambda g, y, a, _b: g * (a / y), lambda g, y, _a, b: g * (b / y), numpy=np.hypot,
           promotes="float", doc="√(a² + b²), without overflow.")

# --- logarithms ------------------------------------------------------------------------------------------------------

logaddexp = Op("logaddexp", _quiet(np.logaddexp), lambda g, _y, a, b: g / (1 + exp(b - a)),
               lambda g, _y, a, b: g / (1 + exp(a - b)), numpy=np.logaddexp, promotes="float",
               doc="log(eᵃ + eᵇ), without overflow.")
logaddexp2 = Op("logaddexp2", _quiet(np.logaddexp2), lambda g, _y, a, b: g / (1 + exp2(b - a)),
                lambda g, _y, a, b: g / (1 + exp2(a - b)), numpy=np.logaddexp2, promotes="float",
                doc="log₂(2ᵃ + 2ᵇ), without overflow.")


@_quiet
def _xlogy(x, y):
    logarithm = np.log(y, dtype=np.result_type(x, y, np.float16))  # as precise as the product
    return np.where((x == 0) & ~np.isnan(y), 0.0, x * logarithm)


xlogy = Op("xlogy", _xlogy, lambda g, _y, a, b: where((a == 0) & (b <= 0), 0.0, g * log(b)),
           lambda g, _y, a, b: g * (a / b), promotes="float", doc="a log b, and 0 where a is 0")


@_quiet
def _logit(x, eps=None):
    if eps is not None:
        x = np.minimum(np.maximum(x, eps), 1 - eps)
    return np.log(x / (1.0 - x))


def _logit_rule(g, _y, x, eps=None):
    low, high = (0, 1) if eps is None else (eps, 1 - eps)
    return where((x < low) | (x > high), math.nan if eps is None else 0.0, g / (x * (1 - x)))


logit = Op("logit", lambda x, /, eps=None: _logit(x, eps), _logit_rule, promotes="float",
           doc="log(x / (1 - x)), the inverse of sigmoid; with `eps`, x is first held within [eps, 1 - eps].")

# --- sin x / x -------------------------------------------------------------------------------------------------------


@_quiet
def _sinc(x):
    return np.where(x == 0, 1.0, np.sin(np.pi * x) / (np.pi * x)).astype(x.dtype)


def _sinc_rule(g, _y, x):
    safe = where(x == 0, 1.0, x)
    slope = (cos(math.pi * x) - sin(math.pi * x) / (math.pi * safe)) / safe
    return g * where(x == 0, 0.0, slope)


sinc = Op("sinc", _sinc, _sinc_rule, numpy=np.sinc, promotes="float", doc="sin(πx) / (πx), and 1 at 0")

# --- the error function ----------------------------------------------------------------------------------------------

erfc = Op("erfc", lambda x, /: special.erfc(x), lambda g, _y, x: -g * (2 / math.sqrt(math.pi) * exp(-x * x)),
          promotes="float", doc="1 - erf(x), accurate where that difference cancels.")
erfinv = Op("erfinv", lambda x, /: special.erfinv(x), lambda g, y, _x: g * (math.sqrt(math.pi) / 2 * exp(y * y)),
            promotes="float", doc="The y with erf(y) = x.")

# --- the gamma function ----------------------------------------------------------------------------------------------

lgamma = Op("lgamma", lambda x, /: special_gamma.lgamma(x), lambda g, _y, x: g * digamma(x), promotes="float",
            doc="log |Γ(x)|")
digamma = Op("digamma", lambda x, /: special_gamma.digamma(x), lambda g, _y, x: g * _polygamma(x, n=1),
             promotes="float", doc="ψ(x) = Γ'(x) / Γ(x)")
_polygamma = Op("polygamma", lambda x, /, n: special_gamma.polygamma(x, n),
                lambda g, _y, x, n: g * _polygamma(x, n=n + 1), promotes="float",
                doc="ψ⁽ⁿ⁾(x), the n-th derivative of digamma.")


def polygamma(n: int, input: Any) -> Any:
    """The n-th derivative of `digamma`. As a method: x.polygamma(n)."""
    if n < 0:
        raise RuntimeError(f"polygamma(): there is no derivative of negative order, got n = {n}")
    return _polygamma(input, n=n)


def mvlgamma(input: Any, p: int) -> Any:
    """The logarithm of the gamma function of dimension p: p (p - 1)/4 log π + Σ log Γ(x - j/2) over j < p."""
    if p < 1:
        raise RuntimeError(f"mvlgamma(): p must be at least 1, got {p}")
    return lgamma(input.unsqueeze(-1) - 0.5 * np.arange(p)).sum(-1) + p * (p - 1) / 4 * math.log(math.pi)


def _no_derivative(name: str) -> NoReturn:
    raise NotImplementedError(f"{name}() has no derivative by its first argument, which requires grad; detach() it")


def _density(a, x):
    """xᵃ⁻¹ e⁻ˣ / Γ(a), what the incomplete gamma functions are the integral of."""
    return exp((a - 1) * log(x) - x - lgamma(a + 0 * x))  # in the dtype of both


igamma = Op("igamma", lambda a, x, /: special_gamma.igamma(a, x), lambda g, _y, _a, _x: _no_derivative("igamma"),
            lambda g, _y, a, x: g * _density(a, x), promotes="float",
            doc="The regularized lower incomplete gamma function P(a, x); its derivative is that by x.")
igammac = Op("igammac", lambda a, x, /: special_gamma.igammac(a, x), lambda g, _y, _a, _x: _no_derivative("igammac"),
             lambda g, _y, a, x: -g * _density(a, x), promotes="float",
             doc="The regularized upper incomplete gamma function Q(a, x) = 1 - P(a, x).")

# --- Bessel functions ------------------------------------------------------------------------------------------------


def _bessel_ratio(y, x):
    """I₁(x) / x, ½ at 0."""
    return where(x == 0, 0.5, y / where(x == 0, 1.0, x))


i0 = Op("i0", lambda x, /: special_bessel.bessel_i(x, 0, False), lambda g, _y, x: g * _i1(x), numpy=np.i0,
        promotes="float", doc="The modified Bessel function of the first kind, of order 0.")
_i1 = Op("i1", lambda x, /: special_bessel.bessel_i(x, 1, False), lambda g, y, x: g * (i0(x) - _bessel_ratio(y, x)),
         promotes="float", doc="The modified Bessel function of the first kind, of order 1.")

if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals())
