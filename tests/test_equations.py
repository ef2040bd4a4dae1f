"""The book's equations found in a graph: every labelled value is the closed form's, and no label where there is none."""

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import graph, nn
from microgradnet.backprop import Network, activations, costs, one_hot
from microgradnet.backprop.from_model import ACTIVATIONS, LOSSES
from microgradnet.viz import equations, hooks

# How an activation is computed, and its closed form.
SIGMAS = {
    "sigmoid": (mg.sigmoid, activations.sigmoid),
    "tanh": (mg.tanh, activations.tanh),
    "relu": (mg.relu, activations.relu),
    "silu by hand": (lambda z: z * mg.sigmoid(z), activations.silu),
    "leaky_relu": (nn.LeakyReLU(0.1), activations.leaky_relu_with(0.1)),
    "softplus": (nn.Softplus(), activations.softplus),
    "gelu": (nn.GELU(), activations.gelu),
    "softsign": (nn.Softsign(), ACTIVATIONS[nn.Softsign]),
    "log_sigmoid": (nn.LogSigmoid(), ACTIVATIONS[nn.LogSigmoid]),
    "identity": (lambda z: z, activations.identity),
}


def _by_hand(a, y):
    return -(y * mg.log(a) + (1 - y) * mg.log(1 - a)).sum(dim=-1).mean()


# How a cost is computed, its closed form, and the output activation it is for (None: any).
COSTS = {
    "quadratic": (nn.QuadraticLoss(), costs.quadratic, None),
    "quadratic by hand": (lambda a, y: 0.5 * ((a - y) ** 2).sum(dim=-1).mean(), costs.quadratic, None),
    "mse": (nn.MSELoss(), costs.mean_squared_error, None),
    "bce": (nn.BCELoss(), costs.binary_cross_entropy, "sigmoid"),
    "cross-entropy by hand": (_by_hand, costs.cross_entropy, "sigmoid"),
    "bce with logits": (nn.BCEWithLogitsLoss(), LOSSES[nn.BCEWithLogitsLoss], "identity"),
    "cross_entropy": (nn.CrossEntropyLoss(), LOSSES[nn.CrossEntropyLoss], "identity"),
}
FORMS = ("x @ w.T + b", "x @ w + b", "w @ x + b", "x @ w.T", "linear", "Linear")


