"""Nested tuples, lists and dicts with Tensors for leaves: the arguments and results of the functions of `func`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def leaves(tree: Any) -> list:
    """What is at the ends, in order."""
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in leaves(part)]
    if isinstance(tree, dict):
        return [leaf for part in tree.values() for leaf in leaves(part)]
    return [tree]


def mapped(function: Callable, tree: Any) -> Any:
    """A tree built alike, with function(leaf) for each leaf."""
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(mapped(function, part) for part in tree))
    if isinstance(tree, (list, tuple)):
        return type(tree)(mapped(function, part) for part in tree)
    if isinstance(tree, dict):
        return type(tree)((key, mapped(function, part)) for key, part in tree.items())
    return function(tree)


def rebuilt(tree: Any, new: Iterable) -> Any:
    """A tree built alike, with these leaves."""
    new = iter(new)
    return mapped(lambda _: next(new), tree)


def spread(prefix: Any, tree: Any, what: str) -> list:
    """For each leaf of tree the entry of `prefix`, a tree that may end earlier: an entry there holds for all below."""
    if isinstance(prefix, (list, tuple, dict)):
        alike = isinstance(tree, dict) if isinstance(prefix, dict) else isinstance(tree, (list, tuple))
        if not alike or len(prefix) != len(tree) or isinstance(prefix, dict) and prefix.keys() != tree.keys():
            raise ValueError(f"{what} {prefix!r} is not built like what it stands for")
        pairs = [(prefix[key], tree[key]) for key in (tree if isinstance(prefix, dict) else range(len(tree)))]
        return [entry for p, part in pairs for entry in spread(p, part, what)]
    return [prefix] * len(leaves(tree))
