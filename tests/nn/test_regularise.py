"""Each regulariser has the effect that theory says, measured."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tutti import core, nn


def _trained(layers: list[torch.nn.Module], x: Tensor, y: Tensor, steps: int = 300) -> torch.nn.Sequential:
    torch.manual_seed(0)
    net = torch.nn.Sequential(*layers)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(steps):
        optimiser.zero_grad()
        with core.penalties() as terms:
            loss = (net(x).squeeze(-1) - y).square().mean()
        (loss + sum(terms)).backward()
        optimiser.step()
    return net.eval()


def _data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(200, 4, generator=generator)
    return x, torch.sin(2 * x[:, 0]) * x[:, 1]


# catalogue: L12
def test_dropout_keeps_the_mean_and_zeroes_the_rate() -> None:
    layer, x = nn.Dropout(0.3), torch.ones(200, 1000)
    with core.random_keys(torch.tensor(5, dtype=torch.int32)):
        y = layer(x)
    assert (y == 0).float().mean().item() == pytest.approx(0.3, abs=0.005)
    torch.testing.assert_close(y[y != 0].unique(), torch.tensor([1 / 0.7]))
    assert y.mean().item() == pytest.approx(1, abs=0.01)
    assert layer.eval()(x) is x


# catalogue: L12
def test_dropout_and_noise_on_the_inputs_of_a_linear_model_are_penalties_on_its_weights() -> None:
    x, y = _data()
    weight = torch.tensor([0.5, -1.0, 2.0, 0.3])
    plain = (x @ weight - y).square().mean()
    draws = 2000
    expected = {
        nn.GaussianNoise(0.4): plain + 0.4**2 * weight.square().sum(),
        nn.Dropout(0.2): plain + 0.2 / 0.8 * (x.square().mean(0) * weight.square()).sum(),
    }
    for layer, theory in expected.items():
        with core.random_keys(torch.tensor(5, dtype=torch.int32)):
            disturbed = layer(x.expand(draws, -1, -1))
        assert (disturbed @ weight - y).square().mean().item() == pytest.approx(theory.item(), rel=0.01)


def test_normal_draws_are_normal_and_finite() -> None:
    with core.random_keys(torch.tensor(5, dtype=torch.int32)):
        z = nn.draw_normal(torch.empty(1_000_000))
    for power, moment in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)):
        assert z.pow(power).mean().item() == pytest.approx(moment, abs=0.03)
    assert z.abs().max() < 5.5


@pytest.mark.parametrize("u", [0.0, 1 - 2.0**-24, 0.5])
def test_normal_draws_are_finite_at_the_ends(u: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "draw_uniform", lambda like: torch.full_like(like, u))
    z = nn.draw_normal(torch.empty(1))
    assert torch.isfinite(z).all()
    assert z.item() == pytest.approx(0 if u == 0.5 else 5.4 * (1 if u else -1), abs=0.1)


# catalogue: L12
@pytest.mark.parametrize(("penalty", "power"), [(nn.ActivityPenalty(0.3, 0.0), 1), (nn.ActivityPenalty(0.0, 0.3), 2)])
def test_activity_penalty_is_the_mean_and_makes_activations_small(penalty: nn.ActivityPenalty, power: int) -> None:
    x, y = _data()
    h = torch.randn(7, 5)
    with core.penalties() as terms:
        assert penalty(h) is h
    torch.testing.assert_close(terms[0], 0.3 * h.abs().pow(power).mean())

    def hidden(extra: list[torch.nn.Module]) -> Tensor:
        torch.manual_seed(0)
        net = _trained([nn.Linear(4, 32), nn.activation("relu"), *extra, nn.Linear(32, 1)], x, y)
        return net[:2](x).detach()

    free, restrained = hidden([]), hidden([penalty])
    assert restrained.abs().mean() < 0.5 * free.abs().mean()
    if power == 1:  # the corner of |h| makes many units exactly silent
        assert (restrained == 0).float().mean() > (free == 0).float().mean() + 0.1


# catalogue: L12
def test_mean_activity_pulls_the_mean_to_its_target() -> None:
    x, y = _data()

    def mean(extra: list[torch.nn.Module]) -> Tensor:
        torch.manual_seed(0)
        net = _trained([nn.Linear(4, 16), nn.activation("sigmoid"), *extra, nn.Linear(16, 1)], x, y, 500)
        return net[:2](x).mean(0).detach()

    assert (mean([]) - 0.1).abs().mean() > 0.2
    assert (mean([nn.MeanActivity(0.1, 1.0)]) - 0.1).abs().mean() < 0.05
    at_target = torch.full((10, 3), 0.1)
    with core.penalties() as terms:
        nn.MeanActivity(0.1)(at_target)
        nn.MeanActivity(0.1, 2.0)(torch.full((10, 3), 0.5))
    expected = 2 * 3 * (0.1 * torch.log(torch.tensor(0.2)) + 0.9 * torch.log(torch.tensor(1.8)))
    torch.testing.assert_close(terms, [torch.tensor(0.0), expected], atol=1e-6, rtol=1e-5)


# catalogue: L12
def test_winner_take_all_keeps_the_largest_k() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 9)
    y = nn.WinnerTakeAll(3)(x)
    assert (y != 0).sum(-1).eq(3).all()
    cut = x.sort(-1, descending=True).values[:, 2:3]
    torch.testing.assert_close(y, torch.where(x >= cut, x, 0))
    tied = nn.WinnerTakeAll(3)(torch.ones(2, 9))
    assert (tied != 0).sum(-1).eq(3).all()
    torch.testing.assert_close(nn.WinnerTakeAll(20)(x), x)


def test_penalties_and_noise_are_silent_in_evaluation() -> None:
    x = torch.rand(4, 5)
    layers: list[Callable[[], torch.nn.Module]] = [
        lambda: nn.ActivityPenalty(1.0, 1.0),
        lambda: nn.MeanActivity(0.2),
        lambda: nn.GaussianNoise(1.0),
    ]
    with core.penalties() as terms:
        for build in layers:
            assert build().eval()(x) is x
    assert not terms


@pytest.mark.parametrize("build", [lambda: nn.WinnerTakeAll(0), lambda: nn.MeanActivity(1.0)])
def test_impossible_strengths_are_refused(build: Callable[[], torch.nn.Module]) -> None:
    with pytest.raises(core.InputError, match="expected"):
        build()
