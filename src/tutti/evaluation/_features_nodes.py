"""What an expert tries before a network on one graph: its nodes without edges, and its edges without nodes."""

# mypy: disable-error-code="no-untyped-call"

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from tutti.core import Splits
from tutti.data import Nodes
from tutti.evaluation._inputs import Inputs
from tutti.evaluation._learners import Linear, Model, Setting, Trees
from tutti.evaluation._problem import Problem

ROUNDS = 50  # of propagation


def inputs(sample: Nodes, splits: Splits) -> Inputs:
    """Nodes' own features for a linear model and an MLP; label propagation along the edges.

    Where edges have features, these too for a linear model and boosted trees: of all edges that arrive at a node
    their sum and their mean, and how many there are.
    """
    numbers = sample.features()[sample.node]
    if sample.along is not None:
        numbers = np.concatenate([numbers, _of_edges(sample)[sample.node]], axis=1)
        return Inputs(
            numbers=numbers,
            codes=np.zeros((len(numbers), 0), np.int32),
            learners=(partial(Propagation, sample), Linear, Trees),
        )
    return Inputs(
        numbers=numbers,
        codes=np.zeros((len(numbers), 0), np.int32),
        learners=(partial(Propagation, sample), Linear, Perceptron),
    )


def _of_edges(sample: Nodes) -> np.ndarray:
    """For each node sum and mean of what is said of its edges, and their number; missing values count as 0."""
    assert sample.along is not None
    total = np.zeros((sample.nodes, sample.along.shape[1]))
    np.add.at(total, sample.edges[1], np.nan_to_num(sample.along))
    degree = sample.degree[:, None]
    return np.concatenate([total, total / np.maximum(degree, 1), degree], axis=1).astype(np.float32)


class Propagation:
    """Label propagation (Zhou et al. 2004, "Learning with local and global consistency"): F ← α S F + (1 − α) Y.

    S = D^−½ A D^−½, both directions of every edge; Y holds the training nodes' targets (classes one-hot, numbers less
    their mean) and 0 elsewhere; 50 rounds. A class's share of a node's F is its probability, with the training
    frequencies where nothing arrives. A number is F over what a target of 1 everywhere would have given.
    """

    name = "label propagation"
    chunk, most = 1, 1

    def __init__(self, sample: Nodes, problem: Problem) -> None:
        from scipy.sparse import coo_array

        self.axes: Mapping[str, tuple[float | int, ...]] = {"alpha": (0.5, 0.8, 0.9, 0.95, 0.99)}
        self.start: Setting = {"alpha": 0.9}
        self.quick: Setting = self.start
        self.problem, self.node, self.nodes = problem, sample.node, sample.nodes
        source, target = sample.edges
        degree = np.bincount(np.concatenate([source, target]), minlength=self.nodes).clip(1)
        value = 1 / np.sqrt(degree[source] * degree[target])
        half = coo_array((value, (target, source)), shape=(self.nodes, self.nodes)).tocsr()
        self.matrix = half + half.T

    def cost(self, setting: Setting) -> float:
        return 1.0

    def begin(self, setting: Setting, rows: np.ndarray) -> "Propagated":
        return Propagated(self, float(setting["alpha"]), rows)


class Propagated:
    """Label propagation from some training rows."""

    def __init__(self, learner: Propagation, alpha: float, rows: np.ndarray) -> None:
        self.learner, self.alpha, self.rows = learner, alpha, rows
        self.notes: set[str] = set()
        self.answers = np.zeros((0, 0))

    def grow(self, iterations: int) -> None:
        learner, problem = self.learner, self.learner.problem
        start = self._start()
        known = np.zeros((learner.nodes, 1))
        known[learner.node[self.rows]] = 1.0
        spread = np.concatenate([start, known], axis=1)
        first = spread
        for _ in range(ROUNDS):
            spread = self.alpha * (learner.matrix @ spread) + (1 - self.alpha) * first
        values, weight = spread[:, :-1], spread[:, -1:]
        base = np.atleast_1d(problem.trivial(self.rows))
        few = 1e-9
        if problem.kind == "regression":
            found = base + values / np.maximum(weight, few)
        elif problem.kind == "multilabel":
            found = (values + few * base) / (weight + few)
        else:
            found = (values + few * base) / (values + few * base).sum(1, keepdims=True)
        self.answers = found

    def _start(self) -> np.ndarray:
        learner, problem = self.learner, self.learner.problem
        target = problem.target[self.rows]
        if problem.kind in ("binary", "multiclass"):
            own = np.eye(max(2, problem.outputs))[target]
        else:
            own = target.reshape(len(self.rows), -1).astype(np.float64)
            own = own - problem.trivial(self.rows) if problem.kind == "regression" else own
        start = np.zeros((learner.nodes, own.shape[1]))
        start[learner.node[self.rows]] = own
        return start

    def predict(self, rows: np.ndarray, iterations: int | None = None) -> np.ndarray:
        found: np.ndarray = self.answers[self.learner.node[rows]]
        return found


class Perceptron:
    """A multilayer perceptron on the nodes' features, no edge used: 64 hidden units (scikit-learn's, Adam)."""

    name = "MLP without edges"
    chunk, most = 1, 1

    def __init__(self, problem: Problem) -> None:
        self.axes: Mapping[str, tuple[float | int, ...]] = {"alpha": (1e-3, 1e-1, 1.0)}
        self.start: Setting = {"alpha": 1e-1}
        self.quick: Setting = self.start
        self.problem = problem

    def cost(self, setting: Setting) -> float:
        return 1.0

    def begin(self, setting: Setting, rows: np.ndarray) -> Model:
        from sklearn.preprocessing import StandardScaler

        steps = StandardScaler(with_mean=False)
        features = steps.fit_transform(np.nan_to_num(self.problem.matrix(rows)))
        return Model(self.problem, rows, steps, features, lambda: self._estimator(setting))

    def _estimator(self, setting: Setting) -> Any:
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        kind = MLPRegressor if self.problem.kind == "regression" else MLPClassifier
        seed = self.problem.seed
        return kind(hidden_layer_sizes=(64,), alpha=setting["alpha"], max_iter=500, tol=1e-3, random_state=seed)
