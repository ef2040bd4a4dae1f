"""Tensors from data, from sizes and from ranges: values, dtypes, memory, errors, and what PyTorch does."""

import math
from fractions import Fraction

import numpy as np
import pytest

import microgradnet as mg
from microgradnet.ops import creation
from microgradnet.ops.creation import as_tensor, asarray, one_hot, tensor


def check(made, values, dtype):
    assert isinstance(made, mg.Tensor)
    assert made.dtype == dtype
    np.testing.assert_array_equal(made.array, values)
    assert made.shape == np.shape(values)


# --- from data ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, np.float32),
        (3, np.int64),
        (True, np.bool_),
        ([1.0, 2.0], np.float32),
        ([1, 2], np.int64),
        ([True, False], np.bool_),
        ([True, 2], np.int64),
        ([1, 2.5], np.float32),
        ([[1, 2], (3.5, 4)], np.float32),
        (range(3), np.int64),
        ([], np.float32),
        ([[], []], np.float32),
        (np.float64(1.5), np.float64),
        (np.int32(3), np.int32),
        ([np.float64(1.5), 2.0], np.float64),
        ([np.float32(1.5), 2], np.float32),
        ([np.int32(1), 2], np.int64),
        (np.array([1, 2], np.uint8), np.uint8),
        (np.array([1.0, 2.0]), np.float64),
        (np.array([1.0, 2.0], ">f8"), np.float64),
        ([np.array([1.0, 2.0]), np.array([3.0, 4.0])], np.float64),
        ([np.array([1, 2], np.float16), [3, 4]], np.float16),
    ],
)
def test_tensor_infers_the_dtype(data, dtype):
    check(tensor(data), data, dtype)


def test_tensor_of_tensors():
    rows = [tensor([1, 2]), tensor([3.5, 4.0]), [5, np.float32(6)]]
    check(tensor(rows), [[1, 2], [3.5, 4], [5, 6]], np.float32)
    check(tensor([tensor(1), tensor(2)]), [1, 2], np.int64)


def test_tensor_of_anything_that_is_an_array():
    class Column:
        def __array__(self, dtype=None, copy=None):
            return np.array([1, 2], dtype)

    check(tensor(Column()), [1, 2], np.int64)


def test_p41_floats_become_the_default_dtype_and_arrays_keep_theirs():
    assert tensor([1.0, 2.0]).dtype == np.float32
    assert mg.from_numpy(np.zeros(2)).dtype == np.float64
    mg.set_default_dtype(np.float64)
    try:
        for made in [tensor(1.0), mg.zeros(2), mg.full((2,), 1.0), mg.arange(2.0), mg.linspace(0, 1, 2), mg.eye(2)]:
            assert made.dtype == np.float64
        assert tensor(np.float32(1)).dtype == np.float32
    finally:
        mg.set_default_dtype(np.float32)


def test_p40_whole_numbers():
    assert tensor([1, 2]).dtype == np.int64
    with pytest.raises(RuntimeError, match="floating point dtype can require gradients"):
        tensor([1, 2], requires_grad=True)
    with pytest.raises(RuntimeError, match="floating point dtype can require gradients"):
        mg.zeros(2, dtype=mg.int64, requires_grad=True)


@pytest.mark.parametrize("data", [np.arange(3.0), mg.arange(3), np.arange(6.0).reshape(2, 3).T])
def test_tensor_copies(data):
    before = np.array(data)
    made = tensor(data)
    made.array[0] = 7
    np.testing.assert_array_equal(np.asarray(data), before)


def test_tensor_in_a_given_dtype():
    check(tensor([1.7, -1.7], dtype=mg.int64), [1, -1], np.int64)
    check(tensor([0, 3], dtype=mg.bool), [False, True], np.bool_)
    check(tensor(np.array([1.5]), dtype=float), [1.5], np.float64)
    check(tensor([1e300, -1e300]), [math.inf, -math.inf], np.float32)
    check(tensor(np.array([1e300]), dtype=mg.float32), [math.inf], np.float32)


def test_tensor_with_requires_grad_is_a_leaf():
    made = tensor([1.0], requires_grad=True)
    assert made.requires_grad and made.is_leaf


