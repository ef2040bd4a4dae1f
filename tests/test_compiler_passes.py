"""Simplified, planned and printed programs give the bits of the program that was captured, and of eager mode."""

import gc
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from programs import argument, like, of_call, of_gradient, of_training, same, state
from samples import DIFFERENTIABLE, INTERNAL, TABLE, samples

import microgradnet as mg
from microgradnet import graph, nn, optim
from microgradnet.compiler import plan as planning
from microgradnet.compiler import simplify as simplifying
from microgradnet.compiler.book import name_by_the_book
from microgradnet.compiler.lower import lower
from microgradnet.compiler.numpy_printer import NumpyProgram, numpy_program, program_text
from microgradnet.compiler.numpy_text import print_program
from microgradnet.compiler.plan import plan
from microgradnet.compiler.program import Program, Source, Step, Value, interpret
from microgradnet.compiler.simplify import simplify, without_dead
from microgradnet.compiler.updates import update_of
from microgradnet.errors import CompileError

OPS = graph.OPS


def network(sizes, activation, loss, optimizer, batch=10, dtype=mg.float32):
    """(the program of a training step, its arguments, the parameters, an eager step)"""
    rng = np.random.default_rng(3)
    layers = [layer for n, m in zip(sizes, sizes[1:]) for layer in (nn.Linear(n, m, dtype=dtype), activation())]
    model = nn.Sequential(*(layers if loss is nn.QuadraticLoss else layers[:-1]))
    parameters = list(model.parameters())
    for i, p in enumerate(parameters):
        p.array[...] = rng.standard_normal(p.shape) / p.shape[-1] ** 0.5
        p.name = f"{'wb'[i % 2]}{i // 2 + 1}"
    x = mg.tensor(rng.random((batch, sizes[0])), dtype=dtype)
    labels = rng.integers(sizes[-1], size=batch)
    y = mg.tensor(np.eye(sizes[-1])[labels], dtype=dtype) if loss is nn.QuadraticLoss else mg.tensor(labels)
    cost, opt = loss(), optimizer(parameters)

    def eager():
        opt.zero_grad()
        value = cost(model(x), y)
        value.backward()
        opt.step()
        return value

    eager()  # an optimizer makes its state in the first step
    program = of_training(lambda x, y: cost(model(x), y), parameters, [x, y], opt)
    return program, [x.array, y.array], parameters, eager


NETWORKS = {
    "the book's": lambda: network((784, 30, 10), nn.Sigmoid, nn.QuadraticLoss, lambda p: optim.SGD(p, lr=0.5)),
    "softmax": lambda: network((20, 16, 5), nn.ReLU, nn.CrossEntropyLoss, lambda p: optim.SGD(p, lr=0.1), 32),
    "momentum": lambda: network((6, 5, 4), nn.Tanh, nn.CrossEntropyLoss,
                                lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)),
    "adam": lambda: network((20, 16, 5), nn.ReLU, nn.CrossEntropyLoss, lambda p: optim.Adam(p, lr=0.01), 32),
    "adamw, float64": lambda: network((6, 5, 4), nn.GELU, nn.CrossEntropyLoss, lambda p: optim.AdamW(p, lr=0.01),
                                      dtype=mg.float64),
    "an update that is one step": lambda: network((6, 5, 4), nn.SiLU, nn.CrossEntropyLoss,
                                                  lambda p: optim.RAdam(p, lr=0.01)),
    "one example": lambda: network((6, 5, 1), nn.Sigmoid, nn.QuadraticLoss, lambda p: optim.SGD(p, lr=0.1), batch=1),
}  # fmt: skip


def values_of(results):
    outputs, writes = results
    return [*outputs, *writes]


def run_and_collect(run, program, arrays):
    """The outputs of a compiled program, then what it has written."""
    outputs = run(arrays)
    return [*outputs, *(np.array(target.source.read()) for target, _ in program.writes)]


def interpreted(program, arrays):
    with np.errstate(all="ignore"):
        return [np.array(x) for x in values_of(interpret(program, arrays))]


def check_passes(program, arrays):
    """Each pass against the one before it, and three calls of the compiled program."""
    expected = interpreted(program, arrays)
    stages = [program]
    for stage in (lower, simplify):
        stages.append(stage(stages[-1]))
        assert same(interpreted(stages[-1], arrays), expected), stage.__name__
    run = NumpyProgram(plan(stages[-1]))
    for _ in range(3):
        expected = interpreted(program, arrays)
        assert same(run_and_collect(run, program, arrays), expected), run.text
    return run


