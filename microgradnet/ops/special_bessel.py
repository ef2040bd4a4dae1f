"""The modified Bessel functions of the first kind, I₀ and I₁, on NumPy alone, to the precision of a double.

Up to 20 their power series (DLMF 10.25.2), all terms of one sign; from there on the expansion for large arguments
(DLMF 10.40.1), whose smallest term is below e⁻⁴⁰. Both with the factor e^-|x| divided out for the `e` forms.
"""

from __future__ import annotations

import numpy as np

_SWITCH = 20.0


def _series(order: int) -> list[float]:
    """(x/2)^-order Iₙ(x) in powers of x²/4: 1 / (k! (k + order)!)."""
    coefficients = [1.0]
    for k in range(1, 48):
        coefficients.append(coefficients[-1] / (k * (k + order)))
    return coefficients


def _expansion(order: int) -> list[float]:
    """√(2πx) e⁻ˣ Iₙ(x) in powers of 1/x."""
    coefficients = [1.0]
    for k in range(1, 24):
        coefficients.append(-coefficients[-1] * (4 * order * order - (2 * k - 1) ** 2) / (8 * k))
    return coefficients


_SERIES, _EXPANSION = (_series(0), _series(1)), (_expansion(0), _expansion(1))


def _horner(x: np.ndarray, coefficients: list[float]) -> np.ndarray:
    total = np.zeros_like(x)
    for c in reversed(coefficients):
        total = total * x + c
    return total


def bessel_i(x: np.ndarray, order: int, scaled: bool) -> np.ndarray:
    """Iₙ(x) for the order 0 or 1, times e^-|x| if scaled; computed in float64, in the floating dtype of x."""
    x = np.asarray(x)
    if x.dtype.kind == "c":
        raise TypeError("the Bessel functions take real numbers")
    with np.errstate(all="ignore"):
        size = np.abs(x.astype(np.float64))
        near, far = np.minimum(size, _SWITCH), np.maximum(size, _SWITCH)
        small = (near / 2) ** order * _horner(near * near / 4, _SERIES[order])
        large = _horner(1 / far, _EXPANSION[order]) / np.sqrt(2 * np.pi * far)
        if scaled:
            y = np.where(size <= _SWITCH, small * np.exp(-near), large)
        else:
            half = np.exp(far / 2)  # eˣ overflows before the result does
            y = np.where(size <= _SWITCH, small, half * (large * half))
            y = np.where(np.isinf(size), size, y)
        y = np.where(np.isnan(size), np.nan, y)
        if order:
            y = np.copysign(y, x)
        return y.astype(x.dtype if x.dtype.kind == "f" else np.float64)
