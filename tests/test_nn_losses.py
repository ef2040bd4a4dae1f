"""Losses: golden values, gradients, shapes and dtypes that do not fit, and PyTorch as the judge."""

import copy
import itertools
import math
import warnings

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn
from microgradnet.autograd import gradcheck, gradgradcheck

LN2 = math.log(2)
LOGITS = [[2.0, 1.0, 0.1], [0.5, 2.5, -1.0]]
LOG_P = [[-0.4170300163, -1.4170300163, -2.3170300163], [-2.1531782071, -0.1531782071, -3.6531782071]]


def t(data, dtype=np.float64, **kwargs):
    return mg.tensor(np.array(data, dtype), **kwargs)


def normal(*shape, seed=0, **kwargs):
    return t(np.random.default_rng(seed).normal(size=shape), **kwargs)


def probabilities(*shape, seed=0, **kwargs):
    return t(np.random.default_rng(seed).uniform(0.05, 0.95, size=shape), **kwargs)


def labels(*shape, classes, seed=0):
    return mg.tensor(np.random.default_rng(seed).integers(0, classes, shape))


# --- golden values --------------------------------------------------------------------------------------------------

X, Y = [[1.0, 2.0], [3.0, -4.0]], [[1.5, 2.0], [0.0, -4.25]]
BITS, P = [1.0, 0.0, 0.3], [0.8, 0.4, 0.5]

GOLDEN = {
    "mse": (nn.MSELoss(), X, Y, (0.25 + 9 + 0.0625) / 4),
    "mse sum": (nn.MSELoss(reduction="sum"), X, Y, 9.3125),
    "mse none": (nn.MSELoss(reduction="none"), X, Y, [[0.25, 0], [9, 0.0625]]),
    "quadratic": (nn.QuadraticLoss(), X, Y, 9.3125 / 4),
    "quadratic none": (nn.QuadraticLoss("none"), X, Y, [0.125, 4.53125]),
    "quadratic of one example": (nn.QuadraticLoss(), X[0], Y[0], 0.125),
    "l1": (nn.L1Loss(), X, Y, 3.75 / 4),
    "smooth l1": (nn.SmoothL1Loss(), X, Y, (0.125 + 2.5 + 0.03125) / 4),
    "smooth l1, beta 0.5": (nn.SmoothL1Loss(beta=0.5), X, Y, (0.25 + 2.75 + 0.0625) / 4),
    "smooth l1, beta 0": (nn.SmoothL1Loss(beta=0), X, Y, 3.75 / 4),
    "huber, delta 2": (nn.HuberLoss(delta=2), X, Y, (0.125 + 4 + 0.03125) / 4),
    "cross-entropy": (nn.CrossEntropyLoss(), LOGITS, np.array([0, 2]), (0.4170300163 + 3.6531782071) / 2),
    "cross-entropy none": (nn.CrossEntropyLoss(reduction="none"), LOGITS, np.array([0, 2]),
                           [0.4170300163, 3.6531782071]),
    "cross-entropy of one example": (nn.CrossEntropyLoss(), LOGITS[0], np.array(1), 1.4170300163),
    "cross-entropy, one ignored": (nn.CrossEntropyLoss(ignore_index=2), LOGITS, np.array([0, 2]), 0.4170300163),
    "cross-entropy, weights": (nn.CrossEntropyLoss(t([1, 1, 3])), LOGITS, np.array([0, 2]),
                               (0.4170300163 + 3 * 3.6531782071) / 4),
    "cross-entropy, probabilities": (nn.CrossEntropyLoss(), LOGITS, [[0.5, 0.5, 0], [0, 1, 0]],
                                     (0.9170300163 + 0.1531782071) / 2),
    "cross-entropy, smoothed": (nn.CrossEntropyLoss(label_smoothing=0.3), LOGITS, np.array([0, 2]),
                                0.7 * (0.4170300163 + 3.6531782071) / 2 - 0.1 * np.sum(LOG_P) / 2),
    "nll": (nn.NLLLoss(), LOG_P, np.array([0, 2]), (0.4170300163 + 3.6531782071) / 2),
    "bce": (nn.BCELoss(), P, BITS, (-math.log(0.8) - math.log(0.6) + LN2) / 3),
    "bce, weights": (nn.BCELoss(t([1, 2, 0])), P, BITS, (-math.log(0.8) - 2 * math.log(0.6)) / 3),
    "bce with logits": (nn.BCEWithLogitsLoss(reduction="sum"), [0.0, 0.0, math.log(3)], [1.0, 0.5, 1.0],
                        2 * LN2 + math.log(4 / 3)),
    "bce with logits, weights": (nn.BCEWithLogitsLoss(t([1, 3]), pos_weight=t(2), reduction="none"), [0.0, 0.0],
                                 [1.0, 0.0], [2 * LN2, 3 * LN2]),
    "kl": (nn.KLDivLoss(reduction="batchmean"), [[-LN2, -LN2]] * 2, [[1.0, 0.0], [0.5, 0.5]], LN2 / 2),
    "kl, log target": (nn.KLDivLoss(reduction="sum", log_target=True), [[-LN2, -LN2]],
                       [[math.log(0.25), math.log(0.75)]], 0.25 * math.log(0.5) + 0.75 * math.log(1.5)),
}


