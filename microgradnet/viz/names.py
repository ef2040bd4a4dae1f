"""What things in a graph are called: tensors by their parameter names, modules by their paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..nn.module import Module
from ..nn.parameter import Parameter
from ..tensor import Tensor
from . import labels


class Names:
    """The names of tensors and modules, from `params` first, then from the outermost modules that were called."""

    def __init__(self, params: Module | Mapping[str, Tensor] | None, outermost: Iterable[Module]) -> None:
        self.tensors: dict[int, str] = {}
        self.modules: dict[int, str] = {}
        self._owned: set[int] = set()
        if isinstance(params, Mapping):
            for name, tensor in params.items():
                if not isinstance(tensor, Tensor):
                    raise TypeError(f"draw(): params[{name!r}] must be a Tensor, got {type(tensor).__name__}")
                self.tensors.setdefault(id(tensor), str(name))
        elif isinstance(params, Module):
            self._add(params)
        elif params is not None:
            raise TypeError(f"draw(): params must be a Module or a dict of Tensors, got {type(params).__name__}")
        for module in outermost:
            if id(module) not in self.modules:
                self._add(module)

    def _add(self, module: Module) -> None:
        for path, part in module.named_modules():
            self.modules.setdefault(id(part), path)
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            self.tensors.setdefault(id(tensor), name)
            self._owned.add(id(tensor))

    def of(self, tensor: Tensor) -> str | None:
        """The name of a leaf, if it has one."""
        return self.tensors.get(id(tensor), tensor.name)

    def belongs_to_a_module(self, tensor: Tensor) -> bool:
        """Whether a leaf is part of a module, and not what was handed to one."""
        return id(tensor) in self._owned or isinstance(tensor, Parameter)

    def module(self, module: Module) -> str:
        """A module's path and class: 'encoder.fc1: Linear'."""
        path = self.modules.get(id(module))
        return labels.shorten(f"{path}: {type(module).__name__}" if path else type(module).__name__)
