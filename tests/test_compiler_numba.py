"""What is printed for numba gives the numbers of the program that was captured, in plain Python and compiled."""

import functools
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from plain_native import plainly
from programs import argument, of_call, of_gradient, state
from samples import DIFFERENTIABLE, INTERNAL, TABLE, samples
from test_compiler_passes import NETWORKS, Writer, interpreted, network, random_program, run_and_collect

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.compiler import numba_products
from microgradnet.compiler.lower import lower
from microgradnet.compiler.program import Program, Source, Step, Value
from microgradnet.compiler.simplify import simplify
from microgradnet.errors import CompileError


def close(results, expected):
    """Whether arrays agree to 1e-6 in float32 and 1e-12 in float64, of their largest element; whole numbers exactly."""
    assert len(results) == len(expected)
    largest = max((np.abs(x[np.isfinite(x)]).max(initial=0) for x in map(np.asarray, expected)), default=0)
    for result, right in zip(results, expected):
        result, right = np.asarray(result), np.asarray(right)
        assert result.shape == right.shape and result.dtype == right.dtype
        if right.dtype.kind != "f":
            assert np.array_equal(result, right)
            continue
        finite = np.isfinite(right)
        assert np.array_equal(result[~finite], right[~finite], equal_nan=True)
        if finite.any():
            tolerance = {4: 1e-6, 8: 1e-12, 2: 1e-3}[right.dtype.itemsize]
            scale = max(np.abs(right[finite]).max(), 1e-3 * largest)
            assert np.abs(result[finite].astype(float) - right[finite]).max() <= tolerance * scale


def check(program, arrays, compiled, calls=2):
    simple = simplify(lower(program))
    run = compiled(simple)
    for _ in range(calls):
        expected = interpreted(program, arrays)
        close(run_and_collect(run, program, arrays), expected)
    return run


SMALL = [name for name in NETWORKS if name not in ("the book's", "softmax", "adam")]


@pytest.mark.parametrize("name", SMALL)
def test_training_steps(name):
    program, arrays, _, _ = NETWORKS[name]()
    check(program, arrays, plainly)


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1, weight_decay=0.01),
    "sgd, momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.1),
    "adam": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.01, maximize=True),
    "nadam": lambda p: optim.NAdam(p, lr=0.01),
    "radam": lambda p: optim.RAdam(p, lr=0.01),
    "adamax": lambda p: optim.Adamax(p, lr=0.01),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.01, lr_decay=0.1),
    "adadelta": lambda p: optim.Adadelta(p),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, centered=True, momentum=0.5),
    "rprop": lambda p: optim.Rprop(p, lr=0.01),
    "asgd": lambda p: optim.ASGD(p, lr=0.01),
    "adafactor": lambda p: optim.Adafactor(p, lr=0.01),
}  # fmt: skip
ACTIVATIONS = (nn.Sigmoid, nn.Tanh, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Softplus, nn.SiLU, nn.GELU, nn.Softsign)


def random_network(optimizer, seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, size=rng.integers(2, 5)).tolist()
    loss = (nn.QuadraticLoss, nn.CrossEntropyLoss)[rng.integers(2)]
    dtype = (mg.float32, mg.float64)[rng.integers(2)]
    activation = ACTIVATIONS[rng.integers(len(ACTIVATIONS))]
    return network(sizes, activation, loss, OPTIMIZERS[optimizer], int(rng.integers(1, 9)), dtype)[:2]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_random_networks(optimizer, seed):
    check(*random_network(optimizer, seed + 3 * [*OPTIMIZERS].index(optimizer)), plainly)


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed):
    check(*random_program(seed), plainly)


@pytest.mark.parametrize("name", [name for name in TABLE if name not in INTERNAL])
def test_every_operation(name):
    for sample in samples(name):
        program, arrays = of_call(TABLE[name], sample.args, sample.params)
        check(program, arrays, plainly, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in DIFFERENTIABLE if name not in INTERNAL])
def test_every_gradient(name):
    for sample in samples(name)[::3]:
        program = of_gradient(TABLE[name], sample)
        if program is not None:
            check(program, [], plainly, 1)


SHAPES = [(1, 1, 1), (1, 7, 5), (7, 1, 5), (5, 7, 1), (2, 3, 4), (10, 30, 17), (13, 9, 32), (16, 33, 31), (3, 600, 20)]


