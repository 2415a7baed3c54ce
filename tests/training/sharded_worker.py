"""Trains sharded populations under torchrun and saves what each process sees: see test_sharded.py."""

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

import tutti.nn as tnn
from tutti.core import InputError, Setting
from tutti.optim import SAM, AdamW, Cosine, Muon, Rule, Schedule, ScheduleFreeAdamW
from tutti.training import FullySharded, Plan, Population, Problem, Sharded, Stream, join_ranks


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
        self.scale = nn.Parameter(torch.full((1,), 0.9))  # one process has it, the others have nothing of it
        self.again = nn.Linear(64, 41)
        self.again.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        for block in self.blocks:
            h = block(h)
        y: Tensor = self.last(self.scale * h + self.again(x))
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


class Reading(nn.Module):
    """Reads the weights of a part that it does not call."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(64, 80), nn.Linear(80, 10)])

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.parts[1](nn.functional.linear(x, self.parts[0].weight))
        return y


def reading() -> nn.Module:
    return Reading().double()


def wide() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 200), *(nn.Linear(200, 200) for _ in range(4)), nn.Linear(200, 10)).double()


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


MANY = (Setting(learning_rate=1e-3, dropout=0.3), Setting(learning_rate=1e200), Setting(activity_l2=0.1, dropout=0.2))
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
    "reading": Case(kind=FullySharded, build=reading),
}


def arguments(case: Case) -> tuple[Problem, list[Setting], Plan, Rule, Schedule]:
    """What makes the population of a case."""
    random = np.random.default_rng(0)
    x, y = random.uniform(-0.3, 0.7, (300, 64)), random.integers(10, size=300)
    part = np.arange(len(y)) % 3
    streams = tuple(
        Stream(seed=7, fold=f, train=np.flatnonzero(part != f), validation=np.flatnonzero(part == f))
        for f in range(case.folds)
    )
    device = "cuda" if dist.is_initialized() and dist.get_backend() == "nccl" else "cpu"
    problem = Problem(
        inputs=(torch.tensor(x, device=device),),
        target=torch.tensor(y, device=device),
        streams=streams,
        build=case.build,
        loss=cross_entropy,
        weights=torch.linspace(0.5, 2.0, len(y), dtype=torch.float64, device=device) if case.weighted else None,
    )
    chosen = {"executor": "looped", "threads": 1, "average_every": 2, **case.plan}
    plan = Plan(horizon=12, segment=6, batch_size=case.batch_size, **chosen)
    return problem, list(case.settings), plan, case.rule, Cosine(warmup_fraction=0.1)


def alive(problem: Problem) -> int:
    """Bytes of all tensors of this process, but for the data."""
    from torch.distributed.tensor import DTensor  # slow to import: not for every worker

    gc.collect()
    found = [t for t in gc.get_objects() if isinstance(t, Tensor) and t.device.type != "meta"]
    local = [t.to_local() if isinstance(t, DTensor) else t for t in found]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in local}
    return sum(storages.values()) - sum(t.untyped_storage().nbytes() for t in (*problem.inputs, problem.target))


def weigh() -> dict[str, Any]:
    """Bytes of a fully sharded member after some steps, and how many blocks were gathered as each began."""
    problem, *others = arguments(Case(build=wide))
    population = FullySharded(problem, *others)
    layers = list(population._groups[0].body)
    gathered = []
    for layer in layers[1:-1]:  # the last has few weights and is left to the root
        layer.register_forward_pre_hook(
            lambda *_: gathered.append(sum(type(p.weight) is nn.Parameter for p in layers[:-1]))
        )
    population.run(3)
    total = alive(problem)
    state = population._descent.save()[0].values()
    rows = {"weights": population.weights, "average": population.average, "gradient": population._gradient}
    own = {name: t.untyped_storage().nbytes() for name, t in rows.items()}
    own["state"] = sum(t.untyped_storage().nbytes() for t in state if t.numel() > 1)
    return {"own": own, "alive": total, "gathered": gathered}


def refused(name: str) -> str:
    population = CASES[name].kind(*arguments(CASES[name]))
    try:
        population.run(6)
    except InputError as error:
        return str(error)
    return ""


def no_pickle(*_: Any) -> None:
    raise AssertionError("something was about to be pickled")


def main(folder: Path, names: list[str]) -> None:
    dist.distributed_c10d._object_to_tensor = no_pickle
    with join_ranks() as ranks:
        if "weigh" in names:
            torch.save(weigh(), folder / f"weigh{ranks.rank}.pt")
        for name in names:
            if name == "weigh":
                continue
            if name == "reading":
                torch.save(refused(name), folder / f"{name}{ranks.rank}.pt")
                continue
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
            if name == "blocks":
                start, taken = Population(*arguments(case)), case.kind(*arguments(case))
                start.run(6)
                taken.restore(*start.state())
                taken.run(12)
                found |= {"taken": taken.member_rows(0)}
            found = {k: v.cpu() for k, v in found.items()}
            result = {"found": found, "tensors": tensors, "plain": plain, "divided": sharded.divided, "held": held}
            result["backend"] = dist.get_backend()
            torch.save(result, folder / f"{name}{ranks.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
