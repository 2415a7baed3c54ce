"""Conformal bands hold the share that they name, whatever the predictor is worth."""

import numpy as np
import pytest

from tutti.core import InputError
from tutti.metrics import conformal_band, coverage


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_hold_their_level_on_average(level: float) -> None:
    # exactly ⌈(n + 1)·level⌉/(n + 1) for continuous residuals, here of a bad and skewed predictor
    draw = np.random.default_rng(0)
    held = []
    for _ in range(400):
        target = draw.exponential(size=(39 + 50, 3)) ** 2
        band = conformal_band(target[:39], np.ones((39, 3)), level=level)
        held.append((np.abs(target[39:] - 1) <= band.width).mean())
    assert abs(np.mean(held) - np.ceil(40 * level) / 40) < 4 * np.std(held) / 20


def test_width_is_an_order_statistic_of_each_output() -> None:
    target = np.stack([np.arange(9.0), -10 * np.arange(9.0)], 1)
    band = conformal_band(target, np.zeros((9, 2)), level=0.8)
    assert band.width.tolist() == [7, 70]  # the eighth of nine: ⌈10 · 0.8⌉
    assert conformal_band(target, np.zeros((9, 2)), level=0.99).width.tolist() == [8, 80]
    assert band.to_json() == {"level": 0.8, "width": [7.0, 70.0], "n": 9}


def test_coverage_is_the_share_inside_with_an_interval_by_units() -> None:
    draw = np.random.default_rng(1)
    target = draw.normal(size=(3000, 2))
    band = conformal_band(target[:2000], np.zeros((2000, 2)), level=0.9)
    rest = target[2000:]
    found = coverage(rest, np.zeros((1000, 2)), band)
    assert found.value == pytest.approx((np.abs(rest) <= band.width).mean())
    assert found.low < 0.9 < found.high
    blocks = np.repeat(np.arange(100), 10)
    assert coverage(np.repeat(rest[:100], 10, 0), np.zeros((1000, 2)), band, units=blocks).low < found.low


def test_bad_levels_are_named() -> None:
    with pytest.raises(InputError, match="level of a band is 90"):
        conformal_band(np.zeros((3, 1)), np.zeros((3, 1)), level=90.0)
    with pytest.raises(InputError, match="no rows"):
        conformal_band(np.zeros((0, 1)), np.zeros((0, 1)))
