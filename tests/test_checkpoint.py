"""utils.checkpoint: intermediate values given up in forward and computed anew in backward."""

import gc
import importlib
import warnings
import weakref

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import nn
from microgradnet.autograd import Function, grad
from microgradnet.graph import Spec, walk
from microgradnet.utils.checkpoint import checkpoint, checkpoint_sequential


def deep(x):
    return (x * x).tanh().exp().sin()


def leaf(n=5):
    return mg.from_numpy(np.linspace(-1, 1, n)).requires_grad_()


def test_gradients_are_the_same():
    x, y = leaf(), leaf()
    deep(x).sum().backward()
    z = checkpoint(deep, y)
    assert z.requires_grad and np.array_equal(z.detach().numpy(), deep(x).detach().numpy())
    z.sum().backward()
    assert np.array_equal(x.grad.numpy(), y.grad.numpy())


def test_nothing_is_kept_between():
    kept = []

    def spied(x):
        y = x.exp()
        kept.append(weakref.ref(y.array))
        return y.sin()

    x = leaf(5000)
    gc.disable()
    try:
        z = checkpoint(spied, x)
        assert kept[0]() is None  # what sin would have kept
        assert all(node.args is None and type(node.output) is Spec for node in walk(z))
        z.sum().backward()
        assert len(kept) == 2 and kept[1]() is None
        runs = weakref.ref(z.grad_fn)
        del z
        assert runs() is None
    finally:
        gc.enable()


def test_second_order_and_inner_gradients():
    x = leaf()
    inner = []

    def f(x):
        y = (x * x).tanh()
        inner.append(y)
        return y.exp() * x

    y = checkpoint(f, x)
    (g,) = grad(y.sum(), x, create_graph=True)
    (h,) = grad(g.sum(), x)
    z = f(x)
    (g2,) = grad(z.sum(), x, create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), g2.detach().numpy(), rtol=1e-14)
    np.testing.assert_allclose(h.numpy(), grad(g2.sum(), x)[0].numpy(), rtol=1e-14)
    y, first = checkpoint(f, x), inner[-1]
    np.testing.assert_allclose(grad(y.sum(), first)[0].numpy(), (first.exp() * x).detach().numpy(), rtol=1e-14)


def test_parameters_that_the_function_reads():
    mg.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), mg.randn(6, 3)
    net(x).square().sum().backward()
    expected = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    checkpoint(net, x, use_reentrant=False).square().sum().backward()
    assert all(mg.equal(p.grad, e) for p, e in zip(net.parameters(), expected))


def test_random_numbers_are_the_same_both_times():
    x = mg.ones(1000, requires_grad=True)
    mg.manual_seed(1)
    y = checkpoint(lambda x: nn.functional.dropout(x * x) * x, x)
    mg.rand(3)
    after = mg.get_rng_state()
    y.sum().backward()
    assert mg.equal((x.grad != 0).float(), (y != 0).float()) and mg.equal(mg.get_rng_state(), after)
    y = checkpoint(lambda x: nn.functional.dropout(x * x) * x, x, preserve_rng_state=False)
    mg.rand(3)
    x.grad = None
    y.sum().backward()
    assert not mg.equal((x.grad != 0).float(), (y != 0).float())


def test_checkpoints_within_checkpoints():
    calls = []

    def inner(x):
        calls.append("inner")
        return x.exp().sin()

    def outer(x):
        calls.append("outer")
        return checkpoint(inner, x * x).tanh() * x

    x = leaf()
    y = checkpoint(outer, x)
    assert calls == ["outer", "inner"]
    (g,) = grad(y.sum(), x)
    assert calls == ["outer", "inner", "outer", "inner", "inner"]
    np.testing.assert_allclose(g.numpy(), grad(outer(x).sum(), x)[0].numpy(), rtol=1e-14)


def test_several_arguments_and_outputs():
    def f(pair, *, scale):
        return {"a": pair[0] * pair[1] * scale}, pair[0].split(2)

    x, y = leaf(4), leaf(4)
    outputs = checkpoint(f, [x, y], scale=3.0)
    (outputs[0]["a"].sum() + outputs[1][1].sum()).backward()
    expected = grad((x * y * 3).sum() + x[2:].sum(), (x, y))
    assert mg.equal(x.grad, expected[0]) and mg.equal(y.grad, expected[1])


