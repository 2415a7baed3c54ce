"""Whatever is fed to read and encode, only InputError may come out; and what is read keeps its promises."""

import csv
import io
import json
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tutti.core import InputError, Kind, Role, Schema
from tutti.data import Reading, Table, encode, read

NAMES = st.one_of(
    st.text(max_size=8), st.sampled_from(["", " ", "id", "a", "A", "y", "0", "-1", "ü", "col\n", '"', ","])
)
WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            "NA",
            "?",
            "nan",
            "inf",
            "-inf",
            "1,234",
            "1.5",
            "1e400",
            "007",
            "true",
            "No",
            "2024-01-31",
            "31/01/2024",
        ]
    ),
    st.sampled_from(
        ["12%", "$5", "0x1F", "١٢", "１", "9" * 400, "1e-400", "NaT", "\u00a0", "2024-02-30T25:00", "=1+1"]
    ),
)
CELLS = st.one_of(
    WORDS,
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.dates(date(1, 1, 1), date(9999, 12, 31)),
    st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),
    st.binary(max_size=3),
    st.lists(st.integers(), max_size=2),
)
UNIFORM = [WORDS, st.floats(), st.integers(-(2**40), 2**40), st.booleans(), st.dates(), CELLS, st.sampled_from("ab")]
CALM = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[Any]]:
    """Columns of equal length, each of one kind of cell or of all at once."""
    rows = draw(st.integers(1, 25))
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    kinds = [draw(st.sampled_from(UNIFORM)) for _ in names]
    return {name: draw(st.lists(kind, min_size=rows, max_size=rows)) for name, kind in zip(names, kinds, strict=True)}


def _written(columns: dict[str, list[Any]], folder: Path) -> Path:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    path = folder / "fuzz.csv"
    path.write_bytes(buffer.getvalue().encode("utf8", "replace"))
    return path


def _check(table: Table, source: Any) -> None:
    """What every table promises, and that its own source can be encoded without loss."""
    schema = table.schema
    assert table.numbers.shape == (table.rows, len(schema.numbers))
    assert table.numbers.dtype == np.float32
    assert not np.isinf(table.numbers).any()
    assert table.codes.shape == (table.rows, len(schema.categories))
    for column, codes in zip(schema.categories, table.codes.T, strict=True):
        assert codes.min() >= 0
        assert codes.max() < len(column.levels) + 2
        assert (codes == 1).sum() == column.missing
    assert {c.role for c in schema.columns if c.kind in (Kind.TEXT, Kind.CONSTANT)} <= {Role.ASIDE}
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert len(table.fingerprint) == 64
    again = encode(schema, source, target=True)
    np.testing.assert_array_equal(again.numbers, table.numbers)
    np.testing.assert_array_equal(again.codes, table.codes)
    assert np.asarray(again.target).tolist() == np.asarray(table.target).tolist()


@CALM
@given(tables(), st.data())
def test_any_frame_is_read_or_refused(columns: dict[str, list[Any]], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(columns)))
    source = columns if data.draw(st.booleans()) else pd.DataFrame(columns, dtype=object)
    try:
        table = read(source, target=name)
    except InputError:
        return
    _check(table, source)


@CALM
@given(tables(), st.data())
def test_any_csv_is_read_or_refused(columns: dict[str, list[Any]], data: st.DataObject) -> None:
    header = data.draw(st.booleans())
    with tempfile.TemporaryDirectory() as folder:
        path = _written(columns, Path(folder))
        try:
            table = read(path, target=data.draw(st.integers(-1, 1)), reading=Reading(header=header))
        except InputError:
            return
        _check_file(table, path, header)


def _check_file(table: Table, path: Path, header: bool) -> None:
    again = encode(table.schema, path, target=True, reading=Reading(header=header))
    np.testing.assert_array_equal(again.numbers, table.numbers)
    np.testing.assert_array_equal(again.codes, table.codes)


@CALM
@given(st.one_of(st.binary(max_size=200), st.text(alphabet='ab1,;\t\n"\r é{}[]:', max_size=200)), st.booleans())
def test_any_bytes_are_read_or_refused(content: bytes | str, header: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("fuzz.csv", "fuzz.jsonl", "fuzz.arrow"):
            path = Path(folder) / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode("utf8"))
            try:
                read(path, target=-1, reading=Reading(header=header))
            except InputError:
                continue


@CALM
@given(tables(), tables(), st.data())
def test_any_new_data_are_encoded_row_by_row_or_refused(
    columns: dict[str, list[Any]], others: dict[str, list[Any]], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(list(columns)))
    rows = len(next(iter(others.values())))
    try:
        table = read(columns, target=name)
        cells = [data.draw(st.sampled_from(list(others.values()))) for _ in table.schema.columns]
        new = encode(table.schema, {c.name: v for c, v in zip(table.schema.columns, cells, strict=True)})
    except InputError:
        return
    assert new.numbers.shape == (rows, table.numbers.shape[1])
    assert new.codes.shape == (rows, table.codes.shape[1])


@CALM
@given(tables(), st.data())
def test_any_override_is_followed_or_refused(columns: dict[str, list[Any]], data: st.DataObject) -> None:
    names = list(columns)
    kinds = {name: data.draw(st.sampled_from(list(Kind))).value for name in names[1:]}
    roles = {role: data.draw(st.sampled_from([None, *names])) for role in ("time", "group", "series", "weight")}
    try:
        table = read(columns, target=names[0], kinds=kinds, keep=names[1:2], **roles)
    except InputError:
        return
    given = {*roles.values(), *names[1:2]}
    assert all(table.schema[name].kind == kind for name, kind in kinds.items() if name not in given)
