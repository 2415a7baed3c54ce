"""Members answer in passes that memory bounds, with the answers of one large pass."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import tutti.nn as tnn
from tutti.training import Population, _evaluator

from .conftest import SETTINGS, Make

ROWS = np.arange(0, 50)


class Watched(nn.Module):
    """Notes how many members and rows each pass carries."""

    stacked = True
    seen: list[tuple[int, ...]] = []  # noqa: RUF012

    def forward(self, x: Tensor) -> Tensor:
        Watched.seen.append(tuple(x.shape[:-1]))
        return x


def watched_net() -> nn.Module:
    return nn.Sequential(Watched(), tnn.Linear(64, 100), nn.ReLU(), tnn.Linear(100, 10))


class Whole(nn.Module):
    """Computes on all of its 500 nodes, whichever rows are asked for, as a graph network does."""

    stacked = True

    def __init__(self) -> None:
        super().__init__()
        self.inner = tnn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        nodes = torch.ones(*x.shape[:-2], 500, 64, dtype=x.dtype)
        return self.inner(x) + self.inner(nodes).mean(-2, keepdim=True)


def answers(population: Population, monkeypatch: pytest.MonkeyPatch, limit: int) -> Tensor:
    monkeypatch.setattr(_evaluator, "PASS_BYTES", limit)
    Watched.seen.clear()
    return population.outputs(1, ROWS)


@pytest.mark.parametrize("executor", ["stacked", "vmapped", "looped"])
@pytest.mark.parametrize("build", [watched_net, lambda: nn.Sequential(Watched(), Whole())])
def test_small_passes_answer_as_one(
    make: Make, monkeypatch: pytest.MonkeyPatch, executor: str, build: Callable[[], nn.Module]
) -> None:
    population = make(executor, build=build, settings=SETTINGS[:3])
    population.run(3)
    whole = answers(population, monkeypatch, 2**28)
    for limit in (1, 20_000, 2_000_000):
        assert_close(answers(population, monkeypatch, limit), whole, rtol=1e-12, atol=1e-12)


def test_a_pass_makes_no_more_than_its_limit(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of 64-100-10 in float64 keeps 64 + 100 + 10 numbers: 1,392 bytes."""
    population = make("stacked", build=watched_net, settings=SETTINGS[:3])
    answers(population, monkeypatch, 3 * 7 * 1392)
    assert Watched.seen[2:] == [*[(3, 7)] * 7, (3, 1)]  # the first two measured
    answers(population, monkeypatch, 3 * 7 * 1392)
    assert Watched.seen == [*[(3, 7)] * 7, (3, 1)]
    answers(population, monkeypatch, 2 * 1392)
    assert Watched.seen == [(members, 1) for _ in ROWS for members in (2, 1)]


def test_a_network_that_computes_on_everything_is_not_asked_row_by_row(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    population = make("stacked", build=lambda: nn.Sequential(Watched(), Whole()), settings=SETTINGS[:3])
    answers(population, monkeypatch, 200_000)
    assert Watched.seen[2:] == [(1, 50)] * 3
