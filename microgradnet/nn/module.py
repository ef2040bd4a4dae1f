"""Module: parameters, buffers and submodules under one roof, in the order in which they were given."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ..dtypes import check_device, float16, float32, float64
from ..graph import running
from ..recording import setting
from ..tensor import Tensor
from . import hooks
from .parameter import BUFFER, MODULE, PARAMETER, TRANSIENT, Buffer, Parameter, Uninitialized
from .state import EXTRA_STATE, IncompatibleKeys, has_extra_state, join, load, tensors_of


class Module(hooks.Hooked):
    """Base of all layers, losses and networks: assign parameters and submodules to attributes, and write `forward`.

    Registered attributes live in the instance's own `__dict__`, where Python finds them at full speed; `_registered`
    says which of them are parameters, buffers or modules, in order. Compiled programs hear of each that is set.
    """

    training: bool = True
    _registered: dict[str, str]

    def __init__(self) -> None:
        self.__dict__.update(training=True, _registered={}, _hooks=None)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass writes its own."""
        raise NotImplementedError(f'Module [{self._get_name()}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outer = running[0]
        running[0] = self, outer  # nodes recorded meanwhile remember it, for the drawing
        try:
            if self._hooks:
                return hooks.call_with_hooks(self, args, kwargs)
            return self.forward(*args, **kwargs) if kwargs else self.forward(*args)
        finally:
            running[0] = outer

    # --- registration -----------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        setting()
        kind = PARAMETER if isinstance(value, Parameter) else MODULE if isinstance(value, Module) else None
        registered = self.__dict__.get("_registered", {})
        if isinstance(value, Buffer) and name not in registered:
            kind = BUFFER if value.persistent else TRANSIENT
        if kind is not None:
            self._register(kind, name, value)
        elif name in registered:
            kind = registered[name]
            if value is not None and not (kind in (BUFFER, TRANSIENT) and isinstance(value, Tensor)):
                raise _wrong(kind, name, value)
            self.__dict__[name] = value
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        setting()
        object.__delattr__(self, name)
        self._registered.pop(name, None)

    def _register(self, kind: str, name: str, value: Any) -> None:
        if "_registered" not in self.__dict__:
            raise AttributeError(
                f"cannot assign {kind} '{name}' before Module.__init__() call: begin __init__ with super().__init__()"
            )
        if "." in name or not name:
            raise KeyError(f"the name of a {kind} can't contain a dot or be empty, got {name!r}")
        if kind == PARAMETER and value is not None:
            if not value.is_leaf:
                raise ValueError(f"cannot assign a computed tensor as parameter '{name}': assign what it is made from")
            if value.name is None:
                value.name = name
        setting()
        if self._registered.get(name) != kind:
            self._registered.pop(name, None)  # of another kind now, so the last of that kind
            self._registered[name] = kind
        self.__dict__[name] = value

    def _register_named(self, kind: str, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of a {kind} must be a string, got {type(name).__name__}")
        if hasattr(self, name) and self.__dict__.get("_registered", {}).get(name) != kind:
            raise KeyError(f"attribute '{name}' already exists")
        self._register(kind, name, value)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None holds its place."""
        if not isinstance(param, (Parameter, type(None))):
            raise _wrong(PARAMETER, name, param)
        self._register_named(PARAMETER, name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the state but is not learnt; if not persistent, the state_dict leaves it out."""
        if not isinstance(tensor, (Tensor, type(None))):
            raise _wrong(BUFFER, name, tensor)
        if self.__dict__.get("_registered", {}).get(name) in (BUFFER, TRANSIENT):
            delattr(self, name)
        self._register_named(BUFFER if persistent else TRANSIENT, name, tensor)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule."""
        if not isinstance(module, (Module, type(None))):
            raise _wrong(MODULE, name, module)
        self._register_named(MODULE, name, module)

    register_module = add_module

    def _members(self, *kinds: str) -> dict[str, Any]:
        own = self.__dict__
        return {name: own[name] for name, kind in self._registered.items() if kind in kinds}

    @property
    def _parameters(self) -> Mapping[str, Parameter | None]:
        return MappingProxyType(self._members(PARAMETER))

    @property
    def _buffers(self) -> Mapping[str, Tensor | None]:
        return MappingProxyType(self._members(BUFFER, TRANSIENT))

    @property
    def _modules(self) -> Mapping[str, Module | None]:
        return MappingProxyType(self._members(MODULE))

    # --- looking around ---------------------------------------------------------------------------------------------

    def named_modules(self, memo: set | None = None, prefix: str = "",
                      remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with dotted names."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._members(MODULE).items():
            if module is not None:
                yield from module.named_modules(memo, join(prefix, name), remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The submodules directly below, each once."""
        seen = set()
        for name, module in self._members(MODULE).items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The submodules directly below."""
        for _, module in self.named_children():
            yield module

    def _named_tensors(self, kinds: tuple[str, ...], prefix: str, recurse: bool,
                       remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        seen: set[int] = set()
        for path, module in modules:
            own = module.__dict__
            for name, kind in module._registered.items():
                if kind not in kinds:
                    continue
                tensor = own[name]
                if tensor is not None and not (remove_duplicate and id(tensor) in seen):
                    seen.add(id(tensor))
                    yield join(path, name), tensor

    def named_parameters(self, prefix: str = "", recurse: bool = True,
                         remove_duplicate: bool = True) -> Iterator[tuple[str, Parameter]]:
        """The parameters with dotted names, in order of registration; a shared one comes once, under its first name."""
        return self._named_tensors((PARAMETER,), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once, in order of registration."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(self, prefix: str = "", recurse: bool = True,
                      remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """The buffers with dotted names."""
        return self._named_tensors((BUFFER, TRANSIENT), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The module of this dotted name; '' is this one."""
        module = self
        for name in target.split(".") if target else ():
            child = getattr(module, name, None)
            if not isinstance(child, Module):
                raise AttributeError(f"{module._get_name()} has no submodule '{name}' (looking for '{target}')")
            module = child
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module in the place of this dotted name; strict: only where there is one already."""
        path, _, name = target.rpartition(".")
        if not name:
            raise ValueError("set_submodule(): cannot set the submodule without a target name")
        if not isinstance(module, Module):
            raise ValueError(f"set_submodule(): expected an nn.Module for '{target}', got {type(module).__name__}")
        parent = self.get_submodule(path)
        there = getattr(parent, name, None)
        if not isinstance(there, Module) and (strict or hasattr(parent, name)):
            raise AttributeError(f"{parent._get_name()} has no submodule '{name}' (looking for '{target}')")
        setattr(parent, name, module)

    def _get_registered(self, target: str, kinds: tuple[str, ...]) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if module._registered.get(name) not in kinds:
            raise AttributeError(f"{module._get_name()} has no {kinds[0]} '{name}' (looking for '{target}')")
        return getattr(module, name)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of this dotted name."""
        return self._get_registered(target, (PARAMETER,))

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of this dotted name."""
        return self._get_registered(target, (BUFFER, TRANSIENT))

    # --- changing all of it -----------------------------------------------------------------------------------------

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Call `fn` on every submodule, the deepest first, and on this module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Module:
        """Training mode on or off, here and below: Dropout and its like behave accordingly."""
        if not isinstance(mode, bool):
            raise ValueError(f"the training mode is expected to be boolean, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Training mode off."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Switch gradients of all parameters on or off."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with zeros."""
        for parameter in self.parameters():
            if set_to_none:
                parameter._grad = None
            elif parameter._grad is not None:
                parameter._grad.detach_().zero_()

    def to(self, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False,
           memory_format: Any = None) -> Module:
        """Convert the floating parameters and buffers to a dtype, or to a tensor's. A device can only be 'cpu'."""
        for arg in args:
            if isinstance(arg, Tensor):
                dtype = arg.dtype
            elif isinstance(arg, (np.dtype, type)):
                dtype = arg
            elif not isinstance(arg, bool):  # a positional non_blocking
                device = arg
        check_device(device)
        return self if dtype is None else self._cast(dtype)

    def _cast(self, dtype: Any, floating_only: bool = True) -> Module:
        dtype = np.dtype(dtype)
        if dtype.kind != "f":
            raise TypeError(f"the parameters of a module can only become of a floating dtype, not {dtype}")
        for tensor in (*self.parameters(), *self.buffers()):
            for t in (tensor, tensor._grad):
                if t is not None and (t.is_floating_point() or not floating_only):
                    t.data = Tensor(t.array.astype(dtype, copy=False))
        return self

    def type(self, dst_type: Any) -> Module:
        """Convert all parameters and buffers, whole numbers too."""
        return self._cast(dst_type, floating_only=False)

    def float(self) -> Module:
        """Convert the floating parameters and buffers to float32."""
        return self._cast(float32)

    def double(self) -> Module:
        """Convert the floating parameters and buffers to float64."""
        return self._cast(float64)

    def half(self) -> Module:
        """Convert the floating parameters and buffers to float16."""
        return self._cast(float16)

    def cpu(self) -> Module:
        """This module: it is on the CPU already."""
        return self

    def cuda(self, device: Any = None) -> Module:
        """An error: microgradnet computes on the CPU."""
        return self.to("cuda")

    def to_empty(self, *, device: Any, recurse: bool = True) -> Module:
        """Fresh memory for all parameters and buffers, with nothing in particular in it."""
        check_device(device)
        for tensor in (*self.parameters(recurse), *self.buffers(recurse)):
            tensor.data = Tensor(np.empty_like(tensor.array))
        return self

    def share_memory(self) -> Module:
        """This module: there is nothing to do before threads share it."""
        return self

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Accepted, and without effect."""

    # --- the state --------------------------------------------------------------------------------------------------

    def state_dict(self, *, destination: dict[str, Any] | None = None, prefix: str = "",
                   keep_vars: bool = False) -> dict[str, Any]:
        """Parameters and persistent buffers by dotted name, detached, sharing memory (as they are with keep_vars).

        destination: a dict to add them to; prefix: put before every name.
        """
        state = OrderedDict() if destination is None else destination
        for hook in self._hooks_of(hooks.STATE_DICT_PRE):
            hook.function(self, prefix, keep_vars)
        for name, tensor in tensors_of(self):
            state[prefix + name] = tensor if keep_vars or isinstance(tensor, Uninitialized) else tensor.detach()
        if has_extra_state(self):
            state[prefix + EXTRA_STATE] = self.get_extra_state()
        for name, module in self._members(MODULE).items():
            if module is not None:
                module.state_dict(destination=state, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._hooks_of(hooks.STATE_DICT):
            hook.function(self, state, prefix, {})
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True,
                        assign: bool = False) -> IncompatibleKeys:
        """Copy the tensors (or ndarrays) of a state_dict into this module's, in place, so that an optimizer sees them.

        strict: missing and unexpected keys are errors; a wrong shape always is. All errors are told at once, as a
            RuntimeError, and then nothing has been changed.
        assign: take the given tensors themselves, with their dtype, in place of copying.
        Returns (missing_keys, unexpected_keys).
        """
        return load(self, state_dict, strict, assign)

    def get_extra_state(self) -> Any:
        """What else belongs to the state_dict; a module that has something writes this and `set_extra_state`."""
        raise RuntimeError(f"{self._get_name()} has no extra state: write get_extra_state() and set_extra_state()")

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` gave."""
        raise RuntimeError(f"{self._get_name()} has no extra state: write get_extra_state() and set_extra_state()")

    # --- what it shows ----------------------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What the repr says between the parentheses; a layer writes its own."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        children = [f"({name}): {module!r}" for name, module in self._members(MODULE).items()]
        if not children and "\n" not in extra:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n{indent([*extra.splitlines(), *children])}\n)"

    def _repr_html_(self) -> str:
        from ..viz.modules import shown

        return shown(self)


def _wrong(kind: str, name: str, value: Any) -> TypeError:
    expected = {PARAMETER: "an nn.Parameter", MODULE: "an nn.Module"}.get(kind, "a Tensor")
    way = "; to change a parameter's values, write into it under no_grad()" if kind == PARAMETER else ""
    return TypeError(f"cannot assign a {type(value).__name__} as {kind} '{name}': expected {expected} or None{way}")


def indent(parts: list[str]) -> str:
    """The lines of a repr, indented by two spaces."""
    return "\n".join("  " + part.replace("\n", "\n  ") for part in parts)
