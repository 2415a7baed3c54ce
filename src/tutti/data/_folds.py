"""Folds of the training rows, by row, by entity, by time, or as they were given."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Int
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from tutti.core import Fold, InputError
from tutti.data._declaration import SMALL, Declaration, Pairs, Rows, Splitter
from tutti.data._hold_out import first_rows, merged_classes
from tutti.data._time_order import chain, last_part, most_chains

SMALL_FOLD = 5  # in a small table folds shrink until each judges on about this many rows
STRATIFIED_ENTITIES = 10_000  # above, entities are folded without regard to class: it would take minutes
JUDGED = 2_500  # rows that a hold-out judges on at least, where there are many
JUDGED_ENTITIES = 10  # entities likewise
MOST_PARTS = 20  # so that it judges on a twentieth at least
JUDGED_TIME = 1 / 3  # the share of training rows, last in time, that judges where entities are held out as well

_k_fold: Callable[..., Any] = KFold
_stratified: Callable[..., Any] = StratifiedKFold
_by_group: Callable[..., Any] = GroupKFold
_by_group_and_class: Callable[..., Any] = StratifiedGroupKFold


def make_folds(asked: Declaration, pool: Rows) -> list[Fold]:
    """The folds of the training rows, of the kind asked for; a single hold-out is one of them."""
    if asked.rows < SMALL:
        asked.shrink(max(2, len(pool) // SMALL_FOLD), f"{asked.rows} rows are few")
    if asked.folds > len(pool):
        raise InputError(
            f"{asked.folds} folds of {len(pool)} training rows.", fix=f"Give --folds {len(pool)} or fewer."
        )
    if asked.kind == "time":
        made = _time_folds(asked, pool)
        return made[-1:] if asked.single else made
    ways: dict[str, Callable[[Declaration, Rows], Iterator[Fold]]] = {
        "group": _entity_folds,
        "group-time": _entity_time_folds,
    }
    each = ways.get(asked.kind, _row_folds)(asked, pool)
    return list(islice(each, 1) if asked.single else each)  # a fold takes as long as a look at all rows


def lean_hold_out(asked: Declaration, pool: Rows) -> Fold | None:
    """A hold-out that judges on about JUDGED rows, where one of the usual folds would hold back many more; made as
    folds are, so that groups, repeated rows and time keep to one side."""
    parts = min(MOST_PARTS, len(pool) // JUDGED)
    if asked.groups is not None:
        parts = min(parts, len(np.unique(asked.groups[pool])) // JUDGED_ENTITIES)
    if parts <= asked.folds:
        return None
    return make_folds(replace(asked, folds=parts, single=True, findings=[]), pool)[0]


def given_folds(asked: Declaration, folds: Pairs | Splitter, pool: Rows) -> list[Fold]:
    """Folds from pairs of the table's row numbers, or from a splitter that is shown the training rows."""
    pairs: Iterable[tuple[Any, Any]] = []
    if isinstance(folds, Splitter):
        target = None if asked.target is None else asked.target[pool]
        groups = None if asked.groups is None else asked.groups[pool]
        try:
            pairs = [(pool[train], pool[judged]) for train, judged in folds.split(pool, target, groups)]
        except ValueError as error:
            raise InputError(f"The given splitter fails: {error}") from error
    else:
        pairs = folds
    made = [_given_fold(place, pair) for place, pair in enumerate(pairs)]
    if not made:
        raise InputError("No folds were given.", fix="Give at least one pair of training and validation rows.")
    return made


def _given_fold(place: int, pair: Any) -> Fold:
    """A fold of a pair of row numbers, in ascending order."""
    try:
        train, judged = (np.asarray(part) for part in pair)
    except (TypeError, ValueError):
        raise InputError(
            f"Fold {place} is {str(pair)[:60]!r}; expected a pair of lists of row numbers.",
            fix="For example: folds=[([0, 1, 2, 3], [4, 5]), ([2, 3, 4, 5], [0, 1])].",
        ) from None
    for what, part in (("training", train), ("validation", judged)):
        if part.ndim != 1 or (part.dtype.kind not in "iu" and len(part)):
            raise InputError(
                f"The {what} rows of fold {place} are {str(part)[:60]!r}; expected a list of row numbers.",
                fix="A mask becomes one by numpy.flatnonzero.",
            )
    return Fold(train=np.sort(train).astype(np.int64), validation=np.sort(judged).astype(np.int64))


