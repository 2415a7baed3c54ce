"""The clock of a time series: how long a step is, which steps are absent, what the calendar says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from tutti.core import Finding, InputError

MOST_ABSENT = 0.1  # of the steps may be absent (they become gaps); where more are, the stamps are no even grid
_DAY = 86_400_000_000
_PERIODS = {"day": _DAY, "week": 7 * _DAY, "year": 365.2425 * _DAY}
_MONTHS = ("month", "month-end")


@dataclass(frozen=True, kw_only=True)
class Clock:
    """How time goes on from one step to the next.

    unit: "time" (steps of so many microseconds), "month" and "month-end" (so many calendar months), "number" (the
    time column counts), or "row" (no even grid: a row is a step). size: of a step, in that unit; of "row" the median
    distance of two stamps (microseconds, where they are dates).
    """

    unit: str
    size: float

    def after(self, last: Any, steps: int) -> Shaped[np.ndarray, " steps"]:
        """The stamps of the next steps."""
        ahead = np.arange(1, steps + 1)
        if self.unit in _MONTHS:
            month = np.datetime64(last, "M") + (ahead * int(self.size)).astype("timedelta64[M]")
            if self.unit == "month-end":
                rest = np.datetime64(last, "us") - np.datetime64(last, "D").astype("datetime64[us]")
                return np.asarray(
                    (month + 1).astype("datetime64[D]").astype("datetime64[us]") - np.timedelta64(1, "D") + rest
                )
            return np.asarray(month.astype("datetime64[us]") + (np.datetime64(last, "us") - np.datetime64(last, "M")))
        if isinstance(last, np.datetime64):
            return np.asarray(last.astype("datetime64[us]") + (ahead * int(self.size)).astype("timedelta64[us]"))
        return np.asarray(float(last) + ahead * self.size)

    @property
    def per_day(self) -> float | None:
        """Steps in a day; None where steps are no time."""
        if self.unit in _MONTHS:
            return 12 / self.size / 365.2425
        return _DAY / self.size if self.unit == "time" else None

    def seasons(self) -> tuple[int, ...]:
        """How many steps a day, a week and a year have, where that is whole (to a hundredth) and 2 to 10,000."""
        if self.per_day is None:
            return ()
        lengths = [self.per_day * period / _DAY for period in _PERIODS.values()]
        near = [round(x) for x in lengths if abs(x - round(x)) <= 0.01 * x and 2 <= round(x) <= 10_000]
        return tuple(dict.fromkeys(near))

    def to_json(self) -> dict[str, Any]:
        return {"unit": self.unit, "size": self.size}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Clock":
        return cls(unit=str(data["unit"]), size=float(data["size"]))


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Sorted rows on an even grid. place[i]: the step of sorted row i; times: the stamps of all steps."""

    clock: Clock
    place: Int[np.ndarray, " rows"]
    times: Shaped[np.ndarray, " steps"]

    @property
    def absent(self) -> int:
        return len(self.times) - len(self.place)


def lay_out(times: Shaped[np.ndarray, " rows"], clock: Clock | None = None) -> Grid:
    """The grid of these ascending, distinct stamps: of the clock, or of the one that they tell.

    Dates: whole months where all stamps share day and hour (or all end a month), else multiples of the most usual
    distance; numbers: multiples of the most usual distance. Where more than MOST_ABSENT of the steps would be absent,
    or a stamp lies between two steps, a row is a step.
    """
    if clock is None or clock.unit == "row":
        clock = _clock_of(times)
    place = _places(times, clock)
    if place is None or len(times) < (1 - MOST_ABSENT) * (place[-1] + 1):
        usual = (
            np.median(np.diff(times.astype(np.int64) if times.dtype.kind == "M" else times)) if len(times) > 1 else 1
        )
        return Grid(clock=Clock(unit="row", size=float(usual)), place=np.arange(len(times)), times=times)
    steps = int(place[-1]) + 1
    if steps == len(times):
        return Grid(clock=clock, place=place, times=times)
    full = np.concatenate([times[:1], clock.after(times[0], steps - 1)]).astype(times.dtype)
    full[place] = times
    return Grid(clock=clock, place=place, times=full)


