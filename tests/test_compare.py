"""Autodiff against the closed form: by equation, on random architectures, along a training, and with planted faults."""

import copy
import subprocess
import sys

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import backprop, nn, optim
from microgradnet.backprop import Activation, NoClosedForm, bp1, bp1_jacobian, bp2, bp3, bp4, compare, default_weights
from microgradnet.backprop import network as network_module
from microgradnet.backprop.activations import softmax
from microgradnet.backprop.from_model import ACTIVATIONS, chain_of, network_of, targets_of
from microgradnet.graph import OPS

HIDDEN = {
    "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU, "relu in place": lambda: nn.ReLU(inplace=True),
    "leaky_relu": nn.LeakyReLU, "leaky_relu(0.3)": lambda: nn.LeakyReLU(0.3), "elu": nn.ELU,
    "elu(0.7)": lambda: nn.ELU(0.7), "silu": nn.SiLU, "gelu": nn.GELU, "gelu tanh": lambda: nn.GELU("tanh"),
    "softplus": nn.Softplus, "softplus(2)": lambda: nn.Softplus(2.0, 3.0), "hardtanh": lambda: nn.Hardtanh(-0.5, 0.7),
    "relu6": nn.ReLU6, "log_sigmoid": nn.LogSigmoid, "softsign": nn.Softsign, "tanhshrink": nn.Tanhshrink,
    "identity": nn.Identity,
}  # fmt: skip
# What the model ends in (None: a Linear), the loss, and the kind of targets it takes.
OUTPUTS = [
    (nn.Sigmoid, nn.QuadraticLoss(), "values"), (nn.Tanh, nn.QuadraticLoss("sum"), "values"),
    (lambda: nn.Softmax(1), nn.QuadraticLoss(), "values"), (lambda: nn.LogSoftmax(-1), nn.QuadraticLoss(), "values"),
    (None, nn.MSELoss(), "values"), (nn.SiLU, nn.MSELoss(reduction="sum"), "values"),
    (lambda: nn.Softmax(-1), nn.MSELoss(), "values"),
    (None, nn.CrossEntropyLoss(), "labels"), (None, nn.CrossEntropyLoss(reduction="sum"), "labels"),
    (None, nn.CrossEntropyLoss(), "distributions"), (None, nn.CrossEntropyLoss(label_smoothing=0.2), "labels"),
    (nn.Tanh, nn.CrossEntropyLoss(label_smoothing=0.1), "distributions"),
    (lambda: nn.Softmax(1), nn.CrossEntropyLoss(), "labels"), (nn.ReLU, nn.BCEWithLogitsLoss(), "values"),
    (lambda: nn.LogSoftmax(1), nn.NLLLoss(), "labels"),
    (lambda: nn.LogSoftmax(-1), nn.NLLLoss(reduction="sum"), "labels"),
    (nn.Sigmoid, nn.BCELoss(), "values"), (nn.Sigmoid, nn.BCELoss(reduction="sum"), "values"),
    (None, nn.BCEWithLogitsLoss(), "values"), (None, nn.BCEWithLogitsLoss(reduction="sum"), "values"),
]
EVERY_LOSS = pytest.mark.parametrize("output, loss, kind", OUTPUTS, ids=[
    f"{output.__name__ if output else 'Linear'} {type(loss).__name__} {loss.reduction} {kind}"
    for output, loss, kind in OUTPUTS])


@pytest.fixture(autouse=True)
def seeded():
    mg.random.manual_seed(0)


def a_model(sizes, hidden, output=None, seed=0, bias=True):
    """Linear layers with the book's initial weights, in float64."""
    modules = []
    for w, b in zip(*default_weights(sizes, np.random.default_rng(seed)), strict=True):
        linear = nn.Linear(*w.shape[::-1], bias=bias, dtype=mg.float64)
        linear.weight.data = mg.Tensor(w)
        if bias:
            linear.bias.data = mg.Tensor(b)
        modules += [linear, hidden()]
    return nn.Sequential(*modules[:-1], *([output()] if output else []))


def some_data(sizes, kind="values", m=6, seed=1):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((m, sizes[0])), rng.uniform(0.05, 0.95, (m, sizes[-1]))
    labels = rng.integers(sizes[-1], size=m)
    return x, {"values": y, "labels": labels, "distributions": y / y.sum(1, keepdims=True)}[kind]


