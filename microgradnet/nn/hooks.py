"""Hooks: functions that a Module calls before and after its forward, and when gradients pass through it.

`Module.__call__` comes here only where a hook is registered, so that a module without hooks pays nothing for them.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import graph
from ..autograd.engine import RemovableHandle
from ..graph import Op
from ..recording import is_grad_enabled
from ..tensor import Tensor

if TYPE_CHECKING:
    from .module import Module

FORWARD_PRE, FORWARD, BACKWARD_PRE, BACKWARD = "forward_pre", "forward", "backward_pre", "backward"
STATE_DICT_PRE, STATE_DICT = "state_dict_pre", "state_dict"
LOAD_STATE_DICT_PRE, LOAD_STATE_DICT = "load_state_dict_pre", "load_state_dict"

Hook = namedtuple("Hook", "kind function with_kwargs always_call", defaults=(False, False))


def call_with_hooks(module: Module, args: tuple, kwargs: dict) -> Any:
    """forward(*args, **kwargs) with every hook of the module in its place."""
    for hook in module._hooks_of(FORWARD_PRE):
        args, kwargs = _call_forward_pre(hook, module, args, kwargs)
    gate = _Gate(module)
    args = gate.enter(args)
    try:
        output = module.forward(*args, **kwargs)
        for hook in module._hooks_of(FORWARD):
            output = _call_forward(hook, module, args, kwargs, output)
    except Exception:
        for hook in module._hooks_of(FORWARD):
            if hook.always_call:
                _call_forward(hook, module, args, kwargs, None)
        raise
    return gate.leave(output)


def _call_forward_pre(hook: Hook, module: Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    if not hook.with_kwargs:
        changed = hook.function(module, args)
        if changed is None:
            return args, kwargs
        return changed if isinstance(changed, tuple) else (changed,), kwargs
    changed = hook.function(module, args, kwargs)
    if changed is None:
        return args, kwargs
    if not (isinstance(changed, tuple) and len(changed) == 2):
        raise RuntimeError(f"a forward pre hook with kwargs must return None or (args, kwargs), got {changed!r}")
    return changed


def _call_forward(hook: Hook, module: Module, args: tuple, kwargs: dict, output: Any) -> Any:
    changed = hook.function(module, args, kwargs, output) if hook.with_kwargs else hook.function(module, args, output)
    return output if changed is None else changed


# --- hooks on gradients ---------------------------------------------------------------------------------------------


def _pass_back(_needs, g, _y, *_arrays, seen):
    """The gradients of all the tensors at once, as Tensors, past `seen`, which may replace them."""
    if isinstance(g[0], Tensor):
        return seen(g)
    return [x.array for x in seen(tuple(Tensor(np.asarray(x)) for x in g))]


_boundary = Op("module_boundary", lambda *arrays, seen: arrays, joint=_pass_back,
               doc="The arrays as they are; their gradients go through the function `seen`.")


class _Gate:
    """The boundary of one call of a module: its outputs and inputs pass through an identity whose gradients go to the
    module's backward hooks."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.wanted = is_grad_enabled() and bool(module._hooks_of(BACKWARD_PRE) or module._hooks_of(BACKWARD))
        self.grad_output: tuple | None = None  # set while a gradient is on its way from the outputs to the inputs
        self.inputs: list[int] = []  # positions of the arguments that require grad
        self.arity = 0

    def enter(self, args: tuple) -> tuple:
        if not self.wanted:
            return args
        self.arity, self.inputs = len(args), _requiring_grad(args)
        return _through(args, self.inputs, self._inputs_reached)

    def leave(self, output: Any) -> Any:
        if not self.wanted:
            return output
        outputs = output if isinstance(output, tuple) else (output,)
        self.outputs, self.places = len(outputs), _requiring_grad(outputs)
        outputs = _through(outputs, self.places, self._outputs_reached)
        return outputs if isinstance(output, tuple) else outputs[0]

    def _outputs_reached(self, gradients: tuple) -> tuple:
        self.grad_output = _scatter(gradients, self.places, self.outputs)
        for hook in self.module._hooks_of(BACKWARD_PRE):
            changed = hook.function(self.module, self.grad_output)
            self.grad_output = _replaced(changed, self.grad_output, "grad_output")
        changed = tuple(self.grad_output[i] for i in self.places)
        if not self.inputs:  # no gradient will arrive there, so this is the moment
            self._call_backward((None,) * self.arity)
        return changed

    def _inputs_reached(self, gradients: tuple) -> tuple:
        if self.grad_output is None:  # a second derivative came in between, through a value saved inside the module
            return gradients
        grad_input = self._call_backward(_scatter(gradients, self.inputs, self.arity))
        return tuple(grad_input[i] for i in self.inputs)

    def _call_backward(self, grad_input: tuple) -> tuple:
        for hook in self.module._hooks_of(BACKWARD):
            changed = hook.function(self.module, grad_input, self.grad_output)
            grad_input = _replaced(changed, grad_input, "grad_input")
        self.grad_output = None
        return grad_input


