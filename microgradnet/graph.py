"""The graph: what an operation is, what recording one leaves behind, and the walk that every interpreter shares.

An `Op` is written down once: a NumPy forward and one derivative rule per array argument. Calling it on Tensors computes
the forward and, where a gradient will be wanted, leaves a `Node` behind. Nodes point at what their inputs were made by,
never at what was made from them, so dropping the loss drops the graph.
"""

from __future__ import annotations

import functools
import itertools
import operator
import sys
import weakref
from collections.abc import Callable, Collection, Iterable
from typing import Any

import numpy as np

from . import recording
from .errors import DivisionByZero, DtypeError, LinAlgError, ShapeError
from .recording import Mode, _mode
from .tensor import Tensor, describe

OPS: dict[str, Op] = {}  # the one table: every operation by its name
UFUNCS: dict[Callable, Op] = {}  # NumPy's function -> the operation that stands for it under NumPy's protocols

NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim"}  # for metadata; PyTorch takes them, too

clock = itertools.count(1).__next__  # orders everything that happens: recording a node, writing in place
SMALL = 1024  # arrays up to this many elements are kept by a node even where no rule reads them: cheaper than a Spec

_ndarray = np.ndarray
_FLOAT32 = np.dtype(np.float32)
# Whether there ever was a tensor of two bytes per element. Before, a result in float32 needs no look at its operands:
# NumPy's promotion and PyTorch's agree.
narrow_used = False
_new = object.__new__

# The module whose forward is running, as (module, the same for the module that called it), or None: for the drawing.
# Shared by all threads: at worst a frame in a drawing is misnamed. Set by `nn.Module.__call__`.
running: list[Any] = [None]


# --- writing in place -----------------------------------------------------------------------------------------------

_written: dict[int, int] = {}  # id of the array that owns the memory -> when it was last written
last_write = 0  # the latest of them: a backward pass over younger nodes has nothing to check
on_write: Callable | None = None  # called with the arrays and the time of each write, in debug mode and in capture
on_record: Callable | None = None  # called with what a node will hold, in capture


def owner(array: np.ndarray) -> Any:
    """The array that owns an array's memory. Versions belong to memory, so that every view of it shares them.

    Memory of a foreign kind (a file's, a buffer's) belongs to the first array on it.
    """
    base = array.base
    return base if type(base) is np.ndarray else array


def stamp(*arrays: np.ndarray) -> None:
    """Note that the memory of these arrays is written now."""
    global last_write
    last_write = now = clock()
    for array in arrays:
        key = id(array)
        if key not in _written:  # else it owns its memory, which was written before
            memory = owner(array)
            key = id(memory)
            if key not in _written:
                _forget_with(memory)
        _written[key] = now
    if on_write is not None:
        on_write(arrays, now)


def _forget_with(memory: Any) -> None:
    """Take no memory for written that later has the same id."""
    weakref.finalize(memory, _written.pop, id(memory), None).atexit = False


def stamper(arrays: list[np.ndarray]) -> Callable[[], None]:
    """What does `stamp(*arrays)` whenever it is called, quickly."""
    owners = [*map(owner, arrays)]
    keys = [*map(id, owners)]
    for key, memory in zip(keys, owners):
        if key not in _written:
            _forget_with(memory)
            _written[key] = 0

    def stamp_all() -> None:
        global last_write
        last_write = now = clock()
        for key in keys:
            _written[key] = now
        if on_write is not None:
            on_write(arrays, now)

    return stamp_all


def version(array: np.ndarray) -> int:
    """When the array's memory was last written in place; 0 for never."""
    return _written.get(id(owner(array)), 0)


# --- one operation, recorded ----------------------------------------------------------------------------------------


class Spec:
    """Shape and dtype of an array whose values no rule reads, kept in the array's place."""

    __slots__ = ("shape", "dtype")

    def __init__(self, array: Any) -> None:
        self.shape, self.dtype = array.shape, array.dtype

    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: int(np.prod(self.shape)))

    def __repr__(self) -> str:
        return f"{tuple(self.shape)} {self.dtype}"


