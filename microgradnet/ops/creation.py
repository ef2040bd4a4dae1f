"""Tensors from data, from sizes and from ranges.

Throughout, `dtype` is a dtype a Tensor can hold, by default what PyTorch infers; `device` can only be the CPU; with
`requires_grad` the new tensor is a leaf that gradients are computed for. `out` is a tensor of the result's shape that
receives the values and is returned. A size is given as ints, as a tuple, or as `size=`.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..callers import warn
from ..dtypes import check_device, get_default_dtype, result_type
from ..graph import Op, ShapeError
from ..recording import is_inference_mode_enabled
from ..tensor import Tensor, checked, describe

__all__ = [
    "as_tensor", "asarray", "complex", "empty", "empty_like", "empty_permuted", "empty_strided", "full", "full_like",
    "one_hot", "ones", "ones_like", "scalar_tensor", "tensor", "zeros", "zeros_like",
]  # fmt: skip

_INT64 = np.dtype(np.int64)
_BOOL = np.dtype(np.bool_)


# --- from data ------------------------------------------------------------------------------------------------------


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
           pin_memory: bool = False) -> Tensor:
    """A copy of `data`: a number, an array, a Tensor, or sequences of these nested to any depth.

    Python floats become the default dtype, whole numbers int64, truth values bool; arrays and NumPy's own scalars keep
    their dtype, and where several meet, PyTorch's promotion decides. The copy of a Tensor has no history.
    Errors: ValueError for ragged data, TypeError for what is no number, RuntimeError for a number `dtype` cannot hold.
    """
    check_device(device)
    new = made(_array("tensor", data, dtype), requires_grad)
    if not new._data.ndim:
        new._data = new._data[()]  # arithmetic on NumPy's scalars is several times faster than on 0-d arrays
    return new


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` itself if it is a Tensor of that dtype, a Tensor on its memory if it is such an array, else a copy."""
    check_device(device)
    if isinstance(data, Tensor):
        return data if dtype is None or as_dtype(dtype) == data.dtype else data.to(as_dtype(dtype))
    if isinstance(data, np.ndarray) and (dtype is None or as_dtype(dtype) == data.dtype):
        return made(checked(data))
    return made(_array("as_tensor", data, dtype))


def asarray(obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None,
            requires_grad: bool = False) -> Tensor:
    """`obj` as a Tensor that shares its memory where that is possible; `copy=True` never shares, `copy=False` must.

    A Tensor's history is kept only with `requires_grad=True`.
    """
    result = as_tensor(obj, dtype, device)
    shares = isinstance(obj, (Tensor, np.ndarray)) and result.dtype == obj.dtype
    if copy is False and not shares:
        raise ValueError(f"asarray(): {describe(obj)} as a Tensor of {result.dtype} takes a copy; use copy=None")
    if copy and shares:
        result = result.clone()
    if not requires_grad:
        return result.detach()
    return result if result.requires_grad else result.detach().requires_grad_()


def _array(caller: str, data: Any, dtype: Any) -> np.ndarray:
    """A fresh array of the data, in `dtype` or the inferred one."""
    found: set[np.dtype] = set()
    plain = _plain(caller, data, found)
    if dtype is not None:
        dtype = as_dtype(dtype)
    elif len(found) < 2:
        dtype = found.pop() if found else get_default_dtype()
    else:
        dtype = result_type(*(np.empty(1, one) for one in found))
    try:
        with np.errstate(all="ignore"):  # 1e300 becomes inf in float32, as in PyTorch
            return np.array(plain, dtype=dtype)
    except OverflowError as error:
        raise RuntimeError(f"{caller}(): a value does not fit {dtype}: {error}") from None
    except (TypeError, ValueError) as error:
        if "sequence" in str(error):
            raise ValueError(f"{caller}(): the data is ragged: pad its rows to one length ({error})") from None
        raise RuntimeError(f"{caller}(): a value does not fit {dtype}: {error}") from None


