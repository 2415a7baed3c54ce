"""The shared tables: where each lies, what its target is, and to which half it belongs.

The two halves are matched in size and kind. Defaults are chosen on DEVELOP alone; REPORT is what is reported.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, StratifiedKFold

DEVELOP = (
    *("diamonds", "california_housing", "pol", "winequality-red", "banknote_authentication", "oil-spill", "energy"),
    *("pima-indians-diabetes", "boston_housing", "ionosphere", "tips", "wheat-seeds", "iris"),
)
REPORT = (
    *("adult", "protein", "covertype_15k", "abalone", "airfoil", "german", "titanic", "breast-cancer-wisconsin"),
    *("mpg", "penguins", "yacht", "horse-colic", "wine"),
)
_WITH_NAMES = {
    "diamonds": "price",
    "california_housing": "median_house_value",
    "tips": "tip",
    "titanic": "survived",
    "mpg": "mpg",
    "penguins": "species",
    "covertype_15k": None,
}
_TARGETS = {"horse-colic": 23, "wine": -1}
_DROPPED = {"titanic": ["alive"], "covertype_15k": ["Id"], "mpg": ["name"], "horse-colic": ["2"]}
_NUMBERS = {
    *("diamonds", "california_housing", "pol", "winequality-red", "energy", "boston_housing", "tips"),
    *("protein", "abalone", "airfoil", "mpg", "yacht"),
}
_UCI = ("airfoil", "energy", "pol", "protein", "yacht")


@dataclass(frozen=True)
class Table:
    """A table whose features are numbers (NaN where missing) or pandas categories.

    kind: "regression" or "classes"; target: float64 values, or class numbers (classes in sorted order).
    """

    name: str
    features: pd.DataFrame
    target: np.ndarray
    kind: str
    tests: tuple[np.ndarray, ...] = ()  # row numbers of the test sets that the table comes with

    @property
    def classes(self) -> int:
        return 0 if self.kind == "regression" else int(self.target.max()) + 1

    def splits(self, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """(train, test) row numbers: the first `count` of the given test sets, else of five outer folds."""
        if self.tests:
            return [(np.setdiff1d(np.arange(len(self.target)), test), test) for test in self.tests[:count]]
        maker = KFold if self.kind == "regression" else StratifiedKFold
        return list(maker(5, shuffle=True, random_state=0).split(self.features, self.target))[:count]


def folder() -> Path:
    """TUTTI_DATA, or shared/data beside the checkout."""
    found = Path(os.environ.get("TUTTI_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not found.is_dir():
        raise SystemExit(f"There are no shared tables in {found}: set TUTTI_DATA.")
    return found / "tables"


def load(name: str) -> Table:
    """A table by its name."""
    tests: tuple[np.ndarray, ...] = ()
    if name == "adult":
        parts = [_read(folder() / f"adult-{part}.csv", header=None) for part in ("train", "test")]
        tests = (np.arange(len(parts[0]), len(parts[0]) + len(parts[1])),)
        frame = pd.concat(parts, ignore_index=True)
        frame["14"] = frame["14"].str.rstrip(".")
    elif name in _UCI:
        frame = _read(folder() / "uci" / name / "data.csv.gz", header=None)
        mask = pd.read_csv(folder() / "uci" / name / "test_mask.csv.gz", header=None)
        tests = tuple(np.flatnonzero(mask[column].to_numpy()) for column in mask)
    else:
        frame = _read(folder() / f"{name}.csv", header=0 if name in _WITH_NAMES else None)
    target = _WITH_NAMES.get(name) or frame.columns[_TARGETS.get(name, -1)]
    keep = frame[target].notna().to_numpy()
    frame = frame[keep].reset_index(drop=True)
    y = frame.pop(target)
    frame = frame.drop(columns=_DROPPED.get(name, []))
    for column in frame:
        if not pd.api.types.is_numeric_dtype(frame[column]) or pd.api.types.is_bool_dtype(frame[column]):
            frame[column] = frame[column].astype("str").where(frame[column].notna()).astype("category")
        else:
            frame[column] = frame[column].astype("float64")
    if name in _NUMBERS:
        return Table(name, frame, y.to_numpy(np.float64), "regression", tests)
    numbers = np.unique(y.astype(str).to_numpy(), return_inverse=True)[1]
    return Table(name, frame, numbers.astype(np.int64), "classes", tests)


def _read(path: Path, header: int | None) -> pd.DataFrame:
    frame = pd.read_csv(path, header=header, na_values=["?"], skipinitialspace=True)
    frame.columns = [str(column) for column in frame.columns]
    return frame.dropna(how="all").reset_index(drop=True)
