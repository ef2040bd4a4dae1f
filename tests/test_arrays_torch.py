"""Sorting, counting, accumulating, scattering, views, joining and products against PyTorch, in the forms users write:
values, dtypes, gradients, second gradients, and what is refused. A case is an expression; see test_functions_torch.py."""

import numpy as np
import pytest

import microgradnet as mg

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from test_functions_torch import check, error_of, split  # noqa: E402 - it needs torch

CASES = """
x.sort(); x.sort(0); x.sort(descending=True); m.sort(x, 1, True); x.sort(dim=0, stable=True).indices; s.sort(); e.sort(0); t.sort(dim=1, stable=True); whole.sort(); mask2.sort(dim=0, stable=True); x.argsort(); m.argsort(x, dim=0, descending=True); t.argsort(stable=True); m.msort(x); t.msort(); x.T.sort()
x.topk(2); x.topk(2, 0); x.topk(3, largest=False); m.topk(x, k=1, dim=1); b.topk(2, dim=1, sorted=True); s.topk(1); whole.topk(2).values; x.kthvalue(2); x.kthvalue(1, 0); m.kthvalue(x, k=2, dim=1, keepdim=True); s.kthvalue(1)
x.median(); x.median(0); x.median(1, keepdim=True); t.median(); m.nanmedian(x); x.nanmedian(1); s.median(0); s.median(); whole.median(); v.median(dim=0).indices; m.median(whole, 1); m.tensor([1.0, nan, 2.0]).median(); m.tensor([[1.0, nan, 2.0]]).median(1); m.tensor([[1.0, nan, nan, 2.0]]).nanmedian(1)
m.mode(whole, 1).values; x.mode(1); x.mode(0, keepdim=True).values; m.mode(m.tensor([2, 1, 2, 1, 3])); s.mode()
x.cumprod(0); x.cumprod(dim=1); z.cumprod(1); m.cumprod(m.cat([v, z[0], v]), 0); whole.cumprod(1); mask.cumprod(0); s.cumprod(0); x.cummax(0); x.cummin(1); t.cummax(1); t.cummin(dim=1); m.cummax(s, 0); whole.cummax(0); m.tensor([1.0, nan, 2.0, nan]).cummax(0); e.cumprod(1)
x.logcumsumexp(0); (x * 1e3).logcumsumexp(1); m.logcumsumexp(b, -1); s.logcumsumexp(0); e.logcumsumexp(0)
m.trapezoid(x); m.trapezoid(x, dx=0.5); m.trapezoid(x, v); m.trapz(x, y, dim=0); m.trapezoid(x, dim=0); m.cumulative_trapezoid(x); m.cumulative_trapezoid(x, v); m.cumulative_trapezoid(x, dx=2, dim=0); m.trapezoid(v, v); m.trapezoid(x, w[:, 0], dim=0) if 0 else m.trapezoid(b, v)
x.diff(); m.diff(x, 2); x.diff(dim=0); x.diff(n=3, dim=0); x.diff(prepend=y); m.diff(x, append=v[None, :1].expand(4, 1), dim=1); m.diff(mask); m.diff(whole); x.diff(9); x.diff(0)
m.gradient(x); m.gradient(x, dim=0); m.gradient(x, spacing=2.0); m.gradient(x, spacing=[2.0, 0.5]); m.gradient(x, spacing=(m.tensor([0.0, 1.0, 3.0, 4.0]).double(), m.tensor([0.0, 1.0, 1.5]).double())); m.gradient(x, dim=1, edge_order=2); m.gradient(x, spacing=[m.tensor([0.0, 1.0, 3.0, 4.0]).double()], dim=0, edge_order=2); m.gradient(v)
m.nansum(x); x.nansum(0); m.nansum(x.sqrt(), 1).detach(); whole.nansum(); x.nansum(1, keepdim=True, dtype=m.float32); x.nanmean(); x.nanmean(0); m.tensor([1.0, nan]).nanmean(); x.aminmax(); x.aminmax(dim=0); t.aminmax(dim=1, keepdim=True).max; m.aminmax(whole)
m.std_mean(x); m.std_mean(x, 0); m.var_mean(x, dim=1, correction=0, keepdim=True); m.var_mean(x, (0, 1)); m.std_mean(x, unbiased=False); m.var_mean(x, 0, False)
x.quantile(0.5); x.quantile(0.3, 0); m.quantile(x, v.sigmoid(), dim=1); x.quantile(0.25, dim=1, keepdim=True); x.quantile(v.sigmoid().detach(), 0, True); x.quantile(0.4, 0, interpolation='lower'); x.quantile(0.4, 0, interpolation='higher'); x.quantile(0.4, 0, interpolation='nearest'); x.quantile(0.4, 0, interpolation='midpoint'); x.nanquantile(0.6, 1); m.nanquantile(m.tensor([1.0, nan, 4.0]), 0.5); m.quantile(m.tensor([1.0, nan, 4.0]), 0.5); s.quantile(0.1)
x.cov(); x.T.cov(); m.cov(x, correction=0); m.cov(x, fweights=m.tensor([1, 2, 3])); m.cov(x, aweights=v.abs()); m.cov(x, fweights=m.tensor([1, 2, 3]), aweights=v.abs().detach()); v.cov(); x.corrcoef(); v.corrcoef(); whole.cov(); m.corrcoef(x.T)
m.dist(x, y); m.dist(x, y, 1); x.dist(y, inf); x.dist(v, 3); x.dist(x); x.renorm(2, 0, 0.5); x.renorm(1, 1, 1.0); m.renorm(b, 2, -1, 0.1)
m.unique(whole); m.unique(m.tensor([3, 1, 1, 2])); whole.unique(return_inverse=True); whole.unique(return_counts=True); m.unique(j, dim=1); m.unique(j, True, True, True, 0); m.unique_consecutive(m.tensor([1, 1, 2, 1])); m.unique_consecutive(m.tensor([[1, 1, 2], [1, 1, 2]]), return_inverse=True, return_counts=True, dim=1); m.unique(mask)
m.isin(whole, m.tensor([3, 5])); m.isin(whole, 3); m.isin(3, whole); m.isin(whole, m.tensor([3]), invert=True); m.argwhere(mask2); whole.argwhere(); m.nonzero(mask2); x.nonzero(as_tuple=True); one.nonzero(); one.nonzero(as_tuple=True); m.nonzero(whole > 0, as_tuple=False); x[m.nonzero(mask2, as_tuple=True)]
m.searchsorted(v.sort()[0], x); m.searchsorted(x.sort()[0], y, right=True); m.searchsorted(v, x, sorter=v.argsort()); m.searchsorted(m.tensor([1, 2, 2, 3]), 2); m.searchsorted(m.tensor([1, 2, 2, 3]), 2, side='right', out_int32=True); m.bucketize(x, m.tensor([-1.0, 0.0, 1.0]).double()); m.bucketize(2, m.tensor([1, 2, 3])); m.bucketize(whole, m.tensor([1, 2, 3]), right=True)
m.bincount(i); m.bincount(i, minlength=6); m.bincount(i, v.detach()); m.bincount(i, i); m.bincount(i, m.tensor([1.0, 2.0, 3.0])); x.detach().histc(4); m.histc(x.detach(), bins=3, min=-1, max=1); m.histogram(x.detach(), 3); m.histogram(x.detach(), 2, range=(-1.0, 2.0), density=True); m.histogram(x.detach(), m.tensor([-1.0, 0.0, 2.0]).double(), weight=y.detach()); m.histogramdd(x.detach(), 2); m.histogramdd(x.detach(), [1, 2, 3], range=(-1.0, 1.0, -2.0, 2.0, 0.0, 1.0), density=True); m.fill(x, 2); m.fill(x, s)
x.count_nonzero(dim=(0, 1)); mask2.all((0, 1)); mask2.any(dim=(0,)); b.all((0, 2), True); m.sum(whole, dtype=m.float64); mask.sum(); whole.to(m.int32).sum(); whole.to(m.uint8).prod(); mask2.cumsum(1); x.norm(p=inf, dim=(0, 1)); x.norm('fro', (0, 1)); s.logsumexp((0,)); whole.float().mean(0)
x.detach().scatter(0, j, y[:2].detach(), reduce='add'); x.detach().scatter(0, j, y[:2].detach(), reduce='multiply'); x.detach().scatter(0, j, 2.0, reduce='add'); x.scatter_reduce(0, j, y[:2], 'sum'); x.scatter_reduce(0, j, y[:2], reduce='mean'); x.scatter_reduce(0, j, y[:2], 'amax', include_self=False); m.scatter_reduce(x, 0, j, t, 'amin'); x[:2].scatter_reduce(1, j, y[:2], 'mean', include_self=False); whole.scatter_reduce(1, j, whole, 'mean'); whole.scatter_reduce(1, j, whole, 'amax', include_self=False); whole.scatter_reduce(1, j, whole, 'prod'); z.scatter_reduce(1, j, t, 'amax'); mask2.scatter_reduce(0, j, mask2[:2], 'amax', include_self=False)
x.index_copy(0, i[:2], y[:2]); m.index_copy(x, 1, i[:2], y[:, :2]); x.index_fill(0, i, 1.5); x.index_fill(1, i, s); x.index_fill(0, i - 3, 2); whole.index_fill(1, i, 4); x.index_put((i,), y[:3]); x.index_put((i[:2],), s); x.index_put((i, i), v, accumulate=True); x.index_put((mask2,), s); x.index_put((i,), v, True); x.put(i[:2], v[:2]); x.put(i, v, accumulate=True); m.put(x, i[:2] - 5, w[0, :2]); x.take(i - 3); x.take(j)
x.index_reduce(0, i, y[:3], 'mean'); x.index_reduce(1, i, y, 'amax', include_self=False); x.index_reduce(1, i, y, 'amin'); whole.index_reduce(1, i, whole, 'mean'); x.masked_scatter(mask2, y); x.masked_scatter(mask, y); m.masked_scatter(v, mask2, x); x.masked_scatter(x > 99, y); x.take_along_dim(m.tensor([[-1], [0], [-2], [1]]), 1); x.take_along_dim(j, dim=0); s.index_select(0, m.tensor([0])); s.index_fill(0, m.tensor([0]), 2.0); s.index_copy(0, m.tensor([0]), v[1]); s.scatter(0, m.tensor(0), v[0]); s.scatter_add(0, m.tensor(0), v[0]); s.gather(0, m.tensor(0)); s.index_add(0, m.tensor([0]), v[1])
x.select(0, 1); x.select(1, -1); m.select(b, 2, 0); x.narrow(0, 1, 2); x.narrow(1, -2, 2); m.narrow(x, 0, m.tensor(1), 2); m.narrow_copy(x, 0, 0, 1); x.select_scatter(v, 0, 1); m.select_scatter(x, w[0], 1, -1); x.slice_scatter(y[:2], 0, 1, 3); x.slice_scatter(y[:2], start=0, end=4, step=2); x.slice_scatter(y[:, 1:], 1, 1); m.diagonal_scatter(x, v); x.diagonal_scatter(v[:2], offset=1); b.diagonal_scatter(b[:, 0, 1:] * 0 + 1 if 0 else m.ones(4, 2, dtype=m.float64), 0, 0, 2)
x.diagonal(); x.diagonal(1); x.diagonal(offset=-2); b.diagonal(0, 1, 2); b.diagonal(dim1=-1, dim2=0); m.diagonal(x, 5); m.diag(v); m.diag(x); x.diag(-1); m.diag(v, 2); m.diagflat(x); m.diagflat(v, -1); m.diag_embed(x); x.diag_embed(1, 0, 2); m.diag_embed(v, -1); x[:3].trace(); m.trace(x); whole.trace()
x.unfold(0, 2, 1); x.unfold(1, 3, 2); b.unfold(-1, 2, 2); x.unfold(dimension=0, size=2, step=3); s.unfold(0, 1, 1); v.unfold(0, 0, 1); m.as_strided(x, (2, 2), (3, 1)); x.as_strided((3,), (4,), 1); x.as_strided((2, 3), (1, 1)); x[1:].as_strided((2,), (2,)); x.T.as_strided((3, 4), (1, 3)); s.as_strided((3,), (0,)); m.as_strided(x, (), ())
x.roll(1); x.roll(-1, 0); x.roll((1, 2), (0, 1)); m.roll(x, shifts=2, dims=1); b.roll((1, 1), (0, 0)); s.roll(1); e.roll(1, 0); x.rot90(); x.rot90(2); m.rot90(b, 3, [1, 2]); x.rot90(-1, (1, 0)); x.fliplr(); x.flipud(); m.fliplr(b)
x.repeat_interleave(2); x.repeat_interleave(2, 0); x.repeat_interleave(m.tensor([1, 0, 2]), dim=1); m.repeat_interleave(i); m.repeat_interleave(x, m.tensor([1, 2, 0, 1]), 0, output_size=4); v.repeat_interleave(m.tensor([2])); s.repeat_interleave(3)
x.movedim(0, 1); m.moveaxis(b, (0, 1), (1, 2)); x.swapaxes(0, 1); x.swapdims(0, 1); m.swapdims(b, 0, -1); x.reshape_as(w); x.view_as(w); v.expand_as(x); x.sum_to_size(1, 3); x.sum_to_size((3,)); b.sum_to_size(4, 1); x.sum_to_size(4, 3); x.is_same_size(y); x.ravel(); x.unflatten(0, (2, -1)); b.unflatten(-1, [3, 1]); x.H; b.mH; b.adjoint(); x.T.is_contiguous()
m.tensor_split(x, 3); x.tensor_split((1, 3)); x.tensor_split(2, dim=1); m.tensor_split(x, m.tensor([1, 2])); x.hsplit(3); m.vsplit(x, 2); x.vsplit([1, 2]); b.dsplit(3); v.hsplit([1]); x.split_with_sizes([1, 3]); m.split_with_sizes(x, (1, 2), 1); x.tensor_split(9)
m.dstack([x, y]); m.dstack((v, v)); m.column_stack([v, v]); m.column_stack([x, w.T]); m.row_stack([x, v]); m.block_diag(x, v, s); m.block_diag(x); m.atleast_1d(s); m.atleast_2d(v); m.atleast_3d(x); m.atleast_3d(v); m.atleast_2d(s, v); m.atleast_1d([s, x]); m.atleast_3d(s)
m.meshgrid(v, w[0], indexing='ij'); m.meshgrid([v, w[0]], indexing='xy'); m.meshgrid(v, s, w[0], indexing='xy'); m.cartesian_prod(v, w[0]); m.cartesian_prod(v); m.combinations(v); m.combinations(v, 3); v.combinations() if 0 else m.combinations(v, r=2, with_replacement=True); m.combinations(v, 0); m.unravel_index(m.tensor([9]), (2, 4)); m.broadcast_shapes((2, 1), (3,)); m.broadcast_shapes((1,), 4); m.unravel_index(m.tensor([5, 7]), (2, 4)); m.unravel_index(m.tensor(3), 5)
m.tensordot(x, w, 1); m.tensordot(x, y, 2); m.tensordot(b, x, ([1, 2], [0, 1])); m.tensordot(x, w, dims=0); m.tensordot(b, c, dims=([0, 1], [0, 2])); m.inner(v, v); m.inner(x, v); x.inner(y); m.inner(x, s); m.vdot(v, v); m.kron(x, v); m.kron(v, w); x.kron(y); m.kron(s, x); m.kron(b, x)
m.cross(x, y, dim=1); m.cross(v, v * v, 0); m.cross(x, y); m.addmv(v, w, w[0]); v.addmv(w, w[0], beta=0.5, alpha=2); m.addr(x, w[0], v); m.addr(x, w[0], v, beta=0, alpha=3); m.baddbmm(s, b, c); m.addbmm(w[:, :1].sum(), b, c); m.baddbmm(c[:, :1, :], b, c, beta=2, alpha=0.5); m.chain_matmul(x, w, y, w); m.chain_matmul(x)
m.cdist(x, y).detach(); m.cdist(b, x[None], 1.0).detach(); m.cdist(x, x).detach(); m.cdist(x, y, p=inf).detach(); m.cdist(x, y, 0.5).detach(); m.cdist(x, y, 0).detach()
m.vander(v.detach()); m.vander(v.detach(), 2); m.vander(whole[0], increasing=True); m.vander(v.detach(), N=4, increasing=True); m.scalar_tensor(3); m.scalar_tensor(2.5, dtype=m.float64); m.hann_window(5); m.hann_window(6, False); m.hamming_window(5); m.hamming_window(4, periodic=False, alpha=0.5); m.blackman_window(7, dtype=m.float64); m.bartlett_window(6, dtype=m.float64); m.kaiser_window(5, dtype=m.float64); m.kaiser_window(5, False, 3.0); m.hann_window(1); m.hann_window(0); m.bartlett_window(2)
m.tril_indices(3, 4); m.triu_indices(3, 4, 1); m.tril_indices(2, 2, -1, dtype=m.int32); m.empty_strided((2, 3), (1, 2)).stride(); m.empty_permuted((2, 3), (1, 0)).stride(); x.new_empty_strided((2, 2), (2, 1)).dtype == m.float64; x.new_zeros(2, 2); x.new_ones((3,), dtype=m.int64); x.new_full((2,), 3); x.new_tensor([1, 2]); m.full((2,), True); m.full((2,), 3); m.arange(0, 1, 0.25); m.linspace(0, 1, 5); m.logspace(0, 2, 3); m.eye(2, 3)
"""

