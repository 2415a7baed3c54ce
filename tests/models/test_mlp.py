"""Networks for tables: depth, parameter counts, what a sum of ReLUs can do, options and their errors."""

import json
from itertools import pairwise
from math import prod

import numpy as np
import pytest
import torch

from tutti import core, models

SHAPE = core.TableShape(numbers=10, levels=(3, 30), missing=(0, 4))
DENSE = core.TableShape(numbers=10)


def _count(config: models.Model, shape: core.TableShape, outputs: int = 1) -> int:
    return sum(p.numel() for p in config.build(shape, outputs).parameters())


def _dense(*widths: int) -> int:
    return sum((a + 1) * b for a, b in pairwise(widths))


# catalogue: A2
@pytest.mark.parametrize("hidden", [(), (7,), (64, 32), (5,) * 20])
def test_parameter_count_at_any_depth(hidden: tuple[int, ...]) -> None:
    assert _count(models.MLP(hidden=hidden), DENSE, 3) == _dense(10, *hidden, 3)


def test_parameter_counts_of_the_input_side() -> None:
    width = 10 + 2 + 2 + 8  # numbers, indicators, one-hot of codes 1 and 2, a table of 30 codes of width 8
    assert _count(models.MLP(hidden=(6,)), SHAPE) == _dense(width, 6, 1) + 30 * 8
    ple = models.MLP(hidden=(6,), encoding="ple", bins=7)
    assert _count(ple, SHAPE) == _dense(width - 10 + 70, 6, 1) + 30 * 8
    ple = models.MLP(hidden=(6,), encoding="ple", bins=7, embedding=3)
    assert _count(ple, SHAPE) == _dense(width - 10 + 30, 6, 1) + 30 * 8 + 10 * (7 + 1) * 3
    pbld = models.MLP(hidden=(6,), encoding="pbld", embedding=4, frequencies=16)
    assert _count(pbld, DENSE) == _dense(40, 6, 1) + 10 * (2 * 16 + 17 * 3)
    switches = core.TableShape(numbers=10, switches=(0, 3, 9))  # a number of two values stays one
    assert _count(pbld, switches) == _dense(7 * 4 + 3, 6, 1) + 7 * (2 * 16 + 17 * 3)


@pytest.mark.parametrize("encoding", ["plr", "pbld"])
def test_numbers_of_two_values_pass_the_periodic_embedding_as_they_are(encoding: str) -> None:
    config = models.MLP(hidden=(), scaling="none", encoding=encoding)
    shape = core.TableShape(numbers=4, missing=(1,), switches=(0, 2))
    x = torch.tensor([[0.0, 0.5, 1.0, 2.5], [1.0, float("nan"), 0.0, -0.5]])
    network = config.build(shape, 1).eval()
    features, _ = network.front(x, torch.zeros(2, 0, dtype=torch.int64))
    torch.testing.assert_close(features[:, 2:], torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]))
    seen = []
    network.body.trunk.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(x, torch.zeros(2, 0, dtype=torch.int64))
    torch.testing.assert_close(seen[0][:, -3:], features[:, 2:])
    assert seen[0].shape[1] == 2 * 4 + 3


def test_parameter_counts_of_resmlp_and_tabm() -> None:
    block = 2 * 8 + _dense(8, 12, 8)
    assert _count(models.ResMLP(width=8, hidden=12, blocks=3), DENSE, 2) == _dense(10, 8, 2) + 3 * block + 2 * 8
    k, heads = 4, 4 * _dense(6, 2)
    full = models.TabM(hidden=(8, 6), replicas=k)
    assert _count(full, DENSE, 2) == k * 10 + (10 * 8 + k * 16) + (8 * 6 + k * (8 + 6 + 6)) + heads
    mini = models.TabM(hidden=(8, 6), replicas=k, mini=True)
    assert _count(mini, DENSE, 2) == k * 10 + _dense(10, 8, 6) + heads


# catalogue: A2
def test_a_sum_of_relus_follows_any_curve_ever_closer() -> None:
    """n ReLUs set by hand join n + 1 points of a curve; the error falls as 1/n²."""

    def error(n: int) -> float:
        network = models.MLP(hidden=(n,), scaling="none").build(core.TableShape(numbers=1), 1).double()
        first, last = network.body.trunk[0], network.body.trunk[2]
        knots = torch.linspace(0, 1, n + 1, dtype=torch.float64)
        slopes = (torch.sin(6 * knots[1:]) - torch.sin(6 * knots[:-1])) * n
        with torch.no_grad():
            first.weight.fill_(1)
            first.bias.copy_(-knots[:-1])
            last.weight.copy_(torch.diff(slopes, prepend=torch.zeros(1)).unsqueeze(0))
            last.bias.zero_()
        x = torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None]
        codes = torch.zeros(2001, 0, dtype=torch.int64)
        return (network(x, codes) - torch.sin(6 * x)).abs().max().item()

    errors = [error(n) for n in (8, 16, 32, 64)]
    np.testing.assert_allclose([a / b for a, b in pairwise(errors)], 4, rtol=0.1)


