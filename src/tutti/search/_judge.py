"""The judge: scores of every setting on the folds' rows, from the network's outputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Num

from tutti.metrics import METRICS, Metric
from tutti.search._record import Point
from tutti.tasks import Affine, Task, answers, best_temperatures
from tutti.training import AnyPopulation


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Scores members by a task's metric, and says which of two scores is ahead.

    What is quoted is the metric. What decides is `criterion`: the metric itself, but the log-loss where the metric
    only counts right and wrong answers (accuracy, balanced accuracy, F1). On some hundreds of rows the step with the
    most right answers is often an early, undecided and lucky one; the log-loss is calmer, and a proper score. One
    class per row is judged at its best temperature: a network that is right but too sure of itself is no worse than
    its cure (Berta, Holzmüller, Jordan & Bach 2025, "Rethinking early stopping: refine, then calibrate").

    target: the encoded target of all rows, in its own units. affines: one per stream for a regression, empty
    otherwise. A network with replicas is judged on the mean of their predictions. weights: how much each row
    counts in a score, or None.
    """

    task: Task
    metric: str
    target: Num[np.ndarray, "rows ..."]
    affines: tuple[Affine, ...] = ()
    weights: Float[np.ndarray, " rows"] | None = None

    @property
    def measure(self) -> Metric:
        return METRICS[self.metric]

    @property
    def higher_is_better(self) -> bool:
        return self.measure.higher_is_better

    @property
    def criterion(self) -> str:
        """The name of the metric that decides between settings and steps."""
        return "log_loss" if self.measure.steps else self.metric

    def order(self, score: float, tie: float) -> tuple[float, float]:
        """Smaller is better: the criterion, then the metric (or the log-loss) between equals; NaN comes last."""
        if np.isnan(score):
            return (float("inf"), float("inf"))
        signed = -score if self.higher_is_better else score
        return (tie, signed) if self.measure.steps else (signed, tie)

    def of(self, point: Point) -> tuple[float, float]:
        """`order` of a point."""
        return self.order(point.score, point.tie)

    def ahead(self, point: Point, other: Point | None) -> bool:
        """Whether a point is strictly better than another, or than none."""
        if np.isnan(point.score):
            return False
        return other is None or self.of(point) < self.of(other)

    def predictions(
        self, population: AnyPopulation, stream: int, rows: np.ndarray
    ) -> Float[np.ndarray, "setting row ..."]:
        """Probabilities, or values in their own units, of every setting's member of one stream."""
        output = population.outputs(stream, rows)
        affine = self.affines[stream] if self.affines else None
        return answers(self.task, output, affine, population.program.replicas).cpu().numpy()

    def temperatures(
        self, rows: np.ndarray, predictions: Float[np.ndarray, "settings row ..."]
    ) -> Float[np.ndarray, " settings"]:
        """The temperature at which each setting's predictions have the least log-loss; 1 unless there is one class
        per row."""
        if self.task.kind not in ("binary", "multiclass"):
            return np.ones(len(predictions))
        return best_temperatures(self.target[rows], predictions, self._mass(rows))

    def scores(
        self, metric: str, folds: Sequence[np.ndarray], predictions: Float[np.ndarray, "setting row ..."]
    ) -> tuple[Float[np.ndarray, "setting fold"], Float[np.ndarray, "setting row"] | None]:
        """Every setting's value of a metric on each fold's rows, which stand one after another in `predictions`; and
        what each row adds to the metric, where that is a mean over rows."""
        measure, settings = METRICS[metric], len(predictions)
        rows = np.concatenate(folds)
        bounds = np.cumsum([0, *map(len, folds)])
        parts = [slice(a, b) for a, b in pairwise(bounds.tolist())]
        target, mass = self.target[rows], self._mass(rows)
        if not measure.rowwise:
            masses = [None if mass is None else mass[part] for part in parts]
            values = [
                [measure.function(target[part], own[part], m) for part, m in zip(parts, masses, strict=True)]
                for own in predictions
            ]
            return np.array(values).reshape(settings, len(folds)), None
        whole = np.tile(target, (settings, *(1,) * (target.ndim - 1)))
        flat = predictions.reshape(len(whole), *predictions.shape[2:])
        columns = np.stack(list(measure.columns(whole, flat, np.ones(len(whole))))).reshape(-1, settings, len(rows))
        weight = np.ones(len(rows)) if mass is None else mass.astype(np.float64)
        scores = np.full((settings, len(folds)), np.nan)
        for fold, part in enumerate(parts):
            total = weight[part].sum()
            if total > 0:
                scores[:, fold] = measure.finish((columns[:, :, part] @ weight[part] / total).T)
        return scores, columns.mean(0)

    def _mass(self, rows: np.ndarray) -> np.ndarray | None:
        return None if self.weights is None else self.weights[rows]
