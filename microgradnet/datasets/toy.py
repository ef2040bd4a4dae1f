"""Toy problems of classification in the plane: points (n, 2) as a float32 Tensor, classes (n,) as an int64 Tensor.

Classes alternate and points lie on their curves at random, so the first points of a set are a fair sample of it.
`seed` is an int, which gives the same set every time, or a `numpy.random.Generator` to draw from.
"""

from __future__ import annotations

import numpy as np

from ..tensor import Tensor


def moons(n: int, noise: float = 0.1, seed: int | np.random.Generator = 0) -> tuple[Tensor, Tensor]:
    """Two half circles that reach into each other, with Gaussian noise of standard deviation `noise`."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2
    angle = rng.uniform(0, np.pi, n)
    side = 1 - 2 * label  # +1 for the upper moon, -1 for the lower one
    return _problem(label + side * np.cos(angle), label / 2 + side * np.sin(angle), label, noise, rng)


def spirals(
    n: int, classes: int = 3, noise: float = 0.02, seed: int | np.random.Generator = 0
) -> tuple[Tensor, Tensor]:
    """Arms of one turn and length 1 around the origin, a class each, with Gaussian noise of deviation `noise`."""
    if classes < 1:
        raise ValueError(f"spirals: classes must be at least 1, got {classes}")
    rng = np.random.default_rng(seed)
    label = np.arange(n) % classes
    radius = rng.uniform(0, 1, n)
    angle = 2 * np.pi * (radius + label / classes)
    return _problem(radius * np.cos(angle), radius * np.sin(angle), label, noise, rng)


def xor() -> tuple[Tensor, Tensor]:
    """The four corners of the unit square; the class is the exclusive or of the coordinates."""
    points = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    return Tensor(points.astype(np.float32)), Tensor(points[:, 0] ^ points[:, 1])


def _problem(
    x: np.ndarray, y: np.ndarray, label: np.ndarray, noise: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    if not noise >= 0:  # so that nan fails too
        raise ValueError(f"noise: a standard deviation must be at least 0, got {noise}")
    points = np.stack([x, y], axis=1)
    points += noise * rng.standard_normal(points.shape)
    return Tensor(points.astype(np.float32)), Tensor(label)