@pytest.mark.parametrize("name", NETWORKS)
def test_training_steps(name):
    program, arrays, _, _ = NETWORKS[name]()
    check_passes(program, arrays)


@pytest.mark.parametrize("name", NETWORKS)
def test_training_steps_are_those_of_eager_mode(name):
    program, arrays, parameters, _ = NETWORKS[name]()
    _, _, others, eager = NETWORKS[name]()
    run = numpy_program(program)
    for _ in range(5):
        loss = eager()
        assert np.allclose(run(arrays)[0], loss.item(), rtol=1e-6)
        assert same([p.array for p in parameters], [p.array for p in others])


def test_a_learning_rate_that_changes():
    made = []

    def adam(parameters):
        made.append(optim.Adam(parameters, lr=0.01))
        return made[-1]

    program, arrays, parameters, _ = network((6, 5, 4), nn.Tanh, nn.CrossEntropyLoss, adam)
    _, _, others, eager = network((6, 5, 4), nn.Tanh, nn.CrossEntropyLoss, adam)
    run = NumpyProgram(plan(simplify(lower(program))))
    for lr in (0.1, 0.03, 1e-4):
        for opt in made:
            opt.param_groups[0]["lr"] = lr
        run(arrays)
        eager()
        assert same([p.array for p in parameters], [p.array for p in others])


# --- programs written by hand -----------------------------------------------------------------------------------------


class Writer:
    """Writes an op-level program down, with the shapes that the forwards give."""

    def __init__(self, *arrays, states=()):
        self.inputs, self.steps, self.known = list(arrays), [], {}
        self.values = [argument(i, a, f"x{i}") for i, a in enumerate(arrays)]
        self.states = [state(a, f"s{i}") for i, a in enumerate(states)]
        self.known.update(zip(self.values, arrays))
        self.known.update(zip(self.states, states))

    def __call__(self, name, *args, **params):
        with np.errstate(all="ignore"):
            result = OPS[name].forward(*(self.known.get(a, a) if isinstance(a, Value) else a for a in args), **params)
        out = like(result)
        self.known[out] = result
        self.steps.append(Step(OPS[name], args, params, out, OPS[name].view))
        return out

    def program(self, *outputs, writes=()):
        return Program(self.steps, list(outputs), list(writes))


def test_views_and_broadcasting():
    rng = np.random.default_rng(0)
    w = Writer(rng.standard_normal((3, 4)), rng.standard_normal(4))
    a, b = w.values
    turned = w("transpose", a, dim0=0, dim1=1)
    back = w("transpose", turned, dim0=0, dim1=1)
    row = w("expand", b, shape=(3, 4))
    product = w("mul", back, row)
    part = w("getitem", product, index=(slice(0, 2), slice(None, None, 2)))
    total = w("sum", w("add", part, 1.0), dim=0)
    wide = w("reshape", w("expand", w("reshape", total, shape=(2, 1)), shape=(2, 3)), shape=(3, 2))
    check_passes(w.program(wide, part, turned, row), w.inputs)


def test_states_that_change_places_and_outputs_that_show_them():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 5))
    w = Writer(states=(first, second))
    s, t = w.states
    shown = w("getitem", s, index=(slice(1, 3),))
    program = w.program(s, shown, w("add", s, t), writes=[(s, t), (t, s)])
    run = check_passes(program, [])
    kept = run([])
    before = [x.copy() for x in kept]
    run([])
    assert same(kept, before)  # what a call has returned is not touched by the next


def test_a_new_value_is_not_written_over_an_old_one_that_is_still_read():
    w = Writer(np.ones(4), states=(np.arange(4.0),))
    (x,), (s,) = w.values, w.states
    new = w("add", s, x)
    late = w("mul", w("mul", s, 2.0), new)
    check_passes(w.program(late, writes=[(s, new)]), w.inputs)


def test_what_a_new_value_is_made_from_may_take_the_old_ones_place():
    w = Writer(np.arange(1.0, 5), states=(np.ones(4),))
    (x,), (s,) = w.values, w.states
    new = w("add", w("mul", s, 0.9), w("mul", x, 0.1))
    run = check_passes(w.program(w("sum", new), writes=[(s, new)]), w.inputs)
    assert len(run.plan.buffers) == 1  # for 0.1 x


UNARY = ["neg", "tanh", "sigmoid", "relu", "square", "abs", "sign", "exp", "gelu", "softplus", "leaky_relu"]
BINARY = ["add", "sub", "mul", "div", "maximum", "minimum"]


