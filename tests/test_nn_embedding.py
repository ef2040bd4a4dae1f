"""Embedding and EmbeddingBag: rows by number, bags by explicit loops, errors; and PyTorch as the judge."""

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn
from microgradnet.autograd import gradcheck, gradgradcheck

NUMBERS = np.array([[0, 3, 3], [1, 0, 4]])


def table(rows=5, columns=2, seed=0, **kwargs):
    return mg.tensor(np.random.default_rng(seed).standard_normal((rows, columns)), **kwargs)


def equal(actual, expected):
    __tracebackhide__ = True
    np.testing.assert_allclose(actual.detach().numpy(), getattr(expected, "array", expected), 1e-12, 1e-12)


def counted(numbers, rows=5):
    """How often each number occurs, as a column."""
    return np.bincount(numbers.reshape(-1), minlength=rows)[:, None] * np.ones((1, 2))


def test_rows_come_by_number_and_their_gradients_add_up():
    weight = table(requires_grad=True)
    y = F.embedding(mg.tensor(NUMBERS), weight)
    assert y.shape == (2, 3, 2) and y.grad_fn.name() == "EmbeddingBackward0"
    equal(y, weight.detach().array[NUMBERS])
    y.sum().backward()
    equal(weight.grad, counted(NUMBERS))


def test_the_padding_and_frequent_rows_have_their_own_gradient():
    for padding, by_frequency in [(3, False), (-2, False), (None, True), (0, True)]:
        weight = table(requires_grad=True)
        y = F.embedding(mg.tensor(NUMBERS), weight, padding, scale_grad_by_freq=by_frequency)
        equal(y, weight.detach().array[NUMBERS])
        y.sum().backward()
        expected = np.minimum(counted(NUMBERS), 1) if by_frequency else counted(NUMBERS)
        if padding is not None:
            expected[padding] = 0
        equal(weight.grad, expected)


def test_rows_longer_than_max_norm_are_scaled_in_place():
    weight = mg.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]], dtype=mg.float64)
    kept = weight.clone()
    y = F.embedding(mg.tensor([0, 1, 0]), weight, max_norm=1.0)
    np.testing.assert_allclose(weight.array, [[0.6, 0.8], [0.3, 0.4], [6, 8]], rtol=1e-6)
    equal(y, weight.array[[0, 1, 0]])
    assert (weight[1:] == kept[1:]).all()  # short rows, and rows not asked for, stay exactly
    F.embedding(mg.tensor([2]), weight, max_norm=7.0, norm_type=1.0)
    np.testing.assert_allclose(weight.array[2], [3, 4], rtol=1e-6)


def test_a_rescaled_row_that_a_rule_needs_is_noticed():
    layer = nn.Embedding(3, 2, max_norm=0.1)
    y = (layer.weight * layer.weight).sum() + layer(mg.tensor([0])).sum()
    with pytest.raises(RuntimeError, match="modified in place"):
        y.backward()


def test_embedding_starts_normal_with_a_padding_of_zeros():
    layer = nn.Embedding(1000, 20, padding_idx=-1)
    assert layer.padding_idx == 999 and (layer.weight[999] == 0).all()
    assert abs(layer.weight[:999].std().item() - 1) < 0.02
    assert layer(mg.tensor([[1, 2], [3, 999]])).shape == (2, 2, 20)


def test_from_pretrained():
    weight = table()
    layer = nn.Embedding.from_pretrained(weight, padding_idx=1)
    assert not layer.weight.requires_grad and layer.padding_idx == 1
    equal(layer.weight, weight)
    assert nn.Embedding.from_pretrained(weight, freeze=False).weight.requires_grad
    bag = nn.EmbeddingBag.from_pretrained(weight, mode="max")
    assert not bag.weight.requires_grad and bag.mode == "max"


BAGS = [[0, 3, 3], [], [1], [4, 0, 1, 1]]


