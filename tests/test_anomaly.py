"""detect_anomaly and debug_mode: errors that name the line of the program."""

import gc
import re
import weakref

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import graph
from microgradnet.autograd import (
    Function,
    anomaly,
    debug_mode,
    detect_anomaly,
    engine,
    set_debug_mode,
    set_detect_anomaly,
    sources,
)
from microgradnet.utils.checkpoint import checkpoint


@pytest.fixture(autouse=True)
def plain_again():
    yield
    assert not mg.is_anomaly_enabled() and not anomaly._debug
    assert graph.record is sources.record_plainly and engine.vjp is anomaly._walk_plainly and graph.on_write is None


def leaf(*values):
    return mg.tensor(values, dtype=mg.float64, requires_grad=True)


# --- detect_anomaly ---------------------------------------------------------------------------------------------------


def broken(x):
    y = x - x
    z = y.sqrt()  # its slope at 0 is infinite
    return (z * y).sum()


def test_the_operation_and_its_line_are_named():
    x = leaf(1.0, 2.0)
    with detect_anomaly(), pytest.raises(RuntimeError) as caught:
        broken(x).backward()
    text = str(caught.value)
    assert "anomaly detected: SqrtBackward0 gave the gradient of argument 0 of sqrt, shape (2,): 2 nan of 2" in text
    assert re.search(r"test_anomaly.py:\d+: z = y.sqrt\(\)  # its slope at 0 is infinite\)", text)
    assert "forward: none, all are finite" in text and x.grad is None
    broken(x).backward()  # without the mode nobody looks
    assert np.isnan(x.grad.numpy()).all()


def test_the_first_that_is_not_finite_in_both_orders():
    x = leaf(0.0, 1.0)
    with detect_anomaly(), np.errstate(all="ignore"), pytest.raises(RuntimeError) as caught:
        y = 1 / x
        (y * 0).sum().backward()
    text = str(caught.value)
    assert "DivBackward0 gave the gradient of argument 1" in text
    assert re.search(r"order of forward: the result of div, shape \(2,\): 1 infinite of 2 \(called in .*: y = 1 / x\)", text)
    x = leaf(1.0)
    with detect_anomaly(), pytest.raises(RuntimeError) as caught:
        (x - x).sqrt().backward()  # x gets an infinite gradient twice, with both signs
    text = str(caught.value)
    assert "anomaly detected: the sum of the gradients that reach (1,) float64, shape (1,): 1 nan of 1" in text
    assert re.search(r"backward: SqrtBackward0 gave .* 1 infinite of 1 \(called in .*x gets an infinite", text)
    with detect_anomaly(), pytest.raises(RuntimeError, match="the sum of the gradients that reach the result of mul"):
        a = x * 1
        (a - a).sqrt().backward()


def test_infinities_are_no_anomaly():
    x = leaf(0.0)
    with detect_anomaly():
        x.sqrt().backward()
    assert x.grad.item() == np.inf


def test_a_line_that_was_recorded_before():
    x = leaf(1.0)
    y = broken(x)
    with detect_anomaly(), pytest.raises(RuntimeError, match="recorded before the mode was on"):
        y.backward()


