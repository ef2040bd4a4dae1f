"""Broadcasting, views, joining and parting, products, reductions over every dimension, and empty tensors."""

import itertools

import numpy as np
import opcheck
import pytest
from samples import TABLE, Sample

import microgradnet as mg


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def tracked(array):
    return mg.tensor(array, requires_grad=True)


# --- broadcasting -----------------------------------------------------------------------------------------------------

BROADCASTS = [
    ((3, 1), (1, 4)), ((4,), (2, 3, 4)), ((), (5,)), ((1, 3), (1, 3)), ((1, 3), (2, 3)), ((2, 1, 3), (2, 4, 3)), ((1,), ()), ((1, 1), (3,)),
    ((0, 1), (1, 3)), ((1,), (0,)), ((2, 1), (2, 1)),
]  # fmt: skip


@pytest.mark.parametrize("shapes", BROADCASTS, ids=str)
def test_p49_gradients_are_summed_to_the_shape_of_the_operand(shapes):
    for one, other in (shapes, shapes[::-1]):
        a, b = tracked(numbers(*one)), tracked(numbers(*other, seed=1))
        y = a * b
        g = numbers(*y.shape, seed=2)
        y.backward(mg.tensor(g))
        for x, partner in ((a, b), (b, a)):
            full = g * partner.detach().numpy()
            lead = full.ndim - x.ndim
            axes = (*range(lead), *(i + lead for i, n in enumerate(x.shape) if n == 1))
            np.testing.assert_allclose(x.grad.numpy(), full.sum(axes).reshape(x.shape), rtol=1e-13)


def test_p49_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(RuntimeError, match=r"add\(\(2, 3\) float32, bias \(4,\) float32\).*unsqueeze"):
        bias = mg.ones(4)
        bias.name = "bias"
        mg.ones(2, 3) + bias
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):  # a ValueError, too, as in NumPy
        mg.ones(2, 3) + mg.ones(3, 2)


def test_p49_a_rule_that_forgets_a_dimension_is_found():
    with opcheck.planted("planted", lambda x, /: x + np.zeros((4, 1)), lambda g, _y, x: g[:, :2]) as op:
        x = mg.ones(3, requires_grad=True)
        with pytest.raises(RuntimeError, match=r"planted: the rule for argument 0 \(3,\) float32"):
            op(x).sum().backward()


# --- products ---------------------------------------------------------------------------------------------------------

PRODUCTS = [
    ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((3,), (5, 3, 2)), ((5, 2, 3), (3,)), ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)), ((1, 2, 3), (5, 3, 1)), ((3,), (2, 5, 3, 4)), ((2, 5, 4, 3), (3,)),
    ((1, 1), (1, 1)), ((1,), (1,)), ((2, 0), (0, 3)), ((0, 3), (3,)), ((5, 2, 3), (1, 3, 4)),
]  # fmt: skip


@pytest.mark.parametrize("shapes", PRODUCTS, ids=str)
def test_p50_matmul_of_every_pair(shapes):
    a, b = (numbers(*shape, seed=k) for k, shape in enumerate(shapes))
    x, y = tracked(a), tracked(b)
    z = x @ y
    np.testing.assert_allclose(z.detach().numpy(), a @ b, rtol=1e-13)
    # The same product as a sum over a common index, of vectors made matrices.
    rows = a[None] if a.ndim == 1 else a
    columns = b[:, None] if b.ndim == 1 else b
    g = numbers(*z.shape, seed=3)
    full = g.reshape(*np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2]), rows.shape[-2], columns.shape[-1])
    z.backward(mg.tensor(g))
    for given, shape, spec, operand in ((x.grad, rows, "...ik,...jk->...ij", columns), (y.grad, columns, "...ki,...kj->...ij", rows)):
        expected = np.einsum(spec, full, operand) if given is x.grad else np.einsum(spec, operand, full)
        expected = expected.sum(tuple(range(expected.ndim - shape.ndim)))
        axes = tuple(i for i, n in enumerate(shape.shape) if n == 1 and expected.shape[i] != 1)
        np.testing.assert_allclose(given.numpy(), expected.sum(axes, keepdims=True).reshape(given.shape), rtol=1e-12, atol=1e-13)
    opcheck.check_first_order(TABLE["matmul"], Sample((a, b)))


