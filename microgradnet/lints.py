"""Lints: what a recorded computation shows that is rarely meant.

`lint(loss, model)` tells all it finds, when asked. On their own, once per process and as a `LintWarning`, speak only
those that no sound program should raise: probabilities given to a loss that takes logits or log-probabilities, and
outputs of shape (N, 1) less targets of shape (N,), looked for in the first calls of backward; and gradients that an
optimizer has used and that backward then adds to, looked for from its first step to its second.
`warnings.filterwarnings("ignore", category=mg.LintWarning)` silences them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .autograd import sources
from .callers import warn
from .graph import Node, walk
from .tensor import Tensor

if TYPE_CHECKING:
    from .nn.module import Module
    from .optim.optimizer import Optimizer

# What makes probabilities, what takes something else for its first argument, and what that is.
_MISUSED = {
    ("softmax", "cross_entropy"): "cross_entropy takes logits and applies log_softmax itself: leave the softmax out",
    ("softmax", "log_softmax"): "cross_entropy and log_softmax take logits: leave the softmax out",
    ("softmax", "nll"): "nll_loss takes log-probabilities: use log_softmax",
    ("sigmoid", "binary_cross_entropy_with_logits"):
        "binary_cross_entropy_with_logits takes logits and applies sigmoid itself: leave the sigmoid out, or use "
        "binary_cross_entropy",
}  # fmt: skip
_SAME_VALUES = {"reshape", "permute", "transpose", "squeeze", "unsqueeze", "expand", "clone", "flatten"}
_fired: set[str] = set()


class LintWarning(UserWarning):
    """A program does something that is rarely meant."""


def lint(loss: Tensor, model: Module | None = None) -> list[str]:
    """What is striking about a loss, before its backward, and about the model that it was computed with.

    Told are: a loss that does not require grad; probabilities where a loss takes logits; outputs of shape (N, 1) less
    targets of shape (N,), which is (N, N); parameters that the loss does not depend on; gradients left from before, to
    which backward would add; layers that act only in training, in a model in eval mode. Some of it may be meant.
    """
    found = [text for _, text in (*_misused(loss), *_crossed(loss))]
    if not loss.requires_grad:
        found.append("the loss does not require grad: nothing that led to it was recorded")
    return found + (list(_about(model, loss)) if model is not None else [])


def look(roots: list[Tensor]) -> None:
    """Warn of what is certain, at one of the first calls of backward."""
    for root in roots:
        for name, text in (*_misused(root), *_crossed(root)):
            warn_once(name, text)


def warn_once(name: str, text: str) -> None:
    """A LintWarning at the user's line, if it is the first of its name."""
    if name not in _fired:
        _fired.add(name)
        warn(text, LintWarning)


def leftovers(optimizer: Optimizer) -> Callable[[], None]:
    """After an optimizer's first step: what is to be called in its second, when the gradients are there.

    It warns if those of the first were added to. One parameter speaks for all; until then it has a hook that adds up
    what its gradient becomes if nobody resets it. Gradients added up before the first step are no concern.
    """
    used = [p for group in optimizer.param_groups for p in group["params"] if p._grad is not None]
    parameter = min(used, key=Tensor.numel, default=None)
    if parameter is None or parameter._grad is None or not parameter._grad.array.any() or not parameter.is_leaf:
        return lambda: None
    grad, total, arrived = parameter._grad, parameter._grad.array.copy(), []

    def add(g: Tensor) -> None:
        arrived.append(True)
        np.add(total, g.array, out=total)

    handle, name = parameter.register_hook(add), type(optimizer).__name__

    def judge() -> None:
        handle.remove()
        parameter._hooks = parameter._hooks or None
        if parameter._grad is grad and arrived and np.array_equal(grad.array, total):
            warn_once("leftovers", f"{name}.step() is given the sum of gradients of which a part was used in the "
                      "step before: call zero_grad() between a step and the next backward")

    return judge


# --- the findings -----------------------------------------------------------------------------------------------------


def _misused(loss: Tensor) -> Iterator[tuple[str, str]]:
    """(name, text) for probabilities where something else is taken."""
    for node in walk(loss):
        source = node.inputs[0] if node.inputs else None
        while type(source) is Node and source.op.name in _SAME_VALUES:
            source = source.inputs[0]
        if type(source) is Node:
            text = _MISUSED.get((source.op.name, node.op.name))
            if text:
                line = sources.recorded_in.get(source)
                yield text, f"the result of {source.op.name}{f', in {line},' if line else ''} goes into {text}"


def _crossed(loss: Tensor) -> Iterator[tuple[str, str]]:
    """(name, text) for each output with each target, where each with its own was meant."""
    for node in walk(loss):
        if node.op.name != "sub" or len(node.output.shape) != 2:
            continue
        for column, row in (node.inputs, node.inputs[::-1]):
            data = isinstance(row, Tensor) and not row._requires_grad and tuple(row.shape)
            if data and tuple(node.output.shape) == data * 2 != (1, 1) and _is_output(column, (data[0], 1)):
                line = sources.recorded_in.get(node)
                yield "crossed", (f"outputs of shape {(data[0], 1)} less targets of shape {data}"
                                  f"{f', in {line},' if line else ''} are {data * 2}, every output with every target: "
                                  "bring them to one shape, for example by squeeze(-1)")


def _is_output(x: Any, shape: tuple) -> bool:
    """Whether it is what a layer gives, or an activation of that."""
    if type(x) is not Node or tuple(x.output.shape) != shape:
        return False
    while type(x) is Node and len(x.inputs) == 1:
        x = x.inputs[0]
    parts = [x, *x.inputs] if type(x) is Node else []
    return any(type(part) is Node and part.op.name in ("linear", "matmul") for part in parts)


def _about(model: Any, loss: Tensor) -> Iterator[str]:
    leaves = {loss} | {x for node in walk(loss) for i in node.needs if isinstance(x := node.inputs[i], Tensor)}
    learnt = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if loss.requires_grad and (apart := [name for name, p in learnt.items() if p not in leaves]):
        yield f"the loss does not depend on {_listed(apart)}: no gradient will reach them"
    if left := [name for name, p in learnt.items() if p._grad is not None]:
        yield f"{_listed(left)} hold gradients already, to which backward adds: zero_grad() first, unless that is meant"
    asleep = sorted({type(m).__name__ for m in model.modules() if not m.training and _only_in_training(m)})
    if asleep and not model.training:
        yield f"the model is in eval mode, in which {_listed(asleep)} do not act as in training: call model.train()"


def _only_in_training(module: Any) -> bool:
    name = type(module).__name__
    return "Dropout" in name and module.p > 0 or getattr(module, "running_mean", None) is not None


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
