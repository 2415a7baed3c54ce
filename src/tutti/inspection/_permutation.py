"""Permutation importance of the columns of a table, with intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from tutti.core import InputError, Schema
from tutti.metrics import metric_of, paired_difference

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]
Places = tuple[Sequence[int], Sequence[int]]


@dataclass(frozen=True, kw_only=True)
class Importance:
    """How much worse the metric gets when one column is shuffled: above zero where the model uses it."""

    feature: str
    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """{"feature", "value", "low", "high"}."""
        return {"feature": self.feature, "value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, kw_only=True)
class Importances:
    """The columns by falling importance, and what was measured: rows, shuffles of each column, what was left
    out for want of time (in `note`)."""

    columns: tuple[Importance, ...]
    metric: str
    rows: int
    repeats: int
    note: str = ""

    def to_json(self) -> list[dict[str, Any]]:
        """One object per column."""
        return [column.to_json() for column in self.columns]


def feature_places(schema: Schema) -> dict[str, Places]:
    """For each feature column where it stands among the numbers and among the codes of a network's input."""
    places: dict[str, Places] = {}
    number = code = 0
    coded = {column.name for column in schema.categories}
    for column in schema.inputs:
        width, codes = len(column.features), int(column.name in coded)
        if width + codes:
            places[column.name] = (tuple(range(number, number + width)), tuple(range(code, code + codes)))
        number, code = number + width, code + codes
    return places


def permutation_importance(
    predict: Predict,
    numbers: Float[np.ndarray, "rows number"],
    codes: Int[np.ndarray, "rows category"],
    target: Num[np.ndarray, "rows ..."],
    metric: str,
    *,
    columns: Mapping[str, Places],
    units: Int[np.ndarray, " rows"] | None = None,
    weights: Num[np.ndarray, " rows"] | None = None,
    repeats: int = 5,
    most_rows: int = 2000,
    seconds: float | int = 30.0,
    level: float = 0.95,
    seed: int = 0,
) -> Importances:
    """Breiman's (2001) permutation importance on rows that the model was not trained on.

    `predict(numbers, codes)` gives predictions in the task's format. `columns` maps each source column to its
    places among numbers and codes (`feature_places`); what comes of one column, as year, month and day of a
    date, is shuffled together. The importance is metric before − metric after, signed so that above zero means
    that shuffling hurts. Each of `repeats` shuffles is one permutation of the rows, the same for all columns.
    The interval is that of the paired difference, resampled by unit (`units`, each row its own where None)
    with all repeats of a row together. A column that another one repeats looks less important than it is.

    At most `most_rows` rows, drawn at random, are used. The first prediction is timed: where all of them would
    take more than `seconds`, repeats are cut (to one), then rows (to 100); where time runs out nevertheless
    the remaining columns are left out and named in `note`.
    """
    if not columns or repeats < 1 or len(target) < 2:
        raise InputError(f"{len(columns)} columns, {repeats} repeats, {len(target)} rows: nothing to shuffle.")
    began, rng = perf_counter(), np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(target))[:most_rows])
    before = perf_counter()
    plain = predict(numbers[rows], codes[rows])
    each = perf_counter() - before
    affordable = max(0.0, seconds - (before - began) - each) * 0.8 / max(each, 1e-9)
    repeats = int(min(repeats, max(1, affordable // len(columns))))
    if affordable < len(columns):
        size = max(min(100, len(rows)), int(len(rows) * affordable / len(columns)))
        keep = np.sort(rng.permutation(len(rows))[:size])
        rows, plain = rows[keep], plain[keep]

    orders = [rng.permutation(len(rows)) for _ in range(repeats)]
    repeated = np.tile(rows, repeats)
    known = np.tile(np.arange(len(rows)), repeats) if units is None else units[repeated]
    found: list[Importance] = []
    left_out: list[str] = []
    for name, places in columns.items():
        if found and perf_counter() - began > seconds:
            left_out.append(name)
            continue
        shuffled = [_shuffled(predict, numbers[rows], codes[rows], places, order) for order in orders]
        difference = paired_difference(
            metric, target[repeated], np.concatenate([plain] * repeats), np.concatenate(shuffled), units=known,
            weights=None if weights is None else weights[repeated], level=level, seed=seed,
        ).gain  # fmt: skip
        found.append(Importance(feature=name, value=difference.value, low=difference.low, high=difference.high))
    return Importances(
        columns=tuple(sorted(found, key=lambda column: -column.value)), metric=metric_of(metric).name,
        rows=len(rows), repeats=repeats, note=f"Left out for want of time: {', '.join(left_out)}." * bool(left_out),
    )  # fmt: skip


def _shuffled(
    predict: Predict, numbers: np.ndarray, codes: np.ndarray, places: Places, order: np.ndarray
) -> np.ndarray:
    mixed_numbers, mixed_codes = numbers.copy(), codes.copy()
    for mixed, own in ((mixed_numbers, list(places[0])), (mixed_codes, list(places[1]))):
        mixed[:, own] = mixed[order][:, own]
    return predict(mixed_numbers, mixed_codes)
