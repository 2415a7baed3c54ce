"""The same data give the same Table from whatever file, frame or array they come."""  # catalogue: D1

import gzip
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from pyarrow import csv, feather, parquet

from tutti.core import InputError, Kind, Role
from tutti.data import Table, encode, read
from tutti.tasks import infer

ROWS = 60


@pytest.fixture(scope="module")
def arrow() -> pa.Table:
    """A number with gaps, whole numbers, a category with gaps, a boolean, a date, an identifier, a target."""
    draw = np.random.default_rng(0)
    size = [None if i % 9 == 0 else float(v) for i, v in enumerate(draw.normal(size=ROWS).astype(np.float32))]
    colour = [None if i % 7 == 0 else ("red", "grün", "blue, dark")[i % 3] for i in range(ROWS)]
    day = np.datetime64("2023-01-30", "s") + np.arange(ROWS).astype("timedelta64[D]")
    return pa.table(
        {
            "size": size,
            "count": draw.integers(0, 9, ROWS),
            "colour": colour,
            "open": pa.array((np.arange(ROWS) % 2).astype(bool)),
            "day": pa.array(day),
            "row id": np.arange(ROWS) + 7,
            "kind": [("a", "b")[i % 2] for i in range(ROWS)],
        }
    )


def _csv(table: pa.Table, path: Path) -> Path:
    csv.write_csv(table, path)
    return path


def _separated(table: pa.Table, path: Path, delimiter: str) -> Path:
    csv.write_csv(table, path, csv.WriteOptions(delimiter=delimiter))
    return path


def _zipped(table: pa.Table, path: Path) -> Path:
    plain = _csv(table, path.with_suffix(""))
    path.write_bytes(gzip.compress(plain.read_bytes()))
    return path


def _json_lines(table: pa.Table, path: Path) -> Path:
    path.write_text("\n".join(json.dumps(row, default=str) for row in table.to_pylist()), encoding="utf8")
    return path


def _json_list(table: pa.Table, path: Path) -> Path:
    path.write_text(json.dumps(table.to_pylist(), default=str), encoding="utf8")
    return path


def _parquet(table: pa.Table, path: Path) -> Path:
    parquet.write_table(table, path)
    return path


def _feather(table: pa.Table, path: Path) -> Path:
    feather.write_feather(table, path)
    return path


def _stream(table: pa.Table, path: Path) -> Path:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    return path


def _npz(table: pa.Table, path: Path) -> Path:
    frame = table.to_pandas()
    columns = {name: frame[name].to_numpy() for name in table.column_names}
    columns["colour"] = frame["colour"].fillna("").to_numpy(dtype=str)
    columns["kind"] = columns["kind"].astype(str)
    np.savez(path, **columns)
    return path


