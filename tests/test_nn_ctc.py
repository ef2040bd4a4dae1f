"""Connectionist temporal classification: against all alignments, one by one, and against PyTorch."""

import itertools

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn
from microgradnet.autograd import gradcheck, gradgradcheck


def log_probs(*shape, seed=0):
    x = np.random.default_rng(seed).standard_normal(shape)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def spells(path, blank):
    """What an alignment says: repetitions and then blanks removed."""
    return [k for k, _ in itertools.groupby(path) if k != blank]


def by_enumeration(log_p, target, blank):
    """-log Σ p over all alignments that spell the target."""
    steps, classes = log_p.shape
    total = 0.0
    for path in itertools.product(range(classes), repeat=steps):
        if spells(path, blank) == list(target):
            total += np.exp(sum(log_p[t, k] for t, k in enumerate(path)))
    return -np.log(total) if total else np.inf


TARGETS = [[], [1], [1, 2], [1, 1], [2, 2, 1], [1, 2, 1, 2]]


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("steps", [0, 1, 2, 4])
def test_the_sum_over_all_alignments(steps, blank):
    log_p = log_probs(steps, 3)
    for target in ([{2: 0}.get(k, k) if blank else k for k in target] for target in TARGETS):
        loss = F.ctc_loss(mg.tensor(log_p), mg.tensor(np.array(target, np.int64)), [steps], [len(target)], blank, "none")
        np.testing.assert_allclose(loss.item(), by_enumeration(log_p, target, blank), rtol=1e-9, atol=1e-9)


def test_a_batch_of_different_lengths():
    log_p = log_probs(5, 4, 3)
    targets, times, sizes = [[1, 2], [2], [], [1, 1]], [5, 3, 4, 4], [2, 1, 0, 2]
    padded = mg.tensor([t + [0] * (3 - len(t)) for t in targets])
    expected = [by_enumeration(log_p[:n, i], target, 0) for i, (n, target) in enumerate(zip(times, targets))]
    losses = F.ctc_loss(mg.tensor(log_p), padded, times, sizes, reduction="none")
    np.testing.assert_allclose(losses.array, expected, rtol=1e-9)
    in_a_row = mg.tensor(sum(targets, []))
    again = F.ctc_loss(mg.tensor(log_p), in_a_row, mg.tensor(times), mg.tensor(sizes), reduction="none")
    np.testing.assert_array_equal(again.array, losses.array)
    mean = nn.CTCLoss()(mg.tensor(log_p), padded, times, sizes)
    np.testing.assert_allclose(mean.item(), np.mean(np.array(expected) / [2, 1, 1, 2]), rtol=1e-9)
    total = nn.CTCLoss(reduction="sum")(mg.tensor(log_p), padded, times, sizes)
    np.testing.assert_allclose(total.item(), sum(expected), rtol=1e-9)


def test_gradients_through_log_softmax():
    x = mg.tensor(np.random.default_rng(0).standard_normal((4, 2, 3)), requires_grad=True)
    loss = lambda x: F.ctc_loss(mg.log_softmax(x, 2), mg.tensor([[1, 1], [2, 0]]), [4, 3], [2, 1])  # noqa: E731
    assert gradcheck(loss, [x]) and gradgradcheck(loss, [x])
    loss(x).backward()
    np.testing.assert_allclose(x.grad.sum(2).array, 0, atol=1e-12)
    assert not x.grad.array[3, 1].any()  # beyond the second example's input


def test_an_impossible_target():
    log_p = mg.tensor(log_probs(2, 2, 3), requires_grad=True)
    arguments = mg.tensor([[1, 1], [1, 2]]), [2, 2], [2, 2]
    assert F.ctc_loss(log_p, *arguments, reduction="none").isinf().tolist() == [True, False]
    loss = nn.CTCLoss(zero_infinity=True, reduction="sum")(log_p, *arguments)
    loss.backward()
    assert loss.isfinite() and log_p.grad.isfinite().all()


def test_p37_float32_stays_and_learning_works():
    mg.manual_seed(0)
    layer = nn.Linear(4, 3)
    x = mg.randn(6, 2, 4)
    optimizer = mg.optim.Adam(layer.parameters(), 0.1)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = F.ctc_loss(F.log_softmax(layer(x), 2), mg.tensor([[1, 2], [2, 1]]), (6, 6), (2, 2))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0] and loss.dtype == layer.weight.grad.dtype == mg.float32


ERRORS = [
    ({"log_probs": log_probs(3)}, RuntimeError, "T, N, C"),
    ({"blank": 3}, RuntimeError, "blank"),
    ({"input_lengths": [4, 5]}, RuntimeError, "at most 4"),
    ({"input_lengths": [4]}, RuntimeError, "batch_size"),
    ({"input_lengths": [4.0, 4.0]}, RuntimeError, "whole"),
    ({"target_lengths": [2, 3]}, RuntimeError, "targets"),
    ({"targets": [1, 2, 1]}, RuntimeError, "target_lengths"),
    ({"targets": [[1, 3], [1, 2]]}, IndexError, "out of range"),
    ({"targets": [[1, -1], [1, 2]]}, IndexError, "out of range"),
    ({"reduction": "average"}, ValueError, "reduction"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors(case):
    wrong, kind, message = ERRORS[case]
    arguments = {"log_probs": log_probs(4, 2, 3), "targets": [[1, 2], [2, 1]], "input_lengths": [4, 4],
                 "target_lengths": [2, 2]} | wrong  # fmt: skip
    arguments["log_probs"], arguments["targets"] = mg.tensor(arguments["log_probs"]), mg.tensor(arguments["targets"])
    with pytest.raises(kind, match=message):
        F.ctc_loss(**arguments)


@pytest.mark.torch
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("blank", [0, 3])
def test_losses_are_those_of_torch(reduction, blank):
    twins = pytest.importorskip("twins")
    rng = np.random.default_rng(0)
    log_p = log_probs(9, 4, 6)
    targets = rng.integers(1, 6, (4, 4)) if blank == 0 else rng.integers(4, 6, (4, 4))
    for times, sizes in [((9, 9, 9, 9), (4, 4, 4, 4)), ((9, 7, 8, 4), (4, 2, 0, 1)), ((9, 8, 9, 9), (3, 4, 0, 4))]:
        twins.check_function(lambda lib, x, y: lib.nn.functional.ctc_loss(x, y, times, sizes, blank, reduction), log_p,
                             targets, second=False)
        in_a_row = np.concatenate([t[:n] for t, n in zip(targets, sizes)])
        twins.check_function(lambda lib, x, y, a, b: lib.nn.CTCLoss(blank, reduction)(x, y, a, b), log_p, in_a_row,
                             np.array(times), np.array(sizes), second=False)
    twins.check_function(lambda lib, x, y: lib.nn.functional.ctc_loss(x, y, (9, 3, 8, 2), (4, 3, 4, 4), blank, reduction,
                                                                      True), log_p, targets, second=False)
    twins.check_function(
        lambda lib, x, y: lib.nn.functional.ctc_loss(x, y, lib.tensor(9), lib.tensor(4), blank, reduction), log_p[:, 0],
        targets[0], second=False)
    twins.check_function(lambda lib, x, y: lib.nn.functional.ctc_loss(lib.log_softmax(x, 2), y, (9,) * 4, (4,) * 4, blank),
                         log_p * 3, targets, second=False)
