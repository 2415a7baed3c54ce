"""Intervals equal their formulas, and behave where little is known."""

import json

import numpy as np
import pytest
from scipy.stats import binomtest, t
from scipy.stats import bootstrap as reference_bootstrap

from tutti.core import InputError
from tutti.metrics import (
    bootstrap,
    corrected_cv_interval,
    paired_difference,
    resample_counts,
    score,
    unit_numbers,
    wilson,
)

RNG = np.random.default_rng(3)


def proba(chosen: np.ndarray) -> np.ndarray:
    return np.where(chosen[:, None] == np.arange(2), 0.9, 0.1)


# catalogue: E4
@pytest.mark.parametrize(("hits", "count"), [(0, 10), (173, 178), (30, 30), (5, 9)])
def test_wilson_equals_scipy(hits: int, count: int) -> None:
    expected = binomtest(hits, count).proportion_ci(0.9, method="wilson")
    found = wilson(hits, count, level=0.9)
    np.testing.assert_allclose([found.low, found.high], [expected.low, expected.high], atol=1e-12)


def test_nadeau_and_bengio_by_hand() -> None:
    scores = [0.9, 0.8, 0.85, 0.95, 0.7]
    found = corrected_cv_interval(scores, 80, 20)
    half = t.ppf(0.975, 4) * np.sqrt((1 / 5 + 20 / 80) * np.var(scores, ddof=1))
    np.testing.assert_allclose([found.value, found.low, found.high], [0.84, 0.84 - half, 0.84 + half])
    assert corrected_cv_interval([0.8], 80, 20).to_json() == {"value": 0.8, "low": None, "high": None}


# catalogue: E4
def test_bca_agrees_with_scipy_for_many_rows() -> None:
    x = RNG.exponential(size=500)
    sums = np.stack([x, np.ones(500)], axis=1)
    found = bootstrap(sums, lambda m: m[..., 0])
    theirs = reference_bootstrap((x,), np.mean, n_resamples=4000, rng=1, vectorized=True).confidence_interval
    np.testing.assert_allclose([found.low, found.high], [theirs.low, theirs.high], rtol=0.01)


def test_resampling_draws_as_many_units_as_there_are() -> None:
    counts = resample_counts(30, 1)
    assert (counts.sum(axis=1) == 30).all()
    np.testing.assert_allclose(counts.var(), 1 - 1 / 30, rtol=0.05)


def test_pooling_of_many_units_keeps_the_interval() -> None:
    errors = RNG.normal(size=(60_000, 1))
    number, count, known = unit_numbers(None, 60_000, 0)
    assert (count, known) == (1000, 60_000)
    assert np.ptp(np.bincount(number)) == 0
    found = score("mse", np.zeros_like(errors), errors)
    half = 1.96 * np.sqrt(2 / 60_000)
    np.testing.assert_allclose([found.high - found.value, found.value - found.low], half, rtol=0.12)


def test_groups_widen_the_interval_and_name_the_unit() -> None:
    unit = np.repeat(np.arange(30), 10)
    wrong = (RNG.random(300) > RNG.beta(4, 1, 30)[unit]).astype(int)
    rows = score("accuracy", np.zeros(300, int), proba(wrong))
    grouped = score("accuracy", np.zeros(300, int), proba(wrong), units=unit)
    assert (rows.unit, grouped.unit) == ("row", "group")
    assert grouped.high - grouped.low > 1.3 * (rows.high - rows.low)
    distinct = score("accuracy", np.zeros(300, int), proba(wrong), units=np.arange(300)[::-1].copy())
    assert distinct == rows


# catalogue: E4
@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "auc", "f1"])
def test_a_perfect_score_is_not_certain(metric: str) -> None:
    target = np.repeat([0, 1], [40, 10])
    found = score(metric, target, proba(target), weights=np.ones(50))
    size = 50 if metric == "accuracy" else 10
    assert found.value == found.high == 1
    np.testing.assert_allclose(found.low, wilson(size, size).low)


def test_one_unit_tells_nothing_of_others() -> None:
    target = RNG.normal(size=(20, 1))
    found = score("rmse", target, target + 1, units=np.zeros(20, int))
    assert (found.low, found.high) == (0, float("inf"))
    assert json.loads(json.dumps(found.to_json()))["high"] is None


# catalogue: E4
def test_equal_predictions_differ_by_nothing_but_are_not_shown_equal() -> None:
    target = RNG.integers(0, 2, 200)
    found = paired_difference("accuracy", target, proba(target), proba(target))
    assert found.value == 0
    np.testing.assert_allclose(found.high, 1.96 * np.sqrt(2) / 200, rtol=1e-3)
    np.testing.assert_allclose(found.excluded, found.high)
    assert found.outcome == "equal"


def test_a_difference_knows_which_way_is_better() -> None:
    target = RNG.normal(size=(300, 1))
    good, bad = target + 0.1 * RNG.normal(size=(300, 1)), target + RNG.normal(size=(300, 1))
    found = paired_difference("rmse", target, good, bad)
    assert found.outcome == "better"
    assert found.value < 0 < found.gain.low < found.gain.value < found.gain.high
    assert paired_difference("rmse", target, bad, good).outcome == "worse"
    assert paired_difference("r2", target, good, bad).outcome == "better"
    mirrored = paired_difference("rmse", target, bad, good)
    np.testing.assert_allclose([mirrored.low, mirrored.high], [-found.high, -found.low], rtol=0.02)


def test_a_seed_repeats_an_interval() -> None:
    target, prediction = RNG.normal(size=(90, 2)), RNG.normal(size=(90, 2))
    assert score("r2", target, prediction, seed=4) == score("r2", target, prediction, seed=4)
    assert score("r2", target, prediction, seed=4) != score("r2", target, prediction, seed=5)


def test_units_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match="3 units for 20 rows"):
        unit_numbers(np.arange(3), 20, 0)
    with pytest.raises(InputError, match="level"):
        score("rmse", np.zeros((20, 1)), np.ones((20, 1)), level=95.0)


def test_one_far_error_among_forty_does_not_make_the_interval_absurd() -> None:
    errors = np.random.default_rng(0).normal(size=(40, 1))
    errors[0] = 40.0
    found = score("rmse", np.zeros((40, 1)), errors)
    assert found.low > found.value / 4
    assert found.high < found.value * 10
    scaled = score("rmse", np.zeros((40, 1)), 1e-3 * errors)
    np.testing.assert_allclose([scaled.low, scaled.high], [1e-3 * found.low, 1e-3 * found.high])
