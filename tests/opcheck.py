"""Checks of one operation on one sample. Each raises AssertionError; `test_ops.py` runs them over the table, and over
planted operations that are wrong, which they must catch."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from samples import Sample, leaves

import microgradnet as mg
from microgradnet import graph, recording
from microgradnet.graph import Op, Parts, Spec
from microgradnet.ops.index import Slot

# Their forwards accept complex numbers, but mean another function there.
NOT_ANALYTIC = {"abs", "sign", "pinv", "cofactors", "slogdet", "cholesky", "qr", "eigh", "svd"}
# They read one triangle of a symmetric matrix and give the gradient as if of both: right along symmetric directions.
SYMMETRIC = {"cholesky", "eigh"}


def tuple_of(result: Any) -> tuple:
    return result if isinstance(result, tuple) else (result,)


def array_of(value: Any) -> Any:
    return value.array if isinstance(value, mg.Tensor) else value


def is_leaf(value: Any) -> bool:
    return isinstance(value, mg.Tensor) and value.requires_grad


def normal(seed: int, *likes: Any) -> list[np.ndarray]:
    """Normal numbers of the shapes and dtypes of these arrays or tensors."""
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(tuple(x.shape))).astype(x.dtype) for x in likes]


def directions(op: Op, seed: int, *likes: Any) -> list[np.ndarray]:
    """Random directions that arguments of these shapes may move in."""
    made = normal(seed, *likes)
    return [v + v.mT for v in made] if op.name in SYMMETRIC else made


def inner(lefts: Any, rights: Any) -> Any:
    """Σ ⟨left, right⟩ in float64 or complex128."""
    return sum((np.sum(np.asarray(x) * np.asarray(y)) for x, y in zip(lefts, rights)), start=np.float64(0))


def close(actual: Any, expected: Any, tolerance: float, what: str) -> None:
    __tracebackhide__ = True
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, should be {expected.shape}"
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance, err_msg=what)


def gradients(op: Op, sample: Sample, dtype: Any = np.float64, create_graph: bool = False) -> tuple[list, list, list]:
    """(gradients, leaves, seeds) of the operation at the sample, pulled back from normal seeds."""
    tensors = leaves(sample, dtype)
    outputs = [y for y in tuple_of(op(*tensors, **sample.params)) if y.requires_grad]
    seeds = [mg.Tensor(s) for s in normal(1, *outputs)]
    if create_graph:
        for s in seeds:
            s.requires_grad_()
    wrt = [t for t in tensors if is_leaf(t)]
    given = mg.autograd.grad(outputs, wrt, seeds, create_graph=create_graph, materialize_grads=True)
    return list(given), wrt, seeds


# --- derivatives ------------------------------------------------------------------------------------------------------


def slope(op: Op, sample: Sample, positions: list[int], directions: list[np.ndarray]) -> list[np.ndarray]:
    """The derivative of each output along the directions of these arguments: by complex step where the forward can be
    computed on complex numbers, else by central differences."""

    def at(step: Any) -> tuple:
        args = list(sample.args)
        for i, v in zip(positions, directions):
            args[i] = args[i] + step * v
        return tuple_of(op.forward(*args, **sample.params))

    if op.name not in NOT_ANALYTIC:
        with contextlib.suppress(TypeError, np.exceptions.ComplexWarning), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            stepped = at(1e-20j)
            if all(y.dtype.kind == "c" for y in stepped):
                return [y.imag / 1e-20 for y in stepped]
    return five_point(lambda step: [np.asarray(y) for y in at(step)])


def five_point(f: Callable[[float], list[np.ndarray]], h: float = 1e-3) -> list[np.ndarray]:
    """f'(0) to the fourth order in h."""
    return [
        (8 * (right - left) - (far_right - far_left)) / (12 * h)
        for far_left, left, right, far_right in zip(f(-2 * h), f(-h), f(h), f(2 * h))
    ]


