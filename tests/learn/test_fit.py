"""One call from a CSV to a judged and saved model, for every task."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import tutti
from tutti.core import InputError, Observer
from tutti.learn import Model
from tutti.metrics import score

TARGETS = ["strong", "late", "dense", "cultivar"]
KINDS: dict[str, dict[str, Any]] = {
    "regression": {"target": "proline", "drop": TARGETS},
    "several outputs": {"target": ["alcohol", "proline"], "drop": TARGETS},
    "binary": {"target": "strong", "drop": ["late", "dense", "cultivar"]},
    "multiclass": {"target": "cultivar", "drop": ["strong", "late", "dense"]},
    "multilabel": {"target": ["late", "dense"], "drop": ["strong", "cultivar"]},
}
KEYS = {
    "run", "task", "data", "members", "best", "test", "baselines", "fit_quality", "findings", "verdict", "seconds",
    "details",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_task_goes_from_a_csv_to_predictions(
    kind: str, wine: pd.DataFrame, wine_csv: Path, cheap: dict[str, Any]
) -> None:
    # catalogue: T1
    model = tutti.fit(wine_csv, **KINDS[kind], **cheap)
    assert model.task.kind == {"several outputs": "regression"}.get(kind, kind)
    _check_result(model, wine)
    _check_predictions(model, wine, wine_csv)
    _check_loaded(model, wine)
    judged = model.evaluate(wine_csv)
    assert judged["rows"] == len(wine)
    assert judged["metric"] == model.result["best"]["cv"]["metric"]
    assert {"metric", "value", "low", "high", "n"} <= judged["metrics"][0].keys()


def _check_result(model: Model, wine: pd.DataFrame) -> None:
    result = model.result
    assert result.keys() == KEYS
    assert result["run"] == str(model.run) == str(Path("runs", "wine"))
    assert result["task"] == model.task.kind
    known = {"kind": "table", "rows": len(wine), "columns": len(wine.columns), "source": "wine.csv"}
    assert result["data"] == known
    assert result["members"] == {"trained": 3, "dropped": 0, "diverged": 0}
    assert result["best"]["learning_rate"] == 0.01
    cv, test = result["best"]["cv"], result["test"]
    assert cv["low"] <= cv["mean"] <= cv["high"]
    assert test["low"] <= test["value"] <= test["high"]
    assert (test["n"], test["metric"]) == (36, cv["metric"])
    assert model.score_ == test["value"]
    assert result["fit_quality"] in ("under", "good", "over")
    assert result["seconds"] > 0
    assert all({"kind", "where", "message", "severity"} == f.keys() for f in result["findings"])
    assert json.loads((Path(result["run"]) / "result.json").read_text("utf8")).keys() == KEYS


def _check_predictions(model: Model, wine: pd.DataFrame, path: Path) -> None:
    assert model.write_predictions(path, "predictions.csv") == len(wine)
    written = pd.read_csv("predictions.csv")
    assert len(written) == len(wine)
    names = list(model.task.names)
    several = [f"prediction_{name}" for name in names] if len(names) > 1 else ["prediction"]
    proba = [] if model.task.kind == "regression" else [f"probability_{c}" for c in model.task.classes]
    assert list(written.columns) == several + proba
    answers = np.asarray(model.predict(wine)).reshape(len(wine), -1)
    if model.task.kind == "regression":
        np.testing.assert_allclose(written[several].to_numpy(), answers, rtol=1e-5)
        with pytest.raises(InputError, match="no probabilities"):
            model.predict_proba(wine)
        return
    assert written[several].astype(str).to_numpy().tolist() == answers.astype(str).tolist()
    probabilities = model.predict_proba(wine)
    np.testing.assert_allclose(written[proba].to_numpy(), probabilities, atol=1e-6)
    if model.task.kind != "multilabel":
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        assert [model.classes_[i] for i in probabilities.argmax(axis=1)] == answers[:, 0].tolist()


def _check_loaded(model: Model, wine: pd.DataFrame) -> None:
    """A loaded model is the same to the bit, for rows in any order and one at a time."""
    again = tutti.load(model.run)
    raw = model.predict_raw(wine)
    np.testing.assert_array_equal(again.predict_raw(wine), raw)
    np.testing.assert_allclose(again.predict_raw(wine.iloc[::-1]), raw[::-1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(again.predict_raw(wine.iloc[3:4]), raw[3:4], rtol=1e-4, atol=1e-5)
    assert again.result == json.loads((model.run / "result.json").read_text("utf8"))


class Ear(Observer):
    """Writes down what it hears of."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("on_"):
            return lambda *_: self.heard.append(name)
        return super().__getattribute__(name)


def test_a_network_learns_what_there_is_to_learn(wine_csv: Path, cheap: dict[str, Any]) -> None:
    ear = Ear()
    model = tutti.fit(wine_csv, target="cultivar", observer=ear, **{**cheap, "epochs": 30, "baselines": True})
    stages = ["on_read", "on_task", "on_baseline", "on_plan", "on_board", "on_result"]
    assert list(dict.fromkeys(ear.heard)) == stages
    assert model.score_ > 0.85
    names = [b["name"] for b in model.result["baselines"]]
    assert names == ["trivial", "linear", "boosted trees"]
    trivial = model.result["baselines"][0]
    assert trivial.keys() == {"name", "value", "low", "high", "difference", "difference_low", "difference_high"}
    assert trivial["difference"] == pytest.approx(model.score_ - trivial["value"])
    assert trivial["difference_low"] > 0
    assert "network is" in model.result["verdict"]


