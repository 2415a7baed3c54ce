"""The graph isomorphism network (Xu et al. 2019), with edge features where there are some (Hu et al. 2020)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._graphs import GraphLayer, GraphModel, GraphNetwork, real_of, width_of


class GINLayer(GraphLayer):
    """MLP((1 + ε) h + Σ m over the edges that arrive), then normalisation and ReLU; ε is learnt and starts at 0.

    m is the source's h; with edge features f it is ReLU(h + f U + c) (Hu et al. 2020). MLP: dense, normalisation,
    ReLU, dense.
    """

    def __init__(self, width: int, given: int, norm: bool) -> None:
        super().__init__()
        self.epsilon = torch_nn.Parameter(torch.zeros(1))
        self.along = nn.NodeLinear(given, width) if given else None
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.norms = torch_nn.ModuleList(nn.NodeNorm(width) for _ in range(2 * norm))

    def forward(
        self,
        h: Float[Tensor, "*member node width"],
        union: nn.Union,
        along: Float[Tensor, "*some edge given"] | None,
        weight: Float[Tensor, "*member edge"] | None,
    ) -> Float[Tensor, "*member node width"]:
        if self.along is None or along is None:
            arrived = nn.propagate(h, union.edges, weight)
        else:
            if along.ndim == 3:
                along = nn.for_members(along, union.edges, h.shape[0])
            sent = torch.relu(nn.gather(h, union.edges, nn.SOURCE) + self.along(along))
            arrived = nn.scatter(sent if weight is None else sent * weight.unsqueeze(-1), union.edges)
        y = self._normal(0, self.first(torch.addcmul(arrived, h, 1 + self.epsilon.unsqueeze(-1))), union)
        return torch.relu(self._normal(1, self.second(torch.relu(y)), union))

    def _normal(self, which: int, y: Tensor, union: nn.Union) -> Tensor:
        if not self.norms:
            return y
        normal: Tensor = self.norms[which](y, real_of(union, y))
        return normal


@dataclass(frozen=True, kw_only=True)
class GraphGIN(GraphModel):
    """Isomorphism layers; edge features enter where the graphs have some."""

    name: ClassVar[str] = "gin"

    def build(self, shape: core.GraphShape, outputs: int) -> GraphNetwork:
        """The network for graphs of this shape and so many outputs."""
        some = bool(shape.edge_features or shape.edge_levels)
        given = width_of(shape.edge_features, shape.edge_levels) if some else 0
        layers = [GINLayer(self.width, given, self.norm) for _ in range(self.layers)]
        return self.network(shape, outputs, layers, uses_edges=True)
