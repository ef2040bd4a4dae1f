"""What a family file offers to users: every operation and function it defines, but for helpers of its neighbours."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ..graph import NUMPY_NAMES, Op, in_own_names


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
    code = inspect.unwrap(function).__code__  # not its signature, which takes 25 µs: there are hundreds of functions
    return code.co_varnames[: code.co_argcount][:1] in (("input",), ("self",), ("tensor",))


def numpy_names(function: Callable) -> Callable:
    """Let a function take NumPy's `axis` and `keepdims` for `dim` and `keepdim`, as PyTorch does, and every `Op`."""

    @functools.wraps(function)
    def renaming(*args: Any, **params: Any) -> Any:
        if params and not NUMPY_NAMES.keys().isdisjoint(params):
            params = in_own_names(params)
        return function(*args, **params)

    return renaming
