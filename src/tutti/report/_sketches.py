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
MOST_POINTS = 400
CARBON = "C"  # of a molecule, drawn as a dot
SLIGHT = 0.02  # of log-odds: where no word changes more, none is marked
PASTS = 2  # how many times as long as a forecast the past before it is drawn
LEAST_PAST = 48  # steps of the past that are drawn at least
LOOKS = 4  # how many steps an item's attention is drawn in, beside none
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
    if not is_marked(example):
        return tag("blockquote", text)
    parts = _parts(example)
    most = max(abs(worth) for _, worth in parts)
    words_marked = []
    for part, worth in parts:
        shade = round(4 * abs(worth) / most)
        word = part.rstrip()
        way = "for" if worth > 0 else "against"
        marked = tag("span", word, class_=f"{way}-{shade}", title=f"{worth:+.3f}") if shade else word
        words_marked += [marked, part[len(word) :]]
    return tag("blockquote", *words_marked, text[sum(len(part) for part, _ in parts) :])


def is_marked(example: Mapping[str, Any]) -> bool:
    """Whether some word of this text changes its answer enough to be marked."""
    return max((abs(worth) for _, worth in _parts(example)), default=0.0) >= SLIGHT


def _parts(example: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [(str(p[0]), float(p[1])) for p in example.get("parts") or () if len(p) == 2 and is_number(p[1])]


def _signal(key: str, picture: Mapping[str, Any], example: Mapping[str, Any], words: str) -> Markup | None:
    return _curves(key, [("trace", 0, values) for values in _numbers(picture.get("values"))], words)


def _series(key: str, picture: Mapping[str, Any], example: Mapping[str, Any], words: str) -> Markup | None:
    """The end of the past, what came, what was forecast and the band (half a width for each output) around it, of
    the first channel."""
    past, future = _numbers(picture.get("past")), _numbers(picture.get("future"))
    if not past:
        return None
    steps, channels = (len(future[0]), len(future)) if future else (0, 1)
    before = past[0][-max(LEAST_PAST, PASTS * steps) :]
    begin = len(before)
    lines = [("trace", 0, before)]
    lines += [("trace", begin - 1, [before[-1], *values]) for values in future[:1]]
    told, width = example.get("answer"), example.get("band")
    band = None
    if isinstance(told, Sequence) and steps and len(told) == steps * channels:
        forecast = [float(x) for x in told[::channels]]
        lines.append(("trace strong", begin, forecast))
        if isinstance(width, Sequence) and len(width) == len(told) and all(map(is_number, width)):
            own = width[::channels]
            pairs = list(zip(forecast, own, strict=True))
            band = (begin, [f - w for f, w in pairs], [f + w for f, w in pairs])
    return _curves(key, lines, words, band)


def _points(key: str, picture: Mapping[str, Any], example: Mapping[str, Any], words: str) -> Markup | None:
    """Points in two dimensions; of three the first two axes, seen a little from the side."""
    places, looks = picture.get("points") or (), example.get("attention") or ()
    if len(looks) != len(places) or not all(map(is_number, looks)):
        looks = [None] * len(places)  # a network that does not say where it looks
    given = zip(places, looks, strict=True)
    found = [(_tilted(p), look) for p, look in given if len(p) and all(is_number(x) for x in p)]
    if not found:
        return None
    x = spread([p[0] for p, _ in found], start=6, end=SIDE - 6)
    y = spread([p[1] for p, _ in found], start=SIDE - 6, end=6)
    at_most = sum(look is not None and look >= 0.5 for _, look in found)
    told = f"{len(found)} points" + (f", {at_most} with an attention of 0.5 or more" if at_most else "")
    drawing = Drawing(key, SIDE, SIDE, title=words, description=told)
    for (a, b), look in sorted(found[:MOST_POINTS], key=lambda p: p[1] or 0.0):  # what it looks at lies on top
        if look is None:
            drawing.dot((x(a), y(b)), 1.6, "place")
        else:
            level = round(LOOKS * min(max(look, 0.0), 1.0))
            hint = f"attention {look:.2f}" if level else None
            drawing.dot((x(a), y(b)), 1.4 + 0.8 * level, f"look-{level}", hint=hint)
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
    lettered = is_lettered(example)
    for place, (px, py) in enumerate(places):
        label = labels[place] if place < len(labels) else None
        if label and lettered and label != CARBON:
            drawing.dot((x(px), y(py)), 7, "ground", hint=label)
            drawing.text((x(px), y(py) + 4), label, "atom", anchor="middle")
        else:
            drawing.dot((x(px), y(py)), 3, "place", hint=label)
    return drawing.render()


def is_lettered(example: Mapping[str, Any]) -> bool:
    """Whether a graph is a molecule: its nodes are elements, carbon among them."""
    labels = [str(label) for label in (example.get("picture") or {}).get("labels") or ()]
    return CARBON in labels and all(label.isalpha() and len(label) <= 2 for label in labels)


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


def _curves(
    key: str,
    lines: Sequence[tuple[str, int, Sequence[Number]]],
    words: str,
    band: tuple[int, Sequence[Number], Sequence[Number]] | None = None,
) -> Markup | None:
    """Lines over a common axis: (class, first step, values). band: (first step, lower ends, upper ends)."""
    if not lines:
        return None
    width = 2 * SIDE
    steps = max(begin + len(values) for _, begin, values in lines)
    x = Scale(low=0, high=max(1, steps - 1), start=4, end=width - 4)
    height = SIDE // 2 if band is None else 3 * SIDE // 4
    ends = [] if band is None else [*band[1], *band[2]]
    y = spread([*ends, *(v for _, _, values in lines for v in values)], start=height - 4, end=4)
    shown = f"{steps} steps" if band is None else f"{steps} steps, a band around the last {len(band[1])}"
    drawing = Drawing(key, width, height, title=words, description=shown)
    if band is not None:
        begin, lower, upper = band
        above = [(x(begin + i), y(v)) for i, v in enumerate(upper)]
        drawing.area([*above, *reversed([(x(begin + i), y(v)) for i, v in enumerate(lower)])], "band")
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
