"""The readers of one graph whose nodes, or whose edges, are the samples."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from tutti.core import Finding, InputError
from tutti.data._nodes import Nodes, settled_as
from tutti.data._one_graph import EDGES, OneGraph, is_archive, is_graph, read_graph
from tutti.data._pairs_read import as_fitted, edge_pairs, links_of, new_pairs
from tutti.data._reading import Reading
from tutti.data._sample import Found


class NodeReader:
    """Reads one graph.

    A table of nodes (any source of a table) with `edges` (any source of a table, or an array): its rows are the
    nodes, its columns their features, but for targets and other roles. The ends of edges are row numbers from 0, or
    names of nodes where a column holds these. Edges go both ways. What other columns say of each edge are features
    of the edges; a column "weight" of numbers of at least 0 weighs them.
    An .npz archive, or a dict, with "edges" or "edge_index", features "x" (or the parts "x_indptr", "x_indices",
    "x_data" of a sparse matrix), "edge_attr" [edge, feature] and "edge_weight", labels "y" and a split:
    "train_mask", "val_mask", "test_mask"; or "num_train" and "test_idx", as Planetoid's: the first nodes train, the
    next 500 validate. Nodes outside the split have no label.
    A torch-geometric Data: the same by attribute; its edges go as they stand. A networkx graph: attributes of nodes
    and edges are columns, and the edges of an undirected one go both ways.

    Where the target is a column of the edges and none of the nodes ("edge_label" of a dict or Data), the edges are
    the samples; with `links` they are pairs of nodes, half of which are edges: see EdgeReader.
    For predictions on a new graph, nodes and edges come as a pair: (nodes, edges).
    """

    kind = "nodes"

    def claims(self, source: Any, reading: Reading) -> bool:
        if isinstance(source, str | Path):
            return is_archive(Path(source))
        if isinstance(source, Mapping):
            return bool(set(EDGES) & set(map(str, source)))
        return is_graph(source)

    def read(self, source: Any, reading: Reading) -> Found:
        if isinstance(source, tuple) and len(source) == 2:
            source, reading = source[0], replace(reading, edges=source[1])
        graph = read_graph(source, reading, None)
        if reading.links:
            return links_of(graph, reading)
        return edge_pairs(graph, reading) if graph.of_edges else _nodes(graph)

    def encode(self, description: Mapping[str, Any], source: Any, reading: Reading) -> Found:
        if isinstance(source, tuple) and len(source) == 2:
            source, reading = source[0], replace(reading, edges=source[1])
        found = _nodes(read_graph(source, replace(reading, links=False), description))
        assert isinstance(found.sample, Nodes)
        return replace(found, sample=settled_as(as_fitted(found.sample, description["shape"]), description))


class EdgeReader:
    """Reads one graph as NodeReader does, whose edges are the samples.

    Every edge of the source is a row, those that repeat another among them; its features are the edge's. All edges
    pass messages, whether they have a label or not. With `links` the rows are pairs of nodes: each edge once, and as
    many pairs that are no edge; whether a pair is an edge is the target "edge".

    For predictions: (nodes, edges) asks about every edge; (nodes, edges, pairs) about those of the table `pairs`
    (with the columns of the edges), whose messages pass along the edges.
    """

    kind = "edges"

    def claims(self, source: Any, reading: Reading) -> bool:
        return False  # NodeReader sees whether the edges are meant

    def read(self, source: Any, reading: Reading) -> Found:
        return NodeReader().read(source, reading)

    def encode(self, description: Mapping[str, Any], source: Any, reading: Reading) -> Found:
        pairs = None
        if isinstance(source, tuple) and len(source) in (2, 3):
            source, edges, pairs = (*source, None)[:3]
            reading = reading if edges is None else replace(reading, edges=edges)
        graph = read_graph(source, reading, description["graph"])
        return new_pairs(graph, pairs, description)


def _nodes(graph: OneGraph) -> Found:
    """The nodes of a graph as the samples."""
    nodes, findings = len(graph.sample), list(graph.findings)
    if not graph.arrays:
        features = {column.name for column in graph.sample.columns}
        beside = {name: values for name, values in graph.nodes.columns.items() if name not in features}
        return Found(
            sample=graph.sample, columns=beside or {"node": np.arange(nodes)}, targets=graph.nodes.targets,
            source=graph.source, findings=graph.findings, own=graph.own,
        )  # fmt: skip
    split, columns = Split(), {}
    y = graph.arrays.get("y")
    if y is not None:
        if len(y) != nodes:
            raise InputError(f"{graph.source} has {nodes} nodes, and {len(y)} labels.", fix="Give one for each node.")
        split = _split(graph.arrays, nodes)
        columns = _labels(y, split.outside)
        findings += _unlabelled(split, nodes)
    return Found(
        sample=graph.sample, columns=columns or {"node": list(range(nodes))}, targets=tuple(columns),
        source=graph.source, test=split.test, validation=split.validation, findings=tuple(findings),
    )  # fmt: skip


@dataclass(frozen=True)
class Split:
    """Rows of a published split, and which nodes it leaves out."""

    test: Int[np.ndarray, " test"] | None = None
    validation: Int[np.ndarray, " validation"] | None = None
    outside: Int[np.ndarray, " outside"] | None = None


def _split(arrays: Mapping[str, np.ndarray], nodes: int) -> Split:
    masks = [arrays.get(name) for name in ("train_mask", "val_mask", "test_mask")]
    if "num_train" in arrays and "test_idx" in arrays:
        train = np.arange(int(arrays["num_train"]))
        validation = np.arange(len(train), min(len(train) + 500, nodes))
        parts = [train, validation, arrays["test_idx"].astype(np.int64)]
    elif masks[0] is not None and masks[2] is not None and all(m is None or m.ndim == 1 for m in masks):
        parts = [np.flatnonzero(m) if m is not None else np.zeros(0, np.int64) for m in masks]
    else:
        return Split()
    for part in parts:
        if len(part) and not 0 <= part.min() <= part.max() < nodes:
            raise InputError(f"The split names node {part.max()}; there are nodes 0–{nodes - 1}.")
    if len(np.intersect1d(parts[0], parts[2])) or len(np.intersect1d(parts[0], parts[1])):
        raise InputError("Nodes that train stand in the split's validation or test part too.")
    outside = np.setdiff1d(np.arange(nodes), np.concatenate(parts))
    return Split(np.sort(parts[2]), np.sort(parts[1]) if len(parts[1]) else None, outside)


def _unlabelled(split: Split, nodes: int) -> list[Finding]:
    if split.outside is None or not len(split.outside):
        return []
    message = (
        f"The source's own split is used: {nodes - len(split.outside):,} of {nodes:,} nodes stand in it. The others "
        "have features and edges and no label."
    )
    return [Finding(kind="given-split", where="nodes", message=message, severity="notice")]


def _labels(y: np.ndarray, outside: np.ndarray | None) -> dict[str, list[Any]]:
    """Labels by name: whole numbers are classes; nodes outside the split have none."""
    if y.ndim == 2 and y.shape[1] > 1:
        columns = {f"y{i}": y[:, i].tolist() for i in range(y.shape[1])}
    else:
        flat = y.reshape(-1)
        columns = {"y": [str(v) for v in flat.tolist()] if flat.dtype.kind in "iub" else flat.tolist()}
    if outside is not None:
        for values in columns.values():
            for i in outside:
                values[i] = None
    return columns
