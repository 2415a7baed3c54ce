"""The step, the layer and the cause of a divergence are found by replaying the segment."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tutti.core import Setting
from tutti.optim import SGD
from tutti.training import Population

from .conftest import SETTINGS, Make, relu_net


class RootAtZero(nn.Module):
    """√(x·0): finite, with an infinite derivative."""

    def forward(self, x: Tensor) -> Tensor:
        return x + (x * 0).sqrt()


def wild(make: Make, executor: str, build: Callable[[], nn.Module], rate: float = 1e30) -> Population:
    settings = [SETTINGS[0], Setting(learning_rate=rate), SETTINGS[1]]
    population = make(executor, settings=settings, rule=SGD(), clip=None, dtype=torch.float32, build=build)
    population.run(10)
    return population


@pytest.mark.parametrize("executor", ["stacked", "vmapped", "looped"])
def test_a_rate_far_too_high_is_named_with_its_step(make: Make, executor: str) -> None:
    population = wild(make, executor, relu_net)
    found = population.autopsy(1, 2)
    assert found is not None
    assert found.step == population.frozen_at[population.settings[1], 2]
    assert (found.setting.learning_rate, found.stream) == (1e30, 2)
    assert "learning rate 1e+30 is too high" in found.cause
    assert population.autopsy(0, 0) is None


def test_the_replay_is_the_run_itself(make: Make) -> None:
    """The replayed member dies at the step that the population counted on the device, not a step elsewhere."""
    for rate in (30.0, 300.0, 3e4):
        population = wild(make, "stacked", relu_net, rate)
        for stream in range(3):
            died = population.frozen_at.get((population.settings[1], stream))
            found = population.autopsy(1, stream)
            assert (found is None) == (died is None)
            if found is not None:
                assert found.place != "nowhere"
                assert found.step == died == len(found.losses)


def test_a_replay_keeps_no_state_of_its_own(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    population = wild(make, "stacked", relu_net)
    found = population.autopsy(1, 2)
    assert found is not None
    monkeypatch.setattr(Population, "state", lambda _: pytest.fail("copied the state"))
    again = population.autopsy(1, 2)
    assert again == found


def test_the_layer_that_made_the_number_is_named(make: Make) -> None:
    """A layer that divides by zero: its input is finite, its output is not."""
    build = lambda: nn.Sequential(nn.Linear(64, 16), nn.Tanh(), Reciprocal(), nn.Linear(16, 10))  # noqa: E731
    population = make("vmapped", settings=SETTINGS[:2], build=build, dtype=torch.float32)
    population.run(10)
    found = population.autopsy(0, 1)
    assert found is not None
    assert (found.place, found.layer, found.step) == ("output", "2", 0)
    assert "Layer '2' turned finite numbers" in found.cause


class Reciprocal(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 1 / (x - x)


def test_an_infinite_derivative_is_told_from_an_infinite_value(make: Make) -> None:
    build = lambda: nn.Sequential(nn.Linear(64, 16), RootAtZero(), nn.Linear(16, 10))  # noqa: E731
    population = make("vmapped", settings=SETTINGS[:2], build=build, dtype=torch.float32)
    population.run(10)
    found = population.autopsy(1, 0)
    assert found is not None
    assert (found.place, found.layer) == ("gradient", "0.bias")
    assert "the gradient of '0.bias' is not" in found.cause


def test_a_target_that_is_not_finite_is_named(make: Make) -> None:
    target = torch.zeros(600, 10)
    target[400, 3] = float("inf")
    population = make(settings=SETTINGS[:2], target=target, dtype=torch.float32, loss=squared, horizon=60)
    population.run(60)
    found = population.autopsy(0, 0)
    assert found is not None
    assert found.place == "target"


def squared(output: Tensor, target: Tensor, label_smoothing: Tensor | None = None) -> Tensor:
    return (output - target).square().mean(-1)