def many_products(dtype):
    """Products of matrices of which each lies by rows or by columns, and their sums with a state."""
    rng = np.random.default_rng(0)
    arrays, steps, outs, writes = [], [], [], []
    for i, (m, k, n) in enumerate(SHAPES):
        operands = []
        for turned, shape in zip((i % 2, i // 2 % 2), ((m, k), (k, n))):
            arrays.append(rng.standard_normal(shape[::-1] if turned else shape).astype(dtype))
            value = argument(len(arrays) - 1, arrays[-1])
            operands.append(Value(shape, dtype) if turned else value)
            if turned:
                steps.append(Step(np.transpose, (value,), {}, operands[-1], True))
        product, scaled, new = (Value((m, n), dtype) for _ in range(3))
        kept = state(rng.standard_normal((m, n)).astype(dtype))
        steps += [Step(np.dot, tuple(operands), {}, product), Step(np.multiply, (product, 0.5), {}, scaled),
                  Step(np.subtract, (kept, scaled), {}, new)]  # fmt: skip
        writes.append((kept, new))
        outs.append(product if i % 3 else new)
    return Program(steps, outs, writes), arrays


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products(dtype):
    check(*many_products(np.dtype(dtype)), plainly)


def test_arrays_that_lie_elsewhere_or_otherwise_than_before():
    rng = np.random.default_rng(0)
    kept = [rng.standard_normal((4, 3))]
    x = argument(0, kept[0])
    s = Value((4, 3), x.dtype, "s", Source("state", lambda: kept[0]))
    out, total = Value((4, 3), x.dtype), Value((3,), x.dtype)
    steps = [Step(np.add, (x, s), {}, out), Step(np.add.reduce, (out,), {"axis": 0}, total)]
    run = plainly(Program(steps, [total, out], [(s, out)]))
    wide = rng.standard_normal((8, 6))
    for array in (kept[0], wide[::2, ::2], wide[:4, 3:].copy(), np.asfortranarray(wide[:4, :3]), wide[:4, :3]):
        for given in (rng.standard_normal((4, 3)), rng.standard_normal((3, 4)).T, rng.standard_normal((9, 9))[1:5, 2:8:2]):
            kept[0], right = array, array + given
            close([*run([given]), kept[0]], [right.sum(0), right, right])


def test_nothing_is_written_where_an_operation_refuses_later():
    rng = np.random.default_rng(0)
    w = Writer(rng.standard_normal((3, 4)), np.array([0, 1, 2]), states=(np.ones(4),))
    x, index = w.values
    (s,) = w.states
    new = w("add", s, w("sum", x, dim=0))
    program = w.program(w("embedding", w("erf", x), index), writes=[(s, new)])
    run = check(program, w.inputs, plainly)
    before = program.writes[0][0].source.read().copy()
    with pytest.raises(IndexError):
        run([w.inputs[0], np.array([0, 3, 1])])
    assert np.array_equal(program.writes[0][0].source.read(), before)


# --- compiled ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def native(monkeypatch, tmp_path):
    """The compiler, with a place of its own for what it keeps."""
    pytest.importorskip("numba")
    from microgradnet.compiler.numba_printer import NativeProgram

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return NativeProgram


@pytest.mark.parametrize("name", NETWORKS)
def test_training_steps_compiled(name, native):
    program, arrays, _, _ = NETWORKS[name]()
    check(program, arrays, native)


PROCESSORS = {"avx2": (32, 16), "avx512": (64, 32)}  # bytes of a vector, and registers; what is missing takes two


@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_compiled(dtype, processor, native, monkeypatch):
    monkeypatch.setattr(numba_products, "vectors_here", lambda: PROCESSORS[processor])
    run = check(*many_products(np.dtype(dtype)), native)
    assert "gemm" in run.text and "tile" in run.text


@pytest.mark.parametrize("vector", [32, 64])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_inner_products_of_any_length(kind, vector, native):
    from microgradnet.compiler import native as names
    from microgradnet.compiler.tiles import tile

    rng = np.random.default_rng(0)
    for rows, columns, length in (1, 1, 1), (2, 2, 3), (1, 3, 5), (3, 4, 7), (2, 5, 16), (2, 6, 27), (3, 1, 34), (1, 9, 61):
        a, b, c = (rng.standard_normal(shape).astype(kind) for shape in
                   ((rows, length), (columns, length), (rows + 1, columns + 1)))  # fmt: skip
        right = c.copy()
        right[:-1, :-1] = 2 * (a @ b.T) - c[:-1, :-1]
        scope = vars(names) | {
            "tile": tile(kind, vector, rows, columns, length, (length, 1), (1, length), columns + 1, True)
        }
        number = {"f4": "np.float32", "f8": "np.float64"}[kind]
        exec("@njit\ndef run(a, b, c):\n"
             f"    tile({kind}(a), 0, {kind}(b), 0, {kind}(c), 0, {number}(2), {number}(-1))", scope)  # fmt: skip
        scope["run"](a.ctypes.data, b.ctypes.data, c.ctypes.data)
        np.testing.assert_allclose(c, right, rtol=0, atol={"f4": 1e-5, "f8": 1e-13}[kind])


@pytest.mark.parametrize("seed", range(3))
def test_random_programs_compiled(seed, native):
    check(*random_program(seed), native)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_random_networks_compiled(optimizer, seed, native):
    check(*random_network(optimizer, seed + 3 * [*OPTIMIZERS].index(optimizer)), native)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TABLE if name not in INTERNAL])
