"""compile(): whatever Python code around a program changes between calls, the numbers are those of eager mode."""

import collections
import copy
import dataclasses
import functools
import gc
import random
import time
import types
import warnings

import numpy as np
import pytest
from test_compile import bits, data, mlp

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn, optim
from microgradnet.errors import CompileError


def eager(function):
    return function


def story(tell):
    """What a scenario logs, when it is told a way to compile: `eager`, or mg.compile."""

    def frozen(x):
        if isinstance(x, mg.Tensor):
            return (*bits([x])[0], x.requires_grad)
        if isinstance(x, (list, tuple)):
            return [frozen(part) for part in x]
        return x

    def told(compile):
        mg.manual_seed(3)
        return frozen(tell(compile))

    return told


def same_story(tell):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = story(tell)(eager)
        assert story(tell)(mg.compile) == expected


# --- variables --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Config:
    scale: float = 1.0
    inner: object = None

    def __call__(self, x):
        return x * self.scale

    @property
    def twice(self):
        return self.scale * 2


@dataclasses.dataclass(slots=True)
class Slotted:
    scale: float = 1.0


class Shared:
    scale = 1.0

    def times(self, x):
        return x * self.scale

    @classmethod
    def of_the_class(cls, x):
        return x * cls.scale


def nested():
    config = Config(inner=Config(inner=Config()))
    return lambda x: x * config.scale * config.inner.inner.scale, [
        lambda: setattr(config.inner.inner, "scale", 2.0), lambda: setattr(config, "inner", Config(inner=Config(3.0)))]


def slots():
    config = Slotted()
    return lambda x: x * config.scale, [lambda: setattr(config, "scale", 2.0)]


def by_getattr():
    config, name = types.SimpleNamespace(scale=1.0), "scale"
    return lambda x: x * getattr(config, name) * vars(config)["scale"], [lambda: setattr(config, "scale", 2.0)]


def of_a_class():
    Shared.scale, thing = 1.0, Shared()
    return lambda x: thing.times(x) + Shared.of_the_class(x), [
        lambda: setattr(Shared, "scale", 2.0), lambda: setattr(thing, "scale", 5.0)]


def called_objects():
    things, keyed = [Config(), Config()], {"a": Config()}
    return lambda x: things[0](x) + things[1](x) * keyed["a"].twice, [
        lambda: setattr(things[1], "scale", 2.0), lambda: setattr(keyed["a"], "scale", 7.0), things.reverse,
        lambda: things.__setitem__(1, Config(9.0))]


def partials():
    factor, function = [2.0], functools.partial(lambda a, x, k: x * k * a[0], [3.0], k=2.0)
    inner = functools.partial(lambda a, x: x * a[0], factor)
    return lambda x: function(x) + inner(x), [
        lambda: function.args[0].__setitem__(0, 5.0), lambda: function.keywords.update(k=7.0),
        lambda: factor.__setitem__(0, 4.0)]


def defaults():
    def function(x, w=mg.ones(3), *, k=2.0):
        return x * w * k

    return function, [lambda: function.__kwdefaults__.update(k=3.0), lambda: function.__defaults__[0].mul_(2),
                      lambda: setattr(function, "__defaults__", (mg.ones(3) * 9,))]


def deep_and_long_lists():
    deep, long, tensors = [[[[[1.0]]]]], [1.0] * 200, [mg.ones(1) for _ in range(200)]
    return lambda x: x * deep[0][0][0][0][0] * long[150] + tensors[150], [
        lambda: deep[0][0][0][0].__setitem__(0, 2.0), lambda: long.__setitem__(150, 3.0),
        lambda: tensors.__setitem__(150, mg.ones(1) * 9)]


def functions_around():
    factor = 2.0

    def scaled(x):
        return x * factor

    def change():
        nonlocal factor
        factor = 5.0

    chosen = [scaled]
    return lambda x: chosen[0](x) + 1, [change, lambda: chosen.__setitem__(0, F.relu)]