SOURCES: dict[str, Callable[[pa.Table, Path], Any]] = {
    "table.csv": _csv,
    "semicolon.csv": lambda table, path: _separated(table, path, ";"),
    "table.tsv": lambda table, path: _separated(table, path, "\t"),
    "table.csv.gz": _zipped,
    "table.jsonl": _json_lines,
    "table.json": _json_list,
    "table.parquet": _parquet,
    "table.feather": _feather,
    "table.arrows": _stream,
    "table.npz": _npz,
    "arrow": lambda table, path: table,
    "record batches": lambda table, path: pa.RecordBatchReader.from_batches(table.schema, table.to_batches()),
    "pandas": lambda table, path: table.to_pandas(),
    "pandas objects": lambda table, path: table.to_pandas().astype(object),
    "pandas nullable": lambda table, path: table.to_pandas().convert_dtypes(),
    "pandas categorical": lambda table, path: table.to_pandas().astype({"colour": "category", "kind": "category"}),
    "polars": lambda table, path: pl.from_arrow(table),
    "polars categorical": lambda table, path: pl.from_arrow(table).with_columns(
        pl.col("colour").cast(pl.Categorical)
    ),
    "dict": lambda table, path: table.to_pydict(),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_same_table(arrow: pa.Table, tmp_path: Path, name: str) -> None:
    expected = read(arrow, target="kind")
    table = read(SOURCES[name](arrow, tmp_path / name), target="kind")
    assert _content(table) == _content(expected)
    np.testing.assert_array_equal(table.numbers, expected.numbers)
    np.testing.assert_array_equal(table.codes, expected.codes)
    assert table.fingerprint == expected.fingerprint


def _content(table: Table) -> list[tuple[Any, ...]]:
    return [(c.name, c.kind, c.role, c.levels, c.features, c.missing, c.distinct) for c in table.schema.columns]


def test_values_are_those_of_the_source(arrow: pa.Table) -> None:
    table = read(arrow, target="kind")
    assert table.schema.numbers == (
        *("size", "count", "open", "day: days", "day: month sine", "day: month cosine"),
        *("day: weekday sine", "day: weekday cosine"),
    )
    frame = arrow.to_pandas()
    np.testing.assert_array_equal(table.numbers[:, 0], frame["size"].to_numpy(np.float32))
    np.testing.assert_array_equal(table.numbers[:, 2], frame["open"].to_numpy(np.float32))
    angle = 2 * np.pi * (frame["day"].dt.month.to_numpy() - 1) / 12
    np.testing.assert_allclose(table.numbers[:, 4], np.sin(angle), atol=1e-6)
    week = 2 * np.pi * frame["day"].dt.day_of_week.to_numpy() / 7
    np.testing.assert_allclose(table.numbers[:, 7], np.cos(week), atol=1e-6)
    levels = table.schema["colour"].levels
    assert levels == ("blue, dark", "grün", "red")
    decoded = [None if code == 1 else levels[code - 2] for code in table.codes[:, 0]]
    assert decoded == arrow["colour"].to_pylist()
    assert table.schema["row id"].role == Role.ASIDE
    assert list(np.asarray(table.target)) == arrow["kind"].to_pylist()


@pytest.mark.parametrize("name", SOURCES)
def test_new_data_encode_the_same_from_every_source(arrow: pa.Table, tmp_path: Path, name: str) -> None:
    fitted = read(arrow, target="kind")
    later = arrow.slice(20, 11)
    new = encode(fitted.schema, SOURCES[name](later, tmp_path / name), target=True)
    np.testing.assert_array_equal(new.numbers, fitted.numbers[20:31])
    np.testing.assert_array_equal(new.codes, fitted.codes[20:31])
    assert fitted.take(np.arange(20, 31)).fingerprint == new.fingerprint


def test_arrays_tensors_and_pairs_agree() -> None:
    draw = np.random.default_rng(1)
    x = draw.normal(size=(30, 3)).astype(np.float32)
    y = draw.integers(0, 2, 30)
    tables = [
        read((x, y)),
        read((torch.tensor(x), torch.tensor(y))),
        read(torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))),
        read((x.tolist(), y.tolist())),
        read((x, pd.Series(y))),
        read((x, pl.Series(y))),
        read((x, y[:, None])),
    ]
    assert {table.fingerprint for table in tables} == {tables[0].fingerprint}
    np.testing.assert_array_equal(tables[0].numbers, x)
    np.testing.assert_array_equal(np.asarray(tables[0].target), y)
    whole = read(np.column_stack([x, y]), target=-1)
    np.testing.assert_array_equal(whole.numbers, x)
    new = encode(tables[0].schema, x[:4])
    np.testing.assert_array_equal(new.numbers, x[:4])
    np.testing.assert_array_equal(encode(whole.schema, x[:4]).numbers, x[:4])


