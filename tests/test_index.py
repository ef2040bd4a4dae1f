"""Reading and writing by position, against NumPy and by hand; PyTorch's meaning where it differs from NumPy's."""

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import recording

X = np.arange(24.0).reshape(4, 3, 2)
MASK = np.array([[True, False, True], [False, False, True], [True, True, False], [False, False, False]])

# Where PyTorch and NumPy mean the same.
INDICES = [
    0, -1, slice(1, 3), slice(None, None, 2), Ellipsis, None, (Ellipsis, 0), (0, 1), (0, Ellipsis), (slice(None), 1), (None, 0),
    (slice(None), None, 1), (), (1, 2, 1), (slice(3, 1),), slice(10, None), slice(-2, None), (None, None), True,
    [0, 2, 2], [[0, 1], [1, 3]], ([0, 2], [1, 1]), (slice(None), [0, 0]), ([0, 2], slice(None), [1, 1]), [], (Ellipsis, [1, 0]),
    (None, [1, 1]), ([3, -1], slice(1, 3)), range(3), MASK, MASK[:, 0], (slice(None), MASK[0]), (MASK, 1), (MASK, [1, 0, 0, 1, 1]),
    np.array(2), np.array(True), np.array(False), np.int64(1), (np.array([1, 1]), np.int32(0)), X > 5, (1, [0, 1]), ([1], 0),
]  # fmt: skip

# (index, the same in two steps): numbers and slices first, index arrays then, and their dimension stays where it was.
IN_STEPS = [
    ((0, slice(None), [1, 1, 0]), (0, (slice(None), [1, 1, 0]))), (([1, 0], slice(None), 1), ((Ellipsis, 1), ([1, 0],))),
    ((0, None, [2, 1]), ((0, None), (slice(None), [2, 1]))), ((2, slice(None), [True, False]), (2, (slice(None), [True, False]))),
    ((1, Ellipsis, [0, 1, 1]), (1, (Ellipsis, [0, 1, 1]))),
]  # fmt: skip


def in_tensors(index):
    """The index with tensors in place of arrays."""
    if isinstance(index, tuple):
        return tuple(map(in_tensors, index))
    return mg.tensor(index) if isinstance(index, np.ndarray) else index


@pytest.mark.parametrize("index", INDICES, ids=repr)
@pytest.mark.parametrize("wrap", [lambda index: index, in_tensors], ids=["arrays", "tensors"])
def test_p55_reading_and_its_gradient(index, wrap):
    index = list(index) if isinstance(index, range) else index
    x = mg.tensor(X, requires_grad=True)
    y = x[wrap(index)]
    np.testing.assert_array_equal(y.detach().numpy(), X[index])
    g = np.cos(np.arange(y.numel())).reshape(y.shape)
    y.backward(mg.tensor(g))
    expected = np.zeros(X.shape)
    np.add.at(expected, index, g)
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-15)


@pytest.mark.parametrize("index", INDICES, ids=repr)
@pytest.mark.parametrize("wrap", [lambda index: index, in_tensors], ids=["arrays", "tensors"])
def test_writing_and_its_gradients(index, wrap):
    index = list(index) if isinstance(index, range) else index
    places = X[index].shape
    value = np.cos(np.arange(np.prod(places, dtype=int))).reshape(places)
    repeated = len(np.unique(np.arange(24).reshape(X.shape)[index])) < np.prod(places)
    if repeated:
        value = np.full(places, 0.5)  # which of several would stay is not defined
    plain, x, v = mg.tensor(X), mg.tensor(X, requires_grad=True), mg.tensor(value, requires_grad=True)
    plain[wrap(index)] = value
    tracked = x * 1
    tracked[wrap(index)] = v
    expected = X.copy()
    expected[index] = value
    np.testing.assert_array_equal(plain.numpy(), expected)
    np.testing.assert_array_equal(tracked.detach().numpy(), expected)
    g = np.sin(np.arange(24.0) + 1).reshape(X.shape)
    tracked.backward(mg.tensor(g))
    kept = g.copy()
    kept[index] = 0
    np.testing.assert_array_equal(x.grad.numpy(), kept)
    np.testing.assert_array_equal(v.grad.numpy(), g[index])


