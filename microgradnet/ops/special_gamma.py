"""The gamma function and its relatives, on NumPy alone: each good to the precision of a double.

Formulas, by their numbers in the NIST Digital Library of Mathematical Functions (dlmf.nist.gov): Stirling's series
5.11.1 and its derivatives 5.11.2, reflection 5.5.3 and 5.15.6, the series of log Γ near 2 from 5.7.3, Euler-Maclaurin
for Hurwitz' zeta function 25.11.28, the series 8.7.1 and the continued fraction 8.9.2 of the incomplete gamma
functions, and for large and nearly equal arguments their uniform expansion by Temme, 8.12.

The functions take and give flat or shaped arrays of one real floating dtype and compute in float64.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from .special import erfc

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
# Bernoulli's numbers B₂, B₄, … as fractions
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)
_EULER = 0.57721566490153286  # Euler's constant γ
_EPS = 2.0**-53


def _in_double(function: Callable) -> Callable:
    """Computed in float64, without warnings; the result in the floating dtype that the arguments have together."""

    @functools.wraps(function)
    def lifted(*arrays):
        arrays = [np.asarray(x) for x in arrays]
        dtype = np.result_type(*arrays)
        if dtype.kind == "c":
            raise TypeError(f"{function.__name__} takes real numbers")
        with np.errstate(all="ignore"):
            wide = np.broadcast_arrays(*(x.astype(np.float64) for x in arrays))
            result = np.asarray(function(*(x.ravel() for x in wide))).reshape(wide[0].shape)
            return result.astype(dtype if dtype.kind == "f" else np.float64)

    return lifted


def _power_series(x: np.ndarray, coefficients) -> np.ndarray:
    """Σ coefficients[k] xᵏ by Horner's rule."""
    total = np.zeros_like(x)
    for c in reversed(coefficients):
        total = total * x + c
    return total


def _from_integer(x: np.ndarray) -> np.ndarray:
    """The signed distance to the nearest whole number: sin πx and tan πx are exact functions of it up to their sign."""
    return x - np.rint(x)


# --- log Γ -----------------------------------------------------------------------------------------------------------


@functools.cache
def _near_two() -> list[float]:
    """log Γ(2 + z) / z in powers of z: 1 - γ, and ±(ζ(k) - 1) / k."""
    zeta_minus_1 = [float(_hurwitz(np.array([float(k)]), np.array([2.0]))[0]) for k in range(2, 34)]
    return [1 - _EULER, *((-1) ** k * z / k for k, z in enumerate(zeta_minus_1, 2))]


def _stirling_rest(x: np.ndarray) -> np.ndarray:
    """log Γ(x) - ((x - ½) log x - x + log √2π) for x >= 8."""
    return _power_series(1 / (x * x), [b / (n * (n - 1)) for n, b in zip(range(2, 22, 2), _BERNOULLI)]) / x


def _log_gamma_positive(x: np.ndarray) -> np.ndarray:
    # Up to 8.5 by steps of 1 to within ½ of 2, every term of the sum of one sign but near 1, where they are small.
    down = np.clip(np.rint(x - 2), -2, 6)  # Γ(x) = (x - 1)(x - 2)…Γ(x - down), or Γ(x + up) / (x (x + 1)…)
    factor = np.ones_like(x)
    for k in range(1, 7):
        factor = np.where(down >= k, factor * (x - k), factor)
    z = x - (2 + down)  # exact
    rising = np.where(down == -1, -np.log1p(np.where(down == -1, z, 0)), -np.log(x) - np.log1p(x))
    shifted = np.where(down < 0, rising, np.log(factor))
    small = shifted + z * _power_series(np.clip(z, -0.5, 0.5), _near_two())
    wide = np.maximum(x, 8)
    large = (wide - 0.5) * (np.log(wide) - 1) + (_LOG_SQRT_2PI - 0.5 + _stirling_rest(wide))
    return np.where(x < 8.5, small, large)


@_in_double
def lgamma(x: np.ndarray) -> np.ndarray:
    """log |Γ(x)|; inf at 0, -1, -2, …"""
    size = np.abs(x)
    y = _log_gamma_positive(size)
    # Γ(x) Γ(-x) = -π / (x sin πx)
    reflected = np.log(np.pi / np.abs(np.sin(np.pi * _from_integer(x)))) - np.log(size) - y
    y = np.where(x < 0, reflected, y)
    return np.where(np.isinf(x) | (x == 0), np.inf, y)


# --- its derivatives -------------------------------------------------------------------------------------------------