def test_an_archive_of_x_and_y_names_its_features(tmp_path: Path) -> None:
    x = np.random.default_rng(2).normal(size=(25, 2))
    np.savez(tmp_path / "pair.npz", X=x, y=np.arange(25) % 3, feature_names=np.array(["wide", "high"]))
    table = read(tmp_path / "pair.npz")
    assert table.schema.numbers == ("wide", "high")
    np.testing.assert_allclose(table.numbers, x, rtol=1e-6)
    np.save(tmp_path / "matrix.npy", x)
    assert read(tmp_path / "matrix.npy", target=0).schema.numbers == ("1",)


def test_the_arrays_of_an_archive_keep_their_names_and_their_parts(tmp_path: Path) -> None:
    draw = np.random.default_rng(2)
    x, y = draw.normal(size=(30, 3)), np.arange(30) % 3
    np.savez(tmp_path / "pair.npz", X=x, y=y)
    named = read(tmp_path / "pair.npz", target="y")
    assert named.fingerprint == read(tmp_path / "pair.npz").fingerprint
    parts = {"x_train": x[:20], "y_train": y[:20], "x_test": x[20:], "y_test": y[20:]}
    np.savez(tmp_path / "parts.npz", **parts)
    table = read(tmp_path / "parts.npz")
    assert table.fingerprint == named.fingerprint
    assert table.test is not None
    np.testing.assert_array_equal(table.test, np.arange(20, 30))
    assert "given-split" in {f.kind for f in table.findings}
    np.savez(tmp_path / "unlabelled.npz", **{k: v for k, v in parts.items() if k != "y_test"})
    table = read(tmp_path / "unlabelled.npz")
    assert (table.rows, table.test) == (20, None)
    assert "part-left-out" in {f.kind for f in table.findings}


def test_several_targets_make_several_outputs() -> None:
    draw = np.random.default_rng(3)
    table = read((draw.normal(size=(40, 2)), draw.normal(size=(40, 3))))
    assert np.shape(table.target) == (40, 3)
    assert [c.name for c in table.schema.with_role(Role.TARGET)] == ["target 0", "target 1", "target 2"]
    named = read({"a": draw.normal(size=20), "b": ["x", "y"] * 10, "c": np.arange(20) % 2}, target=["b", "c"])
    assert np.asarray(named.target)[:2].tolist() == [["x", "0"], ["y", "1"]]


