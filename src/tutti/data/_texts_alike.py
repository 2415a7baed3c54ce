"""Texts that are all but the same: found by MinHash over runs of words."""

import hashlib

import numpy as np
from jaxtyping import Int, UInt32, UInt64

from tutti.core import Finding, Splits
from tutti.data._words import Ragged, Split

SHINGLE = 3  # words in a run
ALIKE = 0.6  # of the runs that either of two texts has, both have
LEAST = 8  # words of a text that can be a near-copy: short phrases repeat by chance
BANDS, BAND = 16, 3  # pairs that agree in all 3 numbers of one of 16 bands are looked at
TRAIN_ROWS, JUDGED_ROWS = 200_000, 50_000  # looked at, drawn by a fixed seed from larger sets

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _level_hashes(words: Split) -> UInt64[np.ndarray, " level"]:
    digests = (hashlib.blake2b(w.encode("utf8", "surrogatepass"), digest_size=8).digest() for w in words.levels)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def _mixed(x: UInt64[np.ndarray, " any"]) -> UInt64[np.ndarray, " any"]:
    """MurmurHash3's finaliser."""
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    mixed: UInt64[np.ndarray, " any"] = x ^ (x >> np.uint64(33))
    return mixed


def sequence_hashes(words: Split) -> UInt64[np.ndarray, " rows"]:
    """64 bits for the words of each text in their order."""
    parts = words.parts
    place = (np.arange(len(parts.values)) - np.repeat(parts.starts[:-1], parts.lengths)).astype(np.uint64)
    each = _mixed(_level_hashes(words)[parts.values] + place * _GOLDEN) if len(parts.values) else place
    before = np.concatenate([np.zeros(1, np.uint64), np.cumsum(each)])  # modulo 2⁶⁴
    return _mixed(before[parts.starts[1:]] - before[parts.starts[:-1]] + parts.lengths.astype(np.uint64))


def shingles(words: Split, rows: Int[np.ndarray, " some"]) -> Ragged:
    """Hashes of all runs of SHINGLE words in these texts, 32 bits each in an int64; none in shorter texts."""
    parts = words.parts.take(rows)
    values = _level_hashes(words)[parts.values]
    count = max(0, len(values) - SHINGLE + 1)
    run = np.zeros(count, np.uint64)
    for k in range(SHINGLE):
        run = _mixed(run + values[k : k + count] + _GOLDEN)
    last = np.minimum(np.arange(count) + SHINGLE - 1, len(values) - 1)
    inside = parts.rows[:count] == parts.rows[last]
    lengths = np.where(parts.lengths >= LEAST, parts.lengths - SHINGLE + 1, 0)
    inside &= (parts.lengths >= LEAST)[parts.rows[:count]]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Ragged((run[inside] >> np.uint64(32)).astype(np.int64), starts)


def signatures(runs: Ragged) -> UInt32[np.ndarray, "rows number"]:
    """MinHash (Broder 1997): the least of each of 48 hashes over a text's runs; texts without runs get 0s.

    Two texts agree in each number with a probability of |A ∩ B| / |A ∪ B|, their Jaccard similarity.
    """
    draw = np.random.default_rng(0)
    factors = draw.integers(0, 2**31, BANDS * BAND, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    shifts = draw.integers(0, 2**32, BANDS * BAND, dtype=np.uint32)
    filled = np.flatnonzero(runs.lengths)
    found = np.zeros((len(runs), BANDS * BAND), np.uint32)
    if not len(filled):
        return found
    values = runs.values.astype(np.uint32)
    for k, (factor, shift) in enumerate(zip(factors, shifts, strict=True)):
        found[filled, k] = np.minimum.reduceat(values * factor + shift, runs.starts[filled])
    return found


def near_pairs(
    words: Split, train: Int[np.ndarray, " train"], judged: Int[np.ndarray, " judged"]
) -> Int[np.ndarray, "pair 2"]:
    """(judged row, training row) of texts whose runs of words have a Jaccard similarity of at least ALIKE.

    For each judged text at most one partner a band is looked at; the similarity of those is then counted exactly.
    A pair of similarity 0.6 is met with a probability of 0.98, one of 0.8 surely.
    """
    ours, theirs = shingles(words, judged), shingles(words, train)
    mine, other = signatures(ours), signatures(theirs)
    candidates = [np.zeros((0, 2), np.int64)]
    for band in range(0, BANDS * BAND, BAND):
        keys, known = _band(mine, band), _band(other, band)
        order = np.argsort(known, kind="stable")
        place = np.minimum(np.searchsorted(known[order], keys), max(0, len(order) - 1))
        if not len(order):
            continue
        hit = order[place]
        met = np.flatnonzero((known[hit] == keys) & (ours.lengths > 0) & (theirs.lengths[hit] > 0))
        candidates.append(np.stack([met, hit[met]], 1))
    pairs = np.unique(np.concatenate(candidates), axis=0)
    alike = [_jaccard(ours.row(int(a)), theirs.row(int(b))) >= ALIKE for a, b in pairs]
    pairs = pairs[np.array(alike, bool)] if len(pairs) else pairs
    return np.stack([judged[pairs[:, 0]], train[pairs[:, 1]]], 1)


def _band(signature: UInt32[np.ndarray, "rows number"], first: int) -> UInt64[np.ndarray, " rows"]:
    key = np.zeros(len(signature), np.uint64)
    for k in range(first, first + BAND):
        key = _mixed(key + signature[:, k].astype(np.uint64) + _GOLDEN)
    return key


def _jaccard(a: Int[np.ndarray, " some"], b: Int[np.ndarray, " others"]) -> float:
    a, b = np.unique(a), np.unique(b)
    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / (len(a) + len(b) - both)


def near_copies_of(words: Split, hashes: UInt64[np.ndarray, " rows"], splits: Splits) -> list[Finding]:
    """A notice where texts that judge (the test, else the first fold) nearly equal a training text.

    Texts of at least LEAST words of which ALIKE of the runs of three words are shared, and which are not exact copies
    (those are told as duplicate rows).
    """
    where, train, judged = (
        ("test", splits.train, splits.test)
        if len(splits.test)
        else ("fold 0", splits.folds[0].train, splits.folds[0].validation)
    )
    train, judged = _some(train, TRAIN_ROWS), _some(judged, JUDGED_ROWS)
    judged = judged[~np.isin(hashes[judged], hashes[train])]
    pairs = near_pairs(words, train, judged)
    count = len(np.unique(pairs[:, 0]))
    if not count:
        return []
    a, b = (int(row) + 1 for row in pairs[0])
    message = (
        f"{count:,} of {len(judged):,} texts that judge ({where}) nearly equal a training text (row {a} and row {b}, "
        "for one): if they are editions of one text, hold them out together by --group COLUMN."
    )
    return [Finding(kind="near-duplicates", where=where, message=message, severity="notice")]


def _some(rows: Int[np.ndarray, " rows"], most: int) -> Int[np.ndarray, " some"]:
    return rows if len(rows) <= most else np.random.default_rng(0).choice(rows, most, replace=False)