def arrays():
    array, index = np.ones(3, np.float32), np.array([0, 1])
    return lambda x: (x * mg.from_numpy(array) + x * array + mg.tensor(array))[index], [
        lambda: array.__setitem__(0, 5), lambda: index.__setitem__(0, 2)]


def numbers():
    values = [1.0, 2.0, 3.0]
    return lambda x: x * mg.tensor(values) * np.float32(values[0]), [lambda: values.__setitem__(0, -0.0),
                                                                     lambda: values.__setitem__(0, 0.0)]


def a_module_and_its_parts():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    parts = [lambda: setattr(model[0], "weight", nn.Parameter(mg.ones(3, 3))),
             lambda: setattr(model[1], "running_mean", mg.ones(3)), lambda: model[1].running_mean.fill_(4),
             lambda: model.eval(), lambda: model.append(nn.Linear(3, 3))]
    return lambda x: (x @ model[0].weight.t() - model[1].running_mean * (2 if model.training else 3)
                      + sum((p**2).sum() for p in model.parameters())).detach(), parts


def a_module_of_ones_own():
    class Layer(nn.Module):
        factor = 1.0

        def __init__(self):
            super().__init__()
            self.config, self.options, self.w, self.ws = Config(), {"k": 1.0}, mg.ones(3), [mg.ones(3)]
            self.functions, self.inner = [F.relu], nn.Tanh()

        def forward(self, x):
            return self.inner(self.functions[0](x * self.config.scale * self.options["k"] * self.w * self.ws[0])) * self.factor

    layer = Layer()
    return layer, [
        lambda: setattr(layer.config, "scale", 2.0), lambda: layer.options.update(k=3.0),
        lambda: setattr(layer, "w", mg.ones(3) * 0.5), lambda: layer.ws.__setitem__(0, mg.ones(3) * 0.1),
        lambda: layer.functions.__setitem__(0, F.silu), lambda: setattr(Layer, "factor", 3.0)]


def a_patched_forward():
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    return lambda x: model(x).detach(), [lambda: setattr(model[1], "forward", lambda x: x * 2)]


def modules_in_lists():
    plain, listed, which = [nn.Linear(3, 3), nn.Linear(3, 3)], nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)]), [0]
    return lambda x: listed[which[0]](plain[1](plain[0](x))).detach(), [
        lambda: plain.__setitem__(1, nn.Linear(3, 3)), plain.reverse, lambda: which.__setitem__(0, 1),
        lambda: listed.__setitem__(1, nn.Linear(3, 3))]


def options_of_a_convolution():
    layer = nn.Conv1d(1, 1, 2, padding=1)
    return lambda x: layer(x.view(1, 1, 3)).detach(), [
        lambda: setattr(layer, "stride", (2,)), lambda: setattr(layer, "padding", (2,)),
        lambda: setattr(layer, "dilation", (3,))]


def what_tensors_show():
    w, v, empty = mg.rand(3, 3), nn.Parameter(mg.rand(3)), mg.empty(0)
    return lambda x: ((x @ w * v).sum(0) + (empty.sum() if v.requires_grad else 2)).detach(), [
        lambda: setattr(w, "data", mg.rand(3, 3)), w.t_, lambda: v.requires_grad_(False), lambda: v.requires_grad_(True),
        lambda: w.add_(v).detach_(), lambda: w.resize_(3, 2).resize_(3, 3).fill_(2), lambda: mg.add(w, w, out=empty),
        lambda: w.swapaxes_(0, 1), lambda: setattr(v, "data", mg.rand(1))]


def a_module_that_sets_its_attributes_itself():
    class Layer(nn.Module):
        def __setattr__(self, name, value):
            self.__dict__[name] = value

        def forward(self, x):
            return x * self.scale

    layer = Layer()
    layer.scale = 1.0
    return layer, [lambda: setattr(layer, "scale", 2.0)]


def a_compiled_function_inside():
    factor = [2.0]
    inner = mg.compile(lambda x: x * factor[0])
    return lambda x: inner(x) + 1, [lambda: factor.__setitem__(0, 3.0)]


