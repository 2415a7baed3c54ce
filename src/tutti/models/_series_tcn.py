"""A temporal convolutional network: dilated causal convolutions."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch import nn as torch_nn
from torch.nn import functional

from tutti import core, nn
from tutti.models._series import SeriesModel, check_sizes, fold_channels, unfold_channels


class CausalBlock(torch_nn.Module):
    """x + two dilated causal convolutions with ReLU, dropout: step t sees steps t − 2 (kernel − 1) dilation … t."""

    stacked: ClassVar[bool] = True

    def __init__(self, inputs: int, width: int, kernel: int, dilation: int, dropout: bool) -> None:
        super().__init__()
        self.before = (kernel - 1) * dilation
        self.first = nn.Convolution(inputs, width, kernel, axes=1, dilation=dilation)
        self.second = nn.Convolution(width, width, kernel, axes=1, dilation=dilation)
        self.shortcut = nn.Convolution(inputs, width, 1, axes=1) if inputs != width else torch_nn.Identity()
        self.drop = nn.ChannelDropout(axes=1) if dropout else torch_nn.Identity()

    def forward(self, x: Float[Tensor, "*batch inputs time"]) -> Float[Tensor, "*batch width time"]:
        y = self.drop(functional.relu(self.first(functional.pad(x, (self.before, 0)))))
        y = self.drop(functional.relu(self.second(functional.pad(y, (self.before, 0)))))
        output: Tensor = functional.relu(y + self.shortcut(x))
        return output


class Convolutions(torch_nn.Module):
    """Causal blocks whose dilation doubles, then a dense layer of the last step's channels."""

    stacked: ClassVar[bool] = True

    def __init__(self, shape: core.SeriesShape, config: "SeriesTCN") -> None:
        super().__init__()
        self.channels = shape.channels
        widths = [1] + [config.width] * config.depth(shape.window)
        self.blocks = torch_nn.Sequential(
            *(
                CausalBlock(widths[i], widths[i + 1], config.kernel, 2**i, config.dropout)
                for i in range(len(widths) - 1)
            )
        )
        self.leave = nn.Linear(config.width, shape.horizon)

    def forward(
        self, x: Float[Tensor, "*member batch channel time"]
    ) -> Float[Tensor, "*member batch channel horizon"]:
        states = self.blocks(fold_channels(x).unsqueeze(-2))
        future = self.leave(states[..., -1])
        return unfold_channels(future, self.channels)


@dataclass(frozen=True, kw_only=True)
class SeriesTCN(SeriesModel):
    """A temporal convolutional network (Bai, Kolter & Koltun 2018), without its weight normalisation.

    blocks: of two convolutions with `kernel` taps and `width` channels, the dilation doubling from 1; 0: as many as
    the last step needs to see the whole window. dropout: of whole channels; its rate is the setting's.
    """

    name: ClassVar[str] = "tcn"

    width: int = 32
    kernel: int = 5
    blocks: int = 0
    dropout: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(width=self.width, kernel=self.kernel - 1, blocks=self.blocks + 1)

    def depth(self, window: int) -> int:
        """How many blocks there are: 1 + 2 (kernel − 1)(2^blocks − 1) steps are seen."""
        blocks = 1
        while 1 + 2 * (self.kernel - 1) * (2**blocks - 1) < window:
            blocks += 1
        return self.blocks or blocks

    def forecaster(self, shape: core.SeriesShape) -> torch_nn.Module:
        return Convolutions(shape, self)
