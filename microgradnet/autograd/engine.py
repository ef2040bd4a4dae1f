"""Reverse mode: the walk from a result back to the leaves, and the chain rule at each node."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from .. import graph
from ..graph import Node, Parts, ShapeError, walk
from ..ops.shape import sum_to
from ..recording import recorder, set_grad_enabled, setting
from ..tensor import Tensor, describe
from . import sources

_new = object.__new__
_ndarray, _float32 = np.ndarray, np.float32
_ONE = np.float32(1)
leaf_hooks = 0  # how many there are on leaves: most programs have none to look for


@np.errstate(all="ignore")
def vjp(roots: list[Tensor], seeds: list[Any], targets: set | None, create_graph: bool, retain: bool) -> dict[Any, Any]:
    """The vector-Jacobian product: pull the seeds, gradients of the roots, back to the leaves.

    Returns the gradient of each leaf (a Tensor) or, where `targets` (Nodes and leaves) are given, of each of those that
    a gradient reached. Gradients are ndarrays, each with memory of its own or a view; with `create_graph` they are
    Tensors, and the walk itself is recorded.

    The node visited next is always the youngest that waits. Whatever was made from it is younger still and has been
    visited, so its gradient is complete.
    """
    gradients: dict[Any, Any] = {}  # of the nodes that wait, and of the leaves
    waiting: list[tuple[int, Node]] = []  # a heap, the youngest first
    search = None if targets is None else _Search(targets, roots)
    special = create_graph or search is not None
    passed_on = search is not None  # whether one array may be the gradient of two
    visited: list[Node] = []
    for root, seed in zip(roots, seeds):
        x = root.node or root
        if search is not None and x not in search.wanted:
            continue
        gradients[x] = gradients[x] + seed if x in gradients else seed
        if x is not root.node:
            passed_on = True
        elif (-x.time, x) not in waiting:
            heappush(waiting, (-x.time, x))

    while waiting:
        node = heappop(waiting)[1]
        g = gradients.pop(node)
        op, args, needs, given = node.op, node.args, node.needs, None
        if (special or args is None or op.joint is not None or node.hooks is not None or node.kept is not None
                or type(g) is Parts or graph.last_write > node.time):
            needs, given = _given(node, g, search, create_graph)
            args = node.args
        else:
            y, params, rules = node.output, node.params, op.rules
        for i in needs:
            if given is not None:
                gx = given[i]
            else:
                gx = rules[i](g, y, *args, **params) if params else rules[i](g, y, *args)  # ** makes a dict
            if gx is None:
                continue  # a Function may say that no gradient flows
            x, value = node.inputs[i], args[i]
            if gx.shape != value.shape or gx.dtype is not value.dtype:
                gx = fitted(gx, value, node, i)
            if x in gradients:
                gradients[x] = gradients[x] + gx
            else:
                gradients[x] = gx
                if type(x) is Node:
                    heappush(waiting, (-x.time, x))
                elif gx is g or given is not None:
                    passed_on = True
        if needs:
            visited.append(node)
    if not retain:  # not before the end: an error on the way leaves the graph whole
        graph.release(visited)
    if leaf_hooks:
        for leaf in [x for x in gradients if x._hooks is not None]:
            gradients[leaf] = run_hooks(leaf._hooks.values(), gradients[leaf])
    if search is not None:
        gradients |= search.found
    if passed_on and not create_graph:
        _part(gradients, seeds)
    return gradients


class _Search:
    """A walk for the gradients of certain Nodes and leaves, the targets: nodes that do not lead to one are not visited,
    and a target itself only to see its gradient."""

    def __init__(self, targets: set, roots: list[Tensor]) -> None:
        self.targets = targets
        self.leading: set[Node] = set()  # the nodes whose rules are needed: the ones on a path to a target
        for node in walk(*roots):
            if any(node.inputs[i] in self.leading or node.inputs[i] in targets for i in node.needs):
                self.leading.add(node)
        self.wanted = self.leading | targets
        self.found: dict[Node, Any] = {}  # the gradients of those targets that are nodes


def _given(node: Node, g: Any, search: _Search | None, create_graph: bool) -> tuple[tuple[int, ...], Any]:
    """What a node gives where it takes more than a rule for each input: (to which inputs, the gradient of each)."""
    needs = node.needs
    if type(g) is Parts and not node.op.takes_parts:
        g = g.whole(node.output, create_graph)
    if node.hooks is not None:
        g = run_hooks(node.hooks, g)
    if search is not None:
        if node in search.targets:
            search.found[node] = g
        if node not in search.leading:
            return (), ()
        needs = tuple(i for i in needs if node.inputs[i] in search.wanted)
    return needs, pulled(node, needs, g, create_graph)


def pulled(node: Node, needs: tuple[int, ...], g: Any, create_graph: bool) -> Any:
    """The gradients that a node's rules make of its own, by position: of those inputs in `needs`, or of more."""
    restore(node)
    if graph.last_write > node.time:
        check_unwritten(node)
    op, y, args, params = node.op, node.output, node.args, node.params
    rules = op.rules
    if create_graph:
        y, args = _as_tensors(node)
        if op.looks and recorder() is not None:
            rules = recorder().of_arrays(rules)
    elif node.kept is not None:
        params = params | {"kept": node.kept}
    if op.joint is not None:
        return op.joint(node.needs, g, y, *args, **params)
    return {i: rules[i](g, y, *args, **params) for i in needs}


