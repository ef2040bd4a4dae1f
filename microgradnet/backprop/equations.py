"""The four equations of backpropagation, and their referee.

The book writes a vector per example as a column; here it is a 1-D array, and a batch stacks m of them as the rows of
an (m, width) array, so that every equation serves both. The cost is an average over the examples, C = (1/m) Σ_x C_x;
δ^x is the error of one example's own cost C_x, and BP3 and BP4 average over the batch to give the gradient of C.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def bp1(grad_a_C: np.ndarray, sigma_prime_z: np.ndarray) -> np.ndarray:
    """BP1, the error of the output layer: δ^L = ∇_a C ∘ σ'(z^L). All three are (out,) or (m, out)."""
    _check_vectors("bp1", grad_a_C=grad_a_C, sigma_prime_z=sigma_prime_z)
    _check_width("bp1", "sigma_prime_z", sigma_prime_z, grad_a_C.shape[-1], "the width of grad_a_C")
    return grad_a_C * sigma_prime_z


def bp1_jacobian(grad_a_C: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
    """BP1 where each output depends on the whole of z^L, as in softmax: δ^L_k = Σ_j ∂C/∂a^L_j ∂a^L_j/∂z^L_k.

    grad_a_C is (out,) or (m, out); jacobian, with ∂a_j/∂z_k in row j and column k, is (out, out) or (m, out, out).
    """
    _check_vectors("bp1_jacobian", grad_a_C=grad_a_C)
    expected = (*grad_a_C.shape, grad_a_C.shape[-1])
    if np.shape(jacobian) != expected:
        raise ValueError(f"bp1_jacobian: jacobian has shape {np.shape(jacobian)}, grad_a_C needs {expected}")
    return (grad_a_C[..., None, :] @ jacobian)[..., 0, :]


def bp2(w_next: np.ndarray, delta_next: np.ndarray, sigma_prime_z: np.ndarray) -> np.ndarray:
    """BP2, the error of a layer from that of the next: δ^l = ((w^(l+1))^T δ^(l+1)) ∘ σ'(z^l).

    w_next is (out, in), delta_next (out,) or (m, out), sigma_prime_z and the result (in,) or (m, in). `delta @ w` is
    w^T δ for one vector, and for every row of a batch.
    """
    _check_vectors("bp2", delta_next=delta_next, sigma_prime_z=sigma_prime_z)
    if np.ndim(w_next) != 2:
        raise ValueError(f"bp2: w_next has shape {np.shape(w_next)}; give a matrix (out, in)")
    _check_width("bp2", "delta_next", delta_next, w_next.shape[0], "the rows of w_next")
    _check_width("bp2", "sigma_prime_z", sigma_prime_z, w_next.shape[1], "the columns of w_next")
    return (delta_next @ w_next) * sigma_prime_z


def bp3(delta: np.ndarray) -> np.ndarray:
    """BP3, the gradient of the biases: ∂C/∂b^l_j = δ^l_j, averaged over the rows of a batch; (out,)."""
    _check_vectors("bp3", delta=delta)
    return delta.copy() if delta.ndim == 1 else delta.mean(axis=0)


def bp4(a_prev: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """BP4, the gradient of the weights: ∂C/∂w^l_jk = a^(l−1)_k δ^l_j, averaged over the rows of a batch; (out, in)."""
    _check_vectors("bp4", a_prev=a_prev, delta=delta)
    return np.outer(delta, a_prev) if delta.ndim == 1 else delta.T @ a_prev / len(delta)


def central_differences(f: Callable[[np.ndarray], float], x: np.ndarray, h: float | None = None) -> np.ndarray:
    """The gradient of a scalar f at x by ∂f/∂x_i ≈ (f(x + h e_i) − f(x − h e_i)) / 2h: a referee without calculus.

    x is a float64 array of any shape, left unchanged; f receives a copy of it and must not keep it. The error is
    O(h² f''') from truncation and O(ε f / h) from rounding; the default step, ε^(1/3) · max(1, |x_i|), balances them
    where f varies on that scale, and leaves about 1e-10 of f. Raises TypeError where x or f(x) is not float64, since
    the rounding of float32 would drown the difference.
    """
    x = np.array(x)
    if x.dtype != np.float64:
        raise TypeError(f"central_differences: x must be float64, got {x.dtype}; convert the network and its data")
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        centre = x[i]
        step = h or np.cbrt(np.finfo(np.float64).eps) * max(1.0, abs(centre))
        above, below = centre + step, centre - step
        x[i] = above
        f_above = _scalar(f(x))
        x[i] = below
        f_below = _scalar(f(x))
        x[i] = centre
        gradient[i] = (f_above - f_below) / (above - below)  # the two steps as they were rounded
    return gradient


def _scalar(value: float) -> float:
    array = np.asarray(value)
    if array.shape != () or array.dtype != np.float64:
        raise TypeError(f"central_differences: f must return one float64, got {array.dtype} of shape {array.shape}")
    return float(value)


def _check_vectors(equation: str, **vectors: np.ndarray) -> None:
    """All are 1-D (one example), or all are 2-D with the same number of rows, at least one: nothing may broadcast."""
    for name, vector in vectors.items():
        if not isinstance(vector, np.ndarray):
            raise TypeError(f"{equation}: {name} must be a NumPy array, got {type(vector).__name__}")
        if vector.ndim not in (1, 2) or vector.ndim == 2 and len(vector) == 0:
            raise ValueError(f"{equation}: {name} has shape {vector.shape}; give a 1-D vector for one example, "
                             "or a matrix with one row for each of at least one example")
    if len({vector.shape[:-1] for vector in vectors.values()}) > 1:
        shapes = " and ".join(f"{name} of shape {vector.shape}" for name, vector in vectors.items())
        raise ValueError(f"{equation}: {shapes} do not hold the same examples; give 1-D vectors for one example, "
                         "or matrices with one row per example")


def _check_width(equation: str, name: str, vector: np.ndarray, width: int, source: str) -> None:
    if vector.shape[-1] != width:
        raise ValueError(f"{equation}: {name} has shape {vector.shape}; its last dimension must be {width}, {source}")