def looped(weight, bags, mode, factors=None):
    """The bags one by one."""
    out = np.zeros((len(bags), weight.shape[1]))
    for row, bag in zip(out, bags):
        rows = weight[bag] if factors is None else weight[bag] * factors[np.array(bag, int)][:, None]
        if len(bag):
            row[:] = {"sum": rows.sum(0), "mean": rows.mean(0), "max": rows.max(0)}[mode]
    return out


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_are_reduced_one_by_one(mode):
    weight = table()
    numbers = mg.tensor([n for bag in BAGS for n in bag])
    offsets = mg.tensor([0, 3, 3, 4])
    expected = looped(weight.array, BAGS, mode)
    equal(F.embedding_bag(numbers, weight, offsets, mode=mode), expected)
    ends = mg.tensor([0, 3, 3, 4, 8])
    equal(F.embedding_bag(numbers, weight, ends, mode=mode, include_last_offset=True), expected)
    equal(F.embedding_bag(mg.tensor(NUMBERS), weight, mode=mode), looped(weight.array, NUMBERS.tolist(), mode))
    without = [[n for n in bag if n != 3] for bag in BAGS]
    equal(F.embedding_bag(numbers, weight, offsets, mode=mode, padding_idx=3), looped(weight.array, without, mode))
    nothing = F.embedding_bag(numbers[:0], weight, mg.tensor([0, 0]), mode=mode)
    equal(nothing, np.zeros((2, 2)))
    weight.requires_grad_()
    assert gradcheck(lambda w: F.embedding_bag(numbers, w, offsets, mode=mode), weight)
    assert gradgradcheck(lambda w: F.embedding_bag(numbers, w**2, offsets, mode=mode), weight)


def test_samples_of_a_bag_are_weighted():
    weight, factors = table(requires_grad=True), table(5, 1, 1, requires_grad=True)
    numbers = mg.tensor([n for bag in BAGS for n in bag])

    def weighted(w, f):
        return F.embedding_bag(numbers, w, mg.tensor([0, 3, 3, 4]), mode="sum", per_sample_weights=f[numbers, 0])

    y = weighted(weight, factors)
    equal(y, looped(weight.detach().array, BAGS, "sum", factors.detach().array[:, 0]))
    assert gradcheck(weighted, (weight, factors)) and gradgradcheck(weighted, (weight, factors))


