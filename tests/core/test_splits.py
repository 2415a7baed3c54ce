import numpy as np
import pytest

from tutti.core import Fold, InputError, Splits


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def splits(**changes) -> Splits:
    folds = (Fold(train=rows(0, 1), validation=rows(2, 3)), Fold(train=rows(2, 3), validation=rows(0, 1)))
    plain = {"kind": "random", "rows": 8, "test": rows(4, 5), "folds": folds, "unit": "row", "units": np.arange(8)}
    return Splits(**(plain | changes))


def test_training_rows_are_neither_tested_nor_purged():
    made = splits(purged=rows(7))
    assert made.train.tolist() == [0, 1, 2, 3, 6]
    assert made.validated.tolist() == [0, 1, 2, 3]


def test_without_folds_nothing_is_validated():
    assert splits(folds=()).validated.tolist() == []


def test_only_splits_in_time_are_ordered():
    ordered = {kind: splits(kind=kind).ordered for kind in ("random", "stratified", "group", "time", "group-time")}
    assert ordered == {"random": False, "stratified": False, "group": False, "time": True, "group-time": True}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": (Fold(train=rows(0, 1), validation=rows(1, 2)),)}, "Fold 0 trains on rows that it validates on"),
        ({"folds": (Fold(train=rows(0, 4), validation=rows(1, 2)),)}, "Fold 0 uses rows of the test set"),
        ({"folds": (Fold(train=rows(0, 1), validation=rows(5, 2)),)}, "Fold 0 uses rows of the test set"),
        ({"folds": (Fold(train=rows(0, 0), validation=rows(2)),)}, "name a row twice"),
        ({"folds": (Fold(train=rows(0, 8), validation=rows(2)),)}, "rows outside"),
        ({"test": rows(-1)}, "rows outside"),
        ({"purged": rows(5)}, "test holds rows that are purged"),
        ({"units": np.arange(7)}, "7 units for 8 rows"),
    ],
)
def test_splits_that_leak_or_make_no_sense_cannot_be_made(changes, message):
    with pytest.raises(InputError, match=message):
        splits(**changes)
