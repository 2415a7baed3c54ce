"""bfloat16 in the products of the training passes: close, bit for bit where it should be, and refused where felt."""

import pytest
import torch
from torch import Tensor, nn

import tutti.nn as tnn
from tutti.core import InputError, Setting, draw_uniform, random_keys
from tutti.training import ExecutorName, choose_precision
from tutti.training import _precision as precision

from .conftest import SETTINGS, Make, relu_net, torch_net

EXECUTORS: tuple[ExecutorName, ...] = ("stacked", "vmapped", "looped")


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def one_step(make: Make, executor: str, chosen: str) -> Tensor:
    """The gradient of the first batch."""
    population = make(executor, settings=SETTINGS[:2], dtype=torch.float32, precision=chosen, clip=None)
    population.run(1)
    return population._gradient


@pytest.mark.parametrize("executor", EXECUTORS)
def test_gradients_are_close_and_executors_agree_to_its_rounding(make: Make, executor: str) -> None:
    """bfloat16 rounds to 2⁻⁹: a gradient through three layers feels about a hundredth; AdamW leaves it unchanged."""
    exact, rounded = (one_step(make, executor, chosen) for chosen in ("float32", "bfloat16"))
    assert rounded.dtype == torch.float32
    assert 1e-4 < distance(rounded, exact) < 2e-2
    assert distance(rounded, one_step(make, "looped", "bfloat16")) < 1e-2


def test_weights_state_and_losses_stay_float32_and_learn_alike(make: Make) -> None:
    exact = make(dtype=torch.float32, horizon=60, settings=SETTINGS[2:4])
    rounded = make(dtype=torch.float32, horizon=60, settings=SETTINGS[2:4], precision="bfloat16")
    losses = [population.run(60) for population in (exact, rounded)]
    assert {v.dtype for v in rounded.state()[0].values() if v.is_floating_point()} == {torch.float32}
    assert losses[1].dtype == torch.float32
    torch.testing.assert_close(losses[1], losses[0], rtol=0.02, atol=0)


@pytest.mark.parametrize(("executor", "build"), [("stacked", relu_net), ("looped", torch_net)])
def test_resume_freezing_and_neighbours_are_bit_for_bit(make: Make, executor: str, build: object) -> None:
    settings = [*SETTINGS[:2], Setting(learning_rate=1e30)]
    same = {"build": build, "dtype": torch.float32, "precision": "bfloat16", "horizon": 20}
    whole = make(executor, settings=settings, **same)
    whole.run(10)
    tensors, plain = whole.state()
    whole.run(20)
    resumed = make(executor, settings=settings, **same)
    resumed.restore(tensors, plain)
    resumed.run(20)
    fewer = make(executor, settings=settings[:1], **same)
    fewer.run(20)
    assert whole.diverged()[2].all()
    for i in range(3):
        assert torch.equal(resumed.member_rows(i), whole.member_rows(i))
    assert torch.equal(fewer.member_rows(0), whole.member_rows(0))


class Cancelling(nn.Module):
    """Two large products whose difference matters: their rounding is larger than what is learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return 100 * (self.inner(x + 300) - self.inner(torch.full_like(x, 300)))


class Refusing(nn.Module):
    """Mixes types in a product."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(x)
        if y.dtype != x.dtype:
            raise TypeError("expected float32")
        return y


def test_auto_keeps_float32_where_the_gradient_feels_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    monkeypatch.setattr(precision._Pass, "seconds", lambda self: 1.0 if self.precision == "bfloat16" else 2.0)
    sound = make(dtype=torch.float32).program
    found = choose_precision(sound, "stacked")
    assert (found.precision, found.notice) == ("bfloat16", None)
    assert 0 < found.error <= precision.NOISE * found.spread
    felt = make("looped", build=Cancelling, dtype=torch.float32).program
    kept, forced = choose_precision(felt, "looped"), choose_precision(felt, "looped", "bfloat16")
    assert (kept.precision, forced.precision) == ("float32", "bfloat16")
    assert kept.error > precision.NOISE * kept.spread
    assert kept.notice is not None
    assert "products stay in float32" in kept.notice.message
    assert forced.notice is not None
    assert forced.notice.severity == "warning"
    assert choose_precision(felt, "looped", "float32").notice is None


def test_auto_needs_hardware_and_a_gain(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    program = make(dtype=torch.float32).program
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    monkeypatch.setattr(precision._Pass, "seconds", lambda self: 1.0)
    assert choose_precision(program, "stacked").precision == "float32"
    assert choose_precision(program, "stacked", timed=False).precision == "float32"
    monkeypatch.setattr(precision._Pass, "seconds", lambda self: 1.0 if self.precision == "bfloat16" else 2.0)
    assert choose_precision(program, "stacked").precision == "bfloat16"
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)
    assert choose_precision(program, "stacked").precision == "float32"


def test_a_network_that_cannot_is_told(make: Make) -> None:
    program = make("looped", build=Refusing, dtype=torch.float32).program
    with pytest.raises(InputError, match="cannot be computed in bfloat16: expected float32"):
        choose_precision(program, "looped", "bfloat16")


def test_masks_of_rounded_activations_are_those_of_exact_ones() -> None:
    x = torch.ones(50, 40)
    with random_keys(torch.tensor(5, dtype=torch.int32)):
        exact = draw_uniform(x)
    with random_keys(torch.tensor(5, dtype=torch.int32)):
        rounded = draw_uniform(x.bfloat16())
    assert torch.equal(exact, rounded)
    assert isinstance(tnn.Dropout(0.5).train()(x.bfloat16()), Tensor)
