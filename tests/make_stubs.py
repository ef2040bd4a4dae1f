"""Write microgradnet/tensor.pyi: what a type checker may know of Tensor.

Most methods of Tensor come from the table of operations at import, where no type checker sees them. This script looks at
the finished class and writes each down with its signature. `python tests/make_stubs.py` renews the file; a test holds it
against the class.
"""

from __future__ import annotations

import inspect
import pathlib
import re
import sys
from typing import Any

from microgradnet.graph import Op
from microgradnet.tensor import Tensor

tensor = sys.modules["microgradnet.tensor"]  # the module: in the package its name is the function tensor()
STUB = pathlib.Path(tensor.__file__).with_suffix(".pyi")

HEAD = '''\
"""Written by tests/make_stubs.py from the finished class; see there."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .graph import Node
from .random import Generator

class Size(tuple[int, ...]):
    def numel(self) -> int: ...

'''
KNOWN = {"Any", "Callable", "Iterator", "Sequence", "Node", "Generator", "Tensor", "Size", "np", "int", "float", "bool", "str",
         "None", "tuple", "list", "dict", "object", "complex", "type", "ndarray", "dtype"}  # fmt: skip
ATTRIBUTES = {"node": "Node | None", "name": "str | None", "_data": "Any", "_base": "Tensor | None", "_grad": "Tensor | None",
              "_requires_grad": "bool", "_inference": "bool", "_hooks": "dict[int, Callable[..., Any]] | None",
              "_retains": "bool", "_fresh": "int", "_rebased": "int"}  # fmt: skip
SPECIAL = {"__getitem__": "Tensor", "__iter__": "Iterator[Tensor]", "__len__": "int", "__bool__": "bool", "__float__": "float",
           "__int__": "int", "__index__": "int", "__hash__": "int", "__contains__": "bool", "__repr__": "str",
           "__setitem__": "None"}  # fmt: skip


def annotation(given: Any) -> str:
    """An annotation as the stub can say it: `Any` where it names what the stub does not import."""
    text = given if isinstance(given, str) else getattr(given, "__name__", "Any")
    if given is inspect.Parameter.empty or set(re.findall(r"[A-Za-z_]\w*", text)) - KNOWN:
        return "Any"
    return re.sub(r"\bCallable\b(?!\[)", "Callable[..., Any]", text)


def parameters(signature: inspect.Signature) -> str:
    """All parameters but the first, which is self."""
    parts, star = ["self"], False
    for p in list(signature.parameters.values())[1:]:
        if p.kind is p.KEYWORD_ONLY and not star:
            parts.append("*")
        star = star or p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        mark = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        parts.append(f"{mark}{p.name}: {annotation(p.annotation)}" + (" = ..." if p.default is not p.empty else ""))
    return ", ".join(parts)


def method(name: str, value: Any) -> str:
    """One line of the stub."""
    if isinstance(value, property):
        given = annotation(inspect.signature(value.fget).return_annotation)
        text = f"    @property\n    def {name}(self) -> {given if given != 'Any' or name not in 'T mT' else 'Tensor'}: ...\n"
        return text + (f"    @{name}.setter\n    def {name}(self, value: Any) -> None: ...\n" if value.fset else "")
    if isinstance(value, Op):
        arrays = ["self", *(f"other{i or ''}: Any" for i in range(min(value.arity, 3) - 1))]
        return f"    def {name}({', '.join([*arrays, *(f'{n}: Any = ...' for n in value.names)])}) -> Tensor: ...\n"
    signature = inspect.signature(value)
    if name.startswith("__"):
        returns = SPECIAL.get(name) or ("Tensor" if "other" in signature.parameters else annotation(signature.return_annotation))
    else:
        returns = annotation(signature.return_annotation)
        returns = "Tensor" if returns == "Any" and signature.return_annotation is inspect.Parameter.empty else returns
    ignore = "  # type: ignore[override]" if name in ("__eq__", "__ne__") else ""
    return f"    def {name}({parameters(signature)}) -> {returns}: ...{ignore}\n"


def stub() -> str:
    """The whole file."""
    lines = [HEAD, "class Tensor:\n"]
    lines += [f"    {name}: {kind}\n" for name, kind in ATTRIBUTES.items()]
    for name, value in vars(Tensor).items():
        hidden = name.startswith("_") and not name.startswith("__") and name not in ("_version", "_refresh", "_set")
        if hidden or name in ATTRIBUTES or not (callable(value) or isinstance(value, property)):
            continue
        if name in ("__new__", "__class__", "__init_subclass__", "__subclasshook__", "__annotate__"):
            continue
        lines.append(method(name, value))
    lines.append("\n")
    for name in ("checked", "describe", "from_numpy"):
        signature = inspect.signature(getattr(tensor, name))
        inside = ", ".join(f"{p.name}: {annotation(p.annotation)}" for p in signature.parameters.values())
        lines.append(f"def {name}({inside}) -> {annotation(signature.return_annotation)}: ...\n")
    return "".join(lines)


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
