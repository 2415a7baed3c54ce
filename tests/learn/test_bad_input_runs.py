"""Run folders and places to write that are not as they should be: one clear error, nothing lost."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tutti
from tutti.core import InputError
from tutti.learn import resume
from tutti.runs import Run

Command = Callable[..., tuple[int, str, str]]
ONE = {"target": "cultivar", "drop": ["strong", "late", "dense"]}


@pytest.fixture(scope="session")
def fitted(wine: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, to be copied."""
    folder = tmp_path_factory.mktemp("fitted")
    wine.to_csv(folder / "wine.csv", index=False)
    cheap = {"learning_rates": [1e-2], "weight_decays": [0.0], "epochs": 4, "baselines": False}
    tutti.fit(folder / "wine.csv", **ONE, **cheap, out=str(folder / "run"))
    return folder / "run"


@pytest.fixture
def run(fitted: Path, place: Path, wine_csv: Path) -> Path:
    """A copy of the run in ./run, beside its data."""
    shutil.copytree(fitted, place / "run")
    return place / "run"


def assert_refused(said: tuple[int, str, str], *words: str) -> None:
    code, out, err = said
    assert code == 2, (code, out, err)
    for word in words:
        assert word in err, err
    assert "Traceback" not in out + err
    assert 1 <= len(err.strip().splitlines()) <= 12


# New data.