def test_tensor_says_that_it_drops_a_history():
    x = tensor([1.0], requires_grad=True)
    for data in (x, x * 2, [x[0], 1.0]):
        with pytest.warns(UserWarning, match="has no history"):
            assert not tensor(data).requires_grad
    check(tensor(x.detach()), [1.0], np.float32)  # which warns of nothing


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([[1, 2], [3]], ValueError, "ragged"),
        ([1, [2]], ValueError, "ragged"),
        ([np.zeros(2), np.zeros(3)], ValueError, "ragged"),
        ([mg.zeros(2), 1.0], ValueError, "ragged"),
        ("12", TypeError, "str '12'"),
        (["1"], TypeError, "str '1'"),
        (b"12", TypeError, "bytes"),
        (None, TypeError, "NoneType"),
        ([1, None], TypeError, "NoneType"),
        ({1}, TypeError, "set"),
        ({1: 2}, TypeError, "dict"),
        ((x for x in [1]), TypeError, "generator"),
        (Fraction(1, 2), TypeError, "Fraction"),
        (1j, TypeError, "complex tensors are out of scope"),
        ([1.0, 1j], TypeError, "complex tensors are out of scope"),
        (np.array([1j]), TypeError, "complex tensors are out of scope"),
        (np.array([None]), TypeError, "object"),
        (np.array(["a"]), TypeError, "<U1"),
        (2**63, RuntimeError, "does not fit int64"),
    ],
)
def test_tensor_refuses(data, error, message):
    for function in (tensor, as_tensor, asarray):
        with pytest.raises(error, match=message):
            function(data)


@pytest.mark.parametrize(("data", "dtype"), [(2**40, mg.int32), (300, mg.uint8), ([math.nan], mg.int64)])
def test_tensor_refuses_what_the_dtype_cannot_hold(data, dtype):
    with pytest.raises(RuntimeError, match=f"tensor.*does not fit {dtype}"):
        tensor(data, dtype=dtype)
    if not isinstance(data, list):
        with pytest.raises(RuntimeError, match=f"full.*does not fit {dtype}"):
            mg.full((2,), data, dtype=dtype)


def test_as_tensor_shares_what_it_can():
    x = mg.ones(2, requires_grad=True) * 2
    array = np.arange(3.0)
    assert as_tensor(x) is x
    assert as_tensor(x, mg.float64).requires_grad
    assert np.shares_memory(as_tensor(array).array, array)
    check(as_tensor(array, mg.float32), [0, 1, 2], np.float32)
    check(as_tensor([1, 2], mg.float32), [1, 2], np.float32)


def test_asarray():
    x, array = mg.ones(2, requires_grad=True), np.arange(3.0)
    assert np.shares_memory(asarray(x).array, x.array)
    assert not asarray(x).requires_grad
    assert asarray(x * 2, requires_grad=True).grad_fn is not None
    assert not np.shares_memory(asarray(x, copy=True).array, x.array)
    assert np.shares_memory(asarray(array, copy=False).array, array)
    assert not np.shares_memory(asarray(array, copy=True).array, array)
    made = asarray([1.0], requires_grad=True)
    assert made.requires_grad and made.is_leaf
    for data in ([1.0], np.arange(3)):
        with pytest.raises(ValueError, match="takes a copy"):
            asarray(data, dtype=mg.float32, copy=False)