def _part(gradients: dict[Any, Any], seeds: list) -> None:
    """Give each gradient memory of its own, if one array is there twice."""
    arrays = [*seeds, *gradients.values()]
    if len({*map(id, arrays)}) < len(arrays):
        for x, g in gradients.items():
            gradients[x] = np.array(g, order="C")


def backward(tensors: Tensor | Sequence[Tensor], grad_tensors: Any = None, retain_graph: bool | None = None,
             create_graph: bool = False, grad_variables: Any = None,
             inputs: Tensor | Sequence[Tensor] | None = None) -> None:
    """Add to the `.grad` of each leaf the gradient of the sum of `tensors`, each weighted by its `grad_tensors` entry.

    The arguments are those of `Tensor.backward`; grad_variables is an old name of grad_tensors.
    """
    if grad_variables is not None:
        if grad_tensors is not None:
            raise RuntimeError("backward(): grad_variables is the old name of grad_tensors; give grad_tensors alone")
        grad_tensors = grad_variables
    roots = [tensors] if isinstance(tensors, Tensor) else _listed(tensors, "backward")
    _pull_back(roots, grad_tensors, retain_graph, create_graph, inputs)


def _pull_back(roots: list[Tensor], grad_tensors: Any, retain_graph: bool | None, create_graph: bool,
               inputs: Any) -> None:
    if first_looks:
        _look(roots)
    as_tensors = create_graph or recorder() is not None  # in capture, rules are recorded like any operation
    seeds = seeds_of(roots, grad_tensors, as_tensors, "backward")
    targets = None if inputs is None else _targets(inputs)
    found = _run(roots, seeds, targets, retain_graph, create_graph, as_tensors)
    if targets is not None:
        found = {x: found[x] for x in targets if x in found and type(x) is not Node}
    _accumulate(found, as_tensors, create_graph)


def _targets(inputs: Any) -> set:
    """Where the gradients of `backward(inputs=)` are found. A result keeps its own."""
    wrt = [inputs] if isinstance(inputs, Tensor) else _listed(inputs, "backward")
    if not wrt:
        raise RuntimeError("backward(): inputs is empty; leave it out to accumulate into every leaf")
    places = {_place(t, "backward") for t in wrt}
    for t in wrt:
        retain_grad(t)
    return places


first_looks = 5  # how many calls of backward are still looked at for what is rarely meant


def _look(roots: list[Tensor]) -> None:
    global first_looks
    from ..lints import look

    first_looks -= 1
    look(roots)


