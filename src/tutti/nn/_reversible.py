"""Reversible normalisation of windows: their level and spread are taken away, and given back to what follows."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutti import core

WINDOW_NORMS = ("none", "last", "mean", "standard")


class Level(NamedTuple):
    """What was taken from each window: y = (x − centre)/scale; [..., 1] each. None: nothing was."""

    centre: Float[Tensor, "*batch one"] | None
    scale: Float[Tensor, "*batch one"] | None


class ReversibleNorm(nn.Module):
    """Takes each window's own level from it, and gives it back to the forecast (Kim et al. 2022, "RevIN").

    x [*batch, time], time last. "last": minus the last value (NLinear, Zeng et al. 2023); "mean": minus the mean;
    "standard": also divided by √(variance + ε), variance over n, ε = 1e-5 (RevIN without its learned factors);
    "none". No gradient flows through the level, as it holds no parameters.

    Law: with "standard", restore(f(forward(a x + b))) = a restore(f(forward(x))) + b for a ≫ √ε; with the others that
    is so for a = 1.
    """

    stacked = True

    def __init__(self, kind: str = "standard", *, epsilon: float = 1e-5) -> None:
        super().__init__()
        if kind not in WINDOW_NORMS:
            raise core.unknown("normalisation of windows", kind, WINDOW_NORMS)
        self.kind, self.epsilon = kind, epsilon

    def forward(self, x: Float[Tensor, "*batch time"]) -> tuple[Float[Tensor, "*batch time"], Level]:
        if self.kind == "none":
            return x, Level(None, None)
        if self.kind == "last":
            centre = x[..., -1:]
            return x - centre, Level(centre, None)
        if self.kind == "mean":
            centre = x.mean(-1, keepdim=True)
            return x - centre, Level(centre, None)
        variance, centre = torch.var_mean(x, -1, correction=0, keepdim=True)
        scale = (variance + self.epsilon).sqrt()
        return (x - centre) / scale, Level(centre, scale)

    def restore(self, y: Float[Tensor, "*batch horizon"], level: Level) -> Float[Tensor, "*batch horizon"]:
        """y · scale + centre."""
        if level.centre is None:
            return y
        return y + level.centre if level.scale is None else torch.addcmul(level.centre, y, level.scale)

    def extra_repr(self) -> str:
        return self.kind
