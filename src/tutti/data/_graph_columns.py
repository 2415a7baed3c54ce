"""Columns that say something of each node, or of each edge, of one graph: which are features, and as what numbers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from tutti.core import Column, Finding, InputError, Kind, Role
from tutti.data._convert import as_described
from tutti.data._declared import find, parse_kind
from tutti.data._features import category_codes, numeric_features
from tutti.data._kinds import settle
from tutti.data._reading import Wishes
from tutti.data._sources import Frame
from tutti.data._values import Words

_USED = (Kind.NUMBER, Kind.BOOLEAN, Kind.CATEGORY)


@dataclass(frozen=True, kw_only=True)
class Features:
    """The columns that are features, with their numbers side by side (categories one-hot, NaN where missing).

    aside: columns that were asked for by nobody and are no features all the same, with the reason.
    """

    columns: tuple[Column, ...]
    table: Float[np.ndarray, "row feature"]
    findings: tuple[Finding, ...] = ()
    aside: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """What each number says."""
        return tuple(name for column in self.columns for name in names_of(column))


def names_of(column: Column) -> tuple[str, ...]:
    """The numbers that a column yields: its own, or one for each level of a category."""
    if column.kind == Kind.CATEGORY:
        return tuple(f"{column.name} = {level}" for level in column.levels)
    return column.features


def settled_features(frame: Frame, rows: int, wishes: Wishes, *, apart: Collection[str] = ()) -> Features:
    """Every column that may be a feature, with its kind: all but those of other roles, and those `apart`."""
    beside = {find(frame, name) for name in (*wishes.beside, *wishes.drop)} | set(frame.targets) | set(apart)
    kinds = {find(frame, name): parse_kind(kind) for name, kind in wishes.kinds.items()}
    keep = {find(frame, name) for name in wishes.keep}
    columns: list[Column] = []
    parts: list[np.ndarray] = []
    findings: list[Finding] = []
    aside: dict[str, str] = {}
    for name, column in frame.columns.items():
        if name in beside:
            continue
        kind, form = kinds.get(name, (None, ""))
        found = settle(name, column, kind, form=form, keep=name in keep, comma=frame.delimiter == ";")
        if found.column.role == Role.ASIDE or found.column.kind not in _USED:
            aside[name] = found.column.note if found.column.role == Role.ASIDE else "dates"
            continue
        columns.append(found.column)
        parts += _numbers(found.column, found.values)
        findings += found.findings
    return Features(columns=tuple(columns), table=_stacked(parts, rows), findings=tuple(findings), aside=aside)


def described_features(frame: Frame, rows: int, columns: Sequence[Mapping[str, Any]], what: str) -> Features:
    """The features of new nodes, or edges (`what`), by the columns of those that were fitted."""
    known = [Column.from_json(column) for column in columns]
    lacking = [column.name for column in known if column.name not in frame.columns]
    if lacking:
        raise InputError(f"{frame.source} lacks the column {lacking[0]!r}, a feature of the {what}.")
    parts = [part for c in known for part in _numbers(c, as_described(c, frame.columns[c.name]))]
    return Features(columns=tuple(known), table=_stacked(parts, rows), aside={})


def _numbers(column: Column, values: Any) -> list[np.ndarray]:
    if column.kind == Kind.CATEGORY and isinstance(values, Words):
        codes = category_codes(column, values)
        return [(codes == i + 2).astype(np.float32) for i in range(len(column.levels))]
    return list(numeric_features(column, values))


def _stacked(parts: list[np.ndarray], rows: int) -> Float[np.ndarray, "row feature"]:
    table = np.stack(parts, axis=1) if parts else np.zeros((rows, 0), np.float32)
    return table.astype(np.float32)


def wishes_of(frame: Frame, wishes: Wishes, other: Frame, *, main: bool) -> Wishes:
    """What was said of the columns of one of two frames, nodes and edges.

    main: whether its rows are the samples. It has the roles, and whatever is no column of the other; the other frame
    has what names a column of it. Kinds, keep and drop hold for both where both have a column of that name.
    """

    def mine(name: str | int) -> bool:
        return name in frame.columns or (main and name not in other.columns)

    return replace(
        wishes,
        beside=wishes.beside if main else (),
        roles=wishes.roles if main else {},
        kinds={name: kind for name, kind in wishes.kinds.items() if mine(name)},
        keep=tuple(name for name in wishes.keep if mine(name)),
        drop=tuple(name for name in wishes.drop if mine(name)),
    )
