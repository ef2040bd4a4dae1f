"""The functions and methods made of the table's operations, against PyTorch: values, dtypes, gradients, second gradients,
and what is refused.

A case is an expression in the library `m` and the tensors of `tensors`.
"""

import numpy as np
import pytest

import microgradnet as mg

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
torch.set_num_threads(1)


def tensors(m):
    rng = np.random.default_rng(0)
    shapes = {"x": (4, 3), "y": (4, 3), "v": (3,), "w": (3, 4), "b": (2, 4, 3), "c": (2, 3, 4), "s": (), "e": (0, 3), "n": (1, 4, 1),
              "d": (5, 1, 3, 2)}  # fmt: skip
    names = {name: m.tensor(rng.standard_normal(shape).tolist(), dtype=m.float64).reshape(shape).requires_grad_()
             for name, shape in shapes.items()}
    return names | {
        "m": m, "F": m.nn.functional, "i": m.tensor([0, 2, 2]), "j": m.tensor([[0, 1, 2], [2, 2, 0]]), "mask": m.tensor([True, False, True]),
        "mask2": m.tensor([[True, False, True]] * 2 + [[False, False, True]] * 2), "whole": m.tensor([[3, -1, 2], [0, 5, -7]]),
        "t": m.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, -1.0]], dtype=m.float64).requires_grad_(), "inf": float("inf"),
        "z": m.zeros(2, 3, dtype=m.float64).requires_grad_(), "nan": float("nan"), "one": m.tensor(1),
    }  # fmt: skip


def parts(result):
    """The tensors in a result, however nested."""
    if isinstance(result, (tuple, list)):
        return [t for part in result for t in parts(part)]
    return [result]


def outcome(m, expression):
    """Everything there is to compare about an expression."""
    names = tensors(m)
    results = parts(eval(expression, dict(names)))  # noqa: S307
    found = {}
    for k, y in enumerate(results):
        found[f"result {k}"] = y
    tracked = [y for y in results if isinstance(y, (mg.Tensor, torch.Tensor)) and y.requires_grad]
    if not tracked:
        return found
    wrt = [t for t in names.values() if isinstance(t, (mg.Tensor, torch.Tensor)) and t.requires_grad]
    seeds = [m.tensor(np.cos(np.arange(y.numel())).reshape(y.shape).tolist(), dtype=y.dtype).reshape(y.shape).requires_grad_() for y in tracked]
    first = m.autograd.grad(tracked, wrt, seeds, create_graph=True, materialize_grads=True, allow_unused=True)
    total = sum((g * g * g).sum() for g in first)
    second = m.autograd.grad(total, wrt + seeds, materialize_grads=True, allow_unused=True) if total.requires_grad else ()
    names = [n for n, t in names.items() if any(t is leaf for leaf in wrt)]
    found |= {f"gradient of {n}": g for n, g in zip(names, first)}
    if total.requires_grad:
        found |= {f"second gradient of {n}": g for n, g in zip([*names, *map(str, range(len(seeds)))], second)}
    return found


def assert_same(actual, expected, what):
    __tracebackhide__ = True
    if not isinstance(expected, torch.Tensor):
        assert actual == expected and isinstance(actual, tuple if isinstance(expected, tuple) else type(expected)), what
        return
    a, b = actual.detach().numpy(), expected.detach().numpy(force=True)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, in PyTorch {b.shape}"
    assert a.dtype == b.dtype, f"{what}: {a.dtype}, in PyTorch {b.dtype}"
    tolerance = 1e-5 if b.dtype == np.float32 else 1e-8
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=what)


