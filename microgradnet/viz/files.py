"""Writing a file so that nobody ever sees half of it."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], text: str) -> Path:
    """Write a text file beside the old one, then put it in its place; a failure leaves the old one as it was."""
    path = Path(path)
    target = path.resolve()  # so that a link stays a link
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder of '{path}' does not exist; create it first")
    temporary = target.with_name(f".{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path
