"""Networks for the edges of one graph: every executor alike, both directions alike, edges that pass no message."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tutti import core, models, nn
from tutti.optim import SGD, Constant
from tutti.training import Plan, Population, Problem, Stream

NODES, FEATURES, OWN = 20, 5, 2
CONFIGS: list[models.EdgeModel] = [
    models.EdgeGCN(hidden=(6,), width=4, edge_dropout=True),
    models.EdgeGAT(heads=2, features=3, width=4),
    models.EdgeSAGE(hidden=(6,), width=4),
    models.EdgeGIN(hidden=(6,), width=4),
    models.EdgeMPNN(hidden=6, width=4, edge_dropout=True),
]


def _graph(along: int = 0) -> dict[str, Tensor | None]:
    rng = np.random.default_rng(0)
    a = np.triu(rng.random((NODES, NODES)) < 0.2, 1)
    edges = torch.as_tensor(np.stack(np.nonzero((a | a.T).T))[::-1].copy())  # sorted by target
    said = torch.as_tensor(rng.random((edges.shape[1], along)), dtype=torch.float32) if along else None
    features = torch.as_tensor(rng.normal(size=(NODES, FEATURES)), dtype=torch.float32)
    return {"features": features, "edges": edges, "along": said}


def _network(config: models.EdgeModel, *, along: int = 0, directed: bool = False) -> models.EdgeNetwork:
    shape = core.EdgeShape(features=FEATURES, edge_features=along, own=OWN, directed=directed)
    return config.build(shape, 1).hold(**_graph(along))  # type: ignore[arg-type]


def _pairs(rows: int = 30) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(1)
    ends = torch.as_tensor(rng.integers(0, NODES, (rows, 2)))
    return ends, torch.as_tensor(rng.normal(size=(rows, OWN)), dtype=torch.float32)


def _loss(output: Tensor, target: Tensor, label_smoothing: Tensor | None = None) -> Tensor:
    return functional.binary_cross_entropy_with_logits(output.squeeze(-1), target, reduction="none")


def _trained(config: models.EdgeModel, executor: Any) -> Population:
    ends, own = _pairs()
    count = _network(config).edges.shape[1]  # type: ignore[union-attr]
    streams = []
    for seed in range(2):
        present = (torch.rand(count, generator=torch.Generator().manual_seed(seed)) < 0.7).float()
        train, judged = np.arange(20), np.arange(20, 30)
        streams.append(Stream(seed=seed, fold=0, train=train, validation=judged, buffers={"present": present}))

    def build() -> models.EdgeNetwork:
        network = _network(config)
        network.may_lose_edges()
        return network

    problem = Problem(
        inputs=(ends, own), target=(ends.sum(1) % 2).float(), streams=tuple(streams), build=build, loss=_loss
    )
    settings = [core.Setting(learning_rate=0.05, dropout=rate) for rate in (0.0, 0.5)]
    plan = Plan(executor=executor, horizon=3, segment=3, batch_size=20, clip=None)
    population = Population(problem, settings, plan, SGD(), Constant())
    population.run(3)
    return population


# catalogue: T7
@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_every_executor_trains_the_same_members_each_on_the_edges_of_its_fold(config: models.EdgeModel) -> None:
    stacked = _trained(config, "stacked")
    for executor in ("looped", "vmapped"):
        torch.testing.assert_close(stacked.weights, _trained(config, executor).weights, rtol=1e-5, atol=1e-6)
    ends, own = _pairs()
    rows = np.array([3, 29, 0])
    answers = stacked.outputs(1, rows, averaged=False)
    network = stacked.network(stacked.member_rows(0, averaged=False)[1], stacked.settings[0], 1)
    torch.testing.assert_close(network(ends[rows], own[rows]), answers[0])
    (group,) = stacked._groups
    assert (
        group.body.edges is stacked.program.template.edges
    )  # the graph is held once; what passes is each fold's own
    assert group.body.present.shape == (4, group.body.edges.shape[1])


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_both_directions_of_a_pair_answer_alike_unless_they_differ(config: models.EdgeModel) -> None:
    ends, own = _pairs()
    network = _network(config).eval()
    torch.testing.assert_close(network(ends.flip(1), own), network(ends, own))
    assert not torch.allclose(network(ends, own + 1), network(ends, own))
    one_way = _network(config, directed=True).eval()
    assert not torch.allclose(one_way(ends.flip(1), own), one_way(ends, own))


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_an_edge_that_is_not_present_is_none(config: models.EdgeModel) -> None:
    graph, (ends, own) = _graph(), _pairs()
    assert graph["edges"] is not None
    network = _network(config).eval()
    kept = torch.arange(graph["edges"].shape[1]) % 3 != 0
    network.may_lose_edges()
    assert network.present is not None
    network.present.copy_(kept)
    masked = network(ends, own)
    network.hold(graph["features"], graph["edges"][:, kept])  # type: ignore[arg-type]
    torch.testing.assert_close(network(ends, own), masked, rtol=1e-5, atol=1e-6)


# catalogue: D4
def test_features_of_edges_and_weights_pass_with_the_messages() -> None:
    ends, own = _pairs()
    graph = _graph(along=3)
    gated = _network(models.EdgeMPNN(hidden=6, width=4), along=3).eval()
    before = gated(ends, own)
    gated.hold(graph["features"], graph["edges"], graph["along"] + 1)  # type: ignore[arg-type, operator]
    assert not torch.allclose(gated(ends, own), before)
    plain = _network(models.EdgeGCN(hidden=(6,), width=4)).eval()
    assert graph["edges"] is not None
    ones = torch.ones(graph["edges"].shape[1])
    plain.hold(graph["features"], graph["edges"], weight=ones)  # type: ignore[arg-type]
    even = plain(ends, own)
    plain.hold(graph["features"], graph["edges"])  # type: ignore[arg-type]
    torch.testing.assert_close(plain(ends, own), even)
    plain.hold(graph["features"], graph["edges"], weight=torch.arange(len(ones)).float())  # type: ignore[arg-type]
    assert not torch.allclose(plain(ends, own), even)


# catalogue: D4
@pytest.mark.parametrize("config", [models.GCN(hidden=(6,), dropout=False), models.SAGE(hidden=(6,), dropout=False)])
def test_weighted_layers_for_nodes_equal_those_of_torch_geometric(config: models.NodeModel) -> None:
    """The whole network with edge weights, layer by layer, beside torch-geometric's where it takes weights."""
    geometric = pytest.importorskip("torch_geometric.nn")
    graph = _graph()
    edges = graph["edges"]
    assert edges is not None
    weight = torch.rand(edges.shape[1]) + 0.5
    network = config.build(core.NodeShape(features=FEATURES), 3).hold(graph["features"], edges, weight=weight).eval()  # type: ignore[arg-type]
    found = network(torch.arange(NODES))
    h = graph["features"]
    layers = list(network.layers.convolutions)  # type: ignore[union-attr, arg-type]
    for place, layer in enumerate(layers):
        if isinstance(layer, nn.GCN):
            other = geometric.GCNConv(layer.weight.shape[0], layer.weight.shape[1])
            other.load_state_dict({"lin.weight": layer.weight.T, "bias": layer.bias})
            h = other(h, edges, weight)
        else:  # a weighted mean of neighbours
            total = torch.zeros(NODES).index_add(0, edges[1], weight)
            sums = torch.zeros(NODES, h.shape[1]).index_add(0, edges[1], weight[:, None] * h[edges[0]])  # type: ignore[union-attr, index]
            mean = sums / total.clamp(min=1e-12)[:, None]
            h = h @ layer.own + mean @ layer.neighbour + layer.bias  # type: ignore[operator]
        h = torch.relu(h) if place < len(layers) - 1 else h  # type: ignore[arg-type]
    torch.testing.assert_close(found, h, rtol=1e-5, atol=1e-6)


def test_mistakes_are_named() -> None:
    with pytest.raises(core.InputError, match="width is 0"):
        _network(models.EdgeGCN(width=0))
    with pytest.raises(core.InputError, match="steps is 0"):
        models.EdgeMPNN(steps=0)
    with pytest.raises(core.InputError, match="'sampled'"):
        core.configure("model", models.MODELS["edges"], {"name": "sage", "sampled": [5, 5]})
    assert core.configure("model", models.MODELS["edges"], {"name": "gcn", "width": 8}) == models.EdgeGCN(width=8)
