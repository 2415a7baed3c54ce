"""The estimators as scikit-learn users use them: in searches, pipelines, with weights, groups and labels."""

import pickle
from typing import Any

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, make_blobs
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold, cross_val_score, cross_validate
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from tutti.core import InputError, Observer
from tutti.learn import TuttiClassifier, TuttiRegressor
from tutti.learn._declare import declare
from tutti.learn._options import Options
from tutti.learn._train import Training
from tutti.models import MLP

CHEAP: dict[str, Any] = {
    "model": MLP(hidden=(16,)),
    "learning_rates": 1e-2,
    "weight_decays": 0.0,
    "epochs": 20,
    "folds": 3,
    "random_state": 0,
}
LABELS = {
    "strings": np.array(["no", "yes"]),
    "objects": np.array(["b", "a"], dtype=object),
    "booleans": np.array([False, True]),
    "numbers": np.array([7, -3]),
    "words for missing": np.array(["NA", ""]),
}


def classes(rows: int = 90, centers: int = 2) -> tuple[np.ndarray, np.ndarray]:
    return make_blobs(rows, n_features=3, centers=centers, cluster_std=2.0, random_state=1)


def line(rows: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 3))
    return X, X @ np.array([1.0, -2.0, 0.5]) + 0.1 * rng.normal(size=rows)


