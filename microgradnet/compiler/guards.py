"""Guards: what a program takes for granted, looked at before each call.

A program was recorded with arguments of certain shapes and dtypes, with modules in a certain mode, with certain
parameters and Python numbers. Where something is different, another program is needed.
"""

from __future__ import annotations

import itertools
from operator import attrgetter, getitem, is_
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes, lints, recording
from ..optim import Optimizer
from ..tensor import Tensor
from .watch import MISSING, PLAIN, at

if TYPE_CHECKING:
    from .capture import Recording


_WRITTEN = 1000  # slots that are looked at by written code


class Quick:
    """Whether variables hold the very objects that they held when they were noted last: quick, and mostly enough.

    `same` is a function written for just these: it reads `o0['training'] is h0 and o1.cell_contents is h1 and …`.
    slots: (a dict or list, key). attributes: (an object, name). sized: containers, of which the length counts.
    others: functions, whose results must be equal.
    """

    def __init__(self, slots: list, attributes: list, sized: list, others: list) -> None:
        self._objects: dict[str, Any] = {}
        self._names: dict[int, str] = {}
        readings = [f"{self._name(scope)}[{self._name(key)}]" for scope, key in slots[:_WRITTEN]]
        readings += [f"{self._name(thing)}.{name}" for thing, name in attributes]
        tests = [f"{reading} is h{i}" for i, reading in enumerate(readings)]
        tests += [f"len({self._name(thing)}) == n{i}" for i, thing in enumerate(sized)]
        self._slots, self._attributes, self._sized, self._others = slots, attributes, sized, others
        self._flat = _flat(slots, attributes, sized, others)
        self._more = slots[_WRITTEN:]  # text grows, and long lists are rare
        exec(f"def same():\n    return {' and '.join(tests) or True}", self._objects)
        self._same = self._objects["same"]
        self.note()

    def _name(self, thing: Any) -> str:
        if type(thing) in (str, int):
            return repr(thing)
        name = self._names.setdefault(id(thing), f"o{len(self._names)}")
        self._objects[name] = thing
        return name

    def is_at(self, *places: list) -> bool:
        """Whether these are the places that are looked at."""
        return len(new := _flat(*places)) == len(self._flat) and all(map(is_, new, self._flat))

    def note(self) -> None:
        """Note what is there now."""
        held = [at(*slot) for slot in self._slots[:_WRITTEN]]
        held += [getattr(thing, name, MISSING) for thing, name in self._attributes]
        self._objects.update((f"h{i}", thing) for i, thing in enumerate(held))
        self._objects.update((f"n{i}", len(thing)) for i, thing in enumerate(self._sized))
        self._rest = [at(*slot) for slot in self._more]
        self._results = [read() for read in self._others]

    def same(self) -> bool:
        """Whether nothing is another object now."""
        try:
            if not self._same() or self._others and [read() for read in self._others] != self._results:
                return False
            return not self._more or all(map(is_, itertools.starmap(getitem, self._more), self._rest))
        except (LookupError, ValueError, AttributeError):
            return False


def _flat(slots: list, attributes: list, *things: list) -> list:
    return [*itertools.chain(*slots, *attributes, *things)]


