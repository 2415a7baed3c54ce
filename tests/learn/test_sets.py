"""Sets through the one call: learned from a file, judged beside statistics, blind to the order of rows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tutti
from tutti import data
from tutti.core import Schema
from tutti.evaluation._features_sets import set_features
from tutti.learn import Model


def _events(sets: int = 300, seed: int = 0) -> pd.DataFrame:
    """Sets of 1 to 6 items; "big" where the items with the mark "a" add up to more than 1."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 7, sets)
    frame = pd.DataFrame(
        {
            "id": np.repeat([f"s{i}" for i in range(sets)], counts),
            "value": rng.uniform(0, 1, counts.sum()).round(6),
            "mark": rng.choice(["a", "b"], counts.sum()),
        }
    )
    total = (frame["value"] * (frame["mark"] == "a")).groupby(frame["id"]).sum()
    frame["label"] = frame["id"].map(total > 1).map({True: "big", False: "small"})
    return frame


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    folder = tmp_path_factory.mktemp("sets")
    _events().to_csv(folder / "events.csv", index=False)
    options: dict[str, Any] = {"learning_rates": [1e-2], "weight_decays": [0.0], "folds": 3, "epochs": 30}
    model = tutti.fit(folder / "events.csv", "label", set="id", out=folder / "run", **options)
    return model, folder


# catalogue: T8, D5
def test_sets_are_learned_beside_their_statistics(fitted: tuple[Model, Path]) -> None:
    _, folder = fitted
    result = json.loads((folder / "run" / "result.json").read_text(encoding="utf8"))
    assert result["data"]["rows"] == 300
    assert result["test"]["n"] == 60
    assert result["test"]["value"] > 0.85
    assert {b["name"] for b in result["baselines"]} >= {"linear", "boosted trees"}
    assert Schema.from_json(json.loads((folder / "run" / "schema.json").read_text(encoding="utf8"))).kind == "sets"


# catalogue: D5
def test_predictions_know_neither_the_order_of_rows_nor_padding(fitted: tuple[Model, Path]) -> None:
    model, folder = fitted
    new = _events(40, seed=5)
    expected = model.predict_proba(new)
    assert len(expected) == 40
    names = new["id"].drop_duplicates().tolist()
    moved = new.sample(frac=1, random_state=1)
    order = [moved["id"].drop_duplicates().tolist().index(name) for name in names]
    np.testing.assert_allclose(model.predict_proba(moved)[order], expected, rtol=1e-6, atol=1e-8)
    large = pd.concat([new, pd.DataFrame({"id": "large", "value": np.linspace(0, 1, 50), "mark": "a"})])
    np.testing.assert_allclose(model.predict_proba(large)[:40], expected, rtol=1e-5, atol=1e-6)
    again = tutti.load(folder / "run")
    assert np.array_equal(again.predict_proba(new), expected)


# catalogue: T8
def test_statistics_are_those_of_each_set() -> None:
    frame = _events(50)
    sample = data.read(frame, target="label", reading=data.Reading(set="id")).sample
    assert isinstance(sample, data.Sets)
    found = set_features(sample)
    grouped = frame.groupby("id", sort=False)["value"]
    own = [grouped.count(), grouped.sum(), grouped.mean(), grouped.std(ddof=0), grouped.min(), grouped.max()]
    place = sample.names.index("value")
    columns = [0, *(1 + k * len(sample.names) + place for k in range(5))]
    for column, values in zip(columns, own, strict=True):
        np.testing.assert_allclose(found[:, column], values.to_numpy(), rtol=1e-5, atol=1e-6)
    empty = data.read(([np.zeros((0, 1)), np.array([[2.0], [np.nan]])], [0, 1])).sample
    assert isinstance(empty, data.Sets)
    np.testing.assert_array_equal(set_features(empty), [[0, 0] + [np.nan] * 4, [1, 2, 2, 0, 2, 2]])


@pytest.mark.parametrize("name", ["attention", "settransformer"])
def test_other_families_are_named(name: str, cheap: dict[str, Any], place: Path) -> None:
    source = _events(60)
    model = tutti.fit(source, "label", set="id", model=name, **(cheap | {"folds": 2, "epochs": 1}))
    assert model.predict_proba(source).shape == (60, 2)
    if name == "attention":
        sample = data.read(source, target="label", reading=data.Reading(set="id")).sample
        assert isinstance(sample, data.Sets)
        shown = model.module_.attention(*sample.inputs())
        assert shown[sample.counts > 1].amax(1).eq(1).all()