def test_products_of_other_names():
    x, y, v = mg.tensor(numbers(2, 3)), mg.tensor(numbers(3, 4)), mg.tensor(numbers(3))
    assert mg.equal(mg.mm(x, y), x @ y) and mg.equal(mg.mv(x, v), x @ v) and mg.equal(mg.dot(v, v), v @ v)
    assert mg.equal(mg.bmm(x[None], y[None]), (x @ y)[None])
    np.testing.assert_allclose(mg.outer(v, v).numpy(), np.outer(v.numpy(), v.numpy()))
    np.testing.assert_allclose(mg.addmm(mg.ones(4), x, y, beta=2, alpha=3).numpy(), 2 + 3 * (x @ y).numpy())
    for wrong in (lambda: mg.mm(x, v), lambda: mg.mv(v, x), lambda: mg.dot(x, x), lambda: mg.bmm(x, y), lambda: mg.outer(x, v)):
        with pytest.raises(RuntimeError, match="expects tensors of"):
            wrong()
    with pytest.raises(RuntimeError, match=r"matmul\(\(2, 3\) float64, \(2, 3\) float64\)"):
        x @ x


EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ij->ji", (2, 3)), ("ba", (2, 3)), ("ij->", (2, 3)), ("ij->i", (2, 3)),
    ("i,i", (3,), (3,)), ("i,j->ij", (3,), (2,)), ("...ij,...jk->...ik", (5, 2, 3), (3, 4)), ("...i,...i", (2, 3), (3,)),
    ("i...,i->...", (2, 3, 4), (2,)), ("ij,kl->ik", (2, 3), (4, 2)), ("ii", (3, 3)), ("ii->i", (3, 3)), ("iij->ij", (3, 3, 2)),
    ("ii,ij->j", (3, 3), (3, 2)), ("iii->i", (2, 2, 2)), ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)), ("i,->i", (3,), ()), ("a,a,a->a", (3,), (3,), (3,)),
    ("...->...", (2, 3)), ("...i->i...", (2, 3)), (" ij , jk -> ik ", (2, 3), (3, 4)), ("...,i->...i", (), (3,)),
    ("b...i,b...->i...b", (2, 4, 3), (2, 4)), ("...i,...", (1, 3), (2, 1)),
]  # fmt: skip


@pytest.mark.parametrize("case", EQUATIONS, ids=lambda case: case[0])
def test_einsum(case):
    equation, *shapes = case
    arrays = [numbers(*shape, seed=k) for k, shape in enumerate(shapes)]
    tensors = [tracked(a) for a in arrays]
    y = mg.einsum(equation, *tensors)
    np.testing.assert_allclose(y.detach().numpy(), np.einsum(equation, *arrays), rtol=1e-12)
    g = numbers(*y.shape, seed=9)
    for k, (x, given) in enumerate(zip(arrays, mg.autograd.grad(y, tensors, mg.tensor(g), create_graph=True))):
        direction = numbers(*x.shape, seed=k + 20)
        along = np.einsum(equation, *arrays[:k], direction, *arrays[k + 1 :])  # the function is linear in each operand
        assert given.shape == x.shape
        np.testing.assert_allclose(np.sum(given.detach().numpy() * direction), np.sum(g * along), rtol=1e-11, atol=1e-12)
    assert mg.einsum(equation, tensors).shape == y.shape


@pytest.mark.parametrize("equation, shapes", [
    ("ij,jk->ik", [(2, 3), (2, 3)]), ("ij,jk", [(2, 3)]), ("ij->k", [(2, 3)]), ("ijk->i", [(2, 3)]), ("ij->ii", [(2, 3)]), ("ii->i", [(2, 3)]),
    ("i->i", [(2, 3)]), ("i1->i", [(2, 3)]), ("ij->i->j", [(2, 3)]),
])  # fmt: skip
def test_einsum_refuses(equation, shapes):
    with pytest.raises(RuntimeError, match="einsum"):
        mg.einsum(equation, *(mg.ones(*shape) for shape in shapes))


# --- reductions -------------------------------------------------------------------------------------------------------

REDUCTIONS = {
    "sum": np.sum, "mean": np.mean, "amax": np.max, "amin": np.min, "var": lambda x, **k: np.var(x, ddof=1, **k),
    "std": lambda x, **k: np.std(x, ddof=1, **k), "logsumexp": lambda x, **k: np.log(np.sum(np.exp(x), **k)),
    "norm": lambda x, **k: np.sqrt(np.sum(x * x, **k)), "all": np.all, "any": np.any,
}  # fmt: skip


