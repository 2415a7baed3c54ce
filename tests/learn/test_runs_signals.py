"""Ctrl-C and kill -9 of `python -m tutti fit`, from outside."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import tutti
from tutti.learn import resume
from tutti.runs import Run

ARGUMENTS = [
    "fit", "wine.csv", "--target", "proline", "--drop", "strong", "--drop", "late", "--drop", "dense",
    "--drop", "cultivar", "--learning-rate", "0.003", "--learning-rate", "0.01", "--weight-decay", "0",
    "--out", "run",
]  # fmt: skip


@pytest.fixture
def started(wine_csv: Path) -> "subprocess.Popen[str]":
    """A fit of hundreds of passes that has just trained the first segment."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tutti", *ARGUMENTS, "--epochs", "200", "--no-rungs"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf8", env=environment,
    )  # fmt: skip
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if Path("run", "log.jsonl").exists():
            return process
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"the fit did not begin to train: {process.communicate()}")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_saves_the_best_so_far_and_says_how_to_go_on(
    started: "subprocess.Popen[str]", wine: pd.DataFrame
) -> None:
    # catalogue: L7
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=120)
    assert started.returncode == 130, (out, err)
    assert "tutti fit --resume run" in err
    assert "Traceback" not in out + err
    run = Run.open("run")
    assert run.status == "interrupted"
    assert run.latest_checkpoint() is not None
    assert len(tutti.load("run").predict(wine)) == len(wine)
    assert Path("run", "report.html").is_file()
    result = run.read_json("result.json")
    assert result["test"]["n"] == 36


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_after_a_kill_the_folder_is_readable_and_the_run_goes_on(
    started: "subprocess.Popen[str]", wine_csv: Path
) -> None:
    started.kill()
    started.communicate(timeout=60)
    assert started.returncode == -signal.SIGKILL
    run = Run.open("run")
    assert run.status == "running"
    assert all(run.read_json(f"{name}.json") for name in ("config", "schema", "task", "splits", "plan"))
    begun = [e["step"] for e in run.read_log() if e["event"] == "board"]
    assert begun == sorted(begun)
    model = resume("run")
    assert Run.open("run").status == "finished"
    assert model.result["test"]["n"] == 36