def as_target(target):
    return mg.tensor(target) if isinstance(target, np.ndarray) else t(target)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_values(name):
    loss, x, y, value = GOLDEN[name]
    result = loss(t(x), as_target(y))
    assert result.shape == np.shape(value) and np.allclose(result.array, value, rtol=1e-9)


@pytest.mark.parametrize("name", GOLDEN)
def test_p37_p38_float32_stays_float32(name):
    loss, x, y, value = GOLDEN[name]
    loss = copy.deepcopy(loss).float()  # its class weights too
    x = t(x, np.float32, requires_grad=True)
    y = mg.tensor(y) if isinstance(y, np.ndarray) else t(y, np.float32)
    result = loss(x, y)
    result.sum().backward()
    assert result.dtype == x.grad.dtype == mg.float32 and x.grad.shape == x.shape
    assert np.allclose(result.detach().array, value, rtol=1e-5)


@pytest.mark.parametrize("name", GOLDEN)
def test_first_and_second_order(name):
    loss, x, y, _ = GOLDEN[name]
    x = t(x) + 0.003 * normal(*np.shape(x), seed=9)  # off the kinks
    if name == "l1" or "beta 0" in name:
        x = x + 0.1
    x = x.detach().requires_grad_()
    y = as_target(y)
    assert gradcheck(lambda x: loss(x, y), (x,)) and gradgradcheck(lambda x: loss(x, y), (x,))


@pytest.mark.parametrize("loss", [
    F.mse_loss, F.quadratic_loss, F.smooth_l1_loss, F.huber_loss, F.cross_entropy, F.binary_cross_entropy,
    F.binary_cross_entropy_with_logits,
])
def test_gradients_reach_the_target_too(loss):
    x, y = probabilities(3, 4, requires_grad=True), probabilities(3, 4, seed=1, requires_grad=True)
    assert gradcheck(loss, (x, y)) and gradgradcheck(loss, (x, y))


def test_p69_the_scales_of_the_quadratic_losses():
    x, y = normal(5, 4), normal(5, 4, seed=1)
    mse, book = F.mse_loss(x, y).item(), F.quadratic_loss(x, y).item()
    assert np.isclose(book, np.mean([0.5 * np.sum((a - b) ** 2) for a, b in zip(x.array, y.array, strict=True)]))
    assert np.isclose(book, mse * 4 / 2)
    assert np.isclose(nn.QuadraticLoss("sum")(x, y).item(), 5 * book)


def test_weights_of_elements():
    x, y, w = normal(3, 2), normal(3, 2, seed=1), probabilities(3, 2, seed=2)
    for loss, each in [(F.mse_loss, (x - y) ** 2), (F.l1_loss, abs(x - y)),
                       (F.huber_loss, F.huber_loss(x, y, reduction="none"))]:
        assert np.isclose(loss(x, y, weight=w).item(), ((each * w).sum() / w.sum()).item())
        assert np.isclose(loss(x, y, reduction="sum", weight=w).item(), (each * w).sum().item())
        with pytest.raises(RuntimeError, match="weight"):
            loss(x, y, weight=mg.ones(2))


