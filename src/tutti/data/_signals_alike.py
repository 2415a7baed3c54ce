"""Near-copies among signals: the same recording louder, rounded anew or with noise, on two sides of a split."""

import numpy as np
import torch
from jaxtyping import Float, Int, Num, UInt64
from torch import Tensor

from tutti import core
from tutti.core import Finding, Splits

PROJECTIONS = 96
CLOSE = 0.05  # of the usual distance to the nearest training signal
FEWEST = 2
TRAIN_ROWS, JUDGED_ROWS = 20_000, 5_000  # looked at, drawn by a fixed seed from larger sets
CHUNK = 256  # signals projected at once

_KEY = core.stream_key(0x516)


def near_signals(
    values: Num[Tensor, "row channel time"],
    lengths: Int[Tensor, " row"],
    hashes: UInt64[np.ndarray, " row"],
    splits: Splits,
) -> list[Finding]:
    """A notice where signals that judge (the test, else the first fold) all but repeat a training signal; [] else.

    Each channel is brought to mean 0 and the whole signal to norm 1 (offset and loudness do not count). Distances are
    taken between PROJECTIONS random projections, which keep them to about 10 % (Johnson & Lindenstrauss 1984). A
    signal is a near-copy where its nearest training signal is within CLOSE of what is usual: of the median distance
    to the nearest. So sets whose signals are all alike (spectra of oils) raise no alarm. Exact copies are counted
    elsewhere. Copies that are shifted in time are not found.
    """
    train, judged, where = splits.train, splits.test, "test"
    if not len(judged):
        train, judged, where = splits.folds[0].train, splits.folds[0].validation, "fold 0"
    train, judged = _some(train, TRAIN_ROWS), _some(judged, JUDGED_ROWS)
    if len(train) < 2 or len(judged) < 2:
        return []
    sketches = _sketches(values, lengths, np.concatenate([judged, train]))
    nearest = torch.cdist(sketches[: len(judged)], sketches[len(judged) :]).amin(1).numpy()
    other = ~np.isin(hashes[judged], hashes[train])
    if not other.any():
        return []
    count = int((nearest[other] < CLOSE * np.median(nearest[other])).sum())
    if count < FEWEST:
        return []
    message = (
        f"{count} of {len(judged):,} signals that judge ({where}) nearly equal a training signal, but for loudness "
        "or a little noise. If they are one recording, the score is too good: hold them out together by --group "
        "COLUMN."
    )
    return [Finding(kind="near-duplicates", where=where, message=message, severity="notice")]


def _some(rows: Int[np.ndarray, " rows"], most: int) -> Int[np.ndarray, " some"]:
    return rows if len(rows) <= most else np.random.default_rng(0).choice(rows, most, replace=False)


def _sketches(
    values: Num[Tensor, "row channel time"], lengths: Int[Tensor, " row"], rows: Int[np.ndarray, " some"]
) -> Float[Tensor, "some projection"]:
    """Random projections of the signals at mean 0 and norm 1."""
    _, channels, times = values.shape
    uniform = core.random_uniform(torch.tensor(_KEY), channels * times * PROJECTIONS).view(-1, PROJECTIONS)
    directions = (uniform - 0.5).double() * (12 / PROJECTIONS) ** 0.5
    parts = []
    for first in range(0, len(rows), CHUNK):
        index = torch.from_numpy(rows[first : first + CHUNK])
        x, n = values[index].double(), lengths[index, None, None]
        there = torch.arange(times) < n
        x = torch.where(there, x - x.where(there, 0).sum(-1, keepdim=True) / n, 0).flatten(1)
        parts.append(x / x.norm(dim=1, keepdim=True).clamp(min=1e-30) @ directions)
    return torch.cat(parts)
