"""The graph isomorphism network (Xu et al. 2019) for the nodes and the edges of one graph."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import nn
from tutti.models._edges import EdgeModel
from tutti.models._nodes import ConvolutionLayers, Encoder, Features, NodeModel
from tutti.models._table import check_choice, check_layers


class IsomorphismLayer(torch_nn.Module):
    """norm(x W + Σ x[s] W) through activation and a dense layer: GIN-0 whose first dense layer is applied before the
    sum over neighbours, which is the same, and takes sparse features. (Its bias the norm would take away.)"""

    stacked: ClassVar[bool] = True

    def __init__(self, inputs: int, width: int, outputs: int, activation: str) -> None:
        super().__init__()
        self.enter = nn.NodeLinear(inputs, width, bias=False)
        self.norm = nn.NodeNorm(width)
        self.activation = nn.activation(activation)
        self.leave = nn.Linear(width, outputs)

    def forward(
        self, x: Features, edges: nn.Edges, weight: Tensor | None = None
    ) -> Float[Tensor, "*member node out"]:
        h = self.enter(x)
        y: Tensor = self.leave(self.activation(self.norm(h + nn.propagate(h, edges, weight))))
        return y


@dataclass(frozen=True, kw_only=True)
class Isomorphisms(Encoder):
    """Isomorphism layers through `hidden` widths, each a two-layer MLP with batch normalisation on the sum of a node
    and its neighbours. dropout, edge_dropout: as GCN's."""

    name: ClassVar[str] = "gin"

    hidden: tuple[int, ...] = (64,)
    activation: str = "relu"
    dropout: bool = True
    edge_dropout: bool = False

    def __post_init__(self) -> None:
        check_layers(self.hidden)
        check_choice("activation", [self.activation], list(nn.ACTIVATIONS))

    def encoder(self, features: int, along: int, outputs: int) -> ConvolutionLayers:
        """Isomorphism layers; see Encoder."""
        widths = (features, *self.hidden, outputs)
        layers = [IsomorphismLayer(a, max(self.hidden, default=b), b, self.activation) for a, b in pairwise(widths)]
        return ConvolutionLayers(list(layers), self.activation, dropout=self.dropout, edge_dropout=self.edge_dropout)


@dataclass(frozen=True, kw_only=True)
class GIN(NodeModel, Isomorphisms):
    """Isomorphism layers for nodes. Options: see Isomorphisms."""


@dataclass(frozen=True, kw_only=True)
class EdgeGIN(EdgeModel, Isomorphisms):
    """Isomorphism layers for edges: `width` of each node's state, then both ends. Options: see Isomorphisms."""