def quietly(*args, **options):
    return compare(*args, **options, print=False)


def of_layer(report, l):
    return {row.quantity: row for row in report.rows if row.layer == l}


def close(actual, expected, tolerance=1e-13):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())


# The equations come out of autodiff

ELEMENTWISE = [entry if isinstance(entry, Activation) else entry(kind()) for kind, entry in ACTIVATIONS.items()
               if kind not in (nn.Softmax, nn.LogSoftmax)]
MODULES = [kind() for kind in ACTIVATIONS if kind not in (nn.Softmax, nn.LogSoftmax)]
PAIRS = pytest.mark.parametrize("module, sigma", list(zip(MODULES, ELEMENTWISE, strict=True)), ids=map(repr, MODULES))


def recorded(sigma, m=5, widths=(0, 4, 3, 2)):
    """The parameters, z^l and a^l of a network, by name, each with its gradient of the quadratic cost."""
    rng = np.random.default_rng(0)
    normal = lambda *shape: mg.Tensor(rng.standard_normal(shape))
    at = {"a1": normal(m, widths[1])}
    for l in (2, 3):
        at[f"w{l}"], at[f"b{l}"] = normal(widths[l], widths[l - 1]).requires_grad_(), normal(widths[l]).requires_grad_()
        at[f"z{l}"] = at[f"a{l - 1}"] @ at[f"w{l}"].T + at[f"b{l}"]
        at[f"a{l}"] = sigma(at[f"z{l}"])
        at[f"z{l}"].retain_grad()
        at[f"a{l}"].retain_grad()
    (((at["a3"] - normal(m, widths[3])) ** 2).sum() / (2 * m)).backward()
    return at


def gradient(tensor):
    return tensor.grad.array


def value(tensor):
    return tensor.detach().array


@PAIRS
def test_bp1_comes_out_of_autodiff(module, sigma):
    at = recorded(module)
    close(gradient(at["z3"]), bp1(gradient(at["a3"]), sigma.prime(value(at["z3"]))))


def test_bp1_with_a_jacobian_comes_out_of_autodiff():
    at = recorded(nn.Softmax(1))
    close(gradient(at["z3"]), bp1_jacobian(gradient(at["a3"]), softmax.prime(value(at["z3"]))))


@PAIRS
def test_bp2_comes_out_of_autodiff(module, sigma):
    at = recorded(module)
    close(gradient(at["z2"]), bp2(value(at["w3"]), gradient(at["z3"]), sigma.prime(value(at["z2"]))))


@pytest.mark.parametrize("l", [2, 3])
@pytest.mark.parametrize("m", [1, 5])
def test_bp3_comes_out_of_autodiff(l, m):
    at = recorded(nn.Tanh(), m=m)
    close(gradient(at[f"b{l}"]), bp3(m * gradient(at[f"z{l}"])))


@pytest.mark.parametrize("l", [2, 3])
@pytest.mark.parametrize("m", [1, 5])
def test_bp4_comes_out_of_autodiff(l, m):
    at = recorded(nn.Tanh(), m=m)
    close(gradient(at[f"w{l}"]), bp4(value(at[f"a{l - 1}"]), m * gradient(at[f"z{l}"])))


def test_bp4_of_one_example_is_an_outer_product_of_what_came_in_and_the_error_that_goes_out():
    linear, seen = nn.Linear(3, 2, dtype=mg.float64), []
    x = np.array([0.0, 1.0, 2.0])
    z = linear(mg.Tensor(x))
    z.register_hook(lambda delta: seen.append(delta.array.copy()))
    nn.functional.sigmoid(z).sum().backward()
    assert np.array_equal(gradient(linear.weight), np.outer(seen[0], x))
    assert (gradient(linear.weight)[:, 0] == 0).all()  # a weight whose input is 0 learns nothing


# compare

