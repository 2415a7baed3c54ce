"""Residual connections: their three forms, and the gradient that survives depth."""

import pytest
import torch
from torch import nn as torch_nn

from tutti import core, nn


# catalogue: L11
def test_plain_pre_norm_and_post_norm_are_their_formulas() -> None:
    torch.manual_seed(0)
    f, norm, x = nn.Linear(4, 4), nn.LayerNorm(4), torch.randn(3, 4)
    torch.nn.init.normal_(norm.weight)
    torch.testing.assert_close(nn.Residual(f)(x), x + f(x))
    torch.testing.assert_close(nn.Residual(f, norm=norm)(x), x + f(norm(x)))
    torch.testing.assert_close(nn.Residual(f, norm=norm, place="post")(x), norm(x + f(x)))
    shortcut = nn.Linear(4, 2)
    torch.testing.assert_close(nn.Residual(nn.Linear(4, 2), shortcut=shortcut)(x).shape, torch.Size([3, 2]))


# catalogue: L11
def test_the_gradient_reaches_the_first_of_many_layers_only_along_residual_connections() -> None:
    """40 tanh layers of 32 units, fan-in 0.5 times: without connections the gradient fades by half a layer."""

    def first_gradient(residual: bool) -> float:
        torch.manual_seed(0)
        layers: list[torch_nn.Module] = [nn.Linear(8, 32, init="fan_in")]
        for _ in range(40):
            block = torch_nn.Sequential(nn.Linear(32, 32, init="fan_in", scale=0.5), torch_nn.Tanh())
            layers.append(nn.Residual(block, norm=nn.LayerNorm(32)) if residual else block)
        net = torch_nn.Sequential(*layers)
        net(torch.randn(64, 8)).square().mean().backward()
        return net[0].weight.grad.norm().item()

    assert first_gradient(residual=False) < 1e-10
    assert first_gradient(residual=True) > 1e-2


def test_shapes_that_differ_and_unknown_places_are_told() -> None:
    with pytest.raises(core.InputError, match=r"adds \[2, 3\] to \[2, 4\]"):
        nn.Residual(nn.Linear(4, 3))(torch.zeros(2, 4))
    with pytest.raises(core.InputError, match="Did you mean 'post'"):
        nn.Residual(nn.Linear(4, 4), place="pots")
