"""One graph whose nodes are the samples."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int, UInt64
from torch import Tensor
from torch import nn as torch_nn

from tutti.core import Column, Finding, Fold, NodeShape, Rows, Splits
from tutti.data._edge_lists import pair_keys
from tutti.data._row_content import row_hashes
from tutti.data._sample import Encoded, Sample
from tutti.nn import Edges, SparseFeatures

SHOWN = 24  # nodes of an example


@dataclass(frozen=True)
class Entries:
    """Features most of which are 0, as the entries that are not: row i holds indices[begin[i]:begin[i + 1]]."""

    begin: Int[np.ndarray, " begin"]
    indices: Int[np.ndarray, " entry"]
    values: Float[np.ndarray, " entry"]
    width: int

    @property
    def node(self) -> Int[np.ndarray, " entry"]:
        """The node of each entry."""
        return np.repeat(np.arange(len(self.begin) - 1), np.diff(self.begin))

    def dense(self) -> Float[np.ndarray, "node feature"]:
        table = np.zeros((len(self.begin) - 1, self.width), np.float32)
        table[self.node, self.indices] = self.values
        return table

    @classmethod
    def of(cls, table: Float[np.ndarray, "node feature"]) -> "Entries":
        node, feature = np.nonzero(table)
        begin = np.concatenate([[0], np.cumsum(np.bincount(node, minlength=len(table)))]).astype(np.int64)
        return cls(begin, feature.astype(np.int64), table[node, feature].astype(np.float32), table.shape[1])


@dataclass(frozen=True, eq=False, kw_only=True)
class Nodes(Sample):
    """Rows are nodes of one graph; the graph itself, all its nodes and edges, goes with every part of the rows.

    table: features of all nodes in raw units, NaN where missing; no column: the logarithm of 1 + degree stands for
    them. Or entries: counts or marks most of which are 0 (a bag of words); each node's are divided by their sum.
    edges: [2, edge] from row 0 to row 1, sorted by target, without loops and repetitions. node: the node of each row.
    along: what is said of each edge, in raw units, NaN where missing. weight: how much each edge counts, at least 0.
    centre, scale: of the table's features, over the training rows' nodes; edge_centre, edge_scale: over the edges
    that arrive at these; none before they are known.
    columns, edge_columns: how the features are read from the columns of a file; weighed: the column of the weights.
    """

    kind: ClassVar[str] = "nodes"

    edges: Int[np.ndarray, "2 edge"]
    node: Int[np.ndarray, " rows"]
    table: Float[np.ndarray, "node feature"] | None = None
    entries: Entries | None = None
    along: Float[np.ndarray, "edge given"] | None = None
    weight: Float[np.ndarray, " edge"] | None = None
    columns: tuple[Column, ...] = ()
    edge_columns: tuple[Column, ...] = ()
    weighed: str | None = None
    centre: Float[np.ndarray, " feature"] | None = None
    scale: Float[np.ndarray, " feature"] | None = None
    edge_centre: Float[np.ndarray, " given"] | None = None
    edge_scale: Float[np.ndarray, " given"] | None = None
    names: str | None = None
    both: bool = True

    def __len__(self) -> int:
        return len(self.node)

    @property
    def nodes(self) -> int:
        """Nodes of the graph, those without a label among them."""
        return len(self.entries.begin) - 1 if self.entries is not None else len(self._table)

    @property
    def _table(self) -> Float[np.ndarray, "node feature"]:
        assert self.table is not None
        if self.table.shape[1]:
            return self.table
        return np.asarray(np.log1p(self.degree)[:, None], dtype=np.float32)

    @property
    def degree(self) -> Int[np.ndarray, " node"]:
        """How many edges arrive at each node."""
        nodes = len(self.table) if self.table is not None else self.nodes
        return np.bincount(self.edges[1], minlength=nodes)

    @property
    def shape(self) -> NodeShape:
        width = self.entries.width if self.entries is not None else self._table.shape[1]
        edge_features = 0 if self.along is None else self.along.shape[1]
        return NodeShape(features=width, edge_features=edge_features, weighed=self.weight is not None)

    def inputs(self) -> tuple[Tensor | Rows, ...]:
        """The node of each row."""
        return (torch.from_numpy(self.node),)

    def fit(
        self, network: torch_nn.Module, rows: Int[np.ndarray, " train"], target: Encoded = None
    ) -> dict[str, Tensor]:
        return {}

    def settled(self, rows: Int[np.ndarray, " train"]) -> "Nodes":
        """Dense features standardised by the training rows' nodes, those of edges by the edges that arrive there."""
        told: dict[str, Any] = {}
        if self.entries is None:
            told["centre"], told["scale"] = centre_and_scale(self._table[self.node[rows]])
        if self.along is not None:
            near = np.isin(self.edges[1], self.node[rows])
            told["edge_centre"], told["edge_scale"] = centre_and_scale(self.along[near] if near.any() else self.along)
        return replace(self, **told)

    def features(self) -> Float[np.ndarray, "node feature"]:
        """Features of all nodes as networks see them, dense: standardised and missing ones 0, or summing to 1."""
        if self.entries is not None:
            return replace(self.entries, values=self._shares()).dense()
        return standardised(self._table, self.centre, self.scale)

    def _shares(self) -> Float[np.ndarray, " entry"]:
        assert self.entries is not None
        total = np.bincount(self.entries.node, weights=np.abs(self.entries.values), minlength=self.nodes)
        return np.asarray(self.entries.values / np.maximum(total, 1e-12)[self.entries.node], dtype=np.float32)

    @cached_property
    def held(self) -> tuple[Tensor | SparseFeatures, Edges, Tensor | None, Tensor | None]:
        """Features, edges, and the features and weights of edges, as networks hold them: made once for all."""
        edges = Edges(torch.from_numpy(np.ascontiguousarray(self.edges)), self.nodes, self.nodes)
        along = None
        if self.along is not None:
            along = torch.from_numpy(standardised(self.along, self.edge_centre, self.edge_scale))
        weight = None if self.weight is None else torch.from_numpy(self.weight.astype(np.float32))
        if self.entries is None:
            return torch.from_numpy(self.features()), edges, along, weight
        index = torch.from_numpy(np.stack([self.entries.indices.astype(np.int64), self.entries.node]))
        entries = Edges(index, self.entries.width, self.nodes)
        return SparseFeatures(torch.from_numpy(self._shares()), entries), edges, along, weight

    def unseen(self, *, edges: bool, weights: bool) -> tuple[str, ...]:
        """What is said of edges and does not enter a network that sees their features, or their weights, or not."""
        if edges:
            return ()
        return tuple(c.name for c in self.edge_columns if not (weights and c.name == self.weighed))

    def equip(self, network: torch_nn.Module) -> None:
        """Gives the graph to a network that can hold one."""
        hold = getattr(network, "hold", None)
        if hold is not None:
            hold(*self.held)

    def take(self, rows: Int[np.ndarray, " taken"]) -> "Nodes":
        return replace(self, node=self.node[rows])

    def without(self, ends: Int[np.ndarray, "2 pair"]) -> "Nodes":
        """The same nodes without the edges between these pairs, in either direction."""
        own, gone = (pair_keys(pairs, self.nodes, both=True) for pairs in (self.edges, ends))
        kept = ~np.isin(own, gone)
        return replace(
            self,
            edges=self.edges[:, kept],
            along=None if self.along is None else self.along[kept],
            weight=None if self.weight is None else self.weight[kept],
        )

    def joined(self, other: "Nodes") -> "Nodes":
        """Both graphs, without an edge between them."""
        first = self.nodes
        entries, table = None, None
        if self.entries is not None and other.entries is not None:
            a, b = self.entries, other.entries
            entries = Entries(
                np.concatenate([a.begin, b.begin[1:] + a.begin[-1]]),
                np.concatenate([a.indices, b.indices]),
                np.concatenate([a.values, b.values]),
                a.width,
            )
        elif self.table is not None and other.table is not None:
            table = np.concatenate([self.table, other.table])
        said: dict[str, Any] = {}
        for name in ("along", "weight"):
            mine, theirs = getattr(self, name), getattr(other, name)
            said[name] = None if mine is None or theirs is None else np.concatenate([mine, theirs])
        return replace(
            self,
            **said,
            edges=np.concatenate([self.edges, other.edges + first], axis=1),
            node=np.concatenate([self.node, other.node + first]),
            table=table,
            entries=entries,
        )

    def hashes(self) -> UInt64[np.ndarray, " rows"]:
        """Nodes of one graph are never the same sample: the node's number counts, its features and its neighbours."""
        if self.entries is not None:
            weights = np.random.default_rng(0).random(self.entries.width)
            own = np.bincount(self.entries.node, self.entries.values * weights[self.entries.indices], self.nodes)
            content = row_hashes(own)
        else:
            content = row_hashes(self._table)
        mixed = row_hashes(content.view(np.int64))
        around = np.zeros(self.nodes, dtype=np.uint64)
        said = mixed[self.edges[0]] if self.along is None else mixed[self.edges[0]] ^ row_hashes(self.along)
        np.add.at(around, self.edges[1], said)
        mine = row_hashes(content.view(np.int64), around.view(np.int64), np.arange(self.nodes))
        return np.asarray(mine[self.node])

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "shape": self.shape.to_json(),
            "sparse": self.entries is not None,
            "both": self.both,
            "names": self.names,
            "columns": [column.to_json() for column in self.columns],
            "edge_columns": [column.to_json() for column in self.edge_columns],
            "weighed": self.weighed,
            **{name: _listed(getattr(self, name)) for name in _STATISTICS},
        }

    @property
    def summary(self) -> str:
        edges, words = self.edges.shape[1], "edges, one way each"
        if self.both:
            edges, words = edges // 2, "edges"
        more = f", {self.shape.edge_features:,} of edges" if self.along is not None else ""
        return f"{self.nodes:,} nodes, {edges:,} {words}, {self.shape.features:,} features{more}"

    def leaks(self, splits: Splits, *, given: bool) -> list[Finding]:
        """Edges between the rows that train and those that judge: a notice, as the graph is one."""
        found = []
        parts = [("the test", Fold(train=splits.train, validation=splits.test))] if len(splits.test) else []
        parts += [("a fold's validation", fold) for fold in splits.folds[:1]]
        for what, fold in parts:
            side = np.zeros(self.nodes, dtype=np.int8)
            side[self.node[fold.train]], side[self.node[fold.validation]] = 1, 2
            ends = side[self.edges]
            across, touch = int((ends.sum(0) == 3).sum()), int((ends == 2).any(0).sum())
            if across:
                message = (
                    f"{across / max(touch, 1):.0%} of the edges of {what} nodes join training nodes: there is one "
                    "graph (transductive). Training sees the features of all its nodes, and labels of training nodes "
                    "alone; the score holds for nodes of this graph."
                )
                found.append(Finding(kind="edges-across-splits", where="edges", message=message, severity="notice"))
                break
        return found

    def alike(self) -> Int[np.ndarray, " rows"] | None:
        """None is alike: each node has a place of its own in the graph."""
        return np.arange(len(self.node))

    def example(self, row: int) -> dict[str, Any]:
        """The node (number 0) with its neighbours, and the edges among them."""
        return self.around([int(self.node[row])])

    def around(self, centres: list[int]) -> dict[str, Any]:
        """These nodes, which come first and are named, with their neighbours, and the edges among them."""
        near = self.edges[0][np.isin(self.edges[1], centres)].tolist()
        chosen = list(dict.fromkeys([*centres, *near]))[:SHOWN]
        place = {node: i for i, node in enumerate(chosen)}
        inside = np.isin(self.edges[0], chosen) & np.isin(self.edges[1], chosen)
        pairs = {tuple(sorted((place[int(a)], place[int(b)]))) for a, b in self.edges[:, inside].T}
        named = list(dict.fromkeys(centres))
        labels = [*map(str, named), *[""] * (len(chosen) - len(named))]
        return {"kind": "graph", "nodes": len(chosen), "edges": [list(p) for p in sorted(pairs)], "labels": labels}


