"""What every update rule of the registry promises, whatever its formula."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.testing import assert_close

from tutti.core import InputError, Layout, configure
from tutti.optim import RULES, SCHEDULES, SGD, Cosine, Rule
from tutti.optim._elementwise import Elementwise

from .conftest import MEMBERS, STEPS, go_on, gradient_at, layout_of, padded, peaks, start, trace, train

every_rule = pytest.mark.parametrize("name", list(RULES))
elementwise = pytest.mark.parametrize("name", [n for n, r in RULES.items() if issubclass(r, Elementwise)])


# AdaSqrt and KATE leap where a weight starts near its goal; centralised gradients cannot move means.
BOWL = {"adasqrt": 0.1, "kate": 0.99, "centralised": 0.5}


def cosine(steps: int) -> Callable[[int], float]:
    factors = Cosine().factors(steps).tolist()
    return lambda step: factors[step - 1]


# Equality of the first form: bit for bit whatever the neighbours, the slot, and the length of a row.
@pytest.mark.parametrize(
    ("layout", "momenta"), [(padded(8, 37), "own"), (padded(40, 16), "shared")], ids=["101-own", "1616-shared"]
)
@every_rule
def test_a_member_does_not_know_its_neighbours(name: str, layout: Layout, momenta: str) -> None:
    rule = RULES[name]()
    everyone = torch.randn(33, layout.count, generator=torch.Generator().manual_seed(1))
    rates = torch.logspace(-4, -1, 33)[:, None]
    own = torch.linspace(0.3, 0.97, 33)[:, None]
    together = train(rule, everyone, rates, 0.9 if momenta == "shared" else own, steps=12, layout=layout)
    assert not together[:, layout.used :].any()
    for members in (slice(0, 2), slice(7, 20), slice(30, 33)):
        given = 0.9 if momenta == "shared" else own[members]
        alone = train(rule, everyone[members], rates[members], given, steps=12, layout=layout)
        assert torch.equal(alone, together[members])


@every_rule
def test_a_diverged_member_harms_nobody(name: str) -> None:
    rule = RULES[name]()
    broken = start()
    broken[2] = float("nan")
    weights = train(rule, broken, peaks(), 0.9)
    kept = [0, 1, 3, 4]
    assert torch.equal(weights[kept], train(rule, start(), peaks(), 0.9)[kept])
    assert weights[2].isnan().any()


@every_rule
def test_state_is_one_tensor_for_each_named_average_and_small_ones_for_each_member(name: str) -> None:
    rule = RULES[name]().bind(layout_of(start()))
    state = rule.init(start())
    assert set(rule.averages) <= set(state)
    for key, value in state.items():
        if key in rule.averages:
            assert value.shape == start().shape
        else:
            assert value.ndim == 0 or len(value) == MEMBERS


# catalogue: L6 (each that resolves trains a problem)
@every_rule
def test_each_descends_into_a_bowl(name: str) -> None:
    layout, steps = layout_of(start()), 150
    rates = torch.logspace(-4, 2, 13, dtype=torch.float64)[:, None]
    centre = torch.linspace(-1, 1, layout.count, dtype=torch.float64)
    curvature = torch.logspace(0, -1, layout.count, dtype=torch.float64)
    weights = start()[:1].repeat(len(rates), 1)

    def loss() -> Tensor:
        return (curvature * (weights - centre).square()).sum(1) / 2

    rule, before = RULES[name]().bind(layout), loss()
    go_on(
        rule,
        rule.init(weights),
        weights,
        rates,
        0.9,
        decay=0.0,
        first=1,
        last=steps,
        schedule=cosine(steps),
        gradient=lambda w, step: curvature[: w.shape[1]] * (w - centre),
    )
    assert loss().nan_to_num(torch.inf).min() < BOWL.get(name, 1e-3) * before[0]


class Spiral(nn.Module):
    """Two hidden layers on a problem that no line solves."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
        generator = torch.Generator().manual_seed(0)
        self.layout = Layout.of(self.layers)
        radius = torch.rand(64, 1, generator=generator)
        side = torch.arange(64)[:, None] % 2
        angle = 4 * radius + torch.pi * side
        self.x, self.y = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1), side.float()

    def initial(self) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        rows = {n: torch.randn(p.shape, generator=generator) * 0.4 for n, p in self.layers.named_parameters()}
        return self.layout.flatten(rows)

    def loss(self, weights: Tensor) -> Tensor:
        output = functional_call(self.layers, self.layout.views(weights), (self.x,))
        return nn.functional.binary_cross_entropy_with_logits(output, self.y)


