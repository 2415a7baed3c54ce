"""Kneser-Ney: distributions, and the formulas by dictionaries."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from tutti.evaluation._kneser_ney import KneserNey, _discounts

TOKENS = 6


def stretches() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    text = rng.choice(5, 400, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    text[::9] = 2
    return [text[:250], text[250:252], text[252:]]


def by_dictionaries(parts: list[np.ndarray], order: int, context: tuple[int, ...]) -> list[float]:
    """p(w | context) for every w, straight from the definition."""
    runs = {
        n: Counter(tuple(p[i : i + n]) for p in parts for i in range(len(p) - n + 1)) for n in range(1, order + 1)
    }
    fronts: dict[int, dict[tuple[int, ...], int]] = {}
    for n in range(1, order):
        led = defaultdict(set)
        for run in runs[n + 1]:
            led[run[1:]].add(run[0])
        fronts[n] = {run: max(1, len(led[run])) for run in runs[n]}
    p = [1 / TOKENS] * TOKENS
    for n in range(1, order + 1):
        counts = runs[n] if n == order else fronts[n]
        discounts = _discounts(np.array(list(counts.values())))
        h = context[len(context) - n + 1 :]
        own = {run[-1]: c for run, c in counts.items() if run[:-1] == h}
        if not own:
            continue
        total = sum(own.values())
        left = sum(discounts[min(c, 3)] for c in own.values()) / total
        p = [max(own.get(w, 0) - discounts[min(own.get(w, 0), 3)], 0) / total + left * p[w] for w in range(TOKENS)]
    return p


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_it_is_a_distribution_and_the_published_formula(order: int) -> None:
    parts = stretches()
    model = KneserNey(parts, TOKENS, 4)
    for context in ((0, 1, 2), (2, 0, 0), (4, 4, 4), (5, 0, 1), (0, 0, 5)):
        asked = np.array([[*context, w] for w in range(TOKENS)])
        p = np.exp(-model.surprises(asked, order))[:, -1]
        assert p.sum() == pytest.approx(1, abs=1e-12)
        # levels above `order` change nothing below, but what stands in front is counted from one order higher
        alone = KneserNey(parts, TOKENS, order)
        np.testing.assert_allclose(np.exp(-alone.surprises(asked, order))[:, -1], p, rtol=1e-12)
        np.testing.assert_allclose(p, by_dictionaries(parts, order, context), rtol=1e-12)


def test_near_the_beginning_of_a_window_a_lower_order_speaks() -> None:
    model = KneserNey(stretches(), TOKENS, 4)
    window = np.array([[1, 0, 2, 1, 0, 0, 3]])
    found = model.surprises(window, 4)[0]
    for place in range(1, 4):
        short = model.surprises(window[:, : place + 1], place + 1)[0, -1]
        assert found[place - 1] == pytest.approx(short, rel=1e-12)
    long = model.surprises(window[:, 2:6], 4)[0, -1]
    assert found[4] == pytest.approx(long, rel=1e-12)


def test_it_beats_the_unigram_on_text_and_finds_a_rule() -> None:
    cycle = np.tile(np.arange(5), 60)
    model = KneserNey([cycle], TOKENS, 3)
    window = np.tile(np.arange(5), 4)[None, 3:]
    assert model.surprises(window, 3).mean() < 0.05
    assert model.surprises(window, 1).mean() == pytest.approx(math.log(5), abs=0.1)


def test_a_text_shorter_than_the_order_counts_what_there_is() -> None:
    model = KneserNey([np.array([0, 1, 2])], TOKENS, 5)
    assert np.isfinite(model.surprises(np.array([[0, 1, 2, 3, 4, 5]]), 5)).all()
