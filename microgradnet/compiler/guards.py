"""Guards: what a program takes for granted, looked at before each call.

A program was recorded with arguments of certain shapes and dtypes, with modules in a certain mode, with certain
parameters and Python numbers. Where something is different, another program is needed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from operator import attrgetter, getitem, is_
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes, lints, recording
from ..nn import Module
from ..optim import Optimizer
from ..tensor import Tensor
from .watch import MISSING, PLAIN, at

if TYPE_CHECKING:
    from .capture import Recording


_WRITTEN = 1000  # slots that are looked at by written code


class Quick:
    """Whether variables hold the very objects that they held when they were noted last: quick, and mostly enough.

    `same()` is written for just these: it returns `o0['training'] is h0 and o1.cell_contents is h1 and …`.
    slots: (a dict or list, key). attributes: (an object, name). sized: containers, of which the length counts.
    listed: lists whose members count. others: functions, whose results must be equal.
    """

    def __init__(self, slots: list, attributes: list, sized: list, listed: list, others: list) -> None:
        self._objects: dict[str, Any] = {"more": self._more}
        self._names: dict[int, str] = {}
        self._slots, self._rest, self._attributes = slots[:_WRITTEN], slots[_WRITTEN:], attributes
        self._sized, self._listed, self._others = sized, listed, others
        self._things = _flat(slots, attributes, sized, listed, others)
        name = self._name
        tests = [f"{name(scope)}[{name(key)}] is h{i}" for i, (scope, key) in enumerate(self._slots)]
        tests += [f"{name(thing)}.{attribute} is a{i}" for i, (thing, attribute) in enumerate(attributes)]
        tests += [f"len({name(thing)}) == n{i}" for i, thing in enumerate(sized)]
        tests += [f"[*map(id, {name(thing)})] == l{i}" for i, thing in enumerate(listed)]
        tests += [f"{name(read)}() == r{i}" for i, read in enumerate(others)]
        tests += ["more()"] if self._rest else []
        text = f"""
def same():
    try:
        return {' and '.join(tests) or True}
    except (LookupError, ValueError, AttributeError):
        return False
