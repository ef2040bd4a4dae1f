"""Every optimizer and every schedule follows PyTorch's for fifty steps, through saving and resuming in the middle."""

import copy
import io

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import optim
from microgradnet.optim import swa_utils
from microgradnet.tensor import Tensor

SHAPES = [(3, 4), (4,), (2, 3, 2), ()]

OPTIMIZERS = {
    "SGD": [dict(lr=0.1), dict(lr=0.1, momentum=0.9, dampening=0.4, weight_decay=0.3, maximize=True),
            dict(lr=0.1, momentum=0.9, nesterov=True)],
    "Adagrad": [dict(lr=0.1), dict(lr=0.1, lr_decay=0.2, weight_decay=0.3, initial_accumulator_value=0.5)],
    "RMSprop": [dict(lr=0.1), dict(lr=0.1, centered=True, momentum=0.9, weight_decay=0.3, maximize=True)],
    "Adam": [dict(lr=0.1), dict(lr=0.1, amsgrad=True, maximize=True, weight_decay=0.3)],
    "AdamW": [dict(lr=0.1), dict(lr=0.1, amsgrad=True, weight_decay=0.3)],
    "Adadelta": [dict(), dict(lr=0.5, rho=0.7, eps=1e-3), dict(weight_decay=0.3, maximize=True)],
    "Adamax": [dict(), dict(lr=0.1, betas=(0.5, 0.7), eps=0.1), dict(weight_decay=0.3, maximize=True)],
    "NAdam": [dict(), dict(lr=0.1, betas=(0.5, 0.7), eps=0.1, momentum_decay=0.5), dict(weight_decay=0.3),
              dict(lr=0.1, weight_decay=0.3, decoupled_weight_decay=True, maximize=True)],
    "RAdam": [dict(), dict(lr=0.1, betas=(0.5, 0.7), eps=0.1), dict(lr=0.1, betas=(0.9, 0.9), weight_decay=0.3),
              dict(lr=0.1, weight_decay=0.3, decoupled_weight_decay=True, maximize=True)],
    "Rprop": [dict(), dict(lr=0.5, etas=(0.3, 1.9), step_sizes=(1e-2, 0.7)), dict(maximize=True)],
    "ASGD": [dict(), dict(lr=0.1, lambd=0.1, alpha=0.5, t0=10), dict(t0=1, weight_decay=0.3, maximize=True)],
    "Adafactor": [dict(), dict(lr=0.3, beta2_decay=-0.5, eps=(0.1, 0.01), d=1.5), dict(weight_decay=0.3),
                  dict(maximize=True, eps=(1e-3, 1e-3))],
}  # fmt: skip
CASES = [(name, options) for name, grid in OPTIMIZERS.items() for options in grid]
IDS = [f"{name}-{'-'.join(options)}" for name, options in CASES]


@pytest.fixture
def torch():
    """PyTorch in double precision, in which it then keeps its steps and products too."""
    torch = pytest.importorskip("torch")
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(torch.float32)


def starts(shapes):
    rng = np.random.default_rng(1)
    return [np.asarray(rng.standard_normal(shape)) for shape in shapes]


def gradient(p, step, i):
    """A gradient that depends on the parameter, so that an error would be carried on, with changes of sign."""
    return np.asarray(np.random.default_rng((step, i)).standard_normal(p.shape) + 0.1 * p)


def groups(ps, lr):
    return [{"params": ps[:2]}, {"params": ps[2:], "lr": lr}]


def array(tensor):
    return tensor.detach().numpy()


