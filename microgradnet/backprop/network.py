"""A network in closed form: the backpropagation algorithm and mini-batch stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .activations import Activation
from .costs import Cost
from .equations import bp2, bp3, bp4

ByLayer = dict[int, np.ndarray]  # keyed by the book's number l of a layer
Data = tuple[np.ndarray, np.ndarray]
Parameters = tuple[list[np.ndarray], list[np.ndarray]]


class Gradients(NamedTuple):
    """∂C/∂b^l (for the layers that have biases) and ∂C/∂w^l, and the errors δ^l they were made of.

    A batch's nabla_b and nabla_w are averages over its m examples, and its deltas the (m, out) errors of each example's
    own cost C_x: the derivative of the average cost C with respect to z^l is delta[l] / m.
    """

    nabla_b: ByLayer
    nabla_w: ByLayer
    delta: ByLayer


class Network:
    """Layers 1 … L, of which the first is the input: a^l = σ^l(w^l a^(l−1) + b^l) for l = 2 … L.

    weights, biases and activations are lists with one entry for each of the layers 2 … L: w^l of shape (out, in), b^l
    of shape (out,) or None, σ^l an Activation. All arrays are float32 or all are float64; they are copied. As
    attributes `w`, `b`, `sigma`, and `sizes` from l = 1, are dictionaries keyed by l.

    One example is a 1-D vector x with a target y of the output's shape; a batch X, Y holds one example per row.
    Integers become the network's dtype; any other dtype raises TypeError, another shape ValueError.
    """

    def __init__(self, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray | None],
                 activations: Sequence[Activation], cost: Cost) -> None:
        if not len(weights) == len(biases) == len(activations) > 0:
            raise ValueError(f"Network: got {len(weights)} weights, {len(biases)} biases and {len(activations)} "
                             "activations; give one of each for every layer after the input")
        self.L = len(weights) + 1
        self.w = {l: np.array(w) for l, w in enumerate(weights, start=2)}
        self.b = {l: np.array(b) for l, b in enumerate(biases, start=2) if b is not None}
        self.sigma = dict(enumerate(activations, start=2))
        self.cost = cost
        self.dtype = self.w[2].dtype
        self.sizes = {1: np.atleast_1d(self.w[2]).shape[-1]}
        for l in self.w:
            self._check_layer(l)
            self.sizes[l] = len(self.w[l])

    def feedforward(self, x: np.ndarray) -> tuple[ByLayer, ByLayer]:
        """The weighted inputs z[2 … L] and the activations a[1 … L], for one example or a batch."""
        z: ByLayer = {}
        a = {1: self._input("feedforward", "x", x, self.sizes[1])}
        for l in range(2, self.L + 1):
            z[l] = self._weighted_input(l, a[l - 1])
            a[l] = self.sigma[l](z[l])
        return z, a

    def backprop(self, x: np.ndarray, y: np.ndarray) -> Gradients:
        """The gradient of the cost C_x of one example."""
        return self._backprop(*self._pair("backprop", x, y, ndim=1))

    def backprop_batch(self, X: np.ndarray, Y: np.ndarray) -> Gradients:
        """The gradient of the average cost of a mini-batch: the same algorithm in matrices, all examples at once."""
        return self._backprop(*self._pair("backprop_batch", X, Y, ndim=2))

    def _backprop(self, x: np.ndarray, y: np.ndarray) -> Gradients:
        L, w, sigma = self.L, self.w, self.sigma
        # 1. Input: a^1 = x.  2. Feedforward: z^l = w^l a^(l−1) + b^l and a^l = σ(z^l).
        z, a = self.feedforward(x)
        # 3. Output error, by BP1.
        delta = {L: self.cost.delta(sigma[L], z[L], a[L], y)}
        # 4. Backpropagate the error.
        for l in range(L - 1, 1, -1):
            delta[l] = bp2(w[l + 1], delta[l + 1], sigma[l].prime(z[l]))
        # 5. Output: the gradient.
        nabla_b = {l: bp3(delta[l]) for l in self.b}
        nabla_w = {l: bp4(a[l - 1], delta[l]) for l in w}
        return Gradients(nabla_b, nabla_w, delta)

    def update_mini_batch(self, X: np.ndarray, Y: np.ndarray, eta: float, lmbda: float = 0.0,
                          n: int | None = None) -> None:
        """One step of gradient descent: b^l ← b^l − η ∂C/∂b^l and w^l ← (1 − ηλ/n) w^l − η ∂C/∂w^l.

        λ is the L2 regularisation of the weights, which spares the biases; n is the size of the whole training set
        (default: this batch is all of it).
        """
        nabla_b, nabla_w, _ = self.backprop_batch(X, Y)
        eta, decay = float(eta), float(1 - eta * lmbda / (n or len(X)))  # np.float64 factors would promote float32
        self.w = {l: decay * w - eta * nabla_w[l] for l, w in self.w.items()}
        self.b = {l: b - eta * nabla_b[l] for l, b in self.b.items()}

    def sgd(self, training_data: Data, epochs: int, mini_batch_size: int, eta: float, lmbda: float = 0.0, *,
            rng: np.random.Generator, test_data: Data | None = None,
            monitor: Callable[[int, Network], object] | None = None) -> list[tuple[float, float]]:
        """Mini-batch stochastic gradient descent over training_data = (X, Y), whose arrays are never reordered.

        Every epoch visits all examples once, in a new random order; a last, shorter batch averages over its own size.
        Calls monitor(epoch, network) after every epoch. Returns (cost, accuracy) on test_data for each, if it is given.
        """
        if mini_batch_size < 1:
            raise ValueError(f"sgd: mini_batch_size must be at least 1, got {mini_batch_size}")
        X, Y = self._pair("sgd", *training_data, ndim=2)
        history = []
        for epoch in range(epochs):
            order = rng.permutation(len(X))
            for start in range(0, len(X), mini_batch_size):
                batch = order[start:start + mini_batch_size]
                self.update_mini_batch(X[batch], Y[batch], eta, lmbda, n=len(X))
            if test_data is not None:
                history.append((self.total_cost(*test_data), self.accuracy(*test_data)))
            if monitor is not None:
                monitor(epoch, self)
        return history

    def total_cost(self, x: np.ndarray, y: np.ndarray, lmbda: float = 0.0) -> float:
        """C for one example or a batch of n; with λ the regularised cost C + λ/(2n) Σ w²."""
        x, y = self._pair("total_cost", x, y)
        n = len(x) if x.ndim == 2 else 1
        penalty = sum(float((w**2).sum()) for w in self.w.values()) if lmbda else 0.0
        return self.cost_from(2, self._weighted_input(2, x), y) + lmbda / (2 * n) * penalty

    def cost_from(self, l: int, z: np.ndarray, y: np.ndarray) -> float:
        """C as a function of the weighted input z^l alone; its derivative is δ^l, and δ^l / m in a batch."""
        z, y = self._pair("cost_from", z, y, layer=l)
        for k in range(l + 1, self.L + 1):
            z = self._weighted_input(k, self.sigma[k - 1](z))
        return self.cost.value(self.sigma[self.L], z, y)

    def accuracy(self, X: np.ndarray, Y: np.ndarray) -> float:
        """The share of a batch whose output is largest where its target is; of a single output, on its side of 1/2."""
        X, Y = self._pair("accuracy", X, Y, ndim=2)
        a = self.feedforward(X)[1][self.L]
        return float(np.mean((a > 0.5) == (Y > 0.5) if a.shape[1] == 1 else a.argmax(axis=1) == Y.argmax(axis=1)))

    def _weighted_input(self, l: int, a: np.ndarray) -> np.ndarray:
        return a @ self.w[l].T + self.b.get(l, 0)  # a @ w^T is w a for one vector, and for every row of a batch

    def _pair(self, method: str, x: np.ndarray, y: np.ndarray, ndim: int | None = None, layer: int = 1) -> Data:
        """An example or a batch, or its z^l, and its targets: checked, and in the network's dtype."""
        x = self._input(method, "x" if layer == 1 else f"z^{layer}", x, self.sizes[layer], ndim)
        y = self._input(method, "y", y, self.sizes[self.L], ndim)
        if x.shape[:-1] != y.shape[:-1]:
            raise ValueError(f"{method}: x of shape {x.shape} and y of shape {y.shape} do not hold the same examples")
        self.cost.check_targets(y)
        return x, y

    def _input(self, method: str, name: str, data: np.ndarray, width: int, ndim: int | None = None) -> np.ndarray:
        data = np.asarray(data)
        if data.dtype.kind in "biu":
            data = data.astype(self.dtype)
        if data.dtype != self.dtype:
            raise TypeError(f"{method}: {name} is {data.dtype} and the network {self.dtype}; convert one of them")
        shapes = {1: f"({width},) for one example", 2: f"(m, {width}) for a batch of m > 0 examples, one per row"}
        if ndim is not None:
            shapes = {ndim: shapes[ndim]}
        if data.ndim not in shapes or data.shape[-1] != width or len(data) == 0:
            raise ValueError(f"{method}: {name} has shape {data.shape}, expected {' or '.join(shapes.values())}")
        return data

    def _check_layer(self, l: int) -> None:
        w, b, sigma = self.w[l], self.b.get(l), self.sigma[l]
        if w.ndim != 2 or w.shape[1] != self.sizes[l - 1]:
            raise ValueError(f"Network: the weights of layer {l} have shape {w.shape}, expected (out, in) "
                             f"with in = {self.sizes[l - 1]}, the width of layer {l - 1}")
        if b is not None and b.shape != w.shape[:1]:
            raise ValueError(f"Network: the biases of layer {l} have shape {b.shape}, expected {w.shape[:1]}")
        for name, array in (("weights", w), ("biases", b)):
            if array is not None and (array.dtype != self.dtype or self.dtype not in (np.float32, np.float64)):
                raise TypeError(f"Network: the {name} of layer {l} are {array.dtype} and the weights of layer 2 "
                                f"{self.dtype}; make every array float32, or every one float64")
        if not isinstance(sigma, Activation) or not (sigma.elementwise or l == self.L):
            raise TypeError(f"Network: layer {l} has the activation {sigma!r}; give an Activation, elementwise in "
                            "every layer but the last")


def large_weights(sizes: Sequence[int], rng: np.random.Generator, dtype: type = np.float64) -> Parameters:
    """(weights, biases) for layers of these sizes, all from N(0, 1): wide layers start saturated, and learn slowly."""
    weights: list[np.ndarray] = [rng.standard_normal(shape[::-1]).astype(dtype) for shape in pairwise(sizes)]
    biases: list[np.ndarray] = [rng.standard_normal(size).astype(dtype) for size in sizes[1:]]
    return weights, biases


def default_weights(sizes: Sequence[int], rng: np.random.Generator, dtype: type = np.float64) -> Parameters:
    """(weights, biases) with weights from N(0, 1/in), so that weighted inputs stay of order 1; biases from N(0, 1)."""
    weights, biases = large_weights(sizes, rng, dtype)
    return [w / w.shape[1] ** 0.5 for w in weights], biases
