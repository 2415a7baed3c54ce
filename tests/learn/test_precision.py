"""The precision of products, and how processes share a population, as options of a fit."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tutti
from tutti.core import InputError
from tutti.learn._options import Options
from tutti.training import Plan

ONE = {"target": "cultivar", "drop": ["strong", "late", "dense"]}


def plan_of(folder: Path) -> Plan:
    return Plan.from_json(json.loads((folder / "plan.json").read_text(encoding="utf8"))["plan"])


def test_a_fit_in_bfloat16_says_so_and_runs_again(wine: pd.DataFrame, place: Path, cheap: dict[str, Any]) -> None:
    model = tutti.fit(wine, out=place / "a", precision="bfloat16", **ONE, **cheap)
    assert plan_of(model.run).precision == "bfloat16"
    told = json.loads((model.run / "result.json").read_text(encoding="utf8"))["details"]["plan"]
    assert any("products in bfloat16" in line for line in told)
    assert plan_of(tutti.fit(wine, out=place / "b", **ONE, **cheap).run).precision == "float32"


def test_unknown_names_are_told() -> None:
    with pytest.raises(InputError, match=r"(?s)precision.*'bfloat16'"):
        Options(precision="bfloat")
    with pytest.raises(InputError, match=r"(?s)way across processes.*'sharded'"):
        Options(across="shard")
    with pytest.raises(InputError, match=r"(?s)way across processes.*'fully_sharded'"):
        Options(across="full_sharded")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("across", "what"), [("sharded", "every batch"), ("fully_sharded", "every batch and the weights")]
)
def test_two_processes_share_a_fit(tmp_path: Path, across: str, what: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tutti"]
    options = ["--learning-rate", "0.003", "--weight-decay", "0.01", "--epochs", "10", "--budget", "20s"]
    done = subprocess.run(
        [*command, "fit", "iris", "--across", across, *options, "--out", str(tmp_path / "run")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert plan_of(tmp_path / "run").across == across
    assert f"{what} divided over the processes" in done.stdout
