"""Derivatives: the reverse walk, checks of it, and functions of one's own."""

from __future__ import annotations

import importlib
from typing import Any

from ..recording import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from ..tensor import Tensor
from .engine import backward, grad
from .function import Function
from .gradcheck import GradcheckError, gradcheck, gradgradcheck


class _IsTensor(type):
    def __instancecheck__(cls, obj: object) -> bool:
        return isinstance(obj, Tensor)


class Variable(metaclass=_IsTensor):
    """What a Tensor was called in old scripts: Variable(tensor) is the tensor, and every tensor is a Variable."""

    def __new__(cls, tensor: Tensor, requires_grad: bool = False) -> Any:
        return tensor.requires_grad_() if requires_grad else tensor

__all__ = [
    "Function", "GradcheckError", "Variable", "backward", "enable_grad", "grad", "gradcheck", "gradgradcheck",
    "inference_mode", "is_grad_enabled", "no_grad", "set_grad_enabled",
]

_ROOMS = {"anomaly", "functional"}
_MODES = {"debug_mode", "detect_anomaly", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "set_debug_mode",
          "set_detect_anomaly"}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _MODES:
        return getattr(importlib.import_module(f"{__name__}.anomaly"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
