"""Parameter: a tensor that a Module registers and an optimizer improves."""

from __future__ import annotations

from typing import Any

import numpy as np

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


def as_parameter(value: Any) -> Any:
    """A plain tensor as a Parameter, anything else as it is."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value