def test_tabm_output_has_an_axis_of_replicas_that_differ() -> None:
    torch.manual_seed(0)
    network = models.TabM(hidden=(8,), replicas=5).build(DENSE, 3)
    output = network(torch.randn(7, 10), torch.zeros(7, 0, dtype=torch.int64))
    assert network.replicas == 5
    assert output.shape == (7, 5, 3)
    assert output.std(1).min() > 1e-3
    assert models.MLP().build(DENSE, 3).replicas == 1


def test_a_tabm_whose_replicas_are_equal_is_one_mlp() -> None:
    torch.manual_seed(0)
    tabm = models.TabM(hidden=(8, 6), replicas=3, mini=True).build(DENSE, 2)
    mlp = models.MLP(hidden=(8, 6)).build(DENSE, 2)
    with torch.no_grad():
        tabm.body.trunk.replicate.adapter.fill_(1)
        for ours, theirs in zip((0, 2), (0, 2), strict=True):
            mlp.body.trunk[theirs].load_state_dict(tabm.body.trunk.hidden[ours].state_dict())
        head = tabm.body.trunk.head
        head.weight.copy_(mlp.body.trunk[4].weight.expand_as(head.weight))
        head.bias.copy_(mlp.body.trunk[4].bias.expand_as(head.bias))
    numbers, codes = torch.randn(7, 10), torch.zeros(7, 0, dtype=torch.int64)
    output = tabm(numbers, codes)
    torch.testing.assert_close(output, mlp(numbers, codes).unsqueeze(1).expand_as(output), rtol=1e-5, atol=1e-6)


def test_a_row_does_not_feel_its_neighbours_in_evaluation() -> None:
    numbers = torch.randn(9, 10)
    codes = torch.stack([torch.randint(0, n, (9,)) for n in SHAPE.levels], -1)
    for config in (
        models.MLP(encoding="ple"),
        models.ResMLP(dropout=True),
        models.TabM(),
        models.Linear(init="torch"),
    ):
        network = config.build(SHAPE, 2).eval()
        torch.testing.assert_close(
            network(numbers, codes)[3:5], network(numbers[3:5], codes[3:5]), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(
    "config",
    [
        models.Linear(expansion="rbf", width=0.5),
        models.MLP(hidden=(3, 4), activation=("tanh", "mish"), noise=True),
        models.ResMLP(blocks=1),
        models.TabM(mini=True, encoding="pbld"),
    ],
    ids=repr,
)
def test_a_config_survives_json(config: models.Model) -> None:
    text = json.dumps(config.to_json())
    assert core.configure("model", models.MODELS["table"], json.loads(text)) == config


@pytest.mark.parametrize("shape", [core.TableShape(numbers=0, levels=(3, 200)), core.TableShape(numbers=2)], ids=repr)
def test_tables_without_numbers_or_without_categories(shape: core.TableShape) -> None:
    configs = [
        *(models.MLP(hidden=(4,), encoding=e, noise=True) for e in ("none", "ple", "plr", "pbld")),
        *(models.Linear(expansion=e) for e in ("none", "polynomial", "rbf")),
        models.ResMLP(),
        models.TabM(encoding="ple", embedding=3),
    ]
    for config in configs:
        network = config.build(shape, 2)
        codes = torch.ones(4, len(shape.levels), dtype=torch.int64)
        output = network(torch.randn(4, shape.numbers), codes)
        assert output.shape[0] == 4
        assert prod(output.shape) == 8 * network.replicas
        assert torch.isfinite(output).all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: models.MLP(activation="relo"), "Did you mean 'relu'"),
        (lambda: models.MLP(scaling="standart"), "Did you mean 'standard'"),
        (lambda: models.MLP(encoding="plee"), "Did you mean 'ple'"),
        (lambda: models.MLP(init="he_norm"), "Did you mean 'he_normal'"),
        (lambda: models.MLP(hidden=(3, 0)), "at least one unit"),
        (lambda: models.MLP(hidden=(3, 4), activation=("tanh",)), "1 activations for 2 hidden layers"),
        (lambda: models.MLP(mean_activity=0.1), r"activations in \[0, 1\]"),
        (lambda: models.MLP(encoding="ple", bins=0), "at least one bin"),
        (lambda: models.TabM(replicas=1), "model 'mlp'"),
        (lambda: models.Linear(expansion="polynom"), "Did you mean 'polynomial'"),
        (lambda: core.configure("model", models.MODELS["table"], {"name": "resmpl"}), "Did you mean 'resmlp'"),
    ],
)
def test_mistakes_are_named(build: object, message: str) -> None:
    with pytest.raises(core.InputError, match=message):
        build()
