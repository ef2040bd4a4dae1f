"""Words of a drawing: values, metadata and names as short lines of text, safe within a DOT string."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..graph import Spec
from ..ops.index import Slot

LONGEST = 48  # characters in a line
PLAIN = (bool, int, float, str, slice, np.dtype, np.ndarray, Slot, type(None), type(...))  # said in a few characters


def shape(value: Any) -> str:
    """The shape of an array, or of each of a tuple of them: '(10, 30)'."""
    if isinstance(value, tuple):
        return shorten(", ".join(shape(part) for part in value))
    return str(tuple(value.shape))


def elements(value: np.ndarray) -> str:
    """A few of the elements, to three digits: '1.23', '[1.2, 3.4, 0.5, …]', '[[1, 2, 3, …], …]'."""
    if value.ndim == 0:
        return number(value.item(), digits=3)
    few = len(value) if value.size <= 6 else 3 if value.ndim == 1 else 1
    parts = [elements(part) for part in map(np.asarray, value[:few])]
    return f"[{', '.join(parts + ['…'] * (len(value) > few))}]"


def summary(array: np.ndarray) -> str:
    """Mean and range, 'mean 0.12, −1.3 … 2'; a number alone as it is."""
    if array.size == 1:
        return elements(array.reshape(()))
    if not array.size:
        return "no elements"
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        return f"{array.size - np.count_nonzero(finite)} of {array.size:,} not finite"
    numbers = array.mean(dtype=np.float64), array.min(), array.max()
    mean, low, high = (f"{float(x):.3g}".replace("-", "−") for x in numbers)
    return f"mean {mean}, {low} … {high}"


def number(value: Any, digits: int = 6) -> str:
    """A Python number."""
    return f"{value:.{digits}g}" if isinstance(value, float) else shorten(str(value))


def constant(value: Any) -> str:
    """An argument that is no tensor: a number, the shape of an array, or the type of anything else."""
    if isinstance(value, Spec):
        return "constant"  # a number too, once, that backward has freed
    if isinstance(value, (np.ndarray, np.generic)):
        return number(value.item()) if value.ndim == 0 else f"array {shape(value)}"
    return _plain(value) if _is_plain(value) else type(value).__name__


def metadata(params: dict[str, Any]) -> list[str]:
    """The parameters of an operation that say something in a few characters: 'dim=1', 'keepdim', '[0:3, 1]'."""
    said = []
    for name, value in params.items():
        if value is True:
            said.append(name)
        elif value is None or value is False or not _is_plain(value):
            continue
        elif name == "index" and isinstance(value, tuple):
            said.append(f"[{', '.join(map(_entry, value))}]")
        else:
            said.append(f"{name}={_plain(value)}")
    return [shorten(", ".join(said))] if said else []


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, value))
    return isinstance(value, PLAIN)


def _plain(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_plain, value))})"
    return number(value) if isinstance(value, float) else _entry(value)


def _entry(index: Any) -> str:
    """One entry of an index as it is written between brackets; a tensor is a dot, for it is drawn as an argument."""
    if isinstance(index, slice):
        ends = ["" if k is None else str(k) for k in (index.start, index.stop, index.step)]
        return ":".join(ends if ends[2] else ends[:2])
    if isinstance(index, np.ndarray):
        return f"array{index.shape}"
    return "·" if isinstance(index, Slot) else "…" if index is Ellipsis else str(index)


def shorten(text: str) -> str:
    """The text, its middle left out where it is too long for a line."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 13]}…{text[-12:]}"


def quoted(lines: Iterable[str]) -> Any:
    """The lines as one DOT string that shows exactly their characters, whatever these mean to Graphviz or in SVG."""
    from graphviz import nohtml

    return nohtml("\\n".join(map(_escaped, lines)))


def _escaped(text: str) -> str:
    # What does not print (newlines, controls, marks that turn the writing round) is spelled out. '&' begins an entity.
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return visible.replace("\\", "\\\\").replace("&", "&amp;")
