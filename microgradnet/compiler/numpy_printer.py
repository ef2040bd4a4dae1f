"""The NumPy backend: compiles the text of a plan, and shows it as a module that runs on its own.

The function `step` that `program_text` shows is the one that runs.
"""

from __future__ import annotations

import contextvars
import inspect
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import CompileError
from .book import name_by_the_book
from .lower import lower
from .numpy_text import Printed, print_program
from .plan import Plan
from .plan import plan as plan_of
from .program import Program
from .simplify import simplify
from .tracing import names_used


def numpy_program(program: Program) -> NumpyProgram:
    """A captured program, through all passes to a compiled one."""
    name_by_the_book(program)
    return NumpyProgram(plan_of(simplify(lower(program))))


class NumpyProgram:
    """A plan, compiled: a function of a call's tensors' arrays. It gives the outputs, and writes what is to be written.

    It computes in memory of its own, so two threads may not call it at once.

    text: what runs. run: the function itself. bind: to be called when something was set (`recording.setting`).
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.program = plan, plan.program
        printed = print_program(plan)
        self.text = "\n".join([*printed.constants, *printed.memory, printed.function(), _runner(printed)])
        quiet = contextvars.Context()  # does what errstate(all="ignore") does, which takes longer
        quiet.run(np.seterr, all="ignore")
        names: dict[str, Any] = {"np": np, "math": __import__("math"), "quietly": quiet.run, **printed.objects}
        for i, value in enumerate(printed.arguments):
            names[f"read_{i}"] = value.source.read  # type: ignore[union-attr]
        for i, value in enumerate(printed.numbers):
            names[f"write_{i}"] = value.source.write  # type: ignore[union-attr]
        for i, sample in enumerate(printed.results.values()):
            names[f"memory_{i}"] = Turns(sample).memory
        exec(compile(self.text, "<compiled program>", "exec"), names)
        self.run: Callable[[list], list] = names["run"]
        self.bind: Callable[[], None] = names["bind"]
        self.bind()

    def __call__(self, inputs: list) -> list:
        return self.run(inputs)


class Turns:
    """Memory for results like `sample`: that of one of the last two, if nobody has it any more. Both are kept."""

    def __init__(self, sample: np.ndarray) -> None:
        self.sample = sample
        self.last: Any = None
        self.other: Any = None

    def memory(self) -> np.ndarray:
        """An array that nobody else has; a view of it would have it."""
        if sys.getrefcount(self.last) > Turns.references:
            self.last, self.other = self.other, self.last
            if sys.getrefcount(self.last) > Turns.references:
                self.last = np.empty_like(self.sample)
        return self.last

    references = 0  # that are counted of an array that nobody else has


_turns = Turns(np.empty(1))
_turns.last = np.empty(1)
Turns.references = sys.getrefcount(_turns.last)


def _runner(printed: Printed) -> str:
    """The function that gets the arguments of `step` from where they are, and puts numbers back; and `bind`."""
    sources: list[Any] = [value.source for value in printed.arguments]
    given = ", ".join(f"bound_{i}" if s.steady else f"read_{i}({'inputs' if s.kind == 'input' else ''})"
                      for i, s in enumerate(sources))  # fmt: skip
    given += "".join(f", memory_{i}()" for i in range(len(printed.results)))
    results = [f"r{i}" for i in range(printed.outputs + len(printed.numbers))]
    lines = ["calculation = step.__wrapped__", "def bind():"]
    lines += [f"    global bound_{i}; bound_{i} = read_{i}()" for i, s in enumerate(sources) if s.steady]
    lines += ["    return", "def run(inputs):"]
    call = f"quietly(calculation, {given})"
    lines.append(f"    {', '.join(results)} = {call}" if results else f"    {call}")
    lines += [f"    write_{i}(r{printed.outputs + i})" for i in range(len(printed.numbers))]
    lines.append(f"    return [{', '.join(results[: printed.outputs])}]")
    return "\n".join(lines) + "\n"


def program_text(plan: Plan) -> str:
    """A module of NumPy calls, runnable on its own: its function `step` does what one call of the program does.

    It takes the arguments of the call, then the arrays that are kept between calls, which it updates in place, then
    numbers such as the learning rate; it returns the outputs, then the numbers that a call changes.
    Raises CompileError for an operation whose forward needs more than NumPy.
    """
    printed = print_program(plan)
    parts = ["import math\n" if "math." in "\n".join(printed.body) else "", "import numpy as np\n"]
    functions = []
    for name, thing in printed.objects.items():
        if isinstance(thing, np.ndarray):
            raise CompileError(f"program(): the constant {name} of {thing.size} elements is too large to be printed")
        functions.append(_source_of(name, thing))
    for lines, title in ((printed.constants, "constants"), (printed.memory, "memory, written anew in every step")):
        if lines:
            parts.append("\n".join([f"# {title}", *lines]) + "\n")
    return "\n".join([*filter(None, parts), *functions, "\n" + printed.function()])


def _source_of(name: str, function: Any) -> str:
    """The source of a function that needs nothing but NumPy, under another name."""
    refused = getattr(function, "refused_by", None)
    if refused is not None:
        return f'def {name}(*arguments):\n    raise ValueError("{refused}: refuses these arguments")\n'
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        source = ""
    names = names_used(function.__code__) if source.startswith("def ") else set()
    outside = names & set(getattr(function, "__globals__", ())) - {"np", "math"}
    if not source.startswith("def ") or outside or function.__closure__:
        raise CompileError(f"program(): {name} is no sequence of NumPy calls and cannot be printed; "
                           "the compiled program calls it")
    return source.replace(f"def {function.__name__}(", f"def {name}(", 1)
