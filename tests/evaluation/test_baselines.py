"""Baselines: what they equal, what they never see, and that an allowance of time only takes things away."""

from typing import ClassVar

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, root_mean_squared_error
from sklearn.model_selection import KFold, StratifiedKFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tutti.core import Fold, InputError, Splits
from tutti.evaluation import Baseline, fit_baselines
from tutti.evaluation._baselines import _grow

RNG = np.random.default_rng(0)
LINEAR = {"alpha": 1.0, "C": 1.0, "tune_rows": None, "tune_folds": 1, "fit_rows": None}


def split(rows: int, test: int, folds: int = 3, by: np.ndarray | None = None) -> Splits:
    train, held = np.arange(rows - test), np.arange(rows - test, rows)
    maker = KFold(folds) if by is None else StratifiedKFold(folds)
    parts = tuple(Fold(train=a, validation=b) for a, b in maker.split(train, None if by is None else by[train]))
    return Splits(kind="random", rows=rows, test=held, folds=parts, unit="row", units=np.arange(rows))


def table(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    numbers = RNG.normal(size=(rows, 4)).astype(np.float32)
    signal = numbers[:, 0] + np.where(numbers[:, 1] > 0, 1.0, -1.0)
    numbers[RNG.random(numbers.shape) < 0.1] = np.nan
    codes = RNG.integers(2, 6, (rows, 2))
    return numbers, codes, signal + (codes[:, 0] == 3)


def fit(*args: np.ndarray, **options: object) -> dict[str, Baseline]:
    return {baseline.name: baseline for baseline in fit_baselines(*args, **options)}  # type: ignore[arg-type]


# catalogue: E10
def test_linear_regression_equals_a_pipeline_of_scikit_learn() -> None:
    numbers, _, signal = table(300)
    target = (signal + 0.3 * RNG.normal(size=300))[:, None].astype(np.float32)
    splits = split(300, 60)
    codes = np.zeros((300, 0), np.int64)
    found = fit(numbers, codes, target, kind="regression", outputs=1, splits=splits, metric="rmse", out_of_fold=True)[
        "linear"
    ]

    def reference(alpha: float, train: np.ndarray, other: np.ndarray) -> np.ndarray:
        fill = SimpleImputer(add_indicator=True)
        pipe = make_pipeline(fill, StandardScaler(), Ridge(alpha=alpha)).fit(numbers[train], target[train])
        return pipe.predict(numbers[other]).reshape(-1, 1)

    alpha = found.settings["alpha"]
    np.testing.assert_allclose(found.test, reference(alpha, splits.train, splits.test), rtol=1e-5, atol=1e-6)
    expected = np.concatenate([reference(alpha, f.train, f.validation) for f in splits.folds])
    np.testing.assert_allclose(found.out_of_fold, expected, rtol=1e-5, atol=1e-6)
    each = [root_mean_squared_error(target[f.validation], expected[f.validation]) for f in splits.folds]
    np.testing.assert_allclose(found.cv_score, np.mean(each), rtol=1e-6)
    for other in (alpha / 100, alpha * 100):
        predicted = [reference(other, f.train, f.validation) for f in splits.folds]
        each = [
            root_mean_squared_error(target[f.validation], p) for f, p in zip(splits.folds, predicted, strict=True)
        ]
        assert found.cv_score <= 1.01 * np.mean(each)


# catalogue: E10
def test_digits_reach_what_scikit_learn_reaches() -> None:
    x, y = load_digits(return_X_y=True)
    x, y = x[:900], y[:900]
    splits = split(900, 200, by=y)
    found = fit(
        x.astype(np.float32), np.zeros((900, 0), np.int64), y,
        kind="multiclass", outputs=10, splits=splits, metric="accuracy", seconds=4,
    )  # fmt: skip
    assert list(found) == ["trivial", "linear", "boosted trees"]
    train, test = splits.train, splits.test
    plain = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(x[train], y[train])
    assert accuracy_score(y[test], found["linear"].test.argmax(1)) >= plain.score(x[test], y[test]) - 0.03
    assert accuracy_score(y[test], found["boosted trees"].test.argmax(1)) >= 0.85
    np.testing.assert_allclose(found["boosted trees"].test.sum(1), 1)
    frequencies = np.bincount(y[train]) / len(train)
    np.testing.assert_allclose(found["trivial"].test, np.tile(frequencies, (200, 1)))
    assert found["linear"].out_of_fold is None


# catalogue: E10
@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass", "multilabel"])
def test_every_kind_of_task_with_numbers_categories_weights_and_rare_things(kind: str) -> None:
    rows = 240
    numbers, codes, signal = table(rows)
    numbers[:, 3] = np.nan  # a column without values
    codes[:3, 1] = 0  # never seen
    codes[3:6, 1] = 1  # missing
    numbers[7, 0] = np.inf
    splits = split(rows, 40)
    outputs = {"regression": 2, "binary": 1, "multiclass": 4, "multilabel": 3}[kind]
    target = {
        "regression": np.stack([signal, -signal], 1).astype(np.float32),
        "binary": (signal > 0).astype(np.int64),
        "multiclass": np.where(np.arange(rows) == 5, 3, np.digitize(signal, [-0.5, 0.5])),
        "multilabel": np.stack([signal > 0, signal > 1, np.zeros(rows)], 1).astype(np.float32),
    }[kind]
    metric = "rmse" if kind == "regression" else "accuracy"
    found = fit(
        numbers, codes, target, kind=kind, outputs=outputs, splits=splits, metric=metric, seconds=4,
        weights=RNG.random(rows) + 0.1, out_of_fold=True,
    )  # fmt: skip
    width = 2 if kind == "binary" else outputs
    sign = -1 if kind == "regression" else 1
    for baseline in found.values():
        assert baseline.test.shape == (40, width)
        assert baseline.out_of_fold.shape == (200, width)
        assert np.isfinite(baseline.test).all()
        assert np.isfinite(baseline.out_of_fold).all()
    for name in ("linear", "boosted trees"):
        assert sign * found[name].cv_score > sign * found["trivial"].cv_score


def test_weights_of_zero_are_rows_that_are_not_there() -> None:
    numbers, _, signal = table(200)
    target = signal[:, None].astype(np.float32)
    splits = split(200, 50, folds=2)
    weights = (np.arange(200) % 2).astype(np.float64)
    spoilt = np.where(weights[:, None] > 0, target, 1000).astype(np.float32)
    common = {"kind": "regression", "outputs": 1, "splits": splits, "metric": "rmse", "weights": weights}
    codes = np.zeros((200, 0), np.int64)
    clean, other = fit(numbers, codes, target, **common), fit(numbers, codes, spoilt, **common)
    for name in ("trivial", "linear"):
        np.testing.assert_allclose(clean[name].test, other[name].test, rtol=1e-5, atol=1e-5)


def test_test_rows_change_nothing_that_is_learnt() -> None:
    """Targets and features of test rows, and of the fold's own validation rows, cannot reach a prediction."""
    numbers, codes, signal = table(200)
    target = signal[:, None].astype(np.float32)
    splits = split(200, 50, folds=2)
    common = {"kind": "regression", "outputs": 1, "splits": splits, "metric": "rmse", "out_of_fold": True}
    replay = {
        "linear": {"alpha": 1.0, "tune_rows": None, "tune_folds": 1, "fit_rows": None},
        "boosted trees": {
            "learning_rate": 0.1, "max_leaf_nodes": 8, "iterations": 10, "tune_rows": None, "tune_folds": 1,
            "fit_rows": None,
        },
    }  # fmt: skip
    before = fit(numbers, codes, target, replay=replay, **common)
    moved_numbers, moved_codes, moved_target = numbers.copy(), codes.copy(), target.copy()
    own = np.concatenate([splits.test[1:], splits.folds[0].validation[1:]])
    moved_numbers[own] += 100
    moved_codes[own] = 5
    moved_target[own] += 100
    after = fit(moved_numbers, moved_codes, moved_target, replay=replay, **common)
    for name, baseline in before.items():
        first = splits.folds[0].validation[0]
        np.testing.assert_array_equal(baseline.out_of_fold[first], after[name].out_of_fold[first])
    held = np.setdiff1d(np.arange(200), splits.test)
    moved_target[held], moved_numbers[held], moved_codes[held] = target[held], numbers[held], codes[held]
    again = fit(moved_numbers, moved_codes, moved_target, replay=replay, **common)
    for name, baseline in before.items():
        np.testing.assert_array_equal(baseline.test[0], again[name].test[0])


def test_boosted_trees_equal_scikit_learn_with_the_same_setting() -> None:
    numbers, codes, signal = table(300)
    settings = {
        "learning_rate": 0.1, "max_leaf_nodes": 8, "iterations": 30, "tune_rows": None, "tune_folds": 1,
        "fit_rows": None,
    }  # fmt: skip
    linear = {"alpha": 1.0, "C": 1.0, "tune_rows": None, "tune_folds": 1, "fit_rows": None}
    replay = {"linear": linear, "boosted trees": settings}
    splits = split(300, 60)
    both = np.concatenate([numbers.astype(np.float64), codes - 2], 1)
    options = {"learning_rate": 0.1, "max_leaf_nodes": 8, "max_iter": 30, "early_stopping": False, "random_state": 0}
    mask = [False] * 4 + [True] * 2
    target = signal[:, None].astype(np.float32)
    found = fit(numbers, codes, target, kind="regression", outputs=1, splits=splits, metric="rmse", replay=replay)[
        "boosted trees"
    ]
    model = HistGradientBoostingRegressor(categorical_features=mask, **options)
    expected = model.fit(both[splits.train], target[splits.train, 0]).predict(both[splits.test])
    np.testing.assert_allclose(found.test[:, 0], expected, rtol=1e-6)
    labels = (signal > 0).astype(np.int64)
    found = fit(numbers, codes, labels, kind="binary", outputs=1, splits=splits, metric="auc", replay=replay)[
        "boosted trees"
    ]
    model = HistGradientBoostingClassifier(categorical_features=mask, **options)
    expected = model.fit(both[splits.train], labels[splits.train]).predict_proba(both[splits.test])
    np.testing.assert_allclose(found.test, expected, rtol=1e-6)


def test_a_replay_repeats_every_number() -> None:
    numbers, codes, signal = table(240)
    target = np.digitize(signal, [-0.5, 0.5])
    common = {
        "kind": "multiclass", "outputs": 3, "splits": split(240, 40), "metric": "accuracy", "out_of_fold": True,
    }  # fmt: skip
    first = fit(numbers, codes, target, seconds=3, **common)
    again = fit(numbers, codes, target, replay={n: b.settings for n, b in first.items()}, **common)
    for name, baseline in first.items():
        assert again[name].settings == baseline.settings
        np.testing.assert_array_equal(again[name].cv_score, baseline.cv_score)
        np.testing.assert_array_equal(again[name].test, baseline.test)
        np.testing.assert_array_equal(again[name].out_of_fold, baseline.out_of_fold)


def test_no_time_at_all_still_gives_every_baseline_and_says_what_was_left_out() -> None:
    numbers, codes, signal = table(240)
    told: list[str] = []
    found = fit(
        numbers, codes, (signal > 0).astype(np.int64), kind="binary", outputs=1, splits=split(240, 40),
        metric="accuracy", seconds=0, on_done=lambda name, seconds: told.append(name),
    )  # fmt: skip
    assert told == list(found) == ["trivial", "linear", "boosted trees"]
    assert "1 settings tried, chosen on 1 of 3 folds" in found["linear"].note
    assert found["boosted trees"].settings["iterations"] == 25
    assert (found["boosted trees"].test.argmax(1) == (signal[200:] > 0)).mean() > 0.7


# catalogue: E3
def test_forward_chaining_predicts_the_rows_that_some_fold_validates() -> None:
    numbers, codes, signal = table(240)
    parts = tuple(Fold(train=a, validation=b) for a, b in TimeSeriesSplit(3).split(np.arange(200)))
    splits = Splits(
        kind="time", rows=240, test=np.arange(200, 240), folds=parts, unit="block", units=np.arange(240) // 10
    )
    found = fit(
        numbers, codes, signal[:, None].astype(np.float32), kind="regression", outputs=1, splits=splits,
        metric="mae", seconds=3, out_of_fold=True,
    )  # fmt: skip
    assert {b.out_of_fold.shape for b in found.values()} == {(150, 1)}


def test_without_features_or_test_rows_there_is_less() -> None:
    target = RNG.integers(0, 2, 60)
    empty, codes = np.zeros((60, 0)), np.zeros((60, 0), np.int64)
    found = fit(
        empty, empty.astype(np.int64), target, kind="binary", outputs=1, splits=split(60, 0), metric="accuracy"
    )
    assert list(found) == ["trivial"]
    assert found["trivial"].test is None
    with pytest.raises(InputError, match="no folds"):
        fit(
            empty, codes, target, kind="binary", outputs=1, metric="accuracy",
            splits=Splits(kind="given", rows=60, test=np.arange(0), folds=(), unit="row", units=np.arange(60)),
        )  # fmt: skip


def test_a_fit_that_its_time_does_not_allow_ends_early_and_so_does_its_replay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers, codes, signal = table(300)
    labels = (signal > 0).astype(np.int64)
    common = {"kind": "binary", "outputs": 1, "splits": split(300, 60), "metric": "accuracy", "out_of_fold": True}
    with monkeypatch.context() as hurry:
        hurry.setattr("tutti.evaluation._baselines._SLACK", 0.0)
        # Trials whose rows were cut are fitted anew, for every fold.
        hurry.setattr("tutti.evaluation._tuning._FIRST_ROWS", 100)
        hurry.setattr("tutti.evaluation._tuning._LEAST_ROWS", 100)
        first = fit(numbers, codes, labels, seconds=4, **common)["boosted trees"]
    assert first.settings["iterations"] > 25
    assert set(first.settings["grown"]) == {25}
    assert f"ended after 25 of {first.settings['iterations']} iterations, as the time was up" in first.note
    again = fit(numbers, codes, labels, replay={"boosted trees": first.settings, "linear": LINEAR}, **common)
    np.testing.assert_array_equal(again["boosted trees"].test, first.test)
    np.testing.assert_array_equal(again["boosted trees"].out_of_fold, first.out_of_fold)
    assert again["boosted trees"].settings == first.settings


@pytest.mark.parametrize(("seconds", "reached"), [(100.0, 200), (10.0, 130), (1.0, 25), (-5.0, 25)])
def test_a_fit_grows_as_far_as_its_first_iterations_say(
    seconds: float, reached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten iterations a second; the slack is 1.3."""
    now = [0.0]
    grown: list[int] = []

    class Steady:
        notes: ClassVar[set[str]] = set()

        def predict(self, rows: np.ndarray, iterations: int | None = None) -> np.ndarray:
            return rows

        def grow(self, iterations: int) -> None:
            now[0] += (iterations - (grown[-1] if grown else 0)) / 10
            grown.append(iterations)

    monkeypatch.setattr("tutti.evaluation._baselines.perf_counter", lambda: now[0])
    assert _grow(Steady(), 200, 25, seconds) == reached == grown[-1]