# catalogue: L6 (each that resolves trains a problem)
@every_rule
def test_each_trains_a_small_network(name: str) -> None:
    problem, steps = Spiral(), 30
    rates = torch.logspace(-3, 2, 9)[:, None]
    weights = problem.initial().repeat(len(rates), 1)
    rule, before = RULES[name]().bind(problem.layout), problem.loss(weights[0]).item()
    slope = vmap(grad(problem.loss))
    go_on(
        rule,
        rule.init(weights),
        weights,
        rates,
        0.9,
        decay=0.0,
        first=1,
        last=steps,
        schedule=cosine(steps),
        gradient=lambda w, step: slope(w).detach(),
    )
    losses = vmap(problem.loss)(weights.nan_to_num()).nan_to_num(torch.inf)
    assert losses.min() < 0.75 * before


@every_rule
def test_a_state_kept_half_way_goes_on_bit_for_bit(name: str) -> None:
    rule, weights = RULES[name]().bind(layout_of(start())), start()
    state = rule.init(weights)

    def steps(first: int, last: int) -> Tensor:
        return go_on(rule, state, weights, peaks(), 0.9, decay=0.01, first=first, last=last)[-1]

    steps(1, 12)
    kept, kept_weights = {k: v.clone() for k, v in state.items()}, weights.clone()
    end = steps(13, STEPS)
    state, weights = kept, kept_weights
    assert torch.equal(steps(13, STEPS), end)


@every_rule
def test_zero_gradients_move_nothing_and_leave_the_state_finite(name: str) -> None:
    rule, weights = RULES[name]().bind(layout_of(start())), start().float()
    state, rates = rule.init(weights), peaks().float()
    if name == "fromage":
        pytest.skip("shrinks the weights by √(1 + η²) at every step")
    still = go_on(
        rule, state, weights, rates, 0.9, decay=0.0, first=1, last=4, gradient=lambda w, step: torch.zeros_like(w)
    )
    assert_close(still[-1], start().float(), rtol=0, atol=1e-4)
    go_on(rule, state, weights, rates, 0.9, decay=0.0, first=5, last=STEPS)
    assert weights.isfinite().all()


@pytest.mark.parametrize(
    "momentum", [0.9, torch.full((MEMBERS, 1), 0.9, dtype=torch.float64)], ids=["float", "tensor"]
)
@every_rule
def test_a_member_at_rate_zero_stands_still(name: str, momentum: float | Tensor) -> None:
    rule, weights = RULES[name]().bind(layout_of(start())), start()
    rates = peaks()
    rates[[1, 3]] = 0.0
    state = rule.init(weights)
    go_on(rule, state, weights, rates, 0.9, decay=0.02, first=1, last=6)
    assert torch.equal(weights[[1, 3]], start()[[1, 3]])
    assert weights.isfinite().all()


# The engine gives floats where all members share a number.
@elementwise
def test_shared_numbers_may_be_floats(name: str) -> None:
    rule = RULES[name]().bind(layout_of(start()))
    weights = [start(), start()]
    states = [rule.init(w) for w in weights]
    for step in range(1, 13):
        for kind, one in enumerate((0.02, torch.full((MEMBERS, 1), 0.02, dtype=torch.float64))):
            beta = 0.9 if kind == 0 else torch.full((MEMBERS, 1), 0.9, dtype=torch.float64)
            slope = gradient_at(weights[kind], step)
            weights[kind] += one * rule.direction(
                weights[kind], slope, states[kind], step=step, rate=one, momentum=beta
            )
    assert_close(weights[0], weights[1], rtol=1e-9, atol=1e-9)


