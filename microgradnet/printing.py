"""How a tensor prints: as PyTorch prints it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .dtypes import get_default_dtype
from .tensor import Tensor

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}
_options: dict[str, Any] = {**_PROFILES["default"], "sci_mode": None}


def set_printoptions(precision: int | None = None, threshold: float | None = None, edgeitems: int | None = None,
                     linewidth: int | None = None, profile: str | None = None, sci_mode: bool | None = None) -> None:
    """Set how tensors print; what is None stays as it is, but for `sci_mode`.

    precision: digits after the point.
    threshold: tensors with more elements are summarised, with `edgeitems` at both ends of each dimension.
    linewidth: characters in a line.
    profile: "default", "short" or "full", which the other arguments then modify.
    sci_mode: scientific notation always or never; None: where the values ask for it.
    """
    numbers = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    given = {name: value for name, value in numbers.items() if value is not None}
    for name, value in given.items():
        if not (isinstance(value, int) or name == "threshold") or not value >= 0:
            raise ValueError(f"set_printoptions(): {name} must be a whole number from 0 up, got {value!r}")
    if profile is not None and profile not in _PROFILES:
        raise ValueError(f"set_printoptions(): profile must be one of {', '.join(_PROFILES)}, got {profile!r}")
    _options.update((_PROFILES[profile] if profile else {}) | given, sci_mode=sci_mode)


def get_printoptions() -> dict[str, Any]:
    """The options in force, as `set_printoptions` takes them."""
    return dict(_options)


def tensor_repr(tensor: Tensor) -> str:
    """`tensor(values, what else there is to know)`."""
    opening = "tensor("
    text = opening + (_values(tensor.array, len(opening)) if tensor.numel() else "[]")
    length = len(text) - text.rfind("\n") + 1  # of the last line, and two more, as PyTorch counts
    for note in _notes(tensor):
        if length + len(note) + 2 <= _options["linewidth"]:
            text += ", " + note
            length += len(note) + 2
        else:
            text += ",\n" + " " * len(opening) + note
            length = len(opening) + len(note)
    return text + ")"


def _notes(tensor: Tensor) -> list[str]:
    """What does not show in the values."""
    notes = []
    if tensor.ndim != 1 if tensor.numel() == 0 else _options["edgeitems"] == 0:
        notes.append(f"size={tuple(tensor.shape)}")
    evident = [get_default_dtype()] if tensor.numel() == 0 else [get_default_dtype(), np.int64, np.bool_]
    if tensor.dtype not in evident:
        notes.append(f"dtype=microgradnet.{tensor.dtype}")
    if tensor.grad_fn is not None:
        notes.append(f"grad_fn=<{tensor.grad_fn.name()}>")
    elif tensor.requires_grad:
        notes.append("requires_grad=True")
    return notes


def _values(array: np.ndarray, indent: int) -> str:
    edge = _options["edgeitems"] if array.size > _options["threshold"] else array.size
    shown = array
    for axis in range(array.ndim):
        shown = _ends(shown, edge, axis)
    return _nested(array, indent, edge, _Format(shown))


def _ends(array: np.ndarray, edge: int, axis: int) -> np.ndarray:
    """The first and last `edge` items along an axis."""
    n = array.shape[axis]
    return array.take([*range(edge), *range(n - edge, n)], axis) if n > 2 * edge else array


def _nested(array: np.ndarray, indent: int, edge: int, number: _Format) -> str:
    """The array in brackets. `indent` is where it begins on its line, `edge` how many items to show at both ends."""
    if array.ndim == 0:
        return number(array.item())
    gap, shown = len(array) > 2 * edge, _ends(array, edge, 0)
    if array.ndim > 1:
        items = [_nested(part, indent + 1, edge, number) for part in shown]
        if gap:
            items.insert(edge, "...")
        return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(items) + "]"
    items = [number(value) for value in shown.tolist()]
    if gap:
        items.insert(edge, " ..." if edge else "...")
    per_line = max(1, (_options["linewidth"] - indent) // (number.width + 2))
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


class _Format:
    """One form and width for all numbers of a tensor: whole, fixed point or scientific, whichever shows them best."""

    def __init__(self, shown: np.ndarray) -> None:
        self.width = 1
        self.form = "{}"
        self.point = ""
        values = shown.ravel()
        if shown.dtype.kind == "f":
            values = values[np.isfinite(values) & (values != 0)]
            self._choose(np.abs(values).astype(np.float64))
        if len(values):
            self.width = max(len(self._text(value)) for value in values.tolist())

    def _choose(self, sizes: np.ndarray) -> None:
        """The form for numbers of these absolute values, all finite and none zero."""
        whole, scientific = bool((sizes == np.ceil(sizes)).all()), _options["sci_mode"]
        if len(sizes) == 0:
            scientific = False
        elif scientific is None:
            least, most = float(sizes.min()), float(sizes.max())
            scientific = most / least > 1000 or most > 1e8 or least < 1e-4
        if scientific:
            self.form = f"{{:.{_options['precision']}e}}"
        elif whole:
            self.form, self.point = "{:.0f}", "."
        else:
            self.form = f"{{:.{_options['precision']}f}}"

    def _text(self, value: Any) -> str:
        text = self.form.format(value)
        return text + self.point if self.point and math.isfinite(value) else text

    def __call__(self, value: Any) -> str:
        return self._text(value).rjust(self.width)