@pytest.mark.parametrize("seed", range(8))
@EVERY_LOSS
def test_random_architectures_agree(output, loss, kind, seed):
    rng = np.random.default_rng([seed, OUTPUTS.index((output, loss, kind))])
    for _ in range(3):
        sizes = rng.integers(1, 41, rng.integers(2, 9)).tolist()
        model = a_model(sizes, lambda: HIDDEN[rng.choice(list(HIDDEN))](), output, int(rng.integers(1000)))
        x, y = some_data(sizes, kind, m=int(rng.integers(1, 9)), seed=seed)
        report = quietly(model, x, y, loss, central=False)
        assert len(report.rows) == 3 * (len(sizes) - 1)
        assert report.max_relative <= 1e-12, f"{model}\n{report}"


@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_activation_agrees_and_the_referee_concurs(hidden):
    model = a_model([3, 7, 5, 4], HIDDEN[hidden], HIDDEN[hidden])
    report = quietly(model, *some_data([3, 4]), nn.QuadraticLoss())
    assert report.max_relative <= 1e-13
    assert all(max(row.autodiff_off, row.closed_form_off) < 1e-6 for row in report.rows)


@EVERY_LOSS
def test_the_referee_concurs_on_every_loss(output, loss, kind):
    model = a_model([3, 6, 4], nn.Tanh, output)
    report = quietly(model, *some_data([3, 4], kind), loss)
    assert report.ok(1e-13)
    assert all(max(row.autodiff_off, row.closed_form_off) < 1e-7 for row in report.rows)


def test_what_a_row_holds():
    model = a_model([3, 5, 2], nn.Tanh, nn.Sigmoid)
    x, y = some_data([3, 2])
    report = quietly(model, x, y, nn.QuadraticLoss())
    book = report.network.backprop_batch(x, y)
    assert [str(row) for row in report.rows] == ["delta^3", "dC/db^3", "dC/dw^3", "delta^2", "dC/db^2", "dC/dw^2"]
    assert [row.equation for row in report.rows] == ["BP1", "BP3", "BP4", "BP2", "BP3", "BP4"]
    nn.QuadraticLoss()(model(mg.Tensor(x)), mg.Tensor(y)).backward()
    for l, linear in ((3, model[2]), (2, model[0])):
        delta, nabla_b, nabla_w = of_layer(report, l).values()
        assert np.array_equal(delta.closed_form, book.delta[l]) and delta.autodiff.shape == (6, linear.out_features)
        assert np.array_equal(nabla_b.autodiff, gradient(linear.bias))
        assert np.array_equal(nabla_w.autodiff, gradient(linear.weight))
    row = nabla_w._replace(autodiff=np.array([[1.0, 4.0]]), closed_form=np.array([[1.5, 2.0]]))
    assert (row.absolute, row.relative) == (2.0, 0.5)
    zeros = row._replace(autodiff=np.zeros(2), closed_form=np.zeros(2))
    assert zeros.relative == 0


def test_layers_without_biases_have_no_row_for_them():
    report = quietly(a_model([3, 5, 2], nn.Tanh, bias=False), *some_data([3, 2]), nn.MSELoss())
    assert report.ok(1e-13) and [row.equation for row in report.rows] == ["BP1", "BP4", "BP2", "BP4"]


def test_a_float32_model_is_compared_in_float64():
    model = a_model([3, 5, 2], nn.Tanh, nn.Sigmoid).float()
    x, y = some_data([3, 2])
    report = quietly(model, mg.Tensor(x.astype(np.float32)), mg.Tensor(y.astype(np.float32)), nn.QuadraticLoss())
    assert report.ok(1e-13) and {row.autodiff.dtype for row in report.rows} == {np.dtype(np.float64)}
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}
    assert np.array_equal(report.network.w[2], value(model[0].weight).astype(np.float64))


def test_nothing_of_the_model_is_touched():
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2))).eval()
    model[2].training = True
    model[0].weight.requires_grad_(False)
    model[0].bias.grad = mg.ones(4)
    called = []
    model[0].register_forward_hook(lambda *args: called.append(args))
    x = mg.Tensor(np.ones((5, 3), np.float32)).requires_grad_()
    labels = mg.tensor([0, 1, 1, 0, 1])
    loss = nn.CrossEntropyLoss()(model(x), labels)  # a graph that is still to be used

    def state():
        parameters = [(name, id(p), id(p.array), p.array.tobytes(), p.dtype, p.requires_grad, p._version, id(p._grad))
                      for name, p in model.named_parameters()]
        return parameters, [(module.training, dict(module._hooks or {})) for module in model.modules()]

    before, grad_before = state(), value(model[0].bias.grad).copy()
    with mg.no_grad():
        assert quietly(model, x, labels, nn.CrossEntropyLoss()).ok(1e-12)
        assert not mg.is_grad_enabled()
    assert state() == before and np.array_equal(value(model[0].bias.grad), grad_before) and x.grad is None
    loss.backward()
    assert x.grad is not None


