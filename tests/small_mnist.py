"""A small MNIST and a small Fashion-MNIST in a folder, in the place of the real ones."""

import hashlib

import numpy as np

from microgradnet.datasets import mnist


def idx_file(array):
    """The bytes of an IDX file of uint8."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def examples(rng, n):
    """Pictures that can be told apart: noise, and a bright bar whose place is the label."""
    labels = np.arange(n, dtype=np.uint8) % 10
    images = rng.integers(0, 100, (n, 28, 28), np.uint8)
    for image, label in zip(images, labels):
        image[2 * label + 2 : 2 * label + 6, 4:24] += 150
    return images, labels


def write(folder, monkeypatch, train=40, test=10):
    """Write the files where a download would put them, with their sums in the place of the real ones."""
    rng = np.random.default_rng(0)
    for source in (mnist.HANDWRITTEN, mnist.FASHION):
        raw = folder / source.name / "raw"
        raw.mkdir(parents=True)
        sums = {}
        for part, n in [("train", train), ("t10k", test)]:
            images, labels = examples(rng, n)
            for name, array in [(f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)]:
                content = idx_file(array)
                (raw / name).write_bytes(content)
                sums[name] = (len(content), hashlib.sha256(content).hexdigest())
        assert sums.keys() == source.files.keys()
        monkeypatch.setattr(source, "files", sums)