CASES = """
m.cat([x, y]); m.cat((x, y, x), 1); m.cat([x, y], dim=-1); m.cat([e, x]); m.cat([x, x]); m.concat([v, v]); m.cat([v, v.float()]); m.cat([v, i])
m.stack([x, y]); m.stack((x, y), 2); m.stack([x, x], dim=-1); m.stack([s, s]); m.hstack([x, y]); m.hstack([v, v]); m.hstack([s, s]); m.vstack([x, v]); m.vstack([v, v])
m.split(x, 2); m.split(x, 3); m.split(x, 5); x.split(1, dim=1); x.split([1, 3]); x.split((2, 1), 1); m.chunk(x, 2); m.chunk(x, 3); x.chunk(7); x.chunk(2, dim=1); x.chunk(2, -1)
m.unbind(x); x.unbind(1); b.unbind(-1); v.unbind(); list(x); [row.sum() for row in x]; e.unbind(0); e.split(2); e.chunk(3)
x.expand(2, 4, 3); x.expand(4, 3); n.expand(1, 4, 5); n.expand(-1, -1, 2); s.expand(3); s.expand(2, 2); x.expand((2, -1, -1)); v.expand_as(x); m.broadcast_to(v, (4, 3)); n.expand(2, 4, 0)
m.broadcast_tensors(x, v, n); x.repeat(2, 1); x.repeat(1, 2, 2); v.repeat(3); v.repeat((2, 2)); s.repeat(2); x.tile(2); x.tile((2, 1, 2)); m.tile(v, (2,)); v.repeat(0, 2)
m.flatten(b); b.flatten(1); b.flatten(0, 1); b.flatten(-2, -1); s.flatten(); d.flatten(1, 2); e.flatten(); b.flatten(start_dim=1); x.flatten(1)
x.reshape(2, 6); x.reshape(-1); x.reshape((3, 4)); x.reshape(2, -1); s.reshape(1, 1); e.reshape(0); e.reshape(3, 0); m.reshape(x, (6, 2)); x.view(2, 6); x.view(-1); x.view_as(w); x.T.reshape(-1); x.ravel(); x.unflatten(0, (2, 2)); x.unflatten(-1, (3, 1)); x.unflatten(0, (-1, 2))
x.T; b.mT; b.transpose(0, 2); b.transpose(-1, -2); m.transpose(x, 0, 1); x.t(); v.t(); s.t(); b.permute(2, 0, 1); b.permute((1, 2, 0)); b.permute(-1, 0, 1); m.permute(x, (1, 0)); b.swapaxes(0, 1); m.movedim(b, 0, 2); b.movedim((0, 1), (2, 0)); d.movedim(-1, 0); m.moveaxis(b, 0, -1)
n.squeeze(); n.squeeze(0); n.squeeze(1); n.squeeze(-1); n.squeeze((0, 2)); m.squeeze(x); s.squeeze(); s.squeeze(0); x.unsqueeze(0); x.unsqueeze(-1); x.unsqueeze(2); s.unsqueeze(0); m.unsqueeze(v, 1)
m.flip(x, [0]); x.flip(0, 1); x.flip(-1); b.flip((0, 2)); x.flip(1)
x.sum(); x.sum(0); x.sum(-1, keepdim=True); x.sum((0, 1)); x.sum(dim=[0]); b.sum((0, -1)); b.sum((0, 2), True); m.sum(x, 1); x.sum(dim=1, keepdim=True); s.sum(); s.sum(0); e.sum(); e.sum(0); e.sum(1); x.sum(()); x.sum(dtype=m.float32); x.sum(0, dtype=m.float32)
x.mean(); x.mean(0); b.mean((0, 2)); b.mean(-1, keepdim=True); s.mean(); s.mean(0); x.mean(dim=[0, 1]); e.mean(); e.mean(0); e.mean(1); x.mean(dtype=m.float32)
x.prod(); x.prod(0); x.prod(1, keepdim=True); s.prod(); e.prod(); e.prod(0); z.prod(); z.prod(1); m.cat([v, z[0, :1]]).prod(); m.cat([v, z[0, :2]]).prod(); x.prod(dim=-1)
x.var(); x.var(0); x.var(1, keepdim=True); b.var((0, 1)); x.var(0, unbiased=False); x.var(False); x.var(correction=0); x.var(0, correction=2); m.var(x, dim=1, correction=0); x.std(); x.std(0); x.std(-1, keepdim=True); x.std(0, False); x.std(unbiased=False); x.var(dim=[0, 1]); m.std(b, (0, 2), correction=0); x.var(None)
x.amax(); x.amax(0); b.amax((0, 2)); x.amin(-1, keepdim=True); t.amax(); t.amax(1); t.amin(0); t.amax((0, 1)); x.max(); x.min(); t.max(); t.min(); x.max(0); x.max(1, keepdim=True); t.max(1).values; t.min(0); t.max(dim=1)[1]; x.min(dim=-1); s.max(); s.max(0); m.max(x, y); m.min(x, v); x.max(y); m.max(x, 0).indices; z.max(); z.amax(1); e.amax(1); e.max(1)
x.argmax(); x.argmax(0); x.argmin(1, keepdim=True); t.argmax(1); t.argmin(); m.argmax(x, -1); s.argmax(); s.argmax(0); z.argmax(); b.argmax(1, True); x.argmax(dim=None, keepdim=True)
x.cumsum(0); b.cumsum(-1); m.cumsum(v, 0); s.cumsum(0); e.cumsum(0); x.logsumexp(0); x.logsumexp((0, 1)); x.logsumexp(1, True); m.logsumexp(b, (0, 2)); s.logsumexp(0); x.logsumexp(dim=-1, keepdim=True); e.logsumexp(1); e.logsumexp(0)
x.norm(); x.norm(2); x.norm(1); x.norm(3); x.norm(inf); x.norm(-inf); x.norm(0).detach(); x.norm('fro'); x.norm(dim=1); x.norm(2, 1, True); x.norm(p=1, dim=0); x.norm(3.5, 1); b.norm(2, (0, 1)); b.norm(inf, -1); m.norm(x, p=0.5); x.norm(-1); z.norm(0.5); z.norm(1.5, 1); m.cat([v, z[0]]).norm(0.5); m.cat([v, z[0]]).norm(-1).detach(); m.cat([v, z[0]]).norm(1.5); m.cat([v, z[0]]).norm(3); s.norm(); x.norm(p=2, dim=(0, 1)); x.norm(dtype=m.float64)
x.all(); x.any(); (x > 0).all(1); (x > 0).any(0, keepdim=True); m.all(mask); x.bool().any((0, 1)); m.count_nonzero(x); m.count_nonzero(mask2, 0); m.count_nonzero(mask2, (0, 1)); e.all(); e.any(); e.all(0)
m.where(x > 0, x, y); m.where(x > 0, x, 0.0); m.where(mask, 1.0, v); m.where(mask, x, v); m.where(mask2); x.where(x > 0, y); m.where(mask, 1, 2); m.where(mask, 1.0, 2.0); m.where(x > s, x, s); x.where(mask, s); m.where(mask2, v, x); m.where(mask[0], x, y)
x.clamp(-0.5, 0.5); x.clamp(min=0); x.clamp(max=0.3); m.clamp(x, v, v + 1); x.clamp(v); x.clamp(max=v); t.clamp(2, 3); t.clamp(max=3); t.clamp(min=t); x.clip(-1, 1); x.clamp(1, -1); x.clamp(min=v, max=s); m.clamp(x, min=-0.1, max=0.1); whole.clamp(0, 3); whole.clamp(0.5); x.clamp(v + 1, v)
m.maximum(x, v); m.minimum(x, y); m.maximum(t, t); m.maximum(t, t.flip(1)); m.minimum(z, z); m.maximum(whole, one)
x @ w; x @ v; v @ w; v @ v; b @ w; b @ v; v @ c; x @ c; b @ c; d @ m.ones(2, 4, dtype=m.float64); m.ones(6, 4, 3, dtype=m.float64) @ d; v @ d; w @ b; e @ w; m.matmul(x, w); x.matmul(w); x.mm(w); b.bmm(c); m.mv(x, v); v.dot(v); m.dot(v, v * 2); m.outer(v, v); v.outer(w[0]); m.addmm(s, x, w); m.addmm(w[0], x, w, beta=0.5, alpha=2); x @ x.T; x.T @ x; F.linear(x, w.T); F.linear(x, w.T, w[0]); F.linear(b, w.T, w[0]); F.linear(v, w.T)
m.einsum('ij,jk->ik', x, w); m.einsum('ij,jk', x, w); m.einsum('ij->ji', x); m.einsum('ij', x); m.einsum('ba', x); m.einsum('ij->', x); m.einsum('ij->i', x); m.einsum('i,i', v, v); m.einsum('i,j->ij', v, w[0]); m.einsum('...ij,...jk->...ik', b, c); m.einsum('...ij,jk->...ik', b, w); m.einsum('...i,...i', x, y); m.einsum('i...,i->...', x, x[:, 0]); m.einsum('bij,bkj->bik', b, b); m.einsum('ij,kl->ik', x, w); m.einsum('ij,kl->', x, w); m.einsum('ii', x @ w); m.einsum('ii->i', x @ w); m.einsum('ii->', x @ w); m.einsum('iij->ij', (x @ w)[..., None] * v); m.einsum('ii,ij->j', x @ w, x); m.einsum('ij,jk,kl->il', x, w, y); m.einsum('ij,ij,i->j', x, y, w[0]); m.einsum('...->...', x); m.einsum('...i->i...', b); m.einsum('b...,...->b', b, x); m.einsum('ij, jk -> ik', x, w); m.einsum('i,->i', v, s); m.einsum('a,a,a->a', v, v, v); m.einsum('Ij,jk->Ik', x, w); m.einsum('ik,k', x, v); m.einsum('...,i->...i', s, v); m.einsum('iii->i', b[:, :2, :2]); m.einsum('ij,i...->j...', x, x)
x.gather(0, j); x.gather(1, j); m.gather(b, 2, j[None]); v.gather(0, i); x.take(i); x.take(j); m.take(b, j); m.take_along_dim(x, m.tensor([[0], [1], [2], [1]]), 1); m.take_along_dim(x, m.tensor([[3, 1, 0]]), 0); m.take_along_dim(x, i); x.gather(0, m.tensor([[3]])); x.gather(-1, j)
x.scatter(0, j, y[:2]); x.scatter(0, j, 2.5); x.scatter(1, m.tensor([[0], [1], [2], [0]]), y[:, :1]); x.scatter(dim=0, index=m.tensor([[0, 1, 2]]), src=y[1:2]); x.scatter(0, j, value=1); x.scatter_add(0, j, y[:2]); x.scatter_add(1, m.tensor([[0, 0, 1]] * 4), y); z.scatter_add(1, j, t)
x.index_select(0, i); x.index_select(1, i); m.index_select(b, -1, i); x.index_add(0, i, y[:3]); x.index_add(0, i, y[:3], alpha=2); x.index_add(1, i, y); v.index_add(0, i, v)
x.masked_fill(mask, 0.5); x.masked_fill(mask2, -inf); x.masked_fill(mask2, s); m.masked_fill(x, x > 0, 1); whole.masked_fill(whole > 0, 9); x.masked_select(mask2); m.masked_select(x, mask); x.masked_select(x > 0); v.masked_fill(mask2, 0)
x.tril(); x.triu(1); m.tril(b, -1); b.triu(); m.tril(x, diagonal=1)
x.softmax(0); m.softmax(x, 1); x.log_softmax(-1); m.log_softmax(b, 1); s.softmax(0); e.softmax(1); (x * 1e4).softmax(1); (x * 1e4).log_softmax(1); F.gelu(x); F.gelu(x, approximate='tanh'); F.elu(x, 0.5); F.leaky_relu(x, 0.2); F.silu(x); F.softplus(x, 2, 1); F.hardtanh(x, -0.3, 0.4)
x.pow(2); x ** 3; x ** v; x ** 0; x ** 0.5; 2 ** x; x.abs() ** y; x.pow(-1); (-2.0) ** v; z ** 2; z ** 0; z ** v.abs(); x ** whole[0]; 0 ** v.abs(); x ** -0.5; z ** 1; z ** z
x + 1; 1 - x; x * v; x / v; 1 / x; (x // v).detach(); x % v; -x; +x; abs(x); x + x; x * x; x - n[0]; x / n[0]; (2 // x).detach(); (3 % x).detach(); m.tensor(3.0).double() % v; x.add(y, alpha=2); x.sub(1, alpha=3); m.add(x, y, alpha=-1); x.div(v, rounding_mode='floor').detach(); x.div(v, rounding_mode='trunc'); whole / 2; whole // 2; whole % 3; m.div(whole, 2, rounding_mode='trunc'); m.div(whole, -3, rounding_mode='floor'); m.div(whole, m.tensor(-2), rounding_mode='trunc'); x.remainder(0.5); m.true_divide(x, y); x.multiply(y); m.square(x)
m.addcmul(x, y, v); m.addcmul(x, y, v, value=0.5); m.addcdiv(x, y, v, value=2); m.lerp(x, y, 0.3); m.lerp(x, y, v); x.lerp(y, s); x.round(); x.round(decimals=1); m.sign(x); x.float(); x.double(); x.to(m.float32); x.long(); x.bool(); x.to(v); x.type_as(v.float()); x.clone(); x.detach(); x.contiguous(); x.T.contiguous(); x.half().float()
x == y; x != x; x < v; x >= s; x.eq(x); m.isnan(x); m.isfinite(x / z[0]); m.equal(x, x); m.equal(x, y); m.allclose(x, x + 1e-12); m.isclose(x, y); (x > 0) & mask; mask | mask; ~mask; mask ^ mask2; whole & 3; whole | one; m.logical_not(x); m.logical_and(x, y)
x.numel(); x.size(); x.size(0); x.dim(); x.ndim; x.shape.numel(); x.element_size(); x.nelement(); len(x); x.stride(); x.T.stride(); x.is_contiguous(); x.T.is_contiguous(); x.is_floating_point(); whole.tolist(); s.item(); bool(one); float(s); int(one); x.shape[-1]; tuple(x.shape); one.item(); x.stride(0); x.dtype == m.float64; f'{s:.3f}'; round(float(s), 2); x[0, 0].item(); sum([s, s]); x in [x]; (2.0 in whole)
F.one_hot(i); F.one_hot(j, 4); F.one_hot(one); F.one_hot(m.tensor([1, 0]), num_classes=3); F.normalize(x); F.relu(x); F.logsigmoid(x); F.mse_loss(x, y); F.l1_loss(x, y); F.cross_entropy(x, m.tensor([0, 1, 2, 1]))
x.softmax(dim=1); m.concat([x, y], dim=0); m.flip(x, dims=[0])
x.exp().log(); x.abs().sqrt(); x.abs().rsqrt(); x.sigmoid(); x.erf(); x.reciprocal(); x.sin() * x.cos() + x.tan(); x.abs().log1p() + x.expm1(); x.exp2() + x.abs().log2() + x.abs().log10(); x.tanh().asin() + x.tanh().acos() + x.atan(); x.sinh() + x.cosh() + x.asinh() + (x * x + 1.5).acosh() + x.tanh().atanh()
"""

