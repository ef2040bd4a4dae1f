"""The stepper as one HTML page: the graph as SVG, the steps as JSON, and a script that shows them."""

from __future__ import annotations

import html
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph import ITEM, OPS, Node, Op
from ..tensor import Tensor
from . import formulas, labels, steptext
from .chinese import OPERATIONS
from .dot import to_dot
from .equations import Label
from .picture import Picture
from .render import RenderError, svg

if TYPE_CHECKING:
    from .explain import Explanation, Flow, Step

LANGUAGES = ("en", "zh")
MOST_STEPS = 400  # more of them are no picture that anyone reads
MOST_ROWS = 12  # of a table of numbers, and columns; larger arrays are summarised


def page(explanation: Explanation, lang: str, direction: str = "TB") -> str:
    """The text of the page. Errors: ValueError for a language or a size it is not made for; viz.RenderError."""
    if lang not in LANGUAGES:
        raise ValueError(f"save(): lang must be 'en' or 'zh', got {lang!r}; the page has a switch for the other one")
    if len(explanation) > MOST_STEPS:
        raise ValueError(
            f"save(): {len(explanation)} steps are more than a page shows well ({MOST_STEPS}); explain a smaller "
            "network or a shorter sequence of the same kind, or print() the table"
        )
    picture = _picture(explanation)
    drawn = svg(to_dot(picture, explanation.names.cost, direction).source)
    parts = {
        "lang": {"en": "en", "zh": "zh-Hans"}[lang],
        "title": html.escape(f"∂{explanation.names.cost} — microgradnet"),
        "svg": drawn[drawn.index("<svg") :],
        "data": _json(_Page(explanation, picture).data(lang)),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template())


def template() -> str:
    """The page around an explanation: its markup with its style, its words in both languages and its script."""
    files = {"style": "page.css", "words": "words.js", "script": "page.js"}
    texts = {key: _file(name) for key, name in files.items()}
    return re.sub(r"\{\{(\w+)\}\}", lambda match: texts.get(match[1], match[0]), _file("page.html"))


def framed(explanation: Explanation) -> str:
    """The page for a notebook; the table where it would be too large, or nothing renders the graph."""
    try:
        text = page(explanation, "en")
    except (RenderError, ValueError) as error:
        return f"<pre>{html.escape(str(explanation))}</pre><p>{html.escape(str(error))}</p>"
    return (f'<iframe srcdoc="{html.escape(text)}" title="Backpropagation, step by step" width="100%" height="760" '
            'style="border: 1px solid #cbd2d9"></iframe>')  # fmt: skip


