"""The numerics of the special functions against the standard library and SciPy, at the edges, in every dtype."""

import math

import numpy as np
import pytest

from microgradnet.ops.special import erf, erfc, erfcx, erfinv, log_ndtr, ndtri
from microgradnet.ops.special_bessel import bessel_i
from microgradnet.ops.special_gamma import digamma, igamma, igammac, lgamma, polygamma, zeta

INVERSE_SQRT_PI = 1 / math.sqrt(math.pi)
SEAMS = [0.46875, 4.0, 6.0]  # where one approximation hands over to the next


def arguments(low, high):
    """Dense over [low, high], down to tiny magnitudes, and both sides of every seam."""
    rng = np.random.default_rng(0)
    tiny = 10 ** rng.uniform(-300, 0, 1000)
    seams = [np.nextafter(sign * seam, direction) for seam in SEAMS for sign in (-1, 1) for direction in (-30, 30)]
    x = np.concatenate([rng.uniform(low, high, 20_000), tiny, -tiny, seams, SEAMS, [0.0]])
    return x[(x >= low) & (x <= high)]


def each(function, x):
    return np.array([function(value) for value in x])


def assert_erf_is_accurate(candidate):
    x = arguments(-8, 8)
    expected = each(math.erf, x)
    np.testing.assert_allclose(candidate(x), expected, rtol=0, atol=4e-16)
    np.testing.assert_allclose(candidate(x), expected, rtol=4e-15, atol=0)


def test_erf_in_double():
    assert_erf_is_accurate(erf)


def test_the_accuracy_check_catches_a_wrong_digit():
    with pytest.raises(AssertionError):
        assert_erf_is_accurate(lambda x: erf(x) * (1 + 1e-14))
    with pytest.raises(AssertionError):
        assert_erf_is_accurate(lambda x: 1 - erfc(x))  # right to 1e-16 absolutely, wrong for small x


def test_erfc_in_double_keeps_its_digits_in_the_tail():
    x = arguments(-8, 26)
    np.testing.assert_allclose(erfc(x), each(math.erfc, x), rtol=1e-14, atol=0)


def test_erfinv_inverts_erf():
    x = arguments(-3, 3)  # further out the digits of x are no longer in erf(x)
    y = each(math.erf, x)
    condition = np.exp(x * x)  # magnification of the rounding of y
    assert np.all(np.abs(erfinv(y) - x) <= 4e-16 * np.maximum(condition, np.abs(x)))


def test_erfinv_against_scipy():
    special = pytest.importorskip("scipy.special")
    tail = 1 - 10 ** np.random.default_rng(0).uniform(-15.9, 0, 2000)
    y = np.concatenate([arguments(-1, 1), tail, -tail])
    np.testing.assert_allclose(erfinv(y), special.erfinv(y), rtol=4e-15, atol=0)


@pytest.mark.parametrize("function, reference", [(erf, math.erf), (erfc, math.erfc)])
def test_float32_stays_float32_and_accurate(function, reference):
    x = arguments(-4, 9).astype(np.float32)
    result = function(x)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, each(reference, x.astype(np.float64)), rtol=1e-6, atol=1e-38)


