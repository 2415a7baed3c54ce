"""What an expert tries before a network on the edges of one graph: both ends' features, and for links neighbours."""

# mypy: disable-error-code="no-untyped-call"

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from tutti.core import Splits
from tutti.data import Nodes, Pairs
from tutti.evaluation._inputs import Inputs
from tutti.evaluation._learners import Linear, Setting, Trees
from tutti.evaluation._problem import Problem

MANY = 64  # features of a node, of which principal directions are taken
DIRECTIONS = 32


def inputs(sample: Pairs, splits: Splits) -> Inputs:
    """For a linear model and boosted trees: of both ends' features sum, product and absolute difference (of directed
    pairs both and their product), and what is said of the pair itself; for links, scores of the neighbourhood too.

    Of more than 64 features of a node, 32 principal directions (of all nodes) stand for them, and the cosine between
    both ends' is one feature more.
    """
    learners: list[Callable[..., Any]] = []
    if sample.links:
        learners = [partial(Neighbourhood, sample, name) for name in SCORES]
    numbers = np.concatenate([_both_ends(sample), sample.own], axis=1).astype(np.float32)
    if numbers.shape[1]:
        learners += [Linear, Trees]
    return Inputs(numbers=numbers, codes=np.zeros((len(numbers), 0), np.int32), learners=learners)


def _both_ends(sample: Pairs) -> np.ndarray:
    graph, (first, second) = sample.graph, sample.ends.T
    if graph.entries is not None and np.array_equal(graph.entries.indices, np.arange(graph.nodes)):
        return np.zeros((len(first), 0))  # numbers of nodes: nothing is said of them
    x = graph.features().astype(np.float64)
    more = []
    if x.shape[1] > MANY:
        length = np.maximum(np.linalg.norm(x, axis=1), 1e-12)
        more = [(np.einsum("ij,ij->i", x[first], x[second]) / (length[first] * length[second]))[:, None]]
        x = _principal(x)
    u, v = x[first], x[second]
    sides = [u, v] if sample.directed else [u + v, np.abs(u - v)]
    return np.concatenate([*sides, u * v, *more], axis=1)


def _principal(x: np.ndarray) -> np.ndarray:
    from sklearn.decomposition import TruncatedSVD

    found: np.ndarray = TruncatedSVD(min(DIRECTIONS, x.shape[0] - 1), random_state=0).fit_transform(x)
    scaled: np.ndarray = found / np.maximum(found.std(0), 1e-12)
    return scaled


class Neighbourhood:
    """One score of two nodes from the edges of the training rows, and a logistic regression on it alone (Liben-Nowell
    & Kleinberg 2007, "The link-prediction problem for social networks").

    With N(u) the neighbours of u: common neighbours |N(u) ∩ N(v)|, Adamic-Adar Σ 1 / ln |N(w)| over the common
    neighbours w, preferential attachment |N(u)| · |N(v)|; each as ln(1 + score). The edge between the two themselves
    is not counted, so that training pairs look like new ones.
    """

    chunk, most = 1, 1

    def __init__(self, sample: Pairs, name: str, problem: Problem) -> None:
        self.name, self.sample, self.problem = name, sample, problem
        self.axes: Mapping[str, tuple[float | int, ...]] = {"C": (1.0,)}
        self.start: Setting = {"C": 1.0}
        self.quick: Setting = self.start

    def cost(self, setting: Setting) -> float:
        return 1.0

    def begin(self, setting: Setting, rows: np.ndarray) -> "NeighbourhoodFit":
        return NeighbourhoodFit(self, float(setting["C"]), rows)

    def score(self, graph: Nodes, rows: np.ndarray) -> np.ndarray:
        """ln(1 + score) of these rows' pairs in a graph, [row, 1]."""
        from scipy.sparse import coo_array

        source, target = graph.edges
        shape = (graph.nodes, graph.nodes)
        matrix = coo_array((np.ones(len(source)), (source, target)), shape=shape).tocsr()
        matrix = ((matrix + matrix.T) > 0).astype(np.float64)
        first, second = self.sample.ends[rows].T
        found = SCORES[self.name](matrix, first, second)
        return np.log1p(np.asarray(found, np.float64)).reshape(-1, 1)


class NeighbourhoodFit:
    """A neighbourhood's score from some training rows."""

    def __init__(self, learner: Neighbourhood, c: float, rows: np.ndarray) -> None:
        self.learner, self.c, self.rows = learner, c, rows
        self.notes: set[str] = set()
        self.model: Any = None

    def grow(self, iterations: int) -> None:
        from sklearn.linear_model import LogisticRegression

        problem, rows = self.learner.problem, self.rows
        graph = self.learner.sample.graph_of(rows)
        self.model = LogisticRegression(C=self.c)
        self.model.fit(self.learner.score(graph, rows), problem.target[rows], sample_weight=problem.mass(rows))

    def predict(self, rows: np.ndarray, iterations: int | None = None) -> np.ndarray:
        # As networks see them: all edges that train anywhere, but for those that are asked about.
        graph = self.learner.sample.take(rows).graph
        found: np.ndarray = self.model.predict_proba(self.learner.score(graph, rows))
        return found


def _common(matrix: Any, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    found: np.ndarray = matrix[first].multiply(matrix[second]).sum(axis=1)
    return found


def _adamic_adar(matrix: Any, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    from scipy.sparse import diags_array

    degree = matrix.sum(axis=1)  # a common neighbour has two edges at least
    return _common(matrix @ diags_array(1 / np.log(np.maximum(degree, 2)) ** 0.5), first, second)


def _preferential(matrix: Any, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    degree = matrix.sum(axis=1)
    joined = np.asarray(matrix[first, second]).reshape(-1)
    found: np.ndarray = (degree[first] - joined) * (degree[second] - joined)
    return found


SCORES: dict[str, Callable[[Any, np.ndarray, np.ndarray], np.ndarray]] = {
    "common neighbours": _common,
    "Adamic-Adar": _adamic_adar,
    "preferential attachment": _preferential,
}
