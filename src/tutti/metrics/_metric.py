"""What a metric is, and the ones there are.

Every metric here is a function of weighted means of per-row columns: accuracy of one (right or wrong), RMSE
of the squared errors, macro-F1 of three per class. That one form gives the value, fast resampling by any
unit (sums per unit are resampled, never rows) and the paired difference of two models.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Num

from tutti.core import InputError, unknown
from tutti.metrics._pixels import (
    check_pixels,
    image_losses,
    mean_dice,
    mean_ratio,
    overlaps,
    right_pixels,
    wrong_pixels,
)

Kind = Literal["regression", "binary", "multiclass", "multilabel", "segmentation", "language"]
Columns = Callable[[np.ndarray, np.ndarray, np.ndarray], Iterator[np.ndarray]]
Finish = Callable[[np.ndarray], np.ndarray]

_CLASSES: tuple[Kind, ...] = ("binary", "multiclass")
_LABELS: tuple[Kind, ...] = ("binary", "multiclass", "multilabel")
_VALUES: tuple[Kind, ...] = ("regression",)
_PIXELS: tuple[Kind, ...] = ("segmentation",)
_TOKENS: tuple[Kind, ...] = ("language",)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric as a function of weighted means of per-row columns.

    Targets and predictions stand in the formats of the tasks: class numbers [rows] with probabilities
    [rows, K] (binary: K = 2); 0/1 [rows, K] with probabilities [rows, K] (multilabel); values [rows, d] with
    values [rows, d] (regression); class numbers [rows, height, width], 255 where not labelled, with probabilities
    [rows, K, height, width] (segmentation: a row is an image); windows of tokens [rows, time + 1] with
    −ln p of each but the first [rows, time] (language). Weights are [rows].

    `columns(target, prediction, weights)` yields the columns, each [rows]; `finish` maps their weighted means
    [..., columns] to values [...]. `bounds` are the least and the greatest possible value. `steps` says that
    a row is right or wrong, so that equal scores of two models do not mean equal models. `rowwise` says that
    the value is the mean (rmse: the root of the mean) of one contribution per row.
    """

    name: str
    higher_is_better: bool
    kinds: tuple[Kind, ...]
    bounds: tuple[float, float]
    columns: Columns
    finish: Finish
    steps: bool = False
    rowwise: bool = False

    def function(
        self,
        target: Num[np.ndarray, "rows ..."],
        prediction: Float[np.ndarray, "rows ..."],
        weights: Num[np.ndarray, " rows"] | None = None,
    ) -> float:
        """The value; scikit-learn's function of the same name gives the same. NaN where it is not defined
        (no rows; the AUC of a single class)."""
        check(self, target, prediction)
        mass = np.ones(len(target)) if weights is None else weights.astype(np.float64)
        if mass.sum() <= 0:
            return float("nan")
        columns = self.columns(target, prediction, mass)
        return float(self.finish(np.array([column @ mass for column in columns]) / mass.sum()))

    def per_row(
        self, target: Num[np.ndarray, "rows ..."], prediction: Float[np.ndarray, "rows ..."]
    ) -> Float[np.ndarray, " rows"] | None:
        """What each row adds to the mean (accuracy: 1 or 0; rmse: its squared error); None where the metric
        is no mean over rows."""
        check(self, target, prediction)
        if not self.rowwise:
            return None
        return np.asarray(np.mean(list(self.columns(target, prediction, np.ones(len(target)))), axis=0))


