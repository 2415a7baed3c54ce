"""A transformer on patches of signals (Nie et al. 2023; Dosovitskiy et al. 2021 for images)."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._signals import SignalModel, SignalNetwork, check_positive, patches
from tutti.models._signals_recurrent import patch_size

STEPS = 64  # at most, where `patch` is 0


class TransformerTrunk(torch_nn.Module):
    """Patches, a dense layer, blocks of attention, the mean over the patches that are there, a dense layer."""

    stacked: ClassVar[bool] = True

    def __init__(self, channels: int, steps: int, patch: int, outputs: int, model: "SignalTransformer") -> None:
        super().__init__()
        self.patch = patch
        self.enter = nn.Linear(channels * patch, model.width)
        drop = 0.1 if model.dropout else None
        blocks = [nn.TransformerBlock(model.width, model.heads, dropout=drop) for _ in range(model.layers)]
        where = nn.position(model.position, width=model.width, length=steps, heads=model.heads)
        self.encode = nn.TransformerEncoder(blocks, position=where, last=nn.LayerNorm(model.width))
        self.mean = nn.SetPool("mean")
        self.leave = nn.Linear(model.width, outputs)

    def forward(
        self, x: Float[Tensor, "*member batch channel time"], lengths: Int[Tensor, "*member batch"] | None
    ) -> Float[Tensor, "*member batch out"]:
        steps, n = patches(x, lengths, self.patch)
        present = None if n is None else nn.present_times(n, steps.shape[-2]).squeeze(-2)
        h = self.encode(self.enter(steps), present=present)
        output: Tensor = self.leave(self.mean(h, present))
        return output


@dataclass(frozen=True, kw_only=True)
class SignalTransformer(SignalModel):
    """A transformer encoder whose items are patches: stretches of `patch` times with all their channels.

    patch 0: 1, 2, 4, …, so that there are at most STEPS. width, heads, layers: of its pre-norm blocks. position: one
    of nn.POSITIONS that keeps the width. dropout: whether there is dropout in the blocks.
    """

    name: ClassVar[str] = "transformer"

    width: int = 64
    heads: int = 4
    layers: int = 3
    patch: int = 0
    position: str = "sinusoidal"
    dropout: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(width=self.width, heads=self.heads, layers=self.layers, patch=self.patch + 1)
        if self.position in ("one_hot", "concatenated"):
            raise core.InputError(f"The position {self.position!r} widens its input.", fix='Take "sinusoidal".')

    def build(self, shape: core.SignalShape, outputs: int) -> SignalNetwork:
        """The network for signals of `shape` and so many outputs; weights come from torch's generator."""
        channels, times = self.sizes(shape)
        patch = patch_size(self.patch, times, STEPS)
        return self.network(shape, TransformerTrunk(channels, -(-times // patch), patch, outputs, self))
