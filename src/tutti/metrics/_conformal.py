"""Bands around predictions of values that hold the truth as often as they say: split conformal prediction."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from tutti.core import InputError
from tutti.metrics._intervals import Interval, bootstrap, unit_numbers, unit_sums


@dataclass(frozen=True, kw_only=True)
class Band:
    """prediction ± width, one width per output, meant to hold a share `level` of the truths; from `n` rows."""

    level: float
    width: Float[np.ndarray, " out"]
    n: int

    def to_json(self) -> dict[str, Any]:
        return {"level": self.level, "width": [float(f"{w:.6g}") for w in self.width], "n": self.n}


def conformal_band(
    target: Float[np.ndarray, "rows out"], prediction: Float[np.ndarray, "rows out"], *, level: float = 0.9
) -> Band:
    """The band of each output from rows that the predictor did not train on (out of fold, or a validation part).

    width: the ⌈(n + 1) · level⌉-th smallest |target − prediction| of the n rows (Vovk et al. 2005; Lei et al. 2018),
    the largest where there are too few for the level. Where rows are exchangeable it then holds at least `level` of
    new truths, whatever the predictor is worth. Rows of a time series are not: `coverage` measures what it holds.
    """
    if not 0 < level < 1:
        raise InputError(f"The level of a band is {level}; expected a share between 0 and 1.")
    rows = len(target)
    if rows == 0:
        raise InputError("There are no rows to fit a band on.")
    miss = np.sort(np.abs(np.asarray(target, np.float64) - prediction), axis=0)
    return Band(level=level, width=miss[min(rows, ceil((rows + 1) * level)) - 1], n=rows)


def coverage(
    target: Float[np.ndarray, "rows out"],
    prediction: Float[np.ndarray, "rows out"],
    band: Band,
    *,
    units: Int[np.ndarray, " rows"] | None = None,
    seed: int = 0,
) -> Interval:
    """The share of truths in the band, over rows and outputs, with its 95 % interval, resampled by `units`."""
    inside = (np.abs(np.asarray(target, np.float64) - prediction) <= band.width).mean(axis=1)
    number, count, _ = unit_numbers(units, len(target), seed)
    mass = np.ones(len(target))
    return bootstrap(
        unit_sums([inside], mass, number, count), lambda means: means[..., 0], seed=seed, bounds=(0.0, 1.0)
    )