@every_rule
def test_rules_survive_json(name: str) -> None:
    rule = RULES[name]()
    if "rule" in rule.to_json():
        pytest.skip("a wrapper")
    written = json.loads(json.dumps(rule.to_json()))
    assert configure("optimiser", RULES, written) == rule


def options_with_limits() -> list[Any]:
    cases = []
    for name, kind in RULES.items():
        if issubclass(kind, Elementwise):
            cases += [pytest.param(name, option, 1.0, id=f"{name}-{option}") for option in kind.fractions]
            cases += [pytest.param(name, option, 0.0, id=f"{name}-{option}") for option in kind.positive]
            cases += [
                pytest.param(name, option, type(getattr(kind(), option))(-1), id=f"{name}-{option}")
                for option in kind.not_negative
            ]
    return cases


@pytest.mark.parametrize(("name", "option", "value"), options_with_limits())
def test_options_beyond_their_limits_are_refused(name: str, option: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{option} is .*expected"):
        configure("optimiser", RULES, {"name": name, option: value})


@pytest.mark.parametrize(
    "data",
    [
        {"name": "rprop", "grow": 0.9},
        {"name": "rprop", "smallest": 2.0},
        {"name": "adamx", "fading": 1.1},
        {"name": "padam", "exponent": 0.6},
        {"name": "acclip", "alpha": 2.5},
        {"name": "angulargrad", "angle": "sin"},
        {"name": "adamnc", "fading": 0.0},
        {"name": "adashift", "window": 0},
        {"name": "sadam", "gamma": 1.5},
        {"name": "sadam", "fading": 0.0},
        {"name": "srmm", "window": 0},
        {"name": "aggmo", "gammas": [1.0]},
        {"name": "aggmo", "gammas": []},
        {"name": "coolmomentum", "cooling": 0.0},
        {"name": "accsgd", "constant": 1.0},
        {"name": "accsgd", "xi": 5000.0},
        {"name": "qhadam", "nu2": 2.0},
        {"name": "mas", "descent": 1.5},
    ],
    ids=str,
)
def test_options_that_do_not_fit_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        configure("optimiser", RULES, data)


# catalogue: L19
@pytest.mark.parametrize("schedule", list(SCHEDULES))
@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
def test_weight_decay_falls_with_the_rate(schedule: str, decay: str) -> None:
    class Still(SGD):
        def update(self, gradient: Tensor, state: Any, **_: Any) -> Tensor:
            return gradient.neg_()

    factors = SCHEDULES[schedule]().factors(STEPS)
    path = trace(
        Still(decay=decay),
        start(),
        peaks(),
        0.9,
        decay=0.5,
        schedule=lambda step: float(factors[step - 1]),
    )
    weights, rates = start().numpy(), peaks().numpy()
    for step in range(1, STEPS + 1):
        mu = 0.5 * rates * factors[step - 1]  # μₜ ∝ αₜ
        slope = gradient_at(torch.from_numpy(weights), step).numpy()
        weights = weights - mu * weights - rates * factors[step - 1] * slope
        np.testing.assert_allclose(path[step - 1], weights, rtol=1e-11, atol=1e-12)


# catalogue: L19
@elementwise
def test_decoupled_decay_is_the_same_share_of_the_rate_for_every_rule(name: str) -> None:
    """With no gradient, wₜ = w₀ Πₛ(1 − ηₛ·weight_decay): decay follows the schedule and no rule scales it."""
    if name in ("madgrad", "srmm", "accelegrad"):
        pytest.skip("remembers where the weights have been, and pulls them back there")
    rule: Rule = configure("optimiser", RULES, {"name": name, "decay": "decoupled"}).bind(layout_of(start()))
    weights, factors = start(), Cosine().factors(8)
    go_on(
        rule,
        rule.init(weights),
        weights,
        peaks(),
        0.9,
        decay=0.5,
        first=1,
        last=8,
        schedule=lambda step: float(factors[step - 1]),
        gradient=lambda w, step: torch.zeros_like(w),
    )
    shrunk = start() * (1 - 0.5 * peaks() * torch.from_numpy(factors)).prod(1, keepdim=True)
    assert_close(weights, shrunk, rtol=1e-4, atol=1e-4)
