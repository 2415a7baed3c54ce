"""Curves over the steps: one run in front, the whole population faint behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tutti.report._html import Markup
from tutti.report._numbers import Number, decimals, fixed
from tutti.report._scale import Scale, apart, spread
from tutti.report._svg import WIDTH, Drawing, Point, bounds, draw_axes, text_width, thin

HEIGHT, TOP, LEFT = 280, 34, 46


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A named line in front: points (step, value), and its class ("strong" or "plain" with dashes)."""

    name: str
    points: Sequence[Point]
    class_: str


@dataclass(frozen=True, kw_only=True)
class Faint:
    """A line behind; a ring marks its end where the setting was left before its time."""

    points: Sequence[Point]
    left: bool


def curve_chart(
    key: str,
    front: Sequence[Curve],
    behind: Sequence[Faint],
    *,
    title: str,
    description: str,
    axis: str,
    kept: Number | None = None,
) -> Markup:
    """The frame shows all of the front curves and the middle of the crowd; what lies outside is cut off.

    A dotted line stands at the step whose weights were `kept`.
    """
    values = [v for curve in front for _, v in curve.points]
    places = decimals(values)
    labels = [f"{curve.name} {fixed(curve.points[-1][1], places)}" for curve in front]
    right = WIDTH - max(text_width(label, 12) for label in labels) - 8
    lines = [c.points for c in front] + [f.points for f in behind]
    last = max(s for points in lines for s, _ in points)
    x = Scale(low=0, high=max(last, 1), start=LEFT, end=max(right, WIDTH * 0.55))
    y = _frame(values, behind)
    drawing = Drawing(key, WIDTH, HEIGHT, title=title, description=description)
    draw_axes(drawing, x, y, x_label="step", y_label=axis, x_ticks=4)
    frame = drawing.clip((x.start, y.end), x.end - x.start + 2, y.start - y.end)
    for line in behind:
        drawing.path([(x(s), y(v)) for s, v in thin(line.points)], "crowd", clip=frame)
        step, value = line.points[-1]
        if line.left and y.low <= value <= y.high:
            drawing.dot((x(step), y(value)), 2, "end")
    if kept is not None and kept <= x.high:
        drawing.line((x(kept), y.start), (x(kept), y.end), "mark")
    for curve in front:
        drawing.path([(x(s), y(v)) for s, v in thin(curve.points)], f"curve {curve.class_}", clip=frame)
    ends = [y.clamp(curve.points[-1][1]) for curve in front]
    for curve, label, height in zip(front, labels, apart(ends, 16, y.end, y.start), strict=True):
        drawing.text((x.end + 6, height + 4), label, f"name {curve.class_}")
    return drawing.render()


def _frame(values: Sequence[Number], behind: Sequence[Faint]) -> Scale:
    crowd = [v for line in behind for _, v in line.points]
    low, high = bounds(crowd) if crowd else (values[0], values[0])
    reach = max(values) - min(values) or abs(values[0]) or 1.0
    shown = [*values, max(low, min(values) - reach), min(high, max(values) + reach)]
    return spread(shown, start=HEIGHT - 46, end=TOP, air=0.04)
