"""Each rule takes the steps of its torch.optim counterpart, for many members with their own rates in one stack."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tutti import optim
from tutti.core import InputError, configure
from tutti.optim import RULES

from .conftest import DECAY, MEMBERS, STEPS, WEIGHTS, constant, cut, gradient_at, peaks, start, train

Solo = Callable[[Tensor, float, float], torch.optim.Optimizer]


def train_torch(solo: Solo, weights: Tensor, rates: Tensor, momentum: Tensor) -> Tensor:
    """Each member on its own, by torch.optim."""
    finished = []
    for member in range(len(weights)):
        own = weights[member].clone().requires_grad_()
        peak = rates[member].item()
        optimizer = solo(own, peak, momentum[member].item())
        for step in range(1, STEPS + 1):
            optimizer.param_groups[0]["lr"] = peak * cut(step)
            own.grad = gradient_at(own.detach(), step)
            optimizer.step()
        finished.append(own.detach())
    return torch.stack(finished)


def case(name: str, options: dict[str, Any], solo: Solo) -> Any:
    return pytest.param(name, options, solo, id=name + "".join(f"-{key}" for key in options))


T = torch.optim
CASES = [
    case("sgd", {}, lambda w, r, m: T.SGD([w], r, weight_decay=DECAY)),
    case("momentum", {}, lambda w, r, m: T.SGD([w], r, momentum=m, weight_decay=DECAY)),
    case("nesterov", {}, lambda w, r, m: T.SGD([w], r, momentum=m, nesterov=True, weight_decay=DECAY)),
    case("adagrad", {}, lambda w, r, m: T.Adagrad([w], r, weight_decay=DECAY)),
    case(
        "adagrad",
        {"rate_decay": 0.1, "start": 0.2},
        lambda w, r, m: T.Adagrad([w], r, lr_decay=0.1, initial_accumulator_value=0.2, weight_decay=DECAY),
    ),
    case("adadelta", {}, lambda w, r, m: T.Adadelta([w], r, weight_decay=DECAY)),
    case("rmsprop", {}, lambda w, r, m: T.RMSprop([w], r, weight_decay=DECAY)),
    case(
        "rmsprop",
        {"centred": True, "with_momentum": True, "alpha": 0.9},
        lambda w, r, m: T.RMSprop([w], r, alpha=0.9, centered=True, momentum=m, weight_decay=DECAY),
    ),
    case("adam", {}, lambda w, r, m: T.Adam([w], r, betas=(m, 0.999), weight_decay=DECAY)),
    case(
        "adam",
        {"amsgrad": True, "beta2": 0.9, "epsilon": 1e-3},
        lambda w, r, m: T.Adam([w], r, betas=(m, 0.9), eps=1e-3, amsgrad=True, weight_decay=DECAY),
    ),
    case("adam", {"decay": "decoupled"}, lambda w, r, m: T.AdamW([w], r, betas=(m, 0.999), weight_decay=DECAY)),
    case("adamw", {}, lambda w, r, m: T.AdamW([w], r, betas=(m, 0.999), weight_decay=DECAY)),
    case(
        "adamw",
        {"amsgrad": True},
        lambda w, r, m: T.AdamW([w], r, betas=(m, 0.999), amsgrad=True, weight_decay=DECAY),
    ),
]


# catalogue: L4, L5, L12 (weight decay)
@pytest.mark.parametrize("momenta", ["shared", "own"])
@pytest.mark.parametrize(("name", "options", "solo"), CASES)
def test_stack_takes_torchs_steps_with_decay_under_a_schedule(
    name: str, options: dict[str, Any], solo: Solo, momenta: str
) -> None:
    rule = configure("optimiser", RULES, {"name": name, **options})
    shared = torch.full((MEMBERS, 1), 0.9, dtype=torch.float64)
    own = torch.tensor([0.5, 0.9, 0.8, 0.95, 0.1], dtype=torch.float64)[:, None]
    momentum = shared if momenta == "shared" else own
    ours = train(rule, start(), peaks(), 0.9 if momenta == "shared" else own)
    assert_close(ours, train_torch(solo, start(), peaks(), momentum), rtol=1e-9, atol=1e-9)


# catalogue: L4
def test_heavy_ball_keeps_the_rate_inside_its_memory() -> None:
    rates, gamma = peaks(), 0.8
    weights, memory = start(), torch.zeros(MEMBERS, WEIGHTS, dtype=torch.float64)
    for step in range(1, STEPS + 1):
        memory = gamma * memory + rates * cut(step) * (gradient_at(weights, step) + DECAY * weights)
        weights = weights - memory
    assert_close(train(optim.HeavyBall(), start(), rates, gamma), weights, rtol=1e-12, atol=1e-12)


# catalogue: L4
def test_heavy_ball_equals_momentum_at_a_constant_rate_and_only_there() -> None:
    ball = train(optim.HeavyBall(), start(), peaks(), 0.9, schedule=constant)
    torchs = train(optim.Momentum(), start(), peaks(), 0.9, schedule=constant)
    assert_close(ball, torchs, rtol=1e-12, atol=1e-12)
    difference = train(optim.HeavyBall(), start(), peaks(), 0.9) - train(optim.Momentum(), start(), peaks(), 0.9)
    assert difference.abs().amax(1).min() > 1e-3


@pytest.mark.parametrize("rate", [0.0, torch.zeros(MEMBERS, 1, dtype=torch.float64)], ids=["float", "tensor"])
def test_heavy_ball_stands_still_at_rate_zero_and_its_memory_fades(rate: float | Tensor) -> None:
    state = {"velocity": torch.ones(MEMBERS, WEIGHTS, dtype=torch.float64)}
    direction = optim.HeavyBall().update(start(), state, step=3, rate=rate, momentum=0.5)
    assert not (rate * direction).any()
    assert_close(state["velocity"], torch.full_like(direction, 0.5))


# catalogue: L5
@pytest.mark.parametrize("name", ["adagrad", "rmsprop", "adam"])
def test_epsilon_inside_the_root_is_the_slides_form(name: str) -> None:
    epsilon = 0.5
    rule = configure("optimiser", RULES, {"name": name, "epsilon": epsilon, "epsilon_inside": True})
    weights = start()
    mean, square = torch.zeros_like(weights), torch.zeros_like(weights)
    for step in range(1, STEPS + 1):
        gradient = gradient_at(weights, step)
        if name == "adagrad":
            square = square + gradient**2
            update = gradient / (square + epsilon).sqrt()
        elif name == "rmsprop":
            square = 0.99 * square + 0.01 * gradient**2
            update = gradient / (square + epsilon).sqrt()
        else:
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.999 * square + 0.001 * gradient**2
            update = mean / (1 - 0.9**step) / (square / (1 - 0.999**step) + epsilon).sqrt()
        weights = weights - peaks() * cut(step) * update
    assert_close(train(rule, start(), peaks(), 0.9, decay=0.0), weights, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"amsgrad": True}], ids=str)
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-14), (torch.float32, 2e-6)])
def test_fused_and_plain_adam_agree(options: dict[str, Any], dtype: torch.dtype, close: float) -> None:
    rule = optim.Adam(**options)
    weights = start().to(dtype)
    assert rule.fuses(weights, 0.9)
    momentum = torch.full((MEMBERS, 1), 0.9, dtype=dtype)
    assert not rule.fuses(weights, momentum)
    states = rule.init(weights), rule.init(weights)
    for step in range(1, STEPS + 1):
        gradient = gradient_at(weights, step)
        fused = rule.update(gradient.clone(), states[0], step=step, rate=0.1, momentum=0.9)
        plain = rule.update(gradient.clone(), states[1], step=step, rate=0.1, momentum=momentum)
        assert_close(fused, plain, rtol=close, atol=close)
    assert_close(states[0], states[1], rtol=10 * close, atol=close)


def test_adam_fuses_only_where_the_kernel_serves() -> None:
    rule = optim.Adam()
    assert rule.fuses(start(48), 0.9)
    assert not rule.fuses(start(47), 0.9)
    assert not rule.fuses(start(48).to(torch.bfloat16), 0.9)
    assert not rule.fuses(start(96)[:, ::2], 0.9)
    assert not optim.Adam(epsilon_inside=True).fuses(start(48), 0.9)
    assert not rule.fuses(start(48).to("meta"), 0.9)


# torch's pow rounds otherwise in the last places of a tensor: found at 1 of 6,567 members in double precision.
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_own_momenta_correct_their_bias_alike_in_every_slot(dtype: torch.dtype) -> None:
    momenta = torch.linspace(0.01, 0.99, 333, dtype=dtype)[:, None]
    gradient = torch.linspace(-1, 1, 16, dtype=dtype).repeat(333, 1)
    rule = optim.Adam()

    def directions(rows: slice, step: int) -> Tensor:
        given = gradient[rows].clone()
        return rule.update(given, rule.init(given), step=step, rate=0.1, momentum=momenta[rows])

    for step in range(1, 60):
        together = directions(slice(None), step)
        for rows in (slice(0, 2), slice(2, 33), slice(33, 332)):
            assert torch.equal(directions(rows, step), together[rows])


# A constant gradient has variance 0, which rounding can make negative.
def test_centred_rmsprop_survives_a_constant_gradient() -> None:
    rule = optim.RMSProp(centred=True, alpha=0.5, epsilon=1e-3)
    state = rule.init(start())
    for step in range(1, 200):
        gradient = torch.full_like(start(), 0.1)
        assert rule.update(gradient, state, step=step, rate=0.1, momentum=0.0).isfinite().all()


# catalogue: L12 (weight decay)
def test_decay_falls_with_the_rate_when_decoupled() -> None:
    class Still(optim.SGD):
        def update(self, gradient: Tensor, state: Any, **_: Any) -> Tensor:
            return torch.zeros_like(gradient)

    weights = train(Still(decay="decoupled"), start(), peaks(), 0.9, decay=0.5)
    half = STEPS // 2
    assert_close(weights, start() * (1 - peaks() * 0.5) ** half * (1 - peaks() * 0.05) ** half)


@pytest.mark.parametrize(
    "data",
    [
        {"name": "adam", "beta2": 1.0},
        {"name": "adam", "epsilon": 0.0},
        {"name": "adagrad", "start": -1.0},
        {"name": "rmsprop", "alpha": -0.1},
        {"name": "adadelta", "rho": 1.5},
        {"name": "sgd", "decay": "none"},
    ],
    ids=str,
)
def test_impossible_options_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        configure("optimiser", RULES, data)