INDICES = """
0; -1; 1:3; ::2; ...; None; ..., 0; 0, 1; 0, ...; :, 1; 1:, :2; None, 0; 0, None; :, None, 1; ..., None; (); i; i, i; j; j, 0; :, i; i, :, None; None, i; mask2; :, mask; mask2[:, 0]; mask2[:, 0], 1
mask2[:, 0], mask; [0, 2]; [0, 2], [1, 1]; [True, False, True, True]; :, [0, 1]; 1, [0, 1]; [1], 0; one; one, i; ..., i; i, ...; :, mask, None; range(3); range(4), i[[0, 0, 1, 2]]; slice(1, 3); slice(None), 0
m.tensor(True); m.tensor(False); True; 3:1; 0:0; 10:; -2:; 1:-1; [], ; m.tensor([], dtype=m.int64); j.T; i[:, None], i; x > 0; one:3; one, one; None, None; 0, 1, None; i - 3; -1, -1; 0, i, None; None, 1, None, i
"""

DEEP_INDICES = """
0, :, i; i % 2, :, 0; :, 0, i; 0, i; i % 2, 1; i[:2] % 2, :, i[:2]; 0, 1, i; i % 2, 1, i; ..., i, 0; 0, ..., i; 0, None, i; i % 2, None, i; m.tensor([[True, False, True, False]] * 2), 1; :, m.tensor([[True, False, True]] * 4); 1, :, mask; mask[:2], ..., mask; :, :, mask; 0, mask2; None, 0, :, i; i % 2, ..., 0; 0, :, mask; j % 2, j; j % 2, 0, j; 0, j, i; :, j, i; 0, ..., None, i; 1:, 2, i; [0, 1], 1; -1, ..., [0, 1]
"""


