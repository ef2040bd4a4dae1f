"""compile(): Python numbers that are others at each call, as the program has them and as eager mode does."""

import math
import re
import threading
import types

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn
from microgradnet.compiler.numbers import Numbers
from microgradnet.errors import CompileError

NUMBERS = 0.3, 0.7, 0.2, 1.5, 0.7, 0.45, 2.0, 0.5, 1.0


def same(f, *numbers, backend="numpy", programs=1, grad=False, **options):
    """Call a function of a tensor and of these numbers in turn, compiled and not; the results and gradients agree."""
    compiled = mg.compile(f, backend=backend, **options)
    values = np.random.default_rng(0).uniform(-2, 2, (4, 3)).astype(np.float32)
    for number in numbers:
        found = []
        for function in (f, compiled):
            mg.manual_seed(5)
            x = mg.tensor(values, requires_grad=grad)
            y = function(x, number)
            y = y if isinstance(y, tuple) else (y,)
            found.append([part.detach().numpy() for part in y] + ([] if x.grad is None else [x.grad.numpy()]))
        for a, b in zip(*found, strict=True):
            assert a.dtype == b.dtype
            if backend == "numpy":
                assert np.array_equal(a, b, equal_nan=True), number
            else:
                np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    assert programs is None or len(compiled.programs) == programs
    return compiled


def with_gradient(f):
    def step(x, number):
        loss = (f(x, number) * mg.arange(1.0, 13.0).reshape(4, 3)).sum()
        loss.backward()
        return loss.detach()

    return step


