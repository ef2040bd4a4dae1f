"""Dropout in its forms: elements or whole channels set to 0, or to what keeps mean and variance, in training only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..callers import warn
from ..graph import Op, ShapeError
from ..ops.inplace import in_place
from ..random import Generator, numpy_generator
from ..tensor import Tensor, describe
from .module import Module


def _draw_mask(x, /, p, generator):
    kept = numpy_generator(generator).random(x.shape, np.float32) >= p
    return kept * x.dtype.type(1 / (1 - p) if p < 1 else 0)


_dropout_mask = Op("dropout_mask", _draw_mask, doc="0 with probability p, else 1 / (1 - p), in x's shape and dtype.")


def _check_probability(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _dropped(input: Tensor, p: float, generator: Generator | None, by_channel: bool = False) -> Tensor:
    return input * _dropout_mask(_one_a_channel(input) if by_channel else input, p=p, generator=generator)


def _one_a_channel(input: Tensor) -> Tensor:
    """An element for each channel of (N, C, …), to draw a mask from its shape."""
    if input.ndim < 2:
        raise ShapeError(f"dropout of channels requires at least 2 dimensions, (N, C, …), got {describe(input)}")
    return input[(slice(None), slice(None), *(slice(0, 1),) * (input.ndim - 2))]


_ALPHA = -1.7580993408473766  # where selu ends on the left: -scale · alpha


def _alpha_dropped(input: Tensor, p: float, generator: Generator | None, by_channel: bool = False) -> Tensor:
    """Dropped elements become α, and a x + b brings mean 0 and variance 1 back (Klambauer et al., 2017)."""
    if p == 1:
        return input * 0
    like = _one_a_channel(input) if by_channel else input
    kept = (_dropout_mask(like, p=p, generator=generator) != 0).to(input.dtype)
    a = 1 / math.sqrt((1 - p) * (1 + p * _ALPHA**2))
    return input * (a * kept) + ((1 - kept) * (a * _ALPHA) - a * p * _ALPHA)


def _in_training(function: Any, input: Tensor, p: float, training: bool, inplace: bool, generator: Generator | None,
                 by_channel: bool = False) -> Tensor:
    _check_probability(p)
    if not training or p == 0:
        return input
    return (in_place(function) if inplace else function)(input, p, generator, by_channel)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *,
            generator: Generator | None = None) -> Tensor:
    """Each element 0 with probability p, the others scaled by 1 / (1 - p), so that the mean stays; in training only."""
    return _in_training(_dropped, input, p, training, inplace, generator)


def feature_dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *,
                    generator: Generator | None = None) -> Tensor:
    """`dropout` of whole channels of (N, C, …)."""
    return _in_training(_dropped, input, p, training, inplace, generator, by_channel=True)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False, *,
                  generator: Generator | None = None) -> Tensor:
    """Dropout for `selu`: it keeps mean 0 and variance 1 (Klambauer et al., 2017)."""
    return _in_training(_alpha_dropped, input, p, training, inplace, generator)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False, *,
                          generator: Generator | None = None) -> Tensor:
    """`alpha_dropout` of whole channels of (N, C, …)."""
    return _in_training(_alpha_dropped, input, p, training, inplace, generator, by_channel=True)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *,
              generator: Generator | None = None) -> Tensor:
    """`dropout` of whole channels of (N, C, L) or (C, L)."""
    _check_probability(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: expected 2D or 3D input, (N, C, L) or (C, L), got {describe(input)}")
    return _of_one_or_many(input, 2, p, training, inplace, generator)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *,
              generator: Generator | None = None) -> Tensor:
    """`dropout` of whole channels of (N, C, H, W); three dimensions are taken for (N, C, L), as in PyTorch."""
    _check_probability(p)
    if input.ndim not in (3, 4):
        _warn_of_dims("dropout2d", input, "(N, C, H, W)")
    if input.ndim == 3:
        warn("dropout2d: input of 3 dimensions is taken for (N, C, L); use dropout1d for that")
    return feature_dropout(input, p, training, inplace, generator=generator)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *,
              generator: Generator | None = None) -> Tensor:
    """`dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    _check_probability(p)
    if input.ndim not in (4, 5):
        _warn_of_dims("dropout3d", input, "(N, C, D, H, W) or (C, D, H, W)")
    return _of_one_or_many(input, 4, p, training, inplace, generator)


def _warn_of_dims(name: str, input: Tensor, expected: str) -> None:
    warn(f"{name}: expected input {expected}, got {describe(input)}; use dropout for other shapes")


def _of_one_or_many(input: Tensor, dims_of_one: int, p: float, training: bool, inplace: bool,
                    generator: Generator | None) -> Tensor:
    if input.ndim != dims_of_one:
        return feature_dropout(input, p, training, inplace, generator=generator)
    dropped = feature_dropout(input.unsqueeze(0), p, training, inplace, generator=generator).squeeze(0)
    return input if inplace else dropped


# --- as modules -----------------------------------------------------------------------------------------------------


class _Dropout(Module):
    """A probability, and the function that drops by it."""

    _function: Any

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: Generator | None = None) -> None:
        super().__init__()
        _check_probability(p)
        self.p, self.inplace, self.generator = p, inplace, generator

    def forward(self, input: Tensor) -> Tensor:
        return self._function(input, self.p, self.training, self.inplace, generator=self.generator)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training each element 0 with probability p and the others times 1 / (1 - p); in evaluation the identity."""

    _function = staticmethod(dropout)


class Dropout1d(_Dropout):
    """See `dropout1d`."""

    _function = staticmethod(dropout1d)


class Dropout2d(_Dropout):
    """See `dropout2d`."""

    _function = staticmethod(dropout2d)


class Dropout3d(_Dropout):
    """See `dropout3d`."""

    _function = staticmethod(dropout3d)


class AlphaDropout(_Dropout):
    """See `alpha_dropout`."""

    _function = staticmethod(alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """See `feature_alpha_dropout`."""

    _function = staticmethod(feature_alpha_dropout)
