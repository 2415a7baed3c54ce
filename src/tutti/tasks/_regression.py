"""Regression: one or several numbers per row; the network works in standardised units."""

from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import Float
from torch import Tensor

from tutti.core import InputError
from tutti.tasks._losses import VALUE_LOSSES, value_loss
from tutti.tasks._task import Base, check_loss
from tutti.tasks._values import targets

Array = TypeVar("Array", np.ndarray, Tensor)


@dataclass(frozen=True, kw_only=True)
class Regression(Base):
    """Numbers from a linear output layer, one output per target column.

    The network's outputs are in standardised units: (value − centre)/scale with the statistics of the member's own
    training rows (`target_statistics`). The task holds none of them: `loss` compares output and
    target in whatever units both have, `predict` changes nothing; `restore` brings outputs to raw units.

    loss: "squared" (mean over outputs of e², no ½), "absolute", or "huber" (δ = 1 standard deviation).
    """

    name: ClassVar[str] = "regression"
    default_metric: ClassVar[str] = "rmse"
    classes: ClassVar[tuple[str, ...]] = ()
    loss_name: str = "squared"

    def __post_init__(self) -> None:
        check_loss(self.loss_name, VALUE_LOSSES)
        if not self.names:
            raise InputError("A regression needs at least one target column.")

    @property
    def outputs(self) -> int:
        return len(self.names)

    def encode(self, values: Any) -> Float[np.ndarray, "rows out"]:
        columns = [column.numbers() for column in targets(values, self.names)]
        return np.stack(columns, axis=1).astype(np.float32)

    def loss(
        self,
        output: Float[Tensor, "*member batch out"],
        target: Float[Tensor, "*member batch out"],
        label_smoothing: Float[Tensor, "*member"] | None = None,
    ) -> Float[Tensor, "*member batch"]:
        return value_loss(output, target, self.loss_name)

    def predict(self, output: Float[Tensor, "*member batch out"]) -> Float[Tensor, "*member batch out"]:
        return output

    def labels(self, prediction: Float[np.ndarray, "rows out"]) -> Float[np.ndarray, "rows ..."]:
        """The values themselves: [rows] for one target column, else [rows, out]."""
        return prediction[:, 0] if self.outputs == 1 else prediction

    def trivial(self, target: Float[np.ndarray, "rows out"]) -> Float[np.ndarray, " out"]:
        """The means."""
        return np.asarray(target.mean(axis=0, dtype=np.float64))

    def counts(self, target: Float[np.ndarray, "rows out"]) -> dict[str, int]:
        return {}


def target_statistics(
    target: Float[np.ndarray, "rows out"],
) -> tuple[Float[np.ndarray, " out"], Float[np.ndarray, " out"]]:
    """Mean and standard deviation (divided by n) of each output over these rows, float64; scale 1 if constant."""
    centre = target.mean(axis=0, dtype=np.float64)
    scale = target.std(axis=0, dtype=np.float64)
    # In float64 the standard deviation of a constant may be a rounding error instead of 0.
    return centre, np.where(target.min(axis=0) == target.max(axis=0), 1.0, scale)


def standardise(values: Array, centre: Array, scale: Array) -> Array:
    """(values − centre)/scale, broadcast along the last axis; arrays or tensors."""
    result: Array = (values - centre) / scale
    return result


def restore(values: Array, centre: Array, scale: Array) -> Array:
    """centre + scale·values: the inverse of `standardise`."""
    result: Array = values * scale + centre
    return result
