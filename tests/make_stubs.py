"""Write microgradnet/tensor.pyi: what a type checker may know of Tensor.

Most methods of Tensor come from the table of operations at import, where no type checker sees them. This script looks
at the finished class and writes each down with its signature. `python tests/make_stubs.py` renews the file;
test_typing.py holds it against the class.
"""

from __future__ import annotations

import inspect
import pathlib
import re
import sys
import textwrap
from typing import Any

from microgradnet.graph import Op
from microgradnet.tensor import Tensor

tensor = sys.modules["microgradnet.tensor"]  # the module: in the package its name is the function tensor()
STUB = pathlib.Path(str(tensor.__file__)).with_suffix(".pyi")

HEAD = '''\
"""Written by tests/make_stubs.py from the finished class; see there."""

from builtins import bool as _bool
from builtins import float as _float
from builtins import int as _int
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, overload

import numpy as np

from .autograd.engine import RemovableHandle
from .graph import Node
from .random import Generator
from .return_types import Indexed, Named

__all__ = ["Size", "Tensor", "from_numpy"]

_Operand: TypeAlias = Tensor | np.ndarray | np.generic | float
_Dim: TypeAlias = int | Sequence[int] | None

class Size(tuple[int, ...]):
    def numel(self) -> int: ...

'''
KNOWN = {"Any", "Callable", "Generator", "Indexed", "Iterator", "Named", "Node", "None", "RemovableHandle", "Sequence", "Size",
         "Tensor", "bool", "complex", "dict", "dtype", "float", "int", "list", "ndarray", "np", "object", "str",
         "tuple"}  # fmt: skip
ATTRIBUTES = {"node": "Node | None", "name": "str | None", "_data": "Any", "_base": "Tensor | None",
              "_grad": "Tensor | None", "_requires_grad": "bool", "_inference": "bool",
              "_hooks": "dict[int, Callable[..., Any]] | None", "_retains": "bool", "_fresh": "int",
              "_rebased": "int"}  # fmt: skip
INTERNAL = {"_refresh", "_set", "_version"}  # what the rest of the package uses
# What a parameter of an operation takes, by its name; a function on arrays and Tensors does not say.
USUAL = {"other": "_Operand", "other1": "_Operand", "other2": "_Operand", "dim": "_Dim", "dim0": "int", "dim1": "int",
         "keepdim": "bool", "diagonal": "int", "decimals": "int"}  # fmt: skip
EXTREME = ["dim: None = ..., keepdim: bool = ...) -> Tensor", "dim: int, keepdim: bool = ...) -> Indexed",
           "dim: Tensor) -> Tensor", "*, other: Tensor) -> Tensor"]  # fmt: skip
OVERLOADS = {
    "size": ["dim: None = ...) -> Size", "dim: int) -> int"],
    "stride": ["dim: None = ...) -> tuple[int, ...]", "dim: int) -> int"],
    "type": ["dtype: None = ...) -> str", "dtype: Any) -> Tensor"],
    "max": EXTREME,
    "min": EXTREME,
}
EMPTY = inspect.Parameter.empty


class Words(str):
    """An annotation or a default that is printed without quotes."""

    __repr__ = str.__str__


def annotation(given: Any, name: str = "") -> Words:
    """An annotation as the stub can say it: `Any` where it names what the stub does not import."""
    if given is EMPTY or given == "Any":
        return Words(USUAL.get(name, "Any"))
    if set(re.findall(r"[A-Za-z_]\w*", given)) - KNOWN:
        return Words("Any")
    return Words(re.sub(r"\bCallable\b(?!\[)", "Callable[..., Any]", given))


def taken(method: Any) -> list[inspect.Parameter]:
    """What a method takes, self included."""
    if not isinstance(method, Op):
        return list(inspect.signature(method).parameters.values())
    operands = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
                for name in ["self", "other", "other1", "other2"][: method.arity]]
    metadata = list(inspect.signature(method.forward).parameters.values())[method.arity :] if method.names else []
    return operands + metadata