@pytest.mark.parametrize("mode", [mg.no_grad, mg.inference_mode])
def test_it_works_where_nothing_is_recorded(mode):
    with mode():
        assert quietly(a_model([3, 5, 2], nn.Tanh), *some_data([3, 2]), nn.MSELoss()).ok(1e-13)


def test_the_model_may_be_nested_preprocess_and_repeat_activations():
    act = nn.Tanh()
    block = nn.Sequential(nn.Linear(4, 4), act, nn.Sequential(), nn.Identity())
    model = nn.Sequential(nn.Flatten(), nn.ReLU(), block, nn.Dropout(), nn.Linear(4, 3), act, nn.ELU(2.0))
    model.eval()
    rng = np.random.default_rng(0)
    report = quietly(model, rng.standard_normal((6, 2, 2)), rng.random((6, 3)), nn.MSELoss())
    assert report.ok(1e-13)
    assert [sigma.name for sigma in report.network.sigma.values()] == ["tanh", "elu(2.0) of tanh"]
    assert all(row.autodiff_off < 1e-7 for row in report.rows)


class Net(nn.Module):
    """A forward of its own, which computes what its children in order compute, unless told otherwise."""

    def __init__(self, way="in order"):
        super().__init__()
        self.way = way
        self.fc1, self.act, self.fc2 = nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)

    def forward(self, x):
        x = x.reshape(len(x), -1) / 2
        hidden = self.act(self.fc1(x))
        if self.way == "twice":
            hidden = self.act(self.fc1(hidden))
        if self.way == "detached":
            hidden = hidden.detach()
        if self.way == "functional":
            hidden = nn.functional.relu(hidden)
        out = self.fc2(hidden)
        return out + hidden if self.way == "skip" else (out, hidden) if self.way == "pair" else out


def test_a_forward_of_its_own_is_accepted_where_it_gives_what_the_chain_gives():
    rng = np.random.default_rng(0)
    assert quietly(Net(), rng.standard_normal((5, 2, 2)), rng.integers(4, size=5), nn.CrossEntropyLoss()).ok(1e-13)


@pytest.mark.parametrize("way", ["twice", "functional", "skip", "pair"])
def test_a_forward_of_its_own_is_refused_where_it_computes_something_else(way):
    rng = np.random.default_rng(0)
    with pytest.raises(NoClosedForm, match="Net computes something other than its children in order: give a"):
        quietly(Net(way), rng.standard_normal((5, 4)), rng.integers(4, size=5), nn.CrossEntropyLoss())


def test_a_detached_layer_is_seen():
    rng = np.random.default_rng(0)
    report = quietly(Net("detached"), rng.standard_normal((5, 4)), rng.integers(4, size=5), nn.CrossEntropyLoss())
    assert all(row.relative == 1 and not row.autodiff.any() for row in report.rows if row.layer == 2)
    assert all(row.relative < 1e-13 for row in report.rows if row.layer == 3)


class Cube(nn.Module):
    def forward(self, z):
        return z * z * z


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, z):
        return mg.sin(z * self.factor)


def test_activations_of_ones_own():
    cube = Activation("cube", lambda z: z**3, lambda z: 3 * z**2)
    own = {Cube: cube, Scaled: lambda module: Activation("scaled", lambda z: np.sin(module.factor * z),
                                                         lambda z: module.factor * np.cos(module.factor * z))}
    model = nn.Sequential(nn.Linear(3, 5), Cube(), nn.Linear(5, 5), Scaled(0.3), nn.Linear(5, 2)).double()
    data = some_data([3, 2])
    report = quietly(model, *data, nn.MSELoss(), activations=own)
    assert report.ok(1e-13) and list(report.network.sigma.values())[0] is cube
    own[Cube] = Activation("wrong cube", lambda z: z**3, lambda z: 2 * z**2)
    report = quietly(model, *data, nn.MSELoss(), activations=own)
    assert not report.ok() and "first at delta^2 (BP2)" in str(report) and "side with autodiff" in str(report)


