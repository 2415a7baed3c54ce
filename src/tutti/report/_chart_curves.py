"""Curves over the steps: one run in front, the whole population faint behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tutti.report._html import Markup
from tutti.report._numbers import decimals, fixed
from tutti.report._scale import Scale, apart, spread
from tutti.report._svg import WIDTH, Drawing, Point, bounds, draw_axes, text_width, thin

HEIGHT, TOP, LEFT = 280, 34, 46


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A named line in front: points (step, value), and its class ("strong" or "plain" with dashes)."""

    name: str
    points: Sequence[Point]
    class_: str


def curve_chart(
    key: str, front: Sequence[Curve], behind: Sequence[Sequence[Point]], *, title: str, description: str, axis: str
) -> Markup:
    """The frame shows all of the front curves and the middle of the crowd; what lies outside is cut off."""
    values = [v for curve in front for _, v in curve.points]
    places = decimals(values)
    labels = [f"{curve.name} {fixed(curve.points[-1][1], places)}" for curve in front]
    right = WIDTH - max(text_width(label, 12) for label in labels) - 8
    last = max(s for points in (*(c.points for c in front), *behind) for s, _ in points)
    x = Scale(low=0, high=max(last, 1), start=LEFT, end=max(right, WIDTH * 0.55))
    y = _frame(values, behind)
    drawing = Drawing(key, WIDTH, HEIGHT, title=title, description=description)
    draw_axes(drawing, x, y, x_label="step", y_label=axis, x_ticks=4)
    frame = drawing.clip((x.start, y.end), x.end - x.start + 2, y.start - y.end)
    for points in behind:
        drawing.path([(x(s), y(v)) for s, v in thin(points)], "crowd", clip=frame)
    for curve in front:
        drawing.path([(x(s), y(v)) for s, v in thin(curve.points)], f"curve {curve.class_}", clip=frame)
    ends = [y.clamp(curve.points[-1][1]) for curve in front]
    for curve, label, height in zip(front, labels, apart(ends, 16, y.end, y.start), strict=True):
        drawing.text((x.end + 6, height + 4), label, f"name {curve.class_}")
    return drawing.render()


def _frame(values: Sequence[float], behind: Sequence[Sequence[Point]]) -> Scale:
    crowd = [v for points in behind for _, v in points]
    low, high = bounds(crowd) if crowd else (values[0], values[0])
    reach = max(values) - min(values) or abs(values[0]) or 1.0
    shown = [*values, max(low, min(values) - reach), min(high, max(values) + reach)]
    return spread(shown, start=HEIGHT - 46, end=TOP, air=0.04)