def test_float32_erfinv():
    y = np.linspace(-0.999, 0.999, 2001, dtype=np.float32)
    assert erfinv(y).dtype == np.float32
    np.testing.assert_allclose(erfinv(y), erfinv(y.astype(np.float64)), rtol=2e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extremes_give_the_limits_without_warnings(dtype):
    x = np.array([1e4, -1e4, np.inf, -np.inf, np.nan], dtype)
    np.testing.assert_array_equal(erf(x), np.array([1, -1, 1, -1, np.nan]))
    np.testing.assert_array_equal(erfc(x), np.array([0, 2, 0, 2, np.nan]))
    np.testing.assert_array_equal(erfinv(np.array([1, -1, 1.5, -2, np.nan], dtype)), [np.inf, -np.inf] + 3 * [np.nan])
    assert np.signbit(erf(dtype(-0.0))) and np.signbit(erfinv(dtype(-0.0)))


@pytest.mark.parametrize("function", [erf, erfc, erfinv])
def test_shapes_layouts_and_other_dtypes(function):
    x = np.linspace(-0.9, 0.9, 24).reshape(2, 3, 4)
    expected = function(x)
    np.testing.assert_array_equal(function(x.transpose(2, 0, 1)[::-1]), expected.transpose(2, 0, 1)[::-1])
    scalar = function(x[0, 1, 2])
    assert isinstance(scalar, np.ndarray) and scalar.shape == () and scalar == expected[0, 1, 2]
    assert function(np.empty((0, 3), np.float32)).shape == (0, 3)
    assert function(np.array([0, 1])).dtype == np.float64


def test_arrays_longer_than_a_block():
    x = np.linspace(-5, 5, 100_001)
    np.testing.assert_array_equal(erf(x)[::1000], erf(x[::1000]))


@pytest.mark.parametrize(
    "function, derivative",
    [
        (erf, lambda x: 2 * INVERSE_SQRT_PI * np.exp(-x * x)),
        (erfc, lambda x: -2 * INVERSE_SQRT_PI * np.exp(-x * x)),
        (erfinv, lambda y: 0.5 / INVERSE_SQRT_PI * np.exp(erfinv(y) ** 2)),
    ],
)
def test_complex_step_gives_the_derivative(function, derivative):
    x = np.linspace(-0.99, 0.99, 101)
    step = function(x + 1e-20j)
    np.testing.assert_array_equal(step.real, function(x))
    np.testing.assert_allclose(step.imag / 1e-20, derivative(x), rtol=1e-14)
    assert function(x.astype(np.complex64)).dtype == np.complex64


# --- the others, against SciPy where its own accuracy allows -----------------------------------------------------------


def drawn(*bounds):
    """Numbers from the intervals, and positive ones of every magnitude below e^±exponent, (exponent,)."""
    rng = np.random.default_rng(0)
    parts = [rng.uniform(*b, 3000) if len(b) == 2 else np.exp(rng.uniform(-b[0], b[0], 3000)) for b in bounds]
    return np.concatenate(parts)


ACCURACY = {  # name here: (function, that of SciPy, where, relative and absolute tolerance)
    "lgamma": (lgamma, "gammaln", [(0.01, 40), (500,)], 1e-14, 4e-16),
    "lgamma of negative numbers": (lgamma, "gammaln", [(-40, 0)], 1e-14, 4e-15),
    "digamma": (digamma, "digamma", [(0.01, 40), (500,)], 1e-14, 1e-15),
    "digamma of negative numbers": (digamma, "digamma", [(-40, -1e-3)], 5e-12, 1e-14),
    "trigamma": (lambda x: polygamma(x, 1), lambda s, x: s.polygamma(1, x), [(0.01, 40), (30,)], 3e-15, 0),
    "polygamma 2": (lambda x: polygamma(x, 2), lambda s, x: s.polygamma(2, x), [(0.01, 40), (30,)], 3e-15, 0),
    "polygamma 7": (lambda x: polygamma(x, 7), lambda s, x: s.polygamma(7, x), [(0.01, 40), (30,)], 3e-15, 0),
    "zeta of 1.5": (lambda x: zeta(np.float64(1.5), x), lambda s, x: s.zeta(1.5, x), [(0.01, 40), (30,)], 3e-15, 0),
    "zeta at 3": (lambda x: zeta(x, np.float64(3)), lambda s, x: s.zeta(x, 3), [(1.01, 40)], 3e-15, 0),
    "i0": (lambda x: bessel_i(x, 0, False), "i0", [(-60, 60)], 3e-15, 0),
    "i1": (lambda x: bessel_i(x, 1, False), "i1", [(-60, 60)], 4e-15, 0),
    "i0e": (lambda x: bessel_i(x, 0, True), "i0e", [(-60, 60), (500,)], 3e-15, 0),
    "i1e": (lambda x: bessel_i(x, 1, True), "i1e", [(-60, 60), (500,)], 4e-15, 0),
    "erfcx": (erfcx, "erfcx", [(-2, 100), (500,)], 1e-14, 0),
    "erfcx of negative numbers": (erfcx, "erfcx", [(-26, 0)], 1e-13, 0),
    "ndtri": (ndtri, "ndtri", [(0, 1), (1e-300, 1e-290)], 4e-15, 1e-16),
    "log_ndtr": (log_ndtr, "log_ndtr", [(-40, 30)], 5e-14, 1e-300),
}  # fmt: skip


def reference(special, function, x):
    with np.errstate(all="ignore"):
        return getattr(special, function)(x) if isinstance(function, str) else function(special, x)


@pytest.mark.parametrize("name", ACCURACY)
def test_accuracy_against_scipy(name):
    special = pytest.importorskip("scipy.special")
    function, theirs, bounds, rtol, atol = ACCURACY[name]
    x = drawn(*bounds)
    if name == "lgamma":
        x = x[np.abs(x - 1) > 0.02]  # nearer SciPy loses digits; see below
    np.testing.assert_allclose(function(x), reference(special, theirs, x), rtol=rtol, atol=atol)


def test_the_accuracy_check_catches_a_wrong_coefficient():
    special = pytest.importorskip("scipy.special")
    x = drawn((0.01, 40))
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(lgamma(x) + 1e-13 / x, special.gammaln(x), rtol=1e-14, atol=4e-16)


def test_lgamma_keeps_its_digits_near_its_zeros():
    x = 1 + 10.0 ** -np.arange(6, 15)
    z = x - 1  # what x holds of it
    euler = 0.5772156649015329
    np.testing.assert_allclose(lgamma(x), -euler * z + np.pi**2 / 12 * z**2, rtol=2e-12)
    np.testing.assert_allclose(lgamma(x[2:]), (-euler * z + np.pi**2 / 12 * z**2)[2:], rtol=1e-15)
    np.testing.assert_allclose(lgamma(x + 1), (1 - euler) * (x + 1 - 2) + (np.pi**2 / 12 - 0.5) * z**2, rtol=2e-12)


@pytest.mark.parametrize("name, low, high", [("moderate", (0.01, 25), (0.01, 60)), ("nearly equal", (30, 3000), None)])
def test_incomplete_gamma_against_scipy(name, low, high):
    special = pytest.importorskip("scipy.special")
    rng = np.random.default_rng(0)
    a = rng.uniform(*low, 5000)
    x = a + 3 * np.sqrt(a) * rng.normal(size=5000) if high is None else rng.uniform(*high, 5000)
    x = np.abs(x)
    np.testing.assert_allclose(igamma(a, x), special.gammainc(a, x), rtol=3e-12, atol=1e-290)  # SciPy's accuracy
    np.testing.assert_allclose(igammac(a, x), special.gammaincc(a, x), rtol=1e-11, atol=1e-290)


def test_incomplete_gamma_of_whole_numbers():
    """Q(n, x) = e⁻ˣ Σ xᵏ/k! over k < n."""
    x = np.linspace(0.1, 30, 200)
    for n in (1, 2, 5, 12):
        terms = [x**k / math.factorial(k) for k in range(n)]
        np.testing.assert_allclose(igammac(np.float64(n), x), np.exp(-x) * sum(terms), rtol=1e-14)
        np.testing.assert_allclose(igamma(np.float64(n), x) + igammac(np.float64(n), x), 1, rtol=1e-15)


ALL = [lgamma, digamma, lambda x: polygamma(x, 1), lambda x: polygamma(x, 2), lambda x: bessel_i(x, 0, False), erfcx, ndtri,
       lambda x: bessel_i(x, 1, True), log_ndtr, lambda x: zeta(x, x), lambda x: igamma(x, x), lambda x: igammac(x, x)]  # fmt: skip


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_dtypes_and_extremes_without_warnings(function, dtype):
    x = np.array([[0.0, -0.0, 1, -1, 0.5, -2.5], [1e4, -1e4, np.inf, -np.inf, np.nan, 3]], dtype)
    result = function(x)
    assert result.dtype == dtype and result.shape == x.shape and np.isnan(result[1, 4])
    np.testing.assert_array_equal(function(x.T), result.T)
    tiny = 2e-2 if dtype == np.float16 else 2e-6
    np.testing.assert_allclose(result[0, 4], function(np.float64(0.5)), rtol=tiny)
    assert function(np.empty((0, 3), dtype)).shape == (0, 3) and function(np.array([1, 2])).dtype == np.float64
