"""The gallery is what its command makes of the examples."""

import importlib.util
import re
import struct
from pathlib import Path

import pytest
from browser import CHROMIUM

from microgradnet.viz import render

pytestmark = pytest.mark.slow  # it makes all pictures
DOCS = Path(__file__).parents[1] / "docs"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    try:
        render.svg("digraph {}")
    except render.RenderError as error:
        pytest.skip(str(error))
    spec = importlib.util.spec_from_file_location("make_gallery", DOCS / "make_gallery.py")
    command = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(command)
    folder = tmp_path_factory.mktemp("docs")
    command.main(folder)
    return folder


def without_graphviz(text):
    """Without what another Graphviz lays out otherwise."""
    return re.sub(r'<svg width="\d+pt".*?</svg>', "", text, flags=re.DOTALL)


def alike(one, other, pixels=1.0):
    """Whether two pictures are the same but for what another machine rounds otherwise."""
    lines = zip(one.splitlines(), other.splitlines(), strict=True)
    return all(NUMBER.sub("#", a) == NUMBER.sub("#", b)
               and all(abs(float(m) - float(n)) <= pixels for m, n in zip(NUMBER.findall(a), NUMBER.findall(b))) for a, b in lines)


def test_the_page_and_its_pictures_are_those_of_the_examples(made):
    assert (made / "gallery.md").read_text(encoding="utf-8") == (DOCS / "gallery.md").read_text(encoding="utf-8")
    names = {file.name for file in (made / "gallery").iterdir()}
    assert names | {"stepper.png"} == {file.name for file in (DOCS / "gallery").iterdir()} and len(names) >= 7
    for name in names - {"stepper.png"}:
        texts = ((folder / "gallery" / name).read_text(encoding="utf-8") for folder in (made, DOCS))
        assert alike(*map(without_graphviz, texts), pixels=1.0), f"{name} is old; run docs/make_gallery.py, and look at it"


@pytest.mark.browser
def test_the_screenshot_is_a_picture(made):
    if not CHROMIUM:
        pytest.skip("there is no chromium")
    for folder in (made, DOCS):
        data = (folder / "gallery" / "stepper.png").read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", data[16:24]) == (1280, 1000)
        assert len(data) > 50_000, "it is not blank"


def test_another_picture_is_noticed():
    svg = (DOCS / "gallery" / "saturated_output.svg").read_text(encoding="utf-8")
    assert alike(svg, svg) and not alike(svg, svg.replace('y="22"', 'y="27"')) and not alike(svg, svg.replace("Error", "Mistake"))


def test_the_page_shows_every_picture_and_the_readmes_lead_to_it():
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    shown = re.findall(r"\]\((gallery/\w+\.\w+)\)", page)
    assert sorted(shown) == sorted(f"gallery/{file.name}" for file in (DOCS / "gallery").iterdir())
    for readme in ("README.md", "README.zh-CN.md"):
        assert "(docs/gallery.md)" in (DOCS.parent / readme).read_text(encoding="utf-8")
