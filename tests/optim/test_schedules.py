"""Each schedule equals its formula, and torch's scheduler where there is one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.optim import lr_scheduler as torchs

from tutti import optim
from tutti.core import InputError, configure
from tutti.optim import SCHEDULES, Plateau, Schedule

T = 60
t = np.arange(T)
cos, pi = np.cos, np.pi


# catalogue: L3
@pytest.mark.parametrize(
    ("data", "formula"),
    [
        ({"name": "constant"}, 1 + 0 * t),
        ({"name": "exponential", "gamma": 0.9}, 0.9**t),
        ({"name": "exponential"}, 0.01 ** (t / T)),
        ({"name": "inverse_time", "b": 7.0}, 7 / (7 + t)),
        ({"name": "inverse_time"}, 1 / (1 + 9 * t / T)),
        ({"name": "linear"}, (T - t) / T),
        ({"name": "cosine_quarter"}, cos(pi * t / (2 * T))),
        ({"name": "cosine"}, (1 + cos(pi * t / T)) / 2),
        ({"name": "warm_restarts", "period": 20, "growth": 1}, (1 + cos(pi * (t % 20) / 20)) / 2),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("floor", [0.0, 0.1])
@pytest.mark.parametrize("warmup", [{}, {"warmup_steps": 12}, {"warmup_fraction": 0.2}], ids=str)
def test_factors_equal_the_formula(data: dict[str, Any], formula: Any, floor: float, warmup: dict[str, Any]) -> None:
    schedule = configure("schedule", SCHEDULES, {**data, "floor": floor, **warmup})
    expected = (floor + (1 - floor) * formula) * (np.minimum(1, (t + 1) / 12) if warmup else 1)
    assert_allclose(schedule.factors(T), expected, rtol=1e-13)


def rates(scheduler: Callable[[torch.optim.Optimizer], torchs.LRScheduler], steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    under = scheduler(optimizer)
    values = []
    for _ in range(steps):
        values.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        under.step()
    return values


# catalogue: L3
@pytest.mark.parametrize(
    ("schedule", "scheduler"),
    [
        (optim.Constant(), lambda o: torchs.ConstantLR(o, 1.0, T)),
        (optim.Exponential(gamma=0.95), lambda o: torchs.ExponentialLR(o, 0.95)),
        (optim.InverseTime(b=5.0), lambda o: torchs.LambdaLR(o, lambda n: 5 / (5 + n))),
        (optim.Linear(), lambda o: torchs.PolynomialLR(o, T, 1.0)),
        (optim.Linear(floor=0.1), lambda o: torchs.LinearLR(o, 1.0, 0.1, T)),
        (optim.Cosine(), lambda o: torchs.CosineAnnealingLR(o, T)),
        (optim.Cosine(floor=0.1), lambda o: torchs.CosineAnnealingLR(o, T, eta_min=0.1)),
        (
            optim.WarmRestarts(period=9, growth=2, floor=0.05),
            lambda o: torchs.CosineAnnealingWarmRestarts(o, 9, 2, eta_min=0.05),
        ),
        (optim.Constant(warmup_steps=10), lambda o: torchs.LinearLR(o, 0.1, 1.0, 9)),
        (
            optim.OneCycle(floor=1e-4, start=(0.04 - 1e-4) / (1 - 1e-4)),
            lambda o: torchs.OneCycleLR(o, 1.0, T, div_factor=25, final_div_factor=400, cycle_momentum=False),
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Schedule) else "",
)
def test_factors_equal_torchs_scheduler(schedule: Schedule, scheduler: Any) -> None:
    steps = T - 1 if schedule.name == "one_cycle" else T
    assert_allclose(schedule.factors(T)[:steps], rates(scheduler, steps), rtol=1e-9, atol=1e-12)


def test_one_cycle_ends_at_its_floor_and_peaks_once() -> None:
    factors = optim.OneCycle(floor=1e-4).factors(T)
    assert_allclose(factors[[17, -1]], [1, 1e-4])
    assert (factors == 1).sum() == 1


def test_warm_restarts_fill_the_horizon_with_whole_cycles() -> None:
    factors = optim.WarmRestarts(cycles=3, growth=2).factors(70)
    assert np.flatnonzero(factors == 1).tolist() == [0, 10, 30]


@pytest.mark.parametrize("name", list(SCHEDULES))
@pytest.mark.parametrize("horizon", [1, 2, 3, 10, 997])
def test_every_schedule_serves_every_horizon(name: str, horizon: int) -> None:
    factors = SCHEDULES[name]().factors(horizon)
    assert factors.shape == (horizon,)
    assert factors.dtype == np.float64
    assert (factors >= 0).all()
    assert (factors <= 1).all()


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "one_cycle"])
def test_no_step_is_wasted_on_a_rate_of_zero(name: str) -> None:
    assert (SCHEDULES[name](warmup_fraction=0.1).factors(50) > 0).all()


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_schedules_survive_json(name: str) -> None:
    schedule = SCHEDULES[name](warmup_steps=3, floor=0.1)
    assert configure("schedule", SCHEDULES, schedule.to_json()) == schedule


@pytest.mark.parametrize(
    "data",
    [
        {"name": "cosine", "floor": 1.5},
        {"name": "cosine", "warmup_steps": -1},
        {"name": "cosine", "warmup_fraction": 2.0},
        {"name": "cosine", "warmup_fraction": 0.1, "warmup_steps": 5},
        {"name": "exponential", "gamma": 0.0},
        {"name": "inverse_time", "b": 0.0},
        {"name": "warm_restarts", "growth": 0},
        {"name": "one_cycle", "rise": 1.0},
    ],
    ids=str,
)
def test_impossible_options_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        configure("schedule", SCHEDULES, data)


def test_an_empty_horizon_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        optim.Cosine().factors(0)


# catalogue: L3 (plateau)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("higher", [True, False])
def test_plateau_cuts_when_torchs_does(higher: bool, relative: bool, seed: int) -> None:
    generator = np.random.default_rng(seed)
    fall = np.exp(-np.arange(80) / 15) + 0.05 * generator.random(80) + 0.1
    scores = (1 / fall if higher else fall).tolist()
    scores[7] = scores[40] = float("nan")
    plateau = Plateau(
        cut=0.3, patience=2, threshold=0.03, cooldown=seed, floor=0.02, relative=relative, higher_is_better=higher
    )
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torchs.ReduceLROnPlateau(
        optimizer,
        mode="max" if higher else "min",
        factor=0.3,
        patience=2,
        threshold=0.03,
        threshold_mode="rel" if relative else "abs",
        cooldown=seed,
        min_lr=0.02,
    )
    expected = []
    for score in scores:
        scheduler.step(score)
        expected.append(optimizer.param_groups[0]["lr"])
    assert len(set(expected)) > 2
    assert_allclose([plateau.factor(scores[: n + 1]) for n in range(80)], expected, rtol=1e-12)


def test_plateau_needs_a_history() -> None:
    assert Plateau().factor([]) == 1
    assert Plateau(patience=0).factor([1.0, 2.0]) == pytest.approx(0.1)


@pytest.mark.parametrize("options", [{"cut": 1.0}, {"cut": 0.0}, {"patience": -1}], ids=str)
def test_impossible_plateaus_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Plateau(**options)