def test_predictions_follow_the_rows(command: Command, run: Path, wine: pd.DataFrame) -> None:
    code, out, err = command("predict", "run", "wine.csv")
    assert (code, err) == (0, "")
    lines = out.strip().split("\n")
    assert lines[0] == "prediction,probability_barbera,probability_barolo,probability_grignolino"
    assert [line.split(",")[0] for line in lines[1:]] == tutti.load("run").predict(wine).tolist()
    code, out, err = command("predict", "run", "wine.csv", "-o", "p.csv", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["out"] == "p.csv"
    assert Path("p.csv").read_text("utf8").strip().split("\n") == lines


def test_columns_in_another_order_or_without_the_target_change_nothing(
    command: Command, run: Path, wine: pd.DataFrame
) -> None:
    usual = command("predict", "run", "wine.csv")[1]
    wine[wine.columns[::-1]].to_csv("new.csv", index=False)
    assert command("predict", "run", "new.csv") == (0, usual, "")
    wine.drop(columns=["cultivar", "strong", "late", "dense"]).to_csv("new.csv", index=False)
    assert command("predict", "run", "new.csv") == (0, usual, "")


def test_missing_columns_are_named_with_the_nearest(command: Command, run: Path, wine: pd.DataFrame) -> None:
    wine.rename(columns={"alcohol": "alcool"}).to_csv("new.csv", index=False)
    for name in ("predict", "evaluate"):
        assert_refused(command(name, "run", "new.csv"), "lacks the column 'alcohol'", "'alcool'")
    wine.drop(columns=["hue", "ash"]).to_csv("new.csv", index=False)
    assert_refused(command("predict", "run", "new.csv", "-o", "p.csv"), "lacks the columns 'ash', 'hue'")
    assert not Path("p.csv").exists()


@pytest.mark.filterwarnings("default")
def test_columns_too_many_and_values_never_seen_are_noted(command: Command, run: Path, wine: pd.DataFrame) -> None:
    usual = command("predict", "run", "wine.csv")[1]
    wine.assign(price=1).to_csv("new.csv", index=False)
    code, out, err = command("predict", "run", "new.csv")
    assert (code, out) == (0, usual)
    assert err.startswith("Note: price: ")
    assert len(err.splitlines()) == 1
    wine.assign(soil="chalk").to_csv("new.csv", index=False)
    code, out, err = command("predict", "run", "new.csv")
    assert code == 0
    assert "soil: 178 rows hold values that the fitted data did not show ('chalk')" in err
    assert len(out.strip().split("\n")) == 179
    with pytest.warns(UserWarning, match="soil: 178 rows"):
        tutti.load("run").predict(wine.assign(soil="chalk"))


def test_cells_that_cannot_be_read_are_named(command: Command, run: Path, wine: pd.DataFrame) -> None:
    broken = wine.astype({"hue": object})
    broken.loc[4, "hue"] = "red"
    broken.to_csv("new.csv", index=False)
    assert_refused(command("predict", "run", "new.csv"), "Row 5 of the column 'hue' holds 'red'")


def test_rows_full_of_gaps_are_predicted(run: Path, wine: pd.DataFrame) -> None:
    empty = pd.DataFrame({column: [None, "?", "", "NA"] for column in wine.columns})
    assert np.isfinite(tutti.load("run").predict_proba(empty)).all()


def test_what_evaluate_needs_is_named(command: Command, run: Path, wine: pd.DataFrame) -> None:
    code, out, err = command("evaluate", "run", "wine.csv", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["rows"] == 178
    wine.drop(columns="cultivar").to_csv("new.csv", index=False)
    assert_refused(command("evaluate", "run", "new.csv"), "lacks the column 'cultivar'")
    wine.assign(cultivar=wine["cultivar"] + ".").to_csv("new.csv", index=False)
    assert_refused(command("evaluate", "run", "new.csv"), "barbera.")


@pytest.mark.filterwarnings("default")
def test_rows_without_a_target_are_not_judged(run: Path, wine: pd.DataFrame) -> None:
    part = wine.copy()
    part.loc[100:, "cultivar"] = None
    with pytest.warns(UserWarning, match="78 of 178 rows have no value of the target"):
        judged = tutti.load("run").evaluate(part)
    assert judged["rows"] == 100
    expected = tutti.load("run").evaluate(wine.iloc[:100])
    assert judged == expected


# Run folders.


@pytest.mark.parametrize("name", ["predict", "evaluate", "rerun"])
@pytest.mark.parametrize("file", ["model.safetensors", "result.json", "schema.json"])
def test_a_folder_that_was_tampered_with_is_refused(name: str, file: str, command: Command, run: Path) -> None:
    data = bytearray((run / file).read_bytes())
    data[len(data) // 2] ^= 1
    (run / file).write_bytes(data)
    data_too = [] if name == "rerun" else ["wine.csv"]
    assert_refused(command(name, "run", *data_too), file, "was changed after the run was sealed")


def test_a_folder_that_lacks_a_file_is_refused(command: Command, run: Path) -> None:
    (run / "model.safetensors").unlink()
    assert_refused(command("predict", "run", "wine.csv"), "model.safetensors", "missing")


def test_a_folder_that_lacks_its_manifest_is_refused(command: Command, run: Path) -> None:
    (run / "manifest.json").unlink()
    assert_refused(command("predict", "run", "wine.csv"), "manifest.json", "missing from this run")


def test_a_folder_without_its_seal_still_tells_damage(command: Command, run: Path) -> None:
    Run.open(run).set_status("interrupted")
    for name in ("model.safetensors", "model.json", "schema.json", "config.json"):
        whole = (run / name).read_bytes()
        (run / name).write_bytes(whole[: len(whole) // 2])
        assert_refused(command("predict", "run", "wine.csv"), name, "damaged")
        (run / name).write_bytes(whole)
    assert command("predict", "run", "wine.csv")[0] == 0


def test_weights_of_another_network_are_refused(command: Command, run: Path) -> None:
    Run.open(run).set_status("interrupted")
    described = json.loads((run / "model.json").read_text("utf8"))
    described["model"]["hidden"] = [3]
    (run / "model.json").write_text(json.dumps(described), "utf8")
    assert_refused(command("predict", "run", "wine.csv"), "do not fit the network")
    described["model"]["name"] = "mpl"
    (run / "model.json").write_text(json.dumps(described), "utf8")
    assert_refused(command("predict", "run", "wine.csv"), "Unknown model 'mpl'")


@pytest.mark.parametrize("command_line", [["predict", "run", "wine.csv"], ["rerun", "run"], ["report", "run"]])
def test_a_folder_of_a_newer_version_is_refused(command_line: list[str], command: Command, run: Path) -> None:
    head = json.loads((run / "run.json").read_text("utf8"))
    (run / "run.json").write_text(json.dumps(head | {"format": 99, "tutti": "9.0"}), "utf8")
    assert_refused(command(*command_line), "tutti 9.0", "format 99", "Update tutti")


def test_what_is_no_run_is_named_with_the_nearest(command: Command, run: Path, fitted: Path) -> None:
    assert_refused(command("predict", "rum", "wine.csv"), "There is no run rum", "Did you mean run?")
    assert_refused(command("predict", "wine.csv", "wine.csv"), "wine.csv is a file; expected a run folder")
    assert_refused(command("fit", "--resume", "run"), "finished", "tutti rerun")
    assert_refused(command("fit", "--resume", "run", "--seed", "3"), "takes no 'seed'")


# Places to write.


def test_an_existing_folder_is_never_overwritten(command: Command, run: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    said = command("fit", "wine.csv", "--target", "cultivar", "--out", "run")
    assert_refused(said, "run exists and is not empty", "never overwritten", "Choose another --out")
    assert_refused(command("rerun", "run", "--out", "run"), "never overwritten")
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_places_that_cannot_be_written_are_named(command: Command, run: Path) -> None:
    fit = ["fit", "wine.csv", "--target", "cultivar", "--out"]
    assert_refused(command(*fit, "wine.csv/run"), "wine.csv/run")
    assert_refused(command(*fit, "wine.csv"), "wine.csv is a file")
    assert_refused(command("predict", "run", "wine.csv", "-o", "nowhere/p.csv"), "nowhere/p.csv")
    assert_refused(command("predict", "run", "wine.csv", "-o", "run"), "run")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_named(command: Command, run: Path) -> None:
    locked = Path("locked")
    locked.mkdir(mode=0o500)
    said = command("fit", "wine.csv", "--target", "cultivar", "--out", "locked/run")
    assert_refused(said, "Cannot write locked/run", "Permission denied")


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EACCES])
def test_a_full_or_locked_disk_is_named_and_leaves_what_was_there(
    reason: int, command: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("p.csv").write_text("old", "utf8")

    def full(handle: int) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr("tutti.runs._atomic.os.fsync", full)
    words = "No space left" if reason == errno.ENOSPC else "Permission denied"
    assert_refused(command("predict", "run", "wine.csv", "-o", "p.csv"), words, "p.csv")
    assert Path("p.csv").read_text("utf8") == "old"
    assert_refused(command("fit", "wine.csv", "--target", "cultivar"), words, "wine")
    assert not [path for path in Path("runs").glob("*") if path.is_dir()]


def test_a_disk_that_fills_while_training_keeps_what_was_saved(
    wine_csv: Path, cheap: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    fsync = os.fsync

    def filling(handle: int) -> None:
        nonlocal written
        written += 1
        if written > 14:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr("tutti.runs._atomic.os.fsync", filling)
    with pytest.raises(InputError, match="No space left to write"):
        tutti.fit(wine_csv, **ONE, **cheap, out="run")
    monkeypatch.undo()
    os.chdir(wine_csv.parent)
    assert Run.open("run").status == "running"
    resume("run")
    assert Run.open("run").status == "finished"
