"""The equality battery: layers × normalisations × dropouts × rules, pairwise here and completely as `slow`.

The laws (design, decision A), on six settings of three rules × two streams in one population:
- from an identical state one step agrees, stacked, looped and vmapped, to 1e-10 of the largest number in float64;
- a member is bitwise independent of its neighbours and of its slot (stacked, float32);
- saved and restored in the middle it goes on bit for bit, running buffers included (stacked, float32).

Rules that decide by a sign, or divide by a root without an epsilon, turn the rounding of a gradient that is 0 in
exact arithmetic (a bias before batch normalisation, a key's bias before a softmax) into a whole step, design.md's
"sensitivity"; PAL divides a difference of losses by the square of its rate, 1e-6 here. Of these (SENSITIVE) the
gradient at the identical state is compared in place of the step.
"""

from itertools import combinations, product

import pytest
import torch
from torch import Tensor

from tutti.optim import RULES
from tutti.testing._law import relative
from tutti.training import Population, stacks

from .pairs import DROPOUTS, FACTORS, LAYERS, NORMS, Case, Subject, allowed, covering, name_of, possible

CASES = covering(FACTORS)
ROUNDING = 1e-10
SENSITIVE = {"adafactor", "adagrad", "adax", "adaxw", "c_adamw", "c_lion", "ftrl", "grams"}
SENSITIVE |= {"laprop", "lion", "pal", "rprop", "signsgd", "signum", "sm3", "tiger"}
every_case = pytest.mark.parametrize("case", CASES, ids=name_of)


def test_every_pair_of_values_occurs_in_some_case() -> None:
    for i, j in combinations(range(len(FACTORS)), 2):
        seen = {(case[i], case[j]) for case in CASES}
        assert seen == {(a, b) for a, b in product(FACTORS[i], FACTORS[j]) if possible({i: a, j: b})}
    fewest = len(LAYERS) * len(NORMS) - sum(not allowed(*pair) for pair in product(LAYERS, NORMS))
    assert len(CASES) <= 1.1 * fewest  # no set of cases can be smaller than the largest table of pairs


def test_every_layer_is_built_for_the_member_axis() -> None:
    for layer, norm, kind in product(LAYERS, ("none", "batch"), DROPOUTS):
        assert stacks(LAYERS[layer](norm, kind))


def gradients(population: Population) -> Tensor:
    """Every member's gradient at the weights as they are, [member, weights]; running buffers as they were."""
    step = population.step
    inputs, target, weights = next(population.program.batches(step, step + 1))
    population._again(slice(0, population.members), inputs, target, weights, population._keys(step, step + 1)[0])
    return population._gradient.clone()


def assert_one_step_agrees(subject: Subject) -> None:
    settings = [s for i, s in enumerate(subject.settings()) if i % 4 in (0, 3)]  # one of each rule
    stacked = subject.population("stacked", settings)
    stacked.run(2)
    tensors, plain = stacked.state()
    sensitive = [i for i, s in enumerate(stacked.settings) if s.optimizer in SENSITIVE]
    slopes = gradients(stacked) if sensitive else None
    stacked.run(3)
    assert torch.isfinite(stacked.weights).all()
    for executor in ("looped", "vmapped"):
        other = subject.population(executor, settings[:1])  # the state brings all of them
        other.restore(tensors, plain)
        if slopes is not None:
            of_members = torch.tensor([2 * i + f for i in sensitive for f in range(2)])
            assert relative(gradients(other)[of_members], slopes[of_members]) <= ROUNDING
        other.run(3)
        assert relative(other.running, stacked.running) <= ROUNDING
        for i, setting in enumerate(stacked.settings):
            if i not in sensitive:
                ours, theirs = (p.member_rows(i, averaged=False) for p in (stacked, other))
                assert relative(theirs, ours) <= ROUNDING, (executor, setting.optimizer)


def assert_members_are_their_own(subject: Subject) -> None:
    everyone = subject.population("stacked")
    everyone.run(2)
    tensors, plain = everyone.state()
    everyone.run(3)
    resumed = subject.population("stacked", everyone.settings[:1])
    resumed.restore(tensors, plain)
    resumed.run(3)
    for name in ("weights", "running", "counters", "average", "average_running"):
        assert torch.equal(getattr(resumed, name), getattr(everyone, name)), name
    fewer = subject.population("stacked", everyone.settings[::-2])
    fewer.run(3)
    for place, setting in enumerate(fewer.settings):
        mine = everyone.settings.index(setting)
        assert torch.equal(fewer.member_rows(place), everyone.member_rows(mine)), setting.optimizer


# catalogue: D9
@every_case
def test_one_step_from_an_identical_state_agrees_between_executors(case: Case) -> None:
    assert_one_step_agrees(Subject.of(case, torch.float64))


@every_case
def test_a_member_knows_no_neighbours_and_resumes_bit_for_bit(case: Case) -> None:
    assert_members_are_their_own(Subject.of(case, torch.float32))


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("layer", LAYERS)
def test_the_complete_product_with_all_rules(layer: str, norm: str) -> None:
    if not allowed(layer, norm):
        pytest.skip("nothing to normalise over")
    for kind in DROPOUTS:
        case = (layer, norm, kind, tuple(sorted(RULES)))
        for dtype, law in ((torch.float64, assert_one_step_agrees), (torch.float32, assert_members_are_their_own)):
            try:
                law(Subject.of(case, dtype))
            except AssertionError as error:
                raise AssertionError(f"{layer} {norm} {kind}: {error}") from error