class Random:
    """A random network, computed in one of the forms, and the book's network of the same numbers."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.cost, closed_cost, output = COSTS[list(COSTS)[seed % len(COSTS)]]
        self.form = FORMS[seed % len(FORMS)]
        self.fused = output == "identity"
        labels_given = isinstance(self.cost, nn.CrossEntropyLoss)
        if labels_given and self.form == "w @ x + b":
            self.form = "linear"  # it takes batches alone
        sizes = rng.integers(1, 6, rng.integers(2, 6))
        names = [str(name) for name in rng.choice(list(SIGMAS), len(sizes) - 1)]
        names[-1] = output or names[-1]
        w = [rng.standard_normal((n, m)) for m, n in zip(sizes, sizes[1:])]
        b = [None if self.form == "x @ w.T" else rng.standard_normal(n) for n in sizes[1:]]
        self.net = Network(w, b, [SIGMAS[name][1] for name in names], closed_cost)
        self.m = 1 if self.form == "w @ x + b" else int(rng.integers(1, 7))
        self.X = rng.standard_normal((self.m, sizes[0]))
        self.Y = rng.uniform(0.1, 0.9, (self.m, sizes[-1]))
        target = self.Y
        if labels_given:
            target = rng.integers(0, sizes[-1], self.m)
            self.Y = one_hot(target, sizes[-1])
        one = self.form == "w @ x + b"
        a, self.w, self.b, self.sigmas = mg.tensor(self.X[0] if one else self.X), [], [], names
        for wl, bl, name in zip(w, b, names):
            a = SIGMAS[name][0](self._affine(a, wl, bl))
        self.loss = self.cost(a, mg.tensor(target[0] if one else target))

    def _affine(self, a, w, b):
        if self.form == "Linear":
            layer = nn.Linear(*w.shape[::-1], dtype=mg.float64)
            layer.load_state_dict({"weight": mg.tensor(w), "bias": mg.tensor(b)})
            self.w.append(layer.weight), self.b.append(layer.bias)
            return layer(a)
        w = mg.tensor(w.T.copy() if self.form == "x @ w + b" else w, requires_grad=True)
        b = None if b is None else mg.tensor(b, requires_grad=True)
        self.w.append(w), self.b.append(b)
        if self.form == "linear":
            return nn.functional.linear(a, w, b)
        if self.form == "w @ x + b":
            return w @ a + b
        z = a @ w if self.form == "x @ w + b" else a @ w.T
        return z if b is None else z + b


def wrong(case, found):
    """The labels whose value is not the closed form's, and the ones that are missing or too many."""
    net, m = case.net, case.m
    z, a = net.feedforward(case.X)
    by_book = net.backprop_batch(case.X, case.Y)
    delta = {l: d / m for l, d in by_book.delta.items()}
    L = net.L
    expected = {(f"{n}^{l}", l) for l in range(2, L + 1) for n in ("z", "δ")} | {("BP1", L)}
    expected |= {("BP2", l) for l in range(2, L)} | {("BP4", l) for l in net.w} | {("BP3", l) for l in net.b}
    expected |= {(f"a^{l}", l) for l, name in enumerate(case.sigmas, 2) if name != "identity"}
    faults = {(str(label), label.layer.l) for label in found.labels} ^ expected
    gradients = found.gradients()
    for label in found.labels:
        l = label.layer.l
        closed = {"z": z, "a": a, "δ": delta, "BP1": delta, "BP2": delta,
                  "BP3": by_book.nabla_b, "BP4": by_book.nabla_w}[label.name][l]  # fmt: skip
        if label.name == "BP4" and case.form == "x @ w + b":
            closed = closed.T
        value = gradients[label.place] if label.of_gradient else found.value(label)
        if value.size != closed.size or abs(value - closed.reshape(value.shape)).max() > 1e-10:
            faults.add((str(label), l))
        leaf = {"BP3": case.b, "BP4": case.w}.get(label.name)
        if leaf is not None and label.place is not leaf[l - 2]:
            faults.add((str(label), l))
    return faults


@pytest.mark.parametrize("seed", range(100))
def test_every_label_is_at_the_value_of_the_closed_form(seed):
    case = Random(seed)
    assert wrong(case, equations.find(case.loss)) == set()


def test_a_label_at_the_wrong_place_is_caught():
    case = Random(next(seed for seed in range(100) if Random(seed).net.L >= 4))
    found = equations.find(case.loss)
    i = next(i for i, label in enumerate(found.labels) if label.name == "BP2")
    found.labels[i] = found.labels[i]._replace(place=found.layers[-1].z)
    assert wrong(case, found) == {("BP2", found.labels[i].layer.l)}
    del found.labels[i]
    assert wrong(case, found) == {("BP2", 2)}


def test_the_random_networks_are_of_every_kind():
    cases = [Random(seed) for seed in range(100)]
    assert {case.form for case in cases} == set(FORMS)
    assert {name for case in cases for name in case.sigmas} == set(SIGMAS)
    assert {case.net.L for case in cases} == {2, 3, 4, 5} and {case.m for case in cases} >= {1, 2, 6}


# --- where the pattern is broken --------------------------------------------------------------------------------------

X = mg.tensor(np.random.default_rng(0).standard_normal((4, 3)))
Y = mg.tensor(np.random.default_rng(1).standard_normal((4, 3)))
LABELS = mg.tensor([0, 1, 2, 1])


def lin():
    return nn.Linear(3, 3, dtype=mg.float64)