def _clock_of(times: Shaped[np.ndarray, " rows"]) -> Clock:
    if len(times) < 2:
        return Clock(unit="row", size=1.0)
    if times.dtype.kind != "M":
        return Clock(unit="number", size=float(_usual(np.diff(times))))
    months = times.astype("datetime64[M]")
    same = np.unique(times - months)
    ends = np.unique((months + 1).astype("datetime64[D]") - times.astype("datetime64[D]"))
    distances = np.diff(months.astype(np.int64))
    if distances.min() > 0 and (len(same) == 1 or (len(ends) == 1 and ends[0] == np.timedelta64(1, "D"))):
        return Clock(unit="month" if len(same) == 1 else "month-end", size=float(_usual(distances)))
    return Clock(unit="time", size=float(_usual(np.diff(times.astype("datetime64[us]").astype(np.int64)))))


def _usual(distances: Shaped[np.ndarray, " gaps"]) -> float:
    """The most usual distance, the smallest of several."""
    values, counts = np.unique(distances, return_counts=True)
    return float(values[counts.argmax()])


def _places(times: Shaped[np.ndarray, " rows"], clock: Clock) -> Int[np.ndarray, " rows"] | None:
    """Which step each stamp is; None where one lies between two, or two on one."""
    if clock.unit == "row":
        return None
    if clock.unit in _MONTHS:
        passed = (times.astype("datetime64[M]") - times[0].astype("datetime64[M]")).astype(np.int64) / clock.size
    elif times.dtype.kind == "M":
        passed = (times - times[0]).astype("timedelta64[us]").astype(np.int64) / clock.size
    else:
        passed = (times - times[0]) / clock.size
    place: np.ndarray = np.rint(passed).astype(np.int64)
    if np.abs(passed - place).max() > 1e-3 or (len(place) > 1 and np.diff(place).min() < 1):
        return None
    return place


def calendar(times: Shaped[np.ndarray, " steps"], waves: Sequence[float]) -> Float[np.ndarray, "steps feature"]:
    """Sine and cosine of each wave (a period in microseconds) at each step; [steps, 0] without waves or dates.

    A linear layer turns them into the profile of any coming step: sin(w(t + h)) is a fixed sum of sin(wt), cos(wt).
    """
    if not waves or times.dtype.kind != "M":
        return np.zeros((len(times), 0), np.float32)
    since = times.astype("datetime64[us]").astype(np.int64).astype(np.float64)
    angles = np.stack([2 * np.pi * ((since / period) % 1.0) for period in waves], axis=1)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def waves_of(clock: Clock, steps: int) -> tuple[float, ...]:
    """The first two harmonics of day, week and year (microseconds) that so many steps can tell: those with at least 4
    steps to a wave, of a period that half of the steps hold twice."""
    if clock.per_day is None:
        return ()
    found = []
    for period in _PERIODS.values():
        length = clock.per_day * period / _DAY
        found += [period / k for k in (1, 2) if length >= 4 * k and steps >= 4 * length]
    return tuple(float(wave) for wave in found)


def refuse_repeats(times: Shaped[np.ndarray, " rows"], rows: Int[np.ndarray, " rows"], name: str, where: str) -> None:
    """Raises where two of these sorted rows have one stamp; rows are their numbers in the source."""
    same = np.flatnonzero(times[1:] == times[:-1])
    if len(same):
        first, second = sorted(int(rows[i]) + 1 for i in (same[0], same[0] + 1))
        raise InputError(
            f"Rows {first} and {second}{where} have the same {name} ({times[same[0]]}); {len(same)} rows repeat a "
            "time.",
            fix="Name the column that tells several series apart (series=…, --series …), or leave the repeats out "
            "(skip=True, --skip keeps the first).",
        )


def gap_finding(grid: Grid, name: str, where: str) -> list[Finding]:
    """What is said of a grid with absent steps, or without one."""
    if grid.clock.unit == "row" and len(grid.times) > 2:
        message = f"The times{where} stand on no even grid: each row counts as one step, whatever lies between."
        return [Finding(kind="irregular-steps", where=name, message=message)]
    if not grid.absent:
        return []
    hole = int(np.setdiff1d(np.arange(len(grid.times)), grid.place)[0])
    message = (
        f"{grid.absent} of {len(grid.times):,} steps are absent{where} (first: {grid.times[hole]}): the past is "
        "carried over them, and no future that meets one is learnt from or judged."
    )
    return [Finding(kind="time-gaps", where=name, message=message)]
