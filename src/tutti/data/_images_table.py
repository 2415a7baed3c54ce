"""Tables with a column of images: PIL images, or names of image files, one for each row."""

import csv
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tutti.core import Finding, InputError
from tutti.data._bytes import open_plain
from tutti.data._images_folder import is_image
from tutti.data._images_library import is_picture
from tutti.data._images_npz import Part
from tutti.data._reading import Reading
from tutti.data._sources import Frame, load

SUFFIXES = (".csv", ".tsv", ".parquet", ".json", ".jsonl", ".ndjson", ".arrow", ".feather")  # of tables
LOOKED_AT = 20  # cells of a column
HEAD = 1 << 16  # bytes of a file


def image_cells(source: Any, apart: Collection[Any] = ()) -> str | None:
    """The first column of a table whose first cells are PIL images, or names of image files that are there. None
    where there is none, where the source is no table, and of binary files, which are not looked into.

    apart: columns that are something else. Names are looked up beside the table's file, else in the current folder.
    """
    head = _head(source)
    for name, values in head.items():
        given = [value for value in values if value is not None]
        if name in apart or not given:
            continue
        if all(is_picture(value) for value in given) or _are_files(given, _folder(source)):
            return name
    return None


def names_images(source: Any) -> bool:
    """Whether this is a table in memory with a column of pictures or of names, whatever these lead to."""
    if isinstance(source, str | Path):
        return False
    return any(
        cells and (isinstance(cells[0], str | Path) or is_picture(cells[0])) for cells in _head(source).values()
    )


def unread_images(frame: Frame, folder: Path) -> list[Finding]:
    """A warning of each column of a table that names image files, which a table does not learn from."""
    found = []
    for name, column in frame.columns.items():
        given = [cell for cell in column.slice(0, LOOKED_AT).to_pylist() if cell is not None]
        if not given or not all(isinstance(cell, str) and is_image(Path(cell)) for cell in given):
            continue
        there = Path(_found(given[0], folder)).is_file()
        lost = "" if there else f"; {given[0]!r} is neither beside the table nor in the current folder"
        fix = ' data="images" (--data images) learns from them.' if there else ""
        message = f"The column names image files, which are not read{lost}.{fix}"
        found.append(Finding(kind="images-not-read", where=name, message=message))
    return found


def part_of_table(source: Any, reading: Reading) -> tuple[str, Part, Finding]:
    """(name, images with the other columns, what is said of them) of such a table."""
    column = image_cells(source, [*reading.wishes.beside, *reading.wishes.drop])
    if isinstance(source, str | Path):
        frame = load(source, header=reading.header, delimiter=reading.delimiter)
        columns = {name: values.to_pylist() for name, values in frame.columns.items()}
        name = frame.source
    else:
        columns, name = _columns(source), "dict" if isinstance(source, Mapping) else "frame"
    if column is None:  # of a binary file
        column = image_cells(columns, [*reading.wishes.beside, *reading.wishes.drop])
    if column is None:
        raise InputError(
            f"No column of {name} holds images, or names of image files that are there.",
            fix="Names are looked up beside the table's file, and in the current folder.",
        )
    lengths = {other: len(values) for other, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"The columns differ in length ({lengths}).", fix="Every column needs every row.")
    images = columns.pop(column)
    lacking = [row for row, image in enumerate(images) if image is None or image != image]
    if lacking:
        raise InputError(
            f"{len(lacking)} rows of {column!r} have no image (first: row {lacking[0] + 1}).",
            fix="Remove those rows.",
        )
    if isinstance(images[0], str | Path):
        columns["file"] = [str(image) for image in images]
        images = [_found(str(image), _folder(source)) for image in images]
    message = f'The images of the column {column!r} are what is learnt from; data="table" learns from the others.'
    told = Finding(kind="image-column", where=column, message=message, severity="notice")
    return name, Part("", images, {k: _cells(v) for k, v in columns.items()}), told


def _cells(values: Sequence[Any]) -> np.ndarray:
    cells = np.empty(len(values), dtype=object)
    cells[:] = list(values)
    return cells


def _columns(source: Any, most: int | None = None) -> dict[str, list[Any]]:
    """The columns of a dict or a frame as lists (of their first cells); {} of anything else."""
    if isinstance(source, Mapping):
        plain = all(isinstance(each, list | tuple) or getattr(each, "ndim", 0) == 1 for each in source.values())
        return {str(name): list(islice(iter(values), most)) for name, values in source.items()} if plain else {}
    home = type(source).__module__.split(".")[0]
    if home in ("pandas", "polars") and hasattr(source, "columns") and not hasattr(source, "collect"):
        return {str(name): list(islice(iter(source[name]), most)) for name in source.columns}
    return {}


def _head(source: Any) -> Mapping[str, Sequence[Any]]:
    """The first cells of each column, of a file: of its first lines."""
    if not isinstance(source, str | Path):
        return _columns(source, LOOKED_AT)
    path = Path(source)
    if not {".csv", ".tsv"} & set(path.suffixes) or not path.is_file():
        return {}
    try:
        with open_plain(path) as file:
            text = file.read(HEAD).decode("utf-8-sig", "replace")
        lines = text.splitlines()
        sign = max("\t;,", key=lines[0].count) if lines else ","
        rows = list(islice(csv.reader(lines, delimiter=sign), LOOKED_AT + 1))
    except (OSError, EOFError, csv.Error):  # the reader of tables says what is wrong
        return {}
    whole = [row for row in rows[1:] if len(row) == len(rows[0])]
    return {name: [row[i] for row in whole] for i, name in enumerate(rows[0])} if whole else {}


def _folder(source: Any) -> Path:
    return Path(source).parent if isinstance(source, str | Path) else Path()


def _are_files(values: Sequence[Any], folder: Path) -> bool:
    """Whether all are names of image files, and the first of them is there."""
    if not all(isinstance(value, str | Path) and is_image(Path(value)) for value in values):
        return False
    return Path(_found(str(values[0]), folder)).is_file()


def _found(name: str, folder: Path) -> str:
    """A file beside the table, else in the current folder."""
    beside = folder / name
    return str(beside if beside.is_file() else Path(name))
