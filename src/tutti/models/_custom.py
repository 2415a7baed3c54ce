"""A network of the user's own behind the same front as ours."""

from collections.abc import Callable

from jaxtyping import Float, Int
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._table import TableNetwork, build_inputs


class OnFeatures(torch_nn.Module):
    """A body that shows a module the features only; there are no embedded codes."""

    def __init__(self, module: torch_nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(
        self, features: Float[Tensor, "*member batch feature"], codes: Int[Tensor, "*member batch kept"]
    ) -> Float[Tensor, "*out"]:
        output: Tensor = self.module(features)
        return output


def custom_network(
    shape: core.TableShape, make: Callable[[int], torch_nn.Module], *, scaling: str = "quantile"
) -> TableNetwork:
    """The network around `make(features)`, a module of the user's that takes [batch, features].

    Before it stands a front without parameters: numbers scaled, missing ones indicated, every category one-hot.
    """
    inputs = build_inputs(shape, nn.scaling(scaling, shape.numbers), shape.numbers)
    return TableNetwork(inputs.front, OnFeatures(make(inputs.width)))
