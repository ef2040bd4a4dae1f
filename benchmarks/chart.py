"""The figures of a run as an SVG for light and dark pages: a panel for each workload, a bar for each library."""

from __future__ import annotations

from html import escape

from benchmarks.report import duration, facts, measured, multiple
from microgradnet.viz.themes import THEMES

NAMES = {"numpy-out": "NumPy, out=", "compiled": "· compiled", "native": "· native", "torch": "PyTorch",
         "torch-compiled": "torch.compile", "jax": "JAX, jit"}  # fmt: skip
OURS = "microgradnet", "compiled", "native"
WHAT = {
    "nndl": "784-30-10 sigmoid, batch 10", "small": "784-100-10 ReLU, batch 32", "medium": "784-512-512-10, batch 128",
    "wide": "four layers 2048 × 2048, batch 256", "deep": "twenty layers of 32, batch 16",
    "adam-small": "small, with Adam", "chain": "1,000 operations on scalars",
    "elem": "tanh(xy + z).sum() of 10⁶ elements", "conv": "two 3 × 3 convolutions, batch 32",
    "epoch": "nndl: 50,000 examples, with loader", "op": "one product, recorded, eager mode",
}  # fmt: skip
ACROSS, WIDTH, LINE = 3, 300, 16  # panels in a row; pixels of a panel and of a bar with its margin
HEAD, TITLE = 52, 42  # pixels above the panels, and above the bars of one
LEFT, UNIT, MOST = 92, 40, 4  # where bars begin, pixels for 1, and the length from which on they are cut off
STYLE = """
.bench {{ background: {0.background} }}
.bench .paper {{ fill: {0.background} }}
.bench text {{ font: 11px Helvetica, Arial, sans-serif; fill: {0.ink}; paint-order: stroke; stroke: {0.background};
  stroke-width: 3px }}
.bench .head {{ font-size: 15px; font-weight: bold }}
.bench .name {{ font-size: 13px; font-weight: bold }}
.bench text.soft {{ fill: {0.soft} }}
.bench text.mine {{ font-weight: bold }}
.bench .bar.soft {{ fill: {0.edge}; stroke: {0.line} }}
.bench .bar.mine {{ fill: {0.fills[parameter][1]}; stroke: {0.fills[parameter][1]} }}
.bench .one {{ stroke: {0.ink}; stroke-dasharray: 2 2 }}
.bench .cut {{ stroke: {0.background}; stroke-width: 3 }}
"""


def chart(figures):
    """The SVG: a bar's length is the multiple of hand-written NumPy, the dashed line."""
    seconds, libraries = figures["seconds"], measured(figures["seconds"])[1:]
    height = TITLE + LINE * len(libraries) + 14
    rows = len(seconds) // ACROSS + 1  # room for the last panel, which says where and when
    width, whole = ACROSS * WIDTH, HEAD + rows * height
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="bench" role="img" width="{width}" height="{whole}" '
        f'viewBox="0 0 {width} {whole}">',
        "<title>Time of a training step as a multiple of hand-written NumPy</title>",
        f"<style>{STYLE.format(THEMES['light'])}",
        f"@media (prefers-color-scheme: dark) {{{STYLE.format(THEMES['dark'])}}}</style>",
        f'<rect class="paper" width="{width}" height="{whole}"/>',
        _text(16, 20, "Time of a training step as a multiple of hand-written NumPy", "head"),
        _text(16, 38, f"The dashed line is hand-written NumPy: shorter is faster. Bars are cut off at {MOST}.", "soft"),
    ]
    panels = [_panel(workload, times, libraries) for workload, times in seconds.items()]
    for i, panel in enumerate([*panels, _last(facts(figures["run"]))]):
        parts += [f'<g transform="translate({WIDTH * (i % ACROSS)} {HEAD + height * (i // ACROSS)})">', *panel, "</g>"]
    return "\n".join([*parts, "</svg>\n"])


def _text(x, y, words, kind, more=""):
    return f'<text class="{kind}" x="{x}" y="{y}"{more}>{escape(words)}</text>'


def _panel(workload, times, libraries):
    end, one = TITLE + LINE * len(libraries), LEFT + UNIT
    bars, words = [], [
        _text(16, 18, workload, "name"),
        _text(16, 34, f"{WHAT.get(workload, '')} · NumPy {duration(times['numpy'])}", "soft"),
    ]
    for y, library in zip(range(TITLE, end, LINE), libraries):
        kind = "mine" if library in OURS else "soft"
        words.append(_text(LEFT - 6, y + 11, NAMES.get(library, library), kind, ' text-anchor="end"'))
        ratio = times[library] / times["numpy"] if library in times else None
        length = round(UNIT * min(ratio or 0, MOST), 1)
        words.append(_text(LEFT + length + 5, y + 11, multiple(ratio), kind))
        if ratio is not None:
            bars.append(f'<rect class="bar {kind}" x="{LEFT}" y="{y + 2}" width="{length}" height="10">'
                        f"<title>{workload}, {library}: {multiple(ratio)}</title></rect>")  # fmt: skip
        if length == UNIT * MOST:
            bars.append(f'<path class="cut" d="M{LEFT + length - 12} {y + 14}l6 -14"/>')
    return [*bars, f'<path class="one" d="M{one} {TITLE - 2}V{end}"/>', *words]


def _last(run):
    """Where and when, in lines that fit a panel."""
    lines = [
        run["cpu"],
        f"cores: {run['cores']}, threads: {run['threads']}, {run['system']}",
        *_wrapped(run["versions"]),
        f"{run['clock']} time, medians, processes: {run['processes']}",
        run["date"],
    ]
    return [_text(16, TITLE + 11 + LINE * i, line, "soft") for i, line in enumerate(lines)]


def _wrapped(words, most=42):
    lines = [""]
    for word in words.split(", "):
        if len(lines[-1]) + len(word) > most:
            lines.append("")
        lines[-1] += word + ", "
    return [line.rstrip(" ,") for line in lines]
