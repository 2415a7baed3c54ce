"""Reads texts: a column of a table, lists of strings, labelled lines, folders of files, Hugging Face datasets."""

import csv
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tutti.core import Finding, InputError, nearest
from tutti.data._bytes import open_plain
from tutti.data._reading import Reading
from tutti.data._sample import Found
from tutti.data._sources import BUNDLED, Frame, columns_of, load
from tutti.data._sources_library import PARTS, in_parts, is_dataset, labels_of, text_column
from tutti.data._texts import Corpus, Texts
from tutti.data._tokens import tokeniser_from_json

SPLIT_NAMES = ("split", "set", "part", "partition", "subset")
SUFFIX = ".txt"
HEAD = 1 << 16  # bytes looked at
FREE = 5.0  # words on average that make free text
MOST_LABELS = 50

_LABELLED = re.compile(r"(\S+)[ \t]+(\S.*)")
_TABLES = (".csv", ".tsv", ".parquet", ".json", ".jsonl", ".ndjson", ".arrow", ".feather", ".npz", ".npy")


class TextReader:
    """Reads texts."""

    kind = "text"

    def claims(self, source: Any, reading: Reading) -> bool:
        """Strings in a list or array, alone or with labels; a folder with .txt files in class folders; lines of a
        label and a text; a table of two columns, one of them free text; a dataset of texts and their classes."""
        if isinstance(source, str | Path):
            return _claims_path(Path(source)) if str(source) not in BUNDLED or Path(source).exists() else False
        if isinstance(source, tuple) and len(source) == 2:
            return are_strings(source[0])
        if are_strings(source):
            return True
        if in_parts(source):
            return self.claims(next(iter(source.values())), reading)
        if is_dataset(source):
            name = text_column(source)
            head = [] if name is None else _column_head(source, name)
            differ = bool(labels_of(source)) and 2 * len(set(head)) > len(head) > 0  # short, but no categories
            return differ or is_free_text(head)
        names = _names(source)
        if names is None or len(names) != 2:
            return False
        return sum(is_free_text(_column_head(source, name)) for name in names) == 1

    def read(self, source: Any, reading: Reading) -> Found:
        return _read(source, reading, None)

    def encode(self, description: Mapping[str, Any], source: Any, reading: Reading) -> Found:
        """New texts: from the column of the same name, or whatever holds texts where there is one only."""
        found = _read(source, reading, description["column"])
        sample = found.sample
        assert isinstance(sample, Texts)
        if description["tokeniser"] is not None:
            sample = sample.told(tokeniser_from_json(description["tokeniser"]), int(description["length"]))
        return Found(
            sample=sample, columns=found.columns, targets=found.targets, source=found.source, findings=found.findings
        )


def _read(source: Any, reading: Reading, column: str | None) -> Found:
    if isinstance(source, str | Path) and Path(source).is_dir():
        return _folder(Path(source), reading)
    if isinstance(source, str | Path) and reading.text is None and _is_labelled(Path(source)):
        return _lines(Path(source), reading, labelled=True)
    if isinstance(source, str | Path) and column is not None and _is_plain(Path(source)):
        return _lines(Path(source), reading, labelled=False)
    if are_strings(source):
        return _found({"text": list(source)}, "text", reading, source="texts")
    if isinstance(source, tuple) and len(source) == 2 and are_strings(source[0]):
        return _pair(source[0], source[1], reading)
    frame = load(source, header=reading.header, delimiter=reading.delimiter)
    first = next(iter(source.values())) if in_parts(source) else source
    return _from_frame(frame, reading, column, text_column(first) if is_dataset(first) else None)


def _from_frame(frame: Frame, reading: Reading, column: str | None, usual: str | None) -> Found:
    """usual: the column of texts, where nobody names another."""
    alone = usual is not None and reading.text is None and column not in frame.columns
    name = str(usual) if alone else _chosen(frame.columns, reading, column)
    targets = frame.targets or tuple(n for n in frame.columns if n != name and len(frame.columns) == 2)
    found = _found(frame.columns, name, reading, source=frame.source, targets=targets, findings=frame.findings)
    apart = frame.test is not None or frame.validation is not None
    return replace(found, test=frame.test, validation=frame.validation) if apart else found


