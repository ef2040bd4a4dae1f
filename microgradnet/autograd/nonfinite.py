"""Where a computation went bad: the first tensor in a recorded graph that holds a nan or an infinity."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..graph import Node, Parts, Spec, walk
from ..tensor import Tensor


class NonFinite(NamedTuple):
    """A tensor that is not finite: what it is, in words, its value, and the operation that made or first used it."""

    what: str
    value: np.ndarray
    node: Node | None = None

    def __str__(self) -> str:
        counts = {"nan": np.isnan(self.value).sum(), "infinite": np.isinf(self.value).sum()}
        found = " and ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        return f"{self.what}, shape {self.value.shape}: {found} of {self.value.size}"


def first_nonfinite(output: Tensor) -> NonFinite | None:
    """The first tensor, in the order of computation, that went into `output` and is not finite; None if all are.

    Values that the graph did not keep are computed anew. Errors: RuntimeError where backward has freed the graph.
    """
    values: dict[Node, Any] = {}
    with np.errstate(all="ignore"):
        for node in walk(output):
            args = _arguments(node, values)
            for source, value in zip(node.inputs, args):
                if isinstance(source, Tensor) and not _finite(value):
                    return NonFinite(_leaf(source, node), np.asarray(value), node)
            y = values[node] = _output(node, args)
            for part in y if isinstance(y, tuple) else (y,):
                if not _finite(part):
                    return NonFinite(f"the result of {_operation(node)}", np.asarray(part), node)
    return None if _finite(output.array) else NonFinite("the tensor itself", output.array)


def _arguments(node: Node, values: dict[Node, Any]) -> list[Any]:
    """What the node's operation was given."""
    if node.args is None:
        raise RuntimeError(f"first_nonfinite(): backward has freed the values of {node.op.name}; look before it, or "
                           "call backward(retain_graph=True)")
    return [_made(source, values) if isinstance(arg, Spec) or arg is Parts else arg
            for source, arg in zip(node.inputs, node.args)]


def _made(source: Any, values: dict[Node, Any]) -> Any:
    return values[source] if type(source) is Node else source.array


def _output(node: Node, args: list[Any]) -> Any:
    y = node.output
    kept = not any(isinstance(part, Spec) for part in (y if isinstance(y, tuple) else (y,)))
    return y if kept else node.op.forward(*args, **node.params)


def _finite(value: Any) -> bool:
    """Whether an array is finite. Plain numbers are as the program gives them, and not what went bad."""
    floating = isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "fc"
    return not floating or bool(np.isfinite(value).all())


def _leaf(tensor: Tensor, node: Node) -> str:
    """A leaf, by the name it has in the outermost module that used it."""
    modules = _modules(node)
    named = (*modules[0].named_parameters(), *modules[0].named_buffers()) if modules else ()
    name = next((name for name, own in named if own is tensor), tensor.name)
    kind = "parameter" if tensor.requires_grad else "input"
    return f"the {kind} '{name}'" if name else f"the {kind} of {_operation(node)}"


def _operation(node: Node) -> str:
    """An operation, and the module it ran in, by its path in the outermost one."""
    modules = _modules(node)
    if not modules:
        return node.op.name
    path = next((path for path, part in modules[0].named_modules() if part is modules[-1]), "")
    return f"{node.op.name} in {path + ': ' if path else ''}{type(modules[-1]).__name__}"


def _modules(node: Node) -> list[Any]:
    """The modules whose forward was running, outermost first."""
    modules: list[Any] = []
    call = node.module
    while call is not None:
        modules.insert(0, call[0])
        call = call[1]
    return modules
