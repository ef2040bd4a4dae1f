"""Writing in place: identity, versions, views, and the gradient of what was written; the cases at the end against PyTorch."""

import inspect

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import graph
from microgradnet.ops.inplace import WRITERS


def leaf(*values):
    return mg.tensor(list(values), dtype=mg.float64, requires_grad=True)


# --- leaves -----------------------------------------------------------------------------------------------------------

WRITES = [
    lambda w: w.add_(1), lambda w: w.__iadd__(1), lambda w: w.zero_(), lambda w: w.mul_(2), lambda w: w.__setitem__(0, 1.0),
    lambda w: w.copy_(mg.zeros(2)), lambda w: w.clamp_(0, 1), lambda w: w[:1].add_(1), lambda w: w.view(2, 1).zero_(), lambda w: w.unsqueeze_(0),
]  # fmt: skip


@pytest.mark.parametrize("write", WRITES)
def test_p24_a_leaf_that_requires_grad_is_not_written_while_recording(write):
    w = leaf(1.0, 2.0)
    w.name = "weight"
    with pytest.raises(RuntimeError, match=r"leaf tensor that requires grad, .*no_grad\(\)"):
        write(w)
    assert w.tolist() == [1, 2] and w.is_leaf and w.shape == (2,) and w._version == 0
    with mg.no_grad():
        write(w)
    assert w.is_leaf and w.requires_grad


def test_p24_nor_is_a_leaf_that_is_a_view():
    w = mg.zeros(2, 3).reshape(6).requires_grad_()
    with pytest.raises(RuntimeError, match="leaf"):
        w += 1


def test_p25_an_update_keeps_the_tensor():
    w = leaf(1.0, 2.0)
    (w * w).sum().backward()
    before, memory = w, w.array
    with mg.no_grad():
        w -= 0.5 * w.grad
    assert w is before and w.array is memory and w.tolist() == [0, 0] and w.is_leaf and w.requires_grad
    (w * w + w).sum().backward()
    assert w.grad.tolist() == [3, 5]


# --- versions ---------------------------------------------------------------------------------------------------------


def test_p26_a_saved_tensor_that_was_written_is_named():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    h = x * 1
    h.name = "hidden"
    y = h * w
    h.add_(1)
    with pytest.raises(RuntimeError, match=r"mul: its argument 0 .*\(2,\) float64.*modified in place.*version \d+.*version \d+.*clone\(\)"):
        y.sum().backward()


def test_p26_an_output_that_was_written_is_named():
    y = leaf(1.0, 2.0).exp()
    y += 1
    with pytest.raises(RuntimeError, match=r"exp: its output .*modified in place"):
        y.sum().backward()


@pytest.mark.parametrize("function", [
    lambda h: h + 1, lambda h: h * 3, lambda h: h.sum(), lambda h: h.mean(), lambda h: -h, lambda h: h.reshape(2, 1) + 0, lambda h: h.cumsum(0),
    lambda h: h[[0, 0]], lambda h: mg.cat([h, h]), lambda h: h.flip(0), lambda h: h.clone(), lambda h: h.float(), lambda h: h.tanh(),
    lambda h: h.sigmoid(), lambda h: h.exp(), lambda h: mg.where(h > 0, h, 0.0), lambda h: h.softmax(0), lambda h: h / 2, lambda h: h @ mg.ones(2).double(),
])  # fmt: skip
def test_p26_what_no_rule_reads_may_be_written(function):
    x = leaf(0.5, 0.25)
    (expected,) = mg.autograd.grad(function(x * 1).sum(), x)
    h = x * 1
    y = function(h)
    h.zero_()
    (given,) = mg.autograd.grad(y.sum(), x)
    assert given.tolist() == expected.tolist()


def test_p26_writing_between_two_uses_is_seen_by_the_first_only():
    x = leaf(2.0)
    h = x * 1
    before = h * h
    h += 1
    after = h * h
    after.sum().backward()
    assert x.grad.tolist() == [6]
    with pytest.raises(RuntimeError, match="modified in place"):
        before.sum().backward()


def test_p26_an_operand_of_its_own_write():
    x = leaf(3.0)
    h = x * 1
    h.mul_(h)
    assert h.tolist() == [9]
    (g,) = mg.autograd.grad(h.sum(), x, create_graph=True)
    assert g.tolist() == [6] and mg.autograd.grad(g.sum(), x)[0].tolist() == [2]