VARIABLES = [nested, slots, by_getattr, of_a_class, called_objects, partials, defaults, deep_and_long_lists, functions_around,
             arrays, numbers, a_module_and_its_parts, a_module_of_ones_own, a_patched_forward, modules_in_lists,
             options_of_a_convolution, what_tensors_show, a_module_that_sets_its_attributes_itself,
             a_compiled_function_inside]  # fmt: skip


@pytest.mark.parametrize("make", VARIABLES, ids=lambda make: make.__name__)
def test_variables(make):
    def tell(compile):
        function, changes = make()
        run, log = compile(function), []
        for change in [lambda: None, *changes]:
            change()
            log += [run(mg.randn(2, 3) if "modul" in make.__name__ or "forward" in make.__name__ else mg.randn(3))
                    for _ in range(2)]
        return log

    same_story(tell)


class Trainer:
    """A training step that is a method, and finds all it needs in its object."""

    def __init__(self, compile):
        self.model, self.factor = mlp(nn.ReLU, nn.Dropout(0.5), nn.BatchNorm1d(5))(), 0.5
        self.optimizer = optim.Adam(self.model.parameters(), lr=0.01)
        self.eager = Trainer.step.__get__(self)
        self.step, self.log = compile(self.step), []

    def loss(self, x, y):
        return F.mse_loss(self.model(x), y) * self.factor

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = self.loss(x, y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def go(self, times=2):
        for _ in range(times):
            self.log += [self.step(*data()), [v.detach().clone() for v in self.model.state_dict().values()]]


def other_everything(t):
    t.model = mlp(nn.Tanh)()
    t.optimizer = optim.SGD(t.model.parameters(), lr=0.3)


def other_state(t, p=2):
    state, weight = t.optimizer.state, list(t.model.parameters())[p]
    del state[weight]
    t.go(1)
    state[weight]["exp_avg"].fill_(0.5)
    state[weight] = {**state[weight], "exp_avg": mg.ones(*weight.shape)}


def loaded_before(t):
    model, optimizer = copy.deepcopy((t.model.state_dict(), t.optimizer.state_dict()))
    t.go()
    t.model.load_state_dict(model)
    t.optimizer.load_state_dict(optimizer)


def in_place_of_a_parameter(t):
    t.model[0].weight = nn.Parameter(mg.randn(5, 6))
    t.go()
    t.optimizer.param_groups[0]["params"][0] = t.model[0].weight


def with_groups(t):
    t.optimizer = optim.SGD([{"params": [p], "lr": 0.1 * i, "momentum": 0.9 * (i % 2)}
                             for i, p in enumerate(t.model.parameters(), 1)])  # fmt: skip
    t.go()
    groups = t.optimizer.param_groups
    groups[0], groups[1] = groups[1], groups[0]
    t.go()
    groups[0] = {**groups[0], "lr": 0.77}
    t.go()
    groups[0]["params"], groups[2]["params"] = groups[2]["params"], groups[0]["params"]
    t.go()
    del groups[1]


CHANGES = {
    "number": lambda t: setattr(t, "factor", 0.9), "everything": other_everything,
    "method": lambda t: setattr(t, "loss", lambda x, y: (t.model(x) - y).abs().mean()),
    "amsgrad": lambda t: t.optimizer.param_groups[0].update(amsgrad=True),
    "maximize": lambda t: t.optimizer.param_groups[0].update(maximize=True),
    "whole rate": lambda t: t.optimizer.param_groups[0].update(lr=1),
    "submodule": lambda t: (t.model[2].eval(), t.go(), t.model[3].eval(), t.go(), t.model.train()),
    "batch norm": lambda t: (setattr(t.model[3], "momentum", 0.5), t.go(), setattr(t.model[3], "eps", 0.1)),
    "no bias": lambda t: setattr(t.model[0], "bias", None),
    "frozen": lambda t: (t.model[0].requires_grad_(False), t.go(), t.model[0].requires_grad_(True)),
    "data": lambda t: (setattr(t.model[0].weight, "data", mg.randn(6, 5).t()), t.go(), t.model[0].bias.data.fill_(3)),
    "append": lambda t: t.model.append(nn.Tanh()), "state": other_state, "loaded": loaded_before,
    "cleared": lambda t: t.optimizer.state.clear(), "parameter": in_place_of_a_parameter, "groups": with_groups,
    "left gradient": lambda t: setattr(t.model[0].weight, "grad", mg.ones(5, 6)),
    "eager steps": lambda t: t.eager(*data()), "seed": lambda t: mg.manual_seed(9),
    "hook": lambda t: t.model[0].weight.register_hook(lambda g: g * 3),
}  # fmt: skip


def test_a_decorated_method_serves_all_objects():
    def tell(compile):
        class Line:
            def __init__(self, factor):
                self.weight, self.factor = mg.randn(3).requires_grad_(), factor
                self.optimizer = optim.SGD([self.weight], lr=0.1)

            @compile
            def step(self, x):
                self.optimizer.zero_grad()
                loss = (self.weight * x * self.factor).sum()
                loss.backward()
                self.optimizer.step()
                return loss.detach()

        lines, log = [Line(1), Line(2)], []
        for k in range(6):
            lines[0].factor = 1 + k // 3
            log += [[line.step(mg.ones(3)), line.weight.detach().clone()] for line in lines]
        return log

    same_story(tell)


@pytest.mark.parametrize("change", CHANGES)
def test_a_training_step_that_is_a_method(change):
    def tell(compile):
        trainer = Trainer(compile)
        trainer.go(3)
        CHANGES[change](trainer)
        trainer.go(3)
        return trainer.log

    same_story(tell)


# --- modes ------------------------------------------------------------------------------------------------------------


def test_modes_of_recording_and_the_default_dtype():
    def tell(compile):
        weight, log = mg.randn(3).requires_grad_(), []
        run = compile(lambda x: (x * weight + mg.ones(3)).sum())
        for k in range(3):
            for mode in (mg.no_grad(), mg.inference_mode(), mg.enable_grad()):
                with mode:
                    log += [(result := run(mg.ones(3) * k)), result.is_inference()]
            result.backward()
            mg.set_default_dtype(mg.float64)
            try:
                log += [run(mg.ones(3) * k), weight.grad.clone()]
            finally:
                mg.set_default_dtype(mg.float32)
        return log

    same_story(tell)


def test_tensors_of_inference_mode_may_be_given():
    compiled = mg.compile(lambda x: x * 2)
    with mg.inference_mode():
        x = mg.ones(2)
    assert [compiled(x).tolist() for _ in range(2)] == [[2, 2]] * 2 and not compiled(x).is_inference()


def test_anomaly_mode_sees_every_operation():
    weight = mg.ones(3).requires_grad_()

    def step(x):
        (weight * x).sqrt().sum().backward()
        weight.grad = None

    compiled = mg.compile(step)
    compiled(mg.ones(3))
    with mg.autograd.detect_anomaly(), mg.no_grad():
        weight.fill_(0)
    with mg.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="nan"):
        compiled(mg.zeros(3))


