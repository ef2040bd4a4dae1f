"""The report of `compare` as HTML: the four equations, layer by layer, the book beside autodiff."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from ..viz.markup import paragraph, styled, table, whole_page

if TYPE_CHECKING:
    from .comparison import Report, Row

EQUATIONS = {
    "BP1": "δᴸ = ∇ₐC ∘ σ'(zᴸ)", "BP2": "δˡ = ((wˡ⁺¹)ᵀ δˡ⁺¹) ∘ σ'(zˡ)", "BP3": "∂C/∂bˡ = δˡ",
    "BP4": "∂C/∂wˡ = δˡ (aˡ⁻¹)ᵀ",
}  # fmt: skip
SHOWN = 2  # entries of each array


def page(report: Report) -> str:
    """All of it as a page that needs nothing else."""
    return whole_page("Backpropagation, by the book and by autodiff", fragment(report))


def fragment(report: Report) -> str:
    """The verdict, and a table for each layer, from the last one down."""
    net = report.network
    sizes, sigmas = "–".join(map(str, net.sizes.values())), ", ".join(sigma.name for sigma in net.sigma.values())
    batch = len(report.rows[0].autodiff)
    parts = [f"<p><strong>{escape(report.verdict())}</strong></p>",
             paragraph(f"{sizes}, {sigmas}; cost {net.cost.name}; batch of {batch}.")]
    for l in dict.fromkeys(row.layer for row in report.rows):
        parts += [f"<h2>Layer {l}</h2>", _layer([row for row in report.rows if row.layer == l], report.samples > 0)]
    if report.samples:
        parts.append(paragraph(
            f"Central differences: for each entry of up to {report.samples}, else in {report.samples} random "
            "directions. They are off themselves near a kink, such as relu's at 0, and where C hardly changes."))
    return styled(*parts)


def _layer(rows: list[Row], central: bool) -> str:
    head = ["equation", "shape", "norm, the book", "norm, autodiff", "first entries, the book",
            "first entries, autodiff", "largest difference", "relatively"]
    head += ["central differences, the book", "central differences, autodiff"] * central
    lines = []
    for row in rows:
        line = [f"{row.equation}: {EQUATIONS[row.equation]}", "×".join(map(str, row.autodiff.shape)),
                f"{np.linalg.norm(row.closed_form):.4g}", f"{np.linalg.norm(row.autodiff):.4g}",
                _entries(row.closed_form), _entries(row.autodiff), f"{row.absolute:.1e}", f"{row.relative:.1e}"]
        lines.append(line + [f"{row.closed_form_off:.1e}", f"{row.autodiff_off:.1e}"] * central)
    return table(head, lines, [i for i, row in enumerate(rows) if not row.agrees()])


def _entries(array: np.ndarray) -> str:
    shown = ", ".join(f"{x:.4g}" for x in array.ravel()[:SHOWN])
    return shown + ", …" * (array.size > SHOWN)
