"""A linear model of signals: every channel at every time has a weight of its own."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._signals import SignalModel, SignalNetwork


class LinearTrunk(torch_nn.Module):
    """One dense layer on all channels and times; times behind `times` are not looked at, missing ones are 0."""

    stacked: ClassVar[bool] = True

    def __init__(self, channels: int, times: int, outputs: int) -> None:
        super().__init__()
        self.times = times
        self.leave = nn.Linear(channels * times, outputs)

    def forward(
        self, x: Float[Tensor, "*member batch channel time"], lengths: Int[Tensor, "*member batch"] | None
    ) -> Float[Tensor, "*member batch out"]:
        x = torch_nn.functional.pad(x, (0, self.times - x.shape[-1]))  # a negative amount cuts
        output: Tensor = self.leave(x.flatten(-2))
        return output


@dataclass(frozen=True, kw_only=True)
class SignalLinear(SignalModel):
    """Logistic or linear regression on the standardised samples (of sound: on its spectrogram).

    It depends on where in the signal something happens. A trend and a remainder with weights of their own (DLinear,
    Zeng et al. 2023) would be the same set of functions: both are linear in the samples.
    """

    name: ClassVar[str] = "linear"

    def build(self, shape: core.SignalShape, outputs: int) -> SignalNetwork:
        """The network for signals of `shape` and so many outputs; weights come from torch's generator."""
        channels, times = self.sizes(shape)
        return self.network(shape, LinearTrunk(channels, times, outputs))
