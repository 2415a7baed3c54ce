"""Drawings: an SVG with a title and a description, drawn in the colours of the page by class."""

from collections.abc import Iterable, Sequence
from unicodedata import east_asian_width

from tutti.report._html import Markup, tag
from tutti.report._numbers import Number, fixed
from tutti.report._scale import Scale

WIDTH = 400  # natural width of a figure: a phone shows it nearly whole, a desktop two beside each other
Point = tuple[Number, Number]


def place(value: Number) -> str:
    """A coordinate with one decimal, no more."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def text_width(text: str, size: Number = 12) -> Number:
    """A generous guess of how wide `text` is in a system font."""
    return sum(1.0 if east_asian_width(c) in "WF" else 0.56 for c in text) * size


def fit_text(text: str, width: Number, size: Number = 12) -> str:
    """`text`, cut with an ellipsis where it would be wider than `width`."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


class Drawing:
    """An SVG under construction. Marks get classes, not colours: the style sheet knows light, dark and paper."""

    def __init__(self, key: str, width: Number, height: Number, *, title: str, description: str) -> None:
        self.key = key
        self.width = width
        self.height = height
        self.title = title
        self.description = description
        self.parts: list[Markup] = []

    def line(self, start: Point, end: Point, class_: str) -> None:
        (x1, y1), (x2, y2) = start, end
        self.parts.append(tag("line", x1=place(x1), y1=place(y1), x2=place(x2), y2=place(y2), class_=class_))

    def path(self, points: Sequence[Point], class_: str, *, clip: str | None = None) -> None:
        """An open line through the points."""
        if len(points) > 1:
            steps = "L".join(f"{place(x)} {place(y)}" for x, y in points)
            self.parts.append(tag("path", d=f"M{steps}", class_=class_, clip_path=f"url(#{clip})" if clip else None))

    def area(self, points: Sequence[Point], class_: str) -> None:
        """A filled shape with these corners."""
        corners = "L".join(f"{place(x)} {place(y)}" for x, y in points)
        self.parts.append(tag("path", d=f"M{corners}Z", class_=class_))

    def dot(self, at: Point, radius: Number, class_: str, *, hint: str | None = None) -> None:
        inner = tag("title", hint) if hint else None
        self.parts.append(tag("circle", inner, cx=place(at[0]), cy=place(at[1]), r=place(radius), class_=class_))

    def box(self, corner: Point, width: Number, height: Number, class_: str, *, radius: Number = 1.5) -> None:
        x, y = corner
        self.parts.append(
            tag(
                "rect",
                x=place(x),
                y=place(y),
                width=place(width),
                height=place(height),
                rx=place(radius),
                class_=class_,
            )
        )

    def text(self, at: Point, words: str, class_: str = "", *, anchor: str | None = None) -> None:
        self.parts.append(
            tag("text", words, x=place(at[0]), y=place(at[1]), class_=class_ or None, text_anchor=anchor)
        )

    def clip(self, corner: Point, width: Number, height: Number) -> str:
        """The name of a frame that cuts off what lies outside."""
        name = f"{self.key}-frame"
        x, y = corner
        inner = tag("rect", x=place(x), y=place(y), width=place(width), height=place(height))
        self.parts.append(tag("clipPath", inner, id=name))
        return name

    def render(self) -> Markup:
        return tag(
            "svg",
            tag("title", self.title, id=f"{self.key}-title"),
            tag("desc", self.description, id=f"{self.key}-desc"),
            self.parts,
            viewBox=f"0 0 {place(self.width)} {place(self.height)}",
            class_="wide" if self.width > 2 * self.height else None,
            role="img",
            aria_labelledby=f"{self.key}-title {self.key}-desc",
        )


def draw_axes(drawing: Drawing, x: Scale, y: Scale, *, x_label: str, y_label: str, x_ticks: int = 5) -> None:
    """Quiet axes: level grid lines with their numbers at the left, numbers below, names at the far ends."""
    places = y.tick_places(5)
    for tick in y.ticks(5):
        drawing.line((x.start, y(tick)), (x.end, y(tick)), "grid")
        drawing.text((x.start - 8, y(tick) + 4), fixed(tick, places), "tick", anchor="end")
    places = x.tick_places(x_ticks)
    for tick in x.ticks(x_ticks):
        drawing.line((x(tick), y.start), (x(tick), y.start + 4), "axis")
        drawing.text((x(tick), y.start + 18), fixed(tick, places), "tick", anchor="middle")
    drawing.line((x.start, y.start), (x.end, y.start), "axis")
    drawing.text((2, y.end - 12), y_label, "label")
    drawing.text((x.end, y.start + 36), x_label, "label", anchor="end")


def thin(points: Sequence[Point], most: int = 160) -> list[Point]:
    """At most about `most` of the points, evenly, the last one kept."""
    step = max(1, -(-len(points) // most))
    kept = list(points[::step])
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]


def bounds(values: Iterable[Number], share: Number = 0.1) -> tuple[Number, Number]:
    """The quantiles `share` and 1 − share of the values: what a frame shows of a crowd of curves."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return ordered[round(share * last)], ordered[round((1 - share) * last)]
