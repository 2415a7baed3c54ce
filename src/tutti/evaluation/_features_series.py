"""Baselines of forecasts: the last value, the last season, and ridge regression on the window."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from tutti.core import Splits
from tutti.data import Series
from tutti.evaluation._inputs import Inputs
from tutti.evaluation._learners import Setting
from tutti.evaluation._problem import Problem

_CHUNK = 1024  # rows whose windows are laid out at once
_LAGS = 2000  # steps back that a season is looked for, at most


def inputs(series: Series, splits: Splits) -> Inputs:
    """Learners that hold the series themselves; the table has no features."""
    nothing = np.zeros((len(series), 0), np.float32)
    return Inputs(
        numbers=nothing,
        codes=np.zeros((len(series), 0), np.int64),
        learners=(
            lambda problem: LastValue(series),
            lambda problem: SeasonalNaive(series, seasons(series, splits.train)),
            lambda problem: WindowRidge(series, problem),
        ),
    )


@dataclass
class _Repeated:
    """The forecast that repeats the last `season` steps."""

    series: Series
    season: int
    notes: set[str] = field(default_factory=set)

    def grow(self, iterations: int) -> None:
        """There is nothing to fit."""

    def predict(self, rows: np.ndarray, iterations: int | None = None) -> np.ndarray:
        return repeated(self.series, rows, self.season)


def repeated(series: Series, rows: Int[np.ndarray, " rows"], season: int) -> Float[np.ndarray, "rows out"]:
    """y(t + h) = y(t + h − k · season), with the smallest k for which that is known; before the first step of a
    series stands its first value. [rows, horizon · channel] in float64."""
    origin = series.starts[rows] + series.window
    ahead = np.arange(series.horizon)
    back = ahead - season * (ahead // season + 1)
    first = np.searchsorted(series.places, series.places[origin - 1])
    place = np.maximum(origin[:, None] + back, first[:, None])
    found: np.ndarray = np.nan_to_num(series.values[place].astype(np.float64).reshape(len(rows), -1))
    return found


class LastValue:
    """The last known value, for all steps ahead: a random walk's best forecast."""

    name = "last value"
    chunk = most = 1

    def __init__(self, series: Series) -> None:
        self.series = series
        self.axes: Mapping[str, tuple[float | int, ...]] = {}
        self.start: Setting = {}
        self.quick: Setting = {}

    def cost(self, setting: Setting) -> float:
        return 1.0

    def begin(self, setting: Setting, rows: np.ndarray) -> _Repeated:
        return _Repeated(self.series, 1)


class SeasonalNaive:
    """The last season once more; which of `lengths` steps it has is tuned."""

    name = "seasonal naive"
    chunk = most = 1

    def __init__(self, series: Series, lengths: tuple[int, ...]) -> None:
        self.series = series
        self.axes: Mapping[str, tuple[float | int, ...]] = {"season": lengths}
        self.start: Setting = {"season": lengths[0]}
        self.quick: Setting = self.start

    def cost(self, setting: Setting) -> float:
        return 1.0

    def begin(self, setting: Setting, rows: np.ndarray) -> _Repeated:
        return _Repeated(self.series, int(setting["season"]))


def seasons(series: Series, train: Int[np.ndarray, " train"]) -> tuple[int, ...]:
    """Lengths of a season, ascending: those of the calendar that the training steps hold twice, and where their
    autocorrelation is highest behind its first zero; 1 (the last value) where there is none."""
    first, last = int(series.starts[train].min()), int((series.starts[train] + series.window).max())
    place = series.places[last - 1]
    first = max(first, int(np.searchsorted(series.places, place)))
    steps = series.values[first:last]
    found = [length for length in series.clock.seasons() if 2 * length <= len(steps)]
    peak = _peak(steps[-4 * _LAGS :, 0].astype(np.float64))
    return tuple(sorted({*found, *([peak] if peak else [])})) or (1,)