def test_bfloat16_and_booleans_are_numbers() -> None:
    x = torch.tensor([[0.5], [1.5], [2.5]], dtype=torch.bfloat16)
    table = read((x, np.array([True, False, True])))
    np.testing.assert_array_equal(table.numbers[:, 0], [0.5, 1.5, 2.5])
    assert list(np.asarray(table.target)) == ["True", "False", "True"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros(5), "reshape"),
        (np.zeros((2, 2, 2, 2, 2)), r"shape \(2, 2, 2, 2, 2\)"),
        (object(), "nothing that tutti reads"),
        (pl.LazyFrame({"a": [1]}), "collect"),
        ((np.zeros((4, 2)), np.zeros(3)), "4 rows.*3"),
        ({"a": [1, 2], "b": [1]}, "differ in length"),
        ({}, "no column"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "several columns named 'a'"),
        (np.array([[1 + 2j, 1]]), "complex"),
        (pd.DataFrame({"a": [], "b": []}), "no rows"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_sources_that_are_no_tables_are_named(source: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(source, target=0)


def test_roles_bring_their_columns_beside_the_features() -> None:
    rows = 24
    table = read(
        {
            "x": np.arange(rows) ** 1.5,
            "shop": [f"s{i % 3}" for i in range(rows)],
            "person": [f"p{i // 4}" for i in range(rows)],
            "when": np.datetime64("2024-01-01T00:00", "us") + np.arange(rows) * np.timedelta64(36, "h"),
            "w": np.ones(rows),
            "y": np.arange(rows) % 2,
        },
        target="y",
        time="when",
        group="person",
        series="shop",
        weight="w",
    )
    assert [c.role.value for c in table.schema.columns] == ["feature", "series", "group", "time", "weight", "target"]
    assert [c.name for c in table.schema.categories] == ["shop"]
    assert table.codes[:4, 0].tolist() == [2, 3, 4, 2]
    assert table.group is not None
    assert table.group[4] == "p1"
    assert table.series is not None
    assert table.series[1] == "s1"
    assert table.time is not None
    assert table.time.dtype == np.dtype("datetime64[us]")
    assert table.weight is not None
    assert table.weight.sum() == rows
    assert table.schema.numbers[0] == "x"
    assert all("days" not in name for name in table.schema.numbers)
    assert table.schema["shop"].kind == Kind.CATEGORY


@pytest.mark.parametrize("name", ["x", "colour", "y", "when", "person", "w"])
def test_the_fingerprint_sees_every_value(name: str) -> None:
    columns: dict[str, list[Any]] = {
        "x": [0.5, 1.5, 2.5, 4.0],
        "colour": ["red", "blue", "red", "blue"],
        "y": [0, 1, 2, 3],
        "when": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"],
        "person": ["p", "q", "p", "q"],
        "w": [1.0, 2.0, 3.0, 4.0],
    }

    def fingerprint(values: dict[str, list[Any]]) -> str:
        return read(values, target="y", time="when", group="person", weight="w").fingerprint

    changed = columns | {name: [*columns[name][:2], *columns[name][:1:-1]]}
    assert fingerprint(columns) == fingerprint(dict(columns))
    assert fingerprint(columns) != fingerprint(changed)


@pytest.mark.parametrize(
    ("name", "reads"),
    [
        ("rows.csv", "csv.read_csv"),
        ("rows.csv.gz", "csv.read_csv"),
        ("rows.json", "json.read_json"),
        ("rows.parquet", "parquet.read_table"),
    ],
)
def test_threads_of_arrow_are_given_nothing_of_python(
    arrow: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reads: str
) -> None:
    """A thread that lets go of a Python object while the interpreter ends aborts the process: exit code 134."""
    write = {"rows.csv": _csv, "rows.csv.gz": _zipped, "rows.json": _json_lines, "rows.parquet": _parquet}[name]
    path = write(arrow.drop_columns("day"), tmp_path / name)
    module, function = reads.split(".")
    owner = importlib.import_module(f"pyarrow.{module}")
    original = getattr(owner, function)
    given: list[Any] = []

    def spy(source: Any, *rest: Any, **options: Any) -> Any:
        given.extend([source, *options.values()])
        return original(source, *rest, **options)

    monkeypatch.setattr(owner, function, spy)
    read(path, target="kind")
    assert isinstance(given[0], pa.NativeFile)
    assert not isinstance(given[0], pa.PythonFile)
    assert all(getattr(option, "invalid_row_handler", None) is None for option in given[1:])


def test_labels_that_are_booleans_are_two_labels_from_every_source(tmp_path: Path) -> None:
    truths = np.random.default_rng(0).random((60, 2)) < 0.5
    frame = pd.DataFrame({"x": np.arange(60) ** 0.5, "l1": truths[:, 0], "l2": truths[:, 1]})
    frame.to_csv(tmp_path / "labels.csv", index=False)
    mixed = frame.assign(l2=frame["l2"].astype(int))
    for source in (tmp_path / "labels.csv", frame, mixed, (frame[["x"]], frame[["l1", "l2"]]), frame.to_dict("list")):
        table = read(source, target=None if isinstance(source, tuple) else ["l1", "l2"])
        task = infer(table.target, ("l1", "l2"))
        assert task.kind == "multilabel"
        np.testing.assert_array_equal(task.encode(table.target), truths)
        later = encode(table.schema, (mixed if source is mixed else frame).iloc[:5], target=True).target
        np.testing.assert_array_equal(task.encode(later), truths[:5])
    with pytest.raises(InputError, match="'l1' holds text, such as 'False'"):
        infer(read(frame, target=["x", "l1"]).target, ("x", "l1"))
