"""A state_dict read into a module: compared first, key by key, and copied only if all of it fits."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import graph
from ..recording import is_capturing, no_grad
from ..tensor import Tensor
from . import hooks
from .parameter import BUFFER, PARAMETER, Parameter, Uninitialized

if TYPE_CHECKING:
    from .module import Module

IncompatibleKeys = namedtuple("IncompatibleKeys", "missing_keys unexpected_keys")
EXTRA_STATE = "_extra_state"  # the key of what a module's get_extra_state() gives


def join(path: str, name: str) -> str:
    """A dotted name."""
    return f"{path}.{name}" if path else name


def tensors_of(module: Module) -> Iterator[tuple[str, Tensor]]:
    """The module's own part of its state: parameters, then persistent buffers."""
    for kind in (PARAMETER, BUFFER):
        for name, tensor in module._members(kind).items():
            if tensor is not None:
                yield name, tensor


def has_extra_state(module: Module, method: str = "get_extra_state") -> bool:
    """Whether the module's class has written this method."""
    from .module import Module

    return getattr(type(module), method) is not getattr(Module, method)


def load(root: Module, state_dict: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """See `Module.load_state_dict`."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"load_state_dict() expects a dict of tensors by name, got {type(state_dict).__name__}")
    given = OrderedDict(state_dict)  # a hook may rename keys: not the caller's
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []
    own: dict[str, tuple[Module, str]] = {}
    after: list[tuple[Module, hooks.Hook]] = []
    for path, module in root.named_modules(remove_duplicate=False):
        for hook in module._hooks_of(hooks.LOAD_STATE_DICT_PRE):
            hook.function(module, given, join(path, ""), {}, strict, missing, unexpected, errors)
        own.update((join(path, name), (module, name)) for name, _ in tensors_of(module))
        if has_extra_state(module, "set_extra_state"):
            own[join(path, EXTRA_STATE)] = module, EXTRA_STATE
        after += [(module, hook) for hook in module._hooks_of(hooks.LOAD_STATE_DICT)]
    missing += [key for key in own if key not in given]
    unexpected += [key for key in given if key not in own]
    keys = IncompatibleKeys(missing, unexpected)
    found = {key: place for key, place in own.items() if key in given}
    for key, (module, name) in found.items():
        errors += [] if name == EXTRA_STATE else _unfit(key, given[key], getattr(module, name), assign)
    _raise_any(root, keys if strict and not after else None, errors)
    for key, (module, name) in found.items():
        if name == EXTRA_STATE:
            module.set_extra_state(given[key])
        elif assign:
            _assign(module, name, given[key])
        else:
            _copy(getattr(module, name), given[key])
    for module, hook in after:
        hook.function(module, keys)
    _raise_any(root, keys if strict else None, [])
    return keys


def _raise_any(root: Module, keys: IncompatibleKeys | None, errors: list[str]) -> None:
    if keys is not None:
        errors = [*_listed("Missing", keys.missing_keys), *_listed("Unexpected", keys.unexpected_keys), *errors]
    if errors:
        raise RuntimeError(f"Error(s) in loading state_dict for {root._get_name()}:\n\t" + "\n\t".join(errors))


def _listed(what: str, keys: list[str]) -> list[str]:
    names = ", ".join(f'"{key}"' for key in keys)
    return [f"{what} key(s) in state_dict: {names}."] if keys else []


def _unfit(key: str, value: Any, tensor: Tensor, assign: bool) -> list[str]:
    if not isinstance(value, (Tensor, np.ndarray)):
        return [f"{key} must be a Tensor or an ndarray, got {type(value).__name__}."]
    if value.dtype.kind not in ("f" if assign and tensor.requires_grad else "fiub"):
        return [f"dtype mismatch for {key}: {value.dtype} in state_dict, {tensor.dtype} in the module."]
    if not isinstance(tensor, Uninitialized) and value.shape != tensor.shape:
        return [f"size mismatch for {key}: {tuple(value.shape)} in state_dict, {tuple(tensor.shape)} in the module."]
    return []


def _copy(tensor: Tensor, value: Any) -> None:
    if isinstance(tensor, Uninitialized):
        tensor.materialize(value.shape)
    if is_capturing() and isinstance(value, Tensor):
        with no_grad():
            tensor.copy_(value)  # type: ignore[operator]
        return
    np.copyto(tensor.array, value.array if isinstance(value, Tensor) else value, casting="unsafe")
    graph.stamp(tensor.array)


def _assign(module: Module, name: str, value: Any) -> None:
    old = getattr(module, name)
    value = value if isinstance(value, Tensor) else Tensor(value)
    if isinstance(old, Parameter):
        value = value if isinstance(value, Parameter) else Parameter(value)
        value.requires_grad_(old.requires_grad)
    setattr(module, name, value)
