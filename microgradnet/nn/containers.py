"""Containers: modules and parameters held in order or by name."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from ..tensor import Tensor
from .module import Module, indent
from .parameter import MODULE, Parameter, as_parameter


class _Ordered(Module):
    """Submodules in a row: the sequence half of Sequential and ModuleList. Numbered names follow the positions."""

    def __len__(self) -> int:
        return len(self._members(MODULE))

    def __iter__(self) -> Iterator[Module]:
        return iter(self._members(MODULE).values())

    def _name_at(self, index: Any) -> str:
        names, i = list(self._members(MODULE)), operator.index(index)
        if not -len(names) <= i < len(names):
            raise IndexError(f"index {i} is out of range for {self._get_name()} of length {len(names)}")
        return names[i]

    def _renumber(self, modules: Iterable[Module]) -> None:
        """Hold exactly these modules, named by position."""
        modules = list(modules)
        for module in modules:
            if not isinstance(module, (Module, type(None))):
                raise TypeError(f"{self._get_name()} holds modules only, got {type(module).__name__}: {module!r}")
        for name in self._members(MODULE):
            delattr(self, name)
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def __getitem__(self, index: Any) -> Any:
        return getattr(self, self._name_at(index))

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self)
        if not isinstance(index, slice):
            self._name_at(index)
        del modules[index]
        self._renumber(modules)

    def append(self, module: Module) -> Any:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Add modules at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"{self._get_name()}.extend() expects an iterable of modules, got {type(modules).__name__}")
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Put a module before position `index`."""
        modules = list(self)
        if not -len(modules) <= index <= len(modules):
            raise IndexError(f"index {index} is out of range for {self._get_name()} of length {len(modules)}")
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def pop(self, key: int | slice) -> Module:
        """Take out the module at a position and return it."""
        module = self[key]
        del self[key]
        return module

    def __iadd__(self, other: Iterable[Module]) -> Any:  # self += other
        return self.extend(other)


class Sequential(_Ordered):
    """Modules applied one after another: `Sequential(a, b)(x)` is `b(a(x))`.

    Give them as arguments, or as one OrderedDict of names to modules.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = len(args) == 1 and isinstance(args[0], Mapping) and not isinstance(args[0], Module)
        for name, module in args[0].items() if named else enumerate(args):
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        """Each module's output is the next one's input."""
        own = self.__dict__
        for name, kind in self._registered.items():
            if kind == MODULE:
                input = own[name](input)
        return input

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(dict(list(self._members(MODULE).items())[index]))
        return super().__getitem__(index)

    def __add__(self, other: Sequential) -> Sequential:  # self + other
        return Sequential(*self, *_a_sequential(other))

    def __iadd__(self, other: Iterable[Module]) -> Sequential:  # self += other
        return self.extend(_a_sequential(other))

    def __mul__(self, times: int) -> Sequential:  # self * times
        return Sequential(*(list(self) * _a_number_of_times(times)))

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Sequential:  # self *= times
        return self.extend(list(self) * (_a_number_of_times(times) - 1))


def _a_sequential(other: Any) -> Sequential:
    if not isinstance(other, Sequential):
        raise ValueError(f"a Sequential can be added to another one only, got {type(other).__name__}; use extend()")
    return other


def _a_number_of_times(times: Any) -> int:
    if not isinstance(times, int):
        raise TypeError(f"a Sequential can be repeated a whole number of times, got {type(times).__name__}")
    if times <= 0:
        raise ValueError(f"a Sequential can be repeated a positive number of times only, got {times}")
    return times


class ModuleList(_Ordered):
    """A list whose modules are registered."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __getitem__(self, index: int | slice) -> Any:
        return type(self)(list(self)[index]) if isinstance(index, slice) else super().__getitem__(index)

    def insert(self, index: int, module: Module) -> None:
        """Put a module before position `index`; beyond an end, at that end."""
        super().insert(max(-len(self), min(index, len(self))), module)

    def __add__(self, other: Iterable[Module]) -> ModuleList:  # self + other
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        """Equal neighbours are told once, with their number."""
        runs: list[list] = []  # [first, last, repr]
        for i, module in enumerate(self):
            if runs and runs[-1][2] == repr(module):
                runs[-1][1] = i
            else:
                runs.append([i, i, repr(module)])
        if not runs:
            return f"{self._get_name()}()"
        lines = [f"({a}): {text}" if a == b else f"({a}-{b}): {b - a + 1} x {text}" for a, b, text in runs]
        return f"{self._get_name()}(\n{indent(lines)}\n)"


class _Dict(Module, MutableMapping):
    """The mapping half of ModuleDict and ParameterDict; the keys are the names of attributes."""

    __eq__, __hash__ = object.__eq__, object.__hash__  # by identity as every Module, not by content as a Mapping

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        delattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in set(self)

    def __len__(self) -> int:
        return len(list(iter(self)))


class ModuleDict(_Dict):
    """A dict whose modules are registered."""

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        if self._registered.get(key) != MODULE:
            raise KeyError(key)
        return self.__dict__[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __iter__(self) -> Iterator[str]:
        return iter(self._members(MODULE))


def _line(name: Any, value: Any) -> str:
    if not isinstance(value, Parameter):
        return f"  ({name}): Object of type: {type(value).__name__}"
    return f"  ({name}): Parameter containing: [{value.dtype} of size {'x'.join(map(str, value.shape))}]"


class ParameterList(Module):
    """A list whose tensors become registered Parameters; other values are held as they are."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def _name_at(self, index: Any) -> str:
        i = operator.index(index)
        if not -self._size <= i < self._size:
            raise IndexError(f"index {i} is out of range for {self._get_name()} of length {self._size}")
        return str(i % self._size)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return getattr(self, self._name_at(index))

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._name_at(index), as_parameter(value))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(self._size))

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:  # self += values
        return self.extend(values)

    def append(self, value: Any) -> ParameterList:
        """Add a value at the end."""
        self._size += 1
        self[-1] = value
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add values at the end."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(f"ParameterList.extend() expects an iterable of tensors, got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def extra_repr(self) -> str:
        return "\n".join(_line(i, value) for i, value in enumerate(self))


class ParameterDict(_Dict):
    """A dict whose tensors become registered Parameters; other values are held as they are."""

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self._keys and hasattr(self, key):
            raise KeyError(f"attribute '{key}' already exists")
        setattr(self, key, as_parameter(value))
        self._keys[key] = None

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        del self._keys[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def popitem(self) -> tuple[str, Any]:
        """Take out the last (key, value)."""
        for key in reversed(self):
            return key, self.pop(key)
        raise KeyError("the ParameterDict is empty")

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a key, which is `default` from now on if it has none."""
        if key not in self:
            self[key] = default
        return self[key]

    def copy(self) -> ParameterDict:
        """Another one of the same parameters."""
        return ParameterDict(self)

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """Another one, of these keys and one value."""
        return ParameterDict((key, default) for key in keys)

    def __or__(self, other: Mapping[str, Any]) -> ParameterDict:  # self | other
        new = self.copy()
        new.update(other)
        return new

    def __ror__(self, other: Any) -> Any:  # other | self, of the kind of other
        new = other.copy()
        new.update(self)
        return new

    def __ior__(self, other: Mapping[str, Any]) -> ParameterDict:  # self |= other
        self.update(other)
        return self

    def extra_repr(self) -> str:
        return "\n".join(_line(key, value) for key, value in self.items())