def test_second_derivatives_see_the_values_before_the_write():
    x, scale = leaf(3.0), mg.tensor([2.0], dtype=mg.float64)
    scale *= x * x  # 2x², through a tensor that did not require grad
    (g,) = mg.autograd.grad(scale.sum(), x, create_graph=True)
    assert g.tolist() == [12] and mg.autograd.grad(g.sum(), x)[0].tolist() == [4]


def test_p15_detach_shares_memory_and_the_version():
    x = leaf(1.0, 2.0)
    h = x * 1
    y = h * h
    h.detach().zero_()
    assert h.tolist() == [0, 0]
    with pytest.raises(RuntimeError, match="modified in place"):
        y.sum().backward()


def test_p28_every_name_sees_the_write_and_the_gradient_is_right():
    w = leaf(2.0, 3.0)
    x = w * 1
    y = x
    y += w  # 2w
    y *= y.detach()
    assert x is y and x.tolist() == [16, 36] and x.requires_grad and not x.is_leaf
    x.sum().backward()
    assert w.grad.tolist() == [8, 12]


def test_p29_what_is_overwritten_gets_a_gradient_of_zero():
    w, v = leaf(1.0, 2.0, 3.0), leaf(5.0)
    x = w * 2
    x[1:] = v
    (x * x).sum().backward()
    assert w.grad.tolist() == [8, 0, 0] and v.grad.tolist() == [20]
    z = w * 1
    z[...] = 0
    (g,) = mg.autograd.grad(z.sum(), w)
    assert g.tolist() == [0, 0, 0]


def test_p30_views_and_their_base_share_a_version():
    base = mg.zeros(2, 3)
    view, other = base[0], base.T
    start = base._version
    view.add_(1)
    assert base._version == view._version == other._version > start and base[0].tolist() == [1, 1, 1]
    base.mul_(2)
    assert view.tolist() == [2, 2, 2] and other[:, 0].tolist() == [2, 2, 2]
    assert base.clone()._version != base._version


# --- writing through views --------------------------------------------------------------------------------------------


def test_a_write_through_a_view_reaches_the_base_and_its_other_views():
    w, v = leaf(1.0, 2.0, 3.0, 4.0), leaf(10.0, 20.0)
    base = w * 1
    matrix, row = base.view(2, 2), base[:2]
    matrix[0] *= v
    assert base.tolist() == [10, 40, 3, 4] and row.tolist() == [10, 40]
    (base.sum() + (row * row).sum()).backward()
    assert w.grad.tolist() == [10 + 2 * 10 * 10, 20 + 2 * 40 * 20, 1, 1]
    assert v.grad.tolist() == [1 + 2 * 10 * 1, 2 + 2 * 40 * 2]


def test_a_write_to_the_base_reaches_its_views():
    w = leaf(1.0, 2.0)
    base = w * 1
    view = base[:1]
    base *= 3
    view.sum().backward()
    assert w.grad.tolist() == [3, 0]


def test_a_view_made_before_its_base_was_tracked():
    w = leaf(1.0, 2.0)
    base = mg.zeros(2, 2, dtype=mg.float64)
    row, column = base[0], base[:, 1]
    assert not row.requires_grad
    base += w
    assert row.requires_grad and column.requires_grad and column.tolist() == [2, 2]
    (g,) = mg.autograd.grad(column.sum() + (row * row).sum(), w)
    assert g.tolist() == [2, 6]


def test_parts_of_a_split_may_be_written():
    w = leaf(1.0, 2.0, 3.0)
    base = w * 1
    first, rest = base.split([1, 2])
    rest *= 5
    base[0] = 7
    assert first.tolist() == [7] and base.tolist() == [7, 10, 15]
    (first.sum() + (base * base).sum()).backward()
    assert w.grad.tolist() == [0, 100, 150]
    a, b = (w * 1).unbind()[:2]
    a += b
    (g,) = mg.autograd.grad(a, w)
    assert g.tolist() == [1, 1, 0]


def test_views_of_views_transposed_and_strided():
    w = mg.tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
    base = w * 1
    part = base.T[1::2].unsqueeze(0)[:, :, 1:]
    part.mul_(10)
    expected = np.ones((3, 4))
    expected[1:, 1::2] = 10
    (g,) = mg.autograd.grad(base.sum(), w)
    np.testing.assert_array_equal(g.numpy(), expected)
    np.testing.assert_array_equal(base.detach().numpy(), w.detach().numpy() * expected)


