"""Reading a column as a kind that is already known: one that a person named, or that of a saved schema."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from tutti.core import Column, InputError, Kind
from tutti.data._values import (
    DOUBTFUL,
    FORMS,
    Nested,
    Numbers,
    Times,
    Values,
    Words,
    as_words,
    fits_form,
    from_typed,
    is_text,
    parse,
    plain_numbers,
    times_from,
    to_numbers,
)

TRUE = frozenset({"true", "yes", "y", "t", "on", "1"})
CLOCKLESS = ("YYYYMMDD", "year", "seconds", "milliseconds")  # forms of times that are written as numbers


def told(name: str, column: pa.ChunkedArray, kind: Kind, form: str = "") -> Values:
    """The column as a kind that a person named; how it is written is found out, unless `form` says it."""
    values = parse(column)
    if isinstance(values, Nested):
        raise InputError(
            f"The column {name!r} holds lists, structures or bytes; it cannot be a {kind.value}.",
            fix="Spread it over columns of its own.",
        )
    if kind == Kind.NUMBER:
        if isinstance(values, Words):
            written = as_words(column, written=True)
            return _truths(values) if values.logical else words_to_numbers(name, written, tuple(FORMS))
        return _only_numbers(name, values)
    if kind == Kind.DATETIME:
        if form or isinstance(values, Words):
            return as_times(name, column, form or None)
        return values if isinstance(values, Times) else times_of_numbers(values.values)
    words = as_words(column)
    if kind == Kind.BOOLEAN and len(words.levels) > 2:
        raise InputError(f"The column {name!r} has {len(words.levels)} distinct values; a boolean has two.")
    return words


def as_numbers(name: str, column: pa.ChunkedArray, form: str, marks: Sequence[str] = ()) -> Numbers:
    """The column as numbers in a known form; `marks` are further words that count as missing."""
    if pa.types.is_null(column.type):
        return Numbers(np.full(len(column), np.nan))
    if pa.types.is_boolean(column.type):
        return _truths(as_words(column))
    if not (is_text(column.type) or pa.types.is_dictionary(column.type)):
        return _only_numbers(name, from_typed(column))
    plain = plain_numbers(column) if form == "" and is_text(column.type) else None
    return plain or words_to_numbers(name, as_words(column, written=True), (form,), marks)


def words_to_numbers(name: str, words: Words, forms: Sequence[str], marks: Sequence[str] = ()) -> Numbers:
    """Words as numbers in that of the forms which most levels fit; the first that does not fit is named."""
    texts = pa.array(words.levels, pa.large_string())
    form = max(forms, key=lambda f: int(fits_form(texts, f).sum()))
    fits = fits_form(texts, form)
    absent = np.isin(np.array(words.levels, dtype=object), np.array([*DOUBTFUL, *marks], dtype=object))
    wrong = np.flatnonzero(~fits & ~absent)
    if len(wrong):
        raise unreadable(name, words, int(wrong[0]), "a number")
    numbers = np.full(len(words.levels) + 1, np.nan)
    numbers[:-1][fits] = to_numbers(texts.filter(pa.array(fits)), form)
    return Numbers(numbers[words.codes], form=form, marks=words.marks)


def _only_numbers(name: str, values: Values) -> Numbers:
    if isinstance(values, Numbers):
        return values
    raise InputError(
        f"The column {name!r} holds {'times' if isinstance(values, Times) else 'lists'}; expected numbers.",
        fix="Give numbers, or let the kind of the column be found.",
    )


def _truths(words: Words) -> Numbers:
    return Numbers(np.where(words.codes < 0, np.nan, truth(words)), whole=True)


def truth(words: Words) -> Float[np.ndarray, " rows"]:
    """1 for a true word, 0 for any other and for a missing value."""
    table = np.array([*(float(level.lower() in TRUE) for level in words.levels), 0.0])
    return np.asarray(table[words.codes])


def unreadable(name: str, words: Words, level: int, expected: str) -> InputError:
    """The error for a cell that cannot be read: its row (from 1), its column, what it holds."""
    row = int(np.flatnonzero(words.codes == level)[0]) + 1
    return InputError(
        f"Row {row} of the column {name!r} holds {words.levels[level]!r}; expected {expected}.",
        fix="Correct the cell, or leave it empty where the value is missing.",
    )


def as_times(name: str, column: pa.ChunkedArray, form: str | None) -> Times:
    """The column as times by one form ("" is ISO 8601, None any); the first cell that does not fit is named."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        values = from_typed(column)
        assert isinstance(values, Times)
        return values
    if form in CLOCKLESS:
        return times_of_numbers(as_numbers(name, column, "").values, form)
    words = as_words(column, written=True)

    def read(levels: Sequence[str]) -> Times | None:
        codes = np.arange(len(levels), dtype=np.int32)
        return times_from(Words(list(levels), codes), pa.array(levels, pa.large_string()), form)

    if all(level in DOUBTFUL for level in words.levels):
        return Times(np.full(len(words.codes), np.datetime64("NaT"), dtype="datetime64[us]"), form or "")
    times = times_from(words, pa.array(words.levels, pa.large_string()), form)
    if times is not None:
        return times
    low, high = 0, len(words.levels)  # the shortest run of levels that cannot be read ends with the culprit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if read(words.levels[:middle]) is not None else (low, middle)
    raise unreadable(name, words, high - 1, f"a time like {form!r}" if form else "a date or time")


def times_of_numbers(values: Float[np.ndarray, " rows"], form: str = "") -> Times:
    """Numbers as times: YYYYMMDD, years, or seconds (milliseconds above 1e11) since 1970; told by their size."""
    form = form or _clockless_form(values)
    present = np.isfinite(values)
    whole = np.where(present, values, 0.0)
    if form == "YYYYMMDD":
        days = whole.astype(np.int64)
        months = (days // 10000 - 1970) * 12 + days // 100 % 100 - 1
        dates = months.astype("datetime64[M]").astype("datetime64[D]")
        times = (dates + (days % 100 - 1).astype("timedelta64[D]")).astype("datetime64[us]")
    elif form == "year":
        times = (whole.astype(np.int64) - 1970).astype("datetime64[Y]").astype("datetime64[us]")
    else:
        ticks = whole * (1e3 if form == "milliseconds" else 1e6)
        times = np.clip(ticks, -9e18, 9e18).astype(np.int64).astype("datetime64[us]")
    return Times(np.where(present, times, np.datetime64("NaT", "us")), form)


def _clockless_form(values: Float[np.ndarray, " rows"]) -> str:
    present = values[np.isfinite(values)]
    low, high = (present.min(), present.max()) if len(present) else (0.0, 0.0)
    if low >= 1e7 and high < 3e7:
        return "YYYYMMDD"
    if low >= 1000 and high < 3000:
        return "year"
    return "milliseconds" if high > 1e11 else "seconds"


def as_described(column: Column, cells: pa.ChunkedArray) -> Values:
    """Cells as the kind of their column, written in its form."""
    if column.kind == Kind.NUMBER:
        return as_numbers(column.name, cells, column.form, column.marks)
    if column.kind == Kind.DATETIME:
        return as_times(column.name, cells, column.form)
    return as_words(cells)
