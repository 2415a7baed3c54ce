"""Augmentation of images: shifts, turns, mirrors, erasures, mixtures of two; in training only.

Each layer takes standardised images [*member, batch, channel, height, width] as a whole batch, on their device, and
gives as many of the same size. How far it goes stands in the buffer `augment` (0: not at all, 1: as far as the
layer's own limits), `flip` or `mixup`, one number per member, which the engine fills from the member's setting. Draws
are core.draw_uniform's: settings of one stream see the same shifts and turns, each at its own strength.
"""

from math import pi

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tutti import core
from tutti.nn._regularise import spread


def _draws(x: Tensor, count: int) -> Float[Tensor, "*member batch count"]:
    """`count` uniform numbers for each image."""
    return core.draw_uniform(x.new_empty(*x.shape[:-3], count))


class RandomShift(nn.Module):
    """Moves each image by whole pixels, up or down and left or right, at most `share` · `augment` of its sides.

    The limit is rounded to whole pixels; every shift within it is equally likely. What moves in mirrors what is
    behind the border (reflection without the border's pixel), as after padding and cropping.
    """

    stacked = True
    augment: Tensor

    def __init__(self, share: float = 0.125, *, strength: float = 0.0) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise core.InputError(f"Shifts by {share} of the sides; expected a share in [0, 1).")
        self.share = share
        self.register_buffer("augment", torch.tensor(float(strength)))

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training:
            return x
        draws = _draws(x, 2)
        for axis in (-2, -1):
            x = self._moved(x, draws[..., axis], axis)
        return x

    def _moved(self, x: Tensor, draw: Tensor, axis: int) -> Tensor:
        side = x.shape[axis]
        limit = spread((self.augment * self.share * side).round(), draw)
        shift = ((draw * (2 * limit + 1)).floor() - limit).long()
        place = torch.arange(side, device=x.device) + shift[..., None]
        last = max(side - 1, 1)
        place = (place + last) % (2 * last) - last  # one period of the reflected image, about its first pixel
        place = place.abs().clamp(max=side - 1)
        place = place[..., None, :, None] if axis == -2 else place[..., None, None, :]
        return x.gather(axis, place.expand(x.shape))


class RandomTurn(nn.Module):
    """Turns each image about its centre by up to `degrees` · `augment`, and zooms by up to `zoom` · `augment`.

    Angle and zoom are uniform: in ±limit, and by a factor in 1 ± limit. Pixels between pixels are bilinear; beyond
    the border the nearest pixel of the border stands.
    """

    stacked = True
    augment: Tensor

    def __init__(self, degrees: float = 15.0, zoom: float = 0.1, *, strength: float = 0.0) -> None:
        super().__init__()
        if not (0 <= degrees <= 180 and 0 <= zoom < 1):
            raise core.InputError(
                f"Turns by {degrees} degrees, zooms by {zoom}; expected at most 180 degrees, and a share in [0, 1)."
            )
        self.degrees, self.zoom = degrees, zoom
        self.register_buffer("augment", torch.tensor(float(strength)))

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training:
            return x
        draws = 2 * _draws(x, 2) - 1
        limit = spread(self.augment, draws[..., 0])
        angle = draws[..., 0] * limit * (self.degrees * pi / 180)
        scale = 1 / (1 + draws[..., 1] * limit * self.zoom)
        aspect = x.shape[-2] / x.shape[-1]  # grid_sample counts both sides from −1 to 1
        cos, sin, none = scale * angle.cos(), scale * angle.sin(), torch.zeros_like(angle)
        turn = torch.stack([cos, -sin * aspect, none, sin / aspect, cos, none], -1).unflatten(-1, (2, 3))
        images = x.flatten(0, -4)
        grid = functional.affine_grid(turn.flatten(0, -3), list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, padding_mode="border", align_corners=False).view(x.shape)


class RandomFlip(nn.Module):
    """Mirrors each image, left to right, with probability `flip`."""

    stacked = True
    flip: Tensor

    def __init__(self, probability: float = 0.0) -> None:
        super().__init__()
        if not 0 <= probability <= 1:
            raise core.InputError(f"The probability of a flip is {probability}; expected a number from 0 to 1.")
        self.register_buffer("flip", torch.tensor(float(probability)))

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training:
            return x
        draw = _draws(x, 1)[..., None, None]
        return torch.where(draw < spread(self.flip, draw), x.flip(-1), x)


class RandomErase(nn.Module):
    """Sets a rectangle of each image to 0, the mean of standardised images (after Zhong et al. 2020).

    Its sides are uniform between 0 and `share` · `augment` of the image's, each for itself; its centre is uniform
    over the image, so that a part of it may lie outside. Unlike in the paper every image is erased, and each side is
    drawn for itself.
    """

    stacked = True
    augment: Tensor

    def __init__(self, share: float = 0.5, *, strength: float = 0.0) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise core.InputError(f"Erasures of {share} of the sides; expected a share from 0 to 1.")
        self.share = share
        self.register_buffer("augment", torch.tensor(float(strength)))

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training:
            return x
        draws = _draws(x, 4)
        rows = self._inside(x.shape[-2], draws[..., 0], draws[..., 1])
        columns = self._inside(x.shape[-1], draws[..., 2], draws[..., 3])
        return x.masked_fill((rows[..., :, None] & columns[..., None, :])[..., None, :, :], 0)

    def _inside(self, side: int, centre: Tensor, length: Tensor) -> Tensor:
        """Which places along one side the rectangle covers, [*member, batch, side]."""
        half = 0.5 * side * self.share * spread(self.augment, length) * length
        place = torch.arange(side, device=centre.device) + 0.5
        return (place - side * centre[..., None]).abs() < half[..., None]


class Mixup(nn.Module):
    """Mixes an image with its partner in the batch with probability `mixup`: λ x + (1 − λ) x' with uniform λ.

    The loss then is λ times that of the own target and 1 − λ times that of the partner's (Zhang, Cissé, Dauphin &
    Lopez-Paz 2018, "mixup: Beyond empirical risk minimization", eq. 1, with α = 1). Rows are paired two by two
    (core.partners), so that a batch in parts of even size is mixed as in one piece; unlike in the paper, whose λ is
    one for the whole batch and mixes all of it, λ and whether to mix are drawn for each image.
    """

    stacked = True
    mixup: Tensor

    def __init__(self, probability: float = 0.0) -> None:
        super().__init__()
        if not 0 <= probability <= 1:
            raise core.InputError(f"The probability of a mixture is {probability}; expected a number from 0 to 1.")
        self.register_buffer("mixup", torch.tensor(float(probability)))

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training:
            return x
        draws = _draws(x, 2)
        share = torch.where(draws[..., 0] < spread(self.mixup, draws[..., 0]), draws[..., 1], 1.0)
        core.mix_targets(share)
        other = x.index_select(-4, core.partners(x.shape[-4], x.device))
        return torch.lerp(other, x, share[..., None, None, None])
