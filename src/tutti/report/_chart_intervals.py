"""Dots with their intervals, one row each: scores beside baselines, importances beside zero."""

from collections.abc import Sequence
from dataclasses import dataclass

from tutti.report._html import Markup
from tutti.report._numbers import Number, fixed
from tutti.report._scale import Scale, spread
from tutti.report._svg import WIDTH, Drawing, fit_text, text_width

ROW = 30


@dataclass(frozen=True, kw_only=True)
class Row:
    """One dot: its name, value and interval (None where it has none), and whether it is the one that matters."""

    name: str
    value: Number
    low: Number | None = None
    high: Number | None = None
    strong: bool = False

    @property
    def ends(self) -> list[Number]:
        """The value and the ends of the interval, as far as they are known."""
        return [v for v in (self.value, self.low, self.high) if v is not None]


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
    """Names at the left, values at the right; a hairline follows the strong row's value, or zero."""
    names = min(max(text_width(r.name) for r in rows), WIDTH * 0.38)
    values = max(text_width(fixed(r.value, places)) for r in rows)
    x = row_scale(rows, start=names + 12, end=WIDTH - values - 14, also=[0.0] if zero else [])
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
        _draw_row(drawing, row, number * ROW + 20, x, places)
    drawing.text((x.end, bottom + 36), axis, "label", anchor="end")
    return drawing.render()


def row_scale(rows: Sequence[Row], *, start: Number, end: Number, also: Sequence[Number] = ()) -> Scale:
    """A scale that shows the rows, but for those so far off that they would press all others together.

    The farthest from the strong row is left out while it stretches the scale more than threefold and two rows
    remain (a majority class beside three good models).
    """
    centre = next((r.value for r in rows if r.strong), rows[0].value)
    kept = sorted(rows, key=lambda r: abs(r.value - centre))
    while len(kept) > 2 and _reach(kept, also) > 3 * _reach(kept[:-1], also):
        kept.pop()
    return spread([v for r in kept for v in r.ends] + list(also), start=start, end=end, air=0.05)


def draw_dot(drawing: Drawing, row: Row, y: Number, x: Scale, *, hint: str | None = None) -> None:
    """The dot and its interval; an arrowhead at the edge where the value lies beyond the scale."""
    weight = "strong" if row.strong else "plain"
    if not x.low <= row.value <= x.high:
        edge, back = (x.start, 7) if row.value < x.low else (x.end, -7)
        drawing.path([(edge + back, y - 5), (edge, y), (edge + back, y + 5)], f"span beyond {weight}")
        return
    if row.low is not None and row.high is not None:
        drawing.line((x.clamp(row.low), y), (x.clamp(row.high), y), f"span {weight}")
    drawing.dot((x(row.value), y), 5 if row.strong else 4, f"dot {weight}", hint=hint)


def _reach(rows: Sequence[Row], also: Sequence[Number]) -> Number:
    ends = [v for r in rows for v in r.ends] + list(also)
    return max(ends) - min(ends)


def _draw_row(drawing: Drawing, row: Row, y: Number, x: Scale, places: int) -> None:
    weight = "strong" if row.strong else "plain"
    drawing.text((0, y + 4), fit_text(row.name, x.start - 10), f"name {weight}")
    draw_dot(drawing, row, y, x, hint=f"{row.name}: {fixed(row.value, places)}")
    drawing.text((WIDTH - 4, y + 4), fixed(row.value, places), f"value {weight}", anchor="end")
