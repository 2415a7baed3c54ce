"""Trains a spread population under torchrun and saves what this process sees: see test_spread.py."""

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import tutti.nn as tnn
from tutti.core import Setting
from tutti.optim import AdamW, Cosine
from tutti.training import Plan, Problem, Spread, Stream, join_ranks


def cross_entropy(output: torch.Tensor, target: torch.Tensor, label_smoothing: object = None) -> torch.Tensor:
    flat = nn.functional.cross_entropy(output.flatten(0, -2), target.flatten(), reduction="none")
    return flat.view(target.shape)


def build() -> nn.Module:
    return nn.Sequential(tnn.Linear(64, 24), nn.ReLU(), tnn.Linear(24, 16), nn.Tanh(), tnn.Linear(16, 10))


def main(folder: Path) -> None:
    x, y = load_digits(return_X_y=True)
    x, y = x[:600] / 16 - 0.3, y[:600]
    part = np.arange(len(y)) % 3
    streams = tuple(
        Stream(seed=7, fold=f, train=np.flatnonzero(part != f), validation=np.flatnonzero(part == f))
        for f in range(3)
    )
    inputs = (torch.tensor(x, dtype=torch.float32),)
    problem = Problem(inputs=inputs, target=torch.tensor(y), streams=streams, build=build, loss=cross_entropy)
    rates = [Setting(learning_rate=r, weight_decay=d) for r in (1e-3, 3e-3) for d in (0.0, 0.1)]
    settings = [*rates, Setting(learning_rate=1e30)]
    plan = Plan(executor="stacked", horizon=40, segment=10, batch_size=32, threads=1)
    found = {}
    with join_ranks() as ranks:
        spread = Spread(problem, settings, plan, AdamW(), Cosine(warmup_fraction=0.1))
        found["loss0"] = spread.run(10)
        spread.keep([0, 2, 3, 4])
        found["loss1"] = spread.run(40)
        found["diverged"] = spread.diverged()
        found["outputs"] = spread.outputs(1, streams[1].validation)
        found |= {f"rows{i}": spread.member_rows(i) for i in range(4)}
        broken = Spread(problem, settings, plan, AdamW(), Cosine(warmup_fraction=0.1))
        broken.run(10)
        broken.keep([0, 2, 3, 4])
        broken.run(20)
        resumed = Spread(problem, broken.settings, plan, AdamW(), Cosine(warmup_fraction=0.1))
        resumed.restore(*broken.state())
        resumed.run(40)
        found |= {f"resumed{i}": resumed.member_rows(i) for i in range(4)}
        torch.save(found, folder / f"rank{ranks.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
