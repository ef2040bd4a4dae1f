"""The gallery is what its command makes of the examples."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("make_gallery", DOCS / "make_gallery.py")
    command = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(command)
    folder = tmp_path_factory.mktemp("docs")
    command.main(folder)
    return folder


def alike(one, other, pixels=1.0):
    """Whether two pictures are the same but for what another machine rounds otherwise."""
    lines = zip(one.splitlines(), other.splitlines(), strict=True)
    return all(NUMBER.sub("#", a) == NUMBER.sub("#", b)
               and all(abs(float(m) - float(n)) <= pixels for m, n in zip(NUMBER.findall(a), NUMBER.findall(b))) for a, b in lines)


def test_the_page_and_its_pictures_are_those_of_the_examples(made):
    assert (made / "gallery.md").read_text(encoding="utf-8") == (DOCS / "gallery.md").read_text(encoding="utf-8")
    names = {file.name for file in (made / "gallery").iterdir()}
    assert names == {file.name for file in (DOCS / "gallery").iterdir()} and len(names) == 4
    for name in names:
        assert alike(*((folder / "gallery" / name).read_text(encoding="utf-8") for folder in (made, DOCS)), pixels=1.0), name


def test_another_picture_is_noticed():
    svg = (DOCS / "gallery" / "saturated_output.svg").read_text(encoding="utf-8")
    assert alike(svg, svg) and not alike(svg, svg.replace('y="22"', 'y="27"')) and not alike(svg, svg.replace("Error", "Mistake"))


def test_the_page_shows_every_picture_and_the_readmes_lead_to_it():
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    shown = re.findall(r"\]\((gallery/\w+\.svg)\)", page)
    assert sorted(shown) == sorted(f"gallery/{file.name}" for file in (DOCS / "gallery").iterdir())
    for readme in ("README.md", "README.zh-CN.md"):
        assert "(docs/gallery.md)" in (DOCS.parent / readme).read_text(encoding="utf-8")
