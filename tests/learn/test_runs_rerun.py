"""A run repeated from its folder: the same numbers."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from sklearn.model_selection import KFold
from torch import nn

import tutti
from tutti.core import InputError
from tutti.learn import inspect, rerun
from tutti.runs import Run

ONE = {"target": "cultivar", "drop": ["strong", "late", "dense"]}
SEARCHED: dict[str, Any] = {
    "learning_rates": [3e-4, 1e-3, 3e-3],
    "weight_decays": [0.0, 0.1],
    "epochs": 5,
    "folds": 3,
    "baselines": False,
}


def weights(folder: Path | str) -> dict[str, torch.Tensor]:
    return load_file(Path(folder) / "model.safetensors")


def assert_identical(first: Path | str, second: Path | str, comparison: dict[str, Any]) -> None:
    assert comparison["identical"] is True
    assert comparison["largest_difference"] == 0
    assert comparison["score"][0] == comparison["score"][1]
    a, b = weights(first), weights(second)
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(b[name], a[name], rtol=0, atol=0, equal_nan=True)


def test_a_rerun_repeats_what_rungs_dropped_and_how_the_grid_grew(wine_csv: Path) -> None:
    first = tutti.fit(wine_csv, **ONE, **SEARCHED)
    plan = Run.open("runs/wine").read_json("plan.json")
    assert {"drop", "grow"} <= {d["kind"] for d in plan["decisions"]}
    second, comparison = rerun("runs/wine")
    assert second.run == Path("runs", "wine-2")
    assert_identical("runs/wine", "runs/wine-2", comparison)
    assert Run.open("runs/wine-2").read_json("plan.json") == plan
    for key in ("members", "best", "test", "fit_quality"):
        assert second.result[key] == first.result[key]


def test_a_rerun_repeats_what_the_clock_decided(wine_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that were dropped because the time was short are dropped again, with time enough."""
    from tutti.learn import _progress

    deadline = property(lambda clock: clock.began)  # long past when training begins
    with monkeypatch.context() as hurry:
        hurry.setattr(_progress.Clock, "deadline", deadline)
        tutti.fit(wine_csv, **ONE, **SEARCHED, out="run")
    decisions = Run.open("run").read_json("plan.json")["decisions"]
    assert [d["kind"] for d in decisions if "time" in d["why"]] == ["drop", "stop"]
    assert_identical("run", "again", rerun("run", out="again")[1])


@pytest.mark.parametrize(
    "options",
    [
        {"time": "bottled"},
        {"refit": True, "setting": {"dropout": 0.2, "label_smoothing": 0.1}},
        {"test_size": 0, "metric": "log_loss"},
        {"model": "tabm", "class_weight": "balanced", "folds": 4},
        {"model": {"name": "mlp", "hidden": [9]}, "optimizer": "sgd", "header": True, "seed": 7},
    ],
)
def test_every_kind_of_run_repeats(options: dict[str, Any], wine_csv: Path, cheap: dict[str, Any]) -> None:
    tutti.fit(wine_csv, **ONE, **{**cheap, **options}, out="run")
    assert_identical("run", "again", rerun("run", out="again")[1])


def test_a_diverging_rate_diverges_again(wine_csv: Path, cheap: dict[str, Any]) -> None:
    options = {**cheap, "learning_rates": [1e-2, 1e30], "optimizer": "sgd"}
    first = tutti.fit(wine_csv, **ONE, **options, out="run")
    assert first.result["members"]["diverged"] == 3
    assert [f["kind"] for f in first.result["findings"]].count("diverged") == 1
    message = next(f["message"] for f in first.result["findings"] if f["kind"] == "diverged")
    assert "is too high" in message or "overflow" in message
    assert_identical("run", "again", rerun("run", out="again")[1])


def test_baselines_are_repeated_not_tuned_again(wine_csv: Path, cheap: dict[str, Any]) -> None:
    first = tutti.fit(wine_csv, **ONE, **{**cheap, "baselines": True}, out="run")
    second, _ = rerun("run", out="again")
    for ours, theirs in zip(first.result["baselines"], second.result["baselines"], strict=True):
        assert theirs["name"] == ours["name"]
        assert theirs["value"] == pytest.approx(ours["value"])
    assert second.result["verdict"] == first.result["verdict"]


