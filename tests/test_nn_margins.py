"""Losses with margins, losses of distributions, adaptive softmax: known values, errors, PyTorch as the judge."""

import math

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn
from microgradnet.autograd import gradcheck, gradgradcheck


def t(data, dtype=np.float64, **kwargs):
    return mg.tensor(np.array(data, dtype), **kwargs)


def normal(*shape, seed=0, **kwargs):
    return t(np.random.default_rng(seed).standard_normal(shape), **kwargs)


def signs(*shape, seed=5):
    return t(np.random.default_rng(seed).choice([-1.0, 1.0], shape))


def close(actual, expected, tolerance=1e-9):
    __tracebackhide__ = True
    np.testing.assert_allclose(actual.detach().numpy(), expected, tolerance, tolerance)


LABELS = mg.tensor([0, 2])
GOLDEN = {
    "hinge_embedding_loss": ([t([0.3, 0.4, 2.5]), t([1, -1, -1])], [0.3, 0.6, 0]),
    "margin_ranking_loss": ([t([1.0, 2]), t([3.0, 1]), t([1, 1])], [2, 0]),
    "soft_margin_loss": ([t([0.0, math.log(3)]), t([1, -1])], [math.log(2), math.log(4)]),
    "multi_margin_loss": ([t([[0.1, 0.2, 0.4], [3.0, 0, 2.5]]), LABELS], [(1.1 + 1.3) / 3, 1.5 / 3]),
    "multilabel_margin_loss": ([t([[0.1, 0.2, 0.4, 0.8]]), mg.tensor([[3, 0, -1, 1]])], [0.85]),
    "multilabel_soft_margin_loss": ([t([[0.0, math.log(3)]]), t([[1, 0]])], [(math.log(2) + math.log(4)) / 2]),
    "cosine_embedding_loss": ([t([[1.0, 0], [1, 0], [1, 0]]), t([[0.0, 2], [3, 3], [-1, 0]]), t([1, -1, -1])],
                              [1, math.sqrt(0.5), 0]),
    "triplet_margin_loss": ([t([[0.0, 0]] * 2), t([[3.0, 4]] * 2), t([[0.0, 4.5], [9, 0]])], [1.5, 0]),
    "gaussian_nll_loss": ([t([[1.0, 2]]), t([[1.0, 5]]), t([[math.e, 1.0]])], [[0.5, 4.5]]),
    "poisson_nll_loss": ([t([0.0, math.log(2)]), t([3, 1])], [1, 2 - math.log(2)]),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_known_values_reductions_and_modules(name):
    args, expected = GOLDEN[name]
    function = getattr(F, name)
    close(function(*args, reduction="none"), expected, 1e-5)
    close(function(*args), np.mean(expected), 1e-5)
    close(function(*args, reduction="sum"), np.sum(expected), 1e-5)
    words = "".join(w.capitalize() for w in name.split("_"))
    words = words.replace("Nll", "NLL").replace("Multilabel", "MultiLabel")
    close(getattr(nn, words)(reduction="none")(*args), expected, 1e-5)
    with pytest.raises(ValueError, match="reduction"):
        function(*args, reduction="average")
    if name != "gaussian_nll_loss":
        with pytest.warns(UserWarning, match="deprecated"):
            close(function(*args, size_average=False), np.sum(expected), 1e-5)
        with pytest.warns(UserWarning, match="deprecated"):
            close(getattr(nn, words)(reduce=False)(*args), expected, 1e-5)


CASES = {
    "hinge_embedding_loss": lambda x, y: F.hinge_embedding_loss(x, signs(4, 3), 0.7),
    "margin_ranking_loss": lambda x, y: F.margin_ranking_loss(x, y, signs(4, 3), 0.3),
    "soft_margin_loss": lambda x, y: F.soft_margin_loss(x, signs(4, 3)),
    "multi_margin_loss": lambda x, y: F.multi_margin_loss(x, mg.tensor([0, 2, 1, 1]), 2, weight=t([1, 2, 3])),
    "multilabel_margin_loss": lambda x, y: F.multilabel_margin_loss(x, mg.tensor([[0, 2, -1]] * 2 + [[-1, 0, 1]] * 2)),
    "multilabel_soft_margin_loss": lambda x, y: F.multilabel_soft_margin_loss(x, y, t([1, 2, 3])),
    "cosine_embedding_loss": lambda x, y: F.cosine_embedding_loss(x, y, signs(4), -0.5),
    "triplet_margin_loss": lambda x, y: F.triplet_margin_loss(x, y, normal(4, 3, seed=7), swap=True, margin=3.0),
    "gaussian_nll_loss": lambda x, y: F.gaussian_nll_loss(x, normal(4, 3, seed=7), y * y, full=True),
    "poisson_nll_loss": lambda x, y: F.poisson_nll_loss(x, y, full=True),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    x, y = normal(4, 3, requires_grad=True), normal(4, 3, seed=1, requires_grad=True)
    assert gradcheck(CASES[name], [x, y]) and gradgradcheck(CASES[name], [x, y])


@pytest.mark.parametrize("name", CASES)
def test_p37_float32_stays(name):
    x, y = normal(4, 3).float().requires_grad_(), normal(4, 3, seed=1).float()
    loss = CASES[name](x, y)
    loss.backward()
    assert x.grad.dtype == mg.float32


def test_large_scores_neither_overflow_nor_warn():
    x = t([1e4, -1e4, 800.0])
    assert F.soft_margin_loss(x, t([1, 1, -1])).isfinite()
    assert F.multilabel_soft_margin_loss(x, t([1, 0, 1])).isfinite()


ERRORS = [
    (lambda: F.margin_ranking_loss(t([[1.0]]), t([[1.0]]), t([1])), RuntimeError, "same number of dimensions"),
    (lambda: F.multi_margin_loss(normal(2, 3), LABELS, p=3), ValueError, "p == 1"),
    (lambda: F.multi_margin_loss(normal(2, 3), LABELS + 1), RuntimeError, "out of range"),
    (lambda: F.multi_margin_loss(normal(2, 3), LABELS - 1), RuntimeError, "out of range"),
    (lambda: F.multi_margin_loss(normal(2, 3), LABELS[:1]), RuntimeError, "each example"),
    (lambda: F.multi_margin_loss(normal(2, 3), LABELS, weight=t([1, 2])), RuntimeError, "3 elements"),
    (lambda: F.multi_margin_loss(normal(2, 3), LABELS, weight=t([[1, 2, 3]])), ValueError, "one-dimensional"),
    (lambda: F.multi_margin_loss(normal(2, 3), LABELS.double()), RuntimeError, "long"),
    (lambda: F.multi_margin_loss(normal(1, 2, 3), LABELS), RuntimeError, r"\(N, C\)"),
    (lambda: nn.MultiMarginLoss(p=3), ValueError, "p == 1"),
    (lambda: F.multilabel_margin_loss(normal(2, 3), LABELS), RuntimeError, "shape of input"),
    (lambda: F.multilabel_margin_loss(normal(3), mg.tensor([0, 3, -1])), RuntimeError, "out of range"),
    (lambda: F.cosine_embedding_loss(normal(2, 3), normal(2, 3), t(1)), RuntimeError, r"\(N,\)"),
    (lambda: F.cosine_embedding_loss(normal(3), normal(3), t([1])), RuntimeError, r"\(N,\)"),
    (lambda: F.triplet_margin_loss(normal(2, 3), normal(3), normal(2, 3)), RuntimeError, "number of dimensions"),
    (lambda: F.triplet_margin_loss(*[normal(2, 3)] * 3, margin=-1), ValueError, "margin"),
    (lambda: nn.TripletMarginLoss(margin=-1), ValueError, "margin"),
    (lambda: nn.TripletMarginWithDistanceLoss(margin=-1), ValueError, "margin"),
    (lambda: F.gaussian_nll_loss(normal(2, 3), normal(2, 3), t([1, 1, 1])), ValueError, "incorrect size"),
    (lambda: F.gaussian_nll_loss(normal(2, 3), normal(2, 3), -1.0), ValueError, "negative"),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, []), ValueError, "cutoffs"),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [3, 3]), ValueError, "cutoffs"),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [3, 12]), ValueError, "cutoffs"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors(case):
    function, kind, message = ERRORS[case]
    with pytest.raises(kind, match=message):
        function()


