"""Images: training steps against a bare torch loop with its DataLoader, and accuracies on MNIST and Fashion-MNIST.

Targets: time per step at most 1.0 of the loop's, same network, rule and batches; MNIST: the course's small net
98.9 %, the default 99.4 %; Fashion-MNIST: the default 92.5 %, each in at most 10 minutes on 2 cores.
The loop reads torch.utils.data.DataLoader over the same uint8 images (shuffled, no worker processes), and steps with
fused AdamW. CPU seconds, as other programs hardly show in these.
"""

import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _bench import arguments, machine, ratios, spread, table, tell
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tutti import core, models, optim, tasks, training

ROWS, BATCH, STEPS = 6_000, 128, 20
FAMILIES: dict[str, models.ImageModel] = {
    "smallcnn": models.SmallCNN(),
    "lenet": models.LeNet(),
    "resnet": models.ResNet(stem="pooled", augmented=False),
    "vit": models.ViT(augmented=False),
}
FIGURES = (
    ("mnist.npz", "smallcnn", ["--model", "smallcnn"], 0.989),
    ("mnist.npz", "default", [], 0.994),
    ("fashion_mnist.npz", "default", [], 0.925),
)


def contenders(model: models.ImageModel) -> tuple[Callable[[], None], Callable[[], None]]:
    """STEPS steps of a population of one, and of the loop."""
    shape = core.ImageShape(channels=1, height=28, width=28)
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (ROWS, 1, 28, 28), dtype=torch.uint8, generator=generator)
    y = torch.randint(0, 10, (ROWS,), generator=generator)
    task = tasks.infer(np.arange(ROWS) % 10, ["y"])
    stream = training.Stream(seed=0, fold=0, train=np.arange(ROWS), validation=np.arange(10))
    problem = training.Problem(
        inputs=(x,), target=y, streams=(stream,), build=lambda: model.build(shape, 10), loss=task.loss
    )
    plan = training.Plan(executor="looped", horizon=100_000, segment=STEPS, batch_size=BATCH, average_every=4)
    population = training.Population(problem, [core.Setting()], plan, optim.AdamW(), optim.Cosine())
    network = model.build(shape, 10).train()
    rule = torch.optim.AdamW(network.parameters(), fused=True)
    loader = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True, drop_last=True)

    def ours() -> None:
        population.run(population.step + STEPS)

    def loop() -> None:
        for _, (images, labels) in zip(range(STEPS), loader, strict=False):
            rule.zero_grad()
            functional.cross_entropy(network(images), labels).backward()
            rule.step()

    return ours, loop


def step_rows(repeats: int) -> list[list[str]]:
    rows = []
    for name, model in FAMILIES.items():
        runs = contenders(model)
        seconds: tuple[list[float], list[float]] = ([], [])
        for turn in range(repeats + 1):
            for run, found in zip(runs, seconds, strict=True):
                gc.collect()
                began = time.process_time()
                run()
                if turn:
                    found.append((time.process_time() - began) / STEPS)
        ours, loop = ([1e3 * s for s in found] for found in seconds)
        rows.append([name, spread(ours, "ms"), spread(loop, "ms"), spread(ratios(ours, loop)), "1.0"])
    return rows


def figure_rows(folder: Path, budget: str) -> list[list[str]]:
    """`tutti fit` on each set, as a user types it."""
    rows = []
    with tempfile.TemporaryDirectory() as out:
        for number, (file, name, words, target) in enumerate(FIGURES):
            run = "import sys; from tutti.cli import main; sys.argv[0] = 'tutti'; main()"
            command = ["fit", str(folder / file), "--target", "y", "--budget", budget, "--out", f"{out}/{number}"]
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", run, *command, "--json", "--quiet", *words],
                check=True,
                capture_output=True,
                text=True,
            )
            took, told = time.perf_counter() - began, json.loads(done.stdout)
            test = told["test"]
            interval = f"{test['value']:.4f} ({test['low']:.4f} to {test['high']:.4f})"
            others = ", ".join(f"{b['name']} {b['value']:.4f}" for b in told["baselines"])
            rows.append([file.removesuffix(".npz"), name, interval, f"{target}", f"{took:.0f} s", others])
    return rows


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument(
        "--data", type=Path, help="the folder of mnist.npz and fashion_mnist.npz; without it steps alone"
    )
    parser.add_argument("--budget", default="10m", help="of each fit")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    provenance = machine(["tutti", "torch", "numpy"], given.threads)
    tell(
        "images-steps",
        "Images: a training step against a torch loop with DataLoader",
        [
            f"28 × 28 grey, batch {BATCH}, float32, CPU time; {given.repeats} turns of {STEPS} steps.",
            "",
            *table(["network", "tutti", "loop", "tutti / loop", "target"], step_rows(given.repeats)),
        ],
        provenance=provenance,
        write=given.write,
    )
    if given.data is None:
        return
    tell(
        "images-figures",
        "Images: accuracy of `tutti fit`",
        table(
            ["data", "network", "test accuracy", "target", "whole command", "baselines"],
            figure_rows(given.data, given.budget),
        ),
        provenance=provenance,
        write=given.write,
    )


if __name__ == "__main__":
    main()
