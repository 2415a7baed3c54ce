"""Curves in a terminal: characters on a grid, one letter for each curve."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

Number = float | int
Point = tuple[Number, Number]


def plot(
    curves: Mapping[str, Sequence[Point]], *, width: int = 64, height: int = 12, x_label: str, y_label: str
) -> list[str]:
    """Lines of text: y from 0 to its greatest value upwards, x to the right, each curve in its name's first letter.

    Between two points a curve is straight; where curves meet, the later one is seen.
    """
    points = [point for curve in curves.values() for point in curve]
    right, top = max(x for x, _ in points) or 1.0, max(y for _, y in points) or 1.0
    grid = [[" "] * width for _ in range(height)]
    for name, curve in curves.items():
        for column in range(width):
            value = _at(curve, column / (width - 1) * right)
            if value is not None:
                row = height - 1 - round(value / top * (height - 1))
                grid[row][column] = name[0].upper()
    left = max(len(f"{top:.0%}"), len("0%"))
    marks = {0: f"{top:.0%}", height - 1: "0%"}
    lines = [f"{marks.get(i, ''):>{left}} │{''.join(row).rstrip()}" for i, row in enumerate(grid)]
    ends = f"0{f'{right:,.0f}':>{width - 1}}"
    names = ", ".join(f"{name[0].upper()} {name}" for name in curves)
    return [
        f"{y_label} ({names})",
        *lines,
        " " * left + " └" + "─" * width,
        " " * left + "  " + ends,
        f"{x_label:>{left + 2 + width}}",
    ]


def _at(curve: Sequence[Point], x: Number) -> Number | None:
    """The curve's height at x; None outside of it."""
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x0 <= x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0) if x1 > x0 else y1
    return None
