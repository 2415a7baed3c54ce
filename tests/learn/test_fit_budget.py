"""The smallest budget on a middle-sized table: pytest -m slow -s -k ten_seconds prints its time."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


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
