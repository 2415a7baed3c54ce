"""InceptionTime: convolutions of several widths side by side (Ismail Fawaz et al. 2020)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._signals import SignalModel, SignalNetwork, check_positive

STEPS = 128  # behind the first module, at most, where `pool` is 0


class InceptionModule(torch_nn.Module):
    """A 1 × 1 convolution to `filters` channels (where there is more than one), convolutions of all `kernels` on it
    and a 1 × 1 convolution behind a maximum over three times, side by side; batch norm and ReLU. `filters` channels
    from each."""

    stacked: ClassVar[bool] = True

    def __init__(self, inputs: int, filters: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        narrow = inputs > 1
        self.narrow = nn.Convolution(inputs, filters, 1, axes=1, bias=False) if narrow else None
        width = filters if narrow else inputs
        self.branches = torch_nn.ModuleList(
            nn.Convolution(width, filters, k, axes=1, padding="same", bias=False) for k in kernels
        )
        self.peak = nn.MaxPool(3, axes=1, stride=1, padding=1)
        self.after_peak = nn.Convolution(inputs, filters, 1, axes=1, bias=False)
        self.outputs = filters * (len(kernels) + 1)
        self.norm = nn.MaskedBatchNorm(self.outputs)

    def forward(
        self, x: Float[Tensor, "*member batch channel time"], present: Bool[Tensor, "*member batch 1 time"] | None
    ) -> Float[Tensor, "*member batch width time"]:
        h = x if self.narrow is None else self.narrow(x)
        # padding must not win a maximum against negative values
        top = self.peak(x if present is None else x.masked_fill(~present, torch.finfo(x.dtype).min))
        if present is not None:
            top = top.where(present, 0)
        parts = [branch(h) for branch in self.branches] + [self.after_peak(top)]
        y = torch.relu(self.norm(torch.cat(parts, -2), present))
        return y if present is None else y.where(present, 0)


class InceptionTrunk(torch_nn.Module):
    """Modules with a shortcut (1 × 1 convolution and batch norm) around every three, the mean over time, a layer.

    Behind the first module stand means of `pool` times: it alone sees all of them.
    """

    stacked: ClassVar[bool] = True

    def __init__(self, channels: int, pool: int, outputs: int, model: "InceptionTime") -> None:
        super().__init__()
        self.pool = nn.TimePool(pool)
        self.layers = torch_nn.ModuleList()
        self.shortcuts = torch_nn.ModuleList()
        self.norms = torch_nn.ModuleList()
        width, before = channels, channels
        for number in range(model.depth):
            layer = InceptionModule(width, model.filters, model.kernels)
            self.layers.append(layer)
            width = layer.outputs
            if number % 3 == 2:
                self.shortcuts.append(nn.Convolution(before, width, 1, axes=1, bias=False))
                self.norms.append(nn.MaskedBatchNorm(width))
                before = width
        self.mean = nn.MeanOverTime()
        self.drop = nn.Dropout() if model.dropout else None
        self.leave = nn.Linear(width, outputs)

    def forward(
        self, x: Float[Tensor, "*member batch channel time"], lengths: Int[Tensor, "*member batch"] | None
    ) -> Float[Tensor, "*member batch out"]:
        present = None if lengths is None else nn.present_times(lengths, x.shape[-1])
        kept = x
        for number, layer in enumerate(self.layers):
            x = layer(x, present)
            if number == 0 and self.pool.size > 1:
                kept, _ = self.pool(kept, lengths)
                x, lengths = self.pool(x, lengths)
                present = None if lengths is None else nn.present_times(lengths, x.shape[-1])
            if number % 3 == 2:
                x = torch.relu(x + self.norms[number // 3](self.shortcuts[number // 3](kept), present))
                x = x if present is None else x.where(present, 0)
                kept = x
        h = self.mean(x, lengths)
        output: Tensor = self.leave(h if self.drop is None else self.drop(h))
        return output


@dataclass(frozen=True, kw_only=True)
class InceptionTime(SignalModel):
    """InceptionTime, one network of it: their ensemble of five is here the members of the folds.

    filters: channels of each branch (theirs: 32); kernels (theirs: 40, 20 and 10; odd ones are centred); depth:
    modules, with a shortcut around every three. dropout: whether there is dropout before the last layer.
    pool stands behind the first module here, which makes up most of a long signal's cost otherwise (theirs: 1); 0:
    for STEPS times at most.
    """

    name: ClassVar[str] = "inception"

    filters: int = 16
    kernels: tuple[int, ...] = (9, 19, 39)
    depth: int = 6
    dropout: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(filters=self.filters, depth=self.depth)
        if not self.kernels or min(self.kernels) < 1:
            raise core.InputError(
                f"kernels={list(self.kernels)}.", fix="Give widths of at least 1, for example [9, 19]."
            )

    def build(self, shape: core.SignalShape, outputs: int) -> SignalNetwork:
        """The network for signals of `shape` and so many outputs; weights come from torch's generator."""
        channels, times = self.sizes(shape)
        return self.network(shape, InceptionTrunk(channels, self.pool or -(-times // STEPS), outputs, self))

    def pooled(self, times: int) -> int:
        """None: the first module sees every sample."""
        return 1
