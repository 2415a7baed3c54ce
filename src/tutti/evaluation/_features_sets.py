"""What an expert computes of a set before any network: how many items, and statistics of each feature over them."""

import numpy as np
from jaxtyping import Float

from tutti.core import Splits
from tutti.data import Sets
from tutti.evaluation._inputs import Inputs

CHUNK_BYTES = 2**26


def set_features(sample: Sets) -> Float[np.ndarray, "rows feature"]:
    """Number of items, and of each feature sum, mean, standard deviation, least and greatest over the items.

    All items count, whatever a network sees of large sets; missing values are left out. Of an empty set, and of a
    feature without any value in it, the sum is 0 and the others are missing.
    """
    items, counts = sample.items.numpy(), sample.counts.numpy()
    rows = max(1, CHUNK_BYTES // max(1, items[:1].size * 8))
    parts = [_of(items[a : a + rows], counts[a : a + rows]) for a in range(0, len(items), rows)]
    return np.concatenate(parts).astype(np.float32)


def inputs(sample: Sets, splits: Splits) -> Inputs:
    """The statistics of `set_features`, for the linear model and the boosted trees."""
    return Inputs(numbers=set_features(sample), codes=np.zeros((len(sample), 0), np.int32))


def _of(items: np.ndarray, counts: np.ndarray) -> Float[np.ndarray, "rows feature"]:
    present = (np.arange(items.shape[1]) < counts[:, None])[..., None] & ~np.isnan(items)
    values = np.where(present, items, 0).astype(np.float64)
    n = present.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = values.sum(1)
        mean = total / n
        sd = np.sqrt((np.where(present, values - mean[:, None], 0) ** 2).sum(1) / n)
        low = np.where(present, values, np.inf).min(1, initial=np.inf)
        high = np.where(present, values, -np.inf).max(1, initial=-np.inf)
    columns = [counts[:, None], total, mean, sd, np.where(n, low, np.nan), np.where(n, high, np.nan)]
    return np.concatenate(columns, 1)
