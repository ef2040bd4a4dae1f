"""Taps: where a recorder hears of what operations do not tell.

While a function is recorded, some methods of Tensor, Module, Optimizer and Generator are others, which tell the
recorder or refuse what a program could not repeat. In other threads they do what they always do.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import graph, recording
from ..generator import Generator
from ..nn import Module
from ..optim import Optimizer
from ..tensor import Tensor
from .descent import descend

if TYPE_CHECKING:
    from .capture import Recorder


_ARRAY: Any = Tensor.__dict__["array"]


def array_of(tensor: Tensor) -> np.ndarray:
    """A tensor's array, of which nobody is told."""
    return _ARRAY.fget(tensor)


@contextlib.contextmanager
def listening(recorder: Recorder) -> Iterator[None]:
    """Let the recorder hear of what operations do not tell; of this thread alone."""

    def mine() -> bool:
        return recording.recorder() is recorder and recorder.error is None

    def set_slots(original: Callable) -> Callable:
        def tapped(tensor: Tensor, *args: Any) -> Tensor:
            if mine():
                recorder.made[id(tensor)] = tensor
            return original(tensor, *args)

        return tapped

    def refuse(original: Callable) -> Callable:
        def tapped(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
            if mine():
                recorder.read(tensor, original.__name__)
            return original(tensor, *args, **kwargs)

        return tapped

    def seed(original: Callable) -> Callable:
        def tapped(generator: Generator, *args: Any) -> Any:
            if mine():
                recorder.refuse(f"the function calls {original.__name__}() of a generator; seed it outside")
            return original(generator, *args)

        return tapped

    def call(original: Callable) -> Callable:
        def tapped(module: Module, *args: Any, **kwargs: Any) -> Any:
            if mine():
                recorder.found.watch.module(module)
                for hook in (module._hooks or {}).values():
                    if not (getattr(hook.function, "__module__", None) or "").startswith("microgradnet.nn"):
                        name = type(module).__name__
                        recorder.refuse(f"{name} has a hook, which a program would not call; remove it")
            return original(module, *args, **kwargs)

        return tapped

    def step(original: Callable) -> Callable:
        def tapped(optimizer: Optimizer, closure: Callable | None = None) -> Any:
            return descend(recorder, optimizer, original, closure) if mine() else original(optimizer, closure)

        return tapped

    def zero_grad(original: Callable) -> Callable:
        def tapped(owner: Any, set_to_none: bool = True) -> None:
            if mine():
                owned = list(owner.parameters() if isinstance(owner, Module) else (
                    p for group in owner.param_groups for p in group["params"]))
                if not set_to_none:
                    recorder.to_zero(owned)
                    return
                for p in owned:
                    recorder.touch(p)
            original(owner, set_to_none)

        return tapped

    grad = Tensor.__dict__["grad"]

    def get_grad(tensor: Tensor) -> Tensor | None:
        if mine():
            recorder.grad_of(tensor)
        return grad.fget(tensor)

    def set_grad(tensor: Tensor, value: Tensor | None) -> None:
        if mine():
            recorder.touch(tensor)
        grad.fset(tensor, value)

    def get_array(tensor: Tensor) -> np.ndarray:
        if mine():
            caller = sys._getframe(1)
            recorder.read(tensor, caller.f_code.co_name, caller.f_globals.get("__name__", ""))
        return array_of(tensor)

    taps: list[tuple[type, str, Any]] = [(Tensor, "_set", set_slots), (Module, "__call__", call)]
    readers = "item", "numpy", "tolist", "__array__", "__bool__", "__contains__", "__deepcopy__"
    taps += [(Tensor, name, refuse) for name in readers]
    taps += [(Generator, n, seed) for n in ("manual_seed", "seed", "set_state")]
    taps += [(Optimizer, "step", step), (Optimizer, "zero_grad", zero_grad), (Module, "zero_grad", zero_grad)]
    originals = [(cls, name, cls.__dict__[name]) for cls, name, _ in taps]
    told, written = graph.on_record, graph.on_write
    try:
        for cls, name, tap in taps:
            setattr(cls, name, tap(cls.__dict__[name]))
        Tensor.grad, Tensor.array = property(get_grad, set_grad), property(get_array)  # type: ignore[method-assign, assignment]
        graph.on_record = lambda *told: recorder.add(*told) if mine() else None
        graph.on_write = lambda arrays, now: recorder.stamped(arrays, now) if mine() else None
        yield
    finally:
        graph.on_record, graph.on_write = told, written
        Tensor.grad, Tensor.array = grad, _ARRAY  # type: ignore[method-assign]
        for cls, name, original in originals:
            setattr(cls, name, original)


