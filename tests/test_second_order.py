"""Derivatives of derivatives: the walk itself recorded."""

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import nn
from microgradnet.autograd import grad


def leaf(*values, dtype=mg.float64):
    return mg.tensor(values, dtype=dtype, requires_grad=True)


def scalar(value, dtype=mg.float64):
    return mg.tensor(value, dtype=dtype, requires_grad=True)


def test_derivatives_of_a_power():
    x = scalar(3.0)
    y = x**4
    for expected in (108.0, 108.0, 72.0, 24.0):
        (y,) = grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(expected)


def test_derivatives_of_the_sine():
    x = scalar(0.7)
    y = x.sin()
    for expected in (np.cos(0.7), -np.sin(0.7), -np.cos(0.7), np.sin(0.7), np.cos(0.7)):
        (y,) = grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(expected)


def test_mixed_second_derivatives_are_symmetric():
    x, y = scalar(0.4), scalar(1.3)
    f = (x * y).sin() * y.exp() + x**3 / y
    fx, fy = grad(f, (x, y), create_graph=True)
    (fxy,) = grad(fx, y, retain_graph=True)
    (fyx,) = grad(fy, x)
    assert fxy.item() == pytest.approx(fyx.item(), rel=1e-14)


def test_create_graph_through_broadcasting_and_dtypes():
    w, x = mg.tensor([[1.0], [2.0]], requires_grad=True), leaf(1.0, 2.0, 3.0)
    gw, gx = grad((w * x).exp().sum(), (w, x), create_graph=True)
    assert gw.shape == (2, 1) and gw.dtype == mg.float32 and gx.dtype == mg.float64
    (h,) = grad(gx.sum(), w)
    a = np.outer([1.0, 2.0], [1.0, 2.0, 3.0])
    np.testing.assert_allclose(h.array, ((1 + a) * np.exp(a)).sum(1, keepdims=True), rtol=1e-5)


def test_backward_with_create_graph_accumulates_gradients_with_history():
    x = scalar(3.0)
    (x**3).backward(create_graph=True)
    (x**2).backward(create_graph=True)
    assert x.grad.item() == 33.0
    assert grad(x.grad, x)[0].item() == pytest.approx(18.0 + 2.0)


def test_create_graph_records_even_under_no_grad():
    x = scalar(3.0)
    y = x**3
    with mg.no_grad():
        (g,) = grad(y, x, create_graph=True)
        y.backward(create_graph=True)
        y.backward(create_graph=True)
        assert not mg.is_grad_enabled()
    assert grad(g, x)[0].item() == 18.0
    assert x.grad.item() == 54.0 and grad(x.grad, x)[0].item() == 36.0


def test_a_gradient_with_history_is_not_written_to_by_a_plain_backward():
    x = scalar(3.0)
    (x**3).backward(create_graph=True)
    first = x.grad
    (x * 2).backward()
    assert first.item() == 27.0 and x.grad.item() == 29.0


def test_training_on_a_gradient_penalty():
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    x = mg.randn(32, 2)
    history = []
    for _ in range(60):
        x.requires_grad_()
        (g,) = grad(model(x).sum(), x, create_graph=True)
        penalty = ((g.norm(dim=1) - 1) ** 2).mean()
        model.zero_grad()
        penalty.backward()
        with mg.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= 0.1 * p.grad
        x = x.detach()
        history.append(penalty.item())
    assert history[-1] < 0.1 * history[0]
