"""Normalisation: what it leaves unchanged, running statistics, errors; and PyTorch as the judge."""

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn
from microgradnet.autograd import gradcheck, gradgradcheck


def normal(*shape, seed=0, **kwargs):
    return mg.tensor(np.random.default_rng(seed).standard_normal(shape), **kwargs)


def close(actual, expected, tolerance=1e-12):
    __tracebackhide__ = True
    np.testing.assert_allclose(actual.detach().numpy(), getattr(expected, "array", expected), tolerance, tolerance)


def plainly(x, dims, weight=1.0, bias=0.0, eps=1e-5):
    """The definition, unfused."""
    mean = x.mean(dims, keepdim=True)
    variance = ((x - mean) ** 2).mean(dims, keepdim=True)
    return (x - mean) / (variance + eps).sqrt() * weight + bias


def test_the_fused_operation_is_its_definition():
    x, w, b = (normal(*shape, seed=k, requires_grad=True) for k, shape in enumerate([(4, 3, 5), (3, 5), (3, 5)]))
    weights = normal(4, 3, 5, seed=9)
    results = []
    for y in (F.layer_norm(x, (3, 5), w, b), plainly(x, (1, 2), w, b)):
        first = mg.autograd.grad((y * weights).sum(), [x, w, b], create_graph=True)
        second = mg.autograd.grad(sum((g**3).sum() for g in first), [x, w])
        results.append([y, *first, *second])
    for a, b in zip(*results):
        close(a, b.detach(), 1e-10)


def test_known_values():
    x = mg.tensor([[1.0, 3.0], [-2.0, 4.0]])
    close(F.layer_norm(x, (2,), eps=0), [[-1, 1], [-1, 1]], 1e-6)
    close(F.layer_norm(x, (2,), mg.tensor([2.0, 3.0]), mg.tensor([1.0, 0.0]), eps=0), [[-1, 3], [-1, 3]], 1e-6)
    close(F.batch_norm(x, None, None, training=True, eps=0), [[1, -1], [-1, 1]], 1e-6)
    close(F.rms_norm(mg.tensor([[3.0, 4.0]]), (2,), eps=0), np.array([[3, 4]]) / np.sqrt(12.5), 1e-6)
    close(F.local_response_norm(mg.tensor([[[1.0], [2.0], [3.0]]]), 2, alpha=2, beta=1, k=0),
          [[[1], [2 / 5], [3 / 13]]], 1e-6)


@pytest.mark.parametrize("scale, shift", [(3.0, 0.0), (1.0, -20.0), (0.5, 7.0)])
def test_scale_and_shift_of_the_input_do_not_matter(scale, shift):
    x = normal(6, 4, 5)
    close(F.layer_norm(scale * x + shift, (4, 5), eps=0), F.layer_norm(x, (4, 5), eps=0), 1e-9)
    close(F.group_norm(scale * x + shift, 2, eps=0), F.group_norm(x, 2, eps=0), 1e-9)
    per_channel = mg.tensor([1.0, 2.0, 3.0, 4.0], dtype=mg.float64).reshape(4, 1)
    close(F.batch_norm(x * per_channel + shift, None, None, training=True, eps=0),
          F.batch_norm(x, None, None, training=True, eps=0), 1e-9)
    close(F.instance_norm(x * per_channel + shift, eps=0), F.instance_norm(x, eps=0), 1e-9)
    close(F.rms_norm(scale * x, (5,), eps=0), F.rms_norm(x, (5,), eps=0), 1e-9)


def test_gradients_of_what_is_invariant_are_orthogonal_to_the_invariance():
    x = normal(6, 5, requires_grad=True)
    (F.layer_norm(x, (5,), eps=0) * normal(6, 5, seed=1)).sum().backward()
    close(x.grad.sum(1), np.zeros(6), 1e-10)  # by shifts
    close((x.grad * x.detach()).sum(1), np.zeros(6), 1e-10)  # by scale


def test_p67_normalisation_divides_by_the_biased_variance():
    x = normal(5, 3)
    for y in (F.layer_norm(x.T.clone(), (5,), eps=0).T, F.batch_norm(x, None, None, training=True, eps=0)):
        close(y.mean(0), np.zeros(3))
        close(y.var(0, correction=0), np.ones(3))