def check_first_order(op: Op, sample: Sample) -> None:
    """Each gradient against the slope of the function itself, along a random direction."""
    given, wrt, seeds = gradients(op, sample)
    positions = [i for i, value in enumerate(sample.args) if isinstance(value, np.ndarray) and value.dtype.kind == "f"]
    for i, g, x, direction in zip(positions, given, wrt, directions(op, 2, *wrt)):
        assert g.shape == x.shape, f"{op.name}({sample}): the gradient of argument {i} has shape {tuple(g.shape)}"
        expected = inner((s.array for s in seeds), slope(op, sample, [i], [direction]))
        close(inner([g.array], [direction]), expected, 1e-9, f"{op.name}({sample}): gradient of argument {i}")


def check_second_order(op: Op, sample: Sample) -> None:
    """The gradient of a weighted sum of the gradients, from the same rules run on Tensors, against differences."""
    given, wrt, seeds = gradients(op, sample, create_graph=True)
    weights = normal(3, *given)
    total = sum(((g * mg.Tensor(w)).sum() for g, w in zip(given, weights)), start=mg.tensor(0.0, dtype=mg.float64))
    variables = [*wrt, *seeds]
    second = (
        mg.autograd.grad(total, variables, materialize_grads=True, allow_unused=True)
        if total.requires_grad
        else [mg.Tensor(np.zeros(v.shape)) for v in variables]
    )
    positions = [i for i, value in enumerate(sample.args) if isinstance(value, np.ndarray) and value.dtype.kind == "f"]
    moves = [*directions(op, 4, *wrt), *normal(5, *seeds)]
    for k, (g, direction) in enumerate(zip(second, moves)):

        def weighted_gradients(step: float) -> list[np.ndarray]:
            args = list(sample.args)
            moved = [s.array for s in seeds]
            if k < len(wrt):
                args[positions[k]] = np.asarray(args[positions[k]] + step * direction)
            else:
                moved[k - len(wrt)] = np.asarray(moved[k - len(wrt)] + step * direction)
            tensors = leaves(Sample(tuple(args), sample.params))
            outputs = [y for y in tuple_of(op(*tensors, **sample.params)) if y.requires_grad]
            first = mg.autograd.grad(outputs, [t for t in tensors if is_leaf(t)], [mg.Tensor(s) for s in moved],
                                     materialize_grads=True)
            return [inner((f.array for f in first), weights)]

        what = f"argument {positions[k]}" if k < len(wrt) else "the incoming gradient"
        close(inner([g.array], [direction]), five_point(weighted_gradients)[0], 1e-7,
              f"{op.name}({sample}): second derivative by {what}")


def check_recorded_rules(op: Op, sample: Sample) -> None:
    """The rules give the same on Tensors as on arrays, with the same dtypes."""
    raw, _, _ = gradients(op, sample)
    recorded, _, _ = gradients(op, sample, create_graph=True)
    for a, b in zip(raw, recorded):
        assert a.dtype == b.dtype and a.shape == b.shape
        close(b.array, a.array, 1e-12, f"{op.name}({sample}): the rule on Tensors")


# --- dtypes, layouts, aliasing ----------------------------------------------------------------------------------------


def check_float32(op: Op, sample: Sample) -> None:
    """float32 stays float32: results, gradients, and second gradients; values as in float64."""
    outputs = {}
    for dtype in (np.float32, np.float64):
        outputs[dtype] = [y.array for y in tuple_of(op(*leaves(sample, dtype), **sample.params))]
    for single, double in zip(outputs[np.float32], outputs[np.float64]):
        if "dtype" not in sample.params:
            wanted = np.float32 if double.dtype == np.float64 else double.dtype
            assert single.dtype == wanted, f"{op.name}({sample}) gives {single.dtype}"
        close(single, double, 2e-5, f"{op.name}({sample}) in float32")
    if not op.differentiable:
        return
    for create_graph in (False, True):
        single, wrt, seeds = gradients(op, sample, np.float32, create_graph)
        double, _, _ = gradients(op, sample)
        for g, x, expected in zip(single, wrt, double):
            assert g.dtype == np.float32 and g.shape == x.shape, f"{op.name}({sample}): gradient {g.dtype} {g.shape}"
            close(g.array, expected.array, 1e-4, f"{op.name}({sample}): gradient in float32")
    total = sum((g * g).sum() for g in single)
    if len(single) and total.requires_grad:
        second = mg.autograd.grad(total, [*wrt, *seeds], materialize_grads=True, allow_unused=True)
        for x, g in zip([*wrt, *seeds], second):
            assert g.dtype == x.dtype, f"{op.name}({sample}): second gradient {g.dtype}"


