"""Rules at work in a population: several at once, a second gradient, weights of their own to be judged."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tutti.core import InputError, Setting
from tutti.optim import ASAM, EMA, SAM, SWA, Adam, AdamW, Lion, Lookahead, Momentum, Muon, Rule, ScheduleFreeAdamW
from tutti.training import Population

from .conftest import Make, cross_entropy

RULES: dict[str, Rule] = {"adam": Adam(), "muon": Muon(), "sam": SAM(), "free": ScheduleFreeAdamW()}
SETTINGS = [Setting(learning_rate=r, weight_decay=0.1, optimizer=n) for n in RULES for r in (1e-3, 1e-2)]


def rows(population: Population, name: str) -> Tensor:
    places = [i for i, s in enumerate(population.settings) if s.optimizer == name]
    return torch.cat([population.member_rows(i, averaged=False) for i in places])


# catalogue: L6
@pytest.mark.parametrize("executor", ["stacked", "vmapped"])
def test_several_rules_in_one_population_are_each_rules_own(make: Make, executor: str) -> None:
    together = make(executor, rule=RULES, settings=SETTINGS, dtype=torch.float32, clip=0.05)
    together.run(25)
    for name in RULES:
        own = [s for s in SETTINGS if s.optimizer == name]
        alone = make(executor, rule=RULES, settings=own, dtype=torch.float32, clip=0.05)
        alone.run(25)
        assert torch.equal(rows(alone, name), rows(together, name))
        assert torch.equal(alone.average, torch.cat([together.average[i * 3 : i * 3 + 3] for i in _places(name)]))


def _places(name: str) -> list[int]:
    return [i for i, s in enumerate(SETTINGS) if s.optimizer == name]


def test_dropping_settings_of_several_rules_changes_no_bit(make: Make) -> None:
    whole, dropping = (make(rule=RULES, settings=SETTINGS, dtype=torch.float32) for _ in range(2))
    whole.run(40)
    dropping.run(10)
    dropping.keep([0, 3, 4, 5, 6])
    dropping.run(20)
    dropping.keep([1, 3])
    dropping.run(40)
    assert [s.optimizer for s in dropping.settings] == ["muon", "sam"]
    assert torch.equal(dropping.member_rows(0), whole.member_rows(3))
    assert torch.equal(dropping.member_rows(1), whole.member_rows(5))


def test_a_checkpoint_of_several_rules_resumes_bit_for_bit(make: Make) -> None:
    whole, first, second = (make(rule=RULES, settings=SETTINGS, dtype=torch.float32) for _ in range(3))
    whole.run(30)
    first.run(11)
    second.restore(*first.state())
    second.run(30)
    assert torch.equal(second.weights, whole.weights)
    assert torch.equal(second.average, whole.average)


def test_the_settings_of_one_rule_stay_together(make: Make) -> None:
    population = make(rule=RULES, settings=SETTINGS)
    with pytest.raises(InputError, match="together"):
        population.keep([0, 2, 1])


def test_an_unknown_rule_is_named(make: Make) -> None:
    with pytest.raises(InputError, match="Did you mean 'adam'"):
        make(rule=RULES, settings=[Setting(optimizer="adm")])


def plain_loop(population: Population, setting: Setting, optimizer: Any, offset: Any) -> Tensor:
    """Independent truth: torch's loop with two backward passes on each batch, for stream 0."""
    program = population.program
    module = torch.nn.Sequential(
        torch.nn.Linear(64, 24), torch.nn.ReLU(), torch.nn.Linear(24, 16), torch.nn.Tanh(), torch.nn.Linear(16, 10)
    ).double()
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, p in parameters.items():
            p.copy_(program.layout.views(program.initial[0])[name])
    made = optimizer(list(parameters.values()))
    for step, (inputs, target, _) in enumerate(program.batches(0, 20)):

        def backward(inputs: Any = inputs, target: Tensor = target) -> None:
            module.zero_grad()
            cross_entropy(module(inputs[0][0]), target[0]).mean().backward()

        backward()
        moves = offset([(p.detach(), p.grad) for p in parameters.values()])
        with torch.no_grad():
            for p, move in zip(parameters.values(), moves, strict=True):
                p.add_(move)
        backward()
        with torch.no_grad():
            for p, move in zip(parameters.values(), moves, strict=True):
                p.sub_(move)
        made.param_groups[0]["lr"] = setting.learning_rate * float(population._factors[step])
        made.step()
    return program.layout.flatten(parameters)


