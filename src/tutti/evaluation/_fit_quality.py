"""Is the fit under, good or over, and what would help."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from tutti.core import InputError
from tutti.metrics import Interval, metric_of

Quality = Literal["under", "good", "over"]


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Learning curves of one setting, means over its folds, one value per board.

    `train_score` and `score` (validation) are of the metric; `validation_loss` may be left empty, then the
    validation score stands for it.
    """

    step: Sequence[int]
    train_loss: Sequence[float]
    train_score: Sequence[float]
    score: Sequence[float]
    validation_loss: Sequence[float] = ()

    def __post_init__(self) -> None:
        lengths = {len(self.step), len(self.train_loss), len(self.train_score), len(self.score)}
        if len(lengths) > 1 or 0 in lengths or len(self.validation_loss) not in (0, len(self.step)):
            raise InputError("Learning curves need one value of each kind per step, and at least one step.")


@dataclass(frozen=True, kw_only=True)
class FitQuality:
    """The verdict, what it rests on, and the remedy, each in one plain sentence."""

    quality: Quality
    reason: str
    remedy: str

    def to_json(self) -> dict[str, Any]:
        """{"quality", "reason", "remedy"}."""
        return asdict(self)


def fit_quality(
    curves: Curves,
    metric: str,
    interval: Interval,
    *,
    baseline: float | None = None,
    trivial: float | None = None,
) -> FitQuality:
    """Judges a fit by its curves, with the noise of its validation score as the measure of every difference.

    `interval` is the validation score's at the step that was chosen (the best one); `baseline` the score of
    the best simple model (linear or trees) on the same rows, `trivial` that of the mean or the class
    frequencies. All differences are signed so that up is good; the noise is the distance from the validation
    score to the interval's good end, where something else is better, else to its bad end.
    Asked in this order, the first that holds:
    1. over: training is better than validation by more than the noise, and what is bought is bad: the
       validation loss ends above its least by more than a tenth of what it had fallen (and more than three
       times its own jitter); or validation is worse than the baseline, or than the trivial prediction, by more
       than the noise, although training is better than it.
    2. under, trained too short: the best validation score stands at the end, and its rise over the last fifth
       of the steps is more than the noise and a fiftieth of all its rise, with the training loss still falling.
    3. under, too small: validation is worse than the baseline by more than the noise, and training is worse
       than it, too, or no better than validation beyond the noise.
    4. good, with the remark that nothing can be learnt where neither network nor baseline leaves the trivial
       score by more than the noise, or that more rows would help where training is better than validation by more.
    """
    sign = 1 if metric_of(metric).higher_is_better else -1
    train, valid = sign * np.array(curves.train_score), sign * np.array(curves.score)
    best = int(np.nanargmax(valid))
    up, down = (sign * (end - interval.value) for end in (interval.high, interval.low)[::sign])
    noise, down = max(float(up), 1e-12), max(-float(down), 1e-12)
    gap = float(train[best:].max() - valid[best])
    floor = [sign * other for other in (baseline, trivial) if other is not None]
    short = max(floor) - valid[best] if floor else -np.inf
    spread = f"[{interval.low:.4g}, {interval.high:.4g}]"
    facts = f"training {abs(train[best]):.4g}, validation {abs(valid[best]):.4g} {spread} ({metric})"

    able = bool(floor) and train[best:].max() > max(floor)
    if gap > noise and (_rising(curves, valid) or (short > noise and able)):
        why = "validation got worse while training got better" if short <= noise else "a simpler model does better"
        return FitQuality(
            quality="over",
            reason=f"The network learns its training rows by heart: {facts}; {why}.",
            remedy="Get more rows, or raise weight decay or dropout, or take a smaller network, or stop earlier.",
        )
    if best == len(valid) - 1 and _still_learning(curves, valid, noise):
        return FitQuality(
            quality="under",
            reason=f"It was still learning when training ended: {facts}.",
            remedy="Train for more steps (a larger budget), or with a higher learning rate.",
        )
    if short > noise:
        return FitQuality(
            quality="under",
            reason=f"Training is no better than validation, and a simpler model does better: {facts}.",
            remedy="Take a larger network, less weight decay or dropout, more steps, or more telling features.",
        )
    if trivial is not None and max(valid[best], *floor) - sign * trivial <= down:
        return FitQuality(
            quality="good",
            reason=f"Nothing beats the trivial prediction beyond the noise: {facts}.",
            remedy="These features do not tell the target: look for others, or more rows, not a larger network.",
        )
    reason, remedy = f"Validation is at its best: {facts}.", "None is needed."
    if gap > noise:
        reason += " Training rows are fitted better than new ones, but validation does not suffer."
        remedy = "None in the network; more rows would bring validation closer to training."
    return FitQuality(quality="good", reason=reason, remedy=remedy)


def _rising(curves: Curves, valid: np.ndarray) -> bool:
    """Whether the validation loss has turned up again by the end."""
    loss = np.array(curves.validation_loss) if len(curves.validation_loss) else -valid
    if len(loss) < 4:
        return False
    tail = loss[-max(1, len(loss) // 10) :].mean()
    jitter = float(np.median(np.abs(np.diff(loss, 2)))) / np.sqrt(6) * 1.48
    rise, fall = tail - loss.min(), loss[0] - loss.min()
    return bool(rise > max(0.1 * fall, 3 * jitter))


def _still_learning(curves: Curves, valid: np.ndarray, noise: float) -> bool:
    step = np.array(curves.step, np.float64)
    if len(step) < 4:
        return False
    before = int(np.searchsorted(step, step[-1] - (step[-1] - step[0]) / 5))
    before = min(before, len(step) - 2)
    loss = np.array(curves.train_loss)
    gained = valid[-1] - valid[before]
    return bool(gained > max(noise, (valid[-1] - valid[0]) / 50) and loss[-1] < loss[before])
