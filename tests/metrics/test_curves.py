"""Confusion, calibration and residuals."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from tutti.core import InputError
from tutti.metrics import calibration_curve, confusion, residual_curve, wilson

RNG = np.random.default_rng(11)


# catalogue: E4
def test_confusion_equals_scikit_learn() -> None:
    target, prediction = RNG.integers(0, 4, 300), RNG.random((300, 5))
    expected = confusion_matrix(target, prediction.argmax(1), labels=range(5))
    np.testing.assert_array_equal(confusion(target, prediction), expected)
    with pytest.raises(InputError, match="classes 0 to 3"):
        confusion(target, prediction[:, :3])


def test_calibration_of_a_calibrated_and_of_a_boasting_model() -> None:
    p = RNG.random(5000)
    target = (RNG.random(5000) < p).astype(int)
    honest = calibration_curve(target, np.stack([1 - p, p], 1))
    assert [b.count for b in honest.bins] == [500] * 10
    assert sum(b.low <= b.predicted <= b.high for b in honest.bins) >= 8
    assert honest.error < 0.03
    for b in honest.bins:
        share = wilson(b.observed * b.count, b.count)
        np.testing.assert_allclose([b.low, b.high], [share.low, share.high])
    sure = np.where(p > 0.5, 0.99, 0.01)
    boasting = calibration_curve(target, np.stack([1 - sure, sure], 1))
    assert [b.count for b in boasting.bins] == [int((p <= 0.5).sum()), int((p > 0.5).sum())]
    np.testing.assert_allclose(boasting.error, 0.24, atol=0.02)


def test_calibration_of_many_classes_is_that_of_the_chosen_one() -> None:
    target = RNG.integers(0, 3, 900)
    prediction = np.full((900, 3), 0.1)
    prediction[np.arange(900), np.where(RNG.random(900) < 0.8, target, (target + 1) % 3)] = 0.8
    found = calibration_curve(target, prediction)
    assert len(found.bins) == 1
    np.testing.assert_allclose(found.bins[0].predicted, 0.8)
    np.testing.assert_allclose(found.bins[0].observed, 0.8, atol=0.04)


def test_residuals_show_a_bend() -> None:
    x = RNG.uniform(-1, 1, (4000, 1))
    found = residual_curve(x**2 + 0.1 * RNG.normal(size=x.shape), x)
    assert found.count == (400,) * 10
    np.testing.assert_allclose(found.mean, [np.mean(v**2 - v) for v in np.split(np.sort(x[:, 0]), 10)], atol=0.03)
    assert all(low < mean < high for low, mean, high in zip(found.low, found.mean, found.high, strict=True))
    assert found.low[0] > 0
