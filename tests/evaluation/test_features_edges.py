"""What edges of one graph are told from without a network: both ends' features, and scores of the neighbourhood."""

from collections.abc import Iterator

import numpy as np
import pytest

from tutti import data
from tutti.core import Splits
from tutti.data import Pairs, Reading
from tutti.evaluation import fit_baselines, inputs_for
from tutti.evaluation._features_edges import SCORES, Neighbourhood
from tutti.evaluation._problem import Problem
from tutti.metrics import metric_of


def _links(seed: int = 0, nodes: int = 60) -> tuple[data.Table, Pairs]:
    rng = np.random.default_rng(seed)
    group = np.arange(nodes) % 2
    near = group[:, None] == group
    ends = np.stack(np.nonzero(np.triu(rng.random((nodes, nodes)) < np.where(near, 0.6, 0.02), 1)))
    x = rng.normal(size=(nodes, 3)).astype(np.float32)
    table = data.read({"x": x, "edges": ends}, reading=Reading(links=True))
    assert isinstance(table.sample, Pairs)
    return table, table.sample


def _splits(table: data.Table) -> Splits:
    return data.declare_splits(table.rows, test_size=0.25, folds=3, duplicates=table.alike())[0]


# catalogue: T7
@pytest.mark.parametrize("name", list(SCORES))
def test_scores_are_those_of_networkx_on_the_graph_without_the_pair(name: str) -> None:
    networkx = pytest.importorskip("networkx")
    theirs = {
        "common neighbours": lambda g, u, v: len(list(networkx.common_neighbors(g, u, v))),
        "Adamic-Adar": lambda g, u, v: next(networkx.adamic_adar_index(g, [(u, v)]))[2],
        "preferential attachment": lambda g, u, v: next(networkx.preferential_attachment(g, [(u, v)]))[2],
    }[name]
    table, sample = _links()
    graph = networkx.Graph(sample.graph.edges.T.tolist())
    graph.add_nodes_from(range(sample.graph.nodes))
    rows = np.arange(len(sample))
    problem = Problem(
        numbers=np.zeros((len(rows), 0), np.float32), codes=np.zeros((len(rows), 0), np.int32),
        target=(table.target == "yes").astype(np.int64), kind="binary", outputs=2, splits=_splits(table),
        metric=metric_of("auc"), weights=None, seed=0,
    )  # fmt: skip
    found = Neighbourhood(sample, name, problem).score(sample.graph, rows)[:, 0]

    def each() -> Iterator[float]:
        for u, v in sample.ends.tolist():
            there = graph.has_edge(u, v)
            if there and name == "preferential attachment":  # elsewhere the edge itself has no part in the score
                graph.remove_edge(u, v)
            yield theirs(graph, u, v)
            if there:
                graph.add_edge(u, v)

    np.testing.assert_allclose(found, np.log1p(list(each())), rtol=1e-10)


def test_features_are_the_same_for_both_directions_and_baselines_learn() -> None:
    table, sample = _links()
    splits = _splits(table)
    settled = table.settled(splits.train)
    found = inputs_for(settled, splits)
    x = settled.sample.graph.features()  # type: ignore[union-attr]
    u, v = x[sample.ends[5]]
    np.testing.assert_allclose(found.numbers[5], np.concatenate([u + v, abs(u - v), u * v]), rtol=1e-5)
    baselines = fit_baselines(
        found.numbers, found.codes, (table.target == "yes").astype(np.int64), kind="binary", outputs=2,
        splits=splits, metric="auc", seconds=20.0, learners=found.learners[:2],
    )  # fmt: skip
    scores = {b.name: b.cv_score for b in baselines}
    assert scores["common neighbours"] > 0.7
    assert scores["Adamic-Adar"] > 0.7


def test_nodes_of_which_nothing_is_said_leave_the_neighbourhood_alone() -> None:
    table = data.read({"edges": np.array([[0, 1, 2, 3, 4], [1, 2, 3, 4, 0]])}, reading=Reading(links=True))
    splits = Splits(kind="random", unit="row", rows=10, units=np.arange(10), test=np.arange(0), folds=())
    found = inputs_for(table, splits)
    assert found.numbers.shape == (10, 0)
    assert len(found.learners) == len(SCORES)
