"""The public batteries pass what is sound, and catch a layer, a rule and a task that are not."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tutti.nn as tnn
from tutti.optim import SGD, AdamW, Rule
from tutti.tasks import infer
from tutti.testing import broken, check_layer, check_optimizer, check_task

X = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))


class Forgetful(nn.Module):
    """Uses the first member's weights for all."""

    stacked = True

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(6))

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.scale if self.scale.ndim == 1 else self.scale[0])


class WrongBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.square()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


class Wrong(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return WrongBackward.apply(x)


@dataclass(frozen=True, kw_only=True)
class Climbing(Rule):
    """Goes up, and takes the neighbours' mean along."""

    name = "climbing"

    def update(self, gradient: Tensor, state: dict, **_: object) -> Tensor:
        return gradient + gradient.mean(0, keepdim=True)


@pytest.mark.parametrize(
    "build", [lambda: tnn.Linear(6, 3), lambda: nn.Sequential(tnn.Linear(6, 4), nn.Tanh()), lambda: tnn.LayerNorm(6)]
)
def test_layers_of_ours_keep_the_laws(build: object) -> None:
    laws = check_layer(build, [X])
    assert [law.status for law in laws] == ["kept"] * 3


def test_a_layer_that_forgets_its_members_is_caught() -> None:
    assert {law.name for law in broken(check_layer(Forgetful, [X]))} == {"stacked = solo"}


def test_a_wrong_backward_is_caught() -> None:
    assert {law.name for law in broken(check_layer(Wrong, [X]))} == {"gradient = finite differences"}


@pytest.mark.parametrize("rule", [SGD(), AdamW()])
def test_rules_of_ours_keep_the_laws(rule: Rule) -> None:
    assert not broken(check_optimizer(rule))


def test_a_rule_that_climbs_or_mixes_members_is_caught() -> None:
    assert {law.name for law in broken(check_optimizer(Climbing()))} == {"neighbours", "descends"}


@pytest.mark.parametrize("values", [["a", "b", "a", "b", "a"], ["x", "y", "z", "x", "y", "z"], [0.5, 1.5, 2.25, 3.0]])
def test_tasks_of_ours_keep_the_laws(values: list[object]) -> None:
    given = np.array(values)
    task = infer(given, ["t"])
    target = torch.as_tensor(task.encode(given))
    output = torch.randn(len(values), task.outputs, generator=torch.Generator().manual_seed(0))
    assert not broken(check_task(task, target, output))
