"""A computation graph as a picture: one box a node, the loss at the bottom."""

from html import escape

from tutti.inspection._computation import ComputationGraph, Node

WIDTH, HEIGHT, ACROSS, DOWN = 204, 62, 20, 34  # of a box and of the gaps, in pixels
MOST_DRAWN = 400
MOST_LETTERS = 26
_COLOURS = {"input": "#dbe9f6", "parameter": "#fde7c8", "constant": "#ececec", "operation": "#ffffff"}


def draw_graph(graph: ComputationGraph) -> str:
    """An SVG of the graph: each box says what it is, its shape, its forward value and its gradient.

    A node stands one row below the lowest of its sources; within a row, nodes stand by the mean place of their
    sources, which keeps most arrows short. Text is escaped; the picture needs nothing from outside.
    """
    from tutti.core import InputError

    if len(graph.nodes) > MOST_DRAWN:
        raise InputError(
            f"The graph has {len(graph.nodes)} nodes; a picture of more than {MOST_DRAWN} cannot be read.",
            fix="Draw a part of the network, or use to_json().",
        )
    rows = _rows(graph)
    places = _places(graph, rows)
    wide = max(len(row) for row in rows) * (WIDTH + ACROSS) + ACROSS
    high = len(rows) * (HEIGHT + DOWN) + DOWN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        'role="img" font-family="system-ui, sans-serif" font-size="12">',
        f"<title>Computation graph of {len(graph.nodes)} nodes; the loss is {graph.loss.value:.6g}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#555"/></marker></defs>',
        f'<rect width="{wide}" height="{high}" fill="#ffffff"/>',
    ]
    for place, node in enumerate(graph.nodes):
        parts += [_arrow(places[source], places[place]) for source in node.sources]
    parts += [_box(node, *places[i]) for i, node in enumerate(graph.nodes)]
    return "\n".join([*parts, "</svg>"])


def _rows(graph: ComputationGraph) -> list[list[int]]:
    """Places by depth. A leaf stands just above the first node that uses it."""
    depth = [0] * len(graph.nodes)
    for i, node in enumerate(graph.nodes):
        depth[i] = max((depth[s] + 1 for s in node.sources), default=0)
    for i, node in enumerate(graph.nodes):
        if not node.sources:
            depth[i] = max(0, min((depth[j] for j, n in enumerate(graph.nodes) if i in n.sources), default=1) - 1)
    return [[i for i, d in enumerate(depth) if d == row] for row in range(max(depth) + 1)]


def _places(graph: ComputationGraph, rows: list[list[int]]) -> dict[int, tuple[float, float]]:
    """Upper left corners. Each row is sorted by the mean place of its sources, and centred."""
    wide = max(len(row) for row in rows) * (WIDTH + ACROSS) + ACROSS
    places: dict[int, tuple[float, float]] = {}
    for number, row in enumerate(rows):

        def mean(i: int) -> float:
            known = [places[s][0] for s in graph.nodes[i].sources if s in places]
            return sum(known) / len(known) if known else float("inf")

        begin = (wide - len(row) * (WIDTH + ACROSS) + ACROSS) / 2
        for column, i in enumerate(sorted(row, key=mean)):
            places[i] = (begin + column * (WIDTH + ACROSS), DOWN / 2 + number * (HEIGHT + DOWN))
    return places


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1, x2, y2 = start[0] + WIDTH / 2, start[1] + HEIGHT, end[0] + WIDTH / 2, end[1] - 1
    middle = (y1 + y2) / 2
    curve = f"M{x1:.0f} {y1:.0f} C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"
    return f'<path d="{curve}" fill="none" stroke="#555" marker-end="url(#tip)"/>'


def _box(node: Node, x: float, y: float) -> str:
    shape = "×".join(map(str, node.shape)) or "a number"
    head = f"{node.layer}: {node.name}" if node.layer else node.name
    gradient = "no gradient" if node.gradient is None else f"gradient {_short(node.gradient)}"
    sign = "" if not node.shape else "‖·‖ "
    lines = [(_fitting(head), "600"), (shape, "400"), (f"{sign}{_short(node.value)}, {gradient}", "400")]
    text = "".join(
        f'<text x="{x + 8:.0f}" y="{y + 18 + 17 * i:.0f}" font-weight="{weight}" fill="#222">{escape(line)}</text>'
        for i, (line, weight) in enumerate(lines)
    )
    return (
        f'<g><title>{escape(head)}</title><rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
        f'fill="{_COLOURS[node.kind]}" stroke="#777"/>{text}</g>'
    )


def _fitting(text: str) -> str:
    """The end of a name that is too long for its box: that is where paths differ."""
    return text if len(text) <= MOST_LETTERS else f"…{text[1 - MOST_LETTERS :]}"


def _short(value: float) -> str:
    return f"{value:.3g}"
