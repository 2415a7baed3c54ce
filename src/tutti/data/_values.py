"""What the cells of a column hold, before anyone decides what to do with it: numbers, times, or words.

Text is read in this order: numbers, times, words. Work is done on distinct values wherever plain parsing fails.
"""

import re
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int, Shaped

from tutti.core import InputError

MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "-nan", "null", "NULL", "Null", "NaT", "?")
DOUBTFUL = ("-", "--", ".", "None", "none", "NONE", "na", "missing", "unknown", "Unknown")  # missing among numbers
STRAY_SHARE, STRAY_WORDS = 0.05, 20  # so few words among numbers are slips, not levels

_PLAIN = r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[iI]nf|[iI]nfinity"
# form → (pattern of one cell, pattern to delete, decimal comma). The form is kept in the schema.
FORMS: dict[str, tuple[str, str, bool]] = {
    "": (rf"[+-]?({_PLAIN})", "", False),
    "thousands": (rf"[+-]?(\d{{1,3}}(,\d{{3}})+(\.\d*)?|{_PLAIN})", ",", False),
    "spaced thousands": (
        rf"[+-]?(\d{{1,3}}([ '_\x{{a0}}\x{{202f}}]\d{{3}})+(\.\d*)?|{_PLAIN})",
        r"[ '_\x{a0}\x{202f}]",
        False,
    ),
    "decimal comma": (r"[+-]?(\d{1,3}([. ]\d{3})+(,\d*)?|\d*,?\d+|\d+,)([eE][+-]?\d+)?", "[. ]", True),
    "percent": (rf"[+-]?({_PLAIN}) ?%", "[ %]", False),
    "currency": (rf"[+-]?[$€£¥] ?(\d{{1,3}}(,\d{{3}})+(\.\d*)?|{_PLAIN})", "[,$€£¥ ]", False),
}
_CLOCKS = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_DATES = (
    (r"\d{4}-\d{1,2}", ("%Y-%m",)),
    (r"\d{4}-\d{1,2}-\d{1,2}\b.*", ("%Y-%m-%d",)),
    (r"\d{4}/\d{1,2}/\d{1,2}\b.*", ("%Y/%m/%d",)),
    (r"\d{1,2}/\d{1,2}/\d{4}\b.*", ("%m/%d/%Y", "%d/%m/%Y")),
    (r"\d{1,2}-\d{1,2}-\d{4}\b.*", ("%d-%m-%Y", "%m-%d-%Y")),
    (r"\d{1,2}\.\d{1,2}\.\d{4}\b.*", ("%d.%m.%Y",)),
    (r"\d{1,2}/\d{1,2}/\d{2}\b.*", ("%m/%d/%y", "%d/%m/%y")),
    (r"\d{1,2} [A-Za-z]{3,9} \d{4}\b.*", ("%d %b %Y",)),
    (r"\d{1,2}-[A-Za-z]{3,9}-\d{4}\b.*", ("%d-%b-%Y",)),
    (r"\d{1,2}-[A-Za-z]{3,9}-\d{2}\b.*", ("%d-%b-%y",)),
    (r"[A-Za-z]{3,9} \d{1,2}, \d{4}\b.*", ("%b %d, %Y",)),
)


@dataclass
class Numbers:
    """Float64 with NaN where missing; infinite values stay. `marks`: words read as missing; `twins`: another form
    that would have fitted as well."""

    values: Float[np.ndarray, " rows"]
    whole: bool = False
    form: str = ""
    marks: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    twins: str = ""


@dataclass
class Times:
    """datetime64[us] with NaT where missing. `form` is a strptime format, "" for ISO 8601 or typed columns."""

    values: Shaped[np.ndarray, " rows"]
    form: str = ""
    twins: str = ""


@dataclass
class Words:
    """Distinct texts in order of first appearance, and for each row its number, −1 where missing."""

    levels: list[str]
    codes: Int[np.ndarray, " rows"]
    marks: tuple[str, ...] = ()
    declared: bool = False  # the source itself says that this is a category
    logical: bool = False  # the source itself holds true and false
    notes: list[str] = field(default_factory=list)