def names(loss):
    return sorted(str(label) for label in equations.find(loss).labels)


TOP = ["BP1", "BP3", "z^L", "δ^L"]  # the last layer above what the book does not know; BP4 needs its a^(l−1)


@pytest.mark.parametrize(
    "between",
    [
        lambda a: nn.functional.dropout(a),
        lambda a: nn.functional.layer_norm(a, (3,)),
        lambda a: nn.BatchNorm1d(3, dtype=mg.float64)(a),
        lambda a: nn.BatchNorm1d(3, dtype=mg.float64).eval()(a),
        lambda a: mg.softmax(a, dim=1),
        lambda a: mg.exp(a) / mg.exp(a).sum(dim=1, keepdim=True),
        lambda a: a * mg.tensor(np.ones((4, 3))),
        lambda a: a + X,
        lambda a: a.flip(1),
        lambda a: nn.PReLU(dtype=mg.float64)(a),
    ],
    ids="dropout layer_norm batch_norm batch_norm_eval softmax softmax_by_hand mask residual_input flip prelu".split(),
)
def test_nothing_is_named_below_a_break(between):
    assert names(nn.MSELoss()(lin()(between(mg.tanh(lin()(X)))), Y)) == TOP


def test_nothing_is_named_below_a_residual_connection():
    h = mg.tanh(lin()(X))
    assert names(nn.MSELoss()(lin()(h) + h, Y)) == []
    assert names(nn.MSELoss()(lin()(mg.tanh(lin()(h)) + h), Y)) == TOP


def test_an_activation_that_is_used_elsewhere_has_no_bp2():
    h = mg.tanh(lin()(X))
    assert names(nn.MSELoss()(lin()(h), Y) + h.sum()) == []
    z = lin()(X)
    assert names(nn.MSELoss()(lin()(mg.tanh(z)), Y) + z.sum()) == []


def test_convolutions_are_not_layers_of_the_book():
    x = mg.tensor(np.ones((2, 1, 3, 3)))
    conv = nn.Conv2d(1, 3, 3, dtype=mg.float64)
    loss = nn.MSELoss()(lin()(mg.tanh(conv(x)).flatten(1)), mg.tensor(np.zeros((2, 3))))
    assert names(loss) == TOP


@pytest.mark.parametrize(
    "cost",
    [
        lambda z: -mg.log_softmax(z, dim=1).mean(),
        lambda z: nn.CrossEntropyLoss(label_smoothing=0.1)(z, LABELS),
        lambda z: nn.MSELoss()(mg.softmax(z, dim=1), Y),
        lambda z: nn.MSELoss()(nn.functional.dropout(z), Y),
        lambda z: nn.MSELoss()(nn.functional.layer_norm(z, (3,)), Y),
        lambda z: ((z - z.mean(dim=0)) ** 2).sum(),
        lambda z: nn.MSELoss()(z, Y).reshape(1) * 1.0,
        lambda z: nn.MSELoss()(z * mg.ones(3, dtype=mg.float64).requires_grad_(), Y),
    ],
    ids="log_softmax smoothing softmax dropout layer_norm centred reshape scaled".split(),
)
def test_nothing_is_named_under_a_cost_that_is_not_the_books(cost):
    assert names(cost(lin()(mg.tanh(lin()(X))))) == []


def test_a_parameter_that_is_used_twice_has_neither_bp3_nor_bp4():
    shared = lin()
    rest = ["BP1", "BP2", "a^2", "z^2", "z^3", "δ^2", "δ^3"]
    assert names(nn.MSELoss()(shared(mg.tanh(shared(X))), Y)) == rest
    first, second = lin(), lin()
    loss = nn.MSELoss()(second(mg.tanh(first(X))), Y) + 0.1 * (second.weight**2).sum()
    assert names(loss) == sorted([*rest, "BP3", "BP3", "BP4"])  # the penalty adds to the second weight's gradient
    w = mg.tensor(np.eye(3), requires_grad=True)
    assert names(nn.MSELoss()(mg.tanh(X @ w.T) @ w, Y)) == rest


