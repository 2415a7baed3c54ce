"""Graph layers equal torch-geometric's, forward and backward, and their papers' formulas on dense matrices."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tutti import nn

NODES, INPUTS, OUTPUTS, HEADS = 9, 4, 3, 2

# Node 7 has no edge at all, node 8 only sends, 2 has a loop, 0 → 1 stands twice; not in the order of either end.
EDGES = torch.tensor([[8, 0, 1, 2, 0, 3, 5, 4, 6, 2, 0, 8], [5, 1, 0, 2, 1, 4, 3, 4, 5, 6, 6, 0]])
SIMPLE = torch.tensor([[8, 0, 1, 0, 3, 5, 6, 2, 8], [5, 1, 0, 3, 4, 3, 5, 6, 0]])  # none twice, no loop


def _x() -> Tensor:
    torch.manual_seed(5)
    return torch.randn(NODES, INPUTS, dtype=torch.float64, requires_grad=True)


def _weights() -> Tensor:
    torch.manual_seed(4)
    return torch.rand(EDGES.shape[1], dtype=torch.float64) + 0.1


def _as_ours(value: Tensor, name: str, like: Tensor) -> Tensor:
    """Their [outputs, inputs] as our [inputs, outputs]; what stands inside a user's network stays."""
    return value.T if value.ndim == 2 and "network" not in name else value.reshape(like.shape)


def _same(ours: Any, theirs: Any, pairs: dict[str, str], *, theirs_given: Any = (), **given: Any) -> None:
    """Equal outputs and gradients, with their random parameters put into ours."""
    ours, theirs = ours.double(), theirs.double()
    torch.manual_seed(6)
    for p in theirs.parameters():
        torch.nn.init.normal_(p)
    mine, there = dict(ours.named_parameters()), dict(theirs.named_parameters())
    assert set(pairs) == set(mine)
    assert set(pairs.values()) == set(there)
    with torch.no_grad():
        for name, p in mine.items():
            p.copy_(_as_ours(there[pairs[name]], name, p))
    a, b = _x(), _x()
    y, z = ours(a, EDGES, **given), theirs(b, EDGES, *theirs_given)
    torch.testing.assert_close(y, z, rtol=1e-10, atol=1e-12)
    weights = torch.linspace(-1, 2, y.numel(), dtype=torch.float64).view(y.shape)
    (y.square() * weights).sum().backward()
    (z.square() * weights).sum().backward()
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-10, atol=1e-12)
    for name, p in mine.items():
        grad = _as_ours(there[pairs[name]].grad, name, p)
        torch.testing.assert_close(p.grad, grad, rtol=1e-10, atol=1e-12)


@pytest.fixture
def pyg() -> Any:
    return pytest.importorskip("torch_geometric.nn")


# catalogue: A24
@pytest.mark.parametrize("weighted", [False, True])
def test_gcn_is_gcnconv(pyg: Any, weighted: bool) -> None:
    pairs = {"weight": "lin.weight", "bias": "bias"}
    weight = _weights() if weighted else None
    theirs = (weight,) if weighted else ()
    _same(nn.GCN(INPUTS, OUTPUTS), pyg.GCNConv(INPUTS, OUTPUTS), pairs, theirs_given=theirs, weight=weight)


# catalogue: A24
@pytest.mark.parametrize("join", [True, False])
@pytest.mark.parametrize("loops", [True, False])
def test_gat_is_gatconv(pyg: Any, join: bool, loops: bool) -> None:
    _same(
        nn.GAT(INPUTS, OUTPUTS, heads=HEADS, join=join, loops=loops),
        pyg.GATConv(INPUTS, OUTPUTS, heads=HEADS, concat=join, add_self_loops=loops),
        {"weight": "lin.weight", "source": "att_src", "target": "att_dst", "bias": "bias"},
    )


