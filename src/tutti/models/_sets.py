"""What all networks for sets share: the choice of items, the inputs, a judge of the set, and their options."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._model import Model
from tutti.models._table import check_choice, check_layers


class SetNetwork(torch_nn.Module):
    """items [*member, batch, item, feature] raw, counts [*member, batch] -> [*member, batch, out].

    `subset` chooses items, `enter` scales them, `encode` makes one vector of a set, `judge` the output of it and of
    the set's size. The order of the items does not matter and padding changes nothing.
    """

    stacked: ClassVar[bool] = True

    def __init__(
        self, subset: nn.ItemSubset, enter: nn.SetInput, encode: torch_nn.Module, judge: torch_nn.Module
    ) -> None:
        super().__init__()
        self.subset = subset
        self.enter = enter
        self.encode = encode
        self.judge = judge

    def entered(self, items: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The chosen items' features, which of their places are filled, and the standardised size of each set."""
        chosen, present = self.subset(items, counts)
        features, size = self.enter(chosen, counts)
        return features, present, size

    def forward(
        self, items: Num[Tensor, "*member batch item feature"], counts: Int[Tensor, "*member batch"]
    ) -> Float[Tensor, "*member batch out"]:
        features, present, size = self.entered(items, counts)
        output: Tensor = self.judge(torch.cat((self.encode(features, present), size), -1))
        return output


class ItemLayers(torch_nn.Module):
    """Dense layers with ReLU, the same for each item.

    equivariant: before each layer but the first the set's maximum is taken off, x ← x − max(x): items then know of
    each other (Zaheer et al. 2017, eq. 4 with the maximum, which their point clouds use).
    """

    stacked: ClassVar[bool] = True

    def __init__(self, inputs: int, widths: Sequence[int], *, equivariant: bool = False) -> None:
        super().__init__()
        self.layers = torch_nn.ModuleList(nn.Linear(a, b) for a, b in zip((inputs, *widths), widths, strict=False))
        self.peak = nn.SetPool("max") if equivariant else None

    def forward(
        self, x: Float[Tensor, "*member batch item feature"], present: Bool[Tensor, "*member batch item"]
    ) -> Float[Tensor, "*member batch item width"]:
        for number, layer in enumerate(self.layers):
            if number and self.peak is not None:
                x = x - self.peak(x, present).unsqueeze(-2)
            x = torch.relu(layer(x))
        return x


@dataclass(frozen=True, kw_only=True)
class SetModel(Model):
    """Base of the Configs for sets.

    scaling: how features are scaled, one of nn.SCALINGS. trained, judged: how many items of larger sets a network
    sees at a training step, and when it is judged or used (0: all; see nn.ItemSubset). head: units of the hidden
    layers that judge the set's vector. dropout: whether there is dropout after each of them (its rate is the
    setting's).
    """

    kind: ClassVar[str] = "sets"

    scaling: str = "standard"
    trained: int = core.SetShape.TRAINED
    judged: int = core.SetShape.JUDGED
    head: tuple[int, ...] = (128,)
    dropout: bool = False

    def __post_init__(self) -> None:
        check_choice("scaling", [self.scaling], list(nn.SCALINGS))
        check_layers(self.head)

    def _network(self, shape: core.SetShape, encode: torch_nn.Module, width: int, outputs: int) -> SetNetwork:
        """The network around `encode`, which gives vectors of this width."""
        layers: list[torch_nn.Module] = []
        width += 1
        for units in self.head:
            layers += [nn.Linear(width, units), torch_nn.ReLU()]
            if self.dropout:
                layers.append(nn.Dropout())
            width = units
        judge = torch_nn.Sequential(*layers, nn.Linear(width, outputs))
        enter = nn.SetInput(shape.features, self.scaling)
        return SetNetwork(nn.ItemSubset(self.trained, self.judged), enter, encode, judge)
