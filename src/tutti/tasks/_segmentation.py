"""A class for every pixel of an image."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Integer, Shaped, UInt8
from torch import Tensor

from tutti.core import InputError
from tutti.tasks._task import Base

UNLABELLED = 255  # the class number of a pixel that says nothing
COLOUR = 1 << 24  # added to 0xRRGGBB, so that a colour is told from a grey value
MOST_CLASSES = 64
_LAST_INDEX = 63  # up to here a mask's values look like class numbers, beside which 255 means "not labelled"


@dataclass(frozen=True, kw_only=True)
class Segmentation(Base):
    """K classes for every pixel, from K outputs f (one for two classes): p = softmax(f), 1/(1 + e⁻ᶠ).

    classes: a name for each class number: the value in the masks ("0", "255", "3"), or a colour ("#ff0000").
    Encoded target: uint8 [rows, height, width], class numbers, 255 where a pixel is not labelled: it counts neither
    in the loss nor in any score. Outputs [*member, batch, out, height, width]; predictions are probabilities
    [.., classes, height, width].
    In training a network may look at a part of an image: its output is then of that part's size, and has one channel
    more, the place of each pixel in the image (row · width + column).
    Loss of a sample: the mean over the labelled pixels looked at of the cross-entropy, plus `dice` times one less the
    soft Dice coefficient (2 Σ p t + 1)/(Σ p + Σ t + 1) (Milletari, Navab & Ahmadi 2016, with plain sums below the
    line; 1 is added so that an absent class costs nothing): of the second of two classes, else the mean over classes.
    """

    name: ClassVar[str] = "segmentation"
    default_metric: ClassVar[str] = "iou"

    classes: tuple[str, ...]
    dice: float = 0.0

    def __post_init__(self) -> None:
        if len(self.names) != 1:
            raise InputError(f"A segmentation has one mask, not {len(self.names)}.")
        if not 2 <= len(self.classes) < UNLABELLED:
            raise InputError(f"A segmentation has 2 to {UNLABELLED - 1} classes, not {len(self.classes)}.")
        if len(set(self.classes)) != len(self.classes):
            raise InputError(f"Two classes of {self.names[0]!r} have the same name.")
        if not self.dice >= 0:
            raise InputError(f"The Dice term has the weight {self.dice}; expected at least 0.")
        for name in self.classes:
            _value(name)

    @classmethod
    def of(cls, values: Any, name: str) -> "Segmentation":
        """The task for these masks [rows, height, width].

        Of two values the more common one is the first class, the background: what is sought for is rare. More values
        are classes in their order. 255 beside two or more values that are class numbers (below 64, or with 1 among
        them) is no class: it marks pixels that are not labelled.
        """
        masks = _masks(values, name)
        found, counts = _distinct(masks)
        others = found[found != UNLABELLED]
        if len(others) >= 2 and len(others) < len(found) and (others.max() <= _LAST_INDEX or 1 in others):
            found, counts = others, counts[found != UNLABELLED]
        if len(found) < 2:
            raise InputError(
                f"All pixels of the masks hold the same value, {_word(int(found[0]))}.",
                fix="There is nothing to tell apart: check the masks.",
            )
        if len(found) > MOST_CLASSES:
            raise InputError(
                f"The masks hold {len(found):,} different values; at most {MOST_CLASSES} classes are expected.",
                fix="Masks hold one value or colour for each class. Save them without smoothing, and not as JPEG.",
            )
        if len(found) == 2 and counts[0] < counts[1]:
            found = found[::-1]
        return cls(names=(name,), classes=tuple(_word(int(value)) for value in found))

    @property
    def outputs(self) -> int:
        return 1 if len(self.classes) == 2 else len(self.classes)

    def encode(self, values: Any) -> UInt8[np.ndarray, "rows height width"]:
        masks = _masks(values, self.names[0])
        known = np.array([_value(name) for name in self.classes], dtype=np.int64)
        order = np.argsort(known)
        found, _ = _distinct(masks)
        for value in np.setdiff1d(found, [*known, UNLABELLED]):
            raise InputError(
                f"A mask holds {_word(int(value))}, which is no class.", fix=f"There is: {', '.join(self.classes)}."
            )
        numbers = np.full(len(found), UNLABELLED, dtype=np.uint8)
        place = np.searchsorted(known[order], found).clip(max=len(known) - 1)
        there = known[order][place] == found
        numbers[there] = order[place[there]]
        if masks.dtype == np.uint8:
            table = np.full(256, UNLABELLED, dtype=np.uint8)
            table[found] = numbers
            return np.asarray(table[masks])
        return np.asarray(numbers[np.searchsorted(found, masks)])

    def loss(
        self,
        output: Float[Tensor, "*member batch out rows columns"],
        target: Integer[Tensor, "*member batch height width"],
        label_smoothing: Float[Tensor, "*member"] | None = None,
    ) -> Float[Tensor, "*member batch"]:
        smoothing = None if label_smoothing is None else label_smoothing[..., None, None, None]
        if output.shape[-3] > self.outputs:
            output, target = _part(output, target)
        labelled = (target != UNLABELLED).to(output.dtype)
        count = labelled.sum((-2, -1)).clamp(min=1)
        if self.outputs == 1:
            score = output.squeeze(-3)
            truth = (target == 1).to(output.dtype)
            likely = truth if smoothing is None else truth * (1 - smoothing) + smoothing / 2
            losses = F.binary_cross_entropy_with_logits(score, likely, reduction="none")
            loss = (losses * labelled).sum((-2, -1)) / count
            return loss + self.dice * _dice_loss(score.sigmoid(), truth, labelled) if self.dice else loss
        known = torch.where(target == UNLABELLED, 0, target).long().unsqueeze(-3)
        total = output.logsumexp(-3)
        losses = total - output.gather(-3, known).squeeze(-3)
        if smoothing is not None:
            losses = losses + smoothing * (total - output.mean(-3) - losses)
        loss = (losses * labelled).sum((-2, -1)) / count
        if not self.dice:
            return loss
        truth = torch.zeros_like(output).scatter_(-3, known, 1.0)
        return loss + self.dice * _dice_loss(output.softmax(-3), truth, labelled.unsqueeze(-3)).mean(-1)

    def predict(
        self, output: Float[Tensor, "*member batch out height width"]
    ) -> Float[Tensor, "*member batch classes height width"]:
        if self.outputs == 1:
            return torch.cat([-output, output], dim=-3).sigmoid()
        return output.softmax(-3)

    def labels(
        self, prediction: Float[np.ndarray, "rows classes height width"]
    ) -> Integer[np.ndarray, "rows height width"]:
        """The likeliest class of each pixel as the masks would hold it: a grey value (uint8), or 0xRRGGBB (int32)."""
        values = np.array([_value(name) for name in self.classes])
        chosen = values % COLOUR
        return np.asarray(
            chosen.astype(np.int32 if (values >= COLOUR).any() else np.uint8)[prediction.argmax(axis=1)]
        )

    def trivial(self, target: UInt8[np.ndarray, "rows height width"]) -> Float[np.ndarray, " classes"]:
        """The share of each class among the labelled pixels."""
        counts = self._pixels(target)
        return np.asarray(counts / max(1, counts.sum()))

    def counts(self, target: UInt8[np.ndarray, "rows height width"]) -> dict[str, int]:
        """Labelled pixels of each class."""
        return {name: int(count) for name, count in zip(self.classes, self._pixels(target), strict=True)}

    def _pixels(self, target: UInt8[np.ndarray, "rows height width"]) -> Int[np.ndarray, " classes"]:
        return np.bincount(target.reshape(-1), minlength=256)[: len(self.classes)]


def _part(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The outputs of a part of each image, without their places, and the targets at those places."""
    place = output.select(-3, -1).detach().long()
    there = target.flatten(-2).gather(-1, place.flatten(-2)).view(place.shape)
    return output.narrow(-3, 0, output.shape[-3] - 1), there


