"""Sets in a table with one row per item: rows with the same key are one set, wherever they stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from tutti.core import Column, Finding, InputError, Kind, Role, unknown
from tutti.data._convert import as_described
from tutti.data._declared import find, parse_kind
from tutti.data._features import category_codes, numeric_features
from tutti.data._kinds import absent_rows, settle, without_infinities
from tutti.data._reading import Reading
from tutti.data._sample import Found
from tutti.data._sets import assemble
from tutti.data._sources import Frame, load
from tutti.data._values import Values, Words, as_words


@dataclass(frozen=True)
class _Keyed:
    """Which set each row belongs to, and what the sets are called, in the order of their first rows."""

    name: str
    owner: Int[np.ndarray, " row"]
    ids: tuple[str, ...]

    @property
    def first(self) -> Int[np.ndarray, " set"]:
        """Each set's first row."""
        return np.asarray(np.unique(self.owner, return_index=True)[1])


@dataclass(frozen=True)
class _Items:
    """What the rows are as items: values, NaN where missing, of the features that `columns` yield."""

    columns: tuple[Column, ...]
    values: Float[np.ndarray, "row feature"]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for column in self.columns for name in _names(column))


def read_table(source: Any, reading: Reading) -> Found:
    """Groups the rows of a table into sets, and says what each column is for.

    `reading.set` is the key. Columns that have a role (target, group, time, series, weight) say something of the
    whole set: they must be the same in all of its rows. All other columns are features of an item, read as those
    of a table: numbers, dates and booleans as numbers, with a column of 0 and 1 that says where they are missing if
    they ever are; categories one-hot, all 0 where a level was never seen. Sets stand in the order of their first
    rows. A row without any value in a feature is no item.
    """
    frame = load(source, header=reading.header, delimiter=reading.delimiter)
    assert reading.set is not None
    key = find(frame, reading.set)
    beside = _beside(frame, key, reading)
    keyed = _keyed(frame, key, reading.skip)
    items = _settled(frame, {key, *beside}, reading)
    if not items.columns:
        raise InputError(
            f"No column is left to learn from beside {', '.join(map(repr, [key, *beside]))}.",
            fix="keep=[COLUMN] (--keep) uses a column that was set aside.",
        )
    own = tuple(name for name in frame.columns if name not in (key, *beside))
    return replace(_found(frame, keyed, items, beside, reading), targets=frame.targets, own=own)


def encode_table(description: Mapping[str, Any], source: Any, reading: Reading) -> Found:
    """New rows, grouped and read as `description` (Sets.to_json) says; columns are matched by name."""
    columns = tuple(Column.from_json(column) for column in description["columns"])
    key = str(description["key"])
    header = reading.header and not all(name.isdigit() for name in (key, *(c.name for c in columns)))
    frame = load(source, header=header, delimiter=reading.delimiter)
    for name in (key, *(column.name for column in columns)):
        if name not in frame.columns:
            raise unknown("column", name, frame.columns)
    keyed = _keyed(frame, key, reading.skip)
    parts, absent = [], np.ones(frame.rows, bool)
    for column in columns:
        values = as_described(column, frame.columns[column.name])
        frame.findings += without_infinities(column.name, values)
        parts += _features(column, values)
        absent &= absent_rows(values)
    beside = [name for name in description["beside"] if name in frame.columns]
    return _found(
        frame, keyed, _Items(columns, _stacked(parts, absent)), beside, replace(reading, length=description["length"])
    )


def _beside(frame: Frame, key: str, reading: Reading) -> list[str]:
    """The columns that say something of the set, by name."""
    names = list(frame.targets)
    for name in reading.wishes.beside:
        if not isinstance(name, str) or name not in frame.columns:
            raise unknown("column", str(name), frame.columns)
        names.append(name)
    if not names:
        raise InputError(
            f"No target was named. The columns are {', '.join(map(repr, list(frame.columns)[:20]))}.",
            fix='Name the column to predict: target="…" (--target … on the command line).',
        )
    if key in names:
        raise InputError(f"The column {key!r} tells the sets apart; it cannot be predicted or have another role.")
    return list(dict.fromkeys(names))


