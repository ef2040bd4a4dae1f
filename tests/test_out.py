"""`out=`: every function that has it in PyTorch writes there and gives it back, under the same rules of shape and dtype."""

import re

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import graph

A, B = [[0.5, 1.5], [2.5, 0.25]], [[1.0, 3.0], [0.5, 2.0]]
CALLS = {
    "add": lambda m, x, y, **k: m.add(x, y, alpha=2, **k), "exp": lambda m, x, y, **k: m.exp(x, **k), "mul": lambda m, x, y, **k: m.mul(x, 2, **k),
    "div": lambda m, x, y, **k: m.div(x, y, **k), "hypot": lambda m, x, y, **k: m.hypot(x, y, **k), "lerp": lambda m, x, y, **k: m.lerp(x, y, 0.3, **k),
    "addcmul": lambda m, x, y, **k: m.addcmul(x, y, y, value=2, **k), "clamp": lambda m, x, y, **k: m.clamp(x, 0.3, 1, **k),
    "where": lambda m, x, y, **k: m.where(x > 1, x, y, **k), "matmul": lambda m, x, y, **k: m.matmul(x, y, **k), "mm": lambda m, x, y, **k: m.mm(x, y, **k),
    "addmm": lambda m, x, y, **k: m.addmm(x, y, y, **k), "outer": lambda m, x, y, **k: m.outer(x[0], y[0], **k), "cat": lambda m, x, y, **k: m.cat([x, y], **k),
    "stack": lambda m, x, y, **k: m.stack((x, y), 1, **k), "sum": lambda m, x, y, **k: m.sum(x, 0, **k), "mean": lambda m, x, y, **k: m.mean(x, 1, **k),
    "prod": lambda m, x, y, **k: m.prod(x, 0, **k), "cumsum": lambda m, x, y, **k: m.cumsum(x, 0, **k), "var": lambda m, x, y, **k: m.var(x, 0, **k),
    "amax": lambda m, x, y, **k: m.amax(x, 0, **k), "logsumexp": lambda m, x, y, **k: m.logsumexp(x, 0, **k), "argmax": lambda m, x, y, **k: m.argmax(x, 0, **k),
    "eq": lambda m, x, y, **k: m.eq(x, y, **k), "gather": lambda m, x, y, **k: m.gather(x, 0, m.zeros(1, 2, dtype=m.int64), **k),
    "index_select": lambda m, x, y, **k: m.index_select(x, 0, m.tensor([1, 1]), **k), "diag": lambda m, x, y, **k: m.diag(x, **k),
    "cumprod": lambda m, x, y, **k: m.cumprod(x, 1, **k), "kron": lambda m, x, y, **k: m.kron(x, y, **k), "ldexp": lambda m, x, y, **k: m.ldexp(x, y, **k),
    "polygamma": lambda m, x, y, **k: m.polygamma(1, x, **k), "inverse": lambda m, x, y, **k: m.inverse(x, **k), "special.ndtr": lambda m, x, y, **k: m.special.ndtr(x, **k),
    "special.erfcx": lambda m, x, y, **k: m.special.erfcx(x, **k),
}  # fmt: skip
PAIRS = {
    "max": lambda m, x, **k: m.max(x, 0, **k), "sort": lambda m, x, **k: m.sort(x, 1, **k), "topk": lambda m, x, **k: m.topk(x, 1, **k),
    "median": lambda m, x, **k: m.median(x, 0, **k), "cummax": lambda m, x, **k: m.cummax(x, 0, **k), "frexp": lambda m, x, **k: m.frexp(x, **k),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_the_result_is_written_where_it_is_asked(name):
    x, y = mg.tensor(A), mg.tensor(B)
    expected = CALLS[name](mg, x, y)
    there, empty = mg.zeros(expected.shape, dtype=expected.dtype), mg.empty(0, dtype=expected.dtype)
    memory = there.array
    assert CALLS[name](mg, x, y, out=there) is there and there.array is memory and mg.equal(there, expected)
    assert CALLS[name](mg, x, y, out=empty) is empty and mg.equal(empty, expected)
    assert there._version > 0
    with pytest.raises(RuntimeError, match=r"out=.*shape"):
        CALLS[name](mg, x, y, out=mg.zeros(7, 3, dtype=expected.dtype))
    with pytest.raises(RuntimeError, match=r"out= does not support automatic differentiation"):
        CALLS[name](mg, x.clone().requires_grad_(), y, out=there)
    with mg.no_grad():
        CALLS[name](mg, x.clone().requires_grad_(), y, out=there)
    if expected.is_floating_point():
        with pytest.raises(RuntimeError, match="cannot be cast"):
            CALLS[name](mg, x, y, out=mg.zeros(expected.shape, dtype=mg.int64))


@pytest.mark.parametrize("name", PAIRS)
def test_several_results(name):
    x = mg.tensor(A)
    expected = PAIRS[name](mg, x)
    out = tuple(mg.zeros(e.shape, dtype=e.dtype) for e in expected)
    given = PAIRS[name](mg, x, out=out)
    assert all(g is o and mg.equal(o, e) for g, o, e in zip(given, out, expected)) and type(given) is type(expected)


def test_a_view_has_no_out():
    with pytest.raises(TypeError):
        mg.reshape(mg.zeros(4), (2, 2), out=mg.zeros(2, 2))


def test_an_argument_may_be_its_own_target():
    x = mg.tensor(A)
    mg.matmul(x, x, out=x)
    assert mg.equal(x, mg.tensor(A) @ mg.tensor(A))


# --- beside PyTorch -------------------------------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize("name", CALLS)
def test_as_in_pytorch(name):
    torch = pytest.importorskip("torch")
    results = []
    for lib in (mg, torch):
        x, y = lib.tensor(A), lib.tensor(B)
        out = lib.empty(0, dtype=CALLS[name](lib, x, y).dtype)
        CALLS[name](lib, x, y, out=out)
        results.append(out.numpy())
    np.testing.assert_allclose(*results, rtol=1e-5)


@pytest.mark.torch
def test_every_function_with_out_in_pytorch_has_it():
    torch = pytest.importorskip("torch")
    import inspect

    def takes(f):
        return isinstance(f, graph.Op) or "out" in inspect.signature(f, follow_wrapped=False).parameters

    names = [n for n in mg.ops.__all__ if re.search(r"out\s*=\s*None", getattr(torch, n, mg).__doc__ or "")]
    without = {n for n in names if not takes(getattr(mg, n))}
    assert len(names) > 150 and without <= {"hamming_window"}, without