def test_a_view_outlives_its_base():
    w = leaf(1.0, 2.0)
    view = (w * 2)[1:]
    view += 1
    view.sum().backward()
    assert w.grad.tolist() == [0, 2]


def test_a_write_under_no_grad_is_seen_but_not_recorded():
    w = leaf(1.0, 2.0)
    base = w * 1
    with mg.no_grad():
        base[0] = 100
    (g,) = mg.autograd.grad((base * 2).sum(), w)
    assert base.tolist() == [100, 2] and g.tolist() == [2, 2]


def test_turning_in_place():
    w = leaf(1.0, 2.0, 3.0)
    x = (w * 1).unsqueeze_(0)
    assert x.shape == (1, 3) and x.t_().shape == (3, 1) and x.transpose_(0, 1).shape == (1, 3) and x.squeeze_().shape == (3,)
    (g,) = mg.autograd.grad((x * x).sum(), w)
    assert g.tolist() == [2, 4, 6]


# --- what is refused --------------------------------------------------------------------------------------------------


def refused_writes():
    whole, mask, single, double = mg.tensor([1, 2]), mg.tensor([True, False]), mg.zeros(2), mg.zeros(2, dtype=mg.float64)
    tracked = leaf(1.0, 2.0) * 1
    return [
        (whole, lambda x: x.add_(0.5)), (whole, lambda x: x.div_(2)), (whole, lambda x: x.exp_()), (mask, lambda x: x.add_(1)), (whole, lambda x: x.add_(single)),
        (single, lambda x: x.add_(mg.zeros(3, 2))), (single, lambda x: x.mul_(mg.zeros(3))), (single, lambda x: x.copy_(mg.zeros(3))),
        (double, lambda x: x.fill_(mg.zeros(2))), (double, lambda x: x.copy_(3)), (double, lambda x: x.__setitem__(0, "a")), (tracked, lambda x: x.heaviside_(x)),
        (single.expand(3, 2), lambda x: x.add_(1)), (single.expand(3, 2), lambda x: x.__setitem__(0, 1)), (single.expand(3, 2), lambda x: x.zero_()),
    ]  # fmt: skip


@pytest.mark.parametrize("case", range(len(refused_writes())))
def test_a_refused_write_changes_nothing(case):
    x, write = refused_writes()[case]
    before, version, node = x.tolist(), x._version, x.node
    with pytest.raises((RuntimeError, TypeError), match=r"[a-z_]+"):
        write(x)
    assert x.tolist() == before and x._version == version and x.node is node


def test_expanded_memory_is_not_written_through():
    with pytest.raises(RuntimeError, match=r"add_: .*share places in memory.*clone\(\)"):
        mg.zeros(2).expand(3, 2).add_(1)
    array = np.zeros(2)
    array.flags.writeable = False
    with pytest.raises(RuntimeError, match="read-only"):
        mg.from_numpy(array).zero_()
    x = mg.zeros(2)
    x.expand(1, 2).add_(1)  # here nothing is shared
    assert x.tolist() == [1, 1]


def test_dtypes_in_place():
    single, small = mg.zeros(2), mg.tensor([1, 2], dtype=mg.uint8)
    assert single.add_(mg.ones(2, dtype=mg.float64)).dtype == mg.float32 and single.mul_(mg.tensor([2, 3])).tolist() == [2, 3]
    assert small.add_(mg.tensor([1, 1])).dtype == mg.uint8 and small.tolist() == [2, 3]
    small[0] = 2.7
    small.copy_(mg.tensor([1.9, 2.9]))
    assert small.tolist() == [1, 2] and mg.tensor([1, 2]).fill_(2.9).tolist() == [2, 2]
    w = mg.ones(2, requires_grad=True)
    single.zero_()
    single += w.double() * 2
    assert single.dtype == mg.float32 and single.requires_grad
    single.sum().backward()
    assert w.grad.tolist() == [2, 2] and w.grad.dtype == mg.float32


