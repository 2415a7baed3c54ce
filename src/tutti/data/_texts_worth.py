"""What the words and runs of words of the training texts are worth: how rare they are, and how much they tell."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tutti.data._sample import Encoded

CHUNK = 2048  # texts whose slots are looked up at once
MOST_CLASSES = 64  # above, a class has too few texts for its runs to be counted


def slot_worths(
    layer: Any, inputs: tuple[Tensor, ...], rows: Int[np.ndarray, " train"], target: Encoded
) -> Float[Tensor, " slot"]:
    """The worth of each slot of a layer (`slots` gives those of texts, [text, slot], negative for none).

    Rarity, ln((1 + n) / (1 + d)) + 1, where d of the n texts hold the slot: TF-IDF's idf with scikit-learn's
    smoothing. Where the layer is `telling` and the target is of classes or labels, times √r: r is the root mean
    square, over the classes, of ln(p / q), with p the slot's share of all slots of the class's texts and q that of
    the other texts, each count one higher (Wang & Manning 2012, "Baselines and bigrams", eq. 2, r for two classes).
    Unlike there the root is taken and rarity kept: on held-out training texts of two collections that was the better.
    """
    labels = _labels(target, rows) if getattr(layer, "telling", False) else None
    count = layer.worth.shape[-1]
    holders = np.zeros(count)
    of_class = np.zeros((0 if labels is None else labels.shape[1], count), np.float32)
    for part, slots, text in _held(layer, inputs, rows):
        holders += np.bincount(slots, minlength=count)
        for number in range(len(of_class)):
            assert labels is not None
            of_class[number] += np.bincount(slots[labels[part, number][text]], minlength=count)
    worth = np.log((1 + len(rows)) / (1 + holders)) + 1
    if len(of_class):
        worth *= np.sqrt(_tellings(of_class, holders))
    return torch.as_tensor(worth, dtype=torch.float32)


def _held(
    layer: Any, inputs: tuple[Tensor, ...], rows: np.ndarray
) -> Iterator[tuple[slice, Int[np.ndarray, " held"], Int[np.ndarray, " held"]]]:
    """(part of the rows, slots that its texts hold, each once a text, and whose text each is)."""
    for first in range(0, len(rows), CHUNK):
        part = slice(first, min(first + CHUNK, len(rows)))
        chosen = torch.as_tensor(rows[part])
        slots = np.sort(layer.slots(*(x[chosen] for x in inputs)).numpy())
        fresh = slots >= 0
        fresh[:, 1:] &= slots[:, 1:] != slots[:, :-1]
        yield part, slots[fresh], np.nonzero(fresh)[0]


def _labels(target: Encoded, rows: np.ndarray) -> Bool[np.ndarray, "train classes"] | None:
    """Which classes each text is of; None of a target of values, or of a single class. Labels: columns of 0, 1."""
    if target is None:
        return None
    own = target[rows]
    if own.ndim == 2 and np.isin(own, (0, 1)).all():
        return np.asarray(own == 1)
    if own.ndim != 1 or own.dtype.kind not in "iu" or not 2 <= len(np.unique(own)) <= MOST_CLASSES:
        return None
    return np.asarray(own[:, None] == np.unique(own))


def _tellings(
    of_class: Float[np.ndarray, "classes slot"], holders: Float[np.ndarray, " slot"]
) -> Float[np.ndarray, " slot"]:
    squares = np.zeros(len(holders))
    for counts in of_class:
        others = holders - counts
        ratio = np.log((counts + 1) / (counts + 1).sum()) - np.log((others + 1) / (others + 1).sum())
        squares += ratio**2
    return np.sqrt(squares / len(of_class))
