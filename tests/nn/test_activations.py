"""Activations are the formulas that their names promise."""

import math

import pytest
import torch
from torch import Tensor

from tutti import core, nn

X = torch.linspace(-8, 8, 1001, dtype=torch.float64)


def _phi(x: Tensor) -> Tensor:
    return (1 + torch.erf(x / math.sqrt(2))) / 2


def _softplus(x: Tensor) -> Tensor:
    return torch.logaddexp(x, torch.zeros_like(x))


FORMULAS = {
    "identity": lambda x: x,
    "sigmoid": lambda x: 1 / (1 + torch.exp(-x)),
    "tanh": lambda x: (torch.exp(x) - torch.exp(-x)) / (torch.exp(x) + torch.exp(-x)),
    "relu": lambda x: x * (x > 0),
    "leaky_relu": lambda x: torch.maximum(x, 0.01 * x),
    "relu_plus": lambda x: x * (x > 0) + 0.01 * x,
    "elu": lambda x: torch.where(x > 0, x, torch.exp(x) - 1),
    "celu": lambda x: torch.where(x > 0, x, torch.exp(x) - 1),
    "selu": lambda x: 1.0507009873554805 * torch.where(x > 0, x, 1.6732632423543772 * (torch.exp(x) - 1)),
    "gelu": lambda x: x * _phi(x),
    "softplus": _softplus,
    "softsign": lambda x: x / (1 + x.abs()),
    "silu": lambda x: x / (1 + torch.exp(-x)),
    "mish": lambda x: x * torch.tanh(_softplus(x)),
    "relu6": lambda x: torch.minimum(x * (x > 0), torch.tensor(6.0, dtype=x.dtype)),
    "hard_tanh": lambda x: x.clamp(-1, 1),
    "hard_sigmoid": lambda x: (x / 6 + 0.5).clamp(0, 1),
    "gaussian": lambda x: torch.exp(-x * x),
    "sine": torch.sin,
}


# catalogue: A1
@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name: str) -> None:
    torch.testing.assert_close(nn.activation(name)(X), FORMULAS[name](X), rtol=1e-12, atol=1e-8)


def test_every_activation_has_a_formula_here() -> None:
    assert set(FORMULAS) == set(nn.ACTIVATIONS)


def test_the_two_leaky_definitions_differ_above_zero_only() -> None:
    low, high = X[X < 0], X[X > 0]
    leaky, plus = nn.LeakyReLU(0.2), nn.ReLUPlus(0.2)
    torch.testing.assert_close(leaky(low), plus(low))
    torch.testing.assert_close(plus(high), 1.2 * high)
    torch.testing.assert_close(leaky(high), high)


def test_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(core.InputError, match="Did you mean 'softplus'"):
        nn.activation("soft_plus")
    with pytest.raises(core.InputError, match=r"slope of leaky_relu is 1\.5"):
        nn.LeakyReLU(1.5)
