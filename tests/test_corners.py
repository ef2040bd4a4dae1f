"""Where small frameworks go wrong, by the numbers of the list of pitfalls: identity of operands, dtypes, NumPy scalars,
subgradients, and arguments that overflow."""

import math

import numpy as np
import pytest
from samples import DIFFERENTIABLE, INTERNAL, SAMPLES, TABLE

import microgradnet as mg


def leaf(values, dtype=mg.float64):
    return mg.tensor(values, dtype=dtype, requires_grad=True)


def slope(f, *values, dtype=mg.float64):
    """The gradients of the sum of f at these values, as nested lists."""
    leaves = [leaf(v, dtype) for v in values]
    grads = mg.autograd.grad(f(*leaves).sum(), leaves, allow_unused=True)
    return grads[0].tolist() if len(grads) == 1 else [g.tolist() for g in grads]


# --- operands ---------------------------------------------------------------------------------------------------------


def test_p03_a_node_used_twice():
    a = leaf(1.0)
    b = a + a
    c = b + b
    c.backward()
    assert a.grad.item() == 4


def test_p04_a_tensor_twice_in_one_operation():
    assert slope(lambda x: x * x, 3.0) == 6
    assert slope(lambda x: x + x, 3.0) == 2
    assert slope(lambda x: x - x, 3.0) == 0
    assert slope(lambda x: mg.cat([x, x, x]), [1.0, 2.0]) == [3, 3]
    assert slope(lambda x: mg.stack([x, x]), [1.0, 2.0]) == [2, 2]
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(slope(lambda x: x @ x.T, x), 2 * np.tile(x.sum(0), (2, 1)))
    assert (leaf(3.0) * 1).node.inputs[0] is not None
    y = leaf(3.0)
    assert (y * y).node.inputs == [y, y]


def test_p08_gradients_of_leaves_are_their_own():
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (a + b).sum().backward()
    a.grad.zero_()
    assert b.grad.tolist() == [1, 1]


def test_p09_the_seed_is_not_kept():
    seed = np.array([1.0, 2.0])
    a = leaf([1.0, 2.0])
    (a * 1).backward(mg.Tensor(seed))
    seed[:] = 7
    assert a.grad.tolist() == [1, 2]
    seed = mg.ones(2, dtype=mg.float64)
    a.grad = None
    a.backward(seed)
    seed.zero_()
    assert a.grad.tolist() == [1, 1]


# --- dtypes -----------------------------------------------------------------------------------------------------------


def test_p37_float32_stays_through_numbers():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    results = [x / 2, 2 / x, x * 2.5, x + 1, 1 - x, x**2, 2**x, x // 2, x % 2, x.mean(), x.var(), x.std(), x.clamp(0.5, 1.5),
               mg.where(x > 1, x, 0.5), mg.where(x > 1, 1.0, 0.0), x.masked_fill(x > 1, 0.5), mg.maximum(x, mg.tensor(1.5)),
               x + np.float64(2), np.float64(2) * x, x * True, x * mg.tensor(2), x.norm(), x.sum() * 2, x.mean() / 3, -x.mean(),
               x.mean() ** 2, x.logsumexp(0), x * math.pi, x @ x, x.lerp(x, 0.5), mg.addcmul(x, x, x, value=0.1)]  # fmt: skip
    for y in results:
        assert y.dtype == mg.float32, y
        if y.requires_grad:
            (g,) = mg.autograd.grad(y.sum(), x, retain_graph=True)
            assert g.dtype == mg.float32


def test_p38_gradients_have_the_dtype_and_shape_of_their_tensor():
    single, double = mg.ones((), requires_grad=True), leaf([1.0, 2.0])
    (single * double).sum().backward()
    assert (single.grad.dtype, single.grad.shape, double.grad.dtype) == (mg.float32, (), mg.float64)


