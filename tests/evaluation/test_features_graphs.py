"""What baselines see of graphs: statistics that can be counted by hand, and label propagation in closed form."""

import numpy as np
import pytest

from tutti import data
from tutti.core import Fold, Splits
from tutti.data import Graphs, Nodes, Reading
from tutti.evaluation._features_graphs import inputs, statistics
from tutti.evaluation._features_nodes import ROUNDS, Propagation
from tutti.evaluation._problem import Problem
from tutti.metrics import METRICS


def _splits(rows: int, train: int) -> Splits:
    fold = Fold(train=np.arange(train), validation=np.arange(train, rows))
    return Splits(kind="random", unit="row", rows=rows, units=np.arange(rows), test=np.zeros(0, int), folds=(fold,))


def test_statistics_are_those_of_the_graph() -> None:
    path = {"x": [[1.0], [2.0], [6.0]], "edge_index": [[0, 1, 1, 2], [1, 0, 2, 1]], "y": 0.0}
    sample = data.read([path, {"x": [[5.0]], "edge_index": np.zeros((2, 0), int), "y": 1.0}]).sample
    assert isinstance(sample, Graphs)
    first, single = statistics(sample)
    nodes_edges_density, degree, counted, numbers = first[:3], first[3:6], first[6:15], first[15:18]
    np.testing.assert_allclose(nodes_edges_density, [3, 4, 4 / 6])
    np.testing.assert_allclose(degree, [4 / 3, np.std([1, 2, 1]), 2], rtol=1e-6)
    assert counted.tolist() == [0, 2, 1, 0, 0, 0, 0, 0, 0]
    assert numbers.tolist() == [9, 3, 6]  # sum, mean and largest
    assert single[15:18].tolist() == [5, 5, 5]


def test_molecules_have_fingerprints() -> None:
    pytest.importorskip("rdkit")
    table = data.read({"smiles": ["CCO", "c1ccccc1"], "y": [1.0, 2.0]}, target="y", reading=Reading(smiles="smiles"))
    found = inputs(table.sample, _splits(2, 1)).numbers  # type: ignore[arg-type]
    assert found.shape[1] > 1024
    assert found[1, -1024:].sum() == 18  # benzene: 6 atoms at radius 0, 1 and 2


def test_label_propagation_is_its_series() -> None:
    table = data.read(
        {"x": [0.0] * 4, "y": ["a", "b", "a", "b"]}, target="y", reading=Reading(edges=[[0, 1, 2], [1, 2, 3]])
    )
    sample = table.sample
    assert isinstance(sample, Nodes)
    problem = Problem(
        numbers=np.zeros((4, 1), np.float32), codes=np.zeros((4, 0), np.int32), target=np.array([0, 1, 0, 1]),
        kind="binary", outputs=2, splits=_splits(4, 2), metric=METRICS["accuracy"], weights=None, seed=0,
    )  # fmt: skip
    fitted = Propagation(sample, problem).begin({"alpha": 0.5}, np.array([0, 1]))
    fitted.grow(1)
    a = np.zeros((4, 4))
    a[[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]] = 1
    root = np.diag(a.sum(1) ** -0.5)
    y = np.array([[1.0, 0], [0, 1], [0, 0], [0, 0]])
    limit = 0.5 * np.linalg.solve(np.eye(4) - 0.5 * root @ a @ root, y)
    np.testing.assert_allclose(
        fitted.predict(np.arange(4)), limit / limit.sum(1, keepdims=True), atol=2 * 0.5**ROUNDS + 1e-8
    )