# 200 steps of gradient descent

def by_both(sizes, hidden, output, loss, kind, eta, lmbda=0.0, steps=200, m=8):
    """The same network, trained by the book and by autodiff on the same batches."""
    model = a_model(sizes, hidden, output)
    net = network_of(chain_of(model, {}), loss)
    n = 64
    x, y = some_data(sizes, kind, m=n)
    if kind == "labels":
        y = x[:, :sizes[-1]].argmax(1)
    weights = [p for name, p in model.named_parameters() if name.endswith("weight")]
    biases = [p for name, p in model.named_parameters() if name.endswith("bias")]
    optimizer = optim.SGD([{"params": weights, "weight_decay": lmbda / n}, {"params": biases}], lr=eta)
    rng = np.random.default_rng(7)
    start = net.w[2].copy()
    while steps > 0:
        order = rng.permutation(n)
        for first in range(0, n, m):
            batch = order[first:first + m]
            target, Y = targets_of(loss, y[batch], sizes[-1])
            net.update_mini_batch(x[batch], Y, eta, lmbda, n=n)
            optimizer.zero_grad()
            loss(model(mg.Tensor(x[batch])), target).backward()
            optimizer.step()
            steps -= 1
    assert np.abs(net.w[2] - start).max() > 1e-2  # it has learnt something
    return net, model


TRAININGS = {
    "sigmoid quadratic": (nn.Sigmoid, nn.Sigmoid, nn.QuadraticLoss(), "values", 3.0),
    "tanh mse": (nn.Tanh, None, nn.MSELoss(), "values", 0.1),
    "relu cross-entropy": (nn.ReLU, None, nn.CrossEntropyLoss(), "labels", 0.1),
    "gelu log-likelihood": (nn.GELU, lambda: nn.LogSoftmax(1), nn.NLLLoss(), "labels", 0.1),
    "elu smoothed": (nn.ELU, None, nn.CrossEntropyLoss(label_smoothing=0.1), "labels", 0.1),
    "sigmoid binary cross-entropy": (nn.Sigmoid, nn.Sigmoid, nn.BCELoss(), "values", 1.0),
    "silu logits": (nn.SiLU, None, nn.BCEWithLogitsLoss(), "values", 0.5),
}


def assert_same_weights(net, model):
    linears = [module for module in model if isinstance(module, nn.Linear)]
    for l, linear in enumerate(linears, start=2):
        np.testing.assert_allclose(value(linear.weight), net.w[l], rtol=0, atol=1e-10)
        np.testing.assert_allclose(value(linear.bias), net.b[l], rtol=0, atol=1e-10)


@pytest.mark.parametrize("case", TRAININGS.values(), ids=TRAININGS)
def test_200_steps_of_sgd_end_in_the_same_weights(case):
    assert_same_weights(*by_both([5, 12, 7, 3], *case))


@pytest.mark.parametrize("case", list(TRAININGS.values())[:3], ids=list(TRAININGS)[:3])
def test_p70_weight_decay_of_a_group_of_weights_is_the_books_regularisation(case):
    net, model = by_both([5, 12, 7, 3], *case, lmbda=0.5)
    assert_same_weights(net, model)
    plain, _ = by_both([5, 12, 7, 3], *case)
    assert np.linalg.norm(net.w[2]) < 0.99 * np.linalg.norm(plain.w[2])


def test_p70_weight_decay_of_all_parameters_is_not():
    net, model = by_both([5, 4, 3], *TRAININGS["tanh mse"], lmbda=0.5)
    decayed = a_model([5, 4, 3], nn.Tanh)
    optimizer = optim.SGD(decayed.parameters(), lr=0.1, weight_decay=0.5 / 64)
    x, y = some_data([5, 3], m=64)
    rng = np.random.default_rng(7)
    for _ in range(25):
        order = rng.permutation(64)
        for first in range(0, 64, 8):
            batch = order[first:first + 8]
            optimizer.zero_grad()
            nn.MSELoss()(decayed(mg.Tensor(x[batch])), mg.Tensor(y[batch])).backward()
            optimizer.step()
    with pytest.raises(AssertionError):
        assert_same_weights(net, decayed)