def coins(rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """A target that has nothing to do with the features: half 0, half 1."""
    X = np.random.default_rng(3).normal(size=(rows, 2))
    return X, np.arange(rows) % 2


# catalogue: T4
@pytest.mark.parametrize("kind", LABELS)
def test_labels_come_back_as_they_were_given(kind: str) -> None:
    X, y = classes()
    labels = LABELS[kind][y]
    model = TuttiClassifier(**CHEAP).fit(X, labels)
    np.testing.assert_array_equal(model.classes_, np.unique(labels))
    answers = model.predict(X)
    assert answers.dtype == labels.dtype
    assert np.mean(answers == labels) > 0.85
    np.testing.assert_array_equal(model.classes_[model.predict_proba(X).argmax(axis=1)], answers)
    assert model.result_["details"]["classes"] == [str(label) for label in model.classes_]


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (np.array([*["a", "b"] * 44, "a", None], dtype=object), "NaN or None in 1 rows"),
        (np.array([*["a", "b"] * 44, "a", float("nan")], dtype=object), "NaN or None in 1 rows"),
        (np.array([0.0, 1.0] * 44 + [0.0, np.nan]), "y contains NaN"),
        (np.zeros(90), "Only one class is present: '0.0'"),
        (np.array([*["a", "b"] * 44, "a", "c"]), "The class 'c' has a single row"),
        (np.linspace(0, 1, 90), "Unknown label type: continuous"),
        (np.ones((90, 2), dtype=int), "1d array"),
    ],
)
def test_a_target_that_no_classifier_can_use_is_named(y: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TuttiClassifier(**CHEAP).fit(classes()[0], y)


@pytest.mark.parametrize(
    ("y", "says"),
    [(np.r_[np.arange(89.0), np.nan], "y contains NaN"), (np.ones(90), "single value"), (["a"] * 90, "numeric")],
)
def test_a_target_that_no_regressor_can_use_is_named(y: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TuttiRegressor(**CHEAP).fit(line()[0], y)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
def test_infinite_features_are_refused(value: float) -> None:
    X, y = line()
    model = TuttiRegressor(**CHEAP).fit(X, y)
    X = X.copy()
    X[3, 1] = value
    with pytest.raises(ValueError, match="infinity or a value too large"):
        TuttiRegressor(**CHEAP).fit(X, y)
    with pytest.raises(ValueError, match="infinity or a value too large"):
        model.predict(X)


def test_missing_numbers_are_values_like_others() -> None:
    X, y = classes()
    X[::4, 0], X[:, 2] = np.nan, np.nan
    model = TuttiClassifier(**CHEAP).fit(X, y)
    assert model.score(X, y) > 0.8
    assert np.isfinite(model.predict_proba(X)).all()


# catalogue: T1
def test_several_outputs_are_predicted_together() -> None:
    X, y = line()
    both = np.c_[y, 100 - 50 * X[:, 1]]
    model = TuttiRegressor(**{**CHEAP, "epochs": 60}).fit(X, both)
    assert model.predict(X).shape == both.shape
    assert (1 - ((model.predict(X) - both) ** 2).mean(axis=0) / both.var(axis=0) > 0.8).all()
    assert model.predict(X[:1]).shape == (1, 2)


@pytest.mark.parametrize("estimator", [TuttiClassifier, TuttiRegressor])
def test_one_integer_gives_one_result_to_the_bit(estimator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = classes()
    grid = {**CHEAP, "learning_rates": None, "epochs": 6}

    def answers(seed: Any) -> np.ndarray:
        model = estimator(**{**grid, "random_state": seed}).fit(X, y)
        return getattr(model, "predict_proba", model.predict)(X)

    first = answers(7)
    # a stopwatch that always says something else: nothing may depend on it
    ticks = iter(np.random.default_rng(0).uniform(1, 1e4, 100_000).cumsum())
    monkeypatch.setattr("tutti.learn._progress.time.monotonic", lambda: float(next(ticks)))
    torch.manual_seed(99)
    torch.set_num_threads(2)
    np.testing.assert_array_equal(answers(7), first)
    np.testing.assert_array_equal(answers(np.random.RandomState(7)), first)
    assert not np.array_equal(answers(8), first)


def test_without_a_budget_no_step_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a step was timed")

    monkeypatch.setattr("tutti.learn._bench.Bench._time", refuse)
    TuttiClassifier(**CHEAP).fit(*classes())
    with pytest.raises(AssertionError, match="timed"):
        TuttiClassifier(**CHEAP, budget="10s").fit(*classes())
    assert sklearn.utils.get_tags(TuttiClassifier(budget="10s")).non_deterministic
    assert not sklearn.utils.get_tags(TuttiClassifier()).non_deterministic


def test_what_is_dear_gets_fewer_settings_by_arithmetic() -> None:
    def members(**given: Any) -> tuple[int, int]:
        options = Options(test_size=0.0, **given)
        choice = Training(declare(classes(), options, Observer()), options).choose(60.0, timed=False)
        return len(choice.grid.settings()), choice.trial.folds

    wide = MLP(hidden=(256, 256))
    assert members(model=wide, epochs=20) == (32, 5)
    assert members(model=wide, epochs=3000) == (8, 5)
    assert members(model=wide, epochs=100_000)[1] == 1


def test_sample_weights_are_as_good_as_that_many_rows() -> None:
    """The best constant answer for a coin with weights 3 : 1 is 3/4; the score is the weighted accuracy."""
    X, y = coins()
    weight = np.where(y == 1, 3.0, 1.0)
    settings = {**CHEAP, "model": "linear", "learning_rates": (3e-2, 1e-1)}
    thrice = np.repeat(np.arange(len(y)), weight.astype(int))
    for metric, score in (("log_loss", -0.75 * np.log(0.75) - 0.25 * np.log(0.25)), ("accuracy", 0.75)):
        for rows, weights in ((slice(None), weight), (thrice, None)):
            model = TuttiClassifier(**settings, metric=metric).fit(X[rows], y[rows], sample_weight=weights)
            assert model.score_ == pytest.approx(score, abs=0.02)
            if metric == "log_loss":
                assert model.predict_proba(X)[:, 1].mean() == pytest.approx(0.75, abs=0.03)
    plain = TuttiClassifier(**settings, metric="log_loss").fit(X, y)
    assert plain.predict_proba(X)[:, 1].mean() == pytest.approx(0.5, abs=0.03)
    value = TuttiRegressor(**settings).fit(X, y.astype(float), sample_weight=weight).predict(X).mean()
    assert value == pytest.approx(0.75, abs=0.03)


def test_rows_of_weight_zero_are_as_good_as_absent() -> None:
    X, y = classes(120, centers=3)
    y[100:] = 9  # a class that has no weight anywhere
    weight = np.r_[np.full(100, 2.0), np.zeros(20)]
    groups = np.arange(120) % 10
    with_zeros = TuttiClassifier(**CHEAP).fit(X, y, sample_weight=weight, groups=groups)
    without = TuttiClassifier(**CHEAP).fit(X[:100], y[:100], groups=groups[:100])
    np.testing.assert_array_equal(with_zeros.classes_, [0, 1, 2])
    np.testing.assert_array_equal(with_zeros.predict_proba(X), without.predict_proba(X))


@pytest.mark.parametrize(
    ("weight", "says"), [(-1.0, "Negative"), (0.0, "All sample_weight are zero"), ([1.0], "shape"), (np.nan, "NaN")]
)
def test_weights_that_cannot_be_meant_are_refused(weight: Any, says: str) -> None:
    X, y = classes()
    with pytest.raises(ValueError, match=says):
        TuttiClassifier(**CHEAP).fit(X, y, sample_weight=weight)


def test_class_weights_move_the_answer_to_the_rare_class() -> None:
    X, y = make_blobs([180, 20], n_features=2, centers=[[0, 0], [1.2, 1.2]], cluster_std=1.0, random_state=0)

    def recall(class_weight: Any) -> tuple[float, float]:
        model = TuttiClassifier(**CHEAP, class_weight=class_weight).fit(X, y)
        answers = model.predict(X)
        return float(np.mean(answers[y == 1] == 1)), float(balanced_accuracy_score(y, answers))

    plain, balanced = recall(None), recall("balanced")
    assert balanced[0] > plain[0] + 0.2
    assert balanced[1] > plain[1]
    assert recall({0: 1.0, 1: 9.0}) == recall({1: 9.0}) == pytest.approx(balanced, abs=0.1)
    assert recall({0: 1e4})[0] == 0


@pytest.mark.parametrize("wrong", ["even", {5: 1.0}, {0: -1.0}, {0: 0.0, 1: 0.0}])
def test_class_weights_that_cannot_be_meant_are_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match="class_weight"):
        TuttiClassifier(**CHEAP, class_weight=wrong).fit(*classes())


# catalogue: E1
def test_groups_stand_on_one_side_of_every_fold() -> None:
    """Each entity has its own label and place: rows of a known entity are easy, those of a new one are a coin."""
    rng = np.random.default_rng(0)
    entity = np.repeat(np.arange(40), 6)
    X = rng.normal(size=(40, 4))[entity] + 0.01 * rng.normal(size=(240, 4))
    y = rng.permutation(np.arange(40) % 2)[entity]
    settings = {**CHEAP, "learning_rates": 3e-2, "epochs": 60, "model": MLP(hidden=(64,))}
    known, new = TuttiClassifier(**settings).fit(X, y), TuttiClassifier(**settings).fit(X, y, groups=entity)
    assert known.score_ > 0.9 > 0.75 > new.score_
    assert new.result_["details"]["splits"]["unit"] == "group"
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        TuttiClassifier(**settings).fit(X, y, groups=entity[:-1])


def test_weights_and_groups_are_routed_through_a_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = classes()
    weight, groups = np.linspace(1, 2, 90), np.arange(90) % 15
    seen: list[tuple[int, int]] = []
    original = TuttiClassifier._fit

    def fit(self: Any, X: Any, y: Any, kind: str, weight: Any, groups: Any, *rest: Any) -> None:
        seen.append((len(weight), len(groups)))
        original(self, X, y, kind, weight, groups, *rest)

    monkeypatch.setattr(TuttiClassifier, "_fit", fit)
    with sklearn.config_context(enable_metadata_routing=True):
        model = TuttiClassifier(**CHEAP).set_fit_request(sample_weight=True, groups=True)
        model = model.set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        params = {"sample_weight": weight, "groups": groups}
        cross_validate(pipeline, X, y, cv=GroupKFold(2), params=params, error_score="raise")
    assert seen == [(42, 42), (48, 48)]


def test_a_grid_search_over_a_pipeline_finds_the_better_setting() -> None:
    X, y = line()
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), TuttiRegressor(**CHEAP))
    choices = {"tuttiregressor__learning_rates": [1e-6, 3e-2], "tuttiregressor__setting": [None, {"dropout": 0.1}]}
    search = GridSearchCV(pipeline, choices, cv=2, error_score="raise").fit(X, y)
    assert search.best_params_["tuttiregressor__learning_rates"] == 3e-2
    assert search.best_score_ > 0.8
    best = search.best_estimator_[-1]
    assert list(best.feature_names_in_) == ["x0", "x1", "x2"]
    assert best.n_features_in_ == 3


