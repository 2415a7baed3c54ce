"""Binned points with intervals on two axes: calibration against the diagonal, residuals against zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from tutti.report._html import Markup
from tutti.report._numbers import Number, count, decimals, fixed
from tutti.report._scale import Scale, spread
from tutti.report._svg import WIDTH, Drawing, draw_axes

HEIGHT, TOP, LEFT = 300, 34, 50


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The rows of one bin: where it lies, what was seen there with its interval, and how many rows it holds."""

    at: Number
    value: Number
    low: Number | None
    high: Number | None
    rows: int


def calibration_chart(key: str, bins: Sequence[Bin], *, title: str, description: str) -> Markup:
    """Observed share against predicted probability, both from 0 to 1; on the diagonal they agree."""
    x = Scale(low=0, high=1, start=LEFT, end=WIDTH - 16)
    y = Scale(low=0, high=1, start=HEIGHT - 46, end=TOP)
    drawing = Drawing(key, WIDTH, HEIGHT, title=title, description=description)
    draw_axes(drawing, x, y, x_label="predicted probability", y_label="observed share")
    drawing.path([(x(0), y(0)), (x(1), y(1))], "reference")
    _draw_bins(drawing, bins, x, y)
    return drawing.render()


def residual_chart(key: str, bins: Sequence[Bin], *, title: str, description: str, axis: str) -> Markup:
    """Mean residual against prediction; at zero the predictions are right on average."""
    ends = [v for b in bins for v in (b.value, b.low, b.high) if v is not None]
    x = spread([b.at for b in bins], start=LEFT + 6, end=WIDTH - 16)
    y = spread([*ends, 0.0], start=HEIGHT - 46, end=TOP)
    drawing = Drawing(key, WIDTH, HEIGHT, title=title, description=description)
    draw_axes(drawing, x, y, x_label="prediction", y_label=axis)
    drawing.path([(x.start, y(0)), (x.end, y(0))], "reference")
    _draw_bins(drawing, bins, x, y)
    return drawing.render()


def _draw_bins(drawing: Drawing, bins: Sequence[Bin], x: Scale, y: Scale) -> None:
    """Dots whose area follows the number of rows."""
    most = max((b.rows for b in bins), default=1) or 1
    places = decimals(v for b in bins for v in (b.at, b.value))
    for b in bins:
        if b.low is not None and b.high is not None:
            drawing.line((x(b.at), y.clamp(b.low)), (x(b.at), y.clamp(b.high)), "span strong")
        hint = f"{fixed(b.at, places)} → {fixed(b.value, places)}, {count(b.rows)} rows"
        drawing.dot((x(b.at), y.clamp(b.value)), 2.5 + 4 * sqrt(b.rows / most), "dot strong", hint=hint)
