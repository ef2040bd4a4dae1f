"""Golden files: what a text was when it was last looked at and found right."""

from __future__ import annotations

from pathlib import Path

import pytest


class Golden:
    """A folder of golden files. With `renew` they are written anew in place of being compared."""

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