@pytest.mark.parametrize("name", REDUCTIONS)
def test_p51_reductions_over_any_dimensions(name):
    x = numbers(2, 3, 4)
    dims = [None, 0, 1, 2, -1, -3, *itertools.combinations(range(3), 2), (0, 1, 2), (-1, 0), [0, 2], ()]
    for dim, keepdim in itertools.product(dims, (False, True)):
        if name == "logsumexp" and dim is None:
            continue
        y = getattr(mg.tensor(x), name)(dim=dim, keepdim=keepdim)
        axis = None if dim == () else tuple(dim) if isinstance(dim, list) else dim
        expected = REDUCTIONS[name](x, axis=axis, keepdims=keepdim)
        assert y.shape == np.shape(expected), (dim, keepdim)
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "prod", "argmax", "logsumexp", "cumsum", "softmax", "log_softmax", "max", "all", "norm"])
def test_p51_a_dimension_that_is_not_there_is_refused(name):
    for dim in (2, -3):
        with pytest.raises(IndexError, match=str(dim)):
            getattr(mg.ones(2, 3), name)(dim=dim)


def test_p51_one_dimension_reductions():
    x = numbers(2, 3, 4)
    t = mg.tensor(x)
    for dim in (0, 1, 2, -1, -2):
        np.testing.assert_allclose(t.prod(dim).numpy(), x.prod(dim), rtol=1e-12)
        np.testing.assert_allclose(t.cumsum(dim).numpy(), x.cumsum(dim), rtol=1e-12)
        np.testing.assert_array_equal(t.argmax(dim).numpy(), x.argmax(dim))
        np.testing.assert_array_equal(t.argmin(dim, keepdim=True).numpy(), x.argmin(dim, keepdims=True))
        np.testing.assert_array_equal(t.max(dim).values.numpy(), x.max(dim))
        np.testing.assert_array_equal(t.min(dim, keepdim=True)[1].numpy(), x.argmin(dim, keepdims=True))
        np.testing.assert_array_equal(mg.count_nonzero(t > 0, dim).numpy(), np.count_nonzero(x > 0, dim))
    assert t.prod().item() == pytest.approx(x.prod()) and t.argmax().item() == x.argmax() and mg.count_nonzero(t).item() == 24


@pytest.mark.parametrize("p", [0.5, 1, 2, 3, np.inf, -np.inf, 0, "fro"])
def test_norms(p):
    x = numbers(3, 4)
    order = 2 if p == "fro" else p
    np.testing.assert_allclose(mg.norm(mg.tensor(x), p).item(), np.linalg.norm(x.ravel(), order), rtol=1e-13)
    np.testing.assert_allclose(mg.norm(mg.tensor(x), p, dim=1).numpy(), np.linalg.norm(x, order, axis=1), rtol=1e-13)
    with pytest.raises(ValueError, match="'frob'"):
        mg.norm(mg.tensor(x), "frob")


# --- nothing ----------------------------------------------------------------------------------------------------------


def test_p54_empty_tensors():
    empty = mg.zeros(0, 3, requires_grad=True)
    assert empty.sum().item() == 0 and empty.prod().item() == 1 and empty.sum(0).tolist() == [0] * 3
    assert np.isnan(empty.mean().item()) and np.isnan(empty.mean(0).detach().numpy()).all() and empty.mean(1).shape == (0,)
    assert np.isnan(empty.var().item()) and empty.norm().item() == 0 and empty.logsumexp(0).tolist() == [-np.inf] * 3
    assert empty.amax(1).shape == (0,) and empty.max(1).indices.shape == (0,) and empty.softmax(0).shape == (0, 3)
    assert bool(empty.all()) and not bool(empty.any()) and (empty @ mg.ones(3, 2)).shape == (0, 2)
    assert mg.cat([empty, mg.ones(2, 3)]).shape == (2, 3) and mg.cat([mg.zeros(0), mg.ones(2, 3)]).shape == (2, 3)
    assert (mg.ones(2, 0) @ mg.ones(0, 3)).tolist() == [[0] * 3] * 2
    for y in (empty.sum(), empty.mean(), empty.exp().sum(), empty.softmax(1).sum(), (empty @ mg.ones(3, 2)).sum(), empty.prod(),
              empty.var(0).sum(), empty.norm(), empty.reshape(-1).sum(), empty.logsumexp(0).sum(), empty.std()):  # fmt: skip
        (g,) = mg.autograd.grad(y, empty)
        assert g.shape == (0, 3) and g.dtype == mg.float32
    weight = mg.ones(4, 3, requires_grad=True)
    mg.linear(empty, weight, None).sum().backward()
    assert weight.grad.tolist() == [[0] * 3] * 4
    for refused in (lambda: empty.max(), lambda: empty.min(0), lambda: empty.amax(), lambda: empty.argmax(), lambda: empty.argmin(0)):
        with pytest.raises((RuntimeError, IndexError)):
            refused()


