"""Parameters that a user has frozen (requires_grad is False) stay as built, whatever trains the others."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import tutti.nn as tnn
from tutti.core import InputError, Layout, Setting
from tutti.optim import RULES, SGD, AdamW
from tutti.training import FullySharded, Ranks, Sharded, carry, measure
from tutti.training._buffers import aliases

from .conftest import SETTINGS, Make
from .test_buffers import Tied, plain_loop


def frozen_net() -> nn.Module:
    """A frozen first layer, drawn anew for every fold, whose bias is trained."""
    net = nn.Sequential(nn.Linear(64, 24), nn.Tanh(), nn.Linear(24, 10))
    net[0].weight.requires_grad_(False)
    return net


def frozen_stacked_net() -> nn.Module:
    net = nn.Sequential(tnn.Linear(64, 24), nn.Tanh(), tnn.Linear(24, 10))
    net[0].weight.requires_grad_(False)
    return net


class Pretrained(nn.Module):
    """A frozen layer whose values all folds share, before a trained one."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = nn.Linear(64, 24), nn.Linear(24, 10)
        with torch.no_grad():
            self.backbone.weight.copy_(torch.linspace(-0.2, 0.2, 24 * 64).view(24, 64))
            self.backbone.bias.zero_()
        self.backbone.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.backbone(x)))


class FrozenTied(Tied):
    """The tied matrix is frozen; the other layers are trained."""

    def __init__(self) -> None:
        super().__init__()
        self.again.weight.requires_grad_(False)  # under the second name: it is the same tensor


class Moving(Pretrained):
    """A frozen layer that forward moves: a teacher that follows."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.backbone.weight.lerp_(self.head.weight.mean() * torch.ones_like(self.backbone.weight), 0.1)
        return super().forward(x)


class Rebound(Pretrained):
    """The same, written as momentum encoders often are."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.backbone.weight.data = 0.9 * self.backbone.weight.data + 0.1 * self.head.weight.mean()
        return super().forward(x)


EVERY = [("stacked", frozen_stacked_net), ("vmapped", frozen_net), ("looped", frozen_net)] + [
    (executor, build) for executor in ("vmapped", "looped") for build in (Pretrained, FrozenTied)
]


@pytest.mark.parametrize(("executor", "build"), EVERY)
def test_frozen_parameters_stay_as_built_and_the_others_train(
    make: Make, executor: str, build: Callable[[], nn.Module]
) -> None:
    """With decay, l1 and clipping, through `keep`, in the weights and in their average: to the bit."""
    settings = [replace(s, l1=1e-3) for s in SETTINGS]
    population = make(executor, build=build, settings=settings, clip=0.1)
    program = population.program
    built = [program._build(7, fold) for fold in range(3)]
    population.run(10)
    population.keep([0, 5])
    population.run(20)
    for fold, first in enumerate(built):
        for averaged in (True, False):
            row = population.member_rows(1, averaged=averaged)[fold]
            network = population.network(row, settings[5], fold)
            for name, parameter in network.named_parameters():
                same = torch.equal(parameter, first.get_parameter(name))
                assert same != parameter.requires_grad, name


@pytest.mark.parametrize(("executor", "build"), [pair for pair in EVERY if pair[0] != "stacked"])
def test_members_train_as_in_a_plain_loop_that_leaves_the_frozen_alone(
    make: Make, executor: str, build: Callable[[], nn.Module]
) -> None:
    module, rows = plain_loop(make, build, 30)
    population = make(executor, build=build, settings=SETTINGS[:1], rule=SGD(), clip=None)
    population.run(30)
    answer = population.outputs(1, torch.arange(50).numpy(), averaged=False)[0]
    assert_close(answer, module(rows[:50]).detach(), rtol=1e-8, atol=1e-10)
    network = population.network(population.member_rows(0, averaged=False)[1], SETTINGS[0], 1)
    assert_close(network(rows[:50]), answer, rtol=1e-8, atol=1e-10)


def test_the_stacked_form_is_the_loop(make: Make) -> None:
    together, alone = (make(e, build=frozen_stacked_net, clip=0.1) for e in ("stacked", "looped"))
    together.run(12)
    alone.run(12)
    assert_close(together.weights, alone.weights, rtol=1e-8, atol=1e-10)
    rows = torch.arange(40).numpy()
    assert_close(together.outputs(1, rows), alone.outputs(1, rows), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ["sgd", "adamw", "muon", "lamb", "sam"])