def _keyed(frame: Frame, key: str, skip: bool) -> _Keyed:
    """Rows by set. Rows without a key are refused, or left out of the frame where asked."""
    words = as_words(frame.columns[key])
    lost = np.flatnonzero(words.codes < 0)
    if len(lost) and not skip:
        raise InputError(
            f"{len(lost)} rows have no {key!r} (first row {int(lost[0]) + 1}): to which set they belong is unknown.",
            fix="Fill it in, or leave such rows out with skip=True (--skip).",
        )
    codes = words.codes
    if len(lost):
        mask = pa.array(codes >= 0)
        frame.columns = {name: column.filter(mask) for name, column in frame.columns.items()}
        codes = codes[codes >= 0]
        message = f"{len(lost)} rows have no value of it and are left out."
        frame.findings.append(Finding(kind="rows-without-set", where=key, message=message))
    if not len(codes):
        raise InputError(f"{key!r} has no value in any row.", fix="Name the column that tells the sets apart.")
    _, owner = np.unique(codes, return_inverse=True)
    return _Keyed(key, owner.reshape(-1), tuple(words.levels[i] for i in np.unique(codes)))


def _settled(frame: Frame, others: set[str], reading: Reading) -> _Items:
    """The features of the remaining columns; those that a table would set aside are named in a finding."""
    wishes = reading.wishes
    names = [name for name in frame.columns if name not in others and name not in wishes.drop]
    columns, parts, aside, absent = [], [], [], np.ones(frame.rows, bool)
    for name in names:
        kind, form = parse_kind(wishes.kinds[name]) if name in wishes.kinds else (None, "")
        keep = name in wishes.keep
        settled = settle(name, frame.columns[name], kind, form=form, keep=keep, comma=frame.delimiter == ";")
        if settled.column.role == Role.ASIDE:
            aside.append(name)
            continue
        columns.append(settled.column)
        frame.findings += settled.findings
        parts += _features(settled.column, settled.values)
        absent &= absent_rows(settled.values)
    if aside:
        shown = ", ".join(aside[:10]) + (f", … ({len(aside)} columns)" if len(aside) > 10 else "")
        message = "Set aside: free text, identifiers, or one value everywhere (--keep uses a column all the same)."
        frame.findings.append(Finding(kind="columns-set-aside", where=shown, message=message, severity="notice"))
    return _Items(tuple(columns), _stacked(parts, absent))


def _names(column: Column) -> tuple[str, ...]:
    """The features that a column yields."""
    missing = (f"{column.name}: missing",) if column.missing else ()
    if column.kind == Kind.CATEGORY:
        return (*(f"{column.name}: {level}" for level in column.levels), *missing)
    return (*column.features, *missing)


def _features(column: Column, values: Values) -> list[Float[np.ndarray, " row"]]:
    """One array for each name of `_names`."""
    if column.kind == Kind.CATEGORY:
        assert isinstance(values, Words)
        codes = category_codes(column, values)
        parts = [(codes == level + 2).astype(np.float32) for level in range(len(column.levels))]
    else:
        parts = numeric_features(column, values)
    return [*parts, absent_rows(values).astype(np.float32)] if column.missing else parts


def _stacked(parts: Sequence[Float[np.ndarray, " row"]], absent: Bool[np.ndarray, " row"]) -> np.ndarray:
    values = np.stack(parts, 1) if parts else np.zeros((len(absent), 0), np.float32)
    values[absent] = np.nan
    return values


def _found(frame: Frame, keyed: _Keyed, items: _Items, beside: Sequence[str], reading: Reading) -> Found:
    for name in beside:
        _refuse_varying(name, frame.columns[name], keyed)
    sample, findings, kept = assemble(items.values, keyed.owner, list(keyed.ids), items.names, reading)
    sample = replace(sample, columns=items.columns, key=keyed.name, beside=tuple(beside))
    first = pa.array(keyed.first[kept])
    columns: dict[str, Any] = {keyed.name: np.array(keyed.ids, dtype=object)[kept]}
    columns |= {name: frame.columns[name].take(first) for name in beside}
    return Found(sample=sample, columns=columns, source=frame.source, findings=(*frame.findings, *findings))


def _refuse_varying(name: str, column: pa.ChunkedArray, keyed: _Keyed) -> None:
    """Raises where a column that describes sets is not the same in all rows of one."""
    codes = as_words(column).codes
    odd = np.flatnonzero(codes != codes[keyed.first][keyed.owner])
    if not len(odd):
        return
    row = int(odd[0])
    first = int(keyed.first[keyed.owner[row]])
    values = [column[i].as_py() for i in (first, row)]
    raise InputError(
        f"{name!r} differs within a set: set {keyed.ids[keyed.owner[row]]!r} has {values[0]!r} in row {first + 1} "
        f"and {values[1]!r} in row {row + 1} ({len(odd)} rows in all).",
        fix=f"Give one value per set; leave out set={keyed.name!r} (--set) to predict for single rows.",
    )
