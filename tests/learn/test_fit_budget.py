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
from tutti.learn import _ladder


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
