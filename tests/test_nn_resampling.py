"""Folding, shuffles, interpolation and sampling at a grid: definitions, inverses, errors; and PyTorch as the judge."""

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet.autograd import gradcheck, gradgradcheck


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def close(actual, expected, tolerance=1e-12):
    __tracebackhide__ = True
    np.testing.assert_allclose(actual.detach().numpy(), getattr(expected, "array", expected), tolerance, tolerance)


# --- folding and shuffles ---------------------------------------------------------------------------------------------


def test_a_convolution_is_a_product_with_the_unfolded_input():
    x, w = mg.tensor(normal(2, 3, 6, 7)), mg.tensor(normal(4, 3, 3, 2))
    columns = F.unfold(x, (3, 2), dilation=(1, 2), padding=1, stride=(2, 1))
    y = F.conv2d(x, w, stride=(2, 1), padding=1, dilation=(1, 2))
    close((w.reshape(4, -1) @ columns).reshape(y.shape), y, 1e-10)


def test_columns_run_over_channels_then_the_kernel():
    x = mg.arange(8).reshape(2, 2, 2).double()
    assert F.unfold(x, 2).tolist() == [[k] for k in range(8)]
    assert F.unfold(x, (1, 2)).tolist() == [[0, 2], [1, 3], [4, 6], [5, 7]]


def test_folding_is_the_adjoint_of_unfolding():
    how = {"kernel_size": (2, 3), "dilation": (2, 1), "padding": (1, 0), "stride": (1, 2)}
    x = mg.tensor(normal(2, 3, 5, 7))
    columns = F.unfold(x, **how)
    g = mg.tensor(normal(*columns.shape, seed=1))
    close((columns * g).sum(), (x * F.fold(g, (5, 7), **how)).sum(), 1e-10)
    assert F.fold(g[0], (5, 7), **how).equal(F.fold(g, (5, 7), **how)[0])


def test_folding_back_counts_how_often_an_element_was_seen():
    x = mg.ones(1, 1, 3, 3)
    assert F.fold(F.unfold(x, 2), 3, 2).tolist() == [[[[1, 2, 1], [2, 4, 2], [1, 2, 1]]]]


