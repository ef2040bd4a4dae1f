"""compare: the gradients of a model by autodiff, held against the closed form, with central differences as referee.

The one place that knows both sides; it is imported when it is asked for, so that the closed form stays evidence.
"""

from __future__ import annotations

import copy
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import nn
from ..autograd import grad
from ..recording import enable_grad, inference_mode, is_inference_mode_enabled, no_grad
from ..tensor import Tensor
from .equations import central_differences
from .from_model import Chain, NoClosedForm, array_of, average, chain_of, network_of, refused, targets_of
from .network import Gradients, Network

__all__ = ["NoClosedForm", "Report", "Row", "compare"]


def compare(model: nn.Module, x: Any, y: Any, loss: nn.Module, *, central: bool = True, samples: int = 16,
            activations: Mapping[type, Any] | None = None, print: bool = True) -> Report:
    """Compute δ^l, ∂C/∂b^l and ∂C/∂w^l of a model by autodiff and in closed form; print and return a `Report`.

    model: a chain of Linear layers and activations, possibly nested. A Module with a forward of its own is accepted
        where its children in order are such a chain and its output is what the chain gives.
    x, y: a batch, Tensors or arrays: one example per row, and targets as `loss` takes them.
    loss: nn.QuadraticLoss, MSELoss, CrossEntropyLoss, NLLLoss, BCELoss or BCEWithLogitsLoss. C is its mean, also where
        its reduction is 'sum'.
    central: ask central differences of C, too: for every entry of an array of up to `samples` entries, in that many
        random directions of a larger one (the same ones each time).
    activations: for elementwise modules of your own: {Module type: Activation, or a function from the module to it}.

    Both sides work in float64, autodiff on a copy of the model: a float32 model is judged by its rules, not by its
    rounding, and nothing of it is touched. Raises NoClosedForm where the book has no equations for the model.
    """
    if not isinstance(model, nn.Module):
        raise NoClosedForm(f"compare: the model must be an nn.Module, got {type(model).__name__}")
    model = copy.deepcopy(model).double()
    chain = chain_of(model, activations or {})
    net = network_of(chain, loss)
    target, Y = targets_of(loss, y, net.sizes[net.L])
    X, by_autodiff = _differentiate(model, chain, Tensor(array_of(x, np.float64)),
                                    lambda output: average(loss, output, target))
    samples = samples if central else 0
    report = Report(net, _rows(net, X, Y, by_autodiff, samples), samples)
    if print:
        sys.stdout.write(f"{report}\n")
    return report


# --- the report -----------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One gradient of one layer, both ways, and how far each is off central differences (nan where not asked)."""

    layer: int
    quantity: str  # "delta", "dC/db" or "dC/dw"
    equation: str
    autodiff: np.ndarray
    closed_form: np.ndarray
    autodiff_off: float  # relatively
    closed_form_off: float

    @property
    def absolute(self) -> float:
        """The largest difference of two entries."""
        return float(abs(self.autodiff - self.closed_form).max())

    @property
    def relative(self) -> float:
        """The largest difference over the largest entry of the arrays."""
        return _relative(self.autodiff, self.closed_form)

    def agrees(self, rtol: float = 1e-8) -> bool:
        """Whether the two agree, to `rtol` of the largest entry."""
        return self.relative <= rtol

    def __str__(self) -> str:
        return f"{self.quantity}^{self.layer}"


