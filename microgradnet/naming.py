"""What `grad_fn` is called: PyTorch's names, where they are not those of the operations here.

An operation that PyTorch composes of others bears the name of the last of them; one composed here, that of the last
operation here. So the names of most results agree, and the graphs behind them need not.
"""

from __future__ import annotations

from typing import Any

from .graph import Node

_ALWAYS = {
    "square": "Pow", "log1p": "Log1P", "norm": "LinalgVectorNorm", "reshape": "View", "to": "ToCopy", "inv":
    "LinalgInvEx", "det": "LinalgDet", "solve": "LinalgSolveEx", "cholesky": "LinalgCholeskyEx",
    "squared_distance": "MseLoss", "cross_entropy": "NllLoss", "nll": "NllLoss", "convolution_input": "Convolution",
}  # fmt: skip
_SECOND_WITH_DIM = {"sum", "mean", "prod"}


def backward_name(node: Node) -> str:
    """PyTorch's name for the derivative of an operation: 'MulBackward0'."""
    op = node.op
    if op.name in _ALWAYS:
        return _ALWAYS[op.name] + "Backward0"
    if op.name in _BY_INPUTS:
        return _BY_INPUTS[op.name](node)
    if op.name in _SECOND_WITH_DIM:
        return op.backward_name[:-1] + str(int(node.params.get("dim") is not None))
    return op.backward_name


def _dims(x: Any) -> int | None:
    """The number of dimensions of an input; None for a Python number."""
    shape = getattr(x.output if isinstance(x, Node) else x, "shape", None)
    return None if shape is None else len(shape)


def _power(node: Node) -> str:
    base, exponent = map(_dims, node.inputs)
    return f"PowBackward{2 if base is None else 0 if exponent is None else 1}"


def _clamp(node: Node) -> str:
    return f"ClampBackward{int(all(_dims(bound) is None for bound in node.inputs[1:]))}"


def _difference(node: Node) -> str:
    return "RsubBackward1" if _dims(node.inputs[0]) is None else "SubBackward0"


def _extreme(node: Node) -> str:
    whole = node.params.get("dim") is None  # as max() makes it; with a dim only amax() does
    return node.op.name[1:].capitalize() + "Backward1" if whole else node.op.backward_name


def _squeezed(node: Node) -> str:
    return f"SqueezeBackward{int(isinstance(node.params.get('dim'), int))}"


def _product(node: Node) -> str:
    names = {(1, 1): "Dot", (2, 1): "Mv", (2, 2): "Mm"}
    a, b = map(_dims, node.inputs)
    return names.get((a, b), "UnsafeView") + "Backward0"  # type: ignore[arg-type]


def _linear(node: Node) -> str:
    dims, bias = _dims(node.inputs[0]), len(node.inputs) > 2 and _dims(node.inputs[2]) is not None
    if bias:
        return "AddmmBackward0" if dims == 2 else "AddBackward0"
    return {1: "SqueezeBackward4", 2: "MmBackward0"}.get(dims, "UnsafeViewBackward0")  # type: ignore[arg-type]


def _scatter(node: Node) -> str:
    return f"ScatterBackward{int(_dims(node.inputs[2]) is None)}"


def _pooled(node: Node) -> str:
    return "MaxPool2DWithIndicesBackward0" if _dims(node.inputs[0]) == 4 else node.op.backward_name


def _part(node: Node) -> str:
    """PyTorch takes the parts of an index one after another; tensors, lists and masks come last, at once."""
    index = node.params["index"]
    if len(node.inputs) > 1:
        return "IndexBackward0"
    names = {int: "Select", slice: "Slice", type(None): "Unsqueeze"}
    kinds = [names[type(part)] for part in index if type(part) in names and part != slice(None)]
    if kinds:
        return kinds[-1] + "Backward0"
    return "AliasBackward0" if Ellipsis in index or not index else "SliceBackward0"


_BY_INPUTS = {
    "pow": _power, "clamp": _clamp, "sub": _difference, "amax": _extreme, "amin": _extreme,
    "squeeze": _squeezed, "matmul": _product, "linear": _linear, "scatter": _scatter, "max_pool": _pooled,
    "getitem": _part,
}  # fmt: skip
