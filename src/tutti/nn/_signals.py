"""Signals into networks: which times are there, log-mel spectrograms, standardised channels, masked statistics."""

from math import log10

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

from tutti import core
from tutti.nn._normalise import BatchNorm

FLOOR = 1e-6  # added to a band's power before its logarithm: silence at −60 dB
LEAST = 1e-6  # size of a signal: one that does not vary has no form


def present_times(lengths: Int[Tensor, "*member batch"], times: int) -> Bool[Tensor, "*member batch 1 time"]:
    """True where a time of a signal is there: t < length. The axis of length 1 stands for the channels."""
    return (torch.arange(times, device=lengths.device) < lengths[..., None]).unsqueeze(-2)


def mel_filters(bands: int, bins: int, rate: float) -> Float[Tensor, "band bin"]:
    """Triangular filters of height 1 with edges evenly on the mel scale m(f) = 2595 log₁₀(1 + f/700), 0 to rate/2.

    (O'Shaughnessy 1987, as in HTK.) Bin k of `bins` stands for the frequency k · rate / (2 (bins − 1)). Band b rises
    from edge b to edge b + 1 and falls to edge b + 2, in Hz. A band so narrow that it holds no bin gets weight 1 at
    the bin nearest to its middle.
    """
    frequency = torch.linspace(0, rate / 2, bins, dtype=torch.float64)
    top = 2595 * log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, bands + 2, dtype=torch.float64) / 2595) - 1)
    low, middle, high = (edges[i : bands + i, None] for i in range(3))
    up, down = (frequency - low) / (middle - low), (high - frequency) / (high - middle)
    filters = torch.minimum(up, down).clamp(min=0)
    nearest = (frequency - middle).abs().argmin(1)
    empty = filters.amax(1) == 0
    filters[empty, nearest[empty]] = 1
    return filters.float()


