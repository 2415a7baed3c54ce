"""Dots with their intervals, one row each: scores beside baselines, importances beside zero."""

from collections.abc import Sequence
from dataclasses import dataclass

from tutti.report._html import Markup
from tutti.report._numbers import fixed
from tutti.report._scale import Scale, spread
from tutti.report._svg import WIDTH, Drawing, fit_text, text_width

ROW = 38


@dataclass(frozen=True, kw_only=True)
class Row:
    """One dot: its name, value and interval (None where it has none), and whether it is the one that matters."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    strong: bool = False


def interval_chart(
    key: str,
    rows: Sequence[Row],
    *,
    title: str,
    description: str,
    axis: str,
    places: int,
    zero: bool = False,
) -> Markup:
    """Names above their lines, values at the right; a hairline follows the strong row's value, or zero."""
    ends = [v for r in rows for v in (r.value, r.low, r.high) if v is not None] + ([0.0] if zero else [])
    room = max(text_width(fixed(r.value, places)) for r in rows)
    x = spread(ends, start=6, end=WIDTH - room - 14, air=0.03)
    bottom = ROW * len(rows) + 6
    drawing = Drawing(key, WIDTH, bottom + 42, title=title, description=description)
    for tick in x.ticks(5):
        drawing.line((x(tick), 4), (x(tick), bottom), "grid")
        drawing.text((x(tick), bottom + 16), fixed(tick, x.tick_places(5)), "tick", anchor="middle")
    strong = next((r.value for r in rows if r.strong), None)
    mark = 0.0 if zero else strong
    if mark is not None:
        drawing.line((x(mark), 4), (x(mark), bottom), "axis" if zero else "mark")
    for number, row in enumerate(rows):
        _draw_row(drawing, row, number * ROW + 28, x, places)
    drawing.text((x.start, bottom + 36), axis, "label")
    return drawing.render()


def _draw_row(drawing: Drawing, row: Row, y: float, x: Scale, places: int) -> None:
    weight = "strong" if row.strong else "plain"
    drawing.text((6, y - 11), fit_text(row.name, WIDTH - 90), f"name {weight}")
    if row.low is not None and row.high is not None:
        drawing.line((x(row.low), y), (x(row.high), y), f"span {weight}")
    drawing.dot(
        (x(row.value), y), 5 if row.strong else 4, f"dot {weight}", hint=f"{row.name}: {fixed(row.value, places)}"
    )
    drawing.text((WIDTH - 4, y + 4), fixed(row.value, places), f"value {weight}", anchor="end")
