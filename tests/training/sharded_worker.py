"""Trains sharded populations under torchrun and saves what each process sees: see test_sharded.py."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import tutti.nn as tnn
from tutti.core import Setting
from tutti.optim import SAM, AdamW, Cosine, Muon, Rule, Schedule, ScheduleFreeAdamW
from tutti.training import FullySharded, Plan, Problem, Sharded, Stream, join_ranks


def cross_entropy(output: Tensor, target: Tensor, label_smoothing: object = None) -> Tensor:
    flat = nn.functional.cross_entropy(output.flatten(0, -2), target.flatten(), reduction="none")
    return flat.view(target.shape)


def dropped() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 20), nn.ReLU(), nn.Dropout(0.3), nn.Linear(20, 10)).double()


def stacked() -> nn.Module:
    layers = tnn.Linear(64, 16), tnn.ActivityPenalty(), nn.Tanh(), tnn.Dropout(0.2), tnn.Linear(16, 10)
    return nn.Sequential(*layers).double()


class Residual(nn.Module):
    """A block: its own layers, and one that it does not use."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 51), nn.GELU(), nn.Dropout(0.2), nn.Linear(51, width))
        self.unused = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.mlp(self.norm(x))
        return y


class Deep(nn.Module):
    """Blocks between a first layer and its transpose, whose weights are the same; axes of odd length."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 41)
        self.blocks = nn.ModuleList(Residual(41) for _ in range(3))
        self.last = nn.Linear(41, 10)
        self.again = nn.Linear(64, 41)
        self.again.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        for block in self.blocks:
            h = block(h)
        y: Tensor = self.last(h + self.again(x))
        return y


class Centred(Deep):
    """With a running mean of what comes out, which is taken off when it is judged."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(10))

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        if not self.training:
            return y - self.mean
        with torch.no_grad():
            self.mean.lerp_(y.mean(0), 0.1)
        return y


def deep() -> nn.Module:
    return Deep().double()


def centred() -> nn.Module:
    return Centred().double()


ONE = (Setting(learning_rate=3e-3, weight_decay=0.1, l1=1e-3),)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is trained to step 6, saved, and trained on to step 12 with the kept settings; by Adam's fused kernel
    where nothing else is said."""

    kind: type[Sharded] = Sharded
    build: Callable[[], nn.Module] = dropped
    rule: Rule = field(default_factory=AdamW)
    settings: tuple[Setting, ...] = (Setting(learning_rate=3e-3, weight_decay=0.1),)
    kept: tuple[int, ...] = (0,)
    folds: int = 1
    batch_size: int = 33  # odd: the shares differ
    weighted: bool = False
    plan: dict[str, Any] = field(default_factory=dict)


MANY = (Setting(learning_rate=1e-3, dropout=0.3), Setting(learning_rate=1e30), Setting(activity_l2=0.1, dropout=0.2))
CASES = {
    "alone": Case(),
    "parts": Case(plan={"micro": 3, "clip": 0.3}, settings=ONE, weighted=True),
    "several": Case(
        build=stacked, settings=MANY, kept=(1, 2), folds=2, plan={"executor": "stacked"}, rule=ScheduleFreeAdamW()
    ),
    "second gradient": Case(rule=SAM(rule=AdamW())),
    "shapes": Case(rule=Muon(), build=stacked),
    "blocks": Case(kind=FullySharded, build=centred),
    "blocks in parts": Case(
        kind=FullySharded, build=deep, plan={"micro": 3, "clip": 0.3}, settings=ONE, weighted=True, batch_size=26
    ),
    "several of blocks": Case(
        kind=FullySharded, build=stacked, settings=MANY, kept=(1, 2), folds=2, rule=ScheduleFreeAdamW()
    ),
}


def arguments(case: Case) -> tuple[Problem, list[Setting], Plan, Rule, Schedule]:
    """What makes the population of a case."""
    x, y = load_digits(return_X_y=True)
    x, y = x[:300] / 16 - 0.3, y[:300]
    part = np.arange(len(y)) % 3
    streams = tuple(
        Stream(seed=7, fold=f, train=np.flatnonzero(part != f), validation=np.flatnonzero(part == f))
        for f in range(case.folds)
    )
    problem = Problem(
        inputs=(torch.tensor(x),),
        target=torch.tensor(y),
        streams=streams,
        build=case.build,
        loss=cross_entropy,
        weights=torch.linspace(0.5, 2.0, len(y), dtype=torch.float64) if case.weighted else None,
    )
    chosen = {"executor": "looped", "threads": 1, "average_every": 2, **case.plan}
    plan = Plan(horizon=12, segment=6, batch_size=case.batch_size, **chosen)
    return problem, list(case.settings), plan, case.rule, Cosine(warmup_fraction=0.1)


def main(folder: Path, names: list[str]) -> None:
    with join_ranks() as ranks:
        for name in names:
            case = CASES[name]
            sharded, resumed = case.kind(*arguments(case)), case.kind(*arguments(case))
            found = {"loss0": sharded.run(6)}
            tensors, plain = sharded.state()
            resumed.restore(tensors, plain)
            for population in (sharded, resumed):
                population.keep(case.kept)
                found["loss1"] = population.run(12)
            for i in range(len(case.kept)):
                found |= {f"rows{i}": sharded.member_rows(i), f"last{i}": sharded.member_rows(i, averaged=False)}
                found |= {f"resumed{i}": resumed.member_rows(i)}
            found["outputs"] = sharded.outputs(0, sharded.program.problem.streams[0].validation)
            found["diverged"] = sharded.diverged()
            held = sum(v.numel() for v in sharded._descent.save()[0].values())
            result = {"found": found, "tensors": tensors, "plain": plain, "divided": sharded.divided, "held": held}
            torch.save(result, folder / f"{name}{ranks.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
