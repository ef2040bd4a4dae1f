"""Write the package's `digits.npz` from scikit-learn's copy of the digits: `python tests/make_digits.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

TARGET = Path(__file__).parents[1] / "microgradnet" / "datasets" / "digits.npz"


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 (1797, 8, 8) with values 0..16, and labels, uint8 (1797,)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)


if __name__ == "__main__":
    images, labels = digits()
    np.savez_compressed(TARGET, images=images, labels=labels)
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")
