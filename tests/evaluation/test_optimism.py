"""The optimism of the best of many settings is recovered."""

import numpy as np
import pytest

from tutti.core import InputError
from tutti.evaluation import optimism


# catalogue: E12
@pytest.mark.parametrize(("settings", "rows"), [(20, 300), (5, 300)])
def test_equal_settings_of_pure_noise(settings: int, rows: int) -> None:
    """Accuracy .5 whatever the setting: the best of them looks better, the corrected score does not."""
    rng = np.random.default_rng(1)
    best, corrected, value, inside = [], [], [], 0
    for seed in range(150):
        scores = (rng.random((settings, rows)) < 0.5).astype(np.float32)
        found = optimism(scores, "accuracy", seed=seed)
        best.append(scores.mean(axis=1).max())
        corrected.append(found.corrected)
        value.append(found.value)
        inside += found.low <= 0.5 <= found.high
    known = np.mean(best) - 0.5
    assert known > 0.03
    np.testing.assert_allclose(np.mean(corrected), 0.5, atol=0.25 * known)
    np.testing.assert_allclose(np.mean(value), known, rtol=0.25)
    assert inside / 150 >= 0.92


def test_a_setting_that_is_truly_best_is_hardly_corrected() -> None:
    rng = np.random.default_rng(2)
    right = np.array([0.9, 0.6, 0.6, 0.5])
    scores = (rng.random((4, 500)) < right[:, None]).astype(np.float64)
    found = optimism(scores, "accuracy")
    np.testing.assert_allclose(found.corrected, scores[0].mean(), atol=0.003)
    assert found.value < 0.003
    width = found.high - found.low
    np.testing.assert_allclose(width, 2 * 1.96 * np.sqrt(0.09 / 500), rtol=0.15)


def test_errors_are_corrected_upwards() -> None:
    rng = np.random.default_rng(3)
    squares = rng.normal(size=(30, 200)) ** 2
    found = optimism(squares, "rmse")
    assert np.sqrt(squares.mean(axis=1)).min() < found.corrected
    np.testing.assert_allclose(found.corrected, 1, atol=0.1)
    np.testing.assert_allclose(found.value, found.corrected - np.sqrt(squares.mean(axis=1)).min())


def test_groups_weights_and_diverged_settings() -> None:
    rng = np.random.default_rng(4)
    unit = np.repeat(np.arange(40), 10)
    share = rng.beta(4, 1, (6, 40))
    scores = (rng.random((6, 400)) < share[:, unit]).astype(np.float64)
    by_row, by_group = optimism(scores, "accuracy"), optimism(scores, "accuracy", units=unit)
    assert by_group.high - by_group.low > 1.3 * (by_row.high - by_row.low)
    diverged = np.concatenate([scores, np.full((1, 400), np.nan)])
    assert optimism(diverged, "accuracy") == optimism(scores, "accuracy")
    assert optimism(scores, "accuracy", weights=np.full(400, 3.0)) == by_row
    assert optimism(scores, "accuracy", units=np.zeros(400, int)).to_json()["corrected"] is None
    with pytest.raises(InputError, match="no mean over rows"):
        optimism(scores, "auc")
    with pytest.raises(InputError, match="No setting"):
        optimism(diverged[6:], "accuracy")


def test_the_best_setting_is_the_one_that_was_chosen() -> None:
    """Chosen by a loss that knows nothing, accuracies of pure noise are not too good."""
    rng = np.random.default_rng(5)
    scores = (rng.random((20, 400)) < 0.5).astype(np.float64)
    losses = rng.random((20, 400))
    found = optimism(scores, "accuracy", losses=losses)
    by_score = optimism(scores, "accuracy")
    assert found.value < 0.5 * by_score.value
    np.testing.assert_allclose(found.corrected, 0.5, atol=0.03)
    chosen = scores[losses.mean(axis=1).argmin()].mean()
    np.testing.assert_allclose(found.value, abs(chosen - found.corrected))
    assert optimism(scores, "accuracy", losses=-scores) == by_score
