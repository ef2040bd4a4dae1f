"""What the steps of an explanation say in writing: names, formulas, lines of NumPy, and all of it as a table."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler.naming import Names as Identifiers
from ..compiler.naming import literal
from ..graph import ITEM, Node
from ..tensor import Tensor
from . import formulas, labels
from .frames import calls
from .idioms import SCIPY
from .mathtext import pretty, pretty_lines
from .names import Names as GivenNames

if TYPE_CHECKING:
    from ..nn import Module
    from .explain import Explanation, Flow, Step

LONGEST = 56  # characters of a formula
SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "matmul": "@"}  # operations that are written between
RAISED = str.maketrans("0123456789L−", "⁰¹²³⁴⁵⁶⁷⁸⁹ᴸ⁻")


class Names:
    """What values and gradients are called: as in the book where that has a name, else as given, else by number.

    of, gradient: in writing, 'z²' and 'δ²', 'v7' and '∂C/∂v7'. variable, gradient_variable: in a line of NumPy, 'z2'
    and 'delta2', 'v7' and 'dv7'.
    """

    def __init__(self, explanation: Explanation, params: Module | Mapping[str, Tensor] | None) -> None:
        self.params = params
        self.cost = "C" if explanation.loss.numel() == 1 else "out"
        self._shown: dict[Any, str] = {}
        self._variables: dict[Any, str] = {}
        self._errors: dict[Any, tuple[str, str]] = {}
        self._taken = Identifiers()
        chains = calls(explanation.nodes)
        self.given = GivenNames(params, [chain[0][0] for chain in chains.values() if chain])
        self._add(explanation.loss.node, self.cost)
        for layer in explanation.equations.layers:
            for symbol, place in (("z", layer.z), ("a", layer.a), ("w", layer.w), ("b", layer.b)):
                if place is not None and place not in self._shown:
                    self._add(place, symbol + layer.name.translate(RAISED), symbol + layer.name.replace("−", "_"))
            self._errors[layer.z] = f"δ{layer.name.translate(RAISED)}", f"delta{layer.name.replace('−', '_')}"
        self._add_data(explanation)
        for number, node in enumerate(explanation.nodes, 1):
            if node not in self._shown:
                self._add(node, f"v{number}")
            for x in node.inputs:
                if isinstance(x, Tensor) and x not in self._shown:
                    given = self.given.of(x) or self._number()
                    self._add(x, labels.shorten(given), re.sub(r"^(\d[\w.]*)\.(\w+)$", r"\2_\1", given))

    def _number(self) -> str:
        """x1, x2, …"""
        return next(name for i in itertools.count(1) if (name := f"x{i}") not in self._taken.taken)

    def _add_data(self, explanation: Explanation) -> None:
        """The book's a¹ and y: what goes into the first layer, and what the cost compares the last with."""
        layers = explanation.equations.layers
        if not layers:
            return
        if layers[0].l == 2 and self._is_data(layers[0].a_prev):
            self._add(layers[0].a_prev, "a¹", "a1")
        above = (node for node in explanation.nodes if node.time > layers[-1].z.time)
        targets = dict.fromkeys(x for node in above for x in node.inputs if self._is_data(x))
        if len(targets) == 1:
            self._add(next(iter(targets)), "y")

    def _is_data(self, x: Any) -> bool:
        return isinstance(x, Tensor) and not x._requires_grad and x not in self._shown and not self.given.of(x)

    def _add(self, place: Any, shown: str, variable: str = "") -> None:
        """Names that nothing else has, neither a gradient nor the t1, i, j, … of lines that need several, nor SciPy."""
        wanted = variable or shown
        if re.fullmatch(r"t\d+|delta\w*|[ijk]|scipy", wanted):
            wanted += "_"
        name = self._taken(wanted)
        while f"d{name}" in self._taken.taken:
            name = self._taken(wanted)
        self._taken.taken.add(f"d{name}")
        self._shown[place], self._variables[place] = shown, name

    def places(self) -> list[Any]:
        """All nodes and leaves that have a name."""
        return list(self._shown)

    def of(self, place: Any) -> str:
        return self._shown[place]

    def gradient(self, place: Any) -> str:
        return self._errors[place][0] if place in self._errors else f"∂{self.cost}/∂{self._shown[place]}"

    def variable(self, place: Any) -> str:
        return self._variables[place]

    def gradient_variable(self, place: Any) -> str:
        return self._errors[place][1] if place in self._errors else f"d{self._variables[place]}"

    def is_number(self, x: Any) -> bool:
        """Whether an argument is a constant that is written out where it is used."""
        return isinstance(x, Tensor) and x.ndim == 0 and not x._requires_grad and not self.given.of(x)

    def argument(self, x: Any) -> str:
        """An argument of an operation, in writing."""
        if isinstance(x, Node) or isinstance(x, Tensor) and not self.is_number(x):
            return labels.shorten(self.of(x))
        text = labels.constant(x.array if isinstance(x, Tensor) else x)
        return f"({text})" if text.startswith("-") else text

    def equation(self, node: Node, inputs: Sequence[Any]) -> str:
        """'z² = linear(a¹, w², b²)'."""
        args = [self.argument(x) for x in inputs if x is not None]
        if node.op is ITEM:
            right = f"{args[0]}[{node.params['index']}]"
        elif node.op.name in SIGNS and len(args) == 2:
            right = pretty(f"p {SIGNS[node.op.name]} q", {"p": args[0], "q": args[1]})
        else:
            right = f"{labels.shorten(node.op.name)}({', '.join(args)})"
        return f"{self.of(node)} = {cut(right)}"

    def arguments(self, step: Step) -> list[str]:
        """The arguments of an operation as they are written in a line of NumPy."""
        return [self._variables[x] if isinstance(x, (Node, Tensor)) else _constant(x) for x in step.inputs]


