"""Normalisation: activations brought to mean 0 and spread 1, over the batch, the features or groups of channels.

x [*member, batch, *any, feature] where features come last; with `axes` axes of space, x [*member, batch, channel,
*space]. weight and bias [*member, feature] start at 1 and 0.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tutti import core
from tutti.nn._fold import batch_major, into_channels, out_of_channels, wrong_axes


def _along(parameter: Tensor, x: Tensor, axis: int) -> Tensor:
    """[*member, feature] -> an array that broadcasts over x, whose features lie on `axis` (negative)."""
    member = parameter.shape[:-1]
    between = x.ndim + axis - len(member)
    return parameter.reshape(*member, *(1,) * between, -1, *(1,) * (-1 - axis))


class LayerNorm(nn.Module):
    """w · (x − mean) / √(variance + ε) + b over the features of each sample and place (Ba et al. 2016), ε = 1e-5.

    The variance is over n. Features are the last axis, or with `axes` the channels [*member, batch, channel, *space].
    Law: x · a + c, for any a ≫ √ε and c, gives the same.
    """

    stacked = True

    def __init__(self, features: int, *, axes: int = 0, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.axes, self.epsilon = axes, epsilon

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        x = x.movedim(-1 - self.axes, -1)
        if self.weight.ndim == 1:
            y = functional.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.epsilon)
        else:
            normal = functional.layer_norm(x, x.shape[-1:], eps=self.epsilon)
            y = torch.addcmul(_along(self.bias, x, -1), normal, _along(self.weight, x, -1))
        return y.movedim(-1, -1 - self.axes)


class RMSNorm(nn.Module):
    """w · x / √(mean x² + ε) over the features of each sample and place (Zhang & Sennrich 2019), ε = 1e-6.

    No mean is taken away and there is no bias. Features as in LayerNorm. Law: x · a, for any a ≫ √ε, gives the same.
    """

    stacked = True

    def __init__(self, features: int, *, axes: int = 0, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.axes, self.epsilon = axes, epsilon

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        x = x.movedim(-1 - self.axes, -1)
        if self.weight.ndim == 1:
            y = functional.rms_norm(x, x.shape[-1:], self.weight, self.epsilon)
        else:
            y = functional.rms_norm(x, x.shape[-1:], eps=self.epsilon) * _along(self.weight, x, -1)
        return y.movedim(-1, -1 - self.axes)


class BatchNorm(nn.Module):
    """w · (x − mean) / √(variance + ε) + b for each feature (Ioffe & Szegedy 2015), ε = 1e-5.

    In training, mean and variance (over n) are the batch's, over samples and space, and the running ones move towards
    them in place: running ← (1 − momentum) · running + momentum · batch's, the running variance with n − 1. In
    evaluation the running ones are used. Buffers running_mean, running_var [*member, feature] start at 0 and 1.
    x [*member, batch, feature], or with `axes` [*member, batch, channel, *space]. A batch that holds one value per
    feature has no variance: InputError. Accumulating gradients over small batches is not one big batch here.
    """

    stacked = True
    batch_statistics = True
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, features: int, *, axes: int = 0, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))
        self.axes, self.momentum, self.epsilon = axes, momentum, epsilon

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if x.ndim != self.axes + 1 + self.weight.ndim:
            raise _wrong_shape(x, self.axes)
        features = x.shape[-1 - self.axes]
        members = self.weight.shape[0] if self.weight.ndim == 2 else 1
        if self.training and x.numel() == members * features:
            raise core.InputError(
                f"Batch normalisation needs more than one value per feature, and got {list(x.shape)}.",
                fix="Use a batch size of at least 2, or another normalisation ('layer', 'group').",
            )
        if self.weight.ndim == 1:
            return self._normal(x, self.running_mean, self.running_var)
        # A buffer may be a slice of a longer row of numbers: then flattening copies it, and it is written back.
        mean, variance = self.running_mean.flatten(), self.running_var.flatten()
        y = self._normal_of_stack(x, mean, variance)
        if self.training and not self.running_mean.is_contiguous():
            self.running_mean.copy_(mean.view_as(self.running_mean))
        if self.training and not self.running_var.is_contiguous():
            self.running_var.copy_(variance.view_as(self.running_var))
        return y

    def _normal_of_stack(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """The members' features side by side in one batch normalisation.

        Where features come last, torch computes the odd ones behind the last whole vector (of up to 16) in other
        steps, and a member would feel its neighbours: then the batch is put last instead.
        """
        members, batch, features = x.shape[:3]
        if x[0, 0, 0].numel() > 1 or features % 16 == 0:
            return out_of_channels(self._normal(into_channels(x), mean, variance), members)
        y = self._normal(x.transpose(1, 2).reshape(1, members * features, batch), mean, variance)
        return y.view(members, features, batch).transpose(1, 2).view(x.shape)

    def _normal(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        weight, bias = self.weight.flatten(), self.bias.flatten()
        return functional.batch_norm(x, mean, variance, weight, bias, self.training, self.momentum, self.epsilon)


class GroupNorm(nn.Module):
    """w · (x − mean) / √(variance + ε) + b over groups of a sample's neighbouring channels (Wu & He 2018).

    ε = 1e-5. `groups` must divide the channels; without it there are about 16 channels to a group (their table 3).
    One group: layer normalisation over channels and space together; as many as channels: instance normalisation.
    w and b per channel. x [*member, batch, channel, *space] with `axes` axes of space (0: [*member, batch, feature]).
    """

    stacked = True

    def __init__(self, features: int, groups: int | None = None, *, axes: int = 0, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.groups = _groups(features) if groups is None else groups
        if self.groups < 1 or features % self.groups:
            raise core.InputError(
                f"{features} features in {groups} groups.", fix="Use a number of groups that divides the features."
            )
        if axes == 0 and features == self.groups:
            raise core.InputError(
                f"{features} features in {groups} groups: each group holds one value, and becomes 0.",
                fix="Use fewer groups.",
            )
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.axes, self.epsilon = axes, epsilon

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return _by_group(x, self.groups, self.weight, self.bias, self.axes, self.epsilon)


class InstanceNorm(nn.Module):
    """w · (x − mean) / √(variance + ε) + b over the space of each channel of each sample (Ulyanov et al. 2016).

    ε = 1e-5. Unlike torch's default, w and b are learned and there are never running statistics.
    x [*member, batch, channel, *space] with `axes` (at least 1) axes of space.
    """

    stacked = True

    def __init__(self, features: int, *, axes: int = 2, epsilon: float = 1e-5) -> None:
        super().__init__()
        if axes < 1:
            raise core.InputError(
                "Instance normalisation of features without axes of space leaves only zeros.",
                fix="Use 'layer' or 'batch' normalisation.",
            )
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.axes, self.epsilon = axes, epsilon

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return _by_group(x, self.weight.shape[-1], self.weight, self.bias, self.axes, self.epsilon)


def _by_group(x: Tensor, groups: int, weight: Tensor, bias: Tensor, axes: int, epsilon: float) -> Tensor:
    if x.ndim != axes + 1 + weight.ndim:
        raise _wrong_shape(x, axes)
    if weight.ndim == 1:
        return functional.group_norm(x, groups, weight, bias, epsilon)
    members = x.shape[0]
    if batch_major(x):
        y = functional.group_norm(into_channels(x), members * groups, weight.flatten(), bias.flatten(), epsilon)
        return out_of_channels(y, members)
    normal = functional.group_norm(x.flatten(0, 1), groups, eps=epsilon).unflatten(0, x.shape[:2])
    return torch.addcmul(_along(bias, x, -1 - axes), normal, _along(weight, x, -1 - axes))


def _wrong_shape(x: Tensor, axes: int) -> core.InputError:
    if axes:
        return wrong_axes(x, axes)
    return core.InputError(
        f"The layer takes [batch, feature], and got an array of shape {list(x.shape)}.",
        fix="For images and signals say how many axes of space there are: axes=2.",
    )


def _groups(features: int) -> int:
    """The number of groups that divides the features and comes nearest to 16 in each, from above."""
    return max(g for g in range(1, max(features // 16, 1) + 1) if features % g == 0)


def _none(features: int, axes: int) -> nn.Module:
    return nn.Identity()


NORMALISATIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "none": _none,
    "batch": lambda features, axes: BatchNorm(features, axes=axes),
    "layer": lambda features, axes: LayerNorm(features, axes=axes),
    "rms": lambda features, axes: RMSNorm(features, axes=axes),
    "group": lambda features, axes: GroupNorm(features, axes=axes),
    "instance": lambda features, axes: InstanceNorm(features, axes=axes),
}
"""Name -> how to build it from the number of features and of axes of space."""


def normalisation(name: str, features: int, *, axes: int = 0) -> nn.Module:
    """The normalisation of that name for so many features (channels, before `axes` axes of space).

    Raises InputError with the nearest name.
    """
    if name not in NORMALISATIONS:
        raise core.unknown("normalisation", name, NORMALISATIONS)
    return NORMALISATIONS[name](features, axes)
