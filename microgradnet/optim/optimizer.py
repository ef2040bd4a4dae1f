"""What all optimizers share: groups of parameters, their options, a state per parameter, and the step over them."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import numpy as np

from ..autograd.engine import RemovableHandle
from ..callers import warn
from ..graph import stamp
from ..recording import enable_grad
from ..tensor import Tensor, describe

Ready = list[tuple[Tensor, np.ndarray, np.ndarray]]  # parameters that have a gradient, with the arrays of both
Group = dict[str, Any]


class Optimizer:
    """Parameters in groups, each group with its options, and a state for each parameter.

    params: Tensors, pairs (name, Tensor), or dicts {"params": …, option: value, …}: groups with options of their own.
    defaults: the options of a group that does not give its own.

    An optimizer is its `_update`: the formula, on raw arrays and in place. One that overrides `step` instead, as in
    PyTorch, works as well, without the step hooks.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            raise TypeError("params must be an iterable of Tensors or dicts, such as model.parameters(), "
                            f"got one {type(params).__name__}")
        self.defaults = defaults
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[Group] = []
        self._prepare()
        groups = list(params)
        if not groups:
            raise ValueError(f"{type(self).__name__} got an empty parameter list; a generator can be read only once")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def _prepare(self) -> None:
        """What belongs to this object and is not saved with it."""
        self._scratch = Scratch()
        self._pre_hooks: dict[object, Callable] = {}
        self._post_hooks: dict[object, Callable] = {}
        self._stepped = False  # for the schedulers, which are to step after the optimizer
        self._warned = False
        self._judge: Callable[[], None] | None = None  # from the first step to the second; see `lints.leftovers`

    def add_param_group(self, param_group: Group) -> None:
        """Optimize further parameters: {"params": …, option: value, …}; an option left out takes its default."""
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError(f"param_group must be a dict with a key 'params', got {type(param_group).__name__}")
        given = param_group["params"]
        if isinstance(given, set):
            raise TypeError("parameters must come in an order that is the same from run to run: use a list, not a set")
        entries = [given] if isinstance(given, Tensor) else list(given)
        group = {**param_group, "params": [e[1] if isinstance(e, tuple) else e for e in entries]}
        names = [e[0] for e in entries if isinstance(e, tuple)]
        if names:
            group["param_names"] = names
        self._check_group(group, len(self.param_groups))
        self.param_groups.append({**group, **{k: v for k, v in self.defaults.items() if k not in group}})

    def _check_group(self, group: Group, index: int) -> None:
        params = group["params"]
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"an optimizer can only optimize Tensors, but parameter group {index} holds a "
                                f"{type(p).__name__}; pass model.parameters() for those of a module")
            if not (p.is_leaf or p.retains_grad):
                raise ValueError(f"can't optimize a non-leaf Tensor {describe(p)}: it was computed from others; "
                                 "optimize those, or start anew from it with detach().requires_grad_()")
        if "param_names" in group and len(group["param_names"]) != len(params):
            raise ValueError(f"parameter group {index}: either all parameters come with a name or none")
        if self.param_groups and ("param_names" in group) != ("param_names" in self.param_groups[0]):
            raise ValueError(f"parameter group {index}: either all groups come with names or none")
        if len(set(params)) != len(params):
            warn(f"parameter group {index} contains a parameter twice, which will be updated twice per step")
        if not set(params).isdisjoint(chain.from_iterable(g["params"] for g in self.param_groups)):
            raise ValueError("some parameters appear in more than one parameter group")

    # --- a step -----------------------------------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients; with `set_to_none=False` set those that exist to zero, in place."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    if p._grad._requires_grad:
                        p._grad = p._grad.detach()
                    p._grad.array.fill(0)
                    stamp(p._grad.array)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        closure: computes the loss and its gradients anew, and is called first; step returns what it returns.
        """
        if self._pre_hooks:
            self._run_hooks(self._pre_hooks, closure)
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        if self._judge is not None:
            self._judge()
            self._judge = None
        updated = False
        for group in self.param_groups:
            ready = [(p, p._data, p._grad._data) for p in group["params"] if p._grad is not None]
            if ready:
                self._update(ready, group)
                stamp(*[array for _, array, _ in ready])
                updated = True
        if updated and not self._stepped:
            from ..lints import leftovers

            self._judge = leftovers(self)
        self._stepped = True
        if not (updated or self._warned):
            self._warned = True
            warn(f"{type(self).__name__}.step(): no parameter has a gradient, so nothing was updated; call "
                 "backward() before it, and zero_grad() not in between")
        if self._post_hooks:
            self._run_hooks(self._post_hooks, closure)
        return loss

    def _update(self, ready: Ready, group: Group) -> None:
        """Write the new values of some parameters of a group into their arrays; the gradients are only read."""
        raise NotImplementedError(f"{type(self).__name__} defines neither _update() nor step()")

    def register_step_pre_hook(self, hook: Callable[[Optimizer, tuple, dict], Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before every step; what it returns is not used."""
        return self._register(self._pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[[Optimizer, tuple, dict], Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after every step; what it returns is not used."""
        return self._register(self._post_hooks, hook)

    def _register(self, hooks: dict[object, Callable], hook: Callable) -> RemovableHandle:
        if type(self).step is not Optimizer.step:
            raise RuntimeError(f"{type(self).__name__} has a step() of its own, which would not call the hook")
        key = object()
        hooks[key] = hook
        return RemovableHandle(lambda: hooks.pop(key, None))

    def _run_hooks(self, hooks: dict[object, Callable], closure: Callable[[], Any] | None) -> None:
        for hook in tuple(hooks.values()):
            hook(self, () if closure is None else (closure,), {})

    # --- saving and loading -----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """{"state": {index: state of that parameter}, "param_groups": the groups, with indices as their "params"}.

        The state is the living one, as in PyTorch: copy.deepcopy() it to keep it through further steps.
        """
        index: dict[Any, int] = {}
        for i, p in enumerate(chain.from_iterable(g["params"] for g in self.param_groups)):
            index.setdefault(p, i)
        return {
            "state": {index.get(key, key): state for key, state in self.state.items() if state},
            "param_groups": [{**g, "params": [index[p] for p in g["params"]]} for g in self.param_groups],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where a `state_dict()` was made, by an optimizer with as many parameters in as many groups.

        All of it is copied, and floating state cast to the dtype of its parameter.
        """
        if not {"state", "param_groups"} <= state_dict.keys():
            raise ValueError("load_state_dict(): the state_dict() of an optimizer has 'state' and 'param_groups', "
                             f"this one has the keys {list(state_dict)}")
        saved = state_dict["param_groups"]
        sizes, own = [len(g["params"]) for g in saved], [len(g["params"]) for g in self.param_groups]
        if sizes != own:
            raise ValueError(f"load_state_dict(): the saved groups have {sizes} parameters, those of this "
                             f"{type(self).__name__} {own}; was the state_dict made for another model?")
        indices = chain.from_iterable(g["params"] for g in saved)
        parameter = dict(zip(indices, chain.from_iterable(g["params"] for g in self.param_groups)))
        self.state = defaultdict(dict)
        for key, state in state_dict["state"].items():
            p = parameter.get(key)
            self.state[key if p is None else p] = {k: _copied(v, p if k != "step" else None) for k, v in state.items()}
        for group, new in zip(self.param_groups, saved):
            group.update(copy.deepcopy({k: v for k, v in new.items() if k != "params"}))

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    def __repr__(self) -> str:
        lines = []
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([f"{type(self).__name__} (", *lines, ")"])


def _copied(value: Any, param: Tensor | None) -> Any:
    """A copy of a piece of state, in the dtype of its parameter if both are floating."""
    if not isinstance(value, Tensor):
        return copy.deepcopy(value)
    if param is not None and param.is_floating_point() and value.is_floating_point():
        return Tensor(value.array.astype(param.dtype))
    return Tensor(value.array.copy())


# --- for the formulas -----------------------------------------------------------------------------------------------


class Scratch(dict):
    """Two buffers to compute in for each (shape, dtype): fresh arrays would cost page faults in every step."""

    def __missing__(self, key: tuple) -> tuple[np.ndarray, np.ndarray]:
        buffers = self[key] = np.empty(*key), np.empty(*key)
        return buffers


def check_options(optimizer: str, differentiable: bool, **options: Any) -> None:
    """Refuse what cannot be, and options below zero."""
    if differentiable:
        raise NotImplementedError(
            f"{optimizer}(): differentiable=True is not supported, step() writes raw arrays in place; to differentiate "
            "through an update, write it with tensor operations after backward(create_graph=True)"
        )
    for name, value in options.items():
        if not value >= 0:  # NaN is refused, too
            raise ValueError(f"{optimizer}(): {name} must be at least 0, got {value}")


def kept(state: dict[str, Any], name: str, p: np.ndarray, start: float = 0.0) -> np.ndarray:
    """The array of the parameter's shape that its state holds under this name; made when first asked for."""
    tensor = state.get(name)
    if tensor is None:
        tensor = state[name] = Tensor(np.full_like(p, start))
    array = tensor.array
    if array.shape != p.shape:
        raise ValueError(f"optimizer state '{name}' {describe(array)} does not fit its parameter {describe(p)}; "
                         "was the state_dict loaded made for another model?")
    return array


def loss_gradient(p: np.ndarray, g: np.ndarray, weight_decay: float, maximize: bool, out: np.ndarray) -> np.ndarray:
    """The gradient of what is minimised, ±objective + ½ weight_decay ‖p‖²."""
    if not weight_decay:
        return np.negative(g, out=out) if maximize else g
    np.multiply(p, weight_decay, out=out)
    return np.subtract(out, g, out=out) if maximize else np.add(out, g, out=out)
