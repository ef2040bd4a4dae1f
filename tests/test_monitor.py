"""The monitor: what it records is so, planted faults are found, a sound training has none, and it costs little."""

import copy
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from pace import seconds

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.datasets import Digits
from microgradnet.diagnosis import QUANTITIES
from microgradnet.diagnosis.monitor import norm
from microgradnet.diagnosis.slopes import slope
from microgradnet.viz.heat import heat_svg

F = nn.functional


def network(sizes, activation, scale=1.0, dtype=mg.float32):
    mg.manual_seed(0)
    modules = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        linear = nn.Linear(n_in, n_out, dtype=dtype)
        nn.init.normal_(linear.weight, std=scale * n_in**-0.5)
        modules += [linear, activation()]
    return nn.Sequential(*modules[:-1])


def data():
    return tuple(map(mg.tensor, Digits(train=True).arrays()))


def train(model, steps=200, every=10, lr=0.1, optimizer=True, before=lambda loss: None):
    x, y = data()
    descent = optim.SGD(model.parameters(), lr=lr)
    monitor = mg.Monitor(model, descent if optimizer else None, every=every)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        batch = rng.integers(0, len(x), 32)
        loss = F.cross_entropy(model(x[batch]), y[batch])
        before(loss)
        descent.zero_grad()
        loss.backward()
        descent.step()
    return monitor


def about(monitor, layer, word, **limits):
    return [line for line in monitor.findings(**limits) if line.startswith(f"layer {layer}") and word in line]


# --- what it records ------------------------------------------------------------------------------------------------


def test_every_quantity_is_what_its_name_says():
    model = network([5, 7, 6, 3], nn.Sigmoid, 3.0, mg.float64)
    x, y = mg.randn(8, 5, dtype=mg.float64), mg.randint(0, 3, (8,))
    descent = optim.SGD(model.parameters(), lr=0.1)
    monitor = mg.Monitor(model, descent, every=1, slope=0.1, near_zero=0.2)
    before = [model[i].weight.array.copy() for i in (0, 2, 4)]
    F.cross_entropy(model(x), y).backward()
    grads = [model[i].weight.grad.array.copy() for i in (0, 2, 4)]
    descent.step()
    # By hand, in the book's way.
    inputs, zs, a = [], [], x.array
    for w, i in zip(before, (0, 2, 4)):
        inputs.append(a)
        zs.append(a @ w.T + (model[i].bias.array + 0.1 * model[i].bias.grad.array))
        a = 1 / (1 + np.exp(-zs[-1]))
    p = np.exp(zs[-1]) / np.exp(zs[-1]).sum(1, keepdims=True)
    delta = [None, None, (p - np.eye(3)[y.array]) / 8]
    primes = [1 / (1 + np.exp(-z)) * (1 - 1 / (1 + np.exp(-z))) for z in zs]
    arriving = [None, None]
    for l in (1, 0):
        arriving[l] = delta[l + 1] @ before[l + 1]
        delta[l] = arriving[l] * primes[l]
    assert monitor.layers == ["0", "2", "4"] and monitor.steps == [0]
    found = {q: monitor.values(q)[:, 0] for q in QUANTITIES}
    np.testing.assert_allclose(found["error"], [np.linalg.norm(d) for d in delta], rtol=1e-12)
    np.testing.assert_allclose(found["gradient"], [np.linalg.norm(g) for g in grads], rtol=1e-12)
    np.testing.assert_allclose(found["update"], [0.1 * np.linalg.norm(g) / np.linalg.norm(w) for g, w in zip(grads, before)], rtol=1e-9)
    np.testing.assert_allclose(found["passed"][:2], [np.linalg.norm(d) / np.linalg.norm(g) for d, g in zip(delta, arriving)], rtol=1e-12)
    np.testing.assert_allclose(found["saturated"][:2], [(d < 0.1).mean() for d in primes[:2]])
    np.testing.assert_allclose(found["small_inputs"], [(abs(a) < 0.2).mean() for a in inputs])
    assert np.isnan(found["saturated"][2]) and np.isnan(found["passed"][2])  # the output has no activation of its own


@pytest.mark.parametrize("sigma", [mg.sigmoid, mg.tanh, mg.relu, mg.asinh, F.silu, F.softplus, F.leaky_relu, F.elu, F.gelu, F.softsign,
                                   lambda z: (z + mg.tanh(z)) / 2, lambda z: 2 * mg.sigmoid(z) - 1])  # fmt: skip