# --- from a size ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["zeros", "ones", "empty"])
def test_sizes(name):
    function = getattr(mg, name)
    for made in [function(2, 3), function((2, 3)), function([2, 3]), function(mg.zeros(2, 3).shape),
                 function(size=(2, 3)), function(np.int64(2), mg.tensor(3))]:
        assert made.shape == (2, 3)
        assert made.dtype == np.float32
    assert function(()).shape == ()
    assert function(0, 3).shape == (0, 3)
    assert function(2, dtype=mg.int32).dtype == np.int32
    assert function(2, requires_grad=True).requires_grad


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mg.zeros(), TypeError, "zeros.*size"),
        (lambda: mg.zeros(2, size=(2,)), TypeError, "zeros.*size"),
        (lambda: mg.zeros(2.0), TypeError, "zeros.*whole numbers"),
        (lambda: mg.zeros("ab"), TypeError, "zeros.*whole numbers"),
        (lambda: mg.ones(2, -1), RuntimeError, r"ones.*negative, got \(2, -1\)"),
        (lambda: mg.eye(-1), RuntimeError, "eye.*negative"),
        (lambda: mg.zeros(2, dtype=complex), TypeError, "complex tensors are out of scope"),
        (lambda: mg.zeros(2, dtype=object), TypeError, "object"),
        (lambda: mg.zeros(2, device="cuda"), RuntimeError, "no device 'cuda'"),
        (lambda: tensor(1.0, device="cuda:0"), RuntimeError, "no device"),
        (lambda: mg.zeros(2, layout="sparse_coo"), RuntimeError, "layout"),
        (lambda: mg.zeros(2, dtpe=1), TypeError, "dtpe"),
        (lambda: mg.full((2,), "a"), TypeError, "full.*real number"),
        (lambda: mg.full((2,), 1j), TypeError, "full.*real number"),
        (lambda: mg.full((2,), mg.ones(2)), RuntimeError, "2 elements"),
        (lambda: mg.zeros_like([1.0]), TypeError, "zeros_like.*expects a Tensor, got list"),
    ],
)
def test_errors_of_sizes(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(("value", "dtype"), [(1, np.int64), (1.0, np.float32), (True, np.bool_),
                                              (np.float64(2), np.float32), (mg.tensor(3.0), np.float32)])
def test_full(value, dtype):
    check(mg.full((2, 1), value), np.full((2, 1), float(value)), dtype)
    check(mg.full((), value), float(value), dtype)
    check(mg.full((2,), value, dtype=mg.float64), np.full(2, float(value)), np.float64)


def test_like():
    x = mg.tensor([[1, 2, 3], [4, 5, 6]], dtype=mg.int32)
    check(mg.zeros_like(x), np.zeros((2, 3)), np.int32)
    check(mg.ones_like(x, dtype=mg.float64), np.ones((2, 3)), np.float64)
    check(mg.full_like(x, 3.5), np.full((2, 3), 3), np.int32)
    assert mg.empty_like(x, dtype=mg.float16, requires_grad=True).requires_grad
    assert not mg.zeros_like(mg.ones(2, requires_grad=True)).requires_grad


def test_new():
    x = mg.ones(2, dtype=mg.float64)
    check(creation.new_zeros(x, 2, 3), np.zeros((2, 3)), np.float64)
    check(creation.new_ones(x, (2, 3)), np.ones((2, 3)), np.float64)
    check(creation.new_full(x, (2,), 3), [3, 3], np.float64)
    check(creation.new_tensor(x, [1, 2]), [1, 2], np.float64)
    check(creation.new_tensor(x, [1, 2], dtype=mg.int32), [1, 2], np.int32)
    assert creation.new_empty(x, size=(4,), requires_grad=True).dtype == np.float64


def test_out():
    out = mg.empty(3, dtype=mg.float64)
    assert mg.ones(3, out=out) is out
    check(out, [1, 1, 1], np.float64)
    check(mg.arange(3, out=out), [0, 1, 2], np.float64)
    check(mg.linspace(0, 1, 3, out=out), [0, 0.5, 1], np.float64)
    check(mg.full((3,), 2, out=out), [2, 2, 2], np.float64)
    with pytest.raises(RuntimeError, match="shape of the result"):
        mg.zeros(2, out=out)
    with pytest.raises(RuntimeError, match="does not match the dtype of out"):
        mg.zeros(3, out=out, dtype=mg.float32)
    with pytest.raises(RuntimeError, match="leaf"):
        mg.zeros(3, out=mg.ones(3, requires_grad=True))


def test_out_is_seen_by_the_version_check():
    w = mg.ones(3, requires_grad=True)
    x = mg.ones(3)
    loss = (w * x).sum()
    mg.zeros(3, out=x)
    with pytest.raises(RuntimeError, match="modified in"):
        loss.backward()


def test_tensors_made_in_inference_mode_say_so():
    with mg.inference_mode():
        assert all(made.is_inference() for made in [mg.zeros(2), tensor([1.0]), mg.arange(2)])
    assert not mg.zeros(2).is_inference()


# --- ranges and matrices --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "values", "dtype"),
    [
        ((3,), [0, 1, 2], np.int64),
        ((1, 3), [1, 2], np.int64),
        ((5, 0, -2), [5, 3, 1], np.int64),
        ((3.0,), [0, 1, 2], np.float32),
        ((0, 1, 0.25), [0, 0.25, 0.5, 0.75], np.float32),
        ((2, 2), [], np.int64),
        ((0,), [], np.int64),
        ((mg.tensor(2), np.int32(4)), [2, 3], np.int64),
        ((True,), [0], np.int64),
    ],
)
def test_arange(args, values, dtype):
    check(mg.arange(*args), values, dtype)


