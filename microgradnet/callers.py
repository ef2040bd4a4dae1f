"""The user's line: where in the program that uses the package something is being done, and warnings that name it."""

from __future__ import annotations

import linecache
import os
import sys
import warnings
from typing import Any, NamedTuple

_PASSED_OVER = (os.path.dirname(os.path.abspath(__file__)) + os.sep, "<frozen importlib")  # the package, and `import`


class Source(NamedTuple):
    """A line of the program."""

    file: str
    line: int

    def __str__(self) -> str:
        code = linecache.getline(self.file, self.line).strip()
        return f"{self.file}:{self.line}" + (f": {code}" if code else "")


def here() -> Source:
    """The innermost line outside of this package that is being run."""
    frame = _frame()
    return Source(frame.f_code.co_filename, frame.f_lineno)


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """`warnings.warn` at the user's line, through however many functions of the package the call has come."""
    frame = _frame()
    names = frame.f_globals
    warnings.warn_explicit(text, category, frame.f_code.co_filename, frame.f_lineno, names.get("__name__", "<unknown>"),
                           names.setdefault("__warningregistry__", {}))


def _frame() -> Any:
    frame: Any = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PASSED_OVER):
        frame = frame.f_back
    return frame