class Node:
    """A record that `op(*inputs, **params)` was computed.

    inputs: for each array argument what it was made by: a `Node`, or a leaf `Tensor`, or a Python number or None.
    needs: the positions of the inputs that a gradient flows to.
    args: the values the rules will be given (a `Spec` stands for one they do not read); None once freed.
    output: the value made, likewise.
    kept: what else the forward kept for the rules, or None.
    time: when; sorting by it orders any graph.
    hooks: functions on the gradient that arrives here, or None.
    module: the module whose forward computed it, and those around that; see `running`.
    """

    __slots__ = ("op", "inputs", "params", "needs", "args", "output", "kept", "time", "hooks", "module",
                 "__weakref__")

    op: Op
    inputs: list[Any]
    params: dict[str, Any]
    needs: tuple[int, ...]
    args: Any
    output: Any
    kept: Any
    time: int
    hooks: list[Callable] | None
    module: Any

    # PyTorch's face of a node, `tensor.grad_fn`

    def name(self) -> str:
        """PyTorch's name for it: 'MulBackward0'."""
        from .naming import backward_name

        return backward_name(self.computed)

    @property
    def computed(self) -> Node:
        """The node of the operation itself: for one of several outputs, the one it hangs on."""
        return self.inputs[0] if self.op is ITEM else self

    @property
    def next_functions(self) -> tuple:
        """((grad_fn of input, which of its outputs), ...), with None for an input that needs no gradient."""
        node = self.computed
        needed = (x if i in node.needs else None for i, x in enumerate(node.inputs))
        return tuple(
            (AccumulateGrad(x), 0) if isinstance(x, Tensor) else (x, x.params["index"] if x and x.op is ITEM else 0)
            for x in needed
        )

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"


def release(nodes: Iterable[Node]) -> None:
    """Let nodes give up their saved values and the constants, and keep the shape of the graph."""
    for node in nodes:
        node.args = node.kept = None
        output = node.output
        if type(output) is _ndarray:
            node.output = spec = _new(Spec)
            spec.shape, spec.dtype = output.shape, output.dtype
        elif type(output) is tuple:
            node.output = _spec(output)
        inputs, needs = node.inputs, node.needs
        if len(needs) != len(inputs):
            for i, x in enumerate(inputs):
                if i not in needs and isinstance(x, Tensor):
                    inputs[i] = Spec(x._data)


class _Positions(dict):
    """The positions of the bits that are set, as a tuple; kept, because few patterns occur."""

    def __missing__(self, bits: int) -> tuple[int, ...]:
        self[bits] = positions = tuple(i for i in range(bits.bit_length()) if bits >> i & 1)
        return positions


_positions = _Positions()


def record(op: Op, inputs: list, params: dict, needs: int, args: list, output: Any, kept: Any = None) -> Node:
    """The node for `output = op(*args, **params)`; `needs` has a bit for each input that a gradient flows to.

    A value that no rule reads is kept as its Spec, unless it is small. (Operations with metadata, such as a sum's
    `dim`, may make a small result of a large argument.)
    """
    if recording.inference_used and needs:
        _refuse_inference(op, inputs)
    if on_record is not None:
        on_record(op, inputs, params, args, output)
    node = _new(Node)
    node.op, node.inputs = op, inputs
    node.params, node.needs = params, _positions[needs]
    node.args, node.output, node.kept = args, output, kept
    if not op.reads_all and type(output) is not tuple and (output.size > SMALL or op.names and args[0].size > SMALL):
        _forget_unread(node)
    node.time, node.hooks, node.module = clock(), None, running[0]
    return node


