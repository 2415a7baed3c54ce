"""A dense network from a window to its future."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._series import SeriesModel
from tutti.models._table import check_choice, check_layers


class Skip(torch_nn.Module):
    """deep(x) + straight(x)."""

    stacked: ClassVar[bool] = True

    def __init__(self, deep: torch_nn.Module, straight: torch_nn.Module) -> None:
        super().__init__()
        self.deep, self.straight = deep, straight

    def forward(self, x: Float[Tensor, "*batch time"]) -> Float[Tensor, "*batch horizon"]:
        output: Tensor = self.deep(x) + self.straight(x)
        return output


@dataclass(frozen=True, kw_only=True)
class SeriesMLP(SeriesModel):
    """Dense layers through `hidden` widths, beside one dense layer from the window to the future (TiDE's linear skip,
    Das et al. 2023). dropout: after each hidden layer; its rate is the setting's."""

    name: ClassVar[str] = "mlp"

    hidden: tuple[int, ...] = (128,)
    activation: str = "relu"
    dropout: bool = True
    skip: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layers(self.hidden)
        check_choice("activation", [self.activation], list(nn.ACTIVATIONS))

    def forecaster(self, shape: core.SeriesShape) -> torch_nn.Module:
        layers: list[torch_nn.Module] = []
        width = shape.window
        for units in self.hidden:
            layers += [nn.Linear(width, units), nn.activation(self.activation)]
            layers += [nn.Dropout()] if self.dropout else []
            width = units
        deep = torch_nn.Sequential(*layers, nn.Linear(width, shape.horizon))
        return Skip(deep, nn.Linear(shape.window, shape.horizon)) if self.skip else deep
