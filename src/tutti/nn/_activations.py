"""Activations: every elementwise non-linearity by name."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tutti import core


class LeakyReLU(nn.Module):
    """max(x, αx), for a slope 0 ≤ α < 1 (default 0.01)."""

    stacked = True

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        if not 0 <= slope < 1:
            raise core.InputError(f"The slope of leaky_relu is {slope}; expected a number in [0, 1).")
        self.slope = slope

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return functional.leaky_relu(x, self.slope)


class ReLUPlus(nn.Module):
    """ReLU(x) + αx (default α = 0.01): slope α below 0 and 1 + α above, where max(x, αx) has α and 1."""

    stacked = True

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return torch.add(torch.relu(x), x, alpha=self.slope)


class Gaussian(nn.Module):
    """exp(−x²)."""

    stacked = True

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return torch.exp(-x.square())


class Sine(nn.Module):
    """sin(ωx) (default ω = 1; SIREN, Sitzmann et al. 2020, takes 30)."""

    stacked = True

    def __init__(self, frequency: float = 1.0) -> None:
        super().__init__()
        self.frequency = frequency

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return torch.sin(self.frequency * x)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": LeakyReLU,
    "relu_plus": ReLUPlus,
    "elu": nn.ELU,
    "celu": nn.CELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "relu6": nn.ReLU6,
    "hard_tanh": nn.Hardtanh,
    "hard_sigmoid": nn.Hardsigmoid,
    "gaussian": Gaussian,
    "sine": Sine,
}
"""Name -> how to build it. All are elementwise and stateless, so all of them stack."""


def activation(name: str) -> nn.Module:
    """The activation of that name, with its default constants; raises InputError with the nearest name."""
    if name not in ACTIVATIONS:
        raise core.unknown("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()
