"""Sampling at the places of a grid (Jaderberg et al., 2015)."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..callers import warn
from ..graph import ShapeError
from ..tensor import Tensor, describe
from .upsampling import cubic_weights


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid for `grid_sample` of an affine map: theta (N, 2, 3) and size (N, C, H, W) to (N, H, W, 2), or theta
    (N, 3, 4) and size (N, C, D, H, W) to (N, D, H, W, 3)."""
    align_corners = _told("affine_grid", align_corners)
    if not theta.is_floating_point():
        raise ValueError(f"affine_grid(): theta must be floating, got {describe(theta)}")
    n = len(size) - 2
    if n not in (2, 3):
        raise NotImplementedError(f"affine_grid(): size must be (N, C, H, W) or (N, C, D, H, W), got {tuple(size)}")
    if min(size) < 1 or theta.shape != (size[0], n, n + 1):
        raise ValueError(f"affine_grid(): theta {describe(theta)} must have shape ({size[0]}, {n}, {n + 1}) for the "
                         f"size {tuple(size)}, which must be positive")
    axes = [np.linspace(-1, 1, m) * (1 if align_corners else (m - 1) / m) if m > 1 else np.zeros(1) for m in size[2:]]
    grids = np.meshgrid(*axes, indexing="ij")[::-1]  # x, the last dimension, comes first
    base = np.stack([*grids, np.ones(tuple(size[2:]))], axis=-1).reshape(-1, n + 1)
    return (Tensor(base.astype(theta.dtype)) @ theta.mT).reshape(size[0], *size[2:], n)


def _told(name: str, align_corners: bool | None) -> bool:
    if align_corners is None:
        warn(f"{name}(): align_corners is False by default; say which is meant")
    return bool(align_corners)


def grid_sample(input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros",
                align_corners: bool | None = None) -> Tensor:
    """The input (N, C, H, W) at the places of a grid (N, h, w, 2) of (x, y), or (N, C, D, H, W) at (N, d, h, w, 3) of
    (x, y, z): (N, C, h, w). Places run from -1 to 1 within the input, which ends at the borders of its outer elements,
    or with align_corners at their centres.

    mode: 'bilinear', 'nearest', 'bicubic' (not in 3-d). padding_mode: outside there are 'zeros', the 'border' element,
    or the 'reflection' of the inside.
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(f"grid_sample(): mode must be 'bilinear', 'nearest' or 'bicubic', got {mode!r}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"grid_sample(): padding_mode must be 'zeros', 'border' or 'reflection', got {padding_mode!r}")
    align = _told("grid_sample", align_corners)
    n = input.ndim - 2
    if n not in (2, 3) or grid.ndim != input.ndim or grid.shape[0] != input.shape[0] or grid.shape[-1] != n:
        raise ShapeError(f"grid_sample(): input {describe(input)} must be (N, C, H, W) and grid {describe(grid)} "
                         "(N, h, w, 2), or one dimension more each")
    if input.dtype != grid.dtype:
        raise RuntimeError(f"grid_sample(): input {describe(input)} and grid {describe(grid)} must have one dtype")
    if 0 in input.shape[1:] or (mode == "bicubic" and n == 3):
        raise RuntimeError(f"grid_sample(): input {describe(input)} must not be empty, and 4-dimensional for 'bicubic'")
    sizes = input.shape[2:]
    flat = grid.reshape(grid.shape[0], math.prod(grid.shape[1:-1]), n)
    places = [_unnormalized(flat[:, :, n - 1 - dim], size, align) for dim, size in enumerate(sizes)]
    if mode != "bicubic":
        places = [_brought_inside(p, size, padding_mode, align) for p, size in zip(places, sizes)]
    axes = [_neighbours(p, size, mode, padding_mode, align) for p, size in zip(places, sizes)]
    elements = input.flatten(2)
    total: Any = 0
    for corner in itertools.product(*axes):  # of the box around each place, an (index, inside, weight) a dimension
        index = sum(i * step for (i, _, _), step in zip(corner, _steps(sizes)))
        value = ops.gather(elements, 2, index.unsqueeze(1).expand(-1, input.shape[1], -1))
        weight: Any = math.prod(w for _, _, w in corner)
        inside = functools.reduce(operator.and_, (ok for _, ok, _ in corner))
        total = total + ops.where(inside.unsqueeze(1), value * weight.unsqueeze(1), 0.0)
    return total.reshape(*input.shape[:2], *grid.shape[1:-1])


def _steps(sizes: Sequence[int]) -> list[int]:
    return [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]


def _unnormalized(place: Tensor, size: int, align: bool) -> Tensor:
    """From -1 … 1 to elements. What is far outside is not brought any closer by being infinitely far."""
    return ops.clamp((place + 1) * ((size - 1) / 2) if align else ((place + 1) * size - 1) / 2, -1e9, 1e9)


def _brought_inside(place: Tensor, size: int, padding_mode: str, align: bool) -> Tensor:
    if padding_mode == "zeros":
        return place
    if padding_mode == "reflection":
        place = _reflected(place, *((0, size - 1) if align else (-0.5, size - 0.5)))
    low, high = place <= 0, place >= size - 1  # there the gradient is 0, as in PyTorch
    return ops.where(low, 0.0, ops.where(high, float(size - 1), place))


def _reflected(place: Tensor, low: float, high: float) -> Tensor:
    """Back and forth between low and high."""
    span = high - low
    if span == 0:
        return place * 0
    away = ops.where(place < low, low - place, place - low)
    turns = ops.floor(away / span).detach()
    within = away - turns * span
    return low + ops.where(turns % 2 == 0, within, span - within)


def _neighbours(place: Tensor, size: int, mode: str, padding_mode: str, align: bool) -> list[tuple]:
    """(index, whether it is inside, weight) of each element along one dimension that has a part in the result."""
    first = ops.round(place.detach()) if mode == "nearest" else ops.floor(place.detach())
    t = place - first
    if mode == "nearest":
        found: list[tuple] = [(0, 1 + 0 * t)]  # it has a gradient by the grid, which is 0
    elif mode == "bilinear":
        found = [(0, 1 - t), (1, t)]
    else:
        found = list(zip((-1, 0, 1, 2), cubic_weights(t)))
    neighbours = []
    for offset, weight in found:
        at = first + offset
        if mode == "bicubic":
            at = _brought_inside(at, size, padding_mode, align)
        inside = (at >= 0) & (at <= size - 1)
        neighbours.append((ops.where(inside, at, 0.0).long(), inside, weight))
    return neighbours
