"""Refusals: what a function may not do while it is recorded, for no program could repeat it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..callers import here
from ..errors import CompileError

if TYPE_CHECKING:
    from .capture import Recorder


def cannot(why: str) -> CompileError:
    """The error for what a program could not repeat, with the line of the user's that does it."""
    return CompileError(f"compile(): {why}\n  {here()}")


def listens(method: Callable) -> Callable:
    """A method or function by which a Recorder hears: of nothing any more, once the function that runs has done what no
    program could repeat."""

    @functools.wraps(method)
    def listening(recorder: Recorder, *args: Any) -> None:
        if recorder.error is None:
            try:
                method(recorder, *args)
            except CompileError as error:
                recorder.fail(error)

    return listening
