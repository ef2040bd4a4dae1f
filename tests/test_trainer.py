"""Trainer: what it measures, that it continues exactly, and what it says when a loss goes bad."""

from __future__ import annotations

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import nn, optim, trainer
from microgradnet.autograd import Function
from microgradnet.autograd.nonfinite import first_nonfinite
from microgradnet.serialization import CheckpointError
from microgradnet.trainer import NonFiniteLoss, Trainer
from microgradnet.utils.data import TensorDataset

F = nn.functional


def data(n=23, one_hot=False, seed=0):
    rng = np.random.default_rng(seed)
    x, labels = rng.standard_normal((n, 4)).astype(np.float32), rng.integers(3, size=n)
    return TensorDataset(mg.tensor(x), mg.tensor(np.eye(3, dtype=np.float32)[labels] if one_hot else labels))


def network(*between):
    return nn.Sequential(nn.Linear(4, 5), *(between or [nn.Tanh()]), nn.Linear(5, 3))


def sgd(parameters):
    return optim.SGD(parameters, lr=0.1)


backend = None


@pytest.fixture(autouse=True, params=[None, "numpy"])
def with_a_backend(request, monkeypatch):
    monkeypatch.setitem(globals(), "backend", request.param)


def make(optimizer=sgd, between=(), train=None, loss=F.cross_entropy, seed=0):
    generator = mg.manual_seed(seed)
    model = network(*between)
    return Trainer(model, loss, optimizer(model.parameters()), train or data(), data(11, seed=1), 5, generator, backend)


def weights(model):
    return [p.detach().array.copy() for p in model.parameters()]


def same(ours, others):
    return all(np.array_equal(a, b) for a, b in zip(ours, others, strict=True))


# --- measuring ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one_hot", [False, True])
def test_p56_averages_weight_by_examples(monkeypatch, one_hot):
    t, test = make(loss=F.cross_entropy), data(11, one_hot)
    x, y = test[:]
    with mg.no_grad():
        expected = F.cross_entropy(t.model(x), y).item()
        right = (t.model(x).array.argmax(1) == (y.array.argmax(1) if one_hot else y.array)).mean()
    monkeypatch.setattr(trainer, "EVALUATED_AT_ONCE", 4)  # batches of 4, 4 and 3
    cost, accuracy = t.evaluate(test)
    assert cost == pytest.approx(expected, rel=1e-6)
    assert accuracy == pytest.approx(right, rel=1e-12)


def test_evaluation_draws_no_masks_and_training_does():
    modes = []

    class Spy(nn.Module):
        def forward(self, x):
            modes.append((self.training, mg.is_grad_enabled()))
            return x

    make(between=[Spy()]).fit(1)
    assert modes == [(True, True)] * 5 + [(False, False)] * 2  # 23 examples by 5; the two sets at once


def test_history_and_calls_back():
    t, steps, epochs = make(), [], []
    history = t.fit(3, epochs.append, lambda: steps.append(1))
    assert history is t.history and epochs == history and len(steps) == 3 * 5
    assert [epoch.epoch for epoch in history] == [1, 2, 3]
    assert history[-1].train_cost < history[0].train_cost
    assert (history[-1].test_cost, history[-1].test_accuracy) == t.evaluate(t.test)
    assert history[-1].lr == 0.1 and history[-1].seconds > 0
    assert t.best.test_accuracy == max(epoch.test_accuracy for epoch in history)
    assert t.fit(3) == history and t.epoch == 3  # epochs count in all


def test_the_caller_keeps_the_order_of_the_data():
    train = data()
    before = train.tensors[0].array.copy()
    make(train=train).fit(2)
    assert np.array_equal(train.tensors[0].array, before)


# --- continuing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [
    lambda p: optim.SGD(p, lr=0.1), lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    lambda p: optim.Adam(p, lr=0.01), lambda p: optim.RMSprop(p, lr=0.01), lambda p: optim.Adagrad(p, lr=0.05),
])  # fmt: skip
def test_a_continued_training_is_the_uninterrupted_one_bit_for_bit(tmp_path, optimizer):
    whole = make(optimizer, [nn.Tanh(), nn.Dropout(0.3)])
    whole.fit(4)
    first = make(optimizer, [nn.Tanh(), nn.Dropout(0.3)])
    first.fit(2)
    first.save(tmp_path / "c.npz")
    second = make(optimizer, [nn.Tanh(), nn.Dropout(0.3)], seed=99)
    second.load(tmp_path / "c.npz")
    second.fit(4)
    assert same(weights(second.model), weights(whole.model))
    assert [epoch[:6] for epoch in second.history] == [epoch[:6] for epoch in whole.history]


def test_another_seed_gives_another_training():
    one, other = make(), make(seed=1)
    assert not same(weights(one.fit(1) and one.model), weights(other.fit(1) and other.model))


