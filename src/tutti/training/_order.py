"""The order of rows: every batch is full, drawn from the stream's own endless chain of permutations."""

import numpy as np
from jaxtyping import Int

from tutti.core import permutation, stream_key

ORDER = 1  # which of a stream's independent random streams this is
MASKS = 2
WEIGHTS = 3


def batch_rows(
    train: Int[np.ndarray, " train"], seed: int, fold: int, batch_size: int, first: int, last: int
) -> Int[np.ndarray, "step batch"]:
    """Row numbers of the batches of steps first … last−1.

    The chain is permutation 0, permutation 1, … of `train`, each keyed by (seed, fold, its number); step t
    takes the places t·batch_size … (t+1)·batch_size − 1 of it. Any step can be asked for without those
    before it, which is what makes resuming exact.
    """
    begin, end, rows = first * batch_size, last * batch_size, len(train)
    passes = range(begin // rows, (end - 1) // rows + 1)
    chain = np.concatenate([train[permutation(stream_key(seed, fold, ORDER, number), rows)] for number in passes])
    offset = begin - passes[0] * rows
    return chain[offset : offset + end - begin].reshape(last - first, batch_size)
