"""Sets: chairs against monitors as clouds of points, collision events, and a step of each family against a bare loop.

The shapes are ModelNet's, voxels of 32³: occupied voxels are the points. The events are CMS's Z → ee and Z → μμ, each
a set of two leptons. The bare loop is a torch.nn network of the same shape with DataLoader, fused AdamW and clipping;
like ours it takes 128 random points of each cloud.
"""

import csv
import gzip
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _bench import arguments, machine, ratios, spread, table, tell, timed
from _ours import train_alone
from torch import Tensor, nn
from torch.nn import functional as F

import tutti
from tutti import data, models
from tutti.core import Setting
from tutti.tasks import infer
from tutti.training import Problem, Stream

BATCH, POINTS, SHARED = 32, 128, Path(__file__).resolve().parents[2] / "shared" / "data"
FAMILIES = {
    "deepsets": models.DeepSets(),
    "attention": models.SetAttention(),
    "settransformer": models.SetTransformer(),
}


def clouds(name: str) -> list[np.ndarray]:
    """The points of each shape of a file, [points, 3]; entry 0 is empty and left out."""
    with gzip.open(SHARED / "sets" / f"modelnet_{name}.npy.gz") as stored:
        grids = np.load(stored, allow_pickle=False)
    return [np.argwhere(grid[0] > 0).astype(np.uint8) for grid in grids[1:]]


def write_events(path: Path) -> None:
    """One row per lepton: event_id, pt, eta, phi, charge, process."""
    with path.open("w", newline="", encoding="utf8") as out:
        writer = csv.writer(out)
        writer.writerow(["event_id", "pt", "eta", "phi", "charge", "process"])
        for process in ("Zee", "Zmumu"):
            with (SHARED / "physics" / "cms" / f"{process}_Run2011A.csv").open(encoding="utf8") as file:
                for number, row in enumerate(csv.DictReader(file)):
                    for k in "12":
                        charge = "plus" if int(row["Q" + k]) > 0 else "minus"
                        writer.writerow(
                            [f"{process}{number}", *(row[c + k] for c in ("pt", "eta", "phi")), charge, process]
                        )


def fitted(name: str, source: Any, **options: Any) -> list[str]:
    """A row of the table: what a fit came to, beside its baselines."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = tutti.fit(source, out=str(Path(folder) / "run"), **options).result
    test = result["test"]
    others = ", ".join(f"{b['name']} {b['value']:.4f}" for b in result["baselines"])
    model = options.get("model") or "default"
    return [
        name,
        str(model),
        f"{test['value']:.4f} ({test['low']:.4f} to {test['high']:.4f}, n = {test['n']})",
        others,
        f"{result['members']['trained']}",
        f"{result['seconds']:.0f} s",
    ]


class Bare(nn.Module):
    """Points standardised, a random 128 of them, the family's layers in torch.nn, and the size of the set."""

    def __init__(self, family: str, centre: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.family = family
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)
        width = {"deepsets": 256, "attention": 128, "settransformer": 64}[family]
        if family == "settransformer":
            self.enter: nn.Module = nn.Linear(3, width)
            self.seeds = nn.ParameterList(nn.Parameter(torch.randn(n, width)) for n in (16, 16, 1))
            self.blocks = nn.ModuleList(Block(width) for _ in range(5))
            self.before = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
            self.judge: nn.Module = nn.Linear(width + 1, 1)
            return
        self.enter = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 128), nn.ReLU())
        self.look, self.weigh = nn.Linear(128, 128), nn.Linear(64, 1, bias=False)
        self.judge = nn.Sequential(nn.Linear(width + 1, 128), nn.ReLU(), nn.Linear(128, 1))

    def forward(self, items: Tensor, counts: Tensor) -> Tensor:
        place = (torch.rand(len(items), POINTS) * counts[:, None]).long()
        x = items.gather(1, place[..., None].expand(-1, -1, 3)).float()
        present = torch.arange(POINTS) < counts[:, None]
        h = self.enter((x - self.centre) * self.scale)
        pooled = getattr(self, "_" + self.family)(h, present)
        return self.judge(torch.cat((pooled, counts.float().log1p()[:, None]), 1))

    def _deepsets(self, h: Tensor, present: Tensor) -> Tensor:
        h = h.masked_fill(~present[..., None], 0)
        return torch.cat((h.sum(1) / present.sum(1, keepdim=True), h.amax(1)), 1)

    def _attention(self, h: Tensor, present: Tensor) -> Tensor:
        value, gate = self.look(h).chunk(2, -1)
        score = self.weigh(torch.tanh(value) * torch.sigmoid(gate)).squeeze(-1)
        weights = score.masked_fill(~present, float("-inf")).softmax(-1)
        return (weights[:, None] @ h).squeeze(1)

    def _settransformer(self, h: Tensor, present: Tensor) -> Tensor:
        for number in range(2):
            seeds = self.seeds[number].expand(len(h), -1, -1)
            h = self.blocks[2 * number + 1](h, self.blocks[2 * number](seeds, h, ~present), None)
        seeds = self.seeds[2].expand(len(h), -1, -1)
        return self.blocks[4](seeds, self.before(h), ~present).squeeze(1)