def test_without_the_look_for_nan_errors_still_get_their_line():
    class Fails(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise ZeroDivisionError("mine")

    x = leaf(1.0)
    with detect_anomaly(check_nan=False):
        broken(x).backward()
        with pytest.raises(ZeroDivisionError) as caught:
            y = Fails.apply(x)
            y.backward()
    (note,) = caught.value.__notes__
    assert note.startswith("In the gradient of Fails, called in ") and "y = Fails.apply(x)" in note


def test_nan_from_a_function_with_a_joint_rule():
    bad = type("Bad", (Function,), {"forward": staticmethod(lambda ctx, x: x * 2),
                                    "backward": staticmethod(lambda ctx, g: g * mg.nan)})
    with detect_anomaly(), pytest.raises(RuntimeError, match="BadBackward gave the gradient of argument 0 of Bad"):
        bad.apply(leaf(1.0)).backward()


def test_higher_order_and_partial_walks():
    x = leaf(2.0)
    with detect_anomaly():
        (g,) = mg.autograd.grad(x**3, x, create_graph=True)
        assert mg.autograd.grad(g, x)[0].item() == 12
        with pytest.raises(RuntimeError, match="anomaly detected"):
            mg.autograd.grad(broken(x), x, create_graph=True)
    assert graph.OPS["mul"] is (x * x).node.op


def test_the_switch():
    assert not mg.is_anomaly_enabled()
    with set_detect_anomaly(True, check_nan=False):
        assert mg.is_anomaly_enabled() and not mg.is_anomaly_check_nan_enabled()
        with detect_anomaly():
            assert mg.is_anomaly_check_nan_enabled()
        assert not mg.is_anomaly_check_nan_enabled()
    assert not mg.is_anomaly_enabled()
    set_detect_anomaly(True)
    assert mg.is_anomaly_enabled()
    set_detect_anomaly(False)


def test_p19_an_error_switches_it_off_again():
    with pytest.raises(KeyError), detect_anomaly(), debug_mode():
        raise KeyError


def test_nothing_is_kept_alive():
    gc.disable()
    try:
        with debug_mode():
            y = leaf(1.0).exp()
            node = weakref.ref(y.node)
            assert y.node in sources.recorded_in and y.node in sources.checksums
            del y
        assert node() is None
    finally:
        gc.enable()


@pytest.mark.torch
def test_as_in_pytorch():
    torch = pytest.importorskip("torch")
    for m in (mg, torch):
        x = m.tensor([1.0, 2.0], requires_grad=True)
        with m.autograd.set_detect_anomaly(True):
            assert m.is_anomaly_enabled() and m.is_anomaly_check_nan_enabled()
            x.sqrt().sum().backward()
            with pytest.warns(UserWarning) if m is torch else debug_mode(), pytest.raises(RuntimeError, match="Sqrt"):
                broken(x).backward()
        assert not m.is_anomaly_enabled()


# --- debug_mode ------------------------------------------------------------------------------------------------------


def test_p26_both_lines_are_named_in_debug_mode():
    x = leaf(1.0, 2.0)
    with debug_mode():
        y = x.exp()
        y.mul_(2)
        with pytest.raises(RuntimeError, match=r"exp: its output \(2,\) float64 was needed for the gradient") as caught:
            y.sum().backward()
    saved, written = re.search(r"Saved in (.*); written in (.*)$", str(caught.value)).groups()
    assert saved.endswith(": y = x.exp()") and written.endswith(": y.mul_(2)") and "test_anomaly.py" in saved
    y = x.exp()
    y.mul_(2)
    with pytest.raises(RuntimeError, match=r"autograd.set_debug_mode\(True\) tells the lines"):
        y.sum().backward()


def test_p26_a_weight_that_an_optimizer_wrote():
    w = leaf(1.0, 2.0)
    with debug_mode():
        loss = (w * w).sum()
        loss.backward(retain_graph=True)
        optimizer = mg.optim.SGD([w], lr=0.1)
        optimizer.step()
        with pytest.raises(RuntimeError, match=r"Saved in .*: loss = \(w \* w\).sum\(\); written in .*: optimizer.step\(\)"):
            loss.backward()


def test_p26_a_function_of_ones_own():
    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    x = leaf(1.0) * 1
    with debug_mode():
        y = Square.apply(x)
        x.add_(1)
        with pytest.raises(RuntimeError, match=r"Saved in .*: ctx.save_for_backward\(x\); written in .*: x.add_\(1\)"):
            y.backward()


@pytest.mark.parametrize("which", ["data", "view of it", "result"])
def test_p27_an_array_changed_behind_from_numpy_is_caught_in_debug_mode(which):
    array = np.array([1.0, 2.0])
    w = leaf(3.0, 4.0)

    def change(y):
        if which == "result":
            y.detach().numpy()[0] = 7
        else:
            (array if which == "data" else array[:1])[0] = 7

    with debug_mode():
        y = (w * mg.from_numpy(array)).exp()
        change(y)
        with pytest.raises(RuntimeError, match="has changed since it was saved, called in .*: y = .*from_numpy") as caught:
            y.sum().backward()
        assert ("exp: its output" if which == "result" else "mul: its argument 1") in str(caught.value)
    array[:] = 1, 2
    y = (w * mg.from_numpy(array)).exp()  # unnoticed without it, as in PyTorch
    change(y)
    y.sum().backward()


def test_p27_what_did_not_change_is_no_error():
    rng = np.random.default_rng(0)
    x, w = mg.from_numpy(rng.standard_normal((4, 3))), mg.from_numpy(rng.standard_normal((3, 2))).requires_grad_()
    net = mg.nn.Sequential(mg.nn.Linear(2, 3), mg.nn.BatchNorm1d(3), mg.nn.Dropout(), mg.nn.ReLU(inplace=True)).double()
    optimizer = mg.optim.Adam([w, *net.parameters()])
    with debug_mode(), detect_anomaly():
        for _ in range(3):
            optimizer.zero_grad()
            h = net(x @ w).clone()
            h[:, 0] = 0
            h.mul_(w.sum().float().double())
            checkpoint(lambda h: (h * h).tanh(), h).mean().backward()
            optimizer.step()
    half = mg.ones(2, dtype=mg.float32) * leaf(1.0, 1.0).float()
    with debug_mode():
        half.mul_(leaf(1.5, 2.5)).sum().backward()


def test_p27_an_argument_that_no_rule_reads_may_change():
    array, w = np.array([1.0, 2.0]), leaf(3.0, 4.0)
    with debug_mode():
        y = w + mg.from_numpy(array)
        array[0] = 7
        y.sum().backward()
    assert w.grad.tolist() == [1, 1]


def test_the_debug_switch():
    with set_debug_mode(True):
        assert anomaly._debug
        with set_debug_mode(False):
            assert not anomaly._debug
        assert anomaly._debug
    set_debug_mode(True)
    set_debug_mode(False)


def test_lines_of_writes_are_forgotten_with_their_memory():
    with debug_mode():
        for _ in range(500):
            mg.zeros(2).fill_(1)
    assert len(sources._written_in) <= 2 * len(graph._written) + 101
