"""The splits: declared once, before anything looks at the data, and used by every later step."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int

from tutti.core._errors import InputError

SplitKind = Literal["random", "stratified", "group", "time", "given"]
Unit = Literal["row", "group", "block"]


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
    resampling unit of row i: the row itself, its group, or its block of time.
    """

    kind: SplitKind
    rows: int
    test: Int[np.ndarray, " test"]
    folds: tuple[Fold, ...]
    unit: Unit
    units: Int[np.ndarray, " rows"]

    def __post_init__(self) -> None:
        for number, fold in enumerate(self.folds):
            if len(np.intersect1d(fold.train, fold.validation)):
                raise InputError(f"Fold {number} trains on rows that it validates on.")
            if len(np.intersect1d(np.concatenate([fold.train, fold.validation]), self.test)):
                raise InputError(f"Fold {number} uses rows of the test set.")

    @property
    def train(self) -> Int[np.ndarray, " train"]:
        """All rows that are not test rows, in their order."""
        keep = np.ones(self.rows, dtype=bool)
        keep[self.test] = False
        return np.flatnonzero(keep)

    @property
    def validated(self) -> Int[np.ndarray, " validated"]:
        """The rows that some fold validates on, sorted (all training rows but for time order and hold-outs)."""
        return np.unique(np.concatenate([fold.validation for fold in self.folds]))
