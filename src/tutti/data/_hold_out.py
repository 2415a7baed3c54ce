"""Test rows: drawn once, by row, by entity or by time, and what must be purged because of them."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Int
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from tutti.core import InputError
from tutti.data._declaration import Declaration, Rows, Splitter
from tutti.data._time_order import last_part

ENTITY_DRAWS = 20  # draws of held-out entities, of which the first fair one is taken
FAIR = 0.5  # the share of rows that they hold may be off by half of what was asked

_group_shuffle_split: Callable[..., Splitter] = GroupShuffleSplit


def first_rows(pool: Rows, alike: Rows | None) -> tuple[Rows, Int[np.ndarray, " pool"]]:
    """The rows to deal out (the first of each content), and for each row of the pool the place of its first."""
    if alike is None:
        return pool, np.arange(len(pool))
    _, first, inverse = np.unique(alike[pool], return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return pool[first[order]], place[inverse]


def merged_classes(target: Int[np.ndarray, " some"], least: int) -> Int[np.ndarray, " some"]:
    """Strata in which classes with fewer than `least` rows count as the most common class."""
    counts = np.bincount(target)
    return np.where(counts[target] < least, counts.argmax(), target)


def hold_out(asked: Declaration, size: float, given: Rows | None) -> tuple[Rows, Rows]:
    """Test rows, and rows that are purged because of them: given ones, or a share of `size`."""
    none = np.zeros(0, dtype=np.int64)
    if given is not None:
        return given, _near(asked, given) if len(given) else none
    if size == 0:
        return none, none
    if asked.held in ("time", "group-time"):
        return _draw_future(asked, size)
    if asked.held == "group":
        return _draw_entities(asked, np.arange(asked.rows), size), none
    dealt, place = first_rows(np.arange(asked.rows), asked.alike)
    strata = _strata(asked, dealt, size)
    _, drawn = train_test_split(np.arange(len(dealt)), test_size=size, random_state=asked.seed, stratify=strata)
    return np.flatnonzero(np.isin(place, drawn)), none


def _near(asked: Declaration, test: Rows) -> Rows:
    """The rows within the gap before the first of the given test rows, where the split is ordered in time."""
    if asked.line is None or asked.held not in ("time", "group-time"):
        return np.zeros(0, dtype=np.int64)
    start = int(asked.line.ranks[test].min())
    near = (asked.line.ranks >= asked.line.train_end(start)) & (asked.line.ranks < start)
    return np.flatnonzero(near)


def _draw_future(asked: Declaration, size: float) -> tuple[Rows, Rows]:
    """The last part of time, of all rows or of drawn entities; purged is all in the gap or in neither part."""
    assert asked.line is not None
    ranks = asked.line.ranks
    start = last_part(asked.line, np.arange(asked.rows), size)
    test, past = np.flatnonzero(ranks >= start), ranks < asked.line.train_end(start)
    if asked.held == "group-time":
        assert asked.groups is not None
        test = _draw_entities(asked, test, size)
        past &= ~np.isin(asked.groups, asked.groups[test])
    purged = np.setdiff1d(np.flatnonzero(~past), test, assume_unique=True)
    if asked.held == "group-time":
        message = (
            f"Entities and the future are both held out: {past.sum()} rows train, {len(test)} test, and "
            f"{len(purged)} that fit neither part stand aside."
        )
        asked.find("unused-rows", "rows", message, "notice")
    return test, purged


def _draw_entities(asked: Declaration, pool: Rows, size: float) -> Rows:
    """The rows, among `pool`, of a fair draw of about `size` of its entities."""
    assert asked.groups is not None
    groups = asked.groups[pool]
    count = len(np.unique(groups))
    if count < 3:
        raise InputError(
            f"There are {count} groups to hold out from; a test and two folds need at least 3.",
            fix="Hold nothing out (--test-size 0), or group by another column.",
        )
    target = np.zeros(len(pool), dtype=np.int64) if asked.target is None else asked.target[pool]
    classes = len(np.unique(target))
    best, chosen = (2 * classes, np.inf), pool
    draws = _group_shuffle_split(ENTITY_DRAWS, test_size=size, random_state=asked.seed)
    for train, test in draws.split(pool, groups=groups):
        lacking = 2 * classes - len(np.unique(target[train])) - len(np.unique(target[test]))
        grade = (lacking, max(FAIR, abs(len(test) / len(pool) - size) / size))
        if grade < best:
            best, chosen = grade, pool[test]
        if best == (0, FAIR):
            break
    return np.sort(chosen)


def _strata(asked: Declaration, dealt: Rows, size: float) -> Int[np.ndarray, " some"] | None:
    """What the test is stratified by, or None where it has too few rows to hold each class."""
    if asked.target is None or asked.held == "random":
        return None
    strata = merged_classes(asked.target[dealt], 2)
    test, count = int(np.ceil(size * len(dealt))), len(np.unique(strata))
    if min(test, len(dealt) - test) >= count:
        return strata
    message = (
        f"{test} of {len(dealt)} rows cannot hold each of {count} classes: the test is drawn without regard to class."
    )
    asked.find("rare-class", "target", message)
    return None
