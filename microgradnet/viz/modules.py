"""What a notebook shows of a Module: its modules in a table, with their parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..nn.parameter import Uninitialized
from .markup import paragraph, styled, table

if TYPE_CHECKING:
    from ..nn.module import Module

MOST_ROWS = 60


def shown(module: Module) -> str:
    """The modules with their names, what they are, the shapes of their own parameters, and how many numbers that is."""
    rows = list(_rows(module))
    total = sum(p.numel() for p in module.parameters() if not isinstance(p, Uninitialized))
    learnt = sum(p.numel() for p in module.parameters() if p.requires_grad and not isinstance(p, Uninitialized))
    parts = [table(["name", "module", "parameters", "numbers"], rows[:MOST_ROWS])]
    if len(rows) > MOST_ROWS:
        parts.append(paragraph(f"… and {len(rows) - MOST_ROWS} modules more."))
    apart = "" if learnt == total else f", of which {learnt:,} require grad"
    mode = "training" if module.training else "eval"
    return styled(*parts, paragraph(f"{total:,} parameters{apart}; in {mode} mode."))


def _rows(module: Module) -> Iterator[list[str]]:
    for name, part in module.named_modules():
        own = dict(part.named_parameters(recurse=False))
        known = {n: p for n, p in own.items() if not isinstance(p, Uninitialized)}
        shapes = ", ".join(f"{n} {tuple(p.shape)}" if n in known else f"{n} (not yet known)" for n, p in own.items())
        extra = " ".join(part.extra_repr().split())
        count = sum(p.numel() for p in known.values())
        kind = part._get_name() + (f"({extra})" if extra else "")
        yield [name, kind, shapes, f"{count:,}" if count else ""]
