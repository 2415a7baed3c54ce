"""Message passing: the gradients, the laws of every layer, the member axis, and graphs of every odd kind."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, vmap

from tutti import core, nn
from tutti.nn import SOURCE, TARGET, _messages

MEMBERS, NODES, INPUTS = 3, 7, 4
EDGES = torch.tensor([[5, 0, 1, 2, 0, 3, 5, 4, 2, 0], [1, 1, 0, 2, 1, 4, 3, 4, 6, 6]])  # a loop twice, 5 only sends
GRAPH = torch.tensor([1, 0, 0, 1, 3, 3, 1])


def _mlp() -> torch.nn.Module:
    return torch.nn.Sequential(nn.Linear(INPUTS, 5), torch.nn.Tanh(), nn.Linear(5, 3))


class _WithEdgeDropout(torch.nn.Module):
    stacked = True

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer, self.lost = layer, nn.EdgeDropout(0.4)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        edges = nn.Edges.of(index, NODES)
        return self.layer(x, edges, weight=self.lost(edges))


class _Pooled(torch.nn.Module):
    stacked = True

    def __init__(self, how: Any) -> None:
        super().__init__()
        self.readout = nn.Readout(how, features=INPUTS)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        graph = GRAPH if index.ndim == 2 else GRAPH.expand(index.shape[0], -1)
        return self.readout(x, graph, 4)


LAYERS: dict[str, Callable[[], torch.nn.Module]] = {
    "gcn": lambda: nn.GCN(INPUTS, 3),
    "sage": lambda: nn.SAGE(INPUTS, 3),
    "sage, max": lambda: nn.SAGE(INPUTS, 3, how="max"),
    "gin": lambda: nn.GIN(_mlp(), learn=True),
    "gat": lambda: nn.GAT(INPUTS, 3, heads=2, dropout=0.3),
    "gat, mean of heads": lambda: nn.GAT(INPUTS, 3, heads=2, join=False, loops=False),
    "gat v2": lambda: nn.GATv2(INPUTS, 3, heads=2, dropout=0.3),
    "message passing": lambda: nn.MessagePassing(INPUTS, steps=2),
    "gcn, edges lost": lambda: _WithEdgeDropout(nn.GCN(INPUTS, 3)),
    "gat, edges lost": lambda: _WithEdgeDropout(nn.GAT(INPUTS, 3, heads=2)),
    "sage, edges lost": lambda: _WithEdgeDropout(nn.SAGE(INPUTS, 3)),
    **{f"readout {how}": lambda how=how: _Pooled(how) for how in ("sum", "mean", "max", "attention")},
}


def _make(name: str, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    layer = LAYERS[name]().double()
    for p in layer.parameters():
        torch.nn.init.normal_(p, std=0.7)
    return layer


def _close(a: Any, b: Any) -> None:
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def _run(layer: torch.nn.Module, state: dict[str, Tensor], x: Tensor, edges: Tensor, key: Tensor) -> Tensor:
    with core.random_keys(key):
        output: Tensor = functional_call(layer, state, (x, edges))
    return output


def _gradients(output: Tensor, leaves: list[Tensor]) -> tuple[Tensor, ...]:
    weights = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view(output.shape)
    return torch.autograd.grad((output.square() * weights + output).sum(), leaves)


# catalogue: A24
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("own", [False, True], ids=["shared edges", "own edges"])
def test_stacked_is_each_member_alone(name: str, own: bool) -> None:
    layers = [_make(name, seed) for seed in range(MEMBERS)]
    state = {n: torch.stack([m.state_dict()[n] for m in layers]).detach() for n in layers[0].state_dict()}
    x = torch.randn(MEMBERS, NODES, INPUTS, dtype=torch.float64, requires_grad=True)
    edges = torch.randint(NODES, (MEMBERS, 2, 9)) if own else EDGES
    keys = torch.tensor([11, -5, 2**30], dtype=torch.int32)
    leaves = [state[n].requires_grad_() for n, _ in layers[0].named_parameters()] + [x]
    output = _run(layers[0], state, x, edges, keys)
    gradients = _gradients(output, leaves)
    alone = torch.stack(
        [
            _run(layers[0], {n: t[i] for n, t in state.items()}, x[i], edges[i] if own else edges, keys[i])
            for i in range(MEMBERS)
        ]
    )
    _close(output, alone)
    _close(gradients, _gradients(alone, leaves))
    if not own:
        mapped = vmap(lambda state, x, key: _run(layers[0], state, x, edges, key))(state, x, keys)
        _close(output, mapped)
        _close(gradients, _gradients(mapped, leaves))


@pytest.mark.parametrize("name", LAYERS)
def test_a_member_does_not_depend_on_its_neighbours_bit_for_bit(name: str) -> None:
    layers = [_make(name, seed).float() for seed in range(5)]
    x = torch.randn(5, NODES, INPUTS)

    def outputs(members: list[int]) -> tuple[Tensor, ...]:
        state = {n: torch.stack([layers[m].state_dict()[n] for m in members]) for n in layers[0].state_dict()}
        leaves = [state[n].requires_grad_() for n, _ in layers[0].named_parameters()] or [
            state.setdefault("x", x[members].clone().requires_grad_())
        ]
        given = state.pop("x", x[members])
        keys = torch.tensor([11, -5, 2**30, 7, 8], dtype=torch.int32)[members]
        output = _run(layers[0], state, given, EDGES, keys)
        gradients = torch.autograd.grad(output.square().sum(), leaves)
        return tuple(t[members.index(3)].detach() for t in (output, *gradients))

    for others in ([3, 0], [4, 2, 1, 0, 3]):
        for a, b in zip(outputs([1, 3]), outputs(others), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("name", LAYERS)
def test_nodes_may_be_renumbered_and_edges_listed_in_any_order(name: str) -> None:
    layer = _make(name).eval()
    x = torch.randn(NODES, INPUTS, dtype=torch.float64)
    y = layer(x, EDGES)
    torch.manual_seed(1)
    _close(y, layer(x, EDGES[:, torch.randperm(EDGES.shape[1])]))
    place = torch.randperm(NODES)  # node v becomes node place[v]
    moved = torch.empty_like(x)
    moved[place] = x
    if name.startswith("readout"):
        graph = torch.empty_like(GRAPH)
        graph[place] = GRAPH
        _close(y, layer.readout(moved, graph, 4))
    else:
        _close(y, layer(moved, place[EDGES])[place])


@pytest.mark.parametrize("name", [n for n in LAYERS if not n.startswith("readout")])
def test_a_union_of_graphs_is_each_graph_alone(name: str) -> None:
    layer = _make(name).eval()
    x = torch.randn(2, NODES, INPUTS, dtype=torch.float64)
    other = torch.tensor([[1, 2, 6], [0, 3, 6]])
    if name.endswith("lost"):
        layer = layer.layer
    union = layer(x.flatten(0, 1), torch.cat((EDGES, other + NODES), 1))
    _close(union, torch.cat((layer(x[0], EDGES), layer(x[1], other))))


@pytest.mark.parametrize("name", [n for n in LAYERS if not n.startswith("readout")])
@pytest.mark.parametrize("nodes", [0, 3])
def test_graphs_without_edges_and_without_nodes(name: str, nodes: int) -> None:
    layer = _make(name).eval()
    layer = layer.layer if name.endswith("lost") else layer
    x = torch.randn(nodes, INPUTS, dtype=torch.float64, requires_grad=True)
    y = layer(x, torch.zeros(2, 0, dtype=torch.int64))
    assert y.shape[0] == nodes
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.isfinite(gradient).all()
    if name == "gcn":
        _close(y, x @ layer.weight + layer.bias)
    if name == "gat, mean of heads":
        _close(y, layer.bias.expand(nodes, -1))


EDGE_KINDS = {
    "as given": EDGES,
    "sorted": EDGES[:, EDGES[1].argsort(stable=True)],
    "each its own": torch.tensor([[[0, 3, 3], [2, 1, 0]], [[1, 1, 2], [1, 0, 3]]]),
}


def _functions(edges: nn.Edges) -> dict[str, Callable[..., Tensor]]:
    return {
        "propagate": lambda x, y, m, w: nn.propagate(x, edges),
        "propagate, weighted": lambda x, y, m, w: nn.propagate(x, edges, w),
        "propagate, one weight for all": lambda x, y, m, w: nn.propagate(x, edges, w if edges.members else w[0]),
        "dot": lambda x, y, m, w: nn.dot(x, y, edges),
        "gather source": lambda x, y, m, w: nn.gather(x, edges, SOURCE),
        "gather target": lambda x, y, m, w: nn.gather(x, edges, TARGET),
        "scatter source": lambda x, y, m, w: nn.scatter(m, edges, SOURCE),
        "scatter target": lambda x, y, m, w: nn.scatter(m, edges),
        "peak": lambda x, y, m, w: nn.peak(m, edges),
        "softmax": lambda x, y, m, w: nn.edge_softmax(w, edges),
        "softmax, weighted": lambda x, y, m, w: nn.edge_softmax(w, edges, m[..., 0].exp()),
        "mean": lambda x, y, m, w: nn.aggregate(m, edges, "mean"),
        "mean, weighted": lambda x, y, m, w: nn.aggregate(m, edges, "mean", w.exp()),
    }


@pytest.mark.parametrize("kind", EDGE_KINDS)
@pytest.mark.parametrize("name", _functions(nn.Edges(EDGES, NODES, NODES)))
def test_gradcheck_once_and_twice(name: str, kind: str) -> None:
    index = EDGE_KINDS[kind]
    edges = nn.Edges.of(index, NODES)
    torch.manual_seed(0)
    shapes = [(2, NODES, 2), (2, NODES, 2), (2, edges.count, 2), (2, edges.count)]
    given = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]
    run = _functions(edges)[name]
    assert torch.autograd.gradcheck(run, given)
    if kind != "sorted":
        assert torch.autograd.gradgradcheck(run, given, fast_mode=True)


@pytest.mark.parametrize("name", _functions(nn.Edges(EDGES, NODES, NODES)))
def test_functions_under_vmap_over_any_argument(name: str) -> None:
    edges = nn.Edges.of(EDGES, NODES)
    run = _functions(edges)[name]
    torch.manual_seed(0)
    shapes = [(4, 2, NODES, 2), (4, 2, NODES, 2), (4, 2, edges.count, 2), (4, 2, edges.count)]
    given = [torch.randn(s, dtype=torch.float64) for s in shapes]
    for chosen in range(4):
        mixed = [x if i == chosen else x[0] for i, x in enumerate(given)]
        dims = tuple(0 if i == chosen else None for i in range(4))
        each = torch.stack([run(*(x[j] if i == chosen else x[0] for i, x in enumerate(given))) for j in range(4)])
        _close(vmap(run, in_dims=dims)(*mixed), each)
    each = torch.stack([run(*x) for x in zip(*given, strict=True)])
    _close(vmap(run, in_dims=1)(*(x.movedim(0, 1) for x in given)), each)


def test_many_copies_go_in_several_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(7, NODES, INPUTS)
    y, w = torch.randn(7, NODES, INPUTS), torch.randn(7, EDGES.shape[1])
    edges = nn.Edges.of(EDGES, NODES)
    together = nn.propagate(x, edges, w), nn.dot(x, y, edges)
    monkeypatch.setattr(_messages, "BLOCK_ENTRIES", 3 * EDGES.shape[1])
    monkeypatch.setattr(_messages, "DOT_NUMBERS", 2 * EDGES.shape[1] * INPUTS)
    for a, b in zip(together, (nn.propagate(x, edges, w), nn.dot(x, y, edges)), strict=True):
        assert torch.equal(a, b)


def test_features_and_weights_may_be_the_same_for_all_copies() -> None:
    edges = nn.Edges.of(EDGES, NODES)
    x = torch.randn(2, 3, NODES, INPUTS, dtype=torch.float64, requires_grad=True)
    w = torch.rand(2, 3, edges.count, dtype=torch.float64, requires_grad=True)
    for a, b in ((x, w[0, 0]), (x, w[:, :1]), (x[0, 0], w), (x[:1], w)):
        each = torch.stack([nn.propagate(p, edges, q) for p, q in zip(_all(x, a, 2), _all(w, b, 1), strict=True)])
        y = nn.propagate(a, edges, b)
        _close(y, each.view(y.shape))
        _close(_gradients(y, [x, w]), _gradients(each.view(y.shape), [x, w]))


def _all(like: Tensor, part: Tensor, axes: int) -> Tensor:
    """Every copy's share of `part`, which may lack leading axes."""
    return part.expand(*like.shape[: like.ndim - axes], *part.shape[-axes:]).flatten(0, 1)


