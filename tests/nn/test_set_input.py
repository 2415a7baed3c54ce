"""Subsets of items are fair draws without repeats, and depend on no padding."""

import numpy as np
import pytest
import torch

from tutti import core, nn


def _subset(layer: nn.ItemSubset, items: torch.Tensor, counts: torch.Tensor, key: int) -> tuple[torch.Tensor, ...]:
    with core.random_keys(torch.tensor(key)):
        chosen: tuple[torch.Tensor, ...] = layer(items, counts)
        return chosen


def _numbered(sets: int, places: int) -> torch.Tensor:
    return torch.arange(places).expand(sets, places).unsqueeze(-1).contiguous()


# catalogue: D5
def test_training_draws_each_item_equally_often_and_none_twice() -> None:
    counts = torch.tensor([3, 4, 5, 7, 11, 0])
    items, layer = _numbered(6, 11), nn.ItemSubset(4).train()
    times = torch.zeros(6, 11)
    draws = 3000
    for key in range(draws):
        chosen, present = _subset(layer, items, counts, key)
        assert torch.equal(present.sum(1), counts.clamp(max=4))
        for row in range(5):
            mine = chosen[row, present[row], 0]
            assert len(mine.unique()) == len(mine)
            assert int(mine.max()) < counts[row]
            times[row, mine] += 1
    assert times[0, :3].eq(draws).all()
    assert times[1, :4].eq(draws).all()
    for row, n in ((2, 5), (3, 7), (4, 11)):
        expected, sd = draws * 4 / n, (draws * 4 / n * (1 - 4 / n)) ** 0.5
        assert (times[row, :n] - expected).abs().max() < 4.5 * sd
        assert times[row, n:].sum() == 0


# catalogue: D5
def test_draws_do_not_depend_on_the_padding() -> None:
    counts = torch.tensor([7, 2])
    few = _subset(nn.ItemSubset(4).train(), _numbered(2, 7), counts, 5)
    many = _subset(nn.ItemSubset(4).train(), _numbered(2, 50), counts, 5)
    for a, b in zip(few, many, strict=True):
        assert torch.equal(a[:, :2], b[:, :2])
        assert torch.equal(a[0], b[0])


def test_all_items_or_the_first_ones_are_judged() -> None:
    items, counts = _numbered(2, 6), torch.tensor([6, 2])
    for layer in (nn.ItemSubset(3).eval(), nn.ItemSubset(0).train(), nn.ItemSubset(6, 6).train()):
        chosen, present = layer(items, counts)
        assert torch.equal(chosen, items)
        assert present.sum(1).tolist() == [6, 2]
    chosen, present = nn.ItemSubset(2, 3).eval()(items, counts)
    assert torch.equal(chosen, items[:, :3])
    assert present.sum(1).tolist() == [3, 2]


def test_members_of_one_stream_draw_alike_and_as_they_would_alone() -> None:
    items, counts, layer = _numbered(3, 9), torch.tensor([9, 8, 2]), nn.ItemSubset(4).train()
    keys = torch.tensor([11, 12])
    with core.random_keys(keys):
        stacked, _ = layer(items.expand(4, *items.shape), counts.expand(4, 3))
    for member in range(4):
        alone, _ = _subset(layer, items, counts, int(keys[member % 2]))
        assert torch.equal(stacked[member], alone)


def test_features_and_sizes_are_standardised_and_missing_values_are_the_mean() -> None:
    layer = nn.SetInput(2)
    layer.items.centre.copy_(torch.tensor([1.0, 2.0]))
    layer.items.fill.copy_(torch.tensor([1.0, 2.0]))
    layer.items.scale.copy_(torch.tensor([0.5, 4.0]))
    layer.size_centre.fill_(np.log(2))
    items = torch.tensor([[[3.0, torch.nan], [1.0, 2.5]]])
    features, size = layer(items, torch.tensor([2]))
    torch.testing.assert_close(features, torch.tensor([[[1.0, 0.0], [0.0, 2.0]]]))
    torch.testing.assert_close(size, torch.tensor([[np.log(1.5)]], dtype=torch.float32))
    whole, _ = layer(torch.tensor([[[3, 2]]], dtype=torch.uint8), torch.tensor([1]))
    torch.testing.assert_close(whole, torch.tensor([[[1.0, 0.0]]]))


def test_negative_numbers_of_items_are_refused() -> None:
    with pytest.raises(core.InputError, match="0 or more"):
        nn.ItemSubset(-1)
