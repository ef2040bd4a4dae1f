"""What a script asks about accelerators: `cuda`, `accelerator` and `backends` answer that there is none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def _no(*_: Any) -> bool:
    return False


def _none(*_: Any, **__: Any) -> None:
    """Nothing to do."""


def _no_count() -> int:
    return 0


cuda = SimpleNamespace(
    is_available=_no, is_initialized=_no, is_bf16_supported=_no, device_count=_no_count, empty_cache=_none,
    synchronize=_none, manual_seed=_none, manual_seed_all=_none,
)  # fmt: skip
accelerator = SimpleNamespace(
    is_available=_no, device_count=_no_count, current_accelerator=_none, synchronize=_none,
)  # fmt: skip
# Switches that may be set, and change nothing.
backends = SimpleNamespace(
    mps=SimpleNamespace(is_available=_no, is_built=_no),
    cuda=SimpleNamespace(is_built=_no, matmul=SimpleNamespace(allow_tf32=False)),
    cudnn=SimpleNamespace(is_available=_no, enabled=False, deterministic=True, benchmark=False, allow_tf32=False),
    mkldnn=SimpleNamespace(is_available=_no),
)  # fmt: skip