def _peak(x: Float[np.ndarray, " step"]) -> int | None:
    """The lag of the highest autocorrelation of the differences, behind the first lag where it is not positive."""
    x = np.diff(np.nan_to_num(x, nan=float(np.nanmean(x))) if np.isnan(x).any() else x)
    x = x - x.mean()
    lags = min(_LAGS, len(x) // 3)
    if lags < 3 or not x.any():
        return None
    power = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    correlation = np.fft.irfft(power)[: lags + 1]
    below = np.flatnonzero(correlation <= 0)
    if not len(below) or below[0] >= lags:
        return None
    best = int(below[0] + correlation[below[0] :].argmax())
    # of white noise the highest of many correlations is above 2/√n too
    return best if best >= 2 and correlation[best] > 3 * correlation[0] / np.sqrt(len(x)) else None


class WindowRidge:
    """Ridge regression from the window, less its last value, to the future, less the same: NLinear in closed form.

    Channels are standardised by their training steps and share one matrix. α is per training window and channel;
    there is no intercept, as the level is in the window.
    """

    name = "ridge on the window"
    chunk = most = 1

    def __init__(self, series: Series, problem: Problem) -> None:
        self.series = series
        self.axes: Mapping[str, tuple[float | int, ...]] = {"alpha": tuple(10.0**k for k in range(-5, 3))}
        self.start: Setting = {"alpha": 1e-2}
        self.quick: Setting = self.start
        self._prepared: dict[bytes, _Moments] = {}

    def cost(self, setting: Setting) -> float:
        return 1.0

    def begin(self, setting: Setting, rows: np.ndarray) -> "_Solved":
        key = rows.tobytes()
        if key not in self._prepared:
            self._prepared = {key: _Moments.of(self.series, rows)}
        return _Solved(self.series, self._prepared[key], float(setting["alpha"]))


@dataclass(frozen=True)
class _Moments:
    """XᵀX = V diag(values) Vᵀ and VᵀXᵀY, over n windows."""

    centre: Float[np.ndarray, " channel"]
    scale: Float[np.ndarray, " channel"]
    values: Float[np.ndarray, " window"]
    vectors: Float[np.ndarray, "window window"]
    cross: Float[np.ndarray, "window horizon"]
    count: int

    @classmethod
    def of(cls, series: Series, rows: np.ndarray) -> "_Moments":
        past = series.values[series.covered(series.starts[rows], series.window)].astype(np.float64)
        centre, scale = np.nanmean(past, axis=0), np.nanstd(past, axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        square = np.zeros((series.window, series.window))
        cross = np.zeros((series.window, series.horizon))
        for first in range(0, len(rows), _CHUNK):
            x, y, _ = _windows(series, rows[first : first + _CHUNK], centre, scale)
            square += x.T @ x
            cross += x.T @ y
        values, vectors = np.linalg.eigh(square)
        return cls(centre, scale, np.maximum(values, 0), vectors, vectors.T @ cross, len(rows) * len(centre))


def _windows(
    series: Series, rows: np.ndarray, centre: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pasts [row · channel, window] and futures [row · channel, horizon] in standard units, less the last value."""
    starts = series.starts[rows][:, None]
    past = np.nan_to_num((series.values[starts + np.arange(series.window)] - centre) / scale)
    last = past[:, -1:]
    ahead = np.minimum(starts + series.window + np.arange(series.horizon), len(series.values) - 1)
    future = (series.values[ahead] - centre) / scale - last
    flat = [x.transpose(0, 2, 1).reshape(-1, x.shape[1]).astype(np.float32) for x in (past - last, future)]
    return flat[0], flat[1], last


class _Solved:
    def __init__(self, series: Series, moments: _Moments, alpha: float) -> None:
        self.series, self.moments = series, moments
        shrunk = moments.values + alpha * moments.count + 1e-9 * moments.values.max() + 1e-30
        self.matrix = (moments.vectors @ (moments.cross / shrunk[:, None])).astype(np.float32)
        self.notes: set[str] = set()

    def grow(self, iterations: int) -> None:
        """It is solved at once."""

    def predict(self, rows: np.ndarray, iterations: int | None = None) -> np.ndarray:
        found = np.empty((len(rows), self.series.horizon, self.series.values.shape[1]))
        for first in range(0, len(rows), _CHUNK):
            part = slice(first, first + _CHUNK)
            x, _, last = _windows(self.series, rows[part], self.moments.centre, self.moments.scale)
            ahead = (x @ self.matrix).reshape(last.shape[0], last.shape[2], -1).transpose(0, 2, 1)
            found[part] = (ahead + last) * self.moments.scale + self.moments.centre
        return found.reshape(len(rows), -1)
