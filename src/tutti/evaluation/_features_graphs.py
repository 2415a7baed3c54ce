"""What an expert tries before a network on graphs: statistics of nodes and edges, and fingerprints of molecules."""

import numpy as np
from jaxtyping import Float

from tutti.core import Splits
from tutti.data import Graphs, fingerprints, parse_smiles
from tutti.evaluation._inputs import Inputs

DEGREES = 8  # counted one by one; larger ones count as this


def inputs(sample: Graphs, splits: Splits) -> Inputs:
    """Statistics of each graph, and for molecules counts of the Morgan fingerprint, for linear models and trees."""
    parts = [statistics(sample)]
    if sample.smiles is not None:
        molecules, _ = parse_smiles(sample.smiles.tolist())
        parts.append(fingerprints(molecules).astype(np.float32))
    numbers = np.concatenate(parts, axis=1)
    return Inputs(numbers=numbers, codes=np.zeros((len(numbers), 0), np.int32))


def statistics(sample: Graphs) -> Float[np.ndarray, "rows feature"]:
    """Of each graph: nodes, edges, density; mean, spread and largest degree, nodes of degree 0 … 8 or more;
    sum, mean and largest of each number of nodes and edges; how many of them have each category, and which share.
    """
    nodes, edges = sample.counts.T.astype(np.float32)
    rows = [_of(sample, row) for row in range(len(sample))]
    size = np.stack([nodes, edges, edges / np.maximum(nodes * (nodes - 1), 1)], axis=1)
    return np.concatenate([size, np.stack(rows)], axis=1).astype(np.float32)


def _of(sample: Graphs, row: int) -> np.ndarray:
    n, e = (int(x) for x in sample.counts[row])
    degree = np.bincount(sample.edges[row, :e, 1], minlength=max(n, 1))
    counted = np.bincount(degree.clip(max=DEGREES), minlength=DEGREES + 1)
    parts = [np.array([degree.mean(), degree.std(), degree.max(initial=0)]), counted]
    for numbers, codes, known, many in (
        (sample.numbers, sample.codes, sample.values, n),
        (sample.edge_numbers, sample.edge_codes, sample.edge_values, e),
    ):
        own = np.nan_to_num(numbers[row, :many])
        top = own.max(0) if many else np.zeros(own.shape[1])
        parts += [own.sum(0), own.sum(0) / max(many, 1), top]
        for column, values in enumerate(known):
            count = np.bincount(codes[row, :many, column], minlength=len(values) + 1)
            parts += [count, count / max(many, 1)]
    return np.concatenate(parts)
