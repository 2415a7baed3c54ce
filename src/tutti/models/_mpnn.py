"""Message passing with edge features and a gated update (Gilmer et al. 2017), for nodes and edges of one graph."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._edges import EdgeModel
from tutti.models._nodes import Encoder, Features, NodeModel, drop


class GatedLayers(torch_nn.Module):
    """Features to `width`, blocks of nn.MessagePassing (`steps` rounds of one set of weights each), then outputs.
    Dropout on the features and before the outputs."""

    stacked: ClassVar[bool] = True

    def __init__(
        self, widths: tuple[int, int, int], along: int, *, layers: int, steps: int, dropout: bool, edge_dropout: bool
    ) -> None:
        super().__init__()
        features, width, outputs = widths
        self.embed = nn.NodeLinear(features, width)
        blocks = [nn.MessagePassing(width, edge_features=along, steps=steps) for _ in range(layers)]
        self.blocks = torch_nn.ModuleList(blocks)
        self.leave = nn.NodeLinear(width, outputs)
        self.drop = nn.Dropout() if dropout else None
        self.edge_drop = nn.EdgeDropout() if edge_dropout else None

    def forward(
        self,
        x: Features,
        edges: nn.Edges,
        along: Float[Tensor, "edge given"] | None = None,
        weight: Float[Tensor, "*some edge"] | None = None,
    ) -> Float[Tensor, "*member node out"]:
        weight = weight if self.edge_drop is None else self.edge_drop(edges, weight)
        h: Tensor = self.embed(drop(self.drop, x))
        for block in self.blocks:
            h = block(h, edges, along, weight)
        y: Tensor = self.leave(drop(self.drop, h))
        return y


@dataclass(frozen=True, kw_only=True)
class Messages(Encoder):
    """`layers` blocks of `steps` rounds of gated message passing, each round h ← GRU(h, Σ ReLU(V h + U f + b)) with
    the weights of its block; features f of the edges enter where the graph has some. hidden: width of the states.
    dropout, edge_dropout: as GCN's. Weights of edges are one of their features, and no factor of the messages."""

    name: ClassVar[str] = "mpnn"
    sees_edges: ClassVar[bool] = True
    sees_weights: ClassVar[bool] = False

    hidden: int = 64
    layers: int = 1
    steps: int = 2
    dropout: bool = True
    edge_dropout: bool = False

    def __post_init__(self) -> None:
        for name in ("hidden", "layers", "steps"):
            if getattr(self, name) < 1:
                raise core.InputError(f"{name} is {getattr(self, name)}; expected at least 1.")

    def encoder(self, features: int, along: int, outputs: int) -> GatedLayers:
        """Gated message passing; see Encoder."""
        widths = (features, self.hidden, outputs)
        drops = {"dropout": self.dropout, "edge_dropout": self.edge_dropout}
        return GatedLayers(widths, along, layers=self.layers, steps=self.steps, **drops)


@dataclass(frozen=True, kw_only=True)
class NodeMPNN(NodeModel, Messages):
    """Gated message passing for nodes. Options: see Messages."""


@dataclass(frozen=True, kw_only=True)
class EdgeMPNN(EdgeModel, Messages):
    """Gated message passing for edges: `width` of each node's state, then both ends. Options: see Messages."""
