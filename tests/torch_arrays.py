"""The operations of samples_arrays.py in PyTorch, where their names or forms differ there."""

import itertools

import torch


def unique(x, dim=None):
    return torch.unique(x.detach(), return_inverse=True, return_counts=True, dim=dim)


def unique_consecutive(x, dim=None):
    return torch.unique_consecutive(x.detach(), return_inverse=True, return_counts=True, dim=dim)


def at_diagonal(x, shape, offset=0, dim1=0, dim2=1):
    return torch.diagonal_scatter(torch.zeros(shape, dtype=x.dtype), x, offset, dim1, dim2)


def histogram(x, edges, weight, density=False):
    return torch.histogram(x.detach(), edges.detach(), weight=None if weight is None else weight.detach(), density=density)[0]


def histogramdd(points, weight, *edges, density=False):
    return torch.histogramdd(points.detach(), [e.detach() for e in edges], density=density,
                             weight=None if weight is None else weight.detach())[0]


def scatter_reduce(kind):
    return lambda x, index, source, dim: torch.scatter_reduce(x, dim, index, source, kind)


def scatter_product(x, index, source, dim):
    """One factor after the other: scatter_reduce's own second derivative is wrong or missing for some."""
    for i in itertools.product(*map(range, index.shape)):
        place = [torch.tensor(k) for k in i]
        place[dim] = index[i]
        x = x.index_put(tuple(place), x[tuple(place)] * source[i])
    return x


SAME = {
    "argsort": lambda x, dim=-1, descending=False: torch.sort(x, dim=dim, descending=descending, stable=True)[1],
    "median_index": lambda x, dim, skip_nan=False: (torch.nanmedian if skip_nan else torch.median)(x, dim, True)[1],
    "mode_index": lambda x, dim: torch.mode(x, dim, True)[1],
    "cummax_index": lambda x, dim: torch.cummax(x, dim)[1],
    "cummin_index": lambda x, dim: torch.cummin(x, dim)[1],
    "unique": unique,
    "unique_consecutive": unique_consecutive,
    "searchsorted": lambda edges, x, sorter, right=False, int32=False: torch.searchsorted(
        edges, x, sorter=sorter, right=right, out_int32=int32),
    "bincount": lambda x, weights, minlength=0: torch.bincount(x, None if weights is None else weights.detach(), minlength),
    "histogram": histogram,
    "histogramdd": histogramdd,
    "scatter_prod": scatter_product,
    "scatter_amax": scatter_reduce("amax"),
    "scatter_amin": scatter_reduce("amin"),
    "cdist": lambda a, b: torch.linalg.vector_norm(a.unsqueeze(-2) - b.unsqueeze(-3), dim=-1),  # it has no second derivative
    "repeated_index": torch.repeat_interleave,
    "diag_embed": at_diagonal,
    "unfold": lambda x, dimension, size, step: x.unfold(dimension, size, step),
}  # fmt: skip
