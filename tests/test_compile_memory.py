"""Compiled steps in the long run: nothing is allocated but what a call returns, and nothing is left behind."""

import gc
import inspect
import resource
import tracemalloc
import weakref

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn, optim
from microgradnet.compiler.numpy_printer import Turns
from microgradnet.compiler.plan import LARGE_RESULT


def training(optimizer, *sizes):
    layers = [part for n, m in zip(sizes, sizes[1:]) for part in (nn.Linear(n, m), nn.Sigmoid())]
    step = step_of(nn.Sequential(*layers), optimizer, F.quadratic_loss)
    return step, mg.randn(200, sizes[0]), mg.rand(200, sizes[-1])


def step_of(model, optimizer, cost):
    optimizer = optimizer(model.parameters())

    @mg.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = cost(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize("optimizer", [optim.SGD, lambda p: optim.SGD(p, lr=0.1, momentum=0.9), optim.Adam])
def test_a_step_allocates_nothing_in_steady_state(optimizer):
    """NumPy adds a bias to rows by a buffer of 8192 numbers; beside that, at no moment a step has an array of its own."""
    step, x, y = training(optimizer, 784, 150, 100)
    for _ in range(3):
        step(x, y)
    gc.collect()
    tracemalloc.start()
    try:
        step(x, y)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(50):
            step(x, y)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2000 and peak - before < 8192 * 4 + 4000


def test_nor_does_one_with_convolutions():
    """NumPy adds windows by buffers of 8192 numbers for each operand; beside those, no step has a layer's array."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 12, 3, stride=2), nn.Flatten(),
                          nn.Linear(12 * 6 * 6, 4))  # fmt: skip
    step = step_of(model, optim.SGD, F.cross_entropy)
    x, y = mg.randn(64, 3, 14, 14), mg.randint(0, 4, (64,))
    most = 0
    tracemalloc.start()
    try:
        for i in range(20):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            step(x, y)
            if i >= 3:
                most = max(most, tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    assert most < 3 * 8192 * 4 + 8000 < 64 * 12 * 6 * 6 * 4


def doubled(n):
    @mg.compile
    def double(x):
        return x * 2

    return double, lambda k: mg.full((n,), float(k))


@pytest.mark.parametrize("n", [3, LARGE_RESULT])
def test_results_that_are_kept_stay_as_they_are(n):
    double, full = doubled(n)
    kept = [double(full(k)) for k in range(4)]
    rows = [double(full(k)).numpy()[1:].reshape(-1, 1)[::2] for k in range(4)]
    buffers = [memoryview(double(full(k)).numpy()) for k in range(4)]
    for _ in range(4):
        double(full(9.0))
    for k in range(4):
        assert (kept[k].numpy() == 2 * k).all() and (rows[k] == 2 * k).all() and (np.asarray(buffers[k]) == 2 * k).all()


def test_large_results_that_nobody_has_are_written_over():
    double, full = doubled(LARGE_RESULT)
    x = full(1)
    places, y = [], None
    for _ in range(8):
        y = double(x)  # one is there while the next is made
        places.append(y.data_ptr())
    assert len(set(places[2:])) == 2
    places.clear()
    for _ in range(4):
        del y
        y = double(x)
        places.append(y.data_ptr())
    assert len(set(places)) == 1


def test_memory_that_is_given_out_is_nobody_elses():
    turns = Turns(np.empty((2, 3), np.float32))
    first, second = turns.memory(), turns.memory()
    row, place = second[0], id(first)
    assert first is not second and first.shape == (2, 3) and first.dtype == np.float32
    del first, second
    third = turns.memory()
    assert id(third) == place and third is not row.base
    assert turns.memory() is not row.base


def test_the_first_batch_and_a_dropped_program_are_freed(no_gc):
    step, x, y = training(optim.SGD, 6, 4, 3)
    gone = [weakref.ref(x), weakref.ref(step(x, y))]
    del x
    assert [r() for r in gone] == [None, None]
    gone = [weakref.ref(p) for p in inspect.getclosurevars(step._function).nonlocals["model"].parameters()]
    del step
    gc.collect()
    assert [r() for r in gone] == [None] * len(gone)


@pytest.mark.slow
def test_a_million_steps_hold_memory_flat(no_gc):
    step, x, y = training(optim.SGD, 4, 3, 2)
    sizes = []
    for i in range(1_000_000):
        step(x, y)
        if i % 100_000 == 1000:
            sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert max(sizes[1:]) - sizes[1] < 1024, "in KiB"
    assert np.isfinite(step(x, y).item())
