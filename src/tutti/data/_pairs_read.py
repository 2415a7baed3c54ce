"""Edges of one graph as rows: those with labels, those that may be missing, and new ones that are asked about."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int

from tutti.core import Finding, InputError
from tutti.data._edge_lists import EdgeList, pair_keys
from tutti.data._graph_columns import described_features
from tutti.data._nodes import Entries, Nodes, settled_as
from tutti.data._one_graph import OneGraph
from tutti.data._pairs import Pairs
from tutti.data._reading import Reading
from tutti.data._sample import Found

EDGE = "edge"  # the target of links
_KEY = 0x11D6


def edge_pairs(graph: OneGraph, reading: Reading) -> Found:
    """Every edge that the source lists as a row."""
    sample = Pairs(graph=graph.sample, ends=graph.given.T, own=graph.said.table, directed=_directed(graph.sample))
    features = {column.name for column in graph.said.columns}
    beside = {name: values for name, values in graph.edges.columns.items() if name not in features}
    if not beside:
        raise InputError(
            f"{graph.source}: the edges have no column beside their ends and features.",
            fix="Name the column to predict, or ask for links: links=True (--links).",
        )
    targets = ("edge_label",) if "edge_label" in beside else ()
    return Found(
        sample=sample, columns=beside, targets=targets, source=graph.source, findings=graph.findings, own=graph.own,
    )  # fmt: skip


def links_of(graph: OneGraph, reading: Reading) -> Found:
    """Every edge once, and as many pairs of nodes that are none, drawn by a fixed key."""
    if reading.wishes.beside:
        raise InputError(
            f"Links are told from all pairs of nodes: no column has a part in that ({reading.wishes.beside[0]!r}).",
            fix="Leave out the target and other columns, or leave out links (--links).",
        )
    nodes, directed, findings = _with_features(graph.sample), _directed(graph.sample), list(graph.findings)
    edges = nodes.edges if directed else nodes.edges[:, nodes.edges[0] < nodes.edges[1]]
    if not edges.shape[1]:
        raise InputError(f"{graph.source} has no edge to learn from.")
    apart = absent_pairs(nodes.edges, nodes.nodes, edges.shape[1], both=not directed)
    if apart.shape[1] < edges.shape[1]:
        message = f"{edges.shape[1]:,} pairs are edges, and no more than {apart.shape[1]:,} are none."
        findings.append(Finding(kind="dense-graph", where="edges", message=message, severity="notice"))
    ends = np.concatenate([edges, apart], axis=1).T
    sample = Pairs(graph=nodes, ends=ends, own=np.zeros((len(ends), 0), np.float32), directed=directed, links=True)
    answers = ["yes"] * edges.shape[1] + ["no"] * apart.shape[1]
    return Found(
        sample=sample, columns={EDGE: answers}, targets=(EDGE,), source=graph.source, findings=tuple(findings),
        own=(*graph.nodes.columns, *graph.edges.columns), metric="auc",
    )  # fmt: skip


def _directed(graph: Nodes) -> bool:
    """Whether edges go one way: they may, and not each of them goes back as well."""
    if graph.both:
        return False
    own, back = (pair_keys(edges, graph.nodes) for edges in (graph.edges, graph.edges[::-1]))
    return not np.isin(back, own).all()


def _with_features(graph: Nodes) -> Nodes:
    """A graph that says nothing of its nodes, with their numbers as their features: each node has weights of its
    own. (How many edges a node has would tell of the edges that are asked about.)"""
    if graph.entries is not None or (graph.table is not None and graph.table.shape[1]):
        return graph
    every = np.arange(graph.nodes, dtype=np.int64)
    entries = Entries(
        np.arange(graph.nodes + 1, dtype=np.int64), every, np.ones(graph.nodes, np.float32), graph.nodes
    )
    return replace(graph, table=None, entries=entries)


def absent_pairs(
    edges: Int[np.ndarray, "2 edge"], nodes: int, count: int, *, both: bool
) -> Int[np.ndarray, "2 absent"]:
    """So many different pairs of different nodes that are no edge, each as likely as the others, by a fixed key; all
    where there are no more. both: (u, v) is (v, u), and u < v stands for them."""
    rng = np.random.default_rng(_KEY)
    taken = np.unique(pair_keys(edges, nodes, both=both))
    every = nodes * (nodes - 1) // (2 if both else 1)
    if every - len(taken) < 2 * count:  # so many of the pairs are wanted that all can be written down
        first, second = np.nonzero(~np.eye(nodes, dtype=bool) if not both else np.triu(np.ones((nodes,) * 2), 1))
        pairs = np.stack([first, second])
        pairs = pairs[:, ~np.isin(pair_keys(pairs, nodes, both=both), taken)]
        return pairs[:, np.sort(rng.permutation(pairs.shape[1])[:count])]
    found = np.zeros((2, 0), np.int64)
    while found.shape[1] < count:
        drawn = rng.integers(0, nodes, (2, 2 * count))
        drawn = np.sort(drawn, axis=0) if both else drawn
        found = np.concatenate([found, drawn[:, drawn[0] != drawn[1]]], axis=1)
        keys = pair_keys(found, nodes, both=both)
        first_of = np.sort(np.unique(keys, return_index=True)[1])
        found = found[:, first_of[~np.isin(keys[first_of], taken)]]
    return found[:, :count]


def as_fitted(graph: Nodes, shape: Mapping[str, Any]) -> Nodes:
    """The same graph, where it has as many features of nodes and edges as the one that was fitted."""
    for what, own, fitted in (
        ("nodes have", graph.shape.features, shape["features"]),
        ("edges have", graph.shape.edge_features, shape.get("edge_features", 0)),
    ):
        if own != fitted:
            raise InputError(
                f"The {what} {own} features; the model was fitted on {fitted}.",
                fix="Give the same features in the same order.",
            )
    return graph


def new_pairs(graph: OneGraph, pairs: Any, description: Mapping[str, Any]) -> Found:
    """The edges of a new graph, or the pairs that are asked about, read as a description says."""
    links, told = bool(description["links"]), description["shape"]
    nodes = _with_features(graph.sample) if links else graph.sample
    nodes = settled_as(as_fitted(nodes, told), description["graph"])
    if pairs is None and links:
        raise InputError(
            "Which pairs of nodes are asked about?", fix="Give them behind nodes and edges: (nodes, edges, pairs)."
        )
    ends, said, frame = graph.given, graph.said, graph.edges
    if pairs is not None:
        listed = EdgeList.of(pairs)
        ends, frame = listed.placed(nodes.nodes, graph.source, ids=graph.ids), listed.frame
        columns = () if links else description["graph"].get("edge_columns", ())
        said = described_features(frame, ends.shape[1], columns, "edges")
    own = np.zeros((ends.shape[1], 0), np.float32) if links else said.table
    if own.shape[1] != told["own"]:
        raise InputError(f"The pairs have {own.shape[1]} features; the model was fitted on {told['own']}.")
    sample = Pairs(
        graph=nodes.without(ends) if links else nodes, ends=ends.T, own=own, directed=told["directed"], links=links
    )
    features = {column.name for column in graph.sample.edge_columns}
    beside: dict[str, Any] = {name: values for name, values in frame.columns.items() if name not in features}
    return Found(
        sample=sample.settled_as(description), columns=beside or {"pair": np.arange(len(sample))},
        source=graph.source, findings=graph.findings,
    )  # fmt: skip
