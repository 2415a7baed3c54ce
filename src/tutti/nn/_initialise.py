"""Initialisers: how the weights of a dense or convolution layer start, by name."""

from collections.abc import Callable
from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutti import core

Weight = Float[Tensor, "outputs inputs *kernel"]


def _fan(weight: Weight) -> int:
    """How many inputs an output has: the n of the formulas below."""
    return weight[0].numel()


def _normal(weight: Weight) -> None:
    nn.init.normal_(weight)


def _fan_in(weight: Weight) -> None:
    nn.init.normal_(weight, std=1 / sqrt(_fan(weight)))


def _torch(weight: Weight) -> None:
    bound = 1 / sqrt(_fan(weight))
    nn.init.uniform_(weight, -bound, bound)


def _glorot_uniform(weight: Weight) -> None:
    nn.init.xavier_uniform_(weight)


def _glorot_normal(weight: Weight) -> None:
    nn.init.xavier_normal_(weight)


def _he_uniform(weight: Weight) -> None:
    nn.init.kaiming_uniform_(weight, nonlinearity="relu")


def _he_normal(weight: Weight) -> None:
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


def _orthogonal(weight: Weight) -> None:
    nn.init.orthogonal_(weight)


def _zeros(weight: Weight) -> None:
    nn.init.zeros_(weight)


INITIALISERS: dict[str, Callable[[Weight], None]] = {
    "zeros": _zeros,  # equal units stay equal for ever: only for a single layer
    "normal": _normal,  # N(0, 1); with scale 0.01 ten tanh layers of 500 die
    "fan_in": _fan_in,  # N(0, 1/n)
    "glorot_uniform": _glorot_uniform,  # U(±√(6/(n + m))), Glorot & Bengio 2010, eq. 16
    "glorot_normal": _glorot_normal,  # N(0, 2/(n + m))
    "he_uniform": _he_uniform,  # U(±√(6/n)), He et al. 2015, eq. 10
    "he_normal": _he_normal,  # N(0, 2/n)
    "orthogonal": _orthogonal,  # W Wᵀ = 1 or Wᵀ W = 1, Saxe et al. 2014
    "torch": _torch,  # U(±1/√n), what torch.nn.Linear does; the bias too
}
"""Name -> fills a weight [outputs, inputs, *kernel] in place from torch's generator.

n is inputs · kernel places, m is outputs · kernel places.
"""


@torch.no_grad()
def initialise(
    weight: Float[Tensor, "outputs inputs *kernel"],
    bias: Float[Tensor, " units"] | None,
    name: str = "torch",
    scale: float = 1.0,
) -> None:
    """Fills `weight` in place by the initialiser `name` and multiplies it by `scale`.

    The bias, where there is one, becomes 0, except with "torch": U(±1/√n), not scaled, n the inputs of an output.
    "normal" with scale s is N(0, s²). A transposed convolution's weight [inputs, outputs, *kernel] is taken as it
    lies, as torch does: there n counts outputs.
    A layer without inputs keeps an empty weight and a bias of 0. Raises InputError with the nearest name.
    """
    if name not in INITIALISERS:
        raise core.unknown("initialiser", name, INITIALISERS)
    if bias is not None:
        bias.zero_()
    if weight.numel() == 0:
        return
    INITIALISERS[name](weight)
    weight.mul_(scale)
    if name == "torch" and bias is not None:
        bound = 1 / sqrt(_fan(weight))
        bias.uniform_(-bound, bound)