def _chosen(columns: Mapping[str, Any], reading: Reading, column: str | None) -> str:
    """The column that holds the texts: the one asked for, else the only one with free text."""
    names = list(columns)
    asked = column if reading.text is None else reading.text
    if isinstance(asked, int):
        if not -len(names) <= asked < len(names):
            raise InputError(
                f"There is no column {asked}: there are {len(names)}.", fix=f"They are {', '.join(names)}."
            )
        return names[asked]
    if asked is not None and asked in names:
        return asked
    free = [n for n in names if n not in reading.wishes.beside and is_free_text(_head_of(columns[n]))]
    if asked is not None and (reading.text is not None or len(names) > 1):
        close = nearest(asked, names)
        fix = f"Did you mean {close!r}?" if close else f"The columns are {', '.join(map(repr, names[:20]))}."
        raise InputError(f"There is no column {asked!r} of texts.", fix=fix)
    if len(names) == 1:
        return names[0]
    if len(free) != 1:
        what = f"{', '.join(map(repr, free))} hold free text" if free else "No column holds free text"
        raise InputError(f"{what}: which one is to be read?", fix="Name it: text=COLUMN (--text COLUMN).")
    return free[0]


def _found(
    columns: Mapping[str, Any],
    name: str,
    reading: Reading,
    *,
    source: str,
    targets: Sequence[str] = (),
    findings: Sequence[Finding] = (),
) -> Found:
    """The texts of one column, and the other columns beside them."""
    texts, more = _texts(columns[name], name)
    beside = {key: values for key, values in columns.items() if key != name}
    test, validation, told = _given_split(beside)
    sample = Texts(
        corpus=Corpus(texts),
        column=name,
        unit=reading.unit,
        vocabulary=reading.vocabulary,
        length=reading.length,
    )
    return Found(
        sample=sample,
        columns=beside,
        targets=tuple(targets),
        test=test,
        validation=validation,
        source=source,
        findings=(*findings, *more, *told),
    )