def operands(name):
    """How many tensors the operation behind a writer takes."""
    method = getattr(mg.Tensor, name[:-1], None)
    if isinstance(method, graph.Op) or method is None:
        return method.arity if method else 1
    return sum(p.default is p.empty for p in inspect.signature(method).parameters.values())


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_returns_its_tensor(name):
    x = mg.tensor([[0.5, 0.25], [0.75, 0.125]])
    other = {"scatter_": (0, mg.tensor([[0]]), 1.0), "scatter_add_": (0, mg.tensor([[0]]), mg.ones(1, 1)),
             "index_add_": (0, mg.tensor([0]), mg.ones(1, 2)), "masked_fill_": (x > 0.3, 0), "transpose_": (0, 1), "unsqueeze_": (0,),
             "addcmul_": (x, x), "addcdiv_": (x, x), "lerp_": (x, 0.5), "copy_": (x * 2,), "clamp_": (0, 1), "fill_": (1,), "fill_diagonal_": (2,), "scatter_reduce_": (0, mg.tensor([[0]]), mg.ones(1, 1), "amax"),
             "index_copy_": (0, mg.tensor([1]), mg.ones(1, 2)), "index_fill_": (1, mg.tensor([0]), 2.0), "put_": (mg.tensor([3]), mg.ones(1)),
             "index_reduce_": (0, mg.tensor([1]), mg.ones(1, 2), "prod"), "index_put_": ((mg.tensor([0]),), mg.ones(2)),
             "masked_scatter_": (x > 0.3, mg.ones(4)), "cumsum_": (0,), "cumprod_": (1,), "renorm_": (2, 0, 0.5), "addmm_": (x, x),
             "addmv_": (x, x[0]), "addr_": (x[0], x[1]), "addbmm_": (x[None], x[None]), "baddbmm_": (x[None], x[None])}  # fmt: skip
    if name == "baddbmm_":
        x = x[None]
    if name.startswith(("bitwise", "gcd", "lcm")):
        x = (10 * x).long()
    other |= {"polygamma_": (2,), "mvlgamma_": (1,), "clip_": (0.3,), "swapaxes_": (0, 1), "swapdims_": (0, 1)}
    if name == "float_power_":
        x = x.double()
    args = other.get(name, (x.clone(),) * (operands(name) - 1))
    out_of_place = getattr(mg.Tensor, name[:-1], None)
    y = x.clone()
    version = y._version
    assert getattr(y, name)(*args) is y
    if out_of_place is not None and name != "copy_":
        np.testing.assert_array_equal(y.numpy(), out_of_place(x, *args).to(x.dtype).numpy())
        assert y.dtype == x.dtype
    assert y._version > version or name in ("transpose_", "swapaxes_", "swapdims_", "t_", "squeeze_", "unsqueeze_")
    assert getattr(mg.Tensor, name).__name__ == name and getattr(mg.Tensor, name).__doc__