@_in_double
def digamma(x: np.ndarray) -> np.ndarray:
    """ψ(x) = Γ'(x) / Γ(x); -inf at 0, inf at -0, nan at -1, -2, …"""
    y = np.abs(x)
    total = np.where(x < 0, 1 / y - np.pi / np.tan(np.pi * _from_integer(x)), 0.0)  # ψ(x) = ψ(-x) - 1/x - π cot πx
    while (low := y < 10).any():
        total -= np.where(low & (y > 0), 1 / y, 0)
        y = np.where(low, y + 1, y)
    series = _power_series(1 / (y * y), [b / n for n, b in zip(range(2, 22, 2), _BERNOULLI)]) / (y * y)
    total += np.log(y) - 0.5 / y - series
    total = np.where(x == 0, -np.copysign(np.inf, x), total)
    return np.where((x < 0) & (x == np.floor(x)), np.nan, total)


def polygamma(x: np.ndarray, n: int) -> np.ndarray:
    """The n-th derivative of ψ."""
    return digamma(x) if n == 0 else _derivative_of_digamma(n)(x)


@functools.cache
def _derivative_of_digamma(n: int) -> Callable:
    sign, factorial = (-1) ** (n + 1), math.gamma(n + 1.0)

    @_in_double
    def polygamma(x):
        left = x < 0
        y = sign * factorial * _hurwitz(np.full_like(x, n + 1.0), np.where(left, 1 - x, x))
        # ψₙ(x) = (-1)ⁿ ψₙ(1 - x) - dⁿ/dxⁿ π cot πx
        y = np.where(left, (-1) ** n * y - _derivative_of_cotangent(x, n), y)
        pole = (x <= 0) & (x == np.floor(x))
        return np.where(pole, np.inf, y)

    return polygamma


def _derivative_of_cotangent(x: np.ndarray, n: int) -> np.ndarray:
    """dⁿ/dxⁿ π cot πx, a polynomial in c = cot πx because c' = -π (1 + c²)."""
    coefficients = [0.0, math.pi]
    for _ in range(n):
        slope = [-math.pi * k * a for k, a in enumerate(coefficients)][1:]
        coefficients = [a + b for a, b in zip([*slope, 0.0, 0.0], [0.0, 0.0, *slope])]
    return _power_series(1 / np.tan(np.pi * _from_integer(x)), coefficients)


