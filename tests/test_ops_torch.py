"""The table against PyTorch: values, gradients, second gradients, dtypes, and the points where a function has no derivative."""

import itertools
import warnings

import numpy as np
import pytest
from opcheck import normal, tuple_of
from samples import INTERNAL, SAMPLES, TABLE, leaves, samples

import microgradnet as mg
from microgradnet.ops.index import Slot

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
torch.set_num_threads(1)
F = torch.nn.functional

EACH = pytest.mark.parametrize("name", [name for name in TABLE if name not in INTERNAL])


# --- the same operation in PyTorch, where its name or its form differs ------------------------------------------------


def torch_index(index, tensors):
    return tuple(tensors[i.n] if isinstance(i, Slot) else i for i in index)


def torch_getitem(x, *tensors, index):
    return x[torch_index(index, tensors)]


def torch_setitem(x, value, *tensors, index):
    out = x.clone()
    out[torch_index(index, tensors)] = value
    return out


def torch_add_at(x, *tensors, shape, index):
    out = torch.zeros(shape, dtype=x.dtype)
    index = torch_index(index, tensors)
    if any(isinstance(i, torch.Tensor) for i in index):
        return out.index_put(index, x, accumulate=True)
    out[index] = x
    return out


def torch_einsum(*operands, equation):
    return torch.einsum(equation, *operands)


def torch_prod(x, dim=None, keepdim=False):
    return x.prod() if dim is None else x.prod(dim, keepdim=keepdim)


def torch_squeeze(x, dim=None):
    return x.squeeze() if dim is None else x.squeeze(dim)


def torch_split(x, sections, dim=0):
    return torch.tensor_split(x, sections, dim)


def torch_scatter(x, index, source, dim):
    return x.scatter(dim, index, source) if not isinstance(source, torch.Tensor) or source.ndim else x.scatter(
        dim, index, source.expand(index.shape))


def torch_lstm_gates(z):
    i, f, n, o = z.chunk(4, -1)
    return torch.cat([i.sigmoid(), f.sigmoid(), n.tanh(), o.sigmoid()], -1)


def torch_lstm_cell(gates, c):
    i, f, n, o = gates.chunk(4, -1)
    c = f * c + i * n
    return o * c.tanh(), c


def torch_lstm(x, h, c, weight, reverse=False):
    outputs = []
    for part in x.unbind(0)[::-1] if reverse else x.unbind(0):
        h, c = torch_lstm_cell(torch_lstm_gates(part + h @ weight.T), c)
        outputs.append(h)
    return torch.stack(outputs[::-1] if reverse else outputs), h, c


def torch_gru_cell(x, z, h):
    (x_r, x_z, x_n), (h_r, h_z, h_n) = x.chunk(3, -1), z.chunk(3, -1)
    n = (x_n + (x_r + h_r).sigmoid() * h_n).tanh()
    return n + (x_z + h_z).sigmoid() * (h - n)