"""
        exec(text, self._objects)
        self.same: Callable[[], bool] = self._objects["same"]
        self.note()

    def _name(self, thing: Any) -> str:
        if type(thing) in (str, int):
            return repr(thing)
        name = self._names.setdefault(id(thing), f"o{len(self._names)}")
        self._objects[name] = thing
        return name

    def renewed(self, *places: list) -> Quick:
        """This, if these are the places it looks at, with what is there now; else a new one for them."""
        things = _flat(*places)
        if len(things) != len(self._things) or not all(map(is_, things, self._things)):
            return Quick(*places)
        self.note()
        return self

    def note(self) -> None:
        """Note what is there now."""
        note = self._objects.update
        note((f"h{i}", at(*slot)) for i, slot in enumerate(self._slots))
        note((f"a{i}", getattr(thing, name, MISSING)) for i, (thing, name) in enumerate(self._attributes))
        note((f"n{i}", len(thing)) for i, thing in enumerate(self._sized))
        note((f"l{i}", [*map(id, thing)]) for i, thing in enumerate(self._listed))
        note((f"r{i}", read()) for i, read in enumerate(self._others))
        self._held = [at(*slot) for slot in self._rest]
        self._members = [*itertools.chain(*self._listed)]  # so that no other takes their ids

    def note_attribute(self, thing: Any, name: str) -> None:
        """Note what an attribute holds now."""
        self._objects[f"a{self._attributes.index((thing, name))}"] = getattr(thing, name)

    def _more(self) -> bool:  # text grows, and so many are rare
        return all(map(is_, itertools.starmap(getitem, self._rest), self._held))


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


_mode = recording._mode.get


def _never() -> bool:
    return False


def modes() -> tuple:
    """What decides, besides its arguments, what an operation gives."""
    mode = _mode()
    return mode.grad, mode.inference, dtypes._default


class Guards:
    """What must be as it was. `hold()` says whether it is; of the arguments `leaves` speaks.

    Most of it need not be looked at: while `recording.settings` stays, modules have their attributes, and tensors
    their arrays. bind: called when they may have others, and all holds.
    """

    def __init__(self, found: Recording, bind: Callable[[], None]) -> None:
        self._settings, self._bind = recording.settings, bind
        self.modes, self.changing = found.modes, found.changing
        self.watch = found.watch
        self.waiting = [*found.waiting.items()]
        self.tensors = list(found.states)
        self.layouts = [*map(layout_of, self.tensors)]
        self.groups = [(optimizer, self._options(optimizer)) for optimizer in found.optimizers]
        self.numbers = [(group, name, value) for optimizer in found.optimizers for group in optimizer.param_groups
                        for name, value in group.items() if name not in _READ and _nonzero(value)]
        self._free, self._noticed = itertools.starmap(Quick, self._look())
        self._note_quick()
        bind()

    def _note_quick(self) -> None:
        """quick(): whether all is the very same; where that cannot be said so quickly, it never is."""
        self.quick = self._free.same if not (self.waiting or self.changing) else _never

    def hold(self) -> bool:
        """Whether everything is as it was when the program was recorded."""
        settings = recording.settings
        if self._settings != settings and self._noticed.same():  # something else was set
            self._settings = settings
            self._free.note_attribute(recording, "settings")
        if not self._free.same():
            return self._closer(settings)
        return not (self.waiting or self.changing) or self._same_waiting() and self._same_options()

    def _closer(self, settings: int) -> bool:
        """Whether all is the same, if not the very same."""
        same = self._same_beside() and self.watch.changed() is None
        if same:
            free, noticed = self._look()
            self._free, self._noticed = self._free.renewed(*free), self._noticed.renewed(*noticed)
            self._settings = settings
            self._note_quick()
            self._bind()
        return same

    def _same_beside(self) -> bool:
        """Whether all is the same beside what is in variables."""
        return (modes() == self.modes
                and all(layout_of(tensor) == layout for tensor, layout in zip(self.tensors, self.layouts))
                and self._same_waiting() and self._same_options())

    def other_numbers(self, kinds: Collection[type]) -> list[tuple[Any, Any]] | None:
        """The variables that hold other numbers now, as (scope, key); None where more is different."""
        if self.watch.asks_types or not self._same_beside():
            return None
        return self.watch.other_numbers(kinds)

    def _look(self) -> tuple[tuple, tuple]:
        """The variables to look at, as for Quick: those that change unnoticed, and those of which `setting` tells."""
        watch = self.watch
        told = {id(x) for module in watch.modules if type(module).__setattr__ is Module.__setattr__
                for x in (vars(module), module._registered)}
        slots: list[tuple[Any, Any]] = []
        told_slots: list[tuple[Any, Any]] = []
        for scope, key, _ in watch.slots.values():
            (told_slots if id(scope) in told else slots).append((scope, key))
        sized: list[Any] = []
        told_sized: list[Any] = [t._hooks for t in self.tensors if t._hooks is not None]
        for _, thing, _ in watch.sizes.values():
            (told_sized if id(thing) in told else sized).append(thing)
        noted: list[tuple[Any, str]] = [(recording, "settings"), (dtypes, "_default")]
        noted += [(cell, "cell_contents") for _, cell, _ in watch.cells.values()]
        shown = [(t, name) for t in self.tensors for name in ("_data", "_requires_grad", "_hooks")]
        others: list[Callable[[], Any]] = [_mode, *(read for _, read, _ in watch.others)]
        listed: list[list] = []
        for optimizer, _ in self.groups:
            groups, state = optimizer.param_groups, optimizer.state
            slots += [(optimizer.__dict__, "state"), (optimizer.__dict__, "param_groups"), *_places(groups)]
            slots += [(group, name) for group in groups for name in group if name not in ("lr", *self.changing)]
            sized += [groups, optimizer._pre_hooks, optimizer._post_hooks]
            params = [p for group in groups for p in group["params"]]
            listed += [group["params"] for group in groups]
            if any(state.get(p) for p in params):
                slots += [(state, p) for p in params if p in state]
                sized += [state, *(state[p] for p in params if p in state)]
        return (slots, noted, sized, listed, others), (told_slots, shown, told_sized, [], [])

    def _same_waiting(self) -> bool:
        """Whether the gradients to which more is added are there, and lie in memory as they did."""
        return all((tensor._grad is not None and layout_of(tensor._grad)) == layout for tensor, layout in self.waiting)

    def _same_options(self) -> bool:
        return all(self._options(optimizer) == options for optimizer, options in self.groups)

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
