"""A whole fit, told by hand: what an observer hears, from the first column to the verdict."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tutti.core import Board, BoardRow, Column, Finding, Fold, Kind, Observer, Role, Schema, Setting, Splits

RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
DECAYS = (0.0, 0.01, 0.1, 1.0)
EVIL = "[bold]evil\x1b[2J[/bold]\u202e"  # markup, an escape code, a direction mark


def make_schema(extra: int = 0) -> Schema:
    columns = (
        Column(name="survived", kind=Kind.BOOLEAN, role=Role.TARGET, distinct=2),
        Column(name="sex", kind=Kind.CATEGORY, levels=("female", "male"), distinct=2),
        Column(name="age", kind=Kind.NUMBER, features=("age",), missing=177, distinct=88),
        Column(name=EVIL, kind=Kind.NUMBER, features=(EVIL,), distinct=3),
        Column(name="alive", kind=Kind.BOOLEAN, role=Role.ASIDE, distinct=2, note="it copies the target"),
    )
    more = tuple(Column(name=f"x{i}", kind=Kind.NUMBER, features=(f"x{i}",), distinct=9) for i in range(extra))
    return Schema(columns=columns + more, rows=891)


def make_board(step: int, *, diverged: bool = True, rates: tuple[float, ...] = RATES) -> Board:
    rows = []
    for i, rate in enumerate(rates):
        for j, decay in enumerate(DECAYS):
            bad = diverged and rate >= 1
            status = "diverged" if bad else "dropped" if step > 400 and rate < 0.001 else "training"
            score = None if bad else 0.8 - 0.01 * (i - 2) ** 2 + 0.001 * j
            setting = Setting(learning_rate=rate, weight_decay=decay)
            rows.append(BoardRow(setting=setting, score=score, status=status, diverged=5 if bad else 0))
    return Board(
        metric="accuracy",
        higher_is_better=True,
        rows=rows,
        folds=5,
        step=step,
        horizon=1000,
        seconds=step / 100,
        seconds_left=(1000 - step) / 100,
    )


def make_result() -> dict[str, Any]:
    return {
        "run": "runs/titanic",
        "task": "binary",
        "data": {"rows": 891, "columns": 15},
        "members": {"trained": 160, "dropped": 84, "diverged": 20},
        "best": {
            "learning_rate": 0.003,
            "weight_decay": 0.1,
            "cv": {"metric": "accuracy", "mean": 0.831, "low": 0.803, "high": 0.857},
        },
        "test": {"metric": "accuracy", "value": 0.827, "low": 0.765, "high": 0.875, "n": 179},
        "baselines": [
            {
                "name": "majority",
                "value": 0.615,
                "low": 0.541,
                "high": 0.683,
                "difference": 0.212,
                "difference_low": 0.134,
                "difference_high": 0.290,
            },
            {
                "name": "linear",
                "value": 0.799,
                "low": 0.734,
                "high": 0.851,
                "difference": 0.028,
                "difference_low": -0.017,
                "difference_high": 0.073,
            },
        ],
        "fit_quality": "good",
        "findings": [],
        "verdict": "Better than always saying no; not distinguishable from a linear model at n = 179.",
        "seconds": 41.2,
        "details": {
            "metric": {"name": "accuracy", "higher_is_better": True},
            "remedy": "nothing to change",
            "optimism": {"value": 0.006, "corrected": 0.825, "low": 0.797, "high": 0.851},
            "infinite": float("inf"),
        },
    }


def tell(observer: Observer, *, extra: int = 0) -> None:
    leak = Finding(
        kind="target-copy", where="alive", message="alive copies survived and is set aside (--keep alive)."
    )
    note = Finding(kind="duplicate-rows", where=EVIL, message="107 rows are equal.", severity="notice")
    halves = np.arange(0, 712, 2), np.arange(1, 712, 2)
    folds = (Fold(train=halves[0], validation=halves[1]), Fold(train=halves[1], validation=halves[0]))
    splits = Splits(
        kind="stratified", rows=891, test=np.arange(712, 891), folds=folds, unit="row", units=np.arange(891)
    )
    observer.on_read("titanic.csv", make_schema(extra), [note, leak])
    task = {"kind": "binary", "classes": ["no", "yes"], "counts": {"no": 549, "yes": 342}, "metric": "accuracy"}
    observer.on_task(task, splits)
    observer.on_plan(["32 settings x 5 folds = 160 members of mlp 64-64", "about 30 s"])
    for step in range(0, 1001, 50):
        observer.on_board(make_board(step))
    observer.on_finding(Finding(kind="diverged", where="learning rate 1", message="Diverged in layer 2 at step 31."))
    observer.on_baseline("linear", 1.3)
    observer.on_baseline("trees", 4.2)
    observer.on_result(make_result())


@pytest.fixture
def story() -> Callable[..., None]:
    """Plays the whole fit to an observer."""
    return tell


@pytest.fixture
def board() -> Callable[..., Board]:
    return make_board


@pytest.fixture
def result() -> dict[str, Any]:
    return make_result()
