"""Test rows are recognised by their content, and the ledger of looks at them survives whatever happens to it."""

import json

import numpy as np
import pytest

from tutti.data._fingerprint import fingerprint_rows as fingerprint
from tutti.data._fingerprint import looked_at, record_look, repeated_looks
from tutti.data._row_content import row_hashes


def table(rows=50):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 3)), rng.integers(0, 5, (rows, 2)), rng.integers(0, 2, rows)


def fingerprint_rows(numbers, codes, target, rows):
    return fingerprint(row_hashes(numbers, codes, target)[rows])


def test_the_fingerprint_is_that_of_the_content_in_any_order():
    numbers, codes, target = table()
    rows = np.arange(10, 30)
    mark = fingerprint_rows(numbers, codes, target, rows)
    assert mark == fingerprint_rows(numbers, codes, target, rows[::-1].copy())
    order = np.random.default_rng(1).permutation(50)
    there = np.argsort(order)[rows]
    assert mark == fingerprint_rows(numbers[order], codes[order], target[order], there)
    assert len(mark) == 16


def test_the_fingerprint_never_changes_between_versions_and_machines():
    numbers = np.array([[0.5, np.nan], [-0.0, 1e30], [3.0, -2.25]])
    codes, target = np.array([[2], [1], [0]]), np.array([0, 1, 1])
    assert fingerprint_rows(numbers, codes, target, np.array([0, 2])) == "d0cae8595f0bcd21"


@pytest.mark.parametrize("part", [0, 1, 2])
def test_any_change_of_a_row_changes_the_fingerprint(part):
    parts = table()
    rows = np.arange(20)
    before = fingerprint_rows(*parts, rows)
    parts[part].reshape(50, -1)[19, -1] += 1
    assert fingerprint_rows(*parts, rows) != before
    assert fingerprint_rows(*table(), np.arange(21)) != before
    after = [values.copy() for values in table()]
    after[part].reshape(50, -1)[20, -1] += 1
    assert fingerprint_rows(*after, rows) == before, "other rows do not count"


def test_looks_are_counted_by_run_and_by_rows(tmp_path):
    folder = tmp_path / "runs"
    assert looked_at(folder, "aa") == 0
    for run in ("one", "two", "two"):
        assert record_look(folder, "aa", run) == []
    record_look(folder, "bb", "one")
    assert (looked_at(folder, "aa"), looked_at(folder, "bb"), looked_at(folder, "cc")) == (2, 1, 0)
    assert [p.name for p in folder.iterdir()] == ["test_rows.json"], "nothing half-written is left"


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"format": 2, "rows": {}}',
        b'{"format": 1, "rows": {"aa": 3}}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_ledger_is_put_aside_with_a_notice(tmp_path, damage):
    (tmp_path / "test_rows.json").write_bytes(damage)
    assert looked_at(tmp_path, "aa") == 0
    (found,) = record_look(tmp_path, "aa", "one")
    assert (found.kind, found.severity) == ("test-ledger", "notice")
    assert looked_at(tmp_path, "aa") == 1
    assert (tmp_path / "test_rows.json.unreadable").read_bytes() == damage


def test_a_ledger_that_cannot_be_written_is_a_notice(tmp_path):
    (tmp_path / "runs").write_text("a file where the folder should be", encoding="utf8")
    (found,) = record_look(tmp_path / "runs", "aa", "one")
    assert "not counted" in found.message


def test_a_failed_write_leaves_the_old_ledger(tmp_path, monkeypatch):
    record_look(tmp_path, "aa", "one")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    (found,) = record_look(tmp_path, "aa", "two")
    assert "not counted" in found.message
    assert json.loads((tmp_path / "test_rows.json").read_text(encoding="utf8"))["rows"] == {"aa": ["one"]}
    assert [p.name for p in tmp_path.iterdir()] == ["test_rows.json"]


def test_a_second_look_is_said_and_a_first_is_not():
    assert repeated_looks(0) == []
    assert "once before" in repeated_looks(1)[0].message
    assert "3 times before" in repeated_looks(3)[0].message