def test_softmax_holds_large_scores_and_sums_to_one() -> None:
    edges = nn.Edges.of(EDGES, NODES)
    scores = torch.linspace(-3e4, 3e4, EDGES.shape[1])
    shares = nn.edge_softmax(scores, edges)
    sums = nn.scatter(shares[:, None], edges).squeeze(-1)
    torch.testing.assert_close(sums, (edges.degree > 0).float())
    there = torch.arange(edges.count) != scores.masked_fill(edges.index[TARGET] != 1, -torch.inf).argmax()
    sums = nn.scatter(nn.edge_softmax(scores, edges, there.float())[:, None], edges).squeeze(-1)
    torch.testing.assert_close(sums, (edges.degree > 0).float())  # the largest score of node 1 belongs to no edge
    nothing = nn.edge_softmax(scores, edges, torch.zeros_like(scores))
    assert not nothing.any()


def test_equal_largest_messages_share_the_gradient() -> None:
    edges = nn.Edges(torch.tensor([[0, 1, 2], [0, 0, 1]]), 3, 3)
    x = torch.tensor([[2.0], [2.0], [-1.0]], requires_grad=True)
    top = nn.aggregate(nn.gather(x, edges, SOURCE), edges, "max")
    assert top.flatten().tolist() == [2, -1, 0]
    top.sum().backward()
    assert x.grad.flatten().tolist() == [0.5, 0.5, 1]


