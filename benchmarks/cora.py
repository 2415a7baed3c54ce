"""Graph networks on Cora (Planetoid split): all seeds as one population, against torch-geometric one after another.

Both train every network for the same number of full-batch steps and are judged on the test nodes once, at the end:
no epoch is chosen. The engine averages weights as it goes; accuracies are given with the last weights and with the
average. torch-geometric's side is its own example (examples/gcn.py, gat.py): cached normalisation, dense features,
here with torch's fused Adam. Targets: at least 4 times as fast; mean test accuracy of the GCN within one standard
deviation of 81.5 % (Kipf & Welling 2017), of the GAT 83.0 ± 1 % (Veličković et al. 2018).
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from _bench import arguments, machine, missing, spread, table, tell
from torch import Tensor, nn
from torch.nn import functional as F

from tutti import models
from tutti.core import NodeShape, Setting
from tutti.nn import Edges, SparseFeatures
from tutti.optim import Adam, Constant
from tutti.tasks import infer
from tutti.training import Plan, Population, Problem, Stream


@dataclass(frozen=True)
class Cora:
    """The citation graph: bag-of-words features whose rows sum to 1, both directions of every edge."""

    features: SparseFeatures
    edges: Tensor
    y: np.ndarray
    train: np.ndarray
    test: np.ndarray

    @classmethod
    def read(cls) -> "Cora":
        beside = Path(__file__).resolve().parents[2] / "shared" / "data"
        with np.load(Path(os.environ.get("TUTTI_DATA", beside)) / "graphs" / "cora.npz", allow_pickle=False) as d:
            counts = np.diff(d["x_indptr"].astype(np.int64))
            node = np.repeat(np.arange(len(counts)), counts)
            values = d["x_data"].astype(np.float32)
            values /= np.bincount(node, weights=values, minlength=len(counts))[node]
            feature = d["x_indices"].astype(np.int64)
            once, y = d["edges"].astype(np.int64), d["y"].astype(np.int64)
            train, test = np.arange(int(d["num_train"])), d["test_idx"].astype(np.int64)
        entries = Edges(torch.as_tensor(np.stack((feature, node))), 1433, len(counts))
        edges = torch.as_tensor(np.concatenate((once, once[:, ::-1])).T.copy())
        return cls(SparseFeatures(torch.as_tensor(values, dtype=torch.float32), entries), edges, y, train, test)

    def dense(self) -> Tensor:
        feature, node = self.features.entries.index
        x = torch.zeros(len(self.y), 1433)
        x[node, feature] = self.features.values
        return x


@dataclass(frozen=True)
class Recipe:
    """One architecture and how both sides train it."""

    config: models.NodeModel
    rate: float
    dropout: float
    decay: float  # on all weights; the GCN's is on its first layer, in its Config
    steps: int
    accuracy: str
    times: float
    together: int  # networks in one population: attention of more would not fit into the caches


RECIPES = {
    "gcn": Recipe(models.GCN(), 0.01, 0.5, 0.0, 200, "within one sd of 81.5", 4, 100),
    "gat": Recipe(models.GAT(), 0.005, 0.6, 5e-4, 400, "83.0 ± 1", 1, 20),
}


def populations(cora: Cora, recipe: Recipe, seeds: int, threads: int) -> list[tuple[float, float]]:
    """Test accuracies of all seeds, with their last and with their averaged weights."""
    parts = [range(a, min(a + recipe.together, seeds)) for a in range(0, seeds, recipe.together)]
    return [accuracy for part in parts for accuracy in population(cora, recipe, part, threads)]


def population(cora: Cora, recipe: Recipe, seeds: Sequence[int], threads: int) -> list[tuple[float, float]]:
    """Test accuracies of these seeds, trained together; one of them alone with the plain layers."""
    task = infer(cora.y.astype(str), ["y"], kind="multiclass")
    shape = NodeShape(features=1433)
    streams = tuple(Stream(seed=s, fold=0, train=cora.train, validation=cora.test) for s in seeds)
    problem = Problem(
        inputs=(torch.arange(len(cora.y)),),
        target=torch.as_tensor(task.encode(cora.y.astype(str))),
        streams=streams,
        build=lambda: recipe.config.build(shape, task.outputs).hold(cora.features, cora.edges),
        loss=task.loss,
    )
    setting = Setting(learning_rate=recipe.rate, weight_decay=recipe.decay, dropout=recipe.dropout)
    plan = Plan(
        executor="stacked" if len(seeds) > 1 else "looped",
        horizon=recipe.steps,
        segment=recipe.steps,
        batch_size=len(cora.train),
        stack=len(seeds),
        clip=None,
        threads=threads,
    )
    trained = Population(problem, [setting], plan, Adam(), Constant())
    trained.run(recipe.steps)
    truth = torch.as_tensor(task.encode(cora.y.astype(str)))[cora.test]

    def accuracy(stream: int, averaged: bool) -> float:
        answers = trained.outputs(stream, cora.test, averaged=averaged)[0].argmax(-1)
        return float((answers == truth).float().mean())

    return [(accuracy(s, False), accuracy(s, True)) for s in range(len(seeds))]


class TheirGCN(nn.Module):
    """torch-geometric's example."""

    def __init__(self, inputs: int, outputs: int) -> None:
        from torch_geometric.nn import GCNConv

        super().__init__()
        self.conv1 = GCNConv(inputs, 16, cached=True)
        self.conv2 = GCNConv(16, outputs, cached=True)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        x = F.dropout(x, 0.5, self.training)
        x = self.conv1(x, edges).relu()
        return self.conv2(F.dropout(x, 0.5, self.training), edges)

    def groups(self, decay: float) -> list[dict[str, object]]:
        return [
            {"params": list(self.conv1.parameters()), "weight_decay": 5e-4},
            {"params": list(self.conv2.parameters()), "weight_decay": 0.0},
        ]