def test_the_books_sgd_and_autodiff_see_the_same_batches():
    sizes = [4, 6, 3]
    model = a_model(sizes, nn.Tanh, nn.Sigmoid)
    net = network_of(chain_of(model, {}), nn.QuadraticLoss())
    x, y = some_data(sizes, m=50)
    net.sgd((x, y), epochs=40, mini_batch_size=10, eta=0.5, rng=np.random.default_rng(3))
    rng, optimizer = np.random.default_rng(3), optim.SGD(model.parameters(), lr=0.5)
    for _ in range(40):
        order = rng.permutation(50)
        for first in range(0, 50, 10):
            batch = order[first:first + 10]
            optimizer.zero_grad()
            nn.QuadraticLoss()(model(mg.Tensor(x[batch])), mg.Tensor(y[batch])).backward()
            optimizer.step()
    assert_same_weights(net, model)


# Planted faults

FAULTS = {  # operation, position of the rule, the wrong rule, and where it shows first
    "sigmoid": ("sigmoid", 0, lambda g, y, _x: g * y * y, "delta^4 (BP1)"),
    "sigmoid off by 1e-6": ("sigmoid", 0, lambda g, y, _x: g * (y * (1 - y)) * (1 + 1e-6), "delta^4 (BP1)"),
    "tanh": ("tanh", 0, lambda g, y, _x: g * (1 - y), "delta^2 (BP2)"),
    "relu": ("relu", 0, lambda g, y, _x: g, "delta^3 (BP2)"),
    "linear's input": ("linear", 0, lambda g, _y, _x, w, _b: -(g @ w), "delta^3 (BP2)"),
    "linear's weight": ("linear", 1, lambda g, _y, x, _w, _b: g.T @ (x * x), "dC/dw^4 (BP4)"),
    "linear's bias": ("linear", 2, lambda g, _y, _x, _w, _b: g[:1], "dC/db^4 (BP3)"),
}


@pytest.mark.parametrize("name, position, rule, place", FAULTS.values(), ids=FAULTS)
def test_a_wrong_rule_is_seen(monkeypatch, name, position, rule, place):
    model = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2), nn.Sigmoid())
    data = some_data([3, 2])
    assert quietly(model, *data, nn.QuadraticLoss()).ok(1e-13)
    rules = list(OPS[name].rules)
    rules[position] = rule
    monkeypatch.setattr(OPS[name], "rules", tuple(rules))
    report = quietly(model, *data, nn.QuadraticLoss())
    assert not report.ok() and report.max_relative > 1e-7
    assert f"They DISAGREE, first at {place}" in str(report)
    assert "Central differences side with the closed form." in str(report)


@pytest.mark.parametrize("equation, wrong, place", [
    ("bp2", lambda w, delta, prime: delta @ w, "delta^2 (BP2)"),
    ("bp3", lambda delta: 2 * delta.mean(axis=0), "dC/db^3 (BP3)"),
    ("bp4", lambda a, delta: 1.001 * bp4(a, delta), "dC/dw^3 (BP4)"),
])
def test_a_wrong_equation_is_seen_and_the_referee_sides_with_autodiff(monkeypatch, equation, wrong, place):
    monkeypatch.setattr(network_module, equation, wrong)
    report = quietly(a_model([3, 5, 2], nn.Tanh, nn.Sigmoid), *some_data([3, 2]), nn.QuadraticLoss())
    assert not report.ok() and f"first at {place}" in str(report) and "side with autodiff" in str(report)


def test_a_gradient_that_is_not_a_number_is_never_ok(monkeypatch):
    monkeypatch.setattr(OPS["sigmoid"], "rules", (lambda g, y, _x: g * np.nan,))
    report = quietly(a_model([3, 5, 2], nn.Tanh, nn.Sigmoid), *some_data([3, 2]), nn.QuadraticLoss())
    assert np.isnan(report.max_relative) and not report.ok(1e300)
    assert "first at delta^3 (BP1), by nan. Central differences side with the closed form." in str(report)