def test_errors_name_what_does_not_fit():
    weight, numbers = table(), mg.tensor([0, 1])
    with pytest.raises(IndexError, match=r"embedding.*\(5, 2\).*index 5 is out of range for dimension 0 of size 5"):
        F.embedding(mg.tensor([5]), weight)
    with pytest.raises(IndexError, match="index -1"):
        F.embedding(mg.tensor([-1]), weight)
    with pytest.raises(RuntimeError, match=r"whole numbers, got \(1,\) float32; call .long"):
        F.embedding(mg.tensor([1.0]), weight)
    with pytest.raises(TypeError, match="must be a Tensor, not list"):
        F.embedding([1], weight)
    with pytest.raises(RuntimeError, match=r"must be a matrix .* got \(2,\)"):
        F.embedding(numbers, weight[0])
    with pytest.raises(ValueError, match="within the 5 embeddings, got 5"):
        nn.Embedding(5, 2, padding_idx=5)
    with pytest.raises(NotImplementedError, match="sparse"):
        nn.Embedding(5, 2, sparse=True)
    with pytest.raises(NotImplementedError, match="sparse"):
        F.embedding(numbers, weight, sparse=True)
    with pytest.raises(ValueError, match="does not fit 5 embeddings of dimension 3"):
        nn.Embedding(5, 3, _weight=weight)
    with pytest.raises(ValueError, match="expected to be a matrix"):
        nn.Embedding.from_pretrained(weight[0])
    for arguments, message in [
        ({"offsets": None}, "offsets has to be a vector"), ({"offsets": mg.tensor([1])}, "begin with 0"),
        ({"offsets": mg.tensor([0, 3])}, "end within 2"), ({"offsets": mg.tensor([0, 2, 1])}, "not decrease"),
        ({"offsets": mg.tensor([0]), "mode": "median"}, "one of sum, mean or max"),
        ({"offsets": mg.tensor([0]), "mode": "max", "scale_grad_by_freq": True}, "frequency"),
        ({"offsets": mg.tensor([0]), "mode": "sum", "per_sample_weights": mg.ones(3)}, "must have the shape"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            F.embedding_bag(numbers, weight, **arguments)
    with pytest.raises(NotImplementedError, match="mode='sum' only"):
        F.embedding_bag(numbers, weight, mg.tensor([0]), per_sample_weights=mg.ones(2))
    with pytest.raises(ValueError, match="offsets has to be None"):
        F.embedding_bag(numbers.reshape(1, 2), weight, mg.tensor([0]))


# --- PyTorch as the judge -------------------------------------------------------------------------------------------

MODULES = {
    "plain": (lambda nn: nn.Embedding(5, 3), (NUMBERS,), True),
    "padding": (lambda nn: nn.Embedding(5, 3, padding_idx=-2), (NUMBERS,), True),
    "max_norm": (lambda nn: nn.Embedding(5, 3, max_norm=0.7, norm_type=1.5), (NUMBERS,), True),
    "by frequency": (lambda nn: nn.Embedding(5, 3, scale_grad_by_freq=True, padding_idx=1), (NUMBERS,), True),
    "one number": (lambda nn: nn.Embedding(5, 3), (np.array(2),), True),
    "none": (lambda nn: nn.Embedding(5, 3), (np.zeros((2, 0), int),), True),
    "int32": (lambda nn: nn.Embedding(5, 3), (NUMBERS.astype(np.int32),), True),
    "bags": (lambda nn: nn.EmbeddingBag(5, 3), (NUMBERS,), False),
    "bags, sum": (lambda nn: nn.EmbeddingBag(5, 3, mode="sum", padding_idx=3), (NUMBERS,), False),
    "bags, max": (lambda nn: nn.EmbeddingBag(5, 3, 0.7, mode="max"), (NUMBERS,), False),
    "bags by offsets": (lambda nn: nn.EmbeddingBag(5, 3), (NUMBERS.reshape(-1), np.array([0, 2, 2, 3])), False),
    "bags by offsets, max": (
        lambda nn: nn.EmbeddingBag(5, 3, mode="max", include_last_offset=True, padding_idx=0),
        (NUMBERS.reshape(-1), np.array([0, 2, 2, 6])), False,
    ),
    "bags with weights": (
        lambda nn: nn.EmbeddingBag(5, 3, mode="sum"), (NUMBERS, None, np.linspace(-1, 1, 6).reshape(2, 3)), False,
    ),
}  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("name", MODULES)
def test_modules_are_those_of_torch(name):
    twins = pytest.importorskip("twins")
    build, arrays, second = MODULES[name]  # torch has no second derivative of a bag
    twins.check_module(build, *arrays, second=second)


@pytest.mark.torch
def test_errors_are_of_the_kind_of_torch():
    twins = pytest.importorskip("twins")
    weight, numbers = twins.normal(5, 2), np.array([0, 1])
    for function, arrays in [
        (lambda lib, w, n: lib.nn.functional.embedding(n + 4, w), (weight, numbers)),
        (lambda lib, w, n: lib.nn.functional.embedding(n - 1, w), (weight, numbers)),
        (lambda lib, w, n: lib.nn.functional.embedding(n * 1.0, w), (weight, numbers)),
        (lambda lib, w, n: lib.nn.functional.embedding(n, w[0]), (weight, numbers)),
        (lambda lib, w, n: lib.nn.functional.embedding_bag(n, w), (weight, numbers)),
        (lambda lib, w, n: lib.nn.functional.embedding_bag(n, w, n, mode="none"), (weight, numbers)),
        (lambda lib, w, n: lib.nn.functional.embedding_bag(n, w, n, per_sample_weights=n * 1.0), (weight, numbers)),
    ]:
        twins.check_error(function, *arrays)
