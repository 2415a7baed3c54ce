"""How operations of one network serve a stack of members: the axis `member` is folded into another.

Images lie [member, batch, channel, *space]. In memory they may be *member-major* (one member after another) or
*batch-major* (strides of [batch, member, channel, *space], as a grouped convolution leaves them). Whichever it is,
an operation that treats channels or samples separately can see the stack as one array without copying.
"""

from collections.abc import Callable

from torch import Tensor

from tutti import core


def batch_major(x: Tensor) -> bool:
    """Whether x [member, batch, …] lies in memory with the batch outermost."""
    return x.stride(0) < x.stride(1)


def shared(x: Tensor) -> bool:
    """Whether all members see the same values (stride 0), and no gradient wants to tell them apart."""
    return x.stride(0) == 0 and not x.requires_grad


def into_channels(x: Tensor) -> Tensor:
    """[member, batch, channel, *space] -> [batch, member · channel, *space]; a view of a batch-major x."""
    return x.transpose(0, 1).flatten(1, 2)


def out_of_channels(x: Tensor, members: int) -> Tensor:
    """The inverse of `into_channels`: a batch-major view [member, batch, channel, *space]."""
    each: Tensor = x.unflatten(1, (members, -1))
    return each.transpose(0, 1)


def per_channel(run: Callable[[Tensor], Tensor], x: Tensor, axes: int) -> Tensor:
    """`run`, which treats all samples and channels of [batch, channel, *space] alike, on one network or a stack.

    x [*member, batch, channel, *space] with `axes` axes of space; InputError for any other number of axes.
    """
    if x.ndim == axes + 2:
        return run(x)
    if x.ndim != axes + 3:
        raise wrong_axes(x, axes)
    if shared(x):
        y = run(x[0])
        return y.expand(x.shape[0], *y.shape)
    if batch_major(x):
        return out_of_channels(run(into_channels(x)), x.shape[0])
    by_member: Tensor = run(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    return by_member


def wrong_axes(x: Tensor, axes: int) -> core.InputError:
    """The error for an input whose number of axes fits neither one network nor a stack."""
    space = ("length", "height, width", "depth, height, width")[axes - 1]
    return core.InputError(
        f"The layer takes [batch, channel, {space}], and got an array of shape {list(x.shape)}.",
        fix="Channels come before the axes of space; a single channel needs its axis too (x.unsqueeze(1)).",
    )


def per_axis(value: int | tuple[int, ...], axes: int, what: str, least: int = 1) -> tuple[int, ...]:
    """One whole number for each axis of space; InputError names `what` is wrong."""
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(values) != axes or min(values) < least:
        numbers = f"{axes} whole numbers" if axes > 1 else "a whole number"
        raise core.InputError(f"The {what} is {value}; expected {numbers} of at least {least}, or one for all axes.")
    return values


def check_axes(axes: int) -> int:
    """1, 2 or 3 axes of space, else InputError."""
    if axes not in (1, 2, 3):
        raise core.InputError(
            f"A layer for {axes} axes of space.", fix="Use axes=1 (signals), 2 (images) or 3 (volumes)."
        )
    return axes
