"""Modules as functions of their parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..nn.module import Module
from ..ops import stack
from ..tensor import Tensor


def functional_call(module: Module, parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
                    args: Any = None, kwargs: dict[str, Any] | None = None, *, tie_weights: bool = True,
                    strict: bool = False) -> Any:
    """module(*args, **kwargs) with these tensors, by their dotted names, in place of its own parameters and buffers.

    The module itself stays as it is; a buffer that it writes in place is the one given.

    args: a tuple, or the one argument itself.
    tie_weights: a tensor that the module has under several names is replaced under all of them.
    strict: the names must be those of the module, all of them.
    """
    given = _merged(parameter_and_buffer_dicts)
    places = _places(module)
    if tie_weights:
        given = _tied(places, given)
    if strict and (wrong := places.keys() ^ given.keys()):
        missing, unexpected = sorted(wrong & places.keys()), sorted(wrong & given.keys())
        raise RuntimeError(f"functional_call(): missing {missing}, unexpected {unexpected} for {type(module).__name__}")
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    before = []
    try:
        for name, tensor in given.items():
            if name in places:  # an unknown name is left aside, as PyTorch does
                owner, own = places[name]
                before.append((owner, own, owner.__dict__[own]))
                owner.__dict__[own] = tensor  # not by setattr, which would refuse a tensor that is no Parameter
        return module(*args, **(kwargs or {}))
    finally:
        for owner, own, tensor in before:
            owner.__dict__[own] = tensor


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(parameters, buffers) of models built alike, by name, each stacked along a new first dimension."""
    if not models:
        raise RuntimeError("stack_module_state(): expected at least one model, got none")
    if len({type(m) for m in models}) > 1 or len({m.training for m in models}) > 1:
        raise RuntimeError("stack_module_state(): the models must be of one class, all in training or all in eval mode")
    params = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    stacked = {k: stack([p[k] for p in params]).detach() for k in params[0]}
    for name, tensor in stacked.items():
        tensor.requires_grad_(params[0][name].requires_grad)
    return stacked, {k: stack([b[k] for b in buffers]) for k in buffers[0]}


def _merged(dicts: Any) -> dict[str, Tensor]:
    given: dict[str, Tensor] = {}
    for part in [dicts] if isinstance(dicts, Mapping) else dicts:
        if not isinstance(part, Mapping):
            raise ValueError(f"functional_call(): expected a dict of tensors or several, got {type(part).__name__}")
        if twice := part.keys() & given.keys():
            raise ValueError(f"functional_call(): given more than once: {sorted(twice)}")
        given |= part
    for name, tensor in given.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"functional_call(): '{name}' must be a Tensor, got {type(tensor).__name__}")
    return given


def _places(module: Module) -> dict[str, tuple[Module, str]]:
    """By dotted name, the module that owns a parameter or buffer and its name there."""
    places = {}
    for path, part in module.named_modules(remove_duplicate=False):
        for own in (*part._parameters, *part._buffers):
            if part.__dict__[own] is not None:
                places[f"{path}.{own}" if path else own] = part, own
    return places


def _tied(places: dict, given: dict[str, Tensor]) -> dict[str, Tensor]:
    new: dict[int, Tensor] = {}
    for name in [name for name in given if name in places]:
        owner, own = places[name]
        held = id(owner.__dict__[own])
        if new.setdefault(held, given[name]) is not given[name]:
            raise ValueError(f"functional_call(): '{name}' is tied to another name, and was given a different tensor")
    held_by = {name: id(owner.__dict__[own]) for name, (owner, own) in places.items()}
    return given | {name: new[held] for name, held in held_by.items() if held in new}
