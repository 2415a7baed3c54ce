"""The estimators on frames: categories, dates, gaps, names, and rows that look different from those of fit."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.model_selection import cross_val_score

from tutti.learn import TuttiClassifier, TuttiRegressor
from tutti.models import MLP

CHEAP: dict[str, Any] = {
    "model": MLP(hidden=(16,)),
    "learning_rates": 2e-2,
    "weight_decays": 0.0,
    "epochs": 25,
    "folds": 3,
    "random_state": 0,
}
MAKERS = {"pandas": pd.DataFrame, "polars": pl.from_pandas, "arrow": pa.Table.from_pandas}


@pytest.fixture(scope="module")
def shops() -> pd.DataFrame:
    """Numbers, a category, a date and a boolean, with gaps."""
    rng = np.random.default_rng(0)
    rows = 120
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=rows),
            "city": rng.choice(["rome", "oslo", "lima"], rows),
            "opened": pd.Timestamp("2022-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), "D"),
            "corner": rng.random(rows) > 0.5,
        }
    )
    frame.loc[::7, "size"] = np.nan
    frame.loc[1::9, "city"] = None
    return frame


@pytest.fixture(scope="module")
def label(shops: pd.DataFrame) -> np.ndarray:
    return np.where(shops["city"].isin(["rome"]) | shops["corner"], "busy", "calm")


@pytest.fixture(scope="module")
def fitted(shops: pd.DataFrame, label: np.ndarray) -> TuttiClassifier:
    return TuttiClassifier(**CHEAP).fit(shops, label)


# catalogue: D1
@pytest.mark.parametrize("maker", MAKERS)
def test_every_make_of_frame_is_read_alike(
    maker: str, shops: pd.DataFrame, label: np.ndarray, fitted: TuttiClassifier
) -> None:
    frame = MAKERS[maker](shops)
    model = TuttiClassifier(**CHEAP).fit(frame, label)
    assert list(model.feature_names_in_) == list(shops.columns)
    assert model.n_features_in_ == 4
    np.testing.assert_allclose(model.predict_proba(frame), fitted.predict_proba(shops), rtol=0, atol=1e-6)
    assert model.score(frame, label) > 0.85


def test_frames_pass_through_cross_validation(shops: pd.DataFrame, label: np.ndarray) -> None:
    for frame in (shops, pl.from_pandas(shops)):
        scores = cross_val_score(TuttiClassifier(**{**CHEAP, "epochs": 60}), frame, label, cv=2, error_score="raise")
        assert scores.mean() > 0.7


def test_weights_of_zero_drop_rows_of_a_frame(shops: pd.DataFrame, label: np.ndarray) -> None:
    weight = np.r_[np.ones(100), np.zeros(20)]
    short = TuttiClassifier(**CHEAP).fit(shops.iloc[:100], label[:100])
    for maker in ("pandas", "polars"):
        frame = MAKERS[maker](shops)
        model = TuttiClassifier(**CHEAP).fit(frame, label, sample_weight=weight)
        np.testing.assert_array_equal(model.predict_proba(frame), short.predict_proba(shops))


def test_numbers_in_a_frame_are_as_in_an_array() -> None:
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(size=90), rng.integers(0, 3, 90), rng.random(90) > 0.5]
    X = np.c_[X, np.arange(90)]  # what the reader would take for an identifier
    frame = pd.DataFrame({"a": X[:, 0], "b": pd.array(X[:, 1], dtype="Int64"), "c": pd.array(X[:, 2] > 0)})
    frame["id"] = np.arange(90)
    frame.loc[3, ["b", "c"]] = pd.NA
    X[3, 1:3] = np.nan
    y = X[:, 0] + np.nan_to_num(X[:, 1])
    model = TuttiRegressor(**CHEAP).fit(frame, y)
    np.testing.assert_array_equal(model.predict(frame), TuttiRegressor(**CHEAP).fit(X, y).predict(X))
    assert list(model.feature_names_in_) == ["a", "b", "c", "id"]
    assert len(model.model_.schema.numbers) == 4


def test_kinds_make_a_column_of_numbers_a_category(shops: pd.DataFrame, label: np.ndarray) -> None:
    numbers = shops.assign(zone=np.arange(120) % 5)[["size", "zone"]]
    by_name = TuttiClassifier(**CHEAP, kinds={"zone": "category"}).fit(numbers, label)
    by_place = TuttiClassifier(**CHEAP, kinds={1: "category"}).fit(numbers.to_numpy(), label)
    for model, name in ((by_name, "zone"), (by_place, "1")):
        assert [c.name for c in model.model_.schema.categories] == [name]
    np.testing.assert_array_equal(by_name.predict_proba(numbers), by_place.predict_proba(numbers.to_numpy()))
    assert TuttiClassifier(**CHEAP).fit(numbers, label).model_.schema.categories == ()


def test_categories_never_seen_get_an_answer(shops: pd.DataFrame, fitted: TuttiClassifier) -> None:
    paris = fitted.predict_proba(shops.assign(city="paris"))
    assert np.isfinite(paris).all()
    np.testing.assert_array_equal(paris, fitted.predict_proba(shops.assign(city="quito")))
    assert not np.array_equal(paris, fitted.predict_proba(shops))


def test_one_row_is_answered_as_among_others(shops: pd.DataFrame, fitted: TuttiClassifier) -> None:
    together = fitted.predict_proba(shops)
    for row in (0, 1, 7):
        np.testing.assert_allclose(fitted.predict_proba(shops.iloc[[row]])[0], together[row], rtol=0, atol=1e-6)


def test_other_columns_than_in_fit_are_refused(shops: pd.DataFrame, fitted: TuttiClassifier) -> None:
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.predict(shops[shops.columns[::-1]])
    with pytest.raises(ValueError, match=r"yet now missing:\n- city"):
        fitted.predict(shops.drop(columns="city"))
    with pytest.raises(ValueError, match=r"unseen at fit time:\n- extra"):
        fitted.predict(shops.assign(extra=1))


def test_infinite_numbers_in_a_frame_are_refused(
    shops: pd.DataFrame, label: np.ndarray, fitted: TuttiClassifier
) -> None:
    broken = shops.assign(size=shops["size"].where(shops.index != 4, np.inf))
    with pytest.raises(ValueError, match=r"infinity .* in column 'size'"):
        TuttiClassifier(**CHEAP).fit(broken, label)
    with pytest.raises(ValueError, match=r"infinity .* in column 'size'"):
        fitted.predict(broken)


def test_columns_that_are_no_features_are_set_aside_and_told(shops: pd.DataFrame, label: np.ndarray) -> None:
    text = [f"a long remark about shop {i}, unlike any of the other {i * 7} remarks" for i in range(120)]
    model = TuttiClassifier(**CHEAP).fit(shops.assign(remark=text), label)
    assert "free-text" in [finding["kind"] for finding in model.result_["findings"]]
    assert model.n_features_in_ == 5
