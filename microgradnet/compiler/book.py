"""Names as in the book: z, a and δ for what flows through layers, BP1 to BP4 beside the steps that these are.

Found by the shape of the graph: a layer is a `linear` step; its error δ is what, turned, multiplies the layer's input.
"""

from __future__ import annotations

import re
from typing import Any

from ..graph import Op
from .program import Program, Step, Value

ACTIVATIONS = {"sigmoid", "relu", "tanh", "softmax", "leaky_relu", "elu", "silu", "softplus", "gelu", "hardtanh"}


def name_by_the_book(program: Program) -> None:
    """Give names and notes to the Values and steps of a program of operations, where they have none."""
    reader: dict[Value, list[Step]] = {}
    maker: dict[Value, Step] = {}
    for step in program.steps:
        for x in step.args:
            if isinstance(x, Value):
                reader.setdefault(x, []).append(step)
        if isinstance(step.out, Value):
            maker[step.out] = step
    layers = [s for s in program.steps if _is(s, "linear") and all(isinstance(x, Value) for x in s.args[:2])]
    for count, layer in enumerate(layers, 1):
        x, weight, *_ = layer.args
        digits = re.search(r"\d+$", weight.name)
        number = digits[0] if digits else str(count)
        _call(layer.out, f"z{number}", layer, f"layer {number}")
        for step in reader.get(layer.out, ()):
            if isinstance(step.function, Op) and step.function.name in ACTIVATIONS:
                _call(step.out, f"a{number}", step, f"layer {number}")
        delta = _error(layer, reader, maker)
        if delta is not None:
            last = count == len(layers)
            _note_error(delta, maker, number, "BP1" if last else "BP2")
            _note_products(delta, x, weight, reader, number)


def _is(step: Step | None, name: str) -> bool:
    return step is not None and isinstance(step.function, Op) and step.function.name == name


def _call(value: Any, name: str, step: Step | None, note: str) -> None:
    if isinstance(value, Value) and value.source is None:
        value.name = value.name or name
    if step is not None:
        step.note = step.note or note


def _error(layer: Step, reader: dict, maker: dict) -> Value | None:
    """δ of a layer: δᵀ times the layer's input is the gradient of the weight."""
    x, weight = layer.args[:2]
    for product in reader.get(x, ()):
        if _is(product, "matmul") and product.out.shape == weight.shape and product.args[1] is x:
            turned = maker.get(product.args[0])
            if turned is not None and turned.args[0].shape == layer.out.shape:
                return turned.args[0]
    return None


def _note_error(delta: Value, maker: dict, number: str, equation: str) -> None:
    """δ = ∂C/∂a ∘ σ'(z), where the activation's rule is such a product."""
    step = maker.get(delta)
    _call(delta, f"delta{number}", step, equation)
    if _is(step, "mul"):
        for factor, name in zip(step.args, ("da", "slope")):  # type: ignore[union-attr]
            made_by = maker.get(factor)
            _call(factor, f"{name}{number}", made_by, equation)
            for part in made_by.args if made_by is not None and name == "slope" else ():
                if part in maker and not part.name:
                    maker[part].note = maker[part].note or equation


def _note_products(delta: Value, x: Value, weight: Value, reader: dict, number: str) -> None:
    for step in reader.get(delta, ()):
        if _is(step, "sum_to"):
            _call(step.out, f"db{number}", step, "BP3")
        elif _is(step, "matmul") and step.args[1] is weight:
            _call(step.out, f"da{_before(number)}", step, "BP2")
        for product in reader.get(step.out, ()) if isinstance(step.out, Value) else ():
            if _is(product, "matmul") and product.args[1] is x:
                _call(product.out, f"d{weight.name or 'w' + number}", product, "BP4")
                step.note = step.note or "BP4"


def _before(number: str) -> str:
    return str(int(number) - 1)
