"""One graph whose nodes are the samples: every way in says the same, and what is odd is said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tutti import data
from tutti.core import Fold, InputError, Splits
from tutti.data import Nodes, Reading

NODES = "name,size,colour,class\na,1.5,red,x\nb,2.5,blue,y\nc,3.5,red,x\nd,4.5,green,y\n"


def _table(tmp_path: Path, edges: str, nodes: str = NODES, **options: Any) -> data.Table:
    (tmp_path / "nodes.csv").write_text(nodes, encoding="utf8")
    (tmp_path / "edges.csv").write_text(edges, encoding="utf8")
    reading = Reading(edges=tmp_path / "edges.csv")
    return data.read(tmp_path / "nodes.csv", target="class", reading=reading, **options)


def _sample(table: data.Table) -> Nodes:
    assert isinstance(table.sample, Nodes)
    return table.sample


# catalogue: D4
def test_edges_by_name_by_number_and_as_an_array_are_the_same(tmp_path: Path) -> None:
    named = _sample(_table(tmp_path, "source,target\na,b\nb,c\nc,d\n"))
    counted = _sample(_table(tmp_path, "source,target\n0,1\n1,2\n2,3\n"))
    headless = _sample(_table(tmp_path, "0,1\n1,2\n2,3\n"))
    frame = {"name": list("abcd"), "size": [1.5, 2.5, 3.5, 4.5], "colour": ["red", "blue", "red", "green"]}
    array = data.read(
        frame | {"class": list("xyxy")}, target="class", reading=Reading(edges=np.array([[0, 1, 2], [1, 2, 3]]))
    )
    expected = {(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2)}
    for sample in (named, counted, headless, _sample(array)):
        assert {tuple(edge) for edge in sample.edges.T.tolist()} == expected
        assert (np.diff(sample.edges[1]) >= 0).all()
    # The names are no feature where edges use them; size, and one column for each colour, are.
    assert named.shape.features == 4
    assert [c.name for c in named.columns] == ["size", "colour"]


def test_targets_groups_and_dropped_columns_are_no_features(tmp_path: Path) -> None:
    edges = "source,target\na,b\n"
    assert [c.name for c in _sample(_table(tmp_path, edges, group="colour")).columns] == ["size"]
    assert [c.name for c in _sample(_table(tmp_path, edges, drop=["size"])).columns] == ["colour"]
    ones = _sample(_table(tmp_path, edges, kinds={"size": "category"}))
    assert ones.shape.features == 4 + 3


def test_features_are_standardised_by_training_rows(tmp_path: Path) -> None:
    table = _table(tmp_path, "source,target\na,b\n", NODES.replace("3.5", ""), drop=["colour"])
    settled = table.settled(np.array([0, 1]))
    np.testing.assert_allclose(_sample(settled).features()[:, 0], [-1.0, 1.0, 0.0, 5.0])  # missing: the mean
    new = data.encode(
        settled.schema, {"name": ["p", "q"], "size": [2.0, 2.5]}, reading=Reading(edges=[("p", "q"), ("q", "p")])
    )
    np.testing.assert_allclose(_sample(new).features()[:, 0], [0.0, 1.0])


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ("source,target\n0,1\n1,4\n", r"Edge 1 names node 4, nodes\.csv has rows 0–3"),
        ("source,target\na,b\nb,e\nc,a\nd,a\n", r"Edge 1 names node 'e', which nodes\.csv does not have"),
        ("source,target\n0,1\n,2\n", "Edge 1 lacks an end"),
        ("source\n0\n", "one column only"),
        ("source,target\nup,down\n", "names node 'up', and no column of the nodes holds that name"),
    ],
)
def test_edges_that_point_nowhere_are_named(tmp_path: Path, edges: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _table(tmp_path, edges)


def test_loops_repetitions_isolated_nodes_and_no_edge_are_said(tmp_path: Path) -> None:
    table = _table(tmp_path, "source,target\na,a\na,b\na,b\nb,a\n")
    assert {f.kind for f in table.findings} >= {"self-loops", "repeated-edges", "isolated-nodes"}
    assert _sample(table).edges.shape == (2, 2)
    none = data.read({"size": [1.0, 2.0], "y": [0.1, 0.2]}, target="y", reading=Reading(edges=np.zeros((2, 0), int)))
    assert "no-edges" in {f.kind for f in none.findings}
    with pytest.raises(InputError, match="empty graph"):
        data.read({"x": np.zeros((0, 2)), "edge_index": np.zeros((2, 0), int), "y": np.zeros(0)})


def test_a_graph_without_features_has_its_degrees(tmp_path: Path) -> None:
    sample = _sample(_table(tmp_path, "source,target\na,b\na,c\n", "name,class\na,x\nb,y\nc,y\n"))
    np.testing.assert_allclose(sample.features()[:, 0], np.log1p([2, 1, 1]), rtol=1e-6)


def test_a_torch_geometric_graph_and_a_dict_bring_their_split() -> None:
    Data = pytest.importorskip("torch_geometric.data").Data

    x, edge_index = torch.rand(5, 3), torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])
    masks = [torch.tensor(m) for m in ([1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0])]
    train, validation, test = (m.bool() for m in masks)
    y = torch.tensor([0, 1, 0, 1, 1])
    graph = Data(x=x, edge_index=edge_index, y=y, train_mask=train, val_mask=validation, test_mask=test)
    table = data.read(graph)
    assert table.rows == 4  # node 4 is outside the split: no label, but part of the graph
    assert _sample(table).nodes == 5
    assert table.test is not None
    assert table.test.tolist() == [3]
    assert table.validation is not None
    assert table.validation.tolist() == [2]
    assert _sample(table).edges.T.tolist() == edge_index.T.tolist()  # directed edges stay so
    parts = {"x": x, "edge_index": edge_index, "y": y, "train_mask": train, "val_mask": validation, "test_mask": test}
    assert data.read(parts).fingerprint == table.fingerprint


def test_a_networkx_graph_is_its_attributes_and_edges() -> None:
    networkx = pytest.importorskip("networkx")
    graph = networkx.Graph()
    graph.add_nodes_from([("p", {"size": 1.0, "y": 0.5}), ("q", {"size": 2.0, "y": 1.5})])
    graph.add_edge("q", "p")
    sample = _sample(data.read(graph, target="y"))
    assert sample.edges.tolist() == [[1, 0], [0, 1]]
    np.testing.assert_array_equal(sample.table, [[1.0], [2.0]])


# catalogue: T7
def test_cora_as_it_lies(shared_data: Path) -> None:
    table = data.read(shared_data / "graphs" / "cora.npz")
    sample = _sample(table)
    assert (sample.nodes, sample.edges.shape[1] // 2, sample.shape.features) == (2708, 5278, 1433)
    assert table.test is not None
    assert len(table.test) == 1000
    assert table.validation is not None
    assert table.validation.tolist() == list(range(140, 640))
    assert table.rows == 1640
    np.testing.assert_allclose(sample.features()[:10].sum(1), 1.0, rtol=1e-5)
    splits = Splits(
        kind="given", unit="row", rows=1640, units=np.arange(1640), test=np.arange(640, 1640),
        folds=(Fold(train=np.arange(140), validation=np.arange(140, 640)),),
    )  # fmt: skip
    (notice,) = sample.leaks(splits, given=True)
    assert notice.severity == "notice"
    assert "transductive" in notice.message
    assert len(np.unique(sample.hashes())) == 1640
    picture = sample.example(0)
    assert picture["nodes"] == 4
    assert [0, 1] in picture["edges"]


def test_two_graphs_join_without_an_edge_between_them(tmp_path: Path) -> None:
    one = _table(tmp_path, "source,target\na,b\n")
    both = _sample(one).joined(_sample(one))
    assert both.edges.T.tolist() == [[1, 0], [0, 1], [5, 4], [4, 5]]
    assert both.node.tolist() == list(range(8))
    part = both.take(np.array([5, 0]))
    assert (len(part), part.nodes) == (2, 8)


# catalogue: D4
def test_columns_of_the_edges_are_their_features(tmp_path: Path) -> None:
    edges = "source,target,years,via,note,weight\na,b,1,work,first day,2\nb,a,3,school,,4\nc,d,,work,x,0.5\n"
    table = _table(tmp_path, edges, kinds={"note": "text"})
    sample = _sample(table)
    assert [c.name for c in sample.edge_columns] == ["years", "via", "weight"]
    assert sample.shape.to_json() == {"kind": "nodes", "features": 4, "edge_features": 4, "weighed": True}
    assert sample.along is not None
    assert sample.weight is not None
    said = {pair: row.tolist() for pair, row in zip(map(tuple, sample.edges.T.tolist()), sample.along, strict=True)}
    assert said[0, 1] == said[1, 0] == [2.0, 0.5, 0.5, 3.0]  # a–b stands twice: the mean
    assert np.isnan(said[2, 3][0])
    assert sample.weight.tolist() == [3.0, 3.0, 0.5, 0.5]
    (unused,) = (f for f in table.findings if f.kind == "unused-edge-columns")
    assert unused.where == "note"
    # Standardised by the edges of training nodes; a missing number is 0.
    settled = _sample(table.settled(np.array([0, 1, 2])))
    along = settled.held[2]
    assert along is not None
    years = sample.along[np.isin(sample.edges[1], [0, 1, 2]), 0]
    expected = np.nan_to_num((sample.along[:, 0] - np.nanmean(years)) / (np.nanstd(years) or 1.0))
    np.testing.assert_allclose(along[:, 0], expected, atol=1e-6)
    # What a network does not see, by name.
    assert settled.unseen(edges=False, weights=True) == ("years", "via")
    assert settled.unseen(edges=False, weights=False) == ("years", "via", "weight")
    assert settled.unseen(edges=True, weights=False) == ()
    new = data.encode(table.settled(np.arange(4)).schema, (tmp_path / "nodes.csv", tmp_path / "edges.csv"))
    torch.testing.assert_close(_sample(new).held[2], _sample(table.settled(np.arange(4))).held[2])
    (tmp_path / "bare.csv").write_text("source,target\na,b\n", encoding="utf8")
    with pytest.raises(InputError, match="lacks the column 'years', a feature of the edges"):
        data.encode(table.schema, (tmp_path / "nodes.csv", tmp_path / "bare.csv"))


@pytest.mark.parametrize("values", ["-1", ""])
def test_weights_that_are_none_are_a_feature_only(tmp_path: Path, values: str) -> None:
    sample = _sample(_table(tmp_path, f"source,target,weight\na,b,{values}\nb,c,2\nc,d,3\n"))
    assert sample.weight is None
    assert [c.name for c in sample.edge_columns] == ["weight"]


# catalogue: D4
def test_edge_attr_and_edge_weight_of_a_torch_geometric_graph() -> None:
    Data = pytest.importorskip("torch_geometric.data").Data

    ends = torch.tensor([[2, 0, 1], [0, 1, 2]])
    told = {"edge_attr": torch.tensor([[1.0], [2.0], [3.0]]), "edge_weight": torch.tensor([0.1, 0.2, 0.3])}
    parts = {"x": torch.rand(3, 2), "edge_index": ends, "y": torch.tensor([0.5, 1.5, 2.5]), **told}
    table = data.read(Data(**parts))
    sample = _sample(table)
    assert sample.along is not None
    torch.testing.assert_close(torch.as_tensor(sample.along), torch.tensor([[1.0, 0.1], [2.0, 0.2], [3.0, 0.3]]))
    np.testing.assert_allclose(sample.weight, [0.1, 0.2, 0.3])  # type: ignore[arg-type]
    assert data.read(parts).fingerprint == table.fingerprint
    assert data.read({**parts, "edge_attr": told["edge_attr"] + 1}).fingerprint != table.fingerprint
    with pytest.raises(InputError, match="edge_attr has shape"):
        data.read({**parts, "edge_attr": torch.zeros(4, 1)})
    with pytest.raises(InputError, match="The edges have 0 features; the model was fitted on 2"):
        data.encode(table.schema, Data(x=parts["x"], edge_index=ends))
