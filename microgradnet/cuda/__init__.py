"""`torch.cuda` for scripts that ask before they use it: there is no such device."""

from __future__ import annotations

from typing import Any

from ..dtypes import check_device
from . import amp as amp


def is_available() -> bool:
    """False."""
    return False


def is_initialized() -> bool:
    """False."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False."""
    return False


def device_count() -> int:
    """0"""
    return 0


def manual_seed(seed: int) -> None:
    """Accepted, for the device that is not there."""


def manual_seed_all(seed: int) -> None:
    """Accepted, for the devices that are not there."""


def empty_cache() -> None:
    """Nothing is cached."""


def memory_allocated(device: Any = None) -> int:
    """0 bytes."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def reset_peak_memory_stats(device: Any = None) -> None:
    """Accepted: there are none."""


def _absent(*_: Any, **__: Any) -> Any:
    """A RuntimeError: there is no such device."""
    check_device("cuda")


current_device = synchronize = set_device = get_device_name = get_device_properties = get_device_capability = _absent
