"""Whether operations are recorded: the modes, as context managers and decorators.

The mode lives in a context variable, so it is local to a thread and to an asyncio task.
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import Any

__all__ = [  # what the package shows of it
    "enable_grad", "inference_mode", "is_grad_enabled", "is_inference_mode_enabled", "no_grad", "set_grad_enabled",
]  # fmt: skip


class Mode:
    """Whether operations are recorded: `grad` for those that need it, `everything` for all (capture): True, or whoever
    is told of writes and random numbers as well.

    on, off: the modes that enable_grad and no_grad lead to from here. Inference mode stays, and capture goes on.
    """

    __slots__ = ("grad", "inference", "everything", "on", "off")

    def __init__(self, grad: bool, inference: bool = False, everything: Any = False) -> None:
        self.grad, self.inference, self.everything = grad, inference, everything
        self.on = self.off = self


_GRAD, _NO_GRAD, _INFERENCE = Mode(True), Mode(False), Mode(False, inference=True)
_CAPTURE, _CAPTURE_NO_GRAD = Mode(True, everything=True), Mode(False, everything=True)
_GRAD.off, _NO_GRAD.on = _NO_GRAD, _GRAD
_CAPTURE.off, _CAPTURE_NO_GRAD.on = _CAPTURE_NO_GRAD, _CAPTURE
_mode: contextvars.ContextVar[Mode] = contextvars.ContextVar("microgradnet.mode", default=_GRAD)


settings = 0  # how often `setting` was called


def setting() -> None:
    """Note that something is set that decides what operations there will be: an attribute of a module, or a tensor's
    data, hooks or requires_grad. While `settings` stays, a compiled program need not look at any of them."""
    global settings
    settings += 1


inference_used = False  # whether inference_mode was ever entered: until then there is nothing to look for


def recorder() -> Any:
    """Who writes down what the function does that is compiled; None where none is."""
    found = _mode.get().everything
    return None if isinstance(found, bool) else found


def is_capturing() -> bool:
    """Whether a function is run to be written down. Its next calls have other numbers: who looks at numbers to check
    them, or to find a shorter way, must then do without."""
    return bool(_mode.get().everything)


def asked(condition: Any) -> bool:
    """bool(condition), for an `if` that seldom goes another way: a program that is written down asks again, and leaves
    a call in which it does to the function itself."""
    listening = recorder()
    return bool(condition) if listening is None else listening.asked(condition)


class _Recording:
    """Base of the recording modes: a context manager, and a decorator for functions and generator functions.

    The mode lives in a context variable, so it is local to a thread and to an asyncio task; an exception restores it.
    """

    mode = _GRAD
    _outer: list[Mode]  # the modes to go back to, the last one first

    def __new__(cls, function: Callable | None = None) -> Any:
        self = super().__new__(cls)
        self._outer = []
        return self if function is None else self(function)  # @no_grad without parentheses

    def __enter__(self) -> None:
        outer = _mode.get()
        self._outer.append(outer)
        _mode.set(self._inside(outer))

    def _inside(self, outer: Mode) -> Mode:
        return self.mode

    def __exit__(self, *exc: object) -> None:
        _mode.set(self._outer.pop())

    def __call__(self, function: Callable) -> Callable:
        import inspect

        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Iterator:
                # Each step runs in this mode and each pause in the caller's.
                steps = function(*args, **kwargs)
                resume = functools.partial(next, steps)
                try:
                    while True:
                        with type(self).like(self):
                            value = resume()
                        try:
                            sent = yield value
                            resume = functools.partial(steps.send, sent)
                        except GeneratorExit:
                            with type(self).like(self):
                                steps.close()
                            raise
                        except BaseException as error:
                            resume = functools.partial(steps.throw, error)
                except StopIteration as stop:
                    return stop.value

            return generator

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def coroutine(*args: Any, **kwargs: Any) -> Any:
                with type(self).like(self):
                    return await function(*args, **kwargs)

            return coroutine

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with type(self).like(self):
                return function(*args, **kwargs)

        return wrapped

    @classmethod
    def like(cls, other: _Recording) -> _Recording:
        """A fresh context of the same mode, so that one decorator serves recursive and concurrent calls."""
        new = super().__new__(cls)
        new._outer, new.mode = [], other.mode
        return new


class no_grad(_Recording):
    """Record nothing: results do not require gradients."""

    def _inside(self, outer: Mode) -> Mode:
        return outer.off


class enable_grad(_Recording):
    """Record again, inside `no_grad`."""

    def _inside(self, outer: Mode) -> Mode:
        return outer.on


class inference_mode(_Recording):
    """As `no_grad`, and the results may never take part in a recorded computation; with False it is `enable_grad`."""

    mode = _INFERENCE

    def _inside(self, outer: Mode) -> Mode:
        if outer.everything:
            return outer.off if self.mode is _INFERENCE else outer.on
        return self.mode

    def __new__(cls, mode: bool | Callable = True) -> Any:
        global inference_used
        inference_used = True
        self = super().__new__(cls, mode if callable(mode) else None)
        if mode is False:
            self.mode = _GRAD
        return self


class set_grad_enabled(_Recording):
    """Switch recording on or off, at once, and for the length of a `with` block if used as one."""

    _before: Mode
    enabled: bool

    def __new__(cls, mode: bool) -> Any:
        self = super().__new__(cls)
        self._before = _mode.get()
        self.mode = self._before.on if mode else self._before.off
        self.enabled = bool(mode)
        _mode.set(self.mode)
        return self

    def __enter__(self) -> None:
        self._outer.append(self._before)
        _mode.set(self.mode)

    def __call__(self, function: Callable) -> Callable:
        _mode.set(self._before)  # as a decorator it acts inside the function only
        return super().__call__(function)

    @classmethod
    def like(cls, other: Any) -> _Recording:
        return enable_grad() if other.enabled else no_grad()


class capture(_Recording):
    """Record every operation, with a derivative or without, so that a replay never meets a stale constant."""

    mode = _CAPTURE


def is_grad_enabled() -> bool:
    """Whether operations on tensors that require gradients are being recorded."""
    return _mode.get().grad


def is_inference_mode_enabled() -> bool:
    """Whether `inference_mode` is on."""
    return _mode.get().inference
