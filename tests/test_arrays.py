"""Sorting, counting, accumulating, scattering, views and joining: against NumPy, loops in Python and what they must satisfy."""

import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import microgradnet as mg
from microgradnet import return_types

SMALL = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
MATRICES = arrays(np.float64, array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5),
                  elements=st.integers(-3, 3).map(float) | st.floats(-9, 9, width=32))  # fmt: skip


def tensor(values, **more):
    return mg.tensor(values, dtype=mg.float64, **more)


# --- order ------------------------------------------------------------------------------------------------------------


@SMALL
@given(MATRICES, st.booleans())
def test_sorting_permutes_and_orders(x, descending):
    values, indices = mg.tensor(x).sort(0, descending)
    np.testing.assert_array_equal(np.sort(indices.array, 0), np.broadcast_to(np.arange(len(x)).reshape(-1, *[1] * (x.ndim - 1)), x.shape))
    np.testing.assert_array_equal(values.array, np.take_along_axis(x, indices.array, 0))
    steps = np.diff(values.array, axis=0)
    assert (steps <= 0).all() if descending else (steps >= 0).all()
    equal = steps == 0
    assert (np.diff(indices.array, axis=0)[equal] > 0).all()  # equal elements keep their order, both ways


@SMALL
@given(MATRICES, st.data())
def test_parts_of_the_order(x, data):
    t, n = mg.tensor(x), x.shape[-1]
    k = data.draw(st.integers(1, n))
    ordered = np.sort(x, -1)
    np.testing.assert_array_equal(t.topk(k).values.array, ordered[..., ::-1][..., :k])
    np.testing.assert_array_equal(t.topk(k, largest=False).values.array, ordered[..., :k])
    np.testing.assert_array_equal(t.kthvalue(k).values.array, ordered[..., k - 1])
    np.testing.assert_array_equal(t.median(-1).values.array, ordered[..., (n - 1) // 2])
    assert t.median().item() == np.sort(x, None)[(x.size - 1) // 2]
    commonest = t.mode(-1).values.array
    counts = (x[..., None] == x[..., None, :]).sum(-1)
    here = np.where(x == commonest[..., None], counts, 0).max(-1)
    np.testing.assert_array_equal(here, counts.max(-1))
    np.testing.assert_array_equal(commonest, np.where(counts == here[..., None], x, np.inf).min(-1))


def test_nan_is_above_all_numbers():
    x = tensor([2.0, np.nan, 1.0])
    assert x.argsort().tolist() == [2, 0, 1] and x.argsort(descending=True).tolist() == [1, 0, 2]
    assert x.topk(1).indices.item() == 1 and x.median().isnan() and x.nanmedian().item() == 1
    assert x.cummax(0).indices.tolist() == [0, 1, 1] and x.cummin(0).values.isnan().tolist() == [False, True, True]


def test_gradients_go_where_the_elements_came_from():
    x = tensor([3.0, 1.0, 2.0, 1.0], requires_grad=True)
    for result, expected in [(x.sort().values, [4, 1, 3, 2]), (x.topk(2).values, [1, 0, 2, 0]), (x.kthvalue(1).values, [0, 1, 0, 0]),
                             (x.median(0).values, [0, 0, 0, 1]), (x.median(), [0, 0.5, 0, 0.5]), (x.cummin(0).values, [1, 5, 0, 4])]:  # fmt: skip
        (gradient,) = mg.autograd.grad((result * mg.arange(1, 5)[: result.numel()].reshape(result.shape)).sum(), x)
        assert gradient.tolist() == expected


def test_named_results():
    found = tensor([[1.0, 3.0, 2.0]]).max(1)
    assert repr(found) == "microgradnet.return_types.max(\nvalues=tensor([3.], dtype=microgradnet.float64),\nindices=tensor([1]))"
    values, indices = found
    assert found.values is values is found[0] and found.indices is indices and isinstance(found, return_types.max)
    again = pickle.loads(pickle.dumps(tensor([1.0, 2.0]).aminmax()))
    assert (again.min.item(), again.max.item()) == (1, 2) and type(again) is return_types.aminmax


# --- running results --------------------------------------------------------------------------------------------------


def test_p65_products_with_zeros_have_finite_gradients():
    for zeros in ([], [1], [1, 3], [0, 1, 2, 3]):
        start = np.array([0.5, -2.0, 3.0, 0.7])
        start[zeros] = 0
        x = tensor(start, requires_grad=True)
        weights = np.array([1.0, -0.3, 0.8, 2.0])
        (gradient,) = mg.autograd.grad((x.cumprod(0) * tensor(weights)).sum(), x)
        expected = [sum(weights[j] * np.prod(np.delete(start[: j + 1], k)) for j in range(k, 4)) for k in range(4)]
        np.testing.assert_allclose(gradient.array, expected, rtol=1e-13)
        assert mg.autograd.gradgradcheck(lambda x: x.cumprod(0), x)
        place = mg.tensor([0, 0, 1, 0])
        assert mg.autograd.gradgradcheck(lambda x: tensor([2.0, 0.0]).scatter_reduce(0, place, x, "prod"), x)


@SMALL
@given(MATRICES)
def test_running_results(x):
    t = mg.tensor(x)
    np.testing.assert_array_equal(t.cummax(0).values.array, np.maximum.accumulate(x))
    np.testing.assert_array_equal(t.cummin(-1).values.array, np.minimum.accumulate(x, -1))
    np.testing.assert_allclose(t.logcumsumexp(0).array, np.log(np.cumsum(np.exp(x), 0)), atol=1e-12)
    np.testing.assert_allclose(t.cumsum(0).diff(dim=0, prepend=mg.zeros_like(t)[:1]).array, x, atol=1e-12)
    np.testing.assert_allclose(mg.trapezoid(t, dx=0.5).array, np.trapezoid(x, dx=0.5), atol=1e-12)
    if min(x.shape) > 2:
        found = mg.gradient(t, edge_order=2)
        for ours, theirs in zip(found, np.gradient(x, edge_order=2) if x.ndim > 1 else [np.gradient(x, edge_order=2)]):
            np.testing.assert_allclose(ours.array, theirs, atol=1e-12)


def test_logcumsumexp_neither_overflows_nor_underflows():
    x = tensor([-1e4, 1e4, -np.inf, 1e4], requires_grad=True)
    y = x.logcumsumexp(0)
    np.testing.assert_allclose(y.detach().array, [-1e4, 1e4, 1e4, 1e4 + np.log(2)])
    y.sum().backward()
    np.testing.assert_allclose(x.grad.array, [1, 2.5, 0, 0.5])


def test_quantiles_as_numpys():
    x = np.random.default_rng(0).standard_normal((4, 5))
    for method in ("linear", "lower", "higher", "midpoint", "nearest"):
        for dim in (None, 0, 1):
            q = np.array([0.0, 0.3, 0.77, 1.0])
            ours = mg.tensor(x).quantile(mg.tensor(q), dim, interpolation=method)
            np.testing.assert_allclose(ours.array, np.quantile(x, q, axis=dim, method=method), atol=1e-14)
    x[1, 2] = np.nan
    np.testing.assert_allclose(mg.tensor(x).nanquantile(0.4, 0).array, np.nanquantile(x, 0.4, axis=0))
    np.testing.assert_array_equal(mg.tensor(x).quantile(0.4, 0).isnan().array, np.isnan(x).any(0))


def test_covariances_as_numpys():
    x, often, much = np.random.default_rng(0).standard_normal((3, 6)), np.array([1, 2, 0, 3, 1, 1]), np.arange(1.0, 7)
    ours = mg.cov(mg.tensor(x), correction=2, fweights=mg.tensor(often), aweights=mg.tensor(much))
    np.testing.assert_allclose(ours.array, np.cov(x, ddof=2, fweights=often, aweights=much))
    np.testing.assert_allclose(mg.corrcoef(mg.tensor(x)).array, np.corrcoef(x))


# --- counting ---------------------------------------------------------------------------------------------------------


@SMALL
@given(arrays(np.int64, array_shapes(max_dims=2, max_side=5), elements=st.integers(0, 4)))
def test_distinct_elements(x):
    t = mg.tensor(x)
    values, inverse, counts = t.unique(return_inverse=True, return_counts=True)
    assert values.tolist() == sorted(set(x.reshape(-1).tolist()))
    np.testing.assert_array_equal(values[inverse].array, x)
    np.testing.assert_array_equal(counts.array, t.reshape(-1).bincount()[values].array)
    runs, inverse, counts = mg.unique_consecutive(t, return_inverse=True, return_counts=True)
    assert (np.diff(runs.array) != 0).all()
    np.testing.assert_array_equal(runs[inverse].array, x)
    np.testing.assert_array_equal(runs.repeat_interleave(counts).array, x.reshape(-1))
    np.testing.assert_array_equal(mg.isin(t, mg.tensor([1, 3])).array, np.isin(x, [1, 3]))
    rows = t.unique(dim=0)
    np.testing.assert_array_equal(rows.array, np.unique(x, axis=0))


def test_places_in_an_order():
    edges = tensor([1.0, 2.0, 2.0, 5.0])
    assert mg.searchsorted(edges, tensor([0.0, 2.0, 9.0])).tolist() == [0, 1, 4]
    assert mg.bucketize(tensor([0.0, 2.0, 9.0]), edges, right=True).tolist() == [0, 3, 4]
    assert mg.searchsorted(edges, 2.0, side="right").item() == 3
    assert mg.searchsorted(tensor([[1.0, 3], [2, 4]]), tensor([[2.0], [2.0]])).tolist() == [[1], [0]]


def test_histograms():
    x = tensor([0.0, 0.5, 1.0, 1.0, 2.0])
    assert mg.histc(x, 2).tolist() == [2, 3] and mg.histc(x, 2, 0, 1).tolist() == [1, 3]
    hist, edges = mg.histogram(x, 4, weight=tensor([1.0, 2, 3, 4, 5]), density=True)
    assert edges.tolist() == [0, 0.5, 1, 1.5, 2] and (hist * 0.5).sum().item() == pytest.approx(1)
    whole = mg.histogramdd(mg.stack([x, -x], 1), [2, 2]).hist
    assert whole.tolist() == [[0, 2], [1, 2]]


# --- scattering -------------------------------------------------------------------------------------------------------

REDUCTIONS = {"sum": sum, "prod": np.prod, "mean": np.mean, "amax": max, "amin": min}


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("include_self", [True, False])
def test_scattered_reductions_by_hand(reduce, include_self):
    rng = np.random.default_rng(0)
    x, source, index = rng.standard_normal((4, 3)), rng.standard_normal((5, 3)), rng.integers(0, 3, (5, 3))
    expected = x.copy()
    for k in range(4):
        for j in range(3):
            arriving = [source[i, j] for i in range(5) if index[i, j] == k]
            if arriving:
                expected[k, j] = REDUCTIONS[reduce]([x[k, j]] * include_self + arriving)
    ours = mg.tensor(x).scatter_reduce(0, mg.tensor(index), mg.tensor(source), reduce, include_self=include_self)
    np.testing.assert_allclose(ours.array, expected)
    if reduce != "sum":
        rows = mg.tensor(index[:, 0])
        ours = mg.tensor(x).index_reduce(0, rows, mg.tensor(source), reduce, include_self=include_self)
        column = mg.tensor(x).scatter_reduce(0, rows[:, None].expand(5, 3), mg.tensor(source), reduce, include_self=include_self)
        np.testing.assert_array_equal(ours.array, column.array)


def test_p64_ties_for_a_scattered_extreme_share_the_gradient():
    x, source = tensor([2.0, 0.0], requires_grad=True), tensor([2.0, 2.0, 1.0], requires_grad=True)
    x.scatter_reduce(0, mg.tensor([0, 0, 1]), source, "amax").sum().backward()
    np.testing.assert_allclose(x.grad.array, [1 / 3, 0])
    np.testing.assert_allclose(source.grad.array, [1 / 3, 1 / 3, 1])


def test_what_is_overwritten_gets_no_gradient():
    x, value = tensor(np.arange(6.0).reshape(2, 3), requires_grad=True), tensor([7.0, 8.0, 9.0], requires_grad=True)
    index = mg.tensor([1])
    for result in (x.index_copy(0, index, value[None]), x.select_scatter(value, 0, 1), x.slice_scatter(value[None], 0, 1),
                   x.index_put((index,), value), x.masked_scatter(mg.tensor([[False], [True]]), value), x.diagonal_scatter(value[:2], 1)):  # fmt: skip
        kept, given_ = mg.autograd.grad(result.sum(), [x, value])
        assert kept.sum() + given_.sum() == 6 and given_.sum() == (result.detach() >= 7).sum()
    (g,) = mg.autograd.grad(x.index_fill(1, mg.tensor([0, 0, -1]), value[0]).sum(), value)
    assert g.tolist() == [4, 0, 0]  # a place that is named twice is written once


# --- views ------------------------------------------------------------------------------------------------------------

VIEWS = {
    "narrow": lambda x: x.narrow(0, 1, 2), "select": lambda x: x.select(1, -1), "diagonal": lambda x: x.diagonal(1),
    "movedim": lambda x: x.movedim(0, 1)[1:], "unfold": lambda x: x.unfold(1, 2, 2), "as_strided": lambda x: x.as_strided((2, 2), (5, 1), 3),
    "adjoint": lambda x: x.adjoint()[2], "tensor_split": lambda x: x.tensor_split(3, 1)[2], "vsplit": lambda x: x.vsplit(2)[1],
    "unflatten": lambda x: x.unflatten(0, (2, 2))[1], "H": lambda x: x.H[0], "swapdims": lambda x: x.swapdims(0, 1)[3:],
    "squeeze": lambda x: x[1:2].squeeze((0,)), "expand": lambda x: x[0].expand(1, 5),
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_writes_through_a_view_reach_the_base(name):
    view, factor = VIEWS[name], tensor(3.0, requires_grad=True)
    start = np.arange(1.0, 21).reshape(4, 5)
    mask = np.zeros(20, bool)
    mask[(view(mg.tensor(start)).array.reshape(-1) - 1).astype(int)] = True
    leaf = mg.tensor(start, requires_grad=True)
    base = leaf * 1
    part = view(base)
    assert np.shares_memory(part.array, base.array)
    part.mul_(factor)
    np.testing.assert_array_equal(base.detach().array, np.where(mask.reshape(4, 5), 3 * start, start))
    (base**2).sum().backward()
    np.testing.assert_allclose(leaf.grad.array, np.where(mask.reshape(4, 5), 18 * start, 2 * start))
    assert factor.grad.item() == pytest.approx((6 * start.reshape(-1)[mask] ** 2).sum())
    assert view(mg.tensor(start, requires_grad=True)).requires_grad


@pytest.mark.parametrize("name", VIEWS)
def test_a_write_into_the_base_shows_in_a_view(name):
    base = tensor(np.arange(20.0).reshape(4, 5))
    part = VIEWS[name](base)
    base.mul_(tensor(2.0, requires_grad=True))
    assert part.requires_grad
    np.testing.assert_array_equal(part.detach().array, VIEWS[name](base).detach().array)


def test_overlapping_views_are_not_written():
    with pytest.raises(RuntimeError, match="share places"):
        mg.zeros(4).unfold(0, 3, 1).add_(1)
    with pytest.raises(RuntimeError, match="share places"):
        mg.zeros(4).as_strided((3, 2), (1, 1)).add_(1)


def test_as_strided_sees_the_memory_behind():
    x = tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    row = x[1]
    assert row.as_strided((2,), (1,)).tolist() == [3, 4] and row.as_strided((2, 2), (3, 1), 0).tolist() == [[0, 1], [3, 4]]
    assert mg.tensor([[1.0, 2], [3, 4]]).T.as_strided((4,), (1,)).tolist() == [1, 2, 3, 4]
    (g,) = mg.autograd.grad(row.as_strided((2, 2), (3, 1), 0).sum(), row, allow_unused=True)
    assert g.tolist() == [1, 1, 0]  # only two of what it shows are elements of the row
    with pytest.raises(RuntimeError, match="reach beyond"):
        x.as_strided((3, 3), (3, 1))


def test_windows_add_up():
    x = mg.arange(6, dtype=mg.float64).requires_grad_()
    y = x.unfold(0, 3, 2)
    assert y.tolist() == [[0, 1, 2], [2, 3, 4]]
    y.sum().backward()
    assert x.grad.tolist() == [1, 1, 2, 1, 1, 0]


# --- joining and rearranging --------------------------------------------------------------------------------------------


def test_grids_and_products():
    a, b = mg.tensor([1, 2]), mg.tensor([3, 4, 5])
    for indexing in ("ij", "xy"):
        for ours, theirs in zip(mg.meshgrid(a, b, indexing=indexing), np.meshgrid(a.array, b.array, indexing=indexing)):
            np.testing.assert_array_equal(ours.array, theirs)
    assert mg.cartesian_prod(a, b).tolist() == [[i, j] for i in (1, 2) for j in (3, 4, 5)]
    assert mg.combinations(b).tolist() == [[3, 4], [3, 5], [4, 5]] and mg.combinations(a, 2, True).tolist() == [[1, 1], [1, 2], [2, 2]]
    assert mg.block_diag(a, mg.tensor([[6], [7]])).tolist() == [[1, 2, 0], [0, 0, 6], [0, 0, 7]]
    assert mg.broadcast_shapes((2, 1), (1, 3), ()) == (2, 3)


@SMALL
@given(MATRICES, st.integers(-7, 7))
def test_turning(x, k):
    t = mg.tensor(x)
    np.testing.assert_array_equal(t.roll(k).array, np.roll(x, k))
    np.testing.assert_array_equal(t.roll(k, -1).array, np.roll(x, k, -1))
    if x.ndim > 1:
        np.testing.assert_array_equal(t.rot90(k).array, np.rot90(x, k))
        np.testing.assert_array_equal(t.fliplr().flipud().array, t.rot90(2).array)
        np.testing.assert_array_equal(mg.stack(mg.unravel_index(mg.arange(x.size), x.shape)).array, np.indices(x.shape).reshape(x.ndim, -1))
    np.testing.assert_array_equal(mg.cat(t.tensor_split(abs(k) + 1)).array, x)


def test_resizing():
    x = mg.tensor([[1, 2], [3, 4]])
    assert x.resize_(4) is x and x.tolist() == [1, 2, 3, 4]
    assert x.resize_(2, 3).shape == (2, 3) and x.reshape(-1)[:4].tolist() == [1, 2, 3, 4]
    assert x.resize_as_(mg.zeros(2)).tolist() == [1, 2]
    with pytest.raises(RuntimeError, match="requires grad"):
        mg.zeros(2, requires_grad=True).resize_(3)


# --- products ---------------------------------------------------------------------------------------------------------


def test_products_as_numpys():
    rng = np.random.default_rng(0)
    a, b, c = rng.standard_normal((2, 3, 4)), rng.standard_normal((4, 3, 5)), rng.standard_normal((5, 2))
    np.testing.assert_allclose(mg.tensordot(mg.tensor(a), mg.tensor(b), ([1, 2], [1, 0])).array, np.tensordot(a, b, ([1, 2], [1, 0])))
    np.testing.assert_allclose(mg.kron(mg.tensor(c), mg.tensor(a[0])).array, np.kron(c, a[0]))
    np.testing.assert_allclose(mg.cross(mg.tensor(a), mg.tensor(2 * a[::-1]), 1).array, np.cross(a, 2 * a[::-1], axis=1), atol=1e-15)
    np.testing.assert_allclose(mg.chain_matmul(*map(mg.tensor, (c.T, c, a[:, 0], b[:, 0]))).array, c.T @ c @ a[:, 0] @ b[:, 0])
    np.testing.assert_allclose(mg.inner(mg.tensor(a), mg.tensor(a[0])).array, np.inner(a, a[0]))


def test_a_chain_is_multiplied_in_the_order_that_costs_least():
    from microgradnet.ops.products import _best_cuts

    assert _best_cuts([10, 100, 5, 50])[0, 2] == 1  # (A B) C takes 7500 multiplications, A (B C) 75000
    assert _best_cuts([30, 35, 15, 5, 10, 20, 25])[0, 5] == 2  # the textbook's example


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3.0, float("inf")])
def test_distances(p):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((4, 3)), rng.standard_normal((2, 5, 3))
    expected = [[[np.linalg.norm(a - b, p) for b in z] for a in x] for z in y]
    np.testing.assert_allclose(mg.cdist(mg.tensor(x), mg.tensor(y), p).array, expected)
    both = mg.tensor(x, requires_grad=True)
    mg.cdist(both, both, p).sum().backward()
    assert both.grad.isfinite().all()  # where points meet, the gradient is 0


def test_distances_of_points_close_by_are_exact():
    x = tensor([[1e6, 1e6]])
    assert mg.cdist(x, x + 1e-3).item() == pytest.approx(np.sqrt(2) * 1e-3, rel=1e-6)


# --- creation ---------------------------------------------------------------------------------------------------------


def test_windows_of_signals():
    for name in ("bartlett", "blackman", "hamming"):
        ours = getattr(mg, f"{name}_window")(8, periodic=False, dtype=mg.float64)
        np.testing.assert_allclose(ours.array, getattr(np, name)(8), atol=1e-15)
    np.testing.assert_allclose(mg.hann_window(8, dtype=mg.float64).array, np.hanning(9)[:-1], atol=1e-15)
    np.testing.assert_allclose(mg.kaiser_window(8, False, 5.0, dtype=mg.float64).array, np.kaiser(8, 5.0))
    assert mg.hann_window(3).dtype == mg.float32 and mg.hann_window(1).tolist() == [1] and mg.hann_window(0).shape == (0,)


def test_memory_of_given_strides():
    assert mg.empty_strided((2, 3), (1, 2)).stride() == (1, 2) and mg.empty_permuted((2, 3, 4), (1, 0, 2)).stride() == (4, 8, 1)
    assert mg.scalar_tensor(3).dtype == mg.float32
    with pytest.raises(TypeError, match="out of scope"):
        mg.complex(mg.zeros(2), mg.zeros(2))
    np.testing.assert_array_equal(mg.vander(mg.tensor([1, 2, 3]), 3).array, np.vander([1, 2, 3], 3))
