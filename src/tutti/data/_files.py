"""Files: which format one is, by its first bytes, and its columns."""

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from tutti.core import Finding, InputError
from tutti.data._bytes import for_arrow, names_in_zip, open_plain
from tutti.data._images_npz import ORDER, taken_apart
from tutti.data._sources_library import set_apart
from tutti.data._text import Header, read_text

_FEATURES, _TARGETS = ("X", "x", "data", "features"), ("y", "Y", "target", "targets", "labels")


@dataclass
class Content:
    """What a file holds."""

    names: list[str]
    columns: list[Any]
    targets: tuple[str, ...] = ()
    nameless: bool = False
    delimiter: str | None = None
    findings: list[Finding] = field(default_factory=list)
    test: Int[np.ndarray, " test"] | None = None  # rows that the file itself sets apart
    validation: Int[np.ndarray, " validation"] | None = None


def read_file(path: Path, *, header: Header, delimiter: str | None) -> Content:
    """Parquet, Arrow (file or stream), NPZ, NPY, JSON, JSON lines or delimited text, told by the first bytes."""
    try:
        with open_plain(path) as file:
            head = file.read(512)
        if head[:4] == b"PAR1":
            return _parquet(path)
        if head[:6] == b"ARROW1" or path.suffix.lower() in (".arrow", ".arrows", ".feather", ".ipc"):
            return _arrow(path)
        if head[:4] == b"PK\x03\x04":
            _refuse_other_archives(path)
            return _npz(path)
        if head[:6] == b"\x93NUMPY":
            return _matrix(_load(path)[""], path)
        if _is_json(path, head):
            return _json(path)
        text = read_text(path, header=header, delimiter=delimiter)
    except (pa.ArrowException, EOFError, OSError) as error:
        raise InputError(f"{path.name} cannot be read: {error}.", fix="Is the file complete?") from error
    return Content(text.names, text.columns, (), text.numbered, text.delimiter, text.findings)


def _is_json(path: Path, head: bytes) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    named = any(suffix in (".json", ".jsonl", ".ndjson") for suffix in suffixes)
    return named or head.lstrip(b"\xef\xbb\xbf \r\n\t")[:2] in (b'{"', b"[{")


def _parquet(path: Path) -> Content:
    from pyarrow import parquet

    with for_arrow(path) as file:
        table = parquet.read_table(file)
    return Content(table.column_names, table.columns)


def _arrow(path: Path) -> Content:
    with for_arrow(path) as file:
        data = pa.BufferReader(file.read_buffer())
    try:
        table = pa.ipc.open_file(data).read_all()
    except pa.ArrowInvalid:
        data.seek(0)
        table = pa.ipc.open_stream(data).read_all()
    return Content(table.column_names, table.columns)