def test_slopes_come_from_the_rules_of_the_operations(sigma):
    leaf = mg.randn(4, 3, dtype=mg.float64).requires_grad_()
    z = leaf * 1.0
    a = sigma(z)
    found = slope(a.node, {z.node: "z"})
    assert found is not None and found[0] is z.node
    step = 1e-6
    central = (sigma(z.detach() + step) - sigma(z.detach() - step)) / (2 * step)
    np.testing.assert_allclose(found[1], central.array, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("function", [lambda z: mg.softmax(z, 1), lambda z: z.sum(1, keepdim=True) * z, lambda z: F.dropout(mg.relu(z)),
                                      lambda z: z, lambda z: z.detach().exp(), lambda z: z.T.exp()])  # fmt: skip
def test_what_is_no_elementwise_function_has_no_slope(function):
    z = mg.randn(4, 3).requires_grad_() * 1.0
    a = function(z)
    assert slope(a.node, {z.node: "z"}) is None


def test_activations_without_a_module_are_seen():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 2)

        def forward(self, x):
            return mg.sigmoid(self.second((lambda z: (z + mg.tanh(z)) / 2)(self.first(x))))

    model = Net()
    monitor = mg.Monitor(model, every=1, slope=0.3)
    model(mg.randn(6, 4)).sum().backward()
    assert monitor.layers == ["first", "second"]
    assert monitor.values("saturated")[:, 0].tolist() == [0.0, 1.0]  # slopes above 1/2, and of at most 1/4


def test_convolution_and_batch_norm():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 2))
    monitor = mg.Monitor(model, every=1)
    model[1].bias.data = mg.tensor([0.0, 0.0, -99.0])
    F.cross_entropy(model(mg.randn(4, 1, 8, 8)), mg.tensor([0, 1, 0, 1])).backward()
    assert monitor.layers == ["0", "5"]
    assert monitor.values("dead")[0, 0] == pytest.approx(1 / 3)
    assert np.isfinite(monitor.values("error")).all() and np.isfinite(monitor.values("gradient")).all()


def test_one_step_in_every_is_recorded_and_leaves_no_hook():
    model = network([64, 8, 10], nn.Tanh)
    monitor = train(model, steps=45, every=20)
    assert monitor.steps == [0, 20, 40] and monitor.step == 45 and monitor.values("error").shape == (2, 3)
    monitor.remove()
    assert not any(module._hooks for module in model.modules()) and all(p._hooks is None for p in model.parameters())
    train(model, steps=1)
    assert monitor.step == 45


def test_without_an_optimizer_passes_are_counted():
    monitor = train(network([64, 8, 10], nn.Tanh), steps=25, every=10, optimizer=False)
    assert monitor.steps == [0, 10, 20] and np.isnan(monitor.values("update")).all() and np.isfinite(monitor.values("gradient")).all()


def test_evaluation_is_not_recorded_and_changes_nothing():
    model = network([64, 8, 10], nn.Tanh)
    monitor = mg.Monitor(model, every=1)
    x, y = data()
    with mg.no_grad():
        model(x)
    model.eval()
    F.cross_entropy(model(x), y).backward()
    assert monitor.steps == [] and monitor.step == 0
    model.train()
    model(x)  # without backward: a pass, and no record
    assert monitor.steps == [] and monitor.step == 1


def test_a_watched_training_takes_the_same_course():
    one, other = network([64, 8, 10], nn.ReLU), network([64, 8, 10], nn.ReLU)
    train(one, every=1)
    train(other, every=10**9)
    assert all(np.array_equal(p.array, q.array) for p, q in zip(one.parameters(), other.parameters()))


def test_an_error_in_the_forward_leaves_it_working():
    model = network([4, 3, 2], nn.ReLU)
    monitor = mg.Monitor(model, every=1)
    with pytest.raises(RuntimeError):
        model(mg.ones(2, 5))
    model(mg.ones(2, 4)).sum().backward()
    assert monitor.steps == [1]
    monitor.remove()
    assert not any(module._hooks for module in model.modules())


def test_a_copy_of_the_model_is_not_watched():
    model = network([4, 3, 2], nn.ReLU)
    monitor = mg.Monitor(model, every=1)
    copy.deepcopy(model)(mg.ones(2, 4)).sum().backward()
    assert monitor.step == 0 and monitor.steps == []


def test_norms_of_float32_do_not_overflow():
    assert norm(np.full(4, 1e30, np.float32)) == pytest.approx(2e30) and norm(np.full(4, 1e-30, np.float32)) == pytest.approx(2e-30)
    assert norm(np.array([3, 4], np.float16)) == 5 and np.isnan(norm(np.array([np.nan]))) and norm(np.zeros(3)) == 0


