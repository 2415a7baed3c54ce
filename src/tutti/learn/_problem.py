"""From a declared table to what the engine trains on, and to the judge of it."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from tutti.core import Fold
from tutti.learn._declare import Declared
from tutti.search import Judge
from tutti.tasks import Affine
from tutti.training import Problem, Stream

Build = Callable[[], nn.Module]


def make_problem(
    declared: Declared, build: Build, folds: Sequence[Fold], *, seed: int, device: torch.device
) -> tuple[Problem, Judge]:
    """The engine's problem and the judge of its members, for these folds.

    Every statistic, of the features and of a regression's target, is fitted here, on each fold's own training
    rows.
    """
    task = declared.task
    probe = build()
    target = torch.as_tensor(declared.target)
    streams, affines = [], []
    for number, fold in enumerate(folds):
        buffers = declared.table.fit(probe, fold.train, declared.target)
        own: Tensor | None = None
        if task.kind == "regression":
            affine = Affine.fit(declared.target[fold.train])
            affines.append(affine)
            own = affine.standardise(target)
        streams.append(
            Stream(seed=seed, fold=number, train=fold.train, validation=fold.validation, buffers=buffers, target=own)
        )
    problem = Problem(
        inputs=declared.table.inputs(),
        target=target,
        streams=tuple(streams),
        build=build,
        loss=task.loss,
        weights=None if declared.weights is None else torch.as_tensor(declared.weights, dtype=torch.float32),
    )
    judge = Judge(
        task=task,
        metric=declared.metric,
        target=declared.target,
        affines=tuple(affines),
        weights=declared.weights,
    )
    return problem.to(device), judge


def whole(rows: Int[np.ndarray, " rows"]) -> Fold:
    """A fold that trains on all of these rows; it validates on a few of the same, whose scores mean nothing."""
    return Fold(train=rows, validation=rows[:0])