def _load(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an NPZ archive by name; that of an NPY file as ""."""
    try:
        with open_plain(path) as file:
            loaded = np.load(file, allow_pickle=False)
            return {"": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (
        ValueError,
        KeyError,
        EOFError,
        RuntimeError,
        MemoryError,
        OverflowError,
        zipfile.BadZipFile,
        OSError,
        zlib.error,
    ) as e:
        raise InputError(
            f"{path.name} is no archive of plain arrays: {e}.",
            fix="Save spreadsheets as CSV; save arrays of numbers or text, not of objects.",
        ) from e


def _refuse_other_archives(path: Path) -> None:
    """A ZIP that holds more than arrays, or one in itself: which file is meant cannot be guessed."""
    names = names_in_zip(path)
    if all(name.endswith(".npy") for name in names):
        return
    if "[Content_Types].xml" in names:
        raise InputError(f"{path.name} is a document of an office program.", fix="Save the sheet as CSV.")
    shown = ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")
    files = "1 file" if len(names) == 1 else f"{len(names)} files"
    raise InputError(
        f"{path.name} is a ZIP archive of {files} ({shown}); one table was expected.",
        fix="Unpack it, and name the file.",
    )


def _npz(path: Path) -> Content:
    """X (rows, columns) and y, by these or other usual names; the same in parts (x_train, y_train, x_test …); or
    one array (rows) for each column."""
    arrays = _load(path)
    parts: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        part, base = taken_apart(name)
        parts.setdefault(part, {})[base] = array
    given = arrays.get("feature_names")
    if "train" in parts:
        read = {part: _features_and_targets(parts[part], path, given) for part in ORDER if part in parts}
        if read.get("train") is not None:
            return _one_below_the_other({part: content for part, content in read.items() if content}, path)
    content = _features_and_targets(arrays, path, given)
    if content is not None:
        return content
    if not arrays or any(array.ndim != 1 for array in arrays.values()):
        shown = ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:8])
        raise InputError(
            f"{path.name} holds {shown or 'nothing'}: not a table.",
            fix="Expected X (rows, columns) and y (rows), or one array (rows) for each column.",
        )
    return Content(list(arrays), [_column(array) for array in arrays.values()])


def _features_and_targets(arrays: Mapping[str, np.ndarray], path: Path, given: np.ndarray | None) -> Content | None:
    """The columns of X, and of y under the name of its array ("y 0", … for several columns); None without an X."""
    x = next((arrays[name] for name in _FEATURES if name in arrays), None)
    if x is None or x.ndim != 2:
        return None
    content = _matrix(x, path, None if given is None or len(given) != x.shape[1] else [str(n) for n in given])
    name = next((name for name in _TARGETS if name in arrays), None)
    if name is None or arrays[name].ndim not in (1, 2):
        return content
    y = arrays[name]
    columns = [y] if y.ndim == 1 else [y[:, i] for i in range(y.shape[1])]
    labels = [name] if len(columns) == 1 else [f"{name} {i}" for i in range(len(columns))]
    content.names += labels
    content.columns += [_column(column) for column in columns]
    content.targets = tuple(labels)
    return content


def _one_below_the_other(parts: Mapping[str, Content], path: Path) -> Content:
    """The parts as one table, the test and the validation rows set apart. A part without the columns of those that
    train is left out, with a finding."""
    whole = parts["train"]
    fits = {part: content for part, content in parts.items() if content.names == whole.names}
    try:
        tables = [pa.table(dict(zip(c.names, c.columns, strict=True))) for c in fits.values()]
        whole.columns = list(pa.concat_tables(tables, promote_options="permissive").columns)
    except (pa.ArrowException, ValueError) as error:
        raise InputError(f"The parts of {path.name} differ: {error}.", fix="Give all the same columns.") from error
    sizes = [table.num_rows for table in tables]
    whole.test, whole.validation, whole.findings = set_apart(list(fits), sizes, path.name)
    left = [part for part in parts if part not in fits]
    if left:
        message = f"The arrays of {' and '.join(left)} have other columns than those of train, and are left out."
        whole.findings.append(Finding(kind="part-left-out", where=path.name, message=message))
    return whole


def _matrix(array: np.ndarray, path: Path, names: list[str] | None = None) -> Content:
    if array.dtype.names:
        return Content(list(array.dtype.names), [_column(array[name]) for name in array.dtype.names])
    if array.ndim != 2:
        raise InputError(f"{path.name} holds an array of shape {array.shape}; expected (rows, columns).")
    columns = [_column(array[:, i]) for i in range(array.shape[1])]
    return Content(names or [str(i) for i in range(array.shape[1])], columns, nameless=names is None)


def _column(array: np.ndarray) -> pa.ChunkedArray:
    if array.dtype.kind in "US":
        array = array.astype(str).astype(object)
    try:
        return pa.chunked_array([pa.array(array, from_pandas=True)])
    except (pa.ArrowException, TypeError) as error:
        raise InputError(f"An array of type {array.dtype} cannot be a column: {error}.") from error


def _json(path: Path) -> Content:
    """JSON lines (one object per line) or one list of objects. A key that a row lacks is a missing value."""
    from pyarrow import json as arrow_json

    try:
        with for_arrow(path) as file:
            table = arrow_json.read_json(file, read_options=arrow_json.ReadOptions(block_size=1 << 24))
        if table.num_rows == 1 and all(map(pa.types.is_nested, table.schema.types)):
            raise _by_columns(path)
        if not any(pa.types.is_timestamp(kind) for kind in table.schema.types):
            return Content(table.column_names, table.columns)
    except pa.ArrowException:
        pass
    return _slow_json(path)


def _by_columns(path: Path) -> InputError:
    return InputError(
        f"{path.name} is one object that holds columns; expected one object per row.",
        fix='Write it with frame.to_json(path, orient="records", lines=True).',
    )


def _slow_json(path: Path) -> Content:
    """Row by row: for lists of objects, and for columns whose values are of several types."""
    with open_plain(path) as file:
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"{path.name} is not UTF-8: {error}.", fix="Save it as UTF-8.") from error
    rows = _json_rows(text, path)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = []
    for name in names:
        values = [row.get(name) for row in rows]
        try:
            columns.append(pa.chunked_array([pa.array(values)]))
        except (pa.ArrowException, OverflowError, TypeError):
            texts = [v if isinstance(v, str) or v is None else json.dumps(v) for v in values]
            columns.append(pa.chunked_array([pa.array(texts, pa.large_string())]))
    return Content(names, columns)


def _json_rows(text: str, path: Path) -> list[dict[str, Any]]:
    whole = text.lstrip().startswith("[")
    rows: list[dict[str, Any]] = []
    for number, line in enumerate([text] if whole else text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            fix = "Give one object per line, or one list of objects."
            raise InputError(f"{path.name} is no JSON: line {number}: {error}.", fix=fix) from error
        rows += value if whole else [value]
    wrong = next((i for i, row in enumerate(rows, start=1) if not isinstance(row, dict)), None)
    if wrong or not rows:
        what = f"row {wrong} is a {type(rows[wrong - 1]).__name__}" if wrong else "there are no rows"
        raise InputError(f"{path.name}: {what}; expected objects.", fix='One {"column": value, …} per line.')
    if len(rows) == 1 and rows[0] and all(isinstance(value, dict | list) for value in rows[0].values()):
        raise _by_columns(path)
    return rows
