"""Drawn neighbours: all where they are few enough, each equally often where not, and the graph around a batch."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tutti import core, models
from tutti.core import InputError, NodeShape
from tutti.nn import Edges, SparseFeatures, sample_neighbours, take_features

# catalogue: T7


def graph(nodes: int = 60, edges: int = 240) -> Tensor:
    """Distinct edges in no order."""
    draw = torch.Generator().manual_seed(0)
    pairs = torch.randperm(nodes * nodes, generator=draw)[:edges]
    return torch.stack((pairs // nodes, pairs % nodes))


def test_enough_draws_give_the_whole_neighbourhood_of_the_batch() -> None:
    index, batch = graph(), torch.tensor([7, 3, 50])
    kept, sub = sample_neighbours(Edges.of(index, 60), batch, (100, 100))
    found = {(int(kept[a]), int(kept[b])) for a, b in sub.index.T}
    near = {*batch.tolist()}
    expected: set[tuple[int, int]] = set()
    for _ in range(2):
        expected |= {(int(a), int(b)) for a, b in index.T if int(b) in near}
        near |= {a for a, _ in expected}
    assert found == expected
    assert sub.count == len(expected)
    assert set(kept.tolist()) == near
    assert kept[:3].tolist() == [3, 7, 50]


def test_no_node_gets_more_than_its_hop_allows_and_none_twice() -> None:
    kept, sub = sample_neighbours(Edges.of(graph(40, 900), 40), torch.tensor([0, 1]), (5, 2))
    degree = torch.bincount(sub.index[1], minlength=len(kept))
    assert degree[:2].tolist() == [5, 5]
    assert degree[2:].max() == 2
    assert len(torch.unique(sub.index, dim=1).T) == sub.count


def test_each_neighbour_is_drawn_equally_often() -> None:
    edges = Edges.of(torch.tensor([[1, 2, 3, 4, 5, 6], [0] * 6]), 7)
    times = torch.zeros(7)
    for key in range(3000):
        with core.random_keys(torch.tensor(key, dtype=torch.int32)):
            kept, _ = sample_neighbours(edges, torch.tensor([0]), (2,))
        times[kept[1:]] += 1
    assert_close(times[1:] / 3000, torch.full((6,), 1 / 3), rtol=0, atol=0.035)  # four standard errors


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("how", ["mean", "max"])
def test_a_network_that_draws_all_neighbours_gives_what_the_whole_graph_gives(how: str, sparse: bool) -> None:
    if sparse and how == "max":
        pytest.skip("the largest of sparse features is not defined")
    dense = torch.relu(torch.randn(60, 5, generator=torch.Generator().manual_seed(1)))
    features = SparseFeatures.of(dense) if sparse else dense
    sampled = models.SAGE(hidden=(8,), how=how, dropout=False, sampled=(60, 60)).build(NodeShape(features=5), 3)
    whole = models.SAGE(hidden=(8,), how=how, dropout=False).build(NodeShape(features=5), 3)
    whole.load_state_dict(sampled.state_dict())
    node = torch.tensor([11, 4, 59, 4])
    for network in (sampled, whole):
        network.hold(features, graph())
    assert_close(sampled.train()(node), whole(node))
    assert_close(sampled.eval()(node), whole(node))
    few = models.SAGE(hidden=(8,), how=how, dropout=False, sampled=(2, 2)).build(NodeShape(features=5), 3)
    few.load_state_dict(sampled.state_dict())
    few.hold(features, graph())
    assert not torch.allclose(few.train()(node), whole(node))


def test_features_of_some_nodes_stay_sparse() -> None:
    dense = torch.tensor([[0.0, 2.0], [3.0, 0.0], [0.0, 0.0], [4.0, 5.0]])
    some = take_features(SparseFeatures.of(dense), torch.tensor([3, 2, 0]))
    assert isinstance(some, SparseFeatures)
    again = torch.zeros(3, 2).index_put((some.entries.index[1], some.entries.index[0]), some.values)
    assert_close(again, dense[[3, 2, 0]])


@pytest.mark.parametrize(
    ("options", "says"),
    [({"sampled": (3,)}, "2 layers"), ({"sampled": (3, 0)}, "above 0"), ({"sampled": (3, 3), "how": "sum"}, "mean")],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        models.SAGE(hidden=(8,), **options)  # type: ignore[arg-type]