def test_p39_numbers_come_out_as_tensors():
    x = leaf([1.0, 2.0])
    for y in (x.sum(), x[0], x @ x, x.max(), x.sum() * 2, mg.exp(x.sum()), x.argmax(), (x > 1).all(), x.unbind()[0]):
        assert isinstance(y, mg.Tensor) and y.shape == () and type(y.array) is np.ndarray
        assert type(y.detach().numpy()) is np.ndarray


def test_p40_whole_numbers():
    whole = mg.tensor([1, 2])
    assert whole.dtype == mg.int64 and (whole / 2).dtype == mg.float32 and (whole // 2).dtype == mg.int64
    assert whole.sum().dtype == mg.int64 and mg.tensor([True]).sum().dtype == mg.int64
    assert mg.tensor([1], dtype=mg.uint8).sum().dtype == mg.int64
    for dtype in (mg.float16, mg.float32, mg.float64):
        w = mg.ones(3, dtype=dtype, requires_grad=True)
        assert (mg.tensor(2) * w).dtype == dtype and (w * mg.tensor([1, 2, 3])).dtype == dtype
    with pytest.raises(RuntimeError, match="floating point"):
        mg.tensor([1, 2], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"mean\(\) of whole numbers.*float\(\)"):
        whole.mean()
    with pytest.raises(RuntimeError, match="whole numbers"):
        whole.var()


def test_p40_whole_numbers_take_part_without_a_gradient():
    x, n = leaf([1.0, 2.0]), mg.tensor([3, 4])
    (x * n).sum().backward()
    assert x.grad.tolist() == [3, 4] and n.grad is None


@pytest.mark.parametrize("default", [mg.float32, mg.float64])
def test_p41_the_default_dtype(default):
    mg.set_default_dtype(default)
    try:
        assert mg.tensor([1.0]).dtype == default and (mg.tensor([1]) + 0.5).dtype == default
        assert mg.exp(mg.tensor([1])).dtype == default and (mg.tensor([1]) / 2).dtype == default
    finally:
        mg.set_default_dtype(mg.float32)


def test_p41_mixed_dtypes_follow_one_rule():
    single, double = mg.ones(2), mg.ones(2, dtype=mg.float64)
    assert mg.from_numpy(np.ones(2)).dtype == mg.float64
    assert (single + double).dtype == mg.float64
    assert (single + double.sum()).dtype == mg.float32  # a tensor without dimensions does not widen one that has some
    assert (mg.ones(2, dtype=mg.int64) + double.sum()).dtype == mg.float64
    with pytest.raises((RuntimeError, TypeError), match="float32.*float64"):
        mg.ones(2, 2) @ mg.ones(2, 2, dtype=mg.float64)


def test_p42_the_truth_of_a_tensor():
    assert not mg.tensor([0.0]) and mg.tensor([[2.0]]) and not mg.tensor(0) and mg.tensor(True)
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(mg.ones(2))
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(mg.ones(0))


def test_p43_equality_is_elementwise_and_hashing_by_identity():
    a, b = mg.tensor([1.0, 2.0]), mg.tensor([1.0, 3.0])
    assert (a == b).tolist() == [True, False] and (a != b).tolist() == [False, True]
    assert {a: 1}[a] == 1 and len({a, b, a}) == 2
    assert (a == 1).tolist() == [True, False] and (a == np.array([1.0, 2.0])).all()
    assert (a == "a") is False and (a != None) is True  # noqa: E711


def test_p47_tensors_as_python_values():
    x = mg.tensor([1.5, 2.0])
    assert float(x[0]) == 1.5 and int(x[1]) == 2 and x[0].item() == 1.5 and type(x[0].item()) is float
    assert f"{x[0]:.3f}" == "1.500" and round(x[0]).item() == 2 and x.tolist() == [1.5, 2.0]
    assert len(x) == 2 and [v.item() for v in x] == [1.5, 2.0] and 2.0 in x and 3.0 not in x
    assert sum([x, x]).tolist() == [3, 4] and [1, 2, 3][mg.tensor(1)] == 2 and complex(x[0]) == 1.5
    for refused in (len, list):
        with pytest.raises(TypeError, match="0-d"):
            refused(x[0])
    with pytest.raises((RuntimeError, ValueError), match="2 elements"):
        float(x)


# --- numbers ----------------------------------------------------------------------------------------------------------

# Elementwise, and so without samples of their own; frexp has two results.
SAFE = [name for name in DIFFERENTIABLE if TABLE[name].arity == 1 and name not in (*SAMPLES, *INTERNAL, "frexp") and (
    not TABLE[name].names or name in ("leaky_relu", "elu", "softplus", "hardtanh", "gelu"))]  # fmt: skip


@pytest.mark.parametrize("dtype", [mg.float32, mg.float64])
@pytest.mark.parametrize("name", SAFE)
def test_p66_no_warning_where_the_result_is_finite(name, dtype):
    big = 1e4 if dtype == mg.float32 else 1e200
    for value in (0.0, -0.0, 1.0, -1.0, 30.0, -30.0, 1e4, -1e4, big, -big, 1e-30, -1e-30, math.inf, -math.inf):
        x = leaf([value], dtype)
        with np.errstate(all="ignore"):
            finite = np.isfinite(TABLE[name](x.array)).all()
        if finite:
            y = TABLE[name](x)  # a warning is an error in these tests
            (g,) = mg.autograd.grad(y, x, mg.ones(1, dtype=dtype), create_graph=True)
            if g.requires_grad and np.isfinite(g.array).all():
                g.sum().backward()


def test_p57_sigmoid_in_its_tails():
    x = leaf([-1e4, -700.0, -40.0, 40.0, 1e4])
    y = mg.sigmoid(x)
    np.testing.assert_allclose(y.detach().numpy(), [0, math.exp(-700), math.exp(-40), 1, 1], rtol=1e-14, atol=1e-307)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0, math.exp(-700), math.exp(-40), 0, 0], rtol=1e-14, atol=1e-307)
    single = mg.sigmoid(mg.tensor([-1e4, -80.0, 80.0, 1e4]))
    np.testing.assert_allclose(single.numpy(), [0, math.exp(-80), 1, 1], rtol=1e-5, atol=1e-37)


