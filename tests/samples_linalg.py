"""Sample arguments for the decompositions of matrices; see samples.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from samples import Draw, Sample

SQUARES = [(3, 3), (1, 1), (2, 3, 3), (0, 3, 3)]
SHAPES = [(4, 3), (3, 4), (2, 4, 2)]


def of(shapes: list[tuple[int, ...]], make: Callable = lambda x: x, *params: dict) -> Callable[[Draw], list[Sample]]:
    """A sample for each shape; `make` gives the matrix what the operation asks of it."""
    return lambda draw: [Sample((make(draw(*shape)),), p) for p in params or ({},) for shape in shapes]


def far_from_singular(x: np.ndarray) -> np.ndarray:
    return x + 3 * np.eye(x.shape[-1])


def positive_definite(x: np.ndarray) -> np.ndarray:
    return x @ x.mT + np.eye(x.shape[-1])


def far_apart(x: np.ndarray) -> np.ndarray:
    """With eigenvalues, or singular values, that keep a distance from each other and from 0."""
    return 0.1 * x + np.eye(*x.shape[-2:]) * 3 * np.arange(1, 1 + x.shape[-1])


SAMPLES = {
    "inv": of(SQUARES, far_from_singular),
    "det": of(SQUARES),
    "cofactors": of(SQUARES, far_from_singular),
    "slogdet": of(SQUARES, far_from_singular),
    "pinv": of([*SHAPES, (3, 3)], far_apart),
    "solve": lambda draw: [
        Sample((far_from_singular(draw(*a)), draw(*b)))
        for a, b in [((3, 3), (3, 2)), ((1, 1), (1, 1)), ((2, 3, 3), (3, 2)), ((3, 3), (2, 3, 1)), ((0, 3, 3), (0, 3, 2))]
    ],
    "cholesky": of([(3, 3), (1, 1), (2, 3, 3)], positive_definite),
    "qr": of([(4, 3), (3, 3), (2, 4, 2)]),
    "lu": of([(3, 3), (1, 1), (2, 3, 3)], far_from_singular),
    "eigh": of([(3, 3), (1, 1), (2, 3, 3)], far_apart, {}, {"upper": True}),
    "svd": of([(3, 3), (1, 1), *SHAPES], far_apart),
}
