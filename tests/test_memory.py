"""Who holds which array, and for how long: aliasing, what the graph keeps and frees, and what was written to since."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import nn
from microgradnet.autograd import backward, grad
from microgradnet.graph import Spec, walk


def leaf(*values, dtype=mg.float64):
    return mg.tensor(values, dtype=dtype, requires_grad=True)


def scalar(value, dtype=mg.float64):
    return mg.tensor(value, dtype=dtype, requires_grad=True)


# --- who holds which array -------------------------------------------------------------------------------------------


def aliases(*tensors):
    return any(np.shares_memory(a.array, b.array) for i, a in enumerate(tensors) for b in tensors[i + 1 :])


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    "f",
    [mg.add, lambda a, b: mg.cat([a, b]), lambda a, b: mg.stack([a, b]), lambda a, b: a.reshape(2, 1) + b.view(2, 1)],
)
def test_p08_gradients_alias_neither_each_other_nor_the_seed(f, create_graph):
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = f(a, b)
    seed = mg.ones(*y.shape, dtype=mg.float64)
    y.backward(seed, create_graph=create_graph)
    assert a.grad is not b.grad and not aliases(a.grad, b.grad, seed)
    assert not aliases(*grad(f(a, b), (a, b), seed), seed)


def test_p08_the_same_leaf_under_two_roots():
    a = leaf(1.0, 2.0)
    seed = mg.ones(2, dtype=mg.float64)
    backward([a, a], [seed, seed])
    assert a.grad.tolist() == [2.0, 2.0] and not aliases(a.grad, seed)


def test_p08_expanded_and_permuted_gradients_are_written_out():
    x = mg.ones(3, 4, dtype=mg.float64, requires_grad=True)
    x.sum().backward()
    x.grad.mul_(2)  # would fail, or write twice, in an expanded array
    assert (x.grad.array == 2).all()
    x = mg.ones(3, 4, dtype=mg.float64, requires_grad=True)
    x.T.backward(mg.arange(12, dtype=mg.float64).reshape(4, 3))
    assert x.grad.array.base is None and x.grad.is_contiguous()


def test_p09_the_array_passed_as_gradient_stays_the_callers():
    x = leaf(1.0, 2.0)
    given = np.ones(2)
    x.backward(given)
    given[...] = 7
    assert x.grad.tolist() == [1.0, 1.0]
    seed = mg.ones(2, dtype=mg.float64)
    y = leaf(1.0, 2.0)
    (y + 0).backward(seed)
    y.grad.zero_()
    assert seed.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("at", ["leaf", "result"])
def test_a_gradient_that_a_hook_keeps_is_not_written_to(at):
    x = leaf(1.0, 2.0)
    y = x + 1
    kept = []
    (x if at == "leaf" else y).register_hook(kept.append)
    (y * 2).sum().backward(retain_graph=True)
    (x * 5).sum().backward()
    x.grad.zero_()
    assert kept[0].tolist() == [2.0, 2.0]


def test_a_gradient_that_a_hook_returns_is_not_written_to():
    x = leaf(1.0, 2.0)
    ours = mg.ones(2, dtype=mg.float64)
    x.register_hook(lambda g: ours)
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    assert ours.tolist() == [1.0, 1.0] and x.grad.tolist() == [2.0, 2.0]


# --- memory ----------------------------------------------------------------------------------------------------------


def test_p16_dropping_the_loss_frees_every_intermediate(no_gc):
    x, w = mg.randn(4, 3), mg.randn(2, 3, requires_grad=True)
    hidden = nn.functional.linear(x, w)
    part = hidden.tanh().split(1)[1]
    gone = [weakref.ref(t) for t in (hidden, part)] + [weakref.ref(n) for n in walk(part)]
    loss = part.logsumexp(1).mean()
    gone.append(weakref.ref(loss))
    loss.backward()
    del hidden, part, loss
    assert [r() for r in gone] == [None] * len(gone)


def test_p16_no_cycles_through_hooks_and_retained_gradients(no_gc):
    x = leaf(1.0, 2.0)
    y = x.exp()
    y.retain_grad()
    y.register_hook(lambda g: g * 2)
    z = y.sum()
    gone = [weakref.ref(y), weakref.ref(z), weakref.ref(y.node)]
    z.backward()
    del y, z
    assert [r() for r in gone] == [None] * 3


def test_p16_no_cycles_through_second_derivatives(no_gc):
    x = leaf(1.0, 2.0)
    y = (x.split(1)[0] * x.exp()).sum()
    (g,) = grad(y, x, create_graph=True)
    penalty = (g * g).sum()
    gone = [weakref.ref(t) for t in (y, g, penalty, y.node, g.node)]
    penalty.backward()
    del y, g, penalty
    assert [r() for r in gone] == [None] * 5


def test_p16_a_view_written_in_place_leaves_no_cycle(no_gc):
    x = leaf(1.0, 2.0)
    y = x * 1
    y[0:1].mul_(3)
    z = y.sum()
    gone = [weakref.ref(y), weakref.ref(z.node)]
    z.backward()
    del y, z
    assert [r() for r in gone] == [None] * 2


def bytes_held(make):
    """Bytes that are held by what make() returns."""
    gc.collect()
    tracemalloc.start()
    kept = make()  # noqa: F841
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held


def test_p17_a_list_of_losses_holds_a_constant_number_of_bytes_per_step():
    w = mg.ones(1000, requires_grad=True)

    def steps(n):
        losses = []
        for _ in range(n):
            batch = mg.ones(1000)
            loss = (w * batch).exp().mean()
            loss.backward()
            losses.append(loss)
        w.grad = None
        return losses

    steps(10)
    per_step = bytes_held(lambda: steps(1000)) / 1000
    assert per_step < 2500  # an array of a step has 4,000 bytes


def test_p18_a_running_total_of_losses_is_a_graph_and_of_numbers_is_not():
    x = scalar(1.0)
    total, number = 0.0, 0.0
    for _ in range(50):
        loss = x * 2
        total = total + loss
        number += loss.item()
    assert len(walk(total)) == 100 and number == 100.0


LARGE = 100_000


@pytest.mark.parametrize(
    ("f", "arrays"),
    [
        (lambda x: x + 1, 1),  # the result, that is held here
        (lambda x: (((x + 1) * 2 - 3) / 4), 1),
        (lambda x: (x + 1).sum(), 0),
        (lambda x: (x + 1).reshape(100, -1).mean(0), 0),
        (lambda x: x.exp().sum(), 1),  # its rule reads the result
        (lambda x: ((x - 1) ** 2).mean(), 1),  # and this one its argument
        (lambda x: (x + 1).relu(), 1),
        (lambda x: (x * 2).reshape(10, -1).T.sum(0).sum(), 0),
        (lambda x: mg.cat([x + 1, x + 2]).sum(), 0),
        (lambda x: mg.where(x > 2, x + 1, x + 2).sum(), 0.2),  # the condition: a byte per element
    ],
)
def test_a_node_keeps_no_array_that_its_rule_does_not_read(f, arrays):
    x = mg.ones(LARGE, dtype=mg.float64, requires_grad=True)
    f(x)
    assert bytes_held(lambda: f(x)) / (8 * LARGE) == pytest.approx(arrays, abs=0.1)


def test_small_arrays_and_read_ones_are_kept_and_freed():
    x, w = mg.ones(LARGE, requires_grad=True), mg.full((LARGE,), 2.0)
    y = x * w
    assert isinstance(y.node.args[0], Spec) and y.node.args[1] is w.array
    assert repr(y.node.args[0]) == f"({LARGE},) float32"
    y.sum().backward()
    assert y.node.args is None and isinstance(y.node.output, Spec) and isinstance(y.node.inputs[1], Spec)
    assert y.node.inputs[0] is x and y.node.output.size == LARGE and y.node.output.ndim == 1


# --- values that were written to -------------------------------------------------------------------------------------


def test_a_saved_value_that_was_written_to_is_named():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = x * 1
    z = (y * w).sum()
    y.add_(1)
    with pytest.raises(RuntimeError, match=r"mul: its argument 0 \(2,\) float64 .* saved at version \d+, now at \d*"):
        z.backward()
    data = mg.ones(2, dtype=mg.float64)
    data.name = "batch"
    z = (data * w).sum()
    data.zero_()
    with pytest.raises(RuntimeError, match=r"argument 0 'batch' batch \(2,\)|argument 0 '?batch"):
        z.backward()
    y = w.exp()
    z = y.sum()
    y.zero_()
    with pytest.raises(RuntimeError, match="exp: its output"):
        z.backward()


def test_a_gradient_that_grew_after_it_was_used_is_noticed():
    p, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (p * 2).sum().backward()
    y = (p.grad * w).sum()
    (p * 2).sum().backward()
    with pytest.raises(RuntimeError, match="mul: its argument 0 .* modified in place"):
        y.backward()


def test_memory_of_a_foreign_kind_has_versions_too():
    memory = bytearray(np.ones(4).tobytes())
    x = mg.from_numpy(np.frombuffer(memory, np.float64))
    w = leaf(1.0, 1.0, 1.0, 1.0)
    y = (w * x).sum()
    x[1:].zero_()
    with pytest.raises(RuntimeError, match="modified in place"):
        y.backward()
