"""The graph convolutional network of Kipf & Welling (2017)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._graph import GraphModel, NodeGraph, NodeNetwork, drop
from tutti.models._table import check_choice, check_layers


class GCNLayers(torch_nn.Module):
    """Graph convolutions with an activation after each but the last, dropout before each, L2 on the first."""

    stacked: ClassVar[bool] = True

    def __init__(self, widths: tuple[int, ...], activation: str, dropout: bool, first_l2: float) -> None:
        super().__init__()
        self.first = nn.GCN(widths[0], widths[1])
        self.others = torch_nn.ModuleList(nn.GCN(a, b) for a, b in pairwise(widths[1:]))
        self.activation = nn.activation(activation)
        self.drop = nn.Dropout() if dropout else None
        self.first_l2 = first_l2

    def forward(self, x: Tensor | nn.SparseFeatures, edges: nn.Edges) -> Float[Tensor, "*member node out"]:
        if self.training and self.first_l2:
            squares = self.first.weight.square().sum((-2, -1)) + self.first.bias.square().sum(-1)
            core.add_penalty(0.5 * self.first_l2 * squares)
        h: Tensor = self.first(drop(self.drop, x), edges)
        for convolution in self.others:
            h = convolution(drop(self.drop, self.activation(h)), edges)
        return h


@dataclass(frozen=True, kw_only=True)
class GCN(GraphModel):
    """Graph convolutions through `hidden` widths; the paper's network for citations is the default.

    dropout: whether there is dropout on the features and on every hidden layer (its rate is the setting's: 0.5 in
    the paper). first_l2: λ of a penalty ½λ‖·‖² on the first layer's weight and bias alone, as torch's weight_decay on
    that layer gives it (the paper's 5e-4); the setting's weight decay acts on all layers.
    """

    name: ClassVar[str] = "gcn"

    hidden: tuple[int, ...] = (16,)
    activation: str = "relu"
    dropout: bool = True
    first_l2: float = 5e-4

    def __post_init__(self) -> None:
        check_layers(self.hidden)
        check_choice("activation", [self.activation], list(nn.ACTIVATIONS))
        if self.first_l2 < 0:
            raise core.InputError(f"first_l2 is {self.first_l2}; expected a number of at least 0.")

    def build(self, graph: NodeGraph, outputs: int) -> NodeNetwork:
        """The network for this graph and so many outputs."""
        widths = (graph.inputs, *self.hidden, outputs)
        return NodeNetwork(graph, GCNLayers(widths, self.activation, self.dropout, self.first_l2))