class _Same:
    """Equal to the very same object alone."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: Any) -> bool:
        return type(other) is _Same and other.thing is self.thing

    __hash__ = None  # type: ignore[assignment]


def modes() -> tuple:
    """What decides, besides its arguments, what an operation gives."""
    mode = recording._mode.get()
    return mode.grad, mode.inference, dtypes._default


class Guards:
    """What must be as it was. `hold()` says whether it is; of the arguments `leaves` speaks."""

    def __init__(self, found: Recording) -> None:
        self.modes, self.changing = found.modes, found.changing
        self.watch = found.watch
        self.waiting = [*found.waiting.items()]
        self.tensors = list(found.states)
        self.layouts = [*map(layout_of, self.tensors)]
        self.groups = [(optimizer, self._options(optimizer)) for optimizer in found.optimizers]
        self.numbers = [(group, name, value) for optimizer in found.optimizers for group in optimizer.param_groups
                        for name, value in group.items() if name not in _READ and _nonzero(value)]
        self._quick = Quick(*self._look())

    def hold(self) -> bool:
        """Whether everything is as it was when the program was recorded."""
        if modes() != self.modes:
            return False
        if self._quick.same() and (not self.waiting or self._same_waiting()):
            if not self.changing or all(self._options(optimizer) == options for optimizer, options in self.groups):
                return True
        same = (
            all(layout_of(tensor) == layout for tensor, layout in zip(self.tensors, self.layouts))
            and self._same_waiting()
            and all(self._options(optimizer) == options for optimizer, options in self.groups)
            and self.watch.changed() is None
        )
        if same:
            look = self._look()
            if self._quick.is_at(*look):
                self._quick.note()
            else:
                self._quick = Quick(*look)
        return same

    def _look(self) -> tuple[list, list, list, list]:
        """Which objects the variables hold. While they do, all is well, for most of them cannot change."""
        watch = self.watch
        slots: list[tuple[Any, Any]] = [(scope, key) for scope, key, _ in watch.slots.values()]
        attributes: list[tuple[Any, str]] = [(cell, "cell_contents") for _, cell, _ in watch.cells.values()]
        attributes += [(t, name) for t in self.tensors for name in ("_data", "_requires_grad", "_hooks")]
        sized = [thing for _, thing, _ in watch.sizes.values()]
        sized += [t._hooks for t in self.tensors if t._hooks is not None]
        for optimizer, _ in self.groups:
            groups, state = optimizer.param_groups, optimizer.state
            slots += [(optimizer.__dict__, "state"), (optimizer.__dict__, "param_groups"), *_places(groups)]
            slots += [(group, name) for group in groups for name in group if name not in ("lr", *self.changing)]
            slots += [place for group in groups for place in _places(group["params"])]
            slots += [(state, p) for group in groups for p in group["params"] if p in state]
            sized += [state, groups, optimizer._pre_hooks, optimizer._post_hooks, *(g["params"] for g in groups)]
            sized += [state[p] for group in groups for p in group["params"] if p in state]
        return slots, attributes, sized, [read for _, read, _ in watch.others]

    def _same_waiting(self) -> bool:
        """Whether the gradients to which more is added are there, and lie in memory as they did."""
        return all((tensor._grad is not None and layout_of(tensor._grad)) == layout for tensor, layout in self.waiting)

    def changed_numbers(self) -> set[str]:
        """The options of optimizers that are other floats now, and those that have been before."""
        now = {name for group, name, value in self.numbers if group.get(name) != value and _nonzero(group.get(name))}
        return now | set(self.changing)

    def _options(self, optimizer: Optimizer) -> list:
        """The options of the groups that are not read anew, and which parameters have what kind of state."""
        found: list[Any] = [hook for hooks in (optimizer._pre_hooks, optimizer._post_hooks) for hook in hooks.values()]
        for group in optimizer.param_groups:
            found.append(id(group))  # the program reads from it
            for name, value in group.items():
                if name in self.changing:
                    found.append(_nonzero(value))
                elif name not in _READ:
                    found.append(value)
            found += [len(optimizer.state[p]) for p in group["params"] if p in optimizer.state]
            found += map(id, group["params"])
        return found


def _places(things: list) -> list[tuple[list, int]]:
    return [(things, i) for i in range(len(things))]


def layout_of(tensor: Tensor) -> tuple:
    """Shape, strides and dtype, whether it requires a gradient, and what is done with that."""
    data = tensor._data
    hooks = tensor._hooks and [h for h in tensor._hooks.values() if getattr(h, "__module__", None) != lints.__name__]
    return data.shape, data.strides, data.dtype, tensor._requires_grad, hooks or None


_READ = {"lr", "params", "initial_lr"}  # of a group: what is read at each call, or does not matter


def _nonzero(option: Any) -> bool:
    """Whether an option is a float, or a tuple of them, and none is 0."""
    return type(option) is float and option != 0 or type(option) is tuple and all(map(_nonzero, option))


_facts = attrgetter("_data.shape", "_data.strides", "_data.dtype", "_requires_grad", "_hooks")


def leaves(tree: Any, into: list[Tensor]) -> Any:
    """What the arguments are, but for the numbers in tensors, as something to compare; the tensors go `into` a list."""
    if isinstance(tree, Tensor):
        into.append(tree)
        return _facts(tree), tree._grad is None
    if isinstance(tree, (tuple, list)):
        parts = []
        for part in tree:
            if type(part) is Tensor:  # as above, without a call
                into.append(part)
                parts.append((_facts(part), part._grad is None))
            else:
                parts.append(leaves(part, into))
        return type(tree), parts
    if isinstance(tree, dict):
        return [(key, leaves(part, into)) for key, part in tree.items()]
    if type(tree) in PLAIN or isinstance(tree, np.generic):
        return type(tree), tree or repr(tree)  # 0.0 is not -0.0
    return _Same(tree)
