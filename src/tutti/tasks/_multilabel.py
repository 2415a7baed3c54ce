"""Any number of labels per row, each present or absent."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from tutti.core import InputError
from tutti.tasks._losses import CLASS_LOSSES, binary_loss, constant
from tutti.tasks._task import Base, check_loss, check_weights
from tutti.tasks._values import targets, word


@dataclass(frozen=True, kw_only=True)
class MultiLabel(Base):
    """K independent yes-or-no labels from K outputs, each the log-odds of its label: p = 1/(1 + e⁻ˣ).

    The loss and the scores of a row are means over its labels. absent_weights, present_weights: factors of the
    loss of each label where it is 0 and where it is 1; both or neither. loss_name as in binary tasks.
    """

    name: ClassVar[str] = "multilabel"
    default_metric: ClassVar[str] = "accuracy"
    absent_weights: tuple[float, ...] | None = None
    present_weights: tuple[float, ...] | None = None
    loss_name: str = "cross_entropy"

    def __post_init__(self) -> None:
        check_loss(self.loss_name, CLASS_LOSSES)
        check_weights(self.absent_weights, len(self.names), "absent_weights")
        check_weights(self.present_weights, len(self.names), "present_weights")
        if (self.absent_weights is None) != (self.present_weights is None):
            raise InputError("Only one of absent_weights and present_weights is given.", fix="Give both.")
        if not self.names:
            raise InputError("A multilabel task needs at least one target column.")

    @property
    def classes(self) -> tuple[str, ...]:
        return self.names

    @property
    def outputs(self) -> int:
        return len(self.names)

    def encode(self, values: Any) -> Float[np.ndarray, "rows out"]:
        columns = targets(values, self.names)
        for column in columns:
            if not column.zero_one:
                values = column.values.tolist()
                example = next((v for v in values if word(v).lower() not in ("0", "1", "false", "true")), values[0])
                raise InputError(
                    f"Label {column.name!r} holds {example!r}; a multilabel task needs 0 and 1, or booleans."
                )
        return np.stack([column.zeros_and_ones() for column in columns], axis=1).astype(np.float32)

    def balanced(self, target: Float[np.ndarray, "rows out"]) -> "MultiLabel":
        """This task with, for each label, the weights n/2n₀ and n/2n₁ of these (training) rows; 0 where there are
        none."""
        rows, present = len(target), target.sum(axis=0, dtype=np.float64)
        weights = [tuple(float(rows / (2 * n)) if n else 0.0 for n in counts) for counts in (rows - present, present)]
        return replace(self, absent_weights=weights[0], present_weights=weights[1])

    def loss(
        self,
        output: Float[Tensor, "*member batch out"],
        target: Float[Tensor, "*member batch out"],
        label_smoothing: Float[Tensor, "*member"] | None = None,
    ) -> Float[Tensor, "*member batch"]:
        weights = None
        if self.absent_weights is not None and self.present_weights is not None:
            absent = constant(self.absent_weights, output.dtype, output.device)
            weights = absent, constant(self.present_weights, output.dtype, output.device)
        smoothing = None if label_smoothing is None else label_smoothing[..., None, None]
        return binary_loss(output, target, self.loss_name, weights, smoothing).mean(-1)

    def predict(self, output: Float[Tensor, "*member batch out"]) -> Float[Tensor, "*member batch out"]:
        return output.sigmoid()

    def labels(self, prediction: Float[np.ndarray, "rows out"]) -> Int[np.ndarray, "rows out"]:
        """1 where the probability is above one half, else 0."""
        return np.asarray(prediction > 0.5, dtype=np.int64)

    def trivial(self, target: Float[np.ndarray, "rows out"]) -> Float[np.ndarray, " out"]:
        """How often each label is present."""
        return np.asarray(target.mean(axis=0, dtype=np.float64))

    def counts(self, target: Float[np.ndarray, "rows out"]) -> dict[str, int]:
        """Rows in which each label is present."""
        return {name: int(count) for name, count in zip(self.names, target.sum(axis=0), strict=True)}
