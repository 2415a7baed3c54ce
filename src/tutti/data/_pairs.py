"""One graph whose edges, or pairs of whose nodes, are the samples."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int, UInt64
from torch import Tensor
from torch import nn as torch_nn

from tutti.core import EdgeShape, Finding, Fold, Rows, Severity, Splits
from tutti.data._edge_lists import pair_keys
from tutti.data._nodes import Nodes, centre_and_scale, standardised
from tutti.data._row_content import row_hashes
from tutti.data._sample import Encoded, Sample


@dataclass(frozen=True, eq=False, kw_only=True)
class Pairs(Sample):
    """Rows are pairs of nodes of one graph; the graph, along whose edges messages pass, goes with all of them.

    ends: the two nodes of each row; directed: whether (u, v) is another pair than (v, u). own: what is said of each
    row itself, in raw units, NaN where missing; centre, scale: of that, over the training rows.

    links: the question is whether a pair is an edge. An edge that is asked about then passes no message: `take`
    leaves the edges of its rows out of the graph, `settled` those of all rows that do not train, and `fit` gives each
    fold the edges of its own training rows. Else all edges pass messages; labels are no part of these.
    """

    kind: ClassVar[str] = "edges"

    graph: Nodes
    ends: Int[np.ndarray, "rows 2"]
    own: Float[np.ndarray, "rows feature"]
    directed: bool = False
    links: bool = False
    centre: Float[np.ndarray, " feature"] | None = None
    scale: Float[np.ndarray, " feature"] | None = None

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def shape(self) -> EdgeShape:
        graph = self.graph.shape
        return EdgeShape(
            features=graph.features,
            edge_features=graph.edge_features,
            weighed=graph.weighed,
            own=self.own.shape[1],
            directed=self.directed,
            links=self.links,
        )

    def features(self) -> Float[np.ndarray, "rows feature"]:
        """What is said of each row itself, as networks see it: standardised, missing ones 0."""
        return standardised(self.own, self.centre, self.scale)

    def inputs(self) -> tuple[Tensor | Rows, ...]:
        """Both ends of each row, and what is said of it."""
        return torch.from_numpy(np.ascontiguousarray(self.ends)), torch.from_numpy(self.features())

    def settled(self, rows: Int[np.ndarray, " train"]) -> "Pairs":
        """Features standardised by the training rows and their nodes; of links the edges that do not train go."""
        graph = self.graph_of(rows) if self.links else self.graph
        centre, scale = centre_and_scale(self.own[rows])
        return replace(self, graph=graph.settled(np.unique(self.ends[rows])), centre=centre, scale=scale)

    def settled_as(self, description: Mapping[str, Any]) -> "Pairs":
        """New pairs, standardised as those that were fitted."""
        if description["centre"] is None:
            return self
        centre, scale = (np.asarray(description[name], np.float32) for name in ("centre", "scale"))
        return replace(self, centre=centre, scale=scale)

    def graph_of(self, rows: Int[np.ndarray, " train"]) -> Nodes:
        """The graph without the edges of all other rows."""
        others = np.ones(len(self), dtype=bool)
        others[rows] = False
        return self.graph.without(self.ends[others].T)

    def fit(
        self, network: torch_nn.Module, rows: Int[np.ndarray, " train"], target: Encoded = None
    ) -> dict[str, Tensor]:
        """Of links, which edges of the graph pass messages where these rows train: those that no other row is."""
        if not self.links or "present" not in dict(network.named_buffers()):
            return {}
        kept, every = (pair_keys(g.edges, g.nodes) for g in (self.graph_of(rows), self.graph))
        return {"present": torch.from_numpy(np.isin(every, kept).astype(np.float32))}

    def unseen(self, *, edges: bool, weights: bool) -> tuple[str, ...]:
        """See Nodes.unseen: of the edges along which messages pass."""
        return self.graph.unseen(edges=edges, weights=weights)

    def equip(self, network: torch_nn.Module) -> None:
        """Gives the graph to a network that can hold one."""
        self.graph.equip(network)
        may_lose = getattr(network, "may_lose_edges", None)
        if self.links and may_lose is not None:
            may_lose()

    def take(self, rows: Int[np.ndarray, " taken"]) -> "Pairs":
        graph = self.graph.without(self.ends[rows].T) if self.links else self.graph
        return replace(self, graph=graph, ends=self.ends[rows], own=self.own[rows])

    def joined(self, other: "Pairs") -> "Pairs":
        """Both graphs, without an edge between them, and the pairs of both."""
        return replace(
            self,
            graph=self.graph.joined(other.graph),
            ends=np.concatenate([self.ends, other.ends + self.graph.nodes]),
            own=np.concatenate([self.own, other.own]),
        )

    def hashes(self) -> UInt64[np.ndarray, " rows"]:
        """Two rows are the same sample where they join the same two nodes, whatever else is said of them."""
        each = self.graph.hashes()[self.ends.T]
        first, second = each if self.directed else np.sort(each, axis=0)
        return np.asarray(row_hashes(first.view(np.int64), second.view(np.int64)))

    def alike(self) -> Int[np.ndarray, " rows"] | None:
        """The same pair, in either direction, must stand on one side."""
        keys = pair_keys(self.ends.T, self.graph.nodes, both=True)
        return np.asarray(np.unique(keys, return_inverse=True)[1])

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "shape": self.shape.to_json(),
            "graph": self.graph.to_json(),
            "links": self.links,
            "centre": None if self.centre is None else self.centre.tolist(),
            "scale": None if self.scale is None else self.scale.tolist(),
        }

    @property
    def summary(self) -> str:
        rows = f"{len(self):,} {'pairs, as many edges as not' if self.links else 'edges to learn from'}"
        return f"{self.graph.summary}; {rows}"

    def leaks(self, splits: Splits, *, given: bool) -> list[Finding]:
        """Pairs that stand on both sides, the other way round; and what passes messages, as a notice."""
        found = []
        keys, parts = self.alike(), [Fold(train=splits.train, validation=splits.test), *splits.folds[:1]]
        assert keys is not None
        shares = [np.isin(keys[part.validation], keys[part.train]) for part in parts if len(part.validation)]
        both = max(shares, key=lambda share: float(share.mean()), default=np.zeros(0, bool))
        if self.directed and both.any():
            message = f"{both.sum()} of {len(both)} pairs that judge train as well, in one direction or the other."
            severity: Severity = "refused" if given and both.mean() >= 0.5 else "warning"
            found.append(Finding(kind="pairs-across-splits", where="edges", message=message, severity=severity))
        message = "All edges pass messages, with their features and without their labels: those that judge too."
        if self.links:
            message = "Edges that validate or test are out of the graph along which messages pass, in each fold anew."
        message += " There is one graph: the score holds for pairs of its nodes."
        return [*found, Finding(kind="one-graph", where="edges", message=message, severity="notice")]

    def example(self, row: int) -> dict[str, Any]:
        """Both ends (numbers 0 and 1) with their neighbours, and the edges among them."""
        return self.graph.around(self.ends[row].tolist())