def run(library, tensor, name, options, schedule=None, shapes=SHAPES, steps=50, resume_at=None, via=None):
    """The parameters after the steps, and all rates on the way; resumed by new objects, in the middle."""

    def make(values):
        ps = [tensor(v).requires_grad_() for v in values]
        optimizer = getattr(library, name)(groups(ps, 0.02), **options)
        return ps, optimizer, schedule and schedule(library, optimizer)

    ps, optimizer, scheduler = make(starts(shapes))
    rates = []
    for t in range(steps):
        if t == resume_at:
            saved = via([optimizer.state_dict(), scheduler and scheduler.state_dict()])
            ps, optimizer, scheduler = make([array(p).copy() for p in ps])
            optimizer.load_state_dict(saved[0])
            if scheduler:
                scheduler.load_state_dict(saved[1])
        for i, p in enumerate(ps):
            p.grad = tensor(gradient(array(p), t, i))
        optimizer.step()
        if scheduler:
            step_schedule(scheduler, t)
        rates.append([(g["lr"], g.get("momentum", 0), *g.get("betas", ())) for g in optimizer.param_groups])
    return [*map(array, ps), np.array(rates)]


def step_schedule(scheduler, t):
    if "Plateau" in type(scheduler).__name__:
        scheduler.step(METRICS[t])
    else:
        scheduler.step()


METRICS = np.random.default_rng(0).random(50)


def through_a_file(state):
    file = io.BytesIO()
    mg.save(state, file)
    file.seek(0)
    return mg.load(file)


def agree(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-10)


# --- optimizers -----------------------------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_fifty_steps(torch, name, options):
    expected = run(torch.optim, torch.tensor, name, options)
    agree(run(optim, Tensor, name, options), expected)
    agree(run(optim, Tensor, name, options, resume_at=23, via=through_a_file), expected)


@pytest.mark.torch
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_checkpoints_travel_both_ways(torch, name):
    """PyTorch's state continues here and ours there, after seven steps, for five more."""
    options = OPTIMIZERS[name][-1]

    def objects(library, tensor, values):
        ps = [tensor(v).requires_grad_() for v in values]
        return ps, getattr(library, name)(groups(ps, 0.02), **options)

    def steps(ps, optimizer, tensor, first, last):
        for t in range(first, last):
            for i, p in enumerate(ps):
                p.grad = tensor(gradient(array(p), t, i))
            optimizer.step()

    sides = {}
    for library, tensor in (optim, Tensor), (torch.optim, torch.tensor):
        ps, optimizer = objects(library, tensor, starts(SHAPES))
        steps(ps, optimizer, tensor, 0, 7)
        sides[library] = [array(p).copy() for p in ps], copy.deepcopy(optimizer.state_dict())
        steps(ps, optimizer, tensor, 7, 12)
        expected = [array(p) for p in ps]
    ours, theirs = sides[optim][1], sides[torch.optim][1]
    assert ours["state"].keys() == theirs["state"].keys()
    for key, state in theirs["state"].items():
        assert ours["state"][key].keys() == state.keys()
    assert ours["param_groups"][0].keys() <= theirs["param_groups"][0].keys()

    def converted(saved, kind, tensor):
        return {**saved, "state": {key: {k: tensor(np.array(array(v))) if isinstance(v, kind) else v
                                         for k, v in state.items()} for key, state in saved["state"].items()}}

    for library, tensor, saved in (
        (optim, Tensor, (sides[torch.optim][0], converted(theirs, torch.Tensor, Tensor))),
        (torch.optim, torch.tensor, (sides[optim][0], converted(ours, Tensor, torch.tensor))),
    ):  # fmt: skip
        ps, optimizer = objects(library, tensor, saved[0])
        optimizer.load_state_dict(saved[1])
        steps(ps, optimizer, tensor, 7, 12)
        agree([array(p) for p in ps], expected)


@pytest.mark.torch
@pytest.mark.parametrize("options", [dict(), dict(nesterov=False, weight_decay=0.0), dict(ns_steps=3),
                                     dict(lr=0.1, adjust_lr_fn="match_rms_adamw")])  # fmt: skip
