"""What several files of tests share: golden files, operations planted in the table, the collector switched off."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from microgradnet import graph


class Golden:
    """A folder of golden files: what a text was when it was last looked at and found right.

    With `renew` they are written anew in place of being compared.
    """

    def __init__(self, folder: Path, renew: bool) -> None:
        self.folder, self.renew = folder, renew

    def check(self, name: str, text: str) -> None:
        """Hold a text against the file of this name, byte by byte."""
        file = self.folder / name
        if self.renew:
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(text.encode())
        assert file.exists(), f"there is no golden file {file}; write it with pytest --renew-golden, and look at it"
        assert text == file.read_bytes().decode(), f"{file} differs; if the change is meant, pytest --renew-golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew-golden", action="store_true", help="write the golden files anew; then read their diff")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """The golden files of this folder."""
    return Golden(Path(__file__).parent / "golden", request.config.getoption("--renew-golden"))


@pytest.fixture
def plant() -> Iterator[Callable[..., graph.Op]]:
    """Makes operations that are in the table for the length of a test."""
    names = []

    def make(forward: Callable, *rules: Callable | None, **options: object) -> graph.Op:
        names.append(f"planted{len(names)}")
        return graph.Op(names[-1], forward, *rules, **options)

    yield make
    for name in names:
        del graph.OPS[name]


@pytest.fixture
def no_gc() -> Iterator[None]:
    """What is freed in the test is freed by its last reference, not by the collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["whole", "in pieces"])
def in_pieces(request, monkeypatch):
    """Compiled programs as they are, and with each step that can be in pieces of a few numbers."""
    if request.param:
        from microgradnet.compiler import pieces

        monkeypatch.setattr(pieces, "LARGE", 1)
        monkeypatch.setattr(pieces, "PIECE", 500)
