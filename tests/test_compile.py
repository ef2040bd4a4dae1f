"""compile(): programs give the bits of eager mode, through changes of every kind, or an error says what they cannot."""

import concurrent.futures
import copy
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn, optim
from microgradnet.errors import CompileError

lr_scheduler = optim.lr_scheduler


def bits(tensors):
    return [(t.dtype, t.shape, t.detach().numpy().tobytes()) for t in tensors]


class Twins:
    """A network with its optimizer twice: one trains eagerly, the other compiled."""

    def __init__(self, make, optimizer, loss=None, scheduler=None, **options):
        mg.manual_seed(0)
        model = make()
        self.models = model, copy.deepcopy(model)
        self.optimizers = [optimizer(m.parameters()) for m in self.models]
        self.schedulers = [scheduler(o) for o in self.optimizers] if scheduler else []
        self.generators = mg.Generator(), mg.Generator()
        loss = loss or (lambda output, target: F.mse_loss(output, target))

        def training(model, optimizer):
            def step(x, y):
                optimizer.zero_grad()
                cost = loss(model(x), y)
                cost.backward()
                optimizer.step()
                return cost

            return step

        eager, other = (training(m, o) for m, o in zip(self.models, self.optimizers))
        self.compiled = mg.compile(other, **options)
        self.steps = eager, self.compiled

    def step(self, *args):
        """One step of both, from the same random numbers."""
        state, losses = mg.get_rng_state(), []
        for step in self.steps:
            mg.set_rng_state(state)
            losses.append(step(*args))
        for scheduler in self.schedulers:
            scheduler.step()
        assert bits(losses[:1]) == bits(losses[1:])
        self.check()

    def check(self):
        ours, others = (m.state_dict() for m in self.models)
        for name in ours:
            assert bits([ours[name]]) == bits([others[name]]), name


def mlp(activation=nn.Sigmoid, *more):
    return lambda: nn.Sequential(nn.Linear(6, 5), activation(), *more, nn.Linear(5, 3))


def data(n=4, out=3):
    return mg.randn(n, 6), mg.randn(n, out)


NETWORKS = {
    "sigmoid": (mlp(), None),
    "dropout": (mlp(nn.ReLU, nn.Dropout(0.5)), None),
    "batch norm": (mlp(nn.Tanh, nn.BatchNorm1d(5)), None),
    "layer norm": (mlp(nn.GELU, nn.LayerNorm(5)), None),
    "group norm": (lambda: nn.Sequential(nn.Unflatten(1, (2, 3)), nn.GroupNorm(1, 2), nn.Flatten(), nn.Linear(6, 3)), None),
    "convolution": (lambda: nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 2, 3), nn.ReLU(), nn.MaxPool1d(2),
                                          nn.Flatten(), nn.Linear(4, 3)), None),
    "lstm": (lambda: Recurrent(nn.LSTM(2, 4, batch_first=True)), None),
    "gru": (lambda: Recurrent(nn.GRU(2, 4, batch_first=True)), None),
    "attention": (lambda: Attention(), None),
    "softplus": (mlp(nn.Softplus), None),
    "cross-entropy": (mlp(nn.SiLU), lambda z, y: F.cross_entropy(z, y.argmax(1))),
    "smooth labels": (mlp(nn.ELU), lambda z, y: F.cross_entropy(z, y.argmax(1), label_smoothing=0.1)),
    "binary": (mlp(nn.LeakyReLU), lambda z, y: F.binary_cross_entropy_with_logits(z, (y > 0).float())),
}  # fmt: skip


class Recurrent(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.layer(x.reshape(-1, 3, 2))[0][:, -1])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.TransformerEncoderLayer(2, 1, 4, dropout=0.1, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.block(x.reshape(-1, 3, 2)).flatten(1))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_train_as_in_eager_mode(name):
    make, loss = NETWORKS[name]
    twins = Twins(make, lambda p: optim.SGD(p, lr=0.1, momentum=0.9), loss)
    for _ in range(4):
        twins.step(*data())
    assert len(twins.compiled.programs) == 1


OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1), "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "decay": lambda p: optim.SGD(p, lr=0.1, weight_decay=0.1), "Adam": lambda p: optim.Adam(p, lr=0.01),
    "amsgrad": lambda p: optim.Adam(p, lr=0.01, amsgrad=True), "AdamW": lambda p: optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    **{n: (lambda p, n=n: getattr(optim, n)(p, lr=0.01)) for n in
       ("Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD")},
}  # fmt: skip
SCHEDULERS = {
    "none": None, "step": lambda o: lr_scheduler.StepLR(o, 2, 0.5), "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 5), "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=20, cycle_momentum=False),
}  # fmt: skip


@pytest.mark.parametrize("scheduler", [
    name if name in ("none", "exponential") else pytest.param(name, marks=pytest.mark.slow) for name in SCHEDULERS])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_and_schedules_are_followed(optimizer, scheduler):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twins = Twins(mlp(), OPTIMIZERS[optimizer], scheduler=SCHEDULERS[scheduler])
        for _ in range(6):
            twins.step(*data())
    assert len(twins.compiled.programs) == 1


def sgd(p):
    return optim.SGD(p, lr=0.1)


CHANGES = {
    "another batch": lambda t: data(7),
    "eval": lambda t: [m.eval() for m in t.models],
    "frozen": lambda t: [m[0].weight.requires_grad_(False) for m in t.models],
    "learning rate": lambda t: [o.param_groups[0].update(lr=0.03) for o in t.optimizers],
    "momentum": lambda t: [o.param_groups[0].update(momentum=0.5) for o in t.optimizers],
    "weight decay": lambda t: [o.param_groups[0].update(weight_decay=0.5) for o in t.optimizers],
    "dropout": lambda t: [setattr(m[2], "p", 0.9) for m in t.models],
    "loaded": lambda t: [m.load_state_dict({k: v * 0.5 for k, v in m.state_dict().items()}) for m in t.models],
    "data": lambda t: [setattr(m[0].weight, "data", m[0].weight.data * 2) for m in t.models],
    "another activation": lambda t: [m.__setitem__(1, nn.Tanh()) for m in t.models],
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_guards_cannot_be_fooled(change):
    twins = Twins(mlp(nn.ReLU, nn.Dropout(0.5)), sgd)
    x, y = data()
    for _ in range(3):
        twins.step(x, y)
    changed = CHANGES[change](twins)
    if change == "another batch":
        x, y = changed
    for _ in range(3):
        twins.step(x, y)


def test_a_replaced_parameter_is_noticed():
    twins = Twins(mlp(), sgd)
    x, y = data()
    for _ in range(2):
        twins.step(x, y)
    new = mg.randn(5, 6)
    for model, optimizer in zip(twins.models, twins.optimizers):
        model[0].weight = nn.Parameter(new.clone())
        optimizer.add_param_group({"params": [model[0].weight], "lr": 0.5})
    for _ in range(3):
        twins.step(x, y)


def test_dtypes_and_arguments_choose_the_program():
    compiled = mg.compile(lambda x, power, scale=1: (x * scale) ** power)
    for dtype in (mg.float32, mg.float64):
        for power in (2, 3):
            for scale in (1, 5):
                x = mg.arange(4, dtype=dtype)
                for _ in range(3):
                    assert bits([compiled(x, power, scale=scale)]) == bits([(x * scale) ** power])
    assert len(compiled.programs) == 8
    with pytest.raises(CompileError, match="recorded 8 times"):
        compiled(mg.ones(5), 2)
    assert mg.compile(lambda x: x + 1, limit=0, fallback="eager")(mg.ones(2)).tolist() == [2, 2]


def test_variables_from_outside_are_watched():
    scale = 2.0
    compiled = mg.compile(lambda x: x * scale)
    assert [compiled(mg.ones(2)).tolist() for _ in range(2)] == [[2, 2]] * 2
    scale = 3.0
    assert [compiled(mg.ones(2)).tolist() for _ in range(2)] == [[3, 3]] * 2


def test_random_numbers_come_from_the_generator_as_in_eager_mode():
    generator = mg.Generator().manual_seed(3)

    def noisy(x, generator):
        return x + mg.rand(3, generator=generator) * mg.randn_like(x)

    compiled = mg.compile(noisy)
    for other in (generator, mg.Generator().manual_seed(5), generator):
        for _ in range(3):
            states, seen = (mg.get_rng_state(), other.get_state()), []
            for function in (noisy, compiled):
                mg.set_rng_state(states[0])
                other.set_state(states[1])
                seen.append(function(mg.ones(3), other))
            assert bits(seen[:1]) == bits(seen[1:])


def test_gradients_are_left_where_no_optimizer_takes_them():
    weight = mg.randn(3, 2).requires_grad_()

    def cost(x):
        weight.grad = None
        loss = (x @ weight).tanh().sum()
        loss.backward()
        return loss

    compiled, x = mg.compile(cost), mg.randn(4, 3)
    for _ in range(3):
        expected = bits([cost(x), weight.grad])
        assert bits([compiled(x), weight.grad]) == expected
    first = weight.grad
    compiled(x * 2)
    assert bits([first]) == expected[1:], "a gradient that is held does not change"


def test_gradients_accumulate():
    weight = [mg.ones(2).requires_grad_() for _ in range(2)]
    functions = [lambda x, w=w: (x * w).sum().backward() for w in weight]
    functions[1] = mg.compile(functions[1])
    for i in range(4):
        for function in functions:
            function(mg.tensor([1.0, 2.0]) * i)
        assert bits([weight[0].grad]) == bits([weight[1].grad])


def test_keep_grads():
    twins = Twins(mlp(), sgd, keep_grads=True)
    for _ in range(3):
        twins.step(*data())
        ours, others = (list(m.parameters()) for m in twins.models)
        assert bits([p.grad for p in ours]) == bits([p.grad for p in others])
    twins = Twins(mlp(), sgd)
    for _ in range(2):
        twins.step(*data())
    assert all(p.grad is None for p in twins.models[1].parameters())


def test_structures_and_several_results():
    def function(pair, more):
        a, b = pair
        return {"sum": a + b, "rest": [a * more["c"], None, 3]}, (b,)

    compiled = mg.compile(function)
    for k in range(3):
        a, b, c = (mg.ones(2) * (k + i) for i in range(3))
        result, (same,) = compiled((a, b), {"c": c})
        assert result["sum"].tolist() == (a + b).tolist() and result["rest"][0].tolist() == (a * c).tolist()
        assert result["rest"][1:] == [None, 3] and same.tolist() == b.tolist()


def test_writes_into_views_and_buffers_are_part_of_the_program():
    counter = mg.zeros(2, 3)

    def count(x):
        with mg.no_grad():
            counter[0] += x
            counter[:, 1].mul_(2)
            counter.add_(1)
        return counter.sum()

    compiled, reference = mg.compile(count), np.zeros((2, 3), np.float32)
    for k in range(4):
        reference[0] += k
        reference[:, 1] *= 2
        reference += 1
        assert compiled(mg.ones(3) * k).item() == reference.sum()
        np.testing.assert_array_equal(counter.numpy(), reference)


def test_a_module_serves_for_inference_and_still_trains():
    model = mlp(nn.ReLU, nn.Dropout(0.5))()
    compiled = mg.compile(model)
    assert isinstance(compiled, nn.Module) and len(list(compiled.parameters())) == 4
    x, y = data()
    optimizer, losses = sgd(compiled.parameters()), []
    for _ in range(30):
        optimizer.zero_grad()
        loss = F.mse_loss(compiled(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    compiled.eval()
    assert not model.training
    with mg.no_grad():
        for _ in range(3):
            assert bits([compiled(x)]) == bits([model(x)])
    assert len(compiled.programs) == 1


ERRORS = {
    "item": lambda x: x * x.sum().item(),
    "float": lambda x: x * float(x.sum()),
    "if": lambda x: x if x.sum() > 0 else -x,
    "numpy": lambda x: x + mg.from_numpy(np.sin(x.numpy())),
    "asarray": lambda x: x + mg.tensor(np.asarray(x)),
    "tolist": lambda x: x * x.tolist()[0],
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_cannot_be_recorded_says_so(name):
    function = ERRORS[name]
    with pytest.raises(CompileError, match=r"(?s)reads the numbers of a tensor \(2,\)|reads the numbers.*fallback='eager'"):
        mg.compile(function)(mg.ones(2))
    compiled = mg.compile(function, fallback="eager")
    for k in range(-2, 3):
        assert bits([compiled(mg.ones(2) * k)]) == bits([function(mg.ones(2) * k)])


def test_other_refusals():
    optimizer = sgd([nn.Parameter(mg.ones(2))])
    optimizer.register_step_post_hook(lambda *_: None)
    p = optimizer.param_groups[0]["params"][0]

    def step(x):
        (p * x).sum().backward()
        optimizer.step()

    with pytest.raises(CompileError, match="step hooks"):
        mg.compile(step)(mg.ones(2))
    with pytest.raises(CompileError, match="writes into its argument"):
        mg.compile(lambda x: x.add_(1))(mg.ones(2))
    for function in (mg.unique, lambda x: x[x > 0]):
        with pytest.raises(CompileError, match="shape hangs on the values"):
            mg.compile(function)(mg.arange(3))
    with pytest.raises(CompileError, match="returns a set"):
        mg.compile(lambda x: {x})(mg.ones(2))
    with pytest.raises(ValueError, match="backend must be one of numpy"):
        mg.compile(lambda x: x, backend="fortran")
    with pytest.raises(ValueError, match="'eager'"):
        mg.compile(lambda x: x, fallback="jit")
    with pytest.raises(TypeError, match="got int"):
        mg.compile(3)


def test_after_an_error_nothing_listens_any_more():
    before = mg.Tensor.item, mg.Tensor.__dict__["grad"], nn.Module.__call__, optim.Optimizer.step
    with pytest.raises(CompileError):
        mg.compile(ERRORS["item"])(mg.ones(2))
    assert before == (mg.Tensor.item, mg.Tensor.__dict__["grad"], nn.Module.__call__, optim.Optimizer.step)
    assert mg.graph.on_record is None and mg.graph.on_write is None and mg.is_grad_enabled()


def test_a_wrong_number_in_a_program_is_noticed():
    twins = Twins(mlp(), sgd)
    twins.step(*data())
    run = twins.compiled.programs[0]
    inner = run.run

    def off(inputs):
        return [out * np.float32(1.0001) for out in inner(inputs)]

    run.run = off
    with pytest.raises(AssertionError):
        twins.step(*data())


@pytest.mark.parametrize("name", ["momentum", "Adam", "Adagrad"])
def test_numbers_of_an_optimizer_that_change_at_every_step(name):
    optimizers = {**OPTIMIZERS, "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9)}
    twins = Twins(mlp(), optimizers[name])
    key = "betas" if name == "Adam" else "momentum" if name == "momentum" else "lr_decay"
    for i in range(12):
        for optimizer in twins.optimizers:
            optimizer.param_groups[0][key] = (0.9 - i / 100, 0.99) if name == "Adam" else 0.9 - i / 100
        twins.step(*data())
    assert len(twins.compiled.programs) == 2
    for optimizer in twins.optimizers:
        optimizer.param_groups[0][key] = (0.0, 0.99) if name == "Adam" else 0.0
    twins.step(*data())
    twins.step(*data())
    assert len(twins.compiled.programs) == 3


def test_one_cycle_moves_rate_and_momentum():
    twins = Twins(mlp(), lambda p: optim.SGD(p, lr=0.1, momentum=0.9), scheduler=lambda o: lr_scheduler.OneCycleLR(o, 0.1, 20))
    for _ in range(15):
        twins.step(*data())
    assert len(twins.compiled.programs) == 2


def test_what_an_operation_refuses_is_done_by_the_function_itself():
    """Nothing is written, and no random number used up, by a program that ends in an error."""
    network = lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3))  # noqa: E731
    twins = Twins(network, sgd, F.cross_entropy)
    x, y = mg.randn(4, 6), mg.tensor([0, 1, 2, 0])
    for _ in range(3):
        twins.step(x, y)
    ignored = mg.tensor([0, -100, 2, -100])
    for labels in (ignored, y, ignored):
        twins.step(x, labels)
    assert len(twins.compiled.programs) == 1
    before, state = bits(twins.models[1].parameters()), mg.get_rng_state()
    compiled, function = twins.steps[1], twins.steps[1]._function
    outcomes = []
    for step in (compiled, function):
        mg.set_rng_state(state)
        with pytest.raises(IndexError, match="label 3 at target"):
            step(x, mg.tensor([0, 3, 2, 1]))
        outcomes.append(mg.get_rng_state().tolist())
        assert bits(twins.models[1].parameters()) == before
    assert outcomes[0] == outcomes[1]


class Config:
    scale = 1.0

    def __init__(self):
        self.scale = 2.0


SCALE = 2.0


def scaled(x):
    return x * SCALE


def test_the_variables_of_functions_and_objects_around_are_watched(monkeypatch):
    config, options, held = Config(), {"power": 2}, [1.0, 2.0]

    def function(x, more=held):
        return scaled(x) * config.scale ** options["power"] + more[0]

    compiled, x = mg.compile(function), mg.ones(2)

    def check():
        for _ in range(2):
            assert bits([compiled(x)]) == bits([function(x)])

    check()
    config.scale = 3.0
    check()
    options["power"] = 3
    check()
    held[0] = 5.0
    check()
    monkeypatch.setitem(globals(), "SCALE", 7.0)
    check()
    monkeypatch.setitem(globals(), "scaled", lambda x: x)
    check()
    assert len(compiled.programs) == 3  # for two powers, and without the scale; floats are read


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls, self.seen = 0, []

    def forward(self, x):
        self.calls += 1
        return x


def test_effects_that_a_program_would_not_have_are_refused():
    seen, count, counting = [], 0, Counting()

    def appends(x):
        seen.append(x)

    def counts(x):
        nonlocal count
        count += 1

    def schedules(x):
        (parameter * x).sum().backward()
        optimizer.step()
        scheduler.step()

    def seeds(x):
        mg.manual_seed(1)
        return mg.rand(2)

    parameter = nn.Parameter(mg.ones(2))
    optimizer = sgd([parameter])
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    for function, words in ((appends, "'seen'"), (counts, "'count'"), (counting, "'calls'"), (schedules, "learning rate"),
                            (seeds, "manual_seed")):
        with pytest.raises(CompileError, match=words):
            mg.compile(lambda x, f=function: f(x))(mg.ones(2))


def test_aliases_of_what_is_outside_are_known():
    weight, mask, scalar = mg.ones(3).requires_grad_(), mg.ones(3), mg.tensor([2.0, 3.0]).sum()

    def function(x):
        return x * weight.detach() + mask.data[1:].sum() + weight.detach().view(3)[0] + scalar

    compiled, x = mg.compile(function), mg.ones(3)
    for k in range(3):
        assert bits([compiled(x)]) == bits([function(x)])
        with mg.no_grad():
            weight.mul_(k + 2)
            mask.add_(1)
            scalar.add_(1)
    outside = weight * 2
    for f in (lambda x: x * outside, lambda x: x * outside[1:].sum()):
        with pytest.raises(CompileError, match="from outside that was computed"):
            mg.compile(f)(x)


def test_arguments_may_lie_in_any_order():
    compiled = mg.compile(lambda x: ((x * 2).sum(0), x.sum(), (x @ x.T).softmax(1)))
    x = mg.randn(40, 30)
    for view in (x, x.T, x[::2], x.flip(0), x[:, ::3], mg.ones(3, 1).expand(3, 4), x.T, x):
        for _ in range(2):
            assert bits(compiled(view)) == bits(((view * 2).sum(0), view.sum(), (view @ view.T).softmax(1)))
    assert len(compiled.programs) == 5


def test_gradients_of_arguments():
    def function(x, y):
        (x * y).sum().backward()

    compiled = mg.compile(function)
    for k in range(1, 4):
        x, y = (mg.full((2,), float(k + i)).requires_grad_(i == 0) for i in range(2))
        compiled(x, y)
        assert x.grad.tolist() == y.tolist() and y.grad is None
    with pytest.raises(CompileError, match="set its .grad to None"):
        compiled(x, y)


def test_arguments_that_are_the_same_or_share_memory():
    held = mg.ones(2)
    compiled, x, y = mg.compile(lambda a, b: a - 2 * b), mg.ones(2), mg.ones(2) * 5
    for pair in ((x, x), (x, y), (y, y), (y, x), (x, x)):
        assert bits([compiled(*pair)]) == bits([pair[0] - 2 * pair[1]])
    with pytest.raises(CompileError, match="two arguments share memory"):
        mg.compile(lambda a, b: a - b)(x, x.view(2, 1))
    with pytest.raises(CompileError, match="'held'"):
        mg.compile(lambda a: a - held)(held)
    with pytest.raises(CompileError, match="shares memory with an argument"):
        mg.compile(lambda a: a - held)(held.view(2))
    with pytest.raises(CompileError, match="writes into its argument"):
        mg.compile(lambda a: a[:1].mul_(2))(x)


def test_hooks_are_refused_and_parametrizations_are_not():
    layer = nn.Linear(6, 3)
    handle = layer.register_forward_hook(lambda *_: None)
    with pytest.raises(CompileError, match="has a hook"):
        mg.compile(layer)(mg.ones(2, 6))
    handle.remove()
    twins = Twins(lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 3)), sgd)
    for _ in range(3):
        twins.step(*data())
    twins.models[1].register_forward_hook(lambda *_: None)
    with pytest.raises(CompileError, match="has a hook"):
        twins.step(*data())
    with pytest.warns(FutureWarning):
        layer = nn.utils.weight_norm(nn.Linear(6, 3))
    compiled = mg.compile(layer)
    for _ in range(3):
        with mg.no_grad():
            layer.weight_g.mul_(2)
            x = mg.randn(2, 6)
            assert bits([compiled(x)]) == bits([layer(x)])


class Cube(mg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x * x


class Same(mg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.detach()

    @staticmethod
    def backward(ctx, g):
        return g * 2


@pytest.mark.parametrize("function", [Cube, Same])
def test_custom_functions_are_recorded(function):
    twins = Twins(mlp(), sgd, lambda z, y: F.mse_loss(function.apply(z), y))
    for _ in range(4):
        twins.step(*data())
    assert len(twins.compiled.programs) == 1


def test_clipped_gradients():
    def loss(model, optimizer, clip):
        def step(x, y):
            optimizer.zero_grad()
            cost = F.mse_loss(model(x), y)
            cost.backward()
            total = clip(model.parameters())
            optimizer.step()
            return cost if total is None else total

        return step

    for clip in (lambda p: nn.utils.clip_grad_norm_(p, 0.05), lambda p: nn.utils.clip_grad_norm_(p, 50.0),
                 lambda p: nn.utils.clip_grad_value_(p, 0.01)):
        twins = Twins(mlp(), sgd)
        eager, other = (loss(m, o, clip) for m, o in zip(twins.models, twins.optimizers))
        twins.steps = eager, mg.compile(other)
        for _ in range(4):
            twins.step(*data())


def test_errors_name_the_line():
    def function(x):
        y = x.sum()
        return x * y.item()  # this line

    with pytest.raises(CompileError, match=r"test_compile\.py:\d+: return x \* y\.item\(\)  # this line"):
        mg.compile(function)(mg.ones(2))


def test_a_fallback_does_everything_once():
    """Where recording fails in the middle, the function goes on; it is not run again."""
    def make(compiled):
        mg.manual_seed(3)
        model, seen = mlp(nn.ReLU, nn.Dropout(0.5), nn.BatchNorm1d(5))(), []
        optimizer = optim.Adam(model.parameters(), lr=0.1)

        def step(x, y):
            seen.append(1)
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            model[3].running_mean.add_(1)
            loss.backward()
            if loss.item() > 1e9:
                return None
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
            return loss + mg.rand(())

        return model, seen, mg.compile(step, fallback="eager") if compiled else step

    x, y = data()
    outcomes = []
    for compiled in (False, True):
        model, seen, step = make(compiled)
        losses = [step(x, y) for _ in range(5)]
        outcomes.append((bits(losses), bits(model.state_dict().values()), len(seen), mg.get_rng_state().tolist()))
    assert outcomes[0] == outcomes[1]


def test_the_printed_program_runs_on_numpy_alone(tmp_path):
    """In a bare interpreter, from the same start, it comes to the weights that training comes to."""
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.Sigmoid(), nn.Linear(5, 3), nn.Sigmoid())
    optimizer = optim.SGD(model.parameters(), lr=3.0)

    @mg.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = F.quadratic_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    x, y = data()
    step(x, y)
    text = step.program()
    for words in ("def step(x, y, w1, b1, w2, b2, lr):", "# layer 1", "# BP1", "# BP2", "# BP3", "# BP4", "delta1", "dw1"):
        assert words in text
    np.savez(tmp_path / "start.npz", x=x.numpy(), y=y.numpy(), **dict(zip(NAMES, (p.detach().numpy() for p in model.parameters()))))
    (tmp_path / "program.py").write_text(text)
    (tmp_path / "main.py").write_text(
        "import sys\nsys.modules['microgradnet'] = None\nimport numpy as np\nfrom program import step\n"
        "a = dict(np.load('start.npz'))\nfor _ in range(20):\n    step(a['x'], a['y'], a['w1'], a['b1'], a['w2'], a['b2'], 3.0)\n"
        "np.savez('end.npz', **a)\n"
    )
    subprocess.run([sys.executable, "main.py"], cwd=tmp_path, check=True, env={"PATH": "", "OPENBLAS_NUM_THREADS": "1"})
    for _ in range(20):
        step(x, y)
    end = np.load(tmp_path / "end.npz")
    for name, p in zip(NAMES, model.parameters()):
        assert end[name].tobytes() == p.detach().numpy().tobytes(), name


NAMES = "w1", "b1", "w2", "b2"


def test_names_of_a_model_are_those_of_the_program():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.out = nn.Linear(6, 4), nn.Linear(4, 2)

        def forward(self, images):
            return self.out(F.relu(self.fc1(images)))

    model = Network()
    optimizer = optim.Adam(model.parameters())

    def train(images, labels):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    compiled = mg.compile(train)
    compiled(mg.randn(3, 6), mg.tensor([0, 1, 1]))
    line = next(line for line in compiled.program().splitlines() if line.startswith("def step"))
    for name in ("images, labels, ", "fc1_weight", "out_bias", "exp_avg_fc1_weight", "exp_avg_sq_out_bias", "lr"):
        assert name in line
    with mg.no_grad():
        serving = mg.compile(model)
        serving(mg.randn(3, 6))
    assert "def step(images, fc1_weight, fc1_bias, out_weight, out_bias):" in serving.program()


class Learner:
    def __init__(self, rate):
        self.rate, self.weight = rate, mg.ones(3).requires_grad_()

    @mg.compile
    def learn(self, x):
        """A step."""
        self.weight.grad = None
        (self.weight * x).square().sum().backward()
        with mg.no_grad():
            self.weight.sub_(self.weight.grad, alpha=self.rate)


def test_methods_are_decorated():
    one, other, x = Learner(0.1), Learner(0.2), mg.ones(3)
    assert Learner.learn.__doc__ == "A step."
    for k in range(1, 4):
        one.learn(x)
        other.learn(x)
        for learner in (one, other):
            np.testing.assert_allclose(learner.weight.detach().numpy(), (1 - 2 * learner.rate) ** k, rtol=1e-6)
    assert len(Learner.learn.programs) == 2
    one.rate = 0.5
    one.learn(x)
    assert one.weight.tolist() == [0, 0, 0]


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.inner = 2.0, nn.Dropout(0.5)

    @mg.compile
    def forward(self, x):
        return self.inner(x) * self.scale + (1.0 if self.training else 0.0)


def test_a_decorated_forward_and_what_is_read_of_modules_and_optimizers():
    model, x = Scaled().eval(), mg.ones(3)
    for scale in (2.0, 2.0, 3.0, 3.0, 2.0):
        model.scale = scale
        assert model(x).tolist() == [scale] * 3
    model.train()
    model.inner.p = 0.0
    assert [model(x).tolist() for _ in range(2)] == [[3.0] * 3] * 2
    weight = nn.Parameter(mg.zeros(1))
    optimizer = sgd([weight])
    compiled = mg.compile(lambda x: x * optimizer.param_groups[0]["lr"] * model.scale)
    for lr in (0.5, 0.5, 2.0, 2.0):
        optimizer.param_groups[0]["lr"] = lr
        assert compiled(x).tolist() == [2 * lr] * 3


def test_threads_do_not_disturb_each_other():
    compiled = mg.compile(lambda x: ((x @ x.T).tanh() @ x).exp().sum(1))
    inputs = [mg.randn(30, 30) for _ in range(8)]
    expected = [bits([compiled(x)]) for x in inputs]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            assert list(pool.map(lambda x: bits([compiled(x)]), inputs)) == expected


def test_another_thread_goes_on_in_eager_mode_while_one_records():
    recording, done = threading.Event(), threading.Event()

    def slow(x):
        recording.set()
        done.wait(10)
        return x * 2

    thread = threading.Thread(target=lambda: mg.compile(slow)(mg.ones(2)))
    thread.start()
    recording.wait(10)
    w = mg.ones(2).requires_grad_()
    (w * 3).sum().backward()
    total = w.grad.sum().item()
    done.set()
    thread.join()
    assert total == 6


def test_a_masked_write():
    def function(x):
        y = x.clone()
        y[x > 0] = 0
        return y, mg.where(x > 0, x, 0.0).sum(), x.masked_fill(x < 0, 1.0)

    compiled = mg.compile(function)
    for _ in range(4):
        x = mg.randn(5)
        assert bits(compiled(x)) == bits(function(x))
