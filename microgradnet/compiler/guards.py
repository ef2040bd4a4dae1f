"""Guards: what a program takes for granted, looked at before each call.

A program was recorded with arguments of certain shapes and dtypes, with modules in a certain mode, with certain
parameters and Python numbers. Where something is different, another program is needed.
"""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any

from .. import recording
from ..nn import Module
from ..optim import Optimizer
from ..tensor import Tensor

if TYPE_CHECKING:
    from .capture import Recording

PLAIN = (bool, int, float, str, bytes, type(None))
_CONTAINERS = (list, tuple, dict, set)
_OWN = __name__.partition(".")[0] + "."  # the functions of this package keep no variables that matter
_MOST = 100  # entries of a list or dict that is watched one by one


class Variable:
    """A Python variable, and what it held when it was first seen."""

    __slots__ = ("read", "name", "held", "still")

    def __init__(self, read: Callable[[], Any], name: str) -> None:
        self.read, self.name = read, name
        self.held = read()
        self.still = _still(self.held)

    def changed(self) -> bool:
        """Whether it holds something else now."""
        now = self.read()
        return (now is not self.held or type(now) in _CONTAINERS) and _still(now) != self.still


class Watch:
    """The Python variables that a function, its arguments and the modules it calls can give it: globals, variables of
    the functions around it, attributes. What they hold is noted when they are first seen."""

    def __init__(self, function: Callable, arguments: Iterable = ()) -> None:
        self.entries: list[tuple[dict, str, Any]] = []  # in a dict: (where, name, what it held)
        self.others: list[Variable] = []
        self.modules: dict[Module, None] = {}
        self._seen: set[Any] = set()
        while isinstance(function, functools.partial):
            function = function.func
        self._function(function, arguments)

    def module(self, module: Module) -> None:
        """Watch a module that is called."""
        if module in self.modules:
            return
        self.modules[module] = None
        own = module.__dict__
        for name, value in own.items():
            if name in module._registered or name == "_hooks" or type(value) in PLAIN:
                self._variable(own, name)
        for cls in type(module).__mro__:
            if not (cls.__module__ + ".").startswith(_OWN):
                for function in vars(cls).values():
                    self._function(function)

    def changed(self) -> str | None:
        """The name of a variable that holds something else now."""
        for scope, name, held in self.entries:
            if scope.get(name, _MISSING) is not held and _still(scope.get(name, _MISSING)) != _still(held):
                return name
        for variable in self.others:
            if variable.changed():
                return variable.name
        return None

    def holds(self, things: Container) -> str | None:
        """The name of a variable that holds one of these things."""
        for _, name, held in self.entries:
            if isinstance(held, Tensor) and held in things:
                return name
        return next((v.name for v in self.others if isinstance(v.held, Tensor) and v.held in things), None)

    def _variable(self, scope: dict, name: str) -> None:
        if type(scope[name]) in _CONTAINERS:
            self.others.append(Variable(lambda: scope.get(name, _MISSING), name))
        else:
            self.entries.append((scope, name, scope[name]))

    def _function(self, function: Any, arguments: Iterable = ()) -> None:
        found = [*arguments, getattr(function, "__self__", None), *(getattr(function, "__defaults__", None) or ())]
        function = getattr(function, "__func__", function)
        if not isinstance(function, types.FunctionType) or function in self._seen:
            return
        if (function.__module__ or "").startswith(_OWN):
            return
        self._seen.add(function)
        variables, attributes = _read_by(function.__code__)
        if function.__defaults__:
            self.others.append(Variable(lambda: function.__defaults__, function.__name__))
        for name in sorted(variables & function.__globals__.keys()):
            self._variable(function.__globals__, name)
            found.append(function.__globals__[name])
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            self.others.append(Variable(functools.partial(_content, cell), name))
            found.append(_content(cell))
        for thing in found:
            self._function(thing)
            own = getattr(thing, "__dict__", None)
            if type(own) is dict and not isinstance(thing, (Tensor, types.FunctionType)):
                for name in sorted(attributes & own.keys()):
                    self._variable(own, name)
                for name in sorted(attributes & vars(type(thing)).keys()):
                    self._function(vars(type(thing))[name])


@functools.cache
def _read_by(code: types.CodeType) -> tuple[set[str], set[str]]:
    """(the global names, the attributes) that code reads, that of the functions inside it as well"""
    names: set[str] = set()
    attributes: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names.add(instruction.argval)
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            attributes.add(instruction.argval)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            more = _read_by(inner)
            names |= more[0]
            attributes |= more[1]
    return names, attributes