def cut(text: str) -> str:
    """The text, its end left out where it is too long for a line."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]} …"


def _constant(value: Any) -> str:
    """An argument that is neither a node nor a tensor."""
    if isinstance(value, np.ndarray):
        return f"np.array({value.tolist()}, np.{value.dtype.name})"
    return literal(value)


def _rule(step: Step, flow: Flow) -> tuple[Any, int | None, tuple]:
    """(the function, which of its results, what it is given before g) for a flow."""
    op = step.node.op
    return (op.rules[flow.argument], None, ()) if op.joint is None else (op.joint, flow.argument, (step.node.needs,))


def formula(step: Step, flow: Flow) -> str:
    """The rule as the table has it, or what its helpers come to."""
    if step.node.op is ITEM:
        return f"g as part {step.params['index']}"
    rule, pick, before = _rule(step, flow)
    text = formulas.source(rule)
    if text is None:
        names = formulas.parameters(rule, len(before), len(step.args))
        given = [_names(names[0], step.gradient), _names(names[1], step.output), *names[2:]]
        found = formulas.numpy_lines(rule, given, [step.gradient, step.output, *step.args], step.params, pick, before)
        text = "\n".join(found) if found else f"the rule of {step.node.op.name} for argument {flow.argument}"
    return text


def _names(name: str, value: Any) -> Any:
    """A name, or one for each of several outputs, or of some of them."""
    if isinstance(value, dict):
        return {i: f"{name}[{i}]" for i in value}
    return tuple(f"{name}[{i}]" for i in range(len(value))) if isinstance(value, tuple) else name


def numpy_lines(names: Names, step: Step, flow: Flow) -> list[str]:
    """The lines that add a flow to the gradient of its argument."""
    g, target = names.gradient_variable(step.node), names.gradient_variable(flow.source)
    if step.node.op is ITEM:
        return _item_lines(step, flow, g, target)
    rule, pick, before = _rule(step, flow)
    y, arguments = names.variable(step.node), names.arguments(step)
    given = [_names(g, step.gradient), _names(y, step.output), *arguments]
    values = [step.gradient, step.output, *step.args]
    lines = formulas.numpy_lines(rule, given, values, step.params, pick, before, step.args[flow.argument])
    if lines is None:
        which = f"the rule of '{step.node.op.name}' for argument {flow.argument}"
        return [f"# {target}: {which}, which is no line of NumPy"]
    last = lines[-1] if flow.total is flow.gradient else formulas.added(target, lines[-1])
    return [*map(marked, lines[:-1]), marked(f"{target} = {last}")]


def marked(line: str) -> str:
    """A line of Python; if it takes a function of SciPy, it says so."""
    used = re.findall(rf"{SCIPY}\.(\w+)", line)
    return f"{line}  # of SciPy: NumPy has no {' and no '.join(dict.fromkeys(used))}" if used else line


def _item_lines(step: Step, flow: Flow, g: str, target: str) -> list[str]:
    """One of several outputs: its gradient takes its place among theirs."""
    index = step.params["index"]
    begin = [f"{target} = [np.zeros(part.shape, part.dtype) for part in {target[1:]}]"] if len(flow.total) == 1 else []
    return [*begin, f"{target}[{index}] = {target}[{index}] + {g}"]


def written(lines: list[str], names: Mapping[str, str]) -> list[str]:
    """Lines of NumPy in mathematical writing; none where they do more than name values."""
    if not all(re.match(r"\w+ = [^\[]", line) for line in lines):
        return []
    name, _, text = lines[-1].partition(" = ")
    *before, last = pretty_lines([*lines[:-1], text], names)
    return [*before, f"{names.get(name, name)} = {last}"]


def value_text(value: Any) -> str:
    """A gradient in a few characters: a number, or its shape."""
    if isinstance(value, (tuple, dict)):
        return f"{len(value)} part{'s' * (len(value) > 1)}"
    return f"{value.item():.4g}" if value.size == 1 else labels.shape(value)


def arrivals(flow: Flow) -> str:
    """How far the gradient of an argument is."""
    if flow.complete:
        return "complete" if flow.expected == 1 else f"{flow.arrived} of {flow.expected}: complete"
    return f"{flow.arrived} of {flow.expected}: waiting"


def table(explanation: Explanation) -> str:
    """All steps, a line for each gradient that goes on."""
    names = explanation.names
    rows = [["step", "node", "arrives", "rule", "goes on", "children", "equation", "NumPy"]]
    begin = f"{names.gradient(explanation.loss.node)} {value_text(explanation.seed)}"
    rows.append(["0", "", "", "", begin, "", "", ""])
    for step in explanation:
        arrives = f"{names.gradient(step.node)} {value_text(step.gradient)}"
        first = [str(step.number), f"{names.of(step.node)} = {step.node.op.name}", arrives]
        if not step.flows:
            rows.append([*first, "", "", "", "", ""])
        for flow in step.flows:
            equations = " ".join(label.name for label in explanation.labels(flow.source) if label.name[0] == "B")
            rule = explanation.formula(step, flow).split("\n")
            lines = explanation.numpy(step, flow)
            rows.append([*first, rule[-1], f"{names.gradient(flow.source)} {value_text(flow.total)}", arrivals(flow),
                         equations if flow.complete else "", "; ".join(lines) if len(lines) < 3 else f"…; {lines[-1]}"])
            first = ["", "", ""]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