def random_program(seed, length=25):
    """Elementwise operations, sums and views on arrays that broadcast; some results go into states."""
    rng = np.random.default_rng(seed)
    dtype = rng.choice([np.float32, np.float64])
    shapes = [(3, 4), (4,), (3, 1), (1, 4), (1,), ()]
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes[:4]]
    states = [rng.standard_normal(shape).astype(dtype) for shape in ((3, 4), (4,), (3, 4))]
    w = Writer(*arrays, states=states)
    pool = w.values + w.states
    for _ in range(length):
        kind = rng.integers(8)
        a, b = (pool[i] for i in rng.integers(len(pool), size=2))
        if kind < 2:
            out = w(str(rng.choice(UNARY)), a)
        elif kind < 4:
            out = w(str(rng.choice(BINARY)), a, b) if _broadcast(a, b) else w("mul", a, 0.5)
        elif kind == 4 and a.shape:
            out = w("sum", a, dim=int(rng.integers(len(a.shape))), keepdim=bool(rng.integers(2)))
        elif kind == 5 and len(a.shape) == 2:
            out = w("transpose", a, dim0=0, dim1=1)
        elif kind == 6 and a.shape:
            out = w("softmax", a, dim=-1)
        else:
            out = w("where", w("gt", a, 0.1), a, 0.5)
        pool.append(out)
    writes = []
    for s in w.states:
        fitting = [v for v in pool if v.shape == s.shape and v.dtype == s.dtype and v not in w.values]
        writes.append((s, fitting[rng.integers(len(fitting))]))
    outputs = [pool[i] for i in rng.integers(len(pool), size=3)]
    return w.program(*outputs, writes=writes), w.inputs


def _broadcast(a, b):
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed):
    check_passes(*random_program(seed))


def test_arguments_in_another_order_in_memory():
    program, arrays, _, _ = NETWORKS["softmax"]()
    outputs = numpy_program(program)([np.asfortranarray(arrays[0]), arrays[1]])
    program, arrays, _, _ = NETWORKS["softmax"]()
    assert np.allclose(outputs, numpy_program(program)(arrays), rtol=1e-6)


# --- each checker catches a fault -------------------------------------------------------------------------------------


def fails_somewhere(check=check_passes):
    for seed in range(60):
        try:
            check(*random_program(seed))
        except AssertionError:
            return True
    return False


def test_a_rule_that_changes_numbers_is_caught(monkeypatch):
    def half_is_one(step, program):
        return step.args[0] if step.function is np.multiply and step.args[1] == 0.5 else None

    monkeypatch.setattr(simplifying, "RULES", [*simplifying.RULES, half_is_one])
    assert fails_somewhere()


def test_a_buffer_taken_too_early_is_caught(monkeypatch):
    right = planning._Planner.last_uses

    def too_early(self):
        return {value: last - (last < self.end) for value, last in right(self).items()}

    monkeypatch.setattr(planning._Planner, "last_uses", too_early)
    assert fails_somewhere()


def test_an_old_value_overwritten_too_early_is_caught(monkeypatch):
    right = planning._Planner.targets_in_place

    def at_once(self):
        makers = {step.out: step for step in self.program.steps if isinstance(step.out, Value)}
        return right(self) | {new: target for target, new in self.program.writes
                              if new in makers and planning.takes_out(makers[new], self.samples)}

    monkeypatch.setattr(planning._Planner, "targets_in_place", at_once)
    assert fails_somewhere()


def test_a_states_place_taken_for_too_long_is_caught(monkeypatch):
    right = planning._Planner.may_take

    def takes(self, place, key, i, step):
        if place in self.written and i > self.refusal and planning._key(self.samples[place]) == key:
            return True
        return right(self, place, key, i, step)

    monkeypatch.setattr(planning._Planner, "may_take", takes)
    assert fails_somewhere()


# --- simplifying ------------------------------------------------------------------------------------------------------


def test_what_is_the_same_is_computed_once_and_what_nobody_reads_not_at_all():
    w = Writer(np.ones((3, 4)))
    (x,) = w.values
    one, two = w("exp", x), w("exp", x)
    w("tanh", x)
    program = simplify(lower(w.program(w("add", one, two))))
    assert [step.function for step in program.steps] == [np.exp, np.add]


def test_a_sum_is_computed_once_however_it_was_asked_for():
    w = Writer(np.ones((3, 4)))
    (x,) = w.values
    sums = [w("sum", x, dim=dim, keepdim=True) for dim in (1, -1, (1,))]
    w("sum", x, dim=1, keepdim=False)
    program = simplify(lower(w.program(w("add", w("add", *sums[:2]), sums[2]))))
    assert [step.function for step in program.steps] == [np.add.reduce, np.add, np.add]
    assert program.steps[0].params == {"axis": 1, "keepdims": True}


