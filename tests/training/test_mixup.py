"""Mixed rows ask for two targets: the loss, its gradient, and that no executor or division changes them."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

import tutti.nn as tnn
from tutti.core import Setting, mixing, random_keys
from tutti.optim import SGD
from tutti.training import Population

from .conftest import Make

# catalogue: D7
SETTINGS = [Setting(learning_rate=r, mixup=p, weight_decay=0.0) for r, p in ((1e-2, 0.7), (3e-2, 0.0))]


class Picture(nn.Module):
    """Rows of 64 numbers as images of 8 × 8 pixels."""

    stacked = True

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (1, 8, 8))


def mixing_net() -> nn.Module:
    return nn.Sequential(Picture(), tnn.Mixup(), tnn.Flatten(), tnn.Linear(64, 12), nn.Tanh(), tnn.Linear(12, 10))


def mixed(make: Make, executor: str, **plan: object) -> Population:
    return make(executor, build=mixing_net, settings=SETTINGS, rule=SGD(), clip=None, **plan)


def test_the_loss_is_that_of_both_targets_by_their_shares(make: Make) -> None:
    population = mixed(make, "looped")
    inputs, target, _ = next(iter(population.program.batches(0, 1)))
    group = population._groups[0]
    key = torch.tensor(9, dtype=torch.int32)
    found = group.gradient(inputs, target, None, key.expand(3))
    net = mixing_net().double().train()
    net.load_state_dict({**net.state_dict(), **dict(group.body.named_parameters()), "1.mixup": torch.tensor(0.7)})
    with mixing() as shares, random_keys(key):
        output = net(inputs[0][0])
    (share,) = shares
    own, partner = target[0], target[0].unflatten(0, (-1, 2)).flip(1).flatten()
    both = [F.cross_entropy(output, y, reduction="none") for y in (own, partner)]
    expected = (share * both[0] + (1 - share) * both[1]).mean()
    assert 0 < (share < 1).sum() < len(share)
    assert_close(found, expected.detach()[None])
    gradients = torch.autograd.grad(expected, list(net.parameters()))
    views = population.program.layout.views(population._gradient[0])
    for view, gradient in zip(views.values(), gradients, strict=True):
        assert_close(view, gradient)


@pytest.mark.parametrize("executor", ["stacked", "vmapped"])
def test_every_executor_mixes_alike(make: Make, executor: str) -> None:
    together, alone = mixed(make, executor), mixed(make, "looped")
    assert_close(together.run(4), alone.run(4), rtol=1e-9, atol=1e-12)
    assert_close(together.weights, alone.weights, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("micro", [3, 32])
def test_a_batch_in_parts_is_mixed_as_in_one_piece(make: Make, micro: int) -> None:
    whole, parts = mixed(make, "stacked"), mixed(make, "stacked", micro=micro)
    assert_close(parts.run(4), whole.run(4), rtol=1e-9, atol=1e-12)
    assert_close(parts.weights, whole.weights, rtol=1e-9, atol=1e-12)


def test_row_weights_belong_to_the_target(make: Make) -> None:
    """A partner of weight 0 adds nothing, whatever its share."""
    group = mixed(make, "looped")._groups[0]
    output, target = torch.randn(4, 10, dtype=torch.float64), torch.arange(4)
    weights, share = torch.tensor([2.0, 0.0, 1.0, 3.0]), torch.tensor([0.25, 0.5, 1.0, 0.8])
    loss = F.cross_entropy(output[:, None].expand(4, 4, 10).flatten(0, 1), target.repeat(4), reduction="none")
    table = loss.view(4, 4)  # row, target
    expected = (
        0.25 * 2 * table[0, 0] + 0.5 * 2 * table[1, 0] + table[2, 2] + 0.8 * 3 * table[3, 3] + 0.2 * 1 * table[3, 2]
    ) / 4
    assert_close(group.losses(output, target, weights.double(), [share.double()]), expected)
