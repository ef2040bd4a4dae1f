"""Products beyond matmul, most of them composed of it; and distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..graph import Op
from ..tensor import Size, Tensor, describe
from .elementwise import where
from .linalg import _same_dims, bmm, dot, matmul, mv, outer
from .public import public
from .rearrange import roll
from .reduce import norm, sum
from .shape import permute, reshape, transpose, unsqueeze

# --- contractions -----------------------------------------------------------------------------------------------------


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Sums of products over pairs of dimensions: the last `dims` of a with the first of b, or two lists of them."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0 or dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot(): dims={dims} does not fit {describe(a)} and {describe(b)}")
        dims = (range(a.ndim - dims, a.ndim), range(dims))
    left, right = ([d] if isinstance(d, int) else list(d) for d in dims)
    left = [normalize_axis_index(d, a.ndim) for d in left]
    right = [normalize_axis_index(d, b.ndim) for d in right]
    sizes = [(a.shape[i], b.shape[k]) for i, k in zip(left, right)]
    if len(left) != len(right) or any(n != m and 1 not in (n, m) for n, m in sizes):
        raise RuntimeError(f"tensordot(): dimensions {left} of {describe(a)} do not pair with {right} of {describe(b)}")
    for (n, m), i, k in zip(sizes, left, right):  # a size of 1 broadcasts: the other's elements add up
        a = sum(a, dim=i, keepdim=True) if m == 1 else a
        b = sum(b, dim=k, keepdim=True) if n == 1 else b
    free_a = [d for d in range(a.ndim) if d not in left]
    free_b = [d for d in range(b.ndim) if d not in right]
    shape = [a.shape[d] for d in free_a] + [b.shape[d] for d in free_b]
    contracted = Size(a.shape[d] for d in left).numel()
    rows = reshape(permute(a, free_a + left), Size(a.shape[d] for d in free_a).numel(), contracted)
    columns = reshape(permute(b, right + free_b), contracted, Size(b.shape[d] for d in free_b).numel())
    return reshape(matmul(rows, columns), tuple(shape))


def inner(input: Tensor, other: Tensor) -> Tensor:
    """Sums of products over the last dimensions; with a number the product."""
    if not input.ndim or not other.ndim:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(f"inner(): the last dimensions of {describe(input)} and {describe(other)} differ")
    return tensordot(input, other, ([-1], [-1]))


def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors."""
    return dot(input, other)


def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: other, once for each element of input and multiplied by it, in input's arrangement."""
    n = max(input.ndim, other.ndim)
    a, b = ((1,) * (n - x.ndim) + tuple(x.shape) for x in (input, other))
    product = (reshape(input, [k for pair in zip(a, (1,) * n) for k in pair])
               * reshape(other, [k for pair in zip((1,) * n, b) for k in pair]))
    return reshape(product, [i * j for i, j in zip(a, b)])


