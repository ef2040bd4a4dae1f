"""A ladder as SVG, laid out here: rows follow one another along the main axis, and four columns lie across it."""

from __future__ import annotations

from typing import NamedTuple

from .boxes import NOTE, TITLE, drawn, visible
from .ladder import Cell, Edge, Ladder, Row
from .themes import THEMES, Theme

ROW_GAP, STACK_GAP, MARGIN = 30.0, 8.0, 16.0
COLUMN_GAPS = (34.0, 92.0, 40.0)  # leaves | values | gradients | gradients of leaves
HEAD = 30.0  # the names of the columns
FRAME, FRAME_NAME = 9.0, 20.0  # between a frame and what is in it; at its beginning there is its name as well
LEGEND = [("value", "value"), ("gradient", "gradient"), ("read", "value used again")]


class Place(NamedTuple):
    """Where a cell lies: its middle along the main axis and across it, and half its extents along both."""

    main: float
    cross: float
    half_main: float
    half_cross: float


class Frame(NamedTuple):
    """A call of a module: the first and the last of its rows, how deep it lies within others, and how many it holds."""

    name: str
    first: int
    last: int
    depth: int


class Layout:
    """Where everything lies. `direction`: that of the forward pass, as in `draw`."""

    def __init__(self, ladder: Ladder, direction: str) -> None:
        self.rows, self.edges, self.direction = ladder.rows, list(ladder.edges), direction
        self.vertical = direction in ("TB", "BT")
        self.frames = _frames(ladder)
        self.deepest = max([frame.depth + 1 for frame in self.frames], default=0)
        self.places: dict[Cell, Place] = {}
        self.spans: list[tuple[float, float]] = []  # of the rows, along the main axis
        columns = [[stack for row in self.rows for stack in [_stacks(row)[k]]] for k in range(4)]
        widths = [max([self._half(cell)[1] * 2 for stack in column for cell in stack], default=0) for column in columns]
        at = MARGIN + FRAME * self.deepest + (0 if self.vertical else FRAME_NAME * self.deepest)
        self.columns: list[tuple[float, float]] = []
        for width, gap in zip(widths, (*COLUMN_GAPS, 0.0)):
            self.columns.append((at, at + width))
            at += width + gap * (width > 0)
        self.cross = at + FRAME * self.deepest + MARGIN
        self.main = self._along()
        self.width, self.height = (self.cross, self.main) if self.vertical else (self.main, self.cross)

    def _half(self, cell: Cell) -> tuple[float, float]:
        """Half the extents of a cell, along the main axis and across it."""
        width, height = cell.size
        return (height / 2, width / 2) if self.vertical else (width / 2, height / 2)

    def _along(self) -> float:
        """Place the rows one after the other; returns where they end."""
        at = MARGIN + (HEAD if self.vertical else 3 * HEAD)
        begins, ends = [f.first for f in self.frames], [f.last for f in self.frames]
        for i, row in enumerate(self.rows):
            at += begins.count(i) * (FRAME + (FRAME_NAME if self.vertical else 0))
            stacks = _stacks(row)
            extents = [sum(2 * self._half(c)[0] + STACK_GAP for c in stack) - STACK_GAP for stack in stacks if stack]
            middle = at + max(extents) / 2
            for k, stack in enumerate(stacks):
                self._place(stack, k, middle)
            self.spans.append((at, at + max(extents)))
            at += max(extents) + ROW_GAP + ends.count(i) * FRAME
        return at - ROW_GAP + MARGIN

    def _place(self, stack: list[Cell], column: int, middle: float) -> None:
        """The cells of a row and column around a middle; leaves lean on what they belong to."""
        start, end = self.columns[column]
        extent = sum(2 * self._half(c)[0] + STACK_GAP for c in stack) - STACK_GAP
        main = middle - extent / 2
        for cell in stack:
            along, across = self._half(cell)
            cross = {0: end - across, 3: start + across}.get(column, (start + end) / 2)
            self.places[cell] = Place(main + along, cross, along, across)
            main += 2 * along + STACK_GAP

    def point(self, main: float, cross: float) -> str:
        """A point in the picture."""
        if self.direction in ("BT", "RL"):
            main = self.main - main
        x, y = (cross, main) if self.vertical else (main, cross)
        return f"{x:.1f} {y:.1f}".replace(".0 ", " ").removesuffix(".0")

    def corner(self, place: Place) -> tuple[float, float]:
        """The upper left corner of a cell."""
        main = self.main - place.main if self.direction in ("BT", "RL") else place.main
        low = main - place.half_main, place.cross - place.half_cross
        return (low[1], low[0]) if self.vertical else low


def _stacks(row: Row) -> tuple[list[Cell], list[Cell], list[Cell], list[Cell]]:
    return row.leaves, [row.value], [row.gradient] if row.gradient else [], row.leaf_gradients


