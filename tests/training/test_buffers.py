"""Running statistics, shared constants and tied weights inside a population."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import tutti.nn as tnn
from tutti.core import Setting
from tutti.optim import SGD

from .conftest import SETTINGS, Make


def batch_norm_net() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 10))


def cumulative_net() -> nn.Module:
    """Batch norm whose running mean is a plain average: it needs its counter of batches."""
    return nn.Sequential(nn.Linear(64, 24), nn.BatchNorm1d(24, momentum=None), nn.Linear(24, 10))


class SharedProjection(nn.Module):
    """Features through a fixed matrix that all members share."""

    stacked = True
    constants = ("matrix",)

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.linspace(-1, 1, 64 * 20).view(64, 20))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix


def constant_net() -> nn.Module:
    return nn.Sequential(SharedProjection(), tnn.Linear(20, 10))


class Tied(nn.Module):
    """x → W x → Wᵀ W x → classes, with one matrix under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(64, 8, bias=False), nn.Linear(8, 64, bias=False)
        self.up.weight = nn.Parameter(self.down.weight.T.contiguous())
        self.again = nn.Linear(8, 64, bias=False)
        self.again.weight = self.up.weight
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.again(torch.tanh(self.down(self.up(self.down(x))))))


def plain_loop(make: Make, build: object, steps: int) -> tuple[nn.Module, Tensor]:
    """Fold 1 of the population's problem trained by torch alone, from the population's own initial weights."""
    population = make("looped", build=build, settings=SETTINGS[:1], rule=SGD(), clip=None)
    program = population.program
    module = program._build(7, 1)
    for step, (inputs, target, _) in zip(range(steps), program.batches(0, steps), strict=True):
        loss = torch.nn.functional.cross_entropy(module(inputs[0][1]), target[1])
        loss.backward()
        with torch.no_grad():
            for p in (p for p in module.parameters() if p.requires_grad):
                p -= 1e-3 * float(population._factors[step]) * p.grad
                p.grad = None
    return module.eval(), program.problem.inputs[0]


@pytest.mark.parametrize(
    ("executor", "build"),
    [("looped", batch_norm_net), ("vmapped", batch_norm_net), ("looped", cumulative_net)]
    + [(executor, Tied) for executor in ("looped", "vmapped")],
)
def test_statistics_and_tied_weights_train_as_in_a_plain_loop(make: Make, executor: str, build: object) -> None:
    """# catalogue: L10"""
    module, rows = plain_loop(make, build, 30)
    population = make(executor, build=build, settings=SETTINGS[:1], rule=SGD(), clip=None)
    population.run(30)
    answer = population.outputs(1, torch.arange(50).numpy(), averaged=False)[0]
    assert_close(answer, module(rows[:50]).detach(), rtol=1e-8, atol=1e-10)
    network = population.network(population.member_rows(0, averaged=False)[1], SETTINGS[0], 1)
    assert_close(network(rows[:50]), answer, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("executor", "build"), [("looped", cumulative_net), ("vmapped", batch_norm_net)])
def test_statistics_are_resumed_kept_and_averaged(make: Make, executor: str, build: object) -> None:
    straight = make(executor, build=build, dtype=torch.float32)
    straight.run(12)
    straight.keep([1, 4])
    straight.run(24)
    broken = make(executor, build=build, dtype=torch.float32)
    broken.run(12)
    broken.keep([1, 4])
    resumed = make(executor, build=build, dtype=torch.float32)
    resumed.restore(*broken.state())
    resumed.run(24)
    for name in ("weights", "running", "average_running", "counters"):
        assert torch.equal(getattr(resumed, name), getattr(straight, name)), name
    assert straight.counters[:, 0].tolist() == [24] * 6


def test_a_diverging_member_keeps_its_last_sound_statistics(make: Make) -> None:
    wild = Setting(learning_rate=1e38)
    population = make(
        "vmapped", settings=[SETTINGS[0], wild], rule=SGD(), clip=None, dtype=torch.float32, build=batch_norm_net
    )
    population.run(30)
    assert population.diverged().tolist() == [[False] * 3, [True] * 3]
    assert torch.isfinite(population.running).all()


def test_the_step_at_which_a_member_died_is_recorded(make: Make) -> None:
    wild = Setting(learning_rate=1e38)
    settings = [SETTINGS[0], wild]
    population = make("vmapped", settings=settings, rule=SGD(), clip=None, dtype=torch.float32, build=batch_norm_net)
    fine = make("vmapped", settings=settings, rule=SGD(), clip=None, dtype=torch.float32, build=batch_norm_net)
    population.run(30)
    while not fine.diverged()[1, 0]:
        fine.run(fine.step + 1)
    assert population.frozen_at[wild, 0] == fine.step - 1 == fine.frozen_at[wild, 0]


@pytest.mark.parametrize("executor", ["stacked", "vmapped", "looped"])
def test_constants_are_shared_and_not_copied(make: Make, executor: str) -> None:
    population = make(executor, build=constant_net)
    matrices = {g.body[0].matrix.data_ptr() for g in population._groups}
    assert len(matrices) == 1
    population.run(10)
    reference = make("looped", build=constant_net)
    reference.run(10)
    assert_close(population.weights, reference.weights, rtol=1e-8, atol=1e-10)
