"""Rungs: how many settings stay, when, and what that saves."""

from itertools import pairwise

import pytest

from tutti.search import halving


def cost(settings: int, horizon: int, segment: int) -> float:
    """Setting-steps of a search, as a share of all settings trained to the end."""
    total, at, last = 0, settings, 0
    for rung in halving(settings, horizon, segment):
        total += at * (rung.step - last)
        at, last = rung.keep, rung.step
    return (total + at * (horizon - last)) / (settings * horizon)


def test_thirty_two_settings_are_halved_four_times() -> None:
    made = halving(32, 1600, 100)
    assert [(rung.step, rung.keep) for rung in made] == [(100, 16), (200, 8), (400, 4), (800, 2)]
    assert cost(32, 1600, 100) == pytest.approx(6 / 32)


def test_few_settings_are_not_compared_before_an_eighth() -> None:
    assert [(rung.step, rung.keep) for rung in halving(8, 1600, 100)] == [(200, 4), (400, 2)]
    assert [(rung.step, rung.keep) for rung in halving(3, 1600, 100)] == [(200, 2)]
    assert halving(2, 1600, 100) == halving(1, 1600, 100) == ()


@pytest.mark.parametrize("settings", [1, 2, 5, 15, 16, 33, 100])
@pytest.mark.parametrize(("horizon", "segment"), [(1600, 100), (719, 45), (20, 2), (16, 1), (3, 1), (1, 1)])
def test_rungs_stand_at_ends_of_segments_and_always_drop(settings: int, horizon: int, segment: int) -> None:
    made = halving(settings, horizon, segment)
    steps, keeps = [rung.step for rung in made], [settings, *(rung.keep for rung in made)]
    assert all(step % segment == 0 and 0 < step < horizon for step in steps)
    assert steps == sorted(set(steps))
    assert all(1 < after < before for before, after in pairwise(keeps))
