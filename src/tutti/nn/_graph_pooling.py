"""Readout: the nodes of each graph as one row."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tutti import core
from tutti.nn._edges import Edges
from tutti.nn._linear import Linear
from tutti.nn._messages import arrived, edge_softmax, peak, propagate

READOUTS = ("sum", "mean", "max", "attention")


def members_of(graph: Int[Tensor, "*member node"], graphs: int) -> Edges:
    """Edges from the nodes of a disjoint union to the graphs that they belong to. Raises InputError where a number is
    none of 0 … graphs − 1."""
    outside = (graph < 0) | (graph >= graphs)
    if bool(outside.any()):
        where = torch.nonzero(outside)[0].tolist()
        raise core.InputError(f"Node {where[-1]} belongs to graph {int(graph[tuple(where)])}, there are {graphs}.")
    node = torch.arange(graph.shape[-1], device=graph.device).expand_as(graph)
    return Edges(torch.stack((node, graph), -2), graph.shape[-1], graphs)


class Readout(nn.Module):
    """x [*member, node, feature] and the graph of each node -> [*member, graph, feature].

    how: "sum", "mean", "max" (feature by feature), or "attention": Σ softmax(a · x + b) x over the graph's nodes (the
    softmax of Vinyals et al. 2016 and Li et al. 2016 with a linear score; gate [*member, 1, features] and its bias).
    A graph without nodes gives 0. `graph` [node] for all members or [*member, node], any order; or the Edges of
    `members_of`, made once.
    """

    stacked = True

    def __init__(self, how: str = "mean", *, features: int | None = None) -> None:
        super().__init__()
        if how not in READOUTS:
            raise core.unknown("readout", how, READOUTS)
        if how == "attention" and features is None:
            raise core.InputError("A readout by attention must know its inputs.", fix="Give features=….")
        self.how = how
        self.gate = Linear(features, 1) if how == "attention" and features is not None else None

    def forward(
        self,
        x: Float[Tensor, "*member node feature"],
        graph: Edges | Int[Tensor, "*some node"],
        graphs: int | None = None,
    ) -> Float[Tensor, "*member graph feature"]:
        if not isinstance(graph, Edges):
            if graphs is None:
                raise core.InputError("A readout must know how many graphs there are.", fix="Give graphs=….")
            graph = members_of(graph, graphs)
        if self.how == "max":
            return peak(x, graph)
        if self.gate is not None:
            return propagate(x, graph, edge_softmax(self.gate(x).squeeze(-1), graph))
        summed = propagate(x, graph)
        return summed if self.how == "sum" else summed / arrived(graph, None, summed)