WRITES = """
x.clone().scatter_(0, j, y[:2]); x.clone().scatter_(0, j, 2.0); x.detach().clone().scatter_(0, j, 2.0, reduce='add'); x.clone().scatter_reduce_(0, j, y[:2], 'amax'); x.clone().scatter_add_(0, j, y[:2]); x.clone().index_copy_(0, i[:2], y[:2]); x.clone().index_fill_(1, i, 0.5); x.clone().index_add_(0, i, y[:3]); x.clone().index_put_((i,), v, accumulate=True); x.clone().masked_scatter_(mask2, y); x.clone().put_(i[:2], v[:2]); x.clone().index_reduce_(0, i, y[:3], 'mean'); x.clone().cumsum_(0); x.clone().cumprod_(1); x.clone().renorm_(2, 0, 0.5); x.clone().addmm_(x, w @ y); v.clone().addmv_(w, w[0]); x.clone().addr_(w[0], v); x.clone().fill_diagonal_(2.0); x.clone().masked_fill_(mask2, s); x.clone().swapaxes_(0, 1); x.clone().swapdims_(0, 1)
written(x, lambda c: c.narrow(0, 1, 2).mul_(v)); written(x, lambda c: c.select(1, 0).copy_(w[0])); written(x, lambda c: c.diagonal().add_(v)); written(x, lambda c: c.unfold(0, 2, 2).mul_(3)); written(x, lambda c: c.as_strided((2, 2), (3, 1), 1).mul_(s)); written(b, lambda c: c.movedim(0, 2).select(0, 1).fill_(s)); written(x, lambda c: c.tensor_split(2)[1].mul_(2)); written(x, lambda c: c.hsplit(3)[2].add_(s)); written(x, lambda c: c.t().narrow(0, 0, 1).mul_(s)); written(x, lambda c: c[1:].as_strided((2,), (1,)).mul_(s)); written(b, lambda c: c.diagonal(0, 1, 2).mul_(v[:2, None])); written(x, lambda c: c.unflatten(0, (2, 2))[0].mul_(s)); written(b, lambda c: c.swapdims(0, 1).narrow(1, 0, 1).zero_()); written(x, lambda c: c.adjoint().select(0, 0).mul_(s))
"""

