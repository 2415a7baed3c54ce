"""The residual multilayer perceptron."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._table import TableModel, TableNetwork, check_choice, check_layers


class ResidualBlock(torch_nn.Module):
    """x + W₂ drop(f(W₁ norm(x) + b₁)) + b₂, with layer normalisation: the signal x passes untouched."""

    stacked: ClassVar[bool] = True

    def __init__(self, width: int, hidden: int, *, activation: str, init: str, dropout: bool) -> None:
        super().__init__()
        layers = [nn.LayerNorm(width), nn.Linear(width, hidden, init=init), nn.activation(activation)]
        if dropout:
            layers.append(nn.Dropout())
        self.change = torch_nn.Sequential(*layers, nn.Linear(hidden, width, init=init))

    def forward(self, x: Float[Tensor, "*member batch feature"]) -> Float[Tensor, "*member batch feature"]:
        y: Tensor = x + self.change(x)
        return y


@dataclass(frozen=True, kw_only=True)
class ResMLP(TableModel):
    """A dense layer to `width`, `blocks` pre-norm residual blocks with `hidden` units each, norm, f, a dense layer.

    After the ResNet for tables of Gorishniy et al. 2021, section 3.2, with layer instead of batch normalisation
    (batch statistics would tie the rows of a batch) and dropout only inside the blocks.
    """

    name: ClassVar[str] = "resmlp"

    width: int = 128
    blocks: int = 2
    hidden: int = 256
    activation: str = "relu"
    init: str = "torch"
    dropout: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layers([self.width, self.hidden])
        check_choice("activation", [self.activation], list(nn.ACTIVATIONS))
        check_choice("initialiser", [self.init], list(nn.INITIALISERS))

    def build(self, shape: core.TableShape, outputs: int) -> TableNetwork:
        """The network for a table of `shape` and so many outputs."""
        inputs = self._inputs(shape)
        blocks = [
            ResidualBlock(self.width, self.hidden, activation=self.activation, init=self.init, dropout=self.dropout)
            for _ in range(self.blocks)
        ]
        trunk = torch_nn.Sequential(
            nn.Linear(inputs.width, self.width, init=self.init),
            *blocks,
            nn.LayerNorm(self.width),
            nn.activation(self.activation),
            nn.Linear(self.width, outputs, init=self.init),
        )
        return inputs.network(trunk)