@pytest.mark.parametrize("index, steps", IN_STEPS, ids=repr)
def test_numbers_come_before_index_arrays(index, steps):
    expected = X[steps[0]][steps[1]]
    x = mg.tensor(X, requires_grad=True)
    for written in (index, in_tensors(tuple(np.array(i) if isinstance(i, list) else i for i in index))):
        y = x[written]
        np.testing.assert_array_equal(y.detach().numpy(), expected)
        (g,) = mg.autograd.grad(y.sum(), x)
        counted = np.zeros(X.shape)
        np.add.at(counted[steps[0]], steps[1], 1)
        np.testing.assert_array_equal(g.numpy(), counted)
        z = mg.tensor(X)
        z[written] = -1
        assert (z.numpy() == -1).sum() == (counted > 0).sum() and (z.numpy()[counted > 0] == -1).all()


def test_values_broadcast_into_their_places():
    x = mg.zeros(2, 3)
    x[0] = 5
    x[:, 1] = mg.tensor([1.0, 2.0])
    x[1:, :] = mg.tensor([[[7.0, 8.0, 9.0]]])  # more dimensions than the place, of size 1
    x[0, 0] = mg.tensor([4.0])
    assert x.tolist() == [[4, 1, 5], [7, 8, 9]]
    x[...] = np.float64(3)
    x[x > 2] = 1.5
    assert x.tolist() == [[1.5] * 3] * 2
    x[0] = mg.tensor([1, 2, 3])
    assert x[0].tolist() == [1, 2, 3] and x.dtype == mg.float32


def test_the_gradient_of_a_value_is_summed_to_its_shape():
    x, v = mg.zeros(4, 3).double(), mg.tensor([[1.0], [2.0]], dtype=mg.float64, requires_grad=True)
    s = mg.tensor(5.0, dtype=mg.float64, requires_grad=True)
    x[1:3] = v
    x[0] = s
    x.sum().backward()
    assert v.grad.tolist() == [[3], [3]] and s.grad.item() == 3


def test_basic_indices_give_views_and_others_copies():
    x = mg.tensor(X)
    for index in (0, slice(1, 3), (0, 1, 1), (Ellipsis, None), mg.tensor(2), (slice(None, None, 2), 0)):
        assert np.shares_memory(x[index].array, x.array), index
    for index in ([0, 1], mg.tensor([0]), mg.tensor(MASK), True):
        assert not np.shares_memory(x[index].array, x.array), index
    x[1, 2, 0].zero_()
    x[3].fill_(1)
    assert x[1, 2, 0].item() == 0 and x[3].sum().item() == 6


def test_an_index_changed_afterwards():
    x, index = mg.tensor(X, requires_grad=True), np.array([0, 1])
    y = x[index].sum()
    index[:] = 3  # an array is copied
    y.backward()
    assert x.grad.sum((1, 2)).tolist() == [6, 6, 0, 0]
    index = mg.tensor([0, 1])
    y = x[index].sum()
    index += 1  # a tensor is not, and is watched
    with pytest.raises(RuntimeError, match="getitem.*modified in place"):
        y.backward()


def test_an_index_is_part_of_the_record():
    with recording.capture():
        x, scores = mg.tensor(X), mg.tensor([0.0, 3.0, 1.0])
        best = scores.argmax()
        y = x[best, 1:]
    node = y.node
    assert node.inputs == [x, best.node]
    assert node.op.forward(x.array, np.asarray(2), **node.params).tolist() == X[2, 1:].tolist()


