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
    trained on nor tested: the gap before the test, the past of entities that the test holds out. `hold_out` is the
    one fold that serves where all are too dear; where there are many rows it validates on fewer than a fold does.
    """

    kind: SplitKind
    rows: int
    test: Int[np.ndarray, " test"]
    folds: tuple[Fold, ...]
    unit: Unit
    units: Int[np.ndarray, " rows"]
    purged: Int[np.ndarray, " purged"] = field(default_factory=_no_rows)
    hold_out: Fold | None = None

    def __post_init__(self) -> None:
        if len(self.units) != self.rows:
            raise InputError(f"The splits have {len(self.units)} units for {self.rows} rows.")
        tested = self._mask(self.test, "test")
        if (tested & self._mask(self.purged, "purged rows")).any():
            raise InputError("The test holds rows that are purged.")
        named = {f"fold {number}": fold for number, fold in enumerate(self.folds)}
        for name, fold in (named if self.hold_out is None else {**named, "the hold-out": self.hold_out}).items():
            trained = self._mask(fold.train, f"training rows of {name}")
            judged = self._mask(fold.validation, f"validation rows of {name}")
            if (trained & judged).any():
                raise InputError(f"{name[0].upper()}{name[1:]} trains on rows that it validates on.")
            if ((trained | judged) & tested).any():
                raise InputError(f"{name[0].upper()}{name[1:]} uses rows of the test set.")

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

    def judging(self, count: int) -> tuple[Fold, ...]:
        """The first `count` folds; where that is one of several, the hold-out (without one, the last fold in time or
        the first of rows)."""
        if count > 1 or len(self.folds) == 1:
            return self.folds[:count]
        return (self.hold_out or self.folds[-1 if self.kind == "time" else 0],)

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
