"""Rows as content: which rows are the same, whatever their place in the table."""

import hashlib
from math import prod

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt64

# Contents that more rows than this share are a property of the data (an empty form, a default): a fresh sample
# would meet them too, so they may stand on both sides.
COMMON_COPIES = 20
COMMON_SHARE = 0.05

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: UInt64[np.ndarray, " rows"]) -> UInt64[np.ndarray, " rows"]:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators")."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: UInt64[np.ndarray, " rows"] = x ^ (x >> np.uint64(31))
    return mixed


def _bits(values: Shaped[np.ndarray, " rows"]) -> UInt64[np.ndarray, " rows"]:
    """64 bits that are equal exactly where values are: −0 as 0, every NaN as one, float32 as its float64."""
    if values.dtype.kind != "f":
        return values.astype(np.int64).view(np.uint64)
    plain = values.astype(np.float64) + 0.0
    plain[np.isnan(plain)] = np.nan
    return plain.view(np.uint64)


def row_hashes(*parts: Shaped[np.ndarray, " rows ..."] | None) -> UInt64[np.ndarray, " rows"]:
    """A 64-bit hash of each row over all columns of all parts (floats, integers or booleans), in their order.

    The same on every machine. Two missing values are equal. Two different rows among a million collide with a
    probability of about 3e-8.
    """
    given = [part.reshape(len(part), prod(part.shape[1:])) for part in parts if part is not None]
    hashes = np.zeros(len(given[0]), dtype=np.uint64)
    for part in given:
        for column in part.T:
            hashes = _mix((hashes + _GOLDEN) ^ _bits(column))
    return hashes


def content_hashes(rows: Shaped[np.ndarray, "rows ..."]) -> UInt64[np.ndarray, " rows"]:
    """The first 64 bits of BLAKE2b of each row's bytes: for rows of many numbers, compared as they are stored."""
    digests = (hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=8).digest() for row in rows)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def first_alike(hashes: UInt64[np.ndarray, " rows"]) -> Int[np.ndarray, " rows"]:
    """For each row, the number of the first row with the same hash (its own number where there is none before)."""
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    return first[inverse]


def few_combinations(numbers: Float[np.ndarray, "rows number"], codes: Int[np.ndarray, "rows category"]) -> bool:
    """Whether the values that the columns take cannot make as many different rows as the table has.

    Then rows must repeat (pigeonhole), and a repeated row says nothing about a leak.
    """
    possible = 1
    for column in [*numbers.T, *codes.T]:
        possible *= len(np.unique(column))
        if possible >= len(numbers):
            return False
    return True


def copied_rows(ids: Int[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
    """The rows whose content another row has too, but for contents so common that any sample would meet them."""
    copies = np.bincount(ids, minlength=len(ids))[ids]
    copied: Bool[np.ndarray, " rows"] = (copies > 1) & (copies <= max(COMMON_COPIES, COMMON_SHARE * len(ids)))
    return copied


def duplicate_groups(
    numbers: Float[np.ndarray, "rows number"], codes: Int[np.ndarray, "rows category"]
) -> Int[np.ndarray, " rows"]:
    """For `declare_splits`: rows with the same features get the same id, the number of the first of them.

    All features count, the target does not: the same sample with two labels is still the same sample. Two sorts
    of repetition are natural and get ids of their own, row by row: rows of a table whose columns allow fewer
    combinations than it has rows, and contents shared by more than `COMMON_COPIES` rows and `COMMON_SHARE` of all.
    Where no row repeats the ids are 0 … rows−1.
    """
    own = np.arange(len(numbers))
    ids = first_alike(row_hashes(numbers, codes))
    if (ids == own).all() or few_combinations(numbers, codes):
        return own
    return np.where(copied_rows(ids), ids, own)
