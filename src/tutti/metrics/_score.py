"""A score with its interval, and the difference of two models with its interval."""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int, Num

from tutti.core import InputError
from tutti.metrics._intervals import Interval, bootstrap, unit_numbers, unit_sums, wilson
from tutti.metrics._metric import Metric, check, metric_of


@dataclass(frozen=True, kw_only=True)
class Score(Interval):
    """A metric's value on `n` rows with its interval, resampled by `unit` ("row", "group", "block")."""

    metric: str
    n: int
    unit: str


@dataclass(frozen=True, kw_only=True)
class Difference(Interval):
    """metric(a) − metric(b) on the same `n` rows, with its interval."""

    metric: str
    n: int
    unit: str
    higher_is_better: bool

    @property
    def gain(self) -> Interval:
        """The difference signed so that above zero means that a is the better one."""
        if self.higher_is_better:
            return Interval(value=self.value, low=self.low, high=self.high)
        return Interval(value=-self.value, low=-self.high, high=-self.low)

    @property
    def outcome(self) -> str:
        """ "better" or "worse" (a against b) where the interval leaves zero out, else "equal": not
        distinguishable."""
        gain = self.gain
        return "better" if gain.low > 0 else "worse" if gain.high < 0 else "equal"

    @property
    def excluded(self) -> float:
        """Differences above this size, either way, are excluded by the interval."""
        return max(abs(self.low), abs(self.high))


def score(
    metric: str | Metric,
    target: Num[np.ndarray, "rows ..."],
    prediction: Float[np.ndarray, "rows ..."],
    *,
    units: Int[np.ndarray, " rows"] | None = None,
    weights: Num[np.ndarray, " rows"] | None = None,
    level: float = 0.95,
    seed: int = 0,
    unit: str | None = None,
) -> Score:
    """The metric on these rows with its interval: for this trained model, over new rows of the same kind.

    Accuracy of one class per row, each row its own unit, no weights: Wilson's interval. All else: the BCa
    bootstrap over `units` (each row its own where None), see `bootstrap`. `unit` is the name for them ("row"
    or "group" where None). At the bound of a bounded metric (accuracy or AUC of 1) a resample cannot vary:
    then it is Wilson's interval at the effective number of units, for classes that of the smallest class.
    Pixels of one image are alike: of a segmentation the rows that are resampled are images.
    A metric that is not defined on these rows (AUC of one class) is NaN with an interval of NaN.
    """
    chosen = metric_of(metric)
    check(chosen, target, prediction)
    number, count, known, mass = _prepare(target, units, weights, seed)
    called = unit or ("row" if known == len(target) else "group")
    if chosen.name == "accuracy" and target.ndim == 1 and weights is None and known == len(target):
        right = chosen.function(target, prediction) * len(target)
        found = wilson(round(right), len(target), level=level)
    else:
        sums = unit_sums(list(chosen.columns(target, prediction, mass)), mass, number, count)
        size = float(_sizes(chosen, target, mass, units).min())
        found = bootstrap(sums, chosen.finish, level=level, seed=seed, bounds=chosen.bounds, effective=size)
        if chosen.bounds == (0, 1) and found.low == found.high:
            found = wilson(found.value * size, size, level=level)
    return Score(metric=chosen.name, value=found.value, low=found.low, high=found.high, n=len(target), unit=called)


def paired_difference(
    metric: str | Metric,
    target: Num[np.ndarray, "rows ..."],
    a: Float[np.ndarray, "rows ..."],
    b: Float[np.ndarray, "rows ..."],
    *,
    units: Int[np.ndarray, " rows"] | None = None,
    weights: Num[np.ndarray, " rows"] | None = None,
    level: float = 0.95,
    seed: int = 0,
    unit: str | None = None,
) -> Difference:
    """metric(a) − metric(b) on the same rows, BCa bootstrap paired by unit (see `bootstrap`).

    For accuracy, balanced accuracy and f1 each side h of the interval is widened to √(h² + 2z²δ²), δ what
    one unit can move: 1/n, with K classes √(Σ 1/(n K² n_k)). It is the variance of one unit of difference
    added either way (Bonett and Price 2012, for paired shares): two models that err on the same few rows are
    not thereby shown to be equal, and with few rows in dispute BCa alone covers 89 to 92 %.
    """
    chosen = metric_of(metric)
    check(chosen, target, a)
    check(chosen, target, b)
    number, count, known, mass = _prepare(target, units, weights, seed)
    columns = [*chosen.columns(target, a, mass), *chosen.columns(target, b, mass)]
    half = len(columns) // 2

    def difference(means: np.ndarray) -> np.ndarray:
        return np.asarray(chosen.finish(means[..., :half]) - chosen.finish(means[..., half:]))

    widest = chosen.bounds[1] - chosen.bounds[0]
    sizes = _sizes(chosen, target, mass, units)
    sums = unit_sums(columns, mass, number, count)
    found = bootstrap(sums, difference, level=level, seed=seed, effective=float(sizes.min()))
    extra = 2 * NormalDist().inv_cdf((1 + level) / 2) ** 2 * float(np.mean(1 / sizes) / sizes.sum()) * chosen.steps
    low = found.value - sqrt((found.value - found.low) ** 2 + extra)
    high = found.value + sqrt((found.high - found.value) ** 2 + extra)
    return Difference(
        metric=chosen.name, value=found.value, low=max(-widest, low), high=min(widest, high), n=len(target),
        unit=unit or ("row" if known == len(target) else "group"), higher_is_better=chosen.higher_is_better,
    )  # fmt: skip


def _prepare(
    target: np.ndarray, units: np.ndarray | None, weights: np.ndarray | None, seed: int
) -> tuple[np.ndarray, int, int, np.ndarray]:
    rows = len(target)
    if rows == 0:
        raise InputError("There are no rows to score.")
    mass = np.ones(rows) if weights is None else weights.astype(np.float64)
    if len(mass) != rows or mass.min() < 0 or mass.sum() <= 0:
        raise InputError(f"{len(mass)} weights for {rows} rows; expected one per row, none below 0, not all 0.")
    number, count, known = unit_numbers(units, rows, seed)
    return number, count, known, mass


def _sizes(metric: Metric, target: np.ndarray, mass: np.ndarray, units: np.ndarray | None) -> np.ndarray:
    """Kish's effective number of units, (Σw)²/Σw²; one for each class where the metric is made of classes."""
    labels = np.arange(len(target)) if units is None else np.unique(units, return_inverse=True)[1]
    if metric.rowwise or metric.name == "r2" or target.ndim == 3:
        parts = [mass > 0]
    elif target.ndim == 1:
        parts = [target == k for k in np.unique(target)]
    else:
        parts = [(target[:, k] > 0.5) == side for k in range(target.shape[1]) for side in (False, True)]
    heavy = [np.bincount(labels[part], mass[part]) for part in parts if mass[part].sum() > 0]
    return np.array([w.sum() ** 2 / np.square(w).sum() for w in heavy])