SAME = {
    "lstm_gates": torch_lstm_gates, "lstm_cell": torch_lstm_cell, "lstm": torch_lstm, "gru_cell": torch_gru_cell,
    "polygamma": lambda x, n: torch.polygamma(n, x),
    "getitem": torch_getitem, "setitem": torch_setitem, "add_at": torch_add_at, "einsum": torch_einsum, "prod": torch_prod,
    "squeeze": torch_squeeze, "split": torch_split, "scatter": torch_scatter,
    "sum_to": lambda x, shape: x.sum_to_size(shape),
    "spread": lambda x, shape: x.expand(shape),
    "expand": lambda x, shape: x.expand(shape),
    "reshape": lambda x, shape: x.reshape(shape),
    "permute": lambda x, dims: x.permute(dims),
    "repeat": lambda x, repeats: x.repeat(repeats),
    "flip": lambda x, dims: x.flip(dims),
    "cat": lambda *xs, dim=0: torch.cat(xs, dim),
    "stack": lambda *xs, dim=0: torch.stack(xs, dim),
    "clone": lambda x: x.clone(),
    "to": lambda x, dtype: x.to(getattr(torch, str(dtype))),
    "cast": lambda x, dtype: x.to(getattr(torch, str(dtype))),
    "copy": lambda x, source: x.clone().copy_(source),
    "amax": lambda x, dim=(), keepdim=False: x.amax(dim, keepdim=keepdim),
    "amin": lambda x, dim=(), keepdim=False: x.amin(dim, keepdim=keepdim),
    "norm": lambda x, dim=None, keepdim=False: torch.linalg.vector_norm(x, 2, dim, keepdim),
    "logsumexp": lambda x, dim, keepdim=False: torch.logsumexp(x, dim, keepdim),
    "gather": lambda x, index, dim: x.gather(dim, index),
    "scatter_add": lambda x, index, source, dim: x.scatter_add(dim, index, source),
    "index_select": lambda x, index, dim: x.index_select(dim, index),
    "index_add": lambda x, index, source, dim, alpha=1: x.index_add(dim, index, source, alpha=alpha),
    "leaky_relu": F.leaky_relu, "elu": F.elu, "silu": F.silu, "softplus": F.softplus, "hardtanh": F.hardtanh, "gelu": F.gelu,
    "embedding": lambda weight, numbers: F.embedding(numbers, weight),
    "linear": F.linear, "one_hot": F.one_hot, "nll": lambda x, labels, scale: scale * F.nll_loss(x, labels, reduction="sum"),
    "cross_entropy": lambda x, labels, scale: scale * F.cross_entropy(x, labels, reduction="sum"),
    "softmax_error": lambda x, labels: x.softmax(1) - F.one_hot(labels, x.shape[1]),
    "one_a_row": lambda value, labels, shape: torch.zeros(shape, dtype=value.dtype).index_put(
        (torch.arange(len(labels)), labels), value),
    "squared_distance": lambda a, b, scale: scale * F.mse_loss(a, b, reduction="sum"),
    "binary_cross_entropy": lambda a, y: F.binary_cross_entropy(a, y, reduction="none"),
    "binary_cross_entropy_with_logits": lambda z, y: F.binary_cross_entropy_with_logits(
        *torch.broadcast_tensors(z, y), reduction="none"),
}  # fmt: skip


