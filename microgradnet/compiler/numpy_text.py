"""A plan as text: a straight line of NumPy calls that write where the plan says."""

from __future__ import annotations

import dataclasses
import operator
from collections import Counter
from typing import Any

import numpy as np

from ..graph import Op
from .calls import Refusal, cast, copied, updated
from .naming import LITERALS, Names, array_text, constant_name, empty_text, is_number, literal
from .pieces import Group
from .plan import Buffer, Plan, Result
from .program import Step, Value, values_in
from .spelling import INFIX, PREFIX, name_of


@dataclasses.dataclass(slots=True)
class Printed:
    """A program as text.

    constants, memory: lines that make the constants and the buffers. body: the lines of the function `step`.
    arguments: what `step` takes, as Values. outputs: how many results come before the numbers it gives back.
    objects: by name, what the text cannot say: long constants, and functions.
    results: by name, samples of the results whose memory `step` takes after that, or makes.
    """

    constants: list[str]
    memory: list[str]
    body: list[str]
    arguments: list[Value]
    names: list[str]
    outputs: int
    numbers: list[Value]
    objects: dict[str, Any]
    results: dict[str, Any]

    def function(self) -> str:
        """The text of `step`."""
        head = f"def step({', '.join([*self.names, *(f'{name}=None' for name in self.results)])}):"
        return "\n".join(["@np.errstate(all=\"ignore\")", head, *("    " + line for line in self.body)]) + "\n"


def print_program(plan: Plan) -> Printed:
    """The texts that make up a program."""
    return _Printer(plan).run()


