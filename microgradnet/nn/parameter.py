"""Parameter: a tensor that a Module registers and an optimizer improves."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import check_device, get_default_dtype
from ..recording import setting
from ..tensor import Tensor

# What a registered attribute of a Module is. A transient buffer is one that the state_dict leaves out.
PARAMETER, BUFFER, TRANSIENT, MODULE = "parameter", "buffer", "transient buffer", "module"


class Parameter(Tensor):
    """A leaf tensor that requires grad by default; as an attribute of a Module it is one of its `parameters()`.

    data: a Tensor or an ndarray, whose memory it shares; None for an empty one.
    """

    def __init__(self, data: Tensor | np.ndarray | None = None, requires_grad: bool = True) -> None:
        if data is None:
            data = np.empty(0, np.float32)
        if not isinstance(data, (Tensor, np.ndarray)):
            raise TypeError(f"Parameter() expects a Tensor or an ndarray, got {type(data).__name__}; use tensor()")
        super().__init__(data)
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that as an attribute of a Module is one of its `buffers()`: part of its state, but not learnt.

    persistent: whether the state_dict has it. data: as of `Parameter`.
    """

    def __init__(self, data: Tensor | np.ndarray | None = None, *, persistent: bool = True) -> None:
        super().__init__(np.empty(0, np.float32) if data is None else data)
        self.persistent = persistent


class Uninitialized(Tensor):
    """A tensor whose shape is not known yet; see `nn.lazy`. It has no elements, and tells no shape."""

    _becomes: type = Tensor

    def __init__(self, *, dtype: Any = None) -> None:
        super().__init__(np.empty(0, get_default_dtype() if dtype is None else dtype))

    @property
    def shape(self) -> Any:
        """An error: it is not known yet."""
        raise RuntimeError("the shape of an uninitialized parameter or buffer is not known yet: call the module, whose "
                           "first input decides it")

    def materialize(self, shape: tuple[int, ...], device: Any = None, dtype: Any = None) -> None:
        """Become an ordinary tensor of this shape, with nothing in particular in it."""
        check_device(device)
        self._data = np.empty(shape, self._data.dtype if dtype is None else dtype)
        self.__class__ = self._becomes
        setting()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(Uninitialized, Parameter):
    """A Parameter whose shape is not known yet."""

    _becomes = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        check_device(device)
        super().__init__(dtype=dtype)
        self.requires_grad_(requires_grad)


class UninitializedBuffer(Uninitialized):
    """A buffer whose shape is not known yet."""

    _becomes = Buffer

    def __init__(self, requires_grad: bool = False, device: Any = None, dtype: Any = None,
                 persistent: bool = True) -> None:
        check_device(device)
        super().__init__(dtype=dtype)
        self.requires_grad_(requires_grad)
        self.persistent = persistent


def as_parameter(value: Any) -> Any:
    """A plain tensor as a Parameter, anything else as it is."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value
