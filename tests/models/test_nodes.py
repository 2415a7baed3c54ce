"""Networks for the nodes of one graph: the engine trains them by every executor alike, and they learn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tutti import core, models, nn
from tutti.optim import SGD, Adam, Constant
from tutti.training import Plan, Population, Problem, Stream

NODES, FEATURES, CLASSES = 30, 6, 3
PLAIN = SGD()


Graph = tuple[Tensor | nn.SparseFeatures, Tensor]


def _graph(sparse: bool) -> tuple[Graph, Tensor]:
    """Three groups of ten nodes, most edges within them, features that say little; and the group of each node."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(CLASSES), NODES // CLASSES)
    near = group[:, None] == group
    a = np.triu(rng.random((NODES, NODES)) < np.where(near, 0.5, 0.03), 1)
    features = torch.as_tensor(rng.random((NODES, FEATURES)) < 0.4, dtype=torch.float32)
    edges = torch.as_tensor(np.stack(np.nonzero(a | a.T)))
    x = nn.SparseFeatures.of(features) if sparse else features
    return (x, edges), torch.as_tensor(group)


def _network(config: models.NodeModel, graph: Graph, outputs: int = CLASSES) -> models.NodeNetwork:
    return config.build(core.NodeShape(features=FEATURES), outputs).hold(*graph)


def _loss(output: Tensor, target: Tensor, label_smoothing: Tensor | None = None) -> Tensor:
    return functional.cross_entropy(output.movedim(-1, 1), target, reduction="none")


CONFIGS: list[models.NodeModel] = [
    models.GCN(hidden=(5,)),
    models.GCN(hidden=(5, 4), activation="tanh", dropout=False, first_l2=0.0),
    models.GAT(heads=2, features=3),
    models.GAT(heads=2, features=3, layers=3, last_heads=2, second=True),
    models.SAGE(hidden=(5,)),
    models.GIN(hidden=(5,), edge_dropout=True),
    models.NodeMPNN(hidden=5),
]


def _trained(
    config: models.NodeModel, executor: Any, *, sparse: bool, steps: int = 4, rule: Any = PLAIN
) -> Population:
    graph, group = _graph(sparse)
    train = np.arange(0, NODES, 2)
    streams = tuple(Stream(seed=s, fold=0, train=train, validation=train + 1) for s in range(2))
    problem = Problem(
        inputs=(torch.arange(NODES),),
        target=group,
        streams=streams,
        build=lambda: _network(config, graph),
        loss=_loss,
    )
    settings = [core.Setting(learning_rate=0.05, dropout=rate) for rate in (0.0, 0.5)]
    plan = Plan(executor=executor, horizon=steps, segment=steps, batch_size=len(train), clip=None)
    population = Population(problem, settings, plan, rule, Constant())
    population.run(steps)
    return population


# catalogue: A24
@pytest.mark.parametrize("config", CONFIGS, ids=repr)
@pytest.mark.parametrize("sparse", [True, False], ids=["sparse", "dense"])
def test_every_executor_trains_the_same_members(config: models.NodeModel, sparse: bool) -> None:
    stacked = _trained(config, "stacked", sparse=sparse)
    for executor in ("looped", "vmapped"):
        other = _trained(config, executor, sparse=sparse)
        torch.testing.assert_close(stacked.weights, other.weights, rtol=1e-5, atol=1e-6)
    rows = np.array([3, 29, 3, 0])
    answers = stacked.outputs(1, rows, averaged=False)
    assert answers.shape == (2, 4, CLASSES)
    for place, setting in enumerate(stacked.settings):
        network = stacked.network(stacked.member_rows(place, averaged=False)[1], setting, 1)
        torch.testing.assert_close(network(torch.as_tensor(rows)), answers[place])


def test_the_graph_is_held_once_for_all_members() -> None:
    population = _trained(models.GCN(hidden=(5,)), "stacked", sparse=True)
    (group,) = population._groups
    assert group.body.edges.shape[0] == 2
    assert group.body.edges is population.program.template.edges


# catalogue: T7
@pytest.mark.parametrize("config", [models.GCN(), models.GAT(heads=4, features=4)], ids=repr)
def test_neighbours_tell_what_features_do_not(config: models.NodeModel) -> None:
    population = _trained(config, "stacked", sparse=True, steps=100, rule=Adam())
    graph, group = _graph(False)
    held_out = np.arange(1, NODES, 2)
    for stream in range(2):
        undropped = population.outputs(stream, held_out, averaged=False)[0].argmax(-1)
        assert (undropped == group[held_out]).float().mean() > 0.8
    plain = _network(models.GCN(hidden=(5,)), (graph[0], graph[1][:, :0]))
    assert plain(torch.arange(NODES)).shape == (NODES, CLASSES)


