"""Learning rate schedules against closed forms and against PyTorch."""

import copy
import itertools
import math
import pickle

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.optim import lr_scheduler
from microgradnet.tensor import Tensor

LRS = [0.5, 0.02]


def halving(epoch):
    return 0.5**epoch


def slower(epoch):
    return 1 / (1 + 0.1 * epoch)


CASES = [
    ("StepLR", dict(step_size=7)),
    ("StepLR", dict(step_size=1, gamma=0.9)),
    ("MultiStepLR", dict(milestones=[30, 3, 9, 9], gamma=0.5)),
    ("MultiStepLR", dict(milestones=(0, 5))),
    ("ConstantLR", dict(factor=0.25, total_iters=6)),
    ("ConstantLR", {}),
    ("LinearLR", dict(start_factor=0.1, total_iters=20)),
    ("LinearLR", dict(start_factor=1.0, end_factor=0.1, total_iters=20)),
    ("ExponentialLR", dict(gamma=0.9)),
    ("PolynomialLR", dict(total_iters=30, power=2.0)),
    ("PolynomialLR", {}),
    ("CosineAnnealingLR", dict(T_max=20, eta_min=0.001)),
    ("CosineAnnealingLR", dict(T_max=100)),
    ("CosineAnnealingWarmRestarts", dict(T_0=7)),
    ("CosineAnnealingWarmRestarts", dict(T_0=3, T_mult=2, eta_min=0.01)),
    ("LambdaLR", dict(lr_lambda=halving)),
    ("LambdaLR", dict(lr_lambda=[halving, slower])),
    ("MultiplicativeLR", dict(lr_lambda=[slower, slower])),
    ("OneCycleLR", dict(max_lr=0.8, total_steps=60)),
    ("OneCycleLR", dict(max_lr=[0.8, 0.4], epochs=6, steps_per_epoch=10, anneal_strategy="linear", pct_start=0.5)),
    ("OneCycleLR", dict(max_lr=0.8, total_steps=60, three_phase=True, base_momentum=[0.8, 0.7])),
    ("OneCycleLR", dict(max_lr=0.8, total_steps=60, cycle_momentum=False, div_factor=10.0, final_div_factor=100.0)),
]
IDS = [f"{name}-{'-'.join(options)}" for name, options in CASES]


def setup(library, tensor, name=None, options=None, optimizer="SGD"):
    """An optimizer of two groups, with a schedule."""
    options_of = {"SGD": dict(momentum=0.9), "Adam": {}}[optimizer]
    ps = [tensor(np.ones(2)).requires_grad_() for _ in LRS]
    for p in ps:
        p.grad = tensor(np.ones(2))
    groups = [{"params": [p], "lr": lr} for p, lr in zip(ps, LRS)]
    optimizer = getattr(library, optimizer)(groups, **options_of)
    return optimizer, name and getattr(library.lr_scheduler, name)(optimizer, **options)


def now(optimizer):
    """What a schedule may have changed."""
    return [(g["lr"], g.get("momentum"), g.get("betas")) for g in optimizer.param_groups]


def flat(history):
    numbers = (itertools.chain.from_iterable(np.ravel(v) for group in groups for v in group) for groups in history)
    return np.array([[x for x in row if x is not None] for row in numbers])


def run(optimizer, scheduler, steps=50, argument=lambda t: ()):
    history = [now(optimizer)]
    for t in range(steps):
        optimizer.step()
        scheduler.step(*argument(t))
        assert scheduler.get_last_lr() == [g["lr"] for g in optimizer.param_groups]
        history.append(now(optimizer))
    return history


def lrs(history):
    return np.array([[lr for lr, _, _ in groups] for groups in history])


def resumed(make, steps=50, at=20, argument=lambda t: ()):
    """A run that is saved and taken up again by new objects."""
    optimizer, scheduler = make()
    history = run(optimizer, scheduler, at, argument)
    saved = pickle.loads(pickle.dumps((optimizer.state_dict(), scheduler.state_dict())))
    optimizer, scheduler = make()
    optimizer.load_state_dict(saved[0])
    scheduler.load_state_dict(saved[1])
    return history + run(optimizer, scheduler, steps - at, lambda t: argument(t + at))[1:]


def close(a, b):
    return np.allclose(flat(a), flat(b), rtol=1e-10, atol=0)


# --- closed forms ---------------------------------------------------------------------------------------------------


