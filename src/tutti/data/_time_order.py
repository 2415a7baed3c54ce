"""Splits in time: the past trains, the future judges, and rows of one moment stay together."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Shaped
from sklearn.model_selection import TimeSeriesSplit

from tutti.core import Fold, InputError

MOST_BLOCKS = 50

_time_series_split: Callable[..., Any] = TimeSeriesSplit

Gap = int | timedelta | np.timedelta64


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The rows' place in time: `stamps` are the different times in order, `ranks[i]` the stamp of row i."""

    ranks: Int[np.ndarray, " rows"]
    stamps: Shaped[np.ndarray, " stamp"]
    gap: Gap = 0

    def train_end(self, start: int) -> int:
        """The first rank that may not train where validation or test begins at rank `start`.

        A whole-number gap purges that many stamps before the start; a duration purges every row whose time is
        within it (start − time ≤ gap). With one row a stamp at even steps both purge what scikit-learn's
        TimeSeriesSplit(gap=…) does.
        """
        if isinstance(self.gap, int):
            return max(0, start - self.gap)
        if self.stamps.dtype.kind != "M":
            raise InputError(
                "The gap is a duration, but the time column holds no dates.",
                fix="Give the gap as a number of time steps.",
            )
        return int(np.searchsorted(self.stamps, self.stamps[start] - np.timedelta64(self.gap), side="left"))


def timeline(time: Shaped[np.ndarray, " rows"], gap: Gap = 0) -> Timeline:
    """Ranks of sortable values: numbers, dates or text whose order is that of time (ISO dates)."""
    missing = time != time if time.dtype.kind in "fcmM" else np.array([v is None or v != v for v in time])
    if missing.any():
        raise InputError(f"{missing.sum()} rows have no time.", fix="Fill in or leave out these rows.")
    try:
        stamps, ranks = np.unique(time, return_inverse=True)
    except TypeError as error:
        raise InputError(f"The times cannot be sorted: {error}.", fix="Give them as numbers or as dates.") from error
    if len(stamps) < 2:
        raise InputError("All rows have the same time, so no split in time exists.", fix="Leave out --time.")
    return Timeline(ranks=ranks, stamps=stamps, gap=gap)


def boundary(ranks: Int[np.ndarray, " sorted"], position: int) -> int:
    """The place nearest to `position` in these sorted ranks at which a stamp begins, with rows on both sides.

    A tie goes to the earlier one.
    """
    edges = np.flatnonzero(np.diff(ranks)) + 1
    if not len(edges):
        raise InputError("All training rows have the same time, so no split in time exists.", fix="Leave out --time.")
    return int(edges[np.argmin(np.abs(edges - position))])


def last_part(line: Timeline, rows: Int[np.ndarray, " some"], share: float) -> int:
    """The rank at which the last `share` of these rows begins: ⌈share·rows⌉ of them, moved to a stamp's edge."""
    ranks = np.sort(line.ranks[rows])
    return int(ranks[boundary(ranks, len(ranks) - int(np.ceil(share * len(ranks))))])


def most_chains(line: Timeline, rows: Int[np.ndarray, " some"]) -> int:
    """How many forward-chaining folds these rows allow: one fewer than they have stamps."""
    return len(np.unique(line.ranks[rows])) - 1


def _chain_starts(count: int, folds: int) -> list[int]:
    """Where each validation part begins among `count` items in order (one fold: the last half)."""
    if folds == 1:
        return [count // 2]
    return [int(judged[0]) for _, judged in _time_series_split(folds).split(np.zeros(count))]


def chain(line: Timeline, rows: Int[np.ndarray, " some"], folds: int) -> list[Fold]:
    """Forward chaining: fold k trains on everything before its validation rows, less the gap.

    With one row a stamp the folds are those of scikit-learn's TimeSeriesSplit(folds, gap=gap) on the rows sorted
    by time. Otherwise its boundaries move to the nearest edge of a stamp; where two of them would meet, the
    stamps are chained in place of the rows. Needs folds <= `most_chains`.
    """
    order = rows[np.argsort(line.ranks[rows], kind="stable")]
    ranks = line.ranks[order]
    starts = [boundary(ranks, place) for place in _chain_starts(len(order), folds)]
    if min(np.diff([0, *starts])) < 1:
        stamps = np.unique(ranks)
        starts = np.searchsorted(ranks, stamps[_chain_starts(len(stamps), folds)]).tolist()
    made = []
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        train = order[ranks < line.train_end(int(ranks[start]))]
        made.append(Fold(train=np.sort(train), validation=np.sort(order[start:stop])))
    return made


def time_blocks(line: Timeline, test: Bool[np.ndarray, " rows"]) -> Int[np.ndarray, " rows"]:
    """The resampling unit of each row: its block of contiguous time, the same for all series of a panel.

    Test rows and the others are cut apart, each into min(50, m^(2/3)) blocks of about equally many of its m
    stamps: blocks as long as m^(1/3) suit the bootstrap of a mean (Hall, Horowitz & Jing 1995), longer ones in
    long series keep more of the dependence inside a block and leave enough blocks to draw from. Where a gap of whole
    stamps is kept between training and judging (futures that overlap), no block is shorter than it.
    """
    apart = line.gap if isinstance(line.gap, int) else 0
    units = np.zeros(len(line.ranks), dtype=np.int64)
    begin = 0
    for part in (~test, test):
        if not part.any():
            continue
        stamps, place = np.unique(line.ranks[part], return_inverse=True)
        count = min(MOST_BLOCKS, round(len(stamps) ** (2 / 3)), max(2, len(stamps) // (apart + 1)))
        units[part] = begin + place * count // len(stamps)
        begin += count
    return units