def test_nll_loss_2d_is_deprecated():
    with pytest.warns(FutureWarning, match="NLLLoss"):
        assert nn.NLLLoss2d(ignore_index=1).ignore_index == 1


# --- adaptive softmax -------------------------------------------------------------------------------------------------


def test_adaptive_softmax_is_a_distribution():
    mg.manual_seed(0)
    model = nn.AdaptiveLogSoftmaxWithLoss(16, 12, [3, 7], div_value=2, head_bias=True).double()
    assert list(model.state_dict()) == ["head.weight", "head.bias", "tail.0.0.weight", "tail.0.1.weight", "tail.1.0.weight",
                                        "tail.1.1.weight"]  # fmt: skip
    x, labels = normal(5, 16), mg.tensor([0, 4, 11, 2, 6])
    log_p = model.log_prob(x)
    close(log_p.exp().sum(1), np.ones(5))
    output, loss = model(x, labels)
    close(output, log_p.detach().array[np.arange(5), labels.array])
    close(loss, -output.detach().array.mean())
    assert (model.predict(x) == log_p.argmax(1)).all()
    one = model(x[1], labels[1])
    assert one.output.shape == () and one.loss.item() == pytest.approx(-output[1].item())
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    for wrong in ([0, 12, 1, 1, 1], [0, -1, 1, 1, 1], [0, 1]):
        with pytest.raises(RuntimeError, match="target"):
            model(x, mg.tensor(wrong))


