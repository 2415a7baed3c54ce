"""Periodic embeddings and feature expansions equal their papers' formulas."""

from math import comb, pi

import pytest
import torch

from tutti import core, nn


def test_plr_formula() -> None:
    layer = nn.Periodic(2, kind="plr", frequencies=5, width=3, sd=0.5)
    x = torch.randn(7, 2)
    for f in range(2):
        angle = 2 * pi * x[:, f : f + 1] * layer.frequency[f]
        waves = torch.cat([torch.cos(angle), torch.sin(angle)], -1)
        expected = torch.relu(waves @ layer.linear.weight[f].T + layer.linear.bias[f])
        torch.testing.assert_close(layer(x)[:, 3 * f : 3 * f + 3], expected, rtol=1e-5, atol=1e-6)
    assert layer.frequency.abs().max() <= 1.5


def test_pbld_formula_holds_x_itself() -> None:
    layer = nn.Periodic(2, kind="pbld", frequencies=5, width=4)
    x = torch.randn(7, 2)
    for f in range(2):
        waves = torch.cos(2 * pi * x[:, f : f + 1] * layer.frequency[f] + layer.phase[f])
        expected = torch.cat([x[:, f : f + 1], waves @ layer.linear.weight[f].T + layer.linear.bias[f]], -1)
        torch.testing.assert_close(layer(x)[:, 4 * f : 4 * f + 4], expected, rtol=1e-5, atol=1e-6)


# catalogue: T12
@pytest.mark.parametrize(("n", "degree"), [(2, 3), (4, 2), (1, 5), (3, 1)])
def test_polynomial_is_every_monomial_once(n: int, degree: int) -> None:
    layer = nn.Polynomial(nn.scaling("none", n), n, degree)
    assert layer.features == comb(n + degree, degree) - 1
    primes = torch.tensor([[2.0, 3.0, 5.0, 7.0]])[:, :n].double()
    values = layer(primes.double())[0]
    expected = {1.0}
    for _ in range(degree):  # products of at most `degree` primes: all different, by unique factorisation
        expected |= {a * p for a in expected for p in primes[0].tolist()}
    assert sorted(values.tolist()) == sorted(expected - {1.0})


# catalogue: T12
def test_radial_basis_formula() -> None:
    layer = nn.RadialBasis(nn.scaling("none", 3), 3, 4, width=0.7)
    layer.rows.copy_(torch.randn(4, 3))
    x = torch.randn(6, 3)
    distance = (x[:, None] - layer.rows).square().sum(-1)
    torch.testing.assert_close(layer(x), torch.exp(-0.7 * distance))


def test_impossible_expansions_are_refused() -> None:
    scale = nn.scaling("none", 100)
    with pytest.raises(core.InputError, match="monomials up to degree 4"):
        nn.Polynomial(scale, 100, 4)
    with pytest.raises(core.InputError, match="degree"):
        nn.Polynomial(scale, 100, 0)
    with pytest.raises(core.InputError, match="centres"):
        nn.RadialBasis(scale, 100, 0)
    with pytest.raises(core.InputError, match="λ"):
        nn.RadialBasis(scale, 100, 5, width=-1.0)
    with pytest.raises(core.InputError, match="Did you mean 'minmax'"):
        nn.scaling("min_max", 3)