@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_p58_softmax_is_shift_invariant_and_finite(shift):
    x = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 0.0]])
    for function in (mg.softmax, mg.log_softmax):
        np.testing.assert_allclose(function(mg.tensor(x + shift), 1).numpy(), function(mg.tensor(x), 1).numpy(), rtol=1e-11)
        weights = mg.tensor([[1.0, -2.0, 3.0]], dtype=mg.float64)
        grads = slope(lambda x: function(x, 1) * weights, x + shift)
        np.testing.assert_allclose(np.sum(grads, 1), 0, atol=1e-12)
    spread = mg.log_softmax(mg.tensor([[0.0, 1e4, -1e4]]), 1)
    assert spread.tolist() == [[-1e4, 0, -2e4]]
    assert mg.softmax(mg.tensor([-math.inf, 0.0]), 0).tolist() == [0, 1]


def test_p61_powers():
    assert slope(lambda x: x**0, [0.0, 2.0]) == [0, 0]
    assert slope(lambda x: x**1, [0.0, 2.0]) == [1, 1]
    assert slope(lambda x: x**2, [0.0, -3.0]) == [0, -6]
    assert slope(lambda x: x**0.5, [0.0, 4.0]) == [math.inf, 0.25]
    assert slope(lambda x: x**-1, [0.0])[0] == -math.inf
    base, exponent = slope(lambda x, n: x**n, [-2.0, 0.0, 0.0, 2.0], [3.0, 0.0, 2.0, 0.0])
    assert base == [12, 0, 0, 0]
    assert math.isnan(exponent[0]) and exponent[1:3] == [0, 0] and exponent[3] == pytest.approx(math.log(2))
    assert slope(lambda n: 0.0**n, [2.0, 0.0]) == [0, 0]
    assert slope(lambda n: 2**n, [3.0])[0] == pytest.approx(8 * math.log(2))
    x = leaf([0.0, 1.0])
    (g,) = mg.autograd.grad((x**2).sum(), x, create_graph=True)
    assert mg.autograd.grad(g.sum(), x)[0].tolist() == [2, 2]