# What it refuses

class Unknown(nn.Module):
    def forward(self, x):
        return x


class Louder(nn.Linear):
    pass


class WithScale(nn.Sequential):
    def __init__(self, *modules):
        super().__init__(*modules)
        self.scale = nn.Parameter(mg.ones(1))


def tied():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    return nn.Sequential(first, nn.Tanh(), second)


LINEAR = nn.Linear(3, 3)
REFUSED = {
    "unknown": (nn.Sequential(LINEAR, nn.Sequential(Unknown())), r"Unknown '1\.0' is none of Linear, Flatten, "),
    "the way out": (nn.Sequential(LINEAR, Unknown()), r"activations=\{Unknown: Activation\(name, f, prime\)\}"),
    "a subclass": (nn.Sequential(Louder(3, 3)), "Louder '0' is none of"),
    "unflatten": (nn.Sequential(LINEAR, nn.Unflatten(1, (3, 1))), "Unflatten '1' is none of"),
    "dropout": (nn.Sequential(LINEAR, nn.Dropout()), r"Dropout '1' is in training mode.*model\.eval\(\)"),
    "softmax inside": (nn.Sequential(LINEAR, nn.Softmax(1), nn.Linear(3, 3)), "Linear '2' comes after softmax, which"),
    "softmax, then tanh": (nn.Sequential(LINEAR, nn.Softmax(1), nn.Tanh()), "Tanh '2' comes after softmax"),
    "softmax over examples": (nn.Sequential(LINEAR, nn.Softmax(0)), "Softmax '1' has dim=0; give dim=1"),
    "softmax of its own choice": (nn.Sequential(LINEAR, nn.LogSoftmax()), "LogSoftmax '1' has dim=None; give dim=1"),
    "flatten all": (nn.Sequential(nn.Flatten(0), LINEAR), "Flatten '0' must keep the first dimension"),
    "a layer twice": (nn.Sequential(LINEAR, nn.Tanh(), LINEAR), "Linear '2' shares its weights with a module"),
    "tied weights": (tied(), "Linear '2' shares its weights"),
    "parameters beside": (WithScale(LINEAR), "WithScale has parameters beside those of its children: scale"),
    "no layer": (nn.Sequential(nn.Tanh()), "Sequential has no Linear layer"),
    "empty": (nn.Sequential(), "Sequential has no Linear layer"),
    "no module": (lambda x: x, "the model must be an nn.Module, got function"),
    "a class": (nn.Linear, "the model must be an nn.Module, got type"),
}


@pytest.mark.parametrize("model, message", REFUSED.values(), ids=REFUSED)
def test_models_without_a_closed_form_are_refused(model, message):
    with pytest.raises(NoClosedForm, match=message):
        quietly(model, np.ones((2, 3)), np.ones((2, 3)), nn.MSELoss())


@pytest.mark.parametrize("loss, y, message", [
    (nn.L1Loss(), np.ones((2, 3)), "no closed form for the loss L1Loss; give an instance of nn.QuadraticLoss, nn.MSE"),
    (nn.functional.mse_loss, np.ones((2, 3)), "the loss mse_loss; give an instance"),
    (nn.MSELoss, np.ones((2, 3)), "the loss MSELoss; give an instance"),
    (nn.MSELoss(reduction="none"), np.ones((2, 3)), "MSELoss has reduction='none'"),
    (nn.CrossEntropyLoss(weight=mg.ones(3)), [0, 1], "CrossEntropyLoss has a weight"),
    (nn.BCEWithLogitsLoss(pos_weight=mg.ones(3)), np.ones((2, 3)), "BCEWithLogitsLoss has a pos_weight"),
    (nn.CrossEntropyLoss(ignore_index=1), [0, 1], "CrossEntropyLoss ignores the label 1, and y has it"),
])
def test_losses_without_a_closed_form_are_refused(loss, y, message):
    with pytest.raises(NoClosedForm, match=message):
        quietly(nn.Sequential(nn.Linear(3, 3)), np.ones((2, 3)), y, loss)


