"""The end of a recording: what the function returns, which gradients it leaves behind, and what it writes."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import device
from ..tensor import Tensor
from .guards import modes
from .naming import names_of_state
from .program import Value
from .refusals import cannot
from .traced import Traced

if TYPE_CHECKING:
    from .capture import Recorder


@dataclasses.dataclass(frozen=True, slots=True)
class Given:
    """In a result: a tensor that was there before ("state"), or which of the arguments' it is, or which of the results
    before, or whose gradient."""

    kind: str
    which: Any


def rebuilt(tree: Any, kinds: Any, change: Callable[[Any], Any], check: Callable[[Any], None] | None = None) -> Any:
    """A structure again, with `change(x)` in the place of each x of these kinds. check: sees all that is none."""
    def again(part: Any) -> Any:
        return rebuilt(part, kinds, change, check)

    if isinstance(tree, kinds):
        return change(tree)
    if isinstance(tree, (list, tuple)):
        parts = map(again, tree)
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if isinstance(tree, dict) or dataclasses.is_dataclass(tree) and hasattr(tree, "__dict__"):
        new = copy.copy(tree)
        entries: Any = new if isinstance(new, dict) else vars(new)
        for name, part in list(entries.items()):
            entries[name] = again(part)
        return new
    if check is not None:
        check(tree)
    return tree


# What a result may hold besides tensors: it cannot change.
_CONSTANT = (bool, int, float, str, bytes, type(None), np.dtype, np.generic, device, type, slice, range)


def _checked(part: Any) -> None:
    if isinstance(part, Traced):
        raise cannot("the function returns a number that is an argument; return tensors")
    if not isinstance(part, _CONSTANT):
        raise cannot(f"the function returns a {type(part).__name__}; return tensors, or tuples, lists, dicts, "
                     "dataclasses of them")


def _returned(recorder: Recorder, tensor: Tensor) -> Any:
    """What stands for a tensor in the result."""
    if tensor in recorder.arguments:
        return Given("argument", recorder.arguments[tensor][0])
    value = recorder.value_of(tensor.array, tensor)
    if tensor in recorder.found.states:
        return Given("state", tensor)
    if tensor in recorder.results:
        return Given("result", recorder.results[tensor])
    for of, there in recorder.found.gradients:
        if there is not None and tensor is (recorder.inputs[of] if isinstance(of, int) else of)._grad:
            return Given("gradient", of)
    recorder.results[tensor] = len(recorder.results)
    if tensor.requires_grad and (tensor.node is None or tensor.node.args is not None):
        recorder.found.differentiable = True
    if not tensor.requires_grad:
        tensor.node = None  # of which only the recording had need
    return value


def _look_for_effects(recorder: Recorder) -> None:
    """Refuse what the function did besides computing."""
    found = recorder.found
    if found.watch.problems:
        raise cannot(found.watch.problems[0])
    if found.watch.drew():
        raise cannot("the function draws random numbers from NumPy; draw them outside, or with this package")
    if (name := found.watch.changed(modes=False) or recorder.numbers.written()) is not None:
        raise cannot(f"the function changes the Python variable {name!r}, which a program would not do; keep that "
                     "outside, or use fallback='eager'")
    found.training = found.watch.modes()
    if (name := found.watch.holds(recorder.arguments)) is not None:
        raise cannot(f"an argument is also what the function finds in the variable {name!r}, and later ones may "
                     "not be; give it in one way")
    if modes()[::2] != found.modes[::2]:  # while a function is recorded, inference is no mode of its own
        raise cannot("the function leaves another mode of recording, or default dtype, behind; do that outside")
    if any(group["lr"] != rate for group, rate in recorder.rates):
        raise cannot("the function changes a learning rate; call the scheduler's step() outside")


def finish(recorder: Recorder, result: Any, keep_grads: bool) -> None:
    """Write the program's end, after the function has returned."""
    found, program = recorder.found, recorder.found.program
    _look_for_effects(recorder)
    arguments = {tensor: index for tensor, (index, _, _) in recorder.arguments.items()}
    added_to = {tensor for tensor, there in found.waiting.items() if there}
    for tensor in recorder.touched:
        if tensor not in arguments and tensor not in found.states and recorder.memory.find(tensor.array) is not None:
            continue  # made meanwhile, and of no further use
        grad = tensor._grad
        if tensor in recorder.consumed and not keep_grads and tensor not in added_to:
            grad = None  # an optimizer has used it
        value = None if grad is None else recorder.value_of(grad.array, grad)
        found.differentiable = found.differentiable or grad is not None and grad.requires_grad
        found.gradients.append((arguments.get(tensor, tensor), value))
    found.waiting = {tensor: there for tensor, there in found.waiting.items() if tensor not in arguments}
    found.result = rebuilt(result, Tensor, lambda tensor: _returned(recorder, tensor), _checked)
    program.outputs = [value for _, value in found.gradients if value is not None]
    rebuilt(found.result, Value, program.outputs.append)
    names = names_of_state(found.watch.modules)
    for value, (tensor, place) in recorder.outside.items():
        value.name = names.get(tensor, value.name)
        if place.value is not value:
            program.writes.append((value, recorder.value_of(place.array)))
            found.written.append(tensor)
    program.writes += recorder.keeps.items()
    for (_, tensor, name), value in recorder.kept.items():
        value.name = f"{name}_{names[tensor]}" if tensor in names else name
