"""A temperature takes a classifier's over-confidence back."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from tutti.tasks import best_temperature, tempered


def _rows(classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """True logits and answers drawn from them."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(3000, classes))
    return logits, np.array([rng.choice(classes, p=p) for p in softmax(logits, axis=1)])


def test_tempered_probabilities_are_the_softmax_of_divided_logits() -> None:
    logits, _ = _rows(4)
    np.testing.assert_allclose(tempered(softmax(logits, axis=1), 2.5), softmax(logits / 2.5, axis=1), rtol=1e-9)
    kept = softmax(logits, axis=1).astype(np.float32)
    assert tempered(kept, 1.0) is kept
    assert tempered(kept, 3.0).dtype == np.float32


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_best_temperature_is_the_minimum_of_the_log_loss(classes: int, weighted: bool) -> None:
    logits, target = _rows(classes)
    weights = np.random.default_rng(1).random(len(target)) if weighted else None

    def loss(temperature: float) -> float:
        surprise = -log_softmax(3 * logits / temperature, axis=1)[np.arange(len(target)), target]
        return float(np.average(surprise, weights=weights))

    found = best_temperature(target, softmax(3 * logits, axis=1), weights)
    truth = minimize_scalar(loss, bounds=(0.5, 10), method="bounded").x
    np.testing.assert_allclose(found, truth, rtol=5e-3)
    np.testing.assert_allclose(found, 3, rtol=0.15)  # what made the logits too large


def test_the_temperature_keeps_its_bounds() -> None:
    target = np.array([0, 1] * 20)
    certain = np.eye(2)[target] * 0.98 + 0.01
    assert 0.5 <= best_temperature(target, certain) < 0.51
    assert 9.9 < best_temperature(1 - target, certain) <= 10
    assert best_temperature(target, np.full((40, 2), np.nan)) == 1