def test_a_function_of_ones_own_and_writing_in_place():
    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            return 3 * g * ctx.saved_tensors[0] ** 2

    def f(x):
        y = Cube.apply(x) * 2
        y.mul_(3).relu_()
        return y.exp()

    x = leaf()
    (g,) = grad(checkpoint(f, x).sum(), x)
    np.testing.assert_allclose(g.numpy(), grad(f(x).sum(), x)[0].numpy(), rtol=1e-14)


def test_backward_twice():
    x = leaf()
    y = checkpoint(deep, x).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward()


def test_no_grad_just_runs():
    with mg.no_grad():
        assert not checkpoint(deep, leaf()).requires_grad
    assert not checkpoint(deep, mg.ones(3)).requires_grad


def test_a_function_that_does_not_do_the_same():
    times = []

    def more_and_more(x):
        times.append(1)
        return x * x if len(times) == 1 else (x * x).exp()

    with pytest.raises(RuntimeError, match="recorded 1 operations in forward and 2 when it was run again"):
        checkpoint(more_and_more, leaf()).sum().backward()

    def another(x):
        times.append(1)
        return x.exp() if len(times) == 3 else x.sin()

    with pytest.raises(RuntimeError, match=r"exp \(5,\) float64 in forward is sin"):
        checkpoint(another, leaf()).sum().backward()


def test_an_argument_written_in_between():
    x = leaf() * 1
    y = checkpoint(lambda x: (x + 1).relu(), x)
    x.mul_(2)
    with pytest.raises(RuntimeError, match=r"argument \(5,\) float64 has been modified in place since forward"):
        y.sum().backward()


def test_contexts():
    entered = []

    class Mark:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            entered.append(self.name)

        def __exit__(self, *exc):
            return None

    x = leaf()
    y = checkpoint(deep, x, context_fn=lambda: (Mark("first"), Mark("second")))
    assert entered == ["first"]
    y.sum().backward()
    assert entered == ["first", "second"]


def test_wrong_options():
    with pytest.raises(ValueError, match="determinism_check is 'default' or 'none'"):
        checkpoint(deep, leaf(), determinism_check="sometimes")
    with pytest.raises(ValueError, match="3 segments of 2 functions"):
        checkpoint_sequential([deep, deep], 3, leaf())


@pytest.mark.parametrize("segments", [1, 2, 3, 5])
def test_a_chain_in_segments(segments):
    mg.manual_seed(0)
    net = nn.Sequential(*(nn.Linear(4, 4) if i % 2 else nn.Tanh() for i in range(5)))
    x = mg.randn(3, 4, requires_grad=True)
    net(x).sum().backward()
    expected = [t.grad.clone() for t in (x, *net.parameters())]
    net.zero_grad()
    x.grad = None
    checkpoint_sequential(net, segments, x).sum().backward()
    for t, e in zip((x, *net.parameters()), expected):
        assert mg.equal(t.grad, e)


@pytest.mark.torch
def test_as_in_pytorch():
    torch = pytest.importorskip("torch")

    def run(m):
        u = importlib.import_module(f"{m.__name__}.utils.checkpoint")
        x = m.linspace(-1, 1, 5, dtype=m.float64).requires_grad_()
        w = m.linspace(1, 2, 5, dtype=m.float64).requires_grad_()
        y = u.checkpoint(lambda x, k: ((x * w).tanh() * k, x.exp()), x, 3, use_reentrant=False)
        (g,) = m.autograd.grad((y[0] * y[1]).sum(), x, create_graph=True)
        second = m.autograd.grad(g.sum(), (x, w))
        z = u.checkpoint_sequential([m.tanh, m.exp, m.sin], 2, x, use_reentrant=False)
        return [t.detach().numpy() for t in (*y, g, *second, z, *m.autograd.grad(z.sum(), x))]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own
        theirs = run(torch)
    for ours, t in zip(run(mg), theirs, strict=True):
        np.testing.assert_allclose(ours, t, rtol=1e-12)