def test_every_operation_compiled(name, native):
    for sample in samples(name):
        program, arrays = of_call(TABLE[name], sample.args, sample.params)
        check(program, arrays, native, 1)


@pytest.mark.parametrize("function", ["exp", "tanh"])
def test_functions_of_float32(function, native):
    from microgradnet.compiler import native as functions

    edges = [0.0, -0.0, np.inf, -np.inf, np.nan, 88.7, 88.73, 90, -87.3, -87.4, -103, -105, 1e-30, -1e-30, 9, 20]
    x = np.concatenate([edges, np.linspace(-104, 89, 20_001), np.geomspace(1e-30, 1, 1001)]).astype(np.float32)
    with np.errstate(all="ignore"):
        right = getattr(np, function)(x.astype(np.float64)).astype(np.float32)
    compiled = getattr(functions, f"{function}_f4")
    result = np.array([compiled(element) for element in x], np.float32)
    finite = np.isfinite(right)
    assert np.array_equal(result[~finite], right[~finite], equal_nan=True)
    assert (np.abs(result[finite] - right[finite]) <= 4 * np.spacing(np.abs(right[finite]))).all()
    assert np.signbit(compiled(np.float32(-0.0))) == (function == "tanh")


SMALL_PROGRAM = """
import time
from test_compiler_passes import NETWORKS
from microgradnet.compiler import native, numba_printer
program, arrays, _, _ = NETWORKS["one example"]()
start = time.perf_counter()
run = numba_printer.numba_program(program)
print(time.perf_counter() - start, sum(run.functions["segment_1"].stats.cache_hits.values()))
run(arrays)
"""


def in_a_new_process(cache):
    """(seconds that compiling took, functions that were kept from before)"""
    pytest.importorskip("numba")
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-W", "error", "-c", SMALL_PROGRAM], env=environment, text=True,
                            capture_output=True)
    assert result.returncode == 0, result.stderr
    seconds, hits = result.stdout.split()
    return float(seconds), int(hits)


def test_compiled_code_is_kept_between_processes(tmp_path):
    first, hits = in_a_new_process(tmp_path)
    assert not hits and list(tmp_path.rglob("*.nbc"))
    second, hits = in_a_new_process(tmp_path)
    assert hits and second < first / 2
    for path in tmp_path.rglob("*.nbc"):
        path.write_bytes(b"not what was kept")
    assert not in_a_new_process(tmp_path)[1]


def test_code_that_cannot_be_kept_is_compiled_all_the_same(native, tmp_path, monkeypatch):
    (tmp_path / "file").touch()  # what lies below it can neither be made nor written, not even by root
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    program, arrays, _, _ = NETWORKS["one example"]()
    check(program, arrays, native)


def test_threads_wait_for_each_other(native):
    pytest.importorskip("scipy")
    total, inputs = mg.zeros(1, dtype=mg.float64), [mg.full((50_000,), float(i), dtype=mg.float64) for i in range(4)]

    @functools.partial(mg.compile, backend="numba")
    def run(x):
        total.add_(1)
        return (x * 2).sum()

    run(inputs[0])
    results = []

    def work(i):
        results.extend(run(inputs[i]).item() == 100_000 * i for _ in range(100))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 400 and all(results) and total.item() == 401


def test_without_numba_the_error_names_the_extra(monkeypatch):
    from microgradnet.compiler.numba_printer import numba_program

    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "microgradnet.compiler.native", raising=False)
    monkeypatch.delattr("microgradnet.compiler.native", raising=False)
    with pytest.raises(CompileError, match=r"microgradnet\[fast\]"):
        numba_program(NETWORKS["momentum"]()[0])