def test_muon_follows_within_the_precision_of_bfloat16(torch, options):
    shapes = [(4, 9), (7, 3), (5, 5), (1, 6)]
    options = dict(lr=0.05, **options) if "lr" not in options else options
    expected = run(torch.optim, torch.tensor, "Muon", options, shapes=shapes, steps=10)
    result = run(optim, Tensor, "Muon", options, shapes=shapes, steps=10)
    for a, b, start in zip(result, expected, starts(shapes)):
        assert abs(a - b).max() < 0.05 * abs(b - start).max()
    agree(run(optim, Tensor, "Muon", options, shapes=shapes, steps=10, resume_at=4, via=through_a_file), result)


# --- LBFGS ----------------------------------------------------------------------------------------------------------


def rosenbrock(ps):
    x, y = ps
    return ((1 - x) ** 2).sum() + 100 * ((y - x**2) ** 2).sum()


def minimize(library, tensor, options, steps, loss=rosenbrock, resume_at=None):
    ps = [tensor(np.array([-1.2, 0.7])).requires_grad_(), tensor(np.array([1.0, 2.0])).requires_grad_()]
    optimizer = library.LBFGS(ps, **options)
    losses = []

    def closure():
        optimizer.zero_grad()
        value = loss(ps)
        value.backward()
        losses.append(value.item())
        return value

    for t in range(steps):
        if t == resume_at:
            saved = through_a_file(optimizer.state_dict())
            ps = [tensor(array(p).copy()).requires_grad_() for p in ps]
            optimizer = library.LBFGS(ps, **options)
            optimizer.load_state_dict(saved)
        optimizer.step(closure)
    return ps, optimizer, losses


def bowl(ps):
    return (ps[0] ** 2).sum() + (3 * (ps[1] - 1) ** 2).sum() + (ps[0] * ps[1]).sum() + (ps[0] ** 4).sum()


LBFGS = [
    (dict(line_search_fn="strong_wolfe", max_iter=3), rosenbrock, 6),
    (dict(line_search_fn="strong_wolfe", history_size=2), rosenbrock, 1),
    (dict(line_search_fn="strong_wolfe", max_iter=1), rosenbrock, 15),
    (dict(line_search_fn="strong_wolfe", max_iter=6, max_eval=3), rosenbrock, 4),
    (dict(line_search_fn="strong_wolfe", lr=100.0, max_iter=4), rosenbrock, 3),
    (dict(line_search_fn="strong_wolfe", lr=1e-3, max_iter=4), rosenbrock, 3),
    (dict(lr=0.2, max_iter=2), bowl, 50),
    (dict(lr=0.1, max_iter=5, history_size=3), bowl, 10),
    (dict(), bowl, 3),
    (dict(max_eval=1), bowl, 3),
]