def _texts(values: Any, name: str) -> tuple[np.ndarray, list[Finding]]:
    """Strings, "" for missing ones, and what to say about empty ones."""
    column = columns_of({name: values})[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (
        pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_null(column.type)
    ):
        raise InputError(f"The column {name!r} holds {column.type}, not texts.", fix="Name a column of strings.")
    found = column.to_pylist()
    texts = np.empty(len(found), object)
    texts[:] = ["" if text is None else text for text in found]
    empty = np.flatnonzero([not text.strip() for text in texts])
    if len(empty) == len(texts):
        raise InputError(
            f"All {len(texts)} texts are empty.", fix="Name another column: text=COLUMN (--text COLUMN)."
        )
    if not len(empty):
        return texts, []
    message = (
        f"{len(empty):,} of {len(texts):,} texts are empty (first in row {empty[0] + 1}); each counts as one "
        "unknown token."
    )
    return texts, [Finding(kind="empty-texts", where=name, message=message)]


def _given_split(columns: Mapping[str, Any]) -> tuple[np.ndarray | None, np.ndarray | None, list[Finding]]:
    """The rows that a column called "split" (or alike) sets apart, where it holds nothing but names of parts."""
    for name, values in columns.items():
        if name.lower() not in SPLIT_NAMES:
            continue
        words = [str(v).strip().lower() for v in columns_of({name: values})[name].to_pylist()]
        if not set(words) <= set(PARTS) or "train" not in {PARTS[w] for w in words} or len(set(words)) < 2:
            continue
        parts = np.array([PARTS[w] for w in words])
        rows = {part: np.flatnonzero(parts == part) for part in ("test", "validation")}
        told = " and ".join(f"{len(r):,} {part} rows" for part, r in rows.items() if len(r))
        message = f"The column {name!r} sets {told} apart; --test-size draws new test rows instead."
        finding = Finding(kind="given-split", where=name, message=message, severity="notice")
        return (*(r if len(r) else None for r in rows.values()), [finding])  # type: ignore[return-value]
    return None, None, []


def _pair(texts: Any, target: Any, reading: Reading) -> Found:
    """Strings and one value for each."""
    frame = load(({"text": list(texts)}, target))
    return _found(frame.columns, "text", reading, source="texts", targets=frame.targets)


def are_strings(values: Any) -> bool:
    """A list, tuple, array or series of strings (missing ones among them), not a single string."""
    if isinstance(values, str | Mapping) or getattr(values, "ndim", 1) != 1:
        return False
    if isinstance(values, np.ndarray):
        return values.dtype.kind in "UO" and len(values) > 0 and all(isinstance(v, str) for v in values[:20])
    series = hasattr(values, "iloc") or type(values).__module__.split(".")[0] == "polars"
    if not isinstance(values, list | tuple) and not (series and not hasattr(values, "columns")):
        return False
    head = [v for v in islice(iter(values), 100) if v is not None]
    return bool(head) and all(isinstance(v, str) for v in head)


def _names(source: Any) -> list[str] | None:
    """The columns of a dict or a frame; None of anything else."""
    if isinstance(source, Mapping):
        return [str(name) for name in source]
    if is_dataset(source):
        return list(source.column_names)
    columns = getattr(source, "columns", None)
    if type(source).__module__.split(".")[0] in ("pandas", "polars") and columns is not None:
        return [str(name) for name in columns]
    return list(source.column_names) if isinstance(source, pa.Table) else None


def _column_head(source: Any, name: str) -> list[Any]:
    return _head_of(source[name])


def _head_of(values: Any) -> list[Any]:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return list(values.slice(0, 100).to_pylist())
    return list(values[:100]) if hasattr(values, "__getitem__") else []


def is_free_text(head: Sequence[Any]) -> bool:
    """Whether these cells are strings of FREE words and more, on average."""
    texts = [v for v in head if isinstance(v, str)]
    if len(texts) < max(1, len([v for v in head if v is not None])):
        return False
    return bool(np.mean([len(text.split()) for text in texts]) >= FREE)


def _claims_path(path: Path) -> bool:
    if path.is_dir():
        return _text_folders(path) is not None
    if not path.is_file():
        return False
    try:
        return _is_labelled(path) or _is_two_columns(path)
    except (OSError, EOFError, UnicodeError, zlib.error, csv.Error):  # the reader of tables says what is wrong
        return False


def suffix(path: Path) -> str:
    return Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def _is_two_columns(path: Path) -> bool:
    """Whether a delimited file has two named columns, one of them free text."""
    if suffix(path) not in (".csv", ".tsv"):
        return False
    head = decoded(path, HEAD)[0]
    if not head or not head.strip():
        return False
    sign = "\t" if "\t" in head.splitlines()[0] else ","
    rows = list(islice(csv.reader(head.splitlines(keepends=True), delimiter=sign), 50))[:-1]
    if len(rows) < 3 or any(len(row) != 2 for row in rows):
        return False
    return sum(is_free_text([row[k] for row in rows[1:]]) for k in (0, 1)) == 1


def _is_labelled(path: Path) -> bool:
    """Whether the lines of a file are a label and a text: few different first words, texts of many lengths."""
    if not path.is_file() or suffix(path) in _TABLES:
        return False
    head, _ = decoded(path, HEAD)
    if head is None:
        return False
    lines = [line for line in head.split("\n")[:-1] if line.strip()] or head.split("\n")
    cut = [match.groups() for match in map(_LABELLED.fullmatch, map(str.strip, lines)) if match]
    if len(lines) < 4 or len(cut) < 0.98 * len(lines):
        return False
    labels = {label for label, _ in cut}
    counts = [len(text.split()) for _, text in cut]
    letters = np.mean([sum(c.isalpha() or c.isspace() for c in text) / len(text) for _, text in cut])
    few = len(labels) <= min(MOST_LABELS, len(cut) / 4)
    return bool(few and len(labels) > 1 and np.mean(counts) >= 3 and len(set(counts)) > 1 and letters > 0.7)


def decoded(path: Path, most: int = -1) -> tuple[str | None, str]:
    """The text of a file (None where it holds zero bytes) and its encoding: UTF-8, else Windows-1252 or Latin-1."""
    with open_plain(path) as file:
        content = file.read(most)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf16", "replace"), "UTF-16"
    if b"\x00" in content:
        return None, ""
    whole = content if most < 0 or len(content) < most else content[: content.rfind(b"\n") + 1]
    for encoding, name in (("utf-8-sig", "UTF-8"), ("cp1252", "Windows-1252")):
        try:
            return whole.decode(encoding), name
        except UnicodeDecodeError:
            continue
    return whole.decode("latin1"), "Latin-1"


def _is_plain(path: Path) -> bool:
    """A file of lines without columns."""
    return path.is_file() and suffix(path) == SUFFIX


def _lines(path: Path, reading: Reading, *, labelled: bool) -> Found:
    """Lines of a label and a text. The target is called "label"; fastText's prefix "__label__" is left out.
    labelled False: lines of a text each."""
    text, encoding = decoded(path)
    assert text is not None
    told = []
    if encoding not in ("UTF-8", "UTF-16"):
        message = f"The text is not UTF-8; it was read as {encoding}. Save it as UTF-8 to be sure."
        told.append(Finding(kind="encoding", where=path.name, message=message, severity="notice"))
    if not labelled:
        lines = text.removesuffix("\n").split("\n")
        return _found({"text": lines}, "text", reading, source=path.name, findings=told)
    labels, texts = [], []
    for line in text.split("\n"):
        if not line.strip():
            continue
        match = _LABELLED.fullmatch(line.strip())
        label, rest = match.groups() if match else (line.strip(), "")
        labels.append(label.removeprefix("__label__"))
        texts.append(rest)
    columns = {"label": labels, "text": texts}
    return _found(columns, "text", reading, source=path.name, targets=("label",), findings=told)


def _text_folders(path: Path) -> dict[str, dict[str, list[Path]]] | None:
    """{part: {class: files}} of a folder with one folder of .txt files per class, perhaps inside parts."""
    inside = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if inside and {entry.name.lower() for entry in inside} <= set(PARTS):
        parts = {entry.name: _classes(entry) for entry in inside}
        return parts if all(parts.values()) else None
    classes = _classes(path)
    return {"train": classes} if classes else None


def _classes(path: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for entry in sorted(path.iterdir()):
        if entry.is_dir() and not entry.name.startswith("."):
            files = sorted(f for f in entry.iterdir() if f.is_file() and f.suffix.lower() == SUFFIX)
            if files:
                found[entry.name] = files
    return found


def _folder(path: Path, reading: Reading) -> Found:
    """One text per file; the folder's name is the target "label", the file's name the column "file"."""
    parts = _text_folders(path)
    if parts is None:
        raise InputError(f"{path} holds no folders of {SUFFIX} files.", fix="Give one folder for each class.")
    columns: dict[str, list[Any]] = {"text": [], "label": [], "file": [], "split": []}
    for part, classes in parts.items():
        for label, files in classes.items():
            for file in files:
                text, _ = decoded(file)
                if text is None:
                    raise InputError(f"{file} is not a text: it holds zero bytes.", fix="Take it out of the folder.")
                for name, value in zip(columns, (text, label, file.name, PARTS[part.lower()]), strict=True):
                    columns[name].append(value)
    if len(parts) == 1:
        del columns["split"]
    return _found(columns, "text", reading, source=path.name, targets=("label",))
