"""Operations as a person writes them in NumPy, for rules that are spelled out.

Most forwards say it well enough when they are traced. Those that are fast in a way of their own, or write into arrays
of their own, are here once more, in short: as expressions, or as a few `Lines`.
"""

from __future__ import annotations

import operator
import types
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from ..compiler.traced import Traced
from ..compiler.tracing import names_used
from ..graph import OPS, Op
from ..ops.decomposition import det_op, inv_op
from ..ops.index import Slot, gather_op, scatter_sum_op
from ..ops.scattering import _part, _whole, scatter_product_op

HERE = __name__.split(".")[0]


class Lines:
    """A few lines of NumPy as a function: they are run for its result, and printed for the reader.

    text: the lines, of which the result is `out`. names: of the arguments in them.
    """

    def __init__(self, text: str, *names: str) -> None:
        self.text, self.names = text, names

    def __call__(self, *args: Any) -> Any:
        known = dict(zip(self.names, args), np=np)
        exec(self.text, known)
        return known["out"]


def lines(text: str, **args: Any) -> Any:
    """The result of these lines for arguments of which one is traced."""
    trace = next(arg.trace for arg in args.values() if isinstance(arg, Traced))
    return trace.call(Lines(text, *args), tuple(args.values()))


# --- sums and one row for each label ----------------------------------------------------------------------------------


def _summed(x: Any, /, shape: tuple) -> Any:
    axes = _summed_axes(x.shape, shape)
    x = np.sum(x, axis=axes if len(axes) > 1 else axes[0]) if axes else x
    return x if x.shape == tuple(shape) else x.reshape(shape)


def _summed_axes(given: tuple, wanted: tuple) -> tuple[int, ...]:
    """The axes to sum over for a gradient of the one shape to be that of an operand of the other."""
    lead = len(given) - len(wanted)
    return (*range(lead), *(lead + i for i, n in enumerate(wanted) if n == 1 and given[lead + i] != 1))


def _at_labels(labels: Any, shape: tuple) -> Any:
    return labels.reshape((-1, 1)) == np.arange(shape[1])


def _softmax_error(x: Any, labels: Any, /) -> Any:
    a = np.exp(x - np.max(x, axis=1, keepdims=True))
    return a / np.sum(a, axis=1, keepdims=True) - _at_labels(labels, x.shape)


# --- places -----------------------------------------------------------------------------------------------------------


def _keys(index: tuple, tensors: tuple) -> list[tuple]:
    """An index as one or two of NumPy's: numbers come first, for beside arrays they would count among these."""
    arrays = [tensors[i.n] for i in index if isinstance(i, Slot)]
    if not (any(type(i) is int for i in index) and any(a.ndim for a in arrays)):
        return [tuple(tensors[i.n] if isinstance(i, Slot) else i for i in index)]
    first: list[Any] = []
    then: list[Any] = []
    for i in index:
        if isinstance(i, Slot):
            mask = tensors[i.n].dtype.kind == "b"
            first += [slice(None)] * (tensors[i.n].ndim if mask else 1)
            then.append(tensors[i.n])
        else:
            first.append(i)
            then += [] if type(i) is int else [i if i is Ellipsis else slice(None)]
    return [tuple(first), tuple(then)]


def _read(x: Any, /, *tensors: Any, index: tuple) -> Any:
    for key in _keys(index, tensors):
        x = x.trace.call(operator.getitem, (x, _alone(key)))
    return x


def _written(x: Any, value: Any, /, *tensors: Any, index: tuple) -> Any:
    """Into a copy of x."""
    if not x.ndim:  # there is nothing but one number, or a mask for it
        return np.where(tensors[0], value, x) if tensors else np.full((), value, x.dtype)
    *first, key = _keys(index, tensors)
    out = x.copy()
    (out[_alone(first[0])] if first else out)[_alone(key)] = value
    return out


