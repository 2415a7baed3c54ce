"""Kinds: what a column means, why, and which features it yields."""

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from tutti.core import Column, Finding, InputError, Kind, Role
from tutti.data._convert import told
from tutti.data._features import false_and_true, levels_of, number_findings, time_features, time_findings
from tutti.data._values import Nested, Numbers, Times, Values, Words, count_distinct, parse
from tutti.tasks import FAMILIES

FEW_ROWS = 20  # below this nothing is taken for an identifier
MOST_OWN = 0.5  # more distinct texts than this share of the rows: text or identifier, not a category
LONG = 100  # mean length of what is free text however often it repeats
INFINITE = "infinite-values"  # the kind of finding
ASIDE = (Kind.TEXT, Kind.IDENTIFIER, Kind.CONSTANT)


@dataclass
class Settled:
    """A column with its final kind, its values in that kind, and what was noticed."""

    column: Column
    values: Values
    findings: list[Finding] = field(default_factory=list)


def settle(
    name: str,
    column: pa.ChunkedArray,
    wanted: Kind | None = None,
    *,
    form: str = "",
    keep: bool = False,
    comma: bool = False,
) -> Settled:
    """Decides the kind of a column (or takes `wanted`), and describes it.

    `keep` turns a column that would be set aside into a number, a datetime or a category. `form` belongs to
    `wanted`: how a datetime is written. `comma`: the file speaks for decimal commas.
    """
    note = "as told"
    if wanted is None or wanted in ASIDE:
        values = parse(column, decimal_comma=comma)
        kind, note = (wanted, note) if wanted else infer(name, values)
        if keep and kind in ASIDE:
            kind, note = _kept(name, values), f"kept on request ({note})"
    else:
        values, kind = told(name, column, wanted, form), wanted
    findings = without_infinities(name, values)
    described = Column(name=name, kind=kind, note=note, missing=missing(values), distinct=distinct(values))
    if kind in ASIDE:
        return Settled(replace(described, role=Role.ASIDE), values, findings)
    described, more = _described(described, values)
    return Settled(described, values, findings + more)


def infer(name: str, values: Values) -> tuple[Kind, str]:
    """The kind that the values speak for, and why."""
    if isinstance(values, Nested):
        return Kind.TEXT, "lists, structures or bytes: nothing that a table can use"
    rows, count, absent = size(values), distinct(values), missing(values)
    if count == 0:
        return Kind.CONSTANT, "no value at all"
    if count == 1 and not absent:
        return Kind.CONSTANT, "the same value everywhere"
    if isinstance(values, Times):
        return Kind.DATETIME, "dates and times"
    if isinstance(values, Numbers):
        return _infer_number(name, values, rows, count, absent)
    return _infer_words(values, rows - absent, count)


def _infer_number(name: str, values: Numbers, rows: int, count: int, absent: int) -> tuple[Kind, str]:
    if values.whole and not absent and count == rows >= FEW_ROWS:
        if bool((np.diff(values.values) == 1).all()):
            return Kind.IDENTIFIER, "whole numbers that count the rows"
        if _named_like_id(name):
            return Kind.IDENTIFIER, "by its name, and every row has its own whole number"
    if values.whole and count <= 10:
        return Kind.NUMBER, f'whole numbers, {count} distinct; "category" would treat them as unordered'
    return Kind.NUMBER, "whole numbers" if values.whole else "numbers"


def _named_like_id(name: str) -> bool:
    lower = name.lower().replace(" ", "_").replace("-", "_")
    ends = lower.endswith(("_id", "_key", "_number", "_no", "_index", "uuid", "guid")) or name.endswith(("Id", "ID"))
    return ends or lower in {"id", "index", "key", "row", "rownames", "row_names", "number"} or lower[:7] == "unnamed"


def _infer_words(values: Words, filled: int, count: int) -> tuple[Kind, str]:
    lower = {level.lower() for level in values.levels}
    if values.logical or any(lower <= set(family) for family in FAMILIES):
        return Kind.BOOLEAN, "two words for false and true" if not values.logical else "true or false"
    if values.declared:
        return Kind.CATEGORY, "declared as a category by its source"
    if values.notes:
        return Kind.CATEGORY, values.notes[0]
    sample = values.levels[:1000]
    length = sum(map(len, sample)) / len(sample)
    words = sum(len(level.split()) for level in sample) / len(sample)
    if filled >= FEW_ROWS and count > MOST_OWN * filled:
        what = "every row has its own text" if count == filled else f"{count} different texts in {filled} rows"
        return (Kind.TEXT, f"free text: {what}") if words >= 1.5 or length > LONG else (Kind.IDENTIFIER, what)
    if length > LONG and count > FEW_ROWS:
        return Kind.TEXT, f"free text: {length:.0f} letters on average"
    return Kind.CATEGORY, f"{count} distinct texts"


def _kept(name: str, values: Values) -> Kind:
    if isinstance(values, Nested):
        raise InputError(
            f"The column {name!r} holds lists, structures or bytes; it cannot be kept.",
            fix="Spread it over columns of its own.",
        )
    return {Numbers: Kind.NUMBER, Times: Kind.DATETIME, Words: Kind.CATEGORY}[type(values)]


def size(values: Values) -> int:
    return 0 if isinstance(values, Nested) else len(values.codes if isinstance(values, Words) else values.values)


def absent_rows(values: Values) -> Bool[np.ndarray, " rows"]:
    """Which rows have no value."""
    if isinstance(values, Words):
        return np.asarray(values.codes < 0)
    if isinstance(values, Numbers):
        return np.asarray(np.isnan(values.values))
    if isinstance(values, Times):
        return np.asarray(np.isnat(values.values))
    return np.zeros(0, dtype=bool)


def missing(values: Values) -> int:
    return int(absent_rows(values).sum())


def distinct(values: Values) -> int:
    if isinstance(values, Words):
        return len(np.unique(values.codes[values.codes >= 0]))
    if isinstance(values, Nested):
        return 0
    return count_distinct(values.values[~absent_rows(values)])


def without_infinities(name: str, values: Values) -> list[Finding]:
    """Turns infinite numbers, and those beyond float32, into missing ones (in place), with a finding."""
    if not isinstance(values, Numbers):
        return []
    beyond = np.abs(values.values) > np.finfo(np.float32).max
    count = int(beyond.sum())
    if not count:
        return []
    row = int(np.flatnonzero(beyond)[0]) + 1
    values.values = np.where(beyond, np.nan, values.values)
    message = f"{count} infinite (or larger than 3.4e38) values, first in row {row}, count as missing."
    return [Finding(kind=INFINITE, where=name, message=message)]


def _described(column: Column, values: Values) -> tuple[Column, list[Finding]]:
    """The column with levels, features, form and marks filled in, and what its values give cause to say."""
    findings: list[Finding] = []
    features: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    form = ""
    if isinstance(values, Numbers):
        features, form, marks = (column.name,), values.form, (*values.marks, *values.strays)
        findings = number_findings(column.name, values)
    elif isinstance(values, Times):
        features, form = time_features(column.name, values.values), values.form
        findings = time_findings(column.name, values)
    elif isinstance(values, Words) and column.kind == Kind.BOOLEAN:
        features, levels, marks = (column.name,), false_and_true(values.levels), values.marks
    elif isinstance(values, Words):
        levels, findings = levels_of(column.name, values)
        marks = values.marks
    note = column.note
    if marks:
        note += f"; {', '.join(map(repr, marks[:5]))} counted as missing"
    if form:
        note += f"; written as {form}"
    return replace(column, features=features, levels=levels, form=form, marks=marks, note=note), findings
