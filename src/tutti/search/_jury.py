"""The evaluation at the end of a segment: every setting judged on all folds at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from tutti.core import permutation
from tutti.search._judge import Judge
from tutti.search._record import Point
from tutti.tasks import tempered
from tutti.training import AnyPopulation, Stream

TRAIN_ROWS = 256  # training rows of each fold on which the training score is measured
JUDGING_ROWS = 40_000  # validation rows, over all folds, on which settings are judged while training
TRAIN_PIXELS, JUDGING_PIXELS = 2**20, 2**25  # and where a row has as many targets as an image pixels
TRAIN_TOKENS, JUDGING_TOKENS = 2**13, 2**15  # each of which costs a network as much as a row elsewhere
_AT_ONCE = 2**21  # predicted numbers whose scores are computed at once
_SAMPLE_KEY = 0x5A11


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A setting's evaluation: its point, how many of its members have diverged, and what each row of each fold adds
    to the metric and to the criterion (None where that is no mean over rows, or the criterion is the metric)."""

    point: Point
    diverged: int
    row_scores: Float[np.ndarray, " judged"] | None
    row_losses: Float[np.ndarray, " judged"] | None


class Jury:
    """Judges all settings of a population on the validation rows of all streams.

    On very large tables on JUDGING_ROWS of the validation rows, drawn by a fixed key. judged_rows: those, each once,
    in ascending order.
    """

    def __init__(self, judge: Judge, streams: Sequence[Stream]) -> None:
        self.judge = judge
        train, judging = _rows_looked_at(judge)
        most, seen = max(1, judging // len(streams)), max(1, train)
        self._held = [_sample(s.validation, most) for s in streams]
        self._seen = [s.train[:: max(1, len(s.train) // seen)][:seen] for s in streams]
        self._judged = np.concatenate(self._held)
        found = np.unique(self._judged, return_inverse=True, return_counts=True)
        self.judged_rows, self._places, self._counts = found

    def verdicts(self, population: AnyPopulation, loss: Tensor) -> list[Verdict]:
        """Each setting's evaluation. loss: mean training losses of the segment, [setting, stream]."""
        held, seen = (self._predictions(population, rows) for rows in (self._held, self._seen))
        temperatures = self.judge.temperatures(self._judged, held)
        diverged, losses = population.diverged().cpu().numpy().sum(1), loss.cpu().numpy().mean(1)
        size = max(1, _AT_ONCE // max(1, held[0].size))
        found = []
        for first in range(0, len(held), size):
            part = slice(first, first + size)
            found += self._part(
                held[part], seen[part], temperatures[part], losses[part], diverged[part], population.step
            )
        return found

    def pooled(self, values: Float[np.ndarray, " judged"]) -> Float[np.ndarray, " rows"]:
        """One number per validated row: its mean over the streams that validate on it."""
        if len(self.judged_rows) == len(self._judged):
            alone = np.empty(len(values), np.float32)
            alone[self._places] = values
            return alone
        mean: np.ndarray = np.bincount(self._places, weights=values) / self._counts
        return mean.astype(np.float32)

    def _predictions(
        self, population: AnyPopulation, folds: Sequence[np.ndarray]
    ) -> Float[np.ndarray, "setting row ..."]:
        parts = [self.judge.predictions(population, stream, rows) for stream, rows in enumerate(folds)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _part(
        self,
        held: Float[np.ndarray, "setting row ..."],
        seen: Float[np.ndarray, "setting learned ..."],
        temperatures: Float[np.ndarray, " setting"],
        losses: Float[np.ndarray, " setting"],
        diverged: np.ndarray,
        step: int,
    ) -> list[Verdict]:
        """The verdicts on some of the settings."""
        judge = self.judge
        held = tempered(held, temperatures)
        if not judge.measure.steps:  # which class is the likeliest does not depend on the temperature
            seen = tempered(seen, temperatures)
        scores, row_scores = judge.scores(judge.metric, self._held, held)
        learned, _ = judge.scores(judge.metric, self._seen, seen)
        ties, row_losses = np.zeros_like(scores), None
        if judge.task.kind not in ("regression", "language"):
            ties, row_losses = judge.scores("log_loss", self._held, held)
        if judge.criterion == judge.metric:
            row_losses = None
        return [
            Verdict(
                point=Point(
                    step=step,
                    train_loss=float(losses[i]),
                    train_score=float(learned[i].mean()),
                    score=float("nan") if diverged[i] else float(scores[i].mean()),
                    tie=float(ties[i].mean()),
                    fold_scores=tuple(scores[i].tolist()),
                    temperature=float(temperatures[i]),
                ),
                diverged=int(diverged[i]),
                row_scores=None if row_scores is None else row_scores[i],
                row_losses=None if row_losses is None else row_losses[i],
            )
            for i in range(len(held))
        ]


def _rows_looked_at(judge: Judge) -> tuple[int, int]:
    """How many training rows of a fold, and how many validation rows of all, are looked at."""
    each = max(1, judge.target[:1].size)
    if judge.task.kind == "language":
        return min(TRAIN_ROWS, TRAIN_TOKENS // each), min(JUDGING_ROWS, JUDGING_TOKENS // each)
    if judge.target.ndim <= 2:
        return TRAIN_ROWS, JUDGING_ROWS
    return min(TRAIN_ROWS, TRAIN_PIXELS // each), min(JUDGING_ROWS, JUDGING_PIXELS // each)


def _sample(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of these rows, drawn by a fixed key, in ascending order."""
    return rows if len(rows) <= most else np.sort(rows[permutation(_SAMPLE_KEY, len(rows))[:most]])
