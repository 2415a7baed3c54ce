"""U-Net: a class for every pixel, from coarse features that see far and fine ones that know where."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch import nn as torch_nn
from torch.nn import functional

from tutti import core, nn
from tutti.models._model import Model

NORMS = ("batch", "group", "instance", "none")


class RandomCrop(torch_nn.Module):
    """In training, shows a network for pixels a square crop of each image, at a place drawn anew for every image.

    The answer has one channel more, which tells a segmentation's loss the place of each pixel (row · width + column).
    Crops of many images make better batches than a few whole ones of as many pixels: neighbours say much the same.
    Images of a side below `size` are shown whole, and so is every image in evaluation.
    """

    stacked: ClassVar[bool] = True

    def __init__(self, inner: torch_nn.Module, size: int) -> None:
        super().__init__()
        self.inner, self.size = inner, size

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        height, width = x.shape[-2:]
        size = self.size
        if not self.training or min(height, width) <= size:
            whole: Tensor = self.inner(x)
            return whole
        one = x[..., 0, 0, 0]
        within = torch.arange(size, device=x.device)
        rows, columns = (
            (core.draw_uniform(one) * (side - size + 1)).long()[..., None] + within for side in (height, width)
        )
        lead = x.shape[:-2]
        band = x.gather(-2, rows[..., None, :, None].expand(*lead, size, width))
        y: Tensor = self.inner(band.gather(-1, columns[..., None, None, :].expand(*lead, size, size)))
        place = (rows[..., :, None] * width + columns[..., None, :])[..., None, :, :]
        return torch.cat([y, place.to(torch.promote_types(y.dtype, torch.float32))], dim=-3)


class RandomSymmetry(torch_nn.Module):
    """Shows a network for pixels each image in a random one of its symmetries, and turns the answer back.

    y = g⁻¹(inner(g(x))), in training alone, g drawn anew for every image: of the 8 symmetries of the square where
    height equals width (flips and rotations by 90°), else of the 4 of the rectangle. A loss that adds up over pixels
    is then the loss of the moved image and the equally moved mask: flipping both is an augmentation for which the
    target need not be moved. Its law: where inner commutes with the symmetries nothing changes.

    predicting: outside training the answer is the mean over all symmetries; a finished model's Predictor sets it.
    While settings are judged the image is shown as it is: the mean would take 8 times as long.
    """

    stacked: ClassVar[bool] = True
    views: ClassVar[int] = 8  # of an image that a prediction takes the mean of, at most

    def __init__(self, inner: torch_nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.predicting = False

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        if not self.training:
            return self._mean(x) if self.predicting else self.inner(x)
        coins = [core.draw_uniform(x[..., 0, 0, 0])[..., None, None, None] < 0.5 for _ in range(3)]
        square = x.shape[-1] == x.shape[-2]
        x = torch.where(coins[0], x.flip(-1), x)
        x = torch.where(coins[1], x.flip(-2), x)
        y: Tensor = self.inner(torch.where(coins[2], x.mT, x) if square else x)
        y = torch.where(coins[2], y.mT, y) if square else y
        y = torch.where(coins[1], y.flip(-2), y)
        return torch.where(coins[0], y.flip(-1), y)

    def _mean(self, x: Tensor) -> Tensor:
        total, count = torch.zeros(()), 0
        for sides in ((), (-1,), (-2,), (-1, -2)):
            moved = x.flip(sides)
            total, count = total + self.inner(moved).flip(sides), count + 1
            if x.shape[-1] == x.shape[-2]:
                total, count = total + self.inner(moved.mT).mT.flip(sides), count + 1
        return total / count


class Contrast(torch_nn.Module):
    """x · e^a + b with one a and b for each image, uniform in ±amount: another exposure, in training alone."""

    stacked: ClassVar[bool] = True

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = amount

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        if not self.training or not self.amount:
            return x
        a, b = (core.draw_uniform(x[..., 0, 0, 0])[..., None, None, None] * 2 - 1 for _ in range(2))
        return x * (a * self.amount).exp() + b * self.amount


class UNetTrunk(torch_nn.Module):
    """[*member, batch, channel, height, width] -> [*member, batch, out, height, width].

    depth times: a block (two 3 × 3 convolutions, each with normalisation and ReLU), kept for later, and 2 × 2 max
    pooling; then a block at the bottom; then depth times up: a 2 × 2 transposed convolution of stride 2 that halves
    the channels, joined with what was kept at that size, and a block. A 1 × 1 convolution ends it. Channels start at
    `width` and double on each way down. `padded`: convolutions keep the size; an image whose sides are no multiple of
    2^depth is extended by reflection to the next one, and the answer is cut back. Otherwise nothing is padded, as in
    the paper: what was kept is cropped about its centre, and the answer is smaller than the image.
    """

    stacked: ClassVar[bool] = True

    def __init__(
        self, *, channels: int, outputs: int, depth: int, width: int, norm: str, dropout: bool, padded: bool
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.padded, self.multiple = padded, 1 << depth
        before = [channels, *widths[:-1]]
        self.down = torch_nn.ModuleList(
            _block(a, b, norm, padded) for a, b in zip(before[:-1], widths[:-1], strict=True)
        )
        self.pool = nn.MaxPool(2)
        self.bottom = _block(before[-1], widths[-1], norm, padded)
        self.dropout = nn.ChannelDropout() if dropout else None
        ups = list(reversed(widths))
        self.up = torch_nn.ModuleList(nn.TransposedConvolution(a, b, 2, stride=2) for a, b in pairwise(ups))
        self.join = torch_nn.ModuleList(_block(2 * b, b, norm, padded) for b in ups[1:])
        self.head = nn.Convolution(width, outputs, 1)

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        height, width = x.shape[-2:]
        around = self._missing(height), self._missing(width)
        if self.padded and any(around):
            x = _extended(x, *around)
        kept: list[Tensor] = []
        for block in self.down:
            x = block(x)
            kept.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        if self.dropout is not None:
            x = self.dropout(x)
        for up, join in zip(self.up, self.join, strict=True):
            x = up(x)
            x = join(torch.cat([_centre(kept.pop(), x.shape[-2], x.shape[-1]), x], dim=-3))
        y: Tensor = self.head(x)
        if self.padded and any(around):
            top, left = around[0] // 2, around[1] // 2
            y = y[..., top : top + height, left : left + width]
        return y

    def _missing(self, size: int) -> int:
        return -size % self.multiple


def _block(inputs: int, outputs: int, norm: str, padded: bool) -> torch_nn.Sequential:
    layers: list[torch_nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Convolution(channels, outputs, 3, padding=int(padded), bias=norm == "none", init="he_normal"),
            nn.normalisation(norm, outputs, axes=2),
            torch_nn.ReLU(),
        ]
    return torch_nn.Sequential(*layers)


def _extended(x: Tensor, rows: int, columns: int) -> Tensor:
    """x with so many rows and columns more, half on each side: mirrored; where x is too small, its edge repeated."""
    sides = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    fits = max(sides[:2]) < x.shape[-1] and max(sides[2:]) < x.shape[-2]
    flat = x.reshape(-1, *x.shape[-3:])
    more = functional.pad(flat, sides, mode="reflect" if fits else "replicate")
    return more.reshape(*x.shape[:-2], *more.shape[-2:])


def _centre(x: Tensor, height: int, width: int) -> Tensor:
    """The middle of x, of this size."""
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]


class UNetNetwork(torch_nn.Module):
    """body(front(pixels)): standardised pixels through a U-Net."""

    stacked: ClassVar[bool] = True

    def __init__(self, front: torch_nn.Module, body: torch_nn.Module) -> None:
        super().__init__()
        self.front = front
        self.body = body

    def forward(
        self, pixels: Shaped[Tensor, "*member batch channel height width"]
    ) -> Float[Tensor, "*member batch out rows columns"]:
        output: Tensor = self.body(self.front(pixels))
        return output


@dataclass(frozen=True, kw_only=True)
class UNet(Model):
    """U-Net (Ronneberger, Fischer & Brox 2015) for segmentation; see UNetTrunk.

    depth: how often the image is halved. width: channels at full size. norm: "batch", "group", "instance" or "none"
    (the paper's). padded: keep the size (default); without it the paper's network, whose answer is smaller than the
    image: UNet(depth=4, width=64, norm="none", padded=False) with 1 channel and 2 outputs has 31,030,658 weights.
    dropout: whether whole channels are dropped at the bottom (at the setting's `dropout`). symmetry: train on images
    in random symmetries of the square (RandomSymmetry). contrast: train on other exposures (Contrast). crop: pixels a
    side of the crops that it trains on (RandomCrop); 0: whole images.
    """

    kind: ClassVar[str] = "images"
    name: ClassVar[str] = "unet"
    dense: ClassVar[bool] = True

    depth: int = 3
    width: int = 16
    norm: str = "batch"
    padded: bool = True
    dropout: bool = False
    symmetry: bool = True
    contrast: float = 0.1
    crop: int = 128

    def __post_init__(self) -> None:
        if self.depth < 1 or self.width < 1 or not self.contrast >= 0 or self.crop < 0:
            raise core.InputError(
                f"depth={self.depth}, width={self.width}, contrast={self.contrast}, crop={self.crop}.",
                fix="Use at least one level and one channel, and nothing negative.",
            )
        if self.norm not in NORMS:
            raise core.unknown("normalisation", self.norm, NORMS)

    def build(self, shape: core.ImageShape, outputs: int) -> UNetNetwork:
        """The network for images of `shape`; it takes images of other sizes too."""
        trunk: torch_nn.Module = UNetTrunk(
            channels=shape.channels,
            outputs=outputs,
            depth=self.depth,
            width=self.width,
            norm=self.norm,
            dropout=self.dropout,
            padded=self.padded,
        )
        if self.symmetry and self.padded:
            trunk = RandomSymmetry(trunk)
        body = torch_nn.Sequential(Contrast(self.contrast), trunk) if self.contrast else trunk
        if self.crop and self.padded:
            body = RandomCrop(body, self.crop)
        return UNetNetwork(nn.ImageInput(shape.channels), body)
