"""Augmentation of signals: noise, shifts, masks in time and in frequency, each stronger or weaker by one number."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tutti import core
from tutti.nn._regularise import draw_normal, spread
from tutti.nn._signals import present_times


class SignalAugment(nn.Module):
    """In training disturbs standardised signals x [*member, batch, channel, time]; in evaluation passes them on.

    With a = `augment` (a buffer: one strength per member, 0 nothing, 1 as below) and n a signal's length:
    shift    by a whole number of times, uniform on ±a · shift · n; what comes in from outside is 0;
    jitter   + a · jitter · N(0, 1) on every value;
    time     a stretch of u · a · time · n times becomes 0, u uniform on [0, 1), anywhere in the signal;
    bands    a range of u · a · bands · channels neighbouring channels becomes 0 (SpecAugment, Park et al. 2019): for
             spectrograms, where channels are frequencies.
    All draws are per signal. 0 is the channels' mean. Values behind a signal's end stay 0.
    """

    stacked = True
    augment: Tensor

    def __init__(
        self, *, shift: float = 0.1, jitter: float = 0.1, time: float = 0.2, bands: float = 0.0, strength: float = 0.0
    ) -> None:
        super().__init__()
        self.shift, self.jitter, self.time, self.bands = shift, jitter, time, bands
        self.register_buffer("augment", torch.tensor(float(strength)))

    def forward(
        self, x: Float[Tensor, "*member batch channel time"], lengths: Int[Tensor, "*member batch"]
    ) -> Float[Tensor, "*member batch channel time"]:
        if not self.training:
            return x
        strength, n = spread(self.augment, x), lengths[..., None, None]
        one = x[..., :1, :1]
        if self.shift:
            x = self._shifted(x, n, strength * self.shift)
        if self.jitter:
            x = torch.addcmul(x, draw_normal(x), strength * self.jitter)
        if self.time:
            x = x.masked_fill(_stretch(one, x.shape[-1], n, strength * self.time), 0)
        if self.bands:
            count = x.shape[-2]
            x = x.masked_fill(_stretch(one, count, count, strength * self.bands).mT, 0)
        return x.where(present_times(lengths, x.shape[-1]), 0)

    def _shifted(self, x: Tensor, n: Tensor, most: Tensor) -> Tensor:
        by = ((2 * core.draw_uniform(x[..., :1, :1]) - 1) * most * n).round().long()
        source = torch.arange(x.shape[-1], device=x.device) - by
        moved = x.gather(-1, source.clamp(0, x.shape[-1] - 1).expand(x.shape))
        return moved.where((source >= 0) & (source < n), 0)


def _stretch(one: Tensor, places: int, size: Tensor | int, most: Tensor) -> Tensor:
    """Bool [..., 1, places]: a stretch of u · most · size places, anywhere within the first `size`."""
    width = core.draw_uniform(one) * most * size
    start = core.draw_uniform(one) * (size - width)
    place = torch.arange(places, device=one.device)
    return (place >= start) & (place < start + width)