def test_shuffles_and_their_inverses():
    x = mg.tensor(normal(2, 8, 3, 5))
    assert F.pixel_shuffle(x, 2).shape == (2, 2, 6, 10)
    assert F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2).equal(x)
    assert F.pixel_shuffle(mg.arange(4).reshape(4, 1, 1), 2).tolist() == [[[0, 1], [2, 3]]]
    assert F.channel_shuffle(mg.arange(6).reshape(1, 6, 1), 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert F.channel_shuffle(F.channel_shuffle(x, 2), 4).equal(x)


# --- interpolation ----------------------------------------------------------------------------------------------------


def test_interpolation_known_by_hand():
    x = mg.tensor([[[0.0, 2, 4]]])
    assert F.interpolate(x, 6).tolist() == [[[0, 0, 2, 2, 4, 4]]]
    assert F.interpolate(x, 5, mode="linear", align_corners=True).tolist() == [[[0, 1, 2, 3, 4]]]
    assert F.interpolate(x, 6, mode="linear").tolist() == [[[0, 0.5, 1.5, 2.5, 3.5, 4]]]
    assert F.interpolate(mg.tensor([[[1.0, 3, 5, 7]]]), scale_factor=0.5, mode="area").tolist() == [[[2, 6]]]
    assert F.interpolate(mg.arange(4).reshape(1, 1, 4), 2, mode="nearest-exact").tolist() == [[[1, 3]]]


@pytest.mark.parametrize("mode, n", [("linear", 1), ("bilinear", 2), ("bicubic", 2), ("trilinear", 3)])
def test_a_plane_stays_a_plane(mode, n):
    grid = np.meshgrid(*[np.arange(5.0)] * n, indexing="ij")
    plane = sum((k + 1) * a for k, a in enumerate(grid))
    bigger = np.meshgrid(*[np.linspace(0, 4, 9)] * n, indexing="ij")
    expected = sum((k + 1) * a for k, a in enumerate(bigger))
    y = F.interpolate(mg.tensor(plane[None, None]), 9, mode=mode, align_corners=True).numpy()[0, 0]
    inside = (slice(2, -2),) * n if mode == "bicubic" else ...  # its outer elements see the border repeated
    np.testing.assert_allclose(y[inside], expected[inside], 1e-12, 1e-12)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
def test_smoothing_keeps_a_constant_and_the_same_size(mode):
    x = mg.full((1, 2, 9, 8), 3.0, dtype=mg.float64)
    close(F.interpolate(x, (4, 3), mode=mode, antialias=True), np.full((1, 2, 4, 3), 3.0))
    y = mg.tensor(normal(1, 2, 9, 8))
    close(F.interpolate(y, (9, 8), mode=mode, antialias=True), y, 1e-10)


def test_one_nan_does_not_spread():
    x = mg.zeros(1, 1, 6, 6)
    x[0, 0, 1, 1] = mg.nan
    y = F.interpolate(x, 12, mode="bilinear")
    assert y.isnan().sum().item() == 16
    x[0, 0, 1, 1] = mg.inf
    assert F.adaptive_avg_pool2d(x, 4).isinf().sum().item() == 4


def test_how_the_size_is_told():
    x = mg.zeros(1, 1, 5, 7)
    assert F.interpolate(x, scale_factor=1.5).shape == (1, 1, 7, 10)
    assert F.interpolate(x, scale_factor=(2, 0.5)).shape == (1, 1, 10, 3)
    assert F.interpolate(x, (3, 4), mode="area").shape == (1, 1, 3, 4)
    with pytest.warns(UserWarning, match="interpolate"):
        assert F.upsample(x, scale_factor=2).shape == (1, 1, 10, 14)


# --- a grid -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_the_grid_of_the_identity_gives_the_input(mode, align_corners):
    x = mg.tensor(normal(2, 3, 4, 5))
    theta = mg.tensor([[[1.0, 0, 0], [0, 1, 0]]] * 2, dtype=mg.float64)
    grid = F.affine_grid(theta, x.shape, align_corners)
    close(F.grid_sample(x, grid, mode, align_corners=align_corners), x, 1e-10)


def test_the_grid_has_the_last_dimension_first():
    x = mg.arange(6).reshape(1, 1, 2, 3).double()
    grid = mg.tensor([[[[1.0, -1], [-1, 1]]]], dtype=mg.float64)  # (x, y): the upper right, the lower left
    assert F.grid_sample(x, grid, align_corners=True).flatten().tolist() == [2, 3]


def test_outside_of_the_input():
    x = mg.tensor([[[[1.0, 2, 3]]]])
    grid = mg.tensor([[[[-3.0, 0], [5, 0], [mg.inf, 0], [-1e30, 0]]]])
    assert F.grid_sample(x, grid, align_corners=True).flatten().tolist() == [0, 0, 0, 0]
    assert F.grid_sample(x, grid, "nearest", "border", align_corners=True).flatten().tolist() == [1, 3, 3, 1]
    assert F.grid_sample(x, grid[:, :, :2], padding_mode="reflection", align_corners=True).flatten().tolist() == [3, 3]


# --- gradients, dtypes, errors ----------------------------------------------------------------------------------------

GRADIENTS = {
    "unfold": lambda x: F.unfold(x, 2, padding=1), "fold": lambda x: F.fold(x.reshape(1, 4, 10), (3, 6), 2),
    "pixel_shuffle": lambda x: F.pixel_shuffle(x.reshape(1, 4, 5, 2), 2), "bilinear": lambda x: F.interpolate(x, (3, 7), mode="bilinear"),
    "bicubic": lambda x: F.interpolate(x, scale_factor=1.7, mode="bicubic"), "nearest": lambda x: F.interpolate(x, (7, 3)),
    "area": lambda x: F.interpolate(x, (2, 3), mode="area"), "smoothed": lambda x: F.interpolate(x, (2, 3), mode="bicubic", antialias=True),
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_by_differences(name):
    x = mg.tensor(normal(1, 2, 5, 4), requires_grad=True)
    assert gradcheck(GRADIENTS[name], (x,), fast_mode=True)
    assert gradgradcheck(GRADIENTS[name], (x,), fast_mode=True)


@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_gradients_by_the_grid(mode, padding_mode):
    x = mg.tensor(normal(1, 2, 3, 4), requires_grad=True)
    grid = mg.tensor(normal(1, 2, 3, 2, seed=3), requires_grad=True)
    f = lambda x, grid: F.grid_sample(x, grid, mode, padding_mode, align_corners=False)  # noqa: E731
    assert gradcheck(f, (x, grid), fast_mode=True)
    assert gradgradcheck(f, (x, grid), fast_mode=True)


def test_p37_resampling_keeps_float32():
    x = mg.tensor(normal(1, 4, 4, 4)).float().requires_grad_()
    theta = mg.tensor(normal(1, 2, 3)).float()
    for y in (F.interpolate(x, 7, mode="bicubic"), F.interpolate(x, 3, mode="bilinear", antialias=True), F.unfold(x, 2),
              F.grid_sample(x, F.affine_grid(theta, (1, 1, 3, 3), False), align_corners=False), F.pixel_shuffle(x, 2)):
        x.grad = None
        y.sum().backward()
        assert y.dtype == x.grad.dtype == mg.float32
    assert F.interpolate(mg.ones(1, 1, 2, dtype=mg.int64), 3).dtype == mg.int64


@pytest.mark.parametrize("call, words", [
    (lambda x: F.fold(x[0], 4, 2), "(4, 4, 4) 9 columns"), (lambda x: F.unfold(x[0, 0], 2), "unfold (4, 4)"),
    (lambda x: F.unfold(x, 5), "(5, 5) fit (4, 4)"), (lambda x: F.pixel_shuffle(x, 3), "(1, 4, 4, 4) divisible 3²"),
    (lambda x: F.pixel_unshuffle(x, 3), "(1, 4, 4, 4) divisible 3"), (lambda x: F.pixel_shuffle(x[0, 0], 2), "(4, 4) 3 dimensions"),
    (lambda x: F.channel_shuffle(x, 3), "(1, 4, 4, 4) groups=3"), (lambda x: F.interpolate(x, 0), "(1, 4, 4, 4) [0, 0] empty"),
    (lambda x: F.interpolate(x, 3, mode="linear"), "'linear'"), (lambda x: F.interpolate(x.long(), 3, mode="bilinear"), "int64 .float()"),
    (lambda x: F.grid_sample(x, x, align_corners=False), "grid (1, 4, 4, 4)"),
    (lambda x: F.grid_sample(x, mg.zeros(1, 2, 2, 2).double(), align_corners=False), "float32 float64"),
])  # fmt: skip
def test_errors_say_what_does_not_fit(call, words):
    with pytest.raises(RuntimeError) as error:
        call(mg.ones(1, 4, 4, 4))
    at = 0
    for word in words.split():
        at = str(error.value).find(word, at)
        assert at >= 0, f"{word!r} in order in {error.value}"


# --- against PyTorch --------------------------------------------------------------------------------------------------

X = (2, 4, 6, 6)
LAYERS = {
    "unfold": (lambda nn: nn.Unfold((2, 3), dilation=(1, 2), padding=(1, 0), stride=2), X),
    "unfold, unbatched": (lambda nn: nn.Unfold(2), X[1:]), "fold": (lambda nn: nn.Fold((3, 4), 2), (2, 8, 6)),
    "fold, all": (lambda nn: nn.Fold(output_size=(5, 4), kernel_size=(2, 3), dilation=(2, 1), padding=(1, 1), stride=(2, 1)), (12, 12)),
    "pixel shuffle": (lambda nn: nn.PixelShuffle(2), X), "pixel unshuffle": (lambda nn: nn.PixelUnshuffle(3), X),
    "channel shuffle": (lambda nn: nn.ChannelShuffle(2), X), "upsample": (lambda nn: nn.Upsample(scale_factor=2), X),
    "upsample, size": (lambda nn: nn.Upsample((4, 7), mode="bicubic", align_corners=True), X),
    "upsample, scales": (lambda nn: nn.Upsample(scale_factor=(1.3, 0.6), mode="bilinear", recompute_scale_factor=True), X),
    "nearest": (lambda nn: nn.UpsamplingNearest2d(scale_factor=3), X), "bilinear": (lambda nn: nn.UpsamplingBilinear2d((9, 5)), X),
}  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_pytorchs(name):
    twins = pytest.importorskip("twins")
    build, shape = LAYERS[name]
    twins.check_module(build, twins.normal(*shape))


MODES = [(1, "nearest"), (1, "nearest-exact"), (1, "linear"), (1, "area"), (2, "bilinear"), (2, "bicubic"), (2, "nearest"),
         (3, "trilinear"), (3, "area"), (3, "nearest-exact")]  # fmt: skip
SIZES = [{"size": 7}, {"size": 2}, {"scale_factor": 1.7}, {"scale_factor": 0.6}, {"size": 5},
         {"scale_factor": 1.3, "recompute_scale_factor": True}]  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("n, mode", MODES)
def test_interpolation_is_pytorchs(n, mode):
    twins = pytest.importorskip("twins")
    for how in SIZES:
        for align in [None, True] if "linear" in mode or mode == "bicubic" else [None]:
            twins.check_function(lambda lib, x: lib.nn.functional.interpolate(x, mode=mode, align_corners=align, **how),
                                 twins.normal(1, 2, *(5, 4, 3)[:n]))


@pytest.mark.torch
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
def test_smoothing_is_pytorchs(mode):
    twins = pytest.importorskip("twins")
    if mode == "lanczos" and "lanczos" not in (twins.torch.nn.functional.interpolate.__doc__ or ""):
        pytest.skip("this PyTorch has no lanczos")
    for size in [(3, 4), (9, 2), (13, 20)]:
        twins.check_function(lambda lib, x: lib.nn.functional.interpolate(x, size, mode=mode, antialias=True),
                             twins.normal(1, 2, 9, 11))


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_nearest_element_is_pytorchs(dtype):
    torch = pytest.importorskip("torch")
    for n in range(1, 40):
        x = np.arange(n, dtype=dtype).reshape(1, 1, n)
        for how in [{"size": m} for m in range(1, 40)] + [{"scale_factor": s} for s in (0.7, 1.1, 1.3, 3.3) if n * s >= 1]:
            mine, theirs = (lib.nn.functional.interpolate(lib.tensor(x), **how).numpy() for lib in (mg, torch))
            np.testing.assert_array_equal(mine, theirs, err_msg=f"{n} {how}")


@pytest.mark.torch
@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("n, mode", [(2, "bilinear"), (2, "nearest"), (2, "bicubic"), (3, "bilinear"), (3, "nearest")])
def test_sampling_at_a_grid_is_pytorchs(n, mode, padding_mode, align):
    twins = pytest.importorskip("twins")
    x, grid = twins.normal(2, 2, *(4, 5, 3)[:n]), 1.5 * twins.normal(2, *(3, 2, 2)[:n], n)
    twins.check_function(lambda lib, x, grid: lib.nn.functional.grid_sample(x, grid, mode, padding_mode, align), x, grid,
                         second=mode == "bilinear" and n == 2)


@pytest.mark.torch
@pytest.mark.parametrize("align", [True, False])
def test_affine_grids_are_pytorchs(align):
    twins = pytest.importorskip("twins")
    for n, size in [(2, (2, 1, 3, 4)), (2, (2, 1, 1, 4)), (3, (2, 3, 2, 3, 4))]:
        twins.check_function(lambda lib, theta: lib.nn.functional.affine_grid(theta, size, align), twins.normal(2, n, n + 1))


@pytest.mark.torch
@pytest.mark.parametrize("f", [
    lambda lib, x: lib.nn.functional.fold(x[0], 4, 2), lambda lib, x: lib.nn.functional.unfold(x, 9), lambda lib, x: lib.nn.functional.pixel_shuffle(x, 3),
    lambda lib, x: lib.nn.functional.pixel_unshuffle(x, 4), lambda lib, x: lib.nn.functional.channel_shuffle(x, 3),
    lambda lib, x: lib.nn.functional.interpolate(x), lambda lib, x: lib.nn.functional.interpolate(x, 3, 3), lambda lib, x: lib.nn.functional.interpolate(x, (3,)),
    lambda lib, x: lib.nn.functional.interpolate(x, scale_factor=(1, 2, 3)), lambda lib, x: lib.nn.functional.interpolate(x, 3, align_corners=True),
    lambda lib, x: lib.nn.functional.interpolate(x, 3, mode="linear"), lambda lib, x: lib.nn.functional.interpolate(x, 3, antialias=True),
    lambda lib, x: lib.nn.functional.interpolate(x, 3, recompute_scale_factor=True), lambda lib, x: lib.nn.functional.interpolate(x, 0),
    lambda lib, x: lib.nn.functional.interpolate(x, 3.5), lambda lib, x: lib.nn.functional.grid_sample(x, x),
    lambda lib, x: lib.nn.functional.grid_sample(x, x, "cubic"), lambda lib, x: lib.nn.functional.affine_grid(x, (1, 2, 3)),
    lambda lib, x: lib.nn.functional.affine_grid(x, (1, 2, 3, 4)),
])  # fmt: skip
def test_errors_are_of_pytorchs_kinds(f):
    twins = pytest.importorskip("twins")
    twins.check_error(f, twins.normal(*X))