class TheirGAT(nn.Module):
    """torch-geometric's example."""

    def __init__(self, inputs: int, outputs: int) -> None:
        from torch_geometric.nn import GATConv

        super().__init__()
        self.conv1 = GATConv(inputs, 8, heads=8, dropout=0.6)
        self.conv2 = GATConv(64, outputs, heads=1, concat=False, dropout=0.6)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        x = F.dropout(x, 0.6, self.training)
        x = F.elu(self.conv1(x, edges))
        return self.conv2(F.dropout(x, 0.6, self.training), edges)

    def groups(self, decay: float) -> list[dict[str, object]]:
        return [{"params": list(self.parameters()), "weight_decay": decay}]


def alone(cora: Cora, recipe: Recipe, make: Callable[[int, int], nn.Module], seed: int, x: Tensor) -> float:
    """Test accuracy of one of torch-geometric's networks."""
    torch.manual_seed(seed)
    net = make(1433, 7)
    optimizer = torch.optim.Adam(net.groups(recipe.decay), lr=recipe.rate, fused=True)
    y, train, test = torch.as_tensor(cora.y), torch.as_tensor(cora.train), torch.as_tensor(cora.test)
    for _ in range(recipe.steps):
        optimizer.zero_grad()
        F.cross_entropy(net(x, cora.edges)[train], y[train]).backward()
        optimizer.step()
    with torch.no_grad():
        answer = net.eval()(x, cora.edges).argmax(-1)
    return float((answer[test] == y[test]).float().mean())


def peers(cora: Cora, recipe: Recipe, model: str, seeds: int, trained: int) -> tuple[float, list[float]]:
    """Seconds of torch-geometric's networks, scaled to so many seeds, and the accuracies of those trained."""
    if find_spec("torch_geometric") is None:
        missing("torch-geometric", "not installed")
        return float("nan"), []
    make, x = {"gcn": TheirGCN, "gat": TheirGAT}[model], cora.dense()
    alone(cora, replace(recipe, steps=3), make, 0, x)
    took = [clocked(lambda seed=s: alone(cora, recipe, make, seed, x)) for s in range(min(trained, seeds))]
    return sum(seconds for seconds, _ in took) * seeds / len(took), [accuracy for _, accuracy in took]


def times(theirs: float, ours: list[float]) -> str:
    return f"{theirs / statistics.median(ours):.1f}"


def clocked(run: Callable[[], object]) -> tuple[float, object]:
    began = time.perf_counter()
    found = run()
    return time.perf_counter() - began, found


def words(accuracies: list[float]) -> str:
    return f"{100 * statistics.mean(accuracies):.2f} ± {100 * statistics.pstdev(accuracies):.2f}"


def main() -> None:
    parser = arguments(__doc__ or "", repeats=3)
    parser.add_argument("--model", choices=list(RECIPES), default="gcn")
    parser.add_argument("--seeds", type=int, default=100, help="networks on either side")
    parser.add_argument("--peers", type=int, help="train only so many of torch-geometric's, and scale their time")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cora, recipe = Cora.read(), RECIPES[given.model]
    runs = [clocked(lambda: populations(cora, recipe, given.seeds, given.threads)) for _ in range(given.repeats)]
    ours = [seconds for seconds, _ in runs]
    last, averaged = (words(list(part)) for part in zip(*runs[0][1], strict=True))
    few = range(min(4, given.seeds))
    lonely = sum(clocked(lambda s=s: population(cora, recipe, [s], given.threads))[0] for s in few)
    lonely *= given.seeds / len(few)
    theirs, found = peers(cora, recipe, given.model, given.seeds, given.peers or given.seeds)
    rows = [
        [
            f"tutti, {min(recipe.together, given.seeds)} in a population",
            spread(ours, "s"),
            times(theirs, ours),
            last,
            averaged,
        ],
        [f"tutti, one after another ({len(few)}, scaled)", f"{lonely:,.0f} s", times(theirs, [lonely]), "", ""],
    ]
    if found:
        scaled = "" if len(found) == given.seeds else f" ({len(found)}, scaled)"
        rows.append([f"torch-geometric, one after another{scaled}", f"{theirs:,.0f} s", "1", words(found), ""])
    tell(
        f"cora-{given.model}",
        f"{given.seeds} seeds of a {given.model.upper()} on Cora",
        [
            f"{recipe.steps} full-batch steps each, 140 training nodes, judged once on 1,000 test nodes; mean ±"
            f" standard deviation over seeds. Median and range of {given.repeats} turns. Targets: {recipe.times:g}"
            f" times as fast, accuracy {recipe.accuracy} %.",
            "",
            *table(["", "all networks", "times as fast", "test accuracy, %", "with averaged weights"], rows),
        ],
        provenance=machine(["tutti", "torch", "numpy", "torch-geometric"], given.threads),
        write=given.write,
    )


if __name__ == "__main__":
    sys.exit(main())
