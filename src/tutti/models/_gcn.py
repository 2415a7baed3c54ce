"""The graph convolutional network of Kipf & Welling (2017), for the nodes and the edges of one graph."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from tutti import core, nn
from tutti.models._edges import EdgeModel
from tutti.models._nodes import ConvolutionLayers, Encoder, Features, NodeModel
from tutti.models._table import check_choice, check_layers


class GCNLayers(ConvolutionLayers):
    """Graph convolutions, with L2 on the first."""

    def __init__(
        self, widths: tuple[int, ...], activation: str, *, dropout: bool, edge_dropout: bool, first_l2: float
    ) -> None:
        layers = [nn.GCN(a, b) for a, b in pairwise(widths)]
        super().__init__(list(layers), activation, dropout=dropout, edge_dropout=edge_dropout)
        self.first_l2 = first_l2

    def forward(
        self,
        x: Features,
        edges: nn.Edges,
        along: Float[Tensor, "edge given"] | None = None,
        weight: Float[Tensor, "*some edge"] | None = None,
    ) -> Float[Tensor, "*member node out"]:
        if self.training and self.first_l2:
            first = self.convolutions[0]
            squares = first.weight.square().sum((-2, -1)) + first.bias.square().sum(-1)  # type: ignore[operator]
            core.add_penalty(0.5 * self.first_l2 * squares)
        return super().forward(x, edges, along, weight)


@dataclass(frozen=True, kw_only=True)
class Convolutions(Encoder):
    """Graph convolutions through `hidden` widths.

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

    def encoder(self, features: int, along: int, outputs: int) -> GCNLayers:
        """Convolutions; see Encoder."""
        widths = (features, *self.hidden, outputs)
        drops = {"dropout": self.dropout, "edge_dropout": self.edge_dropout}
        return GCNLayers(widths, self.activation, **drops, first_l2=self.first_l2)


@dataclass(frozen=True, kw_only=True)
class GCN(NodeModel, Convolutions):
    """Graph convolutions for nodes; the paper's network for citations is the default. Options: see Convolutions."""


@dataclass(frozen=True, kw_only=True)
class EdgeGCN(EdgeModel, Convolutions):
    """Graph convolutions for edges: `width` of each node's state, then both ends. Options: see Convolutions."""

    hidden: tuple[int, ...] = (64,)
    first_l2: float = 0.0