def _row_folds(asked: Declaration, pool: Rows) -> Iterator[Fold]:
    """Each row of the pool stands where the row that it copies was dealt."""
    dealt, place = first_rows(pool, asked.alike)
    asked.shrink(len(dealt), f"{len(dealt)} training rows differ")
    if asked.target is None or asked.kind == "random":
        parts = _k_fold(asked.folds, shuffle=True, random_state=asked.seed).split(dealt)
    else:
        strata = _strata(asked, asked.target[dealt])
        parts = _stratified(asked.folds, shuffle=True, random_state=asked.seed).split(dealt, strata)
    for _, drawn in parts:
        judged = np.isin(place, drawn)
        yield Fold(train=pool[~judged], validation=pool[judged])


def _strata(asked: Declaration, target: Int[np.ndarray, " some"]) -> Int[np.ndarray, " some"]:
    """Classes as strata; the folds shrink to the smallest class of two or more rows (a single hold-out does not)."""
    if asked.single:
        return merged_classes(target, asked.folds)
    counts = np.bincount(target)
    rarest = int(np.where(counts < 2, len(target) + 1, counts).argmin())
    if counts[rarest] >= 2:
        asked.shrink(int(counts[rarest]), f"class {asked.class_name(rarest)!r} has {counts[rarest]} training rows")
    return merged_classes(target, 2)


def _entity_parts(asked: Declaration, pool: Rows) -> list[Rows]:
    """The rows of `pool` shared out by entity, one part per fold."""
    assert asked.groups is not None
    groups, whole = asked.groups[pool], int(asked.groups.max()) + 1
    count = len(np.unique(groups))
    if whole < asked.folds and not asked.single:
        raise InputError(f"{asked.folds} folds of {whole} groups.", fix=f"Give --folds {whole} or fewer.")
    if count < 2:
        raise InputError(
            "The training rows are of one group; no group can be held out.", fix="Group by another column."
        )
    asked.shrink(count, f"the rows to validate on are of {count} groups")
    if asked.target is not None and count <= STRATIFIED_ENTITIES:
        strata = merged_classes(asked.target[pool], asked.folds)
        parts = _by_group_and_class(asked.folds, shuffle=True, random_state=asked.seed).split(pool, strata, groups)
    else:
        parts = _by_group(asked.folds).split(pool, groups=groups)
    return _varied_first([pool[judged] for _, judged in parts], asked.groups)


def _varied_first(parts: list[Rows], groups: Int[np.ndarray, " rows"]) -> list[Rows]:
    """The part of most entities first, where the first has half as many or fewer.

    A group with a fold's share of the rows is a fold by itself, and the first fold is the one that judges where
    there is time for no more: what one group says has no interval.
    """
    counts = [len(np.unique(groups[part])) for part in parts]
    most = counts.index(max(counts))
    if 2 * counts[0] > counts[most]:
        return parts
    return [parts[most], *parts[:most], *parts[most + 1 :]]


def _entity_folds(asked: Declaration, pool: Rows) -> Iterator[Fold]:
    for judged in _entity_parts(asked, pool):
        yield Fold(train=np.setdiff1d(pool, judged, assume_unique=True), validation=judged)


def _time_folds(asked: Declaration, pool: Rows) -> list[Fold]:
    assert asked.line is not None
    most = most_chains(asked.line, pool)
    if most < 1:
        raise InputError("All training rows have the same time; no fold in time exists.", fix="Leave out --time.")
    asked.shrink(most, f"the training rows have {most + 1} different times")
    made = chain(asked.line, pool, asked.folds)
    kept = [fold for fold in made if len(fold.train)]
    if kept and len(kept) < len(made):
        asked.shrink(len(kept), "nothing lies before the gap of the earlier ones")
    return kept or made


def _entity_time_folds(asked: Declaration, pool: Rows) -> Iterator[Fold]:
    """Each fold validates on its entities in the last third of time and trains on the other entities before it."""
    assert asked.line is not None
    assert asked.groups is not None
    start = last_part(asked.line, pool, JUDGED_TIME)
    past = pool[asked.line.ranks[pool] < asked.line.train_end(start)]
    for judged in _entity_parts(asked, pool[asked.line.ranks[pool] >= start]):
        others = ~np.isin(asked.groups[past], asked.groups[judged])
        yield Fold(train=past[others], validation=judged)
