"""The cost ladder on a clock that only counts: what is trained where the time is too short for the recipe."""

import numpy as np
import pytest

from tutti.core import Observer
from tutti.learn._declare import declare
from tutti.learn._ladder import FEWEST_STEPS
from tutti.learn._options import Options
from tutti.learn._train import Training


@pytest.fixture(scope="module")
def training() -> Training:
    """A table so long that a recipe's step is dear."""
    random = np.random.default_rng(0)
    x = random.normal(size=(120_000, 6)).astype(np.float32)
    options = Options.of({"epochs": 10})
    return Training(declare((x, x[:, 0] * x[:, 1]), options, Observer()), options)


def test_a_time_too_short_for_a_race_goes_to_one_setting_in_small_batches(training: Training) -> None:
    choice = training.choose(1.5, timed=False)
    settings = choice.grid.settings()
    assert len(settings) == 1
    assert training.grid(3).settings()[0].learning_rate < settings[0].learning_rate  # the middle one
    assert choice.plan.batch_size == 256 == choice.trial.program.batch_size
    assert FEWEST_STEPS < choice.plan.horizon < choice.trial.problem.rows
    assert len(choice.plan.segments) <= 4
    assert choice.seconds <= 1.5
    assert choice.shortened
    assert choice.raced  # nothing grows


def test_longer_times_climb_up_the_ladder(training: Training) -> None:
    counts = []
    for seconds in (1.5, 30.0, 3000.0):
        choice = training.choose(seconds, timed=False)
        counts.append((choice.trial.folds, len(choice.grid.settings())))
        assert choice.seconds <= seconds
    assert counts == sorted(counts)
    assert counts[-1] == (5, 32)
