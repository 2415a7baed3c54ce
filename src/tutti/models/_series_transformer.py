"""A transformer on patches of the window (PatchTST)."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._series import Patches, SeriesModel, check_sizes, fold_channels, unfold_channels


class PatchTransformer(torch_nn.Module):
    """Patches -> tokens -> encoder -> all tokens side by side -> the future, each channel by itself."""

    stacked: ClassVar[bool] = True

    def __init__(self, shape: core.SeriesShape, config: "SeriesTransformer") -> None:
        super().__init__()
        width, rate = config.width, 0.0 if config.dropout else None
        self.channels = shape.channels
        self.patches = Patches(shape.window, config.patch, config.stride)
        self.enter = nn.Linear(self.patches.length, width)
        blocks = [
            nn.TransformerBlock(
                width,
                config.heads,
                mlp=nn.FeedForward(width, config.expand * width, dropout=rate),
                dropout=rate,
            )
            for _ in range(config.layers)
        ]
        self.encoder = nn.TransformerEncoder(
            blocks, position=nn.LearnedPositions(self.patches.count, width), last=nn.LayerNorm(width)
        )
        self.drop = nn.Dropout() if config.dropout else torch_nn.Identity()
        self.leave = nn.Linear(self.patches.count * width, shape.horizon)

    def forward(
        self, x: Float[Tensor, "*member batch channel time"]
    ) -> Float[Tensor, "*member batch channel horizon"]:
        tokens = self.encoder(self.enter(self.patches(fold_channels(x))))
        future = self.leave(self.drop(tokens.flatten(-2)))
        return unfold_channels(future, self.channels)


@dataclass(frozen=True, kw_only=True)
class SeriesTransformer(SeriesModel):
    """PatchTST (Nie et al. 2023): a transformer over patches of `patch` steps, each `stride` after the one before.

    The paper's small network for short data is the default: width 16, 4 heads, 3 layers, feed-forward 8 · width; here
    with layer normalisation before each branch instead of batch normalisation after it, and no patch of padding.
    dropout: on attention, branches and head; its rate is the setting's.
    """

    name: ClassVar[str] = "transformer"

    patch: int = 16
    stride: int = 8
    width: int = 16
    heads: int = 4
    layers: int = 3
    expand: int = 8
    dropout: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(patch=self.patch, stride=self.stride, width=self.width, heads=self.heads, layers=self.layers)

    def forecaster(self, shape: core.SeriesShape) -> torch_nn.Module:
        return PatchTransformer(shape, self)
