"""Baselines of forecasts: the last season, its length from the training steps, ridge in closed form."""

import numpy as np
import pytest

from tutti.data import Reading, Series, declare_splits, read
from tutti.evaluation import fit_baselines
from tutti.evaluation._features_series import WindowRidge, inputs, repeated, seasons


def _sample(values: np.ndarray, horizon: int = 5, window: int = 12) -> Series:
    sample = read(values, reading=Reading(horizon=horizon, window=window)).sample
    assert isinstance(sample, Series)
    return sample


def test_the_last_season_comes_again() -> None:
    sample = _sample(np.arange(60.0) ** 2, horizon=7)
    for season in (1, 3, 10):
        found = repeated(sample, np.array([20]), season)[0]
        known = sample.values[: 20 + 12, 0]
        assert found.tolist() == [known[len(known) - season + h % season] for h in range(7)]


def test_before_its_first_step_a_series_stands_still() -> None:
    sample = _sample(np.arange(60.0) + 4)
    assert repeated(sample, np.array([0]), 40)[0].tolist() == [4] * 5


@pytest.mark.parametrize("length", [7, 12, 50])
def test_a_season_is_found(length: int) -> None:
    draw = np.random.default_rng(length)
    steps = np.arange(600)
    sample = _sample(np.sin(2 * np.pi * steps / length) * 2 + 0.01 * steps + 0.05 * draw.normal(size=600))
    assert seasons(sample, np.arange(500)) == (length,)


def test_white_noise_and_random_walks_have_none() -> None:
    draw = np.random.default_rng(0)
    for noise in (draw.normal(size=600), draw.normal(size=600).cumsum()):
        assert seasons(_sample(noise), np.arange(500)) == (1,)


def test_ridge_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import Ridge

    draw = np.random.default_rng(0)
    sample = _sample(draw.normal(size=(80, 2)).cumsum(0) * [1, 50])
    rows = np.arange(40)
    model = WindowRidge.__new__(WindowRidge)
    model.series, model._prepared = sample, {}
    found = model.begin({"alpha": 0.1}, rows).predict(np.arange(50, 60))
    past = sample.values[: rows[-1] + 12].astype(np.float64)
    standard = (sample.values - past.mean(0)) / past.std(0)
    cut = np.stack([standard[s : s + 17] for s in range(60)]).transpose(0, 2, 1)
    x, y, last = cut[..., :12] - cut[..., 11:12], cut[..., 12:] - cut[..., 11:12], cut[..., 11:12]
    ridge = Ridge(alpha=0.1 * 80, fit_intercept=False).fit(x[:40].reshape(80, 12), y[:40].reshape(80, 5))
    ahead = ridge.predict(x[50:].reshape(20, 12)).reshape(10, 2, 5) + last[50:]
    expected = ahead.transpose(0, 2, 1) * past.std(0) + past.mean(0)
    np.testing.assert_allclose(found, expected.reshape(10, 10), rtol=1e-4, atol=1e-3)


def test_all_are_tuned_on_the_folds_and_named() -> None:
    draw = np.random.default_rng(0)
    table = read(np.sin(np.arange(400) / 2) + 0.1 * draw.normal(size=400), reading=Reading(horizon=4, window=24))
    assert isinstance(table.sample, Series)
    splits, _ = declare_splits(table.rows, time=table.time, gap=table.sample.gap)
    made = inputs(table.sample, splits)
    found = fit_baselines(
        *(made.numbers, made.codes, table.target),
        **{"kind": "regression", "outputs": 4, "splits": splits, "metric": "rmse"},
        learners=made.learners,
        seconds=20,
    )
    scores = {b.name: b.cv_score for b in found}
    assert list(scores) == ["trivial", "last value", "seasonal naive", "ridge on the window"]
    assert scores["ridge on the window"] < scores["seasonal naive"] < scores["last value"]