def torch_standardize(x, weight, bias, dims, eps):
    variance, mean = torch.var_mean(x, dims, correction=0, keepdim=True)
    y = (x - mean) / torch.sqrt(variance + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


SAME["standardize"] = torch_standardize


def torch_windows(x, kernel, stride, dilation):
    """(…, *size) to (…, *kernel, *out), a dimension at a time."""
    n, lead = len(kernel), x.ndim - len(kernel)
    for i, (k, s, d) in enumerate(zip(kernel, stride, dilation)):
        x = x.unfold(lead + i, d * (k - 1) + 1, s)[..., ::d]
    return x.permute(*range(lead), *range(lead + n, lead + 2 * n), *range(lead, lead + n))


def torch_overlay(parts, size, stride, dilation):
    n = len(size)
    total = torch.zeros((*parts.shape[: -2 * n], *size), dtype=parts.dtype, requires_grad=True)
    view = torch_windows(total, parts.shape[-2 * n : -n], stride, dilation)
    return torch.autograd.grad(view, total, parts, create_graph=True)[0]


def torch_max_pool(x, kernel, stride, padding, dilation, many):
    pool = getattr(F, f"max_pool{len(kernel)}d")
    floor = [(n + 2 * p - d * (k - 1) - 1) // s + 1
             for n, k, s, p, d in zip(x.shape[-len(kernel) :], kernel, stride, padding, dilation)]
    return pool(x, kernel, stride, padding, dilation, ceil_mode=tuple(floor) != many, return_indices=True)


def torch_max_of_bins(x, bins):
    size = x.shape[-len(bins) :]
    flat = torch.arange(size.numel()).reshape(size)
    values, places = [], []
    for cell in itertools.product(*bins):
        under = (..., *(slice(a, b) for a, b in cell))
        best = x[under].flatten(-len(bins)).max(-1)
        values.append(best.values)
        places.append(flat[under].flatten()[best.indices])
    shape = (*x.shape[: -len(bins)], *map(len, bins))
    return torch.stack(values, -1).reshape(shape), torch.stack(places, -1).reshape(shape)


def torch_convolution(x, w, b, stride, padding, dilation, groups):
    return torch.convolution(x, w, b, stride, padding, dilation, False, [0] * len(stride), groups)


def torch_convolution_input(g, w, size, stride, padding, dilation, groups):
    n, cover = len(size), [(o - 1) * s - 2 * p + d * (k - 1) + 1
                           for o, s, p, d, k in zip(g.shape[2:], stride, padding, dilation, w.shape[2:])]
    more = [m - c for m, c in zip(size, cover)]
    transposed = torch.nn.functional.__dict__[f"conv_transpose{n}d"]
    return transposed(g, w, None, stride, padding, more, groups, dilation)


def torch_convolution_weight(x, g, kernel, stride, padding, dilation, groups):
    w = torch.zeros((g.shape[1], x.shape[1] // groups, *kernel), dtype=x.dtype, requires_grad=True)
    y = torch_convolution(x, w, None, stride, padding, dilation, groups)
    y = y[tuple(slice(n) for n in g.shape)]
    return torch.autograd.grad(y, w, g, create_graph=True)[0]


def torch_resample(x, dim, rows):
    matrix = torch.zeros(len(rows), x.shape[dim], dtype=x.dtype)
    for out, row in zip(matrix, rows):
        for i, weight in row:
            out[i] += weight
    return torch.tensordot(x, matrix, ([dim], [1])).movedim(-1, dim)


SAME |= {"windows": torch_windows, "overlay": torch_overlay, "max_pool": torch_max_pool, "convolution": torch_convolution,
         "max_of_bins": torch_max_of_bins, "convolution_input": torch_convolution_input,
         "convolution_weight": torch_convolution_weight, "resample": torch_resample}  # fmt: skip


import torch_arrays  # noqa: E402 - they import torch
import torch_linalg  # noqa: E402

SAME |= torch_arrays.SAME | torch_linalg.SAME


# In PyTorch these claim a derivative that is not implemented: 0 here, or none.
NO_DERIVATIVE_THERE = {"floor_divide", "heaviside"}


def torch_function(name):
    return SAME.get(name) or getattr(torch, name, None) or getattr(torch.special, name)


NUMBERS_AS_TENSORS = {"eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor", "maximum", "minimum",
                      "remainder", "clamp", "fmod", "copysign", "heaviside", "nextafter", "gcd", "lcm", "fmax", "fmin", "atan2",
                      "hypot", "logaddexp", "logaddexp2", "binary_cross_entropy_with_logits"}  # fmt: skip


def torch_leaves(name, sample):
    made = []
    for value in sample.args:
        if isinstance(value, np.ndarray) or (isinstance(value, (int, float)) and name in NUMBERS_AS_TENSORS):
            tracked = isinstance(value, np.ndarray) and value.dtype.kind == "f"
            value = torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None).requires_grad_(tracked)
        made.append(value)
    return made


def derivatives(lib, outputs, values):
    """The gradients of the outputs, pulled back from normal seeds, and those of a weighted sum of their squares."""
    wrt = [v for v in values if getattr(v, "requires_grad", False)]
    seeds = [lib.tensor(s).requires_grad_() for s in normal(5, *(y.detach().numpy() for y in outputs))]
    first = lib.autograd.grad(outputs, wrt, seeds, create_graph=True, materialize_grads=True, allow_unused=True)
    weights = normal(6, *(v.detach().numpy() for v in wrt))
    total = sum((g * g * lib.tensor(w)).sum() for g, w in zip(first, weights))
    if total.requires_grad:
        return [*first, *lib.autograd.grad(total, wrt + seeds, materialize_grads=True, allow_unused=True)]
    return [*first, *(lib.zeros(v.shape, dtype=lib.float64) for v in wrt + seeds)]


def assert_same(actual, expected, what, rtol=1e-9, atol=1e-9):
    """Arrays or tensors of either library, equal in shape, dtype and values."""
    __tracebackhide__ = True
    a, b = (np.asarray(x.detach().numpy(force=True) if hasattr(x, "detach") else x) for x in (actual, expected))
    assert a.shape == b.shape, f"{what}: shape {a.shape}, in PyTorch {b.shape}"
    assert a.dtype == b.dtype, f"{what}: {a.dtype}, in PyTorch {b.dtype}"
    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=what)


@EACH
def test_values_gradients_and_second_gradients(name):
    compared = 0
    for sample in samples(name):
        what = f"{name}({sample})"
        mine, theirs = leaves(sample), torch_leaves(name, sample)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = tuple_of(TABLE[name](*mine, **sample.params))
            expected = tuple_of(torch_function(name)(*theirs, **sample.params))
        for y, y0 in zip(outputs, expected, strict=True):
            assert_same(y, y0, what)
        tracked = [y.requires_grad for y in outputs]
        if name not in NO_DERIVATIVE_THERE:
            assert tracked == [y.requires_grad for y in expected], what
        if any(tracked):
            outputs, expected = ([y for y in found if y.requires_grad] for found in (outputs, expected))
            try:
                expected = derivatives(torch, expected, theirs)
            except RuntimeError:
                continue  # a few are missing, or fail, there
            for k, (g, g0) in enumerate(zip(derivatives(mg, outputs, mine), expected, strict=True)):
                if name == "pow" and g0.isnan().any():
                    continue  # the second derivative of 0**b, 0 here
                # PyTorch computes their constants of whole numbers in float32.
                rtol = 1e-6 if name in ("zeta", "igamma", "igammac") else 1e-9
                assert_same(g, g0, f"{what}: gradient {k}", rtol=rtol)
        compared += 1
    assert 2 * compared >= len(samples(name)) or name in NO_DERIVATIVE_THERE


# --- where there is no derivative, and beyond the domain --------------------------------------------------------------

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 2.5, 3.0, -3.0, 20.0, -40.0, 100.0, 1e4, -1e4, 1e-300, -1e-300, np.inf, -np.inf, np.nan]
UNARY = [name for name, op in TABLE.items() if op.arity == 1 and (not op.names or name in (
    "leaky_relu", "elu", "softplus", "hardtanh", "gelu", "round", "nan_to_num", "logit")) and name not in {*INTERNAL, *SAMPLES, "frexp"}]  # fmt: skip
