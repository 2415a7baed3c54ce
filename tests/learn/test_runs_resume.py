"""A fit that is stopped and goes on ends with the bits of one that was never stopped."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import tutti
from tutti.core import Board, InputError, Observer
from tutti.learn import rerun, resume
from tutti.runs import Run
from tutti.search import _search as search

# Three settings, of which rungs drop one; the best lies on the edge of the grid, which grows.
SEARCHED: dict[str, Any] = {
    "target": "cultivar",
    "drop": ["strong", "late", "dense"],
    "learning_rates": [3e-4, 1e-3, 3e-3],
    "weight_decays": [0.0],
    "epochs": 6,
    "folds": 3,
    "baselines": False,
    "out": "run",
}
Weights = Callable[[Any], dict[str, torch.Tensor]]


class KilledError(Exception):
    """Stands for the end of the process."""


class Ctrl(Observer):
    """Presses Ctrl-C, or kills, at one board, counted from 1."""

    def __init__(self, at: int, *, kill: bool = False) -> None:
        self.at, self.kill, self.boards = at, kill, 0

    def on_board(self, board: Board) -> None:
        self.boards += 1
        if self.boards == self.at:
            if self.kill:
                raise KilledError
            signal.raise_signal(signal.SIGINT)


class Count(Observer):
    """Counts boards, and keeps the last."""

    def __init__(self) -> None:
        self.boards: list[Board] = []

    def on_board(self, board: Board) -> None:
        self.boards.append(board)


@pytest.fixture
def checkpoint_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "CHECKPOINT_SECONDS", 0.0)


def assert_same(first: Path | str, second: Path | str, weights_of: Weights) -> None:
    """The same weights, predictions, best setting, settings and decisions."""
    a, b = weights_of(first), weights_of(second)
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(b[name], a[name], rtol=0, atol=0, equal_nan=True)
    ours, theirs = (Run(Path(f)).read_json("result.json") for f in (first, second))
    for key in ("task", "members", "best", "test", "fit_quality"):
        assert theirs[key] == ours[key], key
    for key in ("curves", "settings", "fold_scores", "optimism"):
        assert theirs["details"].get(key) == ours["details"].get(key), key
    plans = [Run(Path(f)).read_json("plan.json") for f in (first, second)]
    assert plans[0] == plans[1]


@pytest.fixture(scope="module")
def uninterrupted(wine: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A run that was never stopped, and the number of its boards."""
    folder, count = tmp_path_factory.mktemp("whole"), Count()
    wine.to_csv(folder / "wine.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        make_steady(patch)
        tutti.fit(folder / "wine.csv", observer=count, **{**SEARCHED, "out": str(folder / "run")})
    plan = Run(folder / "run").read_json("plan.json")
    assert {"drop", "grow"} <= {d["kind"] for d in plan["decisions"]}
    return folder / "run", len(count.boards)


def make_steady(patch: pytest.MonkeyPatch) -> None:
    """As the fixture `steady`."""
    patch.setattr("tutti.learn._bench.Bench._time", lambda *_: (1e-4, 1e-5, 1e-6))
    patch.setattr("tutti.learn._bench.Bench._rematch", lambda self, first, *_: first)


@pytest.fixture
def whole(uninterrupted: tuple[Path, int], place: Path) -> int:
    """The uninterrupted run, in whole/; the number of its boards."""
    shutil.copytree(uninterrupted[0], place / "whole")
    return uninterrupted[1]


@pytest.mark.parametrize("at", [9, -2])
def test_a_resumed_fit_is_the_uninterrupted_one(
    at: int, whole: int, wine: pd.DataFrame, wine_csv: Path, weights_of: Weights
) -> None:
    """Stopped after a rung, and while the grown settings train."""
    # catalogue: L7
    partial = tutti.fit(wine_csv, observer=Ctrl(at if at > 0 else whole + at), **SEARCHED)
    assert Run.open("run").status == "interrupted"
    np.testing.assert_array_equal(tutti.load("run").predict_raw(wine), partial.predict_raw(wine))
    resumed = resume("run")
    assert Run.open("run").status == "finished"
    assert_same("whole", "run", weights_of)
    np.testing.assert_array_equal(tutti.load("run").predict_raw(wine), resumed.predict_raw(wine))
    comparison = rerun("run", out="again")[1]
    assert comparison["identical"] is True
    assert_same("run", "again", weights_of)


def test_a_fit_may_be_stopped_more_than_once(whole: int, wine_csv: Path, weights_of: Weights) -> None:
    tutti.fit(wine_csv, observer=Ctrl(3), **SEARCHED)
    resume("run", observer=Ctrl(4))
    assert Run.open("run").status == "interrupted"
    resume("run")
    assert_same("whole", "run", weights_of)


@pytest.mark.parametrize("at", [1, 12])
def test_a_fit_that_failed_goes_on_from_its_last_checkpoint(
    at: int, whole: int, wine_csv: Path, weights_of: Weights, checkpoint_always: None
) -> None:
    with pytest.raises(KilledError):
        tutti.fit(wine_csv, observer=Ctrl(at, kill=True), **SEARCHED)
    assert Run.open("run").status == "failed"
    with pytest.raises(InputError, match="tutti fit --resume run"):
        tutti.load("run")
    count = Count()
    resume("run", observer=count)
    assert len(count.boards) == whole - at + 1
    assert_same("whole", "run", weights_of)


def test_a_fit_killed_before_it_trained_begins_anew(wine_csv: Path, whole: int, weights_of: Weights) -> None:
    class Stop(Observer):
        def on_plan(self, lines: Any) -> None:
            raise KilledError

    with pytest.raises(KilledError):
        tutti.fit(wine_csv, observer=Stop(), **SEARCHED)
    resume("run")
    assert_same("whole", "run", weights_of)


@pytest.mark.parametrize("often", [True, False])
def test_the_log_of_a_resumed_run_has_everything_once(
    often: bool, whole: int, wine_csv: Path, request: pytest.FixtureRequest
) -> None:
    """Killed right after a checkpoint, and long after one."""
    if often:
        request.getfixturevalue("checkpoint_always")
    with pytest.raises(KilledError):
        tutti.fit(wine_csv, observer=Ctrl(whole - 1, kill=True), **SEARCHED)
    resume("run")
    logs = [[(e["event"], e["stage"], e["step"]) for e in Run(Path(f)).read_log()] for f in ("whole", "run")]
    assert logs[0] == logs[1]


def test_what_is_finished_or_was_changed_is_not_resumed(wine: pd.DataFrame, wine_csv: Path) -> None:
    tutti.fit(wine_csv, observer=Ctrl(2), **SEARCHED)
    changed = wine.copy()
    changed.loc[0, "alcohol"] += 1
    changed.to_csv(wine_csv, index=False)
    with pytest.raises(InputError, match="data have changed"):
        resume("run")
    with pytest.raises(InputError, match=r"was not finished.*--resume"):
        rerun("run")
    wine.to_csv(wine_csv, index=False)
    resume("run")
    with pytest.raises(InputError, match=r"finished.*tutti rerun"):
        resume("run")
    with pytest.raises(InputError, match="no run nowhere"):
        resume("nowhere")


def test_a_run_on_data_in_memory_is_resumed_with_the_data(
    wine: pd.DataFrame, whole: int, weights_of: Weights
) -> None:
    tutti.fit(wine, observer=Ctrl(2), **SEARCHED)
    with pytest.raises(InputError, match="data in memory"):
        resume("run")
    resume("run", source=wine)
    with pytest.raises(InputError, match="data in memory"):
        rerun("run")
    assert rerun("run", source=wine, out="again")[1]["identical"] is True


@pytest.mark.parametrize("options", [{"refit": True}, {"time": "bottled"}, {"test_size": 0}])
def test_every_ending_is_the_same_after_a_stop(
    options: dict[str, Any], wine_csv: Path, wine: pd.DataFrame, weights_of: Weights
) -> None:
    options = {**SEARCHED, **options, "learning_rates": [3e-3]}
    tutti.fit(wine_csv, **{**options, "out": "whole"})
    tutti.fit(wine_csv, observer=Ctrl(3), **options)
    assert len(tutti.load("run").predict(wine)) == len(wine)
    resume("run")
    assert_same("whole", "run", weights_of)


def test_a_resumed_run_has_time_left(wine_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A budget that was used up almost entirely leaves a resumed run ten seconds, not none."""
    tutti.fit(wine_csv, observer=Ctrl(2), budget=10, **SEARCHED)
    run = Run.open("run")
    checkpoint = run.latest_checkpoint()
    assert checkpoint is not None
    assert 0 < checkpoint.state["seconds"] < 10
    late = {**checkpoint.state, "seconds": 9.9}
    run.checkpoint(checkpoint.step, checkpoint.tensors, late)
    count = Count()
    model = resume("run", observer=count)
    assert not any("time" in d["why"] for d in Run.open("run").read_json("plan.json")["decisions"])
    assert count.boards[-1].seconds > 9.9  # seconds of both together
    assert model.result["seconds"] > 9.9


def test_a_resumed_run_does_not_tune_its_baselines_again(wine_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tutti.fit(wine_csv, observer=Ctrl(2), **{**SEARCHED, "baselines": True})
    told: list[Any] = []
    from tutti.learn import _fit

    before = _fit.run_baselines

    def spy(*arguments: Any) -> Any:
        told.append(arguments[-1])
        return before(*arguments)

    monkeypatch.setattr(_fit, "run_baselines", spy)
    second = resume("run")
    assert told[0].keys() == {"trivial", "linear", "boosted trees"}
    values = [[b["value"] for b in m.result["baselines"]] for m in (first, second)]
    np.testing.assert_allclose(values[0], values[1])


def test_a_raced_grid_does_not_grow_after_a_stop_either(
    wine_csv: Path, monkeypatch: pytest.MonkeyPatch, weights_of: Weights
) -> None:
    """A race picks one setting of the grid and trains it alone: its grid is not to grow."""
    from tutti.learn import _ladder

    monkeypatch.setattr(_ladder, "LADDER", _ladder.LADDER[-1:])
    tutti.fit(wine_csv, **{**SEARCHED, "out": "whole"})
    tutti.fit(wine_csv, observer=Ctrl(2), **SEARCHED)
    resume("run")
    assert "grow" not in {d["kind"] for d in Run.open("run").read_json("plan.json")["decisions"]}
    assert_same("whole", "run", weights_of)


def test_a_run_killed_while_its_last_files_were_written_goes_on(
    whole: int, wine_csv: Path, weights_of: Weights
) -> None:
    """Its status said finished, and it had no manifest yet: found by killing, see test_killed.py."""
    shutil.copytree("whole", "run")
    Path("run", ".unsealed").touch()
    Path("run", "manifest.json").unlink()
    resume("run")
    assert Run.open("run").sealed
    assert_same("whole", "run", weights_of)
