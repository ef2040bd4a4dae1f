"""The error function, the normal distribution and their relatives, on NumPy alone.

Published rational approximations, each good to the precision of a double (but for `erf` of a float32, which has one of
its own):

- `erf`, `erfc`, `erfcx`: W. J. Cody, "Rational Chebyshev approximations for the error function",
  Mathematics of Computation 23 (1969), 631-637.
- `erfinv`, `ndtri`: M. J. Wichura, "Algorithm AS 241: The percentage points of the normal distribution",
  Applied Statistics 37 (1988), 477-484.

Every function here keeps the shape and the floating dtype of its argument (other real dtypes become float64) and
returns an ndarray. A complex argument gives the first order in the imaginary part, f(re) + i im f'(re): what a
derivative by complex step asks for, and not the complex function.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

_BLOCK = 16384  # elements: the temporaries of one block stay in the processor's cache

# Polynomials as coefficients from the highest power down, rational functions as pairs of them.
# fmt: off
_ERF_SMALL = (  # erf(x) / x in x²; |x| <= 0.46875
    (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_ERF_SINGLE = (  # atanh(erf(x)) / x in x²: of all of this degree, that of the least relative error of erf, 9.5e-8
    1.4185201e-7, -5.6684719e-6, 8.7637305e-5, -6.1978460e-4, -1.9183187e-4, 1.0276906e-1, 1.1283793e0
)
_ERFC_MIDDLE = (  # erfc(x) exp(x²) in x; 0.46875 <= x <= 4
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)
_ERFC_LARGE = (  # x² (1/√π - x erfc(x) exp(x²)) in 1/x²; x >= 4
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)
_QUANTILE_CENTRE = (  # Φ⁻¹(½ + q) / q in 0.425² - q²; |q| <= 0.425
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
     1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
     5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
)
_QUANTILE_TAIL = (  # |Φ⁻¹(p)| in r - 1.6, r = √(-log p); 1.6 <= r <= 5
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
     3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
     6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0),
)
_QUANTILE_FAR_TAIL = (  # the same in r - 5; r >= 5
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
     2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
     1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0),
)
# fmt: on

_INVERSE_SQRT_PI = 0.5641895835477563
_INVERSE_SQRT_2 = 0.7071067811865476


def _elementwise(derivative: Callable) -> Callable:
    """Lift a function of a flat float array to arrays of any shape and dtype; `derivative` serves complex ones."""

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def lifted(x: np.ndarray) -> np.ndarray:
            x = np.asarray(x)
            result = np.empty(x.shape, x.dtype if x.dtype.kind in "fc" else np.float64)
            if x.dtype.kind == "c":
                result.real = lifted(x.real)
                result.imag = x.imag * derivative(x.real)
                return result
            flat_x, flat_result = x.ravel(), result.reshape(-1)
            work = np.promote_types(result.dtype, np.float32)  # half precision is for storage
            with np.errstate(all="ignore"):
                for start in range(0, x.size, _BLOCK):
                    block = slice(start, start + _BLOCK)
                    flat_result[block] = function(flat_x[block].astype(work, copy=False))
            return result

        return lifted

    return decorate


def _polynomial(x: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    """Horner's rule, in place."""
    result = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result *= x
        result += coefficient
    return result


def _rational(x: np.ndarray, fraction: tuple[tuple[float, ...], tuple[float, ...]]) -> np.ndarray:
    numerator, denominator = fraction
    return _polynomial(x, numerator) / _polynomial(x, denominator)


def _exp_square(x: np.ndarray, sign: int) -> np.ndarray:
    """exp(±x²) without the rounding error of x², which exp would magnify: x splits into sixteenths and a rest."""
    sixteenths = np.trunc(x * 16) / 16
    return np.exp(sign * sixteenths * sixteenths) * np.exp(sign * (x - sixteenths) * (x + sixteenths))


@_elementwise(derivative=lambda x: 2 * _INVERSE_SQRT_PI * np.exp(-x * x))
def erf(x: np.ndarray) -> np.ndarray:
    """2/√π ∫₀ˣ exp(-t²) dt."""
    if x.dtype == np.float32:
        return np.tanh(x * _polynomial(x * x, _ERF_SINGLE))
    # From 6 on the result rounds to ±1; between 4 and 6 its last digit needs erfc to eight digits only.
    y = np.minimum(np.abs(x), 6)
    y2 = y * y
    small = y * _rational(y2, _ERF_SMALL)
    middle = 1 - np.exp(-y2) * _rational(y, _ERFC_MIDDLE)
    return np.copysign(np.where(y <= 0.46875, small, middle), x)


