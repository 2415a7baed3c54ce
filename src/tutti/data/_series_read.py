"""Reading time series: a long table (or arrays) becomes even steps, and these become windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from tutti.core import Finding, InputError, Kind
from tutti.data._declared import find, several
from tutti.data._kinds import absent_rows, settle
from tutti.data._reading import Reading
from tutti.data._sample import Found
from tutti.data._series import Series
from tutti.data._series_time import Clock, Grid, gap_finding, lay_out, refuse_repeats, waves_of
from tutti.data._sources import Frame, as_array, load
from tutti.data._values import Numbers, Times, as_words

ALL = "all"
USUAL_WINDOW = 336  # steps: two weeks of hours, eleven months of days
LEAST_ROWS = 10
MOST_TOLD = 3  # series of a panel whose gaps are told
STEP = "step"


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """One series on its grid: known[i, c] says whether step i of channel c was in the source."""

    key: str
    values: Float[np.ndarray, "step channel"]
    known: Bool[np.ndarray, "step channel"]
    grid: Grid


class SeriesReader:
    """Reads series to forecast: asked for by forecast= or horizon=, never guessed.

    A table with one row per time (and per series, where a column tells several apart), columns of numbers. An array
    or tensor [step] or [step, channel]. Rows are brought into the order of time and onto even steps (`lay_out`).
    """

    kind = "series"

    def claims(self, source: Any, reading: Reading) -> bool:
        return False

    def read(self, source: Any, reading: Reading) -> Found:
        if reading.horizon is None:
            raise InputError("A forecast needs to know how far it reaches.", fix="Give the steps: --horizon 24")
        if reading.horizon < 1:
            raise InputError(f"The horizon is {reading.horizon}.", fix="Give at least 1 step.")
        frame = _frame(source, reading)
        wished = reading.wishes.roles
        roles = {role: find(frame, wished[role]) for role in ("time", "series") if role in wished}
        if "group" in wished and "series" not in roles:
            roles["series"] = find(frame, wished["group"])
        names = _channels(frame, reading, set(roles.values()))
        pieces, findings = _pieces(frame, names, roles, None, reading.skip)
        findings += _unused(frame, names, roles)
        window = _window(reading, pieces)
        clock = pieces[0].grid.clock
        findings += _clocks(pieces, clock)
        waves = waves_of(clock, max(len(piece.values) for piece in pieces))
        series = _joined(pieces, names, roles, window, reading.horizon, clock, waves)
        test = validation = None
        if reading.parts is None:
            starts = _complete(series, pieces)
            findings += _left_out(series, pieces, len(starts))
        else:
            starts, validation, test = _parts(series, pieces, reading.parts)
        if len(starts) < LEAST_ROWS:
            raise _too_short(series, len(starts), reading)
        return _found(replace(series, starts=starts), frame, findings, test=test, validation=validation)

    def encode(self, description: Mapping[str, Any], source: Any, reading: Reading) -> Found:
        """New steps of the same channels. `ahead` is the last window of each series, from which the future after the
        end is forecast; the sample itself holds the windows whose future is known."""
        frame = _frame(source, reading)
        roles = {
            role: _named(frame, name)
            for role, name in description["columns"].items()
            if name in frame.columns or role != "time"
        }
        names = tuple(_named(frame, name) for name in description["names"])
        shape = description["shape"]
        clock = Clock.from_json(description["clock"])
        pieces, findings = _pieces(frame, names, roles, clock, reading.skip)
        findings = [found for found in findings if found.kind != "no-time"]  # it was said when the model was fitted
        waves = tuple(float(wave) for wave in description["waves"])
        series = _joined(pieces, names, roles, int(shape["window"]), int(shape["horizon"]), clock, waves)
        short = [piece for piece in pieces if len(piece.values) < series.window]
        if short:
            raise InputError(
                f"{frame.source} holds {len(short[0].values)} steps{_of(short[0].key)}; the model looks back on "
                f"{series.window}.",
                fix="Give the steps before these too.",
            )
        ends = np.cumsum([len(piece.values) for piece in pieces])
        ahead = replace(series, starts=ends - series.window)
        return replace(_found(replace(series, starts=_complete(series, pieces)), frame, findings), ahead=ahead)


def _frame(source: Any, reading: Reading) -> Frame:
    """The source as columns; [step] and [step, channel] arrays have the names "0", "1", …"""
    array = None if isinstance(source, str | Mapping) or hasattr(source, "columns") else as_array(source)
    if array is not None and array.dtype.names is None and array.ndim == 1:
        source = array[:, None]
    return load(source, header=reading.header, delimiter=reading.delimiter)


def _named(frame: Frame, name: str) -> str:
    if name not in frame.columns:
        raise InputError(
            f"{frame.source} has no column {name!r}; the model was fitted on it.",
            fix=f"There is: {', '.join(list(frame.columns)[:10])}.",
        )
    return name


def _channels(frame: Frame, reading: Reading, taken: set[str]) -> tuple[str, ...]:
    """The columns to forecast: those named, or all columns of numbers."""
    asked = [] if reading.forecast in (None, ALL) and ALL not in frame.columns else several(reading.forecast)
    if asked:
        names = tuple(dict.fromkeys(find(frame, name) for name in asked))
        double = [name for name in names if name in taken]
        if double:
            raise InputError(f"The column {double[0]!r} is asked to be forecast and to be a time or a key.")
        return names
    aside = {find(frame, name) for name in reading.wishes.drop} | taken
    kinds: dict[str, Kind] = {}
    for name in (n for n in frame.columns if n not in aside):
        settled = settle(name, frame.columns[name], comma=frame.delimiter == ";")
        if isinstance(settled.values, Numbers) and settled.column.kind != Kind.CONSTANT:
            kinds[name] = settled.column.kind
    # a column that counts the rows is no series to forecast, unless it is the only one
    found = [name for name, kind in kinds.items() if kind != Kind.IDENTIFIER] or list(kinds)
    if not found:
        raise InputError("No column holds numbers that vary.", fix="Name what to forecast: --forecast COLUMN")
    return tuple(found)


def _pieces(
    frame: Frame, names: Sequence[str], roles: Mapping[str, str], clock: Clock | None, skip: bool
) -> tuple[list[_Piece], list[Finding]]:
    """Every series of the frame, sorted and on its grid."""
    values = np.stack([_numbers(name, frame) for name in names], axis=1)
    times, findings = _times(frame, roles)
    rows = np.arange(frame.rows)
    late = absent_rows(Times(times)) if times.dtype.kind == "M" else np.isnan(times)
    if late.any():
        message = f"{int(late.sum())} rows have no time and are set aside."
        findings.append(Finding(kind="rows-without-time", where=roles["time"], message=message))
        rows = rows[~late]
    made: list[_Piece] = []
    for key, mine in _by_series(frame, roles, rows):
        stamps = times[mine]
        if len(stamps) > 1 and (stamps[1:] < stamps[:-1]).any():
            order = np.argsort(stamps, kind="stable")
            mine, stamps = mine[order], stamps[order]
            if not any(f.kind == "unsorted-times" for f in findings):
                message = f"The rows{_of(key)} do not stand in the order of time; they were sorted."
                findings.append(
                    Finding(kind="unsorted-times", where=roles["time"], message=message, severity="notice")
                )
        if skip:
            first = np.concatenate([[True], stamps[1:] != stamps[:-1]])
            mine, stamps = mine[first], stamps[first]
        refuse_repeats(stamps, mine, roles.get("time", STEP), _of(key))
        grid = lay_out(stamps, clock)
        if len(made) < MOST_TOLD:
            findings += gap_finding(grid, roles.get("time", STEP), _of(key))
        made.append(_piece(key, values[mine], grid))
    return made, findings + _missing_findings(made, names)


def _numbers(name: str, frame: Frame) -> Float[np.ndarray, " rows"]:
    settled = settle(name, frame.columns[name], Kind.NUMBER, comma=frame.delimiter == ";")
    assert isinstance(settled.values, Numbers)
    values = settled.values.values
    if np.isnan(values).all():
        raise InputError(f"The column {name!r} has no value in any row.", fix="Forecast another column.")
    return values


def _times(frame: Frame, roles: Mapping[str, str]) -> tuple[Shaped[np.ndarray, " rows"], list[Finding]]:
    """The stamps; the numbers of the rows where no column holds them."""
    if "time" not in roles:
        message = "No column of times was named: rows count as even steps in their order."
        return np.arange(frame.rows, dtype=np.float64), [
            Finding(kind="no-time", where="rows", message=message, severity="notice")
        ]
    name = roles["time"]
    settled = settle(name, frame.columns[name], keep=True)
    if not isinstance(settled.values, Times | Numbers):
        raise InputError(
            f"The time column {name!r} holds neither dates nor numbers.",
            fix="Leave it out where rows are in order: each then counts as one step.",
        )
    return settled.values.values, list(settled.findings)


def _by_series(
    frame: Frame, roles: Mapping[str, str], rows: Int[np.ndarray, " some"]
) -> list[tuple[str, Int[np.ndarray, " _mine"]]]:
    if "series" not in roles:
        return [("", rows)]
    words = as_words(frame.columns[roles["series"]])
    codes = words.codes[rows]
    if (codes < 0).any():
        first = int(rows[codes < 0][0]) + 1
        raise InputError(f"Row {first} has no value of {roles['series']!r}: it belongs to no series.")
    return [(level, rows[codes == code]) for code, level in enumerate(words.levels) if (codes == code).any()]


def _piece(key: str, values: Float[np.ndarray, "rows channel"], grid: Grid) -> _Piece:
    """On the grid, with the last known value carried over what is missing; at the start it stays NaN."""
    full = np.full((len(grid.times), values.shape[1]), np.nan)
    full[grid.place] = values
    known = ~np.isnan(full)
    last = np.maximum.accumulate(np.where(known, np.arange(len(full))[:, None], 0), axis=0)
    carried = np.take_along_axis(full, last, axis=0)
    return _Piece(key=key, values=carried.astype(np.float32), known=known, grid=grid)


def _missing_findings(pieces: Sequence[_Piece], names: Sequence[str]) -> list[Finding]:
    gone = np.sum([(~p.known[p.grid.place]).sum(axis=0) for p in pieces], axis=0)
    where = [f"{name} ({count})" for name, count in zip(names, gone, strict=True) if count]
    if not where:
        return []
    message = (
        f"Values are missing: {', '.join(where[:8])}. The last one is carried over them in what is looked back on, "
        "and no future that holds one is learnt from or judged."
    )
    return [Finding(kind="missing-values", where=", ".join(names[:3]), message=message)]


def _unused(frame: Frame, names: Sequence[str], roles: Mapping[str, str]) -> list[Finding]:
    left = [name for name in frame.columns if name not in names and name not in roles.values()]
    if not left:
        return []
    message = (
        f"{', '.join(left[:8])}{', …' if len(left) > 8 else ''}: not looked at, since they are not forecast. "
        "--forecast all forecasts every column of numbers."
    )
    return [Finding(kind="unused-columns", where=", ".join(left[:3]), message=message, severity="notice")]


def _clocks(pieces: Sequence[_Piece], clock: Clock) -> list[Finding]:
    other = [piece.key for piece in pieces if piece.grid.clock != clock]
    if not other:
        return []
    message = f"Series {other[0]!r} has another step than the first one ({len(other)} of {len(pieces)} do)."
    return [Finding(kind="unequal-steps", where=other[0], message=message)]


def _window(reading: Reading, pieces: Sequence[_Piece]) -> int:
    """Steps to look back on: as told, else USUAL_WINDOW or two horizons, at most a fifth of the longest series."""
    if reading.window is not None:
        if reading.window < 1:
            raise InputError(f"The window is {reading.window}.", fix="Give at least 1 step.")
        return int(reading.window)
    assert reading.horizon is not None
    longest = max(len(piece.values) for piece in pieces)
    return max(1, min(max(USUAL_WINDOW, 2 * reading.horizon), longest // 5))


def _joined(
    pieces: Sequence[_Piece],
    names: Sequence[str],
    roles: Mapping[str, str],
    window: int,
    horizon: int,
    clock: Clock,
    waves: tuple[float, ...],
) -> Series:
    return Series(
        values=np.ascontiguousarray(np.concatenate([piece.values for piece in pieces])),
        starts=np.zeros(0, np.int64),
        times=np.concatenate([piece.grid.times for piece in pieces]),
        places=np.repeat(np.arange(len(pieces)), [len(piece.values) for piece in pieces]),
        names=tuple(names),
        keys=tuple(piece.key for piece in pieces),
        window=window,
        horizon=horizon,
        clock=clock,
        waves=waves,
        columns=dict(roles),
    )


def _complete(series: Series, pieces: Sequence[_Piece]) -> Int[np.ndarray, " rows"]:
    """Where windows begin whose future is known in full, and whose past is known at all."""
    found, begin = [], 0
    for piece in pieces:
        count = len(piece.values) - series.window - series.horizon + 1
        starts = np.arange(max(0, count))
        gone = np.concatenate([[0], np.cumsum(~piece.known.all(axis=1))])
        whole = gone[starts + series.window + series.horizon] == gone[starts + series.window]
        there = ~np.isnan(piece.values[starts + series.window - 1]).any(axis=1)
        found.append(begin + starts[whole & there])
        begin += len(piece.values)
    return np.concatenate(found)


def _left_out(series: Series, pieces: Sequence[_Piece], rows: int) -> list[Finding]:
    """Series that are too short for one window and its future."""
    short = [piece.key for piece in pieces if len(piece.values) < series.window + series.horizon]
    if not short or not rows:
        return []
    message = (
        f"{len(short)} of {len(pieces)} series are shorter than a window and its future "
        f"({series.window} + {series.horizon} steps) and are left out: {', '.join(short[:5])}."
    )
    return [Finding(kind="short-series", where=short[0], message=message)]


def _parts(
    series: Series, pieces: Sequence[_Piece], parts: Sequence[int]
) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " validation"], Int[np.ndarray, " test"]]:
    """Rows of the parts that train, validate and test: those whose future lies in the part, and of the first also the
    past. What comes after the parts is left out."""
    sizes = [int(size) for size in parts]
    if len(sizes) != 3 or min(sizes) < 1 or len(pieces) > 1:
        raise InputError(
            f"parts={list(parts)}; expected the steps of three parts of one series: training, validation, test.",
            fix="For example parts=(8640, 2880, 2880), --parts 8640,2880,2880.",
        )
    if sum(sizes) > len(series.values):
        raise InputError(f"The parts {sizes} take {sum(sizes):,} steps; there are {len(series.values):,}.")
    starts = _complete(series, pieces)
    first, last = starts + series.window, starts + series.window + series.horizon
    edges = np.cumsum([0, *sizes])
    inside = [starts[(first >= a) & (last <= b)] for a, b in pairwise(edges)]
    for name, rows in zip(("training", "validation", "test"), inside, strict=True):
        if not len(rows):
            raise InputError(
                f"The {name} part holds no window with its future ({series.window} + {series.horizon} steps).",
                fix="Give larger parts, or a smaller window or horizon.",
            )
    counts = np.cumsum([len(rows) for rows in inside])
    return np.concatenate(inside), np.arange(counts[0], counts[1]), np.arange(counts[1], counts[2])


def _too_short(series: Series, rows: int, reading: Reading) -> InputError:
    steps = len(series.values)
    panel = f" in {len(series.keys)} series" if len(series.keys) > 1 else ""
    return InputError(
        f"{steps:,} steps{panel} hold {rows} windows of {series.window} steps with a known future of "
        f"{series.horizon}; at least {LEAST_ROWS} are needed.",
        fix=f"Give more steps, or a smaller --window{'' if reading.window else ' than the usual'} or --horizon.",
    )


def _found(
    series: Series,
    frame: Frame,
    findings: list[Finding],
    *,
    test: Int[np.ndarray, " test"] | None = None,
    validation: Int[np.ndarray, " validation"] | None = None,
) -> Found:
    """Beside each row: the stamp of its first step ahead, and its series."""
    time = series.columns.get("time", STEP)
    columns: dict[str, Any] = {time: series.origins}
    if "series" in series.columns:
        columns[series.columns["series"]] = np.array(series.keys, dtype=object)[series.places[series.starts]]
    return Found(
        sample=series,
        columns=columns,
        targets=series.names,
        dense=series.futures,
        task="forecast",
        test=test,
        validation=validation,
        source=frame.source,
        findings=(*frame.findings, *findings),
        own=tuple(name for name in frame.columns if name not in columns),
        time=time,
    )


def _of(key: str) -> str:
    return f" of series {key!r}" if key else ""
