"""The smallest budget on a middle-sized table: pytest -m slow -s -k ten_seconds prints its time."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tutti
from tutti.learn import _ladder, _progress
from tutti.learn._progress import Clock


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["regression", "classes"])
def test_ten_seconds_still_beat_the_trivial_prediction(kind: str, place: Path) -> None:
    rows = 20_000
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 20))
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.3 * random.normal(size=rows)
    table = pd.DataFrame(x, columns=[f"x{i}" for i in range(20)])
    table["y"] = y if kind == "regression" else np.array(["low", "middle", "high"])[np.digitize(y, [-0.7, 0.7])]
    table.to_csv("table.csv", index=False)
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tutti", "fit", "table.csv", "--target", "y", "--budget", "10s", "--json"],
        capture_output=True, text=True, check=False, encoding="utf8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    result = json.loads(done.stdout)
    trivial = result["baselines"][0]
    better = trivial["difference"] < 0 if kind == "regression" else trivial["difference"] > 0
    assert better, result["verdict"]
    print(f"{kind}, {rows:,} rows: {seconds:.1f} s of wall time, {result['seconds']:.1f} s by its own clock")


def test_a_hold_out_of_one_group_in_place_of_all_folds_is_said(
    cheap: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five groups: the test takes one, each fold another; all folds together have an interval, one alone has none."""
    random = np.random.default_rng(0)
    table = pd.DataFrame({"x": random.normal(size=100), "y": random.normal(size=100), "who": np.arange(100) % 5})

    def said(out: str) -> list[str]:
        tutti.fit(table, target="y", group="who", out=out, **cheap)
        result = json.loads(Path(out, "result.json").read_text(encoding="utf8"))
        return [f["where"] for f in result["findings"] if f["kind"] == "one-group"]

    cheap["folds"] = 4
    assert said("all") == ["test"]
    monkeypatch.setattr(_ladder, "LADDER", _ladder.LADDER[4:5])  # one hold-out
    assert said("one") == ["test", "hold-out"]


def test_a_busy_machine_has_more_time_kept_for_the_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process worked for 3.2 s of the 4 s that it has run: whatever comes last will take longer, too."""
    monkeypatch.setattr(_progress.time, "monotonic", lambda: 104.0)
    monkeypatch.setattr(_progress.time, "process_time", lambda: 3.2)
    quiet, busy = Clock.start(20.0), Clock.start(20.0, 100.0)
    assert busy.seconds == 4.0
    assert busy.ending == 1.25 * quiet.ending
    assert busy.deadline == 120 - busy.ending
    assert Clock.start(20.0, 103.0).ending == quiet.ending  # two threads at work


def run_python(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the clock begins with the first import")
def test_the_clock_of_a_command_begins_with_its_process() -> None:
    before = time.monotonic()  # one clock for all processes
    first, began = map(
        float,
        run_python(
            "import time; print(time.monotonic()); time.sleep(0.1)\n"
            "from tutti.cli._start import process_began; print(process_began())"
        ),
    )
    tick = 1.5 / os.sysconf("SC_CLK_TCK")
    assert before - tick <= began <= first


def test_the_end_of_a_command_does_not_look_for_cycles() -> None:
    code = "import atexit, gc, sys; sys.argv = ['tutti', '--version']; from tutti.cli import main\n"
    assert (
        run_python(code + "atexit.register(lambda: print(gc.get_count()[0] < gc.get_freeze_count())); main()")[-1]
        == "True"
    )
