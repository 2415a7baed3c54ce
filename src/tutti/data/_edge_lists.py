"""Lists of edges: from a file, a frame or an array to numbers of nodes, checked, without loops and repetitions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from tutti.core import Finding, InputError
from tutti.data._sources import Frame, as_array, load
from tutti.data._values import as_words

ENDS = (("source", "target"), ("src", "dst"), ("from", "to"), ("u", "v"), ("node1", "node2"), ("head", "tail"))


@dataclass(frozen=True)
class EdgeList:
    """Edges as they came, in their order.

    ends: [2, edge] row numbers of nodes, or both ends as columns, by number or by name. frame: what else their source
    says of each edge; without columns where it says nothing.
    """

    ends: Int[np.ndarray, "2 edge"] | tuple[pa.ChunkedArray, pa.ChunkedArray]
    frame: Frame

    @classmethod
    def of(cls, source: Any) -> "EdgeList":
        """The edges of a path or a frame with the columns "source" and "target" (or src, dst; from, to; …; else its
        first two), or of an array [2, edges] or [edges, 2]."""
        array = None if isinstance(source, str | Path) else as_array(source)
        if array is not None and not array.dtype.names:
            nothing = Frame({}, "edges")
            if array.dtype.kind not in "US":
                return cls(_from_array(array), nothing)
            first, second = (pa.chunked_array([pa.array(end.astype(str).astype(object))]) for end in _two_rows(array))
            return cls((first, second), nothing)
        frame = load(source)
        names = list(frame.columns)
        if frame.delimiter is not None and len(names) > 1 and all(name.lstrip("-").isdigit() for name in names[:2]):
            frame = load(source, header=False, delimiter=frame.delimiter)
            names = list(frame.columns)
        if len(names) < 2:
            raise InputError(f"The edges {frame.source} have one column only.", fix="Expected source,target.")
        lower = {name.lower(): name for name in names}
        pair = next((pair for pair in ENDS if set(pair) <= set(lower)), None)
        chosen = names[:2] if pair is None else [lower[end] for end in pair]
        ends = frame.columns.pop(chosen[0]), frame.columns.pop(chosen[1])
        return cls(ends, frame)

    def names(self) -> set[str] | None:
        """The ends as they are written; None for arrays, whose ends are row numbers."""
        if isinstance(self.ends, np.ndarray):
            return None
        return {name for end in self.ends for name in as_words(end).levels}

    def placed(self, nodes: int, where: str, *, ids: Sequence[str] | None = None) -> Int[np.ndarray, "2 edge"]:
        """Both ends of each edge as numbers of nodes.

        ids: the name of each node, where the ends are names; else they are row numbers from 0. where: what the nodes
        are called in errors. Raises InputError where an end is no node.
        """
        if isinstance(self.ends, np.ndarray):
            return check_ends(self.ends, nodes, where)
        if ids is None:
            return check_ends(np.stack([_numbers(end) for end in self.ends]), nodes, where)
        place = {name: i for i, name in enumerate(ids)}
        return np.stack([_places(end, place, where) for end in self.ends])


def _from_array(array: np.ndarray) -> np.ndarray:
    if array.size == 0:
        return np.zeros((2, 0), np.int64)
    ends = _two_rows(array)
    if ends.dtype.kind == "f" and not (ends == ends.astype(np.int64)).all():
        raise InputError("The edges are no whole numbers.", fix="Give the row numbers of nodes.")
    return ends.astype(np.int64)


def _two_rows(array: np.ndarray) -> np.ndarray:
    if array.ndim != 2 or 2 not in array.shape:
        raise InputError(f"The edges have shape {array.shape}.", fix="Expected [2, edges]: sources, then targets.")
    return array if array.shape[0] == 2 else array.T


def _numbers(column: pa.ChunkedArray) -> Int[np.ndarray, " edge"]:
    words = as_words(column)
    try:
        levels = np.array([int(float(level)) for level in words.levels] or [0], dtype=np.int64)
    except ValueError:
        bad = next(level for level in words.levels if not level.lstrip("-").isdigit())
        raise InputError(
            f"An edge names node {bad!r}, and no column of the nodes holds that name.",
            fix="Use row numbers from 0, or give the nodes a column with their names.",
        ) from None
    _refuse_absent(words.codes)
    return np.asarray(levels[words.codes])


def _places(column: pa.ChunkedArray, place: dict[str, int], where: str) -> Int[np.ndarray, " edge"]:
    words = as_words(column)
    _refuse_absent(words.codes)
    places = np.array([place.get(level, -1) for level in words.levels] or [0], dtype=np.int64)
    found = places[words.codes]
    if (found < 0).any():
        edge = int(np.argmax(found < 0))
        raise InputError(f"Edge {edge} names node {words.levels[words.codes[edge]]!r}, which {where} does not have.")
    return np.asarray(found)


def _refuse_absent(codes: Int[np.ndarray, " edge"]) -> None:
    if (codes < 0).any():
        raise InputError(f"Edge {int(np.argmax(codes < 0))} lacks an end.", fix="Remove it, or fill it in.")


def check_ends(ends: Int[np.ndarray, "2 edge"], nodes: int, where: str) -> Int[np.ndarray, "2 edge"]:
    """The same edges, where every end is a node."""
    outside = (ends < 0) | (ends >= nodes)
    if outside.any():
        edge = int(np.argmax(outside.any(0)))
        node = int(ends[:, edge][outside[:, edge]][0])
        there = f"{where} has rows 0–{nodes - 1}" if nodes else f"{where} has no rows"
        raise InputError(f"Edge {edge} names node {node}, {there}.", fix="Count the rows from 0, without the header.")
    return ends


def tidy_edges(
    ends: Int[np.ndarray, "2 edge"], nodes: int, *, both: bool
) -> tuple[Int[np.ndarray, "2 kept"], list[Finding]]:
    """Edges each once, none from a node to itself, in the order of their targets; with `both`, each in both
    directions. What was odd is said: loops, repetitions, isolated nodes, no edge at all."""
    findings = []

    def notice(kind: str, message: str) -> None:
        findings.append(Finding(kind=kind, where="edges", message=message, severity="notice"))

    loops = ends[0] == ends[1]
    if loops.any():
        notice("self-loops", f"{int(loops.sum()):,} edges lead from a node to itself; they are left out.")
        ends = ends[:, ~loops]
    once, count = _unique(ends, nodes), ends.shape[1]
    if once.shape[1] < count:
        notice("repeated-edges", f"{count - once.shape[1]:,} of {count:,} edges repeat another; each counts once.")
    if both:
        once = _unique(np.concatenate([once, once[::-1]], axis=1), nodes)
    isolated = nodes - len(np.unique(once))
    if not once.shape[1]:
        findings.append(
            Finding(kind="no-edges", where="edges", message="There is no edge: nothing passes from node to node.")
        )
    elif isolated:
        notice(
            "isolated-nodes", f"{isolated:,} of {nodes:,} nodes have no edge; their own features are all they have."
        )
    return once, findings


def _unique(ends: Int[np.ndarray, "2 edge"], nodes: int) -> Int[np.ndarray, "2 kept"]:
    """Distinct edges, sorted by target and then by source."""
    keys = np.unique(pair_keys(ends, nodes))
    return np.stack([keys % max(nodes, 1), keys // max(nodes, 1)])


def pair_keys(ends: Int[np.ndarray, "2 pair"], nodes: int, *, both: bool = False) -> Int[np.ndarray, " pair"]:
    """A number for each pair, equal where both ends are: in their order, or with `both` in either."""
    first, second = np.sort(ends, axis=0) if both else ends
    return np.asarray(second.astype(np.int64) * max(nodes, 1) + first)


def carried(
    values: Float[np.ndarray, "edge feature"],
    given: Int[np.ndarray, "2 edge"],
    kept: Int[np.ndarray, "2 kept"],
    nodes: int,
    *,
    both: bool,
) -> Float[np.ndarray, "kept feature"]:
    """What was said of the given edges, for those that `tidy_edges` kept of them: of edges that are one the mean, of
    the values that are no NaN."""
    own, place = np.unique(pair_keys(given, nodes, both=both), return_inverse=True)
    seen = ~np.isnan(values)
    total, count = (np.zeros((len(own), values.shape[1])) for _ in range(2))
    np.add.at(total, place, np.where(seen, values, 0.0))
    np.add.at(count, place, seen)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (total / count).astype(np.float32)
    return means[np.searchsorted(own, pair_keys(kept, nodes, both=both))]
