"""What was asked of the splits, in checked form, and what was found on the way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, get_args, runtime_checkable

import numpy as np
from jaxtyping import Int, Shaped

from tutti.core import Finding, InputError, Severity, SplitKind, unknown
from tutti.data._time_order import Gap, Timeline

FEWEST_ROWS = 6
SMALL = 20  # rows below which a notice is given and folds shrink
HOLD_OUT_FOLDS = 5  # a single hold-out is one fold of this many

Rows = Int[np.ndarray, " _some"]  # row numbers; the underscore: each its own length
Pairs = Sequence[tuple[Rows, Rows]]


@runtime_checkable
class Splitter(Protocol):
    """A scikit-learn splitter: KFold(…) and its kin."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterable[tuple[Any, Any]]: ...


@dataclass(kw_only=True)
class Declaration:
    """One request for splits.

    `kind` is that of the folds, `held` that of the hold-out (they differ where folds are given). `folds` is how
    many are wanted; it shrinks. `single` keeps one of them. `groups` are numbers from 0; `alike` the ids of
    repeated rows, where rows are dealt out one by one.
    """

    kind: SplitKind
    held: SplitKind
    rows: int
    folds: int
    single: bool
    seed: int
    target: Int[np.ndarray, " rows"] | None
    classes: Sequence[str]
    line: Timeline | None
    groups: Int[np.ndarray, " rows"] | None = None
    alike: Int[np.ndarray, " rows"] | None = None
    findings: list[Finding] = field(default_factory=list)

    def find(self, kind: str, where: str, message: str, severity: Severity = "warning") -> None:
        self.findings.append(Finding(kind=kind, where=where, message=message, severity=severity))

    def shrink(self, most: int, why: str) -> None:
        """At most this many folds, and the reason why there are fewer than were asked for."""
        if most < self.folds:
            if not self.single:
                self.find("folds-shrunk", "folds", f"{self.folds} folds became {most}: {why}.")
            self.folds = most

    def class_name(self, number: int) -> str:
        return self.classes[number] if number < len(self.classes) else str(number)


def kind_of_split(
    asked: str | None, given_folds: bool, *, target: object, groups: object, time: object
) -> tuple[SplitKind, SplitKind]:
    """The kind of the folds and of the hold-out: what was asked for, or what follows from what is known."""
    by_group: SplitKind = "group" if time is None else "group-time"
    by_row: SplitKind = "random" if target is None else "stratified"
    follows = by_group if groups is not None else "time" if time is not None else by_row
    if given_folds:
        if asked not in (None, "given"):
            raise InputError(
                f"The folds are given, and the kind of split is {asked!r}.", fix="Leave out one of them."
            )
        return "given", follows
    if asked is None:
        return follows, follows
    options: dict[str, SplitKind] = {name: name for name in get_args(SplitKind)}
    if asked not in options:
        raise unknown("kind of split", asked, options)
    needs: dict[str, dict[str, object]] = {
        "stratified": {"a target of classes": target},
        "group": {"groups": groups},
        "time": {"a time": time},
        "group-time": {"groups": groups, "a time": time},
        "given": {"folds, as pairs of row numbers": None},
    }
    for what, value in needs.get(asked, {}).items():
        if value is None:
            raise InputError(f"A {asked!r} split needs {what}.", fix=f"Give them, or ask for {follows!r}.")
    return options[asked], options[asked]


def check_numbers(rows: int, test_size: float, folds: int, gap: Gap, seed: int, time: object) -> None:
    """Refuses numbers that cannot be meant."""
    if rows < FEWEST_ROWS:
        raise InputError(f"There are {rows} rows; at least {FEWEST_ROWS} are needed to train, validate and test.")
    if not 0 <= test_size < 1:
        raise InputError(f"test_size is {test_size}; expected a share in [0, 1).", fix="0.2 is a fifth of the rows.")
    if not 1 <= folds <= rows:
        raise InputError(f"{folds} folds of {rows} rows; expected 1 to {rows}.", fix="Give --folds 5.")
    length, none = (gap, 0) if isinstance(gap, int) else (np.timedelta64(gap), np.timedelta64(0))
    if length < none:
        raise InputError(f"The gap is {gap}; expected 0 or more.")
    if length > none and time is None:
        raise InputError("A gap needs rows in time.", fix="Name the time (--time COLUMN), or leave out the gap.")
    if not 0 <= seed < 2**32:
        raise InputError(f"The seed is {seed}; expected 0 to {2**32 - 1}.")


def number_groups(groups: Shaped[np.ndarray, " rows"]) -> tuple[Int[np.ndarray, " rows"], int]:
    """Groups as numbers from 0, and how many rows have none: each of these is a group of its own."""
    plain = groups.dtype.kind != "O"
    missing = np.asarray(groups != groups) if plain else np.array([v is None or v != v for v in groups])
    numbers = np.unique(groups if plain else groups.astype(str), return_inverse=True)[1]
    count = int(missing.sum())
    numbers[missing] = numbers.max() + 1 + np.arange(count)
    return np.unique(numbers, return_inverse=True)[1], count


def kept_together(ids: Int[np.ndarray, " rows"], asked: Declaration) -> Int[np.ndarray, " rows"] | None:
    """The ids of repeated rows, where the split deals out rows and enough different ones are left."""
    distinct = len(np.unique(ids))
    if distinct == asked.rows or asked.held not in ("random", "stratified"):
        return None
    if distinct < max(SMALL, asked.folds):
        message = f"Only {distinct} of {asked.rows} rows differ: too few to keep copies on one side of the splits."
        asked.find("duplicate-rows", "rows", message)
        return None
    return ids


def shuffled_time(where: str, remedy: str) -> Finding:
    """The warning that rows with a time are dealt out at random."""
    message = f"The rows have a time ({where}) and are shuffled: later rows help to predict earlier ones. {remedy}."
    return Finding(kind="shuffled-time", where=where, message=message)


def announce(asked: Declaration, series: object, groupless: int) -> None:
    """Says what is known before any row is dealt out."""
    if groupless:
        asked.find("missing-group", "groups", f"{groupless} rows have no group: each counts as its own.", "notice")
    if asked.line is not None and asked.kind not in ("time", "group-time", "given"):
        asked.findings.append(shuffled_time("the time column", "Leave out the kind of split to keep their order"))
    if series is not None and asked.line is None:
        message = "A series key changes nothing without a time: its rows may stand on both sides. Give --time COLUMN."
        asked.find("series-without-time", "series", message, "notice")
