"""Many graphs, one a sample: padded to one size, edges in the order of their targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped, UInt8, UInt64
from torch import Tensor, nn

from tutti.core import Finding, GraphShape, Rows, Splits
from tutti.data._graphs_alike import JUDGED_ROWS, TRAIN_ROWS, Part, near_graphs
from tutti.data._near_copies import met, sides
from tutti.data._row_content import copied_rows, first_alike, row_hashes
from tutti.data._sample import Encoded, Sample

ROUNDS = 3  # of refinement in a hash
SHOWN = 60  # nodes of an example
_ARRAYS = ("numbers", "codes", "edges", "edge_numbers", "edge_codes", "counts")


@dataclass(frozen=True, kw_only=True)
class Graph:
    """One graph as read: numbers [node, number], marks [node, mark] (whole numbers that stand for something: an
    element, a tag), edges [2, edge], and the same of edges."""

    numbers: Float[np.ndarray, "node number"]
    marks: Int[np.ndarray, "node mark"]
    edges: Int[np.ndarray, "2 edge"]
    edge_numbers: Float[np.ndarray, "edge given"]
    edge_marks: Int[np.ndarray, "edge told"]

    @property
    def nodes(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, eq=False, kw_only=True)
class Graphs(Sample):
    """Graphs, rows first: `counts` says how many nodes and edges of each are no padding.

    numbers in raw units, NaN where missing. codes of categories: mark i of values[column] is i + 1, any other 0.
    edges [row, edge, 2]: from, to; sorted by target, then source. values, edge_values: of the marks, column by
    column. labels: what marks of the first column are called in pictures. source: what the reader must know to read
    new graphs alike. smiles: of molecules, as read.
    """

    kind: ClassVar[str] = "graphs"

    numbers: Float[np.ndarray, "rows nodes number"]
    codes: UInt8[np.ndarray, "rows nodes category"]
    edges: Int[np.ndarray, "rows edges 2"]
    edge_numbers: Float[np.ndarray, "rows edges given"]
    edge_codes: UInt8[np.ndarray, "rows edges told"]
    counts: Int[np.ndarray, "rows 2"]
    values: tuple[tuple[int, ...], ...] = ()
    edge_values: tuple[tuple[int, ...], ...] = ()
    labels: tuple[str, ...] = ()
    source: Mapping[str, Any]
    smiles: Shaped[np.ndarray, " rows"] | None = None

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def shape(self) -> GraphShape:
        return GraphShape(
            features=self.numbers.shape[2],
            edge_features=self.edge_numbers.shape[2],
            nodes=self.numbers.shape[1],
            edges=self.edges.shape[1],
            levels=tuple(len(column) + 1 for column in self.values),
            edge_levels=tuple(len(column) + 1 for column in self.edge_values),
        )

    def inputs(self) -> tuple[Tensor | Rows, ...]:
        """Numbers, codes and edges, the edges' numbers and codes, and counts."""
        return tuple(torch.from_numpy(getattr(self, name)) for name in _ARRAYS)

    def fit(self, network: nn.Module, rows: Int[np.ndarray, " train"], target: Encoded = None) -> dict[str, Tensor]:
        """Mean and spread of each number, over the nodes (edges) of the training graphs."""
        own = dict(network.named_buffers())
        found = {}
        for name, numbers, side in (("node", self.numbers, 0), ("edge", self.edge_numbers, 1)):
            if f"{name}_centre" in own:
                real = np.arange(numbers.shape[1]) < self.counts[rows, side][:, None]
                centre, scale = _moments(numbers[rows][real])
                found[f"{name}_centre"], found[f"{name}_scale"] = torch.from_numpy(centre), torch.from_numpy(scale)
        return found

    def take(self, rows: Int[np.ndarray, " taken"]) -> "Graphs":
        arrays = {name: getattr(self, name)[rows] for name in _ARRAYS}
        return replace(self, **arrays, smiles=None if self.smiles is None else self.smiles[rows])

    def joined(self, other: "Graphs") -> "Graphs":
        parts: dict[str, Any] = {}
        for name in _ARRAYS:
            a, b = getattr(self, name), getattr(other, name)
            if name != "counts":
                long = max(a.shape[1], b.shape[1])
                a, b = _padded(a, long), _padded(b, long)
            parts[name] = np.concatenate([a, b])
        if self.smiles is not None and other.smiles is not None:
            parts["smiles"] = np.concatenate([self.smiles, other.smiles])
        return replace(self, **parts)

    def hashes(self) -> UInt64[np.ndarray, " rows"]:
        """Equal where colour refinement (three rounds of it, Weisfeiler & Leman 1968) tells two graphs not apart,
        whatever the order of their nodes; message passing of three layers does not tell them apart either."""
        return self._coloured(self.numbers, self.edge_numbers)[0]

    def _coloured(
        self, numbers: Shaped[np.ndarray, "rows nodes number"], edge_numbers: Shaped[np.ndarray, "rows edges given"]
    ) -> tuple[UInt64[np.ndarray, " rows"], UInt64[np.ndarray, " node"], UInt64[np.ndarray, " edge"]]:
        """Hashes of the rows, and the colours of all nodes and edges, where these are the numbers that count."""
        node, edge, first = self._union()
        own = row_hashes(numbers[node], self.codes[node]).view(np.int64)
        along = row_hashes(edge_numbers[edge], self.edge_codes[edge], np.zeros(len(edge[0]))).view(np.int64)
        source, target = (first[edge[0]] + self.edges[edge][:, end] for end in (0, 1))
        for _ in range(ROUNDS):
            own = row_hashes(own, _summed(row_hashes(own[source], along), target, len(own))).view(np.int64)
        rows = row_hashes(_summed(row_hashes(own), node[0], len(self)), self.counts)
        return rows, row_hashes(own), row_hashes(along, own[source], own[target])

    def _union(self) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...], np.ndarray]:
        """Row and place of every node and every edge that is no padding; the number of each row's first node."""
        sizes = self.counts.astype(np.int64)
        node = np.nonzero(np.arange(self.numbers.shape[1]) < sizes[:, :1])
        edge = np.nonzero(np.arange(self.edges.shape[1]) < sizes[:, 1:])
        return node, edge, np.cumsum(sizes[:, 0]) - sizes[:, 0]

    def alike(self) -> Int[np.ndarray, " rows"] | None:
        """Graphs of one hash stand on one side, but for shapes so common that any sample meets them."""
        ids = first_alike(self.hashes())
        return np.where(copied_rows(ids), ids, np.arange(len(ids)))

    def leaks(self, splits: Splits, *, given: bool) -> list[Finding]:
        """Graphs that judge and nearly equal a training graph: the structure the same, the numbers nearly so."""
        if not (self.numbers.shape[2] or self.edge_numbers.shape[2]):
            return []
        where, train, judged = sides(splits, TRAIN_ROWS, JUDGED_ROWS)
        part = self.take(np.concatenate([judged, train]))
        structure, nodes, edges = part._coloured(np.isnan(part.numbers), np.isnan(part.edge_numbers))
        node, edge, _ = part._union()
        parts = []
        for numbers, items, colour in ((part.numbers, node, nodes), (part.edge_numbers, edge, edges)):
            told = numbers[items].astype(np.float64)
            centre, scale = _moments(told)
            parts.append(Part(np.nan_to_num((told - centre) / scale), colour, items[0]))
        return near_graphs(structure, parts, met(first_alike(part.hashes()), len(judged)), where)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "shape": self.shape.to_json(),
            "values": [list(column) for column in self.values],
            "edge_values": [list(column) for column in self.edge_values],
            "labels": list(self.labels),
            "source": dict(self.source),
        }

    @property
    def summary(self) -> str:
        nodes, edges = self.counts.mean(0)
        return (
            f"{len(self):,} graphs of {nodes:.1f} nodes and {edges:.1f} directed edges on average (at most "
            f"{self.counts[:, 0].max(initial=0):,} and {self.counts[:, 1].max(initial=0):,})"
        )

    def example(self, row: int) -> dict[str, Any]:
        """The graph's nodes (at most SHOWN) with their marks, and its edges, each once."""
        nodes, edges = (int(n) for n in self.counts[row])
        shown = min(nodes, SHOWN)
        pairs = {tuple(sorted((int(a), int(b)))) for a, b in self.edges[row, :edges] if max(a, b) < shown}
        labels = [""] * shown
        if self.codes.shape[2]:
            names = ["?", *(self.labels or map(str, self.values[0]))]
            labels = [names[code] for code in self.codes[row, :shown, 0]]
        return {"kind": "graph", "nodes": shown, "edges": [list(p) for p in sorted(pairs)], "labels": labels}