def layouts(array: np.ndarray) -> Iterator[np.ndarray]:
    """The same numbers, laid out otherwise in memory."""
    yield np.asarray(array, order="F")
    backwards = (slice(None, None, -1),) * array.ndim
    yield array[backwards].copy()[backwards] if array.ndim else array
    wide = np.zeros((*array.shape, 2), array.dtype)
    wide[..., 0] = array
    yield np.moveaxis(wide, -1, 0)[0, ...]
    if array.ndim > 1:
        yield array.swapaxes(0, -1).copy().swapaxes(0, -1)


def check_layouts(op: Op, sample: Sample) -> None:
    """Transposed, reversed and strided arguments give equal results and gradients."""
    expected = [np.array(y.array) for y in tuple_of(op(*leaves(sample), **sample.params))]
    slopes = gradients(op, sample)[0] if op.differentiable else []
    variants = [list(layouts(v)) if isinstance(v, np.ndarray) else [] for v in sample.args]
    for n in range(max(map(len, variants), default=0)):
        args = tuple(v[n % len(v)] if v else value for v, value in zip(variants, sample.args))
        # Tensors of the arrays themselves: a copy would lay them out anew.
        tensors = [mg.Tensor(a) if isinstance(a, np.ndarray) else a for a in args]
        wrt = [t.requires_grad_() for t in tensors if isinstance(t, mg.Tensor) and t.is_floating_point()]
        outputs = tuple_of(op(*tensors, **sample.params))
        for y, y0 in zip(outputs, expected):
            close(y.array, y0, 1e-12, f"{op.name}({sample}): layout {n}")
        if op.differentiable:
            outputs = [y for y in outputs if y.requires_grad]
            seeds = [mg.Tensor(list(layouts(s))[n % 3]) for s in normal(1, *outputs)]
            for g, g0 in zip(mg.autograd.grad(outputs, wrt, seeds, materialize_grads=True), slopes):
                close(g.array, g0.array, 1e-12, f"{op.name}({sample}): gradient, layout {n}")


def check_aliasing(op: Op, sample: Sample) -> None:
    """Gradients of leaves share memory with nothing: not with arguments, results, seeds or one another; and a second
    backward adds to them without touching anything else."""
    tensors = leaves(sample)
    outputs = [y for y in tuple_of(op(*tensors, **sample.params)) if y.requires_grad]
    seeds = [mg.Tensor(s) for s in normal(1, *outputs)]
    others = [t.array for t in [*tensors, *outputs, *seeds] if isinstance(t, mg.Tensor)]
    before = [a.copy() for a in others]
    for _ in range(2):
        mg.autograd.backward(outputs, seeds, retain_graph=True)
    grads = [t.grad.array for t in tensors if is_leaf(t) and t.grad is not None]
    for k, g in enumerate(grads):
        own = g.flags.writeable and g.flags.c_contiguous
        assert own, f"{op.name}({sample}): gradient {k} is not an array of its own"
        for other in [*others, *grads[:k]]:
            assert not np.shares_memory(g, other), f"{op.name}({sample}): gradient {k} shares memory"
    for a, b in zip(others, before):
        np.testing.assert_array_equal(a, b, err_msg=f"{op.name}({sample}): backward wrote into its operands")


def check_sharing(op: Op, sample: Sample) -> None:
    """A result shares memory with an argument only where the operation says that it gives views, of the first one."""
    tensors = leaves(sample)
    arrays = [t.array for t in tensors if isinstance(t, mg.Tensor)]
    for y in tuple_of(op(*tensors, **sample.params)):
        for i, x in enumerate(arrays):
            if np.shares_memory(x, y.array):
                assert op.view and i == 0, f"{op.name}({sample}): the result shares memory with argument {i}"
                assert y._base is tensors[0], f"{op.name}({sample}): the view does not know its base"