class _Same:
    """Equal to the very same object alone."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: Any) -> bool:
        return type(other) is _Same and other.thing is self.thing

    __hash__ = None  # type: ignore[assignment]


_MISSING = object()


def _still(value: Any, depth: int = 3) -> Any:
    """What a variable holds, as something to compare with what it holds later."""
    kind = type(value)
    if kind in PLAIN:
        return value if kind in (str, type(None)) else (kind, value)
    if depth and kind in (list, tuple, set, frozenset) and len(value) <= _MOST:
        return kind, [_still(part, depth - 1) for part in value]
    if depth and kind is dict and len(value) <= _MOST:
        return kind, list(value), [_still(part, depth - 1) for part in value.values()]
    return _Same(value)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _MISSING  # not set yet


class Guards:
    """What must be as it was. `hold()` says whether it is; of the arguments `leaves` speaks."""

    def __init__(self, found: Recording) -> None:
        self.grad, self.changing = recording.is_grad_enabled(), found.changing
        self.watch, self.waiting = found.watch, found.waiting
        self.layouts = [(tensor, _layout(tensor)) for tensor in found.states]
        self.groups = [(optimizer, self._options(optimizer)) for optimizer in found.optimizers]
        self.numbers = [(group, name, value) for optimizer in found.optimizers for group in optimizer.param_groups
                        for name, value in group.items() if name not in _READ and _nonzero(value)]
        self._note_objects()

    def hold(self) -> bool:
        """Whether everything is as it was when the program was recorded."""
        if recording.is_grad_enabled() is not self.grad:
            return False
        if self._same_objects():
            return True
        same = (
            all(_layout(tensor) == layout for tensor, layout in self.layouts)
            and all((tensor._grad is not None) is there for tensor, there in self.waiting)
            and all(self._options(optimizer) == options for optimizer, options in self.groups)
            and self.watch.changed() is None
        )
        if same:
            self._note_objects()
        return same

    def _note_objects(self) -> None:
        """Note which objects the variables hold. While they do, all is well, for most of them cannot change."""
        groups = [group for optimizer, _ in self.groups for group in optimizer.param_groups]
        held = [(group, name) for group in groups for name in group if name not in ("lr", *self.changing)]
        held += [(optimizer.__dict__, name) for optimizer, _ in self.groups for name in ("state", "param_groups")]
        held += [(scope, name) for scope, name, _ in self.watch.entries]
        self._held = [(scope, name, scope[name]) for scope, name in held if name in scope]
        self._all_held = len(self._held) == len(held)
        self._arrays = [(tensor, tensor._data, tensor._requires_grad) for tensor, _ in self.layouts]
        self._sizes = [(thing, len(thing)) for optimizer, _ in self.groups for thing in (
            optimizer.state, optimizer.param_groups, optimizer._pre_hooks, optimizer._post_hooks,
            *(group["params"] for group in optimizer.param_groups))]  # fmt: skip

    def _same_objects(self) -> bool:
        try:
            for scope, name, value in self._held:
                if scope[name] is not value:
                    return False
        except KeyError:
            return False
        for tensor, data, requires_grad in self._arrays:
            if tensor._data is not data or tensor._requires_grad is not requires_grad:
                return False
        for thing, size in self._sizes:
            if len(thing) != size:
                return False
        for tensor, there in self.waiting:
            if (tensor._grad is not None) is not there:
                return False
        if self.changing and any(self._options(optimizer) != options for optimizer, options in self.groups):
            return False
        return self._all_held and not any(variable.changed() for variable in self.watch.others)

    def changed_numbers(self) -> set[str]:
        """The options of optimizers that are other floats now, and those that have been before."""
        now = {name for group, name, value in self.numbers if group.get(name) != value and _nonzero(group.get(name))}
        return now | set(self.changing)

    def _options(self, optimizer: Optimizer) -> list:
        """The options of the groups that are not read anew, and which parameters have what kind of state."""
        found: list[Any] = [hook for hooks in (optimizer._pre_hooks, optimizer._post_hooks) for hook in hooks.values()]
        for group in optimizer.param_groups:
            for name, value in group.items():
                if name in self.changing:
                    found.append(_nonzero(value))
                elif name not in _READ:
                    found.append(value)
            found += [len(optimizer.state[p]) for p in group["params"] if p in optimizer.state]
            found += map(id, group["params"])
        return found


def _layout(tensor: Tensor) -> tuple:
    """Shape, strides and dtype, and whether it requires a gradient."""
    data = tensor._data
    return data.shape, data.strides, data.dtype, tensor._requires_grad


_READ = {"lr", "params", "initial_lr"}  # of a group: what is read at each call, or does not matter


def _nonzero(option: Any) -> bool:
    """Whether an option is a float, or a tuple of them, and none is 0."""
    return type(option) is float and option != 0 or type(option) is tuple and all(map(_nonzero, option))


def leaves(tree: Any, into: list[Tensor]) -> Any:
    """What the arguments are, but for the numbers in tensors, as something to compare; the tensors go `into` a list."""
    if isinstance(tree, Tensor):
        into.append(tree)
        return *_layout(tree), tree._grad is None
    if isinstance(tree, (tuple, list)):
        return type(tree), tuple([leaves(part, into) for part in tree])
    if isinstance(tree, dict):
        return tuple([(key, leaves(part, into)) for key, part in tree.items()])
    if type(tree) in PLAIN:
        return type(tree), tree
    return _Same(tree)