def test_what_is_kept_for_the_gradient_is_not_the_result():
    x = normal(4, 3, requires_grad=True)
    y = F.layer_norm(x, (3,))
    F.relu_(y).sum().backward()
    other = x.detach().requires_grad_()
    F.layer_norm(other, (3,)).relu().sum().backward()
    close(x.grad, other.grad)


def test_running_statistics_follow_the_batches():
    bn = nn.BatchNorm1d(3, momentum=0.25).double()
    a, b = normal(5, 3), normal(4, 3, 2, seed=1)
    bn(a)
    close(bn.running_mean, 0.25 * a.mean(0))
    close(bn.running_var, 0.75 + 0.25 * a.var(0))  # unbiased
    before = bn.running_mean.clone()
    bn(b)
    close(bn.running_mean, 0.75 * before + 0.25 * b.mean((0, 2)))
    assert bn.num_batches_tracked.item() == 2 and bn.num_batches_tracked.dtype == mg.int64
    bn.eval()
    state = {name: t.clone() for name, t in bn.state_dict().items()}
    close(bn(a), (a - bn.running_mean) / (bn.running_var + 1e-5).sqrt())
    assert all(bool((bn.state_dict()[name] == t).all()) for name, t in state.items())


def test_running_statistics_are_written_in_place_and_outside_the_graph():
    bn = nn.BatchNorm2d(2)
    mean, var = bn.running_mean, bn.running_var
    x = normal(3, 2, 2, 2).float().requires_grad_()
    y = bn(x)
    assert bn.running_mean is mean and bn.running_var is var and not mean.requires_grad
    assert mean.abs().sum() > 0
    y.sum().backward()
    assert list(dict(bn.named_parameters())) == ["weight", "bias"]
    bn.reset_running_stats()
    assert mean.abs().sum() == 0 and (var == 1).all() and bn.num_batches_tracked == 0


def test_without_momentum_the_statistics_are_those_of_all_batches():
    bn = nn.BatchNorm1d(2, momentum=None).double()
    batches = [normal(4, 2, seed=k) for k in range(3)]
    for batch in batches:
        bn(batch)
    close(bn.running_mean, sum(b.mean(0) for b in batches) / 3)
    close(bn.running_var, sum(b.var(0) for b in batches) / 3)


@pytest.mark.parametrize("dtype", [mg.float16, mg.float64])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_may_have_another_dtype_than_the_input(momentum, dtype):
    bn = nn.BatchNorm1d(3, momentum=momentum, affine=False)
    x = normal(5, 3).to(dtype)
    assert bn(x).dtype == dtype and bn.running_mean.dtype == bn.running_var.dtype == mg.float32
    close(bn.running_mean, (momentum or 1.0) * x.double().mean(0), 1e-3)


def test_batch_normalised_networks_learn_and_are_saved(tmp_path):
    mg.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    x = normal(32, 2, seed=3).float()
    target = (x[:, :1] * x[:, 1:]).sign()
    optimizer = mg.optim.SGD(net.parameters(), 0.1)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    mg.save(net.state_dict(), tmp_path / "net")
    other = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    other.load_state_dict(mg.load(tmp_path / "net"))
    close(other.eval()(x), net.eval()(x).detach(), 0)


GRADIENTS = {
    "layer_norm": lambda x, w, b: F.layer_norm(x, (4, 3), w.unsqueeze(1).expand(4, 3), b.unsqueeze(1).expand(4, 3)),
    "rms_norm": lambda x, w, b: F.rms_norm(x.mT, (4,), w, 1e-3),
    "batch_norm": lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
    "batch_norm eval": lambda x, w, b: F.batch_norm(x, mg.zeros(4, dtype=x.dtype), mg.ones(4, dtype=x.dtype), w, b),
    "instance_norm": lambda x, w, b: F.instance_norm(x, weight=w, bias=b, eps=1e-2),
    "group_norm": lambda x, w, b: F.group_norm(x, 2, w, b),
    "local_response_norm": lambda x, w, b: F.local_response_norm(x, 3, 0.5),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name):
    inputs = [normal(2, 4, 3, requires_grad=True), normal(4, seed=1, requires_grad=True),
              normal(4, seed=2, requires_grad=True)]
    assert gradcheck(GRADIENTS[name], inputs)
    assert gradgradcheck(GRADIENTS[name], inputs)