_STATISTICS = ("centre", "scale", "edge_centre", "edge_scale")


def _listed(values: Float[np.ndarray, " feature"] | None) -> list[float] | None:
    found: list[float] | None = None if values is None else values.tolist()
    return found


def centre_and_scale(
    seen: Float[np.ndarray, "row feature"],
) -> tuple[Float[np.ndarray, " feature"], Float[np.ndarray, " feature"]]:
    """Mean and standard deviation of each feature, of the values that are no NaN; the latter 1 where it is 0."""
    seen = seen.astype(np.float64)
    count = np.maximum((~np.isnan(seen)).sum(0), 1)
    centre = np.nansum(seen, 0) / count
    spread = np.sqrt(np.nansum((seen - centre) ** 2, 0) / count)
    scale = np.where(spread > 1e-12 * np.maximum(1.0, np.abs(centre)), spread, 1.0)
    return centre.astype(np.float32), scale.astype(np.float32)


def standardised(
    table: Float[np.ndarray, "row feature"],
    centre: Float[np.ndarray, " feature"] | None,
    scale: Float[np.ndarray, " feature"] | None,
) -> Float[np.ndarray, "row feature"]:
    """Features less their centre, over their scale, where these are known; missing ones 0."""
    x = table if centre is None else (table - centre) / scale
    return np.asarray(np.nan_to_num(x, nan=0.0), dtype=np.float32)


def settled_as(sample: Nodes, description: Mapping[str, Any]) -> Nodes:
    """New nodes, standardised as those that were fitted."""
    known: dict[str, Any] = {
        name: np.asarray(description[name], np.float32) for name in _STATISTICS if description.get(name)
    }
    return replace(sample, **known)
