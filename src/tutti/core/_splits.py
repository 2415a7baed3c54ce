"""The splits: declared once, before anything looks at the data, and used by every later step."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from tutti.core._errors import InputError

SplitKind = Literal["random", "stratified", "group", "time", "group-time", "given"]
Unit = Literal["row", "group", "block"]


def _no_rows() -> Int[np.ndarray, " none"]:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Row numbers (of the whole table) that one member trains on, and those that judge it."""

    train: Int[np.ndarray, " train"]
    validation: Int[np.ndarray, " validation"]


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Which rows train, validate and test, and by what unit an interval must resample.

    `rows` is the number of rows of the table; `test` are held out from everything but `evaluation`
    (empty where nothing is held out); `folds` partition or chain through the other rows. `units[i]` is the
    resampling unit of row i: the row itself, its group, or its block of time. `purged` rows are neither
    trained on nor tested: the gap before the test, the past of entities that the test holds out.
    """

    kind: SplitKind
    rows: int
    test: Int[np.ndarray, " test"]
    folds: tuple[Fold, ...]
    unit: Unit
    units: Int[np.ndarray, " rows"]
    purged: Int[np.ndarray, " purged"] = field(default_factory=_no_rows)

    def __post_init__(self) -> None:
        if len(self.units) != self.rows:
            raise InputError(f"The splits have {len(self.units)} units for {self.rows} rows.")
        tested = self._mask(self.test, "test")
        if (tested & self._mask(self.purged, "purged rows")).any():
            raise InputError("The test holds rows that are purged.")
        for number, fold in enumerate(self.folds):
            trained = self._mask(fold.train, f"training rows of fold {number}")
            judged = self._mask(fold.validation, f"validation rows of fold {number}")
            if (trained & judged).any():
                raise InputError(f"Fold {number} trains on rows that it validates on.")
            if ((trained | judged) & tested).any():
                raise InputError(f"Fold {number} uses rows of the test set.")

    def _mask(self, rows: Int[np.ndarray, " some"], what: str) -> Bool[np.ndarray, " rows"]:
        if len(rows) and not (rows.min() >= 0 and rows.max() < self.rows):
            raise InputError(f"The {what} name rows outside 0 … {self.rows - 1}.")
        mask = np.zeros(self.rows, dtype=bool)
        mask[rows] = True
        if mask.sum() != len(rows):
            raise InputError(f"The {what} name a row twice.")
        return mask

    @property
    def ordered(self) -> bool:
        """Whether only the past trains: then one network is refitted on all training rows for the future."""
        return self.kind in ("time", "group-time")

    @property
    def train(self) -> Int[np.ndarray, " train"]:
        """All rows that are neither test rows nor purged, in their order."""
        keep = np.ones(self.rows, dtype=bool)
        keep[self.test] = False
        keep[self.purged] = False
        return np.flatnonzero(keep)

    @property
    def validated(self) -> Int[np.ndarray, " validated"]:
        """The rows that some fold validates on, sorted (all training rows but for time order and hold-outs)."""
        return np.unique(np.concatenate([_no_rows(), *(fold.validation for fold in self.folds)]))