def _plain(caller: str, data: Any, found: set[np.dtype]) -> Any:
    """The data with arrays in place of Tensors. The dtypes that its numbers stand for are added to `found`."""
    if isinstance(data, (np.ndarray, np.generic)):
        found.add(checked(np.asarray(data)).dtype)
        return data
    if isinstance(data, (list, tuple, range)):
        kinds = set(map(type, data))
        if kinds <= {float, int, bool}:  # the leaves, and far the fastest way through them
            found.update(map(_dtype_of, kinds))
            return data
        return [_plain(caller, part, found) for part in data]
    if isinstance(data, (float, int)):
        found.add(_dtype_of(type(data)))
        return data
    if isinstance(data, Tensor):
        if data.requires_grad:
            warn(f"{caller}() copies the values of a tensor that requires grad, and the copy has no history: "
                 "use clone() or stack() to keep it, detach() to say that this is meant")
        return _plain(caller, data.array, found)
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes, bytearray)):
        return _plain(caller, list(data), found)
    if hasattr(data, "__array__"):
        return _plain(caller, np.asarray(data), found)
    if isinstance(data, builtins.complex):
        raise TypeError(f"{caller}(): complex tensors are out of scope, got {data!r}")
    raise TypeError(
        f"{caller}(): cannot make a tensor of {type(data).__name__} {data!r:.60}; give numbers, arrays or lists of them"
    )


def _dtype_of(kind: type) -> np.dtype:
    return _BOOL if issubclass(kind, bool) else _INT64 if issubclass(kind, int) else get_default_dtype()


def scalar_tensor(s: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
                  requires_grad: bool = False) -> Tensor:
    """A number as a 0-d tensor, of the default dtype unless one is given."""
    check_place(device, layout)
    return made(_array("scalar_tensor", _number("scalar_tensor", s), as_dtype(dtype)), requires_grad)


def complex(real: Any, imag: Any, *, out: Any = None) -> Tensor:
    """An error: complex tensors are out of scope."""
    raise TypeError("complex tensors are out of scope: keep the real and the imaginary part as two tensors")


# --- what the functions here and those of `random` share --------------------------------------------------------------


def as_dtype(dtype: Any, default: np.dtype | None = None, out: Tensor | None = None) -> np.dtype:
    """`dtype` as a NumPy dtype that a Tensor holds; for None that of `out`, else `default`, else the default dtype."""
    if dtype is None:
        return out.dtype if out is not None else default or get_default_dtype()
    dtype = np.dtype(dtype)
    if dtype.kind not in "fiub":
        way = "complex tensors are out of scope" if dtype.kind == "c" else "use a floating, whole-number or bool dtype"
        raise TypeError(f"a Tensor cannot hold {dtype}: {way}")
    if out is not None and out.dtype != dtype:
        raise RuntimeError(f"dtype {dtype} does not match the dtype of out, {out.dtype}")
    return dtype


def as_shape(caller: str, dims: tuple, size: Any = None) -> tuple[int, ...]:
    """The shape that `f(2, 3)`, `f((2, 3))` or `f(size=(2, 3))` asks for."""
    if (size is not None) == bool(dims):
        raise TypeError(f"{caller}() takes its size as ints, as a tuple or as size=(...); () is that of one number")
    if size is not None:
        dims = (size,)
    if len(dims) == 1 and isinstance(dims[0], (tuple, list)):
        dims = tuple(dims[0])
    try:
        shape = tuple(map(operator.index, dims))
    except TypeError:
        raise TypeError(f"{caller}(): the size must be whole numbers, got {dims!r}") from None
    if any(n < 0 for n in shape):
        raise RuntimeError(f"{caller}(): the size must not be negative, got {shape}")
    return shape


