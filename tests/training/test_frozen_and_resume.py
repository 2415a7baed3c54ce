"""A member that diverges is frozen and its neighbours go on; a restored state goes on bit for bit."""

import pytest
import torch
from torch.testing import assert_close

from tutti.core import InputError, Setting
from tutti.optim import RULES, SGD

from .conftest import SETTINGS, Make, relu_net


def test_a_diverged_member_is_frozen_and_named_and_its_neighbours_go_on(make: Make) -> None:
    wild = Setting(learning_rate=1e30)
    population = make(
        settings=[SETTINGS[0], wild, SETTINGS[1]], rule=SGD(), clip=None, dtype=torch.float32, build=relu_net
    )
    sound = make(settings=[SETTINGS[0], SETTINGS[1]], rule=SGD(), clip=None, dtype=torch.float32, build=relu_net)
    population.run(30)
    sound.run(30)
    assert population.diverged().tolist() == [[False] * 3, [True] * 3, [False] * 3]
    assert set(population.frozen_at) == {(wild, 0), (wild, 1), (wild, 2)}
    assert torch.isfinite(population.weights).all()
    assert torch.equal(population.member_rows(0), sound.member_rows(0))
    assert torch.equal(population.member_rows(2), sound.member_rows(1))


def test_frozen_weights_do_not_move(make: Make) -> None:
    population = make(
        settings=[Setting(learning_rate=1e30), SETTINGS[0]],
        rule=SGD(),
        clip=None,
        dtype=torch.float32,
        build=relu_net,
    )
    population.run(10)
    before = population.weights[:3].clone()
    population.run(20)
    assert torch.equal(population.weights[:3], before)


@pytest.mark.parametrize("name", ["adam", "lookahead", "muon", "sam", "schedulefree_adamw", "soap"])
@pytest.mark.parametrize("executor", ["stacked", "looped"])
def test_resumed_is_uninterrupted_bit_for_bit(make: Make, executor: str, name: str) -> None:
    straight = make(executor, rule=RULES[name](), dtype=torch.float32)
    straight.run(8)
    straight.keep([0, 3])
    straight.run(14)
    broken = make(executor, rule=RULES[name](), dtype=torch.float32)
    broken.run(8)
    broken.keep([0, 3])
    tensors, plain = broken.state()
    resumed = make(executor, rule=RULES[name](), dtype=torch.float32)
    resumed.restore(tensors, plain)
    resumed.run(14)
    assert torch.equal(resumed.weights, straight.weights)
    assert torch.equal(resumed.average, straight.average)


def test_a_state_may_be_gone_back_to_again(make: Make) -> None:
    population = make(dtype=torch.float32)
    population.run(5)
    tensors, plain = population.state()
    ends = []
    for _ in range(2):
        population.restore(tensors, plain)
        population.run(10)
        ends.append(population.weights.clone())
    assert torch.equal(*ends)


def test_a_state_of_another_model_is_refused(make: Make) -> None:
    tensors, plain = make().state()
    tensors["weights"] = tensors["weights"][:, :-64]
    with pytest.raises(InputError, match="another model"):
        make().restore(tensors, plain)


def test_training_backwards_is_refused(make: Make) -> None:
    population = make()
    population.run(5)
    with pytest.raises(InputError, match="stands at step 5"):
        population.run(5)


def test_clipping_is_per_member(make: Make) -> None:
    """# catalogue: L7. One member's huge gradient does not scale its neighbour's."""
    settings = [Setting(learning_rate=1e-2), Setting(learning_rate=1e-2, l1=1e3)]
    both = make(settings=settings, rule=SGD(), clip=0.01)
    alone = make(settings=settings[:1], rule=SGD(), clip=0.01)
    both.run(5)
    alone.run(5)
    assert_close(both.member_rows(0), alone.member_rows(0))