def one_cycle(t, top, total, pct=0.3, div=25.0, final=1e4):
    first, last = pct * total - 1, total - 1
    start, end = (top / div, top) if t <= first else (top, top / div / final)
    part = t / first if t <= first else (t - first) / (last - first)
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


CLOSED = [
    ("StepLR", dict(step_size=7, gamma=0.3), lambda lr, t: lr * 0.3 ** (t // 7)),
    ("MultiStepLR", dict(milestones=[3, 9]), lambda lr, t: lr * 0.1 ** ((t >= 3) + (t >= 9))),
    ("ConstantLR", dict(factor=0.25, total_iters=6), lambda lr, t: lr * (0.25 if t < 6 else 1)),
    ("LinearLR", dict(start_factor=0.1, total_iters=20), lambda lr, t: lr * (0.1 + 0.9 * min(t, 20) / 20)),
    ("ExponentialLR", dict(gamma=0.9), lambda lr, t: lr * 0.9**t),
    ("PolynomialLR", dict(total_iters=30, power=2.0), lambda lr, t: lr * (1 - min(t, 30) / 30) ** 2),
    ("CosineAnnealingLR", dict(T_max=20, eta_min=0.01),
     lambda lr, t: 0.01 + (lr - 0.01) * (1 + math.cos(math.pi * t / 20)) / 2),
    ("CosineAnnealingWarmRestarts", dict(T_0=8), lambda lr, t: lr * (1 + math.cos(math.pi * (t % 8) / 8)) / 2),
    ("LambdaLR", dict(lr_lambda=slower), lambda lr, t: lr / (1 + 0.1 * t)),
    ("MultiplicativeLR", dict(lr_lambda=lambda t: 0.95), lambda lr, t: lr * 0.95**t),
    ("OneCycleLR", dict(max_lr=0.8, total_steps=60), lambda lr, t: one_cycle(t, 0.8, 60)),
]  # fmt: skip
CLOSED_IDS = [name for name, _, _ in CLOSED]


@pytest.mark.parametrize(("name", "options", "formula"), CLOSED, ids=CLOSED_IDS)
def test_fifty_steps_by_the_closed_form(name, options, formula):
    history = run(*setup(optim, Tensor, name, options))
    expected = [[formula(lr, t) for lr in LRS] for t in range(51)]
    np.testing.assert_allclose(lrs(history), expected, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("i", range(len(CLOSED) - 1))
def test_the_comparison_catches_a_wrong_formula(i):
    name, options, _ = CLOSED[i]
    wrong = [[CLOSED[i + 1][2](lr, t) for lr in LRS] for t in range(51)]
    assert not np.allclose(lrs(run(*setup(optim, Tensor, name, options))), wrong, rtol=1e-3)


@pytest.mark.parametrize(("name", "options", "formula"), [c for c in CLOSED if c[0] != "MultiplicativeLR"])
def test_step_to_an_epoch(name, options, formula):
    optimizer, scheduler = setup(optim, Tensor, name, options)
    optimizer.step()
    for epoch in 17, 5, 30:
        scheduler.step(epoch)
        np.testing.assert_allclose(scheduler.get_last_lr(), [formula(lr, epoch) for lr in LRS], rtol=1e-10, atol=1e-15)
    assert scheduler.last_epoch == 30


def test_warm_restarts_take_fractions_of_epochs():
    optimizer, scheduler = setup(optim, Tensor, "CosineAnnealingWarmRestarts", dict(T_0=2, T_mult=2))
    for epoch, part in (0.5, 0.25), (1.5, 0.75), (2, 0), (4, 0.5), (6, 0), (10, 0.5):
        scheduler.step(epoch)
        assert scheduler.get_last_lr()[0] == pytest.approx(LRS[0] * (1 + math.cos(math.pi * part)) / 2)
    with pytest.raises(ValueError, match="epoch must be at least 0, got -1"):
        scheduler.step(-1)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_saved_and_resumed(name, options):
    def make():
        return setup(optim, Tensor, name, options)

    assert flat(resumed(make)).tolist() == flat(run(*make())).tolist()


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_state_dicts_are_plain_data(name, options):
    state = setup(optim, Tensor, name, options)[1].state_dict()
    assert "optimizer" not in state

    def plain(value):
        if isinstance(value, (list, tuple)):
            return all(map(plain, value))
        return value is None or isinstance(value, (bool, int, float, str))

    assert all(map(plain, state.values())), state


# --- as PyTorch -----------------------------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_fifty_steps_as_torch(name, options, optimizer):
    torch = pytest.importorskip("torch")

    def make():
        return setup(optim, Tensor, name, options, optimizer)

    expected = run(*setup(torch.optim, torch.tensor, name, options, optimizer))
    assert close(run(*make()), expected)
    assert close(resumed(make), expected)


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_a_learning_rate_set_by_hand_is_gone_on_from_as_torch(name, options):
    torch = pytest.importorskip("torch")
    histories = []
    for library, tensor in (optim, Tensor), (torch.optim, torch.tensor):
        optimizer, scheduler = setup(library, tensor, name, options)
        history = run(optimizer, scheduler, 4)
        optimizer.param_groups[0]["lr"] = 0.123
        histories.append(history + run(optimizer, scheduler, 30))
    assert close(*histories)


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), [c for c in CASES if c[0] not in ("OneCycleLR",)])
def test_resumed_by_last_epoch_as_torch(name, options):
    torch = pytest.importorskip("torch")
    histories = []
    for library, tensor in (optim, Tensor), (torch.optim, torch.tensor):
        optimizer, scheduler = setup(library, tensor, name, options)
        run(optimizer, scheduler, 10)
        scheduler = getattr(library.lr_scheduler, name)(optimizer, **options, last_epoch=10)
        histories.append(run(optimizer, scheduler, 20))
    assert close(*histories)


METRICS = np.random.default_rng(3).standard_normal(60).tolist() + [-3.0] * 40
PLATEAUS = [
    {},
    dict(patience=2, factor=0.5, cooldown=3),
    dict(mode="max", patience=1, threshold=0.1, threshold_mode="abs", min_lr=[0.1, 0.001]),
    dict(mode="min", patience=0, threshold=0.5, min_lr=0.01, eps=1e-3, factor=0.7),
    dict(mode="max", patience=3, threshold=0.2, threshold_mode="rel"),
    dict(mode="min", patience=3, threshold=0.2, threshold_mode="abs"),
]


@pytest.mark.torch
@pytest.mark.parametrize("options", PLATEAUS)
def test_reduce_on_plateau_as_torch(options):
    torch = pytest.importorskip("torch")

    def make():
        return setup(optim, Tensor, "ReduceLROnPlateau", options)

    def metrics(t):
        return (METRICS[t],)

    expected = run(*setup(torch.optim, torch.tensor, "ReduceLROnPlateau", options), 100, metrics)
    assert len(np.unique(lrs(expected)[:, 0])) > 1
    assert close(run(*make(), 100, metrics), expected)
    assert close(resumed(make, 100, 30, metrics), expected)


@pytest.mark.torch
@pytest.mark.parametrize("milestones", [[5, 20], [1, 2], [10, 10]])
def test_one_after_the_other_as_torch(milestones):
    torch = pytest.importorskip("torch")

    def make(library, tensor):
        optimizer, _ = setup(library, tensor)
        s = library.lr_scheduler
        first, second = s.LinearLR(optimizer, 0.1, total_iters=5), s.CosineAnnealingLR(optimizer, 15)
        return optimizer, s.SequentialLR(optimizer, [first, second, s.ExponentialLR(optimizer, 0.9)], milestones)

    expected = run(*make(torch.optim, torch.tensor))
    assert close(run(*make(optim, Tensor)), expected)
    assert close(resumed(lambda: make(optim, Tensor), at=10), expected)


@pytest.mark.torch
def test_all_at_once_as_torch():
    torch = pytest.importorskip("torch")

    def make(library, tensor):
        optimizer, _ = setup(library, tensor)
        s = library.lr_scheduler
        return optimizer, s.ChainedScheduler([s.ConstantLR(optimizer, 0.1, 5), s.ExponentialLR(optimizer, 0.9),
                                              s.StepLR(optimizer, 7)])  # fmt: skip

    expected = run(*make(torch.optim, torch.tensor))
    assert close(run(*make(optim, Tensor)), expected)
    assert close(resumed(lambda: make(optim, Tensor)), expected)


# --- by what is measured --------------------------------------------------------------------------------------------


def test_reduce_on_plateau():
    optimizer, scheduler = setup(optim, Tensor, "ReduceLROnPlateau", dict(patience=2, factor=0.5, cooldown=1))
    seen = []
    for loss in [3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0]:
        scheduler.step(mg.tensor(loss))
        seen.append(scheduler.get_last_lr()[0])
    assert seen == [0.5] * 4 + [0.25] * 4 + [0.125] * 2
    assert scheduler.best == 1.0


def test_reduce_on_plateau_counts_nan_as_no_improvement():
    optimizer, scheduler = setup(optim, Tensor, "ReduceLROnPlateau", dict(patience=0))
    scheduler.step(1.0)
    scheduler.step(float("nan"))
    assert scheduler.get_last_lr()[0] == pytest.approx(0.05) and scheduler.best == 1.0


def test_reduce_on_plateau_covers_groups_added_later():
    optimizer, scheduler = setup(optim, Tensor, "ReduceLROnPlateau", dict(patience=0))
    optimizer.add_param_group({"params": Tensor(np.ones(1)), "lr": 1.0})
    scheduler.step(1.0)
    scheduler.step(1.0)
    assert scheduler.get_last_lr() == pytest.approx([0.05, 0.002, 0.1])


# --- schedules of schedules -----------------------------------------------------------------------------------------


def test_schedules_nest():
    optimizer, _ = setup(optim, Tensor)
    s = lr_scheduler
    inner = s.SequentialLR(optimizer, [s.ConstantLR(optimizer, 0.5, 100), s.ExponentialLR(optimizer, 0.9)], [3])
    chained = s.ChainedScheduler([s.ExponentialLR(optimizer, 0.5), s.ConstantLR(optimizer, 0.1, 4)])
    outer = s.SequentialLR(optimizer, [chained, inner], [6])
    history = lrs(run(optimizer, outer, 12))[:, 0] / LRS[0]
    expected = [0.5**t * (0.1 if t < 4 else 1) for t in range(6)] + [0.5] * 3 + [0.9**t for t in range(4)]
    np.testing.assert_allclose(history, expected, rtol=1e-12)


def test_a_nested_first_schedule_starts_at_its_beginning():
    optimizer, _ = setup(optim, Tensor)
    s = lr_scheduler
    inner = s.SequentialLR(optimizer, [s.ConstantLR(optimizer, 0.5, 100), s.ExponentialLR(optimizer, 0.9)], [2])
    outer = s.SequentialLR(optimizer, [inner, s.StepLR(optimizer, 2)], [4])
    history = lrs(run(optimizer, outer, 7))[:, 0] / LRS[0]
    np.testing.assert_allclose(history, [0.5, 0.5, 1, 0.9, 1, 1, 0.1, 0.1], rtol=1e-12)


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda o, a: lr_scheduler.SequentialLR(o, [a], [3]), ValueError, "one milestone less than schedulers"),
    (lambda o, a: lr_scheduler.SequentialLR(o, [a, lr_scheduler.ReduceLROnPlateau(o)], [3]), ValueError,
     r"schedulers\[1\] is a ReduceLROnPlateau"),
    (lambda o, a: lr_scheduler.SequentialLR(o, [a, 3], [3]), ValueError, r"schedulers\[1\] is a int"),
    (lambda o, a: lr_scheduler.ChainedScheduler([a, setup(optim, Tensor, "ExponentialLR", dict(gamma=1))[1]]),
     ValueError, r"schedulers\[1\] belongs to another optimizer"),
    (lambda o, a: lr_scheduler.ChainedScheduler([]), ValueError, "at least one scheduler"),
])  # fmt: skip
def test_schedules_that_do_not_go_together(make, error, message):
    optimizer, scheduler = setup(optim, Tensor, "StepLR", dict(step_size=3))
    with pytest.raises(error, match=message):
        make(optimizer, scheduler)


