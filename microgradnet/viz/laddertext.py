"""What stands in the boxes of a ladder: equations, rules with the names of what they are applied to, and summaries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..graph import ITEM, Node
from ..tensor import Tensor
from . import formulas, labels, steptext
from .backpass import BackwardPass, Share
from .explain import Flow, Step
from .mathtext import pretty_lines

if TYPE_CHECKING:
    from ..nn import Module

MOST_SHARES = 4  # lines in the box of a gradient that has come together from many places
MOST_BEFORE = 2  # lines for what stands in it more than once

MEANINGS = {
    "BP1": "the error of the output layer, δᴸ = ∇ₐC ∘ σ'(zᴸ)",
    "BP2": "the error of a layer from that of the next, δˡ = ((wˡ⁺¹)ᵀ δˡ⁺¹) ∘ σ'(zˡ)",
    "BP3": "the gradient of a bias, ∂C/∂bˡ = δˡ",
    "BP4": "the gradient of a weight, activation in times error out, ∂C/∂wˡ = δˡ (aˡ⁻¹)ᵀ",
}


class Words:
    """names: what values and gradients are called, as in the stepper."""

    def __init__(self, run: BackwardPass, params: Module | Mapping[str, Tensor] | None) -> None:
        self.run = run
        self.names = steptext.Names(run, params)  # type: ignore[arg-type]

    def collapsed(self, unit: list[Node], module: Module) -> str:
        """'v9 = encoder: Block', of the last value that a module makes."""
        return f"{self.names.of(unit[-1])} = {self.names.given.module(module)}"

    def contents(self, unit: list[Node]) -> list[str]:
        """'12 operations: 4 linear, 4 gelu, …'."""
        common = Counter(node.op.name for node in unit).most_common(3)
        few = ", ".join(name if count == 1 else f"{count} {name}" for name, count in common)
        kinds = len({node.op.name for node in unit})
        return [f"{len(unit)} operations: {few}{', …' if kinds > 3 else ''}"]

    # --- gradients ----------------------------------------------------------------------------------------------------

    def shares(self, place: Any, inside: Mapping[Node, Module]) -> list[str]:
        """The formula of each share, with '+' before all but the first.

        inside: of the nodes that have no row of their own, the modules that have.
        """
        shares = self.run.shares[place]
        if not shares:
            return ["= 1"]
        through = dict.fromkeys(inside[share.user] for share in shares if share.user in inside)
        if isinstance(place, Tensor) and through:
            return []
        shares = [share for share in shares if share.user not in inside]
        lines = [f"through {self.names.given.module(module)}" for module in through]
        lines = [f"{'+' if i else '='} {line}" for i, line in enumerate(lines)]
        few = shares[: MOST_SHARES - (len(shares) > MOST_SHARES)]
        for share in few:
            first, *rest = self.formula(share, place)
            lines += [f"{'+' if lines else '='} {first}", *rest]
        return lines + [f"+ … {len(shares) - len(few)} more"] * (len(shares) > len(few))

    def formula(self, share: Share, place: Any) -> list[str]:
        """The rule from the table with the names of what it is applied to, 'δ³ @ w³'; then what it abbreviates."""
        node, i = share.user, share.argument
        g = self.names.gradient(node)
        if node.op is ITEM:
            return [f"{g} as part {node.params['index']}"]
        arriving = self.run.gradients[node]
        given = arriving.array if isinstance(arriving, Tensor) else tuple(part.array for part in arriving)
        step = Step(0, node, given, node.args, node.output, [], {})
        text = steptext.formula(step, Flow(i, place, given, given, 1, 1))
        joint = node.op.joint is not None
        rule: Any = node.op.joint if joint else node.op.rules[i]
        own = formulas.parameters(rule, int(joint), len(node.inputs))
        names = [g, self.names.of(node), *map(self.names.argument, node.inputs)]
        meant = {key: labels.constant(value) for key, value in node.params.items()} | dict(zip(own, names))
        *before, written = pretty_lines(text.split("\n"), meant)
        if max(map(len, [*before, written])) > steptext.LONGEST or len(before) > MOST_BEFORE or not _is_written(text):
            before, written = [], f"{labels.shorten(node.op.name)}′({g})"  # too much for a box
        if share.summed:
            written = f"Σ ({written})" if " " in written else f"Σ {written}"
        return [steptext.cut(written), *(f"{'and' if i else 'where'} {line}" for i, line in enumerate(before))]


def _is_written(text: str) -> bool:
    """Whether lines of NumPy do no more than name values, and come to an expression."""
    *before, last = text.split("\n")
    return all(re.match(r"t\d+ = ", line) for line in before) and not last.startswith("the rule of ")


__all__ = ["MEANINGS", "Words"]
