"""Recurrent networks for signals: LSTM and GRU, deep and in both directions."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._signals import SignalModel, SignalNetwork, check_positive, patches

STEPS = 128  # at most, where `patch` is 0


class RecurrentTrunk(torch_nn.Module):
    """Patches through recurrent layers; a dense layer on the mean and the maximum over the outputs that are there."""

    stacked: ClassVar[bool] = True

    def __init__(self, layer: torch_nn.Module, width: int, patch: int, outputs: int, *, dropout: bool) -> None:
        super().__init__()
        self.patch = patch
        self.layer = layer
        self.mean, self.peak = nn.SetPool("mean"), nn.SetPool("max")
        self.drop = nn.Dropout() if dropout else None
        self.leave = nn.Linear(2 * width, outputs)

    def forward(
        self, x: Float[Tensor, "*member batch channel time"], lengths: Int[Tensor, "*member batch"] | None
    ) -> Float[Tensor, "*member batch out"]:
        steps, n = patches(x, lengths, self.patch)
        h, _ = self.layer(steps, n)
        present = None if n is None else nn.present_times(n, steps.shape[-2]).squeeze(-2)
        both = torch.cat((self.mean(h, present), self.peak(h, present)), -1)
        output: Tensor = self.leave(both if self.drop is None else self.drop(both))
        return output


@dataclass(frozen=True, kw_only=True)
class _Recurrent(SignalModel):
    """layers of `hidden` units each, in both directions or one. patch: times (with all their channels) that one step
    reads; 0: 1, 2, 4, …, so that there are at most STEPS steps. dropout: whether there is dropout between layers and
    before the last one."""

    hidden: int = 64
    layers: int = 2
    bidirectional: bool = True
    patch: int = 0
    dropout: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(hidden=self.hidden, layers=self.layers, patch=self.patch + 1)

    def build(self, shape: core.SignalShape, outputs: int) -> SignalNetwork:
        """The network for signals of `shape` and so many outputs; weights come from torch's generator."""
        channels, times = self.sizes(shape)
        patch = patch_size(self.patch, times, STEPS)
        kind = nn.LSTM if self.name == "lstm" else nn.GRU
        layer = kind(
            channels * patch,
            self.hidden,
            layers=self.layers,
            bidirectional=self.bidirectional,
            dropout=0.1 if self.dropout else 0.0,
        )
        width = self.hidden * (1 + self.bidirectional)
        return self.network(shape, RecurrentTrunk(layer, width, patch, outputs, dropout=self.dropout))


@dataclass(frozen=True, kw_only=True)
class SignalLSTM(_Recurrent):
    """LSTM layers (see nn.LSTM) over a signal, `hidden` units in each of `layers` and directions."""

    name: ClassVar[str] = "lstm"


@dataclass(frozen=True, kw_only=True)
class SignalGRU(_Recurrent):
    """GRU layers (see nn.GRU) over a signal, `hidden` units in each of `layers` and directions."""

    name: ClassVar[str] = "gru"


def patch_size(given: int, times: int, most: int) -> int:
    """The given size, or for 0 the least power of two that gives at most so many patches."""
    size = given or 1
    while not given and times > size * most:
        size *= 2
    return size