def _requiring_grad(values: tuple) -> list[int]:
    return [i for i, value in enumerate(values) if isinstance(value, Tensor) and value.requires_grad]


def _through(values: tuple, places: list[int], seen: Any) -> tuple:
    if not places:
        return values
    passed = _boundary(*(values[i] for i in places), seen=seen)
    return _scatter(passed, places, len(values), values)


def _scatter(parts: tuple, places: list[int], size: int, rest: tuple | None = None) -> tuple:
    """A tuple of this size with the parts at their places and `rest`, or None, elsewhere."""
    whole = [None] * size if rest is None else list(rest)
    for i, part in zip(places, parts, strict=True):
        whole[i] = part
    return tuple(whole)


def _replaced(changed: Any, gradients: tuple, what: str) -> tuple:
    if changed is None:
        return gradients
    changed = changed if isinstance(changed, tuple) else (changed,)
    if len(changed) != len(gradients):
        raise RuntimeError(f"a backward hook returned {len(changed)} gradients for {what}, expected {len(gradients)}")
    # None for a gradient that is there means that nothing flows on.
    return tuple(g * 0 if new is None and g is not None else new for new, g in zip(changed, gradients, strict=True))


# --- where they are kept --------------------------------------------------------------------------------------------


class Hooked:
    """The part of a Module that keeps its hooks, and through which they are registered: each of these methods returns
    a handle whose `.remove()` takes the hook away."""

    _hooks: dict[int, Hook] | None = None

    def _hooks_of(self, kind: str) -> list[Hook]:
        return [hook for hook in self._hooks.values() if hook.kind == kind] if self._hooks else []

    def _add_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        key = graph.clock()
        before = self._hooks or {}
        self._hooks = {key: hook, **before} if prepend else {**before, key: hook}
        return RemovableHandle(lambda: (self._hooks or {}).pop(key, None))

    def register_forward_pre_hook(self, hook: Callable, *, prepend: bool = False,
                                  with_kwargs: bool = False) -> RemovableHandle:
        """Call `hook(module, args)` before forward; what it returns, if not None, replaces args.

        with_kwargs: `hook(module, args, kwargs)`, which may return (args, kwargs).
        """
        return self._add_hook(Hook(FORWARD_PRE, hook, with_kwargs), prepend)

    def register_forward_hook(self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False,
                              always_call: bool = False) -> RemovableHandle:
        """Call `hook(module, args, output)` after forward; what it returns, if not None, replaces the output.

        with_kwargs: `hook(module, args, kwargs, output)`; always_call: also, with output None, when forward raises.
        """
        return self._add_hook(Hook(FORWARD, hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` when the gradients of the outputs are known; it may return others."""
        return self._add_hook(Hook(BACKWARD_PRE, hook), prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the positional inputs are known; what it
        returns, if not None, replaces grad_input. An entry is None where there is no gradient."""
        return self._add_hook(Hook(BACKWARD, hook), prepend)

    register_backward_hook = register_full_backward_hook  # the older name

    def register_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` at the beginning of state_dict()."""
        return self._add_hook(Hook(STATE_DICT_PRE, hook))

    def register_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` at the end of state_dict(), to change it in place."""
        return self._add_hook(Hook(STATE_DICT, hook))

    def register_load_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call a hook before load_state_dict() looks at the keys: the place to rename old ones.

        Its arguments: module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs.
        """
        return self._add_hook(Hook(LOAD_STATE_DICT_PRE, hook))

    def register_load_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` when load_state_dict() has copied what it found; a key that it takes
        out of `incompatible_keys.missing_keys` or `.unexpected_keys` is not an error."""
        return self._add_hook(Hook(LOAD_STATE_DICT, hook))
