"""From a network's outputs to predictions in the units of the target."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tutti.tasks._regression import restore, standardise, target_statistics
from tutti.tasks._task import Task


@dataclass(frozen=True, kw_only=True)
class Affine:
    """The units of a regression's target, fitted on a member's own training rows: value = centre + scale·output."""

    centre: Float[Tensor, " out"]
    scale: Float[Tensor, " out"]

    @classmethod
    def fit(cls, target: Float[np.ndarray, "rows out"]) -> "Affine":
        """Mean and standard deviation of these rows."""
        centre, scale = target_statistics(target)
        return cls(centre=torch.tensor(centre, dtype=torch.float32), scale=torch.tensor(scale, dtype=torch.float32))

    def standardise(self, target: Float[Tensor, "rows out"]) -> Float[Tensor, "rows out"]:
        """(target − centre)/scale."""
        return standardise(target, self.centre.to(target.device), self.scale.to(target.device))

    def restore(self, output: Float[Tensor, "*rows out"]) -> Float[Tensor, "*rows out"]:
        """centre + scale·output."""
        return restore(output, self.centre.to(output.device), self.scale.to(output.device))


def answers(task: Task, output: Tensor, affine: Affine | None = None, replicas: int = 1) -> Tensor:
    """Predictions [..., batch, value] from outputs [..., batch, (replica,) out].

    Replicas answer each for itself, and their predictions (probabilities, not logits) are averaged.
    """
    prediction = task.predict(output)
    if replicas > 1:
        prediction = prediction.mean(-2)
    return prediction if affine is None else affine.restore(prediction)