def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The vector product along dim, which must be of size 3; the first such one if not given."""
    if input.ndim != other.ndim:
        raise RuntimeError(f"cross(): {describe(input)} and {describe(other)} must have the same number of dimensions")
    if dim is None:
        if 3 not in input.shape:
            raise RuntimeError(f"cross(): no dimension of {describe(input)} has size 3")
        dim = tuple(input.shape).index(3)
    dim = normalize_axis_index(dim, input.ndim)
    if input.shape[dim] != 3 or other.shape[dim] != 3:
        raise RuntimeError(f"cross(): dimension {dim} of {describe(input)} and {describe(other)} must have size 3")
    return roll(input, -1, dim) * roll(other, -2, dim) - roll(input, -2, dim) * roll(other, -1, dim)


def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of several matrices, in the order of multiplication that costs least."""
    if any(x.ndim != 2 for x in matrices):
        raise RuntimeError(f"chain_matmul() expects matrices, got {', '.join(map(describe, matrices))}")
    return matrices[0] if len(matrices) == 1 else multi_dot(matrices)


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of at least two matrices, in the order that costs least; the first and the last may be vectors."""
    chain, n = list(tensors), len(tensors)
    if n < 2:
        raise RuntimeError(f"multi_dot() expects at least two tensors, got {n}")
    row, column = chain[0].ndim == 1, chain[-1].ndim == 1
    chain[0] = unsqueeze(chain[0], 0) if row else chain[0]
    chain[-1] = unsqueeze(chain[-1], 1) if column else chain[-1]
    for k, x in enumerate(chain):
        if x.ndim != 2 or k and x.shape[0] != chain[k - 1].shape[1]:
            raise RuntimeError(f"multi_dot(): tensor {k} {describe(tensors[k])} does not fit in the chain")
    product = _multiplied(chain, _best_cuts([x.shape[0] for x in chain] + [chain[-1].shape[1]]), 0, n - 1)
    kept = [size for size, drop in zip(product.shape, (row, column)) if not drop]
    return reshape(product, tuple(kept))


def _best_cuts(sizes: list[int]) -> dict:
    """Where to part each stretch (i, j) of a chain of matrices, matrix i being sizes[i] × sizes[i + 1]: the dynamic
    programme over the number of multiplications."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    cut = {}
    for width in range(1, n):
        for i in range(n - width):
            j = i + width
            cost[i, j], cut[i, j] = min((cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                                        for k in range(i, j))
    return cut


def _multiplied(chain: list[Tensor], cut: dict, i: int, j: int) -> Tensor:
    if i == j:
        return chain[i]
    return matmul(_multiplied(chain, cut, i, cut[i, j]), _multiplied(chain, cut, cut[i, j] + 1, j))


# --- products added to something --------------------------------------------------------------------------------------


def _plus(input: Any, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """beta · input + alpha · product; an input that does not count (beta = 0) may hold nan."""
    product = product if alpha == 1 else alpha * product
    if beta == 0:
        return product.expand(np.broadcast_shapes(input.shape, product.shape))
    return (input if beta == 1 else beta * input) + product


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta · input + alpha · mat @ vec"""
    return _plus(input, mv(mat, vec), beta, alpha)


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta · input + alpha · vec1 vec2ᵀ"""
    return _plus(input, outer(vec1, vec2), beta, alpha)


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta · input + alpha · batch1 @ batch2, for stacks of matrices."""
    return _plus(input, bmm(batch1, batch2), beta, alpha)


def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta · input + alpha · Σ batch1[i] @ batch2[i]"""
    _same_dims("addbmm", batch1, batch2, (3, 3))
    return _plus(input, tensordot(batch1, batch2, ([0, 2], [0, 1])), beta, alpha)


# --- distances --------------------------------------------------------------------------------------------------------

_BLOCK = 1 << 20  # differences held at a time


def _distances(a, b, /):
    """By the differences themselves, some rows at a time: |a|² + |b|² - 2ab would cancel for points close by."""
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-2])
    out = np.empty(shape, np.result_type(a, b))
    step = max(1, _BLOCK // max(1, b.size))
    for i in range(0, a.shape[-2], step):
        apart = a[..., i : i + step, None, :] - b[..., None, :, :]
        out[..., i : i + step, :] = np.sqrt(np.einsum("...k,...k->...", apart, apart))
    return out


def _distances_rule(g, y, a, b):
    same = y == 0  # where two points meet, the gradient is taken as 0
    pull = where(same, 0.0, g / where(same, 1.0, y))
    return a * sum(pull, dim=-1, keepdim=True) - pull @ b


distances_op = Op("cdist", _distances, _distances_rule,
                  lambda g, y, a, b: _distances_rule(transpose(g, -1, -2), transpose(y, -1, -2), b, a))


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The p-norm distances between the rows of x1 (…, n, d) and those of x2 (…, m, d), of shape (…, n, m). Where two
    points meet the gradient is 0."""
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"cdist() expects matrices of rows of one length, got {describe(x1)} and {describe(x2)}")
    if not x1.is_floating_point() or not x2.is_floating_point():
        raise RuntimeError(f"cdist() expects floating dtypes, got {describe(x1)} and {describe(x2)}")
    if p < 0:
        raise RuntimeError(f"cdist(): p must not be negative, got {p}")
    if p == 2:
        return distances_op(x1, x2)
    return norm(unsqueeze(x1, -2) - unsqueeze(x2, -3), p, -1)


if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals(), "multi_dot")
