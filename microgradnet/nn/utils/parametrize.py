"""Parametrizations: an attribute of a module, such as its weight, computed from other parameters at every access."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...recording import no_grad
from ...tensor import Tensor, describe
from ..containers import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

_cache: dict[tuple[int, str], Tensor] | None = None


@contextmanager
def cached() -> Iterator[None]:
    """Within it each parametrized attribute is computed once, however often it is read: for weights used repeatedly."""
    global _cache
    outer = _cache
    _cache = {} if outer is None else outer
    try:
        yield
    finally:
        _cache = outer


class ParametrizationList(ModuleList):
    """The parametrizations of one attribute, and what it is computed from: `original`, or `original0`, `original1` …
    where the `right_inverse` of the first parametrization gives several tensors."""

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        super().__init__(modules)
        self.unsafe = unsafe
        with no_grad():
            new = self._inverted(original, first=True)
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        shape, dtype = original.shape, original.dtype
        if self.is_tensor:
            if new.dtype != dtype:
                raise ValueError(f"a right_inverse that gives one tensor must keep its dtype {dtype}, got {new.dtype}")
            if new is not original:
                original.data = new.detach()  # the same Parameter, so that an optimizer still has it
            _register(self, "original", original)
        else:
            for i, tensor in enumerate(new):
                if isinstance(original, Parameter):
                    tensor = Parameter(tensor.detach().clone(), original.requires_grad)
                _register(self, f"original{i}", tensor)
        if not unsafe:
            _check_kept(self(), shape, dtype)

    def _inverted(self, value: Any, first: bool = False) -> Any:
        """What the parametrizations would make `value` of; at `first`, one that cannot say begins with what it gets."""
        for module in reversed(list(self)):
            if hasattr(module, "right_inverse"):
                try:
                    value = module.right_inverse(value)
                except NotImplementedError:
                    if not first:
                        raise
        return value

    def _originals(self) -> list[Tensor]:
        names = ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]
        return [getattr(self, name) for name in names]

    def right_inverse(self, value: Tensor) -> None:
        """Set what the attribute is computed from so that it becomes `value`."""
        for module in self:
            if not hasattr(module, "right_inverse"):
                raise RuntimeError(f"parametrization {type(module).__name__} has no right_inverse, so the attribute "
                                   "cannot be assigned; assign what it is computed from")
        with no_grad():
            new = self._inverted(value)
            for original, tensor in zip(self._originals(), [new] if self.is_tensor else new, strict=True):
                original.data = tensor.detach().clone()

    def forward(self) -> Tensor:
        first, *rest = self
        x = first(*self._originals())
        for module in rest:
            x = module(x)
        return x


def _of(module: Module) -> Any:
    return module.__dict__.get("parametrizations")


def _register(module: Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _check_kept(value: Any, shape: tuple, dtype: Any) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"a parametrization must return a Tensor, got {type(value).__name__}")
    if value.shape != shape or value.dtype != dtype:
        raise ValueError(f"a parametrization must keep shape {tuple(shape)} and dtype {dtype}, got {describe(value)}; "
                         "unsafe=True allows it to change them")


def register_parametrization(module: Module, tensor_name: str, parametrization: Module, *,
                             unsafe: bool = False) -> Module:
    """Make `module.tensor_name`, a parameter or buffer, the output of a parametrization, a Module, of the original.

    A parametrization with `right_inverse` starts from what that gives for the present value, and lets the attribute be
    assigned. A further one is applied to the output of those before.
    unsafe: the parametrization may change shape and dtype. Returns the module, whose class is now a subclass.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        known = _of(module)[tensor_name]
        if not unsafe:
            present = getattr(module, tensor_name)
            _check_kept(parametrization(present), present.shape, present.dtype)
        known.append(parametrization)
        known.unsafe |= unsafe
        return module
    if tensor_name not in {*module._parameters, *module._buffers}:
        raise ValueError(f"{module._get_name()} has no parameter, buffer or parametrized attribute '{tensor_name}'")
    parametrizations = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.add_module("parametrizations", ModuleDict())
    _of(module)[tensor_name] = parametrizations
    _set_class(module)
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module has a parametrized attribute, or this one."""
    parametrizations = _of(module)
    if not isinstance(parametrizations, ModuleDict):
        return False
    return len(parametrizations) > 0 if tensor_name is None else tensor_name in parametrizations


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make the attribute a parameter or buffer again, with the parametrized value or the original."""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"{module._get_name()} has no parametrization on '{tensor_name}'")
    known = _of(module)[tensor_name]
    originals = known._originals()
    value = originals[0]
    if leave_parametrized:
        with no_grad():
            result = getattr(module, tensor_name).detach().clone()
        if known.is_tensor:
            value.data = result
        else:
            value = Parameter(result, value.requires_grad) if isinstance(value, Parameter) else result
    elif not known.is_tensor:
        raise ValueError(f"'{tensor_name}' is computed from several tensors: none of them could take its place; use "
                         "leave_parametrized=True")
    del _of(module)[tensor_name]
    if not len(_of(module)):
        delattr(module, "parametrizations")
    _set_class(module)
    _register(module, tensor_name, value)
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that the module had at first."""
    return getattr(type(module), "_unparametrized", type(module))


def _set_class(module: Module) -> None:
    """Give the module the class that has a property for each of its parametrized attributes."""
    base = type_before_parametrizations(module)
    if not is_parametrized(module):
        module.__class__ = base
        return
    properties = {name: _property(name) for name in _of(module)}
    module.__class__ = type(f"Parametrized{base.__name__}", (base,), {"_unparametrized": base, **properties})


def _property(name: str) -> property:
    def get(module: Any) -> Tensor:
        if _cache is None:
            return _of(module)[name]()
        key = id(module), name
        if key not in _cache:
            _cache[key] = _of(module)[name]()
        return _cache[key]

    def set_(module: Any, value: Tensor) -> None:
        _of(module)[name].right_inverse(value)

    return property(get, set_)
