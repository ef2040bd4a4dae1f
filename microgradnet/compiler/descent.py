"""Descent: the step of an optimizer while a function is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import recording
from ..optim import Optimizer
from .program import Step, Value, replaced
from .refusals import listens
from .updates import update_of

if TYPE_CHECKING:
    from .capture import Recorder


def descend(recorder: Recorder, optimizer: Optimizer, step: Callable, closure: Callable | None) -> Any:
    """Let an optimizer make its step, and write it down as the next one will be."""
    if optimizer._pre_hooks or optimizer._post_hooks:
        recorder.refuse(f"{type(optimizer).__name__} has step hooks, which a program would not call; remove them")
    if recorder.error is not None:
        return step(optimizer, closure)
    recorder.rates += [(group, group["lr"]) for group in optimizer.param_groups]
    recorder.found.optimizers[optimizer] = None
    loss = None
    if closure is not None:
        with recording.enable_grad():
            loss = closure()
    ready: list[tuple[dict, list]] = []
    for group in optimizer.param_groups:
        for p in group["params"]:
            recorder.grad_of(p)
        _find_ready(recorder, group, ready)
    recorder.stepping = True  # its writes are known
    step(optimizer)
    recorder.stepping = False
    for group, entries in ready:
        _write_update(recorder, optimizer, group, entries)
    return loss


@listens
def _find_ready(recorder: Recorder, group: dict, ready: list) -> None:
    """Add a group with its parameters that have a gradient, and the Values of both."""
    given = [p for p in group["params"] if p._grad is not None]
    entries = [(p, recorder.value_of(p.array, p), recorder.value_of(p._grad.array, p._grad)) for p in given]
    recorder.consumed.update(given)
    if entries:
        ready.append((group, entries))


@listens
def _write_update(recorder: Recorder, optimizer: Optimizer, group: dict, entries: list) -> None:
    update = update_of(optimizer, group, entries, recorder.found.changing)
    first = {value: recorder.kept.setdefault((optimizer, *of), value) for value, of in update.values.items()}

    def now(value: Value) -> Value:  # what an earlier step of this call has left
        return recorder.keeps.get(first.get(value, value), first.get(value, value))

    for step in update.steps:
        args, params = replaced(step.args, now), replaced(step.params, now)
        recorder.write_down(Step(step.function, args, params, step.out, step.view, step.note))
    targets = {value: p for p, value, _ in entries}
    for target, new in update.writes:
        if target in targets:
            place = recorder.memory.find(targets[target].array)
            assert place is not None
            recorder.memory.write(place, new)
        else:
            recorder.keeps[first[target]] = now(new)
