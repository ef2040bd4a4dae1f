"""Learning curves: an SVG that is well formed, shows what it was given, and stays within its frame."""

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgradnet.viz import Panel, curves_svg, panels_svg
from microgradnet.viz.curves import _ticks

SVG = "{http://www.w3.org/2000/svg}"
HISTORY = {
    "epoch": [1, 2, 3, 4],
    "train_cost": [0.9, 0.4, 0.25, 0.125],
    "test_cost": [1.0, 0.5, 0.375, 0.25],
    "train_accuracy": [0.5, 0.75, 0.875, 0.96875],
    "test_accuracy": [0.5, 0.625, 0.75, 0.875],
}


def texts(svg):
    return [text.text for text in ET.fromstring(svg).iter(f"{SVG}text")]


def lines(svg):
    return [path.get("d") for path in ET.fromstring(svg).iter(f"{SVG}path") if path.get("class") == "line"]


def test_curves_are_as_they_were(golden):
    golden.check("curves.svg", curves_svg(HISTORY))


def test_each_panel_has_a_title_and_its_lines_end_with_their_last_value():
    shown = texts(curves_svg(HISTORY))
    assert [t for t in shown if t in ("Cost", "Accuracy")] == ["Cost", "Accuracy"]
    assert [t for t in shown if t.startswith("t")] == ["test 0.25", "train 0.125", "train 96.88 %", "test 87.5 %"]
    assert {"1", "2", "3", "4", "0.2", "1.0", "50 %", "100 %"} <= set(shown)


def test_a_line_looks_the_same_in_every_panel():
    svg = ET.fromstring(curves_svg({"train_cost": [1, 2], "test_cost": [1, 3], "test_accuracy": [0, 1]}))
    looks = [(p.get("stroke"), p.get("stroke-dasharray")) for p in svg.iter(f"{SVG}path") if p.get("class") == "line"]
    assert looks[1] == looks[2] != looks[0] and len({dash for _, dash in looks}) == 2


def test_epochs_count_from_one_where_they_are_not_given():
    assert curves_svg({"cost": [3, 2, 1]}) == curves_svg({"epoch": [1, 2, 3], "cost": [3, 2, 1]})


def test_what_is_not_finite_leaves_a_gap():
    whole, gap = (lines(curves_svg({"cost": [4, 3, y, 2, 1]}))[0] for y in (2.5, math.nan))
    assert (whole.count("M"), whole.count("L")) == (1, 4)
    assert (gap.count("M"), gap.count("L")) == (2, 2)
    assert "nan" not in curves_svg({"cost": [math.nan, math.inf], "lr": [1, math.inf]})


def test_an_accuracy_beyond_one_is_shown_as_it_is():
    assert "12.5" in texts(curves_svg({"accuracy": [10.0, 12.5]}))


def test_names_are_escaped():
    assert "a<b>&" in "".join(texts(curves_svg({"a<b>&_cost": [1, 2], "</svg>": [1, 2]})))


@given(
    st.integers(0, 12).flatmap(
        lambda n: st.dictionaries(
            st.sampled_from(["train_cost", "test_cost", "test_accuracy", "lr"]),
            st.lists(st.floats(), min_size=n, max_size=n),
            min_size=1,
        )
    )
)
def test_every_point_lies_in_the_picture(columns):
    svg = curves_svg(columns)
    root = ET.fromstring(svg)
    height = float(root.get("height"))
    for line in lines(svg):
        for point in line.replace("h.1", "").replace("M", "L").split("L")[1:]:
            x, y = map(float, point.split())
            assert 0 <= x <= float(root.get("width")) and 0 <= y <= height
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.get("y")) <= height


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12))
def test_ticks_are_few_and_enclose(low, span):
    high = low + span
    ticks = _ticks(low, high)
    if high - low > 1e-6 * abs(low):
        tolerance = 1e-6 * (high - low)
        assert 2 <= len(ticks) <= 8 and ticks[0] <= low + tolerance and ticks[-1] >= high - tolerance


@pytest.mark.parametrize("low, high", [(0.0, 5e-324), (5e-324, 5e-324), (5e-324, 1e-323), (-1e-310, 1e-310)])
def test_ticks_around_values_of_which_no_smaller_part_is_left(low, high):
    ticks = _ticks(low, high)
    assert 2 <= len(ticks) <= 8 and ticks[0] <= 0 and ticks[-1] >= high
    assert "<svg" in curves_svg({"train_cost": [low, high]})


def test_the_file_is_what_is_returned(tmp_path):
    svg = curves_svg(HISTORY, tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").read_bytes() == svg.encode()
    assert [file.name for file in tmp_path.iterdir()] == ["curves.svg"]


@pytest.mark.parametrize(
    "columns, message",
    [
        ({}, "needs a column"),
        ({"epoch": [1]}, "needs a column"),
        ({"cost": [1, 2], "accuracy": [1]}, "equally long, got lengths {'cost': 2, 'accuracy': 1}"),
    ],
)
def test_wrong_columns_are_named(columns, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        curves_svg(columns, tmp_path / "curves.svg")
    assert not list(tmp_path.iterdir())


def test_a_logarithmic_panel_has_decades_and_leaves_out_what_has_no_logarithm():
    svg = panels_svg([Panel("norm of δ <l>", "layer", [2, 3, 4, 5], {"a": [1e-4, 0.0, 1e-2, 0.3]}, log=True)])
    assert [t for t in texts(svg) if t.startswith("1e")] == ["1e-4", "1e-3", "1e-2", "1e-1", "1e0"]
    assert "Norm of δ <l>" in texts(svg)
    assert (lines(svg)[0].count("M"), lines(svg)[0].count("L")) == (2, 1)


def test_panels_need_not_share_their_axis():
    svg = panels_svg([Panel("one", "z", [-0.5, 0.5], {"f": [0, 1]}), Panel("two", "step", [0, 9], {"f": [0.25, 0.5]}, percent=True, values=False)])
    assert {"-0.4", "0.4", "z", "step", "f 1", "f", "25 %"} <= set(texts(svg))


def test_labels_stay_in_the_panel_and_apart():
    svg = panels_svg([Panel("p", "x", [0, 1], {"top": [1, 1], "a": [0, 0], "b": [0, 0], "c": [0, 0]}, values=False)])
    ys = [float(t.get("y")) for t in ET.fromstring(svg).iter(f"{SVG}text") if t.get("style")]
    assert ys == [40, 200, 214, 228]
