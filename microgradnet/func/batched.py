"""vmap: a function of one sample, over a batch of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .. import random
from ..ops import stack
from ..tensor import Tensor
from .tree import leaves, rebuilt, spread


def vmap(func: Callable, in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *,
         chunk_size: int | None = None) -> Callable:
    """The function that applies func to each entry along one dimension of its arguments and stacks the results.

    It is a loop: one call of func per entry, recorded like any other, so that it is exact for every operation, may be
    differentiated, nested, and hold data-dependent branches. It saves writing, not time; where time counts, write func
    for the whole batch.

    in_dims: the dimension to map over, for all arguments or a tuple of one per argument, built like it where that is a
        tuple, list or dict; None passes an argument whole. Keyword arguments are passed whole.
    out_dims: where the new dimension goes, likewise for the outputs; None takes the first entry's result.
    randomness: "error" where func draws from the default generator; "same" numbers for every entry, or "different".
    chunk_size: accepted; it changes nothing here.
    """
    if randomness not in ("error", "same", "different"):
        raise RuntimeError(f"vmap(): randomness is 'error', 'same' or 'different', not {randomness!r}")

    @functools.wraps(func)
    def over_batch(*args: Any, **kwargs: Any) -> Any:
        given, dims = leaves(args), _in_dims(in_dims, args)
        size = _batch_size(given, dims)
        columns = [x.unbind(d) if d is not None else None for x, d in zip(given, dims)]
        generator = random.default_generator
        before, start = _position(generator), generator.clone_state() if randomness == "same" else generator
        results = []
        for i in range(size):
            entry = [x if column is None else column[i] for x, column in zip(given, columns)]
            if randomness == "same":
                generator.set_state(start.get_state())
            results.append(func(*rebuilt(args, entry), **kwargs))
            if randomness == "error" and _position(generator) != before:
                raise RuntimeError("vmap(): the function draws random numbers; say what is meant by randomness='same', "
                                   "the same for each entry, or 'different'")
        return _stacked(results, out_dims)

    return over_batch


def _in_dims(in_dims: Any, args: tuple) -> list:
    if not isinstance(in_dims, (int, tuple, list)):
        raise ValueError(f"vmap(): in_dims is an int or a tuple with an entry per argument, got {in_dims!r}")
    return spread(in_dims, args, "vmap(): in_dims")


def _batch_size(given: list, dims: list) -> int:
    sizes = []
    for x, d in zip(given, dims):
        if d is None:
            continue
        if not isinstance(d, int):
            raise ValueError(f"vmap(): an in_dim is an int or None, got {d!r}")
        if not isinstance(x, Tensor):
            raise ValueError(f"vmap(): only Tensors are mapped over, got {type(x).__name__}; give it the in_dim None")
        if not -x.ndim <= d < x.ndim:
            raise ValueError(f"vmap(): in_dim {d} for a tensor of shape {tuple(x.shape)}")
        sizes.append(x.shape[d])
    if not sizes:
        raise ValueError("vmap(): there is nothing to map over: give a Tensor with an in_dim other than None")
    if len(set(sizes)) > 1:
        raise ValueError(f"vmap(): the mapped dimensions must have one size, got {sizes}")
    if not sizes[0]:
        raise ValueError("vmap(): the batch is empty, and with no entry there is no result to tell the shape from")
    return sizes[0]


def _position(generator: random.Generator) -> Any:
    """Where a stream stands; cheap where nothing was drawn yet."""
    return None if generator._made is None else generator._made.bit_generator.state


def _stacked(results: list, out_dims: Any) -> Any:
    flat = [leaves(result) for result in results]
    for y in flat[0]:
        if not isinstance(y, Tensor):
            raise ValueError(f"vmap(): the function must return Tensors, got {type(y).__name__}")
    dims = spread(out_dims, results[0], "vmap(): out_dims")
    columns: Sequence = list(zip(*flat))
    return rebuilt(results[0], [ys[0] if d is None else stack(ys, dim=d) for ys, d in zip(columns, dims)])