def test_random_numbers_are_drawn_as_often_as_they_were():
    x = argument(0, np.ones(3))
    outs = [Value((3,), x.dtype) for _ in range(3)]
    steps = [Step(OPS["dropout_mask"], (x,), {"p": 0.5, "generator": None}, out) for out in outs]
    assert len(simplify(lower(Program(steps, outs[:2]))).steps) == 3


def test_zeros_keep_their_sign():
    w = Writer(np.array([0.0, -0.0, 1.0]))
    (x,) = w.values
    run = check_passes(w.program(w("mul", x, -0.0), w("mul", x, 0.0), w("add", x, 0.0)), w.inputs)
    assert np.signbit(run(w.inputs)[0]).tolist() == [True, False, True]


def test_dead_steps():
    x = argument(0, np.ones(3))
    a, b = like(x), like(x)
    steps = [Step(np.exp, (x,), {}, a), Step(np.tanh, (x,), {}, b)]
    assert without_dead(Program(steps, [b])).steps == steps[1:]


# --- memory -----------------------------------------------------------------------------------------------------------


def test_the_books_step_allocates_nothing():
    program, arrays, _, _ = NETWORKS["the book's"]()
    planned = plan(simplify(lower(program)))
    run = NumpyProgram(planned)
    for _ in range(3):
        run(arrays)
    gc.collect()
    tracemalloc.start()
    for _ in range(5):
        run(arrays)
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for _ in range(200):
        run(arrays)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert abs(after - before) < 2_000
    assert peak - before < 4_000  # views and numbers, no array: the smallest has 1,200 bytes, the largest 94,080


def test_buffers_are_used_again():
    w = Writer(np.ones((50, 50)))
    (x,) = w.values
    for _ in range(20):
        x = w("tanh", w("matmul", x, w.values[0]))
    assert len(plan(simplify(lower(w.program(w("sum", x))))).buffers) == 2


# --- the printed program ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["the book's", "softmax", "adam", "momentum"])
def test_the_text_runs_with_numpy_alone(name, tmp_path):
    program, arrays, parameters, _ = NETWORKS[name]()
    planned = plan(simplify(lower(program)))
    text = program_text(planned)
    printed = print_program(planned)
    arguments = [v.source.read(arrays) if v.source.kind == "input" else v.source.read() for v in printed.arguments]
    np.savez(tmp_path / "in.npz", *arguments)
    (tmp_path / "program.py").write_text(text)
    (tmp_path / "main.py").write_text(
        "import sys; sys.modules['microgradnet'] = None; sys.path.insert(0, '.')\n"
        "import numpy as np, program\n"
        "given = list(np.load('in.npz').values())\n"
        "given = [x.item() if x.ndim == 0 else x for x in given]\n"
        "program.step(*given)\n"
        "np.savez('out.npz', *given)\n"
    )
    subprocess.run([sys.executable, "-I", "main.py"], cwd=tmp_path, check=True)
    run = NumpyProgram(planned)
    run(arrays)
    written = [np.array(v.source.read()) for v in printed.arguments if v.source.kind == "state"]
    out = list(np.load(tmp_path / "out.npz").values())
    theirs = [x for v, x in zip(printed.arguments, out) if v.source.kind == "state"]
    assert same(written, theirs)


def test_the_books_step_reads_like_the_book():
    program = NETWORKS["the book's"]()[0]
    name_by_the_book(program)
    lines = [line.strip() for line in program_text(plan(simplify(lower(program)))).splitlines()]
    written = [
        "def step(x, y, w1, b1, w2, b2, lr):", "# layer 1", "np.reciprocal(z1, out=a1)", "# layer 2",
        "np.reciprocal(z2, out=a2)", "# BP1", "np.multiply(da2, slope2, out=delta2)", "# BP2",
        "np.dot(delta2, w2, out=da1)", "# BP4", "np.dot(delta2_T, a1, out=dw2)", "# BP3", "# BP2",
        "np.multiply(da1, slope1, out=delta1)", "# BP4", "np.matmul(delta1_T, x, out=dw1)", "# BP3", "# SGD",
        "np.subtract(w1, dw1, out=w1)", "return loss",
    ]  # fmt: skip
    where = 0
    for line in written:
        assert line in lines[where:], line
        where = lines.index(line, where)


