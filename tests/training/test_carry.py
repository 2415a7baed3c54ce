"""What trains a network is found by trying: the stacked form, vmap, or the loop with the reason in words."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

import tutti.nn as tnn
from tutti.core import InputError
from tutti.training import carry

from .conftest import SETTINGS, Make, stacked_net, torch_net
from .test_buffers import batch_norm_net, cumulative_net


class Deciding(nn.Module):
    """Looks at a value to decide what to do."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, 16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.last(F.relu(h) if h.sum() > 0 else torch.tanh(h))


class Drawing(nn.Module):
    """Adds noise from torch's own generator."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x + 0.1 * torch.randn_like(x) if self.training else x)


class Rebinding(nn.Module):
    """Keeps a running mean by binding its buffer to a new tensor, as many tutorials do."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(64, 10)
        self.register_buffer("mean", torch.zeros(64))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return self.last(x - self.mean)


class Lying(nn.Module):
    """Says that it stacks, and mixes the members."""

    stacked = True

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0, keepdim=True)


@pytest.mark.parametrize(
    ("build", "executor"), [(stacked_net, "stacked"), (torch_net, "vmapped"), (batch_norm_net, "vmapped")]
)
def test_the_fastest_form_that_is_right_is_found(make: Make, build: Callable[[], nn.Module], executor: str) -> None:
    found = carry(make(build=build, dtype=torch.float32).program)
    assert (found.executor, found.draws, found.notice) == (executor, False, None)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (Deciding, "decides by"),
        (Drawing, "draws random numbers"),
        (Rebinding, "rebinds"),
        (cumulative_net, "reads a number back"),
    ],
)
def test_what_vmap_cannot_carry_is_looped_and_says_why(make: Make, build: Callable[[], nn.Module], said: str) -> None:
    found = carry(make("looped", build=build, dtype=torch.float32).program)
    assert found.executor == "looped"
    assert found.notice is not None
    assert said in found.notice.message
    assert found.draws == (build is Drawing)


def test_a_class_that_only_claims_to_stack_is_refused(make: Make) -> None:
    program = make("looped", build=lambda: nn.Sequential(Lying(), tnn.Linear(64, 10)), dtype=torch.float32).program
    with pytest.raises(InputError, match="other gradients"):
        carry(program)


def test_own_draws_belong_to_the_member_and_the_step(make: Make) -> None:
    """The noise of one member does not depend on its neighbours, nor on torch's generator, which is left alone."""
    settings = {"build": Drawing, "dtype": torch.float32, "draws": True}
    everyone, alone = make("looped", **settings), make("looped", settings=SETTINGS[2:3], **settings)
    torch.manual_seed(1)
    everyone.run(8)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    alone.run(8)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(alone.member_rows(0), everyone.member_rows(2))


def test_rebound_buffers_are_kept(make: Make) -> None:
    """Against the running mean written out: 0.9 m + 0.1 batch mean over the population's own batches."""
    population = make("looped", build=Rebinding, settings=SETTINGS[:1])
    population.run(7)
    mean = torch.zeros(64, dtype=torch.float64)
    for inputs, _, _ in population.program.batches(0, 7):
        mean = 0.9 * mean + 0.1 * inputs[0][2].mean(0)
    assert_close(population.running[2, :64], mean)