class Nested:
    """Lists, structures or bytes: nothing that a table can use."""


Values = Numbers | Times | Words | Nested


def parse(column: pa.ChunkedArray, *, decimal_comma: bool = False) -> Values:
    """The values of an arrow column of any type. `decimal_comma` settles "1,234" where nothing else does."""
    kind = column.type
    if pa.types.is_null(kind):
        return Numbers(np.full(len(column), np.nan))
    if pa.types.is_dictionary(kind) or pa.types.is_boolean(kind):
        return as_words(column)
    if is_text(kind):
        return _from_text(column, decimal_comma)
    return from_typed(column)


def count_distinct(present: Shaped[np.ndarray, " rows"]) -> int:
    """How many distinct values there are; none may be missing. (Sorting beats hashing here.)"""
    if not len(present):
        return 0
    ordered = np.sort(present.view(np.int64) if present.dtype.kind == "M" else present)
    return 1 + int((ordered[1:] != ordered[:-1]).sum())


def is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def from_typed(column: pa.ChunkedArray) -> Values:
    """Numbers or times that arrow already holds as such."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Times(_wall_time(column))
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        return Numbers(_seconds(column))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        whole = bool(pa.types.is_integer(kind))
        numbers = column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
        return Numbers(numbers, whole=whole or _all_whole(numbers))
    return Nested()


def _seconds(column: pa.ChunkedArray) -> Float[np.ndarray, " rows"]:
    per_second = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[column.type.unit]
    width = pa.int32() if column.type.bit_width == 32 else pa.int64()
    ticks = column.cast(width).cast(pa.float64(), safe=False).to_numpy()
    return np.asarray(ticks / per_second, dtype=np.float64)


def _wall_time(column: pa.ChunkedArray) -> Shaped[np.ndarray, " rows"]:
    """Times as the clock on the wall showed them where the column has a time zone."""
    if pa.types.is_timestamp(column.type) and column.type.tz:
        try:
            column = pc.local_timestamp(column)
        except pa.ArrowInvalid:  # no time-zone data base on this machine: the instants in UTC
            column = column.cast(pa.timestamp(column.type.unit))
    times = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    ticks = times.fill_null(np.iinfo(np.int64).min).to_numpy()
    return np.asarray(ticks).astype("datetime64[us]")


def _all_whole(values: Float[np.ndarray, " rows"]) -> bool:
    finite = values[np.isfinite(values)]
    return len(finite) > 0 and bool((finite == np.floor(finite)).all())


def _from_text(column: pa.ChunkedArray, decimal_comma: bool) -> Values:
    plain = plain_numbers(column)
    if plain is not None and not _codes_with_zeros(column):
        return plain
    words = as_words(column, written=True)  # 756.860 may be 756,860
    if not words.levels:
        return Numbers(np.full(len(column), np.nan))
    texts = pa.array(words.levels, pa.large_string())
    counts = np.bincount(words.codes[words.codes >= 0], minlength=len(words.levels))
    if _fixed_width_codes(texts):
        words.notes.append("codes with leading zeros")
        return words
    return numbers_from(words, texts, counts, decimal_comma) or times_from(words, texts) or as_words(column)


def plain_numbers(column: pa.ChunkedArray) -> Numbers | None:
    """The quick way for a column of well-formed numbers: no dictionary, no regular expression."""
    marks: tuple[str, ...] = ()
    for attempt in range(2):
        if attempt:
            marked = pc.is_in(column, value_set=pa.array(MISSING, column.type))
            if not pc.any(marked).as_py():
                return None
            marks = tuple(sorted(filter(None, pc.unique(column.filter(marked)).to_pylist())))
            column = pc.if_else(marked, pa.scalar(None, column.type), column)
        try:
            values = column.cast(pa.float64()).to_numpy().astype(np.float64)
            return Numbers(values, whole=_all_whole(values), marks=marks)
        except pa.ArrowInvalid:
            continue
    return None


def _codes_with_zeros(column: pa.ChunkedArray) -> bool:
    """Whether some cell begins with 0 and another digit; then the slower way looks at all of them."""
    return bool(pc.any(pc.match_substring_regex(column, r"^\s*0\d")).as_py())


def _fixed_width_codes(texts: pa.Array) -> bool:
    """All of them digits of one length, at least one with a leading zero: postal codes, not quantities."""
    lengths = pc.utf8_length(texts)
    same = pc.min(lengths).as_py() == pc.max(lengths).as_py() and pc.min(lengths).as_py() > 1
    return bool(same and pc.all(_fits(texts, r"\d+")).as_py() and pc.any(pc.starts_with(texts, "0")).as_py())


def _fits(texts: pa.Array, pattern: str) -> pa.BooleanArray:
    return pc.match_substring_regex(texts, rf"^(?:{pattern})$")


def as_words(column: pa.ChunkedArray, *, written: bool = False) -> Words:
    """Any column as trimmed text; decimals lose trailing zeros, so that 3, 3.0 and the number 3 are one level.

    written: zeros stay, for texts that may yet be read as numbers or times.
    """
    declared = pa.types.is_dictionary(column.type)
    if declared:
        column = pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks], column.type.value_type)
    kind = column.type
    if pa.types.is_boolean(kind):
        column = pc.if_else(column, "True", "False")
    elif pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        column = _float_texts(column)
    try:
        column = column.cast(pa.large_string())
    except pa.ArrowException as error:
        raise InputError(f"Values of the type {kind} are neither numbers, times nor words.") from error
    raw = pc.unique(column)
    index = pc.index_in(column, value_set=raw).to_numpy().astype(np.int64)
    trimmed = pc.utf8_trim_whitespace(raw)
    absent = pc.or_kleene(pc.is_null(trimmed), pc.is_in(trimmed, value_set=pa.array(MISSING, pa.large_string())))
    marks = [mark for mark in trimmed.filter(absent).to_pylist() if mark]
    trimmed = trimmed if written else _without_zeros(trimmed)
    levels = pc.unique(trimmed.filter(pc.invert(absent)))
    place = pc.index_in(trimmed, value_set=levels).fill_null(-1).to_numpy().astype(np.int32)
    codes = place[index] if len(place) else np.full(len(column), -1, np.int32)
    logical = pa.types.is_boolean(kind)
    return Words(levels.to_pylist(), codes, tuple(sorted(set(marks))), declared=declared, logical=logical)


def _without_zeros(texts: pa.Array) -> pa.Array:
    """The same texts, but 3.0 as 3 and 2.50 as 2.5; anything else (007, 1e3, 1.2.0) as it stands."""
    texts = pc.replace_substring_regex(texts, r"^([+-]?\d+\.\d*[1-9])0+$", r"\1")
    return pc.replace_substring_regex(texts, r"^([+-]?\d+)\.0*$", r"\1")


def _float_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    values = column.cast(pa.float64(), safe=False).to_numpy()
    distinct, index = np.unique(values, return_inverse=True)
    texts = [None if np.isnan(v) else plain_text(float(v)) for v in distinct]
    return pa.chunked_array([pa.array(texts, pa.large_string()).take(pa.array(index.ravel()))])


def plain_text(value: float) -> str:
    """The shortest text of a number, whole numbers without a point."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def numbers_from(
    words: Words, texts: pa.Array, counts: Int[np.ndarray, " levels"], decimal_comma: bool
) -> Numbers | None:
    """Words as numbers in the form that all of them fit, but for marks and a few strays; None where none does."""
    doubtful = np.isin(words.levels, DOUBTFUL)
    fits = {form: np.asarray(_fits(texts, FORMS[form][0])) for form in FORMS}
    total = counts.sum()
    best, most = "", 0
    for form in _forms_in_order(texts, decimal_comma):
        covered = int(counts[fits[form]].sum())
        if covered > most:
            best, most = form, covered
    left = ~fits[best] & ~doubtful
    if not most or counts[left].sum() > STRAY_SHARE * total or left.sum() > STRAY_WORDS:
        return None
    values = np.full(len(words.levels) + 1, np.nan)
    values[:-1][fits[best]] = to_numbers(texts.filter(pa.array(fits[best])), best)
    numbers = values[words.codes]
    marked = tuple(words.levels[i] for i in np.flatnonzero(doubtful))
    strays = tuple(words.levels[i] for i in np.flatnonzero(left))
    other = {"thousands": "decimal comma", "decimal comma": "thousands"}.get(best, "")
    twins = other if other and fits[other][~doubtful & ~left].all() else ""
    return Numbers(numbers, _all_whole(numbers), best, (*words.marks, *marked), strays, twins)