# --- fused operations against their readable twins ------------------------------------------------------------------


def value_and_gradients(f, *tensors):
    tensors = [x.detach().requires_grad_() if x.is_floating_point() else x for x in tensors]
    y = f(*tensors)
    y.backward()
    return [y.item(), *(x.grad.array for x in tensors if x.requires_grad)]


TWINS = {
    "mse": (F.mse_loss, lambda x, y: (x - y).square().mean(), (normal(4, 3), normal(4, 3, seed=1))),
    "mse sum": (lambda x, y: F.mse_loss(x, y, reduction="sum"), lambda x, y: (x - y).square().sum(),
                (normal(2, 2, 2), normal(2, 2, 2, seed=1))),
    "mse of numbers": (F.mse_loss, lambda x, y: (x - y).square(), (normal(), normal(seed=1))),
    "quadratic": (F.quadratic_loss, lambda x, y: (0.5 * (x - y).square().sum(-1)).mean(),
                  (normal(4, 3), normal(4, 3, seed=1))),
    "quadratic 3-d": (F.quadratic_loss, lambda x, y: (0.5 * (x - y).square().sum(-1)).mean(),
                      (normal(2, 4, 3), normal(2, 4, 3, seed=1))),
    "cross-entropy": (F.cross_entropy, lambda x, y: -(F.log_softmax(x, 1) * F.one_hot(y, 5)).sum(1).mean(),
                      (normal(6, 5), labels(6, classes=5))),
    "cross-entropy sum": (lambda x, y: F.cross_entropy(x, y, reduction="sum"),
                          lambda x, y: -(F.log_softmax(x, 1) * F.one_hot(y, 5)).sum(),
                          (normal(6, 5), labels(6, classes=5))),
    "nll": (F.nll_loss, lambda x, y: -(x * F.one_hot(y, 5)).sum(1).mean(), (normal(6, 5), labels(6, classes=5))),
    "bce with logits": (F.binary_cross_entropy_with_logits,
                        lambda x, y: -(y * F.sigmoid(x).log() + (1 - y) * (1 - F.sigmoid(x)).log()).mean(),
                        (normal(6, 5), probabilities(6, 5))),
    "bce": (F.binary_cross_entropy, lambda x, y: -(y * x.log() + (1 - y) * (1 - x).log()).mean(),
            (probabilities(6, 5), probabilities(6, 5, seed=1))),
}


@pytest.mark.parametrize("name", TWINS)
def test_a_loss_is_its_definition(name):
    loss, twin, tensors = TWINS[name]
    for a, b in zip(value_and_gradients(loss, *tensors), value_and_gradients(twin, *tensors), strict=True):
        assert np.allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_everyday_labels_and_the_general_path_agree(reduction, dtype):
    x, y = normal(6, 5), labels(6, classes=5)
    y = mg.tensor(y.array.astype(dtype))
    plain = value_and_gradients(lambda x: F.cross_entropy(x, y, reduction=reduction), x)
    general = value_and_gradients(lambda x: F.cross_entropy(x, y, mg.ones(5).double(), reduction=reduction), x)
    for a, b in zip(plain, general, strict=True):
        assert np.allclose(a, b, rtol=1e-12)


# --- far out --------------------------------------------------------------------------------------------------------