@pytest.mark.parametrize("join", [True, False])
def test_gat_v2_is_gatv2conv(pyg: Any, join: bool) -> None:
    _same(
        nn.GATv2(INPUTS, OUTPUTS, heads=HEADS, join=join),
        pyg.GATv2Conv(INPUTS, OUTPUTS, heads=HEADS, concat=join),
        {
            **{"weight_source": "lin_l.weight", "bias_source": "lin_l.bias", "attention": "att"},
            **{"weight_target": "lin_r.weight", "bias_target": "lin_r.bias", "bias": "bias"},
        },
    )


# catalogue: A24
@pytest.mark.parametrize("learn", [True, False])
def test_gin_is_ginconv(pyg: Any, learn: bool) -> None:
    def mlp(linear: Any) -> torch.nn.Module:
        return torch.nn.Sequential(linear(INPUTS, 5), torch.nn.ReLU(), linear(5, OUTPUTS))

    pairs = {f"network.{i}.{kind}": f"nn.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")}
    theirs = pyg.GINConv(mlp(torch.nn.Linear), eps=0.25, train_eps=learn)
    _same(nn.GIN(mlp(nn.Linear), epsilon=0.25, learn=learn), theirs, pairs | ({"epsilon": "eps"} if learn else {}))


@pytest.mark.parametrize("how", ["mean", "sum", "max"])
def test_sage_is_sageconv(pyg: Any, how: Any) -> None:
    pairs = {"own": "lin_r.weight", "neighbour": "lin_l.weight", "bias": "lin_l.bias"}
    _same(nn.SAGE(INPUTS, OUTPUTS, how=how), pyg.SAGEConv(INPUTS, OUTPUTS, aggr=how), pairs)


@pytest.mark.parametrize("how", ["sum", "mean", "max", "attention"])
def test_readouts_are_torch_geometrics(pyg: Any, how: Any) -> None:
    graph = torch.tensor([2, 0, 0, 2, 3, 3, 3, 0, 2])  # not in order; graph 1 has no node
    ours = nn.Readout(how, features=INPUTS).double()
    theirs = pyg.aggr.AttentionalAggregation(torch.nn.Linear(INPUTS, 1)).double() if how == "attention" else None
    kinds = {"sum": pyg.global_add_pool, "mean": pyg.global_mean_pool, "max": pyg.global_max_pool}
    if theirs is not None:
        theirs.gate_nn.load_state_dict(ours.gate.state_dict())
    x, z = _x(), _x()
    order = graph.argsort(stable=True)
    y = ours(x, graph, 4)
    there = theirs(z[order], graph[order], dim_size=4) if theirs is not None else kinds[how](z, graph, 4)
    torch.testing.assert_close(y, there)
    assert not y[1].any()
    y.square().sum().backward()
    there.square().sum().backward()
    torch.testing.assert_close(x.grad, z.grad)


def _matrix(edges: Tensor) -> Tensor:
    a = torch.zeros(NODES, NODES, dtype=torch.float64)
    return a.index_put_((edges[1], edges[0]), torch.ones(edges.shape[1], dtype=torch.float64), accumulate=True)


# catalogue: A24
def test_gcn_is_the_formula_of_kipf_and_welling() -> None:
    layer, x = nn.GCN(INPUTS, OUTPUTS).double(), _x()
    torch.nn.init.normal_(layer.bias)
    a = _matrix(SIMPLE) + torch.eye(NODES, dtype=torch.float64)
    scale = torch.diag(a.sum(1) ** -0.5)
    torch.testing.assert_close(layer(x, SIMPLE), scale @ a @ scale @ x @ layer.weight + layer.bias)


