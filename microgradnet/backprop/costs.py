"""Cost functions: every cost is an average over examples, C = (1/n) Σ_x C_x, and a function of the outputs a = a^L.

`Cost(name, f, grad_a)` makes one of your own. The cross-entropies also have a partner, the output activation with which
BP1 collapses: σ'(z^L) cancels, δ^L = a^L − y, and an output neuron that is badly wrong no longer learns slowly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .activations import Activation, sigmoid, softmax
from .equations import bp1, bp1_jacobian

OfTarget = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Partner(NamedTuple):
    """With the output activation sigma, C_x = f(z, y) and δ^L = delta(a, y), exact where a saturates too."""

    sigma: Activation
    f: OfTarget
    delta: OfTarget


class Cost:
    """f(a, y) is C_x, for each example along the last axis; grad_a(a, y) is ∇_a C_x, of a's shape.

    check_targets(y) raises where y is no target for this cost.
    """

    def __init__(self, name: str, f: OfTarget, grad_a: OfTarget, partner: Partner | None = None,
                 check_targets: Callable[[np.ndarray], None] = lambda y: None) -> None:
        self.name, self.f, self.grad_a = name, f, grad_a
        self.partner, self.check_targets = partner, check_targets

    def value(self, sigma: Activation, z: np.ndarray, y: np.ndarray) -> float:
        """C at the weighted input z of an output layer with activation sigma."""
        partner = self.partner
        return float(np.mean(partner.f(z, y) if partner and partner.sigma is sigma else self.f(sigma(z), y)))

    def delta(self, sigma: Activation, z: np.ndarray, a: np.ndarray, y: np.ndarray) -> np.ndarray:
        """δ^L of each example's own cost: collapsed where sigma is the partner, else by BP1."""
        if self.partner and self.partner.sigma is sigma:
            return self.partner.delta(a, y)
        return (bp1 if sigma.elementwise else bp1_jacobian)(self.grad_a(a, y), sigma.prime(z))

    def __repr__(self) -> str:
        return f"<cost {self.name}>"


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Targets for integer labels 0 … classes − 1: (n,) to (n, classes), integers, which suit a network of any dtype."""
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise TypeError(f"one_hot: labels must be a 1-D integer array, got {labels.dtype} of shape {labels.shape}")
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"one_hot: labels must lie in 0 … {classes - 1}, got {labels.min()} … {labels.max()}")
    return np.eye(classes, dtype=np.int64)[labels]


def _difference(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    return a - y


def _per_output(f: OfTarget) -> OfTarget:
    """The mean over the outputs in place of the sum, as PyTorch's losses average over every element."""
    return lambda x, y: f(x, y) / y.shape[-1]


quadratic = Cost("quadratic", lambda a, y: ((a - y) ** 2).sum(axis=-1) / 2, _difference)
mean_squared_error = Cost("mean_squared_error", lambda a, y: ((a - y) ** 2).mean(axis=-1),
                          _per_output(lambda a, y: 2 * (a - y)))


def _y_ln(y: np.ndarray, a: np.ndarray) -> np.ndarray:
    return y * np.log(a, where=y != 0, out=np.zeros_like(a))  # 0 ln 0 = 0


def _y_over(y: np.ndarray, a: np.ndarray) -> np.ndarray:
    return np.divide(y, a, where=y != 0, out=np.zeros_like(a))  # the derivative of y ln a, so 0/0 = 0


def _check_probabilities(name: str, p: np.ndarray) -> None:
    if np.any((p < 0) | (p > 1)):
        raise ValueError(f"cross-entropy: the {name} must lie in [0, 1], got {p.min():g} … {p.max():g}; "
                         "use sigmoid or softmax outputs, and targets that are probabilities")


def _check_distribution(y: np.ndarray) -> None:
    _check_probabilities("targets", y)
    if np.any(np.abs(y.sum(axis=-1) - 1) > 1e-4):
        raise ValueError("log-likelihood: each target must sum to 1 over the classes; see one_hot")


def _binary(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    _check_probabilities("outputs", a)
    return -(_y_ln(y, a) + _y_ln(1 - y, 1 - a)).sum(axis=-1)


def _binary_grad(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    _check_probabilities("outputs", a)
    return _y_over(1 - y, 1 - a) - _y_over(y, a)


def _binary_of_z(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)).sum(axis=-1)  # −ln σ(z) = ln(1 + e^−z)


cross_entropy = Cost("cross_entropy", _binary, _binary_grad, Partner(sigmoid, _binary_of_z, _difference),
                     lambda y: _check_probabilities("targets", y))
binary_cross_entropy = Cost("binary_cross_entropy", _per_output(_binary), _per_output(_binary_grad),
                            Partner(sigmoid, _per_output(_binary_of_z), _per_output(_difference)),
                            cross_entropy.check_targets)


def _categorical(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    _check_probabilities("outputs", a)
    return -_y_ln(y, a).sum(axis=-1)


def _categorical_grad(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    _check_probabilities("outputs", a)
    return -_y_over(y, a)


def _categorical_of_z(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    z = z - z.max(axis=-1, keepdims=True)
    return (y * (np.log(np.exp(z).sum(axis=-1, keepdims=True)) - z)).sum(axis=-1)  # −ln softmax(z)


log_likelihood = Cost("log_likelihood", _categorical, _categorical_grad,
                      Partner(softmax, _categorical_of_z, _difference), _check_distribution)
