"""compile(): what a user calls, and the function that runs programs in the place of another."""

from __future__ import annotations

import functools
import threading
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .. import graph, recording
from ..autograd import sources
from ..errors import CompileError
from ..nn import Module
from ..tensor import Tensor
from .capture import Recording, record
from .guards import Guards, leaves
from .numbers import changed, numbers_in
from .numpy_printer import numpy_program, program_text
from .plan import may_refuse
from .program import Program, Value
from .results import Given, rebuilt
from .samples import generator_of


def _native_program(program: Program) -> Callable:
    from .numba_printer import numba_program

    return numba_program(program)


BACKENDS: dict[str, Callable[[Program], Callable]] = {"numpy": numpy_program, "numba": _native_program}
_REFUSALS = (IndexError, ValueError, TypeError, ArithmeticError, RuntimeError)
_new = object.__new__


class Compiled:
    """A function of tensors that runs as a program from its second call with like arguments on.

    programs: of each kind of call seen so far, the compiled program; its `text` is what runs.
    """

    def __init__(self, function: Callable, backend: str, fallback: str | None, keep_grads: bool, limit: int) -> None:
        self._function, self._backend, self._fallback = function, backend, fallback
        self._keep_grads, self._limit = keep_grads, limit
        self._entries: list[_Entry] = []
        self._refused: list[Any] = []  # the keys of calls that cannot be recorded
        self._taken: list[Any] = []  # those whose numbers are taken for granted
        self._kept: list[tuple[Any, Any]] = []  # variables whose numbers are
        self.__name__ = type(function).__name__
        functools.update_wrapper(self, function, updated=())

    def __reduce__(self) -> tuple:
        """Copied and saved as what it compiles, without programs, which read from just these parameters."""
        return type(self), (self._function, self._backend, self._fallback, self._keep_grads, self._limit)

    @property
    def programs(self) -> list[Callable]:
        """The compiled programs, the one that ran last first."""
        return [entry.run for entry in self._entries if entry.run is not None]

    def program(self) -> str:
        """The program that ran last, as a module of NumPy calls that runs on its own."""
        if not self.programs:
            raise CompileError("program(): nothing has been compiled yet; call the function first")
        return program_text(self.programs[0].plan)  # type: ignore[attr-defined]

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)  # a decorated method

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if sources.keeps_lines:  # anomaly or debug mode: each operation is looked at
            return self._function(*args, **kwargs)
        tensors: list[Tensor] = []
        key: tuple = leaves(args, tensors) if args else (), leaves(kwargs, tensors) if kwargs else ()
        if len(tensors) > 1 and len(set(tensors)) < len(tensors):
            places = [*map(id, tensors)]
            key = *key, *map(places.index, places)  # which are the same
        for i, entry in enumerate(self._entries):
            if entry.key == key and (entry.guards.quick() or entry.guards.hold()):
                if i:
                    self._entries.insert(0, self._entries.pop(i))
                if entry.run is None:
                    return self._function(*args, **kwargs)
                try:
                    return entry.call(tensors, [*numbers_in((args, kwargs))] if entry.numbers else ())
                except _REFUSALS:
                    if not entry.may_refuse:
                        raise
                    return self._function(*args, **kwargs)  # nothing was written yet; it does it, or says best why not
        return self._record(key, args, kwargs, tensors)

    def _record(self, key: Any, args: tuple, kwargs: dict, tensors: list[Tensor]) -> Any:
        if recording._mode.get().everything:  # inside another function that is recorded
            return self._function(*args, **kwargs)
        if key in self._refused:
            return self._function(*args, **kwargs)
        common, numbers = self._common(key)
        known, new, replaced = self._variables(key)
        fitting = [entry for entry in self._entries
                   if entry is replaced or entry.key == common and entry.numbers != numbers]
        count = len(self._entries) - len(fitting)
        if self._fallback == "eager" and count + len(self._refused) >= self._limit:
            return self._function(*args, **kwargs)
        if count >= self._limit:
            raise CompileError(
                f"compile(): {self.__name__} was recorded {self._limit} times, each time with other shapes, dtypes, "
                "modes, numbers or settings than before; give a number that changes as a tensor, raise limit=, or give "
                "fallback='eager'"
            )
        lenient = bool(numbers or known or new) or self._fallback == "eager"
        result, found = record(self._function, args, kwargs, tensors, self._keep_grads, self._changing(key), lenient,
                               numbers, [*known, *new])
        if found is None:
            if known or new:
                self._kept += new or known
            else:
                (self._taken if numbers else self._refused).append(common)
            return result
        run = None if found.differentiable else BACKENDS[self._backend](found.program)
        self._entries = [_Entry(common, run, found, numbers), *(e for e in self._entries if e not in fitting)]
        return result

    def _common(self, key: Any) -> tuple[Any, list[int]]:
        """(what a new program is to be for, which of the numbers among the arguments it reads)

        A float that was another one in a call that is like this one but for that is read from then on; a whole number,
        by which a function often chooses what it does, if there would be too many programs else.
        """
        for kinds in self._kinds():
            for entry in self._entries:
                found = None if entry.guards.watch.asks_types else changed(entry.key, key, kinds)
                if found is not None and found[1] and found[0] not in self._taken:
                    return found
        return key, []

    def _kinds(self) -> list[tuple[type, ...]]:
        """Of the numbers that a program may read, the first choice first."""
        return [(float,), (float, int)] if len(self._entries) >= self._limit else [(float,)]

    def _variables(self, key: Any) -> tuple[list, list, _Entry | None]:
        """The variables whose numbers a new program reads, and the entry whose place it takes, as with the arguments:
        (those that this one reads, those that have changed since, itself if these are all that has)."""
        for kinds in self._kinds():
            for entry in self._entries:
                found = entry.guards.other_numbers(kinds) if entry.key == key else None
                if found:
                    known = self._readable(entry.guards.watch.numbers)
                    new = self._readable(found)
                    return known, new, entry if len(new) == len(found) else None
        return [], [], None

    def _readable(self, variables: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        """Without those that the function could not be recorded with."""
        return [(scope, key) for scope, key in variables if not any(scope is s and key == k for s, k in self._kept)]

    def _changing(self, key: Any) -> set[str]:
        """The options of optimizers that have been others at such calls before, as momentum is under OneCycleLR."""
        return set().union(*(entry.guards.changed_numbers() for entry in self._entries if entry.key == key))


class CompiledModule(Module):
    """A module that runs as a program where no gradient is to flow through it. What it has is the module's own."""

    def __init__(self, module: Module, backend: str, fallback: str | None, limit: int) -> None:
        super().__init__()
        self._orig_mod = module
        self.compiled = Compiled(module, backend, fallback, False, limit)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.compiled(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name in ("_orig_mod", "compiled"):
            raise AttributeError(name)
        return getattr(self.compiled if name in ("program", "programs") else self._orig_mod, name)


def _tensor(data: Any, inference: bool = False) -> Tensor:
    """A tensor without a history."""
    made = _new(Tensor)._set(data)
    if inference:
        made._inference = True
    return made


class _Entry:
    """One program, the arguments and circumstances it is for, and what a call does beside it.

    run is None where a gradient is to flow through the result: then the function itself is called.
    numbers: which of the Python numbers among the arguments the program reads.
    """

    def __init__(self, key: Any, run: Any, found: Recording, numbers: list[int]) -> None:
        self.key, self.run, self.numbers = key, run, numbers
        self.given: list[Any] = [place for place, value in found.gradients if value is not None]
        self.cleared: list[Any] = [place for place, value in found.gradients if value is None]
        self.by_number = any(type(place) is int for place, _ in found.gradients)  # some of them are arguments
        self.lock = threading.Lock()  # the program computes in memory of its own
        self.result, self.training, self.inference = found.result, found.training, found.modes[1]
        self.single = isinstance(found.result, Value)
        self.written = found.written
        steps = [] if run is None else run.program.steps
        self.may_refuse = any(map(may_refuse, steps))
        self.generators = set(map(generator_of, steps if self.may_refuse else ())) - {None}
        self.guards = Guards(found, self.bind)

    def bind(self) -> None:
        """Find out where everything is, as tensors may have other arrays."""
        if self.run is not None:
            with self.lock:
                self.run.bind()
                self.stamp = graph.stamper([tensor.array for tensor in self.written])

    def call(self, tensors: list[Tensor], numbers: Sequence[float]) -> Any:
        """Run the program, and do what is beside it."""
        inputs: list[Any] = [t.array for t in tensors] if tensors else []
        if numbers:
            inputs += [numbers[i] for i in self.numbers]
        before = self.generators and [(generator, generator.get_state()) for generator in self.generators]
        try:
            with self.lock:
                outputs = self.run.run(inputs)
        except _REFUSALS:
            for generator, state in before:
                generator.set_state(state)
            raise
        given, cleared = self.given, self.cleared
        if self.by_number:
            given, cleared = ([tensors[place] if type(place) is int else place for place in places]
                              for places in (given, cleared))  # fmt: skip
        for tensor in cleared:
            tensor._grad = None
        for tensor, array in zip(given, outputs):
            tensor._grad = _tensor(array)
        if self.written:
            self.stamp()
        if self.training:
            for scope, training in self.training:
                scope["training"] = training
            recording.setting()
        if self.single:
            return _tensor(outputs[-1], self.inference)

        results = iter(outputs[len(given):])
        made: list[Tensor] = []

        def fill(part: Any) -> Any:
            if isinstance(part, Value):
                made.append(_tensor(next(results), self.inference))
                return made[-1]
            which: Any = part.which
            if part.kind == "gradient":
                return (tensors[which] if type(which) is int else which)._grad
            return which if part.kind == "state" else (tensors if part.kind == "argument" else made)[which]

        return rebuilt(self.result, (Value, Given), fill)


def compile(model: Any = None, *, backend: str = "numpy", fallback: str | None = None, keep_grads: bool = False,
            limit: int = 8, fullgraph: bool = False, dynamic: bool | None = None, mode: str | None = None,
            options: dict | None = None, disable: bool = False) -> Any:
    """Run a function of tensors as the NumPy program that a person would have written for it.

    The first call with arguments of certain shapes and dtypes runs the function and records every operation: forward,
    backward, the optimizer's update. From then on such calls run the program. Parameters, buffers, an optimizer's state
    and learning rate are read anew at each call, and so is a float among the arguments, or in a variable or attribute
    that the function reads, once it has changed, unless the function needs the number itself, as for `math.sqrt`. Other
    Python values, a module's mode and its parameters are watched, and a change is recorded as a program of its own, up
    to `limit` of them; whole numbers are read, too, before there are more. What is written into the `__dict__` of a
    module, and not set as its attribute, goes unnoticed.

    model: a function, such as a training step, or a Module; None makes a decorator. A result through which a gradient
        is to flow later comes from the function itself: what is compiled leaves no graph behind. Other results are the
        caller's own; what is a view of an argument or a parameter in eager mode comes as a copy.
    backend: "numpy", which gives the bits of eager mode; "numba" (extra `fast`), one native function, which gives them
        to 1e-6 in float32 and 1e-12 in float64. PyTorch's names of backends mean "numpy".
    fallback: "eager" runs the function itself where it cannot be recorded, in place of an error.
    keep_grads: leave the gradients that an optimizer has used in `.grad`, where else there is None after a call.
    fullgraph, dynamic, mode, options: accepted, without effect. disable: return the model as it is.
    Errors: CompileError, while recording, for what a program could not repeat, such as `.item()`.
    """
    if model is None:
        return functools.partial(compile, backend=backend, fallback=fallback, keep_grads=keep_grads, limit=limit,
                                 disable=disable)
    if not callable(model):
        raise TypeError(f"compile() expects a module or a function, got {type(model).__name__}")
    if fallback not in (None, "eager"):
        raise ValueError(f"compile(): fallback must be None or 'eager', got {fallback!r}")
    if disable:
        return model
    backend = {"inductor": "numpy", "eager": "numpy", "aot_eager": "numpy"}.get(backend, backend)
    if backend not in BACKENDS:
        raise ValueError(f"compile(): backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    if backend == "numba":
        from . import native  # noqa: F401 - its error, here and now, where numba is not installed
    if isinstance(model, Module):
        return CompiledModule(model, backend, fallback, limit)
    return Compiled(model, backend, fallback, keep_grads, limit)