def test_the_quoted_score_is_that_of_the_saved_model_on_the_test_rows(
    wine: pd.DataFrame, wine_csv: Path, cheap: dict[str, Any]
) -> None:
    model = tutti.fit(wine_csv, target="proline", drop=TARGETS, **cheap)
    kept = _tensors(model, "predictions")
    rows = kept["test.rows"].numpy()
    again = model.predict_raw(wine.iloc[rows])
    np.testing.assert_allclose(again, kept["test.prediction"].numpy(), rtol=1e-4, atol=1e-4)
    target = wine["proline"].to_numpy(np.float32)[rows, None]
    assert model.score_ == pytest.approx(float(np.sqrt(np.mean((target - again) ** 2))), rel=1e-5)
    splits = _tensors(model, "splits")
    np.testing.assert_array_equal(splits["test"].numpy(), rows)
    out = kept["out_of_fold.rows"].numpy()
    np.testing.assert_array_equal(np.sort(np.concatenate([rows, out])), np.arange(len(wine)))


def _tensors(model: Model, name: str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(model.run / f"{name}.safetensors")


def test_default_names_count_up_and_an_existing_folder_is_never_overwritten(
    wine_csv: Path, cheap: dict[str, Any]
) -> None:
    runs = [tutti.fit(wine_csv, target="cultivar", **cheap).run for _ in range(2)]
    assert runs == [Path("runs", "wine"), Path("runs", "wine-2")]
    with pytest.raises(InputError, match="never overwritten"):
        tutti.fit(wine_csv, target="cultivar", out=str(runs[0]), **cheap)
    assert Path(runs[0], "model.safetensors").is_file()


# Statistics are fitted on training rows alone.


def test_test_rows_change_neither_weights_nor_validation_scores(
    wine: pd.DataFrame, cheap: dict[str, Any], weights_of: Callable[[Any], dict[str, torch.Tensor]]
) -> None:
    # catalogue: D6
    first = tutti.fit(wine, target="cultivar", out="first", **cheap)
    other = wine.copy()
    test = _tensors(first, "splits")["test"].numpy()
    numbers = ["alcohol", "malic_acid", "ash", "magnesium", "flavanoids", "hue", "proline"]
    other.loc[test, numbers] = other.loc[test, numbers] * 1000 - 5
    other.loc[test, "soil"] = other.loc[test, "soil"].replace({"clay": "sand", "sand": "clay"})
    second = tutti.fit(other, target="cultivar", out="second", **cheap)
    np.testing.assert_array_equal(_tensors(second, "splits")["test"].numpy(), test)
    assert second.result["test"] != first.result["test"]
    _same_training(first, second, weights_of)


def test_a_test_file_changes_neither_weights_nor_validation_scores(
    wine: pd.DataFrame, cheap: dict[str, Any], weights_of: Callable[[Any], dict[str, torch.Tensor]]
) -> None:
    # catalogue: D6
    test = wine.iloc[::4].copy()
    first = tutti.fit(wine.drop(test.index), target="cultivar", test=test, out="first", **cheap)
    test["soil"], test["ash"], test["hue"] = "chalk", np.nan, 1e6
    second = tutti.fit(wine.drop(test.index), target="cultivar", test=test, out="second", **cheap)
    assert second.result["test"] != first.result["test"]
    _same_training(first, second, weights_of)


def _same_training(first: Model, second: Model, weights_of: Callable[[Any], dict[str, torch.Tensor]]) -> None:
    assert second.result["best"] == first.result["best"]
    assert second.result["details"]["curves"] == first.result["details"]["curves"]
    a, b = weights_of(first.run), weights_of(second.run)
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(b[name], a[name], rtol=0, atol=0, equal_nan=True)


def test_validation_rows_do_not_scale_their_own_fold(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    # catalogue: D6
    model = tutti.fit(wine, target="cultivar", out="run", **cheap)
    splits = _tensors(model, "splits")
    other = wine.copy()
    held = splits["fold.0.validation"].numpy()
    other.loc[held, "alcohol"] = 1e5
    second = tutti.fit(other, target="cultivar", out="second", **cheap)
    a, b = (_tensors(m, "model") for m in (model, second))
    moved = {n.split(".")[0] for n in a if ".front." in n and not torch.equal(a[n].nan_to_num(), b[n].nan_to_num())}
    assert moved == {"1", "2"}


def test_scores_use_the_metrics_of_the_metrics_room(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    model = tutti.fit(wine, target="cultivar", metric="log_loss", **cheap)
    kept = _tensors(model, "predictions")
    value = score("log_loss", kept["test.target"].numpy(), kept["test.prediction"].numpy()).value
    assert model.score_ == pytest.approx(value)
