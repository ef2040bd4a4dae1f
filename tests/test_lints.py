"""Lints: what is rarely meant is told, once, and nothing else is."""

import gc
import warnings
import weakref

import pytest

import microgradnet as mg
from microgradnet import lints, nn, optim
from microgradnet.autograd import debug_mode, engine

F = nn.functional


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """As in a new process."""
    monkeypatch.setattr(lints, "_fired", set())
    monkeypatch.setattr(engine, "first_looks", 5)


@pytest.fixture
def x():
    return mg.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.9]], requires_grad=True)


LABELS, PLACES = mg.tensor([0, 2]), mg.tensor([[0.0, 1, 0], [1, 0, 1]])
MISUSED = {
    "softmax into cross_entropy": lambda x: F.cross_entropy(x.softmax(1), LABELS),
    "reshaped in between": lambda x: F.cross_entropy(F.softmax(x.reshape(1, 2, 3), -1).permute(0, 2, 1), LABELS[None]),
    "as modules, with weights": lambda x: nn.CrossEntropyLoss(weight=mg.ones(3))(nn.Softmax(1)(x), LABELS),
    "with probabilities for targets": lambda x: F.cross_entropy(x.softmax(1), PLACES),
    "softmax into nll_loss": lambda x: F.nll_loss(x.softmax(1), LABELS),
    "sigmoid into BCE with logits": lambda x: F.binary_cross_entropy_with_logits(x.sigmoid(), PLACES),
    "as modules": lambda x: nn.BCEWithLogitsLoss()(nn.Sigmoid()(x), PLACES),
}
SOUND = {
    "logits": lambda x: F.cross_entropy(x, LABELS),
    "log_softmax": lambda x: F.nll_loss(x.log_softmax(1), LABELS),
    "the logarithm of a softmax": lambda x: F.nll_loss(x.softmax(1).log(), LABELS),
    "a soft target": lambda x: F.cross_entropy(x, (x * 2).softmax(1)),
    "sigmoid into BCE": lambda x: F.binary_cross_entropy(x.sigmoid(), PLACES),
    "logits into BCE with logits": lambda x: F.binary_cross_entropy_with_logits(x, x.detach().sigmoid()),
    "attention": lambda x: F.cross_entropy((x @ x.T).softmax(1) @ x, LABELS),
    "a gate": lambda x: F.cross_entropy(x * x.sigmoid(), LABELS),
}


@pytest.mark.parametrize("name", MISUSED)
def test_p86_probabilities_where_a_loss_takes_logits(x, name):
    loss = MISUSED[name](x)
    (finding,) = mg.lint(loss)
    assert finding.startswith("the result of s") and "take" in finding
    with pytest.warns(mg.LintWarning, match="goes into") as caught:
        loss.backward()
    assert caught[0].filename == __file__  # at the user's line
    MISUSED[name](x).backward()  # once


W = mg.tensor([[0.3], [0.1], [0.2]], requires_grad=True)
TARGETS = mg.tensor([1.0, 0.0])
CROSSED = {
    "linear": lambda x: ((F.linear(x, W.T) - TARGETS) ** 2).mean(),
    "x @ w": lambda x: (TARGETS - x @ W).abs().sum(),
    "x @ w + b": lambda x: ((x @ W + 1.0 - TARGETS) ** 2).mean(),
    "an activation": lambda x: ((F.linear(x, W.T).sigmoid() - TARGETS) ** 2).mean(),
}
SOUND |= {
    "outputs of the targets' shape": lambda x: (((x @ W).squeeze(-1) - TARGETS) ** 2).mean(),
    "targets of the outputs' shape": lambda x: ((x @ W - TARGETS[:, None]) ** 2).mean(),
    "one number for all": lambda x: ((x @ W - TARGETS[:1]) ** 2).mean(),
    "one output": lambda x: ((x[:1] @ W - TARGETS[:1]) ** 2).mean(),
    "each with each, meant": lambda x: ((x @ W)[:, None, 0] - TARGETS[None]).square().mean(),
    "distances of points": lambda x: (x[:, :1] - TARGETS).square().mean(),
}


@pytest.mark.parametrize("name", CROSSED)
def test_a_column_of_outputs_less_a_vector_of_targets(x, name):
    loss = CROSSED[name](x)
    (finding,) = mg.lint(loss)
    assert finding.startswith("outputs of shape (2, 1) less targets of shape (2,) are (2, 2)")
    with pytest.warns(mg.LintWarning, match=r"every output with every target: .*squeeze\(-1\)") as caught:
        loss.backward()
    assert caught[0].filename == __file__
    CROSSED[name](x).backward()  # once


@pytest.mark.parametrize("name", SOUND)
def test_p86_sound_losses_raise_nothing(x, name):
    loss = SOUND[name](x)
    assert mg.lint(loss) == []
    loss.backward()


def test_p86_only_the_first_calls_are_looked_at(x):
    for _ in range(5):
        SOUND["logits"](x).backward()
    MISUSED["softmax into nll_loss"](x).backward()


def test_p86_the_line_is_named_in_debug_mode(x):
    with debug_mode():
        p = x.softmax(1)
        assert "test_lints.py" in mg.lint(F.nll_loss(p, LABELS))[0] and "p = x.softmax(1)" in mg.lint(F.nll_loss(p, LABELS))[0]


