"""Memory is estimated before it is taken; what is too much is done in smaller passes, with the same result."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import tutti.nn as tnn
from tutti.core import InputError, Setting
from tutti.optim import AdamW
from tutti.training import Need, Plan, available, fit_memory, measure

from .conftest import SETTINGS, Make, stacked_net
from .test_buffers import batch_norm_net


def dropout_net() -> nn.Module:
    return nn.Sequential(
        tnn.Linear(64, 24), nn.ReLU(), tnn.Dropout(), tnn.Linear(24, 12), nn.Tanh(), tnn.Dropout(), tnn.Linear(12, 10)
    )


class Greedy(nn.Module):
    """Runs out of memory where it is given more than `rows` rows at once, as a device would."""

    stacked = True
    rows = 10**9

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[:-1].numel() > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return x


def greedy_net() -> nn.Module:
    return nn.Sequential(Greedy(), *dropout_net())


@pytest.mark.parametrize("executor", ["stacked", "vmapped", "looped"])
@pytest.mark.parametrize("micro", [3, 32])
def test_accumulated_micro_batches_are_the_big_batch(make: Make, executor: str, micro: int) -> None:
    """Masks included: a row draws the same numbers whichever part it comes in."""
    settings = [Setting(learning_rate=r, dropout=p) for r, p in ((1e-3, 0.4), (1e-2, 0.1))]
    whole = make(executor, build=dropout_net, settings=settings)
    parts = make(executor, build=dropout_net, settings=settings, micro=micro)
    assert_close(parts.run(5), whole.run(5), rtol=1e-9, atol=1e-12)
    assert_close(parts.weights, whole.weights, rtol=1e-8, atol=1e-11)


def test_running_out_of_memory_shrinks_the_pass_and_goes_on(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = make(build=greedy_net)
    reference.run(12)
    monkeypatch.setattr(Greedy, "rows", 100)
    population = make(build=greedy_net)
    population.run(12)
    assert (population.plan.stack, population.plan.executor) == (3, "stacked")
    assert torch.equal(population.weights, reference.weights)
    monkeypatch.setattr(Greedy, "rows", 10)
    population = make(build=greedy_net)
    population.run(12)
    assert (population.plan.executor, population.plan.micro) == ("looped", 4)
    assert_close(population.weights, reference.weights, rtol=1e-7, atol=1e-10)
    monkeypatch.setattr(Greedy, "rows", 0)
    with pytest.raises(torch.OutOfMemoryError):
        make(build=greedy_net).run(12)


def test_the_estimate_is_what_autograd_keeps(make: Make) -> None:
    """64-24-16-10 in float32: a row keeps its input (given), 24 + 16 activations, their inputs to the layers, and
    the loss's log-probabilities; at least the two hidden layers and at most four copies of every number."""
    program = make("looped", dtype=torch.float32).program
    need = measure(program, [AdamW()])
    assert 4 * (24 + 16 + 10) <= need.row - 64 * 4 <= 4 * 4 * (64 + 24 + 16 + 10)
    assert need.member == program.layout.count * 4 * (6 + 2 * 2)


def test_what_does_not_fit_gives_way_in_order(make: Make) -> None:
    program = make("looped", dtype=torch.float32).program
    need = Need(member=1000, row=100)
    plan = Plan(executor="stacked", horizon=10, segment=5, batch_size=32, stack=60)

    def fitted(free: float) -> tuple[int, str, int]:
        smaller, _ = fit_memory(plan, need, 60, program, round(free / 0.8) + 1)
        return smaller.stack, smaller.executor, smaller.micro

    base = 60 * 1000
    assert fit_memory(plan, need, 60, program, None) == (plan, None)
    assert fitted(base + 60 * 32 * 100) == (60, "stacked", 1)
    assert fitted(base + 30 * 32 * 100) == (30, "stacked", 1)
    assert fitted(base + 3 * 32 * 100) == (3, "stacked", 1)
    assert fitted(base + 1 * 32 * 100) == (60, "looped", 1)
    assert fitted(base + 1 * 8 * 100) == (60, "looped", 4)
    with pytest.raises(InputError, match=r"60 members of this network need at least 0\.1 MB"):
        fitted(base)
    said = fit_memory(plan, need, 60, program, round((base + 30 * 32 * 100) / 0.8) + 1)[1]
    assert said is not None
    assert "30 members in one pass instead of 60" in said.message


def test_batches_with_statistics_are_not_cut(make: Make) -> None:
    program = make("looped", build=batch_norm_net, dtype=torch.float32).program
    plan = Plan(executor="vmapped", horizon=10, segment=5, batch_size=32)
    with pytest.raises(InputError, match="BatchNorm1d takes statistics over the batch"):
        fit_memory(plan, Need(member=10, row=1000), 6, program, 20_000)


def test_free_memory_is_known_on_linux() -> None:
    free = available(torch.device("cpu"))
    assert free is None or free > 2**20


def test_a_population_of_the_default_size_fits_a_small_machine(make: Make) -> None:
    program = make("looped", build=stacked_net, dtype=torch.float32).program
    plan = Plan(executor="stacked", horizon=10, segment=5, batch_size=32)
    assert fit_memory(plan, measure(program, [AdamW()]), len(SETTINGS) * 5, program, 2**30) == (plan, None)
