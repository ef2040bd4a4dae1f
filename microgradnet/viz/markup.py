"""Pieces of HTML: a page that needs nothing else, and tables and lists for it, escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
.mg { color: #1f2933; background: white }
.mg h2 { font-size: 1.15rem; margin: 1.6em 0 0.4em }
.mg .scroll { overflow-x: auto }
.mg table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums }
.mg th, .mg td { padding: 0.2rem 0.7rem; text-align: right; border-bottom: 1px solid #e4e7eb }
.mg th { text-align: right; vertical-align: bottom; color: #52606d; font-weight: normal; background: none }
.mg td { white-space: nowrap }
.mg td:first-child, .mg th:first-child { text-align: left }
.mg .wrong td { background: #fbe9e2; font-weight: bold }
"""


def whole_page(title: str, body: str) -> str:
    """A page with this title around a body."""
    style = "body { font: 16px/1.5 Helvetica, Arial, sans-serif; max-width: 76rem; margin: auto; padding: 1rem }"
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
            f"<style>{style}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n")


def styled(*parts: str) -> str:
    """A piece of a page, with its style; a notebook shows it as well."""
    return "\n".join(['<div class="mg">', f"<style>{STYLE}</style>", *parts, "</div>"])


def paragraph(words: str) -> str:
    """A paragraph."""
    return f"<p>{escape(words)}</p>"


def items(sentences: Iterable[str]) -> str:
    """A list."""
    return "<ul>\n" + "\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "\n</ul>"


def scrolled(svg: str) -> str:
    """A picture that scrolls sideways where it is too wide."""
    return f'<div class="scroll">{svg}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], wrong: Iterable[int] = ()) -> str:
    """A table, whose first column holds names; the rows whose numbers are in `wrong` are marked."""
    marked = set(wrong)
    lines = ["<tr>" + "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head) + "</tr>"]
    for i, row in enumerate(rows):
        start = '<tr class="wrong">' if i in marked else "<tr>"
        lines.append(start + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>")
    return "\n".join(['<div class="scroll"><table>', *lines, "</table></div>"])
