"""What a rule says: its expression as it stands in the table, and the lines of plain NumPy that it comes to."""

from __future__ import annotations

import ast
import functools
import linecache
import operator
import re
from collections import Counter
from collections.abc import Callable, Sequence
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np

from ..compiler.calls import as_array, cast, copied, updated
from ..compiler.lower import OWN
from ..compiler.naming import array_text, dtype_text, literal, number_text
from ..compiler.program import Step, Value, values_in
from ..compiler.spelling import INFIX, PREFIX, name_of
from ..compiler.traced import Trace, Traced, holds_traced, value_of
from ..compiler.tracing import rebound
from ..graph import Op
from . import idioms

LINE = 100  # characters; a longer expression is broken into several lines
LIBRARY = {getattr(np.linalg, name): f"np.linalg.{name}" for name in ("inv", "solve", "det")}
LIBRARY[np.lib.stride_tricks.sliding_window_view] = "np.lib.stride_tricks.sliding_window_view"
KNOWN = idioms.NUMPY | idioms.SPECIAL  # what operations are, by their names


@functools.lru_cache(1024)
def source(rule: Callable) -> str | None:
    """The expression that a rule returns, as it stands in the table; None where it calls helpers or has branches."""
    code = rule.__code__
    spans: list[Any] = [p for p in code.co_positions() if None not in p and p[2:] != (0, 0)]
    lines = linecache.getlines(code.co_filename)
    if rule.__name__ != "<lambda>" or not spans or not lines:
        return None
    (first, start), (last, end) = min((p[0], p[2]) for p in spans), max((p[1], p[3]) for p in spans)
    text = [line.encode() for line in lines[first - 1 : last]]
    text[-1] = text[-1][:end]
    text[0] = text[0][start:]
    try:
        tree = ast.parse(f"({b''.join(text).decode()})", mode="eval")
    except (SyntaxError, UnicodeDecodeError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id.startswith("_"):
            if node.id not in code.co_varnames:
                return None  # a helper
            node.id = node.id.lstrip("_")
    return ast.unparse(tree)


def parameters(rule: Callable, first: int, count: int) -> list[str]:
    """What a rule calls g, y and its `count` arrays, without the `_` of those it does not read.

    first: how many arguments stand before g: 0, or 1 for a joint rule.
    """
    code = rule.__code__
    names = [name.lstrip("_") or "y" for name in code.co_varnames[first : code.co_argcount]]
    return names[: count + 2] + [f"x{i}" for i in range(len(names) - 2, count)]


def numpy_lines(rule: Callable, names: Sequence[Any], args: Sequence[Any], params: dict[str, Any],
                pick: int | None = None, before: tuple = (), like: Any = None) -> list[str] | None:
    """The rule's result for these arguments as NumPy: lines that name what is used twice, and last an expression.

    names: what the arguments are called; an argument that is no array stands for itself.
    pick: which of a joint rule's results; `before`: what such a rule is given first.
    like: an array whose shape and dtype the result is brought to, as the traversal does.
    None where the rule does what no such lines say.
    """
    trace = Trace()
    named: dict[Value, str] = {}

    def given(arg: Any, name: Any) -> Any:
        if isinstance(arg, tuple) and isinstance(name, (tuple, list)):
            return tuple(map(given, arg, name))
        if isinstance(arg, dict):  # the gradients of some of several outputs
            return SimpleNamespace(given={i: given(part, name[i]) for i, part in arg.items()})
        if not isinstance(arg, (np.ndarray, np.generic)):
            return arg
        value = value_of(arg)
        named[value] = name
        return Traced(trace, value, arg, writable=False)

    rule = idioms.RULES.get(rule, rule)
    try:
        with np.errstate(all="ignore"):
            result = rebound(rule, trace, **_meanings(rule, trace))(*before, *map(given, args, names), **params)
            if pick is not None:
                result = result[pick]
            if like is not None and result.shape != like.shape:
                result = idioms.FORWARDS["sum_to"](result, like.shape)
            if like is not None and result.dtype != like.dtype:
                result = result.astype(like.dtype)
            return None if trace.escaped else _Printer(trace.steps, named).lines(trace.noted(result))
    except Exception:  # whatever it was that the notes cannot say
        return None


def _meanings(rule: Callable, trace: Trace) -> dict[str, Callable]:
    """What the names of operations mean in a rule that is traced: their forwards, traced as well."""

    def meaning(op: Op) -> Callable:
        forward = idioms.FORWARDS.get(op.name) or OWN.get(op.name, op.forward)

        def run(*args: Any, **params: Any) -> Any:
            if not holds_traced(args):
                return op(*args, **params)
            if len(args) > op.arity:
                args, params, _ = op._bind(args, params)
            if op.name in KNOWN:
                return trace.call(KNOWN[op.name], args, params)
            known = _meanings(forward, trace) if isinstance(forward, FunctionType) else {}
            return rebound(forward, trace, **known)(*args, **params)

        return run

    return {name: meaning(op) for name, op in idioms.operations(rule).items()}


def added(to: str, text: str) -> str:
    """The sum of a name and an expression."""
    tree = ast.parse(text, mode="eval").body
    tight = isinstance(tree, ast.BinOp) and isinstance(tree.op, (ast.Mult, ast.Div, ast.MatMult, ast.Pow))
    tight = tight or isinstance(tree, (ast.Call, ast.Name, ast.Attribute, ast.Constant, ast.Subscript))
    return f"{to} + {text}" if tight else f"{to} + ({text})"


# How tightly operators bind; what is not among them binds least of all, calls and names most.
_BINDS, _TIGHT = {"+": 1, "-": 1, "*": 2, "/": 2, "@": 2}, 4


class _Printer:
    """Steps as text: what is used once stands where it is used."""

    def __init__(self, steps: list[Step], names: dict[Value, str]) -> None:
        self.steps, self.names = steps, dict(names)
        self.maker = {step.out: step for step in steps if isinstance(step.out, Value)}
        self.uses: Counter[Value] = Counter()
        self.above: list[str] = []

    def lines(self, result: Any) -> list[str]:
        needed, stack = set(), [*values_in((result,))]
        while stack:
            value = stack.pop()
            self.uses[value] += 1
            if value in self.maker and value not in needed:
                needed.add(value)
                stack += values_in((self.maker[value].args, self.maker[value].params))
        if result in self.maker and not self._takes_lines(self.maker[result].function):
            last = self.expression(self.maker[result])[0]
        else:
            last = self.text(result)
        return [*self.above, last]

    def text(self, x: Any, least: int = 0) -> str:
        """An argument as it is written; in brackets, if it binds less than its surroundings ask for."""
        if isinstance(x, Value):
            if x in self.names:
                return self.names[x]
            if x.source is not None:
                return self.constant(x.source.read())
            if self._takes_lines(self.maker[x].function):
                return self.written(x)
            text, binds = self.expression(self.maker[x])
            if self.uses[x] > 1 or len(text) > LINE:
                self.names[x] = name = f"t{len(self.above) + 1}"
                self.above.append(f"{name} = {text}")
                return name
            return f"({text})" if binds < least else text
        if isinstance(x, tuple):
            return f"({', '.join(map(self.text, x))}{',' * (len(x) == 1)})"
        if isinstance(x, list):
            return f"[{', '.join(map(self.text, x))}]"
        if isinstance(x, np.ndarray):
            return self.constant(x)
        text = number_text(x) if isinstance(x, np.floating) else literal(x)
        return text[1:-1] if text.startswith("(-") and not least else text

    def _takes_lines(self, function: Any) -> bool:
        return function is updated or isinstance(function, idioms.Lines)

    def written(self, x: Value) -> str:
        """The name of an array that takes several lines to make."""
        step, function = self.maker[x], self.maker[x].function
        if isinstance(function, idioms.Lines):
            texts, template = self.filling(function, step.args), function.text
        else:
            before, key, value = step.args
            texts = {"before": self.text(before, _TIGHT), "key": self.key(key), "value": self.text(value)}
            template = "out = before.copy()\nout[key] = value"
        name = self.names[x] = texts["out"] = f"t{len(self.above) + 1}"
        lines = re.sub(r"\w+", lambda match: texts.get(match[0], match[0]), template).split("\n")
        for line in lines:  # what has just been made needs no copy
            made = re.search(r" = np\.(zeros|ones)\(", line)
            self.above.append(re.sub(r"(\.copy\(\))+$", "" if made else ".copy()", line))
        return name

    def filling(self, lines: idioms.Lines, args: tuple) -> dict[str, str]:
        """What stands in place of the names in such lines."""
        texts = {}
        for name, arg in zip(lines.names, args):
            text = self.text(arg, _TIGHT)
            often = len(re.findall(rf"\b{name}\b", lines.text)) > 1 or "for " in lines.text
            if often and not text.isidentifier() and not text.startswith("np.zeros("):
                self.above.append(f"t{len(self.above) + 1} = {self.text(arg)}")
                text = f"t{len(self.above)}"
            texts[name] = text
        return texts

    def constant(self, array: Any) -> str:
        array = np.asarray(array)
        if array.ndim == 2 and len(array) == array.shape[1] > 1 and np.array_equal(array, np.eye(len(array))):
            return f"np.eye({len(array)}, dtype={dtype_text(array.dtype)})"
        if array.ndim == 2 and len(array) == array.shape[1] > 1 and np.array_equal(array, np.tri(len(array)).T):
            return f"np.tri({len(array)}, dtype={dtype_text(array.dtype)}).T"
        if array.ndim > 1 and array.dtype == np.int64 and np.array_equal(array.ravel(), np.arange(max(array.shape))):
            return f"np.arange({array.size}).reshape({array.shape})"  # along one dimension
        text = number_text(array[()]) if array.ndim == 0 and array.dtype.kind == "f" else array_text(array)
        if text is None:
            raise ValueError("a long constant")
        return text

    def key(self, key: Any) -> str:
        if isinstance(key, slice):
            start, stop, step = ("" if x is None else self.text(x) for x in (key.start, key.stop, key.step))
            return f"{start}:{stop}" + (f":{step}" if step else "")
        if isinstance(key, tuple) and key:
            return ", ".join(map(self.key, key)) + "," * (len(key) == 1)
        return self.text(key)

    def expression(self, step: Step) -> tuple[str, int]:
        """A step as an expression, and how tightly that binds."""
        function, args, params = step.function, step.args, step.params
        infix = "@" if function is np.matmul else INFIX.get(function)
        if infix and not params:
            binds = _BINDS.get(infix, 0)
            left = self.text(args[0], binds or _TIGHT)
            return f"{left} {infix} {self.text(args[1], binds + 1 if binds else _TIGHT)}", binds
        if function in PREFIX and not params:
            return f"{PREFIX[function]}{self.text(args[0], _TIGHT)}", _BINDS["*"]
        if args and isinstance(args[0], Value):
            summed = function is np.sum or function == np.add.reduce
            methods: dict[Any, Callable[[], str]] = {
                operator.getitem: lambda: f"[{self.key(args[1])}]",
                np.swapaxes: lambda: _swapping(len(args[0].shape), *args[1:]),
                np.transpose: lambda: f".transpose({self.text(args[1])})" if _turns(args) else ".T",
                np.reshape: lambda: f".reshape({self.text(args[1])})",
                np.dot: lambda: f".dot({self.text(args[1])})",
                cast: lambda: f".astype({self.text(args[1])})",
                copied: lambda: ".copy()",
            }
            if function in methods:
                return self.text(args[0], _TIGHT) + methods[function](), _TIGHT
            if summed and "axis" in params:
                return f"{self.text(args[0], _TIGHT)}.sum({', '.join(self.named(params))})", _TIGHT
        known = function.name if isinstance(function, idioms.SciPys) else LIBRARY.get(function)
        name = "np.array" if function is as_array else known or name_of(function)
        if not name:
            raise ValueError(f"{function} is no function of NumPy")
        return f"{name}({', '.join([*map(self.text, args), *self.named(params)])})", _TIGHT

    def named(self, params: dict[str, Any]) -> list[str]:
        """Arguments by name, without those that say what is so anyway."""
        usual = {("dtype", None), ("keepdims", False)}
        return [f"{key}={self.text(x)}" for key, x in params.items()
                if not (isinstance(x, (bool, type(None))) and (key, x) in usual)]  # fmt: skip


def _swapping(ndim: int, first: int, second: int) -> str:
    """How two axes are exchanged; '' if they are one."""
    if first % ndim == second % ndim:
        return ""
    return ".mT" if (first, second) == (-1, -2) else f".swapaxes({first}, {second})"


def _turns(args: tuple) -> bool:
    """Whether np.transpose with these arguments is more than .T."""
    return len(args) > 1 and args[1] is not None and tuple(args[1]) != tuple(range(len(args[0].shape)))[::-1]


__all__ = ["added", "numpy_lines", "parameters", "source"]
