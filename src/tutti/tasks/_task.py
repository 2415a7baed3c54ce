"""What a task promises: from a target column to an output layer, a loss and a prediction."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, Num, Shaped
from torch import Tensor

from tutti.core import Config, InputError, unknown

TaskKind = Literal["regression", "binary", "multiclass", "multilabel", "segmentation", "language"]


@runtime_checkable
class Task(Protocol):
    """What is asked of a network: a frozen value, without any statistic of the data.

    Encoded targets: regression float32 [rows, out] in raw units; binary and multiclass int64 [rows], the number
    of the class; multilabel float32 [rows, out] of 0 and 1.
    Predictions: regression [.., out]; binary and multiclass class probabilities [.., classes] (binary two);
    multilabel probabilities [.., out].
    """

    @property
    def kind(self) -> TaskKind:
        """The registry's key."""

    @property
    def names(self) -> tuple[str, ...]:
        """The target columns."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of their numbers; the labels of a multilabel task; empty for a regression."""

    @property
    def outputs(self) -> int:
        """Width of the network's output."""

    @property
    def default_metric(self) -> str:
        """What members are chosen by: "rmse" or "accuracy"."""

    def encode(self, values: Any) -> Num[np.ndarray, "rows ..."]:
        """Raw target values ([rows] or [rows, columns]) encoded; raises InputError for what cannot be."""

    def loss(
        self,
        output: Float[Tensor, "*member batch out"],
        target: Int[Tensor, "*member batch"] | Float[Tensor, "*member batch out"],
        label_smoothing: Float[Tensor, "*member"] | None = None,
    ) -> Float[Tensor, "*member batch"]:
        """Loss of each sample. label_smoothing: one ε per member, in [0, 1); nothing to smooth in a regression."""

    def predict(self, output: Float[Tensor, "*member batch out"]) -> Float[Tensor, "*member batch value"]:
        """Predictions from outputs: probabilities, or values in the units of the outputs."""

    def labels(self, prediction: Float[np.ndarray, "rows value"]) -> Shaped[np.ndarray, "rows ..."]:
        """The answer of each row, in the terms of the raw target."""

    def trivial(self, target: Num[np.ndarray, "rows ..."]) -> Float[np.ndarray, " value"]:
        """The prediction that needs no features: the mean, or the class frequencies, of an encoded target."""

    def counts(self, target: Num[np.ndarray, "rows ..."]) -> dict[str, int]:
        """How many rows each class (or label) has; empty for a regression."""

    def to_json(self) -> dict[str, Any]:
        """{"kind": …, field: value, …}; `task_from_json` reads it."""


@dataclass(frozen=True, kw_only=True)
class Base(Config):
    """What all tasks share: the names of their target columns, and JSON."""

    names: tuple[str, ...]

    @property
    def kind(self) -> TaskKind:
        return cast(TaskKind, self.name)

    def to_json(self) -> dict[str, Any]:
        data = super().to_json()
        return {"kind": data.pop("name"), **data}


def check_loss(loss: str, losses: tuple[str, ...]) -> None:
    """Raises for a loss that the task does not have."""
    if loss not in losses:
        raise unknown("loss", loss, losses)


def check_weights(weights: tuple[float, ...] | None, count: int, what: str) -> None:
    """Raises unless the weights are None or `count` numbers of at least 0."""
    if weights is None:
        return
    if len(weights) != count or not all(weight >= 0 for weight in weights):
        raise InputError(f"{what} is {list(weights)}; expected {count} numbers of at least 0.")
