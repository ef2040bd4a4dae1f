# isort: skip_file
"""The table of operations, a file per family. Reading order: elementwise, shape, reduce, index, linalg, activation;
then inplace (writing), methods (the operators of Tensor), fence (NumPy's protocols)."""

from .activation import elu, gelu, hardtanh, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, softplus
from .elementwise import (
    abs, acos, acosh, add, asin, asinh, atan, atanh, bitwise_and, bitwise_not, bitwise_or, bitwise_xor, ceil, clamp,
    clip, cos, cosh, div, eq, erf, exp, exp2, expm1, floor, floor_divide, ge, gt, isfinite, isinf, isnan, le, log,
    log1p, log2, log10, logical_and, logical_not, logical_or, logical_xor, lt, maximum, minimum, mul, ne, neg, pow,
    reciprocal, remainder, round, rsqrt, sign, sin, sinh, sqrt, square, sub, tan, tanh, trunc, where,
)  # fmt: skip
from .index import (
    gather, index_add, index_select, masked_fill, masked_select, scatter, scatter_add, take, take_along_dim, tril, triu,
)  # fmt: skip
from .inplace import addcdiv, addcmul, lerp
from .linalg import addmm, bmm, dot, einsum, linear, matmul, mm, mv, outer
from .methods import allclose, equal, isclose
from .reduce import (
    all, amax, amin, any, argmax, argmin, count_nonzero, cumsum, logsumexp, max, mean, min, norm, prod, std, sum, var,
)  # fmt: skip
from .shape import (
    broadcast_tensors, broadcast_to, cat, chunk, clone, expand, flatten, flip, hstack, movedim, permute, ravel, reshape,
    repeat, split, squeeze, stack, t, tile, transpose, unbind, unflatten, unsqueeze, view, vstack,
)  # fmt: skip

multiply, subtract, divide, true_divide, negative, absolute = mul, sub, div, div, neg, abs
arcsin, arccos, arctan, swapaxes, concat, concatenate = asin, acos, atan, transpose, cat, cat
moveaxis, less, less_equal, greater, greater_equal, not_equal = movedim, lt, le, gt, ge, ne
