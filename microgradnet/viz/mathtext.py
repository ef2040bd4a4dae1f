"""Expressions of Python as a person writes them: 'g * (y * (1 - y))' is g · y · (1 − y)."""

from __future__ import annotations

import ast
import copy
import functools
from collections.abc import Callable, Mapping

RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SUM, PRODUCT, SIGN, POWER, ATOM = range(1, 6)  # how tightly an expression binds
INFIX = {ast.Add: (" + ", SUM), ast.Sub: (" − ", SUM), ast.Mult: (" · ", PRODUCT), ast.Div: (" / ", PRODUCT),
         ast.MatMult: (" @ ", PRODUCT)}  # fmt: skip


def pretty(text: str, names: Mapping[str, str] | None = None) -> str:
    """An expression in mathematical writing, with other names for some of its names; '·' is elementwise, '@' is not.

    What is no expression stays as it is.
    """
    tree = _parsed(text)
    return text if tree is None else _Writer(names or {}).written(tree)[0]


@functools.lru_cache(256)
def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def pretty_lines(lines: list[str], names: Mapping[str, str]) -> list[str]:
    """The same for lines of which all but the last give names t1, t2, … to what is used more than once."""
    *before, last = lines
    short: dict[str, str] = {}
    written = []
    for line in before:
        name, _, text = line.partition(" = ")
        short[name] = name.translate(LOWERED)
        written.append(f"{short[name]} = {pretty(text, {**names, **short})}")
    return [*written, pretty(last, {**names, **short})]


SHAPING = ("copy", "broadcast_to", "astype")  # says nothing that the shape beside a formula does not say
MODULES = ("np", "np.linalg", "np.lib.stride_tricks", "scipy.special")
CONSTANTS = {"np.inf": "∞", "np.nan": "nan", "np.pi": "π"}


class _Writer:
    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def inner(self, tree: ast.expr, least: int) -> str:
        text, binds = self.written(tree)
        return f"({text})" if binds < least else text

    def written(self, tree: ast.expr) -> tuple[str, int]:
        kinds: dict[type, Callable] = {
            ast.BinOp: self.binary, ast.UnaryOp: self.unary, ast.Call: self.call, ast.Attribute: self.attribute,
            ast.Subscript: self.subscript, ast.Constant: self.constant, ast.Compare: self.compare,
        }  # fmt: skip
        if isinstance(tree, ast.Name):
            return self.names.get(tree.id, tree.id), ATOM
        for kind, write in kinds.items():
            if isinstance(tree, kind):
                return write(tree)
        return _renamed(tree, self.names), 0

    def binary(self, tree: ast.BinOp) -> tuple[str, int]:
        if isinstance(tree.op, ast.Pow):
            return self.power(tree.left, tree.right)
        if type(tree.op) not in INFIX:
            return _renamed(tree, self.names), 0
        alike = isinstance(tree.op, ast.Mult) and type(tree.left) is type(tree.right)
        if alike and ast.dump(tree.left) == ast.dump(tree.right):
            return self.power(tree.left, ast.Constant(2))
        sign, binds = INFIX[type(tree.op)]
        # a · (b · c) and a + (b − c) need no brackets; neither do a · (b / c), but a · (b @ c) does.
        loose = isinstance(tree.op, (ast.Add, ast.Mult)) and isinstance(tree.right, ast.BinOp)
        loose = loose and not isinstance(tree.right.op, ast.MatMult)  # type: ignore[attr-defined]
        mixed = isinstance(tree.left, ast.BinOp) and isinstance(tree.left.op, ast.MatMult) != (sign == " @ ")
        left = self.inner(tree.left, binds + (mixed and binds == PRODUCT))
        least = ATOM if isinstance(tree.right, ast.UnaryOp) else binds + (not loose)
        return f"{left}{sign}{self.inner(tree.right, least)}", binds

    def power(self, base: ast.expr, exponent: ast.expr) -> tuple[str, int]:
        text = self.raised_base(base)
        if isinstance(exponent, ast.Constant) and isinstance(exponent.value, int) and exponent.value >= 0:
            return text + str(exponent.value).translate(RAISED), POWER
        return f"{text}^{self.inner(exponent, ATOM)}", POWER

    def raised_base(self, tree: ast.expr) -> str:
        """In brackets where it binds less, or has a raised sign already, as δ² has."""
        text = self.inner(tree, ATOM)
        return f"({text})" if not text.isascii() and not text.startswith("(") else text

    def unary(self, tree: ast.UnaryOp) -> tuple[str, int]:
        if isinstance(tree.op, ast.USub):
            return f"−{self.inner(tree.operand, PRODUCT)}", SIGN
        return _renamed(tree, self.names), 0

    def compare(self, tree: ast.Compare) -> tuple[str, int]:
        signs = {ast.Eq: "=", ast.NotEq: "≠", ast.Lt: "<", ast.LtE: "≤", ast.Gt: ">", ast.GtE: "≥"}
        if any(type(op) not in signs for op in tree.ops):
            return _renamed(tree, self.names), 0
        parts = [self.inner(tree.left, SUM)]
        for op, right in zip(tree.ops, tree.comparators):
            parts += [signs[type(op)], self.inner(right, SUM)]
        return " ".join(parts), 0

    def call(self, tree: ast.Call) -> tuple[str, int]:
        function, args = tree.func, tree.args
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if isinstance(function, ast.Attribute) and ast.unparse(function.value) not in MODULES:
            args = [function.value, *args]
        if name == "dot" and len(args) == 2:
            return self.binary(ast.BinOp(args[0], ast.MatMult(), args[1]))
        if name in SHAPING and args:
            return self.written(args[0])
        if name == "reshape" and args:
            return f"reshape({self.written(args[0])[0]})", ATOM
        if name in ("sum", "sum_to") and args:
            return f"Σ {self.inner(args[0], POWER)}", SIGN
        if name == "square" and len(args) == 1:
            return self.power(args[0], ast.Constant(2))
        said = [self.written(arg)[0] for arg in args]
        said += [f"{k.arg}={self.written(k.value)[0]}" for k in tree.keywords if k.arg and not _is_shape(k)]
        if not name:
            return _renamed(tree, self.names), 0
        return f"√({said[0]})" if name == "sqrt" and len(said) == 1 else f"{name}({', '.join(said)})", ATOM

    def attribute(self, tree: ast.Attribute) -> tuple[str, int]:
        if ast.unparse(tree) in CONSTANTS:
            return CONSTANTS[ast.unparse(tree)], ATOM
        if tree.attr in ("T", "mT"):
            return f"{self.raised_base(tree.value)}ᵀ", POWER
        return f"{self.inner(tree.value, ATOM)}.{tree.attr}", ATOM

    def subscript(self, tree: ast.Subscript) -> tuple[str, int]:
        key = _renamed(tree.slice, self.names)
        if isinstance(tree.slice, ast.Tuple) and tree.slice.elts:
            key = key[1:-1].removesuffix(",")
        return f"{self.inner(tree.value, ATOM)}[{key}]", ATOM

    def constant(self, tree: ast.Constant) -> tuple[str, int]:
        return (f"{tree.value:.4g}" if isinstance(tree.value, float) else repr(tree.value)), ATOM


def _is_shape(keyword: ast.keyword) -> bool:
    """Whether an argument says only what shape the result has."""
    return keyword.arg == "keepdims" or ".shape" in ast.unparse(keyword.value)


def _renamed(tree: ast.expr, names: Mapping[str, str]) -> str:
    tree = copy.deepcopy(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
    return ast.unparse(tree)


__all__ = ["pretty", "pretty_lines"]