@pytest.mark.parametrize("index, error, message", [
    (4, IndexError, "4 is out of bounds"), ((0, 0, 0, 0), IndexError, "too many"), ([0, 9], IndexError, "out of bounds"),
    (1.5, IndexError, "float 1.5"), ("a", IndexError, "str"), (mg.tensor([1.0]), IndexError, r"float32.*\.long\(\)"),
    (mg.tensor([1], dtype=mg.uint8), IndexError, r"uint8.*\.bool\(\)"), (mg.tensor([True, False]), IndexError, "boolean"),
    ({}, IndexError, "dict"), ((mg.tensor([0, 1]), mg.tensor([0, 1, 2])), IndexError, "broadcast"), (slice(0, 3, 0), ValueError, "zero"),
])  # fmt: skip
def test_bad_indices_are_refused(index, error, message):
    x = mg.tensor(X)
    with pytest.raises(error, match=message):
        x[index]
    with pytest.raises(error, match=message):
        x[index] = 0
    assert x.tolist() == X.tolist()


@pytest.mark.parametrize("value", [None, "a", [1, 2], 1j, {}])
def test_bad_values_are_refused(value):
    x = mg.tensor(X)
    with pytest.raises(TypeError, match=type(value).__name__):
        x[0] = value
    assert x.tolist() == X.tolist()


def test_values_that_do_not_fit_are_refused():
    for x in (mg.tensor(X), mg.tensor(X, requires_grad=True) * 1):
        with pytest.raises(RuntimeError, match=r"setitem\(.*\(4, 3, 2\).*\(5,\)"):
            x[0] = mg.ones(5)
        assert x.tolist() == X.tolist()


# --- by one index tensor ----------------------------------------------------------------------------------------------


def test_gather_and_its_gradient():
    x = np.arange(12.0).reshape(3, 4)
    for dim, index in [(0, [[0, 2, 2, 1]]), (1, [[3, 3], [0, 1], [2, 2]]), (-1, [[0], [0], [1]])]:
        t = mg.tensor(x, requires_grad=True)
        y = mg.gather(t, dim, mg.tensor(index))
        np.testing.assert_array_equal(
            y.detach().numpy(), np.take_along_axis(x[: len(index)] if dim else x[:, : len(index[0])], np.array(index), dim))
        y.sum().backward()
        expected = np.zeros((3, 4))
        for r, row in enumerate(index):
            for c, k in enumerate(row):
                expected[(k, c) if dim == 0 else (r, k)] += 1
        np.testing.assert_array_equal(t.grad.numpy(), expected)


def test_gather_takes_numbers_for_vectors():
    assert mg.tensor([3.0, 4.0]).gather(0, mg.tensor(1)).item() == 4
    assert mg.tensor(3.0).gather(0, mg.tensor([0, 0])).tolist() == [3, 3]


def test_scatter_and_scatter_add():
    x, source = mg.zeros(3, 4), mg.arange(1.0, 9.0).reshape(2, 4)
    index = mg.tensor([[0, 1, 2, 0], [2, 1, 0, 0]])
    added = np.zeros((3, 4))
    for r in range(2):
        for c in range(4):
            added[index[r, c].item(), c] += source[r, c].item()
    np.testing.assert_array_equal(x.scatter_add(0, index, source).numpy(), added)
    assert x.scatter(1, mg.tensor([[3], [0], [1]]), 7.0).tolist() == [[0, 0, 0, 7], [7, 0, 0, 0], [0, 7, 0, 0]]
    assert x.scatter(0, mg.tensor([[2, 0]]), source)[:, :2].tolist() == [[0, 2], [0, 0], [1, 0]]
    assert (x == 0).all()
    x.scatter_(0, mg.tensor([[1, 1, 1, 1]]), value=2)
    assert x[1].tolist() == [2] * 4


def test_index_select_and_index_add():
    x = mg.arange(6.0).reshape(2, 3)
    assert x.index_select(1, mg.tensor([2, 0, 2])).tolist() == [[2, 0, 2], [5, 3, 5]]
    assert x.index_add(1, mg.tensor([0, 0]), mg.ones(2, 2), alpha=3).tolist() == [[6, 1, 2], [9, 4, 5]]
    assert x.index_select(0, mg.tensor(1)).tolist() == [[3, 4, 5]]
    with pytest.raises(IndexError, match="vector"):
        x.index_select(0, mg.tensor([[0]]))