def returned(method: Any) -> Words:
    """What a method returns: a Tensor, if it does not say or, being an operation on arrays and Tensors, says Any."""
    if isinstance(method, Op):
        return Words("Tensor")
    given = inspect.signature(method).return_annotation
    if given is EMPTY or given == "Any" and method.__module__.startswith("microgradnet.ops"):
        return Words("Tensor")
    return annotation(given)


def signature(parameters: list[inspect.Parameter], returns: Words) -> str:
    """From the opening parenthesis on, with `...` for the defaults."""
    shown = [p.replace(annotation=EMPTY if p.name == "self" else annotation(p.annotation, p.name),
                       default=EMPTY if p.default is EMPTY else Words("...")) for p in parameters]
    return str(inspect.Signature(shown, return_annotation=returns))


def signatures(name: str, method: Any) -> list[str]:
    """The signature of a method, or its overloads."""
    parameters = taken(method)
    if name in OVERLOADS:
        here = set(re.findall(r"(\w+):", str(OVERLOADS[name])))
        there = {p.name for p in parameters[1:] if p.kind != p.VAR_KEYWORD}
        assert here == there, f"{name} takes {there}, its overloads here {here}"
        return ["(self, " + one for one in OVERLOADS[name]]
    if [p.kind for p in parameters[1:]] == [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD]:
        parameters = taken(getattr(Tensor, name.removesuffix("_")))  # mul_ takes what mul takes
    self = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [signature([self, *parameters[1:]], returned(method))]


def definition(name: str, text: str) -> str:
    """A line in the class. There `int` and its like are methods, and the types have other names."""
    text = re.sub(r"\b(bool|float|int)\b", r"_\1", text)
    if name in ("__eq__", "__ne__"):  # with anything; but unlike an object's they give a Tensor
        return f"    def {name}{text.replace('_Operand', 'Any')}: ...  # type: ignore[override]\n"
    if len(line := f"    def {name}{text}: ...\n") <= 121:
        return line
    inside, _, returns = text[1:].rpartition(") -> ")
    unbroken = re.sub("(?<!,) ", "\0", inside)  # a line ends behind a comma
    inside = textwrap.fill(unbroken, 120, initial_indent=" " * 8, subsequent_indent=" " * 8).replace("\0", " ")
    return f"    def {name}(\n{inside}\n    ) -> {returns}: ...\n"


def member(name: str, value: Any) -> str:
    """A method or a property of the class."""
    if isinstance(value, property):
        text = "    @property\n" + definition(name, f"(self) -> {returned(value.fget)}")
        return text + (f"    @{name}.setter\n" + definition(name, "(self, value: Any) -> None") if value.fset else "")
    if name == "__hash__":
        return definition(name, "(self) -> int")
    lines = [definition(name, text) for text in signatures(name, value)]
    return "".join("    @overload\n" * (len(lines) > 1) + line for line in lines)


def stub() -> str:
    """The whole file."""
    lines = [HEAD, "class Tensor:\n"]
    lines += [re.sub(r"\b(bool|int)\b", r"_\1", f"    {name}: {kind}\n") for name, kind in ATTRIBUTES.items()]
    for name, value in vars(Tensor).items():
        public = not name.startswith("_") or (name.startswith("__") and name.endswith("__")) or name in INTERNAL
        if isinstance(value, property) or callable(value):
            if public and name not in ("__class__", "__annotate__", "__annotate_func__"):
                lines.append(member(name, value))
        else:
            assert name.startswith("__") or name in ATTRIBUTES, f"Tensor.{name} is missing from ATTRIBUTES"
    lines.append("\n")
    for name, value in vars(tensor).items():
        if inspect.isfunction(value) and value.__module__ == tensor.__name__ and not name.startswith("_"):
            lines.append(f"def {name}{signature(taken(value), returned(value))}: ...\n")
    return "".join(lines)


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
