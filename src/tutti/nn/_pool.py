"""Pooling, flattening and enlarging: layers without parameters over 1, 2 or 3 axes of space.

x [*member, batch, channel, *space]; `axes` says how many axes of space there are (1 signals, 2 images, 3 volumes),
so that the axis `member` is recognised. Channels never mix.
"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tutti import core
from tutti.nn._convolve import check_fits
from tutti.nn._fold import check_axes, per_axis, per_channel, shared, wrong_axes

_MAX: tuple[Callable[..., Tensor], ...] = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
_AVERAGE: tuple[Callable[..., Tensor], ...] = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)
_ADAPTIVE: tuple[Callable[..., Tensor], ...] = (
    functional.adaptive_avg_pool1d,
    functional.adaptive_avg_pool2d,
    functional.adaptive_avg_pool3d,
)


def _check_half(padding: tuple[int, ...], kernel: tuple[int, ...]) -> None:
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise core.InputError(
            f"Pooling with padding {padding} and kernel {kernel}.", fix="Use at most half the kernel as padding."
        )


class MaxPool(nn.Module):
    """The largest value under the kernel, which moves by `stride` (default: the kernel's size).

    Each axis of space gets the size `convolved_size`; padding (at most half the kernel) stands for −∞.
    Raises InputError where the kernel is larger than the padded input.
    """

    stacked = True

    def __init__(
        self,
        kernel: int | tuple[int, ...],
        *,
        axes: int = 2,
        stride: int | tuple[int, ...] | None = None,
        padding: int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
    ) -> None:
        super().__init__()
        self.axes = check_axes(axes)
        self.kernel = per_axis(kernel, axes, "kernel")
        self.stride = self.kernel if stride is None else per_axis(stride, axes, "stride")
        self.padding = per_axis(padding, axes, "padding", least=0)
        self.dilation = per_axis(dilation, axes, "dilation")
        _check_half(self.padding, self.kernel)

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        check_fits(x.shape[-self.axes :], self.kernel, self.stride, self.padding, self.dilation)
        pool = _MAX[self.axes - 1]
        return per_channel(lambda h: pool(h, self.kernel, self.stride, self.padding, self.dilation), x, self.axes)


class AveragePool(nn.Module):
    """The mean under the kernel, which moves by `stride` (default: the kernel's size); padding counts as zeros.

    Each axis of space gets the size `convolved_size`. Raises InputError where the kernel does not fit.
    """

    stacked = True

    def __init__(
        self,
        kernel: int | tuple[int, ...],
        *,
        axes: int = 2,
        stride: int | tuple[int, ...] | None = None,
        padding: int | tuple[int, ...] = 0,
    ) -> None:
        super().__init__()
        self.axes = check_axes(axes)
        self.kernel = per_axis(kernel, axes, "kernel")
        self.stride = self.kernel if stride is None else per_axis(stride, axes, "stride")
        self.padding = per_axis(padding, axes, "padding", least=0)
        _check_half(self.padding, self.kernel)

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        check_fits(x.shape[-self.axes :], self.kernel, self.stride, self.padding, (1,) * self.axes)
        pool = _AVERAGE[self.axes - 1]
        return per_channel(lambda h: pool(h, self.kernel, self.stride, self.padding), x, self.axes)


class AdaptiveAveragePool(nn.Module):
    """Means over `size` cells per axis, whatever the input's size I: cell i covers ⌊iI/S⌋ … ⌈(i+1)I/S⌉ − 1."""

    stacked = True

    def __init__(self, size: int | tuple[int, ...], *, axes: int = 2) -> None:
        super().__init__()
        self.axes = check_axes(axes)
        self.size = per_axis(size, axes, "size")

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return per_channel(lambda h: _ADAPTIVE[self.axes - 1](h, self.size), x, self.axes)


class GlobalPool(nn.Module):
    """The mean or the maximum over all of space: [*member, batch, channel, *space] -> [*member, batch, channel].

    Shifting a periodic input changes nothing. Of several equal maxima each takes its share of the gradient.
    """

    stacked = True

    def __init__(self, kind: str = "mean", *, axes: int = 2) -> None:
        super().__init__()
        if kind not in ("mean", "max"):
            raise core.unknown("global pooling", kind, ("mean", "max"))
        self.kind = kind
        self.axes = check_axes(axes)

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        if x.ndim not in (self.axes + 2, self.axes + 3):
            raise wrong_axes(x, self.axes)
        over = tuple(range(-self.axes, 0))
        return x.mean(over) if self.kind == "mean" else x.amax(over)


class Flatten(nn.Module):
    """[*member, batch, channel, *space] -> [*member, batch, channel · space], channel by channel."""

    stacked = True

    def __init__(self, *, axes: int = 2) -> None:
        super().__init__()
        self.axes = check_axes(axes)

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        if x.ndim not in (self.axes + 2, self.axes + 3):
            raise wrong_axes(x, self.axes)
        return x.flatten(-self.axes - 1)


class Upsample(nn.Module):
    """Enlarges every axis of space `factor` times: "nearest" repeats values, "linear" draws lines between them.

    "linear" is linear, bilinear or trilinear by the number of axes, with values at the centres of their cells
    (torch's align_corners=False), constant beyond the outermost centres.
    """

    stacked = True

    def __init__(self, factor: int = 2, *, axes: int = 2, kind: str = "nearest") -> None:
        super().__init__()
        if kind not in ("nearest", "linear"):
            raise core.unknown("way of enlarging", kind, ("nearest", "linear"))
        self.factor = per_axis(factor, 1, "factor")[0]
        self.axes = check_axes(axes)
        self.mode = "nearest" if kind == "nearest" else ("linear", "bilinear", "trilinear")[axes - 1]

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        if self.mode != "nearest" and not shared(x):
            # torch computes the last few channels in other steps: side by side, a member would feel its neighbours.
            x = x.contiguous()
        return per_channel(
            lambda h: functional.interpolate(h, scale_factor=float(self.factor), mode=self.mode), x, self.axes
        )
