"""Recurrent forecasters: LSTM and GRU over stretches of the window."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._series import Patches, SeriesModel, check_sizes, fold_channels, unfold_channels

MOST_STEPS = 24  # that a network walks where the stretch is left to it


class Recurrent(torch_nn.Module):
    """Stretch -> dense with ReLU -> recurrent layers -> dense layer of the last state, each channel by itself."""

    stacked: ClassVar[bool] = True

    def __init__(self, shape: core.SeriesShape, config: "RecurrentConfig") -> None:
        super().__init__()
        stretch = config.stretch or -(-shape.window // MOST_STEPS)
        self.channels = shape.channels
        self.patches = Patches(shape.window, stretch, stretch)
        self.enter = nn.Linear(self.patches.length, config.width)
        self.activation = nn.activation("relu")
        self.walk = config.cell(config.width, config.width, layers=config.layers)
        self.drop = nn.Dropout() if config.dropout else torch_nn.Identity()
        self.leave = nn.Linear(config.width, shape.horizon)

    def forward(
        self, x: Float[Tensor, "*member batch channel time"]
    ) -> Float[Tensor, "*member batch channel horizon"]:
        steps = self.activation(self.enter(self.patches(fold_channels(x))))
        states, _ = self.walk(steps)
        future = self.leave(self.drop(states[..., -1, :]))
        return unfold_channels(future, self.channels)


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig(SeriesModel):
    """`layers` recurrent layers of `width` units that walk over stretches of `stretch` steps (0: so many that the
    walk takes at most MOST_STEPS). Stretches instead of single steps: SegRNN (Lin et al. 2023). dropout: before the
    last layer; its rate is the setting's."""

    cell: ClassVar[type[nn.LSTM] | type[nn.GRU]]

    width: int = 128
    layers: int = 1
    stretch: int = 0
    dropout: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(width=self.width, layers=self.layers, stretch=self.stretch + 1)

    def forecaster(self, shape: core.SeriesShape) -> torch_nn.Module:
        return Recurrent(shape, self)


@dataclass(frozen=True, kw_only=True)
class SeriesLSTM(RecurrentConfig):
    """An LSTM over stretches of the window."""

    name: ClassVar[str] = "lstm"
    cell: ClassVar[type[nn.LSTM] | type[nn.GRU]] = nn.LSTM


@dataclass(frozen=True, kw_only=True)
class SeriesGRU(RecurrentConfig):
    """A GRU over stretches of the window."""

    name: ClassVar[str] = "gru"
    cell: ClassVar[type[nn.LSTM] | type[nn.GRU]] = nn.GRU