# --- PyTorch ----------------------------------------------------------------------------------------------------------

REDUCTIONS = pytest.mark.parametrize("reduction", ["none", "mean", "sum"])


def cases_for_torch():
    """(name, options, arrays)"""
    from twins import Fixed

    rng = np.random.default_rng(0)
    x, y, z, w = (rng.standard_normal((4, 3)) for _ in range(4))
    sign, labels = rng.choice([-1, 1], (4, 3)), np.array([0, 2, 1, 1])
    many = np.array([[0, 2, -1], [1, -1, 0], [-1, -1, -1], [2, 1, 0]])
    equal = np.where(np.arange(3) == 1, 0.0, x)
    yield from (("hinge_embedding_loss", options, (np.abs(a), sign)) for options in ({}, {"margin": 0.5}) for a in (x, equal))
    yield "hinge_embedding_loss", {}, (x, sign * [1, 0, 2])
    yield from (("margin_ranking_loss", o, (x, y, sign.astype(float))) for o in ({}, {"margin": 0.5}))
    yield "margin_ranking_loss", {}, (x, x, sign.astype(float))
    yield from (("soft_margin_loss", {}, (x, Fixed(s))) for s in (sign.astype(float), y))
    for options in ({}, {"p": 2}, {"margin": 0.2}, {"p": 2, "margin": 2.0}):
        for weight in (None, np.array([0.5, 1, 2])):
            yield "multi_margin_loss", options | {"weight": weight}, (x, labels)
            yield "multi_margin_loss", options | {"weight": weight}, (x[0], labels[1])
    yield "multi_margin_loss", {}, (np.zeros((4, 3)), labels)
    yield from (("multilabel_margin_loss", {}, pair) for pair in ((x, many), (x[0], many[0]), (x * 0.1, many)))
    for weight in (None, np.array([0.5, 1, 2])):
        yield "multilabel_soft_margin_loss", {"weight": weight}, (x, (sign > 0).astype(float))
        yield "multilabel_soft_margin_loss", {"weight": weight}, (x[0], np.abs(np.tanh(y[0])))
    for margin in (0.0, 0.4, -0.4):
        yield "cosine_embedding_loss", {"margin": margin}, (x, y, sign[:, 0])
        yield "cosine_embedding_loss", {"margin": margin}, (x[0], y[0], sign[0, 0])
    yield "cosine_embedding_loss", {}, (x * 0, y, sign[:, 0])
    for options in ({}, {"margin": 2.0, "swap": True}, {"p": 1.0, "eps": 0.1}, {"p": 3.0}):
        yield "triplet_margin_loss", options, (x, y, z)
        yield "triplet_margin_loss", options, (x[0], y[0], z[0])
    yield from (("triplet_margin_with_distance_loss", o, (x, y, z)) for o in ({}, {"margin": 2.0, "swap": True}))
    for options in ({}, {"full": True}, {"eps": 0.5}):
        for var in (w * w, w[:, 0] ** 2, w[:, :1] ** 2, w[:1] ** 2, np.zeros((4, 3))):
            if var.any() or "eps" in options:
                yield "gaussian_nll_loss", options, (x, y, var)
        yield "gaussian_nll_loss", options, (x, y, 0.7)
    for options in ({}, {"full": True}, {"log_input": False, "eps": 1e-3}, {"log_input": False, "full": True}):
        yield "poisson_nll_loss", options, (np.abs(x), Fixed(np.floor(np.abs(y) * 3)))  # at 0 its gradient is nan there
        yield "poisson_nll_loss", options, (np.abs(x), np.floor(np.abs(y) * 3) + 1)


NO_SECOND = {"multi_margin_loss", "multilabel_margin_loss"}  # PyTorch has none