def test_p59_bce_of_saturated_outputs_is_finite():
    x = t([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    loss = F.binary_cross_entropy(x, t([1.0, 0.0, 0.0, 1.0]), reduction="none")
    assert loss.tolist() == [100, 100, 0, 0]
    loss.sum().backward()
    assert x.grad.tolist() == [-1e12, 1e12, 0, 0]


@pytest.mark.parametrize("bad", [-0.01, 1.01, math.nan])
def test_p59_bce_outside_of_probabilities_raises(bad):
    with pytest.raises(RuntimeError, match="between 0 and 1.*binary_cross_entropy_with_logits"):
        F.binary_cross_entropy(t([0.5, bad]), t([1.0, 1.0]))


def test_p59_bce_with_logits_is_exact():
    z = t([0.0, 40.0, -40.0, 1000.0, -1000.0, 1000.0], requires_grad=True)
    y = t([0.0, 1.0, 0.0, 0.0, 1.0, 1.0])
    loss = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    tail = 4.248354255291589e-18
    assert np.allclose(loss.detach().array, [LN2, tail, tail, 1000, 1000, 0], rtol=1e-14, atol=0)
    loss.sum().backward()
    assert np.allclose(z.grad.array, [0.5, 0, tail, 1, -1, 0], rtol=1e-14, atol=1e-300)
    weighted = F.binary_cross_entropy_with_logits(z, y, reduction="none", pos_weight=t(1))
    assert np.allclose(weighted.detach().array, loss.detach().array, rtol=1e-14)


def test_p58_cross_entropy_far_out():
    x = t([[1e4, 0.0, -1e4], [-1e4, 1e4, 0.0]], requires_grad=True)
    loss = F.cross_entropy(x, mg.tensor([1, 1]))
    loss.backward()
    assert loss.item() == 5000 and np.allclose(x.grad.array.sum(1), 0) and x.grad.tolist()[0] == [0.5, -0.5, 0]


def test_p54_empty_batches():
    same = [(f, mg.zeros(0, 3)) for f in (F.mse_loss, F.l1_loss, F.binary_cross_entropy, F.quadratic_loss)]
    for loss, y in [*same, (F.cross_entropy, mg.zeros(0, dtype=mg.int64))]:
        x = mg.zeros(0, 3, requires_grad=True)
        assert math.isnan(loss(x, y).item()) and loss(x, y, reduction="sum").item() == 0
        loss(x, y, reduction="sum").backward()
        assert x.grad.shape == (0, 3)


def test_all_labels_ignored():
    x = normal(2, 3, requires_grad=True)
    y = mg.tensor([-100, -100])
    assert math.isnan(F.cross_entropy(x, y).item())
    F.cross_entropy(x, y, reduction="sum").backward()
    assert not x.grad.array.any()


# --- what does not fit ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_p52_targets_that_would_broadcast_warn(loss):
    with pytest.warns(UserWarning, match=r"target \(4,\) float64 differs in shape from input \(4, 1\) float64"):
        loss(normal(4, 1), normal(4))


@pytest.mark.parametrize("loss", [F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.quadratic_loss])
def test_p52_targets_that_would_broadcast_raise(loss):
    with pytest.raises(ValueError, match=r"target \(4,\) float64 must have the shape of input \(4, 1\)"):
        loss(probabilities(4, 1), probabilities(4))


@pytest.mark.parametrize("loss, shape", [("cross_entropy", (3, 4)), ("nll_loss", (3, 4)), ("cross_entropy", (3, 4, 2))])
@pytest.mark.parametrize("bad", [-1, 4, 100, -99])
def test_p60_labels_out_of_range_raise(loss, shape, bad):
    y = np.zeros((shape[0], *shape[2:]), np.int64)
    y[1] = bad
    place = "[1]" if y.ndim == 1 else "[1, 0]"
    with pytest.raises(IndexError) as error:
        getattr(F, loss)(normal(*shape), mg.tensor(y))
    for part in (loss, f"label {bad} ", f"target{place}", "4 classes", "0 to 3", "ignore_index=-100"):
        assert part in str(error.value)
    with pytest.raises(IndexError, match=f"label {bad} at target is out of range"):
        getattr(F, loss)(normal(4), mg.tensor(bad))


@pytest.mark.parametrize("ignore", [-100, -1, 2, 9])
def test_p60_the_ignored_label_is_excepted(ignore):
    x, y = normal(4, 3, requires_grad=True), mg.tensor([0, ignore, 1, ignore])
    loss = F.cross_entropy(x, y, ignore_index=ignore)
    loss.backward()
    kept = F.cross_entropy(x.detach()[[0, 2]], y[[0, 2]])
    assert np.isclose(loss.item(), kept.item()) and not x.grad.array[[1, 3]].any() and x.grad.array[[0, 2]].all()
    each = F.cross_entropy(x, y, ignore_index=ignore, reduction="none").detach().array
    assert not each[[1, 3]].any() and each[[0, 2]].all()


WRONG = {
    "labels (N, 1)": (F.cross_entropy, normal(3, 4), labels(3, 1, classes=4), {}, ValueError,
                      r"labels have shape \(3,\)"),
    "too few labels": (F.cross_entropy, normal(3, 4), labels(2, classes=4), {}, ValueError, r"probabilities \(3, 4\)"),
    "float labels": (F.cross_entropy, normal(3, 4), normal(3), {}, TypeError, r"whole numbers; call target.long\(\)"),
    "bool labels": (F.nll_loss, normal(3, 4), normal(3) > 0, {}, TypeError, r"whole numbers; call target.long\(\)"),
    "whole probabilities": (F.cross_entropy, normal(3, 4), labels(3, 4, classes=2), {}, TypeError,
                            r"must be floating; labels would have shape \(3,\)"),
    "whole logits": (F.cross_entropy, labels(3, 4, classes=2), labels(3, classes=2), {}, TypeError, "floating"),
    "no classes": (F.cross_entropy, normal(), mg.tensor(0), {}, ValueError, r"\(N, C\)"),
    "class weights": (F.cross_entropy, normal(3, 4), labels(3, classes=4), {"weight": mg.ones(3)}, ValueError,
                      "one entry per class, so 4"),
    "smoothing": (F.cross_entropy, normal(3, 4), labels(3, classes=4), {"label_smoothing": 1.5}, ValueError,
                  "between 0 and 1"),
    "reduction": (F.cross_entropy, normal(3, 4), labels(3, classes=4), {"reduction": "median"}, ValueError, "'median'"),
    "reduction of mse": (F.mse_loss, normal(3), normal(3), {"reduction": "median"}, ValueError, "'median'"),
    "list target": (F.cross_entropy, normal(3, 4), [0, 1, 2], {}, TypeError, "target must be a Tensor, got list"),
    "array input": (F.mse_loss, np.ones(3), normal(3), {}, TypeError, "input must be a Tensor, got ndarray"),
    "whole bits": (F.binary_cross_entropy, probabilities(3), labels(3, classes=2), {}, TypeError,
                   r"target.to\(input.dtype\)"),
    "whole bits for logits": (F.binary_cross_entropy_with_logits, normal(3), labels(3, classes=2), {}, TypeError,
                              "probabilities"),
    "beta": (F.smooth_l1_loss, normal(3), normal(3), {"beta": -1}, ValueError, "beta"),
    "delta": (F.huber_loss, normal(3), normal(3), {"delta": 0}, ValueError, "delta"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_told(name):
    loss, input, target, options, kind, message = WRONG[name]
    with pytest.raises(kind, match=message):
        loss(input, target, **options)


def test_kl_div_warns_that_its_mean_is_not_the_divergence():
    with pytest.warns(UserWarning, match="batchmean"):
        F.kl_div(normal(2, 3), probabilities(2, 3))


@pytest.mark.parametrize("size_average, reduce, reduction", [
    (True, None, "mean"), (False, None, "sum"), (None, False, "none"), (False, False, "none"), (None, True, "mean"),
    (False, True, "sum"),
])
def test_deprecated_arguments(size_average, reduce, reduction):
    x, y = normal(4), normal(4, seed=1)
    with pytest.warns(UserWarning, match=f"reduction='{reduction}'"):
        old = F.mse_loss(x, y, size_average, reduce)
    with pytest.warns(UserWarning, match=f"reduction='{reduction}'"):
        module = nn.MSELoss(size_average, reduce)
    assert np.array_equal(old.array, F.mse_loss(x, y, reduction=reduction).array) and module.reduction == reduction


def test_class_weights_are_buffers():
    loss = nn.CrossEntropyLoss(weight=mg.ones(3))
    assert list(loss.state_dict()) == ["weight"] and not list(loss.parameters())
    assert list(nn.BCEWithLogitsLoss(pos_weight=mg.ones(2)).state_dict()) == ["pos_weight"]
    assert not nn.CrossEntropyLoss().state_dict()


# --- PyTorch as the judge -------------------------------------------------------------------------------------------


def assert_same(name, arrays, targets, options, differentiable=1, rtol=1e-10):
    """F.name gives torch's value and torch's gradients, in both floating dtypes."""
    torch = pytest.importorskip("torch")
    for dtype in (np.float32, np.float64):
        cast = [a.astype(dtype) if a.dtype.kind == "f" else a for a in (*arrays, *targets)]
        ours, theirs = [mg.tensor(a) for a in cast], [torch.tensor(a) for a in cast]
        for tensors in (ours, theirs):
            for x in tensors[:differentiable]:
                x.requires_grad_()
        mine, other = (
            {k: lib.tensor(v.astype(dtype)) if isinstance(v, np.ndarray) else v for k, v in options.items()}
            for lib in (mg, torch)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            a, b = getattr(F, name)(*ours, **mine), getattr(torch.nn.functional, name)(*theirs, **other)
        assert tuple(a.shape) == tuple(b.shape)
        upstream = np.linspace(0.5, 1.5, max(b.numel(), 1)).reshape(tuple(b.shape)).astype(dtype)
        a.backward(mg.tensor(upstream))
        b.backward(torch.tensor(upstream))
        tolerance = dict(rtol=1e-4, atol=1e-5) if dtype is np.float32 else dict(rtol=rtol, atol=1e-12)
        assert np.allclose(a.detach().array, b.detach().numpy(), **tolerance, equal_nan=True), (options, a, b)
        for x, y in zip(ours[:differentiable], theirs[:differentiable], strict=True):
            assert np.allclose(x.grad.array, y.grad.numpy(), **tolerance, equal_nan=True), (options, x.grad, y.grad)


REDUCTIONS = pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
SHAPES = [
    ((4,), ()), ((6, 4), (6,)), ((1, 4), (1,)), ((3, 4, 2), (3, 2)), ((2, 4, 3, 2), (2, 3, 2)),
    ((2, 4, 1, 2, 2), (2, 1, 2, 2)),
]


@pytest.mark.torch
@REDUCTIONS
@pytest.mark.parametrize("shape, label_shape", SHAPES)
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_losses_of_labels_are_those_of_torch(name, shape, label_shape, reduction):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=shape), rng.integers(0, 4, label_shape)
    ignored = np.where(rng.random(label_shape) < 0.3, -100, y)
    smoothings = [{"label_smoothing": s} for s in (0.0, 0.2, 1.0)] if name == "cross_entropy" else [{}]
    for weight, (target, ignore), smoothing in itertools.product(
        [None, rng.uniform(0.5, 2, 4)], [(y, -100), (y, 1), (ignored, -100)], smoothings
    ):
        options = {"weight": weight, "ignore_index": ignore, "reduction": reduction}
        assert_same(name, [x], [np.asarray(target)], options | smoothing)


@pytest.mark.torch
@REDUCTIONS
@pytest.mark.parametrize("shape", [s for s, _ in SHAPES])
def test_cross_entropy_of_probabilities_is_that_of_torch(shape, reduction):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=shape), rng.uniform(size=shape)
    for weight, smoothing in itertools.product([None, rng.uniform(0.5, 2, 4)], [0.0, 0.2]):
        options = {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
        assert_same("cross_entropy", [x, y], [], options, differentiable=2)


@pytest.mark.torch
@REDUCTIONS
@pytest.mark.parametrize("name, options", [
    ("mse_loss", {}), ("mse_loss", {"weight": np.linspace(0.1, 2, 12).reshape(4, 3)}), ("l1_loss", {}),
    ("l1_loss", {"weight": np.linspace(0.1, 2, 12).reshape(4, 3)}), ("smooth_l1_loss", {}),
    ("smooth_l1_loss", {"beta": 0.3}), ("smooth_l1_loss", {"beta": 0}), ("huber_loss", {}),
    ("huber_loss", {"delta": 0.4}), ("kl_div", {}),
    ("kl_div", {"log_target": True}),
])
def test_distances_are_those_of_torch(name, options, reduction):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 3)), rng.uniform(0.1, 0.9, size=(4, 3))
    assert_same(name, [x, y], [], options | {"reduction": reduction}, differentiable=2)
    x[0], y[1] = y[0], 0.0  # equal elements; 0 log 0
    assert_same(name, [x], [y], options | {"reduction": reduction})
    if name == "kl_div":
        assert_same(name, [x], [y], options | {"reduction": "batchmean"})


@pytest.mark.torch
@REDUCTIONS
def test_binary_cross_entropies_are_those_of_torch(reduction):
    rng = np.random.default_rng(0)
    z, p, y = rng.normal(size=(4, 3)) * 5, rng.uniform(0.01, 0.99, size=(4, 3)), rng.uniform(size=(4, 3))
    p[0, :2], y[0, :2], y[1] = [0, 1], [1, 1], [0, 1, 1]
    z[2] = [0, 200, -200]
    for weight in (None, rng.uniform(0.5, 2, 3), rng.uniform(0.5, 2, (4, 3))):
        options = {"weight": weight, "reduction": reduction}
        assert_same("binary_cross_entropy", [p], [y], options, rtol=1e-8)  # torch's 1e-12 is one of float32
        assert_same("binary_cross_entropy", [p[1:], y[1:]], [], options | {"weight": None}, differentiable=2)
        for pos_weight in (None, rng.uniform(0.5, 2, 3)):
            options["pos_weight"] = pos_weight
            assert_same("binary_cross_entropy_with_logits", [z, y], [], options, differentiable=2)


@pytest.mark.torch
@pytest.mark.parametrize("wrong", [
    lambda x, y: 1.001 * (x - y).square().mean(), lambda x, y: (x - y).square().mean().detach() + 0 * x.sum(),
])
def test_the_comparison_with_torch_catches_a_wrong_loss(monkeypatch, wrong):
    monkeypatch.setattr(F, "mse_loss", wrong)
    with pytest.raises(AssertionError):
        assert_same("mse_loss", [np.ones(3)], [np.zeros(3)], {})


@pytest.mark.torch
def test_modules_pass_their_options_on_as_those_of_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    y, w = rng.uniform(size=(5, 3)), rng.uniform(0.5, 2, 3)

    def build(lib):
        weight = lib.tensor(w)
        yield lib.nn.CrossEntropyLoss(weight, ignore_index=1, reduction="sum", label_smoothing=0.1), target
        yield lib.nn.NLLLoss(weight, ignore_index=1, reduction="none"), target
        yield lib.nn.MSELoss(reduction="sum"), y
        yield lib.nn.L1Loss(reduction="none"), y
        yield lib.nn.SmoothL1Loss(beta=0.5), y
        yield lib.nn.HuberLoss("sum", 0.3), y
        yield lib.nn.BCEWithLogitsLoss(weight, pos_weight=weight, reduction="sum"), y
        yield lib.nn.KLDivLoss(reduction="batchmean", log_target=True), y

    for (ours, y_), (theirs, _) in zip(build(mg), build(torch), strict=True):
        a, b = ours(mg.tensor(logits), mg.tensor(y_)), theirs(torch.tensor(logits), torch.tensor(y_))
        assert np.allclose(a.array, b.numpy(), rtol=1e-10)
    p = rng.uniform(size=(5, 3))
    a = nn.BCELoss(mg.tensor(w), reduction="none")(mg.tensor(p), mg.tensor(y)).array
    assert np.allclose(a, torch.nn.BCELoss(torch.tensor(w), reduction="none")(torch.tensor(p), torch.tensor(y)).numpy())