def test_edge_dropout_takes_its_share_and_leaves_means_alone() -> None:
    edges = nn.Edges.of(torch.randint(50, (2, 20_000)), 50)
    layer = nn.EdgeDropout(0.3)
    with core.random_keys(torch.tensor(5, dtype=torch.int32)):
        weight = layer(edges)
    assert set(weight.unique().tolist()) == {0.0, 1.0}
    assert (weight == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    ones = torch.ones(edges.count, 1)
    torch.testing.assert_close(nn.aggregate(ones, edges, "mean", weight), torch.ones(50, 1))
    assert layer.eval()(edges) is None
    given = torch.rand(edges.count)
    assert layer.eval()(edges, given) is given


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (torch.tensor([[0, 1], [1, 7]]), r"^Edge 1 names node 7, the graph has nodes 0–6\."),
        (torch.tensor([[0, -1], [1, 2]]), r"^Edge 1 names node -1, the graph has nodes 0–6\."),
        (torch.tensor([[[0], [1]], [[9], [1]]]), r"^Edge 0 of member 1 names node 9, the graph has nodes 0–6\."),
        (torch.tensor([[0, 1], [1, 2], [2, 3]]), r"^Edges of shape \[3, 2\]; expected \[2, edge\].*edges\.T"),
    ],
)
def test_bad_edges_are_named(index: Tensor, message: str) -> None:
    with pytest.raises(core.InputError, match=message):
        nn.GCN(INPUTS, 3)(torch.zeros(NODES, INPUTS).expand(*index.shape[:-2], -1, -1), index)