def _added_at(g: Any, /, *tensors: Any, shape: tuple, index: tuple) -> Any:
    zeros = np.zeros(shape, g.dtype)
    if all(t.dtype.kind == "b" or not t.ndim for t in tensors):  # which name no place twice
        return _written(zeros, g, *tensors, index=index)
    names: dict[str, Any] = {}
    *first, key = _keys(index, tensors)
    out = f"out[{', '.join(_entry(i, names) for i in first[0])}]" if first else "out"
    parts = [_entry(i, names) for i in key]
    text = ", ".join(parts)
    if ":" in text or "None" in text or "..." in text:
        text = f"np.s_[{text}]"
    elif len(parts) > 1:
        text = f"({text})"
    return lines(f"out = zeros.copy()\nnp.add.at({out}, {text}, g)", zeros=zeros, g=g, **names)


def _alone(key: tuple) -> Any:
    return key[0] if len(key) == 1 else key


def _entry(i: Any, names: dict[str, Any]) -> str:
    """An entry of an index as it is written; an array gets a name."""
    if isinstance(i, (np.ndarray, np.generic)):
        names[f"index{len(names)}"] = i
        return f"index{len(names) - 1}"
    if not isinstance(i, slice):
        return "..." if i is ... else str(i)
    start, stop, step = ("" if k is None else str(k) for k in (i.start, i.stop, i.step))
    return f"{start}:{stop}" + f":{step}" * bool(step)


def _scattered(ufunc: str) -> Callable:
    def forward(x: Any, index: Any, source: Any, /, dim: int) -> Any:
        if source.shape != index.shape:
            source = source[tuple(map(slice, index.shape))]
        places = [f"np.arange({n}){_along(i, x.ndim)}" for i, n in enumerate(index.shape)]
        places[dim] = "index"
        key = places[0] if len(places) == 1 else f"({', '.join(places)})"
        return lines(f"out = x.copy()\nnp.{ufunc}.at(out, {key}, source)", x=x, index=index, source=source)

    return forward


def _along(dim: int, ndim: int) -> str:
    """'[:, None]' makes a vector one along a dimension."""
    after = ndim - 1 - dim
    return f"[:{', None' * after}]" if after else ""


def _slices_added(x: Any, index: Any, source: Any, /, dim: int, alpha: float = 1) -> Any:
    key = f"np.s_[{':, ' * (dim % x.ndim)}index]" if dim % x.ndim else "index"
    source = source if alpha == 1 else alpha * source
    return lines(f"out = x.copy()\nnp.add.at(out, {key}, source)", x=x, index=index, source=source)


def _shares_of_products(g: Any, y: Any, x: Any, index: Any, source: Any, dim: int) -> Any:
    """The rule of scatter_prod for the source: the product of all others, without those of another 0."""
    part = _part(source, index)
    zero = part == 0
    if not zero.any():
        return _whole(gather_op(g * y, index, dim=dim) / part, source.shape)
    factors = np.where(zero, 1.0, part)
    products = scatter_product_op(x, index, factors, dim=dim)
    zeros = scatter_sum_op(np.zeros(x.shape, x.dtype), index, zero, dim=dim)
    alone = gather_op(zeros, index, dim=dim) == zero
    return _whole(np.where(alone, gather_op(g * products, index, dim=dim) / factors, 0.0), source.shape)


def _on_diagonal(x: Any, /, shape: tuple, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    n, ndim = x.shape[-1], len(shape)
    row, column = (f"np.arange({n})" + f" + {k}" * bool(k) for k in (max(-offset, 0), max(offset, 0)))
    dims = dim1 % ndim, dim2 % ndim
    view = "out" if dims == (ndim - 2, ndim - 1) else f"np.moveaxis(out, {dims}, (-2, -1))"
    put = f"{view}[{'..., ' * (ndim > 2)}{row}, {column}] = x"
    return lines(f"out = zeros.copy()\n{put}", zeros=np.zeros(shape, x.dtype), x=x)


# --- windows ----------------------------------------------------------------------------------------------------------

AXES, WITHIN = "yxz", "ijk"  # letters for the dimensions of an image, and of a kernel


def _padded(x: Any, padding: tuple) -> Any:
    return x.trace.call(np.pad, (x, ((0, 0), (0, 0), *((p, p) for p in padding)))) if any(padding) else x


def _windows(x: Any, kernel: tuple, out: tuple, stride: tuple, dilation: tuple) -> Any:
    """The parts under a kernel, (…, *out, *kernel)."""
    lead = x.ndim - len(kernel)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation))
    axes = tuple(range(lead, x.ndim))
    view = x.trace.call(np.lib.stride_tricks.sliding_window_view, (x, reach), {"axis": axes})
    if view.shape[lead:] == (*out, *kernel):
        return view
    steps = [slice(None, s * m, s if s > 1 else None) for s, m in zip(stride, out)]
    return view[(*[slice(None)] * lead, *steps, *(slice(None, None, d if d > 1 else None) for d in dilation))]