def grad(outputs: Tensor | Sequence[Tensor], inputs: Tensor | Sequence[Tensor], grad_outputs: Any = None,
         retain_graph: bool | None = None, create_graph: bool = False, only_inputs: bool = True,
         allow_unused: bool | None = None, is_grads_batched: bool = False,
         materialize_grads: bool = False) -> tuple[Tensor | Any, ...]:
    """The gradients of the sum of `outputs` with respect to `inputs`, as a tuple; no `.grad` is touched.

    grad_outputs: weights of the outputs, each of its output's shape; may be left out for outputs of one element.
    allow_unused: give None for an input that the outputs do not depend on, in place of an error.
    materialize_grads: give zeros for it.
    only_inputs: has no effect; `backward` is what accumulates into other leaves.
    """
    if is_grads_batched:
        return _grad_batched(outputs, inputs, grad_outputs, create_graph, allow_unused, materialize_grads)
    roots = [outputs] if isinstance(outputs, Tensor) else _listed(outputs, "grad")
    wrt = [inputs] if isinstance(inputs, Tensor) else _listed(inputs, "grad")
    if not wrt:
        raise ValueError("grad(): inputs is empty")
    if materialize_grads and allow_unused is False:
        raise ValueError("grad(): materialize_grads=True gives zeros for unused inputs and needs allow_unused=True")
    places = [_place(t, "grad") for t in wrt]
    as_tensors = create_graph or recorder() is not None
    seeds = seeds_of(roots, grad_outputs, as_tensors, "grad")
    found = _run(roots, seeds, set(places), retain_graph, create_graph, as_tensors)
    results: list[Tensor | None] = []
    for i, (tensor, place) in enumerate(zip(wrt, places)):
        if place in found:
            made = found[place]
            if not isinstance(made, Tensor):
                found[place] = made.view()  # a view, so that it is copied for an input that is asked for twice
                made = Tensor(_owned(made))
            results.append(made)
        elif materialize_grads:
            results.append(Tensor(np.zeros_like(tensor.array)).requires_grad_(create_graph))
        elif allow_unused:
            results.append(None)
        else:
            raise RuntimeError(
                f"grad(): the outputs do not depend on input {i} {describe(tensor)}; "
                "pass allow_unused=True for None in its place, or materialize_grads=True for zeros"
            )
    return tuple(results)


def _grad_batched(outputs, inputs, grad_outputs, create_graph, allow_unused, materialize_grads):
    from ..ops import stack

    batched = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    rows = [
        grad(outputs, inputs, [b[i] for b in batched], True, create_graph, allow_unused=allow_unused,
             materialize_grads=materialize_grads)
        for i in range(len(batched[0]))
    ]
    return tuple(None if column[0] is None else stack(column) for column in zip(*rows))


# --- the walk's helpers ---------------------------------------------------------------------------------------------


def _run(roots, seeds, targets, retain_graph, create_graph, as_tensors):
    retain = create_graph if retain_graph is None else retain_graph
    outer = graph._mode.get()
    graph._mode.set(outer.on if create_graph else outer.off)
    try:
        return vjp(roots, seeds, targets, as_tensors, retain)
    finally:
        graph._mode.set(outer)


def _listed(tensors: Any, caller: str) -> list[Tensor]:
    listed = list(tensors) if isinstance(tensors, Iterable) else [tensors]
    for x in listed:
        if not isinstance(x, Tensor):
            raise TypeError(f"{caller}() takes a Tensor or a sequence of Tensors, got {describe(x)}")
    return listed


def seeds_of(roots, gradients, as_tensors, caller):
    """A gradient for each root, checked: ones for a root of one element that has none given."""
    if gradients is None:
        if len(roots) == 1 and type(roots[0]._data) is _float32 and roots[0]._requires_grad and not as_tensors:
            return [_ONE]  # the usual loss: all that follows would find nothing else
        gradients = [None] * len(roots)
    elif not isinstance(gradients, (list, tuple)):
        gradients = [gradients]
    if len(gradients) != len(roots):
        raise RuntimeError(f"{caller}(): {len(roots)} tensors but {len(gradients)} gradients")
    seeds = []
    for root, gradient in zip(roots, gradients):
        if not root.requires_grad:
            raise RuntimeError(
                f"{caller}(): tensor {describe(root)} does not require grad and has no grad_fn: nothing was recorded. "
                "Set requires_grad on what it is computed from, and compute it outside no_grad()"
            )
        if gradient is None:
            one = _one(root, caller)
            seeds.append(Tensor(np.asarray(one)) if as_tensors else one)
        else:
            seed = _fitting(gradient, root, caller)
            seeds.append(seed if as_tensors else seed._data[()])  # 0-d as a NumPy scalar: several times faster
    return seeds


def _one(root, caller):
    data = root._data
    if data.size != 1:
        raise RuntimeError(
            f"{caller}(): grad can be created for outputs of one element only, not for {describe(root)}; "
            "reduce it with .sum() or .mean(), or pass a gradient of its shape"
        )
    return np.ones(data.shape, data.dtype) if data.ndim else data.dtype.type(1)


