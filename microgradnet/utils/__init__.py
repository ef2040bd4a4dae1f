"""Tools around training: the loading of data; checkpoints, which trade time for memory."""

from __future__ import annotations

import importlib
from typing import Any

from . import data

__all__ = ["checkpoint", "data"]


def __getattr__(name: str) -> Any:
    if name == "checkpoint":
        return importlib.import_module(f"{__name__}.checkpoint")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