# --- findings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation, scale", [(nn.ReLU, 2**0.5), (nn.Tanh, 1.0), (nn.Sigmoid, 2.0)])
def test_a_sound_training_has_no_findings(activation, scale):
    monitor = train(network([64, 30, 30, 10], activation, scale))
    assert monitor.findings() == []


def test_a_saturated_network_is_found():
    monitor = train(network([64, 30, 30, 10], nn.Sigmoid, 30.0))
    (line,) = about(monitor, 2, "σ'(z)")
    share, limit = (float(number) for number in re.findall(r"([\d.]+) %", line))
    assert share == pytest.approx(100 * np.median(monitor.values("saturated")[1, -10:]), rel=1e-2) and limit == 75
    factor = float(re.search(r"shrinks ([\d.]+)×", line)[1])
    assert factor == pytest.approx(1 / np.median(monitor.values("passed")[1, -10:]), rel=0.05)
    assert "|σ'(z)| < 0.01" in line and "by BP2" in line and "in 10 records, steps 100 to 190" in line
    assert not about(monitor, 2, "|σ'(z)|", saturated=0.99)


def test_a_saturated_output_is_told_by_bp1():
    model = nn.Sequential(*network([64, 30, 10], nn.Tanh), nn.Sigmoid())
    nn.init.constant_(model[2].bias, 20.0)
    monitor = mg.Monitor(model, every=1)
    x, y = data()
    nn.QuadraticLoss()(model(x[:32]), mg.zeros(32, 10)).backward()
    assert len(about(monitor, 2, "by BP1")) == 1


def test_a_vanishing_gradient_is_found():
    monitor = train(network([64, *[30] * 6, 10], nn.Sigmoid))
    (line,) = [line for line in monitor.findings() if line.startswith("from layer 12")]
    medians = np.median(monitor.values("error")[:, -10:], axis=1)
    assert int(re.search(r"becomes ([\d,]+)×", line)[1].replace(",", "")) == round(medians[-1] / medians[0])
    assert "BP2" in line and "BP4" in line and "told above 100×" in line


def test_an_exploding_gradient_is_found():
    monitor = train(network([64, *[30] * 6, 10], nn.Identity, 4.0), steps=1, every=1)
    assert any(line.startswith("from layer 12") and "larger" in line for line in monitor.findings())


def test_dead_units_are_found():
    model = network([64, 30, 30, 10], nn.ReLU, 2**0.5)
    model[0].bias.data[:15] = -99.0
    monitor = train(model)
    (line,) = about(monitor, 0, "σ'(z) = 0")
    assert line.startswith("layer 0: 50 % of the units") and "BP3 and BP4" in line


def test_small_inputs_are_found():
    model = nn.Sequential(nn.Threshold(2.0, 0.0), *network([64, 8, 10], nn.Tanh))  # nothing reaches 2
    assert any("layer 1: 100 % of the inputs" in line and "by BP4" in line for line in train(model).findings())


def test_updates_that_are_too_small_or_too_large_are_found():
    assert len(about(train(network([64, 8, 10], nn.Tanh), steps=20, lr=1e-9), 0, "told below 1e-06")) == 1
    assert len(about(train(network([64, 8, 10], nn.Tanh), steps=20, lr=30.0), 0, "of their norm")) == 1


def test_what_is_not_finite_is_found():
    losses = []

    def spoil(loss):
        losses.append(loss)
        if len(losses) == 6:
            loss.register_hook(lambda g: g * float("nan"))

    monitor = train(network([64, 8, 10], nn.Tanh), steps=12, every=1, before=spoil)
    assert monitor.findings()[0].startswith("layer 0: no finite error ∂C/∂z at step 5; by BP2")


def test_layers_are_named_as_in_the_model_and_escaped():
    model = nn.ModuleDict({"<b>&": nn.Linear(3, 2)})
    model.forward = lambda x: mg.sigmoid(model["<b>&"](x))
    monitor = mg.Monitor(model, every=1, slope=1.0)
    model(mg.ones(2, 3)).sum().backward()
    page = monitor.html()
    assert "<b>&" in monitor.findings()[0] and "<b>&" not in page and "&lt;b&gt;&amp;" in page


# --- pictures -------------------------------------------------------------------------------------------------------