class Block(nn.Module):
    """Attention, sum, norm; dense, sum, norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(width, 4, batch_first=True)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dense = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: Tensor, memory: Tensor, absent: Tensor | None) -> Tensor:
        h = self.norms[0](x + self.attend(x, memory, memory, key_padding_mask=absent, need_weights=False)[0])
        return self.norms[1](h + self.dense(h))


def loop(family: str, items: Tensor, counts: Tensor, target: Tensor, steps: int) -> None:
    """The bare loop."""
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(items, counts, target), batch_size=BATCH, shuffle=True, drop_last=True
    )
    network = Bare(family, torch.full((3,), 15.5), torch.full((3,), 0.13))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    done = 0
    while done < steps:
        for x, n, y in loader:
            loss = F.binary_cross_entropy_with_logits(network(x, n)[:, 0], y)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            done += 1
            if done == steps:
                return


def ours(read: data.Table, model: models.SetModel, steps: int, threads: int) -> Callable[[], object]:
    task = infer(read.target, ["class"])
    rows = np.arange(read.rows)
    network = model.build(read.schema.shape, task.outputs)
    problem = Problem(
        inputs=read.inputs(),
        target=torch.as_tensor(task.encode(read.target)),
        streams=(Stream(seed=0, fold=0, train=rows, validation=rows[:1], buffers=read.fit(network, rows)),),
        build=lambda: model.build(read.schema.shape, task.outputs),
        loss=task.loss,
    )
    return lambda: train_alone(problem, steps=steps, batch=BATCH, threads=threads, setting=Setting())


def main() -> None:
    parser = arguments(__doc__ or "", repeats=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--budget", type=int, default=60, help="seconds of each fit; 0 leaves the fits out")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    shapes = {name: clouds(name) for name in ("chair", "monitor")}
    read = data.read(shapes)
    items, counts = read.inputs()
    assert isinstance(items, Tensor)
    assert isinstance(counts, Tensor)
    target = torch.as_tensor((read.target == "monitor").astype(np.float32))
    rows = []
    for name, model in FAMILIES.items():
        runs = {
            "bare": lambda name=name: loop(name, items, counts, target, given.steps),
            "tutti": ours(read, model, given.steps, given.threads),
        }
        took = timed(runs, given.repeats)
        each = [spread([1e3 * s / given.steps for s in took[who]], "ms") for who in ("tutti", "bare")]
        rows.append([name, *each, spread(ratios(took["tutti"], took["bare"]))])
    lines = [
        f"Clouds of up to {items.shape[1]:,} points, batches of {BATCH}, {POINTS} points each; {given.steps} steps, "
        f"start-up included. Median and range of {given.repeats} interleaved turns. Target: at most 1.0 of the loop.",
        "",
        *table(["", "a step", "bare torch loop", "of the loop"], rows),
    ]
    if given.budget:
        budget = f"{given.budget}s"
        fits = [fitted("chair against monitor", shapes, budget=budget)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "events.csv"
            write_events(path)
            for model in (None, *FAMILIES):
                options = {} if model is None else {"model": model}
                fits.append(
                    fitted("Z → ee against Z → μμ", path, set="event_id", target="process", budget=budget, **options)
                )
        head = ["data", "network", "test accuracy", "baselines", "members", "time"]
        lines += [
            "",
            f"`tutti fit` within {given.budget} s each; copies of shapes on one side.",
            "",
            *table(head, fits),
        ]
    tell(
        "sets",
        "Sets: clouds of points and collision events",
        lines,
        provenance=machine(["tutti", "torch", "numpy", "scikit-learn"], given.threads),
        write=given.write,
    )


if __name__ == "__main__":
    main()
