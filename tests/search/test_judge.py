"""What decides between settings: the metric, or the log-loss where the metric only counts right answers."""

import numpy as np
import pytest

from tutti.metrics import METRICS
from tutti.search import Judge
from tutti.tasks import Binary, Multiclass, MultiLabel, Regression, Task

NAN = float("nan")


def _judge(metric: str) -> Judge:
    target = np.array([0, 1, 1, 0])
    return Judge(task=Binary(names=("y",), classes=("a", "b")), metric=metric, target=target)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1"])
def test_counts_of_right_answers_are_decided_by_log_loss(metric: str) -> None:
    judge = _judge(metric)
    assert judge.criterion == "log_loss"
    assert judge.order(0.7, 0.4) < judge.order(0.8, 0.5)  # more right answers, but a worse log-loss
    assert judge.order(0.8, 0.4) < judge.order(0.7, 0.4)
    assert judge.order(0.1, 9.0) < judge.order(NAN, 0.1)


@pytest.mark.parametrize(("metric", "good", "bad"), [("auc", 0.9, 0.8), ("log_loss", 0.3, 0.4), ("brier", 0.1, 0.2)])
def test_other_metrics_decide_themselves(metric: str, good: float, bad: float) -> None:
    judge = _judge(metric)
    assert judge.criterion == metric
    assert judge.order(good, 0.9) < judge.order(bad, 0.1)
    assert judge.order(good, 0.1) < judge.order(good, 0.9)


def _task(kind: str) -> tuple[Task, np.ndarray, int]:
    """A task, its target of 60 rows and the width of its predictions."""
    draw = np.random.default_rng(0)
    names = ("a", "b", "c")
    if kind == "regression":
        return Regression(names=names), draw.normal(size=(60, 3)).astype(np.float32), 3
    if kind == "multilabel":
        return MultiLabel(names=names), draw.integers(0, 2, (60, 3)).astype(np.float32), 3
    if kind == "binary":
        return Binary(names=("y",), classes=names[:2]), draw.integers(0, 2, 60), 2
    return Multiclass(names=("y",), classes=names), draw.integers(0, 3, 60), 3


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["regression", "multilabel", "binary", "multiclass"])
def test_scores_of_all_settings_are_each_metric_on_each_fold(kind: str, weighted: bool) -> None:
    """Folds of unequal size, one row in two of them; against the metric's own function, setting by setting."""
    task, target, out = _task(kind)
    draw = np.random.default_rng(1)
    folds = [np.arange(0, 25), np.arange(24, 40), np.arange(40, 60)]
    predictions = draw.uniform(size=(4, 61, out)).astype(np.float32)
    if kind in ("binary", "multiclass"):
        predictions /= predictions.sum(-1, keepdims=True)
    weights = draw.uniform(0.5, 2, 60) if weighted else None
    for metric in METRICS.values():
        if task.kind not in metric.kinds:
            continue
        judge = Judge(task=task, metric=metric.name, target=target, weights=weights)
        scores, by_row = judge.scores(metric.name, folds, predictions)
        begin = 0
        for fold, rows in enumerate(folds):
            part = slice(begin, begin + len(rows))
            mass = None if weights is None else weights[rows]
            for setting in range(4):
                own = predictions[setting, part]
                np.testing.assert_allclose(
                    scores[setting, fold], metric.function(target[rows], own, mass), rtol=1e-12
                )
                each = metric.per_row(target[rows], own)
                assert (each is None) == (by_row is None)
                if each is not None and by_row is not None:
                    np.testing.assert_allclose(by_row[setting, part], each, rtol=1e-12)
            begin += len(rows)


def test_a_fold_without_weight_has_no_score() -> None:
    judge = Judge(
        task=Binary(names=("y",), classes=("a", "b")),
        metric="accuracy",
        target=np.array([0, 1, 1]),
        weights=np.array([1.0, 0.0, 0.0]),
    )
    scores, _ = judge.scores("accuracy", [np.array([0]), np.array([1, 2])], np.full((2, 3, 2), [0.9, 0.1]))
    np.testing.assert_equal(scores, [[1.0, NAN], [1.0, NAN]])


def test_values_have_no_temperature() -> None:
    judge = Judge(task=Regression(names=("y",)), metric="rmse", target=np.zeros((3, 1), np.float32))
    assert judge.temperatures(np.arange(3), np.ones((2, 3, 1), np.float32)).tolist() == [1, 1]
    assert judge.order(1.0, 0.0) < judge.order(2.0, 0.0)