def test_the_penalty_is_weight_decay_on_the_first_layer() -> None:
    graph, group = _graph(True)
    torch.manual_seed(0)
    network = _network(models.GCN(hidden=(5,), first_l2=0.3, dropout=False), graph)
    gradients = []
    for penalty in (True, False):
        with core.penalties() as terms:
            loss = functional.cross_entropy(network(torch.arange(NODES)), group)
        gradients.append(torch.autograd.grad(loss + sum(terms) * penalty, list(network.parameters())))
    for (name, p), with_it, without in zip(network.named_parameters(), *gradients, strict=True):
        expected = without + 0.3 * p if "convolutions.0" in name else without
        torch.testing.assert_close(with_it, expected)


def test_dropout_of_sparse_features_is_dropout_of_features() -> None:
    layer = nn.Dropout(0.4)
    values, entries = torch.rand(500) + 0.5, torch.stack((torch.arange(500) % 50, torch.arange(500) // 50))
    x = nn.SparseFeatures(values, nn.Edges(entries, 50, 10))
    from tutti.models._nodes import drop

    dropped = drop(layer, x)
    assert isinstance(dropped, nn.SparseFeatures)
    kept = dropped.values != 0
    assert kept.float().mean().item() == pytest.approx(0.6, abs=0.08)
    torch.testing.assert_close(dropped.values[kept], values[kept] / 0.6)
    layer.dropout = torch.full((3,), 0.4)
    masks = drop(layer, x).values != 0
    assert masks.shape == (3, 500)
    assert (masks[0] != masks[1]).any()
    assert drop(layer.eval(), x) is x


# catalogue: A24
@pytest.mark.slow
def test_cora_as_published(shared_data: Path) -> None:
    """Kipf & Welling: 81.5 % on the Planetoid split."""
    with np.load(shared_data / "graphs" / "cora.npz", allow_pickle=False) as d:
        node = np.repeat(np.arange(len(d["y"])), np.diff(d["x_indptr"]))
        values = d["x_data"] / np.bincount(node, weights=d["x_data"])[node]
        entries = nn.Edges(torch.as_tensor(np.stack((d["x_indices"].astype(np.int64), node))), 1433, len(d["y"]))
        once, train, test = d["edges"].T.astype(np.int64), np.arange(int(d["num_train"])), d["test_idx"].astype(int)
        y = torch.as_tensor(d["y"].astype(np.int64))
    features = nn.SparseFeatures(torch.as_tensor(values, dtype=torch.float32), entries)
    edges = torch.as_tensor(np.concatenate((once, once[::-1]), 1))
    problem = Problem(
        inputs=(torch.arange(len(y)),),
        target=y,
        streams=tuple(Stream(seed=s, fold=0, train=train, validation=test) for s in range(10)),
        build=lambda: models.GCN().build(core.NodeShape(features=1433), 7).hold(features, edges),
        loss=_loss,
    )
    plan = Plan(executor="stacked", horizon=200, segment=200, batch_size=len(train), clip=None)
    population = Population(problem, [core.Setting(learning_rate=0.01, dropout=0.5)], plan, Adam(), Constant())
    population.run(200)
    right = [population.outputs(s, test, averaged=False)[0].argmax(-1) == y[test] for s in range(10)]
    assert torch.stack(right).float().mean().item() == pytest.approx(0.815, abs=0.008)


def test_mistakes_are_named() -> None:
    graph, _ = _graph(False)
    with pytest.raises(core.InputError, match="Edge 0 names node 30, the graph has nodes 0–29"):
        _network(models.GCN(), (graph[0], torch.tensor([[30], [0]])))
    with pytest.raises(core.InputError, match="have 6 features; the network was built for 5"):
        models.GCN().build(core.NodeShape(features=5), 2).hold(*graph)
    with pytest.raises(core.InputError, match="holds no graph"):
        models.GCN().build(core.NodeShape(features=6), 2)(torch.arange(3))
    with pytest.raises(core.InputError, match="Did you mean 'relu'"):
        models.GCN(activation="rele")
    with pytest.raises(core.InputError, match="first_l2"):
        models.GCN(first_l2=-1.0)
    with pytest.raises(core.InputError, match="heads is 0"):
        models.GAT(heads=0)
    assert core.configure("model", models.MODELS["nodes"], {"name": "gcn", "hidden": [8]}) == models.GCN(hidden=(8,))
    with pytest.raises(core.InputError, match="Unknown model"):
        core.configure("model", models.MODELS["nodes"], {"name": "gnc2x"})
