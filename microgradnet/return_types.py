"""Results with names: tuples that print what is what, as PyTorch's do."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tensor import Tensor


class Named(tuple):
    """A tuple whose parts have names, too. It is made of a sequence of its parts."""

    names: Sequence[str] = ()

    def __init_subclass__(cls, names: str = "") -> None:
        cls.names = names.split() or cls.names
        for i, name in enumerate(cls.names):
            setattr(cls, name, property(itemgetter(i)))

    def __repr__(self) -> str:
        parts = ",\n".join(f"{name}={part!r}" for name, part in zip(self.names, self))
        return f"microgradnet.return_types.{type(self).__name__}(\n{parts})"

    def __reduce__(self) -> Any:
        return type(self), (tuple(self),)


class Indexed(Named, names="values indices"):
    """Elements chosen along a dimension, and where they were found."""

    values: Tensor
    indices: Tensor


class max(Indexed):
    """What `max` gives along a dimension."""


class min(Indexed):
    """What `min` gives along a dimension."""


class sort(Indexed):
    """What `sort` gives."""


class topk(Indexed):
    """What `topk` gives."""


class kthvalue(Indexed):
    """What `kthvalue` gives."""


class median(Indexed):
    """What `median` gives along a dimension."""


class nanmedian(Indexed):
    """What `nanmedian` gives along a dimension."""


class mode(Indexed):
    """What `mode` gives."""


class cummax(Indexed):
    """What `cummax` gives."""


class cummin(Indexed):
    """What `cummin` gives."""


class aminmax(Named, names="min max"):
    """What `aminmax` gives."""

    min: Tensor
    max: Tensor


class histogram(Named, names="hist bin_edges"):
    """What `histogram` gives."""

    hist: Tensor
    bin_edges: Tensor
