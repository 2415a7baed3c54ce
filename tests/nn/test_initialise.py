"""Initialisers have the spread of their formulas; small weights die in deep nets; equal units stay equal."""

from math import sqrt

import pytest
import torch

from tutti import core, nn

N, M = 400, 300  # inputs, outputs

SPREAD = {  # standard deviation, and the largest value where the law is uniform
    "zeros": (0.0, 0.0),
    "normal": (1.0, None),
    "fan_in": (1 / sqrt(N), None),
    "glorot_uniform": (sqrt(2 / (N + M)), sqrt(6 / (N + M))),
    "glorot_normal": (sqrt(2 / (N + M)), None),
    "he_uniform": (sqrt(2 / N), sqrt(6 / N)),
    "he_normal": (sqrt(2 / N), None),
    "orthogonal": (1 / sqrt(N), None),
    "torch": (1 / sqrt(3 * N), 1 / sqrt(N)),
}


# catalogue: L9
@pytest.mark.parametrize("name", SPREAD)
def test_spread(name: str) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(N, M, init=name, scale=0.5)
    sd, largest = SPREAD[name]
    assert layer.weight.std().item() == pytest.approx(0.5 * sd, rel=0.01)
    assert layer.weight.mean().item() == pytest.approx(0, abs=0.01 * sd + 1e-12)
    if largest is not None:
        assert layer.weight.abs().max().item() == pytest.approx(0.5 * largest, rel=0.001)
    if name == "torch":
        assert layer.bias.abs().max().item() == pytest.approx(1 / sqrt(N), rel=0.05)
    else:
        assert not layer.bias.any()


def test_every_initialiser_is_checked() -> None:
    assert set(SPREAD) == set(nn.INITIALISERS)


def test_orthogonal_rows() -> None:
    weight = nn.Linear(N, M, init="orthogonal").weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(M), atol=1e-5, rtol=0)


def test_torch_initialiser_is_torch_linears() -> None:
    torch.manual_seed(3)
    ours = nn.Linear(7, 5)
    torch.manual_seed(3)
    theirs = torch.nn.Linear(7, 5)
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


def _deep(init: str, scale: float) -> list[float]:
    """The standard deviations of the activations of 10 tanh layers of 500 units, on 1000 standard normal rows."""
    torch.manual_seed(0)
    h = torch.randn(1000, 500)
    spread = []
    for _ in range(10):
        h = torch.tanh(nn.Linear(500, 500, init=init, scale=scale)(h))
        spread.append(h.std().item())
    return spread


# catalogue: L9
def test_small_weights_die_in_ten_tanh_layers_and_fan_in_does_not() -> None:
    dying = _deep("normal", 0.01)
    assert dying[0] == pytest.approx(0.213, abs=0.001)
    assert dying[1] == pytest.approx(0.048, abs=0.001)
    assert dying[9] == pytest.approx(3e-7, abs=0.3e-7)
    assert _deep("fan_in", 1.0)[9] > 0.2
    saturated = _deep("normal", 1.0)
    assert saturated[9] > 0.95


# catalogue: L9
def test_he_keeps_the_mean_square_through_relu_and_fan_in_halves_it_at_every_layer() -> None:
    for init, per_layer in {"he_normal": 1.0, "he_uniform": 1.0, "fan_in": 0.5, "glorot_uniform": 0.5}.items():
        torch.manual_seed(0)
        h = torch.randn(1000, 500)
        for _ in range(10):
            h = torch.relu(nn.Linear(500, 500, init=init)(h))
        # after a ReLU layer E h² is half the mean square of what goes in: 0.5 for the first, then a factor each
        ratio = (h.square().mean().item() / (0.5 * 2 * per_layer)) ** (1 / 9)
        assert ratio == pytest.approx(per_layer, rel=0.03), init


# catalogue: L9
def test_zeros_behind_tanh_never_leave_zero() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(nn.Linear(3, 8, init="zeros"), torch.nn.Tanh(), nn.Linear(8, 1, init="zeros"))
    x = torch.randn(50, 3)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(20):
        optimiser.zero_grad()
        (net(x).squeeze(-1) - x.sum(-1) - 1).square().mean().backward()
        optimiser.step()
    assert not net[0].weight.any()
    assert not net[2].weight.any()
    assert net[2].bias.item() == pytest.approx(1 + x.sum(-1).mean().item(), abs=1e-4)  # the mean is all it learns


# catalogue: L9
@pytest.mark.parametrize(("init", "alike"), [("zeros", True), ("fan_in", False)])
def test_equal_units_stay_equal(init: str, alike: bool) -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(nn.Linear(3, 8, init=init), nn.activation("sigmoid"), nn.Linear(8, 1, init=init))
    x = torch.randn(50, 3)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(20):
        optimiser.zero_grad()
        (net(x).squeeze(-1) - x.prod(-1)).square().mean().backward()
        optimiser.step()
    rows = net[0].weight
    assert bool((rows - rows[0]).abs().max() < 1e-7) is alike
    assert rows.abs().max() > 0


def test_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(core.InputError, match="Did you mean 'glorot_normal'"):
        nn.Linear(2, 2, init="glorot_nomal")