# --- use and misuse -------------------------------------------------------------------------------------------------


def test_a_step_before_the_optimizers_warns_once():
    optimizer, scheduler = setup(optim, Tensor, "StepLR", dict(step_size=3))
    with pytest.warns(UserWarning, match=r"scheduler.step\(\) was called before optimizer.step\(\)"):
        scheduler.step()
    scheduler.step()


def test_no_warning_where_the_optimizer_cannot_tell():
    class Own(optim.Optimizer):
        def step(self):
            pass

    scheduler = lr_scheduler.ExponentialLR(Own([Tensor(np.ones(1))], {"lr": 1.0}), 0.5)
    scheduler.step()
    assert scheduler.get_last_lr() == [0.5]


def test_a_schedule_of_ones_own():
    class Warmup(lr_scheduler.LRScheduler):
        def get_lr(self):
            return [lr * min(1, (self.last_epoch + 1) / 4) for lr in self.base_lrs]

    optimizer, _ = setup(optim, Tensor)
    history = lrs(run(optimizer, Warmup(optimizer), 5))[:, 0]
    np.testing.assert_allclose(history, [0.125, 0.25, 0.375, 0.5, 0.5, 0.5])
    with pytest.raises(NotImplementedError, match=r"LRScheduler does not define get_lr\(\)"):
        lr_scheduler.LRScheduler(optimizer)


