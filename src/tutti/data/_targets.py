"""Targets: raw values as numbers or labels, and the rows that have none."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Shaped

from tutti.core import Column, Finding, InputError, Kind, Role
from tutti.data._convert import told
from tutti.data._features import MAX_LEVELS, sort_levels
from tutti.data._kinds import absent_rows, distinct, missing, without_infinities
from tutti.data._values import Numbers, Values, Words, as_words, parse


@dataclass(frozen=True)
class Targets:
    """Values of the target columns: [rows] for one, [rows, targets] for several, and where any is missing."""

    values: Shaped[np.ndarray, " rows *targets"]
    absent: Bool[np.ndarray, " rows"]
    columns: tuple[Column, ...]
    findings: tuple[Finding, ...]


def read_targets(columns: Mapping[str, pa.ChunkedArray], kinds: Mapping[str, Kind], *, regression: bool) -> Targets:
    """Numbers where every column holds numbers, else labels (text).

    `kinds` are those that the user or a schema names ("number", "category", "boolean"); `regression` insists on
    numbers. Infinite values count as missing.
    """
    read = {n: _values(n, c, Kind.NUMBER if regression else kinds.get(n)) for n, c in columns.items()}
    findings = tuple(f for name, values in read.items() for f in without_infinities(name, values))
    if not all(isinstance(values, Numbers) for values in read.values()):
        read = {name: as_words(column) for name, column in columns.items()}
    described = tuple(_column(name, values) for name, values in read.items())
    arrays = [
        labels(v) if isinstance(v, Words) else v.values for v in read.values() if isinstance(v, Words | Numbers)
    ]
    absent = np.logical_or.reduce([absent_rows(values) for values in read.values()])
    values = arrays[0] if len(arrays) == 1 else np.stack(arrays, axis=1)
    return Targets(values, absent, described, findings)


def labels(words: Words) -> Shaped[np.ndarray, " rows"]:
    """One str object per row, "" where missing; equal texts share one object."""
    table = np.empty(len(words.levels) + 1, dtype=object)
    table[:] = [*words.levels, ""]
    return np.asarray(table[words.codes])


def _values(name: str, column: pa.ChunkedArray, kind: Kind | None) -> Values:
    if kind in (Kind.CATEGORY, Kind.BOOLEAN):
        return as_words(column)
    if kind == Kind.NUMBER:
        return told(name, column, Kind.NUMBER)
    if kind is not None:
        raise InputError(
            f"The target {name!r} cannot be of the kind {kind.value}.", fix='A target is a "number" or a "category".'
        )
    values = parse(column)
    if isinstance(values, Numbers) and values.strays:
        row = int(np.flatnonzero(labels(as_words(column, written=True)) == values.strays[0])[0]) + 1
        names = " If the first row names the columns, leave out --no-header." if row == 1 else ""
        raise InputError(
            f"The target {name!r} holds numbers, but row {row} holds {values.strays[0]!r}.",
            fix='Correct the cell, leave it empty, or say that the target is of the kind "category".' + names,
        )
    return values if isinstance(values, Numbers) else as_words(column)


def _column(name: str, values: Values) -> Column:
    """The target's column; `levels` are its labels, where there are not too many."""
    count = distinct(values)
    if isinstance(values, Numbers):
        note = f"{'whole numbers' if values.whole else 'numbers'}, {count} distinct"
        number = Column(name=name, kind=Kind.NUMBER, role=Role.TARGET, note=note)
        return Column(**{**vars(number), "missing": missing(values), "distinct": count, "form": values.form})
    assert isinstance(values, Words)
    levels = tuple(sort_levels(values.levels)) if count <= MAX_LEVELS else ()
    return Column(
        name=name,
        kind=Kind.CATEGORY,
        role=Role.TARGET,
        levels=levels,
        missing=missing(values),
        distinct=count,
        note=f"{count} distinct labels",
        marks=values.marks,
    )
