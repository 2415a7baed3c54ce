"""What a baseline is asked: the table, the target, the folds, and how a prediction is judged."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np
from jaxtyping import Float, Int, Num

from tutti.core import InputError, Splits
from tutti.metrics import Kind, Metric, metric_of
from tutti.tasks import token_shares


class Clock:
    """How much of an allowance of wall time is left."""

    def __init__(self, seconds: float) -> None:
        self.allowance = seconds
        self.start = perf_counter()

    def spent(self) -> float:
        return perf_counter() - self.start

    def left(self) -> float:
        return self.allowance - self.spent()


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A table with its target and splits, as arrays over all rows, in the formats of networks and tasks."""

    numbers: Float[np.ndarray, "rows number"]
    codes: Int[np.ndarray, "rows category"]
    target: Num[np.ndarray, "rows ..."]
    kind: Kind
    outputs: int
    splits: Splits
    metric: Metric
    weights: Num[np.ndarray, " rows"] | None
    seed: int

    def __post_init__(self) -> None:
        rows = self.splits.rows
        for what, values in (("numbers", self.numbers), ("codes", self.codes), ("target", self.target)):
            if len(values) != rows:
                raise InputError(f"The splits are of {rows} rows, the {what} of {len(values)}.")
        if not self.splits.folds:
            raise InputError("These splits have no folds.", fix="Declare at least one, for instance a hold-out.")

    def matrix(self, rows: np.ndarray) -> np.ndarray:
        """Numbers, then codes, of these rows as float64; what is not finite is missing (NaN)."""
        numbers = self.numbers[rows].astype(np.float64)
        numbers[~np.isfinite(numbers)] = np.nan
        return np.concatenate([numbers, self.codes[rows]], axis=1)

    def mass(self, rows: np.ndarray) -> np.ndarray | None:
        return None if self.weights is None else self.weights[rows].astype(np.float64)

    def judge(self, rows: np.ndarray, prediction: np.ndarray) -> tuple[float, float]:
        """(metric, minus the loss), both the higher the better: the loss breaks ties of accuracy."""
        loss = metric_of({"regression": "mse", "language": "nats"}.get(self.kind, "log_loss"))
        target, mass = self.target[rows], self.mass(rows)
        value = self.metric.function(target, prediction, mass)
        signed = value if self.metric.higher_is_better else -value
        return (signed if np.isfinite(signed) else -np.inf), -loss.function(target, prediction, mass)

    def cut(self, rows: np.ndarray, most: int | None) -> np.ndarray:
        """At most so many of these rows, drawn without replacement; smaller draws are part of larger ones."""
        if most is None or len(rows) <= most:
            return rows
        return np.sort(np.random.default_rng(self.seed).permutation(rows)[:most])

    def trivial(self, rows: np.ndarray) -> np.ndarray:
        """The prediction for any row (or pixel) from these targets alone: their weighted mean, or class
        frequencies."""
        target = self.target[rows]
        if self.kind in ("binary", "multiclass"):
            counts = np.bincount(target, self.mass(rows), max(2, self.outputs))
            return np.asarray(counts / counts.sum())
        if self.kind == "segmentation":
            mass = self.mass(rows)
            each = [np.bincount(mask.reshape(-1), minlength=256)[: max(2, self.outputs)] for mask in target]
            counts = np.average(each, axis=0, weights=mass)
            return np.asarray(counts / max(1.0, counts.sum()))
        return np.asarray(np.average(target.reshape(len(rows), -1), axis=0, weights=self.mass(rows)))

    def constant(self, rows: np.ndarray, judged: np.ndarray) -> np.ndarray:
        """`trivial` for the judged rows: [judged, value], of a segmentation [judged, classes, height, width]. Of a
        language the surprise at each of their tokens, by how often it occurs in the rows."""
        count = len(judged)
        if self.kind == "language":
            shares = token_shares(self.target[rows], int(self.target.max()) + 1)
            return np.asarray(-np.log(shares)[self.target[judged][:, 1:]], np.float32)
        value = self.trivial(rows)
        if self.kind != "segmentation":
            return np.tile(value, (count, 1))
        shape = (count, len(value), *self.target.shape[1:])
        return np.broadcast_to(value.astype(np.float32)[:, None, None], shape)