def test_p86_it_can_be_silenced(x):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=mg.LintWarning)
        MISUSED["softmax into cross_entropy"](x).backward()
    assert issubclass(mg.LintWarning, UserWarning)


# --- gradients that were used and are added to ----------------------------------------------------------------------


def train(model, optimizer, reset, steps=3, backwards=1):
    data = mg.tensor([[1.0, 2.0], [3.0, -1.0]])
    for _ in range(steps):
        reset(model, optimizer)
        for _ in range(backwards):
            model(data).square().mean().backward()
        optimizer.step()


OPTIMIZERS = [optim.SGD, optim.Adam]
RESETS = {
    "optimizer": lambda m, o: o.zero_grad(),
    "optimizer, in place": lambda m, o: o.zero_grad(set_to_none=False),
    "model": lambda m, o: m.zero_grad(),
    "by hand": lambda m, o: [setattr(p, "grad", None) for p in m.parameters()],
    "by hand, in place": lambda m, o: [p.grad.zero_() for p in m.parameters() if p.grad is not None],
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_p86_a_missing_zero_grad(kind):
    model = nn.Linear(2, 1)
    optimizer = kind(model.parameters(), lr=0.1)
    with pytest.warns(mg.LintWarning, match=rf"{kind.__name__}.step\(\) is given the sum .* call zero_grad\(\)") as caught:
        train(model, optimizer, lambda m, o: None)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert not model.weight._hooks and not model.bias._hooks
    train(nn.Linear(2, 1), optimizer, lambda m, o: None, steps=1)
    other = nn.Linear(2, 1)
    train(other, kind(other.parameters(), lr=0.1), lambda m, o: None)  # once per process


@pytest.mark.parametrize("backwards", [1, 3])
@pytest.mark.parametrize("reset", RESETS)
def test_p86_gradients_that_are_reset_raise_nothing(reset, backwards):
    """Adding up over several batches before a step is sound."""
    model = nn.Linear(2, 1)
    train(model, optim.SGD(model.parameters(), lr=0.1), RESETS[reset], backwards=backwards)
    assert not model.bias._hooks


def test_p86_other_sound_programs_raise_nothing():
    model, other = nn.Linear(2, 2), nn.Linear(2, 1)
    first, second = optim.SGD(model.parameters(), lr=0.1), optim.SGD(other.parameters(), lr=0.1)
    x = mg.ones(3, 2)
    for _ in range(3):  # as in a GAN: one loss leaves gradients in the other's parameters, which are reset in time
        first.zero_grad()
        other(model(x)).mean().backward()
        first.step()
        second.zero_grad()
        other(model(x)).square().mean().backward()
        second.step()
    third = optim.SGD(model.parameters(), lr=0.1)
    third.step()
    third.step()  # twice with the same gradients
    third.zero_grad()

    def closure():
        third.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        return loss

    third.step(closure)
    third.step(closure)
    fourth = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        fourth.zero_grad()
        model(x).mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        fourth.step()


def test_p86_the_watch_makes_no_cycle():
    gc.disable()
    try:
        model = nn.Linear(2, 1)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        train(model, optimizer, RESETS["optimizer"], steps=1)
        gone = weakref.ref(model.bias), weakref.ref(optimizer)
        del model, optimizer
        assert [r() for r in gone] == [None, None]
    finally:
        gc.enable()


# --- on request -----------------------------------------------------------------------------------------------------


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(3, 3), nn.Linear(3, 3)
        self.drop, self.norm = nn.Dropout(), nn.BatchNorm1d(3)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)

    def forward(self, x):
        return self.norm(self.drop(self.used(x)))


def test_p86_parameters_that_never_receive_a_gradient(x):
    model = TwoHeads()
    loss = F.cross_entropy(model(x), LABELS)
    assert mg.lint(loss, model) == ["the loss does not depend on unused.weight, unused.bias: no gradient will reach them"]


def test_p86_a_model_in_eval_mode(x):
    model = TwoHeads().eval()
    findings = mg.lint(F.cross_entropy(model(x), LABELS), model)
    assert any("eval mode, in which BatchNorm1d, Dropout do not act as in training" in f for f in findings)
    model.train()
    model.norm.eval()  # a frozen layer is meant
    assert not any("eval" in f for f in mg.lint(F.cross_entropy(model(x), LABELS), model))
    plain = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.0)).eval()
    assert mg.lint(F.cross_entropy(plain(x), LABELS), plain) == []


def test_p86_gradients_that_are_there_already(x):
    model = nn.Linear(3, 3)
    F.cross_entropy(model(x), LABELS).backward()
    (finding,) = mg.lint(F.cross_entropy(model(x), LABELS), model)
    assert finding.startswith("weight, bias hold gradients already")


def test_p86_a_loss_that_leads_nowhere():
    model = nn.Linear(3, 3)
    with mg.no_grad():
        loss = model(mg.ones(2, 3)).sum()
    assert mg.lint(loss, model) == ["the loss does not require grad: nothing that led to it was recorded"]


def test_many_names_are_cut_short():
    model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(5)))
    (finding,) = mg.lint(mg.ones(1, requires_grad=True).sum(), model)
    assert "0.weight, 0.bias, 1.weight, 1.bias, 2.weight and 5 more" in finding
