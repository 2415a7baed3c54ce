"""Columns that give the target away: exact copies, and predictors too good to be true.

All of it looks at training rows only. A column that tells rows apart (an identifier) "determines" any target, so
purity alone proves nothing: the values must be few, and the agreement must be out of reach of chance.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import lgamma, log
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

SCREENED_ROWS = 20_000  # each column is screened on this many rows; all are looked at where one stands out
CHANCE = 1e-6  # the chance, over all columns, that an agreement is an accident
LEAF = 20  # rows per value that make a value a rule, not a name
NAME_LEAF = 5  # rows per value below which a column only tells rows apart
EXACT = 1e-7  # 1 − R² that float32 rounding leaves of an affine copy
NEAR = 0.999
FEWEST_ROWS = 20


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How one column gives the target away: a copy, or nearly one, and the reason in words."""

    strength: Literal["copy", "near"]
    why: str


def give_away(
    column: Shaped[np.ndarray, " rows"], target: Shaped[np.ndarray, " rows"], columns: int = 1
) -> Agreement | None:
    """Whether one column (codes, or numbers with NaN) gives away one target (class numbers, or values).

    columns: how many are tried, which lowers the chance that is allowed to each. A *copy*: each value goes with one
    target value, the values are few (`_by_level`); or the target is a straight line of the column, 1 − R² < 1e-7.
    *Near*: as `_by_level`, `_by_order` or `_by_line` say. Screened on up to 20,000 evenly spaced rows.
    """
    sample = np.linspace(0, len(target) - 1, min(len(target), SCREENED_ROWS)).astype(np.int64)
    screened = _agreement(column[sample], target[sample], columns)
    if screened is None or len(sample) == len(target):
        return screened
    return _agreement(column, target, columns)


def _agreement(
    column: Shaped[np.ndarray, " rows"], target: Shaped[np.ndarray, " rows"], columns: int
) -> Agreement | None:
    if len(target) < FEWEST_ROWS:
        return None
    levels = np.unique(column, return_inverse=True)[1]
    values = np.unique(target, return_inverse=True)[1]
    if not (levels.max() and values.max()):
        return None
    found = _by_level(levels, values, columns, classes=target.dtype.kind != "f")
    if found is not None or column.dtype.kind != "f":
        return found
    seen = np.isfinite(column)
    if seen.mean() < 0.5 or seen.sum() < FEWEST_ROWS:
        return None
    if target.dtype.kind == "f":
        return _by_line(column[seen], target[seen])
    return _by_order(column[seen], target[seen], columns)


def _log_chance(counts: Int[np.ndarray, " value"], levels: int) -> float:
    """log of (a bound on) the chance that a shuffled target with these counts is pure in each of `levels` levels.

    One arrangement of n!/∏ nᵥ! suits a given map from levels to values, and there are K^levels maps.
    """
    arrangements = lgamma(counts.sum() + 1) - sum(lgamma(count + 1) for count in counts.tolist())
    return levels * log(len(counts)) - arrangements


def _by_level(
    levels: Int[np.ndarray, " rows"], values: Int[np.ndarray, " rows"], columns: int, *, classes: bool
) -> Agreement | None:
    """What each level of the column (missing is one) says of the target.

    With n rows, L levels and K target values: a copy where each level goes with one value, out of reach of chance,
    and either L = K for a target of classes, or L <= max(10, 2K) and n/L >= 20. Near where each level goes
    with one value and n/L >= 5, or where the most common value of each level leaves under 0.1 % of the errors that
    the most common value of all leaves, and n/L >= 20.
    """
    n, count, kinds = len(levels), int(levels.max()) + 1, int(values.max()) + 1
    pairs, rows = np.unique(levels * kinds + values, return_counts=True)
    totals = np.bincount(values)
    if len(pairs) == count:
        if _log_chance(totals, count) + log(columns) > log(CHANCE):
            return None
        if (classes and count == kinds) or (count <= max(10, 2 * kinds) and n / count >= LEAF):
            return Agreement(strength="copy", why=f"each of its {count} values goes with one value of the target")
        if n / count >= NAME_LEAF:
            return Agreement(strength="near", why=f"each of its {count} values goes with one value of the target")
        return None
    best = np.zeros(count, dtype=np.int64)
    np.maximum.at(best, pairs // kinds, rows)
    left = (n - best.sum()) / (n - totals.max())
    if n / count >= LEAF and left < 1 - NEAR:
        return Agreement(strength="near", why=f"it leaves {100 * left:.2g} % of the errors of the most common value")
    return None


def _by_line(column: Float[np.ndarray, " rows"], target: Float[np.ndarray, " rows"]) -> Agreement | None:
    """How near the target is to a + b·column, or to some increasing (decreasing) function of it."""
    x, y = column.astype(np.float64), target.astype(np.float64)
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    if not scale > 0 or len(np.unique(y)) < NAME_LEAF:
        return None
    left = 1 - ((x @ y) / scale) ** 2
    if left < EXACT:
        return Agreement(strength="copy", why="the target is a straight line of it (R² = 1)")
    if left < 1 - NEAR:
        return Agreement(strength="near", why=f"the target is nearly a straight line of it (R² = {1 - left:.5f})")
    order = np.lexsort((y, x))
    steps, rises = np.diff(x[order]) > 0, np.diff(y[order])
    one_to_one = ((rises != 0) == steps).all()
    if one_to_one and ((rises >= 0).all() or (rises <= 0).all()):
        return Agreement(strength="near", why="the target rises (or falls) with it in every row")
    return None


def _by_order(column: Float[np.ndarray, " rows"], target: Int[np.ndarray, " rows"], columns: int) -> Agreement | None:
    """Whether thresholds on the column part the classes: each class from the next, by mean, with an AUC > 0.999."""
    values = np.unique(target, return_inverse=True)[1]
    counts = np.bincount(values)
    if len(counts) < 2 or _log_chance(counts, len(counts)) + log(columns) > log(CHANCE):
        return None
    means = np.bincount(values, weights=column.astype(np.float64)) / counts
    order = np.argsort(means)
    weakest = 1.0
    for low, high in pairwise(order):
        weakest = min(weakest, _auc(np.sort(column[values == low]), column[values == high]))
        if weakest <= NEAR:
            return None
    return Agreement(strength="near", why=f"thresholds on it part the classes (AUC {weakest:.5f})")


def _auc(low: Float[np.ndarray, " low"], high: Float[np.ndarray, " high"]) -> float:
    """P(high > low) + ½ P(high = low), for sorted `low`."""
    below = np.searchsorted(low, high, side="left").sum() + np.searchsorted(low, high, side="right").sum()
    return float(below) / (2 * len(low) * len(high))
