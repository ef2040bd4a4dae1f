"""The other optimizers by hand: first steps, where they go, their bookkeeping and errors."""

import math
import tracemalloc

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.optim import lr_scheduler, swa_utils
from microgradnet.tensor import Tensor

NAMES = ["Adadelta", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD", "Adafactor"]


def parameter(values, grad=None, dtype=np.float64):
    p = Tensor(np.array(values, dtype)).requires_grad_()
    if grad is not None:
        p.grad = Tensor(np.array(grad, dtype))
    return p


# --- first steps, by hand -------------------------------------------------------------------------------------------

G = np.array([2.0, -0.5])
FIRST = [
    ("Adadelta", dict(lr=0.5, rho=0.9, eps=1e-6), 0.5 * G * np.sqrt(1e-6) / np.sqrt(0.1 * G**2 + 1e-6)),
    ("Adamax", dict(lr=0.1), 0.1 * np.sign(G)),
    ("RAdam", dict(lr=0.1), 0.1 * G),  # not rectified yet: the bias-corrected mean itself
    ("Rprop", dict(lr=0.1), 0.1 * np.sign(G)),
    ("ASGD", dict(lr=0.1, lambd=0.5), 0.05 * 1.0 + 0.1 * G),
    ("Adafactor", dict(lr=0.1), 0.1 * np.sign(G)),  # rms(p) = 1, and g / √g² has a root mean square of 1
    ("NAdam", dict(lr=0.1, momentum_decay=0),  # μ = 0.45 always
     0.1 * np.sign(G) * (0.45 * 0.1 / (1 - 0.45**2) + 0.55 / 0.55)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "step"), FIRST, ids=[name for name, _, _ in FIRST])
@pytest.mark.parametrize("maximize", [False, True])
def test_the_first_step(name, options, step, maximize):
    p = parameter([1.0, 1.0], -G if maximize else G)
    getattr(optim, name)([p], maximize=maximize, **options).step()
    np.testing.assert_allclose(p.array, 1 - step, rtol=1e-6)


def test_rprop_shrinks_where_the_sign_turns():
    p = parameter([0.0, 0.0])
    optimizer = optim.Rprop([p], lr=1.0, etas=(0.5, 1.5))
    seen = []
    for g in [1.0, 1.0], [1.0, -1.0], [1.0, -1.0], [1.0, -1.0]:
        p.grad = Tensor(np.array(g))
        optimizer.step()
        seen.append(p.tolist())
    # the first keeps its sign: steps 1, 1.5, 2.25, 3.375; the second turns: nothing, then with half the step size
    assert seen == [[-1, -1], [-2.5, -1], [-4.75, -0.5], [-8.125, 0.25]]


def test_asgd_averages_after_t0():
    p = parameter([0.0])
    optimizer = optim.ASGD([p], lr=1.0, lambd=0.0, t0=2)
    values = []
    for g in -1.0, -2.0, -3.0, -4.0, -5.0:
        p.grad = Tensor(np.array([g]))
        optimizer.step()
        values.append(p.item())
    assert values == [1, 3, 6, 10, 15]
    assert optimizer.state[p]["ax"].item() == pytest.approx(np.mean(values[3:]))


def test_adafactor_keeps_a_row_and_a_column():
    p = parameter(np.ones((5, 3)), np.ones((5, 3)))
    optimizer = optim.Adafactor([p])
    optimizer.step()
    assert {k: v.shape for k, v in optimizer.state[p].items() if k != "step"} == {"row_var": (5, 1), "col_var": (1, 3)}
    np.testing.assert_allclose(p.array, 0.99)


def test_muons_step_is_near_orthogonal():
    rng = np.random.default_rng(0)
    for shape in (4, 9), (9, 4):
        p = parameter(np.zeros(shape), rng.standard_normal(shape))
        optim.Muon([p], lr=1.0, weight_decay=0.0).step()
        u, s, v = np.linalg.svd(p.grad.array, full_matrices=False)
        singular = -np.diag(u.T @ p.array @ v.T) / math.sqrt(max(1, shape[0] / shape[1]))
        assert (0.5 < singular).all() and (singular < 1.5).all()
    with pytest.raises(ValueError, match=r"holds a parameter of shape \(2,\)"):
        optim.Muon([parameter([1.0, 2.0])])


# --- where they go --------------------------------------------------------------------------------------------------


def minimize(optimizer, p, loss, steps):
    def closure():
        optimizer.zero_grad()
        value = loss(p)
        value.backward()
        return value

    for _ in range(steps):
        optimizer.step(closure)
    return loss(p).item()


def quadratic(p):
    return ((p - mg.tensor([3.0, -1.0], dtype=mg.float64)) ** 2 * mg.tensor([1.0, 10.0], dtype=mg.float64)).sum()


def rosenbrock(p):
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


@pytest.mark.parametrize(("name", "options"), [
    ("Adadelta", dict(lr=10.0)), ("Adamax", dict(lr=0.1)), ("NAdam", dict(lr=0.1)), ("RAdam", dict(lr=0.1)),
    ("Rprop", {}), ("ASGD", dict(lr=0.05, lambd=0.0)), ("Adafactor", dict(lr=0.1)),
])  # fmt: skip
def test_a_quadratic(name, options):
    p = parameter([0.0, 0.0])
    assert minimize(getattr(optim, name)([p], **options), p, quadratic, 300) < 0.01


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lbfgs_descends_into_rosenbrocks_valley(dtype):
    p = parameter([-1.2, 1.0], dtype=dtype)
    optimizer = optim.LBFGS([p], line_search_fn="strong_wolfe", max_iter=100)
    assert minimize(optimizer, p, rosenbrock, 2) < (1e-8 if dtype is np.float64 else 1e-5)
    assert p.dtype == dtype and optimizer.state[p]["d"].dtype == dtype


def test_lbfgs_solves_a_quadratic_in_a_few_iterations():
    p = parameter([0.0, 0.0])
    assert minimize(optim.LBFGS([p], line_search_fn="strong_wolfe", max_iter=8), p, quadratic, 1) < 1e-12


def test_lbfgs_counts_parameters_without_gradient_as_flat():
    p, q = parameter([2.0]), parameter([5.0])
    optimizer = optim.LBFGS([p, q])

    def closure():
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        return loss

    with mg.no_grad():
        assert optimizer.step(closure).item() == 4
    assert abs(p.item()) < 1e-6 and q.item() == 5


def test_what_lbfgs_cannot_do():
    p, q = parameter([2.0]), parameter([5.0])
    with pytest.raises(ValueError, match="one parameter group"):
        optim.LBFGS([{"params": [p]}, {"params": [q]}])
    with pytest.raises(TypeError):
        optim.LBFGS([p]).step()
    with pytest.raises(TypeError, match="needs a closure"):
        optim.LBFGS([p]).step(None)
    with pytest.raises(RuntimeError, match="line_search_fn must be None or 'strong_wolfe', got 'armijo'"):
        optim.LBFGS([p], line_search_fn="armijo").step(lambda: (p**2).sum())


# --- bookkeeping ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_p37_the_dtype_stays(name, dtype):
    p = parameter(np.ones((2, 3)), np.ones((2, 3)), dtype)
    array = p.array
    optimizer = getattr(optim, name)([p], lr=np.float64(0.1))
    for _ in range(8):
        optimizer.step()
    assert p.array is array and array.dtype == dtype and np.isfinite(array).all()
    assert all(v.dtype == dtype for v in optimizer.state[p].values() if isinstance(v, Tensor))


@pytest.mark.parametrize("name", NAMES)
def test_p08_a_step_leaves_gradients_alone(name):
    p = parameter(np.ones((2, 3)), np.ones((2, 3)))
    q, e = parameter(np.zeros((2, 3))), parameter(np.zeros((0, 3)), np.zeros((0, 3)))
    q.grad = p.grad
    optimizer = getattr(optim, name)([p, q, e, parameter(1.0)])
    optimizer.step()
    assert (p.grad.array == 1).all() and len(optimizer.state) == 3


@pytest.mark.parametrize("name", NAMES)
def test_memory_of_a_step(name):
    p = parameter(np.ones((200, 200)), np.ones((200, 200)))
    optimizer = getattr(optim, name)([p])
    optimizer.step()
    tracemalloc.start()
    try:
        optimizer.step()
        assert tracemalloc.get_traced_memory()[1] < p.array.nbytes / 2  # no array, but for Rprop's mask
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", NAMES)
def test_options_for_other_hardware_and_out_of_range(name):
    optimizer, p = getattr(optim, name), parameter([1.0])
    optimizer([p], foreach=True)
    with pytest.raises(ValueError, match=rf"{name}\(\): lr must be at least 0, got -1.0"):
        optimizer([p], lr=-1.0)
    if name != "Adafactor":
        with pytest.raises(NotImplementedError, match="differentiable=True"):
            optimizer([p], differentiable=True)


def test_sparse_gradients_are_out_of_scope():
    with pytest.raises(NotImplementedError, match="all gradients here are dense; use Adam"):
        optim.SparseAdam([parameter([1.0])])


# --- schedules ------------------------------------------------------------------------------------------------------


def test_a_cycle():
    optimizer = optim.SGD([parameter([1.0])], lr=9.0, momentum=0.5)
    scheduler = lr_scheduler.CyclicLR(optimizer, 1.0, 5.0, step_size_up=4, step_size_down=2, mode="triangular2")
    seen = []
    for _ in range(10):
        seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        optimizer.zero_grad()
        optimizer._stepped = True
        scheduler.step()
    np.testing.assert_allclose([lr for lr, _ in seen], [1, 2, 3, 4, 5, 3, 1, 1.5, 2, 2.5])
    np.testing.assert_allclose([m for _, m in seen[:6]], [0.9, 0.875, 0.85, 0.825, 0.8, 0.85])


def test_swalr_goes_there_and_stays():
    optimizer = optim.SGD([parameter([1.0])], lr=1.0)
    optimizer._stepped = True
    scheduler = swa_utils.SWALR(optimizer, 0.2, anneal_epochs=4, anneal_strategy="linear")
    seen = []
    for _ in range(6):
        seen.append(scheduler.get_last_lr()[0])
        scheduler.step()
    np.testing.assert_allclose(seen, [1, 0.8, 0.6, 0.4, 0.2, 0.2])


def test_averaged_model():
    model = nn.Linear(1, 1, bias=False)
    average, ema = swa_utils.AveragedModel(model), swa_utils.AveragedModel(
        model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.5))  # fmt: skip
    for value in 1.0, 2.0, 6.0:
        model.load_state_dict({"weight": mg.full((1, 1), value)})
        average.update_parameters(model)
        ema.update_parameters(model)
    assert average.module.weight.item() == 3 and ema.module.weight.item() == 3.75
    assert average.n_averaged.item() == 3 and average(mg.ones(1)).item() == 3
    assert model.weight.item() == 6
    with pytest.raises(AssertionError, match="not both"):
        swa_utils.AveragedModel(model, avg_fn=swa_utils.get_swa_avg_fn(), multi_avg_fn=swa_utils.get_swa_multi_avg_fn())


def test_the_statistics_of_batch_norm_are_computed_anew():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()).eval()
    batches = [mg.tensor([[0.0, 1.0], [2.0, 5.0]]), mg.tensor([[4.0, 1.0], [6.0, 1.0]])]
    swa_utils.update_bn([(batch, 0) for batch in batches], model)
    assert model[0].running_mean.tolist() == [3, 2] and model[0].running_var.tolist() == [2, 4]
    assert model[0].momentum == 0.1 and not model.training