class MelSpectrogram(nn.Module):
    """Log-mel spectrogram: ln(F |STFT(x)|² / (frame samples · ⅜) + 1e-6), F = mel_filters.

    forward(signals [*batch, channel, time], lengths [*batch]) -> ([*batch, channel · band, frame], frames [*batch]).
    Frames of `frame` seconds under a Hann window (periodic; its mean square is ⅜), one every `hop` seconds, the first
    centred on the first sample; the transform takes the next power of two. A signal of n samples has ⌊n / hop⌋ + 1
    frames. Samples behind a signal's end count as 0, whatever they are: padding changes nothing.
    """

    stacked = True
    constants = ("window", "filters")
    window: Tensor
    filters: Tensor

    def __init__(self, rate: float, *, bands: int = 40, frame: float = 0.025, hop: float = 0.01) -> None:
        super().__init__()
        self.samples, self.hop = round(frame * rate), round(hop * rate)
        if self.samples < 2 or self.hop < 1 or bands < 1:
            raise core.InputError(
                f"Frames of {frame} s every {hop} s at {rate:g} samples a second, {bands} bands.",
                fix="A frame needs two samples, a hop one, and there is at least one band.",
            )
        self.bands = bands
        self.size = 1 << (self.samples - 1).bit_length()
        self.register_buffer("window", torch.hann_window(self.samples))
        self.register_buffer("filters", mel_filters(bands, self.size // 2 + 1, rate))

    def forward(
        self, signals: Float[Tensor, "*batch channel time"], lengths: Int[Tensor, "*batch"]
    ) -> tuple[Float[Tensor, "*batch band frame"], Int[Tensor, "*batch"]]:
        x = signals.where(present_times(lengths, signals.shape[-1]), 0)
        spectrum = torch.stft(
            x.flatten(0, -2),
            self.size,
            self.hop,
            self.samples,
            self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        power = torch.view_as_real(spectrum).square().sum(-1)
        bands = (self.filters @ power / (0.375 * self.samples) + FLOOR).log()
        return bands.view(*x.shape[:-2], x.shape[-2] * self.bands, -1), lengths // self.hop + 1


def level_and_size(
    x: Float[Tensor, "*member batch channel time"], lengths: Int[Tensor, "*member batch"]
) -> tuple[Float[Tensor, "*member batch channel 1"], Float[Tensor, "*member batch channel 1"]]:
    """Mean and standard deviation of each channel over the times that are there."""
    there = present_times(lengths, x.shape[-1])
    count = lengths[..., None, None]
    level = x.where(there, 0).sum(-1, keepdim=True) / count
    return level, ((x - level).where(there, 0).square().sum(-1, keepdim=True) / count).sqrt()


class SignalInput(nn.Module):
    """The front of a network for signals: raw samples -> channels of mean 0 and standard deviation 1, 0 as padding.

    forward(signals [*member, batch, channel, time], lengths [*member, batch]) -> (x, lengths), of the signals
    themselves or, with a `spectrogram`, of its bands and frames. 16-bit sound is divided by 32,768 first.
    uneven: of signals whose sizes lie far apart, three channels stand for each: its form (x − mean)/size, its level
    asinh(mean) and the logarithm of its size (its standard deviation, at least LEAST), both the same at all times.
    `channels` counts what comes out; buffers `centre`, `scale` [*member, channels] are fitted on training rows
    (data.Signals.fit); without a fit they change nothing.
    """

    stacked = True
    centre: Tensor
    scale: Tensor

    def __init__(self, channels: int, spectrogram: MelSpectrogram | None = None, *, uneven: bool = False) -> None:
        super().__init__()
        self.spectrogram = spectrogram
        self.uneven = uneven and spectrogram is None
        self.channels = channels * (3 if self.uneven else 1 if spectrogram is None else spectrogram.bands)
        self.register_buffer("centre", torch.zeros(self.channels))
        self.register_buffer("scale", torch.ones(self.channels))

    def features(
        self, signals: Num[Tensor, "*member batch channel time"], lengths: Int[Tensor, "*member batch"]
    ) -> tuple[Float[Tensor, "*member batch out steps"], Int[Tensor, "*member batch"]]:
        """What is then standardised, and its lengths."""
        x = signals if signals.is_floating_point() else signals.to(torch.float32) / 2**15
        if self.spectrogram is not None:
            found: tuple[Tensor, Tensor] = self.spectrogram(x, lengths)
            return found
        if self.uneven:
            level, size = level_and_size(x, lengths)
            size = size.clamp(min=LEAST)
            x = torch.cat([(x - level) / size, *(z.expand(x.shape) for z in (level.asinh(), size.log()))], -2)
        return x, lengths

    def forward(
        self, signals: Num[Tensor, "*member batch channel time"], lengths: Int[Tensor, "*member batch"]
    ) -> tuple[Float[Tensor, "*member batch out steps"], Int[Tensor, "*member batch"]]:
        x, n = self.features(signals, lengths)
        centre, scale = (b[..., None, :, None] for b in (self.centre, self.scale))
        return ((x - centre) * scale).where(present_times(n, x.shape[-1]), 0), n


class MaskedBatchNorm(BatchNorm):
    """nn.BatchNorm of signals [*member, batch, channel, time] whose statistics are those of the times that are there.

    present [*member, batch, 1, time]; None: all are, and it is nn.BatchNorm. The output behind a signal's end means
    nothing. Law: padding changes neither output nor running statistics.
    """

    def __init__(self, features: int, *, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__(features, axes=1, momentum=momentum, epsilon=epsilon)

    def forward(
        self,
        x: Float[Tensor, "*member batch channel time"],
        present: Bool[Tensor, "*member batch 1 time"] | None = None,
    ) -> Float[Tensor, "*member batch channel time"]:
        if present is None:
            return super().forward(x)
        mean, variance = self.running_mean, self.running_var
        if self.training:
            count = present.sum((-3, -1)).clamp(min=2)
            mean = x.where(present, 0).sum((-3, -1)) / count
            off = (x - mean[..., None, :, None]).where(present, 0)
            variance = off.square().sum((-3, -1)) / count
            with torch.no_grad():
                self.running_mean.lerp_(mean.detach(), self.momentum)
                self.running_var.lerp_(variance.detach() * (count / (count - 1)), self.momentum)
        slope = self.weight * (variance + self.epsilon).rsqrt()
        shift = self.bias - mean * slope
        return x * slope[..., None, :, None] + shift[..., None, :, None]


class TimePool(nn.Module):
    """Means of `size` times each, of those that are there: [*member, batch, channel, time] -> ⌈time / size⌉ times.

    forward(x, lengths) -> (x, ⌈lengths / size⌉); x is 0 behind a signal's end. lengths None: all times are there.
    Law: padding changes nothing.
    """

    stacked = True

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(
        self, x: Float[Tensor, "*member batch channel time"], lengths: Int[Tensor, "*member batch"] | None
    ) -> tuple[Float[Tensor, "*member batch channel steps"], Int[Tensor, "*member batch"] | None]:
        if self.size == 1:
            return x, lengths
        times = x.shape[-1]
        x = nn.functional.pad(x, (0, -x.shape[-1] % self.size)).unflatten(-1, (-1, self.size)).sum(-1)
        steps = torch.arange(x.shape[-1], device=x.device) * self.size
        if lengths is None:
            return x / (times - steps).clamp(1, self.size), None
        count = (lengths[..., None] - steps).clamp(1, self.size)
        return x / count.unsqueeze(-2), (lengths + self.size - 1).div(self.size, rounding_mode="floor")


class MeanOverTime(nn.Module):
    """The mean over the times that are there: [*member, batch, channel, time] -> [*member, batch, channel]."""

    stacked = True

    def forward(
        self, x: Float[Tensor, "*member batch channel time"], lengths: Int[Tensor, "*member batch"] | None = None
    ) -> Float[Tensor, "*member batch channel"]:
        """lengths None: all times are there; otherwise x is 0 behind them."""
        if lengths is None:
            return x.mean(-1)
        return x.sum(-1) / lengths.clamp(min=1)[..., None]
