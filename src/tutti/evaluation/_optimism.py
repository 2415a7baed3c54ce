"""How much the best of many settings flatters itself."""

from dataclasses import asdict, dataclass
from math import isfinite, sqrt

import numpy as np
from jaxtyping import Float, Int, Num

from tutti.core import InputError
from tutti.metrics import metric_of, resample_counts, unit_numbers


@dataclass(frozen=True, kw_only=True)
class Optimism:
    """`value`: by how much the best setting's cross-validated score is too good (>= 0, in the metric's
    units); `corrected`: that score without it; `low`, `high`: the interval of the corrected score."""

    value: float
    corrected: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        """All fields; None for numbers that are not finite."""
        return {name: value if isfinite(value) else None for name, value in asdict(self).items()}


def optimism(
    row_scores: Float[np.ndarray, "setting rows"],
    metric: str,
    *,
    losses: Float[np.ndarray, "setting rows"] | None = None,
    units: Int[np.ndarray, " rows"] | None = None,
    weights: Num[np.ndarray, " rows"] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Optimism:
    """Bootstrap bias-corrected cross-validation (Tsamardinos, Greasidou and Borboudakis 2018, BBC-CV).

    `row_scores` are the out-of-fold contributions of each row under each setting (accuracy: 1 or 0; rmse: the
    squared error): what was logged, nothing is trained again. Units are drawn with replacement; the setting
    that is best on those drawn is scored on those not drawn; the mean over the draws is the corrected score.
    `value` is its distance to the best setting's own score, at least 0.

    Where we differ: the paper's interval is that of the scores outside the draws. These hold a share f = 37 %
    of the units, drawn from all, and so spread √((1 − f)/f) = 1.3 times as far as a score on all units does.
    Ours takes that back: corrected ± the replicates' quantiles about their mean times √(f/(1 − f)). Above
    2,000 units they are pooled.
    losses: what each row adds to the loss by which settings were chosen (smaller is better), where that was not the
    metric itself; the best setting is then the one with the least of it, in all rows as in each draw.
    A setting with a value that is not finite (it diverged) is never the best.
    """
    chosen = metric_of(metric)
    if not chosen.rowwise:
        raise InputError(f"{chosen.name} is no mean over rows.", fix="Use accuracy, log_loss, rmse, mse or mae.")
    finite = np.isfinite(row_scores).all(axis=1)
    if losses is not None:
        finite &= np.isfinite(losses).all(axis=1)
    kept = row_scores[finite].astype(np.float64)
    if kept.size == 0:
        raise InputError("No setting has a finite score on every row.")
    rows = kept.shape[1]
    mass = np.ones(rows) if weights is None else weights.astype(np.float64)
    number, count, _ = unit_numbers(units, rows, seed)
    sums = np.stack([np.bincount(number, mass * scores, count) for scores in [*kept, np.ones(rows)]], axis=1)
    sign = 1 if chosen.higher_is_better else -1
    # what chooses, larger is better; summed by unit like the scores
    merit = sign * sums[:, :-1]
    if losses is not None:
        merit = -np.stack([np.bincount(number, mass * loss, count) for loss in losses[finite]], axis=1)
    finish = np.sqrt if chosen.name == "rmse" else np.asarray

    drawn = resample_counts(count, seed) if count > 1 else np.ones((1, 1), np.int32)
    inside, outside = drawn @ sums, (drawn == 0) @ sums
    usable = (inside[:, -1] > 0) & (outside[:, -1] > 0)
    best = float(finish(sums.sum(axis=0)[merit.sum(axis=0).argmax()] / mass.sum()))
    if not usable.any():
        return Optimism(value=float("nan"), corrected=float("nan"), low=float("nan"), high=float("nan"))
    inside, outside = inside[usable], outside[usable]
    winner = (drawn @ merit)[usable].argmax(axis=1)
    replicates = finish(outside[np.arange(len(outside)), winner] / outside[:, -1])
    corrected = float(replicates.mean())
    corrected = sign * min(sign * corrected, sign * best)
    share = float(outside[:, -1].mean()) / mass.sum()
    shrink = sqrt(share / (1 - share))
    ends = corrected + shrink * (np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2]) - replicates.mean())
    low, high = np.clip(ends, *chosen.bounds)
    return Optimism(value=abs(best - corrected), corrected=corrected, low=float(low), high=float(high))