def _fitting(gradient, root, caller):
    if not isinstance(gradient, (Tensor, np.ndarray)):
        raise TypeError(f"{caller}(): a gradient is a Tensor or None, not {describe(gradient)}")
    gradient = gradient if isinstance(gradient, Tensor) else Tensor(gradient)
    if gradient.shape != root.shape or gradient.dtype.kind != "f":
        raise ShapeError(f"{caller}(): gradient {describe(gradient)} does not fit its tensor {describe(root)}")
    return gradient if gradient.dtype == root.dtype else gradient.to(root.dtype)


def _place(tensor: Tensor, caller: str) -> Any:
    if not tensor.requires_grad:
        raise RuntimeError(f"{caller}(): input {describe(tensor)} does not require grad")
    return tensor.node or tensor


def _as_tensors(node: Node) -> tuple[Any, list]:
    """A node's saved values as Tensors that hang in the graph where they hung when it was recorded."""
    args = [x if isinstance(x, Tensor) else _tensor(v, x) for x, v in zip(node.inputs, node.args)]
    if type(node.output) is tuple:
        return tuple(graph._item(node, i, part, graph._mode.get()) for i, part in enumerate(node.output)), args
    return _tensor(node.output, node), args


def _tensor(value: Any, made_by: Any) -> Any:
    if type(made_by) is not Node or not isinstance(value, (np.ndarray, np.generic)):
        return value  # a constant, a Spec, or the outputs of an operation that has several
    return _new(Tensor)._set(value, made_by, bool(made_by.needs))


def run_hooks(hooks: Iterable[Callable], g: Any) -> Any:
    """The gradient after hooks that may replace it."""
    for hook in list(hooks):
        given = g if isinstance(g, Tensor) else Tensor(np.asarray(g))
        replaced = hook(given)
        if replaced is None:
            replaced = given
        elif not isinstance(replaced, Tensor):
            raise TypeError(f"a gradient hook must return a Tensor or None, got {type(replaced).__name__}")
        elif replaced.shape != given.shape or replaced.dtype != given.dtype:
            raise ShapeError(f"a gradient hook returned {describe(replaced)} for a gradient {describe(given)}")
        g = replaced if isinstance(g, Tensor) else replaced.array.view()  # a view: the hook may have kept the array
    return g


def fitted(g: Any, value: Any, node: Node, i: int) -> Any:
    """A rule's gradient in the form of its operand: summed over what was broadcast, and of the same dtype."""
    if g.shape != value.shape:
        try:
            g = sum_to(g, shape=value.shape) if isinstance(g, Tensor) else sum_to.forward(g, value.shape)
        except ValueError as error:
            raise ShapeError(f"{node.op.name}: the rule for argument {i} {describe(value)} is wrong: {error}") from None
    if g.dtype is not value.dtype and g.dtype != value.dtype:
        g = g.to(value.dtype) if isinstance(g, Tensor) else g.astype(value.dtype)
    return g


def check_unwritten(node: Node) -> None:
    """No value that a rule will read may have been written in place since it was saved."""
    saved = recomputed_at.get(node, node.time)
    outputs = node.output if type(node.output) is tuple else (node.output,)
    for i, value in [*((0, y) for y in outputs), *enumerate(node.args, 1)]:
        if not (isinstance(value, np.ndarray) and node.op.reads(i, node.needs) and graph.version(value) > saved):
            continue
        x = node.inputs[i - 1] if i else None
        name = f"'{x.name}' " if isinstance(x, Tensor) and x.name else ""
        raise RuntimeError(
            f"{node.op.name}: its {f'argument {i - 1}' if i else 'output'} {name}{describe(value)} was needed for the "
            f"gradient but has been modified in place: saved at version {saved}, now at version "
            f"{graph.version(value)}. Use an out-of-place operation there, or clone() the tensor before writing to it"
            + sources.both_lines(sources.recorded_in.get(node), value)
        )


# What a checkpoint has given up can be computed anew. By node: who does it, and when it was done.
recomputers: weakref.WeakKeyDictionary[Node, Any] = weakref.WeakKeyDictionary()
recomputed_at: weakref.WeakKeyDictionary[Node, int] = weakref.WeakKeyDictionary()


def restore(node: Node) -> None:
    """Give a node back the saved values that it has given up, if it has."""
    while node.args is None and node in recomputers:
        recomputers[node].restore()
    if node.args is None:
        raise RuntimeError(
            f"{node.computed.op.name}: backward through this part of the graph a second time, but its saved values "
            "were freed by the first; pass retain_graph=True to the first backward"
        )


# --- where gradients end up -----------------------------------------------------------------------------------------