def test_the_pictures_are_well_formed(tmp_path):
    monitor = train(network([64, 30, 30, 10], nn.Sigmoid))
    curves = ET.fromstring(monitor.curves())
    assert "Norm of the error ∂C/∂z" in "".join(curves.itertext()) and "layer 2" in "".join(curves.itertext())
    for quantity in QUANTITIES:
        root = ET.fromstring(monitor.heatmap(quantity))
        assert len([r for r in root.iter("{http://www.w3.org/2000/svg}rect") if r.get("class") is None]) > 24
    drawn = [quantity for quantity in QUANTITIES if np.nan_to_num(monitor.values(quantity)).any()]
    assert "error" in drawn and "dead" not in drawn  # what is 0 all the time is left out
    page = monitor.save(tmp_path / "monitor.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and page.count("<svg") == 1 + len(drawn) and "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert monitor._repr_html_() in page and monitor.html() == page
    assert monitor.save(tmp_path / "monitor.svg").read_text(encoding="utf-8") == monitor.curves()


def test_a_heat_map_is_dark_where_much_is():
    root = ET.fromstring(heat_svg("t", ["a", "b"], [0, 5], np.array([[1.0, np.nan], [10.0, 100.0]]), log=True))
    fills = [r.get("fill") for r in root.iter("{http://www.w3.org/2000/svg}rect") if r.get("fill", "").startswith("#")]
    cells = fills[:3]
    assert len(fills) == 24 + 3 and cells[0] == "#eef3f9" and cells[2] == "#0c2c5c" and cells[0] > cells[1] > cells[2]


def test_many_layers_and_steps_stay_readable():
    values = np.random.default_rng(0).random((100, 5000))
    svg = heat_svg("t", [f"layer {i}" for i in range(100)], range(5000), values)
    root = ET.fromstring(svg)
    assert float(root.get("height")) < 800 and len(svg) < 3_000_000


def test_an_untrained_monitor_says_so():
    monitor = mg.Monitor(nn.Linear(2, 1))
    assert monitor.findings() == [] and "Nothing was recorded" in monitor._repr_html_()
    with pytest.raises(ValueError, match="nothing was recorded"):
        monitor.curves()


@pytest.mark.parametrize("make, message", [
    (lambda: mg.Monitor(3), "must be an nn.Module, got int"), (lambda: mg.Monitor(nn.ReLU(), every=0), "every must be at least 1"),
    (lambda: mg.Monitor(nn.ReLU()).values("speed"), "no quantity 'speed', but error, gradient"),
    (lambda: mg.Monitor(nn.ReLU()).save("x.png"), "must end in .html or .svg"),
    (lambda: train(network([64, 10], nn.ReLU), 1).findings(last=0), "last must be at least 1"),
])  # fmt: skip
def test_errors_say_what_is_wrong(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


# --- what it costs --------------------------------------------------------------------------------------------------


def test_steps_that_are_not_watched_have_no_hooks():
    model = network([64, 8, 10], nn.Tanh)
    monitor = train(model, steps=15, every=10)
    assert monitor.steps == [0, 10] and not any(module._hooks for module in model.modules())
    assert all(p._hooks is None for p in model.parameters()) and not monitor.optimizer._pre_hooks


def best(step, rounds):
    return min(seconds(step) for _ in range(rounds))


@pytest.mark.parametrize("sizes, activation", [([784, 30, 10], nn.Sigmoid), ([*[32] * 20, 10], nn.Tanh)], ids=["small", "deep"])
def test_it_takes_under_five_percent_of_the_time(sizes, activation):
    x, y = mg.randn(16, sizes[0]), mg.randint(0, 10, (16,))

    def a_step(every):
        model = network(sizes, activation)
        descent = optim.SGD(model.parameters(), lr=1e-3)
        if every:
            mg.Monitor(model, descent, every=every)

        def step():
            loss = F.cross_entropy(model(x), y)
            descent.zero_grad()
            loss.backward()
            descent.step()

        step()  # the first one is watched
        return step

    plain, idle, watched = a_step(None), a_step(10**9), a_step(1)
    assert mg.Monitor(nn.ReLU()).every == 100
    share = np.inf
    for _ in range(6):  # until one was not disturbed by other processes
        usual = best(plain, 40)
        share = min(share, (best(idle, 40) + 0.01 * (best(watched, 15) - usual)) / usual - 1)
        if share < 0.05:
            break
    assert share < 0.05


def test_an_optimizer_without_step_hooks_is_refused():
    model = nn.Linear(2, 1)
    with pytest.raises(RuntimeError, match="LBFGS has a step.* leave the optimizer out"):
        mg.Monitor(model, optim.LBFGS(model.parameters()))
    assert not model._hooks
