"""tutti's side of the engine benchmarks: the same data, network, steps and recipe as the bare loop."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold
from torch import nn

from tutti.core import Setting
from tutti.nn import Linear
from tutti.optim import AdamW, Cosine
from tutti.search import Judge, Search, halving
from tutti.tasks import infer
from tutti.training import Plan, Population, Problem, Rung, Stream

RULE, SCHEDULE = AdamW(), Cosine(warmup_fraction=0.1)


def network(widths: tuple[int, ...]) -> nn.Sequential:
    """Dense layers of these widths with ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def problem(
    x: np.ndarray, y: np.ndarray, widths: tuple[int, ...], *, folds: int, seed: int = 0
) -> tuple[Problem, Judge]:
    """Classification by a network on rows [rows, features]; one fold judges on a fifth of the rows it trains on."""
    task = infer(y, ["y"], kind="multiclass")
    target = task.encode(y)
    everything = np.arange(len(y))
    parts = [(everything, everything[::5])]
    if folds > 1:
        parts = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, y))
    streams = tuple(Stream(seed=seed, fold=f, train=a, validation=b) for f, (a, b) in enumerate(parts))
    made = Problem(
        inputs=(torch.as_tensor(x, dtype=torch.float32),),
        target=torch.as_tensor(target),
        streams=streams,
        build=lambda: network(widths),
        loss=task.loss,
    )
    return made, Judge(task=task, metric="accuracy", target=target)


def plan(
    executor: str, *, steps: int, batch: int, threads: int, rungs: tuple[Rung, ...] = (), segments: int = 16
) -> Plan:
    return Plan(
        executor=executor,
        horizon=steps,
        segment=-(-steps // segments),
        batch_size=batch,
        threads=threads,
        rungs=rungs,
    )


def rungs(settings: int, steps: int, segments: int = 16) -> tuple[Rung, ...]:
    """The default rungs."""
    return halving(settings, steps, -(-steps // segments))


def train_alone(made: Problem, *, steps: int, batch: int, threads: int, setting: Setting) -> Population:
    """One member, trained to the end."""
    population = Population(
        made, [setting], plan("looped", steps=steps, batch=batch, threads=threads), RULE, SCHEDULE
    )
    population.run(steps)
    return population


def search(made: Problem, judge: Judge, settings: Sequence[Setting], how: Plan) -> Search:
    """The whole recipe: gather, clip, freeze, average, judge on the validation rows; drops at the rungs."""
    searched = Search(made, settings, how, RULE, SCHEDULE, judge)
    searched.run()
    return searched
