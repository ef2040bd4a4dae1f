"""Tensor: an array, its gradient, and the node that made it.

The operators and the methods that are operations come from the table; `microgradnet.ops` hangs them on this class.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .callers import warn
from .recording import setting

if TYPE_CHECKING:
    from .graph import Node

__all__ = ["Size", "Tensor", "from_numpy"]  # what the package shows of it


class Size(tuple):
    """A shape: a tuple that also knows its number of elements."""

    __slots__ = ()

    def numel(self) -> int:
        """The product of the dimensions."""
        count = 1
        for n in self:
            count *= n
        return count

    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Size:  # self + other
        return Size(tuple.__add__(self, tuple(other)))

    def __mul__(self, times: Any) -> Size:  # self * times
        return Size(tuple.__mul__(self, times))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"microgradnet.Size({list(self)})"


class Tensor:
    """An n-dimensional array that can remember how it was computed.

    `Tensor(ndarray)` shares the array's memory; `Tensor(2, 3)` is uninitialised float32 of that shape, and
    `Tensor([1., 2.])` float32, as in PyTorch. `microgradnet.tensor` infers the dtype and copies.
    """

    # What every operation touches is in slots; what few tensors have is a class attribute until set.
    __slots__ = ("_data", "node", "_requires_grad", "_grad", "_base", "_inference", "__dict__", "__weakref__")

    name: str | None = None  # shown in drawings and messages
    _hooks: dict[int, Callable] | None = None
    _retains = False
    # A view knows in `_base` the tensor whose memory it shows, and here when its own node was last true to it.
    _fresh = 0
    _rebased = 0  # of a base: when a recorded write last gave it a new node
    __array_priority__ = 1000

    def __init__(self, *data: Any) -> None:
        if len(data) == 1 and isinstance(data[0], np.ndarray):
            array = checked(data[0])
        elif len(data) == 1 and isinstance(data[0], Tensor):
            array = data[0].array
        elif len(data) == 1 and not isinstance(data[0], int):
            array = np.array(data[0], dtype=np.float32)
        else:
            array = np.empty(data if data else (0,), dtype=np.float32)
        self._set(array)

    def _set(self, data: Any, node: Node | None = None, requires_grad: bool = False) -> Tensor:
        """Fill the slots; for tensors made without __init__."""
        self._data: Any = data
        self.node = node  # what made it; None for a leaf
        self._requires_grad = requires_grad
        self._grad: Tensor | None = None
        self._base: Tensor | None = None
        self._inference = False
        return self

    # --- what it is -------------------------------------------------------------------------------------------------

    @property
    def array(self) -> np.ndarray:
        """The ndarray itself, shared, for reading; write through the in-place operations, which keep the graph safe."""
        # A fresh 0-d result is kept as the NumPy scalar that was computed until someone needs memory to look at:
        # arithmetic on scalars is several times faster than on 0-d arrays.
        if type(self._data) is not np.ndarray:
            self._data = np.asarray(self._data)
        return self._data

    @property
    def shape(self) -> Size:
        """The dimensions."""
        return Size(self._data.shape)

    @property
    def dtype(self) -> np.dtype:
        """The NumPy dtype; `microgradnet.float32` and the like are these."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._data.ndim

    def dim(self) -> int:
        """The number of dimensions."""
        return self._data.ndim

    def size(self, dim: int | None = None) -> Any:
        """The shape, or its entry `dim`."""
        return self.shape if dim is None else self._data.shape[dim]

    def numel(self) -> int:
        """The number of elements."""
        return self._data.size

    nelement = numel

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self._data.dtype.itemsize

    def element_size(self) -> int:
        """Bytes per element."""
        return self._data.dtype.itemsize

    @property
    def device(self) -> Any:
        """Always the CPU."""
        from .dtypes import device

        return device("cpu")

    def is_contiguous(self) -> bool:
        """Whether the elements lie in memory in row-major order."""
        return self.array.flags.c_contiguous

    @property
    def is_leaf(self) -> bool:
        """Whether nothing recorded made it."""
        return not self.requires_grad or self.node is None

    @property
    def _version(self) -> int:
        """When its memory was last written in place, by the clock of the graph; 0 for never."""
        from .graph import version

        return version(self.array)

    # --- gradients --------------------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether operations on it are recorded and backward() computes a gradient for it."""
        if self._base is not None:
            self._refresh()
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Switch recording for this leaf on or off, in place."""
        if requires_grad and self._data.dtype.kind != "f":
            raise RuntimeError(
                f"only tensors of floating point dtype can require gradients, got {self.dtype}: convert with .float()"
            )
        if not requires_grad and not self.is_leaf:
            raise RuntimeError(
                "requires_grad can be switched off for leaf tensors only; use detach() for a result that does not track"
            )
        if requires_grad and self._inference:
            raise RuntimeError("requires_grad cannot be set on a tensor made in inference_mode; clone() it outside")
        if requires_grad and not self._requires_grad:
            self.node = None  # a captured result becomes a leaf
        self._requires_grad = bool(requires_grad)
        setting()
        return self

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward() accumulated here, a Tensor of the same shape and dtype, or None."""
        if self._grad is None and self.node is not None and self._requires_grad and not self._retains:
            warn("the .grad of a tensor that is not a leaf is not kept, it is None; call retain_grad() before backward")
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad must be a Tensor or None, got {type(value).__name__}")
            if value is self:
                raise RuntimeError("a tensor cannot be its own grad")
            if value.shape != self.shape or value.dtype != self.dtype:
                raise RuntimeError(f"grad {describe(value)} does not fit its tensor {describe(self)}")
        self._grad = value

    @property
    def grad_fn(self) -> Node | None:
        """The node that made it, if a gradient flows through it."""
        if self._base is not None:
            self._refresh()
        return self.node if self._requires_grad else None

    # `autograd.engine`, which stands above this file, hangs these three here.
    backward: Callable[..., None]
    retain_grad: Callable[[], None]
    register_hook: Callable[..., Any]

    @property
    def retains_grad(self) -> bool:
        """Whether retain_grad() was called."""
        return self._retains

    def detach(self) -> Tensor:
        """The same memory, cut off from the graph. Writes through either are seen by the version check of both."""
        out = Tensor(self.array)
        out._inference = self._inference
        return out

    def detach_(self) -> Tensor:
        """Cut this tensor off from the graph."""
        if self._base is not None:
            raise RuntimeError("detach_() cannot cut off a view of another tensor; use detach()")
        self.node, self._requires_grad, self._retains = None, False, False
        setting()
        return self

    @property
    def data(self) -> Tensor:
        """The same memory without history, as `detach()` gives it."""
        return Tensor(self.array)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data must be a Tensor, got {type(value).__name__}")
        if self.requires_grad and not value.is_floating_point():
            raise RuntimeError(f"data of a tensor that requires grad must be of floating dtype, got {describe(value)}")
        self._data, self._base = value.array, None
        setting()

    def _refresh(self) -> None:
        """Bring a view's node up to date after a recorded write into the memory it shows."""
        if self._base is not None and self._base._rebased > self._fresh:
            from .ops.inplace import regrow

            regrow(self, self._base)

    # --- the values, for Python and NumPy ---------------------------------------------------------------------------

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The ndarray, shared."""
        if self.requires_grad and not force:
            raise RuntimeError("numpy() would lose the gradient of a tensor that requires grad; use detach().numpy()")
        return self.array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:  # np.asarray(self)
        if self.requires_grad:
            raise RuntimeError(
                "a tensor that requires grad cannot become an ndarray silently; use tensor.detach().numpy()"
            )
        return np.array(self.array, dtype=dtype, copy=copy)

    def item(self) -> Any:
        """The one element, as a Python number."""
        if self._data.size != 1:
            # PyTorch's item() raises the one, its float() and int() the other; graph.ShapeError is both.
            from .graph import ShapeError

            raise ShapeError(f"a tensor of {self._data.size} elements cannot become a Python number {describe(self)}")
        return self._data.item()

    def tolist(self) -> Any:
        """Nested Python lists, or a number for shape ()."""
        return self.array.tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self._data.dtype.kind not in "iub" or self._data.size != 1:
            raise TypeError(f"only whole-number tensors of one element can be an index, got {describe(self)}")
        return int(self.item())

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise RuntimeError(
                f"the truth of a tensor of {self._data.size} elements is ambiguous {describe(self)}; use any() or all()"
            )
        return bool(self._data.item())

    def __len__(self) -> int:
        if self._data.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self._data.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self._data.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, value: Any) -> bool:  # value in self
        if isinstance(value, Tensor):
            value = value.array
        elif not isinstance(value, (int, float, np.ndarray, np.generic)):
            raise TypeError(f"`in` looks for a number or a Tensor among the elements, got {type(value).__name__}")
        return bool((self.array == value).any())

    __hash__ = object.__hash__  # by identity, although == is elementwise

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self._data.ndim == 0 else object.__format__(self, spec)

    def __round__(self, digits: int = 0) -> Tensor:  # round(self, digits)
        return self.round(decimals=digits)

    def __repr__(self) -> str:
        from .printing import tensor_repr

        return tensor_repr(self)

    def __deepcopy__(self, memo: dict) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                "only leaf tensors support deepcopy: this one was computed; use tensor.detach().clone()"
            )
        out = type(self).__new__(type(self))
        memo[id(self)] = out
        out._set(self._data.copy(), requires_grad=self._requires_grad)
        out.__dict__.update(copy.deepcopy(self._attributes(), memo))
        if self._grad is not None:
            out._grad = self._grad.__deepcopy__(memo)
        return out

    def __reduce_ex__(self, protocol: Any) -> tuple:
        if not self.is_leaf:
            raise RuntimeError("only leaf tensors can be pickled: this one was computed; use tensor.detach()")
        return _unpickle, (type(self), self.array, self._requires_grad), self._attributes()

    def _attributes(self) -> dict:
        """What a copy takes over of the instance's own attributes: not its place in a graph, and no hooks."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_fresh", "_rebased", "_hooks", "_retains")}

    # --- NumPy's protocols: a fence derived from the table -----------------------------------------------------------

    def __array_ufunc__(self, ufunc: Callable, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from .ops.fence import through_ufunc

        return through_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Callable, types: Any, args: tuple, kwargs: dict) -> Any:
        from .ops.fence import through_function

        return through_function(function, args, kwargs)