def check_zero_dim(op: Op, sample: Sample) -> None:
    """Nothing at the public face is a NumPy scalar."""
    tensors = leaves(sample)
    outputs = tuple_of(op(*tensors, **sample.params))
    for y in outputs:
        assert isinstance(y, mg.Tensor) and isinstance(y.dtype, np.dtype) and isinstance(y.shape, tuple)
        assert type(y.array) is np.ndarray
        assert type(y.detach().numpy()) is np.ndarray and type(y.data.array) is np.ndarray
    outputs = [y for y in outputs if y.requires_grad]
    if outputs:
        mg.autograd.backward(outputs, [mg.Tensor(s) for s in normal(1, *outputs)])
        for t in tensors:
            if is_leaf(t) and t.grad is not None:
                assert type(t.grad.array) is np.ndarray and t.grad.shape == t.shape and t.grad.dtype == t.dtype


# --- the contract of a rule -------------------------------------------------------------------------------------------


def rule_arguments(op: Op, sample: Sample) -> tuple[Any, Any, list]:
    """(g, y, arrays) as the rules get them at the sample."""
    arrays = [np.array(a) if isinstance(a, np.ndarray) else a for a in sample.args]
    y = op.forward(*arrays, **sample.params)
    g = tuple(normal(1, *y)) if isinstance(y, tuple) else normal(1, np.asarray(y))[0]
    return Parts(dict(enumerate(g))) if op.takes_parts else g, y, arrays


