"""Every metric equals scikit-learn's."""

import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as reference

from tutti.core import InputError
from tutti.metrics import METRICS, metric_of, metrics_for, score
from tutti.metrics._metric import ALIASES

RNG = np.random.default_rng(7)
N = 203
WEIGHTS = RNG.random(N) + 0.1


def classes(count: int, dtype: type = np.float64) -> tuple[np.ndarray, np.ndarray]:
    target = RNG.integers(0, count, N)
    logits = RNG.normal(size=(N, count)) + 1.5 * np.eye(count)[target]
    logits = np.round(logits, 1)  # equal scores occur
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return target, p.astype(dtype)


def labels() -> tuple[np.ndarray, np.ndarray]:
    target = (RNG.random((N, 4)) < 0.4).astype(np.float32)
    return target, np.clip(0.5 * target + 0.6 * RNG.random((N, 4)), 0, 1)


CLASSES = {
    "accuracy": lambda y, p, w: reference.accuracy_score(y, p.argmax(1), sample_weight=w),
    "balanced_accuracy": lambda y, p, w: reference.balanced_accuracy_score(y, p.argmax(1), sample_weight=w),
    "f1": lambda y, p, w: reference.f1_score(y, p.argmax(1), average="macro", sample_weight=w),
    "auc": lambda y, p, w: (
        reference.roc_auc_score(y, p[:, 1], sample_weight=w)
        if p.shape[1] == 2
        else reference.roc_auc_score(y, p, multi_class="ovr", sample_weight=w)
    ),
    "log_loss": lambda y, p, w: reference.log_loss(y, p, sample_weight=w),
    "brier": lambda y, p, w: reference.brier_score_loss(y, p[:, 1] if p.shape[1] == 2 else p, sample_weight=w),
}
LABELS = {
    "accuracy": lambda y, p, w: 1 - reference.hamming_loss(y, p > 0.5, sample_weight=w),
    "f1": lambda y, p, w: reference.f1_score(y, p > 0.5, average="macro", sample_weight=w),
    "auc": lambda y, p, w: reference.roc_auc_score(y, p, average="macro", sample_weight=w),
    "log_loss": lambda y, p, w: np.mean(
        [reference.log_loss(y[:, k], np.stack([1 - p[:, k], p[:, k]], 1), sample_weight=w) for k in range(4)]
    ),
    "brier": lambda y, p, w: np.mean(
        [reference.brier_score_loss(y[:, k], p[:, k], sample_weight=w) for k in range(4)]
    ),
}
VALUES = {
    "rmse": reference.root_mean_squared_error,
    "mse": reference.mean_squared_error,
    "mae": reference.mean_absolute_error,
    "r2": reference.r2_score,
}


# catalogue: E4, T2, T3
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("name", CLASSES)
def test_classes_equal_scikit_learn(name: str, count: int, weights: np.ndarray | None) -> None:
    target, prediction = classes(count)
    np.testing.assert_allclose(
        METRICS[name].function(target, prediction, weights), CLASSES[name](target, prediction, weights), rtol=1e-12
    )


# catalogue: E4, T4
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("name", LABELS)
def test_labels_equal_scikit_learn(name: str, weights: np.ndarray | None) -> None:
    target, prediction = labels()
    np.testing.assert_allclose(
        METRICS[name].function(target, prediction, weights), LABELS[name](target, prediction, weights), rtol=1e-12
    )


# catalogue: E4, T1
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", VALUES)
def test_values_equal_scikit_learn(name: str, outputs: int, weights: np.ndarray | None) -> None:
    target = RNG.normal(1000, 3, (N, outputs)).astype(np.float32)
    prediction = target.astype(np.float64) + RNG.normal(size=(N, outputs))
    np.testing.assert_allclose(
        METRICS[name].function(target, prediction, weights),
        VALUES[name](target, prediction, sample_weight=weights),
        rtol=1e-9,
    )


def test_impossible_predictions_are_clipped_as_scikit_learn_does() -> None:
    target = np.array([0, 1, 1])
    for dtype in (np.float32, np.float64):
        prediction = np.array([[0, 1], [0, 1], [0.5, 0.5]], dtype)
        ours = METRICS["log_loss"].function(target, prediction)
        np.testing.assert_allclose(ours, reference.log_loss(target, prediction), rtol=1e-6)


def test_a_class_without_rows_is_left_out() -> None:
    target, prediction = classes(4)
    held = target != 3
    there = reference.balanced_accuracy_score(
        target[held], np.where(prediction.argmax(1) == 3, 0, prediction.argmax(1))[held]
    )
    moved = prediction.copy()
    moved[prediction.argmax(1) == 3] = [0.9, 0.05, 0.03, 0.02]
    np.testing.assert_allclose(METRICS["balanced_accuracy"].function(target[held], moved[held]), there, rtol=1e-12)
    areas = [reference.roc_auc_score(target[held] == k, prediction[held, k]) for k in range(3)]
    np.testing.assert_allclose(METRICS["auc"].function(target[held], prediction[held]), np.mean(areas), rtol=1e-12)


def test_an_undefined_metric_is_nan_and_null_in_json() -> None:
    found = score("auc", np.zeros(5, int), np.full((5, 2), 0.5))
    assert np.isnan(found.value)
    assert json.loads(json.dumps(found.to_json()))["value"] is None


def test_contributions_average_to_the_metric() -> None:
    target, prediction = classes(3)
    for name in ("accuracy", "log_loss", "brier"):
        rows = METRICS[name].per_row(target, prediction)
        assert rows is not None
        np.testing.assert_allclose(rows.mean(), METRICS[name].function(target, prediction))
    assert METRICS["auc"].per_row(target, prediction) is None
    values = RNG.normal(size=(N, 1))
    rows = METRICS["rmse"].per_row(values, values + 2)
    assert rows is not None
    np.testing.assert_allclose(np.sqrt(rows.mean()), 2)


def test_metrics_are_listed_for_each_kind_of_task() -> None:
    assert metrics_for("regression")[0] == "rmse"
    assert metrics_for("multilabel") == ("accuracy", "f1", "auc", "log_loss", "brier")
    assert set(metrics_for("binary")) == set(metrics_for("multiclass")) == set(CLASSES)


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="Did you mean 'accuracy'"):
        metric_of("acuracy")
    target, prediction = classes(3)
    with pytest.raises(InputError, match="rmse is for values"):
        score("rmse", target, prediction)
    with pytest.raises(InputError, match="one class per row"):
        score("balanced_accuracy", *labels())
    with pytest.raises(InputError, match="no rows"):
        score("accuracy", target[:0], prediction[:0])
    with pytest.raises(InputError, match="weights"):
        score("accuracy", target, prediction, weights=-WEIGHTS)


def test_the_room_loads_no_scikit_learn() -> None:
    code = "import sys, tutti.metrics; sys.exit(any(m.split('.')[0] in ('sklearn', 'scipy') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ALIASES)
def test_what_scikit_learn_calls_a_metric_is_its_value(name: str) -> None:
    scorer = name in reference.get_scorer_names()
    theirs = reference.get_scorer(name)._score_func if scorer else getattr(reference, name)
    values = metric_of(name).name in VALUES
    target, chance = RNG.integers(0, 2, N), RNG.random(N)
    if values:
        found, expected = score(name, target[:, None] + 0.0, chance[:, None]), theirs(target, chance)
    else:
        found = score(name, target, np.stack([1 - chance, chance], axis=1))
        told = {"average": "macro"} if name == "f1_macro" else {}
        expected = theirs(target, chance > 0.5 if told else chance, **told)
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert found.metric == ALIASES[name]
