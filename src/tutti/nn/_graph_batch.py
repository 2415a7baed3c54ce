"""A padded batch of graphs as one disjoint union: what is padding takes no part in any layer."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

from tutti.nn._edges import Edges


@dataclass(frozen=True)
class Union:
    """The graphs of a batch side by side: real nodes alone, graph after graph.

    edges: between the nodes of the union. graph: edges from each node to its graph, for nn.Readout. graphs: how many
    a batch holds. real [*own, node]: 1 at nodes, 0 behind them; None where all are.
    Members whose batches hold unequal numbers of nodes are filled up to one length behind their last node (one node
    more at least), and their edges with loops at the last place: these belong to graph number `graphs`, which is left
    out of what `graphs_of` gives. Members that see the same batch share one union.
    """

    edges: Edges
    graph: Edges
    real: Float[Tensor, "*own node"] | None
    graphs: int
    node_places: Int[Tensor, "*own node"]
    edge_places: Int[Tensor, "*own edge"]

    def nodes_of(self, x: Num[Tensor, "*member batch nodes feature"]) -> Num[Tensor, "*some node feature"]:
        """The rows of the nodes, out of the padded batch."""
        return _taken(x, self.node_places)

    def edges_of(self, x: Num[Tensor, "*member batch edges feature"]) -> Num[Tensor, "*some edge feature"]:
        """The rows of the edges, out of the padded batch."""
        return _taken(x, self.edge_places)

    def graphs_of(self, x: Float[Tensor, "*member row feature"]) -> Float[Tensor, "*member batch feature"]:
        """A readout without the graph of the filling."""
        return x[..., : self.graphs, :]


def _taken(x: Tensor, places: Tensor) -> Tensor:
    """Rows [*own, place] of x [*member, batch, items, feature]; members that share a batch give one."""
    if places.ndim == 1:
        return (x if x.ndim == 3 else x[0]).flatten(0, 1).index_select(0, places)
    members, step = places.shape[0], x.shape[1] * x.shape[2]
    flat = x[:members].flatten(0, 2)
    first = step * torch.arange(members, device=places.device)[:, None]
    return flat.index_select(0, (places + first).flatten()).view(*places.shape, x.shape[-1])


def union_of(
    edges: Int[Tensor, "*member batch edges 2"], counts: Int[Tensor, "*member batch 2"], nodes: int, period: int = 1
) -> Union:
    """The union of a padded batch of graphs with at most so many nodes; counts: nodes and edges of each.

    period: after how many members the batches repeat; a single one is shared by all.
    """
    shared = counts.ndim == 2 or period == 1
    if shared:
        edges, counts = (edges, counts) if counts.ndim == 2 else (edges[0], counts[0])
        edges, counts = edges[None], counts[None]
    else:
        edges, counts = edges[:period], counts[:period]
    counts = counts.long()
    batch, width = counts.shape[1], edges.shape[2]
    many = counts.sum(1)
    fills = not shared and bool((many != many[:1]).any())
    length = int(many[:, 0].max()) + int(fills)
    node_places, owner = _places(counts[..., 0], nodes, length)
    edge_places, holder = _places(counts[..., 1], width, int(many[:, 1].max()))
    begin = torch.cat((counts[..., 0].cumsum(1) - counts[..., 0], counts.new_full((len(counts), 1), length - 1)), 1)
    flat = edges.reshape(len(edges), batch * width, 2).long()
    ends = flat.take_along_dim(edge_places[..., None], 1).masked_fill((holder == batch)[..., None], 0)
    ends = ends + begin.take_along_dim(holder, 1)[..., None]
    index = ends.transpose(1, 2)
    node = torch.arange(length, device=owner.device).expand_as(owner)
    belongs = torch.stack((node, owner), 1)
    real = (owner < batch).to(torch.get_default_dtype()) if fills else None
    if shared:
        index, belongs, node_places, edge_places = index[0], belongs[0], node_places[0], edge_places[0]
    return Union(
        edges=Edges(index.contiguous(), length, length),
        graph=Edges(belongs.contiguous(), length, batch + int(fills)),
        real=real,
        graphs=batch,
        node_places=node_places,
        edge_places=edge_places,
    )


def _places(counts: Int[Tensor, "own batch"], width: int, length: int) -> tuple[Tensor, Tensor]:
    """For each of `length` places of a union its place in the padded batch (0 behind the last), and its graph (the
    number of graphs behind the last)."""
    own, batch = counts.shape
    ends = counts.cumsum(1)
    place = torch.arange(length, device=counts.device).expand(own, length).contiguous()
    owner = torch.searchsorted(ends, place, right=True)
    inside = owner.clamp(max=batch - 1)
    found = inside * width + place - (ends - counts).take_along_dim(inside, 1)
    return found.masked_fill_(owner == batch, 0), owner


def repeats(*inputs: Tensor) -> int:
    """After how many members padded inputs [member, …] repeat: members of several settings see the same batches."""
    first = inputs[-1]
    members = first.shape[0]
    if first.stride(0) == 0:
        return 1
    alike: Bool[Tensor, " member"] = (first == first[:1]).flatten(1).all(1)
    for period in (torch.nonzero(alike[1:]).flatten() + 1).tolist():
        if members % period == 0 and all(_periodic(x, period) for x in reversed(inputs)):
            return int(period)
    return members


def _periodic(x: Tensor, period: int) -> bool:
    blocks = x.unflatten(0, (-1, period))
    return bool((blocks == blocks[:1]).all())
