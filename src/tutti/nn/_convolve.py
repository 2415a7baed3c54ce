"""Convolution over 1, 2 or 3 axes of space, and its transpose.

Three ways to convolve a stack of members, all giving the same numbers up to rounding:
*wide*     members share the input (a first layer): one convolution to member · outputs channels;
*grouped*  members are groups of one convolution, their channels side by side;
*looped*   one convolution after another.
On a CPU a grouped convolution is fast where oneDNN can cut each group into blocks of 8 channels, and elsewhere up to
three times slower than the loop. `_groups_pay` holds the rule; docs/LOG.md (2026-11-21) the measurements.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tutti import core
from tutti.nn._fold import check_axes, into_channels, out_of_channels, per_axis, shared, wrong_axes
from tutti.nn._initialise import initialise

_SMALL = 2**18  # numbers that a member's 1 × 1 convolution reads and writes, up to which its group is fast: 1 MiB
_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")

_CONVOLVE: tuple[Callable[..., Tensor], ...] = (functional.conv1d, functional.conv2d, functional.conv3d)
_TRANSPOSE: tuple[Callable[..., Tensor], ...] = (
    functional.conv_transpose1d,
    functional.conv_transpose2d,
    functional.conv_transpose3d,
)


def convolved_size(inputs: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """The output size of a convolution or pooling along one axis: ⌊(2P + I − D(K − 1) − 1) / S⌋ + 1.

    With dilation D = 1: ⌊(2P + I − K) / S⌋ + 1. `padding` P counts on each side. 0 or less: the kernel does not fit.
    """
    return (2 * padding + inputs - dilation * (kernel - 1) - 1) // stride + 1


def transposed_size(
    inputs: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1, extra: int = 0
) -> int:
    """The output size of a transposed convolution along one axis: (I − 1) S − 2P + D(K − 1) + 1 + extra."""
    return (inputs - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 + extra


def check_fits(
    space: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> None:
    """Raises InputError, with the numbers, where the kernel is larger than the padded input."""
    for i, k, s, p, d in zip(space, kernel, stride, padding, dilation, strict=True):
        if convolved_size(i, k, stride=s, padding=p, dilation=d) < 1:
            reach = d * (k - 1) + 1
            raise core.InputError(
                f"A kernel of {k}{f' with dilation {d} (reach {reach})' if d > 1 else ''} does not fit into an input "
                f"of {i} with padding {p}: {i + 2 * p} < {reach}.",
                fix=f"Use padding of at least {-(-(reach - i) // 2)}, a smaller kernel, or fewer layers before it.",
            )


def _groups_pay(inputs: int, outputs: int, kernel: int, stride: int, places: int) -> bool:
    """Whether a grouped convolution is at least as fast on a CPU as one convolution after another.

    inputs, outputs: channels of one group of one member; kernel: its number of places; stride: the largest; places:
    of a member's whole batch. How many members there are is not asked: it would change their rounding.
    """
    if inputs == outputs == 1:
        return True
    if inputs % 8 or outputs % 8:
        return False
    small = places * (inputs + outputs) <= _SMALL
    return inputs < 16 or (stride == 1 and (kernel > 1 or inputs < 32 or small))


class Convolution(nn.Module):
    """y[o] = b[o] + Σ_c w[o, c] ⋆ x[c], the cross-correlation of torch.nn.Conv1d, 2d and 3d.

    weight [*member, outputs, inputs / groups, *kernel], bias [*member, outputs] (none without `bias`);
    x [*member, batch, inputs, *space] -> [*member, batch, outputs, *space'], with `axes` axes of space (1 signals,
    2 images, 3 volumes), each of size `convolved_size`. kernel, stride, padding, dilation: one number, or one per
    axis. padding "same" (stride 1 only) keeps the size; of an odd surplus the larger part lies behind, as in torch.
    padding_mode: what stands in the padding ("zeros", "reflect", "replicate", "circular"). Starts by the initialiser
    `init`, times `scale` (see `initialise`). Its law: shifting x shifts y.
    Raises InputError for sizes that do not fit together, in the constructor or for the input at hand.
    """

    stacked = True

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, ...],
        *,
        axes: int = 2,
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        padding_mode: str = "zeros",
        bias: bool = True,
        init: str = "torch",
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.axes = check_axes(axes)
        self.inputs, self.outputs, self.groups = inputs, outputs, groups
        self.kernel = per_axis(kernel, axes, "kernel")
        self.stride = per_axis(stride, axes, "stride")
        self.dilation = per_axis(dilation, axes, "dilation")
        _check_groups(inputs, outputs, groups)
        if padding_mode not in _PADDING_MODES:
            raise core.unknown("padding mode", padding_mode, _PADDING_MODES)
        self.padding_mode = padding_mode
        self.padding, self.surplus = self._padding(padding)
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, *self.kernel))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        initialise(self.weight, self.bias, init, scale)

    def _padding(self, padding: int | tuple[int, ...] | str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The padding on both sides of each axis, and what is added behind it."""
        if not isinstance(padding, str):
            return per_axis(padding, self.axes, "padding", least=0), (0,) * self.axes
        if padding != "same":
            raise core.unknown("padding", padding, ("same",))
        if max(self.stride) > 1:
            raise core.InputError(
                f"padding='same' with stride {self.stride}: the size cannot stay the same.", fix="Use stride=1."
            )
        total = [d * (k - 1) for d, k in zip(self.dilation, self.kernel, strict=True)]
        return tuple(t // 2 for t in total), tuple(t % 2 for t in total)

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        self._check(x)
        weight, bias = self.weight, self.bias
        if weight.ndim == self.axes + 2:
            return self._convolve(x, weight, bias, self.groups)
        members = x.shape[0]
        flat = None if bias is None else bias.flatten()
        if self.groups == 1 and shared(x):
            return out_of_channels(self._convolve(x[0], weight.flatten(0, 1), flat, 1), members)
        per_group = self.inputs // self.groups, self.outputs // self.groups
        places = x.shape[1] * prod(x.shape[3:])
        if x.is_cuda or _groups_pay(*per_group, prod(self.kernel), max(self.stride), places):
            groups = members * self.groups
            return out_of_channels(self._convolve(into_channels(x), weight.flatten(0, 1), flat, groups), members)
        return looped(lambda h, w, b: self._convolve(h, w, b, self.groups), x, weight, bias)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros" or any(self.surplus):
            last_first = zip(reversed(padding), reversed(self.surplus), strict=True)
            around = [amount for p, more in last_first for amount in (p, p + more)]
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            x = functional.pad(x, around, mode)
            padding = (0,) * self.axes
        return _CONVOLVE[self.axes - 1](x, weight, bias, self.stride, padding, self.dilation, groups)

    def _check(self, x: Tensor) -> None:
        check_channels(x, self.inputs, self.axes, self.weight.ndim - self.axes - 2)
        space = x.shape[-self.axes :]
        if any(self.surplus):
            space = torch.Size([i + s for i, s in zip(space, self.surplus, strict=True)])
        check_fits(space, self.kernel, self.stride, self.padding, self.dilation)
        if self.padding_mode in ("reflect", "circular"):
            least = 1 if self.padding_mode == "reflect" else 0
            for size, p, s in zip(x.shape[-self.axes :], self.padding, self.surplus, strict=True):
                if p + s + least > size:
                    raise core.InputError(
                        f"padding_mode={self.padding_mode!r} with padding {p + s} needs an input of at least "
                        f"{p + s + least}, and got {size}.",
                        fix="Use less padding, or padding_mode='zeros'.",
                    )

    def extra_repr(self) -> str:
        return f"{self.inputs} -> {self.outputs}, kernel {self.kernel}, stride {self.stride}, padding {self.padding}"


class TransposedConvolution(nn.Module):
    """The transpose of `Convolution`, as torch.nn.ConvTranspose1d, 2d and 3d: each input paints a kernel.

    weight [*member, inputs, outputs / groups, *kernel], bias [*member, outputs];
    x [*member, batch, inputs, *space] -> [*member, batch, outputs, *space'], each axis of size `transposed_size`.
    `extra` (torch's output_padding, below stride or dilation) picks one of the sizes that the forward convolution
    maps to the same. With equal weights, <y, Convolution(x)> = <TransposedConvolution(y), x> where there is no bias.
    """

    stacked = True

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, ...],
        *,
        axes: int = 2,
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        extra: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        init: str = "torch",
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.axes = check_axes(axes)
        self.inputs, self.outputs, self.groups = inputs, outputs, groups
        self.kernel = per_axis(kernel, axes, "kernel")
        self.stride = per_axis(stride, axes, "stride")
        self.padding = per_axis(padding, axes, "padding", least=0)
        self.dilation = per_axis(dilation, axes, "dilation")
        self.extra = per_axis(extra, axes, "extra size", least=0)
        _check_groups(inputs, outputs, groups)
        for e, s, d in zip(self.extra, self.stride, self.dilation, strict=True):
            if e and e >= max(s, d):
                raise core.InputError(f"An extra size of {e}; expected less than the stride {s} or the dilation {d}.")
        self.weight = nn.Parameter(torch.empty(inputs, outputs // groups, *self.kernel))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        initialise(self.weight, self.bias, init, scale)

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        self._check(x)
        weight, bias = self.weight, self.bias
        if weight.ndim == self.axes + 2:
            return self._transpose(x, weight, bias, self.groups)
        members = x.shape[0]
        per_group = self.inputs // self.groups, self.outputs // self.groups
        places = x.shape[1] * prod(x.shape[3:])
        if x.is_cuda or _groups_pay(*per_group, prod(self.kernel), max(self.stride), places):
            flat = None if bias is None else bias.flatten()
            groups = members * self.groups
            return out_of_channels(self._transpose(into_channels(x), weight.flatten(0, 1), flat, groups), members)
        return looped(lambda h, w, b: self._transpose(h, w, b, self.groups), x, weight, bias)

    def _transpose(self, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        run = _TRANSPOSE[self.axes - 1]
        return run(x, weight, bias, self.stride, self.padding, self.extra, groups, self.dilation)

    def _check(self, x: Tensor) -> None:
        check_channels(x, self.inputs, self.axes, self.weight.ndim - self.axes - 2)
        each = zip(
            x.shape[-self.axes :], self.kernel, self.stride, self.padding, self.dilation, self.extra, strict=True
        )
        for i, k, s, p, d, e in each:
            size = transposed_size(i, k, stride=s, padding=p, dilation=d, extra=e)
            if size < 1:
                raise core.InputError(
                    f"A transposed convolution of an input of {i} with kernel {k}, stride {s} and padding {p} "
                    f"has an output of {size}.",
                    fix="Use less padding.",
                )

    def extra_repr(self) -> str:
        return f"{self.inputs} -> {self.outputs}, kernel {self.kernel}, stride {self.stride}, padding {self.padding}"


def looped(run: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """run(x, weight, bias) for one member after another, stacked."""
    biases: Sequence[Any] = [None] * len(x) if bias is None else bias.unbind()
    return torch.stack([run(*each) for each in zip(x.unbind(), weight.unbind(), biases, strict=True)])


def check_channels(x: Tensor, channels: int, axes: int, members: int) -> None:
    """Raises InputError unless x is [*member, batch, channels, *space]; `members`: how many member axes (0 or 1)."""
    if x.ndim != axes + 2 + members:
        raise wrong_axes(x, axes)
    if x.shape[-axes - 1] != channels:
        raise core.InputError(
            f"The layer takes {channels} channels, and got {x.shape[-axes - 1]} (shape {list(x.shape)}).",
            fix="Channels come before the axes of space.",
        )


def _check_groups(inputs: int, outputs: int, groups: int) -> None:
    if min(inputs, outputs, groups) < 1 or inputs % groups or outputs % groups:
        raise core.InputError(
            f"{inputs} channels to {outputs} in {groups} groups.",
            fix="Use a number of groups that divides both numbers of channels.",
        )