def test_p61_whole_powers_of_whole_numbers():
    assert (mg.tensor([2, -3]) ** 2).tolist() == [4, 9]
    assert (mg.tensor([2.0]) ** mg.tensor([3])).tolist() == [8]


def test_p62_roots_and_norms_at_zero():
    assert slope(mg.sqrt, [0.0, 4.0]) == [math.inf, 0.25]
    for p in (2, 1, 3, math.inf, 0.5, "fro"):
        assert slope(lambda x: x.norm(p), [0.0, 0.0]) == [0, 0], p
        assert slope(lambda x: x.norm(p, dim=1), [[0.0, 0.0], [3.0, 4.0]])[0] == [0, 0], p
    assert slope(lambda x: x.std(), [2.0, 2.0, 2.0]) == [0, 0, 0]
    assert slope(lambda x: x.std(1), [[2.0, 2.0], [1.0, 3.0]])[0] == [0, 0]
    assert slope(lambda x: x.var(), [2.0, 2.0]) == [0, 0]


def test_p63_where_keeps_nan_out_of_the_branch_not_taken():
    x = leaf([0.0, 4.0])
    safe = mg.where(x > 0, x, 1.0)
    assert mg.autograd.grad(mg.where(x > 0, safe.sqrt(), 0.0).sum(), x)[0].tolist() == [0, 0.25]
    (leaking,) = mg.autograd.grad(mg.where(x > 0, x.sqrt(), 0.0).sum(), x)  # as documented: 0 · inf
    assert math.isnan(leaking[0].item()) and leaking[1].item() == 0.25
    a, b = leaf([math.nan, 1.0]), leaf([2.0, math.inf])
    ga, gb = mg.autograd.grad(mg.where(mg.tensor([False, True]), a, b).sum(), [a, b])
    assert ga.tolist() == [0, 1] and gb.tolist() == [1, 0]
    assert "nan" in mg.where.__doc__


def test_p64_ties_and_kinks():
    third = pytest.approx(1 / 3)
    assert slope(lambda x: x.max(), [1.0, 3.0, 3.0]) == [0, 0.5, 0.5]
    assert slope(lambda x: x.min(), [2.0, 2.0, 2.0]) == [third] * 3
    assert slope(lambda x: x.amax(1), [[3.0, 3.0], [1.0, 2.0]]) == [[0.5, 0.5], [0, 1]]
    assert slope(lambda x: x.amin((0, 1)), [[3.0, 1.0], [1.0, 2.0]]) == [[0, 0.5], [0.5, 0]]
    assert slope(lambda x: x.max(1).values, [[3.0, 3.0], [1.0, 2.0]]) == [[1, 0], [0, 1]]
    assert slope(lambda x: x.min(0)[0], [[3.0, 1.0], [3.0, 2.0]]) == [[1, 1], [0, 0]]
    assert slope(mg.maximum, [1.0, 2.0], [1.0, 1.0]) == [[0.5, 1], [0.5, 0]]
    assert slope(mg.minimum, [1.0, 2.0], [1.0, 1.0]) == [[0.5, 0], [0.5, 1]]
    assert slope(mg.relu, [0.0, -0.0, 1.0, -1.0]) == [0, 0, 1, 0]
    assert slope(mg.abs, [0.0, -2.0, 2.0]) == [0, -1, 1]
    assert slope(lambda x: x.clamp(-1, 1), [-1.0, 1.0, 0.0, 2.0, -2.0]) == [1, 1, 1, 0, 0]
    low, high = slope(lambda a, b: mg.tensor([0.0, 3.0, 1.0], dtype=mg.float64).clamp(a, b), [1.0] * 3, [2.0] * 3)
    assert low == [1, 0, 0] and high == [0, 1, 0]
    assert slope(mg.sign, [0.0, 1.0]) == [0, 0] and slope(mg.floor, [1.0, 1.5]) == [0, 0]
    assert slope(lambda x: x.round(), [0.5, 1.5]) == [0, 0]


