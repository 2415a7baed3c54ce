"""ResNet for signals (Wang, Yan & Oates 2017)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._signals import SignalModel, SignalNetwork


class ResNetBlock(torch_nn.Module):
    """Three convolutions with batch norm, ReLU between them, and behind the sum with the shortcut.

    The shortcut is a 1 × 1 convolution with batch norm where the width changes, else batch norm alone (theirs).
    """

    stacked: ClassVar[bool] = True

    def __init__(self, inputs: int, width: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        widths = (inputs, *(width,) * len(kernels))
        self.convolutions = torch_nn.ModuleList(
            nn.Convolution(a, width, k, axes=1, padding="same", bias=False)
            for a, k in zip(widths, kernels, strict=False)
        )
        self.norms = torch_nn.ModuleList(nn.MaskedBatchNorm(width) for _ in kernels)
        self.shortcut = nn.Convolution(inputs, width, 1, axes=1, bias=False) if inputs != width else None
        self.shortcut_norm = nn.MaskedBatchNorm(width)

    def forward(
        self, x: Float[Tensor, "*member batch channel time"], present: Bool[Tensor, "*member batch 1 time"] | None
    ) -> Float[Tensor, "*member batch width time"]:
        h = x
        for place, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            h = norm(convolution(h), present)
            if place < len(self.norms) - 1:
                h = torch.relu(h)
            h = h if present is None else h.where(present, 0)
        kept = x if self.shortcut is None else self.shortcut(x)
        y = torch.relu(h + self.shortcut_norm(kept, present))
        return y if present is None else y.where(present, 0)


class ResNetTrunk(torch_nn.Module):
    """Blocks, the mean over time, a dense layer."""

    stacked: ClassVar[bool] = True

    def __init__(self, channels: int, outputs: int, model: "ResNet1D") -> None:
        super().__init__()
        widths = (channels, *model.widths)
        self.blocks = torch_nn.ModuleList(
            ResNetBlock(a, b, model.kernels) for a, b in zip(widths, model.widths, strict=False)
        )
        self.mean = nn.MeanOverTime()
        self.leave = nn.Linear(widths[-1], outputs)

    def forward(
        self, x: Float[Tensor, "*member batch channel time"], lengths: Int[Tensor, "*member batch"] | None
    ) -> Float[Tensor, "*member batch out"]:
        present = None if lengths is None else nn.present_times(lengths, x.shape[-1])
        for block in self.blocks:
            x = block(x, present)
        output: Tensor = self.leave(self.mean(x, lengths))
        return output


@dataclass(frozen=True, kw_only=True)
class ResNet1D(SignalModel):
    """ResNet for time series: blocks of `widths` channels (theirs: 64, 128, 128), each with convolutions of `kernels`
    (theirs: 8, 5, 3)."""

    name: ClassVar[str] = "resnet"

    widths: tuple[int, ...] = (64, 128, 128)
    kernels: tuple[int, ...] = (8, 5, 3)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths or not self.kernels or min(*self.widths, *self.kernels) < 1:
            raise core.InputError(f"widths={list(self.widths)}, kernels={list(self.kernels)}; at least 1 each.")

    def build(self, shape: core.SignalShape, outputs: int) -> SignalNetwork:
        """The network for signals of `shape` and so many outputs; weights come from torch's generator."""
        return self.network(shape, ResNetTrunk(self.sizes(shape)[0], outputs, self))
