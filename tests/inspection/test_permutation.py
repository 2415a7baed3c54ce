"""Permutation importance finds what a model uses, says how sure that is, and keeps to its limits."""

import numpy as np
import pytest
from sklearn.inspection import permutation_importance as reference
from sklearn.linear_model import LinearRegression

from tutti.core import Column, InputError, Kind, Role, Schema
from tutti.inspection import feature_places, permutation_importance

RNG = np.random.default_rng(0)
NO_CODES = np.zeros((600, 0), np.int64)


def test_a_linear_model_by_its_closed_form_and_by_scikit_learn() -> None:
    """Shuffling column j of Σ wⱼxⱼ raises the MSE by 2 wⱼ² var(xⱼ)."""
    x = RNG.normal(size=(600, 3))
    y = x @ np.array([[2.0], [1.0], [0.0]]) + 0.1 * RNG.normal(size=(600, 1))
    model = LinearRegression().fit(x, y)
    found = permutation_importance(
        lambda numbers, codes: model.predict(numbers), x, NO_CODES, y, "mse", repeats=10,
        columns={"a": ([0], []), "b": ([1], []), "c": ([2], [])},
    )  # fmt: skip
    assert [column.feature for column in found.columns] == ["a", "b", "c"]
    for column, expected in zip(found.columns, (8, 2, 0), strict=True):
        assert column.low <= expected <= column.high
        assert column.low <= column.value <= column.high
    assert found.columns[1].low > 0
    assert abs(found.columns[2].value) < 0.01
    theirs = reference(model, x, y, scoring="neg_mean_squared_error", n_repeats=10, random_state=0)
    np.testing.assert_allclose([c.value for c in found.columns], theirs.importances_mean, rtol=0.1, atol=0.01)


def test_what_comes_of_one_column_is_shuffled_together() -> None:
    """A model of the difference of two features of one column: shuffled together, it stays what it was."""
    x = np.repeat(RNG.normal(size=(600, 1)), 2, axis=1)
    y = x[:, :1] - x[:, 1:] + RNG.normal(size=(600, 1))

    def predict(numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
        return 3 * (numbers[:, :1] - numbers[:, 1:])

    together = permutation_importance(predict, x, NO_CODES, y, "rmse", columns={"date": ([0, 1], [])})
    apart = permutation_importance(predict, x, NO_CODES, y, "rmse", columns={"one": ([0], []), "two": ([1], [])})
    np.testing.assert_allclose(together.columns[0].value, 0, atol=1e-12)
    assert min(c.low for c in apart.columns) > 1


def test_classes_codes_and_groups() -> None:
    codes = RNG.integers(2, 4, (600, 2))
    target = np.where(RNG.random(600) < 0.9, codes[:, 0] - 2, 3 - codes[:, 0])

    def predict(numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
        return np.eye(2)[codes[:, 0] - 2] * 0.8 + 0.1

    common = {"columns": {"used": ([], [0]), "idle": ([], [1])}}
    found = permutation_importance(predict, np.zeros((600, 0)), codes, target, "accuracy", **common)
    assert found.columns[0].feature == "used"
    assert found.columns[0].low <= 0.4 <= found.columns[0].high
    assert found.columns[1].low < 0 < found.columns[1].high
    grouped = permutation_importance(
        predict, np.zeros((600, 0)), codes, target, "accuracy", units=np.argsort(np.argsort(target)) // 60, **common
    )
    assert grouped.columns[0].high - grouped.columns[0].low != found.columns[0].high - found.columns[0].low
    assert found.to_json()[0].keys() == {"feature", "value", "low", "high"}


def test_rows_repeats_and_columns_are_cut_when_there_is_no_time() -> None:
    x, y = RNG.normal(size=(600, 2)), RNG.normal(size=(600, 1))
    calls: list[int] = []

    def predict(numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
        calls.append(len(numbers))
        return numbers[:, :1]

    columns = {"a": ([0], []), "b": ([1], [])}
    found = permutation_importance(predict, x, NO_CODES, y, "mae", columns=columns, seconds=0)
    assert (found.rows, found.repeats) == (100, 1)
    assert found.note == "Left out for want of time: b."
    assert calls == [600, 100]
    capped = permutation_importance(predict, x, NO_CODES, y, "mae", columns=columns, most_rows=250, repeats=2)
    assert (capped.rows, capped.repeats, capped.note) == (250, 2, "")


def test_places_follow_the_schema() -> None:
    def column(name: str, kind: Kind, features: tuple[str, ...] = (), role: Role = Role.FEATURE) -> Column:
        return Column(name=name, kind=kind, features=features, role=role)

    schema = Schema(
        rows=9,
        columns=(
            column("kind", Kind.CATEGORY),
            column("day", Kind.DATETIME, ("day year", "day month")),
            column("id", Kind.IDENTIFIER, role=Role.ASIDE),
            column("size", Kind.NUMBER, ("size",)),
            column("shop", Kind.CATEGORY),
            column("y", Kind.NUMBER, ("y",), Role.TARGET),
        ),
    )
    assert feature_places(schema) == {
        "kind": ((), (0,)), "day": ((0, 1), ()), "size": ((2,), ()), "shop": ((), (1,)),
    }  # fmt: skip
    with pytest.raises(InputError, match="nothing to shuffle"):
        permutation_importance(lambda n, c: n, np.zeros((9, 1)), NO_CODES[:9], np.zeros((9, 1)), "mse", columns={})