def _scaled_tail(y: np.ndarray) -> np.ndarray:
    """erfc(y) exp(y²) for y > 0.46875."""
    t = 1 / np.maximum(y, 4)
    large = t * (_INVERSE_SQRT_PI - t * t * _rational(t * t, _ERFC_LARGE))
    return np.where(y <= 4, _rational(np.minimum(y, 4), _ERFC_MIDDLE), large)


@_elementwise(derivative=lambda x: -2 * _INVERSE_SQRT_PI * np.exp(-x * x))
def erfc(x: np.ndarray) -> np.ndarray:
    """1 - erf(x), accurate where that difference cancels."""
    y = np.minimum(np.abs(x), 28)  # erfc(28) is 0 in float64
    small = 1 - x * _rational(y * y, _ERF_SMALL)
    tail = _exp_square(y, -1) * _scaled_tail(y)
    return np.where(y <= 0.46875, small, np.where(x < 0, 2 - tail, tail))


@_elementwise(derivative=lambda x: 2 * x * erfcx(x) - 2 * _INVERSE_SQRT_PI)
def erfcx(x: np.ndarray) -> np.ndarray:
    """exp(x²) erfc(x): the tail of the normal distribution without its underflow."""
    y = np.abs(x)
    middle = np.minimum(y, 0.46875)
    small = np.exp(middle * middle) * (1 - np.copysign(middle, x) * _rational(middle * middle, _ERF_SMALL))
    tail = _scaled_tail(y)
    mirrored = 2 * _exp_square(np.minimum(np.where(x < 0, y, 0), 28), 1) - tail
    return np.where(y <= 0.46875, small, np.where(x < 0, mirrored, tail))


@_elementwise(derivative=lambda y: 0.5 / _INVERSE_SQRT_PI * np.exp(np.square(erfinv(y))))
def erfinv(y: np.ndarray) -> np.ndarray:
    """The x with erf(x) = y; ±inf at ±1 and nan outside. erfinv(y) = Φ⁻¹((1 + y) / 2) / √2."""
    q = y / 2
    result = np.full_like(y, np.nan)
    centre = np.abs(q) <= 0.425
    t = q[centre]
    result[centre] = t * _rational(0.180625 - t * t, _QUANTILE_CENTRE)
    tail = ~centre & (np.abs(q) < 0.5)
    result[tail] = np.copysign(_quantile_tail(0.5 - np.abs(q[tail])), q[tail])
    result[np.abs(y) == 1] = np.inf
    return np.copysign(result, y) * _INVERSE_SQRT_2


@_elementwise(derivative=lambda p: np.sqrt(2 * np.pi) * np.exp(np.square(ndtri(p)) / 2))
def ndtri(p: np.ndarray) -> np.ndarray:
    """The quantile function of the standard normal distribution: Φ⁻¹(p), ±inf at 1 and 0 and nan outside."""
    q = p - 0.5
    result = np.full_like(p, np.nan)
    centre = np.abs(q) <= 0.425
    t = q[centre]
    result[centre] = t * _rational(0.180625 - t * t, _QUANTILE_CENTRE)
    tail = ~centre & (p > 0) & (p < 1)
    result[tail] = np.copysign(_quantile_tail(np.minimum(p[tail], 1 - p[tail])), q[tail])
    result[p == 0], result[p == 1] = -np.inf, np.inf
    return result


def _quantile_tail(p: np.ndarray) -> np.ndarray:
    """-Φ⁻¹(p) for p < 0.075."""
    r = np.sqrt(-np.log(p))
    return np.where(r <= 5, _rational(r - 1.6, _QUANTILE_TAIL), _rational(r - 5, _QUANTILE_FAR_TAIL))


@_elementwise(derivative=lambda x: np.sqrt(2 / np.pi) / erfcx(-x * _INVERSE_SQRT_2))
def log_ndtr(x: np.ndarray) -> np.ndarray:
    """log Φ(x), the logarithm of the normal distribution function."""
    left = np.minimum(x, -1)
    tail = np.log(erfcx(-left * _INVERSE_SQRT_2) / 2) - left * left / 2
    return np.where(x < -1, tail, np.log1p(-erfc(np.maximum(x, -1) * _INVERSE_SQRT_2) / 2))
