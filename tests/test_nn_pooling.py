"""Pooling: the definitions as plain loops, where gradients go, errors; and PyTorch as the judge."""

import itertools
import math

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn
from microgradnet.autograd import gradcheck, gradgradcheck


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def windows(size, kernel, stride, padding, dilation):
    """The places of each window, by output place: what is in the padding is left out."""
    ranges = [range((n + 2 * p - d * (k - 1) - 1) // s + 1) for n, k, s, p, d in zip(size, kernel, stride, padding, dilation)]
    for o in itertools.product(*ranges):
        places = itertools.product(*([i * s - p + j * d for j in range(k)]
                                     for i, k, s, p, d in zip(o, kernel, stride, padding, dilation)))
        yield o, [place for place in places if all(0 <= i < n for i, n in zip(place, size))]


CASES = [((7,), (3,), (2,), (1,), (1,)), ((6, 5), (2, 2), (2, 2), (0, 0), (1, 1)), ((6, 7), (3, 2), (1, 2), (1, 1), (2, 1)),
         ((3, 4, 5), (2, 2, 3), (1, 2, 1), (1, 0, 1), (1, 1, 1))]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_max_pool_is_its_definition(case):
    size, *how = case
    x = normal(2, 3, *size)
    pool = getattr(F, f"max_pool{len(size)}d")
    kernel, stride, padding, dilation = how
    values, indices = pool(mg.tensor(x), kernel, stride, padding, dilation, return_indices=True)
    for o, places in windows(size, *how):
        under = np.stack([x[(..., *place)] for place in places])
        np.testing.assert_array_equal(values.numpy()[(..., *o)], under.max(0))
        flat = np.ravel_multi_index(np.array(places).T, size)
        np.testing.assert_array_equal(indices.numpy()[(..., *o)], flat[under.argmax(0)])


@pytest.mark.parametrize("case", [c for c in CASES if max(c[-1]) == 1], ids=str)
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_avg_pool_is_its_definition(case, count_include_pad):
    size, kernel, stride, padding, _ = case
    x = normal(2, 3, *size)
    y = getattr(F, f"avg_pool{len(size)}d")(mg.tensor(x), kernel, stride, padding, count_include_pad=count_include_pad)
    for o, places in windows(*case):
        total = sum(x[(..., *place)] for place in places)
        count = math.prod(kernel) if count_include_pad else len(places)
        np.testing.assert_allclose(y.numpy()[(..., *o)], total / count, 1e-12, 1e-12)


def test_the_first_of_equals_gets_the_gradient():
    x = mg.ones(1, 1, 4, 4, requires_grad=True)
    values, indices = F.max_pool2d(x, 2, return_indices=True)
    values.sum().backward()
    assert indices.flatten().tolist() == [0, 2, 8, 10]
    assert x.grad.tolist() == [[[[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]]]


def test_overlapping_windows_add_up():
    x = mg.tensor([[[0.0, 5, 0, 0]]], requires_grad=True)
    F.max_pool1d(x, 2, 1).sum().backward()
    assert x.grad.tolist() == [[[0, 2, 1, 0]]]


def test_nan_is_the_maximum_and_padding_never_is():
    x = mg.tensor([[[1.0, math.nan, 2, -5]]])
    assert F.max_pool1d(x, 2)[0, 0].isnan().tolist() == [True, False]
    low = mg.full((1, 1, 3), -math.inf)
    values, indices = F.max_pool1d(low, 3, 2, 1, return_indices=True)
    assert values.tolist() == [[[-math.inf, -math.inf]]] and indices.tolist() == [[[0, 1]]]
    assert F.max_pool1d(mg.tensor([[[-3, -2, -1]]]), 3, 2, 1).tolist() == [[[-2, -1]]]


def test_ceil_mode_gives_one_window_more():
    x = mg.tensor([[[1.0, 2, 3, 4, 5]]])
    assert F.max_pool1d(x, 2, ceil_mode=True).tolist() == [[[2, 4, 5]]]
    assert F.avg_pool1d(x, 2, ceil_mode=True).tolist() == [[[1.5, 3.5, 5]]]
    assert F.avg_pool2d(mg.ones(1, 1, 3, 3), 2, ceil_mode=True, divisor_override=2).tolist() == [[[[2, 1], [1, 0.5]]]]
    assert F.max_pool1d(x, 2, 3, 1, ceil_mode=True).shape == (1, 1, 2)  # none that begins after the end


@pytest.mark.parametrize("n, count", [(8, 4), (7, 3), (5, 7), (4, 1), (6, 6)])
def test_adaptive_parts_cover_everything(n, count):
    x = normal(2, 3, n)
    parts = [x[..., i * n // count : -(-(i + 1) * n // count)] for i in range(count)]
    np.testing.assert_allclose(F.adaptive_avg_pool1d(mg.tensor(x), count).numpy(), np.stack([p.mean(-1) for p in parts], -1))
    values, indices = F.adaptive_max_pool1d(mg.tensor(x), count, return_indices=True)
    np.testing.assert_array_equal(values.numpy(), np.stack([p.max(-1) for p in parts], -1))
    np.testing.assert_array_equal(np.take_along_axis(x, indices.numpy(), -1), values.numpy())


def test_adaptive_sizes():
    x = mg.tensor(normal(2, 3, 4, 6))
    assert F.adaptive_avg_pool2d(x, (None, 3)).shape == (2, 3, 4, 3)
    assert nn.AdaptiveAvgPool2d(1)(x)[0].shape == (3, 1, 1)
    assert F.adaptive_avg_pool2d(x, (2, 0)).shape == (2, 3, 2, 0)
    assert F.adaptive_max_pool2d(x, (0, 2)).shape == (2, 3, 0, 2)
    np.testing.assert_allclose(F.adaptive_avg_pool2d(x, 1)[..., 0, 0].numpy(), x.numpy().mean((2, 3)), 1e-12)


@pytest.mark.parametrize("shape, kernel", [((1, 2, 8), 2), ((2, 1, 4, 6), 2), ((1, 1, 4, 4, 2), 2), ((3, 4, 6), (2, 3))])
def test_unpooling_puts_back(shape, kernel):
    n = 2 if len(shape) == 3 and isinstance(kernel, tuple) else len(shape) - 2
    x = mg.tensor(normal(*shape), requires_grad=True)
    values, indices = getattr(F, f"max_pool{n}d")(x, kernel, return_indices=True)
    back = getattr(F, f"max_unpool{n}d")(values, indices, kernel)
    assert back.shape == x.shape and (back != 0).sum().item() == values.numel()
    assert ((back == x) | (back == 0)).all().item()
    back.sum().backward()
    assert x.grad.sum().item() == values.numel()


def test_a_p_norm():
    x = mg.tensor([[[3.0, 4, 0, 2]]])
    np.testing.assert_allclose(F.lp_pool1d(x, 2, 2).numpy(), [[[5, 2]]], 1e-6)
    assert F.lp_pool1d(-x, math.inf, 2).tolist() == [[[4, 2]]]


def test_random_windows():
    mg.manual_seed(0)
    x = mg.tensor(normal(2, 3, 12, 10))
    values, indices = F.fractional_max_pool2d(x, 2, output_ratio=(0.5, 0.6), return_indices=True)
    assert values.shape == (2, 3, 6, 6)
    np.testing.assert_array_equal(x.flatten(-2).gather(-1, indices.flatten(-2)).numpy(), values.flatten(-2).numpy())
    assert (indices[..., -1, -1] // 10 >= 10).all().item()  # the last window lies at the end
    assert not F.fractional_max_pool2d(x, 2, 4).equal(F.fractional_max_pool2d(x, 2, 4))


GRADIENTS = {
    "max": lambda x: F.max_pool2d(x, 3, 2, 1), "max, far": lambda x: F.max_pool2d(x, 2, 1, 0, 2),
    "avg": lambda x: F.avg_pool2d(x, 3, 2, 1, True, False), "lp": lambda x: F.lp_pool2d(x.abs(), 3.0, 2),
    "adaptive avg": lambda x: F.adaptive_avg_pool2d(x, (2, 3)), "adaptive max": lambda x: F.adaptive_max_pool2d(x, (3, 2)),
    "unpool": lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2, output_size=(5, 4)),
    "fractional": lambda x: F.fractional_max_pool2d(x, 2, 3, _random_samples=mg.full((1, 2, 2), 0.3, dtype=mg.float64)),
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_by_differences(name):
    x = mg.tensor(normal(1, 2, 5, 4), requires_grad=True)
    assert gradcheck(GRADIENTS[name], (x,), fast_mode=True)
    assert gradgradcheck(GRADIENTS[name], (x,), fast_mode=True)


def test_p37_pooling_keeps_float32():
    for layer in (nn.MaxPool2d(2), nn.AvgPool2d(2, padding=1, count_include_pad=False), nn.AdaptiveAvgPool2d(3),
                  nn.AdaptiveMaxPool2d(3), nn.LPPool2d(2, 2), nn.FractionalMaxPool2d(2, 2)):
        x = mg.tensor(normal(2, 1, 5, 5)).float().requires_grad_()
        y = layer(x)
        y.sum().backward()
        assert y.dtype == x.grad.dtype == mg.float32


@pytest.mark.parametrize("call, words", [
    (lambda x: F.max_pool2d(x[0, 0], 2), "max_pool2d (5, 4) 4 dimensions"),
    (lambda x: F.max_pool2d(x, 6), "(6, 6) (1, 2, 5, 4)"),
    (lambda x: F.max_pool2d(x, 2, 2, 2), "padding (2, 2) half (2, 2)"),
    (lambda x: F.max_pool2d(x, 2, 0), "stride at least 1"),
    (lambda x: F.avg_pool2d(x, 2, divisor_override=0), "divisor_override"),
    (lambda x: F.avg_pool2d(x, (2, 2, 2)), "kernel_size 2 (2, 2, 2)"),
    (lambda x: F.adaptive_avg_pool2d(x, -1), "output_size -1"),
    (lambda x: F.adaptive_avg_pool2d(x[:, :, :0], 1), "(1, 2, 0, 4)"),
    (lambda x: F.max_unpool2d(x, x, 2), "indices (1, 2, 5, 4) float32 int64"),
    (lambda x: F.max_unpool2d(x, (x * 0).long() + 999, 2), "index 999"),
    (lambda x: F.fractional_max_pool2d(x, 3, 4), "(3, 3) (4, 4) (1, 2, 5, 4)"),
])  # fmt: skip
def test_errors_say_what_does_not_fit(call, words):
    with pytest.raises(RuntimeError) as error:
        call(mg.ones(1, 2, 5, 4))
    at = 0
    for word in words.split():
        at = str(error.value).find(word, at)
        assert at >= 0, f"{word!r} in order in {error.value}"


@pytest.mark.parametrize("call", [
    lambda x: F.max_unpool2d(x, x.long(), 2, output_size=(20, 8)), lambda x: F.fractional_max_pool2d(x, 2),
    lambda x: nn.FractionalMaxPool2d(2), lambda x: nn.FractionalMaxPool2d(2, output_ratio=1.5),
    lambda x: nn.FractionalMaxPool2d(2, 2, 0.5),
])  # fmt: skip
def test_errors_of_value(call):
    with pytest.raises(ValueError, match="output_"):
        call(mg.ones(1, 2, 5, 4))


# --- against PyTorch --------------------------------------------------------------------------------------------------

X1, X2, X3 = (2, 3, 9), (2, 2, 6, 7), (1, 2, 4, 5, 4)
LAYERS = {
    "max 1d": (lambda nn: nn.MaxPool1d(3, 2, 1, 1, True), X1), "max 1d, unbatched": (lambda nn: nn.MaxPool1d(2), X1[1:]),
    "max 2d": (lambda nn: nn.MaxPool2d(2), X2), "max 2d, all": (lambda nn: nn.MaxPool2d((3, 2), (1, 2), (1, 0), (2, 1), True, True), X2),
    "max 3d": (lambda nn: nn.MaxPool3d(2, 1, 1, ceil_mode=True), X3),
    "avg 1d": (lambda nn: nn.AvgPool1d(3, 2, 1, True), X1), "avg 2d": (lambda nn: nn.AvgPool2d((3, 2)), X2),
    "avg 2d, all": (lambda nn: nn.AvgPool2d(3, (2, 1), (1, 0), True, False), X2), "avg 2d, override": (lambda nn: nn.AvgPool2d(2, divisor_override=3), X2[1:]),
    "avg 3d": (lambda nn: nn.AvgPool3d(2, 2, 1, True, False), X3), "lp 1d": (lambda nn: nn.LPPool1d(3, 2), X1),
    "lp 2d": (lambda nn: nn.LPPool2d(2, (2, 3), 2, True), X2), "lp 3d": (lambda nn: nn.LPPool3d(2, 2), X3),
    "adaptive avg 1d": (lambda nn: nn.AdaptiveAvgPool1d(4), X1), "adaptive avg 2d": (lambda nn: nn.AdaptiveAvgPool2d((None, 3)), X2),
    "adaptive avg 2d, to one": (lambda nn: nn.AdaptiveAvgPool2d(1), X2[1:]), "adaptive avg 3d": (lambda nn: nn.AdaptiveAvgPool3d((2, 3, 5)), X3),
    "adaptive max 1d": (lambda nn: nn.AdaptiveMaxPool1d(4, True), X1), "adaptive max 2d": (lambda nn: nn.AdaptiveMaxPool2d((4, None)), X2),
    "adaptive max 3d": (lambda nn: nn.AdaptiveMaxPool3d(3, return_indices=True), X3),
}  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_pytorchs(name):
    twins = pytest.importorskip("twins")
    build, shape = LAYERS[name]
    twins.check_module(build, twins.normal(*shape))


@pytest.mark.torch
@pytest.mark.parametrize("n", [1, 2, 3])
def test_unpooling_is_pytorchs(n):
    twins = pytest.importorskip("twins")

    def there_and_back(lib, x):
        values, indices = getattr(lib.nn, f"MaxPool{n}d")(2, 2, return_indices=True)(x)
        return getattr(lib.nn, f"MaxUnpool{n}d")(2, 2)(values, indices, output_size=x.shape)

    twins.check_function(there_and_back, twins.normal(*(X1, X2, X3)[n - 1]))


@pytest.mark.torch
@pytest.mark.parametrize("n, size, kernel, many", [
    (2, (2, 3, 9, 8), (2, 3), (4, 3)), (2, (3, 9, 8), 2, (3, 1)), (3, (2, 2, 5, 7, 6), (2, 3, 1), (2, 4, 3)),
])  # fmt: skip
def test_windows_from_given_random_numbers_are_pytorchs(n, size, kernel, many):
    twins = pytest.importorskip("twins")
    lead = size[:-n] if len(size) == n + 2 else (1, size[0])
    u = np.random.default_rng(0).random((*lead, n))
    twins.check_function(lambda lib, x: getattr(lib.nn.functional, f"fractional_max_pool{n}d")(
        x, kernel, many, return_indices=True, _random_samples=lib.tensor(u)), twins.normal(*size))


@pytest.mark.torch
@pytest.mark.parametrize("f", [
    lambda lib, x: lib.nn.functional.max_pool2d(x, 2, 2, 2), lambda lib, x: lib.nn.functional.max_pool2d(x, 2, 0),
    lambda lib, x: lib.nn.functional.max_pool2d(x, 9), lambda lib, x: lib.nn.functional.max_pool2d(x[0, 0], 2),
    lambda lib, x: lib.nn.functional.avg_pool2d(x, 2, divisor_override=0), lambda lib, x: lib.nn.functional.avg_pool2d(x, (1, 2, 2)),
    lambda lib, x: lib.nn.functional.adaptive_avg_pool2d(x, -1), lambda lib, x: lib.nn.functional.adaptive_max_pool2d(x[:, :, :0], 1),
    lambda lib, x: lib.nn.functional.max_unpool2d(x, x, 2), lambda lib, x: lib.nn.functional.max_unpool2d(x, x.long(), 2, output_size=(3, 3)),
    lambda lib, x: lib.nn.functional.max_unpool2d(x, x.long() * 0 + 999, 2), lambda lib, x: lib.nn.functional.fractional_max_pool2d(x, 2),
    lambda lib, x: lib.nn.functional.fractional_max_pool2d(x, 3, 6), lambda lib, x: lib.nn.FractionalMaxPool3d(2),
])  # fmt: skip
def test_errors_are_of_pytorchs_kinds(f):
    twins = pytest.importorskip("twins")
    twins.check_error(f, twins.normal(*X2))
