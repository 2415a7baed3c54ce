"""Networks for many graphs: padding, neighbours and the order of nodes change nothing; they learn."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tutti import core, models, nn
from tutti.optim import SGD, Adam, Constant
from tutti.training import Plan, Population, Problem, Stream

ROWS, NODES, EDGES = 24, 9, 30
SHAPE = core.GraphShape(features=2, edge_features=1, nodes=NODES, edges=EDGES, levels=(4,), edge_levels=(3,))
FAMILIES = list(models.MODELS["graphs"].values())


def _graphs(rows: int = ROWS, seed: int = 0) -> tuple[Tensor, ...]:
    """Graphs of 1 to NODES nodes, some without an edge; edges by target."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, NODES, 2)).astype(np.float32)
    codes = rng.integers(0, 4, (rows, NODES, 1)).astype(np.uint8)
    edges, counts = np.zeros((rows, EDGES, 2), np.int16), np.zeros((rows, 2), np.int32)
    for row in range(rows):
        n = int(rng.integers(1, NODES + 1))
        pairs = np.unique(rng.integers(0, n, (rng.integers(0, EDGES // 2), 2)), axis=0)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        pairs = pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]
        edges[row, : len(pairs)], counts[row] = pairs, (n, len(pairs))
    edge_numbers = rng.normal(size=(rows, EDGES, 1)).astype(np.float32)
    edge_codes = rng.integers(0, 3, (rows, EDGES, 1)).astype(np.uint8)
    return tuple(torch.from_numpy(a) for a in (numbers, codes, edges, edge_numbers, edge_codes, counts))


def _network(family: type[models.Model], **options: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    return family(width=8, **options).build(SHAPE, 3)


# catalogue: D4
@pytest.mark.parametrize("readout", ["sum", "mean", "max", "attention"])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_a_batch_equals_its_graphs_one_by_one(family: type[models.Model], readout: str) -> None:
    inputs = _graphs()
    network = _network(family, readout=readout).eval()
    whole = network(*inputs)
    single = torch.cat([network(*(x[i : i + 1] for x in inputs)) for i in range(ROWS)])
    torch.testing.assert_close(whole, single, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_padding_changes_nothing(family: type[models.Model]) -> None:
    """What stands in the padding is not read, and more padding gives the same bits, in training too."""
    inputs = _graphs()
    real = [torch.arange(x.shape[1]) < inputs[-1][:, side, None] for x, side in ((inputs[0], 0), (inputs[2], 1))]
    sides = (0, 0, 1, 1, 1)
    rubbish = [torch.where(real[s][..., None], x, torch.full_like(x, 3)) for x, s in zip(inputs, sides, strict=False)]
    longer = [functional.pad(x, (0, 0, 0, 5)) for x in rubbish]
    results = []
    for given in (inputs, (*rubbish, inputs[-1]), (*longer, inputs[-1])):
        network = _network(family).train()
        output = network(*given)
        gradients = torch.autograd.grad(output.square().sum(), list(network.parameters()), allow_unused=True)
        results.append([output, *(g for g in gradients if g is not None)])
    for first, *others in zip(*results, strict=True):
        for other in others:
            assert torch.equal(first, other)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_the_order_of_nodes_changes_nothing(family: type[models.Model]) -> None:
    numbers, codes, edges, edge_numbers, edge_codes, counts = _graphs()
    moved = [x.clone() for x in (numbers, codes, edges, edge_numbers, edge_codes)]
    for row, (n, e) in enumerate(counts.tolist()):
        order = torch.randperm(n)
        place = torch.argsort(order)
        moved[0][row, :n], moved[1][row, :n] = numbers[row, order], codes[row, order]
        ends = place[edges[row, :e].long()]
        by_target = torch.argsort(ends[:, 1] * NODES + ends[:, 0])
        moved[2][row, :e] = ends[by_target].to(torch.int16)
        moved[3][row, :e], moved[4][row, :e] = edge_numbers[row, by_target], edge_codes[row, by_target]
    network = _network(family).eval()
    expected = network(numbers, codes, edges, edge_numbers, edge_codes, counts)
    torch.testing.assert_close(network(*moved, counts), expected, rtol=1e-4, atol=1e-5)


def _loss(output: Tensor, target: Tensor, label_smoothing: Tensor | None = None) -> Tensor:
    return functional.cross_entropy(output.movedim(-1, 1), target, reduction="none")


def _trained(
    config: models.Model, executor: Any, rates: tuple[float, ...] = (0.0, 0.3), *, steps: int = 3, rule: Any = None
) -> Population:
    inputs = _graphs()
    target = inputs[-1][:, 0] % 3
    streams = []
    for fold in range(3):
        train = np.arange(fold, ROWS - 4 + fold)
        buffers = {
            "node_centre": torch.full((2,), 0.1 * fold), "node_scale": torch.full((2,), 1.0 + fold),
            "edge_centre": torch.full((1,), 0.2 * fold), "edge_scale": torch.full((1,), 1.0 + fold),
        }  # fmt: skip
        streams.append(Stream(seed=0, fold=fold, train=train, validation=train[:3], buffers=buffers))
    problem = Problem(
        inputs=inputs, target=target.long(), streams=tuple(streams), build=lambda: config.build(SHAPE, 3), loss=_loss
    )
    settings = [core.Setting(learning_rate=0.01, dropout=rate) for rate in rates]
    plan = Plan(executor=executor, horizon=steps, segment=steps, batch_size=8, clip=None)
    population = Population(problem, settings, plan, rule or SGD(), Constant())
    population.run(steps)
    return population


# catalogue: A24
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_stacked_members_are_those_trained_alone(family: type[models.Model]) -> None:
    """Members of three folds see batches of unequal sizes; two settings of each fold see the same ones."""
    config = family(width=8, dropout=True, edge_dropout=True, norm=True, readout="mean")
    stacked, looped = (_trained(config, executor) for executor in ("stacked", "looped"))
    torch.testing.assert_close(stacked.weights, looped.weights, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(stacked.running, looped.running, rtol=1e-4, atol=1e-5)
    rows = np.array([5, 0, 5, 23])
    expected = looped.outputs(1, rows, averaged=False)
    torch.testing.assert_close(stacked.outputs(1, rows, averaged=False), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_a_member_does_not_feel_other_settings(family: type[models.Model]) -> None:
    config = family(width=8, dropout=True)
    pair, other = _trained(config, "stacked", (0.0, 0.3)), _trained(config, "stacked", (0.5, 0.1, 0.3))
    assert torch.equal(pair.weights[3:], other.weights[6:])


def test_a_union_of_members_that_share_a_batch_is_made_once() -> None:
    inputs = _graphs()
    stack = [torch.stack([x[:4], x[4:8]] * 3) for x in inputs]
    assert nn.repeats(*stack) == 2
    assert nn.repeats(*(x.expand(5, *x.shape) for x in inputs)) == 1
    stack[0][5, 0, 0, 0] += 1
    assert nn.repeats(*stack) == 6
    union = nn.union_of(stack[2], stack[5], NODES, 2)
    assert union.edges.members == 2
    assert union.real is not None
    assert union.real.sum(1).tolist() == [int(inputs[5][a : a + 4, 0].sum()) for a in (0, 4)]


def test_they_count_nodes_of_a_kind() -> None:
    """The sum over nodes sees how many there are; three classes by the number of nodes modulo 3."""
    population = _trained(models.GraphGIN(width=32), "stacked", (0.0,), steps=150, rule=Adam())
    target = _graphs()[-1][:, 0] % 3
    train = np.arange(ROWS - 4)
    right = population.outputs(0, train, averaged=False)[0].argmax(-1) == target[train]
    assert right.float().mean() > 0.9


def test_mistakes_are_named() -> None:
    with pytest.raises(core.InputError, match="Did you mean 'mean'"):
        models.GraphGIN(readout="maen")
    with pytest.raises(core.InputError, match="layers is 0"):
        models.GraphGCN(layers=0)
    with pytest.raises(core.InputError, match="A width of 64 for 5 heads"):
        models.GraphGAT(heads=5)
    with pytest.raises(core.InputError, match="steps is 0"):
        models.MPNN(steps=0)
