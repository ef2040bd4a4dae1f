"""Errors that are of PyTorch's kind and of NumPy's or Python's, so that scripts written for either catch them."""

from __future__ import annotations

import numpy as np


class ShapeError(RuntimeError, ValueError):
    """Operands that do not fit: a RuntimeError as in PyTorch and a ValueError as in NumPy."""


class LinAlgError(RuntimeError, np.linalg.LinAlgError):
    """A matrix that has no such inverse or factor."""


class DtypeError(RuntimeError, TypeError):
    """Operands of a kind the operation does not take: a RuntimeError as in PyTorch and a TypeError as in NumPy."""


class DivisionByZero(RuntimeError, ZeroDivisionError):
    """A whole number divided by 0: a RuntimeError as in PyTorch."""


class CompileError(RuntimeError):
    """What cannot be compiled, or printed as a program."""