def _all_windows(x: Any, /, kernel: tuple, stride: tuple, dilation: tuple) -> Any:
    n = len(kernel)
    out = tuple((m - d * (k - 1) - 1) // s + 1 for m, k, s, d in zip(x.shape[-n:], kernel, stride, dilation))
    found = _windows(x, kernel, out, stride, dilation)
    return np.moveaxis(found, tuple(range(-n, 0)), tuple(range(-2 * n, -n)))


def _grouped(x: Any, axis: int, groups: int) -> Any:
    return x if groups == 1 else x.reshape((*x.shape[:axis], groups, x.shape[axis] // groups, *x.shape[axis + 1 :]))


def _einsum(letters: str, first: Any, second: Any, groups: int, n: int, shape: tuple) -> Any:
    """Of n dimensions beside the others: Y stands for these of an image, U of a kernel, G for the groups."""
    letters = letters.replace("G", "g" * (groups > 1)).replace("Y", AXES[:n]).replace("U", WITHIN[:n])
    result = np.einsum(letters, first, second)
    return result if result.shape == shape else result.reshape(shape)


def _convolution(x: Any, w: Any, b: Any, /, stride: tuple, padding: tuple, dilation: tuple, groups: int) -> Any:
    sizes = zip(x.shape[2:], w.shape[2:], stride, padding, dilation)
    out = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes)
    windows = _grouped(_windows(_padded(x, padding), w.shape[2:], out, stride, dilation), 1, groups)
    y = _einsum("nGcYU,GdcU->nGdY", windows, _grouped(w, 0, groups), groups, len(out), (len(x), len(w), *out))
    return y if b is None else y + b.reshape((-1, *[1] * len(out)))


def _convolution_weight(x: Any, g: Any, /, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple,
                        groups: int) -> Any:
    windows = _grouped(_windows(_padded(x, padding), kernel, g.shape[2:], stride, dilation), 1, groups)
    shape = (g.shape[1], x.shape[1] // groups, *kernel)
    return _einsum("nGcYU,nGdY->GdcU", windows, _grouped(g, 1, groups), groups, len(kernel), shape)


def _convolution_input(g: Any, w: Any, /, size: tuple, stride: tuple, padding: tuple, dilation: tuple,
                       groups: int) -> Any:
    n = len(size)
    whole = np.zeros((len(g), w.shape[1] * groups, *(m + 2 * p for m, p in zip(size, padding))), g.dtype)
    parts = _einsum("nGdY,GdcU->nGcUY", _grouped(g, 1, groups), _grouped(w, 0, groups), groups, n,
                    (*whole.shape[:2], *w.shape[2:], *g.shape[2:]))  # fmt: skip
    whole = _overlaid(parts, tuple(whole.shape[2:]), stride, dilation)
    return whole[(..., *(slice(p, -p or None) for p in padding))] if any(padding) else whole


def _overlaid(parts: Any, /, size: tuple, stride: tuple, dilation: tuple) -> Any:
    n = len(size)
    kernel, out = parts.shape[-2 * n : -n], parts.shape[-n:]
    letters = ", ".join(WITHIN[:n])
    under = ", ".join(_under(*each) for each in zip(WITHIN, out, stride, dilation))
    window = f"parts[..., {letters}{', :' * n}]"
    loop = f"for {letters}{',' * (n == 1)} in np.ndindex{_tuple(kernel)}:\n    out[..., {under}] += {window}"
    zeros = np.zeros((*parts.shape[: -2 * n], *size), parts.dtype)
    return lines(f"out = zeros.copy()\n{loop}", zeros=zeros, parts=parts)


def _under(letter: str, count: int, stride: int, dilation: int) -> str:
    """What lies under one place of the kernel as it moves: 'i:i + 5', '2 * i:2 * i + 9:2'."""
    start = letter if dilation == 1 else f"{dilation} * {letter}"
    return f"{start}:{start} + {stride * (count - 1) + 1}" + (f":{stride}" if stride > 1 else "")


def _tuple(sizes: tuple) -> str:
    return str(tuple(map(int, sizes))).replace(",)", ")")


# --- what the names in a rule mean ------------------------------------------------------------------------------------

FORWARDS: dict[str, Callable] = {
    "sum_to": _summed, "softmax_error": _softmax_error,
    "one_a_row": lambda value, labels, /, shape: value * _at_labels(labels, shape),
    "flip": lambda x, /, dims: np.flip(x, dims),
    "cumsum": lambda x, /, dim, dtype=None: np.cumsum(x, axis=dim),
    "cumprod": lambda x, /, dim, dtype=None: np.cumprod(x, axis=dim),
    "cat": lambda *arrays, dim=0: np.concatenate(arrays, axis=dim),
    "stack": lambda *arrays, dim=0: np.stack(arrays, axis=dim),
    "getitem": _read, "setitem": _written, "add_at": _added_at, "index_add": _slices_added,
    "scatter_add": _scattered("add"), "scatter_prod": _scattered("multiply"), "diag_embed": _on_diagonal,
    "convolution": _convolution, "convolution_weight": _convolution_weight, "convolution_input": _convolution_input,
    "windows": _all_windows, "overlay": _overlaid,
    "cofactors": lambda x, /: det_op(x)[..., None, None] * inv_op(x).mT,
}  # fmt: skip
_UFUNCS = "exp", "log", "sqrt", "sin", "cos", "tanh", "sign", "maximum"
NUMPY: dict[str, Callable] = {name: getattr(np, name) for name in _UFUNCS}
NUMPY["i0"] = np.i0
NUMPY |= {name: getattr(np.linalg, name) for name in ("inv", "solve", "det")}


class SciPys:
    """A function that SciPy has and NumPy has not. Its values come from an operation: the package needs no SciPy."""

    def __init__(self, name: str, op: str) -> None:
        self.name, self.op = f"{SCIPY}.{name}", op

    def __call__(self, *args: Any) -> Any:
        return OPS[self.op].forward(*args)


class _Polygamma(SciPys):
    """Which has its order first, and makes float64 of everything."""

    def __call__(self, n: int, x: Any) -> Any:
        return OPS[self.op].forward(x.astype(np.float64), n=n)


SCIPY = "scipy.special"
SPECIAL = {name: SciPys(name, name) for name in ("erf", "erfcx", "digamma", "zeta", "i1", "i0e", "i1e")}
SPECIAL["lgamma"] = SciPys("gammaln", "lgamma")
FORWARDS["polygamma"] = lambda x, /, n: x.trace.call(_Polygamma("polygamma", "polygamma"), (n, x))
RULES = {OPS["scatter_prod"].rules[2]: _shares_of_products}  # in place of those that take one element after the other


@lru_cache(1024)
def operations(rule: Callable) -> dict[str, Op]:
    """The operations by the names that they have in a rule and in the functions of this package that it calls."""
    found = {"spread": OPS["spread"], "sum_to": OPS["sum_to"]}
    waiting, seen = [rule], {rule}
    while waiting:
        function = waiting.pop()
        for name, value in _meant(function):
            if isinstance(value, Op):
                found[name] = value
            elif isinstance(value, types.FunctionType) and value.__module__.startswith(HERE) and value not in seen:
                seen.add(value)
                waiting.append(value)
    return found


def _meant(function: Any) -> Iterator[tuple[str, Any]]:
    """What the names in a function mean."""
    for name in names_used(function.__code__):
        yield name, function.__globals__.get(name)
    for cell in function.__closure__ or ():
        yield "", cell.cell_contents


__all__ = ["FORWARDS", "NUMPY", "RULES", "SCIPY", "SPECIAL", "Lines", "SciPys", "operations"]
