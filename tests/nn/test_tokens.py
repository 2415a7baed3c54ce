"""Tokens: both ends of long texts, dropped words, embeddings, hashed runs; padding and neighbours change nothing."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from tutti import core, nn


def _texts(seed: int = 0, batch: int = 4, steps: int = 7, tokens: int = 9) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    lengths = torch.tensor([steps, 3, 1, 5])[:batch]
    found = torch.randint(1, tokens, (batch, steps), dtype=torch.int32)
    return found * (torch.arange(steps) < lengths[:, None]), lengths.int()


def test_a_window_keeps_the_first_quarter_and_the_last_three_quarters() -> None:
    tokens = torch.arange(1, 13).repeat(3, 1) * (torch.arange(12) < torch.tensor([12, 9, 5])[:, None])
    kept, lengths = nn.BothEnds(8)(tokens, torch.tensor([12, 9, 5]))
    assert kept[0].tolist() == [1, 2, 7, 8, 9, 10, 11, 12]
    assert kept[1].tolist() == [1, 2, 4, 5, 6, 7, 8, 9]
    assert kept[2].tolist() == [1, 2, 3, 4, 5, 0, 0, 0]
    assert lengths.tolist() == [8, 8, 5]
    same, _ = nn.BothEnds(12)(tokens, lengths)
    assert same is tokens


def test_words_are_lost_at_the_rate_of_their_member_and_padding_never() -> None:
    layer = nn.WordDropout(share=0.5).train()
    tokens = torch.full((2, 200, 100), 5)
    tokens[..., 60:] = 0
    with core.random_keys(torch.tensor([1, 2])):
        lost = functional_call(layer, {"dropout": torch.tensor([0.2, 0.8])}, (tokens,))
    share = (lost[..., :60] == 1).float().mean((1, 2))
    torch.testing.assert_close(share, torch.tensor([0.1, 0.4]), atol=0.01, rtol=0)
    assert lost[..., 60:].eq(0).all()
    assert layer.eval()(tokens) is tokens


def _reference_slots(tokens: list[int], vocabulary: int, buckets: int, longest: int) -> set[int]:
    """The hash of RunSlots, in plain Python."""
    found = {t for t in tokens if t >= 2}
    for length in range(2, longest + 1):
        for start in range(len(tokens) - length + 1):
            run = tokens[start : start + length]
            if min(run) < 2:
                continue
            x = run[0]
            for token in run[1:]:
                x = (x * 0x9E3779B1 + token) % 2**32
            x = ((x ^ (x >> 15)) * 0x85EBCA77) % 2**32
            found.add(vocabulary + (x ^ (x >> 13)) % buckets)
    return found


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_runs_are_hashed_as_the_formula_says_each_once(longest: int) -> None:
    tokens, lengths = _texts(steps=7)
    layer = nn.RunSlots(9, buckets=50, longest=longest)
    torch.manual_seed(1)
    layer.worth.copy_(torch.rand(layer.slot_count) + 1)
    slots, weights = layer(tokens, lengths)
    for row, length in enumerate(lengths.tolist()):
        real = slots[row] >= 0
        expected = _reference_slots(tokens[row, :length].tolist(), 9, 50, longest)
        assert set(slots[row][real].tolist()) == expected
        assert int(real.sum()) == len(expected)
        raw = layer.worth[slots[row][real]]
        if len(expected):
            torch.testing.assert_close(weights[row][real], 8 * raw / raw.norm())
        assert weights[row][~real].eq(0).all()


def test_a_bag_is_the_weighted_sum_of_its_rows_and_its_gradient_is_right() -> None:
    torch.manual_seed(0)
    layer = nn.SlotBag(6, 3).double().eval()
    slots = torch.tensor([[4, 2, -1], [5, -1, -1], [-1, -1, -1]], dtype=torch.int32)
    weights = torch.tensor([[0.5, 2.0, 0], [1.0, 0, 0], [0, 0, 0]])
    expected = torch.stack([0.5 * layer.weight[4] + 2 * layer.weight[2], layer.weight[5], torch.zeros(3)])
    torch.testing.assert_close(layer(slots, weights), expected.detach().double(), check_dtype=False)

    def run(table: Tensor) -> Tensor:
        return functional_call(layer, {"weight": table}, (slots, weights))

    assert torch.autograd.gradcheck(run, (layer.weight.detach().clone().requires_grad_(),))


# catalogue: L23
def test_a_bag_loses_runs_and_keeps_its_mean() -> None:
    layer = nn.SlotBag(4, 1, sd=1.0, drop=True).train()
    slots, weights = torch.tensor([[1, 2, 3]] * 20_000, dtype=torch.int32), torch.ones(20_000, 3)
    layer.dropout.fill_(0.5)
    with core.random_keys(torch.tensor(4)):
        found = layer(slots, weights)
    torch.testing.assert_close(found.mean(), layer.weight[1:].sum(), atol=0.05, rtol=0)
    assert len(np.unique(found.detach().numpy().round(4))) == 8


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.BothEnds(0), "at least 1"),
        (lambda: nn.WordDropout(share=2.0), "share"),
        (lambda: nn.RunSlots(5, longest=2), "buckets"),
        (lambda: nn.RunSlots(5, longest=0), "Runs"),
    ],
)
def test_layers_that_cannot_be_are_refused(build: object, message: str) -> None:
    with pytest.raises(core.InputError, match=message):
        build()  # type: ignore[operator]
