"""NumPy's functions and operators on Tensors: recorded where the table knows them, refused aloud where it does not."""

import numpy as np
import pytest
from samples import TABLE, samples

import microgradnet as mg
from microgradnet import graph

X, M = np.random.default_rng(0).uniform(0.2, 0.9, (2, 1, 3)), np.random.default_rng(1).uniform(0.2, 0.9, (3, 3))

CALLS = """
np.sum(x, 0); np.sum(x, axis=(0, 1), keepdims=True); np.mean(x, axis=-1); np.prod(x, 0); np.max(x); np.max(x, axis=0); np.amax(x, 0)
np.min(x, 2, keepdims=True); np.argmax(x, axis=0); np.argmin(x); np.all(x); np.any(x, axis=0); np.count_nonzero(x); np.cumsum(x); np.cumsum(x, axis=0)
np.squeeze(x); np.squeeze(x, axis=1); np.expand_dims(x, 0); np.flip(x); np.flip(x, 0); np.flip(x, axis=(0, 2)); np.swapaxes(x, 0, 1)
np.broadcast_to(x, (2, 2, 3)); np.reshape(x, (2, 3)); np.reshape(x, -1); np.transpose(x); np.transpose(x, (2, 0, 1)); np.moveaxis(x, 0, -1); np.ravel(x)
np.tril(m); np.triu(m, 1); np.copy(x); np.round(x, 1); np.around(x); np.where(x > 0.5, x, 0.0); np.where(X > 0.5, 0.0, x); np.clip(x, 0.3, 0.6)
np.clip(x, a_min=0.5, a_max=None); np.var(x); np.var(x, axis=0, ddof=1); np.std(x, 0, keepdims=True); np.concatenate([x, x], axis=-1)
np.concatenate([X, x]); np.stack([x, X], axis=-1); np.vstack([m, m]); np.hstack([m, M]); np.dot(m, m); np.dot(m, 2); np.dot(M, m); np.matmul(m, M)
np.sort(x); np.sort(x, axis=0); np.argsort(x, axis=None); np.cumprod(x); np.cumprod(x, axis=0); np.diff(x); np.diff(x, 2, axis=0); np.roll(x, 1)
np.roll(x, 1, axis=0); np.diagonal(m); np.diagonal(x, 0, 0, 2); np.trace(m); np.tensordot(m, M, 1); np.kron(m, M); np.inner(m, M); np.argwhere(x > 0.5)
np.outer(m[0], m[1]); np.einsum('ij,jk->ik', M, m); np.power(x, 2); np.add(1, x); np.multiply(X, x); np.maximum(x, 0.5); np.divide(x, X)
X + x; x + X; X - x; X * x; X / x; X ** x; X // x; X % x; M @ m; X < x; X >= x; X == x; X != x; 2 * x; 1 - x; np.float64(2) * x; np.float64(2) - x
np.float64(2) / x; np.int64(3) ** x; np.bool_(True) * x; X[0] * x; X[0, 0, 0] * x; x * X[0, 0, 0]; np.hypot(x, X); np.arctan2(X, x); np.fmod(x, 0.3); np.logaddexp(x, x); np.copysign(X, x); np.fmax(x, 0.5); np.sinc(x); np.i0(x); np.deg2rad(x)
np.exp(x) * np.log(x); sum(x); max(x[0, 0]); -x; abs(x)
"""


def evaluated(call, x, m):
    return eval(call, {"np": np, "x": x, "m": m, "X": X, "M": M})  # noqa: S307


@pytest.mark.parametrize("call", [c.strip() for line in CALLS.strip().splitlines() for c in line.split(";")])
def test_p44_p45_numpy_records(call):
    x, m = mg.tensor(X, requires_grad=True), mg.tensor(M, requires_grad=True)
    y, expected = evaluated(call, x, m), evaluated(call, X, M)
    assert isinstance(y, mg.Tensor) and y.requires_grad == y.is_floating_point()
    assert y.shape == np.shape(expected)
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-14)


UFUNCS = [(f, op.name) for f, op in graph.UFUNCS.items() if isinstance(f, np.ufunc) and op.name in TABLE]


