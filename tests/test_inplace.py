"""Writing in place: versions, aliases, views."""

import numpy as np
import pytest

import microgradnet as mg


def test_p26_a_saved_tensor_that_was_written_raises():
    w = mg.tensor([[1.0, 2.0]], requires_grad=True)
    saved = mg.ones(1, 2)
    saved.name = "batch"
    y = (w * saved).sum()
    saved.add_(1)
    with pytest.raises(RuntimeError, match=r"mul: .*'batch' \(1, 2\) float32 .*modified in place: saved at version \d+, now"):
        y.backward()


def test_p26_a_saved_output_that_was_written_raises():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    y = w.exp()
    total = y.sum()
    y.detach().zero_()  # shares the memory that the rule of exp will read
    with pytest.raises(RuntimeError, match="exp: its output"):
        total.backward()


def test_p26_a_value_that_no_rule_reads_may_be_written():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    other = mg.ones(2)
    total = (w + other).sum()
    other.zero_()
    total.backward()
    assert w.grad.tolist() == [1, 1]


def test_p28_an_alias_sees_the_write_and_the_gradient_is_right():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    x = w * 3
    y = x
    y += 1
    y *= w  # reads the old x: kept although it is overwritten
    assert x is y and x.tolist() == [4, 14]
    x.sum().backward()
    assert w.grad.tolist() == [2 * 3 * 1 + 1, 2 * 3 * 2 + 1]


def test_p29_a_write_by_index_passes_the_gradient_on():
    w = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    v = mg.tensor(5.0, requires_grad=True)
    x = w * 2
    x[1] = v
    (x * x).sum().backward()
    assert w.grad.tolist() == [8, 0, 24] and v.grad.item() == 10
    x[...] = 0
    assert x.tolist() == [0, 0, 0]


def test_p30_versions_are_shared_by_a_base_and_its_views():
    base = mg.zeros(2, 3)
    view = base[0]
    for written, other in ((base, view), (view, base)):
        before = other._version
        written.add_(1)
        assert other._version > before


@pytest.mark.parametrize("through", ["view", "base"])
def test_p30_recorded_writes_reach_the_other_side(through):
    w = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    base = w * 1
    row, turned = base[0], base.t()
    (row if through == "view" else base).mul_(5)
    factor = np.array([[5, 5], [1, 1]] if through == "view" else [[5, 5], [5, 5]])
    for result, expected in ((base.sum(), factor), (turned.sum(), factor), (row.sum(), factor * [[1, 1], [0, 0]])):
        (grad,) = mg.autograd.grad(result, w, retain_graph=True)
        assert np.array_equal(grad.array, expected)


def test_retain_grad_follows_the_value_that_is_there():
    x = mg.tensor([1.0], requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    y.sum().backward()
    assert y.grad.tolist() == [1] and x.grad.tolist() == [6]
