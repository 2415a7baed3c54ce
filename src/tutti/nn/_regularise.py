"""Layers that disturb or restrain learning: dropout, noise, activity penalties, winner-take-all.

A layer's strength stands in a buffer (a scalar; stacked: one number per member) where the members of a stack may
differ in it; the engine fills it from the member's setting. Whether a layer exists at all is decided by the
model's Config: a strength of 0 is computed like any other, so the host never has to ask the device.
"""

from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutti import core


def spread(strength: Tensor, x: Tensor) -> Tensor:
    """[] or [member] -> an array that broadcasts over x [*member, …]."""
    return strength.reshape(strength.shape + (1,) * (x.ndim - strength.ndim))


class Dropout(nn.Module):
    """In training, zeroes each value with probability `dropout` and divides the others by 1 − `dropout`.

    Srivastava et al. 2014, in the form that leaves evaluation untouched. The masks are core.draw_uniform's.
    """

    stacked = True
    dropout: Tensor

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("dropout", torch.tensor(float(rate)))

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training:
            return x
        rate = spread(self.dropout, x)
        return x * (core.draw_uniform(x) >= rate) / (1 - rate)


def draw_normal(like: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Standard normal numbers of the shape of `like`: √2 erf⁻¹(2u − 1) of core.draw_uniform's u.

    u has 24 bits; half of its last bit is added, so that u = 0 gives −5.4 and not −∞.
    """
    u = core.draw_uniform(like)
    return sqrt(2) * torch.erfinv(u * 2 - (1 - 2.0**-24))


class GaussianNoise(nn.Module):
    """In training, x + `noise` · N(0, 1): noisy inputs (for a linear model: L2 on its weights, Bishop 1995)."""

    stacked = True
    noise: Tensor

    def __init__(self, sd: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("noise", torch.tensor(float(sd)))

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training:
            return x
        return torch.addcmul(x, draw_normal(x), spread(self.noise, x))


class ActivityPenalty(nn.Module):
    """Passes x on; in training adds `activity_l1` · mean|x| + `activity_l2` · mean x² to each member's loss."""

    stacked = True
    activity_l1: Tensor
    activity_l2: Tensor

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("activity_l1", torch.tensor(float(l1)))
        self.register_buffer("activity_l2", torch.tensor(float(l2)))

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if self.training:
            h = x.flatten(self.activity_l1.ndim)
            core.add_penalty(self.activity_l1 * h.abs().mean(-1) + self.activity_l2 * h.square().mean(-1))
        return x


class MeanActivity(nn.Module):
    """Passes x on; in training adds β Σⱼ KL(ρ ‖ ρ̂ⱼ), ρ̂ⱼ the mean of unit j over the batch (Ng 2011).

    KL(ρ ‖ ρ̂) = ρ ln(ρ/ρ̂) + (1 − ρ) ln((1 − ρ)/(1 − ρ̂)). Meant for activations in [0, 1] such as the sigmoid;
    ρ̂ is kept in [1e-6, 1 − 1e-6]. `target` is ρ in (0, 1), `weight` is β.
    """

    stacked = True
    batch_statistics = True

    def __init__(self, target: float = 0.05, weight: float = 1.0) -> None:
        super().__init__()
        if not 0 < target < 1:
            raise core.InputError(f"The mean activity is {target}; expected a number strictly between 0 and 1.")
        self.target = target
        self.weight = weight

    def forward(self, x: Float[Tensor, "*member batch feature"]) -> Float[Tensor, "*member batch feature"]:
        if self.training:
            mean = x.mean(-2).clamp(1e-6, 1 - 1e-6)
            rho = torch.full_like(mean, self.target)
            divergence = rho * (rho / mean).log() + (1 - rho) * ((1 - rho) / (1 - mean)).log()
            core.add_penalty(self.weight * divergence.sum(-1))
        return x


class WinnerTakeAll(nn.Module):
    """Keeps each sample's k largest values of the layer and zeroes the rest, in training and evaluation.

    The k-sparse layer of Makhzani & Frey 2013. k above the layer's width keeps everything.
    """

    stacked = True

    def __init__(self, k: int) -> None:
        super().__init__()
        if k < 1:
            raise core.InputError(f"winner-take-all keeps {k} units; expected at least 1.")
        self.k = k

    def forward(self, x: Float[Tensor, "*batch feature"]) -> Float[Tensor, "*batch feature"]:
        top = x.topk(min(self.k, x.shape[-1]), dim=-1)
        return torch.zeros_like(x).scatter(-1, top.indices, top.values)
