"""Products of matrices and vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph import Op, ShapeError
from ..tensor import Tensor, describe
from .public import public
from .shape import spread, transpose


def _matmul(a, b, /):
    if a.dtype is not b.dtype and a.dtype != b.dtype:
        raise TypeError(f"the operands must have one dtype, got {a.dtype} and {b.dtype}; convert one with .to()")
    return np.matmul(a, b)


def _turned(x):
    return x.T if x.ndim == 2 else transpose(x, -1, -2)


def _matmul_rule_a(g, _y, _a, b):
    if _a.ndim >= 2 and b.ndim >= 2:
        return g @ _turned(b)
    if b.ndim == 1:  # (…, n) · (n,) → (…)
        return g.reshape((*g.shape, 1)) * b
    return (g.reshape((*g.shape[:-1], 1, g.shape[-1])) @ _turned(b)).reshape((*g.shape[:-1], b.shape[-2]))


def _matmul_rule_b(g, _y, a, _b):
    if a.ndim >= 2 and _b.ndim >= 2:
        return _turned(a) @ g
    if a.ndim == 1:  # (n,) · (…, n, m) → (…, m)
        return a.reshape((-1, 1)) * g.reshape((*g.shape[:-1], 1, g.shape[-1])) if _b.ndim > 1 else g * a
    return a * g.reshape((*g.shape, 1))


matmul = Op("matmul", _matmul, _matmul_rule_a, _matmul_rule_b, numpy=np.matmul,
            doc="The matrix product; vectors and leading batch dimensions as in NumPy.")


FOR_DOT = 8192  # elements up to which `dot` is quicker: it is called in half the time, but writes zeros first


def _times(a, b):
    """a @ b for a matrix b."""
    if a.ndim > 2:  # one product of matrices: with more dimensions dot does without BLAS
        return _times(a.reshape((math.prod(a.shape[:-1]), a.shape[-1])), b).reshape((*a.shape[:-1], b.shape[-1]))
    return a.dot(b) if type(a) is np.ndarray and b.size <= FOR_DOT else a @ b


def _linear(x, weight, bias, /):
    if x.dtype is not weight.dtype and x.dtype != weight.dtype:
        raise TypeError(f"input and weight must have one dtype, got {x.dtype} and {weight.dtype}; convert one by .to()")
    if not x.ndim or x.shape[-1] != weight.shape[-1]:
        raise ValueError(f"the last dimension of the input {x.shape} must equal the last of the weight {weight.shape}, "
                         "which is (out_features, in_features); an example is a row")
    if bias is not None and bias.dtype is not x.dtype and bias.dtype != x.dtype:
        raise TypeError(f"input and bias must have one dtype, got {x.dtype} and {bias.dtype}; convert one by .to()")
    if x.size > 4096 and x.ndim == 2 and bias is not None and bias.ndim == 1 and len(x) <= 16:
        # A few long rows: BLAS is a quarter faster on w xᵀ, and adding the bias turns the result round.
        return np.add(weight.dot(x.T).T, bias, order="C")
    y = _times(x, weight.T)
    if bias is not None:
        y += bias
    return y


def _over_examples(g, x):
    """gᵀ x, summed over every dimension in front of the last."""
    if x.ndim == 2:
        return _times(g.T, x)
    rows = math.prod(x.shape[:-1])
    return _times(g.reshape((rows, g.shape[-1])).T, x.reshape((rows, x.shape[-1])))


# BP2's first half: the error of a layer, carried back through the transposed weights of the layer above.
# BP4: the gradient of a weight is the activation that came in times the error that goes out, summed over the batch.
# BP3: the gradient of a bias is the error; the traversal sums it over the batch.
linear = Op("linear", _linear,
            lambda g, _y, _x, weight, _b: _times(g, weight),
            lambda g, _y, x, _weight, _b: _over_examples(g, x),
            lambda g, _y, _x, _weight, _b: g,
            doc="x wᵀ + b for x of shape (…, in), w of shape (out, in), and b of shape (out,) or None.")


def _same_dims(name: str, a: Tensor, b: Tensor, dims: tuple[int, int]) -> None:
    if (a.ndim, b.ndim) != dims:
        raise RuntimeError(f"{name}() expects tensors of {dims[0]} and {dims[1]} dimensions, got {describe(a)} and "
                           f"{describe(b)}; matmul() broadcasts")


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    _same_dims("mm", input, mat2, (2, 2))
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two stacks of matrices, (b, n, k) and (b, k, m)."""
    _same_dims("bmm", input, mat2, (3, 3))
    if input.shape[0] != mat2.shape[0]:
        raise RuntimeError(f"bmm(): the stacks {describe(input)} and {describe(mat2)} differ in size")
    return matmul(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector."""
    _same_dims("mv", input, vec, (2, 1))
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors."""
    _same_dims("dot", input, tensor, (1, 1))
    return matmul(input, tensor)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The outer product of two vectors."""
    _same_dims("outer", input, vec2, (1, 1))
    return input.reshape(-1, 1) * vec2


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta · input + alpha · mat1 @ mat2"""
    return beta * input + alpha * mm(mat1, mat2)


# --- einsum ---------------------------------------------------------------------------------------------------------


def _einsum(*operands, equation):
    if len(operands) == 1:
        return np.array(np.einsum(equation, *operands), order="C")  # a view otherwise
    return np.einsum(equation, *operands, optimize=len(operands) > 2)


def _einsum_rule(needs, g, _y, *operands, equation):
    """An operand's gradient is an einsum itself: the result's gradient takes its place, and its labels the result's."""
    terms, result = equation.split("->")
    terms = terms.split(",")
    gradients = []
    for i, (term, operand) in enumerate(zip(terms, operands)):
        if i not in needs:
            gradients.append(None)
            continue
        others = [t for k, t in enumerate(terms) if k != i]
        present = set(result).union(*others)
        reached = "".join(c for c in term if c in present)
        values = [x for k, x in enumerate(operands) if k != i]
        part = einsum_op(g, *values, equation=",".join([result, *others]) + "->" + reached)
        if reached != term:  # labels summed away on their own: the gradient is the same all along them
            part = part.reshape([n if c in present else 1 for c, n in zip(term, operand.shape)])
            part = spread(part, shape=operand.shape)
        gradients.append(part)
    return gradients


einsum_op = Op("einsum", _einsum, joint=_einsum_rule, numpy=np.einsum, promotes=True,
               doc="Products of the operands' elements, summed over the labels that the result lacks.")


def einsum(equation: str, *operands: Any) -> Tensor:
    """Sums of products over labelled dimensions, as in NumPy: einsum('bij,bjk->bik', a, b).

    '...' and repeated labels work.
    """
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    equation, arrays = _plain(equation.replace(" ", ""), list(operands))
    return einsum_op(*arrays, equation=equation)


def _plain(equation: str, operands: list) -> tuple[str, list]:
    """The equation with its output written out, '...' as labels, and a label repeated in one term (a diagonal) as two
    labels tied by an identity matrix: what the rule understands."""
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise ShapeError(f"einsum('{equation}'): {len(terms)} terms for {len(operands)} operands")
    free = iter(c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in equation)
    batch: list[str] = []
    for k, (term, x) in enumerate(zip(terms, operands)):
        dots = x.ndim - len(term.replace("...", ""))
        if dots < 0 or (dots and "..." not in term):
            raise ShapeError(f"einsum('{equation}'): term '{term}' does not fit operand {k} {describe(x)}")
        while len(batch) < dots and "..." in term:
            batch.insert(0, next(free))
    labels = "".join(batch)
    shared = np.broadcast_shapes(*(x.shape[t.index("...") : t.index("...") + x.ndim - len(t) + 3]
                                   for t, x in zip(terms, operands) if "..." in t))
    for k, (term, x) in enumerate(zip(terms, operands)):
        if "..." in term:
            at, dots = term.index("..."), x.ndim - len(term) + 3
            own = labels[len(labels) - dots :] if dots else ""
            operands[k] = x.expand(*x.shape[:at], *shared[len(shared) - dots :], *x.shape[at + dots :]) if dots else x
            terms[k] = term.replace("...", own)
    if arrow:
        result = result.replace("...", labels)
    else:
        result = labels + "".join(sorted(c for c in set("".join(terms)) - set(labels) if "".join(terms).count(c) == 1))
    for k in range(len(operands)):
        seen: list[str] = []
        for axis, c in enumerate(terms[k]):
            if c in seen:
                twin, n = next(free), operands[k].shape[axis]
                terms.append(c + twin)
                operands.append(Tensor(np.eye(n, dtype=operands[k].dtype)))
                c = twin
            seen.append(c)
        terms[k] = "".join(seen)
    return ",".join(terms) + "->" + result, operands

ger = outer

if not TYPE_CHECKING:  # a type checker sees every name
    __all__ = public(globals())
