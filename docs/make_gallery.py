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
SHOWN = {  # the scripts, and what they make; of a page there is a screenshot as well
    "labelled_graph": ["labelled_graph.svg", "labelled_deep.svg"], "stepper": ["stepper.html"],
    "vanishing_gradient": ["vanishing_gradient.svg"], "growing_activation": ["growing_activation.svg"],
    "saturated_output": ["saturated_output.svg"], "monitor": ["monitor.svg"],
}  # fmt: skip
BROWSERS = "chromium", "chromium-browser", "google-chrome"
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
        for file in (file for files in SHOWN.values() for file in files):
            shutil.copy(Path(folder, file), docs / "gallery")
    photograph(docs / "gallery" / "stepper.html")
    (docs / "gallery.md").write_text("\n".join([HEAD, *map(section, SHOWN)]), encoding="utf-8")


def photograph(page: Path) -> None:
    """A PNG of a page beside it; it stays as it is where there is no Chromium."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"There is no Chromium, so there is no new screenshot of {page.name}.", file=sys.stderr)
        return
    shot = [f"--screenshot={page.with_suffix('.png')}", "--window-size=1280,1000", "--hide-scrollbars"]
    subprocess.run([browser, "--headless", "--no-sandbox", *shot, f"{page.as_uri()}#3"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def script(name: str) -> Path:
    """The script of this name."""
    return ROOT / "examples" / f"{name}.py"


def section(name: str) -> str:
    """The pictures with their text: the docstring of the script, without the command at its end."""
    documented = ast.get_docstring(ast.parse(script(name).read_text(encoding="utf-8")))
    title, *paragraphs = [paragraph for paragraph in documented.split("\n\n") if not paragraph.startswith("    ")]
    title = title.split(", as a picture:")[0].split(": ")[0].rstrip(".")
    shown = "\n\n".join(picture(title, file) for file in SHOWN[name])
    text = "\n\n".join(paragraphs)
    return f"## {title}\n\n{shown}\n\n{text}\n\n`python examples/{name}.py`\n"


def picture(title: str, file: str) -> str:
    """A picture, or the screenshot of a page, which leads to it."""
    if file.endswith(".html"):
        return f"[![{title}](gallery/{Path(file).stem}.png)](gallery/{file})"
    return f"![{title}](gallery/{file})"


if __name__ == "__main__":
    main(ROOT / "docs")
