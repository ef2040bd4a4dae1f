"""compile(backend="numba"): trainings as in eager mode, to the tolerance that native code keeps."""

import functools
import types

import numpy as np
import pytest
from test_compile import NETWORKS, OPTIMIZERS, Twins, data, mlp
from test_compile_numbers import READ, same, with_gradient

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn, optim

pytest.importorskip("numba")
pytest.importorskip("scipy")
pytestmark = pytest.mark.slow  # where nothing is compiled yet


class Alike(Twins):
    """Twins of which the compiled one need not have the very same bits."""

    def __init__(self, *args, **options):
        super().__init__(*args, backend="numba", **options)

    def step(self, *args):
        state, losses = mg.get_rng_state(), []
        for step in self.steps:
            mg.set_rng_state(state)
            losses.append(step(*args))
        np.testing.assert_allclose(losses[1].item(), losses[0].item(), rtol=1e-5, atol=1e-6)
        ours, others = (m.state_dict() for m in self.models)
        for name in ours:
            np.testing.assert_allclose(others[name].numpy(), ours[name].numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name):
    make, loss = NETWORKS[name]
    twins = Alike(make, lambda p: optim.SGD(p, lr=0.1, momentum=0.9), loss)
    for _ in range(4):
        twins.step(*data())
    assert len(twins.compiled.programs) == 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    twins = Alike(mlp(), OPTIMIZERS[name])
    for i in range(6):
        for optimizer in twins.optimizers:
            optimizer.param_groups[0]["lr"] *= 0.9
        twins.step(*data())
    assert len(twins.compiled.programs) == 1


def test_what_an_operation_refuses_is_done_by_the_function_itself():
    network = lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3))  # noqa: E731
    twins = Alike(network, lambda p: optim.SGD(p, lr=0.1), F.cross_entropy)
    x, y = mg.randn(4, 6), mg.tensor([0, 1, 2, 0])
    for labels in (y, y, mg.tensor([0, -100, 2, -100]), y):
        twins.step(x, labels)
    before = [p.tolist() for p in twins.models[1].state_dict().values()]
    with pytest.raises(IndexError, match="label 3 at target"):
        twins.compiled(x, mg.tensor([0, 3, 2, 1]))
    after = [p.tolist() for p in twins.models[1].parameters()]
    assert all(p in before for p in after)


def test_the_program_is_shown_as_numpy():
    twins = Alike(mlp(), lambda p: optim.SGD(p, lr=0.1))
    twins.step(*data())
    assert "def step(x, y, w1, b1, w2, b2, lr):" in twins.compiled.program()


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_state_that_lies_otherwise_in_memory_is_read_and_written_in_every_call(backend):
    array = np.zeros(49, np.uint8)[1:].view(np.float32).reshape(3, 4)  # not where processors like numbers to be
    view = mg.from_numpy(array[:, ::2])

    @functools.partial(mg.compile, backend=backend)
    def step(x):
        view.mul_(2)
        return (view * x).sum()

    for k in range(1, 5):
        view.fill_(k)
        assert step(mg.ones(3, 2)).item() == 12 * k and array.tolist() == [[2 * k, 0, 2 * k, 0]] * 3


@pytest.mark.parametrize("name", ["n·n", "elu", "clamp", "max", "x**n", "mask", "x@x·n"])
def test_python_numbers_that_change_are_read_at_each_call(name):
    same(with_gradient(READ[name]), 0.3, 0.7, 1.5, 0.5, backend="numba", grad=True)


def test_and_so_are_those_in_variables():
    holder = types.SimpleNamespace(n=0.0)

    def step(x):
        loss = ((x * holder.n).tanh() ** 2 + holder.n).sum()
        loss.backward()
        return loss.detach()

    compiled = mg.compile(step, backend="numba")
    for holder.n in 0.3, 0.7, 1.5, 0.5:
        x, y = (mg.arange(3.0).requires_grad_() for _ in range(2))
        np.testing.assert_allclose(compiled(x).item(), step(y).item(), 1e-6)
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), 1e-5, 1e-6)
    assert len(compiled.programs) == 1


def test_results_that_are_kept_stay_as_they_are():
    double = mg.compile(lambda x: (x * 2, x.sum()), backend="numba")
    kept = [double(mg.full((3,), float(k))) for k in range(6)]
    assert [[y.tolist(), total.item()] for y, total in kept] == [[[2.0 * k] * 3, 3.0 * k] for k in range(6)]
    for k in range(6):  # one at a time
        result = double(mg.full((3,), float(k)))
        assert result[0].tolist() == [2.0 * k] * 3


def test_tanh_of_float32_is_near_the_true_one():
    x = np.concatenate([np.linspace(-12, 12, 100_001), np.geomspace(1e-38, 1e-3, 1000)]).astype(np.float32)
    x = np.append(x[x != 0], [np.inf, -np.inf]).astype(np.float32)
    y = mg.compile(mg.tanh, backend="numba")
    y(mg.from_numpy(x))
    found, true = y(mg.from_numpy(x)).numpy().astype(float), np.tanh(x.astype(float))
    assert np.max(np.abs(found - true) / np.abs(true)) < 4e-7 and np.abs(found).max() == 1
    special = y(mg.tensor([np.nan, -0.0, 0.0])).numpy()
    assert np.isnan(special[0]) and np.signbit(special[1:]).tolist() == [True, False]
