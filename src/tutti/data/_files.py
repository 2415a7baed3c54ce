"""Files: which format one is, by its first bytes, and its columns."""

import json
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tutti.core import Finding, InputError
from tutti.data._bytes import for_arrow, names_in_zip, open_plain
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
    arrays = _load(path)
    x = next((arrays[name] for name in _FEATURES if name in arrays), None)
    y = next((arrays[name] for name in _TARGETS if name in arrays), None)
    if x is not None and x.ndim == 2:
        names = arrays.get("feature_names")
        content = _matrix(x, path, None if names is None or len(names) != x.shape[1] else [str(n) for n in names])
        if y is not None and y.ndim in (1, 2):
            parts = [y] if y.ndim == 1 else [y[:, i] for i in range(y.shape[1])]
            labels = ["target"] if len(parts) == 1 else [f"target {i}" for i in range(len(parts))]
            content = Content(
                content.names + labels, content.columns + [_column(p) for p in parts], tuple(labels), content.nameless
            )
        return content
    if not arrays or any(array.ndim != 1 for array in arrays.values()):
        shown = ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:8])
        raise InputError(
            f"{path.name} holds {shown or 'nothing'}: not a table.",
            fix="Expected X (rows, columns) and y (rows), or one array (rows) for each column.",
        )
    return Content(list(arrays), [_column(array) for array in arrays.values()])


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
        if not any(pa.types.is_timestamp(kind) for kind in table.schema.types):
            return Content(table.column_names, table.columns)
    except pa.ArrowException:
        pass
    return _slow_json(path)


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
    return rows