def _forget_unread(node: Node) -> None:
    """Keep a value that no rule will read as its Spec."""
    op, needs = node.op, node.needs
    node.args = [
        Spec(v) if isinstance(v, np.ndarray) and not op.reads(i + 1, needs) else v for i, v in enumerate(node.args)
    ]
    if not op.reads(0, needs):
        node.output = Spec(node.output)


def _refuse_inference(op: Op, inputs: list) -> None:
    for x in inputs:
        if isinstance(x, Tensor) and x._inference:
            raise RuntimeError(
                f"{op.name}: a tensor made in inference_mode {describe(x)} cannot take part in a recorded computation; "
                "use no_grad instead, or clone() it outside"
            )


class AccumulateGrad:
    """The face of a leaf among `next_functions`."""

    next_functions = ()

    def __init__(self, variable: Tensor) -> None:
        self.variable = variable

    def name(self) -> str:
        """PyTorch's name for it."""
        return "torch::autograd::AccumulateGrad"

    def __eq__(self, other: object) -> bool:  # one leaf has one face, as often as it is asked for
        return isinstance(other, AccumulateGrad) and other.variable is self.variable

    def __hash__(self) -> int:
        return hash(self.variable)

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {id(self):#x}>"


def _spec(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_spec(part) for part in value)
    return Spec(value) if isinstance(value, np.ndarray) else value


def _named_as_read(rule: Callable, first: int, position: int) -> bool:
    """Whether a rule reads a value, by a convention of naming: a parameter that begins with `_` is never read for its
    values (its shape may be). Position 0 is the first parameter after `first`; a variadic one stands for the rest."""
    code = rule.__code__
    names = code.co_varnames[first : code.co_argcount]
    variadic = code.co_varnames[code.co_argcount + code.co_kwonlyargcount] if code.co_flags & 0x04 else "_"
    return not (names[position] if position < len(names) else variadic).startswith("_")


class Op:
    """One operation: `forward` on ndarrays, and a rule per array argument that turns the gradient of the output into
    the gradient of that argument.

    forward(*arrays, **params): arrays are positional, metadata is keyword; a Python function says so with a `/`.
    rule(g, y, *arrays, **params): g is the gradient of the output, y the output. It uses operators and other ops only,
        and so runs on ndarrays and, for higher derivatives, on Tensors. It need not undo broadcasting; None is no
        derivative. A parameter whose name begins with `_` is never read for its values, and then they are not kept.
    joint(needs, g, y, *arrays, **params): in place of rules, where the gradients share their work: one gradient per
        array, None where its position is not in `needs`.
    numpy: NumPy's function that `np.f(tensor)` shall mean this operation by (a ufunc forward stands for itself).
    promotes: mixed dtypes follow PyTorch's promotion; "float": whole numbers become the default float dtype first.
    view: the result may share its first argument's memory.
    keeps: forward returns (output, arrays), and a rule is given the arrays as `kept=`, which it would else compute once
        more. It must be able to: on Tensors, which have a history, it gets no `kept`.
    looks: a rule looks at numbers, to take one way or another.
    """

    arguments: tuple[str, ...]  # the names of the arrays in the forward
    names: tuple[str, ...]  # of the metadata, where it may be positional
    looks = False
    takes_out = False  # whether the forward can write its result into an array `out`, as a ufunc does
    takes_parts = False  # whether `joint` fills in the zeros for outputs that nobody used; else it gets them

    def __init__(self, name: str, forward: Callable, *rules: Callable | None, joint: Callable | None = None,
                 numpy: Callable | None = None, promotes: bool | str = False, view: bool = False,
                 keeps: bool = False, looks: bool = False, doc: str = "") -> None:
        self.name, self.forward, self.rules, self.joint = name, forward, rules, joint
        self.compute, self.keeps = forward, keeps
        self.promotes, self.view, self.looks = promotes, view, looks
        self.differentiable = joint is not None or any(rules)
        self.__doc__ = doc or forward.__doc__
        self.__name__ = self.__qualname__ = name
        self.__module__ = sys._getframe(1).f_globals["__name__"]  # the family file it belongs to
        if isinstance(forward, np.ufunc):
            self.arity, self.arguments, self.names = forward.nin, (), ()
            numpy = numpy or forward
        elif not hasattr(forward, "__code__"):
            self.arity, self.arguments, self.names = len(rules), (), ()
        else:
            code = forward.__code__
            variadic = bool(code.co_flags & 0x04)
            self.arity = 1_000_000 if variadic else code.co_posonlyargcount
            self.arguments = code.co_varnames[: code.co_posonlyargcount]
            self.names = () if variadic else code.co_varnames[code.co_posonlyargcount : code.co_argcount]
            self.takes_out = "out" in code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
        if keeps:
            self.forward = lambda *arrays, **params: forward(*arrays, **params)[0]
        self._known_reads: dict = {}
        own = [joint] if joint else [rule for rule in rules if rule]
        self.reads_all = all(_named_as_read(r, 2 if joint else 1, i) for r in own for i in range(len(rules) + 1))
        self.__class__ = _BY_ARITY.get(self.arity, Op)  # which is only quicker
        assert name not in OPS, f"the operation {name} is in the table twice"
        OPS[name] = self
        if numpy is not None:
            UFUNCS[numpy] = self

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __get__(self, tensor: Any, cls: type) -> Any:
        import types

        return self if tensor is None else types.MethodType(self, tensor)  # so that an op serves as a method

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Compute on ndarrays, or compute and record on Tensors."""
        if len(args) != self.arity or "out" in params:
            args, params, out = self._bind(args, params)
            if out is not None:
                from .ops.out import write_out

                return write_out(self.name, out, args, lambda: self(*args, **params))
        values = [*args]  # what forward sees
        inputs = [*args]  # what made it
        needs = 0  # where a gradient is wanted: a bit per position
        tensors = False
        for i, arg in enumerate(args):
            if isinstance(arg, Tensor):
                tensors = True
                if arg._base is not None:
                    arg._refresh()
                if arg._requires_grad:
                    needs |= 1 << i
                values[i] = arg._data
                inputs[i] = arg.node or arg
        if not tensors:
            return self.forward(*args, **params)
        return self._on_tensors(args, params, values, inputs, needs)

    def _on_tensors(self, args: tuple, params: dict, values: list, inputs: list, needs: int) -> Any:
        """Compute and record, given for each argument the value that forward sees, what made it, and in `needs` a bit
        that says whether it wants a gradient."""
        if self.view:
            values[0] = args[0].array  # a view needs memory to look at
        kept = None
        try:
            y = self.compute(*values, **params) if params else self.compute(*values)  # ** makes a dict
            if self.keeps:
                y, kept = y
            if self.promotes and (y.dtype is not _FLOAT32 or narrow_used):
                values, y = self._promoted(args, values, params, y)
        except OverflowError:  # a Python number beyond the dtype: it wraps around, or becomes inf
            from .dtypes import promote

            with np.errstate(all="ignore"):
                dtype = promote(args)
                return self(*(Tensor(np.array(a).astype(dtype)) if isinstance(a, int) else a for a in args), **params)
        except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
            if not NUMPY_NAMES.keys().isdisjoint(params):  # looked at here, where it costs other calls nothing
                return self(*args, **in_own_names(params))
            raise self.error(error, args, params) from error
        mode = _mode.get()
        if not (mode.grad and self.differentiable):
            needs = 0
        node = None
        if needs or mode.everything:
            if mode.everything:
                y = _in_memory(y, () if self.view else values)
            node = record(self, inputs, params, needs, values, y, kept)
        if type(y) is tuple:
            parts = tuple(_item(node, i, part, mode) for i, part in enumerate(y))
            if self.view:
                for part in parts:
                    _mark_view(part, args[0])
            return parts
        out = _new(Tensor)
        out._data = y
        out.node = node
        out._requires_grad = needs > 0
        out._grad = out._base = None
        out._inference = mode.inference
        if self.view:
            _mark_view(out, args[0])
        return out

    @functools.cached_property
    def backward_name(self) -> str:
        """PyTorch's name for the derivative: 'MulBackward0'."""
        return "".join(part[:1].upper() + part[1:] for part in self.name.split("_")) + "Backward0"

    def reads(self, position: int, needs: tuple[int, ...]) -> bool:
        """Whether the rules for the arguments in `needs` read the output (position 0) or the n-th array (n)."""
        known = self._known_reads.get((position, needs))
        if known is None:
            rules = [self.joint] if self.joint else [self.rules[i] for i in needs]
            known = any(_named_as_read(rule, 2 if self.joint else 1, position) for rule in rules if rule)
            self._known_reads[position, needs] = known
        return known

    def _bind(self, args: tuple, params: dict) -> tuple:
        """Positional metadata to its names, arrays given by name to positions, and `out=` apart."""
        out = params.pop("out", None)
        if len(args) > self.arity:
            extra = args[self.arity :]
            if len(extra) > len(self.names):
                most = self.arity + len(self.names)
                raise TypeError(f"{self.name}() takes at most {most} arguments ({len(args)} given)")
            for name, value in zip(self.names, extra):
                if name in params:
                    raise TypeError(f"{self.name}() got multiple values for argument '{name}'")
                params[name] = value
            args = args[: self.arity]
        elif len(args) < self.arity < 1_000_000:
            for i in range(len(args), self.arity):
                usual = (("input", "self"), ("other",), ())[min(i, 2)]  # as PyTorch calls them
                given = [name for name in (*usual, *self.arguments[i : i + 1]) if name in params]
                args += tuple(params.pop(name) for name in given)
            if len(args) < self.arity:
                raise TypeError(f"{self.name}() needs {self.arity} array argument(s), {len(args)} given")
        return args, params, out

    def _promoted(self, args: tuple, values: list, params: dict, y: Any) -> tuple[list, Any]:
        """Compute anew where NumPy's promotion and PyTorch's differ. Values keep their own dtype for the rules: the
        traversal casts a gradient back to its operand's."""
        from .dtypes import promote

        dtype = promote(args, self.promotes == "float")
        if dtype is None or y.dtype == dtype:
            return values, y
        cast = [v.astype(dtype) if isinstance(v, (np.ndarray, np.generic)) else v for v in values]
        y = self.forward(*cast, **params)
        return values, y if y.dtype in (dtype, np.bool_) else y.astype(dtype)

    def error(self, error: Exception, args: tuple, params: dict) -> Exception:
        """What a failing forward says: the operation, every operand, and what NumPy found."""
        operands = ", ".join(describe(a) for a in args)
        metadata = "".join(f", {k}={v!r}" for k, v in params.items() if not isinstance(v, np.ndarray))
        message = f"{self.name}({operands}{metadata}): {error}"
        if "broadcast" in str(error):
            message += " Aligned from the right, dimensions must be equal or 1: reshape() or unsqueeze() one operand."
        if isinstance(error, IndexError):
            return IndexError(message)
        if isinstance(error, ZeroDivisionError):
            return DivisionByZero(message)
        if isinstance(error, np.linalg.LinAlgError):
            return LinAlgError(message)
        return DtypeError(message) if isinstance(error, TypeError) else ShapeError(message)


class _Unary(Op):
    """An operation on one array. Most calls are on one tensor: for those, `Op.__call__` is here without its loop."""

    def __call__(self, *args, **params):
        if len(args) == 1 and "out" not in params:
            a = args[0]
            if isinstance(a, Tensor) and a._base is None:
                return self._on_tensors(args, params, [a._data], [a.node or a], a._requires_grad)
        return Op.__call__(self, *args, **params)


class _Binary(Op):
    """As `_Unary`, for two tensors."""

    def __call__(self, *args, **params):
        if len(args) == 2 and "out" not in params:
            a, b = args
            if isinstance(a, Tensor) and a._base is None and isinstance(b, Tensor) and b._base is None:
                return self._on_tensors(args, params, [a._data, b._data], [a.node or a, b.node or b],
                                        a._requires_grad | b._requires_grad << 1)
        return Op.__call__(self, *args, **params)


class _Ternary(Op):
    """As `_Unary`, for three tensors."""

    def __call__(self, *args, **params):
        if len(args) == 3 and "out" not in params:
            a, b, c = args
            if (isinstance(a, Tensor) and a._base is None and isinstance(b, Tensor) and b._base is None
                    and isinstance(c, Tensor) and c._base is None):
                return self._on_tensors(args, params, [a._data, b._data, c._data],
                                        [a.node or a, b.node or b, c.node or c],
                                        a._requires_grad | b._requires_grad << 1 | c._requires_grad << 2)
        return Op.__call__(self, *args, **params)


_BY_ARITY = {1: _Unary, 2: _Binary, 3: _Ternary}


def _in_memory(y: Any, args: Collection) -> Any:
    """A result as arrays of its own: capture knows values by their memory. A NumPy scalar has none, and some results
    are in that of an argument where there was nothing to do."""
    if type(y) is tuple:
        return tuple(_in_memory(part, args) for part in y)
    shared = any(isinstance(a, np.ndarray) and np.may_share_memory(a, y) for a in args)
    return y.copy(order="K") if shared else np.asarray(y)


def in_own_names(params: dict) -> dict:
    """Metadata with NumPy's names turned into the ones used here."""
    return {NUMPY_NAMES.get(name, name): value for name, value in params.items()}


def _mark_view(view: Tensor, of: Tensor) -> None:
    """Let a tensor know its base, if it shares memory with the argument it was made from."""
    if owner(view.array) is owner(of.array):
        view._base = of if of._base is None else of._base
        view._fresh = clock()


def _item(node: Node | None, index: int, part: Any, mode: Mode) -> Tensor:
    """One output of an operation that has several. It hangs on the operation by a node of its own."""
    needs = 1 if node is not None and node.needs and part.dtype.kind == "f" else 0
    made_by = record(ITEM, [node], {"index": index}, needs, [Parts], part) if node is not None else None
    out = _new(Tensor)._set(part, made_by, bool(needs))
    out._inference = mode.inference
    return out


class Parts:
    """The gradient of an operation with several outputs, by output; it grows as they arrive."""

    __slots__ = ("given",)
    shape, dtype, size = None, None, 0

    def __init__(self, given: dict[int, Any]) -> None:
        self.given = given

    def __add__(self, other: Parts) -> Parts:
        for i, g in other.given.items():  # in place: nobody else has it, and a sequence has an output per time step
            self.given[i] = self.given[i] + g if i in self.given else g
        return self

    def whole(self, outputs: tuple, as_tensors: bool) -> tuple:
        """One gradient per output: zeros for those that nobody used."""
        zeros = (np.zeros(y.shape, y.dtype) for y in outputs)
        return tuple(self.given.get(i, Tensor(z) if as_tensors else z) for i, z in enumerate(zeros))


def _take_part(parts, /, index):
    return parts[index]


ITEM = Op("item_of", _take_part, lambda g, _y, _parts, index: Parts({index: g}),
          doc="One output of an operation that has several.")


# --- the walk -------------------------------------------------------------------------------------------------------


def walk(*roots: Any) -> list[Node]:
    """Every node that the roots (Tensors or Nodes) were made by, inputs before what was made from them.

    Iterative, each node once. The order is that of recording, so it is the same for the same program.
    """
    stack = [getattr(root, "node", root) for root in roots]
    seen = set()
    while stack:
        node = stack.pop()
        if type(node) is Node and node not in seen:
            seen.add(node)
            stack.extend(node.inputs)
    return sorted(seen, key=operator.attrgetter("time"))
