"""Message passing with edge features and a gated update (Gilmer et al. 2017)."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from tutti import core, nn
from tutti.models._graphs import GraphLayer, GraphModel, GraphNetwork, real_of, width_of


class GatedLayer(GraphLayer):
    """`steps` rounds of nn.MessagePassing with one set of weights, then normalisation."""

    def __init__(self, width: int, given: int, steps: int, norm: bool) -> None:
        super().__init__()
        self.passing = nn.MessagePassing(width, edge_features=given, steps=steps)
        self.norm = nn.NodeNorm(width) if norm else None

    def forward(
        self,
        h: Float[Tensor, "*member node width"],
        union: nn.Union,
        along: Float[Tensor, "*some edge given"] | None,
        weight: Float[Tensor, "*member edge"] | None,
    ) -> Float[Tensor, "*member node width"]:
        if along is not None and along.ndim == 3:
            along = nn.for_members(along, union.edges, h.shape[0])
        y: Tensor = self.passing(h, union.edges, along, weight)
        return y if self.norm is None else self.norm(y, real_of(union, y))


@dataclass(frozen=True, kw_only=True)
class MPNN(GraphModel):
    """Gated message passing: `layers` blocks of `steps` rounds, each round h ← GRU(h, Σ ReLU(V h + U f + b)) with
    the weights of its block. Edge features f enter where the graphs have some."""

    name: ClassVar[str] = "mpnn"

    layers: int = 1
    steps: int = 3
    joined: bool = False
    norm: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1:
            raise core.InputError(f"steps is {self.steps}; expected at least 1.")

    def build(self, shape: core.GraphShape, outputs: int) -> GraphNetwork:
        """The network for graphs of this shape and so many outputs."""
        some = bool(shape.edge_features or shape.edge_levels)
        given = width_of(shape.edge_features, shape.edge_levels) if some else 0
        layers = [GatedLayer(self.width, given, self.steps, self.norm) for _ in range(self.layers)]
        return self.network(shape, outputs, layers, uses_edges=True)