@pytest.mark.parametrize("version", [nn.GAT, nn.GATv2])
def test_attention_is_a_softmax_over_the_neighbours(version: Any) -> None:
    layer, x = version(INPUTS, OUTPUTS).double(), _x()
    if version is nn.GAT:
        h = x @ layer.weight
        score = (h @ layer.target[0])[:, None] + (h @ layer.source[0])[None, :]
        score = torch.nn.functional.leaky_relu(score, 0.2)
    else:
        h, own = x @ layer.weight_source, x @ layer.weight_target
        score = torch.nn.functional.leaky_relu(own[:, None] + h[None, :], 0.2) @ layer.attention[0]
    there = _matrix(SIMPLE) + torch.eye(NODES, dtype=torch.float64) > 0
    shares = score.masked_fill(~there, -torch.inf).softmax(1)
    torch.testing.assert_close(layer(x, SIMPLE), shares @ h)


# catalogue: A24
@pytest.mark.parametrize("edge_features", [0, 5])
def test_message_passing_is_its_algorithm_with_torchs_gru(edge_features: int) -> None:
    torch.manual_seed(3)
    layer = nn.MessagePassing(INPUTS, edge_features=edge_features, steps=3).double()
    torch.nn.init.normal_(layer.bias)
    gru = torch.nn.GRUCell(INPUTS, INPUTS).double()
    gates = {"ih": layer.gates_input, "hh": layer.gates_state}
    gru.load_state_dict({f"{kind}_{g}": getattr(gates[g], kind) for g in gates for kind in ("weight", "bias")})
    along = torch.randn(EDGES.shape[1], edge_features, dtype=torch.float64) if edge_features else None
    x = _x()
    h = x
    for _ in range(3):
        arrived = [torch.zeros(INPUTS, dtype=torch.float64) for _ in range(NODES)]
        for k, (source, target) in enumerate(EDGES.T.tolist()):
            message = h[source] @ layer.message + layer.bias
            if along is not None:
                message = message + along[k] @ layer.from_edge
            arrived[target] = arrived[target] + torch.relu(message)
        h = gru(torch.stack(arrived), h)
    torch.testing.assert_close(layer(x, EDGES, along), h, rtol=1e-10, atol=1e-12)


def test_sparse_features_are_the_dense_ones() -> None:
    torch.manual_seed(0)
    dense = torch.randn(NODES, INPUTS, dtype=torch.float64) * (torch.rand(NODES, INPUTS) < 0.3)
    sparse = nn.SparseFeatures.of(dense)
    assert len(sparse.values) == int((dense != 0).sum())
    for layer in (nn.GCN(INPUTS, OUTPUTS), nn.SAGE(INPUTS, OUTPUTS), nn.GAT(INPUTS, OUTPUTS, heads=HEADS)):
        layer.double()
        torch.testing.assert_close(layer(sparse, EDGES), layer(dense, EDGES))


def test_weight_zero_is_no_edge() -> None:
    torch.manual_seed(0)
    keep = torch.rand(EDGES.shape[1]) < 0.6
    layers: list[Any] = [
        nn.GCN(INPUTS, OUTPUTS),
        nn.SAGE(INPUTS, OUTPUTS),
        nn.SAGE(INPUTS, OUTPUTS, how="max"),
        nn.GAT(INPUTS, OUTPUTS, heads=HEADS),
        nn.GATv2(INPUTS, OUTPUTS, loops=False),
        nn.GIN(torch.nn.Identity()),
    ]
    no_loops = keep[EDGES[0] != EDGES[1]]
    edges = EDGES[:, EDGES[0] != EDGES[1]]
    for layer in layers:
        layer.double()
        x, z = _x(), _x()
        y, there = layer(x, edges, no_loops.double()), layer(z, edges[:, no_loops])
        torch.testing.assert_close(y, there)
        y.square().sum().backward()
        there.square().sum().backward()
        torch.testing.assert_close(x.grad, z.grad)


def test_message_passing_scales_messages_by_weights() -> None:
    layer, keep = nn.MessagePassing(INPUTS).double(), torch.arange(EDGES.shape[1]) % 3 > 0
    y = layer(_x(), EDGES, weight=keep.double())
    torch.testing.assert_close(y, layer(_x(), EDGES[:, keep]))