def test_p64_max_gives_values_and_first_indices():
    values, indices = mg.tensor([[1.0, 3.0, 3.0], [5.0, 2.0, 5.0]]).max(1)
    assert values.tolist() == [3, 5] and indices.tolist() == [1, 0] and indices.dtype == mg.int64
    result = mg.tensor([[1.0, 3.0]]).min(dim=1, keepdim=True)
    assert result.values.shape == (1, 1) and result.indices.tolist() == [[0]]
    assert mg.tensor([[1.0, 7.0], [9.0, 2.0]]).argmax().item() == 2
    assert mg.tensor([1.0, math.nan, 2.0]).argmax().item() == 1


def test_p65_products_with_zeros():
    assert slope(lambda x: x.prod(), [2.0, 3.0, 4.0]) == [12, 8, 6]
    assert slope(lambda x: x.prod(), [2.0, 0.0, 4.0]) == [0, 8, 0]
    assert slope(lambda x: x.prod(), [0.0, 3.0, 0.0]) == [0, 0, 0]
    assert slope(lambda x: x.prod(1), [[0.0, 3.0], [2.0, 5.0]]) == [[3, 0], [5, 2]]
    assert slope(lambda x: x.prod(0, keepdim=True), [[0.0, 3.0], [2.0, 0.0]]) == [[2, 0], [0, 3]]
    x = leaf([0.0, 3.0, 0.0])
    (g,) = mg.autograd.grad(x.prod(), x, create_graph=True)
    assert mg.autograd.grad(g[0], x)[0].tolist() == [0, 0, 3]


def test_p67_variance():
    x = np.array([[1.0, 2.0, 4.0], [0.0, 5.0, 7.0]])
    t = mg.tensor(x)
    for dim in (None, 0, 1, (0, 1)):
        for keepdim in (False, True):
            for correction in (0, 1):
                expected = np.var(x, axis=dim, ddof=correction, keepdims=keepdim)
                np.testing.assert_allclose(t.var(dim, correction=correction, keepdim=keepdim).numpy(), expected, rtol=1e-14)
                np.testing.assert_allclose(t.std(dim, correction=correction, keepdim=keepdim).numpy(), expected**0.5, rtol=1e-14)
    assert t.var().item() == pytest.approx(np.var(x, ddof=1)) and t.var(unbiased=False).item() == pytest.approx(np.var(x))
    assert t.std(False).item() == pytest.approx(np.std(x)) and t.var(0, False).tolist() == np.var(x, 0).tolist()
    assert math.isnan(mg.tensor([1.0]).var().item())
    far = mg.tensor([1e8, 1e8 + 1, 1e8 + 2], dtype=mg.float64)
    assert far.var().item() == pytest.approx(1, rel=1e-7)  # the mean is taken off before squaring


# --- choosing by bits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", ["two arrays", "a number first", "a number second", "transposed", "strided"])
def test_where_of_many_float32_is_numpys_to_the_bit(pair):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 100, 100), dtype=np.float32)
    a[::7], b[::5] = np.nan, -np.inf
    a[1], b[2] = -0.0, 1e-45
    condition = rng.random((100, 100)) < 0.5
    if pair == "a number first":
        a = -0.0
    elif pair == "a number second":
        b = 0.3
    elif pair == "transposed":
        a, condition = a.T, condition.T
    elif pair == "strided":
        a = np.repeat(a, 2, axis=1)[:, ::2]
    given = [mg.from_numpy(x) if isinstance(x, np.ndarray) else x for x in (condition, a, b)]
    found, expected = mg.where(*given).numpy(), np.where(condition, a, b)
    assert found.dtype == np.float32 and found.tobytes() == expected.tobytes()