def _forms_in_order(texts: pa.Array, decimal_comma: bool) -> list[str]:
    """Forms by preference. "0,125" and "1,5" settle for the decimal comma, "1,234" alone does not."""
    forms = list(FORMS)
    if decimal_comma or pc.any(_fits(texts, r"[+-]?0,\d{3}")).as_py():
        forms.remove("decimal comma")
        forms.insert(1, "decimal comma")
    return forms


def to_numbers(texts: pa.Array, form: str) -> Float[np.ndarray, " levels"]:
    """Texts that all fit the form, as float64. Percent are divided by 100."""
    _, delete, comma = FORMS[form]
    if delete:
        texts = pc.replace_substring_regex(texts, delete, "")
    if comma:
        texts = pc.replace_substring(texts, ",", ".")
    values = np.asarray(texts.cast(pa.float64()), dtype=np.float64)
    return values / 100 if form == "percent" else values


def fits_form(texts: pa.Array, form: str) -> Bool[np.ndarray, " levels"]:
    if form not in FORMS:
        raise InputError(f"Unknown form of numbers {form!r}.", fix="Was the schema changed by hand?")
    return np.asarray(_fits(texts, FORMS[form][0]))


def times_from(words: Words, texts: pa.Array, form: str | None = None) -> Times | None:
    """Words as times: ISO 8601, else the first format that reads every one of them; None where none does."""
    doubtful = pc.is_in(texts, value_set=pa.array(DOUBTFUL, pa.large_string()))
    texts = pc.if_else(doubtful, pa.scalar(None, pa.large_string()), texts)
    if texts.null_count == len(texts):
        return None
    if form is not None and form != "":
        read = [(form, values)] if (values := _strptime(texts, form)) is not None else []
    else:
        iso = _iso(texts)
        read = [("", iso)] if iso is not None else [] if form == "" else _formats(texts)
    if not read:
        return None
    form, values = read[0]
    values = np.append(values, np.datetime64("NaT"))
    differs = len(read) > 1 and not np.array_equal(read[0][1], read[1][1], equal_nan=True)
    return Times(values[words.codes], form, read[1][0] if differs else "")


