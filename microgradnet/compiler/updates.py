"""An optimizer's update as steps: its `_update`, the formula on raw arrays, is run on arrays that write down what it
does. The learning rate and the step count are numbers that change from call to call."""

from __future__ import annotations

import types
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np

from ..optim.optimizer import Group, Optimizer
from ..tensor import Tensor
from .program import Source, Step, Value, replaced, values_in
from .samples import Samples
from .traced import Escaped, Trace, Traced
from .tracing import number_shadows, rebound


class Update(NamedTuple):
    """steps: of the update. writes: what parameters and state are to be after it, as `Program.writes`.

    values: the Values made for what the optimizer keeps, with the parameter and the name each has in `optimizer.state`.
    """

    steps: list[Step]
    writes: list[tuple[Value, Value]]
    values: dict[Value, tuple[Tensor, str]]


class _Kept:
    """A tensor of an optimizer's state, as far as a formula looks at it."""

    def __init__(self, array: Any) -> None:
        self.array = self._data = array
        self.shape, self.dtype = array.shape, array.dtype


class _Scratch(dict):
    """As `optimizer.Scratch`, of Traced arrays."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __missing__(self, key: tuple) -> tuple[Any, Any]:
        buffers = self[key] = self.trace.call(np.zeros, key), self.trace.call(np.zeros, key)
        return buffers


class _StandIn:
    """An optimizer with a state of its own, whose methods pass through `bound`."""

    def __init__(self, optimizer: Optimizer, bound: Callable, **own: Any) -> None:
        self.__dict__.update(own, _optimizer=optimizer, _bound=bound)

    def __getattr__(self, name: str) -> Any:
        method = getattr(type(self._optimizer), name, None)
        if isinstance(method, types.FunctionType):
            return types.MethodType(self._bound(method), self)
        return getattr(self._optimizer, name)


Ready = list[tuple[Tensor, Value, Value]]


def update_of(optimizer: Optimizer, group: Group, ready: Ready, changing: Collection[str] = ()) -> Update:
    """The update of some parameters of a group, each given with its own Value and that of its gradient.

    The optimizer must have made a step before, so that its state is there. `lr`, numbers in the state and the options
    named in `changing` (each a float, or a tuple of them, and not 0) are read anew at each call; the group's other
    options are as they are now. A formula that cannot be followed is one step.
    """
    options = {name: _option(group, name) for name in ("lr", *changing) if name in group}
    values: dict[Value, tuple[Tensor, str]] = {}
    for param, _, _ in ready:
        for name, entry in optimizer.state[param].items():
            value = _kept_value(optimizer, param, name, entry)
            if value is not None:
                values[value] = param, name
    try:
        steps, writes = _followed(optimizer, group, ready, options, values)
    except Exception:  # whatever a formula may do with what it does not expect
        steps, writes = _opaque(optimizer, group, ready, options, values)
    for step in steps:
        step.note = type(optimizer).__name__
    return Update(steps, writes, values)


def _option(group: Group, name: str) -> Any:
    """The Value, or Values, of an option that is read anew at each call."""
    if isinstance(group[name], tuple):
        return tuple(Value((), float, f"{name}{i + 1}", Source("number", lambda i=i: float(group[name][i])))  # type: ignore[misc]
                     for i in range(len(group[name])))
    return Value((), float, name, Source("number", lambda: float(group[name])))


def _kept_value(optimizer: Optimizer, param: Tensor, name: str, entry: Any) -> Value | None:
    def there() -> Any:
        return optimizer.state[param][name]

    def put(number: Any) -> None:
        optimizer.state[param][name] = number

    if isinstance(entry, Tensor):
        read: Callable[[], Any] = lambda: there().array  # noqa: E731
        return Value(tuple(entry.shape), entry.dtype, name, Source("state", read))
    if type(entry) in (int, float):
        return Value((), type(entry), name, Source("number", there, put))
    return None


def _states(optimizer: Optimizer, ready: Ready, values: dict, entry_of: Callable[[Value], Any]) -> dict[Tensor, dict]:
    """The state of some parameters, with what `entry_of` gives in place of the entries that have a Value."""
    states: dict[Tensor, dict] = {param: dict(optimizer.state[param]) for param, _, _ in ready}
    for value, (param, name) in values.items():
        states[param][name] = entry_of(value)
    return states


def _followed(optimizer: Optimizer, group: Group, ready: Ready, options: dict, values: dict) -> tuple[list, list]:
    trace, samples = Trace(), Samples()
    arrays: list[tuple[Value, Traced]] = []

    def stand(value: Value) -> Traced:
        sample = samples[value]
        is_array = not isinstance(value.dtype, type)
        traced = Traced(trace, value, np.array(sample, order="K") if is_array else sample)
        if is_array:
            arrays.append((value, traced))
        return traced

    states = _states(optimizer, ready, values, lambda v: stand(v) if isinstance(v.dtype, type) else _Kept(stand(v)))
    given: list[Any] = []
    for param, p, g in ready:
        given.append((param, stand(p), Traced(trace, g, samples[g], writable=False)))
    stand_in: Any = _StandIn(optimizer, lambda method: rebound(method, trace, **number_shadows(trace)), state=states,
                             _scratch=_Scratch(trace))
    with np.errstate(all="ignore"):
        stand_in._update(given, {**group, **{name: replaced(option, stand) for name, option in options.items()}})
    numbers = set(values_in(options))  # of which none is 0
    if trace.escaped or any(value not in numbers for _, value, _ in trace.decisions):
        raise Escaped(f"{type(optimizer).__name__}: the numbers decide what its update does")
    writes = [(value, traced.current()) for value, traced in arrays if traced.current() is not value]
    for value, (param, name) in values.items():
        if isinstance(value.dtype, type) and states[param][name].current() is not value:
            writes.append((value, states[param][name].current()))
    return trace.steps, writes


def _opaque(optimizer: Optimizer, group: Group, ready: Ready, options: dict, values: dict) -> tuple[list, list]:
    """One step, which runs the update on copies."""
    targets = [p for _, p, _ in ready] + list(values)

    def updated_state(numbers: list, gradients: list, *old: Any) -> tuple:
        new = dict(zip(targets, (x.copy(order="K") if isinstance(x, np.ndarray) else x for x in old)))
        states = _states(optimizer, ready, values, lambda v: new[v] if isinstance(v.dtype, type) else Tensor(new[v]))
        given = [(param, new[p], g) for (param, p, _), g in zip(ready, gradients)]
        stand_in: Any = _StandIn(optimizer, lambda method: method, state=states)
        with np.errstate(all="ignore"):
            stand_in._update(given, {**group, **dict(zip(options, numbers))})
        entries = (states[param][name] for param, name in values.values())
        return (*(p for _, p, _ in given), *(e.array if isinstance(e, Tensor) else e for e in entries))

    updated_state.__name__ = f"{type(optimizer).__name__.lower()}_update"
    outs = tuple(Value(v.shape, v.dtype, v.name) for v in targets)
    step = Step(updated_state, (list(options.values()), [g for _, _, g in ready], *targets), {}, outs)
    return [step], list(zip(targets, outs))
