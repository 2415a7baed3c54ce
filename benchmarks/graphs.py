"""Graphs: nested cross-validation on three collections, solubility, and the time of a training step.

Collections: 10 outer folds (stratified, shuffled); in each, tutti.fit on the other nine chooses its settings on
folds of its own, and its predictor is judged once on the outer fold. Targets: the mean within one standard deviation
(over folds) of Errica et al. (2020, "A fair comparison of graph neural networks for graph classification").
Solubility: five random test tenths of ESOL; the folds are those of tutti.fit. Target: RMSE at most 0.75.
Steps: the same GIN in torch-geometric's layers, in a bare loop with its DataLoader and fused Adam. Target: 1.0.
"""

import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _bench import arguments, machine, ratios, spread, table, tell, timed
from torch import Tensor, nn

import tutti
from tutti import data, models
from tutti.core import Setting
from tutti.optim import Adam, Constant
from tutti.training import Plan, Population, Problem, Stream

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
FOLDER = Path(os.environ.get("TUTTI_DATA", BESIDE))
SOLUBILITY = "measured log solubility in mols per litre"


@dataclass(frozen=True)
class Collection:
    """Graphs, where they lie, and the published accuracy of a GIN: mean and standard deviation over folds, %."""

    path: str
    published: float
    sd: float


COLLECTIONS = {
    "proteins": Collection("graphs/tu/PROTEINS.txt", 73.3, 4.0),
    "enzymes": Collection("graphs/tu/raw_ENZYMES", 59.6, 4.5),
    "imdb-multi": Collection("graphs/tu/IMDBMULTI.txt", 48.5, 3.3),
    "mutag": Collection("graphs/tu/MUTAG.txt", float("nan"), float("nan")),
}


def outer_folds(labels: np.ndarray, folds: int) -> list[np.ndarray]:
    from sklearn.model_selection import StratifiedKFold

    return [test for _, test in StratifiedKFold(folds, shuffle=True, random_state=0).split(labels, labels)]


def fitted(train: Any, test: Any, folder: Path, budget: float, **options: Any) -> dict[str, Any]:
    """result.json of a fit that is judged on another source."""
    tutti.fit(train, test=test, budget=budget, out=folder / "run", **options)
    found: dict[str, Any] = json.loads((folder / "run" / "result.json").read_text(encoding="utf8"))
    return found


def write_part(sample: data.Graphs, labels: np.ndarray, rows: np.ndarray, path: Path) -> Path:
    """Some graphs in the one-file form: "nodes label", then "tag degree neighbours… numbers…"."""
    tags = np.array([0, *sample.values[0]]) if sample.values else np.zeros(1, int)
    lines = [str(len(rows))]
    for row in rows:
        n, e = sample.counts[row]
        lines.append(f"{n} {labels[row]}")
        source, target = sample.edges[row, :e].T
        for node in range(n):
            around = source[target == node]
            tag = tags[sample.codes[row, node, 0]] if sample.values else 0
            numbers = sample.numbers[row, node].tolist()
            lines.append(" ".join(map(str, [tag, len(around), *around, *numbers])))
    path.write_text("\n".join(lines) + "\n", encoding="utf8")
    return path


def nested(name: str, folds: int, budget: float) -> list[str]:
    collection = COLLECTIONS[name]
    read = data.read(FOLDER / collection.path)
    sample = read.sample
    assert isinstance(sample, data.Graphs)
    labels = np.unique(np.asarray(read.target), return_inverse=True)[1]
    scores, rivals = [], []
    for test in outer_folds(labels, 10)[:folds]:
        with tempfile.TemporaryDirectory() as name_of:
            folder = Path(name_of)
            train = write_part(sample, labels, np.setdiff1d(np.arange(len(labels)), test), folder / "train.txt")
            result = fitted(train, write_part(sample, labels, test, folder / "test.txt"), folder, budget)
        scores.append(100 * result["test"]["value"])
        rivals.append({b["name"]: 100 * b["value"] for b in result["baselines"]})
        print(name, len(scores), scores[-1], rivals[-1], flush=True)
    best = {key: statistics.mean(r[key] for r in rivals) for key in rivals[0]}
    published = "" if np.isnan(collection.published) else f"{collection.published} ± {collection.sd}"
    told = ", ".join(f"{key} {value:.1f}" for key, value in best.items())
    return [
        name,
        str(len(scores)),
        f"{statistics.mean(scores):.1f} ± {statistics.pstdev(scores):.1f}",
        published,
        told,
    ]


def solubility(repeats: int, budget: float) -> list[str]:
    import pandas

    table = pandas.read_csv(FOLDER / "molecules" / "delaney-processed.csv")[["smiles", SOLUBILITY]]
    scores, rivals = [], []
    for seed in range(repeats):
        order = np.random.default_rng(seed).permutation(len(table))
        test, train = table.iloc[order[: len(table) // 10]], table.iloc[order[len(table) // 10 :]]
        with tempfile.TemporaryDirectory() as folder:
            result = fitted(train, test, Path(folder), budget, smiles="smiles", target=SOLUBILITY)
        scores.append(result["test"]["value"])
        rivals.append({b["name"]: b["value"] for b in result["baselines"]})
        print("esol", seed, scores[-1], rivals[-1], flush=True)
    told = ", ".join(f"{key} {statistics.mean(r[key] for r in rivals):.2f}" for key in rivals[0])
    mean = f"{statistics.mean(scores):.3f} ± {statistics.pstdev(scores):.3f}"
    return ["esol (RMSE)", str(repeats), mean, "at most 0.75", told]


class Theirs(nn.Module):
    """The default GIN without edge features, in torch-geometric's layers."""

    def __init__(self, inputs: int, outputs: int, width: int, layers: int) -> None:
        from torch_geometric.nn import GINConv

        super().__init__()
        self.embed = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(
            GINConv(
                nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width)),
                train_eps=True,
            )
            for _ in range(layers)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(layers))
        self.hidden, self.output = nn.Linear((layers + 1) * width, width), nn.Linear(width, outputs)

    def forward(self, x: Tensor, edges: Tensor, batch: Tensor, graphs: int) -> Tensor:
        from torch_geometric.nn import global_add_pool

        h = self.embed(x)
        rows = [global_add_pool(h, batch, graphs)]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = torch.relu(norm(layer(h, edges)))
            rows.append(global_add_pool(h, batch, graphs))
        return self.output(torch.relu(self.hidden(torch.cat(rows, 1))))