def _iso(texts: pa.Array) -> Shaped[np.ndarray, " levels"] | None:
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return _wall_time(pa.chunked_array([texts.cast(kind)]))
        except pa.ArrowInvalid:
            continue
    return None


def _formats(texts: pa.Array) -> list[tuple[str, Shaped[np.ndarray, " levels"]]]:
    head = texts.drop_null()[:50]
    for pattern, dates in _DATES:
        if not pc.all(_fits(head, pattern)).as_py():
            continue
        for clock in _CLOCKS:
            found = [
                (date + clock, values)
                for date in dates
                if _strptime(head, date + clock) is not None
                and (values := _strptime(texts, date + clock)) is not None
            ]
            if found:
                return found
    return []


def _strptime(texts: pa.Array, form: str) -> Shaped[np.ndarray, " levels"] | None:
    """All texts by one format, or None where one does not fit or names a day that does not exist (31 February)."""
    try:
        times = pc.strptime(texts, format=form, unit="us", error_is_null=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    if times.null_count != texts.null_count:
        return None
    if "%d" in form:
        days = pc.struct_field(pc.extract_regex(texts, _day_pattern(form)), "day")
        if not pc.all(pc.equal(days.cast(pa.int64()), pc.day(times))).as_py():
            return None
    return _wall_time(pa.chunked_array([times]))


def _day_pattern(form: str) -> str:
    """A regular expression that finds the day of the month in a text of this format."""
    before = re.escape(form.split("%d")[0]).replace("%b", "[A-Za-z]+")
    return "^" + re.sub("%[YmyHMS]", r"\\d+", before) + r"(?P<day>\d{1,2})"
