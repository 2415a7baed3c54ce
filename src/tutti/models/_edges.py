"""What networks for the edges of one graph share: states of the nodes by message passing, and a head on both ends."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._nodes import Encoder, Features, GraphHolder, Holder


class EndsHead(torch_nn.Module):
    """From the states h of both ends, and what is said of the pair itself, to the answer.

    Of undirected pairs the head sees h_u + h_v, h_u · h_v and |h_u − h_v| (products and differences by feature),
    which are the same for (v, u); of directed ones h_u, h_v and h_u · h_v. A hidden layer of `width` follows.
    """

    stacked: ClassVar[bool] = True

    def __init__(self, width: int, own: int, outputs: int, *, directed: bool, dropout: bool) -> None:
        super().__init__()
        self.directed = directed
        self.hidden = nn.Linear(3 * width + own, width)
        self.output = nn.Linear(width, outputs)
        self.drop = nn.Dropout() if dropout else None

    def forward(
        self,
        u: Float[Tensor, "*member batch width"],
        v: Float[Tensor, "*member batch width"],
        own: Float[Tensor, "*member batch own"],
    ) -> Float[Tensor, "*member batch out"]:
        sides = [u, v] if self.directed else [u + v, (u - v).abs()]
        y = torch.relu(self.hidden(torch.cat([*sides, u * v, own], -1)))
        output: Tensor = self.output(y if self.drop is None else self.drop(y))
        return output


class EdgeNetwork(GraphHolder):
    """The layers, read at both ends of each pair, and a head on the two.

    ends [*member, batch, 2], own [*member, batch, own] (what is said of the pairs) -> [*member, batch, out].
    present [*member, edge]: which edges of the graph pass messages, 1 or 0, fitted where not all do (edges on which
    link prediction is judged); None, as `hold` leaves it: all.
    """

    constants: ClassVar[tuple[str, ...]] = (*GraphHolder.constants, "present")  # unless it is fitted
    present: Tensor | None

    def __init__(self, layers: torch_nn.Module, inputs: int, head: EndsHead, *, weighs: bool = True) -> None:
        super().__init__(layers, inputs, weighs=weighs)
        self.head = head

    def hold(
        self: Holder,
        features: Features,
        edges: nn.Edges | Int[Tensor, "two edge"],
        along: Float[Tensor, "edge given"] | None = None,
        weight: Float[Tensor, " edge"] | None = None,
    ) -> Holder:
        """Takes a graph; see GraphHolder."""
        held = GraphHolder.hold(self, features, edges, along, weight)
        held.register_buffer("present", None, persistent=False)
        return held

    def may_lose_edges(self) -> None:
        """All edges of the graph that is held are present, and need not stay so."""
        assert self.edges is not None
        self.present = torch.ones(self.edges.shape[1], device=self.edges.device)

    def forward(
        self, ends: Int[Tensor, "*member batch 2"], own: Float[Tensor, "*member batch own"]
    ) -> Float[Tensor, "*member batch out"]:
        weight = self.present if self.weight is None else self.weight
        if self.weight is not None and self.present is not None:
            weight = self.weight * self.present
        h = self.layers(*self._graph(), self.along, weight)
        u, v = (torch.take_along_dim(h, end.unsqueeze(-1), dim=-2) for end in ends.unbind(-1))
        output: Tensor = self.head(u, v, own)
        return output


@dataclass(frozen=True, kw_only=True)
class EdgeModel(Encoder):
    """A Config of a network for the edges of one graph. width: of the state that layers give each node."""

    kind: ClassVar[str] = "edges"

    width: int = 64

    def build(self, shape: core.EdgeShape, outputs: int) -> EdgeNetwork:
        """The network for pairs of this shape and so many outputs, which is then given a graph to hold; weights come
        from torch's generator."""
        if self.width < 1:
            raise core.InputError(f"width is {self.width}; expected at least 1.")
        dropout = bool(getattr(self, "dropout", False))
        head = EndsHead(self.width, shape.own, outputs, directed=shape.directed, dropout=dropout)
        layers = self.encoder(shape.features, shape.edge_features, self.width)
        return EdgeNetwork(layers, shape.features, head, weighs=self.sees_weights)
