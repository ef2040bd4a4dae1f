"""Special functions under PyTorch's names, `torch.special`: those of the package, and those that are only here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .graph import Op
from .ops import (
    digamma,
    erf,
    erfc,
    erfinv,
    exp2,
    expm1,
    i0,
    igamma,
    igammac,
    lgamma,
    log1p,
    log_softmax,
    logit,
    logsumexp,
    mvlgamma,
    polygamma,
    round,
    sigmoid,
    sinc,
    softmax,
    special_bessel,
    special_gamma,
    xlogy,
)  # fmt: skip
from .ops import special as _special
from .ops.elementwise import _quiet, exp, log, mul, sign, where
from .ops.elementwise import log1p as _log1p
from .ops.mathematics import _bessel_ratio, _no_derivative
from .ops.mathematics import _i1 as i1
from .tensor import Tensor

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc", "gammaln",
    "i0", "i0e", "i1", "i1e", "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp", "modified_bessel_i0",
    "modified_bessel_i1", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round", "sinc", "softmax",
    "spherical_bessel_j0", "xlog1py", "xlogy", "zeta",
]  # fmt: skip

expit, psi, gammaln, gammainc, gammaincc, multigammaln = sigmoid, digamma, lgamma, igamma, igammac, mvlgamma
modified_bessel_i0, modified_bessel_i1 = i0, i1


@_quiet
def _entropy(x):
    return np.where(x == 0, 0.0, np.where(x < 0, -np.inf, x * -np.log(np.where(x < 0, 1, x)))).astype(x.dtype)


entr = Op("entr", lambda x, /: _entropy(x), lambda g, _y, x: -g * (1 + log(x)), promotes="float",
          doc="-x log x, 0 at 0 and -inf for negative x")


@_quiet
def _xlog1py(x, y):
    logarithm = np.log1p(y, dtype=np.result_type(x, y, np.float16))
    return np.where((x == 0) & ~np.isnan(y), 0.0, x * logarithm)


xlog1py = Op("xlog1py", _xlog1py, lambda g, _y, a, b: where((a == 0) & (b <= -1), 0.0, g * _log1p(b)),
             lambda g, _y, a, b: g * (a / (b + 1)), promotes="float", doc="a log(1 + b), and 0 where a is 0")

# --- the normal distribution -----------------------------------------------------------------------------------------

erfcx = Op("erfcx", lambda x, /: _special.erfcx(x), lambda g, y, x: g * (2 * x * y - 2 / math.sqrt(math.pi)),
           promotes="float", doc="exp(x²) erfc(x), the tail without its underflow.")
ndtri = Op("ndtri", lambda x, /: _special.ndtri(x), lambda g, y, _x: g * (math.sqrt(2 * math.pi) * exp(y * y / 2)),
           promotes="float", doc="The quantile function of the standard normal distribution.")
log_ndtr = Op("log_ndtr", lambda x, /: _special.log_ndtr(x),
              lambda g, _y, x: g * (math.sqrt(2 / math.pi) / erfcx(x * -math.sqrt(0.5))), promotes="float",
              doc="The logarithm of the normal distribution function.")


def ndtr(input: Any, *, out: Tensor | None = None) -> Any:
    """The distribution function of the standard normal distribution, accurate in the left tail."""
    return mul(erfc(input * -math.sqrt(0.5)), 0.5, out=out)


# --- Bessel functions, scaled; Hurwitz' zeta function ----------------------------------------------------------------

i0e: Op = Op("i0e", lambda x, /: special_bessel.bessel_i(x, 0, True), lambda g, y, x: g * (i1e(x) - sign(x) * y),
         promotes="float", doc="i0(x) · e^-|x|")
i1e: Op = Op("i1e", lambda x, /: special_bessel.bessel_i(x, 1, True),
         lambda g, y, x: g * (i0e(x) - sign(x) * y - _bessel_ratio(y, x)), promotes="float", doc="i1(x) · e^-|x|")
zeta: Op = Op("zeta", lambda x, q, /: special_gamma.zeta(x, q), lambda g, _y, _x, _q: _no_derivative("zeta"),
          lambda g, _y, x, q: -g * (x * zeta(x + 1, q)), promotes="float",
          doc="Hurwitz' zeta function Σ (q + k)^-x over k >= 0, by whose second argument it has a derivative.")


def spherical_bessel_j0(input: Any) -> Any:
    """sin(x) / x, and 1 at 0"""
    return sinc(input / math.pi)
