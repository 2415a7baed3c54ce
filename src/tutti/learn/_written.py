"""Predictions as a file: one line per row, or per step of a forecast."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from tutti.data import Table
from tutti.tasks import Forecast, Task


def written(
    task: Task,
    table: Table,
    raw: Float[np.ndarray, "rows ..."],
    answers: np.ndarray,
    band: Sequence[float] | None = None,
) -> tuple[Sequence[str], Iterable[Sequence[Any]], int]:
    """(header, lines, number of lines) for predictions `raw` of a table's rows and the answers in the task's terms.

    `prediction` (or prediction_NAME for several targets), and for classes probability_CLASS. Of a forecast there is a
    line for each step ahead, with its time (and series) in front, and where its `band` is known (half a width for
    each output) low and high.
    """
    if isinstance(task, Forecast):
        return _steps(task, table, raw, band)
    flat = answers.reshape(len(raw), -1)
    head = ["prediction"] if flat.shape[1] == 1 else [f"prediction_{n}" for n in task.names]
    columns = [flat]
    if task.kind not in ("regression", "language"):
        head += [f"probability_{c}" for c in task.classes]
        columns.append(raw)
    return head, ([x for part in row for x in part] for row in zip(*columns, strict=True)), len(raw)


def _steps(
    task: Forecast, table: Table, raw: np.ndarray, band: Sequence[float] | None
) -> tuple[Sequence[str], Iterable[Sequence[Any]], int]:
    assert table.sample is not None
    beside = table.sample.ahead()
    shape = (len(raw) * task.horizon, len(task.names))
    names = ["prediction"] if len(task.names) == 1 else [f"prediction_{n}" for n in task.names]
    values = raw.reshape(shape)
    if band is not None:
        width = np.broadcast_to(band, raw.shape).reshape(shape)
        values = np.stack([values, values - width, values + width], axis=2).reshape(len(values), -1)
        names = [name + end for name in names for end in ("", "_low", "_high")]
    lines = ([*front, *numbers] for front, numbers in zip(zip(*beside.values(), strict=True), values, strict=True))
    return [*beside, *names], lines, len(values)


def as_csv(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> bytes:
    """The file's bytes; numbers to seven digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for line in lines:
        writer.writerow([f"{x:.7g}" if isinstance(x, float | np.floating) else str(x) for x in line])
    return text.getvalue().encode("utf8")