FLOATING_BINARY = ["add", "sub", "mul", "div", "pow", "remainder", "maximum", "minimum", "floor_divide", "fmod", "fmax", "fmin",
                   "copysign", "heaviside", "nextafter", "atan2", "hypot", "logaddexp", "logaddexp2", "xlogy", "xlog1py"]  # fmt: skip
BETTER = {  # where PyTorch's rounding errors show
    "gradient of digamma": "poles, whose distance is rounded to 1e-16",
    "gradient of erfcx": "beyond 1e4, where its difference cancels", "gradient of log_ndtr": "beyond -1e4, likewise",
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in UNARY if n != "bitwise_not"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_special_arguments(name):
    check_special(name, [np.array(SPECIAL)])


@pytest.mark.parametrize("name", FLOATING_BINARY)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_special_pairs(name):
    grid = [x for x in SPECIAL if abs(x) != 1e-300]
    check_special(name, [np.array(side) for side in zip(*itertools.product(grid, grid))])


def check_special(name, arrays):
    mine = [mg.tensor(x, requires_grad=True) for x in arrays]
    theirs = [torch.tensor(x, requires_grad=True) for x in arrays]
    y, y0 = TABLE[name](*mine), torch_function(name)(*theirs)
    differences(name, arrays, y, y0)
    if y.requires_grad and name not in NO_DERIVATIVE_THERE:
        y.backward(mg.ones(y.shape, dtype=mg.float64))
        y0.backward(torch.ones_like(y0))
        for g, g0 in zip(mine, theirs):
            differences(f"gradient of {name}", arrays, g.grad, g0.grad)


def differences(what, arrays, actual, expected):
    """None, where no argument is nan: a gradient there means nothing, and sign(nan) is nan here, 0 in PyTorch. Nor does
    nan in PyTorch at infinity bind."""
    a, b = actual.detach().numpy(), expected.detach().numpy()
    assert a.dtype == b.dtype
    tolerance = 1e-16 if "elu" in what or "logaddexp" in what else 1e-300
    bad = ~np.isclose(a, b, rtol=1e-9, atol=tolerance, equal_nan=True) & ~np.any(np.isnan(arrays), axis=0)
    if what in BETTER:
        bad &= (np.abs(arrays[0]) < 1e4) & (arrays[0] != np.floor(arrays[0]))
    bad &= ~(np.any(np.isinf(arrays), axis=0) & np.isnan(b)) | np.isnan(a)
    assert not bad.any(), f"{what} at {[x[bad] for x in arrays]}: {a[bad]}, in PyTorch {b[bad]}"


# --- dtypes -------------------------------------------------------------------------------------------------------------

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
BINARY = ["add", "sub", "mul", "div", "pow", "floor_divide", "remainder", "maximum", "minimum", "eq", "lt", "logical_and",
          "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor"]  # fmt: skip
NUMBERS = [True, 3, -2, 2.5]
LENIENT = {  # PyTorch refuses, or has a rule of old that nobody wants: x - True, relu(True), all(uint8) of dtype uint8
    ("sub", "bool"), ("-", "bool"), ("relu", "bool"), ("hardtanh", "bool"), ("hardtanh", "uint8"), ("square", "bool"), ("sign", "bool"), ("argmax", "bool"),
    ("argmin", "bool"), ("all", "uint8"), ("any", "uint8"), ("add alpha", "bool"), ("lerp", "bool"), ("logsumexp", "bool"),
    ("sinc", "float16"), ("gelu", "float16"),  # half precision is for storage here
}  # fmt: skip


def both(f, what, rtol=1e-12):
    """Run f(library) in both: the same result, or an error in both. What PyTorch has not implemented binds nobody."""
    try:
        expected = f(torch)
    except NotImplementedError:
        return False
    except (RuntimeError, TypeError, IndexError, ValueError) as error:
        expected = error
    try:
        actual = f(mg)
    except (RuntimeError, TypeError, IndexError, ValueError) as error:
        assert isinstance(expected, Exception), f"{what}: {error!r} here, {expected} in PyTorch"
        return False
    assert not isinstance(expected, Exception), f"{what}: {actual} here, {expected!r} in PyTorch"
    for y, y0 in zip(tuple_of(actual), tuple_of(expected), strict=True):
        if isinstance(y0, torch.Tensor):
            rough = y0.dtype in (torch.float16, torch.float32)
            assert_same(y, y0, what, 2e-3 if y0.dtype == torch.float16 else 1e-5 if rough else rtol, 1e-6 if rough else 1e-12)
        else:
            assert y == y0 and type(y) is type(y0), what
    return True


def whole(dtype, *shape):
    """Small numbers without 0 that every dtype holds."""
    return (np.arange(np.prod(shape, dtype=int)) % 3 + 1).reshape(shape).astype(dtype)


@pytest.fixture(params=["float32", "float64"])
def default_dtype(request):
    for lib in (mg, torch):
        lib.set_default_dtype(getattr(lib, request.param))
    yield
    for lib in (mg, torch):
        lib.set_default_dtype(lib.float32)


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_dtype_of_one(name, default_dtype):
    for dtype in DTYPES:
        if (name, dtype) in LENIENT or (dtype == "int16" and mg.get_default_dtype() == mg.float64):
            continue
        values = [1, 3, 0, 100] if dtype != "bool" else [True, False]
        x = np.array(values).astype(dtype) * (0.25 if "float" in dtype else 1)
        f = lambda m: (torch_function(name) if m is torch else TABLE[name])(m.tensor(x.astype(dtype)))  # noqa: E731
        both(f, f"{name} of {dtype}")


@pytest.mark.parametrize("name", BINARY)
def test_dtype_of_two(name):
    for left, right in itertools.product(DTYPES, DTYPES):
        if {(name, left), (name, right)} & LENIENT or "float16" in (left, right):
            continue
        for shapes in (((3,), (3,)), ((3,), ()), ((), (3,)), ((), ())):
            arrays = [whole(dtype, *shape) for dtype, shape in zip((left, right), shapes)]
            both(lambda m: getattr(m, name)(*map(m.tensor, arrays)), f"{name} of {left} {shapes[0]} and {right} {shapes[1]}")


OPERATORS = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b, "**": lambda a, b: a**b,
    "//": lambda a, b: a // b, "%": lambda a, b: a % b, "<": lambda a, b: a < b, "==": lambda a, b: a == b,
    "&": lambda a, b: a & b, "|": lambda a, b: a | b, "^": lambda a, b: a ^ b,
}  # fmt: skip


