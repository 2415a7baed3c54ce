"""One graph whose edges are the samples: labels of edges, links, and what passes messages in each fold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tutti import core, data, models
from tutti.core import Fold, InputError, Splits
from tutti.data import Nodes, Pairs, Reading
from tutti.data._pairs_read import absent_pairs

NODES = "name,size,colour\na,1.5,red\nb,2.5,blue\nc,3.5,red\nd,4.5,green\n"
EDGES = (
    "source,target,years,via,friend\na,b,1,work,yes\nb,c,3,school,no\nc,d,,work,\nd,c,5,school,yes\na,a,2,work,no\n"
)


def _table(tmp_path: Path, edges: str = EDGES, nodes: str = NODES, **options: Any) -> data.Table:
    (tmp_path / "nodes.csv").write_text(nodes, encoding="utf8")
    (tmp_path / "edges.csv").write_text(edges, encoding="utf8")
    reading = Reading(edges=tmp_path / "edges.csv", links=options.pop("links", False))
    return data.read(tmp_path / "nodes.csv", reading=reading, **options)


def _sample(table: data.Table) -> Pairs:
    assert isinstance(table.sample, Pairs)
    return table.sample


def _messages(graph: Nodes) -> set[tuple[int, int]]:
    return {(a, b) for a, b in graph.edges.T.tolist()}


# catalogue: T7
def test_a_target_among_the_edges_makes_them_the_samples(tmp_path: Path) -> None:
    table = _table(tmp_path, target="friend")
    sample = _sample(table)
    assert table.kind == "edges"
    assert table.target is not None
    assert table.target.tolist() == ["yes", "no", "yes", "no"]
    assert sample.ends.tolist() == [[0, 1], [1, 2], [3, 2], [0, 0]]
    # The edge without a label is no row; it passes messages all the same, and nothing passes from a node to itself.
    assert _messages(sample.graph) == {(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2)}
    np.testing.assert_array_equal(sample.own, [[1, 0, 1], [3, 1, 0], [5, 1, 0], [2, 0, 1]])  # via: school, work
    assert sample.shape == core.EdgeShape(features=4, edge_features=3, own=3)
    # c–d stands twice, once without a number: its features in the graph are the mean of what is known.
    assert sample.graph.along is not None
    place = sample.graph.edges.T.tolist().index([2, 3])
    np.testing.assert_array_equal(sample.graph.along[place], [5.0, 0.5, 0.5])


def test_columns_of_both_frames_may_be_dropped_and_named(tmp_path: Path) -> None:
    sample = _sample(_table(tmp_path, target="friend", drop=["years", "size"], kinds={"colour": "category"}))
    assert [c.name for c in sample.graph.columns] == ["colour"]
    assert [c.name for c in sample.graph.edge_columns] == ["via"]
    table = _table(tmp_path, target="friend", group="via")
    assert [c.name for c in _sample(table).graph.edge_columns] == ["years"]
    assert table.group is not None
    with pytest.raises(InputError, match="Unknown column 'sise'"):
        _table(tmp_path, target="friend", drop=["sise"])


def test_a_target_of_the_nodes_stays_one_of_the_nodes(tmp_path: Path) -> None:
    named_alike = _table(tmp_path, "source,target,colour\na,b,1\nb,c,2\nc,d,1\n", target="colour")
    assert named_alike.kind == "nodes"
    asked = data.read(
        tmp_path / "nodes.csv", target="colour", reading=Reading(edges=tmp_path / "edges.csv", data="edges")
    )
    assert asked.kind == "edges"
    assert asked.rows == 3


def test_the_same_pair_stands_on_one_side_in_either_direction(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ends = rng.integers(0, 25, (2, 400))
    ends = ends[:, ends[0] != ends[1]]
    edges = {"source": ends[0], "target": ends[1], "y": rng.normal(size=ends.shape[1])}
    sample = _sample(data.read({"x": rng.normal(size=25)}, target="y", reading=Reading(edges=edges)))
    splits, _ = data.declare_splits(len(sample), test_size=0.2, folds=4, duplicates=sample.alike())
    pairs = [frozenset(pair) for pair in ends.T.tolist()]
    for train, judged in [(splits.train, splits.test), *((f.train, f.validation) for f in splits.folds)]:
        assert len(judged)
        assert not {pairs[i] for i in train} & {pairs[i] for i in judged}
    # Given splits that part them are refused.
    there, back = ends[:, :100], ends[::-1, :100]
    source, target = np.concatenate([there, back], axis=1)
    twice = {"source": source, "target": target, "y": np.arange(200.0) % 100}
    table = data.read({"x": rng.normal(size=25)}, target="y", reading=Reading(edges=twice))
    halves = Splits(
        kind="given", unit="row", rows=200, units=np.arange(200), test=np.arange(100, 200),
        folds=(Fold(train=np.arange(80), validation=np.arange(80, 100)),),
    )  # fmt: skip
    assert table.target is not None
    assert data.find_leaks(table, table.target, halves, given=True).refused


# catalogue: T7
def test_links_are_every_edge_once_and_as_many_pairs_that_are_none(shared_data: Path) -> None:
    table = data.read(shared_data / "graphs" / "cora.npz", reading=Reading(links=True))
    sample = _sample(table)
    assert table.target is not None
    assert (table.rows, table.metric) == (2 * 5278, "auc")
    edges, absent = sample.ends[table.target == "yes"], sample.ends[table.target == "no"]
    assert len(edges) == len(absent) == 5278
    known = _messages(sample.graph)
    assert {tuple(e) for e in edges.tolist()} | {(b, a) for a, b in edges.tolist()} == known
    drawn = {tuple(e) for e in absent.tolist()}
    assert len(drawn) == 5278
    assert not drawn & known
    assert all(a < b for a, b in drawn)
    again = _sample(data.read(shared_data / "graphs" / "cora.npz", reading=Reading(links=True)))
    np.testing.assert_array_equal(again.ends, sample.ends)


# catalogue: T7
def test_no_fold_sees_the_links_that_it_is_judged_on(shared_data: Path) -> None:
    """The classic leak: edges that validate or test must not pass messages, neither in training nor when judged."""
    table = data.read(shared_data / "graphs" / "cora.npz", reading=Reading(links=True))
    splits, _ = data.declare_splits(table.rows, test_size=0.1, folds=3, duplicates=table.alike())
    settled = table.settled(splits.train)
    sample, fold = _sample(settled), splits.folds[1]
    answers = table.target == "yes"

    def edges(rows: np.ndarray) -> set[tuple[int, int]]:
        found = sample.ends[rows][answers[rows]].tolist()
        return {(a, b) for a, b in found} | {(b, a) for a, b in found}

    assert _messages(sample.graph) == edges(splits.train)
    network = models.EdgeGCN(hidden=(4,), width=4).build(sample.shape, 1)
    settled.equip(network)
    present = settled.fit(network, fold.train)["present"].numpy().astype(bool)
    passing = {(a, b) for a, b in sample.graph.edges[:, present].T.tolist()}
    assert passing == edges(fold.train)
    assert not passing & edges(fold.validation)
    # What answers for the validation, or for the test, has the graph without these edges.
    assert _messages(_sample(settled.take(fold.validation)).graph) == edges(fold.train)
    assert _messages(_sample(settled.take(splits.test)).graph) == edges(splits.train)


def test_a_link_is_answered_alike_by_the_graph_without_it_and_by_the_mask(shared_data: Path) -> None:
    table = data.read(shared_data / "graphs" / "cora.npz", reading=Reading(links=True))
    rows = np.arange(0, table.rows, 7)
    train = np.setdiff1d(np.arange(table.rows), rows)
    torch.manual_seed(0)
    network = models.EdgeGCN(hidden=(4,), width=4).build(_sample(table).shape, 1).eval()
    table.equip(network)
    assert network.present is not None
    network.present.copy_(table.fit(network, train)["present"])
    masked = network(*table.take(rows).inputs())
    part = table.take(rows)
    part.equip(network)
    torch.testing.assert_close(network(*part.inputs()), masked, rtol=1e-4, atol=1e-5)


def test_absent_pairs_of_dense_graphs_and_of_directed_ones() -> None:
    edges = np.array([[0, 0, 0, 1], [1, 2, 3, 2]])
    both = np.concatenate([edges, edges[::-1]], axis=1)
    assert sorted(absent_pairs(both, 4, 10, both=True).T.tolist()) == [[1, 3], [2, 3]]
    one_way = absent_pairs(edges, 4, 100, both=False)
    assert one_way.shape == (2, 8)
    assert [1, 0] in one_way.T.tolist()
    drawn = absent_pairs(both, 1000, 500, both=True)
    assert len({tuple(pair) for pair in drawn.T.tolist()}) == 500


def test_nodes_of_which_nothing_is_said_are_told_apart_by_links_alone(tmp_path: Path) -> None:
    plain = "name\na\nb\nc\nd\n"
    links = _sample(_table(tmp_path, nodes=plain, links=True))
    np.testing.assert_array_equal(links.graph.features(), np.eye(4))
    degrees = _sample(_table(tmp_path, nodes=plain, target="friend"))
    np.testing.assert_allclose(degrees.graph.features()[:, 0], np.log1p([1, 2, 2, 1]), rtol=1e-6)


def test_directed_graphs_keep_their_direction() -> None:
    x, ends = np.eye(4, dtype=np.float32), np.array([[0, 1, 2, 3], [1, 2, 3, 0]])
    one_way = _sample(data.read({"x": x, "edge_index": ends}, reading=Reading(links=True)))
    assert one_way.directed
    both = np.concatenate([ends, ends[::-1]], axis=1)
    there_and_back = _sample(data.read({"x": x, "edge_index": both}, reading=Reading(links=True)))
    assert not there_and_back.directed
    assert len(there_and_back) == 4 + 2  # a circle of four has two diagonals
    labelled = data.read({"x": x, "edge_index": both, "edge_label": np.arange(8) % 2})
    assert labelled.target is not None
    assert labelled.target.tolist() == [0.0, 1.0] * 4


def test_new_edges_and_pairs_are_read_as_the_fitted_ones(tmp_path: Path) -> None:
    schema = _table(tmp_path, target="friend").settled(np.arange(4)).schema
    nodes, edges = tmp_path / "nodes.csv", tmp_path / "edges.csv"
    every = data.encode(schema, (nodes, edges))
    assert every.rows == 5
    pairs = {"source": ["d"], "target": ["a"], "years": [3.0], "via": ["work"]}
    asked = data.encode(schema, (nodes, edges, pairs))
    sample = _sample(asked)
    assert sample.ends.tolist() == [[3, 0]]
    years = np.array([1.0, 3.0, 5.0, 2.0])
    assert sample.features()[0, 0] == pytest.approx((3.0 - years.mean()) / years.std())
    judged = data.encode(schema, (nodes, edges), target=True)
    assert judged.rows == 4
    with pytest.raises(InputError, match="lacks the column 'via', a feature of the edges"):
        data.encode(schema, (nodes, edges, {"source": ["d"], "target": ["a"], "years": [3.0]}))
    links = _table(tmp_path, links=True).schema
    with pytest.raises(InputError, match="Which pairs"):
        data.encode(links, (nodes, edges))
    without = _sample(data.encode(links, (nodes, edges, {"source": ["a", "a"], "target": ["b", "d"]})))
    assert _messages(without.graph) == {(1, 2), (2, 1), (2, 3), (3, 2)}


@pytest.mark.parametrize(
    ("edges", "options", "message"),
    [
        (EDGES, {"links": True, "target": "friend"}, "no column has a part"),
        ("source,target\n", {"links": True}, "no rows"),
        ("source,target\na,b\n", {"target": "friend"}, "Unknown column 'friend'"),
        ("source,target,friend\na,b,yes\n,c,no\n", {"target": "friend"}, "Edge 1 lacks an end"),
        ("source,target,friend\na,b,yes\nb,e,no\nc,d,no\n", {"target": "friend"}, "names node 'e'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, edges: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _table(tmp_path, edges, **options)