# --- views and copies -------------------------------------------------------------------------------------------------


def test_views_share_memory_and_copies_do_not():
    x = mg.tensor(numbers(2, 3, 1))
    views = [x.reshape(6), x.view(3, 2), x.flatten(), x.squeeze(), x.unsqueeze(0), x.transpose(0, 1), x.permute(2, 0, 1), x.T, x.mT, x.detach(),
             x.expand(2, 3, 4), x.expand(1, 2, 3, 1), x.movedim(0, 1), x.ravel(), x.unbind(0)[1], x.split(1)[1], x.chunk(2, 1)[0], x.data,
             x.view_as(mg.zeros(6)), x.unflatten(1, (1, 3)), x[0].t(), mg.broadcast_to(x, (2, 3, 2)), x.contiguous(), x.to(mg.float64)]  # fmt: skip
    for view in views:
        assert np.shares_memory(view.array, x.array)
    copies = [x.clone(), x.flip(0), x.transpose(0, 1).reshape(6), x.repeat(1, 1, 1), x.tile(1), x.repeat(1, 1, 2), mg.cat([x]), mg.stack([x]), x.float(), +x * 1,
              x.transpose(0, 1).contiguous(), x.abs(), x.relu(), x.clamp(-9, 9), x.tril(), x.to(mg.float64, copy=True), x.sum(()), x.amax(2),
              x.masked_fill(x > 9, 0), x.gather(2, mg.zeros(2, 3, 1).long()), x.cumsum(0)]  # fmt: skip
    for copy in copies:
        assert not np.shares_memory(copy.array, x.array)


def test_contiguous_is_row_major():
    x = mg.tensor(numbers(2, 3)).T
    assert not x.is_contiguous() and x.contiguous().is_contiguous() and x.stride() == (1, 3) and x.contiguous().stride() == (2, 1)
    assert not x.clone().is_contiguous() and mg.equal(x.contiguous(), x)


def test_view_never_copies():
    x = mg.tensor(numbers(2, 3))
    for refused in (lambda: x.T.view(-1), lambda: x.T.view(6), lambda: x.expand(2, 2, 3).view(-1), lambda: x[:, ::2].view(-1)):
        with pytest.raises(RuntimeError, match=r"view.*reshape\(\)"):
            refused()
    assert x.T.view(3, 1, 2).shape == (3, 1, 2) and x.view(mg.int64).shape == (2, 3)
    with pytest.raises(RuntimeError, match=r"reshape\(\(2, 3\) float64, shape=\(4, 2\)\)"):
        x.view(4, 2)


@pytest.mark.parametrize("call, shape", [
    (lambda x: x.flatten(1), (2, 12)), (lambda x: x.flatten(0, 1), (6, 4)), (lambda x: x.flatten(-2), (2, 12)), (lambda x: x[0, 0, 0].flatten(), (1,)),
    (lambda x: x.expand(5, -1, -1, -1), (5, 2, 3, 4)), (lambda x: x.repeat(2, 1, 1, 2), (2, 2, 3, 8)), (lambda x: x.tile(2), (2, 3, 8)),
    (lambda x: x.unflatten(-1, (2, -1)), (2, 3, 2, 2)), (lambda x: x.movedim((0, 1), (1, 0)), (3, 2, 4)), (lambda x: x.movedim(-1, 0), (4, 2, 3)),
    (lambda x: x.permute(-1, 0, 1), (4, 2, 3)), (lambda x: x.unsqueeze(-2), (2, 3, 1, 4)), (lambda x: x[:, :1].squeeze(1), (2, 4)),
    (lambda x: x.squeeze(1), (2, 3, 4)), (lambda x: x[:1, :1].squeeze((0, 1)), (4,)), (lambda x: mg.hstack([x, x]), (2, 6, 4)),
    (lambda x: mg.vstack([x, x]), (4, 3, 4)), (lambda x: mg.vstack([x[0, 0], x[0, 0]]), (2, 4)), (lambda x: mg.hstack([x[0, 0], x[0, 0]]), (8,)),
    (lambda x: mg.stack([x, x], -1), (2, 3, 4, 2)), (lambda x: mg.cat([x, x, x], -1), (2, 3, 12)), (lambda x: x.reshape((4, -1)), (4, 6)),
    (lambda x: x.swapaxes(0, 2), (4, 3, 2)), (lambda x: x.repeat(0, 1, 1), (0, 3, 4)), (lambda x: x.reshape(mg.tensor(6), 4), (6, 4)),
])  # fmt: skip
def test_shapes_and_their_gradients(call, shape):
    x = tracked(numbers(2, 3, 4))
    y = call(x)
    assert y.shape == shape
    # Such an operation moves elements and changes none: the gradient counts how often each is there.
    (g,) = mg.autograd.grad((y * y).sum() / 2, x)
    times = [np.sum(y.detach().numpy() == value) for value in x.detach().numpy().ravel()]
    np.testing.assert_allclose(g.numpy().ravel(), np.array(times) * x.detach().numpy().ravel(), rtol=1e-14)


