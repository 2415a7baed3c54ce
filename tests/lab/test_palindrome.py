"""The palindrome problem is what the course shows; the networks learn it; the table says what was measured."""

import json

import numpy as np
import pytest

from tutti import core, lab


def _reads_alike(x: np.ndarray, length: np.ndarray) -> np.ndarray:
    return np.array([list(row[:n]) == list(row[:n])[::-1] for row, n in zip(x, length, strict=True)])


# catalogue: A13
@pytest.mark.parametrize("near", [False, True])
def test_labels_say_what_reads_the_same_backwards(near: bool) -> None:
    x, length, y = lab.draw_sequences(4000, (1, 10), 0, near=near)
    assert np.array_equal(_reads_alike(x, length), y == 1)
    assert x.min() == 0
    assert x.max() == 9
    assert all((row[n:] == 0).all() for row, n in zip(x, length, strict=True))
    assert abs(y.mean() - 0.5) < 4.5 * 0.5 / 4000**0.5
    for label, shortest in ((1, 1), (0, 2)):
        found, times = np.unique(length[y == label], return_counts=True)
        assert found.tolist() == list(range(shortest, 11))
        expected = (y == label).sum() / len(found)
        assert (abs(times - expected) < 5 * expected**0.5).all()


def test_near_misses_are_one_symbol_away_from_a_palindrome() -> None:
    x, length, y = lab.draw_sequences(500, (2, 9), 3, near=True)
    for row, n in zip(x[y == 0], length[y == 0], strict=True):
        assert (row[:n] != row[:n][::-1]).sum() == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lengths": (3, 2)}, "Lengths from 3 to 2"),
        ({"lengths": (1, 1)}, "Lengths from 1 to 1"),
        ({"seeds": 0}, "0 seeds"),
        ({"networks": ("lstn",)}, "lstm"),
    ],
)
def test_experiments_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(core.InputError, match=message):
        lab.palindrome(**options)  # type: ignore[arg-type]


# catalogue: A13
def test_short_palindromes_are_learned_and_the_figures_belong_together() -> None:
    result = lab.palindrome(
        networks=("rnn", "lstm"), lengths=(1, 2), seeds=2, steps=200, rates=(3e-2,), hidden=24, threads=1
    )
    plain, gated = result.networks
    for each in (plain, gated):
        assert each.error < 0.2
        assert each.low <= each.error <= each.high
        assert each.curve[0][0] == 0
        assert each.curve[-1][0] == 200 * 64
        assert abs(each.curve[0][1] - 0.5) < 0.15
        assert each.by_length.keys() == {1, 2}
    assert plain.weights == 24 * (10 + 24 + 2) + 25
    assert gated.weights == 4 * 24 * (10 + 24 + 2) + 25
    assert result.holds == (gated.high < plain.low)
    again = lab.palindrome(
        networks=("rnn", "lstm"), lengths=(1, 2), seeds=2, steps=200, rates=(3e-2,), hidden=24, threads=1
    )
    assert [each.curve for each in again.networks] == [each.curve for each in result.networks]
    json.dumps(result.to_json())
