"""Vision transformer (Dosovitskiy et al. 2021): an image is a sequence of patches."""

from dataclasses import dataclass
from typing import ClassVar

from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._images import ImageModel, ImageNetwork


class Patches(torch_nn.Module):
    """[*member, batch, channel, height, width] -> [*member, batch, patch, pixels]: squares of `side` pixels, row by
    row, each with its channels, rows and columns one after another. The inverse rearrangement is the image."""

    stacked: ClassVar[bool] = True

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        form = "... c (h p) (w q) -> ... (h w) (c p q)"
        return rearrange(x, form, p=self.side, q=self.side)


class FirstItem(torch_nn.Module):
    """[*member, batch, time, width] -> [*member, batch, width]: the class token's row."""

    stacked: ClassVar[bool] = True

    def forward(self, x: Float[Tensor, "*member batch time width"]) -> Float[Tensor, "*member batch width"]:
        return x[..., 0, :]


@dataclass(frozen=True, kw_only=True)
class ViT(ImageModel):
    """Patches, a dense layer to `width`, a class token, learned positions, `depth` pre-norm transformer blocks with
    `heads` heads, normalisation, and a dense layer on the class token.

    patch: pixels of a side, which must divide both sides of the image; 0 takes the divisor that comes nearest to a
    seventh of the longer side. The setting's `dropout` acts on attention and behind each branch.
    """

    name: ClassVar[str] = "vit"

    patch: int = 0
    width: int = 64
    depth: int = 4
    heads: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch < 0 or min(self.width, self.depth, self.heads) < 1:
            raise core.InputError(
                f"patch={self.patch}, width={self.width}, depth={self.depth}, heads={self.heads}.",
                fix="Use numbers of at least 1 (patch 0 chooses).",
            )

    def build(self, shape: core.ImageShape, outputs: int) -> ImageNetwork:
        side = self._side(shape)
        patches = shape.height * shape.width // side**2
        blocks = [nn.TransformerBlock(self.width, self.heads, dropout=0.0) for _ in range(self.depth)]
        positions = nn.LearnedPositions(patches + 1, self.width)
        return ImageNetwork(
            shape,
            *self.augmentation(),
            Patches(side),
            nn.Linear(shape.channels * side**2, self.width),
            nn.ClassToken(self.width),
            nn.TransformerEncoder(blocks, position=positions, last=nn.LayerNorm(self.width)),
            FirstItem(),
            nn.Linear(self.width, outputs),
        )

    def _side(self, shape: core.ImageShape) -> int:
        sides = [s for s in range(1, min(shape.height, shape.width) + 1) if not (shape.height % s or shape.width % s)]
        if not self.patch:
            wanted = max(shape.height, shape.width) / 7
            return min(sides, key=lambda s: (abs(s - wanted), s))
        if self.patch not in sides:
            raise core.InputError(
                f"Patches of {self.patch} × {self.patch} do not cut images of {shape.height} × {shape.width}.",
                fix=f"Take one of {', '.join(map(str, sides))}, or read the images in another size.",
            )
        return self.patch
