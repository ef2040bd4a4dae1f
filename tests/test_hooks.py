"""Gradients on their way: hooks, and the `.grad` of results."""

import weakref

import numpy as np
import pytest

import microgradnet as mg
from microgradnet.autograd import engine, grad
from microgradnet.graph import ShapeError


def leaf(*values, dtype=mg.float64):
    return mg.tensor(values, dtype=dtype, requires_grad=True)


def scalar(value, dtype=mg.float64):
    return mg.tensor(value, dtype=dtype, requires_grad=True)


# --- .grad of results ------------------------------------------------------------------------------------------------


def test_p14_the_grad_of_a_result_is_none_with_one_warning():
    x = scalar(1.0)
    y = x * 2
    y.backward()
    with pytest.warns(UserWarning, match=r"not a leaf.*call retain_grad\(\) before backward") as caught:
        assert y.grad is None
    assert len(caught) == 1 and caught[0].filename == __file__


def test_p14_retain_grad():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    assert y.retains_grad and y.grad is None
    (y * y).sum().backward(retain_graph=True)
    assert y.grad.tolist() == [4.0, 8.0] and not np.shares_memory(y.grad.array, x.grad.array)
    kept = y.grad
    (y * y).sum().backward()
    assert y.grad is kept and kept.tolist() == [8.0, 16.0]


def test_p14_retain_grad_of_leaves_and_constants():
    x = scalar(1.0)
    x.retain_grad()
    assert not x.retains_grad
    with pytest.raises(RuntimeError, match=r"retain_grad\(\): tensor \(\) float32 does not require grad"):
        mg.tensor(1.0).retain_grad()


def test_p14_retain_grad_under_create_graph():
    x = scalar(3.0)
    y = x * x
    y.retain_grad()
    (y**3).backward(create_graph=True)
    assert y.grad.item() == 3 * 81.0 and y.grad.requires_grad
    (g,) = grad(y.grad, x)
    assert g.item() == pytest.approx(12 * 27)  # d/dx 3x⁴


def test_p14_retained_gradients_do_not_keep_the_tensor(no_gc):
    x = scalar(1.0)
    y = x * 2
    y.retain_grad()
    z = y * 3
    gone = weakref.ref(y)
    del y
    assert gone() is None
    z.backward()
    assert x.grad.item() == 6.0


def test_p15_detach_shares_memory_and_a_write_through_it_is_seen():
    x = leaf(1.0, 2.0)
    y = x * 2
    d = y.detach()
    assert np.shares_memory(d.array, y.array) and not d.requires_grad and d.is_leaf and d.grad_fn is None
    z = (y * y).sum()
    d.mul_(3)
    assert y.tolist() == [6.0, 12.0]
    with pytest.raises(RuntimeError, match=r"mul: its argument 0 \(2,\) float64 was needed .* modified in place"):
        z.backward()


def test_p15_detach_underscore():
    x = scalar(2.0)
    y = x * 3
    assert y.detach_() is y and y.is_leaf and not y.requires_grad
    with pytest.raises(RuntimeError, match=r"detach_\(\) cannot cut off a view"):
        (leaf(1.0, 2.0) * 2)[0:1].detach_()


# --- hooks -----------------------------------------------------------------------------------------------------------


def test_p22_a_hook_sees_the_gradient_and_what_it_returns_replaces_it():
    x = leaf(1.0, 2.0)
    y = x * 3
    seen = []
    y.register_hook(seen.append)  # returns None: no change
    y.register_hook(lambda g: g * 10)
    y.register_hook(seen.append)
    (y * 2).sum().backward()
    assert [g.tolist() for g in seen] == [[2.0, 2.0], [20.0, 20.0]]
    assert x.grad.tolist() == [60.0, 60.0] and not seen[0].requires_grad


def test_p22_hooks_on_a_leaf_see_the_whole_gradient_once():
    x = scalar(3.0)
    seen = []
    x.register_hook(lambda g: seen.append(g.item()))
    x.register_hook(lambda g: g + 1)
    (x * x + x).backward()
    assert seen == [7.0] and x.grad.item() == 8.0
    assert grad(x * 2, x)[0].item() == 3.0


def test_backward_looks_for_hooks_of_leaves_while_there_are_any():
    before, x = engine.leaf_hooks, scalar(3.0)
    first, second = x.register_hook(lambda g: g + 1), x.register_hook(lambda g: g * 2)
    assert engine.leaf_hooks == before + 2
    first.remove()
    first.remove()
    assert engine.leaf_hooks == before + 1 and grad(x * 1, x)[0].item() == 2.0
    second.remove()
    assert engine.leaf_hooks == before and grad(x * 1, x)[0].item() == 1.0


def test_p22_the_same_hook_twice():
    x = scalar(1.0)
    y = x * 1
    double = lambda g: g * 2
    first, _ = y.register_hook(double), y.register_hook(double)
    (g,) = grad(y, x, retain_graph=True)
    first.remove()
    first.remove()
    assert g.item() == 4.0 and grad(y, x)[0].item() == 2.0


@pytest.mark.parametrize("at", ["leaf", "result"])
def test_p22_a_hook_removed_during_backward(at):
    x = scalar(1.0)
    y = x * 1
    target = x if at == "leaf" else y
    handles = [target.register_hook(lambda g: handles[0].remove())]
    handles += [target.register_hook(lambda g: g * 2), target.register_hook(lambda g: handles[1].remove())]
    y.backward(retain_graph=True)
    assert x.grad.item() == 2.0
    x.grad = None
    y.backward()
    assert x.grad.item() == 1.0


def test_p22_a_handle_is_a_context():
    x = scalar(1.0)
    with x.register_hook(lambda g: g * 5):
        assert grad(x * 1, x)[0].item() == 5.0
    assert grad(x * 1, x)[0].item() == 1.0


def test_p22_what_is_retained_is_what_all_hooks_made_of_it():
    x = scalar(1.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.backward()
    assert y.grad.item() == 10.0 and x.grad.item() == 20.0


def test_p22_what_a_hook_may_not_return():
    x = leaf(1.0, 2.0)
    handle = x.register_hook(lambda g: 2.0)
    with pytest.raises(TypeError, match="hook must return a Tensor or None, got float"):
        (x * 2).sum().backward()
    handle.remove()
    for wrong in (mg.ones(3, dtype=mg.float64), mg.ones(2)):
        with x.register_hook(lambda g: wrong), pytest.raises(ShapeError, match="hook returned .* for a gradient"):
            (x * 2).sum().backward()
    assert x.grad is None


def test_p22_a_hook_on_what_does_not_track():
    with pytest.raises(RuntimeError, match=r"register_hook\(\): tensor \(\) float32 does not require grad"):
        mg.tensor(1.0).register_hook(print)


def test_p22_hooks_under_create_graph_are_differentiated():
    x = scalar(3.0)
    y = x * x
    handle = y.register_hook(lambda g: g * g)
    (g,) = grad(y * y, x, create_graph=True)
    handle.remove()  # it would run in the second walk, too
    assert g.item() == pytest.approx(4 * 81 * 6)  # (2y)² · 2x = 8x⁵
    assert grad(g, x)[0].item() == pytest.approx(40 * 81)


def test_p22_hooks_run_unrecorded_and_may_walk_another_graph():
    x, w = scalar(2.0), scalar(3.0)
    modes = []

    def hook(g):
        modes.append(mg.is_grad_enabled())
        with mg.enable_grad():
            (w * w).backward()

    y = x * x
    y.register_hook(hook)
    (y * 2).backward()
    assert modes == [False] and w.grad.item() == 6.0 and x.grad.item() == 8.0
