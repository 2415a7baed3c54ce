"""Near-copies among graphs: the same nodes and edges, their numbers rounded anew or with a little noise."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from tutti.core import Finding
from tutti.data._near_copies import beyond_chance
from tutti.data._row_content import row_hashes

SKETCHES = 8  # numbers that stand for all those of a graph
FEWEST, SHARE = 2, 0.01  # near-copies, and their share of the graphs that judge, which are worth a notice
TRAIN_ROWS, JUDGED_ROWS = 50_000, 10_000  # looked at, drawn by a fixed seed from larger collections


class Part(NamedTuple):
    """The nodes of some graphs, or their edges: numbers at mean 0 and spread 1 (0 where missing), a hash of what each
    is in the structure, and the row of its graph."""

    numbers: Float[np.ndarray, "item number"]
    what: UInt64[np.ndarray, " item"]
    row: Int[np.ndarray, " item"]


def near_graphs(
    structure: UInt64[np.ndarray, " row"],
    parts: Sequence[Part],
    exact: Bool[np.ndarray, " judged"],
    where: str,
) -> list[Finding]:
    """A notice where graphs that judge (the first rows, as many as `exact`) nearly equal a later, training one.

    Their structure must be the same: `structure` hashes nodes, edges, categories and which numbers are missing. Their
    numbers are compared by SKETCHES random sums: over nodes and edges of w · (z b + (z² − 1) b'), z standardised, b
    normal, w uniform in ±1 by what the node is in the structure, so that the order of nodes does not matter, divided
    by the root of how many nodes and edges there are. A graph is a near-copy where all these sums share a cell of a
    hundredth of their spread with those of a training graph, as rows of tables are (near_copies, chance included);
    exact copies (`exact`) are told elsewhere.
    """
    sums = _sketch(parts, len(structure))
    count = beyond_chance(sums, structure.view(np.int64)[:, None], exact)
    if count < max(FEWEST, SHARE * len(exact)):
        return []
    message = (
        f"{count:,} of {len(exact):,} graphs that judge ({where}) nearly equal one of "
        f"{len(structure) - len(exact):,} training graphs: the same nodes, edges and categories, and numbers that "
        "differ by about a hundredth of their spread or less. If they are the same samples measured or rounded anew, "
        "the score is too good: hold them out together by --group COLUMN."
    )
    return [Finding(kind="near-duplicates", where=where, message=message, severity="notice")]


def _sketch(parts: Sequence[Part], rows: int) -> Float[np.ndarray, "row sketch"]:
    draw = np.random.default_rng(0)
    sums, items = np.zeros((rows, SKETCHES)), np.zeros(rows)
    for part in parts:
        told = np.concatenate([part.numbers, part.numbers**2 - 1], 1)
        told = told @ draw.standard_normal((told.shape[1], SKETCHES))
        for k in range(SKETCHES):
            weight = row_hashes(part.what.view(np.int64), np.full(len(told), k)) / 2.0**63 - 1
            sums[:, k] += np.bincount(part.row, weight * told[:, k], minlength=rows)
        items += np.bincount(part.row, minlength=rows)
    return sums / np.sqrt(np.maximum(items, 1))[:, None]
