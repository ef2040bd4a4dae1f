"""The 1,797 handwritten digits of 8×8 pixels that come with the package; `DIGITS.md` says from where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .images import ImageDataset


def load() -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 (1797, 8, 8) with values 0..16, and labels, uint8 (1797,) with values 0..9."""
    with np.load(Path(__file__).with_name("digits.npz")) as file:
        return file["images"], file["labels"]


def split(labels: np.ndarray) -> np.ndarray:
    """A mask of the test examples: every fifth when the examples are sorted by label, so each class gives its fifth.

    A rule instead of a seed: the same split whatever the version of NumPy.
    """
    test = np.zeros(len(labels), dtype=bool)
    test[np.argsort(labels, kind="stable")[::5]] = True
    return test


class Digits(ImageDataset):
    """The digits: `train=True` the 1,437 to learn from, `train=False` the 360 to test on, `train=None` all 1,797.

    Pixels have values 0..16. A transform gets an image as a uint8 ndarray (8, 8), a target transform an int.
    """

    brightest = 16

    def __init__(
        self,
        train: bool | None = None,
        transform: Callable[[np.ndarray], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ) -> None:
        images, labels = load()
        chosen = slice(None) if train is None else split(labels) != train
        super().__init__(images[chosen], labels[chosen], transform, target_transform)
        self.train = train
