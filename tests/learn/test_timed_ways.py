"""Which way of training is taken, on a clock that only counts: timed by enough settings, and close ones in turns."""

import numpy as np
import pytest

from tutti.core import Observer
from tutti.learn import _bench
from tutti.learn._bench import COMPARED, Bench
from tutti.learn._declare import declare
from tutti.learn._options import Options
from tutti.learn._train import Training
from tutti.training import Population

pytestmark = pytest.mark.stopwatch


@pytest.fixture
def training() -> Training:
    """A small table, whose network can be stacked or looped, on one thread."""
    x = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    options = Options.of({"epochs": 10})
    made = Training(declare((x, x[:, 0] * x[:, 1]), options, Observer()), options)
    made.threads = 1
    return made


def test_looped_settings_are_timed_by_as_many_as_decide(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    """From one and two settings a slip of the first by a half would be told sevenfold."""
    sizes: dict[str, list[int]] = {"stacked": [], "looped": []}

    def seconds(self: Bench, population: Population, patience: float) -> float:
        counts = sizes[population.plan.executor]
        counts.append(len(population.settings))
        slip = 1.5 if counts[-1] == 1 else 1.0
        return slip * (1e-3 * counts[-1] if population.plan.executor == "looped" else 4e-4 * counts[-1])

    monkeypatch.setattr(Bench, "_seconds", seconds)
    trial = training.choose(1000.0).trial
    assert trial.executor == "stacked"
    assert set(sizes["looped"]) == {1, COMPARED}


@pytest.mark.parametrize(("looped", "taken"), [(0.9e-3, "stacked"), (0.2e-3, "looped")])
def test_ways_that_are_close_are_timed_again_in_turns(
    training: Training, monkeypatch: pytest.MonkeyPatch, looped: float, taken: str
) -> None:
    """One after the other, the loop seems the faster; in turns, the stack is. A loop far ahead is not asked again."""
    turns: list[str] = []

    def steps(population: Population, *rest: object) -> float:
        turns.append(population.plan.executor)
        return {"stacked": 1.0, "looped": 1.2}[population.plan.executor]

    monkeypatch.setattr(
        Bench, "_time", lambda _, __, ___, executor, *____: (0.0, {"looped": looped}.get(executor, 1e-3), 0.0)
    )
    monkeypatch.setattr(_bench, "_steps_taken", steps)
    assert training.choose(1000.0).plan.executor == taken
    if taken == "stacked":
        assert turns[:4] == ["looped", "stacked"] * 2
    else:
        assert not turns


def test_a_recipe_with_a_sound_rate_takes_the_way_that_is_faster_for_one_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Networks for images are dear: of most fits one setting is all that there is time for, on all folds at best."""
    ways = {"looped": (0.0, 2e-3, 0.0)}  # of eight settings 16 ms; else 5 + 8 · 0.1
    monkeypatch.setattr(Bench, "_time", lambda _, __, ___, executor, *____: ways.get(executor, (5e-3, 1e-4, 0.0)))
    x = np.random.default_rng(0).integers(0, 256, (200, 12, 12), dtype=np.uint8)
    options = Options.of({"budget": 200})
    training = Training(declare((x, np.arange(200) % 2), options, Observer()), options)
    assert training.choose(100.0).plan.executor == "looped"
