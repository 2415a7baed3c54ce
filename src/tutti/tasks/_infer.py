"""From raw target values to the task that they ask for."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from tutti.core import InputError, configure, unknown
from tutti.tasks._classes import Binary, Multiclass
from tutti.tasks._forecast import Forecast
from tutti.tasks._language import Language
from tutti.tasks._multilabel import MultiLabel
from tutti.tasks._regression import Regression
from tutti.tasks._segmentation import Segmentation
from tutti.tasks._task import Base, Task
from tutti.tasks._values import Target, targets

MOST_CLASSES = 20
ROWS_PER_CLASS = 5
TASKS: dict[str, type[Base]] = {
    task.name: task for task in (Regression, Binary, Multiclass, MultiLabel, Forecast, Segmentation, Language)
}
KINDS = (*TASKS, "classification")


def infer(values: Any, names: Sequence[str], kind: str | None = None) -> Task:
    """The task for these raw target values: an array, frame, list or tensor, [rows] or [rows, columns].

    `kind` decides where it is given: "regression", "binary", "multiclass", "multilabel", "classification" (binary for
    two classes, else multiclass), "forecast" (values [rows, horizon · names], see `Forecast`) or "segmentation"
    (values [rows, height, width], see `Segmentation.of`) or "language" (windows of tokens, see `Language`). Else, for
    one column:

    - text or booleans → classes;
    - two distinct numbers → two classes;
    - whole numbers (3.0 counts) → classes if there are at most 20 distinct ones, on average at least 5 rows have
      each, and no one stands alone; else regression;
    - other numbers → regression.

    Several columns: all 0/1 or boolean (also as words: true and false, yes and no) → multilabel; numbers → regression
    with several outputs.

    Raises InputError for missing or infinite values, a single distinct value, a class with a single row, text
    where numbers are needed, and more than 20 distinct numbers written as text.
    """
    if kind is not None and kind not in KINDS:
        raise unknown("kind of task", kind, KINDS)
    if kind == Forecast.name:
        futures = np.asarray(values)
        forecast = Forecast(names=tuple(names), horizon=futures.shape[-1] // max(1, len(names)))
        forecast.encode(futures)
        return forecast
    if kind == Language.name:
        language = Language(names=tuple(names), length=np.asarray(values).shape[-1] - 1)
        language.encode(values)
        return language
    if kind == Segmentation.name:
        return Segmentation.of(values, ", ".join(names))
    columns = targets(values, tuple(names))
    kind = kind or _kind(columns)
    for column in columns:
        _check_varied(column, kind)
    task: Task
    if kind == "regression":
        task = Regression(names=tuple(names))
    elif kind == "multilabel":
        task = MultiLabel(names=tuple(names))
    elif len(columns) > 1:
        raise InputError(
            f"The target has {len(columns)} columns; a {kind} task has one.",
            fix="Name one column, or ask for 'multilabel'.",
        )
    else:
        return _classes(columns[0], kind)
    task.encode(values)
    return task


def task_from_json(data: Mapping[str, Any]) -> Task:
    """The task that `to_json` described."""
    fields = {key: value for key, value in data.items() if key != "kind"}
    try:
        return cast(Task, configure("task", TASKS, {"name": data.get("kind", ""), **fields}))
    except TypeError as error:
        raise InputError(f"This task cannot be read: {error}.") from error


def _kind(columns: Sequence[Target]) -> str:
    if len(columns) > 1:
        if all(column.zero_one for column in columns):
            return "multilabel"
        texts = [column for column in columns if column.meaning == "text"]
        if texts:
            # Beside a column of words, one of numbers arrives as text too: it is not the one to name.
            wordy = (column for column in texts if not all(map(_reads_as_number, column.levels()[0])))
            column = next(wordy, texts[0])
            raise InputError(
                f"Of {len(columns)} target columns, {column.name!r} holds text, such as {column.levels()[0][0]!r}.",
                fix="Several targets must be all numbers (regression), or all 0 and 1 or booleans (multilabel).",
            )
        return "regression"
    column = columns[0]
    levels, places = column.levels()
    counts = np.bincount(places)
    few = len(levels) <= MOST_CLASSES and len(places) >= ROWS_PER_CLASS * len(levels) and counts.min() > 1
    if column.meaning == "text" and len(levels) > MOST_CLASSES and all(_reads_as_number(level) for level in levels):
        raise InputError(
            f"Target {column.name!r} holds numbers written as text, such as {levels[0]!r}.",
            fix="Convert the column to numbers, or ask for 'multiclass'.",
        )
    if column.meaning in ("text", "boolean") or len(levels) == 2 or (column.whole and few):
        return "classification"
    return "regression"


def _reads_as_number(text: str) -> bool:
    try:
        float(text.replace(",", "").replace(" ", ""))
    except ValueError:
        return False
    return True


def _check_varied(column: Target, kind: str) -> None:
    first = column.values[0]
    if bool((column.values == first).all()):
        what = "value" if kind == "regression" else "class"
        raise InputError(
            f"Target {column.name!r} has a single {what}: every row holds {first!s}.",
            fix="There is nothing to predict; name another column.",
        )


def _classes(column: Target, kind: str) -> Task:
    levels, places = column.levels()
    alone = np.flatnonzero(np.bincount(places) == 1)
    if len(alone):
        some = f"{len(alone)} of {len(levels)} classes of target {column.name!r} have"
        one = f"Class {levels[alone[0]]!r} of target {column.name!r} has"
        fix = "Remove or merge such classes"
        raise InputError(
            f"{one if len(alone) == 1 else some} a single row; each needs at least 2.",
            fix=f"{fix}." if column.meaning == "text" else f"{fix}, or ask for 'regression'.",
        )
    if kind == "binary" and len(levels) != 2:
        raise InputError(
            f"Target {column.name!r} has {len(levels)} classes; a binary task has 2.", fix="Ask for 'multiclass'."
        )
    task = Multiclass if kind == "multiclass" or len(levels) > 2 else Binary
    return task(names=(column.name,), classes=tuple(levels), meaning=column.meaning)