def test_a_test_file_is_read_again(wine: pd.DataFrame, cheap: dict[str, Any], place: Path) -> None:
    test = wine.iloc[::5]
    wine.drop(test.index).to_csv("train.csv", index=False)
    test.to_csv("test.csv", index=False)
    tutti.fit("train.csv", test="test.csv", **ONE, **cheap, out="run")
    assert_identical("run", "again", rerun("run", out="again")[1])


@pytest.mark.parametrize("change", ["a value", "a row less", "a column less", "gone"])
def test_changed_data_are_refused_and_nothing_is_left(
    change: str, wine: pd.DataFrame, wine_csv: Path, cheap: dict[str, Any], place: Path
) -> None:
    tutti.fit(wine_csv, **ONE, **cheap, out="run")
    other = wine.copy()
    if change == "a value":
        other.loc[3, "hue"] += 0.01
    elif change == "a row less":
        other = other.iloc[:-1]
    elif change == "a column less":
        other = other.drop(columns="hue")
    other.to_csv(wine_csv, index=False)
    if change == "gone":
        wine_csv.unlink()
    with pytest.raises(InputError, match="no file" if change == "gone" else "data have changed"):
        rerun("run", out="again")
    assert not (place / "again").exists()


def test_data_and_networks_in_memory_are_asked_for(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    tutti.fit(wine, **ONE, **cheap, out="frame")
    with pytest.raises(InputError, match=r"data in memory.*source=data"):
        rerun("frame")
    assert rerun("frame", source=wine, out="again")[1]["identical"] is True
    with pytest.raises(InputError, match="data have changed"):
        rerun("frame", source=wine.iloc[1:])

    def build(features: int, outputs: int) -> nn.Module:
        return nn.Linear(features, outputs)

    tutti.fit(wine, **ONE, **cheap, model=build, out="own")
    with pytest.raises(InputError, match=r"model as a Python object \(function\).*model=build"):
        rerun("own", source=wine)
    assert rerun("own", source=wine, model=build, out="own again")[1]["identical"] is True
    assert inspect("own", source=wine, model=build).rows > 0


def test_a_rerun_looks_at_the_same_test_rows_and_says_so(wine_csv: Path, cheap: dict[str, Any]) -> None:
    first = tutti.fit(wine_csv, **ONE, **cheap)
    assert "test-reused" not in {f["kind"] for f in first.result["findings"]}
    second = tutti.fit(wine_csv, **ONE, **cheap, seed=0)
    assert "test-reused" in {f["kind"] for f in second.result["findings"]}


def test_folds_that_were_given_are_kept(wine: pd.DataFrame, wine_csv: Path, cheap: dict[str, Any]) -> None:
    pairs = list(KFold(3, shuffle=True, random_state=4).split(wine))
    model = tutti.fit(wine_csv, **ONE, **{**cheap, "folds": pairs}, out="run")
    assert model.result["test"] is None
    kept = load_file("run/splits.safetensors")
    for number, (_, validation) in enumerate(pairs):
        np.testing.assert_array_equal(kept[f"fold.{number}.validation"].numpy(), validation)
    assert_identical("run", "again", rerun("run", out="again")[1])
    cheap["folds"] = KFold(3, shuffle=True, random_state=4)
    tutti.fit(wine_csv, **ONE, **cheap, out="splitter")
    assert_identical("splitter", "third", rerun("splitter", out="third")[1])


def test_a_gap_as_a_duration_and_rates_of_numpy_are_kept(wine_csv: Path, cheap: dict[str, Any]) -> None:
    options = {**cheap, "learning_rates": np.array([1e-2])}
    tutti.fit(wine_csv, **ONE, **options, time="bottled", gap=timedelta(days=3), out="run")
    assert Run.open("run").read_json("config.json")["options"]["learning_rates"] == [0.01]
    assert_identical("run", "again", rerun("run", out="again")[1])
