"""What a fit can be told, each option end to end."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import tutti
from tutti.core import InputError
from tutti.metrics import score

ONE = {"target": "cultivar", "drop": ["strong", "late", "dense"]}


def splits_of(model: Any) -> dict[str, torch.Tensor]:
    return load_file(model.run / "splits.safetensors")


def same(a: Any, b: Any) -> bool:
    """Whether two models of one shape hold the same weights."""
    first, second = (load_file(m.run / "model.safetensors") for m in (a, b))
    return all(torch.equal(first[name].nan_to_num(), second[name].nan_to_num()) for name in first)


def test_a_test_file_is_what_judges(wine: pd.DataFrame, place: Path, cheap: dict[str, Any]) -> None:
    test = wine.iloc[::5]
    wine.drop(test.index).to_csv("train.csv", index=False)
    test.to_csv("test.csv", index=False)
    model = tutti.fit("train.csv", test=place / "test.csv", **ONE, **cheap)
    assert model.result["test"]["n"] == len(test)
    assert model.result["data"]["rows"] == len(wine)
    np.testing.assert_array_equal(splits_of(model)["test"].numpy(), np.arange(len(wine) - len(test), len(wine)))
    assert model.score_ == pytest.approx(np.mean(model.predict(test) == test["cultivar"]))


def test_labels_that_differ_in_the_test_file_are_named(
    wine: pd.DataFrame, place: Path, cheap: dict[str, Any]
) -> None:
    test = wine.iloc[::5].assign(cultivar=lambda t: t["cultivar"] + ".")
    with pytest.raises(InputError, match=r"barbera\."):
        tutti.fit(wine, test=test, **ONE, **cheap)
    assert not (place / "runs").exists()


def test_time_order_judges_on_the_future_and_refits_one_network(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    model = tutti.fit(wine, **ONE, time="bottled", **cheap)
    days = pd.to_datetime(wine["bottled"]).to_numpy()
    rows = {name: tensor.numpy() for name, tensor in splits_of(model).items()}
    for fold in range(3):
        assert days[rows[f"fold.{fold}.train"]].max() < days[rows[f"fold.{fold}.validation"]].min()
    rest = np.setdiff1d(np.arange(len(wine)), rows["test"])
    assert days[rest].max() < days[rows["test"]].min()
    assert len(model.predictor.networks) == 1
    assert model.result["details"]["splits"]["kind"] == "time"
    np.testing.assert_array_equal(tutti.load(model.run).predict_raw(wine), model.predict_raw(wine))


def test_groups_never_stand_on_two_sides(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    owners = np.random.default_rng(1).integers(0, 30, len(wine))
    model = tutti.fit(wine.assign(owner=[f"h{o}" for o in owners]), **ONE, group="owner", **cheap)
    rows = splits_of(model)
    for fold in range(3):
        assert not set(owners[rows[f"fold.{fold}.train"]]) & set(owners[rows[f"fold.{fold}.validation"]])
        assert not set(owners[rows[f"fold.{fold}.train"]]) & set(owners[rows["test"]])
    assert model.result["test"]["unit"] == "group"
    assert "owner" not in model.schema.numbers
    assert len(model.predict(wine)) == len(wine)  # an entity is not needed to predict


def test_rows_of_weight_zero_do_not_count(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    weight = np.ones(len(wine))
    plain = tutti.fit(wine.assign(w=weight), **ONE, weight="w", out="plain", **cheap)
    trained = np.setdiff1d(np.arange(len(wine)), splits_of(plain)["test"].numpy())
    weight[trained[wine["cultivar"].to_numpy()[trained] == "barolo"]] = 0
    model = tutti.fit(wine.assign(w=weight), **ONE, weight="w", out="weighted", **{**cheap, "epochs": 20})
    assert "barolo" not in set(model.predict(wine))
    assert set(model.predict(wine)) == {"barbera", "grignolino"}


def test_the_unit_of_weights_changes_nothing(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    assert same(tutti.fit(wine, **ONE, **cheap), tutti.fit(wine.assign(w=8.0), **ONE, weight="w", **cheap))
    half = np.where(np.arange(len(wine)) % 2, 1.0, 0.25)
    models = [tutti.fit(wine.assign(w=half * unit), **ONE, weight="w", **cheap) for unit in (1, 2.0**-12)]
    assert same(*models)


def test_test_scores_are_weighted_by_the_weights_of_the_data(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    weight = np.random.default_rng(2).uniform(0.1, 3, len(wine))
    model = tutti.fit(wine.assign(w=weight), **ONE, weight="w", **cheap)
    test = splits_of(model)["test"].numpy()
    right = (model.predict(wine) == wine["cultivar"].to_numpy())[test]
    assert model.score_ == pytest.approx(np.average(right, weights=weight[test]))


def test_balanced_classes_lift_the_rare_one(cheap: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    y = np.where(random.random(400) < 0.15, "rare", "usual")
    data = {"x": random.normal(size=400) + (y == "rare"), "z": random.normal(size=400), "y": y}
    options = {**cheap, "epochs": 20}
    plain = tutti.fit(data, target="y", **options)
    even = tutti.fit(data, target="y", class_weight="balanced", **options)
    rare = list(plain.classes_).index("rare")
    assert even.predict_proba(data)[:, rare].mean() > plain.predict_proba(data)[:, rare].mean() + 0.1
    with pytest.raises(InputError, match="one class per row"):
        tutti.fit({"x": data["x"], "y": data["z"]}, target="y", class_weight="balanced", **options)


@pytest.mark.parametrize("name", ["linear", "mlp", "resmlp", "tabm"])
def test_every_model_fits_and_loads(name: str, wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    model = tutti.fit(wine, **ONE, model=name, **cheap)
    assert model.result["details"]["plan"][1].startswith(name)
    np.testing.assert_array_equal(tutti.load(model.run).predict_raw(wine), model.predict_raw(wine))


def test_a_models_own_options_are_kept(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    model = tutti.fit(wine, **ONE, model={"name": "mlp", "hidden": [7]}, **cheap)
    assert any(tuple(p.shape)[-2:-1] == (7,) for p in model.module_.parameters())
    np.testing.assert_array_equal(tutti.load(model.run).predict_raw(wine), model.predict_raw(wine))


def build(features: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(features, 8), nn.Tanh(), nn.Linear(8, outputs))


@pytest.mark.parametrize("how", ["function", "module"])
def test_a_network_of_your_own_trains_and_loads(how: str, cheap: dict[str, Any], place: Path) -> None:
    x = np.random.default_rng(0).uniform(-2, 2, size=(200, 3))
    given = build if how == "function" else build(3, 1)
    options = {**cheap, "epochs": 40, "learning_rates": [3e-2]}
    model = tutti.fit((x, x[:, 0] + x[:, 1] ** 2), model=given, out="run", **options)
    assert model.score_ < 0.6 * np.std(x[:, 0] + x[:, 1] ** 2)
    np.testing.assert_array_equal(tutti.load("run", model=given).predict_raw(x), model.predict_raw(x))
    with pytest.raises(InputError, match=r"network of your own.*tutti\.load\(folder, model="):
        tutti.load("run")
    with pytest.raises(InputError, match=r"not the one saved in run: '\(module\): Linear.*was"):
        tutti.load("run", model=lambda features, outputs: nn.Linear(features, outputs))
    with pytest.raises(
        InputError, match=r"'\(1\): ReLU\(\)' stands where '\(1\): Tanh\(\)' was"
    ):  # of the same shapes
        tutti.load("run", model=nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)))


def test_a_model_function_must_return_a_module(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"returned a int; expected a torch\.nn\.Module"):
        tutti.fit(wine, **ONE, model=lambda features, outputs: 3, **cheap)


@pytest.mark.parametrize(
    ("metric", "target"), [("auc", "strong"), ("log_loss", "cultivar"), ("mae", "proline"), ("r2", "proline")]
)
def test_the_metric_chooses_and_is_quoted(
    metric: str, target: str, wine: pd.DataFrame, cheap: dict[str, Any]
) -> None:
    drop = [c for c in ("strong", "late", "dense", "cultivar") if c != target]
    model = tutti.fit(wine, target=target, drop=drop, metric=metric, **cheap)
    assert model.result["test"]["metric"] == model.result["best"]["cv"]["metric"] == metric
    kept = load_file(model.run / "predictions.safetensors")
    expected = score(metric, kept["test.target"].numpy(), kept["test.prediction"].numpy())
    assert model.score_ == pytest.approx(expected.value)
    least, most = model.result["best"]["cv"]["low"], model.result["best"]["cv"]["high"]
    assert least <= model.result["best"]["cv"]["mean"] <= most


def test_a_metric_of_another_task_is_refused(wine: pd.DataFrame, cheap: dict[str, Any], place: Path) -> None:
    with pytest.raises(InputError, match="rmse does not suit a multiclass task"):
        tutti.fit(wine, **ONE, metric="rmse", **cheap)
    assert not (place / "runs").exists()


def test_refit_leaves_one_network(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    ensemble = tutti.fit(wine, **ONE, **cheap)
    assert len(ensemble.predictor.networks) == 3
    model = tutti.fit(wine, **ONE, refit=True, **cheap)
    assert len(model.predictor.networks) == 1
    assert model.result["best"] == ensemble.result["best"]
    np.testing.assert_array_equal(tutti.load(model.run).predict_raw(wine), model.predict_raw(wine))


def test_without_a_test_the_score_is_out_of_fold_and_corrected(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    model = tutti.fit(wine, **ONE, test_size=0, **{**cheap, "learning_rates": [1e-2, 1e-1], "baselines": True})
    result = model.result
    assert result["test"] is None
    optimism = result["details"]["optimism"]
    assert model.score_ == optimism["corrected"] <= result["best"]["cv"]["mean"] + 1e-12
    kept = load_file(model.run / "predictions.safetensors")
    np.testing.assert_array_equal(kept["out_of_fold.rows"].numpy(), np.arange(len(wine)))
    assert [b["name"] for b in result["baselines"]] == ["trivial", "linear", "boosted trees"]
    own = score("accuracy", kept["out_of_fold.target"].numpy(), kept["out_of_fold.prediction"].numpy()).value
    for baseline in result["baselines"]:
        assert baseline["difference"] == pytest.approx(own - baseline["value"])
    assert result["verdict"].startswith("No rows were held out")


def test_the_seed_decides_everything(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    runs = [tutti.fit(wine, **ONE, seed=seed, **cheap) for seed in (1, 1, 2)]
    first, again, other = (model.predict_raw(wine) for model in runs)
    np.testing.assert_array_equal(again, first)
    assert not np.allclose(other, first)


def test_folds_and_setting_are_followed(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    model = tutti.fit(wine, **ONE, setting={"dropout": 0.3}, optimizer="sgd", **{**cheap, "folds": np.int64(4)})
    assert len(model.predictor.networks) == 4
    assert model.result["best"]["dropout"] == 0.3
    assert "sgd" in model.result["details"]["plan"][1]
    with pytest.raises(InputError, match="axis of the grid"):
        tutti.fit(wine, **ONE, setting={"learning_rate": 0.1}, **cheap)


def test_evaluate_weighs_and_resamples_as_the_fit_did(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    random = np.random.default_rng(5)
    table = wine.assign(
        w=random.uniform(0.1, 3, len(wine)), owner=[f"h{i}" for i in random.integers(0, 25, len(wine))]
    )
    model = tutti.fit(table, **ONE, weight="w", group="owner", **cheap)
    judged = {found["metric"]: found for found in model.evaluate(table)["metrics"]}["accuracy"]
    right = (model.predict(table) == table["cultivar"]).to_numpy()
    assert judged["value"] == pytest.approx(np.average(right, weights=table["w"]))
    assert judged["unit"] == "group"