@pytest.mark.torch
@REDUCTIONS
def test_losses_are_those_of_torch(reduction):
    twins = pytest.importorskip("twins")
    for name, options, arrays in cases_for_torch():

        def loss(lib, *tensors):
            given = {k: lib.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
            return getattr(lib.nn.functional, name)(*tensors, **given, reduction=reduction)

        kinks = name == "cosine_embedding_loss" and not arrays[0].any()
        twins.check_function(loss, *(np.asarray(a) if isinstance(a, (np.ndarray, np.integer)) else a for a in arrays),
                             second=name not in NO_SECOND and not kinks)


@pytest.mark.torch
def test_modules_are_those_of_torch():
    twins = pytest.importorskip("twins")
    rng = np.random.default_rng(0)
    x, y, z = (rng.standard_normal((4, 3)) for _ in range(3))
    sign, labels = rng.choice([-1.0, 1.0], (4, 3)), np.array([0, 2, 1, 1])
    for build, arrays in [
        (lambda nn: nn.HingeEmbeddingLoss(0.5, reduction="sum"), (x, sign)),
        (lambda nn: nn.MarginRankingLoss(0.5), (x, y, sign)),
        (lambda nn: nn.SoftMarginLoss(), (x, twins.Fixed(sign))),
        (lambda nn: nn.MultiMarginLoss(2, 0.5), (x, labels)),
        (lambda nn: nn.MultiLabelMarginLoss(), (x, np.array([[0, 2, -1]] * 4))),
        (lambda nn: nn.MultiLabelSoftMarginLoss(reduction="none"), (x, np.abs(np.tanh(y)))),
        (lambda nn: nn.CosineEmbeddingLoss(0.1), (x, y, sign[:, 0])),
        (lambda nn: nn.TripletMarginLoss(2.0, 1.5, 1e-3, True), (x, y, z)),
        (lambda nn: nn.TripletMarginWithDistanceLoss(swap=True, margin=2.0, distance_function=nn.functional.cosine_similarity), (x, y, z)),
        (lambda nn: nn.GaussianNLLLoss(full=True, eps=1e-3, reduction="sum"), (x, y, z * z)),
        (lambda nn: nn.PoissonNLLLoss(False, True, eps=1e-3), (np.abs(x), np.abs(y))),
        (lambda nn: nn.AdaptiveLogSoftmaxWithLoss(3, 9, [2, 5], div_value=1.2, head_bias=True), (x, np.array([0, 8, 3, 1]))),
        (lambda nn: nn.NLLLoss2d(), (rng.standard_normal((2, 3, 4, 5)), rng.integers(0, 3, (2, 4, 5)))),
    ]:  # fmt: skip
        twins.check_module(build, *arrays, second=False)  # the functions' second derivatives are compared above


@pytest.mark.torch
def test_linear_cross_entropy_is_that_of_torch():
    twins = pytest.importorskip("twins")
    x, labels, many = twins.normal(5, 3), np.array([0, 2, 1, 1, 0]), np.random.default_rng(0).integers(0, 4, (5, 2))
    twins.check_module(lambda nn: nn.LinearCrossEntropyLoss(3, 4, bias=True, ignore_index=2, label_smoothing=0.1), x, labels)
    twins.check_module(lambda nn: nn.LinearCrossEntropyLoss(3, 4, out_features=(2,), reduction="none"), x, many)


def test_linear_cross_entropy_is_cross_entropy_of_a_linear_layer():
    loss = nn.LinearCrossEntropyLoss(3, 4, bias=True).double()
    x = normal(2, 3)
    close(loss(x, LABELS), F.cross_entropy(loss.linear(x), LABELS).item())
    with pytest.raises(ValueError, match="label_smoothing"):
        nn.LinearCrossEntropyLoss(3, 4, label_smoothing=2)


@pytest.mark.torch
def test_errors_are_of_the_kinds_of_torch():
    twins = pytest.importorskip("twins")
    x, labels = twins.normal(2, 3), np.array([0, 2])
    for name, options, arrays in [
        ("gaussian_nll_loss", {"reduction": "bad"}, (x, x, x * x)), ("poisson_nll_loss", {"reduction": "bad"}, (x, x)),
        ("mse_loss", {"reduction": "bad"}, (x, x)), ("gaussian_nll_loss", {}, (x, x, np.ones(3))),
        ("margin_ranking_loss", {}, (x, x, np.ones(3))), ("multi_margin_loss", {"p": 3}, (x, labels)),
        ("multi_margin_loss", {}, (x, labels + 1)), ("multi_margin_loss", {}, (x, labels[:1])),
        ("multilabel_margin_loss", {}, (x, labels)), ("multilabel_margin_loss", {}, (x, np.full((2, 3), 3))),
        ("cosine_embedding_loss", {}, (x, x[0], np.ones(2))), ("triplet_margin_loss", {"margin": -1}, (x, x, x)),
        ("triplet_margin_loss", {}, (x, x[0], x)),
    ]:  # fmt: skip
        twins.check_error(lambda lib, *tensors: getattr(lib.nn.functional, name)(*tensors, **options), *arrays)