def _hurwitz(s: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Σ (q + k)^-s over k >= 0, for s > 1 and q > 0: some terms, the integral of the others, and its corrections."""
    total, a = np.zeros_like(q), q.astype(np.float64)
    first = a**-s
    # q > 1/eps: the sum is its integral. Else start the expansion from where it converges fast.
    while (low := a < 12 + s).any():
        total += np.where(low, a**-s, 0)
        a = np.where(low, a + 1, a)
    power = a**-s
    total += a * power / (s - 1) + power / 2
    term = s * power / a / 2
    for k, b in enumerate(_BERNOULLI):
        total += b * term
        term = term * (s + 2 * k + 1) * (s + 2 * k + 2) / ((2 * k + 3) * (2 * k + 4)) / (a * a)
    return np.where(np.isinf(first), np.inf, np.where(np.isinf(q), 0, total))


@_in_double
def zeta(s: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Hurwitz' zeta function Σ (q + k)^-s over k >= 0: inf at s = 1 and at the poles q = 0, -1, …; nan for s < 1, and
    where s is no whole number and q is negative."""
    whole_q = q == np.floor(q)
    steps = np.where((q < 0) & ~whole_q & (s == np.floor(s)), np.ceil(-q), 0)
    y = np.zeros_like(q)
    for k in range(int(min(np.max(steps, initial=0), 1e5))):
        y += np.where(k < steps, (q + k) ** -s, 0)
    y += _hurwitz(np.where(s > 1, s, 2.0), np.where(q + steps > 0, q + steps, 1.0))
    y = np.where((q < 0) & (s != np.floor(s)), np.nan, y)
    y = np.where((q <= 0) & whole_q, np.inf, y)
    return np.where(np.isnan(s + q) | (s < 1), np.nan, np.where(s == 1, np.inf, y))


# --- the incomplete gamma functions ----------------------------------------------------------------------------------


def _log_ratio(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    """log(x / a) - (x - a) / a, accurate near x = a."""
    u = (x - a) / a
    w = u / (2 + u)  # log(1 + u) = 2 artanh w, and u = 2w + uw
    near = 2 * w * w * w * _power_series(w * w, [1 / (2 * k + 3) for k in range(14)]) - u * w
    return np.where(np.abs(u) < 0.4, near, np.log(x / a) - u)


def _prefactor(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """xᵃ e⁻ˣ / Γ(a + 1), for large a by way of Stirling's formula, in which the large logarithms cancel by hand."""
    wide = np.maximum(a, 8)
    large = np.exp(wide * _log_ratio(x, wide) - _stirling_rest(wide)) / np.sqrt(2 * np.pi * wide)
    return np.where(a > 8, large, np.exp(a * np.log(x) - x - _log_gamma_positive(a + 1)))


def _lower_series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """P(a, x) by its series, for x below a or small."""
    term, total, n = np.ones_like(x), np.ones_like(x), a.copy()
    while (term > _EPS / 8 * total).any():
        n += 1
        term *= x / n
        total += term
    return total * _prefactor(a, x)


def _upper_fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Q(a, x) by its continued fraction, for x above a, by Lentz' method."""
    b = x + 1 - a
    d = 1 / b
    c, h = np.full_like(x, 1e300), d.copy()
    going, k = np.ones(x.shape, bool), 0
    while going.any():
        k += 1
        b = b + 2
        d = 1 / (k * (a - k) * d + b)
        c = b + k * (a - k) / c
        going &= ~(np.abs(c * d - 1) <= 2 * _EPS)
        h = np.where(going, h * (c * d), h)
    return h * a * _prefactor(a, x)


def _upper_of_small(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Q(a, x) for x < 1.1, where 1 - P would cancel: 1 - xᵃ / Γ(a + 1) (1 + a Σ (-x)ⁿ / (n! (a + n)))."""
    total, term = np.zeros_like(x), np.ones_like(x)
    for n in range(1, 24):
        term = -term * x / n
        total += term / (a + n)
    u = -np.expm1(a * np.log(x) - _log_gamma_positive(a + 1))
    return u - (1 - u) * a * total


@functools.cache
def _temme(terms: int = 12, powers: int = 26) -> np.ndarray:
    """The coefficients d[k, n] of the uniform expansion: C_k(η) = Σ d[k, n] ηⁿ (DLMF 8.12.9 ff.)."""
    top = powers + 2 * terms
    alpha = [0.0, 1.0]  # λ - 1 = Σ αₙ ηⁿ with η²/2 = λ - 1 - log λ
    for n in range(2, top + 3):
        inner = sum(j * alpha[j] * alpha[n - j + 1] for j in range(2, n))
        alpha.append((alpha[n - 1] - inner) / (n + 1))
    d = np.zeros((terms, top + 1))
    d[0, 0] = -1 / 3
    d[0, 1:] = [(n + 2) * alpha[n + 2] for n in range(1, top + 1)]
    # Γ*(a) = Σ gₖ a⁻ᵏ, the exponential of Stirling's series
    log_series = [0.0] * (terms + 1)
    for n, b in zip(range(2, 22, 2), _BERNOULLI):
        if n - 1 <= terms:
            log_series[n - 1] = b / (n * (n - 1))
    g = [1.0]
    for k in range(1, terms + 1):
        g.append(sum(j * log_series[j] * g[k - j] for j in range(1, k + 1)) / k)
    for k in range(1, terms):
        for n in range(top + 1 - 2 * k):
            d[k, n] = (-1) ** k * g[k] * d[0, n] + (n + 2) * d[k - 1, n + 2]
    return d[:, :powers]


def _uniform(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P and Q for large a and x near a."""
    half_square = -_log_ratio(x, a)  # η²/2
    eta = np.copysign(np.sqrt(2 * half_square), x - a)
    rest = _power_series(1 / a, [_power_series(eta, row) for row in _temme()])
    rest *= np.exp(-a * half_square) / np.sqrt(2 * np.pi * a)
    z = eta * np.sqrt(a / 2)
    return 0.5 * erfc(-z) - rest, 0.5 * erfc(z) + rest


def _incomplete(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The regularized P(a, x) and Q(a, x) = 1 - P(a, x)."""
    p, q = np.full_like(x, np.nan), np.full_like(x, np.nan)
    inside = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    near = inside & (a > 25) & (np.abs(x - a) < 0.3 * a)
    lower = inside & ~near & (x <= np.maximum(a, 1.1))
    upper = inside & ~near & ~lower
    p[near], q[near] = _uniform(a[near], x[near])
    p[lower] = _lower_series(a[lower], x[lower])
    q[lower] = 1 - p[lower]
    small = lower & (x < 1.1) & (p > 0.1)
    q[small] = _upper_of_small(a[small], x[small])
    q[upper] = _upper_fraction(a[upper], x[upper])
    p[upper] = 1 - q[upper]
    zero = (a >= 0) & (x >= 0) & ((x == 0) & (a > 0) | np.isinf(a) & np.isfinite(x))
    one = (a >= 0) & np.isfinite(a) & ((a == 0) & (x > 0) | np.isinf(x))
    p[zero], q[zero], p[one], q[one] = 0, 1, 1, 0
    return p, q


@_in_double
def igamma(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """P(a, x) = ∫₀ˣ tᵃ⁻¹ e⁻ᵗ dt / Γ(a); nan for negative arguments and at (0, 0)."""
    return _incomplete(a, x)[0]


@_in_double
def igammac(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Q(a, x) = 1 - P(a, x), accurate where that difference cancels."""
    return _incomplete(a, x)[1]
