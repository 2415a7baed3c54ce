"""Ridge regression on very many features, for values or for classes with probabilities."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tutti.evaluation._problem import Problem

SHARPNESS = np.geomspace(0.25, 64, 33)


@dataclass(frozen=True, eq=False)
class Ridge:
    """argmin Σ_i m_i |y_i − w·z_i − c|² + α |w|² for every α from one decomposition of the training rows.

    z: features standardised on them (columns that do not vary drop out), m: their weights; y: values, or ±1 for each
    class. With Z = √m (z − mean) the dual matrix ZZᵀ [row, row] is decomposed, which suits more features than rows;
    with fewer it has zero eigenvalues and gives the same. Classes: softmax(s · scores), s of SHARPNESS with the least
    log-loss of the leave-one-out scores ŷ_i − y_i → (ŷ_i − y_i) / (1 − H_ii) (Hastie et al. 2009, eq. 7.64).
    """

    centre: Float[np.ndarray, " feature"]
    scale: Float[np.ndarray, " feature"]
    rows: Float[np.ndarray, "row feature"]
    values: Float[np.ndarray, " row"]
    vectors: Float[np.ndarray, "row row"]
    target: Float[np.ndarray, "row output"]
    mean: Float[np.ndarray, " output"]
    root: Float[np.ndarray, " row"]
    classes: Float[np.ndarray, "row class"] | None
    labels: bool

    @classmethod
    def prepare(cls, features: Float[np.ndarray, "row feature"], problem: Problem, rows: np.ndarray) -> "Ridge":
        """The decomposition for these training rows' features."""
        y, classes = _targets(problem, rows)
        mass = problem.mass(rows)
        mass = np.ones(len(rows)) if mass is None else mass / mass.mean()
        z = features.astype(np.float32)
        centre = np.average(z, axis=0, weights=mass)
        sd = np.sqrt(np.average((z - centre) ** 2, axis=0, weights=mass))
        scale = np.where(sd > 1e-7, 1 / np.maximum(sd, 1e-7), 0.0)
        root = np.sqrt(mass)
        z = ((z - centre) * scale * root[:, None]).astype(np.float32)
        mean = np.average(y, axis=0, weights=mass)
        values, vectors = np.linalg.eigh((z @ z.T).astype(np.float64))
        return cls(
            centre, scale, z, np.maximum(values, 0), vectors, y, mean, root, classes, problem.kind == "multilabel"
        )

    def solve(self, alpha: float) -> Callable[[Float[np.ndarray, "some feature"]], np.ndarray]:
        """A function from features to predictions in the task's format."""
        y = (self.target - self.mean) * self.root[:, None]
        projected = self.vectors.T @ y
        dual = self.vectors @ (projected / (self.values + alpha)[:, None])
        weights = self.rows.T @ dual.astype(np.float32)
        scores = self._scores
        if self.classes is None:
            return lambda x: scores(x, weights)
        hat = ((self.vectors**2) * (self.values / (self.values + alpha))).sum(1) + self.root**2 / (self.root**2).sum()
        fitted = (self.vectors @ (projected * (self.values / (self.values + alpha))[:, None])) / self.root[:, None]
        left_out = self.target + (fitted + self.mean - self.target) / np.maximum(1 - hat, 1e-3)[:, None]
        losses = [_log_loss(left_out * s, self.classes, self.labels) for s in SHARPNESS]
        sharp = float(SHARPNESS[int(np.argmin(losses))])
        return lambda x: _probabilities(sharp * scores(x, weights), self.labels)

    def _scores(self, x: Float[np.ndarray, "some feature"], weights: np.ndarray) -> np.ndarray:
        z = ((x - self.centre) * self.scale).astype(np.float32)
        return np.asarray(z @ weights + self.mean, np.float64)


def _targets(problem: Problem, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Values to regress on [row, output], and for classes what is true as 0 and 1."""
    target = problem.target[rows]
    if problem.kind == "regression":
        return np.asarray(target.reshape(len(rows), -1), np.float64), None
    true = np.asarray(target, np.float64)
    if problem.kind != "multilabel":
        true = np.eye(max(2, problem.outputs))[target]
    return 2 * true - 1, true


def _probabilities(scores: np.ndarray, labels: bool) -> np.ndarray:
    if labels:
        return np.asarray(1 / (1 + np.exp(-2 * np.clip(scores, -300, 300))))
    shifted = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(shifted / shifted.sum(1, keepdims=True))


def _log_loss(scores: np.ndarray, true: np.ndarray, labels: bool) -> float:
    p = np.clip(_probabilities(scores, labels), 1e-12, 1 - 1e-12)
    loss = true * np.log(p) + ((1 - true) * np.log(1 - p) if labels else 0)
    return float(-loss.sum(1).mean())