def test_models_of_ones_own_are_cloned_and_trained() -> None:
    X, y = classes()

    def build(features: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Linear(features, 8), nn.Tanh(), nn.Linear(8, outputs))

    model = clone(TuttiClassifier(**{**CHEAP, "model": build}))
    assert cross_val_score(model, X, y, cv=2, error_score="raise").mean() > 0.75
    assert isinstance(model.fit(X, y).module_, nn.Module)


# catalogue: E3
def test_the_score_is_corrected_for_the_search() -> None:
    """On coins the best of many settings looks better than one half; the corrected score does not."""
    rates, decays = (1e-3, 1e-2, 1e-1), (0.0, 0.1, 1.0)
    naive, corrected = [], []
    for seed in range(8):
        X = np.random.default_rng(seed).normal(size=(100, 4))
        settings = {**CHEAP, "learning_rates": rates, "weight_decays": decays, "rungs": False, "epochs": 10}
        model = TuttiClassifier(**settings).fit(X, np.arange(100) % 2)
        naive.append(model.result_["best"]["cv"]["mean"])
        corrected.append(model.score_)
        assert model.result_["test"] is None
    assert np.mean(naive) > 0.51  # settings are chosen by the log-loss: what that wins in accuracy is little
    assert abs(np.mean(corrected) - 0.5) < 0.5 * (np.mean(naive) - 0.5)