def _frames(ladder: Ladder) -> list[Frame]:
    """The calls of modules that have two rows or more, outermost first."""
    spans: dict[tuple[int, ...], list[int]] = {}
    names: dict[tuple[int, ...], str] = {}
    for i, row in enumerate(ladder.rows):
        for depth, call in enumerate(row.within):
            key = tuple(map(id, row.within[: depth + 1]))
            spans.setdefault(key, []).append(i)
            names[key] = ladder.words.names.given.module(call[0])
    shown = {key for key, rows in spans.items() if len(rows) > 1}
    return [Frame(names[key], spans[key][0], spans[key][-1], sum(key[:k] in shown for k in range(1, len(key))))
            for key in spans if key in shown]  # fmt: skip


# --- arrows -----------------------------------------------------------------------------------------------------------


def _path(edge: Edge, layout: Layout, order: dict[Cell, int]) -> str:
    """The way of an edge: straight to the neighbouring row, in an arc around others, across from column to column."""
    tail, head = layout.places[edge.tail], layout.places[edge.head]
    if tail.cross == head.cross or _same_column(edge):
        step = 1 if head.main > tail.main else -1
        if abs(order[edge.head] - order[edge.tail]) <= 1:
            ends = (tail.main + step * tail.half_main, tail.cross), (head.main - step * head.half_main, head.cross)
            return f"M{layout.point(*ends[0])}L{layout.point(*ends[1])}"
        side = 1 if edge.kind == "gradient" else -1
        start = tail.main + step * tail.half_main * 0.5, tail.cross + side * tail.half_cross
        end = head.main - step * head.half_main * 0.5, head.cross + side * head.half_cross
        rows = abs(order[edge.head] - order[edge.tail])
        out = side * (max(tail.half_cross, head.half_cross) + min(14 + 5 * rows, 60))
        return (f"M{layout.point(*start)}C{layout.point(start[0], tail.cross + out)} "
                f"{layout.point(end[0], head.cross + out)} {layout.point(*end)}")  # fmt: skip
    side = 1 if head.cross > tail.cross else -1
    start, end = (tail.main, tail.cross + side * tail.half_cross), (head.main, head.cross - side * head.half_cross)
    if edge.kind == "read":  # beside the arrows that come from the side
        end = end[0] - 0.5 * head.half_main, end[1]
    middle = (start[1] + end[1]) / 2
    return (f"M{layout.point(*start)}C{layout.point(start[0], middle)} {layout.point(end[0], middle)} "
            f"{layout.point(*end)}")  # fmt: skip


def _same_column(edge: Edge) -> bool:
    sides = [cell.kind in ("gradient",) for cell in (edge.tail, edge.head)]
    leaves = [cell.kind in ("parameter", "input", "leaf gradient") for cell in (edge.tail, edge.head)]
    return edge.kind != "read" and not any(leaves) and (edge.kind == "gradient" or not any(sides))


# --- the picture ------------------------------------------------------------------------------------------------------


def to_svg(ladder: Ladder, name: str, direction: str, theme_name: str) -> str:
    """The ladder as the text of an SVG; the same ladder gives the same text, byte by byte."""
    theme, layout = THEMES[theme_name], Layout(ladder, direction)
    order = {cell: i for i, row in enumerate(ladder.rows) for stack in _stacks(row) for cell in stack}
    height = layout.height + 34
    width = max(layout.width, 420.0)
    title = f"{name}: the forward pass and the backward pass of {len(ladder.run.nodes)} operations"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ladder {theme_name}" role="img" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<title>{visible(title)}</title>",
        f"<desc>{visible(_described(ladder))}</desc>",
        f"<style>{_style(theme, theme_name)}</style>",
        _markers(theme_name),
        f'<rect class="ground" width="{width:.0f}" height="{height:.0f}"/>',
    ]
    parts += [text for frame in layout.frames for text in _framed(frame, layout)]
    parts += _heads(layout)
    for edge in sorted(layout.edges, key=lambda e: ["read", "constant", "value", "gradient"].index(e.kind)):
        marker = f"{theme_name}-{'value' if edge.kind == 'constant' else edge.kind}"
        parts.append(f'<path class="edge {edge.kind}" marker-end="url(#{marker})" d="{_path(edge, layout, order)}"/>')
    for cell, place in layout.places.items():
        parts += drawn(cell, *layout.corner(place), theme)
    return "\n".join([*parts, *_legend(layout.height + 6, theme_name), "</svg>\n"])


def _framed(frame: Frame, layout: Layout) -> list[str]:
    inset = FRAME * (layout.deepest - frame.depth)
    label = FRAME_NAME + FRAME
    low = layout.columns[0][0] - inset, layout.columns[3][1] + inset
    inner = [f for f in layout.frames if frame.first <= f.first and f.last <= frame.last and f.depth > frame.depth]
    before = 1 + max([sum(g.first == frame.first for g in inner)], default=0)
    after = 1 + sum(g.last == frame.last for g in inner)
    along = (FRAME + FRAME_NAME) if layout.vertical else FRAME
    start = layout.spans[frame.first][0] - before * along
    end = layout.spans[frame.last][1] + after * FRAME
    top = low[0] if layout.vertical else low[0] - FRAME_NAME * (layout.deepest - frame.depth)
    first, second = (start, end) if layout.direction in ("TB", "LR") else (layout.main - end, layout.main - start)
    x, y = (low[0], first) if layout.vertical else (first, top)
    width, height = (low[1] - low[0], second - first) if layout.vertical else (second - first, low[1] - top)
    name_at = y + label / 2 + 3 if layout.direction != "BT" else y + height - label / 2 + 6
    return [
        f'<rect class="frame depth{frame.depth % 2}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="8"/>',
        f'<text class="module" x="{x + 10:.1f}" y="{name_at:.1f}">{visible(frame.name)}</text>',
    ]


