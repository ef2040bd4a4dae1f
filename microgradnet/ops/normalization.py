"""What layer, batch, group and instance normalisation have in common, fused; `nn.normalization` has their shapes."""

from __future__ import annotations

from ..graph import Op
from .elementwise import rsqrt, square
from .reduce import mean


def _standard(x, dims, eps):
    """x as standard scores, and the factor that made its deviations so."""
    centred = x - mean(x, dim=dims, keepdim=True)
    scale = rsqrt(mean(square(centred), dim=dims, keepdim=True) + eps)
    return centred * scale, scale


def _standardized(x, weight, bias, /, dims, eps):
    """weight and bias broadcast, or are None."""
    for parameter in (weight, bias):
        if parameter is not None and parameter.dtype != x.dtype:
            raise TypeError(f"the input and its weight and bias must have one dtype, got {x.dtype} and "
                            f"{parameter.dtype}; convert one with .to()")
    scores, scale = _standard(x, dims, eps)
    y = scores.copy() if weight is None else scores * weight  # what is kept must not change with the result
    if bias is not None:
        y += bias
    return y, (scores, scale)


def _standardize_rule(needs, g, _y, x, weight, _bias, dims, eps, kept=None):
    to_x = to_weight = None
    scores, scale = _standard(x, dims, eps) if kept is None else kept
    if 0 in needs:
        # A score depends on all of x, by the mean and by the scale: what g has in common with either flows nowhere.
        h = g if weight is None else g * weight
        to_x = scale * (h - mean(h, dim=dims, keepdim=True) - scores * mean(h * scores, dim=dims, keepdim=True))
    if 1 in needs:
        to_weight = g * scores
    return [to_x, to_weight, g if 2 in needs else None]


_standardize = Op("standardize", _standardized, joint=_standardize_rule, keeps=True,
                  doc="(x - mean) / √(variance + eps) · weight + bias, mean and (biased) variance over `dims`.")