def split(text):
    return [case.strip() for line in text.strip().splitlines() for case in line.split(";") if case.strip()]


ALL = split(CASES) + [f"x[{i}]" for i in split(INDICES)] + [f"b[{i}]" for i in split(DEEP_INDICES)]


def check(case):
    theirs, ours = outcome(torch, case), outcome(mg, case)
    assert ours.keys() == theirs.keys(), f"{case}: {ours.keys()} here, {theirs.keys()} in PyTorch"
    for what, expected in theirs.items():
        if not (what.startswith("second") and isinstance(expected, torch.Tensor) and expected.isnan().any()):
            assert_same(ours[what], expected, f"{case}: {what}")


@pytest.mark.parametrize("line", range(0, len(ALL), 10))
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_functions(line):
    for case in ALL[line : line + 10]:
        check(case)


# Refused in both, by the same kind of error.
ERRORS = """
m.cat([x, w]); m.cat([]); m.cat(x); m.cat([x, y], 2); m.cat([x, b]); m.stack([x, v]); m.stack([]); m.stack([x, y], 4); m.stack([x, y], -4)
x.split(0); x.split([1, 2]); x.split(2, 5); x.split(-1); x.chunk(0); x.unbind(2); s.unbind()
x.expand(3, 3); x.expand(3); x.expand(-1, 4, 3); x.expand(4, -2); x.repeat(2); m.broadcast_tensors(x, w)
x.reshape(5, 2); x.reshape(-1, 5); x.reshape(-1, -1); x.view(7); x.T.view(-1); x.T.view(12); x.flatten(2); x.flatten(1, 0); x.unflatten(0, (3, 2)); x.unflatten(5, (2, 2)); e.reshape(-1, 0)
x.transpose(0, 2); x.permute(0); x.permute(0, 0); x.permute(0, 2); b.t(); b.permute(0, 1); x.movedim(0, 3); x.movedim((0, 1), (0,)); x.squeeze(2); x.unsqueeze(3); x.unsqueeze(-4); x.flip(2); x.flip((0, 0))
x.sum(2); x.sum((0, 0)); x.sum(-3); x.mean(2); whole.mean(); x.prod(2); x.var(3); whole.var(); x.amax(2); e.amax(); e.max(); e.max(0); e.min(); x.max(2); x.argmax(2); x.cumsum(2); x.logsumexp(2); x.norm(dim=2); whole.norm(); x.softmax(2); x.log_softmax(-3); x.all(2); s.sum(1); s.max(1); x.mean((0, 0))
m.where(x, y, y); m.where(mask2, w, x); x.clamp(); m.maximum(x, w); x + w; x * b[0, :2]; x @ y; x @ s; s @ x; v @ x; x @ w.float(); b @ m.ones(3, 4, 3, dtype=m.float64); x.mm(v); x.mm(b); b.bmm(x); b.bmm(m.ones(3, 3, 2, dtype=m.float64)); v.dot(x); v.dot(w[0]); m.dot(v, v.float()); m.mv(v, x); m.outer(x, v); m.addmm(x, x, x); F.linear(x, w); F.linear(x, w.T.float()); F.linear(x, w.T, v); F.linear(s, w.T)
m.einsum('ij,jk->ik', x, x); m.einsum('ij,jk', x); m.einsum('ij->k', x); m.einsum('ijk->i', x); m.einsum('i->i', x); m.einsum('ij->ii', x); m.einsum('ii->i', x); m.einsum('ij,jk->', x); m.einsum('i1->i', x); m.einsum('ij->')
x.gather(0, j.float()); x.gather(2, j); x.gather(0, i); x.gather(1, m.tensor([[0]] * 5)); x.scatter(2, j, y); x.scatter_add(0, j, y[:1]); x.index_select(0, j); x.index_select(0, i + 5); x.index_select(0, i - 1); x.index_select(2, i); x.index_select(0, i.float()); x.index_add(0, i, y); x.index_add(0, i, y[:3, :2]); x.masked_fill(i, 0.0); x.masked_fill(mask2, v); x.masked_fill(mask2[:2], 0.0); x.masked_select(mask2[:, :2]); x.take(i * 9)
x[4]; x[-5]; x[0, 0, 0]; x[:, 3]; x[i * 3]; x[mask]; x[:, mask2]; x[m.tensor(1.5)]; x[1.5]; x[v]; s[0]; x[i, j[:, :2]]; x[m.tensor([True, False])]; x[[0, 9]]; x[{}]; x[0:3:0]; b[mask2]; x[i - 9]
x.reshape('a'); v.tril(); x.bool() - x.bool(); -mask; ~x; x.round(decimals=1.5); x + 'a'; x + None; x + [1]; m.exp('a'); m.add('a', x); x @ 3; x < 'a'; len(s); list(s); bool(x); float(x); int(x); x.item(); x.numpy(); v.requires_grad_(False) and m.tensor([1.0, 2.0]).tolist(3); range(10)[v]; range(10)[i]; [1, 2][s]; hash(x) and x.div(y, rounding_mode='up')
x.add(y, 2); x.add(); x.mul(); x.sum(0, 1, 2, 3); x.clamp(1, 2, 3); x.exp(1); x.transpose(0); x.softmax(); m.softmax(x); m.matmul(x); m.cat(); x.reshape(2.5, 2); x.sum(1.5); x.sum('a'); x.unsqueeze(); x.permute(0.5, 1); x.gather(0); x.sum(foo=1); x.view(2.0, 6); x.expand('a'); x.chunk('a'); x.transpose('a', 0); m.where(mask2, x)
m.tensor([1, 2]).requires_grad_(); m.tensor([1, 2], requires_grad=True); x.backward(); i.backward(); x.sum().backward(m.ones(2, dtype=m.float64)); m.autograd.grad(x.sum(), y); m.autograd.grad(i.sum(), x); m.autograd.grad(x, x)
F.gelu(x, approximate='a'); F.cross_entropy(x, m.tensor([0, 1, 2, 3])); F.cross_entropy(x, m.tensor([0, 1, 2, -1])); F.cross_entropy(x, i)
"""

# Refused in both, here by an error that is closer to what is wrong: an index out of range is an IndexError.
OTHERWISE = """
v.repeat(); e.amax(0); e.argmax(); e.argmin(0); x.gather(0, j + 9); x.gather(0, j - 5); x.gather(1, j - 1); x.scatter(0, j + 4, y); x.scatter(0, j - 3, 1.0); x.scatter_add(0, j * 9, y); x.index_add(0, i * 4, y[:3]); x['a']; x.tril().to('cuda'); x & x; mask.long() | x; F.one_hot(x); F.one_hot(i, 2); F.one_hot(i - 1)
"""


def error_of(m, case):
    try:
        eval(case, tensors(m))  # noqa: S307
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("case", split(ERRORS))
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_refusals(case):
    theirs, ours = error_of(torch, case), error_of(mg, case)
    assert theirs is not None, f"{case} is not refused by PyTorch"
    assert isinstance(ours, type(theirs)), f"{case}: {ours!r} here, {theirs!r} in PyTorch"


@pytest.mark.parametrize("case", split(OTHERWISE))
def test_refusals_by_another_error(case):
    assert error_of(torch, case) is not None
    assert isinstance(error_of(mg, case), (RuntimeError, IndexError, TypeError, ValueError))
