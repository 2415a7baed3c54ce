"""What all networks for time series share: the input side, the windows' own level, and the units of the target."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._model import Model
from tutti.models._table import check_choice


class SeriesFront(torch_nn.Module):
    """(x − centre)/scale of each channel, missing values become 0: past [*batch, time, channel] -> [*batch, channel,
    time]. With `calendar` the second input passes, without it is left out. centre and scale [*member, channel] are
    fitted by data.Series.fit."""

    stacked: ClassVar[bool] = True
    centre: Tensor
    scale: Tensor

    def __init__(self, channels: int, calendar: bool) -> None:
        super().__init__()
        self.calendar = calendar
        self.register_buffer("centre", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))

    def forward(
        self, past: Float[Tensor, "*batch time channel"], calendar: Float[Tensor, "*batch feature"]
    ) -> tuple[Float[Tensor, "..."], ...]:
        centre, scale = self.centre, self.scale
        if centre.ndim > 1:
            centre, scale = centre[:, None, None], scale[:, None, None]
        standard = torch.nan_to_num((past - centre) / scale, nan=0.0).mT.contiguous()
        return (standard, calendar) if self.calendar else (standard,)


class Units(torch_nn.Module):
    """gain · x + shift: from the channels' standardised units to those of the target, which are each output's own.

    gain and shift [*member, out] are fitted by data.Series.fit.
    """

    stacked: ClassVar[bool] = True
    gain: Tensor
    shift: Tensor

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.register_buffer("gain", torch.ones(outputs))
        self.register_buffer("shift", torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "*member batch out"]) -> Float[Tensor, "*member batch out"]:
        return torch.addcmul(self.shift.unsqueeze(-2), x, self.gain.unsqueeze(-2))


class SeriesBody(torch_nn.Module):
    """`steps` on the normalised windows, plus a dense layer of the calendar, in the units of the target.

    steps: [*member, batch, channel, window] -> [*member, batch, channel, horizon]. The output is [*member, batch,
    horizon · channel]: step by step, within a step channel by channel.
    """

    stacked: ClassVar[bool] = True

    def __init__(self, shape: core.SeriesShape, steps: torch_nn.Module, *, norm: str, calendar: bool) -> None:
        super().__init__()
        self.shape = shape
        self.norm = nn.ReversibleNorm(norm)
        self.steps = steps
        outputs = shape.channels * shape.horizon
        self.calendar = nn.Linear(shape.calendar, outputs, init="zeros") if calendar else None
        self.units = Units(outputs)

    def forward(
        self,
        past: Float[Tensor, "*member batch channel time"],
        calendar: Float[Tensor, "*member batch feature"] | None = None,
    ) -> Float[Tensor, "*member batch out"]:
        windows, level = self.norm(past)
        ahead = self.steps(windows)
        if self.calendar is not None:
            ahead = ahead + self.calendar(calendar).unflatten(-1, (self.shape.channels, self.shape.horizon))
        output: Tensor = self.units(self.norm.restore(ahead, level).mT.flatten(-2))
        return output


class SeriesNetwork(torch_nn.Module):
    """body(*front(past, calendar)): past [*member, batch, window, channel] raw, calendar [*member, batch, wave]."""

    stacked: ClassVar[bool] = True

    def __init__(self, shape: core.SeriesShape, body: SeriesBody) -> None:
        super().__init__()
        self.front = SeriesFront(shape.channels, body.calendar is not None)
        self.body = body

    def forward(
        self, past: Float[Tensor, "*member batch time channel"], calendar: Float[Tensor, "*member batch feature"]
    ) -> Float[Tensor, "*member batch out"]:
        output: Tensor = self.body(*self.front(past, calendar))
        return output


@dataclass(frozen=True, kw_only=True)
class SeriesModel(Model):
    """A Config of a network that forecasts.

    norm: what each window is relieved of and its forecast given back, one of nn.WINDOW_NORMS. calendar: whether a
    dense layer of the day's, week's and year's waves is added to the forecast, where times are dates.
    Every channel is forecast from its own past by the same weights ("channel independence", Nie et al. 2023).
    """

    kind: ClassVar[str] = "series"

    norm: str = "standard"
    calendar: bool = False

    def __post_init__(self) -> None:
        check_choice("normalisation of windows", [self.norm], nn.WINDOW_NORMS)

    @abstractmethod
    def forecaster(self, shape: core.SeriesShape) -> torch_nn.Module:
        """[*member, batch, channel, window] -> [*member, batch, channel, horizon]."""

    def build(self, shape: core.SeriesShape, outputs: int) -> SeriesNetwork:
        """The network for windows of `shape`; outputs = horizon · channels."""
        if outputs != shape.horizon * shape.channels:
            raise core.InputError(
                f"A forecast of {shape.horizon} steps of {shape.channels} channels has "
                f"{shape.horizon * shape.channels} outputs, not {outputs}."
            )
        waves = self.calendar and shape.calendar > 0
        return SeriesNetwork(shape, SeriesBody(shape, self.forecaster(shape), norm=self.norm, calendar=waves))


class Patches(torch_nn.Module):
    """Stretches of `length` steps, each `stride` after the one before: [*batch, time] -> [*batch, patch, length].

    The first steps are left out where they do not fill a stretch; a window shorter than one stretch is one."""

    stacked: ClassVar[bool] = True

    def __init__(self, window: int, length: int, stride: int) -> None:
        super().__init__()
        self.length, self.stride = min(length, window), stride
        self.count = (window - self.length) // stride + 1
        self.first = window - self.length - (self.count - 1) * stride

    def forward(self, x: Float[Tensor, "*batch time"]) -> Float[Tensor, "*batch patch length"]:
        return x[..., self.first :].unfold(-1, self.length, self.stride)


def fold_channels(x: Float[Tensor, "*member batch channel time"]) -> Float[Tensor, "*member series time"]:
    """Channels as if they were samples."""
    return x.flatten(-3, -2)


def unfold_channels(
    x: Float[Tensor, "*member series horizon"], channels: int
) -> Float[Tensor, "*member batch channel horizon"]:
    """The inverse of fold_channels."""
    apart: Tensor = x.unflatten(-2, (-1, channels))
    return apart


def check_sizes(**sizes: int) -> None:
    """Raises where a size is below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise core.InputError(f"{name} is {size}.", fix="Give at least 1.")
