"""Time series as samples: each is a window of the past, and its target the steps that follow."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped, UInt64
from torch import Tensor, nn

from tutti.core import Finding, Rows, SeriesShape, Severity, Splits
from tutti.data._row_content import row_hashes
from tutti.data._sample import Encoded, Sample
from tutti.data._series_time import Clock, calendar
from tutti.tasks import Affine

MOST_SHOWN = 192  # steps of the past in an example
KEPT_BYTES = 2**28  # up to which windows that jump are laid out in memory, which is quicker than reading them
MEANINGLESS = 0.5  # of the training rows look at what they are judged by: from here a given split is refused
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd: it has an inverse among the 64-bit numbers


class Windows:
    """Windows of a table [step, channel] as core.Rows: row i holds steps starts[i] … starts[i] + length − 1."""

    def __init__(self, values: Float[Tensor, "step channel"], starts: Int[np.ndarray, " rows"], length: int) -> None:
        steps, channels = values.shape
        count = max(0, steps - length + 1)
        self._all = values.as_strided((count, length, channels), (channels, channels, 1), values.storage_offset())
        self._starts = torch.from_numpy(np.ascontiguousarray(starts, dtype=np.int64))

    def __len__(self) -> int:
        return len(self._starts)

    def read(self, rows: Int[np.ndarray, " batch"]) -> Float[Tensor, "batch step channel"]:
        return self._all[self._starts[torch.from_numpy(np.asarray(rows, dtype=np.int64))]]

    def view(self) -> Float[Tensor, "rows step channel"] | None:
        """All windows without a copy, where each begins a step after the one before; None elsewhere."""
        starts = self._starts
        if len(starts) and bool((starts[1:] - starts[:-1] == 1).all()):
            return self._all[int(starts[0]) : int(starts[0]) + len(starts)]
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Series(Sample):
    """Windows of one or many series on even steps, cut out of one table: views of it where each begins a step after
    the one before, else small copies, or core.Rows.

    values [step, channel]: the series one behind the other, float32, raw; gaps carry the last value on. starts: the
    first step of each row's window; its target are the steps start + window … start + window + horizon − 1. times:
    the stamp of each step. names: of the channels. keys, places: the names of a panel's series, and the series of
    each step. clock: how long a step is. waves: the calendar's (see `calendar`). columns: the names of the source's
    columns of "time" and "series", where it had them.

    `inputs`: the past [row, window, channel], and the calendar [row, feature] of its last step. `futures` is the
    target, [row, horizon · channel]: step by step, within a step channel by channel.
    """

    kind: ClassVar[str] = "series"

    values: Float[np.ndarray, "step channel"]
    starts: Int[np.ndarray, " rows"]
    times: Shaped[np.ndarray, " step"]
    places: Int[np.ndarray, " step"]
    names: tuple[str, ...]
    keys: tuple[str, ...]
    window: int
    horizon: int
    clock: Clock
    waves: tuple[float, ...] = ()
    columns: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def shape(self) -> SeriesShape:
        channels = self.values.shape[1]
        return SeriesShape(channels=channels, window=self.window, horizon=self.horizon, calendar=2 * len(self.waves))

    def inputs(self) -> tuple[Tensor | Rows, ...]:
        windows = Windows(torch.from_numpy(self.values), self.starts, self.window)
        past: Tensor | Rows | None = windows.view()
        if past is None:
            small = len(self) * self.window * self.values.shape[1] * self.values.itemsize <= KEPT_BYTES
            past = windows.read(np.arange(len(self))) if small else windows
        return past, torch.from_numpy(calendar(self.times[self.starts + self.window - 1], self.waves))

    @property
    def futures(self) -> Float[np.ndarray, "rows out"]:
        """The steps to forecast of every row; a view where each row begins a step after the one before."""
        table = torch.from_numpy(self.values)
        windows = Windows(table, self.starts + self.window, self.horizon)
        view = windows.view()
        if view is None:
            return np.asarray(windows.read(np.arange(len(self))).flatten(1))
        channels = self.values.shape[1]
        flat = table.as_strided(
            (len(self), self.horizon * channels), (channels, 1), int(self.starts[0] + self.window) * channels
        )
        return np.asarray(flat)

    @property
    def origins(self) -> Shaped[np.ndarray, " rows"]:
        """The stamp of the first step that each row forecasts."""
        return np.asarray(self.times[self.starts + self.window])

    @property
    def gap(self) -> int:
        """Stamps that must lie between rows that train and rows that judge them, so that no training future reaches
        into a judged one."""
        return self.horizon - 1

    def fit(self, network: nn.Module, rows: Int[np.ndarray, " train"], target: Encoded = None) -> dict[str, Tensor]:
        """centre and scale of each channel, over all steps of these rows' pasts; gain and shift: from these units to
        those of the target, which are each output's own over the same rows (tasks.Affine)."""
        seen = self.covered(self.starts[rows], self.window)
        past = self.values[seen].astype(np.float64)
        centre, scale = np.nanmean(past, axis=0), np.nanstd(past, axis=0)
        scale = np.where(np.nanmin(past, axis=0) == np.nanmax(past, axis=0), 1.0, scale)
        units = Affine.fit(self.futures[rows])
        own = np.tile(centre, self.horizon), np.tile(scale, self.horizon)
        found = {
            "front.centre": centre,
            "front.scale": scale,
            "body.units.shift": (own[0] - units.centre.double().numpy()) / units.scale.double().numpy(),
            "body.units.gain": own[1] / units.scale.double().numpy(),
        }
        there = dict(network.named_buffers())
        return {name: torch.from_numpy(value).to(there[name].dtype) for name, value in found.items() if name in there}

    def covered(self, starts: Int[np.ndarray, " some"], length: int) -> Shaped[np.ndarray, " step"]:
        """Which steps lie in a stretch of this length from one of these starts."""
        edges = np.zeros(len(self.values) + 1, np.int64)
        np.add.at(edges, starts, 1)
        np.add.at(edges, starts + length, -1)
        return np.asarray(np.cumsum(edges)[:-1] > 0)

    def take(self, rows: Int[np.ndarray, " taken"]) -> "Series":
        return replace(self, starts=self.starts[rows])

    def joined(self, other: Any) -> "Series":
        keys = tuple(dict.fromkeys((*self.keys, *other.keys)))
        place = np.array([keys.index(key) for key in other.keys])
        return replace(
            self,
            values=np.concatenate([self.values, other.values]),
            starts=np.concatenate([self.starts, other.starts + len(self.values)]),
            times=np.concatenate([self.times, other.times]),
            places=np.concatenate([self.places, place[other.places]]),
            keys=keys,
        )

    def hashes(self) -> UInt64[np.ndarray, " rows"]:
        """Of the windows: polynomials in the hashes of their steps modulo 2⁶⁴, all from one running sum."""
        steps = row_hashes(self.values, calendar(self.times, self.waves))
        powers = np.cumprod(np.full(len(steps), _FACTOR), dtype=np.uint64)
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(steps * powers, dtype=np.uint64)])
        span = sums[self.starts + self.window] - sums[self.starts]
        return row_hashes((span * _inverse(powers)[self.starts]).view(np.int64))

    def leaks(self, splits: Splits, *, given: bool) -> list[Finding]:
        """Training rows whose past or future holds a step that others are judged by. What rows that judge look back
        on may be training steps: it is known when they are asked."""
        sides = [("test", splits.train, splits.test)] if len(splits.test) else []
        sides += [(f"fold {i}", fold.train, fold.validation) for i, fold in enumerate(splits.folds)]
        for where, train, judged in sides:
            asked = np.concatenate([[0], np.cumsum(self.covered(self.starts[judged] + self.window, self.horizon))])
            begin = self.starts[train]
            late = int((asked[begin + self.window + self.horizon] > asked[begin]).sum())
            if late:
                refused = given and late >= MEANINGLESS * len(train)
                severity: Severity = "refused" if refused else "warning"
                message = (
                    f"{late:,} of {len(train):,} training windows hold steps by which the model is judged ({where}). "
                    f"Leave {self.gap} steps between them (gap={self.gap}), or leave the splits to tutti."
                )
                return [Finding(kind="window-overlap", where=where, message=message, severity=severity)]
        return []

    def example(self, row: int) -> dict[str, Any]:
        """{"kind": "series", "names", "past": one list per channel (its last MOST_SHOWN steps), "future": likewise
        (empty where it lies after the data), "origin": the stamp of the first step ahead}."""
        begin = int(self.starts[row]) + self.window
        past = self.values[max(begin - self.window, begin - MOST_SHOWN) : begin]
        future = self.values[begin : begin + self.horizon]
        origin = self.times[begin] if len(future) else self.clock.after(self.times[begin - 1], 1)[0]
        return {
            "kind": "series",
            "names": list(self.names),
            "past": _rounded(past),
            "future": _rounded(future),
            "origin": shown(origin),
        }

    def ahead(self) -> dict[str, list[Any]]:
        """What stands beside the forecast of each row, step by step: its series (in a panel) and its time."""
        stamps: list[Any] = []
        for start in self.starts:
            stamps += [shown(stamp) for stamp in self.clock.after(self.times[start + self.window - 1], self.horizon)]
        found: dict[str, list[Any]] = {self.columns.get("time", "step"): stamps}
        if "series" in self.columns:
            named = [self.keys[self.places[start]] for start in self.starts]
            found = {self.columns["series"]: [key for key in named for _ in range(self.horizon)]} | found
        return found

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "shape": self.shape.to_json(),
            "names": list(self.names),
            "clock": self.clock.to_json(),
            "waves": list(self.waves),
            "columns": dict(self.columns),
        }

    @property
    def summary(self) -> str:
        steps, channels = self.values.shape
        panel = f"{len(self.keys)} series, " if "series" in self.columns else ""
        many = f" of {channels} channels" if channels > 1 else ""
        return f"{panel}{steps:,} steps{many}, {len(self):,} windows of {self.window} to forecast {self.horizon}"


def shown(stamp: np.generic | float) -> str | float | int:
    """A stamp as JSON: ISO, without the parts that are zero at midnight; numbers as they are."""
    if not isinstance(stamp, np.datetime64):
        return int(stamp) if float(stamp).is_integer() else float(stamp)
    day = stamp.astype("datetime64[D]")
    if stamp == day:
        return str(day)
    second = stamp.astype("datetime64[s]")
    return str(second if stamp == second else stamp).replace("T", " ")


def _rounded(values: Float[np.ndarray, "step channel"]) -> list[list[float]]:
    return [[float(f"{x:.6g}") for x in channel] for channel in values.T]


def _inverse(numbers: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """x with x · number = 1 modulo 2⁶⁴, for odd numbers: Newton's x ← x(2 − number · x) doubles the right bits."""
    x = numbers.copy()  # right in 3 bits
    for _ in range(5):
        x = x * (np.uint64(2) - numbers * x)
    return x