ERRORS = """
x.sort(2); x.topk(5); x.topk(-1); x.topk(1, 2); x.kthvalue(0); x.kthvalue(4); x.median(2); x.mode(2); e.median(0); e.kthvalue(1, 0); x.cumprod(2); x.cummax(2); x.logcumsumexp(3); x.quantile(2.0); x.quantile('a'); x.quantile(0.5, 0, interpolation='cubic'); e.quantile(0.5); whole.quantile(0.5); x.quantile(m.tensor(0.5)); x.quantile(y.sigmoid()); m.gradient(x, spacing=[1.0]); m.gradient(x, edge_order=3); m.gradient(x[:1]); x.diff(-1); s.diff(); m.trapezoid(x, w); m.cov(b); m.cov(x, fweights=v); m.cov(x, aweights=i); v.renorm(2, 0, 1.0)
m.unique(x, dim=5); m.isin(3, 4); m.searchsorted(x, w); m.searchsorted(v, x, side='middle'); m.searchsorted(v, x, right=True, side='left'); m.searchsorted(v, x, sorter=i[:2]); m.bucketize(x, x); m.bincount(i - 3); m.bincount(i, v[:2]); m.bincount(i, minlength=-1); m.histc(x, 0)
x.scatter_reduce(0, j, y[:2], 'add'); x.scatter_reduce(0, j, y[:2].float(), 'sum'); x.scatter(0, j, y[:2], reduce='mean'); x.index_copy(0, i, y[:2]); x.index_copy(0, j, y[:2]); x.index_copy(0, i, y[:3].float()); x.index_fill(0, i.float(), 1.0); x.index_fill(0, i * 9, 1.0); x.index_fill(0, i, v); x.index_put((i,), v.float()); x.put(i, v[:2]); x.put(i.float(), v); x.masked_scatter(mask2, v[:1]); x.masked_scatter(i, y); x.masked_scatter(mask2, y.float()); x.index_reduce(0, i, y[:3], 'sum'); x.take(i.float()); x.select_scatter(w[0], 0, 1); x.slice_scatter(v, 0, 0, 2); x.diagonal_scatter(w[0])
x.select(0, 4); x.select(2, 0); s.select(0, 0); x.narrow(0, 3, 2); x.narrow(0, 5, 1); x.narrow(0, 0, -1); x.diagonal(0, 0, 0); v.diagonal(); x.diagonal(0, 0, 2); m.diag(b); m.diag_embed(x, 0, 0, 0); v.trace(); x.unfold(0, 5, 1); x.unfold(0, 2, 0); x.unfold(2, 1, 1); x.as_strided((5, 5), (5, 1)); x.as_strided((2,), (1, 1)); x.as_strided((2,), (-1,)); x.roll((1, 2), (0,)); x.roll((1, 2)); x.roll(1, 3); x.rot90(1, (0, 0)); v.rot90(); v.fliplr(); s.flipud(); x.repeat_interleave(m.tensor([1, 2])); x.repeat_interleave(v); x.repeat_interleave(m.tensor([1, -1, 1]), 1); x.sum_to_size(2, 3); x.sum_to_size(2, 4, 3); m.unravel_index(v, (2, 4)); x.resize_(2, 2)
x.tensor_split(0); s.tensor_split(2); x.tensor_split(v); x.hsplit(2); s.hsplit(1); v.vsplit(1); x.dsplit(1); m.dstack([]); m.block_diag(b); m.meshgrid(x, indexing='ij'); m.meshgrid(v, i, indexing='ij'); m.meshgrid(v, indexing='ab'); m.meshgrid(indexing='ij'); m.cartesian_prod(x); m.combinations(x); m.combinations(v, -1); m.broadcast_shapes((2,), (3,))
m.tensordot(x, x, 1); m.tensordot(x, x, 3); m.tensordot(x, w, ([0], [0, 1])); m.inner(x, w); m.vdot(x, x); m.cross(w[:2], w[:2]); m.cross(x, v); m.addmv(v, x, v[:2]); m.addr(x, x, v); m.baddbmm(s, b, b); m.addbmm(s, b, b); m.chain_matmul(x, b); m.chain_matmul(x, y); m.cdist(x, w); m.cdist(v, v); m.cdist(x, y, -1.0); m.cdist(i[None], i[None]); m.vander(x); m.hann_window(-1); m.hann_window(3, dtype=m.int64); m.empty_permuted((2, 3), (0, 0)); m.empty_strided((2, 3), (1,)); m.scalar_tensor('a'); x.clone().as_strided((3,), (0,)).add_(1)
"""


