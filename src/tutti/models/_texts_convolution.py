"""Convolution over texts (Kim 2014, "Convolutional neural networks for sentence classification")."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._texts import TextModel, TextTrunk


class ConvolutionTrunk(TextTrunk):
    """Filters over runs of words; of each filter the greatest value over the text, at least 0."""

    def __init__(self, model: "TextConvolution") -> None:
        super().__init__()
        self.filters = torch_nn.ModuleList(
            nn.Convolution(model.width, model.channels, size, axes=1, padding=size - 1) for size in model.kernels
        )
        self.kernels = model.kernels
        self.features = model.channels * len(model.kernels)

    def forward(
        self, x: Float[Tensor, "*member batch time width"], present: Bool[Tensor, "*member batch time"]
    ) -> Float[Tensor, "*member batch features"]:
        channels, length = x.mT, present.sum(-1)
        found = []
        for layer, size in zip(self.filters, self.kernels, strict=True):
            h = layer(channels)
            met = nn.present_tokens(length + size - 1, h.shape[-1])
            found.append(h.masked_fill(~met.unsqueeze(-2), 0).max(-1).values.relu())
        return torch.cat(found, -1)


@dataclass(frozen=True, kw_only=True)
class TextConvolution(TextModel):
    """`channels` filters of each size in `kernels`, ReLU, maximum over time, a dense layer.

    As in the paper's CNN-rand (kernels 3, 4, 5 with 100 channels each, width 300, dropout 1/2), but for padding on
    both sides, so that every word meets every place of a filter, and for word dropout.
    """

    name: ClassVar[str] = "convolution"

    width: int = 128
    kernels: tuple[int, ...] = (3, 4, 5)
    channels: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.kernels or min(self.kernels) < 1 or self.channels < 1:
            raise core.InputError(f"kernels={self.kernels}, channels={self.channels}.", fix="Use at least 1 each.")

    def trunk(self, steps: int) -> ConvolutionTrunk:
        return ConvolutionTrunk(self)
