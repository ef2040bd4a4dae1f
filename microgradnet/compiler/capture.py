"""Capture: a function of tensors is run once, and what it does is written down as a program.

The function runs as ever, on its real arguments, in a mode in which every operation tells the recorder of itself:
those of the forward pass, the rules of `backward()`, run on Tensors, and the writes into parameters and buffers. What
an operation is given and what it makes is known by memory (`places`), so that aliases and views need no care. An
optimizer's step is told as a whole; `updates` knows it as steps.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from .. import graph, recording
from ..dtypes import promote
from ..errors import CompileError
from ..graph import ITEM, Node, Op
from ..optim import Optimizer
from ..recording import Mode
from ..tensor import Tensor, describe
from .calls import Asked, Refusal
from .draws import draw
from .guards import layout_of, leaves, modes
from .naming import is_number, names_of_arguments
from .numbers import Number, Numbers, with_numbers, without_numbers
from .places import Memory, Place
from .program import Program, Source, Step, Value, values_in
from .refusals import cannot, listens
from .results import finish
from .samples import is_pure, laid_out_as
from .taps import array_of, listening
from .traced import constant, sampled
from .watch import Watch

_one_at_a_time = threading.RLock()

# Operations whose result has a shape that the values decide.
_SHAPED_BY_VALUES = {"unique", "unique_consecutive", "repeated_index"}


# Who may look into a tensor's array: these modules of the package tell what they compute, or do not compute with it;
# these functions look at its shape.
_TOLD = {f"microgradnet.{name}" for name in ("graph", "tensor", "lints", "ops.inplace", "ops.views", "ops.facts",
                                            "autograd.engine", "autograd.function", "compiler.capture",
                                            "compiler.descent")}  # fmt: skip
_LOOKERS = {(f"microgradnet.{name}", function) for name, function in (
    ("ops.creation", "_like"), ("ops.index", "_scattered_to"), ("ops.index", "<listcomp>"), ("ops.shape", "view"),
    ("nn.embedding", "embedding"))}  # fmt: skip


class Recording:
    """What came of one run: the program, and what it takes for granted.

    result: what the function returned, with a Value for each Tensor that it made, and a Given for each other.
    modes: of recording and the like, in which it ran. training: what it left modules in: [(their dict, training)].
    differentiable: whether a gradient could flow
        from it; then a program, which leaves no graph behind, cannot stand for the function.
    gradients: (a tensor, or which of the arguments' it is, Value or None): what its `.grad` is to be after each call.
    states: the tensors from outside that were used. written: those of them whose memory is written.
    optimizers: those that stepped.
    watch: the Python variables that may have had a part in it. changing: options of optimizers that are read anew.
    waiting: tensors whose `.grad` is used, or to which more is added: it must be there and
        lie in memory as it did (its layout), or not be there (False).
    """

    def __init__(self, watch: Watch, changing: Collection[str]) -> None:
        self.program, self.watch, self.changing = Program([], []), watch, changing
        self.result: Any = None
        self.modes = modes()
        self.training: list[tuple[dict, bool]] = []
        self.differentiable = False
        self.gradients: list[tuple[Tensor | int, Value | None]] = []
        self.states: dict[Tensor, None] = {}
        self.optimizers: dict[Optimizer, None] = {}
        self.written: list[Tensor] = []
        self.waiting: dict[Tensor, Any] = {}


class Recorder:
    """Listens while a function runs, and writes its program.

    lenient: where that cannot be, let the function go on as ever, and keep the error.
    """

    def __init__(self, watch: Watch, changing: Collection[str] = (), lenient: bool = False, tensors: int = 0) -> None:
        self.found, self.lenient = Recording(watch, changing), lenient
        self.error: CompileError | None = None
        self.steps = self.found.program.steps
        self.memory = Memory(self.write_down)
        self.fixed: set[Value] = set()  # what is computed from constants alone
        self.on, self.off = Mode(True, everything=self), Mode(False, everything=self)
        self.on.off, self.off.on = self.off, self.on
        self.outside: dict[Value, tuple[Tensor, Place]] = {}  # the state the function found there
        self.inputs: list[Tensor] = []
        self.arguments: dict[Tensor, tuple[int, Place, Value]] = {}
        self.made: dict[int, Any] = {}  # tensors that were made meanwhile, by their id
        self.touched: dict[Tensor, None] = {}  # whose .grad was set or added to
        self.consumed: set[Tensor] = set()  # whose .grad an optimizer has used
        self.rates: list[tuple[dict, Any]] = []  # the groups that were updated, each with its learning rate then
        self.kept: dict[tuple[Optimizer, Tensor, str], Value] = {}  # what optimizers keep
        self.keeps: dict[Value, Value] = {}  # what is written into that
        self.expected: list[np.ndarray] = []  # the writes that were announced
        self.results: dict[Tensor, int] = {}  # that are returned, in order
        self.stepping = False  # whether an optimizer makes its step
        self.numbers = Numbers(self, tensors)

    def fail(self, error: CompileError) -> None:
        """Raise an error, or note it."""
        if not self.lenient:
            raise error
        self.error = error

    def refuse(self, why: str) -> None:
        """The function does what a program could not repeat."""
        self.fail(cannot(why))

    def write_down(self, step: Step) -> None:
        """Add a step to the program."""
        self.steps.append(step)
        if is_pure(step) and all(map(self.is_fixed, values_in((step.args, step.params)))):
            self.fixed.update(values_in(step.out))

    def is_fixed(self, value: Value) -> bool:
        """Whether a value is the same at each call."""
        return value in self.fixed or value.source is not None and value.source.kind == "constant"

    # --- values -----------------------------------------------------------------------------------------------------

    def value_of(self, array: np.ndarray, tensor: Tensor | None = None) -> Value:
        """The Value of what an array holds now; of one that is new here, whose `tensor` it is."""
        place = self.memory.find(array)
        if place is None:
            return self._from_outside(array, tensor)
        assert place.value is not None
        source = place.value.source
        if source is not None and source.kind == "input" and tensor is not None:
            if tensor not in self.arguments and id(tensor) not in self.made and tensor.node is None:
                raise cannot(f"{describe(tensor)} from outside shares memory with an argument, and may not with a "
                             "later one; clone() one of them")
        return place.value

    def _from_outside(self, array: np.ndarray, tensor: Tensor | None) -> Value:
        if tensor is None or id(tensor) in self.made:
            value = constant(array.copy(order="K"))
            self.memory.new(array, value)
            return value
        if tensor.node is not None and tensor.requires_grad:
            raise _of_another_graph(tensor.shape)
        if tensor in self.found.states:
            raise cannot(f"the memory of {describe(tensor)} was replaced while the function ran; keep that outside")
        if tensor._base is not None and self.memory.find(tensor._base.array) is None:
            self._from_outside(tensor._base.array, tensor._base)  # its other views, and itself, are known from now on
            place = self.memory.find(array)
            assert place is not None and place.value is not None
            self.found.states[tensor] = None
            return place.value
        self.found.states[tensor] = None
        value = Value(array.shape, array.dtype, tensor.name or "", Source("state", lambda: tensor.array, steady=True))
        self.outside[value] = tensor, self.memory.new(array, value)
        return value

    @listens
    def argument(self, tensor: Tensor, index: int, name: str) -> None:
        """Make a tensor known as an argument of the function."""
        self.inputs.append(tensor)
        if tensor in self.arguments:
            return  # given twice, and so in every call of the program
        array = tensor.array
        if self.memory.sharing(array):
            raise cannot("two arguments share memory, and later ones may not; clone() one of them")
        source = Source("input", lambda inputs: inputs[index])
        value = Value(array.shape, array.dtype, name, source, laid_out_as(array))
        self.arguments[tensor] = index, self.memory.new(array, value), value

    # --- what operations tell ---------------------------------------------------------------------------------------

    @listens
    def add(self, op: Op, inputs: list, params: dict, args: list, output: Any) -> None:
        """op(*args, **params) made output."""
        if op is ITEM or type(output) is tuple and any(type(y) is not np.ndarray for y in output):
            return  # nothing was computed: a part of a result, or a Function, whose own operations have told already
        if op.name in _SHAPED_BY_VALUES:
            raise cannot(f"{op.name} makes a tensor whose shape hangs on the values; compute it outside")
        taken = tuple(self._operand(x, a) for x, a in zip(inputs, args))
        if op.name == "getitem" and any(v.dtype == bool for v in values_in(taken[1:])):
            raise cannot("an index of truth values makes a tensor whose shape hangs on the values; use where(), or "
                         "compute it outside")
        if op.promotes:
            taken = self._promoted(op, args, params, taken)
        parts = output if type(output) is tuple else (output,)
        outs = tuple(Value(y.shape, y.dtype) for y in parts)
        params = {name: self.numbers.given(x) for name, x in params.items()}
        self.write_down(Step(op, taken, params, outs if type(output) is tuple else outs[0], bool(op.view)))
        for y, out in zip(parts, outs):
            self.memory.new(y, out)

    def _operand(self, made_by: Any, array: Any) -> Any:
        """An argument of an operation. made_by: the Tensor or the Node it was, or itself."""
        if isinstance(made_by, Tensor):
            return self.value_of(made_by.array, made_by)
        if isinstance(array, np.ndarray):
            if isinstance(made_by, Node) and self.memory.find(array) is None:
                raise _of_another_graph(array.shape)
            return self.value_of(array)
        if isinstance(array, (list, tuple)):
            return type(array)(self._operand(None, part) for part in array)
        return self.numbers.given(array)

    def _promoted(self, op: Op, args: list, params: dict, taken: tuple) -> tuple:
        """The operands in the dtype that PyTorch's promotion computes in, where NumPy's is another one."""
        dtype = promote(tuple(args), op.promotes == "float")
        if dtype is None or all(getattr(x, "dtype", dtype) == dtype for x in args):
            return taken
        with np.errstate(all="ignore"):
            if op.forward(*args, **params).dtype == dtype:
                return taken
        as_given = tuple(x.astype(dtype) if isinstance(x, np.generic) else x for x in taken)
        return tuple(self._cast(x, dtype) if isinstance(x, Value) else x for x in as_given)

    def _cast(self, value: Value, dtype: Any) -> Value:
        if value.dtype == dtype or is_number(value):
            return value
        cast = Value(value.shape, dtype)
        self.write_down(Step(graph.OPS["to"], (value,), {"dtype": dtype}, cast))
        return cast

    @listens
    def copied(self, array: np.ndarray, copy: np.ndarray) -> None:
        """What memory holds is kept elsewhere, because it will be overwritten."""
        self.memory.new(copy, self.value_of(array))

    @listens
    def wrote(self, array: np.ndarray, result: Any) -> None:
        """Memory is about to be given what a tensor `result` holds, in its own dtype."""
        new = self._cast(self.value_of(result.array, result), array.dtype)
        place = self.memory.find(array)
        if place is None:
            raise cannot("memory is written that is no tensor's")
        self.memory.write(place, new)
        if any(argument.value is not value for _, argument, value in self.arguments.values()):
            raise cannot("the function writes into its argument; return the new value instead")
        self.expected.append(array)

    @listens
    def stamped(self, arrays: tuple, _now: int) -> None:
        """Memory was written; it must have been announced."""
        for array in () if self.stepping else arrays:
            if not any(array is e for e in self.expected):
                raise cannot("memory was written in a way that cannot be recorded, as by an optimizer's own step() or "
                             "into `.array`; keep that outside, or use fallback='eager'")
        self.expected.clear()

    def draw(self, function: Callable, args: tuple, kwargs: dict) -> Tensor:
        """Random numbers for a new tensor, or for one that is there."""
        if self.error is None:
            try:
                return draw(self, function, args, kwargs)
            except CompileError as error:
                self.fail(error)
        return function(*args, **kwargs)

    @listens
    def read(self, tensor: Tensor, reader: str, within: str = "") -> None:
        """Somebody looks at the numbers of a tensor: refused where these may be others at the next call.

        Not refused are those who compute with what they see as operations and writes tell, or see the shape alone.
        """
        array = array_of(tensor)
        if within in _TOLD or (within, reader) in _LOOKERS:
            if id(tensor) not in self.made:
                self.value_of(array, tensor)  # whatever shares its memory from now on is known to be its own
            return
        if self.stepping or self.is_fixed(self.value_of(array, tensor)):
            return
        reader = reader if reader.isidentifier() else within.rpartition(".")[2]  # a comprehension has no name
        raise cannot(
            f"{reader}() reads the numbers of a tensor {describe(tensor)} while the function is recorded, and the "
            "program would have this call's numbers for ever. Return the tensor and read it outside; where it steers "
            "an `if`, use where(), or compile with fallback='eager'"
        )

    def asked(self, condition: Tensor) -> bool:
        """What a condition is now. A call in which it is another one is left to the function."""
        array = array_of(condition)
        if self.error is None:
            self.write_down(Step(Refusal(bool(array), Asked()), (self.value_of(array, condition),), {}, ()))
        return bool(array)

    def of_arrays(self, rules: Sequence[Callable | None]) -> list[Callable]:
        """Rules that look at numbers, as functions of Tensors, of which each is one step: a program has the numbers."""
        return [functools.partial(self._rule, rule) for rule in rules]

    def _rule(self, rule: Any, g: Tensor, y: Tensor, *args: Any, **params: Any) -> Tensor:
        if self.error is not None or g.requires_grad or recording.is_grad_enabled():
            return rule(g, y, *args, **params)

        def applied(*arrays: Any) -> np.ndarray:
            return np.array(rule(*arrays, **params))

        given = (g, y, *args)
        array = applied(*(array_of(x) if isinstance(x, Tensor) else x for x in given))
        out = Value(array.shape, array.dtype)
        self.write_down(Step(applied, tuple(self._operand(x, x) for x in given), {}, out))
        self.memory.new(array, out)
        return Tensor(array)

    # --- gradients and updates --------------------------------------------------------------------------------------

    @listens
    def touch(self, tensor: Tensor) -> None:
        """A tensor's `.grad` is about to be set."""
        self.touched[tensor] = None
        self.consumed.discard(tensor)

    @listens
    def grad_of(self, tensor: Tensor) -> None:
        """Somebody looks for a tensor's `.grad`: what is there now, or nothing, must be so in each call."""
        if tensor in self.touched or tensor in self.found.waiting:
            return
        self.found.waiting[tensor] = tensor._grad is not None and layout_of(tensor._grad)
        if tensor._grad is None:
            return
        array = array_of(tensor._grad)
        if self.memory.find(array) is None:
            if tensor in self.arguments:
                raise cannot("the function uses the gradient that an argument has; set its .grad to None before")
            source = Source("state", lambda: tensor._grad.array)  # type: ignore[union-attr]
            self.memory.new(array, Value(array.shape, array.dtype, source=source, like=laid_out_as(array)))

    def before_adding(self, tensor: Tensor) -> None:
        """Something is about to be added to a tensor's `.grad`, or put there if there is none."""
        self.grad_of(tensor)
        self.touch(tensor)

    def to_zero(self, tensors: list[Tensor]) -> None:
        """The gradients that are there are to be zero, in their places."""
        for tensor in tensors:
            self.before_adding(tensor)
            if tensor._grad is not None:
                with recording.no_grad():
                    tensor._grad.zero_()

    # --- the end ----------------------------------------------------------------------------------------------------

    @listens
    def finish(self, result: Any, args: tuple, kwargs: dict, keep_grads: bool) -> None:
        """The function has returned."""
        now: list[Tensor] = []
        leaves((args, kwargs), now)
        if [*map(id, now)] != [*map(id, self.inputs)]:
            raise cannot("the function changes a list or dict that it is given; return the tensors instead")
        finish(self, result, keep_grads)


def _of_another_graph(shape: tuple) -> CompileError:
    return cannot(f"the function uses a tensor {tuple(shape)} from outside that was computed from others and requires "
                  "grad; give it as an argument, or detach() it")


def record(function: Callable, args: tuple, kwargs: dict, inputs: list[Tensor], keep_grads: bool = False,
           changing: Collection[str] = (), lenient: bool = False, numbers: Collection[int] = (),
           variables: Collection[tuple[Any, Any]] = ()) -> tuple[Any, Recording | None]:
    """(what the function returns, what was recorded of it)

    inputs: the Tensors among the arguments. changing: names of options of optimizers that are not taken for granted.
    lenient: where it cannot be recorded, None instead of a CompileError; it has run as ever then.
    numbers: which of the Python numbers among the arguments are not taken for granted, either.
    variables: nor those in these variables, each given as (scope, key).
    """
    with _one_at_a_time:
        watch = Watch(function, (*args, *kwargs.values()), variables)
        recorder = Recorder(watch, changing, lenient, len(inputs))
        args, kwargs = with_numbers((args, kwargs), numbers, recorder.numbers) if numbers else (args, kwargs)
        outer = recording._mode.get()
        names = names_of_arguments(function, args, kwargs)
        for index, tensor in enumerate(inputs):
            recorder.argument(tensor, index, names.get(id(tensor), ""))
        for number in recorder.numbers.arguments:
            number.value.name = names.get(id(number), "")
        recording._mode.set(recorder.on if outer.grad else recorder.off)
        try:
            with recorder.numbers.in_variables(variables):
                with listening(recorder), watch.listening():
                    result = function(*args, **kwargs)
                if (numbers or variables) and watch.asks_types:
                    raise cannot("the function asks for the type of things, and a number that it uses changes; give "
                                 "that as a tensor")  # what it made of the answer may be wrong
                recorder.finish(result, args, kwargs, keep_grads)
            watch.seal()
            if outer.inference:
                for tensor in recorder.results:
                    tensor._inference = True
            result = without_numbers(result) if numbers or variables else result
            return result, None if recorder.error else recorder.found
        finally:
            recording._mode.set(outer.on if recording._mode.get().grad else outer.off)
            recorder.on.everything = recorder.off.everything = False  # circles, which would keep the first arguments
            recorder.numbers.recorder = None
            if numbers or variables:
                watch.replace(Number, sampled)  # what the function has kept
            del recorder.memory