def check(metric: Metric, target: np.ndarray, prediction: np.ndarray) -> None:
    """Raises where the metric does not suit the target: class numbers are whole and one-dimensional."""
    classes = target.ndim == 1 and target.dtype.kind in "iub"
    if len(target) != len(prediction):
        raise InputError(f"{len(target)} targets and {len(prediction)} predictions; expected as many.")
    if metric.kinds == _TOKENS:
        if target.ndim != 2 or prediction.shape != (len(target), target.shape[1] - 1):
            raise InputError(f"{metric.name} is for the surprise at each token of windows of text.")
        return
    if prediction.ndim == 4 or metric.kinds == _PIXELS:
        check_pixels(target, prediction)
        if "segmentation" not in metric.kinds:
            raise InputError(f"{metric.name} is not for a class of every pixel.", fix="Try iou or pixel_accuracy.")
        return
    if classes and "multiclass" not in metric.kinds:
        raise InputError(f"{metric.name} is for values, and the target holds classes.", fix="Try accuracy.")
    if not classes and metric.kinds == _CLASSES:
        raise InputError(f"{metric.name} is for one class per row.", fix="Try accuracy, f1 or auc.")
    if not classes and target.reshape(len(target), -1).shape != prediction.shape:
        raise InputError(
            f"The target is {target.shape} and the prediction {prediction.shape}; expected equal shapes."
        )


