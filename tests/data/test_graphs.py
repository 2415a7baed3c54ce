"""Many graphs: collections, molecules and lists become the same padded arrays; what is odd is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tutti import data
from tutti.core import InputError
from tutti.data import Graphs, Reading

ONE_FILE = "3\n3 0\n5 1 1\n6 2 0 2\n5 1 1\n2 1\n6 1 1\n6 1 0\n1 0\n5 0\n"


def _sample(table: data.Table) -> Graphs:
    assert isinstance(table.sample, Graphs)
    return table.sample


def _lists() -> list[dict[str, Any]]:
    return [
        {"x": np.eye(3)[:, :2], "edge_index": np.array([[0, 1], [1, 2]]), "edge_attr": [0.5, 1.5], "y": 0.3},
        {"x": np.ones((1, 2)), "edge_index": np.zeros((2, 0), int), "edge_attr": np.zeros(0), "y": 0.7},
    ]


# catalogue: D4
def test_a_collection_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_text(ONE_FILE, encoding="utf8")
    table = data.read(tmp_path / "small.txt")
    sample = _sample(table)
    assert table.target is not None
    assert table.target.tolist() == [0, 1, 0]
    assert sample.counts.tolist() == [[3, 4], [2, 2], [1, 0]]
    assert sample.values == ((5, 6),)
    assert sample.codes[:, :, 0].tolist() == [[1, 2, 1], [2, 2, 0], [1, 0, 0]]
    assert sample.edges[0].tolist() == [[1, 0], [0, 1], [2, 1], [1, 2]]
    new = data.encode(table.schema, tmp_path / "small.txt")
    assert (new.hashes() == table.hashes()).all()


def test_a_file_whose_nodes_have_numbers_or_many_neighbours_is_known(tmp_path: Path) -> None:
    (tmp_path / "numbers.txt").write_text("2\n2 0\n0 1 1 0.5 -2e-3\n1 1 0 1 2\n1 1\n0 0 3.5 4\n", encoding="utf8")
    sample = _sample(data.read(tmp_path / "numbers.txt"))
    assert sample.numbers[0, :2].tolist() == [[0.5, pytest.approx(-2e-3)], [1, 2]]
    hub = " ".join(map(str, range(1, 101)))
    leaves = "\n".join(["0 1 0"] * 100)
    (tmp_path / "stars.txt").write_text("2\n" + f"101 1\n0 100 {hub}\n{leaves}\n" * 2, encoding="utf8")
    assert _sample(data.read(tmp_path / "stars.txt")).counts.tolist() == [[101, 200], [101, 200]]


# catalogue: T7
@pytest.mark.parametrize(("name", "graphs", "nodes"), [("MUTAG", 188, 17.9), ("PROTEINS", 1113, 39.1)])
def test_the_folder_and_the_file_hold_the_same_graphs(
    shared_data: Path, name: str, graphs: int, nodes: float
) -> None:
    folder = _sample(data.read(shared_data / "graphs" / "tu" / f"raw_{name}"))
    file = _sample(data.read(shared_data / "graphs" / "tu" / f"{name}.txt"))
    assert len(folder) == len(file) == graphs
    assert folder.counts[:, 0].mean() == pytest.approx(nodes, abs=0.05)
    assert sorted(folder.counts.tolist()) == sorted(file.counts.tolist())
    assert (np.diff(folder.edges[0, : folder.counts[0, 1], 1]) >= 0).all()


def test_lists_of_dicts_and_of_torch_geometric_graphs() -> None:
    Data = pytest.importorskip("torch_geometric.data").Data

    table = data.read(_lists())
    assert table.target is not None
    assert table.target.tolist() == [0.3, 0.7]
    sample = _sample(table)
    assert sample.edge_numbers[0, :, 0].tolist() == [0.5, 1.5]
    tensors = [
        Data(
            **{
                k: torch.as_tensor(np.asarray(v, dtype=np.int64 if k == "edge_index" else np.float32))
                for k, v in g.items()
            }
        )
        for g in _lists()
    ]
    assert (data.read(tensors).hashes() == table.hashes()).all()


def test_statistics_are_of_real_nodes_of_training_graphs() -> None:
    table = data.read(
        [
            {"x": [[1.0], [3.0]], "edge_index": [[0], [1]], "y": 1.0},
            {"x": [[99.0]], "y": 2.0, "edge_index": np.zeros((2, 0), int)},
        ]
    )
    from tutti import models

    network = models.GraphGIN(width=4).build(_sample(table).shape, 1)
    values = _sample(table).fit(network, np.array([0]))
    assert values["node_centre"].tolist() == [2.0]
    assert values["node_scale"].tolist() == [1.0]


def test_a_hash_is_blind_to_the_order_of_nodes() -> None:
    rng = np.random.default_rng(0)
    x, ends = rng.random((6, 2)).astype(np.float32), rng.integers(0, 6, (2, 9))
    order = rng.permutation(6)
    place = np.argsort(order)
    same = {"x": x[order], "edge_index": place[ends], "y": 0.0}
    other = {"x": x, "edge_index": np.concatenate([ends[:, 1:], [[0], [5]]], 1), "y": 0.0}
    table = data.read([{"x": x, "edge_index": ends, "y": 0.0}, same, other])
    a, b, c = table.hashes()
    assert a == b != c
    assert table.alike().tolist() == [0, 0, 2]


def test_loops_repetitions_and_lonely_nodes_are_counted_once(shared_data: Path) -> None:
    """Three loops in one graph, an edge given twice in another; a node that loops alone touch, and one by itself."""
    ends = [[0, 1, 1, 2, 2], [1, 1, 0, 2, 2]], [[0, 1, 0, 2], [1, 0, 1, 1]]
    source = [{"x": np.ones((3, 1)), "edge_index": np.array(each), "y": i} for i, each in enumerate(ends)]
    source.append({"x": np.ones((1, 1)), "edge_index": np.zeros((2, 0), int), "y": 0})
    table = data.read(source)
    told = {f.kind: f.message for f in table.findings if f.where == "edges"}
    assert list(told) == ["self-loops", "repeated-edges", "isolated-nodes"]
    assert told["self-loops"].startswith("3 edges, in 1 of 3 graphs,")
    assert told["repeated-edges"].startswith("1 edge, in 1 of 3 graphs,")
    assert told["isolated-nodes"].startswith("2 of 7 nodes, in 2 of 3 graphs,")
    assert _sample(table).counts.tolist() == [[3, 2], [3, 3], [1, 0]]
    assert data.encode(table.schema, source).findings == ()
    assert not any(f.where == "edges" for f in data.read(shared_data / "graphs" / "tu" / "MUTAG.txt").findings)
    salt = {"smiles": ["[Na+].[Cl-]", "CC"], "y": [0.0, 1.0]}
    molecules = data.read(salt, target="y", reading=Reading(smiles="smiles"))
    assert not any(f.where == "edges" for f in molecules.findings)


def _noisy(noise: float, *, parts: str = "x") -> list[dict[str, Any]]:
    """Sixty graphs; the last six are the first ones with noise, their nodes in another order."""
    rng = np.random.default_rng(0)
    graphs = []
    for _ in range(54):
        n = int(rng.integers(5, 20))
        ends = rng.integers(0, n, (2, 2 * n))
        ends = ends[:, ends[0] != ends[1]]
        graphs.append({"x": rng.normal(size=(n, 3)), "edge_index": ends, "edge_attr": rng.normal(size=ends.shape[1])})
    for graph in graphs[:6]:
        order = rng.permutation(len(graph["x"]))
        copy = {"x": graph["x"][order], "edge_index": np.argsort(order)[graph["edge_index"]]}
        copy["edge_attr"] = graph["edge_attr"].copy()
        for name in parts.split():
            copy[name] = copy[name] + noise * rng.normal(size=copy[name].shape)
        graphs.append(copy)
    return [{**graph, "y": i % 2} for i, graph in enumerate(graphs)]


@pytest.mark.parametrize(
    ("noise", "parts", "found"),
    [(1e-5, "x", 6), (1e-4, "x edge_attr", 6), (1e-5, "edge_attr", 6), (0.3, "x", 0), (0.3, "edge_attr", 0)],
)
def test_graphs_with_a_little_noise_are_found_across_the_split(noise: float, parts: str, found: int) -> None:
    sample = _sample(data.read(_noisy(noise, parts=parts)))
    splits, _ = data.declare_splits(60, test_rows=np.arange(48, 60), folds=3)
    messages = [finding.message for finding in sample.leaks(splits, given=True)]
    assert len(messages) == (found > 0)
    assert all(f"{found} of 12 graphs that judge (test)" in message for message in messages)


def test_exact_copies_and_rings_full_of_numbers_are_no_near_copies(shared_data: Path) -> None:
    """Exact copies are told as duplicate rows; one structure for all graphs makes none of them a copy."""
    splits, _ = data.declare_splits(60, test_rows=np.arange(48, 60), folds=3)
    assert _sample(data.read(_noisy(0.0))).leaks(splits, given=True) == []
    rng = np.random.default_rng(0)
    ring = np.stack([np.arange(4), (np.arange(4) + 1) % 4])
    rings = [{"x": rng.normal(size=(4, 1)), "edge_index": ring, "y": i % 2} for i in range(2000)]
    points = [{"x": rng.normal(size=(1, 1)), "edge_index": ring[:, :0], "y": i % 2} for i in range(2000)]
    for graphs in (rings, points):
        splits, _ = data.declare_splits(2000)
        assert _sample(data.read(graphs)).leaks(splits, given=False) == []
    real = data.read(shared_data / "graphs" / "tu" / "raw_ENZYMES")
    assert real.sample is not None
    assert real.sample.leaks(data.declare_splits(real.rows)[0], given=False) == []


def test_nodes_that_say_nothing_have_their_degree(shared_data: Path) -> None:
    table = data.read(shared_data / "graphs" / "tu" / "IMDBMULTI.txt")
    assert "no-node-features" in {f.kind for f in table.findings}
    sample = _sample(table)
    degree = np.bincount(sample.edges[0, : sample.counts[0, 1], 1])
    known = np.array(sample.values[0])
    assert (known[sample.codes[0, : len(degree), 0] - 1] == degree).all()


# catalogue: T19
def test_molecules(shared_data: Path) -> None:
    reading = Reading(smiles="smiles")
    target = "measured log solubility in mols per litre"
    table = data.read(
        shared_data / "molecules" / "delaney-processed.csv", target=target, group="scaffold", reading=reading
    )
    sample = _sample(table)
    assert len(sample) == 1128
    assert table.group is not None
    assert table.group[2] == "CCCC(C)CCCC(C)C"  # citral: no ring, so its skeleton, without bonds' orders and elements
    assert sample.smiles is not None
    benzene = data.encode(table.schema, {"smiles": ["c1ccccc1", "CC"]}, reading=reading)
    small = _sample(benzene)
    assert small.counts.tolist() == [[6, 12], [2, 2]]
    assert small.example(0)["labels"] == ["C"] * 6
    assert small.shape == sample.shape or small.shape.levels == sample.shape.levels


def test_molecules_without_a_ring_share_no_scaffold(shared_data: Path) -> None:
    """As one group they would be 317 of 1,128 molecules, and one fold's validation nothing else."""
    smiles = ["CCCCl", "CCC=O", "CC(C)O", "[Na+].[Cl-]", "FS(F)(F)(F)(F)F", "c1ccccc1CC", "Clc1ccccc1"]
    source = {"smiles": smiles, "y": [float(i) for i in range(7)]}
    table = data.read(source, target="y", group="scaffold", reading=Reading(smiles="smiles"))
    assert table.group is not None
    assert table.group.tolist() == ["CCCC", "CCCC", "CC(C)C", "C.C", "CC(C)(C)(C)(C)C", "c1ccccc1", "c1ccccc1"]
    source = shared_data / "molecules" / "delaney-processed.csv"
    target = "measured log solubility in mols per litre"
    table = data.read(source, target=target, group="scaffold", reading=Reading(smiles="smiles"))
    assert table.group is not None
    names, counts = np.unique(table.group.astype(str), return_counts=True)
    assert names[counts.argmax()] == "c1ccccc1"
    assert counts[["1" not in name for name in names]].max() == 22


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (
            {"smiles": ["CC", "C1CC", None], "y": [1.0, 2.0, 3.0]},
            {"smiles": "smiles"},
            r"2 of 3 SMILES.*row 1 \('C1CC'\), row 2",
        ),
        (
            [{"x": [[1.0]], "edge_index": [[0], [1]], "y": 1.0}],
            {},
            "Edge 0 of graph 0 in the list names node 1; it has nodes 0–0",
        ),
        ([{"x": np.zeros((0, 1)), "edge_index": np.zeros((2, 0), int), "y": 1.0}], {}, "Graph 0 of graphs is empty"),
        ([{"x": [[1.0]], "edge_index": [0, 1], "y": 1.0}], {}, r"edge_index of graph 0 is no array \[2, edges\]"),
    ],
)
def test_bad_graphs_are_named(source: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        data.read(source, target="y", reading=Reading(**options))


def test_bad_molecules_and_empty_graphs_are_left_out_where_asked() -> None:
    table = data.read(
        {"smiles": ["CC", "C1CC", "CO"], "y": [1.0, 2.0, 3.0]},
        target="y",
        reading=Reading(smiles="smiles", skip=True),
    )
    assert table.target is not None
    assert table.target.tolist() == [1.0, 3.0]
    assert "skipped" in {f.kind for f in table.findings}


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    (tmp_path / "cut.txt").write_text(ONE_FILE[:-6], encoding="utf8")
    with pytest.raises(InputError, match=r"cut\.txt"):
        data.read(tmp_path / "cut.txt")


def test_two_sources_join(tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_text(ONE_FILE, encoding="utf8")
    table = data.read(tmp_path / "small.txt")
    short = _sample(table).take(np.array([2, 1]))
    both = short.joined(_sample(table))
    assert both.counts.tolist() == [[1, 0], [2, 2], [3, 4], [2, 2], [1, 0]]
    assert (both.hashes()[[0, 1]] == both.hashes()[[4, 3]]).all()
