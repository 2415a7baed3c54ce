"""Edges: who sends to whom, sorted once from both ends, for one graph or one for each member."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tutti import core

SOURCE, TARGET = 0, 1
BLOCK_ENTRIES = 2**22
"""Copies of a graph that one pass carries hold at most so many edges (16 MB of indices)."""


class Edges:
    """A sparse pattern: edge k leads from node index[0, k], one of `sources`, to node index[1, k], one of `targets`.

    Both ends are the nodes of one graph (`Edges.of`), or two kinds of things: features and the nodes that have them
    (SparseFeatures), nodes and the graphs that they belong to (Readout). An edge may stand twice, or lead from a
    node to itself. What a sum over edges needs beside the list (its order by either end, where each node's edges
    begin, the same for several copies of the graph) is computed when first asked for and kept: make the object once
    for edges that stay. Edges given in the order of their targets save a permutation at every use.

    index [2, edge] holds for all members; [member, 2, edge] is a graph for each, computed as their disjoint union
    (node v of member m is node m·nodes + v of it). The list must not be changed afterwards.
    """

    def __init__(self, index: Int[Tensor, "*member two edge"], sources: int, targets: int) -> None:
        self.index = index
        self.sources = sources
        self.targets = targets

    @classmethod
    def of(cls, index: Int[Tensor, "*member two edge"], nodes: int) -> "Edges":
        """Edges of a graph with so many nodes. Raises InputError where one points past the nodes."""
        if index.ndim not in (2, 3) or index.shape[-2] != 2:
            raise core.InputError(
                f"Edges of shape {list(index.shape)}; expected [2, edge]: sources in row 0, targets in row 1.",
                fix="Transpose a list of pairs: edges.T." if index.shape[-1] == 2 else "",
            )
        outside = (index < 0) | (index >= nodes)
        if bool(outside.any()):
            *member, end, edge = torch.nonzero(outside)[0].tolist()
            whose = f" of member {member[0]}" if member else ""
            there = f"the graph has nodes 0–{nodes - 1}" if nodes else "the graph has no nodes"
            raise core.InputError(f"Edge {edge}{whose} names node {int(index[(*member, end, edge)])}, {there}.")
        return cls(index, nodes, nodes)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Edges":
        return self  # nothing in it changes

    @property
    def members(self) -> int | None:
        """How many members have a graph of their own; None where all share one."""
        return self.index.shape[0] if self.index.ndim == 3 else None

    @property
    def count(self) -> int:
        """Edges, of one member."""
        return self.index.shape[-1]

    def nodes(self, end: int) -> int:
        """Nodes at that end, of one member."""
        return self.sources if end == SOURCE else self.targets

    @cached_property
    def union(self) -> "Edges":
        """The members' own graphs as one; these edges themselves where all share one."""
        if self.index.ndim == 2:
            return self
        members = self.index.shape[0]
        nodes = torch.tensor([[self.sources], [self.targets]], device=self.index.device)
        moved = self.index + nodes * torch.arange(members, device=self.index.device)[:, None, None]
        return Edges(moved.transpose(0, 1).flatten(1), members * self.sources, members * self.targets)

    @cached_property
    def flipped(self) -> "Edges":
        """The same edges, each the other way round."""
        edges = Edges(self.index.flip(-2), self.targets, self.sources)
        edges.__dict__["flipped"] = self
        edges.__dict__["_sorted"] = {1 - end: found for end, found in self._sorted.items()}
        return edges

    @cached_property
    def _sorted(self) -> dict[int, tuple[Tensor | None, Tensor]]:
        return {}

    def order(self, end: int) -> Int[Tensor, " edge"] | None:
        """The edges sorted by their node at that end; None where they stand so. For edges that all members share."""
        return self._sort(end)[0]

    def begin(self, end: int) -> Int[Tensor, " begin"]:
        """Where each node's edges begin in that order, and at the end the number of edges."""
        return self._sort(end)[1]

    def _sort(self, end: int) -> tuple[Tensor | None, Tensor]:
        if end not in self._sorted:
            node = self.index[end]
            order = None if bool((node.diff() >= 0).all()) else torch.argsort(node, stable=True)
            begin = torch.zeros(self.nodes(end) + 1, dtype=torch.int64, device=node.device)
            torch.cumsum(torch.bincount(node, minlength=self.nodes(end)), 0, out=begin[1:])
            self._sorted[end] = order, begin
        return self._sorted[end]

    @cached_property
    def degree(self) -> Int[Tensor, "*member target"]:
        """How many edges arrive at each node."""
        degree = self.union.begin(TARGET).diff()
        return degree if self.members is None else degree.view(self.members, self.targets)

    @cached_property
    def _bags(self) -> dict[tuple[str, int], tuple[Tensor, Tensor]]:
        return {}

    def bags(self, what: str, copies: int) -> tuple[Int[Tensor, " place"], Int[Tensor, " begin"]]:
        """Which rows each node sums, and where they begin, in so many copies of the graph, one after another.

        what: "sources": each target sums the rows of its sources; "of source", "of target": each node at that end
        sums the rows of its edges. 32-bit numbers where they suffice.
        """
        if (what, copies) not in self._bags:
            end = SOURCE if what == "of source" else TARGET
            order = self.order(end)
            if what == "sources":
                places, rows = self.index[SOURCE] if order is None else self.index[SOURCE][order], self.sources
            else:
                places = torch.arange(self.count, device=self.index.device) if order is None else order
                rows = self.count
            copy = torch.arange(copies, device=places.device)[:, None]
            begin = self.begin(end)
            begins = torch.cat(((begin[:-1] + copy * self.count).flatten(), begin[-1:] * copies))
            kind = torch.int32 if copies * max(self.count, rows) < 2**31 else torch.int64
            self._bags[what, copies] = (places + copy * rows).flatten().to(kind), begins.to(kind)
        return self._bags[what, copies]

    @cached_property
    def looped(self) -> "Looped":
        """These edges with one loop at each node."""
        source, target = self.index[..., SOURCE, :], self.index[..., TARGET, :]
        nodes = torch.arange(self.targets, device=source.device).expand(*source.shape[:-1], -1)
        stands = source == target
        origin = torch.arange(self.count + self.targets, device=source.device).repeat(*source.shape[:-1], 1)
        alive = None
        if bool(stands.any()):
            alive = torch.cat((~stands, torch.ones_like(nodes, dtype=torch.bool)), -1)
            # A loop that stands gives its place up to the one that every node has; several at one node give one.
            *member, edge = torch.nonzero(stands, as_tuple=True)
            origin[(*member, self.count + source[(*member, edge)])] = edge
        order = torch.argsort(torch.cat((target, nodes), -1), dim=-1, stable=True)
        index = torch.stack([torch.cat((end, nodes), -1).take_along_dim(order, -1) for end in (source, target)], -2)
        return Looped(
            edges=Edges(index, self.sources, self.targets),
            origin=origin.take_along_dim(order, -1),
            alive=None if alive is None else alive.take_along_dim(order, -1),
        )

    @cached_property
    def normalised(self) -> Float[Tensor, "*member looped"]:
        """1/√(d_source d_target) at the edges of `looped`, d counting the edges that arrive, the loop among them:
        the values of D̂^−½ (A + 1) D̂^−½, in float64."""
        edges, alive = self.looped.edges.union, self.looped.alive
        source, target = edges.index
        value = torch.ones_like(source, dtype=torch.float64) if alive is None else alive.flatten().to(torch.float64)
        degree = torch.bincount(target, weights=value, minlength=edges.targets)
        return (value / (degree[source] * degree[target]).sqrt()).view(self.looped.origin.shape)


@dataclass(frozen=True)
class Looped:
    """Edges with one loop at each node, in the order of their targets.

    A loop that the list holds already gives its place to the new one: it stays in the list without effect, so that
    members' own lists keep one length, and `alive` (None: all) is False there. `origin` says where each edge stood:
    in the list before, or, for a loop that is new, behind it.
    """

    edges: Edges
    origin: Int[Tensor, "*member looped"]
    alive: Bool[Tensor, "*member looped"] | None

    def carry(self, weight: Float[Tensor, "*lead edge"]) -> Float[Tensor, "*lead looped"]:
        """Weights of the edges before, for these: a loop that stood keeps its weight, a new one has 1."""
        new = weight.new_ones(*weight.shape[:-1], self.edges.targets)
        both = torch.cat((weight, new), -1)
        origin, alive = self.origin, self.alive
        if origin.ndim == 1:
            carried = both.index_select(-1, origin)
        else:
            blocks = weight.shape[-2] // len(origin)  # of members that share these graphs
            carried = both.take_along_dim(origin.repeat(blocks, 1), -1)
            alive = None if alive is None else alive.repeat(blocks, 1)
        return carried if alive is None else carried * alive
