"""What layer, batch, group and instance normalisation have in common, fused; `nn.normalization` has their shapes."""

from __future__ import annotations

import math

from ..graph import Op


def _sum(x, dims):
    return x.sum(axis=dims, keepdims=True) if dims else x


def _standard(x, dims, eps):
    """x as standard scores, the factor that made its deviations so, and how many elements have them in common."""
    count = max(math.prod(x.shape[d] for d in dims), 1)
    centred = x - _sum(x, dims) / count
    scale = (_sum(centred * centred, dims) / count + eps) ** -0.5
    return centred * scale, scale, count


def _standardized(x, weight, bias, /, dims, eps):
    """weight and bias broadcast, or are None."""
    for parameter in (weight, bias):
        if parameter is not None and parameter.dtype != x.dtype:
            raise TypeError(f"the input and its weight and bias must have one dtype, got {x.dtype} and "
                            f"{parameter.dtype}; convert one with .to()")
    scores, scale, count = _standard(x, dims, eps)
    y = scores.copy() if weight is None else scores * weight  # what is kept must not change with the result
    if bias is not None:
        y += bias
    return y, (scores, scale, count)


def _is_one_along(parameter, ndim, dim):
    lead = ndim - parameter.ndim
    return dim < lead or parameter.shape[dim - lead] == 1


def _standardize_rule(needs, g, _y, x, weight, _bias, dims, eps, kept=None):
    """A score depends on all of x, by the mean and by the scale: what g · weight has in common with either flows
    nowhere. That is found by sums, first over the dimensions along which weight and bias are the same: these are
    their gradients, too, but for the sums over what else they are broadcast along."""
    scores, scale, count = _standard(x, dims, eps) if kept is None else kept
    dims, parameters = [d % x.ndim for d in dims], [p for p in (weight, _bias) if p is not None]
    same = tuple(d for d in dims if all(_is_one_along(p, x.ndim, d) for p in parameters))
    rest = tuple(d for d in dims if d not in same)
    to_bias, to_weight = _sum(g, same), _sum(g * scores, same)
    to_x = None
    if 0 in needs:
        w = 1 if weight is None else weight
        weighted = to_bias * w
        shift, stretch = _sum(weighted, rest) / count * scale, _sum(to_weight * w, rest) / count * scale
        to_x = (g * (w * scale) if same else weighted * scale) - shift - scores * stretch
    return [to_x, to_weight if 1 in needs else None, to_bias if 2 in needs else None]


_standardize = Op("standardize", _standardized, joint=_standardize_rule, keeps=True,
                  doc="(x - mean) / √(variance + eps) · weight + bias, mean and (biased) variance over `dims`.")
