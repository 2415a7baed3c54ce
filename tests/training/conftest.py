"""A small problem with real rows: digits, three folds."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

import tutti.nn as tnn
from tutti.core import Setting
from tutti.optim import AdamW, Cosine
from tutti.training import Plan, Population, Problem, Stream

Make = Callable[..., Population]
SETTINGS = [Setting(learning_rate=r, weight_decay=d) for r in (1e-3, 3e-3, 1e-2) for d in (0.0, 0.1)]


def cross_entropy(output: Tensor, target: Tensor, label_smoothing: Tensor | None = None) -> Tensor:
    return F.cross_entropy(output.flatten(0, -2), target.flatten(), reduction="none").view(target.shape)


def stacked_net() -> nn.Module:
    return nn.Sequential(tnn.Linear(64, 24), nn.ReLU(), tnn.Linear(24, 16), nn.Tanh(), tnn.Linear(16, 10))


def relu_net() -> nn.Module:
    return nn.Sequential(tnn.Linear(64, 24), nn.ReLU(), tnn.Linear(24, 10))


def torch_net() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 10))


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    return (x[:600] / 16 - 0.3), y[:600]


@pytest.fixture
def make(digits: tuple[np.ndarray, np.ndarray]) -> Make:
    """make(mode, settings=…, build=…, folds=…, dtype=…, horizon=…, **plan) → Population."""

    def build_population(
        executor: str = "stacked",
        *,
        settings: list[Setting] = SETTINGS,
        build: Callable[[], nn.Module] = stacked_net,
        folds: int = 3,
        dtype: torch.dtype = torch.float64,
        horizon: int = 50,
        rule: object = None,
        target: Tensor | None = None,
        loss: Callable[..., Tensor] = cross_entropy,
        **plan: object,
    ) -> Population:
        x, y = digits
        part = np.arange(len(y)) % max(folds, 2)
        streams = tuple(
            Stream(seed=7, fold=f, train=np.flatnonzero(part != f), validation=np.flatnonzero(part == f))
            for f in range(folds)
        )
        problem = Problem(
            inputs=(torch.tensor(x, dtype=dtype),),
            target=torch.tensor(y) if target is None else target,
            streams=streams,
            build=lambda: build().to(dtype),
            loss=loss,
        )
        values = {"segment": 10, "batch_size": 32, "threads": 1, **plan}
        chosen = Plan(executor=executor, horizon=horizon, **values)
        return Population(problem, settings, chosen, rule or AdamW(), Cosine(warmup_fraction=0.1))

    return build_population
