"""From values to what a network eats: float32 features with NaN, and int32 codes."""

import numpy as np
from jaxtyping import Float, Int, Shaped

from tutti.core import Column, Finding, InputError, Kind
from tutti.data._convert import truth
from tutti.data._values import Numbers, Times, Values, Words, count_distinct
from tutti.tasks import FAMILIES

MAX_LEVELS = 1000  # of one category; rarer ones share code 0 with those never seen
PERIODS = {"month": 12.0, "weekday": 7.0, "hour": 24.0}
MICROSECONDS = 86_400_000_000


def numeric_features(column: Column, values: Values) -> list[Float[np.ndarray, " rows"]]:
    """One float32 array for each of `column.features`, in raw units, NaN where missing."""
    if isinstance(values, Numbers):
        with np.errstate(over="ignore"):
            return [values.values.astype(np.float32)] if column.features else []
    if isinstance(values, Times):
        return [_time_feature(values.values, name.rsplit(": ", 1)[-1]) for name in column.features]
    if isinstance(values, Words) and column.kind == Kind.BOOLEAN:
        return [booleans(column, values)]
    return []


def category_codes(column: Column, values: Words) -> Int[np.ndarray, " rows"]:
    """Level i of the column → i + 2, missing → 1, everything else → 0."""
    known = {level: i + 2 for i, level in enumerate(column.levels)}
    codes = np.array([*(known.get(level, 0) for level in values.levels), 1], dtype=np.int32)
    return np.asarray(codes[values.codes])


def booleans(column: Column, values: Words) -> Float[np.ndarray, " rows"]:
    """1 for the column's true word, 0 for its false word (in any case of letters), NaN where missing."""
    if values.logical:
        return np.where(values.codes < 0, np.nan, truth(values)).astype(np.float32)
    known = {word.lower(): float(i) for i, word in enumerate(column.levels)}
    for level, word in enumerate(values.levels):
        if word.lower() not in known and (values.codes == level).any():
            row = int(np.flatnonzero(values.codes == level)[0]) + 1
            raise InputError(
                f"Row {row} of the column {column.name!r} holds {word!r}; expected {' or '.join(column.levels)}.",
                fix="Correct the cell, or leave it empty where the value is missing.",
            )
    table = np.array([*(known.get(word.lower(), np.nan) for word in values.levels), np.nan], dtype=np.float32)
    return np.asarray(table[values.codes])


def false_and_true(levels: list[str]) -> tuple[str, ...]:
    """The false and the true word, in lower case where they are known ones; of two other words the first by
    alphabet is false."""
    lower = {level.lower() for level in levels}
    for family in FAMILIES:
        if lower <= set(family):
            return family
    return tuple(sorted(levels))


def levels_of(name: str, values: Words) -> tuple[tuple[str, ...], list[Finding]]:
    """The levels to keep, sorted (as numbers where all of them are): at most MAX_LEVELS, the most frequent ones.

    Ties go by alphabet. The choice sees frequencies over all rows, never a target.
    """
    counts = np.bincount(values.codes[values.codes >= 0], minlength=len(values.levels))
    present = [i for i in range(len(values.levels)) if counts[i]]
    findings = []
    if len(present) > MAX_LEVELS:
        present = sorted(present, key=lambda i: (-counts[i], values.levels[i]))
        rows = int(counts[present[MAX_LEVELS:]].sum())
        message = (
            f"{len(present)} distinct values; the {MAX_LEVELS} most frequent are kept. "
            f"The others ({rows} rows) share one code with values never seen."
        )
        findings = [Finding(kind="many-levels", where=name, message=message, severity="notice")]
        present = present[:MAX_LEVELS]
    return tuple(sort_levels([values.levels[i] for i in present])), findings


def sort_levels(levels: list[str]) -> list[str]:
    try:
        return sorted(levels, key=lambda level: (float(level), level))
    except ValueError:
        return sorted(levels)


def number_findings(name: str, values: Numbers) -> list[Finding]:
    """Slips among the numbers, two ways of reading them, and what float32 cannot tell apart."""
    findings = []
    if values.strays:
        shown = ", ".join(map(repr, values.strays[:5]))
        message = f'Among numbers stand {shown}; they count as missing. The kind "category" would keep them.'
        findings.append(Finding(kind="unreadable-cells", where=name, message=message))
    if values.twins:
        message = (
            f"The numbers may be written with {values.form} or {values.twins}; they were read with {values.form}."
        )
        findings.append(Finding(kind="ambiguous-numbers", where=name, message=message))
    present = values.values[~np.isnan(values.values)]
    if len(present) and np.abs(present).max() > 2**24:
        exact, kept = (count_distinct(v) for v in (present, present.astype(np.float32)))
        if kept < 0.9 * exact:
            message = (
                f"{exact} distinct values become {kept} in single precision: subtract a constant, or use categories."
            )
            findings.append(Finding(kind="lost-precision", where=name, message=message))
    return findings


def time_features(name: str, times: Shaped[np.ndarray, " rows"]) -> tuple[str, ...]:
    """Days since 1970, and sine and cosine of month, weekday and hour where these vary."""
    present = times[~np.isnat(times)]
    names = [f"{name}: days"]
    for part in PERIODS:
        if len(np.unique(_part(present, part))) > 1:
            names += [f"{name}: {part} sine", f"{name}: {part} cosine"]
    return tuple(names)


def time_findings(name: str, values: Times) -> list[Finding]:
    """Two ways of reading the dates."""
    if not values.twins:
        return []
    message = (
        f"The dates fit {values.form} and {values.twins}; the first was taken. "
        f'The kind "datetime:{values.twins}" takes the other.'
    )
    return [Finding(kind="ambiguous-dates", where=name, message=message)]


def _part(times: Shaped[np.ndarray, " rows"], part: str) -> Float[np.ndarray, " rows"]:
    """The month from 0, the weekday from Monday = 0, or the hour with its fraction."""
    if part == "month":
        return (times.astype("datetime64[M]").astype(np.int64) % 12).astype(np.float64)
    ticks = times.astype("datetime64[us]").astype(np.int64)
    if part == "weekday":
        return ((ticks // MICROSECONDS + 3) % 7).astype(np.float64)  # 1970-01-01 was a Thursday
    return (ticks % MICROSECONDS) / (MICROSECONDS / 24)


def _time_feature(times: Shaped[np.ndarray, " rows"], what: str) -> Float[np.ndarray, " rows"]:
    absent = np.isnat(times)
    safe = np.where(absent, np.datetime64(0, "us"), times)
    if what == "days":
        feature = safe.astype(np.int64) / MICROSECONDS
    else:
        part, wave = what.split(" ")
        angle = 2 * np.pi * _part(safe, part) / PERIODS[part]
        feature = np.sin(angle) if wave == "sine" else np.cos(angle)
    return np.where(absent, np.nan, feature).astype(np.float32)
