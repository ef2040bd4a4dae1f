"""What a notebook shows: modules, drawings, monitors and reports have a picture or a table of their own, escaped."""

import subprocess
import sys

import microgradnet as mg
from microgradnet import nn


def test_a_module_is_a_table_of_its_modules():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2, bias=False))
    html = model._repr_html_()
    assert "<td>Linear(in_features=4, out_features=3, bias=True)</td><td>weight (3, 4), bias (3,)</td><td>15</td>" in html
    assert "<td>1</td><td>ReLU</td>" in html and "21 parameters; in training mode" in html
    model[0].requires_grad_(False)
    assert "21 parameters, of which 6 require grad; in eval mode" in model.eval()._repr_html_()


def test_names_and_settings_are_escaped():
    class Odd(nn.Module):
        def extra_repr(self):
            return '<script>alert("x")</script>'

    html = nn.ModuleDict({"<i>&": Odd()})._repr_html_()
    assert "<script" not in html and "<i>" not in html and "&lt;i&gt;&amp;" in html


def test_large_models_stay_small_and_lazy_ones_say_what_they_know():
    html = nn.Sequential(*[nn.ReLU() for _ in range(500)])._repr_html_()
    assert html.count("<tr>") == 61 and "… and 441 modules more." in html
    assert "weight (not yet known)" in nn.LazyLinear(3)._repr_html_()


def test_what_else_a_notebook_shows():
    loss = (mg.ones(2, requires_grad=True) * 2).sum()
    for shown in (mg.draw(loss), mg.draw(loss, backward=True), mg.explain(loss), mg.Monitor(nn.Linear(1, 1)), nn.Linear(1, 1)):
        assert hasattr(shown, "_repr_svg_") or hasattr(shown, "_repr_html_")
    assert not hasattr(loss, "_repr_html_") and not hasattr(loss, "_repr_svg_")  # its numbers; mg.draw(loss) shows its graph


def test_nothing_of_it_is_imported_before_it_is_asked_for():
    program = """
import sys, microgradnet as mg
from microgradnet import nn
nn.Linear(2, 1)(mg.ones(1, 2)).sum().backward()
print(sorted(name for name in sys.modules if name.startswith(("microgradnet.viz", "microgradnet.diagnosis"))))
"""
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
