"""Neighbour sampling: of one large graph only what a batch of nodes needs (Hamilton et al. 2017, sec. 3.1)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutti import core
from tutti.nn._edges import SOURCE, TARGET, Edges
from tutti.nn._graph_convolution import SparseFeatures


def sample_neighbours(
    edges: Edges, nodes: Int[Tensor, " batch"], counts: Sequence[int]
) -> tuple[Int[Tensor, " kept"], Edges]:
    """(kept, sub): the nodes that a batch reaches against drawn edges, and the edges that were drawn.

    Hop k draws at most counts[k] of the edges that arrive at each node reached by the hop before (all, where a node
    has no more), without replacement, each as likely as the others; hop 0 starts from the batch. A node that was
    reached earlier is not drawn for again. kept holds numbers of nodes, those of the batch first, each once and
    ascending; node i of `sub` is node kept[i]. Draws are core.draw_uniform's.

    Unlike the paper, whose edges are drawn with replacement where a node has too few, none stands twice.
    """
    reached = torch.zeros(edges.targets, dtype=torch.bool, device=nodes.device)
    reached[nodes] = True
    frontier = reached.nonzero()[:, 0]
    kept, drawn = [frontier], []
    for count in counts:
        chosen = _drawn(edges, frontier, count)
        drawn.append(chosen)
        met = torch.zeros_like(reached)
        met[edges.index[SOURCE, chosen]] = True
        frontier = (met & ~reached).nonzero()[:, 0]
        reached |= met
        kept.append(frontier)
    all_kept = torch.cat(kept)
    place = torch.zeros(edges.targets, dtype=torch.int64, device=nodes.device)
    place[all_kept] = torch.arange(len(all_kept), device=nodes.device)
    index = place[edges.index[:, torch.cat(drawn)]]
    return all_kept, Edges(index[:, index[TARGET].argsort(stable=True)], len(all_kept), len(all_kept))


def take_features(
    features: Float[Tensor, "node feature"] | SparseFeatures, nodes: Int[Tensor, " kept"]
) -> Float[Tensor, "kept feature"] | SparseFeatures:
    """The features of these nodes, sparse where they were."""
    if not isinstance(features, SparseFeatures):
        return features[nodes]
    entries = features.entries
    place, segment, _ = _arriving(entries, nodes)
    index = torch.stack((entries.index[SOURCE, place], segment))
    return SparseFeatures(features.values[place], Edges(index, entries.sources, len(nodes)))


def _drawn(edges: Edges, nodes: Int[Tensor, " some"], count: int) -> Int[Tensor, " drawn"]:
    """At most `count` of the edges that arrive at each of these nodes."""
    place, segment, rank = _arriving(edges, nodes)
    if not len(place) or int(rank.max()) < count:
        return place
    drawn = core.draw_uniform(torch.empty(len(place), dtype=torch.float32, device=place.device))
    shuffled = (segment + drawn.double()).argsort()  # node by node still, each node's edges in a drawn order
    return place[shuffled[rank < count]]


def _arriving(edges: Edges, nodes: Int[Tensor, " some"]) -> tuple[Tensor, Tensor, Tensor]:
    """The edges that arrive at these nodes, node by node; for each the place of its node among them, and its number
    among that node's edges."""
    begin = edges.begin(TARGET)
    first, degree = begin[nodes], begin[nodes + 1] - begin[nodes]
    segment = torch.repeat_interleave(torch.arange(len(nodes), device=nodes.device), degree)
    rank = torch.arange(len(segment), device=nodes.device) - (degree.cumsum(0) - degree)[segment]
    place, order = first[segment] + rank, edges.order(TARGET)
    return (place if order is None else order[place]), segment, rank
