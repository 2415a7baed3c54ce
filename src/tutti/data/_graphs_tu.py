"""The graph collections of TU Dortmund: their folders of text files, and the one-file form of Xu et al. (2019)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tutti.core import InputError
from tutti.data._graphs import Graph

Labels = list[str] | list[float]
_LINE = 100_000  # characters of a line that are looked at


def is_one_file(path: Path) -> bool:
    """A text file whose first line is a number of graphs, its second "nodes label", its third "tag degree
    neighbours…", maybe with numbers behind these."""
    if path.suffix != ".txt" or not path.is_file():
        return False
    with path.open(encoding="utf8", errors="replace") as file:
        first, second, third = (file.readline(_LINE).split() for _ in range(3))
    if len(first) != 1 or len(second) != 2 or not _whole((*first, *second, *third[:2])) or len(third) < 2:
        return False
    count = 2 + int(third[1])
    return len(third) >= count and _whole(third[:count]) and all(map(_is_number, third[count:]))


def _whole(words: Sequence[str]) -> bool:
    return all(word.lstrip("-").isdigit() for word in words)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def is_folder(path: Path) -> bool:
    return path.is_dir() and any(path.glob("*_graph_indicator.txt"))


def read_one_file(path: Path) -> tuple[list[Graph], list[str]]:
    """Per graph a line "nodes label", then per node "tag degree neighbours…" (and numbers behind these)."""
    lines = path.read_text(encoding="utf8").splitlines()
    graphs, labels, at = [], [], 1
    try:
        for number in range(int(lines[0])):
            nodes, label = lines[at].split()[:2]
            rows = [line.split() for line in lines[at + 1 : at + 1 + int(nodes)]]
            if len(rows) != int(nodes):
                raise InputError(f"{path.name} ends within graph {number}.", fix="Is the file complete?")
            graphs.append(_from_rows(rows, number, path.name))
            labels.append(label)
            at += 1 + int(nodes)
    except (ValueError, IndexError) as error:
        raise InputError(f"{path.name} cannot be read near line {at + 1}: {error}.") from error
    return graphs, labels


def _from_rows(rows: list[list[str]], number: int, name: str) -> Graph:
    tags = np.array([[int(row[0])] for row in rows], dtype=np.int64).reshape(-1, 1)
    degree = [int(row[1]) for row in rows]
    source = np.array([int(x) for row, d in zip(rows, degree, strict=True) for x in row[2 : 2 + d]], dtype=np.int64)
    target = np.repeat(np.arange(len(rows)), degree)
    numbers = [row[2 + d :] for row, d in zip(rows, degree, strict=True)]
    return checked(
        Graph(
            numbers=np.array(numbers, dtype=np.float32).reshape(len(rows), -1 if rows and numbers[0] else 0),
            marks=tags,
            edges=np.stack([source, target]),
            edge_numbers=np.zeros((len(source), 0), np.float32),
            edge_marks=np.zeros((len(source), 0), np.int64),
        ),
        number,
        name,
    )


def checked(graph: Graph, number: int, name: str) -> Graph:
    """The same graph, where every edge joins two of its nodes."""
    ends, nodes = graph.edges, graph.nodes
    outside = (ends < 0) | (ends >= nodes)
    if outside.any():
        edge = int(np.argmax(outside.any(0)))
        node = int(ends[:, edge][outside[:, edge]][0])
        there = f"it has nodes 0–{nodes - 1}" if nodes else "it has no nodes"
        raise InputError(f"Edge {edge} of graph {number} in {name} names node {node}; {there}.")
    return graph


def read_folder(path: Path) -> tuple[list[Graph], Labels, str]:
    """NAME_A.txt (pairs of nodes from 1), NAME_graph_indicator.txt, and where they are there NAME_node_labels,
    _node_attributes, _edge_labels, _edge_attributes, and _graph_labels or _graph_attributes; the name too."""
    name = next(path.glob("*_graph_indicator.txt")).name.removesuffix("_graph_indicator.txt")

    def part(what: str) -> np.ndarray | None:
        file = path / f"{name}_{what}.txt"
        if not file.is_file():
            return None
        try:
            return np.loadtxt(file, delimiter=",", ndmin=2, encoding="utf8")
        except ValueError as error:
            raise InputError(f"{file.name} cannot be read: {error}.") from error

    pairs, owner = part("A"), part("graph_indicator")
    if pairs is None or owner is None:
        raise InputError(f"{path.name} lacks {name}_A.txt.", fix="Is the folder complete?")
    owner = owner[:, 0].astype(np.int64) - 1
    ends = pairs.astype(np.int64).T - 1
    if ends.size and (ends.min() < 0 or ends.max() >= len(owner)):
        edge = int(np.argmax(((ends < 0) | (ends >= len(owner))).any(0)))
        raise InputError(f"Edge {edge} of {name}_A.txt names node {ends[:, edge].max() + 1}; there are {len(owner)}.")
    if (owner[ends[0]] != owner[ends[1]]).any():
        edge = int(np.argmax(owner[ends[0]] != owner[ends[1]]))
        raise InputError(f"Edge {edge} of {name}_A.txt joins two graphs.")
    graphs = _cut(
        owner, ends, *(part(w) for w in ("node_labels", "node_attributes", "edge_labels", "edge_attributes"))
    )
    classes, values = part("graph_labels"), part("graph_attributes")
    if classes is not None:
        return graphs, [str(int(v)) for v in classes[:, 0]], name
    if values is None:
        raise InputError(f"{path.name} lacks {name}_graph_labels.txt.", fix="Is the folder complete?")
    return graphs, [float(v) for v in values[:, 0]], name


def _cut(
    owner: np.ndarray,
    ends: np.ndarray,
    tags: np.ndarray | None,
    numbers: np.ndarray | None,
    edge_tags: np.ndarray | None,
    edge_numbers: np.ndarray | None,
) -> list[Graph]:
    """One graph for each owner; nodes keep their order."""
    count = int(owner.max(initial=-1)) + 1
    order = np.argsort(owner, kind="stable")
    begin = np.searchsorted(owner[order], np.arange(count + 1))
    place = np.empty(len(owner), np.int64)
    place[order] = np.arange(len(owner)) - begin[owner[order]]
    by_graph = np.argsort(owner[ends[0]], kind="stable")
    cut = np.searchsorted(owner[ends[0]][by_graph], np.arange(count + 1))

    def some(values: np.ndarray | None, rows: np.ndarray, kind: type) -> np.ndarray:
        return np.zeros((len(rows), 0), kind) if values is None else values[rows].astype(kind)

    graphs = []
    for g in range(count):
        nodes, edges = order[begin[g] : begin[g + 1]], by_graph[cut[g] : cut[g + 1]]
        graphs.append(
            Graph(
                numbers=some(numbers, nodes, np.float32),
                marks=some(tags, nodes, np.int64),
                edges=place[ends[:, edges]],
                edge_numbers=some(edge_numbers, edges, np.float32),
                edge_marks=some(edge_tags, edges, np.int64),
            )
        )
    return graphs