def test_operators_write_in_place():
    x = mg.tensor([6, 7])
    before = x
    x += 2
    x -= 1
    x *= 3
    x //= 2
    x %= 8
    x **= 2
    x &= 15
    x |= 32
    x ^= 1
    y = mg.tensor([3.0])
    y /= 2
    assert x is before and x.tolist() == [((((6 + 2 - 1) * 3 // 2) % 8) ** 2 & 15 | 32) ^ 1, ((((7 + 2 - 1) * 3 // 2) % 8) ** 2 & 15 | 32) ^ 1]
    assert y.tolist() == [1.5]


def test_versions_do_not_pile_up():
    before = len(graph._written)
    for _ in range(100):
        mg.zeros(3).add_(1)
    assert len(graph._written) <= before + 1


# --- against PyTorch --------------------------------------------------------------------------------------------------

CASES = """
whole += 2; whole.add_(3) | whole += 2.5 | whole /= 2 | whole //= 2 | whole %= 3 | whole *= True | whole **= 2 | whole[0, 0] = 2.7
whole[0] = m.tensor([1.9, 2.9, -1.9]) | mask[0] = 3 | mask[1] = 0.5 | whole.fill_(2.7) | whole.copy_(x[:2]) | whole.zero_() | whole.add_(x[:2])
whole -= one | mask &= mask2[0] | mask |= mask2[1] | mask ^= mask | mask.logical_not_() | mask.logical_and_(mask2[0]) | whole.bitwise_and_(1)
whole &= 3 | whole.neg_() | whole.abs_() | whole.clamp_(0, 3) | whole.clamp_(0.5) | whole.floor_divide_(2) | whole.remainder_(2) | mask.fill_(1)
mask.copy_(v) | mask += 1 | whole.exp_() | whole.sqrt_() | whole.float().exp_() | f = x.detach().float(); f += y.detach(); r = f
f = x.detach().float(); f.mul_(whole[0]); r = f | f = x.detach().float(); f *= 2; r = f | f = x.detach().float(); f[0] = y.detach()[0]; r = f
f = x.detach().float(); f.copy_(y); r = f | a = x * 1; a += y | a = x * 1; a += w | a = x * 1; a += b | a = v * 1; a += x | a = x * 1; a[0] = 5
a = x * 1; a[0] = y[1] | a = x * 1; a[:] = v | a = x * 1; a[:] = v[:2] | a = x * 1; a[:, 0] = 0; a[1:] *= 2 | a = x * 1; a[mask2] = 0
a = x * 1; a[mask2] = s | a = x * 1; a[mask2] = v[:1] | a = x * 1; a[i] = y[:3] | a = x * 1; a[i, i] = v | a = x * 1; a[a > 0] = a.detach()[a > 0] * 2
a = x * 1; a[[0, 2]] = y[[1, 3]] | a = x * 1; a[None, 0] = y[0] | a = x * 1; a[...] = 3 | a = x * 1; a[()] = y | a = x * 1; a[0, 0] = s
a = x * 1; a[0][1] = s | a = x * 1; a[1:3][0] += 1 | a = x * 1; a[0] = 'a' | a = x * 1; a[4] = 0 | a = x * 1; a[0] = x
a = x * 1; a[:, :, None] = x[:, :, None] | a = x * 1; a[0] = None | a = x * 1; a[0] = [1, 2, 3] | a = x * 1; a[0, 1] = m.tensor([2.0]).double()
a = x * 1; a[0] = v[None] | a = x * 1; a[0:2] = v | a = x * 1; a[:, 1] = w[:, 0] | a = x * 1; a[mask2, None] = 0 | a = x * 1; a[m.tensor(1)] = 0
a = x * 1; a[m.tensor(True)] = 0 | a = x * 1; a[1, mask] = 9 | a = x * 1; a.mul_(2).add_(1).neg_() | a = x * 1; a.exp_() | a = x.abs(); a.log_()
a = x.abs(); a.sqrt_() | a = x * x; a.rsqrt_() | a = x * 1; a.reciprocal_() | a = x * 1; a.square_() | a = x * 1; a.sin_() | a = x * 1; a.cos_()
a = x * 1; a.tan_() | a = x * 1; a.tanh_() | a = x * 1; a.sigmoid_() | a = x * 1; a.relu_() | a = x * 1; a.floor_() | a = x * 1; a.round_()
a = x * 1; a.trunc_() | a = x * 1; a.sign_() | a = x * 1; a.ceil_() | a = x * 1; a.pow_(2) | a = x * 1; a.pow_(y.abs()) | a = x.abs(); a **= y
a = x * 1; a.remainder_(0.3) | a = x * 1; a %= 0.7 | a = x * 1; a.erf_() | a = x * 1; a.expm1_() | a = x.abs(); a.log1p_() | a = x * 1; a.tril_()
a = x * 1; a.triu_(1) | a = x * 1; a.add_(y, alpha=2) | a = x * 1; a.sub_(y, alpha=3) | a = x * 1; a.div_(y) | a = x * 1; a /= v
a = x * 1; a.clamp_(min=0) | a = x * 1; a.clamp_(-0.1, 0.1) | a = x * 1; a.clamp_(v, v + 1) | a = x * 1; a.masked_fill_(mask2, 2)
a = x * 1; a.scatter_(0, j, y[:2]) | a = x * 1; a.scatter_(0, j, 1.5) | a = x * 1; a.scatter_(1, j, value=2) | a = x * 1; a.scatter_add_(0, j, y[:2])
a = x * 1; a.index_add_(0, i, y[:3]) | a = x * 1; a.index_add_(0, i, y[:3], alpha=2) | a = x * 1; a.addcmul_(x, y)
a = x * 1; a.addcmul_(x, y, value=0.5) | a = x * 1; a.addcdiv_(x, y, value=2) | a = x * 1; a.lerp_(y, 0.3) | a = x * 1; a.copy_(y)
a = x * 1; a.copy_(v) | a = x * 1; a.copy_(w) | a = x * 1; a.fill_(3) | a = x * 1; a.fill_(s) | a = x * 1; a.fill_(v) | a = x * 1; a.zero_()
a = x * 1; a.t_() | a = x * 1; a.transpose_(0, 1) | a = x * 1; a.unsqueeze_(0) | a = x * 1; a.squeeze_() | a = x * 1; a.requires_grad_()
a = x * 1; a.detach_() | a = v * 1; a.mul_(x) | a = x * 1; a += 'a' | a = x * 1; a @= w | a = x * 1; a.hardtanh_() | x += 1 | x[0] = 1 | x.zero_()
x.mul_(2) | x.data += 1; r = x * 1 | x.detach().add_(1); r = x * 1 | with m.no_grad(): x += 1; r = x * 2 | with m.no_grad(): x[0] = 0; r = x * 2
with m.no_grad(): x.copy_(y); r = x * 2 | z.data.zero_() | q = z.detach(); q += x[:2]; r = q | q = m.zeros(4, 3).double(); q += x; r = q
q = m.zeros(4, 3).double(); q[0] = v; q[1] = v * 2; r = q | q = m.zeros(4, 3).double(); q[:, 0] = x[:, 0]; r = q @ w | q = m.zeros(3); q[0] = s; r = q
q = m.zeros(3, dtype=m.int64); q[0] = s; r = q | q = m.zeros(2, 3).double(); q.requires_grad_(); q[0] = 1
q = m.zeros(2, 3).double(); p = q[0]; q += x[:2]; r = p * p | q = m.zeros(2, 3).double(); p = q[0]; p += v; r = q * q
q = x * 1; p = q.T; p[0] = w[0]; r = q | q = x * 1; p = q.view(-1); p[::2] = 0; r = q * p.view(4, 3)
q = x * 1; p = q.reshape(2, 6)[1]; p.mul_(3); r = q | q = x * 1; p = q[:, None]; p += y[:, None]; r = q | q = x * 1; p = q.expand(2, 4, 3); p += 1
q = x * 1; p = q[:, :1].expand(4, 3); p.zero_() if False else p.add_(1) | q = x * 1; p = q.detach(); p += 1; r = q * 1
q = x * 1; p = q.clone(); p += 1; r = q | q = x.sin(); q *= 2; r = q | q = x.exp(); q *= 2; r = q | q = x.tanh(); q += 1; r = q
q = x * y; q += 1; x2 = q; r = x2 | q = x * 1; r = q * y; q += 1 | q = x * 1; r = q * q; q += 1 | q = x * 1; r = q @ w; q += 1
q = x * 1; r = q.sum(); q += 1 | q = x * 1; r = q.max(); q += 1 | q = x * 1; r = q.relu(); q += 1 | q = x * 1; r = q.abs(); q += 1
q = x * 1; r = q + y; q += 1 | q = x * 1; r = q.softmax(1); q += 1 | q = x * 1; r = q.prod(); q += 1 | q = x * 1; r = q.norm(); q += 1
q = x * 1; r = q ** 2; q += 1 | q = x * 1; r = q / y; q += 1 | q = x * 1; r = y / q; q += 1 | q = x * 1; r = q.var(); q += 1
q = x * 1; r = q.clamp(0, 1); q += 1 | q = x * 1; r = m.where(q > 0, q, y); q += 1 | q = x * 1; r = m.maximum(q, y); q += 1
q = x * 1; r = q.cumsum(0); q += 1 | q = x * 1; r = q.mean(0); q += 1 | q = x * 1; r = q[i]; q += 1 | k = i.clone(); r = x[k]; k += 1
k = mask.clone(); r = x[:, k]; k[0] = False | q = x * 1; r = m.cat([q, y]); q += 1 | q = x * 1; r = F.linear(q, w.T); q += 1
k = j.clone(); r = x.gather(0, k); k += 1 | q = x * 1; r = q.masked_fill(mask2, 0); q += 1 | q = x * 1; r = q.float(); q += 1
q = x * 1; r = q.logsumexp(0); q += 1 | q = x * 1; r = q.sigmoid(); q += 1 | q = x * 1; r = F.gelu(q); q += 1 | q = x * 1; r = q.amax(0); q += 1
q = x * 1; r = q.std(0); q += 1 | q = x * 1; r = -q; q += 1 | q = x * 1; r = q * 3; q += 1 | q = x * 1; r = q.pow(3); q += 1
q = x * 1; r = q.exp(); q += 1 | q = x * 1; r = q.sqrt(); q += 1 | q = x * 1; r = q.erf(); q += 1 | q = x * 1; r = q.sin(); q += 1
q = x * 1; r = q.flip(0); q += 1 | r = x.tanh(); r += 1 | r = x.sigmoid(); r += 1 | r = x.exp(); r += 1 | r = x.relu(); r += 1
r = x.abs().sqrt(); r += 1 | r = x.tan(); r += 1 | r = x.softmax(1); r += 1 | r = x.log_softmax(1); r += 1 | r = x.std(0); r += 1
r = x.prod(0); r += 1 | r = x.amax(0); r += 1 | r = x.logsumexp(0); r += 1 | r = x / y; r += 1 | r = x * y; r += 1 | r = x.abs() ** y; r += 1
r = x ** 2; r += 1 | r = x.reciprocal(); r += 1 | r = x.expm1(); r += 1 | r = m.maximum(x, y); r += 1 | r = x @ w; r += 1
r = F.linear(x, w.T, w[0]); r += 1 | r = x.clamp(0, 1); r += 1 | r = x.abs(); r += 1 | r = x.abs().rsqrt(); r += 1 | r = x.abs().log(); r += 1
r = F.elu(x); r += 1 | r = F.leaky_relu(x); r += 1 | r = F.softplus(x); r += 1 | r = F.silu(x); r += 1 | r = F.gelu(x); r += 1
r = F.hardtanh(x); r += 1 | r = x.sum(0); r += 1 | r = x.mean(); r += 1 | r = x.cumsum(0); r += 1 | r = x[i]; r += 1 | r = x.var(); r += 1
r = x.atan(); r += 1 | r = x.remainder(0.5); r += 1 | r = x.tanh().asin(); r += 1 | r = x.sinh(); r += 1 | r = x.asinh(); r += 1
r = m.where(x > 0, x, y); r += 1 | r = x.gather(0, j); r += 1 | r = F.mse_loss(x, y); r += 1 | r = F.cross_entropy(x, m.tensor([0, 1, 2, 1])); r += 1
r = F.binary_cross_entropy_with_logits(x, y.sigmoid()); r += 1 | r = x.erf(); r += 1 | r = x.exp2(); r += 1
"""


def outcome(m, case):
    """The tensors after the statements of a case, and the gradients of `r`, `a` and `q` by the leaves."""
    from test_functions_torch import tensors

    names = tensors(m)
    leaves = [n for n, t in names.items() if getattr(t, "requires_grad", False)]
    wrt = [names[n] for n in leaves]
    exec(case, names)  # noqa: S102
    found = {n: names[n] for n in ("r", "a", "q", "whole", "mask", "x") if n in names}
    tracked = [t for n, t in found.items() if n in ("r", "a", "q") and t.requires_grad]
    if tracked:
        seeds = [m.tensor(np.cos(np.arange(t.numel())).reshape(t.shape).tolist(), dtype=t.dtype) for t in tracked]
        grads = m.autograd.grad(tracked, wrt, seeds, materialize_grads=True, allow_unused=True)
        found |= {f"gradient of {n}": g for n, g in zip(leaves, grads)}
    return found


def error_or_outcome(m, case):
    try:
        return outcome(m, case)
    except Exception as error:
        return error


@pytest.mark.torch
@pytest.mark.parametrize("line", range(CASES.strip().count("\n") + 1))
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_programs_are_as_in_pytorch(line):
    torch = pytest.importorskip("torch")
    from test_functions_torch import assert_same

    for case in CASES.strip().splitlines()[line].split(" | "):
        theirs, ours = error_or_outcome(torch, case), error_or_outcome(mg, case)
        if isinstance(theirs, Exception):
            assert isinstance(ours, type(theirs)), f"{case}: {ours!r} here, {theirs!r} in PyTorch"
            continue
        assert not isinstance(ours, Exception), f"{case}: {ours!r} here"
        for what, expected in theirs.items():
            assert_same(ours[what], expected, f"{case}: {what}")
