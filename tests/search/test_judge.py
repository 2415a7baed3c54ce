"""What decides between settings: the metric, or the log-loss where the metric only counts right answers."""

import numpy as np
import pytest

from tutti.search import Judge
from tutti.tasks import Binary, Regression

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
    assert judge.row_losses(np.arange(4), np.full((4, 2), 0.5)) is None


def test_rows_add_up_to_the_criterion() -> None:
    judge = _judge("accuracy")
    rows, prediction = np.arange(4), np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [0.8, 0.2]])
    losses = judge.row_losses(rows, prediction)
    assert losses is not None
    np.testing.assert_allclose(losses, -np.log([0.9, 0.7, 0.4, 0.8]))
    np.testing.assert_allclose(losses.mean(), judge.tie(rows, prediction))


def test_values_have_no_temperature() -> None:
    judge = Judge(task=Regression(names=("y",)), metric="rmse", target=np.zeros((3, 1), np.float32))
    assert judge.temperatures(np.arange(3), np.ones((2, 3, 1), np.float32)).tolist() == [1, 1]
    assert judge.order(1.0, 0.0) < judge.order(2.0, 0.0)
