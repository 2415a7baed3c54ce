"""Small pictures of samples: an image, a signal, a forecast, a text, a graph, points."""

from collections.abc import Callable, Mapping, Sequence
from math import cos, pi, sin
from typing import Any

import numpy as np

from tutti.report._html import Markup, tag
from tutti.report._numbers import Number, is_number
from tutti.report._scale import Scale, spread
from tutti.report._svg import Drawing, thin

SIDE = 160
ROUNDS = 60  # of the layout of a graph
MOST_NODES = 80
SLIGHT = 0.02  # of log-odds: where no word changes more, none is marked
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


def sketch(key: str, example: Mapping[str, Any], words: str) -> Markup | None:
    """The picture of an example (data.Sample.example), or None for a kind that has none. words: for those who do
    not see it."""
    picture = example.get("picture") or {}
    draw = _SKETCHES.get(str(picture.get("kind")))
    return None if draw is None else draw(key, picture, example, words)


def _image(key: str, picture: Mapping[str, Any], example: Mapping[str, Any], words: str) -> Markup | None:
    png = str(picture.get("png", ""))
    if not png or not set(png) <= _BASE64:
        return None
    return tag("img", src=f"data:image/png;base64,{png}", alt=words, class_="pixels")


def _text(key: str, picture: Mapping[str, Any], example: Mapping[str, Any], words: str) -> Markup | None:
    """The text; where it is known what its words are worth, these are marked by it: four shades each way."""
    text = str(picture.get("text", ""))
    parts = [(str(p[0]), float(p[1])) for p in example.get("parts") or () if len(p) == 2 and is_number(p[1])]
    most = max((abs(worth) for _, worth in parts), default=0.0)
    if most < SLIGHT:
        return tag("blockquote", text)
    words_marked = []
    for part, worth in parts:
        shade = round(4 * abs(worth) / most)
        word = part.rstrip()
        way = "for" if worth > 0 else "against"
        marked = tag("span", word, class_=f"{way}-{shade}", title=f"{worth:+.3f}") if shade else word
        words_marked += [marked, part[len(word) :]]
    return tag("blockquote", *words_marked, text[sum(len(part) for part, _ in parts) :])


def _signal(key: str, picture: Mapping[str, Any], example: Mapping[str, Any], words: str) -> Markup | None:
    return _curves(key, [("trace", 0, values) for values in _numbers(picture.get("values"))], words)


def _series(key: str, picture: Mapping[str, Any], example: Mapping[str, Any], words: str) -> Markup | None:
    """The past, what came, and what was forecast, of the first channel."""
    past, future = _numbers(picture.get("past")), _numbers(picture.get("future"))
    if not past:
        return None
    begin = len(past[0])
    lines = [("trace", 0, past[0])]
    lines += [("trace", begin - 1, [past[0][-1], *values]) for values in future[:1]]
    told = example.get("answer")
    if isinstance(told, Sequence) and future:
        steps, channels = len(future[0]), len(future)
        if len(told) == steps * channels:
            lines.append(("trace strong", begin, [float(x) for x in told[::channels]]))
    return _curves(key, lines, words)


def _points(key: str, picture: Mapping[str, Any], example: Mapping[str, Any], words: str) -> Markup | None:
    """Points in two dimensions; of three the first two axes, seen a little from the side."""
    found = [p for p in picture.get("points") or () if len(p) and all(is_number(x) for x in p)]
    if not found:
        return None
    flat = [_tilted(p) for p in found]
    x = spread([p[0] for p in flat], start=4, end=SIDE - 4)
    y = spread([p[1] for p in flat], start=SIDE - 4, end=4)
    drawing = Drawing(key, SIDE, SIDE, title=words, description=f"{len(found)} points")
    for point in thin(flat, 400):
        drawing.dot((x(point[0]), y(point[1])), 1.6, "place")
    return drawing.render()


def _tilted(point: Sequence[Number]) -> tuple[Number, Number]:
    if len(point) == 1:
        return point[0], 0.0
    if len(point) == 2:
        return point[0], point[1]
    a, b, c = point[:3]
    return a * cos(pi / 6) - b * cos(pi / 6), c + (a + b) * sin(pi / 6)


def _graph(key: str, picture: Mapping[str, Any], example: Mapping[str, Any], words: str) -> Markup | None:
    """Nodes as dots, edges as lines, laid out by springs (Fruchterman & Reingold 1991) from a circle."""
    nodes = int(picture.get("nodes") or 0)
    edges = [(int(a), int(b)) for a, b in picture.get("edges") or () if int(a) != int(b)]
    if not 0 < nodes <= MOST_NODES:
        return None
    places = _springs(nodes, edges)
    x = spread([p[0] for p in places], start=10, end=SIDE - 10)
    y = spread([p[1] for p in places], start=10, end=SIDE - 10)
    drawing = Drawing(key, SIDE, SIDE, title=words, description=f"{nodes} nodes, {len(edges)} edges")
    for a, b in edges:
        drawing.line((x(places[a][0]), y(places[a][1])), (x(places[b][0]), y(places[b][1])), "axis")
    labels = [str(label) for label in picture.get("labels") or ()]
    for place, (px, py) in enumerate(places):
        label = labels[place] if place < len(labels) else None
        drawing.dot((x(px), y(py)), 3, "place", hint=label)
    return drawing.render()


def _springs(nodes: int, edges: Sequence[tuple[int, int]]) -> list[tuple[Number, Number]]:
    """Places on the plane, as complex numbers while they move: every pair apart, the ends of edges together."""
    at = np.exp(2j * pi * np.arange(nodes) / nodes)
    ends = np.zeros((nodes, nodes))
    for i, j in edges:
        ends[i, j] += 1.0
        ends[j, i] += 1.0
    apart = 2.0 / max(1.0, nodes**0.5)
    for turn in range(ROUNDS):
        between = at[:, None] - at[None, :]
        distance = np.maximum(np.abs(between), 1e-3)
        move = (between * (apart**2 / distance**2 - ends * distance / apart)).sum(1)
        length = np.maximum(np.abs(move), 1e-9)
        at = at + move * np.minimum(length, 0.2 * (1 - turn / ROUNDS)) / length
    return [(float(z.real), float(z.imag)) for z in at]


def _numbers(values: Any) -> list[list[Number]]:
    """Lists of numbers; None stands for what is missing and is left out."""
    return [[x for x in part if is_number(x)] for part in values or () if any(is_number(x) for x in part)]


def _curves(key: str, lines: Sequence[tuple[str, int, Sequence[Number]]], words: str) -> Markup | None:
    """Lines over a common axis: (class, first step, values)."""
    if not lines:
        return None
    width = 2 * SIDE
    steps = max(begin + len(values) for _, begin, values in lines)
    x = Scale(low=0, high=max(1, steps - 1), start=4, end=width - 4)
    y = spread([v for _, _, values in lines for v in values], start=SIDE / 2 - 4, end=4)
    drawing = Drawing(key, width, SIDE // 2, title=words, description=f"{steps} steps")
    for class_, begin, values in lines:
        drawing.path(thin([(x(begin + i), y(v)) for i, v in enumerate(values)], 320), class_)
    return drawing.render()


_SKETCHES: dict[str, Callable[[str, Mapping[str, Any], Mapping[str, Any], str], Markup | None]] = {
    "image": _image,
    "text": _text,
    "signal": _signal,
    "series": _series,
    "points": _points,
    "graph": _graph,
}
