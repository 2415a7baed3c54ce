"""Where a model errs: confusion matrix, calibration, residuals along the prediction."""

from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Integer, Num

from tutti.core import InputError
from tutti.metrics._intervals import t_quantile, wilson
from tutti.metrics._pixels import UNLABELLED

MOST_PIXELS = 1_000_000


def confusion(
    target: Integer[np.ndarray, " rows *space"], prediction: Float[np.ndarray, "rows out *space"]
) -> Int[np.ndarray, "out out"]:
    """How many rows of each class (down) were given each class (across), by the largest probability.

    Of a class for every pixel (target [rows, height, width], 255 where not labelled): how many pixels.
    """
    if prediction.ndim == 4:
        said, labelled = prediction.argmax(axis=1), target != UNLABELLED
        classes = prediction.shape[1]
        place = target[labelled].astype(np.int64) * classes + said[labelled]
        return np.bincount(place, minlength=classes**2).reshape(classes, classes)
    classes = prediction.shape[1]
    if len(target) and not 0 <= target.min() <= target.max() < classes:
        raise InputError(f"The target holds classes {target.min()} to {target.max()}, the prediction {classes}.")
    return np.bincount(target * classes + prediction.argmax(axis=1), minlength=classes**2).reshape(classes, classes)


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """Rows of like predicted probability: its mean, the share that came true with Wilson's interval."""

    predicted: float
    observed: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Bins by rising predicted probability, and the expected calibration error."""

    bins: tuple[CalibrationBin, ...]
    error: float

    def to_json(self) -> dict[str, Any]:
        """{"bins": [{"predicted", "observed", "low", "high", "count"}], "error"}."""
        return {"bins": [asdict(b) for b in self.bins], "error": self.error}


def calibration_curve(
    target: Num[np.ndarray, "rows ..."],
    prediction: Float[np.ndarray, "rows ..."],
    *,
    bins: int = 10,
    level: float = 0.95,
) -> Calibration:
    """How often that which was predicted with probability p comes true.

    Two classes: the probability of the second one. More: that of the chosen class, against its being right
    (top-label calibration). Multilabel: all labels together. Bins hold equal counts as far as equal
    probabilities allow, which are never parted. error = Σ count/n · |observed − predicted|. Of a class for every
    pixel: labelled pixels, at most about MOST_PIXELS of them, evenly spaced.
    """
    if bins < 1 or len(target) == 0:
        raise InputError(f"{bins} bins for {len(target)} rows; expected at least one of each.")
    if prediction.ndim == 4:
        target, prediction = _some_pixels(target, prediction)
    if target.ndim == 2:
        said, came = prediction.ravel(), target.ravel() > 0.5
    elif prediction.shape[1] == 2:
        said, came = prediction[:, 1], target == 1
    else:
        said, came = prediction.max(axis=1), prediction.argmax(axis=1) == target
    place, count = _equal_counts(said, bins)
    size = np.bincount(place, minlength=count)
    mean = np.bincount(place, said, count) / size
    true = np.bincount(place, came, count)
    found = []
    for n, predicted, hits in zip(size, mean, true, strict=True):
        share = wilson(float(hits), float(n), level=level)
        found.append(
            CalibrationBin(
                predicted=float(predicted), observed=share.value, low=share.low, high=share.high, count=int(n)
            )
        )
    error = float((size * np.abs(true / size - mean)).sum() / size.sum())
    return Calibration(bins=tuple(found), error=error)


def _some_pixels(target: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labelled pixels as rows: their classes, and probabilities [pixels, classes]."""
    labelled = np.flatnonzero(target != UNLABELLED)
    if not len(labelled):
        raise InputError("No pixel is labelled.")
    labelled = labelled[:: -(-len(labelled) // MOST_PIXELS)]
    row, place = np.divmod(labelled, target[0].size)
    flat = prediction.reshape(*prediction.shape[:2], -1)
    return target.reshape(-1)[labelled], flat[row, :, place]


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """Mean residual (true − predicted) with its t interval in bins of rising prediction."""

    predicted: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    count: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """One list per field."""
        return {name: list(values) for name, values in asdict(self).items()}


def residual_curve(
    target: Float[np.ndarray, "rows out"],
    prediction: Float[np.ndarray, "rows out"],
    *,
    bins: int = 10,
    level: float = 0.95,
) -> Residuals:
    """The mean residual along the prediction, first output: apart from zero where the model errs by rule.

    Bins hold equal counts; a bin of one row has itself as interval.
    """
    if bins < 1 or len(target) == 0:
        raise InputError(f"{bins} bins for {len(target)} rows; expected at least one of each.")
    said = prediction[:, 0].astype(np.float64)
    place, count = _equal_counts(said, bins)
    rows = [place == b for b in range(count)]
    parts = [target[r, 0] - said[r] for r in rows]
    half = [t_quantile(level, len(p) - 1) * sqrt(p.var(ddof=1) / len(p)) if len(p) > 1 else 0.0 for p in parts]
    means = [float(p.mean()) for p in parts]
    return Residuals(
        predicted=tuple(float(said[r].mean()) for r in rows),
        mean=tuple(means),
        low=tuple(m - h for m, h in zip(means, half, strict=True)),
        high=tuple(m + h for m, h in zip(means, half, strict=True)),
        count=tuple(len(p) for p in parts),
    )


def _equal_counts(values: np.ndarray, bins: int) -> tuple[np.ndarray, int]:
    """A bin for each value, rising, of equal counts, equal values together; and how many bins there are."""
    edges = np.quantile(values, np.arange(1, bins) / bins)
    place = np.searchsorted(edges, values, side="left")
    kept, number = np.unique(place, return_inverse=True)
    return number, len(kept)