def _dice_loss(
    likely: Float[Tensor, "*shape height width"],
    truth: Float[Tensor, "*shape height width"],
    labelled: Float[Tensor, "*#shape height width"],
) -> Float[Tensor, "*shape"]:
    both = (likely * truth * labelled).sum((-2, -1))
    either = ((likely + truth) * labelled).sum((-2, -1))
    return 1 - (2 * both + 1) / (either + 1)


def _masks(values: Any, name: str) -> Shaped[np.ndarray, "rows height width"]:
    """Masks as uint8, or as int32 where they hold colours or larger numbers."""
    try:
        masks = np.asarray(values)
    except ValueError as error:
        raise InputError(f"The masks {name!r} are no array: {error}", fix="Give masks of one size.") from error
    if masks.ndim != 3 or not masks.size:
        raise InputError(
            f"The masks {name!r} have shape {list(masks.shape)}; expected [rows, height, width].",
            fix="Give one value for each pixel of each image.",
        )
    if masks.dtype.kind == "b":
        return masks.astype(np.uint8)
    if masks.dtype.kind not in "iu":
        raise InputError(f"The masks {name!r} hold {masks.dtype}; expected whole numbers.", fix="Round them first.")
    if masks.dtype == np.uint8:
        return masks
    if masks.min() < 0 or masks.max() >= 2 * COLOUR:
        raise InputError(f"The masks {name!r} hold values from {masks.min()} to {masks.max()}; expected 0 to 255.")
    return masks.astype(np.int32)


def _distinct(masks: Shaped[np.ndarray, "rows height width"]) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values, ascending, and how many pixels hold each."""
    if masks.dtype == np.uint8:
        counts = np.bincount(masks.reshape(-1), minlength=256)
        there = np.flatnonzero(counts)
        return there, counts[there]
    found, counts = np.unique(masks, return_counts=True)
    return found.astype(np.int64), counts


def _word(value: int) -> str:
    return f"#{value - COLOUR:06x}" if value >= COLOUR else str(value)


def _value(name: str) -> int:
    try:
        return COLOUR + int(name[1:], 16) if name.startswith("#") else int(name)
    except ValueError as error:
        raise InputError(
            f"{name!r} is no value of a mask.", fix='Classes are named "0", "255" or "#ff0000".'
        ) from error
