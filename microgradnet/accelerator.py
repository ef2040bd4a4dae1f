"""`torch.accelerator` for scripts that ask before they use one: there is none, the CPU computes."""

from __future__ import annotations

from typing import Any


def is_available() -> bool:
    """False."""
    return False


def current_accelerator(check_available: bool = False) -> None:
    """None."""


def device_count() -> int:
    """0"""
    return 0


def synchronize(device: Any = None) -> None:
    """An error: there is nothing to wait for."""
    raise RuntimeError("there is no accelerator to synchronize with: microgradnet computes on the CPU")