@pytest.mark.torch
@pytest.mark.parametrize(("options", "loss", "steps"), LBFGS)
def test_lbfgs(torch, options, loss, steps):
    theirs, their_optimizer, their_losses = minimize(torch.optim, torch.tensor, options, steps, loss)
    ours, optimizer, losses = minimize(optim, Tensor, options, steps, loss)
    np.testing.assert_allclose(losses, their_losses, rtol=1e-7, atol=1e-10)
    agree(map(array, ours), map(array, theirs))
    agree(map(array, minimize(optim, Tensor, options, steps, loss, resume_at=steps // 2)[0]), map(array, theirs))
    a, b = optimizer.state_dict()["state"][0], their_optimizer.state_dict()["state"][0]
    assert a.keys() == b.keys() - {"al"}  # PyTorch's numbers to compute with
    assert (a["n_iter"], a["func_evals"]) == (b["n_iter"], b["func_evals"])
    if "prev_loss" in b:
        np.testing.assert_allclose(a["prev_loss"], b["prev_loss"], rtol=1e-7, atol=1e-10)


# --- schedules ------------------------------------------------------------------------------------------------------


def halving(epoch):
    return 0.5**epoch


def slower(epoch):
    return 1 / (1 + 0.1 * epoch)


class Decay:
    """A callable object, whose attributes belong to the state."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, epoch):
        return self.rate**epoch


def simple(name, **options):
    return name, lambda library, optimizer: getattr(library.lr_scheduler, name)(optimizer, **options)


def sequence(library, optimizer):
    s = library.lr_scheduler
    parts = [s.LinearLR(optimizer, 0.1, total_iters=8), s.CosineAnnealingLR(optimizer, 15), s.StepLR(optimizer, 5)]
    return s.SequentialLR(optimizer, parts, [8, 30])


def chain(library, optimizer):
    s = library.lr_scheduler
    return s.ChainedScheduler([s.ConstantLR(optimizer, 0.1, 30), s.ExponentialLR(optimizer, 0.95)], optimizer)


def cyclic(**options):
    return simple("CyclicLR", base_lr=[0.01, 0.02], max_lr=0.3, step_size_up=6, **options)


SCHEDULES = [
    simple("LambdaLR", lr_lambda=[halving, slower]), simple("LambdaLR", lr_lambda=Decay(0.9)),
    simple("MultiplicativeLR", lr_lambda=slower),
    simple("StepLR", step_size=7), simple("MultiStepLR", milestones=[30, 3, 9, 9], gamma=0.5),
    simple("ConstantLR", factor=0.25, total_iters=30), simple("LinearLR", start_factor=0.1, total_iters=40),
    simple("ExponentialLR", gamma=0.95), simple("PolynomialLR", total_iters=45, power=2.0),
    simple("CosineAnnealingLR", T_max=20, eta_min=0.001), simple("CosineAnnealingWarmRestarts", T_0=3, T_mult=2),
    cyclic(), cyclic(mode="triangular2", step_size_down=3), cyclic(mode="exp_range", gamma=0.9),
    cyclic(scale_fn=slower, scale_mode="iterations"), cyclic(scale_fn=Decay(0.9)), cyclic(cycle_momentum=False),
    cyclic(base_momentum=[0.1, 0.2], max_momentum=0.7),
    simple("OneCycleLR", max_lr=[0.8, 0.4], total_steps=60, three_phase=True),
    simple("OneCycleLR", max_lr=0.8, epochs=5, steps_per_epoch=12, anneal_strategy="linear"),
    simple("ReduceLROnPlateau", patience=2, cooldown=1, factor=0.5, min_lr=[0.01, 0]),
    simple("ReduceLROnPlateau", mode="max", threshold_mode="abs", threshold=0.01, patience=4),
    ("SequentialLR", sequence), ("ChainedScheduler", chain),
    *(("SWALR", lambda library, optimizer, n=n, how=how: library.swa_utils.SWALR(optimizer, [0.5, 0.01], n, how))
      for n, how in [(10, "cos"), (30, "linear"), (0, "cos")]),
]  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("schedule", [s for _, s in SCHEDULES], ids=[f"{n}-{i}" for i, (n, _) in enumerate(SCHEDULES)])
def test_fifty_steps_on_schedule(torch, schedule, optimizer):
    options = dict(lr=0.1, momentum=0.9) if optimizer == "SGD" else dict(lr=0.1)
    expected = run(torch.optim, torch.tensor, optimizer, options, schedule)
    agree(run(optim, Tensor, optimizer, options, schedule), expected)
    agree(run(optim, Tensor, optimizer, options, schedule, resume_at=23, via=through_a_file), expected)


@pytest.mark.torch
def test_every_optimizer_and_schedule_is_there_and_tested(torch):
    theirs = {n for n in dir(torch.optim) if n[0].isupper()}
    assert theirs <= set(optim.__all__)
    assert theirs == {*OPTIMIZERS, "LBFGS", "Muon", "SparseAdam", "Optimizer"}
    schedules = set(torch.optim.lr_scheduler.__all__)
    assert schedules <= set(optim.lr_scheduler.__all__)
    assert schedules <= {name for name, _ in SCHEDULES} | {"LRScheduler"}
    assert set(torch.optim.swa_utils.__all__) == set(swa_utils.__all__)


@pytest.mark.torch
@pytest.mark.parametrize("make", [
    lambda o, p: o.Adadelta(p, rho=1.5), lambda o, p: o.Adadelta(p, lr=-1.0), lambda o, p: o.Adadelta(p, eps=-1.0),
    lambda o, p: o.Adamax(p, betas=(1.0, 0.9)), lambda o, p: o.Adamax(p, eps=-1.0),
    lambda o, p: o.NAdam(p, momentum_decay=-1.0), lambda o, p: o.NAdam(p, betas=(0.9, 1.0)),
    lambda o, p: o.RAdam(p, weight_decay=-1.0), lambda o, p: o.RAdam(p, betas=(0.9, -1.0)),
    lambda o, p: o.Rprop(p, etas=(1.1, 1.2)), lambda o, p: o.Rprop(p, lr=-1.0), lambda o, p: o.ASGD(p, lr=-1.0),
    lambda o, p: o.Adafactor(p, beta2_decay=0.1), lambda o, p: o.Adafactor(p, d=0.5),
    lambda o, p: o.Adafactor(p, eps=(-1.0, 1e-3)), lambda o, p: o.Adafactor(p, eps=(None, -1.0)),
    lambda o, p: o.Muon(p), lambda o, p: o.LBFGS(p, lr=-1.0),
    lambda o, p: o.LBFGS([{"params": p[:1]}, {"params": p[1:]}]),
    lambda o, p: o.LBFGS(p).step(), lambda o, p: o.SGD(p, lr=-1.0),
    lambda o, p: o.lr_scheduler.CyclicLR(o.Adagrad(p), 0.1, 1.0),
    lambda o, p: o.lr_scheduler.CyclicLR(o.SGD(p, momentum=0.9), 0.1, 1.0, mode="x"),
    lambda o, p: o.lr_scheduler.CyclicLR(o.SGD(p, momentum=0.9), [0.1, 0.2, 0.3], 1.0),
    lambda o, p: o.lr_scheduler.CyclicLR(p, 0.1, 1.0),
    lambda o, p: o.swa_utils.SWALR(o.SGD(p), 0.1, anneal_strategy="x"),
    lambda o, p: o.swa_utils.SWALR(o.SGD(p), 0.1, anneal_epochs=-1),
    lambda o, p: o.swa_utils.get_ema_avg_fn(1.5), lambda o, p: o.swa_utils.get_ema_multi_avg_fn(-0.1),
])  # fmt: skip
def test_the_same_errors(torch, make):
    kinds = []
    for library, tensor in (torch.optim, torch.tensor), (optim, Tensor):
        ps = [tensor(np.ones(2)).requires_grad_(), tensor(np.ones(3)).requires_grad_()]
        with pytest.raises((ValueError, TypeError)) as caught:
            make(library, ps)
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]


# --- averages -------------------------------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize("average", ["swa", "swa_avg", "swa_multi", "ema_avg", "ema_multi"])
def test_averaged_models(torch, average):
    results = []
    for library, tensor in (torch, torch.tensor), (mg, Tensor):
        utils = library.optim.swa_utils
        how = {"swa": {}, "swa_avg": dict(avg_fn=utils.get_swa_avg_fn()),
               "swa_multi": dict(multi_avg_fn=utils.get_swa_multi_avg_fn()),
               "ema_avg": dict(avg_fn=utils.get_ema_avg_fn(0.7)),
               "ema_multi": dict(multi_avg_fn=utils.get_ema_multi_avg_fn(0.7))}[average]  # fmt: skip
        model = library.nn.Linear(3, 2).to(library.float64)
        averaged = utils.AveragedModel(model, **how)
        rng = np.random.default_rng(0)
        for _ in range(5):
            model.load_state_dict({"weight": tensor(rng.random((2, 3))), "bias": tensor(rng.random(2))})
            averaged.update_parameters(model)
        results.append({key: array(value) for key, value in averaged.state_dict().items()})
    assert list(results[0]) == list(results[1]) == ["n_averaged", "module.weight", "module.bias"]
    agree(results[0].values(), results[1].values())