def test_repeat_and_flip_are_numpys():
    x = numbers(2, 3)
    t = mg.tensor(x)
    np.testing.assert_array_equal(t.repeat(2, 3).numpy(), np.tile(x, (2, 3)))
    np.testing.assert_array_equal(t.repeat(2, 1, 2).numpy(), np.tile(x, (2, 1, 2)))
    np.testing.assert_array_equal(t.flip(0, 1).numpy(), x[::-1, ::-1])


def test_split_and_chunk():
    x = mg.arange(10.0)
    assert [p.shape[0] for p in x.split(4)] == [4, 4, 2] and [p.shape[0] for p in x.split([1, 2, 7])] == [1, 2, 7]
    assert [p.shape[0] for p in x.chunk(3)] == [4, 4, 2] and [p.shape[0] for p in x.chunk(20)] == [1] * 10
    assert [p.shape for p in mg.zeros(0, 2).chunk(2)] == [(0, 2)] * 2 and len(mg.zeros(2, 6).split(2, dim=-1)) == 3
    y = tracked(numbers(5))
    a, b, c = y.split(2)
    (g,) = mg.autograd.grad((a * 2).sum() + (c * 3).sum(), y)  # b is not used
    assert g.tolist() == [2, 2, 0, 0, 3] and b.requires_grad


def test_cat_promotes_and_refuses():
    assert mg.cat([mg.ones(1), mg.ones(1, dtype=mg.float64)]).dtype == mg.float64
    assert mg.cat([mg.ones(1), mg.tensor([1])]).dtype == mg.float32
    a, b = mg.ones(2, requires_grad=True), mg.ones(1, dtype=mg.float64, requires_grad=True)
    mg.cat([a, b]).sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (mg.float32, mg.float64)
    for wrong in ([], [mg.ones(2, 3), mg.ones(3, 2)], [mg.ones(2), mg.ones(2, 1)]):
        with pytest.raises(RuntimeError, match="cat"):
            mg.cat(wrong)
    with pytest.raises(TypeError, match="sequence"):
        mg.cat(mg.ones(2))


@pytest.mark.parametrize("call, error, message", [
    (lambda x: x.expand(3, 3), RuntimeError, r"\(2, 3\).*\(3, 3\)"), (lambda x: x.expand(3), RuntimeError, "fewer dimensions"),
    (lambda x: x.repeat(2), RuntimeError, "fewer repeats"), (lambda x: x.reshape(5), RuntimeError, "size 6"), (lambda x: x.flatten(1, 0), RuntimeError, "behind"),
    (lambda x: x.flatten(3), IndexError, "out of range"), (lambda x: x.permute(0), RuntimeError, "permute"), (lambda x: x.permute(0, 0), RuntimeError, "repeated"),
    (lambda x: x.transpose(0, 2), IndexError, "2"), (lambda x: x.unsqueeze(4), IndexError, "4"), (lambda x: x.squeeze(2), IndexError, "2"),
    (lambda x: x[None].t(), RuntimeError, "at most 2"), (lambda x: x.split(0), RuntimeError, "positive"), (lambda x: x.split([1, 2]), RuntimeError, "add up to 3"),
    (lambda x: x.chunk(0), RuntimeError, "positive"), (lambda x: x.unbind(2), IndexError, "2"), (lambda x: x.movedim(0, 5), IndexError, "5"),
    (lambda x: x.unflatten(1, (2, 2)), RuntimeError, "multiply"), (lambda x: x.reshape(2.5, 2), TypeError, "float"), (lambda x: x.flip(2), IndexError, "2"),
    (lambda x: mg.broadcast_tensors(x, x.T), RuntimeError, "broadcast_tensors"), (lambda x: mg.stack([x, x[0]]), RuntimeError, "stack"),
])  # fmt: skip
def test_misfits_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(mg.zeros(2, 3))
