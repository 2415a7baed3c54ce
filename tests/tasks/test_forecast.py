"""Forecasts as a task: one output per step and series, nothing copied."""

import numpy as np
import pytest

from tutti.core import InputError
from tutti.tasks import Forecast, infer, task_from_json


def test_windows_that_lie_over_each_other_are_encoded_without_a_copy() -> None:
    series = np.arange(30, dtype=np.float32)
    futures = np.lib.stride_tricks.sliding_window_view(series, 6)
    task = infer(futures, ["a", "b"], "forecast")
    assert task == Forecast(names=("a", "b"), horizon=3)
    assert task.outputs == 6
    assert np.shares_memory(task.encode(futures), series)


def test_answers_have_an_axis_for_the_steps() -> None:
    flat = np.arange(12.0).reshape(2, 6)
    assert Forecast(names=("a",), horizon=6).labels(flat).shape == (2, 6)
    assert np.array_equal(Forecast(names=("a", "b"), horizon=3).labels(flat)[0, 1], [2, 3])
    assert Forecast(names=("a", "b"), horizon=2).labelled == ("a+1", "b+1", "a+2", "b+2")


def test_is_a_regression_that_json_brings_back() -> None:
    task = Forecast(names=("a", "b"), horizon=3)
    assert task.kind == "regression"
    assert task_from_json(task.to_json()) == task
    assert (task.default_metric, Forecast(names=("a",)).default_metric) == ("r2", "rmse")


def test_bad_futures_are_named() -> None:
    with pytest.raises(InputError, match=r"\[2, 5\]; expected 6 numbers"):
        Forecast(names=("a", "b"), horizon=3).encode(np.zeros((2, 5)))
    with pytest.raises(InputError, match="horizon is 0"):
        Forecast(names=("a",), horizon=0)
    with pytest.raises(InputError, match="no future"):
        Forecast(names=("a",), horizon=2).encode(np.zeros((0, 2)))


@pytest.mark.parametrize("value", [3.4028235677973366e38, 1e300, -1e39, np.inf, np.nan, 10**309])
def test_futures_that_float32_does_not_hold_are_refused(value: float) -> None:
    futures = np.array([[1.0, 2.0], [value, 3.0]], dtype=object)
    with pytest.raises(InputError, match="futures of y"):
        infer(futures, ["y"], "forecast")
    with pytest.raises(InputError, match="futures"):
        infer([value], ["y"], "forecast")


def test_the_largest_float32_is_a_future() -> None:
    largest = np.finfo(np.float32).max
    assert infer([[largest, -float(largest)]], ["y"], "forecast").encode([[largest, 0.0]])[0, 0] == largest
