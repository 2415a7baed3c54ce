"""The three equalities of the engine (design, decision A): neighbours, executors, trajectories."""

import pytest
import torch
from torch.testing import assert_close

from tutti.core import Setting
from tutti.optim import RULES
from tutti.training import Population

from .conftest import SETTINGS, Make, torch_net

# One for each kind of state; test_pairs.py has them with every layer, and all rules as `slow`.
KINDS = ("adam", "muon", "prodigy", "sam", "schedulefree_adamw", "sgd")


def _weights(population: Population, setting: Setting) -> torch.Tensor:
    return population.member_rows(population.settings.index(setting), averaged=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("executor", ["stacked", "vmapped"])
def test_a_member_is_bitwise_independent_of_neighbours_and_slot(
    make: Make, executor: str, dtype: torch.dtype
) -> None:
    everyone = make(executor, dtype=dtype)
    everyone.run(30)
    for chosen in ([4, 1], [1], [5, 4, 3, 2, 1, 0], [1, 3, 5]):
        some = make(executor, dtype=dtype, settings=[SETTINGS[i] for i in chosen])
        some.run(30)
        for i in chosen:
            assert torch.equal(_weights(some, SETTINGS[i]), _weights(everyone, SETTINGS[i]))


@pytest.mark.parametrize("stack", [3, 6, 9, 64])
def test_the_size_of_the_stack_changes_no_bit(make: Make, stack: int) -> None:
    reference, other = make(dtype=torch.float32), make(dtype=torch.float32, stack=stack)
    reference.run(25)
    other.run(25)
    assert torch.equal(reference.weights, other.weights)


def test_dropping_neighbours_on_the_way_changes_no_bit(make: Make) -> None:
    whole, dropping = make(dtype=torch.float32), make(dtype=torch.float32)
    whole.run(40)
    dropping.run(10)
    dropping.keep([0, 2, 5])
    dropping.run(20)
    dropping.keep([1])
    dropping.run(40)
    assert dropping.settings == [SETTINGS[2]]
    assert torch.equal(_weights(dropping, SETTINGS[2]), _weights(whole, SETTINGS[2]))
    assert torch.equal(dropping.member_rows(0), whole.member_rows(2))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("executor", ["looped", "vmapped"])
def test_one_step_from_an_identical_state_agrees_between_executors(make: Make, executor: str, name: str) -> None:
    settings = [Setting(learning_rate=r, weight_decay=0.1) for r in (1e-3, 1e-2)]
    one = make("stacked", rule=RULES[name](), settings=settings)
    one.run(10)
    other = make(executor, rule=RULES[name](), settings=settings)
    other.restore(*one.state())
    one.run(11)
    other.run(11)
    assert_close(other.weights, one.weights, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("executor", ["looped", "vmapped"])
def test_fifty_steps_at_stable_rates_agree_between_executors(make: Make, executor: str) -> None:
    reference, other = make("stacked"), make(executor)
    assert_close(reference.run(50), other.run(50), rtol=1e-8, atol=1e-10)
    assert_close(other.weights, reference.weights, rtol=1e-6, atol=1e-9)


def test_a_solo_run_is_the_same_member(make: Make) -> None:
    everyone = make(folds=3)
    everyone.run(50)
    solo = make("looped", settings=[SETTINGS[3]], folds=1)
    # The solo run's only fold is fold 0; with three parts its rows are those of the population's fold 0.
    reference = make(settings=SETTINGS, folds=1)
    solo.run(50)
    reference.run(50)
    assert_close(_weights(solo, SETTINGS[3]), _weights(reference, SETTINGS[3]), rtol=1e-6, atol=1e-9)


def test_the_population_is_a_plain_torch_loop(make: Make) -> None:
    """Independent truth: torch.optim.AdamW, torch's clipping and a module of torch's own, batch by batch."""
    setting = Setting(learning_rate=3e-3, weight_decay=0.1)
    population = make("stacked", settings=[setting], folds=2)
    program = population.program
    module = torch.nn.Sequential(
        torch.nn.Linear(64, 24), torch.nn.ReLU(), torch.nn.Linear(24, 16), torch.nn.Tanh(), torch.nn.Linear(16, 10)
    ).double()
    with torch.no_grad():
        for name, p in module.named_parameters():
            p.copy_(program.layout.views(program.initial[1])[name])
    optimizer = torch.optim.AdamW(module.parameters(), lr=1.0, weight_decay=0.1)
    factors = population._factors
    for step, (inputs, target, _) in enumerate(program.batches(0, 50)):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * float(factors[step])
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(inputs[0][1]), target[1]).backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
    population.run(50)
    ours = program.layout.views(_weights(population, setting)[1])
    for name, p in module.named_parameters():
        assert_close(ours[name], p.detach(), rtol=1e-7, atol=1e-10)


def test_dropout_masks_belong_to_the_member_in_modules_of_torch(make: Make) -> None:
    """F.dropout inside a user's module is replaced: looped and vmapped members draw the same masks."""
    looped, mapped = make("looped", build=torch_net), make("vmapped", build=torch_net)
    assert_close(looped.run(20), mapped.run(20), rtol=1e-8, atol=1e-10)
    assert_close(looped.weights, mapped.weights, rtol=1e-6, atol=1e-9)
    again = make("vmapped", build=torch_net, settings=SETTINGS[2:4])
    again.run(20)
    assert torch.equal(again.member_rows(0), mapped.member_rows(2))


def test_averaged_weights_follow_their_formula(make: Make) -> None:
    population = make(settings=SETTINGS[:1], folds=1, average_every=2)
    average = None
    for update in range(1, 8):
        population.run(2 * update)
        weight = 9 / (update + 8)
        now = population.weights
        average = now.clone() if average is None else (1 - weight) * average + weight * now
        assert_close(population.average, average)