def made(array: np.ndarray, requires_grad: bool = False, out: Tensor | None = None) -> Tensor:
    """A new tensor of this memory, or `out` with the values written into it."""
    if out is not None:
        if out.shape != array.shape:
            raise ShapeError(f"out= {describe(out)} does not have the shape of the result, {array.shape}")
        out.copy_(Tensor(array))
        return out.requires_grad_() if requires_grad else out
    new = Tensor(array)
    if requires_grad:
        new.requires_grad_()
    if is_inference_mode_enabled():
        new._inference = True
    return new


def check_place(device: Any, layout: Any) -> None:
    check_device(device)
    if layout is not None and str(layout).rpartition(".")[2] != "strided":
        raise RuntimeError(f"there is no layout {layout} here: tensors are strided")


# --- from a size ----------------------------------------------------------------------------------------------------


def zeros(*dims: Any, size: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
          device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of that size."""
    check_place(device, layout)
    return made(np.zeros(as_shape("zeros", dims, size), as_dtype(dtype, out=out)), requires_grad, out)


def ones(*dims: Any, size: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
         device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of that size."""
    check_place(device, layout)
    return made(np.ones(as_shape("ones", dims, size), as_dtype(dtype, out=out)), requires_grad, out)


def empty(*dims: Any, size: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
          device: Any = None, requires_grad: bool = False) -> Tensor:
    """Memory of that size with whatever it holds."""
    check_place(device, layout)
    return made(np.empty(as_shape("empty", dims, size), as_dtype(dtype, out=out)), requires_grad, out)


def empty_strided(size: Any, stride: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
                  requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """Memory of that size with whatever it holds, neighbours along dimension i lying stride[i] elements apart."""
    check_place(device, layout)
    size, stride, dtype = as_shape("empty_strided", (size,)), as_shape("empty_strided", (stride,)), as_dtype(dtype)
    if len(size) != len(stride):
        raise RuntimeError(f"empty_strided(): {len(size)} sizes, {size}, but {len(stride)} strides, {stride}")
    count = 1 + sum((n - 1) * s for n, s in zip(size, stride)) if 0 not in size else 0
    memory = np.empty(count, dtype)
    return made(np.ndarray(size, dtype, memory, strides=[s * dtype.itemsize for s in stride]), requires_grad)


def empty_permuted(size: Any, physical_layout: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
                   requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """Memory of that size with whatever it holds, its dimensions lying in memory in the order `physical_layout`."""
    check_place(device, layout)
    size, order = as_shape("empty_permuted", (size,)), as_shape("empty_permuted", (physical_layout,))
    if sorted(order) != list(range(len(size))):
        raise RuntimeError(f"empty_permuted(): {order} is no order of the {len(size)} dimensions")
    memory = np.empty([size[d] for d in order], as_dtype(dtype))
    return made(memory.transpose(np.argsort(order)), requires_grad)


def full(size: Any, fill_value: Any, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
         device: Any = None, requires_grad: bool = False) -> Tensor:
    """`fill_value` everywhere; its Python type gives the dtype: float the default one, int int64, bool bool."""
    check_place(device, layout)
    value = _number("full", fill_value)
    dtype = as_dtype(dtype, _dtype_of(type(value)), out)
    return made(np.full(as_shape("full", (size,)), _array("full", value, dtype)), requires_grad, out)


def zeros_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the shape and, unless given, the dtype of `input`."""
    return made(np.zeros_like(_like("zeros_like", input, device), as_dtype(dtype, input.dtype)), requires_grad)


def ones_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of the shape and, unless given, the dtype of `input`."""
    return made(np.ones_like(_like("ones_like", input, device), as_dtype(dtype, input.dtype)), requires_grad)


def empty_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Memory of the shape and, unless given, the dtype of `input`, with whatever it holds."""
    return made(np.empty_like(_like("empty_like", input, device), as_dtype(dtype, input.dtype)), requires_grad)


def full_like(input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None,
              requires_grad: bool = False) -> Tensor:
    """`fill_value` everywhere, in the shape and, unless given, the dtype of `input`."""
    like = _like("full_like", input, device)
    value = _array("full_like", _number("full_like", fill_value), as_dtype(dtype, like.dtype))
    return made(np.full_like(like, value, value.dtype), requires_grad)


def new_tensor(self: Tensor, data: Any, *, dtype: Any = None, device: Any = None,
               requires_grad: bool = False) -> Tensor:
    """`tensor(data)` with the dtype of this tensor unless one is given."""
    check_device(device)
    return made(_array("new_tensor", data, as_dtype(dtype, self.dtype)), requires_grad)


def new_zeros(self: Tensor, *dims: Any, size: Any = None, dtype: Any = None, device: Any = None,
              requires_grad: bool = False) -> Tensor:
    """Zeros of that size, with the dtype of this tensor unless one is given."""
    check_device(device)
    return made(np.zeros(as_shape("new_zeros", dims, size), as_dtype(dtype, self.dtype)), requires_grad)


def new_ones(self: Tensor, *dims: Any, size: Any = None, dtype: Any = None, device: Any = None,
             requires_grad: bool = False) -> Tensor:
    """Ones of that size, with the dtype of this tensor unless one is given."""
    check_device(device)
    return made(np.ones(as_shape("new_ones", dims, size), as_dtype(dtype, self.dtype)), requires_grad)


def new_empty(self: Tensor, *dims: Any, size: Any = None, dtype: Any = None, device: Any = None,
              requires_grad: bool = False) -> Tensor:
    """Memory of that size with whatever it holds, with the dtype of this tensor unless one is given."""
    check_device(device)
    return made(np.empty(as_shape("new_empty", dims, size), as_dtype(dtype, self.dtype)), requires_grad)


def new_empty_strided(self: Tensor, size: Any, stride: Any, *, dtype: Any = None, device: Any = None,
                      requires_grad: bool = False) -> Tensor:
    """`empty_strided` with the dtype of this tensor unless one is given."""
    return empty_strided(size, stride, dtype=as_dtype(dtype, self.dtype), device=device, requires_grad=requires_grad)


def new_full(self: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None,
             requires_grad: bool = False) -> Tensor:
    """`fill_value` everywhere, with the dtype of this tensor unless one is given."""
    return full(size, fill_value, dtype=as_dtype(dtype, self.dtype), device=device, requires_grad=requires_grad)


def _like(caller: str, input: Any, device: Any) -> np.ndarray:
    check_device(device)
    if not isinstance(input, Tensor):
        raise TypeError(f"{caller}() expects a Tensor, got {type(input).__name__}")
    return input.array


def _number(caller: str, value: Any) -> Any:
    """A Python number, also from a Tensor or a NumPy scalar, whose dtype does not count."""
    value = value.item() if isinstance(value, (Tensor, np.generic, np.ndarray)) else value
    if not isinstance(value, (int, float)):
        raise TypeError(f"{caller}() expects a real number, got {type(value).__name__} {value!r:.60}")
    return value


# --- labels ----------------------------------------------------------------------------------------------------------


def _one_hot(labels, /, num_classes=-1):
    """int64 of shape (*labels.shape, num_classes): 1 at each label, 0 elsewhere. -1: as many classes as labels need."""
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be whole numbers, got {labels.dtype}: convert with .long()")
    if labels.size == 0 and num_classes < 0:
        raise ValueError("the number of classes cannot be told from no labels: pass num_classes")
    if labels.size and labels.min() < 0:
        raise ValueError(f"labels must not be negative, got {labels.min()}")
    count = int(labels.max()) + 1 if num_classes < 0 else operator.index(num_classes)
    if labels.size and labels.max() >= count:
        raise ValueError(f"labels must be below num_classes={count}, got {labels.max()}")
    hot = np.zeros((labels.size, count), dtype=np.int64)
    hot[np.arange(labels.size), labels.ravel()] = 1
    return hot.reshape(*labels.shape, count)


one_hot = Op("one_hot", _one_hot, None)
