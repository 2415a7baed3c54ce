"""Scores of a class for every pixel: ratios of pixel counts, one column of counts per image.

target: class numbers [rows, height, width], 255 where a pixel is not labelled; prediction: probabilities
[rows, classes, height, width]. Counts are of all judged images together (weighted, where rows are), so that an image
in which a class is rare moves the score little.

iou (Jaccard 1912): |said and true| / |said or true|; dice: 2 |said and true| / (|said| + |true|). Of two classes,
that of the second, which is the rarer one (tasks.Segmentation); of more, the mean over all classes that were said or
are true somewhere, as in PASCAL VOC. pixel_accuracy: the share of labelled pixels whose likeliest class is right;
pixel_error: one less that.
"""

from collections.abc import Iterator

import numpy as np

from tutti.core import InputError

UNLABELLED = 255


def check_pixels(target: np.ndarray, prediction: np.ndarray) -> None:
    """Raises unless there is one class number per pixel and one probability per class and pixel."""
    if target.ndim != 3 or prediction.ndim != 4 or prediction.shape[2:] != target.shape[1:]:
        raise InputError(
            f"Masks of shape {list(target.shape)} and probabilities of shape {list(prediction.shape)}; expected "
            "[rows, height, width] and [rows, classes, height, width]."
        )
    if prediction.shape[1] < 2:
        raise InputError("The prediction has a single class.", fix="Give a probability for each class.")


def _chosen(prediction: np.ndarray) -> np.ndarray:
    if prediction.shape[1] == 2:  # four times as fast as argmax
        return np.asarray(prediction[:, 1] > prediction[:, 0], np.uint8)
    return np.asarray(prediction.argmax(axis=1), np.uint8)


def _count(there: np.ndarray) -> np.ndarray:
    return np.asarray(np.count_nonzero(there, axis=(1, 2)), np.float64)


def overlaps(target: np.ndarray, prediction: np.ndarray, _: np.ndarray) -> Iterator[np.ndarray]:
    """For each class that counts: pixels that are or were said to be of it, and those that are both."""
    labelled, said = target != UNLABELLED, _chosen(prediction)
    classes = prediction.shape[1]
    for k in range(classes) if classes > 2 else (1,):
        true, chosen = target == k, (said == k) & labelled
        yield _count(true | chosen)
        yield _count(true & chosen)


def right_pixels(target: np.ndarray, prediction: np.ndarray, _: np.ndarray) -> Iterator[np.ndarray]:
    """Labelled pixels, and those of them that are right."""
    yield _count(target != UNLABELLED)
    yield _count(target == _chosen(prediction))


def wrong_pixels(target: np.ndarray, prediction: np.ndarray, _: np.ndarray) -> Iterator[np.ndarray]:
    """Labelled pixels, and those of them that are wrong."""
    labelled = target != UNLABELLED
    yield _count(labelled)
    yield _count(labelled & (target != _chosen(prediction)))


def image_losses(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """For each image the mean of −log p over its labelled pixels, p of the true class; 0 where none is labelled."""
    labelled = target != UNLABELLED
    known = np.where(labelled, target, 0)
    p = np.take_along_axis(prediction, known[:, None].astype(np.intp), axis=1)[:, 0]
    losses = -np.log(np.clip(p, np.finfo(prediction.dtype).eps, 1))
    total = np.where(labelled, losses, 0).sum(axis=(1, 2), dtype=np.float64)
    return np.asarray(total / np.maximum(1, _count(labelled)))


def mean_ratio(means: np.ndarray) -> np.ndarray:
    """Columns in pairs (whole, part): the mean of part / whole over the pairs whose whole is not zero."""
    whole, part = means[..., 0::2], means[..., 1::2]
    there = whole > 0
    ratio = np.where(there, part / np.where(there, whole, 1.0), 0.0)
    count = there.sum(axis=-1)
    return np.where(count > 0, ratio.sum(axis=-1) / np.maximum(count, 1), np.nan)


def mean_dice(means: np.ndarray) -> np.ndarray:
    """As `mean_ratio` of (union, intersection): 2 |both| / (|union| + |both|)."""
    halves = means.copy()
    halves[..., 0::2] = (means[..., 0::2] + means[..., 1::2]) / 2
    return mean_ratio(halves)