@pytest.mark.parametrize("sign", OPERATORS)
@pytest.mark.filterwarnings("ignore:overflow")
def test_dtype_with_a_number(sign):
    for dtype, number, shape in itertools.product(DTYPES, NUMBERS, ((3,), ())):
        if (sign, dtype) in LENIENT or (sign == "-" and number is True) or (dtype == "uint8" and number == -2):
            continue  # the latter wraps around, and NumPy refuses it
        x = whole(dtype, *shape)
        both(lambda m: OPERATORS[sign](m.tensor(x), number), f"{dtype} {shape} {sign} {number}")
        both(lambda m: OPERATORS[sign](number, m.tensor(x)), f"{number} {sign} {dtype} {shape}")


REDUCTIONS = {
    "sum": lambda m, x: (m.sum(x), m.sum(x, 0)), "mean": lambda m, x: m.mean(x), "prod": lambda m, x: (m.prod(x), m.prod(x, 0)),
    "var": lambda m, x: m.var(x), "std": lambda m, x: m.std(x, 0), "amax": lambda m, x: m.amax(x, 0), "max": lambda m, x: m.max(x),
    "min": lambda m, x: tuple(m.min(x, 1)), "argmax": lambda m, x: m.argmax(x), "argmin": lambda m, x: m.argmin(x, 1),
    "all": lambda m, x: m.all(x), "any": lambda m, x: m.any(x, 0), "cumsum": lambda m, x: m.cumsum(x, 0),
    "logsumexp": lambda m, x: m.logsumexp(x, 0), "norm": lambda m, x: m.norm(x), "count_nonzero": lambda m, x: m.count_nonzero(x),
    "softmax": lambda m, x: m.softmax(x, 0), "sum to float64": lambda m, x: m.sum(x, 0, dtype=m.float64),
    "mean to float32": lambda m, x: m.mean(x, 0, dtype=m.float32), "cumsum to int32": lambda m, x: m.cumsum(x, 0, dtype=m.int32),
    "prod to float64": lambda m, x: m.prod(x, 0, dtype=m.float64), "sum to int32": lambda m, x: m.sum(x, dtype=m.int32),
    "matmul": lambda m, x: x @ x.T, "einsum": lambda m, x: m.einsum("ij,kj->ik", x, x), "clamp": lambda m, x: m.clamp(x, 1, 2),
    "clamp float": lambda m, x: m.clamp(x, 0.5, 2.5), "where": lambda m, x: m.where(x > 1, x, 0), "masked_fill": lambda m, x: x.masked_fill(x > 1, 2),
    "where float": lambda m, x: m.where(x > 1, x, 0.5), "masked_fill float": lambda m, x: x.masked_fill(x > 1, 0.5),
    "cat": lambda m, x: m.cat([x, m.zeros(1, 3)]), "stack": lambda m, x: m.stack([x, m.ones(2, 3, dtype=m.int64)]),
    "norm 1": lambda m, x: m.norm(x, 1), "norm 3 dim": lambda m, x: m.norm(x, 3, 0), "tril": lambda m, x: m.tril(x),
    "flip": lambda m, x: m.flip(x, [0]), "index": lambda m, x: x[[0, 1, 0]], "repeat": lambda m, x: x.repeat(2, 1),
    "round 1": lambda m, x: m.round(x, decimals=1), "addcmul": lambda m, x: m.addcmul(x, x, x), "lerp": lambda m, x: m.lerp(x, x + 1, 0.5),
    "leaky_relu": lambda m, x: (m.nn.functional if m is torch else m).leaky_relu(x),
    "trunc div": lambda m, x: m.div(x, 2, rounding_mode="trunc"), "floor div": lambda m, x: m.div(x, 2, rounding_mode="floor"),
    "add alpha": lambda m, x: m.add(x, x, alpha=2), "neg": lambda m, x: -x,
    "invert": lambda m, x: ~x, "abs": lambda m, x: abs(x), "square": lambda m, x: m.square(x), "outer": lambda m, x: m.outer(x[0], x[1]),
    "dot": lambda m, x: m.dot(x[0], x[1]), "mv": lambda m, x: m.mv(x, x[0]), "addmm": lambda m, x: m.addmm(x[:, :2], x, x.T),
    "log_softmax": lambda m, x: m.log_softmax(x, 1),
    "isnan": lambda m, x: m.isnan(x), "isinf": lambda m, x: m.isinf(x), "isfinite": lambda m, x: m.isfinite(x),
}  # fmt: skip


@pytest.mark.parametrize("name", REDUCTIONS)
def test_dtype_of(name):
    for dtype in DTYPES:
        if (name, dtype) in LENIENT:
            continue
        x = whole(dtype, 2, 3)
        both(lambda m: REDUCTIONS[name](m, m.tensor(x)), f"{name} of {dtype}")
