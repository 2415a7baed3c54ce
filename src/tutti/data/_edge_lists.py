"""Lists of edges: from a file, a frame or an array to numbers of nodes, checked, without loops and repetitions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from tutti.core import Finding, InputError
from tutti.data._sources import Frame, as_array, load
from tutti.data._values import as_words

ENDS = (("source", "target"), ("src", "dst"), ("from", "to"), ("u", "v"), ("node1", "node2"), ("head", "tail"))


def read_edges(source: Any, nodes: int, where: str, *, ids: Sequence[str] | None = None) -> Int[np.ndarray, "2 edge"]:
    """Both ends of each edge as numbers of nodes, in the order of the source.

    source: a path or a frame with the columns "source" and "target" (or src, dst; from, to; …; else its first two),
    or an array [2, edges] or [edges, 2]. ids: the name of each node, where the ends are names; else they are row
    numbers from 0. where: what the nodes are called in errors. Raises InputError where an end is no node.
    """
    array = _plain(source)
    if array is not None and array.dtype.kind not in "US":
        ends = _from_array(array)
        return check_ends(ends, nodes, where)
    first, second = _columns(source)
    if ids is None:
        ends = np.stack([_numbers(first), _numbers(second)])
        return check_ends(ends, nodes, where)
    place = {name: i for i, name in enumerate(ids)}
    return np.stack([_places(end, place, where) for end in (first, second)])


def names_of(source: Any) -> set[str] | None:
    """The ends of the edges as they are written; None for arrays, whose ends are row numbers."""
    array = _plain(source)
    if array is not None and array.dtype.kind not in "US":
        return None
    return {name for end in _columns(source) for name in as_words(end).levels}


def _plain(source: Any) -> np.ndarray | None:
    """The edges as an array, where they are no table."""
    array = None if isinstance(source, str | Path) else as_array(source)
    return None if array is not None and array.dtype.names else array


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


def _columns(source: Any) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    array = _plain(source)
    if array is not None:
        first, second = (pa.chunked_array([pa.array(end.astype(str).astype(object))]) for end in _two_rows(array))
        return first, second
    frame: Frame = load(source)
    names = list(frame.columns)
    if frame.delimiter is not None and len(names) > 1 and all(name.lstrip("-").isdigit() for name in names[:2]):
        frame = load(source, header=False, delimiter=frame.delimiter)
        names = list(frame.columns)
    if len(names) < 2:
        raise InputError(f"The edges {frame.source} have one column only.", fix="Expected source,target.")
    lower = {name.lower(): name for name in names}
    ends = next((pair for pair in ENDS if set(pair) <= set(lower)), None)
    chosen = names[:2] if ends is None else [lower[end] for end in ends]
    return frame.columns[chosen[0]], frame.columns[chosen[1]]


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
    keys = np.unique(ends[1].astype(np.int64) * max(nodes, 1) + ends[0])
    return np.stack([keys % max(nodes, 1), keys // max(nodes, 1)])