def test_arange_does_not_add_up_the_error_of_its_step():
    values = mg.arange(0, 1000, 0.1).array
    assert len(values) == 10_000
    np.testing.assert_array_equal(values, (np.arange(10_000) * 0.1).astype(np.float32))


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((1, 5, 0), {}, "step must not be zero"),
        ((1, 5, -1), {}, "does not lead"),
        ((math.inf,), {}, "finite"),
        ((math.nan,), {}, "finite"),
        ((0, 3, 0.5), {"dtype": np.int64}, "step must not be zero, which it is in int64"),
    ],
)
def test_errors_of_arange(args, kwargs, message):
    with pytest.raises(RuntimeError, match=message):
        mg.arange(*args, **kwargs)


def test_linspace_and_logspace():
    check(mg.linspace(0, 1, 3), [0, 0.5, 1], np.float32)
    check(mg.linspace(-3, 3, 1), [-3], np.float32)
    check(mg.linspace(0, 1, 0), [], np.float32)
    check(mg.logspace(0, 2, 3), [1, 10, 100], np.float32)
    check(mg.logspace(0, 3, 4, base=2, dtype=mg.int64), [1, 2, 4, 8], np.int64)
    check(mg.logspace(0, 1000, 2), [1, math.inf], np.float32)
    with pytest.raises(RuntimeError, match="steps must not be negative"):
        mg.linspace(0, 1, -1)


def test_eye():
    check(mg.eye(2), np.eye(2), np.float32)
    check(mg.eye(2, 3, dtype=mg.int64), np.eye(2, 3), np.int64)


def test_indices_of_triangles():
    for offset in (-1, 0, 1):
        check(mg.tril_indices(3, 4, offset), np.array(np.tril_indices(3, offset, 4)), np.int64)
        check(mg.triu_indices(4, 3, offset), np.array(np.triu_indices(4, offset, 3)), np.int64)


def test_one_hot():
    check(one_hot(tensor([0, 2])), [[1, 0, 0], [0, 0, 1]], np.int64)
    check(one_hot(tensor([[0], [1]]), 2), [[[1, 0]], [[0, 1]]], np.int64)
    check(one_hot(tensor(1), num_classes=3), [0, 1, 0], np.int64)
    check(one_hot(tensor([], dtype=mg.int64), 3), np.zeros((0, 3)), np.int64)
    check(one_hot(tensor([1], dtype=mg.uint8), 2), [[0, 1]], np.int64)


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0, -1], 3, "not be negative, got -1"),
        ([0, -1], -1, "not be negative, got -1"),
        ([0, 3], 3, "below num_classes=3, got 3"),
        ([0], 0, "below num_classes=0, got 0"),
        ([], -1, "pass num_classes"),
    ],
)
def test_p60_labels_out_of_range_raise(labels, classes, message):
    with pytest.raises(RuntimeError, match=f"one_hot.*{message}"):
        one_hot(tensor(labels, dtype=mg.int64), classes)


def test_one_hot_refuses_labels_that_are_no_whole_numbers():
    for labels in (tensor([0.0]), tensor([True])):
        with pytest.raises(TypeError, match="labels must be whole numbers"):
            one_hot(labels)


