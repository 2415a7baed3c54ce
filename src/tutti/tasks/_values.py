"""Raw target values: columns with a meaning, checked for what no task can use."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from tutti.core import InputError, nearest

Meaning = Literal["text", "integer", "number", "boolean"]
MEANINGS: tuple[Meaning, ...] = ("text", "integer", "number", "boolean")
_BY_DTYPE: dict[str, Meaning] = {"b": "boolean", "i": "integer", "u": "integer", "f": "number", "U": "text"}
FAMILIES = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("off", "on"))
"""Pairs of words that say no and yes, in small letters."""
_PRESENT = frozenset(yes for _, yes in (*FAMILIES, ("0", "1")))


@dataclass(frozen=True, kw_only=True)
class Target:
    """One target column without gaps: booleans, whole numbers, finite numbers, or texts (dtype object)."""

    name: str
    meaning: Meaning
    values: Shaped[np.ndarray, " rows"]

    @property
    def whole(self) -> bool:
        """Whether every value is a whole number."""
        return self.meaning == "integer" or (
            self.meaning == "number" and bool(np.equal(np.floor(self.values), self.values).all())
        )

    @property
    def zero_one(self) -> bool:
        """Whether every value is 0 or 1, False or True, or one of two words that say so (`FAMILIES`)."""
        if self.meaning == "text":
            words = {text.lower() for text in self.levels()[0]}
            return any(words <= set(pair) for pair in (*FAMILIES, ("0", "1")))
        return self.meaning == "boolean" or bool(np.isin(self.values, (0, 1)).all())

    def zeros_and_ones(self) -> Float[np.ndarray, " rows"]:
        """The values of a `zero_one` target as 0 and 1."""
        if self.meaning != "text":
            return self.values.astype(np.float64)
        levels, places = self.levels()
        return np.asarray(np.array([float(level.lower() in _PRESENT) for level in levels])[places])

    def numbers(self) -> Float[np.ndarray, " rows"]:
        """The values as float64. Text raises."""
        if self.meaning == "text":
            raise InputError(
                f"Target {self.name!r} holds text, such as {str(self.values[0])!r}; a regression needs numbers.",
                fix="Convert the column to numbers, or ask for 'multiclass'.",
            )
        return self.values.astype(np.float64)

    def levels(self) -> tuple[list[str], Int[np.ndarray, " rows"]]:
        """The distinct values as words, sorted as numpy.unique sorts them, and each row's place among them."""
        if self.meaning != "text":
            distinct, places = np.unique(self.values, return_inverse=True)
            return [word(value) for value in distinct], places.reshape(-1).astype(np.int64)
        listed = self.values.tolist()
        levels = sorted(set(listed))
        place = {level: i for i, level in enumerate(levels)}
        return levels, np.fromiter((place[value] for value in listed), np.int64, len(listed))


def word(value: Any) -> str:
    """The name of a class: 'True', '3' for 3 and for 3.0, '0.5', or the text itself."""
    if isinstance(value, np.floating | float) and float(value).is_integer():
        return str(int(value))
    return str(value)


def targets(values: Any, names: Sequence[str]) -> list[Target]:
    """The columns of `values`: an array, frame, list or tensor, [rows] or [rows, columns], one name each.

    Raises where there are no rows, where the number of columns is not that of the names, and for missing,
    infinite, complex or date values.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"The target is no array: {error}", fix="Give one value per row and column.") from error
    table = array[:, None] if array.ndim == 1 else array
    if table.ndim != 2 or table.shape[1] != len(names):
        raise InputError(
            f"The target has shape {list(array.shape)}; expected one column for each of {', '.join(names)}."
        )
    if len(table) == 0:
        raise InputError(f"Target {', '.join(names)} has no rows.")
    return [_target(column, name) for column, name in zip(table.T, names, strict=True)]


def _target(column: Shaped[np.ndarray, " rows"], name: str) -> Target:
    gaps = missing(column)
    if gaps.any():
        count, first = int(gaps.sum()), int(gaps.argmax()) + 1
        rows = "1 row" if count == 1 else f"{count} rows"
        raise InputError(
            f"Target {name!r} is missing in {rows} (first: row {first}).", fix="Remove those rows or fill them in."
        )
    if column.dtype.kind == "O":
        column = _narrowed(column)
    if column.dtype.kind not in (*_BY_DTYPE, "O"):
        raise InputError(
            f"Target {name!r} holds values of type {column.dtype}; expected numbers, booleans or text.",
            fix="Convert the column first.",
        )
    if column.dtype.kind == "f":
        column = column.astype(np.float64) if column.dtype.itemsize < 4 else column
        limit = float(np.finfo(np.float32).max)
        if too_large := int((~(np.abs(column) <= limit)).sum()):
            raise InputError(
                f"Target {name!r} has {too_large} infinite value{'s' * (too_large > 1)} (beyond ±{limit:.1e}).",
                fix="Remove those rows or cap the value.",
            )
    meaning = _BY_DTYPE.get(column.dtype.kind, "text")
    return Target(name=name, meaning=meaning, values=column.astype(object) if meaning == "text" else column)


def missing(column: Shaped[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
    """Where there is no value: NaN, None, pandas' NA, NaT, blank text."""
    if column.dtype.kind in "fc":
        return np.asarray(np.isnan(column))
    if column.dtype.kind in "mM":
        return np.asarray(np.isnat(column))
    if column.dtype.kind == "U":
        return np.asarray(np.strings.strip(column) == "")
    if column.dtype.kind == "O":
        return np.fromiter((_absent(value) for value in column.tolist()), bool, len(column))
    return np.zeros(len(column), bool)


def _absent(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, str):
        return not value.strip()
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def _narrowed(column: Shaped[np.ndarray, " rows"]) -> Shaped[np.ndarray, " rows"]:
    """An object column as booleans or numbers where every value is one, else as texts."""
    kinds = {type(value) for value in column.tolist()}
    if all(issubclass(kind, bool | np.bool_) for kind in kinds):
        return column.astype(bool)
    if all(issubclass(kind, int | float | np.integer | np.floating) and kind is not bool for kind in kinds):
        whole = all(issubclass(kind, int | np.integer) for kind in kinds)
        try:
            return column.astype(np.int64 if whole else np.float64)
        except OverflowError:
            return column.astype(np.float64)
    return np.array([str(value) for value in column.tolist()], dtype=object)


def codes(target: Target, classes: Sequence[str], meaning: str) -> Int[np.ndarray, " rows"]:
    """Each row's class number. A value that is no class raises, with the nearest text or the classes.

    Where the classes are numbers, texts that read as the same number count as it ('1.0' is class '1').
    """
    levels, places = target.levels()
    if target.meaning == "text" and meaning in ("integer", "number"):
        levels = [_as_number(level) for level in levels]
    known = {name: i for i, name in enumerate(classes)}
    for level in levels:
        if level not in known:
            close = nearest(level, classes) if meaning == "text" else None
            listed = ", ".join(classes[:20]) + (", …" if len(classes) > 20 else "")
            raise InputError(
                f"{level!r} is no class of target {target.name!r}.",
                fix=f"Did you mean {close!r}?" if close else f"There is: {listed}.",
            )
    return np.asarray(np.array([known[level] for level in levels], dtype=np.int64)[places])


def _as_number(text: str) -> str:
    try:
        return word(float(text))
    except (ValueError, OverflowError):
        return text