def test_p37_normalisation_keeps_float32():
    x = normal(4, 6, 5).float()
    for module in (nn.LayerNorm((6, 5)), nn.RMSNorm(5), nn.BatchNorm1d(6), nn.GroupNorm(3, 6), nn.LocalResponseNorm(2),
                   nn.InstanceNorm1d(6, affine=True, track_running_stats=True)):
        leaf = x.clone().requires_grad_()
        y = module(leaf)
        y.sum().backward()
        assert y.dtype == mg.float32 and leaf.grad.dtype == mg.float32
        assert all(b.dtype in (mg.float32, mg.int64) for b in module.buffers())
        assert module.eval()(x).dtype == mg.float32


ERRORS = [
    (lambda x: F.layer_norm(x, (4,)), RuntimeError, r"layer_norm\(\): input .*\(…, 4\)"),
    (lambda x: F.layer_norm(x, (3,), mg.ones(2)), RuntimeError, "weight"),
    (lambda x: F.layer_norm(x, ()), RuntimeError, "at least one dimension"),
    (lambda x: F.layer_norm(x.double(), (3,), mg.ones(3)), RuntimeError, "float64 and float32"),
    (lambda x: F.rms_norm(x, (4,)), RuntimeError, "rms_norm"),
    (lambda x: F.batch_norm(x, None, None), RuntimeError, "evaluation mode"),
    (lambda x: F.batch_norm(x, mg.zeros(2), mg.ones(2)), RuntimeError, "running_mean should contain 3"),
    (lambda x: F.batch_norm(x[:1], None, None, training=True), ValueError, "more than 1 value per channel"),
    (lambda x: F.batch_norm(x[0], None, None, training=True), IndexError, r"\(N, C, …\)"),
    (lambda x: nn.BatchNorm1d(3)(x.reshape(2, 2, 3, 1)), ValueError, "2D or 3D"),
    (lambda x: nn.BatchNorm2d(3)(x), ValueError, "4D"),
    (lambda x: F.group_norm(x, 2), RuntimeError, "num_groups=2"),
    (lambda x: F.group_norm(x[0], 1), RuntimeError, "group_norm"),
    (lambda x: F.group_norm(x, 3, mg.ones(2)), RuntimeError, "weight"),
    (lambda x: F.group_norm(x[:1], 3), ValueError, "more than 1"),
    (lambda x: nn.GroupNorm(2, 3), ValueError, "divisible"),
    (lambda x: F.instance_norm(x), ValueError, "spatial"),
    (lambda x: nn.InstanceNorm1d(3, affine=True)(x.reshape(1, 4, 3)), ValueError, "num_features"),
    (lambda x: F.local_response_norm(x, 2), ValueError, "3 or more"),
    (lambda x: nn.LayerNorm(3, device="cuda"), RuntimeError, "cuda"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors(case):
    function, kind, message = ERRORS[case]
    with pytest.raises(kind, match=message):
        function(normal(4, 3).float())


def test_another_number_of_channels_is_told_where_it_does_not_matter():
    with pytest.warns(UserWarning, match="num_features"):
        nn.InstanceNorm1d(3)(normal(2, 4, 5))


# --- PyTorch ----------------------------------------------------------------------------------------------------------

MODULES = {
    "layer": (lambda nn: nn.LayerNorm(5), (4, 3, 5)),
    "layer of two dimensions": (lambda nn: nn.LayerNorm((3, 5), eps=0.1), (4, 3, 5)),
    "layer without bias": (lambda nn: nn.LayerNorm(5, bias=False), (4, 5)),
    "layer, plain": (lambda nn: nn.LayerNorm(5, elementwise_affine=False), (4, 5)),
    "rms": (lambda nn: nn.RMSNorm(5), (4, 3, 5)),
    "rms of two dimensions": (lambda nn: nn.RMSNorm([3, 5], eps=1e-3), (4, 3, 5)),
    "rms, plain": (lambda nn: nn.RMSNorm(5, elementwise_affine=False), (4, 5)),
    "batch 1d": (lambda nn: nn.BatchNorm1d(3), (5, 3)),
    "batch 1d of sequences": (lambda nn: nn.BatchNorm1d(3, eps=0.1, momentum=0.4), (5, 3, 4)),
    "batch 1d, no momentum": (lambda nn: nn.BatchNorm1d(3, momentum=None), (5, 3)),
    "batch 1d, plain": (lambda nn: nn.BatchNorm1d(3, affine=False), (5, 3)),
    "batch 1d, untracked": (lambda nn: nn.BatchNorm1d(3, track_running_stats=False), (5, 3)),
    "batch 1d without bias": (lambda nn: nn.BatchNorm1d(3, bias=False), (5, 3)),
    "batch 2d": (lambda nn: nn.BatchNorm2d(3), (2, 3, 4, 2)),
    "batch 3d": (lambda nn: nn.BatchNorm3d(2), (2, 2, 3, 4, 2)),
    "group": (lambda nn: nn.GroupNorm(2, 6), (2, 6, 3)),
    "group of vectors": (lambda nn: nn.GroupNorm(2, 6, eps=0.1), (3, 6)),
    "group, plain": (lambda nn: nn.GroupNorm(3, 6, affine=False), (2, 6, 2, 2)),
    "instance 1d": (lambda nn: nn.InstanceNorm1d(3), (2, 3, 4)),
    "instance 1d of one example": (lambda nn: nn.InstanceNorm1d(3), (3, 4)),
    "instance 2d": (lambda nn: nn.InstanceNorm2d(3, affine=True), (2, 3, 4, 2)),
    "instance 2d, tracked": (lambda nn: nn.InstanceNorm2d(3, affine=True, track_running_stats=True), (2, 3, 4, 2)),
    "instance 3d": (lambda nn: nn.InstanceNorm3d(2, momentum=0.3, track_running_stats=True), (2, 2, 3, 4, 2)),
    "local response": (lambda nn: nn.LocalResponseNorm(3, alpha=0.5), (2, 5, 3)),
    "local response of two": (lambda nn: nn.LocalResponseNorm(2, 0.3, 0.5, 2), (2, 5, 3, 2)),
}


@pytest.mark.torch
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", MODULES)
def test_modules_are_those_of_torch(name, train):
    twins = pytest.importorskip("twins")
    build, shape = MODULES[name]
    twins.check_module(build, twins.normal(*shape), train=train)


@pytest.mark.torch
def test_functions_are_those_of_torch():
    twins = pytest.importorskip("twins")
    x, w, b = twins.normal(3, 4, 5), twins.normal(4), twins.normal(4, seed=1)

    def statistics(lib, x, w, b):
        mean, var = lib.zeros(4, dtype=lib.float64), lib.ones(4, dtype=lib.float64)
        y = lib.nn.functional.batch_norm(x, mean, var, w, b, True, 0.3, 0.01)
        z = lib.nn.functional.instance_norm(x, mean.clone(), var.clone(), w, b, True, 0.3)
        return y, z, mean, var, lib.nn.functional.instance_norm(x, mean + 1, var + 1, w, b, False)

    twins.check_function(statistics, x, w, b)
    twins.check_function(lambda lib, x, w: lib.nn.functional.layer_norm(x, [4, 5], None), x, w)
    twins.check_function(lambda lib, x: lib.nn.functional.layer_norm(x, (5,)), np.zeros((0, 5)))
    twins.check_function(lambda lib, x: lib.nn.functional.batch_norm(x, None, None, training=True), np.zeros((0, 5)))


@pytest.mark.torch
def test_the_comparison_with_torch_catches_another_variance(monkeypatch):
    twins = pytest.importorskip("twins")
    monkeypatch.setattr(nn.normalization, "_standardize",
                        lambda x, w, b, dims, eps: (x - x.mean(dims, keepdim=True)) / x.std(dims, keepdim=True))
    with pytest.raises(AssertionError, match="value or derivative 0"):
        twins.check_module(lambda nn: nn.LayerNorm(5), twins.normal(4, 5))
