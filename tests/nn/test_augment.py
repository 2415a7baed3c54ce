"""Augmentation: what each layer does to an image, each member at its own strength, and nothing in evaluation."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.testing import assert_close

from tutti import core
from tutti.core import InputError
from tutti.nn import Mixup, RandomErase, RandomFlip, RandomShift, RandomTurn

# catalogue: D7

LAYERS = {
    "shift": lambda strength: RandomShift(0.3, strength=strength),
    "turn": lambda strength: RandomTurn(40.0, 0.2, strength=strength),
    "flip": RandomFlip,
    "erase": lambda strength: RandomErase(strength=strength),
    "mixup": Mixup,
}


def images(count: int = 7) -> Tensor:
    return torch.randn(count, 2, 9, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def drawn(layer: nn.Module, x: Tensor, key: int = 5) -> Tensor:
    with core.random_keys(torch.tensor(key, dtype=torch.int32)):
        y: Tensor = layer(x)
    return y


@pytest.mark.parametrize("name", LAYERS)
def test_nothing_happens_at_strength_0_nor_in_evaluation(name: str) -> None:
    x = images()
    assert_close(drawn(LAYERS[name](0.0), x), x, rtol=1e-6, atol=1e-6)
    assert drawn(LAYERS[name](1.0).eval(), x) is x
    assert not torch.allclose(drawn(LAYERS[name](1.0), x), x)


@pytest.mark.parametrize("name", LAYERS)
def test_a_stack_gives_each_member_what_it_gets_alone(name: str) -> None:
    keys, strengths = torch.tensor([3, 8], dtype=torch.int32), torch.tensor([0.0, 1.0, 0.4, 0.7])
    x = torch.stack([images(), images() + 1] * 2)
    layer = LAYERS[name](0.0)
    (buffer,) = dict(layer.named_buffers())
    with core.random_keys(keys):  # two settings of two streams
        together = functional_call(layer, {buffer: strengths}, (x,))
    for member, strength in enumerate(strengths.tolist()):
        alone = drawn(LAYERS[name](strength), x[member], int(keys[member % 2]))
        assert_close(together[member], alone, rtol=1e-10, atol=1e-10)


def test_shifts_are_whole_pixels_within_the_limit_and_mirror_what_moves_in() -> None:
    x = torch.arange(6.0).expand(500, 1, 4, 6).contiguous()
    rows = {tuple(row) for row in drawn(RandomShift(0.34, strength=1.0), x)[:, 0, 0].tolist()}
    assert rows == {
        (2.0, 1.0, 0.0, 1.0, 2.0, 3.0),
        (1.0, 0.0, 1.0, 2.0, 3.0, 4.0),
        (0.0, 1.0, 2.0, 3.0, 4.0, 5.0),
        (1.0, 2.0, 3.0, 4.0, 5.0, 4.0),
        (2.0, 3.0, 4.0, 5.0, 4.0, 3.0),
    }


def test_a_turn_by_half_a_circle_is_the_image_upside_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "draw_uniform", torch.ones_like)  # the largest angle and zoom
    x = images()
    assert_close(RandomTurn(180.0, 0.0, strength=1.0)(x), x.flip(-1, -2), rtol=1e-6, atol=1e-6)
    square = x[..., :6, :]
    assert_close(RandomTurn(90.0, 0.0, strength=1.0)(square), torch.rot90(square, 1, (-2, -1)), rtol=1e-6, atol=1e-6)


def test_a_turn_keeps_its_angle_where_sides_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "draw_uniform", torch.ones_like)
    x = torch.zeros(1, 1, 21, 41)
    x[0, 0, 10, 28] = 1  # eight pixels right of the centre
    turned = RandomTurn(90.0, 0.0, strength=1.0)(x)
    assert turned[0, 0, 10 - 8, 20] == pytest.approx(1, abs=1e-4)


def test_flips_come_with_their_probability() -> None:
    x = images(4000)
    flipped = (drawn(RandomFlip(0.3), x) == x.flip(-1)).flatten(1).all(1)
    assert 0.27 < flipped.double().mean() < 0.33


def test_an_erasure_is_one_rectangle_of_at_most_the_share() -> None:
    erased = drawn(RandomErase(0.5, strength=0.8), torch.ones(300, 1, 20, 30))[:, 0] == 0
    for mask in erased:
        rows, columns = mask.any(1), mask.any(0)
        assert (mask == rows[:, None] & columns).all()
        assert rows.sum() <= 8
        assert columns.sum() <= 12
    assert erased.any((1, 2)).double().mean() > 0.8


@pytest.mark.parametrize("make", [lambda: RandomShift(1.0), lambda: RandomTurn(200.0), lambda: RandomFlip(1.5)])
def test_limits_that_make_no_sense_are_refused(make: object) -> None:
    with pytest.raises(InputError):
        make()  # type: ignore[operator]


def test_a_mixture_is_of_two_partners_by_the_share_that_the_loss_is_told() -> None:
    x = images(2001)
    with core.mixing() as shares:
        y = drawn(Mixup(0.4), x)
    (share,) = shares
    other = torch.cat([torch.arange(2000).unflatten(0, (-1, 2)).flip(1).flatten(), torch.tensor([2000])])
    part = share[:, None, None, None]
    assert_close(y, part * x + (1 - part) * x[other])
    mixed = share[share < 1]
    assert 0.37 < len(mixed) / 2001 < 0.43
    quarters = torch.histc(mixed, 4, 0, 1) / len(mixed)
    assert_close(quarters, torch.full_like(quarters, 0.25), rtol=0, atol=0.06)  # 800 draws: 4 standard errors
