"""erf, erfc and erfinv against the standard library and SciPy, at the edges, in every dtype."""

import math

import numpy as np
import pytest

from microgradnet.ops.special import erf, erfc, erfinv

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