@pytest.mark.parametrize("x, y, loss, message", [
    (np.ones((2, 4)), np.ones((2, 3)), nn.MSELoss(), "must equal the last of the weight"),
    (np.ones(3), np.ones(3), nn.MSELoss(), r"x has shape \(3,\), expected \(m, 3\)"),
    (np.ones((2, 5, 3)), np.ones((2, 5, 3)), nn.MSELoss(), r"x has shape \(2, 5, 3\), expected \(m, 3\)"),
    (np.ones((2, 3)), [0, 3], nn.CrossEntropyLoss(), "labels must lie in 0 … 2"),
    (np.ones((2, 3)), [0.0, 1.0], nn.CrossEntropyLoss(), "integer"),
    (np.ones((2, 3)), np.ones((2, 3)), nn.CrossEntropyLoss(), "must sum to 1"),
    (np.ones((2, 3)), np.ones((3, 3)), nn.QuadraticLoss(), "target .* must have the shape of input"),
])
def test_data_that_does_not_fit_is_told(x, y, loss, message):
    with pytest.raises((TypeError, ValueError), match=message):
        quietly(nn.Sequential(nn.Linear(3, 3)), x, y, loss)


# What it says

def test_the_report_is_printed(capsys):
    model = a_model([3, 20, 2], nn.Tanh, nn.Sigmoid)
    report = compare(model, *some_data([3, 2]), nn.QuadraticLoss())
    assert capsys.readouterr().out == f"{report}\n" and str(report).isascii()
    lines = str(report).splitlines()
    assert lines[0] == "3-20-2, tanh, sigmoid; cost quadratic; batch of 6"
    assert [line[:24].rstrip() for line in lines[2:10]] == [
        "", "gradient  by   shape",
        "delta^3   BP1  (6, 2)", "dC/db^3   BP3  (2,)", "dC/dw^3   BP4  (2, 20)",
        "delta^2   BP2  (6, 20)", "dC/db^2   BP3  (20,)", "dC/dw^2   BP4  (20, 3)",
    ]
    assert len({len(line) for line in lines[3:10]}) == 1 and max(map(len, lines)) <= 100
    assert [line.split()[-4:] for line in lines[4:10]] == [
        [f"{v:.1e}" for v in (r.absolute, r.relative, r.closed_form_off, r.autodiff_off)] for r in report.rows]
    assert [line.split()[-6:-4] for line in lines[4:10]] == [
        [f"{np.linalg.norm(v):.4g}" for v in (r.closed_form, r.autodiff)] for r in report.rows]
    assert lines[-4] == "Central differences: for each entry of up to 16, else in 16 random directions."
    assert lines[-1] == f"They agree: the largest relative difference is {report.max_relative:.1e}."
    assert repr(report) == f"<report: {lines[-1]}>"


def test_the_report_without_central_differences(capsys):
    model = a_model([3, 4, 2], nn.Tanh, nn.Sigmoid)
    report = compare(model, *some_data([3, 2]), nn.QuadraticLoss(), central=False, print=False)
    assert capsys.readouterr().out == ""
    assert "Central" not in str(report) and "off" not in str(report) and "nan" not in str(report)
    assert np.isnan(report.rows[0].autodiff_off) and report.ok()


def test_the_report_is_the_same_each_time():
    model, data = a_model([3, 20, 2], nn.Tanh), some_data([3, 2])
    before = copy.deepcopy(np.random.get_state()[1])
    assert str(quietly(model, *data, nn.MSELoss())) == str(quietly(model, *data, nn.MSELoss()))
    assert np.array_equal(np.random.get_state()[1], before)


def test_more_samples_ask_for_every_entry():
    model = a_model([3, 4, 2], nn.Tanh)
    report = quietly(model, *some_data([3, 2]), nn.MSELoss(), samples=24)
    assert all(row.autodiff_off < 1e-8 for row in report.rows)


def test_the_closed_form_does_not_load_compare():
    program = "import sys, microgradnet.backprop; assert not any('compare' in name for name in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_package_still_tells_what_it_lacks():
    with pytest.raises(AttributeError, match="module 'microgradnet.backprop' has no attribute 'compair'"):
        backprop.compair  # noqa: B018