def test_extra_content_comes_back(tmp_path):
    make().save(tmp_path / "c.npz", note="hello")
    assert make().load(tmp_path / "c.npz")["note"] == "hello"


def test_loading_is_all_or_nothing(tmp_path):
    make(between=[nn.Tanh(), nn.Linear(5, 5)]).save(tmp_path / "other.npz")
    mg.save({"a": 1}, tmp_path / "foreign.npz")
    t = make()
    t.fit(1)
    before = weights(t.model), t.generator.get_state().array.copy()
    with pytest.raises(RuntimeError, match="(?i)missing|unexpected"):
        t.load(tmp_path / "other.npz")
    with pytest.raises(CheckpointError, match="was not saved by a Trainer"):
        t.load(tmp_path / "foreign.npz")
    assert same(weights(t.model), before[0]) and np.array_equal(t.generator.get_state().array, before[1])
    assert t.epoch == 1


# --- a loss that goes bad -------------------------------------------------------------------------------------------


def poison(array, place):
    array[place] = np.nan


def test_a_bad_weight_is_named():
    t = make()
    t.fit(2)
    poison(t.model[2].weight.detach().array, (1, 2))
    before = weights(t.model)
    with pytest.raises(NonFiniteLoss, match=r"became nan in epoch 3; .* is the parameter '2.weight', "
                                            r"shape \(3, 5\): 1 nan of 15"):
        t.fit(3)
    assert t.epoch == 2 and all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, weights(t.model)))


def test_bad_data_are_named():
    train = data()
    poison(train.tensors[0].array, (7, 0))
    with pytest.raises(NonFiniteLoss, match=r"the input of linear in 0: Linear, shape \(5, 4\): 1 nan of 20"):
        make(train=train).fit(1)


def test_bad_test_data_are_named():
    t = make()
    poison(t.test.tensors[0].array, (3, 0))
    with pytest.raises(NonFiniteLoss, match=r"the input of linear in 0: Linear"):
        t.fit(1)
    assert t.history == []


def test_a_bad_operation_is_named_without_warnings():
    class Explode(nn.Module):
        def forward(self, x):
            return mg.exp(x * 1e4)

    with pytest.raises(NonFiniteLoss, match="the result of exp in 1: Explode"):
        make(between=[Explode()]).fit(1)


def test_a_diverging_training_stops():
    with pytest.raises(NonFiniteLoss):
        make(lambda p: optim.SGD(p, lr=1e30), [nn.ReLU()]).fit(5)


# --- first_nonfinite ------------------------------------------------------------------------------------------------


def leaf(*values):
    return mg.tensor(values, requires_grad=True)


def test_all_finite():
    assert first_nonfinite((leaf(1.0, 2.0) * 3).sum()) is None
    assert first_nonfinite(mg.tensor(1.0)) is None


def test_a_tensor_that_was_not_computed():
    assert first_nonfinite(mg.tensor(np.nan)).what == "the tensor itself"


def test_it_is_the_first_and_not_the_last():
    with np.errstate(all="ignore"):
        bad = first_nonfinite(mg.log(leaf(1.0, -1.0)) * 2 - mg.exp(leaf(1e9, 0.0)))
    assert bad.what == "the result of log" and str(bad).endswith("shape (2,): 1 nan of 2")


def test_values_that_the_graph_did_not_keep_are_computed_anew():
    x = mg.ones(2000, requires_grad=True)
    with np.errstate(all="ignore"):
        y = ((x + 1e38) * 10) * 0  # no rule reads the sums and products, and they are large
        assert first_nonfinite(y.sum()).what == "the result of mul"
    assert first_nonfinite((x + x).sum()) is None


def test_operations_with_several_outputs():
    a, b = mg.split(mg.ones(4000, requires_grad=True) * 1, 2000)
    with np.errstate(all="ignore"):
        assert first_nonfinite((a + b / 0).sum()).what == "the result of div"
    assert first_nonfinite((a + b).sum()) is None


def test_functions():
    class Invert(Function):
        @staticmethod
        def forward(ctx, x):
            return 1 / x

        @staticmethod
        def backward(ctx, g):
            return g

    with np.errstate(all="ignore"):
        assert first_nonfinite(Invert.apply(leaf(1.0, 0.0) * 1).sum()).what == "the result of Invert"


def test_named_tensors_and_integers():
    w = leaf(1.0, np.nan)
    w.name = "w"
    assert first_nonfinite((w[mg.tensor([0, 1])] * 2).sum()).what == "the parameter 'w'"


def test_a_graph_that_backward_freed_is_an_error():
    y = mg.exp(leaf(1.0, 2.0)).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        first_nonfinite(y)
