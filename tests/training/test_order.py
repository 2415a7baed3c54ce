"""Batches are full and drawn from each stream's own chain of permutations."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tutti.training import Plan, Rung
from tutti.training._order import batch_rows


@pytest.mark.parametrize("batch", [1, 7, 32, 250])
def test_every_pass_holds_every_row_once(batch: int) -> None:
    train = np.arange(100, 200)
    steps = -(-400 // batch)
    chain = batch_rows(train, 3, 1, batch, 0, steps).ravel()[:400]
    for part in chain.reshape(4, 100):
        assert_array_equal(np.sort(part), train)
    assert not np.array_equal(chain[:100], chain[100:200])


def test_any_step_can_be_asked_for_alone() -> None:
    train = np.arange(53)
    whole = batch_rows(train, 0, 0, 8, 0, 40)
    for first, last in ((0, 1), (5, 9), (39, 40), (6, 8)):
        assert_array_equal(batch_rows(train, 0, 0, 8, first, last), whole[first:last])


def test_streams_differ_by_seed_and_fold() -> None:
    train = np.arange(64)
    orders = [batch_rows(train, s, f, 64, 0, 1).ravel() for s, f in ((0, 0), (0, 1), (1, 0))]
    assert not any(np.array_equal(a, b) for i, a in enumerate(orders) for b in orders[:i])


def test_permutations_are_uniform() -> None:
    """χ² of first places over 5,000 permutations of 10 rows: below the 0.9999 quantile for 9 degrees (33.7)."""
    firsts = [batch_rows(np.arange(10), seed, 0, 10, 0, 1)[0, 0] for seed in range(5000)]
    counts = np.bincount(firsts, minlength=10)
    assert ((counts - 500) ** 2 / 500).sum() < 33.7


def test_segments_are_cut_at_rungs_and_at_the_horizon() -> None:
    plan = Plan(executor="stacked", horizon=25, segment=10, batch_size=1, rungs=(Rung(step=13, keep=2),))
    assert plan.segments == ((0, 10), (10, 13), (13, 20), (20, 25))
    assert Plan.from_json(plan.to_json()) == plan