def written(x, write):
    """A copy of x after a write through a view of it."""
    whole = x * 1
    write(whole)
    return whole


ALL = split(CASES) + split(WRITES)


@pytest.mark.parametrize("line", range(0, len(ALL), 8))
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_functions(line, monkeypatch):
    monkeypatch.setattr("builtins.written", written, raising=False)
    for case in ALL[line : line + 8]:
        check(case)


@pytest.mark.parametrize("case", split(ERRORS))
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_refusals(case):
    theirs, ours = error_of(torch, case), error_of(mg, case)
    assert theirs is not None, f"{case} is not refused by PyTorch"
    assert isinstance(ours, type(theirs)), f"{case}: {ours!r} here, {theirs!r} in PyTorch"


@pytest.mark.parametrize("name", ["sort", "topk", "max", "min", "median", "nanmedian", "mode", "kthvalue", "cummax", "cummin", "aminmax", "histogram"])
def test_named_results_print_as_in_pytorch(name):
    more = {"topk": {"k": 1}, "kthvalue": {"k": 1}, "histogram": {"bins": 2}}.get(name, {"dim": 0})
    theirs, ours = (getattr(m, name)(m.tensor([3.0, 1.0, 2.0]), **more) for m in (torch, mg))
    assert repr(ours) == repr(theirs).replace("torch.", "microgradnet.")
    assert tuple(ours) == ours and type(ours).__name__ == name


def test_cdist_has_torchs_gradient():
    x, y = np.random.default_rng(0).standard_normal((2, 4, 3))
    for p in (2.0, 1.0, 3.0, 0.5, 0.0, float("inf")):
        found = []
        for m in (torch, mg):
            a, b = (m.tensor(k.tolist(), dtype=m.float64).requires_grad_() for k in (x, y))
            m.cdist(a, b, p=p).cos().sum().backward()
            found.append([a.grad.numpy(), b.grad.numpy()])
        np.testing.assert_allclose(found[1], found[0], rtol=1e-10, atol=1e-12)