def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _json(data: Any) -> str:
    """JSON that may stand in a script element, whatever texts are in it."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda match: f"\\u{ord(match[0]):04x}", text)


def _picture(explanation: Explanation) -> Picture:
    """The graph, each box headed by the name that the steps call it by."""
    names = explanation.names
    picture = Picture([(names.cost, explanation.loss)], names.params, False, False, True, None)
    for place in names.places():
        box = picture._known.get(id(place))
        name = names.of(place)
        if box is not None and place is not explanation.loss.node and box.kind != "constant" and box.lines[0] != name:
            box.lines[: box.lines[0] == "input"] = [name]
    return picture


class _Page:
    """What the script is given."""

    def __init__(self, explanation: Explanation, picture: Picture) -> None:
        self.explanation, self.names, self.picture = explanation, explanation.names, picture
        names, places = self.names, self.names.places()
        self.writing = {names.variable(place): names.of(place) for place in places}
        self.writing |= {names.gradient_variable(place): names.gradient(place) for place in places}

    def data(self, lang: str) -> dict[str, Any]:
        explanation, names = self.explanation, self.names
        leaves = [{"name": names.of(leaf), "gradient": names.gradient(leaf), "box": self.box(leaf), "value": value(g),
                   "given": names.given.of(leaf) or ""} for leaf, g in explanation.gradients.items()]  # fmt: skip
        return {
            "lang": lang, "cost": names.cost, "book": bool(explanation.equations.layers),
            "kinds": {box.id: box.kind for box in self.picture.boxes},
            "seed": {"name": names.gradient(explanation.loss.node), "value": value(explanation.seed),
                     "box": self.box(explanation.loss.node)},
            "output": next((box.id for box in self.picture.boxes if box.kind == "output"), ""),
            "steps": [self.step(step) for step in explanation], "leaves": leaves,
        }  # fmt: skip

    def box(self, place: Any) -> str:
        """The id of the box of a node or leaf; one of several outputs has that of the operation."""
        if type(place) is Node and place.op is ITEM:
            place = place.inputs[0]
        box = self.picture._known.get(id(place))
        return box.id if box is not None else ""

    def step(self, step: Step) -> dict[str, Any]:
        names, node = self.names, step.node
        return {
            "box": self.box(node), "name": names.of(node), "op": node.op.name, "doc": documented(node.op),
            "equation": names.equation(node, step.inputs).partition(" = ")[2],
            "gradient": {"name": names.gradient(node), "value": value(step.gradient)},
            "flows": [self.flow(step, flow) for flow in step.flows],
            "waiting": [{"name": names.gradient(x), "box": self.box(x), "arrived": k, "expected": n}
                        for x, (k, n) in step.waiting.items()],
            "values": self.values(step),
        }  # fmt: skip

    def values(self, step: Step) -> list[dict[str, Any]]:
        """What a rule may read: the output and the arguments, where their values are kept."""
        places = [(step.node, step.output), *zip(step.inputs, step.args)]
        known = {self.names.of(x): value(v) for x, v in places
                 if isinstance(x, (Node, Tensor)) and isinstance(v, (np.ndarray, np.generic))}  # fmt: skip
        return [{"name": name, "value": shown} for name, shown in known.items()]

    def flow(self, step: Step, flow: Flow) -> dict[str, Any]:
        names = self.names
        formula, lines = self.explanation.formula(step, flow), self.explanation.numpy(step, flow)
        first = flow.total is flow.gradient
        found = [label for label in self.explanation.labels(flow.source) if label.name.startswith("BP")]
        equations = [[label.name, self.equation(label), "BP1a" if "BP1" in label.name and label.layer.a is None else ""]
                     for label in found if flow.complete]  # fmt: skip
        return {
            "box": self.box(flow.source), "source": names.of(flow.source), "name": names.gradient(flow.source),
            "leaf": isinstance(flow.source, Tensor), "formula": formula, "legend": self.legend(step, flow, formula),
            "numpy": "\n".join(lines), "written": steptext.written(lines, self.writing),
            "gradient": value(flow.gradient), "total": None if first else value(flow.total),
            "arrived": flow.arrived, "expected": flow.expected, "equations": equations, "half": self.half(flow),
        }  # fmt: skip

    def legend(self, step: Step, flow: Flow, formula: str) -> list[list[str]]:
        """What the letters of a formula stand for here."""
        op = step.node.op
        if op is ITEM:
            return [["g", self.names.gradient(step.node)]]
        rule, first = (op.joint, 1) if op.joint else (op.rules[flow.argument], 0)
        sources = [self.names.of(x) if isinstance(x, (Node, Tensor)) else labels.constant(x) for x in step.inputs]
        meanings = [self.names.gradient(step.node), self.names.of(step.node), *sources]
        letters = formulas.parameters(rule, first, len(sources))
        words = set(re.findall(r"[^\W\d]\w*", formula))
        found = [[letter, meaning] for letter, meaning in zip(letters, meanings) if letter in words]
        return found + [[key, labels.constant(v)] for key, v in step.params.items() if key in words]

    def half(self, flow: Flow) -> str:
        """Which equation the gradient of an activation is the first half of."""
        layers = self.explanation.equations.layers
        for layer in layers:
            if layer.a is flow.source and layer.a is not layer.z:
                return "BP1" if layer is layers[-1] else "BP2"
        return ""

    def equation(self, label: Label) -> str:
        """An equation of the book, for the layer it holds at."""
        layers = self.explanation.equations.layers
        i = layers.index(label.layer)
        here = label.layer.name.translate(steptext.RAISED)
        if label.name == "BP1":
            return f"δ{here} = a{here} − y" if label.layer.a is None else f"δ{here} = ∇ₐC ∘ σ′(z{here})"
        if label.name == "BP2":
            above = layers[i + 1].name.translate(steptext.RAISED)
            return f"δ{here} = ((w{above})ᵀ δ{above}) ∘ σ′(z{here})"
        if label.name == "BP3":
            return f"∂C/∂b{here} = δ{here}"
        number = label.layer.l
        below = layers[i - 1].name if i else str(number - 1) if number is not None else f"L−{len(layers)}"
        return f"∂C/∂w{here}ⱼₖ = a{below.translate(steptext.RAISED)}ₖ δ{here}ⱼ"


def documented(op: Op) -> dict[str, str]:
    """What an operation does, by language; one that is not in the table may have a name that is."""
    texts = {"en": op.__doc__ or "", "zh": OPERATIONS.get(op.name, "") if OPS.get(op.name) is op else ""}
    return {lang: text for lang, text in texts.items() if text}


def value(x: Any) -> dict[str, Any]:
    """An array for the script: its elements where they make a table, else a summary of them."""
    if isinstance(x, (dict, tuple)):
        parts = x.items() if isinstance(x, dict) else enumerate(x)
        return {"parts": [[str(i), value(part)] for i, part in parts]}
    x = np.asarray(x)
    shown: dict[str, Any] = {"shape": labels.shape(x), "dtype": x.dtype.name}
    if x.ndim <= 2 and all(0 < n <= MOST_ROWS for n in x.shape):
        shown["rows"] = [[_number(v) for v in row] for row in np.atleast_2d(x).tolist()]
    elif x.size:
        wide = x.astype(np.float64)
        with np.errstate(all="ignore"):
            found = {"min": wide.min(), "max": wide.max(), "mean": wide.mean(), "norm": np.sqrt(np.sum(wide * wide))}
        shown["summary"] = {key: _number(float(v)) for key, v in found.items()}
    return shown


def _number(x: Any) -> Any:
    """A number that JSON has, or the text of one that it has not."""
    if isinstance(x, float) and not math.isfinite(x):
        return "nan" if x != x else "inf" if x > 0 else "-inf"
    return x
