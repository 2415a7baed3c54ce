"""Near-duplicates among images: the same picture encoded anew, rescaled, or a little brighter."""

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int, UInt32
from torch import Tensor
from torch.nn import functional

from tutti.core import Finding, Rows, Splits
from tutti.data._rows_of import read_rows

THUMBNAIL = 32  # pixels a side, on which two images are compared
CORRELATION = 0.99  # of two thumbnails, from which they are the same picture
FURTHER = (2, 4)  # times as far from 1: what meets there tells how many meet by chance
PARTNERS = 8  # training images with the same band of bits that are compared with an image, at most
FEWEST, SHARE = 2, 0.005  # near-duplicates beyond chance, and their share of those that judge, worth a notice
TRAIN_ROWS, JUDGED_ROWS = 100_000, 20_000  # looked at, drawn by a fixed seed from more
CHUNK = 4096


def near_images(pixels: Tensor | Rows, hashes: np.ndarray, splits: Splits) -> list[Finding]:
    """A notice where images that judge (the test, else the first fold) all but equal a training image; [] else.

    Two images are near-duplicates if their thumbnails (grey, 32 × 32 means) correlate by 0.99 or more: what
    compression, scaling, brightness and contrast change is little or nothing of that. Compared are those that share
    32 of the 128 bits of their difference hashes: whether, in a 9 × 8 and an 8 × 9 picture, each pixel is brighter
    than its neighbour (Krawetz 2013, "Kind of like that": dHash), here both ways and in four bands. Exact copies
    (equal `hashes`) are not counted: they are found, and kept on one side, by themselves.

    Plain pictures (a digit, a shirt) come this close by chance, and then many more come nearly so: with a images
    whose best partner correlates by 0.96 to 0.98 and b by 0.98 to 0.99, at most b · min(1, b/a) are expected above
    0.99, as the fall steepens towards 1; where b is small by chance, a/16 (a fall by 4 each time that the distance
    halves). Copies have no such company. What is beyond that must be three of its standard deviations (the root of
    what is expected), 2 images, and 0.5 % of those that judge.
    """
    where, train, judged = (
        ("test", splits.train, splits.test)
        if len(splits.test)
        else ("fold 0", splits.folds[0].train, splits.folds[0].validation)
    )
    train, judged = _some(train, TRAIN_ROWS), _some(judged, JUDGED_ROWS)
    new = judged[~np.isin(hashes[judged], hashes[train])]
    if not len(new) or not len(train):
        return []
    old_bands, old_thumbs = _prints(pixels, train)
    new_bands, new_thumbs = _prints(pixels, new)
    best = np.full(len(new), -1.0, dtype=np.float32)
    for band in range(new_bands.shape[1]):
        best = np.maximum(best, _best(new_bands[:, band], old_bands[:, band], new_thumbs, old_thumbs))
    count, near, wide = (int((best >= 1 - far * (1 - CORRELATION)).sum()) for far in (1, *FURTHER))
    between, further = near - count, wide - near
    chance = max(between * between / max(between, further, 1), further / 16)
    if count - chance < max(FEWEST, SHARE * len(judged), 3 * chance**0.5):
        return []
    message = (
        f"{count:,} of {len(judged):,} images that judge ({where}) all but equal one of {len(train):,} training "
        "images (thumbnails of 32 × 32 pixels correlate by 0.99 or more). If they are the same pictures compressed "
        "or scaled anew, the score is too good: hold them out together by --group COLUMN."
    )
    return [Finding(kind="near-duplicates", where=where, message=message, severity="notice")]


def _some(rows: Int[np.ndarray, " rows"], most: int) -> Int[np.ndarray, " some"]:
    return rows if len(rows) <= most else np.random.default_rng(0).choice(rows, most, replace=False)


def _prints(
    pixels: Tensor | Rows, rows: Int[np.ndarray, " rows"]
) -> tuple[UInt32[np.ndarray, "rows band"], Float[np.ndarray, "rows place"]]:
    """Of each image: four bands of 32 bits, and its thumbnail with mean 0 and length 1 (0 where it is flat)."""
    bands, thumbs = [], []
    for part in np.array_split(rows, -(-len(rows) // CHUNK)):
        grey = read_rows(pixels, part).float().mean(1, keepdim=True)
        wide = functional.interpolate(grey, (8, 9), mode="area")[:, 0]
        high = functional.interpolate(grey, (9, 8), mode="area")[:, 0]
        bits = torch.cat([(wide[:, :, 1:] > wide[:, :, :-1]).flatten(1), (high[:, 1:] > high[:, :-1]).flatten(1)], 1)
        packed = np.packbits(rearrange(bits.numpy(), "row (band bit) -> row band bit", bit=32), axis=2)
        bands.append(packed.view(np.uint32)[..., 0])
        thumb = functional.adaptive_avg_pool2d(grey, THUMBNAIL).flatten(1)
        thumbs.append(functional.normalize(thumb - thumb.mean(1, keepdim=True), dim=1).numpy())
    return np.concatenate(bands), np.concatenate(thumbs)


def _best(
    new: UInt32[np.ndarray, " new"],
    old: UInt32[np.ndarray, " old"],
    new_thumbs: Float[np.ndarray, "new place"],
    old_thumbs: Float[np.ndarray, "old place"],
) -> Float[np.ndarray, " new"]:
    """The highest correlation of each new image with an old one of the same bits; −1 where there is none."""
    order = np.argsort(old, kind="stable")
    first = np.searchsorted(old[order], new, side="left")
    count = np.searchsorted(old[order], new, side="right") - first
    best = np.full(len(new), -1.0, dtype=np.float32)
    for step in range(PARTNERS):
        rows = np.flatnonzero(count > step)
        # Where many share the bits, those that are looked at are spread over all of them.
        partner = order[first[rows] + step * count[rows] // np.minimum(count[rows], PARTNERS)]
        alike = np.einsum("rp,rp->r", new_thumbs[rows], old_thumbs[partner])
        best[rows] = np.maximum(best[rows], alike)
    return best
