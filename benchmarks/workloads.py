"""The workloads: the arrays each starts from, the same for every library.

A program of a library gets these arrays and returns `step, results`: `step()` makes one training step and returns the
loss, `results()` the arrays in which the libraries must agree: the parameters of a network, the gradients of the
others. float32 throughout; weights have shape (out, in).

- nndl: 784-30-10, sigmoid, the quadratic cost ½‖a − y‖² averaged over the batch, SGD.
- small, medium, wide, deep, adam-small: ReLU, cross-entropy, SGD or Adam.
- chain: 333 times multiply, add, tanh, and one more multiplication on scalars, with the gradients of x, w and b.
- elem: tanh(x·y + z).sum() on a million elements, with its three gradients.
- conv: 32 images of 28 × 28 through 3 × 3 convolutions to 32 and 64 channels with a ReLU between, the mean square of
  the result, and its gradients by weights and biases: the convolutions of PyTorch's MNIST example.
- epoch: nndl for 50,000 examples in random order through the library's own loader; the results depend on that order.
  The first images of MNIST where MICROGRADNET_MNIST names its folder, else random numbers of that size.
- op: one multiplication of two tensors of one element that require gradients, recorded: what an operation costs.
"""

from __future__ import annotations

import itertools
import os

import numpy as np

from benchmarks.libraries import LIBRARIES

CLASSIFIERS = {  # name: (sizes, batch, optimizer); ReLU and cross-entropy
    "small": ((784, 100, 10), 32, "sgd"),
    "medium": ((784, 512, 512, 10), 128, "sgd"),
    "wide": ((2048,) * 5, 256, "sgd"),
    "deep": ((32,) * 21, 16, "sgd"),
    "adam-small": ((784, 100, 10), 32, "adam"),
}
WORKLOADS = ("nndl", *CLASSIFIERS, "chain", "elem", "conv", "epoch", "op")
THREADS = {"wide": 2}  # of which a library may use more than one: where its products are worth dividing


def program_of(workload, library):
    """The program of a workload in a library, or None."""
    return LIBRARIES[library].program("classifier" if workload in CLASSIFIERS else workload)


def build(workload, library, lr):
    """`step, results` of one workload in one library; None where the library has no such program."""
    program = program_of(workload, library)
    return None if program is None else program(*arguments(workload, lr))


def arguments(workload, lr):
    """What the program of a workload is given."""
    rng = np.random.default_rng(0)
    if workload == "chain":  # values for which 1,000 operations neither lose nor blow up the gradient
        return [np.array(value, np.float32) for value in (0.5, 1.0, 1e-4)]
    if workload == "elem":
        return rng.standard_normal((3, 1_000_000), dtype=np.float32)
    if workload == "op":
        return rng.standard_normal((2, 1), dtype=np.float32)
    if workload == "conv":
        shapes = (32, 1, 3, 3), (32,), (64, 32, 3, 3), (64,), (32, 1, 28, 28)
        return [rng.uniform(-1, 1, shape).astype(np.float32) / 9 for shape in shapes]
    sizes, batch, optimizer = CLASSIFIERS.get(workload, ((784, 30, 10), 10, "sgd"))
    weights, biases = [], []
    for n_in, n_out in itertools.pairwise(sizes):
        weights.append(rng.standard_normal((n_out, n_in), dtype=np.float32) * np.float32((2 / n_in) ** 0.5))
        biases.append(rng.standard_normal(n_out, dtype=np.float32) * np.float32(0.1))
    batch = 50_000 if workload == "epoch" else batch
    x = rng.random((batch, sizes[0]), dtype=np.float32)
    labels = rng.integers(sizes[-1], size=batch)
    if workload == "epoch":
        x, labels = examples(x, labels)
    if workload in ("nndl", "epoch"):
        return weights, biases, x, np.eye(10, dtype=np.float32)[labels], lr
    return weights, biases, x, labels, optimizer, lr


def examples(x, labels):
    """As many examples of MNIST, or these with a mark by which the labels can be learned."""
    if root := os.environ.get("MICROGRADNET_MNIST"):
        from microgradnet.datasets import MNIST

        return (array[: len(x)] for array in MNIST(root, train=True).arrays())
    x[:, :780].reshape(-1, 10, 78)[np.arange(len(x)), labels] += 0.5
    return x, labels
