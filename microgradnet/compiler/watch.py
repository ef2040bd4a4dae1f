"""Watching Python: what a function finds in variables while it is recorded, to know later whether it is the same.

Each function of the user's that runs is noticed when it is called. What its code may read is noted then: globals,
variables of the functions around it, defaults, and of the objects that are found there the attributes that it names,
and so on. What a function makes itself is its own affair.
"""

from __future__ import annotations

import dis
import functools
import gc
import os
import sys
import types
from collections import deque
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..nn import Module
from ..tensor import Tensor
from .traced import Traced

PLAIN = (bool, int, float, str, bytes, type(None))
MISSING = object()
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_FOREIGN = (_PACKAGE, os.path.dirname(np.__file__) + os.sep, "<frozen ", "<__array_function__")
_OWN = __name__.partition(".")[0]
_MOST = 10_000  # entries of a list or dict, or bytes of an array, that are watched
_foreign: set[types.CodeType] = set()  # the code of functions that are in these
# Who names one of these may read any attribute of an object.
_ANY = {"getattr", "setattr", "hasattr", "vars", "__dict__", "asdict", "attrgetter", "fields"}


class Watch:
    """What variables held when they were first seen. `holds()` is quick, `changed()` looks closer.

    slots: (a dict or list, key, what was there); cells likewise. sizes: of the containers. absent: (an object's dict, a
    name that was not there). others: (name, a function that reads, what it read). modules: those that were seen.
    numbers: variables whose numbers a program reads anew, as (scope, key); only their types are watched.
    """

    def __init__(self, function: Callable, arguments: Iterable = (), numbers: Collection[tuple[Any, Any]] = ()) -> None:
        self.numbers = numbers
        self._anew = {(id(scope), key) for scope, key in numbers}
        self.slots: dict[tuple, tuple[Any, Any, Any]] = {}
        self.cells: dict[int, tuple[str, Any, Any]] = {}
        self.sizes: dict[int, tuple[str, Any, int]] = {}
        self.absent: dict[tuple, tuple[dict, str]] = {}
        self.others: list[tuple[str, Callable[[], Any], Any]] = []
        self.modules: dict[Module, None] = {}
        self.problems: list[str] = []  # what was done that a program would not do
        self.asks_types = False  # whether code that ran names type(), to which a Number is no float
        self._functions: dict[types.CodeType, list[types.FunctionType]] = {}  # that may be called
        self._entered: set[types.FunctionType] = set()
        self._seen: dict[tuple, Any] = {}  # what was looked at, with the names that were looked for
        self._known: dict[int, Any] = {}  # all of it, by id
        self._vars: dict[type, Any] = {}
        self._drawn: list[tuple[Any, Any]] = []  # NumPy's generators, each with its state
        self.look(function, _NO_NAMES)
        self._arguments(arguments)
        random = sys.modules.get("numpy.random")
        if random is not None:
            self._random(random.mtrand._rand)  # type: ignore[attr-defined]

    # --- noting -----------------------------------------------------------------------------------------------------

    def _arguments(self, things: Iterable) -> None:
        """Note what is in arguments, but for their tensors and what holds these, which are others in each call."""
        for thing in things:
            if isinstance(thing, (tuple, list, dict)):
                self._arguments(thing.values() if isinstance(thing, dict) else thing)
            elif not isinstance(thing, Tensor):
                self.look(thing, _NO_NAMES, "an argument")

    def look(self, thing: Any, names: Names, called: str = "") -> None:
        """Note what code that reads attributes of these names may find from a thing on."""
        waiting = [(called, thing)]
        while waiting:
            called, thing = waiting.pop()
            if isinstance(thing, (*PLAIN, np.generic, np.dtype, Traced)) or (id(thing), names.key) in self._seen:
                continue
            self._seen[id(thing), names.key] = self._known[id(thing)] = thing
            waiting += self._within(thing, names, called)

    def _within(self, thing: Any, names: Names, called: str) -> Iterable[tuple[str, Any]]:
        """Note a thing; gives what is to be looked at next."""
        if isinstance(thing, types.FunctionType):
            self._may_be_called(thing)
            return [("", getattr(thing, "__wrapped__", None))]
        if isinstance(thing, functools.partial):
            return [(called, thing.func), (called, thing.args), (called, thing.keywords)]
        if isinstance(thing, (types.MethodType, staticmethod, classmethod)):
            return [(called, thing.__func__), (called, getattr(thing, "__self__", None))]
        if isinstance(thing, property):
            return [(called, f) for f in (thing.fget, thing.fset) if f is not None]
        if isinstance(thing, (list, tuple, dict, deque)):
            return self._container(thing, called)
        if isinstance(thing, (set, frozenset)):
            self.others.append((called, lambda: set(map(_still, thing)), set(map(_still, thing))))
            return [(called, part) for part in thing]
        if isinstance(thing, np.ndarray):
            return self._array(thing, called)
        if isinstance(thing, Tensor):
            own = self._slots_of(thing.__dict__, names.all & thing.__dict__.keys())
            return [*own, *((called, hook) for hook in (thing._hooks or {}).values())]  # which there are, guards know
        if isinstance(thing, types.ModuleType):
            if thing.__name__.partition(".")[0] in {_OWN, "numpy", *sys.stdlib_module_names}:
                return ()
            return self._slots_of(vars(thing), names.read & vars(thing).keys())
        if hasattr(type(thing), "__next__") and not isinstance(thing, Module):
            self.problems.append(f"{called!r} is an iterator, from which a program would not take; do that outside")
        kind = type(thing).__module__.partition(".")[0]
        if kind == "numpy":
            self._random(thing)
        if isinstance(thing, Module):
            for module in thing.modules():
                self.module(module)
        inner = () if kind != _OWN else (getattr(thing, "_function", None),)  # of a Compiled
        return [*((called, x) for x in inner), *self._attributes(thing, names, kind)]

    def _container(self, thing: Any, called: str) -> Iterable[tuple[str, Any]]:
        if len(thing) > _MOST:
            self.problems.append(f"{called!r} has {len(thing)} entries, too many to watch; give it as an argument")
            return ()
        if isinstance(thing, tuple):
            return [(called, part) for part in thing]
        self.sizes[id(thing)] = called, thing, len(thing)
        for key in thing if isinstance(thing, dict) else range(len(thing)):
            if (id(thing), key) not in self._anew:
                self.slots[id(thing), key] = thing, key, thing[key]
        return [(called, part) for part in (thing.values() if isinstance(thing, dict) else thing)]

    def _array(self, thing: np.ndarray, called: str) -> Iterable[tuple[str, Any]]:
        if thing.nbytes > _MOST:
            self.problems.append(f"{called!r} is an array of {thing.size} elements, too many to watch; make a tensor "
                                 "of it outside, with from_numpy()")
        else:
            self.others.append((called, thing.tobytes, thing.tobytes()))
        return ()

    def _random(self, source: Any) -> None:
        """Note how far NumPy's random numbers are."""
        bits = getattr(source, "bit_generator", None) or getattr(source, "_bit_generator", None)
        if bits is not None:
            self._drawn.append((bits, _position(bits)))

    def _attributes(self, thing: Any, names: Names, kind: str) -> Iterable[tuple[str, Any]]:
        """Note those attributes of an object that code names."""
        own = getattr(thing, "__dict__", None)
        classes = (thing if isinstance(thing, type) else type(thing)).__mro__
        classes = tuple(c for c in classes if c.__module__.partition(".")[0] not in (_OWN, "builtins", "numpy"))
        found: list[tuple[str, Any]] = []
        if type(own) is dict:
            found += self._slots_of(own, own.keys() if names.any and kind != _OWN else names.all & own.keys())
            self.sizes.setdefault(id(own), ("", own, len(own)))
            for name in names.stored - own.keys():
                self.absent[id(own), name] = own, name
        for cls in classes:
            for name, value in vars(cls).items():
                if isinstance(value, (types.FunctionType, staticmethod, classmethod, property)):
                    self.look(value, names, name)
                if name not in names.read or type(own) is dict and name in own:
                    continue
                if isinstance(value, types.MemberDescriptorType):
                    self._read(name, functools.partial(getattr, thing, name, MISSING))
                    found.append((name, getattr(thing, name, None)))
                    continue
                if type(own) is dict:
                    self.absent[id(own), name] = own, name
                found += self._slots_of(self._vars.setdefault(cls, vars(cls)), [name])
        return found

    def _slots_of(self, scope: Any, names: Iterable[str]) -> Iterable[tuple[str, Any]]:
        found = [(name, scope[name]) for name in sorted(names)]
        for name, value in found:
            if (id(scope), name) not in self._anew:
                self.slots.setdefault((id(scope), name), (scope, name, value))
        return found

    def _read(self, name: str, read: Callable[[], Any]) -> None:
        self.others.append((name, lambda: _still(read()), _still(read())))

    def module(self, module: Module) -> None:
        """Watch a module: its mode, what is registered, and the options of those of this package."""
        if module in self.modules:
            return
        self.modules[module] = None
        own, registered = module.__dict__, module._registered
        options = PLAIN + (tuple, types.FunctionType) if type(module).__module__.startswith(_OWN + ".") else ()
        always = registered.keys() | {"training", "_hooks", "forward"}
        names = [name for name, value in own.items() if name in always or isinstance(value, options)]
        self._slots_of(own, names)
        self.sizes[id(registered)] = "a module", registered, len(registered)
        self.sizes[id(own)] = "", own, len(own)
        if "forward" not in own:
            self.absent[id(own), "forward"] = own, "forward"
        if own["_hooks"] is not None:
            self.look(own["_hooks"], _NO_NAMES, "a hook")
        self._known[id(module)] = module

    # --- functions that run -----------------------------------------------------------------------------------------

    def _may_be_called(self, function: types.FunctionType) -> None:
        file = function.__code__.co_filename
        if not file.startswith(_FOREIGN) and not _is_standard(file):
            self._functions.setdefault(function.__code__, []).append(function)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Notice the functions that are called in this thread meanwhile.

        The garbage collector waits: what it may call, such as another library's clock, is not the function's doing.
        """
        outer, collecting = sys.getprofile(), gc.isenabled()
        gc.disable()
        sys.setprofile(self._called)
        try:
            yield
        finally:
            sys.setprofile(outer)
            if collecting:
                gc.enable()

    def _called(self, frame: Any, event: str, what: Any) -> None:
        code = frame.f_code
        if code in _foreign or event not in ("call", "c_call"):
            return
        if code.co_filename.startswith(_FOREIGN):
            _foreign.add(code)
        elif event == "c_call":
            if _has_effect(what) and (type(what.__self__).__module__ == "random" or not _is_standard(code.co_filename)):
                self.problems.append(f"the function calls {what.__name__}(), which a program would not; do it outside")
        elif not _is_standard(code.co_filename):
            self._enter(code, frame)

    def _enter(self, code: types.CodeType, frame: Any) -> None:
        if code not in self._functions:  # it came by a way that was not seen
            new = code.co_filename == "<string>" or _is_within(code, frame.f_back)
            holders = () if new else gc.get_referrers(code)
            self._functions[code] = [f for f in holders if isinstance(f, types.FunctionType)]
        names = _read_by(code)
        self.asks_types |= "type" in names.globals
        for function in self._functions[code]:
            if function not in self._entered:
                self._entered.add(function)
                self._function(function, names)
        for name, value in frame.f_locals.items():
            if id(value) in self._known:
                self.look(value, names, name)

    def _function(self, function: types.FunctionType, names: Names) -> None:
        """Note what a function reads."""
        scope = function.__globals__
        found: list[tuple[str, Any]] = [*self._slots_of(scope, names.globals & scope.keys())]
        for name in names.stored_globals - scope.keys():
            self.absent[id(scope), name] = scope, name
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            value = at(cell, name)
            if (id(cell), name) not in self._anew:
                self.cells.setdefault(id(cell), (name, cell, value))
            found.append((name, value))
        if function.__defaults__:
            self._read(function.__name__, lambda: function.__defaults__)
            found += [(function.__name__, value) for value in function.__defaults__]
        if function.__kwdefaults__:
            found.append((function.__name__, function.__kwdefaults__))
        for name, thing in found:
            self.look(thing, names, name)

    # --- comparing --------------------------------------------------------------------------------------------------

    def seal(self) -> None:
        """Nothing more is noted: what was only needed for that is given up."""
        del self._seen, self._known, self._functions, self._entered, self._anew
        for scope, key in self.numbers:
            self.others.append((str(key), functools.partial(_type_at, scope, key), _type_at(scope, key)))

    def modes(self) -> list[tuple[dict, bool]]:
        """The modules that are in another mode now: (what has its `training`, what that is)."""
        return [(scope, scope[key]) for scope, key, held in self.slots.values()
                if key == "training" and "_registered" in scope and scope[key] is not held]

    def _differences(self) -> Iterator[tuple[str, Any, Any, Any]]:
        """(its name, its scope, its key, what it held) of each variable that holds something else now; of what is no
        variable the name, and three times None."""
        for scope, key, held in self.slots.values():
            now = at(scope, key)
            if now is not held and not _alike(now, held):
                yield str(key), scope, key, held
        for name, cell, held in self.cells.values():
            now = at(cell, name)
            if now is not held and not _alike(now, held):
                yield name, cell, name, held
        for name, thing, size in self.sizes.values():
            if name and len(thing) != size:
                yield name, None, None, None
        for own, name in self.absent.values():
            if name in own:
                yield name, None, None, None
        for name, read, held in self.others:
            if read() != held:
                yield name, None, None, None

    def changed(self, modes: bool = True) -> str | None:
        """The name of a variable that holds something else now. modes: those of modules count."""
        return next((name for name, scope, key, _ in self._differences()
                     if modes or key != "training" or "_registered" not in scope), None)

    def other_numbers(self, kinds: Collection[type]) -> list[tuple[Any, Any]] | None:
        """The variables that hold other numbers of these kinds now, as (scope, key); None where more is different."""
        found: list[tuple[Any, Any]] = []
        for _, scope, key, held in self._differences():
            is_written = type(scope) in (dict, list, types.CellType)
            if not is_written or type(held) not in kinds or type(at(scope, key)) is not type(held):
                return None
            found.append((scope, key))
        return found

    def replace(self, kind: type, by: Callable[[Any], Any]) -> None:
        """Put `by(x)` where a variable holds an x of this type."""
        variables = [slot[:2] for slot in self.slots.values()] + [(cell, name) for name, cell, _ in self.cells.values()]
        for _, thing, _ in self.sizes.values():
            variables += [(thing, key) for key in (thing if isinstance(thing, dict) else range(len(thing)))]
        for scope, key in variables:
            if type(at(scope, key)) is kind:
                put(scope, key, by(at(scope, key)))

    def drew(self) -> bool:
        """Whether random numbers were drawn from NumPy."""
        return any(_position(bits) != before for bits, before in self._drawn)

    def holds(self, things: Container) -> str | None:
        """The name of a variable that holds one of these things."""
        variables = *(slot[1:] for slot in self.slots.values()), *((n, held) for n, _, held in self.cells.values())
        return next((str(name) for name, held in variables if isinstance(held, Tensor) and held in things), None)


def _position(bits: Any) -> Any:
    """How far a bit generator of NumPy's is."""
    state = bits.state["state"]
    return state.get("pos", state)