def test_the_score_is_not_of_the_training_rows() -> None:
    """Labels that can only be learnt by heart. The log-loss chooses an early step, before all of them are."""
    X = np.random.default_rng(0).normal(size=(90, 30))
    y = np.random.default_rng(1).permutation(np.arange(90) % 2)
    model = TuttiClassifier(**{**CHEAP, "learning_rates": 3e-2, "epochs": 60}).fit(X, y)
    assert model.score(X, y) > 0.7 > 0.65 > model.score_


def test_a_column_that_gives_the_target_away_is_used_and_told() -> None:
    X, y = classes()
    model = TuttiClassifier(**CHEAP).fit(np.c_[X, y], y)
    assert model.model_.schema.numbers == ("0", "1", "2", "3")
    assert "target-copy" in [finding["kind"] for finding in model.result_["findings"]]


def test_a_fitted_estimator_travels_between_processes() -> None:
    X, y = classes()
    model = TuttiClassifier(**CHEAP).fit(X, y)
    again = pickle.loads(pickle.dumps(model))  # noqa: S301  (our own bytes: how joblib sends it)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.score_ == model.score_


def test_ctrl_c_ends_the_search_around_the_estimator(monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    from tutti.search import Search

    show = Search._show

    def interrupt(self: Search) -> None:
        show(self)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Search, "_show", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(TuttiClassifier(**CHEAP), *classes(), cv=2)


@pytest.mark.parametrize(
    ("estimator", "theirs", "load", "splitter"),
    [
        (TuttiClassifier, MLPClassifier, load_breast_cancer, StratifiedKFold),
        (TuttiRegressor, MLPRegressor, load_diabetes, KFold),
    ],
)
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_at_least_as_good_as_scikit_learns_networks(estimator: Any, theirs: Any, load: Any, splitter: Any) -> None:
    """Paired over folds, against their defaults on scaled features, which they need: not worse beyond chance, by the
    95 % quantile of Student's t with four degrees of freedom."""
    X, y = load(return_X_y=True)
    settings = {**CHEAP, "model": MLP(hidden=(32,)), "learning_rates": (3e-3, 1e-2), "weight_decays": 0.1}
    folds = splitter(5, shuffle=True, random_state=0)
    ours = cross_val_score(estimator(**{**settings, "epochs": 40}), X, y, cv=folds, error_score="raise")
    other = cross_val_score(make_pipeline(StandardScaler(), theirs(random_state=0)), X, y, cv=folds)
    difference = ours - other
    assert difference.mean() > -2.78 * difference.std(ddof=1) / np.sqrt(len(difference))
    assert ours.mean() > {"TuttiClassifier": 0.955, "TuttiRegressor": 0.42}[estimator.__name__]