def rules_of(op: Op, sample: Sample) -> list[tuple[int, Callable, list[str]]]:
    """(argument, rule called as rule(g, y, *arrays), names of its parameters from y on), for each with a derivative."""
    floating = [i for i, a in enumerate(sample.args) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    found = []
    for i in floating:
        rule = op.joint or op.rules[i]
        if rule is None:
            continue
        code = rule.__code__
        names = list(code.co_varnames[: code.co_argcount])
        variadic = code.co_varnames[code.co_argcount + code.co_kwonlyargcount] if code.co_flags & 4 else "_"
        names = names[2 if op.joint else 1 :]
        names += [variadic] * (1 + len(sample.args) - len(names))
        if op.joint:
            call = lambda g, y, *arrays, rule=rule, i=i: rule([i], g, y, *arrays, **sample.params)[i]  # noqa: E731
        else:
            call = lambda g, y, *arrays, rule=rule: rule(g, y, *arrays, **sample.params)  # noqa: E731
        found.append((i, call, names[: 1 + len(sample.args)]))
    return found


def spec_of(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(spec_of, value))
    return Spec(value) if isinstance(value, (np.ndarray, np.generic)) else value


def check_unread(op: Op, sample: Sample) -> None:
    """A rule gives the same gradient when every value it claims not to read is replaced by its shape and dtype."""
    g, y, arrays = rule_arguments(op, sample)
    for i, rule, names in rules_of(op, sample):
        hidden = [spec_of(v) if name.startswith("_") else v for name, v in zip(names, [y, *arrays])]
        unread = same(rule, (g, y, *arrays), (g, *hidden))
        assert unread, f"{op.name}({sample}): the rule of argument {i} reads what it claims not to"


def same(rule: Callable, arguments: tuple, others: tuple) -> bool:
    """Whether the rule gives the same gradient with the other arguments."""
    with np.errstate(all="ignore"):  # as in the walk
        expected = rule(*arguments)
        try:
            return np.array_equal(rule(*others), expected, equal_nan=True)
        except Exception:
            return False


def values_read(op: Op, sample: Sample) -> set[tuple[int, int]]:
    """(argument of the rule, position) of the values that a rule reads at this sample: without their numbers it fails,
    or gives something else. A joint rule counts as that of argument 0."""
    g, y, arrays = rule_arguments(op, sample)
    read = set()
    for i, rule, names in rules_of(op, sample):
        for position in range(len(names)):
            values = [y, *arrays]
            values[position] = spec_of(values[position])
            if not same(rule, (g, y, *arrays), (g, *values)):
                read.add((0 if op.joint else i, position))
    return read


def values_claimed(op: Op, sample: Sample) -> set[tuple[int, int]]:
    """(argument of the rule, position) of the values that a rule claims to read."""
    return {
        (0 if op.joint else i, position)
        for i, _, names in rules_of(op, sample)
        for position, (name, value) in enumerate(zip(names, [None, *sample.args]))
        if not name.startswith("_") and (position == 0 or isinstance(value, np.ndarray))
    }


def check_needed_only(op: Op, sample: Sample) -> None:
    """Where one argument requires grad, no rule of another runs, and a joint rule computes nothing for it."""
    floating = [i for i, t in enumerate(leaves(sample)) if is_leaf(t)]
    rules, joint = op.rules, op.joint
    for wanted in floating:
        asked: set[int] = set()

        def spy(position: int, rule: Callable) -> Callable:
            return lambda *args, **params: asked.add(position) or rule(*args, **params)

        def joint_spy(needs: list[int], *args: Any, **params: Any) -> list:
            result = joint(needs, *args, **params)
            asked.update(i for i, g in enumerate(result) if g is not None)
            return result

        tensors = leaves(sample)
        for i in floating:
            tensors[i].requires_grad_(i == wanted)
        try:
            op.rules = tuple(rule and spy(i, rule) for i, rule in enumerate(rules))
            op.joint = joint and joint_spy
            outputs = [y for y in tuple_of(op(*tensors, **sample.params)) if y.requires_grad]
            if outputs:
                mg.autograd.backward(outputs, [mg.Tensor(s) for s in normal(1, *outputs)])
        finally:
            op.rules, op.joint = rules, joint
        assert asked <= {wanted}, f"{op.name}({sample}): computed the gradients of {asked}, needed that of {wanted}"


# --- recording --------------------------------------------------------------------------------------------------------

PLAIN = (bool, int, float, str, type(None), type(Ellipsis), slice, np.dtype, Slot)


def is_plain(value: Any) -> bool:
    """Whether a recorded parameter can be kept, compared and printed: no Tensor, nothing that could still change."""
    return all(map(is_plain, value)) if isinstance(value, tuple) else isinstance(value, PLAIN)


def check_record(op: Op, sample: Sample) -> None:
    """Under capture every operation leaves a node that computes the same again; else one with a derivative does, where
    it is wanted, and the others do not."""
    with recording.capture():
        tensors = leaves(sample)
        outputs = tuple_of(op(*tensors, **sample.params))
    nodes = {y.node for y in outputs} if op.forward is not None else set()
    assert None not in nodes, f"{op.name}({sample}) leaves no node under capture"
    node = outputs[0].node
    if node.op is graph.ITEM:
        node = node.inputs[0]
    assert node.op is op and is_plain(tuple(node.params.values())), f"{op.name}({sample}) records {node.params}"
    assert [array_of(i) is array_of(t) for i, t in zip(node.inputs, tensors)] == [True] * len(tensors)
    again = tuple_of(op.forward(*[array_of(i) for i in node.inputs], **node.params))
    for y, y2 in zip(outputs, again):
        np.testing.assert_array_equal(y.array, y2)
        assert y.requires_grad == (op.differentiable and y.is_floating_point() and any(map(is_leaf, tensors)))
    recorded = any(y.node is not None for y in tuple_of(op(*leaves(sample), **sample.params)))
    assert recorded == any(y.requires_grad for y in outputs), f"{op.name}({sample}): recorded {recorded}"
    with mg.no_grad():
        assert all(y.node is None and not y.requires_grad for y in tuple_of(op(*leaves(sample), **sample.params)))


@contextlib.contextmanager
def planted(name: str, forward: Callable, *rules: Callable | None, **options: Any) -> Iterator[Op]:
    """An operation of the table for the length of a test."""
    op = Op(name, forward, *rules, **options)
    try:
        yield op
    finally:
        del graph.OPS[name]
        for function in [f for f, o in graph.UFUNCS.items() if o is op]:
            del graph.UFUNCS[function]
