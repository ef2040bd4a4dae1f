"""The report of `compare` as HTML and text, and a module in a notebook."""

import pytest

import microgradnet as mg
from microgradnet import nn
from microgradnet.graph import OPS


def report(**options):
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Sigmoid(), nn.Linear(5, 3))
    return mg.compare(model, mg.randn(6, 4), mg.tensor([0, 1, 2, 0, 1, 2]), nn.CrossEntropyLoss(), print=False, **options)


def test_the_page_has_every_equation_by_layer_and_needs_nothing_else():
    found = report()
    page = found.html()
    assert page.startswith("<!DOCTYPE html>") and "http" not in page and "<script" not in page
    assert page.index("Layer 3") < page.index("Layer 2") and page.count("<tr>") == 2 * 4
    assert found.verdict() in page and all(f"<td>{row.equation}: " in page for row in found.rows)
    for row in found.rows:
        assert f"{row.absolute:.1e}" in page and f"{row.autodiff.ravel()[0]:.4g}" in page
    assert found._repr_html_() in page and 'class="wrong"' not in page


def test_without_central_differences_their_columns_are_left_out():
    assert "central" in report().html() and "central" not in report(central=False).html().lower()


def test_a_wrong_rule_is_marked(monkeypatch):
    op = OPS["sigmoid"]
    monkeypatch.setattr(op, "rules", (lambda g, y, _x: g * y,))
    page = report().html()
    assert page.count('<tr class="wrong">') == 3 and "They DISAGREE, first at delta^2 (BP2)" in page


def test_it_is_saved_as_page_or_table(tmp_path):
    found = report()
    assert found.save(tmp_path / "r.html").read_text(encoding="utf-8") == found.html()
    assert found.save(tmp_path / "r.txt").read_text(encoding="utf-8") == f"{found}\n"
    with pytest.raises(ValueError, match=r"must end in .html or .txt, not in '.pdf'"):
        found.save(tmp_path / "r.pdf")