def _owned(g: Any) -> Any:
    """A gradient as an array that is no view."""
    return g if type(g) is _ndarray and g.base is None else np.array(g, order="C")


def _accumulate(gradients: dict[Tensor, Any], as_tensors: bool, create_graph: bool) -> None:
    """Add to each leaf's `.grad`, in memory that is nobody else's."""
    if as_tensors:
        writing = recorder()
        for tensor, g in gradients.items():
            if writing is not None:
                writing.before_adding(tensor)
            old = tensor._grad
            recorded = create_graph or old is not None and old._requires_grad
            with set_grad_enabled(recorded):
                tensor._grad = g.clone() if old is None else old + g
            if not recorded:
                tensor._grad.node = None  # of which only the recording had need
        return
    for tensor, g in gradients.items():
        old = tensor._grad
        if old is None:
            tensor._grad = new = _new(Tensor)  # as `Tensor._set` does, without a call for each parameter
            new._data = _owned(g)
            new.node = new._grad = new._base = None
            new._requires_grad = new._inference = False
        elif old._requires_grad:
            tensor._grad = old + g
        else:
            array = old.array  # in place, so that whoever holds the gradient sees it grow
            array += g
            graph.stamp(array)


def _backward(self: Tensor, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
              inputs: Tensor | Sequence[Tensor] | None = None) -> None:
    """Walk the graph from here to the leaves and add d self / d leaf, times `gradient`, to each leaf's `.grad`.

    gradient: of the shape of self; may be left out where self has one element.
    retain_graph: keep the saved values for another backward; defaults to `create_graph`.
    create_graph: record the walk itself, so that gradients can be differentiated again.
    inputs: accumulate into these tensors only.
    """
    _pull_back([self], gradient, retain_graph, create_graph, inputs)


def retain_grad(tensor: Tensor) -> None:
    """Keep `.grad` of a tensor that is not a leaf, too."""
    if not tensor.requires_grad:
        raise RuntimeError(f"retain_grad(): tensor {describe(tensor)} does not require grad")
    if tensor.node is None or tensor._retains:
        return
    tensor._retains = True
    _hook_list(tensor.node).append(Keeper(tensor))


class Keeper:
    """The hook of `retain_grad`: it adds the gradient to the `.grad` of a tensor that is still there."""

    def __init__(self, tensor: Tensor) -> None:
        self.kept = weakref.ref(tensor)  # the node must not hold the tensor it made

    def __call__(self, g: Tensor) -> None:
        tensor = self.kept()
        if tensor is not None:
            as_tensor = g.requires_grad or recorder() is not None
            _accumulate({tensor: g if as_tensor else g.array.copy()}, as_tensor, g.requires_grad)


def _hook_list(node: Node) -> list:
    if node.hooks is None:
        node.hooks = []
    return node.hooks


class RemovableHandle:
    """Takes a hook away again, by `.remove()` or at the end of a `with` block."""

    def __init__(self, remove: Callable[[], object]) -> None:
        self._remove = remove

    def remove(self) -> None:
        """Take the hook away; once is enough."""
        remove, self._remove = self._remove, lambda: None
        remove()
        setting()

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register_hook(tensor: Tensor, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
    """Call `hook(gradient)` when the gradient of this tensor is computed; what it returns, if not None, replaces it.

    Returns a handle with `.remove()`.
    """
    if not tensor.requires_grad:
        raise RuntimeError(f"register_hook(): tensor {describe(tensor)} does not require grad")
    if tensor.node is None:
        return _register_on_leaf(tensor, hook)
    hooks = _hook_list(tensor.node)
    entry = lambda g: hook(g)  # noqa: E731 - one hook may be registered twice: each needs an identity
    hooks.insert(len(hooks) - tensor._retains, entry)  # retain_grad's own stays last: it keeps what the others return
    return RemovableHandle(lambda: hooks.remove(entry))


def _register_on_leaf(leaf: Tensor, hook: Callable) -> RemovableHandle:
    global leaf_hooks
    own = leaf._hooks = {} if leaf._hooks is None else leaf._hooks
    key = graph.clock()
    own[key] = hook
    leaf_hooks += 1
    setting()

    def remove() -> None:
        global leaf_hooks
        if own.pop(key, None) is not None:
            leaf_hooks -= 1

    return RemovableHandle(remove)


for _name, _method in [("backward", _backward), ("retain_grad", retain_grad), ("register_hook", register_hook)]:
    setattr(Tensor, _name, _method)
