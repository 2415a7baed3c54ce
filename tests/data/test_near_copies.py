"""Near-copies are found by their number on each side, and dense tables are not mistaken for them."""

import numpy as np
import pytest

from tutti.data import declare_splits, find_leaks, read
from tutti.data._near_copies import near_copies


def table(rows: int, numbers: int, copies: int = 0, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    values = random.normal(size=(rows, numbers)) * np.geomspace(1e-3, 1e4, numbers)
    codes = random.integers(2, 9, (rows, 1))
    if copies:
        spread = values.std(axis=0) * noise
        values[-copies:] = values[:copies] + spread * random.normal(size=(copies, numbers))
        codes[-copies:] = codes[:copies]
    return values.astype(np.float32), codes


@pytest.mark.parametrize("numbers", [3, 10, 30])
def test_rounded_copies_are_counted_on_each_side(numbers: int) -> None:
    values, codes = table(2000, numbers, copies=400, noise=1e-4)
    splits = declare_splits(2000)[0]
    (found,) = near_copies(values, codes, splits)
    tested = np.isin(splits.test, np.r_[:400, 1600:2000])
    partner = np.where(splits.test < 400, splits.test + 1600, splits.test - 1600)
    across = int((tested & ~np.isin(partner, splits.test)).sum())
    count = int(found.message.split(" of ")[0])
    assert 0.85 * across <= count <= across
    assert "of 400 rows that judge (test)" in found.message
    assert "1,600 training rows" in found.message
    assert (found.kind, found.where, found.severity) == ("near-duplicates", "test", "notice")
    assert "--group" in found.message


def test_without_test_rows_the_first_fold_is_looked_at() -> None:
    values, codes = table(1000, 6, copies=300, noise=1e-4)
    (found,) = near_copies(values, codes, declare_splits(1000, test_size=0.0)[0])
    assert found.where == "fold 0"


@pytest.mark.parametrize(
    ("rows", "numbers"), [(2000, 1), (2000, 2), (60_000, 2), (60_000, 3), (300_000, 2), (2000, 20)]
)
def test_dense_and_plain_tables_are_not_mistaken(rows: int, numbers: int) -> None:
    values, codes = table(rows, numbers)
    assert near_copies(values, codes, declare_splits(rows)[0]) == []


def test_one_far_value_a_missing_column_and_exact_copies_are_not_near_copies() -> None:
    values, codes = table(1500, 4)
    values[0, 0] = 1e30
    values[:, 1] = np.nan
    values[:, 2] = 3.0
    values[:5, 3] = np.inf
    assert near_copies(values, codes, declare_splits(1500)[0]) == []
    values[700:], codes[700:] = values[:800], codes[:800]
    assert near_copies(values, codes, declare_splits(1500)[0]) == []


def test_the_leak_check_tells_of_them() -> None:
    values, codes = table(1000, 6, copies=300, noise=1e-4)
    target = np.arange(1000) % 2
    frame = {f"x{i}": values[:, i] for i in range(6)} | {"c": codes[:, 0], "y": target}
    report = find_leaks(read(frame, target="y", kinds={"c": "category"}), target, declare_splits(1000)[0])
    assert [f.kind for f in report.findings] == ["near-duplicates"]
