"""Activation functions a = σ(z), each with its derivative σ'(z), as PyTorch defines them.

`Activation(name, f, prime)` makes one of your own. Where the textbook formula overflows or cancels, an equal one is
used that does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]


class Activation:
    """An activation and its derivative: sigma(z), sigma.prime(z), in z's floating dtype (integers become float64).

    f and prime are elementwise functions of an array. For an output layer f may also map a whole (…, k) to (…, k), with
    elementwise=False: prime(z) is then the Jacobian (…, k, k), with ∂a_j/∂z_k in row j and column k.
    """

    def __init__(self, name: str, f: Function, prime: Function, elementwise: bool = True) -> None:
        self.name, self.elementwise = name, elementwise
        self._f, self._prime = f, prime

    def __call__(self, z: np.ndarray) -> np.ndarray:
        return _in_dtype_of(z, self._f)

    def prime(self, z: np.ndarray) -> np.ndarray:
        return _in_dtype_of(z, self._prime)

    def __repr__(self) -> str:
        return f"<activation {self.name}>"


def _in_dtype_of(z: np.ndarray, f: Function) -> np.ndarray:
    z = np.asarray(z) if np.asarray(z).dtype.kind == "f" else np.asarray(z, dtype=np.float64)
    return np.asarray(f(z), dtype=z.dtype)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    t = np.exp(-np.abs(z))  # at most 1, so it cannot overflow
    return np.where(z >= 0, 1, t) / (1 + t)


def _sigmoid_prime(z: np.ndarray) -> np.ndarray:
    t = np.exp(-np.abs(z))
    return t / (1 + t) ** 2  # σ(1 − σ) without the cancellation in 1 − σ


sigmoid = Activation("sigmoid", _sigmoid, _sigmoid_prime)
tanh = Activation("tanh", np.tanh, lambda z: 4 * _sigmoid_prime(2 * z))  # tanh(z) = 2σ(2z) − 1; 1 − tanh² cancels
identity = Activation("identity", lambda z: z, np.ones_like)
relu = Activation("relu", lambda z: np.maximum(z, 0), lambda z: z > 0)
silu = Activation("silu", lambda z: z * _sigmoid(z), lambda z: _sigmoid(z) + z * _sigmoid_prime(z))


def leaky_relu_with(negative_slope: float) -> Activation:
    """z for z > 0, negative_slope · z below."""
    return Activation(f"leaky_relu({negative_slope})",
                      lambda z: np.where(z > 0, z, negative_slope * z),
                      lambda z: np.where(z > 0, 1, negative_slope))


def elu_with(alpha: float) -> Activation:
    """z for z > 0, alpha · (e^z − 1) below."""
    return Activation(f"elu({alpha})",
                      lambda z: np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0))),
                      lambda z: np.where(z > 0, 1, alpha * np.exp(np.minimum(z, 0))))


def softplus_with(beta: float, threshold: float = 20.0) -> Activation:
    """ln(1 + e^(beta z)) / beta, and z itself where beta z > threshold, as in PyTorch."""
    return Activation(f"softplus({beta}, {threshold})",
                      lambda z: np.where(beta * z > threshold, z, np.logaddexp(0, beta * z) / beta),
                      lambda z: np.where(beta * z > threshold, 1, _sigmoid(beta * z)))


leaky_relu = leaky_relu_with(0.01)
elu = elu_with(1.0)
softplus = softplus_with(1.0)


def _normal_cdf(z: np.ndarray) -> np.ndarray:
    """Φ(z) = erfc(−z/√2)/2, which keeps the left tail that (1 + erf(z/√2))/2 rounds away."""
    return np.vectorize(lambda x: math.erfc(-x / math.sqrt(2)) / 2, otypes=[z.dtype])(z)


def _normal_pdf(z: np.ndarray) -> np.ndarray:
    return np.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _gelu_argument(z: np.ndarray) -> np.ndarray:
    """2u, where GELU's tanh approximation z/2 (1 + tanh u) = z σ(2u) has u = √(2/π) (z + 0.044715 z³)."""
    return math.sqrt(8 / math.pi) * (z + 0.044715 * z**3)


def _gelu_tanh_prime(z: np.ndarray) -> np.ndarray:
    argument, slope = _gelu_argument(z), math.sqrt(8 / math.pi) * (1 + 3 * 0.044715 * z * z)
    return _sigmoid(argument) + z * _sigmoid_prime(argument) * slope


gelu = Activation("gelu", lambda z: z * _normal_cdf(z), lambda z: _normal_cdf(z) + z * _normal_pdf(z))
gelu_tanh = Activation("gelu_tanh", lambda z: z * _sigmoid(_gelu_argument(z)), _gelu_tanh_prime)


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))  # a common shift of z changes nothing but the overflow
    return e / e.sum(axis=-1, keepdims=True)


def _softmax_jacobian(z: np.ndarray) -> np.ndarray:
    a = _softmax(z)
    return a[..., :, None] * (np.eye(z.shape[-1]) - a[..., None, :])  # ∂a_j/∂z_k = a_j ([j = k] − a_k)


softmax = Activation("softmax", _softmax, _softmax_jacobian, elementwise=False)