class Report:
    """What `compare` found: `rows` in the order of the algorithm, from layer L down, and the closed-form `network`."""

    def __init__(self, network: Network, rows: list[Row], samples: int) -> None:
        self.network, self.rows, self.samples = network, rows, samples

    @property
    def max_relative(self) -> float:
        """The largest relative difference between autodiff and the closed form."""
        return float(np.max([row.relative for row in self.rows]))  # NumPy's max lets no nan pass unseen

    def ok(self, rtol: float = 1e-8) -> bool:
        """Whether autodiff and the closed form agree everywhere, to `rtol` of the largest entry of each array."""
        return self.max_relative <= rtol

    def __repr__(self) -> str:
        return f"<report: {self.verdict()}>"

    def html(self) -> str:
        """The report as a page that needs nothing else."""
        from .report_page import page

        return page(self)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page as .html, or the table as .txt; a file that is there is replaced whole or not at all."""
        from ..viz.files import write_atomically

        suffix = Path(path).suffix.lower()
        if suffix not in (".html", ".txt"):
            raise ValueError(f"Report.save(): '{path}' must end in .html or .txt, not in '{suffix}'")
        return write_atomically(path, self.html() if suffix == ".html" else f"{self}\n")

    def _repr_html_(self) -> str:
        from .report_page import fragment

        return fragment(self)

    def __str__(self) -> str:  # ASCII, so that the columns hold in every terminal and encoding
        net, n = self.network, self.samples
        width = max(len(str(row.autodiff.shape)) for row in self.rows)
        lines = [f"{'-'.join(map(str, net.sizes.values()))}, {', '.join(sigma.name for sigma in net.sigma.values())}; "
                 f"cost {net.cost.name}; batch of {len(self.rows[0].autodiff)}", "",
                 f"{'':{width + 15}}{'norm':>24}{'difference':>24}" + f"{'off central differences':>24}" * bool(n),
                 f"{'gradient':<10}{'by':<5}{'shape':<{width}}{'the book':>12}{'autodiff':>12}{'absolute':>12}"
                 f"{'relative':>12}" + f"{'the book':>12}{'autodiff':>12}" * bool(n)]
        for row in self.rows:
            name = f"{row!s:<10}{row.equation:<5}{row.autodiff.shape!s:<{width}}"
            norms = f"{np.linalg.norm(row.closed_form):12.4g}{np.linalg.norm(row.autodiff):12.4g}"
            lines.append(f"{name}{norms}{row.absolute:12.1e}{row.relative:12.1e}"
                         + f"{row.closed_form_off:12.1e}{row.autodiff_off:12.1e}" * bool(n))
        if n:
            lines += ["", f"Central differences: for each entry of up to {n}, else in {n} random directions.",
                      "They are off themselves near a kink, such as relu's at 0, and where C hardly changes."]
        return "\n".join([*lines, "", self.verdict()])

    def verdict(self, rtol: float = 1e-8) -> str:
        """Whether they agree, in a sentence; if not, where first, and with whom central differences side."""
        wrong = next((row for row in self.rows if not row.agrees(rtol)), None)
        if wrong is None:
            return f"They agree: the largest relative difference is {self.max_relative:.1e}."
        verdict = f"They DISAGREE, first at {wrong} ({wrong.equation}), by {wrong.relative:.1e}."
        if self.samples:
            right = "autodiff" if wrong.autodiff_off < wrong.closed_form_off else "the closed form"
            verdict += f" Central differences side with {right}."
        return verdict


def _rows(net: Network, X: np.ndarray, Y: np.ndarray, by_autodiff: Gradients, samples: int) -> list[Row]:
    by_book = net.backprop_batch(X, Y)
    z, a = net.feedforward(X)
    rng = np.random.default_rng(0)
    rows: list[Row] = []

    def add(l: int, quantity: str, equation: str, part: str, move: Callable[[np.ndarray], np.ndarray]) -> None:
        ours, book = getattr(by_autodiff, part), getattr(by_book, part)
        if l in book:
            off = _off(lambda step: net.cost_from(l, z[l] + move(step), Y), ours[l], book[l], samples, rng)
            rows.append(Row(l, quantity, equation, ours[l], book[l], *off))

    # `move` is what a step in the quantity does to z^l. δ^l is of each example's own cost, hence the factor m.
    for l in range(net.L, 1, -1):
        add(l, "delta", "BP1" if l == net.L else "BP2", "delta", lambda step: len(X) * step)
        add(l, "dC/db", "BP3", "nabla_b", lambda step: step)
        add(l, "dC/dw", "BP4", "nabla_w", lambda step, l=l: a[l - 1] @ step.T)  # type: ignore[misc]
    return rows


def _off(cost: Callable[[np.ndarray], float], ours: np.ndarray, book: np.ndarray, samples: int,
         rng: np.random.Generator) -> tuple[float, float]:
    """How far two gradients are off central differences of the cost of a step, relatively."""
    if not samples:
        return math.nan, math.nan
    size, shape = book.size, book.shape
    directions: Iterable[np.ndarray]
    if size <= samples:
        directions = np.eye(size)
    else:
        directions = (rng.standard_normal(size) / size**0.5 for _ in range(samples))  # of length 1, or near it
    slopes = []
    for d in directions:
        def along(t: np.ndarray, d: np.ndarray = d) -> float:
            return cost(t * d.reshape(shape))

        slopes.append((central_differences(along, np.array(0.0)), d @ ours.ravel(), d @ book.ravel()))
    central, by_autodiff, by_book = np.array(slopes).T
    return _relative(by_autodiff, central), _relative(by_book, central)


def _relative(ours: np.ndarray, others: np.ndarray) -> float:
    """The largest difference over the largest entry of both; 0 where all is 0, nan where anything is nan."""
    largest = np.maximum(abs(ours), abs(others)).max()
    return float(abs(ours - others).max() / largest) if largest else 0.0


# --- autodiff -------------------------------------------------------------------------------------------------------


def _differentiate(model: nn.Module, chain: Chain, x: Tensor,
                   cost: Callable[[Tensor], Tensor]) -> tuple[np.ndarray, Gradients]:
    """a^1, as the first Linear is given it, and the gradients by autodiff, in the book's form."""
    called: list[nn.Module] = []
    inputs: list[Tensor] = []
    delta: dict[int, np.ndarray] = {}

    def watch(linear: nn.Module, args: tuple, z: Tensor) -> None:
        called.append(linear)
        inputs.append(args[0])
        l = len(called) + 1
        delta[l] = np.zeros(z.shape)  # and so it stays if no gradient arrives

        def keep(g: Tensor) -> None:
            delta[l] = len(g) * g.array  # C is the average of the C_x, and δ^l of one example's own

        if z.requires_grad:
            z.register_hook(keep)

    with inference_mode(False) if is_inference_mode_enabled() else enable_grad():
        model.requires_grad_()
        watches = [linear.register_forward_hook(watch) for linear in chain.linears]
        output = model(x)
        for handle in watches:
            handle.remove()
        if called != chain.linears or not _gives(chain, inputs[0], output):
            raise refused("", model, "computes something other than its children in order: give a Sequential, with "
                                     "every activation a module in its place")
        parameters = [p for linear in chain.linears for p in (linear.bias, linear.weight) if p is not None]
        gradients = grad(cost(output), parameters, materialize_grads=True, allow_unused=True)
    found = {p: g.array for p, g in zip(parameters, gradients, strict=True) if g is not None}
    layers = dict(enumerate(chain.linears, start=2))
    nabla_b = {l: found[linear.bias] for l, linear in layers.items() if linear.bias is not None}
    return inputs[0].array, Gradients(nabla_b, {l: found[linear.weight] for l, linear in layers.items()}, delta)


def _gives(chain: Chain, a: Tensor, output: Any) -> bool:
    """Whether the modules, one after another, take a^1 to this output."""
    with no_grad():
        try:
            expected = reduce(lambda a, module: module(a), chain.modules, a)
        except (RuntimeError, TypeError, ValueError):
            return False
    return (isinstance(output, Tensor) and output.shape == expected.shape
            and np.allclose(output.array, expected.array, rtol=1e-9, atol=1e-12, equal_nan=True))
