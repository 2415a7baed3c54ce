"""Images: pixels of one size, in memory or in a file."""

import base64
import io
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int, UInt64
from torch import Tensor, nn

from tutti.core import Finding, ImageShape, InputError, Rows, Splits
from tutti.data._images_alike import near_images
from tutti.data._images_decode import as_image
from tutti.data._row_content import content_hashes
from tutti.data._rows_of import join_rows, read_rows, take_rows
from tutti.data._sample import Encoded, Sample
from tutti.nn import ImageInput

CHUNK = 4096  # images that are looked at together
SHOWN_SIDE = 96  # pixels of an example's longer side, at most


class Images(Sample):
    """Images [row, channel, height, width], uint8, all of one size.

    span: the values that became 0 and 255 where the source held other numbers than these; None: it held these.
    """

    kind: ClassVar[str] = "images"

    def __init__(self, pixels: Tensor | Rows, *, span: tuple[float, float] | None = None) -> None:
        if not len(pixels):
            raise InputError("There is no image.", fix="Give at least one.")
        first = read_rows(pixels, np.zeros(1, dtype=np.int64))
        if first.dtype != torch.uint8 or first.ndim != 4:
            raise InputError(
                f"Pixels of shape {list(first.shape[1:])} and type {first.dtype}.",
                fix="Give uint8 [row, channel, height, width]; data.read brings other images into that form.",
            )
        self.pixels = pixels
        self.span = span
        _, channels, height, width = first.shape
        self._shape = ImageShape(channels=channels, height=height, width=width)
        self._hashes: UInt64[np.ndarray, " rows"] | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> ImageShape:
        return self._shape

    def inputs(self) -> tuple[Tensor | Rows, ...]:
        return (self.pixels,)

    def fit(self, network: nn.Module, rows: Int[np.ndarray, " train"], target: Encoded = None) -> dict[str, Tensor]:
        """Mean and 1 / standard deviation of each channel, for every nn.ImageInput of the network."""
        found = {name: part for name, part in network.named_modules() if isinstance(part, ImageInput)}
        if not found:
            return {}
        mean, scale = ImageInput.statistics(self._counts(rows))
        return {f"{n}.mean" if n else "mean": mean for n in found} | {
            f"{n}.scale" if n else "scale": scale for n in found
        }

    def _counts(self, rows: Int[np.ndarray, " train"]) -> Float[Tensor, "channel level"]:
        """How often each channel takes each of its 256 values in these rows."""
        counts = torch.zeros(self._shape.channels, 256, dtype=torch.float64)
        for part in self._chunks(np.sort(rows)):
            for channel in range(self._shape.channels):
                counts[channel] += torch.bincount(part[:, channel].flatten(), minlength=256)
        return counts

    def _chunks(self, rows: Int[np.ndarray, " rows"]) -> Iterator[Tensor]:
        for part in np.array_split(rows, max(1, -(-len(rows) // CHUNK))):
            yield read_rows(self.pixels, part)

    def take(self, rows: Int[np.ndarray, " taken"]) -> "Images":
        return Images(take_rows(self.pixels, rows), span=self.span)

    def joined(self, other: "Images") -> "Images":
        if other.shape != self.shape:
            raise InputError(
                f"Images of {_size(self.shape)} and of {_size(other.shape)} cannot stand in one set.",
                fix="Read both to one size: size=(height, width) (--size).",
            )
        return Images(join_rows(self.pixels, other.pixels), span=self.span)

    def hashes(self) -> UInt64[np.ndarray, " rows"]:
        if self._hashes is None:
            parts = [content_hashes(part.numpy()) for part in self._chunks(np.arange(len(self)))]
            self._hashes = np.concatenate(parts)
        return self._hashes

    def to_json(self) -> dict[str, Any]:
        description: dict[str, Any] = {"kind": self.kind, "shape": self._shape.to_json()}
        return description | ({} if self.span is None else {"span": list(self.span)})

    @property
    def summary(self) -> str:
        return f"{len(self):,} images, {_size(self._shape)}"

    def leaks(self, splits: Splits, *, given: bool) -> list[Finding]:
        return near_images(self.pixels, self.hashes(), splits)

    def example(self, row: int) -> dict[str, Any]:
        """{"kind": "image", "png": base64}, at most 96 pixels a side."""
        pixels = read_rows(self.pixels, np.array([row]))[0]
        image = as_image(pixels[:3] if len(pixels) >= 3 else pixels[:1])
        image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
        file = io.BytesIO()
        image.save(file, "PNG")
        return {"kind": "image", "png": base64.b64encode(file.getvalue()).decode("ascii")}


def _size(shape: ImageShape) -> str:
    colour = {1: "grey", 3: "colour"}.get(shape.channels, f"{shape.channels} channels")
    return f"{shape.height} × {shape.width}, {colour}"
