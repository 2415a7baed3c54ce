"""Fits that end early or elsewhere: what the folder says of them, and where its data are found again."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tutti
from tutti.core import InputError, Interrupted
from tutti.learn import rerun, resume
from tutti.runs import Run

Command = Callable[..., tuple[int, str, str]]
ONE = {"target": "cultivar", "drop": ["strong", "late", "dense"]}
LINE = ["--target", "cultivar", "--learning-rate", "0.01", "--weight-decay", "0", "--epochs", "4", "--folds", "3"]


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_a_taken_folder_is_refused_before_anything_is_read(
    wine_csv: Path, cheap: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tutti.fit(wine_csv, **ONE, **cheap, out="run")
    monkeypatch.setattr("tutti.learn._fit.declare", raising(AssertionError("read")))
    monkeypatch.setattr("tutti.learn._repeat.declare", raising(AssertionError("read")))
    for call in (lambda: tutti.fit(wine_csv, **ONE, out="run"), lambda: rerun("run", out="run")):
        with pytest.raises(InputError, match="run exists and is not empty"):
            call()
    assert not Path("free").exists()
    with pytest.raises(AssertionError, match="read"):
        tutti.fit(wine_csv, **ONE, out="free")
    assert not Path("free").exists()


@pytest.mark.parametrize("stage", ["run_baselines", "assess", "write_report"])
def test_a_failure_is_told_in_the_folder_and_the_run_goes_on(
    stage: str, wine_csv: Path, cheap: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"tutti.learn._fit.{stage}", raising(ZeroDivisionError("a fault")))
    with pytest.raises(ZeroDivisionError):
        tutti.fit(wine_csv, **ONE, **cheap, out="run")
    monkeypatch.undo()
    os.chdir(wine_csv.parent)
    told = Run.open("run").summary()
    assert (told.status, told.reason) == ("failed", "ZeroDivisionError: a fault")
    if stage == "run_baselines":
        with pytest.raises(InputError, match=r"its training failed \(ZeroDivisionError: a fault\).*--resume run"):
            tutti.load("run")
    resume("run")
    told = Run.open("run").summary()
    assert (told.status, told.reason) == ("finished", "")


def test_ctrl_c_before_training_is_told_in_the_folder(
    wine_csv: Path, cheap: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tutti.learn._fit.run_baselines", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        tutti.fit(wine_csv, **ONE, **cheap, out="run")
    assert Run.open("run").status == "interrupted"


def test_ctrl_c_while_judging_saves_the_model_and_says_so(
    wine: pd.DataFrame, wine_csv: Path, cheap: dict[str, Any], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    # catalogue: L7
    with monkeypatch.context() as late:
        late.setattr("tutti.learn._fit.assess", raising(KeyboardInterrupt()))
        code, out, err = command("fit", "wine.csv", *LINE, "--out", "run", "--quiet")
        assert code == 130, (out, err)
        assert "Interrupted before it was judged. The model is saved in run and may be used." in err
        assert "tutti fit --resume run" in err
        with pytest.raises(Interrupted):
            tutti.fit(wine_csv, **ONE, **cheap, out="other")
    assert Run.open("run").status == "interrupted"
    model = tutti.load("run")
    assert len(model.predict(wine)) == len(wine)
    assert model.evaluate(wine)["metric"] == "accuracy"
    with pytest.raises(InputError, match="before it was judged"):
        _ = model.score_
    assert resume("run").result["test"]["n"] == 36
    assert Run.open("run").status == "finished"


def test_a_run_finds_its_data_from_another_folder_and_after_both_have_moved(
    wine: pd.DataFrame, cheap: dict[str, Any], place: Path
) -> None:
    there = place / "there"
    there.mkdir()
    wine.iloc[::5].to_csv(there / "test.csv", index=False)
    wine.drop(wine.index[::5]).to_csv(there / "train.csv", index=False)
    os.chdir(there)
    tutti.fit("train.csv", test=Path("test.csv"), **ONE, **cheap, out="run")
    kept = Run.open("run").read_json("config.json")
    assert kept["source"] == {"file": "../train.csv"}
    assert kept["options"]["test"] == {"file": "../test.csv"}
    assert str(place) not in Path("run", "report.html").read_text("utf8")
    os.chdir(place)
    assert rerun("there/run", out="again")[1]["identical"] is True
    shutil.move(there, place / "moved")
    os.chdir(place / "moved" / "run")
    assert rerun(".", out=place / "third")[1]["identical"] is True
    assert rerun(place / "third", out=place / "fourth")[1]["identical"] is True


def test_a_bundled_name_stays_a_name(cheap: dict[str, Any]) -> None:
    tutti.fit("iris", **cheap, out="run")
    assert Run.open("run").read_json("config.json")["source"] == "iris"
    assert rerun("run", out="again")[1]["identical"] is True