class Decay:
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, epoch):
        return self.rate**epoch


def test_what_a_callable_object_knows_is_saved():
    def make(rate):
        return setup(optim, Tensor, "LambdaLR", dict(lr_lambda=[Decay(rate), halving]))[1]

    saved = copy.deepcopy(make(0.9).state_dict())
    assert saved["lr_lambdas"] == [{"rate": 0.9}, None]
    scheduler = make(0.1)
    scheduler.load_state_dict(saved)
    assert scheduler.lr_lambdas[0].rate == 0.9 and saved["lr_lambdas"] == [{"rate": 0.9}, None]


def test_the_model_follows_the_schedule():
    model = nn.Linear(1, 1, bias=False)
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    scheduler = lr_scheduler.LambdaLR(optimizer, halving, verbose=False)
    steps = []
    for _ in range(4):
        before = model.weight.item()
        optimizer.zero_grad()
        model(mg.ones(1, 1)).sum().backward()
        optimizer.step()
        scheduler.step()
        steps.append(before - model.weight.item())
    np.testing.assert_allclose(steps, [1, 0.5, 0.25, 0.125], rtol=1e-5)


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda o: lr_scheduler.StepLR(0.1, 3), TypeError, r"StepLR\(\) schedules an Optimizer, got float"),
    (lambda o: lr_scheduler.LambdaLR(0.1, halving), TypeError, "got float"),
    (lambda o: lr_scheduler.OneCycleLR(0.1, 1.0, 10), TypeError, "got float"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(0.1), TypeError, "got float"),
    (lambda o: lr_scheduler.StepLR(o, 3, last_epoch=4), KeyError, r"param_groups\[0\] has no 'initial_lr'"),
    (lambda o: lr_scheduler.LambdaLR(o, [halving]), ValueError, "1 values for 2 parameter groups"),
    (lambda o: lr_scheduler.LambdaLR(o, 0.5), TypeError, "must be callable, got float"),
    (lambda o: lr_scheduler.ConstantLR(o, 2.0), ValueError, "factor must be above 0, .* and at most 1, got 2.0"),
    (lambda o: lr_scheduler.LinearLR(o, 0.0), ValueError, "start_factor must be above 0"),
    (lambda o: lr_scheduler.LinearLR(o, end_factor=2.0), ValueError, "end_factor must lie between 0 and 1"),
    (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 0), ValueError, "T_0 must be a whole number above 0"),
    (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2, 0.5), ValueError, "T_mult must be"),
    (lambda o: lr_scheduler.OneCycleLR(o, 1.0), ValueError, "needs total_steps, or epochs and steps_per_epoch"),
    (lambda o: lr_scheduler.OneCycleLR(o, 1.0, epochs=3), ValueError, "steps_per_epoch=None"),
    (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 10, pct_start=2.0), ValueError, "pct_start must lie between"),
    (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 10, anneal_strategy="x"), ValueError, "'cos' or 'linear', got 'x'"),
    (lambda o: lr_scheduler.OneCycleLR(o, [1.0], 10), ValueError, "max_lr has 1 values for 2"),
    (lambda o: lr_scheduler.OneCycleLR(optim.Adagrad([Tensor(np.ones(1))]), 1.0, 10), ValueError,
     "Adagrad has no momentum to cycle"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.0), ValueError, "factor must be below 1"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, "least"), ValueError, "mode must be 'min' or 'max', got 'least'"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold_mode must"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, min_lr=[0.1]), ValueError, "min_lr has 1 values for 2"),
])  # fmt: skip
def test_what_cannot_be_scheduled(make, error, message):
    with pytest.raises(error, match=message):
        make(setup(optim, Tensor)[0])


def test_one_cycle_ends():
    optimizer, scheduler = setup(optim, Tensor, "OneCycleLR", dict(max_lr=1.0, total_steps=10, pct_start=0.1))
    run(optimizer, scheduler, 9)
    assert scheduler.get_last_lr()[0] == pytest.approx(1.0 / 25 / 1e4)
    scheduler.step()
    with pytest.raises(ValueError, match="step 11 of 10: the schedule is over"):
        scheduler.step()
