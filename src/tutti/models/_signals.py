"""What all networks for signals share: the front, the augmentation, the options for both."""

from dataclasses import dataclass
from typing import ClassVar

from einops import rearrange
from jaxtyping import Float, Int, Num
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._model import Model

SOUND = 4_000  # samples a second from which signals are taken for sound
LONG = 512  # times, at most, that a trunk sees where `pool` is 0


class SignalBody(torch_nn.Module):
    """The learned part: (standardised signals, lengths) -> output. Augmentation stands at its head.

    masked: whether lengths differ; otherwise they are not looked at.
    """

    stacked: ClassVar[bool] = True

    def __init__(self, augment: torch_nn.Module | None, pool: nn.TimePool, trunk: torch_nn.Module, *, masked: bool):
        super().__init__()
        self.augment = augment
        self.pool = pool
        self.trunk = trunk
        self.masked = masked

    def forward(
        self, x: Float[Tensor, "*member batch channel time"], lengths: Int[Tensor, "*member batch"]
    ) -> Float[Tensor, "*member batch out"]:
        if self.augment is not None:
            x = self.augment(x, lengths)
        output: Tensor = self.trunk(*self.pool(x, lengths if self.masked else None))
        return output


class SignalNetwork(torch_nn.Module):
    """body(*front(signals, lengths)): raw signals [*member, batch, channel, time], zeros behind each one's length.

    Law: padding changes nothing, in training neither.
    """

    stacked: ClassVar[bool] = True

    def __init__(self, front: nn.SignalInput, body: SignalBody) -> None:
        super().__init__()
        self.front = front
        self.body = body

    def forward(
        self, signals: Num[Tensor, "*member batch channel time"], lengths: Int[Tensor, "*member batch"]
    ) -> Float[Tensor, "*member batch out"]:
        output: Tensor = self.body(*self.front(signals, lengths))
        return output


@dataclass(frozen=True, kw_only=True)
class SignalModel(Model):
    """Base of the Configs for signals.

    spectrogram: "mel": the network sees a log-mel spectrogram of `bands` bands, frames of `frame` seconds every `hop`
    seconds; "none": the samples; "auto": the spectrogram of sound (SOUND samples a second or more).
    pool: the trunk sees means of so many times; 0: of as many as it takes for LONG at most.
    augment: whether there is augmentation (its strength is the setting's `augment`); see nn.SignalAugment.
    """

    kind: ClassVar[str] = "signals"

    spectrogram: str = "auto"
    bands: int = 40
    frame: float = 0.025
    hop: float = 0.01
    pool: int = 0
    augment: bool = False

    def __post_init__(self) -> None:
        if self.spectrogram not in ("auto", "mel", "none"):
            raise core.unknown("spectrogram", self.spectrogram, ("auto", "mel", "none"))
        if self.pool < 0:
            raise core.InputError(f"pool is {self.pool}; expected 0 or more.")

    def front(self, shape: core.SignalShape) -> tuple[nn.SignalInput, int]:
        """The front, and how many times it gives at most."""
        wanted = self.spectrogram == "mel" or (self.spectrogram == "auto" and (shape.rate or 0) >= SOUND)
        if not wanted:
            return nn.SignalInput(shape.channels, uneven=shape.uneven), shape.length
        if shape.rate is None:
            raise core.InputError(
                "A spectrogram of signals whose rate is unknown.",
                fix="Say how many samples a second there are: rate=.",
            )
        mel = nn.MelSpectrogram(shape.rate, bands=self.bands, frame=self.frame, hop=self.hop)
        return nn.SignalInput(shape.channels, mel), shape.length // mel.hop + 1

    def sizes(self, shape: core.SignalShape) -> tuple[int, int]:
        """Channels and times that reach the trunk."""
        front, times = self.front(shape)
        return front.channels, -(-times // self.pooled(times))

    def network(self, shape: core.SignalShape, trunk: torch_nn.Module) -> SignalNetwork:
        """The whole network around `trunk`, which takes ([*member, batch, channel, time], lengths or None)."""
        front, times = self.front(shape)
        bands = 0.2 if front.spectrogram is not None else 0.0
        augment = nn.SignalAugment(bands=bands) if self.augment else None
        pool = nn.TimePool(self.pooled(times))
        return SignalNetwork(front, SignalBody(augment, pool, trunk, masked=not shape.equal))

    def pooled(self, times: int) -> int:
        """How many times become one on the way into the trunk."""
        return self.pool or -(-times // LONG)


def patches(
    x: Float[Tensor, "*member batch channel time"], lengths: Int[Tensor, "*member batch"] | None, size: int
) -> tuple[Float[Tensor, "*member batch step feature"], Int[Tensor, "*member batch"] | None]:
    """Stretches of `size` times, all channels of each as one row of features; the last one is filled up with 0."""
    x = torch_nn.functional.pad(x, (0, -x.shape[-1] % size))
    rows = rearrange(x, "... channel (step place) -> ... step (channel place)", place=size)
    return rows, None if lengths is None else (lengths + size - 1).div(size, rounding_mode="floor")


def check_positive(**values: int) -> None:
    """Raises InputError for a number below 1."""
    for name, value in values.items():
        if value < 1:
            raise core.InputError(f"{name} is {value}; expected at least 1.")