def sam_offset(pairs: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    norm = torch.stack([g.norm() for _, g in pairs]).norm()
    return [0.05 * g / norm for _, g in pairs]


def asam_offset(pairs: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    norm = torch.stack([((w.abs() + 0.01) * g).norm() for w, g in pairs]).norm()
    return [0.5 * (w.abs() + 0.01) ** 2 * g / norm for w, g in pairs]


# catalogue: L6
@pytest.mark.parametrize(("rule", "offset"), [(SAM, sam_offset), (ASAM, asam_offset)])
def test_sharpness_aware_steps_are_two_backward_passes_on_one_batch(make: Make, rule: Any, offset: Any) -> None:
    setting = Setting(learning_rate=0.1, weight_decay=0.01)
    population = make("stacked", rule=rule(rule=Momentum()), settings=[setting, Setting()], folds=2, clip=None)
    truth = plain_loop(
        population, setting, lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9, weight_decay=0.01), offset
    )
    population.run(20)
    assert_close(population.weights[0], truth, rtol=1e-8, atol=1e-10)


def test_a_second_gradient_that_is_not_finite_freezes_its_member_alone(make: Make) -> None:
    rules = {"wild": SAM(rule=AdamW(), radius=1e200), "tame": SAM(rule=AdamW())}
    settings = [Setting(learning_rate=0.1, weight_decay=0.1, optimizer=n) for n in rules]
    population = make(rule=rules, settings=settings)
    before = population.weights.clone()
    population.run(5)
    assert population.diverged().tolist() == [[True] * 3, [False] * 3]
    assert torch.equal(population.weights[:3], before[:3])
    assert not torch.equal(population.weights[3:], before[3:])


def test_rules_that_keep_weights_to_be_judged_take_the_averages_place(make: Make) -> None:
    settings = [Setting(learning_rate=1e-2, optimizer=n) for n in ("ema", "free", "plain", "swa")]
    rules = {"plain": Adam(), "ema": EMA(weight=0.9), "swa": SWA(first=2), "free": ScheduleFreeAdamW()}
    population = make(rule=rules, settings=settings, folds=1, average_every=4)
    history = []
    for step in range(1, 8):
        population.run(step)
        history.append(population.weights.clone())
    assert_close(population.average[3], torch.stack([h[3] for h in history[1:]]).mean(0))
    ema = population.program.initial[0]
    for step, h in enumerate(history, 1):
        weight = min(0.9, (1 + step) / (10 + step))
        ema = weight * ema + (1 - weight) * h[0]
    assert_close(population.average[0], ema)
    z = next(p.stepper.state["base"] for p in population._descent.parts if "base" in p.stepper.state)
    assert_close(0.1 * z + 0.9 * population.average[1], population.weights[1][None])
    assert not torch.equal(population.average[2], population.weights[2])


def test_lookahead_steps_back_after_every_fifth_step(make: Make) -> None:
    setting = Setting(learning_rate=1e-3)
    population = make(rule=Lookahead(rule=Lion()), settings=[setting], folds=1)
    fast = make(rule=Lion(), settings=[setting], folds=1)
    for both in (population, fast):
        both.run(4)
    assert torch.equal(population.weights, fast.weights)
    for both in (population, fast):
        both.run(5)
    start = population.program.initial
    assert_close(population.weights, start + 0.5 * (fast.weights - start))