def hits(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """1 where the most likely class is the true one (multilabel: the share of labels that are right)."""
    if target.ndim == 1:
        return np.asarray(prediction.argmax(axis=1) == target, np.float64)
    return np.asarray(((prediction > 0.5) == (target > 0.5)).mean(axis=1))


def _accuracy(target: np.ndarray, prediction: np.ndarray, _: np.ndarray) -> Iterator[np.ndarray]:
    yield hits(target, prediction)


def _first(means: np.ndarray) -> np.ndarray:
    return means[..., 0]


def _recalls(target: np.ndarray, prediction: np.ndarray, _: np.ndarray) -> Iterator[np.ndarray]:
    predicted = prediction.argmax(axis=1)
    for k in range(prediction.shape[1]):
        yield (target == k).astype(np.float64)
        yield ((target == k) & (predicted == k)).astype(np.float64)


def _overlaps(target: np.ndarray, prediction: np.ndarray, _: np.ndarray) -> Iterator[np.ndarray]:
    chosen = prediction.argmax(axis=1) if target.ndim == 1 else None
    for k in range(prediction.shape[1]):
        true = target == k if chosen is not None else target[:, k] > 0.5
        said = chosen == k if chosen is not None else prediction[:, k] > 0.5
        yield (np.asarray(true, np.float64) + np.asarray(said, np.float64)) / 2
        yield np.asarray(true & said, np.float64)


def _placements(target: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> Iterator[np.ndarray]:
    """For each class its rows' and the others' placement values: the weighted share of the other side that a
    row outranks (DeLong, DeLong and Clarke-Pearson 1988), each less half the AUC, so that the sum of the two
    means is the AUC, and to first order that of a resample."""
    labels = target.ndim == 2
    classes = range(prediction.shape[1]) if labels or prediction.shape[1] > 2 else (1,)
    for k in classes:
        positive = (target[:, k] > 0.5) if labels else (target == k)
        _, place = np.unique(prediction[:, k], return_inverse=True)
        above, below = np.bincount(place, weights * positive), np.bincount(place, weights * ~positive)
        lower = (np.cumsum(below) - below / 2)[place] / max(below.sum(), 1e-300)
        upper = 1 - (np.cumsum(above) - above / 2)[place] / max(above.sum(), 1e-300)
        area = (weights * positive) @ lower / max(above.sum(), 1e-300)
        yield positive.astype(np.float64)
        yield positive * (lower - area / 2)
        yield (~positive).astype(np.float64)
        yield ~positive * (upper - area / 2)


def _area(means: np.ndarray) -> np.ndarray:
    ours, theirs = means[..., 0::4], means[..., 2::4]
    there = (ours > 0) & (theirs > 0)
    safe = [np.where(there, x, 1.0) for x in (ours, theirs)]
    area = np.where(there, means[..., 1::4] / safe[0] + means[..., 3::4] / safe[1], 0.0)
    count = there.sum(axis=-1)
    return np.where(count > 0, np.clip(area.sum(axis=-1) / np.maximum(count, 1), 0, 1), np.nan)


def _surprise(target: np.ndarray, prediction: np.ndarray, _: np.ndarray) -> Iterator[np.ndarray]:
    if prediction.ndim == 4:
        yield image_losses(target, prediction)
        return
    eps = np.finfo(prediction.dtype).eps
    if target.ndim == 1:
        yield -np.log(np.clip(prediction[np.arange(len(target)), target], eps, 1 - eps).astype(np.float64))
    else:
        sure = np.clip(prediction, eps, 1 - eps)
        yield -np.log(np.where(target > 0.5, sure, 1 - sure).astype(np.float64)).mean(axis=1)


def _brier(target: np.ndarray, prediction: np.ndarray, _: np.ndarray) -> Iterator[np.ndarray]:
    p = prediction.astype(np.float64)
    if target.ndim == 2:
        yield np.square(p - target).mean(axis=1)
    elif p.shape[1] == 2:
        yield np.square(p[:, 1] - target)
    else:
        yield np.square(p).sum(axis=1) - 2 * p[np.arange(len(target)), target] + 1


def _errors(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return np.asarray(prediction.astype(np.float64) - target.reshape(len(target), -1))


def _squares(target: np.ndarray, prediction: np.ndarray, _: np.ndarray) -> Iterator[np.ndarray]:
    yield from np.square(_errors(target, prediction)).T


def _absolutes(target: np.ndarray, prediction: np.ndarray, _: np.ndarray) -> Iterator[np.ndarray]:
    yield from np.abs(_errors(target, prediction)).T


def _mean(means: np.ndarray) -> np.ndarray:
    return np.asarray(means.mean(axis=-1))


def _root(means: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(np.maximum(means, 0)).mean(axis=-1))


def _variances(target: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> Iterator[np.ndarray]:
    values = target.reshape(len(target), -1).astype(np.float64)
    centred = values - np.average(values, axis=0, weights=weights)
    for j, errors in enumerate(_errors(target, prediction).T):
        yield np.square(errors)
        yield np.square(centred[:, j])
        yield centred[:, j]


def _explained(means: np.ndarray) -> np.ndarray:
    error = means[..., 0::3]
    variance = means[..., 1::3] - np.square(means[..., 2::3])
    flat = variance <= 1e-15 * np.maximum(means[..., 1::3], 1e-300)
    share = np.where(flat, np.where(error > 0, 0.0, 1.0), 1 - error / np.where(flat, 1.0, variance))
    return np.asarray(share.mean(axis=-1))


def _surprises(target: np.ndarray, prediction: np.ndarray, _: np.ndarray) -> Iterator[np.ndarray]:
    yield prediction.mean(axis=1, dtype=np.float64)


def _choices(means: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(np.minimum(means[..., 0], 700)))


def _bits(means: np.ndarray) -> np.ndarray:
    return np.asarray(means[..., 0] / np.log(2))


_INF = float("inf")
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            name="accuracy", higher_is_better=True, kinds=_LABELS, bounds=(0.0, 1.0),
            columns=_accuracy, finish=_first, steps=True, rowwise=True,
        ),
        Metric(
            name="balanced_accuracy", higher_is_better=True, kinds=_CLASSES, bounds=(0.0, 1.0),
            columns=_recalls, finish=mean_ratio, steps=True,
        ),
        Metric(
            name="f1", higher_is_better=True, kinds=_LABELS, bounds=(0.0, 1.0),
            columns=_overlaps, finish=mean_ratio, steps=True,
        ),
        Metric(
            name="auc", higher_is_better=True, kinds=_LABELS, bounds=(0.0, 1.0),
            columns=_placements, finish=_area,
        ),
        Metric(
            name="iou", higher_is_better=True, kinds=_PIXELS, bounds=(0.0, 1.0),
            columns=overlaps, finish=mean_ratio,
        ),
        Metric(
            name="dice", higher_is_better=True, kinds=_PIXELS, bounds=(0.0, 1.0),
            columns=overlaps, finish=mean_dice,
        ),
        Metric(
            name="pixel_accuracy", higher_is_better=True, kinds=_PIXELS, bounds=(0.0, 1.0),
            columns=right_pixels, finish=mean_ratio,
        ),
        Metric(
            name="pixel_error", higher_is_better=False, kinds=_PIXELS, bounds=(0.0, 1.0),
            columns=wrong_pixels, finish=mean_ratio,
        ),
        Metric(
            name="log_loss", higher_is_better=False, kinds=(*_LABELS, *_PIXELS), bounds=(0.0, _INF),
            columns=_surprise, finish=_first, rowwise=True,
        ),
        Metric(
            name="brier", higher_is_better=False, kinds=_LABELS, bounds=(0.0, 2.0),
            columns=_brier, finish=_first, rowwise=True,
        ),
        Metric(
            name="perplexity", higher_is_better=False, kinds=_TOKENS, bounds=(1.0, _INF),
            columns=_surprises, finish=_choices, rowwise=True,
        ),
        Metric(
            name="nats", higher_is_better=False, kinds=_TOKENS, bounds=(0.0, _INF),
            columns=_surprises, finish=_first, rowwise=True,
        ),
        Metric(
            name="bits", higher_is_better=False, kinds=_TOKENS, bounds=(0.0, _INF),
            columns=_surprises, finish=_bits, rowwise=True,
        ),
        Metric(
            name="rmse", higher_is_better=False, kinds=_VALUES, bounds=(0.0, _INF),
            columns=_squares, finish=_root, rowwise=True,
        ),
        Metric(
            name="mse", higher_is_better=False, kinds=_VALUES, bounds=(0.0, _INF),
            columns=_squares, finish=_mean, rowwise=True,
        ),
        Metric(
            name="mae", higher_is_better=False, kinds=_VALUES, bounds=(0.0, _INF),
            columns=_absolutes, finish=_mean, rowwise=True,
        ),
        Metric(
            name="r2", higher_is_better=True, kinds=_VALUES, bounds=(-_INF, 1.0),
            columns=_variances, finish=_explained,
        ),
    )
}  # fmt: skip
"""The registry. For several outputs every regression metric is the plain mean over them, as in scikit-learn;
for labels, accuracy, log_loss and brier average over rows and labels, auc and f1 over labels (macro); auc of
more than two classes is one against the rest, macro; f1 is macro also for two classes. auc, f1 and
balanced_accuracy average over the classes that the rows hold. Of a segmentation, log_loss averages over images, of
each over its labelled pixels; the others count the pixels of all images together (see `_pixels`)."""


ALIASES = {
    "roc_auc": "auc",
    "roc_auc_score": "auc",
    "roc_auc_ovr": "auc",
    "f1_macro": "f1",
    "neg_log_loss": "log_loss",
    "neg_brier_score": "brier",
    "brier_score_loss": "brier",
    "neg_root_mean_squared_error": "rmse",
    "root_mean_squared_error": "rmse",
    "neg_mean_squared_error": "mse",
    "mean_squared_error": "mse",
    "neg_mean_absolute_error": "mae",
    "mean_absolute_error": "mae",
    "r2_score": "r2",
}
"""What scikit-learn calls them, as a scorer or as a function, where there is one counterpart with the same values.
(A score is never negated here: `higher_is_better` says which way is up.)"""


def metric_of(name: str | Metric) -> Metric:
    """The metric of this name, ours or scikit-learn's; an unknown name raises with the nearest one."""
    if isinstance(name, Metric):
        return name
    name = ALIASES.get(name, name)
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    return METRICS[name]


def metrics_for(kind: Kind) -> tuple[str, ...]:
    """The names of the metrics for this kind of task, the most usual first."""
    return tuple(metric.name for metric in METRICS.values() if kind in metric.kinds)