def test_two_heads_and_recurrence_and_stacks_are_none_of_it():
    a, b, h = lin(), lin(), mg.tanh(lin()(X))
    assert names(nn.MSELoss()(a(h), Y) + nn.MSELoss()(b(h), Y)) == []
    w, u, c = (mg.tensor(np.ones(s), requires_grad=True) for s in [(3, 3), (3, 3), 3])
    assert names(nn.MSELoss()(X @ w + X @ u + c, Y)) == []
    assert names(nn.MSELoss()(lin()(X[None]), Y[None])) == []


def test_frozen_parameters_have_no_equation():
    layer = lin()
    layer.weight.requires_grad_(False)
    assert names(nn.MSELoss()(layer(X), Y)) == ["BP1", "BP3", "z^2", "δ^2"]


def test_a_loss_that_is_no_single_number_or_has_no_graph():
    assert names(lin()(X)) == [] and names(X.sum()) == []


def test_a_graph_that_backward_has_freed_keeps_its_labels():
    loss = nn.MSELoss()(lin()(mg.tanh(lin()(X))), Y)
    before = names(loss)
    loss.backward()
    found = equations.find(loss)
    assert names(loss) == before and found.value(found.z[0]) is None


def test_a_book_column_is_a_layer():
    w, b = mg.tensor(np.ones((2, 3)), requires_grad=True), mg.tensor(np.ones((2, 1)), requires_grad=True)
    assert names(((mg.sigmoid(w @ X.T + b) - 1.5 * mg.ones(2, 4)) ** 2).sum()) == sorted(
        ["z^2", "a^2", "δ^2", "BP1", "BP3", "BP4"])  # fmt: skip


# --- a reader ---------------------------------------------------------------------------------------------------------


def kept_in_a_network():
    """A loss, and a tensor within it that is to keep its gradient."""
    h = mg.tanh(lin()(X))
    h.retain_grad()
    return nn.MSELoss()(lin()(h), Y), h


READERS = {
    "gradients": lambda loss: equations.find(loss).gradients(),
    "value": lambda loss: [found.value(label) for found in [equations.find(loss)] for label in found.labels],
    "explain": mg.explain,
    "draw": mg.draw,
    "backward": lambda loss: mg.draw(loss, backward=True),
}


def traces(loss, h, read):
    """What a reader has left behind: gradients, and hooks that are not what they were."""
    leaves = [x for node in graph.walk(loss) for x in node.inputs if isinstance(x, mg.Tensor)]
    before = {node: node.hooks and list(node.hooks) for node in graph.walk(loss)}
    read(loss)
    found = [x for x in (h, *leaves) if x._grad is not None]
    found += [node for node in graph.walk(loss) if node.hooks != before[node]]
    loss.backward()  # which finds all that it needs
    return found + [x for x in (h, *leaves) if x.requires_grad and x._grad is None]


@pytest.mark.parametrize("name", READERS)
def test_a_reader_leaves_the_graph_as_it_was(name):
    assert traces(*kept_in_a_network(), READERS[name]) == []


def test_a_reader_that_leaves_something_is_caught(monkeypatch):
    monkeypatch.setattr(hooks, "Keeper", type(None))  # so that no hook is taken for the one of retain_grad
    for name in set(READERS) - {"draw"}:
        loss, h = kept_in_a_network()
        assert traces(loss, h, READERS[name]) == [h], name


@pytest.mark.parametrize("name", READERS)
def test_when_a_reader_fails_the_hooks_are_what_they_were(name):
    loss, h = kept_in_a_network()
    h.register_hook(lambda g: 1 / 0)
    before = list(h.node.hooks)
    try:
        READERS[name](loss)
    except ZeroDivisionError:
        pass
    assert h.node.hooks == before