# --- as PyTorch -----------------------------------------------------------------------------------------------------

SAME = """
m.tensor(1.5) | m.tensor([1, 2.5]) | m.tensor([True, 2]) | m.tensor([[], []]) | m.tensor(np.float64(1))
m.tensor([np.float64(1), 2.0]) | m.tensor([np.float32(1), 2]) | m.tensor([np.int32(1), 2]) | m.tensor(np.zeros((2, 0)))
m.tensor([np.int8(1), np.uint8(2)]) | m.tensor([np.float16(1), np.int64(2)]) | m.tensor([np.float16(1), np.float32(2)])
m.tensor([m.tensor(1.0), m.tensor(2)]) | m.tensor([1.7, -1.7], dtype=m.int64) | m.tensor([1e300]) | m.tensor(range(3))
m.as_tensor(np.array([1.0]), dtype=m.float32) | m.asarray([1, 2]) | m.zeros(2, 3) | m.ones((2, 3)) | m.zeros(size=(2,))
m.zeros(()) | m.zeros(2, dtype=float) | m.ones(2, dtype=m.bool) | m.full((2,), 1) | m.full((2,), True) | m.full((), 1.5)
m.full((2,), m.tensor(3.0)) | m.zeros_like(m.ones(2, dtype=m.int32)) | m.full_like(m.ones(2, dtype=m.int64), 3.5)
m.arange(5) | m.arange(5.0) | m.arange(1, 5) | m.arange(5, 1, -2) | m.arange(5, dtype=m.float32) | m.arange(end=3)
m.arange(0, 1, 0.25) | m.arange(0.5, 3, dtype=m.int64) | m.arange(m.tensor(3.0)) | m.arange(2, 2) | m.arange(1, 2, 0.3)
m.linspace(0, 10, 5) | m.linspace(0, 10, 5, dtype=m.int64) | m.linspace(3, -3, 7) | m.linspace(0, 1, 1)
m.linspace(0, 1, 100) | m.logspace(0, 2, 3) | m.logspace(-1, 1, 5, base=2) | m.eye(2, 3) | m.eye(2, dtype=m.bool)
m.tril_indices(3, 4, -1) | m.triu_indices(4, 3, 1) | m.zeros(3, out=m.ones(3, dtype=m.int64))
m.zeros(0, 3) | m.linspace(0, 1, 0) | m.empty(0)
"""

BOTH_RAISE = """
m.tensor([[1, 2], [3]]) | m.tensor('12', dtype=m.float32) | m.tensor(None) | m.tensor({1}) | m.tensor(x for x in [1])
m.tensor(2**63) | m.tensor(2**40, dtype=m.int32) | m.tensor([float('nan')], dtype=m.int64)
m.tensor([1], requires_grad=True) | m.full((2,), 300, dtype=m.uint8) | m.full((2,), float('nan'), dtype=m.int64)
m.zeros() | m.zeros(-1) | m.zeros(2.0) | m.zeros(3, out=m.ones(3), dtype=m.int64) | m.arange(1, 5, -1)
m.arange(1, 5, 0) | m.arange(float('inf')) | m.arange(0, 3, 0.5, dtype=m.int64) | m.linspace(0, 1, -1)
m.linspace(0, 1) | m.eye(-1) | m.zeros_like([1]) | m.asarray([1.0], copy=False) | m.zeros(2, device='cuda:7')
"""


def split(table):
    return [code.strip() for line in table.strip().splitlines() for code in line.split(" | ")]


@pytest.mark.torch
@pytest.mark.parametrize("code", split(SAME))
def test_same_as_torch(code):
    torch = pytest.importorskip("torch")
    ours, theirs = (eval(code, {"m": m, "np": np}) for m in (mg, torch))
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(ours.array, theirs.numpy(), rtol=2e-7, atol=2e-8)


@pytest.mark.torch
@pytest.mark.parametrize("code", split(BOTH_RAISE))
def test_raises_as_torch_does(code):
    torch = pytest.importorskip("torch")
    for m in (mg, torch):
        with pytest.raises((RuntimeError, TypeError, ValueError, AssertionError)):
            eval(code, {"m": m, "np": np})