def test_what_cannot_be_printed_says_so_and_runs():
    w = Writer(np.eye(3) + 1)
    (x,) = w.values
    program = w.program(w("cholesky", w("matmul", x, x)))
    check_passes(program, w.inputs)
    with pytest.raises(CompileError, match="cholesky is no sequence of NumPy calls"):
        program_text(plan(simplify(lower(program))))


def test_refusals_are_raised_by_the_compiled_program():
    x, labels = np.ones((2, 3), np.float32), np.array([0, 2])
    w = Writer(x, labels)
    run = check_passes(w.program(w("cross_entropy", *w.values, scale=0.5)), w.inputs)
    with pytest.raises(IndexError, match=r"cross_entropy\(.*label -1 is out of range"):
        run([x, np.array([0, -1])])


# --- pieces -----------------------------------------------------------------------------------------------------------


def elementwise(*shapes):
    """A program of steps that go element by element, from arrays of these shapes, and the arrays."""
    w = Writer(*(np.arange(np.prod(shape), dtype=np.float32).reshape(shape) for shape in shapes))
    x = w.values[0]
    for y in w.values:
        x = w("tanh", w("add", w("mul", x, y), 0.5))
    return w.program(x, w("sum", x, dim=None, keepdim=False)), w.inputs


def test_steps_on_large_arrays_are_done_in_pieces():
    program, inputs = elementwise((4096, 512), (4096, 512), (512,), (4096, 1))
    run = check_passes(program, inputs)
    (group,) = run.plan.groups
    assert len(group.steps) == 12 and group.rows == 128 and len(group.local) == 11
    assert "for i in range(0, 4096, 128):" in run.text and "x1[rows]" in run.text and "x2[rows]" not in run.text
    assert {buffer.sample.shape for buffer in run.plan.buffers} == {(128, 512)}


@pytest.mark.parametrize("shape", [(1024, 512), (4093, 513), (1, 1 << 22)], ids=["small", "a prime", "one row"])
def test_other_steps_are_not_done_in_pieces(shape):
    run = check_passes(*elementwise(shape, shape))
    assert not run.plan.groups and "range(" not in run.text


# --- updates ----------------------------------------------------------------------------------------------------------

OPTIMIZERS = [name for name, c in vars(optim).items()
              if isinstance(c, type) and issubclass(c, optim.Optimizer) and name not in ("Optimizer", "LBFGS", "SparseAdam")]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_of_optimizers(name, in_pieces):
    rng = np.random.default_rng(0)
    shapes = [(4, 3)] if name == "Muon" else [(40, 30), (7,), ()]
    parameters = [nn.Parameter(mg.tensor(rng.standard_normal(shape))) for shape in shapes]
    optimizer = getattr(optim, name)(parameters, lr=0.03)
    gradients = [mg.tensor(rng.standard_normal(shape)) for shape in shapes]

    def ready():
        for p, g in zip(parameters, gradients):
            p.grad = g

    ready()
    optimizer.step()
    group = optimizer.param_groups[0]
    values = [(p, Value(tuple(p.shape), p.dtype, "p", Source("state", lambda p=p: p.array)),
               Value(tuple(p.shape), p.dtype, "g", Source("state", lambda p=p: p.grad.array))) for p in parameters]
    update = update_of(optimizer, group, values)
    program = Program(update.steps, [], update.writes)
    run = NumpyProgram(plan(simplify(program)))
    start = [np.array(t.source.read()) for t, _ in program.writes]
    for lr in (0.02, 0.01):
        group["lr"] = lr
        _, expected = interpret(program, [])
        optimizer.step()
        assert same([t.source.read() for t, _ in program.writes], expected)
    finish = [np.array(t.source.read()) for t, _ in program.writes]
    for (target, _), old in zip(program.writes, start):
        target.source.write(old.item()) if target.source.kind == "number" else np.copyto(target.source.read(), old)
    for lr in (0.02, 0.01):
        group["lr"] = lr
        run([])
    assert same([np.array(t.source.read()) for t, _ in program.writes], finish)


# --- the table of operations ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in TABLE if name not in INTERNAL])
def test_every_operation(name, in_pieces):
    for sample in samples(name):
        program, arrays = of_call(TABLE[name], sample.args, sample.params)
        check_passes(program, arrays)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in DIFFERENTIABLE if name not in INTERNAL])
def test_every_gradient(name):
    for sample in samples(name)[::3]:
        program = of_gradient(TABLE[name], sample)
        if program is not None:
            check_passes(program, [])
