"""Derivatives: the reverse walk, checks of it, and functions of one's own."""

from __future__ import annotations

import importlib
from typing import Any

from ..graph import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .engine import backward, grad
from .function import Function
from .gradcheck import GradcheckError, gradcheck, gradgradcheck

Variable = lambda tensor, requires_grad=False: tensor.requires_grad_() if requires_grad else tensor  # noqa: E731

__all__ = [
    "Function", "GradcheckError", "Variable", "backward", "enable_grad", "grad", "gradcheck", "gradgradcheck",
    "inference_mode", "is_grad_enabled", "no_grad", "set_grad_enabled",
]

_ROOMS = {"functional"}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