def at(scope: Any, key: Any) -> Any:
    """What is there in a dict or list, or in the cell of a function's variable; MISSING if nothing is."""
    try:
        return scope.cell_contents if type(scope) is types.CellType else scope[key]
    except (LookupError, ValueError):
        return MISSING


def put(scope: Any, key: Any, value: Any) -> None:
    """Let that be there."""
    if type(scope) is types.CellType:
        scope.cell_contents = value
    else:
        scope[key] = value


def _type_at(scope: Any, key: Any) -> type:
    return type(at(scope, key))


def _alike(a: Any, b: Any) -> bool:
    """Whether two things that cannot change are the same to any code."""
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple):
        return len(a) == len(b) and all(x is y or _alike(x, y) for x, y in zip(a, b))
    return isinstance(a, (*PLAIN, np.generic)) and repr(a) == repr(b)


def _still(value: Any) -> Any:
    """A thing, in a form that is equal to itself alone, or to what no code can tell from it."""
    if isinstance(value, tuple):
        return type(value), tuple(map(_still, value))
    return (type(value), repr(value)) if isinstance(value, (*PLAIN, np.generic)) else id(value)


# --- what code reads --------------------------------------------------------------------------------------------------


class Names:
    """The names in code: globals, attributes that are read (or all), globals and attributes that are written."""

    def __init__(self, code: types.CodeType | None) -> None:
        self.key = code
        self.globals: set[str] = set()
        self.read: set[str] = set()
        self.stored: set[str] = set()
        self.stored_globals: set[str] = set()
        if code is not None:
            self._take(code)
        self.any = not _ANY.isdisjoint(self.globals | self.read)
        self.all = self.read | self.stored

    def _take(self, code: types.CodeType) -> None:
        for instruction in dis.get_instructions(code):
            into = _KINDS.get(instruction.opname)
            if into is not None:
                getattr(self, into).add(instruction.argval)
        for inner in code.co_consts:
            if isinstance(inner, types.CodeType):
                self._take(inner)
        self.globals |= self.stored_globals


_KINDS = {"LOAD_GLOBAL": "globals", "LOAD_NAME": "globals", "LOAD_ATTR": "read", "LOAD_METHOD": "read",
          "STORE_ATTR": "stored", "STORE_GLOBAL": "stored_globals"}  # fmt: skip
_read_by = functools.cache(Names)
_NO_NAMES = Names(None)


def _is_standard(file: str) -> bool:
    """Whether a module is Python's own."""
    return file.startswith(_STANDARD) and "site-packages" not in file


def _is_within(code: types.CodeType, frame: Any) -> bool:
    """Whether code is that of a function inside one that is running."""
    while frame is not None:
        if code in frame.f_code.co_consts:
            return True
        frame = frame.f_back
    return False


def _has_effect(function: Any) -> bool:
    """Whether a function in C gives other results at each call, or has an effect."""
    name, owner = function.__name__, getattr(function, "__self__", None)
    if type(owner).__module__ == "random" or getattr(owner, "__name__", "") == "time":
        return True
    return getattr(owner, "__name__", "") == "builtins" and name in ("print", "input", "open")