READ = {
    "x·n": lambda x, n: x * n, "n·x": lambda x, n: n * x, "x+n": lambda x, n: x + n, "n-x": lambda x, n: n - x,
    "x/n": lambda x, n: x / n, "n/x": lambda x, n: n / x, "x**n": lambda x, n: x.abs() ** n,
    "x-=n": lambda x, n: (x * 2).sub_(n), "x@x·n": lambda x, n: (x @ x.T @ x) * n,
    "n·n": lambda x, n: x * (2 * n - n**2 / 3 + abs(-n)), "max": lambda x, n: x * max(n, 0.01), "mask": lambda x, n:
    x * (x > n), "where": lambda x, n: mg.where(x > 0, x, n), "clamp": lambda x, n: x.clamp(-n, n),
    "alpha": lambda x, n: x.add(x.sin(), alpha=n), "lerp": lambda x, n: mg.lerp(x, x.cos(), n),
    "leaky_relu": lambda x, n: F.leaky_relu(x, n), "elu": lambda x, n: F.elu(x, n),
    "softplus": lambda x, n: F.softplus(x, beta=n), "layer_norm": lambda x, n: F.layer_norm(x, (3,), eps=n),
    "kwargs": lambda x, n: F.hardtanh(x, min_val=-n, max_val=n), "masked_fill": lambda x, n: x.masked_fill(x > 0, n),
    "dropout": lambda x, n: F.dropout(x, min(n, 0.9)), "rand": lambda x, n: x * (mg.rand(3) * n),
    "cross_entropy": lambda x, n: F.cross_entropy(x, mg.arange(4) % 3, label_smoothing=min(n, 1.0)),
    "comparisons": lambda x, n: x * ((x == n).float() + (x < n) + (n >= x)), "x%n": lambda x, n: x % n + n // (x + 5),
    "batch_norm": lambda x, n: F.batch_norm(x, mg.zeros(3), mg.ones(3), training=True, momentum=n),
}  # fmt: skip
NEEDS_IT = {
    "sqrt": lambda x, n: x * math.sqrt(n), "int": lambda x, n: x * int(10 * n), "full": lambda x, n: x * mg.full((3,), n),
    "tensor": lambda x, n: x * mg.tensor(n), "float": lambda x, n: x * float(n), "round": lambda x, n: x * round(n, 1),
    "text": lambda x, n: x * len(f"{n} {n:.2f}"), "hash": lambda x, n: x * {n: 3}[n], "numpy": lambda x, n:
    x * np.float32(n), "method": lambda x, n: x * n.as_integer_ratio()[0], "divmod": lambda x, n: x * divmod(n, 0.4)[1],
    "tensors": lambda x, n: x * mg.tensor([n, 1.0, n]), "array": lambda x, n: x * mg.tensor(np.array([n, 1.0, n])),
    "of NumPy": lambda x, n: x * mg.tensor(np.ones(3, np.float32) * n), "scalar": lambda x, n: x * (np.float32(2) * n),
    "normal_": lambda x, n: x.clone().normal_(0, n), "linspace": lambda x, n: x * mg.linspace(0, n, 3),
    "ufunc": lambda x, n: x * float(np.exp(n)), "op": lambda x, n: x * mg.exp(np.float32(1) + n), "ops": lambda x, n:
    x * mg.mul(np.ones(3, np.float32), n), "type": lambda x, n: x * 2 if type(n) is float else x * n, "n**x": lambda x, n: n**x,
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_floats_are_read_at_each_call(name):
    same(with_gradient(READ[name]), *NUMBERS, grad=True)


@pytest.mark.parametrize("name", NEEDS_IT)
def test_who_needs_the_float_itself_has_a_program_for_each(name):
    same(with_gradient(NEEDS_IT[name]), *NUMBERS[:6], programs=None, grad=True)


# --- in variables -----------------------------------------------------------------------------------------------------


class Holder(nn.Module):
    number: float

    def forward(self, x, f):
        return f(x, self.number)


global_number = 0.0


def in_global(f):
    def put(number):
        global global_number
        global_number = number

    return lambda x: f(x, global_number), put


def in_closure(f):
    kept = 0.0

    def put(number):
        nonlocal kept
        kept = number

    return lambda x: f(x, kept), put


def in_module(f):
    holder = Holder()
    return lambda x: holder(x, f), lambda number: setattr(holder, "number", number)


def in_attribute(f):
    holder = types.SimpleNamespace()
    return lambda x: f(x, holder.number), lambda number: setattr(holder, "number", number)


def in_dict(f):
    held = {"a": [0.25, 0.0]}
    return lambda x: f(x, held["a"][1]), lambda number: held["a"].__setitem__(1, number)


EACH_VARIABLE = pytest.mark.parametrize("variable", [
    in_module, in_closure, *(pytest.param(place, marks=pytest.mark.slow) for place in (in_global, in_attribute, in_dict))
])  # fmt: skip


def same_in(variable, f, *numbers, **options):
    """As `same`, with the numbers in a variable."""
    step, put = variable(f)
    compiled = mg.compile(step, **options)
    values = np.random.default_rng(0).uniform(-2, 2, (4, 3)).astype(np.float32)
    for number in numbers:
        put(number)
        found = []
        for function in (step, compiled):
            mg.manual_seed(5)
            x = mg.tensor(values, requires_grad=True)
            found.append((function(x).numpy(), x.grad.numpy()))
        assert all(map(np.array_equal, *found)), number
    return compiled, put


@EACH_VARIABLE
@pytest.mark.parametrize("name", READ)
def test_floats_in_variables_are_read_at_each_call(name, variable):
    compiled, _ = same_in(variable, with_gradient(READ[name]), *NUMBERS)
    assert len(compiled.programs) == 1


@EACH_VARIABLE
@pytest.mark.parametrize("name", NEEDS_IT)
def test_who_needs_the_float_in_a_variable_has_a_program_for_each(name, variable):
    same_in(variable, with_gradient(NEEDS_IT[name]), *NUMBERS[:6])


@EACH_VARIABLE
def test_another_type_in_a_variable_has_another_program(variable):
    compiled, put = same_in(variable, with_gradient(lambda x, n: x * n), 0.5, 0.25, 3, 0.75, 1, 0.5)
    x = mg.ones(4, 3)
    put(mg.tensor(2.0))
    compiled(x.requires_grad_())
    assert x.grad[0].tolist() == [2, 4, 6] and len(compiled.programs) == 4


@EACH_VARIABLE
def test_numbers_in_variables_are_there_after_an_error(variable):
    fails = []

    def f(x, n):
        if fails:
            raise OSError("no more")
        return x * n

    compiled, put = same_in(variable, with_gradient(f), 0.5)
    put(0.25)
    fails.append(True)
    with pytest.raises(OSError):
        compiled(mg.ones(4, 3, requires_grad=True))
    fails.clear()
    x = mg.ones(4, 3, requires_grad=True)
    compiled(x)
    assert x.grad[0].tolist() == [0.25, 0.5, 0.75]


def test_a_variable_that_the_function_writes_is_refused():
    holder = types.SimpleNamespace(n=0.5)

    def step(x):
        if holder.n > 1:
            holder.n = 0.5
        return x * holder.n

    compiled = mg.compile(step)
    for holder.n in (0.5, 0.25, 0.75, 0.125):
        assert compiled(mg.ones(1)).item() == holder.n
    holder.n = 2.0  # the other way at the `if`: the function itself runs
    assert compiled(mg.ones(1)).item() == 0.5 == holder.n and type(holder.n) is float
    later = mg.compile(step)
    holder.n = 2.0
    with pytest.raises(CompileError, match="changes the Python variable 'n'"):
        later(mg.ones(1))

    def adds(x):
        holder.n += holder.k
        return x * holder.n

    holder.k = 0.0  # added, it changes nothing that could be seen
    adding = mg.compile(adds)
    adding(mg.ones(1))
    holder.k = 1.0
    for n in (1.5, 2.5):  # recorded with the one and with the other as a number, and run as ever
        assert adding(mg.ones(1)).item() == n == holder.n and type(holder.n) is type(holder.k) is float
    with pytest.raises(CompileError, match="changes the Python variable 'n'"):
        adding(mg.ones(1))


def test_numbers_in_variables_by_mode_and_with_arguments():
    drop, holder = nn.Dropout(0.5), types.SimpleNamespace(a=1.0, b=1.0)
    compiled = mg.compile(lambda x, n: drop(x) * n * holder.a + holder.b)
    for k, n in enumerate(NUMBERS * 4):
        drop.train(k % 3 == 0)
        holder.a, holder.b, n = math.sin(k), (math.cos(k) if k > 8 else 1.0), n if k > 4 else 1.0
        mg.manual_seed(k)
        found = compiled(mg.ones(3), n)
        mg.manual_seed(k)
        assert np.array_equal(found.numpy(), (drop(mg.ones(3)) * n * holder.a + holder.b).numpy())
    assert len(compiled.programs) <= 4


def test_a_variable_that_cannot_be_read_anew_leaves_the_others():
    holder = types.SimpleNamespace(a=0.5, b=0.25)
    compiled = mg.compile(lambda x: x * holder.a + math.sqrt(holder.b), limit=3)
    for k in range(40):
        holder.a = math.sin(k)
        holder.b = 0.25 if k < 20 else 0.5
        assert compiled(mg.ones(1)).item() == np.float32(holder.a) + np.float32(math.sqrt(holder.b))
    assert len(compiled.programs) == 2


def test_whole_numbers_in_variables_choose_programs_until_there_would_be_too_many():
    holder = types.SimpleNamespace(t=0)
    compiled = mg.compile(lambda x: x / (1 + holder.t))
    for holder.t in range(8):
        compiled(mg.ones(1))
    assert len(compiled.programs) == 8
    for holder.t in range(8, 40):
        assert compiled(mg.ones(1)).item() == np.float32(1 / (1 + holder.t))


def test_other_threads_compute_with_a_variable_as_ever():
    program = []
    numbers = Numbers(types.SimpleNamespace(error=None, write_down=program.append, fail=program.append), 0)
    holder, found = types.SimpleNamespace(n=2.0), []
    with numbers.in_variables([(vars(holder), "n")]):
        thread = threading.Thread(target=lambda: found.append(float(holder.n * 3)))
        thread.start()
        thread.join()
        assert found == [6.0] and not program
        assert holder.n * 3 == 6 and program
    assert type(holder.n) is float


# --- among the arguments ----------------------------------------------------------------------------------------------


def test_a_function_that_needs_the_float_is_refused_at_the_limit():
    step = mg.compile(lambda x, n: x * math.sqrt(n))
    with pytest.raises(CompileError, match="recorded 8 times.* give a number that changes as a tensor"):
        for n in range(20):
            assert step(mg.ones(2), n / 8).tolist() == [np.float32(math.sqrt(n / 8))] * 2


def test_the_dtype_is_that_of_eager_mode():
    def f(x, n):
        return x * n, (x.sum() * n), x.double() * n, x.to(mg.int64) * n, x.sum().double() * n

    same(f, *NUMBERS)


def test_a_training_step_as_a_person_would_write_it():
    mg.manual_seed(0)
    start = nn.Linear(3, 2)

    def training():
        model = nn.Linear(3, 2)
        model.load_state_dict(start.state_dict())

        def step(x, y, lr, decay):
            loss = F.mse_loss(model(x), y) + decay * (model.weight**2).sum()
            model.zero_grad()
            loss.backward()
            with mg.no_grad():
                for p in model.parameters():
                    p -= lr * p.grad
            return loss

        return step, model

    (plain, one), (step, other) = training(), training()
    step = mg.compile(step)
    x, y = mg.randn(8, 3), mg.randn(8, 2)
    for k in range(1000):
        lr, decay = 0.5 / (1 + k), 0.01 * math.sin(k)
        assert plain(x, y, lr, decay).item() == step(x, y, lr, decay).item()
    assert all(np.array_equal(p.detach().numpy(), q.detach().numpy())
               for p, q in zip(one.parameters(), other.parameters()))
    (names,) = re.findall(r"def step\((.*)\):", step.program())
    assert len(step.programs) == 1 and {*names.split(", ")} == {"x", "y", "lr", "decay", "weight", "bias"}


def test_an_if_on_a_number_is_asked_at_each_call():
    def step(x, n):
        return x * 2 if n > 0.5 else x + n

    compiled = same(step, 0.1, 0.2, 0.9, 0.3, 0.8, 0.4, 0.5)
    assert "if" in compiled.program()


def test_where_numbers_are():
    f = mg.compile(lambda *args, **kwargs: args[0] * args[1]["a"][1] + kwargs["b"][0] * kwargs["c"])
    for a, b, c in [(0.5, 1.5, 2.5), (0.25, 1.5, 2.5), (0.5, 0.5, 2.5), (0.5, 1.5, 0.25), (0.1, 0.2, 0.3)]:
        assert f(mg.ones(2), {"a": [7.0, a], "z": 1.5}, b=(b, None), c=c).tolist() == [np.float32(a) + np.float32(b * c)] * 2
    with pytest.raises(KeyError):
        f(mg.ones(2), {"z": 1.5}, b=(1.0, None), c=0.5)


def test_whole_numbers_choose_programs_until_there_would_be_too_many():
    compiled = same(lambda x, t: x / (1 + t), *range(8), programs=8)
    assert compiled(mg.ones(4, 3), 8).tolist() == [[np.float32(1 / 9)] * 3] * 4 and len(compiled.programs) == 1
    same(lambda x, t: x / (1 + t), *range(20))
    same(lambda x, t: x[t], 0, 1, 2, 3, 2, 1, programs=4)
    same(lambda x, t: x.sum(t), 0, 1, 0, 1, programs=2)
    with pytest.raises(CompileError, match="recorded 2 times"):
        same(lambda x, t: x[t], 0, 1, 2, 3, limit=2)
    same(lambda x, t: x[t] * 2 + x[:, t % 3].sum(), 0, 1, 2, 3, 2, 1, limit=2, fallback="eager", programs=None)


def test_what_writes_through_an_index_that_is_a_number_still_does():
    def write(x, t):
        y = x.clone()
        y[t].add_(1)
        y[t, 0] = 5
        return y

    same(write, 0, 1, 2, 3, 2, limit=2, fallback="eager", programs=None)


def test_a_type_that_is_asked_for_late_is_an_error():
    def late(x, n):
        return x * 2 if type(n) is float else x

    def step(x, n):
        return late(x, n) if n > 0.5 else x * n

    compiled = mg.compile(step)
    assert compiled(mg.ones(1), 0.25).tolist() == [0.25]
    with pytest.raises(CompileError, match="asks for the type"):
        compiled(mg.ones(1), 0.75)
    assert compiled(mg.ones(1), 0.5).tolist() == [0.5] and len(compiled.programs) == 1


def test_a_number_that_is_kept_stays_a_number():
    class Keeper(nn.Module):
        def forward(self, x, n):
            self.last = n
            return x * n

    model, kept = Keeper(), {}
    compiled = mg.compile(lambda x, n: (kept.__setitem__("n", n), model(x, n))[1], fallback="eager")
    for n in NUMBERS[:6]:
        assert compiled(mg.ones(1), n).tolist() == [np.float32(n)]
    assert type(model.last) is float and type(kept["n"]) is float


def test_a_number_that_is_returned_or_kept_is_itself():
    compiled = mg.compile(lambda x, n: (x * n, n + 1))
    for n in NUMBERS[:6]:
        result, number = compiled(mg.ones(1), n)
        assert result.tolist() == [np.float32(n)] and number == n + 1 and type(number) is float


def test_shapes_and_modes_have_programs_with_numbers_of_their_own():
    drop = nn.Dropout(0.5)
    compiled = mg.compile(lambda x, n: drop(x) * n)
    for k, n in enumerate(NUMBERS * 3):
        drop.train(k % 3 == 0)
        x = mg.ones(2 + k % 2)
        mg.manual_seed(k)
        found = compiled(x, n)
        mg.manual_seed(k)
        assert np.array_equal(found.numpy(), (drop(x) * n).numpy())
    assert len(compiled.programs) == 4


def test_nan_and_infinity_are_numbers_like_others():
    same(lambda x, n: x * n, 0.5, math.nan, math.inf, -0.0, 0.0, math.nan)


def test_an_error_of_arithmetic_is_that_of_eager_mode():
    compiled = same(lambda x, n: x * (1 / n), 0.5, 0.25, 0.125)
    with pytest.raises(ZeroDivisionError):
        compiled(mg.ones(1), 0.0)
    assert compiled(mg.ones(1), 0.5).tolist() == [2.0]


def test_a_module_is_given_numbers():
    class Scaled(nn.Module):
        def forward(self, x, scale, shift=0.5):
            return x * scale + shift

    model = mg.compile(Scaled())
    for n in NUMBERS:
        assert model(mg.ones(1), n, shift=2 * n).tolist() == [np.float32(n) + np.float32(2 * n)]