def test_a_step_may_set_the_mode_of_a_module():
    def tell(compile):
        model, log = mlp(nn.ReLU, nn.Dropout(0.5), nn.BatchNorm1d(5))(), []
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def train(x, y):
            model.train()
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            return loss.detach()

        def judge(x):
            model.eval()
            return model(x).detach()

        train, judge = compile(train), compile(judge)
        for _ in range(4):
            log += [train(*data()), model.training, judge(data()[0]), model.training, model[2].training]
        return log

    same_story(tell)


# --- what a program would not do -----------------------------------------------------------------------------------


class Remembers(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls, self.last, self.seen = 0, None, []


def refusals():
    thing, count, numbers, generator, stored = Remembers(), iter(range(9)), random.Random(0), np.random.default_rng(0), {}
    big, long = np.zeros(100_000), [0] * 100_000

    def attribute(x):
        thing.last = x

    def new_attribute(x):
        thing.other = x

    def counts(x):
        thing.calls += 1

    def global_variable(x):
        global REMEMBERED
        REMEMBERED = x

    def listed(xs):
        xs.append(xs[0])

    def switches(x):
        mg.set_default_dtype(mg.float64)
        return x

    return {
        "'last'": attribute, "'other'": new_attribute, "'calls'": counts, "'REMEMBERED'": global_variable,
        "'seen'": lambda x: thing.seen.append(x), "'stored'": lambda x: stored.update(x=x), "list or dict": listed, "behind": switches,
        "iterator": lambda x: x * next(count), "random": lambda x: x * numbers.random(),
        "from NumPy": lambda x: x * float(generator.normal()), "print": lambda x: print("so"),
        "100000 elements": lambda x: x * float(big[0]), "100000 entries": lambda x: x * long[3],
    }  # fmt: skip


@pytest.mark.parametrize("words", refusals())
def test_what_a_program_would_not_do_is_refused(words, capsys):
    function = refusals()[words]
    argument = [mg.ones(2)] if words == "list or dict" else mg.ones(2)
    try:
        with pytest.raises(CompileError, match=words):
            mg.compile(function)(argument)
        mg.set_default_dtype(mg.float32)
        compiled = mg.compile(function, fallback="eager")
        compiled(argument)
        assert not compiled.programs
    finally:
        mg.set_default_dtype(mg.float32)


def test_what_the_function_makes_is_its_own():
    """Objects that live within one call may change, and iterators that are made there may be used."""
    class Sum:
        def __init__(self):
            self.total, self.count = 0, 0

        def add(self, x):
            self.total = self.total + x
            self.count += 1

    def function(xs):
        parts, total = {}, Sum()
        for i, x in enumerate(xs):
            parts[i] = x * i
            total.add(x)
        return parts, total.total / total.count, next(iter(parts.values()))

    def tell(compile):
        run = compile(function)
        return [list(run([mg.randn(2), mg.randn(2)])[0].values()) + [*run([mg.randn(2)])[1:]] for _ in range(3)]

    same_story(tell)


# --- results ----------------------------------------------------------------------------------------------------------

Pair = collections.namedtuple("Pair", "first second")


def test_structures_of_results():
    function = lambda x: (Pair(x * 2, [x + 1]), Config(x.sum(), {"k": x}), collections.OrderedDict(b=x * 3, a=1),  # noqa: E731
                          x.shape, x.dtype, x.device, slice(1), None)
    compiled = mg.compile(function)
    for k in range(3):
        x = mg.ones(2) * k
        pair, config, ordered, *rest = compiled(x)
        assert type(pair) is Pair and bits([pair.first, *pair.second]) == bits([x * 2, x + 1])
        assert type(config) is Config and config.scale == x.sum() and config.inner["k"] is x
        assert type(ordered) is collections.OrderedDict and [*ordered] == ["b", "a"]
        assert rest == [(2,), mg.float32, mg.device("cpu"), slice(1), None] and type(rest[0]) is mg.Size


def test_what_was_there_before_is_returned_itself():
    weight = nn.Parameter(mg.ones(2))

    def function(x):
        y = x * weight.detach()
        return x, weight, y, [y]

    compiled = mg.compile(function)
    with mg.no_grad():
        for _ in range(3):
            x = mg.ones(2)
            first, second, third, (fourth,) = compiled(x)
            assert first is x and second is weight and third is fourth and third is not x


def test_results_are_kept_apart():
    """What is returned does not change later, by another call or through another result."""
    compiled = mg.compile(lambda x: (x * 2, x * 2, (x * 2)[0], x.sum(), mg.zeros(3), x.view(3), x * 1))
    kept = [compiled(mg.ones(3) * k) for k in range(4)]
    for k, results in enumerate(kept):
        assert bits(results) == bits(compiled._function(mg.ones(3) * k))
        for result in results:
            before = bits(r for r in results if r is not result)
            result.add_(100)
            assert bits(r for r in results if r is not result) == before
    assert compiled(mg.ones(3))[4].tolist() == [0, 0, 0]


# --- programs that work on the same things ---------------------------------------------------------------------------


def test_gradients_accumulate_over_calls_and_are_used_by_another():
    def tell(compile):
        model, log = mlp()(), []
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def accumulate(x, y):
            loss = F.mse_loss(model(x), y) / 4
            loss.backward()
            return loss.detach()

        def update():
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            optimizer.zero_grad()

        def by_hand():
            with mg.no_grad():
                for p in model.parameters():
                    p -= 0.1 * p.grad
                    p.grad = None

        accumulate, update, by_hand = map(compile, (accumulate, update, by_hand))
        for i in range(12):
            log.append(accumulate(*data()))
            if i % 3 == 2:
                (update if i % 2 else by_hand)()
            log += [[p.detach().clone(), None if p.grad is None else p.grad.clone()] for p in model.parameters()]
        return log

    same_story(tell)


def test_an_example_in_which_two_optimizers_share_a_graph():
    def tell(compile):
        maker, judge = nn.Linear(2, 6), mlp()()
        ours, theirs, log = optim.Adam(maker.parameters()), optim.Adam(judge.parameters()), []

        def step(real):
            made = maker(mg.randn(4, 2))
            theirs.zero_grad()
            loss = F.softplus(-judge(real)).mean() + F.softplus(judge(made.detach())).mean()
            loss.backward()
            theirs.step()
            ours.zero_grad()
            F.softplus(-judge(made)).mean().backward()
            ours.step()
            return loss.detach()

        run = compile(step)
        for _ in range(4):
            log += [run(mg.randn(4, 6)), [p.grad.clone() for p in judge.parameters()],
                    [p.detach().clone() for p in maker.parameters()]]
        return log

    same_story(tell)


def test_gradients_set_to_zero_in_their_place():
    def tell(compile):
        model, log = mlp()(), []
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(x, y):
            optimizer.zero_grad(set_to_none=False)
            loss = F.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            return loss.detach()

        run = compile(step)
        for _ in range(4):
            log += [run(*data()), [p.detach().clone() for p in model.parameters()]]
        return log

    same_story(tell)


def test_views_of_one_piece_of_memory():
    def tell(compile):
        base, log = mg.zeros(6), []
        left, right = base[:3], base[3:]

        def function(x):
            left.add_(x)
            right.mul_(2).add_(1)
            return base.sum()

        run = compile(function)
        for k in range(4):
            log += [run(mg.ones(3) * k), base.clone(), left.clone()]
        return log

    same_story(tell)


MIXED = mg.float32, mg.float64, mg.float16, mg.int64, mg.int32, mg.uint8, mg.bool


@pytest.mark.parametrize("dtype", MIXED, ids=str)
def test_mixed_dtypes_are_promoted_as_in_eager_mode(dtype):
    def function(x, y):
        return x * y, x + 1, y * 2.5, x / y, x > y, mg.where(x > y, x, y), x**2, (x + y).sqrt(), x * mg.tensor(2.0)

    for other in MIXED:
        for shapes in ((3, 3), (3, ()), ((), 3)):
            x, y = (mg.ones(shape).to(d) * 2 if d != mg.bool else mg.ones(shape).to(d) for shape, d in zip(shapes, (dtype, other)))
            compiled, expected = mg.compile(function), bits(function(x, y))
            assert [bits(compiled(x, y)) for _ in range(2)] == [expected] * 2


def test_what_the_garbage_collector_calls_is_not_the_functions_doing():
    def clock(phase, info):
        time.perf_counter()

    def function(x):
        junk = [[] for _ in range(20_000)]
        return x * len(junk)

    gc.callbacks.append(clock)
    try:
        compiled = mg.compile(function)
        assert [compiled(mg.ones(1)).item() for _ in range(3)] == [20_000] * 3 and gc.isenabled()
    finally:
        gc.callbacks.remove(clock)
