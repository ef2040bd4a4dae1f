"""Random numbers in a program: each call draws anew, from the same generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import recording
from ..generator import Generator, default_generator
from ..tensor import Tensor
from .calls import Draw
from .program import Step, Value
from .taps import array_of

if TYPE_CHECKING:
    from .capture import Recorder


def draw(recorder: Recorder, function: Callable, args: tuple, kwargs: dict) -> Tensor:
    """Random numbers for a new tensor, or for one that is there: each call draws anew."""
    target = args[0] if function.__name__.endswith("_") else None
    rest = args if target is None else args[1:]
    shape, dtype = (None, None) if target is None else (tuple(target.shape), target.dtype)
    by_shape = function.__name__.endswith("_like")
    given = [x for x in (*rest, *kwargs.values()) if isinstance(x, Tensor)]
    values = [recorder.value_of(array_of(x), x) for x in given if not by_shape]
    rest, kwargs = (_with_others(x, _shape_of if by_shape else None) for x in (rest, kwargs))

    def draw(*arrays: Any) -> np.ndarray:
        left = iter(arrays)
        with recording.no_grad():
            new = () if target is None else (Tensor(np.empty(shape, dtype)),)
            by = (lambda _: Tensor(np.asarray(next(left)))) if values else None
            more, named = _with_others(rest, by), _with_others(kwargs, by)
            return function(*new, *more, **named).array

    mode = recording._mode.get()
    recording._mode.set(recording._NO_GRAD)
    try:
        array = draw(*(array_of(x) for x in given if not by_shape))
    finally:
        recording._mode.set(mode)
    out = Value(array.shape, array.dtype)
    generators = [x for x in (*args, *kwargs.values()) if isinstance(x, Generator)]
    recorder.write_down(Step(Draw(draw, *generators or [default_generator]), tuple(values), {}, out))
    recorder.memory.new(array, out)
    drawn = Tensor(array)
    return drawn.requires_grad_(kwargs.get("requires_grad", False)) if target is None else target.copy_(drawn)


def _with_others(tree: Any, by: Callable[[Tensor], Any] | None) -> Any:
    """A tuple or dict of arguments with other things in the place of tensors."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    new = {key: by(x) if by is not None and isinstance(x, Tensor) else x for key, x in items}
    return new if isinstance(tree, dict) else tuple(new.values())


def _shape_of(tensor: Tensor) -> Tensor:
    """A tensor of the same shape and dtype that needs no memory."""
    return Tensor(np.broadcast_to(np.zeros((), tensor.dtype), tensor.shape))
