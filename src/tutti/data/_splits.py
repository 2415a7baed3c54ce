"""The splits of a table: which rows train, validate and test, declared once before anything looks at the data."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Shaped

from tutti.core import Finding, Fold, InputError, Kind, Role, Schema, Splits, Unit
from tutti.data._declaration import (
    HOLD_OUT_FOLDS,
    Declaration,
    Pairs,
    Rows,
    Splitter,
    announce,
    check_numbers,
    kept_together,
    kind_of_split,
    number_groups,
    shuffled_time,
)
from tutti.data._folds import given_folds, lean_hold_out, make_folds
from tutti.data._hold_out import hold_out
from tutti.data._time_order import Gap, time_blocks, timeline

FEWEST_TRAINING_ROWS = 4


def declare_splits(
    rows: int,
    *,
    target: Int[np.ndarray, " rows"] | None = None,
    classes: Sequence[str] = (),
    test_size: float = 0.2,
    test_rows: Int[np.ndarray, " test"] | None = None,
    folds: int | Pairs | Splitter = 5,
    groups: Shaped[np.ndarray, " rows"] | None = None,
    time: Shaped[np.ndarray, " rows"] | None = None,
    series: Shaped[np.ndarray, " rows"] | None = None,
    gap: Gap = 0,
    seed: int = 0,
    kind: str | None = None,
    duplicates: Int[np.ndarray, " rows"] | None = None,
) -> tuple[Splits, list[Finding]]:
    """Declares test rows and folds for a table of `rows` rows, once; returns them with what should be said.

    The kind follows from what is known, unless `kind` overrides it. Test rows and folds are scikit-learn's for
    the same seed, the folds on the training rows in their order:

    =========== =============== ========================== =======================================================
    kind        where known     test rows                  folds
    =========== =============== ========================== =======================================================
    random      nothing         train_test_split           KFold(shuffle=True)
    stratified  target          … (stratify=target)        StratifiedKFold(shuffle=True)
    group       groups          GroupShuffleSplit          StratifiedGroupKFold(shuffle=True) where target is known
                                                           and entities are 10,000 at most, else GroupKFold
    time        time            the last part of time      TimeSeriesSplit(gap=gap) on the rows sorted by time
    group-time  groups, time    drawn entities, last part  entities held out in the last third of training time
    given       folds           as without them; none      what was given
                                where pairs are given
    =========== =============== ========================== =======================================================

    target: class numbers 0 … K−1, for stratification and to see classes that cannot be learnt; `classes` are their
    names. test_size: share of the rows in [0, 1), rounded up; 0 holds nothing out. test_rows: row numbers, in its
    place. folds: a number; 1 keeps a single one of five folds (20 % of the training rows; in time order the last
    of five chained folds); or (train, validation) pairs of row numbers of the table; or a splitter, which is
    shown the training rows. groups: entities that never stand on two sides. time: sortable values. series: the key
    of a panel, whose series may stand on both sides: the cut in time is the same for all. gap: time stamps (a whole
    number) or a duration purged before validation and before test. duplicates: ids from `duplicate_groups`.

    *Entities.* Of 20 draws the first is taken whose test holds 0.5 to 1.5 times the wished share of rows and where
    no class is missing on a side; else the nearest to that. The fold of most entities comes first where the first
    would have half as many or fewer, so that a single hold-out has an interval. `one-group`: a warning where the
    test, or a single fold, is of one entity all the same. *Time.* Rows of one stamp never stand on two sides: the
    boundaries move to the nearest edge of a stamp. *Entities and time.* `test_size` is the share of both: the test
    holds the rows of the drawn entities in the last part of time. Each fold validates on its entities in the last
    third of the training time and trains on the other entities before. Rows that fit neither side are purged.
    *Repeated rows.* For random and stratified splits only the first of each content is dealt out, and its copies
    follow it; where none repeats the folds are scikit-learn's.

    The resampling unit of intervals is the group where groups are known, else the block of time (`time_blocks`)
    where time is, else the row. All row numbers ascend.

    Folds shrink, with a finding: to the rows of the smallest class that has at least two (a class of one row is
    found, and dealt as the most common class); below 20 rows, until each judges on about five; to the stamps that
    there are; to the entities that the test leaves. `InputError`: fewer than 6 rows or 4 training rows, more folds
    than rows or entities, `test_size` outside [0, 1), a negative gap or one without time, missing times, row
    numbers out of range, an unknown kind or one that lacks what it needs.
    """
    number = folds if isinstance(folds, int) else HOLD_OUT_FOLDS
    check_numbers(rows, test_size, number, gap, seed, time)
    chosen, held = kind_of_split(kind, not isinstance(folds, int), target=target, groups=groups, time=time)
    asked = Declaration(
        kind=chosen,
        held=held,
        rows=rows,
        folds=HOLD_OUT_FOLDS if number == 1 else number,
        single=number == 1,
        seed=seed,
        target=target,
        classes=classes,
        line=None if time is None else timeline(time, gap),
    )
    asked.groups, groupless = (None, 0) if groups is None else number_groups(groups)
    asked.alike = None if duplicates is None else kept_together(duplicates, asked)
    announce(asked, series, groupless)
    if test_rows is None and not isinstance(folds, int | Splitter):
        test_rows = np.zeros(0, dtype=np.int64)
    test, purged = hold_out(asked, test_size, None if test_rows is None else _checked(test_rows, rows))
    pool = np.setdiff1d(np.arange(rows), np.concatenate([test, purged]), assume_unique=True)
    if len(pool) < FEWEST_TRAINING_ROWS:
        problem = f"{len(pool)} of {rows} rows are left to train on; at least {FEWEST_TRAINING_ROWS} are needed."
        raise InputError(problem, fix="Give more rows, a smaller test or a smaller gap.")
    made = make_folds(asked, pool) if isinstance(folds, int) else given_folds(asked, folds, pool)
    _refuse_empty(made)
    unit, units = _units(asked, test)
    splits = Splits(
        kind=chosen,
        rows=rows,
        test=test,
        folds=tuple(made),
        unit=unit,
        units=units,
        purged=purged,
        hold_out=lean_hold_out(asked, pool) if isinstance(folds, int) and number > 1 else None,
    )
    _find_absent_classes(asked, splits)
    asked.findings += one_group(splits, "test", test)
    if len(made) == 1:
        asked.findings += one_group(splits, "fold 0", made[0].validation)
    return splits, asked.findings


def one_group(splits: Splits, where: str, judged: Rows) -> list[Finding]:
    """A warning where rows that judge by themselves are all of one group; [] else."""
    if splits.unit != "group" or len(np.unique(splits.units[judged])) != 1:
        return []
    message = (
        f"The {len(judged):,} rows that judge ({where}) are of a single group: how scores differ from group to group "
        "cannot be seen, and the interval holds every score. "
    )
    if where == "test":
        message += "Hold out more groups (a larger --test-size, or a test of your own)."
    else:
        message += "Train all folds (more --budget, --folds 5), or group by another column."
    return [Finding(kind="one-group", where=where, message=message)]


def warn_shuffled_time(schema: Schema, splits: Splits) -> list[Finding]:
    """A warning for each date column of a table that is not split in time, with the flag that does it."""
    if splits.ordered or splits.kind == "given":
        return []
    dates = [c.name for c in schema.columns if c.kind == Kind.DATETIME and c.role != Role.TIME]
    return [shuffled_time(name, f"Give --time {name} if what you will predict comes later") for name in dates]


def _checked(test_rows: Rows, rows: int) -> Rows:
    test = np.unique(test_rows).astype(np.int64)
    if len(test) and not (test[0] >= 0 and test[-1] < rows):
        raise InputError(f"The test rows run from {test[0]} to {test[-1]}; expected numbers within 0 … {rows - 1}.")
    return test


def _refuse_empty(folds: list[Fold]) -> None:
    for place, fold in enumerate(folds):
        if not (len(fold.train) and len(fold.validation)):
            part = "validation" if len(fold.train) else "training"
            raise InputError(f"Fold {place} has no {part} rows.", fix="Give fewer folds or a smaller gap.")


def _units(asked: Declaration, test: Rows) -> tuple[Unit, Int[np.ndarray, " rows"]]:
    """The resampling unit of intervals, and the unit of each row."""
    if asked.groups is not None:
        return "group", asked.groups
    if asked.line is None:
        return "row", np.arange(asked.rows)
    return "block", time_blocks(asked.line, np.isin(np.arange(asked.rows), test))


def _find_absent_classes(asked: Declaration, splits: Splits) -> None:
    """Says which classes have a single row, and which are missing from the training rows of some fold."""
    if asked.target is None:
        return
    counts = np.bincount(asked.target)
    absent = np.zeros(len(counts), dtype=bool)
    for fold in splits.folds:
        absent |= np.bincount(asked.target[fold.train], minlength=len(counts)) == 0
    for found, says in (
        (counts == 1, "with a single row, which cannot be both learnt and judged"),
        (absent & (counts > 1), "without a training row in some fold, which must get them wrong"),
    ):
        names = [asked.class_name(int(n)) for n in np.flatnonzero(found)]
        if names:
            where = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            message = f"Classes {says}: {where}. Merge them with another class, leave them out, or add rows."
            asked.find("rare-class", where, message)
