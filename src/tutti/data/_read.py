"""read: any source becomes a typed Table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int, Shaped

from tutti.core import Column, Finding, InputError, Kind, Role, Schema
from tutti.data._convert import as_numbers
from tutti.data._declared import Declared, Name, declare, several
from tutti.data._features import category_codes, numeric_features
from tutti.data._images_table import unread_images
from tutti.data._kinds import FEW_ROWS, INFINITE, Settled, absent_rows, missing, settle
from tutti.data._read_sample import beside, dense_table, unused_aside
from tutti.data._readers import asked_kind, reader_for
from tutti.data._reading import Reading, Wishes
from tutti.data._sample import Found
from tutti.data._sources import Frame, load
from tutti.data._sources_natural import natural
from tutti.data._table import Table
from tutti.data._targets import Targets, labels, read_targets
from tutti.data._values import Numbers, Times, Words, as_words

_ASIDE = {
    Kind.TEXT: ("free-text", 'set aside: free text (--text learns from it; as "category" it would be labels)'),
    Kind.IDENTIFIER: ("identifier", "set aside: tells rows apart, not what they are (--keep uses it all the same)"),
    Kind.CONSTANT: ("constant", "set aside: no value, or the same one everywhere"),
}
DROPPED = "dropped on request"


def read(
    source: Any,
    *,
    target: Name | Sequence[Name] | None = None,
    reading: Reading | None = None,
    kinds: Mapping[Name, str] | None = None,
    keep: Sequence[Name] = (),
    drop: Sequence[Name] = (),
    time: Name | None = None,
    group: Name | None = None,
    series: Name | None = None,
    weight: Name | None = None,
    name: str | None = None,
    task_kind: str | None = None,
) -> Table:
    """Reads a source of any kind of data, decides what each column means, and says why.

    source: a path (CSV, TSV, JSON or JSON lines, also packed: gzip, bzip2, xz, a ZIP of one file; Parquet, Arrow,
        NPZ, NPY), a pandas, polars or Arrow frame, a NumPy array or torch tensor, a pair (X, y), a dict of columns,
        or a bundled name ("iris").
    target: the column(s) to predict, by name or number (negative from the end). Several: several outputs.
        Not needed for pairs and bundled sets.
    reading: what the user said about how to read: the kind of data, the column of texts, the edges …; with
        header=False the first row of a text file is data, and columns are named "0", "1", ….
    kinds: {column: kind}, overriding what is inferred: "number", "boolean", "category", "datetime" (or
        "datetime:%d/%m/%Y"), or "text", "identifier", "constant", which set the column aside.
    keep: columns to use though they would be set aside. drop: columns to set aside.
    time, group, series, weight: columns with these roles. The series key is a category feature too, a time
        column of dates gives its calendar (month, weekday, hour) but not its trend; group and weight give none.
    name: what reports call the data.
    task_kind: "regression" insists on numbers in the target; other values change nothing here.

    Rows without a target or without a time are set aside with a finding. Infinite values count as missing.
    Raises InputError for whatever cannot be read.
    """
    reading = reading or Reading()
    unknown = target is None and reading.text is None
    source = natural(source, asked_kind(reading), classes=None if unknown else ())
    reader = reader_for(source, reading)
    found = None
    if reader is not None:
        named = {"time": time, "group": group, "series": series, "weight": weight}
        wishes = Wishes(
            beside=(*several(target), *(n for n in named.values() if n is not None)),
            roles={role: n for role, n in named.items() if n is not None},
            kinds=kinds or {},
            keep=tuple(several(keep)),
            drop=tuple(several(drop)),
        )
        found = reader.read(source, replace(reading, wishes=wishes))
        kinds = {name: kind for name, kind in wishes.kinds.items() if name not in found.own}
        keep, drop = ([name for name in names if name not in found.own] for names in (wishes.keep, wishes.drop))
        time = found.time if time is None else time
        if found.dense is not None and target is not None and set(several(target)) <= set(found.own):
            target = None  # it is what the dense target was made of
    frame = load(source, header=reading.header, delimiter=reading.delimiter) if found is None else beside(found)
    if found is None:
        _refuse_single_column(frame)
        if reading.data is None:
            frame.findings += unread_images(frame, Path(source).parent if isinstance(source, str | Path) else Path())
    roles = {Role.TIME: time, Role.GROUP: group, Role.SERIES: series, Role.WEIGHT: weight}
    declared = declare(frame, target=target, roles=roles, kinds=kinds or {}, keep=keep, drop=drop)
    if found is not None:
        declared = unused_aside(frame, declared)
        if found.dense is not None:
            return dense_table(found, declared, name)
    told = {n: declared.kinds[n][0] for n in declared.targets if n in declared.kinds}
    wanted = {n: frame.columns[n] for n in declared.targets}
    targets = read_targets(wanted, told, regression=task_kind == "regression")
    used = _used_rows(frame, declared, targets)
    return _Reader(frame, declared, targets, used, found).table(name or frame.source)


def _refuse_single_column(frame: Frame) -> None:
    if len(frame.columns) > 1 or frame.delimiter is None:
        return
    column = next(iter(frame.columns))
    raise InputError(
        f"{frame.source} has one column only ({column[:60]!r}): no delimiter cuts it into more.",
        fix='Name the delimiter, for example delimiter=";" (--delimiter).',
    )


def _used_rows(frame: Frame, declared: Declared, targets: Targets) -> Bool[np.ndarray, " rows"]:
    """The rows that have a target and a time; the others are reported."""
    used = ~targets.absent
    where = ", ".join(declared.targets)
    if not used.any():
        raise InputError(f"The target {where} has no value in any row.", fix="Name another column.")
    if not used.all():
        message = f"{int((~used).sum())} of {len(used)} rows have no value of the target and are set aside."
        frame.findings.append(Finding(kind="rows-without-target", where=where, message=message))
    name = declared.column(Role.TIME)
    if name is not None:
        late = absent_rows(_time_values(name, frame.columns[name], declared).values) & used
        if late.any():
            message = f"{int(late.sum())} rows have no time and are set aside."
            frame.findings.append(Finding(kind="rows-without-time", where=name, message=message))
        used &= ~late
        if not used.any():
            raise InputError(f"The time column {name!r} has no value in any row.", fix="Name another column.")
    return used


def _time_values(name: str, column: pa.ChunkedArray, declared: Declared) -> Settled:
    kind, form = declared.kinds.get(name, (None, ""))
    settled = settle(name, column, kind, form=form, keep=True)
    if not isinstance(settled.values, Times | Numbers):
        example = settled.values.levels[0] if isinstance(settled.values, Words) and settled.values.levels else ""
        raise InputError(
            f"The time column {name!r} holds neither dates nor numbers (for example {example!r}).",
            fix='Dates like 2024-01-31 are read; say how others are written by the kind "datetime:%d/%m/%y".',
        )
    return settled


class _Reader:
    """Goes through the columns once, lets go of each after it is read, and collects what a Table needs."""

    def __init__(
        self,
        frame: Frame,
        declared: Declared,
        targets: Targets,
        used: Bool[np.ndarray, " rows"],
        found: Found | None = None,
    ) -> None:
        self.frame, self.declared, self.targets, self.used, self.found = frame, declared, targets, used, found
        self.rows = int(used.sum())
        self.mask = None if used.all() else pa.array(used)
        self.columns: list[Column] = []
        self.findings: list[Finding] = [*frame.findings, *targets.findings]
        self.numbers: list[Float[np.ndarray, " rows"]] = []
        self.codes: list[Shaped[np.ndarray, " rows"]] = []
        self.beside: dict[Role, Shaped[np.ndarray, " rows"]] = {}

    def table(self, source: str) -> Table:
        described = {column.name: column for column in self.targets.columns}
        for name in list(self.frame.columns):
            column = self.frame.columns.pop(name)
            role = self.declared.roles.get(name, Role.FEATURE)
            if role == Role.TARGET:
                self.columns.append(described[name])
                continue
            self._column(name, column if self.mask is None else column.filter(self.mask), role)
        sample = None if self.found is None else self.found.sample
        if sample is not None and self.mask is not None:
            sample = sample.take(np.flatnonzero(self.used))
        description = None if sample is None else sample.describe()
        schema = Schema(columns=tuple(self.columns), rows=self.rows, sample=description)
        if sample is None:
            self._notice_set_aside()
            if not self.numbers and not self.codes:
                raise self._nothing_left()
        self._notice_shape(schema)
        return Table(
            schema=schema,
            numbers=stack(self.numbers, self.rows, np.float32),
            codes=stack(self.codes, self.rows, np.int32),
            target=self.targets.values if self.mask is None else self.targets.values[self.used],
            time=self.beside.get(Role.TIME),
            group=self.beside.get(Role.GROUP),
            series=self.beside.get(Role.SERIES),
            weight=self.beside.get(Role.WEIGHT),
            sample=sample,
            task=None if self.found is None else self.found.task,
            metric=None if self.found is None else self.found.metric,
            test=self._places((self.found or self.frame).test),
            validation=self._places((self.found or self.frame).validation),
            findings=tuple(self.findings),
            source=source,
        )

    def _places(self, rows: Int[np.ndarray, " _some"] | None) -> Int[np.ndarray, " _some"] | None:
        """Where these rows of the source stand among those that are used."""
        if rows is None:
            return None
        mask = np.zeros(len(self.used), dtype=bool)
        mask[rows] = True
        return np.flatnonzero(mask[self.used])

    def _nothing_left(self) -> InputError:
        aside = [column for column in self.columns if column.role == Role.ASIDE]
        if not aside:
            return InputError("There is no column beside the target.", fix="Give at least one feature.")
        shown = "; ".join(f"{column.name!r}: {column.note}" for column in aside[:8])
        texts = [column.name for column in aside if column.kind == Kind.TEXT and "lists" not in column.note]
        usable = [column.name for column in aside if column.note != DROPPED]
        fix = (
            f"keep=[{usable[0]!r}] (--keep) uses a column all the same; kinds= says what it means." if usable else ""
        )
        fix = fix or "Drop fewer columns."
        if any("lists" in column.note for column in aside):
            fix = 'Give lists of numbers as arrays: (np.stack(column), y), or with data="signals" or data="sets".'
        elif texts:
            fix = f"text={texts[0]!r} (--text) learns from texts. {fix}"
        return InputError(f"No column is left to learn from ({shown}).", fix=fix)

    def _column(self, name: str, column: pa.ChunkedArray, role: Role) -> None:
        kind, form = self.declared.kinds.get(name, (None, ""))
        if role == Role.WEIGHT:
            self.columns.append(Column(name=name, kind=Kind.NUMBER, role=role, note="weights"))
            self.beside[role] = weights(name, column)
            return
        if role == Role.GROUP:
            self._group(name, column)
            return
        if role == Role.TIME:
            settled = _time_values(name, column, self.declared)
        elif role == Role.SERIES:
            settled = settle(name, column, Kind.CATEGORY)
            assert isinstance(settled.values, Words)
            self.beside[role] = labels(settled.values)
        else:
            keep = name in self.declared.keep
            settled = settle(name, column, kind, form=form, keep=keep, comma=self.frame.delimiter == ";")
        self._take(settled, role)

    def _take(self, settled: Settled, role: Role) -> None:
        described, values = settled.column, settled.values
        if role == Role.TIME:
            assert isinstance(values, Times | Numbers)
            self.beside[role] = values.values
            use = isinstance(values, Times) and self.found is None
            described = replace(described, features=calendar(described.features) if use else ())
        if role == Role.ASIDE:
            note = "not used beside the samples" if self.found else DROPPED
            described = replace(described, role=role, note=note, features=(), levels=())
        elif described.role != Role.ASIDE:
            described = replace(described, role=role)
        self.columns.append(described)
        if described.role == Role.ASIDE:
            if described.note != DROPPED:
                self.findings += [f for f in settled.findings if f.kind == INFINITE]
            return
        self.findings += settled.findings
        self.numbers += numeric_features(described, values)
        if described.kind == Kind.CATEGORY and isinstance(values, Words):
            self.codes.append(category_codes(described, values))

    def _group(self, name: str, column: pa.ChunkedArray) -> None:
        words = as_words(column)
        absent = missing(words)
        if absent:
            message = f"{absent} rows have no group; they count as one group of their own."
            self.findings.append(Finding(kind="rows-without-group", where=name, message=message))
        note = f"{len(words.levels)} groups"
        self.columns.append(
            Column(
                name=name,
                kind=Kind.IDENTIFIER,
                role=Role.GROUP,
                missing=absent,
                distinct=len(words.levels),
                note=note,
            )
        )
        self.beside[Role.GROUP] = labels(words)

    def _notice_set_aside(self) -> None:
        for kind, (label, message) in _ASIDE.items():
            names = [c.name for c in self.columns if c.role == Role.ASIDE and c.kind == kind and c.note != DROPPED]
            if names:
                where = ", ".join(names[:10]) + (f", … ({len(names)} columns)" if len(names) > 10 else "")
                self.findings.append(
                    Finding(kind=label, where=where, message=message.capitalize() + ".", severity="notice")
                )

    def _notice_shape(self, schema: Schema) -> None:
        if self.rows < FEW_ROWS:
            message = f"There are {self.rows} rows only: every score will be uncertain, and folds are small."
            self.findings.append(Finding(kind="few-rows", where="table", message=message, severity="notice"))
        features = len(schema.numbers) + len(schema.categories)
        if features > self.rows:
            message = f"There are more features ({features}) than rows ({self.rows}): a fit by chance is easy."
            self.findings.append(
                Finding(kind="more-columns-than-rows", where="table", message=message, severity="notice")
            )


def calendar(features: tuple[str, ...]) -> tuple[str, ...]:
    """The features of a time column without its trend: later rows would lie outside whatever was learnt."""
    return tuple(feature for feature in features if not feature.endswith(": days"))


def weights(name: str, column: pa.ChunkedArray) -> Float[np.ndarray, " rows"]:
    """Sample weights: finite, not negative, not all zero, none missing."""
    values = as_numbers(name, column, "").values
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"Row {row + 1} of the weights {name!r} is {values[row]}.",
            fix="Weights are finite numbers of at least 0.",
        )
    if not values.any():
        raise InputError(f"All weights in {name!r} are zero.", fix="Give at least one row a weight above 0.")
    return values


def stack(
    arrays: list[Shaped[np.ndarray, " rows"]], rows: int, dtype: type[np.generic]
) -> Shaped[np.ndarray, " rows columns"]:
    """Columns side by side; [rows, 0] where there are none. The list is emptied, to spare memory."""
    table = np.empty((rows, len(arrays)), dtype=dtype)
    for i in range(table.shape[1]):
        table[:, i] = arrays[i]
    arrays.clear()
    return table
