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


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> Training:
    """Images, whose recipe has a sound rate and gains by more passes; a step takes a tenth of a second."""
    monkeypatch.setattr("tutti.learn._bench.Bench._time", lambda *_: (0.0, 0.1, 1e-3))
    monkeypatch.setattr("tutti.learn._bench.Bench._rematch", lambda self, first, *_: first)
    x = np.random.default_rng(0).integers(0, 256, (600, 12, 12), dtype=np.uint8)
    options = Options.of({"rungs": False, "budget": 200})
    return Training(declare((x, np.arange(600) % 2), options, Observer()), options)


@pytest.mark.parametrize(("allowance", "steps"), [(100.0, 998), (158.0, 1440)])
def test_a_single_setting_trains_for_as_long_as_there_is_time_up_to_twice_its_passes(
    pictures: Training, allowance: float, steps: int
) -> None:
    """60 passes over 384 images in batches of 32 are 720 steps; 96 + 120 images are predicted at the end."""
    choice = pictures.choose(allowance)
    assert (choice.trial.folds, len(choice.grid.settings())) == (1, 1)
    assert not choice.shortened
    assert choice.after == pytest.approx(1e-3 * (96 + 120))
    assert 0.9 * steps < choice.plan.horizon <= steps  # the timing has taken a little
    assert choice.seconds <= allowance


@pytest.mark.parametrize(
    ("allowance", "settings", "steps"), [(60.0, 1, 1190), (100.0, 1, 1440), (180.0, 1, 1440), (240.0, 3, 1440)]
)
def test_all_folds_train_for_twice_their_passes_before_a_second_setting_is_tried(
    pictures: Training, monkeypatch: pytest.MonkeyPatch, allowance: float, settings: int, steps: int
) -> None:
    """A setting's five networks take 36 s for 720 steps, three 216 s for 1,440."""
    monkeypatch.setattr(
        "tutti.learn._bench.Bench._time", lambda _, __, program, *___: (0.0, 0.01 * program.streams, 1e-6)
    )
    choice = pictures.choose(allowance)
    assert (choice.trial.folds, len(choice.grid.settings())) == (5, settings)
    assert 0.9 * steps < choice.plan.horizon <= steps


@pytest.mark.parametrize(
    ("allowance", "told", "folds", "steps"),
    [(105.0, {}, 5, 420), (70.0, {}, 1, 1200), (105.0, {"epochs": 75}, 1, 480)],
)
def test_networks_of_all_folds_train_for_most_of_their_passes_before_one_takes_all_the_time(
    monkeypatch: pytest.MonkeyPatch, allowance: float, told: dict[str, float], folds: int, steps: int
) -> None:
    """Of signals: 480 steps of five networks would take 120 s, of one 24 s."""
    monkeypatch.setattr(
        "tutti.learn._bench.Bench._time", lambda _, __, program, *___: (0.0, 0.05 * program.streams, 1e-6)
    )
    x = np.random.default_rng(0).normal(size=(160, 24)).astype(np.float32)
    options = Options.of({"rungs": False, "budget": 200, "data": "signals", **told})
    training = Training(declare((x, np.arange(160) % 2), options, Observer()), options)
    choice = training.choose(allowance)
    assert choice.trial.folds == folds
    assert 0.9 * steps < choice.plan.horizon <= steps  # the timing has taken a little
    assert choice.shortened == (folds == 5)


def test_a_time_too_short_for_the_recipe_shortens_it_and_says_so(pictures: Training) -> None:
    choice = pictures.choose(40.0)
    assert choice.shortened
    assert 0.9 * 398 < choice.plan.horizon <= 398
    (cut,) = (notice for notice in choice.notices if notice.kind == "little-time")
    assert cut.message.startswith("To end in time: 1 of 3 settings, one hold-out for 5 folds, fewer passes")
    assert cut.message in pictures.lines(choice)


def test_a_fit_that_has_the_time_for_all_of_it_says_nothing(
    monkeypatch: pytest.MonkeyPatch, pictures: Training
) -> None:
    monkeypatch.setattr("tutti.learn._bench.Bench._time", lambda *_: (0.0, 1e-6, 1e-6))
    assert not pictures.choose(1e4).notices


@pytest.mark.parametrize("told", [{"epochs": 60, "budget": 200}, {}])
def test_passes_that_the_user_gave_and_fits_without_a_budget_are_not_stretched(
    pictures: Training, told: dict[str, float]
) -> None:
    options = Options.of({"rungs": False, **told})
    assert Training(pictures.declared, options).choose(158.0).plan.horizon == 720