def test_take_and_its_relatives():
    x = mg.arange(6.0).reshape(2, 3)
    assert mg.take(x, mg.tensor([[5, 0], [1, 1]])).tolist() == [[5, 0], [1, 1]]
    assert mg.take_along_dim(x, mg.tensor([[2], [0]]), 1).tolist() == [[2], [3]]
    assert mg.take_along_dim(x, mg.tensor([[1, 0, 1]]), 0).tolist() == [[3, 1, 5]]
    assert mg.take_along_dim(x, mg.tensor([4])).tolist() == [4]
    assert x.masked_select(x > 2).tolist() == [3, 4, 5]
    assert x.masked_select(mg.tensor([True, False, False])).tolist() == [0, 3]
    assert [i.tolist() for i in mg.where(x > 3)] == [[1, 1], [1, 2]]
    assert mg.tril(x).tolist() == [[0, 0, 0], [3, 4, 0]] and mg.triu(x, 1).tolist() == [[0, 1, 2], [0, 0, 5]]


def test_masked_fill_keeps_the_dtype():
    whole, mask = mg.tensor([1, 2, 3]), mg.tensor([True, False, True])
    assert whole.masked_fill(mask, 0.5).dtype == mg.int64 and whole.masked_fill(mask, 9).tolist() == [9, 2, 9]
    assert mask.masked_fill(mask, False).tolist() == [False] * 3
    assert mg.ones(3).masked_fill(mask, mg.tensor(2.0, dtype=mg.float64)).dtype == mg.float32
    assert mg.ones(3).masked_fill(mask, -np.inf).tolist() == [-np.inf, 1, -np.inf]
    with pytest.raises(RuntimeError, match="boolean"):
        whole.masked_fill(mg.tensor([1, 0, 1]), 0)
    with pytest.raises(RuntimeError, match=r"0-d.*where\(\)"):
        whole.masked_fill(mask, mg.tensor([1, 2, 3]))


@pytest.mark.parametrize("call", [
    lambda x, i: mg.gather(x, 0, i.reshape(1, 2)), lambda x, i: mg.scatter(x, 0, i.reshape(1, 2), 1.0),
    lambda x, i: mg.scatter_add(x, 0, i.reshape(1, 2), mg.ones(1, 2)), lambda x, i: mg.index_select(x, 0, i),
    lambda x, i: mg.index_add(x, 0, i, mg.ones(2, 2)),
])  # fmt: skip
@pytest.mark.parametrize("bad", [-1, 3])
def test_p60_indices_out_of_range_are_refused_negative_ones_too(call, bad):
    x = mg.zeros(3, 2)
    call(x, mg.tensor([0, 2]))
    with pytest.raises(IndexError, match=rf"index {bad} is out of range for dimension 0 of size 3"):
        call(x, mg.tensor([0, bad]))


@pytest.mark.parametrize("call, message", [
    (lambda x: x.gather(2, mg.tensor([[0]])), "axis 2"), (lambda x: x.gather(0, mg.tensor([0])), "as many dimensions"),
    (lambda x: x.gather(1, mg.tensor([[0]] * 4)), r"exceeds the tensor's \(3, 2\)"), (lambda x: x.gather(0, mg.ones(1, 1)), "whole numbers"),
    (lambda x: x.scatter_add(0, mg.tensor([[0, 0], [0, 0]]), mg.ones(1, 2)), "exceeds the source's"),
    (lambda x: x.scatter(0, mg.tensor([[0]]), mg.ones(1), value=2), "src or value"), (lambda x: mg.ones(3).tril(), "2 dimensions"),
])  # fmt: skip
def test_misfits_are_refused(call, message):
    with pytest.raises((RuntimeError, IndexError, TypeError), match=message):
        call(mg.zeros(3, 2))