@pytest.mark.parametrize("ufunc, name", UFUNCS, ids=lambda value: getattr(value, "__name__", None) or value)
def test_p45_every_ufunc_of_the_table(ufunc, name):
    for sample in samples(name):
        arrays = [a for a in sample.args if isinstance(a, np.ndarray)]
        if sample.params or len(arrays) < ufunc.nin:
            continue
        tensors = [mg.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
        y = ufunc(*tensors)
        np.testing.assert_allclose(y.detach().numpy(), ufunc(*arrays), rtol=1e-14)
        assert y.requires_grad == TABLE[name].differentiable
        if len(arrays) == 2:
            assert ufunc(arrays[0], tensors[1]).requires_grad == TABLE[name].differentiable


REFUSED = """
np.add.reduce(x); np.add.outer(x, x); np.multiply.accumulate(x); np.add.at(x, 0, 1); np.add(x, x, where=X > 0); np.add(x, 1, dtype=float)
np.exp(x, out=np.zeros((2, 1, 3))); np.divmod(x, 1); np.spacing(x); np.median(x); np.partition(x, 1); np.unique(x); np.linalg.norm(m)
np.linalg.inv(m); np.vdot(m, m); np.split(x, 2); np.tile(x, 2); np.zeros_like(x); np.interp(x, X.ravel(), X.ravel()); np.fft.fft(x); np.trace(m, 1)
np.sum(x, initial=1.0); np.sum(x, where=X > 0); np.diag(m); np.isclose(x, x); np.take(x, [0, 1]); np.lexsort(x); np.pad(x, 1); np.cross(m, m)
"""


@pytest.mark.parametrize("call", [c.strip() for line in REFUSED.strip().splitlines() for c in line.split(";")])
@pytest.mark.parametrize("tracked", [True, False])
def test_p45_what_the_table_does_not_know_is_refused(call, tracked):
    x, m = mg.tensor(X, requires_grad=tracked), mg.tensor(M, requires_grad=tracked)
    with pytest.raises(TypeError, match=r"np\.|argument"):
        evaluated(call, x, m)


def test_p45_the_refusal_says_what_to_do():
    with pytest.raises(TypeError, match=r"np\.median of a Tensor.*detach\(\)\.numpy\(\)"):
        np.median(mg.ones(3))


def test_an_array_is_not_written_through_a_tensor():
    array = np.zeros(3)
    with pytest.raises(TypeError, match="array"):
        array += mg.ones(3)
    assert array.tolist() == [0, 0, 0]
    into = mg.zeros(3)
    assert np.add(mg.ones(3), 1, out=into) is into and into.tolist() == [2, 2, 2]


def test_p46_arrays_of_tensors():
    x = mg.tensor(X)
    assert np.asarray(x) is x.array and np.array(x) is not x.array and np.asarray(x, dtype=np.float32).dtype == np.float32
    assert np.array(x, copy=True).base is None and not np.shares_memory(np.array(x, copy=True), x.array)
    assert np.shares_memory(np.array(x, copy=False), x.array)
    with pytest.raises(ValueError, match="copy"):
        np.array(x, dtype=np.float32, copy=False)
    tracked = mg.tensor(X, requires_grad=True)
    for refused in (lambda: np.asarray(tracked), lambda: tracked.numpy(), lambda: np.array([tracked[0, 0, 0]]), lambda: np.array(tracked * 2)):
        with pytest.raises(RuntimeError, match=r"detach\(\)"):
            refused()
    assert tracked.numpy(force=True) is tracked.array and tracked.detach().numpy() is tracked.array
    with mg.no_grad():
        assert np.asarray(tracked * 1).shape == X.shape


def test_p44_arrays_defer_to_tensors_without_wrapping_them():
    y = np.array([1.0, 2.0]) * mg.tensor([3.0, 4.0], requires_grad=True)
    assert isinstance(y, mg.Tensor) and y.shape == (2,) and y.dtype == mg.float64
    y.sum().backward()
    assert y.node.inputs[1].grad.tolist() == [1, 2]


def test_shapes_and_comparisons_need_no_history():
    x = mg.tensor(X, requires_grad=True)
    assert np.shape(x) == (2, 1, 3) and np.ndim(x) == 3 and np.size(x) == 6
    assert np.allclose(x, X) and np.array_equal(x, x) and not np.allclose(x, X + 1)