def test_other_mistakes_are_named() -> None:
    x = torch.zeros(NODES, INPUTS)
    with pytest.raises(core.InputError, match="the graph has no nodes"):
        nn.Edges.of(EDGES, 0)
    with pytest.raises(core.InputError, match="Did you mean 'mean'"):
        nn.SAGE(INPUTS, 3, how="meen")
    with pytest.raises(core.InputError, match="Did you mean 'attention'"):
        nn.Readout("atention")
    with pytest.raises(core.InputError, match="Unknown aggregation"):
        nn.aggregate(torch.zeros(10, 1), nn.Edges.of(EDGES, NODES), "median")
    with pytest.raises(core.InputError, match="must know its inputs"):
        nn.Readout("attention")
    with pytest.raises(core.InputError, match="how many graphs"):
        nn.Readout("sum")(x, GRAPH)
    with pytest.raises(core.InputError, match="Node 4 belongs to graph 3, there are 3"):
        nn.Readout("sum")(x, GRAPH, 3)
    with pytest.raises(core.InputError, match="built for no edge features and is given some"):
        nn.MessagePassing(INPUTS)(x, EDGES, torch.zeros(EDGES.shape[1], 2))
    with pytest.raises(core.InputError, match="expected at least 1"):
        nn.MessagePassing(INPUTS, steps=0)
    with pytest.raises(core.InputError, match="0 heads"):
        nn.GAT(INPUTS, 3, heads=0)
    with pytest.raises(core.InputError, match="sparse features"):
        nn.SAGE(INPUTS, 3, how="max")(nn.SparseFeatures.of(torch.eye(INPUTS)), EDGES[:, :1] * 0)