def test_a_frozen_weight_is_not_in_the_row_that_rules_see(make: Make, name: str) -> None:
    """No rule, whatever it looks at (norms, shapes, a second gradient, noise), can touch what has no place there."""
    population = make("looped", build=frozen_net, settings=[Setting(learning_rate=1e-3)], folds=1, rule=RULES[name]())
    assert population.program.layout.names == ("0.bias", "2.weight", "2.bias")
    population.run(3)
    assert torch.equal(population._groups[0].body[0].weight, population.program._build(7, 0)[0].weight)


def test_the_norm_that_is_clipped_has_no_share_of_the_frozen(make: Make) -> None:
    """One step of plain descent with a large gradient is as long as the clipping norm."""
    population = make(
        "looped", build=frozen_net, settings=[Setting(learning_rate=1.0)], folds=1, rule=SGD(), clip=0.01
    )
    before = population.weights.clone()
    population.run(1)
    factor = float(population._factors[0])
    assert_close(float((population.weights - before).norm()), 0.01 * factor, rtol=1e-3, atol=0)


def test_a_frozen_layer_of_all_members_is_held_once(make: Make) -> None:
    population = make("looped", build=Pretrained)
    assert len({g.body.backbone.weight.data_ptr() for g in population._groups}) == 1
    assert len(population.program.frozen["backbone.weight"]) == 1
    assert len(make("looped", build=frozen_net).program.frozen["0.weight"]) == 3


def test_the_layout_and_the_need_of_memory_are_those_of_what_is_trained(make: Make) -> None:
    assert Layout.of(Pretrained()).names == ("head.weight", "head.bias")
    assert aliases(FrozenTied()) == {"again.weight": "up.weight"}
    trained = Pretrained()
    trained.requires_grad_(True)
    free, all_of_it = (make("looped", build=b).program for b in (Pretrained, lambda: trained))
    assert measure(free, [AdamW()]).member < measure(all_of_it, [AdamW()]).member / 2


@pytest.mark.parametrize("executor", ["vmapped", "looped"])
def test_a_saved_state_brings_back_what_was_frozen(make: Make, executor: str) -> None:
    """A builder may answer otherwise in the next process: members go on with what they began with, bit for bit."""
    draw = torch.Generator().manual_seed(0)

    def build() -> nn.Module:
        net = Pretrained()
        with torch.no_grad():
            net.backbone.weight.copy_(0.1 * torch.randn(24, 64, generator=draw))
        return net

    straight = make(executor, build=build, dtype=torch.float32)
    straight.run(10)
    tensors, plain = straight.state()
    straight.run(20)
    resumed = make(executor, build=build, dtype=torch.float32)
    resumed.restore(tensors, plain)
    resumed.run(20)
    rows = torch.arange(50).numpy()
    assert torch.equal(resumed.outputs(2, rows), straight.outputs(2, rows))
    one, other = (p.network(p.member_rows(0)[2], SETTINGS[0], 2) for p in (resumed, straight))
    assert torch.equal(one.backbone.weight, other.backbone.weight)


@pytest.mark.parametrize(
    ("build", "executor"), [(frozen_stacked_net, "stacked"), (frozen_net, "vmapped"), (Pretrained, "vmapped")]
)
def test_the_fastest_form_carries_frozen_layers(make: Make, build: Callable[[], nn.Module], executor: str) -> None:
    assert carry(make("looped", build=build, dtype=torch.float32).program).executor == executor


def test_a_diverging_member_of_a_frozen_network_has_its_autopsy(make: Make) -> None:
    wild = Setting(learning_rate=1e38)
    population = make(
        "looped", settings=[SETTINGS[0], wild], rule=SGD(), clip=None, dtype=torch.float32, build=Pretrained
    )
    population.run(30)
    found = population.autopsy(1, 0)
    assert found is not None
    assert "too high" in found.cause


def test_what_cannot_be_is_told(make: Make) -> None:
    with pytest.raises(InputError, match="Every parameter of this network is frozen"):
        make("looped", build=lambda: nn.Linear(64, 10).requires_grad_(False))
    for build in (Moving, Rebound):
        with pytest.raises(InputError, match=r"writes into 'backbone.weight'"):
            carry(make("looped", build=build).program)


def test_batches_are_divided_with_frozen_layers_and_weights_are_not(make: Make) -> None:
    """One process: its share is the whole batch."""
    plain = make("looped", build=frozen_net)
    arguments = plain.program.problem, SETTINGS, plain.plan, AdamW(), plain._schedule
    shared = Sharded(*arguments, ranks=Ranks())
    plain.run(6)
    shared.run(6)
    assert torch.equal(shared.weights, plain.weights)
    with pytest.raises(InputError, match=r"'0.weight' is frozen"):
        FullySharded(*arguments, ranks=Ranks(0, 2))
