"""The judge: scores of every setting on a fold's rows, from the network's outputs."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

from tutti.metrics import METRICS, Metric
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

    def predictions(
        self, population: AnyPopulation, stream: int, rows: np.ndarray
    ) -> Float[np.ndarray, "setting row out"]:
        """Probabilities, or values in their own units, of every setting's member of one stream."""
        output = population.outputs(stream, rows)
        affine = self.affines[stream] if self.affines else None
        return answers(self.task, output, affine, population.program.replicas).cpu().numpy()

    def temperatures(
        self, rows: np.ndarray, predictions: Float[np.ndarray, "settings row out"]
    ) -> Float[np.ndarray, " settings"]:
        """The temperature at which each setting's predictions have the least log-loss; 1 unless there is one class
        per row."""
        if self.task.kind not in ("binary", "multiclass"):
            return np.ones(len(predictions))
        return best_temperatures(self.target[rows], predictions, self._mass(rows))

    def score(self, rows: np.ndarray, prediction: Float[np.ndarray, "row out"]) -> float:
        return self.measure.function(self.target[rows], prediction, self._mass(rows))

    def tie(self, rows: np.ndarray, prediction: Float[np.ndarray, "row out"]) -> float:
        """Smaller is better: the log-loss for classes; 0 for values."""
        if self.task.kind == "regression":
            return 0.0
        return METRICS["log_loss"].function(self.target[rows], prediction, self._mass(rows))

    def _mass(self, rows: np.ndarray) -> np.ndarray | None:
        return None if self.weights is None else self.weights[rows]

    def row_scores(
        self, rows: np.ndarray, prediction: Float[np.ndarray, "row out"]
    ) -> Float[np.ndarray, " row"] | None:
        """Each row's contribution to the metric, or None where the metric is no mean over rows."""
        return self.measure.per_row(self.target[rows], prediction)

    def row_losses(
        self, rows: np.ndarray, prediction: Float[np.ndarray, "row out"]
    ) -> Float[np.ndarray, " row"] | None:
        """Each row's contribution to the criterion, or None where that is the metric itself."""
        if self.criterion == self.metric:
            return None
        return METRICS[self.criterion].per_row(self.target[rows], prediction)