class _Printer:
    def __init__(self, plan: Plan) -> None:
        self.plan, self.samples = plan, plan.samples
        self.names = Names()
        self.name: dict[Value, str] = {}
        self.array_name: dict[Value, str] = {}  # of the arguments, where an array is meant and not the number in it
        self.objects: dict[str, Any] = {}
        self.results: dict[str, Any] = {}
        self.constants: list[str] = []
        self.constant_names: dict[Any, str] = {}
        self.memory: list[str] = []
        self.buffer_name: dict[Buffer, str] = {}
        self.body: list[str] = []
        self.group: Group | None = None  # that is being written
        self.uses = Counter(v for step in plan.program.steps for v in values_in((step.args, step.params)))
        self.uses.update([*values_in(plan.program.outputs), *(new for _, new in plan.program.writes)])

    def run(self) -> Printed:
        program = self.plan.program
        arguments = self.arguments()
        names = []
        for value in arguments:
            self.name[value] = self.names(value.name or "x")
            names.append(self.name[value])
        self.array_name = dict(self.name)
        for value in arguments:  # arithmetic on NumPy's numbers is ten times faster than on arrays of shape ()
            if not value.shape and not is_number(value) and self.uses[value] > 1:
                name = self.names(f"{self.name[value]}_value")
                self.body.append(f"{name} = {self.name[value]}[()]")
                self.name[value] = name
        groups = {step: group for group in self.plan.groups for step in group.steps}
        self.note = ""
        for step in program.steps:
            if step not in groups:
                self.comment(step)
                self.step(step)
            elif step is groups[step].steps[0]:
                self.together(groups[step])
        numbers = self.end(program)
        return Printed(self.constants, self.memory, self.body, arguments, names, len(program.outputs), numbers,
                       self.objects, self.results)

    def arguments(self) -> list[Value]:
        """The Values from outside: a call's own arguments first, numbers last."""
        program = self.plan.program
        used = dict.fromkeys([
            *(v for step in program.steps for v in values_in((step.args, step.params))), *values_in(program.outputs),
            *(new for _, new in program.writes), *(t for t, _ in self.plan.copies if not is_number(t)),
        ])  # fmt: skip
        places = (place for place in self.plan.place.values() if isinstance(place, Value))
        used |= dict.fromkeys(places)
        order = {"input": 0, "state": 1, "number": 2}
        outside = [v for v in used if v.source is not None and v.source.kind in order]
        return sorted(outside, key=lambda v: order[v.source.kind])  # type: ignore[union-attr]

    # --- names of arguments ------------------------------------------------------------------------------------------

    def text(self, x: Any, scalar: bool = False) -> str:
        """An argument as it is written. scalar: for arithmetic on numbers, where arrays of shape () are slow."""
        if isinstance(x, Value):
            if x.source is not None and x.source.kind == "constant":
                array = x.source.read()
                name = self.constant(array[()] if scalar and not array.shape else np.asarray(array))
            else:
                name = self.name[x]
            return f"{name}[rows]" if self.group is not None and self.group.cuts(x) else name
        if isinstance(x, tuple):
            inner = ", ".join(self.text(part) for part in x)
            return f"({inner},)" if len(x) == 1 else f"({inner})"
        if isinstance(x, list):
            return f"[{', '.join(self.text(part) for part in x)}]"
        if isinstance(x, slice):
            return f"slice({self.text(x.start)}, {self.text(x.stop)}, {self.text(x.step)})"
        if isinstance(x, np.generic) and scalar:
            return self.constant(x)
        if isinstance(x, np.ndarray):
            return self.constant(x)
        return literal(x) if isinstance(x, LITERALS) else self.object(x, type(x).__name__.lower())

    def object(self, thing: Any, wanted: str) -> str:
        """The name of what the text cannot say."""
        for name, known in self.objects.items():
            if known is thing:
                return name
        name = self.names(wanted)
        self.objects[name] = thing
        return name

    def constant(self, array: Any) -> str:
        """The name of a constant array, or of a scalar of NumPy's."""
        key = type(array), array.dtype, array.shape, array.strides, array.tobytes()
        if key not in self.constant_names:
            name = self.names(constant_name(array)) if constant_name(array) != "c" else self.names.numbered("c")
            self.constant_names[key] = name
            text = literal(array) if isinstance(array, np.generic) else array_text(array)
            if text is None:
                self.objects[name] = array
            else:
                self.constants.append(f"{name} = {text}")
        return self.constant_names[key]

    def key_text(self, key: Any) -> str:
        """The inside of x[…]."""
        if isinstance(key, slice):
            start, stop, step = ("" if x is None else self.text(x) for x in (key.start, key.stop, key.step))
            return f"{start}:{stop}" + (f":{step}" if step else "")
        if isinstance(key, tuple) and key:
            return ", ".join(self.key_text(part) for part in key) + ("," if len(key) == 1 else "")
        return self.text(key)

    # --- names of results --------------------------------------------------------------------------------------------

    def name_result(self, out: Value, step: Step) -> str:
        place = self.plan.place.get(out)
        if isinstance(place, Value):
            name = self.array_name[place]
        elif isinstance(place, Buffer):
            name = self.name_in(place, out, step)
        else:
            name = self.fresh_name(out, step)
            if isinstance(place, Result):
                self.results[name] = place.sample
        self.name[out] = name
        return name

    def fresh_name(self, out: Value, step: Step) -> str:
        if out.name:
            return self.names(out.name)
        if step.function is np.transpose and len(out.shape) == 2:
            return self.names(f"{self.text(step.args[0])}_T")
        return self.names.numbered("t")

    def name_in(self, buffer: Buffer, out: Value, step: Step) -> str:
        """The name of a result in a buffer: its own, or that of the operand whose place it takes, or the buffer's."""
        if not out.name:
            for operand in values_in(step.args):
                if self.plan.place.get(operand) is buffer:
                    return self.name[operand]
            if buffer in self.buffer_name:
                return self.buffer_name[buffer]
        name = self.names(out.name) if out.name else self.names.numbered("t")
        if buffer in self.buffer_name:
            self.memory.append(f"{name} = {self.buffer_name[buffer]}")
        else:
            self.buffer_name[buffer] = name
            self.memory.append(f"{name} = {empty_text(buffer.sample)}")
        return name

    # --- steps -------------------------------------------------------------------------------------------------------

    def step(self, step: Step) -> None:
        function = step.function
        if isinstance(function, Refusal):
            self.refusal(step)
        elif step.out in self.plan.place:
            self.into(step, self.arguments_of(step))
        elif function is updated:
            x, key, value = step.args
            source = self.text(x)
            name = self.name_result(step.out, step)
            self.body += [f"{name} = {source}.copy(order=\"K\")", f"{name}[{self.key_text(key)}] = {self.text(value)}"]
        else:
            text = self.expression(step)
            if step.view and self.uses[step.out] == 1 and step.out not in self.plan.fixed:
                self.name[step.out] = text  # what is seen in passing needs no name
                return
            outs = step.out if isinstance(step.out, tuple) else (step.out,)
            names = ", ".join(self.name_result(out, step) for out in outs) + "," * isinstance(step.out, tuple)
            (self.memory if step.out in self.plan.fixed else self.body).append(f"{names} = {text}")

    def comment(self, step: Step) -> None:
        if step.note and step.note != self.note:
            self.body.append(f"# {step.note}")
            self.note = step.note

    def together(self, group: Group) -> None:
        """Steps that are done piece by piece."""
        self.comment(group.steps[0])
        for step in group.steps:
            place = self.plan.place.get(step.out)
            if place is None or isinstance(place, Result):
                name = self.name_result(step.out, step)
                given = f" if {name} is None else {name}" * (place is not None)
                self.body.append(f"{name} = {empty_text(self.samples[step.out])}{given}")
        before, self.body, self.group = self.body, [], group
        for step in group.steps:
            self.comment(step)
            args = self.arguments_of(step)
            if step.out not in self.name:
                self.name_result(step.out, step)
            self.body.append(f"{name_of(step.function)}({', '.join(args)}, out={self.text(step.out)})")
        lines, self.body, self.group = self.body, before, None
        self.body.append(f"for i in range(0, {group.shape[0]}, {group.rows}):  # so few rows stay in the cache")
        self.body += ["    " + line for line in (f"rows = slice(i, i + {group.rows})", *lines)]

    def refusal(self, step: Step) -> None:
        condition, *rest = step.args
        refusal: Any = step.function
        params = step.params

        def refuse(*args: Any) -> None:
            refusal.raise_error(args, params)

        refuse.refused_by = refusal.op.name  # type: ignore[attr-defined]
        name = self.names(f"refuse_{refusal.op.name}")
        self.objects[name] = refuse
        negated = "not " if refusal.expected else ""
        self.body += [f"if {negated}{self.text(condition)}:",
                      f"    {name}({', '.join(self.text(a) for a in rest)})"]

    def arguments_of(self, step: Step) -> list[str]:
        """The arguments as texts, numbers as arrays where NumPy is quicker with these and the dtype stays the same."""
        dtypes = {v.dtype for v in values_in(step.args)}
        dtype: Any = dtypes.pop() if len(dtypes) == 1 else None
        if not isinstance(step.function, np.ufunc) or isinstance(dtype, type) or np.dtype(dtype).kind != "f":
            return [self.text(a) for a in step.args]
        texts = []
        for a in step.args:
            if type(a) in (int, float) or isinstance(a, np.generic) and a.dtype == dtype:
                with np.errstate(all="ignore"):
                    array = np.array(a, dtype)
                if np.isfinite(array) or not np.isfinite(a):
                    texts.append(self.constant(array))
                    continue
            texts.append(self.text(a))
        return texts

    def params_text(self, params: dict[str, Any]) -> str:
        return "".join(f", {k}={self.text(v)}" for k, v in params.items())

    def into(self, step: Step, args: list[str]) -> None:
        """A step that writes into memory that is there."""
        function = step.function
        in_place = isinstance(step.args[0], Value) and self.plan.place[step.out] is self.plan.place.get(step.args[0])
        key = self.key_text(step.args[1]) if function is updated else ""
        out = self.name_result(step.out, step)
        if function is updated:
            if not in_place:
                self.body.append(f"np.copyto({out}, {args[0]})")
            self.body.append(f"{out}[{key}] = {args[2]}")
        elif function is np.where:
            self.body += [f"np.copyto({out}, {args[2]})", f"np.copyto({out}, {args[1]}, where={args[0]})"]
        elif function is copied:
            self.body.append(f"np.copyto({out}, {args[0]})")
        elif function is cast:
            self.body.append(f"np.copyto({out}, {args[0]}, casting=\"unsafe\")")
        else:
            params = {k: v for k, v in step.params.items() if k != "order"}  # the memory has it
            given = f"{out} = " * (out in self.results) + self.function_name(function)
            self.body.append(f"{given}({', '.join(args)}{self.params_text(params)}, out={out})")

    def expression(self, step: Step) -> str:
        """A step as an expression."""
        function, args, params = step.function, step.args, step.params
        number = isinstance(step.out, Value) and not step.out.shape
        if function in INFIX and not params and (number or function not in _UFUNCS):
            return f"{self.text(args[0], number)} {INFIX[function]} {self.text(args[1], number)}"
        if function in PREFIX and not params and (number or function not in _UFUNCS):
            return f"{PREFIX[function]}{self.text(args[0], number)}"
        first = self.text(args[0]) if args else ""
        if isinstance(args[0] if args else None, Value):
            if function is operator.getitem:
                return f"{first}[{self.key_text(args[1])}]"
            if function is np.transpose:
                reverse = len(args) == 1 or tuple(args[1]) == tuple(range(len(args[0].shape)))[::-1]
                return f"{first}.T" if reverse else f"{first}.transpose({self.text(args[1])})"
            if function is np.reshape:
                return f"{first}.reshape({self.text(args[1])})"
            if function is cast:
                return f"{first}.astype({self.text(args[1])})"
            if function is copied:
                return f"{first}.copy()"
        texts = self.arguments_of(step) if not number else [self.text(a) for a in args]
        return f"{self.function_name(function)}({', '.join(texts)}{self.params_text(params)})"

    def function_name(self, function: Any) -> str:
        name = name_of(function)
        if name:
            return name
        forward = function.forward if isinstance(function, Op) else function
        return self.object(forward, function.name if isinstance(function, Op) else function.__name__)

    # --- the end -----------------------------------------------------------------------------------------------------

    def end(self, program: Any) -> list[Value]:
        """The copies that remain, and what is returned; gives the numbers that a call changes."""
        outputs = []
        for x in program.outputs:
            if isinstance(x, Value) and x in self.plan.returned:
                name = self.names.numbered("result")
                self.body.append(f"{name} = {self.text(x)}.copy()")
                outputs.append(name)
            else:
                outputs.append(self.text(x))
        arrays = [(target, new) for target, new in self.plan.copies if not is_number(target)]
        targets = {target for target, _ in program.writes}
        sources = {}
        for _, new in arrays:  # old values that would be overwritten before they are copied
            sources[new] = self.text(new)
            if self.plan.root.get(new, new) in targets:
                sources[new] = self.names.numbered("old")
                self.body.append(f"{sources[new]} = {self.text(new)}.copy()")
        self.body += [f"np.copyto({self.array_name[target]}, {sources[new]})" for target, new in arrays]
        numbers = [target for target, _ in self.plan.copies if is_number(target)]
        outputs += [self.text(new) for target, new in self.plan.copies if is_number(target)]
        if outputs:
            self.body.append(f"return {', '.join(outputs)}")
        elif not self.body:
            self.body.append("pass")
        return numbers


_UFUNCS = {f for f in (*INFIX, *PREFIX) if isinstance(f, np.ufunc)}
