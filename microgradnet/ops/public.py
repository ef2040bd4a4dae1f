"""What a family file offers to users: every operation and function it defines, but for helpers of its neighbours."""

from __future__ import annotations

import inspect
from typing import Any

from ..graph import Op


def public(file: dict[str, Any], *helpers: str) -> list[str]:
    """The `__all__` of a family file, from its globals(): an entry there is all that a new operation needs.

    Left out are names that begin with `_`, primitives behind a function (they end in `_op`), and the `helpers`.
    """
    return [
        name
        for name, value in file.items()
        if (isinstance(value, Op) or inspect.isfunction(value))
        and value.__module__ == file["__name__"]
        and not (name.startswith("_") or name.endswith("_op") or name in helpers)
    ]


def is_method(function: Any) -> bool:
    """Whether a function of a family is a method of its first argument, too: it has one tensor there."""
    if isinstance(function, Op):
        return 0 < function.arity < 1_000_000
    return next(iter(inspect.signature(function).parameters), "") in ("input", "self", "tensor")
