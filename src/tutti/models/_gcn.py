"""The graph convolutional network of Kipf & Welling (2017), for the nodes of one graph."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from tutti import core, nn
from tutti.models._nodes import ConvolutionLayers, Features, NodeModel, NodeNetwork
from tutti.models._table import check_choice, check_layers


class GCNLayers(ConvolutionLayers):
    """Graph convolutions, with L2 on the first."""

    def __init__(
        self, widths: tuple[int, ...], activation: str, *, dropout: bool, edge_dropout: bool, first_l2: float
    ) -> None:
        layers = [nn.GCN(a, b) for a, b in pairwise(widths)]
        super().__init__(list(layers), activation, dropout=dropout, edge_dropout=edge_dropout)
        self.first_l2 = first_l2

    def forward(self, x: Features, edges: nn.Edges) -> Float[Tensor, "*member node out"]:
        if self.training and self.first_l2:
            first = self.convolutions[0]
            squares = first.weight.square().sum((-2, -1)) + first.bias.square().sum(-1)  # type: ignore[operator]
            core.add_penalty(0.5 * self.first_l2 * squares)
        return super().forward(x, edges)


@dataclass(frozen=True, kw_only=True)
class GCN(NodeModel):
    """Graph convolutions through `hidden` widths; the paper's network for citations is the default.

    dropout: whether there is dropout on the features and on every hidden layer (its rate is the setting's: 0.5 in
    the paper). edge_dropout: whether edges are lost in training too, at the same rate. first_l2: λ of a penalty
    ½λ‖·‖² on the first layer's weight and bias alone, as torch's weight_decay on that layer gives it (the paper's
    5e-4); the setting's weight decay acts on all layers.
    """

    name: ClassVar[str] = "gcn"

    hidden: tuple[int, ...] = (16,)
    activation: str = "relu"
    dropout: bool = True
    edge_dropout: bool = False
    first_l2: float = 5e-4

    def __post_init__(self) -> None:
        check_layers(self.hidden)
        check_choice("activation", [self.activation], list(nn.ACTIVATIONS))
        if self.first_l2 < 0:
            raise core.InputError(f"first_l2 is {self.first_l2}; expected a number of at least 0.")

    def build(self, shape: core.NodeShape, outputs: int) -> NodeNetwork:
        """The network for nodes of this shape and so many outputs."""
        widths = (shape.features, *self.hidden, outputs)
        layers = GCNLayers(
            widths, self.activation, dropout=self.dropout, edge_dropout=self.edge_dropout, first_l2=self.first_l2
        )
        return NodeNetwork(layers, shape.features)