def _moments(seen: Float[np.ndarray, "item number"]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column without missing values; 0 and 1 where there is nothing to scale."""
    seen = seen.astype(np.float64)
    count = np.maximum((~np.isnan(seen)).sum(0), 1)
    centre = np.nansum(seen, 0) / count
    spread = np.sqrt(np.nansum((seen - centre) ** 2, 0) / count)
    scale = np.where(spread > 1e-9 * np.maximum(1.0, np.abs(centre)), spread, 1.0)
    return centre.astype(np.float32), scale.astype(np.float32)


def _summed(hashes: UInt64[np.ndarray, " item"], place: np.ndarray, places: int) -> np.ndarray:
    total = np.zeros(places, dtype=np.uint64)
    np.add.at(total, place, hashes)
    return total.view(np.int64)


def _padded(array: np.ndarray, length: int) -> np.ndarray:
    more = [(0, 0), (0, length - array.shape[1]), *[(0, 0)] * (array.ndim - 2)]
    return np.pad(array, more)


def distinct(graphs: Sequence[Graph], *, edges: bool = False) -> tuple[tuple[int, ...], ...]:
    """The values of each column of marks over all graphs, in order: at most 255, the most frequent ones."""
    parts = [graph.edge_marks if edges else graph.marks for graph in graphs]
    columns = np.concatenate(parts).T if parts else np.zeros((0, 0), np.int64)
    found = []
    for column in columns:
        values, count = np.unique(column, return_counts=True)
        kept = np.sort(np.argsort(-count, kind="stable")[:255])
        found.append(tuple(int(v) for v in values[kept]))
    return tuple(found)


def assemble(
    graphs: Sequence[Graph],
    *,
    values: Sequence[Sequence[int]] | None = None,
    edge_values: Sequence[Sequence[int]] | None = None,
    labels: Sequence[str] = (),
    source: Mapping[str, Any],
    smiles: Sequence[str] | None = None,
) -> Graphs:
    """Graphs of equal features side by side. values, edge_values: of marks, where they are known already."""
    values = distinct(graphs) if values is None else tuple(tuple(column) for column in values)
    edge_values = distinct(graphs, edges=True) if edge_values is None else tuple(tuple(c) for c in edge_values)
    nodes = max((graph.nodes for graph in graphs), default=0)
    edges = max((graph.edges.shape[1] for graph in graphs), default=0)
    rows, like = len(graphs), graphs[0] if graphs else None
    many = 0 if like is None else like.numbers.shape[1]
    given = 0 if like is None else like.edge_numbers.shape[1]
    sample = Graphs(
        numbers=np.zeros((rows, nodes, many), np.float32),
        codes=np.zeros((rows, nodes, len(values)), np.uint8),
        edges=np.zeros((rows, edges, 2), np.int16 if nodes < 2**15 else np.int32),
        edge_numbers=np.zeros((rows, edges, given), np.float32),
        edge_codes=np.zeros((rows, edges, len(edge_values)), np.uint8),
        counts=np.zeros((rows, 2), np.int32),
        values=values,
        edge_values=edge_values,
        labels=tuple(labels),
        source=source,
        smiles=None if smiles is None else np.array(list(smiles), dtype=object),
    )
    for row, graph in enumerate(graphs):
        order, kept = _order(graph)
        n, e = graph.nodes, kept.shape[1]
        sample.counts[row] = n, e
        sample.numbers[row, :n] = graph.numbers
        sample.edges[row, :e] = kept.T
        sample.edge_numbers[row, :e] = graph.edge_numbers[order]
        for column, known in enumerate(values):
            sample.codes[row, :n, column] = _coded(graph.marks[:, column], known)
        for column, known in enumerate(edge_values):
            sample.edge_codes[row, :e, column] = _coded(graph.edge_marks[order, column], known)
    return sample


def _order(graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    """Which edges are kept (none from a node to itself, none twice), by target and then source; and these."""
    keys = graph.edges[1] * max(graph.nodes, 1) + graph.edges[0]
    _, order = np.unique(keys, return_index=True)
    order = order[graph.edges[0, order] != graph.edges[1, order]]
    return order, graph.edges[:, order]


def _coded(marks: Int[np.ndarray, " item"], known: Sequence[int]) -> UInt8[np.ndarray, " item"]:
    """The place of each mark among the known ones (sorted), from 1; 0 where it is none of them."""
    if not known:
        return np.zeros(len(marks), np.uint8)
    table = np.asarray(known)
    place = np.searchsorted(table, marks).clip(max=len(table) - 1)
    return np.where(table[place] == marks, place + 1, 0).astype(np.uint8)
