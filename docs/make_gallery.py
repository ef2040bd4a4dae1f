"""Write gallery.md and its pictures anew, from the scripts in examples/ and what their docstrings say.

    python docs/make_gallery.py
"""

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHOWN = "vanishing_gradient", "growing_activation", "saturated_output", "monitor"  # each draws an SVG of its name
HEAD = """# Gallery

Pictures that the scripts in `examples/` draw, with what they show. `python docs/make_gallery.py` makes this page anew.
"""


def main(docs: Path) -> None:
    """Run the scripts, all at once, and write the page and its pictures into a folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        running = [subprocess.Popen([sys.executable, str(script(name))], cwd=folder, env=environment,
                                    stdout=subprocess.DEVNULL) for name in SHOWN]
        failed = [name for name, process in zip(SHOWN, running) if process.wait()]
        if failed:
            sys.exit(f"failed: {', '.join(failed)}")
        (docs / "gallery").mkdir(exist_ok=True)
        for name in SHOWN:
            shutil.copy(Path(folder, f"{name}.svg"), docs / "gallery")
    (docs / "gallery.md").write_text("\n".join([HEAD, *map(section, SHOWN)]), encoding="utf-8")


def script(name: str) -> Path:
    """The script of this name."""
    return ROOT / "examples" / f"{name}.py"


def section(name: str) -> str:
    """A picture with its text: the docstring of its script, without the command at its end."""
    documented = ast.get_docstring(ast.parse(script(name).read_text(encoding="utf-8")))
    title, *paragraphs = [paragraph for paragraph in documented.split("\n\n") if not paragraph.startswith("    ")]
    title = title.split(", as a picture:")[0].split(": ")[0].rstrip(".")
    text = "\n\n".join(paragraphs)
    return f"## {title}\n\n![{title}](gallery/{name}.svg)\n\n{text}\n\n`python examples/{name}.py`\n"


if __name__ == "__main__":
    main(ROOT / "docs")
