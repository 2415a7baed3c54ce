"""What is read from a run folder: tracks that end where settings left, the step that was kept, whose score it is."""

from pathlib import Path
from typing import Any

import pytest

from tutti.report import write_report
from tutti.report._facts import read_facts
from tutti.runs import Run


def _row(rate: float, score: float | None, status: str) -> dict[str, Any]:
    return {"setting": {"learning_rate": rate}, "train_loss": score, "score": score, "status": status}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run.create(tmp_path / "r", "r")
    boards = [
        (10, [_row(0.1, 0.5, "training"), _row(0.2, 0.6, "training"), _row(0.3, 0.4, "training")]),
        (20, [_row(0.1, 0.7, "training"), _row(0.2, 0.61, "dropped"), _row(0.3, None, "diverged")]),
        (30, [_row(0.1, 0.65, "training"), _row(0.2, 0.61, "dropped")]),
        (30, [_row(0.1, 0.65, "finished")]),  # a later stage may show the same board again
    ]
    for step, rows in boards:
        run.append({"event": "board", "step": step, "rows": rows})
    run.append({"event": "decision", "kind": "drop", "step": 20, "settings": [], "why": "rung"})
    curves = {"step": [10, 20, 30], "train_score": [0.5, 0.75, 0.9], "score": [0.5, 0.7, None]}
    result = {"best": {"learning_rate": 0.1, "step": 20}, "fit_quality": "good", "details": {"curves": curves}}
    run.write_json("result.json", result)
    return run


def test_a_track_ends_where_its_setting_left(run: Run) -> None:
    tracks = {t.setting["learning_rate"]: t for t in read_facts(run.folder).tracks()}
    assert {rate: list(t.score) for rate, t in tracks.items()} == {
        0.1: [(10, 0.5), (20, 0.7), (30, 0.65)],
        0.2: [(10, 0.6), (20, 0.61)],
        0.3: [(10, 0.4)],
    }
    assert {rate: t.left for rate, t in tracks.items()} == {0.1: False, 0.2: True, 0.3: True}
    assert [rate for rate, t in tracks.items() if t.winner] == [0.1]


def test_the_kept_step_is_the_one_that_is_judged(run: Run) -> None:
    facts = read_facts(run.folder)
    assert facts.kept(facts.curve("train_score")) == (20, 0.75)
    assert facts.curve("score") == [(10, 0.5), (20, 0.7)]
    page = write_report(run.folder).read_text(encoding="utf8")
    assert "At step 20, the one that was kept" in page
    assert 'value="0.75"' in page


def test_without_a_kept_step_the_end_is_judged(run: Run) -> None:
    result = run.read_json("result.json")
    del result["best"]["step"]
    run.write_json("result.json", result)
    facts = read_facts(run.folder)
    assert facts.kept(facts.curve("train_score")) == (30, 0.9)
    assert "At the end, score was" in write_report(run.folder).read_text(encoding="utf8")


@pytest.mark.parametrize(
    ("metric", "better"), [("accuracy", True), ("rmse", False), ("r2", True), ("log_loss", False)]
)
def test_the_direction_of_a_metric_is_known_without_details(tmp_path: Path, metric: str, better: bool) -> None:
    run = Run.create(tmp_path / "r", "r")
    run.write_json("result.json", {"test": {"metric": metric, "value": 0.5}})
    facts = read_facts(run.folder)
    assert facts.metric == metric
    assert facts.higher_is_better is better
