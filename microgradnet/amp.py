"""Mixed precision, switched off: a script that asks for it runs in the precision of its tensors.

As in PyTorch without CUDA, asking for CUDA's warns once per object and does nothing. On the CPU it is an error.
"""

from __future__ import annotations

import contextlib
from typing import Any

from .callers import warn


def _warn(what: str) -> None:
    warn(f"{what} is for CUDA, which is not available: disabled")


class autocast(contextlib.ContextDecorator):
    """A context manager and decorator without effect; RuntimeError where it would have to compute in bfloat16."""

    def __init__(self, device_type: str, dtype: Any = None, enabled: bool = True,
                 cache_enabled: bool | None = None) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"autocast(): device_type is a string such as 'cpu', got {type(device_type).__name__}")
        if enabled and device_type != "cuda":
            raise RuntimeError(f"autocast({device_type!r}) would compute in half precision, which microgradnet "
                               "does not do by itself: pass enabled=False, or leave it out")
        if enabled:
            _warn("autocast")
        self.device = device_type

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *_: Any) -> None:
        pass


class GradScaler:
    """Scales nothing: `step` is the optimizer's step."""

    def __init__(self, device: str = "cuda", init_scale: float = 2.0**16, growth_factor: float = 2.0,
                 backoff_factor: float = 0.5, growth_interval: int = 2000, enabled: bool = True) -> None:
        if enabled and device != "cuda":
            raise RuntimeError("GradScaler scales for half precision, which microgradnet does not compute in by "
                               "itself: pass enabled=False, or leave it out")
        if enabled:
            _warn("GradScaler")

    def is_enabled(self) -> bool:
        """False."""
        return False

    def scale(self, outputs: Any) -> Any:
        """The outputs as they are."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Nothing was scaled."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """The optimizer's step."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """There is no scale to update."""

    def get_scale(self) -> float:
        """1.0"""
        return 1.0

    def state_dict(self) -> dict[str, Any]:
        """Empty."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Accepted: there is no state."""
