"""One network in tutti's engine: the executor that tutti's own timing chooses, and training steps by each of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from tutti.core import Setting
from tutti.learn._bench import Bench, Trial
from tutti.learn._recipe import Recipe
from tutti.models import SmallCNN
from tutti.optim import AdamW, Constant
from tutti.search import Grid, Judge
from tutti.tasks import infer
from tutti.training import ExecutorName, Plan, Population, Problem, Stream

Step = Callable[[], object]
EXECUTORS: tuple[ExecutorName, ...] = ("stacked", "looped")
ALLOWANCE = 120.0  # seconds of training, a small share of which `fit` times steps for
BATCHES = 4  # of rows in the data
RATE = 1e-6  # so low that no member moves far in some hundred steps
RULES, SCHEDULE = {"": AdamW()}, Constant()


@dataclass(frozen=True)
class Case:
    """A network for rows of a shape, and its members.

    own: members are the folds of one setting, each with a batch of its own; else settings of one fold, which share
    it. The loss is the mean square of the outputs.
    """

    build: Callable[[], nn.Module]
    row: tuple[int, ...]
    batch: int
    members: int
    own: bool

    @property
    def problem(self) -> Problem:
        rows = BATCHES * self.batch
        every = np.arange(rows)
        return Problem(
            inputs=(torch.randn(rows, *self.row),),
            target=torch.zeros(rows),
            streams=tuple(
                Stream(seed=0, fold=fold, train=every, validation=every[:2])
                for fold in range(self.members if self.own else 1)
            ),
            build=self.build,
            loss=lambda output, target, label_smoothing: output.square().mean(tuple(range(target.ndim, output.ndim))),
        )

    @property
    def grid(self) -> Grid:
        settings = 1 if self.own else self.members
        rates = tuple(RATE * (1 + place / settings) for place in range(settings))
        return Grid(learning_rates=rates, weight_decays=(0.0,))

    def trial(self) -> Trial:
        """Steps timed by the code that `fit` chooses by, for one thread: `executor` is its choice."""
        problem = self.problem
        target = np.linspace(0, 1, problem.rows, dtype=np.float32)
        judge = Judge(task=infer(target, ["y"], kind="regression"), metric="mse", target=target)
        bench = Bench(
            make=lambda _: (problem, judge),
            grid=lambda _: self.grid,
            seen=lambda _: problem.rows,
            recipe=Recipe(model=SmallCNN(), schedule=SCHEDULE, batch_size=self.batch, epochs=100.0, base=Setting()),
            rules=RULES,
            schedule=SCHEDULE,
            weights=sum(parameter.numel() for parameter in self.build().parameters()),
            threads=1,
        )
        return bench.trial(len(problem.streams), ALLOWANCE)

    def steps(self, trial: Trial) -> dict[str, Step]:
        """A training step of all members by each executor."""
        return {executor: self._step(trial, executor) for executor in EXECUTORS}

    def _step(self, trial: Trial, executor: ExecutorName) -> Step:
        plan = Plan(executor=executor, horizon=100_000, segment=1_000, batch_size=self.batch, threads=1)
        population = Population(trial.problem, self.grid.settings(), plan, RULES, SCHEDULE, program=trial.program)
        return lambda: list(population.steps(population.step + 1))


class _Left(torch.autograd.Function):
    """A copy of x, whose gradient is asked for and goes no further."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, asking: Tensor, batch_major: bool) -> Tensor:
        ctx.save_for_backward(asking)
        return x.transpose(0, 1).contiguous().transpose(0, 1) if batch_major else x.clone()

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[None, Tensor, None]:
        return None, torch.zeros_like(ctx.saved_tensors[0]), None


class Before(nn.Module):
    """Stands for the layers before a hidden one: a pass over what they leave, and the wish for its gradient.

    batch_major: whether a stack of them leaves the batch outermost, as a grouped convolution does.
    """

    stacked: ClassVar[bool] = True

    def __init__(self, batch_major: bool) -> None:
        super().__init__()
        self.asking = nn.Parameter(torch.zeros(()))
        self.batch_major = batch_major

    def forward(self, x: Tensor) -> Tensor:
        return _Left.apply(x, self.asking, self.batch_major and self.asking.ndim == 1)