def _heads(layout: Layout) -> list[str]:
    """The names of the two passes, with the way that they go."""
    there, back = {"TB": ("↓", "↑"), "BT": ("↑", "↓"), "LR": ("→", "←"), "RL": ("←", "→")}[layout.direction]
    parts = []
    for column, words in ((1, f"forward {there}"), (2, f"backward {back}")):
        start, end = layout.columns[column]
        at = layout.point(MARGIN + 8 if layout.vertical else MARGIN + HEAD, (start + end) / 2).split()
        parts.append(f'<text class="head" x="{at[0]}" y="{at[1]}">{words}</text>')
    return parts


def _described(ladder: Ladder) -> str:
    """Where the book's equations hold."""
    found: dict[str, list[str]] = {}
    for label in ladder.run.equations.labels:
        if label.name.startswith("BP"):
            found.setdefault(label.name, []).append(ladder.words.names.gradient(label.place))
    said = [f"{name} at {', '.join(found[name])}" for name in sorted(found)]
    return ". ".join(said) or "None of the book's equations stands here"


def _markers(name: str) -> str:
    """Heads of arrows: filled for values, open for gradients, a dot for what is read."""
    frame = 'markerWidth="9" markerHeight="9" refY="4" orient="auto-start-reverse" markerUnits="userSpaceOnUse"'
    return (
        f'<defs><marker id="{name}-value" class="tip-value" refX="7" {frame}><path d="M0 .5L8 4L0 7.5z"/></marker>'
        f'<marker id="{name}-gradient" class="tip-gradient" refX="7.5" {frame}><path d="M.8 .8L7.5 4L.8 7.2"/></marker>'
        f'<marker id="{name}-read" class="tip-read" refX="5" {frame}><circle cx="4" cy="4" r="2"/></marker></defs>'
    )


def _legend(top: float, name: str) -> list[str]:
    parts, x = [], MARGIN
    for kind, words in LEGEND:
        parts.append(f'<path class="edge {kind}" marker-end="url(#{name}-{kind})" d="M{x:.0f} {top + 8:.0f}h34"/>')
        parts.append(f'<text class="legend" x="{x + 41:.0f}" y="{top + 12:.0f}">{words}</text>')
        x += 62 + 6.2 * len(words)
    return parts


def _style(theme: Theme, name: str) -> str:
    of = f".ladder.{name}"
    rules = [
        f"{of} text {{ font-family: Helvetica, Arial, sans-serif; font-size: {NOTE}px; fill: {theme.ink} }}",
        f"{of} .ground {{ fill: {theme.background} }}",
        f"{of} .name {{ font-size: {TITLE}px; font-weight: bold }}",
        f"{of} .note {{ text-anchor: middle; fill: {theme.soft} }}",
        f"{of} .formula {{ fill: {theme.ink} }}",
        f"{of} .badge {{ fill: {theme.badge[0]} }}",
        f"{of} .mark {{ text-anchor: middle; font-weight: bold; fill: {theme.badge[1]} }}",
        f"{of} .head {{ text-anchor: middle; font-size: {TITLE}px; letter-spacing: 1px; fill: {theme.soft} }}",
        f"{of} .module, {of} .legend {{ fill: {theme.soft} }}",
        f"{of} .frame {{ stroke: {theme.edge} }}",
        f"{of} .depth0 {{ fill: {theme.bands[0]} }} {of} .depth1 {{ fill: {theme.bands[1]} }}",
        f"{of} .grid {{ fill: none; stroke: {theme.line}; stroke-width: .5 }}",
        f"{of} .edge {{ fill: none; stroke: {theme.line}; stroke-width: 1.4 }}",
        f"{of} .edge.constant {{ stroke-width: .8 }}",
        f"{of} .edge.gradient {{ stroke: {theme.gradient}; stroke-width: 1.8; stroke-dasharray: 7 4 }}",
        f"{of} .edge.read {{ stroke-width: 1; stroke-dasharray: 1 3; stroke-linecap: round }}",
        f"{of} .tip-value path, {of} .tip-read circle {{ fill: {theme.line} }}",
        f"{of} .tip-gradient path {{ fill: none; stroke: {theme.gradient}; stroke-width: 1.5 }}",
    ]
    for kind, (fill, stroke) in theme.fills.items():
        rules.append(f"{of} .{kind.replace(' ', '-')} .shape {{ fill: {fill}; stroke: {stroke} }}")
    return "\n".join(["", *rules, ""])


__all__ = ["to_svg"]