def _unpickle(cls: type, array: np.ndarray, requires_grad: bool) -> Tensor:
    return cls.__new__(cls)._set(checked(array), requires_grad=requires_grad)


def checked(array: np.ndarray) -> np.ndarray:
    """The array, as a plain one, if its dtype is one that a Tensor holds."""
    if type(array) is not np.ndarray:
        array = np.asarray(array)  # a np.matrix would multiply as one
    if array.dtype.kind not in "fiub":
        way = "complex tensors are out of scope" if array.dtype.kind == "c" else "convert to numbers first"
        raise TypeError(f"a Tensor holds floats, whole numbers and booleans, not an array of {array.dtype}: {way}")
    if array.dtype.itemsize == 2:
        from . import graph

        graph.narrow_used = True
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def describe(value: Any) -> str:
    """An operand for an error message: 'weight (30, 784) float32'."""
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        name = getattr(value, "name", None)
        return f"{name + ' ' if name else ''}{tuple(value.shape)} {value.dtype}"
    if isinstance(value, (list, tuple)) and len(value) > 8:
        return f"{type(value).__name__} of {len(value)}"
    return repr(value)


def from_numpy(array: np.ndarray) -> Tensor:
    """A Tensor that shares the array's memory and dtype."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy() expects an ndarray, got {type(array).__name__}; use tensor() for other data")
    return Tensor(array)
