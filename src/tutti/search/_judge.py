"""The judge: scores of every setting on a fold's rows, from the network's outputs."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

from tutti.metrics import METRICS, Metric
from tutti.tasks import Affine, Task, answers
from tutti.training import Population


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Scores members by a task's metric.

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

    def better(self, a: float, b: float) -> bool:
        """Whether score a is strictly better than b; NaN is worse than everything."""
        if np.isnan(a):
            return False
        return bool(np.isnan(b) or (a > b if self.higher_is_better else a < b))

    def predictions(
        self, population: Population, stream: int, rows: np.ndarray
    ) -> Float[np.ndarray, "setting row out"]:
        """Probabilities, or values in their own units, of every setting's member of one stream."""
        output = population.outputs(stream, rows)
        affine = self.affines[stream] if self.affines else None
        return answers(self.task, output, affine, population.program.replicas).cpu().numpy()

    def score(self, rows: np.ndarray, prediction: Float[np.ndarray, "row out"]) -> float:
        return self.measure.function(self.target[rows], prediction, self._mass(rows))

    def tie(self, rows: np.ndarray, prediction: Float[np.ndarray, "row out"]) -> float:
        """Smaller is better: log-loss for classes, where many settings share a score; 0 for values."""
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
