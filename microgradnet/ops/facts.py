"""What a tensor says about itself and where it lives: the CPU, dense, in memory of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Tensor
from .public import public


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is a floating one."""
    return input.dtype.kind == "f"


def is_complex(input: Tensor) -> bool:
    """False: complex tensors are out of scope."""
    return False


def is_conj(input: Tensor) -> bool:
    """False: complex tensors are out of scope."""
    return False


def is_neg(input: Tensor) -> bool:
    """False: a negation is computed at once."""
    return False


def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers."""
    return input.dtype.kind in "fi"


def is_inference(input: Tensor) -> bool:
    """Whether it was made in `inference_mode`."""
    return input._inference


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero."""
    if input.numel() != 1:
        raise RuntimeError(f"is_nonzero(): the truth of a tensor of {input.numel()} elements is ambiguous; use any()")
    return bool(input.item())


def get_device(input: Tensor) -> int:
    """-1, the number of the CPU."""
    return -1


__all__ = public(globals())


def _always(value: Any, doc: str) -> property:
    return property(lambda self: value, doc=doc)


def _itself(self: Tensor, *_: Any) -> Tensor:
    """The tensor itself."""
    return self


def _no(self: Tensor, *_: Any) -> bool:
    """False."""
    return False


def storage_offset(self: Tensor) -> int:
    """Elements from the beginning of the memory to the first element."""
    from ..graph import owner

    memory = owner(self.array)
    start = memory.__array_interface__["data"][0] if isinstance(memory, np.ndarray) else None
    return 0 if start is None else (self.array.__array_interface__["data"][0] - start) // self.itemsize


METHODS: dict[str, Any] = {
    **dict.fromkeys(("is_cuda", "is_mps", "is_meta", "is_sparse", "is_sparse_csr", "is_quantized", "is_mkldnn",
                     "is_nested", "is_xpu", "is_xla", "is_ipu", "is_vulkan"), _always(False, "False.")),
    "is_cpu": _always(True, "True."),
    "layout": _always("strided", "The one layout there is."),
    "nbytes": property(lambda self: self.array.nbytes, doc="Bytes of all elements."),
    "output_nr": property(lambda self: 0, doc="Which output of its operation it is: an operation has one."),
    "ndimension": Tensor.dim,
    "pin_memory": _itself, "share_memory_": _itself, "is_pinned": _no, "is_shared": _no,
    "storage_offset": storage_offset,
}  # fmt: skip