def cross_entropy(output: Tensor, target: Tensor, label_smoothing: Tensor | None = None) -> Tensor:
    return nn.functional.cross_entropy(output.movedim(-1, 1), target, reduction="none")


def step_times(name: str, steps: int, repeats: int, threads: int) -> list[str]:
    from torch_geometric.data import Data
    from torch_geometric.loader import DataLoader

    read = data.read(FOLDER / COLLECTIONS[name].path)
    sample = read.sample
    assert isinstance(sample, data.Graphs)
    y = torch.as_tensor(np.unique(np.asarray(read.target), return_inverse=True)[1])
    outputs, batch = int(y.max()) + 1, 32
    config = models.GraphGIN()
    rows = np.arange(len(y))

    def population(members: int) -> Population:
        stream = Stream(
            seed=0, fold=0, train=rows, validation=rows[:9], buffers=sample.fit(config.build(sample.shape, 2), rows)
        )
        problem = Problem(
            inputs=sample.inputs(), target=y, streams=(stream,), build=lambda: config.build(sample.shape, outputs),
            loss=cross_entropy,
        )  # fmt: skip
        plan = Plan(
            executor="looped" if members == 1 else "stacked", horizon=10**6, segment=steps, batch_size=batch,
            clip=None, threads=threads,
        )  # fmt: skip
        return Population(problem, [Setting(learning_rate=1e-3)] * members, plan, Adam(), Constant())

    hot = [
        np.concatenate(
            [sample.numbers[i, : sample.counts[i, 0]]]
            + [
                np.eye(len(v) + 1)[sample.codes[i, : sample.counts[i, 0], c]][:, 1:]
                for c, v in enumerate(sample.values)
            ],
            1,
        )
        for i in rows
    ]
    graphs = [
        Data(
            x=torch.as_tensor(hot[i], dtype=torch.float32), y=y[i : i + 1],
            edge_index=torch.as_tensor(sample.edges[i, : sample.counts[i, 1]].T.astype(np.int64)),
        )
        for i in rows
    ]  # fmt: skip
    theirs = Theirs(hot[0].shape[1], outputs, config.width, config.layers)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-3, fused=True)
    loader = DataLoader(graphs, batch_size=batch, shuffle=True, drop_last=True)

    def loop() -> None:
        done = 0
        while done < steps:
            for part in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(theirs(part.x, part.edge_index, part.batch, batch), part.y).backward()
                optimizer.step()
                done += 1
                if done == steps:
                    break

    one, ten = population(1), population(10)
    took = timed(
        {"one": lambda: one.run(one.step + steps), "ten": lambda: ten.run(ten.step + steps), "pyg": loop}, repeats
    )
    milli = {key: [1e3 * s / steps for s in values] for key, values in took.items()}
    each = [s / 10 for s in milli["ten"]]
    return [
        name, spread(milli["pyg"], "ms"), spread(milli["one"], "ms"), spread(ratios(milli["one"], milli["pyg"])),
        spread(ratios(each, milli["pyg"])),
    ]  # fmt: skip


def main() -> None:
    parser = arguments(__doc__ or "", repeats=3)
    parser.add_argument("--part", choices=["steps", "esol", *COLLECTIONS], required=True)
    parser.add_argument("--budget", type=float, default=120, help="seconds of each fit")
    parser.add_argument("--folds", type=int, default=10, help="outer folds that are run")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.part == "steps":
        rows = [
            step_times(name, 20, given.repeats, given.threads)
            for name in ("mutag", "proteins", "enzymes", "imdb-multi")
        ]
        head = [
            "graphs",
            "torch-geometric's loop",
            "tutti, one network",
            "one / loop",
            "one of ten in a population / loop",
        ]
        lines = [
            "A step of a GIN (3 layers, 64 wide) on 32 graphs. Median and range. Target: at most 1.",
            "",
            *table(head, rows),
        ]
        title = "A training step on graphs"
    else:
        row = solubility(5, given.budget) if given.part == "esol" else nested(given.part, given.folds, given.budget)
        head = [
            "graphs",
            "outer folds or splits",
            "tutti.fit's default",
            "published, or target",
            "its baselines in the same run",
        ]
        lines = [f"{given.budget:g} s for each fit. Mean ± standard deviation over folds.", "", *table(head, [row])]
        title = f"{given.part}: tutti.fit on graphs"
    provenance = machine(["tutti", "torch", "torch-geometric", "scikit-learn", "rdkit"], given.threads)
    tell(f"graphs-{given.part}", title, lines, provenance=provenance, write=given.write)


if __name__ == "__main__":
    sys.exit(main())
