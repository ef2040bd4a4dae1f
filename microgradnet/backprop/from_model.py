"""From a model to its closed form: which modules and losses have one, and the `Network` that is theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import nn
from ..tensor import Tensor
from . import activations as closed
from . import costs
from .activations import Activation
from .costs import Cost, one_hot
from .network import Network

log_softmax = Activation("log_softmax", lambda z: z - np.logaddexp.reduce(z, axis=-1, keepdims=True),
                         lambda z: np.eye(z.shape[-1]) - closed.softmax(z)[..., None, :], elementwise=False)
log_sigmoid = Activation("log_sigmoid", lambda z: -np.logaddexp(0, -z), lambda z: closed.sigmoid(-z))
softsign = Activation("softsign", lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2)
tanhshrink = Activation("tanhshrink", lambda z: z - np.tanh(z), lambda z: np.tanh(z) ** 2)


def _hardtanh(module: Any) -> Activation:
    low, high = module.min_val, module.max_val
    return Activation(f"hardtanh({low}, {high})", lambda z: np.clip(z, low, high), lambda z: (z > low) & (z < high))


# The activation that a module computes, or a function from the module to it.
ACTIVATIONS: dict[type, Activation | Callable[[Any], Activation]] = {
    nn.Sigmoid: closed.sigmoid, nn.Tanh: closed.tanh, nn.ReLU: closed.relu, nn.SiLU: closed.silu,
    nn.LeakyReLU: lambda module: closed.leaky_relu_with(module.negative_slope),
    nn.ELU: lambda module: closed.elu_with(module.alpha),
    nn.GELU: lambda module: closed.gelu_tanh if module.approximate == "tanh" else closed.gelu,
    nn.Softplus: lambda module: closed.softplus_with(module.beta, module.threshold),
    nn.Hardtanh: _hardtanh, nn.ReLU6: _hardtanh,
    nn.LogSigmoid: log_sigmoid, nn.Softsign: softsign, nn.Tanhshrink: tanhshrink,
    nn.Softmax: closed.softmax, nn.LogSoftmax: log_softmax,
}  # fmt: skip


def _with_partner_inside(cost: Cost) -> Cost:
    """The cost of the weighted inputs of its partner, a sigmoid or softmax that the loss has inside."""
    assert cost.partner is not None
    sigma, f, delta = cost.partner
    return Cost(f"{cost.name} of {sigma.name}", f, lambda z, y: delta(sigma(z), y), check_targets=cost.check_targets)


LOSSES: dict[type, Cost] = {
    nn.QuadraticLoss: costs.quadratic,
    nn.MSELoss: costs.mean_squared_error,
    nn.CrossEntropyLoss: _with_partner_inside(costs.log_likelihood),
    nn.NLLLoss: Cost("negative_log_likelihood", lambda a, y: -(y * a).sum(axis=-1), lambda a, y: -y),
    nn.BCELoss: costs.binary_cross_entropy,
    nn.BCEWithLogitsLoss: _with_partner_inside(costs.binary_cross_entropy),
}
_MEANS_OVER_OUTPUTS = nn.MSELoss, nn.BCELoss, nn.BCEWithLogitsLoss


class NoClosedForm(TypeError):
    """There is no closed form for this model or loss; the message says where, why, and what there is."""


def refused(path: str, module: Any, why: str) -> NoClosedForm:
    """The error for a module at a dotted path; '' for the model itself, or the loss."""
    return NoClosedForm(f"compare: no closed form: {type(module).__name__}{f' {path!r}' * bool(path)} {why}")


# --- the model ------------------------------------------------------------------------------------------------------


class Chain(NamedTuple):
    """A model as a row of modules from its first Linear on, its Linear layers, and the activation after each."""

    modules: list[Any]
    linears: list[Any]
    sigmas: list[Activation]


def chain_of(model: nn.Module, activations: Mapping[type, Any]) -> Chain:
    """The chain that a model is, with further activations by the type of their module."""
    table = {**ACTIVATIONS, **activations}
    modules, linears, sigmas = chain = Chain([], [], [])
    weights: set[int] = set()
    for path, module in _leaves(model, "", table):
        own = {id(p) for p in module.parameters()}
        if own & weights:
            raise refused(path, module, "shares its weights with a module before it; each layer needs its own")
        weights |= own
        if sigmas and not sigmas[-1].elementwise and (type(module) is nn.Linear or type(module) in table):
            raise refused(path, module, f"comes after {sigmas[-1].name}, which is not elementwise and can only be last")
        if type(module) is nn.Linear:
            linears.append(module)
            sigmas.append(closed.identity)
        elif type(module) in table and sigmas:
            entry = table[type(module)]
            sigmas[-1] = _after(sigmas[-1], entry if isinstance(entry, Activation) else entry(module))
        if linears:
            modules.append(module)
    if not linears:
        raise refused("", model, "has no Linear layer, and so no w and b")
    return chain


def _leaves(module: Any, path: str, table: Mapping[type, Any]) -> Iterator[tuple[str, Any]]:
    """The modules that compute, in order, with their paths; one that comes twice is given twice."""
    kind, children = type(module), module._modules
    known = (nn.Linear, nn.Flatten, nn.Identity, nn.Dropout, *table)
    if kind is nn.Dropout and module.training and module.p:
        raise refused(path, module, "is in training mode, where its mask is random: call model.eval() first")
    if kind is nn.Flatten and (module.start_dim, module.end_dim) != (1, -1):
        raise refused(path, module, "must keep the first dimension, the batch, and flatten all others")
    if kind in (nn.Softmax, nn.LogSoftmax) and module.dim not in (1, -1):
        raise refused(path, module, f"has dim={module.dim}; give dim=1, the outputs of each example")
    if kind in known:
        yield path, module
        return
    if not children and kind is not nn.Sequential:
        names = ", ".join(each.__name__ for each in known)
        raise refused(path, module, f"is none of {names}, nor a container of these; an elementwise activation "
                                    f"can be given by activations={{{kind.__name__}: Activation(name, f, prime)}}")
    if module._parameters:
        raise refused(path, module, f"has parameters beside those of its children: {', '.join(module._parameters)}")
    for name, child in children.items():
        if child is not None:
            yield from _leaves(child, f"{path}.{name}" if path else name, table)


def _after(inner: Activation, outer: Activation) -> Activation:
    """outer(inner(z)), by the chain rule."""
    if inner is closed.identity:
        return outer

    def prime(z: np.ndarray) -> np.ndarray:
        slope = inner.prime(z)
        return outer.prime(inner(z)) * (slope if outer.elementwise else slope[..., None, :])

    return Activation(f"{outer.name} of {inner.name}", lambda z: outer(inner(z)), prime, outer.elementwise)


# --- the loss -------------------------------------------------------------------------------------------------------


def network_of(chain: Chain, loss: Any) -> Network:
    """The network in closed form, with copies of the model's weights."""
    if type(loss) not in LOSSES:
        raise NoClosedForm(f"compare: no closed form for the loss {getattr(loss, '__name__', type(loss).__name__)}; "
                           f"give an instance of nn.{', nn.'.join(known.__name__ for known in LOSSES)}")
    if loss.reduction not in ("mean", "sum"):
        raise refused("", loss, f"has reduction={loss.reduction!r}, and C is one number: use 'mean' or 'sum'")
    for name in ("weight", "pos_weight"):
        if getattr(loss, name, None) is not None:
            raise refused("", loss, f"has a {name}, and C is a plain average: leave it out")
    return Network([linear.weight.array for linear in chain.linears],
                   [None if linear.bias is None else linear.bias.array for linear in chain.linears],
                   chain.sigmas, LOSSES[type(loss)])


def average(loss: Any, output: Tensor, target: Tensor) -> Tensor:
    """C: the loss, or where its reduction is 'sum', the mean of what it sums."""
    terms = output.numel() if isinstance(loss, _MEANS_OVER_OUTPUTS) else len(output)
    return loss(output, target) / (terms if loss.reduction == "sum" else 1)


def targets_of(loss: Any, y: Any, classes: int) -> tuple[Tensor, np.ndarray]:
    """The targets as the loss takes them, and as the closed form does."""
    y = array_of(y)
    if y.ndim == 1 and isinstance(loss, (nn.CrossEntropyLoss, nn.NLLLoss)):
        if (y == loss.ignore_index).any():
            raise refused("", loss, f"ignores the label {loss.ignore_index}, and y has it: leave out those examples")
        target, Y = y, one_hot(y, classes)
    else:
        target = Y = y.astype(np.float64)
    smoothing = getattr(loss, "label_smoothing", 0.0)
    return Tensor(target), (1 - smoothing) * Y + smoothing / classes


def array_of(data: Any, dtype: Any = None) -> np.ndarray:
    """A copy of the values of a Tensor, an array or a list."""
    return np.array(data.array if isinstance(data, Tensor) else data, dtype)
